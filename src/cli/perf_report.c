#include "cli/perf_report.h"

#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/say.h"
#include "cli/sink.h"

#define JSON_MAX (48u << 10)
#define COARSE 3             /* 1 << this buckets go into one of the JSON list */
#define POINT (45 * SNET_MS) /* between two points of the picture, at least */
#define POINTS 200           /* of a test, at most */
#define TABLE_MAX (4u << 20)
#define RATE_MAX 1e18 /* per second; 8 times as much is a number, too */

/* ---- life */

int perf_report_init(struct perf_report *r)
{
	struct snet_histogram **all[] = { &r->hist, &r->wire, &r->since, &r->rtt,
					  &r->rtt_wire };

	r->rows = SNET_BUF(PERF_ROWS_MAX);
	r->series = SNET_BUF(PERF_SERIES_MAX);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		*all[i] = calloc(1, sizeof(**all[i]));
		if (!*all[i])
			return SNET_ENOMEM;
	}
	return SNET_OK;
}

void perf_report_fini(struct perf_report *r)
{
	free(r->hist);
	free(r->wire);
	free(r->since);
	free(r->rtt);
	free(r->rtt_wire);
	snet_buf_free(&r->rows);
	snet_buf_free(&r->series);
}

static void empty(struct snet_histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void perf_report_begin(struct perf_report *r, const struct perf_plan *plan, uint32_t from,
		       uint32_t to, snet_time now)
{
	perf_result_init(&r->now, plan);
	r->now.from = from;
	r->now.to = to;
	empty(r->hist);
	empty(r->wire);
	empty(r->since);
	memset(r->way, 0, sizeof(r->way));
	r->way[PERF_SENT].has_base = r->way[PERF_RECEIVED].has_base = !r->omit;
	r->lost = 0;
	r->begin = r->marked = r->drawn = now;
	if (!r->began)
		r->first = now;
	r->began = true;
}

/* ---- what comes */

void perf_report_value(struct perf_report *r, snet_time took, snet_time wire, snet_time now)
{
	snet_time end = r->begin + r->now.plan.time_ms * SNET_MS;

	if (now > end)
		return;
	snet_histogram_add(r->since, took);
	if (now < r->begin + r->omit)
		return;
	snet_histogram_add(r->hist, took);
	if (wire != SNET_NEVER)
		snet_histogram_add(r->wire, wire);
}

void perf_report_got(struct perf_report *r, enum perf_way way, const struct perf_got *g)
{
	struct perf_track *t = &r->way[way];
	snet_time end = (snet_time)r->now.plan.time_ms * SNET_MS;

	if (t->has_last &&
	    (g->us < t->last.us || g->bytes < t->last.bytes || g->messages < t->last.messages))
		return; /* overtaken by a later one */
	if (t->has_last && t->last.us * SNET_US >= end)
		return;
	if (!t->has_base && g->us * SNET_US >= r->omit) {
		t->has_base = true;
		t->base = *g;
	}
	t->has_last = true;
	t->last = *g;
}

/* a per second of what is counted over so many microseconds */
static uint64_t rate(uint64_t n, uint64_t us)
{
	double v = us ? (double)n * 1e6 / (double)us : 0;

	if (!us)
		return PERF_NONE;
	return v < RATE_MAX ? (uint64_t)v : (uint64_t)RATE_MAX; /* a server may say anything */
}

static uint64_t bits(const struct perf_got *from, const struct perf_got *to)
{
	uint64_t per_s = rate(to->bytes - from->bytes, to->us - from->us);

	return per_s == PERF_NONE ? per_s : 8 * per_s;
}

/* ---- while it runs */

static struct out_field number(const char *name, uint64_t v)
{
	return out_if(v != PERF_NONE, out_uint(name, v));
}

static struct out_field party(const char *name, uint32_t id)
{
	return out_if(id != UINT32_MAX, out_uint(name, id));
}

static void say_interval(struct perf_report *r, snet_time now)
{
	const struct perf_result *t = &r->now;
	const struct snet_histogram *h = r->since;
	uint64_t n[2], b[2];

	for (int i = 0; i < 2; i++) {
		struct perf_track *w = &r->way[i];

		n[i] = w->has_last ? w->last.messages - w->mark.messages : PERF_NONE;
		b[i] = w->has_last ? bits(&w->mark, &w->last) : PERF_NONE;
		if (w->has_last)
			w->mark = w->last;
	}
	out_event("perf.interval", party("from", t->from), party("to", t->to),
		  out_text("test", perf_test_names[t->plan.test]),
		  out_uint("size", t->plan.size), out_uint("at_ms", (now - r->begin) / SNET_MS),
		  out_bool("omitted", r->marked < r->begin + r->omit),
		  out_if(h->n, out_uint("count", h->n)),
		  out_if(h->n, out_uint("p50_ns", snet_histogram_quantile(h, 0.5))),
		  out_if(h->n, out_uint("p99_ns", snet_histogram_quantile(h, 0.99))),
		  number("sent_messages", n[0]), number("sent_bits_per_s", b[0]),
		  number("received_messages", n[1]), number("received_bits_per_s", b[1]));
	empty(r->since);
	r->marked = now;
}

static void draw_point(struct perf_report *r, snet_time now)
{
	struct perf_point p = { r->tests, (uint32_t)((now - r->first) / SNET_MS), { 0 } };

	for (int i = 0; i < 2; i++) {
		struct perf_track *w = &r->way[i];

		p.bits_per_s[i] = w->has_last ? bits(&w->drawn, &w->last) : PERF_NONE;
		if (w->has_last)
			w->drawn = w->last;
	}
	r->drawn = now;
	if (p.bits_per_s[0] != PERF_NONE || p.bits_per_s[1] != PERF_NONE)
		snet_buf_add(&r->series, &p, sizeof(p)); /* full: the picture ends here */
}

void perf_report_tick(struct perf_report *r, snet_time now)
{
	snet_time step = r->now.plan.time_ms * SNET_MS / POINTS;

	if (now >= r->drawn + (step > POINT ? step : POINT))
		draw_point(r, now);
	if (r->every && now >= r->marked + r->every)
		say_interval(r, now);
}

snet_time perf_report_due(const struct perf_report *r, snet_time until)
{
	snet_time end = r->marked + r->every;

	return r->every && end < until ? end : until;
}

/* ---- results */

void perf_histogram_json(struct snet_buf *b, const struct snet_histogram *h)
{
	const char *comma = "";

	snet_buf_u8(b, '[');
	for (size_t i = 0; i < SNET_HISTOGRAM_BUCKETS; i += 1 << COARSE) {
		uint64_t low, high, end, n = 0;

		for (size_t j = i; j < i + (1 << COARSE); j++)
			n += h->counts[j];
		if (!n)
			continue;
		snet_histogram_range(i, &low, &high);
		snet_histogram_range(i + (1 << COARSE) - 1, &high, &end);
		snet_buf_fmt(b, "%s[%llu,%llu,%llu]", comma, (unsigned long long)low,
			     (unsigned long long)end, (unsigned long long)n);
		comma = ",";
	}
	snet_buf_str(b, "]");
	snet_buf_u8(b, 0);
}

static void fill(struct perf_report *r, snet_time now)
{
	struct perf_result *t = &r->now;
	const struct snet_histogram *h = r->hist;
	snet_time end = r->begin + (snet_time)t->plan.time_ms * SNET_MS,
		  from = r->begin + r->omit;
	snet_time took = (now < end ? now : end) > from ? (now < end ? now : end) - from : 0;
	const struct perf_track *out = &r->way[PERF_SENT], *in = &r->way[PERF_RECEIVED];

	t->time_ms = (uint32_t)(took / SNET_MS);
	if (h->n) {
		t->count = h->n;
		t->per_s = rate(h->n, took / SNET_US);
		t->min_ns = h->min;
		t->mean_ns = snet_histogram_mean(h);
		t->p50_ns = snet_histogram_quantile(h, 0.5);
		t->p90_ns = snet_histogram_quantile(h, 0.9);
		t->p99_ns = snet_histogram_quantile(h, 0.99);
		t->max_ns = h->max;
	}
	if (r->wire->n) {
		t->wire_p50_ns = snet_histogram_quantile(r->wire, 0.5);
		t->wire_p99_ns = snet_histogram_quantile(r->wire, 0.99);
	}
	if (out->has_base && out->last.us > out->base.us) {
		t->sent_messages_per_s = rate(out->last.messages - out->base.messages,
					      out->last.us - out->base.us);
		t->sent_bits_per_s = bits(&out->base, &out->last);
	}
	if (in->has_base && in->last.us > in->base.us) {
		t->received_messages_per_s =
			rate(in->last.messages - in->base.messages, in->last.us - in->base.us);
		t->received_bits_per_s = bits(&in->base, &in->last);
	}
}

static void say_result(const struct perf_report *r, const struct perf_result *t,
		       const char *histogram)
{
	if (cli.human)
		return; /* the table has it */
	out_event("perf.result", party("from", t->from), party("to", t->to),
		  out_text("address", r->address), out_text("transport", r->transport),
		  out_text("test", perf_test_names[t->plan.test]),
		  out_uint("size", t->plan.size), out_uint("parallel", t->plan.parallel),
		  out_uint("time_ms", t->time_ms), out_bool("complete", t->complete),
		  number("count", t->count), number("per_s", t->per_s),
		  number("min_ns", t->min_ns), number("mean_ns", t->mean_ns),
		  number("p50_ns", t->p50_ns), number("p90_ns", t->p90_ns),
		  number("p99_ns", t->p99_ns), number("max_ns", t->max_ns),
		  number("wire_p50_ns", t->wire_p50_ns), number("wire_p99_ns", t->wire_p99_ns),
		  number("sent_messages_per_s", t->sent_messages_per_s),
		  number("sent_bits_per_s", t->sent_bits_per_s),
		  number("received_messages_per_s", t->received_messages_per_s),
		  number("received_bits_per_s", t->received_bits_per_s),
		  number("lost_messages", t->lost_messages), out_json("histogram", histogram));
}

void perf_report_end(struct perf_report *r, bool complete, snet_time now)
{
	struct snet_buf json = SNET_BUF(JSON_MAX);

	if (r->every && now > r->marked)
		say_interval(r, now);
	r->now.complete = complete;
	fill(r, now);
	if (r->now.plan.test == PERF_LATENCY) {
		snet_histogram_merge(r->rtt, r->hist);
		snet_histogram_merge(r->rtt_wire, r->wire);
	}
	if (r->hist->n)
		perf_histogram_json(&json, r->hist);
	say_result(r, &r->now, json.p && !json.bad ? (const char *)json.p : NULL);
	snet_buf_free(&json);
	snet_buf_add(&r->rows, &r->now, sizeof(r->now));
	r->tests++;
	if (r->on_row)
		r->on_row(&r->now, r->on_row_user);
}

void perf_report_row(struct perf_report *r, const struct perf_result *row)
{
	say_result(r, row, NULL);
	snet_buf_add(&r->rows, row, sizeof(*row));
	r->tests++;
}

size_t perf_report_rows(const struct perf_report *r, const struct perf_result **out)
{
	*out = (const struct perf_result *)(const void *)r->rows.p;
	return r->rows.n / sizeof(struct perf_result);
}

/* ---- the last word */

struct summary {
	struct perf_result worst[PERF_TESTS]; /* of each test, of all pairs */
	bool has[PERF_TESTS], complete;
	uint32_t pairs;
};

static void most(uint64_t *a, uint64_t b)
{
	if (b != PERF_NONE && (*a == PERF_NONE || b > *a))
		*a = b;
}

static void least(uint64_t *a, uint64_t b)
{
	if (b != PERF_NONE && b < *a)
		*a = b;
}

/* Of pairs the worst; of messages the smallest. */
static void add_row(struct summary *s, const struct perf_result *t)
{
	struct perf_result *w = &s->worst[t->plan.test];
	bool is_messages = t->plan.test == PERF_MESSAGES;

	s->complete = s->complete && t->complete;
	if (!s->has[t->plan.test] || (is_messages && t->plan.size < w->plan.size)) {
		*w = *t;
		s->has[t->plan.test] = true;
		return;
	}
	if (is_messages && t->plan.size > w->plan.size)
		return;
	most(&w->p50_ns, t->p50_ns);
	most(&w->p90_ns, t->p90_ns);
	most(&w->p99_ns, t->p99_ns);
	most(&w->max_ns, t->max_ns);
	most(&w->wire_p50_ns, t->wire_p50_ns);
	least(&w->per_s, t->per_s);
	least(&w->sent_messages_per_s, t->sent_messages_per_s);
	least(&w->sent_bits_per_s, t->sent_bits_per_s);
	least(&w->received_bits_per_s, t->received_bits_per_s);
}

/* The rows of a pair stand together. */
static bool is_first_of_pair(const struct perf_result *rows, size_t i)
{
	return rows[i].to != UINT32_MAX &&
	       (!i || rows[i - 1].from != rows[i].from || rows[i - 1].to != rows[i].to);
}

static void sum_up(const struct perf_report *r, struct summary *s)
{
	const struct perf_plan none = { 0 };
	const struct perf_result *rows;
	size_t n = perf_report_rows(r, &rows);

	*s = (struct summary){ .complete = n > 0 };
	for (size_t i = 0; i < PERF_TESTS; i++)
		perf_result_init(&s->worst[i], &none);
	for (size_t i = 0; i < n; i++) {
		add_row(s, &rows[i]);
		s->pairs += r->parties && is_first_of_pair(rows, i);
	}
}

static void say_summary(const struct perf_report *r, const char *histogram)
{
	const struct perf_result *w;
	struct summary s;

	sum_up(r, &s);
	w = s.worst;
	out_event("perf.summary", out_text("transport", r->transport),
		  out_text("address", r->address),
		  out_if(r->parties, out_uint("parties", r->parties)),
		  out_if(r->parties, out_uint("pairs", s.pairs)), out_uint("tests", r->tests),
		  out_bool("complete", s.complete),
		  number("rtt_p50_ns", w[PERF_LATENCY].p50_ns),
		  number("rtt_p90_ns", w[PERF_LATENCY].p90_ns),
		  number("rtt_p99_ns", w[PERF_LATENCY].p99_ns),
		  number("rtt_max_ns", w[PERF_LATENCY].max_ns),
		  number("rtt_wire_p50_ns", w[PERF_LATENCY].wire_p50_ns),
		  number("rounds_per_s", w[PERF_ROUNDS].per_s),
		  number("messages_per_s", w[PERF_MESSAGES].sent_messages_per_s),
		  number("send_bits_per_s", w[PERF_SEND].sent_bits_per_s),
		  number("receive_bits_per_s", w[PERF_RECEIVE].received_bits_per_s),
		  number("both_send_bits_per_s", w[PERF_BOTH].sent_bits_per_s),
		  number("both_receive_bits_per_s", w[PERF_BOTH].received_bits_per_s),
		  number("handshakes_per_s", w[PERF_HANDSHAKES].per_s),
		  out_json("histogram", histogram));
}

static void sum_up_and_say(struct perf_report *r)
{
	struct snet_buf b = SNET_BUF(TABLE_MAX);
	struct iovec v;

	if (!cli.human) {
		if (r->rtt->n)
			perf_histogram_json(&b, r->rtt);
		say_summary(r, b.p && !b.bad ? (const char *)b.p : NULL);
	} else {
		perf_table(r, &b);
		v = (struct iovec){ b.p, b.n };
		if (!b.bad && b.n)
			sink_write(r->run->out, &v, 1);
	}
	snet_buf_free(&b);
}

void perf_report_finish(struct perf_report *r, const struct snet_error *err, uint64_t peer)
{
	struct snet_error bad = { 0 };

	if (r->run->done)
		return;
	sum_up_and_say(r);
	if (r->svg && perf_svg_write(r, r->svg, &bad)) {
		if (!err)
			err = &bad;
		else
			say("%s", bad.text);
	}
	run_done(r->run, err, peer);
}
