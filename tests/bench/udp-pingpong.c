/* udp-pingpong: the yardstick of a round trip. Two processes on two processors send one UDP
 * datagram to and fro over loopback, each asleep in epoll_wait until it has something to read:
 * what a network program with an event loop cannot beat without spinning. One JSON line: p50
 * and p99 in microseconds.
 *
 *   udp-pingpong [-n ROUNDS] [-s BYTES] */
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { BYTES_MAX = 1400, TIMEOUT_MS = 5000 };

struct end {
	int fd, ep;
};

/* Non-blocking, and watched: both ends pay for epoll_wait and recv, as a program with a loop
 * does. */
static void watch(struct end *e)
{
	struct epoll_event ev = { .events = EPOLLIN };

	e->ep = epoll_create1(EPOLL_CLOEXEC);
	if (e->ep < 0 || epoll_ctl(e->ep, EPOLL_CTL_ADD, e->fd, &ev))
		bench_die("cannot set up epoll: %m");
}

static int bound(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET };
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) ||
	    getsockname(fd, (struct sockaddr *)at, &len))
		bench_die("cannot bind a socket: %m");
	return fd;
}

static void receive(const struct end *e, char *p, size_t n)
{
	struct epoll_event ev;
	ssize_t got = -1;

	while (got < 0) {
		int ready = epoll_wait(e->ep, &ev, 1, TIMEOUT_MS);

		if (ready <= 0)
			bench_die("no datagram within %d ms", TIMEOUT_MS);
		got = recv(e->fd, p, BYTES_MAX, 0);
	}
	if ((size_t)got != n)
		bench_die("%zd bytes came back, not %zu", got, n);
}

static void transmit(const struct end *e, const char *p, size_t n)
{
	if (send(e->fd, p, n, 0) != (ssize_t)n)
		bench_die("cannot send: %m");
}

struct echo {
	struct end end;
	size_t bytes, rounds;
};

static void echo(void *arg)
{
	struct echo *o = arg;
	char p[BYTES_MAX];

	watch(&o->end);
	for (size_t i = 0; i < o->rounds; i++) {
		receive(&o->end, p, o->bytes);
		transmit(&o->end, p, o->bytes);
	}
}

static void ping(const struct end *e, uint64_t *ns, size_t rounds, size_t bytes)
{
	char p[BYTES_MAX];

	memset(p, 'x', sizeof(p));
	for (size_t i = 0; i < BENCH_WARM_UP + rounds; i++) {
		uint64_t begin = bench_now_ns();

		transmit(e, p, bytes);
		receive(e, p, bytes);
		if (i >= BENCH_WARM_UP)
			ns[i - BENCH_WARM_UP] = bench_now_ns() - begin;
	}
}

int main(int argc, char **argv)
{
	size_t rounds = 20000, bytes = 64;
	struct sockaddr_in near, far;
	struct end here;
	struct echo there;
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
	here.fd = bound(&near);
	there = (struct echo){ .bytes = bytes, .rounds = BENCH_WARM_UP + rounds };
	there.end.fd = bound(&far);
	if (connect(here.fd, (struct sockaddr *)&far, sizeof(far)) ||
	    connect(there.end.fd, (struct sockaddr *)&near, sizeof(near)))
		bench_die("cannot connect the sockets: %m");
	pid_t pid = bench_fork(1, echo, &there);
	bench_pin(0);
	watch(&here);
	ping(&here, ns, rounds, bytes);
	bench_stop(pid);
	bench_print_rounds(ns, rounds, bytes);
	free(ns);
	return 0;
}
