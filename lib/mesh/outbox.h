/* Outbox: what one party has to say to another, from the moment it is accepted until the other
 * has taken it for good. Messages are numbered 1, 2, 3 ... per stream; after a reconnect the
 * other side says which number it expects next, and what it has not taken is sent again. Pure.
 *
 *	snet_outbox_add     accept, number, keep
 *	snet_outbox_next    the first not yet sent on the present connection; then
 *	snet_outbox_sent    ... when the connection took it
 *	snet_outbox_frames  as next, for many at once
 *	snet_outbox_acked   what an ack says: forget
 *	snet_outbox_rewind  what a resume says: forget, and send the rest again
 *
 * No allocation per message once it has grown: items lie in a ring; payloads are held where
 *they are or copied to shared blocks, each behind the head that it has on the wire, so that
 *what lies together there is one run of bytes to the connection. */
#ifndef SNET_MESH_OUTBOX_H
#define SNET_MESH_OUTBOX_H

#include "base/bytes.h"
#include "wire/frame.h"
#include "wire/record.h"

struct snet_outbox_item {
	uint64_t seq;        /* on its stream */
	struct snet_slice v; /* the payload, with a block that is held */
	uint8_t stream, kind;
	bool copied; /* SNET_OUTBOX_HEAD bytes, length and kind, lie before it */
	bool again;  /* sent before, on whatever connection */
};

struct snet_outbox {
	struct snet_outbox_item *items; /* a ring: cap is a power of two */
	size_t cap, first, count;
	size_t cursor; /* of the items: so many have been sent on this connection */
	size_t bytes;  /* of payload and OVERHEAD each, in all */
	size_t max;    /* full from here on: one message may go past it */
	uint64_t end[SNET_RECORD_STREAMS];   /* number of the last accepted; 0: none */
	uint64_t acked[SNET_RECORD_STREAMS]; /* taken for good up to here */
	uint64_t sent[SNET_RECORD_STREAMS];  /* up to here on this connection */
	uint64_t most[SNET_RECORD_STREAMS];  /* up to here on any, since they were renewed */
	struct snet_block *tail;             /* where small payloads go; held */
	uint64_t resent; /* sendings that were not a message's first, ever */
};

#define SNET_OUTBOX_HEAD (SNET_FRAME_HEAD + 1)
#define SNET_OUTBOX_OVERHEAD 32 /* bytes a message counts beside its payload */

void snet_outbox_init(struct snet_outbox *o, size_t max);
void snet_outbox_fini(struct snet_outbox *o);

bool snet_outbox_is_full(const struct snet_outbox *o);
static inline bool snet_outbox_is_empty(const struct snet_outbox *o)
{
	return !o->count;
}
/* All of it or nothing: SNET_EAGAIN when full, SNET_EINVAL for a stream that there is not,
 * SNET_ENOMEM. A slice with a block, alone, is held; anything else is copied. */
int snet_outbox_add(struct snet_outbox *o, unsigned stream, uint8_t kind,
		    const struct snet_slice *v, size_t n);
/* NULL: everything has been sent. Good until the next call. */
const struct snet_outbox_item *snet_outbox_next(struct snet_outbox *o);
void snet_outbox_sent(struct snet_outbox *o);
/* The next and those after it that lie together, on one stream, as they are on the wire (frames
 * of snet/1): *v borrowed, with its block. Returns how many; 0: the next is held
 * where its owner put it, without a head, or there is none. */
size_t snet_outbox_frames(const struct snet_outbox *o, struct snet_slice *v);
/* marks: how many were taken for good, per stream; streams that are not among them are as they
 * were, and so is what goes back. SNET_EPROTO: more than was sent on this connection; nothing
 * is changed. */
int snet_outbox_acked(struct snet_outbox *o, const struct snet_record_marks *marks);
/* marks: the number expected next, per stream; 1 where a stream is not among them. Sends again
 * from there. SNET_EPROTO: less than what was acknowledged, or more than was ever sent; nothing
 * is changed. */
int snet_outbox_rewind(struct snet_outbox *o, const struct snet_record_marks *marks);
/* The other side has begun anew: what it has not taken is numbered from 1 again, and sent to
 * it. Returns how many messages only the one before it has taken. */
uint64_t snet_outbox_renew(struct snet_outbox *o);

#endif
