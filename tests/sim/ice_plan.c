#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/ice.h"

/* What a seed stands for: where the two are, what lies between, how they start. */

#define KNOWN_MAX 256
#define ROUNDS 24

static const char stun_server[] = "192.0.2.250:3478";

static int new_nat(struct sim *s, int outer, unsigned number)
{
	struct net *n = &s->net;
	struct nat *nat = &n->nats[n->nats_n++];
	char text[SNET_ADDR_TEXT];

	nat->outer = outer;
	/* Ordinary NATs first: most map alike for all. */
	nat->mapping = ice_below(s, 100) < 55 ? ANY : (enum scope)(1 + ice_below(s, 2));
	nat->filtering = (enum scope)ice_below(s, 3);
	nat->ports = (int)ice_below(s, 3);
	nat->hairpin = !ice_below(s, 4);
	nat->blocked = !ice_below(s, 14);
	nat->last = (uint16_t)(20000 + ice_below(s, 20000));
	snprintf(text, sizeof(text), outer ? "100.64.0.%u:0" : "203.0.113.%u:0", number);
	nat->outside = net_addr(text);
	return (int)n->nats_n;
}

static struct base *new_base(struct sim *s, int agent, int realm, const char *at)
{
	struct base *b = &s->net.bases[s->net.bases_n++];

	*b = (struct base){ .agent = agent, .realm = realm, .at = net_addr(at) };
	return b;
}

/* The same few private networks everywhere: two hosts may well have the same address. */
static void behind_nat(struct sim *s, int agent, int realm)
{
	bool beside = s->net.bases_n && realm == s->net.bases[0].realm;
	unsigned host = beside ? 50 : 2 + (unsigned)ice_below(s, 3);
	unsigned network = (unsigned)ice_below(s, 2), port = 9000 + (unsigned)ice_below(s, 2);
	char text[SNET_ADDR_TEXT];

	snprintf(text, sizeof(text), "10.0.%u.%u:%u", network, host, port);
	new_base(s, agent, realm, text);
}

static void in_the_open(struct sim *s, int agent)
{
	char text[SNET_ADDR_TEXT];

	snprintf(text, sizeof(text), "198.51.100.%d:9000", 10 + agent);
	new_base(s, agent, 0, text);
}

static void with_v6(struct sim *s, int agent)
{
	char text[SNET_ADDR_TEXT];
	int realm = new_nat(s, 0, 200);
	struct nat *wall = &s->net.nats[realm - 1];

	wall->identity = true;
	wall->mapping = ANY;
	snprintf(text, sizeof(text), "[2001:db8::%d]:9000", 1 + agent);
	new_base(s, agent, realm, text);
}

static void place(struct sim *s, int agent)
{
	char text[SNET_ADDR_TEXT];
	int realm;

	switch (ice_below(s, 8)) {
	case 0:
		in_the_open(s, agent);
		break;
	case 1:
		if (agent && s->net.nats_n && s->net.bases[0].realm) {
			behind_nat(s, agent, s->net.bases[0].realm); /* beside the other one */
			break;
		}
		/* fall through */
	case 2:
		realm = new_nat(s, 0, 10 + (unsigned)agent);
		behind_nat(s, agent, new_nat(s, realm, 10 + (unsigned)agent)); /* double */
		break;
	default:
		behind_nat(s, agent, new_nat(s, 0, 10 + (unsigned)agent));
		break;
	}
	if (!ice_below(s, 6) && s->net.nats_n < NATS_MAX)
		with_v6(s, agent);
	if (!ice_below(s, 5)) {
		snprintf(text, sizeof(text), "172.17.0.%d:9000", 1 + agent);
		new_base(s, agent, 0, text)->dead = true; /* an interface that leads nowhere */
	}
	s->plan.relay[agent] = !ice_below(s, 3);
	if (s->plan.relay[agent]) {
		snprintf(text, sizeof(text), "198.51.100.200:%d", 50000 + agent);
		new_base(s, agent, 0, text)->relayed = true;
	}
}

void plan_draw(struct sim *s)
{
	struct plan *p = &s->plan;

	place(s, 0);
	place(s, 1);
	p->loss = ice_below(s, 3) ? (double)ice_below(s, 25) / 100 : 0;
	p->twice = ice_below(s, 2) ? (double)ice_below(s, 20) / 100 : 0;
	p->forged = ice_below(s, 4) ? 0 : 0.1;
	p->delay[0] = ice_below(s, 150) * SNET_MS;
	p->delay[1] = ice_below(s, 2) ? p->delay[0] : ice_below(s, 150) * SNET_MS;
	p->jitter = ice_below(s, 2) * ice_below(s, 200) * SNET_MS;
	p->signalling = ice_below(s, 400) * SNET_MS;
	p->start[ice_below(s, 2)] = ice_below(s, 2) * ice_below(s, 12000) * SNET_MS;
	for (int i = 0; i < 2; i++) {
		p->trickle[i] = ice_below(s, 3);
		p->controlling[i] = i;
		if (!ice_below(s, 4))
			p->controlling[i] = ice_below(s, 2);
	}
	p->aggressive[ice_below(s, 2)] = !ice_below(s, 8);
	p->restart = !ice_below(s, 6);
	p->cut = !ice_below(s, 6);
	p->deceived = !ice_below(s, 6);
}

void plan_say(struct sim *s)
{
	static const char *const scopes[] = { "any", "address", "port" };
	const struct plan *p = &s->plan;
	char text[SNET_ADDR_TEXT];

	for (size_t i = 0; i < s->net.nats_n; i++) {
		const struct nat *n = &s->net.nats[i];

		ice_log(s, "nat %zu in %d: %s, mapping by %s, filtering by %s, ports %d%s%s",
			i + 1, n->outer, snet_addr_print(&n->outside, text), scopes[n->mapping],
			scopes[n->filtering], n->ports, n->blocked ? ", blocked" : "",
			n->hairpin ? ", hairpin" : "");
	}
	for (size_t i = 0; i < s->net.bases_n; i++)
		ice_log(s, "agent %d at %s in %d%s%s", s->net.bases[i].agent,
			snet_addr_print(&s->net.bases[i].at, text), s->net.bases[i].realm,
			s->net.bases[i].relayed ? ", relayed" : "",
			s->net.bases[i].dead ? ", dead" : "");
	for (int i = 0; i < 2; i++)
		ice_log(s, "agent %d: starts at %llu ms, %s%s%s", i, p->start[i] / SNET_MS,
			p->controlling[i] ? "controlling" : "controlled",
			p->trickle[i] ? ", trickle" : "",
			p->aggressive[i] ? ", aggressive" : "");
	ice_log(s, "loss %.2f, twice %.2f, delay %llu and %llu ms, jitter %llu, signals %llu",
		p->loss, p->twice, p->delay[0] / SNET_MS, p->delay[1] / SNET_MS,
		p->jitter / SNET_MS, p->signalling / SNET_MS);
}

/* ---- candidates */

static void add(struct snet_local *out, enum snet_candidate_type type, size_t base,
		const struct snet_addr *at, const struct snet_addr *from)
{
	uint16_t preference =
		snet_local_preference(SNET_IFACE_PLAIN, (unsigned)base, at->sa.sa_family);

	*out = (struct snet_local){ .base = *from, .handle = (uint32_t)base + 1 };
	out->c.type = type;
	out->c.component = 1;
	out->c.address = *at;
	out->c.priority = snet_candidate_priority(type, preference, 1);
	if (type == SNET_CANDIDATE_SRFLX) {
		out->c.related = *from;
		out->c.server = net_addr(stun_server);
	}
	snet_candidate_found(&out->c, from, type == SNET_CANDIDATE_HOST ? NULL : "udp");
}

size_t plan_candidates(struct sim *s, int side, struct snet_local *out, snet_time *after)
{
	struct snet_addr server = net_addr(stun_server), seen;
	size_t n = 0;
	int realm;

	for (size_t i = 0; i < s->net.bases_n; i++) {
		struct base *b = &s->net.bases[i];

		if (b->agent != side)
			continue;
		add(&out[n], b->relayed ? SNET_CANDIDATE_RELAY : SNET_CANDIDATE_HOST, i, &b->at,
		    &b->at);
		after[n++] = b->relayed ? (50 + ice_below(s, 500)) * SNET_MS : 0;
		if (b->relayed || b->at.sa.sa_family != AF_INET ||
		    !net_up(s, &s->net, i, &server, &realm, &seen) || realm ||
		    snet_addr_eq(&seen, &b->at))
			continue;
		add(&out[n], SNET_CANDIDATE_SRFLX, i, &seen, &b->at);
		after[n++] = (20 + ice_below(s, 300)) * SNET_MS;
	}
	return n;
}

/* ---- theory */

struct known {
	struct snet_addr at[KNOWN_MAX];
	size_t n;
};

static bool learn(struct known *k, const struct snet_addr *a)
{
	for (size_t i = 0; i < k->n; i++)
		if (snet_addr_eq(&k->at[i], a))
			return false;
	if (k->n < KNOWN_MAX)
		k->at[k->n++] = *a;
	return true;
}

/* One probe and its echo. 1: it came back as it went; 2: somebody learned something. */
static int probe(struct sim *s, struct net *n, struct known *known, size_t base,
		 const struct snet_addr *to)
{
	struct snet_addr from, back;
	int me = n->bases[base].agent, there = net_cross(s, n, base, to, &from), here;
	int got = 0;

	if (there < 0 || n->bases[there].agent == me)
		return 0;
	if (learn(&known[!me], &from))
		got |= 2;
	here = net_cross(s, n, (size_t)there, &from, &back);
	if (here < 0 || n->bases[here].agent != me)
		return got;
	if (learn(&known[me], &back))
		got |= 2;
	return got | (here == (int)base && snet_addr_eq(&back, to));
}

bool plan_has_path(struct sim *s)
{
	struct net *n = malloc(sizeof(*n));
	struct known *known = calloc(2, sizeof(*known));
	bool found = false, moved = true;

	if (!n || !known)
		abort();
	*n = s->net;
	n->cut = false;
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < s->sides[i].locals_n; k++)
			if (!snet_candidate_refusal(&s->sides[i].locals[k].c.address, false))
				learn(&known[!i], &s->sides[i].locals[k].c.address);
	/* A second quiet round: filters may open without anything new being learned. */
	for (int round = 0, quiet = 0; round < ROUNDS && quiet < 2 && !found; round++) {
		moved = false;
		for (size_t b = 0; b < n->bases_n && !found; b++)
			for (size_t k = 0; k < known[n->bases[b].agent].n && !found; k++) {
				struct snet_addr to = known[n->bases[b].agent].at[k];
				int got = probe(s, n, known, b, &to);

				found = got & 1;
				moved = moved || got & 2;
			}
		quiet = moved ? 0 : quiet + 1;
	}
	free(known);
	free(n);
	return found;
}
