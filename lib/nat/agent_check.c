#include <string.h>

#include "nat/agent_impl.h"

/* What the agent sends: checks, their repetition and their pace; consent checks. */

#define WAVE_MIN (500 * SNET_MS) /* failed pairs are tried anew, ever more rarely */
#define WAVE_MAX (4 * SNET_SEC)
#define HASTEN_MAX 8  /* in one burst */
#define WAVES_AFTER 4 /* once a relay is selected: for something better */

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

/* A free one, or the oldest that only waits for a late answer. */
static struct tx *tx_new(struct snet_agent *a)
{
	struct tx *old = NULL, *t = NULL;

	for (size_t i = 0; i < TX_MAX && !t; i++) {
		if (!a->tx[i].used)
			t = &a->tx[i];
		else if (a->tx[i].cancelled && (!old || a->tx[i].first < old->first))
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
	t->controlling = a->list.controlling;
	t->old = a->path.old;
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

	if (!agent_is_live(a) || !*a->now.remote)
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

void agent_refund(struct snet_agent *a, struct snet_pair *p, snet_time now)
{
	if (p->state != SNET_PAIR_IN_PROGRESS || p->checked != now)
		return;
	p->unsent = true;
	if (a->turn == p->id)
		a->next_check = now;
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

/* ---- when */

uint64_t agent_floor(const struct snet_agent *a)
{
	return a->path.is && !a->path.old && !a->path.ailing ? a->path.priority : 0;
}

static bool is_relayed(const struct snet_agent *a)
{
	return a->path.told.local.c.type == SNET_CANDIDATE_RELAY ||
	       a->path.told.remote.type == SNET_CANDIDATE_RELAY;
}

bool agent_is_awaited(struct snet_agent *a, const struct snet_pair *p)
{
	const struct snet_pair *now = snet_checklist_get(&a->list, a->path.pair);

	return !a->list.controlling && !p->eager && p->nominated > (now ? now->nominated : 0);
}

static bool is_due_again(struct snet_agent *a, const struct snet_pair *p)
{
	bool better = p->priority > agent_floor(a) &&
		      (!agent_floor(a) || a->list.remotes[p->remote].told);

	return p->state == SNET_PAIR_FAILED && !p->barred && (better || agent_is_awaited(a, p));
}

/* Failed pairs that may yet come to life: the peer was late, its NAT's way was not open, all
 * copies were lost. RFC 8863 has us wait, and this is what makes the wait worth while. */
static bool is_hopeful(struct snet_agent *a)
{
	const struct snet_checklist *l = &a->list;
	bool enough = a->path.is && !a->path.old && !a->path.ailing &&
		      (!is_relayed(a) || a->waves >= WAVES_AFTER);
	bool hopeful = false, unsent = false, under_way = false;

	for (size_t i = 0; i < l->pairs_n; i++) {
		const struct snet_pair *p = &l->pairs[i];
		bool again = is_due_again(a, p) && (!enough || agent_is_awaited(a, p));

		if (!p->barred && p->priority > agent_floor(a) && l->remotes[p->remote].told &&
		    (p->state == SNET_PAIR_FROZEN || p->state == SNET_PAIR_WAITING))
			return false; /* first those that have not had their turn */
		under_way = under_way || p->state == SNET_PAIR_IN_PROGRESS;
		unsent = unsent || (again && p->unsent);
		hopeful = hopeful || (again && !p->unsent);
	}
	/* Those that failed without a packet do not hurry the others. */
	return hopeful || (unsent && !under_way);
}

static void wave(struct snet_agent *a, snet_time now)
{
	snet_time gap = WAVE_MIN << (a->waves < 8 ? a->waves : 8);

	if (!is_hopeful(a)) {
		a->wave_at = SNET_NEVER;
	} else if (a->wave_at == SNET_NEVER) {
		a->wave_at = now + (gap < WAVE_MAX ? gap : WAVE_MAX);
	} else if (now >= a->wave_at) {
		for (size_t i = 0; i < a->list.pairs_n; i++) {
			struct snet_pair *p = &a->list.pairs[i];

			if (!is_due_again(a, p))
				continue;
			if (agent_is_awaited(a, p))
				snet_checklist_trigger(&a->list, p);
			else
				snet_checklist_again(&a->list, p);
		}
		a->waves++;
		a->wave_at = SNET_NEVER;
	}
}

/* What speaks for a pair before anything is known: the family, and whether the peer says the
 * address, or a server that saw it. 0: neither, or there is a relay. */
static unsigned kind_of(const struct snet_checklist *l, const struct snet_pair *p)
{
	const struct snet_candidate *to = snet_pair_remote(l, p);
	unsigned v6 = to->address.sa.sa_family == AF_INET6;

	if (!l->remotes[p->remote].told ||
	    snet_pair_local(l, p)->c.type == SNET_CANDIDATE_RELAY)
		return 0;
	return to->type == SNET_CANDIDATE_HOST    ? 1u << v6
	       : to->type == SNET_CANDIDATE_SRFLX ? 4u << v6
						  : 0;
}

/* Hosts have many interfaces that lead nowhere (bridges of containers, tunnels), and each takes
 * turns before the first address that a server has seen. So the best of every kind goes before
 * the second of any: nobody waits longer than that (RFC 8421 has the same aim). Which pair is
 * better remains as it was. */
static struct snet_pair *first_of_its_kind(struct snet_agent *a, struct snet_pair *next)
{
	struct snet_checklist *l = &a->list;
	struct snet_pair *best = next;
	unsigned begun = 0;

	for (size_t i = 0; i < l->pairs_n; i++) {
		const struct snet_pair *p = &l->pairs[i];

		if (p->state != SNET_PAIR_FROZEN && p->state != SNET_PAIR_WAITING && !p->unsent)
			begun |= kind_of(l, p);
	}
	if (!(kind_of(l, next) & begun))
		return next;
	for (size_t i = 0; i < l->pairs_n; i++) {
		struct snet_pair *p = &l->pairs[i];
		unsigned kind = kind_of(l, p);

		if (p->state == SNET_PAIR_WAITING && !p->barred && kind && !(kind & begun) &&
		    p->priority > agent_floor(a) &&
		    (best == next || p->priority > best->priority))
			best = p;
	}
	return best;
}

/* The next pair to be checked, and when it may be. */
static struct snet_pair *upcoming(struct snet_agent *a, snet_time *when, bool *triggered)
{
	struct snet_pair *p = NULL;

	*when = SNET_NEVER;
	if (*a->now.remote)
		p = snet_checklist_next(&a->list, agent_floor(a), triggered);
	if (p && !*triggered)
		p = first_of_its_kind(a, p);
	if (p)
		*when = *triggered ? a->next_triggered : a->next_check;
	return p;
}

void agent_checks_due(struct snet_agent *a, snet_time now)
{
	struct snet_pair *p;
	bool triggered;
	snet_time when;

	for (size_t i = 0; i < TX_MAX; i++)
		if (a->tx[i].used && now >= a->tx[i].next && !due(a, &a->tx[i], now))
			return;
	wave(a, now);
	while ((p = upcoming(a, &when, &triggered)) && now >= when) {
		if (!agent_check(a, p, TX_CHECK, now))
			return;
		snet_checklist_begin(&a->list, p);
		p->unsent = false;
		/* A triggered check follows a packet that has made the way: no need for Ta,
		 * which is there for NATs' sake (§14.1). */
		if (triggered) {
			a->next_triggered = now + TRIGGERED_PACE;
		} else {
			a->hurried -= a->hurried > 0;
			a->next_check =
				now + (a->hurried ? TRIGGERED_PACE : a->config.check_pace);
			a->turn = p->id;
		}
	}
}

snet_time agent_checks_deadline(struct snet_agent *a, snet_time now)
{
	snet_time at = a->wave_at, when;
	bool triggered;

	for (size_t i = 0; i < TX_MAX; i++)
		if (a->tx[i].used && a->tx[i].next < at)
			at = a->tx[i].next;
	if (upcoming(a, &when, &triggered) && when < at)
		at = when;
	return at > now ? at : now;
}
