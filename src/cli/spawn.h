/* Spawn: a whole net of parties on loopback, each with a program on its pipe: --spawn N. Keys
 * and roster live in a temporary directory; the first failure ends everything. */
#ifndef CLI_SPAWN_H
#define CLI_SPAWN_H

#include <stdint.h>

#include "base/err.h"

#define SPAWN_MAX 1024 /* parties */

/* Runs n parties and n times argv. In each party's process, which is forked, party() is called
 * with --id and --key set, stdin, stdout and socket in place, and its result is the exit
 * status. Returns the exit status of all: 0, or that of the first that failed; SNET_E... when
 * nothing could be started. */
int spawn_all(uint32_t n, const char *preset, char *const argv[],
	      int (*party)(const char *roster), struct snet_error *err);

#endif
