/* Stun look: what snet-stun finds out over one address family, and how it is said: events, and
 * the report of -H. */
#ifndef CLI_STUN_LOOK_H
#define CLI_STUN_LOOK_H

#include "nat/probe.h"

struct sink;

struct stun_look {
	int family;
	struct snet_probe *probe; /* NULL: nothing is asked over this family */
	unsigned n;
	struct snet_addr servers[SNET_BEHAVIOUR_SERVERS];
	const char *names[SNET_BEHAVIOUR_SERVERS]; /* as on the command line */
	/* what came of it; is_known: it is over */
	struct snet_stun_answer answers[SNET_BEHAVIOUR_SERVERS];
	bool is_known[SNET_BEHAVIOUR_SERVERS];
	struct snet_nat nat;
	bool over;
};

/* stun.mapped, or the error that is no end of the program. */
void stun_say_answer(const struct stun_look *l, unsigned i);
void stun_say_nat(const struct stun_look *l); /* stun.nat */
/* For people, in place of both. SNET_EIO, SNET_ENOMEM. */
int stun_report(const struct stun_look *l, struct sink *out);
/* The same as one of the exit status: SNET_OK, SNET_ENOSYS (symmetric), SNET_EUNREACH. */
int stun_verdict(const struct stun_look *l);

#endif
