/* The schedule, and live control by lines on stdin. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/link_impl.h"
#include "cli/out.h"
#include "cli/source.h"

#define SCHEDULE_MAX (64u << 20) /* bytes */

struct link_control {
	struct link *l;
	struct snet_schedule schedule;
	struct source *in; /* NULL: no live control */
	uint8_t line[LINK_LINE_MAX];
	size_t n;
	uint64_t lines;
	bool skipping; /* a line that is too long, up to its end */
};

/* ---- the schedule */

static int schedule_line(void *line, size_t n, size_t at, void *user, struct snet_error *err)
{
	struct link_control *k = user;
	struct link_names names = link_names(k->l);
	struct snet_change c;
	bool has_at;
	int rc = link_line_change(&c, &has_at, line, n, &names, err);

	if (rc)
		return rc;
	if (!has_at)
		return snet_fail(err, SNET_ECONFIG, "no \"at\"");
	c.line = at;
	return snet_schedule_add(&k->schedule, &c, err);
}

/* What would come to nothing later is said now: the whole of it, on a net nobody uses. */
static int rehearse(struct link_control *k, struct snet_error *err)
{
	struct snet_emul_net copy = { 0 };
	struct snet_error why = { 0 };
	int rc = snet_emul_net_init(&copy, k->l->net.n, 0);

	for (size_t i = 0; !rc && i < copy.n * copy.n; i++)
		snet_emul_link_set(&copy.links[i], &k->l->net.links[i].shape.spec);
	for (size_t i = 0; !rc && i < k->schedule.n; i++) {
		rc = snet_emul_apply(&copy, &k->schedule.v[i], &why);
		if (rc)
			rc = snet_fail(err, SNET_ECONFIG, "%.100s:%zu: %s",
				       k->l->opts->schedule, k->schedule.v[i].line, why.text);
	}
	snet_emul_net_fini(&copy);
	return rc;
}

static bool has_rate(const struct snet_change *c)
{
	return c->what == SNET_CHANGE_SET && c->mask & SNET_SPEC_RATE;
}

static int read_schedule(struct link_control *k, const char *path, struct snet_error *err)
{
	struct snet_buf b = SNET_BUF(SCHEDULE_MAX);
	int rc = snet_file_read(&b, path, false, SNET_ECONFIG, err);

	if (!rc)
		rc = link_lines(path, b.p, b.n, schedule_line, k, err);
	snet_buf_free(&b);
	return rc ? rc : rehearse(k, err);
}

snet_time link_control_deadline(const struct link *l)
{
	snet_time at = l->start ? snet_schedule_deadline(&l->control->schedule) : SNET_NEVER;

	return at < SNET_NEVER - l->start ? l->start + at : SNET_NEVER;
}

static void say_change(const struct link *l, uint64_t line, bool live)
{
	out_event("link.changed", out_uint("at_us", (snet_now() - l->start) / SNET_US),
		  out_uint("line", line), out_bool("live", live));
}

void link_control_due(struct link *l, snet_time now)
{
	const struct snet_change *c;
	struct snet_error err = { 0 };

	while ((c = snet_schedule_due(&l->control->schedule, now - l->start)))
		if (link_apply(l, c, &err)) /* a live change has come between */
			out_error(&err, OPT_NONE, c->line, false);
		else
			say_change(l, c->line, false);
}

/* ---- stdin */

static void live_line(struct link_control *k, uint8_t *p, size_t n)
{
	struct link_names names = link_names(k->l);
	struct snet_error err = { 0 };
	struct snet_change c;
	bool has_at;
	int rc;

	while (n && strchr(" \t\r", p[n - 1]))
		n--;
	if (!n)
		return;
	rc = link_line_change(&c, &has_at, p, n, &names, &err);
	if (!rc && has_at)
		rc = snet_fail(&err, SNET_ECONFIG,
			       "\"at\" is for a schedule; what comes live is done at once");
	if (!rc && has_rate(&c))
		rc = link_check_rate(k->l, c.spec.rate, &err);
	if (!rc)
		rc = link_apply(k->l, &c, &err);
	if (rc)
		out_error(&err, OPT_NONE, k->lines, false);
	else
		say_change(k->l, k->lines, true);
}

static uint8_t *on_room(size_t *n, void *user)
{
	struct link_control *k = user;

	*n = sizeof(k->line) - k->n;
	return k->line + k->n;
}

static void too_long(struct link_control *k)
{
	struct snet_error err = { 0 };

	snet_fail(&err, SNET_ECONFIG, "a line has at most %d bytes", LINK_LINE_MAX - 1);
	if (!k->skipping)
		out_error(&err, OPT_NONE, k->lines + 1, false);
	k->skipping = true;
	k->n = 0;
}

static void on_bytes(size_t n, void *user)
{
	struct link_control *k = user;
	uint8_t *p = k->line, *newline;

	k->n += n;
	while ((newline = memchr(p, '\n', k->n))) {
		size_t len = (size_t)(newline - p);

		k->lines++;
		if (!k->skipping)
			live_line(k, p, len);
		k->skipping = false;
		k->n -= len + 1;
		p = newline + 1;
	}
	memmove(k->line, p, k->n);
	if (k->n == sizeof(k->line))
		too_long(k);
	link_flush(k->l);
	link_arm(k->l);
}

static void on_eof(void *user)
{
	struct link_control *k = user;

	if (k->n && !k->skipping) {
		k->lines++;
		live_line(k, k->line, k->n);
	}
	link_arm(k->l);
}

static void on_error(const struct snet_error *err, void *user)
{
	struct link_control *k = user;

	run_done(k->l->run, err, OPT_NONE);
}

static const struct source_events source_events = { on_room, on_bytes, on_eof, on_error };

/* ---- life */

int link_control_open(struct link *l, struct snet_error *err)
{
	struct link_control *k = calloc(1, sizeof(*k));
	int rc = SNET_OK;

	if (!k)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	l->control = k;
	k->l = l;
	if (l->opts->schedule)
		rc = read_schedule(k, l->opts->schedule, err);
	if (!rc && l->opts->control)
		rc = source_new(&k->in, l->loop, STDIN_FILENO, false, "stdin", &source_events,
				k, err);
	return rc;
}

/* What comes live is refused by what is measured now, while nothing waits for it. */
int link_control_check(struct link *l, struct snet_error *err)
{
	struct link_control *k = l->control;
	struct snet_error why = { 0 };

	if (k->in)
		link_check_rate(l, UINT64_MAX, NULL);
	for (size_t i = 0; i < k->schedule.n; i++) {
		const struct snet_change *c = &k->schedule.v[i];

		if (has_rate(c) && link_check_rate(l, c->spec.rate, &why))
			return snet_fail(err, SNET_ECONFIG, "%.100s:%zu: %s", l->opts->schedule,
					 c->line, why.text);
	}
	return SNET_OK;
}

void link_control_start(struct link *l)
{
	link_control_due(l, l->start);
	if (l->control->in)
		source_resume(l->control->in);
}

void link_control_fini(struct link *l)
{
	if (!l->control)
		return;
	source_free(l->control->in);
	snet_schedule_fini(&l->control->schedule);
	free(l->control);
	l->control = NULL;
}
