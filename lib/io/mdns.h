/* Mdns: the addresses of a name on the link, by one-shot multicast queries, RFC 6762 §5.1. The
 * answer is wanted by unicast, to a port of our own; one that comes by multicast is heard too,
 * where the port 5353 can be shared. Private to io/resolve. */
#ifndef SNET_IO_MDNS_H
#define SNET_IO_MDNS_H

#include "base/addr.h"

struct snet_loop;
struct snet_mdns; /* one question, asked until it is freed: at once, after 1 s, 2 s more, 4 s */

/* One address, each time that one is heard. From the loop; may not free. Port 0; a link-local
 * one has the scope it was heard on. */
typedef void snet_mdns_fn(const struct snet_addr *a, void *user);

/* AF_INET, AF_INET6, AF_UNSPEC: both. Asked for on every interface of this host that has
 * multicast, and on its loopback. SNET_EINVAL: no name; SNET_ENOMEM; SNET_EIO: no socket, no
 * interface. */
int snet_mdns_new(struct snet_mdns **out, struct snet_loop *l, const char *name, int family,
		  snet_mdns_fn *fn, void *user, struct snet_error *err);
void snet_mdns_free(struct snet_mdns *m); /* NULL is fine */

#endif
