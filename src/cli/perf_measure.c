/* What each test of snet-perf does, from the beginning of it to its end, on the side that
 * asked. */
#include <string.h>

#include "cli/groups.h"
#include "cli/perf_client_impl.h"

#define SMALL 64   /* bytes: of a message whose time counts */
#define BULK 65536 /* of one whose bytes count */
#define GRACE \
	(200 * SNET_MS) /* a datagram that takes longer than the slowest and this is lost */

uint32_t perf_size_for(const struct perf_carrier *t, enum perf_test test,
		       const struct snet_addr *to)
{
	uint32_t max = t->size_max(to);

	if (test != PERF_SEND && test != PERF_RECEIVE && test != PERF_BOTH)
		return SMALL;
	return max < BULK ? max : BULK;
}

/* ---- round trips */

static void ping(struct perf_lane *l)
{
	l->seq++;
	l->sent = snet_now();
	perf_flow_say(&l->flow, PERF_PING, l->seq);
}

static void take_pong(struct perf_client *c, struct perf_lane *l, const struct perf_message *m)
{
	snet_time now = snet_now(), took = now - l->sent;

	if (m->seq != l->seq)
		return; /* late: it counts as lost */
	if (took > c->slowest)
		c->slowest = took;
	perf_report_value(c->o.report, took, l->chan->wire, now);
	ping(l);
}

/* ---- rounds */

static void take_round(struct perf_client *c, struct perf_lane *l, uint64_t seq)
{
	snet_time now = snet_now();

	if (!perf_flow_round(&l->flow, seq))
		return;
	if (now - l->sent > c->slowest)
		c->slowest = now - l->sent;
	perf_report_value(c->o.report, now - l->sent, SNET_NEVER, now);
	l->sent = now;
}

/* Over datagrams: what was under way for longer than ever is lost. */
static void look_for_lost(struct perf_client *c, struct perf_lane *l, snet_time now)
{
	if (!c->carrier->lossy || !l->chan || now < l->sent + 2 * c->slowest + GRACE)
		return;
	c->o.report->lost++;
	if (c->plan.test == PERF_LATENCY) {
		ping(l);
	} else {
		perf_flow_say(&l->flow, PERF_ROUND, l->flow.round);
		l->sent = now;
	}
}

/* ---- handshakes: one after another, as many at once as --parallel says */

static void shake(struct perf_shake *s);

static void on_shake_up(struct perf_chan *chan, void *user)
{
	struct perf_shake *s = user;
	struct perf_client *c = s->client;
	snet_time now = snet_now();

	s->chan = NULL;
	perf_chan_close(chan, SNET_OK, "done");
	if (c->state != PERF_RUNNING)
		return;
	perf_report_value(c->o.report, now - s->begin, SNET_NEVER, now);
	shake(s);
}

static void on_shake_message(struct perf_chan *chan, const struct perf_message *m, size_t total,
			     void *user)
{
	(void)chan, (void)m, (void)total, (void)user;
}

static void on_shake_room(struct perf_chan *chan, void *user)
{
	(void)chan, (void)user;
}

static void on_shake_down(struct perf_chan *chan, int code, const char *why, void *user)
{
	struct perf_shake *s = user;

	(void)chan;
	s->chan = NULL;
	if (s->client->state == PERF_RUNNING)
		perf_client_lose(s->client, code, why);
}

static void shake(struct perf_shake *s)
{
	static const struct perf_chan_events events = { on_shake_up, on_shake_message,
							on_shake_room, on_shake_down };
	struct perf_client *c = s->client;
	struct snet_error err = { 0 };
	int rc;

	s->begin = snet_now();
	rc = c->carrier->dial(&s->chan, c->net, &c->url, &c->lanes[0].chan->remote, false,
			      &events, s, &err);
	if (rc) {
		s->chan = NULL;
		perf_client_fail(c, rc, err.text);
	}
}

void perf_shake_stop(struct perf_client *c)
{
	for (unsigned i = 0; i < PERF_PARALLEL_MAX; i++) {
		perf_chan_close(c->shakes[i].chan, SNET_ECANCELLED, "the test is over");
		c->shakes[i].chan = NULL;
	}
}

/* ---- all of them */

static bool sends(enum perf_test t)
{
	return t == PERF_MESSAGES || t == PERF_SEND || t == PERF_BOTH;
}

void perf_measure_begin(struct perf_client *c, snet_time now)
{
	c->slowest = 0;
	for (unsigned i = 0; i < c->n; i++) {
		struct perf_lane *l = &c->lanes[i];

		l->sent = now;
		if (c->plan.test == PERF_LATENCY)
			ping(l);
		else if (c->plan.test == PERF_ROUNDS)
			perf_flow_say(&l->flow, PERF_ROUND, l->flow.round);
		else if (sends(c->plan.test))
			perf_flow_send(&l->flow);
	}
	for (unsigned i = 0; c->plan.test == PERF_HANDSHAKES && i < c->plan.parallel; i++) {
		c->shakes[i].client = c;
		if (c->state == PERF_RUNNING)
			shake(&c->shakes[i]);
	}
}

static void take_report(struct perf_client *c, const struct perf_message *m)
{
	struct perf_got got = m->got;
	uint64_t none = c->later_by / SNET_US;

	/* By then there was something: not what we sent was so late, but the answer to us. */
	if (got.messages && got.us <= none)
		c->later_by = none = 0;
	got.us = got.us > none ? got.us - none : 0;
	if (sends(c->plan.test))
		perf_report_got(c->o.report, PERF_SENT, &got);
}

void perf_measure_message(struct perf_client *c, struct perf_lane *l,
			  const struct perf_message *m, size_t total)
{
	if (m->type == PERF_PONG && c->plan.test == PERF_LATENCY) {
		take_pong(c, l, m);
	} else if (m->type == PERF_ROUND && c->plan.test == PERF_ROUNDS) {
		take_round(c, l, m->seq);
	} else if (!perf_flow_message(&l->flow, m, total)) {
		perf_client_fail(c, SNET_EPROTO, "not what this test wants");
	} else if (m->type == PERF_REPORT) {
		take_report(c, m);
	}
}

void perf_measure_tick(struct perf_client *c, snet_time now)
{
	struct perf_got got = { .us = (now - c->totals.start) / SNET_US,
				.bytes = c->totals.bytes,
				.messages = c->totals.messages };

	if (c->plan.test == PERF_RECEIVE || c->plan.test == PERF_BOTH)
		perf_report_got(c->o.report, PERF_RECEIVED, &got);
	for (unsigned i = 0; i < c->n; i++)
		if (c->plan.test == PERF_LATENCY || c->plan.test == PERF_ROUNDS)
			look_for_lost(c, &c->lanes[i], now);
	perf_report_tick(c->o.report, now);
}

void perf_measure_lost(struct perf_client *c)
{
	uint64_t lost = c->o.report->lost + c->totals.lost;

	for (unsigned i = 0; i < c->n; i++)
		lost += c->lanes[i].flow.lost;
	if (c->carrier->lossy)
		c->o.report->now.lost_messages = lost;
}
