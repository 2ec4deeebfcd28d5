/* Handles of the public API from many threads: cancelled, closed and released in any order. */
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

/* ---- a thread that sends does the loop's work itself while that sleeps */

struct number {
	uint32_t thread, n;
};

struct sender {
	void *conn;
	uint32_t thread;
};

static void *send_numbers(void *arg)
{
	const struct sender *s = arg;
	struct number m = { .thread = s->thread };

	for (; m.n < EACH; m.n++)
		ok(stoffelnet_connection_send(s->conn, rt, (const uint8_t *)&m, sizeof(m)));
	return NULL;
}

/* What answers is what sends by itself. */
static void *echo(void *c)
{
	uint8_t *p;
	size_t n;

	while (!stoffelnet_connection_receive(c, rt, &p, &n)) {
		stoffelnet_connection_send(c, rt, p, n);
		stoffelnet_free_bytes(p, n);
	}
	return NULL;
}

struct answers {
	struct seen seen; /* called once: at the end, or when something is wrong */
	pthread_t thread; /* of the first callback */
	uint32_t all, next[THREADS];
	const char *wrong;
};

static void on_answer(int32_t result, const uint8_t *data, size_t len, void *user)
{
	struct answers *a = user;
	struct number m = { .thread = THREADS };

	if (a->wrong)
		return;
	if (!a->all++)
		a->thread = pthread_self();
	if (!result && len == sizeof(m))
		memcpy(&m, data, len);
	if (!pthread_equal(a->thread, pthread_self()))
		a->wrong = "a callback came from another thread";
	else if (m.thread >= THREADS || m.n != a->next[m.thread]++)
		a->wrong = "something was lost, or out of order";
	if (a->wrong || a->all == THREADS * EACH)
		on_result(result, &a->seen);
}

static void many_threads_send_and_callbacks_stay_on_the_runtimes_thread(void **state)
{
	static void *ops[THREADS * EACH];
	struct sender s[THREADS];
	pthread_t t[THREADS], other;
	struct answers a = { 0 };
	void *m[2], *c[2];

	(void)state;
	pair(m, c);
	seen_init(&a.seen);
	for (int i = 0; i < THREADS * EACH; i++)
		ops[i] = stoffelnet_connection_receive_async(c[0], rt, on_answer, &a);
	pthread_create(&other, NULL, echo, c[1]);
	for (uint32_t i = 0; i < THREADS; i++) {
		s[i] = (struct sender){ c[0], i };
		pthread_create(&t[i], NULL, send_numbers, &s[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	seen_wait(&a.seen);
	if (a.wrong)
		fail_msg("%s", a.wrong);
	for (int i = 0; i < THREADS; i++)
		assert_false(pthread_equal(a.thread, t[i]));
	assert_false(pthread_equal(a.thread, other));
	assert_false(pthread_equal(a.thread, pthread_self()));
	for (int i = 0; i < THREADS * EACH; i++)
		stoffelnet_async_cancel(ops[i]);
	stoffelnet_connection_close(c[0], rt);
	pthread_join(other, NULL);
	part(m, c);
}

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool entered, open;
	void *to_itself; /* the callback sends a message here */
};

static void gate_init(struct gate *g)
{
	*g = (struct gate){ 0 };
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
}

static void gate_set(struct gate *g, bool *what)
{
	pthread_mutex_lock(&g->lock);
	*what = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static void gate_wait(struct gate *g, const bool *what)
{
	pthread_mutex_lock(&g->lock);
	while (!*what)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void on_gate(int32_t result, const uint8_t *data, size_t len, void *user)
{
	struct gate *g = user;

	(void)result, (void)data, (void)len;
	if (g->to_itself)
		stoffelnet_async_cancel(stoffelnet_connection_send_async(
			g->to_itself, rt, (const uint8_t *)"go", 2, NULL, NULL));
	gate_set(g, &g->entered);
	gate_wait(g, &g->open);
}

/* It hands the messages over, and they go out when the loop is back. */
static void a_sender_does_not_wait_for_a_callback_that_takes_its_time(void **state)
{
	void *m[2], *c[2], *op;
	struct gate g;

	(void)state;
	pair(m, c);
	gate_init(&g);
	op = stoffelnet_connection_receive_async(c[1], rt, on_gate, &g);
	send_text(c[0], "first");
	gate_wait(&g, &g.entered);
	send_text(c[1], "an answer");
	send_text(c[0], "second");
	send_text(c[0], "third");
	gate_set(&g, &g.open);
	expect(c[0], "an answer", 9);
	expect(c[1], "second", 6);
	expect(c[1], "third", 5);
	stoffelnet_async_cancel(op);
	part(m, c);
}

static void *open_when_told(void *arg)
{
	struct gate *g = arg;

	expect(g->to_itself, "go", 2);
	gate_set(g, &g->open);
	return NULL;
}

static void a_callback_may_wait_for_a_thread_that_it_has_sent_to(void **state)
{
	void *m[2], *c[2], *op;
	struct gate g;
	pthread_t t;

	(void)state;
	pair(m, c);
	gate_init(&g);
	g.to_itself = stoffelnet_manager_get_connection(m[0], 1);
	pthread_create(&t, NULL, open_when_told, &g);
	for (int i = 0; i < 10; i++) { /* meanwhile that thread has begun to wait, most often */
		send_text(c[0], "x");
		expect(c[1], "x", 1);
	}
	op = stoffelnet_connection_receive_async(c[1], rt, on_gate, &g);
	send_text(c[0], "now");
	pthread_join(t, NULL);
	stoffelnet_async_cancel(op);
	stoffelnet_connection_destroy(g.to_itself);
	part(m, c);
}

static void *talk(void *c)
{
	uint8_t *p;
	size_t n;

	while (!stoffelnet_connection_send(c, rt, (const uint8_t *)"x", 1)) {
		if (stoffelnet_connection_receive(c, rt, &p, &n))
			break;
		stoffelnet_free_bytes(p, n);
	}
	return NULL;
}

/* A connection, a manager, a runtime. */
static void what_threads_talk_on_may_be_closed_at_any_moment(void **state)
{
	for (int round = 0; round < 30; round++) {
		void *m[2], *c[2], *two;
		pthread_t t[3];

		pair(m, c);
		two = stoffelnet_manager_get_connection(m[1], 1);
		pthread_create(&t[0], NULL, echo, c[1]);
		pthread_create(&t[1], NULL, talk, c[0]);
		pthread_create(&t[2], NULL, talk, c[0]);
		for (int i = 0; i < round; i++)
			send_text(two, "y");
		if (round % 3 == 0)
			stoffelnet_connection_close(c[round & 1], rt);
		else if (round % 3 == 1)
			stoffelnet_manager_destroy(m[round & 1]);
		else
			teardown(state);
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		for (int i = 0; i < 2; i++) {
			stoffelnet_connection_destroy(c[i]);
			if (round % 3 != 1 || i != (round & 1))
				stoffelnet_manager_destroy(m[i]);
		}
		stoffelnet_connection_destroy(two);
		if (round % 3 == 2)
			assert_int_equal(setup(state), 0);
	}
}

/* ---- what goes out so is looked after like everything else */

/* Between two managers: passes datagrams on, but swallows those that it is told to, and takes
 * its time over the others. */
struct relay {
	int fd;
	struct sockaddr_in to, from;
	atomic_int swallow, swallowed;
	atomic_uint pace; /* us, for each that is no answer */
	atomic_bool stop;
	pthread_t thread;
};

static void pass_on(struct relay *r)
{
	struct sockaddr_in who;
	socklen_t len = sizeof(who);
	uint8_t p[2048];
	ssize_t n = recvfrom(r->fd, p, sizeof(p), 0, (struct sockaddr *)&who, &len);
	bool answer = who.sin_port == r->to.sin_port;

	if (n <= 0)
		return;
	if (!answer)
		r->from = who;
	if (!answer && atomic_load(&r->swallow) > 0) {
		atomic_fetch_sub(&r->swallow, 1);
		atomic_fetch_add(&r->swallowed, 1);
		return;
	}
	if (!answer)
		usleep(atomic_load(&r->pace));
	sendto(r->fd, p, (size_t)n, 0, (struct sockaddr *)(answer ? &r->from : &r->to),
	       sizeof(who));
}

static void *relay_run(void *arg)
{
	struct relay *r = arg;
	struct pollfd p = { r->fd, POLLIN, 0 };

	while (!atomic_load(&r->stop))
		if (poll(&p, 1, 20) > 0)
			pass_on(r);
	return NULL;
}

static uint16_t relay_begin(struct relay *r, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);

	*r = (struct relay){ .to = { .sin_family = AF_INET, .sin_port = htons(port) } };
	at.sin_addr.s_addr = r->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(r->fd, (struct sockaddr *)&at, &len), 0);
	pthread_create(&r->thread, NULL, relay_run, r);
	return ntohs(at.sin_port);
}

static void relay_end(struct relay *r)
{
	atomic_store(&r->stop, true);
	pthread_join(r->thread, NULL);
	close(r->fd);
}

/* Like pair, but what the first says to the second goes through the relay. */
static void pair_over(struct relay *r, void *m[2], void *c[2])
{
	char at[32];
	uint64_t who;

	m[0] = manager(1);
	m[1] = manager(2);
	snprintf(at, sizeof(at), "127.0.0.1:%u", relay_begin(r, stoffelnet_manager_port(m[1])));
	ok(stoffelnet_manager_add_node(m[0], at, 2));
	ok(stoffelnet_manager_connect_to_party(m[0], 2));
	ok(stoffelnet_manager_accept_connection(m[1], &who));
	c[0] = stoffelnet_manager_get_connection(m[0], 2);
	c[1] = stoffelnet_manager_get_connection(m[1], who);
}

/* The runtime's thread sleeps, for seconds, for nothing is under way. What the caller sends and
 * the network loses makes it wake up in milliseconds. */
static void what_a_sleeping_runtime_did_not_send_itself_it_sends_again(void **state)
{
	void *m[2], *c[2];
	struct relay r;

	(void)state;
	pair_over(&r, m, c);
	for (int i = 0; i < 3; i++) {
		uint8_t *p;
		size_t n;

		send_text(c[1], "a question");
		expect(c[0], "a question", 10);
		/* Until what is owed for that has been said. */
		assert_int_equal(stoffelnet_connection_receive_within(c[0], rt, 200, &p, &n),
				 STOFFELNET_ERR_TIMEOUT);
		atomic_store(&r.swallow, 1);
		send_text(c[0], "an answer");
		ok(stoffelnet_connection_receive_within(c[1], rt, 4000, &p, &n));
		assert_int_equal(n, 9);
		stoffelnet_free_bytes(p, n);
		assert_int_equal(atomic_load(&r.swallowed), i + 1);
	}
	part(m, c);
	relay_end(&r);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *destroy(void *m)
{
	stoffelnet_manager_destroy(m);
	return NULL;
}

/* The path takes longer than lingering would without progress. */
static void what_is_queued_goes_out_after_the_end_as_long_as_it_moves(void **state)
{
	static uint8_t bulk[1000000];
	void *m[2], *c[2];
	struct relay r;
	pthread_t t;
	double began;

	(void)state;
	pair_over(&r, m, c);
	atomic_store(&r.pace, 10000);
	memset(bulk, 'b', sizeof(bulk));
	ok(stoffelnet_connection_send(c[0], rt, bulk, sizeof(bulk)));
	began = seconds();
	pthread_create(&t, NULL, destroy, m[0]);
	expect(c[1], bulk, sizeof(bulk));
	assert_true(seconds() - began > 4);
	pthread_join(t, NULL);
	stoffelnet_connection_destroy(c[0]);
	stoffelnet_connection_destroy(c[1]);
	stoffelnet_manager_destroy(m[1]);
	relay_end(&r);
}

static void who_takes_nothing_more_is_not_waited_for_long(void **state)
{
	void *m[2], *c[2];
	struct relay r;
	double began;

	(void)state;
	pair_over(&r, m, c);
	atomic_store(&r.swallow, INT_MAX);
	send_text(c[0], "into the void");
	began = seconds();
	stoffelnet_connection_close(c[0], rt);
	assert_true(seconds() - began > 2);
	assert_true(seconds() - began < 30);
	assert_int_equal(stoffelnet_connection_state(c[0], rt), STOFFELNET_STATE_CLOSED);
	part(m, c);
	relay_end(&r);
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
		cmocka_unit_test(many_threads_send_and_callbacks_stay_on_the_runtimes_thread),
		cmocka_unit_test(a_sender_does_not_wait_for_a_callback_that_takes_its_time),
		cmocka_unit_test(a_callback_may_wait_for_a_thread_that_it_has_sent_to),
		cmocka_unit_test(what_threads_talk_on_may_be_closed_at_any_moment),
		cmocka_unit_test(what_a_sleeping_runtime_did_not_send_itself_it_sends_again),
		cmocka_unit_test(what_is_queued_goes_out_after_the_end_as_long_as_it_moves),
		cmocka_unit_test(who_takes_nothing_more_is_not_waited_for_long),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
