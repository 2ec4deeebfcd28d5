#include <stdlib.h>
#include <string.h>

#include "sim/ice.h"

/* One seed: what happens when, and what must hold. */

#define BOUND (45 * SNET_SEC) /* both have decided, this long after both have started */
#define STILL (20 * SNET_SEC) /* after that, upgrades are over */
#define PACKETS_MAX 4000      /* of one agent, in all that time */

/* ---- the queue: a heap by time, then by order */

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
	struct event t = *a;

	*a = *b;
	*b = t;
}

static struct event *push(struct sim *s, snet_time in, enum happening what, int agent)
{
	struct event *e;

	if (s->events_n == EVENTS_MAX) {
		ice_fail(s, "more than %d things under way", EVENTS_MAX);
		s->events_n--;
	}
	e = &s->events[s->events_n++];
	memset(e, 0, offsetof(struct event, p));
	e->at = s->now + in;
	e->order = ++s->order;
	e->what = what;
	e->agent = agent;
	e->generation = s->sides[agent].generation;
	return e;
}

static void sift(struct sim *s) /* after push and filling */
{
	for (size_t i = s->events_n - 1; i && before(&s->events[i], &s->events[(i - 1) / 2]);
	     i = (i - 1) / 2)
		swap(&s->events[i], &s->events[(i - 1) / 2]);
}

static struct event pop(struct sim *s)
{
	struct event first = s->events[0];
	size_t i = 0, k;

	s->events[0] = s->events[--s->events_n];
	while ((k = 2 * i + 1) < s->events_n) {
		if (k + 1 < s->events_n && before(&s->events[k + 1], &s->events[k]))
			k++;
		if (!before(&s->events[k], &s->events[i]))
			break;
		swap(&s->events[i], &s->events[k]);
		i = k;
	}
	return first;
}

/* ---- packets */

static void carry(struct sim *s, int side, int realm, const struct snet_addr *from,
		  const struct snet_agent_packet *p, bool forge)
{
	snet_time delay =
		s->plan.delay[side] + (s->plan.jitter ? ice_below(s, s->plan.jitter) : 0);
	struct event *e = push(s, 100 * SNET_US + delay, ARRIVE, side);

	e->realm = realm;
	e->from = *from;
	e->to = p->to;
	e->n = p->n;
	memcpy(e->p, p->p, p->n);
	if (forge && ice_below(s, 2)) /* a copy, from where nobody is */
		e->from = net_addr("192.0.2.66:6666");
	else if (forge) /* a bit is not what it was */
		e->p[ice_below(s, p->n)] ^= (uint8_t)(1u << ice_below(s, 8));
	sift(s);
}

static void emit(struct sim *s, int side, const struct snet_agent_packet *p)
{
	struct side *x = &s->sides[side];
	struct snet_addr from;
	int realm;

	totals.packets++;
	if (snet_agent_state(x->agent) == SNET_AGENT_FAILED)
		ice_fail(s, "agent %d sends after it has failed", side);
	if (++x->packets > PACKETS_MAX)
		ice_fail(s, "agent %d sends more than %d packets", side, PACKETS_MAX);
	if (!net_up(s, &s->net, p->handle - 1, &p->to, &realm, &from) || s->net.cut)
		return;
	if (ice_chance(s, s->plan.loss)) {
		totals.lost++;
		return;
	}
	carry(s, side, realm, &from, p, false);
	if (ice_chance(s, s->plan.twice))
		carry(s, side, realm, &from, p, false);
	if (ice_chance(s, s->plan.forged))
		carry(s, side, realm, &from, p, true);
}

static void hear(struct sim *s, int side, const struct snet_agent_event *ev)
{
	struct side *x = &s->sides[side];
	char a[SNET_ADDR_TEXT], b[SNET_ADDR_TEXT];

	ice_log(s, "%d %-8s %s%s %s -> %s%s%s%s", side,
		ev->what == SNET_AGENT_STATE      ? "state"
		: ev->what == SNET_AGENT_CHECKED  ? "checked"
		: ev->what == SNET_AGENT_MET      ? "met"
		: ev->what == SNET_AGENT_SEEN     ? "seen"
		: ev->what == SNET_AGENT_ROLE     ? "role"
		: ev->what == SNET_AGENT_SELECTED ? "selected"
						  : "lost",
		snet_agent_state_name(ev->state), ev->controlling ? " controlling" : "",
		snet_addr_print(&ev->local.c.address, a),
		snet_addr_print(&ev->remote.address, b), ev->why ? ": " : "",
		ev->why ? ev->why : "", ev->ok ? "" : " (no)");
	if (ev->what == SNET_AGENT_SELECTED) {
		totals.changes += ev->changed;
		x->selections++;
		x->completed = x->completed ? x->completed : s->now;
	}
	if (ev->what == SNET_AGENT_STATE && ev->state == SNET_AGENT_FAILED)
		x->failed = s->now;
	if (ev->what == SNET_AGENT_CONSENT_LOST)
		x->lost = s->now;
	totals.conflicts += ev->what == SNET_AGENT_ROLE;
	totals.met += ev->what == SNET_AGENT_MET;
}

static void drain(struct sim *s, int side)
{
	struct snet_agent_packet p;
	struct snet_agent_event ev;

	while (!s->failed && snet_agent_next(s->sides[side].agent, &p))
		emit(s, side, &p);
	while (snet_agent_event(s->sides[side].agent, &ev))
		hear(s, side, &ev);
}

/* ---- signalling: in order, and not lost */

static struct event *signal_to(struct sim *s, int from, enum happening what)
{
	struct event *e = push(s, s->plan.signalling, what, !from);

	e->generation = s->sides[from].generation;
	return e;
}

static void say_creds(struct sim *s, int side)
{
	struct event *e = signal_to(s, side, SIGNAL_CREDS);

	strcpy(e->ufrag, snet_agent_ufrag(s->sides[side].agent));
	strcpy(e->pwd, snet_agent_pwd(s->sides[side].agent));
	sift(s);
}

static void say_candidate(struct sim *s, int side, const struct snet_local *c)
{
	signal_to(s, side, SIGNAL_CANDIDATE)->local = *c;
	sift(s);
}

static void say_end(struct sim *s, int side)
{
	struct side *x = &s->sides[side];

	x->local_done = true;
	if (!s->plan.trickle[side]) {
		say_creds(s, side);
		for (size_t i = 0; i < x->locals_n; i++)
			say_candidate(s, side, &x->locals[i]);
	}
	signal_to(s, side, SIGNAL_END);
	sift(s);
	snet_agent_end_local(x->agent, s->now);
	drain(s, side);
}

static void gather(struct sim *s, int side)
{
	struct snet_local found[SNET_LOCALS_MAX];
	snet_time after[SNET_LOCALS_MAX], last = 0;
	size_t n = plan_candidates(s, side, found, after);

	s->sides[side].locals_n = 0;
	if (s->plan.trickle[side])
		say_creds(s, side);
	for (size_t i = 0; i < n; i++) {
		push(s, after[i], LOCAL, side)->local = found[i];
		sift(s);
		last = after[i] > last ? after[i] : last;
	}
	push(s, last, END, side);
	sift(s);
}

/* ---- things that happen */

static void random_bytes(struct sim *s, uint8_t out[static SNET_AGENT_RANDOM])
{
	for (size_t i = 0; i < SNET_AGENT_RANDOM; i++)
		out[i] = (uint8_t)ice_draw(s);
}

static void arrive(struct sim *s, struct event *e)
{
	int base = s->net.cut ? -1 : net_down(&s->net, e->realm, &e->from, e->to), side;

	if (base < 0)
		return;
	side = s->net.bases[base].agent;
	snet_agent_input(s->sides[side].agent, (uint32_t)base + 1, &e->from, e->p, e->n,
			 s->now);
	drain(s, side);
}

/* What is left of the time before a restart means nothing after it. */
static bool is_of_the_past(const struct sim *s, const struct event *e)
{
	int whose = e->what >= SIGNAL_CREDS ? !e->agent : e->agent;

	return e->what != ARRIVE && e->generation != s->sides[whose].generation;
}

static void happen(struct sim *s, struct event *e)
{
	struct side *x = &s->sides[e->agent];

	if (is_of_the_past(s, e))
		return;
	switch (e->what) {
	case ARRIVE:
		arrive(s, e);
		return;
	case START:
		snet_agent_start(x->agent, s->now);
		gather(s, e->agent);
		break;
	case LOCAL:
		x->locals[x->locals_n++] = e->local;
		snet_agent_add_local(x->agent, &e->local, s->now);
		if (s->plan.trickle[e->agent])
			say_candidate(s, e->agent, &e->local);
		break;
	case END:
		say_end(s, e->agent);
		break;
	case SIGNAL_CREDS:
		/* A room keeps what is said for those who come later. */
		if (snet_agent_state(x->agent) == SNET_AGENT_NEW)
			break;
		if (snet_agent_set_remote(x->agent, e->ufrag, e->pwd, s->now))
			ice_fail(s, "agent %d refuses credentials", e->agent);
		break;
	case SIGNAL_CANDIDATE:
		snet_agent_add_remote(x->agent, &e->local.c, s->now);
		break;
	case SIGNAL_END:
		snet_agent_end_remote(x->agent, s->now);
		break;
	case ALL:
		break;
	}
	drain(s, e->agent);
}

/* Signals for one that has not started wait until it has. */
static bool put_off(struct sim *s, struct event *e)
{
	struct side *x = &s->sides[e->agent];

	if (e->what < SIGNAL_CREDS || snet_agent_state(x->agent) != SNET_AGENT_NEW)
		return false;
	e->at = s->plan.start[e->agent] + 1;
	s->events[s->events_n++] = *e;
	sift(s);
	return true;
}

static void run_until(struct sim *s, snet_time end)
{
	while (!s->failed) {
		snet_time at = end;
		int due = -1;

		for (int i = 0; i < 2; i++) {
			snet_time t = snet_agent_deadline(s->sides[i].agent);

			if (t < at) {
				at = t;
				due = i;
			}
		}
		if (pact_deadline(s) < at) {
			at = pact_deadline(s);
			due = 2;
		}
		if (s->events_n && s->events[0].at <= at && s->events[0].at < end) {
			struct event e = pop(s);

			s->now = e.at;
			if (!put_off(s, &e))
				happen(s, &e);
		} else if (due == 2) {
			s->now = at > s->now ? at : s->now;
			pact_step(s);
			drain(s, 0);
			drain(s, 1);
		} else if (due >= 0) {
			if (at < s->now)
				ice_fail(s, "agent %d has a deadline in the past", due);
			s->now = at;
			snet_agent_step(s->sides[due].agent, s->now);
			drain(s, due);
			if (snet_agent_deadline(s->sides[due].agent) <= s->now)
				ice_fail(s, "agent %d is due again at once", due);
		} else {
			s->now = end;
			return;
		}
	}
}

/* ---- what must hold */

/* What one sends on its selected pair comes to the other's, from where that expects it. */
static void check_mirror(struct sim *s, int side)
{
	struct snet_agent_event mine, its;
	struct snet_addr from;
	int base;

	if (!snet_agent_selected(s->sides[side].agent, &mine) ||
	    !snet_agent_selected(s->sides[!side].agent, &its)) {
		ice_fail(s, "agent %d or its peer has no selected pair", side);
		return;
	}
	base = net_cross(s, &s->net, mine.local.handle - 1, &mine.remote.address, &from);
	if (base < 0)
		ice_fail(s, "what agent %d sends on its pair does not arrive", side);
	else if (!s->plan.aggressive[0] && !s->plan.aggressive[1] &&
		 ((uint32_t)base + 1 != its.local.handle ||
		  !snet_addr_eq(&from, &its.remote.address)))
		ice_fail(s, "the pair of agent %d is not its peer's", side);
}

static void check_decided(struct sim *s)
{
	for (int i = 0; i < 2 && !s->failed; i++) {
		struct side *x = &s->sides[i];
		enum snet_agent_state st = snet_agent_state(x->agent);

		if (st == SNET_AGENT_FAILED && s->path)
			ice_fail(s, "agent %d has failed, and there is a path", i);
		else if (st == SNET_AGENT_COMPLETED && !s->path)
			ice_fail(s, "agent %d has completed, and there is no path", i);
		else if (st != SNET_AGENT_FAILED && st != SNET_AGENT_COMPLETED)
			ice_fail(s, "agent %d is still %s", i, snet_agent_state_name(st));
		else if (x->failed &&
			 x->failed < s->both + snet_agent_defaults.overall_timeout &&
			 x->locals_n)
			ice_fail(s, "agent %d gave up early", i);
	}
}

static void check_same(struct sim *s)
{
	struct snet_agent_event ev;

	if (!s->path || s->failed)
		return;
	check_mirror(s, 0);
	check_mirror(s, 1);
	if (snet_agent_is_controlling(s->sides[0].agent) ==
	    snet_agent_is_controlling(s->sides[1].agent))
		ice_fail(s, "both have the same role");
	if (snet_agent_selected(s->sides[0].agent, &ev)) {
		bool relayed = ev.local.c.type == SNET_CANDIDATE_RELAY ||
			       ev.remote.type == SNET_CANDIDATE_RELAY;

		totals.relayed += relayed;
		totals.direct += !relayed;
	}
}

/* ---- phases */

static void new_generation(struct sim *s, double loss)
{
	uint8_t bytes[SNET_AGENT_RANDOM];

	totals.restarts++;
	for (int i = 0; i < 2; i++) {
		struct side *x = &s->sides[i];

		x->generation++;
		x->selections = 0;
		x->packets = 0;
		random_bytes(s, bytes);
		if (snet_agent_restart(x->agent, bytes, s->now))
			ice_fail(s, "agent %d does not restart", i);
		drain(s, i);
	}
	for (int i = 0; i < 2; i++)
		gather(s, i);
	s->both = s->now;
	s->plan.loss = loss;
	run_until(s, s->now + BOUND + STILL);
	s->plan.loss = 0;
	run_until(s, s->now + STILL);
	for (int i = 0; i < 2 && !s->failed; i++)
		if (!s->sides[i].selections)
			ice_fail(s, "agent %d has selected nothing after the restart", i);
}

/* Somebody has one of them start anew, with credentials that are nobody's, and says where to
 * look: where nobody is, and where the peer is. The pair must go on, at both. */
static void deceive(struct sim *s)
{
	struct snet_candidate nobody = { .foundation = "0", .component = 1, .priority = 1 };
	int i = (int)ice_below(s, 2);
	struct side *x = &s->sides[i], *peer = &s->sides[!i];
	uint8_t bytes[SNET_AGENT_RANDOM];

	totals.deceits++;
	x->packets = peer->packets = 0;
	random_bytes(s, bytes);
	nobody.address = net_addr("192.0.2.66:6666");
	if (snet_agent_restart(x->agent, bytes, s->now) ||
	    snet_agent_set_remote(x->agent, "nobody", "nobodynobodynobodynobody", s->now) ||
	    snet_agent_add_remote(x->agent, &nobody, s->now))
		ice_fail(s, "agent %d is not deceived", i);
	for (size_t k = 0; k < peer->locals_n; k++)
		snet_agent_add_remote(x->agent, &peer->locals[k].c, s->now);
	snet_agent_end_local(x->agent, s->now);
	snet_agent_end_remote(x->agent, s->now);
	drain(s, i);
	run_until(s, s->now + BOUND + STILL);
	if (s->failed)
		return;
	if (snet_agent_state(x->agent) != SNET_AGENT_COMPLETED)
		ice_fail(s, "agent %d, deceived, is %s", i,
			 snet_agent_state_name(snet_agent_state(x->agent)));
	if (x->lost || peer->lost)
		ice_fail(s, "a pair is lost, for agent %d was deceived", i);
}

static void cut(struct sim *s)
{
	snet_time t = s->now, most = snet_agent_defaults.consent_timeout;

	totals.cuts++;
	s->net.cut = true;
	run_until(s, t + most + SNET_SEC);
	for (int i = 0; i < 2 && !s->failed; i++) {
		struct side *x = &s->sides[i];

		if (snet_agent_state(x->agent) != SNET_AGENT_FAILED || !x->lost)
			ice_fail(s, "agent %d does not notice that its peer is gone", i);
		/* The last answer is as old as a period and a round trip, at most. */
		else if (x->lost + 8 * SNET_SEC < t + most)
			ice_fail(s, "agent %d has lost consent too early", i);
	}
}

static bool begin(struct sim *s)
{
	for (int i = 0; i < 2; i++) {
		struct snet_agent_config c = snet_agent_defaults;
		uint8_t bytes[SNET_AGENT_RANDOM];

		c.controlling = s->plan.controlling[i];
		c.aggressive = s->plan.aggressive[i];
		random_bytes(s, bytes);
		if (snet_agent_new(&s->sides[i].agent, &c, bytes, NULL)) {
			ice_fail(s, "no agent");
			return false;
		}
		push(s, s->plan.start[i], START, i);
		sift(s);
		s->both = s->plan.start[i] > s->both ? s->plan.start[i] : s->both;
	}
	return true;
}

static void count_time(const struct sim *s)
{
	snet_time a = s->sides[0].completed, b = s->sides[1].completed;
	uint64_t ms = ((a > b ? a : b) - s->both) / SNET_MS;

	totals.took_ms += ms;
	totals.took_max_ms = ms > totals.took_max_ms ? ms : totals.took_max_ms;
}

static void first_generation(struct sim *s)
{
	pact_plan(s);
	/* Theory needs the candidates: those of both are there, soon after the later start. */
	run_until(s, s->both + SNET_SEC);
	if (!s->failed && (!s->sides[0].local_done || !s->sides[1].local_done))
		ice_fail(s, "gathering goes on");
	s->path = plan_has_path(s);
	ice_log(s, "theory: %s", s->path ? "a path" : "none");
	run_until(s, s->both + BOUND + STILL);
	/* What was lost on the way may have to be made up for. */
	s->plan.loss = 0;
	run_until(s, s->now + STILL);
	if (!s->failed)
		check_decided(s);
	check_same(s);
	if (!s->failed)
		pact_check(s);
	if (!s->failed && s->path)
		count_time(s);
}

void world_run(struct sim *s)
{
	double loss;

	s->events = malloc(EVENTS_MAX * sizeof(*s->events));
	if (!s->events)
		abort();
	plan_draw(s);
	plan_say(s);
	loss = s->plan.loss;
	if (begin(s))
		first_generation(s);
	if (!s->failed && s->path && s->plan.deceived) {
		deceive(s);
		check_mirror(s, 0);
		check_mirror(s, 1);
	}
	if (!s->failed && s->path && s->plan.restart) {
		new_generation(s, loss);
		check_same(s);
	}
	if (!s->failed && s->path && s->plan.cut)
		cut(s);
	totals.paths += s->path;
	totals.none += !s->path;
	snet_agent_free(s->sides[0].agent);
	snet_agent_free(s->sides[1].agent);
	free(s->events);
}
