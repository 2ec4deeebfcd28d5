/* BLAKE3, hash mode, after the specification (blake3.pdf, version 20211102), whose section
 * numbers stand below. */
#include "crypto/hash.h"

#include <string.h>

#define BLOCK 64
#define CHUNK_BLOCKS 16 /* a chunk is 1024 bytes */
#define ROUNDS 7

enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

/* The fractional parts of the square roots of the first eight primes, as in SHA-256. */
static const uint32_t iv[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* Message words of each round: the permutation of §2.2 applied again and again. */
static const uint8_t schedule[ROUNDS][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8 },
	{ 3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1 },
	{ 10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6 },
	{ 12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4 },
	{ 9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7 },
	{ 11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13 },
};

static inline uint32_t rotr(uint32_t v, unsigned by)
{
	return v >> by | v << (32 - by);
}

static inline void mix(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d,
		       uint32_t x, uint32_t y)
{
	s[a] += s[b] + x;
	s[d] = rotr(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotr(s[b] ^ s[c], 12);
	s[a] += s[b] + y;
	s[d] = rotr(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotr(s[b] ^ s[c], 7);
}

/* §2.2, without the half of the output that only longer hashes use. cv is replaced. */
static void compress(uint32_t cv[8], const uint32_t m[16], uint64_t counter, uint32_t n,
		     uint32_t flags)
{
	uint32_t s[16] = { cv[0],
			   cv[1],
			   cv[2],
			   cv[3],
			   cv[4],
			   cv[5],
			   cv[6],
			   cv[7],
			   iv[0],
			   iv[1],
			   iv[2],
			   iv[3],
			   (uint32_t)counter,
			   (uint32_t)(counter >> 32),
			   n,
			   flags };

	for (unsigned r = 0; r < ROUNDS; r++) {
		const uint8_t *w = schedule[r];

		mix(s, 0, 4, 8, 12, m[w[0]], m[w[1]]);
		mix(s, 1, 5, 9, 13, m[w[2]], m[w[3]]);
		mix(s, 2, 6, 10, 14, m[w[4]], m[w[5]]);
		mix(s, 3, 7, 11, 15, m[w[6]], m[w[7]]);
		mix(s, 0, 5, 10, 15, m[w[8]], m[w[9]]);
		mix(s, 1, 6, 11, 12, m[w[10]], m[w[11]]);
		mix(s, 2, 7, 8, 13, m[w[12]], m[w[13]]);
		mix(s, 3, 4, 9, 14, m[w[14]], m[w[15]]);
	}
	for (unsigned i = 0; i < 8; i++)
		cv[i] = s[i] ^ s[i + 8];
}

static void load(uint32_t m[16], const uint8_t p[BLOCK])
{
	for (unsigned i = 0; i < 16; i++, p += 4)
		m[i] = (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* §2.4, §2.5: the block held back, n bytes of it, as the next of its chunk. */
static void chunk_block(const struct snet_blake3 *h, uint32_t cv[8], uint32_t flags)
{
	uint32_t m[16];

	load(m, h->block);
	compress(cv, m, h->chunk, h->block_n, flags | (h->blocks ? 0 : CHUNK_START));
}

/* cv becomes the parent of left and cv. */
static void parent(const uint32_t left[8], uint32_t cv[8], uint32_t flags)
{
	uint32_t m[16];

	memcpy(m, left, 32);
	memcpy(m + 8, cv, 32);
	memcpy(cv, iv, sizeof(iv));
	compress(cv, m, 0, BLOCK, PARENT | flags);
}

static void begin_chunk(struct snet_blake3 *h)
{
	memcpy(h->cv, iv, sizeof(iv));
	memset(h->block, 0, sizeof(h->block));
	h->block_n = h->blocks = 0;
}

void snet_blake3_init(struct snet_blake3 *h)
{
	begin_chunk(h);
	h->chunk = 0;
	h->depth = 0;
}

/* More is to come, so the chunk is not the last: every subtree it completes can be closed.
 * After k chunks the stack holds one subtree for each bit of k (§5.1.2). */
static void end_chunk(struct snet_blake3 *h)
{
	uint32_t cv[8];

	memcpy(cv, h->cv, sizeof(cv));
	chunk_block(h, cv, CHUNK_END);
	h->chunk++;
	for (uint64_t whole = h->chunk; !(whole & 1); whole >>= 1)
		parent(h->stack[--h->depth], cv, 0);
	memcpy(h->stack[h->depth++], cv, sizeof(cv));
	begin_chunk(h);
}

void snet_blake3_update(struct snet_blake3 *h, const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t k;

	while (n) {
		if (h->block_n == BLOCK && h->blocks == CHUNK_BLOCKS - 1) {
			end_chunk(h);
		} else if (h->block_n == BLOCK) {
			chunk_block(h, h->cv, 0);
			h->blocks++;
			h->block_n = 0;
			memset(h->block, 0, sizeof(h->block));
		}
		k = BLOCK - h->block_n;
		if (k > n)
			k = n;
		memcpy(h->block + h->block_n, p, k);
		h->block_n += (unsigned)k;
		p += k;
		n -= k;
	}
}

void snet_blake3_final(const struct snet_blake3 *h, uint8_t out[static SNET_BLAKE3_BYTES])
{
	unsigned depth = h->depth;
	uint32_t cv[8];

	memcpy(cv, h->cv, sizeof(cv));
	chunk_block(h, cv, CHUNK_END | (depth ? 0 : ROOT));
	while (depth--)
		parent(h->stack[depth], cv, depth ? 0 : ROOT);
	for (unsigned i = 0; i < 8; i++)
		for (unsigned b = 0; b < 4; b++)
			out[4 * i + b] = (uint8_t)(cv[i] >> 8 * b);
}

void snet_blake3(uint8_t out[static SNET_BLAKE3_BYTES], const void *p, size_t n)
{
	struct snet_blake3 h;

	snet_blake3_init(&h);
	snet_blake3_update(&h, p, n);
	snet_blake3_final(&h, out);
}
