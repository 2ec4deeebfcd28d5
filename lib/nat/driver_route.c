#include <string.h>

#include "io/route.h"
#include "nat/driver_impl.h"

/* Which pairs lead nowhere. A socket is bound to an address, and the kernel looks for the way
 * by the destination: from the address of a bridge without ports, or of a tunnel that has other
 * things to carry, packets to the peer leave by the default route, with a source that nothing
 * comes back to. Such a check is a turn lost, and the pair is waited for before a worse one is
 * taken. The kernel knows before it is sent. */

#define KNOWN_FOR SNET_SEC /* routes change */

static bool is_of_family(const struct sock *s, const struct sock *o)
{
	return o != s && !o->gone && o->at.sa.sa_family == s->at.sa.sa_family;
}

/* Which way it leaves may matter: there is another interface. */
static bool has_choice(const struct sock *s)
{
	for (size_t i = 0; i < s->ice->socks_n; i++)
		if (is_of_family(s, s->ice->socks[i]) && s->ice->socks[i]->index != s->index)
			return true;
	return false;
}

/* We try the same from an address of that interface, from which it can be answered. If not, it
 * may be that whoever forwards puts another source there. */
static bool is_tried_from(const struct sock *s, unsigned iface)
{
	for (size_t i = 0; i < s->ice->socks_n; i++)
		if (is_of_family(s, s->ice->socks[i]) && s->ice->socks[i]->index == iface)
			return true;
	return false;
}

/* An address that is a network of its own, or stands on lo, is one that routers find whichever
 * way packets leave; and what is said of links the index of the interface decides. */
static bool is_beyond_doubt(const struct sock *s, const struct snet_addr *to)
{
	return !s->index || s->single || !strcmp(s->iface, "lo") || ice_is_link_local(&s->at) ||
	       ice_is_link_local(to) || !has_choice(s);
}

static bool ask(const struct sock *s, const struct snet_addr *to)
{
	unsigned iface = 0;
	int rc = snet_route_ask(&s->at, to, &iface);

	if (rc)
		return rc != SNET_EUNREACH;
	return !iface || iface == s->index || !is_tried_from(s, iface);
}

bool ice_leads(struct sock *s, const struct snet_addr *to)
{
	struct routes *r = &s->ice->routes;
	snet_time now = ice_now(s->ice);
	size_t i;

	if (is_beyond_doubt(s, to))
		return true;
	for (i = 0; i < ROUTES_KNOWN; i++)
		if (r->known[i].handle == s->handle && snet_addr_eq(&r->known[i].to, to))
			break;
	if (i == ROUTES_KNOWN) {
		i = r->next;
		r->next = (i + 1) % ROUTES_KNOWN;
		r->known[i].until = 0;
	}
	if (now >= r->known[i].until) {
		r->known[i].handle = s->handle;
		r->known[i].to = *to;
		r->known[i].leads = ask(s, to);
		r->known[i].until = now + KNOWN_FOR;
	}
	return r->known[i].leads;
}

void ice_ask_ways(struct snet_ice *ice)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	uint32_t asked = ice->routes.asked <= l->last_id ? ice->routes.asked : 0;

	ice->routes.asked = l->last_id;
	for (size_t i = 0; asked < l->last_id && i < l->pairs_n; i++) {
		const struct snet_pair *p = &l->pairs[i];
		struct snet_addr to = snet_pair_remote(l, p)->address;
		struct sock *s = ice_sock(ice, snet_pair_local(l, p)->handle);

		if (p->id <= asked || !s ||
		    (p->state != SNET_PAIR_FROZEN && p->state != SNET_PAIR_WAITING) ||
		    ice_leads(s, &to))
			continue;
		snet_agent_no_way(ice->agent, s->handle, &to, ice_now(ice));
	}
}
