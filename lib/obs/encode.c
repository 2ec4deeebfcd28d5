#include "obs/encode.h"

#include <string.h>

#include "base/err.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex[] = "0123456789abcdef";

size_t snet_base64_encode(uint8_t *out, const void *p, size_t n)
{
	const uint8_t *s = p;
	uint8_t *o = out;

	for (; n >= 3; n -= 3, s += 3, o += 4) {
		uint32_t v = (uint32_t)s[0] << 16 | (uint32_t)s[1] << 8 | s[2];

		o[0] = (uint8_t)base64[v >> 18];
		o[1] = (uint8_t)base64[v >> 12 & 63];
		o[2] = (uint8_t)base64[v >> 6 & 63];
		o[3] = (uint8_t)base64[v & 63];
	}
	if (n) {
		uint32_t v = (uint32_t)s[0] << 16 | (n == 2 ? (uint32_t)s[1] << 8 : 0);

		o[0] = (uint8_t)base64[v >> 18];
		o[1] = (uint8_t)base64[v >> 12 & 63];
		o[2] = n == 2 ? (uint8_t)base64[v >> 6 & 63] : '=';
		o[3] = '=';
		o += 4;
	}
	return (size_t)(o - out);
}

/* clang-format off */
#define BAD 0xff
static const uint8_t six[256] = {
#define ROW16 BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD
	ROW16, ROW16,
	BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,  62, BAD, BAD, BAD,  63,
	 52,  53,  54,  55,  56,  57,  58,  59,  60,  61, BAD, BAD, BAD, BAD, BAD, BAD,
	BAD,   0,   1,   2,   3,   4,   5,   6,   7,   8,   9,  10,  11,  12,  13,  14,
	 15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25, BAD, BAD, BAD, BAD, BAD,
	BAD,  26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40,
	 41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51, BAD, BAD, BAD, BAD, BAD,
	ROW16, ROW16, ROW16, ROW16, ROW16, ROW16, ROW16, ROW16,
#undef ROW16
};
/* clang-format on */

/* The last four characters, which may be padded; returns the
 * number of bytes, 0 for nonsense. */
static size_t decode_tail(uint8_t *o, const uint8_t *s)
{
	uint32_t a = six[s[0]], b = six[s[1]], c = six[s[2]], d = six[s[3]];

	if (s[3] != '=') {
		if ((a | b | c | d) & 0x80)
			return 0;
		o[0] = (uint8_t)(a << 2 | b >> 4);
		o[1] = (uint8_t)(b << 4 | c >> 2);
		o[2] = (uint8_t)(c << 6 | d);
		return 3;
	}
	/* Bits that encode nothing must be zero, or one payload would have many spellings. */
	if (s[2] != '=') {
		if ((a | b | c) & 0x80 || c & 3)
			return 0;
		o[0] = (uint8_t)(a << 2 | b >> 4);
		o[1] = (uint8_t)(b << 4 | c >> 2);
		return 2;
	}
	if ((a | b) & 0x80 || b & 15)
		return 0;
	o[0] = (uint8_t)(a << 2 | b >> 4);
	return 1;
}

int snet_base64_decode(uint8_t *out, size_t *out_n, const void *p, size_t n)
{
	const uint8_t *s = p;
	uint8_t *o = out;
	uint32_t bad = 0;
	size_t tail;

	*out_n = 0;
	if (!n)
		return SNET_OK;
	if (n % 4)
		return SNET_EINVAL;
	for (; n > 4; n -= 4, s += 4, o += 3) {
		uint32_t a = six[s[0]], b = six[s[1]], c = six[s[2]], d = six[s[3]];

		bad |= a | b | c | d;
		o[0] = (uint8_t)(a << 2 | b >> 4);
		o[1] = (uint8_t)(b << 4 | c >> 2);
		o[2] = (uint8_t)(c << 6 | d);
	}
	tail = decode_tail(o, s);
	if (bad & 0x80 || !tail)
		return SNET_EINVAL;
	*out_n = (size_t)(o - out) + tail;
	return SNET_OK;
}

size_t snet_hex_encode(uint8_t *out, const void *p, size_t n)
{
	const uint8_t *s = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = (uint8_t)hex[s[i] >> 4];
		out[2 * i + 1] = (uint8_t)hex[s[i] & 15];
	}
	return 2 * n;
}

static unsigned hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10u : BAD;
}

int snet_hex_decode(uint8_t *out, size_t *out_n, const void *p, size_t n)
{
	const uint8_t *s = p;

	*out_n = 0;
	if (n % 2)
		return SNET_EINVAL;
	for (size_t i = 0; i < n; i += 2) {
		unsigned high = hex_digit(s[i]), low = hex_digit(s[i + 1]);

		if ((high | low) & 0x80)
			return SNET_EINVAL;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	*out_n = n / 2;
	return SNET_OK;
}

size_t snet_decimal(uint8_t *out, uint64_t v)
{
	uint8_t digits[SNET_DECIMAL_MAX];
	size_t n = 0;

	do
		digits[sizeof(digits) - ++n] = (uint8_t)('0' + v % 10);
	while (v /= 10);
	memcpy(out, digits + sizeof(digits) - n, n);
	return n;
}
