/* Ordering's verdict: what the digests that came mean, and in words who is missing or what
 * differs. Part of mesh/ordering; nobody else includes it. */
#ifndef SNET_MESH_ORDERING_VERDICT_H
#define SNET_MESH_ORDERING_VERDICT_H

#include "mesh/ordering.h"
#include "wire/envelope.h"

struct snet_ordering_party {
	struct snet_slice key; /* without a block: nobody */
	bool is_up, is_once;
	bool is_sent;    /* our digest of now, on this connection */
	bool has_spoken; /* on this connection */
	bool has_said;   /* ever: said is its digest */
	uint8_t said[SNET_ORDERING_DIGEST_BYTES];
	snet_time said_at;
};

static inline snet_time snet_ordering_after(snet_time now, snet_time wait)
{
	return wait < SNET_NEVER - now ? now + wait : SNET_NEVER;
}

static inline bool snet_ordering_is_expected(uint32_t have, uint32_t want)
{
	return want == SNET_ORDERING_ANY || have == want;
}

/* False: no digest. */
bool snet_ordering_decode(struct snet_envelope *e, const void *p, size_t n);
/* While open, the lists being fresh: leaves the state as it is, agrees, or fails with why and
 * blame; sets the deadline. */
void snet_ordering_judge(struct snet_ordering *o, snet_time now);

#endif
