/* clang-format off */
/* Pact: two sides begin to punch at the same moment, agreed upon through the signalling they have
 * already. Whoever has a plan asks; the other side answers at once. The first request measures:
 * without the round trip a delay could only be guessed, too long for most and too short for those
 * who are far away. The second one times: the other side begins so long after it has come, and
 * who asks begins half of its round trip later than that, counted from when it was said. The delay
 * is longer than the way back of the answer, so that it is there before either begins.
 *
 *   IDLE -> MEASURING -> TIMING -> AGREED -> OVER    who asks; TIMING -> OVER: by what the first
 *     |         `-----------v------^           ^     request has measured, the answer being late
 *     `------------------> AWAITING -----------'     who is asked
 *
 * Any leads to OVER: who has no pact after a while begins by itself, so that a peer that knows of
 * none costs nothing. Of two who ask each other, the greater number wins: roles may be in conflict
 * as well. What the peer says is bounded in number, and in how long it makes us wait.
 * Pure: the owner says what is wanted, and comes back at the deadline. Which addresses are fit to
 * be a target is its business, too. */
/* clang-format on */
#ifndef SNET_NAT_PUNCH_PACT_H
#define SNET_NAT_PUNCH_PACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"

#define SNET_PACT_ALONE SNET_SEC          /* without a word of the peer, since it is wanted */
#define SNET_PACT_WAIT_MAX (3 * SNET_SEC) /* whatever the peer says, since it is wanted */
#define SNET_PACT_DELAY_LEAST (20 * SNET_MS) /* processes and timers are late, too */
#define SNET_PACT_DELAY_MAX (2 * SNET_SEC)   /* a longer one is nothing to agree upon */
#define SNET_PACT_ASKS 2                     /* pacts that one side asks for */
#define SNET_PACT_HEARD 6                    /* requests that it answers */

enum snet_pact_kind { SNET_PACT_REQUEST, SNET_PACT_ACK };

/* What is said. Of an ack kind and id alone mean something. */
struct snet_pact_word {
	enum snet_pact_kind kind;
	uint64_t id;
	struct snet_addr target; /* where who asks expects to be met */
	snet_time delay;         /* whole milliseconds; 0: it measures */
};

enum snet_pact_state {
	SNET_PACT_IDLE,
	SNET_PACT_MEASURING,
	SNET_PACT_TIMING,
	SNET_PACT_AWAITING, /* the request that times */
	SNET_PACT_AGREED,
	SNET_PACT_OVER
};

struct snet_pact {
	enum snet_pact_state state;
	snet_time deadline;     /* step then; SNET_NEVER: none */
	snet_time since, alone; /* when it was wanted; when we begin by ourselves */
	snet_time asked, at;    /* at: when to begin */
	snet_time delay, rtt;   /* rtt: of the last request of ours; 0: not known */
	uint64_t id; /* of our request under way; that which times has the next one */
	struct snet_addr target; /* ours; agreed with the peer's request: its */
	bool ask, answer;        /* to be said */
	uint64_t answers;
	unsigned asks, heard_n;
	uint64_t heard[SNET_PACT_HEARD];
};

void snet_pact_init(struct snet_pact *p);
/* Something will have to be done, soon: by ourselves, if nothing else comes of it. Again: the
 * time until then is not counted anew. */
void snet_pact_want(struct snet_pact *p, snet_time now);
/* There is something to agree upon. id: 64 random bits. SNET_EAGAIN: the peer has asked, or a
 * pact is under way, or over; SNET_EPOLICY: there have been too many. */
int snet_pact_ask(struct snet_pact *p, uint64_t id, const struct snet_addr *target,
		  snet_time now);
/* What the peer says. SNET_EAGAIN: of no pact that is under way, or once more; SNET_EPOLICY:
 * too long a delay, or too many requests; SNET_ECLOSED: it is over. Each without consequence.
 */
int snet_pact_hear(struct snet_pact *p, const struct snet_pact_word *w, snet_time now);

enum snet_pact_what {
	SNET_PACT_NOTHING,
	SNET_PACT_SAY,         /* out, to the peer, at once */
	SNET_PACT_BEGIN,       /* as agreed; it is over */
	SNET_PACT_BEGIN_ALONE, /* there was no pact; it is over */
};
enum snet_pact_what snet_pact_step(struct snet_pact *p, struct snet_pact_word *out,
				   snet_time now);
/* Begun, and there was nothing to do, so far: another may be wanted. What was heard is not
 * forgotten. */
void snet_pact_renew(struct snet_pact *p);
void snet_pact_stop(struct snet_pact *p); /* no need any more */

#endif
