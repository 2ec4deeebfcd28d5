#include "cli/groups.h"
#include "cli/hub.h"

/* When it is over: every peer gone, enough messages come, no reply in time (snet(7), END OF
 * INPUT). */

#define GRACE (1 * SNET_SEC) /* for a peer to end by itself when we have had enough */

/* The first failure is the one that explains the rest. */
void hub_blame(struct hub *h, const struct snet_error *err, uint64_t peer)
{
	if (h->worst.code)
		return;
	h->worst = *err;
	h->worst_peer = peer;
}

static void finish_run(struct hub *h)
{
	struct snet_error first = h->worst;

	if (h->bad_first && h->n_bad > 1)
		snet_fail(&h->worst, first.code, "%llu bad items on stdin, the first: %s",
			  (unsigned long long)h->n_bad, first.text);
	run_done(h->run, h->worst.code ? &h->worst : NULL, h->worst_peer);
}

static void end_politely(struct mate *m)
{
	mate_finish(m);
	if (m->eof)
		mate_check(m);
}

static void end_now(struct mate *m)
{
	if (m->peer)
		snet_peer_close(m->peer, SNET_OK, "done");
}

static void on_grace(struct snet_timer *t, snet_time now)
{
	struct hub *h = t->user;

	(void)now;
	hub_each(h, end_now);
}

static uint64_t received(const struct hub *h)
{
	uint64_t n = h->gone.received_messages;

	for (const struct snet_list *i = h->mates.next; i != &h->mates; i = i->next)
		n += SNET_OF(i, const struct mate, node)->count.received_messages;
	return n;
}

/* Where no end is said (--keep-open, the crate's profile) the replies themselves are the proof
 * of delivery. */
static bool all_flushed(const struct hub *h)
{
	for (const struct snet_list *i = h->mates.next; i != &h->mates; i = i->next) {
		const struct mate *m = SNET_OF(i, const struct mate, node);

		if (m->finished && !m->flushed)
			return false;
	}
	return true;
}

/* --replies: the last of them must not be long in coming. */
static void on_reply_time(struct snet_timer *t, snet_time now)
{
	struct hub *h = t->user;

	if (now < h->last_reply + cli.timeout) {
		snet_timer_set(h->run->loop, t, h->last_reply + cli.timeout);
		return;
	}
	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		struct mate *m = SNET_OF(n, struct mate, node);

		if (m->peer)
			snet_peer_close(m->peer, SNET_ETIMEOUT,
					"no reply for as long as --timeout allows");
	}
}

static void expect_replies(struct hub *h)
{
	if (cli.replies == OPT_NONE || !h->input_ended || cli.timeout == SNET_NEVER ||
	    h->enough)
		return;
	h->last_reply = snet_loop_now(h->run->loop);
	if (!h->replies.slot)
		snet_timer_set(h->run->loop, &h->replies, h->last_reply + cli.timeout);
}

/* --count, --replies: no more is wanted. Peers may end by themselves for a moment. */
void hub_check_enough(struct hub *h)
{
	bool count = cli.count != OPT_NONE && received(h) >= cli.count;
	bool replies = cli.replies != OPT_NONE && h->input_ended &&
		       received(h) >= cli.replies && all_flushed(h);

	if (!count && !replies)
		expect_replies(h);
	if (h->enough || (!count && !replies))
		return;
	h->enough = true;
	snet_timer_stop(h->run->loop, &h->replies);
	duct_hold(&h->duct);
	hub_each(h, end_politely);
	snet_timer_set(h->run->loop, &h->grace, snet_loop_now(h->run->loop) + GRACE);
}

void hub_check(struct hub *h)
{
	bool served = h->enough || h->draining || h->shut_out ||
		      (h->n_came && !cli.keep_open && !h->exec) || !h->listens;

	if (!h->enough)
		hub_check_enough(h);
	if (h->n_mates || !served)
		return;
	if (cli.replies != OPT_NONE && received(h) < cli.replies && !h->worst.code &&
	    !h->draining) {
		snet_fail(&h->worst, SNET_ELOST, "only %llu of %llu replies came",
			  (unsigned long long)received(h), (unsigned long long)cli.replies);
		h->worst_peer = OPT_NONE;
	}
	finish_run(h);
}

void hub_over_init(struct hub *h)
{
	h->grace = (struct snet_timer){ .fn = on_grace, .user = h };
	h->replies = (struct snet_timer){ .fn = on_reply_time, .user = h };
}
