#include <string.h>

#include "mesh/mesh_impl.h"
#include "mesh/mesh_plain.h"
#include "mesh/mesh_rival.h"

/* An ack is due after so much, or so long: between, it would be most of the traffic. */
#define ACK_BYTES (256 << 10)
#define ACK_MESSAGES 256
#define ACK_TIME (20 * SNET_MS)
#define RETRY_TIME (20 * SNET_MS)

enum { ASKS, ANSWERS }; /* the one byte of a heartbeat */

/* ---- records that are no messages */

/* What the transport has no room for is said by the next resume. */
static int say(struct channel *ch, enum snet_record_type type, const void *p, size_t n)
{
	struct snet_slice s = { p, n, NULL };
	int rc = snet_peer_send(ch->peer, 0, (uint8_t)type, &s, 1);

	if (rc && rc != SNET_ECLOSED)
		mesh_drop(ch, SNET_ELOST, "it takes nothing any more");
	return rc;
}

void mesh_say_heartbeat(struct channel *ch, bool reply)
{
	uint8_t body = reply ? ANSWERS : ASKS;

	/* With a full queue there is enough that will be acknowledged, or not. */
	if (snet_peer_can_send(ch->peer))
		say(ch, SNET_RECORD_HEARTBEAT, &body, 1);
}

/* plus: 0 for how many were taken, 1 for the number expected next. */
static struct snet_record_marks marks_of(const uint64_t *upto, unsigned plus)
{
	struct snet_record_marks marks = { 0 };

	for (unsigned i = 0; i < SNET_RECORD_STREAMS; i++) {
		if (!upto[i])
			continue;
		marks.mark[marks.count].stream = (uint8_t)i;
		marks.mark[marks.count++].at = upto[i] + plus;
	}
	return marks;
}

void mesh_say_resume(struct channel *ch)
{
	struct member *m = ch->member;
	bool confirms = m->mesh->cfg.confirms;
	struct snet_record_marks next = marks_of(confirms ? m->confirmed : m->taken, 1);
	struct snet_buf b = SNET_BUF(CONTROL_MAX);

	if (snet_session_encode(&m->mesh->session, m->incarnation, &next, &b))
		mesh_drop(ch, SNET_ENOMEM, "out of memory");
	else
		say(ch, SNET_RECORD_RESUME, b.p, b.n);
	snet_buf_free(&b);
	/* What was taken and not confirmed comes again, or nobody would have it after us. */
	for (unsigned i = 0; confirms && i < SNET_RECORD_STREAMS; i++)
		m->again[i] = m->taken[i] - m->confirmed[i];
	m->unacked = m->unacked_bytes = 0; /* said with it */
}

static void say_ack(struct member *m)
{
	bool confirms = m->mesh->cfg.confirms;
	struct snet_record_marks marks;
	uint64_t upto[SNET_RECORD_STREAMS];
	struct snet_buf b = SNET_BUF(CONTROL_MAX);

	snet_timer_stop(m->mesh->cfg.loop, &m->ack);
	if (!m->current || !m->current->ready || !m->unacked || m->over)
		return;
	m->unacked = m->unacked_bytes = 0;
	/* Not what is yet to come again: a goodbye would overtake it. */
	for (unsigned i = 0; i < SNET_RECORD_STREAMS; i++) {
		upto[i] = m->taken[i] - m->again[i];
		if (confirms && upto[i] > m->confirmed[i])
			upto[i] = m->confirmed[i];
	}
	marks = marks_of(upto, 0);
	if (snet_record_encode_ack(&marks, &b))
		mesh_drop(m->current, SNET_ENOMEM, "out of memory");
	else
		say(m->current, SNET_RECORD_ACK, b.p, b.n);
	snet_buf_free(&b);
}

static void on_ack_time(struct snet_timer *t, snet_time now)
{
	struct member *m = t->user;

	(void)now;
	if (mesh_is_plain(m))
		mesh_plain_due(m);
	else
		say_ack(m);
}

static void on_urgent(struct snet_task *t)
{
	say_ack(t->user);
}

static void on_retry(struct snet_timer *t, snet_time now)
{
	(void)now;
	mesh_pump(t->user);
}

void mesh_delivery_init(struct member *m)
{
	m->retry = (struct snet_timer){ .fn = on_retry, .user = m };
	m->ack = (struct snet_timer){ .fn = on_ack_time, .user = m };
	snet_task_init(&m->urgent, on_urgent, m);
}

/* ---- sending */

bool mesh_is_done(const struct member *m)
{
	return m->mesh->finished && m->ended && snet_outbox_is_empty(&m->outbox);
}

/* A goodbye says that nothing follows on any stream: so everything before it has been taken. */
static void say_bye(struct member *m)
{
	struct channel *ch = m->current;
	struct snet_record_bye bye = { 0 };
	struct snet_buf b = SNET_BUF(CONTROL_MAX);

	if (!m->mesh->finished || !snet_outbox_is_empty(&m->outbox))
		return;
	if (!ch->said_bye) {
		ch->said_bye = true;
		say_ack(m);
		if (snet_record_encode_bye(&bye, &b))
			mesh_drop(ch, SNET_ENOMEM, "out of memory");
		else
			say(ch, SNET_RECORD_BYE, b.p, b.n);
		snet_buf_free(&b);
	}
	if (m->ended && !ch->finishing) {
		ch->finishing = true;
		snet_peer_finish(ch->peer);
	}
}

void mesh_pump_failed(struct member *m, int rc)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	if (rc == SNET_ENOMEM && !m->retry.slot &&
	    snet_timer_set(l, &m->retry, snet_loop_now(l) + RETRY_TIME))
		mesh_drop(m->current, SNET_ENOMEM, "out of memory");
}

void mesh_pump(struct member *m)
{
	const struct snet_outbox_item *item;
	struct channel *ch = m->current;

	if (!ch || !ch->ready || m->over)
		return;
	if (mesh_is_plain(m)) {
		mesh_plain_pump(m);
		return;
	}
	while ((item = snet_outbox_next(&m->outbox)) && snet_peer_can_send(ch->peer)) {
		struct snet_slice v;
		size_t n = snet_outbox_frames(&m->outbox, &v);
		int rc = n ? snet_peer_send_frames(ch->peer, item->stream, &v)
			   : snet_peer_send(ch->peer, item->stream, item->kind, &item->v, 1);

		if (rc) {
			mesh_pump_failed(m, rc);
			return;
		}
		do
			snet_outbox_sent(&m->outbox);
		while (n && --n);
	}
	say_bye(m);
}

static void freed(struct member *m)
{
	if (m->full && m->outbox.bytes <= m->outbox.max / 2) {
		m->full = false;
		m->mesh->ev->on_room(m->index, m->mesh->user);
	}
	mesh_pump(m);
}

/* ---- hearing */

static void ack_soon(struct member *m)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	if (m->unacked >= ACK_MESSAGES || m->unacked_bytes >= ACK_BYTES)
		snet_task_defer(l, &m->urgent);
	else if (!m->ack.slot)
		snet_timer_set(l, &m->ack, snet_loop_now(l) + ACK_TIME);
}

void mesh_message(struct channel *ch, const struct snet_message *msg)
{
	struct member *m = ch->member;
	struct snet_mesh *mesh = m->mesh;
	struct snet_message mine = *msg;

	if (!ch->ready || m->ended) {
		mesh_drop(ch, SNET_EPROTO,
			  m->ended ? "a message after its goodbye" : "no resume before");
		return;
	}
	if (m->again[msg->stream]) {
		m->again[msg->stream]--;
		m->unacked++;
		ack_soon(m);
		return;
	}
	mine.seq = ++m->taken[msg->stream];
	m->stats.received++;
	m->stats.received_bytes += msg->n;
	mesh_turn(m, MESH_HEARD);
	if (!mesh->cfg.confirms) {
		m->unacked++;
		m->unacked_bytes += msg->n;
		ack_soon(m);
	}
	mesh->ev->on_message(m->index, &mine, mesh->user);
}

static void confirm(struct member *m, unsigned stream, uint64_t upto)
{
	if (upto > m->taken[stream])
		upto = m->taken[stream];
	if (upto <= m->confirmed[stream])
		return;
	m->unacked += upto - m->confirmed[stream];
	m->confirmed[stream] = upto;
	ack_soon(m);
}

void snet_mesh_confirm(struct snet_mesh *mesh, uint32_t party, unsigned stream, uint64_t upto)
{
	if (party < mesh->cfg.n && party != mesh->cfg.self && stream < SNET_RECORD_STREAMS &&
	    !mesh_is_plain(&mesh->members[party]))
		confirm(&mesh->members[party], stream, upto);
}

void snet_mesh_confirm_all(struct snet_mesh *mesh)
{
	for (uint32_t i = 0; i < mesh->cfg.n; i++)
		for (unsigned k = 0; k < SNET_RECORD_STREAMS; k++)
			snet_mesh_confirm(mesh, i, k, UINT64_MAX);
}

/* Pauses are counted. */
void mesh_pause(struct channel *ch)
{
	bool pause = ch->member->mesh->paused || ch->member->held;

	if (ch->paused == pause)
		return;
	ch->paused = pause;
	if (pause)
		snet_peer_pause(ch->peer);
	else
		snet_peer_resume(ch->peer);
}

void mesh_came_up(struct channel *ch, bool anew, uint64_t lost)
{
	struct member *m = ch->member;

	snet_peer_ungate(ch->peer);
	mesh_pause(ch); /* not before: a resume has to be heard */
	m->up = m->was_up = true;
	m->last.code = SNET_OK;
	snet_timer_stop(m->mesh->cfg.loop, &m->probe);
	if (!m->moving)
		m->mesh->ev->on_up(m->index, anew, lost, m->mesh->user);
	m->moving = false;
}

static void taken_for_good(struct member *m, const struct snet_record_marks *marks, bool anew)
{
	mesh_journal_taken(m, anew);
	if (m->mesh->ev->on_taken)
		m->mesh->ev->on_taken(m->index, marks, anew, m->mesh->user);
}

/* A resume says which number is expected next: those before were taken. */
static void taken_by_resume(struct member *m, const struct snet_record_marks *next)
{
	struct snet_record_marks marks = *next;

	for (unsigned i = 0; i < marks.count; i++)
		marks.mark[i].at--;
	taken_for_good(m, &marks, false);
}

/* Both sides are of one mind about the session: what was not taken goes out again. */
static void hear_resume(struct channel *ch, const uint8_t *body, size_t n)
{
	struct member *m = ch->member;
	struct snet_mesh *mesh = m->mesh;
	struct snet_session_heard heard;
	struct snet_error err = { 0 };
	uint64_t lost = 0;
	int rc = snet_session_hear(&heard, &mesh->session, m->incarnation, body, n, &err);

	if (!rc && heard.is_new) {
		mesh_is_another(m);
		lost = snet_outbox_renew(&m->outbox);
		memset(m->taken, 0, sizeof(m->taken));
		memset(m->confirmed, 0, sizeof(m->confirmed));
		memset(m->again, 0, sizeof(m->again));
		taken_for_good(m, NULL, true);
		m->unacked = m->unacked_bytes = 0;
		m->incarnation = heard.incarnation;
		m->ended = false;
	}
	if (!rc && snet_outbox_rewind(&m->outbox, &heard.next))
		rc = snet_fail(&err, SNET_EPROTO, "it expects messages that cannot be");
	if (rc) {
		mesh_drop(ch, rc, err.text[0] ? err.text : "no resume");
		return;
	}
	if (!ch->dialled)
		mesh_say_resume(ch);
	ch->ready = true;
	taken_by_resume(m, &heard.next);
	mesh_came_up(ch, heard.is_new, lost);
	mesh_order_up(m);
	if (m->unacked) /* confirmed before the other side had said resume */
		ack_soon(m);
	freed(m);
}

static void hear_ack(struct channel *ch, const uint8_t *body, size_t n)
{
	struct snet_record_marks marks;

	if (snet_record_decode_ack(&marks, body, n) ||
	    snet_outbox_acked(&ch->member->outbox, &marks)) {
		mesh_drop(ch, SNET_EPROTO, "it acknowledges what was not sent");
		return;
	}
	taken_for_good(ch->member, &marks, false);
	freed(ch->member);
}

static void hear_bye(struct channel *ch, const uint8_t *body, size_t n)
{
	struct member *m = ch->member;
	struct snet_record_bye bye;

	if (snet_record_decode_bye(&bye, body, n)) {
		mesh_drop(ch, SNET_EPROTO, "a bad goodbye");
		return;
	}
	if (!m->ended) {
		m->ended = true;
		m->mesh->ev->on_end(m->index, m->mesh->user);
	}
	mesh_pump(m);
}

void mesh_control(struct channel *ch, uint8_t type, const uint8_t *body, size_t n)
{
	if (ch->ready == (type == SNET_RECORD_RESUME)) {
		mesh_drop(ch, SNET_EPROTO, ch->ready ? "a second resume" : "no resume before");
		return;
	}
	switch (type) {
	case SNET_RECORD_RESUME:
		hear_resume(ch, body, n);
		break;
	case SNET_RECORD_ACK:
		hear_ack(ch, body, n);
		break;
	case SNET_RECORD_BYE:
		hear_bye(ch, body, n);
		break;
	case SNET_RECORD_HEARTBEAT:
		if (n != 1 || body[0] > ANSWERS)
			mesh_drop(ch, SNET_EPROTO, "a bad heartbeat");
		else if (body[0] == ASKS)
			mesh_say_heartbeat(ch, true);
		else
			mesh_rival_answered(ch->member);
		break;
	default:
		mesh_drop(ch, SNET_EPROTO, "a record of a type that has no meaning here");
	}
}
