#include "obs/encode.h"

#include <endian.h>
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

/* Six bits of each character, where they go in a group of four. */
/* clang-format off */
#define BAD (1u << 31)
static const uint32_t six[4][256] = {
#define ROW16 BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD
#define TABLE(S) { \
	ROW16, ROW16, \
	BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, S(62), BAD, BAD, BAD, S(63), \
	S(52), S(53), S(54), S(55), S(56), S(57), S(58), S(59), \
	S(60), S(61), BAD, BAD, BAD, BAD, BAD, BAD, \
	BAD, S(0), S(1), S(2), S(3), S(4), S(5), S(6), \
	S(7), S(8), S(9), S(10), S(11), S(12), S(13), S(14), \
	S(15), S(16), S(17), S(18), S(19), S(20), S(21), S(22), \
	S(23), S(24), S(25), BAD, BAD, BAD, BAD, BAD, \
	BAD, S(26), S(27), S(28), S(29), S(30), S(31), S(32), \
	S(33), S(34), S(35), S(36), S(37), S(38), S(39), S(40), \
	S(41), S(42), S(43), S(44), S(45), S(46), S(47), S(48), \
	S(49), S(50), S(51), BAD, BAD, BAD, BAD, BAD, \
	ROW16, ROW16, ROW16, ROW16, ROW16, ROW16, ROW16, ROW16 }
#define FIRST(n) (n##u << 18)
#define SECOND(n) (n##u << 12)
#define THIRD(n) (n##u << 6)
#define FOURTH(n) n##u
	TABLE(FIRST), TABLE(SECOND), TABLE(THIRD), TABLE(FOURTH),
};
/* clang-format on */

static uint32_t group(const uint8_t *s)
{
	return six[0][s[0]] | six[1][s[1]] | six[2][s[2]] | six[3][s[3]];
}

/* The last four characters, which may be padded; returns the
 * number of bytes, 0 for nonsense. */
static size_t decode_tail(uint8_t *o, const uint8_t *s)
{
	/* What is not there counts as nothing. */
	size_t n = s[3] != '=' ? 3 : s[2] != '=' ? 2 : 1;
	uint32_t v = six[0][s[0]] | six[1][s[1]];

	if (n > 1)
		v |= six[2][s[2]];
	if (n > 2)
		v |= six[3][s[3]];
	/* Bits that encode nothing must be zero, or one payload would have many spellings. */
	if (v & BAD || v & 0xffffffu >> 8 * n)
		return 0;
	for (size_t i = 0; i < n; i++)
		o[i] = (uint8_t)(v >> (16 - 8 * i));
	return n;
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
	/* Four bytes are written for three: never past what has been read where out is p, and
	 * the next group or the tail has at least one byte. */
	for (; n > 4; n -= 4, s += 4, o += 3) {
		uint32_t v = group(s), bytes = htobe32(v << 8);

		bad |= v;
		memcpy(o, &bytes, sizeof(bytes));
	}
	tail = decode_tail(o, s);
	if (bad & BAD || !tail)
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
	return c >= 'a' && c <= 'f' ? c - 'a' + 10u : 0xff;
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
