#include <stdlib.h>
#include <string.h>

#include "crypto/identity.h"
#include "sim/sim.h"

/* One party: its processes, one after the other, and what the mesh tells each. */

#define DEAD_LEAST (2 * SNET_SEC)
#define WINDOW_LEAST (64u << 10)
#define CONFIRM (300 * SNET_MS)

/* ---- what the mesh asks and tells */

static int address(uint32_t to, unsigned attempt, struct snet_endpoint **from,
		   struct snet_addr *at_, struct snet_error *err, void *user)
{
	struct party *p = user;
	struct sim *s = p->sim;

	(void)attempt;
	if (s->no_address && one_in(s, 2))
		return snet_fail(err, SNET_ERESOLVE, "no answer");
	*from = p->end;
	snet_addr_parse(at_, "127.0.0.1:1");
	/* Where nobody is yet, or any more, nobody answers. */
	snet_addr_set_port(at_, s->parties[to].port ? s->parties[to].port : PORTS - 1);
	return SNET_OK;
}

static void on_up(uint32_t from, bool anew, uint64_t lost, void *user)
{
	struct party *p = user;
	struct sim *s = p->sim;
	struct rx *rx = &p->rx[from];
	const struct snet_conn *c = snet_peer_conn(snet_mesh_peer(p->mesh, from));
	unsigned port = snet_addr_port(&c->remote), inc = s->ports[port].inc;

	sim_log(s, "%u: up %u.%u%s, %llu lost", p->index, from, inc, anew ? " anew" : "",
		(unsigned long long)lost);
	if (s->ports[port].party != from)
		sim_fail(s, "%u took %u for %u", p->index, s->ports[port].party, from);
	if (inc < rx->inc || anew != (inc != rx->inc))
		sim_fail(s, "%u was told that process %u of %u is %s, after %u", p->index, inc,
			 from, anew ? "new" : "known", rx->inc);
	if (lost && (!anew || !rx->inc))
		sim_fail(s, "%u lost messages to %u, which did not restart", p->index, from);
	if (anew) {
		rx->inc = inc;
		rx->ended = false;
		memset(rx->first, 0, sizeof(rx->first));
		memset(rx->got, 0, sizeof(rx->got));
		memset(rx->sure, 0, sizeof(rx->sure));
	}
	rx->up = true;
	p->tx[from].lost += lost;
	if (one_in(s, 8))
		traffic_say(p, from);
}

/* No party here speaks wrongly or is misconfigured, whatever happens. */
static void check_code(struct party *p, uint32_t from, int code, const char *why)
{
	if (code == SNET_EPROTO || code == SNET_ECONFIG || code == SNET_EDENIED ||
	    code == SNET_ETOOBIG || !strcmp(why, "out of memory"))
		sim_fail(p->sim, "%u about %u: %s", p->index, from, why);
}

static void on_down(uint32_t from, int code, const char *why, bool by_peer, void *user)
{
	struct party *p = user;
	struct rx *rx = &p->rx[from];

	if (p->dying)
		return;
	sim_log(p->sim, "%u: down %u: %s (%d%s)", p->index, from, why, code,
		by_peer ? ", by peer" : "");
	if (!rx->up || rx->over)
		sim_fail(p->sim, "%u lost %u, which was not there", p->index, from);
	check_code(p, from, code, why);
	rx->up = false;
	rx->downs++;
}

static void confirm_soon(struct party *p)
{
	if (p->sim->plan.confirms && !p->confirm.slot)
		snet_timer_set(p->sim->loop, &p->confirm,
			       snet_loop_now(p->sim->loop) + draw_below(p->sim, CONFIRM));
}

static void on_message(uint32_t from, const struct snet_message *m, void *user)
{
	struct party *p = user;

	if (p->dying)
		return;
	traffic_hear(p, from, m);
	confirm_soon(p);
	if (p->sim->talking && one_in(p->sim, 16))
		traffic_say(p, from);
	if (p->sim->talking && p->sim->plan.weights[FAULT_SLOW_READER] && one_in(p->sim, 200))
		fault_slow_reader(p);
}

static void on_end(uint32_t from, void *user)
{
	struct party *p = user;
	struct sim *s = p->sim;
	struct rx *rx = &p->rx[from];

	if (p->dying)
		return;
	sim_log(s, "%u: end of %u", p->index, from);
	if (p->paused || rx->ended || !s->parties[from].finished)
		sim_fail(s, "%u heard the end of %u %s", p->index, from,
			 p->paused   ? "while it was paused"
			 : rx->ended ? "twice"
				     : "which has not finished");
	rx->ended = true;
	if (!traffic_has_crossed(s, from, p->index))
		sim_fail(s, "%u heard the end of %u before all it sent", p->index, from);
}

static void on_room(uint32_t to, void *user)
{
	struct party *p = user;
	struct snet_mesh_stats st;

	if (p->dying)
		return;
	snet_mesh_stats(p->mesh, to, &st);
	if (!p->tx[to].full || st.queued > p->sim->plan.queue / 2)
		sim_fail(p->sim, "%u has room for %u: it was %sfull, now %zu bytes", p->index,
			 to, p->tx[to].full ? "" : "not ", st.queued);
	p->tx[to].full = false;
	if (p->sim->talking)
		traffic_say(p, to);
}

static void exit_now(struct sim *s, uint64_t i)
{
	sim_log(s, "%u: exits", (unsigned)i);
	party_stop(&s->parties[i]);
}

static void on_over(uint32_t from, const struct snet_error *err, void *user)
{
	struct party *p = user;
	struct sim *s = p->sim;

	if (p->dying)
		return;
	sim_log(s, "%u: over with %u: %d %s", p->index, from, err->code, err->text);
	if (err->code || p->rx[from].over || !p->finished || !p->rx[from].ended)
		sim_fail(s, "%u is done with %u, error %d %s%s", p->index, from, err->code,
			 err->text, p->rx[from].ended ? "" : " before its end");
	p->rx[from].over = true;
	if (!traffic_has_crossed(s, p->index, from) || !traffic_has_crossed(s, from, p->index))
		sim_fail(s, "%u is done with %u before everything crossed", p->index, from);
	if (++p->overs == s->plan.n - 1 && s->plan.exit_early)
		at(s, draw_below(s, 300 * SNET_MS), exit_now, p->index);
}

static void on_trouble(uint32_t with, const struct snet_error *err, void *user)
{
	struct party *p = user;

	if (p->dying)
		return;
	sim_log(p->sim, "%u: trouble with %u: %s", p->index, with, err->text);
	check_code(p, with, err->code, err->text);
}

static void on_taken(uint32_t to, const struct snet_record_marks *marks, bool anew, void *user)
{
	traffic_taken(user, to, marks, anew);
}

static const struct snet_mesh_events events = {
	.address = address,
	.on_up = on_up,
	.on_down = on_down,
	.on_message = on_message,
	.on_end = on_end,
	.on_room = on_room,
	.on_over = on_over,
	.on_trouble = on_trouble,
	.on_taken = on_taken,
};

static void on_confirm(struct snet_timer *t, snet_time now)
{
	struct party *p = t->user;

	(void)now;
	for (uint32_t i = 0; i < p->sim->plan.n; i++) {
		if (p->rx[i].held)
			continue;
		traffic_confirm(p, i);
		for (unsigned k = 0; k < SNET_RECORD_STREAMS; k++)
			snet_mesh_confirm(p->mesh, i, k, UINT64_MAX);
	}
}

/* ---- its processes */

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	struct party *p = user;

	(void)e;
	snet_mesh_accept(p->mesh, c);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	(void)e, (void)from, (void)code;
	sim_fail(((struct party *)user)->sim, "a key was refused: %s", why);
}

static const struct snet_endpoint_events end_events = { on_accept, on_refused };

static void bind_one(struct party *p)
{
	struct sim *s = p->sim;
	struct snet_transport_config cfg = {
		.identity = p->identity,
		.trust = s->trust,
		.window = WINDOW_LEAST << draw_below(s, 6),
		.dead_after = DEAD_LEAST + draw_below(s, 13 * SNET_SEC),
	};
	struct snet_addr where;
	struct snet_error err;

	cfg.queue = cfg.window + (2u << 20); /* acknowledgements find room beside messages */
	p->port = (uint16_t)++s->n_ports;
	s->ports[p->port].party = (uint16_t)p->index;
	s->ports[p->port].inc = (uint16_t)p->inc;
	snet_addr_parse(&where, "127.0.0.1:1");
	snet_addr_set_port(&where, p->port);
	if (snet_transport_loop.bind(&p->end, s->loop, &where, -1, &cfg, &end_events, p, &err))
		abort();
}

void party_start(struct party *p)
{
	struct sim *s = p->sim;
	uint32_t n = s->plan.n;
	struct snet_mesh_party *roster = calloc(n, sizeof(*roster));
	struct snet_mesh_config cfg = { .loop = s->loop,
					.transport = &snet_transport_loop,
					.identity = p->identity,
					.parties = roster,
					.n = n,
					.self = p->index,
					.label = "sim",
					.peer = { .hello_timeout = 5 * SNET_SEC },
					.queue = s->plan.queue,
					.confirms = s->plan.confirms,
					.wait = SNET_NEVER,
					.dial_timeout =
						SNET_SEC + draw_below(s, 9 * SNET_SEC) };
	struct snet_error err;

	for (uint32_t i = 0; i < n; i++) {
		roster[i].id = 100 + i;
		memcpy(roster[i].key, snet_identity_keyid(s->parties[i].identity),
		       SNET_KEYID_BYTES);
	}
	p->inc++;
	memset(p->tx, 0, n * sizeof(*p->tx));
	memset(p->rx, 0, n * sizeof(*p->rx));
	p->paused = p->dying = p->finished = false;
	p->overs = 0;
	bind_one(p);
	if (snet_mesh_new(&p->mesh, &cfg, &events, p, &err))
		abort();
	p->alive = true;
	p->confirm = (struct snet_timer){ .fn = on_confirm, .user = p };
	free(roster);
	sim_log(s, "%u: starts, process %u", p->index, p->inc);
	traffic_start(p);
}

void party_stop(struct party *p)
{
	if (!p->alive)
		return;
	p->dying = true;
	p->alive = false;
	traffic_forget(p);
	snet_timer_stop(p->sim->loop, &p->talk);
	snet_timer_stop(p->sim->loop, &p->confirm);
	snet_transport_loop.unbind(p->end);
	snet_mesh_free(p->mesh);
	p->end = NULL;
	p->mesh = NULL;
}

void party_pause(struct party *p, bool pause)
{
	if (!p->alive || p->paused == pause)
		return;
	sim_log(p->sim, "%u: %s", p->index, pause ? "reads no more" : "reads again");
	p->paused = pause;
	snet_mesh_pause(p->mesh, pause);
}

void party_hold(struct party *p, uint32_t other, bool hold)
{
	if (!p->alive || p->rx[other].held == hold)
		return;
	sim_log(p->sim, "%u: confirms %s of %u", p->index, hold ? "nothing" : "again what is",
		other);
	p->rx[other].held = hold;
	if (!hold)
		confirm_soon(p);
}

void party_finish(struct party *p)
{
	sim_log(p->sim, "%u: finishes", p->index);
	p->finished = true;
	snet_mesh_finish(p->mesh);
}
