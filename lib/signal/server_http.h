/* Server HTTP: what the daemon calls for requests. */
#ifndef SNET_SIGNAL_SERVER_HTTP_H
#define SNET_SIGNAL_SERVER_HTTP_H

#include <microhttpd.h>

enum MHD_Result snet_signal_http_on_request(void *server, struct MHD_Connection *c,
					    const char *url, const char *method,
					    const char *version, const char *upload,
					    size_t *upload_n, void **request);
void snet_signal_http_on_completed(void *server, struct MHD_Connection *c, void **request,
				   enum MHD_RequestTerminationCode why);

#endif
