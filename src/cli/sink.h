/* Sink: a descriptor that bytes go to without ever blocking the loop. Small pieces are gathered
 * and written at the end of the loop's turn; large ones at once, together with what was
 * gathered. What the descriptor does not take waits in one buffer, whose ceiling is the high
 * water plus one message: whoever writes asks sink_is_full, stops, and goes on at on_drain. */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/clock.h"

struct sink;
struct snet_loop;

#define SINK_HIGH (1u << 20)      /* bytes waiting from which it is full */
#define SINK_STALL (1 * SNET_SEC) /* full, and nothing is taken */

/* Called from the loop, never from within a call to the sink; they may write, not free. */
struct sink_events {
	void (*on_drain)(struct sink *s, void *user); /* it was full, and is no longer */
	/* Once. What is written from now on is thrown away. SNET_EIO, "stdout: Broken pipe". */
	void (*on_error)(struct sink *s, const struct snet_error *err, void *user);
	/* It is full, and nothing of it was taken for SINK_STALL: whoever should read does not.
	 * Once, until something is taken. NULL allowed. */
	void (*on_stall)(struct sink *s, void *user);
};

/* own: the descriptor is this program's alone; it is made non-blocking and closed. Otherwise
 * (stdout) a pipe or terminal is opened anew so that others who share it never see it
 * non-blocking. name: "stdout", borrowed. message_max: the largest piece anyone will write.
 * SNET_ENOMEM, SNET_EIO. */
int sink_new(struct sink **out, struct snet_loop *l, int fd, bool own, const char *name,
	     size_t message_max, const struct sink_events *ev, void *user,
	     struct snet_error *err);

/* Takes all of it. SNET_OK; SNET_ETOOBIG past the ceiling, SNET_ENOMEM: nothing was taken.
 * After an error of the descriptor: SNET_EIO. The pieces are borrowed for the call. */
int sink_write(struct sink *s, const struct iovec *v, int n);

/* To build in place: append to the buffer, then tell. Between the two calls
 * nothing else may touch the sink. */
struct snet_buf *sink_buf(struct sink *s);
void sink_wrote(struct sink *s);

bool sink_is_full(const struct sink *s);
bool sink_is_broken(const struct sink *s);
size_t sink_waiting(const struct sink *s); /* bytes not yet with the kernel */

/* The end: what is written from now on is thrown away, and fn is called once everything before
 * is with the kernel, or the sink is broken; never before the return. fn may close the sink. */
void sink_flush_then(struct sink *s, void (*fn)(struct sink *s, void *user), void *user);

/* Closes own descriptors, and stdout itself: what close says of a full disk is not lost.
 * SNET_OK or SNET_EIO. Bytes still waiting are lost. Frees; NULL is fine. */
int sink_close(struct sink *s, struct snet_error *err);

#endif
