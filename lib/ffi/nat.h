/* Nat: parties to whom no address leads: ways that ICE finds, in the room of a signalling
 * server (mesh/meet) or by envelopes that the program carries (mesh/connect_envelope). The same
 * rules as in ffi/handle.h; everything here is the loop's, but for what is said to be locked
 * alone. Callbacks of mesh come unlocked. */
#ifndef SNET_FFI_NAT_H
#define SNET_FFI_NAT_H

#include "ffi/manager.h"
#include "mesh/connect_envelope.h"
#include "mesh/meet.h"

#define SNET_FFI_ROOMS 64u
#define SNET_FFI_EXCHANGES 256u
#define SNET_FFI_PATIENCE (30 * SNET_SEC) /* for whoever is not there yet */

/* What a dial has instead of an address. */
struct snet_ffi_way {
	struct snet_ffi_dial *dial;     /* who waits for it, or dials on it; or NULL */
	struct snet_endpoint *endpoint; /* NULL: there is no path yet */
	struct snet_addr to;
	const uint8_t *key;                    /* nobody else; NULL: whom the manager trusts */
	bool spent;                            /* not for another connection */
	char why[256];                         /* there is no path */
	void (*begun)(struct snet_ffi_way *w); /* locked: a connection was */
	void (*drop)(struct snet_ffi_way *w);  /* locked: the dial is done with it */
};

/* To the party: by an exchange, if there is one, else in the room; NULL: in none. Drops the
 * lock for a while. SNET_ENOENT, or as snet_call_new. */
int snet_ffi_way_to(struct snet_ffi_way **out, struct snet_ffi_manager *m, uint64_t id,
		    const struct snet_url *room, struct snet_error *err);

/* As the thread's error. */
int32_t snet_ffi_parse_room(struct snet_url *out, const char *text);

/* Locked: what they wait for fails. */
void snet_ffi_nat_stop(struct snet_ffi_manager *m, const char *why);
/* Not locked: leaves all rooms, and closes what runs on any way. */
void snet_ffi_nat_leave(struct snet_ffi_manager *m);
void snet_ffi_nat_fini(struct snet_ffi_manager *m); /* what is left of it, when m is freed */
/* For those who find a way. */
struct snet_connect_opts snet_ffi_nat_opts(const struct snet_ffi_manager *m);
void snet_ffi_nat_say(const struct snet_agent_event *ev); /* to the log: the pair */

/* ---- room.c, locked: rooms */
/* op ends when the room is joined, or is not to be. token may be NULL. */
void snet_ffi_room_join(struct snet_ffi_manager *m, const struct snet_url *u, const char *token,
			struct snet_ffi_op *op);
void snet_ffi_rooms_stop(struct snet_ffi_manager *m, const char *why);
void snet_ffi_rooms_leave(struct snet_ffi_manager *m);
int snet_ffi_room_call(struct snet_ffi_way **out, struct snet_ffi_manager *m,
		       const struct snet_url *u, struct snet_error *err); /* drops the lock */

/* ---- exchange.c: envelopes, locked unless it says else */
bool snet_ffi_exchange_is_on(const struct snet_ffi_manager *m, uint64_t id);
struct snet_ffi_way *snet_ffi_exchange_way(struct snet_ffi_manager *m, uint64_t id); /* NULL */
/* op ends with the envelope as its message. Drops the lock. */
void snet_ffi_exchange_say(struct snet_ffi_manager *m, uint64_t id, struct snet_ffi_op *op);
/* Drops the lock. */
int snet_ffi_exchange_hear(struct snet_ffi_manager *m, uint64_t id, const uint8_t *p, size_t n,
			   struct snet_error *err);
void snet_ffi_exchanges_stop(struct snet_ffi_manager *m, const char *why);
void snet_ffi_exchanges_leave(struct snet_ffi_manager *m);

/* ---- dial.c, locked: what has become of a dial's way */
void snet_ffi_dial_path(struct snet_ffi_dial *d); /* there is a path */
/* The way is gone, or goes. again: another may be better. */
void snet_ffi_dial_unmet(struct snet_ffi_dial *d, bool again, const char *why);
void snet_ffi_dial_look(struct snet_ffi_manager *m); /* somebody has come */

#endif
