#include "emul/pending.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"

static bool before(const struct snet_parcel *a, const struct snet_parcel *b)
{
	return a->when != b->when ? a->when < b->when : a->order < b->order;
}

void snet_pending_fini(struct snet_pending *p)
{
	free(p->at);
	*p = (struct snet_pending){ 0 };
}

static int grow(struct snet_pending *p)
{
	size_t cap = p->cap ? 2 * p->cap : 64;
	struct snet_parcel **at = realloc(p->at, cap * sizeof(*at));

	if (!at)
		return SNET_ENOMEM;
	p->at = at;
	p->cap = cap;
	return SNET_OK;
}

int snet_pending_put(struct snet_pending *p, struct snet_parcel *parcel)
{
	size_t i = p->n;

	if (p->n == p->cap && grow(p))
		return SNET_ENOMEM;
	parcel->order = p->order++;
	p->n++;
	for (; i && before(parcel, p->at[(i - 1) / 2]); i = (i - 1) / 2)
		p->at[i] = p->at[(i - 1) / 2];
	p->at[i] = parcel;
	return SNET_OK;
}

struct snet_parcel *snet_pending_take(struct snet_pending *p, snet_time now)
{
	struct snet_parcel *first, *last;
	size_t i = 0, child;

	if (!p->n || p->at[0]->when > now)
		return NULL;
	first = p->at[0];
	last = p->at[--p->n];
	while ((child = 2 * i + 1) < p->n) {
		if (child + 1 < p->n && before(p->at[child + 1], p->at[child]))
			child++;
		if (!before(p->at[child], last))
			break;
		p->at[i] = p->at[child];
		i = child;
	}
	p->at[i] = last;
	return first;
}
