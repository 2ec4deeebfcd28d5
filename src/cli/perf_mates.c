/* The parties of a roster of which all pairs are measured: who dials whom, who is awaited. The
 * one with the lower id dials. */
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/perf_all_impl.h"

#define SAY_EVERY SNET_SEC

void perf_mate_say(struct perf_mate *m, const struct perf_message *msg, size_t total)
{
	if (m->chan && m->up)
		perf_chan_send(m->chan, msg, total);
}

static void on_up(struct perf_chan *c, void *user)
{
	static const struct perf_message here = { .type = PERF_ROUND };
	struct perf_mate *m = user;

	(void)c;
	m->up = true;
	perf_mate_say(m, &here, PERF_SIZE_MIN);
	perf_all_advance(m->all);
}

static void on_room(struct perf_chan *c, void *user)
{
	(void)c, (void)user;
}

void perf_mates_say_waiting(struct perf_all *a, const struct perf_mate *m, snet_time now)
{
	struct snet_buf b = SNET_BUF(4096);

	if (now < a->said + SAY_EVERY)
		return;
	a->said = now;
	for (size_t i = 0; i < a->n; i++)
		if (i != a->me && !a->mates[i].up)
			snet_buf_fmt(&b, "%s%u", b.n ? " " : "", a->mates[i].party->id);
	snet_buf_u8(&b, 0);
	out_event(
		"waiting", out_text("for", b.bad ? "" : (const char *)b.p),
		out_uint("left_ms", now < a->wait_until ? (a->wait_until - now) / SNET_MS : 0),
		out_text("reason", m ? snet_err_name(m->last.code) : NULL),
		out_text("text", m ? m->last.text : NULL));
	snet_buf_free(&b);
}

/* Again, as long as --wait lasts. */
static void try_again(struct perf_mate *m, int code, const char *why)
{
	struct perf_all *a = m->all;
	snet_time now = snet_loop_now(a->net->loop);

	if (!perf_may_pass(code) || now >= a->wait_until) {
		perf_all_lose(m, code, why);
		return;
	}
	snet_fail(&m->last, code ? code : SNET_EUNREACH, "%s", why);
	perf_mates_say_waiting(a, m, now);
	m->backoff = m->backoff ? 2 * m->backoff : SNET_LINK_BACKOFF_MIN;
	if (m->backoff > SNET_LINK_BACKOFF_MAX)
		m->backoff = SNET_LINK_BACKOFF_MAX;
	snet_timer_set(a->net->loop, &m->redial, now + m->backoff);
}

static void on_down(struct perf_chan *c, int code, const char *why, void *user)
{
	struct perf_mate *m = user;
	bool was_up = m->up;

	(void)c;
	m->chan = NULL;
	m->up = false;
	if (m->all->stage == STAGE_OVER || m->heard_stop)
		return;
	if (!was_up)
		try_again(m, code, why);
	else
		perf_all_lose(m, perf_may_pass(code) ? SNET_ELOST : code, why);
}

static const struct perf_chan_events mate_events = { on_up, perf_all_message, on_room,
						     on_down };

static void dial_at(struct perf_mate *m)
{
	struct perf_all *a = m->all;
	struct snet_url url = m->party->address;
	struct snet_error err = { 0 };

	url.has_key = true;
	memcpy(url.key, m->party->key, sizeof(url.key));
	if (!perf_quic.dial(&m->chan, a->net, &url, &m->host.v[m->host.at], false, &mate_events,
			    m, &err))
		return;
	m->chan = NULL;
	try_again(m, err.code, err.text);
}

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct perf_mate *m = user;

	m->resolve = NULL;
	if (m->all->stage != STAGE_CONNECTING)
		return;
	if (net_host_put(&m->host, v, n, err))
		dial_at(m);
	else
		try_again(m, err->code, err->text);
}

void perf_mate_dial(struct perf_mate *m)
{
	const struct snet_url *url = &m->party->address;
	struct snet_error err = { 0 };

	if (++m->host.at < m->host.n || net_host_numeric(&m->host, url))
		dial_at(m);
	else if (net_look_up(&m->resolve, m->all->net->loop, url, on_resolved, m, &err))
		try_again(m, err.code, err.text);
}

static void on_redial(struct snet_timer *t, snet_time now)
{
	struct perf_mate *m = t->user;

	(void)now;
	if (m->all->stage == STAGE_CONNECTING && !m->chan && !m->resolve)
		perf_mate_dial(m);
}

/* From the server: not somebody who wants a test. */
void perf_mate_passed(struct perf_chan *c, const struct perf_message *m, void *user)
{
	struct perf_all *a = user;

	c->ev = &mate_events;
	for (size_t i = 0; i < a->me; i++) {
		struct perf_mate *mate = &a->mates[i];

		if (!c->key || memcmp(mate->party->key, c->key, SNET_KEYID_BYTES))
			continue;
		if (mate->chan)
			break;
		mate->chan = c;
		mate->up = true;
		c->user = mate;
		perf_all_message(c, m, PERF_SIZE_MIN, mate);
		perf_all_advance(a);
		return;
	}
	perf_chan_close(c, SNET_EPOLICY, "no party that is awaited");
}

/* ---- who they are */

static int by_id(const void *x, const void *y)
{
	const struct perf_mate *a = x, *b = y;

	return a->party->id < b->party->id ? -1 : a->party->id > b->party->id;
}

int perf_mates_find(struct perf_all *a, struct snet_error *err)
{
	const struct roster *r = a->net->roster;

	a->n = r->parties;
	a->mates = calloc(a->n, sizeof(*a->mates));
	if (!a->mates)
		return snet_fail(err, SNET_ENOMEM, "parties");
	for (size_t i = 0; i < a->n; i++)
		a->mates[i].party = &r->members[i];
	qsort(a->mates, a->n, sizeof(*a->mates), by_id);
	for (size_t i = 0; i < a->n; i++) {
		struct perf_mate *m = &a->mates[i];

		m->all = a;
		m->nth = i;
		m->redial = (struct snet_timer){ .fn = on_redial, .user = m };
		if (m->party->id == cli.id)
			a->me = i;
		if (strcmp(m->party->address.scheme, "quic") != 0)
			return snet_fail(err, SNET_ECONFIG, "party %u: %s:// is not measured",
					 m->party->id, m->party->address.scheme);
	}
	return SNET_OK;
}
