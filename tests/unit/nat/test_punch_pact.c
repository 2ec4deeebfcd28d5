/* nat/punch_pact: two sides, and signalling between them that takes its time; all of it is a
 * variable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "nat/punch_pact.h"

#define START (100 * SNET_SEC)
#define LINES 32

static struct {
	struct snet_pact pact;
	snet_time begun;
	bool agreed;
	unsigned said;
} side[2];

static struct {
	snet_time at;
	int to;
	struct snet_pact_word w;
} lines[LINES];
static unsigned lines_n;
static snet_time now, way[2]; /* way: of what each of them says */
static bool deaf[2];          /* knows of no pact */

static struct snet_addr target(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static void fresh(snet_time there, snet_time back)
{
	memset(side, 0, sizeof(side));
	for (int i = 0; i < 2; i++)
		snet_pact_init(&side[i].pact);
	lines_n = 0;
	now = START;
	way[0] = there;
	way[1] = back;
	deaf[0] = deaf[1] = false;
}

static void drive(int i)
{
	enum snet_pact_what what;
	struct snet_pact_word w;

	while ((what = snet_pact_step(&side[i].pact, &w, now))) {
		if (what == SNET_PACT_SAY) {
			assert_true(lines_n < LINES);
			lines[lines_n].at = now + way[i];
			lines[lines_n].to = !i;
			lines[lines_n++].w = w;
			side[i].said++;
			continue;
		}
		assert_int_equal(side[i].begun, 0); /* once */
		side[i].begun = now;
		side[i].agreed = what == SNET_PACT_BEGIN;
	}
	assert_true(side[i].pact.deadline > now);
}

static void ask(int i, uint64_t id)
{
	struct snet_addr a = target(i ? "192.0.2.2:2" : "192.0.2.1:1");

	assert_int_equal(snet_pact_ask(&side[i].pact, id, &a, now), SNET_OK);
	drive(i);
}

static void want(int i)
{
	snet_pact_want(&side[i].pact, now);
	drive(i);
}

/* Until nothing is left to be done. */
static void run(void)
{
	for (;;) {
		snet_time at = SNET_NEVER;
		int due = -1, line = -1;

		for (int i = 0; i < 2; i++)
			if (side[i].pact.deadline < at) {
				at = side[i].pact.deadline;
				due = i;
			}
		for (unsigned i = 0; i < lines_n; i++)
			if (lines[i].at < at) {
				at = lines[i].at;
				line = (int)i;
			}
		if (at == SNET_NEVER)
			return;
		now = at;
		if (line >= 0) {
			struct snet_pact_word w = lines[line].w;

			due = lines[line].to;
			lines[line] = lines[--lines_n];
			if (!deaf[due])
				(void)snet_pact_hear(&side[due].pact, &w, now);
		}
		drive(due);
	}
}

static snet_time apart(void)
{
	snet_time a = side[0].begun, b = side[1].begun;

	assert_true(a && b);
	return a > b ? a - b : b - a;
}

/* ---- how it goes */

static void both_begin_at_one_moment(void **state)
{
	static const snet_time ways[] = { 0, 1, 20, 100, 240 };

	(void)state;
	for (size_t i = 0; i < 5; i++)
		for (int who = 0; who < 2; who++) {
			fresh(ways[i] * SNET_MS, ways[i] * SNET_MS);
			want(!who);
			ask(who, 77);
			run();
			assert_true(side[0].agreed && side[1].agreed);
			assert_int_equal(apart(), 0);
			/* A round trip to measure, one and a half to be sure of the answer. */
			assert_true(side[0].begun <= START + 3 * 2 * ways[i] * SNET_MS +
							     SNET_PACT_DELAY_LEAST + SNET_MS);
			assert_int_equal(side[who].said, 2);
			assert_int_equal(side[!who].said, 2);
		}
}

/* Nobody can tell one way from the other: half of the difference it is. */
static void ways_that_differ_cost_half_of_that(void **state)
{
	(void)state;
	fresh(10 * SNET_MS, 90 * SNET_MS);
	ask(0, 77);
	run();
	assert_true(side[0].agreed && side[1].agreed);
	assert_int_equal(apart(), 40 * SNET_MS);
}

/* The round trip is that of the request that times, not of the one before. */
static void a_way_that_grows_in_between_does_no_harm(void **state)
{
	(void)state;
	fresh(20 * SNET_MS, 20 * SNET_MS);
	ask(0, 77);
	now = lines[0].at;
	lines_n = 0;
	assert_int_equal(
		snet_pact_hear(&side[1].pact, &(struct snet_pact_word){ .id = 77 }, now),
		SNET_OK);
	drive(1);
	now = lines[0].at;
	lines_n = 0;
	way[0] = way[1] = 30 * SNET_MS;
	assert_int_equal(
		snet_pact_hear(&side[0].pact,
			       &(struct snet_pact_word){ .kind = SNET_PACT_ACK, .id = 77 },
			       now),
		SNET_OK);
	drive(0);
	run();
	assert_true(side[0].agreed && side[1].agreed);
	assert_int_equal(apart(), 0);
}

/* The second word is on its way when it would have begun by itself. */
static void who_has_been_asked_waits_for_the_moment(void **state)
{
	(void)state;
	fresh(150 * SNET_MS, 150 * SNET_MS);
	want(1);
	now += 800 * SNET_MS;
	ask(0, 77);
	run();
	assert_true(side[0].agreed && side[1].agreed);
	assert_true(side[1].begun > START + SNET_PACT_ALONE);
	assert_int_equal(apart(), 0);
}

static void an_answer_that_is_late_is_not_waited_for(void **state)
{
	(void)state;
	fresh(20 * SNET_MS, 20 * SNET_MS);
	ask(0, 77);
	now = START + 40 * SNET_MS;
	lines_n = 0;
	assert_int_equal(
		snet_pact_hear(&side[0].pact,
			       &(struct snet_pact_word){ .kind = SNET_PACT_ACK, .id = 77 },
			       now),
		SNET_OK);
	drive(0);
	assert_int_equal(lines[0].w.id, 78);
	way[1] = SNET_SEC;
	run();
	assert_true(side[0].agreed && side[1].agreed);
	assert_int_equal(apart(), 0); /* by what the first one has measured */
}

static void of_two_who_ask_each_other_one_wins(void **state)
{
	static const snet_time later[] = { 0, 1, 15, 19 };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (int greater = 0; greater < 2; greater++) {
			fresh(20 * SNET_MS, 20 * SNET_MS);
			ask(0, greater ? 5 : 900);
			now += later[i] * SNET_MS;
			ask(1, greater ? 900 : 5);
			run();
			assert_true(side[0].agreed && side[1].agreed);
			assert_int_equal(apart(), 0);
			/* One times: its target is what the other one goes to. */
			assert_true(snet_addr_eq(&side[0].pact.target, &side[1].pact.target));
		}
}

/* Both have measured before they hear of each other, as when lines come in another order. */
static void of_two_that_time_one_wins(void **state)
{
	struct snet_pact_word w = { .kind = SNET_PACT_ACK };

	(void)state;
	fresh(20 * SNET_MS, 20 * SNET_MS);
	for (int i = 0; i < 2; i++)
		ask(i, i ? 900 : 5);
	lines_n = 0;
	now += 40 * SNET_MS;
	for (int i = 0; i < 2; i++) {
		w.id = i ? 900 : 5;
		assert_int_equal(snet_pact_hear(&side[i].pact, &w, now), SNET_OK);
		drive(i);
	}
	assert_int_equal(lines_n, 2);
	run();
	/* TIMING leads to AGREED by the other's word, too. */
	assert_true(side[0].agreed && side[1].agreed);
	assert_int_equal(apart(), 0);
	assert_true(snet_addr_eq(&side[0].pact.target, &side[1].pact.target));
}

static void one_without_a_wish_of_its_own_begins_too(void **state)
{
	(void)state;
	fresh(20 * SNET_MS, 20 * SNET_MS);
	ask(0, 77);
	run();
	assert_true(side[1].agreed);
	assert_int_equal(apart(), 0);
	assert_true(snet_addr_eq(&side[1].pact.target, &side[0].pact.target));
}

/* ---- nobody there */

static void a_peer_that_knows_of_no_pact_costs_nothing(void **state)
{
	(void)state;
	fresh(20 * SNET_MS, 20 * SNET_MS);
	want(0);
	want(1);
	deaf[1] = true;
	now += SNET_PACT_ALONE / 2;
	ask(0, 77);
	run();
	for (int i = 0; i < 2; i++) {
		assert_false(side[i].agreed);
		assert_int_equal(side[i].begun, START + SNET_PACT_ALONE);
	}
}

static void signalling_that_is_slow_is_not_waited_for(void **state)
{
	(void)state;
	fresh(600 * SNET_MS, 600 * SNET_MS);
	want(1);
	ask(0, 77);
	run();
	assert_false(side[0].agreed);
	assert_int_equal(side[0].begun, START + SNET_PACT_ALONE);
	/* It has been asked, and was promised another word. */
	assert_true(side[1].begun <= START + 600 * SNET_MS + SNET_PACT_ALONE);
}

static void nothing_to_do_yet_may_be_wanted_again(void **state)
{
	struct snet_addr a = target("192.0.2.1:1");
	struct snet_pact_word w;

	(void)state;
	fresh(0, 0);
	want(0);
	now += SNET_PACT_ALONE;
	assert_int_equal(snet_pact_step(&side[0].pact, &w, now), SNET_PACT_BEGIN_ALONE);
	assert_int_equal(snet_pact_ask(&side[0].pact, 1, &a, now), SNET_EAGAIN);
	snet_pact_renew(&side[0].pact);
	assert_true(side[0].pact.deadline == SNET_NEVER);
	for (unsigned i = 0; i < SNET_PACT_ASKS; i++) {
		assert_int_equal(snet_pact_ask(&side[0].pact, 2 * i, &a, now), SNET_OK);
		assert_int_equal(snet_pact_ask(&side[0].pact, 9, &a, now), SNET_EAGAIN);
		snet_pact_stop(&side[0].pact);
		assert_int_equal(snet_pact_step(&side[0].pact, &w, SNET_NEVER - 1),
				 SNET_PACT_NOTHING);
		snet_pact_renew(&side[0].pact);
	}
	assert_int_equal(snet_pact_ask(&side[0].pact, 9, &a, now), SNET_EPOLICY);
}

/* ---- what a peer may say that is no good */

static int hear(enum snet_pact_kind kind, uint64_t id, snet_time delay)
{
	struct snet_pact_word w = { kind, id, target("192.0.2.2:2"), delay };
	int rc = snet_pact_hear(&side[0].pact, &w, now);

	drive(0);
	return rc;
}

static void what_is_said_twice_is_heard_once(void **state)
{
	(void)state;
	fresh(0, 0);
	assert_int_equal(hear(SNET_PACT_REQUEST, 7, 0), SNET_OK);
	assert_int_equal(hear(SNET_PACT_REQUEST, 7, 0), SNET_EAGAIN);
	assert_int_equal(hear(SNET_PACT_REQUEST, 7, 50 * SNET_MS), SNET_EAGAIN);
	assert_int_equal(hear(SNET_PACT_REQUEST, 8, 50 * SNET_MS), SNET_OK);
	assert_int_equal(hear(SNET_PACT_REQUEST, 9, 900 * SNET_MS), SNET_EAGAIN);
	assert_int_equal(side[0].said, 2);
	now += 50 * SNET_MS;
	drive(0);
	assert_true(side[0].agreed);
	assert_int_equal(hear(SNET_PACT_REQUEST, 10, 0), SNET_ECLOSED);
	snet_pact_renew(&side[0].pact);
	assert_int_equal(hear(SNET_PACT_REQUEST, 8, 50 * SNET_MS), SNET_EAGAIN);
	assert_int_equal(side[0].said, 2);
}

static void answers_to_nothing_are_nothing(void **state)
{
	(void)state;
	fresh(0, 0);
	assert_int_equal(hear(SNET_PACT_ACK, 0, 0), SNET_EAGAIN);
	ask(0, 77);
	assert_int_equal(hear(SNET_PACT_ACK, 78, 0), SNET_EAGAIN);
	assert_int_equal(hear(SNET_PACT_ACK, 77, 0), SNET_OK);
	assert_int_equal(side[0].pact.state, SNET_PACT_TIMING);
	assert_int_equal(hear(SNET_PACT_ACK, 77, 0), SNET_EAGAIN);
	assert_int_equal(hear(SNET_PACT_ACK, 78, 0), SNET_OK);
	assert_int_equal(side[0].pact.state, SNET_PACT_AGREED);
	assert_int_equal(hear(SNET_PACT_ACK, 78, 0), SNET_EAGAIN);
	assert_int_equal(side[0].said, 2);
}

static void how_long_it_makes_us_wait_has_a_ceiling(void **state)
{
	(void)state;
	fresh(0, 0);
	assert_int_equal(hear(SNET_PACT_REQUEST, 1, SNET_PACT_DELAY_MAX + 1), SNET_EPOLICY);
	assert_int_equal(hear(SNET_PACT_REQUEST, 1, SNET_NEVER), SNET_EPOLICY);
	assert_int_equal(side[0].said, 0);
	want(0);
	for (uint64_t id = 10; !side[0].begun; id++) {
		(void)hear(SNET_PACT_REQUEST, id, 0);
		now += SNET_PACT_ALONE * 9 / 10;
		drive(0);
		assert_true(now < START + SNET_PACT_WAIT_MAX + SNET_PACT_ALONE);
	}
	assert_int_equal(side[0].pact.alone, START + SNET_PACT_WAIT_MAX);
	assert_int_equal(side[0].said, 4);
	assert_false(side[0].agreed);
	/* The longest delay, just before it would have begun. */
	fresh(0, 0);
	want(0);
	now += SNET_PACT_ALONE - 1;
	assert_int_equal(hear(SNET_PACT_REQUEST, 1, SNET_PACT_DELAY_MAX), SNET_OK);
	run();
	assert_int_equal(side[0].begun, START + SNET_PACT_ALONE - 1 + SNET_PACT_DELAY_MAX);
	assert_true(side[0].agreed);
}

static void requests_have_a_ceiling(void **state)
{
	(void)state;
	fresh(0, 0);
	for (uint64_t id = 0; id < SNET_PACT_HEARD; id++)
		assert_int_equal(hear(SNET_PACT_REQUEST, id, 0), SNET_OK);
	assert_int_equal(hear(SNET_PACT_REQUEST, 100, 0), SNET_EPOLICY);
	assert_int_equal(hear(SNET_PACT_REQUEST, 101, SNET_MS), SNET_EPOLICY);
	assert_int_equal(side[0].said, SNET_PACT_HEARD);
}

/* A round trip that is as long as may be is no reason to wait for long. */
static void delays_of_ours_are_within_what_we_take(void **state)
{
	(void)state;
	for (snet_time rtt = 1; rtt < SNET_PACT_ALONE; rtt = rtt * 3 + SNET_US) {
		fresh(0, 0);
		ask(0, 77);
		now += rtt;
		assert_int_equal(hear(SNET_PACT_ACK, 77, 0), SNET_OK);
		assert_true(side[0].pact.delay <= SNET_PACT_DELAY_MAX);
		assert_true(side[0].pact.delay >= rtt / 2 + SNET_PACT_DELAY_LEAST);
		assert_int_equal(side[0].pact.delay % SNET_MS, 0);
		run();
		assert_true(side[0].agreed);
		assert_true(side[0].begun <= START + SNET_PACT_WAIT_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_begin_at_one_moment),
		cmocka_unit_test(ways_that_differ_cost_half_of_that),
		cmocka_unit_test(a_way_that_grows_in_between_does_no_harm),
		cmocka_unit_test(who_has_been_asked_waits_for_the_moment),
		cmocka_unit_test(an_answer_that_is_late_is_not_waited_for),
		cmocka_unit_test(of_two_who_ask_each_other_one_wins),
		cmocka_unit_test(of_two_that_time_one_wins),
		cmocka_unit_test(one_without_a_wish_of_its_own_begins_too),
		cmocka_unit_test(a_peer_that_knows_of_no_pact_costs_nothing),
		cmocka_unit_test(signalling_that_is_slow_is_not_waited_for),
		cmocka_unit_test(nothing_to_do_yet_may_be_wanted_again),
		cmocka_unit_test(what_is_said_twice_is_heard_once),
		cmocka_unit_test(answers_to_nothing_are_nothing),
		cmocka_unit_test(how_long_it_makes_us_wait_has_a_ceiling),
		cmocka_unit_test(requests_have_a_ceiling),
		cmocka_unit_test(delays_of_ours_are_within_what_we_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
