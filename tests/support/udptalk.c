/* udptalk: datagram sockets by command, for the tests of what stands between them. Reads lines:
 *
 *	open NAME ADDRESS        says the address it got
 *	send NAME ADDRESS TEXT   one datagram
 *	recv NAME MS             says "SENDER TEXT", or "nothing" after so many milliseconds
 *	burst NAME ADDRESS COUNT GAP_US SIZE TO MS [all]
 *	                         so many datagrams, numbered and timed, and what of them the
 *	                         socket TO has heard MS after the last, or as soon as it has
 *	                         heard all: one JSON object
 *
 *	end
 */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"

#define SOCKETS 16
#define BURST 100000

static struct {
	char name[16];
	int fd;
} sockets[SOCKETS];
static size_t n_sockets;

_Noreturn static void die(const char *why, const char *what)
{
	fprintf(stderr, "udptalk: %s: %s\n", why, what);
	exit(1);
}

static int fd_of(const char *name)
{
	for (size_t i = 0; i < n_sockets; i++)
		if (!strcmp(sockets[i].name, name))
			return sockets[i].fd;
	die("no such socket", name);
}

static struct snet_addr address(const char *text)
{
	struct snet_addr a;

	if (snet_addr_parse(&a, text))
		die("no address", text);
	return a;
}

static void open_one(const char *name, const char *at)
{
	struct snet_addr a = address(at);
	socklen_t n = sizeof(a);
	int fd = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 8 << 20;
	char text[SNET_ADDR_TEXT];

	if (n_sockets == SOCKETS || fd < 0 || bind(fd, &a.sa, snet_addr_len(&a)) ||
	    getsockname(fd, &a.sa, &n))
		die("cannot bind", at);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	snprintf(sockets[n_sockets].name, sizeof(sockets[0].name), "%s", name);
	sockets[n_sockets++].fd = fd;
	printf("%s\n", snet_addr_print(&a, text));
}

static ssize_t hear(int fd, int ms, uint8_t *p, size_t max, struct snet_addr *from)
{
	struct pollfd f = { fd, POLLIN, 0 };
	socklen_t n = sizeof(*from);

	if (poll(&f, 1, ms) <= 0)
		return -1;
	return recvfrom(fd, p, max, MSG_DONTWAIT, &from->sa, &n);
}

static void recv_one(int fd, int ms)
{
	struct snet_addr from;
	uint8_t p[2048];
	char text[SNET_ADDR_TEXT];
	ssize_t n = hear(fd, ms, p, sizeof(p), &from);

	if (n < 0)
		printf("nothing\n");
	else
		printf("%s %.*s\n", snet_addr_print(&from, text), (int)n, (char *)p);
}

struct heard {
	uint8_t seen[BURST];
	unsigned got, twice, damaged, turned; /* turned: after one that was sent later */
	uint32_t last;
	double sum, squares, least, most; /* of the delays, us */
	snet_time first, latest;
	uint64_t bytes;
};

static void note(struct heard *h, const uint8_t *p, size_t n, uint32_t count)
{
	snet_time sent, now = snet_now();
	uint32_t seq;
	double d;

	memcpy(&seq, p, sizeof(seq));
	memcpy(&sent, p + 8, sizeof(sent));
	for (size_t i = 16; i < n; i++)
		if (p[i] != 0x5a)
			seq = UINT32_MAX;
	if (seq >= count || sent > now) {
		h->damaged++;
		return;
	}
	if (h->seen[seq]++) {
		h->twice++;
		return;
	}
	d = (double)(now - sent) / 1e3;
	h->turned += h->got && seq < h->last;
	h->last = seq > h->last || !h->got ? seq : h->last;
	h->least = h->got && h->least < d ? h->least : d;
	h->most = h->most > d ? h->most : d;
	h->sum += d;
	h->squares += d * d;
	if (!h->got++)
		h->first = now;
	else
		h->bytes += n + 28; /* since the first, with IP and UDP */
	h->latest = now;
}

/* Or until enough of them have come. */
static void listen_until(struct heard *h, int fd, snet_time until, uint32_t count,
			 uint32_t enough)
{
	while (h->got < enough) {
		snet_time now = snet_now();
		struct snet_addr from;
		static uint8_t p[65536];
		struct timespec left = { 0, 0 };
		struct pollfd f = { fd, POLLIN, 0 };
		ssize_t n;

		if (now < until)
			left = (struct timespec){ (time_t)((until - now) / SNET_SEC),
						  (long)((until - now) % SNET_SEC) };
		if (ppoll(&f, 1, &left, NULL) <= 0)
			return;
		n = hear(fd, 0, p, sizeof(p), &from);
		if (n >= 16)
			note(h, p, (size_t)n, count);
	}
}

static void burst(int fd, const char *at, uint32_t count, unsigned gap_us, size_t size, int to,
		  unsigned ms, bool all)
{
	struct snet_addr a = address(at);
	struct heard *h = calloc(1, sizeof(*h));
	snet_time next = snet_now();
	static uint8_t p[65000];
	double mean;

	if (!h || count > BURST || size < 16 || size > sizeof(p))
		die("too much", "burst");
	memset(p, 0x5a, size);
	for (uint32_t i = 0; i < count; i++) {
		snet_time now = snet_now();

		memset(p, 0, 8);
		memcpy(p, &i, sizeof(i));
		memcpy(p + 8, &now, sizeof(now));
		if (sendto(fd, p, size, 0, &a.sa, snet_addr_len(&a)) < 0)
			die("cannot send", at);
		next += gap_us * SNET_US;
		listen_until(h, to, next, count, UINT32_MAX);
	}
	listen_until(h, to, snet_now() + ms * SNET_MS, count, all ? count : UINT32_MAX);
	mean = h->got ? h->sum / h->got : 0;
	printf("{\"sent\": %u, \"got\": %u, \"twice\": %u, \"damaged\": %u, \"turned\": %u, "
	       "\"min_us\": %.0f, \"mean_us\": %.0f, \"max_us\": %.0f, \"deviation_us\": %.0f, "
	       "\"bits\": %.0f}\n",
	       count, h->got, h->twice, h->damaged, h->turned, h->least, mean, h->most,
	       h->got ? sqrt(fmax(h->squares / h->got - mean * mean, 0)) : 0,
	       h->latest > h->first ? (double)h->bytes * 8e9 / (double)(h->latest - h->first)
				    : 0);
	free(h);
}

int main(void)
{
	char line[2048], verb[16], name[16], at[80], rest[1024], to[16];
	unsigned count, gap, size, ms;
	int words;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s", verb) != 1)
			continue;
		if (!strcmp(verb, "end"))
			return 0;
		if (!strcmp(verb, "open") && sscanf(line, "%*s %15s %79s", name, at) == 2) {
			open_one(name, at);
		} else if (!strcmp(verb, "send") &&
			   sscanf(line, "%*s %15s %79s %1023[^\n]", name, at, rest) == 3) {
			struct snet_addr a = address(at);

			if (sendto(fd_of(name), rest, strlen(rest), 0, &a.sa,
				   snet_addr_len(&a)) < 0)
				die("cannot send", at);
		} else if (!strcmp(verb, "recv") &&
			   sscanf(line, "%*s %15s %u", name, &ms) == 2) {
			recv_one(fd_of(name), (int)ms);
		} else if (!strcmp(verb, "burst") &&
			   (words = sscanf(line, "%*s %15s %79s %u %u %u %15s %u %7s", name, at,
					   &count, &gap, &size, to, &ms, rest)) >= 7) {
			burst(fd_of(name), at, count, gap, size, fd_of(to), ms,
			      words == 8 && !strcmp(rest, "all"));
		} else {
			die("what?", line);
		}
	}
	return 0;
}
