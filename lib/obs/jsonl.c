#include "obs/jsonl.h"

#include <string.h>

#include "base/utf8.h"
#include "obs/encode.h"

void snet_json_open(struct snet_buf *b)
{
	snet_buf_u8(b, '{');
}

void snet_json_close(struct snet_buf *b)
{
	snet_buf_u8(b, '}');
}

void snet_json_line(struct snet_buf *b)
{
	snet_buf_add(b, "}\n", 2);
}

void snet_json_key(struct snet_buf *b, const char *key)
{
	/* No value ends in a brace that opens: what the object holds
	 * already is told by its last byte. */
	bool first = b->n && b->p[b->n - 1] == '{';
	size_t n = strlen(key);
	uint8_t *p = snet_buf_room(b, n + 4);

	if (!p)
		return;
	if (!first)
		*p++ = ',';
	*p++ = '"';
	memcpy(p, key, n);
	p[n] = '"';
	p[n + 1] = ':';
	snet_buf_took(b, n + 3 + !first);
}

/* Bytes at the front that stand for themselves in a JSON string; UTF-8 has been
 * looked at. In words of eight. */
static size_t plain(const uint8_t *p, size_t n)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t w, control, quote, slash;

		memcpy(&w, p + i, 8);
		/* The high bit of a byte is set where the byte is below 0x20, or
		 * zero after the exclusive or. A borrow reaches only bytes above
		 * one that is special itself. */
		control = (w - ones * 0x20) & ~w;
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		quote = (quote - ones) & ~quote;
		slash = (slash - ones) & ~slash;
		if ((control | quote | slash) & highs)
			break;
	}
	while (i < n && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

static void escape(struct snet_buf *b, uint8_t c)
{
	static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char out[6] = { '\\', 'u', '0', '0' };

	for (const char *l = letters; *l; l += 2) {
		if (c == (uint8_t)*l) {
			out[1] = l[1];
			snet_buf_add(b, out, 2);
			return;
		}
	}
	snet_hex_encode((uint8_t *)out + 4, &c, 1);
	snet_buf_add(b, out, 6);
}

/* What stands between the quotes, of bytes that are UTF-8. */
static void body(struct snet_buf *b, const uint8_t *p, size_t n)
{
	while (n && !b->bad) {
		size_t k = plain(p, n);

		snet_buf_add(b, p, k);
		if (k < n)
			escape(b, p[k++]);
		p += k;
		n -= k;
	}
}

int snet_json_string(struct snet_buf *b, const void *p, size_t n)
{
	if (!snet_utf8_is_valid(p, n))
		return SNET_EINVAL;
	snet_buf_u8(b, '"');
	body(b, p, n);
	snet_buf_u8(b, '"');
	return SNET_OK;
}

int snet_json_text(struct snet_buf *b, const char *key, const void *p, size_t n)
{
	if (!snet_utf8_is_valid(p, n))
		return SNET_EINVAL;
	snet_json_key(b, key);
	snet_buf_u8(b, '"');
	body(b, p, n);
	snet_buf_u8(b, '"');
	return SNET_OK;
}

void snet_json_lossy(struct snet_buf *b, const void *p, size_t n)
{
	const uint8_t *at = p;

	snet_buf_u8(b, '"');
	while (n) {
		size_t k = snet_utf8_span(at, n);

		body(b, at, k);
		if (k < n) {
			snet_buf_add(b, "\xef\xbf\xbd", 3); /* U+FFFD */
			k++;
		}
		at += k;
		n -= k;
	}
	snet_buf_u8(b, '"');
}

void snet_json_words(struct snet_buf *b, const char *key, const char *s)
{
	snet_json_key(b, key);
	snet_json_lossy(b, s, strlen(s));
}

void snet_json_uint(struct snet_buf *b, const char *key, uint64_t v)
{
	uint8_t digits[SNET_DECIMAL_MAX];

	snet_json_key(b, key);
	snet_buf_add(b, digits, snet_decimal(digits, v));
}

void snet_json_int(struct snet_buf *b, const char *key, int64_t v)
{
	uint8_t digits[SNET_DECIMAL_MAX];

	snet_json_key(b, key);
	if (v < 0)
		snet_buf_u8(b, '-');
	snet_buf_add(b, digits, snet_decimal(digits, v < 0 ? -(uint64_t)v : (uint64_t)v));
}

void snet_json_bool(struct snet_buf *b, const char *key, bool v)
{
	snet_json_key(b, key);
	snet_buf_str(b, v ? "true" : "false");
}

void snet_json_base64(struct snet_buf *b, const char *key, const void *p, size_t n)
{
	uint8_t *to;

	snet_json_key(b, key);
	to = snet_buf_room(b, snet_base64_len(n) + 2);
	if (!to)
		return;
	to[0] = '"';
	n = snet_base64_encode(to + 1, p, n);
	to[n + 1] = '"';
	snet_buf_took(b, n + 2);
}

void snet_json_hex(struct snet_buf *b, const char *key, const void *p, size_t n)
{
	uint8_t *to;

	snet_json_key(b, key);
	to = snet_buf_room(b, 2 * n + 2);
	if (!to)
		return;
	to[0] = '"';
	n = snet_hex_encode(to + 1, p, n);
	to[n + 1] = '"';
	snet_buf_took(b, n + 2);
}

void snet_json_raw(struct snet_buf *b, const char *key, const void *p, size_t n)
{
	snet_json_key(b, key);
	snet_buf_add(b, p, n);
}
