/* WebSocket: one connection after the upgrade, either side of it, RFC 6455 by way of wslay.
 * Pure: bytes go in and come out, random bytes are asked for.
 *
 * Breaches of the protocol, broken UTF-8, binary messages and such that are too long are
 * answered with the close code the RFC has for them, but broken frame headers, which wslay
 * answers with none; snet_ws_input then says so. */
#ifndef SNET_SIGNAL_WS_H
#define SNET_SIGNAL_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SNET_WS_FRAGMENTS 256 /* frames of one message: each costs memory */
#define SNET_WS_OVERHEAD 128  /* bytes that a queued message takes besides its own */
#define SNET_WS_REASON 123    /* bytes in a close frame, RFC 6455 §5.5.1 */

/* Close codes, RFC 6455 §7.4.1. */
enum snet_ws_code {
	SNET_WS_NORMAL = 1000,
	SNET_WS_GOING_AWAY = 1001,
	SNET_WS_PROTOCOL = 1002,
	SNET_WS_UNSUPPORTED = 1003, /* binary */
	SNET_WS_NO_CODE = 1005,     /* a close frame without one; never on the wire */
	SNET_WS_ABNORMAL = 1006,    /* no close frame; never on the wire */
	SNET_WS_BAD_DATA = 1007,
	SNET_WS_POLICY = 1008,
	SNET_WS_TOO_BIG = 1009,
	SNET_WS_INTERNAL = 1011,
};

struct snet_ws;

struct snet_ws_events {
	/* A whole text message, valid UTF-8. */
	void (*on_text)(const uint8_t *p, size_t n, void *user);
	/* The other end closes, once. An answer is queued. why: its words, may be empty. */
	void (*on_close)(unsigned code, const char *why, void *user);
};

struct snet_ws_opts {
	bool is_client; /* masks what it sends, and takes nothing masked; a server the reverse
			 */
	size_t max_message;
	int (*random)(void *p, size_t n); /* masks: 0, or it failed */
};

/* SNET_ENOMEM. */
int snet_ws_new(struct snet_ws **out, const struct snet_ws_opts *o,
		const struct snet_ws_events *ev, void *user);
void snet_ws_free(struct snet_ws *w); /* NULL is fine; not from within an event */

/* Offers bytes of the other end; the events come from within. All is taken, also what comes
 * after the end. SNET_OK; SNET_EPROTO, SNET_ETOOBIG, SNET_EPOLICY: a close frame that says so
 * is queued, and nothing more is heard; SNET_ENOMEM. */
int snet_ws_input(struct snet_ws *w, const uint8_t *p, size_t n);

/* Copied. SNET_ECLOSED: after a close frame, either way; SNET_ENOMEM. */
int snet_ws_text(struct snet_ws *w, const void *p, size_t n);
int snet_ws_ping(struct snet_ws *w);
/* Goes when all that was said before has gone, and nothing after it; why is cut to
 * SNET_WS_REASON bytes. Nothing the second time. */
void snet_ws_close(struct snet_ws *w, unsigned code, const char *why);

/* Writes what is to be sent, at most n bytes; returns how many. */
size_t snet_ws_output(struct snet_ws *w, uint8_t *p, size_t n);
bool snet_ws_wants_output(const struct snet_ws *w);
/* Bytes of memory, about, of what is not put out yet. */
size_t snet_ws_queued(const struct snet_ws *w);

bool snet_ws_is_closed(const struct snet_ws *w); /* close frames have gone both ways */

#endif
