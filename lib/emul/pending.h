/* Pending: what is under way, earliest first, and what was put in first among equals. A heap of
 * borrowed nodes. Pure. */
#ifndef SNET_EMUL_PENDING_H
#define SNET_EMUL_PENDING_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* Part of whatever is under way. */
struct snet_parcel {
	snet_time when;
	uint64_t order; /* ours */
};

/* Zeroed is empty. */
struct snet_pending {
	struct snet_parcel **at;
	size_t n, cap;
	uint64_t order;
};

void snet_pending_fini(struct snet_pending *p); /* the parcels are the caller's */
/* parcel->when is set. SNET_ENOMEM. */
int snet_pending_put(struct snet_pending *p, struct snet_parcel *parcel);
/* The first, taken out, if it is due by now; else NULL. With SNET_NEVER: whatever is there. */
struct snet_parcel *snet_pending_take(struct snet_pending *p, snet_time now);

static inline snet_time snet_pending_deadline(const struct snet_pending *p)
{
	return p->n ? p->at[0]->when : SNET_NEVER;
}

#endif
