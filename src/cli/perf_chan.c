#include "cli/perf_chan.h"

#include <string.h>

#include "cli/groups.h"

static struct snet_block *filler;

const struct perf_carrier *perf_carrier_find(const char *scheme)
{
	static const struct perf_carrier *const all[] = { &perf_quic, &perf_tcp, &perf_udp };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(all[i]->scheme, scheme))
			return all[i];
	return NULL;
}

int perf_carrier_check(const struct net *n, const struct snet_url *u, struct snet_error *err)
{
	const struct perf_carrier *t = perf_carrier_find(u->scheme);

	if (!t)
		return snet_fail(err, SNET_EINVAL, "%s://: want quic://, tcp:// or udp://",
				 u->scheme);
	if (t == &perf_quic)
		return u->has_key ? SNET_OK : net_check_trust(n, err);
	if (cli.insecure && !u->has_key)
		return SNET_OK;
	return snet_fail(err, SNET_ECONFIG,
			 "%s:// knows no keys, anybody can be at the other end: it needs "
			 "--insecure%s",
			 u->scheme, u->has_key ? ", and no key id" : "");
}

int perf_chan_send(struct perf_chan *c, const struct perf_message *m, size_t total)
{
	uint8_t b[PERF_MESSAGE_MAX];
	size_t n = perf_message_encode(b, m);

	return c->carrier->send(c, b, n, total > n ? total : n);
}

int perf_chan_send_ahead(struct perf_chan *c, const struct perf_message *m)
{
	uint8_t b[PERF_MESSAGE_MAX];
	size_t n = perf_message_encode(b, m);

	return c->carrier->send_ahead ? c->carrier->send_ahead(c, b, n)
				      : c->carrier->send(c, b, n, n);
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

int perf_listen_where(const struct snet_url *at, struct snet_addr out[static 2], size_t *n,
		      struct snet_error *err)
{
	struct snet_addr found[NET_ADDRS];
	size_t k = 0;
	int rc;

	*n = 0;
	if (!at->host[0]) {
		if (!cli.only_ipv4)
			out[(*n)++] = (struct snet_addr){ .in6 = { .sin6_family = AF_INET6 } };
		if (!cli.only_ipv6)
			out[(*n)++] = (struct snet_addr){ .in = { .sin_family = AF_INET } };
		for (size_t i = 0; i < *n; i++)
			snet_addr_set_port(&out[i], at->port);
		return SNET_OK;
	}
	rc = net_resolve(at, true, found, &k, err);
	if (rc)
		return rc;
	out[(*n)++] = found[0];
	return SNET_OK;
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
