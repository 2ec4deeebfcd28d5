#include "transport/quic_conn.h"

#include <string.h>

#include "base/log.h"

#define BURSTS 16 /* sends of one connection in one turn: then the others */
#define IOVECS 16
#define STALL_PTOS 3
/* Unsent bytes that make a connection worth probing for jumbo packets. */
#define BULK_BYTES (96 << 10)

/* One GSO train in the making, at the start of the endpoint's scratch. */
struct train {
	size_t n;       /* bytes */
	size_t segment; /* of each datagram but the last; 0: nothing yet */
	uint8_t ecn;
	struct snet_path path;
};

static void path_of(struct snet_path *out, const ngtcp2_path *p)
{
	memcpy(&out->local, p->local.addr, p->local.addrlen);
	memcpy(&out->remote, p->remote.addr, p->remote.addrlen);
}

static bool same_path(const struct snet_path *a, const ngtcp2_path *b)
{
	return !memcmp(&a->remote, b->remote.addr, b->remote.addrlen) &&
	       !memcmp(&a->local, b->local.addr, b->local.addrlen);
}

/* The path carries less than it did: ngtcp2 would try the old size for ever */
static void shrink(struct snet_quic_conn *c)
{
	if (c->mtu_cap == SNET_QUIC_MIN_PAYLOAD)
		return;
	c->mtu_cap = SNET_QUIC_MIN_PAYLOAD;
	snet_log(SNET_LOG_INFO, "quic",
		 "the path carries less than it did: back to packets of %u bytes", c->mtu_cap);
}

/* A router on the way that drops what has become too large, and says nothing: what was sent is
 * not acknowledged for longer than loss explains (RFC 8899 §4.3). */
void snet_quic_tx_stalled(struct snet_quic_conn *c, snet_time now)
{
	if (c->queued > c->unsent && now > c->acked &&
	    now - c->acked > STALL_PTOS * ngtcp2_conn_get_pto(c->q) &&
	    ngtcp2_conn_get_path_max_tx_udp_payload_size(c->q) > SNET_QUIC_MIN_PAYLOAD)
		shrink(c);
}

/* false: the socket is full, the train is parked in the scratch. */
static bool send_train(struct snet_quic_conn *c, struct train *t, bool probe)
{
	int rc;

	if (!t->n)
		return true;
	c->sent += t->n;
	rc = snet_udp_send(c->ep->udp, &t->path, t->ecn, t->n, t->segment);
	/* A probe that is too large for the interface is lost like any
	 * other: that is the answer. */
	if (rc == SNET_ETOOBIG && !probe)
		shrink(c);
	t->n = t->segment = 0;
	return rc != SNET_EAGAIN;
}

struct limits {
	size_t max, path; /* of a packet: with probes, without */
};

static struct limits limits(const struct snet_quic_conn *c)
{
	struct limits l = { ngtcp2_conn_get_max_tx_udp_payload_size(c->q),
			    ngtcp2_conn_get_path_max_tx_udp_payload_size(c->q) };

	/* Probing is ngtcp2's as soon as a packet might be that long. A connection
	 * that sends little has nothing to gain from it: a packet that nothing fills is two to
	 * send and two to acknowledge for each of many. Nor from jumbo packets, and the buffer
	 * for one costs its peer 64 KiB. */
	if (!c->fills && l.path <= SNET_QUIC_MIN_PAYLOAD)
		l.max = SNET_QUIC_MIN_PAYLOAD;
	if (!c->bulk && l.max > SNET_QUIC_PLAIN_PAYLOAD && l.path <= SNET_QUIC_PLAIN_PAYLOAD)
		l.max = SNET_QUIC_PLAIN_PAYLOAD;
	if (c->mtu_cap && l.max > c->mtu_cap)
		l.max = c->mtu_cap;
	if (l.path > l.max)
		l.path = l.max;
	return l;
}

enum step { STEP_PACKET, STEP_NOTHING, STEP_AGAIN, STEP_FAILED };

/* Writes one packet at p: data of the stream whose turn it is, or whatever else is due. */
static enum step write_packet(struct snet_quic_conn *c, ngtcp2_path_storage *ps,
			      ngtcp2_pkt_info *pi, uint8_t *p, size_t room, snet_time now,
			      ngtcp2_ssize *nw)
{
	struct snet_quic_stream *s = snet_quic_stream_ready(c);
	struct iovec iov[IOVECS];
	uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
	ngtcp2_ssize taken = -1;
	size_t n = 0;

	if (s) {
		uint64_t unsent = s->tx.end - s->tx.sent;

		n = snet_txq_unsent(&s->tx, iov, IOVECS, room);
		if (unsent <= room && snet_quic_stream_may_end(c, s))
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		if (unsent < room)
			flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
	}
	*nw = ngtcp2_conn_writev_stream(c->q, &ps->path, pi, p, room, &taken, flags,
					s ? s->id : -1, (const ngtcp2_vec *)(void *)iov, n,
					now);
	if (s && taken >= 0) {
		s->announce = false;
		if (c->queued == c->unsent)
			c->acked = now;
		snet_txq_sent(&s->tx, (size_t)taken);
		c->unsent -= (size_t)taken;
		if (flags & NGTCP2_WRITE_STREAM_FLAG_FIN && s->tx.sent == s->tx.end)
			s->fin_sent = true;
	}
	switch (*nw) {
	case NGTCP2_ERR_WRITE_MORE:
		return STEP_AGAIN;
	case NGTCP2_ERR_STREAM_DATA_BLOCKED:
		s->blocked = true;
		return STEP_AGAIN;
	case NGTCP2_ERR_STREAM_SHUT_WR:
	case NGTCP2_ERR_STREAM_NOT_FOUND:
		s->gone = true;
		return STEP_AGAIN;
	case 0:
		return STEP_NOTHING;
	}
	if (*nw > 0)
		return STEP_PACKET;
	ngtcp2_ccerr_set_liberr(&c->ccerr, (int)*nw, NULL, 0);
	snet_quic_conn_fail(c, SNET_EPROTO, ngtcp2_strerror((int)*nw), false, false);
	return STEP_FAILED;
}

/* Adds the packet of n bytes that lies at the end of the train, or sends the train first when
 * it cannot be part of it: another path or mark, or larger than the others - a probe goes
 * alone. Returns whether more may follow. */
static bool couple(struct snet_quic_conn *c, struct train *t, size_t n, const ngtcp2_path *path,
		   uint8_t ecn, const struct limits *l, bool *go_on)
{
	uint8_t *scratch = snet_udp_scratch(c->ep->udp);

	if (t->n && (n > t->segment || ecn != t->ecn || !same_path(&t->path, path) ||
		     (t->segment > l->path && n != t->segment))) {
		size_t before = t->n;

		if (!send_train(c, t, t->segment > l->path)) {
			/* The scratch is taken, this packet is lost: QUIC repairs that. */
			*go_on = false;
			return false;
		}
		memmove(scratch, scratch + before, n);
	}
	if (!t->n) {
		t->segment = n;
		t->ecn = ecn;
		memset(&t->path, 0, sizeof(t->path));
		path_of(&t->path, path);
	}
	t->n += n;
	return n == t->segment && t->n / t->segment < SNET_UDP_SEGMENTS;
}

/* One train. *go_on = false when there is no more to send, or no more room. */
static bool burst(struct snet_quic_conn *c, size_t quantum, snet_time now, bool *go_on)
{
	uint8_t *scratch = snet_udp_scratch(c->ep->udp);
	struct limits l = limits(c);
	struct train t = { 0 };
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi = { 0 };
	ngtcp2_ssize nw;

	if (quantum > SNET_UDP_PAYLOAD_MAX)
		quantum = SNET_UDP_PAYLOAD_MAX;
	if (quantum < l.max)
		quantum = l.max;
	ngtcp2_path_storage_zero(&ps);
	for (;;) {
		size_t room = quantum - t.n >= l.max ? l.max : l.path;
		enum step step;

		do
			step = write_packet(c, &ps, &pi, scratch + t.n, room, now, &nw);
		while (step == STEP_AGAIN);
		if (step == STEP_FAILED)
			return false;
		if (step == STEP_NOTHING) {
			*go_on = false;
			break;
		}
		if (!couple(c, &t, (size_t)nw, &ps.path, (uint8_t)pi.ecn, &l, go_on))
			break;
		if (quantum - t.n < l.path)
			break;
	}
	if (!send_train(c, &t, t.segment > l.path))
		*go_on = false;
	return true;
}

void snet_quic_tx(struct snet_quic_conn *c)
{
	snet_time now = snet_quic_clock(c);
	bool go_on = true;

	c->stale = false;
	snet_quic_stream_credit(c);
	if (c->unsent > SNET_QUIC_MIN_PAYLOAD)
		c->fills = true;
	if (c->unsent > BULK_BYTES)
		c->bulk = true;
	for (int i = 0; i < BURSTS && go_on && !snet_udp_is_blocked(c->ep->udp); i++)
		if (!burst(c, ngtcp2_conn_get_send_quantum(c->q), now, &go_on))
			return;
	ngtcp2_conn_update_pkt_tx_time(c->q, now);
	if (go_on || snet_udp_is_blocked(c->ep->udp))
		snet_quic_mark(c);
}
