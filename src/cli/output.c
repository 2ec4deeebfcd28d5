#include "cli/output.h"

#include <string.h>

#include "base/utf8.h"
#include "cli/json.h"
#include "cli/kind.h"
#include "cli/say.h"
#include "cli/sink.h"
#include "cli/words.h"
#include "obs/encode.h"
#include "obs/jsonl.h"
#include "wire/frame.h"

enum {
	HEAD_MAX = 512,    /* bytes of a line besides the payload */
	ESCAPED = 6,       /* \u0000 for one byte */
	GATHER = 16 << 10, /* payloads up to this are gathered, others written where they lie */
};

void output_init(struct output *o, struct sink *sink, enum format format, enum payload payload,
		 bool words)
{
	*o = (struct output){
		.sink = sink, .format = format, .payload = payload, .words = words
	};
}

size_t output_room_max(uint64_t max_message)
{
	return (size_t)max_message * ESCAPED + HEAD_MAX;
}

/* ---- json */

static int take_back(struct snet_buf *b, size_t start)
{
	bool full = b->max - b->n < HEAD_MAX;

	b->n = start;
	b->bad = false;
	return full ? SNET_ETOOBIG : SNET_ENOMEM;
}

/* Whether p is one JSON text; it is not written to. */
static bool is_json(const uint8_t *p, size_t n)
{
	struct json j = json_of((uint8_t *)p, n);

	return n && json_skip(&j) && json_end(&j);
}

/* White space inside JSON may be newlines, and a line may not. In strings there are none. */
static void put_json(struct snet_buf *b, const uint8_t *p, size_t n)
{
	snet_json_raw(b, "json", p, n);
	if (b->bad)
		return;
	for (uint8_t *c = b->p + b->n - n; (c = memchr(c, '\n', (size_t)(b->p + b->n - c)));)
		*c = ' ';
}

static void put_payload(struct snet_buf *b, enum payload payload, const uint8_t *p, size_t n)
{
	switch (payload) {
	case PAYLOAD_TEXT:
		if (snet_json_text(b, "text", p, n) == SNET_OK)
			return;
		break;
	case PAYLOAD_JSON:
		if (!is_json(p, n))
			break;
		put_json(b, p, n);
		return;
	case PAYLOAD_HEX:
		snet_json_hex(b, "hex", p, n);
		return;
	case PAYLOAD_DATA:
		break;
	}
	snet_json_base64(b, "data", p, n);
}

#define MESSAGE "{\"event\":\"message\",\"from\":"
#define CLIENT_MESSAGE "{\"event\":\"message\",\"client\":"

/* begin: up to the sender's number. */
static int put_message(struct snet_buf *b, const char *begin, enum payload payload,
		       uint32_t from, const struct snet_message *m)
{
	char kind[KIND_TEXT];
	size_t start = b->n;
	uint8_t *to;

	snet_buf_add(b, begin, strlen(begin));
	to = b->bad ? NULL : snet_buf_room(b, SNET_DECIMAL_MAX);
	if (to)
		snet_buf_took(b, snet_decimal(to, from));
	snet_json_uint(b, "seq", m->seq);
	if (m->stream)
		snet_json_uint(b, "stream", m->stream);
	snet_json_words(b, "kind", kind_print(m->kind, kind));
	put_payload(b, payload, m->p, m->n);
	snet_json_line(b);
	return b->bad ? take_back(b, start) : SNET_OK;
}

int output_json(struct snet_buf *b, enum payload payload, uint32_t from,
		const struct snet_message *m)
{
	return put_message(b, MESSAGE, payload, from, m);
}

/* For people: text where it is text. who: the event and the key of the sender. */
static int put_words(struct snet_buf *b, const char *who, enum payload payload, uint32_t from,
		     const struct snet_message *m)
{
	char kind[KIND_TEXT];
	size_t start = b->n;
	uint8_t *to;

	snet_buf_fmt(b, "%s=%lu seq=%llu", who, (unsigned long)from,
		     (unsigned long long)m->seq);
	if (m->stream)
		snet_buf_fmt(b, " stream=%u", m->stream);
	snet_buf_fmt(b, " kind=%s ", kind_print(m->kind, kind));
	if (payload != PAYLOAD_HEX && snet_utf8_is_valid(m->p, m->n)) {
		snet_buf_str(b, "text=");
		words_value(b, (const char *)m->p, m->n);
	} else {
		snet_buf_str(b, payload == PAYLOAD_HEX ? "hex=" : "data=");
		to = snet_buf_room(b, 2 * m->n + 4);
		if (to)
			snet_buf_took(b, payload == PAYLOAD_HEX
						 ? snet_hex_encode(to, m->p, m->n)
						 : snet_base64_encode(to, m->p, m->n));
	}
	snet_buf_u8(b, '\n');
	return b->bad ? take_back(b, start) : SNET_OK;
}

static int put_object(struct output *o, bool client, uint32_t from,
		      const struct snet_message *m)
{
	struct snet_buf *b = sink_buf(o->sink);
	int rc = o->words ? put_words(b, client ? "message client" : "message from", o->payload,
				      from, m)
			  : put_message(b, client ? CLIENT_MESSAGE : MESSAGE, o->payload, from,
					m);

	sink_wrote(o->sink);
	return rc;
}

/* ---- bytes */

/* What stands before the payload, the payload, what stands after. */
static int put_bytes(struct output *o, const uint8_t *head, size_t head_n, const uint8_t *p,
		     size_t n, const char *tail, size_t tail_n)
{
	struct iovec v[3] = { { (uint8_t *)head, head_n },
			      { (uint8_t *)p, n },
			      { (char *)tail, tail_n } };
	struct snet_buf *b;
	uint8_t *to;

	if (n > GATHER)
		return sink_write(o->sink, v, 3);
	b = sink_buf(o->sink);
	to = snet_buf_room(b, head_n + n + tail_n);
	if (!to)
		return take_back(b, b->n);
	memcpy(to, head, head_n);
	if (n)
		memcpy(to + head_n, p, n);
	memcpy(to + head_n + n, tail, tail_n);
	snet_buf_took(b, head_n + n + tail_n);
	sink_wrote(o->sink);
	return SNET_OK;
}

static void look_for_newline(struct output *o, uint32_t from, const struct snet_message *m)
{
	if (!m->n || !memchr(m->p, '\n', m->n))
		return;
	o->odd_lines++;
	if (o->warned)
		return;
	o->warned = true;
	say_note("message %llu from %lu holds a newline: in format lines it looks like more "
		 "than one",
		 (unsigned long long)m->seq, (unsigned long)from);
}

int output_message(struct output *o, uint32_t from, const struct snet_message *m)
{
	uint8_t head[SNET_FRAME_HEAD + 4] = { 0 };

	switch (o->format) {
	case FORMAT_JSON:
		return put_object(o, false, from, m);
	case FORMAT_LINES:
		look_for_newline(o, from, m);
		return put_bytes(o, head, 0, m->p, m->n, "\n", 1);
	case FORMAT_FRAMED:
		snet_frame_head(head, (uint32_t)m->n);
		return put_bytes(o, head, SNET_FRAME_HEAD, m->p, m->n, "", 0);
	case FORMAT_ADDRESSED:
		snet_frame_head(head, (uint32_t)m->n + 4);
		snet_put_be32(head + SNET_FRAME_HEAD, from);
		return put_bytes(o, head, sizeof(head), m->p, m->n, "", 0);
	case FORMAT_RAW:
		return put_bytes(o, head, 0, m->p, m->n, "", 0);
	}
	return SNET_EINVAL;
}

int output_client(struct output *o, uint32_t number, const struct snet_message *m)
{
	if (o->format == FORMAT_JSON)
		return put_object(o, true, number, m);
	return output_message(o, OUTPUT_CLIENT + number, m);
}

/* ---- rounds */

void output_round_begin(struct output *o, uint64_t number)
{
	struct snet_buf *b;

	o->next = false;
	if (o->format != FORMAT_JSON || o->words)
		return;
	b = sink_buf(o->sink);
	snet_json_open(b);
	snet_json_words(b, "event", "round");
	snet_json_uint(b, "round", number);
	snet_json_key(b, "messages");
	snet_buf_u8(b, '[');
	sink_wrote(o->sink);
}

static int put_of_round(struct output *o, uint32_t from, const struct snet_message *m)
{
	struct snet_buf *b = sink_buf(o->sink);
	char kind[KIND_TEXT];
	size_t start = b->n;
	int rc = SNET_OK;

	if (o->next)
		snet_buf_u8(b, ',');
	o->next = true;
	snet_json_open(b);
	snet_json_uint(b, "from", from);
	snet_json_words(b, "kind", kind_print(m->kind, kind));
	put_payload(b, o->payload, m->p, m->n);
	snet_json_close(b);
	if (b->bad)
		rc = take_back(b, start);
	sink_wrote(o->sink);
	return rc;
}

int output_round_message(struct output *o, uint32_t from, const struct snet_message *m,
			 bool present)
{
	struct snet_buf *b;
	int rc;

	if (o->format != FORMAT_JSON)
		return output_message(o, from, m);
	if (!present)
		return SNET_OK;
	if (!o->words)
		return put_of_round(o, from, m);
	b = sink_buf(o->sink);
	rc = put_words(b, "round from", o->payload, from, m);
	sink_wrote(o->sink);
	return rc;
}

void output_round_end(struct output *o, uint64_t number, const void *missing, size_t n)
{
	struct snet_buf *b;

	if (o->format != FORMAT_JSON || (o->words && !n))
		return;
	b = sink_buf(o->sink);
	if (o->words) {
		snet_buf_fmt(b, "round missing=%.*s seq=%llu\n", (int)n, (const char *)missing,
			     (unsigned long long)number);
	} else {
		snet_buf_u8(b, ']');
		snet_json_key(b, "missing");
		snet_buf_u8(b, '[');
		snet_buf_add(b, missing, n);
		snet_buf_u8(b, ']');
		snet_json_line(b);
	}
	sink_wrote(o->sink);
}
