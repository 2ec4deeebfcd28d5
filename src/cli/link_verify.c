/* Does the link do here what it says? Probes of our own go through it, by sockets as
 * everybody's do: first at an easy pace, for delay and loss; then faster than the rate, each
 * way. And what this machine could carry at most. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/link_impl.h"
#include "cli/out.h"

#define TICK SNET_MS
#define PACE 1000.            /* probes a second, unless the rate is less */
#define SMALL 64              /* bytes of a probe for delay */
#define LARGE 1400            /* and for rate */
#define HEADERS 28            /* IPv4 and UDP */
#define EXACT (200 * SNET_US) /* how far off 99 of 100 delays may be */
#define RATE_OFF .02
#define SPREAD_OFF .05
#define LINGER (300 * SNET_MS) /* for what the machine is late with */

/* ---- probes */

enum phase { PACED, THERE, BACK, OVER };

struct probe {
	uint64_t seq, sent; /* sent: our clock */
};

/* One direction. */
struct side {
	struct snet_dgram *d;
	struct snet_path to;
	size_t sent, got, spoilt, fast; /* fast: in the fast phase */
	uint8_t *seen;                  /* by seq */
	double *delays;                 /* ns, of those seen first and unspoilt */
	size_t n_delays;
	double bytes, from, last; /* of the fast phase: after the burst; ns */
};

struct verify {
	struct link *l;
	snet_time time, until, last;
	enum phase phase;
	bool draining;
	double due;          /* probes, or bytes, not sent yet */
	size_t most;         /* probes in the slow phase */
	struct side side[2]; /* 0 sends to 1 */
	double *trips;
	size_t n_trips;
	snet_time *sent_at; /* by seq */
	struct snet_dgram_hub *hub;
	struct snet_timer tick;
	bool ok;
};

static struct verify *verify; /* one per process, as the run is */

static const struct snet_shape_spec *spec_of(const struct verify *v, int way)
{
	return &snet_emul_link(&v->l->net, (size_t)way, (size_t)!way)->shape.spec;
}

/* So many alike, at most a batch. */
static void send_probes(struct verify *v, int way, const struct probe *p, size_t size, size_t n)
{
	static uint8_t bytes[LARGE];
	struct snet_dgram_out out[SNET_DGRAM_BATCH];

	memcpy(bytes, p, sizeof(*p));
	for (size_t i = 0; i < n; i++)
		out[i] = (struct snet_dgram_out){ v->side[way].d, v->side[way].to, 0, bytes,
						  size };
	snet_dgram_send(out, n);
}

static void took_fast(struct verify *v, int way, size_t n, double now)
{
	struct side *s = &v->side[way];
	double burst = (double)spec_of(v, way)->burst;

	s->fast++;
	s->bytes += (double)(n + HEADERS);
	if (!s->from && s->bytes > burst) { /* what the bucket held has passed */
		s->from = now;
		s->bytes = 0;
		s->fast = 0;
	}
	s->last = now;
}

/* way: of the link it came by. */
static void took(struct verify *v, int way, const uint8_t *bytes, size_t n)
{
	struct side *s = &v->side[way];
	snet_time now = snet_now();
	struct probe p;

	if (n == LARGE) {
		if ((v->phase == THERE && !way) || (v->phase == BACK && way))
			took_fast(v, way, n, (double)now);
		return;
	}
	memcpy(&p, bytes, sizeof(p));
	if (p.seq >= v->most || p.sent > now || now - p.sent > 2 * SNET_DELAY_MAX ||
	    p.sent < v->sent_at[p.seq] || (!way && p.sent != v->sent_at[p.seq])) {
		s->spoilt++;
		return;
	}
	if (s->seen[p.seq])
		return;
	s->seen[p.seq] = 1;
	s->got++;
	s->delays[s->n_delays++] = (double)(now - p.sent);
	if (way) {
		v->trips[v->n_trips++] = (double)(now - v->sent_at[p.seq]);
		return;
	}
	p.sent = snet_now();
	v->side[1].sent++;
	send_probes(v, 1, &p, SMALL, 1);
}

static void on_train(struct snet_dgram *d, const struct snet_path *path, uint8_t ecn,
		     uint8_t *p, size_t n, size_t segment, void *user)
{
	struct verify *v = verify;
	int way = user ? 0 : 1; /* the far socket hears what goes there */

	(void)d, (void)ecn;
	if (!way)
		v->side[1].to = (struct snet_path){ path->local, path->remote };
	for (size_t k; n; p += k, n -= k) {
		k = n < segment ? n : segment;
		if (k >= sizeof(struct probe))
			took(v, way, p, k);
	}
}

static void on_batch(void *user)
{
	(void)user;
}

static const struct snet_dgram_events probe_events = { on_train, on_batch };

/* ---- verdicts */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double mean_of(const double *v, size_t n, double *deviation)
{
	double sum = 0, squares = 0, mean;

	for (size_t i = 0; i < n; i++)
		sum += v[i];
	mean = n ? sum / (double)n : 0;
	for (size_t i = 0; i < n; i++)
		squares += (v[i] - mean) * (v[i] - mean);
	*deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
	return mean;
}

static double p99_off(double *v, size_t n, double from)
{
	for (size_t i = 0; i < n; i++)
		v[i] = fabs(v[i] - from);
	qsort(v, n, sizeof(*v), by_size);
	return n ? v[(n - 1) * 99 / 100] : INFINITY;
}

static bool judged(struct verify *v, bool ok)
{
	v->ok &= ok;
	return ok;
}

static double deviation_of(const struct snet_shape_spec *s)
{
	return (double)s->jitter / (s->distribution == SNET_JITTER_UNIFORM ? sqrt(3) : 1);
}

static double own_bits(const struct snet_shape_spec *s)
{
	return s->rate ? (SMALL + HEADERS) * 8e9 / (double)s->rate : 0;
}

static uint64_t us(double ns)
{
	return (uint64_t)(ns > 0 ? ns / 1e3 + .5 : 0);
}

static void judge_delay(struct verify *v, int way)
{
	const struct snet_shape_spec *spec = spec_of(v, way);
	struct side *s = &v->side[way];
	double asked = (double)spec->delay + (spec->burst ? 0 : own_bits(spec)), spread,
	       mean = mean_of(s->delays, s->n_delays, &spread), off, want = deviation_of(spec),
	       slack = 3 * want / sqrt((double)(s->n_delays | 1));
	bool ok;

	if (spec->reorder > 0 || spec->in_order) /* not all have the delay */
		return;
	off = spec->jitter ? 0 : p99_off(s->delays, s->n_delays, asked);
	ok = spec->jitter ? fabs(mean - asked) <= EXACT + .05 * want + slack : off <= EXACT;
	out_event("link.verified", out_uint("from", (uint64_t)way),
		  out_uint("to", (uint64_t)!way), out_text("what", "delay"),
		  out_uint("asked_us", us(asked)), out_uint("achieved_us", us(mean)),
		  out_if(!spec->jitter, out_uint("p99_error_us", us(off))),
		  out_uint("packets", s->n_delays), out_bool("ok", judged(v, ok)));
	if (!spec->jitter)
		return;
	/* The deviation of a deviation; what pareto's tail adds to it */
	slack = 3 / sqrt(2. * (double)(s->n_delays | 1)) *
		(spec->distribution == SNET_JITTER_PARETO ? 4 : 1) /
		(1 - spec->correlation * spec->correlation);
	ok = fabs(spread - want) <= (SPREAD_OFF + slack) * want + EXACT / 2.;
	out_event("link.verified", out_uint("from", (uint64_t)way),
		  out_uint("to", (uint64_t)!way), out_text("what", "jitter"),
		  out_uint("asked_us", us(want)), out_uint("achieved_us", us(spread)),
		  out_uint("packets", s->n_delays), out_bool("ok", judged(v, ok)));
}

static void judge_loss(struct verify *v, int way)
{
	const struct snet_shape_spec *spec = spec_of(v, way);
	const struct side *s = &v->side[way];
	double n = (double)s->sent, p = snet_shape_loss(spec),
	       lost = n - (double)(s->got + s->spoilt), spread = sqrt(n * p * (1 - p)),
	       both = spec->ge_p + spec->ge_r;

	if (spec->gemodel && both > 0)
		spread *= sqrt((2 - fmin(both, 1.9)) / both);
	out_event(
		"link.verified", out_uint("from", (uint64_t)way),
		out_uint("to", (uint64_t)!way), out_text("what", "loss"),
		out_uint("asked_ppm", (uint64_t)(p * 1e6 + .5)),
		out_uint("achieved_ppm", (uint64_t)(n > 0 ? fmax(lost, 0) / n * 1e6 + .5 : 0)),
		out_uint("packets", s->sent),
		out_bool("ok", judged(v, n > 0 && fabs(lost - n * p) <= 3 * spread + .5)));
}

static void judge_trip(struct verify *v)
{
	double asked = 0, mean, spread, jitter = 0;

	for (int way = 0; way < 2; way++) {
		const struct snet_shape_spec *s = spec_of(v, way);

		if (s->reorder > 0 || s->in_order)
			return;
		asked += (double)s->delay + (s->burst ? 0 : own_bits(s));
		jitter += deviation_of(s);
	}
	mean = mean_of(v->trips, v->n_trips, &spread);
	out_event(
		"link.verified", out_uint("from", 0), out_uint("to", 0),
		out_text("what", "rtt"), out_uint("asked_us", us(asked)),
		out_uint("achieved_us", us(mean)), out_uint("packets", v->n_trips),
		out_bool("ok",
			 judged(v, v->n_trips &&
					   fabs(mean - asked) <=
						   2 * EXACT + .05 * jitter +
							   3 * jitter /
								   sqrt((double)v->n_trips))));
}

static void judge_rate(struct verify *v, int way)
{
	const struct snet_shape_spec *spec = spec_of(v, way);
	const struct side *s = &v->side[way];
	double got = s->last > s->from && s->from > 0 ? s->bytes * 8e9 / (s->last - s->from)
						      : 0,
	       asked = (double)spec->rate, ends = 0;

	/* The first and the last packet may be early or late by their jitter. */
	if (s->last > s->from)
		ends = 4 * deviation_of(spec) / (s->last - s->from);
	out_event("link.verified", out_uint("from", (uint64_t)way),
		  out_uint("to", (uint64_t)!way), out_text("what", "rate"),
		  out_uint("asked_bits", spec->rate), out_uint("achieved_bits", (uint64_t)got),
		  out_uint("packets", s->fast),
		  out_bool("ok", judged(v, fabs(got - asked) <= (RATE_OFF + ends) * asked)));
}

/* ---- the course of it */

static double pace(const struct verify *v)
{
	double most = PACE;

	for (int way = 0; way < 2; way++)
		if (spec_of(v, way)->rate)
			most = fmin(most, .2 * 1e9 / own_bits(spec_of(v, way)));
	return most;
}

/* What is on its way may take so long. */
static snet_time way_out(const struct verify *v)
{
	snet_time t = LINGER;

	for (int way = 0; way < 2; way++) {
		const struct snet_shape_spec *s = spec_of(v, way);

		t += s->delay + (s->distribution == SNET_JITTER_UNIFORM ? 1 : 13) * s->jitter;
		if (s->rate)
			t += snet_shape_limit(s);
	}
	return t;
}

static void end(struct verify *v)
{
	struct snet_error err = { 0 };

	judge_trip(v);
	for (int way = 0; way < 2; way++) {
		judge_delay(v, way);
		judge_loss(v, way);
	}
	for (int way = 0; way < 2; way++)
		if (spec_of(v, way)->rate)
			judge_rate(v, way);
	if (v->ok) {
		run_done(v->l->run, NULL, OPT_NONE);
		return;
	}
	snet_fail(&err, SNET_EIO, "the link does not do here what was asked%s",
		  v->l->behind
			  ? "; it may not go before other programs, see CAVEATS in snet-link(1)"
			  : "");
	run_done(v->l->run, &err, OPT_NONE);
}

static void next_phase(struct verify *v, snet_time now)
{
	v->draining = false;
	v->due = 0;
	do {
		v->phase++;
	} while (v->phase < OVER && !spec_of(v, v->phase == BACK)->rate);
	v->until = now + v->time / 4;
	if (v->phase == OVER)
		end(v);
}

static void send_paced(struct verify *v, snet_time passed)
{
	for (v->due += pace(v) * (double)passed / 1e9; v->due >= 1 && v->side[0].sent < v->most;
	     v->due--) {
		struct probe p = { .seq = v->side[0].sent++, .sent = snet_now() };

		v->sent_at[p.seq] = p.sent;
		send_probes(v, 0, &p, SMALL, 1);
	}
}

static void send_fast(struct verify *v, int way, snet_time passed)
{
	const struct snet_shape_spec *spec = spec_of(v, way);
	double loss = fmin(snet_shape_loss(spec), .9);
	static const struct probe p;

	v->due += 1.15 / (1 - loss) * (double)spec->rate / 8e9 * (double)passed;
	while (v->due >= LARGE + HEADERS) {
		size_t n = (size_t)(v->due / (LARGE + HEADERS));

		n = n < SNET_DGRAM_BATCH ? n : SNET_DGRAM_BATCH;
		send_probes(v, way, &p, LARGE, n);
		v->due -= (double)(n * (LARGE + HEADERS));
	}
}

static void on_tick(struct snet_timer *t, snet_time now)
{
	struct verify *v = t->user;
	snet_time passed = now - v->last;

	v->last = now;
	if (v->draining && now >= v->until) {
		next_phase(v, now);
	} else if (!v->draining && now >= v->until) {
		v->draining = true;
		v->until = now + way_out(v);
	} else if (!v->draining && v->phase == PACED) {
		send_paced(v, passed);
	} else if (!v->draining) {
		send_fast(v, v->phase == BACK, passed);
	}
	if (v->phase != OVER)
		snet_timer_set(v->l->loop, t, now + TICK);
}

static int open_probes(struct verify *v, struct snet_error *err)
{
	static const char here[] = "127.0.0.1:0";
	struct snet_addr at, far, door;
	int rc = snet_dgram_hub_new(&v->hub, v->l->loop, &probe_events, v);

	if (rc)
		return snet_fail(err, rc, "%s", snet_err_text(rc));
	snet_addr_parse(&at, here);
	door = at;
	rc = snet_dgram_open(&v->side[0].d, v->hub, &at, NULL, err);
	if (!rc)
		rc = snet_dgram_open(&v->side[1].d, v->hub, &at, v, err);
	if (rc)
		return rc;
	snet_dgram_address(v->side[1].d, &far);
	rc = link_door_open(v->l, 0, 1, &door, &far, err);
	v->side[0].to = (struct snet_path){ at, door };
	return rc;
}

static int make_room(struct verify *v, struct snet_error *err)
{
	v->most = (size_t)(pace(v) * (double)v->time / 2e9);
	v->sent_at = calloc(v->most, sizeof(*v->sent_at));
	v->trips = calloc(v->most, sizeof(*v->trips));
	for (int way = 0; way < 2; way++) {
		v->side[way].seen = calloc(v->most, 1);
		v->side[way].delays = calloc(v->most, sizeof(double));
		if (!v->side[way].seen || !v->side[way].delays)
			return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	}
	if (v->sent_at && v->trips)
		return SNET_OK;
	return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
}

int link_verify(struct link *l, snet_time time, struct snet_error *err)
{
	struct verify *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	verify = v;
	v->l = l;
	v->time = time;
	v->ok = true;
	if ((double)time * pace(v) < 40e9)
		return snet_fail(err, SNET_EINVAL,
				 "--verify-time: too short for so slow a link: %.0fs will do",
				 ceil(40 / pace(v)));
	rc = make_room(v, err);
	if (!rc)
		rc = link_check_rates(l, err);
	if (!rc)
		rc = link_sides_open(l, err);
	if (!rc)
		rc = open_probes(v, err);
	if (rc)
		return rc;
	/* The time of the loop is from before what this machine can carry was measured. */
	v->last = snet_now();
	v->until = v->last + time / 2;
	v->tick = (struct snet_timer){ .fn = on_tick, .user = v };
	rc = snet_timer_set(l->loop, &v->tick, v->last + TICK);
	return rc ? snet_fail(err, rc, "%s", snet_err_text(rc)) : SNET_OK;
}

void link_verify_fini(struct link *l)
{
	struct verify *v = verify;

	if (!v)
		return;
	snet_timer_stop(l->loop, &v->tick);
	for (int way = 0; way < 2; way++) {
		snet_dgram_close(v->side[way].d);
		free(v->side[way].seen);
		free(v->side[way].delays);
	}
	snet_dgram_hub_free(v->hub);
	free(v->sent_at);
	free(v->trips);
	free(v);
	verify = NULL;
}
