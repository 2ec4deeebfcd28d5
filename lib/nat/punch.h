/* clang-format off */
/* Punch: a way through NATs that give every destination another port: which ports such a NAT
 * gives next, and which to try where that cannot be known. One side probes many ports of the
 * other's NAT from the one port it is known by; the other, where it is asked to, holds many
 * ports open towards that one (the birthday paradox: 256 held and 1024 drawn meet 98 times of
 * 100). What is sent are checks of ICE: who hears one answers, and checks in turn.
 *
 *   IDLE --> PROBING --> OVER      one side
 *       `--> HOLDING -----^        the other one
 *
 * When both begin is agreed upon where it can be (punch_pact.h): the ports foretold are those of
 * that moment, and whoever waits for the other loses time. It need not be: what is held open
 * stays so while the other probes. Pure: the owner steps until nothing is wanted, and again at the deadline. */
/* clang-format on */
#ifndef SNET_NAT_PUNCH_H
#define SNET_NAT_PUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define SNET_PUNCH_NEXT 8            /* ports foretold to the peer */
#define SNET_PUNCH_AHEAD 64          /* and beyond them: probed by the peer */
#define SNET_PUNCH_BETWEEN 16        /* and between them */
#define SNET_PUNCH_BIRTHDAY_MAX 1024 /* ports drawn by lot */
#define SNET_PUNCH_HELD_MAX 256      /* held open: a quarter of that */

#define SNET_PUNCH_PACE (10 * SNET_MS)        /* between two probes */
#define SNET_PUNCH_HOLD_PACE (5 * SNET_MS)    /* between two sockets: RFC 8445 §14.2 */
#define SNET_PUNCH_HOLD_AGAIN (10 * SNET_SEC) /* NATs forget what is not answered */
#define SNET_PUNCH_HOLD_FOR (20 * SNET_SEC)
#define SNET_PUNCH_HEAD_START (1500 * SNET_MS) /* for who holds, before lots are drawn */

/* What a NAT that gives every destination another port will give the next ones. seen: the ports
 * it has given, one after the other. Writes at most max ports, the likeliest first, and returns
 * how many: 1 when it is always the same; 0 when there is no rule, or fewer than three are
 * known. */
size_t snet_punch_foretell(const uint16_t *seen, size_t n, uint16_t *out, size_t max);

/* What it has given in between, to others than those who told of it, or to us before they were
 * asked. seen: as above, and of a rule. Writes at most max ports, and returns how many. */
size_t snet_punch_between(const uint16_t *seen, size_t n, uint16_t *out, size_t max);

/* Where both NATs step, every probe costs us a port of our own, and must go to the very port
 * that the peer's probe to that one comes from. How far the counters have come neither knows:
 * so one side, twice, takes every other of the peer's ports, and the other side takes each:
 * like lines of unlike slope, they cross. Puts ports in the order in which they are to be
 * probed, and returns how many are left. */
size_t snet_punch_cross(uint16_t *ports, size_t n, bool twice);

enum snet_punch_state {
	SNET_PUNCH_IDLE,
	SNET_PUNCH_PROBING,
	SNET_PUNCH_HOLDING,
	SNET_PUNCH_OVER
};

enum snet_punch_what {
	SNET_PUNCH_NOTHING,
	SNET_PUNCH_PROBE, /* that port */
	SNET_PUNCH_HOLD,  /* by that socket; to be opened, if it is not yet */
	SNET_PUNCH_DONE   /* once, and last */
};
struct snet_punch_want {
	enum snet_punch_what what;
	uint16_t port;
	unsigned socket; /* from 0, below SNET_PUNCH_HELD_MAX */
};

struct snet_punch {
	enum snet_punch_state state;
	snet_time deadline; /* step then; SNET_NEVER: none */
	uint16_t listed[SNET_PUNCH_AHEAD];
	unsigned listed_n, lots, sockets;
	unsigned at; /* the next one */
	uint32_t first, stride;
	snet_time round, end; /* when all held are to be held anew, and let go */
};

void snet_punch_init(struct snet_punch *p);
/* How it may begin, once. SNET_EINVAL: it has, or there is nothing to do. */

/* To probe these ports. */
int snet_punch_sweep(struct snet_punch *p, const uint16_t *ports, size_t n, snet_time now);
/* To probe as many by lot, no port twice. random: 64 fresh bits. */
int snet_punch_draw(struct snet_punch *p, unsigned lots, uint64_t random, snet_time now);
/* To hold, for a peer that draws so many lots. */
int snet_punch_hold(struct snet_punch *p, unsigned lots, snet_time now);

struct snet_punch_want snet_punch_step(struct snet_punch *p, snet_time now);
void snet_punch_stop(struct snet_punch *p); /* nothing is wanted any more */

#endif
