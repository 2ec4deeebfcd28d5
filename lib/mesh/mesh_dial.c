#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/identity.h"
#include "mesh/mesh_impl.h"
#include "mesh/mesh_rival.h"

/* One of the two dials at once; the other gives it so long to do so. */
#define AFTER_YOU (150 * SNET_MS)
#define AFTER_YOU_EACH (50 * SNET_MS) /* and more, for each party that it is busy with */
/* A party of the crate that was there before us, and has dialled in vain, comes again a second
 * after that (the first PTO of quinn); who has dialled it by then has a connection that it will
 * replace, with what is on it. */
#define AFTER_CRATE (1200 * SNET_MS)

/* ---- channels */

struct channel *mesh_channel_new(struct member *m, bool dialled)
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

void mesh_channel_free(struct channel *ch)
{
	struct member *m = ch->member;

	if (m->dialling == ch)
		m->dialling = NULL;
	if (m->current == ch)
		m->current = NULL;
	if (m->rival == ch)
		m->rival = NULL;
	snet_list_del(&ch->node);
	m->n_channels--;
	snet_buf_free(&ch->said);
	free(ch);
}

void mesh_drop(struct channel *ch, int code, const char *why)
{
	snet_peer_close(ch->peer, code, why);
}

/* ---- dialling */

static void act(struct member *m, enum snet_link_want want);

void mesh_step(struct member *m, enum snet_link_event ev)
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

void mesh_trouble(struct member *m, const struct snet_error *err)
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
		ch = mesh_channel_new(m, true);
		rc = ch ? snet_peer_dial(&ch->peer, mesh->cfg.loop, from, mesh->cfg.transport,
					 &to, key, &mesh->cfg.peer, &mesh_peer_events, ch, &err)
			: snet_fail(&err, SNET_ENOMEM, "too many connections at once");
		if (!rc)
			m->dialling = ch;
		else if (ch)
			mesh_channel_free(ch);
	}
	if (!rc)
		return;
	mesh_trouble(m, &err);
	mesh_step(m, SNET_LINK_LOST);
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
	mesh_step(m, m->link.state == SNET_LINK_DOWN ? SNET_LINK_START : SNET_LINK_DUE);
}

snet_time mesh_give_up_at(const struct member *m)
{
	snet_time wait = m->mesh->cfg.wait;

	return wait == SNET_NEVER ? SNET_NEVER : snet_loop_now(m->mesh->cfg.loop) + wait;
}

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
	m->probe = (struct snet_timer){ .fn = mesh_on_probe, .user = m };
	m->doubt = (struct snet_timer){ .fn = mesh_on_doubt, .user = m };
	snet_link_init(&m->link, mesh_give_up_at(m), cfg->dial_timeout);
	m->link.patience = snet_link_settle(cfg->n);
	snet_timer_set(cfg->loop, &m->timer, first_dial(m));
}

void mesh_stop(struct member *m)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	snet_timer_stop(l, &m->timer);
	snet_timer_stop(l, &m->probe);
	snet_timer_stop(l, &m->doubt);
	snet_timer_stop(l, &m->ack);
	snet_timer_stop(l, &m->retry);
	snet_task_cancel(&m->urgent);
}

void mesh_forget(struct member *m)
{
	while (!snet_list_is_empty(&m->channels)) {
		struct channel *ch = SNET_OF(m->channels.next, struct channel, node);

		snet_peer_free(ch->peer);
		mesh_channel_free(ch);
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
	mesh_rival_leave(m, SNET_ECLOSED, "this party is done");
	m->mesh->ev->on_over(m->index, err, m->mesh->user);
}
