/* clang-format off */
/* Pairs: a checklist of RFC 8445 §6.1.2, of one stream with one component: candidates of both
 * sides, their pairs, in which order these are checked, which of them are valid.
 *
 *       FROZEN ---> WAITING ---> IN_PROGRESS ---> SUCCEEDED
 *          |           ^  |           |  ^            |
 *          |           |  `-----------+--|------------|---> (late answer: SUCCEEDED)
 *          v           |              v  |            v
 *       FAILED --------+--------- FAILED, WAITING (checked anew)
 *
 * A pair is one base of ours and one address of the peer's: reflexive candidates stand for their
 * base (§6.1.2.4), and a valid pair is the pair that found it, with the local candidate that the
 * peer saw (§7.2.5.3.2). Everything has a ceiling; nothing is allocated. Pure. */
/* clang-format on */
#ifndef SNET_NAT_PAIRS_H
#define SNET_NAT_PAIRS_H

#include "base/clock.h"
#include "nat/candidates.h"

#define SNET_PAIRS_MAX 100 /* §6.1.2.5 */
#define SNET_LOCALS_MAX 48 /* peer-reflexive ones included */
#define SNET_REMOTES_TOLD_MAX 64
#define SNET_REMOTES_MAX 96           /* with those nobody told of: peer-reflexive */
#define SNET_MET_PER_BASE 10          /* of them; then an old one goes for a new one ... */
#define SNET_MET_MAX 160              /* ... until there were so many in all ... */
#define SNET_MET_PACE (100 * SNET_MS) /* ... and not more often than this */

enum snet_pair_state {
	SNET_PAIR_FROZEN,
	SNET_PAIR_WAITING,
	SNET_PAIR_IN_PROGRESS,
	SNET_PAIR_SUCCEEDED,
	SNET_PAIR_FAILED
};
const char *snet_pair_state_name(enum snet_pair_state s); /* "in_progress" */

struct snet_remote {
	struct snet_candidate c;
	bool told;       /* by signalling; else we met it */
	uint32_t number; /* met: as the so-manieth, ... */
	uint32_t handle; /* ... first at this base */
	snet_time at;
};

struct snet_pair {
	uint32_t id;           /* from 1, never again */
	uint8_t local, remote; /* indexes of candidates */
	uint8_t seen_as;       /* the local candidate that the peer saw: SUCCEEDED */
	enum snet_pair_state state;
	uint64_t priority;
	bool queued;        /* for a triggered check */
	bool valid;         /* the last check of it succeeded */
	bool unsent;        /* its last check could not leave, or was not worth being sent */
	bool barred;        /* consent was lost on it: not to be used again, RFC 7675 §5.1 */
	bool plain_seen;    /* the peer has checked it without nominating it */
	bool eager;         /* it nominated it before that */
	uint32_t nominated; /* by the peer, as its so-manieth nomination; 0: not */
	snet_time rtt;      /* 0: unknown */
	uint8_t triggered;  /* so often since it last succeeded */
	snet_time checked;  /* when the last check began */
};

struct snet_checklist {
	bool controlling; /* snet_checklist_set_role */
	struct snet_local locals[SNET_LOCALS_MAX];
	struct snet_remote remotes[SNET_REMOTES_MAX];
	struct snet_pair pairs[SNET_PAIRS_MAX]; /* in no order */
	uint32_t queue[SNET_PAIRS_MAX];         /* ids */
	size_t locals_n, remotes_n, pairs_n, queue_n;
	uint32_t last_id, met;
	uint64_t refused; /* candidates there was no room for */
	uint64_t dropped; /* pairs, for want of room */
};

/* §6.1.2.3; of the candidates' priorities, the controlling side's first. */
uint64_t snet_pair_priority(uint32_t controlling, uint32_t controlled);

void snet_checklist_init(struct snet_checklist *l, bool controlling);
/* All priorities are computed anew. */
void snet_checklist_set_role(struct snet_checklist *l, bool controlling);

/* Adds a candidate and the pairs it makes. Pointers to pairs are good until the next call of
 * one of these. SNET_EAGAIN: there is one like it (*index says which); SNET_ETOOBIG: no room,
 * counted. index may be NULL. */
int snet_checklist_add_local(struct snet_checklist *l, const struct snet_local *c,
			     size_t *index);
int snet_checklist_add_remote(struct snet_checklist *l, const struct snet_candidate *c,
			      size_t *index);
/* The peer's candidate that a check has come from (§7.3.1.3): one that is known, or a new
 * peer-reflexive one with that priority, for which an old one that leads nowhere may have to
 * go, but not too fast. */
int snet_checklist_meet(struct snet_checklist *l, uint32_t handle, const struct snet_addr *from,
			uint32_t priority, snet_time now, size_t *index);
/* The pair of a base and a peer's candidate, made if there is none, however low its priority.
 * NULL: no such base, or another family; or every pair there is, is in use. */
struct snet_pair *snet_checklist_make(struct snet_checklist *l, uint32_t handle, size_t remote);

struct snet_pair *snet_checklist_get(struct snet_checklist *l, uint32_t id); /* NULL: gone */
struct snet_pair *snet_checklist_find(struct snet_checklist *l, uint32_t handle,
				      const struct snet_addr *remote);
const struct snet_local *snet_pair_local(const struct snet_checklist *l,
					 const struct snet_pair *p);
const struct snet_candidate *snet_pair_remote(const struct snet_checklist *l,
					      const struct snet_pair *p);

/* What to check next: the triggered queue in its order, then the highest priority that waits,
 * above floor, thawing what §6.1.4.2 says. NULL: nothing now. *triggered: which of them. */
struct snet_pair *snet_checklist_next(struct snet_checklist *l, uint64_t floor,
				      bool *triggered);
void snet_checklist_trigger(struct snet_checklist *l, struct snet_pair *p);
/* Its check goes out. */
void snet_checklist_begin(struct snet_checklist *l, struct snet_pair *p);
/* It was answered; seen_as: index of the local candidate. Thaws its foundation. */
void snet_checklist_succeed(struct snet_checklist *l, struct snet_pair *p, size_t seen_as);
void snet_checklist_fail(struct snet_checklist *l, struct snet_pair *p);
/* To be checked as if it never was. */
void snet_checklist_again(struct snet_checklist *l, struct snet_pair *p);

size_t snet_checklist_count(const struct snet_checklist *l, enum snet_pair_state s);
/* The valid pair of the highest priority; NULL: none. */
struct snet_pair *snet_checklist_best(struct snet_checklist *l);

#endif
