/* Messages of snet-perf. What is read is written again as it was, and stays within the ceilings
 * that a server relies on. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "cli/perf_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t out[PERF_MESSAGE_MAX];
	struct perf_message m;
	size_t k;

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
