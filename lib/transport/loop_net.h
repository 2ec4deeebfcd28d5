/* Loop: what lies between the endpoints of the in-process transport, for the simulator of whole
 * meshes (tests/sim). Without a net everything crosses at once and no connection dies by
 * itself. */
#ifndef SNET_TRANSPORT_LOOP_NET_H
#define SNET_TRANSPORT_LOOP_NET_H

#include "transport/transport.h"

/* With one: a connection that is cut off for dead_after of its endpoint is lost to that side;
 * a dial, for handshake_timeout. */
struct snet_loop_net {
	/* When may what c has not heard yet reach it? Now or earlier: it does; later: asked
	 * again then; SNET_NEVER: it is cut off, asked again after snet_loop_net_changed. */
	snet_time (*reaches)(const struct snet_conn *c, snet_time now, void *user);
	void *user;
};

/* Of the thread. Borrowed; NULL: none again. */
void snet_loop_net_set(const struct snet_loop_net *net);
/* Whoever is cut off, or is now, shall ask again. */
void snet_loop_net_changed(void);
/* Cuts off both ends of a connection of this transport for good; neither is told. */
void snet_loop_net_sever(struct snet_conn *c);

#endif
