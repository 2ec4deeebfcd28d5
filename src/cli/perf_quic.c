/* Messages of snet-perf as a program would send them: by a peer of lib/mesh, over QUIC. */
#include <stdlib.h>
#include <string.h>

#include "cli/perf_chan.h"
#include "io/loop.h"
#include "mesh/peer.h"

struct perf_listener {
	struct net *net;
	void (*on_accept)(struct perf_chan *c, void *user);
	void *user;
};

struct quic_chan {
	struct perf_chan c;
	struct snet_peer *peer;
	struct perf_listener *listener; /* of one that came and is not up yet */
	bool closed;                    /* by its owner: the peer is on its way out */
};

/* ---- what the peer says */

static void on_up(struct snet_peer *p, void *user)
{
	struct quic_chan *q = user;
	struct perf_listener *l = q->listener;

	q->c.remote = snet_peer_conn(p)->remote;
	q->c.key = snet_peer_conn(p)->peer_key;
	if (q->closed)
		return;
	q->listener = NULL;
	if (l)
		l->on_accept(&q->c, l->user);
	else
		q->c.ev->on_up(&q->c, q->c.user);
}

static void on_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	struct quic_chan *q = user;

	if (!q->closed && perf_chan_input(&q->c, m->p, m->n, m->n))
		snet_peer_close(p, SNET_EPROTO, "not a message of snet-perf");
}

static void on_eof(struct snet_peer *p, void *user)
{
	(void)user;
	snet_peer_close(p, SNET_OK, "done");
}

static void on_drain(struct snet_peer *p, void *user)
{
	struct quic_chan *q = user;

	(void)p;
	if (!q->closed && !q->listener)
		q->c.ev->on_room(&q->c, q->c.user);
}

static void on_flushed(struct snet_peer *p, void *user)
{
	(void)p, (void)user;
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct quic_chan *q = user;

	(void)p, (void)by_peer;
	if (!q->closed && !q->listener)
		q->c.ev->on_down(&q->c, code, why, q->c.user);
	free(q);
}

static const struct snet_peer_events peer_events = { on_up,    on_message, on_eof,
						     on_drain, on_flushed, on_down };

/* ---- from outside */

static void on_accept(struct snet_endpoint *e, struct snet_conn *conn, void *user)
{
	struct perf_listener *l = user;
	struct quic_chan *q = calloc(1, sizeof(*q));

	(void)e;
	if (!q) {
		conn->transport->close(conn, SNET_ENOMEM, "out of memory");
		return;
	}
	q->c.carrier = &perf_quic;
	q->c.wire = SNET_NEVER;
	q->listener = l;
	if (snet_peer_accept(&q->peer, l->net->loop, conn, &l->net->peer, &peer_events, q))
		free(q);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	(void)e, (void)from, (void)code, (void)why, (void)user; /* the log has it */
}

static int quic_listen(struct perf_listener **out, struct net *n, const struct snet_url *at,
		       void (*fn)(struct perf_chan *c, void *user), void *user,
		       struct snet_error *err)
{
	static const struct snet_endpoint_events events = { on_accept, on_refused };
	struct perf_listener *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return snet_fail(err, SNET_ENOMEM, "listener");
	*l = (struct perf_listener){ n, fn, user };
	rc = net_listen(n, at, -1, &events, l, err);
	if (rc)
		free(l);
	else
		*out = l;
	return rc;
}

static void quic_address(const struct perf_listener *l, struct snet_addr *out)
{
	l->net->transport->address(l->net->listener, out);
}

static void quic_unlisten(struct perf_listener *l)
{
	if (!l)
		return;
	l->net->transport->unbind(l->net->listener);
	l->net->listener = NULL;
	free(l);
}

static int quic_dial(struct perf_chan **out, struct net *n, const struct snet_url *url,
		     const struct snet_addr *to, bool stamped,
		     const struct perf_chan_events *ev, void *user, struct snet_error *err)
{
	struct quic_chan *q = calloc(1, sizeof(*q));
	struct snet_endpoint *e;
	int rc = q ? SNET_OK : snet_fail(err, SNET_ENOMEM, "connection");

	(void)stamped;
	if (!rc)
		rc = net_dialler(n, to->sa.sa_family, &e, err);
	if (rc) {
		free(q);
		return rc;
	}
	q->c = (struct perf_chan){ &perf_quic, ev, user, *to, NULL, SNET_NEVER };
	rc = snet_peer_dial(&q->peer, n->loop, e, n->transport, to,
			    url->has_key ? url->key : NULL, &n->peer, &peer_events, q, err);
	if (rc)
		free(q);
	else
		*out = &q->c;
	return rc;
}

static int quic_send(struct perf_chan *c, const uint8_t *p, size_t n, size_t total)
{
	struct quic_chan *q = SNET_OF(c, struct quic_chan, c);
	struct snet_slice v[2] = { { p, n, NULL } };
	struct snet_block *b = NULL;
	int rc;

	if (total > n) {
		b = perf_filler(total - n);
		if (!b)
			return SNET_ENOMEM;
		v[1] = (struct snet_slice){ b->data, total - n, b };
	}
	rc = snet_peer_send(q->peer, 0, SNET_KIND_DATA, v, b ? 2 : 1);
	snet_block_free(b);
	return rc;
}

/* Bytes that wait, wait in stream 0. */
static int quic_send_ahead(struct perf_chan *c, const uint8_t *p, size_t n)
{
	struct quic_chan *q = SNET_OF(c, struct quic_chan, c);
	struct snet_slice v = { p, n, NULL };

	return snet_peer_send(q->peer, 1, SNET_KIND_DATA, &v, 1);
}

static size_t quic_send_data(struct perf_chan *c, uint64_t seq, uint32_t size, size_t n)
{
	struct quic_chan *q = SNET_OF(c, struct quic_chan, c);
	uint8_t head[PERF_HEAD];
	size_t done = 0;

	for (; done < n && snet_peer_can_send(q->peer); done++) {
		perf_message_head(head, PERF_DATA, seq + done);
		if (quic_send(c, head, sizeof(head), size))
			break;
	}
	return done;
}

static void quic_close(struct perf_chan *c, int code, const char *why)
{
	struct quic_chan *q = SNET_OF(c, struct quic_chan, c);

	q->closed = true;
	snet_peer_close(q->peer, code, why);
}

static uint32_t quic_size_max(const struct snet_addr *to)
{
	(void)to;
	return PERF_SIZE_MAX;
}

const struct perf_carrier perf_quic = {
	.scheme = "quic",
	.listen = quic_listen,
	.address = quic_address,
	.unlisten = quic_unlisten,
	.dial = quic_dial,
	.send = quic_send,
	.send_ahead = quic_send_ahead,
	.send_data = quic_send_data,
	.close = quic_close,
	.size_max = quic_size_max,
};
