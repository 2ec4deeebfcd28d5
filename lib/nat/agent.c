#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "nat/agent_impl.h"
#include "nat/sdp.h"

#define BIT(s) (1u << SNET_AGENT_##s)
#define END (BIT(FAILED) | BIT(CLOSED))
#define BACK BIT(COMPLETED) /* to the pair of before a restart */

const struct snet_agent_config snet_agent_defaults = {
	.check_retries = 3,
	.check_timeout = 500 * SNET_MS,
	.check_pace = 50 * SNET_MS, /* RFC 8445 §14.2 */
	.overall_timeout = 30 * SNET_SEC,
	.patience = 39500 * SNET_MS,   /* RFC 8863 §4 */
	.consent_every = 5 * SNET_SEC, /* RFC 7675 §5.1 */
	.consent_timeout = 30 * SNET_SEC,
};

static const char *const state_names[] = { "new",        "gathering", "gathering_complete",
					   "exchanging", "checking",  "connected",
					   "completed",  "failed",    "closed" };

/* clang-format off */
static const uint16_t may_follow[] = {
	[SNET_AGENT_NEW]        = BIT(GATHERING) | BIT(CLOSED),
	[SNET_AGENT_GATHERING]  = BIT(GATHERED) | BIT(EXCHANGING) | BIT(CHECKING) | BACK | END,
	[SNET_AGENT_GATHERED]   = BIT(EXCHANGING) | BIT(CHECKING) | BIT(GATHERING) | BACK | END,
	[SNET_AGENT_EXCHANGING] = BIT(CHECKING) | BIT(GATHERING) | BACK | END,
	[SNET_AGENT_CHECKING]   = BIT(CONNECTED) | BIT(GATHERING) | BACK | END,
	[SNET_AGENT_CONNECTED]  = BIT(COMPLETED) | BIT(CHECKING) | BIT(GATHERING) | END,
	[SNET_AGENT_COMPLETED]  = BIT(CONNECTED) | BIT(CHECKING) | BIT(GATHERING) | END,
	[SNET_AGENT_FAILED]     = BIT(GATHERING) | BIT(CLOSED),
	[SNET_AGENT_CLOSED]     = 0,
};
/* clang-format on */

const char *snet_agent_state_name(enum snet_agent_state s)
{
	return s <= SNET_AGENT_CLOSED ? state_names[s] : "?";
}

/* ---- telling */

void agent_tell(struct snet_agent *a, const struct snet_agent_event *ev)
{
	size_t room = ev->what == SNET_AGENT_CHECKED ? EVENT_MAX - EVENT_SPARE : EVENT_MAX;

	if (a->event_n >= room) {
		a->counts.overflow++;
		return;
	}
	a->events[(a->event_at + a->event_n++) % EVENT_MAX] = *ev;
}

void agent_tell_pair(struct snet_agent *a, enum snet_agent_what what, const struct snet_pair *p,
		     int code, const char *why)
{
	struct snet_agent_event ev = { .what = what,
				       .state = a->state,
				       .ok = !code,
				       .controlling = a->list.controlling,
				       .code = code,
				       .why = why,
				       .local = *snet_pair_local(&a->list, p),
				       .remote = *snet_pair_remote(&a->list, p),
				       .rtt = p->rtt,
				       .priority = p->priority };

	/* What the peer sees is what a person wants to know of. */
	if (!code)
		ev.local = a->list.locals[p->seen_as];
	agent_tell(a, &ev);
}

/* The only writer of a->state. */
void agent_enter(struct snet_agent *a, enum snet_agent_state next, int code, const char *why)
{
	struct snet_agent_event ev = { .what = SNET_AGENT_STATE,
				       .state = next,
				       .ok = next != SNET_AGENT_FAILED,
				       .controlling = a->list.controlling,
				       .code = code,
				       .why = why };

	if (a->state == next)
		return;
	assert(may_follow[a->state] & 1u << next);
	a->state = next;
	agent_tell(a, &ev);
	if (next != SNET_AGENT_FAILED && next != SNET_AGENT_CLOSED)
		return;
	/* Nothing leaves it any more. */
	a->path.is = false;
	a->out_n = a->early_n = 0;
	memset(a->tx, 0, sizeof(a->tx));
}

bool snet_agent_event(struct snet_agent *a, struct snet_agent_event *out)
{
	if (!a->event_n)
		return false;
	*out = a->events[a->event_at];
	a->event_at = (a->event_at + 1) % EVENT_MAX;
	a->event_n--;
	return true;
}

bool agent_is_live(const struct snet_agent *a)
{
	return a->state != SNET_AGENT_NEW && a->state != SNET_AGENT_FAILED &&
	       a->state != SNET_AGENT_CLOSED;
}

/* ---- the turn */

static void advance(struct snet_agent *a)
{
	bool known = *a->now.remote;

	if (a->state == SNET_AGENT_GATHERING && a->local_ended && !known)
		agent_enter(a, SNET_AGENT_GATHERED, SNET_OK, NULL);
	if ((a->state == SNET_AGENT_GATHERING || a->state == SNET_AGENT_GATHERED) && known)
		agent_enter(a, SNET_AGENT_EXCHANGING, SNET_OK, NULL);
	if (a->state == SNET_AGENT_EXCHANGING && a->list.pairs_n)
		agent_enter(a, SNET_AGENT_CHECKING, SNET_OK, NULL);
	if (a->state == SNET_AGENT_CHECKING && snet_checklist_best(&a->list))
		agent_enter(a, SNET_AGENT_CONNECTED, SNET_OK, NULL);
	if (a->state == SNET_AGENT_CONNECTED && a->path.is && !a->path.old)
		agent_enter(a, SNET_AGENT_COMPLETED, SNET_OK, NULL);
}

/* When it gives up; SNET_NEVER: it does not. */
static snet_time patience_ends(const struct snet_agent *a)
{
	snet_time whole = a->config.overall_timeout;

	if (!agent_is_live(a) || a->state == SNET_AGENT_COMPLETED || !*a->now.remote)
		return SNET_NEVER;
	if (!(a->local_ended && a->remote_ended) && whole < a->config.patience)
		whole = a->config.patience;
	return a->checking + whole;
}

static void give_up(struct snet_agent *a, snet_time now)
{
	if (!agent_is_live(a))
		return;
	if (a->local_ended && !a->list.locals_n)
		agent_fail(a, SNET_EUNREACH, "no candidates of our own");
	else if (now >= patience_ends(a))
		agent_fail(a, SNET_ETIMEOUT,
			   a->state == SNET_AGENT_EXCHANGING ? "no candidate of the peer's"
			   : a->state == SNET_AGENT_CHECKING ? "no check was answered"
							     : "no pair was nominated");
}

static snet_time earlier(snet_time x, snet_time y)
{
	return x < y ? x : y;
}

void agent_turn(struct snet_agent *a, snet_time now)
{
	advance(a);
	give_up(a, now);
	if (agent_is_live(a)) {
		agent_checks_due(a, now);
		agent_select_due(a, now); /* may find new pairs worth a check */
		advance(a);
	}
	if (agent_is_live(a)) {
		agent_checks_due(a, now);
		advance(a);
	}
	a->deadline = SNET_NEVER;
	if (agent_is_live(a))
		a->deadline = earlier(patience_ends(a), earlier(agent_checks_deadline(a, now),
								agent_select_deadline(a)));
}

/* ---- life */

uint64_t agent_draw(struct snet_agent *a)
{
	uint64_t n = ++a->draws;

	return snet_siphash(a->key[0], a->key[1], &n, sizeof(n));
}

static void text(char *out, const uint8_t *p, size_t n)
{
	static const char ice[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 6;) {
			have -= 6;
			*out++ = ice[bits >> have & 63];
		}
	}
	*out = '\0';
}

/* 16 bytes of key, 8 of tie-breaker, 6 and 18 of credentials. */
int agent_seed(struct snet_agent *a, const uint8_t random[static SNET_AGENT_RANDOM])
{
	a->key[0] = snet_get_be64(random);
	a->key[1] = snet_get_be64(random + 8);
	a->tie_breaker = snet_get_be64(random + 16);
	a->now = (struct creds){ 0 };
	text(a->now.ufrag, random + 24, 6);
	text(a->now.pwd, random + 30, 18);
	return snet_stun_key_short(&a->now.local_key, a->now.pwd);
}

static bool is_sane(const struct snet_agent_config *c)
{
	return c->check_retries && c->check_timeout && c->check_pace >= 5 * SNET_MS &&
	       c->overall_timeout > c->check_timeout && c->consent_every &&
	       c->consent_timeout > c->consent_every;
}

int snet_agent_new(struct snet_agent **out, const struct snet_agent_config *config,
		   const uint8_t random[static SNET_AGENT_RANDOM], struct snet_error *err)
{
	struct snet_agent *a;
	int rc;

	*out = NULL;
	if (!is_sane(config))
		return snet_fail(err, SNET_EINVAL,
				 "ICE: the overall timeout must be longer than that of a check,"
				 " retries at least 1, the pace at least 5 ms");
	a = calloc(1, sizeof(*a));
	if (!a)
		return snet_fail(err, SNET_ENOMEM, "ICE agent");
	a->config = *config;
	a->deadline = a->wave_at = a->settle_at = a->nominate_at = SNET_NEVER;
	snet_checklist_init(&a->list, config->controlling);
	rc = agent_seed(a, random);
	if (rc) {
		snet_agent_free(a);
		return snet_fail(err, rc, "ICE agent: credentials");
	}
	*out = a;
	return SNET_OK;
}

void snet_agent_free(struct snet_agent *a)
{
	if (a)
		snet_wipe(a, sizeof(*a));
	free(a);
}

void snet_agent_start(struct snet_agent *a, snet_time now)
{
	if (a->state != SNET_AGENT_NEW)
		return;
	a->started = now;
	agent_enter(a, SNET_AGENT_GATHERING, SNET_OK, NULL);
	agent_turn(a, now);
}

int snet_agent_add_local(struct snet_agent *a, const struct snet_local *c, snet_time now)
{
	int rc;

	if (!agent_is_live(a))
		return SNET_ECLOSED;
	rc = snet_checklist_add_local(&a->list, c, NULL);
	if (!rc && snet_addr_is_loopback(&c->base))
		a->has_loopback = true;
	agent_turn(a, now);
	return rc;
}

void snet_agent_end_local(struct snet_agent *a, snet_time now)
{
	a->local_ended = true;
	agent_turn(a, now);
}

int snet_agent_set_remote(struct snet_agent *a, const char *ufrag, const char *pwd,
			  snet_time now)
{
	struct snet_stun_key key = { 0 };
	int rc = SNET_EINVAL;

	if (a->state == SNET_AGENT_NEW || !agent_is_live(a))
		return SNET_ECLOSED;
	if (!snet_sdp_is_ice(ufrag, SNET_AGENT_NAME_MAX) || strlen(ufrag) < 4 ||
	    !snet_sdp_is_ice(pwd, SNET_AGENT_NAME_MAX) || strlen(pwd) < 22 ||
	    (rc = snet_stun_key_short(&key, pwd)))
		return rc;
	if (*a->now.remote) {
		bool same = !strcmp(a->now.remote, ufrag) && key.n == a->now.remote_key.n &&
			    !memcmp(key.p, a->now.remote_key.p, key.n);

		snet_wipe(&key, sizeof(key));
		return same ? SNET_OK : SNET_EINVAL;
	}
	strcpy(a->now.remote, ufrag);
	a->now.remote_key = key;
	snet_wipe(&key, sizeof(key));
	a->checking = now;
	for (size_t i = 0; i < a->early_n; i++)
		if (!strcmp(a->early[i].ufrag, ufrag))
			agent_checked_by_peer(a, &a->early[i], now);
	a->early_n = 0;
	agent_turn(a, now);
	return SNET_OK;
}

int snet_agent_add_remote(struct snet_agent *a, const struct snet_candidate *c, snet_time now)
{
	int rc;

	if (!agent_is_live(a))
		return SNET_ECLOSED;
	if (c->component != 1)
		rc = SNET_ENOSYS;
	else if (snet_candidate_refusal(&c->address, a->has_loopback))
		rc = SNET_EPOLICY;
	else
		rc = snet_checklist_add_remote(&a->list, c, NULL);
	a->counts.refused += rc == SNET_ENOSYS || rc == SNET_EPOLICY || rc == SNET_ETOOBIG;
	agent_turn(a, now);
	return rc;
}

void snet_agent_end_remote(struct snet_agent *a, snet_time now)
{
	a->remote_ended = true;
	agent_turn(a, now);
}

void snet_agent_step(struct snet_agent *a, snet_time now)
{
	agent_turn(a, now);
}

/* ---- ends */

void snet_agent_remove_base(struct snet_agent *a, uint32_t handle, snet_time now)
{
	struct snet_checklist *l = &a->list;

	for (size_t i = 0; i < l->pairs_n; i++) {
		struct snet_pair *p = &l->pairs[i];

		if (snet_pair_local(l, p)->handle != handle)
			continue;
		agent_cancel(a, p->id, true);
		agent_fail_pair(a, p, SNET_ECLOSED, "its base is gone");
		p->barred = true;
	}
	for (size_t i = 0; i < l->locals_n; i++)
		if (l->locals[i].handle == handle)
			l->locals[i].c.component = 0; /* fits no candidate of the peer's */
	if (a->path.is && a->path.handle == handle)
		agent_lose_path(a, "its base is gone", now);
	agent_turn(a, now);
}

void snet_agent_unreachable(struct snet_agent *a, uint32_t handle, const struct snet_addr *to,
			    snet_time now)
{
	struct snet_pair *p = snet_checklist_find(&a->list, handle, to);

	/* What was answered once is not undone by a message anyone can forge. */
	if (agent_is_live(a) && p && p->state == SNET_PAIR_IN_PROGRESS && !p->valid) {
		agent_cancel(a, p->id, false);
		agent_refund(a, p, now);
		agent_fail_pair(a, p, SNET_EUNREACH, "unreachable");
		agent_turn(a, now);
	}
}

void snet_agent_close(struct snet_agent *a)
{
	agent_enter(a, SNET_AGENT_CLOSED, SNET_OK, NULL);
	a->deadline = SNET_NEVER;
}

/* ---- what it is */

snet_time snet_agent_deadline(const struct snet_agent *a)
{
	return a->deadline;
}

enum snet_agent_state snet_agent_state(const struct snet_agent *a)
{
	return a->state;
}

bool snet_agent_is_controlling(const struct snet_agent *a)
{
	return a->list.controlling;
}

const char *snet_agent_ufrag(const struct snet_agent *a)
{
	return a->now.ufrag;
}

const char *snet_agent_pwd(const struct snet_agent *a)
{
	return a->now.pwd;
}

bool snet_agent_selected(const struct snet_agent *a, struct snet_agent_event *out)
{
	if (!a->path.is)
		return false;
	*out = a->path.told;
	return true;
}

const struct snet_checklist *snet_agent_checklist(const struct snet_agent *a)
{
	return &a->list;
}

const struct snet_agent_counts *snet_agent_counts(const struct snet_agent *a)
{
	return &a->counts;
}
