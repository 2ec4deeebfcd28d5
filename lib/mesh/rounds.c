#include "mesh/rounds.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 4

/* What it has said and no round has taken. The first is always of the open round: who has said
 * nothing ahead can only be asked for that one, or for one that is closed. */
struct snet_rounds_party {
	struct snet_round_slot *ring; /* cap is a power of two */
	size_t cap, first, count;
	size_t bytes;  /* with OVERHEAD each */
	uint64_t said; /* messages, ever, the late ones included */
	bool is_given_up;
};

int snet_rounds_init(struct snet_rounds *r, unsigned n, unsigned q, snet_time timeout,
		     size_t max)
{
	*r = (struct snet_rounds){ .deadline = SNET_NEVER };
	if (!n || n > SNET_ROUNDS_PARTIES || !q || q > n || !timeout || !max)
		return SNET_EINVAL;
	r->parties = calloc(n, sizeof(*r->parties));
	r->slots = calloc(n, sizeof(*r->slots));
	if (!r->parties || !r->slots)
		return SNET_ENOMEM;
	r->n = r->awaited = n;
	r->q = q;
	r->timeout = timeout;
	r->max = max;
	r->number = 1;
	return SNET_OK;
}

/* Gives a message up to the caller. */
static struct snet_round_slot pop(struct snet_rounds_party *p)
{
	struct snet_round_slot m = p->ring[p->first];

	p->first = (p->first + 1) & (p->cap - 1);
	p->count--;
	p->bytes -= m.v.n + SNET_ROUNDS_OVERHEAD;
	return m;
}

static void release(struct snet_rounds *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		snet_block_free(r->slots[i].v.block);
		r->slots[i] = (struct snet_round_slot){ 0 };
	}
	r->is_out = false;
}

void snet_rounds_fini(struct snet_rounds *r)
{
	release(r);
	for (unsigned i = 0; i < r->n; i++) {
		while (r->parties[i].count)
			snet_block_free(pop(&r->parties[i]).v.block);
		free(r->parties[i].ring);
	}
	free(r->parties);
	free(r->slots);
	*r = (struct snet_rounds){ .deadline = SNET_NEVER };
}

static int grow(struct snet_rounds_party *p)
{
	size_t cap = p->cap ? 2 * p->cap : RING_MIN;
	struct snet_round_slot *ring;

	if (p->count < p->cap)
		return SNET_OK;
	ring = calloc(cap, sizeof(*ring));
	if (!ring)
		return SNET_ENOMEM;
	for (size_t i = 0; i < p->count; i++)
		ring[i] = p->ring[(p->first + i) & (p->cap - 1)];
	free(p->ring);
	p->ring = ring;
	p->cap = cap;
	p->first = 0;
	return SNET_OK;
}

/* A hold or a copy. A small part of a block is copied, or it would keep all of it, which is
 * not counted. */
static int keep(struct snet_slice *out, const struct snet_slice *v)
{
	*out = (struct snet_slice){ (const uint8_t *)"", v->n, NULL };
	if (!v->n)
		return SNET_OK;
	if (v->block && v->n >= v->block->cap / 2) {
		out->p = v->p;
		out->block = snet_block_hold(v->block);
		return SNET_OK;
	}
	out->block = snet_block_new(v->n);
	if (!out->block)
		return SNET_ENOMEM;
	memcpy(out->block->data, v->p, v->n);
	out->block->n = v->n;
	out->p = out->block->data;
	return SNET_OK;
}

static void start_clock(struct snet_rounds *r, snet_time now)
{
	r->deadline = r->timeout < SNET_NEVER - now ? now + r->timeout : SNET_NEVER;
}

int snet_rounds_put(struct snet_rounds *r, unsigned party, uint8_t kind,
		    const struct snet_slice *v, snet_time now, uint64_t *round)
{
	struct snet_rounds_party *p;
	struct snet_slice kept;
	int rc;

	if (party >= r->n)
		return SNET_EINVAL;
	p = &r->parties[party];
	if (round)
		*round = p->said + 1;
	if (p->said + 1 < r->number) {
		p->said++;
		return SNET_ETIMEOUT;
	}
	if (snet_rounds_is_full(r, party))
		return SNET_EAGAIN;
	if ((rc = grow(p)) || (rc = keep(&kept, v)))
		return rc;
	p->ring[(p->first + p->count++) & (p->cap - 1)] =
		(struct snet_round_slot){ true, kind, kept };
	p->bytes += v->n + SNET_ROUNDS_OVERHEAD;
	p->said++;
	if (p->count > 1)
		return SNET_OK;
	if (!p->is_given_up)
		r->awaited--;
	if (!r->here++ && !r->is_out)
		start_clock(r, now);
	return SNET_OK;
}

bool snet_rounds_is_full(const struct snet_rounds *r, unsigned party)
{
	assert(party < r->n);
	return r->parties[party].bytes >= r->max;
}

size_t snet_rounds_kept(const struct snet_rounds *r, unsigned party)
{
	assert(party < r->n);
	return r->parties[party].bytes;
}

bool snet_rounds_is_missing(const struct snet_rounds *r, unsigned party)
{
	assert(party < r->n);
	return !r->parties[party].count;
}

void snet_rounds_give_up(struct snet_rounds *r, unsigned party)
{
	struct snet_rounds_party *p = &r->parties[party];

	assert(party < r->n);
	if (!p->is_given_up && !p->count)
		r->awaited--;
	p->is_given_up = true;
}

void snet_rounds_expect(struct snet_rounds *r, unsigned party)
{
	struct snet_rounds_party *p = &r->parties[party];

	assert(party < r->n);
	if (p->is_given_up && !p->count)
		r->awaited++;
	p->is_given_up = false;
}

/* Hands the open round out, and opens the one after it. */
static const struct snet_round *hand_out(struct snet_rounds *r)
{
	r->round = (struct snet_round){ r->number, r->n, r->here, r->slots };
	r->here = r->awaited = 0;
	for (unsigned i = 0; i < r->n; i++) {
		struct snet_rounds_party *p = &r->parties[i];

		if (p->count)
			r->slots[i] = pop(p);
		if (p->count)
			r->here++;
		else if (!p->is_given_up)
			r->awaited++;
	}
	r->number++;
	r->deadline = SNET_NEVER;
	r->is_overdue = false;
	r->is_out = true;
	return &r->round;
}

int snet_rounds_next(struct snet_rounds *r, snet_time now, const struct snet_round **out)
{
	bool is_news = false;

	*out = NULL;
	if (r->is_out)
		return SNET_OK;
	if (r->deadline != SNET_NEVER && now >= r->deadline) {
		r->deadline = SNET_NEVER;
		r->is_overdue = is_news = true;
	}
	if (r->here >= r->q && (!r->awaited || r->is_overdue)) {
		*out = hand_out(r);
		return SNET_OK;
	}
	if (r->here + r->awaited < r->q)
		return SNET_ELOST;
	return is_news ? SNET_ETIMEOUT : SNET_OK;
}

void snet_rounds_done(struct snet_rounds *r, snet_time now)
{
	if (!r->is_out)
		return;
	release(r);
	if (r->here)
		start_clock(r, now);
}
