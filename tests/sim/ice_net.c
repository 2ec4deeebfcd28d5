#include <assert.h>
#include <string.h>

#include "sim/ice.h"

/* NATs as RFC 4787 describes them: mapping and filtering each independent of the endpoint, by
 * its address, or by its address and port. */

struct snet_addr net_addr(const char *text)
{
	struct snet_addr a;
	int rc = snet_addr_parse(&a, text);

	assert(!rc);
	(void)rc;
	return a;
}

static bool ip_eq(const struct snet_addr *a, const struct snet_addr *b)
{
	struct snet_addr x = *a, y = *b;

	snet_addr_set_port(&x, 0);
	snet_addr_set_port(&y, 0);
	return snet_addr_eq(&x, &y);
}

static bool same(enum scope scope, const struct snet_addr *a, const struct snet_addr *b)
{
	return scope == ANY || (scope == ADDRESS ? ip_eq(a, b) : snet_addr_eq(a, b));
}

static bool port_taken(const struct nat *nat, uint16_t port)
{
	for (size_t i = 0; i < nat->map_n; i++)
		if (snet_addr_port(&nat->map[i].outside) == port)
			return true;
	return false;
}

static uint16_t new_port(struct sim *s, struct nat *nat, uint16_t inside)
{
	uint16_t port = inside;

	if (nat->ports == 0 && !port_taken(nat, port))
		return port;
	do
		port = nat->ports == 2 ? (uint16_t)(1024 + ice_below(s, 64000)) : ++nat->last;
	while (port < 1024 || port_taken(nat, port));
	return port;
}

/* A packet goes out; from becomes what is seen outside. */
static bool outbound(struct sim *s, struct nat *nat, const struct snet_addr *to,
		     struct snet_addr *from)
{
	struct snet_addr inside = *from;
	struct mapping *m = NULL;

	if (nat->blocked)
		return false;
	for (size_t i = 0; i < nat->map_n && !m; i++)
		if (snet_addr_eq(&nat->map[i].inside, &inside) &&
		    same(nat->mapping, &nat->map[i].to, to))
			m = &nat->map[i];
	if (!m && nat->map_n == MAPPINGS_MAX)
		return false;
	if (!m) {
		m = &nat->map[nat->map_n++];
		*m = (struct mapping){ inside, nat->identity ? inside : nat->outside, *to };
		if (!nat->identity)
			snet_addr_set_port(&m->outside,
					   new_port(s, nat, snet_addr_port(&inside)));
	}
	*from = m->outside;
	for (size_t i = 0; i < nat->allowed_n; i++)
		if (snet_addr_eq(&nat->allowed[i].outside, from) &&
		    snet_addr_eq(&nat->allowed[i].to, to))
			return true;
	if (nat->allowed_n == ALLOWED_MAX)
		return false;
	nat->allowed[nat->allowed_n++] = (struct mapping){ inside, *from, *to };
	return true;
}

static bool inbound(const struct nat *nat, const struct snet_addr *from, struct snet_addr *to)
{
	for (size_t i = 0; i < nat->allowed_n; i++) {
		const struct mapping *a = &nat->allowed[i];

		if (!nat->blocked && snet_addr_eq(&a->outside, to) &&
		    same(nat->filtering, &a->to, from)) {
			*to = a->inside;
			return true;
		}
	}
	return false;
}

/* Whether the address is to be found in the realm: a base's, or a NAT's outside. */
static bool is_here(const struct net *n, int realm, const struct snet_addr *to, int except)
{
	for (size_t i = 0; i < n->bases_n; i++) {
		const struct base *b = &n->bases[i];

		if (snet_addr_eq(&b->at, to) &&
		    (b->realm == realm || (b->realm && n->nats[b->realm - 1].identity &&
					   n->nats[b->realm - 1].outer == realm)))
			return true;
	}
	for (size_t i = 0; i < n->nats_n; i++)
		if ((int)i != except && n->nats[i].outer == realm && !n->nats[i].identity &&
		    ip_eq(&n->nats[i].outside, to))
			return true;
	return false;
}

static bool relay_sends(struct base *b, const struct snet_addr *to)
{
	for (size_t i = 0; i < b->permitted_n; i++)
		if (ip_eq(&b->permitted[i], to))
			return true;
	if (b->permitted_n == sizeof(b->permitted) / sizeof(b->permitted[0]))
		return false;
	b->permitted[b->permitted_n++] = *to;
	return true;
}

bool net_up(struct sim *s, struct net *n, size_t base, const struct snet_addr *to, int *realm,
	    struct snet_addr *from)
{
	struct base *b = &n->bases[base];

	*realm = b->realm;
	*from = b->at;
	if (b->dead || b->at.sa.sa_family != to->sa.sa_family ||
	    (b->relayed && !relay_sends(b, to)))
		return false;
	while (*realm && !is_here(n, *realm, to, -1)) {
		struct nat *nat = &n->nats[*realm - 1];
		bool itself = !nat->identity && ip_eq(&nat->outside, to);

		if ((itself && !nat->hairpin) || !outbound(s, nat, to, from))
			return false;
		*realm = nat->outer;
	}
	return true;
}

int net_down(struct net *n, int realm, const struct snet_addr *from, struct snet_addr to)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < n->bases_n; i++) {
			struct base *b = &n->bases[i];
			struct nat *nat = b->realm ? &n->nats[b->realm - 1] : NULL;

			if (!snet_addr_eq(&b->at, &to) || b->dead)
				continue;
			if (b->realm == realm && b->relayed) {
				for (size_t k = 0; k < b->permitted_n; k++)
					if (ip_eq(&b->permitted[k], from))
						return (int)i;
				return -1;
			}
			if (b->realm == realm)
				return (int)i;
			if (nat && nat->identity && nat->outer == realm)
				return inbound(nat, from, &to) ? (int)i : -1;
		}
		for (size_t i = 0; i < n->nats_n && !moved; i++) {
			struct nat *nat = &n->nats[i];

			if (nat->outer != realm || nat->identity || !ip_eq(&nat->outside, &to))
				continue;
			if (!inbound(nat, from, &to))
				return -1;
			realm = (int)i + 1;
			moved = true;
		}
	}
	return -1;
}

int net_cross(struct sim *s, struct net *n, size_t base, const struct snet_addr *to,
	      struct snet_addr *from)
{
	int realm;

	return net_up(s, n, base, to, &realm, from) ? net_down(n, realm, from, *to) : -1;
}
