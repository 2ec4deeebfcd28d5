#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "emul/preset.h"

static void every_preset_makes_sense_and_says_where_it_is_from(void **state)
{
	size_t n = 0;

	(void)state;
	for (const struct snet_preset *p = snet_presets; p->name; p++, n++) {
		struct snet_error err = { 0 };

		assert_ptr_equal(snet_preset_find(p->name), p);
		assert_true(strlen(p->source) > 10);
		for (size_t i = 0; i < SNET_PRESET_PARTIES; i++)
			for (size_t j = 0; j < SNET_PRESET_PARTIES; j++) {
				struct snet_shape_spec spec;

				if (i == j)
					continue;
				assert_int_equal(snet_preset_link(p, i, j, &spec, &err),
						 SNET_OK);
				if (snet_shape_check(&spec, &err))
					fail_msg("%s: %s", p->name, err.text);
				assert_true(spec.rate || spec.delay);
			}
	}
	assert_true(n > 20);
}

static void figures_are_those_of_the_sources(void **state)
{
	static const struct {
		const char *name;
		snet_time rtt;
		uint64_t rate;
	} known[] = {
		{ "emp-wan", 20 * SNET_MS, 200000000 },
		{ "cheetah-lan", 300 * SNET_US, 3000000000 },
		{ "cheetah-wan", 40 * SNET_MS, 400000000 },
		{ "wan-100", 80 * SNET_MS, 100000000 },
		{ "pmpl-wan", 40 * SNET_MS, 320000000 },
		{ "kauri-global", 200 * SNET_MS, 25000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const struct snet_preset *p = snet_preset_find(known[i].name);

		assert_non_null(p);
		assert_int_equal(2 * p->spec.delay, known[i].rtt);
		assert_int_equal(p->spec.rate, known[i].rate);
	}
}

static void a_matrix_has_a_link_for_each_pair_and_no_further(void **state)
{
	const struct snet_preset *p = snet_preset_find("hpmpc-wan1");
	struct snet_shape_spec spec;
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_preset_link(p, 0, 2, &spec, &err), SNET_OK);
	assert_int_equal(spec.delay, 49311 * SNET_US / 2);
	assert_int_equal(spec.rate, 774000000);
	assert_int_equal(snet_preset_link(p, 2, 0, &spec, &err), SNET_OK);
	assert_int_equal(spec.delay, 44119 * SNET_US / 2);
	assert_int_equal(spec.rate, 790000000);
	assert_int_equal(snet_preset_link(p, 3, 2, &spec, &err), SNET_OK);
	assert_int_equal(spec.rate, 198000000);
	assert_int_equal(snet_preset_link(p, 4, 0, &spec, &err), SNET_EINVAL);
	assert_non_null(strstr(err.text, "4 parties"));
}

static void wrong_names_are_near_to_right_ones(void **state)
{
	static const struct {
		const char *wrong, *first;
	} names[] = {
		{ "chetah-wan", "cheetah-wan" },
		{ "cheetah", "cheetah-lan" },
		{ "wan100", "wan-100" },
		{ "WAN-100", "wan-100" },
		{ "wan", "emp-wan" },
		{ "5g", "tlsn-5g" },
		{ "kauri-glob", "kauri-global" },
		{ "hpmpc", "hpmpc-lan" },
		{ "badd", "bad" },
		{ "sattelite", "satellite" },
		{ "completely different", NULL },
		{ "emp", "emp-lan" },
		{ "", NULL },
		{ "xyz", NULL },
		{ "a name that is longer than all of them", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *near[3];
		size_t n = snet_preset_near(names[i].wrong, near, 3);

		assert_null(snet_preset_find(names[i].wrong));
		if (!names[i].first) {
			assert_int_equal(n, 0);
			continue;
		}
		assert_true(n > 0);
		assert_string_equal(near[0], names[i].first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_preset_makes_sense_and_says_where_it_is_from),
		cmocka_unit_test(figures_are_those_of_the_sources),
		cmocka_unit_test(a_matrix_has_a_link_for_each_pair_and_no_further),
		cmocka_unit_test(wrong_names_are_near_to_right_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
