/* Log: one line per happening, to a callback. The library never prints. */
#ifndef SNET_BASE_LOG_H
#define SNET_BASE_LOG_H

#include <stdbool.h>

enum snet_log_level {
	SNET_LOG_ERROR,
	SNET_LOG_WARN,
	SNET_LOG_INFO,
	SNET_LOG_DEBUG,
	SNET_LOG_TRACE
};

/* area: "quic", "tls", "udp", "mesh" ...; line: no newline, borrowed for the call. */
typedef void snet_log_fn(enum snet_log_level level, const char *area, const char *line,
			 void *user);

/* Until a sink is set nothing is logged. Levels above max are not formatted. */
void snet_log_to(snet_log_fn *fn, void *user, enum snet_log_level max);
bool snet_log_on(enum snet_log_level level);
void snet_log(enum snet_log_level level, const char *area, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const char *snet_log_name(enum snet_log_level level);

#endif
