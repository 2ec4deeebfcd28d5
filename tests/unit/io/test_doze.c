/* io/doze: a loop stays awake where it was woken again and again, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/doze.h"

#define ENOUGH 16 /* short sleeps: more than it takes */

static struct snet_doze d;
static snet_time now;

static int begin(void **s)
{
	(void)s;
	snet_doze_init(&d);
	now = SNET_SEC;
	return 0;
}

/* It has nothing to do; after so long something comes, which takes so long. Whether it looks
 * then, in place of waiting. */
static bool comes(snet_time after, snet_time takes)
{
	snet_time woke = now + after;

	now = woke + takes;
	return snet_doze_looks(&d, woke, now, true);
}

static bool looks_in_vain(snet_time after)
{
	now += after;
	return snet_doze_looks(&d, now, now, false);
}

static unsigned until_it_looks(snet_time after, unsigned most)
{
	for (unsigned i = 0; i < most; i++)
		if (comes(after, 5 * SNET_US))
			return i;
	return most;
}

static void who_is_woken_at_once_stays_awake(void **s)
{
	(void)s;
	assert_in_range(until_it_looks(30 * SNET_US, ENOUGH), 2, ENOUGH - 1);
	for (int i = 0; i < 1000; i++)
		assert_true(comes(30 * SNET_US, 5 * SNET_US));
}

static void who_sleeps_long_sleeps(void **s)
{
	(void)s;
	assert_int_equal(until_it_looks(SNET_MS, 1000), 1000);
	/* Two of three short ones are no row: a round in lockstep, of which each takes long. */
	for (int i = 0; i < 1000; i++) {
		assert_false(comes(SNET_MS, 5 * SNET_US));
		assert_false(comes(20 * SNET_US, 5 * SNET_US));
		assert_false(comes(20 * SNET_US, 5 * SNET_US));
	}
}

static void a_look_is_short(void **s)
{
	(void)s;
	until_it_looks(30 * SNET_US, ENOUGH);
	for (int i = 0; i < 10; i++)
		assert_true(looks_in_vain(20 * SNET_US));
	assert_false(looks_in_vain(20 * SNET_US));
	assert_false(looks_in_vain(20 * SNET_US)); /* it sleeps on */
}

/* Where nobody else wants the processor there is no turn for others: it burns. */
static void nobody_looks_for_long_alone(void **s)
{
	unsigned looks = 0, all = 0;

	(void)s;
	until_it_looks(30 * SNET_US, ENOUGH);
	for (int i = 0; i < 30; i++)
		assert_true(looks_in_vain(2 * SNET_US));
	assert_false(looks_in_vain(2 * SNET_US));
	/* Something every 150 us: it must not keep a processor busy for ever. */
	for (int i = 0; i < 10000; i++) {
		bool looking = comes(2 * SNET_US, 5 * SNET_US);

		for (all += 70; looking; looks++)
			looking = looks_in_vain(2 * SNET_US);
		now += 140 * SNET_US;
	}
	assert_true(looks * 10 < all);
}

static void who_has_much_to_do_lets_it_come_together(void **s)
{
	(void)s;
	until_it_looks(30 * SNET_US, ENOUGH);
	assert_false(comes(30 * SNET_US, SNET_MS));
	assert_true(comes(30 * SNET_US, 5 * SNET_US));
}

/* Looks in vain, of n in which something could have come. */
static unsigned in_vain(unsigned n, unsigned each, snet_time costs)
{
	unsigned vain = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!comes(30 * SNET_US, 5 * SNET_US) || i % each)
			continue;
		looks_in_vain(costs);
		vain++;
		comes(30 * SNET_US, 5 * SNET_US);
	}
	return vain;
}

static void who_looks_in_vain_looks_less_and_less(void **s)
{
	(void)s;
	/* Where another has the processor, every tenth turn for others is one of 3 ms. */
	in_vain(10000, 10, 3 * SNET_MS);
	assert_true(in_vain(100000, 10, 3 * SNET_MS) <= 100);
	/* When it has gone, all is as before. */
	in_vain(20000, 1000000, 0);
	assert_true(comes(30 * SNET_US, 5 * SNET_US));
	assert_true(comes(30 * SNET_US, 5 * SNET_US));
}

static void a_few_in_vain_do_not_matter(void **s)
{
	unsigned looked = 0;

	(void)s;
	until_it_looks(30 * SNET_US, ENOUGH);
	for (unsigned i = 0; i < 100000; i++) {
		looked += comes(30 * SNET_US, 5 * SNET_US);
		if (i % 500 == 0)
			looks_in_vain(300 * SNET_US);
	}
	assert_true(looked > 90000);
}

/* What came late although it looked was found in vain, too. */
static void late_is_in_vain(void **s)
{
	(void)s;
	until_it_looks(30 * SNET_US, ENOUGH);
	assert_false(comes(3 * SNET_MS, 5 * SNET_US));
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_woken_at_once_stays_awake),
		TEST(who_sleeps_long_sleeps),
		TEST(a_look_is_short),
		TEST(nobody_looks_for_long_alone),
		TEST(who_has_much_to_do_lets_it_come_together),
		TEST(who_looks_in_vain_looks_less_and_less),
		TEST(a_few_in_vain_do_not_matter),
		TEST(late_is_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
