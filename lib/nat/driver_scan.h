/* Driver, inside: which addresses of this host are to be used. */
#ifndef SNET_NAT_DRIVER_SCAN_H
#define SNET_NAT_DRIVER_SCAN_H

#include <net/if.h>

#include "nat/driver.h"

#define FOUND_MAX 256 /* addresses of this host that are looked at */

struct found {
	struct snet_addr at; /* the port is the one to be bound */
	char iface[IF_NAMESIZE];
	enum snet_iface_class class;
	unsigned order;
	bool single; /* its network is itself alone */
	uint16_t preference;
};

struct scan { /* the best first */
	struct found v[FOUND_MAX];
	size_t n;
};

/* SNET_EIO; SNET_EUNREACH: there are none. */
int ice_scan(const struct snet_ice_opts *o, struct scan *s, struct snet_error *err);
bool ice_is_link_local(const struct snet_addr *a);
bool ice_same_ip(const struct snet_addr *a, const struct snet_addr *b); /* ports aside */

#endif
