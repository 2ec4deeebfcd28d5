#include "cli/perf_chan.h"

#include <string.h>

static struct snet_block *filler;

const struct perf_carrier *perf_carrier_find(const char *scheme)
{
	static const struct perf_carrier *const all[] = { &perf_quic, &perf_tcp, &perf_udp };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(all[i]->scheme, scheme))
			return all[i];
	return NULL;
}

int perf_chan_send(struct perf_chan *c, const struct perf_message *m, size_t total)
{
	uint8_t b[PERF_MESSAGE_MAX];
	size_t n = perf_message_encode(b, m);

	return c->carrier->send(c, b, n, total > n ? total : n);
}

void perf_chan_close(struct perf_chan *c, int code, const char *why)
{
	if (c)
		c->carrier->close(c, code, why);
}

int perf_chan_input(struct perf_chan *c, const uint8_t *p, size_t n, size_t total)
{
	struct perf_message m;
	int rc = perf_message_decode(&m, p, n, total);

	if (!rc)
		c->ev->on_message(c, &m, total, c->user);
	return rc;
}

/* Nothing that a link could compress. */
struct snet_block *perf_filler(size_t n)
{
	uint32_t x = 2463534242u;

	if (!filler || filler->cap < n) {
		struct snet_block *b = snet_block_new(n);

		if (!b)
			return NULL;
		for (size_t i = 0; i < n; i++) {
			x ^= x << 13, x ^= x >> 17, x ^= x << 5; /* Marsaglia's xorshift */
			b->data[i] = (uint8_t)x;
		}
		b->n = n;
		snet_block_free(filler);
		filler = b;
	}
	return snet_block_hold(filler);
}

void perf_filler_free(void)
{
	snet_block_free(filler);
	filler = NULL;
}
