/* Heap: the timers of a loop, earliest first. Private to lib/io. */
#ifndef SNET_IO_HEAP_H
#define SNET_IO_HEAP_H

#include "io/loop.h"

struct snet_heap {
	struct snet_timer **at; /* binary heap; timer->slot is its index + 1 */
	size_t n, cap;
};

void snet_heap_fini(struct snet_heap *h);
/* Or moves it, after its deadline changed. SNET_ENOMEM. */
int snet_heap_put(struct snet_heap *h, struct snet_timer *t);
void snet_heap_del(struct snet_heap *h, struct snet_timer *t);

static inline struct snet_timer *snet_heap_first(const struct snet_heap *h)
{
	return h->n ? h->at[0] : NULL;
}

#endif
