#include "signal/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "io/loop.h"
#include "io/tcp.h"
#include "signal/message.h"
#include "signal/ws.h"

#define PIECE (16 << 10)                  /* put into the socket's queue at a time */
#define MOST (365 * 24 * 3600 * SNET_SEC) /* of a time to reckon with: SNET_NEVER */

enum state { GREETING, JOINED, LEAVING, OVER };

struct snet_signal_client {
	struct snet_loop *loop;
	struct snet_tcp *tcp;
	struct snet_ws *ws;
	struct snet_timer timer; /* the deadline of greeting and leaving, else the next ping */
	struct snet_task task;   /* output, and what went wrong within a call */
	struct snet_signal_client_opts o;
	struct snet_signal_url url;
	const struct snet_signal_client_events *ev;
	void *user;
	enum state state;
	snet_time heard;
	struct snet_buf in; /* of the server's answer */
	char accept[SNET_UPGRADE_ACCEPT];
	bool wants_leave, full, paused;
	unsigned busy; /* callbacks under way */
	bool dead;     /* freed by its owner, while busy */
};

/* ---- the end */

static void destroy(struct snet_signal_client *c)
{
	snet_ws_free(c->ws);
	snet_buf_free(&c->in);
	free(c);
}

static void done(struct snet_signal_client *c)
{
	if (!--c->busy && c->dead)
		destroy(c);
}

static void over(struct snet_signal_client *c, const struct snet_error *why)
{
	if (c->state == OVER)
		return;
	c->state = OVER;
	snet_timer_stop(c->loop, &c->timer);
	snet_task_cancel(&c->task);
	snet_tcp_close(c->tcp);
	c->tcp = NULL;
	c->ev->on_close(why, c->user);
}

static void fail(struct snet_signal_client *c, int code, const char *what)
{
	struct snet_error why = { 0 };

	snet_fail(&why, code, "%s:%u: %s", c->url.host, c->url.port, what);
	over(c, &why);
}

/* What the server's close code means to us. */
static int meaning(unsigned code)
{
	switch (code) {
	case SNET_WS_NORMAL:
	case SNET_WS_GOING_AWAY:
	case SNET_WS_NO_CODE:
		return SNET_ECLOSED;
	case SNET_WS_POLICY:
		return SNET_EPOLICY;
	case SNET_WS_TOO_BIG:
		return SNET_ETOOBIG;
	default:
		return SNET_EPROTO;
	}
}

static void on_ws_close(unsigned code, const char *why, void *user)
{
	static const struct snet_error ok = { 0 };
	struct snet_signal_client *c = user;
	char text[SNET_WS_REASON + 64];

	if (c->state == LEAVING) {
		over(c, &ok);
		return;
	}
	snprintf(text, sizeof(text), "the server closed (%u)%s%s", code, *why ? ": " : "", why);
	fail(c, meaning(code), text);
}

/* ---- out */

static void pump(struct snet_signal_client *c)
{
	uint8_t piece[PIECE];
	size_t n;

	while (c->state != OVER && c->state != GREETING && snet_ws_wants_output(c->ws) &&
	       snet_tcp_queued(c->tcp) + PIECE <= SNET_TCP_QUEUE) {
		n = snet_ws_output(c->ws, piece, sizeof(piece));
		if (!n || snet_tcp_send(c->tcp, piece, n))
			break;
	}
	if (c->full && snet_ws_queued(c->ws) <= SNET_SIGNAL_QUEUE / 2 && c->state == JOINED) {
		c->full = false;
		c->ev->on_room(c->user);
	}
}

static void on_task(struct snet_task *t)
{
	struct snet_signal_client *c = t->user;

	c->busy++;
	pump(c);
	done(c);
}

static void on_drain(void *user)
{
	struct snet_signal_client *c = user;

	c->busy++;
	pump(c);
	done(c);
}

static void say_farewell(struct snet_signal_client *c)
{
	c->state = LEAVING;
	snet_ws_close(c->ws, SNET_WS_NORMAL, "");
	snet_timer_set(c->loop, &c->timer, snet_loop_now(c->loop) + c->o.timeout);
	snet_task_defer(c->loop, &c->task);
}

/* ---- in */

static void on_text(const uint8_t *p, size_t n, void *user)
{
	struct snet_signal_client *c = user;

	if (c->state == JOINED || c->state == LEAVING)
		c->ev->on_message(p, n, c->user);
}

static const struct snet_ws_events ws_events = { on_text, on_ws_close };

static void frames(struct snet_signal_client *c, const uint8_t *p, size_t n)
{
	int rc = snet_ws_input(c->ws, p, n);

	if (rc && c->state != OVER) {
		pump(c); /* says why */
		if (c->state != OVER)
			fail(c, rc, "what it sends breaks the protocol");
	} else if (c->state != OVER) {
		snet_task_defer(c->loop, &c->task); /* pongs */
	}
}

static void keep_alive(struct snet_signal_client *c)
{
	if (c->o.keep_alive != SNET_NEVER)
		snet_timer_set(c->loop, &c->timer, snet_loop_now(c->loop) + c->o.keep_alive);
}

static void refused(struct snet_signal_client *c, int rc, const struct snet_upgrade_response *r)
{
	char text[sizeof(r->words) + 48];

	if (rc == SNET_EPROTO && (!r->status || r->status == 101))
		snprintf(text, sizeof(text), "no WebSocket server answers there");
	else
		snprintf(text, sizeof(text), "the server refuses (%u): %s", r->status,
			 r->words);
	fail(c, rc, text);
}

/* The answer to our request; frames may stand behind it. */
static void greeted(struct snet_signal_client *c, const uint8_t *p, size_t n, bool ended)
{
	struct snet_upgrade_response r;
	struct snet_buf in;
	int rc = n ? snet_buf_add(&c->in, p, n) : SNET_OK;

	if (!rc)
		rc = snet_upgrade_response_parse(&r, c->in.p, c->in.n, ended, c->accept);
	else
		r = (struct snet_upgrade_response){ 0 };
	if (rc == SNET_EAGAIN)
		return;
	if (rc) {
		refused(c, rc == SNET_ETOOBIG ? SNET_EPROTO : rc, &r);
		return;
	}
	c->state = JOINED;
	snet_timer_stop(c->loop, &c->timer);
	keep_alive(c);
	in = c->in;
	c->in = SNET_BUF(0);
	c->ev->on_joined(c->user);
	if (c->state == JOINED && c->wants_leave)
		say_farewell(c);
	if (c->state != OVER)
		frames(c, in.p + r.n, in.n - r.n);
	snet_buf_free(&in);
}

static void on_data(const uint8_t *p, size_t n, void *user)
{
	struct snet_signal_client *c = user;

	c->busy++;
	c->heard = snet_loop_now(c->loop);
	if (c->state == GREETING)
		greeted(c, p, n, false);
	else if (c->state != OVER)
		frames(c, p, n);
	done(c);
}

static void on_tcp_close(const struct snet_error *why, void *user)
{
	struct snet_signal_client *c = user;

	c->busy++;
	if (c->state == GREETING && !why->code)
		greeted(c, NULL, 0, true);
	else if (why->code)
		over(c, why);
	else
		fail(c, SNET_ELOST, "the server hung up");
	done(c);
}

static void on_open(void *user)
{
	(void)user; /* the request waits in the queue */
}

static const struct snet_tcp_events tcp_events = { on_open, on_data, on_tcp_close, on_drain };

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_signal_client *c = t->user;

	c->busy++;
	/* It is we who were asleep: what it said waits to be read, or we have not asked. */
	if (now - t->deadline > c->o.keep_alive)
		c->heard = now;
	if (c->state == GREETING) {
		fail(c, SNET_ETIMEOUT, "does not let us in, nor refuse");
	} else if (c->state == LEAVING) {
		fail(c, SNET_ETIMEOUT, "does not answer our farewell");
	} else if (!c->paused && now - c->heard > SNET_SIGNAL_DEAD * c->o.keep_alive) {
		fail(c, SNET_ELOST, "the server has fallen silent");
	} else {
		snet_ws_ping(c->ws);
		snet_task_defer(c->loop, &c->task);
		keep_alive(c);
	}
	done(c);
}

/* ---- birth and death */

static int greet(struct snet_signal_client *c, const char *token)
{
	struct snet_buf b = SNET_BUF(4096);
	uint8_t nonce[SNET_UPGRADE_NONCE];
	char key[SNET_UPGRADE_KEY];
	int rc = snet_random(nonce, sizeof(nonce));

	if (rc)
		return rc;
	snet_upgrade_key(key, nonce);
	rc = snet_upgrade_accept(c->accept, key);
	if (rc)
		return rc;
	snet_upgrade_request(&b, &c->url, key, token);
	rc = b.bad ? SNET_ENOMEM : snet_tcp_send(c->tcp, b.p, b.n);
	snet_buf_wipe(&b); /* the token */
	return rc;
}

int snet_signal_client_new(struct snet_signal_client **out, struct snet_loop *l,
			   const struct snet_addr *to, const struct snet_signal_client_opts *o,
			   const struct snet_signal_client_events *ev, void *user,
			   struct snet_error *err)
{
	struct snet_tls_opts tls = { .name = o->url->host, .ca = o->ca, .alpn = "http/1.1" };
	struct snet_tcp_opts tcp = { .tls = o->url->tls ? &tls : NULL, .timeout = o->timeout };
	struct snet_ws_opts ws = { true, o->max_message, snet_random };
	struct snet_signal_client *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return snet_fail(err, SNET_ENOMEM, "signalling");
	c->loop = l;
	c->o = *o;
	if (c->o.timeout > MOST)
		c->o.timeout = MOST;
	c->url = *o->url;
	c->ev = ev;
	c->user = user;
	c->heard = snet_loop_now(l);
	c->in = SNET_BUF(2 * SNET_UPGRADE_HEADER_MAX + PIECE);
	c->timer = (struct snet_timer){ .fn = on_timer, .user = c };
	snet_task_init(&c->task, on_task, c);
	rc = snet_tcp_dial(&c->tcp, l, to, &tcp, &tcp_events, c, err);
	if (!rc) {
		rc = snet_ws_new(&c->ws, &ws, &ws_events, c);
		if (!rc)
			rc = greet(c, o->token);
		if (!rc)
			rc = snet_timer_set(l, &c->timer, c->heard + c->o.timeout);
		if (rc)
			snet_fail(err, rc, "signalling: %s", snet_err_text(rc));
	}
	c->o.token = c->o.ca = NULL;
	if (rc)
		snet_signal_client_free(c);
	else
		*out = c;
	return rc;
}

void snet_signal_client_free(struct snet_signal_client *c)
{
	if (!c)
		return;
	snet_timer_stop(c->loop, &c->timer);
	snet_task_cancel(&c->task);
	snet_tcp_close(c->tcp);
	c->tcp = NULL;
	c->state = OVER;
	c->dead = true;
	if (!c->busy)
		destroy(c);
}

/* ---- what its owner wishes */

int snet_signal_client_send(struct snet_signal_client *c, const void *p, size_t n)
{
	int rc;

	if (c->state > JOINED || c->wants_leave)
		return SNET_ECLOSED;
	if (n > c->o.max_message)
		return SNET_ETOOBIG;
	if (!snet_signal_message_is_good(p, n))
		return SNET_EINVAL;
	rc = snet_ws_text(c->ws, p, n);
	c->full |= snet_ws_queued(c->ws) >= SNET_SIGNAL_QUEUE;
	if (c->state == JOINED)
		snet_task_defer(c->loop, &c->task);
	return rc;
}

bool snet_signal_client_is_full(const struct snet_signal_client *c)
{
	return c->full;
}

void snet_signal_client_pause(struct snet_signal_client *c, bool paused)
{
	if (c->paused && !paused)
		c->heard = snet_loop_now(c->loop);
	c->paused = paused;
	if (c->tcp)
		snet_tcp_pause(c->tcp, paused);
}

void snet_signal_client_local(const struct snet_signal_client *c, struct snet_addr *out)
{
	*out = (struct snet_addr){ 0 };
	if (c->tcp)
		snet_tcp_address(c->tcp, out);
}

void snet_signal_client_leave(struct snet_signal_client *c)
{
	c->wants_leave = true;
	if (c->state == JOINED)
		say_farewell(c);
}
