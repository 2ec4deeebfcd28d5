/* Handles of the public API from many threads: cancelled, closed and released in any order. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ffi/parties.h"
#include "ffi/stoffelnet.h"

static void a_cancelled_receive_is_never_called_and_loses_nothing(void **state)
{
	void *m[2], *c[2];
	struct seen s;

	(void)state;
	pair(m, c);
	seen_init(&s);
	for (int i = 0; i < 50; i++) { /* before, during and after the message comes */
		void *op = stoffelnet_connection_receive_async(c[1], rt, on_data, &s);
		int calls;

		assert_non_null(op);
		send_text(c[0], "x");
		stoffelnet_async_cancel(op);
		calls = s.calls;
		if (!calls)
			expect(c[1], "x", 1);
		assert_int_equal(calls, s.calls);
		s.calls = 0;
	}
	part(m, c);
	assert_int_equal(s.calls, 0);
}

static void a_cancelled_send_leaves_the_stream_whole(void **state)
{
	uint8_t *block = calloc(1, 1 << 20), *got, last = 0;
	void *m[2], *c[2], *op[40];
	size_t n, whole = 0;

	(void)state;
	pair(m, c);
	for (unsigned i = 0; i < 40; i++) {
		memset(block, (int)i + 1, 1 << 20);
		op[i] = stoffelnet_connection_send_async(c[0], rt, block, 1 << 20, NULL, NULL);
	}
	for (unsigned i = 0; i < 40; i++)
		stoffelnet_async_cancel(op[i]);
	send_text(c[0], "end");
	for (;; whole++) {
		ok(stoffelnet_connection_receive(c[1], rt, &got, &n));
		if (n == 3)
			break;
		assert_int_equal(n, 1 << 20);
		assert_true(got[0] > last && got[0] == got[n - 1]);
		last = got[0];
		stoffelnet_free_bytes(got, n);
	}
	stoffelnet_free_bytes(got, n);
	assert_true(whole < 40);
	free(block);
	part(m, c);
}

static void closing_ends_who_waits(void **state)
{
	void *m[2], *c[2], *op;
	struct seen s;

	(void)state;
	pair(m, c);
	seen_init(&s);
	op = stoffelnet_connection_receive_async(c[0], rt, on_data, &s);
	stoffelnet_connection_close(c[0], rt);
	seen_wait(&s);
	assert_int_equal(s.result, STOFFELNET_ERR_RECEIVE);
	assert_int_equal(stoffelnet_connection_state(c[0], rt), STOFFELNET_STATE_CLOSED);
	stoffelnet_async_cancel(op);
	assert_int_equal(stoffelnet_connection_state(NULL, rt), -1);
	/* ... and the party can be reached again. */
	ok(stoffelnet_manager_connect_to_party(m[0], 2));
	part(m, c);
}

static void *accept_one(void *m)
{
	uint64_t who;

	return (void *)(intptr_t)stoffelnet_manager_accept_connection(m, &who);
}

static void handles_are_released_in_any_order(void **state)
{
	for (int order = 0; order < 3; order++) {
		void *m[2], *c[2], *op, *result;
		struct seen s;
		pthread_t t;
		uint8_t *got;
		size_t n;

		pair(m, c);
		seen_init(&s);
		op = stoffelnet_connection_receive_async(c[0], rt, on_data, &s);
		if (order == 0) {
			pthread_create(&t, NULL, accept_one, m[0]);
			teardown(state); /* the runtime first */
			pthread_join(t, &result);
			assert_true((intptr_t)result < 0);
			seen_wait(&s);
			assert_true(s.result < 0);
		} else if (order == 1) {
			stoffelnet_connection_destroy(c[0]);
			stoffelnet_async_cancel(op);
		}
		stoffelnet_manager_destroy(m[0]);
		stoffelnet_manager_destroy(m[1]);
		if (order != 1) {
			assert_true(stoffelnet_connection_receive(c[0], c, &got, &n) < 0);
			assert_true(stoffelnet_connection_send(c[0], c, NULL, 0) < 0);
			stoffelnet_connection_close(c[0], c);
			stoffelnet_connection_destroy(c[0]);
			stoffelnet_async_cancel(op);
		}
		stoffelnet_connection_destroy(c[1]);
		if (order == 0)
			assert_int_equal(setup(state), 0);
	}
}

static void *other_thread(void *arg)
{
	(void)arg;
	assert_null(stoffelnet_last_error());
	stoffelnet_node_new("nonsense", 1);
	return NULL;
}

static void an_error_is_the_threads_own(void **state)
{
	uint64_t who;
	pthread_t t;
	void *n;
	char *text;

	(void)state;
	assert_int_equal(stoffelnet_manager_accept_connection(NULL, &who), -1);
	pthread_create(&t, NULL, other_thread, NULL);
	pthread_join(t, NULL);
	assert_string_equal(stoffelnet_last_error(), "Null manager handle");
	stoffelnet_clear_error();
	assert_null(stoffelnet_last_error());
	assert_null(stoffelnet_node_new(NULL, 1));
	assert_string_equal(stoffelnet_last_error(), "Null address pointer");
	assert_null(stoffelnet_node_new("localhost:1", 1));
	assert_string_equal(stoffelnet_last_error(),
			    "Invalid address format: invalid socket address syntax");
	assert_null(stoffelnet_node_new("\xff", 1));
	assert_string_equal(stoffelnet_last_error(), "Invalid UTF-8 in address");
	assert_null(stoffelnet_manager_new(rt, NULL, 1));
	assert_string_equal(stoffelnet_last_error(), "Null bind address");
	n = stoffelnet_node_new("[::1]:9000", 7);
	assert_int_equal(stoffelnet_node_party_id(n), 7);
	text = stoffelnet_node_address(n);
	assert_string_equal(text, "[::1]:9000");
	stoffelnet_free_string(text);
	stoffelnet_node_destroy(n);
}

/* ---- threads */

#define THREADS 4
#define EACH 300

static atomic_uint arrived;

static void *hammer_send(void *c)
{
	for (uint32_t i = 0; i < EACH; i++)
		ok(stoffelnet_connection_send(c, rt, (const uint8_t *)&i, sizeof(i)));
	return NULL;
}

static void *hammer_receive(void *c)
{
	for (uint32_t i = 0; i < EACH; i++) {
		uint8_t *p;
		size_t n;

		ok(stoffelnet_connection_receive(c, rt, &p, &n));
		atomic_fetch_add(&arrived, n == sizeof(i));
		stoffelnet_free_bytes(p, n);
	}
	return NULL;
}

static void four_threads_share_one_connection_both_ways(void **state)
{
	pthread_t t[2][THREADS];
	void *m[2], *c[2];

	(void)state;
	atomic_store(&arrived, 0);
	pair(m, c);
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&t[0][i], NULL, hammer_send, c[i % 2]);
		pthread_create(&t[1][i], NULL, hammer_receive, c[i % 2]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[0][i], NULL);
		pthread_join(t[1][i], NULL);
	}
	assert_int_equal(atomic_load(&arrived), THREADS * EACH);
	part(m, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancelled_receive_is_never_called_and_loses_nothing),
		cmocka_unit_test(a_cancelled_send_leaves_the_stream_whole),
		cmocka_unit_test(closing_ends_who_waits),
		cmocka_unit_test(handles_are_released_in_any_order),
		cmocka_unit_test(an_error_is_the_threads_own),
		cmocka_unit_test(four_threads_share_one_connection_both_ways),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
