#include <string.h>

#include "base/log.h"
#include "crypto/hash.h"
#include "nat/driver_impl.h"

/* NATs that give every destination another port: what a server sees is of no use to a peer.
 * Where the ports follow each other, the next ones are offered, and the peer tries more of
 * them; where they are drawn by lot, and it is wished for, many are held and many tried. Here:
 * who does what, and its life. */

/* ---- who is to do what */

static bool is_direct(const struct snet_checklist *l, const struct snet_pair *p)
{
	return snet_pair_local(l, p)->c.type != SNET_CANDIDATE_RELAY &&
	       snet_pair_remote(l, p)->type != SNET_CANDIDATE_RELAY;
}

bool ice_punch_is_wanted(const struct snet_ice *ice)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	enum snet_agent_state state = snet_agent_state(ice->agent);

	for (size_t i = 0; i < l->pairs_n; i++)
		if (l->pairs[i].valid && is_direct(l, &l->pairs[i]))
			return false;
	return ice->o.path != SNET_ICE_RELAY && state >= SNET_AGENT_CHECKING &&
	       state < SNET_AGENT_FAILED && !snet_agent_has_fallen_back(ice->agent);
}

/* The peer's candidate, of those that servers see, that it puts first; NULL: none. */
static const struct snet_candidate *its_best(const struct snet_ice *ice, int family)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	const struct snet_candidate *best = NULL;

	for (size_t i = 0; i < l->remotes_n; i++) {
		const struct snet_remote *r = &l->remotes[i];

		if (r->told && r->c.type == SNET_CANDIDATE_SRFLX &&
		    r->c.address.sa.sa_family == family &&
		    (!best || r->c.priority > best->priority))
			best = &r->c;
	}
	return best;
}

/* Its NAT has given these ports to one socket of its, or will: the later it told of them, the
 * later. One alone: for all we know, it gives no other ones. */
size_t ice_punch_its_ports(const struct snet_ice *ice, const struct snet_candidate *of,
			   uint16_t out[static SNET_REMOTES_TOLD_MAX])
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	uint16_t told[SNET_REMOTES_TOLD_MAX];
	size_t n = 0;

	for (size_t i = 0; i < l->remotes_n && n < SNET_REMOTES_TOLD_MAX; i++) {
		const struct snet_remote *r = &l->remotes[i];

		if (r->told && r->c.type == SNET_CANDIDATE_SRFLX &&
		    ice_same_ip(&r->c.address, &of->address) &&
		    snet_addr_eq(&r->c.related, &of->related))
			told[n++] = snet_addr_port(&r->c.address);
	}
	for (size_t i = 0; i < n; i++)
		ice_punch_insert(out, 0, i, told[i], told[n - 1] < told[0]);
	return n;
}

/* What a server sees counts more than what we see. */
const struct snet_local *ice_punch_best(const struct snet_ice *ice)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	const struct snet_local *best = NULL;

	for (size_t i = 0; i < l->locals_n; i++) {
		const struct snet_local *c = &l->locals[i];
		bool seen = c->c.type == SNET_CANDIDATE_SRFLX;
		bool best_seen = best && best->c.type == SNET_CANDIDATE_SRFLX;

		if (!c->c.component || !(seen || c->c.type == SNET_CANDIDATE_HOST) ||
		    !ice_sock(ice, c->handle))
			continue;
		if (!best || seen > best_seen ||
		    (seen == best_seen && c->c.priority > best->c.priority))
			best = c;
	}
	return best;
}

/* Either side, and not both: whoever has the greater name. */
static bool comes_first(const struct snet_ice *ice)
{
	return strcmp(snet_agent_ufrag(ice->agent), ice->remote) > 0;
}

/* What is to be done, by whom, and to whom. */
struct plan {
	enum { NOTHING, SWEEP, DRAW, HOLD } what;
	struct aim at;
	uint16_t ports[SNET_PUNCH_AHEAD];
	size_t n;
};
static const char *const plan_names[] = { "nothing", "sweep", "draw", "hold" };

/* Its NAT may have given us a port before it gave those that servers saw last. Of two NATs that
 * step, each must go where the other's probes come from. */
static size_t foresee(struct plan *p, const uint16_t *seen, size_t n, bool both, bool first)
{
	size_t k = both ? 0 : snet_punch_between(seen, n, p->ports, SNET_PUNCH_BETWEEN);

	n = snet_punch_foretell(seen, n, p->ports + k, SNET_PUNCH_AHEAD - k);
	return both ? snet_punch_cross(p->ports, n, first) : k + n;
}

static struct plan devise(const struct snet_ice *ice)
{
	const struct snet_local *best = ice_punch_best(ice);
	const struct sock *s = best ? ice_sock(ice, best->handle) : NULL;
	const struct snet_candidate *its = s ? its_best(ice, s->at.sa.sa_family) : NULL;
	uint16_t ports[SNET_REMOTES_TOLD_MAX];
	struct plan p = { .what = NOTHING };
	size_t n = its ? ice_punch_its_ports(ice, its, ports) : 0;

	if (!its)
		return p;
	p.at = (struct aim){ s->handle, its->address };
	p.n = foresee(&p, ports, n, s->foretold, comes_first(ice));
	if (ice_punch_hard(ice, s->handle) && !s->foretold) {
		if (n == 1 && ice->o.birthday) /* or neither side's port is known */
			p.what = HOLD;
	} else if (p.n > 1) {
		p.what = SWEEP;
	} else if (n > 1 && !s->foretold && ice->o.birthday) {
		p.what = DRAW;
	}
	return p;
}

bool ice_punch_has_plan(const struct snet_ice *ice)
{
	return devise(ice).what != NOTHING;
}

static void begin(struct snet_ice *ice, bool agreed, snet_time now)
{
	struct snet_punch *p = &ice->punch.plan;
	struct plan plan = devise(ice);
	struct snet_ice_punching told = { .agreed = agreed,
					  .plan = plan_names[plan.what],
					  .to = plan.at.to,
					  .rtt = ice->punch.pact.rtt };
	uint8_t random[8];

	ice->punch.at = plan.at;
	if (plan.what == SWEEP)
		(void)snet_punch_sweep(p, plan.ports, plan.n, now);
	else if (plan.what == HOLD)
		(void)snet_punch_hold(p, ice->o.birthday, now);
	else if (plan.what == DRAW && !snet_random(random, sizeof(random)))
		(void)snet_punch_draw(p, ice->o.birthday, snet_get_be64(random), now);
	told.ports = plan.what == SWEEP ? p->listed_n : p->lots + p->sockets;
	if (p->state == SNET_PUNCH_IDLE) { /* more of the peer's may come */
		if (agreed)
			ice_pact_part(ice, now);
		snet_pact_renew(&ice->punch.pact);
		snet_pact_want(&ice->punch.pact, now);
		if (!agreed || ice->punch.part.state != SNET_PUNCH_PROBING)
			return;
		told.plan = "help";
		told.to = ice->punch.part_at.to;
		told.ports = ice->punch.part.listed_n;
	}
	snet_log(SNET_LOG_INFO, "ice", "punch: %s, %u ports%s", told.plan, told.ports,
		 agreed ? "" : ", without the peer's word");
	if (ice->ev->on_punching)
		ice->ev->on_punching(&told, ice->user);
}

/* ---- life */

static void clear(struct snet_ice *ice)
{
	snet_pact_init(&ice->punch.pact);
	snet_punch_init(&ice->punch.plan);
	snet_punch_init(&ice->punch.part);
}

void ice_punch_init(struct snet_ice *ice)
{
	clear(ice);
}

void ice_punch_end(struct snet_ice *ice)
{
	snet_punch_stop(&ice->punch.plan);
	snet_punch_stop(&ice->punch.part);
	snet_pact_stop(&ice->punch.pact);
	ice_punch_let_go(ice);
}

void ice_punch_renew(struct snet_ice *ice)
{
	ice_punch_end(ice);
	clear(ice);
	ice->punch.full = false;
	ice->punch.sights_n = 0;
	for (size_t i = ice->socks_n; i-- > 0;) {
		struct sock *s = ice->socks[i];

		s->extra = 0;
		s->asked_more = s->foretold = false;
		if (s->held && ice->way.sock != s)
			ice_remove_sock(ice, s);
	}
}

static void probe(struct snet_ice *ice, const struct aim *at, uint16_t port, snet_time now)
{
	struct snet_addr to = at->to;

	snet_addr_set_port(&to, port);
	(void)snet_agent_probe(ice->agent, at->by, &to, now);
}

static void do_next(struct snet_ice *ice, snet_time now)
{
	struct snet_punch_want w;

	while ((w = snet_punch_step(&ice->punch.plan, now)).what) {
		if (w.what == SNET_PUNCH_PROBE)
			probe(ice, &ice->punch.at, w.port, now);
		else if (w.what == SNET_PUNCH_HOLD)
			ice_punch_hold(ice, w.socket, now);
		else
			ice_punch_let_go(ice);
	}
	while ((w = snet_punch_step(&ice->punch.part, now)).what)
		if (w.what == SNET_PUNCH_PROBE)
			probe(ice, &ice->punch.part_at, w.port, now);
}

/* Nothing is wanted: not yet, or not any more. */
static void rest(struct snet_ice *ice)
{
	struct snet_pact *p = &ice->punch.pact;

	if (ice->punch.plan.state != SNET_PUNCH_IDLE ||
	    ice->punch.part.state != SNET_PUNCH_IDLE) {
		ice_punch_end(ice);
	} else if (p->state != SNET_PACT_IDLE || p->alone != SNET_NEVER) {
		snet_pact_stop(p);
		snet_pact_renew(p);
	}
}

void ice_punch_turn(struct snet_ice *ice, snet_time now)
{
	bool agreed;

	/* Ours may be over before our part in the peer's. */
	if (ice->punch.plan.state == SNET_PUNCH_OVER &&
	    ice->punch.part.state != SNET_PUNCH_PROBING)
		return;
	if (!ice_punch_is_wanted(ice)) {
		rest(ice);
		return;
	}
	if (ice->punch.plan.state == SNET_PUNCH_IDLE) {
		snet_pact_want(&ice->punch.pact, now);
		ice_pact_ask(ice, now);
		if (ice_pact_is_time(ice, &agreed, now))
			begin(ice, agreed, now);
	}
	do_next(ice, now);
}

static snet_time earlier(snet_time a, snet_time b)
{
	return a < b ? a : b;
}

snet_time ice_punch_deadline(const struct snet_ice *ice)
{
	return earlier(ice_pact_deadline(ice),
		       earlier(ice->punch.plan.deadline, ice->punch.part.deadline));
}
