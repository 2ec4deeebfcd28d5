#include <stdio.h>

#include <sys/socket.h>

#include "nat/driver_impl.h"

/* What servers see of our sockets; and where that is of no use to a peer, for the NAT gives
 * every destination another port, which ones come next: those are offered, too. */

#define EXTRA_TIMEOUT SNET_SEC /* of a server that has just answered */

/* ---- what servers see */

static void record(struct sock *s, const struct snet_stun_answer *a)
{
	struct snet_ice *ice = s->ice;
	struct sight v = { .handle = s->handle,
			   .asked = ice_now(ice) - a->rtt,
			   .tag = a->tag,
			   .by = a->server,
			   .other = a->other,
			   .mapped = a->mapped };
	size_t i = ice->punch.sights_n;

	if (i == SIGHTS_MAX)
		return;
	for (; i && ice->punch.sights[i - 1].asked > v.asked; i--)
		ice->punch.sights[i] = ice->punch.sights[i - 1];
	ice->punch.sights[i] = v;
	ice->punch.sights_n++;
}

const struct sight *ice_punch_hard(const struct snet_ice *ice, uint32_t handle)
{
	const struct sight *last = NULL;
	bool is = false;

	for (size_t i = 0; i < ice->punch.sights_n; i++) {
		const struct sight *v = &ice->punch.sights[i];

		if (v->handle != handle)
			continue;
		is = is || (last && ice_same_ip(&v->mapped, &last->mapped) &&
			    !snet_addr_eq(&v->mapped, &last->mapped));
		last = v;
	}
	return is ? last : NULL;
}

void ice_punch_insert(uint16_t *v, size_t first, size_t n, uint16_t port, bool down)
{
	for (; n > first && (down ? v[n - 1] < port : v[n - 1] > port); n--)
		v[n] = v[n - 1];
	v[n] = port;
}

/* What comes next of this NAT; its counter is one for all sockets, as a rule. Of what was asked
 * in one turn, nobody knows which came first. */
static size_t foretell(const struct snet_ice *ice, const struct snet_addr *nat, bool down,
		       uint16_t next[static SNET_PUNCH_NEXT])
{
	uint16_t seen[SIGHTS_MAX];
	size_t n = 0, first = 0;
	snet_time asked = 0;

	for (size_t i = 0; i < ice->punch.sights_n; i++) {
		const struct sight *v = &ice->punch.sights[i];

		if (!ice_same_ip(&v->mapped, nat))
			continue;
		first = v->asked == asked ? first : n;
		asked = v->asked;
		ice_punch_insert(seen, first, n++, snet_addr_port(&v->mapped), down);
	}
	return snet_punch_foretell(seen, n, next, SNET_PUNCH_NEXT);
}

/* ---- more questions: to the other addresses and ports of servers that have some (RFC 5780) */

static bool is_asked(const struct sock *s, const struct snet_addr *at)
{
	for (size_t i = 0; i < s->ice->punch.sights_n; i++)
		if (s->ice->punch.sights[i].handle == s->handle &&
		    snet_addr_eq(&s->ice->punch.sights[i].by, at))
			return true;
	for (size_t i = 0; i < SNET_STUN_SLOTS; i++)
		if (s->stun.slots[i].busy && snet_addr_eq(&s->stun.slots[i].ask.to, at))
			return true;
	return false;
}

static void ask_at(struct sock *s, const struct sight *v, const struct snet_addr *ip,
		   const struct snet_addr *port)
{
	struct snet_addr at = *ip;

	snet_addr_set_port(&at, snet_addr_port(port));
	/* It is the server who says where: not to hosts of ours. */
	if (at.sa.sa_family != s->at.sa.sa_family || is_asked(s, &at) ||
	    snet_candidate_refusal(&at, snet_addr_is_loopback(&v->by)))
		return;
	s->extra += ice_ask(s, v->tag | EXTRA, &at, EXTRA_TIMEOUT);
}

static void ask_more(struct sock *s)
{
	const struct snet_ice *ice = s->ice;
	size_t n = ice->punch.sights_n;

	s->asked_more = true;
	for (size_t i = 0; i < n; i++) {
		const struct sight *v = &ice->punch.sights[i];

		if (v->handle != s->handle || v->other.sa.sa_family == AF_UNSPEC ||
		    v->tag & EXTRA)
			continue;
		ask_at(s, v, &v->by, &v->other);
		ask_at(s, v, &v->other, &v->by);
		ask_at(s, v, &v->other, &v->other);
	}
}

/* ---- ports that come next */

/* Each has a foundation of its own, or they would wait for each other to fail (RFC 8445
 * §6.1.2.6); and less priority than any other one of its type. */
static void offer(struct sock *s, const struct sight *v, uint16_t port, unsigned number)
{
	struct snet_local c = { .c = { .component = 1,
				       .address = v->mapped,
				       .type = SNET_CANDIDATE_SRFLX,
				       .related = s->at,
				       .server = v->by },
				.base = s->at,
				.handle = s->handle };
	unsigned preference = s->handle % 1024 * SNET_PUNCH_NEXT + SNET_PUNCH_NEXT - 1 - number;
	char via[16];

	snet_addr_set_port(&c.c.address, port);
	c.c.priority = snet_candidate_priority(c.c.type, (uint16_t)preference, 1);
	snprintf(via, sizeof(via), "+%u", number);
	snet_candidate_found(&c.c, &c.base, via);
	ice_offer(s->ice, &c, s);
}

static void look(struct sock *s)
{
	const struct sight *last = ice_punch_hard(s->ice, s->handle);
	struct sight v = last ? *last : (struct sight){ 0 };
	uint16_t next[SNET_PUNCH_NEXT];
	size_t n;

	if (!last || s->foretold || !s->ice->gathering)
		return;
	if (!s->asked_more)
		ask_more(s);
	if (s->extra)
		return;
	n = foretell(s->ice, &v.mapped, false, next);
	if (n < 2)
		n = foretell(s->ice, &v.mapped, true, next);
	s->foretold = n > 1;
	for (size_t i = 0; i < n && s->foretold; i++)
		offer(s, &v, next[i], (unsigned)i);
}

void ice_punch_saw(struct sock *s, const struct snet_stun_answer *a)
{
	if (a->tag & EXTRA)
		s->extra--;
	if (!a->code)
		record(s, a);
	look(s);
}
