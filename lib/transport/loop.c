#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "transport/loop_end.h"

/* The in-process row. Addresses are port numbers, of the endpoints of one loop. */

#define FIRST_PORT 49152 /* of those that are picked, RFC 6335 §6 */
#define LAST_PORT 65535
#define UNSENT_ENOUGH (1 << 20) /* bytes: beyond this more would only grow old */

/* Of the thread, as its loops are. */
static _Thread_local struct snet_endpoint *bound;
_Thread_local const struct snet_loop_net *loop_net;

struct snet_endpoint *loop_find(const struct snet_loop *l, uint16_t port)
{
	for (struct snet_endpoint *e = bound; e; e = e->next)
		if (e->loop == l && snet_addr_port(&e->at) == port)
			return e;
	return NULL;
}

static struct loop_end *end_of(struct snet_conn *c)
{
	return SNET_OF(c, struct loop_end, base);
}

/* ---- the row: connections */

static int loop_dial(struct snet_conn **out, struct snet_endpoint *e,
		     const struct snet_addr *to, const uint8_t *key,
		     const struct snet_conn_events *ev, void *user, struct snet_error *err)
{
	struct loop_end *c;

	if (e->unbinding)
		return snet_fail(err, SNET_ECLOSED, "the endpoint is being closed");
	c = loop_end_new(e, to);
	if (!c)
		return snet_fail(err, SNET_ENOMEM, "connection");
	c->base.events = ev;
	c->base.user = user;
	if (key) {
		memcpy(c->pin, key, SNET_KEYID_BYTES);
		c->pinned = true;
	}
	*out = &c->base;
	return SNET_OK;
}

static int loop_send(struct snet_conn *base, unsigned stream, const struct snet_slice *v,
		     size_t n)
{
	struct loop_end *c = end_of(base);
	size_t total = 0;
	int rc;

	if (stream >= SNET_STREAMS)
		return SNET_EINVAL;
	if (!c->ready || c->closing || c->out[stream].fin)
		return SNET_ECLOSED;
	if (c->queued >= c->ep->cfg.queue) {
		c->told_full = true;
		return SNET_EAGAIN;
	}
	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	rc = snet_txq_add(&c->out[stream].tx, v, n);
	if (rc)
		return rc;
	c->out[stream].used = true;
	c->queued += total;
	c->unsent += total;
	c->sent += total;
	loop_end_wake(loop_end_other(c));
	return SNET_OK;
}

static bool loop_can_send(struct snet_conn *base)
{
	struct loop_end *c = end_of(base);
	bool yes = c->ready && !c->closing && c->unsent < UNSENT_ENOUGH &&
		   c->queued < c->ep->cfg.queue;

	if (!yes)
		c->told_full = true;
	return yes;
}

static size_t loop_queued(const struct snet_conn *base)
{
	return SNET_OF(base, const struct loop_end, base)->queued;
}

static int loop_finish(struct snet_conn *base, unsigned stream)
{
	struct loop_end *c = end_of(base);

	if (stream >= SNET_STREAMS)
		return SNET_EINVAL;
	if (!c->ready || c->closing)
		return SNET_ECLOSED;
	/* A stream on which nothing was sent has not begun; stream 0 is always there. */
	c->out[0].used = c->out[0].used || !stream;
	c->out[stream].fin = true;
	loop_end_wake(loop_end_other(c));
	return SNET_OK;
}

static void loop_consumed(struct snet_conn *base, unsigned stream, size_t n)
{
	struct loop_end *c = end_of(base), *from = loop_end_other(c);

	if (stream >= SNET_STREAMS || !n)
		return;
	assert(n <= from->out[stream].tx.sent - from->out[stream].consumed);
	from->out[stream].consumed += n;
	from->queued -= n;
	c->unread -= n;
	loop_end_wake(c);
	loop_end_wake(from);
}

static void loop_close(struct snet_conn *base, int code, const char *why)
{
	struct loop_end *c = end_of(base);

	if (!c->closing)
		c->said = code;
	loop_end_fail(c, code, why, false);
}

static void loop_stats(const struct snet_conn *base, struct snet_conn_stats *out)
{
	const struct loop_end *c = SNET_OF(base, const struct loop_end, base);

	*out = (struct snet_conn_stats){ .unsent = c->unsent,
					 .in_flight = c->queued - c->unsent,
					 .bytes_sent = c->sent - c->unsent,
					 .bytes_received = c->received };
}

/* ---- the row: endpoints */

static void fill_defaults(struct snet_transport_config *c)
{
#define DEFAULT(field, value) c->field = c->field ? c->field : (value)
	DEFAULT(window, 8 << 20);
	DEFAULT(queue, 16 << 20);
	DEFAULT(max_conns, 16384);
	DEFAULT(handshake_timeout, 10 * SNET_SEC);
	DEFAULT(dead_after, 15 * SNET_SEC);
#undef DEFAULT
}

static int pick_port(const struct snet_loop *l, struct snet_addr *at, struct snet_error *err)
{
	char text[SNET_ADDR_TEXT];

	if (snet_addr_port(at)) {
		if (!loop_find(l, snet_addr_port(at)))
			return SNET_OK;
		return snet_fail(err, SNET_EBIND, "%s: already in use",
				 snet_addr_print(at, text));
	}
	for (unsigned port = FIRST_PORT; port <= LAST_PORT; port++) {
		if (loop_find(l, (uint16_t)port))
			continue;
		snet_addr_set_port(at, (uint16_t)port);
		return SNET_OK;
	}
	return snet_fail(err, SNET_EBIND, "no port is free");
}

static int loop_bind(struct snet_endpoint **out, struct snet_loop *l,
		     const struct snet_addr *at, int fd,
		     const struct snet_transport_config *cfg,
		     const struct snet_endpoint_events *ev, void *user, struct snet_error *err)
{
	struct snet_endpoint *e;
	struct snet_addr mine;
	int rc;

	if (fd >= 0 || !at || (at->sa.sa_family != AF_INET && at->sa.sa_family != AF_INET6))
		return snet_fail(err, SNET_EINVAL,
				 "the transport within a process has "
				 "ports, not descriptors");
	if (!cfg->identity)
		return snet_fail(err, SNET_EINVAL, "an endpoint needs an identity");
	mine = *at;
	rc = pick_port(l, &mine, err);
	if (rc)
		return rc;
	e = calloc(1, sizeof(*e));
	if (!e)
		return snet_fail(err, SNET_ENOMEM, "endpoint");
	e->loop = l;
	e->cfg = *cfg;
	fill_defaults(&e->cfg);
	e->ev = ev;
	e->user = user;
	e->at = mine;
	snet_list_init(&e->ends);
	e->next = bound;
	bound = e;
	*out = e;
	return SNET_OK;
}

static void loop_address(const struct snet_endpoint *e, struct snet_addr *out)
{
	*out = e->at;
}

static void loop_unbind(struct snet_endpoint *e)
{
	if (!e)
		return;
	e->unbinding = true;
	for (struct snet_endpoint **p = &bound; *p; p = &(*p)->next) {
		if (*p != e)
			continue;
		*p = e->next;
		break;
	}
	while (!snet_list_is_empty(&e->ends)) {
		struct loop_end *c = SNET_OF(e->ends.next, struct loop_end, node);

		loop_end_fail(c, SNET_ECLOSED, "closed", false); /* the other side hears 0 */
		loop_end_bury(c);
	}
	free(e);
}

/* ---- what lies between them, in tests */

void snet_loop_net_set(const struct snet_loop_net *net)
{
	loop_net = net;
}

void snet_loop_net_changed(void)
{
	for (struct snet_endpoint *e = bound; e; e = e->next)
		for (struct snet_list *n = e->ends.next; n != &e->ends; n = n->next)
			loop_end_wake(SNET_OF(n, struct loop_end, node));
}

void snet_loop_net_sever(struct snet_conn *base)
{
	struct loop_end *c = end_of(base);

	c->pair->severed = true;
	loop_end_wake(c);
	loop_end_wake(loop_end_other(c));
}

const struct snet_transport snet_transport_loop = {
	.scheme = "loop",
	.bind = loop_bind,
	.address = loop_address,
	.unbind = loop_unbind,
	.dial = loop_dial,
	.send = loop_send,
	.can_send = loop_can_send,
	.queued = loop_queued,
	.finish = loop_finish,
	.consumed = loop_consumed,
	.close = loop_close,
	.stats = loop_stats,
};
