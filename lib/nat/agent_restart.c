#include <string.h>

#include "nat/agent_impl.h"

/* New credentials (RFC 8445 §9); and what holds when they come to nothing. Whoever is told of
 * others cannot know whose they are: a pair that works is given up for one that works, and for
 * nothing else. Its consent goes on, with the credentials and in the role it was made with. */

/* ---- anew */

/* What stays of the pair and its checklist. After a restart that found none, it is older still.
 */
static void keep_path(struct snet_agent *a)
{
	if (!a->path.old) {
		a->old = a->now;
		a->old.controlling = a->list.controlling;
	}
	a->path.old = a->path.is;
	a->path.pair = 0;
	for (size_t i = 0; i < TX_MAX; i++) {
		struct tx *t = &a->tx[i];

		t->used = t->used && t->kind == TX_CONSENT && a->path.is;
		t->old = true;
		t->pair = 0;
	}
}

/* What servers have seen stands for its base, and is asked for anew: where each restart brings
 * other ports, those of before must not take the room of what is found now. */
static size_t keep_locals(const struct snet_checklist *l,
			  struct snet_local kept[static SNET_LOCALS_MAX])
{
	bool many = l->locals_n > SNET_LOCALS_MAX / 2;
	size_t n = 0;

	for (size_t i = 0; i < l->locals_n; i++) {
		const struct snet_candidate *c = &l->locals[i].c;

		if (c->component && c->type != SNET_CANDIDATE_PRFLX &&
		    !(many && c->type == SNET_CANDIDATE_SRFLX))
			kept[n++] = l->locals[i];
	}
	return n;
}

int snet_agent_restart(struct snet_agent *a, const uint8_t random[static SNET_AGENT_RANDOM],
		       snet_time now)
{
	bool controlling = a->list.controlling;
	struct snet_local kept[SNET_LOCALS_MAX];
	size_t n;
	int rc;

	if (a->state == SNET_AGENT_CLOSED || a->state == SNET_AGENT_NEW)
		return SNET_ECLOSED;
	n = keep_locals(&a->list, kept);
	keep_path(a);
	rc = agent_seed(a, random);
	snet_checklist_init(&a->list, controlling);
	for (size_t i = 0; i < n; i++)
		snet_checklist_add_local(&a->list, &kept[i], NULL);
	a->local_ended = a->remote_ended = a->peer_is_aggressive = false;
	a->wave_at = a->settle_at = a->nominate_at = SNET_NEVER;
	a->early_n = 0;
	a->waves = a->quick = a->hurried = 0;
	a->turn = 0;
	a->started = now;
	agent_enter(a, SNET_AGENT_GATHERING, SNET_OK, NULL);
	agent_turn(a, now);
	return rc;
}

/* ---- and back */

/* From then on there are no checks but those in answer to the peer's. */
bool snet_agent_has_fallen_back(const struct snet_agent *a)
{
	return a->state == SNET_AGENT_COMPLETED && a->path.is && a->path.old;
}

/* The new candidates are not checked any more, for who knows whose they are. What is valid
 * stays, and what the peer checks is still checked in turn: it may only be late. */
static void fall_back(struct snet_agent *a, int code, const char *why)
{
	for (size_t i = 0; i < TX_MAX; i++)
		a->tx[i].used = a->tx[i].used && a->tx[i].kind == TX_CONSENT;
	for (size_t i = 0; i < a->list.pairs_n; i++)
		if (!a->list.pairs[i].valid && a->list.pairs[i].state != SNET_PAIR_FAILED)
			snet_checklist_fail(&a->list, &a->list.pairs[i]);
	a->early_n = 0;
	a->wave_at = a->settle_at = a->nominate_at = SNET_NEVER;
	agent_switch_role(a, a->old.controlling);
	agent_enter(a, SNET_AGENT_COMPLETED, code, why);
}

void agent_fail(struct snet_agent *a, int code, const char *why)
{
	if (a->path.is && a->path.old)
		fall_back(a, code, why);
	else
		agent_enter(a, SNET_AGENT_FAILED, code, why);
}
