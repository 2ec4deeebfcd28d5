/* Manager: a party, its connections, and who they are with. The same rules as in ffi/handle.h.
 */
#ifndef SNET_FFI_MANAGER_H
#define SNET_FFI_MANAGER_H

#include "ffi/link.h"
#include "nat/driver.h"

/* One connection. Until it is up it has no link. */
struct snet_ffi_wire {
	struct snet_list node, all; /* in the link's wires; in the manager's */
	struct snet_ffi_manager *m;
	struct snet_ffi_link *link;
	struct snet_peer *peer;
	struct snet_ffi_dial *dial; /* NULL: incoming, or done with */
	snet_time up_at;
	bool dialled, loser, flushed, eof;
	bool met; /* by a way (ffi/nat.h) to or from this party: */
	uint64_t met_id;
	bool said_digest; /* ours went out on it */
	bool owes_digest; /* it could not: on_drain */
};

struct snet_ffi_node {
	uint64_t id;
	struct snet_addr addr; /* AF_UNSPEC: there is a way to it (ffi/nat.h) */
	struct snet_url *room; /* own; the way is there; NULL */
	bool bound;            /* key: who answered there last, */
	bool pinned;           /* or who alone may */
	uint8_t key[SNET_KEYID_BYTES];
};

/* Ways that ICE finds, ffi/nat.h. */
struct snet_ffi_nat {
	bool on;
	struct snet_ice_server servers[SNET_ICE_SERVERS]; /* own: hosts, credentials */
	size_t n_servers;
	struct snet_list rooms, exchanges;
	size_t n_rooms, n_exchanges;
};

/* May what needs an agreed ordering be sent? */
enum snet_ffi_gate { SNET_FFI_FREE, SNET_FFI_AGREEING, SNET_FFI_AGREED, SNET_FFI_FAILED };

struct snet_ffi_manager {
	struct snet_list node; /* in the runtime's managers */
	atomic_uint refs;
	struct snet_ffi_runtime *rt;
	uint64_t id;
	enum snet_role role;
	struct snet_identity *identity;
	struct snet_trust *trust;
	struct snet_transport_config config;
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
	struct snet_list any[2];     /* receives from any party, from any client */
	size_t n_readable, n_ended;  /* links; operations that nobody was told of */
	int event;                   /* a descriptor, -1: nobody asked for it */
	bool signalled;              /* it is readable */
	struct snet_ffi_counts past; /* of links that are gone */
	enum snet_ffi_gate gate;
	struct snet_ffi_agree *agree;       /* loop; NULL: no count is expected */
	struct snet_ffi_ordering *ordering; /* once agreed */
	uint32_t parties, clients;          /* expected; SNET_ORDERING_ANY: not given */
	snet_time consensus_timeout;
	char why_not[256]; /* the gate has failed */
	struct snet_ffi_nat nat;
	bool closing, ending, gone;
};

/* ---- wires, wire.c: connections, and which of two survives. */
extern const struct snet_peer_events snet_ffi_wire_events;
struct snet_ffi_wire *snet_ffi_wire_new(struct snet_ffi_manager *m);
void snet_ffi_wire_free(struct snet_ffi_wire *w);

/* ---- managers, manager.c and dial.c. Locked. */
struct snet_ffi_manager *snet_ffi_manager_hold(struct snet_ffi_manager *m);
void snet_ffi_manager_free(struct snet_ffi_manager *m);
void snet_ffi_manager_serve(struct snet_ffi_manager *m); /* loop; drops the lock on the way */
/* Has the descriptor say what there is. */
void snet_ffi_manager_signal(struct snet_ffi_manager *m);
struct snet_ffi_link *snet_ffi_manager_find(struct snet_ffi_manager *m, uint64_t id);
uint64_t snet_ffi_manager_name(const struct snet_ffi_manager *m, const struct snet_ffi_link *l);
extern const struct snet_endpoint_events snet_ffi_endpoint_events;
/* Loop, not locked: somebody has connected; id: the party to whom the way is, or NULL. */
void snet_ffi_manager_take(struct snet_ffi_manager *m, struct snet_conn *c, const uint64_t *id);
/* Adds a node, and takes its room over. SNET_ENOMEM, also for too many. */
int snet_ffi_manager_add(struct snet_ffi_manager *m, const struct snet_ffi_node *n);
int snet_ffi_manager_know(struct snet_ffi_manager *m, uint64_t id); /* unless there is one */
/* NULL: nobody waits. The caller's to free. */
struct snet_ffi_link *snet_ffi_manager_accept(struct snet_ffi_manager *m);
int snet_ffi_manager_incoming(struct snet_ffi_manager *m, struct snet_ffi_link *l);
struct snet_peer_opts snet_ffi_manager_opts(const struct snet_ffi_manager *m);

/* Not locked; locks and holds m if it succeeds, for quit to undo. A thread that waits holds the
 * manager: another may release the handle meanwhile. */
int32_t snet_ffi_manager_enter(struct snet_ffi_manager *m);
void snet_ffi_manager_quit(struct snet_ffi_manager *m);

/* loop: the manager's connects begin; one attempt has come to an end; all stop. */
void snet_ffi_dial_serve(struct snet_ffi_manager *m);
void snet_ffi_dial_ended(struct snet_ffi_dial *d, struct snet_ffi_link *l, int code,
			 const char *why);
void snet_ffi_dial_stop_all(struct snet_ffi_manager *m);

/* ---- what is counted, locked */
static inline void snet_ffi_count_sent(struct snet_ffi_link *l, size_t n)
{
	l->counts.sent++;
	l->counts.sent_bytes += n;
	l->sent_last = true;
}

/* A round ends with the answer. */
static inline void snet_ffi_count_received(struct snet_ffi_link *l, size_t n)
{
	l->counts.received++;
	l->counts.received_bytes += n;
	l->counts.rounds += l->sent_last;
	l->sent_last = false;
}

void snet_ffi_counts_add(struct snet_ffi_counts *to, const struct snet_ffi_counts *c);

#endif
