#include "nat/stunmsg.h"

#include <string.h>

#include "base/crc32.h"

#define COOKIE_AT 4
#define ID_AT 8
#define FINGERPRINT_XOR 0x5354554eu /* RFC 8489 §14.7 */
#define MUST_UNDERSTAND(type) ((type) < 0x8000)

struct row {
	uint16_t type, least, most;
	uint8_t width;
};

static const struct row rows[] = {
#define X(name, type, least, most, width) { type, least, most, width },
	SNET_STUN_ATTRIBUTES(X)
#undef X
};

static const struct row *row_of(unsigned type)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

static bool is_xored(unsigned type)
{
	return type == SNET_STUN_XOR_MAPPED_ADDRESS || type == SNET_STUN_XOR_PEER_ADDRESS ||
	       type == SNET_STUN_XOR_RELAYED_ADDRESS;
}

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static unsigned be16(const uint8_t *p)
{
	return (unsigned)(p[0] << 8 | p[1]);
}

size_t snet_stunmsg_size(const uint8_t p[static 4])
{
	return SNET_STUN_HEADER + be16(p + 2);
}

/* ---- reading */

/* The type's two class bits stand between its method bits (RFC 8489 §5). */
static void split_type(struct snet_stunmsg *m, unsigned type)
{
	m->cls = (uint8_t)((type >> 7 & 2) | (type >> 4 & 1));
	m->method = (uint16_t)((type & 0xf) | (type >> 1 & 0x70) | (type >> 2 & 0xf80));
}

static unsigned join_type(unsigned cls, unsigned method)
{
	return (method & 0xf) | (method & 0x70) << 1 | (method & 0xf80) << 2 | (cls & 1) << 4 |
	       (cls & 2) << 7;
}

/* One attribute at its offset, while the three that end the others are looked for. */
static int take_attribute(struct snet_stunmsg *m, size_t at, unsigned type, size_t n)
{
	const struct row *row = row_of(type);
	size_t *special = type == SNET_STUN_INTEGRITY          ? &m->integrity
			  : type == SNET_STUN_INTEGRITY_SHA256 ? &m->integrity_sha256
			  : type == SNET_STUN_FINGERPRINT      ? &m->fingerprint
							       : NULL;

	if (m->fingerprint)
		return SNET_EPROTO; /* §14.7: it is the last one */
	if (!special && m->end)
		return SNET_OK; /* §14.5: ignored */
	if (row && (n < row->least || n > row->most))
		return SNET_EPROTO;
	if (special) {
		/* After the SHA-256 one, a SHA-1 one is among what is ignored. */
		if (!*special && !(type == SNET_STUN_INTEGRITY && m->integrity_sha256))
			*special = at;
		m->end = m->end ? m->end : at;
	} else if (!row && MUST_UNDERSTAND(type) && m->unknown_n < SNET_STUN_UNKNOWN_MAX) {
		m->unknown[m->unknown_n++] = (uint16_t)type;
	}
	return SNET_OK;
}

static int walk(struct snet_stunmsg *m)
{
	struct snet_reader r = snet_reader(m->p + SNET_STUN_HEADER, m->n - SNET_STUN_HEADER);

	while (snet_left(&r)) {
		size_t at = (size_t)(r.at - m->p), n;
		unsigned type = snet_take_be16(&r);
		int rc;

		n = snet_take_be16(&r);
		if (!snet_take(&r, padded(n)))
			return SNET_EPROTO;
		rc = take_attribute(m, at, type, n);
		if (rc)
			return rc;
	}
	if (!m->end)
		m->end = m->n;
	return SNET_OK;
}

int snet_stunmsg_parse(struct snet_stunmsg *m, const void *p, size_t n)
{
	const uint8_t *b = p;
	int rc;

	*m = (struct snet_stunmsg){ .p = b, .n = n };
	if (n < SNET_STUN_HEADER)
		return SNET_ETRUNCATED;
	if (b[0] > 0x3f || snet_get_be32(b + COOKIE_AT) != SNET_STUN_COOKIE || b[3] % 4)
		return SNET_EPROTO;
	if (snet_stunmsg_size(b) != n)
		return snet_stunmsg_size(b) > n ? SNET_ETRUNCATED : SNET_EPROTO;
	split_type(m, be16(b));
	memcpy(m->id, b + ID_AT, sizeof(m->id));
	rc = walk(m);
	if (!rc && m->fingerprint &&
	    snet_get_be32(b + m->fingerprint + 4) !=
		    (snet_crc32(0, b, m->fingerprint) ^ FINGERPRINT_XOR))
		rc = SNET_EINTEGRITY;
	return rc;
}

static struct snet_slice value_at(const struct snet_stunmsg *m, size_t at)
{
	return (struct snet_slice){ m->p + at + 4, be16(m->p + at + 2), NULL };
}

bool snet_stunmsg_next(const struct snet_stunmsg *m, enum snet_stun_attr a, size_t *at,
		       struct snet_slice *out)
{
	size_t here = *at ? *at : SNET_STUN_HEADER;

	while (here < m->end) {
		struct snet_slice v = value_at(m, here);
		unsigned type = be16(m->p + here);

		here += 4 + padded(v.n);
		if (type == (unsigned)a) {
			*at = here;
			*out = v;
			return true;
		}
	}
	*at = m->n; /* and stays false */
	return false;
}

bool snet_stunmsg_get(const struct snet_stunmsg *m, enum snet_stun_attr a,
		      struct snet_slice *out)
{
	struct snet_slice v = { 0 };
	size_t at = a == SNET_STUN_INTEGRITY          ? m->integrity
		    : a == SNET_STUN_INTEGRITY_SHA256 ? m->integrity_sha256
		    : a == SNET_STUN_FINGERPRINT      ? m->fingerprint
						      : 0;

	if (at)
		v = value_at(m, at);
	else if (!snet_stunmsg_next(m, a, &at, &v))
		return false;
	if (out)
		*out = v;
	return true;
}

bool snet_stunmsg_addr_of(const struct snet_stunmsg *m, enum snet_stun_attr a,
			  const struct snet_slice *value, struct snet_addr *out)
{
	/* What an address is XORed with: the cookie and the transaction id. */
	const uint8_t *mask = m->p + COOKIE_AT;
	bool xored = is_xored(a), v6;
	uint8_t raw[16], port[2];
	size_t n;

	if (value->n != 8 && value->n != 20)
		return false;
	v6 = value->n == 20;
	n = v6 ? 16 : 4;
	if (value->p[1] != (v6 ? 2 : 1))
		return false;
	for (size_t i = 0; i < n; i++)
		raw[i] = (uint8_t)(value->p[4 + i] ^ (xored ? mask[i] : 0));
	for (size_t i = 0; i < sizeof(port); i++)
		port[i] = (uint8_t)(value->p[2 + i] ^ (xored ? mask[i] : 0));
	memset(out, 0, sizeof(*out));
	out->sa.sa_family = v6 ? AF_INET6 : AF_INET;
	memcpy(v6 ? (void *)&out->in6.sin6_addr : (void *)&out->in.sin_addr, raw, n);
	snet_addr_set_port(out, (uint16_t)be16(port));
	return true;
}

bool snet_stunmsg_addr(const struct snet_stunmsg *m, enum snet_stun_attr a,
		       struct snet_addr *out)
{
	struct snet_slice v;

	return snet_stunmsg_get(m, a, &v) && snet_stunmsg_addr_of(m, a, &v, out);
}

bool snet_stunmsg_number(const struct snet_stunmsg *m, enum snet_stun_attr a, uint64_t *out)
{
	const struct row *row = row_of(a);
	struct snet_slice v;

	if (!row || !row->width || !snet_stunmsg_get(m, a, &v))
		return false;
	*out = 0;
	for (size_t i = 0; i < row->width; i++)
		*out = *out << 8 | v.p[i];
	return true;
}

/* The four bytes that ERROR-CODE and ADDRESS-ERROR-CODE begin with. */
static int code_of(const uint8_t *p)
{
	int hundreds = p[2] & 7;

	return hundreds < 3 || hundreds > 6 || p[3] > 99 ? 0 : hundreds * 100 + p[3];
}

int snet_stunmsg_error(const struct snet_stunmsg *m, struct snet_slice *reason)
{
	struct snet_slice v;

	if (!snet_stunmsg_get(m, SNET_STUN_ERROR_CODE, &v))
		return 0;
	if (reason)
		*reason = (struct snet_slice){ v.p + 4, v.n - 4, NULL };
	return code_of(v.p);
}

int snet_stunmsg_address_error(const struct snet_stunmsg *m, uint8_t *family)
{
	struct snet_slice v;

	if (!snet_stunmsg_get(m, SNET_STUN_ADDRESS_ERROR_CODE, &v))
		return 0;
	*family = v.p[0];
	return code_of(v.p);
}

bool snet_stunmsg_icmp(const struct snet_stunmsg *m, uint8_t *type, uint16_t *code)
{
	struct snet_slice v;

	if (!snet_stunmsg_get(m, SNET_STUN_ICMP, &v))
		return false;
	*type = v.p[2] >> 1; /* RFC 8656 §18.13: seven bits, then nine */
	*code = be16(v.p + 2) & 0x1ff;
	return true;
}

/* ---- writing */

void snet_stunmsg_begin(struct snet_stunout *o, uint8_t *p, size_t cap,
			enum snet_stun_class cls, uint16_t method,
			const uint8_t id[static SNET_STUN_ID])
{
	*o = (struct snet_stunout){ p, SNET_STUN_HEADER, cap, false };
	if (cap < SNET_STUN_HEADER || method > 0xfff) {
		o->bad = true;
		return;
	}
	snet_put_be16(p, (uint16_t)join_type(cls, method));
	snet_put_be16(p + 2, 0);
	snet_put_be32(p + COOKIE_AT, SNET_STUN_COOKIE);
	memcpy(p + ID_AT, id, SNET_STUN_ID);
}

/* Room for a value, zeroed with its padding, and counted in the header; NULL: bad. */
static uint8_t *room(struct snet_stunout *o, unsigned type, size_t n)
{
	const struct row *row = row_of(type);
	size_t whole = 4 + padded(n);
	uint8_t *at = o->p + o->n;

	if (o->bad || !row || n < row->least || n > row->most || whole > o->cap - o->n ||
	    o->n + whole - SNET_STUN_HEADER > UINT16_MAX) {
		o->bad = true;
		return NULL;
	}
	memset(at, 0, whole);
	snet_put_be16(at, (uint16_t)type);
	snet_put_be16(at + 2, (uint16_t)n);
	o->n += whole;
	snet_put_be16(o->p + 2, (uint16_t)(o->n - SNET_STUN_HEADER));
	return at + 4;
}

void snet_stunmsg_put(struct snet_stunout *o, enum snet_stun_attr a, const void *p, size_t n)
{
	uint8_t *v = room(o, a, n);

	if (v && n)
		memcpy(v, p, n);
}

void snet_stunmsg_put_text(struct snet_stunout *o, enum snet_stun_attr a, const char *s)
{
	snet_stunmsg_put(o, a, s, strlen(s));
}

void snet_stunmsg_put_addr(struct snet_stunout *o, enum snet_stun_attr a,
			   const struct snet_addr *v)
{
	bool v6 = v->sa.sa_family == AF_INET6;
	uint8_t raw[20] = { 0, v6 ? 2 : 1 };
	size_t n = v6 ? 20 : 8;

	if (!v6 && v->sa.sa_family != AF_INET) {
		o->bad = true;
		return;
	}
	snet_put_be16(raw + 2, snet_addr_port(v));
	memcpy(raw + 4, v6 ? (const void *)&v->in6.sin6_addr : (const void *)&v->in.sin_addr,
	       n - 4);
	if (is_xored(a) && !o->bad) {
		const uint8_t *mask = o->p + COOKIE_AT;

		raw[2] ^= mask[0];
		raw[3] ^= mask[1];
		for (size_t i = 4; i < n; i++)
			raw[i] ^= mask[i - 4];
	}
	snet_stunmsg_put(o, a, raw, n);
}

void snet_stunmsg_put_number(struct snet_stunout *o, enum snet_stun_attr a, uint64_t v)
{
	const struct row *row = row_of(a);
	uint8_t *p = room(o, a, row ? row->least : 0);

	if (!p)
		return;
	if (!row->width || (row->width < 8 && v >> 8 * row->width)) {
		o->bad = true;
		return;
	}
	for (size_t i = 0; i < row->width; i++)
		p[i] = (uint8_t)(v >> 8 * (row->width - 1 - i));
}

void snet_stunmsg_put_error(struct snet_stunout *o, int code, const char *reason)
{
	uint8_t *p = room(o, SNET_STUN_ERROR_CODE, 4 + strlen(reason));

	if (!p)
		return;
	if (code < 300 || code > 699)
		o->bad = true;
	p[2] = (uint8_t)(code / 100);
	p[3] = (uint8_t)(code % 100);
	memcpy(p + 4, reason, strlen(reason));
}

void snet_stunmsg_put_unknown(struct snet_stunout *o, const struct snet_stunmsg *request)
{
	uint8_t *p = room(o, SNET_STUN_UNKNOWN_ATTRIBUTES, 2 * request->unknown_n);

	for (size_t i = 0; p && i < request->unknown_n; i++)
		snet_put_be16(p + 2 * i, request->unknown[i]);
}

void snet_stunmsg_put_fingerprint(struct snet_stunout *o)
{
	size_t before = o->n;
	uint8_t *p = room(o, SNET_STUN_FINGERPRINT, 4);

	if (p) /* over the header that already counts it */
		snet_put_be32(p, snet_crc32(0, o->p, before) ^ FINGERPRINT_XOR);
}

size_t snet_stunmsg_end(const struct snet_stunout *o)
{
	return o->bad ? 0 : o->n;
}
