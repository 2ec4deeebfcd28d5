#include "cli/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/words.h"
#include "obs/jsonl.h"

enum { LINE_MAX_BYTES = 2048 };

static struct {
	const char *name;
	int verbose;
	bool quiet, json;
	void (*before)(void);
} self = { .name = "snet" };

/* One line, one write: lines of programs that share a terminal do not mix. */
static void put(const void *p, size_t n)
{
	const uint8_t *at = p;

	if (self.before)
		self.before();
	while (n) {
		ssize_t k = write(STDERR_FILENO, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return; /* nobody is left to tell */
		at += k;
		n -= (size_t)k;
	}
}

static void put_json(const char *level, const char *area, const char *text)
{
	struct snet_buf b = SNET_BUF(8 * LINE_MAX_BYTES);
	char time[28];

	snet_wall_text(snet_wall_us(), time);
	snet_json_open(&b);
	snet_json_words(&b, "time", time);
	snet_json_words(&b, "level", level);
	snet_json_words(&b, "program", self.name);
	if (area)
		snet_json_words(&b, "area", area);
	snet_json_words(&b, "text", text);
	snet_json_line(&b);
	if (!b.bad)
		put(b.p, b.n);
	snet_buf_free(&b);
}

/* What strangers send may end up in words: nothing that moves a terminal's cursor passes. */
static void put_text(const char *area, const char *text)
{
	char line[LINE_MAX_BYTES];
	size_t n = (size_t)snprintf(line, sizeof(line) - 1, "%s: %s%s%s", self.name,
				    area ? area : "", area ? ": " : "", text);

	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	words_tame((uint8_t *)line, n);
	line[n++] = '\n';
	put(line, n);
}

static void put_line(const char *level, const char *area, const char *text)
{
	if (self.json)
		put_json(level, area, text);
	else
		put_text(area, text);
}

static void on_log(enum snet_log_level level, const char *area, const char *line, void *user)
{
	(void)user;
	put_line(snet_log_name(level), area, line);
}

void say_open(const char *name, int verbose, bool quiet, bool json)
{
	int max = quiet ? SNET_LOG_ERROR : SNET_LOG_WARN + verbose;

	self.name = name;
	self.verbose = verbose;
	self.quiet = quiet;
	self.json = json;
	snet_log_to(on_log, NULL,
		    max > SNET_LOG_TRACE ? SNET_LOG_TRACE : (enum snet_log_level)max);
}

void say_before(void (*fn)(void))
{
	self.before = fn;
}

bool say_is_verbose(void)
{
	return self.verbose > 0;
}

static void say_va(const char *level, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES - 64];

	vsnprintf(text, sizeof(text), fmt, ap);
	put_line(level, NULL, text);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_va("error", fmt, ap);
	va_end(ap);
}

void say_note(const char *fmt, ...)
{
	va_list ap;

	if (self.quiet)
		return;
	va_start(ap, fmt);
	say_va("warn", fmt, ap);
	va_end(ap);
}

void say_more(const char *fmt, ...)
{
	va_list ap;

	if (!self.verbose)
		return;
	va_start(ap, fmt);
	say_va("info", fmt, ap);
	va_end(ap);
}

int tool_fail(const struct snet_error *err)
{
	say("%s", err->text[0] ? err->text : snet_err_text(err->code));
	return (int)snet_err_exit(err->code);
}
