/* The tests of one server, one after another, each on connections of its own:
 *
 *	DIALLING -> STARTING -> RUNNING -> STOPPING -> the next one
 *
 * What is measured stands in perf_report.h; how the two sides speak, in perf_message.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/perf.h"
#include "cli/perf_client_impl.h"
#include "cli/say.h"
#include "crypto/hash.h"

#define TICK (50 * SNET_MS)
#define ASK_AGAIN (250 * SNET_MS) /* over datagrams */
#define STOP_WAIT (5 * SNET_SEC)  /* for the server to stop, which it does alone in 3 */

static void begin_plan(struct perf_client *c);
static void end_test(struct perf_client *c);

/* ---- the end */

void perf_client_hang_up(struct perf_client *c)
{
	perf_shake_stop(c);
	for (unsigned i = 0; i < c->n; i++) {
		perf_flow_stop(&c->lanes[i].flow);
		perf_chan_close(c->lanes[i].chan, SNET_OK, "done");
		c->lanes[i] = (struct perf_lane){ 0 };
	}
	c->n = 0;
}

static void over(struct perf_client *c)
{
	perf_client_hang_up(c);
	c->state = PERF_OVER;
	perf_dial_stop(c);
	snet_timer_stop(c->net->loop, &c->tick);
	c->o.on_over(c->error.code ? &c->error : NULL, c->o.user);
}

static void on_later(struct snet_task *t)
{
	over(t->user);
}

/* The test that runs ends here, with what it has; so does the whole. */
void perf_client_fail(struct perf_client *c, int code, const char *why)
{
	char url[SNET_URL_TEXT];
	snet_time now = snet_now();

	if (c->state == PERF_OVER || c->error.code || c->later.node.next != &c->later.node)
		return;
	if (code)
		snet_fail(&c->error, code, "%s: %s", snet_url_print(&c->url, url), why);
	if (c->state == PERF_RUNNING) {
		perf_measure_lost(c);
		perf_report_end(c->o.report, false, now);
	} else if (c->state == PERF_STOPPING) {
		end_test(c);
	}
	c->state = PERF_ENDING;
	perf_dial_stop(c);
	snet_task_defer(c->net->loop, &c->later); /* not within a callback of a connection */
}

/* It was there, and is not any more. */
void perf_client_lose(struct perf_client *c, int code, const char *why)
{
	if (perf_may_pass(code) || code == SNET_ECLOSED)
		code = SNET_ELOST;
	perf_client_fail(c, code, why);
}

void perf_client_stop(struct perf_client *c)
{
	perf_client_fail(c, SNET_OK, NULL);
}

/* ---- asking */

static void ask_start(struct perf_client *c, struct perf_lane *l)
{
	struct perf_message m = { .type = PERF_START, .session = c->session, .plan = c->plan };

	memcpy(m.cookie, l->cookie, sizeof(m.cookie));
	perf_chan_send(l->chan, &m, 0);
	l->asked = snet_loop_now(c->net->loop);
}

static void ask_stop(struct perf_client *c)
{
	struct perf_message m = { .type = PERF_STOP, .session = c->session };

	perf_chan_send_ahead(c->lanes[0].chan, &m);
	c->lanes[0].asked = snet_loop_now(c->net->loop);
}

static void begin_stop(struct perf_client *c, snet_time now)
{
	for (unsigned i = 0; i < c->n; i++)
		perf_flow_stop(&c->lanes[i].flow);
	perf_shake_stop(c);
	c->state = PERF_STOPPING;
	c->since = now;
	ask_stop(c);
}

/* Its time is over, and the server has said what it has got; or will not. */
static void end_test(struct perf_client *c)
{
	perf_measure_lost(c);
	perf_report_end(c->o.report, true, c->since);
}

static void next_plan(struct perf_client *c)
{
	end_test(c);
	perf_client_hang_up(c);
	if (++c->at < c->o.opts->n) {
		begin_plan(c);
		return;
	}
	c->state = PERF_ENDING;
	snet_task_defer(c->net->loop, &c->later);
}

static void begin_running(struct perf_client *c)
{
	snet_time now = snet_now();

	c->state = PERF_RUNNING;
	c->since = now;
	c->later_by = now > c->asked ? now - c->asked : 0;
	c->totals = (struct perf_totals){ .start = now };
	perf_report_begin(c->o.report, &c->plan, c->o.from, c->o.to, now);
	perf_measure_begin(c, now);
}

static void refused(struct perf_client *c, const struct perf_message *m)
{
	char why[96];

	if (m->why == PERF_BUSY)
		snprintf(why, sizeof(why),
			 "busy: it does another test, which takes up to %.1f s more",
			 m->left_ms / 1e3);
	else
		snprintf(why, sizeof(why),
			 "it refuses the test: longer or larger than it allows");
	perf_client_fail(c, SNET_EPOLICY, why);
}

/* ---- what the connections say */

static struct perf_lane *lane_of(struct perf_chan *chan, struct perf_client *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->lanes[i].chan == chan)
			return &c->lanes[i];
	return NULL;
}

static void on_up(struct perf_chan *chan, void *user)
{
	struct perf_client *c = user;
	struct perf_lane *l = lane_of(chan, c);

	if (!l || c->state == PERF_ENDING)
		return;
	if (!chan->carrier->lossy)
		c->met = true;
	c->state = PERF_STARTING;
	l->up = true;
	l->heard = snet_loop_now(c->net->loop);
	ask_start(c, l);
}

static void take_answer(struct perf_client *c, struct perf_lane *l,
			const struct perf_message *m)
{
	if (m->session != c->session)
		return;
	if (m->type == PERF_COOKIE_IS && !l->accepted) {
		memcpy(l->cookie, m->cookie, sizeof(l->cookie));
		ask_start(c, l);
	} else if (m->type == PERF_REFUSE && !l->accepted) {
		refused(c, m);
	} else if (m->type == PERF_ACCEPT && !l->accepted && c->state == PERF_STARTING) {
		l->accepted = true;
		if (!c->accepted)
			c->asked = l->asked;
		if (++c->accepted == c->n && c->n == c->wanted)
			begin_running(c);
	} else if (m->type == PERF_STOPPED && c->state == PERF_STOPPING) {
		next_plan(c);
	}
}

static void on_message(struct perf_chan *chan, const struct perf_message *m, size_t total,
		       void *user)
{
	struct perf_client *c = user;
	struct perf_lane *l = lane_of(chan, c);

	if (!l || c->state == PERF_ENDING)
		return;
	c->met = true;
	l->heard = snet_loop_now(c->net->loop);
	if (m->type == PERF_COOKIE_IS || m->type == PERF_REFUSE || m->type == PERF_ACCEPT ||
	    m->type == PERF_STOPPED)
		take_answer(c, l, m);
	else if (c->state == PERF_RUNNING ||
		 (c->state == PERF_STOPPING && m->type == PERF_REPORT))
		perf_measure_message(c, l, m, total);
}

static void on_room(struct perf_chan *chan, void *user)
{
	struct perf_lane *l = lane_of(chan, user);

	if (l)
		perf_flow_room(&l->flow);
}

static void on_down(struct perf_chan *chan, int code, const char *why, void *user)
{
	struct perf_client *c = user;
	struct perf_lane *l = lane_of(chan, c);

	if (!l)
		return;
	perf_flow_stop(&l->flow);
	l->chan = NULL;
	if (c->state == PERF_ENDING)
		return;
	if (c->state == PERF_STOPPING && l == &c->lanes[0]) {
		next_plan(c); /* it has nothing more to say */
		return;
	}
	if (!c->met) {
		perf_dial_again(c, code, why);
		return;
	}
	perf_client_lose(c, code, why);
}

const struct perf_chan_events perf_lane_events = { on_up, on_message, on_room, on_down };

/* ---- the tests */

static void begin_plan(struct perf_client *c)
{
	c->plan = c->o.opts->plans[c->at];
	c->wanted = c->plan.test == PERF_HANDSHAKES ? 1 : c->plan.parallel;
	if (snet_random(&c->session, sizeof(c->session))) {
		perf_client_fail(c, SNET_EIO, "no random numbers");
		return;
	}
	perf_dial(c);
}

/* ---- time */

/* Datagrams get lost, and a server that is gone says nothing. */
static void look_after(struct perf_client *c, snet_time now)
{
	bool lossy = c->carrier->lossy;

	for (unsigned i = 0; i < c->n; i++) {
		struct perf_lane *l = &c->lanes[i];

		if (!l->up)
			continue;
		if (lossy && c->state == PERF_STARTING && !l->accepted &&
		    now >= l->asked + ASK_AGAIN)
			ask_start(c, l);
		if (lossy && c->met && c->net->config.dead_after != SNET_NEVER &&
		    now >= l->heard + c->net->config.dead_after) {
			perf_client_fail(c, SNET_ELOST, "silent for too long");
			return;
		}
		perf_flow_tick(&l->flow, now);
	}
}

static void on_tick(struct snet_timer *t, snet_time now)
{
	struct perf_client *c = t->user;

	perf_dial_tick(c, now);
	look_after(c, now);
	now = snet_now();
	if (c->state == PERF_RUNNING)
		perf_measure_tick(c, now);
	if (c->state == PERF_RUNNING && now >= c->since + c->plan.time_ms * SNET_MS)
		begin_stop(c, now);
	else if (c->state == PERF_STOPPING && now >= c->since + STOP_WAIT)
		next_plan(c);
	else if (c->state == PERF_STOPPING && c->carrier->lossy && c->lanes[0].chan &&
		 now >= c->lanes[0].asked + ASK_AGAIN)
		ask_stop(c);
	else if (c->state == PERF_STARTING && c->met && now - c->dialled >= cli.timeout)
		perf_client_fail(c, SNET_ETIMEOUT, "the server does not begin");
	snet_timer_set(c->net->loop, t,
		       c->state == PERF_RUNNING ? perf_report_due(c->o.report, now + TICK)
						: now + TICK);
}

/* ---- life */

int perf_client_new(struct perf_client **out, struct net *n, const struct snet_url *url,
		    const struct perf_client_opts *o, struct snet_error *err)
{
	struct perf_client *c = calloc(1, sizeof(*c));

	if (!c)
		return snet_fail(err, SNET_ENOMEM, "client");
	c->net = n;
	c->url = *url;
	c->o = *o;
	c->carrier = perf_carrier_find(url->scheme);
	c->tick = (struct snet_timer){ .fn = on_tick, .user = c };
	snet_task_init(&c->later, on_later, c);
	perf_dial_init(c);
	if (snet_timer_set(n->loop, &c->tick, snet_loop_now(n->loop) + TICK)) {
		free(c);
		return snet_fail(err, SNET_ENOMEM, "client");
	}
	*out = c;
	begin_plan(c);
	return SNET_OK;
}

void perf_client_free(struct perf_client *c)
{
	if (!c)
		return;
	perf_client_hang_up(c);
	snet_task_cancel(&c->later);
	perf_dial_stop(c);
	snet_timer_stop(c->net->loop, &c->tick);
	free(c);
}
