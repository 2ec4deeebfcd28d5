#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/histogram.h"

static struct snet_histogram one, two, both;

static int empty(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	memset(&both, 0, sizeof(both));
	return 0;
}

/* A sequence that looks random and is the same in every run. */
static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Every bucket begins where the one before it ends, and the last ends at the largest number. */
static void the_buckets_leave_nothing_out(void **state)
{
	uint64_t low, high, expect = 0;

	(void)state;
	for (size_t i = 0; i < SNET_HISTOGRAM_BUCKETS; i++) {
		snet_histogram_range(i, &low, &high);
		assert_int_equal(low, expect);
		assert_true(high >= low);
		assert_int_equal(snet_histogram_bucket(low), i);
		assert_int_equal(snet_histogram_bucket(high), i);
		expect = high + 1;
	}
	assert_int_equal(high, UINT64_MAX);
}

static void of_nothing_everything_is_0(void **state)
{
	(void)state;
	assert_int_equal(snet_histogram_quantile(&one, 0.5), 0);
	assert_int_equal(snet_histogram_quantile(&one, 1), 0);
	assert_int_equal(snet_histogram_mean(&one), 0);
	assert_true(snet_histogram_between(&one, 0, 1e20) == 0);
}

static void one_value_is_every_quantile(void **state)
{
	(void)state;
	snet_histogram_add(&one, 123456789);
	for (double q = 0; q <= 1; q += 0.125)
		assert_int_equal(snet_histogram_quantile(&one, q), 123456789);
	assert_int_equal(snet_histogram_mean(&one), 123456789);
}

static void small_numbers_are_exact(void **state)
{
	(void)state;
	for (uint64_t v = 1; v <= 100; v++)
		snet_histogram_add(&one, v);
	assert_int_equal(snet_histogram_quantile(&one, 0.5), 50);
	assert_int_equal(snet_histogram_quantile(&one, 0.9), 90);
	assert_int_equal(snet_histogram_quantile(&one, 0.99), 99);
	assert_int_equal(snet_histogram_quantile(&one, 0.991), 100);
	assert_int_equal(snet_histogram_quantile(&one, 0), 1);
	assert_int_equal(snet_histogram_quantile(&one, 1), 100);
	assert_true(snet_histogram_between(&one, 10, 20) == 10);
}

/* Against sorted values, over eleven orders of magnitude. */
static void quantiles_are_within_1_percent(void **state)
{
	static const double shares[] = { 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1 };
	enum { N = 20000 };
	static uint64_t values[N];
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		values[i] = 1 + (next(&seed) << (next(&seed) % 12));
		snet_histogram_add(&one, values[i]);
	}
	qsort(values, N, sizeof(values[0]), compare);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		size_t rank = (size_t)(shares[i] * N + 0.9999999);
		double want = (double)values[rank - 1];
		double have = (double)snet_histogram_quantile(&one, shares[i]);

		assert_true(have >= 0.99 * want && have <= 1.01 * want);
	}
	assert_int_equal(snet_histogram_quantile(&one, 1), values[N - 1]);
	assert_int_equal(one.min, values[0]);
}

static void merged_is_as_if_all_had_gone_into_one(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		uint64_t v = next(&seed);

		snet_histogram_add(i % 3 ? &one : &two, v);
		snet_histogram_add(&both, v);
	}
	snet_histogram_merge(&one, &two);
	assert_memory_equal(one.counts, both.counts, sizeof(one.counts));
	assert_int_equal(one.n, both.n);
	assert_int_equal(one.min, both.min);
	assert_int_equal(one.max, both.max);
	memset(&two, 0, sizeof(two));
	snet_histogram_merge(&one, &two); /* nothing changes, not even the least */
	assert_int_equal(one.min, both.min);
	snet_histogram_merge(&two, &one);
	assert_int_equal(two.min, both.min);
	assert_int_equal(snet_histogram_quantile(&two, 0.5),
			 snet_histogram_quantile(&both, 0.5));
}

/* Values from 1024 to 1031 share a bucket: a quarter of it has a quarter of them. */
static void a_part_of_a_bucket_has_its_share(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		snet_histogram_add(&one, 1024 + (uint64_t)i % 8);
	assert_true(snet_histogram_between(&one, 1024, 1026) == 25);
	assert_true(snet_histogram_between(&one, 1026, 2000) == 75);
	assert_true(snet_histogram_between(&one, 0, 1024) == 0);
}

static void the_largest_numbers_fit(void **state)
{
	(void)state;
	snet_histogram_add(&one, UINT64_MAX);
	snet_histogram_add(&one, UINT64_MAX - 1);
	snet_histogram_add(&one, 0);
	assert_int_equal(snet_histogram_quantile(&one, 1), UINT64_MAX);
	assert_int_equal(snet_histogram_quantile(&one, 0), 0);
	assert_true(snet_histogram_between(&one, 0, 1e20) == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_buckets_leave_nothing_out, empty),
		cmocka_unit_test_setup(of_nothing_everything_is_0, empty),
		cmocka_unit_test_setup(one_value_is_every_quantile, empty),
		cmocka_unit_test_setup(small_numbers_are_exact, empty),
		cmocka_unit_test_setup(quantiles_are_within_1_percent, empty),
		cmocka_unit_test_setup(merged_is_as_if_all_had_gone_into_one, empty),
		cmocka_unit_test_setup(a_part_of_a_bucket_has_its_share, empty),
		cmocka_unit_test_setup(the_largest_numbers_fit, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
