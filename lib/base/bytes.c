#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t snet_take_u8(struct snet_reader *r)
{
	const uint8_t *p = snet_take(r, 1);

	return p ? *p : 0;
}

uint16_t snet_take_be16(struct snet_reader *r)
{
	const uint8_t *p = snet_take(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

uint32_t snet_take_be32(struct snet_reader *r)
{
	const uint8_t *p = snet_take(r, 4);

	return p ? snet_get_be32(p) : 0;
}

uint64_t snet_take_be64(struct snet_reader *r)
{
	const uint8_t *p = snet_take(r, 8);

	return p ? snet_get_be64(p) : 0;
}

static uint64_t take_le(struct snet_reader *r, size_t n)
{
	const uint8_t *p = snet_take(r, n);
	uint64_t v = 0;

	while (p && n--)
		v = v << 8 | p[n];
	return v;
}

uint16_t snet_take_le16(struct snet_reader *r)
{
	return (uint16_t)take_le(r, 2);
}

uint32_t snet_take_le32(struct snet_reader *r)
{
	return (uint32_t)take_le(r, 4);
}

uint64_t snet_take_le64(struct snet_reader *r)
{
	return take_le(r, 8);
}

uint8_t *snet_buf_room(struct snet_buf *b, size_t n)
{
	size_t cap = b->cap + b->cap / 2 + 64;
	uint8_t *p;

	if (n > b->max - b->n) {
		b->bad = true;
		return NULL;
	}
	if (n <= b->cap - b->n && b->p)
		return b->p + b->n;
	if (cap < b->n + n)
		cap = b->n + n;
	if (cap > b->max)
		cap = b->max;
	p = realloc(b->p, cap ? cap : 1);
	if (!p) {
		b->bad = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return b->p + b->n;
}

int snet_buf_add(struct snet_buf *b, const void *p, size_t n)
{
	uint8_t *to = snet_buf_room(b, n);

	if (!to)
		return n > b->max - b->n ? SNET_ETOOBIG : SNET_ENOMEM;
	if (n)
		memcpy(to, p, n);
	b->n += n;
	return SNET_OK;
}

int snet_buf_str(struct snet_buf *b, const char *s)
{
	return snet_buf_add(b, s, strlen(s));
}

int snet_buf_fmt(struct snet_buf *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		b->bad = true;
		return SNET_ETOOBIG;
	}
	return snet_buf_add(b, text, (size_t)n);
}

int snet_buf_u8(struct snet_buf *b, uint8_t v)
{
	return snet_buf_add(b, &v, 1);
}

int snet_buf_be16(struct snet_buf *b, uint16_t v)
{
	uint8_t p[2];

	snet_put_be16(p, v);
	return snet_buf_add(b, p, sizeof(p));
}

int snet_buf_be32(struct snet_buf *b, uint32_t v)
{
	uint8_t p[4];

	snet_put_be32(p, v);
	return snet_buf_add(b, p, sizeof(p));
}

int snet_buf_be64(struct snet_buf *b, uint64_t v)
{
	uint8_t p[8];

	snet_put_be64(p, v);
	return snet_buf_add(b, p, sizeof(p));
}

static int put_le(struct snet_buf *b, uint64_t v, size_t n)
{
	uint8_t p[8];

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
	return snet_buf_add(b, p, n);
}

int snet_buf_le16(struct snet_buf *b, uint16_t v)
{
	return put_le(b, v, 2);
}

int snet_buf_le32(struct snet_buf *b, uint32_t v)
{
	return put_le(b, v, 4);
}

int snet_buf_le64(struct snet_buf *b, uint64_t v)
{
	return put_le(b, v, 8);
}

void snet_buf_drop(struct snet_buf *b, size_t n)
{
	b->n -= n;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
}

void snet_buf_free(struct snet_buf *b)
{
	free(b->p);
	*b = SNET_BUF(b->max);
}

void snet_buf_wipe(struct snet_buf *b)
{
	if (b->p)
		snet_wipe(b->p, b->cap);
	snet_buf_free(b);
}

void snet_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

struct snet_block *snet_block_new(size_t cap)
{
	struct snet_block *b = malloc(sizeof(*b) + cap);

	if (!b)
		return NULL;
	b->refs = 1;
	b->cap = cap;
	b->n = 0;
	return b;
}

void snet_block_free(struct snet_block *b)
{
	if (b && !--b->refs)
		free(b);
}
