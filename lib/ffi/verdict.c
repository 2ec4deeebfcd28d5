#include "ffi/agree.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What comes of an agreement: the ordering, or words for why there is none. */

#define NAMED_MAX 8 /* in an error */

/* ---- orderings */

static size_t sum(const struct snet_slice *keys, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += keys[i].n;
	return bytes;
}

static uint8_t *copy(struct snet_slice *to, const struct snet_slice *from, size_t n,
		     uint8_t *at)
{
	for (size_t i = 0; i < n; i++) {
		memcpy(at, from[i].p, from[i].n);
		to[i] = (struct snet_slice){ at, from[i].n, NULL };
		at += from[i].n;
	}
	return at;
}

struct snet_ffi_ordering *snet_ffi_ordering_new(const struct snet_slice *nodes, size_t n_nodes,
						const struct snet_slice *clients,
						size_t n_clients)
{
	struct snet_ffi_ordering *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	atomic_init(&o->refs, 1);
	o->n_nodes = n_nodes;
	o->n_clients = n_clients;
	o->nodes = calloc(n_nodes + n_clients + 1, sizeof(*o->nodes));
	o->bytes = malloc(sum(nodes, n_nodes) + sum(clients, n_clients) + 1);
	if (!o->nodes || !o->bytes) {
		snet_ffi_ordering_free(o);
		return NULL;
	}
	o->clients = o->nodes + n_nodes;
	copy(o->clients, clients, n_clients, copy(o->nodes, nodes, n_nodes, o->bytes));
	return o;
}

void snet_ffi_ordering_free(struct snet_ffi_ordering *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	free(o->nodes);
	free(o->bytes);
	free(o);
}

/* ---- the verdict */

static void settle(struct snet_ffi_manager *m, enum snet_ffi_gate gate)
{
	m->gate = gate;
	pthread_cond_broadcast(&m->rt->changed);
}

static void say(struct snet_ffi_manager *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void say(struct snet_ffi_manager *m, const char *fmt, ...)
{
	size_t n = strlen(m->why_not);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->why_not + n, sizeof(m->why_not) - n, fmt, ap);
	va_end(ap);
}

static bool is_missing(struct snet_ffi_manager *m, size_t node)
{
	uint64_t id = m->nodes[node].id;
	struct snet_ffi_link *l;

	for (size_t i = 0; i < node; i++)
		if (m->nodes[i].id == id)
			return false;
	if (id == m->id)
		return false;
	l = snet_ffi_manager_find(m, id);
	return !l || !snet_ffi_link_is_open(l);
}

/* The machine knows only those that have come: the nodes say who has not. */
static void say_missing(struct snet_ffi_manager *m)
{
	unsigned named = 0;

	for (size_t i = 0; i < m->n_nodes; i++) {
		if (!is_missing(m, i))
			continue;
		if (named < NAMED_MAX)
			say(m, "%s%" PRIu64, named ? ", " : ", without party ", m->nodes[i].id);
		named++;
	}
	if (named > NAMED_MAX)
		say(m, " and %u more", named - NAMED_MAX);
}

/* Whose index is not its id. */
static void say_ids(struct snet_ffi_agree *a)
{
	unsigned named = 0;

	for (size_t i = 0; i < a->n_seats && named < NAMED_MAX; i++) {
		const struct snet_ffi_seat *s = &a->seats[i];

		if (s->id != s->index && ++named)
			say(a->m, "; party %" PRIu32 " is %" PRIu64, s->index, s->id);
	}
}

void snet_ffi_verdict_refuse(struct snet_ffi_agree *a, const char *why, uint32_t blame)
{
	struct snet_ffi_manager *m = a->m;

	snprintf(m->why_not, sizeof(m->why_not), "Consensus failed: %s", why);
	if (blame != SNET_ORDERING_ANY)
		say_ids(a);
	else if (m->parties != SNET_ORDERING_ANY && a->machine.node_count < m->parties)
		say_missing(m);
	settle(m, SNET_FFI_FAILED);
}

void snet_ffi_verdict_tell(struct snet_ffi_agree *a, struct snet_ffi_link *l)
{
	struct snet_buf list = SNET_BUF(SNET_MESSAGE_MAX);
	struct snet_ffi_message *m = NULL;

	if (!snet_ordering_response(&a->machine, &list))
		m = snet_ffi_pack(l, list.p, list.n);
	snet_buf_free(&list);
	if (!m) {
		snet_peer_close(l->out->peer, SNET_ENOMEM, "out of memory");
		return;
	}
	snet_list_add(l->outbox.next, &m->node);
	l->outbox_bytes += snet_ffi_cost(m);
	snet_ffi_mark(l);
	snet_ffi_wake(l->rt);
}

void snet_ffi_verdict_agree(struct snet_ffi_agree *a)
{
	struct snet_ordering *o = &a->machine;
	struct snet_ffi_manager *m = a->m;

	m->ordering =
		snet_ffi_ordering_new(o->nodes, o->node_count, o->client_keys, o->client_count);
	if (!m->ordering) {
		snet_ffi_verdict_refuse(a, "out of memory", SNET_ORDERING_ANY);
		return;
	}
	for (struct snet_list *n = m->links.next; n != &m->links; n = n->next) {
		struct snet_ffi_link *l = SNET_OF(n, struct snet_ffi_link, node);

		if (l->client && l->out)
			snet_ffi_verdict_tell(a, l);
	}
	settle(m, SNET_FFI_AGREED);
}

int32_t snet_ffi_agree_wait(struct snet_ffi_manager *m)
{
	while (m->gate == SNET_FFI_AGREEING && !m->closing)
		pthread_cond_wait(&m->rt->changed, &m->rt->lock);
	if (m->closing)
		return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "the manager has been destroyed");
	if (m->gate == SNET_FFI_FAILED)
		return snet_ffi_fail(STOFFELNET_ERR_CONSENSUS, "%s", m->why_not);
	return STOFFELNET_OK;
}
