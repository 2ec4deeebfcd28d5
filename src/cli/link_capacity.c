/* What this machine could carry: a rate beyond that is refused, not capped in silence. */
#include <math.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/link_impl.h"

#define LARGE 1400              /* bytes of a datagram */
#define HEADERS 28              /* IPv4 and UDP */
#define TRAIN 40                /* datagrams in one send */
#define DEEP 20000              /* datagrams under way: more than any cache holds */
#define CHECK_FROM 500000000ull /* bits per second: slower than any machine */

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* What --verify does, in small: a train is sent, cut up, shaped, kept for a moment, and sent on
 * to where it is received. */
struct course {
	int from, in, out, to;
	struct snet_addr at, end; /* of in and to */
	struct snet_shape shape;
	struct snet_pending pending;
	size_t deep; /* datagrams under way, before any goes on */
	bool failed;
};

struct kept {
	struct snet_parcel due;
	size_t n;
	uint8_t data[];
};

static void keep(struct course *c, const uint8_t *data, size_t n, snet_time now)
{
	struct kept *k = malloc(sizeof(*k) + n);

	if (!k)
		return;
	k->due.when = snet_shape_push(&c->shape, n + HEADERS, now).when;
	k->n = n;
	memcpy(k->data, data, n);
	if (snet_pending_put(&c->pending, &k->due))
		free(k);
}

static void send_on(struct course *c)
{
	struct kept *kept[TRAIN];
	struct iovec iov[TRAIN];
	struct msghdr m = { .msg_name = &c->end,
			    .msg_namelen = snet_addr_len(&c->end),
			    .msg_iov = iov };
	struct snet_parcel *due;
	size_t n = 0;

	while (n < TRAIN && (due = snet_pending_take(&c->pending, SNET_NEVER))) {
		kept[n] = SNET_OF(due, struct kept, due);
		iov[n] = (struct iovec){ kept[n]->data, kept[n]->n };
		n++;
	}
	m.msg_iovlen = n;
	if (n && sendmsg(c->out, &m, MSG_DONTWAIT) < 0)
		c->failed = true;
	while (n)
		free(kept[--n]);
}

/* One train all the way; bytes that arrived. */
static size_t turn(struct course *c)
{
	static uint8_t train[TRAIN * LARGE], got[65536];
	size_t bytes = 0;
	ssize_t n;

	if (sendto(c->from, train, sizeof(train), 0, &c->at.sa, snet_addr_len(&c->at)) < 0)
		c->failed = true;
	while ((n = recv(c->in, got, sizeof(got), MSG_DONTWAIT)) > 0)
		for (ssize_t k = 0; k < n; k += LARGE)
			keep(c, got + k, (size_t)(n - k < LARGE ? n - k : LARGE), snet_now());
	while (c->pending.n > c->deep)
		send_on(c);
	while ((n = recv(c->to, got, sizeof(got), MSG_DONTWAIT)) > 0)
		bytes += (size_t)n;
	return bytes;
}

/* A machine that does not get that far in time is slow, and has what it has. */
static void fill(struct course *c)
{
	snet_time until = snet_now() + SNET_SEC / 2;

	c->deep = DEEP;
	while (c->pending.n < DEEP && !c->failed && snet_now() < until)
		turn(c);
	c->deep = c->pending.n;
}

static double carried(struct course *c)
{
	snet_time start = snet_now(), now = start;
	double bytes = 0;

	for (; now - start < 10 * SNET_MS && !c->failed; now = snet_now())
		bytes += (double)turn(c) * (LARGE + HEADERS) / LARGE;
	return bytes * 8e9 / (double)(now - start + 1);
}

static int here(struct snet_addr *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = LARGE, one = 1;
	socklen_t n = sizeof(*at);

	*at = (struct snet_addr){ .in = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
	if (fd >= 0 && !bind(fd, &at->sa, sizeof(at->in)) && !getsockname(fd, &at->sa, &n) &&
	    !setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)) &&
	    !setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Bits per second; below 0: it cannot be told. */
static double capacity(void)
{
	static const struct snet_shape_spec like = { .rate = SNET_RATE_MAX, .delay = SNET_MS };
	struct snet_addr any;
	struct course c = { .from = here(&any), .out = here(&any) };
	double best = 0;

	c.in = here(&c.at);
	c.to = here(&c.end);
	snet_shape_init(&c.shape, &like, 1);
	c.failed = c.from < 0 || c.out < 0 || c.in < 0 || c.to < 0;
	if (!c.failed)
		fill(&c);
	for (int i = 0; i < 5 && !c.failed; i++)
		best = fmax(best, carried(&c));
	while (c.pending.n)
		send_on(&c);
	snet_pending_fini(&c.pending);
	for (int i = 0; i < 4; i++) {
		int fd = (const int[]){ c.from, c.out, c.in, c.to }[i];

		if (fd >= 0)
			close(fd);
	}
	return best > 0 ? best * 2 / 3 : -1; /* trains come shorter when time is kept */
}

int link_check_rate(struct link *l, uint64_t rate, struct snet_error *err)
{
	char asked[SNET_UNITS_TEXT], text[SNET_UNITS_TEXT];

	if (rate < CHECK_FROM)
		return SNET_OK;
	if (l->capacity == 0)
		l->capacity = capacity();
	if (l->capacity <= 0 || (double)rate <= l->capacity)
		return SNET_OK;
	return snet_fail(err, SNET_ECONFIG,
			 "rate %s: this machine carries %s at most, and would cap it silently",
			 snet_rate_print(rate, asked),
			 snet_rate_print((uint64_t)(l->capacity / 1e6) * 1000000, text));
}

int link_check_rates(struct link *l, struct snet_error *err)
{
	uint64_t most = 0;

	for (size_t k = 0; k < l->net.n * l->net.n; k++)
		if (l->net.links[k].shape.spec.rate > most)
			most = l->net.links[k].shape.spec.rate;
	return link_check_rate(l, most, err);
}
