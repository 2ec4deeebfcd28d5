#include "support/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IDENTITIES 8
#define IN_MAX (64u << 20)        /* bytes of a stream */
#define PATIENCE (120 * SNET_SEC) /* of valgrind, too, on a busy machine */

/* ---- identities */

static struct snet_identity *identities[IDENTITIES];

const struct snet_identity *net_identity(unsigned i)
{
	char name[16];

	assert_true(i < IDENTITIES);
	snprintf(name, sizeof(name), "party %u", i);
	if (!identities[i])
		assert_int_equal(snet_identity_new(&identities[i], SNET_KEY_P256, name, NULL),
				 SNET_OK);
	return identities[i];
}

void net_identities_free(void)
{
	for (unsigned i = 0; i < IDENTITIES; i++) {
		snet_identity_free(identities[i]);
		identities[i] = NULL;
	}
}

/* ---- connections */

static void on_open(struct snet_conn *c, void *user)
{
	struct net_conn *n = user;

	assert_ptr_equal(c, n->c);
	assert_true(c->open);
	assert_int_equal(n->closes, 0);
	n->opens++;
	n->seen = *c;
	if (n->on_open)
		n->on_open(n);
}

static void on_data(struct snet_conn *c, unsigned stream, const uint8_t *p, size_t len,
		    bool fin, void *user)
{
	struct net_conn *n = user;

	assert_ptr_equal(c, n->c);
	assert_int_equal(n->opens, 1);
	assert_int_equal(n->closes, 0);
	assert_true(stream < SNET_STREAMS);
	assert_int_equal(n->fins[stream], 0);
	assert_true(len || fin);
	if (!n->in[stream].max)
		n->in[stream] = SNET_BUF(IN_MAX);
	if (!n->forget)
		assert_int_equal(snet_buf_add(&n->in[stream], p, len), SNET_OK);
	n->chunks++;
	n->fins[stream] += fin;
	if (!n->hold)
		c->transport->consumed(c, stream, len);
	if (n->on_data)
		n->on_data(n, stream, len, fin);
}

static void on_drain(struct snet_conn *c, void *user)
{
	struct net_conn *n = user;

	assert_ptr_equal(c, n->c);
	n->drains++;
	if (n->on_drain)
		n->on_drain(n);
}

static void on_flushed(struct snet_conn *c, void *user)
{
	struct net_conn *n = user;

	assert_ptr_equal(c, n->c);
	n->flushes++;
	if (n->on_flushed)
		n->on_flushed(n);
}

static void on_close(struct snet_conn *c, int code, const char *why, bool by_peer, void *user)
{
	struct net_conn *n = user;

	assert_ptr_equal(c, n->c);
	assert_false(c->open);
	n->closes++;
	n->seen = *c;
	n->code = code;
	n->by_peer = by_peer;
	n->queued_at_close = c->transport->queued(c);
	snprintf(n->why, sizeof(n->why), "%s", why);
	if (n->on_close)
		n->on_close(n);
	n->c = NULL;
}

const struct snet_conn_events net_conn_events = { on_open, on_data, on_drain, on_flushed,
						  on_close };

void net_dial(struct net_conn *c, struct net_end *from, const struct snet_addr *to,
	      const uint8_t *key)
{
	struct snet_error err = { 0 };

	if (from->t->dial(&c->c, from->e, to, key, &net_conn_events, c, &err))
		fail_msg("dial: %s", err.text);
	assert_int_equal(c->opens + c->closes, 0);
}

int net_send(struct net_conn *c, unsigned stream, const void *p, size_t n)
{
	struct snet_slice s = { p, n, NULL };

	return c->c ? c->c->transport->send(c->c, stream, &s, 1) : SNET_ECLOSED;
}

void net_consume(struct net_conn *c, unsigned stream, size_t n)
{
	c->c->transport->consumed(c->c, stream, n);
}

void net_close(struct net_conn *c, int code, const char *why)
{
	c->c->transport->close(c->c, code, why);
}

void net_conn_fini(struct net_conn *c)
{
	for (unsigned i = 0; i < SNET_STREAMS; i++)
		snet_buf_free(&c->in[i]);
}

void net_assert_in(const struct net_conn *c, unsigned stream, const void *p, size_t n)
{
	assert_int_equal(c->in[stream].n, n);
	if (n)
		assert_memory_equal(c->in[stream].p, p, n);
}

/* ---- endpoints */

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	struct net_end *n = user;
	struct net_conn *a = &n->accepted[n->n_accepted];

	assert_ptr_equal(e, n->e);
	if (n->on_accept) {
		n->on_accept(n, c);
		return;
	}
	assert_true(n->n_accepted < NET_ACCEPTS);
	n->n_accepted++;
	a->c = c;
	a->opens = 1;
	a->seen = *c;
	c->events = &net_conn_events;
	c->user = a;
	if (a->on_open)
		a->on_open(a);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	struct net_end *n = user;

	assert_ptr_equal(e, n->e);
	assert_true(snet_addr_port(from));
	n->n_refused++;
	n->refused_code = code;
	snprintf(n->refused_why, sizeof(n->refused_why), "%s", why);
}

static const struct snet_endpoint_events end_events = { on_accept, on_refused };

void net_bind(struct net_end *n, struct snet_loop *l, const struct snet_transport *t,
	      const char *at, unsigned who, const struct snet_transport_config *cfg)
{
	struct snet_transport_config c = cfg ? *cfg : (struct snet_transport_config){ 0 };
	struct snet_error err = { 0 };
	struct snet_addr addr;

	n->t = t;
	if (!c.identity)
		c.identity = net_identity(who);
	if (!c.trust) {
		assert_int_equal(snet_trust_new(&n->trust, NULL), SNET_OK);
		snet_trust_set_insecure(n->trust);
		c.trust = n->trust;
	}
	assert_int_equal(snet_addr_parse(&addr, at), SNET_OK);
	if (t->bind(&n->e, l, &addr, -1, &c, &end_events, n, &err))
		fail_msg("bind: %s", err.text);
	t->address(n->e, &n->at);
}

void net_unbind(struct net_end *n)
{
	if (n->e)
		n->t->unbind(n->e);
	n->e = NULL;
	snet_trust_free(n->trust);
	n->trust = NULL;
	for (unsigned i = 0; i < NET_ACCEPTS; i++)
		net_conn_fini(&n->accepted[i]);
}

/* ---- turning */

struct turns {
	struct snet_task task;
	struct snet_loop *loop;
	unsigned left;
};

static void on_turn(struct snet_task *t)
{
	struct turns *turns = t->user;

	if (!turns->left--)
		snet_loop_stop(turns->loop);
	else
		snet_task_defer(turns->loop, t);
}

void net_turns(struct snet_loop *l, unsigned n)
{
	struct turns t = { .loop = l, .left = n };

	snet_task_init(&t.task, on_turn, &t);
	snet_task_defer(l, &t.task);
	snet_loop_run(l);
}

struct until {
	struct snet_timer timer;
	struct snet_loop *loop;
	bool (*done)(void *user);
	void *user;
	snet_time give_up;
	bool ok;
};

static void on_look(struct snet_timer *t, snet_time now)
{
	struct until *u = t->user;

	u->ok = u->done(u->user);
	if (u->ok || now >= u->give_up)
		snet_loop_stop(u->loop);
	else
		snet_timer_set(u->loop, t, now + SNET_MS);
}

void net_until(struct snet_loop *l, bool (*done)(void *user), void *user)
{
	struct until u = {
		.loop = l, .done = done, .user = user, .give_up = snet_now() + PATIENCE
	};

	u.timer = (struct snet_timer){ .fn = on_look, .user = &u };
	assert_int_equal(snet_timer_set(l, &u.timer, snet_now()), SNET_OK);
	snet_loop_run(l);
	if (!u.ok)
		fail_msg("it did not happen within %llu s", PATIENCE / SNET_SEC);
}

static bool is_past(void *user)
{
	return snet_now() >= *(snet_time *)user;
}

void net_pass(struct snet_loop *l, snet_time d)
{
	snet_time until = snet_now() + d;

	net_until(l, is_past, &until);
}
