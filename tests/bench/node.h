/* Node: one process of a load program: a loop, an identity and a QUIC endpoint on 127.0.0.1
 * that trusts everyone, with the library's defaults in everything else, because it is those
 * that are measured. Dies on failure. */
#ifndef SNET_BENCH_NODE_H
#define SNET_BENCH_NODE_H

#include "crypto/allow.h"
#include "crypto/identity.h"
#include "io/loop.h"
#include "transport/transport.h"

struct node {
	struct snet_loop *loop;
	struct snet_identity *identity;
	struct snet_trust *trust;
	struct snet_transport_config config;
	const struct snet_transport *quic;
	struct snet_endpoint *endpoint;
};

/* At a free port. ev, user: of the endpoint; ev->on_accept NULL: dials only. Borrowed while the
 * node is open; n must not move. */
void node_open(struct node *n, const struct snet_endpoint_events *ev, void *user);
void node_close(struct node *n);

/* A process on processor 1 that opens a node and runs its loop until it is stopped with
 * bench_stop. Fills *at with its address once it can be dialled. */
pid_t node_fork(const struct snet_endpoint_events *ev, struct snet_addr *at);

#endif
