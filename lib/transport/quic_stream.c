#include "transport/quic_conn.h"

#include <stdlib.h>

#define UNSENT_ENOUGH (1 << 20)   /* bytes: beyond this more would only grow old in the queue */
#define UNSENT_LITTLE (512 << 10) /* below this more is welcome again */

/* ---- which stream */

struct quic_stream *quic_stream_new(struct quic_conn *c, int64_t id, unsigned number,
				    bool sends)
{
	struct quic_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->id = id;
	s->number = number;
	s->sends = sends;
	snet_list_add(&c->streams, &s->node);
	return s;
}

void quic_stream_free(struct quic_stream *s)
{
	snet_list_del(&s->node);
	quic_txq_fini(&s->tx);
	free(s);
}

static struct quic_stream *find(struct quic_conn *c, unsigned number, bool sends)
{
	for (struct snet_list *n = c->streams.next; n != &c->streams; n = n->next) {
		struct quic_stream *s = SNET_OF(n, struct quic_stream, node);

		if (s->number == number &&
		    (s->sends == sends || number == QUIC_STREAM_MESSAGES))
			return s;
	}
	return NULL;
}

/* Stream k > 0 is this side's k-th unidirectional one: the lower ones are opened with it,
 * silently. */
struct quic_stream *quic_stream_to_send(struct quic_conn *c, unsigned number)
{
	struct quic_stream *s = find(c, number, true);

	if (s || number == QUIC_STREAM_MESSAGES || number >= SNET_STREAMS || !c->base.open)
		return s;
	for (unsigned k = 1; k <= number; k++) {
		int64_t id;

		s = find(c, k, true);
		if (s)
			continue;
		if (ngtcp2_conn_open_uni_stream(c->q, &id, NULL))
			return NULL;
		s = quic_stream_new(c, id, k, true);
		if (!s)
			return NULL;
		ngtcp2_conn_set_stream_user_data(c->q, id, s);
	}
	return s;
}

/* The end of stream 0 is the end of everything: it waits for the others. */
bool quic_stream_may_end(const struct quic_conn *c, const struct quic_stream *s)
{
	if (!s->fin || s->fin_sent)
		return false;
	for (const struct snet_list *n = c->streams.next; !s->number && n != &c->streams;
	     n = n->next) {
		const struct quic_stream *other = SNET_OF(n, const struct quic_stream, node);

		if (other->number && other->sends && other->fin && !other->fin_acked)
			return false;
	}
	return true;
}

static bool has_work(const struct quic_conn *c, const struct quic_stream *s)
{
	return s->sends && !s->gone && !s->blocked &&
	       (s->tx.sent < s->tx.end || quic_stream_may_end(c, s));
}

/* Round robin, a packet each. */
struct quic_stream *quic_stream_ready(struct quic_conn *c)
{
	struct snet_list *n = c->next ? &c->next->node : c->streams.next;

	if (c->streams.next->next == &c->streams) { /* one stream: no turns to take */
		struct quic_stream *s = SNET_OF(c->streams.next, struct quic_stream, node);

		return has_work(c, s) ? s : NULL;
	}
	for (int most = 2 * SNET_STREAMS + 2; most; most--, n = n->next) {
		struct quic_stream *s;

		if (n == &c->streams)
			continue;
		s = SNET_OF(n, struct quic_stream, node);
		if (!has_work(c, s))
			continue;
		c->next = n->next == &c->streams ? NULL
						 : SNET_OF(n->next, struct quic_stream, node);
		return s;
	}
	return NULL;
}

/* ---- sending */

int quic_send(struct snet_conn *base, unsigned stream, const struct snet_slice *v, size_t n)
{
	struct quic_conn *c = SNET_OF(base, struct quic_conn, base);
	struct quic_stream *s;
	size_t total = 0;
	int rc;

	if (c->state != QUIC_OPEN || c->closing)
		return SNET_ECLOSED;
	if (c->queued >= c->ep->cfg.queue) {
		c->told_full = true;
		return SNET_EAGAIN;
	}
	s = quic_stream_to_send(c, stream);
	if (!s)
		return stream < SNET_STREAMS ? SNET_ENOMEM : SNET_EINVAL;
	if (s->fin || s->gone)
		return SNET_ECLOSED;
	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	rc = quic_txq_add(&s->tx, v, n);
	if (rc)
		return rc;
	c->queued += total;
	c->unsent += total;
	quic_mark(c);
	return SNET_OK;
}

int quic_finish(struct snet_conn *base, unsigned stream)
{
	struct quic_conn *c = SNET_OF(base, struct quic_conn, base);
	struct quic_stream *s = c->state == QUIC_OPEN ? find(c, stream, true) : NULL;

	if (!s || !s->sends)
		return c->state == QUIC_OPEN ? SNET_OK : SNET_ECLOSED;
	s->fin = true;
	quic_mark(c);
	return SNET_OK;
}

bool quic_can_send(struct snet_conn *base)
{
	struct quic_conn *c = SNET_OF(base, struct quic_conn, base);
	bool yes = c->state == QUIC_OPEN && !c->closing && c->unsent < UNSENT_ENOUGH &&
		   c->queued < c->ep->cfg.queue;

	if (!yes)
		c->told_full = true;
	return yes;
}

void quic_stream_acked(struct quic_conn *c, struct quic_stream *s, uint64_t offset)
{
	uint64_t before = s->tx.acked;

	quic_txq_acked(&s->tx, offset);
	c->acked = c->last;
	c->queued -= (size_t)(s->tx.acked - before);
}

static bool all_flushed(const struct quic_conn *c)
{
	bool first = false;

	for (struct snet_list *n = c->streams.next; n != &c->streams; n = n->next) {
		const struct quic_stream *s = SNET_OF(n, struct quic_stream, node);

		if (s->sends && s->tx.end && !s->fin_acked)
			return false;
		if (s->number == QUIC_STREAM_MESSAGES && s->sends)
			first = s->fin_acked;
	}
	return first;
}

void quic_tell(struct quic_conn *c)
{
	if (!c->base.open)
		return;
	if (c->told_full && !c->closing && c->unsent <= UNSENT_LITTLE &&
	    c->queued < c->ep->cfg.queue) {
		c->told_full = false;
		c->base.events->on_drain(&c->base, c->base.user);
	}
	if (!c->told_flushed && !c->closing && all_flushed(c)) {
		c->told_flushed = true;
		c->base.events->on_flushed(&c->base, c->base.user);
	}
}

/* ---- receiving */

void quic_consumed(struct snet_conn *base, unsigned stream, size_t n)
{
	struct quic_conn *c = SNET_OF(base, struct quic_conn, base);
	struct quic_stream *s = c->q ? find(c, stream, false) : NULL;

	if (!c->q || !n)
		return;
	/* A stream that is over needs no more credit, its connection does. */
	if (s)
		ngtcp2_conn_extend_max_stream_offset(c->q, s->id, n);
	ngtcp2_conn_extend_max_offset(c->q, n);
	quic_mark(c);
}
