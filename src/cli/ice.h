/* Ice: snet-ice: an agent (nat/driver) whose side of the signalling is stdout, and the other
 * side's is stdin; in the end the pair is told, kept, or handed to a program. */
#ifndef CLI_ICE_H
#define CLI_ICE_H

#include "nat/driver.h"

struct ice;
struct run;

struct ice_opts {
	struct snet_ice_opts ice;
	bool no_trickle, explain, keep;
	snet_time wait;   /* for the other side's credentials */
	const char *exec; /* NULL: none */
	int pass_fd;      /* -1: the socket is its stdin and stdout */
};

/* o: borrowed. Says the credentials, or later with no_trickle, and reads stdin. Errors as
 * snet_ice_new, and of stdin. */
int ice_new(struct ice **out, struct run *run, const struct ice_opts *o,
	    struct snet_error *err);
void ice_drain(struct ice *i); /* SIGINT, SIGTERM */
void ice_kill(struct ice *i);  /* what it started ends now */
void ice_room(struct ice *i);  /* stdout takes more */
void ice_stats(const struct ice *i);
bool ice_is_selected(const struct ice *i); /* or was, at any time */
void ice_free(struct ice *i);              /* NULL is fine */

#endif
