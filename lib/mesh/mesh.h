/* Mesh: one party among n, connected to every other, whoever starts first. Each pair has one
 * connection that counts, however often it is lost, and messages cross exactly once and in
 * order per pair and stream (outbox.h), as long as both processes live.
 *
 * Parties are named by index, 0 to n - 1, in the order of the configuration. */
#ifndef SNET_MESH_MESH_H
#define SNET_MESH_MESH_H

#include "mesh/journal.h"
#include "mesh/peer.h"
#include "wire/record.h"

struct snet_mesh;

#define SNET_MESH_MAX 4096 /* parties */

struct snet_mesh_party {
	uint32_t id; /* said in the hello; as everybody's roster has it */
	uint8_t key[SNET_KEYID_BYTES];
	/* It speaks the crate's profile: one stream, no kinds, and nothing is sent again; its
	 * end is the end of its connection. */
	bool plain;
};

/* As the crate names them. CONNECTING: it never was there; CLOSING: it is connected, and one of
 * the two sends no more. */
enum snet_mesh_state {
	SNET_MESH_CONNECTING,
	SNET_MESH_CONNECTED,
	SNET_MESH_CLOSING,
	SNET_MESH_CLOSED,
	SNET_MESH_DISCONNECTED,
};

struct snet_mesh_config {
	struct snet_loop *loop;
	const struct snet_transport *transport;
	const struct snet_identity *identity;
	const struct snet_mesh_party
		*parties; /* n of them, copied; parties[self] is this one */
	uint32_t n, self;
	const char *label;          /* of the session, "" for none; borrowed */
	uint8_t roster[32];         /* digest of what all must have alike */
	struct snet_peer_opts peer; /* id, role, gated and stall_timeout are ours */
	size_t queue;               /* ceiling per party of what it has not taken [16 MiB] */
	snet_time wait;             /* so long may a party be away, at first and later */
	snet_time dial_timeout;     /* of one attempt [10 s] */
	bool confirms;              /* acknowledge nothing before snet_mesh_confirm says so */
	/* Agree with the parties of the crate's profile on the order of keys, and on so many
	 * clients (ordering.h). */
	bool order;
	uint32_t order_clients;
};

/* Callbacks may send, pause and finish; none may free. */
struct snet_mesh_events {
	/* Where to dial a party, and from where; attempt counts from 0. An error is one failed
	 * attempt. */
	int (*address)(uint32_t party, unsigned attempt, struct snet_endpoint **from,
		       struct snet_addr *to, struct snet_error *err, void *user);
	/* Connected, and of one mind about the session. anew: another process than before, or
	 * the first; lost: messages that only the one before has taken. */
	void (*on_up)(uint32_t party, bool anew, uint64_t lost, void *user);
	/* The connection is lost; the mesh goes on trying. */
	void (*on_down)(uint32_t party, int code, const char *why, bool by_peer, void *user);
	/* As snet_peer_events.on_message; seq counts through all connections. */
	void (*on_message)(uint32_t party, const struct snet_message *m, void *user);
	void (*on_end)(uint32_t party, void *user);  /* it sends no more */
	void (*on_room)(uint32_t party, void *user); /* its queue was full, and is half empty */
	/* Once: everything crossed both ways, or (err->code) it was given up. */
	void (*on_over)(uint32_t party, const struct snet_error *err, void *user);
	/* An attempt came to nothing, or it disagrees about the session. */
	void (*on_trouble)(uint32_t party, const struct snet_error *err, void *user);
	/* With order. err NULL: agreed; else why not, and the party to blame, or self. */
	void (*on_order)(const struct snet_error *err, uint32_t party, void *user);
	/* So many it has taken for good, per stream, ever. anew: what is left is numbered from
	 * 1 again, for another process; marks is NULL then. NULL allowed. */
	void (*on_taken)(uint32_t party, const struct snet_record_marks *marks, bool anew,
			 void *user);
};

/* SNET_EINVAL: n or self, or two parties with one key; SNET_ENOMEM. Dials with the loop's next
 * turn. */
int snet_mesh_new(struct snet_mesh **out, const struct snet_mesh_config *cfg,
		  const struct snet_mesh_events *ev, void *user, struct snet_error *err);
/* Before the loop turns: keeps what is accepted for others in a file until they have taken it,
 * and begins with what is in it (journal.h). With it sending may fail with SNET_EIO. */
int snet_mesh_journal(struct snet_mesh *m, const char *path, struct snet_journal_found *found,
		      struct snet_error *err);
/* The endpoints must be unbound before: that ends the connections. NULL is fine. */
void snet_mesh_free(struct snet_mesh *m);
/* What the endpoint's on_accept brings. */
void snet_mesh_accept(struct snet_mesh *m, struct snet_conn *c);

/* Accepts for delivery; whether the party is there does not matter. SNET_EAGAIN: its queue is
 * full, on_room follows; SNET_ECLOSED: it is over, or we have finished; SNET_EINVAL: no such
 * party, stream or kind, or self; SNET_ETOOBIG; SNET_ENOMEM. */
int snet_mesh_send(struct snet_mesh *m, uint32_t party, unsigned stream, uint8_t kind,
		   const struct snet_slice *v, size_t n);
/* The same, but it may wait for snet_mesh_flush: of many small messages, those for one party go
 * to its connection together. */
int snet_mesh_queue(struct snet_mesh *m, uint32_t party, unsigned stream, uint8_t kind,
		    const struct snet_slice *v, size_t n);
void snet_mesh_flush(struct snet_mesh *m);
bool snet_mesh_is_full(struct snet_mesh *m, uint32_t party); /* true: on_room follows */
/* We send no more, to anybody. on_over follows for each when it has said so, too. */
void snet_mesh_finish(struct snet_mesh *m);
/* No on_message and no on_end until resumed; windows fill. */
void snet_mesh_pause(struct snet_mesh *m, bool pause);
/* The same, of one, if it is plain: what others send includes acknowledgements. */
void snet_mesh_hold(struct snet_mesh *m, uint32_t party, bool hold);
/* So many messages of a party's stream are where they should be, and may be acknowledged; all:
 * everything that came. */
void snet_mesh_confirm(struct snet_mesh *m, uint32_t party, unsigned stream, uint64_t upto);
void snet_mesh_confirm_all(struct snet_mesh *m);
/* With order: a client has come, or gone. As snet_ordering_client_up. */
int snet_mesh_client(struct snet_mesh *m, const struct snet_slice *key, bool here);
/* What every client is told once it is agreed: snet_ordering_response. */
int snet_mesh_node_list(const struct snet_mesh *m, struct snet_buf *out);

bool snet_mesh_is_up(const struct snet_mesh *m, uint32_t party);
struct snet_mesh_stats {
	enum snet_mesh_state state;
	uint64_t sent, received, resent, reconnects; /* messages, messages, messages, times */
	uint64_t sent_bytes, received_bytes;         /* payload */
	uint64_t rounds;                             /* times that the direction changed */
	size_t queued;                               /* bytes it has not taken */
};
void snet_mesh_stats(const struct snet_mesh *m, uint32_t party, struct snet_mesh_stats *out);
/* Times that this party went over from hearing to sending or back, whomever. */
uint64_t snet_mesh_rounds(const struct snet_mesh *m);
/* The connection that counts; NULL: there is none. */
struct snet_peer *snet_mesh_peer(const struct snet_mesh *m, uint32_t party);

#endif
