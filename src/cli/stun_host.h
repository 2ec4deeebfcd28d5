/* Stun host: the hosts snet-stun is given, to ask or to serve at. */
#ifndef CLI_STUN_HOST_H
#define CLI_STUN_HOST_H

#include "base/addr.h"
#include "cli/net.h"
#include "io/loop.h"
#include "nat/behaviour.h"

#define STUN_PORT 3478 /* RFC 8489 §18.6 */
#define STUN_NAMES SNET_BEHAVIOUR_SERVERS

/* "stun:host:port" (RFC 7064), "host:port", "host", "[2001:db8::1]:3478", "2001:db8::1", ":0";
 * port: when none is written. passive: no host, and port 0, are fine. SNET_EINVAL. */
int stun_host_parse(struct snet_url *out, const char *text, uint16_t port, bool passive,
		    struct snet_error *err);
/* The same; then addresses, at most NET_ADDRS, as net_resolve gives them. SNET_ERESOLVE. */
int stun_host(const char *text, uint16_t port, bool passive, struct snet_addr out[NET_ADDRS],
	      size_t *n, struct snet_error *err);

/* Hosts that are looked up together, without blocking, none waiting for another. */
struct stun_names {
	struct snet_loop *loop;
	unsigned n, open; /* open: neither known nor given up */
	struct stun_name {
		struct stun_names *all;
		const char *text; /* as on the command line */
		struct snet_url url;
		struct snet_resolve *resolve;
		struct snet_addr addrs[NET_ADDRS];
		size_t n_addrs; /* 0: none, which was said */
	} v[STUN_NAMES];
	struct snet_timer timer;
	void (*on_over)(void *user);
	void *user;
};

/* As stun_host, not passive; text is borrowed. n is less than STUN_NAMES. SNET_EINVAL. */
int stun_names_add(struct stun_names *s, const char *text, struct snet_error *err);
/* on_over: once, from the loop, when each is known or is given up, which is after 2 s at most.
 * A host that is given up is said: an error that is no end of the program. */
void stun_names_look_up(struct stun_names *s, struct snet_loop *l, void (*on_over)(void *user),
			void *user);
void stun_names_fini(struct stun_names *s); /* a zeroed one is fine */

#endif
