#include <stdio.h>
#include <stdlib.h>

#include "ffi/nat.h"

/* Parties are started in any order: whoever is not there yet is dialled again. */
#define DELAY_MIN (50 * SNET_MS)
#define DELAY_MAX (1 * SNET_SEC)

struct snet_ffi_dial {
	struct snet_list node; /* in the manager's */
	struct snet_ffi_manager *m;
	struct snet_ffi_wire *wire; /* the attempt under way */
	struct snet_list ops;       /* who waits */
	struct snet_timer timer;
	snet_time give_up, delay;
	uint64_t id;
	struct snet_addr addr;       /* AF_UNSPEC: */
	const struct snet_url *room; /* the node's, or NULL */
	struct snet_ffi_way *way;    /* in use, or waited for */
};

static void end(struct snet_ffi_dial *d, int32_t result, const char *why)
{
	snet_timer_stop(d->m->rt->loop, &d->timer);
	if (d->wire)
		d->wire->dial = NULL;
	if (d->way)
		d->way->drop(d->way);
	snet_ffi_op_end_all(&d->ops, result, why);
	snet_list_del(&d->node);
	free(d);
}

static bool is_there(struct snet_ffi_manager *m, uint64_t id)
{
	struct snet_ffi_link *l = snet_ffi_manager_find(m, id);

	return l && snet_ffi_link_is_open(l);
}

static void dial(struct snet_ffi_dial *d)
{
	struct snet_ffi_way *way = d->way;
	struct snet_peer_opts opts = snet_ffi_manager_opts(d->m);
	struct snet_error err = { 0 };
	struct snet_ffi_wire *w = snet_ffi_wire_new(d->m);
	int rc;

	if (!w) {
		end(d, STOFFELNET_ERR_CONNECTION, "out of memory");
		return;
	}
	w->dialled = true;
	w->met = way;
	w->met_id = d->id;
	rc = snet_peer_dial(&w->peer, d->m->rt->loop, way ? way->endpoint : d->m->endpoint,
			    &snet_transport_quic, way ? &way->to : &d->addr,
			    way ? way->key : NULL, &opts, &snet_ffi_wire_events, w, &err);
	if (rc) {
		snet_ffi_wire_free(w);
		end(d, STOFFELNET_ERR_CONNECTION, err.text);
		return;
	}
	w->dial = d;
	d->wire = w;
	if (way)
		way->begun(way);
}

/* ---- where no address leads */

/* May drop the lock for a while. */
static int find_way(struct snet_ffi_dial *d, struct snet_error *err)
{
	int rc = SNET_OK;

	if (d->way && d->way->spent) {
		d->way->drop(d->way);
		d->way = NULL;
	}
	if (d->way ||
	    (d->addr.sa.sa_family != AF_UNSPEC && !snet_ffi_exchange_is_on(d->m, d->id)))
		return SNET_OK;
	rc = snet_ffi_way_to(&d->way, d->m, d->id, d->room, err);
	if (!rc)
		d->way->dial = d;
	return rc;
}

static void attempt(struct snet_ffi_dial *d)
{
	struct snet_loop *loop = d->m->rt->loop;
	struct snet_error err = { 0 };

	if (find_way(d, &err))
		end(d, STOFFELNET_ERR_CONNECTION, err.text);
	else if (!d->way || d->way->endpoint)
		dial(d);
	else if (snet_timer_set(loop, &d->timer, d->give_up))
		end(d, STOFFELNET_ERR_CONNECTION, "out of memory");
}

void snet_ffi_dial_path(struct snet_ffi_dial *d)
{
	snet_timer_stop(d->m->rt->loop, &d->timer);
	if (is_there(d->m, d->id))
		end(d, STOFFELNET_OK, NULL);
	else if (snet_list_is_empty(&d->ops)) /* all cancelled */
		end(d, STOFFELNET_ERR_CANCELLED, NULL);
	else if (!d->wire)
		dial(d);
}

void snet_ffi_dial_unmet(struct snet_ffi_dial *d, bool again, const char *why)
{
	d->way = NULL;
	if (!d->wire) /* else its end decides */
		snet_ffi_dial_ended(d, NULL, again ? SNET_EUNREACH : SNET_EDENIED, why);
}

void snet_ffi_dial_look(struct snet_ffi_manager *m)
{
	struct snet_list *n = m->dials.next, *next;

	for (; n != &m->dials; n = next) {
		struct snet_ffi_dial *d = SNET_OF(n, struct snet_ffi_dial, node);

		next = n->next;
		if (d->way && !d->wire && is_there(m, d->id))
			end(d, STOFFELNET_OK, NULL);
	}
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_ffi_dial *d = t->user;
	struct snet_ffi_runtime *rt = d->m->rt;

	pthread_mutex_lock(&rt->lock);
	if (is_there(d->m, d->id))
		end(d, STOFFELNET_OK, NULL);
	else if (snet_list_is_empty(&d->ops)) /* all cancelled */
		end(d, STOFFELNET_ERR_CANCELLED, NULL);
	else if (d->way && !d->way->endpoint && now >= d->give_up)
		end(d, STOFFELNET_ERR_CONNECTION, d->way->why);
	else
		attempt(d);
	pthread_mutex_unlock(&rt->lock);
}

void snet_ffi_dial_ended(struct snet_ffi_dial *d, struct snet_ffi_link *l, int code,
			 const char *why)
{
	struct snet_loop *loop = d->m->rt->loop;
	bool again = code == SNET_EUNREACH || code == SNET_ETIMEOUT || code == SNET_ELOST ||
		     code == SNET_EPOLICY;

	if (d->wire)
		d->wire->dial = NULL;
	d->wire = NULL;
	if (l || is_there(d->m, d->id)) {
		end(d, STOFFELNET_OK, NULL);
		return;
	}
	if (!again || snet_loop_now(loop) + d->delay >= d->give_up ||
	    snet_timer_set(loop, &d->timer, snet_loop_now(loop) + d->delay)) {
		end(d, STOFFELNET_ERR_CONNECTION, why);
		return;
	}
	d->delay = 2 * d->delay < DELAY_MAX ? 2 * d->delay : DELAY_MAX;
}

static struct snet_ffi_dial *find(struct snet_ffi_manager *m, uint64_t id)
{
	for (struct snet_list *n = m->dials.next; n != &m->dials; n = n->next)
		if (SNET_OF(n, struct snet_ffi_dial, node)->id == id)
			return SNET_OF(n, struct snet_ffi_dial, node);
	return NULL;
}

static struct snet_ffi_dial *begin(struct snet_ffi_manager *m, const struct snet_ffi_node *to)
{
	struct snet_ffi_dial *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->m = m;
	d->id = to->id;
	d->addr = to->addr;
	d->room = to->room;
	d->delay = DELAY_MIN;
	d->timer = (struct snet_timer){ .fn = on_timer, .user = d };
	snet_list_init(&d->ops);
	snet_list_add(&m->dials, &d->node);
	return d;
}

static void connect_one(struct snet_ffi_manager *m, struct snet_ffi_op *op)
{
	const struct snet_ffi_node *to = NULL;
	struct snet_ffi_dial *d = find(m, op->id);
	bool fresh = !d;
	char why[64];

	if (is_there(m, op->id)) {
		snet_ffi_op_end(op, STOFFELNET_OK, NULL);
		return;
	}
	for (size_t i = 0; i < m->n_nodes && !to; i++)
		if (m->nodes[i].id == op->id)
			to = &m->nodes[i];
	if (!to && !d) {
		snprintf(why, sizeof(why), "Party %llu not found", (unsigned long long)op->id);
		snet_ffi_op_end(op, STOFFELNET_ERR_CONNECTION, why);
		return;
	}
	if (fresh)
		d = begin(m, to);
	if (!d) {
		snet_ffi_op_end(op, STOFFELNET_ERR_CONNECTION, "out of memory");
		return;
	}
	d->give_up = snet_loop_now(m->rt->loop) + SNET_FFI_PATIENCE;
	snet_list_del(&op->node);
	snet_list_add(&d->ops, &op->node);
	if (fresh)
		attempt(d);
}

void snet_ffi_dial_serve(struct snet_ffi_manager *m)
{
	while (!snet_list_is_empty(&m->connects))
		connect_one(m, SNET_OF(m->connects.next, struct snet_ffi_op, node));
}

void snet_ffi_dial_stop_all(struct snet_ffi_manager *m)
{
	while (!snet_list_is_empty(&m->dials))
		end(SNET_OF(m->dials.next, struct snet_ffi_dial, node),
		    STOFFELNET_ERR_CONNECTION, "the manager has been destroyed");
	snet_ffi_op_end_all(&m->connects, STOFFELNET_ERR_CONNECTION,
			    "the manager has been destroyed");
}
