/* Peer: a framed connection whose other end is known. Says hello in the profile's way
 * (stoffelnet-wire(7)), then carries whole messages both ways. */
#ifndef SNET_MESH_PEER_H
#define SNET_MESH_PEER_H

#include "base/bytes.h"
#include "transport/transport.h"

struct snet_peer;

#define SNET_KIND_DATA 32 /* the record type of a message that names no other */
#define SNET_MESSAGE_MAX (1u << 30)
#define SNET_MESSAGE_DEFAULT (100u << 20)

struct snet_message {
	unsigned stream; /* 0..15 */
	uint8_t kind;    /* record type; SNET_KIND_DATA in the crate's profile */
	uint64_t seq;    /* 1, 2, 3 ... per peer and stream */
	const uint8_t *p;
	size_t n;
};

/* Callbacks may send, pause, finish and close; none may free. */
struct snet_peer_events {
	void (*on_up)(struct snet_peer *p, void *user); /* hello said and heard */
	/* One whole message, borrowed for the call: whoever cannot pass it on at once copies
	 * it, and pauses. With snet_peer_opts.parts, runs of a message in order instead,
	 * without its boundaries: seq is then 0. */
	void (*on_message)(struct snet_peer *p, const struct snet_message *m, void *user);
	void (*on_eof)(struct snet_peer *p,
		       void *user); /* the peer sends no more; all it sent was delivered */
	void (*on_drain)(struct snet_peer *p,
			 void *user); /* send accepts again after SNET_EAGAIN */
	void (*on_flushed)(struct snet_peer *p,
			   void *user); /* finished, and everything is acknowledged */
	/* Once, and last; the peer is freed after it returns. code SNET_OK: it closed with 0.
	 */
	void (*on_down)(struct snet_peer *p, int code, const char *why, bool by_peer,
			void *user);
};

struct snet_peer_opts {
	uint32_t max_message;    /* bytes, 0: SNET_MESSAGE_DEFAULT */
	bool parts;              /* hand on bytes as they come (format raw) */
	uint64_t id;             /* said in our hello: the party id, or our derived id */
	enum snet_role role;     /* said in our hello */
	snet_time hello_timeout; /* [10 s] */
	snet_time stall_timeout; /* no progress of what is under way, either way [30 s];
				    SNET_NEVER: off */
};

/* Takes a connection over in on_accept. SNET_ENOMEM: c has been closed. on_up follows. */
int snet_peer_accept(struct snet_peer **out, struct snet_loop *l, struct snet_conn *c,
		     const struct snet_peer_opts *o, const struct snet_peer_events *ev,
		     void *user);
/* One attempt. Ends in on_up or on_down, never before the return. */
int snet_peer_dial(struct snet_peer **out, struct snet_loop *l, struct snet_endpoint *e,
		   const struct snet_transport *t, const struct snet_addr *to,
		   const uint8_t *key, const struct snet_peer_opts *o,
		   const struct snet_peer_events *ev, void *user, struct snet_error *err);

/* All of it or nothing. SNET_EAGAIN: the queue is at its ceiling, on_drain follows;
 * SNET_ETOOBIG; SNET_ECLOSED after finish or on_down; SNET_EINVAL for a stream above 15, and in
 * the crate's profile above 0. */
int snet_peer_send(struct snet_peer *p, unsigned stream, uint8_t kind,
		   const struct snet_slice *v, size_t n);
bool snet_peer_can_send(struct snet_peer *p);       /* more is welcome; after false, on_drain */
size_t snet_peer_queued(const struct snet_peer *p); /* bytes not acknowledged */
size_t snet_peer_undelivered(
	const struct snet_peer *p);         /* in on_down: bytes it never acknowledged */
void snet_peer_finish(struct snet_peer *p); /* half-close: on_flushed follows */

/* While paused no on_message and no on_eof; the peer's window fills and it stops. Pauses count.
 */
void snet_peer_pause(struct snet_peer *p);
void snet_peer_resume(struct snet_peer *p);

/* At once. on_down follows, later. */
void snet_peer_close(struct snet_peer *p, int code, const char *why);

const struct snet_conn *snet_peer_conn(
	const struct snet_peer *p); /* key, addresses, role, profile */
uint64_t snet_peer_id(
	const struct snet_peer *p); /* what its hello said; the crate's: its derived id */
enum snet_role snet_peer_role(
	const struct snet_peer *p); /* the other side's: server when we dialled */
void *snet_peer_user(const struct snet_peer *p);

#endif
