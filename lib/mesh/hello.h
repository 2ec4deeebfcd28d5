/* Hello: the first frame each side says in profile snet/1, in the crate's old handshake
 * envelope (stoffelnet-wire(7)): a role and an id. Pure. */
#ifndef SNET_MESH_HELLO_H
#define SNET_MESH_HELLO_H

#include "base/bytes.h"
#include "transport/transport.h"

#define SNET_HELLO_MAX 256 /* bytes of the frame's body */

struct snet_hello {
	enum snet_role role;
	uint64_t id; /* the party id, or the derived id of one who has none */
};

int snet_hello_encode(const struct snet_hello *h, struct snet_buf *out);
/* SNET_EPROTO: that was no hello. */
int snet_hello_decode(struct snet_hello *h, const uint8_t *p, size_t n);

#endif
