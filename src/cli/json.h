/* Json: a strict cursor over one JSON text (RFC 8259) that lies in memory we may write to:
 * strings are unescaped where they stand, so that nothing is allocated and nothing copied. A
 * tree (jansson) costs ten times as much per message. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH 1024 /* objects and arrays inside each other */

struct json {
	uint8_t *begin, *at, *end;
	const char *why; /* the first thing wrong, in words; NULL: nothing so far. at: where */
};

static inline struct json json_of(uint8_t *p, size_t n)
{
	return (struct json){ p, p, p + n, NULL };
}

/* All return false on what is wrong, and then for ever. White
 * space before a token is skipped. */

bool json_fail(struct json *j, const char *why);
void json_space(struct json *j);           /* past it */
bool json_missing(struct json *j, char c); /* says why c is not there */

/* The next token begins with c; '"', '{', '[' ... No failure. */
static inline bool json_is(struct json *j, char c)
{
	if (j->at < j->end && *j->at <= ' ')
		json_space(j);
	return j->at < j->end && *j->at == (uint8_t)c && !j->why;
}

/* The next byte is c: past it. */
static inline bool json_punct(struct json *j, char c)
{
	if (!json_is(j, c))
		return json_missing(j, c);
	j->at++;
	return true;
}

/* A string; unescaped, UTF-8. Overwrites what it was read from. */
bool json_string(struct json *j, uint8_t **p, size_t *n);
/* A number of digits alone, at most max. */
bool json_uint(struct json *j, uint64_t *v, uint64_t max);
/* Any value, checked, left as it is. */
bool json_skip(struct json *j);
/* Nothing but white space is left. */
bool json_end(struct json *j);

#endif
