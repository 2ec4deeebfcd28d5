/* link-load: what stands between sockets is measured from both of its sides. Ports are on
 * loopback; one JSON line.
 *
 *   link-load flood -p IN -o OUT [-n COUNT] [-s BYTES]
 *        how many datagrams a second go in at IN and come out at OUT, WINDOW under way
 *   link-load ping -p IN -o OUT [-n ROUNDS] [-s BYTES]
 *        round trips to a process that answers at OUT and is spoken to at IN; IN = OUT:
 * directly
 *   link-load pace -r PER_SECOND -n COUNT -d DELAY_US [-s BYTES] <lines
 *        so many, in turn from PORT to DOOR of each line, what for TO: delays, and what is
 * lost. Lines: PORT DOOR TO
 *
 * Delays are from the call that sends to the kernel's stamp of the arrival: who measures may
 * itself be late without harm. Where the call took longer than UNSURE, nobody knows when within
 * it the datagram left; and what arrives, or is due, while the machine itself stands still is
 * late by the machine (clockwork.h). Both are counted, and left out. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "clockwork.h"

enum {
	WINDOW = 128,  /* less than a socket holds by default */
	ROOM = 2048,   /* bytes of a datagram */
	TRAIN = 65536, /* bytes of what comes at once */
	LOST_MS = 2000,
	TOO_LATE_S = 110,
	UNSURE = 40000,       /* ns */
	NAP = 50000,          /* ns: between two looks at the clock */
	HEAR_EVERY = 5000000, /* ns */
	LINGER_MS = 300,
};

static uint64_t in_port, out_port, count = 200000, bytes = 200, per_second = 1000, delay_us;

static struct sockaddr_in at(uint64_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int open_at(uint64_t port)
{
	struct sockaddr_in a = at(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = 32 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		bench_die("port %u: %m", (unsigned)port);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static void connect_to(int fd, uint64_t port)
{
	struct sockaddr_in a = at(port);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
		bench_die("connect: %m");
}

static void await(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	if (poll(&p, 1, LOST_MS) != 1)
		bench_die("nothing came for %d ms", LOST_MS);
}

/* ---- flood */

static struct mmsghdr out[WINDOW], in[WINDOW];
static struct iovec out_at, in_at[WINDOW];
static uint8_t datagram[ROOM], room[WINDOW][TRAIN];

static void prepare(void)
{
	out_at = (struct iovec){ datagram, bytes };
	for (size_t i = 0; i < WINDOW; i++) {
		out[i].msg_hdr = (struct msghdr){ .msg_iov = &out_at, .msg_iovlen = 1 };
		in_at[i] = (struct iovec){ room[i], TRAIN };
		in[i].msg_hdr = (struct msghdr){ .msg_iov = &in_at[i], .msg_iovlen = 1 };
	}
}

static void put(int fd, unsigned n)
{
	if (n && sendmmsg(fd, out, n, 0) != (int)n)
		bench_die("send: %m");
}

/* In trains, where they come as such: the load is to cost less than what is measured. */
static unsigned take(int fd)
{
	unsigned datagrams = 0;
	int n;

	await(fd);
	n = recvmmsg(fd, in, WINDOW, MSG_DONTWAIT, NULL);
	if (n < 1)
		bench_die("receive: %m");
	for (int i = 0; i < n; i++) {
		if (in[i].msg_len % bytes)
			bench_die("%u bytes came out, not %u", in[i].msg_len, (unsigned)bytes);
		datagrams += in[i].msg_len / (unsigned)bytes;
	}
	return datagrams;
}

static void flood(void)
{
	int far = open_at(out_port), near = open_at(0), one = 1;
	uint64_t begin = 0;

	bench_pin(0);
	setsockopt(far, SOL_UDP, UDP_GRO, &one, sizeof(one));
	connect_to(near, in_port);
	prepare();
	put(near, WINDOW);
	for (uint64_t done = 0, end = count + BENCH_WARM_UP; done < end;) {
		unsigned n = take(far);

		if (!begin && done >= BENCH_WARM_UP)
			begin = bench_now_ns();
		done += n;
		put(near, n);
	}
	bench_print_rate(stdout, count, bench_now_ns() - begin);
	close(near);
	close(far);
}

/* ---- ping */

static void asleep_until(int ep)
{
	struct epoll_event ev;

	if (epoll_wait(ep, &ev, 1, LOST_MS) != 1)
		bench_die("nothing came for %d ms", LOST_MS);
}

static int watch(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		bench_die("epoll: %m");
	return ep;
}

static void answer(void *arg)
{
	int fd = *(int *)arg, ep = watch(fd);

	for (uint64_t i = 0; i < count + BENCH_WARM_UP; i++) {
		struct sockaddr_in who;
		socklen_t n = sizeof(who);
		ssize_t k;

		asleep_until(ep);
		k = recvfrom(fd, room[0], ROOM, 0, (struct sockaddr *)&who, &n);
		if (k < 0 || sendto(fd, room[0], (size_t)k, 0, (struct sockaddr *)&who, n) != k)
			bench_die("answer: %m");
	}
}

static void ping(void)
{
	int far = open_at(out_port), near = open_at(0), ep;
	uint64_t *ns = calloc(count, sizeof(*ns));
	pid_t pid = bench_fork(1, answer, &far);

	if (!ns)
		bench_die("out of memory");
	bench_pin(0);
	connect_to(near, in_port);
	ep = watch(near);
	for (uint64_t i = 0; i < count + BENCH_WARM_UP; i++) {
		uint64_t begin = bench_now_ns();

		if (send(near, datagram, bytes, 0) != (ssize_t)bytes)
			bench_die("send: %m");
		asleep_until(ep);
		if (recv(near, room[0], ROOM, 0) != (ssize_t)bytes)
			bench_die("what came back is not what went");
		if (i >= BENCH_WARM_UP)
			ns[i - BENCH_WARM_UP] = bench_now_ns() - begin;
	}
	bench_stop(pid);
	bench_print_rounds(ns, count, bytes);
	free(ns);
}

/* ---- pace */

struct way {
	int fd;
	struct sockaddr_in door;
};

struct party {
	uint64_t port;
	int fd;
};

enum { PARTIES = 128, WAYS = PARTIES * PARTIES };

static struct party parties[PARTIES];
static size_t n_parties, n_ways;
static struct way ways[WAYS];

static struct {
	uint64_t *sent, *arrived; /* by number; ns of the wall clock; 0: unsure; not yet */
	double *late, pace;       /* us; sent in a second */
	uint64_t twice, unsure, still, got, bytes, first, last;
} heard;

static int party_at(uint64_t port)
{
	int one = 1;

	for (size_t i = 0; i < n_parties; i++)
		if (parties[i].port == port)
			return parties[i].fd;
	if (n_parties == PARTIES)
		bench_die("more than %d parties", PARTIES);
	parties[n_parties] = (struct party){ port, open_at(port) };
	if (setsockopt(parties[n_parties].fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		bench_die("SO_TIMESTAMPNS: %m");
	return parties[n_parties++].fd;
}

static void read_ways(void)
{
	unsigned port, door, to;

	while (scanf("%u %u %u", &port, &door, &to) == 3) {
		if (n_ways == WAYS)
			bench_die("more than %d ways", WAYS);
		party_at(to);
		ways[n_ways++] = (struct way){ party_at(port), at(door) };
	}
	if (!n_ways)
		bench_die("stdin: want lines of three ports: from, door, to");
}

/* Both clocks' readings around the call: it left in between. */
static void send_one(uint64_t number)
{
	const struct way *w = &ways[number % n_ways];
	uint64_t before;

	memcpy(datagram, &number, sizeof(number));
	before = bench_wall_ns();
	if (sendto(w->fd, datagram, bytes, 0, (const struct sockaddr *)&w->door,
		   sizeof(w->door)) != (ssize_t)bytes)
		bench_die("send: %m");
	heard.sent[number] = bench_wall_ns() - before < UNSURE ? before : 0;
}

static uint64_t stamp_of(struct msghdr *m)
{
	struct timespec t = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS)
			memcpy(&t, CMSG_DATA(c), sizeof(t));
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note(uint64_t number, uint64_t arrived)
{
	if (number >= count)
		bench_die("a datagram of nobody's");
	if (heard.arrived[number]) {
		heard.twice++;
		return;
	}
	heard.arrived[number] = arrived;
	if (heard.got++)
		heard.bytes += bytes + 28; /* since the first one, with IP and UDP */
	else
		heard.first = arrived;
	heard.last = arrived > heard.last ? arrived : heard.last;
}

static void hear(int fd)
{
	static _Alignas(struct cmsghdr) char controls[WINDOW][64];
	int n;

	do {
		for (size_t i = 0; i < WINDOW; i++) {
			in[i].msg_hdr.msg_control = controls[i];
			in[i].msg_hdr.msg_controllen = sizeof(controls[i]);
		}
		n = recvmmsg(fd, in, WINDOW, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			uint64_t number = UINT64_MAX;

			if (in[i].msg_len == bytes)
				memcpy(&number, room[i], sizeof(number));
			note(number, stamp_of(&in[i].msg_hdr));
		}
	} while (n == WINDOW);
}

static void hear_all(void)
{
	for (size_t i = 0; i < n_parties; i++)
		hear(parties[i].fd);
}

static void send_all(void)
{
	static const struct timespec nap = { 0, NAP };
	uint64_t begin = bench_now_ns(), heard_at = begin, next = 0;

	while (next < count) {
		uint64_t now = bench_now_ns(), due = (now - begin) * per_second / 1000000000u;

		for (unsigned k = 0; next < due && next < count && k < WINDOW; k++)
			send_one(next++);
		if (now - heard_at > HEAR_EVERY) { /* within that time no buffer overflows */
			hear_all();
			heard_at = now;
		}
		if (next >= due)
			nanosleep(&nap, NULL);
	}
	heard.pace = (double)count * 1e9 / (double)(bench_now_ns() - begin);
}

/* Until nothing has come for as long as anything may take. */
static void hear_the_rest(void)
{
	uint64_t quiet = delay_us * 2 / 1000 + LINGER_MS, since = bench_now_ns(),
		 got = heard.got;
	static const struct timespec nap = { 0, 1000000 };

	while (bench_now_ns() - since < quiet * 1000000) {
		nanosleep(&nap, NULL);
		hear_all();
		if (heard.got != got)
			since = bench_now_ns();
		got = heard.got;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Fills late. Returns how many are known. */
static size_t weigh(void)
{
	size_t n = 0;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t sent = heard.sent[i], arrived = heard.arrived[i];

		if (!arrived)
			continue;
		if (!sent)
			heard.unsure++;
		else if (clockwork_was_late(arrived) ||
			 clockwork_was_late(sent + delay_us * 1000))
			heard.still++;
		else
			heard.late[n++] = (double)(int64_t)(arrived - sent) / 1e3;
	}
	return n;
}

static void print_delays(void)
{
	double sum = 0, squares = 0, mean, *v = heard.late;
	size_t n = weigh();

	if (!n)
		bench_die("nothing arrived");
	for (size_t i = 0; i < n; i++)
		sum += v[i];
	mean = sum / (double)n;
	for (size_t i = 0; i < n; i++) {
		squares += (v[i] - mean) * (v[i] - mean);
		v[i] = fabs(v[i] - (double)delay_us);
	}
	qsort(v, n, sizeof(*v), by_value);
	printf("{\"sent\":%llu,\"got\":%llu,\"twice\":%llu,\"unsure\":%llu,\"still\":%llu,"
	       "\"mean_us\":%.2f,\"deviation_us\":%.2f,\"error_p50_us\":%.2f,\"error_p99_us\":%"
	       ".2f,"
	       "\"error_max_us\":%.2f,\"sent_per_second\":%.0f,\"bits_per_second\":%.0f}\n",
	       (unsigned long long)count, (unsigned long long)heard.got,
	       (unsigned long long)heard.twice, (unsigned long long)heard.unsure,
	       (unsigned long long)heard.still, mean, sqrt(squares / (double)n), v[(n - 1) / 2],
	       v[(n - 1) * 99 / 100], v[n - 1], heard.pace,
	       heard.last > heard.first
		       ? (double)heard.bytes * 8e9 / (double)(heard.last - heard.first)
		       : 0);
}

static void pace(void)
{
	struct rlimit lim;

	if (!getrlimit(RLIMIT_NOFILE, &lim)) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	prctl(PR_SET_TIMERSLACK, 1);
	setpriority(PRIO_PROCESS, 0, -20); /* where it may: the load is to be in time */
	heard.sent = calloc(count, sizeof(*heard.sent));
	heard.arrived = calloc(count, sizeof(*heard.arrived));
	heard.late = calloc(count, sizeof(*heard.late));
	if (!heard.sent || !heard.arrived || !heard.late)
		bench_die("out of memory");
	clockwork_start();
	bench_pin(0);
	prepare();
	read_ways();
	send_all();
	hear_the_rest();
	clockwork_stop();
	print_delays();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} modes[] = { { "flood", flood }, { "ping", ping }, { "pace", pace } };
	int c;

	while ((c = getopt(argc, argv, "d:n:o:p:r:s:")) != -1) {
		const char name[] = { '-', (char)c, 0 };

		if (c == '?')
			return 2;
		*(c == 'd'   ? &delay_us
		  : c == 'n' ? &count
		  : c == 'o' ? &out_port
		  : c == 'p' ? &in_port
		  : c == 'r' ? &per_second
			     : &bytes) = bench_number(optarg, name);
	}
	if (bytes < sizeof(uint64_t) || bytes > ROOM || in_port > UINT16_MAX ||
	    out_port > UINT16_MAX)
		bench_die("-s: from 8 to %d; -p, -o: ports", ROOM);
	bench_deadline(TOO_LATE_S);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (optind + 1 == argc && !strcmp(argv[optind], modes[i].name)) {
			modes[i].fn();
			return 0;
		}
	}
	bench_die("want flood, ping or pace");
}
