#include "sim/sim.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* sim [--seeds A-B | --seed N] [--verbose]: TAP, one line per block of seeds. A seed that fails
 * says what and when, and ends its block. */

#define FIRST 1
#define LAST 500
#define BLOCKS 10
#define NETS 64 /* more than there are presets */

static const char usage[] = "usage: sim [--seeds FIRST-LAST | --seed N] [--verbose]\n";

static struct {
	uint64_t counts[FAULTS], seeds, parties, largest, messages, resent, restarts;
	uint64_t nets[NETS], own; /* by preset; of our own */
} total;

static uint64_t running; /* the seed */

static void print_time(const struct sim *s)
{
	snet_time t = s->loop ? snet_loop_now(s->loop) - s->start : 0;

	printf("%llu.%06llu s", t / SNET_SEC, t % SNET_SEC / SNET_US);
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
	printf("# seed %llu: %s, at ", (unsigned long long)s->seed, s->what);
	print_time(s);
	printf(" (sim --seed %llu --verbose)\n", (unsigned long long)s->seed);
	fflush(stdout);
}

void sim_log(struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->verbose || s->stopping)
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
	print_total();
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
