#include "wire/frame.h"

#include <string.h>

#define FIRST_ROOM 65536 /* bytes: a header alone never makes us allocate more */
#define KEEP_ROOM 65536  /* bytes: what a stream between frames may keep */

void snet_frame_init(struct snet_frame *f, uint32_t max)
{
	*f = (struct snet_frame){ .max = max, .body = SNET_BUF(max) };
}

void snet_frame_fini(struct snet_frame *f)
{
	snet_buf_free(&f->body);
}

bool snet_frame_is_between(const struct snet_frame *f)
{
	return !f->have || (f->have == SNET_FRAME_HEAD && f->body.n && f->body.n == f->want);
}

void snet_frame_trim(struct snet_frame *f)
{
	if (f->body.cap <= KEEP_ROOM || !snet_frame_is_between(f))
		return;
	f->have = 0;
	snet_buf_free(&f->body);
}

/* 1: the header is complete and lawful. One that was refused stays refused. */
static int head(struct snet_frame *f, const uint8_t **p, size_t *n)
{
	size_t k = SNET_FRAME_HEAD - f->have;

	if (k) {
		if (k > *n)
			k = *n;
		if (!k)
			return 0;
		memcpy(f->head + f->have, *p, k);
		f->have += (unsigned)k;
		*p += k;
		*n -= k;
		if (f->have < SNET_FRAME_HEAD)
			return 0;
		f->want = snet_get_be32(f->head);
		f->passed = 0;
	}
	return f->want > f->max ? SNET_ETOOBIG : 1;
}

/* Room for the rest, but never much more than has already come: a
 * lying header costs the liar. */
static int reserve(struct snet_frame *f, size_t n)
{
	size_t rest = f->want - f->body.n,
	       ahead = f->body.n > FIRST_ROOM ? f->body.n : FIRST_ROOM;

	if (ahead < n)
		ahead = n;
	return snet_buf_room(&f->body, rest < ahead ? rest : ahead) ? SNET_OK : SNET_ENOMEM;
}

int snet_frame_next(struct snet_frame *f, const uint8_t **p, size_t *n, const uint8_t **body,
		    size_t *len)
{
	size_t k;
	int rc;

	if (f->have && f->body.n && f->body.n == f->want) { /* handed out by the last call */
		f->have = 0;
		f->body.n = 0;
	}
	if ((rc = head(f, p, n)) <= 0)
		return rc;
	if (!f->body.n && *n >= f->want) { /* whole inside the input: no copy */
		*body = *p;
		*len = f->want;
		*p += f->want;
		*n -= f->want;
		f->have = 0;
		return 1;
	}
	k = f->want - f->body.n;
	if (k > *n)
		k = *n;
	if (!k)
		return 0;
	if ((rc = reserve(f, k)))
		return rc;
	snet_buf_add(&f->body, *p, k);
	*p += k;
	*n -= k;
	if (f->body.n < f->want)
		return 0;
	*body = f->body.p;
	*len = f->body.n;
	return 1;
}

int snet_frame_part(struct snet_frame *f, const uint8_t **p, size_t *n, const uint8_t **part,
		    size_t *len, bool *last)
{
	int rc;

	if (f->body.n && snet_frame_is_between(f)) { /* handed out by a last snet_frame_next */
		f->have = 0;
		f->body.n = 0;
	}
	if ((rc = head(f, p, n)) <= 0)
		return rc;
	*len = f->want - f->passed;
	if (*len > *n)
		*len = *n;
	if (!*len && f->want != f->passed)
		return 0;
	*part = *p;
	*p += *len;
	*n -= *len;
	f->passed += *len;
	*last = f->passed == f->want;
	if (*last)
		f->have = 0;
	return 1;
}
