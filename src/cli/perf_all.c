/* All pairs of a roster, one after another: the parties are connected, each with each, and hand
 * a turn from the first to the last. Whose turn it is tests the servers of those behind him and
 * tells everybody what came of it. The last one's turn is that of all, in lockstep.
 *
 *	CONNECTING -> WAITING -> TESTING -> WAITING -> ROUNDS -> PARTING
 *
 * Parting is a STOP to everybody: who has heard one from all the others misses nothing more. */
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/perf_all_impl.h"

#define TICK (50 * SNET_MS)

static void begin_rounds(struct perf_all *a);
static void begin_pair(struct perf_all *a);

/* ---- the end */

static void finish(struct perf_all *a, const struct snet_error *err, uint64_t peer)
{
	if (a->stage == STAGE_OVER)
		return;
	a->stage = STAGE_OVER;
	if (err)
		a->why = *err; /* the others hear it, too */
	perf_report_finish(a->report, err, peer);
}

void perf_all_lose(struct perf_mate *m, int code, const char *why)
{
	struct perf_all *a = m->all;
	struct snet_error err = { 0 };
	const char *name = m->party->name;

	snet_fail(&err, code, "party %u%s%s%s: %s", m->party->id, name[0] ? " (" : "", name,
		  name[0] ? ")" : "", why);
	if (a->stage == STAGE_TESTING && a->client)
		perf_client_stop(a->client);
	else if (a->stage == STAGE_ROUNDS)
		perf_report_end(a->report, false, snet_now());
	/* What the client has is in the report by now. */
	finish(a, &err, m->party->id);
}

/* ---- saying things to everybody */

static void say_to_all(struct perf_all *a, const struct perf_message *msg, size_t total)
{
	for (size_t i = 0; i < a->n; i++)
		perf_mate_say(&a->mates[i], msg, total);
}

static void part(struct perf_all *a)
{
	static const struct perf_message stop = { .type = PERF_STOP };

	a->stage = STAGE_PARTING;
	a->parted = snet_now();
	say_to_all(a, &stop, 0);
	perf_all_advance(a);
}

/* ---- lockstep */

/* It has said that it is done, and has not done as many rounds. */
static bool parted_early(struct perf_all *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (i != a->me && a->mates[i].heard_stop && a->mates[i].round < a->round) {
			perf_all_lose(&a->mates[i], SNET_EPROTO,
				      "does other rounds: all parties need the same options");
			return true;
		}
	return false;
}

static void say_round(struct perf_all *a)
{
	struct perf_message m = { .type = PERF_ROUND, .seq = a->round };

	if (!a->me && snet_now() >= a->began + a->plan.time_ms * SNET_MS)
		a->last_round = a->round; /* the first party decides when it is enough */
	if (!a->me && a->last_round == a->round)
		m.type = PERF_LAST_ROUND;
	a->sent = snet_now();
	say_to_all(a, &m, a->plan.size);
}

static bool is_round_over(const struct perf_all *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (i != a->me && a->mates[i].round < a->round)
			return false;
	return true;
}

static void step_rounds(struct perf_all *a)
{
	if (a->stage == STAGE_ROUNDS && parted_early(a))
		return;
	while (a->stage == STAGE_ROUNDS && is_round_over(a)) {
		snet_time now = snet_now();

		perf_report_value(a->report, now - a->sent, SNET_NEVER, now);
		if (a->round == a->last_round) {
			perf_report_end(a->report, true, now);
			a->round++;
			a->round_plan++;
			begin_rounds(a);
			return;
		}
		a->round++;
		say_round(a);
	}
}

/* The next of the tests in lockstep, if there is one. */
static void begin_rounds(struct perf_all *a)
{
	while (a->round_plan < a->opts->n && a->opts->plans[a->round_plan].test != PERF_ROUNDS)
		a->round_plan++;
	if (a->round_plan == a->opts->n) {
		part(a);
		return;
	}
	a->plan = a->opts->plans[a->round_plan];
	if (!a->plan.size)
		a->plan.size = 64;
	a->plan.parallel = 1;
	a->stage = STAGE_ROUNDS; /* whose last the first party may have said already */
	a->began = snet_now();
	perf_report_begin(a->report, &a->plan, a->mates[a->me].party->id, UINT32_MAX, a->began);
	say_round(a);
	step_rounds(a);
}

/* ---- the turn */

static void on_pair_over(const struct snet_error *err, void *user)
{
	struct perf_all *a = user;

	if (err) {
		finish(a, err, a->mates[a->at].party->id);
		return;
	}
	if (a->stage == STAGE_TESTING)
		snet_task_defer(a->net->loop, &a->next);
}

static void on_next(struct snet_task *t)
{
	struct perf_all *a = t->user;

	perf_client_free(a->client);
	a->client = NULL;
	if (a->stage != STAGE_TESTING)
		return;
	a->at++;
	begin_pair(a);
}

/* What was measured so far is everybody's, as soon as it is. */
static void on_row(const struct perf_result *row, void *user)
{
	struct perf_all *a = user;
	struct perf_message m = { .type = PERF_ROW, .row = *row };

	if (row->to != UINT32_MAX)
		say_to_all(a, &m, 0);
}

static void give_turn(struct perf_all *a)
{
	static const struct perf_message turn = { .type = PERF_TURN };

	a->my_turn = false;
	a->stage = STAGE_WAITING;
	if (a->me + 1 < a->n) {
		perf_mate_say(&a->mates[a->me + 1], &turn, 0);
		return;
	}
	say_to_all(a, &turn, 0);
	a->all_turn = true;
	perf_all_advance(a);
}

static void begin_pair(struct perf_all *a)
{
	struct perf_client_opts o = { .opts = &a->pair,
				      .report = a->report,
				      .from = a->mates[a->me].party->id,
				      .wait_until = a->wait_until,
				      .on_over = on_pair_over,
				      .user = a };
	struct snet_error err = { 0 };
	struct snet_url url;
	int rc;

	if (a->at == a->n || !a->pair.n) {
		give_turn(a);
		return;
	}
	url = a->mates[a->at].party->address;
	url.has_key = true;
	memcpy(url.key, a->mates[a->at].party->key, sizeof(url.key));
	o.to = a->mates[a->at].party->id;
	a->stage = STAGE_TESTING;
	rc = perf_client_new(&a->client, a->net, &url, &o, &err);
	if (rc)
		finish(a, &err, o.to);
}

/* ---- what comes next */

static bool all_are(const struct perf_all *a, bool stopped)
{
	for (size_t i = 0; i < a->n; i++)
		if (i != a->me &&
		    !(stopped ? a->mates[i].heard_stop : a->mates[i].up && a->mates[i].chan))
			return false;
	return true;
}

void perf_all_advance(struct perf_all *a)
{
	if (a->stage == STAGE_CONNECTING && all_are(a, false)) {
		out_event("ready", out_uint("peers", a->n - 1));
		a->stage = STAGE_WAITING;
	}
	if (a->stage == STAGE_WAITING && a->all_turn) {
		a->all_turn = false;
		begin_rounds(a);
	} else if (a->stage == STAGE_WAITING && a->my_turn) {
		a->at = a->me + 1;
		begin_pair(a);
	} else if (a->stage == STAGE_PARTING && all_are(a, true)) {
		finish(a, NULL, OPT_NONE);
	}
}

/* ---- what the others say */

static void take_turn(struct perf_mate *m)
{
	struct perf_all *a = m->all;

	if (m->nth == a->n - 1)
		a->all_turn = true;
	else if (m->nth + 1 == a->me)
		a->my_turn = true;
	perf_all_advance(a);
}

static bool is_plausible(const struct perf_all *a, const struct perf_mate *m,
			 const struct perf_result *row)
{
	return row->from == m->party->id && roster_party(a->net->roster, row->to) &&
	       row->to != row->from;
}

void perf_all_message(struct perf_chan *c, const struct perf_message *m, size_t total,
		      void *user)
{
	struct perf_mate *mate = user;
	struct perf_all *a = mate->all;

	(void)c, (void)total;
	if (a->stage == STAGE_OVER)
		return;
	if (m->type == PERF_TURN) {
		take_turn(mate);
	} else if (m->type == PERF_ROW && is_plausible(a, mate, &m->row) &&
		   mate->rows++ < PERF_PLANS * a->n) {
		perf_report_row(a->report, &m->row);
	} else if (m->type == PERF_ROUND || m->type == PERF_LAST_ROUND) {
		if (m->seq > mate->round)
			mate->round = m->seq;
		if (m->type == PERF_LAST_ROUND && !mate->nth)
			a->last_round = m->seq;
		step_rounds(a);
	} else if (m->type == PERF_STOP) {
		mate->heard_stop = true;
		step_rounds(a);
		perf_all_advance(a);
	} else {
		perf_chan_close(c, SNET_EPROTO, "not what a party says");
		mate->chan = NULL;
		perf_all_lose(mate, SNET_EPROTO, "says what no party says");
	}
}

static void look_who_is_missing(struct perf_all *a, snet_time now)
{
	perf_mates_say_waiting(a, NULL, now);
	for (size_t i = 0; i < a->n && a->stage == STAGE_CONNECTING; i++) {
		struct perf_mate *m = &a->mates[i];

		if (i == a->me || m->up || now < a->wait_until)
			continue;
		if (i < a->me)
			perf_all_lose(m, SNET_EUNREACH, "has not come");
		else if (m->resolve)
			perf_all_lose(m, m->last.code ? m->last.code : SNET_ETIMEOUT,
				      m->last.code ? m->last.text
						   : "its name is not known in time");
	}
}

/* Whoever is there, and does not do what is his to do. */
static void look_who_dawdles(struct perf_all *a, snet_time since, bool stopped)
{
	if (snet_now() - since < cli.timeout)
		return;
	for (size_t i = 0; i < a->n; i++) {
		struct perf_mate *m = &a->mates[i];

		if (i == a->me || (stopped ? m->heard_stop : m->round >= a->round))
			continue;
		perf_all_lose(m, SNET_ETIMEOUT,
			      stopped ? "does not say that it is done" : "does not go on");
		return;
	}
}

/* The first party says which round is the last. */
static void look_for_the_end(struct perf_all *a)
{
	snet_time since = a->began + a->plan.time_ms * SNET_MS, now = snet_now();

	if (now >= since && now - since >= cli.timeout)
		perf_all_lose(&a->mates[0], SNET_ETIMEOUT, "does not end the rounds");
}

static void on_tick(struct snet_timer *t, snet_time now)
{
	struct perf_all *a = t->user;

	if (a->stage == STAGE_CONNECTING) {
		look_who_is_missing(a, now);
	} else if (a->stage == STAGE_ROUNDS) {
		perf_report_tick(a->report, snet_now());
		look_who_dawdles(a, a->sent, false);
		if (a->stage == STAGE_ROUNDS && a->me)
			look_for_the_end(a);
	} else if (a->stage == STAGE_PARTING) {
		look_who_dawdles(a, a->parted, true);
	}
	snet_timer_set(a->net->loop, t,
		       a->stage == STAGE_ROUNDS ? perf_report_due(a->report, now + TICK)
						: now + TICK);
}

/* ---- life */

static int begin(struct perf_all *a, const struct snet_url *at, struct snet_error *err)
{
	int rc = perf_mates_find(a, err);

	if (rc)
		return rc;
	if (a->n < 2)
		return snet_fail(err, SNET_ECONFIG, "%s: one party has nobody to talk to",
				 cli.roster);
	for (size_t i = 0; i < a->opts->n; i++)
		if (a->opts->plans[i].test != PERF_ROUNDS)
			a->pair.plans[a->pair.n++] = a->opts->plans[i];
	a->report->parties = (uint32_t)a->n;
	a->report->transport = "quic";
	a->report->on_row = on_row;
	a->report->on_row_user = a;
	a->my_turn = !a->me;
	rc = perf_serve_new(&a->serve, a->net, (snet_time)PERF_TIME_MAX * SNET_MS, err);
	if (rc)
		return rc;
	perf_serve_pass(a->serve, perf_mate_passed, a);
	rc = perf_serve_listen(a->serve, at, err);
	for (size_t i = a->me + 1; i < a->n && !rc && a->stage == STAGE_CONNECTING; i++)
		perf_mate_dial(&a->mates[i]);
	return rc;
}

int perf_all_new(struct perf_all **out, struct run *run, struct net *n,
		 const struct snet_url *at, const struct perf_opts *o,
		 struct perf_report *report, struct snet_error *err)
{
	struct perf_all *a = calloc(1, sizeof(*a));

	if (!a)
		return snet_fail(err, SNET_ENOMEM, "party");
	*out = a; /* the caller's also when the rest fails */
	*a = (struct perf_all){ .run = run,
				.net = n,
				.opts = o,
				.report = report,
				.round = 1,
				.said = snet_loop_now(n->loop),
				.wait_until = perf_until(n->loop) };
	a->tick = (struct snet_timer){ .fn = on_tick, .user = a };
	snet_task_init(&a->next, on_next, a);
	if (snet_timer_set(n->loop, &a->tick, snet_loop_now(n->loop) + TICK))
		return snet_fail(err, SNET_ENOMEM, "party");
	return begin(a, at, err);
}

void perf_all_stop(struct perf_all *a)
{
	if (a->stage == STAGE_TESTING && a->client)
		perf_client_stop(a->client);
	else if (a->stage == STAGE_ROUNDS)
		perf_report_end(a->report, false, snet_now());
	finish(a, NULL, OPT_NONE);
}

void perf_all_free(struct perf_all *a)
{
	if (!a)
		return;
	a->stage = STAGE_OVER;
	perf_client_free(a->client);
	snet_task_cancel(&a->next);
	snet_timer_stop(a->net->loop, &a->tick);
	for (size_t i = 0; a->mates && i < a->n; i++) {
		snet_timer_stop(a->net->loop, &a->mates[i].redial);
		snet_resolve_free(a->mates[i].resolve);
		perf_chan_close(a->mates[i].chan, a->why.code ? SNET_ELOST : SNET_OK,
				a->why.code ? a->why.text : "done");
	}
	perf_serve_free(a->serve);
	free(a->mates);
	free(a);
}
