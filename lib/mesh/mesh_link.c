#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/identity.h"
#include "mesh/mesh_impl.h"

/* One of the two dials at once; the other gives it so long to do so. */
#define AFTER_YOU (150 * SNET_MS)
#define AFTER_YOU_EACH (50 * SNET_MS) /* and more, for each party that it is busy with */
/* A party of the crate that was there before us, and has dialled in vain, comes again a second
 * after that (the first PTO of quinn); who has dialled it by then has a connection that it will
 * replace, with what is on it. */
#define AFTER_CRATE (1200 * SNET_MS)
#define PROBE_TIME (500 * SNET_MS)
#define RESUME_TIME (10 * SNET_SEC)

static const struct snet_peer_events peer_events;

/* ---- channels */

static struct channel *channel_new(struct member *m, bool dialled)
{
	struct channel *ch = m->n_channels < MESH_CHANNELS ? calloc(1, sizeof(*ch)) : NULL;

	if (!ch)
		return NULL;
	ch->member = m;
	ch->dialled = dialled;
	snet_list_add(&m->channels, &ch->node);
	m->n_channels++;
	return ch;
}

static void channel_free(struct channel *ch)
{
	struct member *m = ch->member;

	if (m->dialling == ch)
		m->dialling = NULL;
	if (m->current == ch)
		m->current = NULL;
	snet_list_del(&ch->node);
	m->n_channels--;
	free(ch);
}

void mesh_drop(struct channel *ch, int code, const char *why)
{
	snet_peer_close(ch->peer, code, why);
}

/* ---- dialling */

static void act(struct member *m, enum snet_link_want want);

static void step(struct member *m, enum snet_link_event ev)
{
	struct snet_loop *l = m->mesh->cfg.loop;
	uint32_t random = 0;

	snet_random(&random, sizeof(random));
	act(m, snet_link_step(&m->link, ev, snet_loop_now(l), random));
	snet_timer_set(l, &m->timer, m->over ? SNET_NEVER : m->link.deadline);
}

/* A refusal explains more than the silence that follows it. */
static bool explains_more(int code, int before)
{
	bool refused = before == SNET_ECONFIG || before == SNET_EDENIED;

	return !refused || code == SNET_ECONFIG || code == SNET_EDENIED;
}

static void trouble(struct member *m, const struct snet_error *err)
{
	if (explains_more(err->code, m->last.code))
		m->last = *err;
	m->mesh->ev->on_trouble(m->index, err, m->mesh->user);
}

static void dial(struct member *m)
{
	struct snet_mesh *mesh = m->mesh;
	const uint8_t *key = mesh->cfg.parties[m->index].key;
	struct snet_endpoint *from;
	struct snet_error err = { 0 };
	struct snet_addr to;
	struct channel *ch;
	int rc = mesh->ev->address(m->index, m->attempts++, &from, &to, &err, mesh->user);

	if (!rc) {
		ch = channel_new(m, true);
		rc = ch ? snet_peer_dial(&ch->peer, mesh->cfg.loop, from, mesh->cfg.transport,
					 &to, key, &mesh->cfg.peer, &peer_events, ch, &err)
			: snet_fail(&err, SNET_ENOMEM, "too many connections at once");
		if (!rc)
			m->dialling = ch;
		else if (ch)
			channel_free(ch);
	}
	if (!rc)
		return;
	trouble(m, &err);
	step(m, SNET_LINK_LOST);
}

/* A party that had said goodbye, and has all that was for it, need not be there any more. */
static void give_up(struct member *m)
{
	struct snet_error err = { 0 };

	if (!mesh_is_done(m))
		snet_fail(&err, m->last.code ? m->last.code : SNET_ETIMEOUT, "%s",
			  m->last.code ? m->last.text : "it is not there");
	mesh_over(m, &err);
}

static void act(struct member *m, enum snet_link_want want)
{
	switch (want) {
	case SNET_LINK_DIAL:
		dial(m);
		break;
	case SNET_LINK_HANGUP:
		if (m->dialling)
			mesh_drop(m->dialling, SNET_ETIMEOUT, "no answer in time");
		break;
	case SNET_LINK_GIVE_UP:
		give_up(m);
		break;
	case SNET_LINK_NOTHING:
		break;
	}
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct member *m = t->user;

	(void)now;
	step(m, m->link.state == SNET_LINK_DOWN ? SNET_LINK_START : SNET_LINK_DUE);
}

static snet_time give_up_at(const struct member *m)
{
	snet_time wait = m->mesh->cfg.wait;

	return wait == SNET_NEVER ? SNET_NEVER : snet_loop_now(m->mesh->cfg.loop) + wait;
}

static void on_probe(struct snet_timer *t, snet_time now);

static snet_time first_dial(const struct member *m)
{
	const struct snet_mesh_config *cfg = &m->mesh->cfg;
	bool first = memcmp(cfg->parties[cfg->self].key, cfg->parties[m->index].key,
			    SNET_KEYID_BYTES) > 0;
	snet_time settle = snet_link_settle(cfg->n);

	if (mesh_is_plain(m) && !cfg->parties[cfg->self].plain)
		settle += AFTER_CRATE;
	return snet_loop_now(cfg->loop) + settle +
	       (first ? 0 : AFTER_YOU + cfg->n * AFTER_YOU_EACH);
}

void mesh_begin(struct member *m)
{
	const struct snet_mesh_config *cfg = &m->mesh->cfg;

	m->timer = (struct snet_timer){ .fn = on_timer, .user = m };
	m->probe = (struct snet_timer){ .fn = on_probe, .user = m };
	snet_link_init(&m->link, give_up_at(m), cfg->dial_timeout);
	m->link.patience = snet_link_settle(cfg->n);
	snet_timer_set(cfg->loop, &m->timer, first_dial(m));
}

void mesh_stop(struct member *m)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	snet_timer_stop(l, &m->timer);
	snet_timer_stop(l, &m->probe);
	snet_timer_stop(l, &m->ack);
	snet_timer_stop(l, &m->retry);
	snet_task_cancel(&m->urgent);
}

void mesh_forget(struct member *m)
{
	while (!snet_list_is_empty(&m->channels)) {
		struct channel *ch = SNET_OF(m->channels.next, struct channel, node);

		snet_peer_free(ch->peer);
		channel_free(ch);
	}
}

void mesh_over(struct member *m, const struct snet_error *err)
{
	if (m->over)
		return;
	m->over = true;
	m->failed = err->code != SNET_OK;
	mesh_stop(m);
	if (m->current)
		mesh_drop(m->current, err->code, err->code ? err->text : "done");
	m->mesh->ev->on_over(m->index, err, m->mesh->user);
}

/* ---- which of two counts */

/* That of the side with the higher derived id survives; of two from one side the later: it
 * would not have dialled again if the first were alive to it. */
static bool is_better(const struct channel *fresh, const struct channel *old)
{
	const struct snet_mesh_config *cfg = &fresh->member->mesh->cfg;
	bool ours = snet_identity_derived(cfg->identity) >
		    snet_peer_conn(fresh->peer)->peer_derived;

	return fresh->dialled == old->dialled || fresh->dialled == ours;
}

static uint64_t heard(const struct channel *ch)
{
	const struct snet_conn *c = snet_peer_conn(ch->peer);
	struct snet_conn_stats s = { 0 };

	if (c->open)
		c->transport->stats(c, &s);
	return s.bytes_received;
}

static void on_probe(struct snet_timer *t, snet_time now)
{
	struct member *m = t->user;

	(void)now;
	if (m->current && !m->current->ready)
		mesh_drop(m->current, SNET_ETIMEOUT, "no resume in time");
	else if (m->current && heard(m->current) == m->probed)
		mesh_drop(m->current, SNET_ELOST, "it dials anew, and does not answer here");
}

/* The other side dials although there is a connection: it may have lost it. */
static void probe(struct member *m)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	if (m->probe.slot)
		return;
	m->probed = heard(m->current);
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
	trouble(ch->member, &err);
	return false;
}

/* The owner is told as of any loss, before it hears of the new one. */
static void replaced(struct member *m, struct channel *old)
{
	static const char why[] = "it came again";

	mesh_drop(old, SNET_EPOLICY, TIE_BREAKER);
	if (!m->up)
		return;
	mesh_order_down(m);
	m->up = false;
	m->stats.reconnects++;
	m->mesh->ev->on_down(m->index, SNET_ELOST, why, false, m->mesh->user);
}

static void begin_to_count(struct channel *ch)
{
	struct member *m = ch->member;
	struct snet_loop *l = m->mesh->cfg.loop;

	m->current = ch;
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
	if (old && !is_better(ch, old)) {
		mesh_drop(ch, SNET_EPOLICY, TIE_BREAKER);
		if (!mesh_is_plain(m)) /* whose keep-alives have to do */
			probe(m);
		return;
	}
	if (m->dialling == ch)
		m->dialling = NULL;
	ch->up = true;
	begin_to_count(ch);
	if (old)
		replaced(m, old);
	m->tries = m->link.tries;
	m->link.patience = 0;
	step(m, SNET_LINK_OPENED);
	if (mesh_is_plain(m))
		mesh_plain_up(ch);
	else if (ch->dialled && !ch->resumed)
		mesh_say_resume(ch);
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
	if (m->up) {
		m->up = false;
		m->stats.reconnects++;
		m->last = err;
		m->link.give_up = give_up_at(m);
		m->mesh->ev->on_down(m->index, err.code, why, by_peer, m->mesh->user);
	} else {
		/* A connection that came to nothing is one more failed attempt. */
		m->link.tries = m->tries;
		snet_fail(&err, err.code, "%s%s", by_peer ? "it said: " : "", why);
		trouble(m, &err);
	}
	step(m, SNET_LINK_LOST);
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
	channel_free(ch);
	if (counted)
		snet_timer_stop(m->mesh->cfg.loop, &m->probe);
	if (was_current && mesh_is_plain(m) && mesh_plain_lost(m, p)) {
		snet_fail(&err, code ? code : SNET_ELOST, "%s, and did not take everything",
			  code ? why : "it closed");
		went_down(m, err.code, err.text, by_peer);
	} else if (was_current) {
		went_down(m, code, why, by_peer);
	} else if (was_dialling && !m->current && !m->over) {
		snet_fail(&err, code ? code : SNET_EUNREACH, "%s", why);
		/* It has gone, as it may: all that was for it, it has. */
		if (mesh_is_done(m) && (code == SNET_EUNREACH || code == SNET_ECLOSED)) {
			mesh_over(m, &none);
			return;
		}
		trouble(m, &err);
		step(m, SNET_LINK_LOST);
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
	(void)p;
	if (counts(user))
		mesh_control(user, type, body, n);
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

static const struct snet_peer_events peer_events = { on_up,      on_message, on_eof,
						     on_drain,   on_flushed, on_down,
						     on_control, on_early };

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
	ch = channel_new(m, false);
	if (!ch) {
		c->transport->close(c, SNET_EPOLICY, "too many connections at once");
		return;
	}
	if (snet_peer_accept(&ch->peer, mesh->cfg.loop, c, &mesh->cfg.peer, &peer_events, ch))
		channel_free(ch);
}
