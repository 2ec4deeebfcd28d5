/* Node list: what a client is told of the order of the nodes, by each of them
 * (stoffelnet-wire(7)); all must say the same, byte for byte. Pure. */
#ifndef SNET_MESH_NODE_LIST_H
#define SNET_MESH_NODE_LIST_H

#include "base/bytes.h"
#include "crypto/hash.h"

struct snet_node_list {
	struct snet_block *frame; /* the first that came; NULL: none yet */
	struct snet_slice *keys;  /* in it; the place is the party id */
	uint32_t n;
	uint32_t said; /* nodes that have: the list is sure when all n have */
	bool *has_said;
};

/* From zero. A NodeListResponse, from the node of this key id (SHA-256 of its
 * SubjectPublicKeyInfo), called name in errors. SNET_EAGAIN: not consumed, it is no such frame
 * and the application's. SNET_EPROTO: not sorted, above the ceilings of mesh/ordering, without
 * that node, or not what the others said; SNET_ENOMEM. After an error the list is as it was. */
int snet_node_list_add(struct snet_node_list *l, const uint8_t key_id[static SNET_SHA256_BYTES],
		       const char *name, const void *p, size_t n, struct snet_error *err);
void snet_node_list_fini(struct snet_node_list *l); /* and empty it */

#endif
