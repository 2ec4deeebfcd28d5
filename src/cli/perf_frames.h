/* Perf frames: messages of snet-perf out of a stream of bytes. Pure. Of a message with filler
 * only its beginning is kept. */
#ifndef CLI_PERF_FRAMES_H
#define CLI_PERF_FRAMES_H

#include "cli/perf_message.h"
#include "wire/frame.h"

/* Zeroed at the beginning. */
struct perf_frames {
	uint8_t head[SNET_FRAME_HEAD];
	unsigned have;        /* bytes of the head */
	uint32_t total, left; /* of the frame; not there yet */
	/* Of the frame that is whole: its first bytes. */
	uint8_t body[PERF_MESSAGE_MAX];
	size_t body_n;
};

/* Takes bytes from *p, as far as the end of a frame. 1: that is whole, total long; 0: all n are
 * taken, and there is none. SNET_EPROTO: longer than any message, or empty. */
int perf_frames_take(struct perf_frames *f, const uint8_t **p, size_t *n);

#endif
