/* Qlog: a file per connection in a directory (QLOGDIR), as the transport's tracer emits it:
 * JSON-SEQ, RFC 7464, which qvis accepts as .sqlog. A log never fails the connection: what
 * cannot be written is said once and given up. */
#ifndef SNET_OBS_QLOG_H
#define SNET_OBS_QLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snet_qlog;

#define SNET_QLOG_ID_MAX 20 /* bytes of a connection id, RFC 9000 §17.2 */

/* The file DIR/<odcid in hex>_<client|server>.sqlog, made at the first write; one
 * that is there is not overwritten. dir: copied. id: at most SNET_QLOG_ID_MAX
 * bytes. SNET_EINVAL, SNET_ENOMEM. */
int snet_qlog_new(struct snet_qlog **out, const char *dir, const uint8_t *id, size_t n,
		  bool server);

/* NULL q: nothing. fin closes. */
void snet_qlog_write(struct snet_qlog *q, const void *p, size_t n, bool fin);
void snet_qlog_free(struct snet_qlog *q); /* NULL is fine */

#endif
