/* Parties to whom no address leads: rooms of a signalling server, and candidates that the
 * program carries itself. Real servers, of the library, in a thread of their own. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ffi/parties.h"
#include "ffi/stoffelnet.h"
#include "io/loop.h"
#include "nat/stund.h"
#include "signal/server.h"

#define N 3
#define TOKEN "open.sesame"

/* ---- a signalling server */

struct server {
	struct snet_loop *loop;
	struct snet_signal_server *s;
	struct snet_addr at;
	pthread_t thread;
};

static void on_member(const struct snet_signal_peer *p, void *user)
{
	(void)p, (void)user;
}

static void on_gone(const struct snet_signal_peer *p, const struct snet_error *why, void *user)
{
	(void)p, (void)why, (void)user;
}

static void on_turned_away(const struct snet_addr *from, const struct snet_error *why,
			   void *user)
{
	(void)from, (void)why, (void)user;
}

static void on_drained(void *user)
{
	(void)user;
}

static const struct snet_signal_server_events server_events = { on_member, on_gone,
								on_turned_away, on_drained };

static void *run(void *arg)
{
	snet_loop_run(((struct server *)arg)->loop);
	return NULL;
}

static void stop(void *arg)
{
	snet_loop_stop(((struct server *)arg)->loop);
}

static void serve(struct server *s, const char *token_file)
{
	struct snet_signal_server_opts o = {
		.token_file = token_file,
		.rooms = { .max_rooms = 8,
			   .max_members = 8,
			   .per_address = 64,
			   .joins_per_minute = 1000,
			   .keep_bytes = 64 << 10,
			   .ttl = 60 * SNET_SEC },
		.max_message = 4096,
		.queue = 256 << 10,
		.timeout = 5 * SNET_SEC,
		.keep_alive = SNET_NEVER,
	};
	struct snet_error err = { 0 };

	assert_int_equal(snet_addr_parse(&o.at, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(snet_loop_new(&s->loop), SNET_OK);
	if (snet_signal_server_new(&s->s, s->loop, &o, &server_events, s, &err))
		fail_msg("%s", err.text);
	snet_signal_server_address(s->s, &s->at);
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

static void close_server(struct server *s)
{
	assert_int_equal(snet_loop_post(s->loop, stop, s), SNET_OK);
	pthread_join(s->thread, NULL);
	snet_signal_server_free(s->s);
	snet_loop_free(s->loop);
}

static struct server here;

static int begin(void **state)
{
	serve(&here, NULL);
	return setup(state);
}

static int end(void **state)
{
	teardown(state);
	close_server(&here);
	return 0;
}

/* ---- managers in rooms */

static void *traverser(uint64_t id)
{
	void *m = manager(id);

	ok(stoffelnet_manager_set_nat_traversal(m, 1));
	return m;
}

/* "ice+ws://127.0.0.1:port/room", and "#key" of whom. */
static const char *room(const struct server *s, void *whom)
{
	static _Thread_local char text[128];
	char *key = whom ? stoffelnet_manager_key_id(whom) : NULL;

	assert_true(!whom || key);
	snprintf(text, sizeof(text), "ice+ws://127.0.0.1:%u/room%s%s", snet_addr_port(&s->at),
		 key ? "#" : "", key ? key : "");
	stoffelnet_free_string(key);
	return text;
}

/* Two who know each other's keys; the second waits in the room. */
static void two_in_a_room(void *m[2])
{
	m[0] = traverser(1);
	m[1] = traverser(2);
	ok(stoffelnet_manager_add_node(m[0], room(&here, m[1]), 2));
	ok(stoffelnet_manager_add_node(m[1], room(&here, m[0]), 1));
	ok(stoffelnet_manager_join_room(m[1], room(&here, NULL), NULL));
}

static void connect_two(void *m[2], void *c[2])
{
	uint64_t who = 0;

	ok(stoffelnet_manager_connect_to_party(m[0], 2));
	ok(stoffelnet_manager_accept_connection(m[1], &who));
	assert_int_equal(who, 1);
	c[0] = stoffelnet_manager_get_connection(m[0], 2);
	c[1] = stoffelnet_manager_get_connection(m[1], 1);
	assert_non_null(c[0]);
	assert_non_null(c[1]);
}

static void talk(void *c[2])
{
	static uint8_t bulk[300000];

	for (int i = 0; i < 2; i++) {
		send_text(c[i], "hello");
		expect(c[!i], "hello", 5);
		memset(bulk, 'a' + i, sizeof(bulk));
		ok(stoffelnet_connection_send(c[i], rt, bulk, sizeof(bulk)));
		expect(c[!i], bulk, sizeof(bulk));
	}
}

static void two_who_know_each_others_keys_meet_in_a_room(void **state)
{
	void *m[2], *c[2];

	(void)state;
	two_in_a_room(m);
	ok(stoffelnet_manager_join_room(m[1], room(&here, NULL), NULL)); /* it is in already */
	connect_two(m, c);
	talk(c);
	/* A live connection is left as it is. */
	ok(stoffelnet_manager_connect_to_party(m[1], 1));
	assert_int_equal(stoffelnet_manager_is_party_connected(m[1], 1), 1);
	part(m, c);
}

static void one_that_was_closed_is_called_anew(void **state)
{
	void *m[2], *c[2];

	(void)state;
	two_in_a_room(m);
	for (int i = 0; i < 3; i++) {
		connect_two(m, c);
		talk(c);
		stoffelnet_connection_close(c[0], rt);
		assert_int_equal(stoffelnet_manager_is_party_connected(m[0], 2), 0);
		while (stoffelnet_manager_is_party_connected(m[1], 1))
			usleep(1000);
		stoffelnet_connection_destroy(c[0]);
		stoffelnet_connection_destroy(c[1]);
	}
	stoffelnet_manager_destroy(m[0]);
	stoffelnet_manager_destroy(m[1]);
}

static void what_was_sent_before_the_end_arrives(void **state)
{
	static uint8_t bulk[2000000];
	void *m[2], *c[2];
	uint8_t *p;
	size_t n;

	(void)state;
	two_in_a_room(m);
	connect_two(m, c);
	memset(bulk, 'z', sizeof(bulk));
	ok(stoffelnet_connection_send(c[0], rt, bulk, sizeof(bulk)));
	send_text(c[0], "last words");
	stoffelnet_connection_destroy(c[0]);
	stoffelnet_manager_destroy(m[0]);
	expect(c[1], bulk, sizeof(bulk));
	expect(c[1], "last words", 10);
	assert_int_equal(stoffelnet_connection_receive(c[1], rt, &p, &n),
			 STOFFELNET_ERR_RECEIVE);
	stoffelnet_connection_destroy(c[1]);
	stoffelnet_manager_destroy(m[1]);
}

/* Nobody has joined before: whoever calls does. Of the two connections of a pair one goes. */
static void all_call_all_at_once_and_agree(void **state)
{
	void *m[N], *op[N][N] = { 0 };

	(void)state;
	for (int i = 0; i < N; i++) {
		m[i] = traverser((uint64_t)i);
		ok(stoffelnet_manager_set_expected_parties(m[i], N));
	}
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			if (i != j)
				ok(stoffelnet_manager_add_node(m[i], room(&here, m[j]),
							       (uint64_t)j));
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			if (i != j)
				op[i][j] = stoffelnet_manager_connect_to_party_async(
					m[i], (uint64_t)j, NULL, NULL);
	for (int i = 0; i < N; i++) {
		size_t count;

		ok(stoffelnet_manager_broadcast(m[i], (const uint8_t *)"once", 4, &count));
		assert_int_equal(count, N);
	}
	for (int i = 0; i < N; i++) {
		unsigned heard = 0;

		for (int j = 0; j < N; j++) {
			uint64_t who = N;
			uint8_t *p;
			size_t n;

			ok(stoffelnet_manager_receive_from_any_party(m[i], -1, &who, &p, &n));
			assert_int_equal(n, 4);
			stoffelnet_free_bytes(p, n);
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

/* Without a key in the address it is whoever answers; the node is that party from then on. */
static void without_a_key_it_is_whoever_answers(void **state)
{
	void *m[2] = { traverser(1), traverser(2) }, *c;
	uint64_t who;

	(void)state;
	ok(stoffelnet_manager_join_room(m[1], room(&here, NULL), NULL));
	ok(stoffelnet_manager_add_node(m[0], room(&here, NULL), 2));
	ok(stoffelnet_manager_connect_to_party(m[0], 2));
	ok(stoffelnet_manager_accept_connection(m[1], &who));
	assert_true(who == stoffelnet_manager_derived_id(m[0]));
	c = stoffelnet_manager_get_connection(m[0], 2);
	assert_non_null(c);
	stoffelnet_connection_destroy(c);
	for (int i = 0; i < 2; i++)
		stoffelnet_manager_destroy(m[i]);
}

static void a_client_calls_and_is_not_called(void **state)
{
	void *m = traverser(1), *client = stoffelnet_manager_new_client(rt, "127.0.0.1:0", 7),
	     *c, *op, *third = traverser(3);
	uint64_t who, id = stoffelnet_manager_derived_id(client);
	int32_t result;

	(void)state;
	ok(stoffelnet_manager_set_nat_traversal(client, 1));
	ok(stoffelnet_manager_join_room(m, room(&here, NULL), NULL));
	ok(stoffelnet_manager_join_room(client, room(&here, NULL), NULL));
	ok(stoffelnet_manager_add_node(third, room(&here, client), 7));
	op = stoffelnet_manager_connect_to_party_async(third, 7, NULL, NULL);
	ok(stoffelnet_manager_add_node(client, room(&here, m), 1));
	ok(stoffelnet_manager_connect_to_party(client, 1));
	ok(stoffelnet_manager_accept_connection(m, &who));
	assert_true(who == id);
	ok(stoffelnet_manager_send_to_client(m, id, (const uint8_t *)"welcome", 7));
	c = stoffelnet_manager_get_connection(client, 1);
	expect(c, "welcome", 7);
	assert_int_equal(stoffelnet_async_result(op, &result), 0);
	stoffelnet_connection_destroy(c);
	stoffelnet_manager_destroy(client);
	stoffelnet_manager_destroy(third);
	stoffelnet_async_cancel(op);
	stoffelnet_manager_destroy(m);
}

static void whoever_is_not_allowed_is_not_answered(void **state)
{
	void *m[2], *stranger = traverser(3), *op;
	int32_t result;
	uint8_t *key;
	uint64_t who;
	size_t n;

	(void)state;
	two_in_a_room(m);
	ok(stoffelnet_manager_public_key(m[0], &key, &n));
	ok(stoffelnet_manager_add_allowed_certificate_public_key(m[1], key, n));
	stoffelnet_free_bytes(key, n);
	ok(stoffelnet_manager_add_node(stranger, room(&here, m[1]), 2));
	ok(stoffelnet_manager_join_room(stranger, room(&here, NULL), NULL));
	op = stoffelnet_manager_connect_to_party_async(stranger, 2, NULL, NULL);
	ok(stoffelnet_manager_connect_to_party(m[0], 2)); /* said after the stranger */
	ok(stoffelnet_manager_accept_connection(m[1], &who));
	assert_int_equal(who, 1);
	assert_int_equal(stoffelnet_async_result(op, &result), 0);
	assert_int_equal(stoffelnet_manager_is_party_connected(stranger, 2), 0);
	stoffelnet_async_cancel(op);
	stoffelnet_manager_destroy(stranger);
	for (int i = 0; i < 2; i++)
		stoffelnet_manager_destroy(m[i]);
}

/* ---- on and off, in and out */

static void assert_fails(int32_t rc, int32_t code, const char *words)
{
	assert_int_equal(rc, code);
	if (!strstr(stoffelnet_last_error(), words))
		fail_msg("%s", stoffelnet_last_error());
}

static void nothing_happens_while_it_is_off(void **state)
{
	void *m = manager(1);
	uint8_t *p;
	size_t n;

	(void)state;
	ok(stoffelnet_manager_set_nat_traversal(m, 0));
	assert_fails(stoffelnet_manager_join_room(m, room(&here, NULL), NULL),
		     STOFFELNET_ERR_CONNECTION, "NAT traversal is switched off");
	assert_fails(stoffelnet_manager_create_ice_candidates_message(m, 2, &p, &n),
		     STOFFELNET_ERR_CONNECTION, "NAT traversal is switched off");
	ok(stoffelnet_manager_add_node(m, room(&here, NULL), 2));
	assert_fails(stoffelnet_manager_connect_to_party(m, 2), STOFFELNET_ERR_CONNECTION,
		     "NAT traversal is switched off");
	stoffelnet_manager_destroy(m);
}

static void switching_it_off_leaves_and_closes(void **state)
{
	void *m[2], *c[2], *op;
	int32_t result = 0;

	(void)state;
	two_in_a_room(m);
	connect_two(m, c);
	ok(stoffelnet_manager_add_node(m[1], room(&here, m[1]), 9)); /* never answers */
	op = stoffelnet_manager_connect_to_party_async(m[1], 9, NULL, NULL);
	ok(stoffelnet_manager_set_nat_traversal(m[1], 0));
	while (!stoffelnet_async_result(op, &result))
		usleep(1000);
	assert_int_equal(result, STOFFELNET_ERR_CONNECTION);
	stoffelnet_async_cancel(op);
	assert_int_equal(stoffelnet_connection_is_connected(c[1], rt), 0);
	while (stoffelnet_connection_is_connected(c[0], rt))
		usleep(1000);
	for (int i = 0; i < 2; i++)
		stoffelnet_connection_destroy(c[i]);
	/* And on again. */
	ok(stoffelnet_manager_set_nat_traversal(m[1], 1));
	ok(stoffelnet_manager_join_room(m[1], room(&here, NULL), NULL));
	connect_two(m, c);
	talk(c);
	part(m, c);
}

static void whoever_has_no_token_is_told_so(void **state)
{
	char file[] = "/tmp/snet-test-tokens-XXXXXX";
	int fd = mkstemp(file);
	struct server there;
	void *m = traverser(1);

	(void)state;
	assert_int_equal(write(fd, TOKEN "\n", sizeof(TOKEN)), sizeof(TOKEN));
	close(fd);
	serve(&there, file);
	unlink(file);
	assert_fails(stoffelnet_manager_join_room(m, room(&there, NULL), NULL),
		     STOFFELNET_ERR_CONNECTION, "token");
	assert_fails(stoffelnet_manager_join_room(m, room(&there, NULL), "another"),
		     STOFFELNET_ERR_CONNECTION, "token");
	ok(stoffelnet_manager_add_node(m, room(&there, NULL), 2));
	assert_fails(stoffelnet_manager_connect_to_party(m, 2), STOFFELNET_ERR_CONNECTION,
		     "token");
	ok(stoffelnet_manager_join_room(m, room(&there, NULL), TOKEN));
	assert_fails(stoffelnet_manager_join_room(m, room(&there, NULL), "no token"),
		     STOFFELNET_ERR_RUNTIME, "token");
	stoffelnet_manager_destroy(m);
	close_server(&there);
}

static void *join_nobody(void *m)
{
	return (void *)(intptr_t)stoffelnet_manager_join_room(m, "ice+ws://127.0.0.1:1/room",
							      NULL);
}

/* Nobody serves at port 1: a join is tried again and again. */
static void the_end_of_a_manager_ends_who_joins_and_calls(void **state)
{
	void *other = stoffelnet_runtime_new(), *m, *op, *result;
	struct seen s;
	pthread_t t;

	(void)state;
	seen_init(&s);
	m = stoffelnet_manager_new(other, "127.0.0.1:0", 1);
	ok(stoffelnet_manager_set_nat_traversal(m, 1));
	ok(stoffelnet_manager_add_node(m, room(&here, m), 2));
	ok(stoffelnet_manager_join_room(m, room(&here, NULL), NULL));
	op = stoffelnet_manager_connect_to_party_async(m, 2, on_result, &s);
	pthread_create(&t, NULL, join_nobody, m);
	stoffelnet_runtime_destroy(other);
	pthread_join(t, &result);
	assert_true((intptr_t)result < 0);
	seen_wait(&s);
	assert_int_equal(s.result, STOFFELNET_ERR_CONNECTION);
	stoffelnet_async_cancel(op);
	stoffelnet_manager_destroy(m);
}

/* ---- candidates that the program carries */

struct letter {
	uint8_t *p;
	size_t n;
};

static struct letter letter(void *m, uint64_t to)
{
	struct letter l;

	ok(stoffelnet_manager_create_ice_candidates_message(m, to, &l.p, &l.n));
	assert_true(l.n > 30);
	assert_memory_equal(l.p, "\2\0\0\0", 4); /* IceCandidates */
	return l;
}

/* By a third party that both are connected to, by messages. */
static void deliver(void *from, void *by[2], void *to, uint64_t whom, uint64_t whose)
{
	struct letter l = letter(from, whom), got;

	ok(stoffelnet_connection_send(by[0], rt, l.p, l.n));
	ok(stoffelnet_connection_receive(by[1], rt, &got.p, &got.n));
	assert_int_equal(got.n, l.n);
	ok(stoffelnet_manager_process_ice_candidates_message(to, whose, got.p, got.n));
	stoffelnet_free_bytes(l.p, l.n);
	stoffelnet_free_bytes(got.p, got.n);
}

static void candidates_may_cross_any_connection_there_is(void **state)
{
	void *m[2], *c[2], *by[2], *way[2];

	(void)state;
	pair(way, by); /* others, that know nothing of all this */
	m[0] = traverser(1);
	m[1] = traverser(2);
	deliver(m[0], by, m[1], 2, 1);
	deliver(m[1], (void *[]){ by[1], by[0] }, m[0], 1, 2);
	connect_two(m, c);
	talk(c);
	/* As long as the path is there one may connect again. */
	stoffelnet_connection_close(c[0], rt);
	while (stoffelnet_manager_is_party_connected(m[1], 1))
		usleep(1000);
	for (int i = 0; i < 2; i++)
		stoffelnet_connection_destroy(c[i]);
	connect_two(m, c);
	talk(c);
	part(m, c);
	part(way, by);
}

/* In a callback, where the message may well have come. */
struct postman {
	struct seen s;
	void *m;
	int32_t heard, made, joined, off;
};

static void on_letter(int32_t result, const uint8_t *data, size_t len, void *user)
{
	struct postman *p = user;
	struct letter l;

	p->heard = stoffelnet_manager_process_ice_candidates_message(p->m, 1, data, len);
	p->made = stoffelnet_manager_create_ice_candidates_message(p->m, 1, &l.p, &l.n);
	p->joined = stoffelnet_manager_join_room(p->m, room(&here, NULL), NULL);
	p->off = stoffelnet_manager_set_nat_traversal(p->m, 0);
	on_data(result, NULL, 0, &p->s);
}

static void a_callback_may_hear_and_leave_but_not_wait(void **state)
{
	void *m[2] = { traverser(1), traverser(2) }, *way[2], *by[2], *op;
	struct postman p = { .m = m[1] };
	struct letter l;

	(void)state;
	seen_init(&p.s);
	pair(way, by);
	ok(stoffelnet_manager_join_room(m[1], room(&here, NULL), NULL));
	l = letter(m[0], 2);
	op = stoffelnet_connection_receive_async(by[1], rt, on_letter, &p);
	ok(stoffelnet_connection_send(by[0], rt, l.p, l.n));
	seen_wait(&p.s);
	assert_int_equal(p.heard, STOFFELNET_OK);
	assert_int_equal(p.made, STOFFELNET_ERR_RUNTIME);
	assert_int_equal(p.joined, STOFFELNET_ERR_RUNTIME);
	assert_int_equal(p.off, STOFFELNET_OK);
	stoffelnet_async_cancel(op);
	stoffelnet_free_bytes(l.p, l.n);
	part(way, by);
	for (int i = 0; i < 2; i++)
		stoffelnet_manager_destroy(m[i]);
}

/* The same ids of both sides, so that both think they control; and both dial. */
static void two_that_think_alike_sort_it_out(void **state)
{
	void *m[2] = { traverser(9), traverser(9) }, *op[2], *c[2];
	struct letter l[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		l[i] = letter(m[i], 2);
	for (int i = 0; i < 2; i++)
		op[i] = stoffelnet_manager_connect_to_party_async(m[i], 2, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		ok(stoffelnet_manager_process_ice_candidates_message(m[i], 2, l[!i].p,
								     l[!i].n));
		stoffelnet_free_bytes(l[!i].p, l[!i].n);
	}
	for (int i = 0; i < 2; i++) {
		int32_t result;

		while (!stoffelnet_async_result(op[i], &result))
			usleep(1000);
		assert_int_equal(result, STOFFELNET_OK);
		stoffelnet_async_cancel(op[i]);
		c[i] = stoffelnet_manager_get_connection(m[i], 2);
		assert_non_null(c[i]);
	}
	talk(c);
	part(m, c);
}

static void what_is_no_message_of_candidates_is_refused(void **state)
{
	void *m = traverser(1);
	struct letter l = letter(m, 2), again;

	(void)state;
	assert_fails(stoffelnet_manager_process_ice_candidates_message(
			     m, 3, (const uint8_t *)"nonsense", 8),
		     STOFFELNET_ERR_CONNECTION, "not an envelope");
	assert_fails(stoffelnet_manager_connect_to_party(m, 3), STOFFELNET_ERR_CONNECTION,
		     "Party 3 not found");
	assert_fails(stoffelnet_manager_process_ice_candidates_message(m, 2, l.p, l.n - 1),
		     STOFFELNET_ERR_CONNECTION, "not an envelope");
	/* Asked again it says the same; for another party, something else. */
	again = letter(m, 2);
	assert_int_equal(again.n, l.n);
	assert_memory_equal(again.p, l.p, l.n);
	stoffelnet_free_bytes(again.p, again.n);
	again = letter(m, 4);
	assert_true(again.n != l.n || memcmp(again.p, l.p, l.n) != 0);
	stoffelnet_free_bytes(again.p, again.n);
	stoffelnet_free_bytes(l.p, l.n);
	assert_int_equal(stoffelnet_manager_process_ice_candidates_message(m, 2, NULL, 0),
			 STOFFELNET_ERR_NULL_POINTER);
	assert_int_equal(stoffelnet_manager_process_ice_candidates_message(NULL, 2, NULL, 0),
			 STOFFELNET_ERR_NULL_POINTER);
	assert_int_equal(stoffelnet_manager_create_ice_candidates_message(m, 2, NULL, &l.n),
			 STOFFELNET_ERR_NULL_POINTER);
	stoffelnet_manager_destroy(m);
}

/* ---- servers */

/* Answers until an empty datagram comes, and says of everyone what a NAT would have it see. */
static void *answer_stun(void *arg)
{
	struct snet_stund d = { .n = 1 };
	int fd = *(int *)arg;
	socklen_t own = sizeof(d.at[0]);

	getsockname(fd, &d.at[0].sa, &own);
	for (;;) {
		struct snet_addr from = { 0 }, seen;
		struct snet_stund_answer out;
		socklen_t len = sizeof(from);
		uint8_t p[2048];
		ssize_t n = recvfrom(fd, p, sizeof(p), 0, &from.sa, &len);

		if (n <= 0)
			return NULL;
		seen = from;
		seen.in.sin_addr.s_addr = htonl(0xcb007107); /* 203.0.113.7 */
		if (snet_stund_take(&d, 0, &seen, p, (size_t)n, &out))
			sendto(fd, out.p, out.n, 0, &from.sa, len);
	}
}

static void what_stun_servers_say_is_told(void **state)
{
	static const uint8_t mapped[] = { 0, 0, 0, 0, 203, 0, 113, 7 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(struct sockaddr_in);
	char text[SNET_ADDR_TEXT];
	void *m = traverser(1);
	struct snet_addr at;
	struct letter l;
	pthread_t t;

	(void)state;
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(bind(fd, &at.sa, len), 0);
	assert_int_equal(getsockname(fd, &at.sa, &len), 0);
	assert_int_equal(pthread_create(&t, NULL, answer_stun, &fd), 0);
	l = letter(m, 2);
	assert_null(memmem(l.p, l.n, mapped, sizeof(mapped)));
	stoffelnet_free_bytes(l.p, l.n);
	ok(stoffelnet_manager_add_stun_server(m, snet_addr_print(&at, text)));
	l = letter(m, 3); /* begun after that */
	assert_non_null(memmem(l.p, l.n, mapped, sizeof(mapped)));
	stoffelnet_free_bytes(l.p, l.n);
	stoffelnet_manager_destroy(m);
	assert_int_equal(sendto(fd, "", 0, 0, &at.sa, len), 0);
	pthread_join(t, NULL);
	close(fd);
}

/* Nobody answers at port 1: what there is goes out without it. */
static void a_silent_server_is_not_waited_for_long(void **state)
{
	void *m = traverser(1);
	struct letter l;

	(void)state;
	ok(stoffelnet_manager_add_stun_server(m, "127.0.0.1:1"));
	ok(stoffelnet_manager_add_turn_server(m, "turn:127.0.0.1:1?transport=udp", "u", "p"));
	l = letter(m, 2);
	stoffelnet_free_bytes(l.p, l.n);
	stoffelnet_manager_destroy(m);
}

static void a_party_may_get_an_address_after_candidates_were_exchanged(void **state)
{
	void *m[2] = { traverser(1), manager(2) }, *c;
	struct letter l = letter(m[0], 2);

	(void)state;
	stoffelnet_free_bytes(l.p, l.n);
	introduce(m[0], m[1], 2);
	ok(stoffelnet_manager_set_nat_traversal(m[0], 0)); /* the exchange has ended */
	ok(stoffelnet_manager_connect_to_party(m[0], 2));
	c = stoffelnet_manager_get_connection(m[0], 2);
	assert_non_null(c);
	stoffelnet_connection_destroy(c);
	for (int i = 0; i < 2; i++)
		stoffelnet_manager_destroy(m[i]);
}

/* ---- everything at once */

struct crowd {
	void *m;
	atomic_bool stop;
	atomic_uint turns;
};

static void *switches(void *arg)
{
	struct crowd *c = arg;

	for (; !atomic_load(&c->stop); atomic_fetch_add(&c->turns, 1)) {
		stoffelnet_manager_set_nat_traversal(c->m, 0);
		stoffelnet_manager_set_nat_traversal(c->m, 1);
		usleep(3000); /* for the others to get somewhere */
	}
	return NULL;
}

static void *joins(void *arg)
{
	struct crowd *c = arg;

	for (; !atomic_load(&c->stop); atomic_fetch_add(&c->turns, 1))
		stoffelnet_manager_join_room(c->m, room(&here, NULL), NULL);
	return NULL;
}

static void *writes(void *arg)
{
	struct crowd *c = arg;
	uint64_t to = 100;
	uint8_t *p;
	size_t n;

	for (; !atomic_load(&c->stop); atomic_fetch_add(&c->turns, 1)) {
		if (stoffelnet_manager_create_ice_candidates_message(c->m, to + to % 3, &p, &n))
			continue;
		stoffelnet_manager_process_ice_candidates_message(c->m, to++ % 5, p, n);
		stoffelnet_free_bytes(p, n);
	}
	return NULL;
}

static void *calls(void *arg)
{
	struct crowd *c = arg;
	StoffelStats stats;

	for (; !atomic_load(&c->stop); atomic_fetch_add(&c->turns, 1)) {
		void *op = stoffelnet_manager_connect_to_party_async(c->m, 2, NULL, NULL);
		void *other = stoffelnet_manager_connect_to_party_async(c->m, 103, NULL, NULL);

		stoffelnet_manager_stats(c->m, &stats, sizeof(stats));
		stoffelnet_async_cancel(other);
		stoffelnet_async_cancel(op);
	}
	return NULL;
}

/* Whoever waits is told; nothing is used after its end; no two threads wait for each other. */
static void all_at_once_and_the_end_in_the_middle_of_it(void **state)
{
	static void *(*const all[])(void *) = { switches, joins, writes, calls };
	struct crowd c = { 0 };
	pthread_t t[4];
	void *own = stoffelnet_runtime_new();

	(void)state;
	c.m = stoffelnet_manager_new(own, "127.0.0.1:0", 1);
	assert_non_null(c.m);
	ok(stoffelnet_manager_add_node(c.m, room(&here, c.m), 2)); /* never answers */
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, all[i], &c), 0);
	while (atomic_load(&c.turns) < 100)
		usleep(1000);
	stoffelnet_runtime_destroy(own);
	atomic_store(&c.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	stoffelnet_manager_destroy(c.m);
}

static void addresses_are_looked_at(void **state)
{
	/* clang-format off */
	static const char *const stun[] = { "somewhere", "", "host", "host:0", "host:99999", ":3478",
					    "stun://host:1", "host:1/room", "host:1#key" };
	static const char *const turn[] = { "host:1", "turn:host", "turn://host:1", "turn:host:1?transport=sctp",
					    "turns:host:1?transport=udp", "turn:", "turn:host:1/x" };
	static const char *const rooms[] = { "quic://127.0.0.1:1", "ice+ws://127.0.0.1:1", "ice+ws://127.0.0.1/room",
					     "127.0.0.1:1", "", "ice+ws://127.0.0.1:1/room#short",
					     "ice+ws://127.0.0.1:0/room", "ice+ws://:1/room" };
	/* clang-format on */
	void *m = traverser(1);

	(void)state;
	for (size_t i = 0; i < sizeof(stun) / sizeof(stun[0]); i++)
		assert_int_equal(stoffelnet_manager_add_stun_server(m, stun[i]),
				 STOFFELNET_ERR_INVALID_ADDRESS);
	for (size_t i = 0; i < sizeof(turn) / sizeof(turn[0]); i++)
		assert_int_equal(stoffelnet_manager_add_turn_server(m, turn[i], "u", "p"),
				 STOFFELNET_ERR_INVALID_ADDRESS);
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		assert_int_equal(stoffelnet_manager_join_room(m, rooms[i], NULL),
				 STOFFELNET_ERR_INVALID_ADDRESS);
		if (!strncmp(rooms[i], "ice+", 4))
			assert_int_equal(stoffelnet_manager_add_node(m, rooms[i], 5),
					 STOFFELNET_ERR_INVALID_ADDRESS);
	}
	assert_int_equal(stoffelnet_manager_join_room(m, "ice+ws://\xff:1/room", NULL),
			 STOFFELNET_ERR_INVALID_UTF8);
	assert_int_equal(stoffelnet_manager_join_room(m, NULL, NULL),
			 STOFFELNET_ERR_NULL_POINTER);
	assert_int_equal(stoffelnet_manager_join_room(NULL, "", NULL),
			 STOFFELNET_ERR_NULL_POINTER);
	assert_int_equal(stoffelnet_manager_add_turn_server(m, "turn:host:1", NULL, "p"),
			 STOFFELNET_ERR_NULL_POINTER);
	assert_int_equal(stoffelnet_manager_add_turn_server(m, "turn:host:1", "", "p"),
			 STOFFELNET_ERR_RUNTIME);
	assert_int_equal(stoffelnet_manager_set_nat_traversal(NULL, 1),
			 STOFFELNET_ERR_NULL_POINTER);
	assert_null(stoffelnet_manager_key_id(NULL));
	ok(stoffelnet_manager_add_stun_server(m, "[::1]:3478"));
	ok(stoffelnet_manager_add_stun_server(m, "stun.example.org:3478"));
	ok(stoffelnet_manager_add_turn_server(m, "turn:host:1", "u", "p"));
	ok(stoffelnet_manager_add_turn_server(m, "turn:host:1?transport=tcp", "u", "p"));
	ok(stoffelnet_manager_add_turn_server(m, "turns:host:1?transport=tcp", "u", "p"));
	for (int i = 0; i < 3; i++)
		ok(stoffelnet_manager_add_stun_server(m, "host:1"));
	assert_fails(stoffelnet_manager_add_stun_server(m, "host:1"), STOFFELNET_ERR_RUNTIME,
		     "more than 8 servers");
	assert_int_equal(stoffelnet_manager_add_turn_server(m, "turn:host:1", "u", "p"),
			 STOFFELNET_ERR_RUNTIME);
	stoffelnet_manager_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_who_know_each_others_keys_meet_in_a_room),
		cmocka_unit_test(one_that_was_closed_is_called_anew),
		cmocka_unit_test(what_was_sent_before_the_end_arrives),
		cmocka_unit_test(all_call_all_at_once_and_agree),
		cmocka_unit_test(without_a_key_it_is_whoever_answers),
		cmocka_unit_test(a_client_calls_and_is_not_called),
		cmocka_unit_test(whoever_is_not_allowed_is_not_answered),
		cmocka_unit_test(nothing_happens_while_it_is_off),
		cmocka_unit_test(switching_it_off_leaves_and_closes),
		cmocka_unit_test(whoever_has_no_token_is_told_so),
		cmocka_unit_test(the_end_of_a_manager_ends_who_joins_and_calls),
		cmocka_unit_test(candidates_may_cross_any_connection_there_is),
		cmocka_unit_test(a_callback_may_hear_and_leave_but_not_wait),
		cmocka_unit_test(two_that_think_alike_sort_it_out),
		cmocka_unit_test(what_is_no_message_of_candidates_is_refused),
		cmocka_unit_test(what_stun_servers_say_is_told),
		cmocka_unit_test(a_silent_server_is_not_waited_for_long),
		cmocka_unit_test(a_party_may_get_an_address_after_candidates_were_exchanged),
		cmocka_unit_test(all_at_once_and_the_end_in_the_middle_of_it),
		cmocka_unit_test(addresses_are_looked_at),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
