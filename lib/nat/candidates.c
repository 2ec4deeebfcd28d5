#include "nat/candidates.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"

#define VIRTUAL_LESS 0x4000 /* of local preference, per step of usefulness */
#define ORDERS 4096

uint32_t snet_candidate_priority(enum snet_candidate_type type, uint16_t local_preference,
				 uint32_t component)
{
	static const uint8_t preference[] = {
		[SNET_CANDIDATE_HOST] = SNET_PREFERENCE_HOST,
		[SNET_CANDIDATE_SRFLX] = SNET_PREFERENCE_SRFLX,
		[SNET_CANDIDATE_PRFLX] = SNET_PREFERENCE_PRFLX,
		[SNET_CANDIDATE_RELAY] = SNET_PREFERENCE_RELAY,
	};
	uint32_t last = component < 256 ? component : 256;

	return (uint32_t)preference[type] << 24 | (uint32_t)local_preference << 8 |
	       (256 - last);
}

/* ---- interfaces */

/* Wider classes after narrower ones: the first match counts. */
/* clang-format off */
static const struct {
	const char *prefix;
	enum snet_iface_class is;
} prefixes[] = {
	{ "lo"       , SNET_IFACE_LOOPBACK  }, /* whole, or a number follows */
	{ "docker"   , SNET_IFACE_DOCKER    }, { "br-"    , SNET_IFACE_DOCKER    },
	{ "podman"   , SNET_IFACE_DOCKER    }, { "cni"    , SNET_IFACE_DOCKER    },
	{ "virbr"    , SNET_IFACE_LIBVIRT   }, { "vnet"   , SNET_IFACE_LIBVIRT   },
	{ "veth"     , SNET_IFACE_CONTAINER }, { "lxc"    , SNET_IFACE_CONTAINER },
	{ "lxdbr"    , SNET_IFACE_CONTAINER }, { "cali"   , SNET_IFACE_CONTAINER },
	{ "flannel"  , SNET_IFACE_CONTAINER },
	{ "tailscale", SNET_IFACE_TAILSCALE },
	{ "tun"      , SNET_IFACE_VPN       }, { "tap"    , SNET_IFACE_VPN       },
	{ "wg"       , SNET_IFACE_VPN       }, { "ppp"    , SNET_IFACE_VPN       },
	{ "ipsec"    , SNET_IFACE_VPN       }, { "utun"   , SNET_IFACE_VPN       },
	{ "zt"       , SNET_IFACE_VPN       },
};

static const char *const class_names[] = {
	[SNET_IFACE_PLAIN] = "plain", [SNET_IFACE_LOOPBACK] = "loopback",
	[SNET_IFACE_DOCKER] = "docker", [SNET_IFACE_LIBVIRT] = "libvirt",
	[SNET_IFACE_CONTAINER] = "container", [SNET_IFACE_VPN] = "vpn",
	[SNET_IFACE_TAILSCALE] = "tailscale",
};
/* clang-format on */

enum snet_iface_class snet_iface_classify(const char *name)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t n = strlen(prefixes[i].prefix);

		if (strncmp(name, prefixes[i].prefix, n) != 0)
			continue;
		if (prefixes[i].is == SNET_IFACE_LOOPBACK &&
		    name[n + strspn(name + n, "0123456789")])
			continue;
		return prefixes[i].is;
	}
	return SNET_IFACE_PLAIN;
}

const char *snet_iface_class_name(enum snet_iface_class c)
{
	return c < SNET_IFACE_CLASSES ? class_names[c] : "?";
}

uint16_t snet_local_preference(enum snet_iface_class c, unsigned order, int family)
{
	unsigned steps = c == SNET_IFACE_PLAIN                              ? 0
			 : c == SNET_IFACE_VPN || c == SNET_IFACE_TAILSCALE ? 1
									    : 2;

	if (order >= ORDERS)
		order = ORDERS - 1;
	return (uint16_t)(UINT16_MAX - steps * VIRTUAL_LESS - 2 * order - (family == AF_INET6));
}

static bool matches(const char *const *patterns, size_t n, const char *name)
{
	const char *its = snet_iface_class_name(snet_iface_classify(name));

	for (size_t i = 0; i < n; i++)
		if (!strcmp(patterns[i], its) || !fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

bool snet_filter_has_iface(const struct snet_candidate_filter *f, const char *name)
{
	if (f->only_n && !matches(f->only, f->only_n, name))
		return false;
	return !(f->without_classes & 1u << snet_iface_classify(name)) &&
	       !matches(f->without, f->without_n, name);
}

bool snet_filter_has_type(const struct snet_candidate_filter *f, enum snet_candidate_type t)
{
	return !(f->without_types & 1u << t);
}

bool snet_filter_has_family(const struct snet_candidate_filter *f, int family)
{
	return family == AF_INET6 ? !f->without_v6 : family == AF_INET && !f->without_v4;
}

/* ---- one's own */

/* Family and bytes of the address, without port and scope; returns how many bytes. */
static size_t put_ip(uint8_t out[static 17], const struct snet_addr *a)
{
	out[0] = (uint8_t)a->sa.sa_family;
	if (a->sa.sa_family == AF_INET) {
		memcpy(out + 1, &a->in.sin_addr, 4);
		return 5;
	}
	if (a->sa.sa_family == AF_INET6) {
		memcpy(out + 1, &a->in6.sin6_addr, 16);
		return 17;
	}
	return 1;
}

void snet_candidate_found(struct snet_candidate *c, const struct snet_addr *base,
			  const char *via)
{
	uint8_t of[1 + 17 + 17 + 4] = { (uint8_t)c->type };
	size_t n = 1;

	n += put_ip(of + n, base);
	n += put_ip(of + n, &c->server);
	for (int i = 0; via && via[i] && i < 4; i++)
		of[n++] = (uint8_t)via[i];
	/* The key is no secret: whoever sees a foundation sees the addresses beside it. */
	snprintf(c->foundation, sizeof(c->foundation), "%llx",
		 (unsigned long long)snet_siphash(0, 0, of, n));
}

bool snet_local_is_redundant(const struct snet_local *a, const struct snet_local *b)
{
	return a->handle == b->handle && snet_addr_eq(&a->c.address, &b->c.address) &&
	       snet_addr_eq(&a->base, &b->base) && a->c.component == b->c.component;
}

size_t snet_locals_prune(struct snet_local *v, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool loses = false;

		/* What lost before has lost to one that is kept, or comes later. */
		for (size_t k = 0; k < kept && !loses; k++)
			loses = snet_local_is_redundant(&v[i], &v[k]) &&
				v[k].c.priority >= v[i].c.priority;
		for (size_t k = i + 1; k < n && !loses; k++)
			loses = snet_local_is_redundant(&v[i], &v[k]) &&
				v[k].c.priority > v[i].c.priority;
		if (!loses)
			v[kept++] = v[i];
	}
	return kept;
}

/* ---- the peer's */

bool snet_addr_is_loopback(const struct snet_addr *a)
{
	if (a->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	return a->sa.sa_family == AF_INET && ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
}

static const char *refusal_v4(uint32_t ip)
{
	if (ip >> 24 == 0)
		return "unspecified";
	if (ip >> 28 == 0xe)
		return "multicast";
	if (ip >> 28 == 0xf)
		return "broadcast or reserved";
	return ip >> 16 == 0xa9fe ? "link-local" : NULL; /* 169.254: also clouds' metadata */
}

static const char *refusal_v6(const struct in6_addr *ip)
{
	if (IN6_IS_ADDR_UNSPECIFIED(ip))
		return "unspecified";
	if (IN6_IS_ADDR_MULTICAST(ip))
		return "multicast";
	if (IN6_IS_ADDR_LINKLOCAL(ip))
		return "link-local";
	if (IN6_IS_ADDR_SITELOCAL(ip))
		return "site-local";
	/* RFC 8445 §5.1.1.1: neither of these is ever a candidate; and the first would be a way
	 * around all that is said of IPv4. */
	if (IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip))
		return "IPv4 in IPv6";
	return NULL;
}

const char *snet_candidate_refusal(const struct snet_addr *a, bool loopback)
{
	if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
		return "no address";
	if (!snet_addr_port(a))
		return "port 0";
	if (snet_addr_is_loopback(a))
		return loopback ? NULL : "loopback";
	return a->sa.sa_family == AF_INET ? refusal_v4(ntohl(a->in.sin_addr.s_addr))
					  : refusal_v6(&a->in6.sin6_addr);
}
