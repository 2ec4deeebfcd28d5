/* Frames: a piece size, then a stream. However it is cut, next and part
 * find what a plain walk does. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "wire/frame.h"

#define MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The body that starts with the header at p + at: its length, or -1 when
 * it is not all there, or lies. */
static long plain(const uint8_t *p, size_t n, size_t at)
{
	uint32_t len = n - at < SNET_FRAME_HEAD ? UINT32_MAX : snet_get_be32(p + at);

	return len > MAX || n - at - SNET_FRAME_HEAD < len ? -1 : (long)len;
}

static void next(const uint8_t *p, size_t n, size_t step)
{
	struct snet_frame f;
	size_t found = 0;
	int rc = 0;

	snet_frame_init(&f, MAX);
	for (size_t i = 0; i < n && rc >= 0; i += step) {
		const uint8_t *at = p + i, *body;
		size_t left = step < n - i ? step : n - i, len;

		while ((rc = snet_frame_next(&f, &at, &left, &body, &len)) == 1) {
			assert(plain(p, n, found) == (long)len);
			assert(!len || !memcmp(body, p + found + SNET_FRAME_HEAD, len));
			found += SNET_FRAME_HEAD + len;
		}
		assert(rc || !left);
	}
	assert(!rc || rc == SNET_ETOOBIG);
	assert(plain(p, n, found) < 0);
	assert(rc || snet_frame_is_between(&f) == (found == n));
	snet_frame_fini(&f);
}

static void part(const uint8_t *p, size_t n, size_t step)
{
	struct snet_frame f;
	size_t found = 0, got = 0; /* got: of the body at found */
	int rc = 0;

	snet_frame_init(&f, MAX);
	for (size_t i = 0; i < n && rc >= 0; i += step) {
		const uint8_t *at = p + i, *run;
		size_t left = step < n - i ? step : n - i, len;
		bool last;

		while ((rc = snet_frame_part(&f, &at, &left, &run, &len, &last)) == 1) {
			assert(!len || run == p + found + SNET_FRAME_HEAD + got);
			got += len;
			assert(last == (snet_get_be32(p + found) == got));
			if (last) {
				found += SNET_FRAME_HEAD + got;
				got = 0;
			}
		}
	}
	assert(!rc || rc == SNET_ETOOBIG);
	assert(plain(p, n, found) < 0);
	assert(!f.body.p);
	snet_frame_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (!n)
		return 0;
	next(p + 1, n - 1, p[0] ? p[0] : n);
	part(p + 1, n - 1, p[0] ? p[0] : n);
	return 0;
}
