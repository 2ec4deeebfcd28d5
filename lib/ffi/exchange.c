#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ffi/nat.h"

/* Exchanges: candidates as envelopes, of which each side makes one and is given the other's, in
 * any order, by whatever way the program has. */

#define GATHER (1500 * SNET_MS)  /* then servers that are silent are left out */
#define UNHEARD (600 * SNET_SEC) /* people carry things slowly */
#define UNUSED (60 * SNET_SEC)   /* a path, or one without a connection any more */
#define LOST (15 * SNET_SEC)     /* until QUIC has found out by itself */

struct exchange {
	struct snet_list node; /* in the manager's */
	struct snet_ffi_way way;
	struct snet_ffi_manager *m;
	uint64_t id;
	struct snet_connect *connect;
	struct snet_connect_envelope said;
	struct snet_buf envelope; /* empty: not all is said yet */
	struct snet_list asks;    /* operations: who wants it */
	struct snet_timer end;
	bool over;
};

static pthread_mutex_t *lock_of(const struct exchange *x)
{
	return &x->m->rt->lock;
}

static void end_in(struct exchange *x, snet_time after)
{
	struct snet_loop *l = x->m->rt->loop;

	snet_timer_set(l, &x->end, snet_loop_now(l) + after);
}

static struct exchange *find(const struct snet_ffi_manager *m, uint64_t id)
{
	for (struct snet_list *n = m->nat.exchanges.next; n != &m->nat.exchanges; n = n->next) {
		struct exchange *x = SNET_OF(n, struct exchange, node);

		if (x->id == id && !x->over)
			return x;
	}
	return NULL;
}

/* ---- the envelope */

/* Without a copy of it for want of memory the call fails. */
static void answer(const struct exchange *x, struct snet_ffi_op *op)
{
	struct snet_ffi_message *msg = calloc(1, sizeof(*msg));

	if (msg)
		msg->data = malloc(x->envelope.n);
	if (!msg || !msg->data) {
		free(msg);
		snet_ffi_op_end(op, STOFFELNET_ERR_RUNTIME, "out of memory");
		return;
	}
	memcpy(msg->data, x->envelope.p, x->envelope.n);
	msg->n = x->envelope.n;
	op->msg = msg;
	snet_ffi_op_end(op, STOFFELNET_OK, NULL);
}

static void say(const struct snet_offer *o, void *user)
{
	struct exchange *x = user;
	int rc;

	pthread_mutex_lock(lock_of(x));
	if (o->what == SNET_OFFER_CREDENTIALS)
		x->envelope.n = 0;
	rc = snet_connect_envelope_say(&x->said, o, &x->envelope);
	while (!rc && !snet_list_is_empty(&x->asks))
		answer(x, SNET_OF(x->asks.next, struct snet_ffi_op, node));
	if (rc && rc != SNET_EAGAIN)
		snet_ffi_op_end_all(&x->asks, STOFFELNET_ERR_RUNTIME, snet_err_text(rc));
	pthread_mutex_unlock(lock_of(x));
}

/* ---- the way */

static void begun(struct snet_ffi_way *w)
{
	struct exchange *x = SNET_OF(w, struct exchange, way);

	snet_timer_stop(x->m->rt->loop, &x->end);
}

static void drop(struct snet_ffi_way *w)
{
	w->dial = NULL;
}

static void on_path(struct snet_endpoint *e, const struct snet_addr *to, void *user)
{
	struct exchange *x = user;

	pthread_mutex_lock(lock_of(x));
	x->way.endpoint = e;
	x->way.to = *to;
	end_in(x, UNUSED);
	if (x->way.dial)
		snet_ffi_dial_path(x->way.dial);
	pthread_mutex_unlock(lock_of(x));
}

static void on_accept(struct snet_conn *c, void *user)
{
	struct exchange *x = user;

	snet_timer_stop(x->m->rt->loop, &x->end);
	snet_ffi_manager_take(x->m, c, &x->id);
}

static void on_refused(const struct snet_addr *from, int code, const char *why, void *user)
{
	(void)user;
	snet_ffi_endpoint_events.on_refused(NULL, from, code, why, NULL);
}

static void on_idle(void *user)
{
	struct exchange *x = user;

	if (!x->over)
		end_in(x, UNUSED);
}

static void on_over(const struct snet_error *err, void *user)
{
	struct exchange *x = user;
	struct snet_ffi_dial *d;

	pthread_mutex_lock(lock_of(x));
	d = x->way.dial;
	x->over = true;
	x->way.dial = NULL;
	x->way.endpoint = NULL;
	snet_ffi_op_end_all(&x->asks, STOFFELNET_ERR_CONNECTION, err->text);
	end_in(x, LOST);
	if (d)
		snet_ffi_dial_unmet(d, false, err->text);
	pthread_mutex_unlock(lock_of(x));
}

static void on_event(const struct snet_agent_event *ev, void *user)
{
	(void)user;
	snet_ffi_nat_say(ev);
}

static void on_trouble(const struct snet_error *err, void *user)
{
	struct exchange *x = user;

	snet_log(SNET_LOG_INFO, "ffi", "%s", err->text);
	pthread_mutex_lock(lock_of(x));
	snprintf(x->way.why, sizeof(x->way.why), "%s", err->text);
	pthread_mutex_unlock(lock_of(x));
}

static const struct snet_connect_events connect_events = { say,        on_path,   on_accept,
							   on_refused, on_idle,   on_over,
							   on_event,   on_trouble };

/* ---- life. Locked, but drops the lock. */

static void exchange_free(struct exchange *x)
{
	struct snet_ffi_runtime *rt = x->m->rt;

	x->over = true;
	snet_list_del(&x->node);
	x->m->nat.n_exchanges--;
	snet_timer_stop(rt->loop, &x->end);
	snet_ffi_op_end_all(&x->asks, STOFFELNET_ERR_CONNECTION, "the exchange has ended");
	if (x->way.dial)
		snet_ffi_dial_unmet(x->way.dial, false, "the exchange has ended");
	x->way.dial = NULL;
	pthread_mutex_unlock(&rt->lock);
	snet_connect_free(x->connect);
	pthread_mutex_lock(&rt->lock);
	snet_buf_free(&x->envelope);
	free(x);
}

static void on_end(struct snet_timer *t, snet_time now)
{
	struct exchange *x = t->user;
	struct snet_ffi_runtime *rt = x->m->rt;

	(void)now;
	pthread_mutex_lock(&rt->lock);
	exchange_free(x);
	pthread_mutex_unlock(&rt->lock);
}

static int enter(struct exchange *x, struct snet_error *err)
{
	struct snet_ffi_manager *m = x->m;
	struct snet_connect_opts o = snet_ffi_nat_opts(m);
	int rc;

	o.slow = true; /* one envelope each way, and no telling when */
	o.ice.gather_timeout = GATHER;
	o.ice.agent.controlling = m->id > x->id; /* if both say so ICE finds out */
	snet_list_add(&m->nat.exchanges, &x->node);
	m->nat.n_exchanges++;
	end_in(x, UNHEARD);
	pthread_mutex_unlock(&m->rt->lock);
	rc = snet_connect_new(&x->connect, m->rt->loop, &o, &connect_events, x, err);
	pthread_mutex_lock(&m->rt->lock);
	if (rc)
		exchange_free(x);
	return rc;
}

static int get(struct exchange **out, struct snet_ffi_manager *m, uint64_t id,
	       struct snet_error *err)
{
	struct exchange *x = find(m, id);
	int rc;

	*out = x;
	if (x)
		return SNET_OK;
	if (!m->nat.on || m->closing)
		return snet_fail(err, SNET_EPOLICY, "NAT traversal is switched off");
	if (m->nat.n_exchanges >= SNET_FFI_EXCHANGES)
		return snet_fail(err, SNET_EPOLICY, "more than %u exchanges",
				 SNET_FFI_EXCHANGES);
	rc = snet_ffi_manager_know(m, id);
	x = rc ? NULL : calloc(1, sizeof(*x));
	if (!x)
		return snet_fail(err, SNET_ENOMEM, "out of memory");
	x->m = m;
	x->id = id;
	x->way = (struct snet_ffi_way){ .begun = begun, .drop = drop };
	snprintf(x->way.why, sizeof(x->way.why), "the peer's candidates have not come");
	x->envelope = SNET_BUF(SNET_CONNECT_ENVELOPE_MAX);
	x->end = (struct snet_timer){ .fn = on_end, .user = x };
	snet_list_init(&x->asks);
	rc = enter(x, err);
	*out = rc ? NULL : x;
	return rc;
}

/* ---- what the rest asks for */

bool snet_ffi_exchange_is_on(const struct snet_ffi_manager *m, uint64_t id)
{
	return find(m, id);
}

struct snet_ffi_way *snet_ffi_exchange_way(struct snet_ffi_manager *m, uint64_t id)
{
	struct exchange *x = find(m, id);

	return x ? &x->way : NULL;
}

void snet_ffi_exchange_say(struct snet_ffi_manager *m, uint64_t id, struct snet_ffi_op *op)
{
	struct snet_error err = { 0 };
	struct exchange *x;

	if (get(&x, m, id, &err))
		snet_ffi_op_end(op, STOFFELNET_ERR_CONNECTION, err.text);
	else if (x->envelope.n)
		answer(x, op);
	else
		snet_list_add(&x->asks, &op->node);
}

int snet_ffi_exchange_hear(struct snet_ffi_manager *m, uint64_t id, const uint8_t *p, size_t n,
			   struct snet_error *err)
{
	struct snet_connect_envelope e;
	struct exchange *x;
	int rc = snet_connect_envelope_read(&e, p, n, err); /* is it worth an exchange? */

	if (!rc)
		rc = get(&x, m, id, err);
	if (rc)
		return rc;
	snprintf(x->way.why, sizeof(x->way.why), "no pair of candidates works");
	pthread_mutex_unlock(&m->rt->lock);
	rc = snet_connect_envelope_hear(x->connect, p, n, err);
	pthread_mutex_lock(&m->rt->lock);
	return rc;
}

void snet_ffi_exchanges_stop(struct snet_ffi_manager *m, const char *why)
{
	for (struct snet_list *n = m->nat.exchanges.next; n != &m->nat.exchanges; n = n->next)
		snet_ffi_op_end_all(&SNET_OF(n, struct exchange, node)->asks,
				    STOFFELNET_ERR_CONNECTION, why);
}

void snet_ffi_exchanges_leave(struct snet_ffi_manager *m)
{
	while (!snet_list_is_empty(&m->nat.exchanges))
		exchange_free(SNET_OF(m->nat.exchanges.next, struct exchange, node));
}
