/* A picture of what snet-perf has found: the distribution of round trips on a logarithmic
 * scale, and bytes over time. One file, no scripts, no fonts of its own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/perf_report.h"

#define SVG_MAX (64u << 20)
#define WIDTH 900
#define LEFT 90
#define RIGHT 30
#define PANEL 260 /* height of what is drawn in */
#define HEAD 64   /* above each panel */
#define FOOT 62   /* below it */
#define BARS 80

static const char *const colours[2] = { "#2b6cb0", "#dd6b20" }; /* by enum perf_way */
static const char *const ways[2] = { "sent", "received" };

struct panel {
	struct snet_buf *b;
	double top;
	double low, high; /* of x, logarithms for round trips */
	double most;      /* of y */
};

static double at_x(const struct panel *p, double v)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * (v - p->low) / (p->high - p->low);
}

static double at_y(const struct panel *p, double v)
{
	return p->top + PANEL - PANEL * v / p->most;
}

/* ---- pieces */

static void escape(struct snet_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
			snet_buf_fmt(b, "&#%d;", *s);
		else if ((unsigned char)*s >= 0x20 && (unsigned char)*s < 0x7f)
			snet_buf_u8(b, (uint8_t)*s);
	}
}

static void text(struct snet_buf *b, double x, double y, const char *class, const char *anchor,
		 const char *s)
{
	snet_buf_fmt(b, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y,
		     class, anchor);
	escape(b, s);
	snet_buf_str(b, "</text>\n");
}

static void line(struct snet_buf *b, const char *class, double x1, double y1, double x2,
		 double y2)
{
	snet_buf_fmt(b,
		     "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
		     class, x1, y1, x2, y2);
}

static void frame(const struct panel *p, const char *title, const char *x_title)
{
	text(p->b, LEFT, p->top - 30, "title", "start", title);
	line(p->b, "axis", LEFT, p->top + PANEL, WIDTH - RIGHT, p->top + PANEL);
	text(p->b, (LEFT + WIDTH - RIGHT) / 2.0, p->top + PANEL + 44, "label", "middle",
	     x_title);
}

/* 1, 2 or 5 times a power of ten, so that at most n of them are in v. */
static double nice(double v, int n)
{
	double step = pow(10, floor(log10(v / n)));

	while (v / step > n)
		step *= v / step > 5 * n ? 10 : v / step > 2 * n ? 5 : 2;
	return step;
}

static void x_tick(const struct panel *p, double v, const char *s)
{
	double x = at_x(p, v);

	line(p->b, "grid", x, p->top, x, p->top + PANEL);
	text(p->b, x, p->top + PANEL + 20, "label", "middle", s);
}

static void y_tick(const struct panel *p, double v, const char *s)
{
	double y = at_y(p, v);

	line(p->b, "grid", LEFT, y, WIDTH - RIGHT, y);
	text(p->b, LEFT - 8, y + 4, "label", "end", s);
}

/* ---- the distribution */

static const char *ns_text(char s[PERF_TEXT], double v)
{
	perf_text_ns(s, (uint64_t)llround(v));
	return perf_text_trim(s);
}

/* Where there is room on a logarithmic scale: 1, 2, 5, or of a narrow one every so much. */
static void log_ticks(const struct panel *p)
{
	double low = pow(10, p->low), high = pow(10, p->high), last = -1e9;
	static const double steps[] = { 1, 2, 5 };
	char s[PERF_TEXT];

	if (high / low < 6) {
		double step = nice(high - low, 8);

		for (double v = ceil(low / step) * step; v <= high; v += step)
			x_tick(p, log10(v), ns_text(s, v));
		return;
	}
	for (double decade = pow(10, floor(p->low)); decade <= high; decade *= 10)
		for (int i = 0; i < 3; i++) {
			double v = decade * steps[i];

			if (v < low || v > high || at_x(p, log10(v)) < last + 52)
				continue;
			x_tick(p, log10(v), ns_text(s, v));
			last = at_x(p, log10(v));
		}
}

static void bars(struct panel *p, const struct snet_histogram *h)
{
	double share[BARS], step = (p->high - p->low) / BARS, tick;
	char s[PERF_TEXT];

	p->most = 0;
	for (int i = 0; i < BARS; i++) {
		share[i] = 100 *
			   snet_histogram_between(h, pow(10, p->low + i * step),
						  pow(10, p->low + (i + 1) * step)) /
			   (double)h->n;
		p->most = fmax(p->most, share[i]);
	}
	p->most *= 1.08;
	tick = nice(p->most, 5);
	for (double v = 0; v <= p->most; v += tick) {
		snprintf(s, sizeof(s), "%.*f %%", tick < 1 ? 1 : 0, v);
		y_tick(p, v, s);
	}
	log_ticks(p);
	for (int i = 0; i < BARS; i++) {
		double x = at_x(p, p->low + i * step), y = at_y(p, share[i]);

		if (share[i] > 0)
			snet_buf_fmt(p->b,
				     "<rect class=\"bar\" x=\"%.2f\" y=\"%.2f\" "
				     "width=\"%.2f\" height=\"%.2f\"/>\n",
				     x, y, at_x(p, p->low + (i + 1) * step) - x - 0.8,
				     p->top + PANEL - y);
	}
}

/* Names in two rows, so that neighbours do not run into each other. */
static void mark(const struct panel *p, const char *name, uint64_t ns, double *last)
{
	double x = at_x(p, log10((double)ns));
	char s[2 * PERF_TEXT], v[PERF_TEXT];
	bool low = x < *last + 110;

	snprintf(s, sizeof(s), "%s %s", name, perf_text_ns(v, ns));
	line(p->b, "mark", x, p->top - (low ? 2 : 14), x, p->top + PANEL);
	text(p->b, x + 4, p->top - (low ? -10 : 6), "mark", "start", s);
	*last = low ? -1e9 : x;
}

static double draw_distribution(const struct perf_report *r, struct snet_buf *b, double top)
{
	const struct snet_histogram *h = r->rtt;
	double low = (double)(h->min ? h->min : 1);
	double high =
		fmin(1.6 * (double)snet_histogram_quantile(h, 0.99), 1.05 * (double)h->max);
	double shown = fmax(high, 1.2 * low);
	double beyond = snet_histogram_between(h, shown, 1e30), last = -1e9;
	struct panel p = { b, top + HEAD, log10(0.95 * low), log10(shown), 0 };
	char s[96], v[PERF_TEXT], n[PERF_TEXT];

	snprintf(s, sizeof(s), "Round trips: %s, the longest %s", perf_text_count(n, h->n),
		 perf_text_ns(v, h->max));
	frame(&p, s, "round trip, logarithmic scale");
	bars(&p, h);
	mark(&p, "p50", snet_histogram_quantile(h, 0.5), &last);
	mark(&p, "p90", snet_histogram_quantile(h, 0.9), &last);
	mark(&p, "p99", snet_histogram_quantile(h, 0.99), &last);
	if (beyond >= 0.5) {
		snprintf(s, sizeof(s), "%.0f longer than this", beyond);
		text(b, WIDTH - RIGHT, p.top + PANEL - 8, "faint", "end", s);
	}
	return top + HEAD + PANEL + FOOT;
}

/* ---- bytes over time */

static size_t points(const struct perf_report *r, const struct perf_point **out)
{
	*out = (const struct perf_point *)(const void *)r->series.p;
	return r->series.n / sizeof(struct perf_point);
}

/* A line for each test and way; a test that has one point only is a dot. */
static void curve(const struct panel *p, const struct perf_point *v, size_t n, int way)
{
	size_t drawn = 0;

	snet_buf_fmt(p->b, "<polyline class=\"curve\" stroke=\"%s\" points=\"", colours[way]);
	for (size_t i = 0; i < n; i++)
		if (v[i].bits_per_s[way] != PERF_NONE) {
			snet_buf_fmt(p->b, "%.1f,%.1f ", at_x(p, v[i].at_ms / 1e3),
				     at_y(p, (double)v[i].bits_per_s[way]));
			drawn++;
		}
	snet_buf_str(p->b, "\"/>\n");
	for (size_t i = 0; i < n && drawn == 1; i++)
		if (v[i].bits_per_s[way] != PERF_NONE)
			snet_buf_fmt(p->b,
				     "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
				     at_x(p, v[i].at_ms / 1e3),
				     at_y(p, (double)v[i].bits_per_s[way]), colours[way]);
}

/* What was tested, in the words that fit into its time. */
static void name_test(const struct panel *p, const struct perf_report *r,
		      const struct perf_point *v, size_t n)
{
	double from = at_x(p, v[0].at_ms / 1e3), to = at_x(p, v[n - 1].at_ms / 1e3);
	const struct perf_result *rows;
	char name[64], size[PERF_TEXT];

	line(p->b, "edge", from, p->top, from, p->top + PANEL);
	if (v[0].test >= perf_report_rows(r, &rows))
		return;
	rows += v[0].test;
	snprintf(name, sizeof(name), "%s", perf_test_names[rows->plan.test]);
	if (to - from < 7.0 * (double)strlen(name))
		return;
	text(p->b, (from + to) / 2, p->top - 8, "label", "middle", name);
	perf_text_size(size, rows->plan.size);
	if (to - from >= 7.0 * (double)strlen(size))
		text(p->b, (from + to) / 2, p->top + 10, "faint", "middle", size);
}

static void scales(struct panel *p, const struct perf_point *v, size_t n)
{
	double tick;
	char s[PERF_TEXT];

	p->low = v[0].at_ms / 1e3;
	p->high = fmax(v[n - 1].at_ms / 1e3, p->low + 0.1);
	p->most = 1;
	for (size_t i = 0; i < n; i++)
		for (int w = 0; w < 2; w++)
			if (v[i].bits_per_s[w] != PERF_NONE)
				p->most = fmax(p->most, (double)v[i].bits_per_s[w]);
	p->most *= 1.15;
	tick = nice(p->most, 6);
	for (double y = 0; y <= p->most; y += tick) {
		perf_text_bits(s, (uint64_t)y);
		y_tick(p, y, y > 0 ? perf_text_trim(s) : "0");
	}
	tick = nice(p->high - p->low, 10);
	for (double x = ceil(p->low / tick) * tick; x <= p->high; x += tick) {
		snprintf(s, sizeof(s), "%.*f s", tick < 0.1 ? 2 : tick < 1 ? 1 : 0, x);
		x_tick(p, x, s);
	}
}

static double draw_series(const struct perf_report *r, struct snet_buf *b, double top)
{
	const struct perf_point *v;
	struct panel p = { .b = b, .top = top + HEAD };
	size_t n = points(r, &v), begin = 0;

	scales(&p, v, n);
	frame(&p, "Payload over time", "since the first test");
	for (size_t i = 1; i <= n; i++) {
		if (i < n && v[i].test == v[begin].test)
			continue;
		name_test(&p, r, v + begin, i - begin);
		curve(&p, v + begin, i - begin, 0);
		curve(&p, v + begin, i - begin, 1);
		begin = i;
	}
	for (int w = 0; w < 2; w++) {
		double x = WIDTH - RIGHT - 190 + 100 * w;

		snet_buf_fmt(b,
			     "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"4\" "
			     "fill=\"%s\"/>\n",
			     x, p.top - 36, colours[w]);
		text(b, x + 20, p.top - 30, "label", "start", ways[w]);
	}
	return top + HEAD + PANEL + FOOT;
}

/* ---- all of it */

static const char style[] =
	"<style>text{font-family:sans-serif;fill:#2d3748}.head{font-size:18px;font-weight:bold}"
	".title{font-size:14px;font-weight:bold}.label,.mark{font-size:12px}"
	".faint{font-size:11px;fill:#718096}.axis{stroke:#4a5568}.grid{stroke:#e2e8f0}"
	".edge{stroke:#a0aec0;stroke-dasharray:3 3}line.mark{stroke:#c53030}"
	"text.mark{fill:#c53030}.bar{fill:#2b6cb0}"
	".curve{fill:none;stroke-width:2;stroke-linejoin:round}</style>\n";

static void name_all(const struct perf_report *r, struct snet_buf *b)
{
	char s[512];

	if (r->parties)
		snprintf(s, sizeof(s), "%u parties over %s", r->parties, r->transport);
	else
		snprintf(s, sizeof(s), "%.*s", (int)strcspn(r->address, "#"), r->address);
	text(b, LEFT, 34, "head", "start", s);
}

int perf_svg_write(const struct perf_report *r, const char *path, struct snet_error *err)
{
	const struct perf_point *v;
	struct snet_buf body = SNET_BUF(SVG_MAX), all = SNET_BUF(SVG_MAX + 4096);
	double end = 46;
	int rc;

	name_all(r, &body);
	if (r->rtt->n)
		end = draw_distribution(r, &body, end);
	if (points(r, &v))
		end = draw_series(r, &body, end);
	if (!r->rtt->n && !points(r, &v)) {
		text(&body, LEFT, end + 20, "label", "start",
		     "No test of round trips or of bytes has measured anything.");
		end += 40;
	}
	snet_buf_fmt(&all,
		     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		     "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
		     "viewBox=\"0 0 %d %.0f\">\n",
		     WIDTH, end, WIDTH, end);
	snet_buf_str(&all, style);
	snet_buf_fmt(&all, "<rect width=\"%d\" height=\"%.0f\" fill=\"#ffffff\"/>\n", WIDTH,
		     end);
	snet_buf_add(&all, body.p, body.n);
	snet_buf_str(&all, "</svg>\n");
	rc = body.bad || all.bad ? snet_fail(err, SNET_ENOMEM, "%s: out of memory", path)
				 : snet_file_write(path, all.p, all.n, 0644, true, err);
	snet_buf_free(&body);
	snet_buf_free(&all);
	return rc;
}
