#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "emul/draw.h"
#include "emul/pending.h"
#include "emul/shape.h"
#include "support/torture.h"

#define N 200000
#define START (1000 * SNET_SEC)

static void is_near(double have, double want, double by)
{
	if (!(fabs(have - want) <= by))
		fail_msg("%.9g is not within %.9g of %.9g", have, by, want);
}

static struct snet_shape shape_of(struct snet_shape_spec spec)
{
	struct snet_error err = { 0 };
	struct snet_shape s;

	if (snet_shape_check(&spec, &err))
		fail_msg("%s", err.text);
	snet_shape_init(&s, &spec, 42);
	return s;
}

struct moments {
	double mean, deviation, along; /* along: correlation of each with the next */
	double least, most;
};

/* Of the delays of N packets a microsecond apart. */
static struct moments delays(struct snet_shape_spec spec)
{
	struct snet_shape s = shape_of(spec);
	struct moments m = { .least = 1e30 };
	double sum = 0, squares = 0, pairs = 0, last = 0, first = 0;

	for (size_t i = 0; i < N; i++) {
		snet_time now = START + i * SNET_US;
		struct snet_shape_fate f = snet_shape_push(&s, 100, now);
		double d = (double)(f.when - now);

		assert_int_equal(f.fate, SNET_FATE_DELIVER);
		m.least = fmin(m.least, d);
		m.most = fmax(m.most, d);
		sum += d;
		squares += d * d;
		pairs += i ? d * last : 0;
		first = i ? first : d;
		last = d;
	}
	m.mean = sum / N;
	m.deviation = sqrt(squares / N - m.mean * m.mean);
	m.along = ((pairs + last * first) / N - m.mean * m.mean) / (m.deviation * m.deviation);
	return m;
}

static void a_link_that_is_nothing_delivers_at_once(void **state)
{
	struct snet_shape s = shape_of((struct snet_shape_spec){ 0 });
	struct snet_shape_fate f = snet_shape_push(&s, 1500, START);

	(void)state;
	assert_int_equal(f.fate, SNET_FATE_DELIVER);
	assert_int_equal(f.copies, 1);
	assert_int_equal(f.when, START);
	assert_false(f.corrupt);
	assert_int_equal(s.count.delivered_bytes, 1500);
}

static void delay_is_exact(void **state)
{
	struct moments m = delays((struct snet_shape_spec){ .delay = 20 * SNET_MS });

	(void)state;
	is_near(m.least, 20e6, 0);
	is_near(m.most, 20e6, 0);
}

static void jitter_has_the_mean_and_deviation_promised(void **state)
{
	struct snet_shape_spec spec = { .delay = 40 * SNET_MS, .jitter = 2 * SNET_MS };
	struct moments m;

	(void)state;
	for (double rho = 0; rho < .8; rho += .25) {
		spec.correlation = rho;
		spec.distribution = SNET_JITTER_UNIFORM;
		m = delays(spec);
		is_near(m.mean, 40e6, 40e3);
		is_near(m.deviation, 2e6 / sqrt(3), .02 * 2e6 / sqrt(3));
		assert_true(m.least >= 38e6 && m.most <= 42e6);
		is_near(m.along, rho, .03);

		spec.distribution = SNET_JITTER_NORMAL;
		m = delays(spec);
		is_near(m.mean, 40e6, 40e3);
		is_near(m.deviation, 2e6, .02 * 2e6);
		is_near(m.along, rho, .02);

		spec.distribution = SNET_JITTER_PARETO;
		m = delays(spec);
		is_near(m.mean, 40e6, 40e3);
		is_near(m.deviation, 2e6, .05 * 2e6);
		assert_true(m.least >= 40e6 - 1.4e6 && m.most > 48e6);
	}
}

/* Kolmogorov and Smirnov, at 1 in 1000: not the moments alone are right. */
static void jitter_has_the_shape_promised(void **state)
{
	struct snet_shape s = shape_of((struct snet_shape_spec){
		.delay = SNET_SEC, .jitter = SNET_MS, .distribution = SNET_JITTER_NORMAL });
	static unsigned below[81];
	double worst = 0;

	(void)state;
	memset(below, 0, sizeof(below));
	for (size_t i = 0; i < N; i++) {
		struct snet_shape_fate f = snet_shape_push(&s, 100, START);
		double z = ((double)(f.when - START) - 1e9) / 1e6;

		for (int k = 0; k <= 80; k++)
			below[k] += z < (k - 40) / 10.;
	}
	for (int k = 0; k <= 80; k++)
		worst = fmax(worst,
			     fabs((double)below[k] / N - erfc(-(k - 40) / 10. / sqrt(2)) / 2));
	assert_true(worst < 1.95 / sqrt(N));
}

static void in_order_keeps_the_order_that_jitter_breaks(void **state)
{
	struct snet_shape_spec spec = { .delay = 20 * SNET_MS, .jitter = 5 * SNET_MS };
	size_t back[2] = { 0, 0 };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct snet_shape s;
		snet_time last = 0;

		spec.in_order = k;
		s = shape_of(spec);
		for (size_t i = 0; i < 1000; i++) {
			struct snet_shape_fate f = snet_shape_push(&s, 9, START + i * SNET_MS);

			back[k] += f.when < last;
			last = f.when;
		}
	}
	assert_true(back[0] > 100);
	assert_int_equal(back[1], 0);
}

/* ---- rate */

static void the_rate_is_kept(void **state)
{
	static const uint64_t rates[] = { 64000, 10000000, 100000000, 2320000000, 10000000000 };

	(void)state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(*rates); r++) {
		struct snet_shape s = shape_of(
			(struct snet_shape_spec){ .rate = rates[r], .limit_bytes = 65536 });
		uint64_t bits = 0;
		snet_time now = START, last = 0;

		for (size_t i = 0; i < 20000; i++) {
			size_t size = 100 + i % 1300;
			struct snet_shape_fate f = snet_shape_push(&s, size, now);

			if (f.fate == SNET_FATE_DROPPED) { /* wait for room */
				now += snet_shape_wait(&s, now) / 2 + 1;
				continue;
			}
			bits += size * 8;
			assert_true(f.when >= last);
			last = f.when;
		}
		is_near((double)bits * 1e9 / (double)(last - START), (double)rates[r],
			.001 * (double)rates[r]);
	}
}

static void a_packet_takes_its_bits_times_the_rate(void **state)
{
	struct snet_shape s =
		shape_of((struct snet_shape_spec){ .rate = 1000000, .delay = 5 * SNET_MS });

	(void)state;
	assert_int_equal(snet_shape_push(&s, 1250, START).when, START + 15 * SNET_MS);
	assert_int_equal(snet_shape_push(&s, 1250, START).when, START + 25 * SNET_MS);
	assert_int_equal(snet_shape_backlog(&s, START), 2500);
	assert_int_equal(snet_shape_wait(&s, START + 5 * SNET_MS), 15 * SNET_MS);
	assert_int_equal(snet_shape_push(&s, 125, START + SNET_SEC).when,
			 START + SNET_SEC + 6 * SNET_MS);
}

/* Ten packets are in the bucket; the eleventh waits for its tokens. After a silence it is
 * full again. */
static void a_burst_passes_at_once(void **state)
{
	struct snet_shape s =
		shape_of((struct snet_shape_spec){ .rate = 8000000, .burst = 10000 });
	snet_time now = START;

	(void)state;
	for (int round = 0; round < 3; round++, now += SNET_SEC) {
		for (int i = 0; i < 10; i++)
			assert_int_equal(snet_shape_push(&s, 1000, now).when, now);
		assert_int_equal(snet_shape_push(&s, 1000, now).when, now + SNET_MS);
		assert_int_equal(snet_shape_push(&s, 1000, now).when, now + 2 * SNET_MS);
	}
}

static void what_finds_the_queue_full_is_dropped_and_counted(void **state)
{
	struct snet_shape bytes =
		shape_of((struct snet_shape_spec){ .rate = 8000000, .limit_bytes = 10000 });
	struct snet_shape lasting = shape_of(
		(struct snet_shape_spec){ .rate = 8000000, .limit_time = 20 * SNET_MS });

	(void)state;
	for (int i = 0; i < 30; i++) {
		struct snet_shape_fate f = snet_shape_push(&bytes, 1000, START);

		assert_int_equal(f.fate, i < 10 ? SNET_FATE_DELIVER : SNET_FATE_DROPPED);
		f = snet_shape_push(&lasting, 1000, START);
		assert_int_equal(f.fate, i < 20 ? SNET_FATE_DELIVER : SNET_FATE_DROPPED);
	}
	assert_int_equal(bytes.count.dropped, 20);
	assert_int_equal(bytes.count.delivered, 10);
	assert_int_equal(lasting.count.dropped, 10);
	/* one has drained: there is room for one */
	assert_int_equal(snet_shape_push(&bytes, 1000, START + SNET_MS).fate,
			 SNET_FATE_DELIVER);
	assert_int_equal(snet_shape_push(&bytes, 1000, START + SNET_MS).fate,
			 SNET_FATE_DROPPED);
}

static void an_empty_queue_takes_a_packet_larger_than_it(void **state)
{
	struct snet_shape s =
		shape_of((struct snet_shape_spec){ .rate = 8000000, .limit_bytes = 10 });

	(void)state;
	assert_int_equal(snet_shape_push(&s, 1000, START).fate, SNET_FATE_DELIVER);
	assert_int_equal(snet_shape_push(&s, 1000, START).fate, SNET_FATE_DROPPED);
}

static void a_change_of_rate_is_for_what_comes_after(void **state)
{
	struct snet_shape_spec spec = { .rate = 1000000 };
	struct snet_shape s = shape_of(spec);

	(void)state;
	assert_int_equal(snet_shape_push(&s, 1250, START).when, START + 10 * SNET_MS);
	spec.rate = 10000000;
	snet_shape_change(&s, &spec);
	assert_int_equal(snet_shape_push(&s, 1250, START).when, START + 11 * SNET_MS);
}

/* ---- chance */

/* Within 3 deviations of a binomial count. */
static void share_is(uint64_t have, double p)
{
	is_near((double)have, N * p, 3 * sqrt(N * p * (1 - p)));
}

static void chances_are_kept(void **state)
{
	static const double shares[] = { .001, .01, .1, .5 };

	(void)state;
	for (size_t k = 0; k < sizeof(shares) / sizeof(*shares); k++) {
		double p = shares[k];
		struct snet_shape s = shape_of((struct snet_shape_spec){
			.delay = SNET_MS, .duplicate = p, .corrupt = p, .reorder = p });
		struct snet_shape l = shape_of((struct snet_shape_spec){ .loss = p });
		uint64_t early = 0, twice = 0, hurt = 0, lost = 0;

		for (size_t i = 0; i < N; i++) {
			struct snet_shape_fate f = snet_shape_push(&s, 100, START);

			early += f.when == START;
			twice += f.copies == 2;
			hurt += f.corrupt;
			lost += snet_shape_push(&l, 100, START).fate == SNET_FATE_LOST;
		}
		share_is(early, p);
		share_is(twice, p);
		share_is(hurt, p);
		share_is(lost, p);
		assert_int_equal(s.count.duplicated, twice);
		assert_int_equal(s.count.delivered, N + twice);
		assert_int_equal(l.count.lost, lost);
	}
}

static void bursts_of_loss_are_as_gilbert_and_elliott_say(void **state)
{
	struct snet_shape_spec spec = { .gemodel = true, .ge_p = .01, .ge_r = .2, .ge_bad = 1 };
	struct snet_shape s = shape_of(spec);
	uint64_t lost = 0, bursts = 0;
	bool before = false;
	double p = .01 / .21, spread;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		bool now = snet_shape_push(&s, 100, START).fate == SNET_FATE_LOST;

		lost += now;
		bursts += now && !before;
		before = now;
	}
	is_near(snet_shape_loss(&spec), p, 1e-9);
	/* The variance of a two-state chain is larger than a coin's by this much */
	spread = sqrt(N * p * (1 - p) * (2 - .21) / .21);
	is_near((double)lost, N * p, 3 * spread);
	is_near((double)lost / (double)bursts, 1 / .2, .35); /* mean length of a burst */
}

/* ---- determinism */

static void equal_seeds_are_equal_fates(void **state)
{
	struct snet_shape_spec spec = { .delay = 10 * SNET_MS,
					.jitter = SNET_MS,
					.distribution = SNET_JITTER_PARETO,
					.correlation = .3,
					.loss = .1,
					.duplicate = .1,
					.corrupt = .1 };
	struct snet_shape a = shape_of(spec), b = shape_of(spec), c = shape_of(spec);
	size_t differ = 0;

	(void)state;
	c.seed = 43;
	for (size_t i = 0; i < 1000; i++) {
		struct snet_shape_fate x = snet_shape_push(&a, 100, START),
				       y = snet_shape_push(&b, 100, START),
				       z = snet_shape_push(&c, 100, START);

		assert_int_equal(x.fate, y.fate);
		assert_int_equal(x.when, y.when);
		assert_int_equal(x.bit, y.bit);
		assert_true(x.copies == y.copies && x.corrupt == y.corrupt);
		differ += x.fate != z.fate || x.when != z.when;
	}
	assert_true(differ > 500);
}

static void one_impairment_does_not_change_the_fates_of_another(void **state)
{
	struct snet_shape_spec spec = {
		.delay = 10 * SNET_MS, .jitter = SNET_MS, .correlation = .5, .loss = .1
	};
	struct snet_shape a = shape_of(spec), b;

	(void)state;
	spec.duplicate = spec.corrupt = .5;
	b = shape_of(spec);
	for (size_t i = 0; i < 1000; i++) {
		struct snet_shape_fate x = snet_shape_push(&a, 100, START),
				       y = snet_shape_push(&b, 100, START);

		assert_int_equal(x.fate, y.fate);
		assert_int_equal(x.when, y.when);
	}
}

static void what_is_larger_than_the_mtu_is_dropped(void **state)
{
	struct snet_shape s = shape_of((struct snet_shape_spec){ .mtu = 1500 });

	(void)state;
	assert_int_equal(snet_shape_push(&s, 1500, START).fate, SNET_FATE_DELIVER);
	assert_int_equal(snet_shape_push(&s, 1501, START).fate, SNET_FATE_OVERSIZE);
	assert_int_equal(s.count.oversize, 1);
	assert_int_equal(s.count.lost + s.count.dropped, 0);
}

static void nothing_passes_a_link_that_is_down(void **state)
{
	struct snet_shape s = shape_of((struct snet_shape_spec){ 0 });

	(void)state;
	s.down = true;
	assert_int_equal(snet_shape_push(&s, 100, START).fate, SNET_FATE_CUT);
	assert_int_equal(snet_shape_push_stream(&s, 100, 0, START).fate, SNET_FATE_CUT);
	s.down = false;
	assert_int_equal(snet_shape_push(&s, 100, START).fate, SNET_FATE_DELIVER);
	assert_int_equal(s.count.cut, 1);
}

static void a_stream_loses_time_and_not_bytes(void **state)
{
	struct snet_shape s = shape_of((struct snet_shape_spec){
		.delay = 10 * SNET_MS, .jitter = 5 * SNET_MS, .loss = .1 });
	snet_time last = 0;
	size_t late = 0;

	(void)state;
	for (size_t i = 0; i < 10000; i++) {
		snet_time now = START + i * 10 * SNET_MS;
		struct snet_shape_fate f = snet_shape_push_stream(&s, 100, 20 * SNET_MS, now);

		assert_int_equal(f.fate, SNET_FATE_DELIVER);
		assert_true(f.when >= last);
		late += f.when > now + 15 * SNET_MS;
		last = f.when;
	}
	assert_int_equal(s.count.delivered, 10000);
	assert_in_range(s.count.lost, 900, 1100);
	assert_true(late >= s.count.lost);
}

static void contradictions_are_refused(void **state)
{
	static const struct snet_shape_spec bad[] = {
		{ .loss = 1.1 },
		{ .loss = -.1 },
		{ .loss = (double)NAN },
		{ .jitter = 1 },
		{ .delay = 5, .jitter = 6 },
		{ .delay = SNET_DELAY_MAX + 1 },
		{ .correlation = .5 },
		{ .delay = 5, .jitter = 5, .correlation = 1 },
		{ .burst = 1 },
		{ .limit_bytes = 1 },
		{ .limit_time = 1 },
		{ .rate = SNET_RATE_MIN - 1 },
		{ .rate = SNET_RATE_MAX + 1 },
		{ .rate = 1000000, .burst = SNET_BURST_MAX + 1 },
		{ .mtu = 575 },
		{ .mtu = 65536 },
		{ .reorder = .1 },
		{ .gemodel = true, .loss = .1 },
	};
	struct snet_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err.text[0] = 0;
		assert_int_equal(snet_shape_check(&bad[i], &err), SNET_EINVAL);
		assert_true(err.text[0]);
	}
}

/* ---- what is under way */

static void what_is_due_first_comes_first(void **state)
{
	static struct snet_parcel parcels[1000];
	struct snet_pending p = { 0 };
	struct snet_parcel *got, *last = NULL;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		parcels[i].when = snet_draw(1, SNET_DRAW_LOSS, i) % 100;
		assert_int_equal(snet_pending_put(&p, &parcels[i]), SNET_OK);
	}
	for (snet_time now = 0; now <= 100; now += 10) {
		while ((got = snet_pending_take(&p, now))) {
			assert_true(got->when <= now);
			assert_true(!last || last->when < got->when ||
				    (last->when == got->when && last < got));
			last = got;
			n++;
		}
		assert_true(snet_pending_deadline(&p) > now);
	}
	assert_int_equal(n, 1000);
	assert_int_equal(snet_pending_deadline(&p), SNET_NEVER);
	snet_pending_fini(&p);
}

static int put_many(void *user)
{
	static struct snet_parcel parcels[200];
	struct snet_pending p = { 0 };
	size_t i, n = 0;
	int rc = SNET_OK;

	(void)user;
	for (i = 0; i < 200 && !rc; i++) {
		parcels[i].when = 200 - i;
		rc = snet_pending_put(&p, &parcels[i]);
	}
	while (snet_pending_take(&p, SNET_NEVER))
		n++;
	assert_int_equal(n, rc ? i - 1 : i); /* what could not be put is not in it */
	snet_pending_fini(&p);
	return rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	assert_int_equal(torture(put_many, NULL), 3); /* 64, 128, 256 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_that_is_nothing_delivers_at_once),
		cmocka_unit_test(delay_is_exact),
		cmocka_unit_test(jitter_has_the_mean_and_deviation_promised),
		cmocka_unit_test(jitter_has_the_shape_promised),
		cmocka_unit_test(in_order_keeps_the_order_that_jitter_breaks),
		cmocka_unit_test(the_rate_is_kept),
		cmocka_unit_test(a_packet_takes_its_bits_times_the_rate),
		cmocka_unit_test(a_burst_passes_at_once),
		cmocka_unit_test(what_finds_the_queue_full_is_dropped_and_counted),
		cmocka_unit_test(an_empty_queue_takes_a_packet_larger_than_it),
		cmocka_unit_test(a_change_of_rate_is_for_what_comes_after),
		cmocka_unit_test(chances_are_kept),
		cmocka_unit_test(bursts_of_loss_are_as_gilbert_and_elliott_say),
		cmocka_unit_test(equal_seeds_are_equal_fates),
		cmocka_unit_test(one_impairment_does_not_change_the_fates_of_another),
		cmocka_unit_test(what_is_larger_than_the_mtu_is_dropped),
		cmocka_unit_test(nothing_passes_a_link_that_is_down),
		cmocka_unit_test(a_stream_loses_time_and_not_bytes),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(what_is_due_first_comes_first),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
