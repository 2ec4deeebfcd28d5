#include "support/torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"

/* A loop that retries for ever on SNET_ENOMEM is a failure, not a hang. */
#define ROUNDS_MAX 100000

/* The n-th allocation from now is refused, once; 0: none is. */
static struct {
	unsigned countdown;
	bool fired;
} fail;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static bool refused(void)
{
	if (!fail.countdown || --fail.countdown)
		return false;
	fail.fired = true;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return refused() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return refused() ? NULL : __real_strdup(s);
}

/* LeakSanitizer's, where it is built in: finds what the last run
 * lost while its number is known. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void check_leaks(unsigned nth)
{
	if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
		fail_msg("memory was lost when allocation %u failed", nth);
}

bool torture_struck(void)
{
	return fail.fired;
}

int torture(int (*fn)(void *user), void *user)
{
	unsigned nth;
	int rc;

	for (nth = 1; nth < ROUNDS_MAX; nth++) {
		fail.countdown = nth;
		fail.fired = false;
		rc = fn(user);
		fail.countdown = 0;
		if (!fail.fired)
			break;
		if (rc > 0)
			fail_msg("allocation %u failed, and %d came back, which is no error "
				 "code",
				 nth, rc);
		check_leaks(nth);
	}
	if (nth == ROUNDS_MAX)
		fail_msg("still allocating after %u failures", nth);
	if (rc != SNET_OK)
		fail_msg("without a failure it did not succeed: %s", snet_err_name(rc));
	if (nth == 1)
		fail_msg("nothing was allocated: there is nothing to fail");
	return (int)nth - 1;
}
