/* Bytes: a cursor that goes bad instead of past the end, a buffer born
 * with a ceiling, shared blocks. */
#ifndef SNET_BASE_BYTES_H
#define SNET_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* ---- reading. Borrows the bytes. The first read past the end sets bad; from then on every
 * read yields NULL or 0. Parse straight through and look at bad once, at the end. */
struct snet_reader {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct snet_reader snet_reader(const void *p, size_t n)
{
	const uint8_t *at = p ? p : (const uint8_t *)""; /* so that NULL always means bad */

	return (struct snet_reader){ at, p ? at + n : at, false };
}

static inline size_t snet_left(const struct snet_reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->at);
}

static inline const uint8_t *snet_take(struct snet_reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if (r->bad || n > (size_t)(r->end - r->at)) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return p;
}

/* ---- integers, unaligned. be = network order, le = as bincode writes them. */
static inline uint32_t snet_get_be32(const uint8_t p[static 4])
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t snet_get_be64(const uint8_t p[static 8])
{
	return (uint64_t)snet_get_be32(p) << 32 | snet_get_be32(p + 4);
}

static inline void snet_put_be16(uint8_t p[static 2], uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void snet_put_be32(uint8_t p[static 4], uint32_t v)
{
	snet_put_be16(p, (uint16_t)(v >> 16));
	snet_put_be16(p + 2, (uint16_t)v);
}

static inline void snet_put_be64(uint8_t p[static 8], uint64_t v)
{
	snet_put_be32(p, (uint32_t)(v >> 32));
	snet_put_be32(p + 4, (uint32_t)v);
}

uint8_t snet_take_u8(struct snet_reader *r);
uint16_t snet_take_be16(struct snet_reader *r);
uint32_t snet_take_be32(struct snet_reader *r);
uint64_t snet_take_be64(struct snet_reader *r);
uint16_t snet_take_le16(struct snet_reader *r);
uint32_t snet_take_le32(struct snet_reader *r);
uint64_t snet_take_le64(struct snet_reader *r);

/* ---- growing. A buffer refuses to grow past max. Owner: whoever declared it; free with
 * snet_buf_free. An append that fails (SNET_ETOOBIG past the ceiling, SNET_ENOMEM)
 * leaves the contents as they were and sets bad, so that a writer can append straight
 * through and look at bad once. */
struct snet_buf {
	uint8_t *p;
	size_t n, cap, max;
	bool bad;
};

/* clang-format off */
#define SNET_BUF(ceiling) ((struct snet_buf){ .max = (ceiling) })
/* clang-format on */

/* Room for n more bytes at the end, not counted until snet_buf_took. NULL on failure. */
uint8_t *snet_buf_room(struct snet_buf *b, size_t n);
int snet_buf_add(struct snet_buf *b, const void *p, size_t n);
int snet_buf_str(struct snet_buf *b, const char *s);
int snet_buf_fmt(struct snet_buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int snet_buf_u8(struct snet_buf *b, uint8_t v);
int snet_buf_be16(struct snet_buf *b, uint16_t v);
int snet_buf_be32(struct snet_buf *b, uint32_t v);
int snet_buf_be64(struct snet_buf *b, uint64_t v);
int snet_buf_le16(struct snet_buf *b, uint16_t v);
int snet_buf_le32(struct snet_buf *b, uint32_t v);
int snet_buf_le64(struct snet_buf *b, uint64_t v);
void snet_buf_drop(struct snet_buf *b, size_t n); /* from the front */
void snet_buf_free(struct snet_buf *b);           /* and empty it: it may be used again */
void snet_buf_wipe(struct snet_buf *b);           /* the same, for secrets */
void snet_wipe(void *p, size_t n);

static inline void snet_buf_took(struct snet_buf *b, size_t n)
{
	b->n += n;
}

/* ---- sharing. A block is written once and then held by everything that still has to send it;
 * the last hold to go frees it. One thread only. */
struct snet_block {
	size_t refs, cap, n; /* n: bytes in use, kept by the writer */
	uint8_t data[];
};

struct snet_block *snet_block_new(size_t cap); /* refs = 1; NULL when out of memory */
void snet_block_free(struct snet_block *b);    /* drops one hold; NULL is fine */

static inline struct snet_block *snet_block_hold(struct snet_block *b)
{
	b->refs++;
	return b;
}

/* A run of bytes. With a block, whoever keeps the slice takes a hold; without, the bytes are
 * good for this call only and must be copied. */
struct snet_slice {
	const uint8_t *p;
	size_t n;
	struct snet_block *block;
};

#endif
