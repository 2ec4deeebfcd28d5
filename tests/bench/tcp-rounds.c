/* tcp-rounds: the yardstick of rounds in lockstep. A process for each party, every two of them
 * joined by a TCP connection over loopback; in each round a party sends one message to each of
 * the others and waits for one from each. Blocking, without encryption, pipes or delivery
 * beyond TCP's. Party i runs on processor i. One JSON line of party 0.
 *
 *   tcp-rounds [-p PARTIES] [-n ROUNDS] [-s BYTES] */
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { PARTIES_MAX = 64, BYTES_MAX = 16384, TOO_LATE_S = 120 };

struct party {
	size_t self, parties, rounds, bytes;
	const int *listeners;
	const struct sockaddr_in *at;
	int fd[PARTIES_MAX]; /* to each party; none to itself */
};

static int listener(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET };
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) || listen(fd, PARTIES_MAX) ||
	    getsockname(fd, (struct sockaddr *)at, &len))
		bench_die("cannot listen: %m");
	return fd;
}

static void receive(int fd, void *p, size_t n)
{
	if (recv(fd, p, n, MSG_WAITALL) != (ssize_t)n)
		bench_die("a party is gone");
}

static void transmit(int fd, const void *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		bench_die("cannot send: %m");
}

/* A lower number is dialled, and told which party this is. */
static void join(struct party *p)
{
	const int on = 1;

	for (size_t i = 0; i < p->self; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint8_t me = (uint8_t)p->self;

		if (fd < 0 || connect(fd, (const struct sockaddr *)&p->at[i], sizeof(p->at[i])))
			bench_die("cannot connect: %m");
		transmit(fd, &me, 1);
		p->fd[i] = fd;
	}
	for (size_t left = p->parties - p->self - 1; left; left--) {
		int fd = accept(p->listeners[p->self], NULL, NULL);
		uint8_t who;

		if (fd < 0)
			bench_die("cannot accept: %m");
		receive(fd, &who, 1);
		if (who <= p->self || who >= p->parties)
			bench_die("a party that is none: %u", who);
		p->fd[who] = fd;
	}
	for (size_t i = 0; i < p->parties; i++)
		if (i != p->self &&
		    setsockopt(p->fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
			bench_die("TCP_NODELAY: %m");
}

static void one_round(const struct party *p)
{
	static uint8_t message[BYTES_MAX];

	for (size_t i = 0; i < p->parties; i++)
		if (i != p->self)
			transmit(p->fd[i], message, p->bytes);
	for (size_t i = 0; i < p->parties; i++)
		if (i != p->self)
			receive(p->fd[i], message, p->bytes);
}

static void play(void *arg)
{
	struct party *p = arg;
	uint64_t begin;

	join(p);
	for (size_t i = 0; i < BENCH_WARM_UP; i++)
		one_round(p);
	begin = bench_now_ns();
	for (size_t i = 0; i < p->rounds; i++)
		one_round(p);
	if (!p->self)
		bench_print_rate(stdout, p->rounds, bench_now_ns() - begin);
	fflush(stdout);
}

static void expect_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		bench_die("a party failed");
}

int main(int argc, char **argv)
{
	static int listeners[PARTIES_MAX];
	static struct sockaddr_in at[PARTIES_MAX];
	struct party p = { .parties = 3, .rounds = 20000, .bytes = 64 };
	pid_t pids[PARTIES_MAX];
	int c;

	while ((c = getopt(argc, argv, "p:n:s:")) != -1) {
		if (c == 'p')
			p.parties = bench_number(optarg, "-p");
		else if (c == 'n')
			p.rounds = bench_number(optarg, "-n");
		else if (c == 's')
			p.bytes = bench_number(optarg, "-s");
		else
			return 2;
	}
	if (p.parties > PARTIES_MAX || p.bytes > BYTES_MAX)
		bench_die("-p: at most %d; -s: at most %d", PARTIES_MAX, BYTES_MAX);
	bench_deadline(TOO_LATE_S);
	for (size_t i = 0; i < p.parties; i++)
		listeners[i] = listener(&at[i]);
	p.listeners = listeners;
	p.at = at;
	for (p.self = 0; p.self < p.parties; p.self++)
		pids[p.self] = bench_fork((unsigned)p.self, play, &p);
	for (size_t i = 0; i < p.parties; i++)
		expect_end(pids[i]);
	return 0;
}
