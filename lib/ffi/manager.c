#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/allow.h"
#include "crypto/identity.h"
#include "ffi/agree.h"
#include "ffi/nat.h"

/* A connection nobody has accepted yet. */
struct incoming {
	struct snet_list node;
	struct snet_ffi_link *link; /* held */
};

struct snet_peer_opts snet_ffi_manager_opts(const struct snet_ffi_manager *m)
{
	/* A program may compute for as long as it likes before it reads on: no stall timeout.
	 * That the peer lives is known by keep-alives. */
	return (struct snet_peer_opts){ .id = m->id,
					.role = m->role,
					.max_message = SNET_MESSAGE_MAX,
					.stall_timeout = SNET_NEVER };
}

struct snet_ffi_manager *snet_ffi_manager_hold(struct snet_ffi_manager *m)
{
	atomic_fetch_add(&m->refs, 1);
	return m;
}

void snet_ffi_manager_signal(struct snet_ffi_manager *m)
{
	bool yes = m->n_readable || m->n_ended;
	eventfd_t value = 1;

	if (m->event < 0 || yes == m->signalled)
		return;
	m->signalled = yes;
	if (yes)
		eventfd_write(m->event, value);
	else
		eventfd_read(m->event, &value);
}

void snet_ffi_counts_add(struct snet_ffi_counts *to, const struct snet_ffi_counts *c)
{
	to->sent += c->sent;
	to->received += c->received;
	to->sent_bytes += c->sent_bytes;
	to->received_bytes += c->received_bytes;
	to->rounds += c->rounds;
}

/* ---- who is who */

/* Of an exchange of candidates: where it is, if it is anywhere, was not known yet. */
static struct snet_ffi_node *unplaced(struct snet_ffi_manager *m, uint64_t id)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		if (m->nodes[i].id == id)
			return m->nodes[i].addr.sa.sa_family == AF_UNSPEC && !m->nodes[i].room
				       ? &m->nodes[i]
				       : NULL;
	return NULL;
}

int snet_ffi_manager_add(struct snet_ffi_manager *m, const struct snet_ffi_node *n)
{
	struct snet_ffi_node *old = unplaced(m, n->id), *nodes;

	if (old) {
		old->addr = n->addr;
		old->room = n->room;
		if (n->pinned) {
			old->bound = old->pinned = true;
			memcpy(old->key, n->key, sizeof(old->key));
		}
		return SNET_OK;
	}
	nodes = m->n_nodes < SNET_FFI_NODES
			? realloc(m->nodes, (m->n_nodes + 1) * sizeof(*nodes))
			: NULL;
	if (!nodes)
		return SNET_ENOMEM;
	m->nodes = nodes;
	nodes[m->n_nodes++] = *n;
	return SNET_OK;
}

static const struct snet_ffi_node *node_of(struct snet_ffi_manager *m, uint64_t id)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		if (m->nodes[i].id == id)
			return &m->nodes[i];
	return NULL;
}

int snet_ffi_manager_know(struct snet_ffi_manager *m, uint64_t id)
{
	const struct snet_ffi_node n = { .id = id };

	return node_of(m, id) ? SNET_OK : snet_ffi_manager_add(m, &n);
}

static bool is_it(const struct snet_ffi_link *l, const struct snet_ffi_node *n, uint64_t id)
{
	if (l->loopback)
		return false;
	if (l->derived == id)
		return true;
	if (!n || l->client)
		return false;
	return n->bound ? !memcmp(l->key, n->key, sizeof(l->key))
			: snet_addr_eq(&l->remote, &n->addr);
}

static struct snet_ffi_link *loopback(struct snet_ffi_manager *m)
{
	if (m->self && m->self->state == STOFFELNET_STATE_CONNECTED)
		return m->self;
	snet_ffi_link_free(m->self);
	m->self = snet_ffi_link_new(m);
	if (m->self) {
		m->self->loopback = true;
		atomic_fetch_add(&m->self->refs, 1);
	}
	return m->self;
}

struct snet_ffi_link *snet_ffi_manager_find(struct snet_ffi_manager *m, uint64_t id)
{
	const struct snet_ffi_node *n = node_of(m, id);
	struct snet_ffi_link *readable = NULL;

	if (id == m->id || id == snet_identity_derived(m->identity))
		return loopback(m);
	for (struct snet_list *at = m->links.next; at != &m->links; at = at->next) {
		struct snet_ffi_link *l = SNET_OF(at, struct snet_ffi_link, node);

		if (!is_it(l, n, id) || !snet_ffi_link_is_useful(l))
			continue;
		if (snet_ffi_link_is_open(l))
			return l;
		readable = l;
	}
	return readable;
}

uint64_t snet_ffi_manager_name(const struct snet_ffi_manager *m, const struct snet_ffi_link *l)
{
	uint64_t id = l->derived;

	if (l->loopback)
		return m->id;
	for (size_t i = 0; i < m->n_nodes; i++) {
		if (m->nodes[i].id == l->derived)
			return l->derived;
		if (id == l->derived && is_it(l, &m->nodes[i], m->nodes[i].id))
			id = m->nodes[i].id;
	}
	return id;
}

/* ---- who comes */

static void drop(struct snet_ffi_manager *m, struct incoming *in)
{
	snet_list_del(&in->node);
	m->n_incoming--;
	free(in);
}

/* A program that never accepts may be joined and left as often as one likes. */
static void forget_dead(struct snet_ffi_manager *m)
{
	struct snet_list *n = m->incoming.next, *next;

	for (; n != &m->incoming; n = next) {
		struct incoming *in = SNET_OF(n, struct incoming, node);
		struct snet_ffi_link *l = in->link;

		next = n->next;
		if (snet_ffi_link_is_useful(l))
			continue;
		drop(m, in);
		snet_ffi_link_free(l);
	}
}

int snet_ffi_manager_incoming(struct snet_ffi_manager *m, struct snet_ffi_link *l)
{
	struct snet_ffi_op *op;
	struct incoming *in;

	if (!snet_list_is_empty(&m->accepts)) {
		op = SNET_OF(m->accepts.next, struct snet_ffi_op, node);
		op->id = snet_ffi_manager_name(m, l);
		snet_ffi_op_end(op, STOFFELNET_OK, NULL);
		return SNET_OK;
	}
	if (m->n_incoming >= SNET_FFI_BACKLOG)
		forget_dead(m);
	if (m->n_incoming >= SNET_FFI_BACKLOG)
		return SNET_EPOLICY;
	in = calloc(1, sizeof(*in));
	if (!in)
		return SNET_ENOMEM;
	atomic_fetch_add(&l->refs, 1);
	in->link = l;
	snet_list_add(&m->incoming, &in->node);
	m->n_incoming++;
	return SNET_OK;
}

struct snet_ffi_link *snet_ffi_manager_accept(struct snet_ffi_manager *m)
{
	while (!snet_list_is_empty(&m->incoming)) {
		struct incoming *in = SNET_OF(m->incoming.next, struct incoming, node);
		struct snet_ffi_link *l = in->link;

		drop(m, in);
		if (snet_ffi_link_is_useful(l))
			return l;
		snet_ffi_link_free(l);
	}
	return NULL;
}

void snet_ffi_manager_take(struct snet_ffi_manager *m, struct snet_conn *c, const uint64_t *id)
{
	struct snet_peer_opts opts = snet_ffi_manager_opts(m);
	bool unwanted = m->role == SNET_ROLE_CLIENT;
	struct snet_ffi_wire *w = NULL;

	pthread_mutex_lock(&m->rt->lock);
	unwanted = unwanted || m->closing;
	if (!unwanted)
		w = snet_ffi_wire_new(m);
	if (w && id) {
		w->met = true;
		w->met_id = *id;
	}
	if (!w)
		c->transport->close(c, unwanted ? SNET_OK : SNET_ENOMEM,
				    "Connection closed gracefully");
	else if (snet_peer_accept(&w->peer, m->rt->loop, c, &opts, &snet_ffi_wire_events, w))
		snet_ffi_wire_free(w);
	pthread_mutex_unlock(&m->rt->lock);
}

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	(void)e;
	snet_ffi_manager_take(user, c, NULL);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	char text[SNET_ADDR_TEXT];

	(void)e, (void)code, (void)user;
	snet_log(SNET_LOG_INFO, "ffi", "%s was refused: %s", snet_addr_print(from, text), why);
}

const struct snet_endpoint_events snet_ffi_endpoint_events = { on_accept, on_refused };

/* ---- the end: everything says its last, for as long as it takes but not for ever */

static void on_linger(struct snet_timer *t, snet_time now)
{
	struct snet_ffi_manager *m = t->user;

	(void)now;
	pthread_mutex_lock(&m->rt->lock);
	for (struct snet_list *n = m->wires.next; n != &m->wires; n = n->next)
		snet_peer_close(SNET_OF(n, struct snet_ffi_wire, all)->peer, SNET_OK,
				"Connection closed gracefully");
	pthread_mutex_unlock(&m->rt->lock);
}

static void close_links(struct snet_ffi_manager *m)
{
	struct snet_list *n = m->links.next, *next;

	for (; n != &m->links; n = next) {
		struct snet_ffi_link *l = SNET_OF(n, struct snet_ffi_link, node);

		next = n->next;
		atomic_fetch_add(&l->refs, 1);
		snet_ffi_link_close(l);
		snet_ffi_link_free(l);
	}
	for (n = m->wires.next; n != &m->wires; n = n->next) {
		struct snet_ffi_wire *w = SNET_OF(n, struct snet_ffi_wire, all);

		if (!w->link)
			snet_peer_close(w->peer, SNET_OK, "Connection closed gracefully");
	}
}

static void begin_end(struct snet_ffi_manager *m)
{
	struct snet_ffi_link *l;

	m->ending = true;
	snet_ffi_op_end_all(&m->accepts, STOFFELNET_ERR_CONNECTION,
			    "the manager has been destroyed");
	snet_ffi_nat_stop(m, "the manager has been destroyed");
	snet_ffi_dial_stop_all(m);
	snet_ffi_agree_stop(m);
	for (int i = 0; i < 2; i++)
		snet_ffi_op_end_all(&m->any[i], STOFFELNET_ERR_RECEIVE,
				    "the manager has been destroyed");
	pthread_cond_broadcast(&m->rt->changed);
	while ((l = snet_ffi_manager_accept(m)))
		snet_ffi_link_free(l);
	close_links(m);
	m->linger = (struct snet_timer){ .fn = on_linger, .user = m };
	snet_timer_set(m->rt->loop, &m->linger,
		       snet_loop_now(m->rt->loop) + SNET_FFI_LINGER_MOST);
}

static void finish_end(struct snet_ffi_manager *m)
{
	struct snet_endpoint *e = m->endpoint;

	m->gone = true;
	m->endpoint = NULL;
	snet_timer_stop(m->rt->loop, &m->linger);
	snet_list_del(&m->node);
	while (!snet_list_is_empty(&m->links)) /* to be read still; not to be found */
		snet_ffi_link_leave(SNET_OF(m->links.next, struct snet_ffi_link, node));
	pthread_mutex_unlock(&m->rt->lock);
	snet_transport_quic.unbind(e);
	snet_ffi_nat_leave(m);
	pthread_mutex_lock(&m->rt->lock);
	pthread_cond_broadcast(&m->rt->changed);
	snet_ffi_manager_free(m);
}

void snet_ffi_manager_serve(struct snet_ffi_manager *m)
{
	if (!m->closing) {
		snet_ffi_dial_serve(m);
		return;
	}
	if (!m->ending)
		begin_end(m);
	if (snet_list_is_empty(&m->wires))
		finish_end(m);
}

void snet_ffi_manager_free(struct snet_ffi_manager *m)
{
	if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	if (m->event >= 0)
		close(m->event);
	snet_ffi_ordering_free(m->ordering);
	snet_ffi_link_free(m->self);
	snet_identity_free(m->identity);
	snet_trust_free(m->trust);
	snet_ffi_runtime_free(m->rt);
	snet_ffi_nat_fini(m);
	for (size_t i = 0; i < m->n_nodes; i++)
		free(m->nodes[i].room);
	free(m->nodes);
	free(m);
}
