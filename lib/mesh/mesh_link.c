#include <string.h>

#include "crypto/identity.h"
#include "mesh/mesh_impl.h"
#include "mesh/mesh_plain.h"
#include "mesh/mesh_rival.h"

/* Longer than a machine that is busy lets a process wait: two dials at once are no loss. One
 * that was started anew where the old one was says at once, with a stateless reset, that it is
 * another. */
#define PROBE_TIME (3 * SNET_SEC)

/* ---- which of two counts */

/* That of the side with the higher derived id survives; of two from one side the later: it
 * would not have dialled again if the first were alive to it. */
bool mesh_is_better(const struct channel *fresh, const struct channel *old)
{
	const struct snet_mesh_config *cfg = &fresh->member->mesh->cfg;
	bool ours = snet_identity_derived(cfg->identity) >
		    snet_peer_conn(fresh->peer)->peer_derived;

	return fresh->dialled == old->dialled || fresh->dialled == ours;
}

uint64_t mesh_heard(const struct channel *ch)
{
	const struct snet_conn *c = snet_peer_conn(ch->peer);
	struct snet_conn_stats s = { 0 };

	if (c->open)
		c->transport->stats(c, &s);
	return s.bytes_received;
}

/* The other side dials although there is a connection: it may have lost it. */
void mesh_probe(struct member *m)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	if (m->probe.slot)
		return;
	m->probed = mesh_heard(m->current);
	mesh_say_heartbeat(m->current, false);
	snet_timer_set(l, &m->probe, snet_loop_now(l) + PROBE_TIME);
}

static bool is_whom_it_says(struct channel *ch)
{
	const struct snet_mesh_config *cfg = &ch->member->mesh->cfg;
	bool plain = mesh_is_plain(ch->member);
	bool speaks =
		plain == (snet_peer_conn(ch->peer)->profile == SNET_PROFILE_STOFFELNET_0_1);
	struct snet_error err;

	if (speaks && (plain || snet_peer_id(ch->peer) == cfg->parties[ch->member->index].id))
		return true;
	if (!speaks)
		snet_fail(&err, SNET_ECONFIG, "it speaks %s, and the roster says %s",
			  plain ? "snet/1" : "stoffelnet-0.1",
			  plain ? "stoffelnet-0.1" : "snet/1");
	else
		snet_fail(&err, SNET_ECONFIG,
			  "it says it is party %llu; its key is that of party %u",
			  (unsigned long long)snet_peer_id(ch->peer),
			  cfg->parties[ch->member->index].id);
	mesh_drop(ch, SNET_ECONFIG, err.text);
	mesh_trouble(ch->member, &err);
	return false;
}

static void was_lost(struct member *m, int code, const char *why, bool by_peer)
{
	m->up = m->moving = false;
	m->link.give_up = mesh_give_up_at(m);
	m->stats.reconnects++;
	m->mesh->ev->on_down(m->index, code, why, by_peer, m->mesh->user);
}

/* Two that dialled at once had two connections, of which one is left: no news for the owner,
 * unless the resume on it says that another process came, or nothing is said at all. A party of
 * the crate has no resume. */
static void moves(struct member *m)
{
	mesh_order_down(m);
	m->up = false;
	m->moving = true;
	if (mesh_is_plain(m))
		mesh_is_another(m);
}

static void replaced(struct member *m, struct channel *old)
{
	mesh_drop(old, SNET_EPOLICY, TIE_BREAKER);
	if (m->up)
		moves(m);
}

void mesh_is_another(struct member *m)
{
	if (m->moving)
		was_lost(m, SNET_ELOST, "it came again", false);
}

static void begin_to_count(struct channel *ch)
{
	struct member *m = ch->member;
	struct snet_loop *l = m->mesh->cfg.loop;

	m->current = ch;
	m->asked = 0;
	if (!m->moving || !m->probe.slot) /* who moves on and on does not come */
		snet_timer_set(l, &m->probe, snet_loop_now(l) + RESUME_TIME);
}

/* The resume can go with the hello where nothing counts yet: what it says was taken stays true
 * as long as nothing is heard elsewhere, so this channel counts from now on. */
static void on_early(struct snet_peer *p, void *user)
{
	struct channel *ch = user;
	struct member *m = ch->member;

	ch->peer = p;
	if (m->current || m->over || mesh_is_plain(m))
		return;
	ch->resumed = true;
	begin_to_count(ch);
	mesh_say_resume(ch);
}

void mesh_take(struct channel *ch, struct channel *old)
{
	struct member *m = ch->member;

	if (m->dialling == ch)
		m->dialling = NULL;
	ch->up = true;
	begin_to_count(ch);
	if (old)
		replaced(m, old);
	m->tries = m->link.tries;
	m->link.patience = 0;
	mesh_step(m, SNET_LINK_OPENED);
	if (mesh_is_plain(m))
		mesh_plain_up(ch);
	else if (ch->dialled && !ch->resumed)
		mesh_say_resume(ch);
}

static void on_up(struct snet_peer *p, void *user)
{
	struct channel *ch = user, *old;
	struct member *m = ch->member;

	ch->peer = p;
	if (!is_whom_it_says(ch))
		return;
	if (m->over) { /* since it was accepted */
		mesh_drop(ch, SNET_ECLOSED, "this party is done");
		return;
	}
	old = m->current == ch ? NULL : m->current;
	if (old && old->ready && !ch->dialled && !mesh_is_plain(m)) {
		mesh_rival_begin(ch);
	} else if (old && !mesh_is_better(ch, old)) {
		mesh_drop(ch, SNET_EPOLICY, TIE_BREAKER);
		if (!mesh_is_plain(m)) /* whose keep-alives have to do */
			mesh_probe(m);
	} else {
		mesh_take(ch, old);
	}
}

/* ---- the end of one */

static void went_down(struct member *m, int code, const char *why, bool by_peer)
{
	struct snet_error none = { 0 }, err = { 0 };

	snet_timer_stop(m->mesh->cfg.loop, &m->ack);
	if (m->over)
		return;
	mesh_order_down(m);
	if (mesh_is_plain(m) && code == SNET_OK)
		mesh_plain_ended(m); /* as it says that it is done */
	if (code == SNET_OK && (mesh_is_done(m) || mesh_is_plain(m))) {
		mesh_over(m, &none);
		return;
	}
	snet_fail(&err, code ? code : SNET_ELOST, "%s", why);
	if (m->up || m->moving) {
		m->last = err;
		was_lost(m, err.code, why, by_peer);
	} else {
		/* A connection that came to nothing is one more failed attempt. */
		m->link.tries = m->tries;
		snet_fail(&err, err.code, "%s%s", by_peer ? "it said: " : "", why);
		mesh_trouble(m, &err);
	}
	mesh_step(m, SNET_LINK_LOST);
}

void mesh_on_probe(struct snet_timer *t, snet_time now)
{
	struct member *m = t->user;

	(void)now;
	if (!m->current && m->moving)
		went_down(m, SNET_ELOST, "the one it had in its place did not come", false);
	else if (m->current && !m->current->ready)
		mesh_drop(m->current, SNET_ETIMEOUT, "no resume in time");
	else if (m->current && mesh_heard(m->current) == m->probed)
		mesh_drop(m->current, SNET_ELOST, "it dials anew, and does not answer here");
}

/* The other side has another in its place, of which we have not heard that it counts. */
static bool was_replaced(struct member *m, const char *why, bool by_peer)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	if (!m->up || m->over || mesh_is_plain(m) || !by_peer || strcmp(why, TIE_BREAKER) ||
	    snet_list_is_empty(&m->channels))
		return false;
	snet_timer_stop(l, &m->ack);
	moves(m);
	snet_timer_set(l, &m->probe, snet_loop_now(l) + RESUME_TIME);
	return true;
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct channel *ch = user;
	struct member *m = ch->member;
	bool counted = m->current == ch, was_current = counted && ch->up;
	bool was_dialling = m->dialling == ch;
	struct snet_error none = { 0 }, err = { 0 };

	if (mesh_is_plain(m))
		code = mesh_plain_code(ch, code, why, by_peer);
	mesh_channel_free(ch);
	if (counted && (was_current || !m->moving))
		snet_timer_stop(m->mesh->cfg.loop, &m->probe);
	if (was_current && mesh_is_plain(m) && mesh_plain_lost(m, p)) {
		snet_fail(&err, code ? code : SNET_ELOST, "%s, and did not take everything",
			  code ? why : "it closed");
		went_down(m, err.code, err.text, by_peer);
	} else if (was_current) {
		if (!was_replaced(m, why, by_peer))
			went_down(m, code, why, by_peer);
		mesh_rival_take(m);
	} else if (m->moving && !m->current) {
		if (snet_list_is_empty(&m->channels)) /* else the probe waits for the others */
			went_down(m, code ? code : SNET_ELOST, why, by_peer);
	} else if (was_dialling && !m->current && !m->over) {
		snet_fail(&err, code ? code : SNET_EUNREACH, "%s", why);
		/* It has gone, as it may: all that was for it, it has. */
		if (mesh_is_done(m) && (code == SNET_EUNREACH || code == SNET_ECLOSED)) {
			mesh_over(m, &none);
			return;
		}
		mesh_trouble(m, &err);
		mesh_step(m, SNET_LINK_LOST);
	}
}

/* ---- what comes on a channel */

static bool counts(const struct channel *ch)
{
	return ch->member->current == ch && !ch->member->over;
}

static void on_message(struct snet_peer *p, const struct snet_message *msg, void *user)
{
	struct channel *ch = user;

	(void)p;
	if (mesh_is_plain(ch->member) && !ch->member->over)
		mesh_plain_message(ch, msg); /* on any: it is not said again */
	else if (counts(ch))
		mesh_message(ch, msg);
}

static void on_control(struct snet_peer *p, uint8_t type, const uint8_t *body, size_t n,
		       void *user)
{
	struct channel *ch = user;

	(void)p;
	if (counts(ch))
		mesh_control(ch, type, body, n);
	else if (ch->member->rival == ch)
		mesh_rival_hear(ch, type, body, n);
}

static void on_eof(struct snet_peer *p, void *user)
{
	struct channel *ch = user;

	(void)p;
	if (!counts(ch) || ch->member->ended)
		return;
	if (mesh_is_plain(ch->member))
		mesh_plain_ended(ch->member);
	else
		mesh_drop(ch, SNET_EPROTO, "it ended without a goodbye");
}

static void on_drain(struct snet_peer *p, void *user)
{
	struct channel *ch = user;

	(void)p;
	if (counts(ch))
		mesh_pump(ch->member);
}

static void on_flushed(struct snet_peer *p, void *user)
{
	struct snet_error none = { 0 };
	struct channel *ch = user;

	(void)p;
	if (counts(ch))
		mesh_over(ch->member, &none);
}

const struct snet_peer_events mesh_peer_events = {
	on_up, on_message, on_eof, on_drain, on_flushed, on_down, on_control, on_early
};

void snet_mesh_accept(struct snet_mesh *mesh, struct snet_conn *c)
{
	struct member *m = NULL;
	struct channel *ch;

	for (uint32_t i = 0; i < mesh->cfg.n; i++)
		if (i != mesh->cfg.self &&
		    !memcmp(mesh->cfg.parties[i].key, c->peer_key, SNET_KEYID_BYTES))
			m = &mesh->members[i];
	if (!m || m->over) {
		c->transport->close(c, m ? SNET_ECLOSED : SNET_EDENIED,
				    m ? "this party is done" : "not a party of this session");
		return;
	}
	ch = mesh_channel_new(m, false);
	if (!ch) {
		c->transport->close(c, SNET_EPOLICY, "too many connections at once");
		return;
	}
	if (snet_peer_accept(&ch->peer, mesh->cfg.loop, c, &mesh->cfg.peer, &mesh_peer_events,
			     ch))
		mesh_channel_free(ch);
}
