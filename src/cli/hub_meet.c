#include <string.h>

#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/ice_opts.h"
#include "cli/ice_say.h"
#include "cli/out.h"
#include "cli/peer_events.h"
#include "cli/ready.h"
#include "cli/say.h"
#include "crypto/allow.h"
#include "crypto/identity.h"

/* Peers that are met in a room of a signalling server (mesh/meet.h). */

#define WAITING_EVERY (10 * SNET_SEC)

int hub_meets_init(struct hub *h, struct snet_error *err)
{
	int rc = ice_opts_get(&h->ice, err);

	h->explain = ice_opts_explain();
	h->meets = (struct net_meets){
		.net = &h->net, .ice = &h->ice, .events = &hub_meet_events, .user = h
	};
	return rc ? rc : ice_opts_token(&h->meets.token, err);
}

int hub_meet_both(struct hub *h, const char *operand, struct snet_error *err)
{
	struct snet_meet *meet;
	struct snet_url url;
	int rc = snet_url_parse(&url, operand, err);

	h->both = true;
	if (!rc)
		rc = net_meet(&h->meets, &url, true, &meet, err);
	if (!rc && url.has_key)
		rc = snet_trust_add(h->net.trust, url.key, NULL, err);
	return rc ? rc : hub_target(h, operand, err);
}

/* ---- the room */

static bool is_called(const struct mate *m)
{
	return !m->up && m->target && m->target->url.room[0];
}

static bool is_called_in(const struct mate *m, const struct snet_meet *room)
{
	return is_called(m) && net_is_room(&m->hub->meets, room, &m->target->url);
}

/* What is said of whoever is not there. */
static void remember(struct hub *h, const struct snet_meet *room, const struct snet_error *err)
{
	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		struct mate *m = SNET_OF(n, struct mate, node);

		if (is_called_in(m, room))
			m->target->last = *err;
	}
}

/* The server was away, and is there. */
static void forgive(struct hub *h, const struct snet_meet *room)
{
	struct snet_error err = { 0 };

	snet_fail(&err, SNET_ETIMEOUT, MATE_UNANSWERED);
	remember(h, room, &err);
}

static void on_joined(const struct snet_meet *room, void *user)
{
	struct hub *h = user;

	if (!h->listens) {
		forgive(h, room);
		return;
	}
	h->joined = true;
	hub_say_listening(h);
	ready_say();
}

/* Whoever listens waits for the server as long as others wait for peers. */
static void server_is_away(struct hub *h, const struct snet_error *err)
{
	snet_time now = snet_loop_now(h->run->loop);

	if (now >= h->wait_until) {
		run_done(h->run, err, OPT_NONE);
		return;
	}
	if (now < h->said_away + WAITING_EVERY && h->said_away)
		return;
	h->said_away = now;
	hub_say_away(h, err);
}

static struct mate *next_called(struct hub *h, const struct snet_meet *room)
{
	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next)
		if (is_called_in(SNET_OF(n, struct mate, node), room) &&
		    !SNET_OF(n, struct mate, node)->peer)
			return SNET_OF(n, struct mate, node);
	return NULL;
}

/* --wait 0 is one attempt, of the server too. */
static void give_up(struct hub *h, const struct snet_meet *room, const struct snet_error *err)
{
	struct mate *m;

	while ((m = next_called(h, room))) {
		mate_hang_up(m);
		mate_failed(m, err->code, err->text);
	}
}

/* What is connected stays connected; nobody else will be. */
static void shut_out(struct hub *h, const struct snet_error *err)
{
	if (!h->n_up || (!h->listens && h->n_up < h->n_mates)) {
		run_done(h->run, err, OPT_NONE);
		return;
	}
	say_note("%s", err->text);
	if (!h->listens)
		return;
	hub_blame(h, err, OPT_NONE);
	h->shut_out = true;
}

static void on_trouble(const struct snet_meet *room, const struct snet_error *err, bool fatal,
		       void *user)
{
	struct hub *h = user;

	say_more("%s", err->text);
	if (fatal)
		shut_out(h, err);
	else if (h->listens && !h->joined)
		server_is_away(h, err);
	else if (!h->listens && cli.wait)
		remember(h, room, err);
	else if (!h->listens)
		give_up(h, room, err);
}

static void on_note(const struct snet_error *err, void *user)
{
	(void)user;
	say_more("%s", err->text);
}

static bool wants(const uint8_t key[SNET_KEYID_BYTES], void *user)
{
	struct hub *h = user;

	/* Of two that call each other the one with the larger key answers (of equal keys the
	 * room knows which); a third is too many. */
	if (h->both && (h->n_up || memcmp(snet_identity_keyid(h->net.identity), key,
					  SNET_KEYID_BYTES) < 0))
		return false;
	return net_wants(&h->net, key);
}

/* It was the other side that has called. */
void hub_meet_came(struct mate *m)
{
	const struct snet_error ok = { 0 };
	struct hub *h = m->hub;
	/* There is one room. */
	struct mate *called =
		h->both && !m->target ? next_called(h, h->meets.rooms[0].meet) : NULL;

	if (called)
		hub_mate_gone(called, &ok);
}

/* Whom we call may dial us, too: where nobody listens that is no peer. */
static void on_accept(struct snet_conn *c, void *user)
{
	struct hub *h = user;

	if (h->listens || (h->both && !h->n_up))
		hub_accept(h, c);
	else
		c->transport->close(c, SNET_EPOLICY, "nobody listens here");
}

static void on_refused(const struct snet_addr *from, int code, const char *why, void *user)
{
	(void)user;
	peer_say_refused(from, code, why);
}

/* ---- calls of ours */

static void on_path(struct snet_endpoint *e, const struct snet_addr *to, void *call_user,
		    void *user)
{
	(void)user;
	mate_met(call_user, e, to);
}

static void on_answer(void *call_user, void *user)
{
	const struct mate *m = call_user;

	(void)user;
	snet_fail(&m->target->last, SNET_ETIMEOUT,
		  "it has answered, and no way to it is found yet");
}

static void on_over(const struct snet_error *err, void *call_user, void *user)
{
	(void)user;
	mate_unmet(call_user, err);
}

static void on_ice(const struct snet_agent_event *ev, const uint8_t *key, void *user)
{
	struct hub *h = user;

	(void)key;
	if (ev->what == SNET_AGENT_SELECTED)
		ice_say_selected(ev);
	else if (ev->what == SNET_AGENT_CHECKED && h->explain)
		ice_say_check(ev);
}

const struct snet_meet_events hub_meet_events = { on_joined, on_trouble, wants,     on_path,
						  on_answer, on_over,    on_accept, on_refused,
						  on_ice,    on_note };
