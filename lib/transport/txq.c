#include "transport/txq.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_BLOCK 1000 /* bytes: an idle connection keeps one, so it counts */
#define LARGE_BLOCK 65000
#define COPY_BELOW 4096 /* bytes: a shorter run costs more to hold than to copy */

static struct snet_txq_run *at(const struct snet_txq *q, size_t i)
{
	return &q->runs[(q->first + i) & (q->cap - 1)];
}

/* Room for n more runs. */
static int reserve(struct snet_txq *q, size_t n)
{
	size_t cap = q->cap ? q->cap : 4;
	struct snet_txq_run *runs;

	while (cap < q->count + n)
		cap *= 2;
	if (cap == q->cap)
		return SNET_OK;
	runs = malloc(cap * sizeof(*runs));
	if (!runs)
		return SNET_ENOMEM;
	for (size_t i = 0; i < q->count; i++)
		runs[i] = *at(q, i);
	free(q->runs);
	q->runs = runs;
	q->cap = cap;
	q->first = 0;
	return SNET_OK;
}

static void push(struct snet_txq *q, const uint8_t *p, size_t n, struct snet_block *block)
{
	struct snet_txq_run *last = q->count ? at(q, q->count - 1) : NULL;

	q->end += n;
	if (last && last->block == block && last->p + last->n == p) {
		last->n += n;
		return;
	}
	*at(q, q->count++) = (struct snet_txq_run){ p, n, snet_block_hold(block) };
}

/* A tail block with room for at least one byte. */
static int tail(struct snet_txq *q, size_t want)
{
	struct snet_block *b = q->tail;
	size_t cap = want > SMALL_BLOCK || q->end - q->acked > SMALL_BLOCK ? LARGE_BLOCK
									   : SMALL_BLOCK;

	if (b && b->n < b->cap)
		return SNET_OK;
	b = snet_block_new(cap);
	if (!b)
		return SNET_ENOMEM;
	snet_block_free(q->tail);
	q->tail = b;
	return SNET_OK;
}

/* How many runs a slice may add: a copy fills the tail and then new blocks. */
static size_t runs_of(const struct snet_slice *s)
{
	return s->block && s->n >= COPY_BELOW ? 1 : 3 + s->n / LARGE_BLOCK;
}

static int copy(struct snet_txq *q, const uint8_t *p, size_t n)
{
	while (n) {
		size_t k;

		if (tail(q, n))
			return SNET_ENOMEM;
		k = q->tail->cap - q->tail->n;
		if (k > n)
			k = n;
		memcpy(q->tail->data + q->tail->n, p, k);
		push(q, q->tail->data + q->tail->n, k, q->tail);
		q->tail->n += k;
		p += k;
		n -= k;
	}
	return SNET_OK;
}

/* Takes back what was added beyond end. */
static void cut(struct snet_txq *q, uint64_t end)
{
	while (q->end > end) {
		struct snet_txq_run *last = at(q, q->count - 1);
		size_t k = q->end - end < last->n ? (size_t)(q->end - end) : last->n;

		if (last->block == q->tail)
			q->tail->n -= k;
		last->n -= k;
		q->end -= k;
		if (!last->n) {
			snet_block_free(last->block);
			q->count--;
		}
	}
}

int snet_txq_add(struct snet_txq *q, const struct snet_slice *v, size_t n)
{
	uint64_t end = q->end;
	size_t runs = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		runs += runs_of(&v[i]);
	rc = reserve(q, runs);
	for (size_t i = 0; !rc && i < n; i++) {
		if (!v[i].n)
			continue;
		if (v[i].block && v[i].n >= COPY_BELOW)
			push(q, v[i].p, v[i].n, v[i].block);
		else
			rc = copy(q, v[i].p, v[i].n);
	}
	if (rc)
		cut(q, end);
	return rc;
}

size_t snet_txq_unsent(const struct snet_txq *q, struct iovec *iov, size_t n, size_t max)
{
	size_t k = 0, skip = (size_t)(q->sent - q->cursor_offset);

	for (size_t i = q->cursor; i < q->count && k < n && max; i++, skip = 0) {
		const struct snet_txq_run *r = at(q, i);
		size_t len = r->n - skip;

		if (!len)
			continue;
		if (len > max)
			len = max;
		iov[k++] = (struct iovec){ (void *)(r->p + skip), len };
		max -= len;
	}
	return k;
}

void snet_txq_sent(struct snet_txq *q, size_t n)
{
	q->sent += n;
	while (q->cursor < q->count && q->sent - q->cursor_offset >= at(q, q->cursor)->n) {
		/* The last run may still grow: stay on it. */
		if (q->cursor + 1 == q->count)
			break;
		q->cursor_offset += at(q, q->cursor++)->n;
	}
}

void snet_txq_acked(struct snet_txq *q, uint64_t offset)
{
	if (offset > q->acked)
		q->acked = offset;
	while (q->count && q->acked - q->first_offset >= at(q, 0)->n) {
		struct snet_txq_run *r = at(q, 0);

		q->first_offset += r->n;
		snet_block_free(r->block);
		q->first = (q->first + 1) & (q->cap - 1);
		q->count--;
		if (q->cursor)
			q->cursor--;
		else
			q->cursor_offset = q->first_offset;
	}
	if (q->count || !q->tail)
		return;
	snet_block_free(q->tail);
	q->tail = NULL;
}

void snet_txq_fini(struct snet_txq *q)
{
	for (size_t i = 0; i < q->count; i++)
		snet_block_free(at(q, i)->block);
	snet_block_free(q->tail);
	free(q->runs);
	*q = (struct snet_txq){ 0 };
}
