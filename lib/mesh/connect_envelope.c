#include "mesh/connect_envelope.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "wire/envelope.h"

/* ---- to an envelope */

static struct snet_slice slice(const char *text)
{
	return (struct snet_slice){ (const uint8_t *)text, strlen(text), NULL };
}

static int encode(const struct snet_connect_envelope *e, struct snet_buf *out)
{
	const struct snet_envelope wire = {
		.tag = SNET_ENVELOPE_ICE_CANDIDATES,
		.ice = { slice(e->ufrag), slice(e->pwd), { e->n, e->candidates, { 0 } } },
	};

	return snet_envelope_encode(&wire, out);
}

static void begin(struct snet_connect_envelope *e, const struct snet_offer *o)
{
	memcpy(e->ufrag, o->ufrag, sizeof(e->ufrag));
	memcpy(e->pwd, o->pwd, sizeof(e->pwd));
	e->n = 0;
}

static int add(struct snet_connect_envelope *e, const struct snet_offer *o)
{
	struct snet_sdp_candidate sdp;

	if (e->n == SNET_REMOTES_MAX || snet_sdp_parse(&sdp, o->candidate, NULL) || *sdp.name)
		return SNET_EPROTO;
	e->candidates[e->n++] = sdp.c;
	return SNET_EAGAIN;
}

static int encode_punch(const struct snet_offer_punch *p, struct snet_buf *out)
{
	struct snet_envelope wire = { .tag = SNET_ENVELOPE_PUNCH_REQUEST };

	if (p->ack) {
		wire.tag = SNET_ENVELOPE_PUNCH_ACK;
		wire.punch_ack.transaction = p->id;
		wire.punch_ack.timestamp_ms = p->wall_ms;
	} else {
		wire.punch_request.transaction = p->id;
		wire.punch_request.target = p->target;
		wire.punch_request.delay_ms = p->delay_ms;
	}
	return snet_envelope_encode(&wire, out);
}

int snet_connect_envelope_say(struct snet_connect_envelope *e, const struct snet_offer *o,
			      struct snet_buf *out)
{
	if (o->what == SNET_OFFER_PUNCH)
		return encode_punch(&o->punch, out);
	if (o->what == SNET_OFFER_CREDENTIALS) {
		begin(e, o);
		return SNET_EAGAIN;
	}
	if (!e->ufrag[0] || (o->ufrag[0] && strcmp(o->ufrag, e->ufrag) != 0))
		return SNET_EPROTO;
	if (o->what == SNET_OFFER_CANDIDATE)
		return add(e, o);
	return o->what == SNET_OFFER_END ? encode(e, out) : SNET_EPROTO;
}

/* ---- from an envelope */

/* The alphabet is looked at when they are heard. */
static bool take_text(char out[static 257], const struct snet_slice *s)
{
	if (s->n > 256 || memchr(s->n ? s->p : (const uint8_t *)"", '\0', s->n))
		return false;
	snprintf(out, 257, "%.*s", (int)s->n, s->n ? (const char *)s->p : "");
	return true;
}

int snet_connect_envelope_read(struct snet_connect_envelope *e, const void *p, size_t n,
			       struct snet_error *err)
{
	struct snet_envelope wire;
	struct snet_reader at;

	memset(e, 0, sizeof(*e));
	if (n > SNET_CONNECT_ENVELOPE_MAX)
		return snet_fail(err, SNET_ETOOBIG, "candidates: more than %d bytes",
				 SNET_CONNECT_ENVELOPE_MAX);
	if (snet_envelope_decode(&wire, p, n) || wire.trailing ||
	    wire.tag != SNET_ENVELOPE_ICE_CANDIDATES || !take_text(e->ufrag, &wire.ice.ufrag) ||
	    !take_text(e->pwd, &wire.ice.pwd))
		return snet_fail(err, SNET_EPROTO, "not an envelope with ICE candidates");
	at = snet_envelope_begin(&wire.ice.candidates);
	while (e->n < SNET_REMOTES_MAX &&
	       snet_envelope_next_candidate(&at, &e->candidates[e->n]))
		e->n++;
	return SNET_OK;
}

static bool tell_candidate(const struct snet_candidate *c, struct snet_offer *out)
{
	const struct snet_sdp_candidate sdp = { .c = *c };

	out->what = SNET_OFFER_CANDIDATE;
	return !snet_sdp_print(&sdp, out->candidate);
}

bool snet_connect_envelope_next(struct snet_connect_envelope *e, struct snet_offer *out)
{
	bool has = false;

	for (; !has && e->at < e->n + 2; e->at++) {
		*out = (struct snet_offer){ .what = SNET_OFFER_END };
		memcpy(out->ufrag, e->ufrag, sizeof(out->ufrag));
		has = true;
		if (!e->at) {
			out->what = SNET_OFFER_CREDENTIALS;
			memcpy(out->pwd, e->pwd, sizeof(out->pwd));
		} else if (e->at <= e->n) {
			has = tell_candidate(&e->candidates[e->at - 1], out);
		}
	}
	return has;
}

int snet_connect_envelope_punch(struct snet_offer *out, const void *p, size_t n)
{
	struct snet_envelope wire;

	*out = (struct snet_offer){ .what = SNET_OFFER_OTHER };
	if (snet_envelope_decode(&wire, p, n) || wire.trailing)
		return SNET_EPROTO;
	if (wire.tag == SNET_ENVELOPE_PUNCH_ACK) {
		out->punch.ack = true;
		out->punch.id = wire.punch_ack.transaction;
		out->punch.wall_ms = wire.punch_ack.timestamp_ms;
	} else if (wire.tag == SNET_ENVELOPE_PUNCH_REQUEST) {
		if (wire.punch_request.delay_ms > SNET_OFFER_DELAY_MAX)
			return SNET_EPOLICY;
		out->punch.id = wire.punch_request.transaction;
		out->punch.target = wire.punch_request.target;
		out->punch.delay_ms = (uint32_t)wire.punch_request.delay_ms;
	} else {
		return SNET_EPROTO;
	}
	out->what = SNET_OFFER_PUNCH;
	return SNET_OK;
}

int snet_connect_envelope_hear(struct snet_connect *c, const void *p, size_t n,
			       struct snet_error *err)
{
	struct snet_connect_envelope e;
	struct snet_error why = { 0 };
	struct snet_offer o;
	int rc = snet_connect_envelope_punch(&o, p, n);

	if (rc != SNET_EPROTO)
		return rc ? snet_fail(err, rc, "a punch so late is none")
			  : snet_connect_hear(c, &o, err);
	rc = snet_connect_envelope_read(&e, p, n, err);

	while (!rc && snet_connect_envelope_next(&e, &o)) {
		int heard = snet_connect_hear(c, &o, &why);

		if (heard && o.what == SNET_OFFER_CREDENTIALS)
			rc = snet_fail(err, heard, "%s", why.text);
		else if (heard)
			snet_log(SNET_LOG_INFO, "ice", "%s", why.text);
	}
	return rc;
}
