/* nat/punch: who probes when, in virtual time; which ports come next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/punch.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define START (100 * SNET_SEC)

static struct snet_addr addr(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static void make(struct snet_punch *p, const struct snet_punch_config *c, bool asker)
{
	struct snet_addr a = addr("192.0.2.1:4000");

	assert_int_equal(snet_punch_init(p, c, asker, asker ? 77 : 0), SNET_OK);
	assert_int_equal(snet_punch_add(p, &a, false), SNET_OK);
}

/* Two of them, with signalling that takes half of rtt each way; when the probes of both begin,
 * and how many there are. Nothing gets through. */
struct run {
	snet_time first[2];
	unsigned probes[2], requests, acks;
	snet_time over[2];
};

static struct run run(snet_time rtt, const struct snet_punch_config *c, uint64_t random)
{
	struct snet_punch p[2];
	struct {
		snet_time at;
		int to;
		struct snet_punch_want want;
	} way[8];
	struct run r = { .requests = 0 };
	size_t n = 0;

	make(&p[0], c, true);
	make(&p[1], c, false);
	snet_punch_start(&p[0], START);
	snet_punch_start(&p[1], START);
	for (snet_time now = START; now < START + 60 * SNET_SEC; now += SNET_MS / 2) {
		for (size_t i = 0; i < n;) {
			if (way[i].at > now) {
				i++;
				continue;
			}
			if (way[i].want.what == SNET_PUNCH_REQUEST)
				snet_punch_requested(&p[1], way[i].want.transaction,
						     way[i].want.delay_ms, now);
			else
				assert_int_equal(snet_punch_acknowledged(
							 &p[0], way[i].want.transaction, now),
						 SNET_OK);
			way[i] = way[--n];
		}
		for (int i = 0; i < 2; i++) {
			struct snet_punch_want w;

			while ((w = snet_punch_step(&p[i], now, random)).what) {
				r.requests += w.what == SNET_PUNCH_REQUEST;
				r.acks += w.what == SNET_PUNCH_ACK;
				if (w.what == SNET_PUNCH_GIVE_UP)
					r.over[i] = now;
				if (w.what == SNET_PUNCH_PROBE && !r.probes[i]++)
					r.first[i] = now;
				if (w.what != SNET_PUNCH_REQUEST && w.what != SNET_PUNCH_ACK)
					continue;
				way[n].at = now + rtt / 2;
				way[n].to = !i;
				way[n++].want = w;
			}
		}
	}
	return r;
}

static void both_sides_probe_at_the_same_moment(void **state)
{
	static const snet_time rtts[] = { 0, 10 * SNET_MS, 80 * SNET_MS, 199 * SNET_MS };

	(void)state;
	for (size_t i = 0; i < N(rtts); i++) {
		struct run r = run(rtts[i], &snet_punch_defaults, 12345678901);
		snet_time apart = r.first[0] > r.first[1] ? r.first[0] - r.first[1]
							  : r.first[1] - r.first[0];

		assert_true(r.probes[0] && r.probes[1]);
		assert_true(apart <= SNET_MS);
		assert_true(r.first[0] >= START + 100 * SNET_MS);
		assert_true(r.first[0] <= START + 151 * SNET_MS + rtts[i] / 2);
	}
}

static void three_attempts_of_five_probes_and_then_it_gives_up(void **state)
{
	struct run r = run(10 * SNET_MS, &snet_punch_defaults, 0);

	(void)state;
	assert_int_equal(r.requests, 3);
	assert_int_equal(r.acks, 3);
	assert_int_equal(r.probes[0], 15);
	assert_int_equal(r.probes[1], 15);
	/* Three times 0.1 + 0.08 + 2 s, and 0.5 and 0.75 s of rest. */
	assert_true(r.over[0] > START + 7700 * SNET_MS && r.over[0] < START + 8000 * SNET_MS);
	assert_true(r.over[1] && r.over[1] < START + 8000 * SNET_MS);
}

/* Where signalling is slower than the delay, the first attempt is off; the second is not. */
static void the_second_attempt_knows_how_slow_signalling_is(void **state)
{
	struct snet_punch_config c = snet_punch_defaults;
	struct snet_punch p;
	struct snet_punch_want w;
	snet_time now = START;

	(void)state;
	make(&p, &c, true);
	snet_punch_start(&p, now);
	w = snet_punch_step(&p, now, 0);
	assert_int_equal(w.what, SNET_PUNCH_REQUEST);
	assert_int_equal(w.delay_ms, 100);
	now += SNET_SEC;
	assert_int_equal(snet_punch_acknowledged(&p, 78, now), SNET_EAGAIN);
	assert_int_equal(snet_punch_acknowledged(&p, 77, now), SNET_OK);
	assert_true(p.deadline == now);
	assert_int_equal(snet_punch_acknowledged(&p, 77, now), SNET_EAGAIN);
	for (;;) {
		now = p.deadline;
		w = snet_punch_step(&p, now, 0);
		if (w.what == SNET_PUNCH_REQUEST)
			break;
		assert_true(w.what == SNET_PUNCH_PROBE || !w.what);
	}
	assert_int_equal(w.delay_ms, 500);
	assert_int_equal(w.transaction, 77);
}

static void an_unanswered_request_is_made_again_and_ends(void **state)
{
	struct snet_punch p;
	struct snet_punch_want w;
	unsigned requests = 0;

	(void)state;
	make(&p, &snet_punch_defaults, true);
	snet_punch_start(&p, START);
	do {
		w = snet_punch_step(&p, p.deadline, 0);
		requests += w.what == SNET_PUNCH_REQUEST;
		assert_int_not_equal(w.what, SNET_PUNCH_PROBE);
	} while (w.what != SNET_PUNCH_GIVE_UP);
	assert_int_equal(requests, 3);
	assert_true(p.deadline == SNET_NEVER);
	assert_int_equal(snet_punch_step(&p, START + 100 * SNET_SEC, 0).what,
			 SNET_PUNCH_NOTHING);
}

static void without_a_request_the_other_side_gives_up(void **state)
{
	struct snet_punch p;

	(void)state;
	make(&p, &snet_punch_defaults, false);
	snet_punch_start(&p, START);
	assert_int_equal(snet_punch_step(&p, START + 9 * SNET_SEC, 0).what, SNET_PUNCH_NOTHING);
	assert_int_equal(snet_punch_step(&p, START + 10 * SNET_SEC, 0).what,
			 SNET_PUNCH_GIVE_UP);
}

static void a_peer_cannot_have_us_send_late_or_for_ever(void **state)
{
	struct snet_punch p;
	unsigned probes = 0, taken = 0;

	(void)state;
	make(&p, &snet_punch_defaults, false);
	assert_int_equal(snet_punch_requested(&p, 1, 0, START), SNET_EAGAIN); /* not started */
	snet_punch_start(&p, START);
	assert_int_equal(snet_punch_requested(&p, 1, SNET_PUNCH_DELAY_MAX_MS + 1, START),
			 SNET_EPROTO);
	for (snet_time now = START; now < START + 20 * SNET_SEC; now += 10 * SNET_MS) {
		struct snet_punch_want w;

		taken += !snet_punch_requested(&p, now, 0, now);
		while ((w = snet_punch_step(&p, now, 0)).what)
			probes += w.what == SNET_PUNCH_PROBE;
	}
	assert_int_equal(taken, 3);
	assert_true(probes <= 15);
	assert_int_equal(p.state, SNET_PUNCH_FAILED);
}

static void a_success_ends_it(void **state)
{
	struct snet_punch p;

	(void)state;
	make(&p, &snet_punch_defaults, false);
	snet_punch_start(&p, START);
	assert_int_equal(snet_punch_requested(&p, 1, 50, START), SNET_OK);
	snet_punch_succeeded(&p);
	assert_int_equal(p.state, SNET_PUNCH_DONE);
	assert_int_equal(snet_punch_step(&p, START, 0).what, SNET_PUNCH_ACK); /* it is owed */
	assert_int_equal(snet_punch_step(&p, START + SNET_SEC, 0).what, SNET_PUNCH_NOTHING);
	assert_int_equal(snet_punch_requested(&p, 2, 50, START), SNET_EAGAIN);
	snet_punch_succeeded(&p);
}

static void ports_by_lot_are_bounded_and_off_unless_asked_for(void **state)
{
	struct snet_punch_config c = snet_punch_defaults;
	struct run r;

	(void)state;
	assert_int_equal(c.birthday, 0);
	c.birthday = 1000000;
	c.retries = 1;
	r = run(0, &c, 4711);
	assert_true(r.probes[0] <= 5 + SNET_PUNCH_BIRTHDAY_MAX);
	assert_true(r.probes[0] >= SNET_PUNCH_BIRTHDAY_MAX);
}

static void a_drawn_port_is_at_the_first_target_and_never_a_low_one(void **state)
{
	struct snet_punch_config c = snet_punch_defaults;
	struct snet_addr want = addr("192.0.2.1:1");
	struct snet_punch p;
	struct snet_punch_want w;

	(void)state;
	c.birthday = 500;
	make(&p, &c, false);
	snet_punch_start(&p, START);
	assert_int_equal(snet_punch_requested(&p, 1, 0, START), SNET_OK);
	for (uint64_t i = 0; (w = snet_punch_step(&p, START, i * 0x9e3779b97f4a7c15u)).what;
	     i++) {
		if (w.what != SNET_PUNCH_PROBE)
			continue;
		assert_true(snet_addr_port(&w.to) >= 1024);
		snet_addr_set_port(&want, snet_addr_port(&w.to));
		assert_true(snet_addr_eq(&want, &w.to));
	}
}

static void targets_are_few_and_harmless(void **state)
{
	struct snet_addr bad = addr("224.0.0.1:1"), lo = addr("127.0.0.1:1");
	struct snet_addr a = addr("192.0.2.1:4000");
	struct snet_punch p;

	(void)state;
	make(&p, &snet_punch_defaults, true);
	assert_int_equal(snet_punch_add(&p, &bad, false), SNET_EPOLICY);
	assert_int_equal(snet_punch_add(&p, &lo, false), SNET_EPOLICY);
	assert_int_equal(snet_punch_add(&p, &lo, true), SNET_OK);
	assert_int_equal(snet_punch_add(&p, &a, false), SNET_EAGAIN);
	for (uint16_t i = 1; i <= 14; i++) {
		snet_addr_set_port(&a, i);
		assert_int_equal(snet_punch_add(&p, &a, false), SNET_OK);
	}
	snet_addr_set_port(&a, 99);
	assert_int_equal(snet_punch_add(&p, &a, false), SNET_ETOOBIG);
}

static void a_configuration_without_probes_is_refused(void **state)
{
	struct snet_punch_config c = snet_punch_defaults;
	struct snet_punch p;

	(void)state;
	c.probe_count = 0;
	assert_int_equal(snet_punch_init(&p, &c, true, 1), SNET_EINVAL);
	c = snet_punch_defaults;
	c.probe_interval = 0;
	assert_int_equal(snet_punch_init(&p, &c, true, 1), SNET_EINVAL);
	c = snet_punch_defaults;
	c.jitter = 0; /* a delay that is always the same is lawful */
	assert_int_equal(snet_punch_init(&p, &c, true, 1), SNET_OK);
	snet_punch_start(&p, START);
	assert_int_equal(snet_punch_step(&p, START, UINT64_MAX).delay_ms, 100);
}

static void ports_that_step_are_foretold(void **state)
{
	static const struct {
		uint16_t seen[6];
		size_t n, want_n;
		uint16_t want[4];
	} cases[] = {
		{ { 5000, 5000, 5000 }, 3, 1, { 5000 } },
		{ { 5000, 5001, 5002 }, 3, 4, { 5003, 5004, 5005, 5006 } },
		{ { 5000, 5002, 5004, 5006 }, 4, 4, { 5008, 5010, 5012, 5014 } },
		{ { 5009, 5006, 5003 }, 3, 4, { 5000, 4997, 4994, 4991 } },
		{ { 5000, 5001, 5004, 5005 }, 4, 4, { 5006, 5007, 5008, 5009 } }, /* others */
		{ { 65532, 65533, 65534 }, 3, 1, { 65535 } },
		{ { 1026, 1025, 1024 }, 3, 0, { 0 } },
		{ { 5000, 5001 }, 2, 0, { 0 } },
		{ { 5000, 49231, 10222 }, 3, 0, { 0 } },
		{ { 5000, 5001, 5000 }, 3, 0, { 0 } },
		{ { 5000, 5000, 5001 }, 3, 0, { 0 } },
		{ { 5000, 5065, 5130 }, 3, 0, { 0 } },
		{ { 0 }, 0, 0, { 0 } },
	};
	uint16_t out[4];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		size_t n = snet_punch_foretell(cases[i].seen, cases[i].n, out, N(out));

		assert_int_equal(n, cases[i].want_n);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(out[k], cases[i].want[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_probe_at_the_same_moment),
		cmocka_unit_test(three_attempts_of_five_probes_and_then_it_gives_up),
		cmocka_unit_test(the_second_attempt_knows_how_slow_signalling_is),
		cmocka_unit_test(an_unanswered_request_is_made_again_and_ends),
		cmocka_unit_test(without_a_request_the_other_side_gives_up),
		cmocka_unit_test(a_peer_cannot_have_us_send_late_or_for_ever),
		cmocka_unit_test(a_success_ends_it),
		cmocka_unit_test(ports_by_lot_are_bounded_and_off_unless_asked_for),
		cmocka_unit_test(a_drawn_port_is_at_the_first_target_and_never_a_low_one),
		cmocka_unit_test(targets_are_few_and_harmless),
		cmocka_unit_test(a_configuration_without_probes_is_refused),
		cmocka_unit_test(ports_that_step_are_foretold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
