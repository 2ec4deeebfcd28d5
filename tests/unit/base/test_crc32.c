#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32.h"

static void the_check_value_of_the_standard_comes_out(void **state)
{
	(void)state;
	assert_int_equal(snet_crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(snet_crc32(0, "", 0), 0);
}

static void bytes_may_come_in_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i <= 9; i++) {
		uint32_t first = snet_crc32(0, "123456789", i);

		assert_int_equal(snet_crc32(first, &"123456789"[i], 9 - i), 0xcbf43926);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_check_value_of_the_standard_comes_out),
		cmocka_unit_test(bytes_may_come_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
