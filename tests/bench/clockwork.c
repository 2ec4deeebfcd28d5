#include "clockwork.h"

#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <sys/mman.h>
#include <sys/types.h>

#include "bench.h"

enum { PROCESSORS = 2, STILL_MAX = 1 << 15 };

static const uint64_t STEP = 250000, LATE = 150000; /* ns */

/* What one clock has seen, in memory that it shares: spans of the wall clock, in order. */
struct clock {
	pid_t pid;
	_Atomic size_t n;
	struct {
		uint64_t from, to;
	} still[STILL_MAX];
};

static struct clock *clocks;

/* It may have stood still since the step before, and has what piled up to do at first. */
static void note(struct clock *c, uint64_t behind)
{
	uint64_t now = bench_wall_ns(), from = now - behind - STEP;
	size_t n = atomic_load_explicit(&c->n, memory_order_relaxed);

	if (n && from <= c->still[n - 1].to) {
		c->still[n - 1].to = now + STEP;
		return;
	}
	if (n == STILL_MAX)
		bench_die("the machine stood still more than %d times", STILL_MAX);
	c->still[n].from = from;
	c->still[n].to = now + STEP;
	atomic_store_explicit(&c->n, n + 1, memory_order_release);
}

static void watch(void *arg)
{
	struct sched_param first = { sched_get_priority_max(SCHED_RR) };
	uint64_t due = bench_now_ns();

	if (sched_setscheduler(0, SCHED_RR, &first))
		return; /* it would be late because of others */
	for (;;) {
		struct timespec t;
		uint64_t behind;

		due += STEP;
		t = (struct timespec){ (time_t)(due / 1000000000u), (long)(due % 1000000000u) };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		behind = bench_now_ns() - due;
		if (behind > LATE)
			note(arg, behind);
		due += behind / STEP * STEP;
	}
}

void clockwork_start(void)
{
	clocks = mmap(NULL, PROCESSORS * sizeof(*clocks), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (clocks == MAP_FAILED)
		bench_die("out of memory");
	for (unsigned i = 0; i < PROCESSORS; i++)
		clocks[i].pid = bench_fork(i, watch, &clocks[i]);
}

void clockwork_stop(void)
{
	for (unsigned i = 0; i < PROCESSORS; i++)
		bench_stop(clocks[i].pid);
}

static bool was_late(const struct clock *c, uint64_t wall_ns)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->still[mid].to < wall_ns)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->n && c->still[low].from <= wall_ns;
}

bool clockwork_was_late(uint64_t wall_ns)
{
	for (unsigned i = 0; i < PROCESSORS; i++)
		if (was_late(&clocks[i], wall_ns))
			return true;
	return false;
}
