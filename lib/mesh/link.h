/* clang-format off */
/* Link: the life of one dial. Dial, be up, lose it, back off with jitter, dial again, until
 * the wait is over.
 *
 *             start             opened          lost
 *       DOWN ------> DIALING ------------> UP ------> WAITING
 *                    ^     |                           ^   |
 *                    |     `--------- lost, due -------'   |
 *                    `------------------ due --------------'
 *
 *       The other side may have dialled meanwhile: opened leads from DOWN and WAITING to UP, too.
 *       Any of them goes to CLOSED on close; instead of waiting or dialling once the wait is
 *       over, with GIVE_UP wanted.
 *
 * Pure: holds no socket, reads no clock, calls nobody. The owner feeds events, the time and a
 * random number, does what is wanted, and comes back at link.deadline. */
/* clang-format on */
#ifndef SNET_MESH_LINK_H
#define SNET_MESH_LINK_H

#include <stdint.h>

#include "base/clock.h"

/* Doubles from one to the other; each wait is drawn from [half, whole], of no less than
 * link.patience. */
#define SNET_LINK_BACKOFF_MIN (50 * SNET_MS)
#define SNET_LINK_BACKOFF_MAX (2 * SNET_SEC)

enum snet_link_state {
	SNET_LINK_DOWN,
	SNET_LINK_DIALING,
	SNET_LINK_UP,
	SNET_LINK_WAITING,
	SNET_LINK_CLOSED
};
enum snet_link_event {
	SNET_LINK_START,
	SNET_LINK_OPENED,
	SNET_LINK_LOST,
	SNET_LINK_DUE,
	SNET_LINK_CLOSE
};
enum snet_link_want { SNET_LINK_NOTHING, SNET_LINK_DIAL, SNET_LINK_HANGUP, SNET_LINK_GIVE_UP };

struct snet_link {
	enum snet_link_state state;
	snet_time deadline;     /* feed SNET_LINK_DUE then; SNET_NEVER: none */
	snet_time give_up;      /* absolute; no dial begins at or after it */
	snet_time dial_timeout; /* of one attempt */
	snet_time patience;     /* the owner's: the shortest whole backoff [0] */
	unsigned tries;         /* since the last time it was up */
};

/* give_up: absolute, SNET_NEVER for ever; so may be dial_timeout. */
void snet_link_init(struct snet_link *l, snet_time give_up, snet_time dial_timeout);

/* Of n parties. Many that are started together are not all there at once, and a dial to one
 * that is not costs as much as the beginning of a handshake: so long to wait before the first,
 * and, as patience, between the others until it has been there. */
snet_time snet_link_settle(uint32_t n);

/* Returns what the owner must do now. An event that means nothing in the present state is
 * ignored: late callbacks are normal, not errors. */
enum snet_link_want snet_link_step(struct snet_link *l, enum snet_link_event ev, snet_time now,
				   uint32_t random);

#endif
