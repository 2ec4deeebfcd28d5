#include "nat/agent_impl.h"

/* Which check is next, and when: of every kind of pair the best first, and before its turn;
 * those that failed, anew. */

#define WAVE_MIN (500 * SNET_MS) /* failed pairs are tried anew, ever more rarely */
#define WAVE_MAX (4 * SNET_SEC)
#define WAVES_AFTER 4 /* once a relay is selected: for something better */
#define QUICK_MAX 8   /* checks that go before their turn; and the first of a kind */

/* ---- what is worth a check */

uint64_t agent_floor(const struct snet_agent *a)
{
	return a->path.is && !a->path.old && !a->path.ailing ? a->path.priority : 0;
}

static bool is_relayed(const struct snet_agent *a)
{
	return a->path.told.local.c.type == SNET_CANDIDATE_RELAY ||
	       a->path.told.remote.type == SNET_CANDIDATE_RELAY;
}

/* The peer has nominated it since it nominated the pair we use. */
static bool is_awaited(struct snet_agent *a, const struct snet_pair *p)
{
	const struct snet_pair *now = snet_checklist_get(&a->list, a->path.pair);

	return !a->list.controlling && !p->eager && p->nominated > (now ? now->nominated : 0);
}

static bool is_due_again(struct snet_agent *a, const struct snet_pair *p)
{
	bool better = p->priority > agent_floor(a) &&
		      (!agent_floor(a) || a->list.remotes[p->remote].told);

	return p->state == SNET_PAIR_FAILED && !p->barred && (better || is_awaited(a, p));
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
		bool again = is_due_again(a, p) && (!enough || is_awaited(a, p));

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

	if (snet_agent_has_fallen_back(a) || !is_hopeful(a)) {
		a->wave_at = SNET_NEVER;
	} else if (a->wave_at == SNET_NEVER) {
		a->wave_at = now + (gap < WAVE_MAX ? gap : WAVE_MAX);
	} else if (now >= a->wave_at) {
		for (size_t i = 0; i < a->list.pairs_n; i++) {
			struct snet_pair *p = &a->list.pairs[i];

			if (!is_due_again(a, p))
				continue;
			if (is_awaited(a, p))
				snet_checklist_trigger(&a->list, p);
			else
				snet_checklist_again(&a->list, p);
		}
		a->waves++;
		a->wave_at = SNET_NEVER;
	}
}

/* ---- the order */

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

static bool has_begun(const struct snet_pair *p)
{
	return p->state != SNET_PAIR_FROZEN && p->state != SNET_PAIR_WAITING && !p->unsent;
}

static unsigned kinds_begun(const struct snet_checklist *l)
{
	unsigned begun = 0;

	for (size_t i = 0; i < l->pairs_n; i++)
		if (has_begun(&l->pairs[i]))
			begun |= kind_of(l, &l->pairs[i]);
	return begun;
}

/* Hosts have many interfaces that lead nowhere (bridges of containers, tunnels), and each takes
 * turns before the first address that a server has seen. So the best of every kind goes before
 * the second of any: nobody waits longer than that (RFC 8421 has the same aim). Which pair is
 * better remains as it was. */
static struct snet_pair *first_of_its_kind(struct snet_agent *a, struct snet_pair *next)
{
	struct snet_checklist *l = &a->list;
	unsigned begun = kinds_begun(l);
	struct snet_pair *best = next;

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

/* ---- the pace */

/* While nothing works, the first direct ones need not wait for their turn (those of a
 * foundation that has begun are frozen, RFC 8445 §6.1.2.6): mostly it is an address that a
 * server saw that leads through two NATs, and the one that the peer has behind its own took all
 * of Ta before it.
 *
 * The bound: they are PACE_MIN apart, the least that §14.2 allows whatever Ta is, and at which
 * NATs still keep up (§B.1). QUICK_MAX of them are less than one full datagram, where RFC 6928
 * has ten leave at once; the first of a kind, of which there are four, may go beyond that. And
 * each is paid for: the turns that follow come when they would have come, had all been taken in
 * their time; so what is sent in all is never more than one check each Ta, but for those. Pairs
 * through a relay wait for their turn: to come sooner because others went early would be to be
 * taken before those are answered. */
static bool is_quick(struct snet_agent *a, const struct snet_pair *p)
{
	unsigned kind = kind_of(&a->list, p);

	return kind && !snet_checklist_best(&a->list) &&
	       (a->quick < QUICK_MAX || !(kind & kinds_begun(&a->list)));
}

/* The next pair to be checked, and when it may be. */
static struct snet_pair *upcoming(struct snet_agent *a, snet_time *when, bool *triggered)
{
	struct snet_pair *p = NULL;
	snet_time quick_at =
		a->next_quick > a->next_triggered ? a->next_quick : a->next_triggered;

	*when = SNET_NEVER;
	if (*a->now.remote)
		p = snet_checklist_next(&a->list, agent_floor(a), triggered);
	/* Nothing is looked for any more; but a peer that is late may still find us. */
	if (p && !*triggered && snet_agent_has_fallen_back(a))
		p = NULL;
	if (p && !*triggered)
		p = first_of_its_kind(a, p);
	if (p)
		*when = *triggered ? a->next_triggered : a->next_check;
	if (p && !*triggered && quick_at < *when && is_quick(a, p))
		*when = quick_at;
	return p;
}

static void take_turn(struct snet_agent *a, const struct snet_pair *p, snet_time now)
{
	a->turn = p->id;
	a->turn_was = a->next_check;
	a->turn_early = now < a->next_check;
	if (a->turn_early) {
		a->quick++;
		a->next_check += a->config.check_pace;
	} else {
		a->hurried -= a->hurried > 0;
		a->next_check = now + (a->hurried ? PACE_MIN : a->config.check_pace);
	}
	a->next_quick = now + PACE_MIN;
}

void agent_refund(struct snet_agent *a, struct snet_pair *p, snet_time now)
{
	if (p->state != SNET_PAIR_IN_PROGRESS || p->checked != now)
		return;
	p->unsent = true;
	if (a->turn != p->id)
		return;
	a->turn = 0;
	a->quick -= a->turn_early;
	a->next_check = a->turn_was;
	a->next_quick = now;
}

void agent_checks_due(struct snet_agent *a, snet_time now)
{
	struct snet_pair *p;
	bool triggered;
	snet_time when;

	if (!agent_resend_due(a, now))
		return;
	wave(a, now);
	while ((p = upcoming(a, &when, &triggered)) && now >= when) {
		if (!agent_check(a, p, TX_CHECK, now))
			return;
		snet_checklist_begin(&a->list, p);
		p->unsent = false;
		/* A triggered check follows a packet that has made the way: no need for Ta,
		 * which is there for NATs' sake (§14.1). */
		if (!triggered) {
			take_turn(a, p, now);
			continue;
		}
		a->next_triggered = now + PACE_MIN;
		if (a->turn == p->id)
			a->turn = 0;
	}
}

snet_time agent_checks_deadline(struct snet_agent *a, snet_time now)
{
	snet_time at = agent_resend_deadline(a), when;
	bool triggered;

	if (a->wave_at < at)
		at = a->wave_at;
	if (upcoming(a, &when, &triggered) && when < at)
		at = when;
	return at > now ? at : now;
}
