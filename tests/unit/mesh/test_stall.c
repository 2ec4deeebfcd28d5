/* mesh/stall: what moves and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/stall.h"

static const char *second_look(struct snet_stall_state a, struct snet_stall_state b,
			       bool paused)
{
	struct snet_stall s = { 0 };

	snet_stall_begin(&s, &a);
	s.was_paused = paused;
	return snet_stall_check(&s, &b);
}

static void sending_must_be_acknowledged(void **s)
{
	struct snet_stall_state a = { .queued = 10, .acked = 5 },
				b = { .queued = 9, .acked = 6 };

	(void)s;
	assert_string_equal(second_look(a, a, false), "it reads nothing");
	assert_null(second_look(a, b, false));
	b = (struct snet_stall_state){ .acked = 5 };
	assert_null(second_look(a, b, false)); /* nothing under way */
}

static void a_message_must_grow(void **s)
{
	struct snet_stall_state a = { .partial = 1, .received = 100 }, b = a;

	(void)s;
	assert_string_equal(second_look(a, b, false), "it does not finish its message");
	b.received += SNET_STALL_BYTES - 1;
	assert_non_null(second_look(a, b, false));
	b.received++;
	assert_null(second_look(a, b, false));
}

static void who_is_paused_is_not_to_blame(void **s)
{
	struct snet_stall_state a = { .partial = 1 }, b = a;

	(void)s;
	assert_null(second_look(a, b, true));
	b.paused = true;
	assert_null(second_look(a, b, false));
}

static void each_look_counts_from_the_one_before(void **s)
{
	struct snet_stall_state a = { .partial = 1 };
	struct snet_stall st = { .was_paused = true };

	(void)s;
	snet_stall_begin(&st, &a);
	assert_null(snet_stall_check(&st, &a)); /* it was paused within this period */
	assert_non_null(snet_stall_check(&st, &a));
	a.received += SNET_STALL_BYTES;
	assert_null(snet_stall_check(&st, &a));
	assert_non_null(snet_stall_check(&st, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sending_must_be_acknowledged),
		cmocka_unit_test(a_message_must_grow),
		cmocka_unit_test(who_is_paused_is_not_to_blame),
		cmocka_unit_test(each_look_counts_from_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
