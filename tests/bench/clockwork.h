/* Does the machine keep time? A machine that is a guest stands still whenever its host is busy
 * elsewhere, and no program on it is on time then. A clock on each processor, before everybody
 * else there, sleeps from step to step; where it wakes late, nobody on this machine can have
 * caused it. Where the kernel does not let it be first, it sees nothing. */
#ifndef SNET_CLOCKWORK_H
#define SNET_CLOCKWORK_H

#include <stdbool.h>
#include <stdint.h>

/* Before the process is bound to one of its processors. */
void clockwork_start(void);
void clockwork_stop(void);

/* After the stop: whether a processor stood still, or had just begun to run again, then. */
bool clockwork_was_late(uint64_t wall_ns);

#endif
