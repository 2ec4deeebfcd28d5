#include "wire/envelope.h"

#include "wire/bincode.h"

#define NEW_HANDSHAKE 12 /* bytes: tag, id */
#define OLD_HANDSHAKE 20 /* and the role */
#define KEY_MIN 8        /* bytes of an empty key: its length */

const char *snet_envelope_name(unsigned tag)
{
#define X(name, words) words,
	static const char *const names[] = { SNET_ENVELOPES(X) };
#undef X

	return tag < SNET_ENVELOPE_TAGS ? names[tag] : "?";
}

/* ---- encoding */

static int put_str(struct snet_buf *out, const struct snet_slice *s)
{
	return snet_bincode_put_str(out, s->p, s->n);
}

static int put_bytes(struct snet_buf *out, const struct snet_slice *s)
{
	return snet_bincode_put_bytes(out, s->p, s->n);
}

static int put_handshake(struct snet_buf *out, const struct snet_envelope *e)
{
	int rc = SNET_OK;

	if (e->handshake.old) {
		if (e->handshake.role.n > SNET_ENVELOPE_ROLE_MAX)
			return SNET_EINVAL;
		rc = put_str(out, &e->handshake.role);
	}
	return rc ? rc : snet_buf_le64(out, e->handshake.id);
}

/* What decode left. least: bytes of the smallest element, so that the count cannot lie. */
static int put_run(struct snet_buf *out, const struct snet_envelope_list *l, size_t least)
{
	int rc = l->count > l->run.n / least ? SNET_EINVAL : snet_buf_le64(out, l->count);

	return rc ? rc : snet_buf_add(out, l->run.p, l->run.n);
}

static int put_candidates(struct snet_buf *out, const struct snet_envelope_list *l)
{
	const struct snet_candidate *c = l->items;
	int rc;

	if (!c)
		return put_run(out, l, SNET_CANDIDATE_MIN);
	rc = snet_buf_le64(out, l->count);
	for (size_t i = 0; !rc && i < l->count; i++)
		rc = snet_candidate_encode(&c[i], out);
	return rc;
}

static int put_keys(struct snet_buf *out, const struct snet_envelope_list *l)
{
	return l->items ? snet_bincode_put_keys(out, l->items, l->count)
			: put_run(out, l, KEY_MIN);
}

/* Each field is a clause; the first that fails ends it. */
static int put_fields(struct snet_buf *out, const struct snet_envelope *e)
{
	int rc = SNET_OK;

	switch (e->tag) {
	case SNET_ENVELOPE_HANDSHAKE:
		return put_handshake(out, e);
	case SNET_ENVELOPE_HONEY_BADGER:
		return put_bytes(out, &e->honey_badger);
	case SNET_ENVELOPE_ICE_CANDIDATES:
		if (!(rc = put_str(out, &e->ice.ufrag)) && !(rc = put_str(out, &e->ice.pwd)))
			rc = put_candidates(out, &e->ice.candidates);
		return rc;
	case SNET_ENVELOPE_PUNCH_REQUEST:
		if (!(rc = snet_buf_le64(out, e->punch_request.transaction)) &&
		    !(rc = snet_bincode_put_addr(out, &e->punch_request.target)))
			rc = snet_buf_le64(out, e->punch_request.delay_ms);
		return rc;
	case SNET_ENVELOPE_PUNCH_ACK:
		rc = snet_buf_le64(out, e->punch_ack.transaction);
		return rc ? rc : snet_buf_le64(out, e->punch_ack.timestamp_ms);
	case SNET_ENVELOPE_CONNECTIVITY_CHECK:
		if (!(rc = snet_buf_le64(out, e->check.transaction)) &&
		    !(rc = snet_bincode_put_bool(out, e->check.is_response)) &&
		    !(rc = snet_bincode_put_bool(out, e->check.use_candidate)))
			rc = put_str(out, &e->check.ufrag);
		return rc;
	case SNET_ENVELOPE_RELAY_REQUEST:
		return snet_buf_le64(out, e->relay_request);
	case SNET_ENVELOPE_RELAY_OFFER:
		if (!(rc = snet_bincode_put_addr(out, &e->relay_offer.relay)) &&
		    !(rc = put_bytes(out, &e->relay_offer.token)))
			rc = snet_buf_le64(out, e->relay_offer.party);
		return rc;
	case SNET_ENVELOPE_RELAYED_DATA:
		if (!(rc = snet_buf_le64(out, e->relayed.target)) &&
		    !(rc = snet_buf_le64(out, e->relayed.source)))
			rc = put_bytes(out, &e->relayed.payload);
		return rc;
	case SNET_ENVELOPE_HEARTBEAT:
		return snet_buf_le64(out, e->heartbeat_ms);
	case SNET_ENVELOPE_NODE_LIST_REQUEST:
		return SNET_OK;
	case SNET_ENVELOPE_NODE_LIST_RESPONSE:
	case SNET_ENVELOPE_CLIENT_LIST_FULL:
		return put_keys(out, &e->keys);
	case SNET_ENVELOPE_CLIENT_LIST_DIGEST:
		if (!(rc = put_bytes(out, &e->digest.digest)) &&
		    !(rc = snet_buf_le64(out, e->digest.count)) &&
		    !(rc = put_bytes(out, &e->digest.node_digest)))
			rc = snet_buf_le64(out, e->digest.node_count);
		return rc;
	default:
		return SNET_EINVAL;
	}
}

int snet_envelope_encode(const struct snet_envelope *e, struct snet_buf *out)
{
	size_t was = out->n;
	int rc = snet_buf_le32(out, e->tag);

	if (!rc)
		rc = put_fields(out, e);
	if (rc) {
		out->n = was;
		out->bad = true;
	}
	return rc;
}

/* ---- decoding */

/* The length decides; nothing else can: the old form's role length reads as an id. */
static void take_handshake(struct snet_reader *r, struct snet_envelope *e, size_t n)
{
	if (n != NEW_HANDSHAKE) {
		e->handshake.old = true;
		e->handshake.role = snet_bincode_str(r);
		if (e->handshake.role.n > SNET_ENVELOPE_ROLE_MAX ||
		    n != OLD_HANDSHAKE + e->handshake.role.n)
			r->bad = true;
	}
	e->handshake.id = snet_take_le64(r);
}

static void take_candidates(struct snet_reader *r, struct snet_envelope_list *l)
{
	struct snet_candidate c;

	l->count = snet_bincode_count(r, SNET_CANDIDATE_MIN);
	l->run.p = r->at;
	for (size_t i = 0; i < l->count && !r->bad; i++)
		snet_candidate_take(r, &c);
	l->run.n = (size_t)(r->at - l->run.p);
}

static void take_keys(struct snet_reader *r, struct snet_envelope_list *l)
{
	l->count = snet_bincode_count(r, KEY_MIN);
	l->run.p = r->at;
	for (size_t i = 0; i < l->count && !r->bad; i++)
		snet_bincode_bytes(r);
	l->run.n = (size_t)(r->at - l->run.p);
}

static void take_fields(struct snet_reader *r, struct snet_envelope *e, size_t n)
{
	switch (e->tag) {
	case SNET_ENVELOPE_HANDSHAKE:
		take_handshake(r, e, n);
		break;
	case SNET_ENVELOPE_HONEY_BADGER:
		e->honey_badger = snet_bincode_bytes(r);
		break;
	case SNET_ENVELOPE_ICE_CANDIDATES:
		e->ice.ufrag = snet_bincode_str(r);
		e->ice.pwd = snet_bincode_str(r);
		take_candidates(r, &e->ice.candidates);
		break;
	case SNET_ENVELOPE_PUNCH_REQUEST:
		e->punch_request.transaction = snet_take_le64(r);
		snet_bincode_addr(r, &e->punch_request.target);
		e->punch_request.delay_ms = snet_take_le64(r);
		break;
	case SNET_ENVELOPE_PUNCH_ACK:
		e->punch_ack.transaction = snet_take_le64(r);
		e->punch_ack.timestamp_ms = snet_take_le64(r);
		break;
	case SNET_ENVELOPE_CONNECTIVITY_CHECK:
		e->check.transaction = snet_take_le64(r);
		e->check.is_response = snet_bincode_bool(r);
		e->check.use_candidate = snet_bincode_bool(r);
		e->check.ufrag = snet_bincode_str(r);
		break;
	case SNET_ENVELOPE_RELAY_REQUEST:
		e->relay_request = snet_take_le64(r);
		break;
	case SNET_ENVELOPE_RELAY_OFFER:
		snet_bincode_addr(r, &e->relay_offer.relay);
		e->relay_offer.token = snet_bincode_bytes(r);
		e->relay_offer.party = snet_take_le64(r);
		break;
	case SNET_ENVELOPE_RELAYED_DATA:
		e->relayed.target = snet_take_le64(r);
		e->relayed.source = snet_take_le64(r);
		e->relayed.payload = snet_bincode_bytes(r);
		break;
	case SNET_ENVELOPE_HEARTBEAT:
		e->heartbeat_ms = snet_take_le64(r);
		break;
	case SNET_ENVELOPE_NODE_LIST_RESPONSE:
	case SNET_ENVELOPE_CLIENT_LIST_FULL:
		take_keys(r, &e->keys);
		break;
	case SNET_ENVELOPE_CLIENT_LIST_DIGEST:
		e->digest.digest = snet_bincode_bytes(r);
		e->digest.count = snet_take_le64(r);
		e->digest.node_digest = snet_bincode_bytes(r);
		e->digest.node_count = snet_take_le64(r);
		break;
	case SNET_ENVELOPE_NODE_LIST_REQUEST:
	case SNET_ENVELOPE_TAGS: /* the reader has refused it */
		break;
	}
}

int snet_envelope_decode(struct snet_envelope *e, const void *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);

	*e = (struct snet_envelope){ 0 };
	e->tag = (enum snet_envelope_tag)snet_bincode_enum(&r, SNET_ENVELOPE_TAGS);
	take_fields(&r, e, n);
	e->trailing = snet_left(&r) > 0;
	if (!r.bad && !(e->tag == SNET_ENVELOPE_HANDSHAKE && e->trailing))
		return SNET_OK;
	*e = (struct snet_envelope){ 0 };
	return SNET_EPROTO;
}

bool snet_envelope_next_candidate(struct snet_reader *at, struct snet_candidate *out)
{
	if (!snet_left(at))
		return false;
	snet_candidate_take(at, out);
	return !at->bad;
}

bool snet_envelope_next_key(struct snet_reader *at, struct snet_slice *out)
{
	if (!snet_left(at))
		return false;
	*out = snet_bincode_bytes(at);
	return !at->bad;
}
