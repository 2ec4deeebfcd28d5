/* Spawn link: snet-link between the parties of --spawn, by a preset. */
#ifndef CLI_SPAWN_LINK_H
#define CLI_SPAWN_LINK_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct spawn_link {
	pid_t pid; /* 0: there is none */
	const char *dir;
};

/* Runs snet-link, the one beside this program if there is one, for DIR/roster.json, and waits
 * until it is ready. SNET_ECONFIG: it would not, and has said why; SNET_EIO. */
int spawn_link_start(struct spawn_link *l, const char *preset, const char *dir,
		     struct snet_error *err);
/* The roster as party i is to see it. */
void spawn_link_roster(const struct spawn_link *l, uint32_t i, char path[static PATH_MAX]);
void spawn_link_end(struct spawn_link *l);
void spawn_link_remove(const struct spawn_link *l, uint32_t n); /* the rosters of n parties */

#endif
