#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/out.h"
#include "cli/peer_events.h"
#include "cli/say.h"
#include "crypto/hash.h"
#include "obs/metrics.h"

static void on_idle_timer(struct snet_timer *t, snet_time now);
static void on_parting(struct snet_timer *t, snet_time now);

#define PARTING (1 * SNET_SEC)
#define ASLEEP 8 /* late by this part of --idle-timeout: not the peer is to blame */

/* ---- life */

struct mate *mate_new(struct hub *h, uint32_t number, const struct snet_url *url)
{
	struct mate *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->hub = h;
	m->number = number;
	if (url) {
		m->target = calloc(1, sizeof(*m->target));
		if (!m->target) {
			free(m);
			return NULL;
		}
		m->target->url = *url;
		m->target->timer = (struct snet_timer){ .fn = mate_on_timer, .user = m };
	}
	m->idle = (struct snet_timer){ .fn = on_idle_timer, .user = m };
	m->parting = (struct snet_timer){ .fn = on_parting, .user = m };
	snet_list_add(&h->mates, &m->node);
	h->n_mates++;
	return m;
}

void mate_free(struct mate *m)
{
	struct snet_loop *l = m->hub->run->loop;

	if (m->target)
		snet_timer_stop(l, &m->target->timer);
	mate_hang_up(m);
	snet_timer_stop(l, &m->idle);
	snet_timer_stop(l, &m->parting);
	snet_list_del(&m->node);
	m->hub->n_mates--;
	free(m->target);
	free(m);
}

/* --idle-timeout: messages count, not packets. The timer is left early rather than moved. */
static void touch(struct mate *m)
{
	m->active = snet_loop_now(m->hub->run->loop);
	if (cli.idle_timeout != SNET_NEVER && !m->idle.slot)
		snet_timer_set(m->hub->run->loop, &m->idle, m->active + cli.idle_timeout);
}

/* Once: if it is we who stood still, what was said meanwhile is waiting to be read; or the
 * whole machine did, and it is on its way. */
static bool stood_still(const struct mate *m, const struct snet_timer *t, snet_time now)
{
	return t->deadline <= m->active + cli.idle_timeout &&
	       now - t->deadline >= cli.idle_timeout / ASLEEP;
}

static void on_idle_timer(struct snet_timer *t, snet_time now)
{
	struct mate *m = t->user;
	snet_time due = m->active + cli.idle_timeout;

	if (now >= due && m->peer && !stood_still(m, t, now))
		snet_peer_close(m->peer, SNET_ETIMEOUT,
				"no message for as long as --idle-timeout allows");
	else
		snet_timer_set(m->hub->run->loop, t,
			       now < due ? due : now + cli.idle_timeout / ASLEEP);
}

/* ---- what a peer says */

static void on_up(struct snet_peer *p, void *user)
{
	struct mate *m = user;

	(void)p;
	m->up = true;
	if (m->target) {
		snet_link_step(&m->target->link, SNET_LINK_OPENED,
			       snet_loop_now(m->hub->run->loop), 0);
		snet_timer_stop(m->hub->run->loop, &m->target->timer);
	}
	touch(m);
	hub_mate_up(m);
}

static void on_message(struct snet_peer *p, const struct snet_message *msg, void *user)
{
	struct mate *m = user;

	(void)p;
	m->count.received_messages++;
	m->count.received_bytes += msg->n;
	snet_count(SNET_METRIC_RECEIVED_MESSAGES, 1);
	snet_count(SNET_METRIC_RECEIVED_BYTES, msg->n);
	m->active = snet_loop_now(m->hub->run->loop);
	hub_mate_message(m, msg);
}

static void on_eof(struct snet_peer *p, void *user)
{
	struct mate *m = user;

	(void)p;
	m->eof = true;
	if (m->child)
		child_peer_eof(m->child);
	mate_check(m);
	hub_check(m->hub);
}

static void on_drain(struct snet_peer *p, void *user)
{
	struct mate *m = user;

	(void)p;
	if (!m->full)
		return;
	m->full = false;
	hub_mate_room(m);
}

static void on_flushed(struct snet_peer *p, void *user)
{
	struct mate *m = user;

	(void)p;
	m->flushed = true;
	mate_check(m);
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct mate *m = user;
	struct snet_error err = { 0 };
	bool was_up = m->up;

	if (m->target && !was_up) {
		m->peer = NULL;
		mate_hang_up(m);
		mate_failed(m, code, why);
		return;
	}
	/* The packet that says goodbye is sent once, and may be lost: nothing else was. */
	if (code == SNET_ELOST && !by_peer && m->eof && m->finished && !snet_peer_unacked(p)) {
		code = SNET_OK;
		why = "gone after its end";
	}
	/* What was accepted for sending and has not arrived is a loss, however politely the
	 * peer closed. */
	if (code == SNET_OK && snet_peer_undelivered(p)) {
		code = SNET_ELOST;
		why = "it closed before it took everything";
	}
	if (code == SNET_OK && !was_up)
		code = SNET_ELOST; /* there is no good reason to leave before the hello */
	if (code)
		snet_fail(&err, code, "%s%s%s%s",
			  by_peer && code != SNET_ETRUNCATED ? "the peer said: " : "", why,
			  m->name ? ": " : "", m->name ? m->name : "");
	if (m->unwanted && snet_peer_undelivered(p) && code == SNET_ECANCELLED) {
		snet_fail(&err, SNET_ELOST, "the party came again before it took everything");
		hub_blame(m->hub, &err, m->number);
	}
	if (was_up)
		hub_say_down(m, code, why, by_peer);
	else
		peer_say_refused(&snet_peer_conn(p)->remote, code, why);
	m->unwanted = m->unwanted || !was_up;
	m->peer = NULL;
	if (m->child)
		child_peer_gone(m->child);
	hub_mate_gone(m, &err);
}

const struct snet_peer_events mate_peer_events = { on_up,    on_message, on_eof,
						   on_drain, on_flushed, on_down };

void mate_accept(struct hub *h, struct snet_conn *c)
{
	const struct roster_member *r =
		h->net.roster ? roster_holder(h->net.roster, c->peer_key) : NULL;
	struct mate *m = mate_new(h, r && !r->client ? r->id : h->next_number, NULL);

	if (!m) {
		c->transport->close(c, SNET_ENOMEM, "out of memory");
		return;
	}
	if (!r || r->client)
		h->next_number++;
	m->name = r && r->name[0] ? r->name : snet_trust_name(h->net.trust, c->peer_key);
	if (m->name && !m->name[0])
		m->name = NULL;
	if (snet_peer_accept(&m->peer, h->run->loop, c, &h->net.peer, &mate_peer_events, m))
		mate_free(m);
}

/* ---- sending */

void mate_send(struct mate *m, const struct input_message *msg)
{
	struct hub *h = m->hub;
	int rc = snet_peer_send(m->peer, msg->stream, msg->kind, msg->v, msg->n);
	struct snet_error err;

	if (!rc) {
		m->count.sent_messages++;
		m->count.sent_bytes += msg->total;
		snet_count(SNET_METRIC_SENT_MESSAGES, 1);
		snet_count(SNET_METRIC_SENT_BYTES, msg->total);
		m->active = snet_loop_now(h->run->loop);
		if (cli.overflow == OVERFLOW_BLOCK && !snet_peer_can_send(m->peer) &&
		    !m->full) {
			m->full = true;
			if (!m->child)
				h->n_full++;
		}
		return;
	}
	if (rc == SNET_ECLOSED)
		return; /* on its way out: peer.down tells */
	if (rc == SNET_EAGAIN && cli.overflow == OVERFLOW_DROP) {
		snet_count(SNET_METRIC_DROPPED_MESSAGES, 1);
		if (!m->count.dropped_messages++)
			say_note("peer %u is slow: dropping what it has no room for",
				 m->number);
		return;
	}
	if (rc == SNET_EAGAIN) {
		snet_peer_close(m->peer, SNET_EPOLICY, "its queue is full (--overflow fail)");
		return;
	}
	snet_fail(&err, rc == SNET_EINVAL ? SNET_EPROTO : rc, "message to peer %u: %s",
		  m->number,
		  rc == SNET_EINVAL ? "its profile has stream 0 only" : snet_err_text(rc));
	out_error(&err, m->number, OPT_NONE, false);
	hub_blame(h, &err, m->number);
}

/* To the crate the end of a stream is the end of the connection: it must not come before the
 * other side has said what is wanted of it. */
static bool may_finish(const struct mate *m)
{
	const struct hub *h = m->hub;

	if (snet_peer_conn(m->peer)->profile == SNET_PROFILE_SNET1 || m->eof || h->enough ||
	    h->draining)
		return true;
	return !h->listens && cli.replies == OPT_NONE;
}

void mate_finish(struct mate *m)
{
	if (m->finished || !m->up || !m->peer || !may_finish(m))
		return;
	m->finished = true;
	snet_peer_finish(m->peer);
}

static void on_parting(struct snet_timer *t, snet_time now)
{
	struct mate *m = t->user;

	(void)now;
	if (m->peer)
		snet_peer_close(m->peer, SNET_OK, "done");
}

/* A goodbye is one packet, and may be lost; then whoever waits for the acknowledgement of its
 * last bytes would wait for someone who has left. So the side that was dialled stays until the
 * other, which closes when all is acknowledged, has left. */
static bool stays(struct mate *m)
{
	const struct snet_conn *c = snet_peer_conn(m->peer);
	struct snet_loop *l = m->hub->run->loop;

	if (c->dialled || c->profile != SNET_PROFILE_SNET1 || !m->eof || m->hub->draining ||
	    m->hub->enough)
		return false;
	if (!m->parting.slot)
		snet_timer_set(l, &m->parting, snet_loop_now(l) + PARTING);
	return true;
}

void mate_check(struct mate *m)
{
	bool heard = m->eof || cli.send_only || m->hub->draining;

	if (!m->peer || !m->up)
		return;
	/* Nobody types to someone who has left: a terminal need not be told to end. */
	if (m->eof && !m->child &&
	    (m->hub->input_ended || (!cli.keep_open && m->hub->duct.source && isatty(0))))
		mate_finish(m);
	if (m->child && !child_is_over(m->child, NULL))
		return;
	if (!m->flushed || !heard)
		return;
	/* Told to stop while it still speaks: what it said last may not have been heard. */
	if (m->hub->draining && !m->eof && !cli.send_only)
		snet_peer_close(m->peer, SNET_ECANCELLED,
				"interrupted before everything was heard");
	else if (!stays(m))
		snet_peer_close(m->peer, SNET_OK, "done");
}

void mate_pause(struct mate *m, bool pause)
{
	if (m->paused == pause || !m->peer)
		return;
	m->paused = pause;
	if (pause)
		snet_peer_pause(m->peer);
	else
		snet_peer_resume(m->peer);
}
