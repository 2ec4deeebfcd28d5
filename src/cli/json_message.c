#include "cli/json_message.h"

#include <stdlib.h>
#include <string.h>

#include "cli/format.h"
#include "cli/input.h"
#include "cli/json.h"
#include "cli/kind.h"
#include "obs/encode.h"
#include "transport/transport.h"

/* Keys of ours that mean nothing on input: what one program writes another may read. */
enum key { TO, TEXT, JSON, DATA, HEX, KIND, STREAM, EVENT, FROM, SEQ, PEER, CLIENT, KEYS };

static const struct {
	const char *name;
	size_t n;
} keys[KEYS] = {
#define KEY(s)                   \
	{                        \
		s, sizeof(s) - 1 \
	}
	KEY("to"),     KEY("text"),  KEY("json"), KEY("data"), KEY("hex"),  KEY("kind"),
	KEY("stream"), KEY("event"), KEY("from"), KEY("seq"),  KEY("peer"), KEY("client"),
#undef KEY
};

struct line {
	struct json j;
	struct json_message *m;
	unsigned seen; /* bits of keys */
	bool foreign;  /* an event that is no message */
	int rc;        /* of what is not the text's fault */
};

static enum key find(const uint8_t *p, size_t n)
{
	enum key k = 0;

	while (k < KEYS && (keys[k].n != n || (uint8_t)keys[k].name[0] != p[0] ||
			    memcmp(keys[k].name, p, n) != 0))
		k++;
	return k;
}

/* Room for one more, of size bytes each. */
static bool make_room(struct line *l, void **v, size_t n, size_t *cap, size_t size)
{
	void *grown;

	if (n == INPUT_TO_MAX)
		return json_fail(&l->j, "\"to\": too many");
	if (n < *cap)
		return true;
	grown = realloc(*v, (*cap * 2 + 8) * size);
	if (!grown) {
		l->rc = SNET_ENOMEM;
		return json_fail(&l->j, snet_err_text(SNET_ENOMEM));
	}
	*v = grown;
	*cap = *cap * 2 + 8;
	return true;
}

static bool is_client(const uint8_t *p, size_t n, uint64_t *id)
{
	static const char begin[] = "client:";
	const size_t skip = sizeof(begin) - 1;
	struct json digits;

	if (n <= skip || memcmp(p, begin, skip) || p[skip] < '0' || p[skip] > '9')
		return false;
	digits = json_of((uint8_t *)p + skip, n - skip);
	return json_uint(&digits, id, UINT64_MAX) && digits.at == digits.end;
}

/* "all", which goes alone, or "client:<id>". */
static bool read_to_name(struct line *l, bool alone)
{
	struct json_message *m = l->m;
	void *clients = m->clients;
	uint64_t id;
	uint8_t *p;
	size_t n;

	if (!json_string(&l->j, &p, &n))
		return false;
	m->all = alone && n == 3 && !memcmp(p, "all", 3);
	if (m->all)
		return true;
	if (!is_client(p, n, &id))
		return json_fail(&l->j,
				 "\"to\": an id, \"client:<id>\", a list of such, or \"all\"");
	if (!make_room(l, &clients, m->n_clients, &m->cap_clients, sizeof(id)))
		return false;
	m->clients = clients;
	m->clients[m->n_clients++] = id;
	return true;
}

static bool read_to_one(struct line *l, bool alone)
{
	struct json_message *m = l->m;
	void *to = m->to;
	uint64_t id;

	if (json_is(&l->j, '"'))
		return read_to_name(l, alone);
	if (!json_uint(&l->j, &id, PARTY_ALL - 1) ||
	    !make_room(l, &to, m->n_to, &m->cap_to, sizeof(*m->to)))
		return false;
	m->to = to;
	m->to[m->n_to++] = (uint32_t)id;
	return true;
}

static bool read_to(struct line *l)
{
	struct json *j = &l->j;

	if (!json_is(j, '['))
		return read_to_one(l, true);
	j->at++;
	if (json_is(j, ']'))
		return json_fail(j, "\"to\": an empty list");
	for (;;) {
		if (!read_to_one(l, false))
			return false;
		if (json_is(j, ']'))
			break;
		if (!json_punct(j, ','))
			return false;
	}
	j->at++;
	return true;
}

static bool read_kind(struct line *l)
{
	char digits[SNET_DECIMAL_MAX];
	int kind = SNET_EINVAL;
	uint64_t number;
	uint8_t *p;
	size_t n;

	if (json_is(&l->j, '"')) {
		if (!json_string(&l->j, &p, &n))
			return false;
		kind = kind_parse((const char *)p, n);
	} else {
		if (!json_uint(&l->j, &number, UINT8_MAX))
			return false;
		kind = kind_parse(digits, snet_decimal((uint8_t *)digits, number));
	}
	if (kind < 0)
		return json_fail(&l->j, "\"kind\": no record type a program may send");
	l->m->kind = (uint8_t)kind;
	return true;
}

static bool read_event(struct line *l)
{
	uint8_t *p;
	size_t n;

	if (!json_is(&l->j, '"'))
		return json_fail(&l->j, "\"event\": not a string");
	if (!json_string(&l->j, &p, &n))
		return false;
	l->foreign = n != 7 || memcmp(p, "message", 7) != 0;
	return true;
}

static bool read_payload(struct line *l, enum key k)
{
	struct json_message *m = l->m;

	if (k == JSON) {
		json_is(&l->j, 0); /* past the space */
		m->payload = l->j.at;
		if (!json_skip(&l->j))
			return false;
		m->n = (size_t)(l->j.at - m->payload);
		return true;
	}
	if (!json_is(&l->j, '"'))
		return json_fail(&l->j, "the payload is not a string");
	return json_string(&l->j, &m->payload, &m->n);
}

static bool read_value(struct line *l, enum key k)
{
	uint64_t v;

	switch (k) {
	case TO:
		return read_to(l);
	case TEXT:
	case JSON:
	case DATA:
	case HEX:
		return read_payload(l, k);
	case KIND:
		return read_kind(l);
	case STREAM:
		if (!json_uint(&l->j, &v, SNET_STREAMS - 1))
			return false;
		l->m->stream = (unsigned)v;
		return true;
	case EVENT:
		return read_event(l);
	default:
		return json_skip(&l->j);
	}
}

/* key ":" value. An unknown key is kept for the end: in another
 * program's event it is no mistake. */
static bool read_member(struct line *l, char unknown[static 64])
{
	uint8_t *p;
	size_t n;
	enum key k;

	if (!json_string(&l->j, &p, &n))
		return false;
	k = find(p, n);
	if (k == KEYS && !unknown[0]) {
		n = n < 63 ? n : 63;
		memcpy(unknown, p, n);
		unknown[n] = 0;
		if (!n)
			strcpy(unknown, "\"\"");
	}
	if (k < KEYS && l->seen & 1u << k)
		return json_fail(&l->j, "a key is given twice");
	l->seen |= k < KEYS ? 1u << k : 0;
	return json_punct(&l->j, ':') && read_value(l, k);
}

static bool read_object(struct line *l, char unknown[static 64])
{
	struct json *j = &l->j;

	if (!json_punct(j, '{'))
		return false;
	if (json_is(j, '}')) {
		j->at++;
		return json_end(j);
	}
	while (read_member(l, unknown)) {
		if (json_is(j, '}')) {
			j->at++;
			return json_end(j);
		}
		if (!json_punct(j, ','))
			return false;
	}
	return false;
}

/* Only now that the whole line has been read: decoding overwrites it. */
static int decode(struct line *l, struct snet_error *err)
{
	struct json_message *m = l->m;
	int rc = SNET_OK;

	if (l->seen & 1u << DATA)
		rc = snet_base64_decode(m->payload, &m->n, m->payload, m->n);
	if (rc)
		return snet_fail(err, SNET_EPROTO, "\"data\": not base64 (padded, RFC 4648)");
	if (l->seen & 1u << HEX)
		rc = snet_hex_decode(m->payload, &m->n, m->payload, m->n);
	if (rc)
		return snet_fail(err, SNET_EPROTO, "\"hex\": not pairs of hex digits");
	return 1;
}

static bool is_blank(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
			return false;
	return true;
}

int json_message_parse(struct json_message *m, uint8_t *line, size_t n, struct snet_error *err)
{
	const unsigned payloads = 1u << TEXT | 1u << JSON | 1u << DATA | 1u << HEX;
	struct line l = { .j = json_of(line, n), .m = m };
	char unknown[64] = "";

	m->all = false;
	m->n_to = m->n_clients = m->n = 0;
	if ((!n || line[0] != '{') && is_blank(line, n))
		return 0;
	if (!read_object(&l, unknown))
		return snet_fail(err, l.rc ? l.rc : SNET_EPROTO, "column %zu: %s",
				 (size_t)(l.j.at - line) + 1, l.j.why);
	if (l.foreign)
		return 0;
	if (unknown[0])
		return snet_fail(err, SNET_EPROTO, "unknown key \"%s\"", unknown);
	if (!(l.seen & payloads))
		return snet_fail(err, SNET_EPROTO,
				 "no payload: \"text\", \"json\", \"data\" or \"hex\"");
	if ((l.seen & payloads) & ((l.seen & payloads) - 1))
		return snet_fail(err, SNET_EPROTO, "more than one payload");
	return decode(&l, err);
}
