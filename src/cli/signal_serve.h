/* Signal serve: signal/server as a program, for snet-signal --listen. */
#ifndef CLI_SIGNAL_SERVE_H
#define CLI_SIGNAL_SERVE_H

#include "base/err.h"
#include "signal/server.h"

struct run;
struct signal_serve;

/* at: "host:port", with ws:// or wss:// before it or not. o: all but its address; what it
 * points to is borrowed. Looks the host up, binds, and says so, once the loop runs; or ends the
 * run. SNET_EINVAL, SNET_ENOMEM. */
int signal_serve_new(struct signal_serve **out, struct run *run, const char *at,
		     const struct snet_signal_server_opts *o, struct snet_error *err);
void signal_serve_drain(struct signal_serve *s); /* ends the run when everybody has gone */
void signal_serve_stats(const struct signal_serve *s);
void signal_serve_free(struct signal_serve *s); /* NULL is fine */

#endif
