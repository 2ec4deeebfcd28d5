/* Txq: what a stream has to send and the peer has not acknowledged yet: runs of bytes in shared
 * blocks, which stay put because a transport may keep pointers into them. Pure. */
#ifndef SNET_TRANSPORT_TXQ_H
#define SNET_TRANSPORT_TXQ_H

#include <sys/uio.h>

#include "base/bytes.h"

struct snet_txq_run {
	const uint8_t *p;
	size_t n;
	struct snet_block *block; /* held */
};

struct snet_txq {
	struct snet_txq_run *runs; /* a ring */
	size_t cap, first, count;
	uint64_t acked, sent, end; /* stream offsets: acked <= sent <= end */
	uint64_t first_offset;     /* of runs[first] */
	size_t cursor;             /* run that holds `sent`, counted from first */
	uint64_t cursor_offset;    /* of that run */
	struct snet_block *tail;   /* where copies go; held */
};

void snet_txq_fini(struct snet_txq *q);
/* All of the slices or nothing: SNET_ENOMEM. */
int snet_txq_add(struct snet_txq *q, const struct snet_slice *v, size_t n);
/* Points iov at up to n unsent runs, max bytes in all; returns how many. */
size_t snet_txq_unsent(const struct snet_txq *q, struct iovec *iov, size_t n, size_t max);
void snet_txq_sent(struct snet_txq *q, size_t n);
void snet_txq_acked(struct snet_txq *q, uint64_t offset); /* everything below offset is */

#endif
