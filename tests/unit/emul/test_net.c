#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "emul/net.h"
#include "support/torture.h"

#define PARTIES 4

static struct snet_emul_net net;

static int make(void **state)
{
	(void)state;
	return snet_emul_net_init(&net, PARTIES, 1);
}

static int unmake(void **state)
{
	(void)state;
	snet_emul_net_fini(&net);
	return 0;
}

static void apply(struct snet_change c)
{
	struct snet_error err = { 0 };

	if (snet_emul_apply(&net, &c, &err))
		fail_msg("%s", err.text);
}

/* "0001 ..." row by row: which links are down, or otherwise as asked */
static void down_are(const char *want)
{
	char have[PARTIES * PARTIES + 1];

	for (size_t k = 0; k < PARTIES * PARTIES; k++)
		have[k] = k % (PARTIES + 1) == 0 ? '-' : net.links[k].shape.down ? 'x' : '.';
	have[PARTIES * PARTIES] = 0;
	assert_string_equal(have, want);
}

static void a_cut_is_one_way_or_both_or_of_many(void **state)
{
	(void)state;
	apply((struct snet_change){ .what = SNET_CHANGE_CUT, .from = 0, .to = 1 });
	down_are("-x.."
		 ".-.."
		 "..-."
		 "...-");
	apply((struct snet_change){
		.what = SNET_CHANGE_CUT, .from = 2, .to = 3, .both = true });
	down_are("-x.."
		 ".-.."
		 "..-x"
		 "..x-");
	apply((struct snet_change){ .what = SNET_CHANGE_CUT, .from = SNET_EMUL_ANY, .to = 2 });
	down_are("-xx."
		 ".-x."
		 "..-x"
		 "..x-");
	apply((struct snet_change){
		.what = SNET_CHANGE_RESTORE, .from = SNET_EMUL_ANY, .to = SNET_EMUL_ANY });
	down_are("-..."
		 ".-.."
		 "..-."
		 "...-");
}

static void a_partition_is_between_sets_and_leaves_cuts_alone(void **state)
{
	(void)state;
	apply((struct snet_change){ .what = SNET_CHANGE_CUT, .from = 0, .to = 1 });
	apply((struct snet_change){ .what = SNET_CHANGE_PARTITION, .group = { 1, 1, 2 } });
	down_are("-xx."
		 ".-x."
		 "xx-."
		 "...-"); /* party 3 is in no set: apart from nobody */
	apply((struct snet_change){ .what = SNET_CHANGE_PARTITION, .group = { 1, 2, 1, 2 } });
	down_are("-x.x"
		 "x-x."
		 ".x-x"
		 "x.x-");
	apply((struct snet_change){ .what = SNET_CHANGE_PARTITION });
	down_are("-x.."
		 ".-.."
		 "..-."
		 "...-");
}

static void a_change_touches_what_it_names_and_nothing_else(void **state)
{
	struct snet_shape_spec born = { .delay = 5 * SNET_MS, .rate = 1000000, .burst = 3000 };
	struct snet_emul_link *l = snet_emul_link(&net, 1, 3);

	(void)state;
	snet_emul_link_set(l, &born);
	apply((struct snet_change){ .from = 1,
				    .to = 3,
				    .mask = SNET_SPEC_LOSS,
				    .spec = { .loss = .5, .delay = 1 } });
	assert_true(l->shape.spec.loss == .5);
	assert_int_equal(l->shape.spec.delay, 5 * SNET_MS);
	assert_true(snet_emul_link(&net, 3, 1)->shape.spec.loss == 0);
	/* one kind of loss in place of the other */
	apply((struct snet_change){ .from = 1,
				    .to = 3,
				    .mask = SNET_SPEC_GEMODEL,
				    .spec = { .gemodel = true, .ge_p = .1, .ge_r = .5 } });
	assert_true(l->shape.spec.gemodel && l->shape.spec.loss == 0);
	/* without a rate there is no bucket */
	apply((struct snet_change){ .from = 1, .to = 3, .mask = SNET_SPEC_RATE });
	assert_int_equal(l->shape.spec.burst, 0);
	apply((struct snet_change){ .what = SNET_CHANGE_CUT, .from = 1, .to = 3 });
	apply((struct snet_change){ .what = SNET_CHANGE_RESET, .from = 1, .to = 3 });
	assert_false(l->shape.down);
	assert_memory_equal(&l->shape.spec, &born, sizeof(born));
}

static void what_cannot_be_is_refused_and_nothing_is_done(void **state)
{
	struct snet_change c = { .from = SNET_EMUL_ANY,
				 .to = SNET_EMUL_ANY,
				 .mask = SNET_SPEC_JITTER,
				 .spec = { .jitter = SNET_MS } };
	struct snet_shape_spec slow = { .delay = 5 * SNET_MS };
	struct snet_error err = { 0 };

	(void)state;
	snet_emul_link_set(snet_emul_link(&net, 0, 1), &slow);
	assert_int_equal(snet_emul_apply(&net, &c, &err), SNET_EINVAL);
	assert_int_equal(snet_emul_link(&net, 0, 1)->shape.spec.jitter, 0);
	c = (struct snet_change){ .what = SNET_CHANGE_CUT, .from = 9, .to = 1 };
	assert_int_equal(snet_emul_apply(&net, &c, &err), SNET_EINVAL);
}

static void no_two_links_lose_the_same_packets(void **state)
{
	struct snet_emul_net larger;

	(void)state;
	for (size_t i = 0; i < PARTIES * PARTIES; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(net.links[i].shape.seed != net.links[k].shape.seed);
	/* and a larger net changes none of a smaller one */
	assert_int_equal(snet_emul_net_init(&larger, 9, 1), SNET_OK);
	assert_true(snet_emul_link(&larger, 3, 2)->shape.seed ==
		    snet_emul_link(&net, 3, 2)->shape.seed);
	snet_emul_net_fini(&larger);
	assert_int_equal(snet_emul_net_init(&larger, 1, 1), SNET_EINVAL);
	assert_int_equal(snet_emul_net_init(&larger, SNET_EMUL_PARTIES + 1, 1), SNET_EINVAL);
}

static void a_schedule_goes_by_time_and_never_back(void **state)
{
	static const snet_time times[] = { 0, 5, 5, 9 };
	struct snet_schedule s = { 0 };
	struct snet_change c = { 0 };
	struct snet_error err = { 0 };
	const struct snet_change *due;

	(void)state;
	assert_int_equal(snet_schedule_deadline(&s), SNET_NEVER);
	for (size_t i = 0; i < 4; i++) {
		c.at = times[i];
		c.line = i + 1;
		assert_int_equal(snet_schedule_add(&s, &c, &err), SNET_OK);
	}
	c.at = 8;
	assert_int_equal(snet_schedule_add(&s, &c, &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, "back in time"));
	assert_int_equal(snet_schedule_due(&s, 4)->line, 1);
	assert_null(snet_schedule_due(&s, 4));
	assert_int_equal(snet_schedule_deadline(&s), 5);
	for (size_t line = 2; (due = snet_schedule_due(&s, 100)); line++)
		assert_int_equal(due->line, line);
	assert_int_equal(snet_schedule_deadline(&s), SNET_NEVER);
	snet_schedule_fini(&s);
}

static int a_net_and_a_schedule(void *user)
{
	struct snet_emul_net made = { 0 };
	struct snet_schedule s = { 0 };
	struct snet_change c = { 0 };
	int rc = snet_emul_net_init(&made, 3, 1);

	(void)user;
	for (c.at = 0; !rc && c.at < 40; c.at++) {
		rc = snet_schedule_add(&s, &c, NULL);
		assert_int_equal(s.n, rc ? c.at : c.at + 1); /* what was there is there */
	}
	snet_schedule_fini(&s);
	snet_emul_net_fini(&made);
	return rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	assert_int_equal(torture(a_net_and_a_schedule, NULL), 1 + 3); /* 16, 32, 64 changes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_cut_is_one_way_or_both_or_of_many, make,
						unmake),
		cmocka_unit_test_setup_teardown(
			a_partition_is_between_sets_and_leaves_cuts_alone, make, unmake),
		cmocka_unit_test_setup_teardown(a_change_touches_what_it_names_and_nothing_else,
						make, unmake),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_and_nothing_is_done,
						make, unmake),
		cmocka_unit_test_setup_teardown(no_two_links_lose_the_same_packets, make,
						unmake),
		cmocka_unit_test(a_schedule_goes_by_time_and_never_back),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
