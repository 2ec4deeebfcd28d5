/* Route: by which interface the kernel would send from one of its addresses to another host; as
 * ip route get TO from FROM says, rules for sources, users and ports included. */
#ifndef SNET_IO_ROUTE_H
#define SNET_IO_ROUTE_H

#include <stddef.h>

#include "base/addr.h"

/* UDP from one to the other, ports too. SNET_OK: by the interface of that index; 0: it stays on
 * this host, or goes to many. SNET_EUNREACH: there is no way. SNET_ENOSYS: the kernel does not
 * say: it has no netlink, or a sandbox forbids it. Asks the kernel alone, and never waits. */
int snet_route_ask(const struct snet_addr *from, const struct snet_addr *to, unsigned *iface);

/* The kernel's answer of n bytes to the question numbered so; for that, and for tests. */
int snet_route_read(const void *p, size_t n, unsigned number, unsigned *iface);

#endif
