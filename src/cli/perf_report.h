/* Perf report: what was measured, as events while it runs, and in the end as a summary, as a
 * table with a histogram (-H), and as a picture (--svg). */
#ifndef CLI_PERF_REPORT_H
#define CLI_PERF_REPORT_H

#include "base/clock.h"
#include "base/histogram.h"
#include "cli/perf_message.h"
#include "cli/run.h"

#define PERF_ROWS_MAX (32u << 20)   /* bytes of results kept */
#define PERF_SERIES_MAX (16u << 20) /* the same of points over time */

enum perf_way { PERF_SENT, PERF_RECEIVED };

/* Of one way: what has arrived, by the clock of the side that it arrives at. */
struct perf_track {
	bool has_base, has_last;
	struct perf_got base, last;  /* at the end of --omit; now, or at the end */
	struct perf_got mark, drawn; /* at the end of the last interval; of the last point */
};

/* A point of the picture. */
struct perf_point {
	uint32_t test;          /* the nth */
	uint32_t at_ms;         /* since the first */
	uint64_t bits_per_s[2]; /* by enum perf_way; PERF_NONE: none */
};

struct perf_report {
	struct run *run;
	const char *transport, *address; /* NULL: of a roster */
	snet_time every, omit;           /* every 0: no intervals */
	uint32_t parties;                /* 0: no roster */
	const char *svg;                 /* where to draw; NULL: nowhere */
	/* A row of our own. NULL: nobody asks. */
	void (*on_row)(const struct perf_result *row, void *user);
	void *on_row_user;

	/* of the test that runs */
	struct perf_result now;
	struct snet_histogram *hist, *wire, *since; /* since: the last interval */
	struct perf_track way[2];
	uint64_t lost;
	snet_time begin, marked, drawn;

	/* of all */
	bool began;
	snet_time first;
	struct snet_histogram *rtt, *rtt_wire; /* of every latency test */
	struct snet_buf rows, series;          /* struct perf_result, struct perf_point */
	uint32_t tests;
};

/* SNET_ENOMEM. run etc. are the caller's to set. After a failure too: perf_report_fini. */
int perf_report_init(struct perf_report *r);
void perf_report_fini(struct perf_report *r);

/* A test of these parties; UINT32_MAX: there is no roster, or all. */
void perf_report_begin(struct perf_report *r, const struct perf_plan *plan, uint32_t from,
		       uint32_t to, snet_time now);
/* A round trip, round or handshake that has just ended; wire: as the kernel saw it, or
 * SNET_NEVER. */
void perf_report_value(struct perf_report *r, snet_time took, snet_time wire, snet_time now);
/* What has arrived so far. */
void perf_report_got(struct perf_report *r, enum perf_way way, const struct perf_got *g);
/* From time to time: intervals, points. */
void perf_report_tick(struct perf_report *r, snet_time now);
/* When to tick next: at until, or before, if an interval ends before. */
snet_time perf_report_due(const struct perf_report *r, snet_time until);
/* The test is over: an event, and a row. */
void perf_report_end(struct perf_report *r, bool complete, snet_time now);
/* A row that somebody else has measured. */
void perf_report_row(struct perf_report *r, const struct perf_result *row);
size_t perf_report_rows(const struct perf_report *r, const struct perf_result **out);
/* The last word, the picture, and the end of the run, as run_done. */
void perf_report_finish(struct perf_report *r, const struct snet_error *err, uint64_t peer);

/* JSON: [[from ns, to ns, how many], ...] */
void perf_histogram_json(struct snet_buf *b, const struct snet_histogram *h);

/* ---- perf_table.c: for people */
void perf_table(const struct perf_report *r, struct snet_buf *b);
/* "23.4us", "1.24 Gbit/s": three digits and a unit. Returns out. */
#define PERF_TEXT 24
const char *perf_text_ns(char out[static PERF_TEXT], uint64_t ns);
const char *perf_text_bits(char out[static PERF_TEXT], uint64_t bits_per_s);
const char *perf_text_count(char out[static PERF_TEXT], uint64_t n);
const char *perf_text_size(char out[static PERF_TEXT], uint64_t bytes);
const char *perf_text_trim(char *s); /* without zeros behind the point, in place; returns s */

/* ---- perf_svg.c */
/* SNET_EIO, SNET_ENOMEM. */
int perf_svg_write(const struct perf_report *r, const char *path, struct snet_error *err);

#endif
