#include "ffi/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "ffi/agree.h"
#include "ffi/manager.h"

#define GRACEFUL "Connection closed gracefully" /* as the crate says it, stoffelnet-wire(7) */
#define LOOK (500 * SNET_MS)                    /* between looks at what is left */

/* ---- life */

static size_t left(const struct snet_ffi_link *l)
{
	size_t n = l->outbox_bytes;

	for (struct snet_list *at = l->wires.next; at != &l->wires; at = at->next)
		n += snet_peer_queued(SNET_OF(at, struct snet_ffi_wire, node)->peer);
	return n;
}

static void give_up(struct snet_ffi_link *l)
{
	for (struct snet_list *n = l->wires.next; n != &l->wires; n = n->next)
		snet_peer_close(SNET_OF(n, struct snet_ffi_wire, node)->peer, SNET_OK,
				GRACEFUL);
}

/* A look at what is left; there is another while some of it goes. Looks are counted, not the
 * time: who sleeps does not look. */
static void on_linger(struct snet_timer *t, snet_time now)
{
	struct snet_ffi_link *l = t->user;
	size_t before = l->left;

	pthread_mutex_lock(&l->rt->lock);
	l->left = left(l);
	l->vain = l->left < before ? 0 : l->vain + 1;
	if (l->vain >= SNET_FFI_LINGER / LOOK || now >= l->over ||
	    snet_timer_set(l->rt->loop, t, now + LOOK))
		give_up(l);
	pthread_mutex_unlock(&l->rt->lock);
}

static void linger(struct snet_ffi_link *l)
{
	snet_time now = snet_loop_now(l->rt->loop);

	l->left = left(l);
	l->vain = 0;
	l->over = now + SNET_FFI_LINGER_MOST;
	if (snet_timer_set(l->rt->loop, &l->linger, now + LOOK))
		give_up(l);
}

struct snet_ffi_link *snet_ffi_link_new(struct snet_ffi_manager *m)
{
	struct snet_ffi_link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	atomic_init(&l->refs, 1); /* the manager's */
	l->rt = snet_ffi_runtime_hold(m->rt);
	l->m = m;
	l->state = STOFFELNET_STATE_CONNECTED;
	l->seat = SNET_FFI_NO_SEAT;
	l->linger = (struct snet_timer){ .fn = on_linger, .user = l };
	snet_list_init(&l->dirty);
	snet_list_init(&l->wires);
	snet_list_init(&l->inbox);
	snet_list_init(&l->outbox);
	snet_list_init(&l->receivers);
	snet_list_add(&m->links, &l->node);
	return l;
}

static void empty(struct snet_list *messages)
{
	while (!snet_list_is_empty(messages)) {
		struct snet_ffi_message *m =
			SNET_OF(messages->next, struct snet_ffi_message, node);

		snet_list_del(&m->node);
		snet_ffi_message_free(m);
	}
}

void snet_ffi_link_free(struct snet_ffi_link *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	empty(&l->inbox);
	empty(&l->outbox);
	free(l->spki);
	free(l->said);
	snet_ffi_runtime_free(l->rt);
	free(l);
}

bool snet_ffi_link_is_open(const struct snet_ffi_link *l)
{
	return l->state == STOFFELNET_STATE_CONNECTED && !l->eof;
}

bool snet_ffi_link_is_useful(const struct snet_ffi_link *l)
{
	return snet_ffi_link_is_open(l) || !snet_list_is_empty(&l->inbox);
}

/* Keeps the manager's count of those that have something to read. */
static void count_readable(struct snet_ffi_link *l)
{
	bool yes = l->m && !snet_list_is_empty(&l->inbox);

	if (yes == l->readable || !l->m)
		return;
	l->readable = yes;
	l->m->n_readable += yes ? 1 : (size_t)-1;
	snet_ffi_manager_signal(l->m);
}

void snet_ffi_link_leave(struct snet_ffi_link *l)
{
	struct snet_ffi_manager *m = l->m;

	if (!m)
		return;
	if (l->readable)
		m->n_readable--;
	l->readable = false;
	snet_ffi_manager_signal(m);
	snet_ffi_counts_add(&m->past, &l->counts);
	l->m = NULL;
	snet_list_del(&l->node);
	snet_ffi_link_free(l);
}

/* ---- receiving */

/* What was sent to oneself, while there is room. */
static void loop_back(struct snet_ffi_link *l)
{
	while (!snet_list_is_empty(&l->outbox) && l->inbox_bytes < SNET_FFI_INBOX) {
		struct snet_ffi_message *m =
			SNET_OF(l->outbox.next, struct snet_ffi_message, node);

		snet_list_del(&m->node);
		l->outbox_bytes -= snet_ffi_cost(m);
		if (m->op) {
			m->op->msg = NULL;
			snet_ffi_op_end(m->op, STOFFELNET_OK, NULL);
			m->op = NULL;
		}
		snet_list_add(&l->inbox, &m->node);
		l->inbox_bytes += snet_ffi_cost(m);
		snet_ffi_count_sent(l, m->n);
		snet_ffi_count_received(l, m->n);
	}
}

static void fail_receivers(struct snet_ffi_link *l)
{
	char why[256];

	if (snet_ffi_link_is_open(l))
		return;
	if (l->state == STOFFELNET_STATE_DISCONNECTED)
		snprintf(why, sizeof(why), "Connection lost: %s", l->why);
	else
		snprintf(why, sizeof(why), "%s",
			 l->eof        ? "Stream closed by peer"
			 : l->loopback ? "Loopback connection closed"
				       : "Cannot receive: connection is Closed");
	snet_ffi_op_end_all(&l->receivers, STOFFELNET_ERR_RECEIVE, why);
}

/* Who waits for a message: of this link, or of any. NULL: nobody. */
static struct snet_ffi_op *receiver(struct snet_ffi_link *l)
{
	struct snet_list *from = &l->receivers;

	if (snet_list_is_empty(from) && l->m)
		from = &l->m->any[l->client];
	return snet_list_is_empty(from) ? NULL : SNET_OF(from->next, struct snet_ffi_op, node);
}

void snet_ffi_link_feed(struct snet_ffi_link *l)
{
	struct snet_ffi_op *op;

	for (;;) {
		if (l->loopback)
			loop_back(l);
		op = receiver(l);
		if (snet_list_is_empty(&l->inbox) || !op)
			break;
		if (l->m)
			op->id = snet_ffi_manager_name(l->m, l);
		snet_ffi_take(l, op);
	}
	if (l->paused && l->inbox_bytes <= SNET_FFI_INBOX / 2)
		snet_ffi_mark(l);
	count_readable(l);
	if (!snet_list_is_empty(&l->inbox))
		return;
	fail_receivers(l);
	if (l->state == STOFFELNET_STATE_CLOSED || l->state == STOFFELNET_STATE_DISCONNECTED)
		snet_ffi_link_leave(l);
}

/* ---- sending */

static void gone_out(struct snet_ffi_link *l, struct snet_ffi_message *m, int32_t result,
		     const char *why)
{
	snet_list_del(&m->node);
	l->outbox_bytes -= snet_ffi_cost(m);
	if (m->op) {
		m->op->msg = NULL;
		snet_ffi_op_end(m->op, result, why);
	}
	snet_ffi_message_free(m);
}

static void flush(struct snet_ffi_link *l)
{
	struct snet_ffi_wire *w = l->out;

	/* A loser says its last before the winner goes on: order is kept. */
	while (w && !w->loser && !snet_list_is_empty(&l->outbox)) {
		struct snet_ffi_message *m =
			SNET_OF(l->outbox.next, struct snet_ffi_message, node);
		struct snet_slice s = { m->n ? m->block->data : NULL, m->n, m->block };
		int rc;

		if (!snet_peer_can_send(w->peer))
			return;
		rc = snet_peer_send(w->peer, 0, SNET_KIND_DATA, &s, m->n ? 1 : 0);
		if (rc == SNET_EAGAIN || rc == SNET_ECLOSED)
			return; /* on_drain, on_down */
		if (!rc)
			snet_ffi_count_sent(l, m->n);
		gone_out(l, m, rc ? STOFFELNET_ERR_SEND : STOFFELNET_OK, snet_err_text(rc));
	}
}

/* ---- the end */

void snet_ffi_link_end(struct snet_ffi_link *l, int state, const char *why)
{
	char text[256];

	snprintf(l->why, sizeof(l->why), "%s", why);
	l->state = state;
	snet_ffi_agree_down(l);
	if (!l->loopback)
		snet_timer_stop(l->rt->loop, &l->linger);
	snprintf(text, sizeof(text), "Send failed: %s", why);
	while (!snet_list_is_empty(&l->outbox))
		gone_out(l, SNET_OF(l->outbox.next, struct snet_ffi_message, node),
			 STOFFELNET_ERR_SEND, text);
	snet_ffi_link_feed(l);
	pthread_cond_broadcast(&l->rt->changed);
	/* With something to read it can still be found. */
	if (snet_list_is_empty(&l->inbox))
		snet_ffi_link_leave(l);
}

static void hang_up(struct snet_ffi_link *l)
{
	bool all_out = snet_list_is_empty(&l->outbox);

	if (!l->finishing)
		linger(l);
	l->finishing = true;
	for (struct snet_list *n = l->wires.next; n != &l->wires; n = n->next) {
		struct snet_ffi_wire *w = SNET_OF(n, struct snet_ffi_wire, node);

		if ((all_out || w->loser) && (w->flushed || !snet_peer_queued(w->peer)))
			snet_peer_close(w->peer, SNET_OK, GRACEFUL);
		else if (all_out)
			snet_peer_finish(w->peer);
	}
}

void snet_ffi_link_close(struct snet_ffi_link *l)
{
	if (l->state != STOFFELNET_STATE_CONNECTED)
		return;
	l->state = STOFFELNET_STATE_CLOSING;
	empty(&l->inbox);
	l->inbox_bytes = 0;
	count_readable(l);
	fail_receivers(l);
	if (l->loopback)
		snet_ffi_link_end(l, STOFFELNET_STATE_CLOSED, "loopback connection is Closed");
	else
		snet_ffi_mark(l);
}

void snet_ffi_link_serve(struct snet_ffi_link *l)
{
	if (l->loopback || snet_list_is_empty(&l->wires))
		return;
	if (l->paused && l->inbox_bytes <= SNET_FFI_INBOX / 2) {
		l->paused = false;
		for (struct snet_list *n = l->wires.next; n != &l->wires; n = n->next)
			snet_peer_resume(SNET_OF(n, struct snet_ffi_wire, node)->peer);
	}
	flush(l);
	if (l->state == STOFFELNET_STATE_CLOSING)
		hang_up(l);
}
