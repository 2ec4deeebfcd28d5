#include <string.h>

#include "sim/ice.h"

/* When to punch: two pacts, on the same signalling and the same seed as the agents. Who asks,
 * how long lines take, and whether they are lost, is drawn; both must begin at one moment, as
 * near to it as the ways differ, and what makes them differ. */

#define SPREAD (200 * SNET_MS) /* within which both find out that they want to */
#define APART SNET_MS          /* delays are whole milliseconds, and so on */

static void plan(struct sim *s)
{
	struct pacts *p = &s->pacts;
	snet_time base = s->both + ice_below(s, 2000) * SNET_MS;
	int first = (int)ice_below(s, 2);

	for (int i = 0; i < 2; i++) {
		snet_pact_init(&p->side[i].pact);
		p->side[i].wants = p->side[i].asks = SNET_NEVER;
		p->way[i] = ice_below(s, 350) * SNET_MS;
	}
	if (ice_below(s, 2))
		p->way[1] = p->way[0];
	p->jitter = ice_below(s, 2) * ice_below(s, 100) * SNET_MS;
	p->loss = ice_below(s, 4) ? 0 : 0.3;
	p->side[first].asks = base + ice_below(s, SPREAD);
	switch (ice_below(s, 3)) {
	case 0:
		p->side[!first].asks = base + ice_below(s, SPREAD);
		break;
	case 1:
		p->side[!first].wants = base + ice_below(s, SPREAD);
		break;
	default: /* has nothing to do, but for the other one */
		break;
	}
}

void pact_plan(struct sim *s)
{
	uint64_t random = s->random; /* the same agents as without a pact */

	s->random ^= 0x5851f42d4c957f2du;
	plan(s);
	s->random = random;
	s->pacts.random = random ^ s->seed * 0xda942042e4dd58b5u;
}

static uint64_t below(struct sim *s, uint64_t n)
{
	uint64_t random = s->random, x;

	s->random = s->pacts.random;
	x = ice_below(s, n);
	s->pacts.random = s->random;
	s->random = random;
	return x;
}

/* ---- what is said: in order, as by any server */

static void say(struct sim *s, int from, const struct snet_pact_word *w)
{
	struct pacts *p = &s->pacts;
	snet_time at = s->now + p->way[from] + below(s, p->jitter + 1);

	if (p->lines_n == PACT_LINES) {
		ice_fail(s, "a pact says more than %d lines", PACT_LINES);
		return;
	}
	if ((double)below(s, 1000) < p->loss * 1000)
		return;
	at = at < p->last[from] ? p->last[from] : at;
	p->last[from] = at;
	p->lines[p->lines_n].at = at;
	p->lines[p->lines_n].to = !from;
	p->lines[p->lines_n++].w = *w;
}

/* The moment: checks to whatever the peer has told of. */
static void burst(struct sim *s, int side)
{
	const struct side *peer = &s->sides[!side];

	for (size_t b = 0; b < s->net.bases_n; b++)
		for (size_t i = 0; i < peer->locals_n; i++)
			if (s->net.bases[b].agent == side)
				(void)snet_agent_probe(s->sides[side].agent, (uint32_t)b + 1,
						       &peer->locals[i].c.address, s->now);
}

static void drive(struct sim *s, int i)
{
	struct pact_side *x = &s->pacts.side[i];
	enum snet_pact_what what;
	struct snet_pact_word w;

	while ((what = snet_pact_step(&x->pact, &w, s->now))) {
		ice_log(s, "%d punch    %s", i,
			what != SNET_PACT_SAY         ? "begins"
			: w.kind == SNET_PACT_REQUEST ? "asks"
						      : "answers");
		if (what == SNET_PACT_SAY) {
			say(s, i, &w);
			continue;
		}
		if (x->begun)
			ice_fail(s, "agent %d begins to punch twice", i);
		x->begun = s->now;
		x->agreed = what == SNET_PACT_BEGIN;
		burst(s, i);
	}
	if (x->pact.deadline <= s->now)
		ice_fail(s, "the pact of agent %d is due again at once", i);
}

/* ---- time */

snet_time pact_deadline(const struct sim *s)
{
	const struct pacts *p = &s->pacts;
	snet_time at = SNET_NEVER;

	for (int i = 0; i < 2; i++) {
		const struct pact_side *x = &p->side[i];

		at = x->wants < at ? x->wants : at;
		at = x->asks < at ? x->asks : at;
		at = x->pact.deadline < at ? x->pact.deadline : at;
	}
	for (unsigned i = 0; i < p->lines_n; i++)
		at = p->lines[i].at < at ? p->lines[i].at : at;
	return at;
}

static void take_lines(struct sim *s)
{
	struct pacts *p = &s->pacts;

	for (unsigned i = 0; i < p->lines_n;) {
		struct pact_line line = p->lines[i];

		if (line.at > s->now) {
			i++;
			continue;
		}
		memmove(&p->lines[i], &p->lines[i + 1],
			(--p->lines_n - i) * sizeof(p->lines[0]));
		(void)snet_pact_hear(&p->side[line.to].pact, &line.w, s->now);
		drive(s, line.to);
	}
}

void pact_step(struct sim *s)
{
	static const struct snet_addr nowhere;

	take_lines(s);
	for (int i = 0; i < 2; i++) {
		struct pact_side *x = &s->pacts.side[i];

		if (s->now >= x->wants || s->now >= x->asks)
			snet_pact_want(&x->pact, s->now);
		if (s->now >= x->asks) /* unless the other one has asked */
			(void)snet_pact_ask(&x->pact, below(s, UINT64_MAX), &nowhere, s->now);
		x->since = s->now >= x->wants || s->now >= x->asks ? s->now : x->since;
		x->wants = s->now >= x->wants ? SNET_NEVER : x->wants;
		x->asks = s->now >= x->asks ? SNET_NEVER : x->asks;
		drive(s, i);
	}
}

/* ---- what must hold */

void pact_check(struct sim *s)
{
	const struct pacts *p = &s->pacts;
	const struct pact_side *a = &p->side[0], *b = &p->side[1];
	snet_time differ =
		p->way[0] > p->way[1] ? p->way[0] - p->way[1] : p->way[1] - p->way[0];
	snet_time apart = a->begun > b->begun ? a->begun - b->begun : b->begun - a->begun;

	for (int i = 0; i < 2; i++)
		if (p->side[i].since &&
		    (!p->side[i].begun ||
		     p->side[i].begun > p->side[i].since + SNET_PACT_WAIT_MAX))
			ice_fail(s, "agent %d has waited too long to punch", i);
	if (p->loss > 0)
		return;
	totals.pacts++;
	totals.apart_max_us =
		apart / SNET_US > totals.apart_max_us ? apart / SNET_US : totals.apart_max_us;
	if (!a->agreed || !b->agreed)
		ice_fail(s, "no pact, though nothing was lost");
	else if (apart > differ / 2 + p->jitter + APART)
		ice_fail(s, "they begin %llu us apart; ways differ by %llu, jitter is %llu",
			 apart / SNET_US, differ / SNET_US, p->jitter / SNET_US);
	else if (differ + p->jitter == 0)
		totals.pacts_exact++;
}
