#include "emul/shape.h"

#include <math.h>

#include "emul/draw.h"

#define BITS_NS (8ull * SNET_SEC)
#define LIMIT_TIME (100 * SNET_MS)
#define LIMIT_BYTES 65536

static bool is_share(double x)
{
	return x >= 0 && x <= 1; /* not for NaN */
}

int snet_shape_check(const struct snet_shape_spec *s, struct snet_error *err)
{
	const char *why = NULL;

	if (!is_share(s->loss) || !is_share(s->duplicate) || !is_share(s->reorder) ||
	    !is_share(s->corrupt) || !is_share(s->ge_p) || !is_share(s->ge_r) ||
	    !is_share(s->ge_bad) || !is_share(s->ge_good) || !is_share(s->correlation))
		why = "a share is from 0% to 100%";
	else if (s->delay > SNET_DELAY_MAX)
		why = "delay: at most 1h";
	else if (s->jitter > s->delay)
		why = "jitter is larger than delay: packets would arrive before they were sent";
	else if (s->correlation > 0 && !s->jitter)
		why = "correlation is that of jitter, and there is none";
	else if (s->correlation >= 1)
		why = "correlation: below 100%, or nothing is random";
	else if (s->rate && (s->rate < SNET_RATE_MIN || s->rate > SNET_RATE_MAX))
		why = "rate: from 1kbit to 1000gbit";
	else if (!s->rate && (s->burst || s->limit_bytes || s->limit_time))
		why = "burst and limit are of a link with a rate, and there is none";
	else if (s->burst > SNET_BURST_MAX || s->limit_bytes > SNET_QUEUE_MAX)
		why = "burst and limit: at most 1GiB";
	else if (s->limit_time > SNET_DELAY_MAX)
		why = "limit: at most 1h";
	else if (s->mtu && (s->mtu < SNET_MTU_MIN || s->mtu > SNET_MTU_MAX))
		why = "mtu: from 576 to 65535, or 0";
	else if (s->reorder > 0 && !s->delay)
		why = "reorder lets packets overtake those on their way, and without delay "
		      "there are "
		      "none";
	else if (s->gemodel && s->loss > 0)
		why = "loss and loss-gemodel exclude each other";
	return why ? snet_fail(err, SNET_EINVAL, "%s", why) : SNET_OK;
}

void snet_shape_init(struct snet_shape *s, const struct snet_shape_spec *spec, uint64_t seed)
{
	*s = (struct snet_shape){ .spec = *spec, .seed = seed };
}

void snet_shape_change(struct snet_shape *s, const struct snet_shape_spec *spec)
{
	if (spec->rate != s->spec.rate)
		s->rest = 0;
	if (!spec->gemodel)
		s->bad = false;
	s->spec = *spec;
}

/* ---- the bottleneck */

static snet_time duration_of(uint64_t bytes, uint64_t rate)
{
	return (snet_time)((__uint128_t)bytes * BITS_NS / rate);
}

snet_time snet_shape_wait(const struct snet_shape *s, snet_time now)
{
	snet_time credit;

	if (!s->spec.rate || s->tat <= now)
		return 0;
	credit = duration_of(s->spec.burst, s->spec.rate);
	return s->tat - now > credit ? s->tat - now - credit : 0;
}

uint64_t snet_shape_backlog(const struct snet_shape *s, snet_time now)
{
	snet_time wait = snet_shape_wait(s, now);

	return wait ? (uint64_t)((__uint128_t)wait * s->spec.rate / BITS_NS) : 0;
}

snet_time snet_shape_limit(const struct snet_shape_spec *s)
{
	snet_time least;

	if (!s->rate)
		return SNET_NEVER;
	if (s->limit_time)
		return s->limit_time;
	if (s->limit_bytes)
		return duration_of(s->limit_bytes, s->rate);
	least = duration_of(LIMIT_BYTES, s->rate);
	return least > LIMIT_TIME ? least : LIMIT_TIME;
}

/* Generic cell rate algorithm: tat runs ahead of the clock by what was taken, and a packet
 * leaves when it is ahead by no more than the bucket holds. Returns how long from now. */
static snet_time drain(struct snet_shape *s, size_t size, snet_time now)
{
	uint64_t rate = s->spec.rate, work;

	if (!rate)
		return 0;
	if (s->tat < now) {
		s->tat = now;
		s->rest = 0;
	}
	work = (uint64_t)size * BITS_NS + s->rest;
	s->tat += work / rate;
	s->rest = work % rate; /* so that no rounding adds up */
	return snet_shape_wait(s, now);
}

/* Would it be the one too many? An empty queue takes any packet. */
static bool is_full(const struct snet_shape *s, size_t size, snet_time now)
{
	snet_time wait = snet_shape_wait(s, now);

	return wait && wait + duration_of(size, s->spec.rate) > snet_shape_limit(&s->spec);
}

/* ---- the way */

static double jitter(struct snet_shape *s, uint64_t k)
{
	const struct snet_shape_spec *spec = &s->spec;
	double g = snet_draw_normal(s->seed, SNET_DRAW_JITTER, k), rho = spec->correlation;

	s->z = rho > 0 ? rho * s->z + sqrt(1 - rho * rho) * g : g;
	switch (spec->distribution) {
	case SNET_JITTER_NORMAL:
		return s->z;
	case SNET_JITTER_PARETO:
		return snet_draw_to_pareto(s->z);
	case SNET_JITTER_UNIFORM:
		break;
	}
	return snet_draw_to_uniform(s->z) / sqrt(3); /* the furthest off, not the deviation */
}

static snet_time travel(struct snet_shape *s, uint64_t k)
{
	double d;

	if (!s->spec.jitter)
		return s->spec.delay;
	d = (double)s->spec.delay + (double)s->spec.jitter * jitter(s, k);
	return d > 0 ? (snet_time)(d + .5) : 0;
}

static bool happens(const struct snet_shape *s, enum snet_draw_for what, double p, uint64_t k)
{
	return p > 0 && snet_draw_unit(s->seed, what, k) < p;
}

static bool is_lost(struct snet_shape *s, uint64_t k)
{
	const struct snet_shape_spec *spec = &s->spec;

	if (!spec->gemodel)
		return happens(s, SNET_DRAW_LOSS, spec->loss, k);
	if (happens(s, SNET_DRAW_STATE, s->bad ? spec->ge_r : spec->ge_p, k))
		s->bad = !s->bad;
	return happens(s, SNET_DRAW_LOSS, s->bad ? spec->ge_bad : spec->ge_good, k);
}

double snet_shape_loss(const struct snet_shape_spec *s)
{
	double bad;

	if (!s->gemodel)
		return s->loss;
	if (s->ge_p <= 0)
		return s->ge_good;
	bad = s->ge_p / (s->ge_p + s->ge_r);
	return bad * s->ge_bad + (1 - bad) * s->ge_good;
}

static void offered(struct snet_shape *s, size_t size)
{
	s->n++;
	s->count.packets++;
	s->count.bytes += size;
}

static void delivered(struct snet_shape *s, struct snet_shape_fate *f, size_t size,
		      snet_time now, bool in_order)
{
	if (f->when < now)
		f->when = now;
	if (in_order && f->when < s->newest)
		f->when = s->newest;
	if (f->when > s->newest)
		s->newest = f->when;
	s->count.delivered += f->copies;
	s->count.delivered_bytes += f->copies * size;
}

/* The rarer things, none of which a byte stream knows. */
static void disturb(struct snet_shape *s, struct snet_shape_fate *f, uint64_t k)
{
	if (happens(s, SNET_DRAW_DUPLICATE, s->spec.duplicate, k)) {
		f->copies = 2;
		s->count.duplicated++;
	}
	if (happens(s, SNET_DRAW_CORRUPT, s->spec.corrupt, k)) {
		f->corrupt = true;
		f->bit = snet_draw(s->seed, SNET_DRAW_BIT, k);
		s->count.corrupted++;
	}
}

struct snet_shape_fate snet_shape_push(struct snet_shape *s, size_t size, snet_time now)
{
	struct snet_shape_fate f = { .fate = SNET_FATE_DELIVER, .copies = 1 };
	uint64_t k = s->n;
	bool lost = is_lost(s, k); /* the state moves on whatever else happens */

	offered(s, size);
	if (s->down)
		f.fate = SNET_FATE_CUT, s->count.cut++;
	else if (s->spec.mtu && size > s->spec.mtu)
		f.fate = SNET_FATE_OVERSIZE, s->count.oversize++;
	else if (lost)
		f.fate = SNET_FATE_LOST, s->count.lost++;
	else if (s->spec.rate && is_full(s, size, now))
		f.fate = SNET_FATE_DROPPED, s->count.dropped++;
	if (f.fate != SNET_FATE_DELIVER) {
		if (s->spec.jitter)
			travel(s, k); /* what follows does not depend on this one's end */
		return f;
	}
	f.queued = drain(s, size, now);
	f.when = now + f.queued + travel(s, k);
	if (happens(s, SNET_DRAW_REORDER, s->spec.reorder, k)) {
		f.when = now + f.queued;
		s->count.reordered++;
	}
	disturb(s, &f, k);
	delivered(s, &f, size, now, s->spec.in_order);
	return f;
}

struct snet_shape_fate snet_shape_push_stream(struct snet_shape *s, size_t size, snet_time rtt,
					      snet_time now)
{
	struct snet_shape_fate f = { .fate = SNET_FATE_DELIVER, .copies = 1 };
	uint64_t k = s->n;

	if (s->down) {
		f.fate = SNET_FATE_CUT;
		return f;
	}
	offered(s, size);
	if (is_lost(s, k)) {
		s->count.lost++;
		f.when = rtt; /* seen to be missing, and sent again */
		drain(s, size, now);
	}
	f.queued = drain(s, size, now);
	f.when += now + f.queued + travel(s, k);
	delivered(s, &f, size, now, true);
	return f;
}
