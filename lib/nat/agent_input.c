#include <string.h>

#include "nat/agent_impl.h"

/* What the agent hears: the peer's checks, and answers to its own. */

/* ---- answering */

static void answer(struct snet_agent *a, const struct snet_stunmsg *m, const struct early *e,
		   const struct creds *c, int code)
{
	struct snet_agent_packet *out = agent_room(a);
	struct snet_stunout o;

	if (!out) {
		a->counts.overflow++;
		return;
	}
	snet_stunmsg_begin(&o, out->p, sizeof(out->p),
			   code ? SNET_STUN_ERROR : SNET_STUN_SUCCESS, SNET_STUN_BINDING,
			   m->id);
	if (!code)
		snet_stunmsg_put_addr(&o, SNET_STUN_XOR_MAPPED_ADDRESS, &e->from);
	else
		snet_stunmsg_put_error(&o, code, code == 487 ? "Role Conflict" : "");
	if (code == 420)
		snet_stunmsg_put_unknown(&o, m);
	snet_stunauth_put(&o, SNET_STUN_SHA1, &c->local_key);
	snet_stunmsg_put_fingerprint(&o);
	if (!snet_stunmsg_end(&o))
		return;
	out->handle = e->handle;
	out->to = e->from;
	agent_sent(a, snet_stunmsg_end(&o));
	a->counts.answers++;
}

/* ---- roles */

void agent_switch_role(struct snet_agent *a, bool controlling)
{
	struct snet_agent_event ev = { .what = SNET_AGENT_ROLE,
				       .state = a->state,
				       .ok = true,
				       .controlling = controlling };

	if (a->list.controlling == controlling)
		return;
	snet_checklist_set_role(&a->list, controlling);
	/* A nomination is none any more; what we hear of it is an answer to a check. */
	for (size_t i = 0; i < TX_MAX; i++)
		if (a->tx[i].kind == TX_NOMINATION)
			a->tx[i].cancelled = true;
	a->settle_at = a->nominate_at = SNET_NEVER;
	agent_tell(a, &ev);
}

/* RFC 8445 §7.3.1.1. True: the peer is to change, not we. */
static bool is_its_conflict(struct snet_agent *a, const struct snet_stunmsg *m)
{
	bool mine = a->list.controlling;
	uint64_t its;

	if (!snet_stunmsg_number(m, mine ? SNET_STUN_ICE_CONTROLLING : SNET_STUN_ICE_CONTROLLED,
				 &its))
		return false;
	if ((a->tie_breaker >= its) == mine)
		return true;
	agent_switch_role(a, !mine);
	return false;
}

/* ---- the peer's checks */

/* USERNAME is "ours:its"; its goes to out. Which generation ours is of; NULL: none. */
static const struct creds *whose(const struct snet_agent *a, const struct snet_slice *name,
				 char out[static SNET_AGENT_NAME_MAX + 1])
{
	const uint8_t *colon = memchr(name->p, ':', name->n);
	const struct creds *const all[] = { &a->now, &a->old };
	size_t ours = colon ? (size_t)(colon - name->p) : 0, its = name->n - ours;

	if (!colon || its - 1 > SNET_AGENT_NAME_MAX)
		return NULL;
	memcpy(out, colon + 1, its - 1);
	out[its - 1] = '\0';
	for (size_t i = 0; i < 2; i++)
		if (ours == SNET_AGENT_UFRAG && !memcmp(all[i]->ufrag, name->p, ours) &&
		    (!i || a->path.old))
			return all[i];
	return NULL;
}

static bool is_copy(struct snet_agent *a, const uint8_t id[static SNET_STUN_ID], uint32_t pair)
{
	size_t next = a->nominations % NOMINATIONS_MAX;

	for (size_t i = 0; i < NOMINATIONS_MAX; i++)
		if (a->heard[i].pair == pair && !memcmp(a->heard[i].id, id, SNET_STUN_ID))
			return true;
	memcpy(a->heard[next].id, id, SNET_STUN_ID);
	a->heard[next].pair = pair;
	return false;
}

static void tell_met(struct snet_agent *a, size_t remote)
{
	struct snet_agent_event ev = { .what = SNET_AGENT_MET,
				       .state = a->state,
				       .ok = true,
				       .controlling = a->list.controlling,
				       .remote = a->list.remotes[remote].c };

	agent_tell(a, &ev);
}

/* §7.3.1.4: unless it is known already, or would be of no use, or has just been done: two
 * NATs that give every destination a port of its own make the peers chase each other. */
static bool is_worth_a_check(const struct snet_agent *a, const struct snet_pair *p, bool use,
			     snet_time now)
{
	unsigned doubled = (use || p->nominated) && p->plain_seen ? 0
			   : p->triggered < 5                     ? p->triggered - 1u
								  : 4;

	if (p->state == SNET_PAIR_SUCCEEDED || p->queued ||
	    (!use && p->priority < agent_floor(a)))
		return false;
	return !p->triggered || now >= p->checked + (a->config.check_timeout << doubled);
}

void agent_checked_by_peer(struct snet_agent *a, const struct early *e, snet_time now)
{
	struct snet_pair *p;
	size_t remote;
	int rc = snet_checklist_meet(&a->list, e->handle, &e->from, e->priority, now, &remote);

	if (rc == SNET_ETOOBIG) {
		a->counts.refused++;
		return;
	}
	if (!rc)
		tell_met(a, remote);
	p = snet_checklist_make(&a->list, e->handle, remote);
	if (!p || p->barred)
		return;
	if (is_worth_a_check(a, p, e->use, now)) {
		/* The one under way is not repeated; its answer still counts. */
		agent_cancel(a, p->id, false);
		snet_checklist_trigger(&a->list, p);
	}
	if (!e->use) {
		p->plain_seen = true;
	} else if (!a->list.controlling && !is_copy(a, e->id, p->id)) {
		p->eager = p->eager || !p->plain_seen;
		p->nominated = ++a->nominations;
	}
}

/* It is answered; what follows may have to wait for the peer's credentials. */
static void note(struct snet_agent *a, const struct early *e, snet_time now)
{
	if (*a->now.remote)
		agent_checked_by_peer(a, e, now);
	else if (a->early_n < EARLY_MAX)
		a->early[a->early_n++] = *e;
	else
		a->counts.overflow++;
}

static int request(struct snet_agent *a, const struct snet_stunmsg *m, struct early *e,
		   snet_time now)
{
	const struct creds *c;
	struct snet_slice name;
	uint64_t priority;
	int rc;

	if (!snet_stunmsg_get(m, SNET_STUN_USERNAME, &name) ||
	    !snet_stunmsg_get(m, SNET_STUN_INTEGRITY, NULL)) {
		a->counts.unauthenticated++;
		return SNET_EINTEGRITY;
	}
	c = whose(a, &name, e->ufrag);
	if (!c || (*c->remote && strcmp(c->remote, e->ufrag) != 0)) {
		a->counts.stale++;
		return SNET_EINTEGRITY;
	}
	rc = snet_stunauth_check(m, SNET_STUN_SHA1, &c->local_key);
	if (rc) {
		a->counts.forged++;
		return rc == SNET_ENOSYS ? rc : SNET_EINTEGRITY;
	}
	a->counts.requests++;
	if (m->unknown_n || !snet_stunmsg_number(m, SNET_STUN_PRIORITY, &priority)) {
		answer(a, m, e, c, m->unknown_n ? 420 : 400);
		return SNET_EPROTO;
	}
	e->priority = (uint32_t)priority;
	e->use = snet_stunmsg_get(m, SNET_STUN_USE_CANDIDATE, NULL);
	memcpy(e->id, m->id, SNET_STUN_ID);
	if (c == &a->now && is_its_conflict(a, m)) {
		answer(a, m, e, c, 487);
		/* A packet has made the way, and it may be the only one: a probe (agent.h) is
		 * not repeated. What we send in turn settles the roles, too. */
		e->use = false;
		note(a, e, now);
		return SNET_OK;
	}
	answer(a, m, e, c, 0);
	if (c != &a->now)
		return SNET_OK;
	note(a, e, now);
	return SNET_OK;
}

/* ---- answers to ours */

/* The candidate of ours that the peer saw: known, or peer-reflexive (§7.2.5.3.1). */
static size_t seen(struct snet_agent *a, const struct snet_pair *p, const struct tx *t,
		   const struct snet_addr *mapped)
{
	const struct snet_local *base = snet_pair_local(&a->list, p);
	struct snet_local met = *base;
	struct snet_agent_event ev = { .what = SNET_AGENT_SEEN,
				       .state = a->state,
				       .ok = true,
				       .controlling = a->list.controlling };
	size_t index;

	for (size_t i = 0; i < a->list.locals_n; i++)
		if (a->list.locals[i].handle == t->handle && a->list.locals[i].c.component &&
		    snet_addr_eq(&a->list.locals[i].c.address, mapped))
			return i;
	met.c.type = SNET_CANDIDATE_PRFLX;
	met.c.address = *mapped;
	met.c.related = met.base;
	met.c.priority = t->priority;
	snet_candidate_found(&met.c, &met.base, NULL);
	if (snet_checklist_add_local(&a->list, &met, &index) == SNET_ETOOBIG)
		return p->local;
	ev.local = met;
	agent_tell(a, &ev);
	return index;
}

static int success(struct snet_agent *a, const struct snet_stunmsg *m, struct tx *t,
		   snet_time now)
{
	struct snet_pair *p = snet_checklist_get(&a->list, t->pair);
	bool nominated = t->use && a->list.controlling && !a->config.aggressive;
	uint32_t pair = t->pair;
	struct snet_addr mapped;
	/* Of a check sent more than once it is not known which was answered (Karn). */
	snet_time rtt = now - (t->sent > 1 ? t->last : t->first);

	if (!snet_stunmsg_addr(m, SNET_STUN_XOR_MAPPED_ADDRESS, &mapped)) {
		a->counts.malformed++;
		return SNET_EPROTO;
	}
	a->counts.responses++;
	t->used = false;
	if (t->kind == TX_CONSENT) {
		if (a->path.is && a->path.old == t->old && a->path.pair == pair &&
		    a->path.handle == t->handle)
			agent_heard(a, rtt, now);
		return SNET_OK;
	}
	if (!p)
		return SNET_OK;
	if (t->sent == 1 || !p->rtt)
		p->rtt = rtt;
	snet_checklist_succeed(&a->list, p, seen(a, p, t, &mapped));
	agent_cancel(a, pair, true);
	agent_hasten(a, p, now);
	agent_tell_pair(a, SNET_AGENT_CHECKED, p, SNET_OK, nominated ? "nominated" : NULL);
	if (nominated && p->valid)
		agent_nominated(a, p, now);
	return SNET_OK;
}

static int failure(struct snet_agent *a, const struct snet_stunmsg *m, struct tx *t)
{
	struct snet_pair *p = snet_checklist_get(&a->list, t->pair);
	int code = snet_stunmsg_error(m, NULL);
	bool consent = t->kind == TX_CONSENT;

	a->counts.responses++;
	t->used = false;
	a->path.unsure = a->path.unsure || t->kind == TX_NOMINATION;
	if (t->old)
		return SNET_OK;
	/* §7.2.5.1: to the role that we did not claim; and once more. */
	if (code == 487) {
		agent_switch_role(a, !t->controlling);
		if (p && !consent) {
			agent_cancel(a, p->id, true);
			snet_checklist_trigger(&a->list, p);
		}
	} else if (p && !consent && !t->cancelled) {
		agent_fail_pair(
			a, p, SNET_EPROTO,
			code == 400   ? "error 400: the peer takes the check for malformed"
			: code == 401 ? "error 401: the peer does not know the credentials"
			: code == 420 ? "error 420: the peer does not know an attribute"
				      : "the peer answered with an error");
	}
	return SNET_OK;
}

static int response(struct snet_agent *a, const struct snet_stunmsg *m, const struct early *e,
		    snet_time now)
{
	struct tx *t = agent_tx(a, m->id);

	if (!t)
		return SNET_EAGAIN; /* of another machine on this socket, or too late */
	if (snet_stunauth_check(m, SNET_STUN_SHA1,
				t->old ? &a->old.remote_key : &a->now.remote_key)) {
		a->counts.forged++;
		return SNET_EINTEGRITY;
	}
	/* §7.2.5.2.1: it must come the way the check went; a copy that anybody sent from
	 * elsewhere must not keep the true one from being heard. Whose role is whose (§7.2.5.1)
	 * does not depend on that; behind some NATs it must be settled before any way is found.
	 */
	if (m->cls == SNET_STUN_ERROR && snet_stunmsg_error(m, NULL) == 487)
		return failure(a, m, t);
	if (e->handle != t->handle || !snet_addr_eq(&e->from, &t->to)) {
		t->astray = true; /* and the pair fails, if none comes that is better */
		a->counts.stale++;
		return SNET_EPROTO;
	}
	return m->cls == SNET_STUN_SUCCESS ? success(a, m, t, now) : failure(a, m, t);
}

int snet_agent_input(struct snet_agent *a, uint32_t handle, const struct snet_addr *from,
		     const uint8_t *p, size_t n, snet_time now)
{
	struct early e = { .handle = handle, .from = *from };
	struct snet_stunmsg m;
	int rc;

	if (!n || p[0] > 3 || n < SNET_STUN_HEADER)
		return SNET_EAGAIN; /* RFC 9443: not STUN */
	rc = snet_stunmsg_parse(&m, p, n);
	if (rc) {
		a->counts.malformed++;
		return rc;
	}
	if (m.method != SNET_STUN_BINDING || !agent_is_live(a))
		return SNET_EAGAIN;
	if (m.cls == SNET_STUN_REQUEST)
		rc = request(a, &m, &e, now);
	else if (m.cls == SNET_STUN_INDICATION)
		rc = SNET_OK; /* a keepalive, RFC 8445 §11 */
	else
		rc = response(a, &m, &e, now);
	if (rc != SNET_EAGAIN && rc != SNET_EINTEGRITY) /* those have changed nothing */
		agent_turn(a, now);
	return rc;
}
