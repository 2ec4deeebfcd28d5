#include "io/resolve_order.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* The default policy table, RFC 6724 §2.1, longest prefix first. */
static const struct policy {
	uint8_t prefix[16];
	unsigned bits;
	int precedence, label;
} policies[] = {
	/* clang-format off */
	{ { [15] = 1 }, 128, 50, 0 },
	{ { [10] = 0xff, 0xff }, 96, 35, 4 },
	{ { 0 }, 96, 1, 3 },
	{ { 0x20, 0x01 }, 32, 5, 5 },
	{ { 0x20, 0x02 }, 16, 30, 2 },
	{ { 0x3f, 0xfe }, 16, 1, 12 },
	{ { 0xfe, 0xc0 }, 10, 1, 11 },
	{ { 0xfc }, 7, 3, 13 },
	{ { 0 }, 0, 40, 1 },
	/* clang-format on */
};

/* IPv4 as IPv4-mapped, RFC 6724 §3.2. */
static struct in6_addr bits_of(const struct snet_addr *a)
{
	struct in6_addr v = { .s6_addr = { [10] = 0xff, 0xff } };

	if (a->sa.sa_family == AF_INET6)
		return a->in6.sin6_addr;
	memcpy(v.s6_addr + 12, &a->in.sin_addr, 4);
	return v;
}

/* How many of the first bits, at most 128, are the same. */
static unsigned common(const uint8_t *a, const uint8_t *b)
{
	unsigned n = 0;

	while (n < 128 && !((a[n / 8] ^ b[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

static const struct policy *policy_of(const struct snet_addr *a)
{
	struct in6_addr v = bits_of(a);
	const struct policy *p = policies;

	while (common(v.s6_addr, p->prefix) < p->bits)
		p++;
	return p;
}

/* RFC 6724 §3.1, §3.2. */
static int scope_of(const struct snet_addr *a)
{
	const struct in6_addr *v = &a->in6.sin6_addr;
	uint32_t v4;

	if (a->sa.sa_family == AF_INET) {
		v4 = ntohl(a->in.sin_addr.s_addr);
		return v4 >> 24 == 127 || v4 >> 16 == 0xa9fe ? SCOPE_LINK : SCOPE_GLOBAL;
	}
	if (IN6_IS_ADDR_MULTICAST(v))
		return v->s6_addr[1] & 15;
	if (IN6_IS_ADDR_LINKLOCAL(v) || IN6_IS_ADDR_LOOPBACK(v))
		return SCOPE_LINK;
	return IN6_IS_ADDR_SITELOCAL(v) ? SCOPE_SITE : SCOPE_GLOBAL;
}

/* > 0: a is better, < 0: b, 0: as they stand. */
static int compare(const struct snet_resolve_way *a, const struct snet_resolve_way *b)
{
	const struct policy *pa = policy_of(&a->to), *pb = policy_of(&b->to);
	int sa = scope_of(&a->to), sb = scope_of(&b->to), d;

	d = (a->from.sa.sa_family != AF_UNSPEC) - (b->from.sa.sa_family != AF_UNSPEC);
	if (d || a->from.sa.sa_family == AF_UNSPEC)
		return d; /* rule 1; without a source there is nothing to compare */
	d = (sa == scope_of(&a->from)) - (sb == scope_of(&b->from));
	if (!d) /* rule 5, as 3 and 4 are left out */
		d = (pa->label == policy_of(&a->from)->label) -
		    (pb->label == policy_of(&b->from)->label);
	if (!d) /* rule 6 */
		d = pa->precedence - pb->precedence;
	if (!d) /* rule 8 */
		d = sb - sa;
	if (!d && a->to.sa.sa_family == AF_INET6 && b->to.sa.sa_family == AF_INET6) /* 9 */
		d = (int)common(a->to.in6.sin6_addr.s6_addr, a->from.in6.sin6_addr.s6_addr) -
		    (int)common(b->to.in6.sin6_addr.s6_addr, b->from.in6.sin6_addr.s6_addr);
	return d;
}

void snet_resolve_sort(struct snet_resolve_way *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct snet_resolve_way x = v[i];
		size_t at = i;

		for (; at && compare(&x, &v[at - 1]) > 0; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
}

/* Connecting a datagram socket asks for a route and sends nothing. Port 0 will not do. */
static void find_source(struct snet_resolve_way *w)
{
	struct snet_addr to = w->to;
	socklen_t n = sizeof(w->from);
	int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	w->from = (struct snet_addr){ 0 };
	if (fd < 0)
		return;
	snet_addr_set_port(&to, 53);
	if (connect(fd, &to.sa, snet_addr_len(&to)) || getsockname(fd, &w->from.sa, &n))
		w->from = (struct snet_addr){ 0 };
	close(fd);
}

void snet_resolve_order(struct snet_addr *v, size_t n)
{
	struct snet_resolve_way w[SNET_RESOLVE_ORDER_MAX];

	if (n > SNET_RESOLVE_ORDER_MAX)
		n = SNET_RESOLVE_ORDER_MAX;
	for (size_t i = 0; i < n; i++) {
		w[i].to = v[i];
		find_source(&w[i]);
	}
	snet_resolve_sort(w, n);
	for (size_t i = 0; i < n; i++)
		v[i] = w[i].to;
}
