#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nat/turn_impl.h"

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static int check_opts(const struct snet_turn_opts *o, struct snet_error *err)
{
	if (!o->user || !*o->user || strlen(o->user) > SNET_STUN_USERNAME_MAX)
		return snet_fail(err, SNET_EINVAL, "TURN user: 1 to %d bytes",
				 SNET_STUN_USERNAME_MAX);
	if (!o->password || strlen(o->password) > SNET_STUN_KEY_MAX)
		return snet_fail(err, SNET_EINVAL, "TURN password: at most %d bytes",
				 SNET_STUN_KEY_MAX);
	if (o->realm && strlen(o->realm) > SNET_STUN_TEXT_MAX)
		return snet_fail(err, SNET_EINVAL, "TURN realm: at most %d bytes",
				 SNET_STUN_TEXT_MAX);
	if (o->families & ~(SNET_TURN_IPV4 | SNET_TURN_IPV6))
		return snet_fail(err, SNET_EINVAL, "TURN: no such address family");
	return SNET_OK;
}

static void take_opts(struct snet_turn *t, const struct snet_turn_opts *o)
{
	t->o = *o;
	t->o.user = t->o.password = t->o.realm = NULL;
	if (!t->o.families)
		t->o.families = SNET_TURN_IPV4;
	if (!t->o.rto)
		t->o.rto = SNET_TURN_RTO;
	if (!t->o.queue_bytes)
		t->o.queue_bytes = SNET_TURN_QUEUE;
	t->queue = SNET_BUF(t->o.queue_bytes);
	t->held = SNET_BUF(t->o.queue_bytes);
	t->part = SNET_BUF(TURN_PART_MAX);
	t->dont_fragment = o->dont_fragment;
}

int snet_turn_new(struct snet_turn **out, const struct snet_turn_opts *o,
		  const uint8_t seed[static SNET_TURN_SEED], struct snet_error *err)
{
	struct snet_turn *t = NULL;
	int rc = check_opts(o, err);

	if (rc)
		return rc;
	t = calloc(1, sizeof(*t));
	if (!t)
		return snet_fail(err, SNET_ENOMEM, "TURN");
	take_opts(t, o);
	t->user = copy(o->user);
	t->password = copy(o->password);
	t->realm = copy(o->realm);
	if (!t->user || !t->password || (o->realm && !t->realm)) {
		snet_turn_free(t);
		return snet_fail(err, SNET_ENOMEM, "TURN");
	}
	memcpy(t->seed, seed, SNET_TURN_SEED);
	/* §21.1.5 would have channel numbers that a stranger must guess. */
	t->first_channel = (uint16_t)((seed[0] << 8 | seed[1]) % TURN_CHANNEL_N);
	t->stale_deadline = true;
	*out = t;
	return SNET_OK;
}

void snet_turn_free(struct snet_turn *t)
{
	if (!t)
		return;
	snet_buf_free(&t->queue);
	snet_buf_free(&t->held);
	snet_buf_free(&t->part);
	free(t->perm);
	free(t->channel);
	if (t->password)
		snet_wipe(t->password, strlen(t->password));
	free(t->user);
	free(t->password);
	free(t->realm);
	snet_wipe(t, sizeof(*t));
	free(t);
}

/* ---- from state to state */

void turn_close(struct snet_turn *t, int code, int status, const char *fmt, ...)
{
	va_list ap;

	if (t->state == TURN_CLOSED)
		return;
	t->state = TURN_CLOSED;
	t->now = (struct snet_turn_event){ .what = SNET_TURN_CLOSED, .status = status };
	t->now.error.code = code;
	va_start(ap, fmt);
	vsnprintf(t->now.error.text, sizeof(t->now.error.text), fmt, ap);
	va_end(ap);
	turn_x_end(t, &t->x);
	turn_grants_drop(t);
	snet_buf_free(&t->queue);
	snet_buf_free(&t->held);
	t->queue_at = 0;
}

void turn_leave(struct snet_turn *t, int code, const char *why, snet_time now)
{
	t->state = TURN_LEAVING;
	snet_fail(&t->leave_why, code, "%s", why);
	turn_grants_drop(t);
	turn_x_begin(t, &t->x, TURN_RELEASE, 0, now);
}

int snet_turn_start(struct snet_turn *t, snet_time now)
{
	if (t->state == TURN_CLOSED)
		return SNET_ECLOSED;
	if (t->state != TURN_IDLE)
		return SNET_EINVAL;
	t->state = TURN_ASKING;
	turn_x_begin(t, &t->x, TURN_ALLOCATE, 0, now);
	return SNET_OK;
}

int snet_turn_refresh(struct snet_turn *t, snet_time now)
{
	if (t->state == TURN_CLOSED)
		return SNET_ECLOSED;
	if (t->state == TURN_ALLOCATED && !t->x.active)
		turn_x_begin(t, &t->x, TURN_REFRESH, 0, now);
	return SNET_OK;
}

int snet_turn_release(struct snet_turn *t, snet_time now)
{
	switch (t->state) {
	case TURN_CLOSED:
		return SNET_ECLOSED;
	case TURN_ALLOCATED:
		turn_leave(t, SNET_OK, "released", now);
		break;
	case TURN_LEAVING:
		break;
	case TURN_IDLE:
		turn_close(t, SNET_OK, 0, "released");
		break;
	case TURN_ASKING:
		/* With credentials there may be an allocation already. */
		if (t->auth.known)
			t->leave = true;
		else
			turn_close(t, SNET_OK, 0, "released");
		break;
	}
	return SNET_OK;
}

/* ---- time */

static void tick_allocation(struct snet_turn *t, snet_time now)
{
	if (t->state != TURN_ALLOCATED)
		return;
	if (now >= t->ends)
		turn_close(t, SNET_ELOST, 0,
			   "the allocation has expired: no refresh was answered");
	else if (now >= t->renew && !t->x.active)
		turn_x_begin(t, &t->x, TURN_REFRESH, 0, now);
}

void turn_tick(struct snet_turn *t, snet_time now)
{
	struct turn_x *x;

	if (now < snet_turn_deadline(t))
		return;
	t->stale_deadline = true;
	for (size_t i = 0; (x = turn_x_at(t, i)); i++)
		if (x->active && x->due <= now && turn_x_is_over(t, x))
			turn_no_answer(t, x, x->forged ? SNET_EINTEGRITY : SNET_ETIMEOUT, now);
	tick_allocation(t, now);
	if (t->state == TURN_ALLOCATED)
		turn_grants_tick(t, now);
}

static snet_time least(snet_time a, snet_time b)
{
	return a < b ? a : b;
}

snet_time snet_turn_deadline(struct snet_turn *t)
{
	snet_time d = SNET_NEVER;
	const struct turn_x *x;

	if (!t->stale_deadline)
		return t->deadline;
	for (size_t i = 0; (x = turn_x_at(t, i)); i++)
		if (x->active)
			d = least(d, x->due);
	if (t->state == TURN_ALLOCATED) {
		d = least(d, t->x.active ? t->ends : least(t->renew, t->ends));
		d = least(d, turn_grants_deadline(t));
	}
	t->deadline = d;
	t->stale_deadline = false;
	return d;
}

/* ---- out */

size_t snet_turn_output(struct snet_turn *t, uint8_t out[static SNET_TURN_OUT_MAX],
			snet_time now)
{
	struct turn_x *x;
	size_t n;

	turn_tick(t, now);
	n = t->state == TURN_LEAVING ? turn_data_next(t, out) : 0; /* before the farewell */
	if (n)
		return n;
	if (now >= snet_turn_deadline(t)) {
		for (size_t i = 0; (x = turn_x_at(t, i)); i++) {
			if (!x->active || x->due > now)
				continue;
			n = turn_x_write(t, x, out, SNET_TURN_OUT_MAX, now);
			if (n)
				return n;
			turn_close(t, SNET_ENOSYS, 0,
				   "a request cannot be written: a hash that "
				   "the system forbids");
			return 0;
		}
	}
	return turn_data_next(t, out);
}

bool snet_turn_event(struct snet_turn *t, struct snet_turn_event *ev)
{
	if (t->now.what) {
		*ev = t->now;
		t->now.what = SNET_TURN_NOTHING;
		return true;
	}
	if (t->grants_told && turn_grant_event(t, ev))
		return true;
	*ev = t->data;
	t->data.what = SNET_TURN_NOTHING;
	return ev->what != SNET_TURN_NOTHING;
}

const struct snet_turn_counts *snet_turn_counts(const struct snet_turn *t)
{
	return &t->counts;
}
