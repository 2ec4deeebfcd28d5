/* The readiness agreement through the public API: managers that agree on an ordering, and every
 * way in which they do not; and what waits for it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ffi/parties.h"
#include "ffi/stoffelnet.h"

#define N 3
#define SOON 1500 /* ms: a timeout that is meant to happen, to nobody who is merely slow */

/* Managers 0 to n - 1 that know each other. */
static void make(void *m[], int n)
{
	for (int i = 0; i < n; i++)
		m[i] = manager((uint64_t)i);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			if (i != j)
				introduce(m[i], m[j], (uint64_t)j);
}

static void connect_all(void *m[], int n)
{
	for (int i = 0; i < n; i++)
		for (int j = i + 1; j < n; j++)
			ok(stoffelnet_manager_connect_to_party(m[i], (uint64_t)j));
}

static void destroy(void *m[], int n)
{
	for (int i = 0; i < n; i++)
		stoffelnet_manager_destroy(m[i]);
}

static void expect_parties(void *m[], int n, size_t count)
{
	for (int i = 0; i < n; i++)
		ok(stoffelnet_manager_set_expected_parties(m[i], count));
}

static void *agreed(void *m)
{
	void *ordering = stoffelnet_manager_wait_verified_ordering(m);

	if (!ordering)
		fail_msg("%s", stoffelnet_last_error());
	return ordering;
}

/* All have it, and it has every manager's key in it, sorted. */
static void check_orderings(void *m[], int n)
{
	for (int i = 0; i < n; i++) {
		void *ordering = agreed(m[i]);
		uint8_t *key, *last = NULL, *mine;
		size_t len, mine_len, last_len = 0, found = 0;

		assert_int_equal(stoffelnet_ordering_node_count(ordering), n);
		for (int j = 0; j < n; j++) {
			ok(stoffelnet_ordering_node_key(ordering, (size_t)j, &key, &len));
			if (last)
				assert_true(memcmp(last, key, len < last_len ? len : last_len) <
					    0);
			for (int k = 0; k < n; k++) {
				ok(stoffelnet_manager_public_key(m[k], &mine, &mine_len));
				found += mine_len == len && !memcmp(mine, key, len);
				stoffelnet_free_bytes(mine, mine_len);
			}
			stoffelnet_free_bytes(last, last_len);
			last = key;
			last_len = len;
		}
		stoffelnet_free_bytes(last, last_len);
		assert_int_equal(found, n);
		stoffelnet_ordering_destroy(ordering);
	}
}

/* What was said before there was an agreement is the program's, and nothing but that. */
static void three_parties_agree_and_no_message_is_swallowed(void **state)
{
	void *m[N], *c, *d, *ordering;

	(void)state;
	make(m, N);
	assert_null(stoffelnet_manager_get_verified_ordering(m[0]));
	expect_parties(m, N, N);
	assert_null(stoffelnet_manager_get_verified_ordering(m[0]));
	assert_string_equal(stoffelnet_last_error(), "the parties have not agreed yet");
	ok(stoffelnet_manager_connect_to_party(m[0], 1));
	c = stoffelnet_manager_get_connection(m[0], 1);
	send_text(c, "before"); /* not gated: it is the connection's */
	ok(stoffelnet_manager_connect_to_party(m[0], 2));
	ok(stoffelnet_manager_connect_to_party(m[1], 2));
	check_orderings(m, N);
	ok(stoffelnet_manager_send(m[0], 1, (const uint8_t *)"after", 5));
	d = stoffelnet_manager_get_connection(m[1], 0);
	expect(d, "before", 6);
	expect(d, "after", 5);
	send_text(d, "and back");
	expect(c, "and back", 8);
	ordering = stoffelnet_manager_get_verified_ordering(m[2]);
	assert_int_equal(stoffelnet_ordering_client_count(ordering), 0);
	ok(stoffelnet_manager_set_expected_parties(m[2], N)); /* as it is */
	assert_int_equal(stoffelnet_manager_set_expected_parties(m[2], 2),
			 STOFFELNET_ERR_CONSENSUS);
	stoffelnet_connection_destroy(c);
	stoffelnet_connection_destroy(d);
	destroy(m, N);
	assert_int_equal(stoffelnet_ordering_node_count(ordering), N); /* it is its own */
	stoffelnet_ordering_destroy(ordering);
}

/* One party's digest comes while the other does not know yet that it is to agree. */
static void a_digest_that_came_early_is_not_a_message(void **state)
{
	void *m[2], *c;

	(void)state;
	make(m, 2);
	connect_all(m, 2);
	ok(stoffelnet_manager_set_expected_parties(m[0], 2));
	c = stoffelnet_manager_get_connection(m[0], 1);
	send_text(c, "behind it");
	stoffelnet_connection_destroy(c);
	c = stoffelnet_manager_get_connection(m[1], 0);
	for (StoffelStats s = { 0 }; s.messages_received < 2;) /* both are here */
		ok(stoffelnet_connection_stats(c, &s, sizeof(s)));
	ok(stoffelnet_manager_set_expected_parties(m[1], 2));
	check_orderings(m, 2);
	expect(c, "behind it", 9);
	stoffelnet_connection_destroy(c);
	destroy(m, 2);
}

/* A manager that expects nobody hands on what looks like a digest. */
static void without_an_agreement_everything_is_a_message(void **state)
{
	uint8_t digest[100] = { 12, [4] = 32, [52] = 32 };
	void *m[2], *c[2];

	(void)state;
	pair(m, c);
	ok(stoffelnet_connection_send(c[0], rt, digest, sizeof(digest)));
	expect(c[1], digest, sizeof(digest));
	ok(stoffelnet_manager_send(m[0], 2, digest, 1)); /* the gate is open */
	expect(c[1], digest, 1);
	part(m, c);
}

static void a_party_that_never_comes_is_named(void **state)
{
	void *m[N];
	const uint8_t byte = 1;

	(void)state;
	make(m, N);
	ok(stoffelnet_manager_connect_to_party(m[0], 1));
	for (int i = 0; i < 2; i++)
		ok(stoffelnet_manager_set_consensus_timeout(m[i], SOON));
	expect_parties(m, 2, N);
	/* What waits for the agreement fails with it. */
	assert_int_equal(stoffelnet_manager_send(m[0], 1, &byte, 1), STOFFELNET_ERR_CONSENSUS);
	assert_string_equal(stoffelnet_last_error(),
			    "Consensus failed: 2 of 3 parties have come, without party 2");
	assert_int_equal(stoffelnet_manager_broadcast(m[1], &byte, 1, NULL),
			 STOFFELNET_ERR_CONSENSUS);
	assert_null(stoffelnet_manager_get_verified_ordering(m[1]));
	assert_string_equal(stoffelnet_last_error(),
			    "Consensus failed: 2 of 3 parties have come, without party 2");
	/* It comes, and they try again. */
	for (int i = 0; i < N; i++)
		ok(stoffelnet_manager_set_consensus_timeout(m[i], 60000));
	expect_parties(m, N, N);
	connect_all(m, N);
	check_orderings(m, N);
	destroy(m, N);
}

/* It is there, but does not take part. */
static void a_party_that_says_nothing_is_named(void **state)
{
	void *m[2];

	(void)state;
	make(m, 2);
	connect_all(m, 2);
	ok(stoffelnet_manager_set_consensus_timeout(m[0], SOON));
	ok(stoffelnet_manager_set_expected_parties(m[0], 2));
	assert_null(stoffelnet_manager_wait_verified_ordering(m[0]));
	assert_string_equal(stoffelnet_last_error(),
			    "Consensus failed: no digest from party 1");
	ok(stoffelnet_manager_set_expected_parties(m[0], 2));
	ok(stoffelnet_manager_set_expected_parties(m[1], 2));
	check_orderings(m, 2);
	destroy(m, 2);
}

/* One has a client, the other has none: who differs, and in what; long before the timeout. */
static void a_difference_is_named(void **state)
{
	void *m[2], *client = stoffelnet_manager_new_client(rt, "127.0.0.1:0", 7);
	uint64_t who;

	(void)state;
	assert_non_null(client);
	make(m, 2);
	introduce(client, m[1], 1);
	ok(stoffelnet_manager_connect_to_party(client, 1));
	ok(stoffelnet_manager_accept_connection(m[1], &who));
	expect_parties(m, 2, 2);
	connect_all(m, 2);
	assert_null(stoffelnet_manager_wait_verified_ordering(m[0]));
	assert_string_equal(stoffelnet_last_error(),
			    "Consensus failed: party 1 has 1 clients, and 0 are here");
	assert_null(stoffelnet_manager_wait_verified_ordering(m[1]));
	assert_string_equal(stoffelnet_last_error(),
			    "Consensus failed: party 0 has 0 clients, and 1 are here");
	stoffelnet_manager_destroy(client);
	destroy(m, 2);
}

/* The client of both is in the ordering, is told the list before anything else, and can check
 * it; one expected count, that of clients, is enough. */
static void a_client_is_told_what_the_parties_agreed_on(void **state)
{
	void *m[2], *client = stoffelnet_manager_new_client(rt, "127.0.0.1:0", 7), *c[2], *o;
	uint8_t *key, *mine;
	size_t len, mine_len;

	(void)state;
	assert_int_equal(stoffelnet_manager_set_expected_parties(client, 2),
			 STOFFELNET_ERR_CONSENSUS);
	make(m, 2);
	for (int i = 0; i < 2; i++)
		ok(stoffelnet_manager_set_expected_clients(m[i], 1));
	connect_all(m, 2);
	for (int i = 0; i < 2; i++) {
		introduce(client, m[i], (uint64_t)i);
		ok(stoffelnet_manager_connect_to_party(client, (uint64_t)i));
		c[i] = stoffelnet_manager_get_connection(client, (uint64_t)i);
	}
	for (int i = 0; i < 2; i++)
		ok(stoffelnet_manager_send_to_client(
			m[i], stoffelnet_manager_derived_id(client), (const uint8_t *)"hi", 2));
	o = stoffelnet_verify_node_ordering(c, 2, rt);
	if (!o)
		fail_msg("%s", stoffelnet_last_error());
	assert_int_equal(stoffelnet_ordering_node_count(o), 2);
	for (int i = 0; i < 2; i++)
		expect(c[i], "hi", 2);
	stoffelnet_ordering_destroy(o);
	check_orderings(m, 2);
	o = agreed(m[0]);
	assert_int_equal(stoffelnet_ordering_client_count(o), 1);
	ok(stoffelnet_ordering_client_key(o, 0, &key, &len));
	ok(stoffelnet_manager_public_key(client, &mine, &mine_len));
	assert_int_equal(len, mine_len);
	assert_memory_equal(key, mine, len);
	stoffelnet_free_bytes(key, len);
	stoffelnet_free_bytes(mine, mine_len);
	stoffelnet_ordering_destroy(o);
	/* Its place in the list is an id, too. */
	ok(stoffelnet_manager_send_to_client(m[0], 0, (const uint8_t *)"you", 3));
	expect(c[0], "you", 3);
	for (int i = 0; i < 2; i++)
		stoffelnet_connection_destroy(c[i]);
	stoffelnet_manager_destroy(client);
	destroy(m, 2);
}

static void *wait_for_it(void *m)
{
	return stoffelnet_manager_wait_verified_ordering(m);
}

/* The end of a manager is the end of waiting; and counts that cannot be are refused. */
static void whoever_waits_is_woken_by_the_end(void **state)
{
	void *other = stoffelnet_runtime_new(), *m, *result;
	pthread_t t;

	(void)state;
	m = stoffelnet_manager_new(other, "127.0.0.1:0", 0);
	assert_int_equal(stoffelnet_manager_set_expected_parties(m, 0),
			 STOFFELNET_ERR_CONSENSUS);
	assert_int_equal(stoffelnet_manager_set_expected_clients(m, SIZE_MAX),
			 STOFFELNET_ERR_CONSENSUS);
	assert_int_equal(stoffelnet_manager_set_consensus_timeout(m, 0),
			 STOFFELNET_ERR_CONSENSUS);
	ok(stoffelnet_manager_set_expected_parties(m, 2));
	pthread_create(&t, NULL, wait_for_it, m);
	stoffelnet_runtime_destroy(other);
	pthread_join(t, &result);
	assert_null(result);
	stoffelnet_manager_destroy(m);
}

/* ---- parties that come and go */

/* Before the agreement it is another party, with another key, that comes under the name. */
static void a_party_that_restarts_before_the_agreement_is_counted_once(void **state)
{
	void *m[N], *again;
	char at[32];

	(void)state;
	make(m, N);
	expect_parties(m, N, N);
	ok(stoffelnet_manager_connect_to_party(m[0], 1));
	snprintf(at, sizeof(at), "127.0.0.1:%u", stoffelnet_manager_port(m[1]));
	stoffelnet_manager_destroy(m[1]);
	again = stoffelnet_manager_new(rt, at, 1);
	if (!again)
		fail_msg("%s", stoffelnet_last_error());
	m[1] = again;
	introduce(m[1], m[0], 0);
	introduce(m[1], m[2], 2);
	ok(stoffelnet_manager_set_expected_parties(m[1], N));
	ok(stoffelnet_manager_connect_to_party(m[1], 0));
	ok(stoffelnet_manager_connect_to_party(m[2], 0));
	ok(stoffelnet_manager_connect_to_party(m[2], 1));
	check_orderings(m, N);
	destroy(m, N);
}

/* Ids need not be small; whoever is to blame is named by the id. */
static void a_party_with_a_big_id_is_named_by_it(void **state)
{
	const uint64_t big = 123456789012345;
	void *m[2] = { manager(0), manager(big) };

	(void)state;
	introduce(m[0], m[1], big);
	ok(stoffelnet_manager_connect_to_party(m[0], big));
	ok(stoffelnet_manager_set_consensus_timeout(m[0], SOON));
	ok(stoffelnet_manager_set_expected_parties(m[0], 2));
	assert_null(stoffelnet_manager_wait_verified_ordering(m[0]));
	assert_string_equal(stoffelnet_last_error(),
			    "Consensus failed: no digest from party 2048; party 2048 is "
			    "123456789012345");
	destroy(m, 2);
}

/* One that nobody knows, and that leaves, is not waited for, nor counted. */
static void a_stranger_that_leaves_is_forgotten(void **state)
{
	void *m[2], *stranger = manager(9), *c;
	uint64_t who;

	(void)state;
	make(m, 2);
	introduce(stranger, m[0], 0);
	expect_parties(m, 2, 2);
	ok(stoffelnet_manager_connect_to_party(stranger, 0));
	ok(stoffelnet_manager_accept_connection(m[0], &who));
	c = stoffelnet_manager_get_connection(m[0], who);
	stoffelnet_manager_destroy(stranger);
	assert_int_equal(
		stoffelnet_connection_receive(c, rt, &(uint8_t *){ NULL }, &(size_t){ 0 }),
		STOFFELNET_ERR_RECEIVE);
	stoffelnet_connection_close(c, rt);
	stoffelnet_connection_destroy(c);
	connect_all(m, 2);
	check_orderings(m, 2);
	destroy(m, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_parties_agree_and_no_message_is_swallowed),
		cmocka_unit_test(a_digest_that_came_early_is_not_a_message),
		cmocka_unit_test(without_an_agreement_everything_is_a_message),
		cmocka_unit_test(a_party_that_never_comes_is_named),
		cmocka_unit_test(a_party_that_says_nothing_is_named),
		cmocka_unit_test(a_difference_is_named),
		cmocka_unit_test(a_client_is_told_what_the_parties_agreed_on),
		cmocka_unit_test(whoever_waits_is_woken_by_the_end),
		cmocka_unit_test(a_party_that_restarts_before_the_agreement_is_counted_once),
		cmocka_unit_test(a_party_with_a_big_id_is_named_by_it),
		cmocka_unit_test(a_stranger_that_leaves_is_forgotten),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
