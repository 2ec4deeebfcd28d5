/* Agree: a manager's part in the parties' readiness agreement (mesh/ordering), and what comes
 * of it. The same rules as in ffi/handle.h. */
#ifndef SNET_FFI_AGREE_H
#define SNET_FFI_AGREE_H

#include "ffi/manager.h"
#include "mesh/ordering.h"

/* What all agree on: keys in order, the place being the id. Counted; never changes. */
struct snet_ffi_ordering {
	atomic_uint refs;
	uint8_t *bytes; /* own; the keys lie in it */
	struct snet_slice *nodes, *clients;
	size_t n_nodes, n_clients;
};

/* A copy of the keys. NULL: out of memory. */
struct snet_ffi_ordering *snet_ffi_ordering_new(const struct snet_slice *nodes, size_t n_nodes,
						const struct snet_slice *clients,
						size_t n_clients);
void snet_ffi_ordering_free(struct snet_ffi_ordering *o); /* NULL is fine */

struct snet_ffi_seat {
	uint32_t index; /* in the machine */
	uint64_t id;
	uint8_t key[SNET_KEYID_BYTES];
};

struct snet_ffi_agree {
	struct snet_ffi_manager *m;
	struct snet_ordering machine;
	struct snet_timer timer;
	struct snet_ffi_seat *seats;
	size_t n_seats;
};

/* ---- loop, locked */
/* A fresh agreement with the counts that the manager has now; what the links have said so far
 * is heard again. SNET_ENOMEM: it is as it was. */
int snet_ffi_agree_begin(struct snet_ffi_manager *m);
void snet_ffi_agree_stop(struct snet_ffi_manager *m);
/* The link has a connection, or another than before; it has none any more. */
void snet_ffi_agree_up(struct snet_ffi_link *l);
void snet_ffi_agree_down(struct snet_ffi_link *l);
/* A message came. True: it was of the agreement, and is not the program's. */
bool snet_ffi_agree_hear(struct snet_ffi_link *l, const uint8_t *p, size_t n);
void snet_ffi_agree_drained(struct snet_ffi_wire *w); /* w takes more */

/* ---- verdict.c: loop, locked */
void snet_ffi_verdict_agree(struct snet_ffi_agree *a);
void snet_ffi_verdict_refuse(struct snet_ffi_agree *a, const char *why, uint32_t blame);
/* What every client is told first, before what the open gate lets through. */
void snet_ffi_verdict_tell(struct snet_ffi_agree *a, struct snet_ffi_link *l);

/* ---- any thread, locked */
/* Waits until what needs the agreement may be done. STOFFELNET_ERR_CONSENSUS: it has failed;
 * STOFFELNET_ERR_RUNTIME: the manager ends. */
int32_t snet_ffi_agree_wait(struct snet_ffi_manager *m);

#endif
