/* Net: what every program that talks to peers sets up from its options: identity, trust,
 * roster, transport, and a local endpoint per address family. */
#ifndef CLI_NET_H
#define CLI_NET_H

#include "cli/roster.h"
#include "io/resolve.h"
#include "mesh/peer.h"
#include "transport/transport.h"

#define NET_ADDRS 8 /* of one host name that are tried */

struct net {
	struct snet_loop *loop;
	const struct snet_transport *transport;
	struct snet_identity *identity;
	struct snet_trust *trust;
	struct roster *roster; /* NULL: none */
	struct snet_transport_config config;
	struct snet_peer_opts peer;
	struct snet_endpoint *listener, *dial4, *dial6;
};

/* Identity and trust as the options say; opens no socket. SNET_EKEY, SNET_ECONFIG ... After
 * a failure too: net_fini. */
int net_init(struct net *n, struct snet_loop *l, struct snet_error *err);
void net_fini(struct net *n);

/* Closed by default: says how to open when nobody could come in. SNET_ECONFIG. A key that an
 * operand pins needs no such check. */
int net_check_trust(const struct net *n, struct snet_error *err);

/* An operand: an address, or a party of the roster by name or id. *member: the
 * party, or NULL. SNET_EINVAL. */
int net_target(const struct net *n, const char *text, struct snet_url *out,
	       const struct roster_member **member, struct snet_error *err);

/* SNET_EINVAL: an address of a scheme that peers are not reached by. text: for err. A service,
 * srv://, is good for dialling alone. */
int net_check_scheme(const struct snet_url *u, const char *text, struct snet_error *err);

/* Addresses of a host, at most NET_ADDRS; -4 and -6 are heeded.
 * passive: for binding. SNET_ERESOLVE. */
int net_resolve(const struct snet_url *u, bool passive, struct snet_addr out[static NET_ADDRS],
		size_t *n, struct snet_error *err);

/* Whether the host is a numeric address, of a family that -4 or -6 leaves; then *out. */
bool net_numeric(const struct snet_url *u, struct snet_addr *out);

/* Where a host is, as far as is known. */
struct net_host {
	struct snet_addr v[NET_ADDRS];
	size_t n, at; /* at: the owner's; which of them is tried, or comes next */
};
/* One that needs no look-up: then v[0] is it. */
bool net_host_numeric(struct net_host *h, const struct snet_url *u);
/* What a look-up brought, beginning with the first; after one that failed (err) what was known
 * before is still worth a try. false: nothing is known. */
bool net_host_put(struct net_host *h, const struct snet_addr *v, size_t n,
		  const struct snet_error *err);

/* As net_resolve, not passive, without blocking, as snet_resolve_new. $SNET_DNS is heeded. */
int net_look_up(struct snet_resolve **out, struct snet_loop *l, const struct snet_url *u,
		snet_resolve_fn *done, void *user, struct snet_error *err);

/* As snet_resolve_srv, of an address srv://. */
int net_look_up_srv(struct snet_resolve **out, struct snet_loop *l, const struct snet_url *u,
		    snet_resolve_srv_fn *done, void *user, struct snet_error *err);

/* at: with a numeric host (look_up_place), or none. fd: from socket activation, or -1. */
int net_listen(struct net *n, const struct snet_url *at, int fd,
	       const struct snet_endpoint_events *ev, void *user, struct snet_error *err);
/* The endpoint to dial an address of this family from; made when first asked for. */
int net_dialler(struct net *n, int family, struct snet_endpoint **out, struct snet_error *err);

/* In place of "every address", one of this host's, of the family, that others can use; the port
 * stays. */
void net_usable(struct snet_addr *a, int family);

/* What the other side writes to reach the listener: real port, own key id; for a listener at
 * every address, one of this host's. Returns out. */
const char *net_own_url(const struct net *n, char out[static SNET_URL_TEXT]);

#endif
