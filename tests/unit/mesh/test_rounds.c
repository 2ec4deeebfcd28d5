/* mesh/rounds: who is in a round, who is late, who is missing; in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/rounds.h"
#include "support/torture.h"

#define ROOM (1u << 20)

static int put(struct snet_rounds *r, unsigned party, const char *text, snet_time now)
{
	struct snet_slice v = { (const uint8_t *)text, strlen(text), NULL };

	return snet_rounds_put(r, party, 0, &v, now, NULL);
}

/* Expects a round, as "a,b,-" with - for who is not in it, and releases it. */
static void expect_round(struct snet_rounds *r, snet_time now, uint64_t number,
			 const char *want)
{
	const struct snet_round *round;
	char got[256] = "";

	assert_int_equal(snet_rounds_next(r, now, &round), SNET_OK);
	assert_non_null(round);
	assert_int_equal(round->number, number);
	for (unsigned i = 0; i < round->n; i++) {
		const struct snet_round_slot *s = &round->slots[i];
		size_t n = strlen(got);

		snprintf(got + n, sizeof(got) - n, "%s%.*s", i ? "," : "",
			 s->present ? (int)s->v.n : 1, s->present ? (const char *)s->v.p : "-");
	}
	assert_string_equal(got, want);
	snet_rounds_done(r, now);
}

static void expect_none(struct snet_rounds *r, snet_time now, int code)
{
	const struct snet_round *round;

	assert_int_equal(snet_rounds_next(r, now, &round), code);
	assert_null(round);
}

static void a_round_has_everyones_message_in_order_of_party(void **s)
{
	struct snet_rounds r;

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 3, 3, SNET_NEVER, ROOM), SNET_OK);
	assert_int_equal(put(&r, 2, "c", 0), SNET_OK);
	assert_int_equal(put(&r, 0, "a", 0), SNET_OK);
	expect_none(&r, 0, SNET_OK);
	assert_true(snet_rounds_is_missing(&r, 1));
	assert_false(snet_rounds_is_missing(&r, 2));
	assert_int_equal(put(&r, 1, "", 0), SNET_OK);
	expect_round(&r, 0, 1, "a,,c");
	expect_none(&r, 0, SNET_OK);
	assert_int_equal(r.deadline, SNET_NEVER);
	snet_rounds_fini(&r);
}

static void messages_ahead_wait_for_their_round(void **s)
{
	struct snet_rounds r;
	uint64_t round;

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 2, 2, SNET_NEVER, ROOM), SNET_OK);
	for (unsigned k = 0; k < 9; k++) {
		struct snet_slice v = { (const uint8_t *)"123456789" + k, 1, NULL };

		assert_int_equal(snet_rounds_put(&r, 0, 0, &v, 0, &round), SNET_OK);
		assert_int_equal(round, k + 1);
	}
	for (unsigned k = 0; k < 9; k++) {
		char want[] = { (char)('1' + k), ',', 'x', '\0' };

		expect_none(&r, 0, SNET_OK);
		assert_int_equal(put(&r, 1, "x", 0), SNET_OK);
		expect_round(&r, 0, k + 1, want);
	}
	snet_rounds_fini(&r);
}

static void a_quorum_is_enough_once_the_time_is_over(void **s)
{
	struct snet_rounds r;
	uint64_t round;
	struct snet_slice v = { (const uint8_t *)"late", 4, NULL };

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 3, 2, 10, ROOM), SNET_OK);
	assert_int_equal(r.deadline, SNET_NEVER); /* no message, no time */
	put(&r, 0, "a", 100);
	put(&r, 1, "b", 105);
	assert_int_equal(r.deadline, 110);
	expect_none(&r, 109, SNET_OK);
	expect_round(&r, 110, 1, "a,b,-");
	/* Its first is late and named, its second is in time. */
	assert_int_equal(snet_rounds_put(&r, 2, 0, &v, 111, &round), SNET_ETIMEOUT);
	assert_int_equal(round, 1);
	assert_int_equal(snet_rounds_put(&r, 2, 0, &v, 112, &round), SNET_OK);
	assert_int_equal(round, 2);
	assert_int_equal(r.deadline, 122);
	put(&r, 0, "a2", 113);
	put(&r, 1, "b2", 113);
	expect_round(&r, 113, 2, "a2,b2,late");
	snet_rounds_fini(&r);
}

static void too_few_at_the_deadline_is_said_once_and_the_round_stays_open(void **s)
{
	struct snet_rounds r;

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 3, 2, 10, ROOM), SNET_OK);
	put(&r, 2, "c", 0);
	expect_none(&r, 10, SNET_ETIMEOUT);
	assert_int_equal(r.deadline, SNET_NEVER);
	expect_none(&r, 50, SNET_OK);
	put(&r, 0, "a", 60);
	expect_round(&r, 60, 1, "a,-,c");
	snet_rounds_fini(&r);
}

static void nobody_waits_for_who_was_given_up(void **s)
{
	struct snet_rounds r;

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 3, 2, SNET_NEVER, ROOM), SNET_OK);
	put(&r, 1, "b1", 0);
	put(&r, 0, "a1", 0);
	put(&r, 0, "a2", 0);
	snet_rounds_give_up(&r, 2);
	snet_rounds_give_up(&r, 2);
	expect_round(&r, 0, 1, "a1,b1,-");
	snet_rounds_give_up(&r, 0); /* what it has said is in its round all the same */
	put(&r, 1, "b2", 0);
	expect_round(&r, 0, 2, "a2,b2,-");
	expect_none(&r, 0, SNET_ELOST);
	put(&r, 1, "b3", 0);
	expect_none(&r, 0, SNET_ELOST);
	snet_rounds_expect(&r, 0);
	expect_none(&r, 0, SNET_OK);
	put(&r, 0, "a3", 0);
	expect_round(&r, 0, 3, "a3,b3,-");
	snet_rounds_fini(&r);
}

static void a_party_ahead_is_full_at_the_ceiling(void **s)
{
	struct snet_rounds r;
	unsigned n = 0;

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 2, 2, SNET_NEVER, 1000), SNET_OK);
	while (!snet_rounds_is_full(&r, 0)) {
		assert_int_equal(put(&r, 0, "0123456789", 0), SNET_OK);
		n++;
	}
	assert_int_equal(n, (1000 + 73) / 74);
	assert_int_equal(put(&r, 0, "x", 0), SNET_EAGAIN);
	assert_false(snet_rounds_is_full(&r, 1));
	put(&r, 1, "y", 0);
	expect_round(&r, 0, 1, "0123456789,y");
	assert_false(snet_rounds_is_full(&r, 0));
	assert_int_equal(put(&r, 0, "x", 0), SNET_OK); /* what was refused was not said */
	snet_rounds_fini(&r);
}

static void a_message_above_the_ceiling_still_goes_through(void **s)
{
	struct snet_rounds r;

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 1, 1, SNET_NEVER, 1), SNET_OK);
	for (uint64_t k = 1; k < 5; k++) {
		assert_int_equal(put(&r, 0, "far above", 0), SNET_OK);
		assert_true(snet_rounds_is_full(&r, 0));
		expect_round(&r, 0, k, "far above");
	}
	snet_rounds_fini(&r);
}

static void the_clock_stands_while_a_round_is_out(void **s)
{
	const struct snet_round *round, *other;
	struct snet_rounds r;

	(void)s;
	assert_int_equal(snet_rounds_init(&r, 2, 1, 10, ROOM), SNET_OK);
	put(&r, 0, "a1", 0);
	put(&r, 0, "a2", 0);
	assert_int_equal(snet_rounds_put(&r, 1, 200,
					 &(struct snet_slice){ (const uint8_t *)"b1", 2, NULL },
					 0, NULL),
			 SNET_OK);
	assert_int_equal(snet_rounds_next(&r, 0, &round), SNET_OK);
	assert_non_null(round);
	assert_int_equal(round->slots[0].kind, 0);
	assert_int_equal(round->slots[1].kind, 200);
	assert_int_equal(r.deadline, SNET_NEVER);
	assert_int_equal(snet_rounds_next(&r, 500, &other), SNET_OK);
	assert_null(other);
	assert_memory_equal(round->slots[1].v.p, "b1", 2);
	snet_rounds_done(&r, 1000);
	snet_rounds_done(&r, 2000); /* none is out */
	assert_int_equal(r.deadline, 1010);
	expect_round(&r, 1010, 2, "a2,-");
	snet_rounds_fini(&r);
}

static void a_block_is_held_and_a_small_part_of_one_is_copied(void **s)
{
	struct snet_block *b = snet_block_new(64);
	struct snet_slice whole = { b->data, 64, b }, part = { b->data, 3, b };
	struct snet_rounds r;

	(void)s;
	memcpy(b->data, "abc", 3);
	assert_int_equal(snet_rounds_init(&r, 3, 3, SNET_NEVER, ROOM), SNET_OK);
	assert_int_equal(snet_rounds_put(&r, 0, 0, &whole, 0, NULL), SNET_OK);
	assert_int_equal(b->refs, 2);
	assert_int_equal(snet_rounds_put(&r, 1, 7, &part, 0, NULL), SNET_OK);
	assert_int_equal(b->refs, 2);
	assert_int_equal(snet_rounds_kept(&r, 1), 3 + SNET_ROUNDS_OVERHEAD);
	snet_rounds_fini(&r);
	assert_int_equal(b->refs, 1);
	snet_block_free(b);
}

static void what_cannot_be_is_refused(void **s)
{
	const struct {
		unsigned n, q;
		snet_time timeout;
		size_t max;
	} bad[] = { { 0, 0, 1, 1 }, { 3, 0, 1, 1 }, { 3, 4, 1, 1 },
		    { 3, 3, 0, 1 }, { 3, 3, 1, 0 }, { SNET_ROUNDS_PARTIES + 1, 1, 1, 1 } };
	struct snet_rounds r;

	(void)s;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(
			snet_rounds_init(&r, bad[i].n, bad[i].q, bad[i].timeout, bad[i].max),
			SNET_EINVAL);
		snet_rounds_fini(&r);
	}
	assert_int_equal(snet_rounds_init(&r, 2, 2, 1, 1), SNET_OK);
	assert_int_equal(put(&r, 2, "", 0), SNET_EINVAL);
	snet_rounds_fini(&r);
}

/* ---- random schedules, against everything written down and counted anew each time */

#define MODEL_N 6
#define MODEL_K 64

struct model {
	unsigned n, q;
	snet_time timeout, began; /* of the open round; SNET_NEVER: not */
	uint64_t open;
	unsigned said[MODEL_N];
	bool in_time[MODEL_N][MODEL_K], gone[MODEL_N];
	bool out, warned;
};

static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % below;
}

static unsigned model_here(const struct model *m, unsigned *awaited)
{
	unsigned here = 0;

	*awaited = 0;
	for (unsigned i = 0; i < m->n; i++) {
		here += m->in_time[i][m->open];
		*awaited += !m->in_time[i][m->open] && !m->gone[i];
	}
	return here;
}

static void model_begin(struct model *m, snet_time now)
{
	unsigned awaited;

	if (!m->out && m->began == SNET_NEVER && model_here(m, &awaited))
		m->began = now;
}

static void step_put(struct model *m, struct snet_rounds *r, unsigned party, snet_time now)
{
	uint32_t text = party << 16 | (m->said[party] + 1);
	struct snet_slice v = { (const uint8_t *)&text, sizeof(text), NULL };
	uint64_t k = m->said[party] + 1, round = 0;

	if (k == MODEL_K)
		return;
	assert_int_equal(snet_rounds_put(r, party, 0, &v, now, &round),
			 k < m->open ? SNET_ETIMEOUT : SNET_OK);
	assert_int_equal(round, k);
	m->said[party]++;
	m->in_time[party][k] = k >= m->open;
	model_begin(m, now);
}

static void check_round(const struct model *m, const struct snet_round *round)
{
	assert_int_equal(round->number, m->open);
	for (unsigned i = 0; i < m->n; i++) {
		uint32_t text = i << 16 | (uint32_t)m->open;

		assert_int_equal(round->slots[i].present, m->in_time[i][m->open]);
		if (round->slots[i].present)
			assert_memory_equal(round->slots[i].v.p, &text, sizeof(text));
	}
}

static void step_next(struct model *m, struct snet_rounds *r, snet_time now)
{
	const struct snet_round *round;
	int rc = snet_rounds_next(r, now, &round);
	unsigned awaited, here = model_here(m, &awaited);
	bool over = m->began != SNET_NEVER && now >= m->began + m->timeout;

	if (m->out) {
		assert_int_equal(rc, SNET_OK);
		assert_null(round);
	} else if (here >= m->q && (!awaited || over)) {
		assert_int_equal(rc, SNET_OK);
		assert_non_null(round);
		check_round(m, round);
		m->open++;
		m->began = SNET_NEVER;
		m->out = true;
		m->warned = false;
	} else {
		assert_null(round);
		assert_int_equal(rc, here + awaited < m->q ? SNET_ELOST
				     : over && !m->warned  ? SNET_ETIMEOUT
							   : SNET_OK);
		m->warned = m->warned || over;
	}
}

static void step(struct model *m, struct snet_rounds *r, uint64_t *seed, snet_time now)
{
	unsigned party = draw(seed, m->n), what = draw(seed, 16);

	if (what < 9) {
		step_put(m, r, party, now);
	} else if (what == 9) {
		snet_rounds_give_up(r, party);
		m->gone[party] = true;
	} else if (what == 10) {
		snet_rounds_expect(r, party);
		m->gone[party] = false;
	} else if (what < 14) {
		step_next(m, r, now);
	} else if (m->out) {
		snet_rounds_done(r, now);
		m->out = false;
		model_begin(m, now);
	}
	assert_int_equal(r->number, m->open);
	assert_int_equal(r->deadline, m->out || m->began == SNET_NEVER || m->warned
					      ? SNET_NEVER
					      : m->began + m->timeout);
}

static void ten_thousand_schedules_go_as_the_model_says(void **s)
{
	uint64_t closed = 0, warned = 0;

	(void)s;
	for (uint64_t run = 0; run < 10000; run++) {
		struct model m = { .open = 1, .began = SNET_NEVER };
		uint64_t seed = run;
		struct snet_rounds r;
		snet_time now = 0;

		m.n = 1 + draw(&seed, MODEL_N);
		m.q = 1 + draw(&seed, m.n);
		m.timeout = 1 + draw(&seed, 40);
		assert_int_equal(snet_rounds_init(&r, m.n, m.q, m.timeout, ROOM), SNET_OK);
		for (unsigned i = 0; i < 100; i++) {
			now += draw(&seed, 4);
			step(&m, &r, &seed, now);
			warned += m.warned;
		}
		closed += m.open - 1;
		snet_rounds_fini(&r);
	}
	assert_true(closed > 20000 && warned > 1000); /* or the schedules show nothing */
}

static int all_of_it(void *user)
{
	const struct snet_round *round = NULL;
	struct snet_rounds r;
	int rc = snet_rounds_init(&r, 3, 2, 10, ROOM);

	(void)user;
	for (unsigned k = 0; k < 10 && !rc; k++)
		if (!(rc = put(&r, 0, "zero", k)))
			rc = put(&r, 1, "one", k);
	if (!rc)
		rc = snet_rounds_next(&r, 100, &round);
	snet_rounds_fini(&r);
	return rc;
}

static void every_allocation_may_fail(void **s)
{
	(void)s;
	assert_true(torture(all_of_it, NULL) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_has_everyones_message_in_order_of_party),
		cmocka_unit_test(messages_ahead_wait_for_their_round),
		cmocka_unit_test(a_quorum_is_enough_once_the_time_is_over),
		cmocka_unit_test(too_few_at_the_deadline_is_said_once_and_the_round_stays_open),
		cmocka_unit_test(nobody_waits_for_who_was_given_up),
		cmocka_unit_test(a_party_ahead_is_full_at_the_ceiling),
		cmocka_unit_test(a_message_above_the_ceiling_still_goes_through),
		cmocka_unit_test(the_clock_stands_while_a_round_is_out),
		cmocka_unit_test(a_block_is_held_and_a_small_part_of_one_is_copied),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(ten_thousand_schedules_go_as_the_model_says),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
