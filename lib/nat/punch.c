#include "nat/punch.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

#define STEP_MAX 64 /* between two ports, for a rule; beyond it others have drawn, too */
#define BURNT 4     /* on either side, before the two begin to look for each other */
#define PORT_MIN 1024
#define PORTS (65536u - PORT_MIN) /* 2^10 * 3^2 * 7 */

#define BIT(s) (1u << SNET_PUNCH_##s)

/* clang-format off */
static const uint8_t may_follow[] = {
	[SNET_PUNCH_IDLE]    = BIT(PROBING) | BIT(HOLDING) | BIT(OVER),
	[SNET_PUNCH_PROBING] = BIT(OVER),
	[SNET_PUNCH_HOLDING] = BIT(OVER),
	[SNET_PUNCH_OVER]    = BIT(OVER),
};
/* clang-format on */

/* ---- ports */

/* Others use the NAT, too: a step may be a few times the smallest, never the other way. 0: all
 * are the same; STEP_MAX + 1: there is no rule. */
static int step_of(const uint16_t *seen, size_t n)
{
	int step = n >= 3 ? seen[n - 1] - seen[n - 2] : STEP_MAX + 1;

	for (size_t i = 1; i < n; i++) {
		int d = seen[i] - seen[i - 1];

		if (step > STEP_MAX || step < -STEP_MAX || (d == 0) != (step == 0) ||
		    (d < 0) != (step < 0) || d > STEP_MAX || d < -STEP_MAX)
			return STEP_MAX + 1;
		if (d > 0 ? d < step : d > step)
			step = d;
	}
	return step;
}

size_t snet_punch_foretell(const uint16_t *seen, size_t n, uint16_t *out, size_t max)
{
	int step = step_of(seen, n), next;
	size_t k;

	if (step > STEP_MAX || !max)
		return 0;
	out[0] = seen[n - 1];
	if (!step)
		return 1;
	for (k = 0, next = seen[n - 1] + step;
	     k < max && next >= PORT_MIN && next <= UINT16_MAX; next += step)
		out[k++] = (uint16_t)next;
	return k;
}

size_t snet_punch_between(const uint16_t *seen, size_t n, uint16_t *out, size_t max)
{
	int step = step_of(seen, n);
	size_t k = 0;

	if (step > STEP_MAX || !step)
		return 0;
	for (size_t i = 1; i < n; i++)
		for (int at = seen[i - 1] + step;
		     k < max && (step > 0 ? at < seen[i] : at > seen[i]); at += step)
			if (at >= PORT_MIN)
				out[k++] = (uint16_t)at;
	return k;
}

size_t snet_punch_cross(uint16_t *ports, size_t n, bool twice)
{
	uint16_t far[BURNT];
	size_t k = 0;

	if (n <= 2 * BURNT)
		return n;
	/* These are for nothing but to be ahead of where the lines cross. */
	memcpy(far, ports + n - BURNT, sizeof(far));
	n -= BURNT;
	for (size_t i = 0; i < n; i += 1 + twice)
		ports[k++] = ports[i];
	memmove(ports + BURNT, ports, k * sizeof(*ports));
	memcpy(ports, far, sizeof(far));
	return k + BURNT;
}

/* All ports come before one comes again: stride has no divisor in common with their number. */
static uint16_t drawn(const struct snet_punch *p, unsigned i)
{
	return (uint16_t)(PORT_MIN + (p->first + (uint64_t)i * p->stride) % PORTS);
}

static void shuffle(struct snet_punch *p, uint64_t random)
{
	p->first = (uint32_t)(random % PORTS);
	p->stride = (uint32_t)((random >> 32) % PORTS) | 1;
	while (p->stride % 3 == 0 || p->stride % 7 == 0)
		p->stride += 2;
}

/* ---- life */

/* The only writer of p->state. */
static void enter(struct snet_punch *p, enum snet_punch_state next, snet_time deadline)
{
	assert(may_follow[p->state] & 1u << next);
	p->state = next;
	p->deadline = deadline;
	p->at = 0;
}

void snet_punch_init(struct snet_punch *p)
{
	*p = (struct snet_punch){ .deadline = SNET_NEVER };
}

int snet_punch_sweep(struct snet_punch *p, const uint16_t *ports, size_t n, snet_time now)
{
	if (p->state != SNET_PUNCH_IDLE || !n)
		return SNET_EINVAL;
	p->listed_n = (unsigned)(n < SNET_PUNCH_AHEAD ? n : SNET_PUNCH_AHEAD);
	memcpy(p->listed, ports, p->listed_n * sizeof(p->listed[0]));
	enter(p, SNET_PUNCH_PROBING, now);
	return SNET_OK;
}

int snet_punch_draw(struct snet_punch *p, unsigned lots, uint64_t random, snet_time now)
{
	if (p->state != SNET_PUNCH_IDLE || !lots)
		return SNET_EINVAL;
	p->lots = lots < SNET_PUNCH_BIRTHDAY_MAX ? lots : SNET_PUNCH_BIRTHDAY_MAX;
	shuffle(p, random);
	enter(p, SNET_PUNCH_PROBING, now + SNET_PUNCH_HEAD_START);
	return SNET_OK;
}

int snet_punch_hold(struct snet_punch *p, unsigned lots, snet_time now)
{
	if (p->state != SNET_PUNCH_IDLE || !lots)
		return SNET_EINVAL;
	p->sockets = lots < SNET_PUNCH_BIRTHDAY_MAX ? (lots + 3) / 4 : SNET_PUNCH_HELD_MAX;
	p->round = now + SNET_PUNCH_HOLD_AGAIN;
	p->end = now + SNET_PUNCH_HOLD_FOR;
	enter(p, SNET_PUNCH_HOLDING, now);
	return SNET_OK;
}

void snet_punch_stop(struct snet_punch *p)
{
	enter(p, SNET_PUNCH_OVER, SNET_NEVER);
}

/* ---- steps. Each returns one want, or NOTHING. */

static struct snet_punch_want done(struct snet_punch *p)
{
	enter(p, SNET_PUNCH_OVER, SNET_NEVER);
	return (struct snet_punch_want){ .what = SNET_PUNCH_DONE };
}

static struct snet_punch_want probe(struct snet_punch *p, snet_time now)
{
	struct snet_punch_want want = { .what = SNET_PUNCH_PROBE };

	if (p->at == p->listed_n + p->lots)
		return done(p);
	want.port = p->lots ? drawn(p, p->at) : p->listed[p->at];
	p->at++;
	p->deadline = now + SNET_PUNCH_PACE;
	return want;
}

static struct snet_punch_want hold(struct snet_punch *p, snet_time now)
{
	if (now >= p->end)
		return done(p);
	if (p->at == p->sockets && now >= p->round) {
		p->at = 0;
		p->round = p->end;
	}
	if (p->at == p->sockets) {
		p->deadline = p->round;
		return (struct snet_punch_want){ .what = SNET_PUNCH_NOTHING };
	}
	p->deadline = now + SNET_PUNCH_HOLD_PACE;
	return (struct snet_punch_want){ .what = SNET_PUNCH_HOLD, .socket = p->at++ };
}

struct snet_punch_want snet_punch_step(struct snet_punch *p, snet_time now)
{
	if (now >= p->deadline && p->state == SNET_PUNCH_PROBING)
		return probe(p, now);
	if (now >= p->deadline && p->state == SNET_PUNCH_HOLDING)
		return hold(p, now);
	return (struct snet_punch_want){ .what = SNET_PUNCH_NOTHING };
}
