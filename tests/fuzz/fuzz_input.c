/* Messages on stdin. The first byte picks the format, the second the ceiling and the size of
 * the pieces it is fed in. However it is fed, the same messages come out; and what a line of
 * json means is what jansson makes of it. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/input.h"
#include "cli/json_message.h"
#include "cli/kind.h"
#include "obs/encode.h"

/* ---- the same messages in pieces of any size */

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n--)
		h = (h ^ *at++) * 1099511628211u;
	return h;
}

static uint64_t mix_number(uint64_t h, uint64_t v)
{
	return mix(h, &v, sizeof(v));
}

static uint64_t mix_message(uint64_t h, enum format format, const struct input_message *m)
{
	size_t total = 0;

	if (format != FORMAT_RAW) { /* whose boundaries are those of reads */
		h = mix_number(h, m->line);
		h = mix_number(h, m->total);
	}
	h = mix_number(h, m->all ? UINT64_MAX : m->n_to);
	h = mix(h, m->to, m->n_to * sizeof(*m->to));
	h = mix(h, m->clients, m->n_clients * sizeof(*m->clients));
	h = mix_number(h, (uint64_t)m->stream << 8 | m->kind);
	for (size_t i = 0; i < m->n; i++) {
		assert((m->v[i].block != NULL) == (m->total > INPUT_COPY));
		total += m->v[i].n;
	}
	assert(total == m->total && m->stream < 16);
	return h;
}

static uint64_t mix_payload(uint64_t h, const struct input_message *m)
{
	for (size_t i = 0; i < m->n; i++)
		h = mix(h, m->v[i].p, m->v[i].n);
	return h;
}

static uint64_t drain(uint64_t h, struct input *in, const struct input_opts *o,
		      uint64_t *payload)
{
	struct input_message m;
	struct snet_error err;
	int rc;

	while ((rc = input_next(in, &m, &err)) != 0) {
		if (rc < 0) {
			assert(rc == err.code && err.text[0]);
			h = mix(h, err.text, strlen(err.text));
			continue;
		}
		assert(rc == 1 && m.total <= o->max_message);
		if (o->format != FORMAT_RAW)
			h = mix_message(h, o->format, &m);
		*payload = mix_payload(*payload, &m);
	}
	return h;
}

static uint64_t run(const struct input_opts *o, const uint8_t *p, size_t n, size_t piece)
{
	uint64_t h = 14695981039346656037u, payload = h;
	struct input *in = NULL;

	if (input_new(&in, o))
		abort();
	while (n) {
		size_t room = 0, k = n < piece ? n : piece;
		uint8_t *to = input_room(in, &room);

		assert(to && room);
		k = k < room ? k : room;
		memcpy(to, p, k);
		input_took(in, k);
		p += k;
		n -= k;
		h = drain(h, in, o, &payload);
	}
	input_end(in);
	h = drain(h, in, o, &payload);
	h = mix_number(h, input_is_broken(in));
	h = mix_number(h, input_line(in));
	input_free(in);
	return h ^ payload;
}

/* ---- a line of json against jansson */

enum verdict { BAD, PASS, MESSAGE };

static bool is_id(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 &&
	       json_integer_value(v) < PARTY_ALL;
}

/* "client:" and digits, as a number has them: no zero before others. */
static bool is_client(const json_t *v, uint64_t *id)
{
	const char *s = json_string_value(v), *digits = s ? s + 7 : NULL;
	char *end;

	if (!s || strncmp(s, "client:", 7) || strlen(s) != json_string_length(v) ||
	    *digits < '0' || *digits > '9' || (*digits == '0' && digits[1]))
		return false;
	errno = 0;
	*id = strtoull(digits, &end, 10);
	return !*end && !errno;
}

/* The next one of either kind. */
static bool good_one(const json_t *v, const struct json_message *m, bool compare, size_t *to,
		     size_t *clients)
{
	uint64_t id;

	if (is_client(v, &id))
		return (*clients)++ < m->n_clients ? !compare || m->clients[*clients - 1] == id
						   : !compare;
	if (!is_id(v))
		return false;
	return (*to)++ < m->n_to ? !compare || m->to[*to - 1] == json_integer_value(v)
				 : !compare;
}

static bool good_to(const json_t *to, const struct json_message *m, bool compare)
{
	size_t parties = 0, clients = 0, n = json_is_array(to) ? json_array_size(to) : 1;

	if (!to)
		return !compare || (!m->all && !m->n_to && !m->n_clients);
	if (json_string_length(to) == 3 && !strcmp(json_string_value(to), "all"))
		return !compare || m->all;
	for (size_t i = 0; i < n; i++)
		if (!good_one(json_is_array(to) ? json_array_get(to, i) : to, m, compare,
			      &parties, &clients))
			return false;
	return n && (!compare || (m->n_to == parties && m->n_clients == clients));
}

static int kind_of(const json_t *v)
{
	char digits[SNET_DECIMAL_MAX];

	if (!v)
		return 32;
	if (json_is_string(v))
		return kind_parse(json_string_value(v), json_string_length(v));
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return SNET_EINVAL;
	return kind_parse(digits,
			  snet_decimal((uint8_t *)digits, (uint64_t)json_integer_value(v)));
}

static bool same_payload(const char *key, const json_t *v, const struct json_message *m)
{
	size_t n = json_string_length(v), k = 0;
	uint8_t *back;
	bool same;

	if (!strcmp(key, "json")) {
		json_t *got = json_loadb((char *)m->payload, m->n,
					 JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

		same = got && json_equal(got, v);
		json_decref(got);
		return same;
	}
	if (!strcmp(key, "text"))
		return n == m->n && !memcmp(json_string_value(v), m->payload, n);
	back = malloc(2 * m->n + 8);
	if (!back)
		abort();
	k = !strcmp(key, "data") ? snet_base64_encode(back, m->payload, m->n)
				 : snet_hex_encode(back, m->payload, m->n);
	same = k == n;
	for (size_t i = 0; same && i < n; i++) {
		uint8_t c = (uint8_t)json_string_value(v)[i];

		/* hex is taken in either case */
		same = c == back[i] ||
		       (key[0] == 'h' && c >= 'A' && c <= 'F' && (c | 0x20) == back[i]);
	}
	free(back);
	return same;
}

/* What jansson's tree means; with compare, that it is what m says. */
static enum verdict judge(const json_t *o, const struct json_message *m, bool compare)
{
	static const char *const payloads[] = { "text", "json", "data", "hex" };
	static const char *const others[] = { "to",   "kind", "stream", "event",
					      "from", "seq",  "peer" };
	const json_t *event = json_object_get(o, "event"),
		     *stream = json_object_get(o, "stream"), *v;
	size_t known = 0, found = 0;
	const char *key = NULL;

	if (!json_is_object(o) || (event && !json_is_string(event)))
		return BAD;
	if (stream && (!json_is_integer(stream) || json_integer_value(stream) < 0 ||
		       json_integer_value(stream) > 15))
		return BAD;
	if (!good_to(json_object_get(o, "to"), m, compare) ||
	    kind_of(json_object_get(o, "kind")) < 0)
		return BAD;
	for (size_t i = 0; i < 4; i++) {
		v = json_object_get(o, payloads[i]);
		if (v && strcmp(payloads[i], "json") != 0 && !json_is_string(v))
			return BAD;
		if (!v)
			continue;
		found++;
		key = payloads[i];
	}
	if (event && (json_string_length(event) != 7 ||
		      strcmp(json_string_value(event), "message") != 0))
		return PASS;
	for (size_t i = 0; i < 7; i++)
		known += json_object_get(o, others[i]) != NULL;
	if (known + found != json_object_size(o) || found != 1)
		return BAD;
	if (compare) {
		assert(m->kind == kind_of(json_object_get(o, "kind")));
		assert(m->stream == (stream ? json_integer_value(stream) : 0));
		assert(same_payload(key, json_object_get(o, key), m));
	}
	return MESSAGE;
}

/* Where we differ from jansson on purpose: numbers of any size, -0, depth, keys twice, base64
 * and hex that it knows nothing of. */
static bool differs(const char *ours, const char *theirs)
{
	static const char *const our[] = { "too deep", "not base64", "not pairs", "a number" };
	static const char *const their[] = { "too big", "overflow", "depth", "NUL" };

	for (size_t i = 0; i < sizeof(our) / sizeof(our[0]); i++)
		if (strstr(ours, our[i]))
			return true;
	for (size_t i = 0; i < sizeof(their) / sizeof(their[0]); i++)
		if (strstr(theirs, their[i]))
			return true;
	return false;
}

static bool is_blank(const uint8_t *p, size_t n)
{
	while (n && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++, n--;
	return !n;
}

static void compare_line(struct json_message *m, const uint8_t *p, size_t n)
{
	json_error_t theirs = { .text = "" }, twice = { .text = "" };
	struct snet_error ours = { 0 };
	uint8_t *line = malloc(n + 1);
	json_t *o;
	int rc;

	if (!line)
		abort();
	memcpy(line, p, n);
	m->kind = 32;
	m->stream = 0;
	/* A key given twice is an error of ours where it is one of
	 * the message's, else nobody's. */
	json_decref(json_loadb((const char *)p, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
			       &twice));
	o = json_loadb((const char *)p, n, JSON_ALLOW_NUL, &theirs);
	rc = json_message_parse(m, line, n, &ours);
	if (is_blank(p, n)) {
		assert(rc == 0);
	} else if (rc == 1) {
		/* judge asserts that both mean the same */
		assert(o ? judge(o, m, true) == MESSAGE : differs("", theirs.text));
	} else if (!differs(ours.text, theirs.text) && !strstr(twice.text, "duplicate") &&
		   !memchr(p, 0, n)) { /* jansson loses a NUL between tokens */
		assert(rc == 0 ? o && judge(o, m, false) == PASS
			       : !o || judge(o, m, false) == BAD);
	}
	json_decref(o);
	free(line);
}

static void compare_lines(const uint8_t *p, size_t n)
{
	struct json_message m = { 0 };

	while (n) {
		const uint8_t *newline = memchr(p, '\n', n);
		size_t k = newline ? (size_t)(newline - p) : n;

		compare_line(&m, p, k);
		k += newline != NULL;
		p += k;
		n -= k;
	}
	free(m.to);
	free(m.clients);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input_opts o = { .kind = 32 };
	size_t piece;

	if (n < 2)
		return 0;
	o.format = (enum format)(p[0] % (FORMAT_RAW + 1));
	o.max_message = 4u << (p[1] & 15);
	piece = 1u + (p[1] >> 4) * (p[1] >> 4);
	p += 2;
	n -= 2;
	assert(run(&o, p, n, n + 1) == run(&o, p, n, piece));
	if (o.format == FORMAT_JSON)
		compare_lines(p, n);
	return 0;
}
