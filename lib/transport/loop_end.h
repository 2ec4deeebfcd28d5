/* Loop: the two ends of a connection within one process. Both lie in one object, and every
 * piece of news crosses in a task of the loop. There is no clock here: nothing is ever late, so
 * no deadline of the configuration applies (unless a test says otherwise: loop_net.h), and a
 * run with the same input is the same run. Private to transport/loop*.c.
 *
 * Rules: what the owner calls records and defers; callbacks come from the end's own task, or
 * from unbind. After each callback either end may be gone: end->ep says so. The object itself
 * stays while a task of it runs. */
#ifndef SNET_TRANSPORT_LOOP_END_H
#define SNET_TRANSPORT_LOOP_END_H

#include "io/loop.h"
#include "transport/loop_net.h"
#include "transport/txq.h"

#define LOOP_WHY_TEXT 160

struct loop_out {
	struct snet_txq tx;
	uint64_t consumed; /* stream offset: what the other side has read of it */
	bool used, fin, fin_told, fin_acked;
};

struct loop_end {
	struct snet_conn base;
	struct loop_pair *pair;
	struct snet_endpoint *ep; /* NULL: not there yet, or not any more */
	struct snet_list node;    /* in ep->ends */
	struct snet_task task;
	struct snet_timer
		timer;     /* with a net: what has not reached it yet is due, or it is dead */
	snet_time dead_at; /* SNET_NEVER: it is not cut off */
	struct loop_out out[SNET_STREAMS];
	size_t queued, unsent;
	uint64_t unread; /* bytes handed on and not consumed */
	uint64_t sent, received;
	unsigned turn; /* the stream to hear next */
	uint8_t *spki; /* of the other side, whose identity may go before this end */
	uint8_t pin[SNET_KEYID_BYTES];
	bool pinned, ready; /* ready: may send */
	bool told_full, told_flushed;
	bool closing, by_peer;
	int code, said; /* for the owner; for the other side */
	char why[LOOP_WHY_TEXT];
};

struct loop_pair {
	unsigned refs;          /* ends that are there, tasks that run */
	bool severed;           /* nothing crosses any more */
	struct loop_end end[2]; /* who dialled, who was dialled */
};

struct snet_endpoint {
	struct snet_endpoint *next; /* in `bound` */
	struct snet_loop *loop;
	struct snet_transport_config cfg;
	const struct snet_endpoint_events *ev;
	void *user;
	struct snet_addr at;
	struct snet_list ends;
	size_t n_ends;
	bool unbinding;
};

/* What lies between the ends; NULL: nothing, as it is outside of tests. */
extern _Thread_local const struct snet_loop_net *loop_net;

/* NULL: nobody is bound to it. */
struct snet_endpoint *loop_find(const struct snet_loop *l, uint16_t port);

/* A pair whose first end is at e, about to dial; NULL when out of memory. */
struct loop_end *loop_end_new(struct snet_endpoint *e, const struct snet_addr *to);
struct loop_end *loop_end_other(struct loop_end *c);
/* Something may have changed for it: its task looks, before the loop sleeps. */
void loop_end_wake(struct loop_end *c);
/* Begins the end of it. by_peer: the other side has said so, and is not told. */
void loop_end_fail(struct loop_end *c, int code, const char *why, bool by_peer);
/* The end of it: tells the owner and lets go. */
void loop_end_bury(struct loop_end *c);

#endif
