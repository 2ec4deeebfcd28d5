/* io/heap: timers come out earliest first, whatever was set, moved and stopped between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "io/heap.h"
#include "support/torture.h"

#define TIMERS 200

static uint32_t state = 1;

static uint32_t draw(uint32_t below)
{
	state = state * 1664525 + 1013904223; /* Numerical Recipes; the same every run */
	return (state >> 8) % below;
}

static void check_order(const struct snet_heap *h)
{
	for (size_t i = 0; i < h->n; i++) {
		assert_int_equal(h->at[i]->slot, i + 1);
		if (i)
			assert_true(h->at[(i - 1) / 2]->deadline <= h->at[i]->deadline);
	}
}

static void an_empty_heap_has_no_first(void **s)
{
	struct snet_heap h = { 0 };
	struct snet_timer t = { 0 };

	(void)s;
	assert_null(snet_heap_first(&h));
	snet_heap_del(&h, &t); /* was never set */
	assert_null(snet_heap_first(&h));
	snet_heap_fini(&h);
}

static void timers_come_out_in_order_of_deadline(void **s)
{
	struct snet_heap h = { 0 };
	struct snet_timer t[TIMERS] = { 0 };
	snet_time last = 0;

	(void)s;
	for (unsigned i = 0; i < TIMERS; i++) {
		t[i].deadline = draw(50); /* with many equal ones */
		assert_int_equal(snet_heap_put(&h, &t[i]), SNET_OK);
		check_order(&h);
	}
	for (unsigned i = 0; i < TIMERS; i++) {
		struct snet_timer *first = snet_heap_first(&h);

		assert_true(first->deadline >= last);
		last = first->deadline;
		snet_heap_del(&h, first);
		assert_int_equal(first->slot, 0);
		check_order(&h);
	}
	assert_null(snet_heap_first(&h));
	snet_heap_fini(&h);
}

static void setting_again_moves_and_does_not_add(void **s)
{
	struct snet_heap h = { 0 };
	struct snet_timer t[3] = { { .deadline = 10 }, { .deadline = 20 }, { .deadline = 30 } };

	(void)s;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(snet_heap_put(&h, &t[i]), SNET_OK);
	t[2].deadline = 5; /* forward, past the others */
	assert_int_equal(snet_heap_put(&h, &t[2]), SNET_OK);
	assert_ptr_equal(snet_heap_first(&h), &t[2]);
	t[2].deadline = 40; /* and back behind them */
	assert_int_equal(snet_heap_put(&h, &t[2]), SNET_OK);
	assert_ptr_equal(snet_heap_first(&h), &t[0]);
	assert_int_equal(h.n, 3);
	snet_heap_fini(&h);
}

/* Against the simplest model there is: look through all of them. */
static void a_random_life_agrees_with_a_plain_array(void **s)
{
	struct snet_heap h = { 0 };
	struct snet_timer t[TIMERS] = { 0 };
	bool set[TIMERS] = { false };

	(void)s;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = draw(TIMERS);
		snet_time least = SNET_NEVER;
		size_t n = 0;

		if (draw(3)) {
			t[i].deadline = draw(1000);
			assert_int_equal(snet_heap_put(&h, &t[i]), SNET_OK);
			set[i] = true;
		} else {
			snet_heap_del(&h, &t[i]);
			set[i] = false;
		}
		for (unsigned k = 0; k < TIMERS; k++) {
			n += set[k];
			assert_int_equal(t[k].slot != 0, set[k]);
			if (set[k] && t[k].deadline < least)
				least = t[k].deadline;
		}
		assert_int_equal(h.n, n);
		if (n)
			assert_int_equal(snet_heap_first(&h)->deadline, least);
	}
	check_order(&h);
	snet_heap_fini(&h);
}

static void fini_unsets_what_is_still_set(void **s)
{
	struct snet_heap h = { 0 };
	struct snet_timer t = { .deadline = 1 };

	(void)s;
	assert_int_equal(snet_heap_put(&h, &t), SNET_OK);
	snet_heap_fini(&h);
	assert_int_equal(t.slot, 0);
	assert_int_equal(snet_heap_put(&h, &t), SNET_OK); /* the heap may be used again */
	assert_ptr_equal(snet_heap_first(&h), &t);
	snet_heap_fini(&h);
}

static int fill(void *user)
{
	struct snet_heap h = { 0 };
	struct snet_timer t[TIMERS] = { 0 };
	int rc = SNET_OK;

	(void)user;
	for (unsigned i = 0; i < TIMERS && !rc; i++) {
		t[i].deadline = TIMERS - i;
		rc = snet_heap_put(&h, &t[i]);
		if (rc && t[i].slot)
			rc = 1; /* it failed, and set it all the same */
	}
	snet_heap_fini(&h);
	return rc;
}

static void a_timer_that_finds_no_memory_is_not_set(void **s)
{
	(void)s;
	torture(fill, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_heap_has_no_first),
		cmocka_unit_test(timers_come_out_in_order_of_deadline),
		cmocka_unit_test(setting_again_moves_and_does_not_add),
		cmocka_unit_test(a_random_life_agrees_with_a_plain_array),
		cmocka_unit_test(fini_unsets_what_is_still_set),
		cmocka_unit_test(a_timer_that_finds_no_memory_is_not_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
