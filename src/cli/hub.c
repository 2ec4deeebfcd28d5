#include "cli/hub.h"
#include "cli/ice_opts.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/peer_events.h"
#include "cli/ready.h"
#include "cli/say.h"
#include "crypto/identity.h"
#include "obs/metrics.h"

#define WAITING_FIRST (1 * SNET_SEC)
#define WAITING_EVERY (10 * SNET_SEC)

/* ---- who */

struct mate *hub_find(struct hub *h, uint32_t number)
{
	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		struct mate *m = SNET_OF(n, struct mate, node);

		if (m->number == number && !m->unwanted)
			return m;
	}
	return NULL;
}

/* on each, which may go on the way */
void hub_each(struct hub *h, void (*fn)(struct mate *m))
{
	for (struct snet_list *n = h->mates.next, *after; n != &h->mates; n = after) {
		after = n->next;
		fn(SNET_OF(n, struct mate, node));
	}
}

/* ---- from stdin to peers */

static bool may_read(const struct hub *h)
{
	if (h->enough || h->draining || h->n_full || !h->n_up)
		return false;
	/* A message for all is for all that were named on the command line. */
	return h->listens || h->n_up == h->n_mates;
}

static void read_on(struct hub *h)
{
	if (may_read(h))
		duct_go(&h->duct);
	else
		duct_hold(&h->duct);
}

/* Said, counted, and no reason to stop. */
static void bad_item(struct hub *h, const struct snet_error *err, uint64_t line)
{
	snet_count(SNET_METRIC_BAD_INPUT, 1);
	if (!h->n_bad++ && !h->worst.code)
		h->bad_first = true;
	out_error(err, OPT_NONE, line ? line : OPT_NONE, false);
	hub_blame(h, err, OPT_NONE);
}

static void bad_to(struct hub *h, uint32_t number, uint64_t line)
{
	struct snet_error err;

	snet_fail(&err, SNET_ENOENT, "message %llu: no peer %u", (unsigned long long)line,
		  number);
	bad_item(h, &err, line);
}

static void bad_client(struct hub *h, const struct input_message *msg)
{
	struct snet_error err;

	snet_fail(&err, SNET_ENOENT,
		  "message %llu: no client:%llu; clients are those of snet-party",
		  (unsigned long long)msg->line, (unsigned long long)msg->clients[0]);
	bad_item(h, &err, msg->line);
}

static void on_item(struct duct *d, const struct input_message *msg, void *user)
{
	struct hub *h = user;

	(void)d;
	if (msg->all || (!msg->n_to && !msg->n_clients)) {
		for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
			struct mate *m = SNET_OF(n, struct mate, node);

			if (m->up && m->peer && !m->unwanted)
				mate_send(m, msg);
		}
	}
	h->item++;
	for (size_t i = 0; i < msg->n_to; i++) {
		struct mate *m = hub_find(h, msg->to[i]);

		if (!m || !m->up || !m->peer)
			bad_to(h, msg->to[i], msg->line);
		else if (m->item != h->item) /* named twice is meant once */
			mate_send(m, msg);
		if (m)
			m->item = h->item;
	}
	if (msg->n_clients)
		bad_client(h, msg);
	if (h->n_full)
		duct_hold(&h->duct);
}

static void on_bad(struct duct *d, const struct snet_error *err, uint64_t line, bool last,
		   void *user)
{
	(void)d, (void)last;
	bad_item(user, err, line);
}

static void on_end(struct duct *d, void *user)
{
	struct hub *h = user;

	(void)d;
	h->input_ended = true;
	if (!cli.keep_open || h->listens)
		hub_each(h, mate_finish);
	else
		hub_each(h, mate_check); /* those that have ended before */
	hub_check_enough(h);
}

static void on_room(struct duct *d, void *user)
{
	(void)d;
	(void)user; /* stdout is the run's: see on_stdout_room */
}

static const struct duct_events duct_events = { on_item, on_bad, on_end, on_room, NULL };

/* ---- from peers to stdout */

static void pause_one(struct mate *m)
{
	if (!m->child)
		mate_pause(m, m->hub->stalled);
}

static void on_stdout_room(void *user)
{
	struct hub *h = user;

	h->stalled = false;
	hub_each(h, pause_one);
}

void hub_mate_message(struct mate *m, const struct snet_message *msg)
{
	struct hub *h = m->hub;

	if (m->child) {
		child_message(m->child, msg);
	} else if (h->enough) {
		snet_peer_close(m->peer, SNET_ECANCELLED, "no more messages are wanted");
		return;
	} else if (!cli.send_only) {
		if (output_message(&h->duct.out, m->number, msg) &&
		    !sink_is_broken(h->run->out)) {
			snet_peer_close(m->peer, SNET_ENOMEM, "no memory for its message");
			return;
		}
		if (sink_is_full(h->run->out) && !h->stalled) {
			h->stalled = true;
			hub_each(h, pause_one);
		}
	}
	if (cli.count != OPT_NONE || cli.replies != OPT_NONE)
		hub_check_enough(h);
}

/* What was taken for it is still delivered. */
static void stop_one(struct mate *m)
{
	if (m->up) {
		mate_finish(m);
		mate_check(m);
	} else if (m->peer) {
		snet_peer_close(m->peer, SNET_ECANCELLED, "interrupted");
	} else {
		struct snet_error err = m->target->last;

		if (!err.code)
			snet_fail(&err, SNET_ECANCELLED, "interrupted");
		hub_blame(m->hub, &err, m->number);
		mate_free(m);
	}
}

/* ---- peers come and go */

static void kill_one(struct mate *m)
{
	if (m->peer)
		snet_peer_close(m->peer, SNET_EPOLICY, "raw carries one peer at a time");
	m->unwanted = true;
}

static bool raw_is_taken(const struct mate *m)
{
	const struct hub *h = m->hub;

	if (!h->listens || h->exec || cli.format != FORMAT_RAW)
		return false;
	for (const struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		const struct mate *other = SNET_OF(n, const struct mate, node);

		if (other != m && other->up && !other->unwanted)
			return true;
	}
	return false;
}

/* A party that comes again has lost its old connection, whether or not we have noticed: there
 * is one of each. */
static void retire_older(const struct mate *m)
{
	for (struct snet_list *n = m->hub->mates.next; n != &m->hub->mates; n = n->next) {
		struct mate *old = SNET_OF(n, struct mate, node);

		if (old == m || old->number != m->number || !old->up || !old->peer)
			continue;
		old->unwanted = true;
		snet_peer_close(old->peer, SNET_ECANCELLED, "the party has come again");
	}
}

void hub_mate_up(struct mate *m)
{
	struct hub *h = m->hub;
	struct snet_error err = { 0 };

	retire_older(m);
	hub_meet_came(m);
	h->n_up++;
	h->n_came++;
	snet_gauge(SNET_METRIC_PEERS, h->n_up);
	hub_say_up(m);
	if (raw_is_taken(m)) {
		kill_one(m);
		return;
	}
	if (h->exec && child_start(m, &err)) {
		out_error(&err, m->number, OPT_NONE, false);
		snet_peer_close(m->peer, SNET_EIO, "the program for this peer cannot be run");
		return;
	}
	if (!m->child && h->stalled)
		mate_pause(m, true);
	if (!m->child && (cli.recv_only || (h->input_ended && (!cli.keep_open || h->listens))))
		mate_finish(m);
	if (!h->listens && h->n_up == h->n_mates)
		hub_say_ready(h);
	read_on(h);
}

void hub_mate_room(struct mate *m)
{
	struct hub *h = m->hub;

	if (m->child) {
		child_room(m->child);
		return;
	}
	h->n_full--;
	read_on(h);
}

void hub_mate_gone(struct mate *m, const struct snet_error *err)
{
	struct hub *h = m->hub;
	/* A server goes on whatever one peer did: the event has told. */
	bool serves = h->listens && (cli.keep_open || h->exec);
	bool target = m->target;

	/* Told to stop, we stop peers: that is no failure of theirs or ours. */
	if (err->code && !serves && !h->enough && !m->unwanted &&
	    !(h->draining && err->code == SNET_ECANCELLED))
		hub_blame(h, err, m->number);
	h->gone.sent_messages += m->count.sent_messages;
	h->gone.sent_bytes += m->count.sent_bytes;
	h->gone.received_messages += m->count.received_messages;
	h->gone.received_bytes += m->count.received_bytes;
	h->gone.dropped_messages += m->count.dropped_messages;
	if (m->up)
		h->n_up--;
	snet_gauge(SNET_METRIC_PEERS, h->n_up);
	if (m->full && !m->child)
		h->n_full--;
	mate_free(m);
	/* One target missing is no reason to keep from the others what is theirs; but nothing
	 * was promised to be sent before all were there. */
	if (target && err->code && !h->ready) {
		h->draining = true;
		hub_each(h, stop_one);
	}
	read_on(h);
	hub_check(h);
}

void hub_accept(struct hub *h, struct snet_conn *c)
{
	if (h->enough || h->draining) {
		c->transport->close(c, SNET_ECANCELLED, "no more messages are wanted");
		return;
	}
	mate_accept(h, c);
}

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	(void)e;
	hub_accept(user, c);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	(void)e, (void)user;
	peer_say_refused(from, code, why);
}

static const struct snet_endpoint_events endpoint_events = { on_accept, on_refused };

/* ---- stopping */

/* SIGINT, SIGTERM: what was taken from stdin is still delivered. */
static void on_drain(void *user)
{
	struct hub *h = user;

	h->draining = true;
	duct_hold(&h->duct);
	child_stop_all(h, SIGTERM);
	hub_each(h, stop_one);
	hub_check(h);
}

/* No time is left, and nothing else tells them. */
static void on_kill(void *user)
{
	child_stop_all(user, SIGKILL);
}

/* ---- life */

static void on_waiting(struct snet_timer *t, snet_time now)
{
	struct hub *h = t->user;

	if (h->listens || h->n_up == h->n_mates)
		return;
	hub_say_waiting(h);
	snet_timer_set(h->run->loop, t, now + WAITING_EVERY);
}

int hub_init(struct hub *h, struct run *r, const char *exec, struct snet_error *err)
{
	struct duct_opts o = { .in = cli.recv_only || exec ? -1 : 0,
			       .out = -1,
			       .sink = r->out,
			       .in_name = "stdin" };
	int rc;

	*h = (struct hub){ .run = r, .exec = exec, .next_number = 1, .worst_peer = OPT_NONE };
	snet_list_init(&h->mates);
	snet_list_init(&h->children);
	h->waiting = (struct snet_timer){ .fn = on_waiting, .user = h };
	hub_over_init(h);
	h->wait_until = cli.wait == SNET_NEVER ? SNET_NEVER : snet_loop_now(r->loop) + cli.wait;
	snet_loop_doze(r->loop);
	r->on_drain = on_drain;
	r->on_kill = on_kill;
	r->on_stats = hub_stats;
	r->on_room = on_stdout_room;
	r->user = h;
	rc = net_init(&h->net, r->loop, err);
	if (!rc)
		rc = hub_meets_init(h, err);
	if (!rc)
		rc = duct_init(&h->duct, r->loop, &o, &duct_events, h, err);
	h->input_ended = o.in < 0;
	for (size_t i = 0; !rc && h->net.roster && i < h->net.roster->parties; i++)
		if (h->net.roster->members[i].id >= h->next_number)
			h->next_number = h->net.roster->members[i].id + 1;
	return rc;
}

/* A run that failed does not end as if all were well for the peers. */
static void fail_one(struct mate *m)
{
	if (m->peer)
		snet_peer_close(m->peer, SNET_ECANCELLED, "the other side has failed");
}

void hub_fini(struct hub *h)
{
	if (!h->run)
		return;
	snet_timer_stop(h->run->loop, &h->waiting);
	snet_timer_stop(h->run->loop, &h->grace);
	snet_timer_stop(h->run->loop, &h->replies);
	child_stop_all(h, SIGKILL);
	if (h->run->status)
		hub_each(h, fail_one);
	hub_each(h, mate_hang_up); /* of rooms that are about to go */
	/* Closes what is open: each on_down frees its mate. */
	net_meets_fini(&h->meets);
	ice_opts_fini();
	net_fini(&h->net);
	while (!snet_list_is_empty(&h->mates))
		mate_free(SNET_OF(h->mates.next, struct mate, node));
	duct_fini(&h->duct);
}

int hub_listen(struct hub *h, const struct snet_url *at, struct snet_error *err)
{
	int fd = -1, rc = ready_listen_fd(&fd, err);

	h->listens = true;
	if (!rc && fd < 0 && !at)
		rc = snet_fail(err, SNET_EINVAL, "no address to listen at");
	if (!rc)
		rc = net_check_trust(&h->net, err);
	if (!rc && at && at->room[0])
		rc = net_answer(&h->meets, at, fd, err);
	else if (!rc)
		rc = net_listen(&h->net, at, fd, &endpoint_events, h, err);
	return rc;
}

int hub_target(struct hub *h, const char *operand, struct snet_error *err)
{
	const struct roster_member *r;
	struct snet_url url;
	struct mate *m;
	int rc = net_target(&h->net, operand, &url, &r, err);

	if (rc)
		return rc;
	if (!url.port && strcmp(url.scheme, "srv"))
		return snet_fail(err, SNET_EINVAL, "%s: port 0 cannot be dialled", operand);
	if (url.room[0] && url.has_key &&
	    !memcmp(url.key, snet_identity_keyid(h->net.identity), SNET_KEYID_BYTES))
		return snet_fail(err, SNET_EINVAL, "%s: that is this side's own key", operand);
	if (!url.has_key)
		rc = net_check_trust(&h->net, err);
	if (rc)
		return rc;
	m = mate_new(h, r ? r->id : h->next_number, &url);
	if (!m)
		return snet_fail(err, SNET_ENOMEM, "%s", operand);
	if (!r)
		h->next_number++;
	m->name = r && r->name[0] ? r->name : NULL;
	return SNET_OK;
}

/* The first attempt may fail at once, and take the others with it. */
static struct mate *undialled(struct hub *h)
{
	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		struct mate *m = SNET_OF(n, struct mate, node);

		if (!m->target->begun)
			return m;
	}
	return NULL;
}

void hub_start(struct hub *h)
{
	struct mate *m;

	if (h->listens && h->meets.n)
		return; /* said when the room is joined */
	if (h->listens) {
		hub_say_listening(h);
		ready_say();
		return;
	}
	snet_timer_set(h->run->loop, &h->waiting, snet_loop_now(h->run->loop) + WAITING_FIRST);
	while ((m = undialled(h)))
		mate_dial(m);
}
