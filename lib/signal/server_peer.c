/* Server peer: one member's connection: its socket, its frames, and how fast it takes them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "obs/metrics.h"
#include "signal/message.h"
#include "signal/server_impl.h"

#define DEAD_AFTER 3            /* pings that went unheard */
#define FAREWELL (2 * SNET_SEC) /* for the answer to our close frame */
#define READS 4                 /* in one turn of the loop */

/* ---- the room */

static struct peer *other(const struct peer *p, struct snet_member **at)
{
	*at = snet_member_next(p->member, *at);
	return *at ? snet_member_user(*at) : NULL;
}

/* Whoever may have to look again whether it is to be read from. */
static void tell_others(const struct peer *p)
{
	struct snet_member *at = NULL;
	struct peer *q;

	while (p->member && (q = other(p, &at)))
		snet_task_defer(p->s->loop, &q->task);
}

/* A member that does not take what it is sent makes the others wait, not the queue grow. */
static void look_if_full(struct peer *p)
{
	size_t queued = snet_ws_queued(p->ws);

	if (p->full ? queued > p->s->o.queue / 2 : queued < p->s->o.queue)
		return;
	p->full = !p->full;
	p->full_since = snet_loop_now(p->s->loop);
	tell_others(p);
}

static bool must_wait(const struct peer *p)
{
	struct snet_member *at = NULL;
	const struct peer *q;

	if (p->full)
		return true;
	while (p->member && (q = other(p, &at)))
		if (q->full)
			return true;
	return false;
}

static void give(struct peer *p, const uint8_t *bytes, size_t n)
{
	if (snet_ws_text(p->ws, bytes, n)) {
		snet_count(SNET_METRIC_DROPPED_MESSAGES, 1);
		return;
	}
	snet_count(SNET_METRIC_SENT_MESSAGES, 1);
	snet_count(SNET_METRIC_SENT_BYTES, n);
	look_if_full(p);
	snet_task_defer(p->s->loop, &p->task);
}

static void on_text(const uint8_t *bytes, size_t n, void *user)
{
	struct peer *p = user, *q;
	struct snet_member *at = NULL;

	if (!p->member)
		return;
	if (!snet_signal_message_is_good(bytes, n)) {
		snet_count(SNET_METRIC_BAD_INPUT, 1);
		snet_signal_peer_leave(p, SNET_EPROTO, SNET_WS_BAD_DATA,
				       "a message is a JSON object");
		return;
	}
	snet_count(SNET_METRIC_RECEIVED_MESSAGES, 1);
	snet_count(SNET_METRIC_RECEIVED_BYTES, n);
	if (snet_rooms_say(p->s->rooms, p->member, bytes, n, snet_loop_now(p->s->loop)))
		snet_count(SNET_METRIC_DROPPED_MESSAGES, 1); /* for those who come later */
	while ((q = other(p, &at)))
		give(q, bytes, n);
}

static void on_close(unsigned code, const char *why, void *user)
{
	struct peer *p = user;
	bool is_fine =
		code == SNET_WS_NORMAL || code == SNET_WS_GOING_AWAY || code == SNET_WS_NO_CODE;

	p->heard_out = true;
	/* wslay has queued the answer */
	snet_signal_peer_leave(p, is_fine ? SNET_OK : SNET_ELOST, code,
			       *why      ? why
			       : is_fine ? "left"
					 : "left with an error");
}

static const struct snet_ws_events ws_events = { on_text, on_close };

void snet_signal_peer_leave(struct peer *p, int code, unsigned ws_code, const char *why)
{
	struct snet_signal_server *s = p->s;
	struct snet_signal_peer about = { .number = p->number, .from = p->from };
	char room[SNET_ROOM_NAME_MAX + 1];
	struct snet_room_about r;
	struct snet_error err = { 0 };

	if (!p->member)
		return;
	snet_member_about(p->member, &r);
	strcpy(room, r.name);
	about.room = room;
	about.members = r.members - 1;
	tell_others(p);
	snet_rooms_leave(s->rooms, p->member, snet_loop_now(s->loop));
	p->member = NULL;
	snet_gauge(SNET_METRIC_PEERS, snet_rooms_members(s->rooms));
	if (ws_code && !p->heard_out)
		snet_ws_close(p->ws, ws_code, why);
	p->ended |= !ws_code;
	if (code)
		snet_count(SNET_METRIC_LOST, 1);
	if (!p->urh)
		return; /* nobody has heard of it */
	snet_timer_set(s->loop, &p->timer, snet_loop_now(s->loop) + FAREWELL);
	snet_task_defer(s->loop, &p->task);
	snet_fail(&err, code, "%s", why);
	s->ev->on_left(&about, &err, s->user);
}

/* ---- out */

static bool flush(struct peer *p)
{
	for (;;) {
		ssize_t k;

		if (p->out_at == p->out_n) {
			p->out_at = 0;
			p->out_n = snet_ws_output(p->ws, p->out, sizeof(p->out));
		}
		if (!p->out_n)
			return true;
		k = send(p->fd, p->out + p->out_at, p->out_n - p->out_at,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0)
			return errno == EAGAIN || errno == EINTR;
		p->out_at += (size_t)k;
	}
}

static bool has_output(const struct peer *p)
{
	return p->out_at < p->out_n || snet_ws_wants_output(p->ws);
}

static bool is_over(const struct peer *p)
{
	return !p->member && (p->ended || (snet_ws_is_closed(p->ws) && !has_output(p)));
}

/* Writes what can be written, decides what to wait for, and frees what is over. */
static void turn(struct peer *p)
{
	if (!p->io)
		return; /* the upgrade comes first */
	if (!flush(p)) {
		snet_signal_peer_leave(p, SNET_ELOST, 0, "hung up");
		p->ended = true;
	}
	look_if_full(p);
	if (is_over(p)) {
		snet_signal_peer_free(p);
		return;
	}
	p->waiting = must_wait(p);
	snet_io_want(p->io, (p->waiting || p->ended ? 0 : SNET_READ) |
				    (has_output(p) ? SNET_WRITE : 0));
}

static void on_task(struct snet_task *t)
{
	turn(t->user);
}

/* ---- in */

static void input(struct peer *p, const uint8_t *bytes, size_t n)
{
	int rc;

	p->heard = snet_loop_now(p->s->loop);
	rc = snet_ws_input(p->ws, bytes, n);
	if (rc)
		snet_count(SNET_METRIC_BAD_INPUT, 1);
	if (rc) /* the close frame is queued */
		snet_signal_peer_leave(p, rc,
				       rc == SNET_ENOMEM ? SNET_WS_INTERNAL : SNET_WS_PROTOCOL,
				       snet_err_text(rc));
}

static void read_some(struct peer *p)
{
	uint8_t bytes[PEER_PIECE];

	for (int i = 0; i < READS && !p->ended && !must_wait(p); i++) {
		ssize_t k = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (k > 0) {
			input(p, bytes, (size_t)k);
			continue;
		}
		snet_signal_peer_leave(p, SNET_ELOST, 0, "hung up");
		p->ended = true;
	}
}

static void on_ready(struct snet_io *io, int ready, void *user)
{
	struct peer *p = user;

	(void)io;
	if (ready & SNET_READ)
		read_some(p);
	turn(p);
}

/* ---- time */

static snet_time period(const struct snet_signal_server *s)
{
	return s->o.keep_alive < s->o.timeout ? s->o.keep_alive : s->o.timeout;
}

static bool is_dead(const struct peer *p, snet_time now)
{
	return !p->waiting && p->s->o.keep_alive != SNET_NEVER &&
	       now - p->heard > DEAD_AFTER * p->s->o.keep_alive;
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct peer *p = t->user;

	/* It is we who were asleep: nobody had the time. */
	if (now - t->deadline > period(p->s))
		p->heard = p->full_since = now;
	if (!p->member) {
		p->ended = true; /* no answer to our farewell */
	} else if (p->full && now - p->full_since >= p->s->o.timeout) {
		snet_signal_peer_leave(p, SNET_EPOLICY, 0, "takes nothing, and the room waits");
	} else if (is_dead(p, now)) {
		snet_signal_peer_leave(p, SNET_ETIMEOUT, 0, "has fallen silent");
	} else {
		if (p->s->o.keep_alive != SNET_NEVER && !p->full)
			snet_ws_ping(p->ws);
		snet_timer_set(p->s->loop, t, now + period(p->s));
	}
	if (p->waiting)
		p->heard = now; /* what it sends is not read: it need not be silent */
	turn(p);
}

/* ---- birth and death */

static void replay(struct peer *p)
{
	const struct snet_kept *at = NULL;
	const uint8_t *bytes;
	size_t n;

	while (snet_member_replay(p->member, &at, &bytes, &n))
		give(p, bytes, n);
}

enum snet_room_answer snet_signal_peer_new(struct peer **out, struct snet_signal_server *s,
					   const char *room, const struct snet_addr *from)
{
	struct snet_ws_opts ws = { .max_message = s->o.max_message };
	struct peer *p = calloc(1, sizeof(*p));
	enum snet_room_answer a;

	if (!p)
		return SNET_ROOM_NO_MEMORY;
	p->s = s;
	p->fd = -1;
	p->from = *from;
	p->timer = (struct snet_timer){ .fn = on_timer, .user = p };
	snet_task_init(&p->task, on_task, p);
	snet_list_init(&p->node);
	a = snet_ws_new(&p->ws, &ws, &ws_events, p) ? SNET_ROOM_NO_MEMORY : SNET_ROOM_WELCOME;
	if (!a)
		a = snet_rooms_join(s->rooms, room, from, p, snet_loop_now(s->loop),
				    &p->member);
	if (a) {
		snet_signal_peer_free(p);
		return a;
	}
	snet_list_add(&s->peers, &p->node);
	p->number = ++s->numbers;
	snet_gauge(SNET_METRIC_PEERS, snet_rooms_members(s->rooms));
	replay(p);
	p->held = out;
	*out = p;
	return a;
}

void snet_signal_peer_start(struct peer *p, struct MHD_UpgradeResponseHandle *urh, int fd,
			    const void *more, size_t n)
{
	struct snet_signal_server *s = p->s;
	struct snet_signal_peer about = { .number = p->number, .from = p->from };
	struct snet_room_about r;

	p->held = NULL;
	p->urh = urh;
	p->fd = fd;
	p->heard = snet_loop_now(s->loop);
	p->io = snet_io_new(s->loop, fd, on_ready, p);
	if (!p->member || !p->io || snet_timer_set(s->loop, &p->timer, p->heard + period(s))) {
		snet_signal_peer_free(p);
		return;
	}
	snet_count(SNET_METRIC_ACCEPTED, 1);
	snet_member_about(p->member, &r);
	about.room = r.name;
	about.members = r.members;
	s->ev->on_joined(&about, s->user);
	if (s->draining)
		snet_signal_peer_leave(p, SNET_ECLOSED, SNET_WS_GOING_AWAY, "the server ends");
	if (n)
		input(p, more, n);
	snet_task_defer(s->loop, &p->task);
}

void snet_signal_peer_free(struct peer *p)
{
	struct snet_signal_server *s = p->s;

	if (p->member) {
		tell_others(p);
		snet_rooms_leave(s->rooms, p->member, snet_loop_now(s->loop));
		snet_gauge(SNET_METRIC_PEERS, snet_rooms_members(s->rooms));
	}
	if (p->held)
		*p->held = NULL;
	snet_timer_stop(s->loop, &p->timer);
	snet_task_cancel(&p->task);
	snet_io_free(p->io);
	if (p->urh) {
		MHD_upgrade_action(p->urh, MHD_UPGRADE_ACTION_CLOSE);
		snet_task_defer(s->loop, &s->http_task);
	}
	snet_ws_free(p->ws);
	snet_list_del(&p->node);
	if (s->draining && !s->drained && snet_list_is_empty(&s->peers)) {
		s->drained = true;
		s->ev->on_drained(s->user);
	}
	free(p);
}
