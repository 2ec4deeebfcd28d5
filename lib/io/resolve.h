/* Resolve: names to addresses without blocking: the hosts file, then name servers, by c-ares; a
 * name of two labels, "x.local", by multicast DNS instead, RFC 6762 §3, §5.1. (Longer ones, as
 * "x.svc.cluster.local", are DNS names in practice.) A server that is silent delays nobody
 * else. */
#ifndef SNET_IO_RESOLVE_H
#define SNET_IO_RESOLVE_H

#include "base/addr.h"
#include "base/clock.h"
#include "io/dnsmsg.h"

struct snet_loop;
struct snet_resolve; /* one question */

#define SNET_RESOLVE_MAX 8 /* addresses of one name that are told */

struct snet_resolve_opts {
	const char *host;  /* a name, or a numeric address, "fe80::1%eth0" too; copied */
	uint16_t port;     /* put into the addresses; of no use to snet_resolve_srv */
	int family;        /* AF_INET, AF_INET6, AF_UNSPEC: both; as port */
	snet_time timeout; /* 0: 5 s */
	const char
		*servers; /* "address:port,..."; NULL: of $SNET_DNS, or resolv.conf; copied */
};

/* Once, from the loop, never from within snet_resolve_new; the question is freed after it
 * returns, and not by it. err NULL: n addresses, at least one, no two alike, in the order to
 * try them (RFC 6724), of both families where there are; else SNET_ERESOLVE, SNET_ETIMEOUT, or
 * SNET_ENOMEM, SNET_EIO, in words that name the host. */
typedef void snet_resolve_fn(const struct snet_addr *v, size_t n, const struct snet_error *err,
			     void *user);

/* SNET_EINVAL: no host, or what can be none; SNET_ENOMEM. */
int snet_resolve_new(struct snet_resolve **out, struct snet_loop *l,
		     const struct snet_resolve_opts *o, snet_resolve_fn *done, void *user,
		     struct snet_error *err);
void snet_resolve_free(struct snet_resolve *r); /* forgets the question; NULL is fine */

/* The same for a service, "_snet._udp.example.org", RFC 2782: its targets, at most
 * SNET_DNS_TARGETS, whose names are still to be resolved. In order of priority, then weight,
 * the greater first, then name: the same for everybody, as all of them are wanted and none is
 * drawn. A service that is said not to exist (target ".") is SNET_ERESOLVE. */
typedef void snet_resolve_srv_fn(const struct snet_dns_target *v, size_t n,
				 const struct snet_error *err, void *user);
int snet_resolve_srv(struct snet_resolve **out, struct snet_loop *l,
		     const struct snet_resolve_opts *o, snet_resolve_srv_fn *done, void *user,
		     struct snet_error *err);

#endif
