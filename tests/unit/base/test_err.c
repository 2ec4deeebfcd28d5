#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static const int codes[] = { SNET_OK,
#define X(name, ...) SNET_E##name,
			     SNET_ERRORS(X)
#undef X
};

#define CODES (sizeof(codes) / sizeof(codes[0]))

/* The table is looked up by -code: a row out of place would give
 * every later one the wrong name. */
static void codes_count_down_without_a_gap(void **state)
{
	(void)state;
	for (size_t i = 0; i < CODES; i++)
		assert_int_equal(codes[i], -(int)i);
}

static void each_code_has_its_own_name_and_exit_status(void **state)
{
#define X(name, value, exit, ffi, reason, text)                   \
	assert_string_equal(snet_err_name(SNET_E##name), reason); \
	assert_string_equal(snet_err_text(SNET_E##name), text);   \
	assert_int_equal(snet_err_exit(SNET_E##name), SNET_EXIT_##exit);
	(void)state;
	SNET_ERRORS(X)
#undef X
	assert_int_equal(snet_err_exit(SNET_OK), 0);
	for (size_t i = 0; i < CODES; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(snet_err_name(codes[i]),
						snet_err_name(codes[k]));
}

static void the_exit_statuses_are_those_of_the_manual(void **state)
{
	(void)state;
	assert_int_equal(snet_err_exit(SNET_EINVAL), 2);
	assert_int_equal(snet_err_exit(SNET_ECONFIG), 3);
	assert_int_equal(snet_err_exit(SNET_EBIND), 4);
	assert_int_equal(snet_err_exit(SNET_EDENIED), 5);
	assert_int_equal(snet_err_exit(SNET_ELOST), 6);
	assert_int_equal(snet_err_exit(SNET_ETIMEOUT), 7);
	assert_int_equal(snet_err_exit(SNET_EPROTO), 8);
	assert_int_equal(snet_err_exit(SNET_EINTEGRITY), 9);
	assert_int_equal(snet_err_exit(SNET_EPOLICY), 10);
}

static void codes_cross_the_wire_and_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < CODES; i++)
		assert_int_equal(snet_err_from_wire(snet_err_to_wire(codes[i])), codes[i]);
}

static void a_stranger_cannot_send_a_code_that_is_not_one(void **state)
{
	static const uint64_t wires[] = {
		CODES, 255, 1ull << 31, 1ull << 32, (1ull << 62) - 1, UINT64_MAX
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++)
		assert_int_equal(snet_err_from_wire(wires[i]), SNET_ELOST);
}

static void a_number_that_is_no_code_is_still_named(void **state)
{
	static const int odd[] = { 1, INT_MAX, -(int)CODES, INT_MIN };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_string_equal(snet_err_name(odd[i]), "io");
		assert_int_equal(snet_err_exit(odd[i]), SNET_EXIT_FAILED);
	}
	assert_int_equal(snet_err_to_wire(7), 4);
}

static void fail_fills_the_error_and_returns_its_code(void **state)
{
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_fail(&err, SNET_EKEY, "%s: %d", "file", 3), SNET_EKEY);
	assert_int_equal(err.code, SNET_EKEY);
	assert_string_equal(err.text, "file: 3");
	assert_int_equal(snet_fail(NULL, SNET_EIO, "%s", "nobody asks"), SNET_EIO);
}

static void a_long_reason_is_cut_and_still_ends(void **state)
{
	struct snet_error err;
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snet_fail(&err, SNET_EIO, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_count_down_without_a_gap),
		cmocka_unit_test(each_code_has_its_own_name_and_exit_status),
		cmocka_unit_test(the_exit_statuses_are_those_of_the_manual),
		cmocka_unit_test(codes_cross_the_wire_and_come_back),
		cmocka_unit_test(a_stranger_cannot_send_a_code_that_is_not_one),
		cmocka_unit_test(a_number_that_is_no_code_is_still_named),
		cmocka_unit_test(fail_fills_the_error_and_returns_its_code),
		cmocka_unit_test(a_long_reason_is_cut_and_still_ends),
	};

	return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
