#include "sim/sim.h"
#include "transport/loop_net.h"

/* What lies between two processes: after something has reached one from the other, nothing
 * does for a while, and while a fault blocks the way, nothing at all. */

#define SLOW 8 /* times the latency */
#define SLOW_LEAST (50 * SNET_MS)

static snet_time *gate(struct sim *s, uint32_t from, uint32_t to)
{
	return &s->gates[to * s->plan.n + from];
}

static bool is_blocked(const struct sim *s, uint32_t from, uint32_t to)
{
	return s->blocked[to * s->plan.n + from];
}

static snet_time reaches(const struct snet_conn *c, snet_time now, void *user)
{
	struct sim *s = user;
	uint32_t to = s->ports[snet_addr_port(&c->local)].party;
	uint32_t from = s->ports[snet_addr_port(&c->remote)].party;
	snet_time most = s->plan.latency;

	if (is_blocked(s, from, to) || (!c->open && is_blocked(s, to, from)))
		return SNET_NEVER;
	if (now < *gate(s, from, to))
		return *gate(s, from, to);
	if (s->slow[to * s->plan.n + from])
		most = most * SLOW > SLOW_LEAST ? most * SLOW : SLOW_LEAST;
	if (most)
		*gate(s, from, to) = now + 1 + draw_below(s, most);
	return now;
}

static struct snet_loop_net net = { .reaches = reaches };

void net_begin(struct sim *s)
{
	net.user = s;
	snet_loop_net_set(&net);
}

void net_block(struct sim *s, uint32_t from, uint32_t to, int by)
{
	s->blocked[to * s->plan.n + from] = (uint8_t)(s->blocked[to * s->plan.n + from] + by);
}

void net_changed(void)
{
	snet_loop_net_changed();
}

struct snet_conn *net_conn(struct party *p, uint32_t to)
{
	struct snet_peer *peer = p->alive ? snet_mesh_peer(p->mesh, to) : NULL;
	const struct snet_conn *c = peer ? snet_peer_conn(peer) : NULL;

	return c && c->open ? (struct snet_conn *)c : NULL;
}
