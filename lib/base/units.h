/* Units: durations, sizes and rates as people write them, and back. */
#ifndef SNET_BASE_UNITS_H
#define SNET_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define SNET_UNITS_TEXT 32

/* "250ms" "5s" "1.5s" "2m" "1h" "10us"; a bare number is seconds; "0" is no time, "never" is
 * SNET_NEVER. SNET_EINVAL for anything else, also what does not fit. */
int snet_duration_parse(snet_time *out, const char *text);
const char *snet_duration_print(snet_time d, char out[static SNET_UNITS_TEXT]);

/* "1000" bytes, "64k" = "64KiB" = 65536, "1MiB" = "1M" = "1m", "1GiB"; "kB"
 * "MB" "GB" are powers of ten. */
int snet_size_parse(uint64_t *out, const char *text);
const char *snet_size_print(uint64_t n, char out[static SNET_UNITS_TEXT]);

/* Bits per second: "10mbit" "2.32gbit" "64kbit", powers of ten as tc has them; "5MB/s" "1MiB/s"
 * are bytes; "0" is 0. SNET_EINVAL for anything else: snet_rate_ambiguous tells "10mbps" from
 * nonsense, which to tc are bytes and to everyone else bits. It then writes what would be
 * clear, "10mbit or 10MB/s", else it is false. */
int snet_rate_parse(uint64_t *out, const char *text);
bool snet_rate_ambiguous(const char *text, char out[static 2 * SNET_UNITS_TEXT]);
const char *snet_rate_print(uint64_t bits, char out[static SNET_UNITS_TEXT]);

#endif
