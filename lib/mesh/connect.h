/* Connect: QUIC on the pair that ICE has selected. Where nat and transport meet: an agent with
 * its sockets, and an endpoint whose datagrams go by whichever pair is selected by now, which
 * sees one path that never changes. How the two sides hear of each other's candidates is the
 * owner's business (meet.h: in a room). */
#ifndef SNET_MESH_CONNECT_H
#define SNET_MESH_CONNECT_H

#include "nat/driver.h"
#include "signal/offer.h"
#include "transport/transport.h"

struct snet_connect;

struct snet_connect_opts {
	struct snet_ice_opts ice; /* copied; controlling: the side that calls */
	const struct snet_transport_config *config; /* of the endpoint: copied as bind does */
	/* What is said is carried by people, or as one list: nothing is agreed upon by it that
	 * would have to be heard at once (SNET_OFFER_PUNCH). */
	bool slow;
};

/* From the loop, and say also from within snet_connect_new and _hear; none may free. */
struct snet_connect_events {
	/* To the peer: credentials, candidates, and that there are no more; then, where NATs
	 * make it worth it and opts.slow is not set, when to punch. from, to and call are not
	 * filled. */
	void (*say)(const struct snet_offer *o, void *user);
	/* Once: a pair is selected. e is where the peer may be dialled, at to, or waited for.
	 */
	void (*on_path)(struct snet_endpoint *e, const struct snet_addr *to, void *user);
	/* As of an endpoint. */
	void (*on_accept)(struct snet_conn *c, void *user);
	void (*on_refused)(const struct snet_addr *from, int code, const char *why, void *user);
	/* The last connection on it is gone. NULL allowed, as are those that follow. */
	void (*on_idle)(void *user);
	/* Once, and last: there is no path, or none any more. The connections are still there,
	 * and lost when the owner frees, which is for later. */
	void (*on_over)(const struct snet_error *err, void *user);
	void (*on_event)(const struct snet_agent_event *ev, void *user);
	void (*on_trouble)(const struct snet_error *err, void *user);
	void (*on_busy)(void *user); /* the first connection on it begins */
};

/* Errors as snet_ice_new. */
int snet_connect_new(struct snet_connect **out, struct snet_loop *l,
		     const struct snet_connect_opts *o, const struct snet_connect_events *ev,
		     void *user, struct snet_error *err);
/* Closes what is open on it: as unbind. NULL is fine. */
void snet_connect_free(struct snet_connect *c);

/* What the peer has said. Other credentials than before: it has started anew, and so do we.
 * SNET_EPROTO: it makes no sense; SNET_ENOSYS, SNET_EAGAIN, SNET_EPOLICY, SNET_ETOOBIG: a
 * candidate that is not looked at, or a word about a punch that is of no use. All cost nothing
 * else. */
int snet_connect_hear(struct snet_connect *c, const struct snet_offer *o,
		      struct snet_error *err);
/* Says again what has been said: the peer may have come later. */
void snet_connect_repeat(struct snet_connect *c);
/* Gathers and checks again, under new credentials; what is selected stays in use meanwhile. It
 * is done by itself when this host's addresses change, and when the pair is lost. SNET_EPOLICY:
 * too often without a pair. */
int snet_connect_restart(struct snet_connect *c, struct snet_error *err);
bool snet_connect_has_heard(const struct snet_connect *c); /* credentials */

const struct snet_ice *snet_connect_ice(const struct snet_connect *c);

#endif
