#include "sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/seeds.h"

#define NETS 64 /* more than there are presets */

static struct {
	uint64_t counts[FAULTS], seeds, parties, largest, messages, resent, restarts;
	uint64_t nets[NETS], own; /* by preset; of our own */
} total;

static snet_time since_start(const struct sim *s)
{
	return s->loop ? snet_loop_now(s->loop) - s->start : 0;
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return;
	s->failed = true;
	va_start(args, format);
	vsnprintf(s->what, sizeof(s->what), format, args);
	va_end(args);
	seeds_say_failure(since_start(s), s->what);
}

void sim_log(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->verbose || s->stopping)
		return;
	va_start(args, format);
	seeds_log(since_start(s), format, args);
	va_end(args);
}

static bool run(uint64_t seed, bool verbose)
{
	struct sim *s = calloc(1, sizeof(*s));
	bool ok;

	if (!s)
		abort();
	s->seed = seed;
	s->verbose = verbose;
	world_run(s);
	for (unsigned i = 0; i < FAULTS; i++)
		total.counts[i] += s->counts[i];
	if (s->plan.preset)
		total.nets[s->plan.preset - snet_presets]++;
	else
		total.own++;
	total.seeds++;
	total.parties += s->plan.n;
	total.largest = total.largest > s->plan.n ? total.largest : s->plan.n;
	total.messages += s->messages;
	total.resent += s->resent;
	total.restarts += s->restarts;
	ok = !s->failed;
	free(s);
	return ok;
}

static void print_total(void)
{
	printf("# %llu seeds, %llu parties, up to %llu in one mesh; %llu messages, %llu sent "
	       "again,"
	       " %llu restarts\n# faults:",
	       (unsigned long long)total.seeds, (unsigned long long)total.parties,
	       (unsigned long long)total.largest, (unsigned long long)total.messages,
	       (unsigned long long)total.resent, (unsigned long long)total.restarts);
	for (unsigned i = 0; i < FAULTS; i++)
		printf(" %s %llu%s", fault_names[i], (unsigned long long)total.counts[i],
		       i + 1 < FAULTS ? "," : "\n");
	printf("# networks: of our own %llu", (unsigned long long)total.own);
	for (size_t i = 0; snet_presets[i].name && i < NETS; i++)
		printf(", %s %llu", snet_presets[i].name, (unsigned long long)total.nets[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const struct seeds seeds = { "sim", 1, 500, run, print_total };

	return seeds_main(&seeds, argc, argv);
}
