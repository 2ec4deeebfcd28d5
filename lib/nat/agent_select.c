#include <string.h>

#include "nat/agent_impl.h"

/* Which pair: nomination by us, or by the peer; and whether it still may be used. */

#define SETTLE_DIRECT (100 * SNET_MS) /* how long a better pair is waited for */
#define SETTLE_RELAYED (400 * SNET_MS)
/* An answer that is later than this, and than so many round trips of a pair that works, is not
 * to be waited for: one, and what another way may take longer. To spare a relay, more. */
#define HOPE_MIN (20 * SNET_MS)
#define HOPE_OWN (5 * SNET_MS) /* after its own check; HOPE_MIN after any could be sent */
#define HOPE_RTTS 2
#define HOPE_MIN_RELAYED (50 * SNET_MS)
#define HOPE_RTTS_RELAYED 3
#define AILING \
	2 /* after this part of the consent timeout others are looked at: three were lost */

/* ---- selecting */

/* 0.8 to 1.2 of it, drawn anew each time (RFC 7675 §5.1). */
static snet_time jittered(struct snet_agent *a)
{
	/* When answers stay away, it is the way that is tested, as by any check. */
	snet_time whole =
		a->path.ailing ? a->config.consent_every / 5 : a->config.consent_every;

	return whole * 4 / 5 + agent_draw(a) % (whole * 2 / 5 + 1);
}

static void select_pair(struct snet_agent *a, struct snet_pair *p, snet_time now)
{
	struct path *path = &a->path;
	struct snet_pair *was;
	bool changed = path->is;

	if (path->is && !path->old && path->pair == p->id) {
		path->priority = p->priority;
		path->unsure = false;
		return;
	}
	/* One that was left because it ails has to show that it is well before it is better. */
	was = path->is && !path->old && path->ailing ? snet_checklist_get(&a->list, path->pair)
						     : NULL;
	if (was) {
		agent_cancel(a, was->id, false);
		snet_checklist_again(&a->list, was);
	}
	*path = (struct path){ .is = true,
			       .pair = p->id,
			       .handle = snet_pair_local(&a->list, p)->handle,
			       .to = snet_pair_remote(&a->list, p)->address,
			       .last_ok = now,
			       .next = now + jittered(a),
			       .priority = p->priority };
	path->told = (struct snet_agent_event){ .what = SNET_AGENT_SELECTED,
						.state = SNET_AGENT_COMPLETED,
						.ok = true,
						.changed = changed,
						.controlling = a->list.controlling,
						.local = a->list.locals[p->seen_as],
						.remote = *snet_pair_remote(&a->list, p),
						.rtt = p->rtt,
						.took = now - a->started,
						.priority = p->priority };
	path->told.local.handle = path->handle;
	a->waves = 0;
	agent_tell(a, &path->told);
}

/* ---- we nominate: RFC 8445 §8.1.1 */

static bool is_relayed(const struct snet_agent *a, const struct snet_pair *p)
{
	return snet_pair_local(&a->list, p)->c.type == SNET_CANDIDATE_RELAY ||
	       snet_pair_remote(&a->list, p)->type == SNET_CANDIDATE_RELAY;
}

static snet_time latest(snet_time a, snet_time b)
{
	return a > b ? a : b;
}

/* Until when p, which may turn out better than best, deserves to be waited for. */
static snet_time hope(const struct snet_agent *a, const struct snet_pair *p,
		      const struct snet_pair *best)
{
	bool relayed = is_relayed(a, best);
	snet_time least = relayed ? HOPE_MIN_RELAYED : HOPE_MIN;
	snet_time trips = best->rtt * (relayed ? HOPE_RTTS_RELAYED : HOPE_RTTS);
	snet_time until = 0;

	if (p->barred || p->priority <= best->priority || p->state == SNET_PAIR_FAILED ||
	    p->state == SNET_PAIR_SUCCEEDED)
		return 0;
	if (p->state != SNET_PAIR_IN_PROGRESS)
		return SNET_NEVER;
	for (size_t i = 0; i < TX_MAX; i++) {
		const struct tx *t = &a->tx[i];

		if (!t->used || t->pair != p->id || t->cancelled)
			continue;
		/* That it had to wait for its turn is no reason to wait for it longer. */
		until = latest(until, t->first + latest(trips, relayed ? least : HOPE_OWN));
		until = latest(until, a->checking + least);
		/* Sent once more when best had worked: all of it anew only if that is a relay;
		 * else what best itself took, and a bit. */
		if (t->hastened && relayed)
			until = latest(until, t->last + latest(trips, least));
		else if (t->hastened)
			until = latest(until, t->last + best->rtt * 5 / 4);
	}
	return until;
}

/* The valid pair to have, if it is not the one we have. A pair that ails counts as none. */
static struct snet_pair *wanted(struct snet_agent *a)
{
	struct snet_pair *best = NULL;

	for (size_t i = 0; i < a->list.pairs_n; i++) {
		struct snet_pair *p = &a->list.pairs[i];
		bool mine = a->path.is && !a->path.old && a->path.pair == p->id;

		if (p->valid && !(mine && a->path.ailing) &&
		    (!best || p->priority > best->priority))
			best = p;
	}
	if (best && a->path.is && !a->path.old &&
	    (a->path.pair == best->id ||
	     (!a->path.ailing && best->priority <= a->path.priority)))
		return NULL;
	return best;
}

static void nominate(struct snet_agent *a, snet_time now)
{
	struct snet_pair *best = wanted(a);
	snet_time until = 0;

	if (!best && a->path.unsure && !a->path.old) /* say again which it is */
		best = snet_checklist_get(&a->list, a->path.pair);
	a->nominate_at = SNET_NEVER;
	if (!best)
		a->settle_at = SNET_NEVER;
	if (!best || agent_is_nominating(a))
		return;
	if (a->config.aggressive) {
		select_pair(a, best, now);
		return;
	}
	for (size_t i = 0; i < a->list.pairs_n; i++) {
		until = latest(until, hope(a, &a->list.pairs[i], best));
	}
	if (a->settle_at == SNET_NEVER)
		a->settle_at = now + (is_relayed(a, best) ? SETTLE_RELAYED : SETTLE_DIRECT);
	else if (!is_relayed(a, best) && a->settle_at > now + SETTLE_DIRECT)
		a->settle_at = now + SETTLE_DIRECT;
	if (until > a->settle_at)
		until = a->settle_at;
	/* No pace: the way is made, and the peer has answered on it. */
	if (now < until || !agent_check(a, best, TX_NOMINATION, now))
		a->nominate_at = until > now ? until : now;
}

/* ---- the peer nominates: §7.3.1.5. Of a peer that nominates pairs it knows to be valid, one
 * at a time, the last counts: it may have lost the one before. A peer that nominates everything
 * it checks means the highest priority of all (RFC 5245 §8.1.1.2). */
static void follow(struct snet_agent *a, snet_time now)
{
	struct snet_pair *best = NULL;

	for (size_t i = 0; i < a->list.pairs_n; i++) {
		struct snet_pair *p = &a->list.pairs[i];

		if (!p->valid || !p->nominated)
			continue;
		a->peer_is_aggressive = a->peer_is_aggressive || p->eager;
		if (!best || (a->peer_is_aggressive ? p->priority > best->priority
						    : p->nominated > best->nominated))
			best = p;
	}
	if (best)
		select_pair(a, best, now);
}

void agent_consider(struct snet_agent *a, snet_time now)
{
	if (a->list.controlling)
		nominate(a, now);
	else
		follow(a, now);
}

void agent_nominated(struct snet_agent *a, struct snet_pair *p, snet_time now)
{
	if (a->list.controlling)
		select_pair(a, p, now);
}

/* ---- consent: RFC 7675 */

void agent_heard(struct snet_agent *a, snet_time rtt, snet_time now)
{
	struct path *path = &a->path;

	path->last_ok = now;
	path->ailing = false;
	path->told.rtt = path->told.rtt ? (path->told.rtt * 7 + rtt) / 8 : rtt;
}

/* Others are checked, while there is still time. False: there are none. */
static bool look_around(struct snet_agent *a)
{
	bool any = false;

	a->waves = 0;
	for (size_t i = 0; i < a->list.pairs_n; i++) {
		struct snet_pair *p = &a->list.pairs[i];

		if (p->id == a->path.pair || p->barred)
			continue;
		any = true;
		if (p->queued || p->state == SNET_PAIR_IN_PROGRESS)
			continue;
		agent_cancel(a, p->id, false);
		snet_checklist_again(&a->list, p);
	}
	return any;
}

void agent_lose_path(struct snet_agent *a, const char *why, snet_time now)
{
	struct snet_pair *p = a->path.old ? NULL : snet_checklist_get(&a->list, a->path.pair);
	struct snet_agent_event ev = a->path.told;
	bool old = a->path.old, ailing = a->path.ailing, last = snet_agent_has_fallen_back(a);

	ev.what = SNET_AGENT_CONSENT_LOST;
	ev.ok = false;
	ev.code = SNET_ELOST;
	ev.why = why;
	a->path = (struct path){ 0 };
	if (p) {
		p->valid = false;
		p->barred = true;
	}
	agent_tell(a, &ev);
	if (old && !last) /* the restart goes on */
		return;
	/* An earlier nomination is no answer: the peer has to say which it is now. */
	for (size_t i = 0; i < a->list.pairs_n; i++)
		a->list.pairs[i].nominated = 0;
	a->checking = now;
	if (snet_checklist_best(&a->list))
		agent_enter(a, SNET_AGENT_CONNECTED, SNET_ELOST, why);
	else if (!ailing && !last && look_around(a))
		agent_enter(a, SNET_AGENT_CHECKING, SNET_ELOST, why);
	else
		agent_enter(a, SNET_AGENT_FAILED, SNET_ELOST, why);
	if (agent_is_live(a))
		agent_consider(a, now);
}

static void begin_to_ail(struct snet_agent *a)
{
	a->path.ailing = true;
	a->path.next = 0; /* asked for consent at once */
	if (!a->path.old) /* else it is looked for already, or has not been found */
		look_around(a);
}

void agent_select_due(struct snet_agent *a, snet_time now)
{
	struct path *path = &a->path;

	if (path->is && now >= path->last_ok + a->config.consent_timeout) {
		agent_lose_path(a, "consent expired", now);
		if (!agent_is_live(a))
			return;
	}
	if (path->is && !path->ailing &&
	    now >= path->last_ok + a->config.consent_timeout / AILING)
		begin_to_ail(a);
	if (path->is && now >= path->next) {
		if (!agent_consent(a, now))
			return;
		path->next = now + jittered(a);
	}
	agent_consider(a, now);
}

snet_time agent_select_deadline(const struct snet_agent *a)
{
	const struct path *path = &a->path;
	snet_time at = a->nominate_at;

	if (!path->is)
		return at;
	if (path->next < at)
		at = path->next;
	if (!path->ailing && path->last_ok + a->config.consent_timeout / AILING < at)
		at = path->last_ok + a->config.consent_timeout / AILING;
	if (path->last_ok + a->config.consent_timeout < at)
		at = path->last_ok + a->config.consent_timeout;
	return at;
}
