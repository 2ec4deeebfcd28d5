#include "cli/groups.h"
#include "cli/ice_opts.h"
#include "cli/ice_say.h"
#include "cli/out.h"
#include "cli/party_impl.h"
#include "cli/peer_events.h"
#include "cli/say.h"

/* Parties that are met in a room of a signalling server (mesh/meet.h). Of two that both are in
 * rooms the one with the lower id calls. */

/* ---- the mesh asks where a party is */

static int call(struct party *p, struct party_member *m, struct snet_error *err)
{
	struct snet_meet *meet;
	int rc = net_meet(&p->meets, &m->who->address, false, &meet, err);

	return rc ? rc : snet_call_new(&m->call, meet, m->who->key, m, err);
}

int party_meet_address(struct party *p, struct party_member *m, struct snet_endpoint **from,
		       struct snet_addr *to, struct snet_error *err)
{
	int rc;

	if (m->met) {
		*from = m->met;
		*to = m->host.v[0];
		return SNET_OK;
	}
	if (p->self->address.room[0] && p->self->id > m->who->id)
		return snet_fail(err, SNET_EAGAIN, "it has not called yet");
	rc = m->call ? SNET_OK : call(p, m, err);
	return rc ? rc : snet_fail(err, SNET_EAGAIN, "it has not answered yet");
}

static void on_path(struct snet_endpoint *e, const struct snet_addr *to, void *call_user,
		    void *user)
{
	struct party_member *m = call_user;

	(void)user;
	m->met = e;
	net_host_put(&m->host, to, 1, NULL);
}

static void on_answer(void *call_user, void *user)
{
	struct party_member *m = call_user;

	(void)user;
	snet_fail(&m->last, SNET_ETIMEOUT, "it has answered, and no way to it is found yet");
}

static void on_over(const struct snet_error *err, void *call_user, void *user)
{
	struct party_member *m = call_user;

	(void)user;
	m->call = NULL;
	m->met = NULL;
	if (err->code != SNET_ECLOSED)
		m->last = *err;
	say_more("party %u: %s", m->who->id, err->text);
}

/* ---- the room */

/* What is said of those who are in that room, and not met yet. */
static void remember(struct party *p, const struct snet_meet *room,
		     const struct snet_error *err)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (!p->members[i].met &&
		    net_is_room(&p->meets, room, &p->members[i].who->address))
			p->members[i].last = *err;
}

static void on_joined(const struct snet_meet *room, void *user)
{
	struct party *p = user;
	const struct snet_error none = { 0 };

	remember(p, room, &none); /* that the server was away is no reason any more */
	if (p->joined || !net_is_room(&p->meets, room, &p->self->address))
		return;
	p->joined = true;
	party_say_listening(p);
	if (p->n == 1 || p->opts->ready_when == PARTY_BOUND)
		party_check_ready(p);
	party_read_on(p);
}

static void on_trouble(const struct snet_meet *room, const struct snet_error *err, bool fatal,
		       void *user)
{
	struct party *p = user;

	say_more("%s", err->text);
	if (fatal && p->n_up + p->n_over < p->n - 1) {
		party_done(p, err, OPT_NONE);
		return;
	}
	if (fatal) /* what is connected stays connected */
		say_note("%s", err->text);
	remember(p, room, err);
	if (!p->joined && net_is_room(&p->meets, room, &p->self->address) &&
	    snet_loop_now(p->run->loop) >= p->wait_until)
		party_done(p, err, OPT_NONE);
}

static void on_note(const struct snet_error *err, void *user)
{
	(void)user;
	say_more("%s", err->text);
}

static bool wants(const uint8_t key[SNET_KEYID_BYTES], void *user)
{
	struct party *p = user;

	return net_wants(&p->net, key);
}

static void on_accept(struct snet_conn *c, void *user)
{
	party_accept(user, c);
}

static void on_refused(const struct snet_addr *from, int code, const char *why, void *user)
{
	(void)user;
	peer_say_refused(from, code, why);
}

static void on_ice(const struct snet_agent_event *ev, const uint8_t *key, void *user)
{
	(void)key, (void)user;
	if (ev->what == SNET_AGENT_SELECTED)
		ice_say_selected(ev);
	else if (ev->what == SNET_AGENT_CHECKED && ice_opts_explain())
		ice_say_check(ev);
}

const struct snet_meet_events party_meet_events = { on_joined, on_trouble, wants,
						    on_path,   on_answer,  on_over,
						    on_accept, on_refused, on_ice,
						    on_note };
