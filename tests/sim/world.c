#include <stdlib.h>
#include <string.h>

#include "crypto/allow.h"
#include "crypto/identity.h"
#include "sim/sim.h"

/* One seed, from the first party's start to the last one's end. */

#define LARGE_EVERY 250 /* seeds: so often all the parties there can be */
#define PATIENCE (180 * SNET_SEC)
#define LOOK (10 * SNET_MS)

/* ---- what happens when */

struct event {
	struct snet_timer timer;
	struct sim *sim;
	void (*fn)(struct sim *s, uint64_t arg);
	uint64_t arg;
};

static void on_event(struct snet_timer *t, snet_time now)
{
	struct event *e = t->user;
	struct sim *s = e->sim;

	(void)now;
	s->happening--;
	if (!s->stopping)
		e->fn(s, e->arg);
	free(e);
}

void at(struct sim *s, snet_time in, void (*fn)(struct sim *s, uint64_t arg), uint64_t arg)
{
	struct event *e = malloc(sizeof(*e));

	if (!e)
		abort();
	*e = (struct event){ .sim = s, .fn = fn, .arg = arg };
	e->timer = (struct snet_timer){ .fn = on_event, .user = e };
	s->happening++;
	if (snet_timer_set(s->loop, &e->timer, snet_loop_now(s->loop) + in))
		abort();
}

/* ---- the plan */

static uint32_t draw_n(struct sim *s)
{
	uint64_t r = draw_below(s, 1000);

	if (s->seed % LARGE_EVERY == 1)
		return PARTIES_MAX;
	if (r < 900)
		return 3 + (uint32_t)draw_below(s, r < 600 ? 2 : 6);
	return r < 990 ? 9 + (uint32_t)draw_below(s, 12) : 21 + (uint32_t)draw_below(s, 30);
}

#define ONE_OF(s, table) ((table)[draw_below(s, sizeof(table) / sizeof((table)[0]))])

/* One of those that have names, or one whose delays are anything up to a bound. Where packets
 * are lost, so are connections. */
static void draw_net(struct sim *s)
{
	static const snet_time latencies[] = { 0,       0, SNET_MS, 20 * SNET_MS, 200 * SNET_MS,
					       SNET_SEC };
	struct plan *p = &s->plan;
	size_t n = 0;

	p->latency = ONE_OF(s, latencies);
	while (snet_presets[n].name)
		n++;
	p->preset = one_in(s, 2) ? &snet_presets[draw_below(s, n)] : NULL;
	if (p->preset && p->preset->spec.loss > 0)
		p->weights[FAULT_SEVER] += 2;
}

/* Some kinds of faults are left out: what one hides, another seed shows. */
static void draw_faults(struct sim *s)
{
	static const unsigned most[] = { 0, 6, 20, 60 };
	struct plan *p = &s->plan;
	unsigned total = 0;

	for (unsigned i = 0; i < FAULTS; i++) {
		p->weights[i] = one_in(s, 2) ? 0 : 1 + (unsigned)draw_below(s, 4);
		total += p->weights[i];
	}
	p->faults = total ? (unsigned)draw_below(s, ONE_OF(s, most) + 1) : 0;
}

static void draw_plan(struct sim *s)
{
	static const snet_time spreads[] = { 0, SNET_SEC, 10 * SNET_SEC };
	static const snet_time windows[] = { 100 * SNET_MS, 2 * SNET_SEC, 30 * SNET_SEC };
	static const snet_time longest[] = { 200 * SNET_MS, 3 * SNET_SEC, 30 * SNET_SEC };
	static const size_t queues[] = { 2000, 20000, 1 << 20 };
	static const unsigned most[] = { 5, 50, 400 };
	struct plan *p = &s->plan;
	unsigned budget;

	p->n = draw_n(s);
	p->among = one_in(s, 2) ? 3 : p->n;
	p->spread = ONE_OF(s, spreads);
	p->window = ONE_OF(s, windows) + p->spread;
	p->longest = ONE_OF(s, longest);
	p->queue = ONE_OF(s, queues);
	p->large_in = one_in(s, 4) ? 100 : 0;
	p->finish_early = one_in(s, 3);
	p->exit_early = one_in(s, 2);
	p->confirms = one_in(s, 3);
	budget = ONE_OF(s, most);
	if (p->n > 20)
		budget = budget < 20 ? budget : 20;
	p->gap = p->window * 3 / budget;
	for (uint32_t i = 0; i < p->n; i++)
		s->parties[i].budget = budget;
	draw_faults(s);
	draw_net(s);
}

/* ---- its phases */

static void start(struct sim *s, uint64_t i)
{
	party_start(&s->parties[i]);
}

static void finish(struct sim *s, uint64_t i)
{
	party_finish(&s->parties[i]);
}

static void be_silent(struct sim *s, uint64_t unused)
{
	(void)unused;
	sim_log(s, "that was all they say");
	s->talking = false;
}

static bool is_quiet(struct sim *s, char why[static WHAT])
{
	(void)why;
	return !s->happening;
}

static void until(struct sim *s, bool (*done)(struct sim *s, char why[static WHAT]),
		  snet_time limit)
{
	snet_time began = snet_loop_now(s->loop), next = began;
	char why[WHAT] = "";
	bool more = true;

	while (!s->failed) {
		snet_time now = snet_loop_now(s->loop);

		if ((now >= next || !more) && done(s, why))
			return;
		if (now >= next)
			next = now + LOOK;
		if (!more)
			sim_fail(s, "nothing happens any more, but %s", why);
		if (now - began > limit)
			sim_fail(s, "after %llu s %s", limit / SNET_SEC, why);
		more = snet_loop_turn(s->loop);
		check_turn(s);
	}
}

static void say_goodbye(struct sim *s)
{
	unsigned late = s->plan.finish_early ? (unsigned)draw_below(s, 8) : 0;

	/* Who restarts now would look for parties that have gone, as they may. */
	s->plan.weights[FAULT_CRASH] = s->plan.weights[FAULT_POWER_CUT] = 0;
	s->plan.weights[FAULT_CUT]++;
	for (uint32_t i = 0; i < s->plan.n; i++)
		at(s, draw_below(s, SNET_SEC), finish, i);
	for (; late; late--)
		at(s, draw_below(s, 2 * SNET_SEC), fault_happen, 0);
	until(s, check_is_over, PATIENCE);
}

static void live(struct sim *s)
{
	s->talking = true;
	for (uint32_t i = 0; i < s->plan.n; i++)
		at(s, draw_below(s, s->plan.spread), start, i);
	for (unsigned i = 0; i < s->plan.faults; i++)
		at(s, draw_below(s, s->plan.window), fault_happen, 0);
	at(s, s->plan.window, be_silent, 0);
	until(s, is_quiet, SNET_NEVER);
	sim_log(s, "no more faults");
	if (!s->plan.finish_early && !s->failed) {
		until(s, check_is_settled, PATIENCE);
		if (!s->failed)
			check_lost(s);
	}
	if (!s->failed)
		say_goodbye(s);
	if (!s->failed)
		check_lost(s);
}

static void count_resent(struct sim *s)
{
	struct snet_mesh_stats st;

	for (uint32_t i = 0; i < s->plan.n; i++)
		for (uint32_t k = 0; s->parties[i].alive && k < s->plan.n; k++) {
			snet_mesh_stats(s->parties[i].mesh, k, &st);
			s->resent += st.resent;
		}
}

/* ---- its memory */

static void *zeroed(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		abort();
	return p;
}

static void create(struct sim *s)
{
	size_t n = s->plan.n;

	if (snet_loop_new_virtual(&s->loop) || snet_trust_new(&s->trust, NULL))
		abort();
	snet_trust_set_insecure(s->trust);
	s->start = snet_loop_now(s->loop);
	for (uint32_t i = 0; i < n; i++) {
		struct party *p = &s->parties[i];

		p->sim = s;
		p->index = i;
		p->identity = identity_new(s->seed, i);
		p->tx = zeroed(n, sizeof(*p->tx));
		p->rx = zeroed(n, sizeof(*p->rx));
	}
	net_begin(s);
}

static void destroy(struct sim *s)
{
	s->stopping = true;
	for (uint32_t i = 0; i < s->plan.n; i++)
		party_stop(&s->parties[i]);
	/* What is left are our own events, and tasks that end by themselves. */
	while (s->happening && snet_loop_turn(s->loop))
		;
	if (snet_loop_turn(s->loop) && snet_loop_turn(s->loop))
		sim_fail(s, "something goes on after the last party's end");
	if (s->strangers)
		sim_fail(s, "a connection was not told its end");
	for (uint32_t i = 0; i < s->plan.n; i++) {
		free(s->parties[i].identity);
		free(s->parties[i].tx);
		free(s->parties[i].rx);
	}
	net_end(s);
	snet_trust_free(s->trust);
	snet_loop_free(s->loop);
}

void world_run(struct sim *s)
{
	s->random = mix(s->seed);
	fixed_random(s->seed);
	s->parties = zeroed(PARTIES_MAX, sizeof(*s->parties));
	draw_plan(s);
	create(s);
	live(s);
	count_resent(s);
	destroy(s);
	free(s->parties);
}
