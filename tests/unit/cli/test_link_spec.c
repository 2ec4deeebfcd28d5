#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "cli/link_spec.h"
#include "emul/preset.h"

static uint32_t find(const char *name, size_t n, void *user)
{
	(void)user;
	return n == 1 && *name >= '0' && *name <= '3' ? (uint32_t)(*name - '0') : SNET_EMUL_ANY;
}

static const struct link_names names = { find, NULL };

static struct snet_shape_spec spec_of(const char *key, const char *value)
{
	struct snet_shape_spec s = { 0 };
	struct snet_error err = { 0 };
	unsigned mask = 0;

	if (link_spec_set(&s, &mask, key, value, &err))
		fail_msg("%s", err.text);
	assert_true(mask && !(mask & (mask - 1)));
	return s;
}

static void is_near(double have, double want)
{
	if (fabs(have - want) > 1e-12)
		fail_msg("%g is not %g", have, want);
}

static void values_are_read_with_their_units(void **state)
{
	struct snet_shape_spec s;

	(void)state;
	assert_int_equal(spec_of("delay", "20ms").delay, 20 * SNET_MS);
	assert_int_equal(spec_of("rtt", "20ms").delay, 10 * SNET_MS);
	assert_int_equal(spec_of("jitter", "0.5ms").jitter, 500 * SNET_US);
	assert_int_equal(spec_of("distribution", "pareto").distribution, SNET_JITTER_PARETO);
	assert_int_equal(spec_of("rate", "2.5gbit").rate, 2500000000);
	assert_int_equal(spec_of("rate", "0").rate, 0);
	assert_int_equal(spec_of("burst", "32k").burst, 32768);
	assert_int_equal(spec_of("limit", "100kB").limit_bytes, 100000);
	s = spec_of("limit", "50ms");
	assert_int_equal(s.limit_time, 50 * SNET_MS);
	assert_int_equal(s.limit_bytes, 0);
	assert_int_equal(spec_of("mtu", "1500").mtu, 1500);
	is_near(spec_of("loss", "1%").loss, .01);
	is_near(spec_of("loss", "0.25%").loss, .0025);
	is_near(spec_of("loss", "100%").loss, 1);
	is_near(spec_of("correlation", "25%").correlation, .25);
	assert_true(spec_of("in_order", "yes").in_order);
	s = spec_of("loss_gemodel", "1%,30%");
	assert_true(s.gemodel);
	is_near(s.ge_p, .01);
	is_near(s.ge_r, .3);
	is_near(s.ge_bad, 1);
	is_near(s.ge_good, 0);
	s = spec_of("loss-gemodel", "5%");
	is_near(s.ge_r, .95);
	s = spec_of("loss-gemodel", "1%,2%,80%,0.1%");
	is_near(s.ge_bad, .8);
	is_near(s.ge_good, .001);
}

static void nonsense_is_refused_in_words(void **state)
{
	static const char *const bad[][3] = {
		{ "delay", "fast", "delay: bad value 'fast'" },
		{ "delay", "never", "up to 1h" },
		{ "delay", "2h", "up to 1h" },
		{ "loss", "1", "with its %" },
		{ "loss", "101%", "from 0% to 100%" },
		{ "loss", "-1%", "from 0% to 100%" },
		{ "loss", "%", "with its %" },
		{ "loss", ".5%", "with its %" },
		{ "loss", "1.%", "with its %" },
		{ "loss", "nan%", "with its %" },
		{ "loss", "1%%", "with its %" },
		{ "loss", "99999999999999999999%", "with its %" },
		{ "rate", "10mbps", "write 10mbit or 10MB/s" },
		{ "rate", "10", "10mbit or 5MB/s" },
		{ "limit", "0", "a size such as" },
		{ "loss-gemodel", "1", "p,r,bad,good" },
		{ "loss-gemodel", "1%,", "p,r,bad,good" },
		{ "loss-gemodel", "1%,2%,3%,4%,5%", "p,r,bad,good" },
		{ "mtu", "100", "from 576" },
		{ "in-order", "true", "yes or no" },
		{ "dealy", "1ms", "unknown key" },
		{ "del", "1ms", "unknown key" },
		{ "delays", "1ms", "unknown key" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct snet_shape_spec s = { 0 };
		struct snet_error err = { 0 };
		unsigned mask = 0;

		assert_int_equal(link_spec_set(&s, &mask, bad[i][0], bad[i][1], &err),
				 SNET_EINVAL);
		if (!strstr(err.text, bad[i][2]))
			fail_msg("%s %s: %s", bad[i][0], bad[i][1], err.text);
	}
}

static void delay_and_rtt_are_one_thing(void **state)
{
	struct snet_shape_spec s = { 0 };
	struct snet_error err = { 0 };
	unsigned mask = 0;

	(void)state;
	assert_int_equal(link_spec_set(&s, &mask, "delay", "1ms", &err), SNET_OK);
	assert_int_equal(link_spec_set(&s, &mask, "rtt", "1ms", &err), SNET_EINVAL);
	assert_non_null(strstr(err.text, "one way"));
}

static int change_of(struct snet_change *c, bool *has_at, const char *text,
		     struct snet_error *err)
{
	char line[512];

	snprintf(line, sizeof(line), "%s", text);
	return link_line_change(c, has_at, line, strlen(line), &names, err);
}

static void changes_are_read(void **state)
{
	struct snet_change c;
	struct snet_error err = { 0 };
	bool has_at;

	(void)state;
	assert_int_equal(change_of(&c, &has_at,
				   "{\"at\": \"5s\", \"link\": \"0<>2\", \"change\": "
				   "{\"rate\": \"1mbit\", \"loss\": \"1%\"}}",
				   &err),
			 SNET_OK);
	assert_true(has_at && c.at == 5 * SNET_SEC && c.what == SNET_CHANGE_SET);
	assert_true(c.from == 0 && c.to == 2 && c.both);
	assert_int_equal(c.mask, SNET_SPEC_RATE | SNET_SPEC_LOSS);
	assert_int_equal(c.spec.rate, 1000000);
	assert_int_equal(
		change_of(&c, &has_at, "{\"link\": \"*>1\", \"change\": \"cut\"}", &err),
		SNET_OK);
	assert_true(!has_at && c.what == SNET_CHANGE_CUT && c.from == SNET_EMUL_ANY &&
		    c.to == 1);
	assert_int_equal(change_of(&c, &has_at, "{\"partition\": [[0, \"1\"], [3]]}", &err),
			 SNET_OK);
	assert_int_equal(c.what, SNET_CHANGE_PARTITION);
	assert_true(c.group[0] == 1 && c.group[1] == 1 && !c.group[2] && c.group[3] == 2);
	/* a preset is all of a link, and what stands beside it goes on top */
	assert_int_equal(change_of(&c, &has_at,
				   "{\"link\": \"all\", \"change\": {\"rate\": \"7mbit\", "
				   "\"preset\": \"wan-100\"}}",
				   &err),
			 SNET_OK);
	assert_int_equal(c.mask, SNET_SPEC_ALL);
	assert_int_equal(c.spec.rate, 7000000);
	assert_int_equal(c.spec.delay, 40 * SNET_MS);
}

static void wrong_changes_are_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "", "" },
		{ "[]", "want an object" },
		{ "{}", "want \"link\" and \"change\"" },
		{ "{\"link\": \"0>1\"}", "want \"link\" and \"change\"" },
		{ "{\"change\": \"cut\"}", "want \"link\" and \"change\"" },
		{ "{\"link\": \"0>1\", \"change\": {}}", "change: want" },
		{ "{\"link\": \"0>1\", \"change\": \"kill\"}", "change: want" },
		{ "{\"link\": \"0>0\", \"change\": \"cut\"}", "one end only" },
		{ "{\"link\": \"0>7\", \"change\": \"cut\"}", "no party '7'" },
		{ "{\"link\": \">\", \"change\": \"cut\"}", "no party ''" },
		{ "{\"link\": \"<>\", \"change\": \"cut\"}", "no party ''" },
		{ "{\"link\": \"01\", \"change\": \"cut\"}", "link: want" },
		{ "{\"link\": 5, \"change\": \"cut\"}", "link: want" },
		{ "{\"at\": 5, \"link\": \"0>1\", \"change\": \"cut\"}", "at: want" },
		{ "{\"at\": \"never\", \"link\": \"0>1\", \"change\": \"cut\"}", "at: want" },
		{ "{\"link\": \"0>1\", \"change\": {\"delay\": 5}}", "with its unit" },
		{ "{\"link\": \"0>1\", \"change\": {\"preset\": \"hpmpc-lan\"}}", "whole net" },
		{ "{\"link\": \"0>1\", \"change\": {\"preset\": \"wan-10\"}}",
		  "near to it: wan-100" },
		{ "{\"link\": \"0>1\", \"link\": \"0>1\", \"change\": \"cut\"}", "" },
		{ "{\"partition\": [[0], [0]]}", "stands twice" },
		{ "{\"partition\": [[9]]}", "no party '9'" },
		{ "{\"partition\": [[-1]]}", "lists of parties" },
		{ "{\"partition\": [0]}", "a list of lists" },
		{ "{\"partition\": [], \"link\": \"0>1\"}", "\"partition\" alone" },
		{ "{\"explode\": true}", "unknown key \"explode\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct snet_change c;
		struct snet_error err = { 0 };
		bool has_at;

		assert_int_equal(change_of(&c, &has_at, bad[i][0], &err), SNET_ECONFIG);
		assert_true(err.text[0] && err.code == SNET_ECONFIG);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], err.text);
	}
}

static int count_line(void *line, size_t n, size_t at, void *user, struct snet_error *err)
{
	size_t *lines = user;

	assert_true(n > 0);
	*lines = *lines * 10 + at;
	return memcmp(line, "bad", 3) ? SNET_OK : snet_fail(err, SNET_ECONFIG, "no good");
}

static void lines_are_counted_and_named(void **state)
{
	char text[] = "one\n\n  \ntwo \r\nthree", wrong[] = "one\n\nbad\nfour\n";
	struct snet_error err = { 0 };
	size_t lines = 0;

	(void)state;
	assert_int_equal(link_lines("file", text, strlen(text), count_line, &lines, &err),
			 SNET_OK);
	assert_int_equal(lines, 145);
	lines = 0;
	assert_int_equal(link_lines("file", wrong, strlen(wrong), count_line, &lines, &err),
			 SNET_ECONFIG);
	assert_int_equal(lines, 13);
	assert_string_equal(err.text, "file:3: no good");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read_with_their_units),
		cmocka_unit_test(nonsense_is_refused_in_words),
		cmocka_unit_test(delay_and_rtt_are_one_thing),
		cmocka_unit_test(changes_are_read),
		cmocka_unit_test(wrong_changes_are_refused),
		cmocka_unit_test(lines_are_counted_and_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
