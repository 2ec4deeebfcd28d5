#include <stdlib.h>
#include <string.h>

#include "crypto/identity.h"
#include "ffi/agree.h"
#include "ffi/nat.h"

/* Two connections to one party: the one that the higher derived id dialled survives, as in the
 * crate; unless the other has been there for longer than two dials can cross, or was dialled by
 * the same side: then it is dead and only we have not heard. The loser ends in good order, each
 * side its half, so that nothing is lost even when the sides do not agree. */
#define CROSSING (2 * SNET_SEC)
#define DUPLICATE "duplicate connection: tie-breaker"

struct snet_ffi_wire *snet_ffi_wire_new(struct snet_ffi_manager *m)
{
	struct snet_ffi_wire *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->m = m;
	snet_list_init(&w->node);
	snet_list_add(&m->wires, &w->all);
	return w;
}

void snet_ffi_wire_free(struct snet_ffi_wire *w)
{
	snet_list_del(&w->all);
	snet_list_del(&w->node);
	snet_ffi_link_free(w->link);
	free(w);
}

/* ---- the end of what a party says */

/* A party that drops one of two connections may end it before the other has come up here: while
 * a dial of ours is under way, an end may be no end. */
static void look_for_ends(struct snet_ffi_manager *m)
{
	struct snet_list *n;

	for (n = m->wires.next; n != &m->wires; n = n->next) {
		const struct snet_ffi_wire *w = SNET_OF(n, struct snet_ffi_wire, all);

		if (w->dialled && !w->up_at)
			return;
	}
	for (n = m->links.next; n != &m->links; n = n->next) {
		struct snet_ffi_link *l = SNET_OF(n, struct snet_ffi_link, node);
		bool all = snet_ffi_link_is_open(l) && !snet_list_is_empty(&l->wires);

		for (struct snet_list *k = l->wires.next; k != &l->wires; k = k->next)
			all = all && SNET_OF(k, struct snet_ffi_wire, node)->eof;
		if (!all)
			continue;
		l->eof = true;
		snet_ffi_link_feed(l);
	}
}

/* ---- up */

static struct snet_ffi_link *link_of(struct snet_ffi_manager *m, const struct snet_conn *c,
				     bool client)
{
	for (struct snet_list *n = m->links.next; n != &m->links; n = n->next) {
		struct snet_ffi_link *l = SNET_OF(n, struct snet_ffi_link, node);

		if (snet_ffi_link_is_open(l) && !l->loopback && l->client == client &&
		    !memcmp(l->key, c->peer_key, sizeof(l->key)))
			return l;
	}
	return NULL;
}

static bool replaces(const struct snet_ffi_wire *w, const struct snet_ffi_wire *old)
{
	bool we_are_higher = snet_identity_derived(w->m->identity) > w->link->derived;

	if (w->dialled == old->dialled || w->up_at - old->up_at > CROSSING || w->link->client)
		return true;
	return w->dialled == we_are_higher;
}

static void lose(struct snet_ffi_wire *w)
{
	w->loser = true;
	snet_peer_finish(w->peer);
}

static void attach(struct snet_ffi_wire *w, struct snet_ffi_link *l)
{
	struct snet_ffi_wire *now = l->then ? l->then : l->out;

	atomic_fetch_add(&l->refs, 1);
	w->link = l;
	snet_list_add(&l->wires, &w->node);
	if (l->paused)
		snet_peer_pause(w->peer);
	if (!now) {
		l->out = w;
	} else if (replaces(w, now)) {
		l->then = w;
		lose(now);
	} else {
		lose(w);
	}
	snet_ffi_mark(l);
	snet_ffi_wake(l->rt);
}

/* Whoever comes from, or answered at, the address of a node is that node from now on. */
static void bind_node(struct snet_ffi_wire *w, const struct snet_conn *c)
{
	struct snet_ffi_manager *m = w->m;

	for (size_t i = 0; i < m->n_nodes; i++) {
		struct snet_ffi_node *n = &m->nodes[i];

		if (n->pinned || (n->id != c->peer_derived && !(w->met && n->id == w->met_id) &&
				  !snet_addr_eq(&n->addr, &c->remote)))
			continue;
		n->bound = true;
		memcpy(n->key, c->peer_key, sizeof(n->key));
	}
}

/* NULL: out of memory. */
static struct snet_ffi_link *meet(struct snet_ffi_manager *m, const struct snet_conn *c,
				  bool client)
{
	uint8_t *spki = malloc(c->peer_spki_len ? c->peer_spki_len : 1);
	struct snet_ffi_link *l = spki ? snet_ffi_link_new(m) : NULL;

	if (!l) {
		free(spki);
		return NULL;
	}
	if (c->peer_spki_len)
		memcpy(spki, c->peer_spki, c->peer_spki_len);
	l->spki = spki;
	l->spki_len = c->peer_spki_len;
	memcpy(l->key, c->peer_key, sizeof(l->key));
	l->derived = c->peer_derived;
	l->remote = c->remote;
	l->client = client;
	return l;
}

static int join(struct snet_ffi_wire *w)
{
	const struct snet_conn *c = snet_peer_conn(w->peer);
	bool client = snet_peer_role(w->peer) == SNET_ROLE_CLIENT;
	struct snet_ffi_link *l = link_of(w->m, c, client);
	int rc = SNET_OK;

	if (!l)
		l = meet(w->m, c, client);
	if (!l)
		return SNET_ENOMEM;
	attach(w, l);
	if (!client)
		bind_node(w, c);
	if (w == l->out)
		snet_ffi_agree_up(l);
	if (!w->dialled)
		rc = snet_ffi_manager_incoming(w->m, l);
	return rc;
}

static void on_up(struct snet_peer *p, void *user)
{
	struct snet_ffi_wire *w = user;
	struct snet_ffi_runtime *rt = w->m->rt;
	const struct snet_conn *c = snet_peer_conn(p);
	int rc;

	pthread_mutex_lock(&rt->lock);
	w->up_at = snet_loop_now(rt->loop);
	if (w->m->closing) {
		snet_peer_close(p, SNET_OK, "Connection closed gracefully");
	} else if (!memcmp(c->peer_key, snet_identity_keyid(w->m->identity),
			   SNET_KEYID_BYTES)) {
		snet_peer_close(p, SNET_EPOLICY, "this is the party itself");
	} else {
		rc = join(w);
		if (rc)
			snet_peer_close(p, rc, "too many connections wait to be accepted");
		else if (w->dial)
			snet_ffi_dial_ended(w->dial, w->link, SNET_OK, NULL);
		snet_ffi_dial_look(w->m);
	}
	look_for_ends(w->m);
	pthread_mutex_unlock(&rt->lock);
}

/* ---- messages */

static int store(struct snet_ffi_link *l, const struct snet_message *m)
{
	struct snet_ffi_message *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return SNET_ENOMEM;
	copy->n = m->n;
	if (m->n)
		copy->data = malloc(m->n);
	if (m->n && !copy->data) {
		free(copy);
		return SNET_ENOMEM;
	}
	if (m->n)
		memcpy(copy->data, m->p, m->n);
	snet_list_add(&l->inbox, &copy->node);
	l->inbox_bytes += snet_ffi_cost(copy);
	snet_ffi_count_received(l, m->n);
	return SNET_OK;
}

/* The wire's link, locked. NULL: it has none, it was refused when it came up. */
static struct snet_ffi_link *lock_link(struct snet_ffi_wire *w)
{
	if (w->link)
		pthread_mutex_lock(&w->m->rt->lock);
	return w->link;
}

static void unlock_link(struct snet_ffi_wire *w)
{
	pthread_mutex_unlock(&w->m->rt->lock);
}

static void take_in(struct snet_ffi_link *l, struct snet_peer *p, const struct snet_message *m)
{
	if (store(l, m))
		snet_peer_close(p, SNET_ENOMEM, "out of memory");
	snet_ffi_link_feed(l);
	if (l->paused || l->inbox_bytes < SNET_FFI_INBOX)
		return;
	l->paused = true;
	for (struct snet_list *n = l->wires.next; n != &l->wires; n = n->next)
		snet_peer_pause(SNET_OF(n, struct snet_ffi_wire, node)->peer);
}

static void on_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	struct snet_ffi_wire *w = user;
	struct snet_ffi_link *l = lock_link(w);

	if (!l)
		return;
	if (l->state == STOFFELNET_STATE_CONNECTED && !snet_ffi_agree_hear(l, m->p, m->n))
		take_in(l, p, m);
	unlock_link(w);
}

static void on_drain(struct snet_peer *p, void *user)
{
	struct snet_ffi_wire *w = user;

	(void)p;
	if (!lock_link(w))
		return;
	snet_ffi_agree_drained(w);
	snet_ffi_link_serve(w->link);
	unlock_link(w);
}

/* ---- ends */

/* One half is done. When both are, nothing of a loser is under way. */
static void half_done(struct snet_ffi_wire *w, bool *half)
{
	*half = true;
	look_for_ends(w->m);
	if (w->loser && w->flushed && w->eof)
		snet_peer_close(w->peer, SNET_EPOLICY, DUPLICATE);
}

static void on_eof(struct snet_peer *p, void *user)
{
	struct snet_ffi_wire *w = user;

	(void)p;
	if (!lock_link(w))
		return;
	half_done(w, &w->eof);
	unlock_link(w);
}

static void go_on(struct snet_ffi_link *l)
{
	snet_ffi_agree_up(l);
	snet_ffi_mark(l);
	snet_ffi_wake(l->rt);
}

static void switch_over(struct snet_ffi_link *l)
{
	l->out = l->then;
	l->then = NULL;
	if (l->out)
		go_on(l);
}

static void on_flushed(struct snet_peer *p, void *user)
{
	struct snet_ffi_wire *w = user;
	struct snet_ffi_link *l = lock_link(w);

	(void)p;
	if (!l)
		return;
	if (w == l->out && l->then)
		switch_over(l);
	half_done(w, &w->flushed);
	if (l->state == STOFFELNET_STATE_CLOSING)
		snet_ffi_link_serve(l);
	unlock_link(w);
}

/* The connection is out of the link, which goes on with another or ends. */
static void detach(struct snet_ffi_wire *w, int code, const char *why, bool by_peer)
{
	struct snet_ffi_link *l = w->link;
	bool good = l->state == STOFFELNET_STATE_CLOSING || l->eof || (!code && !by_peer);

	snet_list_del(&w->node);
	if (w == l->then)
		l->then = NULL;
	if (w == l->out)
		switch_over(l);
	if (snet_list_is_empty(&l->wires)) {
		snet_ffi_link_end(
			l, good ? STOFFELNET_STATE_CLOSED : STOFFELNET_STATE_DISCONNECTED, why);
		return;
	}
	if (!l->out) /* the loser was not: the peer thought otherwise, and it is what is left */
		l->out = SNET_OF(l->wires.next, struct snet_ffi_wire, node);
	go_on(l);
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct snet_ffi_wire *w = user;
	struct snet_ffi_manager *m = w->m;
	struct snet_ffi_runtime *rt = m->rt;

	(void)p;
	pthread_mutex_lock(&rt->lock);
	if (w->link)
		detach(w, code, why, by_peer);
	if (w->dial)
		snet_ffi_dial_ended(w->dial, NULL, code, why);
	snet_ffi_wire_free(w);
	look_for_ends(m);
	snet_ffi_wake(rt); /* a manager that is ending waits for its last */
	pthread_mutex_unlock(&rt->lock);
}

const struct snet_peer_events snet_ffi_wire_events = {
	.on_up = on_up,
	.on_message = on_message,
	.on_eof = on_eof,
	.on_drain = on_drain,
	.on_flushed = on_flushed,
	.on_down = on_down,
};
