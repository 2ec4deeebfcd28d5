#include "mesh/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 8
#define RING_KEPT 256    /* items: a larger ring goes when the last message does */
#define SMALL_BLOCK 1000 /* bytes: an idle peer keeps one, so it counts */
#define LARGE_BLOCK 65000
#define ALONE_FROM 16000 /* bytes: a copy so large has a block of its own */

static struct snet_outbox_item *at(const struct snet_outbox *o, size_t i)
{
	return &o->items[(o->first + i) & (o->cap - 1)];
}

void snet_outbox_init(struct snet_outbox *o, size_t max)
{
	*o = (struct snet_outbox){ .max = max };
}

void snet_outbox_fini(struct snet_outbox *o)
{
	for (size_t i = 0; i < o->count; i++)
		snet_block_free(at(o, i)->v.block);
	snet_block_free(o->tail);
	free(o->items);
	*o = (struct snet_outbox){ 0 };
}

bool snet_outbox_is_full(const struct snet_outbox *o)
{
	return o->bytes >= o->max;
}

/* ---- in */

/* Room for one more item. */
static int reserve(struct snet_outbox *o)
{
	size_t cap = o->cap ? 2 * o->cap : RING_MIN;
	struct snet_outbox_item *items;

	if (o->count < o->cap)
		return SNET_OK;
	items = malloc(cap * sizeof(*items));
	if (!items)
		return SNET_ENOMEM;
	for (size_t i = 0; i < o->count; i++)
		items[i] = *at(o, i);
	free(o->items);
	o->items = items;
	o->cap = cap;
	o->first = 0;
	return SNET_OK;
}

/* The tail, with room for n bytes. */
static struct snet_block *tail(struct snet_outbox *o, size_t n)
{
	/* More than one message waits, so more will: then few large blocks. */
	size_t cap = n > SMALL_BLOCK || o->bytes > SMALL_BLOCK ? LARGE_BLOCK : SMALL_BLOCK;
	struct snet_block *b = o->tail;

	if (b && b->cap - b->n >= n)
		return b;
	b = snet_block_new(cap);
	if (!b)
		return NULL;
	snet_block_free(o->tail);
	o->tail = b;
	return b;
}

/* Copies n slices of `size` bytes in all into one run, behind a head. */
static int copy(struct snet_outbox *o, struct snet_outbox_item *it, const struct snet_slice *v,
		size_t n, size_t size)
{
	bool alone = size >= ALONE_FROM;
	struct snet_block *b = alone ? snet_block_new(SNET_OUTBOX_HEAD + size)
				     : tail(o, SNET_OUTBOX_HEAD + size);

	if (!b)
		return SNET_ENOMEM;
	snet_frame_head(b->data + b->n, (uint32_t)size + 1);
	b->data[b->n + SNET_FRAME_HEAD] = it->kind;
	b->n += SNET_OUTBOX_HEAD;
	it->v = (struct snet_slice){ b->data + b->n, size, alone ? b : snet_block_hold(b) };
	it->copied = true;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].n)
			continue;
		memcpy(b->data + b->n, v[i].p, v[i].n);
		b->n += v[i].n;
	}
	return SNET_OK;
}

static int keep(struct snet_outbox *o, struct snet_outbox_item *it, const struct snet_slice *v,
		size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += v[i].n;
	if (n != 1 || !v->block || !size)
		return copy(o, it, v, n, size);
	it->v = *v;
	snet_block_hold(v->block);
	return SNET_OK;
}

int snet_outbox_add(struct snet_outbox *o, unsigned stream, uint8_t kind,
		    const struct snet_slice *v, size_t n)
{
	struct snet_outbox_item item = { .stream = (uint8_t)stream, .kind = kind };
	int rc;

	if (stream >= SNET_RECORD_STREAMS)
		return SNET_EINVAL;
	if (snet_outbox_is_full(o))
		return SNET_EAGAIN;
	rc = reserve(o);
	if (!rc)
		rc = keep(o, &item, v, n);
	if (rc)
		return rc;
	item.seq = ++o->end[stream];
	o->bytes += item.v.n + SNET_OUTBOX_OVERHEAD;
	*at(o, o->count++) = item;
	return SNET_OK;
}

/* ---- out */

const struct snet_outbox_item *snet_outbox_next(struct snet_outbox *o)
{
	return o->cursor < o->count ? at(o, o->cursor) : NULL;
}

size_t snet_outbox_frames(const struct snet_outbox *o, struct snet_slice *v)
{
	const struct snet_outbox_item *first = o->cursor < o->count ? at(o, o->cursor) : NULL;
	size_t n = 0;

	if (!first || !first->copied)
		return 0;
	*v = (struct snet_slice){ first->v.p - SNET_OUTBOX_HEAD, 0, first->v.block };
	while (o->cursor + n < o->count) {
		const struct snet_outbox_item *it = at(o, o->cursor + n);

		if (it->v.block != v->block || it->stream != first->stream ||
		    it->v.p - SNET_OUTBOX_HEAD != v->p + v->n || !it->copied)
			break;
		v->n += SNET_OUTBOX_HEAD + it->v.n;
		n++;
	}
	return n;
}

void snet_outbox_sent(struct snet_outbox *o)
{
	struct snet_outbox_item *it;

	assert(o->cursor < o->count);
	it = at(o, o->cursor++);
	o->resent += it->again;
	it->again = true;
	o->sent[it->stream] = it->seq;
	if (o->most[it->stream] < it->seq)
		o->most[it->stream] = it->seq;
}

/* ---- forgetting */

/* Nothing waits: what a burst has needed goes, what a trickle needs stays. */
static void rest(struct snet_outbox *o)
{
	o->first = 0;
	if (o->cap > RING_KEPT) {
		free(o->items);
		o->items = NULL;
		o->cap = 0;
	}
	/* If ours is the only hold, nobody reads what is in it any more. */
	if (o->tail && o->tail->refs == 1 && o->tail->cap == SMALL_BLOCK) {
		o->tail->n = 0;
		return;
	}
	snet_block_free(o->tail);
	o->tail = NULL;
}

/* Lets go of the first n items that are taken for good; returns how many items, taken or not,
 * had to be looked at. */
static size_t release(struct snet_outbox *o, uint64_t n)
{
	size_t i = 0;

	for (; n; i++) {
		struct snet_outbox_item *it = at(o, i);

		if (it->seq > o->acked[it->stream])
			continue;
		o->bytes -= it->v.n + SNET_OUTBOX_OVERHEAD;
		snet_block_free(it->v.block);
		n--;
	}
	return i;
}

/* Forgets what is taken for good up to `to`, per stream; all of it has been accepted. Streams
 * lie mixed in the ring: those that stay close ranks, towards what comes after them. */
static void forget(struct snet_outbox *o, const uint64_t to[static SNET_RECORD_STREAMS])
{
	uint64_t n = 0;
	size_t looked, stay;

	for (unsigned s = 0; s < SNET_RECORD_STREAMS; s++) {
		n += to[s] - o->acked[s];
		o->acked[s] = to[s];
	}
	if (!n)
		return;
	looked = stay = release(o, n);
	for (size_t i = looked; i-- > 0;)
		if (at(o, i)->seq > o->acked[at(o, i)->stream])
			*at(o, --stay) = *at(o, i);
	o->first = (o->first + stay) & (o->cap - 1);
	o->count -= stay;
	o->cursor -= stay < o->cursor ? stay : o->cursor;
	if (!o->count)
		rest(o);
}

int snet_outbox_acked(struct snet_outbox *o, const struct snet_record_marks *marks)
{
	uint64_t to[SNET_RECORD_STREAMS];

	memcpy(to, o->acked, sizeof(to));
	for (unsigned i = 0; i < marks->count; i++) {
		unsigned s = marks->mark[i].stream;

		if (s >= SNET_RECORD_STREAMS || marks->mark[i].at > o->sent[s])
			return SNET_EPROTO;
		if (marks->mark[i].at > to[s])
			to[s] = marks->mark[i].at;
	}
	forget(o, to);
	return SNET_OK;
}

int snet_outbox_rewind(struct snet_outbox *o, const struct snet_record_marks *marks)
{
	uint64_t to[SNET_RECORD_STREAMS] = { 0 };

	for (unsigned i = 0; i < marks->count; i++) {
		if (marks->mark[i].stream >= SNET_RECORD_STREAMS || !marks->mark[i].at)
			return SNET_EPROTO;
		to[marks->mark[i].stream] = marks->mark[i].at - 1;
	}
	for (unsigned s = 0; s < SNET_RECORD_STREAMS; s++)
		if (to[s] < o->acked[s] || to[s] > o->most[s])
			return SNET_EPROTO;
	forget(o, to);
	memcpy(o->sent, to, sizeof(to));
	o->cursor = 0;
	return SNET_OK;
}

uint64_t snet_outbox_renew(struct snet_outbox *o)
{
	uint64_t gone = 0;

	for (size_t i = 0; i < o->count; i++)
		at(o, i)->seq -= o->acked[at(o, i)->stream];
	for (unsigned s = 0; s < SNET_RECORD_STREAMS; s++) {
		gone += o->acked[s];
		o->end[s] -= o->acked[s];
		o->acked[s] = o->sent[s] = o->most[s] = 0;
	}
	o->cursor = 0;
	return gone;
}
