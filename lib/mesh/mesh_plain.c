#include <string.h>

#include "crypto/identity.h"
#include "mesh/mesh_impl.h"
#include "mesh/mesh_plain.h"

/* A party of the crate's profile: frames and nothing else on the stream. Neither side says what
 * it has taken, or that it sends no more: what a lost connection took with it is lost, and the
 * end of the connection is the end of the party. */

/* Two dials at once: the crate closes one of them after both sides have said they are open.
 * Ours, when its derived id is the higher: so nothing is sent on it before it has lived for as
 * long as a dial of the crate may still be under way, whatever it says on it meanwhile. It
 * repeats a first flight after 1 s and 3 s; ours went out after the first of them. */
#define SETTLE (2 * SNET_SEC)

static void settled(struct channel *ch)
{
	struct member *m = ch->member;

	ch->settled = true;
	if (ch->ready || mesh_order_holds(m->mesh))
		return;
	ch->ready = true;
	snet_timer_stop(m->mesh->cfg.loop, &m->ack);
	mesh_plain_pump(m);
}

void mesh_plain_up(struct channel *ch)
{
	struct member *m = ch->member;
	const struct snet_mesh_config *cfg = &m->mesh->cfg;
	bool sure = !ch->dialled || snet_identity_derived(cfg->identity) >
					    snet_peer_conn(ch->peer)->peer_derived;

	m->ended = false;
	m->heard_at = snet_loop_now(cfg->loop);
	mesh_came_up(ch, true, 0);
	mesh_order_up(m);
	if (sure)
		settled(ch);
	else
		snet_timer_set(cfg->loop, &m->ack, m->heard_at + SETTLE);
}

void mesh_plain_message(struct channel *ch, const struct snet_message *msg)
{
	struct member *m = ch->member;
	struct snet_message mine = *msg;

	ch->heard = true;
	m->heard_at = snet_loop_now(m->mesh->cfg.loop);
	if (m->current == ch && mesh_order_input(m, msg))
		return;
	mine.seq = ++m->taken[0];
	m->stats.received++;
	m->stats.received_bytes += msg->n;
	mesh_turn(m, MESH_HEARD);
	m->mesh->ev->on_message(m->index, &mine, m->mesh->user);
}

void mesh_plain_go(struct member *m)
{
	if (m->current && m->current->settled)
		settled(m->current);
}

static void forget_first(struct member *m, const struct snet_outbox_item *item)
{
	struct snet_record_marks marks = { .count = 1 };

	marks.mark[0].stream = item->stream;
	marks.mark[0].at = item->seq;
	snet_outbox_sent(&m->outbox);
	snet_outbox_acked(&m->outbox, &marks);
	mesh_journal_taken(m, false);
	if (m->mesh->ev->on_taken)
		m->mesh->ev->on_taken(m->index, &marks, false, m->mesh->user);
}

static void finish(struct channel *ch)
{
	if (ch->finishing)
		return;
	ch->finishing = true;
	snet_peer_finish(ch->peer);
}

/* It may still speak after we have ended, and will not say when it is done: it has as long as a
 * party may be away. */
static void linger(struct member *m)
{
	snet_time wait = m->mesh->cfg.wait;
	struct snet_loop *l = m->mesh->cfg.loop;

	if (m->ended)
		finish(m->current);
	else if (!m->ack.slot && wait != SNET_NEVER)
		snet_timer_set(l, &m->ack, snet_loop_now(l) + wait);
}

void mesh_plain_pump(struct member *m)
{
	const struct snet_outbox_item *item;
	struct channel *ch = m->current;

	if (!ch || !ch->ready || m->over)
		return;
	while (snet_peer_can_send(ch->peer) && (item = snet_outbox_next(&m->outbox))) {
		int rc = snet_peer_send(ch->peer, 0, item->kind, &item->v, 1);

		if (rc) {
			mesh_pump_failed(m, rc);
			return;
		}
		forget_first(m, item);
	}
	if (m->full && m->outbox.bytes <= m->outbox.max / 2) {
		m->full = false;
		m->mesh->ev->on_room(m->index, m->mesh->user);
	}
	if (m->mesh->finished && snet_outbox_is_empty(&m->outbox))
		linger(m);
}

int mesh_plain_code(const struct channel *ch, int code, const char *why, bool by_peer)
{
	static const char *const refusals[] = { "certificate public key not allowed",
						"unknown peer", "p2p identity mismatch" };

	if (code || !by_peer)
		return code;
	if (!strcmp(why, TIE_BREAKER))
		return SNET_ELOST;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		if (!strcmp(why, refusals[i]))
			return SNET_EDENIED;
	return ch->settled || ch->heard ? SNET_OK : SNET_ELOST;
}

bool mesh_plain_lost(const struct member *m, struct snet_peer *p)
{
	return snet_peer_undelivered(p) || !snet_outbox_is_empty(&m->outbox);
}

void mesh_plain_due(struct member *m)
{
	struct snet_loop *l = m->mesh->cfg.loop;
	snet_time until = m->heard_at + m->mesh->cfg.wait;

	if (!m->current)
		return;
	if (!m->current->ready)
		settled(m->current);
	else if (snet_loop_now(l) < until)
		snet_timer_set(l, &m->ack, until);
	else
		finish(m->current);
}

void mesh_plain_ended(struct member *m)
{
	if (m->ended)
		return;
	m->ended = true;
	m->mesh->ev->on_end(m->index, m->mesh->user);
	mesh_plain_pump(m);
}
