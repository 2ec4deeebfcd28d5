#include "sim/seeds.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCKS 10

static const char *name;
static uint64_t running; /* the seed */

static void print_time(snet_time t)
{
	printf("%llu.%06llu s", t / SNET_SEC, t % SNET_SEC / SNET_US);
}

void seeds_say_failure(snet_time at, const char *what)
{
	unsigned long long seed = running;

	printf("# seed %llu: %s, at ", seed, what);
	print_time(at);
	printf(" (%s --seed %llu --verbose)\n", name, seed);
	fflush(stdout);
}

void seeds_log(snet_time at, const char *format, va_list args)
{
	printf("# ");
	print_time(at);
	printf("  ");
	vprintf(format, args);
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

/* Blocks, so that a long run is seen to move. A seed that fails ends its own. */
static bool run_all(const struct seeds *s, uint64_t first, uint64_t last, bool verbose)
{
	uint64_t n = last - first + 1, blocks = n < BLOCKS ? n : BLOCKS, failed = 0;

	printf("1..%llu\n", (unsigned long long)blocks);
	for (uint64_t b = 0; b < blocks; b++) {
		uint64_t from = first + n * b / blocks, to = first + n * (b + 1) / blocks - 1;
		bool ok = true;

		for (running = from; ok && running <= to; running++)
			ok = s->run(running, verbose);
		failed += !ok;
		printf("%sok %llu - seeds %llu to %llu\n", ok ? "" : "not ",
		       (unsigned long long)b + 1, (unsigned long long)from,
		       (unsigned long long)to);
		fflush(stdout);
	}
	s->print_totals();
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

int seeds_main(const struct seeds *s, int argc, char **argv)
{
	static const struct option options[] = { { "seeds", required_argument, NULL, 'r' },
						 { "seed", required_argument, NULL, 's' },
						 { "verbose", no_argument, NULL, 'v' },
						 { 0 } };
	uint64_t first = s->first, last = s->last;
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
		fprintf(stderr, "usage: %s [--seeds FIRST-LAST | --seed N] [--verbose]\n",
			s->name);
		return 2;
	}
	name = s->name;
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	return run_all(s, first, last, verbose) ? 0 : 1;
}
