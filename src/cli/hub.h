/* Hub: the part snet-listen and snet-send share. Peers on one side, stdin and stdout (or a
 * program per peer) on the other; who gets what, who waits for whom, and when it is over
 * (snet(7), END OF INPUT). */
#ifndef CLI_HUB_H
#define CLI_HUB_H

#include "base/list.h"
#include "cli/duct.h"
#include "cli/mate.h"
#include "cli/net_meet.h"
#include "cli/run.h"

struct hub {
	struct run *run;
	struct net net;
	struct net_meets meets;
	struct snet_ice_opts ice;
	bool both;           /* calls, and answers: whichever comes first */
	bool explain;        /* events of ICE's checks */
	bool joined;         /* the room of the listening address */
	bool shut_out;       /* of that room, for good: ends when its mates have gone */
	snet_time said_away; /* that its server is not there */
	const char *exec;    /* NULL: stdin and stdout */
	bool listens;
	struct snet_list mates, children;
	size_t n_mates, n_up, n_came;
	uint64_t item; /* counts what comes from stdin */
	uint32_t next_number;
	struct duct duct;
	bool input_ended, stalled;  /* stalled: stdout is full, every mate is paused */
	bool ready;                 /* every target was up at one time */
	bool enough;                /* --count or --replies has been met */
	bool draining;              /* interrupted, or a target is out of reach */
	bool bad_first;             /* worst is about the first of n_bad */
	size_t n_full;              /* mates that --overflow block waits for */
	struct mate_counts gone;    /* of mates that have left */
	struct snet_error worst;    /* what the exit status will tell; code 0: nothing */
	uint64_t worst_peer, n_bad; /* n_bad: items of stdin that were no messages */
	struct snet_timer waiting;  /* says who is not there yet */
	struct snet_timer grace;    /* of peers, to end by themselves after enough */
	struct snet_timer replies;  /* no reply for --timeout */
	snet_time last_reply;
	snet_time wait_until; /* of --wait */
};

/* Sets up stdin, stdout and net. The owner then listens or adds
 * targets, and calls hub_start. */
int hub_init(struct hub *h, struct run *r, const char *exec, struct snet_error *err);
void hub_fini(struct hub *h);
/* at: NULL when none was given, which is well only with socket activation. */
int hub_listen(struct hub *h, const struct snet_url *at, struct snet_error *err);
int hub_target(struct hub *h, const char *operand, struct snet_error *err);
void hub_start(struct hub *h);

/* ---- hub.c, for mate.c and child.c */
void hub_mate_up(struct mate *m);
void hub_mate_message(struct mate *m, const struct snet_message *msg);
void hub_mate_room(struct mate *m); /* it takes more again */
/* err->code 0: all is well. Frees m. */
void hub_mate_gone(struct mate *m, const struct snet_error *err);
/* fn may close, and free the mate it is called for. */
void hub_each(struct hub *h, void (*fn)(struct mate *m));
struct mate *hub_find(struct hub *h, uint32_t number);
void hub_accept(struct hub *h, struct snet_conn *c);

/* ---- hub_meet.c */
extern const struct snet_meet_events hub_meet_events;
int hub_meets_init(struct hub *h, struct snet_error *err);
void hub_meet_came(struct mate *m); /* is up */
/* A room where the other side does the same: neither needs to know who listens. */
int hub_meet_both(struct hub *h, const char *operand, struct snet_error *err);

/* ---- hub_over.c */
void hub_over_init(struct hub *h);
void hub_check(struct hub *h); /* is it over? */
void hub_blame(struct hub *h, const struct snet_error *err, uint64_t peer);
void hub_check_enough(struct hub *h); /* --count, --replies */

/* ---- hub_events.c */
void hub_say_up(const struct mate *m);
void hub_say_down(const struct mate *m, int code, const char *why, bool by_peer);
void hub_say_waiting(struct hub *h);
void hub_say_ready(struct hub *h);
void hub_say_listening(struct hub *h);
void hub_say_away(struct hub *h, const struct snet_error *err); /* the room's server */
void hub_stats(void *user);

/* ---- child.c: --exec */
int child_start(struct mate *m, struct snet_error *err);
void child_message(struct child *c, const struct snet_message *msg);
void child_room(struct child *c);
void child_peer_eof(struct child *c);
void child_peer_gone(struct child *c); /* the mate is freed after */
/* It has ended, and its output is read. */
bool child_is_over(const struct child *c, int *status);
void child_stop_all(struct hub *h, int signo);

#endif
