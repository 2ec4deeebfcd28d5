/* How many binding responses a second does a STUN server give? So many requests are always
 * under way, of 20 bytes each; what comes back must be a success response to one. They are of
 * 64 clients, each of an address of its own; or, by -r, of fewer that send a few in a row. On
 * this side one socket is all of them, and the kernel makes the datagrams of a row from one
 * send (UDP segmentation offload), so that it is the server that is busy and not we. */
#include "bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nat/stunmsg.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { WINDOW = 64, TOO_LATE_S = 100, LOST_MS = 1000, ROOM = 512 };

static unsigned in_a_row = 1; /* requests of a client */
static struct sockaddr_in server;
static struct mmsghdr out[WINDOW], in[WINDOW];
static struct iovec out_at[WINDOW], in_at[WINDOW];
static uint8_t requests[WINDOW][SNET_STUN_HEADER], answers[WINDOW][ROOM];
static _Alignas(struct cmsghdr) uint8_t sources[WINDOW][CMSG_SPACE(sizeof(struct in_pktinfo))];

static int open_socket(uint64_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), each = SNET_STUN_HEADER;

	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)port);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)))
		bench_die("socket: %s", strerror(errno));
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &each, sizeof(each)))
		bench_die("UDP_SEGMENT: %s", strerror(errno));
	return fd;
}

/* The nth client's address is 127.0.0.1 and n more. */
static void put_source(struct msghdr *m, unsigned n)
{
	struct in_pktinfo from = { .ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK + n) };
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(from));
	memcpy(CMSG_DATA(c), &from, sizeof(from));
}

static void prepare(void)
{
	static const uint8_t id[SNET_STUN_ID] = "stun-load 1";
	struct snet_stunout o;

	for (unsigned i = 0; i < WINDOW; i++) {
		snet_stunmsg_begin(&o, requests[i], sizeof(requests[i]), SNET_STUN_REQUEST,
				   SNET_STUN_BINDING, id);
		out[i].msg_hdr = (struct msghdr){ .msg_name = &server,
						  .msg_namelen = sizeof(server),
						  .msg_iov = &out_at[i],
						  .msg_iovlen = 1,
						  .msg_control = sources[i],
						  .msg_controllen = sizeof(sources[i]) };
		in_at[i] = (struct iovec){ answers[i], ROOM };
		in[i].msg_hdr = (struct msghdr){ .msg_iov = &in_at[i], .msg_iovlen = 1 };
	}
}

/* The clients take turns. */
static void send_requests(int fd, unsigned n)
{
	static unsigned turn;
	unsigned rows = 0;
	int k;

	for (unsigned several; n; n -= several) {
		several = n < in_a_row ? n : in_a_row;
		put_source(&out[rows].msg_hdr, turn++ % (WINDOW / in_a_row));
		out_at[rows++] = (struct iovec){ requests, several * sizeof(requests[0]) };
	}
	for (unsigned done = 0; done < rows; done += (unsigned)k) {
		k = sendmmsg(fd, out + done, rows - done, 0);
		if (k < 1)
			bench_die("send: %s", strerror(errno));
	}
}

/* Waits for at least one. Loopback loses nothing unless a server drops it. */
static unsigned take_answers(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct snet_stunmsg m;
	int n;

	if (poll(&p, 1, LOST_MS) != 1)
		bench_die("no answer within %d ms", LOST_MS);
	n = recvmmsg(fd, in, WINDOW, MSG_DONTWAIT, NULL);
	if (n < 1)
		bench_die("receive: %s", strerror(errno));
	for (int i = 0; i < n; i++)
		if (snet_stunmsg_parse(&m, answers[i], in[i].msg_len) ||
		    m.cls != SNET_STUN_SUCCESS ||
		    !snet_stunmsg_get(&m, SNET_STUN_XOR_MAPPED_ADDRESS, NULL))
			bench_die("what came is no answer");
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	uint64_t rounds = 200000, port = 0, done = 0, begin;
	int c, fd;

	while ((c = getopt(argc, argv, "n:p:r:")) != -1) {
		if (c == 'n')
			rounds = bench_number(optarg, "-n");
		else if (c == 'p')
			port = bench_number(optarg, "-p");
		else if (c == 'r')
			in_a_row = (unsigned)bench_number(optarg, "-r");
		else
			return 2;
	}
	if (!port || port > UINT16_MAX)
		bench_die("-p: want the port of the server");
	if (in_a_row > WINDOW || WINDOW % in_a_row)
		bench_die("-r: want a divisor of %d", WINDOW);
	bench_deadline(TOO_LATE_S);
	bench_pin(0);
	prepare();
	fd = open_socket(port);
	send_requests(fd, WINDOW);
	for (uint64_t warm = 0; warm < BENCH_WARM_UP;) {
		unsigned n = take_answers(fd);

		warm += n;
		send_requests(fd, n);
	}
	begin = bench_now_ns();
	while (done < rounds) {
		unsigned n = take_answers(fd);

		done += n;
		send_requests(fd, n);
	}
	bench_print_rate(stdout, done, bench_now_ns() - begin);
	close(fd);
	return 0;
}
