/* Torture: runs something again and again, failing its first, second, third ... allocation,
 * until a run needs no more of them. Test programs are linked with
 * --wrap=malloc,calloc,realloc,strdup: only what lies in the program itself and in the
 * library's core is failed, never a shared library. */
#ifndef TESTS_SUPPORT_TORTURE_H
#define TESTS_SUPPORT_TORTURE_H

#include <stdbool.h>

/* fn returns SNET_OK or an error, frees what it made, may be run again, and must not assert
 * that it succeeds. A run whose allocation was failed may succeed by a fall-back; the last run,
 * without a failure, must succeed. Under LeakSanitizer what a run lost fails the test with the
 * number of the allocation. Returns how many allocations were failed, more than 0. */
int torture(int (*fn)(void *user), void *user);
/* In fn: an allocation has been failed in this run. */
bool torture_struck(void);

#endif
