#include "cli/groups.h"
#include "cli/out.h"
#include "cli/party_impl.h"
#include "cli/say.h"
#include "obs/metrics.h"

#define CONFIRM_EVERY (10 * SNET_MS)

/* ---- what is wrong with an item */

void party_bad_item(struct party *p, const struct snet_error *err, uint64_t line)
{
	snet_count(SNET_METRIC_BAD_INPUT, 1);
	if (!p->n_bad++ && !p->worst.code)
		p->bad_first = true;
	out_error(err, OPT_NONE, line ? line : OPT_NONE, false);
	party_blame(p, err, OPT_NONE);
}

void party_dropped(uint64_t *count, const char *what, uint64_t id)
{
	snet_count(SNET_METRIC_DROPPED_MESSAGES, 1);
	if (!(*count)++)
		say_note("%s %llu is slow: dropping what it has no room for", what,
			 (unsigned long long)id);
}

/* ---- to this party itself, and to stdout */

void party_stall(struct party *p)
{
	if (p->stalled || !p->duct.sink || !sink_is_full(p->duct.sink))
		return;
	p->stalled = true;
	snet_mesh_pause(p->mesh, true);
	party_clients_pause(p);
}

/* --journal: acknowledged is what stdout has taken, so that whoever is killed is sent the rest
 * again. */
static void on_confirm(struct snet_timer *t, snet_time now)
{
	struct party *p = t->user;

	if (p->duct.sink && sink_waiting(p->duct.sink))
		snet_timer_set(p->run->loop, t, now + CONFIRM_EVERY);
	else
		snet_mesh_confirm_all(p->mesh);
}

void party_confirm_soon(struct party *p)
{
	if (!p->opts->journal || p->confirm.slot)
		return;
	p->confirm = (struct snet_timer){ .fn = on_confirm, .user = p };
	snet_timer_set(p->run->loop, &p->confirm, snet_loop_now(p->run->loop) + CONFIRM_EVERY);
}

static void printed(struct party *p, int rc, const char *what, uint32_t from)
{
	struct snet_error err;

	if (rc && !sink_is_broken(p->duct.sink)) {
		snet_fail(&err, SNET_ENOMEM, "no memory for a message of %s %u", what, from);
		party_done(p, &err, OPT_NONE);
	}
	party_stall(p);
}

void party_print(struct party *p, uint32_t from, const struct snet_message *m)
{
	if (p->duct.sink) /* else its program reads no more */
		printed(p, output_message(&p->duct.out, from, m), "party", from);
	party_confirm_soon(p);
}

void party_print_client(struct party *p, uint32_t number, const struct snet_message *m)
{
	if (p->duct.sink)
		printed(p, output_client(&p->duct.out, number, m), "client", number);
}

/* The payload in one piece, as a message that came. */
static void send_to_self(struct party *p, const struct input_message *msg)
{
	struct snet_buf b = SNET_BUF(SNET_MESSAGE_MAX);
	struct snet_message m = { .stream = msg->stream, .kind = msg->kind, .n = msg->total };
	struct snet_error err;

	m.seq = ++p->own_sent;
	p->own_bytes += msg->total;
	if (msg->n == 1)
		m.p = msg->v[0].p;
	for (size_t i = 0; msg->n > 1 && i < msg->n; i++)
		snet_buf_add(&b, msg->v[i].p, msg->v[i].n);
	if (msg->n > 1)
		m.p = b.p;
	if (!b.bad && p->opts->sync) {
		struct snet_slice s = { m.p, m.n, msg->n == 1 ? msg->v[0].block : NULL };

		party_rounds_put(p, (uint32_t)(p->self - p->net.roster->members), m.kind, &s);
	} else if (!b.bad) {
		party_print(p, p->self->id, &m);
	} else {
		snet_fail(&err, SNET_ENOMEM, "message %llu to this party itself: %s",
			  (unsigned long long)msg->line, snet_err_text(SNET_ENOMEM));
		party_bad_item(p, &err, msg->line);
	}
	snet_buf_free(&b);
}

/* ---- to the others */

static void no_room(struct party *p, uint32_t i)
{
	struct party_member *m = &p->members[i];
	struct snet_error err;

	if (cli.overflow == OVERFLOW_DROP) {
		party_dropped(&m->dropped, "party", m->who->id);
		return;
	}
	snet_fail(&err, SNET_EPOLICY, "the queue of party %u is full", m->who->id);
	party_done(p, &err, m->who->id);
}

static void sent(struct party *p, uint32_t i, const struct input_message *msg)
{
	struct party_member *m = &p->members[i];

	m->sent++;
	snet_count(SNET_METRIC_SENT_MESSAGES, 1);
	snet_count(SNET_METRIC_SENT_BYTES, msg->total);
	if (cli.overflow == OVERFLOW_BLOCK && !m->full && snet_mesh_is_full(p->mesh, i)) {
		m->full = true;
		p->n_full++;
	}
}

static void send_to(struct party *p, uint32_t i, const struct input_message *msg)
{
	struct party_member *m = &p->members[i];
	struct snet_error err;
	int rc;

	if (m->item == p->item) /* named twice is meant once */
		return;
	m->item = p->item;
	if (m->who == p->self) {
		send_to_self(p, msg);
		p->self_waits = p->stalled && !p->opts->sync;
		return;
	}
	rc = snet_mesh_queue(p->mesh, i, msg->stream, msg->kind, msg->v, msg->n);
	if (!rc) {
		sent(p, i, msg);
	} else if (rc == SNET_ECLOSED) {
		m->sent++; /* it has gone, and that was told */
	} else if (rc == SNET_EAGAIN) {
		no_room(p, i);
	} else if (rc == SNET_EIO) {
		snet_fail(&err, SNET_EIO, "%s: cannot be written", p->opts->journal);
		party_done(p, &err, OPT_NONE);
	} else {
		snet_fail(&err, rc == SNET_EINVAL ? SNET_EPROTO : rc,
			  "message %llu to party %u: %s", (unsigned long long)msg->line,
			  m->who->id,
			  rc == SNET_EINVAL ? "its profile has stream 0 and kind data only"
					    : snet_err_text(rc));
		party_bad_item(p, &err, msg->line);
	}
}

static void send_to_client(struct party *p, uint64_t id, const struct input_message *msg)
{
	struct party_client *c = party_client(p, id);
	struct snet_error err;

	if (c) {
		party_client_send(c, msg);
		return;
	}
	snet_fail(&err, SNET_ENOENT, "message %llu: no client:%llu",
		  (unsigned long long)msg->line, (unsigned long long)id);
	party_bad_item(p, &err, msg->line);
}

static void send_to_number(struct party *p, uint32_t number, const struct input_message *msg)
{
	const struct roster_member *r = roster_party(p->net.roster, number);
	struct snet_error err;

	if (r) {
		send_to(p, (uint32_t)(r - p->net.roster->members), msg);
	} else if (cli.format == FORMAT_ADDRESSED && number >= OUTPUT_CLIENT) {
		send_to_client(p, number - OUTPUT_CLIENT, msg);
	} else {
		snet_fail(&err, SNET_ENOENT, "message %llu: no party %u in the roster",
			  (unsigned long long)msg->line, number);
		party_bad_item(p, &err, msg->line);
	}
}

/* A round has one message from each to each, on one stream, and none for clients. */
static bool fits_rounds(struct party *p, const struct input_message *msg)
{
	struct snet_error err;

	if (!msg->stream && !msg->n_clients)
		return true;
	snet_fail(&err, SNET_EPROTO, "message %llu: --sync has no %s",
		  (unsigned long long)msg->line, msg->stream ? "streams" : "clients");
	party_bad_item(p, &err, msg->line);
	return false;
}

static void on_item(struct duct *d, const struct input_message *msg, void *user)
{
	struct party *p = user;
	bool all = msg->all || (!msg->n_to && !msg->n_clients);

	if (p->opts->sync && !fits_rounds(p, msg))
		return;
	p->item++;
	for (uint32_t i = 0; all && i < p->n; i++)
		send_to(p, i, msg);
	for (size_t i = 0; i < msg->n_to; i++)
		send_to_number(p, msg->to[i], msg);
	for (size_t i = 0; i < msg->n_clients; i++)
		send_to_client(p, msg->clients[i], msg);
	if (p->opts->sync)
		party_rounds_sent(p);
	if (p->n_full || p->self_full || p->self_waits)
		duct_hold(d);
}

/* ---- the duct */

static void on_bad(struct duct *d, const struct snet_error *err, uint64_t line, bool last,
		   void *user)
{
	(void)d, (void)last;
	party_bad_item(user, err, line);
}

void party_end_input(struct party *p)
{
	if (p->ended)
		return;
	p->ended = true;
	snet_mesh_finish(p->mesh);
	if (p->opts->sync)
		party_rounds_without(p, (uint32_t)(p->self - p->net.roster->members));
	party_check_over(p);
}

static void on_rest(struct duct *d, void *user)
{
	struct party *p = user;

	(void)d;
	snet_mesh_flush(p->mesh);
}

static void on_end(struct duct *d, void *user)
{
	(void)d;
	party_end_input(user);
}

void party_read_on(struct party *p)
{
	if (!p->n_full && !p->self_full && !p->self_waits && !p->ended)
		duct_go(&p->duct);
}

void party_room(void *user)
{
	struct party *p = user;

	if (!p->stalled)
		return;
	p->stalled = p->self_waits = false;
	if (p->opts->sync)
		party_rounds_turn(p);
	if (p->stalled)
		return;
	snet_mesh_pause(p->mesh, false);
	party_clients_pause(p);
	party_read_on(p);
}

static void on_room(struct duct *d, void *user)
{
	(void)d;
	party_room(user);
}

/* The program reads no more: that is its right. */
static void on_broken(struct duct *d, const struct snet_error *err, void *user)
{
	(void)err;
	on_room(d, user);
}

static void on_stall(struct duct *d, size_t waiting, void *user)
{
	(void)d;
	party_say_stalled(user, waiting);
}

const struct duct_events party_duct_events = { on_item,   on_bad,  on_end,  on_room,
					       on_broken, on_rest, on_stall };
