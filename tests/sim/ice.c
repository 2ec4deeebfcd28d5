#include "sim/ice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/seeds.h"

struct totals totals;

/* ---- splitmix64: the same everywhere */

uint64_t ice_draw(struct sim *s)
{
	uint64_t x = s->random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t ice_below(struct sim *s, uint64_t n)
{
	return n ? ice_draw(s) % n : 0;
}

bool ice_chance(struct sim *s, double p)
{
	return p > 0 && (double)(ice_draw(s) >> 11) < p * 9007199254740992.0;
}

void ice_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return;
	s->failed = true;
	va_start(args, format);
	vsnprintf(s->what, sizeof(s->what), format, args);
	va_end(args);
	seeds_say_failure(s->now, s->what);
}

void ice_log(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->verbose)
		return;
	va_start(args, format);
	seeds_log(s->now, format, args);
	va_end(args);
}

static bool run(uint64_t seed, bool verbose)
{
	struct sim *s = calloc(1, sizeof(*s));
	bool ok;

	if (!s)
		abort();
	s->seed = seed;
	s->random = seed * 0x2545f4914f6cdd1du;
	s->verbose = verbose;
	world_run(s);
	totals.seeds++;
	ok = !s->failed;
	free(s);
	return ok;
}

static void print_totals(void)
{
	const struct totals *t = &totals;

	printf("# %llu seeds: a path in %llu (in the end direct %llu, relayed %llu), none in "
	       "%llu\n",
	       (unsigned long long)t->seeds, (unsigned long long)t->paths,
	       (unsigned long long)t->direct, (unsigned long long)t->relayed,
	       (unsigned long long)t->none);
	printf("# %llu packets, %llu lost; %llu changes of the pair, %llu restarts, %llu "
	       "deceits, "
	       "%llu cuts, %llu roles changed, %llu peer-reflexive\n",
	       (unsigned long long)t->packets, (unsigned long long)t->lost,
	       (unsigned long long)t->changes, (unsigned long long)t->restarts,
	       (unsigned long long)t->deceits, (unsigned long long)t->cuts,
	       (unsigned long long)t->conflicts, (unsigned long long)t->met);
	printf("# %llu pacts to punch, %llu of them to the moment, both sides at most %llu us "
	       "apart\n",
	       (unsigned long long)t->pacts, (unsigned long long)t->pacts_exact,
	       (unsigned long long)t->apart_max_us);
	if (t->paths)
		printf("# both had selected after %llu ms on average, %llu ms at most\n",
		       (unsigned long long)(t->took_ms / t->paths),
		       (unsigned long long)t->took_max_ms);
}

int main(int argc, char **argv)
{
	static const struct seeds seeds = { "ice", 1, 1000, run, print_totals };

	return seeds_main(&seeds, argc, argv);
}
