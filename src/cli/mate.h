/* Mate: one peer of a hub: where it is dialled, what it was sent. For the files of hub alone.
 */
#ifndef CLI_MATE_H
#define CLI_MATE_H

#include "base/list.h"
#include "cli/duct.h"
#include "cli/net_meet.h"
#include "io/loop.h"
#include "mesh/link.h"

struct child;
struct hub;

struct mate_counts {
	uint64_t sent_messages, sent_bytes, received_messages, received_bytes, dropped_messages;
};

/* Where a mate is dialled, until it is there. */
struct target {
	bool begun;
	struct snet_url url;
	struct net_host host;
	struct snet_resolve *resolve; /* the name is being looked up; NULL */
	struct snet_call *call;       /* to somebody in a room; NULL */
	struct snet_link link;
	struct snet_timer timer;
	struct snet_error last; /* why the last attempt came to nothing */
};

/* One peer as this program sees it: to be dialled, there, or going. */
struct mate {
	struct snet_list node;
	struct hub *hub;
	uint32_t number;
	const char *name; /* in roster or allow file; NULL */
	struct snet_peer *peer;
	struct child *child; /* --exec; NULL */
	bool up, full, paused, eof, finished, flushed;
	uint64_t item; /* the last that was for it */
	bool unwanted; /* no blame for its end: it never said hello, or its place was taken */
	struct mate_counts count;
	struct snet_timer idle;    /* --idle-timeout */
	snet_time active;          /* its last message, either way */
	struct snet_timer parting; /* for whoever dialled to close first */
	struct target *target;     /* when this side dials; NULL */
};

/* ---- mate.c */
/* url: where to dial it, NULL for one that came. */
struct mate *mate_new(struct hub *h, uint32_t number, const struct snet_url *url);
void mate_free(struct mate *m);
void mate_accept(struct hub *h, struct snet_conn *c);
extern const struct snet_peer_events mate_peer_events;

/* ---- mate_dial.c */
#define MATE_UNANSWERED "nobody has answered in the room"
void mate_dial(struct mate *m); /* again and again until --wait is over */
void mate_on_timer(struct snet_timer *t, snet_time now);
void mate_failed(struct mate *m, int code, const char *why); /* an attempt */
void mate_hang_up(struct mate *m); /* neither looked up nor called any more */
/* The way to whom a call was for; or that there is none. */
void mate_met(struct mate *m, struct snet_endpoint *e, const struct snet_addr *to);
void mate_unmet(struct mate *m, const struct snet_error *err);
/* As --overflow says. */
void mate_send(struct mate *m, const struct input_message *msg);
void mate_finish(struct mate *m);
void mate_check(struct mate *m); /* closes when both directions are done */
void mate_pause(struct mate *m, bool pause);

#endif
