/* Turn: bytes from the server. Over a stream, messages are put together (RFC 8656 §12.5 and RFC
 * 8489 §6.2.2); then each is an answer, data of a peer, or nothing. */
#include <string.h>

#include "nat/turn_impl.h"

#define HEADER 4 /* bytes of a stream that tell how long what follows is */

static bool is_channel_data(uint8_t first)
{
	return first >> 6 == 1;
}

/* ---- data of peers */

static void tell_data(struct snet_turn *t, const struct snet_addr *peer, const uint8_t *p,
		      size_t n)
{
	t->data = (struct snet_turn_event){
		.what = SNET_TURN_DATA, .peer = *peer, .p = p, .n = n
	};
}

static bool take_channel_data(struct snet_turn *t, const uint8_t *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);
	unsigned number = snet_take_be16(&r), index;
	size_t len = snet_take_be16(&r);
	const uint8_t *data = snet_take(&r, len); /* what follows is padding */
	const struct turn_grant *g;

	if (r.bad || number < TURN_CHANNEL_MIN || number >= TURN_CHANNEL_MIN + TURN_CHANNEL_N)
		return false;
	index = (number - TURN_CHANNEL_MIN + TURN_CHANNEL_N - t->first_channel) %
		TURN_CHANNEL_N;
	g = index < t->channel_n ? &t->channel[index] : NULL;
	/* While the answer is awaited too: it may have been overtaken. */
	if (t->state == TURN_ALLOCATED && g && g->used && g->wanted &&
	    (g->granted || (g->x.active && g->x.sent)))
		tell_data(t, &g->peer, data, len);
	else
		t->counts.strangers++;
	return true;
}

static bool take_indication(struct snet_turn *t, const struct snet_stunmsg *m)
{
	struct snet_slice data;
	struct snet_addr peer;

	if (m->method != SNET_STUN_DATA_INDICATION || m->unknown_n ||
	    !snet_stunmsg_addr(m, SNET_STUN_XOR_PEER_ADDRESS, &peer))
		return false;
	/* §11.4: only of those whom we let send. */
	if (t->state != TURN_ALLOCATED || !turn_permission(t, &peer)) {
		t->counts.strangers++;
	} else if (snet_stunmsg_get(m, SNET_STUN_DATA, &data)) {
		tell_data(t, &peer, data.p, data.n);
	} else {
		struct snet_turn_event ev = { .what = SNET_TURN_ICMP, .peer = peer };

		if (!snet_stunmsg_icmp(m, &ev.icmp_type, &ev.icmp_code))
			return false;
		t->data = ev;
	}
	return true;
}

/* ---- answers */

static bool is_turn(unsigned method)
{
	return method == SNET_STUN_ALLOCATE || method == SNET_STUN_REFRESH ||
	       method == SNET_STUN_CREATE_PERMISSION || method == SNET_STUN_CHANNEL_BIND;
}

static uint16_t method_of(const struct turn_x *x)
{
	switch (x->ask) {
	case TURN_ALLOCATE:
		return SNET_STUN_ALLOCATE;
	case TURN_PERMIT:
		return SNET_STUN_CREATE_PERMISSION;
	case TURN_BIND:
		return SNET_STUN_CHANNEL_BIND;
	default:
		return SNET_STUN_REFRESH;
	}
}

static bool take_answer(struct snet_turn *t, struct turn_x *x, const struct snet_stunmsg *m,
			snet_time now)
{
	int status = m->cls == SNET_STUN_ERROR ? snet_stunmsg_error(m, NULL) : 0;

	if (m->method != method_of(x) || m->unknown_n || (m->cls == SNET_STUN_ERROR && !status))
		return false;
	if (status == 401 || status == 438) {
		turn_challenged(t, x, m, now);
	} else if (x->proven && !turn_auth_is_proven(t, m)) {
		t->counts.forged++;
		x->forged = true;
		/* RFC 8489 §9.2.5: over a stream there is no better one to wait for. */
		if (t->o.stream)
			turn_no_answer(t, x, SNET_EINTEGRITY, now);
	} else {
		turn_answer(t, x, m, now);
	}
	return true;
}

/* One message, whole. SNET_EAGAIN: it is for somebody else on this port. */
static int take_message(struct snet_turn *t, const uint8_t *p, size_t n, snet_time now)
{
	struct snet_stunmsg m;
	struct turn_x *x;
	bool ok = false;

	if (is_channel_data(p[0])) {
		ok = take_channel_data(t, p, n);
	} else if (!snet_stunmsg_parse(&m, p, n)) {
		if (m.cls == SNET_STUN_INDICATION && m.method != SNET_STUN_BINDING) {
			ok = take_indication(t, &m);
		} else if (m.cls == SNET_STUN_SUCCESS || m.cls == SNET_STUN_ERROR) {
			x = turn_x_find(t, m.id);
			if (!x && !is_turn(m.method))
				return SNET_EAGAIN;
			if (!x)
				t->counts.stale++;
			ok = !x || take_answer(t, x, &m, now);
		} else {
			return SNET_EAGAIN;
		}
	}
	if (!ok)
		t->counts.malformed++;
	return SNET_OK;
}

/* ---- streams */

/* How long the message is that begins with these four bytes; 0: none can. */
static size_t size_of(const uint8_t p[static HEADER])
{
	size_t n = (size_t)(p[2] << 8 | p[3]);

	if (is_channel_data(p[0]))
		return HEADER + ((n + 3) & ~(size_t)3);
	return p[0] > 0x3f || n % 4 ? 0 : snet_stunmsg_size(p);
}

/* Moves up to want bytes in all to the part; returns how many of p. */
static long gather(struct snet_turn *t, const uint8_t *p, size_t n, size_t want)
{
	size_t k = want - t->part.n < n ? want - t->part.n : n;
	int rc = snet_buf_add(&t->part, p, k);

	return rc ? rc : (long)k;
}

static long from_part(struct snet_turn *t, const uint8_t *p, size_t n, snet_time now)
{
	long used = 0, more;
	size_t whole;

	if (t->part.n < HEADER) {
		used = gather(t, p, n, HEADER);
		if (used < 0 || t->part.n < HEADER)
			return used;
	}
	whole = size_of(t->part.p);
	if (!whole)
		return SNET_EPROTO;
	more = gather(t, p + used, n - (size_t)used, whole);
	if (more < 0)
		return more;
	if (t->part.n == whole) {
		t->part_done = true;
		if (take_message(t, t->part.p, whole, now))
			t->counts.stale++; /* this stream is all ours */
	}
	return used + more;
}

static long from_stream(struct snet_turn *t, const uint8_t *p, size_t n, snet_time now)
{
	size_t whole = n >= HEADER ? size_of(p) : n + 1;

	if (t->part_done) {
		t->part.n = 0;
		t->part_done = false;
	}
	if (!whole && !t->part.n)
		return SNET_EPROTO;
	if (t->part.n || whole > n)
		return from_part(t, p, n, now);
	if (take_message(t, p, whole, now))
		t->counts.stale++;
	return (long)whole;
}

long snet_turn_input(struct snet_turn *t, const uint8_t *p, size_t n, snet_time now)
{
	long rc;

	t->data.what = SNET_TURN_NOTHING;
	turn_tick(t, now);
	if (!n || t->state == TURN_CLOSED)
		return (long)n;
	if (!t->o.stream) {
		rc = take_message(t, p, n, now);
		return rc ? rc : (long)n;
	}
	rc = t->broken ? SNET_EPROTO : from_stream(t, p, n, now);
	if (rc == SNET_EPROTO && !t->broken) {
		t->broken = true;
		turn_close(t, SNET_EPROTO, 0, "what comes over the stream is not TURN");
	}
	return rc;
}
