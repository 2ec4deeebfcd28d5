/* Txq: what a stream has to send and the peer has not acknowledged yet: runs of bytes in shared
 * blocks, which stay put because ngtcp2 keeps pointers into them. Pure. */
#ifndef SNET_TRANSPORT_QUIC_TXQ_H
#define SNET_TRANSPORT_QUIC_TXQ_H

#include <sys/uio.h>

#include "base/bytes.h"

struct quic_run {
	const uint8_t *p;
	size_t n;
	struct snet_block *block; /* held */
};

struct quic_txq {
	struct quic_run *runs; /* a ring */
	size_t cap, first, count;
	uint64_t acked, sent, end; /* stream offsets: acked <= sent <= end */
	uint64_t first_offset;     /* of runs[first] */
	size_t cursor;             /* run that holds `sent`, counted from first */
	uint64_t cursor_offset;    /* of that run */
	struct snet_block *tail;   /* where copies go; held */
};

void quic_txq_fini(struct quic_txq *q);
/* All of the slices or nothing: SNET_ENOMEM. */
int quic_txq_add(struct quic_txq *q, const struct snet_slice *v, size_t n);
/* Points iov at up to n unsent runs, max bytes in all; returns how many. */
size_t quic_txq_unsent(const struct quic_txq *q, struct iovec *iov, size_t n, size_t max);
void quic_txq_sent(struct quic_txq *q, size_t n);
void quic_txq_acked(struct quic_txq *q, uint64_t offset); /* everything below offset is */

#endif
