/* Connect punch: when to punch (nat/punch_pact.h), as what two sides tell each other (an
 * offer).
 */
#ifndef SNET_MESH_CONNECT_PUNCH_H
#define SNET_MESH_CONNECT_PUNCH_H

#include "nat/driver.h"
#include "signal/offer.h"

/* What our agent says to the peer whose name in its credentials is remote. */
void snet_connect_punch_offer(struct snet_offer *out, const struct snet_ice *ice,
			      const char *remote, const struct snet_pact_word *w);
/* What the peer says to our agent. Without consequence: SNET_ENOENT: it is of another
 * generation; else as snet_ice_hear_punch. */
int snet_connect_punch_hear(struct snet_ice *ice, const char *remote,
			    const struct snet_offer *o);

#endif
