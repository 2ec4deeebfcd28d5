/* Out: events as lines. In format json they go to the sink of stdout, or with -H as words; in
 * the other formats stdout is payload only and events are said on stderr with -v. An event or
 * field that events.h does not list aborts.
 *
 *	out_event("peer.up", out_uint("peer", id), out_text("address", text),
 *		  out_if(named, out_text("name", name))); */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "cli/events.h"
#include "cli/opts.h"
#include "cli/say.h"

struct sink;

/* name NULL: absent. */
struct out_field {
	const char *name;
	enum event_type type;
	const char *text;
	uint64_t uint;
};

/* s NULL: the field is absent. Not UTF-8: broken bytes become U+FFFD. */
static inline struct out_field out_text(const char *name, const char *s)
{
	return (struct out_field){ s ? name : NULL, EVENT_TEXT, s, 0 };
}

static inline struct out_field out_uint(const char *name, uint64_t v)
{
	return (struct out_field){ name, EVENT_UINT, NULL, v };
}

static inline struct out_field out_bool(const char *name, bool v)
{
	return (struct out_field){ name, EVENT_BOOL, NULL, v };
}

/* text: JSON already. NULL: the field is absent. */
static inline struct out_field out_json(const char *name, const char *text)
{
	return (struct out_field){ text ? name : NULL, EVENT_JSON, text, 0 };
}

/* Absent unless. */
static inline struct out_field out_if(bool present, struct out_field f)
{
	if (!present)
		f.name = NULL;
	return f;
}

enum out_mode {
	OUT_JSON,   /* to the sink, as JSON */
	OUT_WORDS,  /* to the sink, as "event key=value" */
	OUT_STDERR, /* said with -v */
};

/* sink: borrowed until out_open(NULL, ...). Before the first call
 * events go to stderr with -v. */
void out_open(struct sink *sink, enum out_mode mode);

/* clang-format off */
#define OUT_FIELDS(...) ((const struct out_field[]){ __VA_ARGS__, { .name = NULL } }),                                  \
	(sizeof((const struct out_field[]){ __VA_ARGS__ }) / sizeof(struct out_field))
/* clang-format on */
#define out_event(event, ...) out_fields(event, OUT_FIELDS(__VA_ARGS__))
void out_fields(const char *event, const struct out_field *f, size_t n);

/* The same into a buffer, without the sink: one line with its newline. */
void out_render(struct snet_buf *b, bool words, const char *event, const struct out_field *f,
		size_t n);

/* The event "error" for err; and its words on stderr. peer, line:
 * OPT_NONE when there is none. */
void out_error(const struct snet_error *err, uint64_t peer, uint64_t line, bool fatal);

#endif
