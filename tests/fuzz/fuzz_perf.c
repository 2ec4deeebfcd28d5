/* Messages of snet-perf, and a stream of them. What is read is written again as it was, and
 * stays within the ceilings that a server relies on; how a stream is cut makes no difference.
 */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "cli/perf_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* In pieces of so many bytes at most. How many frames there are; *bytes: of their beginnings.
 */
static unsigned split(const uint8_t *p, size_t n, size_t piece, size_t *bytes)
{
	struct perf_frames f = { 0 };
	struct perf_message m;
	unsigned frames = 0;
	int rc = 0;

	for (*bytes = 0; n && rc >= 0;) {
		size_t k = n < piece ? n : piece, left = k;

		rc = perf_frames_take(&f, &p, &left);
		assert(rc != 0 || !left);
		n -= k - left;
		if (rc <= 0)
			continue;
		assert(f.total && f.total <= PERF_SIZE_MAX && f.body_n <= sizeof(f.body));
		assert(f.body_n == (f.total < sizeof(f.body) ? f.total : sizeof(f.body)));
		if (!perf_message_decode(&m, f.body, f.body_n, f.total) && f.total > f.body_n)
			assert(m.type >= PERF_PING && m.type <= PERF_DATA);
		*bytes += f.body_n;
		frames++;
	}
	return frames;
}

static void look_at_stream(const uint8_t *p, size_t n)
{
	size_t whole, one, seven;
	unsigned frames = split(p, n, SIZE_MAX, &whole);

	assert(split(p, n, 1, &one) == frames && one == whole);
	assert(split(p, n, 7, &seven) == frames && seven == whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t out[PERF_MESSAGE_MAX];
	struct perf_message m;
	size_t k;

	look_at_stream(p, n);
	if (perf_message_decode(&m, p, n, n))
		return 0;
	k = perf_message_encode(out, &m);
	assert(k <= n && k <= sizeof(out) && !memcmp(out, p, k));
	if (m.type >= PERF_PING && m.type <= PERF_DATA)
		assert(k == PERF_HEAD && n >= PERF_SIZE_MIN && n <= PERF_SIZE_MAX);
	else
		assert(k == n); /* nothing behind it */
	if (m.type == PERF_START)
		assert(m.plan.test < PERF_TESTS && m.plan.size <= PERF_SIZE_MAX &&
		       m.plan.time_ms <= PERF_TIME_MAX && m.plan.parallel <= PERF_PARALLEL_MAX);
	return 0;
}
