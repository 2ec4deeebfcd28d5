#include "nat/pairs.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BIT(s) (1u << SNET_PAIR_##s)

static const char *const state_names[] = { "frozen", "waiting", "in_progress", "succeeded",
					   "failed" };

/* clang-format off */
static const uint8_t may_follow[] = {
	[SNET_PAIR_FROZEN]      = BIT(WAITING) | BIT(FAILED),
	[SNET_PAIR_WAITING]     = BIT(FROZEN) | BIT(IN_PROGRESS) | BIT(SUCCEEDED) | BIT(FAILED),
	[SNET_PAIR_IN_PROGRESS] = BIT(WAITING) | BIT(SUCCEEDED) | BIT(FAILED),
	[SNET_PAIR_SUCCEEDED]   = BIT(WAITING) | BIT(FAILED),
	[SNET_PAIR_FAILED]      = BIT(WAITING) | BIT(SUCCEEDED),
};
/* clang-format on */

/* The only writer of p->state. */
static void enter(struct snet_pair *p, enum snet_pair_state next)
{
	if (p->state == next)
		return;
	assert(may_follow[p->state] & 1u << next);
	p->state = next;
}

const char *snet_pair_state_name(enum snet_pair_state s)
{
	return s <= SNET_PAIR_FAILED ? state_names[s] : "?";
}

uint64_t snet_pair_priority(uint32_t controlling, uint32_t controlled)
{
	uint64_t low = controlling < controlled ? controlling : controlled;
	uint64_t high = controlling < controlled ? controlled : controlling;

	return (low << 32) + 2 * high + (controlling > controlled);
}

void snet_checklist_init(struct snet_checklist *l, bool controlling)
{
	*l = (struct snet_checklist){ .controlling = controlling };
}

const struct snet_local *snet_pair_local(const struct snet_checklist *l,
					 const struct snet_pair *p)
{
	return &l->locals[p->local];
}

const struct snet_candidate *snet_pair_remote(const struct snet_checklist *l,
					      const struct snet_pair *p)
{
	return &l->remotes[p->remote].c;
}

/* RFC 8445 §5.1.2: up to 2^31-1; more would not fit into a pair's. */
static uint32_t lawful(uint32_t priority)
{
	return priority < INT32_MAX ? priority : INT32_MAX;
}

static void rank(struct snet_checklist *l, struct snet_pair *p)
{
	uint32_t ours = lawful(snet_pair_local(l, p)->c.priority);
	uint32_t its = lawful(snet_pair_remote(l, p)->priority);

	p->priority =
		l->controlling ? snet_pair_priority(ours, its) : snet_pair_priority(its, ours);
}

void snet_checklist_set_role(struct snet_checklist *l, bool controlling)
{
	l->controlling = controlling;
	for (size_t i = 0; i < l->pairs_n; i++)
		rank(l, &l->pairs[i]);
}

struct snet_pair *snet_checklist_get(struct snet_checklist *l, uint32_t id)
{
	for (size_t i = 0; i < l->pairs_n; i++)
		if (l->pairs[i].id == id)
			return &l->pairs[i];
	return NULL;
}

static struct snet_pair *at(struct snet_checklist *l, uint32_t handle, size_t remote)
{
	for (size_t i = 0; i < l->pairs_n; i++)
		if (l->pairs[i].remote == remote &&
		    snet_pair_local(l, &l->pairs[i])->handle == handle)
			return &l->pairs[i];
	return NULL;
}

struct snet_pair *snet_checklist_find(struct snet_checklist *l, uint32_t handle,
				      const struct snet_addr *remote)
{
	for (size_t i = 0; i < l->pairs_n; i++)
		if (snet_pair_local(l, &l->pairs[i])->handle == handle &&
		    snet_addr_eq(&snet_pair_remote(l, &l->pairs[i])->address, remote))
			return &l->pairs[i];
	return NULL;
}

static void unqueue(struct snet_checklist *l, struct snet_pair *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->queue_n; i++)
		if (l->queue[i] != p->id)
			l->queue[kept++] = l->queue[i];
	l->queue_n = kept;
	p->queued = false;
}

/* ---- freezing: §6.1.2.6, and RFC 8838 §12 for those that come later */

static bool is_kin(const struct snet_checklist *l, const struct snet_pair *a,
		   const struct snet_pair *b)
{
	return a != b &&
	       !strcmp(snet_pair_local(l, a)->c.foundation,
		       snet_pair_local(l, b)->c.foundation) &&
	       !strcmp(snet_pair_remote(l, a)->foundation, snet_pair_remote(l, b)->foundation);
}

/* A new pair waits, unless one of its foundation is under way; of two that wait, the one with
 * the higher priority goes on. */
static void thaw_new(struct snet_checklist *l, struct snet_pair *p)
{
	for (size_t i = 0; i < l->pairs_n; i++) {
		struct snet_pair *k = &l->pairs[i];

		if (!is_kin(l, p, k))
			continue;
		if (k->state == SNET_PAIR_SUCCEEDED)
			break;
		if (k->state == SNET_PAIR_IN_PROGRESS)
			return;
		if (k->state != SNET_PAIR_WAITING)
			continue;
		if (k->queued || k->priority >= p->priority)
			return;
		enter(k, SNET_PAIR_FROZEN);
	}
	enter(p, SNET_PAIR_WAITING);
}

/* §6.1.4.2: nothing waits: of each foundation of which nothing is under way, the first. */
static void thaw_idle(struct snet_checklist *l)
{
	for (size_t i = 0; i < l->pairs_n; i++) {
		struct snet_pair *p = &l->pairs[i];
		bool yields = p->state != SNET_PAIR_FROZEN;

		for (size_t k = 0; k < l->pairs_n && !yields; k++) {
			const struct snet_pair *o = &l->pairs[k];

			yields = is_kin(l, p, o) &&
				 (o->state == SNET_PAIR_WAITING ||
				  o->state == SNET_PAIR_IN_PROGRESS ||
				  (o->state == SNET_PAIR_FROZEN && o->priority > p->priority));
		}
		if (!yields)
			enter(p, SNET_PAIR_WAITING);
	}
}

/* ---- forming */

static bool is_link_local(const struct snet_addr *a)
{
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr);
}

/* §6.1.2.2. Peer-reflexive candidates of our own are never paired. */
static bool fit(const struct snet_local *a, const struct snet_candidate *b)
{
	return a->c.type != SNET_CANDIDATE_PRFLX && a->c.component == b->component &&
	       a->base.sa.sa_family == b->address.sa.sa_family &&
	       is_link_local(&a->base) == is_link_local(&b->address);
}

/* What a new pair may push out: one that failed; else, of those not yet begun, the last. */
static struct snet_pair *victim(struct snet_checklist *l)
{
	struct snet_pair *v = NULL;

	for (size_t i = 0; i < l->pairs_n; i++) {
		struct snet_pair *p = &l->pairs[i];
		bool failed = p->state == SNET_PAIR_FAILED;

		if (p->queued || p->barred ||
		    (!failed && p->state != SNET_PAIR_FROZEN && p->state != SNET_PAIR_WAITING))
			continue;
		if (!v || (failed && v->state != SNET_PAIR_FAILED) ||
		    (failed == (v->state == SNET_PAIR_FAILED) && p->priority < v->priority))
			v = p;
	}
	return v;
}

static struct snet_pair *form(struct snet_checklist *l, size_t local, size_t remote, bool must)
{
	struct snet_pair made = { .local = (uint8_t)local, .remote = (uint8_t)remote };
	struct snet_pair *p = at(l, l->locals[local].handle, remote);

	if (p) { /* redundant, §6.1.2.4: the higher priority stays */
		if (l->locals[local].c.priority > snet_pair_local(l, p)->c.priority) {
			p->local = (uint8_t)local;
			rank(l, p);
		}
		return p;
	}
	rank(l, &made);
	if (l->pairs_n < SNET_PAIRS_MAX) {
		p = &l->pairs[l->pairs_n++];
	} else {
		p = victim(l);
		l->dropped++;
		if (!p ||
		    (!must && p->state != SNET_PAIR_FAILED && p->priority >= made.priority))
			return NULL;
	}
	made.id = ++l->last_id;
	*p = made;
	thaw_new(l, p);
	return p;
}

int snet_checklist_add_local(struct snet_checklist *l, const struct snet_local *c,
			     size_t *index)
{
	size_t n = l->locals_n, i;

	for (i = 0; i < n && !snet_local_is_redundant(&l->locals[i], c); i++)
		;
	if (i == SNET_LOCALS_MAX) {
		l->refused++;
		return SNET_ETOOBIG;
	}
	if (index)
		*index = i;
	if (i < n)
		return SNET_EAGAIN;
	l->locals[l->locals_n++] = *c;
	for (size_t r = 0; r < l->remotes_n; r++)
		if (l->remotes[r].told && fit(c, &l->remotes[r].c))
			form(l, n, r, false);
	return SNET_OK;
}

static size_t look_up(const struct snet_checklist *l, const struct snet_addr *a)
{
	size_t i;

	for (i = 0; i < l->remotes_n && !snet_addr_eq(&l->remotes[i].c.address, a); i++)
		;
	return i;
}

static void pair_with_all(struct snet_checklist *l, size_t remote)
{
	for (size_t i = 0; i < l->locals_n; i++)
		if (fit(&l->locals[i], &l->remotes[remote].c))
			form(l, i, remote, false);
}

/* Met before it was told of, as happens with trickle: the telling counts (§7.3.1.3). */
static int told_late(struct snet_checklist *l, size_t i, const struct snet_candidate *c)
{
	struct snet_remote *r = &l->remotes[i];

	if (r->told)
		return SNET_EAGAIN;
	*r = (struct snet_remote){ .c = *c, .told = true };
	snet_checklist_set_role(l, l->controlling);
	pair_with_all(l, i);
	return SNET_OK;
}

int snet_checklist_add_remote(struct snet_checklist *l, const struct snet_candidate *c,
			      size_t *index)
{
	size_t i = look_up(l, &c->address), told = 0;

	for (size_t k = 0; k < l->remotes_n; k++)
		told += l->remotes[k].told;
	if (i == l->remotes_n && told >= SNET_REMOTES_TOLD_MAX) {
		l->refused++;
		return SNET_ETOOBIG;
	}
	if (index)
		*index = i;
	if (i < l->remotes_n)
		return told_late(l, i, c);
	if (i == SNET_REMOTES_MAX) {
		l->refused++;
		return SNET_ETOOBIG;
	}
	l->remotes[l->remotes_n++] = (struct snet_remote){ .c = *c, .told = true };
	pair_with_all(l, i);
	return SNET_OK;
}

static void forget_pairs(struct snet_checklist *l, size_t remote)
{
	for (size_t i = 0; i < l->pairs_n;) {
		if (l->pairs[i].remote != remote) {
			i++;
			continue;
		}
		unqueue(l, &l->pairs[i]);
		l->pairs[i] = l->pairs[--l->pairs_n];
	}
}

/* Of the addresses met at the base, the oldest that has led to nothing yet; remotes_n: none. */
static size_t oldest_met(const struct snet_checklist *l, uint32_t handle)
{
	size_t oldest = l->remotes_n;

	for (size_t i = 0; i < l->remotes_n; i++) {
		const struct snet_remote *r = &l->remotes[i];
		bool used = r->told || r->handle != handle;

		for (size_t k = 0; k < l->pairs_n && !used; k++)
			used = l->pairs[k].remote == i &&
			       (l->pairs[k].valid || l->pairs[k].nominated ||
				l->pairs[k].barred);
		if (!used && (oldest == l->remotes_n || r->number < l->remotes[oldest].number))
			oldest = i;
	}
	return oldest;
}

/* Where the next one goes; SNET_REMOTES_MAX: nowhere. Those we are told of keep their room,
 * whoever else knocks; and NATs that give every destination another port make the peers meet
 * ever new addresses of each other, among which the one that works must still find a place. */
static size_t place_to_meet(struct snet_checklist *l, uint32_t handle, snet_time now)
{
	size_t met = 0, here = 0, i;
	snet_time last = 0;

	for (i = 0; i < l->remotes_n; i++) {
		const struct snet_remote *r = &l->remotes[i];

		met += !r->told;
		here += !r->told && r->handle == handle;
		if (!r->told && r->handle == handle && r->at > last)
			last = r->at;
	}
	if (here < SNET_MET_PER_BASE && met < SNET_REMOTES_MAX - SNET_REMOTES_TOLD_MAX &&
	    l->remotes_n < SNET_REMOTES_MAX)
		return l->remotes_n++;
	i = oldest_met(l, handle);
	if (l->met >= SNET_MET_MAX || now < last + SNET_MET_PACE || i == l->remotes_n)
		return SNET_REMOTES_MAX;
	forget_pairs(l, i);
	return i;
}

int snet_checklist_meet(struct snet_checklist *l, uint32_t handle, const struct snet_addr *from,
			uint32_t priority, snet_time now, size_t *index)
{
	size_t i = look_up(l, from);
	struct snet_candidate c = { .component = 1,
				    .priority = priority,
				    .address = *from,
				    .type = SNET_CANDIDATE_PRFLX };

	*index = i;
	if (i < l->remotes_n)
		return SNET_EAGAIN;
	*index = i = place_to_meet(l, handle, now);
	if (i == SNET_REMOTES_MAX) {
		l->refused++;
		return SNET_ETOOBIG;
	}
	/* §7.3.1.3: unlike all others; no line of SDP can say '.' */
	snprintf(c.foundation, sizeof(c.foundation), "met.%u", ++l->met);
	l->remotes[i] = (struct snet_remote){ c, false, l->met, handle, now };
	return SNET_OK;
}

struct snet_pair *snet_checklist_make(struct snet_checklist *l, uint32_t handle, size_t remote)
{
	size_t best = SNET_LOCALS_MAX;

	for (size_t i = 0; i < l->locals_n; i++)
		if (l->locals[i].handle == handle &&
		    fit(&l->locals[i], &l->remotes[remote].c) &&
		    (best == SNET_LOCALS_MAX ||
		     l->locals[i].c.priority > l->locals[best].c.priority))
			best = i;
	return best == SNET_LOCALS_MAX ? NULL : form(l, best, remote, true);
}

/* ---- checking */

struct snet_pair *snet_checklist_next(struct snet_checklist *l, uint64_t floor, bool *triggered)
{
	struct snet_pair *best = NULL;

	*triggered = l->queue_n > 0;
	if (l->queue_n)
		return snet_checklist_get(l, l->queue[0]);
	if (!snet_checklist_count(l, SNET_PAIR_WAITING))
		thaw_idle(l);
	for (size_t i = 0; i < l->pairs_n; i++) {
		struct snet_pair *p = &l->pairs[i];

		if (p->state == SNET_PAIR_WAITING && !p->barred && p->priority > floor &&
		    (!best || p->priority > best->priority))
			best = p;
	}
	return best;
}

void snet_checklist_trigger(struct snet_checklist *l, struct snet_pair *p)
{
	if (p->queued || p->barred)
		return;
	enter(p, SNET_PAIR_WAITING);
	p->queued = true;
	if (p->triggered < UINT8_MAX)
		p->triggered++;
	l->queue[l->queue_n++] = p->id;
}

void snet_checklist_begin(struct snet_checklist *l, struct snet_pair *p)
{
	unqueue(l, p);
	enter(p, SNET_PAIR_IN_PROGRESS);
}

void snet_checklist_succeed(struct snet_checklist *l, struct snet_pair *p, size_t seen_as)
{
	unqueue(l, p);
	enter(p, SNET_PAIR_SUCCEEDED);
	p->valid = !p->barred;
	p->seen_as = (uint8_t)seen_as;
	p->triggered = 0;
	for (size_t i = 0; i < l->pairs_n; i++)
		if (l->pairs[i].state == SNET_PAIR_FROZEN && is_kin(l, p, &l->pairs[i]))
			enter(&l->pairs[i], SNET_PAIR_WAITING);
}

void snet_checklist_fail(struct snet_checklist *l, struct snet_pair *p)
{
	unqueue(l, p);
	enter(p, SNET_PAIR_FAILED);
	p->valid = false;
}

void snet_checklist_again(struct snet_checklist *l, struct snet_pair *p)
{
	unqueue(l, p);
	enter(p, SNET_PAIR_WAITING);
	p->valid = false;
}

size_t snet_checklist_count(const struct snet_checklist *l, enum snet_pair_state s)
{
	size_t n = 0;

	for (size_t i = 0; i < l->pairs_n; i++)
		n += l->pairs[i].state == s;
	return n;
}

struct snet_pair *snet_checklist_best(struct snet_checklist *l)
{
	struct snet_pair *best = NULL;

	for (size_t i = 0; i < l->pairs_n; i++)
		if (l->pairs[i].valid && (!best || l->pairs[i].priority > best->priority))
			best = &l->pairs[i];
	return best;
}
