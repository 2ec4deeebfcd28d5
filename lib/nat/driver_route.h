/* Driver route: what driver_route.c keeps of one agent, and does for the rest of the driver: no
 * check is sent that would leave the wrong way. Nobody else includes this. */
#ifndef SNET_NAT_DRIVER_ROUTE_H
#define SNET_NAT_DRIVER_ROUTE_H

#include "base/addr.h"
#include "base/clock.h"

#define ROUTES_KNOWN 64

struct snet_ice;
struct sock;

struct routes {
	uint32_t asked; /* up to this pair */
	struct {
		uint32_t handle; /* 0: empty */
		bool leads;
		struct snet_addr to;
		snet_time until;
	} known[ROUTES_KNOWN];
	size_t next; /* to be overwritten */
};

/* False: what is sent from this address to that one leaves by another interface, from an
 * address of which we try the same; or there is no way at all. In doubt, true. */
bool ice_leads(struct sock *s, const struct snet_addr *to);
/* The agent is told of new pairs that lead nowhere, before their turn comes. */
void ice_ask_ways(struct snet_ice *ice);

#endif
