/* The public API, over real sockets on loopback. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/identity.h"
#include "ffi/parties.h"
#include "ffi/stoffelnet.h"

#define N 3
#define BIG (5u << 20)

_Static_assert(STOFFELNET_ERR_CONSENSUS == -11 && STOFFELNET_STATE_DISCONNECTED == 3,
	       "the numbers are the API's");
_Static_assert(sizeof(StoffelTokioRuntimeHandle) == sizeof(void *), "handles are pointers");

/* ---- */

static void three_parties_meet_all_to_all_whoever_dials(void **state)
{
	void *m[N], *op[N][N] = { 0 };
	struct seen up[N][N];

	(void)state;
	for (int i = 0; i < N; i++)
		m[i] = manager((uint64_t)i);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			if (i != j)
				introduce(m[i], m[j], (uint64_t)j);
	/* Everyone dials everyone at once: one connection of each pair survives. */
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			if (i == j)
				continue;
			seen_init(&up[i][j]);
			op[i][j] = stoffelnet_manager_connect_to_party_async(
				m[i], (uint64_t)j, on_result, &up[i][j]);
			assert_non_null(op[i][j]);
		}
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			void *c;
			char text[48];

			if (i == j)
				continue;
			seen_wait(&up[i][j]);
			assert_int_equal(up[i][j].result, 0);
			stoffelnet_async_cancel(op[i][j]);
			assert_int_equal(
				stoffelnet_manager_is_party_connected(m[i], (uint64_t)j), 1);
			c = stoffelnet_manager_get_connection(m[i], (uint64_t)j);
			for (int k = 0; k < 20; k++) {
				snprintf(text, sizeof(text), "%d to %d: %d", i, j, k);
				send_text(c, text);
			}
			stoffelnet_connection_destroy(c);
		}
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			void *c = i == j ? NULL
					 : stoffelnet_manager_get_connection(m[j], (uint64_t)i);
			char text[48];

			for (int k = 0; c && k < 20; k++) {
				snprintf(text, sizeof(text), "%d to %d: %d", i, j, k);
				expect(c, text, strlen(text));
			}
			stoffelnet_connection_destroy(c);
		}
	for (int i = 0; i < N; i++)
		stoffelnet_manager_destroy(m[i]);
}

static void a_party_is_found_by_its_number_and_by_its_derived_id(void **state)
{
	void *m[2], *c[2], *again;
	uint64_t derived;

	(void)state;
	pair(m, c);
	derived = stoffelnet_manager_derived_id(m[1]);
	assert_int_equal(stoffelnet_manager_is_party_connected(m[0], derived), 1);
	assert_int_equal(stoffelnet_manager_is_party_connected(m[0], 77), 0);
	assert_null(stoffelnet_manager_get_connection(m[0], 77));
	assert_string_equal(stoffelnet_last_error(), "No connection to party 77");
	ok(stoffelnet_manager_connect_to_party(m[1], 1)); /* it is connected already */
	again = stoffelnet_manager_get_connection(m[0], derived);
	send_text(again, "by the other name");
	expect(c[1], "by the other name", 17);
	stoffelnet_connection_destroy(again);
	part(m, c);
}

static void empty_and_big_messages_arrive_whole(void **state)
{
	uint8_t *big = malloc(BIG);
	void *m[2], *c[2];

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i * 2654435761u >> 13);
	pair(m, c);
	ok(stoffelnet_connection_send(c[0], rt, NULL, 0));
	ok(stoffelnet_connection_send(c[0], rt, big, BIG));
	ok(stoffelnet_connection_send(c[0], rt, NULL, 0));
	expect(c[1], NULL, 0);
	expect(c[1], big, BIG);
	expect(c[1], NULL, 0);
	part(m, c);
	free(big);
}

/* The receiver's inbox fills, it stops reading, the sender waits; then all of it arrives. */
static void *send_much(void *arg)
{
	uint8_t *block = calloc(1, 1 << 20);

	for (unsigned i = 0; i < 48; i++) {
		block[0] = (uint8_t)i;
		ok(stoffelnet_connection_send(arg, rt, block, 1 << 20));
	}
	free(block);
	return NULL;
}

static void a_sender_waits_for_a_receiver_that_does_not_read(void **state)
{
	void *m[2], *c[2];
	pthread_t t;

	(void)state;
	pair(m, c);
	pthread_create(&t, NULL, send_much, c[0]);
	for (unsigned i = 0; i < 48; i++) {
		uint8_t *got;
		size_t n;

		ok(stoffelnet_connection_receive(c[1], rt, &got, &n));
		assert_int_equal(n, 1 << 20);
		assert_int_equal(got[0], i);
		stoffelnet_free_bytes(got, n);
	}
	pthread_join(t, NULL);
	part(m, c);
}

static void callbacks_bring_messages_and_may_not_wait(void **state)
{
	void *m[2], *c[2], *op, *sent;
	struct seen s, t;

	(void)state;
	pair(m, c);
	seen_init(&s);
	seen_init(&t);
	s.conn = c[1];
	op = stoffelnet_connection_receive_async(c[1], rt, on_data, &s);
	sent = stoffelnet_connection_send_async(c[0], rt, (const uint8_t *)"hello", 5,
						on_result, &t);
	seen_wait(&s);
	seen_wait(&t);
	assert_int_equal(t.result, 0);
	assert_int_equal(s.result, 0);
	assert_int_equal(s.len, 5);
	assert_string_equal(s.text, "hello");
	assert_int_equal(s.nested, STOFFELNET_ERR_RUNTIME);
	assert_int_equal(stoffelnet_async_cancel(op), 0);
	assert_int_equal(stoffelnet_async_cancel(sent), 0);
	assert_int_equal(stoffelnet_async_cancel(NULL), 0);
	part(m, c);
}

static void what_was_sent_arrives_before_the_end(void **state)
{
	void *m[2], *c[2];
	uint8_t *got;
	size_t n;

	(void)state;
	pair(m, c);
	for (int i = 0; i < 100; i++)
		send_text(c[0], "last words");
	stoffelnet_manager_destroy(m[0]);
	for (int i = 0; i < 100; i++)
		expect(c[1], "last words", 10);
	assert_int_equal(stoffelnet_connection_receive(c[1], rt, &got, &n),
			 STOFFELNET_ERR_RECEIVE);
	assert_null(got);
	assert_int_equal(stoffelnet_connection_is_connected(c[1], rt), 0);
	assert_int_equal(stoffelnet_connection_state(c[0], rt), STOFFELNET_STATE_CLOSED);
	assert_int_equal(stoffelnet_connection_send(c[0], rt, NULL, 0), STOFFELNET_ERR_SEND);
	assert_string_equal(stoffelnet_last_error(), "Cannot send: connection is Closed");
	stoffelnet_connection_destroy(c[0]);
	stoffelnet_connection_destroy(c[1]);
	stoffelnet_manager_destroy(m[1]);
}

static void only_allowed_keys_come_in(void **state)
{
	void *good = manager(1), *bad = manager(3), *m = manager(2);
	uint8_t *key;
	uint64_t who;
	size_t n;

	(void)state;
	introduce(good, m, 2);
	introduce(bad, m, 2);
	ok(stoffelnet_manager_public_key(good, &key, &n));
	ok(stoffelnet_manager_add_allowed_certificate_public_key(m, key, n));
	stoffelnet_free_bytes(key, n);
	assert_int_equal(stoffelnet_manager_connect_to_party(good, 2), 0);
	ok(stoffelnet_manager_accept_connection(m, &who));
	assert_true(who == stoffelnet_manager_derived_id(good));
	/* TLS 1.3 lets the dialler through before the other side has looked at its key. */
	if (!stoffelnet_manager_connect_to_party(bad, 2)) {
		void *c = stoffelnet_manager_get_connection(bad, 2);
		uint8_t *got;

		if (c)
			assert_int_equal(stoffelnet_connection_receive(c, rt, &got, &n),
					 STOFFELNET_ERR_RECEIVE);
		stoffelnet_connection_destroy(c);
	}
	assert_int_equal(
		stoffelnet_manager_is_party_connected(m, stoffelnet_manager_derived_id(bad)),
		0);
	ok(stoffelnet_manager_clear_allowed_certificate_public_keys(m));
	ok(stoffelnet_manager_connect_to_party(bad, 2));
	ok(stoffelnet_manager_accept_connection(m, &who));
	assert_true(who == stoffelnet_manager_derived_id(bad));
	stoffelnet_manager_destroy(bad);
	stoffelnet_manager_destroy(good);
	stoffelnet_manager_destroy(m);
}

static void a_party_talks_to_itself(void **state)
{
	void *m = manager(4), *c;

	(void)state;
	ok(stoffelnet_manager_connect_to_party(m, 4));
	c = stoffelnet_manager_get_connection(m, 4);
	assert_non_null(c);
	for (int i = 0; i < 100; i++)
		send_text(c, "to myself");
	for (int i = 0; i < 100; i++)
		expect(c, "to myself", 9);
	stoffelnet_connection_close(c, rt);
	assert_int_equal(stoffelnet_connection_send(c, rt, NULL, 0), STOFFELNET_ERR_SEND);
	stoffelnet_connection_destroy(c);
	stoffelnet_manager_destroy(m);
}

static void an_unknown_party_is_an_error(void **state)
{
	void *m = manager(1), *op;
	struct seen s;

	(void)state;
	assert_int_equal(stoffelnet_manager_connect_to_party(m, 9), STOFFELNET_ERR_CONNECTION);
	assert_string_equal(stoffelnet_last_error(), "Party 9 not found");
	seen_init(&s);
	op = stoffelnet_manager_connect_to_party_async(m, 9, on_result, &s);
	seen_wait(&s);
	assert_int_equal(s.result, STOFFELNET_ERR_CONNECTION);
	stoffelnet_async_cancel(op);
	assert_int_equal(stoffelnet_manager_set_expected_parties(NULL, 3), -1);
	stoffelnet_manager_destroy(m);
}

/* Two nodes say the same list to a client, one says another. */
static void a_client_checks_the_list_of_the_nodes(void **state)
{
	void *m[2], *c[2], *ordering;
	uint8_t frame[256] = { 11, 0, 0, 0, 1 }, *key, *got;
	size_t n, len;

	(void)state;
	pair(m, c);
	ok(stoffelnet_manager_public_key(m[0], &key, &n));
	frame[12] = (uint8_t)n;
	memcpy(frame + 20, key, n);
	ok(stoffelnet_connection_send(c[0], rt, frame, 20 + n));
	ordering = stoffelnet_verify_node_ordering(&c[1], 1, rt);
	if (!ordering)
		fail_msg("%s", stoffelnet_last_error());
	assert_int_equal(stoffelnet_ordering_node_count(ordering), 1);
	assert_int_equal(stoffelnet_ordering_client_count(ordering), 0);
	ok(stoffelnet_ordering_node_key(ordering, 0, &got, &len));
	assert_int_equal(len, n);
	assert_memory_equal(got, key, n);
	stoffelnet_free_bytes(got, len);
	stoffelnet_free_bytes(key, n);
	assert_int_equal(stoffelnet_ordering_node_key(ordering, 1, &got, &len),
			 STOFFELNET_ERR_PARTY_NOT_FOUND);
	assert_int_equal(stoffelnet_ordering_client_key(ordering, 0, &got, &len),
			 STOFFELNET_ERR_PARTY_NOT_FOUND);
	stoffelnet_ordering_destroy(ordering);
	send_text(c[0], "no list");
	assert_null(stoffelnet_verify_node_ordering(&c[1], 1, rt));
	expect(c[1], "no list", 7); /* it was not taken from the program */
	part(m, c);
}

/* Its key is the file's; and the other end may be another runtime's. */
static void an_identity_comes_from_a_file(void **state)
{
	char dir[] = "/tmp/test_ffi.XXXXXX", path[64];
	void *other = stoffelnet_runtime_new(), *m, *peer, *c;
	struct snet_identity *id;
	uint64_t who;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/key", dir);
	assert_int_equal(snet_identity_new(&id, SNET_KEY_ED25519, NULL, NULL), 0);
	assert_null(stoffelnet_manager_new_with_identity(other, "127.0.0.1:0", 1, path));
	assert_non_null(strstr(stoffelnet_last_error(), path));
	assert_int_equal(snet_identity_save(id, path, false, NULL), 0);
	m = stoffelnet_manager_new_with_identity(other, "127.0.0.1:0", 1, path);
	assert_non_null(m);
	assert_true(stoffelnet_manager_derived_id(m) == snet_identity_derived(id));
	peer = manager(2);
	introduce(m, peer, 2);
	ok(stoffelnet_manager_connect_to_party(m, 2));
	ok(stoffelnet_manager_accept_connection(peer, &who));
	assert_true(who == snet_identity_derived(id));
	c = stoffelnet_manager_get_connection(m, 2);
	send_text(c, "across");
	stoffelnet_runtime_destroy(other); /* says it all before it goes */
	stoffelnet_connection_destroy(c);
	c = stoffelnet_manager_get_connection(peer, who);
	expect(c, "across", 6);
	stoffelnet_connection_destroy(c);
	stoffelnet_manager_destroy(m);
	stoffelnet_manager_destroy(peer);
	snet_identity_free(id);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_parties_meet_all_to_all_whoever_dials),
		cmocka_unit_test(a_party_is_found_by_its_number_and_by_its_derived_id),
		cmocka_unit_test(empty_and_big_messages_arrive_whole),
		cmocka_unit_test(a_sender_waits_for_a_receiver_that_does_not_read),
		cmocka_unit_test(callbacks_bring_messages_and_may_not_wait),
		cmocka_unit_test(what_was_sent_arrives_before_the_end),
		cmocka_unit_test(only_allowed_keys_come_in),
		cmocka_unit_test(a_party_talks_to_itself),
		cmocka_unit_test(an_unknown_party_is_an_error),
		cmocka_unit_test(a_client_checks_the_list_of_the_nodes),
		cmocka_unit_test(an_identity_comes_from_a_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
