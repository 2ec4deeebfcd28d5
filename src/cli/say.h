/* Say: words for people on stderr, "snet-xxx: what: why", or the same as JSON lines. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <stdbool.h>

#include "base/err.h"

/* name: borrowed for ever. verbose: the number of -v; also takes the
 * library's log (lib/base/log.h): errors and warnings always, -v info, -vv
 * debug, -vvv trace. quiet: errors only. */
void say_open(const char *name, int verbose, bool quiet, bool json);

/* An error. No newline at the end. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A warning, or a hint such as the command the other side must run. Nothing with -q. */
void say_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Only with -v. */
void say_more(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

bool say_is_verbose(void);
/* fn runs before every line: whoever draws on the terminal cleans up. NULL: nobody. */
void say_before(void (*fn)(void));

/* Says the error (text, or the code's words when it has none);
 * returns the exit status for it. */
int tool_fail(const struct snet_error *err);

#endif
