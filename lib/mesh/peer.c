#include "mesh/peer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "mesh/hello.h"
#include "wire/record.h"

#define SYNC 0xff /* the first byte of the crate's stream, stoffelnet-wire(7) */
#define HELLO_TIME (10 * SNET_SEC)
#define STALL_TIME (30 * SNET_SEC)

static struct snet_peer *peer_of(struct snet_framed *f)
{
	return SNET_OF(f, struct snet_peer, framed);
}

/* ---- deadlines: the hello, then progress of what is under way */

static struct snet_stall_state state_of(const struct snet_peer *p)
{
	size_t queued = snet_peer_queued(p);

	return (struct snet_stall_state){ .queued = queued,
					  .acked = p->sent - queued,
					  .partial = snet_framed_partial(&p->framed),
					  .received = p->received,
					  .paused = p->framed.paused };
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_peer *p = t->user;
	struct snet_stall_state state;
	const char *why;

	if (p->closed)
		return;
	if (!p->up) {
		snet_peer_close(p, SNET_ETIMEOUT, "no hello in time");
		return;
	}
	state = state_of(p);
	why = snet_stall_check(&p->stall, &state);
	if (why)
		snet_peer_close(p, SNET_ETIMEOUT, why);
	else if (state.queued || state.partial)
		snet_timer_set(p->loop, t, now + p->opts.stall_timeout);
}

/* Only while something is under way: an idle peer costs no wake-ups. */
void snet_peer_watch(struct snet_peer *p)
{
	struct snet_stall_state state;

	if (p->timer.slot || !p->up || p->closed || p->opts.stall_timeout == SNET_NEVER)
		return;
	state = state_of(p);
	snet_stall_begin(&p->stall, &state);
	snet_timer_set(p->loop, &p->timer, snet_loop_now(p->loop) + p->opts.stall_timeout);
}

/* ---- hello */

static void come_up(struct snet_peer *p)
{
	p->up = true;
	snet_timer_stop(p->loop, &p->timer);
	snet_framed_set_max(&p->framed, p->opts.max_message + (snet_peer_is_snet1(p) ? 1 : 0));
	p->framed.parts = p->opts.parts;
	if (!p->opts.gated)
		snet_framed_ungate(&p->framed);
	p->ev->on_up(p, p->user);
}

static int say_hello(struct snet_peer *p)
{
	struct snet_hello h = { p->opts.role, p->opts.id };
	struct snet_buf b = SNET_BUF(SNET_HELLO_MAX);
	uint8_t head[SNET_FRAME_HEAD];
	int rc = snet_hello_encode(&h, &b);

	if (!rc) {
		struct snet_slice s = { b.p, b.n, NULL };

		snet_frame_head(head, (uint32_t)b.n);
		rc = snet_framed_send(&p->framed, 0, head, sizeof(head), &s, 1);
	}
	snet_buf_free(&b);
	return rc;
}

static void hear_hello(struct snet_peer *p, const uint8_t *bytes, size_t n)
{
	struct snet_hello h;

	if (snet_hello_decode(&h, bytes, n)) {
		snet_peer_close(p, SNET_EPROTO, "its first frame is not a hello");
		return;
	}
	p->role = h.role;
	p->id = h.id;
	if (!p->seen.dialled && say_hello(p)) {
		snet_peer_close(p, SNET_ENOMEM, "out of memory");
		return;
	}
	come_up(p);
}

/* ---- frames */

static void deliver(struct snet_peer *p, unsigned stream, uint8_t kind, uint64_t seq,
		    const uint8_t *bytes, size_t n)
{
	struct snet_message m = { stream, kind, seq, bytes, n };

	p->ev->on_message(p, &m, p->user);
}

static bool kind_is_ok(struct snet_peer *p, uint8_t kind)
{
	if (snet_record_is_app(kind))
		return true;
	snet_peer_close(p, SNET_EPROTO, "a record of a type that has no meaning here");
	return false;
}

/* To whoever speaks with the peer beside the messages; on their stream, and among them. */
static bool is_control(struct snet_peer *p, unsigned stream, const uint8_t *bytes, size_t n)
{
	struct snet_record rec;

	if (!p->ev->on_control || stream || snet_record_is_app(bytes[0]) ||
	    snet_record_decode(&rec, bytes, n) || rec.zstd)
		return false;
	p->ev->on_control(p, (uint8_t)rec.type, rec.body, rec.n, p->user);
	return true;
}

static void on_frame(struct snet_framed *f, unsigned stream, const uint8_t *bytes, size_t n)
{
	struct snet_peer *p = peer_of(f);

	if (p->in_closing)
		return;
	if (!p->up) {
		hear_hello(p, bytes, n);
	} else if (!snet_peer_is_snet1(p)) {
		deliver(p, stream, SNET_KIND_DATA, ++p->seq[stream], bytes, n);
	} else if (!n) {
		snet_peer_close(p, SNET_EPROTO, "a record without a type");
	} else if (!is_control(p, stream, bytes, n) && kind_is_ok(p, bytes[0])) {
		deliver(p, stream, bytes[0], ++p->seq[stream], bytes + 1, n - 1);
	}
}

static void on_part(struct snet_framed *f, unsigned stream, const uint8_t *bytes, size_t n,
		    bool first, bool last)
{
	struct snet_peer *p = peer_of(f);
	size_t skip = first && snet_peer_is_snet1(p) ? 1 : 0;

	(void)last;
	if (p->in_closing)
		return;
	if (skip && !n) {
		snet_peer_close(p, SNET_EPROTO, "a record without a type");
		return;
	}
	if (skip && !kind_is_ok(p, bytes[0]))
		return;
	if (n > skip)
		deliver(p, stream, skip ? bytes[0] : SNET_KIND_DATA, 0, bytes + skip, n - skip);
}

static void on_end(struct snet_framed *f)
{
	struct snet_peer *p = peer_of(f);

	if (!p->up)
		snet_peer_close(p, SNET_EPROTO, "it ended before its hello");
	else
		p->ev->on_eof(p, p->user);
}

static void on_error(struct snet_framed *f, int code, const char *why)
{
	struct snet_peer *p = peer_of(f);

	if (!p->up && code == SNET_ETOOBIG)
		snet_peer_close(p, SNET_EPROTO, "its first frame is not a hello");
	else
		snet_peer_close(p, code, why);
}

void snet_peer_free(struct snet_peer *p)
{
	snet_timer_stop(p->loop, &p->timer);
	snet_framed_fini(&p->framed);
	free(p->close_why);
	free(p);
}

static void go_down(struct snet_peer *p)
{
	const char *why = p->close_why ? p->close_why : "";

	snet_timer_stop(p->loop, &p->timer);
	if (p->up && p->close_by_peer && !p->close_code && !p->in_closing &&
	    snet_framed_partial(&p->framed)) {
		p->close_code = SNET_ETRUNCATED;
		why = "it closed in the middle of a message";
	}
	p->ev->on_down(p, p->close_code, why, p->close_by_peer, p->user);
	snet_peer_free(p);
}

/* What came before the end is delivered before the end is told. */
static void on_idle(struct snet_framed *f)
{
	struct snet_peer *p = peer_of(f);

	if (p->closed)
		go_down(p);
	else if (snet_framed_partial(f))
		snet_peer_watch(p);
}

static const struct snet_framed_events framed_events = { on_frame, on_part, on_end, on_error,
							 on_idle };

/* ---- the connection */

static void on_early(struct snet_conn *c, void *user)
{
	struct snet_peer *p = user;

	p->seen = *c;
	if (say_hello(p)) {
		snet_peer_close(p, SNET_ENOMEM, "out of memory");
		return;
	}
	p->said_early = true;
	if (p->ev->on_early)
		p->ev->on_early(p, p->user);
}

static void on_open(struct snet_conn *c, void *user)
{
	struct snet_peer *p = user;
	static const uint8_t sync = SYNC;
	struct snet_slice s = { &sync, 1, NULL };

	p->seen = *c;
	p->role = SNET_ROLE_SERVER;
	p->id = c->peer_derived;
	if (snet_peer_is_snet1(p)) {
		if (!p->said_early && say_hello(p))
			snet_peer_close(p, SNET_ENOMEM, "out of memory");
	} else if (c->transport->send(c, 0, &s, 1)) {
		snet_peer_close(p, SNET_ENOMEM, "out of memory");
	} else {
		come_up(p);
	}
}

static void on_data(struct snet_conn *c, unsigned stream, const uint8_t *bytes, size_t n,
		    bool fin, void *user)
{
	struct snet_peer *p = user;

	p->received += n;
	if (p->sync_due && stream == 0 && n) {
		if (bytes[0] != SYNC) {
			snet_peer_close(p, SNET_EPROTO,
					"its stream does not begin with the sync byte");
			return;
		}
		p->sync_due = false;
		c->transport->consumed(c, 0, 1);
		bytes++;
		n--;
		come_up(p);
	}
	if (stream && !snet_peer_is_snet1(p)) {
		snet_peer_close(p, SNET_EPROTO, "a second stream");
		return;
	}
	if (p->in_closing)
		return;
	snet_framed_input(&p->framed, stream, bytes, n, fin);
	if (p->up && !p->timer.slot && snet_framed_partial(&p->framed))
		snet_peer_watch(p);
}

static void on_drain(struct snet_conn *c, void *user)
{
	struct snet_peer *p = user;

	(void)c;
	if (p->up)
		p->ev->on_drain(p, p->user);
}

static void on_flushed(struct snet_conn *c, void *user)
{
	struct snet_peer *p = user;

	(void)c;
	p->ev->on_flushed(p, p->user);
}

static void on_close(struct snet_conn *c, int code, const char *why, bool by_peer, void *user)
{
	struct snet_peer *p = user;
	struct snet_conn_stats stats;

	p->seen = *c;
	c->transport->stats(c, &stats);
	/* Whoever closes may have heard more than it has acknowledged: what never went out, it
	 * has not. */
	p->undelivered = stats.unsent < p->sent ? (size_t)stats.unsent : (size_t)p->sent;
	/* The hello is not the owner's: it may be unacknowledged without anything being lost.
	 */
	p->unacked = c->transport->queued(c);
	if (p->unacked > p->sent)
		p->unacked = (size_t)p->sent;
	p->seen.peer_spki = NULL; /* goes with the connection */
	p->seen.peer_spki_len = 0;
	p->conn = p->framed.conn = NULL;
	p->closed = true;
	p->close_code = code;
	p->close_why = strdup(why);
	p->close_by_peer = by_peer;
	if (!p->up || p->in_closing || p->framed.broken || snet_framed_is_idle(&p->framed))
		go_down(p);
}

static const struct snet_conn_events conn_events = { on_open,    on_data,  on_drain,
						     on_flushed, on_close, on_early };

/* ---- life */

static struct snet_peer *born(struct snet_loop *l, const struct snet_peer_opts *o,
			      const struct snet_peer_events *ev, void *user)
{
	struct snet_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->loop = l;
	p->opts = *o;
	p->ev = ev;
	p->user = user;
	p->timer = (struct snet_timer){ .fn = on_timer, .user = p };
	if (!p->opts.max_message)
		p->opts.max_message = SNET_MESSAGE_DEFAULT;
	if (!p->opts.hello_timeout)
		p->opts.hello_timeout = HELLO_TIME;
	if (!p->opts.stall_timeout)
		p->opts.stall_timeout = STALL_TIME;
	snet_framed_init(&p->framed, l, NULL, SNET_HELLO_MAX, &framed_events);
	p->framed.gated = true; /* streams are not ordered among each other: the hello first */
	return p;
}

int snet_peer_accept(struct snet_peer **out, struct snet_loop *l, struct snet_conn *c,
		     const struct snet_peer_opts *o, const struct snet_peer_events *ev,
		     void *user)
{
	struct snet_peer *p = born(l, o, ev, user);

	if (!p) {
		c->transport->close(c, SNET_ENOMEM, "out of memory");
		return SNET_ENOMEM;
	}
	p->conn = p->framed.conn = c;
	p->seen = *c;
	p->role = c->role;
	p->id = c->peer_derived;
	p->sync_due = !snet_peer_is_snet1(p);
	c->events = &conn_events;
	c->user = p;
	snet_timer_set(l, &p->timer, snet_loop_now(l) + p->opts.hello_timeout);
	*out = p;
	return SNET_OK;
}

int snet_peer_dial(struct snet_peer **out, struct snet_loop *l, struct snet_endpoint *e,
		   const struct snet_transport *t, const struct snet_addr *to,
		   const uint8_t *key, const struct snet_peer_opts *o,
		   const struct snet_peer_events *ev, void *user, struct snet_error *err)
{
	struct snet_peer *p = born(l, o, ev, user);
	int rc;

	if (!p)
		return snet_fail(err, SNET_ENOMEM, "peer");
	rc = t->dial(&p->conn, e, to, key, &conn_events, p, err);
	if (rc) {
		snet_framed_fini(&p->framed);
		free(p);
		return rc;
	}
	p->framed.conn = p->conn;
	p->seen = *p->conn;
	/* The transport bounds the handshake; this bounds what follows. */
	snet_timer_set(l, &p->timer, snet_loop_now(l) + 2 * p->opts.hello_timeout);
	*out = p;
	return SNET_OK;
}
