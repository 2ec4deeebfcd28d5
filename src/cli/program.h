/* Program: one run by --exec, over two pipes; it leads a process group, so that what it starts
 * ends with it. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <sys/types.h>

#include "base/err.h"

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
/* Asks it to end, and after so long (ms) makes it; waits. */
void program_end(const struct program *p, int patience);
void program_kill(const struct program *p); /* and wait for it: at once */

#endif
