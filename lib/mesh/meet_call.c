#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/hash.h"
#include "mesh/meet_impl.h"

/* One call: ours or another's. It ends when there is no path, or when the last connection on it
 * has been gone for a while: whoever called goes first, so that it may dial again until then.
 */

#define STRANGERS_MAX 32              /* calls of others that have no path yet */
#define CALLER_LINGERS (2 * SNET_SEC) /* so long a farewell is answered again */
#define ANSWERER_LINGERS (5 * SNET_SEC)
#define NOBODY_DIALS (15 * SNET_SEC)
#define UNANSWERED (60 * SNET_SEC) /* a call of another's that came to no path */

static struct snet_call *find(const struct snet_meet *m, const char *name)
{
	for (struct snet_list *n = m->calls.next; n != &m->calls; n = n->next) {
		struct snet_call *c = SNET_OF(n, struct snet_call, node);

		if (!strcmp(c->name, name))
			return c;
	}
	return NULL;
}

void meet_call_free(struct snet_call *c)
{
	struct snet_meet *m = c->meet;

	c->freeing = true;
	if (!c->ours && !c->has_path)
		m->n_strangers--;
	m->n_calls--;
	snet_list_del(&c->node);
	snet_timer_stop(m->loop, &c->end);
	snet_connect_free(c->connect);
	free(c);
}

static void tell_over(struct snet_call *c, const struct snet_error *err)
{
	if (!c->ours || c->told || c->left)
		return;
	c->told = true;
	c->meet->ev->on_over(err, c->user, c->meet->user);
}

static void end_in(struct snet_call *c, snet_time after)
{
	snet_timer_set(c->meet->loop, &c->end, snet_loop_now(c->meet->loop) + after);
}

static void on_end(struct snet_timer *t, snet_time now)
{
	struct snet_call *c = t->user;
	struct snet_error err = { 0 };

	(void)now;
	snet_fail(&err, SNET_ECLOSED, "nobody uses the path");
	tell_over(c, &err);
	meet_call_free(c);
}

/* ---- what its connection says */

static void say(const struct snet_offer *said, void *user)
{
	struct snet_call *c = user;
	struct snet_offer o = *said;

	strcpy(o.from, c->meet->name);
	strcpy(o.to, c->peer);
	strcpy(o.call, c->name);
	meet_send(c->meet, &o);
}

static void on_path(struct snet_endpoint *e, const struct snet_addr *to, void *user)
{
	struct snet_call *c = user;

	c->has_path = true;
	if (!c->ours) {
		c->meet->n_strangers--;
		end_in(c, NOBODY_DIALS);
	} else if (!c->left) {
		c->meet->ev->on_path(e, to, c->user, c->meet->user);
	}
}

static void on_accept(struct snet_conn *conn, void *user)
{
	struct snet_call *c = user;

	c->meet->ev->on_accept(conn, c->meet->user);
}

static void on_refused(const struct snet_addr *from, int code, const char *why, void *user)
{
	struct snet_call *c = user;

	c->meet->ev->on_refused(from, code, why, c->meet->user);
}

static void on_idle(void *user)
{
	struct snet_call *c = user;

	c->busy = false;
	if (!c->freeing)
		end_in(c, c->left ? 0 : c->ours ? CALLER_LINGERS : ANSWERER_LINGERS);
}

static void on_busy(void *user)
{
	struct snet_call *c = user;

	c->busy = true;
	snet_timer_stop(c->meet->loop, &c->end);
}

/* QUIC finds out by itself that a path is dead, and then it is idle. */
static void on_over(const struct snet_error *err, void *user)
{
	struct snet_call *c = user;

	tell_over(c, err);
	if (!c->busy)
		end_in(c, 0);
}

static void on_event(const struct snet_agent_event *ev, void *user)
{
	struct snet_call *c = user;

	if (c->meet->ev->on_ice)
		c->meet->ev->on_ice(ev, c->has_key ? c->key : NULL, c->meet->user);
}

static void note(const struct snet_meet *m, const struct snet_error *err)
{
	if (m->ev->on_note)
		m->ev->on_note(err, m->user);
}

static void on_trouble(const struct snet_error *err, void *user)
{
	note(((struct snet_call *)user)->meet, err);
}

static const struct snet_connect_events connect_events = { say,        on_path,    on_accept,
							   on_refused, on_idle,    on_over,
							   on_event,   on_trouble, on_busy };

/* ---- life */

static int call_new(struct snet_call **out, struct snet_meet *m, const uint8_t *key,
		    const char *name, bool ours, void *user, struct snet_error *err)
{
	struct snet_connect_opts o = m->opts.connect;
	struct snet_call *c;
	int rc;

	if (m->n_calls >= SNET_CALLS_MAX || (!ours && m->n_strangers >= STRANGERS_MAX))
		return snet_fail(err, SNET_EPOLICY, "too many calls at a time");
	c = calloc(1, sizeof(*c));
	if (!c)
		return snet_fail(err, SNET_ENOMEM, "call");
	*c = (struct snet_call){ .meet = m, .user = user, .ours = ours };
	strcpy(c->name, name);
	if (key) {
		memcpy(c->key, key, SNET_KEYID_BYTES);
		snet_keyid_print(key, c->peer);
		c->has_key = true;
	}
	c->end = (struct snet_timer){ .fn = on_end, .user = c };
	o.ice.agent.controlling = ours;
	rc = snet_connect_new(&c->connect, m->loop, &o, &connect_events, c, err);
	if (rc) {
		free(c);
		return rc;
	}
	snet_list_add(&m->calls, &c->node);
	m->n_calls++;
	if (!ours) {
		m->n_strangers++;
		end_in(c, UNANSWERED);
	}
	*out = c;
	return SNET_OK;
}

int meet_draw(char *out, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t random[SNET_OFFER_CALL / 2];
	int rc = snet_random(random, n / 2);

	for (size_t i = 0; !rc && i < n; i++)
		out[i] = hex[i % 2 ? random[i / 2] & 15 : random[i / 2] >> 4];
	out[rc ? 0 : n] = '\0';
	return rc;
}

bool meet_call_is_ours(const struct snet_meet *m, const char *name)
{
	return !strncmp(name, m->mark, MEET_MARK);
}

int snet_call_new(struct snet_call **out, struct snet_meet *m, const uint8_t *key, void *user,
		  struct snet_error *err)
{
	char name[SNET_OFFER_CALL + 1];
	int rc = meet_draw(name + MEET_MARK, SNET_OFFER_CALL - MEET_MARK);

	if (rc)
		return snet_fail(err, rc, "no random numbers");
	memcpy(name, m->mark, MEET_MARK);
	return call_new(out, m, key, name, true, user, err);
}

void snet_call_free(struct snet_call *c)
{
	if (c)
		meet_call_free(c);
}

void snet_call_leave(struct snet_call *c)
{
	c->left = true;
	if (!c->freeing && !c->busy) /* else when its last connection is gone */
		end_in(c, 0);
}

/* ---- what is said in the room */

/* Two that call each other, and have one key between them: of two names of calls one is the
 * greater, and that call is the one that is answered. */
static bool must_yield(const struct snet_meet *m, const struct snet_offer *o)
{
	if (strcmp(o->from, m->name) != 0)
		return false;
	for (const struct snet_list *n = m->calls.next; n != &m->calls; n = n->next) {
		const struct snet_call *c = SNET_OF(n, const struct snet_call, node);

		if (c->ours && !c->left && !c->has_path &&
		    (!c->peer[0] || !strcmp(c->peer, m->name)) && strcmp(c->name, o->call) > 0)
			return true;
	}
	return false;
}

static void answer(struct snet_meet *m, const struct snet_offer *o)
{
	uint8_t key[SNET_KEYID_BYTES];
	struct snet_error err = { 0 };
	struct snet_call *c;

	if (!m->opts.answers || o->what != SNET_OFFER_CREDENTIALS ||
	    snet_keyid_parse(key, o->from) || must_yield(m, o) || !m->ev->wants(key, m->user))
		return;
	if (call_new(&c, m, key, o->call, false, NULL, &err)) {
		note(m, &err);
		return;
	}
	if (snet_connect_hear(c->connect, o, &err)) {
		snet_log(SNET_LOG_INFO, "meet", "%s: %s", o->from, err.text);
		meet_call_free(c);
	}
}

static void tell_answer(struct snet_call *c)
{
	if (!c->ours || c->answered || c->told || c->left ||
	    !snet_connect_has_heard(c->connect))
		return;
	c->answered = true;
	if (c->meet->ev->on_answer)
		c->meet->ev->on_answer(c->user, c->meet->user);
}

void meet_hear(struct snet_meet *m, const struct snet_offer *o)
{
	struct snet_call *c = find(m, o->call);
	struct snet_error err = { 0 };

	if (!c) {
		if (!meet_call_is_ours(m, o->call))
			answer(m, o);
		return;
	}
	if (c->ours && !c->peer[0] && !snet_keyid_parse(c->key, o->from)) {
		strcpy(c->peer, o->from);
		c->has_key = true;
	}
	if (strcmp(o->from, c->peer) != 0)
		return;
	if (snet_connect_hear(c->connect, o, &err))
		snet_log(SNET_LOG_INFO, "meet", "%s: %s", o->from, err.text);
	tell_answer(c);
}
