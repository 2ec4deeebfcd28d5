#include <stdlib.h>
#include <string.h>

#include "crypto/identity.h"
#include "sim/sim.h"

/* In place of what differs from run to run. The linker leads calls of these functions of
 * lib/crypto here (--wrap): keys decide who dials first and which of two connections counts,
 * random numbers when. */

#define SPKI 91 /* bytes, as of a P-256 key */

struct snet_identity {
	uint8_t keyid[SNET_KEYID_BYTES];
	uint8_t spki[SPKI];
	uint64_t derived;
};

static uint64_t random_state;

/* splitmix64 */
uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static void fill(uint64_t *state, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*state = mix(*state);
		p[i] = (uint8_t)*state;
	}
}

uint64_t draw(struct sim *s)
{
	s->random += 0x9e3779b97f4a7c15;
	return mix(s->random);
}

uint64_t draw_below(struct sim *s, uint64_t n)
{
	return n ? draw(s) % n : 0;
}

bool one_in(struct sim *s, unsigned n)
{
	return n && !draw_below(s, n);
}

struct snet_identity *identity_new(uint64_t seed, uint32_t party)
{
	struct snet_identity *id = malloc(sizeof(*id));
	uint64_t state = mix(seed) + party;

	if (!id)
		abort();
	fill(&state, id->keyid, sizeof(id->keyid));
	fill(&state, id->spki, sizeof(id->spki));
	id->derived = mix(state);
	return id;
}

void fixed_random(uint64_t seed)
{
	random_state = mix(~seed);
}

int __wrap_snet_random(void *p, size_t n);
const uint8_t *__wrap_snet_identity_keyid(const struct snet_identity *id);
uint64_t __wrap_snet_identity_derived(const struct snet_identity *id);
const uint8_t *__wrap_snet_identity_spki(const struct snet_identity *id, size_t *n);

int __wrap_snet_random(void *p, size_t n)
{
	fill(&random_state, p, n);
	return SNET_OK;
}

const uint8_t *__wrap_snet_identity_keyid(const struct snet_identity *id)
{
	return id->keyid;
}

uint64_t __wrap_snet_identity_derived(const struct snet_identity *id)
{
	return id->derived;
}

const uint8_t *__wrap_snet_identity_spki(const struct snet_identity *id, size_t *n)
{
	*n = sizeof(id->spki);
	return id->spki;
}
