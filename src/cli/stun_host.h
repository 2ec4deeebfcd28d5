/* Stun host: the hosts snet-stun is given, to ask or to serve at. */
#ifndef CLI_STUN_HOST_H
#define CLI_STUN_HOST_H

#include "base/addr.h"
#include "cli/net.h"

#define STUN_PORT 3478 /* RFC 8489 §18.6 */

/* "stun:host:port" (RFC 7064), "host:port", "host", "[2001:db8::1]:3478", "2001:db8::1", ":0";
 * port: when none is written. SNET_EINVAL; then addresses, at most NET_ADDRS, as net_resolve
 * gives them. SNET_ERESOLVE. */
int stun_host(const char *text, uint16_t port, bool passive, struct snet_addr out[NET_ADDRS],
	      size_t *n, struct snet_error *err);

#endif
