#include "mesh/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/hash.h"
#include "io/loop.h"
#include "io/netwatch.h"
#include "io/udp.h"
#include "mesh/connect_impl.h"
#include "mesh/connect_punch.h"

/* QUIC declares a peer dead after 15 s of silence: before that another pair must be there. */
#define CONSENT_EVERY (3 * SNET_SEC)
#define CONSENT_TIMEOUT (8 * SNET_SEC)
/* Without a sign of the peer since its port was closed; consent is asked for meanwhile. */
#define CLOSED_AFTER (4 * SNET_SEC)
#define RESTARTS 8 /* without a pair between them */

/* ---- to the peer */

static void say_credentials(struct snet_connect *c)
{
	const struct snet_agent *a = snet_ice_agent(c->ice);
	struct snet_offer o = { .what = SNET_OFFER_CREDENTIALS };

	snprintf(o.ufrag, sizeof(o.ufrag), "%s", snet_agent_ufrag(a));
	snprintf(o.pwd, sizeof(o.pwd), "%s", snet_agent_pwd(a));
	o.generation = c->generation;
	o.answers = c->heard ? c->remote_generation : 0;
	c->ev->say(&o, c->user);
}

static void say_candidate(struct snet_connect *c, const struct snet_candidate *local)
{
	struct snet_offer o = { .what = SNET_OFFER_CANDIDATE };
	struct snet_sdp_candidate sdp = { .c = *local };

	snprintf(o.ufrag, sizeof(o.ufrag), "%s", snet_agent_ufrag(snet_ice_agent(c->ice)));
	if (!snet_sdp_print(&sdp, o.candidate))
		c->ev->say(&o, c->user);
}

static void say_end(struct snet_connect *c)
{
	struct snet_offer o = { .what = SNET_OFFER_END };

	snprintf(o.ufrag, sizeof(o.ufrag), "%s", snet_agent_ufrag(snet_ice_agent(c->ice)));
	c->ev->say(&o, c->user);
}

void snet_connect_repeat(struct snet_connect *c)
{
	if (c->over)
		return;
	say_credentials(c);
	for (size_t i = 0; i < c->n_said; i++)
		say_candidate(c, &c->said[i]);
	if (c->gathered)
		say_end(c);
}

/* ---- the end */

static void over(struct snet_connect *c, int code, const char *why)
{
	struct snet_error err = { 0 };

	if (c->over)
		return;
	c->over = true;
	snet_timer_stop(c->loop, &c->restart);
	snet_timer_stop(c->loop, &c->closed);
	snet_fail(&err, code, "%s", why);
	if (c->udp)
		snet_udp_gone(c->udp, err.text);
	c->ev->on_over(&err, c->user);
}

/* ---- starting anew: new credentials, all candidates again */

static int begin_anew(struct snet_connect *c, struct snet_error *err)
{
	if (c->restarts >= RESTARTS)
		return snet_fail(err, SNET_EPOLICY, "ICE was restarted too often");
	c->restarts++;
	c->generation++;
	c->n_said = 0;
	c->gathered = c->heard = false;
	c->remote_ufrag[0] = '\0';
	return snet_ice_restart(c->ice, err);
}

int snet_connect_restart(struct snet_connect *c, struct snet_error *err)
{
	int rc = begin_anew(c, err);

	if (!rc)
		say_credentials(c);
	return rc;
}

static void on_restart(struct snet_timer *t, snet_time now)
{
	struct snet_connect *c = t->user;
	struct snet_error err = { 0 };
	bool moved = c->moved;

	(void)now;
	c->moved = false;
	if (c->over || (!c->heard && !moved))
		return; /* under way already */
	if (moved)
		c->restarts = 0; /* no peer makes us do this */
	if (snet_connect_restart(c, &err))
		snet_log(SNET_LOG_WARN, "ice", "%s", err.text);
}

static void restart_soon(struct snet_connect *c, const char *why)
{
	if (c->over || (!c->heard && !c->moved))
		return;
	snet_log(SNET_LOG_INFO, "ice", "%s: starting anew", why);
	snet_timer_set(c->loop, &c->restart, snet_loop_now(c->loop));
}

/* What the peer alone can have said to the agent. */
static uint64_t signs(const struct snet_connect *c)
{
	const struct snet_agent_counts *n = snet_agent_counts(snet_ice_agent(c->ice));

	return n->requests + n->responses;
}

/* The process is gone; or its port, and it has a new one that it will tell of; or somebody says
 * so who knows the addresses. */
static void on_unreachable(void *user)
{
	struct snet_connect *c = user;

	if (c->closed.slot || c->over)
		return;
	c->signs = signs(c);
	snet_timer_set(c->loop, &c->closed, snet_loop_now(c->loop) + CLOSED_AFTER);
}

/* QUIC may have nothing to say for longer than this, and then it is the checks that tell. */
static void on_closed(struct snet_timer *t, snet_time now)
{
	struct snet_connect *c = t->user;

	(void)now;
	if (signs(c) == c->signs)
		over(c, SNET_ELOST, "its port is closed");
}

static void on_network(void *user)
{
	struct snet_connect *c = user;

	/* Whatever is under way: an address goes, and only later another comes. */
	if (!snet_ice_is_stale(c->ice))
		return;
	c->moved = true;
	restart_soon(c, "this host's addresses have changed");
}

/* ---- what the agent says */

static void on_local(const struct snet_local *local, const char *iface, void *user)
{
	struct snet_connect *c = user;

	(void)iface;
	if (c->n_said >= SNET_LOCALS_MAX)
		return;
	c->said[c->n_said++] = local->c;
	say_candidate(c, &local->c);
}

static void on_gathered(void *user)
{
	struct snet_connect *c = user;

	c->gathered = true;
	say_end(c);
}

static void on_selected(struct snet_connect *c, const struct snet_agent_event *ev)
{
	struct snet_error err = { 0 };

	c->restarts = 0;
	if (c->endpoint)
		return;
	if (connect_path_open(c, ev, &err)) {
		over(c, err.code, err.text);
		return;
	}
	c->ev->on_path(c->endpoint, &c->path.remote, c->user);
}

/* Once there was a way, the peer may know of another by now, or an address may come back: QUIC
 * gives it its time. */
static void on_failed(struct snet_connect *c, const struct snet_agent_event *ev)
{
	if (c->endpoint && ev->code == SNET_EUNREACH) /* no candidates of our own */
		return;
	if (c->endpoint && !c->restarts)
		restart_soon(c, "the pair is lost");
	else if (!c->restart.slot)
		over(c, c->endpoint ? SNET_ELOST : ev->code,
		     ev->why ? ev->why : "no pair of candidates works");
}

static void on_agent(const struct snet_agent_event *ev, void *user)
{
	struct snet_connect *c = user;

	if (c->over)
		return;
	if (c->ev->on_event)
		c->ev->on_event(ev, c->user);
	if (ev->what == SNET_AGENT_SELECTED)
		on_selected(c, ev);
	else if (ev->what == SNET_AGENT_CONSENT_LOST)
		restart_soon(c, "the pair is lost");
	else if (ev->what == SNET_AGENT_STATE && ev->state == SNET_AGENT_COMPLETED)
		c->restarts = 0;
	else if (ev->what == SNET_AGENT_STATE && ev->state == SNET_AGENT_FAILED)
		on_failed(c, ev);
}

static void on_trouble(const struct snet_error *err, void *user)
{
	struct snet_connect *c = user;

	if (c->ev->on_trouble && !c->over)
		c->ev->on_trouble(err, c->user);
}

static void on_data(uint8_t ecn, uint8_t *p, size_t n, void *user)
{
	struct snet_connect *c = user;

	if (c->closed.slot)
		snet_timer_stop(c->loop, &c->closed);
	if (c->udp)
		snet_udp_input(c->udp, &c->path, ecn, p, n);
}

static void on_writable(void *user)
{
	struct snet_connect *c = user;

	if (c->udp)
		snet_udp_writable(c->udp);
}

static void on_punch(const struct snet_pact_word *w, void *user)
{
	struct snet_connect *c = user;
	struct snet_offer o;

	snet_connect_punch_offer(&o, c->ice, c->remote_ufrag, w);
	if (!c->over)
		c->ev->say(&o, c->user);
}

#define ICE_EVENTS \
	on_local, on_gathered, on_agent, on_trouble, on_data, on_writable, on_unreachable

static const struct snet_ice_events slow_events = { ICE_EVENTS };
static const struct snet_ice_events ice_events = { ICE_EVENTS, on_punch };

/* ---- from the peer */

/* RFC 8839 §5.4 */
static bool are_credentials(const struct snet_offer *o)
{
	return strlen(o->ufrag) >= 4 && snet_sdp_is_ice(o->ufrag, SNET_AGENT_NAME_MAX) &&
	       strlen(o->pwd) >= 22 && snet_sdp_is_ice(o->pwd, SNET_AGENT_NAME_MAX);
}

static int use_credentials(struct snet_connect *c, const struct snet_offer *o,
			   uint32_t generation, struct snet_error *err)
{
	if (snet_ice_set_remote(c->ice, o->ufrag, o->pwd))
		return snet_fail(err, SNET_EPROTO, "the peer's credentials came too late");
	c->heard = true;
	c->remote_generation = generation;
	snprintf(c->remote_ufrag, sizeof(c->remote_ufrag), "%s", o->ufrag);
	return SNET_OK;
}

/* Either side may start anew at any time, and lines may come late, or twice. Whoever answers
 * takes each generation of the caller's, and says which one its own are meant for; the caller
 * takes those alone that are meant for its latest. */
static int hear_caller(struct snet_connect *c, const struct snet_offer *o, uint32_t generation,
		       struct snet_error *err)
{
	int rc = SNET_OK;

	if (generation <= c->remote_generation)
		return SNET_OK;
	if (c->heard)
		rc = begin_anew(c, err);
	if (!rc)
		rc = use_credentials(c, o, generation, err);
	if (!rc)
		snet_connect_repeat(c); /* now it knows whom it is for */
	return rc;
}

static int hear_answerer(struct snet_connect *c, const struct snet_offer *o,
			 uint32_t generation, struct snet_error *err)
{
	if (generation <= c->remote_generation)
		return SNET_OK;
	if (c->heard) /* it has started anew, and now it is this side's turn */
		return snet_connect_restart(c, err);
	if (o->answers != c->generation)
		return SNET_OK;
	return use_credentials(c, o, generation, err);
}

/* Lists that are carried as a whole, and have no generations (connect_envelope.h): others than
 * before are new ones. */
static int hear_plain(struct snet_connect *c, const struct snet_offer *o,
		      struct snet_error *err)
{
	int rc = SNET_OK;

	if (c->heard && !strcmp(c->remote_ufrag, o->ufrag))
		return SNET_OK;
	if (c->heard)
		rc = snet_connect_restart(c, err);
	return rc ? rc : use_credentials(c, o, c->remote_generation, err);
}

static int hear_credentials(struct snet_connect *c, const struct snet_offer *o,
			    struct snet_error *err)
{
	uint32_t generation = o->generation;

	if (!are_credentials(o))
		return snet_fail(err, SNET_EPROTO,
				 "the peer's credentials are not those of ICE");
	if (!strcmp(o->ufrag, snet_agent_ufrag(snet_ice_agent(c->ice))))
		return SNET_OK; /* our own word, come back */
	if (!generation)
		return hear_plain(c, o, err);
	return c->calls ? hear_answerer(c, o, generation, err)
			: hear_caller(c, o, generation, err);
}

static int hear_candidate(struct snet_connect *c, const struct snet_offer *o,
			  struct snet_error *err)
{
	struct snet_sdp_candidate sdp;
	int rc = snet_sdp_parse(&sdp, o->candidate, err);

	if (rc)
		return rc;
	rc = snet_ice_add_remote(c->ice, &sdp);
	return rc ? snet_fail(err, rc, "%s: not looked at: %s", o->candidate, snet_err_text(rc))
		  : SNET_OK;
}

/* Too late, or twice: it happens. */
static int hear_punch(struct snet_connect *c, const struct snet_offer *o,
		      struct snet_error *err)
{
	int rc = snet_connect_punch_hear(c->ice, c->remote_ufrag, o);

	return rc == SNET_EPOLICY
		       ? snet_fail(err, rc,
				   "a punch that we have no part in: its target is "
				   "none of the peer's candidates, or it is too much")
		       : SNET_OK;
}

int snet_connect_hear(struct snet_connect *c, const struct snet_offer *o,
		      struct snet_error *err)
{
	if (c->over)
		return SNET_OK;
	if (o->what == SNET_OFFER_CREDENTIALS)
		return hear_credentials(c, o, err);
	if (o->what == SNET_OFFER_OTHER || (o->what == SNET_OFFER_PUNCH && !c->heard))
		return SNET_OK;
	if (!c->heard)
		return snet_fail(err, SNET_EPROTO, "a candidate before the credentials");
	if (o->ufrag[0] && strcmp(o->ufrag, c->remote_ufrag) != 0)
		return SNET_OK; /* of an earlier generation */
	if (o->what == SNET_OFFER_CANDIDATE)
		return hear_candidate(c, o, err);
	if (o->what == SNET_OFFER_PUNCH)
		return hear_punch(c, o, err);
	snet_ice_end_remote(c->ice);
	return SNET_OK;
}

bool snet_connect_has_heard(const struct snet_connect *c)
{
	return c->heard;
}

const struct snet_ice *snet_connect_ice(const struct snet_connect *c)
{
	return c->ice;
}

/* ---- life */

int snet_connect_new(struct snet_connect **out, struct snet_loop *l,
		     const struct snet_connect_opts *o, const struct snet_connect_events *ev,
		     void *user, struct snet_error *err)
{
	struct snet_connect *c = calloc(1, sizeof(*c));
	struct snet_ice_opts ice = o->ice;
	int rc;

	if (!c)
		return snet_fail(err, SNET_ENOMEM, "connection");
	c->loop = l;
	c->config = *o->config;
	c->ev = ev;
	c->user = user;
	c->restart = (struct snet_timer){ .fn = on_restart, .user = c };
	c->closed = (struct snet_timer){ .fn = on_closed, .user = c };
	if (!ice.agent.check_pace) {
		bool controlling = ice.agent.controlling;

		ice.agent = snet_agent_defaults;
		ice.agent.controlling = controlling;
	}
	c->calls = ice.agent.controlling;
	c->generation = 1;
	ice.agent.consent_every = CONSENT_EVERY;
	ice.agent.consent_timeout = CONSENT_TIMEOUT;
	rc = snet_ice_new(&c->ice, l, &ice, o->slow ? &slow_events : &ice_events, c, err);
	if (rc) {
		free(c);
		return rc;
	}
	if (snet_netwatch_new(&c->netwatch, l, on_network, c, err))
		snet_log(SNET_LOG_INFO, "ice", "%s", err ? err->text : "no rtnetlink");
	*out = c;
	say_credentials(c);
	return SNET_OK;
}

void snet_connect_free(struct snet_connect *c)
{
	if (!c)
		return;
	c->over = true;
	connect_path_close(c);
	snet_timer_stop(c->loop, &c->restart);
	snet_timer_stop(c->loop, &c->closed);
	snet_netwatch_free(c->netwatch);
	snet_ice_free(c->ice);
	free(c);
}
