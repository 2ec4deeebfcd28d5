#include "nat/punch.h"

#include <assert.h>

#include "nat/candidates.h"

#define STEP_MAX 64 /* between two ports, for a rule; beyond it others have drawn, too */
#define PORT_MIN 1024

#define BIT(s) (1u << SNET_PUNCH_##s)
#define ENDS (BIT(DONE) | BIT(FAILED))

const struct snet_punch_config snet_punch_defaults = {
	.initial_delay = 100 * SNET_MS,
	.jitter = 50 * SNET_MS,
	.probe_interval = 20 * SNET_MS,
	.connection_timeout = 2 * SNET_SEC,
	.retry_delay = 500 * SNET_MS,
	.answer_timeout = 5 * SNET_SEC,
	.request_timeout = 10 * SNET_SEC,
	.probe_count = 5,
	.retries = 3,
};

/* clang-format off */
static const uint16_t may_follow[] = {
	[SNET_PUNCH_IDLE]      = BIT(ASKED) | BIT(READY) | ENDS,
	[SNET_PUNCH_ASKED]     = BIT(POISED) | BIT(RESTING) | ENDS,
	[SNET_PUNCH_READY]     = BIT(POISED) | ENDS,
	[SNET_PUNCH_POISED]    = BIT(POISED) | BIT(PROBING) | ENDS,
	[SNET_PUNCH_PROBING]   = BIT(POISED) | BIT(LISTENING) | ENDS,
	[SNET_PUNCH_LISTENING] = BIT(POISED) | BIT(READY) | BIT(RESTING) | ENDS,
	[SNET_PUNCH_RESTING]   = BIT(ASKED) | ENDS,
	[SNET_PUNCH_DONE]      = 0,
	[SNET_PUNCH_FAILED]    = 0,
};
/* clang-format on */

/* The only writer of p->state. */
static void enter(struct snet_punch *p, enum snet_punch_state next, snet_time deadline)
{
	assert(may_follow[p->state] & 1u << next);
	p->state = next;
	p->deadline = deadline;
}

int snet_punch_init(struct snet_punch *p, const struct snet_punch_config *config, bool asker,
		    uint64_t transaction)
{
	*p = (struct snet_punch){ .config = *config,
				  .asker = asker,
				  .transaction = transaction,
				  .deadline = SNET_NEVER };
	if (p->config.birthday > SNET_PUNCH_BIRTHDAY_MAX)
		p->config.birthday = SNET_PUNCH_BIRTHDAY_MAX;
	return config->probe_count && config->probe_interval && config->connection_timeout &&
			       config->retries && config->answer_timeout &&
			       config->request_timeout
		       ? SNET_OK
		       : SNET_EINVAL;
}

int snet_punch_add(struct snet_punch *p, const struct snet_addr *target, bool loopback)
{
	if (snet_candidate_refusal(target, loopback))
		return SNET_EPOLICY;
	for (size_t i = 0; i < p->targets_n; i++)
		if (snet_addr_eq(&p->targets[i], target))
			return SNET_EAGAIN;
	if (p->targets_n == SNET_PUNCH_TARGETS)
		return SNET_ETOOBIG;
	p->targets[p->targets_n++] = *target;
	return SNET_OK;
}

void snet_punch_start(struct snet_punch *p, snet_time now)
{
	if (p->state != SNET_PUNCH_IDLE)
		return;
	if (p->asker)
		enter(p, SNET_PUNCH_ASKED, now); /* the request goes out with the next step */
	else
		enter(p, SNET_PUNCH_READY, now + p->config.request_timeout);
}

int snet_punch_requested(struct snet_punch *p, uint64_t transaction, uint32_t delay_ms,
			 snet_time now)
{
	if (p->asker || !(may_follow[p->state] & BIT(POISED)))
		return SNET_EAGAIN;
	if (delay_ms > SNET_PUNCH_DELAY_MAX_MS)
		return SNET_EPROTO;
	if (p->attempt++ >= p->config.retries)
		return SNET_EAGAIN; /* a peer cannot have us send for ever */
	p->transaction = transaction;
	p->ack_due = true;
	enter(p, SNET_PUNCH_POISED, now + delay_ms * SNET_MS);
	return SNET_OK;
}

int snet_punch_acknowledged(struct snet_punch *p, uint64_t transaction, snet_time now)
{
	snet_time half;

	if (p->state != SNET_PUNCH_ASKED || transaction != p->transaction || !p->asked_at)
		return SNET_EAGAIN;
	p->rtt = now - p->asked_at;
	half = p->rtt / 2;
	enter(p, SNET_PUNCH_POISED, now + (p->delay > half ? p->delay - half : 0));
	return SNET_OK;
}

void snet_punch_succeeded(struct snet_punch *p)
{
	if (may_follow[p->state] & BIT(DONE))
		enter(p, SNET_PUNCH_DONE, SNET_NEVER);
}

/* ---- steps. Each returns one want, or NOTHING. */

static struct snet_punch_want ask(struct snet_punch *p, snet_time now, uint64_t random)
{
	snet_time least = p->config.initial_delay;

	/* Not shorter than what is left of it when the answer is here, if that is known. */
	if (least < p->rtt / 2)
		least = p->rtt / 2;
	p->delay = least + (p->config.jitter ? random % p->config.jitter : 0);
	p->delay = (p->delay + SNET_MS - 1) / SNET_MS * SNET_MS; /* both mean the same */
	if (p->delay > SNET_PUNCH_DELAY_MAX_MS * SNET_MS)
		p->delay = SNET_PUNCH_DELAY_MAX_MS * SNET_MS;
	p->attempt++;
	p->asked_at = now;
	p->deadline = now + p->config.answer_timeout;
	return (struct snet_punch_want){ .what = SNET_PUNCH_REQUEST,
					 .transaction = p->transaction,
					 .delay_ms = (uint32_t)(p->delay / SNET_MS) };
}

/* How many of the round's probes go to ports drawn by lot. */
static unsigned drawn(const struct snet_punch *p)
{
	return p->targets_n ? p->config.birthday / p->config.probe_count : 0;
}

static struct snet_punch_want probe(struct snet_punch *p, snet_time now, uint64_t random)
{
	struct snet_punch_want want = { .what = SNET_PUNCH_PROBE,
					.transaction = p->transaction };
	unsigned at = p->at++;

	if (at < p->targets_n) {
		want.to = p->targets[at];
		return want;
	}
	if (at - p->targets_n < drawn(p)) {
		want.to = p->targets[0];
		snet_addr_set_port(&want.to,
				   (uint16_t)(PORT_MIN + random % (65536 - PORT_MIN)));
		return want;
	}
	p->at = 0;
	if (++p->round < p->config.probe_count)
		p->deadline = now + p->config.probe_interval;
	else
		enter(p, SNET_PUNCH_LISTENING, now + p->config.connection_timeout);
	return (struct snet_punch_want){ .what = SNET_PUNCH_NOTHING };
}

static struct snet_punch_want give_up(struct snet_punch *p)
{
	enter(p, SNET_PUNCH_FAILED, SNET_NEVER);
	return (struct snet_punch_want){ .what = SNET_PUNCH_GIVE_UP };
}

static struct snet_punch_want again(struct snet_punch *p, snet_time now)
{
	snet_time rest = p->config.retry_delay;

	if (p->attempt >= p->config.retries)
		return give_up(p);
	for (unsigned i = 1; i < p->attempt && i < 16; i++)
		rest += rest / 2;
	p->asked_at = 0;
	if (p->asker)
		enter(p, SNET_PUNCH_RESTING, now + rest);
	else
		enter(p, SNET_PUNCH_READY, now + p->config.request_timeout);
	return (struct snet_punch_want){ .what = SNET_PUNCH_NOTHING };
}

struct snet_punch_want snet_punch_step(struct snet_punch *p, snet_time now, uint64_t random)
{
	struct snet_punch_want nothing = { .what = SNET_PUNCH_NOTHING };

	if (p->ack_due) {
		p->ack_due = false;
		return (struct snet_punch_want){ .what = SNET_PUNCH_ACK,
						 .transaction = p->transaction };
	}
	if (now < p->deadline)
		return nothing;
	switch (p->state) {
	case SNET_PUNCH_ASKED:
		return p->asked_at ? again(p, now) : ask(p, now, random);
	case SNET_PUNCH_RESTING:
		enter(p, SNET_PUNCH_ASKED, now);
		return ask(p, now, random);
	case SNET_PUNCH_POISED:
		p->round = p->at = 0;
		enter(p, SNET_PUNCH_PROBING, now);
		return probe(p, now, random);
	case SNET_PUNCH_PROBING:
		return probe(p, now, random);
	case SNET_PUNCH_LISTENING:
		return again(p, now);
	case SNET_PUNCH_READY:
		return give_up(p);
	case SNET_PUNCH_IDLE:
	case SNET_PUNCH_DONE:
	case SNET_PUNCH_FAILED:
		break;
	}
	return nothing;
}

/* ---- ports */

size_t snet_punch_foretell(const uint16_t *seen, size_t n, uint16_t *out, size_t max)
{
	int step = n >= 3 ? seen[n - 1] - seen[n - 2] : 0, next;
	size_t k;

	if (n < 3 || !max || step > STEP_MAX || step < -STEP_MAX)
		return 0;
	/* Others use the NAT, too: a step may be a few times the smallest, never the other way.
	 */
	for (size_t i = 1; i < n; i++) {
		int d = seen[i] - seen[i - 1];

		if ((d == 0) != (step == 0) || (d < 0) != (step < 0) || d > STEP_MAX ||
		    d < -STEP_MAX)
			return 0;
		if (d > 0 ? d < step : d > step)
			step = d;
	}
	out[0] = seen[n - 1];
	if (!step)
		return 1;
	for (k = 0, next = seen[n - 1] + step;
	     k < max && next >= PORT_MIN && next <= UINT16_MAX; next += step)
		out[k++] = (uint16_t)next;
	return k;
}
