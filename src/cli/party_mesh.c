#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/party_impl.h"
#include "cli/say.h"
#include "crypto/hash.h"
#include "obs/metrics.h"

#define WAITING_AGAIN (1 * SNET_SEC)

/* ---- where they are */

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct party_member *m = user;

	m->resolve = NULL;
	if (err)
		m->unknown = *err;
	else
		net_host_put(&m->host, v, n, NULL);
}

/* Its next address. When all have had their turn the name is looked up again: it may have
 * moved. SNET_EAGAIN: it is not known yet. */
static int find(struct party *p, struct party_member *m, struct snet_addr *to,
		struct snet_error *err)
{
	const struct snet_url *u = &m->who->address;
	int rc = SNET_OK;

	if (!m->host.n && net_host_numeric(&m->host, u))
		m->numeric = true;
	if (m->host.at >= m->host.n) {
		m->host.at = 0;
		if (!m->numeric && !m->resolve)
			rc = net_look_up(&m->resolve, p->run->loop, u, on_resolved, m, err);
	}
	if (m->host.n) {
		*to = m->host.v[m->host.at++];
		return SNET_OK;
	}
	if (rc)
		return rc;
	if (m->unknown.code)
		return snet_fail(err, m->unknown.code, "%s", m->unknown.text);
	return snet_fail(err, SNET_EAGAIN, "its name is being looked up");
}

/* ---- connections */

static int on_address(uint32_t i, unsigned attempt, struct snet_endpoint **from,
		      struct snet_addr *to, struct snet_error *err, void *user)
{
	struct party *p = user;
	struct party_member *m = &p->members[i];
	int rc;

	(void)attempt; /* lookups count as such */
	if (m->who->address.room[0])
		return party_meet_address(p, m, from, to, err);
	rc = find(p, m, to, err);
	return rc ? rc : net_dialler(&p->net, to->sa.sa_family, from, err);
}

/* Another process does not know in which round the one before it was. */
static void lost_count(struct party *p, uint32_t i)
{
	struct snet_error err;

	snet_fail(&err, SNET_ELOST,
		  "party %u has begun anew in round %llu: its messages are of no known round",
		  p->members[i].who->id, (unsigned long long)p->rounds.number);
	party_done(p, &err, p->members[i].who->id);
}

static void on_up(uint32_t i, bool anew, uint64_t lost, void *user)
{
	struct party *p = user;

	p->n_up++;
	snet_gauge(SNET_METRIC_PEERS, p->n_up + p->n_clients);
	p->members[i].last.code = SNET_OK;
	if (p->opts->sync && anew && p->members[i].came) {
		lost_count(p, i);
		return;
	}
	p->members[i].came = true;
	if (anew && p->members[i].ended) {
		p->members[i].ended = false;
		p->n_ended--;
		if (p->opts->sync)
			party_rounds_with(p, i);
	}
	party_say_up(p, i, anew, lost);
	if (lost)
		say_note("party %u has begun anew: %llu messages were for the one before",
			 p->members[i].who->id, (unsigned long long)lost);
	party_check_ready(p);
}

static void on_down(uint32_t i, int code, const char *why, bool by_peer, void *user)
{
	struct party *p = user;

	p->n_up--;
	snet_gauge(SNET_METRIC_PEERS, p->n_up + p->n_clients);
	party_say_down(p, i, code, why, by_peer);
	snet_fail(&p->members[i].last, code, "%s", why);
	if (p->opts->sync)
		party_rounds_check(p, p->ended);
	if (!p->waiting.slot)
		snet_timer_set(p->run->loop, &p->waiting,
			       snet_loop_now(p->run->loop) + WAITING_AGAIN);
}

/* ---- messages */

static void on_message(uint32_t i, const struct snet_message *m, void *user)
{
	struct party *p = user;
	struct snet_slice s = { m->p, m->n, NULL };
	struct snet_error err;

	snet_count(SNET_METRIC_RECEIVED_MESSAGES, 1);
	snet_count(SNET_METRIC_RECEIVED_BYTES, m->n);
	if (!p->opts->sync) {
		party_print(p, p->members[i].who->id, m);
	} else if (!m->stream) {
		party_rounds_put(p, i, m->kind, &s);
	} else {
		snet_fail(&err, SNET_EPROTO, "party %u: a message on stream %u is of no round",
			  p->members[i].who->id, m->stream);
		out_error(&err, p->members[i].who->id, OPT_NONE, false);
	}
}

static void on_end(uint32_t i, void *user)
{
	struct party *p = user;

	say_more("party %u sends no more", p->members[i].who->id);
	out_event("peer.closing", out_uint("peer", p->members[i].who->id));
	if (!p->members[i].ended)
		p->n_ended++;
	p->members[i].ended = true;
	if (p->opts->sync)
		party_rounds_without(p, i);
	party_exec_check(p);
}

static void on_room(uint32_t i, void *user)
{
	struct party *p = user;

	if (!p->members[i].full)
		return;
	p->members[i].full = false;
	p->n_full--;
	party_read_on(p);
}

/* ---- the end of one */

/* Enough are left to go on. */
static void go_on_without(struct party *p, uint32_t i, const struct snet_error *err)
{
	out_error(err, p->members[i].who->id, OPT_NONE, false);
	if (p->opts->sync)
		party_rounds_without(p, i);
	on_room(i, p);
	party_check_ready(p);
	party_exec_check(p);
	party_check_over(p);
}

/* Whoever is given up is missed by everyone: without a quorum there is no session. */
static void given_up(struct party *p, uint32_t i, const struct snet_error *why)
{
	struct party_member *m = &p->members[i];
	struct snet_error err;

	/* Nothing had happened when the time was over: then what had before is why. */
	if (why->code == SNET_EAGAIN && m->last.code)
		why = &m->last;
	p->n_lost++;
	snet_fail(&err, why->code == SNET_EAGAIN ? SNET_ETIMEOUT : why->code,
		  "party %u%s%s: %s", m->who->id, m->who->name[0] ? ", " : "", m->who->name,
		  why->text);
	if (p->n - p->n_lost >= party_quorum(p)) {
		go_on_without(p, i, &err);
		return;
	}
	if (p->worst.code) /* the exit status is that of the first failure */
		out_error(&err, m->who->id, OPT_NONE, false);
	party_blame(p, &err, m->who->id);
	party_done(p, &p->worst, p->worst_peer);
}

static void on_over(uint32_t i, const struct snet_error *why, void *user)
{
	struct party *p = user;
	struct party_member *m = &p->members[i];

	m->over = true;
	p->n_over++;
	if (snet_mesh_is_up(p->mesh, i)) {
		p->n_up--;
		party_say_down(p, i, why->code, why->code ? why->text : "done", false);
	}
	if (why->code) {
		given_up(p, i, why);
		return;
	}
	on_room(i, p);
	party_check_ready(p);
	party_exec_check(p);
	party_check_over(p);
}

static void on_trouble(uint32_t i, const struct snet_error *err, void *user)
{
	struct party *p = user;
	struct party_member *m = &p->members[i];
	bool news = m->last.code != err->code || strcmp(m->last.text, err->text) != 0;

	if (err->code == SNET_EAGAIN) { /* in a room, or a name: nothing has happened */
		if (!m->last.code)
			m->last = *err;
		return;
	}

	if (news)
		m->last = *err;
	say_more("party %u: %s", m->who->id, err->text);
	/* It is there, and it will not do: no waiting helps before a person does. */
	if (news && (err->code == SNET_ECONFIG || err->code == SNET_EDENIED))
		out_error(err, m->who->id, OPT_NONE, false);
}

static void on_order(const struct snet_error *err, uint32_t i, void *user)
{
	struct party *p = user;
	struct snet_error told;

	if (!err) {
		say_note("all agree on the order of the keys");
		party_clients_told(p);
		return;
	}
	snet_fail(&told, err->code, "no agreement on the order of the keys: %s", err->text);
	party_done(p, &told, p->members[i].who == p->self ? OPT_NONE : p->members[i].who->id);
}

static const struct snet_mesh_events events = { on_address, on_up,      on_down,
						on_message, on_end,     on_room,
						on_over,    on_trouble, on_order };

/* ---- life */

static int by_id(const void *a, const void *b)
{
	const struct roster_member *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* What all must have alike: who the parties are. Where they are may look different from each.
 */
static int digest(const struct roster *r, uint8_t out[static SNET_BLAKE3_BYTES])
{
	struct roster_member *sorted = calloc(r->parties, sizeof(*sorted));
	struct snet_blake3 h;

	if (!sorted)
		return SNET_ENOMEM;
	memcpy(sorted, r->members, r->parties * sizeof(*sorted));
	qsort(sorted, r->parties, sizeof(*sorted), by_id);
	snet_blake3_init(&h);
	for (size_t i = 0; i < r->parties; i++) {
		uint8_t id[4] = { (uint8_t)(sorted[i].id >> 24), (uint8_t)(sorted[i].id >> 16),
				  (uint8_t)(sorted[i].id >> 8), (uint8_t)sorted[i].id };

		snet_blake3_update(&h, id, sizeof(id));
		snet_blake3_update(&h, sorted[i].key, sizeof(sorted[i].key));
	}
	snet_blake3_final(&h, out);
	free(sorted);
	return SNET_OK;
}

static bool speaks_crate(const struct party *p, const struct roster_member *m)
{
	return p->net.config.crate_only || m->profile == ROSTER_PROFILE_STOFFELNET_0_1;
}

static int open_journal(struct party *p, struct snet_error *err)
{
	struct snet_journal_found found;
	int rc = snet_mesh_journal(p->mesh, p->opts->journal, &found, err);

	if (!rc && found.cut)
		say_note("%s: the last %llu bytes were never written to the end",
			 p->opts->journal, (unsigned long long)found.cut);
	if (!rc && found.messages)
		say_note("%s: %llu messages are sent again", p->opts->journal,
			 (unsigned long long)found.messages);
	for (uint32_t i = 0; !rc && i < p->n; i++) {
		p->members[i].full =
			cli.overflow == OVERFLOW_BLOCK && snet_mesh_is_full(p->mesh, i);
		p->n_full += p->members[i].full;
	}
	return rc;
}

int party_make_mesh(struct party *p, struct snet_error *err)
{
	const struct roster *r = p->net.roster;
	struct snet_mesh_party *parties = calloc(p->n, sizeof(*parties));
	struct snet_mesh_config cfg = { .loop = p->run->loop,
					.transport = p->net.transport,
					.identity = p->net.identity,
					.parties = parties,
					.n = p->n,
					.self = (uint32_t)(p->self - r->members),
					.label = r->session,
					.peer = p->net.peer,
					.queue = cli.queue,
					.wait = cli.wait,
					.order = p->opts->ordering,
					.order_clients = (uint32_t)r->clients,
					.confirms = p->opts->sync || p->opts->journal,
					.dial_timeout = p->net.config.handshake_timeout };
	int rc = parties ? digest(r, cfg.roster) : SNET_ENOMEM;

	for (uint32_t i = 0; !rc && i < p->n; i++) {
		parties[i].id = r->members[i].id;
		parties[i].plain = speaks_crate(p, &r->members[i]);
		p->members[i].plain = parties[i].plain;
		memcpy(parties[i].key, r->members[i].key, SNET_KEYID_BYTES);
		p->members[i].who = &r->members[i];
	}
	rc = rc ? snet_fail(err, rc, "mesh") : snet_mesh_new(&p->mesh, &cfg, &events, p, err);
	free(parties);
	return rc || !p->opts->journal ? rc : open_journal(p, err);
}
