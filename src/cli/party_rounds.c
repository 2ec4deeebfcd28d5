#include <stdlib.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/output.h"
#include "cli/party_impl.h"
#include "cli/say.h"

/* --sync: messages come out by the round, when everyone's is there. */

#define AHEAD 4 /* queues */

static uint32_t self_index(const struct party *p)
{
	return (uint32_t)(p->self - p->net.roster->members);
}

/* ---- printing one: as far as stdout takes it */

static void print_missing(struct party *p)
{
	struct snet_buf b = SNET_BUF(16 * SNET_ROUNDS_PARTIES);

	for (uint32_t k = 0; k < p->n; k++) {
		uint32_t i = p->round_order[k];

		if (!p->round->slots[i].present)
			snet_buf_fmt(&b, "%s%u", b.n ? "," : "", p->members[i].who->id);
	}
	output_round_end(&p->duct.out, p->round->number, b.bad ? NULL : b.p, b.n);
	snet_buf_free(&b);
}

/* true: all of it is out. */
static bool print_on(struct party *p)
{
	struct output *o = &p->duct.out;
	bool broken = !p->duct.sink || sink_is_broken(p->duct.sink);

	if (!p->round_at && !broken)
		output_round_begin(o, p->round->number);
	while (p->round_at < p->n && !broken) {
		uint32_t i = p->round_order[p->round_at];
		const struct snet_round_slot *s = &p->round->slots[i];
		struct snet_message m = {
			.kind = s->kind, .seq = p->round->number, .p = s->v.p, .n = s->v.n
		};
		struct snet_error err;

		if (sink_is_full(p->duct.sink)) {
			party_stall(p);
			return false;
		}
		if (output_round_message(o, p->members[i].who->id, &m,
					 s->present && s->kind != PARTY_SILENT) &&
		    !sink_is_broken(p->duct.sink)) {
			snet_fail(&err, SNET_ENOMEM, "no memory for round %llu",
				  (unsigned long long)p->round->number);
			party_done(p, &err, OPT_NONE);
			return true;
		}
		broken = sink_is_broken(p->duct.sink);
		p->round_at++;
	}
	if (!broken)
		print_missing(p);
	return true;
}

/* ---- what hinders a round */

static bool sends_no_more(const struct party *p, uint32_t i)
{
	const struct party_member *m = &p->members[i];

	return m->over || m->ended || (m->who == p->self && p->ended);
}

/* Names the first of those whose message is not there, and will not be. */
static void fail(struct party *p, int code, const char *why)
{
	const struct roster_member *first = NULL;
	struct snet_error err;
	uint32_t count = 0;

	for (uint32_t k = p->n; k--;) {
		uint32_t i = p->round_order[k];

		if (!snet_rounds_is_missing(&p->rounds, i) ||
		    (code == SNET_ELOST && !sends_no_more(p, i)))
			continue;
		first = p->members[i].who;
		count++;
	}
	if (!first)
		return;
	snet_fail(&err, code, "round %llu has no message of party %u%s%s%s: %s",
		  (unsigned long long)p->rounds.number, first->id, first->name[0] ? ", " : "",
		  first->name, count > 1 ? " and others" : "", why);
	party_blame(p, &err, first->id);
	party_done(p, &p->worst, p->worst_peer);
}

/* Everyone may end after any round; who ends earlier than others leaves them waiting. If that
 * is this party it says goodbye to them first, so that they know; now: they know. */
void party_rounds_check(struct party *p, bool now)
{
	if (!p->rounds_lost || !p->rounds.here || p->round)
		return;
	for (uint32_t i = 0; i < p->n && !now; i++)
		now = p->members[i].who != p->self && sends_no_more(p, i) &&
		      snet_rounds_is_missing(&p->rounds, i);
	if (now)
		fail(p, SNET_ELOST, "no more will come of it");
}

/* ---- turning */

static bool is_ahead(const struct party *p)
{
	return snet_rounds_kept(&p->rounds, self_index(p)) >= cli.queue;
}

/* What a round has taken is acknowledged, and not before: so others run ahead of us no further
 * than their queues allow. Pausing them would leave their acknowledgements unread, and two that
 * wait for each other would wait for ever. */
static void round_is_out(struct party *p)
{
	uint64_t number = p->round->number;

	p->round = NULL;
	p->round_at = 0;
	snet_rounds_done(&p->rounds, snet_loop_now(p->run->loop));
	for (uint32_t i = 0; i < p->n; i++) {
		snet_mesh_confirm(p->mesh, i, 0, number);
		if (p->members[i].plain && snet_rounds_kept(&p->rounds, i) < cli.queue)
			snet_mesh_hold(p->mesh, i, false);
	}
	if (p->self_full && !is_ahead(p)) {
		p->self_full = false;
		party_read_on(p);
	}
	party_stall(p);
	party_exec_check(p);
	party_check_over(p);
}

void party_rounds_turn(struct party *p)
{
	struct snet_loop *l = p->run->loop;
	int rc = SNET_OK;

	if (p->turning) /* by what comes from stdin while it turns */
		return;
	p->turning = true;
	while (!p->done && !p->stalled) {
		if (p->round && !print_on(p))
			break;
		if (p->round)
			round_is_out(p);
		rc = snet_rounds_next(&p->rounds, snet_loop_now(l), &p->round);
		if (rc || !p->round)
			break;
	}
	p->turning = false;
	if (rc == SNET_ETIMEOUT)
		fail(p, SNET_ETIMEOUT, "it has not come in time (--round-timeout)");
	p->rounds_lost = rc == SNET_ELOST;
	party_rounds_check(p, false);
	snet_timer_set(l, &p->round_timer, p->done ? SNET_NEVER : p->rounds.deadline);
}

static void on_time(struct snet_timer *t, snet_time now)
{
	(void)now;
	party_rounds_turn(t->user);
}

/* ---- what is said */

static void late(struct party *p, uint32_t i, uint64_t round)
{
	struct snet_error err;

	snet_fail(&err, SNET_ETIMEOUT, "round %llu: the message of party %u came late",
		  (unsigned long long)round, p->members[i].who->id);
	out_error(&err, p->members[i].who->id, OPT_NONE, false);
}

void party_rounds_put(struct party *p, uint32_t i, uint8_t kind, const struct snet_slice *v)
{
	uint64_t round = 0;
	struct snet_error err;
	int rc = snet_rounds_put(&p->rounds, i, kind, v, snet_loop_now(p->run->loop), &round);

	if (rc == SNET_ETIMEOUT) {
		late(p, i, round);
	} else if (rc == SNET_EAGAIN) {
		snet_fail(
			&err, SNET_EPOLICY,
			"party %u is too far ahead: round %llu, and round %llu is not complete",
			p->members[i].who->id, (unsigned long long)round,
			(unsigned long long)p->rounds.number);
		party_done(p, &err, p->members[i].who->id);
		return;
	} else if (rc) {
		snet_fail(&err, rc, "no memory for round %llu", (unsigned long long)round);
		party_done(p, &err, OPT_NONE);
		return;
	}
	if (p->members[i].plain && snet_rounds_kept(&p->rounds, i) >= cli.queue)
		snet_mesh_hold(p->mesh, i, true); /* it hears no acknowledgements */
	if (i == self_index(p)) {
		p->members[i].sent++;
		p->self_full = is_ahead(p);
	}
	party_rounds_turn(p);
}

/* Who has told all the others has said what there is of this round, though nothing to itself.
 */
void party_rounds_sent(struct party *p)
{
	static const struct snet_slice nothing = { (const uint8_t *)"", 0, NULL };
	uint32_t self = self_index(p);
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < p->n; i++)
		if (i != self && p->members[i].sent < least)
			least = p->members[i].sent;
	while (p->n > 1 && p->members[self].sent < least && !p->done)
		party_rounds_put(p, self, PARTY_SILENT, &nothing);
}

void party_rounds_without(struct party *p, uint32_t i)
{
	snet_rounds_give_up(&p->rounds, i);
	party_rounds_turn(p);
}

void party_rounds_with(struct party *p, uint32_t i)
{
	snet_rounds_expect(&p->rounds, i);
}

/* ---- life */

int party_rounds_init(struct party *p, struct snet_error *err)
{
	const struct roster *r = p->net.roster;
	uint32_t q = party_quorum(p);
	/* Others may have larger queues than this party. */
	size_t ahead = AHEAD * cli.queue + 2 * (size_t)cli.max_message;
	int rc = snet_rounds_init(&p->rounds, p->n, q, p->opts->round_timeout, ahead);

	p->round_timer = (struct snet_timer){ .fn = on_time, .user = p };
	p->round_order = calloc(p->n, sizeof(*p->round_order));
	if (rc || !p->round_order)
		return snet_fail(err, rc ? rc : SNET_ENOMEM, "--sync");
	for (uint32_t i = 0; i < p->n; i++)
		p->round_order[i] = (uint32_t)(r->by_id[i] - r->members);
	return SNET_OK;
}

void party_rounds_fini(struct party *p)
{
	if (!p->round_order)
		return;
	snet_timer_stop(p->run->loop, &p->round_timer);
	snet_rounds_fini(&p->rounds);
	free(p->round_order);
}
