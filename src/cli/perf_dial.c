/* How a client of snet-perf finds its server: its name, its addresses in turn, again and again
 * until --wait is over. Once it was there it is dialled where it was. */
#include <string.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/perf_client_impl.h"

#define SAY_EVERY SNET_SEC /* that the server is not there */

bool perf_may_pass(int code)
{
	return code == SNET_EUNREACH || code == SNET_ETIMEOUT || code == SNET_ELOST ||
	       code == SNET_ERESOLVE || code == SNET_OK;
}

static void say_waiting(struct perf_client *c, snet_time now)
{
	char url[SNET_URL_TEXT];

	if (now < c->said + SAY_EVERY)
		return;
	c->said = now;
	out_event("waiting", out_text("for", snet_url_print(&c->url, url)),
		  out_uint("left_ms", (c->o.wait_until - now) / SNET_MS),
		  out_text("reason", snet_err_name(c->last.code)),
		  out_text("text", c->last.text));
}

void perf_dial_again(struct perf_client *c, int code, const char *why)
{
	snet_time now = snet_loop_now(c->net->loop);

	snet_fail(&c->last, code ? code : SNET_EUNREACH, "%s", why);
	perf_client_hang_up(c);
	if (!perf_may_pass(code) || now >= c->o.wait_until) {
		perf_client_fail(c, c->last.code, c->last.text);
		return;
	}
	c->state = PERF_DIALLING;
	say_waiting(c, now);
	c->backoff = c->backoff ? 2 * c->backoff : SNET_LINK_BACKOFF_MIN;
	if (c->backoff > SNET_LINK_BACKOFF_MAX)
		c->backoff = SNET_LINK_BACKOFF_MAX;
	snet_timer_set(c->net->loop, &c->redial, now + c->backoff);
}

static int dial_lane(struct perf_client *c, const struct snet_addr *to, struct snet_error *err)
{
	struct perf_lane *l = &c->lanes[c->n++];
	int rc = c->carrier->dial(&l->chan, c->net, &c->url, to, c->plan.test == PERF_LATENCY,
				  &perf_lane_events, c, err);

	if (rc)
		c->lanes[--c->n].chan = NULL;
	else
		perf_flow_init(&l->flow, c->net->loop, l->chan, c->plan.size, &c->totals);
	return rc;
}

static void dial_lanes(struct perf_client *c)
{
	const struct snet_addr *to = &c->host.v[c->host.at];
	struct snet_error err = { 0 };
	int rc = SNET_OK;

	c->state = PERF_DIALLING;
	c->dialled = snet_loop_now(c->net->loop);
	c->accepted = 0;
	if (!c->plan.size)
		c->plan.size = perf_size_for(c->carrier, c->plan.test, to);
	while (c->n < c->wanted && !rc)
		rc = dial_lane(c, to, &err);
	if (rc && c->met)
		perf_client_fail(c, rc, err.text);
	else if (rc)
		perf_dial_again(c, rc, err.text);
}

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct perf_client *c = user;

	c->resolve = NULL;
	if (net_host_put(&c->host, v, n, err))
		dial_lanes(c);
	else
		perf_dial_again(c, err->code, err->text);
}

static void look_up(struct perf_client *c)
{
	struct snet_error err = { 0 };

	if (net_host_numeric(&c->host, &c->url))
		dial_lanes(c);
	else if (net_look_up(&c->resolve, c->net->loop, &c->url, on_resolved, c, &err))
		perf_dial_again(c, err.code, err.text);
}

void perf_dial(struct perf_client *c)
{
	c->state = PERF_DIALLING;
	c->since = snet_loop_now(c->net->loop);
	if (c->met)
		dial_lanes(c);
	else
		look_up(c);
}

static void on_redial(struct snet_timer *t, snet_time now)
{
	struct perf_client *c = t->user;

	(void)now;
	if (c->state != PERF_DIALLING || c->resolve)
		return;
	if (++c->host.at < c->host.n)
		dial_lanes(c);
	else
		look_up(c); /* it may have moved */
}

/* --wait 0 is one attempt, and that has its own time. */
void perf_dial_tick(struct perf_client *c, snet_time now)
{
	snet_time once = c->net->config.handshake_timeout;

	if (c->met || c->error.code)
		return;
	if (c->resolve && now >= (cli.wait ? c->o.wait_until : c->since + once))
		perf_client_fail(c, c->last.code ? c->last.code : SNET_ETIMEOUT,
				 c->last.code ? c->last.text : "its name is not known in time");
	else if (c->carrier->lossy && c->state == PERF_STARTING && now >= c->dialled + once)
		perf_dial_again(c, SNET_EUNREACH, "no answer");
}

void perf_dial_init(struct perf_client *c)
{
	c->redial = (struct snet_timer){ .fn = on_redial, .user = c };
	c->said = snet_loop_now(c->net->loop); /* the first second goes without a word */
}

void perf_dial_stop(struct perf_client *c)
{
	snet_resolve_free(c->resolve);
	c->resolve = NULL;
	snet_timer_stop(c->net->loop, &c->redial);
}
