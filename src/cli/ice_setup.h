/* Ice setup: what the words on snet-ice's command line mean to the agent. */
#ifndef CLI_ICE_SETUP_H
#define CLI_ICE_SETUP_H

#include "cli/ice.h"

enum ice_role { ICE_AUTO, ICE_CONTROLLING, ICE_CONTROLLED };

struct ice_words {
	int role;          /* enum ice_role */
	snet_time consent; /* 0: not given */
	const char *bind;  /* NULL: not given */
};

/* Fills o, zeroed before, of w, cli and cli/ice_opts; o borrows until ice_opts_fini.
 * SNET_EINVAL, SNET_ECONFIG, SNET_ERESOLVE ... */
int ice_setup(struct ice_opts *o, const struct ice_words *w, struct snet_error *err);
/* Of that the part of w alone. */
int ice_setup_words(struct snet_ice_opts *o, const struct ice_words *w, struct snet_error *err);

#endif
