#include "base/utf8.h"

#include <stdint.h>

/* The bytes of one character of more than one byte at p, 0 when it is none: table 3-7 of the
 * Unicode standard, as RFC 3629 §4 has it. Only the second byte has a range of its own. */
static size_t multibyte(const uint8_t *p, size_t n)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* shorter forms exist below */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates above */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

size_t snet_utf8_span(const void *p, size_t n)
{
	const uint8_t *s = p;
	size_t at = 0, k;

	while (at < n) {
		k = s[at] < 0x80 ? 1 : multibyte(s + at, n - at);
		if (!k)
			break;
		at += k;
	}
	return at;
}
