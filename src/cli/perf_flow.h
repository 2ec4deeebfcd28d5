/* Perf flow: what both sides of a test do on one connection: send DATA as fast as the other
 * side takes it, count what comes, keep in step. Over datagrams with a window of its own, which
 * halves when something was lost, as any good citizen's. */
#ifndef CLI_PERF_FLOW_H
#define CLI_PERF_FLOW_H

#include "cli/perf_chan.h"
#include "io/loop.h"

/* Of all connections of a test. */
struct perf_totals {
	snet_time start; /* when the test was accepted */
	uint64_t bytes, messages, lost;
};

/* A message that there was no room for. */
struct perf_owed {
	enum perf_type type;
	uint64_t seq;
};

struct perf_flow {
	struct snet_loop *loop;
	struct perf_chan *chan;
	struct perf_totals *totals;
	uint32_t size;
	struct snet_task pump, report;
	/* out */
	bool sends, owes;
	struct perf_owed owed;
	uint64_t next;            /* seq of the next DATA */
	uint64_t acked, lost;     /* as the other side reports */
	uint64_t window, recover; /* messages; up to here a loss is known already */
	bool had_loss;
	snet_time moved; /* when it was last reported to have got anything */
	/* in */
	uint64_t highest, messages;
	/* in lockstep: the round this side is in, and has sent its message of */
	uint64_t round;
};

void perf_flow_init(struct perf_flow *f, struct snet_loop *l, struct perf_chan *c,
		    uint32_t size, struct perf_totals *t);
void perf_flow_stop(struct perf_flow *f); /* before the chan is closed */

void perf_flow_send(struct perf_flow *f); /* DATA, from now on */
void perf_flow_room(struct perf_flow *f); /* the chan's on_room */
/* DATA and REPORT are taken care of; false: it is something else. */
bool perf_flow_message(struct perf_flow *f, const struct perf_message *m, size_t total);
void perf_flow_report(struct perf_flow *f); /* says what has come */
/* From time to time: what was lost on the way must not stop it. */
void perf_flow_tick(struct perf_flow *f, snet_time now);

/* A PING, PONG or ROUND as large as the test wants them. */
void perf_flow_say(struct perf_flow *f, enum perf_type type, uint64_t seq);
/* A ROUND has come. true: it ends the round this side was in, and the next one has begun. */
bool perf_flow_round(struct perf_flow *f, uint64_t seq);

#endif
