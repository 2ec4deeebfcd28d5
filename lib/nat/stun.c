#include "nat/stun.h"

#include <string.h>

#define SOFTWARE "stoffelnet"

/* RFC 8489 §6.2.1 */
static const struct snet_stun_pace by_rfc = { 500 * SNET_MS, 7, 16, SNET_NEVER };

static void fill_pace(struct snet_stun_pace *p, const struct snet_stun_pace *from)
{
	p->rto = p->rto ? p->rto : from->rto;
	p->rc = p->rc ? p->rc : from->rc;
	p->rm = p->rm ? p->rm : from->rm;
	p->most = p->most ? p->most : from->most;
}

void snet_stun_init(struct snet_stun *s, const struct snet_stun_pace *pace)
{
	memset(s, 0, sizeof(*s));
	if (pace)
		s->pace = *pace;
	fill_pace(&s->pace, &by_rfc);
}

int snet_stun_ask(struct snet_stun *s, const struct snet_stun_ask *ask,
		  const uint8_t id[static SNET_STUN_ID], snet_time now)
{
	for (size_t i = 0; i < SNET_STUN_SLOTS; i++) {
		struct snet_stun_slot *slot = &s->slots[i];

		if (slot->busy)
			continue;
		*slot = (struct snet_stun_slot){
			.ask = *ask, .begun = now, .due = now, .busy = true
		};
		memcpy(slot->id, id, sizeof(slot->id));
		fill_pace(&slot->ask.pace, &s->pace);
		if (slot->ask.from.sa.sa_family == AF_UNSPEC)
			slot->ask.from = slot->ask.to;
		return SNET_OK;
	}
	return SNET_EAGAIN;
}

snet_time snet_stun_deadline(const struct snet_stun *s)
{
	snet_time first = SNET_NEVER;

	for (size_t i = 0; i < SNET_STUN_SLOTS; i++) {
		const struct snet_stun_slot *slot = &s->slots[i];

		if (slot->busy && (slot->due < first || slot->unreachable))
			first = slot->unreachable ? 0 : slot->due;
	}
	return first;
}

static bool is_too_late(const struct snet_stun_slot *slot, snet_time now)
{
	return slot->sent && now - slot->begun >= slot->ask.pace.most;
}

/* ---- sending */

static size_t write_request(const struct snet_stun_slot *slot, uint8_t *out)
{
	struct snet_stunout o;

	snet_stunmsg_begin(&o, out, SNET_STUN_ASK_MAX, SNET_STUN_REQUEST, SNET_STUN_BINDING,
			   slot->id);
	if (slot->ask.change)
		snet_stunmsg_put_number(&o, SNET_STUN_CHANGE_REQUEST, slot->ask.change);
	if (slot->ask.response_port)
		snet_stunmsg_put_number(&o, SNET_STUN_RESPONSE_PORT, slot->ask.response_port);
	snet_stunmsg_put_text(&o, SNET_STUN_SOFTWARE, SOFTWARE);
	snet_stunmsg_put_fingerprint(&o);
	return snet_stunmsg_end(&o);
}

size_t snet_stun_send(struct snet_stun *s, snet_time now, uint8_t out[static SNET_STUN_ASK_MAX],
		      const struct snet_stun_ask **ask)
{
	for (size_t i = 0; i < SNET_STUN_SLOTS; i++) {
		struct snet_stun_slot *slot = &s->slots[i];
		const struct snet_stun_pace *pace = &slot->ask.pace;

		if (!slot->busy || slot->unreachable || slot->due > now ||
		    slot->sent >= pace->rc || is_too_late(slot, now))
			continue;
		if (!slot->sent)
			slot->begun = now;
		slot->due = now + (slot->sent + 1 < pace->rc ? pace->rto << slot->sent
							     : pace->rto * pace->rm);
		if (slot->due - slot->begun > pace->most)
			slot->due = slot->begun + pace->most;
		slot->sent++;
		*ask = &slot->ask;
		return write_request(slot, out);
	}
	return 0;
}

/* ---- ending */

/* begins the answer; the slot is free from now on */
static void end(struct snet_stun_slot *slot, int code, snet_time now,
		struct snet_stun_answer *out)
{
	*out = (struct snet_stun_answer){
		.tag = slot->ask.tag,
		.code = code,
		.server = slot->ask.to,
		.rtt = now - slot->begun,
		.requests = slot->sent,
	};
	slot->busy = false;
}

bool snet_stun_over(struct snet_stun *s, snet_time now, struct snet_stun_answer *out)
{
	for (size_t i = 0; i < SNET_STUN_SLOTS; i++) {
		struct snet_stun_slot *slot = &s->slots[i];

		if (!slot->busy)
			continue;
		if (!slot->unreachable && !is_too_late(slot, now) &&
		    (slot->due > now || slot->sent < slot->ask.pace.rc))
			continue;
		end(slot, slot->unreachable ? SNET_EUNREACH : SNET_ETIMEOUT, now, out);
		return true;
	}
	return false;
}

void snet_stun_unreachable(struct snet_stun *s, const struct snet_addr *remote)
{
	for (size_t i = 0; i < SNET_STUN_SLOTS; i++) {
		struct snet_stun_slot *slot = &s->slots[i];

		if (slot->busy && slot->sent && snet_addr_eq(&slot->ask.to, remote))
			slot->unreachable = true;
	}
}

static void copy_reason(char out[static SNET_STUN_REASON_MAX], const struct snet_slice *reason)
{
	size_t n = reason->n < SNET_STUN_REASON_MAX ? reason->n : SNET_STUN_REASON_MAX - 1;

	memcpy(out, reason->p, n);
	out[n] = '\0';
}

static int read_answer(const struct snet_stunmsg *m, struct snet_stun_answer *out)
{
	struct snet_slice reason = { (const uint8_t *)"", 0, NULL };

	if (m->cls == SNET_STUN_ERROR) {
		out->error = snet_stunmsg_error(m, &reason);
		copy_reason(out->reason, &reason);
		return SNET_EPROTO;
	}
	if (m->unknown_n) /* §6.3.3: what is not understood is no answer */
		return SNET_EPROTO;
	snet_stunmsg_addr(m, SNET_STUN_RESPONSE_ORIGIN, &out->origin);
	snet_stunmsg_addr(m, SNET_STUN_OTHER_ADDRESS, &out->other);
	/* Servers of RFC 3489 know no XOR, and some of today send both. */
	if (!snet_stunmsg_addr(m, SNET_STUN_XOR_MAPPED_ADDRESS, &out->mapped) &&
	    !snet_stunmsg_addr(m, SNET_STUN_MAPPED_ADDRESS, &out->mapped))
		return SNET_EPROTO;
	return SNET_OK;
}

static struct snet_stun_slot *find(struct snet_stun *s, const struct snet_stunmsg *m,
				   unsigned socket)
{
	for (size_t i = 0; i < SNET_STUN_SLOTS; i++) {
		struct snet_stun_slot *slot = &s->slots[i];

		if (slot->busy && slot->sent &&
		    (slot->ask.into == socket || slot->ask.via == socket) &&
		    slot->ask.loops == (m->cls == SNET_STUN_REQUEST) &&
		    !memcmp(slot->id, m->id, sizeof(slot->id)))
			return slot;
	}
	return NULL;
}

int snet_stun_take(struct snet_stun *s, unsigned socket, const struct snet_addr *from,
		   const uint8_t *p, size_t n, snet_time now, struct snet_stun_answer *out)
{
	struct snet_stun_slot *slot;
	struct snet_stunmsg m;
	bool as_asked;

	if (snet_stunmsg_parse(&m, p, n))
		return SNET_EPROTO;
	slot = m.method == SNET_STUN_BINDING && m.cls != SNET_STUN_INDICATION
		       ? find(s, &m, socket)
		       : NULL;
	if (!slot)
		return SNET_ENOENT;
	if (slot->ask.loops) { /* the NAT decides what it looks as if it came from */
		end(slot, SNET_OK, now, out);
		out->mapped = *from;
		return SNET_OK;
	}
	if (!snet_addr_eq(from, &slot->ask.from) && !snet_addr_eq(from, &slot->ask.to))
		return SNET_ENOENT;
	as_asked = snet_addr_eq(from, &slot->ask.from) && socket == slot->ask.into;
	end(slot, SNET_OK, now, out);
	out->code = read_answer(&m, out);
	if (!as_asked && !out->code)
		out->code = SNET_ENOSYS;
	return SNET_OK;
}
