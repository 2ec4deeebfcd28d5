#include "wire/record.h"

#include <string.h>

#include "base/utf8.h"

static const struct {
	enum snet_record_type type;
	const char *name;
} types[] = {
#define X(name, number, kind, app) { SNET_RECORD_##name, kind },
	SNET_RECORDS(X)
#undef X
};

#define TYPES (sizeof(types) / sizeof(types[0]))

const char *snet_record_name(unsigned type)
{
	for (size_t i = 0; i < TYPES; i++)
		if (types[i].type == type)
			return types[i].name;
	return NULL;
}

int snet_record_number(const char *name)
{
	for (size_t i = 0; i < TYPES; i++)
		if (!strcmp(types[i].name, name))
			return (int)types[i].type;
	return SNET_ENOENT;
}

bool snet_record_is_app(unsigned type)
{
	static const bool is_app[256] = {
#define X(name, number, kind, app) [number] = app,
		SNET_RECORDS(X)
#undef X
	};

	return type < 256 && is_app[type];
}

int snet_record_decode(struct snet_record *rec, const void *frame, size_t n)
{
	struct snet_reader r = snet_reader(frame, n);
	uint8_t head = snet_take_u8(&r), type = head & (uint8_t)~SNET_RECORD_ZSTD;
	bool zstd = head & SNET_RECORD_ZSTD;

	if (r.bad || !snet_record_name(type))
		return SNET_EPROTO;
	if (zstd && !snet_record_is_app(type) && type != SNET_RECORD_PEER_EXCHANGE &&
	    type != SNET_RECORD_FORWARD)
		return SNET_EPROTO;
	*rec = (struct snet_record){ (enum snet_record_type)type, zstd, r.at, snet_left(&r) };
	return SNET_OK;
}

/* ---- parts that bodies share */

static int put_marks(struct snet_buf *out, const struct snet_record_marks *v)
{
	int rc;

	if (v->count > SNET_RECORD_STREAMS)
		return SNET_EINVAL;
	rc = snet_buf_u8(out, (uint8_t)v->count);
	for (unsigned i = 0; !rc && i < v->count; i++) {
		if (v->mark[i].stream >= SNET_RECORD_STREAMS ||
		    (i && v->mark[i].stream <= v->mark[i - 1].stream))
			return SNET_EINVAL;
		rc = snet_buf_u8(out, v->mark[i].stream);
		if (!rc)
			rc = snet_buf_be64(out, v->mark[i].at);
	}
	return rc;
}

static void take_marks(struct snet_reader *r, struct snet_record_marks *v)
{
	v->count = snet_take_u8(r);
	if (v->count > SNET_RECORD_STREAMS)
		r->bad = true;
	for (unsigned i = 0; i < v->count && !r->bad; i++) {
		v->mark[i].stream = snet_take_u8(r);
		v->mark[i].at = snet_take_be64(r);
		if (v->mark[i].stream >= SNET_RECORD_STREAMS ||
		    (i && v->mark[i].stream <= v->mark[i - 1].stream))
			r->bad = true;
	}
}

static int put_text(struct snet_buf *out, const struct snet_slice *s, size_t max)
{
	int rc = s->n > max ? SNET_EINVAL : snet_buf_be16(out, (uint16_t)s->n);

	return rc ? rc : snet_buf_add(out, s->p, s->n);
}

static struct snet_slice take_text(struct snet_reader *r, size_t max)
{
	size_t n = snet_take_be16(r);

	if (n > max)
		r->bad = true;
	return (struct snet_slice){ snet_take(r, n), n, NULL };
}

static int finish(struct snet_buf *out, size_t was, int rc)
{
	if (rc) {
		out->n = was;
		out->bad = true;
	}
	return rc;
}

/* All of it, and nothing after it. */
static int ended(const struct snet_reader *r)
{
	return r->bad || snet_left(r) ? SNET_EPROTO : SNET_OK;
}

/* ---- bodies */

static int put_resume(struct snet_buf *out, const struct snet_record_resume *v)
{
	int rc;

	if (!snet_utf8_is_valid(v->label.p, v->label.n))
		return SNET_EINVAL;
	if ((rc = snet_buf_be16(out, v->version)) ||
	    (rc = snet_buf_add(out, v->session, sizeof(v->session))) ||
	    (rc = put_text(out, &v->label, SNET_LABEL_MAX)) ||
	    (rc = snet_buf_be32(out, v->n)) ||
	    (rc = snet_buf_add(out, v->roster, sizeof(v->roster))))
		return rc;
	return put_marks(out, &v->next);
}

int snet_record_encode_resume(const struct snet_record_resume *v, struct snet_buf *out)
{
	size_t was = out->n;

	return finish(out, was, put_resume(out, v));
}

static void take_into(struct snet_reader *r, uint8_t *to, size_t n)
{
	const uint8_t *p = snet_take(r, n);

	if (p)
		memcpy(to, p, n);
}

int snet_record_decode_resume(struct snet_record_resume *v, const void *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);

	*v = (struct snet_record_resume){ .version = snet_take_be16(&r) };
	take_into(&r, v->session, sizeof(v->session));
	v->label = take_text(&r, SNET_LABEL_MAX);
	v->n = snet_take_be32(&r);
	take_into(&r, v->roster, sizeof(v->roster));
	take_marks(&r, &v->next);
	if (!r.bad && !snet_utf8_is_valid(v->label.p, v->label.n))
		r.bad = true;
	return ended(&r);
}

int snet_record_encode_ack(const struct snet_record_marks *v, struct snet_buf *out)
{
	size_t was = out->n;

	return finish(out, was, put_marks(out, v));
}

int snet_record_decode_ack(struct snet_record_marks *v, const void *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);

	*v = (struct snet_record_marks){ 0 };
	take_marks(&r, v);
	return ended(&r);
}

int snet_record_encode_bye(const struct snet_record_bye *v, struct snet_buf *out)
{
	size_t was = out->n;
	int rc = snet_buf_be64(out, v->code);

	return finish(out, was, rc ? rc : put_text(out, &v->reason, SNET_REASON_MAX));
}

int snet_record_decode_bye(struct snet_record_bye *v, const void *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);

	*v = (struct snet_record_bye){ .code = snet_take_be64(&r) };
	v->reason = take_text(&r, SNET_REASON_MAX);
	return ended(&r);
}

int snet_record_encode_forward(const struct snet_record_forward *v, struct snet_buf *out)
{
	size_t was = out->n;
	int rc;

	if ((rc = snet_buf_be32(out, v->origin)) || (rc = snet_buf_be32(out, v->target)) ||
	    (rc = snet_buf_be64(out, v->sequence)))
		return finish(out, was, rc);
	return finish(out, was, snet_buf_add(out, v->body.p, v->body.n));
}

int snet_record_decode_forward(struct snet_record_forward *v, const void *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);

	*v = (struct snet_record_forward){ 0 };
	v->origin = snet_take_be32(&r);
	v->target = snet_take_be32(&r);
	v->sequence = snet_take_be64(&r);
	v->body.n = snet_left(&r);
	v->body.p = snet_take(&r, v->body.n);
	return ended(&r);
}
