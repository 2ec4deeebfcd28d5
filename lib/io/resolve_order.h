/* Resolve_order: which address to try first, RFC 6724 §6. Private to io/resolve. */
#ifndef SNET_IO_RESOLVE_ORDER_H
#define SNET_IO_RESOLVE_ORDER_H

#include <stddef.h>

#include "base/addr.h"

struct snet_resolve_way {
	struct snet_addr to;
	struct snet_addr from; /* what this host would send from; AF_UNSPEC: there is no way */
};

/* Stable. Rules 3, 4 and 7 ask for what is not known here: deprecated sources, home addresses,
 * tunnels. Rule 9 is for IPv6 alone: in IPv4 it would undo what name servers rotate. Pure. */
void snet_resolve_sort(struct snet_resolve_way *v, size_t n);

/* The same, from what this host's routes say; nothing is sent. */
#define SNET_RESOLVE_ORDER_MAX 16
void snet_resolve_order(struct snet_addr *v, size_t n);

#endif
