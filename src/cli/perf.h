/* Perf: what snet-perf was asked for, and the ways it does it: be a server, test one, or be a
 * party of a roster of which all pairs are tested. */
#ifndef CLI_PERF_H
#define CLI_PERF_H

#include "cli/net.h"
#include "cli/perf_chan.h"
#include "cli/perf_report.h"
#include "cli/run.h"

#define PERF_PLANS 64 /* tests of one pair */

struct perf_opts {
	struct perf_plan plans[PERF_PLANS]; /* in order; size 0: what suits the transport */
	size_t n;
};

/* What the command line said. */
struct perf_wishes {
	struct opt_list tests, sizes; /* none: all; what suits the test */
	snet_time time, omit;
	uint64_t parallel;
};

/* ---- perf_plan.c: the tests in their order. SNET_EINVAL: err says which option is wrong. */
int perf_plan_make(struct perf_opts *o, const struct perf_wishes *w, bool udp,
		   struct snet_error *err);

/* When --wait is over. */
snet_time perf_until(const struct snet_loop *l);

/* ---- perf_client.c: the tests of one server */
struct perf_client;

struct perf_client_opts {
	const struct perf_opts *opts;
	struct perf_report *report;
	uint32_t from, to;    /* for the report; UINT32_MAX: no roster */
	snet_time wait_until; /* for the server to be there */
	/* Once, and last; err NULL: all went well. */
	void (*on_over)(const struct snet_error *err, void *user);
	void *user;
};

/* SNET_ENOMEM. on_over is not called before the return. */
int perf_client_new(struct perf_client **out, struct net *n, const struct snet_url *url,
		    const struct perf_client_opts *o, struct snet_error *err);
/* Ends the test that runs: what it has measured so far is reported. on_over follows. */
void perf_client_stop(struct perf_client *c);
void perf_client_free(struct perf_client *c); /* NULL is fine; not within on_over */

/* Worth another attempt: a host that is starting, a name not yet known. */
bool perf_may_pass(int code);

/* ---- perf_serve.c */
struct perf_serve;

/* most: the longest test. SNET_ENOMEM. */
int perf_serve_new(struct perf_serve **out, struct net *n, snet_time most,
		   struct snet_error *err);
/* SNET_EINVAL: a scheme it has already; and as the carriers. A host is numeric, or empty. */
int perf_serve_listen(struct perf_serve *s, const struct snet_url *at, struct snet_error *err);
/* Ends the test that runs, as if its client were lost. NULL is fine. */
void perf_serve_stop(struct perf_serve *s);
void perf_serve_free(struct perf_serve *s); /* NULL is fine */
/* Connections that say TURN, ROW or ROUND before anything else belong to a party's mesh:
 * fn takes them over, and m, or closes. */
void perf_serve_pass(struct perf_serve *s,
		     void (*fn)(struct perf_chan *c, const struct perf_message *m, void *user),
		     void *user);

/* ---- perf_all.c: a party of the roster. Ends the run by itself. *out is the caller's also
 * after a failure. at: where it listens, as perf_serve_listen. SNET_ECONFIG, and as that. */
struct perf_all;

int perf_all_new(struct perf_all **out, struct run *run, struct net *n,
		 const struct snet_url *at, const struct perf_opts *o,
		 struct perf_report *report, struct snet_error *err);
void perf_all_stop(struct perf_all *a);
void perf_all_free(struct perf_all *a); /* NULL is fine */

#endif
