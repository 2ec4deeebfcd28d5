/* io/dgram: sockets of one hub on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/dgram.h"
#include "io/loop.h"
#include "support/torture.h"

#define PATIENCE (20 * SNET_SEC)
#define MOST 256 /* datagrams of a test */
#define PAYLOAD 64

/* What came to one socket, each datagram by itself: its length, and the number it begins with.
 */
struct end {
	struct snet_dgram *d;
	struct snet_addr at;
	unsigned n;
	size_t len[MOST];
	uint8_t number[MOST];
	struct snet_addr from[MOST], to[MOST];
	bool close_it; /* with the first train */
};

static struct snet_loop *loop;
static struct snet_dgram_hub *hub;
static struct end ends[3];
static unsigned want, batches;
static uint8_t bytes[MOST][PAYLOAD];

static void on_train(struct snet_dgram *d, const struct snet_path *path, uint8_t ecn,
		     uint8_t *p, size_t n, size_t segment, void *user)
{
	struct end *e = user;

	(void)ecn;
	assert_ptr_equal(d, e->d);
	assert_true(segment <= n && (segment || !n));
	do {
		size_t k = n < segment ? n : segment;

		assert_true(e->n < MOST);
		e->len[e->n] = k;
		e->number[e->n] = k ? p[0] : 0;
		e->from[e->n] = path->remote;
		e->to[e->n++] = path->local;
		p += k;
		n -= k;
	} while (n);
	if (e->close_it) {
		snet_dgram_close(e->d);
		e->d = NULL;
	}
}

static void on_batch(void *user)
{
	unsigned n = 0;

	assert_ptr_equal(user, &loop);
	batches++;
	for (size_t i = 0; i < 3; i++)
		n += ends[i].n;
	if (n >= want)
		snet_loop_stop(loop);
}

static const struct snet_dgram_events events = { on_train, on_batch };

static void on_patience(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("it did not arrive in time: %u, %u and %u of %u", ends[0].n, ends[1].n,
		 ends[2].n, want);
}

static void run_until(unsigned n)
{
	struct snet_timer t = { .fn = on_patience };

	want = n;
	assert_int_equal(snet_timer_set(loop, &t, snet_now() + PATIENCE), SNET_OK);
	snet_loop_run(loop);
	snet_timer_stop(loop, &t);
}

static int open_at(struct end *e, const char *at)
{
	struct snet_error err = { 0 };
	struct snet_addr addr;
	int rc;

	memset(e, 0, sizeof(*e));
	assert_int_equal(snet_addr_parse(&addr, at), SNET_OK);
	rc = snet_dgram_open(&e->d, hub, &addr, e, &err);
	if (!rc)
		snet_dgram_address(e->d, &e->at);
	return rc;
}

static int begin(void **s)
{
	(void)s;
	memset(ends, 0, sizeof(ends));
	want = batches = 0;
	for (unsigned i = 0; i < MOST; i++)
		memset(bytes[i], (int)i, PAYLOAD);
	if (snet_loop_new(&loop))
		return -1;
	return snet_dgram_hub_new(&hub, loop, &events, &loop);
}

static int end(void **s)
{
	(void)s;
	for (size_t i = 0; i < 3; i++) {
		snet_dgram_close(ends[i].d);
		ends[i].d = NULL;
	}
	snet_dgram_hub_free(hub);
	snet_loop_free(loop);
	return 0;
}

/* The ith of a batch, to one of two, in another length each few. */
static struct snet_dgram_out nth(unsigned i)
{
	const struct end *to = &ends[1 + i / 5 % 2];

	return (struct snet_dgram_out){ .via = ends[0].d,
					.path = { .remote = to->at },
					.p = bytes[i],
					.n = 1 + i / 3 % 4 * 20 };
}

/* All that nth gave have come, in order, as they were. */
static void check(unsigned total)
{
	unsigned seen[3] = { 0 };

	for (unsigned i = 0; i < total; i++) {
		const struct end *e = &ends[1 + i / 5 % 2];
		unsigned k = seen[e - ends]++;

		assert_true(k < e->n);
		assert_int_equal(e->number[k], i);
		assert_int_equal(e->len[k], 1 + i / 3 % 4 * 20);
		assert_true(snet_addr_eq(&e->from[k], &ends[0].at));
		assert_true(snet_addr_eq(&e->to[k], &e->at));
	}
	assert_int_equal(seen[1], ends[1].n);
	assert_int_equal(seen[2], ends[2].n);
}

static void send_all(unsigned total)
{
	struct snet_dgram_out v[SNET_DGRAM_BATCH];

	for (unsigned i = 0; i < total;) {
		unsigned k = 0;

		while (i < total && k < SNET_DGRAM_BATCH)
			v[k++] = nth(i++);
		assert_int_equal(snet_dgram_send(v, k), 0);
	}
}

/* More than are received at once, twice: the room they come into is used again. */
static void batches_of_mixed_trains_arrive_as_they_were_sent(void **s)
{
	(void)s;
	assert_int_equal(open_at(&ends[0], "127.0.0.1:0"), SNET_OK);
	assert_int_equal(open_at(&ends[1], "127.0.0.1:0"), SNET_OK);
	assert_int_equal(open_at(&ends[2], "127.0.0.2:0"), SNET_OK);
	send_all(MOST);
	run_until(MOST);
	check(MOST);
	assert_true(batches >= 2);
	ends[1].n = ends[2].n = 0;
	send_all(MOST);
	run_until(MOST);
	check(MOST);
}

static void addresses_of_both_lengths_share_the_room(void **s)
{
	struct snet_dgram_out out = { .p = bytes[7], .n = 3 };

	(void)s;
	if (open_at(&ends[1], "[::1]:0"))
		skip();
	assert_int_equal(open_at(&ends[0], "127.0.0.1:0"), SNET_OK);
	for (unsigned round = 0; round < 4; round++) {
		struct end *e = &ends[round % 2];

		out.via = e->d;
		out.path.remote = e->at;
		assert_int_equal(snet_dgram_send(&out, 1), 0);
		run_until(round + 1);
		assert_true(snet_addr_eq(&e->from[e->n - 1], &e->at));
		assert_int_equal(e->len[e->n - 1], 3);
	}
}

static void a_datagram_of_no_bytes_is_one(void **s)
{
	struct snet_dgram_out out = { .p = bytes[0], .n = 0 };

	(void)s;
	assert_int_equal(open_at(&ends[0], "127.0.0.1:0"), SNET_OK);
	out.via = ends[0].d;
	out.path.remote = ends[0].at;
	assert_int_equal(snet_dgram_send(&out, 1), 0);
	run_until(1);
	assert_int_equal(ends[0].len[0], 0);
}

static void a_socket_may_be_closed_by_what_it_hears(void **s)
{
	(void)s;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(open_at(&ends[i], "127.0.0.1:0"), SNET_OK);
	ends[1].close_it = true;
	send_all(20);
	run_until(11); /* one to whom is closed then, ten to the other */
	assert_null(ends[1].d);
	assert_int_equal(ends[2].n, 10);
}

/* Either both may have the port, or an IPv6 socket at every address has taken it for both. */
static void with_v6_only_the_families_are_apart(void **s)
{
	char at[32];

	(void)s;
	if (open_at(&ends[0], "[::]:0"))
		skip();
	snprintf(at, sizeof(at), "0.0.0.0:%u", snet_addr_port(&ends[0].at));
	assert_int_equal(open_at(&ends[1], at), SNET_EBIND);
	snet_dgram_close(ends[0].d);
	snet_dgram_hub_set_v6_only(hub);
	assert_int_equal(open_at(&ends[0], "[::]:0"), SNET_OK);
	snprintf(at, sizeof(at), "0.0.0.0:%u", snet_addr_port(&ends[0].at));
	assert_int_equal(open_at(&ends[1], at), SNET_OK);
}

/* ---- a sandbox, in a process of its own */

static bool forbid(int syscall_a, int syscall_b)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)syscall_a, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)syscall_b, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void without_calls_for_many_one_at_a_time_does(void **s)
{
	enum { NO_SANDBOX = 77 };
	int status = 0;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct mmsghdr none = { 0 };

		alarm(60); /* it is nobody's child if the test is ended */
		assert_int_equal(end(s) || begin(s), 0); /* with a loop of its own */
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(open_at(&ends[i], "127.0.0.1:0"), SNET_OK);
		if (!forbid(SYS_recvmmsg, SYS_sendmmsg) ||
		    recvmmsg(-1, &none, 1, 0, NULL) != -1 || errno != ENOSYS)
			_exit(NO_SANDBOX);
		send_all(40); /* after an assertion that fails main goes on, and returns no 0 */
		run_until(40);
		check(40);
		end(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SANDBOX)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int all_of_it(void *user)
{
	struct snet_dgram_hub *h = NULL;
	struct snet_dgram *d = NULL;
	struct snet_addr at;
	int rc;

	(void)user;
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	rc = snet_dgram_hub_new(&h, loop, &events, &loop);
	if (!rc)
		rc = snet_dgram_open(&d, h, &at, NULL, NULL);
	if (!rc)
		snet_dgram_close(d);
	snet_dgram_hub_free(h);
	return rc;
}

static void out_of_memory_is_an_error(void **s)
{
	(void)s;
	torture(all_of_it, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(batches_of_mixed_trains_arrive_as_they_were_sent),
		T(addresses_of_both_lengths_share_the_room),
		T(a_datagram_of_no_bytes_is_one),
		T(a_socket_may_be_closed_by_what_it_hears),
		T(with_v6_only_the_families_are_apart),
		T(without_calls_for_many_one_at_a_time_does),
		T(out_of_memory_is_an_error),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
