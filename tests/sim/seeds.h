/* Seeds: the main of a simulator. Runs seeds in blocks, a line of TAP each, says what failed
 * and how to see it again, and names the seed that takes the program with it.
 *
 * --seeds A-B, --seed N, --verbose */
#ifndef TESTS_SIM_SEEDS_H
#define TESTS_SIM_SEEDS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct seeds {
	const char *name;                         /* of the program */
	uint64_t first, last;                     /* where none are asked for */
	bool (*run)(uint64_t seed, bool verbose); /* whether all was well; if not, it said so */
	void (*print_totals)(void);               /* lines that begin with "# " */
};

/* The exit status. */
int seeds_main(const struct seeds *s, int argc, char **argv);

/* at: since the seed began. */
void seeds_say_failure(snet_time at, const char *what);
void seeds_log(snet_time at, const char *format, va_list args);

#endif
