/* Stall: whether what is under way between two peers still moves. Looked at from time to time;
 * between two looks something must have been acknowledged of what is queued, and a message
 * half received must have grown. Pure. */
#ifndef SNET_MESH_STALL_H
#define SNET_MESH_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNET_STALL_BYTES 1024 /* a message that gains less between two looks does not move */

struct snet_stall_state {
	size_t queued, partial;   /* bytes not acknowledged; bytes of an unfinished message */
	uint64_t acked, received; /* bytes, ever */
	bool paused;              /* by us: then nothing can come */
};

struct snet_stall {
	uint64_t acked, received; /* at the last look */
	bool was_paused;          /* at any time since: the owner sets it when it pauses */
};

void snet_stall_begin(struct snet_stall *s, const struct snet_stall_state *now);
/* A look. Returns what is wrong, or NULL. */
const char *snet_stall_check(struct snet_stall *s, const struct snet_stall_state *now);

#endif
