/* How long are round trips, as a capture of packets shows it? Looks at loopback's packets (it
 * needs CAP_NET_RAW), from or to a UDP port of a server: the time from a packet that leaves for
 * it to the first that comes from it, of those that wait for each other. Ends with its stdin,
 * or after so many. */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS_MAX = 1 << 21, ROOM = 96, CONTROL = 128, BATCH = 64 };

static uint64_t rounds[ROUNDS_MAX];
static size_t n_rounds;
static uint64_t asked_at; /* 0: nothing is under way */

static int open_capture(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	int room = 64 << 20, one = 1;

	at.sll_ifindex = (int)if_nametoindex("lo");
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		bench_die("capture: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		bench_die("time stamps: %s", strerror(errno));
	return fd;
}

static uint64_t stamp_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec t;

			memcpy(&t, CMSG_DATA(c), sizeof(t));
			return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		}
	bench_die("a packet without its time");
}

/* As the side that asks sees it: what it sends when it leaves, what it gets when it has come.
 * On loopback each is there twice. */
static void take(const uint8_t *p, size_t n, unsigned type, uint64_t at, uint16_t port)
{
	struct udphdr u;
	size_t head = n ? (p[0] & 15u) * 4 : 0;

	if (n < head + sizeof(u) || p[0] >> 4 != 4 || p[9] != IPPROTO_UDP)
		return;
	memcpy(&u, p + head, sizeof(u));
	if (ntohs(u.dest) == port && type == PACKET_OUTGOING) {
		asked_at = at;
	} else if (ntohs(u.source) == port && type == PACKET_HOST && asked_at) {
		if (n_rounds < ROUNDS_MAX)
			rounds[n_rounds++] = at - asked_at;
		asked_at = 0;
	}
}

static void drain(int fd, uint16_t port)
{
	static uint8_t packets[BATCH][ROOM];
	static _Alignas(struct cmsghdr) uint8_t controls[BATCH][CONTROL];
	static struct sockaddr_ll from[BATCH];
	struct iovec v[BATCH];
	struct mmsghdr m[BATCH];
	int n;

	do {
		for (int i = 0; i < BATCH; i++) {
			v[i] = (struct iovec){ packets[i], ROOM };
			m[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
							.msg_namelen = sizeof(from[i]),
							.msg_iov = &v[i],
							.msg_iovlen = 1,
							.msg_control = controls[i],
							.msg_controllen = CONTROL };
		}
		n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take(packets[i], m[i].msg_len, from[i].sll_pkttype,
			     stamp_of(&m[i].msg_hdr), port);
	} while (n == BATCH);
}

static void say_ready(int fd)
{
	if (write(fd, "\n", 1) != 1)
		bench_die("ready: %s", strerror(errno));
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t port = 0, ready = 0;
	struct pollfd p[2] = { { .events = POLLIN }, { 0, POLLIN, 0 } };
	int opt;

	while ((opt = getopt(argc, argv, "p:r:")) != -1) {
		if (opt == 'p')
			port = bench_number(optarg, "port");
		else if (opt == 'r')
			ready = bench_number(optarg, "descriptor");
		else
			return 2;
	}
	bench_deadline(100);
	p[0].fd = open_capture();
	if (ready)
		say_ready((int)ready);
	while (!(p[1].revents & (POLLIN | POLLHUP))) {
		if (poll(p, 2, -1) < 0)
			bench_die("poll: %s", strerror(errno));
		drain(p[0].fd, (uint16_t)port);
	}
	if (!n_rounds)
		bench_die("no packets were seen");
	bench_print_rounds(rounds, n_rounds, 0);
	return 0;
}
