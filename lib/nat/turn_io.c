#include "nat/turn_io.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "io/loop.h"
#include "io/tcp.h"

#define ALPN "stun.turn" /* RFC 7443 */

struct snet_turn_io {
	struct snet_loop *loop;
	struct snet_turn *turn;
	enum snet_turn_over over;
	struct snet_addr server, from;
	char *name, *ca;
	struct snet_tcp *tcp;
	struct snet_timer timer;
	struct snet_task task;
	const struct snet_turn_io_events *ev;
	void *user;
	bool closed; /* that was told */
	bool busy;
	bool dead; /* freed by its owner, while busy */
	uint8_t out[SNET_TURN_OUT_MAX];
};

static int dial(struct snet_turn_io *io, struct snet_error *err);

static void destroy(struct snet_turn_io *io)
{
	snet_timer_stop(io->loop, &io->timer);
	snet_task_cancel(&io->task);
	snet_tcp_close(io->tcp);
	snet_turn_free(io->turn);
	free(io->name);
	free(io->ca);
	free(io);
}

/* ---- from the machine */

static void tell(struct snet_turn_io *io, const struct snet_turn_event *ev)
{
	if (io->closed || io->dead)
		return;
	if (ev->what == SNET_TURN_CLOSED) {
		io->closed = true;
		snet_timer_stop(io->loop, &io->timer);
		snet_tcp_close(io->tcp);
		io->tcp = NULL;
	}
	io->ev->on_event(ev, io->user);
}

static void lost(struct snet_turn_io *io, const struct snet_error *why)
{
	struct snet_turn_event ev = { .what = SNET_TURN_CLOSED, .error = *why };

	if (!ev.error.code)
		ev.error.code = SNET_ELOST;
	tell(io, &ev);
}

static void redirect(struct snet_turn_io *io, const struct snet_turn_event *ev)
{
	struct snet_error err;

	io->server = ev->peer;
	tell(io, ev);
	if (io->dead || io->closed)
		return;
	if (io->over == SNET_TURN_UDP) {
		snet_turn_start(io->turn, snet_loop_now(io->loop));
		return;
	}
	snet_tcp_close(io->tcp);
	io->tcp = NULL;
	if (dial(io, &err))
		lost(io, &err);
}

static int put(struct snet_turn_io *io, size_t n)
{
	if (io->over != SNET_TURN_UDP)
		return io->tcp ? snet_tcp_send(io->tcp, io->out, n) : SNET_ECLOSED;
	io->ev->send(&io->server, io->out, n, io->user);
	return SNET_OK;
}

static void take_events(struct snet_turn_io *io)
{
	struct snet_turn_event ev;

	while (!io->dead && !io->closed && snet_turn_event(io->turn, &ev)) {
		if (ev.what == SNET_TURN_REDIRECTED)
			redirect(io, &ev);
		else
			tell(io, &ev);
	}
}

/* Everything the machine has to say, and to send. Returns false when io is gone. */
static bool pump(struct snet_turn_io *io)
{
	snet_time now = snet_loop_now(io->loop);
	size_t n;

	if (io->busy)
		return true; /* the one that is under way goes on */
	io->busy = true;
	take_events(io);
	while (!io->dead && !io->closed && (n = snet_turn_output(io->turn, io->out, now)))
		(void)put(
			io,
			n); /* what does not go is asked for again, or lost as datagrams are */
	take_events(io);
	io->busy = false;
	if (io->dead) {
		destroy(io);
		return false;
	}
	if (!io->closed && snet_timer_set(io->loop, &io->timer, snet_turn_deadline(io->turn)))
		snet_task_defer(io->loop, &io->task); /* no memory: look again next turn */
	return true;
}

static void on_task(struct snet_task *task)
{
	pump(task->user);
}

static void on_timer(struct snet_timer *timer, snet_time now)
{
	(void)now;
	pump(timer->user);
}

/* ---- the connection */

static void on_open(void *user)
{
	struct snet_turn_io *io = user;

	snet_turn_start(io->turn, snet_loop_now(io->loop));
	pump(io);
}

static void on_data(const uint8_t *p, size_t n, void *user)
{
	static const struct snet_error full = { SNET_ENOMEM, "out of memory" };
	struct snet_turn_io *io = user;
	const struct snet_tcp *from = io->tcp;

	while (n && !io->closed && io->tcp == from) {
		long k = snet_turn_input(io->turn, p, n, snet_loop_now(io->loop));

		if (k == SNET_ENOMEM) {
			lost(io, &full);
			return;
		}
		/* A broken stream takes nothing more, and says so in an event. */
		if (!pump(io) || k <= 0)
			return;
		p += k;
		n -= (size_t)k;
	}
}

static void on_close(const struct snet_error *why, void *user)
{
	struct snet_turn_io *io = user;

	snet_tcp_close(io->tcp);
	io->tcp = NULL;
	lost(io, why);
}

static const struct snet_tcp_events tcp_events = { on_open, on_data, on_close };

static int dial(struct snet_turn_io *io, struct snet_error *err)
{
	struct snet_tls_opts tls = { .name = io->name, .ca = io->ca, .alpn = ALPN };
	struct snet_tcp_opts o = {
		.from = io->from.sa.sa_family ? &io->from : NULL,
		.tls = io->over == SNET_TURN_TLS ? &tls : NULL,
	};

	return snet_tcp_dial(&io->tcp, io->loop, &io->server, &o, &tcp_events, io, err);
}

/* ---- birth and death */

static int copy(char **to, const char *s)
{
	*to = s ? strdup(s) : NULL;
	return s && !*to ? SNET_ENOMEM : SNET_OK;
}

static int make_machine(struct snet_turn_io *io, const struct snet_turn_io_opts *o,
			struct snet_error *err)
{
	struct snet_turn_opts turn = o->turn;
	uint8_t seed[SNET_TURN_SEED];
	int rc;

	turn.stream = o->over != SNET_TURN_UDP;
	rc = snet_random(seed, sizeof(seed));
	if (rc)
		return snet_fail(err, rc, "no random bytes");
	rc = snet_turn_new(&io->turn, &turn, seed, err);
	snet_wipe(seed, sizeof(seed));
	return rc;
}

static int begin(struct snet_turn_io *io, struct snet_error *err)
{
	if (io->over != SNET_TURN_UDP)
		return dial(io, err);
	snet_task_defer(io->loop, &io->task);
	return snet_turn_start(io->turn, snet_loop_now(io->loop));
}

int snet_turn_io_new(struct snet_turn_io **out, struct snet_loop *l,
		     const struct snet_turn_io_opts *o, const struct snet_turn_io_events *ev,
		     void *user, struct snet_error *err)
{
	struct snet_turn_io *io;
	int rc;

	if (o->over == SNET_TURN_TLS && !o->name)
		return snet_fail(err, SNET_EINVAL, "TURN over TLS: whose certificate?");
	io = calloc(1, sizeof(*io));
	if (!io)
		return snet_fail(err, SNET_ENOMEM, "TURN");
	io->loop = l;
	io->over = o->over;
	io->server = o->turn.server;
	io->from = o->from ? *o->from : (struct snet_addr){ 0 };
	io->ev = ev;
	io->user = user;
	io->timer = (struct snet_timer){ .fn = on_timer, .user = io };
	snet_task_init(&io->task, on_task, io);
	if (copy(&io->name, o->name) || copy(&io->ca, o->ca))
		rc = snet_fail(err, SNET_ENOMEM, "TURN");
	else
		rc = make_machine(io, o, err);
	if (!rc)
		rc = begin(io, err);
	if (rc) {
		destroy(io);
		return rc;
	}
	*out = io;
	return SNET_OK;
}

void snet_turn_io_free(struct snet_turn_io *io)
{
	if (!io || io->dead)
		return;
	io->dead = true;
	if (!io->busy)
		destroy(io);
}

/* ---- wishes */

bool snet_turn_io_input(struct snet_turn_io *io, const struct snet_addr *from, const uint8_t *p,
			size_t n)
{
	long rc;

	if (io->over != SNET_TURN_UDP || io->closed || !snet_addr_eq(from, &io->server))
		return false;
	rc = snet_turn_input(io->turn, p, n, snet_loop_now(io->loop));
	pump(io);
	return rc != SNET_EAGAIN;
}

/* What follows from a wish happens in a turn of its own: nobody is called back from it. */
static int soon(struct snet_turn_io *io, int rc)
{
	if (!rc)
		snet_task_defer(io->loop, &io->task);
	return rc;
}

int snet_turn_io_permit(struct snet_turn_io *io, const struct snet_addr *peer)
{
	return soon(io, snet_turn_permit(io->turn, peer, snet_loop_now(io->loop)));
}

int snet_turn_io_bind(struct snet_turn_io *io, const struct snet_addr *peer)
{
	return soon(io, snet_turn_bind(io->turn, peer, snet_loop_now(io->loop)));
}

void snet_turn_io_forget(struct snet_turn_io *io, const struct snet_addr *peer)
{
	snet_turn_forget(io->turn, peer, snet_loop_now(io->loop));
	soon(io, SNET_OK);
}

int snet_turn_io_refresh(struct snet_turn_io *io)
{
	return soon(io, snet_turn_refresh(io->turn, snet_loop_now(io->loop)));
}

int snet_turn_io_release(struct snet_turn_io *io)
{
	return soon(io, snet_turn_release(io->turn, snet_loop_now(io->loop)));
}

int snet_turn_io_send(struct snet_turn_io *io, const struct snet_addr *peer, const void *p,
		      size_t n)
{
	size_t len;
	int rc;

	if (io->closed)
		return SNET_ECLOSED;
	/* Half of the queue is for what keeps the allocation alive. */
	if (io->tcp && snet_tcp_queued(io->tcp) > SNET_TCP_QUEUE / 2)
		return SNET_EAGAIN;
	rc = snet_turn_wrap(io->turn, peer, p, n, io->out, sizeof(io->out), &len);
	if (!rc)
		return put(io, len);
	return rc == SNET_EAGAIN ? snet_turn_send(io->turn, peer, p, n) : rc;
}

const struct snet_turn_counts *snet_turn_io_counts(const struct snet_turn_io *io)
{
	return snet_turn_counts(io->turn);
}
