#include <stdlib.h>

#include "sim/sim.h"
#include "transport/loop_net.h"

/* What lies between two processes: a link each way, as snet-link would make it (lib/emul). The
 * transport within a process knows no packets: what waits to be heard when nothing is under way
 * sets out as one, and what is written before that arrives comes with it. While a fault blocks
 * the way nothing arrives at all. */

#define PACKET 1200 /* bytes */
#define SLOW 8      /* times the delay */
#define SLOW_LEAST (50 * SNET_MS)

static struct way *way(struct sim *s, uint32_t from, uint32_t to)
{
	return &s->ways[from * s->plan.n + to];
}

static struct snet_emul_link *link_of(struct sim *s, uint32_t from, uint32_t to)
{
	return snet_emul_link(&s->net, from, to);
}

static snet_time reaches(const struct snet_conn *c, snet_time now, void *user)
{
	struct sim *s = user;
	uint32_t to = s->ports[snet_addr_port(&c->local)].party;
	uint32_t from = s->ports[snet_addr_port(&c->remote)].party;
	struct snet_shape *there = &link_of(s, from, to)->shape,
			  *back = &link_of(s, to, from)->shape;
	struct way *w = way(s, from, to);
	struct snet_shape_fate f;

	if (there->down || (!c->open && back->down))
		return SNET_NEVER;
	if (w->arrives < now) {
		f = snet_shape_push_stream(there, PACKET, there->spec.delay + back->spec.delay,
					   now);
		w->arrives = f.when;
	}
	return w->arrives;
}

static struct snet_loop_net net = { .reaches = reaches };

/* Measured networks are of four: more parties are in the places of those. */
static struct snet_shape_spec spec_of(const struct plan *p, uint32_t from, uint32_t to)
{
	struct snet_shape_spec spec = { .delay = p->latency / 2,
					.jitter = p->latency / 2,
					.in_order = true };
	uint32_t i = from % SNET_PRESET_PARTIES, j = to % SNET_PRESET_PARTIES;

	if (i == j)
		j = (j + 1) % SNET_PRESET_PARTIES;
	if (p->preset && snet_preset_link(p->preset, i, j, &spec, NULL))
		abort();
	return spec;
}

void net_begin(struct sim *s)
{
	uint32_t n = s->plan.n;

	s->ways = calloc((size_t)n * n, sizeof(*s->ways));
	if (!s->ways || snet_emul_net_init(&s->net, n, s->seed))
		abort();
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < n; k++) {
			struct snet_shape_spec spec = spec_of(&s->plan, i, k);

			snet_emul_link_set(link_of(s, i, k), &spec);
		}
	net.user = s;
	snet_loop_net_set(&net);
}

void net_end(struct sim *s)
{
	snet_loop_net_set(NULL);
	snet_emul_net_fini(&s->net);
	free(s->ways);
}

void net_block(struct sim *s, uint32_t from, uint32_t to, int by)
{
	struct way *w = way(s, from, to);

	w->blocked = (uint8_t)(w->blocked + by);
	link_of(s, from, to)->shape.down = w->blocked;
}

void net_slow(struct sim *s, uint32_t from, uint32_t to, int by)
{
	struct way *w = way(s, from, to);
	struct snet_emul_link *l = link_of(s, from, to);
	struct snet_shape_spec spec = l->born;

	w->slow = (uint8_t)(w->slow + by);
	if (w->slow) {
		spec.delay = spec.delay * SLOW > SLOW_LEAST ? spec.delay * SLOW : SLOW_LEAST;
		spec.jitter *= SLOW;
	}
	snet_shape_change(&l->shape, &spec);
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
