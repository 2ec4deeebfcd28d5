/* Frame: u32 length, big-endian, then that many bytes. Incremental; pure. One reassembler for
 * every transport and for the framed formats of the programs. */
#ifndef SNET_WIRE_FRAME_H
#define SNET_WIRE_FRAME_H

#include <stdbool.h>

#include "base/bytes.h"

#define SNET_FRAME_HEAD 4
/* Bytes of body, inclusive: the crate's limit, stoffelnet-wire(7). */
#define SNET_FRAME_MAX (1u << 30)

struct snet_frame {
	uint32_t max;  /* ceiling of a body */
	uint32_t want; /* length of the body in progress, once have == SNET_FRAME_HEAD */
	unsigned have; /* bytes of the header */
	uint8_t head[SNET_FRAME_HEAD];
	struct snet_buf body; /* only when a body does not lie whole in one input */
	size_t passed;        /* bytes of the body handed on by snet_frame_part */
};

void snet_frame_init(struct snet_frame *f, uint32_t max);
void snet_frame_fini(struct snet_frame *f);

/* Takes bytes from *p, *n (advanced). 1: one body at *body, borrowed until the next call,
 * perhaps inside the input; call again. 0: the input is used up, more is wanted. SNET_ETOOBIG:
 * the header asks for more than max, nothing was allocated; SNET_ENOMEM. After an error the
 * stream is of no more use. */
int snet_frame_next(struct snet_frame *f, const uint8_t **p, size_t *n, const uint8_t **body,
		    size_t *len);

/* The same without reassembly: 1 = a run of the current body at *part, *len bytes (0
 * only for an empty body); *last = it ends with this run. Do not mix with
 * snet_frame_next within one body. */
int snet_frame_part(struct snet_frame *f, const uint8_t **p, size_t *n, const uint8_t **part,
		    size_t *len, bool *last);

/* Gives back the buffer of a large body that has been handed out: call when the input is used
 * up, and the last body is of no more use. */
void snet_frame_trim(struct snet_frame *f);

/* No frame is half read: an end of stream here is clean. */
bool snet_frame_is_between(const struct snet_frame *f);

static inline void snet_frame_head(uint8_t out[static SNET_FRAME_HEAD], uint32_t len)
{
	snet_put_be32(out, len);
}

#endif
