#include "io/heap.h"

#include <stdlib.h>

#include "base/err.h"

static void place(struct snet_heap *h, size_t i, struct snet_timer *t)
{
	h->at[i] = t;
	t->slot = i + 1;
}

static void up(struct snet_heap *h, size_t i, struct snet_timer *t)
{
	for (; i && h->at[(i - 1) / 2]->deadline > t->deadline; i = (i - 1) / 2)
		place(h, i, h->at[(i - 1) / 2]);
	place(h, i, t);
}

static void down(struct snet_heap *h, size_t i, struct snet_timer *t)
{
	for (;;) {
		size_t c = 2 * i + 1;

		if (c + 1 < h->n && h->at[c + 1]->deadline < h->at[c]->deadline)
			c++;
		if (c >= h->n || h->at[c]->deadline >= t->deadline)
			break;
		place(h, i, h->at[c]);
		i = c;
	}
	place(h, i, t);
}

static void settle(struct snet_heap *h, size_t i, struct snet_timer *t)
{
	if (i && h->at[(i - 1) / 2]->deadline > t->deadline)
		up(h, i, t);
	else
		down(h, i, t);
}

int snet_heap_put(struct snet_heap *h, struct snet_timer *t)
{
	if (t->slot) {
		settle(h, t->slot - 1, t);
		return SNET_OK;
	}
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 16;
		struct snet_timer **at = realloc(h->at, cap * sizeof(struct snet_timer *));

		if (!at)
			return SNET_ENOMEM;
		h->at = at;
		h->cap = cap;
	}
	up(h, h->n++, t);
	return SNET_OK;
}

void snet_heap_del(struct snet_heap *h, struct snet_timer *t)
{
	size_t i = t->slot - 1;
	struct snet_timer *last;

	if (!t->slot)
		return;
	t->slot = 0;
	last = h->at[--h->n];
	if (last != t)
		settle(h, i, last);
}

void snet_heap_fini(struct snet_heap *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->at[i]->slot = 0;
	free(h->at);
	*h = (struct snet_heap){ 0 };
}
