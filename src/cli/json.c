#include "cli/json.h"

#include <endian.h>
#include <string.h>

#include "base/utf8.h"

bool json_fail(struct json *j, const char *why)
{
	if (!j->why)
		j->why = why;
	return false;
}

void json_space(struct json *j)
{
	while (j->at < j->end &&
	       (*j->at == ' ' || *j->at == '\t' || *j->at == '\r' || *j->at == '\n'))
		j->at++;
}

bool json_end(struct json *j)
{
	json_space(j);
	return j->at == j->end ? !j->why : json_fail(j, "something follows the object");
}

static bool unfinished(struct json *j)
{
	return json_fail(j, "the line ends too early; one object per line");
}

bool json_missing(struct json *j, char c)
{
	if (j->at == j->end)
		return unfinished(j);
	switch (c) {
	case '{':
		return json_fail(j, "not an object");
	case ':':
		return json_fail(j, "':' expected");
	default:
		return json_fail(j, "',' or an end expected");
	}
}

/* ---- strings */

/* The first byte from p that is not part of a string's plain run: quote, backslash, control.
 * *seen gathers the high bits met. In words of eight. */
static uint8_t *plain(uint8_t *p, const uint8_t *end, uint64_t *seen)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;

	for (; end - p >= 8; p += 8) {
		uint64_t w, control, quote, slash, found;

		memcpy(&w, p, 8);
		w = le64toh(w);
		control = (w - ones * 0x20) & ~w;
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		quote = (quote - ones) & ~quote;
		slash = (slash - ones) & ~slash;
		found = (control | quote | slash) & highs;
		if (found) {
			/* A borrow reaches only bytes above one that is special itself: the
			 * lowest is what it seems. */
			*seen |= w & highs & (found ^ (found - 1)) >> 8;
			return p + __builtin_ctzll(found) / 8;
		}
		*seen |= w & highs;
	}
	for (; p < end && *p >= 0x20 && *p != '"' && *p != '\\'; p++)
		*seen |= *p & 0x80;
	return p;
}

static bool hex4(struct json *j, uint32_t *v)
{
	*v = 0;
	if (j->end - j->at < 4)
		return unfinished(j);
	for (int i = 0; i < 4; i++, j->at++) {
		uint8_t c = *j->at, low = c | 0x20;

		if (c >= '0' && c <= '9')
			*v = *v << 4 | (uint32_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			*v = *v << 4 | (uint32_t)(low - 'a' + 10);
		else
			return json_fail(j, "\\u needs four hex digits");
	}
	return true;
}

/* What follows \u; a pair of surrogates is one character, RFC 8259 §7. */
static bool code_point(struct json *j, uint32_t *v)
{
	uint32_t low;

	if (!hex4(j, v))
		return false;
	if (*v < 0xd800 || *v > 0xdfff)
		return true;
	if (*v > 0xdbff || j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u')
		return json_fail(j, "half of a surrogate pair");
	j->at += 2;
	if (!hex4(j, &low))
		return false;
	if (low < 0xdc00 || low > 0xdfff)
		return json_fail(j, "half of a surrogate pair");
	*v = 0x10000 + ((*v & 0x3ff) << 10 | (low & 0x3ff));
	return true;
}

static size_t utf8(uint8_t out[static 4], uint32_t v)
{
	if (v < 0x80) {
		out[0] = (uint8_t)v;
		return 1;
	}
	if (v < 0x800) {
		out[0] = (uint8_t)(0xc0 | v >> 6);
		out[1] = (uint8_t)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		out[0] = (uint8_t)(0xe0 | v >> 12);
		out[1] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (v & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | v >> 18);
	out[1] = (uint8_t)(0x80 | (v >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (v & 0x3f));
	return 4;
}

/* What follows a backslash; its bytes to out, which it never needs more
 * of than it was written with. */
static bool escape(struct json *j, uint8_t out[static 4], size_t *n)
{
	static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	uint32_t v;

	if (j->at == j->end)
		return unfinished(j);
	for (const char *l = letters; *l; l += 2) {
		if (*j->at == (uint8_t)*l) {
			j->at++;
			out[0] = (uint8_t)l[1];
			*n = 1;
			return true;
		}
	}
	if (*j->at != 'u')
		return json_fail(j, "unknown escape in a string");
	j->at++;
	if (!code_point(j, &v))
		return false;
	*n = utf8(out, v);
	return true;
}

/* Past a string. With to, what it says is written there, and to
 * moves on; to never overtakes at. */
static bool string(struct json *j, uint8_t **to)
{
	if (!json_is(j, '"'))
		return j->at == j->end ? unfinished(j) : json_fail(j, "a string expected");
	j->at++;
	for (;;) {
		uint64_t seen = 0;
		uint8_t *run = j->at, out[4];
		size_t n;

		j->at = plain(run, j->end, &seen);
		n = (size_t)(j->at - run);
		if (seen && !snet_utf8_is_valid(run, n))
			return json_fail(j, "a string is not UTF-8");
		if (to && *to != run)
			memmove(*to, run, n);
		if (to)
			*to += n;
		if (j->at == j->end)
			return unfinished(j);
		if (*j->at == '"') {
			j->at++;
			return true;
		}
		if (*j->at != '\\')
			return json_fail(j, "a control character in a string");
		j->at++;
		if (!escape(j, out, &n))
			return false;
		if (to) {
			memcpy(*to, out, n);
			*to += n;
		}
	}
}

bool json_string(struct json *j, uint8_t **p, size_t *n)
{
	uint64_t seen = 0;
	uint8_t *to;

	if (!json_is(j, '"'))
		return string(j, NULL); /* says why not */
	to = *p = j->at + 1;
	*n = (size_t)(plain(to, j->end, &seen) - to);
	if (!seen && to + *n < j->end && to[*n] == '"') { /* as most are */
		j->at = to + *n + 1;
		return true;
	}
	if (!string(j, &to))
		return false;
	*n = (size_t)(to - *p);
	return true;
}

/* ---- numbers and the rest */

static bool digits(struct json *j)
{
	uint8_t *start = j->at;

	while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
		j->at++;
	return j->at > start || json_fail(j, "a digit expected");
}

static bool number(struct json *j)
{
	if (*j->at == '-')
		j->at++;
	if (j->at < j->end && *j->at == '0')
		j->at++;
	else if (!digits(j))
		return false;
	if (j->at < j->end && *j->at == '.') {
		j->at++;
		if (!digits(j))
			return false;
	}
	if (j->at < j->end && (*j->at | 0x20) == 'e') {
		j->at++;
		if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
			j->at++;
		return digits(j);
	}
	return true;
}

bool json_uint(struct json *j, uint64_t *v, uint64_t max)
{
	uint8_t *start;

	json_space(j);
	start = j->at;
	*v = 0;
	if (j->at == j->end)
		return unfinished(j);
	if (j->why || *start < '0' || *start > '9' || !digits(j))
		return json_fail(j, "a number expected");
	if (*start == '0' && j->at > start + 1)
		return json_fail(j, "a number with a leading zero");
	for (uint8_t *p = start; p < j->at; p++)
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(*p - '0'), v))
			return json_fail(j, "a number too large");
	if (j->at < j->end && (*j->at == '.' || (*j->at | 0x20) == 'e'))
		return json_fail(j, "a whole number expected");
	return *v <= max || json_fail(j, "a number too large");
}

static bool word(struct json *j, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(j->end - j->at) < n || memcmp(j->at, w, n) != 0)
		return json_fail(j, "a value expected");
	j->at += n;
	return true;
}

static bool scalar(struct json *j)
{
	if (j->at == j->end)
		return unfinished(j);
	switch (*j->at) {
	case '"':
		return string(j, NULL);
	case 't':
		return word(j, "true");
	case 'f':
		return word(j, "false");
	case 'n':
		return word(j, "null");
	default:
		return (*j->at >= '0' && *j->at <= '9') || *j->at == '-'
			       ? number(j)
			       : json_fail(j, "a value expected");
	}
}

static bool key(struct json *j)
{
	return string(j, NULL) && json_punct(j, ':');
}

/* Not recursive: how deep the input goes is not for the input to decide. */
bool json_skip(struct json *j)
{
	uint8_t is_object[JSON_DEPTH / 8] = { 0 };
	unsigned depth = 0;

	for (;;) {
		bool object = json_is(j, '{');

		if (object || json_is(j, '[')) {
			if (depth == JSON_DEPTH)
				return json_fail(j, "too deep");
			j->at++;
			if (!json_is(j, object ? '}' : ']')) {
				is_object[depth / 8] &= (uint8_t) ~(1u << depth % 8);
				is_object[depth / 8] |= (uint8_t)(object << depth % 8);
				depth++;
				if (object && !key(j))
					return false;
				continue;
			}
			j->at++;
		} else if (!scalar(j)) {
			return false;
		}
		for (;; depth--) {
			if (!depth)
				return true;
			object = is_object[(depth - 1) / 8] >> (depth - 1) % 8 & 1;
			if (!json_is(j, object ? '}' : ']'))
				break;
			j->at++;
		}
		if (!json_punct(j, ',') || (object && !key(j)))
			return false;
	}
}
