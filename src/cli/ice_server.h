/* Ice server: STUN and TURN servers as people write them (RFC 7064, RFC 7065); nothing is
 * looked up here. */
#ifndef CLI_ICE_SERVER_H
#define CLI_ICE_SERVER_H

#include "nat/driver.h"

/* "stun:HOST[:PORT]", "HOST[:PORT]"; an IPv6 address with a port stands in brackets. The host
 * is the caller's to free. SNET_EINVAL, SNET_ENOMEM. */
int ice_server_stun(struct snet_ice_server *out, const char *text, struct snet_error *err);
/* "turn:HOST[:PORT][?transport=udp|tcp]", "turns:HOST[:PORT][?transport=tcp]". */
int ice_server_turn(struct snet_ice_server *out, const char *text, struct snet_error *err);

#endif
