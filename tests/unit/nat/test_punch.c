/* nat/punch: which ports come next; who probes and who holds which when, in virtual time;
 * whether the two meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "nat/punch.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define START (100 * SNET_SEC)

/* splitmix64: the same everywhere */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* ---- ports */

static void ports_that_step_are_foretold(void **state)
{
	static const struct {
		uint16_t seen[6];
		size_t n, want_n;
		uint16_t want[4];
	} cases[] = {
		{ { 5000, 5000, 5000 }, 3, 1, { 5000 } },
		{ { 5000, 5001, 5002 }, 3, 4, { 5003, 5004, 5005, 5006 } },
		{ { 5000, 5002, 5004, 5006 }, 4, 4, { 5008, 5010, 5012, 5014 } },
		{ { 5009, 5006, 5003 }, 3, 4, { 5000, 4997, 4994, 4991 } },
		{ { 5000, 5001, 5004, 5005 }, 4, 4, { 5006, 5007, 5008, 5009 } }, /* others */
		{ { 65532, 65533, 65534 }, 3, 1, { 65535 } },
		{ { 1026, 1025, 1024 }, 3, 0, { 0 } },
		{ { 5000, 5001 }, 2, 0, { 0 } },
		{ { 5000, 49231, 10222 }, 3, 0, { 0 } },
		{ { 5000, 5001, 5000 }, 3, 0, { 0 } },
		{ { 5000, 5000, 5001 }, 3, 0, { 0 } },
		{ { 5000, 5065, 5130 }, 3, 0, { 0 } },
		{ { 0 }, 0, 0, { 0 } },
	};
	uint16_t out[4];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		size_t n = snet_punch_foretell(cases[i].seen, cases[i].n, out, N(out));

		assert_int_equal(n, cases[i].want_n);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(out[k], cases[i].want[k]);
	}
}

static void ports_in_between_are_those_it_has_passed_over(void **state)
{
	static const struct {
		uint16_t seen[6];
		size_t n, want_n;
		uint16_t want[4];
	} cases[] = {
		{ { 5000, 5001, 5004, 5005 }, 4, 2, { 5002, 5003 } },
		{ { 5000, 5004, 5006, 5012 }, 4, 3, { 5002, 5008, 5010 } },
		{ { 5009, 5006, 5000, 4997 }, 4, 1, { 5003 } },
		{ { 5000, 5001, 5011, 5012 }, 4, 4, { 5002, 5003, 5004, 5005 } }, /* no room */
		{ { 100, 101, 120, 121 }, 4, 0, { 0 } },
		{ { 1000, 1001, 1026, 1027 }, 4, 2, { 1024, 1025 } },
		{ { 65533, 65534, 65535 }, 3, 0, { 0 } },
		{ { 5000, 5001, 5002 }, 3, 0, { 0 } },
		{ { 5000, 5000, 5000 }, 3, 0, { 0 } },
		{ { 5000, 5003 }, 2, 0, { 0 } },
		{ { 5000, 49231, 10222 }, 3, 0, { 0 } },
		{ { 0 }, 0, 0, { 0 } },
	};
	uint16_t out[4];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		size_t n = snet_punch_between(cases[i].seen, cases[i].n, out, N(out));

		assert_int_equal(n, cases[i].want_n);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(out[k], cases[i].want[k]);
	}
}

/* ---- life */

static void listed_ports_are_probed_once_each_in_their_order(void **state)
{
	static const uint16_t ports[] = { 5003, 5002, 60000 };
	struct snet_punch_want w;
	struct snet_punch p;
	snet_time now = START;

	(void)state;
	snet_punch_init(&p);
	assert_true(p.deadline == SNET_NEVER);
	assert_int_equal(snet_punch_step(&p, now).what, SNET_PUNCH_NOTHING);
	assert_int_equal(snet_punch_sweep(&p, ports, N(ports), now), SNET_OK);
	for (size_t i = 0; i < N(ports); i++, now = p.deadline) {
		w = snet_punch_step(&p, now);
		assert_int_equal(w.what, SNET_PUNCH_PROBE);
		assert_int_equal(w.port, ports[i]);
		assert_int_equal(snet_punch_step(&p, now).what, SNET_PUNCH_NOTHING);
		assert_true(p.deadline == now + SNET_PUNCH_PACE);
	}
	assert_int_equal(snet_punch_step(&p, now).what, SNET_PUNCH_DONE);
	assert_true(p.deadline == SNET_NEVER);
	assert_int_equal(snet_punch_step(&p, now + SNET_SEC).what, SNET_PUNCH_NOTHING);
}

static void it_begins_once_and_with_something_to_do(void **state)
{
	static const uint16_t ports[] = { 5000 };
	struct snet_punch p;

	(void)state;
	snet_punch_init(&p);
	assert_int_equal(snet_punch_sweep(&p, ports, 0, START), SNET_EINVAL);
	assert_int_equal(snet_punch_draw(&p, 0, 1, START), SNET_EINVAL);
	assert_int_equal(snet_punch_hold(&p, 0, START), SNET_EINVAL);
	assert_int_equal(p.state, SNET_PUNCH_IDLE);
	assert_int_equal(snet_punch_hold(&p, 1, START), SNET_OK);
	assert_int_equal(snet_punch_sweep(&p, ports, 1, START), SNET_EINVAL);
	assert_int_equal(snet_punch_draw(&p, 1, 1, START), SNET_EINVAL);
	assert_int_equal(snet_punch_hold(&p, 1, START), SNET_EINVAL);
	snet_punch_stop(&p);
	assert_int_equal(snet_punch_step(&p, START + SNET_SEC).what, SNET_PUNCH_NOTHING);
	assert_int_equal(snet_punch_hold(&p, 1, START), SNET_EINVAL);
	snet_punch_stop(&p);
	assert_int_equal(p.state, SNET_PUNCH_OVER);
}

static void no_port_is_drawn_twice_and_no_low_one_at_all(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (unsigned run = 0; run < 50; run++) {
		uint8_t drawn[65536] = { 0 };
		struct snet_punch_want w;
		struct snet_punch p;
		unsigned n = 0;

		snet_punch_init(&p);
		assert_int_equal(snet_punch_draw(&p, UINT32_MAX, draw(&random), START),
				 SNET_OK);
		assert_true(p.deadline == START + SNET_PUNCH_HEAD_START);
		while ((w = snet_punch_step(&p, p.deadline)).what == SNET_PUNCH_PROBE) {
			assert_true(w.port >= 1024);
			assert_false(drawn[w.port]++);
			n++;
		}
		assert_int_equal(w.what, SNET_PUNCH_DONE);
		assert_int_equal(n, SNET_PUNCH_BIRTHDAY_MAX);
	}
}

static void sockets_are_held_twice_and_let_go(void **state)
{
	static const struct {
		unsigned lots, sockets;
	} cases[] = {
		{ 1, 1 }, { 4, 1 }, { 5, 2 }, { 1023, 256 }, { 1024, 256 }, { 9999, 256 }
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		snet_time first[SNET_PUNCH_HELD_MAX] = { 0 }, now = START;
		unsigned held[SNET_PUNCH_HELD_MAX] = { 0 }, next = 0;
		struct snet_punch_want w = { .what = SNET_PUNCH_NOTHING };
		struct snet_punch p;

		snet_punch_init(&p);
		assert_int_equal(snet_punch_hold(&p, cases[i].lots, now), SNET_OK);
		for (; w.what != SNET_PUNCH_DONE; now = p.deadline) {
			w = snet_punch_step(&p, now);
			if (w.what == SNET_PUNCH_DONE)
				assert_true(now == START + SNET_PUNCH_HOLD_FOR);
			if (w.what != SNET_PUNCH_HOLD)
				continue;
			assert_int_equal(w.socket, next);
			next = (next + 1) % cases[i].sockets;
			if (!held[w.socket]++)
				first[w.socket] = now;
			else
				assert_true(now - first[w.socket] >= 5 * SNET_SEC);
			assert_true(now - first[w.socket] < 30 * SNET_SEC);
		}
		for (unsigned k = 0; k < SNET_PUNCH_HELD_MAX; k++)
			assert_int_equal(held[k], k < cases[i].sockets ? 2 : 0);
	}
}

/* ---- whether they meet */

/* A NAT that gives every port of the other's the next one of its own; others use it, too. */
struct counter {
	uint16_t last;
	uint16_t by[65536]; /* towards that port; 0: none yet */
};

static uint16_t pass(struct counter *c, uint16_t to, uint64_t *random, unsigned noise)
{
	if (!c->by[to]) {
		c->last = (uint16_t)(c->last + 1 + (draw(random) % 100 < noise));
		c->by[to] = c->last;
	}
	return c->by[to];
}

/* Both have told what servers saw of them and SNET_PUNCH_NEXT more, and checked those of the
 * other they had been told of by then. True: a packet has got through. */
static bool cross(struct counter nat[2], const unsigned checked[2], uint64_t *random,
		  unsigned noise)
{
	struct snet_punch p[2];

	for (int i = 0; i < 2; i++) {
		nat[i].last = (uint16_t)(20000 + draw(random) % 20000);
		memset(nat[i].by, 0, sizeof(nat[i].by));
	}
	for (int i = 0; i < 2; i++) {
		uint16_t seen[3 + SNET_PUNCH_NEXT], ahead[SNET_PUNCH_AHEAD];
		size_t n;

		for (unsigned k = 0; k < N(seen); k++)
			seen[k] = (uint16_t)(nat[!i].last - 2 + k);
		n = snet_punch_foretell(seen, N(seen), ahead, N(ahead));
		assert_int_equal(n, SNET_PUNCH_AHEAD);
		n = snet_punch_cross(ahead, n, i);
		snet_punch_init(&p[i]);
		assert_int_equal(snet_punch_sweep(&p[i], ahead, n, START + i * 3 * SNET_MS),
				 SNET_OK);
	}
	for (int i = 0; i < 2; i++) {
		uint16_t its = nat[!i].last;

		for (unsigned k = 0; k < checked[i]; k++)
			pass(&nat[i], (uint16_t)(its - 2 + k), random, noise);
	}
	for (snet_time now = START; now < START + 2 * SNET_SEC; now += SNET_MS) {
		for (int i = 0; i < 2; i++) {
			struct snet_punch_want w = snet_punch_step(&p[i], now);
			uint16_t from;

			if (w.what != SNET_PUNCH_PROBE)
				continue;
			from = pass(&nat[i], w.port, random, noise);
			if (nat[!i].by[from] == w.port)
				return true;
		}
	}
	return false;
}

/* Whatever each had checked before, and however many ports that cost. */
static void two_nats_that_step_meet(void **state)
{
	struct counter *nat = calloc(2, sizeof(*nat));
	uint64_t random = 3;
	unsigned met = 0, tried = 0;

	(void)state;
	assert_non_null(nat);
	for (unsigned a = 8; a <= 16; a++)
		for (unsigned b = 8; b <= 16; b++) {
			unsigned checked[2] = { a, b };

			assert_true(cross(nat, checked, &random, 0));
			for (unsigned i = 0; i < 10; i++, tried++)
				met += cross(nat, checked, &random, 5);
		}
	assert_true(met >= tried * 8 / 10);
	free(nat);
}

/* The birthday paradox, by NATs that give ports by lot. */
static void held_and_drawn_ports_meet(void **state)
{
	uint64_t random = 4;
	unsigned met = 0;

	(void)state;
	for (unsigned run = 0; run < 500; run++) {
		uint8_t open[65536] = { 0 };
		struct snet_punch easy, hard;
		struct snet_punch_want w;
		bool meets = false;

		snet_punch_init(&hard);
		snet_punch_init(&easy);
		assert_int_equal(snet_punch_hold(&hard, 1024, START), SNET_OK);
		assert_int_equal(snet_punch_draw(&easy, 1024, draw(&random), START), SNET_OK);
		for (snet_time now = START; easy.state != SNET_PUNCH_OVER; now += SNET_MS) {
			w = snet_punch_step(&hard, now);
			if (w.what == SNET_PUNCH_HOLD && now < START + 5 * SNET_SEC)
				open[1024 + draw(&random) % 64512] = 1;
			w = snet_punch_step(&easy, now);
			meets = meets || (w.what == SNET_PUNCH_PROBE && open[w.port]);
		}
		met += meets;
	}
	assert_in_range(met, 480, 500); /* of 500: 98.3 % are to be expected */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_that_step_are_foretold),
		cmocka_unit_test(ports_in_between_are_those_it_has_passed_over),
		cmocka_unit_test(listed_ports_are_probed_once_each_in_their_order),
		cmocka_unit_test(it_begins_once_and_with_something_to_do),
		cmocka_unit_test(no_port_is_drawn_twice_and_no_low_one_at_all),
		cmocka_unit_test(sockets_are_held_twice_and_let_go),
		cmocka_unit_test(two_nats_that_step_meet),
		cmocka_unit_test(held_and_drawn_ports_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
