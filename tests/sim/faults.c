#include <stdlib.h>
#include <string.h>

#include "crypto/identity.h"
#include "sim/sim.h"
#include "transport/loop_net.h"

/* What goes wrong. Each fault ends by itself; s->happening counts what has not. */

const char *const fault_names[FAULTS] = {
	[FAULT_CUT] = "cut",
	[FAULT_SEVER] = "silent loss",
	[FAULT_PARTITION] = "partition",
	[FAULT_ONE_WAY] = "one-way partition",
	[FAULT_PAIR] = "pair cut off",
	[FAULT_SLOW_PATH] = "slow path",
	[FAULT_CRASH] = "crash",
	[FAULT_POWER_CUT] = "silent crash",
	[FAULT_SLOW_READER] = "slow reader",
	[FAULT_HELD_BACK] = "late to confirm",
	[FAULT_DUPLICATE] = "duplicated dial",
	[FAULT_NO_ADDRESS] = "no address",
};

static uint32_t some_party(struct sim *s)
{
	return (uint32_t)draw_below(s, s->plan.among);
}

static snet_time some_time(struct sim *s)
{
	return 1 + draw_below(s, s->plan.longest);
}

/* A pair, as one number: from * n + to. */
static uint64_t some_pair(struct sim *s)
{
	uint32_t from = some_party(s), to = some_party(s);

	if (from == to)
		to = (to + 1) % s->plan.among;
	return from * s->plan.n + to;
}

/* ---- connections */

static void cut(struct sim *s)
{
	static const int codes[] = { SNET_ELOST, SNET_ETIMEOUT, SNET_EIO, SNET_EPOLICY };
	uint64_t pair = some_pair(s);
	uint32_t from = (uint32_t)(pair / s->plan.n), to = (uint32_t)(pair % s->plan.n);
	struct snet_conn *c = net_conn(&s->parties[from], to);
	int code = codes[draw_below(s, sizeof(codes) / sizeof(codes[0]))];

	sim_log(s, "cut %u to %u with %d%s", from, to, code, c ? "" : ": there is none");
	if (c)
		c->transport->close(c, code, "cut");
}

static void sever(struct sim *s, uint32_t from, uint32_t to)
{
	struct snet_conn *c = net_conn(&s->parties[from], to);

	sim_log(s, "sever %u to %u%s", from, to, c ? "" : ": there is none");
	if (c)
		snet_loop_net_sever(c);
}

static void sever_some(struct sim *s)
{
	uint64_t pair = some_pair(s);

	sever(s, (uint32_t)(pair / s->plan.n), (uint32_t)(pair % s->plan.n));
}

/* ---- paths; arg has all that is needed to undo it */

static bool is_left(uint64_t arg, uint32_t party)
{
	return mix(arg + party) & 1;
}

static void divide(struct sim *s, uint64_t arg, int by, bool both_ways)
{
	for (uint32_t i = 0; i < s->plan.n; i++)
		for (uint32_t k = 0; k < s->plan.n; k++)
			if (is_left(arg, i) && !is_left(arg, k)) {
				net_block(s, i, k, by);
				if (both_ways)
					net_block(s, k, i, by);
			}
	net_changed();
}

static void unite(struct sim *s, uint64_t arg)
{
	sim_log(s, "the partition is over");
	divide(s, arg, -1, true);
}

static void unite_one_way(struct sim *s, uint64_t arg)
{
	sim_log(s, "the one-way partition is over");
	divide(s, arg, -1, false);
}

static void partition(struct sim *s, bool both_ways)
{
	uint64_t arg = draw(s);

	sim_log(s, "a %spartition begins", both_ways ? "" : "one-way ");
	for (uint32_t i = 0; s->verbose && i < s->plan.n; i++)
		sim_log(s, "    %u is %s", i, is_left(arg, i) ? "left" : "right");
	divide(s, arg, 1, both_ways);
	at(s, some_time(s), both_ways ? unite : unite_one_way, arg);
}

static void pair(struct sim *s, uint64_t arg, int by)
{
	uint32_t from = (uint32_t)(arg / s->plan.n), to = (uint32_t)(arg % s->plan.n);

	sim_log(s, "the path between %u and %u is %s", from, to, by > 0 ? "cut" : "back");
	net_block(s, from, to, by);
	net_block(s, to, from, by);
	net_changed();
}

static void pair_back(struct sim *s, uint64_t arg)
{
	pair(s, arg, -1);
}

static void cut_path(struct sim *s)
{
	uint64_t arg = some_pair(s);

	pair(s, arg, 1);
	at(s, some_time(s), pair_back, arg);
}

static void slow(struct sim *s, uint64_t arg, int by)
{
	uint32_t from = (uint32_t)(arg / s->plan.n), to = (uint32_t)(arg % s->plan.n);

	sim_log(s, "from %u to %u it is %s", from, to, by > 0 ? "slow" : "as fast as before");
	net_slow(s, from, to, by);
}

static void fast_again(struct sim *s, uint64_t arg)
{
	slow(s, arg, -1);
}

static void slow_path(struct sim *s)
{
	uint64_t arg = some_pair(s);

	slow(s, arg, 1);
	at(s, some_time(s), fast_again, arg);
}

/* ---- processes */

static void restart(struct sim *s, uint64_t i)
{
	s->restarts++;
	party_start(&s->parties[i]);
}

static void crash(struct sim *s, bool silent)
{
	struct party *p = &s->parties[some_party(s)];

	if (!p->alive)
		return;
	sim_log(s, "%u: dies%s", p->index, silent ? " silently" : "");
	if (one_in(s, 2)) /* with what it held back on the way to it */
		party_pause(p, false);
	for (uint32_t i = 0; silent && i < s->plan.n; i++)
		if (i != p->index)
			sever(s, p->index, i);
	party_stop(p);
	at(s, some_time(s), restart, p->index);
}

static void read_again(struct sim *s, uint64_t i)
{
	party_pause(&s->parties[i], false);
}

void fault_slow_reader(struct party *p)
{
	party_pause(p, true);
	at(p->sim, some_time(p->sim), read_again, p->index);
}

static void hear_again(struct sim *s, uint64_t arg)
{
	party_hold(&s->parties[arg / s->plan.n], (uint32_t)(arg % s->plan.n), false);
}

static void hold_back(struct sim *s)
{
	uint64_t arg = some_pair(s);

	party_hold(&s->parties[arg / s->plan.n], (uint32_t)(arg % s->plan.n), true);
	at(s, some_time(s), hear_again, arg);
}

static void names_again(struct sim *s, uint64_t unused)
{
	(void)unused;
	s->no_address--;
}

static void no_address(struct sim *s)
{
	sim_log(s, "names do not resolve");
	s->no_address++;
	at(s, some_time(s), names_again, 0);
}

/* ---- a second connection, as a party that has forgotten the first would begin */

static void stranger_up(struct snet_peer *p, void *user)
{
	(void)p;
	sim_log(user, "the duplicated dial is up");
}

static void stranger_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	(void)p, (void)m;
	sim_fail(user, "a message on a connection that has said no resume");
}

static void stranger_control(struct snet_peer *p, uint8_t type, const uint8_t *body, size_t n,
			     void *user)
{
	(void)p, (void)type, (void)body, (void)n, (void)user;
}

static void stranger_event(struct snet_peer *p, void *user)
{
	(void)p, (void)user;
}

static void stranger_down(struct snet_peer *p, int code, const char *why, bool by_peer,
			  void *user)
{
	struct sim *s = user;

	(void)p;
	sim_log(s, "the duplicated dial ends: %s (%d%s)", why, code,
		by_peer ? ", by peer" : "");
	s->strangers--;
}

static const struct snet_peer_events stranger_events = { stranger_up,     stranger_message,
							 stranger_event,  stranger_event,
							 stranger_event,  stranger_down,
							 stranger_control };

static void dial_again(struct sim *s)
{
	uint64_t which = some_pair(s);
	struct party *p = &s->parties[which / s->plan.n], *to = &s->parties[which % s->plan.n];
	struct snet_peer_opts opts = { .id = 100 + p->index,
				       .gated = true,
				       .stall_timeout = SNET_NEVER };
	struct snet_addr where;
	struct snet_peer *peer;

	if (!p->alive || !to->alive)
		return;
	sim_log(s, "%u dials %u twice", p->index, to->index);
	snet_addr_parse(&where, "127.0.0.1:1");
	snet_addr_set_port(&where, to->port);
	if (snet_peer_dial(&peer, s->loop, p->end, &snet_transport_loop, &where,
			   snet_identity_keyid(to->identity), &opts, &stranger_events, s, NULL))
		abort();
	s->strangers++;
}

/* ---- */

static unsigned pick(struct sim *s)
{
	uint64_t total = 0, r;
	unsigned i = 0;

	for (unsigned k = 0; k < FAULTS; k++)
		total += s->plan.weights[k];
	r = draw_below(s, total);
	while (r >= s->plan.weights[i])
		r -= s->plan.weights[i++];
	return i;
}

void fault_happen(struct sim *s, uint64_t unused)
{
	enum fault f = pick(s);

	(void)unused;
	s->counts[f]++;
	switch (f) {
	case FAULT_CUT:
		cut(s);
		break;
	case FAULT_SEVER:
		sever_some(s);
		break;
	case FAULT_PARTITION:
	case FAULT_ONE_WAY:
		partition(s, f == FAULT_PARTITION);
		break;
	case FAULT_PAIR:
		cut_path(s);
		break;
	case FAULT_SLOW_PATH:
		slow_path(s);
		break;
	case FAULT_CRASH:
	case FAULT_POWER_CUT:
		crash(s, f == FAULT_POWER_CUT);
		break;
	case FAULT_SLOW_READER:
		fault_slow_reader(&s->parties[some_party(s)]);
		break;
	case FAULT_HELD_BACK:
		hold_back(s);
		break;
	case FAULT_DUPLICATE:
		dial_again(s);
		break;
	case FAULT_NO_ADDRESS:
		no_address(s);
		break;
	case FAULTS:
		break;
	}
}
