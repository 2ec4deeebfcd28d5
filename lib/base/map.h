/* Map: a small hash map from short byte strings to pointers. Keyed hash, so that a stranger who
 * picks the keys cannot pick the buckets. */
#ifndef SNET_BASE_MAP_H
#define SNET_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#define SNET_MAP_KEY_MAX 32 /* bytes; keys are copied */

struct snet_map_slot;

struct snet_map {
	struct snet_map_slot *slots; /* open addressing; grows by itself, never shrinks */
	size_t cap, n, used;         /* cap: a power of two; used: with deleted */
	uint64_t k0, k1;             /* SipHash-2-4 key */
};

/* secret: 16 random bytes, copied. */
void snet_map_init(struct snet_map *m, const uint8_t secret[static 16]);
void snet_map_fini(struct snet_map *m); /* the values are the caller's */

/* value: not NULL. SNET_EINVAL: a key longer than SNET_MAP_KEY_MAX;
 * SNET_ENOMEM. Replaces what the key had. */
int snet_map_put(struct snet_map *m, const void *key, size_t n, void *value);
void *snet_map_get(const struct snet_map *m, const void *key, size_t n); /* NULL: not there */
void *snet_map_del(struct snet_map *m, const void *key, size_t n); /* what it had, or NULL */

/* Walks in no order: *at = 0 to begin; NULL at the end. Only deletion is allowed on the way. */
void *snet_map_next(const struct snet_map *m, size_t *at);

uint64_t snet_siphash(uint64_t k0, uint64_t k1, const void *p, size_t n);

#endif
