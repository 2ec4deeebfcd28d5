/* Connect impl: what connect and connect_path share. */
#ifndef SNET_MESH_CONNECT_IMPL_H
#define SNET_MESH_CONNECT_IMPL_H

#include "io/loop.h"
#include "io/udp.h"
#include "mesh/connect.h"

struct snet_connect {
	struct snet_loop *loop;
	const struct snet_connect_events *ev;
	void *user;
	struct snet_transport_config config;
	struct snet_ice *ice;
	bool over, gathered, heard; /* heard: the peer's credentials */
	bool moved; /* this host's addresses have changed: restart in any case */
	char remote_ufrag[257];
	/* Of the credentials; remote: the last that were used, 0: none yet. */
	uint32_t generation, remote_generation;
	bool calls; /* whose turn it is when both start anew: connect.c */
	unsigned restarts;
	uint64_t signs; /* of the peer, when its port was said to be closed */
	struct snet_timer restart, closed; /* closed: the peer's port is said to be */
	struct snet_netwatch *netwatch;    /* NULL: the system does not tell */
	struct snet_candidate said[SNET_LOCALS_MAX];
	size_t n_said;
	/* QUIC, from the first pair on: udp is the endpoint's, path its constant one. */
	struct snet_endpoint *endpoint;
	struct snet_udp *udp;
	struct snet_path path;
};

int connect_path_open(struct snet_connect *c, const struct snet_agent_event *pair,
		      struct snet_error *err);
void connect_path_close(struct snet_connect *c);

#endif
