/* Probe: nat/behaviour on sockets: binds the machines to io. The socket that all is about is
 * opened once and kept, so that one may look again later. */
#ifndef SNET_NAT_PROBE_H
#define SNET_NAT_PROBE_H

#include "nat/behaviour.h"

struct snet_loop;
struct snet_probe;

struct snet_probe_events {
	/* Of the first question to server i; once each. */
	void (*on_answer)(unsigned i, const struct snet_stun_answer *a, void *user);
	/* What is known no longer depends on who is still silent; again when it does change,
	 * and with the lifetime at the end. */
	void (*on_verdict)(const struct snet_nat *v, void *user);
	/* All servers have answered or been given up; on_verdict was called before. May free
	 * the probe, or look again. */
	void (*on_over)(void *user);
};

/* at: where to bind. SNET_EBIND, SNET_EIO, SNET_ENOMEM. ev is borrowed. */
int snet_probe_new(struct snet_probe **out, struct snet_loop *l, const struct snet_addr *at,
		   const struct snet_probe_events *ev, void *user, struct snet_error *err);
void snet_probe_free(struct snet_probe *p); /* NULL is fine */

/* Looks, from the beginning; what was under way is forgotten. Servers are of the family of at.
 * SNET_EIO: no random numbers; SNET_EBIND ... : sockets for the lifetime. */
int snet_probe_start(struct snet_probe *p, const struct snet_behaviour_opts *o,
		     const struct snet_addr *servers, unsigned n, struct snet_error *err);
void snet_probe_address(const struct snet_probe *p, struct snet_addr *out);
/* The questions and answers so far: the evidence. */
const struct snet_behaviour *snet_probe_behaviour(const struct snet_probe *p);

#endif
