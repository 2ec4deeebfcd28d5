/* mesh/link: dialling, backing off, giving up; in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/link.h"

#define DIAL (10 * SNET_SEC)
#define NO_CHANGE ((enum snet_link_state)99)

static struct snet_link up_to(enum snet_link_state state, snet_time give_up)
{
	struct snet_link l;

	snet_link_init(&l, give_up, DIAL);
	if (state != SNET_LINK_DOWN)
		snet_link_step(&l, SNET_LINK_START, 0, 0);
	if (state == SNET_LINK_UP)
		snet_link_step(&l, SNET_LINK_OPENED, 0, 0);
	if (state == SNET_LINK_WAITING)
		snet_link_step(&l, SNET_LINK_LOST, 0, 0);
	if (state == SNET_LINK_CLOSED)
		snet_link_step(&l, SNET_LINK_CLOSE, 0, 0);
	assert_int_equal(l.state, state);
	return l;
}

static void every_event_in_every_state(void **s)
{
	/* clang-format off */
	static const struct {
		enum snet_link_state from;
		enum snet_link_event ev;
		enum snet_link_state to;
		enum snet_link_want want;
	} cases[] = {
		{ SNET_LINK_DOWN   , SNET_LINK_START , SNET_LINK_DIALING, SNET_LINK_DIAL },
		{ SNET_LINK_DOWN   , SNET_LINK_OPENED, SNET_LINK_UP     , SNET_LINK_NOTHING },
		{ SNET_LINK_DOWN   , SNET_LINK_LOST  , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_DOWN   , SNET_LINK_DUE   , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_DOWN   , SNET_LINK_CLOSE , SNET_LINK_CLOSED , SNET_LINK_HANGUP },
		{ SNET_LINK_DIALING, SNET_LINK_START , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_DIALING, SNET_LINK_OPENED, SNET_LINK_UP     , SNET_LINK_NOTHING },
		{ SNET_LINK_DIALING, SNET_LINK_LOST  , SNET_LINK_WAITING, SNET_LINK_NOTHING },
		{ SNET_LINK_DIALING, SNET_LINK_DUE   , SNET_LINK_WAITING, SNET_LINK_HANGUP },
		{ SNET_LINK_DIALING, SNET_LINK_CLOSE , SNET_LINK_CLOSED , SNET_LINK_HANGUP },
		{ SNET_LINK_UP     , SNET_LINK_START , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_UP     , SNET_LINK_OPENED, NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_UP     , SNET_LINK_LOST  , SNET_LINK_WAITING, SNET_LINK_NOTHING },
		{ SNET_LINK_UP     , SNET_LINK_DUE   , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_UP     , SNET_LINK_CLOSE , SNET_LINK_CLOSED , SNET_LINK_HANGUP },
		{ SNET_LINK_WAITING, SNET_LINK_START , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_WAITING, SNET_LINK_OPENED, SNET_LINK_UP     , SNET_LINK_NOTHING },
		{ SNET_LINK_WAITING, SNET_LINK_LOST  , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_WAITING, SNET_LINK_DUE   , SNET_LINK_DIALING, SNET_LINK_DIAL },
		{ SNET_LINK_WAITING, SNET_LINK_CLOSE , SNET_LINK_CLOSED , SNET_LINK_HANGUP },
		{ SNET_LINK_CLOSED , SNET_LINK_START , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_CLOSED , SNET_LINK_OPENED, NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_CLOSED , SNET_LINK_LOST  , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_CLOSED , SNET_LINK_DUE   , NO_CHANGE        , SNET_LINK_NOTHING },
		{ SNET_LINK_CLOSED , SNET_LINK_CLOSE , NO_CHANGE        , SNET_LINK_NOTHING },
	};
	/* clang-format on */

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_link l = up_to(cases[i].from, SNET_NEVER), before = l;
		enum snet_link_want want = snet_link_step(&l, cases[i].ev, SNET_SEC, 0);

		if (want != cases[i].want ||
		    l.state != (cases[i].to == NO_CHANGE ? cases[i].from : cases[i].to))
			fail_msg("event %d in state %d: state %d, want %d", cases[i].ev,
				 cases[i].from, l.state, want);
		if (cases[i].to == NO_CHANGE)
			assert_memory_equal(&l, &before, sizeof(l));
	}
}

static void a_fresh_link_waits_for_nothing(void **s)
{
	struct snet_link l = up_to(SNET_LINK_DOWN, SNET_NEVER);

	(void)s;
	assert_true(l.deadline == SNET_NEVER);
	assert_int_equal(l.tries, 0);
}

static void an_attempt_has_a_deadline_and_being_up_has_none(void **s)
{
	struct snet_link l = up_to(SNET_LINK_DOWN, SNET_NEVER);

	(void)s;
	snet_link_step(&l, SNET_LINK_START, 3 * SNET_SEC, 0);
	assert_true(l.deadline == 13 * SNET_SEC);
	snet_link_step(&l, SNET_LINK_OPENED, 4 * SNET_SEC, 0);
	assert_true(l.deadline == SNET_NEVER);
	snet_link_step(&l, SNET_LINK_CLOSE, 5 * SNET_SEC, 0);
	assert_true(l.deadline == SNET_NEVER);
}

/* The n-th wait is drawn from [half, whole] of 50 ms, 100 ms, 200 ms ... 2 s, 2 s. */
static void waits_double_up_to_a_ceiling(void **s)
{
	static const uint32_t draws[] = { 0, 1, 12345, 0x7fffffff, 0xffffffff };

	(void)s;
	for (size_t d = 0; d < sizeof(draws) / sizeof(draws[0]); d++) {
		struct snet_link l = up_to(SNET_LINK_DOWN, SNET_NEVER);
		snet_time now = 100 * SNET_SEC, whole = SNET_LINK_BACKOFF_MIN;

		snet_link_step(&l, SNET_LINK_START, now, draws[d]);
		for (unsigned i = 0; i < 100; i++) {
			now += SNET_MS;
			assert_int_equal(snet_link_step(&l, SNET_LINK_LOST, now, draws[d]),
					 SNET_LINK_NOTHING);
			assert_int_equal(l.tries, i + 1);
			assert_true(l.deadline >= now + whole / 2);
			assert_true(l.deadline <= now + whole);
			now = l.deadline;
			assert_int_equal(snet_link_step(&l, SNET_LINK_DUE, now, draws[d]),
					 SNET_LINK_DIAL);
			whole = whole * 2 < SNET_LINK_BACKOFF_MAX ? whole * 2
								  : SNET_LINK_BACKOFF_MAX;
		}
	}
}

static void the_whole_range_of_a_wait_is_used(void **s)
{
	struct snet_link l = up_to(SNET_LINK_DIALING, SNET_NEVER);
	snet_time half = SNET_LINK_BACKOFF_MIN / 2;

	(void)s;
	snet_link_step(&l, SNET_LINK_LOST, 0, 0);
	assert_true(l.deadline == half);
	l = up_to(SNET_LINK_DIALING, SNET_NEVER);
	snet_link_step(&l, SNET_LINK_LOST, 0, (uint32_t)half);
	assert_true(l.deadline == 2 * half);
	l = up_to(SNET_LINK_DIALING, SNET_NEVER);
	snet_link_step(&l, SNET_LINK_LOST, 0, (uint32_t)half + 1);
	assert_true(l.deadline == half);
}

static void having_been_up_makes_waits_short_again(void **s)
{
	struct snet_link l = up_to(SNET_LINK_DIALING, SNET_NEVER);
	snet_time now = 0;

	(void)s;
	for (unsigned i = 0; i < 10; i++) {
		snet_link_step(&l, SNET_LINK_LOST, now, 0);
		now = l.deadline;
		snet_link_step(&l, SNET_LINK_DUE, now, 0);
	}
	assert_int_equal(l.tries, 10);
	snet_link_step(&l, SNET_LINK_OPENED, now, 0);
	assert_int_equal(l.tries, 0);
	snet_link_step(&l, SNET_LINK_LOST, now, 0);
	assert_true(l.deadline - now <= SNET_LINK_BACKOFF_MIN);
}

static void patience_is_the_shortest_whole_wait(void **s)
{
	struct snet_link l = up_to(SNET_LINK_DIALING, SNET_NEVER);
	snet_time now = 0, patience = 6 * SNET_LINK_BACKOFF_MIN;

	(void)s;
	l.patience = patience;
	for (unsigned i = 0; i < 4; i++) { /* 1, 2, 4 and 8 times the least */
		snet_time whole = i < 3 ? patience : 8 * SNET_LINK_BACKOFF_MIN;

		snet_link_step(&l, SNET_LINK_LOST, now, (uint32_t)(whole / 2));
		assert_true(l.deadline == now + whole);
		now = l.deadline;
		snet_link_step(&l, SNET_LINK_DUE, now, 0);
	}
	l.patience = SNET_LINK_BACKOFF_MAX + 1;
	snet_link_step(&l, SNET_LINK_LOST, now, (uint32_t)(SNET_LINK_BACKOFF_MAX / 2));
	assert_true(l.deadline == now + SNET_LINK_BACKOFF_MAX);
}

static void the_more_they_are_the_longer_they_settle(void **s)
{
	(void)s;
	for (uint32_t n = 0; n <= 3; n++)
		assert_true(snet_link_settle(n) == 0);
	for (uint32_t n = 4; n < 80; n++)
		assert_true(snet_link_settle(n) > snet_link_settle(n - 1));
	assert_true(snet_link_settle(200) == SNET_SEC);
	assert_true(snet_link_settle(UINT32_MAX) == SNET_SEC);
}

static void no_dial_begins_at_or_after_the_time_to_give_up(void **s)
{
	struct snet_link l = up_to(SNET_LINK_DIALING, 30 * SNET_SEC);
	snet_time now = 0, last_dial = 0;
	enum snet_link_want want = SNET_LINK_NOTHING;
	unsigned dials = 1;

	(void)s;
	while (l.state != SNET_LINK_CLOSED) {
		assert_true(l.deadline >= now && l.deadline <= 30 * SNET_SEC);
		now = l.deadline;
		want = snet_link_step(&l, SNET_LINK_DUE, now, 77);
		if (want == SNET_LINK_DIAL) {
			last_dial = now;
			dials++;
		}
		assert_true(dials < 100);
	}
	assert_int_equal(want, SNET_LINK_GIVE_UP);
	assert_true(now == 30 * SNET_SEC);
	assert_true(last_dial < 30 * SNET_SEC);
	assert_true(dials >= 3);
	assert_true(l.deadline == SNET_NEVER);
}

static void a_failure_after_the_time_to_give_up_is_the_last(void **s)
{
	static const enum snet_link_state from[] = { SNET_LINK_DIALING, SNET_LINK_UP };

	(void)s;
	for (size_t i = 0; i < 2; i++) {
		struct snet_link l = up_to(from[i], SNET_SEC);

		assert_int_equal(snet_link_step(&l, SNET_LINK_LOST, SNET_SEC, 0),
				 SNET_LINK_GIVE_UP);
		assert_int_equal(l.state, SNET_LINK_CLOSED);
		l = up_to(from[i], SNET_SEC);
		assert_int_equal(snet_link_step(&l, SNET_LINK_LOST, SNET_SEC - 1, 0),
				 SNET_LINK_NOTHING);
		assert_int_equal(l.state, SNET_LINK_WAITING);
		assert_true(l.deadline == SNET_SEC); /* to say so then, not to dial */
	}
}

static void a_link_that_is_up_does_not_give_up(void **s)
{
	struct snet_link l = up_to(SNET_LINK_UP, SNET_SEC);

	(void)s;
	assert_int_equal(snet_link_step(&l, SNET_LINK_DUE, 100 * SNET_SEC, 0),
			 SNET_LINK_NOTHING);
	assert_int_equal(l.state, SNET_LINK_UP);
}

/* Wants follow from states whatever comes: an owner that obeys never dials twice. */
static void a_random_life_keeps_to_the_rules(void **s)
{
	uint32_t seed = 5;

	(void)s;
	for (unsigned life = 0; life < 200; life++) {
		struct snet_link l =
			up_to(SNET_LINK_DOWN, life % 2 ? 20 * SNET_SEC : SNET_NEVER);
		bool dialled = false; /* the owner has a connection, or is making one */
		snet_time now = 0;

		for (unsigned step = 0; step < 300; step++) {
			enum snet_link_event ev;
			enum snet_link_want want;

			seed = seed * 1664525 + 1013904223;
			ev = (enum snet_link_event)((seed >> 24) % 20 ? (seed >> 16) % 4
								      : SNET_LINK_CLOSE);
			now += (seed >> 8) % (200 * SNET_MS);
			want = snet_link_step(&l, ev, now, seed);
			if (ev == SNET_LINK_LOST)
				dialled = false;
			if (want == SNET_LINK_DIAL) {
				assert_false(dialled);
				assert_true(now < l.give_up);
				dialled = true;
			}
			if (want == SNET_LINK_HANGUP || want == SNET_LINK_GIVE_UP)
				dialled = false;
			assert_true(l.state == SNET_LINK_DOWN || l.state == SNET_LINK_UP ||
				    l.state == SNET_LINK_CLOSED || l.deadline != SNET_NEVER);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_in_every_state),
		cmocka_unit_test(a_fresh_link_waits_for_nothing),
		cmocka_unit_test(an_attempt_has_a_deadline_and_being_up_has_none),
		cmocka_unit_test(waits_double_up_to_a_ceiling),
		cmocka_unit_test(the_whole_range_of_a_wait_is_used),
		cmocka_unit_test(having_been_up_makes_waits_short_again),
		cmocka_unit_test(patience_is_the_shortest_whole_wait),
		cmocka_unit_test(the_more_they_are_the_longer_they_settle),
		cmocka_unit_test(no_dial_begins_at_or_after_the_time_to_give_up),
		cmocka_unit_test(a_failure_after_the_time_to_give_up_is_the_last),
		cmocka_unit_test(a_link_that_is_up_does_not_give_up),
		cmocka_unit_test(a_random_life_keeps_to_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
