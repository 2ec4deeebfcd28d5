#include "cli/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/sink.h"
#include "cli/words.h"
#include "obs/jsonl.h"

enum { EVENT_MAX = 64 << 10 };

static struct sink *sink;
static enum out_mode mode = OUT_STDERR;

void out_open(struct sink *to, enum out_mode m)
{
	sink = to;
	mode = to ? m : OUT_STDERR;
}

/* A mistake of ours, which the first test that comes by finds. */
static void check(const char *event, const struct out_field *f, size_t n)
{
	const struct event_row *begin = event_find(event), *row, *last = begin;

	for (size_t i = 0; begin && i < n; i++) {
		if (!f[i].name)
			continue;
		row = event_field(begin, f[i].name);
		if (!row || row->type != f[i].type || row <= last) {
			fprintf(stderr, "event %s: field %s is not as in events.h\n", event,
				f[i].name);
			abort();
		}
		last = row;
	}
	if (begin)
		return;
	fprintf(stderr, "event %s is not in events.h\n", event);
	abort();
}

static void render_json(struct snet_buf *b, const char *event, const struct out_field *f,
			size_t n)
{
	snet_json_open(b);
	snet_json_words(b, "event", event);
	for (; n--; f++) {
		if (!f->name)
			continue;
		if (f->type == EVENT_TEXT)
			snet_json_words(b, f->name, f->text);
		else if (f->type == EVENT_JSON)
			snet_json_raw(b, f->name, f->text, strlen(f->text));
		else if (f->type == EVENT_BOOL)
			snet_json_bool(b, f->name, f->uint);
		else
			snet_json_uint(b, f->name, f->uint);
	}
	snet_json_line(b);
}

static void render_words(struct snet_buf *b, const char *event, const struct out_field *f,
			 size_t n)
{
	snet_buf_str(b, event);
	for (; n--; f++) {
		if (!f->name)
			continue;
		snet_buf_fmt(b, " %s=", f->name);
		if (f->type == EVENT_TEXT || f->type == EVENT_JSON)
			words_value(b, f->text, strlen(f->text));
		else if (f->type == EVENT_BOOL)
			snet_buf_str(b, f->uint ? "yes" : "no");
		else
			snet_buf_fmt(b, "%llu", (unsigned long long)f->uint);
	}
	snet_buf_u8(b, '\n');
}

static void render(struct snet_buf *b, bool words, const char *event, const struct out_field *f,
		   size_t n)
{
	if (words)
		render_words(b, event, f, n);
	else
		render_json(b, event, f, n);
}

void out_render(struct snet_buf *b, bool words, const char *event, const struct out_field *f,
		size_t n)
{
	check(event, f, n);
	render(b, words, event, f, n);
}

static void to_stderr(const char *event, const struct out_field *f, size_t n)
{
	struct snet_buf b = SNET_BUF(EVENT_MAX);

	/* Errors are said by out_error anyway. */
	if (say_is_verbose() && strcmp(event, "error") != 0) {
		render(&b, true, event, f, n);
		if (!b.bad)
			say_more("%.*s", (int)b.n - 1, (const char *)b.p);
		snet_buf_free(&b);
	}
}

void out_fields(const char *event, const struct out_field *f, size_t n)
{
	struct snet_buf *b;
	size_t start;

	check(event, f, n);
	if (mode == OUT_STDERR) {
		to_stderr(event, f, n);
		return;
	}
	b = sink_buf(sink);
	start = b->n;
	render(b, mode == OUT_WORDS, event, f, n);
	if (b->bad) {
		b->n = start; /* never half a line */
		b->bad = false;
		say("event %s lost: out of memory", event);
	}
	sink_wrote(sink);
}

void out_error(const struct snet_error *err, uint64_t peer, uint64_t line, bool fatal)
{
	const char *text = err->text[0] ? err->text : snet_err_text(err->code);

	say("%s", text);
	out_event("error", out_uint("code", snet_err_exit(err->code)),
		  out_text("reason", snet_err_name(err->code)), out_text("text", text),
		  out_if(peer != OPT_NONE, out_uint("peer", peer)),
		  out_if(line != OPT_NONE, out_uint("line", line)), out_bool("fatal", fatal));
}
