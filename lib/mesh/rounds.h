/* Rounds: synchronous rounds among n parties. A party's k-th message is its message of round k;
 * round k is complete when everyone's is in, or q of them once its time is over. Pure.
 *
 *	snet_rounds_put     a message came, our own included
 *	snet_rounds_next    after each put, give_up and expect, after done, and at the deadline
 *	snet_rounds_done    ... when its round has been passed on
 *
 * A round's time begins with its first message, but never before the round before it was passed
 * on: who runs ahead makes nobody late, and neither does a slow reader of ours. */
#ifndef SNET_MESH_ROUNDS_H
#define SNET_MESH_ROUNDS_H

#include "base/bytes.h"
#include "base/clock.h"

#define SNET_ROUNDS_PARTIES 4096
#define SNET_ROUNDS_OVERHEAD 64 /* bytes a message counts beside its payload */

struct snet_rounds_party;

struct snet_round_slot {
	bool present;
	uint8_t kind; /* the owner's */
	struct snet_slice v;
};

/* Everyone's messages of one round; slots[i] is party i's. */
struct snet_round {
	uint64_t number; /* 1, 2, 3 ... */
	unsigned n, present;
	const struct snet_round_slot *slots;
};

struct snet_rounds {
	snet_time deadline; /* call snet_rounds_next then; SNET_NEVER: none */
	uint64_t number;    /* of the round that is open: 1, 2, 3 ... */
	unsigned n, q;
	unsigned here;    /* parties whose message of the open round is in */
	unsigned awaited; /* parties whose is not, and who were not given up */
	bool is_out;      /* a round was handed out and is not done */
	bool is_overdue;  /* the open round's time is over */
	snet_time timeout;
	size_t max; /* bytes, per party */
	struct snet_rounds_party *parties;
	struct snet_round_slot *slots;
	struct snet_round round;
};

/* n: 1..SNET_ROUNDS_PARTIES; q: 1..n; timeout: > 0, SNET_NEVER for none; max: bytes kept per
 * party, > 0. SNET_EINVAL: they are not; SNET_ENOMEM. *r is good for fini after either. */
int snet_rounds_init(struct snet_rounds *r, unsigned n, unsigned q, snet_time timeout,
		     size_t max);
void snet_rounds_fini(struct snet_rounds *r);

/* The next message of a party. *round (NULL allowed): which round it is for, whatever is
 * returned but SNET_EINVAL. A slice that fills at least half of its block is held, another is
 * copied. SNET_ETIMEOUT: late, its round was closed without it; it counts as said, and is not
 * kept. Not said: SNET_EAGAIN, the party is full; SNET_EINVAL, there is no such party;
 * SNET_ENOMEM. */
int snet_rounds_put(struct snet_rounds *r, unsigned party, uint8_t kind,
		    const struct snet_slice *v, snet_time now, uint64_t *round);
/* No more of it is to be kept: pause it until this is false, after a snet_rounds_next. One
 * message may go past the ceiling, so a party is never full without one for the open round. */
bool snet_rounds_is_full(const struct snet_rounds *r, unsigned party);
/* Bytes kept of it, each message with its overhead. */
size_t snet_rounds_kept(const struct snet_rounds *r, unsigned party);
/* Its message of the open round has not come. */
bool snet_rounds_is_missing(const struct snet_rounds *r, unsigned party);

/* Nobody waits for this party any more. What it has said is still of its rounds, and so is what
 * it may yet say in time. */
void snet_rounds_give_up(struct snet_rounds *r, unsigned party);
void snet_rounds_expect(struct snet_rounds *r, unsigned party); /* it is back */

/* *out: the round that is complete, good until done; NULL: none is, or one is out. With NULL:
 * SNET_ETIMEOUT, once for a round: its time is over and fewer than q are in; it stays open, and
 * is complete as soon as q are. SNET_ELOST: so many were given up that q cannot be reached. */
int snet_rounds_next(struct snet_rounds *r, snet_time now, const struct snet_round **out);
/* The round that is out, if one is, has been passed on. */
void snet_rounds_done(struct snet_rounds *r, snet_time now);

#endif
