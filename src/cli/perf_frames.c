#include "cli/perf_frames.h"

#include <string.h>

static int take_head(struct perf_frames *f, const uint8_t **p, size_t *n)
{
	while (*n && f->have < SNET_FRAME_HEAD) {
		f->head[f->have++] = *(*p)++;
		(*n)--;
	}
	if (f->have < SNET_FRAME_HEAD)
		return SNET_OK;
	f->total = f->left = snet_get_be32(f->head);
	f->body_n = 0;
	return f->total && f->total <= PERF_SIZE_MAX ? SNET_OK : SNET_EPROTO;
}

int perf_frames_take(struct perf_frames *f, const uint8_t **p, size_t *n)
{
	size_t k, keep;

	if (f->have < SNET_FRAME_HEAD && take_head(f, p, n))
		return SNET_EPROTO;
	if (f->have < SNET_FRAME_HEAD)
		return 0;
	k = *n < f->left ? *n : f->left;
	keep = sizeof(f->body) - f->body_n;
	keep = keep < k ? keep : k;
	memcpy(f->body + f->body_n, *p, keep);
	f->body_n += keep;
	*p += k;
	*n -= k;
	f->left -= (uint32_t)k;
	if (f->left)
		return 0;
	f->have = 0;
	return 1;
}
