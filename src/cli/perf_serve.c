/* The server of snet-perf: one test at a time, within ceilings. Whoever is connected and not in
 * the test is a guest who has not said what he wants, and is sent away in time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "cli/groups.h"
#include "cli/out.h"
#include "cli/perf.h"
#include "cli/perf_flow.h"
#include "cli/say.h"
#include "obs/metrics.h"

#define TICK (50 * SNET_MS)
#define SWEEP SNET_SEC
#define GUESTS_MAX 512
#define BYTES_MAX (256u << 20)   /* of a message on each connection of a test, together */
#define PATIENCE (10 * SNET_SEC) /* with a guest who wants nothing */
#define OVERTIME (3 * SNET_SEC)  /* of a test that nobody ends */

struct guest {
	struct snet_list node;
	struct perf_serve *serve;
	struct perf_chan *chan;
	struct perf_flow flow;
	bool joined; /* the test that runs */
	snet_time came, heard;
};

struct session {
	bool active;
	uint64_t id;
	struct perf_plan plan;
	const struct perf_carrier *carrier;
	struct snet_addr address;
	uint8_t key[SNET_KEYID_BYTES];
	bool has_key;
	snet_time begin;
	struct perf_totals totals;
	unsigned guests; /* now */
	unsigned came;   /* in all */
	uint64_t refused;
};

struct port {
	const struct perf_carrier *carrier;
	struct perf_listener *listener;
};

struct perf_serve {
	struct net *net;
	struct port ports[3];
	unsigned n_ports;
	struct snet_list guests;
	unsigned n_guests;
	struct session session;
	snet_time most;
	struct snet_timer tick;
	void (*pass)(struct perf_chan *c, const struct perf_message *m, void *user);
	void *pass_user;
};

static void end_session(struct perf_serve *s, bool complete);

/* ---- guests */

static void forget(struct guest *g)
{
	perf_flow_stop(&g->flow);
	snet_list_del(&g->node);
	g->serve->n_guests--;
	free(g);
}

static void send_away(struct guest *g, int code, const char *why)
{
	struct perf_serve *s = g->serve;
	bool was_joined = g->joined;

	perf_flow_stop(&g->flow);
	perf_chan_close(g->chan, code, why);
	forget(g);
	if (was_joined && !--s->session.guests)
		end_session(s, false);
}

/* ---- the test */

static snet_time left(const struct perf_serve *s)
{
	snet_time end = s->session.begin + s->session.plan.time_ms * SNET_MS + OVERTIME;
	snet_time now = snet_now();

	return end > now ? end - now : 0;
}

static void say_served(const struct session *t, bool complete)
{
	char address[SNET_ADDR_TEXT], key[SNET_KEYID_TEXT];

	out_event("perf.served", out_text("address", snet_addr_print(&t->address, address)),
		  out_text("key", t->has_key ? snet_keyid_print(t->key, key) : NULL),
		  out_text("transport", t->carrier->scheme),
		  out_text("test", perf_test_names[t->plan.test]),
		  out_uint("size", t->plan.size), out_uint("parallel", t->plan.parallel),
		  out_uint("time_ms", (snet_now() - t->begin) / SNET_MS),
		  out_uint("received_messages", t->totals.messages),
		  out_uint("received_bytes", t->totals.bytes), out_uint("refused", t->refused),
		  out_bool("complete", complete));
}

/* Over datagrams nothing tells who has left: they are forgotten at once. */
static void end_session(struct perf_serve *s, bool complete)
{
	if (!s->session.active)
		return;
	s->session.active = false;
	for (struct snet_list *i = s->guests.next, *next; i != &s->guests; i = next) {
		struct guest *g = SNET_OF(i, struct guest, node);

		next = i->next;
		if (!g->joined)
			continue;
		g->joined = false;
		g->came = snet_loop_now(s->net->loop);
		perf_flow_stop(&g->flow);
		if (g->chan->carrier->lossy)
			send_away(g, SNET_OK, "done");
		else if (!complete)
			send_away(g, SNET_ETIMEOUT, "the test is over");
	}
	snet_count(SNET_METRIC_RECEIVED_MESSAGES, s->session.totals.messages);
	snet_count(SNET_METRIC_RECEIVED_BYTES, s->session.totals.bytes);
	if (!s->pass) /* of a roster: everybody gets the result */
		say_served(&s->session, complete);
}

static void answer(struct guest *g, enum perf_type type, uint64_t session)
{
	const struct perf_message m = { .type = type, .session = session };

	perf_chan_send(g->chan, &m, 0);
}

static void refuse(struct guest *g, uint64_t session, enum perf_why why)
{
	struct perf_message m = { .type = PERF_REFUSE, .session = session, .why = why };

	if (why == PERF_BUSY)
		m.left_ms = (uint32_t)(left(g->serve) / SNET_MS);
	g->serve->session.refused++;
	perf_chan_send(g->chan, &m, 0);
	if (g->chan->carrier->lossy && !g->joined)
		send_away(g, SNET_OK, "refused"); /* he asks again if he has not heard it */
}

static void begin_session(struct guest *g, const struct perf_message *m)
{
	struct session *t = &g->serve->session;

	*t = (struct session){ .active = true,
			       .id = m->session,
			       .plan = m->plan,
			       .carrier = g->chan->carrier,
			       .address = g->chan->remote,
			       .has_key = g->chan->key,
			       .begin = snet_now() };
	t->totals.start = t->begin;
	if (g->chan->key)
		memcpy(t->key, g->chan->key, sizeof(t->key));
	snet_timer_set(g->serve->net->loop, &g->serve->tick, t->begin + TICK);
}

static void join(struct guest *g)
{
	struct perf_serve *s = g->serve;
	const struct perf_plan *p = &s->session.plan;

	g->joined = true;
	s->session.guests++;
	s->session.came++;
	perf_flow_init(&g->flow, s->net->loop, g->chan, p->size, &s->session.totals);
	answer(g, PERF_ACCEPT, s->session.id);
	if (p->test == PERF_RECEIVE || p->test == PERF_BOTH)
		perf_flow_send(&g->flow);
	else if (p->test == PERF_ROUNDS)
		perf_flow_say(&g->flow, PERF_ROUND, g->flow.round);
}

static bool is_too_much(const struct guest *g, const struct perf_plan *p)
{
	const struct perf_carrier *t = g->chan->carrier;

	return p->time_ms * SNET_MS > g->serve->most ||
	       p->size > t->size_max(&g->chan->remote) ||
	       (uint64_t)p->size * p->parallel > BYTES_MAX ||
	       (t->lossy && p->test == PERF_HANDSHAKES);
}

/* One more connection of the test that runs: by the same way, for the same. */
static bool is_of(const struct session *t, const struct guest *g, const struct perf_plan *p)
{
	return t->came < t->plan.parallel && t->carrier == g->chan->carrier &&
	       p->test == t->plan.test && p->size == t->plan.size;
}

static void take_start(struct guest *g, const struct perf_message *m)
{
	struct session *t = &g->serve->session;

	if (t->active && !g->joined && !left(g->serve))
		end_session(g->serve, false); /* and nobody has looked since */
	if (g->joined && m->session == t->id) {
		answer(g, PERF_ACCEPT, t->id); /* again: the first was lost */
	} else if (t->active && m->session != t->id) {
		refuse(g, m->session, PERF_BUSY);
	} else if (g->joined || is_too_much(g, &m->plan) ||
		   (t->active && !is_of(t, g, &m->plan))) {
		refuse(g, m->session, PERF_TOO_MUCH);
	} else {
		if (!t->active)
			begin_session(g, m);
		join(g);
	}
}

/* Tests of what arrives here: the client is told. */
static bool counts(enum perf_test t)
{
	return t == PERF_MESSAGES || t == PERF_SEND || t == PERF_BOTH;
}

static void take_stop(struct guest *g, const struct perf_message *m)
{
	const struct perf_message stopped = { .type = PERF_STOPPED, .session = m->session };
	bool ours = g->joined && m->session == g->serve->session.id;

	if (ours && counts(g->serve->session.plan.test))
		perf_flow_report(&g->flow);
	perf_chan_send_ahead(g->chan, &stopped);
	if (ours)
		end_session(g->serve, true);
}

/* false: not what this test wants. */
static bool take_part(struct guest *g, const struct perf_message *m, size_t total)
{
	if (m->type >= PERF_PING && m->type <= PERF_DATA && total != g->flow.size)
		return false; /* nobody gets more out of us than he has put in */
	switch (g->serve->session.plan.test) {
	case PERF_LATENCY:
		if (m->type == PERF_PING)
			perf_flow_say(&g->flow, PERF_PONG, m->seq);
		return m->type == PERF_PING;
	case PERF_ROUNDS:
		if (m->type == PERF_ROUND)
			perf_flow_round(&g->flow, m->seq);
		return m->type == PERF_ROUND;
	case PERF_HANDSHAKES:
		return false;
	default:
		return perf_flow_message(&g->flow, m, total);
	}
}

/* ---- what the connections say */

static void on_up(struct perf_chan *c, void *user)
{
	(void)c, (void)user;
}

static void on_message(struct perf_chan *c, const struct perf_message *m, size_t total,
		       void *user)
{
	struct guest *g = user;
	struct perf_serve *s = g->serve;

	g->heard = snet_loop_now(s->net->loop);
	if (m->type == PERF_START) {
		take_start(g, m);
	} else if (m->type == PERF_STOP) {
		take_stop(g, m);
	} else if (g->joined) {
		if (!take_part(g, m, total) && !c->carrier->lossy)
			send_away(g, SNET_EPROTO, "not what this test wants");
	} else if (s->pass && (m->type == PERF_TURN || m->type == PERF_ROUND)) {
		forget(g);
		s->pass(c, m, s->pass_user);
	} else if (!c->carrier->lossy && m->type != PERF_DATA && m->type != PERF_PING &&
		   m->type != PERF_ROUND && m->type != PERF_REPORT) {
		send_away(g, SNET_EPROTO, "wants no test"); /* the rest may come late */
	}
}

static void on_room(struct perf_chan *c, void *user)
{
	struct guest *g = user;

	(void)c;
	perf_flow_room(&g->flow);
}

static void on_down(struct perf_chan *c, int code, const char *why, void *user)
{
	struct guest *g = user;
	struct perf_serve *s = g->serve;
	bool was_joined = g->joined;

	(void)c, (void)code;
	say_more("connection ended: %s", why);
	forget(g);
	if (was_joined && !--s->session.guests)
		end_session(s, false);
}

static const struct perf_chan_events guest_events = { on_up, on_message, on_room, on_down };

static void on_accept(struct perf_chan *c, void *user)
{
	struct perf_serve *s = user;
	struct guest *g = s->n_guests < GUESTS_MAX ? calloc(1, sizeof(*g)) : NULL;

	c->ev = &guest_events;
	c->user = g;
	if (!g) {
		perf_chan_close(c, SNET_EPOLICY, "too many connections");
		return;
	}
	g->serve = s;
	g->chan = c;
	g->came = g->heard = snet_loop_now(s->net->loop);
	snet_list_add(&s->guests, &g->node);
	s->n_guests++;
}

/* ---- time */

static void look_after(struct perf_serve *s, struct guest *g, bool *reported, snet_time now)
{
	perf_flow_tick(&g->flow, now);
	if (counts(s->session.plan.test) && (!*reported || g->chan->carrier->lossy))
		perf_flow_report(&g->flow);
	*reported = true;
}

static void on_tick(struct snet_timer *timer, snet_time now)
{
	struct perf_serve *s = timer->user;
	snet_time dead = s->net->config.dead_after;
	bool reported = false, silent = s->session.active;

	for (struct snet_list *i = s->guests.next, *next; i != &s->guests; i = next) {
		struct guest *g = SNET_OF(i, struct guest, node);

		next = i->next;
		if (g->joined) {
			look_after(s, g, &reported, now);
			silent = silent && g->chan->carrier->lossy && dead != SNET_NEVER &&
				 now >= g->heard + dead;
		} else if (now >= g->came + PATIENCE) {
			send_away(g, SNET_ETIMEOUT, "wants no test");
		}
	}
	if (s->session.active && (silent || !left(s)))
		end_session(s, false);
	snet_timer_set(s->net->loop, timer, now + (s->session.active ? TICK : SWEEP));
}

/* ---- life */

int perf_serve_new(struct perf_serve **out, struct net *n, snet_time most,
		   struct snet_error *err)
{
	struct perf_serve *s = calloc(1, sizeof(*s));

	if (!s)
		return snet_fail(err, SNET_ENOMEM, "server");
	s->net = n;
	s->most = most;
	snet_list_init(&s->guests);
	s->tick = (struct snet_timer){ .fn = on_tick, .user = s };
	if (snet_timer_set(n->loop, &s->tick, snet_loop_now(n->loop) + SWEEP)) {
		free(s);
		return snet_fail(err, SNET_ENOMEM, "server");
	}
	*out = s;
	return SNET_OK;
}

void perf_serve_pass(struct perf_serve *s,
		     void (*fn)(struct perf_chan *c, const struct perf_message *m, void *user),
		     void *user)
{
	s->pass = fn;
	s->pass_user = user;
}

static void say_listening(struct perf_serve *s, const struct port *p)
{
	bool known = p->carrier == &perf_quic;
	char url[SNET_URL_TEXT], text[SNET_ADDR_TEXT], key[SNET_KEYID_TEXT];
	struct snet_addr a;

	p->carrier->address(p->listener, &a);
	if (known) {
		net_own_url(s->net, url);
		snet_keyid_print(snet_identity_keyid(s->net->identity), key);
	} else {
		if (snet_addr_is_any(&a))
			net_usable(&a, cli.only_ipv6 ? AF_INET6 : AF_INET);
		snprintf(url, sizeof(url), "%s://%s", p->carrier->scheme,
			 snet_addr_print(&a, text));
	}
	out_event("listening", out_text("address", url), out_uint("port", snet_addr_port(&a)),
		  out_text("key", known ? key : NULL));
	if (!s->pass)
		say_note("listening; the other side runs: snet-perf %s%s",
			 known ? "" : "--insecure ", url);
}

int perf_serve_listen(struct perf_serve *s, const struct snet_url *at, struct snet_error *err)
{
	struct port *p = &s->ports[s->n_ports];
	int rc;

	p->carrier = perf_carrier_find(at->scheme);
	for (unsigned i = 0; i < s->n_ports; i++)
		if (s->ports[i].carrier == p->carrier)
			return snet_fail(err, SNET_EINVAL, "one address of %s:// is enough",
					 at->scheme);
	rc = p->carrier->listen(&p->listener, s->net, at, on_accept, s, err);
	if (rc)
		return rc;
	s->n_ports++;
	say_listening(s, p);
	return SNET_OK;
}

void perf_serve_stop(struct perf_serve *s)
{
	if (s)
		end_session(s, false);
}

void perf_serve_free(struct perf_serve *s)
{
	if (!s)
		return;
	s->session.active = false;
	while (!snet_list_is_empty(&s->guests))
		send_away(SNET_OF(s->guests.next, struct guest, node), SNET_ECANCELLED,
			  "the server ends");
	for (unsigned i = 0; i < s->n_ports; i++)
		s->ports[i].carrier->unlisten(s->ports[i].listener);
	snet_timer_stop(s->net->loop, &s->tick);
	free(s);
}
