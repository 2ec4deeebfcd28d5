/* pipe-pingpong: a round trip as a shell script sees it. Starts two programs, ties the first
 * one's stdout to its own stdin through an echo process, and then sends one message after the
 * other into the second one's stdin, each when the one before has come back on its stdout. The
 * first program and its echo run on one processor, the second and this one on another, like the
 * two ends of udp-pingpong. The first must write a newline to descriptor 3 and close it when it
 * is ready. Both must read and write plain bytes. One JSON line: p50 and p99 in microseconds.
 *
 *   pipe-pingpong [-n ROUNDS] [-s BYTES] -- LISTENER ARGS... -- SENDER ARGS... */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { READY_FD = 3, READY_MS = 10000, ROUNDS_S = 30, BYTES_MAX = 65536 };

struct child {
	pid_t pid;
	int in, out; /* ours: to its stdin, from its stdout */
};

static void pipe_or_die(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC))
		bench_die("cannot make a pipe: %m");
}

/* Moves the descriptors out of the way of the numbers they are going to be dup'ed over. */
static int above(int fd)
{
	int up = fcntl(fd, F_DUPFD_CLOEXEC, READY_FD + 1);

	if (up < 0)
		bench_die("cannot duplicate a descriptor: %m");
	close(fd);
	return up;
}

/* ready: descriptor that becomes 3 in the child, or -1. */
static struct child start(char **argv, unsigned processor, int ready)
{
	pid_t parent = getpid();
	int in[2], out[2];
	struct child c;

	pipe_or_die(in);
	pipe_or_die(out);
	c = (struct child){ fork(), in[1], out[0] };
	if (c.pid < 0)
		bench_die("cannot fork: %m");
	if (c.pid) {
		close(in[0]);
		close(out[1]);
		return c;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	bench_pin(processor);
	in[0] = above(in[0]);
	out[1] = above(out[1]);
	ready = ready < 0 ? ready : above(ready);
	if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 ||
	    (ready >= 0 && dup2(ready, READY_FD) < 0))
		bench_die("cannot duplicate a descriptor: %m");
	execvp(argv[0], argv);
	bench_die("cannot run %s: %m", argv[0]);
}

static void wait_until(int fd, int ms, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int rc;

	do
		rc = poll(&p, 1, ms);
	while (rc < 0 && errno == EINTR);
	if (rc <= 0)
		bench_die("%s: nothing within %d ms", what, ms);
}

static void wait_ready(int fd)
{
	char c;

	wait_until(fd, READY_MS, "the listener's readiness");
	if (read(fd, &c, 1) != 1)
		bench_die("the listener ended before it was ready");
	close(fd);
}

/* The blocking reader and writer between the listener's stdout and stdin. */
static void echo(void *arg)
{
	const struct child *c = arg;
	static char p[BYTES_MAX];
	ssize_t got;

	while ((got = read(c->out, p, sizeof(p))) > 0)
		if (write(c->in, p, (size_t)got) != got)
			break;
}

static void round_trip(const struct child *c, char *p, size_t n)
{
	size_t have = 0;

	if (write(c->in, p, n) != (ssize_t)n)
		bench_die("cannot write to the sender: %m");
	while (have < n) {
		ssize_t got = read(c->out, p + have, n - have);

		if (got <= 0)
			bench_die("the sender ended with %zu of %zu bytes back", have, n);
		have += (size_t)got;
	}
}

static void measure(const struct child *sender, uint64_t *ns, size_t rounds, size_t bytes)
{
	static char p[BYTES_MAX];

	memset(p, 'x', sizeof(p));
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < BENCH_WARM_UP + rounds; i++) {
		uint64_t begin;

		if (i % 256 == 0) /* a poll in every round would be measured too */
			bench_deadline(ROUNDS_S);
		begin = bench_now_ns();
		round_trip(sender, p, bytes);
		if (i >= BENCH_WARM_UP)
			ns[i - BENCH_WARM_UP] = bench_now_ns() - begin;
	}
}

static void expect_end(pid_t pid, const char *who)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bench_die("cannot wait for the %s: %m", who);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		bench_die("the %s ended with wait status %#x", who, (unsigned)status);
}

/* The echo process goes before the listener is waited for: with it goes the writer of the
 * listener's stdin, and both directions are at an end. */
static void run(char **listen_argv, char **send_argv, uint64_t *ns, size_t rounds, size_t bytes)
{
	int ready[2];
	struct child listener, sender;
	pid_t echo_pid;

	pipe_or_die(ready);
	listener = start(listen_argv, 1, ready[1]);
	close(ready[1]);
	wait_ready(ready[0]);
	echo_pid = bench_fork(1, echo, &listener);
	close(listener.in);
	close(listener.out);
	sender = start(send_argv, 0, -1);
	bench_pin(0);
	measure(&sender, ns, rounds, bytes);
	bench_deadline(ROUNDS_S);
	close(sender.in);
	bench_stop(echo_pid);
	expect_end(sender.pid, "sender");
	close(sender.out);
	expect_end(listener.pid, "listener");
}

int main(int argc, char **argv)
{
	size_t rounds = 20000, bytes = 64;
	int c, split;
	uint64_t *ns;

	while ((c = getopt(argc, argv, "+n:s:")) != -1) {
		if (c == 'n')
			rounds = bench_number(optarg, "-n");
		else if (c == 's')
			bytes = bench_number(optarg, "-s");
		else
			return 2;
	}
	for (split = optind; split < argc && strcmp(argv[split], "--"); split++)
		;
	if (split == optind || split + 1 >= argc)
		bench_die(
			"usage: [-n ROUNDS] [-s BYTES] -- LISTENER ARGS... -- SENDER ARGS...");
	if (bytes > BYTES_MAX)
		bench_die("-s: at most %d", BYTES_MAX);
	argv[split] = NULL;
	ns = calloc(rounds, sizeof(*ns));
	if (!ns)
		bench_die("out of memory");
	run(argv + optind, argv + split + 1, ns, rounds, bytes);
	bench_print_rounds(ns, rounds, bytes);
	free(ns);
	return 0;
}
