/* Perf client impl: what perf_client.c, which keeps the order of things, and perf_measure.c,
 * which does each test, say to each other. */
#ifndef CLI_PERF_CLIENT_IMPL_H
#define CLI_PERF_CLIENT_IMPL_H

#include "cli/perf.h"
#include "cli/perf_flow.h"
#include "mesh/link.h"

enum perf_state {
	PERF_DIALLING,
	PERF_STARTING,
	PERF_RUNNING,
	PERF_STOPPING,
	PERF_ENDING, /* on_over is on its way */
	PERF_OVER
};

/* One connection of a test. */
struct perf_lane {
	struct perf_chan *chan; /* NULL: gone */
	struct perf_flow flow;
	bool up, accepted;
	uint8_t cookie[PERF_COOKIE];
	snet_time asked, heard;
	/* latency and rounds: what is under way */
	uint64_t seq;
	snet_time sent;
};

/* One of the handshakes. */
struct perf_shake {
	struct perf_client *client;
	struct perf_chan *chan;
	snet_time begin;
};

struct perf_client {
	struct net *net;
	struct snet_url url;
	struct perf_client_opts o;
	const struct perf_carrier *carrier;
	struct net_host host;         /* at: the one that is tried, or was there */
	struct snet_resolve *resolve; /* its name is being looked up; NULL */
	bool met;                     /* the server was there at one time */

	enum perf_state state;
	size_t at; /* of the plans */
	struct perf_plan plan;
	uint64_t session;
	snet_time since;   /* the beginning of what it does now */
	snet_time dialled; /* the last attempt */
	struct perf_lane lanes[PERF_PARALLEL_MAX];
	unsigned n, wanted, accepted;
	/* The server accepted what was asked then; it counts from there, and what is sent when
	 * the test runs arrives so much later. */
	snet_time asked, later_by;
	struct perf_totals totals; /* of what is received */
	struct perf_shake shakes[PERF_PARALLEL_MAX];
	snet_time slowest; /* round trip so far */

	struct snet_timer tick, redial;
	struct snet_task later;
	snet_time backoff, said;
	struct snet_error last, error;
};

extern const struct perf_chan_events perf_lane_events;

/* The test ends, and so do those that were to follow; code SNET_OK: because it was told to. */
void perf_client_fail(struct perf_client *c, int code, const char *why);

void perf_client_lose(struct perf_client *c, int code, const char *why);
void perf_client_hang_up(struct perf_client *c); /* all connections */

/* ---- perf_dial.c */
void perf_dial_init(struct perf_client *c);
void perf_dial(struct perf_client *c); /* all connections of a test */
/* Never met: again, as long as --wait lasts. */
void perf_dial_again(struct perf_client *c, int code, const char *why);
void perf_dial_tick(struct perf_client *c, snet_time now);
void perf_dial_stop(struct perf_client *c);

/* ---- perf_measure.c */
/* Bytes of a message, for a test that was not told. */
uint32_t perf_size_for(const struct perf_carrier *t, enum perf_test test,
		       const struct snet_addr *to);
void perf_measure_begin(struct perf_client *c, snet_time now);
void perf_measure_message(struct perf_client *c, struct perf_lane *l,
			  const struct perf_message *m, size_t total);
void perf_measure_tick(struct perf_client *c, snet_time now);
void perf_measure_lost(struct perf_client *c); /* tells the report what was */
void perf_shake_stop(struct perf_client *c);

#endif
