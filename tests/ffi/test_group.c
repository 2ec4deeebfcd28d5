/* Several parties at once, and clients. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ffi/parties.h"
#include "ffi/stoffelnet.h"

#define N 3

static void from_any(void *m, uint64_t *who, const char *text)
{
	uint8_t *p;
	size_t n;

	ok(stoffelnet_manager_receive_from_any_party(m, -1, who, &p, &n));
	assert_int_equal(n, strlen(text));
	assert_memory_equal(p, text, n);
	stoffelnet_free_bytes(p, n);
}

/* Managers 0 to N - 1, connected. */
static void mesh(void *m[N])
{
	uint64_t who;

	for (int i = 0; i < N; i++)
		m[i] = manager((uint64_t)i);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < i; j++) {
			introduce(m[i], m[j], (uint64_t)j);
			introduce(m[j], m[i], (uint64_t)i);
			ok(stoffelnet_manager_connect_to_party(m[i], (uint64_t)j));
			ok(stoffelnet_manager_accept_connection(m[j], &who));
		}
}

static void a_broadcast_reaches_everyone_and_oneself(void **state)
{
	void *m[N];
	uint64_t who;
	size_t count;

	(void)state;
	mesh(m);
	for (int i = 0; i < N; i++) {
		ok(stoffelnet_manager_broadcast(m[i], (const uint8_t *)"to all", 6, &count));
		assert_int_equal(count, N);
	}
	for (int i = 0; i < N; i++) {
		unsigned heard = 0;

		for (int j = 0; j < N; j++) {
			from_any(m[i], &who, "to all");
			heard |= 1u << who;
		}
		assert_int_equal(heard, 7);
	}
	assert_int_equal(stoffelnet_manager_broadcast(m[0], NULL, 1, &count),
			 STOFFELNET_ERR_NULL_POINTER);
	for (int i = 0; i < N; i++)
		stoffelnet_manager_destroy(m[i]);
}

/* All dial all, so that of each pair of connections one goes; the gate is what is waited for.
 */
static void those_who_dial_at_once_agree_and_hear_each_other_once(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		void *m[N], *op[N][N] = { 0 };
		uint64_t who;
		size_t count;

		for (int i = 0; i < N; i++) {
			m[i] = manager((uint64_t)i);
			ok(stoffelnet_manager_set_expected_parties(m[i], N));
		}
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++)
				if (i != j)
					introduce(m[i], m[j], (uint64_t)j);
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++)
				if (i != j)
					op[i][j] = stoffelnet_manager_connect_to_party_async(
						m[i], (uint64_t)j, NULL, NULL);
		for (int i = 0; i < N; i++) {
			ok(stoffelnet_manager_broadcast(m[i], (const uint8_t *)"once", 4,
							&count));
			assert_int_equal(count, N);
		}
		for (int i = 0; i < N; i++) {
			unsigned heard = 0;

			for (int j = 0; j < N; j++) {
				from_any(m[i], &who, "once");
				heard |= 1u << who;
			}
			assert_int_equal(heard, 7);
		}
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++)
				stoffelnet_async_cancel(op[i][j]);
		for (int i = 0; i < N; i++)
			stoffelnet_manager_destroy(m[i]);
	}
}

/* The others are not starved by one that says much. */
static void whoever_has_something_to_say_gets_a_turn(void **state)
{
	void *m[2], *c[2], *third = manager(3), *d;
	uint64_t who, first = 0;

	(void)state;
	pair(m, c);
	introduce(third, m[1], 2);
	introduce(m[1], third, 3);
	ok(stoffelnet_manager_connect_to_party(third, 2));
	d = stoffelnet_manager_get_connection(third, 2);
	for (int i = 0; i < 10; i++)
		send_text(c[0], "x");
	send_text(d, "x");
	for (StoffelStats s = { 0 }; s.messages_received < 11;)
		ok(stoffelnet_manager_stats(m[1], &s, sizeof(s)));
	from_any(m[1], &first, "x");
	from_any(m[1], &who, "x");
	assert_true(who != first);
	stoffelnet_connection_destroy(d);
	stoffelnet_manager_destroy(third);
	part(m, c);
}

static void nothing_to_receive_is_a_timeout(void **state)
{
	void *m[2], *c[2];
	uint64_t who = 9;
	uint8_t *p;
	size_t n;

	(void)state;
	pair(m, c);
	assert_int_equal(stoffelnet_connection_receive_within(c[0], rt, 0, &p, &n),
			 STOFFELNET_ERR_TIMEOUT);
	assert_int_equal(stoffelnet_connection_receive_within(c[0], rt, 20, &p, &n),
			 STOFFELNET_ERR_TIMEOUT);
	assert_int_equal(stoffelnet_manager_receive_from_any_party(m[0], 0, &who, &p, &n),
			 STOFFELNET_ERR_TIMEOUT);
	assert_int_equal(stoffelnet_manager_receive_from_any_client(m[0], 20, &who, &p, &n),
			 STOFFELNET_ERR_TIMEOUT);
	assert_string_equal(stoffelnet_last_error(), "timed out after 20 ms");
	assert_int_equal(who, 9);
	/* Who gave up has taken nothing, and is not given anything. */
	send_text(c[1], "late");
	expect(c[0], "late", 4);
	assert_int_equal(stoffelnet_manager_receive_from_any_party(NULL, 0, &who, &p, &n),
			 STOFFELNET_ERR_NULL_POINTER);
	part(m, c);
}

static void *receive_one(void *m)
{
	uint64_t who;
	uint8_t *p;
	size_t n;

	return (void *)(intptr_t)stoffelnet_manager_receive_from_any_party(m, -1, &who, &p, &n);
}

static void the_end_of_a_manager_ends_who_receives_from_any(void **state)
{
	void *other = stoffelnet_runtime_new(), *m, *result;
	pthread_t t;

	(void)state;
	m = stoffelnet_manager_new(other, "127.0.0.1:0", 0);
	assert_non_null(m);
	pthread_create(&t, NULL, receive_one, m);
	stoffelnet_runtime_destroy(other);
	pthread_join(t, &result);
	assert_true((intptr_t)result < 0);
	stoffelnet_manager_destroy(m);
}

/* ---- threads */

#define EACH 60

/* Two threads of each party; a number of theirs in every message. */
struct speaker {
	void *m;
	uint8_t id;
	pthread_t thread;
};

static void *speak(void *arg)
{
	struct speaker *s = arg;
	StoffelStats stats;

	for (uint8_t i = 0; i < EACH; i++) {
		uint8_t text[] = { s->id, i };
		size_t count;

		ok(stoffelnet_manager_broadcast(s->m, text, sizeof(text), &count));
		assert_int_equal(count, N);
		ok(stoffelnet_manager_stats(s->m, &stats, sizeof(stats)));
	}
	return NULL;
}

struct listener {
	void *m;
	uint8_t order[N][2 * EACH]; /* of each party: what its speakers said */
	size_t said[N];
	pthread_t thread;
};

static void *hear_all(void *arg)
{
	struct listener *l = arg;
	int fd = stoffelnet_manager_descriptor(l->m);

	for (int i = 0; i < 2 * N * EACH; i++) {
		uint64_t who = N;
		uint8_t *p = NULL;
		size_t n = 0;
		int32_t rc = STOFFELNET_ERR_TIMEOUT;

		while (rc == STOFFELNET_ERR_TIMEOUT && is_readable(fd, -1))
			rc = stoffelnet_manager_receive_from_any_party(l->m, 0, &who, &p, &n);
		ok(rc);
		if (!p || n != 2 || who >= N || p[0] / 2 != who) {
			fail();
			return NULL;
		}
		l->order[who][l->said[who]++] = (uint8_t)(p[0] % 2 * EACH + p[1]);
		stoffelnet_free_bytes(p, n);
	}
	assert_false(is_readable(fd, 0));
	return NULL;
}

/* Everyone hears what a party's threads broadcast in one and the same order. */
static void broadcasts_of_many_threads_have_one_order(void **state)
{
	struct speaker s[2 * N];
	struct listener *l = calloc(N, sizeof(*l));
	void *m[N];

	(void)state;
	assert_non_null(l);
	mesh(m);
	for (int i = 0; i < N; i++)
		l[i].m = m[i];
	for (int i = 0; i < 2 * N; i++)
		s[i] = (struct speaker){ .m = m[i / 2], .id = (uint8_t)i };
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&l[i].thread, NULL, hear_all, &l[i]), 0);
	for (int i = 0; i < 2 * N; i++)
		assert_int_equal(pthread_create(&s[i].thread, NULL, speak, &s[i]), 0);
	for (int i = 0; i < 2 * N; i++)
		pthread_join(s[i].thread, NULL);
	for (int i = 0; i < N; i++)
		pthread_join(l[i].thread, NULL);
	for (int i = 1; i < N; i++)
		for (int j = 0; j < N; j++)
			assert_memory_equal(l[i].order[j], l[0].order[j], 2 * EACH);
	for (int i = 0; i < N; i++)
		stoffelnet_manager_destroy(m[i]);
	free(l);
}

/* ---- clients */

static void clients_are_listed_and_addressed_apart_from_parties(void **state)
{
	void *m = manager(1), *client[2], *c[2], *back;
	uint64_t ids[4], who;
	uint8_t *p;
	size_t n;

	(void)state;
	assert_int_equal(stoffelnet_manager_clients(m, NULL, 0), 0);
	for (int i = 0; i < 2; i++) {
		client[i] = stoffelnet_manager_new_client(rt, "127.0.0.1:0", 1);
		assert_non_null(client[i]);
		assert_int_equal(stoffelnet_manager_add_node(client[i], "127.0.0.1:1", 99), 0);
		introduce(client[i], m, 5);
		ok(stoffelnet_manager_connect_to_party(client[i], 5));
		ok(stoffelnet_manager_accept_connection(m, &who));
		assert_true(who == stoffelnet_manager_derived_id(client[i]));
		assert_int_equal(stoffelnet_manager_accept_connection(client[i], &who),
				 STOFFELNET_ERR_CONNECTION);
		c[i] = stoffelnet_manager_get_connection(client[i], 5);
	}
	assert_int_equal(stoffelnet_manager_clients(m, ids, 1), 2);
	assert_int_equal(stoffelnet_manager_clients(m, ids, 4), 2);
	assert_true(ids[0] != ids[1]);
	for (int i = 0; i < 2; i++) {
		who = stoffelnet_manager_derived_id(client[i]);
		assert_true(ids[0] == who || ids[1] == who);
		ok(stoffelnet_manager_send_to_client(m, who, (const uint8_t *)"one", 3));
		expect(c[i], "one", 3);
	}
	/* 0 and 1 are one each. */
	for (uint64_t i = 0; i < 2; i++)
		ok(stoffelnet_manager_send_to_client(m, i, (const uint8_t *)"two", 3));
	for (int i = 0; i < 2; i++)
		expect(c[i], "two", 3);
	send_text(c[1], "hello");
	ok(stoffelnet_manager_receive_from_any_client(m, -1, &who, &p, &n));
	assert_true(who == stoffelnet_manager_derived_id(client[1]));
	assert_int_equal(n, 5);
	stoffelnet_free_bytes(p, n);
	back = stoffelnet_manager_get_client_connection(m, who);
	send_text(back, "good bye");
	expect(c[1], "good bye", 8);
	stoffelnet_connection_destroy(back);
	/* No client hears a broadcast. */
	ok(stoffelnet_manager_broadcast(m, NULL, 0, &n));
	assert_int_equal(n, 1);
	assert_null(stoffelnet_manager_get_client_connection(m, 77));
	assert_int_equal(stoffelnet_manager_send_to_client(m, 77, NULL, 0),
			 STOFFELNET_ERR_PARTY_NOT_FOUND);
	assert_int_equal(stoffelnet_manager_send(m, 77, NULL, 0),
			 STOFFELNET_ERR_PARTY_NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		stoffelnet_connection_destroy(c[i]);
		stoffelnet_manager_destroy(client[i]);
	}
	stoffelnet_manager_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broadcast_reaches_everyone_and_oneself),
		cmocka_unit_test(those_who_dial_at_once_agree_and_hear_each_other_once),
		cmocka_unit_test(whoever_has_something_to_say_gets_a_turn),
		cmocka_unit_test(nothing_to_receive_is_a_timeout),
		cmocka_unit_test(the_end_of_a_manager_ends_who_receives_from_any),
		cmocka_unit_test(broadcasts_of_many_threads_have_one_order),
		cmocka_unit_test(clients_are_listed_and_addressed_apart_from_parties),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
