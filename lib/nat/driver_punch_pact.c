#include "crypto/hash.h"
#include "nat/driver_impl.h"

/* The moment: agreed upon with the peer, through whoever carries our candidates to it. */

/* The peer, or a server of ours, may be slow to tell all: then this part of the time in which
 * it could answer has gone by. */
#define SLOW (SNET_PACT_ALONE / 2)
#define ROUNDS 5 /* of probes, for a peer that has told of few ports */

static bool is_complete(const struct snet_ice *ice)
{
	return !ice->begin && !ice->gathering && ice->remote_ended && !ice->lookups_n;
}

/* ---- we ask */

static bool may_ask(const struct snet_ice *ice)
{
	const struct snet_pact *p = &ice->punch.pact;

	return ice->ev->on_punch && p->state == SNET_PACT_IDLE && p->asks < SNET_PACT_ASKS;
}

/* A scope means nothing to the peer. */
static bool can_be_told(const struct snet_addr *a)
{
	return a->sa.sa_family != AF_INET6 || !a->in6.sin6_scope_id;
}

void ice_pact_ask(struct snet_ice *ice, snet_time now)
{
	struct snet_pact *p = &ice->punch.pact;
	const struct snet_local *best = ice_punch_best(ice);
	uint64_t id;

	if (!may_ask(ice) || !best || !can_be_told(&best->c.address) ||
	    (!is_complete(ice) && now < p->since + SLOW) || !ice_punch_has_plan(ice) ||
	    snet_random(&id, sizeof(id)))
		return;
	(void)snet_pact_ask(p, id, &best->c.address, now);
}

snet_time ice_pact_deadline(const struct snet_ice *ice)
{
	const struct snet_pact *p = &ice->punch.pact;
	snet_time slow = p->since + SLOW;

	return may_ask(ice) && p->alone != SNET_NEVER && slow > ice_now(ice) &&
			       slow < p->deadline
		       ? slow
		       : p->deadline;
}

bool ice_pact_is_time(struct snet_ice *ice, bool *agreed, snet_time now)
{
	enum snet_pact_what what;
	struct snet_pact_word w;

	while ((what = snet_pact_step(&ice->punch.pact, &w, now)) == SNET_PACT_SAY)
		if (ice->ev->on_punch)
			ice->ev->on_punch(&w, ice->user);
	*agreed = what == SNET_PACT_BEGIN;
	return what != SNET_PACT_NOTHING;
}

/* ---- the peer asks */

/* Else it could have us send wherever it likes. */
static const struct snet_candidate *its(const struct snet_ice *ice, const struct snet_addr *at)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);

	for (size_t i = 0; i < l->remotes_n; i++)
		if (l->remotes[i].told && l->remotes[i].c.type != SNET_CANDIDATE_RELAY &&
		    snet_addr_eq(&l->remotes[i].c.address, at))
			return &l->remotes[i].c;
	return NULL;
}

int snet_ice_hear_punch(struct snet_ice *ice, const struct snet_pact_word *w)
{
	int rc;

	if (!ice->ev->on_punch)
		return SNET_ENOSYS;
	if (!ice_punch_is_wanted(ice))
		return SNET_ECLOSED;
	if (w->kind == SNET_PACT_REQUEST && !its(ice, &w->target))
		return SNET_EPOLICY;
	rc = snet_pact_hear(&ice->punch.pact, w, ice_now(ice));
	ice_pump(ice);
	return rc;
}

/* Its checks find the holes that ours make: to each port it has told of, in rounds if they are
 * few, from the socket that it knows. */
void ice_pact_part(struct snet_ice *ice, snet_time now)
{
	const struct snet_local *best = ice_punch_best(ice);
	const struct snet_candidate *at = its(ice, &ice->punch.pact.target);
	uint16_t told[SNET_REMOTES_TOLD_MAX], ports[SNET_PUNCH_AHEAD];
	size_t n, k = 0;

	if (!best || !at || best->base.sa.sa_family != at->address.sa.sa_family ||
	    ice->punch.part.state != SNET_PUNCH_IDLE)
		return;
	n = ice_punch_its_ports(ice, at, told);
	if (!n) /* not one that a server has seen */
		told[n++] = snet_addr_port(&at->address);
	while (k < SNET_PUNCH_AHEAD && k < n * ROUNDS) {
		ports[k] = told[k % n];
		k++;
	}
	ice->punch.part_at = (struct aim){ best->handle, at->address };
	(void)snet_punch_sweep(&ice->punch.part, ports, k, now);
}
