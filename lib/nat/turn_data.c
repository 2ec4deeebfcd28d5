/* Turn: data for peers, RFC 8656 §11 and §12.5. */
#include <string.h>

#include "nat/turn_impl.h"

#define CHANNEL_HEADER 4

struct entry {                 /* stands before the bytes, in the queues */
	struct snet_addr peer; /* of what is held only */
	size_t n;
};

static size_t padded(const struct snet_turn *t, size_t n)
{
	return t->o.stream ? (n + 3) & ~(size_t)3 : n; /* §12.5: over a stream it must be */
}

static size_t put_channel(const struct snet_turn *t, const struct turn_grant *g, const void *p,
			  size_t n, uint8_t *out, size_t cap)
{
	size_t whole = CHANNEL_HEADER + padded(t, n);

	if (whole > cap)
		return 0;
	snet_put_be16(out, turn_channel_number(t, (size_t)(g - t->channel)));
	snet_put_be16(out + 2, (uint16_t)n);
	if (n)
		memcpy(out + CHANNEL_HEADER, p, n);
	memset(out + CHANNEL_HEADER + n, 0, whole - CHANNEL_HEADER - n);
	return whole;
}

static size_t put_indication(struct snet_turn *t, const struct snet_addr *peer, const void *p,
			     size_t n, uint8_t *out, size_t cap)
{
	uint8_t id[SNET_STUN_ID];
	struct snet_stunout o;

	turn_new_id(t, id);
	snet_stunmsg_begin(&o, out, cap, SNET_STUN_INDICATION, SNET_STUN_SEND, id);
	snet_stunmsg_put_addr(&o, SNET_STUN_XOR_PEER_ADDRESS, peer);
	if (t->dont_fragment)
		snet_stunmsg_put(&o, SNET_STUN_DONT_FRAGMENT, NULL, 0);
	snet_stunmsg_put(&o, SNET_STUN_DATA, p, n);
	return snet_stunmsg_end(&o);
}

int snet_turn_wrap(struct snet_turn *t, const struct snet_addr *peer, const void *p, size_t n,
		   uint8_t *out, size_t cap, size_t *len)
{
	struct turn_grant *perm, *channel;

	if (t->state == TURN_CLOSED || t->state == TURN_LEAVING)
		return SNET_ECLOSED;
	perm = turn_permission(t, peer);
	if (!perm)
		return SNET_ENOENT;
	if (n > SNET_TURN_DATA_MAX)
		return SNET_ETOOBIG;
	if (!perm->granted)
		return SNET_EAGAIN;
	channel = turn_channel(t, peer);
	*len = channel ? put_channel(t, channel, p, n, out, cap)
		       : put_indication(t, peer, p, n, out, cap);
	return *len ? SNET_OK : SNET_ETOOBIG;
}

/* ---- queues: entries, each followed by its bytes */

static int hold(struct snet_turn *t, const struct snet_addr *peer, const void *p, size_t n)
{
	struct entry e = { *peer, n };
	uint8_t *to;

	if (sizeof(e) + n > t->held.max - t->held.n)
		return SNET_ETOOBIG;
	to = snet_buf_room(&t->held, sizeof(e) + n);
	if (!to)
		return SNET_ENOMEM;
	memcpy(to, &e, sizeof(e));
	if (n)
		memcpy(to + sizeof(e), p, n);
	snet_buf_took(&t->held, sizeof(e) + n);
	return SNET_OK;
}

/* What went out leaves the front when that half is empty: bytes are moved once at most. */
static void compact(struct snet_turn *t)
{
	if (t->queue_at < t->queue.n / 2)
		return;
	snet_buf_drop(&t->queue, t->queue_at);
	t->queue_at = 0;
}

static int enqueue(struct snet_turn *t, const struct snet_addr *peer, const void *p, size_t n)
{
	/* The most that stands around it: headers, an IPv6 address, two more attributes. */
	size_t cap = n + 64, len;
	struct entry e = { 0 };
	uint8_t *to;
	int rc;

	compact(t);
	if (sizeof(e) + cap > t->queue.max - t->queue.n)
		return SNET_ETOOBIG;
	to = snet_buf_room(&t->queue, sizeof(e) + cap);
	if (!to)
		return SNET_ENOMEM;
	rc = snet_turn_wrap(t, peer, p, n, to + sizeof(e), cap, &len);
	if (rc)
		return rc;
	e.n = len;
	memcpy(to, &e, sizeof(e));
	snet_buf_took(&t->queue, sizeof(e) + len);
	return SNET_OK;
}

int snet_turn_send(struct snet_turn *t, const struct snet_addr *peer, const void *p, size_t n)
{
	struct turn_grant *perm;

	if (t->state == TURN_CLOSED || t->state == TURN_LEAVING)
		return SNET_ECLOSED;
	perm = turn_permission(t, peer);
	if (!perm)
		return SNET_ENOENT;
	if (n > SNET_TURN_DATA_MAX)
		return SNET_ETOOBIG;
	return perm->granted ? enqueue(t, peer, p, n) : hold(t, peer, p, n);
}

size_t turn_data_next(struct snet_turn *t, uint8_t *out)
{
	struct entry e;

	if (t->queue_at == t->queue.n)
		return 0;
	memcpy(&e, t->queue.p + t->queue_at, sizeof(e));
	memcpy(out, t->queue.p + t->queue_at + sizeof(e), e.n);
	t->queue_at += sizeof(e) + e.n;
	if (t->queue_at == t->queue.n)
		t->queue.n = t->queue_at = 0;
	return e.n;
}

/* What may go now moves to the other queue, what never may is dropped, the rest stays. */
void turn_data_release(struct snet_turn *t)
{
	size_t at = 0, keep = 0;

	while (at < t->held.n) {
		struct turn_grant *perm;
		struct entry e;
		size_t whole;

		memcpy(&e, t->held.p + at, sizeof(e));
		whole = sizeof(e) + e.n;
		perm = turn_permission(t, &e.peer);
		if (perm && !perm->granted) {
			memmove(t->held.p + keep, t->held.p + at, whole);
			keep += whole;
		} else if (!perm || enqueue(t, &e.peer, t->held.p + at + sizeof(e), e.n)) {
			t->counts.dropped++;
		}
		at += whole;
	}
	t->held.n = keep;
}
