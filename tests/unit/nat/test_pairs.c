/* nat/pairs: forming, ordering, freezing and limits of a checklist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/pairs.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct snet_checklist list; /* some tens of KiB */

static struct snet_addr addr(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static struct snet_candidate candidate(enum snet_candidate_type type, const char *at,
				       const char *foundation, uint16_t preference)
{
	struct snet_candidate c = { .type = type,
				    .component = 1,
				    .address = addr(at),
				    .priority = snet_candidate_priority(type, preference, 1) };

	snprintf(c.foundation, sizeof(c.foundation), "%s", foundation);
	return c;
}

static int add_local(enum snet_candidate_type type, const char *at, const char *base,
		     uint32_t handle, const char *foundation, uint16_t preference)
{
	struct snet_local l = { .c = candidate(type, at, foundation, preference),
				.base = addr(base),
				.handle = handle };

	return snet_checklist_add_local(&list, &l, NULL);
}

static int add_host(const char *at, uint32_t handle)
{
	return add_local(SNET_CANDIDATE_HOST, at, at, handle, at, (uint16_t)(65535 - handle));
}

static int add_remote(enum snet_candidate_type type, const char *at, uint16_t preference)
{
	struct snet_candidate c = candidate(type, at, at, preference);

	return snet_checklist_add_remote(&list, &c, NULL);
}

static struct snet_pair *pair(uint32_t handle, const char *remote)
{
	struct snet_addr a = addr(remote);

	return snet_checklist_find(&list, handle, &a);
}

static struct snet_pair *next(void)
{
	bool triggered;

	return snet_checklist_next(&list, 0, &triggered);
}

static void pair_priorities_are_those_of_the_formula(void **state)
{
	static const struct {
		uint32_t controlling, controlled;
		uint64_t want;
	} cases[] = {
		{ 100, 50, 214748365001 },
		{ 50, 100, 214748365000 },
		{ 1000, 2000, 4294967300000 },
		{ 2130706431, 2130706431, 9151314442783293438 },
		{ 2130706431, 1694498815, 7277816997797167103 },
		{ 1694498815, 2130706431, 7277816997797167102 },
		{ 0, 0, 0 },
		{ INT32_MAX, INT32_MAX, 9223372036854775806 },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		assert_true(snet_pair_priority(cases[i].controlling, cases[i].controlled) ==
			    cases[i].want);
}

static void only_what_can_speak_to_each_other_is_paired(void **state)
{
	struct snet_candidate other = candidate(SNET_CANDIDATE_HOST, "10.0.1.9:1", "x", 1);

	(void)state;
	snet_checklist_init(&list, true);
	add_host("10.0.0.1:1", 1);
	add_host("[2001:db8::1]:1", 2);
	add_host("[fe80::1%2]:1", 3);
	add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 1);
	add_remote(SNET_CANDIDATE_HOST, "[2001:db8::2]:1", 1);
	assert_int_equal(list.pairs_n, 2);
	assert_non_null(pair(1, "10.0.1.1:1"));
	assert_non_null(pair(2, "[2001:db8::2]:1"));
	other.component = 2;
	assert_int_equal(snet_checklist_add_remote(&list, &other, NULL), SNET_OK);
	assert_int_equal(list.pairs_n, 2);
}

static void a_reflexive_candidate_stands_for_its_base(void **state)
{
	(void)state;
	snet_checklist_init(&list, true);
	add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 1);
	/* It comes before its host candidate: the pair's priority rises when that comes. */
	add_local(SNET_CANDIDATE_SRFLX, "192.0.2.1:1", "10.0.0.1:1", 1, "s", 5);
	assert_int_equal(list.pairs_n, 1);
	assert_int_equal(snet_pair_local(&list, pair(1, "10.0.1.1:1"))->c.type,
			 SNET_CANDIDATE_SRFLX);
	add_host("10.0.0.1:1", 1);
	assert_int_equal(list.pairs_n, 1);
	assert_int_equal(snet_pair_local(&list, pair(1, "10.0.1.1:1"))->c.type,
			 SNET_CANDIDATE_HOST);
	add_local(SNET_CANDIDATE_SRFLX, "192.0.2.9:1", "10.0.0.1:1", 1, "t", 5);
	add_local(SNET_CANDIDATE_PRFLX, "192.0.2.8:1", "10.0.0.1:1", 1, "p", 5);
	assert_int_equal(list.pairs_n, 1);
	add_local(SNET_CANDIDATE_RELAY, "198.51.100.1:1", "198.51.100.1:1", 2, "r", 5);
	assert_int_equal(list.pairs_n, 2);
	assert_int_equal(add_host("10.0.0.1:1", 1), SNET_EAGAIN);
	assert_int_equal(add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 1), SNET_EAGAIN);
	assert_int_equal(list.pairs_n, 2);
}

static void the_highest_priority_is_checked_first(void **state)
{
	struct snet_pair *p;
	uint64_t last = UINT64_MAX;
	int n = 0;

	(void)state;
	snet_checklist_init(&list, true);
	add_remote(SNET_CANDIDATE_RELAY, "10.0.1.3:1", 7);
	add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 7);
	add_remote(SNET_CANDIDATE_SRFLX, "10.0.1.2:1", 7);
	add_host("10.0.0.1:1", 1);
	add_host("10.0.0.2:1", 2);
	while ((p = next())) {
		assert_true(p->priority < last);
		last = p->priority;
		snet_checklist_begin(&list, p);
		n++;
	}
	assert_int_equal(n, 6);
	assert_int_equal(snet_checklist_count(&list, SNET_PAIR_IN_PROGRESS), 6);
}

static void a_change_of_role_orders_anew(void **state)
{
	struct snet_pair *a, *b;

	(void)state;
	snet_checklist_init(&list, true);
	add_local(SNET_CANDIDATE_HOST, "10.0.0.1:1", "10.0.0.1:1", 1, "a", 10);
	add_local(SNET_CANDIDATE_HOST, "10.0.0.2:1", "10.0.0.2:1", 2, "b", 20);
	add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 20);
	a = pair(1, "10.0.1.1:1");
	b = pair(2, "10.0.1.1:1");
	assert_true(a->priority == snet_pair_priority(snet_pair_local(&list, a)->c.priority,
						      list.remotes[0].c.priority));
	assert_true(b->priority > a->priority);
	snet_checklist_set_role(&list, false);
	assert_true(a->priority == snet_pair_priority(list.remotes[0].c.priority,
						      snet_pair_local(&list, a)->c.priority));
}

/* Two of one foundation: the second waits for the first, and thaws with it. */
static void a_foundation_is_checked_once_before_the_rest(void **state)
{
	struct snet_pair *a, *b, *other;

	(void)state;
	snet_checklist_init(&list, true);
	add_local(SNET_CANDIDATE_HOST, "10.0.0.1:1", "10.0.0.1:1", 1, "f", 10);
	add_local(SNET_CANDIDATE_HOST, "10.0.0.1:2", "10.0.0.1:2", 2, "f", 20);
	add_local(SNET_CANDIDATE_HOST, "10.0.0.2:1", "10.0.0.2:1", 3, "g", 5);
	add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 20);
	a = pair(1, "10.0.1.1:1");
	b = pair(2, "10.0.1.1:1");
	other = pair(3, "10.0.1.1:1");
	assert_int_equal(a->state, SNET_PAIR_FROZEN); /* though it was first: b is better */
	assert_int_equal(b->state, SNET_PAIR_WAITING);
	assert_int_equal(other->state, SNET_PAIR_WAITING);
	assert_ptr_equal(next(), b);
	snet_checklist_begin(&list, b);
	assert_ptr_equal(next(), other);
	snet_checklist_begin(&list, other);
	assert_null(next());
	assert_int_equal(a->state, SNET_PAIR_FROZEN);
	snet_checklist_succeed(&list, b, b->local);
	assert_int_equal(a->state, SNET_PAIR_WAITING);
	assert_ptr_equal(next(), a);
	assert_ptr_equal(snet_checklist_best(&list), b);
}

static void a_failed_foundation_thaws_when_nothing_else_waits(void **state)
{
	struct snet_pair *a, *b;

	(void)state;
	snet_checklist_init(&list, true);
	add_local(SNET_CANDIDATE_HOST, "10.0.0.1:2", "10.0.0.1:2", 2, "f", 20);
	add_local(SNET_CANDIDATE_HOST, "10.0.0.1:1", "10.0.0.1:1", 1, "f", 10);
	add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 20);
	a = pair(1, "10.0.1.1:1");
	b = pair(2, "10.0.1.1:1");
	snet_checklist_begin(&list, next());
	assert_null(next());
	snet_checklist_fail(&list, b);
	assert_ptr_equal(next(), a);
}

static void triggered_checks_come_first_and_in_order(void **state)
{
	struct snet_pair *a, *b, *best;
	bool triggered;

	(void)state;
	snet_checklist_init(&list, true);
	add_host("10.0.0.1:1", 1);
	add_remote(SNET_CANDIDATE_HOST, "10.0.1.1:1", 9);
	add_remote(SNET_CANDIDATE_RELAY, "10.0.1.2:1", 9);
	add_remote(SNET_CANDIDATE_RELAY, "10.0.1.3:1", 8);
	best = pair(1, "10.0.1.1:1");
	a = pair(1, "10.0.1.3:1");
	b = pair(1, "10.0.1.2:1");
	snet_checklist_trigger(&list, a);
	snet_checklist_trigger(&list, b);
	snet_checklist_trigger(&list, a); /* once is enough */
	assert_int_equal(list.queue_n, 2);
	assert_ptr_equal(snet_checklist_next(&list, UINT64_MAX, &triggered), a);
	assert_true(triggered);
	snet_checklist_begin(&list, a);
	assert_ptr_equal(next(), b);
	/* Answered while it waited for its turn. */
	snet_checklist_succeed(&list, b, b->local);
	assert_ptr_equal(snet_checklist_next(&list, 0, &triggered), best);
	assert_false(triggered);
	/* Nothing below what is selected already. */
	assert_null(snet_checklist_next(&list, best->priority, &triggered));
	a->barred = true;
	snet_checklist_fail(&list, a);
	snet_checklist_trigger(&list, a);
	assert_int_equal(list.queue_n, 0);
}

static void the_last_of_too_many_pairs_is_dropped(void **state)
{
	char text[SNET_ADDR_TEXT];
	struct snet_pair *p;

	(void)state;
	snet_checklist_init(&list, true);
	add_host("10.0.0.1:1", 1);
	add_host("10.0.0.2:1", 2);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "10.0.1.%d:1", i);
		assert_int_equal(add_remote(SNET_CANDIDATE_SRFLX, text, (uint16_t)(1000 + i)),
				 SNET_OK);
	}
	assert_int_equal(list.pairs_n, SNET_PAIRS_MAX);
	/* Lower than all: no place. */
	add_remote(SNET_CANDIDATE_RELAY, "10.0.2.1:1", 1);
	assert_null(pair(1, "10.0.2.1:1"));
	assert_int_equal(list.dropped, 2);
	/* Higher: the lowest two go. */
	add_remote(SNET_CANDIDATE_HOST, "10.0.2.2:1", 1);
	assert_int_equal(list.pairs_n, SNET_PAIRS_MAX);
	assert_non_null(pair(1, "10.0.2.2:1"));
	assert_null(pair(1, "10.0.1.0:1"));
	assert_null(pair(2, "10.0.1.0:1"));
	/* What failed makes room for whatever comes. */
	p = pair(1, "10.0.1.49:1");
	snet_checklist_trigger(&list, p);
	snet_checklist_begin(&list, p);
	snet_checklist_fail(&list, p);
	add_remote(SNET_CANDIDATE_RELAY, "10.0.2.3:1", 2);
	assert_null(pair(1, "10.0.1.49:1"));
	assert_true(pair(1, "10.0.2.3:1") || pair(2, "10.0.2.3:1"));
}

static void what_is_under_way_is_never_dropped(void **state)
{
	struct snet_pair *p;
	char text[SNET_ADDR_TEXT];
	size_t remote;

	(void)state;
	snet_checklist_init(&list, true);
	add_host("10.0.0.1:1", 1);
	add_host("10.0.0.2:1", 2);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "10.0.1.%d:1", i);
		add_remote(SNET_CANDIDATE_SRFLX, text, (uint16_t)(1000 + i));
	}
	while ((p = next()))
		snet_checklist_begin(&list, p);
	add_remote(SNET_CANDIDATE_HOST, "10.0.2.2:1", 1);
	assert_null(pair(1, "10.0.2.2:1"));
	assert_int_equal(snet_checklist_count(&list, SNET_PAIR_IN_PROGRESS), SNET_PAIRS_MAX);
	/* A check from there would find no pair either, and do no harm. */
	assert_int_equal(
		snet_checklist_meet(&list, 1, &list.remotes[50].c.address, 1, 0, &remote),
		SNET_EAGAIN);
	assert_null(snet_checklist_make(&list, 1, remote));
	snet_checklist_fail(&list, &list.pairs[7]);
	assert_non_null(snet_checklist_make(&list, 1, remote));
}

static void ten_thousand_candidates_leave_room_for_those_we_meet(void **state)
{
	char text[SNET_ADDR_TEXT];
	size_t remote;
	int met = 0;

	(void)state;
	snet_checklist_init(&list, true);
	add_host("10.0.0.1:1", 1);
	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "10.1.%d.%d:1", i / 250, i % 250);
		add_remote(SNET_CANDIDATE_HOST, text, (uint16_t)i);
	}
	assert_int_equal(list.remotes_n, SNET_REMOTES_TOLD_MAX);
	assert_int_equal(list.refused, 10000 - SNET_REMOTES_TOLD_MAX);
	for (int i = 0; i < 10000; i++) {
		struct snet_addr a;

		snprintf(text, sizeof(text), "10.2.%d.%d:1", i / 250, i % 250);
		a = addr(text);
		met += !snet_checklist_meet(&list, i % 7, &a, 1, 0, &remote);
	}
	assert_int_equal(met, SNET_REMOTES_MAX - SNET_REMOTES_TOLD_MAX);
	assert_true(list.pairs_n <= SNET_PAIRS_MAX);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "10.0.0.1:%d", 2 + i);
		add_host(text, 2 + (uint32_t)i);
	}
	assert_int_equal(list.locals_n, SNET_LOCALS_MAX);
	assert_int_equal(list.pairs_n, SNET_PAIRS_MAX);
}

/* One that works, and its pair, stay; others make room, but only so fast, and so often. */
static void addresses_met_that_lead_nowhere_make_room(void **state)
{
	char text[SNET_ADDR_TEXT];
	struct snet_addr good = addr("10.3.0.1:1");
	snet_time now = SNET_SEC;
	size_t remote;
	int met = 1;

	(void)state;
	snet_checklist_init(&list, true);
	add_host("10.0.0.1:1", 1);
	assert_int_equal(snet_checklist_meet(&list, 1, &good, 1, now, &remote), SNET_OK);
	snet_checklist_begin(&list, snet_checklist_make(&list, 1, remote));
	snet_checklist_succeed(&list, pair(1, "10.3.0.1:1"), 0);
	for (int i = 0; i < 10000; i++) {
		struct snet_addr a;
		int rc;

		snprintf(text, sizeof(text), "10.2.%d.%d:1", i / 250, i % 250);
		a = addr(text);
		now += SNET_MET_PACE / 2;
		rc = snet_checklist_meet(&list, 1, &a, 1, now, &remote);
		met += !rc;
		if (!rc) {
			assert_non_null(snet_checklist_make(&list, 1, remote));
			assert_non_null(pair(1, text));
		}
		assert_true(list.pairs_n <= SNET_MET_PER_BASE);
		assert_int_equal(list.pairs_n, list.remotes_n);
		assert_true(met <= SNET_MET_PER_BASE + 1 + i / 2);
	}
	assert_int_equal(met, SNET_MET_MAX);
	assert_ptr_equal(snet_checklist_best(&list), pair(1, "10.3.0.1:1"));
}

static void a_candidate_met_first_and_told_later_is_what_was_told(void **state)
{
	struct snet_candidate c = candidate(SNET_CANDIDATE_SRFLX, "192.0.2.1:1", "told", 9);
	struct snet_pair *p;
	uint64_t before;
	size_t remote;

	(void)state;
	snet_checklist_init(&list, true);
	add_host("10.0.0.1:1", 1);
	add_host("10.0.0.2:1", 2);
	assert_int_equal(snet_checklist_meet(&list, 1, &c.address, 77, 0, &remote), SNET_OK);
	assert_int_equal(list.remotes[remote].c.type, SNET_CANDIDATE_PRFLX);
	p = snet_checklist_make(&list, 2, remote);
	assert_non_null(p);
	assert_int_equal(list.pairs_n, 1); /* §7.3.1.3: with no other base */
	before = p->priority;
	assert_int_equal(snet_checklist_add_remote(&list, &c, NULL), SNET_OK);
	assert_int_equal(list.remotes[remote].c.type, SNET_CANDIDATE_SRFLX);
	assert_string_equal(list.remotes[remote].c.foundation, "told");
	assert_int_equal(list.pairs_n, 2);
	assert_true(pair(2, "192.0.2.1:1")->priority > before);
	assert_int_equal(snet_checklist_add_remote(&list, &c, NULL), SNET_EAGAIN);
}

static void every_state_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(snet_pair_state_name(SNET_PAIR_FROZEN), "frozen");
	assert_string_equal(snet_pair_state_name(SNET_PAIR_IN_PROGRESS), "in_progress");
	assert_string_equal(snet_pair_state_name(SNET_PAIR_FAILED), "failed");
	assert_string_equal(snet_pair_state_name((enum snet_pair_state)9), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pair_priorities_are_those_of_the_formula),
		cmocka_unit_test(only_what_can_speak_to_each_other_is_paired),
		cmocka_unit_test(a_reflexive_candidate_stands_for_its_base),
		cmocka_unit_test(the_highest_priority_is_checked_first),
		cmocka_unit_test(a_change_of_role_orders_anew),
		cmocka_unit_test(a_foundation_is_checked_once_before_the_rest),
		cmocka_unit_test(a_failed_foundation_thaws_when_nothing_else_waits),
		cmocka_unit_test(triggered_checks_come_first_and_in_order),
		cmocka_unit_test(the_last_of_too_many_pairs_is_dropped),
		cmocka_unit_test(what_is_under_way_is_never_dropped),
		cmocka_unit_test(ten_thousand_candidates_leave_room_for_those_we_meet),
		cmocka_unit_test(addresses_met_that_lead_nowhere_make_room),
		cmocka_unit_test(a_candidate_met_first_and_told_later_is_what_was_told),
		cmocka_unit_test(every_state_has_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
