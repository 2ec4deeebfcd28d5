/* api-pingpong: a round trip through the public C API, with its blocking calls. Two processes
 * on two processors, a manager in each, and one message at a time, echoed by the other end.
 * One JSON line: p50 and p99 in microseconds, to be held against conn-pingpong, which does the
 * same in the thread of the loop.
 *
 *   api-pingpong [-n ROUNDS] [-s BYTES] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "bench.h"
#include "ffi/stoffelnet.h"

enum { BYTES_MAX = 65536, TOO_LATE_S = 120, ECHO_ID = 1, PING_ID = 2 };

static void check(int ok, const char *what)
{
	const char *why = stoffelnet_last_error();

	if (!ok)
		bench_die("%s: %s", what, why ? why : "?");
}

struct end {
	void *runtime, *manager, *conn;
};

static void end_open(struct end *e, uint64_t id)
{
	e->runtime = stoffelnet_runtime_new();
	check(e->runtime != NULL, "runtime");
	e->manager = stoffelnet_manager_new(e->runtime, "127.0.0.1:0", id);
	check(e->manager != NULL, "manager");
}

static void end_close(struct end *e)
{
	stoffelnet_connection_destroy(e->conn);
	stoffelnet_manager_destroy(e->manager);
	stoffelnet_runtime_destroy(e->runtime);
}

static void transmit(const struct end *e, const uint8_t *p, size_t n)
{
	check(!stoffelnet_connection_send(e->conn, e->runtime, p, n), "send");
}

struct echo {
	int report; /* where the port goes */
	size_t rounds;
};

static void echo(void *arg)
{
	const struct echo *o = arg;
	struct end e;
	uint16_t port;
	uint64_t who;

	end_open(&e, ECHO_ID);
	port = stoffelnet_manager_port(e.manager);
	if (write(o->report, &port, sizeof(port)) != sizeof(port))
		bench_die("cannot report the port: %m");
	close(o->report);
	check(!stoffelnet_manager_accept_connection(e.manager, &who), "accept");
	e.conn = stoffelnet_manager_get_connection(e.manager, who);
	check(e.conn != NULL, "the connection that was accepted");
	for (size_t i = 0; i < o->rounds; i++) {
		uint8_t *p;
		size_t n;

		check(!stoffelnet_connection_receive(e.conn, e.runtime, &p, &n), "receive");
		transmit(&e, p, n);
		stoffelnet_free_bytes(p, n);
	}
	end_close(&e);
}

static void ping(const struct end *e, uint64_t *ns, size_t rounds, size_t bytes)
{
	static uint8_t message[BYTES_MAX];

	memset(message, 'x', sizeof(message));
	for (size_t i = 0; i < BENCH_WARM_UP + rounds; i++) {
		uint64_t begin = bench_now_ns();
		uint8_t *p;
		size_t n;

		transmit(e, message, bytes);
		check(!stoffelnet_connection_receive(e->conn, e->runtime, &p, &n), "receive");
		if (i >= BENCH_WARM_UP)
			ns[i - BENCH_WARM_UP] = bench_now_ns() - begin;
		if (n != bytes)
			bench_die("%zu bytes came back, not %zu", n, bytes);
		stoffelnet_free_bytes(p, n);
	}
}

static void run(uint64_t *ns, size_t rounds, size_t bytes)
{
	struct echo o = { .rounds = BENCH_WARM_UP + rounds };
	struct end e;
	uint16_t port;
	char at[32];
	int fd[2];
	pid_t pid;

	if (pipe(fd))
		bench_die("cannot make a pipe: %m");
	o.report = fd[1];
	pid = bench_fork(1, echo, &o); /* before there is a thread */
	close(fd[1]);
	if (read(fd[0], &port, sizeof(port)) != sizeof(port))
		bench_die("the echo ended before it was ready");
	close(fd[0]);
	bench_pin(0);
	end_open(&e, PING_ID);
	snprintf(at, sizeof(at), "127.0.0.1:%u", port);
	check(!stoffelnet_manager_add_node(e.manager, at, ECHO_ID), "add_node");
	check(!stoffelnet_manager_connect_to_party(e.manager, ECHO_ID), "connect");
	e.conn = stoffelnet_manager_get_connection(e.manager, ECHO_ID);
	check(e.conn != NULL, "the connection that was dialled");
	ping(&e, ns, rounds, bytes);
	end_close(&e);
	bench_stop(pid);
}

int main(int argc, char **argv)
{
	size_t rounds = 20000, bytes = 64;
	uint64_t *ns;
	int c;

	while ((c = getopt(argc, argv, "n:s:")) != -1) {
		if (c == 'n')
			rounds = bench_number(optarg, "-n");
		else if (c == 's')
			bytes = bench_number(optarg, "-s");
		else
			return 2;
	}
	if (bytes > BYTES_MAX)
		bench_die("-s: at most %d", BYTES_MAX);
	ns = calloc(rounds, sizeof(*ns));
	if (!ns)
		bench_die("out of memory");
	bench_deadline(TOO_LATE_S);
	run(ns, rounds, bytes);
	bench_print_rounds(ns, rounds, bytes);
	free(ns);
	return 0;
}
