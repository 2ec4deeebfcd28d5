/* Peer: the streams of an authenticated stranger, over the in-process transport. The first byte
 * picks profile, parts and pauses; then runs of stream, length, bytes. The peer goes down
 * exactly once, and no message is larger than it may be. */
#undef NDEBUG
#include <assert.h>

#include "crypto/allow.h"
#include "crypto/identity.h"
#include "io/loop.h"
#include "mesh/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define MAX 4096 /* bytes of a message */
#define TURNS 24

static const struct snet_transport *const t = &snet_transport_loop;

static struct {
	struct snet_loop *loop;
	struct snet_identity *id;
	struct snet_trust *trust;
	struct snet_peer *peer;
	struct snet_conn *evil;
	bool open, pauses;
	unsigned downs, turns;
	const uint8_t *p;
	size_t n;
	uint8_t flags;
} at;

static void on_up(struct snet_peer *p, void *user)
{
	(void)p, (void)user;
}

static void on_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	(void)user;
	assert(m->n <= MAX || at.flags & 2);
	assert(m->stream < SNET_STREAMS);
	if (at.pauses && m->seq % 3 == 1) {
		snet_peer_pause(p);
		snet_peer_resume(p);
	}
}

static void on_eof(struct snet_peer *p, void *user)
{
	(void)user;
	snet_peer_finish(p);
}

static void on_nothing(struct snet_peer *p, void *user)
{
	(void)p, (void)user;
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	(void)p, (void)code, (void)by_peer, (void)user;
	assert(why && !at.downs++);
	at.peer = NULL;
}

static const struct snet_peer_events peer_events = { on_up,      on_message, on_eof,
						     on_nothing, on_nothing, on_down };

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	struct snet_peer_opts o = { .max_message = MAX, .parts = at.flags & 2 };

	(void)e, (void)user;
	assert(!snet_peer_accept(&at.peer, at.loop, c, &o, &peer_events, NULL));
}

static const struct snet_endpoint_events endpoint_events = { .on_accept = on_accept };

/* ---- the stranger */

static void evil_open(struct snet_conn *c, void *user)
{
	(void)c, (void)user;
	at.open = true;
}

static void evil_data(struct snet_conn *c, unsigned stream, const uint8_t *p, size_t n,
		      bool fin, void *user)
{
	(void)p, (void)fin, (void)user;
	c->transport->consumed(c, stream, n);
}

static void evil_nothing(struct snet_conn *c, void *user)
{
	(void)c, (void)user;
}

static void evil_close(struct snet_conn *c, int code, const char *why, bool by_peer, void *user)
{
	(void)c, (void)code, (void)why, (void)by_peer, (void)user;
	at.evil = NULL;
}

static const struct snet_conn_events evil_events = { evil_open, evil_data, evil_nothing,
						     evil_nothing, evil_close };

static void say_something(void)
{
	struct snet_reader r = snet_reader(at.p, at.n);
	unsigned stream = snet_take_u8(&r) % SNET_STREAMS;
	size_t k = snet_take_u8(&r);
	struct snet_slice s = { 0 };

	if (r.bad) {
		at.n = 0;
		t->finish(at.evil, 0);
		return;
	}
	s.n = k < snet_left(&r) ? k : snet_left(&r);
	s.p = snet_take(&r, s.n);
	if (s.n)
		t->send(at.evil, stream, &s, 1);
	at.p = r.at;
	at.n = snet_left(&r);
}

static void on_turn(struct snet_task *task)
{
	for (int most = 8; most && at.evil && at.open && at.n; most--)
		say_something();
	if (at.turns++ < TURNS)
		snet_task_defer(at.loop, task);
	else
		snet_loop_stop(at.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_transport_config cfg;
	struct snet_endpoint *good, *bad;
	struct snet_addr any, to;
	struct snet_task turn;

	if (!n)
		return 0;
	if (!at.loop) {
		assert(!snet_loop_new(&at.loop));
		assert(!snet_identity_new(&at.id, SNET_KEY_ED25519, NULL, NULL));
		assert(!snet_trust_new(&at.trust, NULL));
		snet_trust_set_insecure(at.trust);
	}
	at.flags = p[0];
	at.pauses = p[0] & 4;
	at.p = p + 1;
	at.n = n - 1;
	at.downs = at.turns = 0;
	at.open = false;
	cfg = (struct snet_transport_config){ .identity = at.id,
					      .trust = at.trust,
					      .crate_only = p[0] & 1 };
	assert(!snet_addr_parse(&any, "127.0.0.1:0"));
	assert(!t->bind(&good, at.loop, &any, -1, &cfg, &endpoint_events, NULL, NULL));
	assert(!t->bind(&bad, at.loop, &any, -1, &cfg, NULL, NULL, NULL));
	t->address(good, &to);
	assert(!t->dial(&at.evil, bad, &to, NULL, &evil_events, NULL, NULL));
	snet_task_init(&turn, on_turn, NULL);
	snet_task_defer(at.loop, &turn);
	snet_loop_run(at.loop);
	t->unbind(bad);
	t->unbind(good);
	snet_task_cancel(&turn);
	assert(!at.peer && !at.evil);
	return 0;
}
