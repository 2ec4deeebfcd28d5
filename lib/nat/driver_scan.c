#include "nat/driver_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ifaddrs.h>

bool ice_same_ip(const struct snet_addr *a, const struct snet_addr *b)
{
	struct snet_addr x = *a, y = *b;

	snet_addr_set_port(&x, 0);
	snet_addr_set_port(&y, 0);
	return snet_addr_eq(&x, &y);
}

/* No peer's check comes to one, nor goes there: candidates.h. */
bool ice_is_link_local(const struct snet_addr *a)
{
	return a->sa.sa_family == AF_INET6 ? IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr)
					   : ntohl(a->in.sin_addr.s_addr) >> 16 == 0xa9fe;
}

/* A mask of ones: /32, or /128. */
static bool is_single(const struct ifaddrs *i)
{
	struct snet_addr mask = { 0 };
	bool v6 = i->ifa_addr->sa_family == AF_INET6;

	if (!i->ifa_netmask)
		return false;
	memcpy(&mask, i->ifa_netmask, v6 ? sizeof(mask.in6) : sizeof(mask.in));
	for (size_t k = 0; v6 && k < 16; k++)
		if (mask.in6.sin6_addr.s6_addr[k] != 0xff)
			return false;
	return v6 || mask.in.sin_addr.s_addr == INADDR_BROADCAST;
}

static bool is_fit(const struct snet_ice_opts *o, const struct ifaddrs *i)
{
	int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;

	return (family == AF_INET || family == AF_INET6) && i->ifa_flags & IFF_UP &&
	       (o->bind.sa.sa_family == AF_UNSPEC || o->bind.sa.sa_family == family) &&
	       snet_filter_has_family(&o->filter, family) &&
	       snet_filter_has_iface(&o->filter, i->ifa_name);
}

static void note(struct scan *s, const struct ifaddrs *i, unsigned order)
{
	struct found *f = &s->v[s->n];
	bool v6 = i->ifa_addr->sa_family == AF_INET6;

	if (s->n == FOUND_MAX)
		return;
	*f = (struct found){ .order = order,
			     .class = snet_iface_classify(i->ifa_name),
			     .single = is_single(i) };
	memcpy(&f->at, i->ifa_addr, v6 ? sizeof(f->at.in6) : sizeof(f->at.in));
	strncpy(f->iface, i->ifa_name, sizeof(f->iface) - 1);
	f->preference = snet_local_preference(f->class, order, i->ifa_addr->sa_family);
	for (size_t k = 0; k < s->n; k++)
		if (ice_same_ip(&s->v[k].at, &f->at))
			return;
	s->n++;
}

/* Of one kind: those of loopback, or all others. */
static void take(const struct snet_ice_opts *o, struct scan *s, const struct ifaddrs *all,
		 bool loopback)
{
	unsigned order[2] = { 0 };

	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct snet_addr a = { 0 };
		bool v6 = i->ifa_addr && i->ifa_addr->sa_family == AF_INET6;

		if (!is_fit(o, i))
			continue;
		memcpy(&a, i->ifa_addr, v6 ? sizeof(a.in6) : sizeof(a.in));
		if (snet_addr_is_loopback(&a) == loopback && !ice_is_link_local(&a))
			note(s, i, order[v6]++);
	}
}

/* One address alone, whatever the filter says of its interface. */
static void take_one(struct scan *s, const struct snet_addr *at, const struct ifaddrs *all)
{
	struct snet_addr a;

	s->v[0] = (struct found){ .at = *at };
	s->n = 1;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;

		if (family != at->sa.sa_family)
			continue;
		memcpy(&a, i->ifa_addr, family == AF_INET6 ? sizeof(a.in6) : sizeof(a.in));
		if (!ice_same_ip(&a, at))
			continue;
		strncpy(s->v[0].iface, i->ifa_name, sizeof(s->v[0].iface) - 1);
		s->v[0].class = snet_iface_classify(i->ifa_name);
		s->v[0].single = is_single(i);
	}
}

static int by_preference(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return (x->preference < y->preference) - (x->preference > y->preference);
}

int ice_scan(const struct snet_ice_opts *o, struct scan *s, struct snet_error *err)
{
	const struct snet_addr *bind = &o->bind;
	struct ifaddrs *all = NULL;
	uint16_t port = snet_addr_port(bind) ? snet_addr_port(bind) : o->port;

	s->n = 0;
	if (getifaddrs(&all))
		return snet_fail(err, SNET_EIO, "addresses of this host: %s", strerror(errno));
	if (bind->sa.sa_family != AF_UNSPEC && !snet_addr_is_any(bind)) {
		take_one(s, bind, all);
	} else {
		take(o, s, all, false);
		if (!s->n || o->loopback)
			take(o, s, all, true);
	}
	freeifaddrs(all);
	qsort(s->v, s->n, sizeof(s->v[0]), by_preference);
	for (size_t i = 0; i < s->n; i++)
		snet_addr_set_port(&s->v[i].at, port);
	return s->n ? SNET_OK
		    : snet_fail(err, SNET_EUNREACH, "no address of this host may be used");
}
