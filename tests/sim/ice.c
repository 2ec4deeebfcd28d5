#include "sim/ice.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ice [--seeds A-B | --seed N] [--verbose]: TAP, one line per block of seeds. A seed that fails
 * says what and when, and ends its block. */

#define FIRST 1
#define LAST 1000
#define BLOCKS 10

static const char usage[] = "usage: ice [--seeds FIRST-LAST | --seed N] [--verbose]\n";

struct totals totals;

static uint64_t running; /* the seed */

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

static void print_time(const struct sim *s)
{
	printf("%llu.%06llu s", s->now / SNET_SEC, s->now % SNET_SEC / SNET_US);
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
	printf("# seed %llu: %s, at ", (unsigned long long)s->seed, s->what);
	print_time(s);
	printf(" (ice --seed %llu --verbose)\n", (unsigned long long)s->seed);
	fflush(stdout);
}

void ice_log(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->verbose)
		return;
	printf("# ");
	print_time(s);
	printf("  ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* ---- a seed that takes the program with it is named, too */

static void say_seed(void)
{
	char text[] = "\n# seed                      was running\n";
	char *p = text + 27;
	uint64_t n = running;

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(1);
}

void __asan_on_error(void); /* called by the sanitizer, where there is one */

void __asan_on_error(void)
{
	say_seed();
}

static void on_crash(int signo)
{
	say_seed();
	signal(signo, SIG_DFL);
	raise(signo);
}

/* ---- */

static bool run(uint64_t seed, bool verbose)
{
	struct sim *s = calloc(1, sizeof(*s));
	bool ok;

	if (!s)
		abort();
	running = s->seed = seed;
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
	if (t->paths)
		printf("# both had selected after %llu ms on average, %llu ms at most\n",
		       (unsigned long long)(t->took_ms / t->paths),
		       (unsigned long long)t->took_max_ms);
}

/* Blocks, so that a long run is seen to move. */
static bool run_all(uint64_t first, uint64_t last, bool verbose)
{
	uint64_t n = last - first + 1, blocks = n < BLOCKS ? n : BLOCKS, failed = 0;

	printf("1..%llu\n", (unsigned long long)blocks);
	for (uint64_t b = 0; b < blocks; b++) {
		uint64_t from = first + n * b / blocks, to = first + n * (b + 1) / blocks - 1;
		bool ok = true;

		for (uint64_t seed = from; ok && seed <= to; seed++)
			ok = run(seed, verbose);
		failed += !ok;
		printf("%sok %llu - seeds %llu to %llu\n", ok ? "" : "not ",
		       (unsigned long long)b + 1, (unsigned long long)from,
		       (unsigned long long)to);
		fflush(stdout);
	}
	print_totals();
	fflush(stdout);
	return !failed;
}

static bool number(const char *text, char **end, uint64_t *out)
{
	errno = 0;
	*out = strtoull(text, end, 10);
	return *end != text && !errno;
}

static bool range(const char *text, uint64_t *first, uint64_t *last)
{
	char *end;

	return number(text, &end, first) && *end == '-' && number(end + 1, &end, last) &&
	       !*end && *first <= *last;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seeds", required_argument, NULL, 'r' },
						 { "seed", required_argument, NULL, 's' },
						 { "verbose", no_argument, NULL, 'v' },
						 { 0 } };
	uint64_t first = FIRST, last = LAST;
	bool verbose = false, ok = true;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "v", options, NULL)) != -1) {
		if (c == 'v') {
			verbose = true;
		} else if (c == 's') {
			ok = ok && number(optarg, &end, &first) && !*end;
			last = first;
		} else {
			ok = ok && c == 'r' && range(optarg, &first, &last);
		}
	}
	if (!ok || optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	return run_all(first, last, verbose) ? 0 : 1;
}
