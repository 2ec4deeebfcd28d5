/* Doze: whether a loop with nothing to do sleeps, or stays awake and looks again after the
 * others on its processor have had their turn. Who is awake when the next event comes need not
 * be woken, which costs both sides more than most messages do; and what came meanwhile is taken
 * at once. That pays where one event follows the other within microseconds, as in rounds in
 * lockstep, and nowhere else; so it is done only after a row of short sleeps, for no longer
 * than 60 us where nobody else wants the processor, and left alone for longer and longer where
 * looking was in vain. Pure: times are given. */
#ifndef SNET_IO_DOZE_H
#define SNET_IO_DOZE_H

#include <stdbool.h>

#include "base/clock.h"

struct snet_doze {
	snet_time since; /* it has nothing to do */
	unsigned pause;  /* short sleeps to come before it looks again */
	unsigned next;   /* the pause after it has looked in vain */
	unsigned hits;   /* looks in a row that were not */
	snet_time last;  /* look */
	snet_time spun;  /* on looks in a row, with nobody else on the processor */
	bool looking;
};

void snet_doze_init(struct snet_doze *d);
/* Before each wait. woke: when the last one ended; worked: something was done since. True: do
 * not wait, but look again. */
bool snet_doze_looks(struct snet_doze *d, snet_time woke, snet_time now, bool worked);

#endif
