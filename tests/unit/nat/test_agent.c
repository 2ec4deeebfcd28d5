/* nat/agent: two agents and a wire between them, in virtual time; and one that is lied to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/agent.h"
#include "nat/stunauth.h"
#include "support/torture.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define DELAY (10 * SNET_MS)
static snet_time delay; /* each way: that, where a test does not say otherwise */
#define WAY_MAX 512

/* A packet on its way from a base of one agent to one of the other. */
struct way {
	snet_time at;
	int from, to; /* agents; to -1: nobody is there */
	uint32_t handle;
	struct snet_addr source;
	struct snet_agent_packet p;
};

static struct wire {
	struct snet_agent *a[2];
	snet_time now;
	struct way way[WAY_MAX];
	size_t n;
	bool (*drop)(const struct way *w);
	bool (*refuse)(const struct way *w); /* blind ones: there is no way */
	struct snet_agent_event selected[2], failed[2], why[2]; /* why: the last state */
	unsigned selections[2], states[2], checked[2], met[2], seen[2], roles[2], lost[2],
		sent[2];
} w;

/* Base h of agent i is 10.0.i.h:9000. */
static struct snet_addr at(int agent, unsigned handle)
{
	char text[SNET_ADDR_TEXT];
	struct snet_addr a;

	snprintf(text, sizeof(text), "10.0.%d.%u:9000", agent, handle);
	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static struct snet_candidate remote(int agent, unsigned handle)
{
	struct snet_candidate c = { .component = 1, .address = at(agent, handle) };

	c.priority =
		snet_candidate_priority(SNET_CANDIDATE_HOST, (uint16_t)(65535 - handle), 1);
	snprintf(c.foundation, sizeof(c.foundation), "%d%u", agent, handle);
	return c;
}

static struct snet_local local(int agent, unsigned handle)
{
	return (struct snet_local){ .c = remote(agent, handle),
				    .base = at(agent, handle),
				    .handle = handle };
}

static bool any(const struct way *x)
{
	(void)x;
	return true;
}

static void hear(int i, const struct snet_agent_event *ev)
{
	switch (ev->what) {
	case SNET_AGENT_STATE:
		w.states[i] |= 1u << ev->state;
		if (ev->state == SNET_AGENT_FAILED)
			w.failed[i] = *ev;
		w.why[i] = *ev;
		break;
	case SNET_AGENT_CHECKED:
		w.checked[i]++;
		break;
	case SNET_AGENT_MET:
		w.met[i]++;
		break;
	case SNET_AGENT_SEEN:
		w.seen[i]++;
		break;
	case SNET_AGENT_ROLE:
		w.roles[i]++;
		break;
	case SNET_AGENT_SELECTED:
		w.selected[i] = *ev;
		w.selections[i]++;
		break;
	case SNET_AGENT_CONSENT_LOST:
		w.lost[i]++;
		break;
	}
}

static void drain(int i)
{
	struct snet_agent_packet p;
	struct snet_agent_event ev;

	while (snet_agent_next(w.a[i], &p)) {
		struct way x = { .at = w.now + delay, .from = i, .to = -1, .p = p };
		struct snet_addr there;

		if (p.blind && w.refuse && w.refuse(&x)) {
			snet_agent_no_way(w.a[i], p.handle, &p.to, w.now);
			continue;
		}
		w.sent[i]++;
		x.source = at(i, p.handle);
		for (unsigned h = 1; h <= 3; h++) {
			there = at(!i, h);
			if (snet_addr_eq(&there, &p.to)) {
				x.to = !i;
				x.handle = h;
			}
		}
		if (x.to >= 0 && w.n < WAY_MAX && !(w.drop && w.drop(&x)))
			w.way[w.n++] = x;
	}
	while (snet_agent_event(w.a[i], &ev))
		hear(i, &ev);
}

static void run_until(snet_time end)
{
	for (;;) {
		snet_time next = end;
		int due = -1, first = -1;

		for (int i = 0; i < 2; i++)
			if (w.a[i] && snet_agent_deadline(w.a[i]) < next) {
				next = snet_agent_deadline(w.a[i]);
				due = i;
			}
		for (size_t k = 0; k < w.n; k++)
			if (w.way[k].at <= next && (first < 0 || w.way[k].at < w.way[first].at))
				first = (int)k;
		if (first >= 0 && w.way[first].at < end) {
			struct way x = w.way[first];

			memmove(&w.way[first], &w.way[first + 1],
				(w.n - (size_t)first - 1) * sizeof(x));
			w.n--;
			w.now = x.at;
			snet_agent_input(w.a[x.to], x.handle, &x.source, x.p.p, x.p.n, w.now);
			drain(x.to);
		} else if (due >= 0) {
			assert_true(next >= w.now);
			w.now = next;
			snet_agent_step(w.a[due], w.now);
			drain(due);
		} else {
			w.now = end;
			return;
		}
	}
}

static void random_bytes(uint8_t out[static SNET_AGENT_RANDOM], uint8_t fill, uint8_t tie)
{
	memset(out, fill, SNET_AGENT_RANDOM);
	memset(out + 16, tie, 8);
}

static void make(int i, const struct snet_agent_config *config, uint8_t tie)
{
	uint8_t bytes[SNET_AGENT_RANDOM];

	random_bytes(bytes, (uint8_t)(0x40 + i), tie);
	assert_int_equal(snet_agent_new(&w.a[i], config, bytes, NULL), SNET_OK);
	snet_agent_start(w.a[i], w.now);
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.now = 1000 * SNET_SEC;
	delay = DELAY;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	snet_agent_free(w.a[0]);
	snet_agent_free(w.a[1]);
	return 0;
}

static void greet(int i)
{
	assert_int_equal(snet_agent_set_remote(w.a[i], snet_agent_ufrag(w.a[!i]),
					       snet_agent_pwd(w.a[!i]), w.now),
			 SNET_OK);
	drain(i);
}

static void add(int i, unsigned handle)
{
	struct snet_local c = local(i, handle);

	assert_int_equal(snet_agent_add_local(w.a[i], &c, w.now), SNET_OK);
	drain(i);
}

static void tell(int i, unsigned handle) /* i hears of the other's */
{
	struct snet_candidate c = remote(!i, handle);

	snet_agent_add_remote(w.a[i], &c, w.now);
	drain(i);
}

static void end(int i)
{
	snet_agent_end_local(w.a[i], w.now);
	snet_agent_end_remote(w.a[i], w.now);
	drain(i);
}

/* Agent 1 controls; both have bases 1 to n, and know each other's. */
static void both_of(unsigned n, struct snet_agent_config c)
{
	for (int i = 0; i < 2; i++) {
		c.controlling = i;
		make(i, &c, (uint8_t)(5 + i));
		for (unsigned h = 1; h <= n; h++)
			add(i, h);
	}
	for (int i = 0; i < 2; i++)
		greet(i);
	for (int i = 0; i < 2; i++) {
		for (unsigned h = 1; h <= n; h++)
			tell(i, h);
		end(i);
	}
}

static void both(unsigned n)
{
	both_of(n, snet_agent_defaults);
}

static void assert_mirror(void)
{
	struct snet_agent_event x, y;
	struct snet_addr there;

	assert_true(snet_agent_selected(w.a[0], &x) && snet_agent_selected(w.a[1], &y));
	there = at(0, x.local.handle);
	assert_true(snet_addr_eq(&y.remote.address, &there));
	there = at(1, y.local.handle);
	assert_true(snet_addr_eq(&x.remote.address, &there));
	assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_COMPLETED);
	assert_int_equal(snet_agent_state(w.a[1]), SNET_AGENT_COMPLETED);
}

/* ---- the ordinary case */

static void two_agents_select_the_best_pair_in_three_round_trips(void **state)
{
	snet_time t = w.now;

	(void)state;
	both(2);
	run_until(t + 3 * 2 * DELAY);
	assert_mirror();
	assert_int_equal(w.selected[0].local.handle, 1);
	assert_int_equal(w.selected[1].local.handle, 1);
	assert_int_equal(w.selected[1].rtt, 2 * DELAY);
	assert_true(w.selected[1].took <= 4 * DELAY + SNET_MS);
	assert_false(w.selected[1].changed);
	run_until(t + 30 * SNET_SEC);
	assert_int_equal(w.selections[0], 1);
	assert_int_equal(w.selections[1], 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(w.states[i], 1u << SNET_AGENT_GATHERING |
						      1u << SNET_AGENT_EXCHANGING |
						      1u << SNET_AGENT_CHECKING |
						      1u << SNET_AGENT_CONNECTED |
						      1u << SNET_AGENT_COMPLETED);
}

/* What goes over the wire first. */
static struct snet_stunmsg m;
static struct way last;
static bool look(const struct way *x)
{
	last = *x;
	return snet_stunmsg_parse(&m, last.p.p, last.p.n) == SNET_OK;
}

static void a_check_says_what_rfc_8445_wants(void **state)
{
	char name[2 * SNET_AGENT_UFRAG + 2];
	struct snet_stun_key key;
	struct snet_slice s;
	uint64_t v;

	(void)state;
	w.drop = look;
	both(1);
	assert_int_equal(m.cls, SNET_STUN_REQUEST);
	assert_int_equal(last.from, 1);
	assert_true(snet_stunmsg_get(&m, SNET_STUN_USERNAME, &s));
	snprintf(name, sizeof(name), "%s:%s", snet_agent_ufrag(w.a[0]),
		 snet_agent_ufrag(w.a[1]));
	assert_int_equal(s.n, strlen(name));
	assert_memory_equal(s.p, name, s.n);
	assert_int_equal(snet_stun_key_short(&key, snet_agent_pwd(w.a[0])), SNET_OK);
	assert_int_equal(snet_stunauth_check(&m, SNET_STUN_SHA1, &key), SNET_OK);
	assert_true(m.fingerprint);
	assert_true(snet_stunmsg_number(&m, SNET_STUN_PRIORITY, &v));
	assert_int_equal(v, snet_candidate_priority(SNET_CANDIDATE_PRFLX, 65534, 1));
	assert_true(snet_stunmsg_number(&m, SNET_STUN_ICE_CONTROLLING, &v));
	assert_true(v == 0x0606060606060606u);
	assert_false(snet_stunmsg_get(&m, SNET_STUN_ICE_CONTROLLED, NULL));
	assert_false(snet_stunmsg_get(&m, SNET_STUN_USE_CANDIDATE, NULL)); /* regular */
}

static snet_time sends[64];
static size_t sends_n;
static bool record(const struct way *x)
{
	(void)x;
	if (sends_n < N(sends))
		sends[sends_n++] = w.now;
	return true;
}

static void a_check_without_answer_is_sent_three_times_and_fails(void **state)
{
	static const snet_time want[] = { 0, 500 * SNET_MS, 1500 * SNET_MS };
	snet_time t = w.now;

	(void)state;
	sends_n = 0;
	w.drop = record;
	make(1, &snet_agent_defaults, 1);
	make(0, &snet_agent_defaults, 2);
	add(1, 1);
	greet(1);
	tell(1, 1);
	run_until(t + 1999 * SNET_MS);
	assert_int_equal(w.checked[1], 0);
	run_until(t + 2001 * SNET_MS);
	assert_int_equal(sends_n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(sends[i], t + want[i]);
	assert_int_equal(w.checked[1], 1);
	assert_int_equal(snet_agent_checklist(w.a[1])->pairs[0].state, SNET_PAIR_FAILED);
	/* and is tried again while there is time */
	run_until(t + 10 * SNET_SEC);
	assert_true(sends_n > 6);
	assert_int_equal(snet_agent_state(w.a[1]), SNET_AGENT_CHECKING);
}

static bool record_first(const struct way *x) /* to whomever, and it leaves */
{
	record(x);
	return false;
}

/* Every pair of a foundation of its own; of what type our bases are, and the peer's. */
static const struct pace {
	enum snet_candidate_type ours, its;
	unsigned bases, remotes;
	size_t n;
	unsigned ms[12]; /* when the new checks leave */
} paces[] = {
	/* through a relay: no sooner than in their time */
	{ SNET_CANDIDATE_RELAY, SNET_CANDIDATE_HOST, 2, 3, 6, { 0, 50, 100, 150, 200, 250 } },
	{ SNET_CANDIDATE_HOST, SNET_CANDIDATE_RELAY, 2, 3, 6, { 0, 50, 100, 150, 200, 250 } },
	/* the first foundations before it */
	{ SNET_CANDIDATE_HOST, SNET_CANDIDATE_HOST, 1, 3, 3, { 0, 5, 10 } },
	{ SNET_CANDIDATE_HOST, SNET_CANDIDATE_SRFLX, 3, 1, 3, { 0, 5, 10 } },
	/* eight of them, and that is paid for */
	{ SNET_CANDIDATE_HOST,
	  SNET_CANDIDATE_HOST,
	  3,
	  4,
	  11,
	  { 0, 5, 10, 15, 20, 25, 30, 35, 40, 450, 500 } },
};

static void the_first_checks_leave_early_and_all_of_them_at_the_pace(void **state)
{
	(void)state;
	for (size_t k = 0; k < N(paces); k++) {
		const struct pace *x = &paces[k];
		snet_time t;

		set_up(NULL);
		t = w.now;
		sends_n = 0;
		make(1, &snet_agent_defaults, 1);
		make(0, &snet_agent_defaults, 2);
		for (unsigned h = 1; h <= x->bases; h++) {
			struct snet_local c = local(1, h);

			c.c.type = x->ours;
			assert_int_equal(snet_agent_add_local(w.a[1], &c, w.now), SNET_OK);
		}
		for (unsigned h = 1; h <= x->remotes; h++) {
			struct snet_candidate c = remote(0, h);

			c.type = x->its;
			assert_int_equal(snet_agent_add_remote(w.a[1], &c, w.now), SNET_OK);
		}
		w.drop = any;
		w.refuse = record_first;
		greet(1);
		run_until(t + 549 * SNET_MS);
		assert_true(sends_n >= x->n);
		for (size_t i = 0; i < x->n; i++)
			assert_int_equal(sends[i], t + x->ms[i] * SNET_MS);
		/* next is what has had no answer */
		assert_true(sends_n == x->n || sends[x->n] >= t + 500 * SNET_MS);
		tear_down(NULL);
		w.a[0] = w.a[1] = NULL;
	}
}

/* The address that leads through two NATs comes later than the one that does not. */
static void an_address_that_a_server_saw_does_not_wait_for_its_turn(void **state)
{
	struct snet_candidate c = remote(0, 2), via = remote(0, 3);
	snet_time t = w.now;

	(void)state;
	sends_n = 0;
	w.drop = record;
	make(1, &snet_agent_defaults, 1);
	make(0, &snet_agent_defaults, 2);
	add(1, 1);
	greet(1);
	tell(1, 1);
	run_until(t + 7 * SNET_MS);
	c.type = SNET_CANDIDATE_SRFLX;
	via.type = SNET_CANDIDATE_RELAY;
	assert_int_equal(snet_agent_add_remote(w.a[1], &via, w.now), SNET_OK);
	assert_int_equal(snet_agent_add_remote(w.a[1], &c, w.now), SNET_OK);
	drain(1);
	run_until(t + 400 * SNET_MS);
	assert_int_equal(sends_n, 3);
	assert_true(sends[0] == t && sends[1] == t + 7 * SNET_MS);
	/* A relay gains nothing by that. */
	assert_true(sends[2] == t + 100 * SNET_MS);
}

static bool to_first(const struct way *x)
{
	return x->handle == 1;
}

static void what_is_unreachable_holds_up_nobody(void **state)
{
	snet_time t = w.now;

	(void)state;
	w.drop = to_first; /* the best base of both, that is */
	both(2);
	run_until(t + 500 * SNET_MS);
	assert_mirror();
	assert_int_equal(w.selected[0].local.handle, 2);
	assert_int_equal(w.selected[1].local.handle, 2);
}

static void a_host_that_cannot_be_reached_fails_its_own_pair(void **state)
{
	struct snet_addr there = at(0, 1);

	(void)state;
	w.drop = any;
	both(2);
	snet_agent_unreachable(w.a[1], 1, &there, w.now);
	drain(1);
	assert_int_equal(w.checked[1], 1);
	assert_int_equal(snet_checklist_count(snet_agent_checklist(w.a[1]), SNET_PAIR_FAILED),
			 1);
}

/* ---- what does not leave */

static bool from_first(const struct way *x)
{
	return x->from == 1 && x->p.handle == 1;
}

static bool by_first(const struct way *x)
{
	return from_first(x) || (x->to == 1 && x->handle == 1);
}

static void what_never_left_takes_nobodys_turn(void **state)
{
	snet_time t = w.now;

	(void)state;
	w.drop = any;
	w.refuse = from_first; /* the best base of agent 1 */
	both(2);
	assert_int_equal(w.sent[1], 1); /* of the other base, and at once */
	assert_int_equal(snet_agent_counts(w.a[1])->checks, 1);
	assert_int_equal(snet_checklist_count(snet_agent_checklist(w.a[1]), SNET_PAIR_FAILED),
			 1);
	run_until(t + 5 * SNET_MS - 1); /* of another foundation: early */
	assert_int_equal(w.sent[1], 1);
	run_until(t + 5 * SNET_MS);
	/* The deadline is now, its turn with it. */
	snet_agent_step(w.a[1], w.now);
	drain(1);
	assert_int_equal(w.sent[1], 2);
	assert_int_equal(snet_checklist_count(snet_agent_checklist(w.a[1]), SNET_PAIR_FAILED),
			 2);
}

static void a_dead_interface_costs_no_time(void **state)
{
	snet_time t = w.now, took;
	struct snet_addr there;

	both(1);
	run_until(t + SNET_SEC);
	took = w.selected[1].took;
	tear_down(state);
	set_up(state);
	w.drop = by_first;
	w.refuse = from_first;
	both(2);
	for (unsigned h = 1; h <= 2; h++) { /* as the driver does, of pairs that wait */
		there = at(0, h);
		snet_agent_no_way(w.a[1], 1, &there, w.now);
	}
	run_until(t + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 2);
	assert_true(took && w.selected[1].took <= took);
}

static void a_pair_is_given_up_before_its_turn_if_it_leads_nowhere(void **state)
{
	struct snet_addr there = at(0, 1);

	(void)state;
	w.drop = any;
	both(2); /* one is under way, three wait */
	snet_agent_no_way(w.a[1], 2, &there, w.now);
	drain(1);
	assert_int_equal(w.checked[1], 1);
	assert_int_equal(
		snet_checklist_find((struct snet_checklist *)snet_agent_checklist(w.a[1]), 2,
				    &there)
			->state,
		SNET_PAIR_FAILED);
	assert_int_equal(w.sent[1], 1); /* it has had no turn, and gives none */
}

static void a_packet_that_came_speaks_for_its_way(void **state)
{
	struct snet_addr there = at(0, 1);

	(void)state;
	w.refuse = from_first;
	w.drop = from_first;
	both(1);
	assert_int_equal(w.sent[1], 0);
	run_until(w.now + DELAY + SNET_MS);
	/* Agent 0 has checked it: answered, and checked in turn, whatever routes say. */
	assert_int_equal(w.sent[1], 2);
	snet_agent_no_way(w.a[1], 1, &there, w.now);
	assert_int_equal(
		snet_checklist_count(snet_agent_checklist(w.a[1]), SNET_PAIR_IN_PROGRESS), 1);
}

static bool all_but_one_pair(const struct way *x)
{
	struct snet_addr there = at(0, 1);

	return x->from == 1 && !(x->p.handle == 2 && snet_addr_eq(&x->p.to, &there));
}

/* The pairs that lead nowhere fail at once; those that lack an answer are repeated, and given
 * up, when they would have been without them. */
static void what_never_left_hurries_nobody(void **state)
{
	snet_time t = w.now, long_enough = 1990 * SNET_MS;
	unsigned alone;

	w.drop = any;
	both(1);
	run_until(t + long_enough);
	alone = w.sent[1];
	tear_down(state);
	set_up(state);
	w.drop = any;
	w.refuse = all_but_one_pair;
	both(2);
	run_until(t + long_enough);
	assert_int_equal(w.sent[1], alone);
	/* And they are tried anew when nothing else is: the way may be there by then. */
	w.refuse = NULL;
	run_until(t + 10 * SNET_SEC);
	assert_true(w.sent[1] > alone + 4);
}

static bool all_but_the_second(const struct way *x)
{
	return x->p.handle != 2 || x->handle != 2;
}

static snet_time first[4]; /* by base of agent 1: when its first check to base 1 left */
static bool note_time(const struct way *x)
{
	struct snet_addr there = at(0, 1);

	if (x->from == 1 && !first[x->p.handle] && snet_addr_eq(&x->p.to, &there))
		first[x->p.handle] = w.now;
	return false;
}

/* A pair works, and better ones have not had their turn: they need not wait for it. */
static void once_a_pair_works_the_better_ones_are_looked_at_at_once(void **state)
{
	struct snet_agent_config c = snet_agent_defaults;
	struct snet_candidate better = remote(0, 1);
	snet_time t = w.now, works;

	(void)state;
	c.check_pace = 200 * SNET_MS;
	memset(first, 0, sizeof(first));
	w.refuse = note_time;
	w.drop = all_but_the_second; /* from base 2 to base 2 */
	for (int i = 0; i < 2; i++) {
		c.controlling = i;
		make(i, &c, (uint8_t)(5 + i));
	}
	add(0, 2);
	add(1, 2);
	greet(0);
	greet(1);
	tell(0, 2);
	tell(1, 2); /* its check is on its way ... */
	add(1, 1);
	add(1, 3);
	better.type = SNET_CANDIDATE_PRFLX; /* of no kind that goes early */
	assert_int_equal(snet_agent_add_remote(w.a[1], &better, w.now), SNET_OK);
	end(1); /* ... when better ones turn up */
	works = t + 2 * DELAY;
	run_until(t + SNET_SEC);
	assert_true(first[1] == works && first[2] == works + 10 * SNET_MS);
	assert_true(!first[3]); /* of this none is better: it waits, and is not wanted then */
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 2);
}

/* However many went early before it. */
static void the_first_of_a_kind_is_never_too_late(void **state)
{
	struct snet_candidate c = remote(0, 1);
	snet_time t = w.now;

	(void)state;
	w.drop = any;
	w.refuse = record_first;
	make(1, &snet_agent_defaults, 1);
	make(0, &snet_agent_defaults, 2);
	for (unsigned h = 1; h <= 3; h++)
		add(1, h);
	greet(1);
	for (unsigned h = 1; h <= 4; h++)
		tell(1, h);
	run_until(t + 100 * SNET_MS);
	sends_n = 0;
	snet_addr_set_port(&c.address, 700);
	strcpy(c.foundation, "seen");
	c.type = SNET_CANDIDATE_SRFLX;
	assert_int_equal(snet_agent_add_remote(w.a[1], &c, w.now), SNET_OK);
	drain(1);
	run_until(t + 400 * SNET_MS);
	assert_int_equal(sends_n, 1);
	assert_true(sends[0] == t + 100 * SNET_MS);
}

static void nothing_is_early_once_a_pair_works(void **state)
{
	snet_time t = w.now;

	(void)state;
	sends_n = 0;
	w.refuse = record_first; /* of both */
	both(3);
	run_until(t + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 1);
	assert_true(sends_n >= 4);
	for (size_t i = 0; i < sends_n; i++)
		assert_true(sends[i] <= t + 2 * DELAY);
}

static bool to_second(const struct way *x)
{
	struct snet_addr there = at(0, 2);

	return snet_addr_eq(&x->p.to, &there);
}

static void what_never_left_early_is_not_paid_for(void **state)
{
	struct snet_candidate via = remote(0, 3);
	snet_time t = w.now;

	(void)state;
	sends_n = 0;
	w.drop = record;
	w.refuse = to_second;
	make(1, &snet_agent_defaults, 1);
	make(0, &snet_agent_defaults, 2);
	add(1, 1);
	greet(1);
	tell(1, 1);
	tell(1, 2);
	via.type = SNET_CANDIDATE_RELAY;
	assert_int_equal(snet_agent_add_remote(w.a[1], &via, w.now), SNET_OK);
	run_until(t + 400 * SNET_MS);
	assert_int_equal(sends_n, 2);
	assert_true(sends[0] == t && sends[1] == t + 50 * SNET_MS);
}

/* Better ones were checked before, and have had their time; asking once more, when one works,
 * does not give them all of it anew. One that does answer late is taken all the same. */
static void what_was_checked_before_is_not_waited_for_anew(void **state)
{
	snet_time t = w.now;

	(void)state;
	w.drop = to_first;
	both(2);
	run_until(t + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 2);
	/* The fourth to leave works, 15 ms after the first; asked for: a round trip. */
	assert_true(w.selected[1].took >= 15 * SNET_MS + 2 * 2 * DELAY + 2 * DELAY);
	assert_true(w.selected[1].took <= 15 * SNET_MS + 2 * 2 * DELAY + 3 * DELAY);
	w.drop = NULL;
	run_until(t + 10 * SNET_SEC);
	assert_mirror();
}

/* The last of those that are in vain leaves 10 ms after the first: with the first they are
 * hoped for, all together. */
static void who_had_to_wait_for_its_turn_is_not_waited_for_longer(void **state)
{
	snet_time t = w.now;

	(void)state;
	delay = SNET_MS;
	w.drop = to_first;
	both(2);
	run_until(t + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 2);
	assert_true(w.selected[1].took >= 20 * SNET_MS);
	assert_true(w.selected[1].took <= 25 * SNET_MS);
}

/* ---- in which order */

static struct snet_addr order[8];
static size_t order_n;
static bool note_order(const struct way *x)
{
	if (x->from == 1 && order_n < N(order))
		order[order_n++] = x->p.to;
	return false;
}

/* One that a server has seen goes before the second that the peer says; then by priority. */
static void the_best_of_each_kind_goes_first(void **state)
{
	struct snet_agent_config c = snet_agent_defaults;
	struct snet_candidate host[3], mapped[2];
	snet_time t = w.now;

	(void)state;
	order_n = 0;
	w.drop = any;
	w.refuse = note_order;
	c.controlling = true;
	make(0, &snet_agent_defaults, 5);
	make(1, &c, 6);
	add(1, 1);
	greet(1);
	for (unsigned h = 0; h < 3; h++) {
		host[h] = remote(0, h + 1);
		assert_int_equal(snet_agent_add_remote(w.a[1], &host[h], w.now), SNET_OK);
	}
	for (unsigned h = 0; h < 2; h++) {
		mapped[h] = remote(0, h + 1);
		snet_addr_set_port(&mapped[h].address, 700);
		mapped[h].type = SNET_CANDIDATE_SRFLX;
		mapped[h].priority =
			snet_candidate_priority(SNET_CANDIDATE_SRFLX, (uint16_t)(65535 - h), 1);
		snprintf(mapped[h].foundation, sizeof(mapped[h].foundation), "s%u", h);
		assert_int_equal(snet_agent_add_remote(w.a[1], &mapped[h], w.now), SNET_OK);
	}
	drain(1);
	/* Nobody is there: what matters is where they went. */
	run_until(t + 5 * snet_agent_defaults.check_pace - 1);
	assert_int_equal(w.sent[1], 5);
	assert_int_equal(order_n, 5);
	assert_true(snet_addr_eq(&order[0], &host[0].address));
	assert_true(snet_addr_eq(&order[1], &mapped[0].address));
	assert_true(snet_addr_eq(&order[2], &host[1].address));
	assert_true(snet_addr_eq(&order[3], &host[2].address));
	assert_true(snet_addr_eq(&order[4], &mapped[1].address));
}

/* ---- roles */

static void a_conflict_of_roles_is_settled_by_the_tie_breakers(void **state)
{
	static const struct {
		bool controlling;
		uint8_t tie[2];
		int winner; /* who controls in the end */
	} cases[] = {
		{ true, { 1, 2 }, 1 },
		{ true, { 2, 1 }, 0 },
		{ false, { 1, 2 }, 1 },
		{ false, { 2, 1 }, 0 },
	};

	(void)state;
	for (size_t k = 0; k < N(cases); k++) {
		struct snet_agent_config c = snet_agent_defaults;

		set_up(NULL);
		c.controlling = cases[k].controlling;
		for (int i = 0; i < 2; i++) {
			make(i, &c, cases[k].tie[i]);
			add(i, 1);
		}
		greet(0);
		greet(1);
		tell(0, 1);
		tell(1, 1);
		run_until(w.now + SNET_SEC);
		assert_mirror();
		assert_int_equal(w.roles[0] + w.roles[1], 1);
		assert_true(snet_agent_is_controlling(w.a[cases[k].winner]));
		assert_false(snet_agent_is_controlling(w.a[!cases[k].winner]));
		tear_down(NULL);
		w.a[0] = w.a[1] = NULL;
	}
}

/* ---- a peer that says what we like: agent 0 is ours, these are its. */

struct say {
	enum snet_stun_class cls;
	bool no_user, no_mac, no_priority, use, controlling, unknown;
	const char *user, *pwd; /* NULL: the right ones */
	uint64_t tie;
	uint8_t id;
};

static size_t say(uint8_t p[static SNET_AGENT_MTU], const struct say *x)
{
	uint8_t id[SNET_STUN_ID] = { 1, 2, 3, x->id };
	struct snet_stun_key key;
	struct snet_stunout o;
	char name[600];

	snprintf(name, sizeof(name), "%s:%s", snet_agent_ufrag(w.a[0]),
		 w.a[1] ? snet_agent_ufrag(w.a[1]) : "peer");
	assert_int_equal(snet_stun_key_short(&key, x->pwd ? x->pwd : snet_agent_pwd(w.a[0])),
			 SNET_OK);
	snet_stunmsg_begin(&o, p, SNET_AGENT_MTU, x->cls, SNET_STUN_BINDING, id);
	if (!x->no_user)
		snet_stunmsg_put_text(&o, SNET_STUN_USERNAME, x->user ? x->user : name);
	if (!x->no_priority)
		snet_stunmsg_put_number(&o, SNET_STUN_PRIORITY, 1000);
	snet_stunmsg_put_number(
		&o, x->controlling ? SNET_STUN_ICE_CONTROLLING : SNET_STUN_ICE_CONTROLLED,
		x->tie);
	if (x->use)
		snet_stunmsg_put(&o, SNET_STUN_USE_CANDIDATE, NULL, 0);
	if (x->unknown) { /* the writer knows none such */
		memcpy(p + o.n, "\x77\x77\0\0", 4);
		o.n += 4;
	}
	if (!x->no_mac)
		snet_stunauth_put(&o, SNET_STUN_SHA1, &key);
	snet_stunmsg_put_fingerprint(&o);
	assert_true(snet_stunmsg_end(&o));
	return snet_stunmsg_end(&o);
}

/* One agent, controlled, with one base; nothing reaches its peer. */
static void alone(void)
{
	w.drop = any;
	make(0, &snet_agent_defaults, 5);
	add(0, 1);
}

static int lie(const struct say *x, struct snet_agent_packet *answer)
{
	struct snet_addr from = at(1, 1);
	uint8_t p[SNET_AGENT_MTU];
	size_t n = say(p, x);
	int rc = snet_agent_input(w.a[0], 1, &from, p, n, w.now);

	answer->n = 0;
	if (!snet_agent_next(w.a[0], answer))
		return rc;
	assert_true(answer->n <= 3 * n);
	assert_true(snet_addr_eq(&answer->to, &from));
	assert_int_equal(snet_stunmsg_parse(&m, answer->p, answer->n), SNET_OK);
	return rc;
}

static void what_is_not_proven_is_dropped_and_counted(void **state)
{
	static const struct {
		struct say say;
		int rc;
	} cases[] = {
		{ { .no_mac = true }, SNET_EINTEGRITY },
		{ { .no_user = true }, SNET_EINTEGRITY },
		{ { .no_user = true, .no_mac = true }, SNET_EINTEGRITY },
		{ { .pwd = "wrong-wrong-wrong-wrong" }, SNET_EINTEGRITY },
		{ { .user = "nobody:peer" }, SNET_EINTEGRITY },
		{ { .user = "" }, SNET_EINTEGRITY },
		{ { .user = ":" }, SNET_EINTEGRITY },
		{ { .cls = SNET_STUN_SUCCESS }, SNET_EAGAIN },
		{ { .cls = SNET_STUN_ERROR }, SNET_EAGAIN },
	};
	const struct snet_agent_counts *counts;
	struct snet_agent_packet answer;

	(void)state;
	alone();
	counts = snet_agent_counts(w.a[0]);
	for (size_t i = 0; i < N(cases); i++) {
		assert_int_equal(lie(&cases[i].say, &answer), cases[i].rc);
		assert_int_equal(answer.n, 0);
	}
	assert_int_equal(counts->unauthenticated, 3);
	assert_int_equal(counts->forged, 1);
	assert_int_equal(counts->stale, 3);
	assert_int_equal(counts->requests, 0);
	assert_int_equal(snet_agent_checklist(w.a[0])->remotes_n, 0);
	assert_int_equal(w.roles[0], 0);
}

static void what_is_proven_but_wrong_is_answered_with_an_error(void **state)
{
	struct snet_agent_packet answer;
	struct snet_stun_key key;

	(void)state;
	alone();
	assert_int_equal(snet_stun_key_short(&key, snet_agent_pwd(w.a[0])), SNET_OK);
	assert_int_equal(lie(&(struct say){ .unknown = true }, &answer), SNET_EPROTO);
	assert_int_equal(snet_stunmsg_error(&m, NULL), 420);
	assert_int_equal(snet_stunauth_check(&m, SNET_STUN_SHA1, &key), SNET_OK);
	assert_int_equal(lie(&(struct say){ .no_priority = true }, &answer), SNET_EPROTO);
	assert_int_equal(snet_stunmsg_error(&m, NULL), 400);
	/* It says that it is controlled, as we are, and its tie-breaker is the greater one. */
	assert_int_equal(lie(&(struct say){ .tie = UINT64_MAX }, &answer), SNET_OK);
	assert_int_equal(snet_stunmsg_error(&m, NULL), 487);
	assert_false(snet_agent_is_controlling(w.a[0]));
	assert_int_equal(snet_agent_checklist(w.a[0])->remotes_n, 0);
}

static void a_check_before_the_credentials_is_answered_and_remembered(void **state)
{
	struct snet_agent_packet answer;
	struct snet_addr seen, from = at(1, 1);

	(void)state;
	alone();
	assert_int_equal(lie(&(struct say){ .controlling = true }, &answer), SNET_OK);
	assert_int_equal(m.cls, SNET_STUN_SUCCESS);
	assert_true(snet_stunmsg_addr(&m, SNET_STUN_XOR_MAPPED_ADDRESS, &seen));
	assert_true(snet_addr_eq(&seen, &from));
	assert_int_equal(snet_agent_checklist(w.a[0])->remotes_n, 0);
	for (int i = 0; i < 100; i++) /* only so many are */
		lie(&(struct say){ .controlling = true, .id = (uint8_t)i }, &answer);
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", "0123456789012345678901", w.now),
			 SNET_OK);
	assert_int_equal(snet_agent_checklist(w.a[0])->remotes_n, 1);
	assert_true(snet_agent_next(w.a[0], &answer)); /* the triggered check */
	assert_true(snet_addr_eq(&answer.to, &from));
}

static void credentials_of_another_peer_prove_nothing(void **state)
{
	struct snet_agent_packet answer;

	(void)state;
	alone();
	assert_int_equal(lie(&(struct say){ .controlling = true }, &answer), SNET_OK);
	/* Somebody else's: what was remembered was not of this peer. */
	assert_int_equal(
		snet_agent_set_remote(w.a[0], "other", "0123456789012345678901", w.now),
		SNET_OK);
	assert_int_equal(snet_agent_checklist(w.a[0])->remotes_n, 0);
	assert_int_equal(lie(&(struct say){ .controlling = true }, &answer), SNET_EINTEGRITY);
	assert_int_equal(snet_agent_counts(w.a[0])->stale, 1);
}

static void the_peers_check_triggers_one_of_ours_without_delay(void **state)
{
	struct snet_candidate c = remote(1, 2);
	struct snet_agent_packet answer, check;
	struct snet_addr from = at(1, 1);

	(void)state;
	alone();
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", "0123456789012345678901", w.now),
			 SNET_OK);
	assert_int_equal(snet_agent_add_remote(w.a[0], &c, w.now), SNET_OK);
	assert_true(snet_agent_next(w.a[0], &check)); /* the next one is 50 ms away */
	assert_int_equal(lie(&(struct say){ .controlling = true }, &answer), SNET_OK);
	assert_int_equal(m.cls, SNET_STUN_SUCCESS);
	assert_true(snet_agent_next(w.a[0], &check));
	assert_true(snet_addr_eq(&check.to, &from));
	assert_int_equal(snet_stunmsg_parse(&m, check.p, check.n), SNET_OK);
	assert_int_equal(m.cls, SNET_STUN_REQUEST);
	/* Said again, and again: it is under way. */
	for (int i = 0; i < 100; i++) {
		lie(&(struct say){ .controlling = true, .id = (uint8_t)i }, &answer);
		assert_false(snet_agent_next(w.a[0], &check));
	}
}

static void bad_bytes_change_nothing(void **state)
{
	const struct snet_agent_counts *counts;
	struct snet_addr from = at(1, 1);
	struct snet_agent_packet none;
	uint8_t p[SNET_AGENT_MTU];
	size_t n;

	(void)state;
	alone();
	counts = snet_agent_counts(w.a[0]);
	n = say(p, &(struct say){ .controlling = true });
	for (size_t i = 0; i < n; i++) { /* every prefix */
		int rc = snet_agent_input(w.a[0], 1, &from, p, i, w.now);

		assert_true(rc < 0);
	}
	for (size_t i = 0; i < 8 * (n - 8); i++) { /* every bit but those of the checksum */
		p[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_true(snet_agent_input(w.a[0], 1, &from, p, n, w.now) < 0);
		p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_false(snet_agent_next(w.a[0], &none));
	assert_int_equal(counts->requests, 0);
	assert_true(counts->malformed > 0);
	assert_int_equal(
		snet_agent_input(w.a[0], 1, &from, (const uint8_t *)"\xc0quic", 5, w.now),
		SNET_EAGAIN);
	assert_int_equal(snet_agent_input(w.a[0], 1, &from, p, n, w.now), SNET_OK);
}

static void ten_thousand_candidates_are_a_few_and_a_number(void **state)
{
	const struct snet_agent_counts *counts;
	snet_time t = w.now;

	(void)state;
	alone();
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", "0123456789012345678901", w.now),
			 SNET_OK);
	counts = snet_agent_counts(w.a[0]);
	for (unsigned i = 0; i < 10000; i++) {
		struct snet_candidate c = remote(1, 1);

		snet_addr_set_port(&c.address, (uint16_t)(1 + i));
		snet_agent_add_remote(w.a[0], &c, w.now);
		drain(0);
	}
	assert_int_equal(counts->refused, 10000 - SNET_REMOTES_TOLD_MAX);
	assert_int_equal(snet_agent_checklist(w.a[0])->remotes_n, SNET_REMOTES_TOLD_MAX);
	run_until(t + 30 * SNET_SEC);
	/* Ta is for new checks; each is sent three times at most. */
	assert_true(w.sent[0] <= 3 * 30 * 20);
}

static void unsafe_candidates_are_refused(void **state)
{
	static const struct {
		const char *at;
		uint32_t component;
		int rc;
	} cases[] = {
		{ "127.0.0.1:1", 1, SNET_EPOLICY },
		{ "224.0.0.1:1", 1, SNET_EPOLICY },
		{ "169.254.169.254:80", 1, SNET_EPOLICY },
		{ "[::ffff:10.0.0.1]:1", 1, SNET_EPOLICY },
		{ "10.9.9.9:1", 2, SNET_ENOSYS },
		{ "10.9.9.9:1", 1, SNET_OK },
		{ "10.9.9.9:1", 1, SNET_EAGAIN },
	};
	struct snet_local lo = { .handle = 9 };

	(void)state;
	alone();
	for (size_t i = 0; i < N(cases); i++) {
		struct snet_candidate c = { .foundation = "1",
					    .component = cases[i].component,
					    .priority = 1 };

		assert_int_equal(snet_addr_parse(&c.address, cases[i].at), SNET_OK);
		assert_int_equal(snet_agent_add_remote(w.a[0], &c, w.now), cases[i].rc);
	}
	assert_int_equal(snet_agent_counts(w.a[0])->refused, 5);
	/* Who offers loopback itself may be sent there. */
	lo.c = (struct snet_candidate){ .foundation = "2", .component = 1, .priority = 1 };
	assert_int_equal(snet_addr_parse(&lo.c.address, "127.0.0.1:9"), SNET_OK);
	lo.base = lo.c.address;
	assert_int_equal(snet_agent_add_local(w.a[0], &lo, w.now), SNET_OK);
	snet_addr_set_port(&lo.c.address, 10);
	assert_int_equal(snet_agent_add_remote(w.a[0], &lo.c, w.now), SNET_OK);
}

static void credentials_are_held_to_the_rfc(void **state)
{
	static const char pwd[] = "0123456789012345678901";
	char longest[SNET_AGENT_NAME_MAX + 2];

	(void)state;
	alone();
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(strlen(snet_agent_ufrag(w.a[0])), SNET_AGENT_UFRAG);
	assert_int_equal(strlen(snet_agent_pwd(w.a[0])), SNET_AGENT_PWD);
	assert_int_equal(snet_agent_set_remote(w.a[0], "abc", pwd, w.now), SNET_EINVAL);
	assert_int_equal(snet_agent_set_remote(w.a[0], "ab:d", pwd, w.now), SNET_EINVAL);
	assert_int_equal(snet_agent_set_remote(w.a[0], "abcd", pwd + 1, w.now), SNET_EINVAL);
	assert_int_equal(snet_agent_set_remote(w.a[0], longest, pwd, w.now), SNET_EINVAL);
	assert_int_equal(snet_agent_set_remote(w.a[0], "abcd", longest, w.now), SNET_EINVAL);
	longest[SNET_AGENT_NAME_MAX] = '\0';
	assert_int_equal(snet_agent_set_remote(w.a[0], longest, longest, w.now), SNET_OK);
	assert_int_equal(snet_agent_set_remote(w.a[0], longest, longest, w.now), SNET_OK);
	assert_int_equal(snet_agent_set_remote(w.a[0], "abcd", pwd, w.now), SNET_EINVAL);
	tell(0, 1); /* the longest check there is fits */
	assert_int_equal(snet_agent_counts(w.a[0])->checks, 1);
}

/* ---- time */

static void without_an_answer_it_fails_in_time_and_not_before(void **state)
{
	static const struct {
		bool ended;
		snet_time after;
	} cases[] = { { true, 30 * SNET_SEC }, { false, 39500 * SNET_MS } };

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		snet_time t;
		unsigned sent;

		set_up(NULL);
		t = w.now;
		w.drop = any;
		make(0, &snet_agent_defaults, 1);
		make(1, &snet_agent_defaults, 2);
		add(0, 1);
		run_until(t + 100 * SNET_SEC); /* without the peer's credentials it waits */
		assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_GATHERING);
		t = w.now;
		greet(0);
		tell(0, 1);
		if (cases[i].ended)
			end(0);
		run_until(t + cases[i].after - SNET_MS);
		assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_CHECKING);
		run_until(t + cases[i].after + SNET_MS);
		assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_FAILED);
		assert_int_equal(w.failed[0].code, SNET_ETIMEOUT);
		assert_non_null(w.failed[0].why);
		sent = w.sent[0];
		run_until(t + 100 * SNET_SEC);
		assert_int_equal(w.sent[0], sent);
		assert_true(snet_agent_deadline(w.a[0]) == SNET_NEVER);
		tear_down(NULL);
		w.a[0] = w.a[1] = NULL;
	}
}

static void without_candidates_of_our_own_it_fails_at_once(void **state)
{
	(void)state;
	make(0, &snet_agent_defaults, 1);
	snet_agent_end_local(w.a[0], w.now);
	drain(0);
	assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_FAILED);
	assert_int_equal(w.failed[0].code, SNET_EUNREACH);
}

static void the_states_have_the_names_of_the_seed(void **state)
{
	static const char *const names[] = { "new",        "gathering", "gathering_complete",
					     "exchanging", "checking",  "connected",
					     "completed",  "failed",    "closed",
					     "?" };

	(void)state;
	for (size_t i = 0; i < N(names); i++)
		assert_string_equal(snet_agent_state_name((enum snet_agent_state)i), names[i]);
	make(0, &snet_agent_defaults, 1);
	add(0, 1);
	snet_agent_end_local(w.a[0], w.now);
	assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_GATHERED);
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", "0123456789012345678901", w.now),
			 SNET_OK);
	assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_EXCHANGING);
}

static void consent_is_asked_for_every_five_seconds(void **state)
{
	snet_time gap;

	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	assert_mirror();
	sends_n = 0;
	w.drop = record;
	snet_agent_close(w.a[0]);
	run_until(w.now + 6 * SNET_SEC);
	assert_int_equal(sends_n, 1);
	gap = sends[0] - w.selected[1].took - 1000 * SNET_SEC;
	assert_true(gap >= 4 * SNET_SEC && gap <= 6 * SNET_SEC);
}

/* However long it may be: it is asked for so long, and in its time. */
static void much_patience_with_a_silent_peer_is_no_busy_one(void **state)
{
	struct snet_agent_config c = snet_agent_defaults;
	snet_time end;

	(void)state;
	c.consent_timeout = 3600 * SNET_SEC;
	both_of(1, c);
	run_until(w.now + SNET_SEC);
	assert_int_equal(w.selections[0], 1);
	end = w.now + 3590 * SNET_SEC;
	w.drop = any;
	w.sent[0] = 0;
	while (w.now < end) {
		w.now = snet_agent_deadline(w.a[0]);
		snet_agent_step(w.a[0], w.now);
		drain(0);
		assert_true(snet_agent_deadline(w.a[0]) > w.now);
	}
	assert_true(w.sent[0] > 1800);
	assert_int_equal(w.lost[0], 0);
}

static void without_consent_and_another_pair_it_fails(void **state)
{
	snet_time t;

	(void)state;
	both(1);
	run_until(w.now + 20 * SNET_SEC);
	w.drop = any;
	t = w.now;
	run_until(t + 23 * SNET_SEC);
	assert_mirror(); /* at most six seconds of consent were used up */
	run_until(t + 31 * SNET_SEC);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(snet_agent_state(w.a[i]), SNET_AGENT_FAILED);
		assert_int_equal(w.lost[i], 1);
		assert_int_equal(w.failed[i].code, SNET_ELOST);
	}
}

static bool first_pair(const struct way *x)
{
	return x->handle == 1 || x->p.handle == 1;
}

static void a_pair_that_dies_is_replaced_before_consent_is_over(void **state)
{
	snet_time t;

	(void)state;
	both(2);
	run_until(w.now + 20 * SNET_SEC);
	assert_int_equal(w.selected[0].local.handle, 1);
	w.drop = first_pair;
	t = w.now;
	run_until(t + 20 * SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[0].local.handle, 2);
	assert_true(w.selected[0].changed && w.selected[1].changed);
	w.drop = NULL; /* and it may come back */
	run_until(t + 60 * SNET_SEC);
	assert_mirror();
	assert_int_equal(w.lost[0] + w.lost[1], 0);
}

static void a_base_that_goes_away_takes_its_pair_with_it(void **state)
{
	snet_time t;

	(void)state;
	both(2);
	run_until(w.now + 500 * SNET_MS);
	w.drop = first_pair;
	t = w.now;
	snet_agent_remove_base(w.a[1], 1, t);
	drain(1);
	assert_int_equal(w.lost[1], 1);
	run_until(t + 40 * SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 2);
	for (size_t i = 0; i < snet_agent_checklist(w.a[1])->pairs_n; i++) {
		const struct snet_pair *p = &snet_agent_checklist(w.a[1])->pairs[i];

		if (snet_pair_local(snet_agent_checklist(w.a[1]), p)->handle == 1)
			assert_true(p->barred && p->state == SNET_PAIR_FAILED);
	}
}

/* ---- what comes later */

static void a_better_pair_that_comes_later_is_selected(void **state)
{
	(void)state;
	both(2);
	/* As if base 3 were a cable that is plugged in now. */
	run_until(w.now + SNET_SEC);
	assert_mirror();
	for (int i = 0; i < 2; i++) {
		struct snet_local c = local(i, 3);

		c.c.priority = snet_candidate_priority(SNET_CANDIDATE_HOST, 65535, 1);
		assert_int_equal(snet_agent_add_local(w.a[i], &c, w.now), SNET_OK);
		assert_int_equal(snet_agent_add_remote(w.a[!i], &c.c, w.now), SNET_OK);
		drain(0);
		drain(1);
	}
	run_until(w.now + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 3);
	assert_true(w.selected[0].changed && w.selected[1].changed);
}

/* Base 1 of agent 1 is behind a NAT that hears no stranger, base 1 of agent 0 behind one that
 * gives each destination a port of its own: only what comes from there can be answered. */
static struct {
	bool spoken, heard;
} filter;

static bool is_turned_away(const struct way *x)
{
	if (x->handle != 1)
		return false;
	if (x->from == 1)
		filter.spoken = true;
	else if (filter.spoken)
		filter.heard = true;
	return !filter.heard;
}

static void add_relay(void)
{
	for (int i = 0; i < 2; i++) {
		struct snet_local c = local(i, 2);

		c.c.type = SNET_CANDIDATE_RELAY;
		c.c.priority = snet_candidate_priority(SNET_CANDIDATE_RELAY, 65533, 1);
		assert_int_equal(snet_agent_add_local(w.a[i], &c, w.now), SNET_OK);
		assert_int_equal(snet_agent_add_remote(w.a[!i], &c.c, w.now), SNET_OK);
	}
}

/* What a NAT turned away before its host had sent anything is not given up for a relay. */
static void a_check_that_was_turned_away_is_repeated_when_a_relay_works(void **state)
{
	struct snet_agent_config c = snet_agent_defaults;

	(void)state;
	memset(&filter, 0, sizeof(filter));
	w.drop = is_turned_away;
	for (int i = 0; i < 2; i++) {
		c.controlling = i;
		make(i, &c, (uint8_t)(5 + i));
		add(i, 1);
	}
	add_relay();
	tell(0, 1);
	tell(1, 1);
	greet(0);
	run_until(w.now + 20 * SNET_MS);
	greet(1);
	run_until(w.now + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[1].local.handle, 1);
	assert_int_equal(w.selections[1], 1);
}

/* A check that the peer's has triggered, and one that is early: each at the least pace. */
static void early_checks_keep_clear_of_triggered_ones(void **state)
{
	struct snet_candidate c = remote(1, 2);
	struct snet_agent_packet answer;
	snet_time t = w.now;

	(void)state;
	alone();
	w.drop = any;
	w.refuse = record_first;
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", "0123456789012345678901", w.now),
			 SNET_OK);
	tell(0, 1);
	run_until(t + 3 * SNET_MS);
	w.sent[0] = 0;
	assert_int_equal(lie(&(struct say){ .controlling = true }, &answer), SNET_OK);
	drain(0);
	assert_int_equal(w.sent[0], 1);
	sends_n = 0;
	assert_int_equal(snet_agent_add_remote(w.a[0], &c, w.now), SNET_OK);
	run_until(t + 40 * SNET_MS);
	assert_int_equal(sends_n, 1);
	assert_true(sends[0] == t + 8 * SNET_MS);
}

static void a_candidate_nobody_told_of_is_met(void **state)
{
	struct snet_agent_config c = snet_agent_defaults;

	(void)state;
	make(0, &c, 1);
	c.controlling = true;
	make(1, &c, 2);
	add(0, 1);
	add(1, 1);
	greet(0);
	greet(1);
	tell(1, 1); /* agent 0 is told of nothing */
	run_until(w.now + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.met[0], 1);
	assert_int_equal(w.selected[0].remote.type, SNET_CANDIDATE_PRFLX);
	assert_int_equal(w.selected[0].remote.priority,
			 snet_candidate_priority(SNET_CANDIDATE_PRFLX, 65534, 1));
}

static void an_aggressive_peer_is_followed_to_its_best_pair(void **state)
{
	struct snet_agent_config c = snet_agent_defaults;

	(void)state;
	make(0, &c, 1);
	c.controlling = c.aggressive = true;
	make(1, &c, 2);
	for (int i = 0; i < 2; i++)
		for (unsigned h = 1; h <= 3; h++)
			add(i, h);
	greet(0);
	greet(1);
	for (int i = 0; i < 2; i++)
		for (unsigned h = 3; h >= 1; h--) /* the worst first */
			tell(i, h);
	run_until(w.now + 2 * SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selected[0].local.handle, 1);
	assert_int_equal(w.selected[1].local.handle, 1);
}

/* What the peer would answer to the check in m. */
static size_t answer_to(uint8_t p[static SNET_AGENT_MTU], const char *pwd, int error)
{
	struct snet_addr mapped = at(0, 1);
	struct snet_stun_key key;
	struct snet_stunout o;

	assert_int_equal(snet_stun_key_short(&key, pwd), SNET_OK);
	snet_stunmsg_begin(&o, p, SNET_AGENT_MTU, error ? SNET_STUN_ERROR : SNET_STUN_SUCCESS,
			   SNET_STUN_BINDING, m.id);
	if (error)
		snet_stunmsg_put_error(&o, error, "");
	else
		snet_stunmsg_put_addr(&o, SNET_STUN_XOR_MAPPED_ADDRESS, &mapped);
	snet_stunauth_put(&o, SNET_STUN_SHA1, &key);
	snet_stunmsg_put_fingerprint(&o);
	assert_true(snet_stunmsg_end(&o));
	return snet_stunmsg_end(&o);
}

static void only_the_peers_answer_from_where_it_was_asked_counts(void **state)
{
	static const char pwd[] = "0123456789012345678901";
	struct snet_addr there = at(1, 1), elsewhere = at(1, 2);
	struct snet_candidate c = remote(1, 1);
	struct snet_agent_packet check;
	uint8_t p[SNET_AGENT_MTU];
	size_t n;

	(void)state;
	alone();
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", pwd, w.now), SNET_OK);
	assert_int_equal(snet_agent_add_remote(w.a[0], &c, w.now), SNET_OK);
	assert_true(snet_agent_next(w.a[0], &check));
	assert_int_equal(snet_stunmsg_parse(&m, check.p, check.n), SNET_OK);
	n = answer_to(p, "wrong-wrong-wrong-wrong", 0);
	assert_int_equal(snet_agent_input(w.a[0], 1, &there, p, n, w.now), SNET_EINTEGRITY);
	n = answer_to(p, pwd, 0);
	assert_int_equal(snet_agent_input(w.a[0], 1, &elsewhere, p, n, w.now), SNET_EPROTO);
	assert_int_equal(snet_agent_input(w.a[0], 2, &there, p, n, w.now), SNET_EPROTO);
	assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_CHECKING);
	/* None of these keeps the right one from being heard. */
	assert_int_equal(snet_agent_input(w.a[0], 1, &there, p, n, w.now), SNET_OK);
	assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_CONNECTED);
	assert_int_equal(snet_agent_input(w.a[0], 1, &there, p, n, w.now), SNET_EAGAIN);
}

static void an_error_fails_the_pair_and_says_which(void **state)
{
	static const char pwd[] = "0123456789012345678901";
	struct snet_addr there = at(1, 1);
	struct snet_candidate c = remote(1, 1);
	struct snet_agent_event ev;
	struct snet_agent_packet check;
	uint8_t p[SNET_AGENT_MTU];
	bool told = false;
	size_t n;

	(void)state;
	alone();
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", pwd, w.now), SNET_OK);
	assert_int_equal(snet_agent_add_remote(w.a[0], &c, w.now), SNET_OK);
	assert_true(snet_agent_next(w.a[0], &check));
	assert_int_equal(snet_stunmsg_parse(&m, check.p, check.n), SNET_OK);
	n = answer_to(p, pwd, 420);
	assert_int_equal(snet_agent_input(w.a[0], 1, &there, p, n, w.now), SNET_OK);
	while (snet_agent_event(w.a[0], &ev))
		told = told || (ev.what == SNET_AGENT_CHECKED && !ev.ok &&
				ev.code == SNET_EPROTO && strstr(ev.why, "420"));
	assert_true(told);
	assert_int_equal(snet_agent_checklist(w.a[0])->pairs[0].state, SNET_PAIR_FAILED);
}

static void a_restart_keeps_the_pair_until_there_is_another(void **state)
{
	uint8_t bytes[SNET_AGENT_RANDOM];
	char before[2][SNET_AGENT_UFRAG + 1];
	struct snet_agent_event ev;

	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	for (int i = 0; i < 2; i++) {
		strcpy(before[i], snet_agent_ufrag(w.a[i]));
		random_bytes(bytes, (uint8_t)(0x70 + i), (uint8_t)(1 + i));
		assert_int_equal(snet_agent_restart(w.a[i], bytes, w.now), SNET_OK);
		drain(i);
		assert_string_not_equal(snet_agent_ufrag(w.a[i]), before[i]);
		assert_int_equal(snet_agent_state(w.a[i]), SNET_AGENT_GATHERING);
		assert_true(snet_agent_selected(w.a[i], &ev));
	}
	/* Consent goes on with the old credentials for as long as it takes. */
	run_until(w.now + 60 * SNET_SEC);
	assert_int_equal(w.lost[0] + w.lost[1], 0);
	assert_true(snet_agent_selected(w.a[0], &ev) && snet_agent_selected(w.a[1], &ev));
	for (int i = 0; i < 2; i++) {
		greet(i);
		tell(i, 1);
	}
	run_until(w.now + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selections[0], 2);
	assert_true(w.selected[0].changed && w.selected[0].took < 62 * SNET_SEC);
	run_until(w.now + 60 * SNET_SEC);
	assert_mirror();
}

/* Agent i starts anew, with credentials that nobody has told the other of. */
static void anew(int i)
{
	uint8_t bytes[SNET_AGENT_RANDOM];

	random_bytes(bytes, (uint8_t)(0x70 + i), (uint8_t)(1 + i));
	assert_int_equal(snet_agent_restart(w.a[i], bytes, w.now), SNET_OK);
	drain(i);
}

/* And hears of others, of nobody's; of a base where nobody is, and of the peer's own. */
static void deceive(int i)
{
	anew(i);
	assert_int_equal(
		snet_agent_set_remote(w.a[i], "forged", "0123456789012345678901", w.now),
		SNET_OK);
	tell(i, 3);
	tell(i, 1);
	end(i);
}

static const snet_time no_hope = 31 * SNET_SEC; /* all candidates are known */

static void assert_fallen_back(int i)
{
	assert_int_equal(snet_agent_state(w.a[i]), SNET_AGENT_COMPLETED);
	assert_false(w.states[i] & 1u << SNET_AGENT_FAILED);
	assert_int_equal(w.selections[i], 1);
	assert_int_equal(w.lost[i], 0);
	assert_int_equal(w.why[i].code, SNET_ETIMEOUT);
	assert_non_null(w.why[i].why);
	assert_true(w.why[i].ok);
}

static void assert_nothing_is_looked_for(int i)
{
	const struct snet_checklist *l = snet_agent_checklist(w.a[i]);

	assert_true(l->pairs_n > 0);
	assert_int_equal(snet_checklist_count(l, SNET_PAIR_FAILED), l->pairs_n);
}

static void a_restart_that_comes_to_nothing_costs_no_pair(void **state)
{
	struct snet_addr there;
	unsigned sent;

	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	for (int i = 0; i < 2; i++) {
		deceive(i);
		run_until(w.now + no_hope - SNET_SEC);
		assert_int_equal(snet_agent_state(w.a[i]), SNET_AGENT_CHECKING);
		tell(i, 2); /* its check is under way when time is up */
		run_until(w.now + SNET_SEC);
		assert_fallen_back(i);
	}
	/* What nobody has answered is not looked for any more; consent is asked for. */
	sent = w.sent[0];
	run_until(w.now + 60 * SNET_SEC);
	assert_mirror();
	assert_true(w.sent[0] >= sent + 20 && w.sent[0] <= sent + 32);
	assert_nothing_is_looked_for(0);
	assert_true(snet_agent_has_fallen_back(w.a[0]));
	tell(0, 4); /* and nobody makes it, by saying more */
	run_until(w.now + SNET_SEC);
	assert_int_equal(
		snet_checklist_count(snet_agent_checklist(w.a[0]), SNET_PAIR_IN_PROGRESS), 0);
	there = at(1, 3);
	assert_false(snet_agent_probe(w.a[0], 1, &there, w.now));
	assert_fallen_back(0);
	assert_fallen_back(1);
}

static void the_pair_of_before_a_restart_is_lost_as_any_other(void **state)
{
	static const struct {
		bool base;        /* it is that which is gone; else, answers stay away */
		snet_time after;  /* the restart */
		snet_time failed; /* at the latest so long after it */
	} cases[] = {
		{ false, 60 * SNET_SEC, 91 * SNET_SEC }, /* it has come to nothing */
		{ true, 60 * SNET_SEC, 60 * SNET_SEC },
		{ false, 0, 31 * SNET_SEC }, /* it goes on, and that is all there is */
		{ true, 10 * SNET_SEC, 31 * SNET_SEC },
	};

	(void)state;
	for (size_t k = 0; k < N(cases); k++) {
		snet_time t;

		set_up(NULL);
		both(2);
		run_until(w.now + SNET_SEC);
		t = w.now;
		deceive(0);
		run_until(t + cases[k].after);
		assert_int_equal(w.lost[0], 0);
		if (cases[k].base)
			snet_agent_remove_base(w.a[0], 1, w.now);
		else
			w.drop = any;
		drain(0);
		if (cases[k].after < 30 * SNET_SEC) {
			run_until(t + 29 * SNET_SEC);
			assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_CHECKING);
		}
		if (!k) { /* when it has become doubtful */
			run_until(t + cases[k].after + 25 * SNET_SEC);
			assert_nothing_is_looked_for(0);
		}
		run_until(t + cases[k].failed);
		assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_FAILED);
		assert_int_equal(w.lost[0], 1);
		assert_int_equal(w.failed[0].code,
				 cases[k].after < 30 * SNET_SEC ? SNET_ETIMEOUT : SNET_ELOST);
		tear_down(NULL);
		w.a[0] = w.a[1] = NULL;
	}
}

/* Who knows our new credentials may have us change roles; the peer, who has not started anew,
 * knows of none of that, and would answer with an error. */
static void consent_of_before_goes_on_in_the_role_of_before(void **state)
{
	struct snet_agent_packet answer;
	char user[64];

	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	assert_false(snet_agent_is_controlling(w.a[0]));
	deceive(0);
	snprintf(user, sizeof(user), "%s:forged", snet_agent_ufrag(w.a[0]));
	assert_int_equal(lie(&(struct say){ .user = user }, &answer), SNET_OK);
	drain(0);
	assert_true(snet_agent_is_controlling(w.a[0]));
	run_until(w.now + 29 * SNET_SEC);
	assert_true(snet_agent_is_controlling(w.a[0]));
	assert_true(snet_agent_is_controlling(w.a[1]));
	run_until(w.now + 60 * SNET_SEC);
	assert_fallen_back(0);
	assert_mirror();
	assert_int_equal(w.roles[1], 0);
	assert_false(snet_agent_is_controlling(w.a[0]));
	assert_true(snet_agent_is_controlling(w.a[1]));
}

/* Of agent 0, to the other: when consent of before is asked for. */
static bool note_asked(const struct way *x)
{
	if (x->from == 0)
		record(x);
	return true;
}

/* The answer to what was asked before the restart, that comes after it, counts. */
static void consent_that_was_asked_for_before_a_restart_counts(void **state)
{
	snet_time asked;

	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	while (w.n != 1 || w.way[0].from != 0) /* an answer to the other may be meant */
		run_until(w.now + SNET_MS);
	assert_int_equal(snet_stunmsg_parse(&m, w.way[0].p.p, w.way[0].p.n), SNET_OK);
	assert_int_equal(m.cls, SNET_STUN_REQUEST);
	asked = w.way[0].at - DELAY;
	anew(0);
	run_until(asked + 2 * DELAY + SNET_MS);
	w.drop = any;
	run_until(asked + 2 * DELAY + 30 * SNET_SEC - SNET_MS);
	assert_int_equal(w.lost[0], 0);
	run_until(asked + 2 * DELAY + 30 * SNET_SEC + SNET_MS);
	assert_int_equal(w.lost[0], 1);
}

/* As of any pair: when answers stay away, it is asked for more often. */
static void consent_of_before_is_asked_for_until_the_last(void **state)
{
	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	anew(0); /* the peer does not know, or is slow: no check is sent */
	run_until(w.now + 10 * SNET_SEC);
	sends_n = 0;
	w.drop = note_asked;
	run_until(w.now + 31 * SNET_SEC);
	assert_int_equal(w.lost[0], 1);
	assert_true(sends_n > 12);
	assert_int_equal(snet_agent_state(w.a[0]), SNET_AGENT_GATHERING); /* it goes on */
}

static void after_a_restart_that_failed_another_one_may_not(void **state)
{
	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	deceive(0);
	run_until(w.now + no_hope);
	assert_fallen_back(0);
	deceive(0); /* again: the credentials of before are still those of the pair */
	run_until(w.now + no_hope);
	assert_fallen_back(0);
	for (int i = 0; i < 2; i++)
		anew(i);
	for (int i = 0; i < 2; i++) {
		greet(i);
		tell(i, 1);
		end(i);
	}
	run_until(w.now + SNET_SEC);
	assert_mirror();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w.selections[i], 2);
		assert_true(w.selected[i].changed);
	}
	run_until(w.now + 60 * SNET_SEC);
	assert_mirror();
	assert_int_equal(w.lost[0] + w.lost[1], 0);
}

/* The peer hears of us when we have stopped looking for it. */
static void a_peer_that_is_late_is_still_found(void **state)
{
	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	anew(0);
	anew(1);
	greet(0);
	tell(0, 3);
	end(0);
	run_until(w.now + no_hope + 10 * SNET_SEC);
	assert_fallen_back(0);
	greet(1);
	tell(1, 1);
	end(1);
	run_until(w.now + SNET_SEC);
	assert_mirror();
	assert_int_equal(w.selections[0], 2);
	assert_int_equal(w.selections[1], 2);
}

/* Each restart may bring other addresses that servers see; a base must still find room. */
static void what_servers_saw_before_takes_no_room_of_what_is_found_now(void **state)
{
	struct snet_local seen = local(0, 1), base = local(0, 2);

	(void)state;
	both(1);
	seen.c.type = SNET_CANDIDATE_SRFLX;
	for (unsigned k = 0; k < 2 * SNET_LOCALS_MAX; k++) {
		snet_addr_set_port(&seen.c.address, (uint16_t)(10000 + k));
		assert_int_equal(snet_agent_add_local(w.a[0], &seen, w.now), SNET_OK);
		if (k % 10 == 9)
			anew(0);
	}
	assert_int_equal(snet_agent_add_local(w.a[0], &base, w.now), SNET_OK);
	drain(0);
}

static void a_closed_agent_says_and_hears_nothing(void **state)
{
	struct snet_agent_packet p;
	struct snet_addr from = at(0, 1);
	uint8_t bytes[SNET_AGENT_RANDOM] = { 0 };

	(void)state;
	both(1);
	run_until(w.now + SNET_SEC);
	snet_agent_close(w.a[0]);
	snet_agent_close(w.a[0]);
	run_until(w.now + 10 * SNET_SEC);
	assert_false(snet_agent_next(w.a[0], &p));
	assert_true(snet_agent_deadline(w.a[0]) == SNET_NEVER);
	assert_int_equal(snet_agent_restart(w.a[0], bytes, w.now), SNET_ECLOSED);
	assert_int_equal(snet_agent_set_remote(w.a[0], "peer", "0123456789012345678901", w.now),
			 SNET_ECLOSED);
	assert_int_equal(
		snet_agent_input(w.a[0], 1, &from, (const uint8_t[20]){ 0 }, 20, w.now),
		SNET_EPROTO);
}

/* ---- making one */

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
	struct snet_agent_config c[6];
	uint8_t bytes[SNET_AGENT_RANDOM] = { 0 };
	struct snet_error err;

	(void)state;
	for (size_t i = 0; i < N(c); i++)
		c[i] = snet_agent_defaults;
	c[0].check_retries = 0;
	c[1].check_timeout = 0;
	c[2].check_pace = 4 * SNET_MS;
	c[3].overall_timeout = c[3].check_timeout;
	c[4].consent_every = 0;
	c[5].consent_timeout = c[5].consent_every;
	for (size_t i = 0; i < N(c); i++) {
		assert_int_equal(snet_agent_new(&w.a[0], &c[i], bytes, &err), SNET_EINVAL);
		assert_null(w.a[0]);
	}
	snet_agent_free(NULL);
}

static int try_new(void *user)
{
	uint8_t bytes[SNET_AGENT_RANDOM] = { 0 };
	struct snet_agent *a;
	int rc = snet_agent_new(&a, &snet_agent_defaults, bytes, NULL);

	(void)user;
	snet_agent_free(a);
	return rc;
}

static void without_memory_there_is_no_agent(void **state)
{
	(void)state;
	assert_true(torture(try_new, NULL) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_agents_select_the_best_pair_in_three_round_trips),
		TEST(a_check_says_what_rfc_8445_wants),
		TEST(a_check_without_answer_is_sent_three_times_and_fails),
		TEST(the_first_checks_leave_early_and_all_of_them_at_the_pace),
		TEST(an_address_that_a_server_saw_does_not_wait_for_its_turn),
		TEST(what_is_unreachable_holds_up_nobody),
		TEST(a_host_that_cannot_be_reached_fails_its_own_pair),
		TEST(what_never_left_takes_nobodys_turn),
		TEST(a_dead_interface_costs_no_time),
		TEST(a_pair_is_given_up_before_its_turn_if_it_leads_nowhere),
		TEST(a_packet_that_came_speaks_for_its_way),
		TEST(what_never_left_hurries_nobody),
		TEST(the_best_of_each_kind_goes_first),
		TEST(once_a_pair_works_the_better_ones_are_looked_at_at_once),
		TEST(the_first_of_a_kind_is_never_too_late),
		TEST(nothing_is_early_once_a_pair_works),
		TEST(what_never_left_early_is_not_paid_for),
		TEST(what_was_checked_before_is_not_waited_for_anew),
		TEST(who_had_to_wait_for_its_turn_is_not_waited_for_longer),
		TEST(a_conflict_of_roles_is_settled_by_the_tie_breakers),
		TEST(what_is_not_proven_is_dropped_and_counted),
		TEST(what_is_proven_but_wrong_is_answered_with_an_error),
		TEST(a_check_before_the_credentials_is_answered_and_remembered),
		TEST(credentials_of_another_peer_prove_nothing),
		TEST(the_peers_check_triggers_one_of_ours_without_delay),
		TEST(bad_bytes_change_nothing),
		TEST(ten_thousand_candidates_are_a_few_and_a_number),
		TEST(unsafe_candidates_are_refused),
		TEST(credentials_are_held_to_the_rfc),
		TEST(without_an_answer_it_fails_in_time_and_not_before),
		TEST(without_candidates_of_our_own_it_fails_at_once),
		TEST(the_states_have_the_names_of_the_seed),
		TEST(consent_is_asked_for_every_five_seconds),
		TEST(without_consent_and_another_pair_it_fails),
		TEST(much_patience_with_a_silent_peer_is_no_busy_one),
		TEST(a_pair_that_dies_is_replaced_before_consent_is_over),
		TEST(a_base_that_goes_away_takes_its_pair_with_it),
		TEST(a_better_pair_that_comes_later_is_selected),
		TEST(a_check_that_was_turned_away_is_repeated_when_a_relay_works),
		TEST(early_checks_keep_clear_of_triggered_ones),
		TEST(a_candidate_nobody_told_of_is_met),
		TEST(an_aggressive_peer_is_followed_to_its_best_pair),
		TEST(only_the_peers_answer_from_where_it_was_asked_counts),
		TEST(an_error_fails_the_pair_and_says_which),
		TEST(a_restart_keeps_the_pair_until_there_is_another),
		TEST(a_restart_that_comes_to_nothing_costs_no_pair),
		TEST(the_pair_of_before_a_restart_is_lost_as_any_other),
		TEST(consent_of_before_goes_on_in_the_role_of_before),
		TEST(consent_that_was_asked_for_before_a_restart_counts),
		TEST(consent_of_before_is_asked_for_until_the_last),
		TEST(after_a_restart_that_failed_another_one_may_not),
		TEST(a_peer_that_is_late_is_still_found),
		TEST(what_servers_saw_before_takes_no_room_of_what_is_found_now),
		TEST(a_closed_agent_says_and_hears_nothing),
		TEST(a_configuration_that_makes_no_sense_is_refused),
		TEST(without_memory_there_is_no_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
