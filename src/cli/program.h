/* Program: one run by --exec, over two pipes; it leads a process group, so that what it starts
 * ends with it. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "io/loop.h"

struct program {
	pid_t pid;
	int to, from; /* write its stdin, read its stdout: the caller's to close */
};

/* "NAME=value", the caller's to free; NULL: out of memory. */
char *program_variable(const char *name, const char *value);
/* Runs it by sh. own: n variables that it gets in place of those of the same names; one that is
 * NULL is SNET_ENOMEM. SNET_EIO, SNET_ENOMEM: nothing was started. */
int program_start(struct program *p, const char *command, char *const *own, size_t n,
		  struct snet_error *err);
/* Its end when nothing more comes for it: for a while it may end by itself, then it is asked
 * to, then made to. What it has started may hold its output open for a while, too, and no
 * longer. */
struct program_limit {
	struct snet_loop *loop;
	struct snet_timer timer;
	pid_t pid; /* 0: there is none, or it has ended */
	bool asked;
	void (*on_silence)(
		void *user); /* it has ended, and its output is to be taken for ended */
	void *user;
};

void program_limit_init(struct program_limit *l, struct snet_loop *loop, pid_t pid,
			void (*on_silence)(void *user), void *user);
void program_limit_set(struct program_limit *l); /* nothing more comes; again: no difference */
/* It has ended; silent: its output, too. */
void program_limit_ended(struct program_limit *l, bool silent);
void program_limit_stop(struct program_limit *l); /* before its memory is freed */

/* Asks it to end, and after so long (ms) makes it; waits. */
void program_end(const struct program *p, int patience);
void program_kill(const struct program *p); /* and wait for it: at once */

#endif
