/* Endpoint: datagrams from strangers. The input is a list of them, each a big-endian
 * u16 length and its bytes; a first byte says from where, and whether address
 * validation is on. Whatever comes, the endpoint keeps no connection that has not shown
 * a lawful Initial, and never fails. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "crypto/allow.h"
#include "crypto/identity.h"
#include "io/loop.h"
#include "transport/quic_endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct {
	struct snet_loop *loop;
	struct snet_identity *id;
	struct snet_trust *trust;
	struct snet_endpoint *ep;
} at;

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	(void)e, (void)user;
	c->transport->close(c, SNET_EPOLICY, "no");
}

static const struct snet_endpoint_events events = { .on_accept = on_accept };

static void begin(void)
{
	static struct snet_transport_config cfg = { .max_conns = 32, .retry_above = 16 };
	struct snet_addr local;

	if (at.ep)
		return;
	assert(!snet_addr_parse(&local, "127.0.0.1:0"));
	assert(!snet_loop_new(&at.loop));
	assert(!snet_identity_new(&at.id, SNET_KEY_P256, NULL, NULL));
	assert(!snet_trust_new(&at.trust, NULL));
	cfg.identity = at.id;
	cfg.trust = at.trust;
	assert(!snet_transport_quic.bind(&at.ep, at.loop, &local, -1, &cfg, &events, NULL,
					 NULL));
}

static void on_stop(struct snet_task *t)
{
	snet_loop_stop(t->user);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);
	uint8_t from = snet_take_u8(&r);
	struct snet_path path;
	struct snet_task stop;

	begin();
	at.ep->cfg.retry_above = from & 1 ? 1 : 16;
	snet_transport_quic.address(at.ep, &path.local);
	/* Port 9 discards: answers go nowhere. */
	assert(!snet_addr_parse(&path.remote, from & 2 ? "127.0.0.2:9" : "127.0.0.1:9"));
	while (snet_left(&r) >= 2 && !r.bad) {
		size_t k = snet_take_be16(&r);
		const uint8_t *d = snet_take(&r, k < snet_left(&r) ? k : snet_left(&r));

		if (d && k)
			snet_quic_endpoint_input(at.ep, &path, from & 3, d, (size_t)(r.at - d));
	}
	snet_task_init(&stop, on_stop, at.loop);
	snet_task_defer(at.loop, &stop);
	snet_loop_run(at.loop);
	assert(at.ep->n_conns <= 32);
	return 0;
}
