#include <string.h>

#include "nat/agent_impl.h"

/* What the agent sends: checks and their repetition; consent checks. */

#define HASTEN_MAX 8 /* in one burst */

/* ---- packets */

struct snet_agent_packet *agent_room(struct snet_agent *a)
{
	return a->out_n < OUT_MAX ? &a->out[(a->out_at + a->out_n) % OUT_MAX] : NULL;
}

void agent_sent(struct snet_agent *a, size_t n)
{
	a->out[(a->out_at + a->out_n) % OUT_MAX].n = (uint16_t)n;
	a->out_n++;
}

bool snet_agent_next(struct snet_agent *a, struct snet_agent_packet *out)
{
	if (!a->out_n)
		return false;
	*out = a->out[a->out_at];
	a->out_at = (a->out_at + 1) % OUT_MAX;
	a->out_n--;
	return true;
}

/* Nothing has come by it, in either direction. */
static bool is_blind(const struct snet_pair *p)
{
	return p && !p->valid && !p->rtt && !p->triggered && !p->queued && !p->plain_seen &&
	       !p->nominated;
}

/* Writes the check once more: RFC 8445 §7.2.4. */
static bool put(struct snet_agent *a, struct tx *t, snet_time now)
{
	const struct creds *c = t->old ? &a->old : &a->now;
	char name[SNET_AGENT_NAME_MAX + 1 + SNET_AGENT_UFRAG + 1];
	struct snet_agent_packet *out = agent_room(a);
	struct snet_stunout o;

	if (!out)
		return false;
	strcpy(name, c->remote);
	strcat(name, ":");
	strcat(name, c->ufrag);
	snet_stunmsg_begin(&o, out->p, sizeof(out->p), SNET_STUN_REQUEST, SNET_STUN_BINDING,
			   t->id);
	snet_stunmsg_put_text(&o, SNET_STUN_USERNAME, name);
	snet_stunmsg_put_number(&o, SNET_STUN_PRIORITY, t->priority);
	snet_stunmsg_put_number(
		&o, t->controlling ? SNET_STUN_ICE_CONTROLLING : SNET_STUN_ICE_CONTROLLED,
		a->tie_breaker);
	if (t->use)
		snet_stunmsg_put(&o, SNET_STUN_USE_CANDIDATE, NULL, 0);
	snet_stunauth_put(&o, SNET_STUN_SHA1, &c->remote_key);
	snet_stunmsg_put_fingerprint(&o);
	if (!snet_stunmsg_end(&o))
		return false;
	out->handle = t->handle;
	out->to = t->to;
	out->blind = t->kind == TX_CHECK && is_blind(snet_checklist_get(&a->list, t->pair));
	agent_sent(a, snet_stunmsg_end(&o));
	t->last = now;
	t->sent++;
	return true;
}

/* ---- transactions */

struct tx *agent_tx(struct snet_agent *a, const uint8_t id[static SNET_STUN_ID])
{
	for (size_t i = 0; i < TX_MAX; i++)
		if (a->tx[i].used && !memcmp(a->tx[i].id, id, SNET_STUN_ID))
			return &a->tx[i];
	return NULL;
}

static void draw_id(struct snet_agent *a, uint8_t id[static SNET_STUN_ID])
{
	uint64_t bits = agent_draw(a);

	memcpy(id, &bits, sizeof(bits));
	bits = agent_draw(a);
	memcpy(id + sizeof(bits), &bits, SNET_STUN_ID - sizeof(bits));
}

/* A free one, or the oldest that only waits for a late answer: consent may be asked for more
 * often than there is room, where much patience is wished for. */
static struct tx *tx_new(struct snet_agent *a)
{
	struct tx *old = NULL, *t = NULL;

	for (size_t i = 0; i < TX_MAX && !t; i++) {
		if (!a->tx[i].used)
			t = &a->tx[i];
		else if ((a->tx[i].cancelled || a->tx[i].kind == TX_CONSENT) &&
			 (!old || a->tx[i].first < old->first))
			old = &a->tx[i];
	}
	t = t ? t : old;
	if (!t)
		return NULL;
	*t = (struct tx){ .used = true };
	draw_id(a, t->id);
	return t;
}

void agent_cancel(struct snet_agent *a, uint32_t pair, bool forget)
{
	for (size_t i = 0; i < TX_MAX; i++) {
		struct tx *t = &a->tx[i];

		if (!t->used || t->pair != pair || t->kind == TX_CONSENT || t->old)
			continue;
		t->cancelled = true;
		t->used = !forget;
	}
}

bool agent_is_nominating(const struct snet_agent *a)
{
	for (size_t i = 0; i < TX_MAX; i++)
		if (a->tx[i].used && !a->tx[i].cancelled && a->tx[i].kind == TX_NOMINATION)
			return true;
	return false;
}

/* RFC 8445 §14.3: one check among many must not crowd out the others. The pair that is about to
 * be selected is not one among many; and addresses that only turned up, of which some NATs make
 * ever more, do not slow down those we were told of. */
static snet_time rto(const struct snet_agent *a, const struct snet_pair *p, bool nominated)
{
	const struct snet_checklist *l = &a->list;
	snet_time least = 0;

	for (size_t i = 0; i < l->pairs_n && !nominated; i++) {
		const struct snet_pair *o = &l->pairs[i];

		if ((o->state == SNET_PAIR_WAITING || o->state == SNET_PAIR_IN_PROGRESS) &&
		    (l->remotes[o->remote].told || !l->remotes[p->remote].told))
			least += a->config.check_pace;
	}
	return least > a->config.check_timeout ? least : a->config.check_timeout;
}

bool agent_check(struct snet_agent *a, struct snet_pair *p, enum tx_kind kind, snet_time now)
{
	const struct snet_local *local = snet_pair_local(&a->list, p);
	struct tx *t = tx_new(a);

	if (!t)
		return false;
	t->pair = p->id;
	t->kind = (uint8_t)kind;
	t->controlling = a->list.controlling;
	t->use = t->controlling && (kind == TX_NOMINATION || a->config.aggressive);
	t->handle = local->handle;
	t->to = snet_pair_remote(&a->list, p)->address;
	/* §7.1.1: what a peer-reflexive candidate found so would have. */
	t->priority = snet_candidate_priority(SNET_CANDIDATE_PRFLX,
					      (uint16_t)(local->c.priority >> 8), 1);
	t->first = now;
	t->rto = rto(a, p, kind == TX_NOMINATION || (p->nominated && !p->eager));
	t->next = now + t->rto;
	if (!put(a, t, now)) {
		t->used = false;
		return false;
	}
	p->checked = now;
	a->counts.checks++;
	return true;
}

bool agent_consent(struct snet_agent *a, snet_time now)
{
	struct tx *t = tx_new(a);

	if (!t)
		return false;
	t->pair = a->path.pair;
	t->kind = TX_CONSENT;
	t->old = a->path.old;
	t->controlling = t->old ? a->old.controlling : a->list.controlling;
	t->handle = a->path.handle;
	t->to = a->path.to;
	t->priority = snet_candidate_priority(
		SNET_CANDIDATE_PRFLX, (uint16_t)(a->path.told.local.c.priority >> 8), 1);
	t->first = now;
	t->next = now + a->config.consent_timeout;
	if (!put(a, t, now)) {
		t->used = false;
		return false;
	}
	a->counts.checks++;
	return true;
}

bool snet_agent_probe(struct snet_agent *a, uint32_t handle, const struct snet_addr *to,
		      snet_time now)
{
	struct tx t = { .controlling = a->list.controlling, .handle = handle, .to = *to };

	if (!agent_is_live(a) || !*a->now.remote || snet_agent_has_fallen_back(a))
		return false;
	t.priority = snet_candidate_priority(SNET_CANDIDATE_PRFLX, 0, 1);
	draw_id(a, t.id);
	if (!put(a, &t, now))
		return false;
	a->counts.checks++;
	return true;
}

static bool is_idle(const struct snet_pair *p)
{
	return (p->state == SNET_PAIR_FROZEN || p->state == SNET_PAIR_WAITING) && !p->barred;
}

/* What came before the peer's NAT had let its first packet out was turned away there. Now that
 * a pair works the peer is there, and has begun: what it turned away may pass. Who waited for
 * the ordinary repetition would find that a worse pair, through a relay, has been nominated.
 * Nor is there much time left for better ones that have not been checked at all: the way is
 * there, and the pace for NATs' sake may be the least that is allowed. */
void agent_hasten(struct snet_agent *a, const struct snet_pair *works, snet_time now)
{
	unsigned n = 0;

	for (size_t i = 0; i < TX_MAX && n < HASTEN_MAX; i++) {
		struct tx *t = &a->tx[i];
		struct snet_pair *p = t->used && !t->cancelled && !t->hastened
					      ? snet_checklist_get(&a->list, t->pair)
					      : NULL;

		if (!p || t->kind != TX_CHECK || p->state != SNET_PAIR_IN_PROGRESS ||
		    p->priority <= works->priority)
			continue;
		if (!put(a, t, now))
			return;
		t->hastened++;
		a->counts.resent++;
		n++;
	}
	a->hurried = 0;
	for (size_t i = 0; i < a->list.pairs_n && a->hurried < HASTEN_MAX; i++)
		a->hurried += is_idle(&a->list.pairs[i]) &&
			      a->list.pairs[i].priority > works->priority;
	if (a->hurried && a->next_check > now)
		a->next_check = now;
}

void agent_fail_pair(struct snet_agent *a, struct snet_pair *p, int code, const char *why)
{
	if (p->state == SNET_PAIR_FAILED)
		return;
	snet_checklist_fail(&a->list, p);
	agent_tell_pair(a, SNET_AGENT_CHECKED, p, code, why);
}

void snet_agent_no_way(struct snet_agent *a, uint32_t handle, const struct snet_addr *to,
		       snet_time now)
{
	struct snet_pair *p = snet_checklist_find(&a->list, handle, to);

	if (!agent_is_live(a) || !is_blind(p) || p->state == SNET_PAIR_FAILED)
		return;
	agent_cancel(a, p->id, false);
	agent_refund(a, p, now);
	a->counts.checks -= p->unsent;
	p->unsent = true;
	agent_fail_pair(a, p, SNET_EUNREACH, "no way there by this interface");
	agent_turn(a, now);
}

/* Its time is up: sent again, or at an end. False: no room to send. */
static bool due(struct snet_agent *a, struct tx *t, snet_time now)
{
	struct snet_pair *p = snet_checklist_get(&a->list, t->pair);
	unsigned regular;

	if (t->kind == TX_CONSENT || t->cancelled || !p) {
		t->used = false;
		return true;
	}
	if (t->sent - t->hastened < a->config.check_retries) {
		if (!put(a, t, now))
			return false;
		a->counts.resent++;
		regular = t->sent - t->hastened;
		/* Doubling, RFC 8489 §6.2.1; the last wait is as long as the first: whatever
		 * comes back by then has had all the waits before it, too. */
		t->next = now + (regular < a->config.check_retries ? t->rto << (regular - 1)
								   : t->rto);
		return true;
	}
	t->used = false;
	/* It may have been heard, and the peer have moved. */
	a->path.unsure = a->path.unsure || t->kind == TX_NOMINATION;
	agent_fail_pair(a, p, t->astray ? SNET_EPROTO : SNET_ETIMEOUT,
			t->astray                  ? "answered from another address"
			: t->kind == TX_NOMINATION ? "the nomination was not answered"
						   : "no answer");
	return true;
}

bool agent_resend_due(struct snet_agent *a, snet_time now)
{
	for (size_t i = 0; i < TX_MAX; i++)
		if (a->tx[i].used && now >= a->tx[i].next && !due(a, &a->tx[i], now))
			return false;
	return true;
}

snet_time agent_resend_deadline(const struct snet_agent *a)
{
	snet_time at = SNET_NEVER;

	for (size_t i = 0; i < TX_MAX; i++)
		if (a->tx[i].used && a->tx[i].next < at)
			at = a->tx[i].next;
	return at;
}
