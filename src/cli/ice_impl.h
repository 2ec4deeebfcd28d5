/* Ice, inside: what ice.c (its life), ice_input.c (the other side's lines), ice_say.c (events)
 * and ice_exec.c (the program that gets the pair) share. Nobody else includes this. */
#ifndef CLI_ICE_IMPL_H
#define CLI_ICE_IMPL_H

#include <net/if.h>

#include "cli/ice.h"
#include "cli/ice_say.h"
#include "io/loop.h"
#include "signal/offer.h"

struct ice_kept {
	struct snet_local c;
	char iface[IF_NAMESIZE];
};

/* Of the messages that are carried for a program. */
struct ice_traffic {
	uint64_t sent, sent_bytes, received, received_bytes, dropped;
};

struct ice {
	struct run *run;
	const struct ice_opts *o;
	struct snet_ice *ice; /* NULL: its socket has been handed on */

	/* what the other side says */
	struct source *source;
	struct input *input;
	struct snet_offer half; /* credentials of SDP, which come in two lines */
	char ufrag[SNET_AGENT_NAME_MAX + 1];
	bool held, eof, has_remote, remote_ended, refused_many;
	bool peer_selected; /* it has said so, and which pair, as it sees it */
	char peer_local[SNET_ADDR_TEXT], peer_remote[SNET_ADDR_TEXT];

	/* ours */
	struct ice_kept kept[SNET_LOCALS_MAX]; /* no_trickle: until all are there */
	size_t kept_n;
	bool gathered;

	/* how it goes */
	struct snet_timer wait, linger;
	struct snet_task finish;
	uint64_t failed_checks, requests;
	unsigned lingered;
	bool selected, completed, finishing;

	/* the program */
	struct snet_child *watch;
	struct snet_io *io; /* NULL: it has the socket itself */
	int pid, fd;        /* 0, -1: none */
	struct ice_traffic traffic;
};

/* ---- ice.c */
void ice_done(struct ice *i, const struct snet_error *err); /* as run_done */
/* Something has happened that may be the last thing it waited for. */
void ice_check_over(struct ice *i);

/* ---- ice_input.c. Errors of stdin. */
int ice_input_new(struct ice *i, struct snet_error *err);
void ice_input_go(struct ice *i);
void ice_input_fini(struct ice *i);

/* ---- ice_say.c, and ice_say.h */
void ice_say_credentials(const struct ice *i);
void ice_say_local(const struct ice *i, const struct snet_local *c, const char *iface);
void ice_say_end(void);
/* As the other side said it; text, ignored: NULL: none. */
void ice_say_remote(const struct snet_sdp_candidate *c, const char *text, bool met,
		    const char *ignored);
void ice_say_punch(const struct ice *i, const struct snet_pact_word *w);
void ice_say_punching(const struct snet_ice_punching *p);
void ice_say_state(const struct snet_agent_event *ev);
void ice_say_lost(const struct ice *i, const struct snet_agent_event *ev);
bool ice_is_relayed(const struct ice *i, const struct snet_agent_event *ev);

/* ---- ice_exec.c */
int ice_exec_start(struct ice *i, struct snet_error *err);
void ice_exec_data(struct ice *i, const uint8_t *p, size_t n);
void ice_exec_writable(struct ice *i);
void ice_exec_hang_up(struct ice *i);           /* the pair is gone: its input ends */
void ice_exec_signal(struct ice *i, int signo); /* to it and to all it has started */
void ice_exec_fini(struct ice *i);

#endif
