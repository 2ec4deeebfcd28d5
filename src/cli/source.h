/* Source: a descriptor that bytes come from without ever blocking the loop. It reads straight
 * into room its owner gives (input_room), at most SOURCE_TURN bytes per turn of the loop so
 * that other work goes on. Born paused. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct source;
struct snet_loop;

#define SOURCE_TURN (1u << 20) /* bytes */

/* Called from the loop; they may pause, resume and free the source. */
struct source_events {
	/* Where to read to, and how much; NULL: out of memory, on_error follows. */
	uint8_t *(*room)(size_t *n, void *user);
	void (*on_bytes)(size_t n, void *user); /* n > 0 bytes lie in the room */
	void (*on_eof)(void *user);             /* once, and last */
	/* Once, and last: "stdin: why". */
	void (*on_error)(const struct snet_error *err, void *user);
};

/* own: as in sink.h; the descriptor is closed by source_free. name:
 * borrowed. SNET_ENOMEM, SNET_EIO. */
int source_new(struct source **out, struct snet_loop *l, int fd, bool own, const char *name,
	       const struct source_events *ev, void *user, struct snet_error *err);
void source_pause(struct source *s);
void source_resume(struct source *s);        /* nothing after on_eof, on_error */
bool source_is_done(const struct source *s); /* after on_eof, on_error */
void source_free(struct source *s);          /* NULL is fine */

#endif
