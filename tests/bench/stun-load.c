/* How many binding responses a second does a STUN server give? So many requests are always
 * under way, of 20 bytes each, over one socket; what comes back must be a success response to
 * one. */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nat/stunmsg.h"

enum { WINDOW = 64, TOO_LATE_S = 100, LOST_MS = 1000, ROOM = 512 };

static struct mmsghdr out[WINDOW], in[WINDOW];
static struct iovec out_at, in_at[WINDOW];
static uint8_t request[SNET_STUN_HEADER], answers[WINDOW][ROOM];

static int connect_to(uint64_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		bench_die("socket: %s", strerror(errno));
	return fd;
}

static void prepare(void)
{
	static const uint8_t id[SNET_STUN_ID] = "stun-load 1";
	struct snet_stunout o;

	snet_stunmsg_begin(&o, request, sizeof(request), SNET_STUN_REQUEST, SNET_STUN_BINDING,
			   id);
	out_at = (struct iovec){ request, snet_stunmsg_end(&o) };
	for (size_t i = 0; i < WINDOW; i++) {
		out[i].msg_hdr = (struct msghdr){ .msg_iov = &out_at, .msg_iovlen = 1 };
		in_at[i] = (struct iovec){ answers[i], ROOM };
		in[i].msg_hdr = (struct msghdr){ .msg_iov = &in_at[i], .msg_iovlen = 1 };
	}
}

static void send_requests(int fd, unsigned n)
{
	if (sendmmsg(fd, out, n, 0) != (int)n)
		bench_die("send: %s", strerror(errno));
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

	while ((c = getopt(argc, argv, "n:p:")) != -1) {
		if (c == 'n')
			rounds = bench_number(optarg, "-n");
		else if (c == 'p')
			port = bench_number(optarg, "-p");
		else
			return 2;
	}
	if (!port || port > UINT16_MAX)
		bench_die("-p: want the port of the server");
	bench_deadline(TOO_LATE_S);
	bench_pin(0);
	prepare();
	fd = connect_to(port);
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
