/* Clock: the one time type. Machines are given it; only drivers read it. */
#ifndef SNET_BASE_CLOCK_H
#define SNET_BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t snet_time; /* ns, monotonic; also a duration in ns */

#define SNET_NEVER UINT64_MAX
#define SNET_US 1000ull
#define SNET_MS 1000000ull
#define SNET_SEC 1000000000ull

snet_time snet_now(void);    /* monotonic */
uint64_t snet_wall_us(void); /* µs since the epoch */

/* "2026-01-31T12:00:00.123456Z" for µs since the epoch. */
void snet_wall_text(uint64_t wall_us, char out[static 28]);

#endif
