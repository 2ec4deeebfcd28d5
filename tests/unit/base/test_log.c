#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

struct seen {
	unsigned n;
	enum snet_log_level level;
	char area[16], line[1024];
};

static void sink(enum snet_log_level level, const char *area, const char *line, void *user)
{
	struct seen *s = user;

	s->n++;
	s->level = level;
	snprintf(s->area, sizeof(s->area), "%s", area);
	snprintf(s->line, sizeof(s->line), "%s", line);
}

static int reset(void **state)
{
	(void)state;
	snet_log_to(NULL, NULL, SNET_LOG_ERROR);
	return 0;
}

static void without_a_sink_nothing_is_logged(void **state)
{
	(void)state;
	assert_false(snet_log_on(SNET_LOG_ERROR));
	snet_log(SNET_LOG_ERROR, "quic", "%s", "nobody hears");
}

static void a_line_reaches_the_sink(void **state)
{
	struct seen s = { 0 };

	(void)state;
	snet_log_to(sink, &s, SNET_LOG_INFO);
	snet_log(SNET_LOG_WARN, "quic", "peer %d link %s", 3, "up");
	assert_int_equal(s.n, 1);
	assert_int_equal(s.level, SNET_LOG_WARN);
	assert_string_equal(s.area, "quic");
	assert_string_equal(s.line, "peer 3 link up");
}

static void levels_above_the_ceiling_are_silent(void **state)
{
	struct seen s = { 0 };

	(void)state;
	snet_log_to(sink, &s, SNET_LOG_INFO);
	assert_true(snet_log_on(SNET_LOG_INFO));
	assert_false(snet_log_on(SNET_LOG_DEBUG));
	snet_log(SNET_LOG_DEBUG, "quic", "%s", "too much");
	assert_int_equal(s.n, 0);
	snet_log(SNET_LOG_INFO, "quic", "%s", "enough");
	assert_int_equal(s.n, 1);
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
	struct seen s = { 0 };
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snet_log_to(sink, &s, SNET_LOG_TRACE);
	snet_log(SNET_LOG_TRACE, "udp", "%s", text);
	assert_int_equal(strlen(s.line), 511);
}

static void every_level_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(snet_log_name(SNET_LOG_ERROR), "error");
	assert_string_equal(snet_log_name(SNET_LOG_WARN), "warn");
	assert_string_equal(snet_log_name(SNET_LOG_INFO), "info");
	assert_string_equal(snet_log_name(SNET_LOG_DEBUG), "debug");
	assert_string_equal(snet_log_name(SNET_LOG_TRACE), "trace");
	assert_string_equal(snet_log_name((enum snet_log_level)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(without_a_sink_nothing_is_logged, reset),
		cmocka_unit_test_teardown(a_line_reaches_the_sink, reset),
		cmocka_unit_test_teardown(levels_above_the_ceiling_are_silent, reset),
		cmocka_unit_test_teardown(a_long_line_is_cut_and_still_ends, reset),
		cmocka_unit_test(every_level_has_a_name),
	};

	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
