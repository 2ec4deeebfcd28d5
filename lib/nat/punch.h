/* clang-format off */
/* Punch: both sides send into each other's NAT at the same moment. One asks by signalling, the
 * other acknowledges at once; the delay that was asked for counts from the moment the request
 * arrived, which the asker knows to be half a round trip before the acknowledgement came.
 *
 *             start           acknowledged       time            all sent
 *   asker:    IDLE --> ASKED ------> POISED ------> PROBING ------> LISTENING --> FAILED
 *   other:    IDLE --> READY ------>  as above ^                      |
 *                        requested             `---- RESTING <--------'  asker: asked anew;
 *                                                                        other: READY again
 * A success leads from anywhere to DONE. Pure: after every call the owner steps until nothing is
 * wanted, and again at the deadline. */
/* clang-format on */
#ifndef SNET_NAT_PUNCH_H
#define SNET_NAT_PUNCH_H

#include "base/addr.h"
#include "base/clock.h"

#define SNET_PUNCH_TARGETS 16         /* addresses and ports: told, and foretold */
#define SNET_PUNCH_BIRTHDAY_MAX 1024  /* ports drawn by lot, in one attempt */
#define SNET_PUNCH_DELAY_MAX_MS 5000u /* that a peer may ask for */

enum snet_punch_state {
	SNET_PUNCH_IDLE,
	SNET_PUNCH_ASKED,
	SNET_PUNCH_READY,
	SNET_PUNCH_POISED,
	SNET_PUNCH_PROBING,
	SNET_PUNCH_LISTENING,
	SNET_PUNCH_RESTING,
	SNET_PUNCH_DONE,
	SNET_PUNCH_FAILED
};

/* The defaults are those of the crate's HolePunchConfig. */
struct snet_punch_config {
	snet_time initial_delay, jitter;
	snet_time probe_interval;
	snet_time connection_timeout; /* after the last probe */
	snet_time retry_delay;        /* half as much more each time */
	snet_time answer_timeout;     /* for an acknowledgement */
	snet_time request_timeout;    /* for a request */
	unsigned probe_count, retries;
	unsigned birthday; /* ports drawn by lot, besides; 0: none */
};
extern const struct snet_punch_config snet_punch_defaults;

enum snet_punch_what {
	SNET_PUNCH_NOTHING,
	SNET_PUNCH_REQUEST, /* signal: PunchRequest with transaction and delay_ms */
	SNET_PUNCH_ACK,     /* signal: PunchAck with transaction */
	SNET_PUNCH_PROBE,   /* send something to it from the socket that is to be used */
	SNET_PUNCH_GIVE_UP  /* once, and last */
};
struct snet_punch_want {
	enum snet_punch_what what;
	uint64_t transaction;
	uint32_t delay_ms;
	struct snet_addr to;
};

struct snet_punch {
	struct snet_punch_config config;
	enum snet_punch_state state;
	bool asker, ack_due;
	uint64_t transaction;
	struct snet_addr targets[SNET_PUNCH_TARGETS];
	size_t targets_n;
	snet_time deadline; /* step then; SNET_NEVER: none */
	snet_time asked_at, rtt, delay;
	unsigned attempt, round, at; /* at: the next probe of the round */
};

/* transaction: a random number; of the other side, none. SNET_EINVAL: a configuration without
 * probes or time. */
int snet_punch_init(struct snet_punch *p, const struct snet_punch_config *config, bool asker,
		    uint64_t transaction);
/* SNET_EPOLICY: an address nothing is sent to; SNET_ETOOBIG: too many; SNET_EAGAIN: known. */
int snet_punch_add(struct snet_punch *p, const struct snet_addr *target, bool loopback);
void snet_punch_start(struct snet_punch *p, snet_time now);
/* The peer's PunchRequest. SNET_EPROTO: a delay beyond the limit; SNET_EAGAIN: we are asking.
 */
int snet_punch_requested(struct snet_punch *p, uint64_t transaction, uint32_t delay_ms,
			 snet_time now);
/* SNET_EAGAIN: of another transaction, or not waited for. */
int snet_punch_acknowledged(struct snet_punch *p, uint64_t transaction, snet_time now);
void snet_punch_succeeded(struct snet_punch *p);
/* random: 64 fresh bits at every call. */
struct snet_punch_want snet_punch_step(struct snet_punch *p, snet_time now, uint64_t random);

/* ---- what a NAT that gives every destination another port will give the next ones. seen: the
 * ports of one socket as servers saw them, one after the other. Writes at most max ports, the
 * likeliest first, and returns how many: 1 when it is always the same; 0 when there is no rule,
 * or fewer than three are known. */
size_t snet_punch_foretell(const uint16_t *seen, size_t n, uint16_t *out, size_t max);

#endif
