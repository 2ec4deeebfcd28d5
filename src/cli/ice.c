#include "cli/ice.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/ice_impl.h"
#include "cli/out.h"
#include "cli/ready.h"
#include "cli/run.h"

/* A check that is not answered is repeated after 500 ms and a second later: a side that was
 * silent for longer than that has what it needs. */
#define LINGER (1500 * SNET_MS)
#define LINGERS 4 /* a side that asks all the time does not need it either */

void ice_done(struct ice *i, const struct snet_error *err)
{
	snet_timer_stop(i->run->loop, &i->wait);
	snet_timer_stop(i->run->loop, &i->linger);
	snet_task_cancel(&i->finish);
	i->finishing = true;
	run_done(i->run, err, OPT_NONE);
}

/* ---- the end, when there is a pair */

/* In a turn of its own: nothing of the driver is on the stack. */
static void on_finish(struct snet_task *t)
{
	struct ice *i = t->user;
	struct snet_error err = { 0 };

	snet_timer_stop(i->run->loop, &i->linger);
	if (i->run->done)
		return;
	if (!i->o->exec)
		ice_done(i, NULL);
	else if (ice_exec_start(i, &err))
		ice_done(i, &err);
}

static void finish(struct ice *i)
{
	if (i->finishing)
		return;
	i->finishing = true;
	snet_task_defer(i->run->loop, &i->finish);
}

static bool is_relayed(const struct ice *i)
{
	struct snet_agent_event ev;

	return snet_agent_selected(snet_ice_agent(i->ice), &ev) && ice_is_relayed(i, &ev);
}

/* Has it chosen the pair that we have? And is that the last: one that is better, of which we
 * have heard, we are about to nominate, and the other side may know of that before us. */
static bool is_agreed(const struct ice *i)
{
	const struct snet_checklist *l = snet_agent_checklist(snet_ice_agent(i->ice));
	char local[SNET_ADDR_TEXT], remote[SNET_ADDR_TEXT];
	struct snet_agent_event ev;

	if (!i->peer_selected || !snet_agent_selected(snet_ice_agent(i->ice), &ev))
		return false;
	for (size_t k = 0; ev.controlling && k < l->pairs_n; k++)
		if (l->pairs[k].valid && l->pairs[k].priority > ev.priority)
			return false;
	snet_addr_print(&ev.local.c.address, local);
	snet_addr_print(&ev.remote.address, remote);
	return (!*i->peer_remote || !strcmp(i->peer_remote, local)) &&
	       (!*i->peer_local || !strcmp(i->peer_local, remote));
}

/* The other side may have lost our last answers, and asks again: it is waited for, until it
 * says that it has chosen, too, or is gone, or is silent. Whoever stays answers anyway. */
void ice_check_over(struct ice *i)
{
	struct snet_error err = { 0 };

	if (i->run->done || i->finishing)
		return;
	if (i->eof && !i->has_remote && i->gathered) {
		snet_fail(&err, SNET_ELOST,
			  "stdin has ended, and had no credentials of the other side");
		ice_done(i, &err);
		return;
	}
	if (!i->completed || (i->o->keep && !i->o->exec))
		return;
	if (is_agreed(i) || (i->o->exec && (i->o->keep || is_relayed(i)))) {
		finish(i);
		return;
	}
	if (!i->linger.slot) {
		i->lingered = 0;
		i->requests = snet_agent_counts(snet_ice_agent(i->ice))->requests;
		snet_timer_set(i->run->loop, &i->linger, snet_loop_now(i->run->loop) + LINGER);
	}
}

static void on_linger(struct snet_timer *t, snet_time now)
{
	struct ice *i = t->user;
	const struct snet_agent_counts *c = snet_agent_counts(snet_ice_agent(i->ice));
	struct snet_error err;

	if (c->forged && !c->requests) { /* it answers, and will never find the pair itself */
		snet_fail(&err, SNET_EUNREACH,
			  "no pair works for the other side: its checks come with another "
			  "password than ours");
		ice_done(i, &err);
	} else if (c->requests == i->requests || ++i->lingered == LINGERS) {
		finish(i);
	} else {
		i->requests = c->requests;
		snet_timer_set(i->run->loop, t, now + LINGER);
	}
}

/* ---- the end, when there is none */

static void on_wait_over(struct snet_timer *t, snet_time now)
{
	struct snet_error err;

	(void)now;
	snet_fail(&err, SNET_ETIMEOUT, "the other side's credentials have not come");
	ice_done(t->user, &err);
}

/* What may be behind it: mistakes that look like a network that is closed. */
static const char *hint(const struct snet_agent_counts *c)
{
	return c->forged  ? "; its checks come with another password than ours"
	       : c->stale ? "; its checks are for other credentials than ours"
	       : c->requests && !c->responses ? "; its checks arrive, and ours are not "
						"answered, as if its password had "
						"not come here as it was"
					      : "";
}

/* When every check there was had its time, more of it would not have helped. */
static void on_failed(struct ice *i, const struct snet_agent_event *ev)
{
	const struct snet_agent_counts *c = snet_agent_counts(snet_ice_agent(i->ice));
	int code = ev->code ? ev->code : SNET_EUNREACH;
	struct snet_error err;

	if (i->selected) {
		ice_say_lost(i, ev);
		snet_fail(&err, SNET_ELOST, "the other side is gone: %s",
			  ev->why ? ev->why : "lost");
	} else {
		if (code == SNET_ETIMEOUT && (i->failed_checks || i->remote_ended))
			code = SNET_EUNREACH;
		snet_fail(&err, code, "no pair works: %s%s", ev->why ? ev->why : "failed",
			  hint(c));
	}
	ice_exec_hang_up(i);
	ice_done(i, &err);
}

/* ---- what the driver says */

static void on_local(const struct snet_local *c, const char *iface, void *user)
{
	struct ice *i = user;
	struct ice_kept *k;

	if (!i->o->no_trickle) {
		ice_say_local(i, c, iface);
		return;
	}
	if (i->kept_n == SNET_LOCALS_MAX)
		return; /* no agent has more */
	k = &i->kept[i->kept_n++];
	k->c = *c;
	strncpy(k->iface, iface ? iface : "", sizeof(k->iface) - 1);
}

static void on_gathered(void *user)
{
	struct ice *i = user;

	if (i->gathered)
		return;
	i->gathered = true;
	if (i->o->no_trickle) {
		ice_say_credentials(i);
		for (size_t k = 0; k < i->kept_n; k++)
			ice_say_local(i, &i->kept[k].c, i->kept[k].iface);
	}
	ice_say_end();
	ice_check_over(i);
}

static void on_state(struct ice *i, const struct snet_agent_event *ev)
{
	ice_say_state(ev);
	i->completed = ev->state == SNET_AGENT_COMPLETED;
	if (!i->completed)
		snet_timer_stop(i->run->loop, &i->linger);
	if (ev->state == SNET_AGENT_FAILED)
		on_failed(i, ev);
	else
		ice_check_over(i);
}

static void on_event(const struct snet_agent_event *ev, void *user)
{
	struct snet_sdp_candidate met = { .c = ev->remote };
	struct ice *i = user;

	if (i->run->done)
		return;
	switch (ev->what) {
	case SNET_AGENT_STATE:
		on_state(i, ev);
		break;
	case SNET_AGENT_ROLE:
		ice_say_state(ev);
		break;
	case SNET_AGENT_CHECKED:
		i->failed_checks += !ev->ok;
		if (i->o->explain)
			ice_say_check(ev);
		break;
	case SNET_AGENT_MET:
		ice_say_remote(&met, NULL, true, NULL);
		break;
	case SNET_AGENT_SELECTED:
		i->selected = true;
		ice_say_selected(ev);
		ice_check_over(i);
		break;
	case SNET_AGENT_SEEN:         /* each check says what it was seen as */
	case SNET_AGENT_CONSENT_LOST: /* the state follows */
		break;
	}
}

static void on_trouble(const struct snet_error *err, void *user)
{
	struct ice *i = user;

	if (!i->run->done)
		out_error(err, OPT_NONE, OPT_NONE, false);
}

static void on_data(uint8_t ecn, uint8_t *p, size_t n, void *user)
{
	(void)ecn;
	ice_exec_data(user, p, n);
}

static void on_writable(void *user)
{
	ice_exec_writable(user);
}

static void on_punch(const struct snet_pact_word *w, void *user)
{
	struct ice *i = user;

	/* Before it has our credentials, it is nothing to the other side. */
	if (!i->run->done && (i->gathered || !i->o->no_trickle))
		ice_say_punch(i, w);
}

static void on_punching(const struct snet_ice_punching *p, void *user)
{
	struct ice *i = user;

	if (i->o->explain && !i->run->done)
		ice_say_punching(p);
}

static const struct snet_ice_events events = { on_local,   on_gathered, on_event,
					       on_trouble, on_data,     on_writable,
					       NULL,       on_punch,    on_punching };

/* ---- birth and death */

int ice_new(struct ice **out, struct run *run, const struct ice_opts *o, struct snet_error *err)
{
	struct ice *i = calloc(1, sizeof(*i));
	snet_time now = snet_loop_now(run->loop);
	int rc;

	if (!i)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	i->run = run;
	i->o = o;
	i->fd = -1;
	i->wait = (struct snet_timer){ .fn = on_wait_over, .user = i };
	i->linger = (struct snet_timer){ .fn = on_linger, .user = i };
	snet_task_init(&i->finish, on_finish, i);
	rc = ice_input_new(i, err);
	if (!rc)
		rc = snet_ice_new(&i->ice, run->loop, &o->ice, &events, i, err);
	if (!rc && o->wait < SNET_NEVER - now)
		rc = snet_timer_set(run->loop, &i->wait, now + o->wait);
	if (rc) {
		ice_free(i);
		return rc;
	}
	if (!o->no_trickle)
		ice_say_credentials(i);
	*out = i;
	ready_say();
	ice_input_go(i);
	return SNET_OK;
}

void ice_drain(struct ice *i)
{
	if (i->pid)
		ice_exec_signal(i, SIGTERM); /* its end is ours */
	else
		ice_done(i, NULL);
}

void ice_kill(struct ice *i)
{
	if (i->pid)
		ice_exec_signal(i, SIGKILL);
}

void ice_room(struct ice *i)
{
	ice_input_go(i);
}

bool ice_is_selected(const struct ice *i)
{
	return i->selected;
}

void ice_stats(const struct ice *i)
{
	const struct snet_agent_counts *c;

	if (!i->ice) {
		out_event("stats", out_uint("sent_messages", 0));
		return;
	}
	c = snet_agent_counts(snet_ice_agent(i->ice));
	out_event(
		"stats",
		out_uint("sent_messages", c->checks + c->resent + c->answers + i->traffic.sent),
		out_uint("sent_bytes", i->traffic.sent_bytes),
		out_uint("received_messages", c->requests + c->responses + i->traffic.received),
		out_uint("received_bytes", i->traffic.received_bytes),
		out_uint("dropped_messages", c->malformed + c->unauthenticated + c->forged +
						     c->stale + i->traffic.dropped));
}

void ice_free(struct ice *i)
{
	if (!i)
		return;
	snet_timer_stop(i->run->loop, &i->wait);
	snet_timer_stop(i->run->loop, &i->linger);
	snet_task_cancel(&i->finish);
	ice_exec_fini(i);
	ice_input_fini(i);
	snet_ice_free(i->ice);
	free(i);
}
