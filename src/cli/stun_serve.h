/* Stun serve: nat/stund on sockets, for snet-stun --serve. */
#ifndef CLI_STUN_SERVE_H
#define CLI_STUN_SERVE_H

#include <stddef.h>

#include "base/err.h"

struct run;
struct stun_serve;

/* texts: one address of a family, or two (RFC 5780), of one family or both; borrowed. Binds
 * when their names are known, from the loop, says so, and is ready; or ends the run:
 * SNET_EINVAL, SNET_ERESOLVE, SNET_EBIND ... Returns what can be told at once: SNET_EINVAL,
 * SNET_ENOMEM. */
int stun_serve_new(struct stun_serve **out, struct run *run, const char *const *texts, size_t n,
		   struct snet_error *err);
void stun_serve_stats(const struct stun_serve *s); /* an event */
void stun_serve_free(struct stun_serve *s);        /* NULL is fine */

#endif
