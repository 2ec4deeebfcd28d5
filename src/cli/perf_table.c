/* What snet-perf has found, for people: a table, and the distribution of round trips. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/perf_report.h"

#define ROWS 16  /* of the terminal's histogram */
#define WIDTH 50 /* characters of its longest bar */

/* ---- figures: three digits and a unit */

static const char *figure(char out[static PERF_TEXT], double v, const char *const units[],
			  size_t n, double step)
{
	size_t i = 0;

	for (; i + 1 < n && v >= 0.9995 * step; i++)
		v /= step;
	snprintf(out, PERF_TEXT, "%.*f%s",
		 v >= 99.95 || (!i && v == (double)(uint64_t)v) ? 0
		 : v >= 9.995                                   ? 1
								: 2,
		 v, units[i]);
	return out;
}

const char *perf_text_ns(char out[static PERF_TEXT], uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };

	return figure(out, (double)ns, units, 4, 1000);
}

const char *perf_text_bits(char out[static PERF_TEXT], uint64_t bits)
{
	static const char *const units[] = { " bit/s", " kbit/s", " Mbit/s", " Gbit/s" };

	return figure(out, (double)bits, units, 4, 1000);
}

const char *perf_text_count(char out[static PERF_TEXT], uint64_t n)
{
	static const char *const units[] = { "", " k", " M", " G" };

	return figure(out, (double)n, units, 4, 1000);
}

const char *perf_text_size(char out[static PERF_TEXT], uint64_t bytes)
{
	static const char *const units[] = { " B", " KiB", " MiB" };

	return perf_text_trim((char *)figure(out, (double)bytes, units, 3, 1024));
}

const char *perf_text_trim(char *s)
{
	char *dot = strchr(s, '.'), *unit, *end;

	if (!dot)
		return s;
	unit = end = dot + 1 + strspn(dot + 1, "0123456789");
	while (end[-1] == '0')
		end--;
	if (end[-1] == '.')
		end--;
	memmove(end, unit, strlen(unit) + 1);
	return s;
}

/* ---- the table */

typedef const char *print_fn(char out[static PERF_TEXT], uint64_t v);

static void cell(struct snet_buf *b, print_fn *print, uint64_t v)
{
	char text[PERF_TEXT];

	snet_buf_fmt(b, "  %12s", v == PERF_NONE ? "-" : print(text, v));
}

static void name_pair(struct snet_buf *b, const struct perf_result *t)
{
	char text[32] = "";

	if (t->to != UINT32_MAX)
		snprintf(text, sizeof(text), "%u - %u", t->from, t->to);
	else if (t->from != UINT32_MAX)
		snprintf(text, sizeof(text), "all");
	snet_buf_fmt(b, "%-10s", text);
}

static bool has_times(enum perf_test t)
{
	return t == PERF_LATENCY || t == PERF_ROUNDS || t == PERF_HANDSHAKES;
}

/* As the kernel saw the packets. */
static void add_wire(struct snet_buf *b, const struct perf_report *r,
		     const struct perf_result *t)
{
	snet_buf_fmt(b, "%s%-20s", r->parties ? "          " : "", "  on the wire");
	cell(b, perf_text_ns, t->wire_p50_ns);
	cell(b, perf_text_ns, PERF_NONE);
	cell(b, perf_text_ns, t->wire_p99_ns);
	snet_buf_u8(b, '\n');
}

static void add_lines(struct snet_buf *b, const struct perf_report *r, bool times)
{
	static const char *const heads[2][6] = {
		{ "messages/s", "sent", "messages/s", "received", "lost", NULL },
		{ "p50", "p90", "p99", "max", "per second", "lost" },
	};
	const struct perf_result *t;
	size_t n = perf_report_rows(r, &t);
	bool begun = false;
	char text[PERF_TEXT];

	for (; n--; t++) {
		if (has_times(t->plan.test) != times)
			continue;
		for (int i = 0; i < 6 && !begun; i++) {
			if (!i)
				snet_buf_fmt(b, "%s%-12s%8s", r->parties ? "pair      " : "",
					     "test", "size");
			if (heads[times][i])
				snet_buf_fmt(b, "  %12s", heads[times][i]);
			if (i == 5)
				snet_buf_u8(b, '\n');
		}
		begun = true;
		if (r->parties)
			name_pair(b, t);
		snet_buf_fmt(b, "%-12s%8s", perf_test_names[t->plan.test],
			     perf_text_size(text, t->plan.size));
		cell(b, times ? perf_text_ns : perf_text_count,
		     times ? t->p50_ns : t->sent_messages_per_s);
		cell(b, times ? perf_text_ns : perf_text_bits,
		     times ? t->p90_ns : t->sent_bits_per_s);
		cell(b, times ? perf_text_ns : perf_text_count,
		     times ? t->p99_ns : t->received_messages_per_s);
		cell(b, times ? perf_text_ns : perf_text_bits,
		     times ? t->max_ns : t->received_bits_per_s);
		cell(b, perf_text_count, times ? t->per_s : t->lost_messages);
		if (times)
			cell(b, perf_text_count, t->lost_messages);
		snet_buf_str(b, t->complete ? "\n" : "  (incomplete)\n");
		if (times && t->wire_p50_ns != PERF_NONE)
			add_wire(b, r, t);
	}
	if (begun)
		snet_buf_u8(b, '\n');
}

/* ---- the histogram: rows of equal width on a logarithmic scale */

static void add_bar(struct snet_buf *b, double n, double most)
{
	unsigned eighths = most > 0 ? (unsigned)ceil(n * 8 * WIDTH / most) : 0;

	for (; eighths >= 8; eighths -= 8)
		snet_buf_str(b, "\xe2\x96\x88"); /* a full block, U+2588 */
	if (eighths) {
		static const char *const parts[] = { "",
						     "\xe2\x96\x8f",
						     "\xe2\x96\x8e",
						     "\xe2\x96\x8d",
						     "\xe2\x96\x8c",
						     "\xe2\x96\x8b",
						     "\xe2\x96\x8a",
						     "\xe2\x96\x89" };

		snet_buf_str(b, parts[eighths]);
	}
}

static void add_histogram(struct snet_buf *b, const struct snet_histogram *h)
{
	double low = h->min ? (double)h->min : 1, most = 0, counts[ROWS + 1];
	double high =
		fmax(fmin(1.5 * (double)snet_histogram_quantile(h, 0.99), (double)h->max + 1),
		     1.1 * low);
	uint64_t edges[ROWS + 1];
	char one[PERF_TEXT], two[PERF_TEXT];

	for (unsigned i = 0; i <= ROWS; i++)
		edges[i] = (uint64_t)(low * pow(high / low, (double)i / ROWS));
	for (unsigned i = 0; i <= ROWS; i++) {
		counts[i] = snet_histogram_between(h, i ? (double)edges[i] : 0,
						   i < ROWS ? (double)edges[i + 1] : 1e30);
		most = fmax(most, counts[i]);
	}
	snet_buf_str(b, "round trips\n");
	for (unsigned i = 0; i <= ROWS; i++) {
		if (i == ROWS && counts[i] < 0.5)
			break;
		snet_buf_fmt(b, "%9s %s %-9s %9.0f ", perf_text_ns(one, edges[i]),
			     i < ROWS ? "-" : "and",
			     i < ROWS ? perf_text_ns(two, edges[i + 1]) : "more", counts[i]);
		add_bar(b, counts[i], most);
		snet_buf_u8(b, '\n');
	}
}

void perf_table(const struct perf_report *r, struct snet_buf *b)
{
	add_lines(b, r, true);
	add_lines(b, r, false);
	if (r->rtt->n > 1)
		add_histogram(b, r->rtt);
}
