/* Manager: a party, its connections, and who they are with. The same rules as in ffi/handle.h.
 */
#ifndef SNET_FFI_MANAGER_H
#define SNET_FFI_MANAGER_H

#include "ffi/handle.h"

/* One connection. Until it is up it has no link. */
struct snet_ffi_wire {
	struct snet_list node, all; /* in the link's wires; in the manager's */
	struct snet_ffi_manager *m;
	struct snet_ffi_link *link;
	struct snet_peer *peer;
	struct snet_ffi_dial *dial; /* NULL: incoming, or done with */
	snet_time up_at;
	bool dialled, loser, flushed, eof;
};

struct snet_ffi_node {
	uint64_t id;
	struct snet_addr addr;
	bool bound; /* key: who answered there last */
	uint8_t key[SNET_KEYID_BYTES];
};

struct snet_ffi_manager {
	struct snet_list node; /* in the runtime's managers */
	atomic_uint refs;
	struct snet_ffi_runtime *rt;
	uint64_t id;
	struct snet_identity *identity;
	struct snet_trust *trust;
	struct snet_endpoint *endpoint;
	struct snet_addr at;
	struct snet_ffi_node *nodes;
	size_t n_nodes;
	struct snet_list links, wires, dials;
	struct snet_list connects, accepts; /* operations */
	struct snet_list incoming;          /* connections to accept */
	size_t n_incoming;
	struct snet_ffi_link *self;
	struct snet_timer linger;
	size_t expected_parties, expected_clients;
	bool closing, ending, gone;
};

/* ---- wires, wire.c: connections, and which of two survives. */
extern const struct snet_peer_events snet_ffi_wire_events;
struct snet_ffi_wire *snet_ffi_wire_new(struct snet_ffi_manager *m);
void snet_ffi_wire_free(struct snet_ffi_wire *w);

/* ---- managers, manager.c and dial.c. Locked. */
void snet_ffi_manager_free(struct snet_ffi_manager *m);
void snet_ffi_manager_serve(struct snet_ffi_manager *m); /* loop; drops the lock on the way */
struct snet_ffi_link *snet_ffi_manager_find(struct snet_ffi_manager *m, uint64_t id);
uint64_t snet_ffi_manager_name(const struct snet_ffi_manager *m, const struct snet_ffi_link *l);
extern const struct snet_endpoint_events snet_ffi_endpoint_events;
/* NULL: nobody waits. The caller's to free. */
struct snet_ffi_link *snet_ffi_manager_accept(struct snet_ffi_manager *m);
int snet_ffi_manager_incoming(struct snet_ffi_manager *m, struct snet_ffi_link *l);
struct snet_peer_opts snet_ffi_manager_opts(const struct snet_ffi_manager *m);

/* loop: the manager's connects begin; one attempt has come to an end; all stop. */
void snet_ffi_dial_serve(struct snet_ffi_manager *m);
void snet_ffi_dial_ended(struct snet_ffi_dial *d, struct snet_ffi_link *l, int code,
			 const char *why);
void snet_ffi_dial_stop_all(struct snet_ffi_manager *m);

#endif
