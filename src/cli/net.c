#include "cli/net.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/say.h"
#include "crypto/allow.h"
#include "crypto/identity.h"

#define TRANSPORT_IDLE (300 * SNET_SEC) /* silence of the wire itself, keep-alives too */
#define HANDSHAKE (10 * SNET_SEC)
#define DEAD_AFTER 3 /* keep-alives that went unheard */

static int load_identity(struct net *n, struct snet_error *err)
{
	if (cli.key)
		return snet_identity_load(&n->identity, cli.key, err);
	return snet_identity_new(&n->identity, SNET_KEY_P256, NULL, err);
}

static int load_trust(struct net *n, struct snet_error *err)
{
	int rc = snet_trust_new(&n->trust, err);

	if (!rc && cli.roster)
		rc = roster_load(&n->roster, cli.roster, err);
	if (!rc && n->roster)
		rc = roster_allow(n->roster, n->trust, err);
	for (size_t i = 0; !rc && i < cli.allow.n; i++)
		rc = snet_trust_add_text(n->trust, cli.allow.v[i], err);
	if (!rc && cli.ca)
		rc = snet_trust_set_ca(n->trust, cli.ca, err);
	if (!rc && cli.insecure) {
		snet_trust_set_insecure(n->trust);
		say_note("--insecure: any key is accepted; whoever can reach this port can be "
			 "anybody");
	}
	return rc;
}

/* --id is a promise: the key must be that party's. */
static int check_id(const struct net *n, struct snet_error *err)
{
	const struct roster_member *m;

	if (!n->roster || cli.id == OPT_NONE)
		return SNET_OK;
	m = roster_party(n->roster, (uint32_t)cli.id);
	if (!m)
		return snet_fail(err, SNET_ECONFIG, "%s: no party %u", cli.roster,
				 (unsigned)cli.id);
	if (cli.key && memcmp(m->key, snet_identity_keyid(n->identity), SNET_KEYID_BYTES))
		return snet_fail(err, SNET_ECONFIG, "%s is not the key of party %u in %s",
				 cli.key, (unsigned)cli.id, cli.roster);
	return SNET_OK;
}

static snet_time least(snet_time a, snet_time b)
{
	return a < b ? a : b;
}

static void fill_config(struct net *n)
{
	n->config = (struct snet_transport_config){
		.identity = n->identity,
		.trust = n->trust,
		.role = (enum snet_role)cli.role,
		.crate_only =
			cli.profile == PROFILE_STOFFELNET_0_1 ||
			(n->roster && n->roster->profile == ROSTER_PROFILE_STOFFELNET_0_1),
		.handshake_timeout = least(HANDSHAKE, cli.timeout),
		.idle_timeout = TRANSPORT_IDLE,
		.keep_alive = cli.keep_alive,
		.dead_after =
			cli.keep_alive == SNET_NEVER ? SNET_NEVER : DEAD_AFTER * cli.keep_alive,
		.queue = cli.queue,
		.mtu = (uint32_t)cli.mtu,
		.cc = (enum snet_cc)cli.cc,
		.qlog_dir = getenv("QLOGDIR"),
	};
	n->peer = (struct snet_peer_opts){
		.max_message = (uint32_t)cli.max_message,
		.parts = cli.format == FORMAT_RAW,
		.id = cli.id != OPT_NONE ? cli.id : snet_identity_derived(n->identity),
		.role = (enum snet_role)cli.role,
		.hello_timeout = least(HANDSHAKE, cli.timeout),
		.stall_timeout = cli.timeout,
	};
}

static void warn_of_secrets(void)
{
	if (getenv("SSLKEYLOGFILE"))
		say_note(
			"SSLKEYLOGFILE is set: whoever reads that file can decrypt everything");
}

int net_init(struct net *n, struct snet_loop *l, struct snet_error *err)
{
	int rc;

	*n = (struct net){ .loop = l, .transport = &snet_transport_quic };
	rc = load_identity(n, err);
	if (!rc)
		rc = load_trust(n, err);
	if (!rc)
		rc = check_id(n, err);
	if (rc)
		return rc;
	fill_config(n);
	warn_of_secrets();
	return SNET_OK;
}

void net_fini(struct net *n)
{
	if (n->transport) {
		n->transport->unbind(n->listener);
		n->transport->unbind(n->dial4);
		n->transport->unbind(n->dial6);
	}
	roster_free(n->roster);
	snet_trust_free(n->trust);
	snet_identity_free(n->identity);
	*n = (struct net){ 0 };
}

int net_check_trust(const struct net *n, struct snet_error *err)
{
	if (!snet_trust_is_empty(n->trust))
		return SNET_OK;
	return snet_fail(err, SNET_ECONFIG,
			 "nobody could come in: give --allow KEYID, --roster FILE, --ca FILE, "
			 "or for a test --insecure");
}

/* ---- addresses */

static int target_of_roster(const struct roster_member *m, struct snet_url *out,
			    struct snet_error *err)
{
	if (!m->has_address)
		return snet_fail(err, SNET_EINVAL, "%s is a client: it has no address",
				 m->name);
	*out = m->address;
	out->has_key = true;
	memcpy(out->key, m->key, sizeof(out->key));
	return SNET_OK;
}

int net_check_scheme(const struct snet_url *u, const char *text, struct snet_error *err)
{
	static const char *const known[] = { "quic", "ice+ws", "ice+wss", "srv" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(u->scheme, known[i]))
			return SNET_OK;
	return snet_fail(
		err, SNET_EINVAL,
		"%s: scheme '%s' is not known; quic://, ice+ws://, ice+wss:// and srv:// are",
		text, u->scheme);
}

int net_target(const struct net *n, const char *text, struct snet_url *out,
	       const struct roster_member **member, struct snet_error *err)
{
	char *end = NULL;
	unsigned long id = strtoul(text, &end, 10);
	int rc;

	*member = n->roster ? roster_named(n->roster, text) : NULL;
	if (n->roster && !*member && *text && !*end && id <= ROSTER_ID_MAX)
		*member = roster_party(n->roster, (uint32_t)id);
	if (*member)
		return target_of_roster(*member, out, err);
	if (n->roster && !strpbrk(text, ":/"))
		return snet_fail(err, SNET_EINVAL, "%s: no such party in %s", text, cli.roster);
	rc = snet_url_parse(out, text, err);
	if (rc)
		return rc;
	rc = net_check_scheme(out, text, err);
	if (rc)
		return rc;
	if (n->roster && out->has_key)
		*member = roster_holder(n->roster, out->key);
	return SNET_OK;
}

/* flags: getaddrinfo's; returns as it does. */
static int find(const struct snet_url *u, int flags, struct snet_addr out[static NET_ADDRS],
		size_t *n)
{
	struct addrinfo hints = { .ai_family = cli.only_ipv4   ? AF_INET
					       : cli.only_ipv6 ? AF_INET6
							       : AF_UNSPEC,
				  .ai_socktype = SOCK_DGRAM,
				  .ai_flags = AI_NUMERICSERV | flags },
			*list = NULL;
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", u->port);
	*n = 0;
	rc = getaddrinfo(u->host[0] ? u->host : NULL, port, &hints, &list);
	if (rc)
		return rc;
	for (struct addrinfo *a = list; a && *n < NET_ADDRS; a = a->ai_next) {
		if (a->ai_addrlen > sizeof(*out))
			continue;
		memset(&out[*n], 0, sizeof(*out));
		memcpy(&out[(*n)++], a->ai_addr, a->ai_addrlen);
	}
	freeaddrinfo(list);
	return 0;
}

int net_resolve(const struct snet_url *u, bool passive, struct snet_addr out[static NET_ADDRS],
		size_t *n, struct snet_error *err)
{
	int rc = find(u, passive ? AI_PASSIVE : 0, out, n);

	if (rc)
		return snet_fail(err, SNET_ERESOLVE, "%s: %s", u->host, gai_strerror(rc));
	return *n ? SNET_OK : snet_fail(err, SNET_ERESOLVE, "%s: no address", u->host);
}

bool net_numeric(const struct snet_url *u, struct snet_addr *out)
{
	struct snet_addr found[NET_ADDRS];
	size_t n;

	if (find(u, AI_NUMERICHOST, found, &n) || !n)
		return false;
	*out = found[0];
	return true;
}

bool net_host_numeric(struct net_host *h, const struct snet_url *u)
{
	struct snet_addr a;

	if (!net_numeric(u, &a))
		return false;
	return net_host_put(h, &a, 1, NULL);
}

bool net_host_put(struct net_host *h, const struct snet_addr *v, size_t n,
		  const struct snet_error *err)
{
	h->at = 0;
	if (!err) {
		h->n = n < NET_ADDRS ? n : NET_ADDRS;
		memcpy(h->v, v, h->n * sizeof(*v));
	}
	return h->n > 0;
}

int net_look_up(struct snet_resolve **out, struct snet_loop *l, const struct snet_url *u,
		snet_resolve_fn *done, void *user, struct snet_error *err)
{
	const struct snet_resolve_opts o = { .host = u->host,
					     .port = u->port,
					     .family = cli.only_ipv4   ? AF_INET
						       : cli.only_ipv6 ? AF_INET6
								       : AF_UNSPEC };

	return snet_resolve_new(out, l, &o, done, user, err);
}

int net_look_up_srv(struct snet_resolve **out, struct snet_loop *l, const struct snet_url *u,
		    snet_resolve_srv_fn *done, void *user, struct snet_error *err)
{
	const struct snet_resolve_opts o = { .host = u->host };

	return snet_resolve_srv(out, l, &o, done, user, err);
}

/* Every address: one IPv6 socket takes IPv4 too, where the kernel has IPv6. */
static int listen_anywhere(struct net *n, uint16_t port, const struct snet_endpoint_events *ev,
			   void *user, struct snet_error *err)
{
	struct snet_addr at = { .in6 = { .sin6_family = AF_INET6 } };

	snet_addr_set_port(&at, port);
	if (!cli.only_ipv4 &&
	    !n->transport->bind(&n->listener, n->loop, &at, -1, &n->config, ev, user, err))
		return SNET_OK;
	if (cli.only_ipv6)
		return err ? err->code : SNET_EBIND;
	at = (struct snet_addr){ .in = { .sin_family = AF_INET } };
	snet_addr_set_port(&at, port);
	return n->transport->bind(&n->listener, n->loop, &at, -1, &n->config, ev, user, err);
}

int net_listen(struct net *n, const struct snet_url *at, int fd,
	       const struct snet_endpoint_events *ev, void *user, struct snet_error *err)
{
	struct snet_addr addr;

	if (at && !strcmp(at->scheme, "srv"))
		return snet_fail(err, SNET_EINVAL, "srv://%s: a service can only be dialled",
				 at->host);
	if (fd >= 0)
		return n->transport->bind(&n->listener, n->loop, NULL, fd, &n->config, ev, user,
					  err);
	if (!at->host[0])
		return listen_anywhere(n, at->port, ev, user, err);
	if (!net_numeric(at, &addr))
		return snet_fail(err, SNET_ERESOLVE, "%s: no address to listen at", at->host);
	return n->transport->bind(&n->listener, n->loop, &addr, -1, &n->config, ev, user, err);
}

int net_dialler(struct net *n, int family, struct snet_endpoint **out, struct snet_error *err)
{
	struct snet_endpoint **e = family == AF_INET6 ? &n->dial6 : &n->dial4;
	struct snet_addr any = { 0 };
	int rc = SNET_OK;

	any.sa.sa_family = (sa_family_t)family;
	if (!*e)
		rc = n->transport->bind(e, n->loop, &any, -1, &n->config, NULL, NULL, err);
	*out = *e;
	return rc;
}

void net_usable(struct snet_addr *a, int family)
{
	struct ifaddrs *list = NULL;
	uint16_t port = snet_addr_port(a);
	bool found = false;

	if (getifaddrs(&list))
		list = NULL;
	for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		const struct sockaddr_in6 *six = (const void *)i->ifa_addr;

		if (!six || six->sin6_family != family || !(i->ifa_flags & IFF_UP) ||
		    i->ifa_flags & IFF_LOOPBACK ||
		    (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr)))
			continue;
		memcpy(a, six, family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in));
		found = true;
	}
	if (list)
		freeifaddrs(list);
	if (!found && a->sa.sa_family == AF_INET6)
		a->in6.sin6_addr = in6addr_loopback;
	else if (!found)
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	snet_addr_set_port(a, port);
}

const char *net_own_url(const struct net *n, char out[static SNET_URL_TEXT])
{
	char text[SNET_ADDR_TEXT], key[SNET_KEYID_TEXT];
	struct snet_addr a;

	n->transport->address(n->listener, &a);
	if (snet_addr_is_any(&a))
		net_usable(&a, cli.only_ipv6 ? AF_INET6 : AF_INET);
	snprintf(out, SNET_URL_TEXT, "quic://%s#%s", snet_addr_print(&a, text),
		 snet_keyid_print(snet_identity_keyid(n->identity), key));
	return out;
}
