/* Ordering: the crate's readiness agreement (stoffelnet-wire(7)). Every party tells every other
 * the digests of its sorted lists of nodes and of clients; when all are the same, the place of
 * a key in its list is its id. Pure.
 *
 * The owner says who comes and goes, offers frames while they may be digests, and does what
 * snet_ordering_next wants until it wants nothing: after every call here, and at the deadline.
 *
 * Lists that change before the agreement make new digests, and differences are a failure only
 * once nothing has changed for a while. After the agreement the lists stay as they are. */
#ifndef SNET_MESH_ORDERING_H
#define SNET_MESH_ORDERING_H

#include "base/bytes.h"
#include "base/clock.h"

#define SNET_ORDERING_KEYS 4096               /* in a list, at most */
#define SNET_ORDERING_KEY_MAX 4096            /* bytes of a SubjectPublicKeyInfo */
#define SNET_ORDERING_DIGEST_BYTES 100        /* of a digest frame, without its length */
#define SNET_ORDERING_ANY UINT32_MAX          /* not given; nobody */
#define SNET_ORDERING_TIMEOUT (60 * SNET_SEC) /* the crate's */
#define SNET_ORDERING_SETTLE (2 * SNET_SEC)

struct snet_ordering_party;
struct snet_ordering_client;

struct snet_ordering_opts {
	/* How many there must be, ourselves included; SNET_ORDERING_ANY: do not wait for them,
	 * whoever is there is in the list. One of the two at least is given. */
	uint32_t parties, clients;
	/* Our index among the owner's. SNET_ORDERING_ANY: indexes are not 0 to parties - 1, so
	 * who never came has no name. */
	uint32_t self;
	snet_time wait;    /* for the counts, from init; 0: SNET_NEVER */
	snet_time timeout; /* for the digests, once the counts are reached; 0: the crate's */
	snet_time settle;  /* a difference must last so long; 0: SNET_ORDERING_SETTLE */
};

enum snet_ordering_state { SNET_ORDERING_OPEN, SNET_ORDERING_AGREED, SNET_ORDERING_FAILED };
enum snet_ordering_verb {
	SNET_ORDERING_NOTHING,
	SNET_ORDERING_SEND,   /* p[0..n) to party: a whole payload */
	SNET_ORDERING_AGREE,  /* once */
	SNET_ORDERING_REFUSE, /* once, until a retry: see why */
};

struct snet_ordering_want {
	enum snet_ordering_verb verb;
	uint32_t party;   /* to whom; who is to blame, or SNET_ORDERING_ANY */
	const uint8_t *p; /* good until the next call */
	size_t n;
};

struct snet_ordering {
	enum snet_ordering_state state;
	snet_time deadline; /* SNET_NEVER: none */
	/* Why it failed: SNET_ETIMEOUT and who is missing; SNET_EPROTO and what differs. */
	struct snet_error why;
	struct snet_ordering_opts opts;
	struct snet_slice own;
	struct snet_ordering_party *parties; /* by index */
	struct snet_ordering_client *clients;
	struct snet_slice *nodes, *client_keys; /* sorted; the keys are theirs above */
	uint32_t parties_cap, node_count;
	uint32_t clients_cap, client_count;
	struct snet_buf frame; /* our digest; empty: the counts are not reached */
	bool is_dirty;         /* a list has changed since */
	bool is_told;          /* the verdict was handed out */
	bool is_started;       /* the counts were reached once */
	uint32_t blame;        /* a party, or SNET_ORDERING_ANY */
	snet_time changed;     /* the last time a list did */
	snet_time limit;       /* of the wait, or of the timeout */
};

/* own: our SubjectPublicKeyInfo, copied. SNET_EINVAL: no count is given, or one above the
 * ceiling, or no party; SNET_ENOMEM. *o is good for fini after either. */
int snet_ordering_init(struct snet_ordering *o, const struct snet_ordering_opts *opts,
		       const struct snet_slice *own, snet_time now);
void snet_ordering_fini(struct snet_ordering *o);

/* A party has a connection (again), and this key, copied: it is told our digest. index below
 * SNET_ORDERING_KEYS. is_once: it takes one digest on a connection, before anything else, and
 * says one (the crate's profile): no second one, and after the agreement none, since it would
 * reach its application. SNET_EINVAL: index, or length; SNET_EDENIED: another has this key, or
 * the agreed list is without it; SNET_ENOMEM. */
int snet_ordering_party_up(struct snet_ordering *o, uint32_t index,
			   const struct snet_slice *key, bool is_once, snet_time now);
/* Its connection is lost. Its key stays in the list, and what it said stands. */
void snet_ordering_party_down(struct snet_ordering *o, uint32_t index);
/* It is not of the nodes any more. */
void snet_ordering_party_gone(struct snet_ordering *o, uint32_t index, snet_time now);
/* The digest was wanted, but could not be sent. Call it when the party takes more. */
void snet_ordering_unsent(struct snet_ordering *o, uint32_t index);

/* As often as it has connections; it is in the list once. SNET_EINVAL: length; SNET_ETOOBIG:
 * too many; SNET_ENOMEM. */
int snet_ordering_client_up(struct snet_ordering *o, const struct snet_slice *key,
			    snet_time now);
void snet_ordering_client_gone(struct snet_ordering *o, const struct snet_slice *key,
			       snet_time now);

/* Exactly a digest: tag 12, two hashes of 32 bytes, nothing more. */
bool snet_ordering_is_digest(const void *p, size_t n);
/* SNET_EAGAIN: not consumed, it is the application's: no digest, or the second one of a party
 * that says one. SNET_EPROTO: consumed, but we agreed, and now it says otherwise: its lists
 * changed while our agreement was on its way. SNET_ENOENT: there is no such party. */
int snet_ordering_input(struct snet_ordering *o, uint32_t index, const void *p, size_t n,
			snet_time now);

/* Failed: from the start, with what was said so far. */
void snet_ordering_retry(struct snet_ordering *o, snet_time now);

/* SNET_ENOMEM: call again. */
int snet_ordering_next(struct snet_ordering *o, snet_time now, struct snet_ordering_want *want);

/* Once agreed. An id is a place in nodes[0..node_count), client_keys[0..client_count). */
int64_t snet_ordering_find(const struct snet_slice *keys, uint32_t n,
			   const struct snet_slice *key); /* -1: it is not there */
/* Appends the NodeListResponse that is for every client. SNET_EAGAIN: not agreed; or as
 * snet_buf_add. */
int snet_ordering_response(const struct snet_ordering *o, struct snet_buf *out);

#endif
