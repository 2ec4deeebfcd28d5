/* What the files of spawn share; nobody else includes it. */
#ifndef CLI_SPAWN_IMPL_H
#define CLI_SPAWN_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cli/spawn.h"
#include "cli/spawn_link.h"
#include "io/child.h"
#include "io/loop.h"

#define LINE 1024 /* bytes of stderr said as one line */

struct sink;

enum { PARTY, PROGRAM };

struct place {
	struct net_of *net;
	uint32_t i;
	pid_t pid[2]; /* 0: not there, or gone */
	pid_t group;  /* of the program and what it has started; 0: never was */
	struct snet_child *watch[2];
	int socket; /* the party's, until it has been started */
	int err;    /* of both */
	int spill;  /* what the party prints, read on when the program has gone */
	struct snet_io *err_io, *spill_io;
	char line[LINE];
	size_t n;
};

struct net_of {
	struct snet_loop *loop;
	struct snet_timer kill;
	char dir[PATH_MAX - 32], roster[PATH_MAX];
	struct place *places;
	uint32_t n;
	struct spawn_link link;
	struct snet_child *link_watch; /* NULL: there is none, or it has ended */
	struct sink *words;            /* stderr */
	size_t running, open;          /* processes; stderrs not at their end */
	int status;
	bool ending, killed, flushing;
};

/* ---- spawn_files.c: keys, roster, sockets */
int spawn_make_files(struct net_of *s, struct snet_error *err);
void spawn_remove_files(struct net_of *s);
int spawn_bind(void); /* a UDP socket of 127.0.0.1, or -1 */
/* As party i is to see it; path: where it may be written. */
const char *spawn_roster(const struct net_of *s, uint32_t i, char path[static PATH_MAX]);

#endif
