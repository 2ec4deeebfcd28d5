#include "transport/quic_conn.h"

#include <stdlib.h>

#define UNSENT_ENOUGH (1 << 20)   /* bytes: beyond this more would only grow old in the queue */
#define UNSENT_LITTLE (512 << 10) /* below this more is welcome again */

/* ---- which stream */

struct snet_quic_stream *snet_quic_stream_new(struct snet_quic_conn *c, int64_t id,
					      unsigned number, bool sends)
{
	struct snet_quic_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->id = id;
	s->number = number;
	s->sends = sends;
	snet_list_add(&c->streams, &s->node);
	return s;
}

void snet_quic_stream_free(struct snet_quic_stream *s)
{
	snet_list_del(&s->node);
	snet_txq_fini(&s->tx);
	free(s);
}

static struct snet_quic_stream *find(struct snet_quic_conn *c, unsigned number, bool sends)
{
	for (struct snet_list *n = c->streams.next; n != &c->streams; n = n->next) {
		struct snet_quic_stream *s = SNET_OF(n, struct snet_quic_stream, node);

		if (s->number == number &&
		    (s->sends == sends || number == SNET_QUIC_STREAM_MESSAGES))
			return s;
	}
	return NULL;
}

/* Stream k > 0 is this side's k-th unidirectional one: the lower ones
 * are opened with it, silently. */
struct snet_quic_stream *snet_quic_stream_to_send(struct snet_quic_conn *c, unsigned number)
{
	struct snet_quic_stream *s = find(c, number, true);

	if (s || number == SNET_QUIC_STREAM_MESSAGES || number >= SNET_STREAMS || !c->base.open)
		return s;
	for (unsigned k = 1; k <= number; k++) {
		int64_t id;

		s = find(c, k, true);
		if (s)
			continue;
		if (ngtcp2_conn_open_uni_stream(c->q, &id, NULL))
			return NULL;
		s = snet_quic_stream_new(c, id, k, true);
		if (!s)
			return NULL;
		ngtcp2_conn_set_stream_user_data(c->q, id, s);
	}
	return s;
}

/* The end of stream 0 is the end of everything: it waits for the others. */
bool snet_quic_stream_may_end(const struct snet_quic_conn *c, const struct snet_quic_stream *s)
{
	if (!s->fin || s->fin_sent)
		return false;
	for (const struct snet_list *n = c->streams.next; !s->number && n != &c->streams;
	     n = n->next) {
		const struct snet_quic_stream *other =
			SNET_OF(n, const struct snet_quic_stream, node);

		if (other->number && other->sends && other->fin && !other->fin_acked)
			return false;
	}
	return true;
}

static bool has_work(const struct snet_quic_conn *c, const struct snet_quic_stream *s)
{
	return s->sends && !s->gone && !s->blocked && !s->unopened &&
	       (s->tx.sent < s->tx.end || s->announce || snet_quic_stream_may_end(c, s));
}

/* Round robin, a packet each. */
struct snet_quic_stream *snet_quic_stream_ready(struct snet_quic_conn *c)
{
	struct snet_list *n = c->next ? &c->next->node : c->streams.next;

	if (snet_list_is_empty(&c->streams))
		return NULL;
	if (c->streams.next->next == &c->streams) { /* one stream: no turns to take */
		struct snet_quic_stream *s =
			SNET_OF(c->streams.next, struct snet_quic_stream, node);

		return has_work(c, s) ? s : NULL;
	}
	for (int most = 2 * SNET_STREAMS + 2; most; most--, n = n->next) {
		struct snet_quic_stream *s;

		if (n == &c->streams)
			continue;
		s = SNET_OF(n, struct snet_quic_stream, node);
		if (!has_work(c, s))
			continue;
		c->next = n->next == &c->streams
				  ? NULL
				  : SNET_OF(n->next, struct snet_quic_stream, node);
		return s;
	}
	return NULL;
}

/* ---- sending */

int snet_quic_send(struct snet_conn *base, unsigned stream, const struct snet_slice *v,
		   size_t n)
{
	struct snet_quic_conn *c = SNET_OF(base, struct snet_quic_conn, base);
	struct snet_quic_stream *s;
	size_t total = 0;
	int rc;

	if ((c->state != SNET_QUIC_OPEN && !c->early) || c->closing)
		return SNET_ECLOSED;
	if (c->queued >= c->ep->cfg.queue) {
		c->told_full = true;
		return SNET_EAGAIN;
	}
	s = snet_quic_stream_to_send(c, stream);
	if (!s)
		return stream < SNET_STREAMS ? SNET_ENOMEM : SNET_EINVAL;
	if (s->fin || s->gone)
		return SNET_ECLOSED;
	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	rc = snet_txq_add(&s->tx, v, n);
	if (rc)
		return rc;
	c->queued += total;
	c->unsent += total;
	snet_quic_mark(c);
	return SNET_OK;
}

int snet_quic_finish(struct snet_conn *base, unsigned stream)
{
	struct snet_quic_conn *c = SNET_OF(base, struct snet_quic_conn, base);
	struct snet_quic_stream *s = c->state == SNET_QUIC_OPEN ? find(c, stream, true) : NULL;

	if (!s || !s->sends)
		return c->state == SNET_QUIC_OPEN ? SNET_OK : SNET_ECLOSED;
	s->fin = true;
	snet_quic_mark(c);
	return SNET_OK;
}

bool snet_quic_can_send(struct snet_conn *base)
{
	struct snet_quic_conn *c = SNET_OF(base, struct snet_quic_conn, base);
	bool yes = c->state == SNET_QUIC_OPEN && !c->closing && c->unsent < UNSENT_ENOUGH &&
		   c->queued < c->ep->cfg.queue;

	if (!yes)
		c->told_full = true;
	return yes;
}

void snet_quic_stream_acked(struct snet_quic_conn *c, struct snet_quic_stream *s,
			    uint64_t offset)
{
	uint64_t before = s->tx.acked;

	snet_txq_acked(&s->tx, offset);
	c->acked = c->last;
	c->queued -= (size_t)(s->tx.acked - before);
}

static bool all_flushed(const struct snet_quic_conn *c)
{
	bool first = false;

	for (struct snet_list *n = c->streams.next; n != &c->streams; n = n->next) {
		const struct snet_quic_stream *s = SNET_OF(n, struct snet_quic_stream, node);

		if (s->sends && s->fin && !s->fin_acked)
			return false;
		if (s->number == SNET_QUIC_STREAM_MESSAGES && s->sends)
			first = s->fin_acked;
	}
	return first;
}

void snet_quic_tell(struct snet_quic_conn *c)
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

void snet_quic_consumed(struct snet_conn *base, unsigned stream, size_t n)
{
	struct snet_quic_conn *c = SNET_OF(base, struct snet_quic_conn, base);
	struct snet_quic_stream *s = c->q ? find(c, stream, false) : NULL;

	if (!s || !n)
		return;
	s->credit += n;
	snet_quic_mark(c);
}

/* Once a turn, not once a packet. */
void snet_quic_stream_credit(struct snet_quic_conn *c)
{
	for (struct snet_list *n = c->streams.next; n != &c->streams; n = n->next) {
		struct snet_quic_stream *s = SNET_OF(n, struct snet_quic_stream, node);

		if (!s->credit)
			continue;
		ngtcp2_conn_extend_max_stream_offset(c->q, s->id, s->credit);
		ngtcp2_conn_extend_max_offset(c->q, s->credit);
		s->credit = 0;
	}
}
