/* Private to mesh/peer*.c: what a peer is made of. */
#ifndef SNET_MESH_PEER_IMPL_H
#define SNET_MESH_PEER_IMPL_H

#include "io/loop.h"
#include "mesh/peer.h"
#include "mesh/stall.h"
#include "transport/framed.h"

struct snet_peer {
	struct snet_framed framed; /* first: its callbacks find the peer by it */
	const struct snet_peer_events *ev;
	void *user;
	struct snet_loop *loop;
	struct snet_conn *conn;
	struct snet_conn seen; /* a copy for after the connection is gone */
	struct snet_timer timer;
	struct snet_peer_opts opts;
	uint64_t id;
	enum snet_role role;
	uint64_t seq[SNET_STREAMS];
	struct snet_stall stall;
	bool up, sync_due, finished, closed, close_by_peer, in_closing;
	bool said_early; /* the hello, before the peer had accepted us */
	int close_code;
	char *close_why;
	size_t undelivered, unacked;
	uint64_t received, sent; /* bytes */
};

static inline bool snet_peer_is_snet1(const struct snet_peer *p)
{
	return p->seen.profile == SNET_PROFILE_SNET1;
}

/* Our hello has been said: records may follow it; before the peer's only of an owner who knows
 * that he speaks to nobody but a key. */
static inline bool snet_peer_may_send(const struct snet_peer *p)
{
	return p->conn && (p->up || (p->said_early && p->ev->on_early)) && !p->finished &&
	       !p->in_closing;
}

/* Something is under way: it must move within stall_timeout. */
void snet_peer_watch(struct snet_peer *p);

#endif
