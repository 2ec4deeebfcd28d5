#include <stdio.h>

#include "sim/sim.h"

/* What must hold between two turns of the loop, and in the end. */

#define TURNS_AT_ONCE 200000 /* without time going by: nothing needs so many */
#define LOOK_AT_ALL 8        /* parties; of more, one per turn is looked at */

static void look_at(struct party *p)
{
	struct sim *s = p->sim;
	struct snet_mesh_stats st;

	for (uint32_t i = 0; p->alive && i < s->plan.n; i++) {
		if (i == p->index)
			continue;
		snet_mesh_stats(p->mesh, i, &st);
		if (st.queued >= s->plan.queue + MESSAGE_MAX + 64)
			sim_fail(s, "%u has %zu bytes queued for %u", p->index, st.queued, i);
		if (!p->rx[i].over && snet_mesh_is_up(p->mesh, i) != p->rx[i].up)
			sim_fail(s, "%u has %u %s, and told otherwise", p->index, i,
				 p->rx[i].up ? "down" : "up");
		if (st.received != p->rx[i].received || st.reconnects != p->rx[i].downs)
			sim_fail(s, "%u counts %llu messages and %llu losses of %u", p->index,
				 (unsigned long long)st.received,
				 (unsigned long long)st.reconnects, i);
	}
}

void check_turn(struct sim *s)
{
	snet_time now = snet_loop_now(s->loop);

	s->turns = now == s->last_turn ? s->turns + 1 : 0;
	s->last_turn = now;
	if (s->turns > TURNS_AT_ONCE)
		sim_fail(s, "it never comes to rest");
	if (s->plan.n > LOOK_AT_ALL)
		look_at(&s->parties[s->looked++ % s->plan.n]);
	for (uint32_t i = 0; s->plan.n <= LOOK_AT_ALL && i < s->plan.n; i++)
		look_at(&s->parties[i]);
}

static bool is_settled(struct sim *s, uint32_t i, uint32_t k, char why[static WHAT])
{
	const struct party *p = &s->parties[i];
	struct snet_mesh_stats st;

	if (!p->alive || !snet_mesh_is_up(p->mesh, k) || !p->rx[k].up) {
		snprintf(why, WHAT, "%u is not connected to %u", i, k);
		return false;
	}
	snet_mesh_stats(p->mesh, k, &st);
	if (st.state != SNET_MESH_CONNECTED) {
		snprintf(why, WHAT, "%u says of %u it is in state %d", i, k, st.state);
		return false;
	}
	if (!traffic_has_crossed(s, i, k) || st.queued || p->tx[k].full) {
		snprintf(why, WHAT, "%u has %zu bytes queued for %u, and %s%s", i, st.queued, k,
			 traffic_has_crossed(s, i, k) ? "all has crossed"
						      : "not all has crossed",
			 p->tx[k].full ? ", and no room was told" : "");
		return false;
	}
	return true;
}

bool check_is_settled(struct sim *s, char why[static WHAT])
{
	for (uint32_t i = 0; i < s->plan.n; i++)
		for (uint32_t k = 0; k < s->plan.n; k++)
			if (i != k && !is_settled(s, i, k, why))
				return false;
	return true;
}

bool check_is_over(struct sim *s, char why[static WHAT])
{
	for (uint32_t i = 0; i < s->plan.n; i++)
		for (uint32_t k = 0; k < s->plan.n; k++)
			if (i != k && !s->parties[i].rx[k].over) {
				snprintf(why, WHAT, "%u is not done with %u", i, k);
				return false;
			}
	return true;
}

void check_lost(struct sim *s)
{
	for (uint32_t i = 0; i < s->plan.n; i++)
		for (uint32_t k = 0; k < s->plan.n; k++)
			if (i != k)
				traffic_check_lost(s, i, k);
}
