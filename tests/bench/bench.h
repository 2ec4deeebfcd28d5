/* Bench: what every load program here needs. They measure, they are not tests: whatever goes
 * wrong ends the program with words on stderr and status 1, and every one of them prints one
 * JSON line. */
#ifndef SNET_BENCH_H
#define SNET_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { BENCH_WARM_UP = 500 }; /* rounds that are not counted */

void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

uint64_t bench_now_ns(void);  /* monotonic, the same clock in every process */
uint64_t bench_wall_ns(void); /* the one of the kernel's stamps */
uint64_t bench_cpu_ns(void);  /* processor time of this process */

/* Binds this process to the nth processor it may use, counted from 0 and around. Where a pair
 * of processes runs decides what a wake-up costs, so both sides of a ratio are laid out alike:
 * the one that asks on 0, the one that answers on 1. */
void bench_pin(unsigned nth);

/* A whole number above 0 from the command line; what: its name, for the complaint. */
uint64_t bench_number(const char *text, const char *what);

/* Sorts. q in (0, 1]; the smallest value that at least the share q of all does not exceed. n >
 * 0. */
double bench_quantile_us(uint64_t *ns, size_t n, double q);

/* Prints {"rounds":..,"bytes":..,"p50_us":..,"p99_us":..,"max_us":..}. Sorts. */
void bench_print_rounds(uint64_t *ns, size_t rounds, size_t bytes);

/* Prints {"rounds":..,"per_second":..}. */
void bench_print_rate(FILE *out, uint64_t rounds, uint64_t elapsed_ns);

/* A process that runs fn(arg) on processor nth, exits 0 after it, and dies with its parent. */
pid_t bench_fork(unsigned nth, void (*fn)(void *arg), void *arg);

/* From now on the program has this long, or ends with words: it must not hang. Again: starts
 * anew. */
void bench_deadline(unsigned seconds);

/* Ends pid with SIGTERM and reaps it. */
void bench_stop(pid_t pid);

#endif
