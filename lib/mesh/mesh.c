#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "mesh/mesh_impl.h"

#define QUEUE (16u << 20)
#define DIAL_TIME (10 * SNET_SEC)

/* ---- life */

static int check(const struct snet_mesh_config *cfg, struct snet_error *err)
{
	if (!cfg->n || cfg->n > SNET_MESH_MAX || cfg->self >= cfg->n)
		return snet_fail(err, SNET_EINVAL, "party %u of %u", cfg->self, cfg->n);
	for (uint32_t i = 0; i < cfg->n; i++)
		for (uint32_t k = 0; k < i; k++)
			if (!memcmp(cfg->parties[i].key, cfg->parties[k].key, SNET_KEYID_BYTES))
				return snet_fail(err, SNET_EINVAL,
						 "parties %u and %u have one key",
						 cfg->parties[k].id, cfg->parties[i].id);
	return SNET_OK;
}

static int fill(struct snet_mesh *m, struct snet_error *err)
{
	struct snet_mesh_party *parties = calloc(m->cfg.n, sizeof(*parties));

	m->members = calloc(m->cfg.n, sizeof(*m->members));
	if (!parties || !m->members) {
		free(parties);
		m->cfg.parties = NULL;
		return snet_fail(err, SNET_ENOMEM, "mesh");
	}
	memcpy(parties, m->cfg.parties, m->cfg.n * sizeof(*parties));
	m->cfg.parties = parties;
	if (!m->cfg.queue)
		m->cfg.queue = QUEUE;
	if (!m->cfg.dial_timeout)
		m->cfg.dial_timeout = DIAL_TIME;
	m->cfg.peer.id = parties[m->cfg.self].id;
	m->cfg.peer.role = SNET_ROLE_SERVER;
	m->cfg.peer.gated = true;               /* until the resume */
	m->cfg.peer.stall_timeout = SNET_NEVER; /* who is slow holds up nobody but itself */
	m->session.label = m->cfg.label ? m->cfg.label : "";
	m->session.n = m->cfg.n;
	memcpy(m->session.roster, m->cfg.roster, sizeof(m->session.roster));
	while (!m->session.incarnation)
		snet_random(&m->session.incarnation, sizeof(m->session.incarnation));
	return SNET_OK;
}

int snet_mesh_new(struct snet_mesh **out, const struct snet_mesh_config *cfg,
		  const struct snet_mesh_events *ev, void *user, struct snet_error *err)
{
	struct snet_mesh *m;
	int rc = check(cfg, err);

	if (rc)
		return rc;
	m = calloc(1, sizeof(*m));
	if (!m)
		return snet_fail(err, SNET_ENOMEM, "mesh");
	m->cfg = *cfg;
	m->ev = ev;
	m->user = user;
	rc = fill(m, err);
	if (rc) {
		free(m->members);
		free(m);
		return rc;
	}
	for (uint32_t i = 0; i < m->cfg.n; i++) {
		struct member *p = &m->members[i];

		p->mesh = m;
		p->index = i;
		snet_list_init(&p->channels);
		snet_outbox_init(&p->outbox, m->cfg.queue);
		mesh_delivery_init(p);
		if (i != m->cfg.self)
			mesh_begin(p);
	}
	*out = m;
	rc = m->cfg.order ? mesh_order_init(m) : SNET_OK;
	return rc ? snet_fail(err, rc, "order of the parties") : SNET_OK;
}

void snet_mesh_free(struct snet_mesh *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->cfg.n; i++) {
		mesh_stop(&m->members[i]);
		mesh_forget(&m->members[i]);
		snet_outbox_fini(&m->members[i].outbox);
	}
	if (m->cfg.order)
		mesh_order_fini(m);
	snet_journal_close(m->journal);
	free((void *)m->cfg.parties);
	free(m->members);
	free(m);
}

/* ---- what the owner asks for */

static struct member *member(struct snet_mesh *m, uint32_t party)
{
	return party < m->cfg.n && party != m->cfg.self ? &m->members[party] : NULL;
}

/* What the other side would take for no message, or close the connection for, is not accepted:
 * it would be sent again on the next one. */
static bool has_form(const struct member *to, unsigned stream, uint8_t kind)
{
	if (mesh_is_plain(to))
		return !stream && kind == SNET_KIND_DATA;
	return stream < SNET_RECORD_STREAMS && snet_record_is_app(kind);
}

int snet_mesh_queue(struct snet_mesh *m, uint32_t party, unsigned stream, uint8_t kind,
		    const struct snet_slice *v, size_t n)
{
	struct member *to = member(m, party);
	size_t total = 0;
	int rc;

	if (!to)
		return SNET_EINVAL;
	if (to->over || m->finished)
		return SNET_ECLOSED;
	if (!has_form(to, stream, kind))
		return SNET_EINVAL;
	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	if (total > SNET_MESSAGE_MAX)
		return SNET_ETOOBIG;
	rc = m->journal ? mesh_journal_add(to, stream, kind, v, n, total)
			: snet_outbox_add(&to->outbox, stream, kind, v, n);
	if (rc == SNET_EAGAIN)
		to->full = true;
	if (rc)
		return rc;
	to->stats.sent++;
	to->stats.sent_bytes += total;
	mesh_turn(to, MESH_SENT);
	if (mesh_is_plain(to))
		mesh_pump(to);
	return SNET_OK;
}

int snet_mesh_send(struct snet_mesh *m, uint32_t party, unsigned stream, uint8_t kind,
		   const struct snet_slice *v, size_t n)
{
	int rc = snet_mesh_queue(m, party, stream, kind, v, n);

	if (!rc)
		mesh_pump(&m->members[party]);
	return rc;
}

void snet_mesh_flush(struct snet_mesh *m)
{
	for (uint32_t i = 0; i < m->cfg.n; i++)
		if (snet_outbox_next(&m->members[i].outbox))
			mesh_pump(&m->members[i]);
}

bool snet_mesh_is_full(struct snet_mesh *m, uint32_t party)
{
	struct member *to = member(m, party);

	if (!to || to->over || !snet_outbox_is_full(&to->outbox))
		return false;
	to->full = true;
	return true;
}

void snet_mesh_finish(struct snet_mesh *m)
{
	if (m->finished)
		return;
	m->finished = true;
	for (uint32_t i = 0; i < m->cfg.n; i++)
		if (i != m->cfg.self)
			mesh_pump(&m->members[i]);
}

void snet_mesh_pause(struct snet_mesh *m, bool pause)
{
	if (m->paused == pause)
		return;
	m->paused = pause;
	for (uint32_t i = 0; i < m->cfg.n; i++)
		if (m->members[i].current && m->members[i].up)
			mesh_pause(m->members[i].current);
}

void snet_mesh_hold(struct snet_mesh *m, uint32_t party, bool hold)
{
	struct member *p = member(m, party);

	if (!p || !mesh_is_plain(p))
		return;
	p->held = hold;
	if (p->current && p->up)
		mesh_pause(p->current);
}

/* ---- what the owner may know */

bool snet_mesh_is_up(const struct snet_mesh *m, uint32_t party)
{
	const struct member *p = party < m->cfg.n ? &m->members[party] : NULL;

	return p && (party == m->cfg.self || p->up || p->moving);
}

static enum snet_mesh_state state_of(const struct member *m)
{
	if (m->over)
		return m->failed ? SNET_MESH_DISCONNECTED : SNET_MESH_CLOSED;
	if (m->up || m->moving)
		return m->ended || m->mesh->finished ? SNET_MESH_CLOSING : SNET_MESH_CONNECTED;
	return m->was_up ? SNET_MESH_DISCONNECTED : SNET_MESH_CONNECTING;
}

uint64_t snet_mesh_rounds(const struct snet_mesh *m)
{
	return m->turns.n;
}

void snet_mesh_stats(const struct snet_mesh *m, uint32_t party, struct snet_mesh_stats *out)
{
	const struct member *p = &m->members[party];

	*out = p->stats;
	out->state = state_of(p);
	out->rounds = p->turns.n;
	out->resent = p->outbox.resent;
	out->queued = p->outbox.bytes;
}

struct snet_peer *snet_mesh_peer(const struct snet_mesh *m, uint32_t party)
{
	const struct channel *ch = party < m->cfg.n ? m->members[party].current : NULL;

	return ch ? ch->peer : NULL;
}
