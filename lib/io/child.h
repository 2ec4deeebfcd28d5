/* Child: a process we started has ended. The loop is told by a pidfd; SIGCHLD stays the
 * program's. */
#ifndef SNET_IO_CHILD_H
#define SNET_IO_CHILD_H

#include "io/loop.h"

struct snet_child;

/* status: as waitpid gives it. fn is called once, and then it is freed by itself. NULL: no
 * memory or descriptor, or no such process. */
struct snet_child *snet_child_new(struct snet_loop *l, int pid,
				  void (*fn)(int pid, int status, void *user), void *user);
/* Stop watching before it has ended. NULL is fine. */
void snet_child_free(struct snet_child *c);

#endif
