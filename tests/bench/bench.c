#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void bench_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t bench_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void bench_pin(unsigned nth)
{
	cpu_set_t allowed, one;
	unsigned skip;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		bench_die("cannot read the processor set: %m");
	skip = nth % (unsigned)CPU_COUNT(&allowed);
	CPU_ZERO(&one);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		if (!skip--) {
			CPU_SET(cpu, &one);
			break;
		}
	}
	if (sched_setaffinity(0, sizeof(one), &one))
		bench_die("cannot bind to a processor: %m");
}

uint64_t bench_number(const char *text, const char *what)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || !v)
		bench_die("%s: not a number above 0: %s", what, text);
	return v;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double bench_quantile_us(uint64_t *ns, size_t n, double q)
{
	size_t rank = (size_t)(q * (double)n);

	if ((double)rank < q * (double)n)
		rank++;
	qsort(ns, n, sizeof(*ns), by_value);
	return (double)ns[rank ? rank - 1 : 0] / 1e3;
}

void bench_print_rounds(uint64_t *ns, size_t rounds, size_t bytes)
{
	double p50 = bench_quantile_us(ns, rounds, .5);
	double p99 = bench_quantile_us(ns, rounds, .99);

	printf("{\"rounds\":%zu,\"bytes\":%zu,\"p50_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f}"
	       "\n",
	       rounds, bytes, p50, p99, (double)ns[rounds - 1] / 1e3);
}

void bench_print_rate(FILE *out, uint64_t rounds, uint64_t elapsed_ns)
{
	fprintf(out, "{\"rounds\":%llu,\"per_second\":%.1f}\n", (unsigned long long)rounds,
		(double)rounds * 1e9 / (double)elapsed_ns);
}

pid_t bench_fork(unsigned nth, void (*fn)(void *arg), void *arg)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		bench_die("cannot fork: %m");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it was gone before the line above */
		_exit(1);
	bench_pin(nth);
	fn(arg);
	exit(0);
}

static void too_late(int signo)
{
	static const char words[] = "bench: too late, giving up\n";

	(void)signo;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		_exit(2);
	_exit(1);
}

void bench_deadline(unsigned seconds)
{
	signal(SIGALRM, too_late);
	alarm(seconds);
}

void bench_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
