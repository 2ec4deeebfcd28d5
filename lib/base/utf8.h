/* UTF-8: is it? RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a
 * character like any. */
#ifndef SNET_BASE_UTF8_H
#define SNET_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the longest valid prefix that ends with a whole
 * character: n when all of it is valid. */
size_t snet_utf8_span(const void *p, size_t n);

static inline bool snet_utf8_is_valid(const void *p, size_t n)
{
	return snet_utf8_span(p, n) == n;
}

#endif
