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
	/* Hello was said and heard. */
	void (*on_up)(struct snet_peer *p, void *user);
	/* One whole message, borrowed for the call: whoever cannot pass it on at once copies
	 * it, and pauses. With snet_peer_opts.parts, runs of a message in order instead,
	 * without its boundaries: seq is then 0, and kind right only in the first. */
	void (*on_message)(struct snet_peer *p, const struct snet_message *m, void *user);
	/* The peer sends no more, and all it sent has been delivered. */
	void (*on_eof)(struct snet_peer *p, void *user);
	/* More is welcome again, after SNET_EAGAIN or a can_send that said no. */
	void (*on_drain)(struct snet_peer *p, void *user);
	/* Finished, and everything is acknowledged. */
	void (*on_flushed)(struct snet_peer *p, void *user);
	/* Once, and last, after all that came before the end was delivered, unless it was us
	 * who closed; the peer is freed after it returns. code SNET_OK: closed with 0;
	 * SNET_ETRUNCATED: by the peer, in the middle of a message. */
	void (*on_down)(struct snet_peer *p, int code, const char *why, bool by_peer,
			void *user);
	/* A record that is no message (wire/record.h), profile snet/1, in its place among the
	 * messages of stream 0; body is borrowed. NULL: such a record is a protocol error. */
	void (*on_control)(struct snet_peer *p, uint8_t type, const uint8_t *body, size_t n,
			   void *user);
	/* NULL: nothing. Our hello is on its way and the peer's has not come: its key is known,
	 * nothing else, and what is sent now arrives together with the hello. Dialled, profile
	 * snet/1, and only with transports that have on_early. */
	void (*on_early)(struct snet_peer *p, void *user);
};

struct snet_peer_opts {
	uint32_t max_message;    /* bytes we take, 0: SNET_MESSAGE_DEFAULT */
	bool parts;              /* hand on bytes as they come (format raw) */
	uint64_t id;             /* said in our hello: the party id, or our derived id */
	enum snet_role role;     /* said in our hello */
	bool gated;              /* after the hello, only stream 0, until snet_peer_ungate */
	snet_time hello_timeout; /* [10 s] */
	/* No progress of what is under way, either way [30 s]; SNET_NEVER: off. */
	snet_time stall_timeout;
};

/* Takes a connection over in on_accept. on_up or on_down follows.
 * SNET_ENOMEM: c has been closed. */
int snet_peer_accept(struct snet_peer **out, struct snet_loop *l, struct snet_conn *c,
		     const struct snet_peer_opts *o, const struct snet_peer_events *ev,
		     void *user);
/* One attempt. Ends in on_up or on_down, never before the return. */
int snet_peer_dial(struct snet_peer **out, struct snet_loop *l, struct snet_endpoint *e,
		   const struct snet_transport *t, const struct snet_addr *to,
		   const uint8_t *key, const struct snet_peer_opts *o,
		   const struct snet_peer_events *ev, void *user, struct snet_error *err);

/* All of it or nothing. SNET_EAGAIN: the queue is at its ceiling, on_drain follows;
 * SNET_ETOOBIG: above SNET_MESSAGE_MAX; SNET_ECLOSED before on_up (on_early) and after finish,
 * close or on_down; SNET_EINVAL for a stream above 15, and in the crate's profile above 0;
 * SNET_ENOMEM. Slices: as the transport's send. */
int snet_peer_send(struct snet_peer *p, unsigned stream, uint8_t kind,
		   const struct snet_slice *v, size_t n);
/* The same for frames that are made already, whole, as snet/1 has them: any number in one
 * slice. */
int snet_peer_send_frames(struct snet_peer *p, unsigned stream, const struct snet_slice *v);
bool snet_peer_can_send(struct snet_peer *p);       /* more is welcome; after false, on_drain */
size_t snet_peer_queued(const struct snet_peer *p); /* bytes not acknowledged */
/* In on_down: bytes of messages that never went out; bytes that were never acknowledged. */
size_t snet_peer_undelivered(const struct snet_peer *p);
size_t snet_peer_unacked(const struct snet_peer *p);
void snet_peer_finish(struct snet_peer *p); /* half-close: on_flushed follows */

/* While paused no on_message and no on_eof, and no on_down while anything is held back; the
 * peer's window fills and it stops. Pauses count. */
void snet_peer_pause(struct snet_peer *p);
void snet_peer_resume(struct snet_peer *p);

/* Streams above 0 are heard from now on: they may have overtaken what stream 0 begins with. */
void snet_peer_ungate(struct snet_peer *p);

/* At once. on_down follows, later. */
void snet_peer_close(struct snet_peer *p, int code, const char *why);
/* One whose connection is gone already, and which only a pause has held back: without on_down.
 */
void snet_peer_free(struct snet_peer *p);

/* Key, addresses, profile; a copy once it is closed. */
const struct snet_conn *snet_peer_conn(const struct snet_peer *p);
/* What its hello said; in the crate's profile its derived id. */
uint64_t snet_peer_id(const struct snet_peer *p);
/* What its hello said; in the crate's profile what ALPN did, and server when we dialled. */
enum snet_role snet_peer_role(const struct snet_peer *p);
void *snet_peer_user(const struct snet_peer *p);

#endif
