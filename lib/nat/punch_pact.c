#include "nat/punch_pact.h"

#include <assert.h>

#include "base/err.h"

#define BIT(s) (1u << SNET_PACT_##s)

/* clang-format off */
static const uint8_t may_follow[] = {
	[SNET_PACT_IDLE]      = BIT(MEASURING) | BIT(AWAITING) | BIT(AGREED) | BIT(OVER),
	[SNET_PACT_MEASURING] = BIT(TIMING) | BIT(AWAITING) | BIT(AGREED) | BIT(OVER),
	[SNET_PACT_TIMING]    = BIT(AGREED) | BIT(OVER),
	[SNET_PACT_AWAITING]  = BIT(AWAITING) | BIT(AGREED) | BIT(OVER),
	[SNET_PACT_AGREED]    = BIT(OVER),
	[SNET_PACT_OVER]      = BIT(IDLE) | BIT(OVER),
};
/* clang-format on */

/* When to come back. What is to be said is due at once. */
static void arm(struct snet_pact *p)
{
	p->deadline = p->state == SNET_PACT_OVER ? SNET_NEVER : p->alone;
	if ((p->state == SNET_PACT_TIMING || p->state == SNET_PACT_AGREED) &&
	    p->at < p->deadline)
		p->deadline = p->at;
	if (p->ask || p->answer)
		p->deadline = 0;
}

/* The only writer of p->state. */
static void enter(struct snet_pact *p, enum snet_pact_state next)
{
	assert(may_follow[p->state] & 1u << next);
	p->state = next;
	if (next != SNET_PACT_MEASURING && next != SNET_PACT_TIMING)
		p->ask = false;
	if (next == SNET_PACT_OVER)
		p->answer = false;
	arm(p);
}

void snet_pact_init(struct snet_pact *p)
{
	*p = (struct snet_pact){ .deadline = SNET_NEVER, .alone = SNET_NEVER };
}

void snet_pact_stop(struct snet_pact *p)
{
	enter(p, SNET_PACT_OVER);
}

void snet_pact_renew(struct snet_pact *p)
{
	p->alone = SNET_NEVER;
	enter(p, SNET_PACT_IDLE);
}

/* A word of the peer is worth some time, but not all of it. */
static void wait_until(struct snet_pact *p, snet_time then)
{
	snet_time most = p->since + SNET_PACT_WAIT_MAX;

	if (p->alone == SNET_NEVER) /* nothing is wanted by ourselves */
		return;
	then = then < most ? then : most;
	p->alone = p->alone > then ? p->alone : then;
}

void snet_pact_want(struct snet_pact *p, snet_time now)
{
	if (p->state == SNET_PACT_OVER || p->alone != SNET_NEVER)
		return;
	p->since = now;
	p->alone = now + SNET_PACT_ALONE;
	if (p->state == SNET_PACT_AGREED)
		wait_until(p, p->at);
	arm(p);
}

/* ---- who asks */

int snet_pact_ask(struct snet_pact *p, uint64_t id, const struct snet_addr *target,
		  snet_time now)
{
	if (p->state != SNET_PACT_IDLE)
		return SNET_EAGAIN;
	if (p->asks == SNET_PACT_ASKS)
		return SNET_EPOLICY;
	snet_pact_want(p, now);
	p->asks++;
	p->id = id;
	p->target = *target;
	p->asked = now;
	p->delay = p->rtt = 0;
	p->ask = true;
	enter(p, SNET_PACT_MEASURING);
	return SNET_OK;
}

/* The answer is back half a round trip after the other side has heard; half as much again for
 * one that is slower than the first. */
static void time_it(struct snet_pact *p, snet_time now)
{
	snet_time delay = p->rtt / 2 + p->rtt / 4 + SNET_PACT_DELAY_LEAST;

	p->delay = (delay + SNET_MS - 1) / SNET_MS * SNET_MS;
	if (p->delay > SNET_PACT_DELAY_MAX)
		p->delay = SNET_PACT_DELAY_MAX;
	p->id++;
	p->asked = now;
	p->at = now + p->rtt / 2 + p->delay;
	wait_until(p, p->at);
	p->ask = true;
	enter(p, SNET_PACT_TIMING);
}

static int hear_ack(struct snet_pact *p, uint64_t id, snet_time now)
{
	if (p->id != id || p->ask) /* nobody answers what has not been said */
		return SNET_EAGAIN;
	if (p->state == SNET_PACT_MEASURING) {
		p->rtt = now - p->asked;
		time_it(p, now);
	} else if (p->state == SNET_PACT_TIMING) {
		/* Of this very request: the way there was a part of it. */
		p->rtt = now - p->asked;
		p->at = p->asked + p->rtt / 2 + p->delay;
		wait_until(p, p->at);
		enter(p, SNET_PACT_AGREED);
	} else {
		return SNET_EAGAIN;
	}
	return SNET_OK;
}

/* ---- who is asked */

static bool is_known(const struct snet_pact *p, uint64_t id)
{
	for (unsigned i = 0; i < p->heard_n; i++)
		if (p->heard[i] == id)
			return true;
	return false;
}

static void answer(struct snet_pact *p, uint64_t id)
{
	p->heard[p->heard_n++] = id;
	p->answers = id;
	p->answer = true;
}

/* It costs nothing to answer, whoever wins: the peer's clock stops, no more. */
static void hear_measure(struct snet_pact *p, uint64_t id, snet_time now)
{
	answer(p, id);
	if (p->state != SNET_PACT_IDLE && p->state != SNET_PACT_AWAITING &&
	    (p->state != SNET_PACT_MEASURING || p->id > id)) {
		arm(p);
		return;
	}
	wait_until(p, now + SNET_PACT_ALONE);
	enter(p, SNET_PACT_AWAITING);
}

static int hear_request(struct snet_pact *p, const struct snet_pact_word *w, snet_time now)
{
	/* Two of them: the peer knows, and decides alike. Or it has been agreed upon. */
	if (is_known(p, w->id) || (p->state == SNET_PACT_TIMING && w->delay && p->id > w->id) ||
	    (p->state == SNET_PACT_AGREED && w->delay))
		return SNET_EAGAIN;
	if (w->delay > SNET_PACT_DELAY_MAX || p->heard_n == SNET_PACT_HEARD)
		return SNET_EPOLICY;
	if (!w->delay) {
		hear_measure(p, w->id, now);
		return SNET_OK;
	}
	answer(p, w->id);
	p->at = now + w->delay;
	p->target = w->target;
	wait_until(p, p->at);
	enter(p, SNET_PACT_AGREED);
	return SNET_OK;
}

int snet_pact_hear(struct snet_pact *p, const struct snet_pact_word *w, snet_time now)
{
	if (p->state == SNET_PACT_OVER)
		return SNET_ECLOSED;
	return w->kind == SNET_PACT_ACK ? hear_ack(p, w->id, now) : hear_request(p, w, now);
}

/* ---- steps */

static bool is_due(const struct snet_pact *p, snet_time now)
{
	return (p->state == SNET_PACT_TIMING || p->state == SNET_PACT_AGREED) && now >= p->at;
}

enum snet_pact_what snet_pact_step(struct snet_pact *p, struct snet_pact_word *out,
				   snet_time now)
{
	bool alone = now >= p->alone;

	*out = (struct snet_pact_word){ .kind = SNET_PACT_ACK, .id = p->answers };
	if (p->answer) {
		p->answer = false;
		arm(p);
		return SNET_PACT_SAY;
	}
	if (p->ask) {
		*out = (struct snet_pact_word){ SNET_PACT_REQUEST, p->id, p->target, p->delay };
		p->ask = false;
		arm(p);
		return SNET_PACT_SAY;
	}
	if (p->state == SNET_PACT_OVER || (!is_due(p, now) && !alone))
		return SNET_PACT_NOTHING;
	alone = !is_due(p, now);
	enter(p, SNET_PACT_OVER);
	return alone ? SNET_PACT_BEGIN_ALONE : SNET_PACT_BEGIN;
}
