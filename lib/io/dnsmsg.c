#include "io/dnsmsg.h"

#include <string.h>

#include "base/bytes.h"

#define HEADER 12
#define LABEL 63
#define CLASS_IN 1
#define QU 0x8000          /* in the class of a question, RFC 6762 §5.4 */
#define CACHE_FLUSH 0x8000 /* in the class of a record, RFC 6762 §10.2 */
/* QR, and opcode and rcode, which are to be zero, RFC 6762 §18. */
#define FLAGS_MASK 0xf80f
#define FLAGS_RESPONSE 0x8000

/* Labels, each after its length, the last one empty. */
struct name {
	uint8_t p[SNET_DNS_NAME];
	size_t n;
};

struct message {
	const uint8_t *p;
	struct snet_reader r;
	struct name wanted;
	bool is_mdns;
	struct snet_dns_answers *out;
};

/* ---- names */

static bool name_of_text(struct name *out, const char *text)
{
	size_t n;

	out->n = 0;
	for (; *text; text += n + (text[n] == '.')) {
		n = strcspn(text, ".");
		if (!n || n > LABEL || out->n + 1 + n + 1 > sizeof(out->p))
			return false;
		out->p[out->n++] = (uint8_t)n;
		memcpy(out->p + out->n, text, n);
		out->n += n;
	}
	if (!out->n)
		return false;
	out->p[out->n++] = 0;
	return true;
}

/* Takes letters, digits, '-' and '_' only: it will be shown to people, and asked for. */
static bool text_of_name(char out[static SNET_DNS_NAME], const struct name *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	char *to = out;

	for (const uint8_t *at = name->p; *at; at += 1 + *at) {
		if (to != out)
			*to++ = '.';
		for (size_t i = 1; i <= *at; i++) {
			if (!memchr(allowed, at[i], sizeof(allowed) - 1))
				return false;
			*to++ = (char)at[i];
		}
	}
	*to = '\0';
	return true;
}

/* Lengths are below 'A', so that they are compared as they are. */
static bool is_same(const struct name *a, const struct name *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++) {
		uint8_t x = a->p[i], y = b->p[i];

		x = x >= 'A' && x <= 'Z' ? x | 0x20 : x;
		y = y >= 'A' && y <= 'Z' ? y | 0x20 : y;
		if (x != y)
			return false;
	}
	return a->n == b->n;
}

/* A pointer leads to a prior occurrence, RFC 1035 §4.1.4: only ever further back, so that there
 * is an end to it. */
static void take_name(struct message *m, struct name *out)
{
	struct snet_reader at = m->r;
	const uint8_t *before = m->r.at, *label;
	bool has_jumped = false;
	uint8_t len;

	out->n = 0;
	do {
		len = snet_take_u8(&at);
		if (len >= 0xc0) {
			size_t to = (len & 0x3fu) << 8 | snet_take_u8(&at);

			at.bad = at.bad || to >= (size_t)(before - m->p);
			if (at.bad)
				break;
			if (!has_jumped)
				m->r = at;
			has_jumped = true;
			before = at.at = m->p + to;
			continue;
		}
		label = snet_take(&at, len);
		at.bad = at.bad || len > LABEL || out->n + 1 + len > sizeof(out->p);
		if (at.bad)
			break;
		out->p[out->n++] = len;
		memcpy(out->p + out->n, label, len);
		out->n += len;
	} while (len);
	if (at.bad)
		m->r.bad = true;
	else if (!has_jumped)
		m->r = at;
}

/* ---- questions */

size_t snet_dnsmsg_ask(uint8_t out[static SNET_DNS_ASK_MAX], const char *name, int family)
{
	static const struct {
		int family;
		uint16_t type;
	} kinds[] = { { AF_INET, SNET_DNS_A }, { AF_INET6, SNET_DNS_AAAA } };
	uint8_t *to = out + HEADER;
	struct name wire;

	if (!name_of_text(&wire, name))
		return 0;
	memset(out, 0, HEADER);
	for (size_t i = 0; i < 2; i++) {
		if (family != AF_UNSPEC && family != kinds[i].family)
			continue;
		if (!out[5]++) {
			memcpy(to, wire.p, wire.n);
			to += wire.n;
		} else {
			snet_put_be16(to, 0xc000 | HEADER);
			to += 2;
		}
		snet_put_be16(to, kinds[i].type);
		snet_put_be16(to + 2, QU | CLASS_IN);
		to += 4;
	}
	return (size_t)(to - out);
}

/* ---- answers */

static void take_addr(struct message *m, int family)
{
	struct snet_addr a = { .sa.sa_family = (sa_family_t)family };
	bool is_v4 = family == AF_INET;
	size_t n = is_v4 ? 4 : 16;
	const uint8_t *p = snet_take(&m->r, n);

	if (!p || m->out->addrs_n == SNET_DNS_ADDRS)
		return;
	memcpy(is_v4 ? (void *)&a.in.sin_addr : (void *)&a.in6.sin6_addr, p, n);
	m->out->addrs[m->out->addrs_n++] = a;
}

static void take_target(struct message *m)
{
	struct snet_dns_target t;
	struct name host;

	t.priority = snet_take_be16(&m->r);
	t.weight = snet_take_be16(&m->r);
	t.port = snet_take_be16(&m->r);
	take_name(m, &host);
	if (m->r.bad)
		return;
	if (!text_of_name(t.host, &host))
		m->r.bad = true;
	else if (m->out->targets_n < SNET_DNS_TARGETS)
		m->out->targets[m->out->targets_n++] = t;
}

static void take_alias(struct message *m)
{
	struct name other;

	take_name(m, &other);
	if (!m->r.bad)
		m->wanted = other;
}

static void take_data(struct message *m, uint16_t type, size_t n)
{
	switch (type) {
	case SNET_DNS_A:
		take_addr(m, AF_INET);
		break;
	case SNET_DNS_AAAA:
		take_addr(m, AF_INET6);
		break;
	case SNET_DNS_SRV:
		take_target(m);
		break;
	case SNET_DNS_CNAME:
		if (!m->is_mdns) {
			take_alias(m);
			break;
		}
		/* fall through */
	default:
		snet_take(&m->r, n);
	}
}

static void take_record(struct message *m)
{
	struct name owner;
	uint16_t type, class, n;
	const uint8_t *end;
	uint32_t ttl;

	take_name(m, &owner);
	type = snet_take_be16(&m->r);
	class = snet_take_be16(&m->r);
	ttl = snet_take_be32(&m->r);
	n = snet_take_be16(&m->r);
	if (m->r.bad || n > snet_left(&m->r)) {
		m->r.bad = true;
		return;
	}
	end = m->r.at + n;
	if (m->is_mdns)
		class &= (uint16_t)~CACHE_FLUSH;
	if (class == CLASS_IN && is_same(&owner, &m->wanted) && (ttl || !m->is_mdns))
		take_data(m, type, n);
	else
		snet_take(&m->r, n);
	if (m->r.at != end)
		m->r.bad = true;
}

/* Of a DNS reply the first question is what is wanted. */
static void take_question(struct message *m)
{
	struct name asked;

	take_name(m, &asked);
	snet_take_be32(&m->r); /* type and class */
	if (!m->r.bad && !m->wanted.n)
		m->wanted = asked;
}

int snet_dnsmsg_read(struct snet_dns_answers *out, const uint8_t *p, size_t n, const char *name)
{
	struct message m = { .p = p, .r = snet_reader(p, n), .is_mdns = name, .out = out };
	uint16_t flags, questions;
	uint32_t records;

	out->addrs_n = out->targets_n = 0;
	if (name && !name_of_text(&m.wanted, name))
		return SNET_EPROTO;
	snet_take_be16(&m.r); /* the id: c-ares has looked at it; or RFC 6762 §18.1 */
	flags = snet_take_be16(&m.r);
	questions = snet_take_be16(&m.r);
	records = snet_take_be16(&m.r);
	records += snet_take_be16(&m.r);
	records += snet_take_be16(&m.r);
	if (m.r.bad || (flags & FLAGS_MASK) != FLAGS_RESPONSE)
		return SNET_EPROTO;
	for (; questions && !m.r.bad; questions--)
		take_question(&m);
	for (; records && !m.r.bad; records--)
		take_record(&m);
	if (!m.r.bad && !snet_left(&m.r))
		return SNET_OK;
	out->addrs_n = out->targets_n = 0;
	return SNET_EPROTO;
}
