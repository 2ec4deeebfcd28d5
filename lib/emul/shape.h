/* Shape: one direction of a link. A packet's size and the time go in; what becomes of it comes
 * out: lost, or delivered then, so often, with that bit turned over. Pure, and for equal seed
 * and packets equal: packet k's fate is a function of both, but for what waits in the queue.
 *
 * Order of things, as on a real path: the link is down or not; random loss; the queue before
 * the bottleneck, which drops what finds it full (tail drop); the bottleneck, a token bucket
 * that drains at rate; then the way itself, delay and jitter. Jitter reorders when it is larger
 * than the distance of packets, as in netem: SNET_SHAPE_IN_ORDER keeps the order instead. */
#ifndef SNET_EMUL_SHAPE_H
#define SNET_EMUL_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

enum snet_jitter { SNET_JITTER_UNIFORM, SNET_JITTER_NORMAL, SNET_JITTER_PARETO };

#define SNET_DELAY_MAX (3600 * SNET_SEC)
#define SNET_RATE_MIN 1000ull          /* bits per second */
#define SNET_RATE_MAX 1000000000000ull /* bits per second */
#define SNET_QUEUE_MAX (1ull << 30)    /* bytes */
#define SNET_BURST_MAX (1ull << 30)    /* bytes */
#define SNET_MTU_MIN 576               /* bytes: what every IPv4 host takes, RFC 791 §3.1 */
#define SNET_MTU_MAX 65535             /* bytes */

/* What the link is like. All zero: nothing is done to a packet. Probabilities from 0 to 1. */
struct snet_shape_spec {
	snet_time delay;  /* one way */
	snet_time jitter; /* uniform: the furthest off; normal, pareto: the deviation */
	enum snet_jitter distribution;
	double correlation; /* of a packet's jitter with that of the one before */
	uint64_t rate;      /* bits per second; 0: without bound */
	uint64_t burst;     /* bytes that pass at once after a silence; 0: none */
	/* The queue: the most bytes or the longest time waiting. Both 0: what the rate carries
	 * in 100 ms, at least 64 KiB. */
	uint64_t limit_bytes;
	snet_time limit_time;
	double loss;
	/* Gilbert and Elliott: good to bad, bad to good, loss in bad, loss in good. */
	bool gemodel;
	double ge_p, ge_r, ge_bad, ge_good;
	double duplicate, reorder, corrupt;
	uint32_t mtu; /* bytes; what is larger is dropped, as if it must not be fragmented; 0:
			 none */
	bool in_order;
};

/* Is there anything that contradicts itself? SNET_EINVAL, err in words. */
int snet_shape_check(const struct snet_shape_spec *s, struct snet_error *err);

struct snet_shape_count {
	uint64_t packets, bytes; /* offered */
	uint64_t delivered, delivered_bytes;
	uint64_t lost;    /* by loss */
	uint64_t dropped; /* by the queue */
	uint64_t cut;     /* by a link that is down */
	uint64_t oversize;
	uint64_t duplicated, reordered, corrupted;
};

struct snet_shape {
	struct snet_shape_spec spec;
	uint64_t seed, n; /* n: packets so far */
	bool down;
	bool bad;         /* Gilbert and Elliott */
	double z;         /* the last jitter, as a normal number */
	snet_time tat;    /* when all that was taken will have drained, burst apart */
	uint64_t rest;    /* what the division by rate left over */
	snet_time newest; /* the latest delivery so far */
	struct snet_shape_count count;
};

/* spec: checked, copied. seed: one per link, or they all lose the same packets. */
void snet_shape_init(struct snet_shape *s, const struct snet_shape_spec *spec, uint64_t seed);
/* From now on like this; what was taken before keeps its fate. Counters and draws go on. */
void snet_shape_change(struct snet_shape *s, const struct snet_shape_spec *spec);

enum snet_fate {
	SNET_FATE_DELIVER,
	SNET_FATE_LOST,
	SNET_FATE_DROPPED,
	SNET_FATE_CUT,
	SNET_FATE_OVERSIZE
};

struct snet_shape_fate {
	enum snet_fate fate;
	unsigned copies;  /* 1, or 2 */
	bool corrupt;     /* bit of the packet is turned over; taken modulo its bits */
	uint64_t bit;     /* any number */
	snet_time queued; /* how long it waits before the bottleneck, its own bits included */
	snet_time when;   /* it arrives; never before now */
};

/* One packet of size bytes, headers included. */
struct snet_shape_fate snet_shape_push(struct snet_shape *s, size_t size, snet_time now);

/* A segment of a byte stream, whose sender waits and sends again rather than losing anything:
 * never dropped; loss is a delay by one round trip more, and the order is kept. SNET_FATE_CUT
 * while the link is down: to be offered again. rtt: of both ways together. */
struct snet_shape_fate snet_shape_push_stream(struct snet_shape *s, size_t size, snet_time rtt,
					      snet_time now);

/* Bytes and time that wait before the bottleneck. */
uint64_t snet_shape_backlog(const struct snet_shape *s, snet_time now);
snet_time snet_shape_wait(const struct snet_shape *s, snet_time now);
/* The queue's ceiling in time, at this rate; SNET_NEVER without a rate. */
snet_time snet_shape_limit(const struct snet_shape_spec *s);

/* The share of packets that loss and Gilbert and Elliott lose in the long run. */
double snet_shape_loss(const struct snet_shape_spec *s);

#endif
