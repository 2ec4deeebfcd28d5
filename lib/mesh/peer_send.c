#include "mesh/peer_impl.h"

/* What the owner asks of a peer once it is there. */

int snet_peer_send(struct snet_peer *p, unsigned stream, uint8_t kind,
		   const struct snet_slice *v, size_t n)
{
	uint8_t head[SNET_FRAME_HEAD + 1];
	size_t total = 0, extra = snet_peer_is_snet1(p) ? 1 : 0;
	int rc;

	if (!snet_peer_may_send(p))
		return SNET_ECLOSED;
	if (stream >= SNET_STREAMS || (stream && !extra))
		return SNET_EINVAL;
	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	if (total > SNET_MESSAGE_MAX)
		return SNET_ETOOBIG;
	snet_frame_head(head, (uint32_t)(total + extra));
	head[SNET_FRAME_HEAD] = kind;
	rc = snet_framed_send(&p->framed, stream, head, SNET_FRAME_HEAD + extra, v, n);
	if (!rc) {
		p->sent += total + SNET_FRAME_HEAD + extra;
		if (!p->timer.slot)
			snet_peer_watch(p);
	}
	return rc;
}

int snet_peer_send_frames(struct snet_peer *p, unsigned stream, const struct snet_slice *v)
{
	int rc;

	if (!snet_peer_may_send(p))
		return SNET_ECLOSED;
	if (stream >= SNET_STREAMS || !snet_peer_is_snet1(p))
		return SNET_EINVAL;
	rc = p->conn->transport->send(p->conn, stream, v, 1);
	if (!rc) {
		p->sent += v->n;
		if (!p->timer.slot)
			snet_peer_watch(p);
	}
	return rc;
}

bool snet_peer_can_send(struct snet_peer *p)
{
	return snet_peer_may_send(p) && p->conn->transport->can_send(p->conn);
}

size_t snet_peer_queued(const struct snet_peer *p)
{
	return p->conn ? p->conn->transport->queued(p->conn) : 0;
}

size_t snet_peer_unacked(const struct snet_peer *p)
{
	return p->unacked;
}

size_t snet_peer_undelivered(const struct snet_peer *p)
{
	return p->undelivered;
}

void snet_peer_finish(struct snet_peer *p)
{
	if (p->finished || !p->conn)
		return;
	p->finished = true;
	for (unsigned i = SNET_STREAMS; i--;)
		p->conn->transport->finish(p->conn, i);
	snet_peer_watch(p);
}

void snet_peer_pause(struct snet_peer *p)
{
	p->stall.was_paused = true;
	snet_framed_pause(&p->framed);
}

void snet_peer_resume(struct snet_peer *p)
{
	snet_framed_resume(&p->framed);
}

void snet_peer_ungate(struct snet_peer *p)
{
	snet_framed_ungate(&p->framed);
}

void snet_peer_close(struct snet_peer *p, int code, const char *why)
{
	if (p->in_closing)
		return;
	p->in_closing = true;
	if (p->conn) {
		p->conn->transport->close(p->conn, code, why);
		return;
	}
	/* Closed already, and held back: now it goes down. */
	p->close_code = p->close_code ? p->close_code : code;
	p->framed.paused = 0;
	p->framed.broken = true;
	snet_task_defer(p->loop, &p->framed.resume);
}

const struct snet_conn *snet_peer_conn(const struct snet_peer *p)
{
	return p->conn ? p->conn : &p->seen;
}

uint64_t snet_peer_id(const struct snet_peer *p)
{
	return p->id;
}

enum snet_role snet_peer_role(const struct snet_peer *p)
{
	return p->role;
}

void *snet_peer_user(const struct snet_peer *p)
{
	return p->user;
}
