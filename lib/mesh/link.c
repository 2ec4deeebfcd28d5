#include "mesh/link.h"

#include <assert.h>

#define SETTLE_EACH (12 * SNET_MS)
#define SETTLE_FREE 3 /* parties that are so few that it does not matter */
#define SETTLE_MAX (1 * SNET_SEC)
#define SHIFT_MAX 16 /* of the backoff: more doublings than any ceiling needs */

/* clang-format off */
static const uint8_t may_follow[] = {
	[SNET_LINK_DOWN]    = 1 << SNET_LINK_DIALING | 1 << SNET_LINK_UP | 1 << SNET_LINK_CLOSED,
	[SNET_LINK_DIALING] = 1 << SNET_LINK_UP | 1 << SNET_LINK_WAITING | 1 << SNET_LINK_CLOSED,
	[SNET_LINK_UP]      = 1 << SNET_LINK_WAITING | 1 << SNET_LINK_CLOSED,
	[SNET_LINK_WAITING] = 1 << SNET_LINK_DIALING | 1 << SNET_LINK_UP | 1 << SNET_LINK_CLOSED,
	[SNET_LINK_CLOSED]  = 0,
};
/* clang-format on */

/* The only writer of l->state. */
static enum snet_link_want enter(struct snet_link *l, enum snet_link_state next,
				 snet_time deadline, enum snet_link_want want)
{
	assert(may_follow[l->state] & 1 << next);
	l->state = next;
	l->deadline = deadline;
	return want;
}

static enum snet_link_want dial(struct snet_link *l, snet_time now)
{
	snet_time until =
		l->dial_timeout < SNET_NEVER - now ? now + l->dial_timeout : SNET_NEVER;

	return enter(l, SNET_LINK_DIALING, until < l->give_up ? until : l->give_up,
		     SNET_LINK_DIAL);
}

/* Whole backoff, doubled per try, drawn from its upper half: parties started
 * together do not dial together. */
static snet_time backoff(struct snet_link *l, uint32_t random)
{
	snet_time whole = SNET_LINK_BACKOFF_MIN
			  << (l->tries < SHIFT_MAX ? l->tries : SHIFT_MAX);

	if (whole < l->patience)
		whole = l->patience;
	if (whole > SNET_LINK_BACKOFF_MAX)
		whole = SNET_LINK_BACKOFF_MAX;
	l->tries++;
	return whole / 2 + random % (whole / 2 + 1);
}

static enum snet_link_want wait_or_give_up(struct snet_link *l, snet_time now, uint32_t random,
					   enum snet_link_want want)
{
	snet_time at = now + backoff(l, random);

	if (now >= l->give_up)
		return enter(l, SNET_LINK_CLOSED, SNET_NEVER, SNET_LINK_GIVE_UP);
	return enter(l, SNET_LINK_WAITING, at < l->give_up ? at : l->give_up, want);
}

void snet_link_init(struct snet_link *l, snet_time give_up, snet_time dial_timeout)
{
	*l = (struct snet_link){ .state = SNET_LINK_DOWN,
				 .deadline = SNET_NEVER,
				 .give_up = give_up,
				 .dial_timeout = dial_timeout };
}

snet_time snet_link_settle(uint32_t n)
{
	snet_time settle = n > SETTLE_FREE ? (n - SETTLE_FREE) * SETTLE_EACH : 0;

	return settle < SETTLE_MAX ? settle : SETTLE_MAX;
}

enum snet_link_want snet_link_step(struct snet_link *l, enum snet_link_event ev, snet_time now,
				   uint32_t random)
{
	if (ev == SNET_LINK_CLOSE && l->state != SNET_LINK_CLOSED)
		return enter(l, SNET_LINK_CLOSED, SNET_NEVER, SNET_LINK_HANGUP);

	if (ev == SNET_LINK_OPENED && may_follow[l->state] & 1 << SNET_LINK_UP) {
		l->tries = 0;
		return enter(l, SNET_LINK_UP, SNET_NEVER, SNET_LINK_NOTHING);
	}

	switch (l->state) {
	case SNET_LINK_DOWN:
		if (ev == SNET_LINK_START)
			return dial(l, now);
		break;
	case SNET_LINK_DIALING:
		if (ev == SNET_LINK_LOST)
			return wait_or_give_up(l, now, random, SNET_LINK_NOTHING);
		if (ev == SNET_LINK_DUE)
			return wait_or_give_up(l, now, random, SNET_LINK_HANGUP);
		break;
	case SNET_LINK_UP:
		if (ev == SNET_LINK_LOST)
			return wait_or_give_up(l, now, random, SNET_LINK_NOTHING);
		break;
	case SNET_LINK_WAITING:
		if (ev == SNET_LINK_DUE && now >= l->give_up)
			return enter(l, SNET_LINK_CLOSED, SNET_NEVER, SNET_LINK_GIVE_UP);
		if (ev == SNET_LINK_DUE)
			return dial(l, now);
		break;
	case SNET_LINK_CLOSED:
		break;
	}
	return SNET_LINK_NOTHING;
}
