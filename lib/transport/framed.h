/* Framed: messages over any transport's connection. Reassembles each stream, holds what comes
 * while the owner is paused (bounded by the window: it is not credited), and sends each frame
 * in one piece behind the head its owner gives. */
#ifndef SNET_TRANSPORT_FRAMED_H
#define SNET_TRANSPORT_FRAMED_H

#include "io/loop.h"
#include "transport/transport.h"
#include "wire/frame.h"

struct snet_framed;

struct snet_framed_events {
	/* A whole frame, borrowed for the call. */
	void (*on_frame)(struct snet_framed *f, unsigned stream, const uint8_t *p, size_t n);
	/* With parts: a run of a frame; first and last say where it lies. */
	void (*on_part)(struct snet_framed *f, unsigned stream, const uint8_t *p, size_t n,
			bool first, bool last);
	/* Every stream the peer sent on has ended, stream 0 among them, between frames. */
	void (*on_end)(struct snet_framed *f);
	/* SNET_ETOOBIG, SNET_ETRUNCATED, SNET_ENOMEM; nothing more comes. */
	void (*on_error)(struct snet_framed *f, int code, const char *why);
	/* After a resume or ungate, and not paused again: what was held has been read. */
	void (*on_idle)(struct snet_framed *f);
};

struct snet_rx {
	struct snet_frame frame;
	struct snet_buf held; /* came while paused; the first `at` bytes have been read */
	size_t at;
	bool fin, ended, inside; /* inside: within a frame handed on in parts */
};

struct snet_framed {
	struct snet_conn *conn; /* NULL after it closed: what is held can still be read */
	struct snet_loop *loop;
	const struct snet_framed_events *ev;
	struct snet_task resume;
	struct snet_rx first, *more[SNET_STREAMS - 1]; /* stream 0, the others */
	uint32_t max;                                  /* bytes of a frame's body */
	unsigned paused;
	bool parts, broken, busy, ended;
	bool gated; /* only stream 0 is read; what comes on the others is held */
};

/* f: the owner's storage. c: NULL when there is none yet. */
void snet_framed_init(struct snet_framed *f, struct snet_loop *l, struct snet_conn *c,
		      uint32_t max, const struct snet_framed_events *ev);
void snet_framed_fini(struct snet_framed *f);
void snet_framed_set_max(struct snet_framed *f, uint32_t max); /* from the next frame on */

/* What the connection's on_data brings. */
void snet_framed_input(struct snet_framed *f, unsigned stream, const uint8_t *p, size_t n,
		       bool fin);
/* Pauses count. What was held is read before the loop sleeps, not in the call. */
void snet_framed_pause(struct snet_framed *f);
void snet_framed_resume(struct snet_framed *f);
void snet_framed_ungate(struct snet_framed *f);
/* Nothing is held, and no end of a stream waits to be told. */
bool snet_framed_is_idle(const struct snet_framed *f);
/* Bytes of frames begun and not complete, on all streams. */
size_t snet_framed_partial(const struct snet_framed *f);

/* One frame: head (at most 8 bytes, copied) and then the slices. As the transport's send. */
int snet_framed_send(struct snet_framed *f, unsigned stream, const uint8_t *head, size_t n_head,
		     const struct snet_slice *v, size_t n);

#endif
