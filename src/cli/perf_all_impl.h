/* Perf all impl: what perf_all.c, which knows whose turn it is, and perf_mates.c, which has the
 * connections of the parties, say to each other. */
#ifndef CLI_PERF_ALL_IMPL_H
#define CLI_PERF_ALL_IMPL_H

#include "cli/perf.h"
#include "mesh/link.h"

enum perf_stage {
	STAGE_CONNECTING,
	STAGE_WAITING,
	STAGE_TESTING,
	STAGE_ROUNDS,
	STAGE_PARTING,
	STAGE_OVER
};

/* Another party. */
struct perf_mate {
	struct perf_all *all;
	const struct roster_member *party;
	size_t nth;             /* of the roster, in order of ids */
	struct perf_chan *chan; /* NULL: not connected */
	bool up, heard_stop;
	uint64_t round; /* the last that it has sent */
	size_t rows;    /* results that it has told */
	struct net_host host;
	struct snet_resolve *resolve; /* its name is being looked up; NULL */
	snet_time backoff;
	struct snet_timer redial;
	struct snet_error last;
};

struct perf_all {
	struct run *run;
	struct net *net;
	const struct perf_opts *opts;
	struct perf_opts pair; /* the tests of a pair: without rounds */
	struct perf_report *report;
	struct perf_serve *serve;
	struct perf_client *client;
	enum perf_stage stage;
	size_t me, n;
	struct perf_mate *mates; /* n of them; mine is empty */
	size_t at;               /* whom I test now */
	bool my_turn, all_turn;
	/* lockstep */
	size_t round_plan; /* which of opts; opts->n: none */
	struct perf_plan plan;
	uint64_t round, last_round; /* 0: not known yet */
	snet_time began, sent;
	snet_time parted; /* STOP was said */
	struct snet_timer tick;
	struct snet_task next; /* out of the callback of a client */
	snet_time wait_until, said;
	struct snet_error why; /* it ended early */
};

/* ---- perf_all.c */
void perf_all_advance(struct perf_all *a); /* does what is next, if it is time for it */
void perf_all_message(struct perf_chan *c, const struct perf_message *m, size_t total,
		      void *mate);
/* It is gone: so is the whole. */
void perf_all_lose(struct perf_mate *m, int code, const char *why);

/* ---- perf_mates.c */
/* The parties of the roster, in order of ids. SNET_ECONFIG, SNET_ENOMEM. */
int perf_mates_find(struct perf_all *a, struct snet_error *err);
void perf_mate_dial(struct perf_mate *m); /* again and again until --wait is over */
/* From the server: not somebody who wants a test. */
void perf_mate_passed(struct perf_chan *c, const struct perf_message *m, void *all);
void perf_mate_say(struct perf_mate *m, const struct perf_message *msg, size_t total);
/* Who is not there yet; m: who was just tried, or NULL. Not more often than once a second. */
void perf_mates_say_waiting(struct perf_all *a, const struct perf_mate *m, snet_time now);

#endif
