#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

/* clang-format off */
static const struct {
	uint64_t us;
	const char *text;
} cases[] = {
	{ 0,                     "1970-01-01T00:00:00.000000Z" },
	{ 1,                     "1970-01-01T00:00:00.000001Z" },
	{ 951782399999999,       "2000-02-28T23:59:59.999999Z" },
	{ 951782400000000,       "2000-02-29T00:00:00.000000Z" },
	{ 1700000000123456,      "2023-11-14T22:13:20.123456Z" },
	{ 253402300799999999,    "9999-12-31T23:59:59.999999Z" },
	{ UINT64_MAX,            ".551615Z" }, /* no date has this year; it must not run over */
};
/* clang-format on */

static void wall_time_is_printed_in_utc(void **state)
{
	char text[28];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snet_wall_text(cases[i].us, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
	snet_time last = snet_now();

	(void)state;
	assert_true(last > 0);
	for (unsigned i = 0; i < 10000; i++) {
		snet_time now = snet_now();

		assert_true(now >= last);
		last = now;
	}
}

static void the_wall_clock_is_the_systems(void **state)
{
	uint64_t before = (uint64_t)time(NULL), us = snet_wall_us(),
		 after = (uint64_t)time(NULL);

	(void)state;
	/* time() may lag by a tick: it reads the coarse clock. */
	assert_in_range(us / 1000000, before, after + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wall_time_is_printed_in_utc),
		cmocka_unit_test(the_monotonic_clock_does_not_go_back),
		cmocka_unit_test(the_wall_clock_is_the_systems),
	};

	return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
