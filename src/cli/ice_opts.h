/* Ice opts: how candidates are found, as the command line says: what snet-ice and all programs
 * that take ice+ws:// addresses share. */
#ifndef CLI_ICE_OPTS_H
#define CLI_ICE_OPTS_H

#include "cli/opts.h"
#include "nat/driver.h"

/* --stun --turn --turn-cred-file --turn-ca --iface --no-iface --types --birthday --path;
 * -4 and -6 are those of the command line. */
extern const struct opt ice_find_opts[];
/* --token-file, of the signalling server; --explain */
extern const struct opt ice_room_opts[];

/* Zeroed before. What it points at lives until ice_opts_fini. SNET_EINVAL: what does not go
 * together; SNET_ECONFIG: a file; SNET_ENOMEM. */
int ice_opts_get(struct snet_ice_opts *o, struct snet_error *err);
/* *out: NULL without --token-file. SNET_ECONFIG. */
int ice_opts_token(const char **out, struct snet_error *err);
bool ice_opts_explain(void);
void ice_opts_fini(void);

#endif
