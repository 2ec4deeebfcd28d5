#include "transport/framed.h"

#include <stdlib.h>
#include <string.h>

/* Far above any window: a transport that ignores its own is stopped here. */
#define HELD_MAX (256u << 20)
#define HEAD_MAX 8
#define ON_STACK 16     /* slices */
#define JOIN_BELOW 1024 /* bytes: a small message is one run to copy, not two */

static void on_resume(struct snet_task *task);

void snet_framed_init(struct snet_framed *f, struct snet_loop *l, struct snet_conn *c,
		      uint32_t max, const struct snet_framed_events *ev)
{
	*f = (struct snet_framed){ .conn = c, .loop = l, .ev = ev, .max = max };
	snet_task_init(&f->resume, on_resume, f);
	snet_frame_init(&f->first.frame, max);
	f->first.held = SNET_BUF(HELD_MAX);
}

static void rx_fini(struct snet_rx *r)
{
	snet_frame_fini(&r->frame);
	snet_buf_free(&r->held);
}

void snet_framed_fini(struct snet_framed *f)
{
	snet_task_cancel(&f->resume);
	rx_fini(&f->first);
	for (unsigned i = 0; i < SNET_STREAMS - 1; i++) {
		if (f->more[i])
			rx_fini(f->more[i]);
		free(f->more[i]);
	}
}

static struct snet_rx *get(const struct snet_framed *f, unsigned stream)
{
	return stream ? f->more[stream - 1] : (struct snet_rx *)&f->first;
}

void snet_framed_set_max(struct snet_framed *f, uint32_t max)
{
	f->max = max;
	for (unsigned i = 0; i < SNET_STREAMS; i++) {
		struct snet_rx *r = get(f, i);

		if (r)
			r->frame.max = r->frame.body.max = max;
	}
}

static struct snet_rx *get_or_new(struct snet_framed *f, unsigned stream)
{
	struct snet_rx *r = get(f, stream);

	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	snet_frame_init(&r->frame, f->max);
	r->held = SNET_BUF(HELD_MAX);
	f->more[stream - 1] = r;
	return r;
}

static void fail(struct snet_framed *f, int code, const char *why)
{
	if (f->broken)
		return;
	f->broken = true;
	f->ev->on_error(f, code, why);
}

/* Reads frames until the bytes are used up or the owner pauses; returns the bytes taken. */
static size_t feed(struct snet_framed *f, struct snet_rx *r, unsigned stream, const uint8_t *p,
		   size_t n)
{
	const uint8_t *body;
	size_t left = n, len;
	bool last = true;
	int rc = 1;

	while (rc > 0 && !f->paused && !f->broken) {
		rc = f->parts ? snet_frame_part(&r->frame, &p, &left, &body, &len, &last)
			      : snet_frame_next(&r->frame, &p, &left, &body, &len);
		if (rc <= 0)
			break;
		if (f->parts) {
			f->ev->on_part(f, stream, body, len, !r->inside, last);
			r->inside = !last;
		} else {
			f->ev->on_frame(f, stream, body, len);
		}
	}
	if (rc == SNET_ETOOBIG)
		fail(f, rc, "a message is larger than is taken here");
	else if (rc < 0)
		fail(f, rc, "out of memory");
	snet_frame_trim(&r->frame);
	return n - left;
}

static void credit(struct snet_framed *f, unsigned stream, size_t n)
{
	if (f->conn && n)
		f->conn->transport->consumed(f->conn, stream, n);
}

static bool all_ended(const struct snet_framed *f)
{
	if (!f->first.ended)
		return false;
	for (unsigned i = 0; i < SNET_STREAMS - 1; i++)
		if (f->more[i] && !f->more[i]->ended)
			return false;
	return true;
}

static void end(struct snet_framed *f, struct snet_rx *r)
{
	if (!r->fin || r->ended || f->paused || f->broken || r->at < r->held.n ||
	    (f->gated && r != &f->first))
		return;
	r->ended = true;
	if (!snet_frame_is_between(&r->frame)) {
		fail(f, SNET_ETRUNCATED, "the stream ended in the middle of a message");
		return;
	}
	if (!f->ended && all_ended(f)) {
		f->ended = true;
		f->ev->on_end(f);
	}
}

static bool hold(struct snet_framed *f, struct snet_rx *r, const uint8_t *p, size_t n)
{
	if (!n || !snet_buf_add(&r->held, p, n))
		return true;
	fail(f, SNET_ENOMEM, "out of memory");
	return false;
}

void snet_framed_input(struct snet_framed *f, unsigned stream, const uint8_t *p, size_t n,
		       bool fin)
{
	struct snet_rx *r = f->broken ? NULL : get_or_new(f, stream);
	size_t taken = 0;

	if (!r) {
		fail(f, SNET_ENOMEM, "out of memory");
		return;
	}
	r->fin = r->fin || fin;
	if (!f->paused && !f->busy && r->at == r->held.n && !(f->gated && stream)) {
		f->busy = true;
		taken = feed(f, r, stream, p, n);
		f->busy = false;
		credit(f, stream, taken);
	}
	if (!f->broken && (taken == n || hold(f, r, p + taken, n - taken)))
		end(f, r);
}

/* ---- pausing */

static void read_held(struct snet_framed *f, struct snet_rx *r, unsigned stream)
{
	size_t taken;

	if (r->at < r->held.n) {
		taken = feed(f, r, stream, r->held.p + r->at, r->held.n - r->at);
		r->at += taken;
		credit(f, stream, taken);
	}
	if (r->at == r->held.n && r->held.n) {
		snet_buf_free(&r->held);
		r->at = 0;
	} else if (r->at > r->held.n / 2) {
		snet_buf_drop(&r->held, r->at);
		r->at = 0;
	}
	end(f, r);
}

static void on_resume(struct snet_task *task)
{
	struct snet_framed *f = task->user;

	f->busy = true;
	for (unsigned i = 0; i < SNET_STREAMS && !f->paused && !f->broken; i++) {
		struct snet_rx *r = i && f->gated ? NULL : get(f, i);

		if (r)
			read_held(f, r, i);
	}
	f->busy = false;
	if (!f->paused && f->ev->on_idle)
		f->ev->on_idle(f);
}

void snet_framed_pause(struct snet_framed *f)
{
	f->paused++;
}

void snet_framed_resume(struct snet_framed *f)
{
	if (f->paused && !--f->paused)
		snet_task_defer(f->loop, &f->resume);
}

void snet_framed_ungate(struct snet_framed *f)
{
	f->gated = false;
	if (!f->paused && !snet_framed_is_idle(f))
		snet_task_defer(f->loop, &f->resume);
}

bool snet_framed_is_idle(const struct snet_framed *f)
{
	for (unsigned i = 0; i < SNET_STREAMS; i++) {
		const struct snet_rx *r = get(f, i);

		if (r && (r->at < r->held.n || (r->fin && !r->ended)))
			return false;
	}
	return true;
}

size_t snet_framed_partial(const struct snet_framed *f)
{
	size_t n = 0;

	for (unsigned i = 0; i < SNET_STREAMS; i++) {
		const struct snet_rx *r = get(f, i);

		if (r && !snet_frame_is_between(&r->frame))
			n += r->frame.have + r->frame.body.n + r->frame.passed;
	}
	return n;
}

/* ---- sending */

static int send_joined(struct snet_framed *f, unsigned stream, const uint8_t *head,
		       size_t n_head, const struct snet_slice *s)
{
	uint8_t both[HEAD_MAX + JOIN_BELOW];
	struct snet_slice one = { both, n_head + s->n, NULL };

	memcpy(both, head, n_head);
	if (s->n)
		memcpy(both + n_head, s->p, s->n);
	return f->conn->transport->send(f->conn, stream, &one, 1);
}

int snet_framed_send(struct snet_framed *f, unsigned stream, const uint8_t *head, size_t n_head,
		     const struct snet_slice *v, size_t n)
{
	struct snet_slice few[ON_STACK], *all = few;
	int rc;

	if (!f->conn)
		return SNET_ECLOSED;
	if (n == 1 && v->n <= JOIN_BELOW)
		return send_joined(f, stream, head, n_head, v);
	if (n + 1 > ON_STACK) {
		all = malloc((n + 1) * sizeof(*all));
		if (!all)
			return SNET_ENOMEM;
	}
	all[0] = (struct snet_slice){ head, n_head, NULL };
	if (n)
		memcpy(all + 1, v, n * sizeof(*v));
	rc = f->conn->transport->send(f->conn, stream, all, n + 1);
	if (all != few)
		free(all);
	return rc;
}
