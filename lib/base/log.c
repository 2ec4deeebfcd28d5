#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static struct {
	snet_log_fn *fn;
	void *user;
	enum snet_log_level max;
} sink;

void snet_log_to(snet_log_fn *fn, void *user, enum snet_log_level max)
{
	sink.fn = fn;
	sink.user = user;
	sink.max = max;
}

bool snet_log_on(enum snet_log_level level)
{
	return sink.fn && level <= sink.max;
}

void snet_log(enum snet_log_level level, const char *area, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!snet_log_on(level))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	sink.fn(level, area, line, sink.user);
}

const char *snet_log_name(enum snet_log_level level)
{
	static const char *const names[] = { "error", "warn", "info", "debug", "trace" };

	return level < sizeof(names) / sizeof(names[0]) ? names[level] : "?";
}
