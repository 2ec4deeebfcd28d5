#include "cli/perf_flow.h"

#include <string.h>

#define TURN_BYTES (1u << 20) /* sent before the loop looks at other things */
#define TURN_MESSAGES 256     /* the same */
#define WINDOW_BEGIN 16       /* messages, over datagrams */
#define WINDOW_MIN 2
#define WINDOW_MAX 16384
#define STUCK (250 * SNET_MS) /* nothing reported for so long: all under way is lost */

static bool is_lossy(const struct perf_flow *f)
{
	return f->chan->carrier->lossy;
}

/* ---- out */

static size_t turn_messages(const struct perf_flow *f)
{
	size_t n = TURN_BYTES / f->size;

	return n < 1 ? 1 : n > TURN_MESSAGES ? TURN_MESSAGES : n;
}

static void on_pump(struct snet_task *t)
{
	struct perf_flow *f = t->user;
	uint64_t n = turn_messages(f), out = f->next - f->acked;
	size_t taken;

	if (!f->sends)
		return;
	if (is_lossy(f)) {
		if (out >= f->window)
			return; /* a report will tell */
		n = n < f->window - out ? n : f->window - out;
	}
	taken = f->chan->carrier->send_data(f->chan, f->next, f->size, (size_t)n);
	f->next += taken;
	if (taken && (taken == n || is_lossy(f)))
		snet_task_defer(f->loop, &f->pump);
}

void perf_flow_send(struct perf_flow *f)
{
	f->sends = true;
	f->moved = snet_loop_now(f->loop);
	snet_task_defer(f->loop, &f->pump);
}

void perf_flow_room(struct perf_flow *f)
{
	if (f->owes)
		perf_flow_say(f, f->owed.type, f->owed.seq);
	if (f->sends)
		snet_task_defer(f->loop, &f->pump);
}

/* As TCP: twice as much per round trip until something is lost, then a message more; half of it
 * for each window in which something was lost (RFC 5681). */
static void take_report(struct perf_flow *f, const struct perf_got *g)
{
	uint64_t lost = g->flow_highest - g->flow_messages, more;

	if (!is_lossy(f) || g->flow_highest > f->next || g->flow_messages > g->flow_highest ||
	    g->flow_highest <= f->acked)
		return;
	more = g->flow_highest - f->acked;
	f->acked = g->flow_highest;
	f->moved = snet_loop_now(f->loop);
	if (lost > f->lost && f->acked > f->recover) {
		f->window = f->window / 2 > WINDOW_MIN ? f->window / 2 : WINDOW_MIN;
		f->recover = f->next;
		f->had_loss = true;
	} else if (!f->had_loss) {
		f->window += more;
	} else if (f->acked / f->window != (f->acked - more) / f->window) {
		f->window++;
	}
	f->lost = lost;
	if (f->window > WINDOW_MAX)
		f->window = WINDOW_MAX;
	perf_flow_room(f);
}

void perf_flow_tick(struct perf_flow *f, snet_time now)
{
	if (!f->sends || !is_lossy(f) || f->next == f->acked || now < f->moved + STUCK)
		return;
	f->window = WINDOW_MIN;
	f->had_loss = true;
	f->acked = f->recover = f->next;
	f->moved = now;
	perf_flow_room(f);
}

void perf_flow_say(struct perf_flow *f, enum perf_type type, uint64_t seq)
{
	uint8_t head[PERF_HEAD];
	int rc;

	perf_message_head(head, type, seq);
	rc = f->chan->carrier->send(f->chan, head, sizeof(head), f->size);
	/* What is not sent would never be answered; datagrams are said again anyway. */
	f->owes = rc == SNET_EAGAIN && !is_lossy(f);
	f->owed = (struct perf_owed){ type, seq };
}

/* ---- in */

void perf_flow_report(struct perf_flow *f)
{
	struct perf_message m = { .type = PERF_REPORT };

	m.got = (struct perf_got){
		.us = (snet_now() - f->totals->start) / SNET_US,
		.bytes = f->totals->bytes,
		.messages = f->totals->messages,
		.flow_highest = f->highest,
		.flow_messages = f->messages,
	};
	perf_chan_send_ahead(f->chan, &m);
}

/* Once in a turn, for all that came in it. */
static void on_report(struct snet_task *t)
{
	perf_flow_report(t->user);
}

static void take_data(struct perf_flow *f, uint64_t seq, size_t total)
{
	uint64_t lost = f->highest - f->messages;

	f->messages++;
	f->totals->messages++;
	f->totals->bytes += total;
	if (seq < UINT64_MAX && seq >= f->highest)
		f->highest = seq + 1;
	if (f->messages > f->highest)
		f->highest = f->messages; /* some came twice */
	f->totals->lost += f->highest - f->messages - lost;
	if (is_lossy(f))
		snet_task_defer(f->loop, &f->report);
}

bool perf_flow_message(struct perf_flow *f, const struct perf_message *m, size_t total)
{
	if (m->type == PERF_DATA)
		take_data(f, m->seq, total);
	else if (m->type == PERF_REPORT)
		take_report(f, &m->got);
	else
		return false;
	return true;
}

/* A later round says that all before it were sent: only that is needed of them. */
bool perf_flow_round(struct perf_flow *f, uint64_t seq)
{
	bool ends = seq >= f->round && seq < UINT64_MAX;

	if (ends)
		f->round = seq + 1;
	if (ends || is_lossy(f)) /* an old one: mine was lost */
		perf_flow_say(f, PERF_ROUND, f->round);
	return ends;
}

/* ---- life */

void perf_flow_init(struct perf_flow *f, struct snet_loop *l, struct perf_chan *c,
		    uint32_t size, struct perf_totals *t)
{
	*f = (struct perf_flow){ .loop = l,
				 .chan = c,
				 .totals = t,
				 .size = size,
				 .window = WINDOW_BEGIN,
				 .round = 1 };
	snet_task_init(&f->pump, on_pump, f);
	snet_task_init(&f->report, on_report, f);
}

void perf_flow_stop(struct perf_flow *f)
{
	f->sends = f->owes = false;
	if (!f->loop)
		return;
	snet_task_cancel(&f->pump);
	snet_task_cancel(&f->report);
}
