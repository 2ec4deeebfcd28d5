/* Ice quic: snet-ice --quic: stdin and stdout over QUIC on the pair, for who needs no lines. */
#ifndef CLI_ICE_QUIC_H
#define CLI_ICE_QUIC_H

#include "cli/hub.h"
#include "cli/ice_setup.h"

/* Beside what pipes have: --signal. */
extern const struct opt ice_quic_opts[];
/* What does not go with it, or without it; NULL: all is well. */
const char *ice_quic_misuse(bool quic);

/* After a failure too: hub_fini. The run's callbacks are then the hub's. SNET_EINVAL, and as
 * hub_listen, hub_target. */
int ice_quic(struct hub *h, struct run *run, const struct ice_words *w, struct snet_error *err);

#endif
