#include "base/map.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define FIRST_CAP 16 /* slots */

enum { FREE, DELETED, TAKEN };

struct snet_map_slot {
	void *value;
	uint32_t hash;
	uint8_t state, n; /* n: bytes of the key */
	uint8_t key[SNET_MAP_KEY_MAX];
};

_Static_assert(sizeof(struct snet_map_slot) <= 56, "a slot stays within a cache line");

static uint64_t le64(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static inline uint64_t rotl(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static void sip_rounds(uint64_t v[static 4], unsigned n)
{
	while (n--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

uint64_t snet_siphash(uint64_t k0, uint64_t k1, const void *p, size_t n)
{
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
			  k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 };
	uint64_t last = (uint64_t)n << 56, word;
	const uint8_t *at = p;

	for (; n >= 8; n -= 8, at += 8) {
		word = le64(at, 8);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	last |= le64(at, n);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void snet_map_init(struct snet_map *m, const uint8_t secret[static 16])
{
	*m = (struct snet_map){ .k0 = le64(secret, 8), .k1 = le64(secret + 8, 8) };
}

void snet_map_fini(struct snet_map *m)
{
	free(m->slots);
	*m = (struct snet_map){ .k0 = m->k0, .k1 = m->k1 };
}

static uint32_t hash(const struct snet_map *m, const void *key, size_t n)
{
	return (uint32_t)snet_siphash(m->k0, m->k1, key, n);
}

/* There is always a free slot, so every probe ends. */
static struct snet_map_slot *find(const struct snet_map *m, const void *key, size_t n,
				  uint32_t h)
{
	struct snet_map_slot *s;

	if (!m->n || n > SNET_MAP_KEY_MAX)
		return NULL;
	for (size_t i = h;; i++) {
		s = &m->slots[i & (m->cap - 1)];
		if (s->state == FREE)
			return NULL;
		if (s->state == TAKEN && s->hash == h && s->n == n &&
		    (!n || !memcmp(s->key, key, n)))
			return s;
	}
}

static struct snet_map_slot *vacancy(const struct snet_map *m, uint32_t h)
{
	size_t i = h;

	while (m->slots[i & (m->cap - 1)].state == TAKEN)
		i++;
	return &m->slots[i & (m->cap - 1)];
}

/* Doubles, or only sweeps out what was deleted when that alone makes room. */
static int grow(struct snet_map *m)
{
	struct snet_map next = *m;

	next.cap = !m->cap ? FIRST_CAP : m->n * 2 >= m->cap ? m->cap * 2 : m->cap;
	next.used = m->n;
	next.slots = calloc(next.cap, sizeof(*next.slots));
	if (!next.slots)
		return SNET_ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].state == TAKEN)
			*vacancy(&next, m->slots[i].hash) = m->slots[i];
	free(m->slots);
	*m = next;
	return SNET_OK;
}

int snet_map_put(struct snet_map *m, const void *key, size_t n, void *value)
{
	uint32_t h = hash(m, key, n);
	struct snet_map_slot *s;

	assert(value);
	if (n > SNET_MAP_KEY_MAX)
		return SNET_EINVAL;
	s = find(m, key, n, h);
	if (s) {
		s->value = value;
		return SNET_OK;
	}
	if ((m->used + 1) * 4 > m->cap * 3 && grow(m))
		return SNET_ENOMEM;
	s = vacancy(m, h);
	m->used += s->state == FREE;
	m->n++;
	s->value = value;
	s->hash = h;
	s->state = TAKEN;
	s->n = (uint8_t)n;
	if (n)
		memcpy(s->key, key, n);
	return SNET_OK;
}

void *snet_map_get(const struct snet_map *m, const void *key, size_t n)
{
	struct snet_map_slot *s = m->n ? find(m, key, n, hash(m, key, n)) : NULL;

	return s ? s->value : NULL;
}

void *snet_map_del(struct snet_map *m, const void *key, size_t n)
{
	struct snet_map_slot *s = m->n ? find(m, key, n, hash(m, key, n)) : NULL;
	size_t i;

	if (!s)
		return NULL;
	s->state = DELETED;
	m->n--;
	/* At the end of its run of taken slots nothing looks past it: then it, and the deleted
	 * ones before it, are free. */
	i = (size_t)(s - m->slots);
	if (m->slots[(i + 1) & (m->cap - 1)].state == FREE)
		for (; m->slots[i].state == DELETED; i = (i - 1) & (m->cap - 1)) {
			m->slots[i].state = FREE;
			m->used--;
		}
	return s->value;
}

void *snet_map_next(const struct snet_map *m, size_t *at)
{
	while (*at < m->cap) {
		const struct snet_map_slot *s = &m->slots[(*at)++];

		if (s->state == TAKEN)
			return s->value;
	}
	return NULL;
}
