/* Turn: permissions, by IP address (RFC 8656 §9), and channels, by address and port (§12). */
#include <stdlib.h>
#include <string.h>

#include "nat/turn_impl.h"

static bool is_channel(const struct snet_turn *t, const struct turn_grant *g)
{
	return t->channel && g >= t->channel && g < t->channel + t->channel_n;
}

static struct snet_addr without_port(const struct snet_addr *a)
{
	struct snet_addr out = *a;

	snet_addr_set_port(&out, 0);
	return out;
}

static struct turn_grant *find(struct turn_grant *g, size_t n, const struct snet_addr *peer)
{
	for (size_t i = 0; i < n; i++)
		if (g[i].used && snet_addr_eq(&g[i].peer, peer))
			return &g[i];
	return NULL;
}

/* Those in force. */
struct turn_grant *turn_permission(struct snet_turn *t, const struct snet_addr *peer)
{
	struct snet_addr ip = without_port(peer);
	struct turn_grant *g = find(t->perm, t->perm_n, &ip);

	return g && g->wanted ? g : NULL;
}

struct turn_grant *turn_channel(struct snet_turn *t, const struct snet_addr *peer)
{
	struct turn_grant *g = find(t->channel, t->channel_n, peer);

	return g && g->wanted && g->granted ? g : NULL;
}

/* A channel keeps its number for its peer while the server may know it, and five minutes. */
static bool is_free(const struct turn_grant *g, snet_time now)
{
	return !g->used ||
	       (!g->wanted && !g->x.active && !g->told_no && g->ends != SNET_NEVER &&
		now >= g->ends && now - g->ends >= TURN_REST);
}

static int place(struct turn_grant **all, size_t *n, size_t most, size_t *at, snet_time now)
{
	struct turn_grant *more;

	for (*at = 0; *at < *n; ++*at)
		if (is_free(&(*all)[*at], now))
			return SNET_OK;
	if (*n == most)
		return SNET_ETOOBIG;
	more = realloc(*all, (*n + 1) * sizeof(*more));
	if (!more)
		return SNET_ENOMEM;
	*all = more;
	*at = (*n)++;
	return SNET_OK;
}

static bool fits(const struct snet_turn *t, const struct snet_addr *peer)
{
	bool v6 = peer->sa.sa_family == AF_INET6;

	if (!v6 && peer->sa.sa_family != AF_INET)
		return false;
	if (t->state == TURN_ALLOCATED)
		return t->relayed[v6].sa.sa_family != AF_UNSPEC;
	return t->o.families & (v6 ? SNET_TURN_IPV6 : SNET_TURN_IPV4);
}

static void ask(struct snet_turn *t, struct turn_grant *g, snet_time now)
{
	bool channel = is_channel(t, g);

	if (t->state != TURN_ALLOCATED || g->x.active)
		return;
	turn_x_begin(t, &g->x, channel ? TURN_BIND : TURN_PERMIT,
		     (size_t)(g - (channel ? t->channel : t->perm)), now);
	/* The server may bind the number, and its answer be lost. */
	if (channel && !g->granted)
		g->ends = now + TURN_CHANNEL;
}

static int wish(struct snet_turn *t, bool channel, const struct snet_addr *peer, snet_time now)
{
	struct turn_grant **all = channel ? &t->channel : &t->perm, *g;
	size_t *n = channel ? &t->channel_n : &t->perm_n, at;
	int rc;

	g = find(*all, *n, peer);
	if (!g) {
		rc = place(all, n, channel ? SNET_TURN_CHANNELS : SNET_TURN_PERMISSIONS, &at,
			   now);
		if (rc)
			return rc;
		g = &(*all)[at];
		*g = (struct turn_grant){ .peer = *peer, .used = true };
	}
	g->wanted = true;
	g->told_no = false;
	t->stale_deadline = true;
	if (g->granted)
		g->told_yes = t->grants_told = true;
	else
		ask(t, g, now);
	return SNET_OK;
}

int snet_turn_permit(struct snet_turn *t, const struct snet_addr *peer, snet_time now)
{
	struct snet_addr ip = without_port(peer);

	if (t->state == TURN_CLOSED || t->state == TURN_LEAVING)
		return SNET_ECLOSED;
	return fits(t, peer) ? wish(t, false, &ip, now) : SNET_EINVAL;
}

int snet_turn_bind(struct snet_turn *t, const struct snet_addr *peer, snet_time now)
{
	int rc = SNET_OK;

	/* Binding grants it as well, but may be refused alone, or take longer. */
	if (!turn_permission(t, peer))
		rc = snet_turn_permit(t, peer, now);
	else if (t->state == TURN_LEAVING)
		rc = SNET_ECLOSED;
	return rc ? rc : wish(t, true, peer, now);
}

static void forget(struct snet_turn *t, struct turn_grant *g)
{
	g->wanted = g->told_yes = g->told_no = false;
	t->stale_deadline = true;
	if (is_channel(t, g))
		return; /* its number rests */
	turn_x_end(t, &g->x);
	g->used = false;
}

void snet_turn_forget(struct snet_turn *t, const struct snet_addr *peer, snet_time now)
{
	struct snet_addr ip = without_port(peer);
	bool all = !snet_addr_port(peer);
	struct turn_grant *g = all ? find(t->perm, t->perm_n, &ip) : NULL;

	turn_tick(t, now);
	if (g)
		forget(t, g);
	for (size_t i = 0; i < t->channel_n; i++) {
		struct snet_addr other = without_port(&t->channel[i].peer);

		g = &t->channel[i];
		if (g->used && snet_addr_eq(all ? &other : &g->peer, peer))
			forget(t, g);
	}
	turn_data_release(t);
}

static void end(struct snet_turn *t, struct turn_grant *g, int status,
		const struct snet_error *why)
{
	g->told_no = g->wanted;
	g->told_yes = false;
	t->grants_told = t->grants_told || g->wanted;
	g->granted = g->wanted = false;
	g->status = status;
	g->why = *why;
	t->stale_deadline = true;
	turn_data_release(t);
}

void turn_grants_start(struct snet_turn *t, snet_time now)
{
	static const struct snet_error why = { SNET_EINVAL,
					       "the allocation is of another address family" };

	for (size_t i = 0; i < t->perm_n + t->channel_n; i++) {
		struct turn_grant *g = i < t->perm_n ? &t->perm[i] : &t->channel[i - t->perm_n];

		if (!g->used || !g->wanted)
			continue;
		if (fits(t, &g->peer))
			ask(t, g, now);
		else
			end(t, g, 0, &why);
	}
}

void turn_grants_drop(struct snet_turn *t)
{
	t->perm_n = t->channel_n = 0;
	t->grants_told = false;
	snet_buf_free(&t->held);
}

/* ---- answers */

static void grant(struct snet_turn *t, struct turn_grant *g, snet_time lasts, snet_time now)
{
	if (!g->granted && g->wanted)
		g->told_yes = t->grants_told = true;
	g->granted = true;
	g->ends = now + lasts;
	g->renew = g->ends - TURN_MARGIN;
	t->stale_deadline = true;
}

static struct turn_grant *of(struct snet_turn *t, const struct turn_x *x)
{
	return x->ask == TURN_BIND ? &t->channel[x->index] : &t->perm[x->index];
}

void turn_grant_answer(struct snet_turn *t, struct turn_x *x, snet_time now)
{
	struct turn_grant *g = of(t, x), *perm;

	turn_x_end(t, x);
	grant(t, g, x->ask == TURN_BIND ? TURN_CHANNEL : TURN_PERMISSION, now);
	perm = x->ask == TURN_BIND ? turn_permission(t, &g->peer) : NULL;
	if (perm) /* §12: binding installs or refreshes it */
		grant(t, perm, TURN_PERMISSION, now);
	turn_data_release(t);
}

void turn_grant_refused(struct snet_turn *t, struct turn_x *x, int status,
			const struct snet_error *why, snet_time now)
{
	struct turn_grant *g = of(t, x);

	if (g->granted && (!status || status >= 500)) {
		g->renew = now + TURN_AGAIN; /* until it ends */
		t->stale_deadline = true;
		return;
	}
	if (status && x->ask == TURN_BIND && !g->renew)
		g->ends = 0; /* never bound: the number need not rest */
	end(t, g, status, why);
}

/* ---- time */

static void tick(struct snet_turn *t, struct turn_grant *g, snet_time now)
{
	static const struct snet_error why = { SNET_ETIMEOUT,
					       "it has expired: no renewal was answered" };

	if (!g->used || !g->granted)
		return;
	if (now >= g->ends) {
		turn_x_end(t, &g->x);
		end(t, g, 0, &why);
	} else if (g->wanted && now >= g->renew) {
		ask(t, g, now);
	}
}

void turn_grants_tick(struct snet_turn *t, snet_time now)
{
	for (size_t i = 0; i < t->perm_n; i++)
		tick(t, &t->perm[i], now);
	for (size_t i = 0; i < t->channel_n; i++)
		tick(t, &t->channel[i], now);
}

static snet_time deadline_of(const struct turn_grant *g)
{
	if (!g->used || !g->granted)
		return SNET_NEVER;
	return g->wanted && !g->x.active && g->renew < g->ends ? g->renew : g->ends;
}

snet_time turn_grants_deadline(const struct snet_turn *t)
{
	snet_time d = SNET_NEVER;

	for (size_t i = 0; i < t->perm_n + t->channel_n; i++) {
		snet_time one =
			deadline_of(i < t->perm_n ? &t->perm[i] : &t->channel[i - t->perm_n]);

		d = one < d ? one : d;
	}
	return d;
}

/* ---- events */

static bool take_event(struct turn_grant *g, bool channel, struct snet_turn_event *ev)
{
	if (!g->used || !(g->told_yes || g->told_no))
		return false;
	*ev = (struct snet_turn_event){ .peer = g->peer };
	if (g->told_yes) {
		ev->what = channel ? SNET_TURN_BOUND : SNET_TURN_PERMITTED;
		g->told_yes = false;
		return true;
	}
	ev->what = channel ? SNET_TURN_UNBOUND : SNET_TURN_REFUSED;
	ev->status = g->status;
	ev->error = g->why;
	g->told_no = false;
	if (!channel || !g->ends)
		g->used = false;
	return true;
}

bool turn_grant_event(struct snet_turn *t, struct snet_turn_event *ev)
{
	for (size_t i = 0; i < t->perm_n; i++)
		if (take_event(&t->perm[i], false, ev))
			return true;
	for (size_t i = 0; i < t->channel_n; i++)
		if (take_event(&t->channel[i], true, ev))
			return true;
	t->grants_told = false;
	return false;
}
