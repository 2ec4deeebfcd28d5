/* Ice: two ICE agents and what lies between them, NATs, firewalls, a relay, loss, delay,
 * reordering, duplicates, forgeries, in virtual time, from one number. What theory says of a
 * plan is found without the agents: by trying every way there is, with nothing lost. */
#ifndef TESTS_SIM_ICE_H
#define TESTS_SIM_ICE_H

#include "nat/agent.h"
#include "nat/punch_pact.h"

#define BASES_MAX 12
#define NATS_MAX 5
#define MAPPINGS_MAX 512
#define ALLOWED_MAX 512
#define EVENTS_MAX 4096
#define WHAT 240

enum scope { ANY, ADDRESS, PORT }; /* endpoint-independent; by address; by address and port */

struct mapping {
	struct snet_addr inside, outside, to; /* to: what of it the scope looks at */
};

/* realm 0 is the world; n+1 is what lies behind nats[n]. */
struct nat {
	int outer;
	bool identity; /* a firewall: translates nothing */
	bool blocked;  /* lets no UDP through */
	bool hairpin;
	enum scope mapping, filtering;
	int ports; /* 0: preserved if free, 1: one after the other, 2: at random */
	struct snet_addr outside;
	uint16_t last;
	struct mapping map[MAPPINGS_MAX];
	size_t map_n;
	struct mapping allowed[ALLOWED_MAX]; /* outside sent to: for the filter */
	size_t allowed_n;
};

struct base {
	int agent, realm;
	bool relayed, dead;
	struct snet_addr at;
	struct snet_addr permitted[64]; /* relayed: addresses it has sent to */
	size_t permitted_n;
};

struct net {
	struct base bases[BASES_MAX];
	struct nat nats[NATS_MAX];
	size_t bases_n, nats_n;
	bool cut; /* nothing arrives */
};

struct plan {
	double loss, twice, forged;
	snet_time delay[2], jitter; /* delay: of the two ways */
	snet_time signalling;
	snet_time start[2];
	bool trickle[2], controlling[2], aggressive[2], relay[2];
	bool restart, cut, deceived;
};

enum happening { ARRIVE, START, LOCAL, END, SIGNAL_CREDS, SIGNAL_CANDIDATE, SIGNAL_END, ALL };

struct event {
	snet_time at;
	uint64_t order;
	enum happening what;
	int agent, generation;
	int realm; /* ARRIVE */
	struct snet_addr from, to;
	size_t n;
	uint8_t p[SNET_AGENT_MTU];
	struct snet_local local; /* LOCAL, SIGNAL_CANDIDATE */
	char ufrag[SNET_AGENT_UFRAG + 1], pwd[SNET_AGENT_PWD + 1];
};

struct side {
	struct snet_agent *agent;
	int generation;
	snet_time completed, failed, lost;
	unsigned selections;
	uint64_t packets;
	struct snet_local locals[SNET_LOCALS_MAX];
	size_t locals_n;
	bool local_done;
};

#define PACT_LINES 16

struct pact_line {
	snet_time at;
	int to;
	struct snet_pact_word w;
};

struct pact_side {
	struct snet_pact pact;
	snet_time wants, asks; /* to be; SNET_NEVER: not, or it was */
	snet_time since, begun;
	bool agreed;
};

struct pacts {
	struct pact_side side[2];
	snet_time way[2], jitter, last[2]; /* of lines; last: that arrives */
	double loss;
	uint64_t random;
	struct pact_line lines[PACT_LINES];
	unsigned lines_n;
};

struct sim {
	uint64_t seed, random, order;
	struct plan plan;
	struct net net;
	struct side sides[2];
	struct pacts pacts;   /* of the first generation */
	struct event *events; /* a heap */
	size_t events_n;
	snet_time now, both; /* both: since when both are started */
	bool path, verbose, failed;
	const char *kind;
	char what[WHAT];
};

extern struct totals {
	uint64_t seeds, paths, direct, relayed, none, packets, lost, changes, restarts, cuts,
		deceits, conflicts, met, took_ms, took_max_ms, pacts, pacts_exact, apart_max_us;
} totals;

/* ---- ice.c */
void ice_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ice_log(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t ice_draw(struct sim *s);
uint64_t ice_below(struct sim *s, uint64_t n);
bool ice_chance(struct sim *s, double p);

/* ---- ice_net.c: the way of one packet. */

/* From a base to an address: up through NATs to the realm where the address is. False: lost
 * on the way. */
bool net_up(struct sim *s, struct net *n, size_t base, const struct snet_addr *to, int *realm,
	    struct snet_addr *from);
/* From there down to a base; -1: nobody, or filtered. */
int net_down(struct net *n, int realm, const struct snet_addr *from, struct snet_addr to);
/* Both at once: nothing is lost, no time passes. */
int net_cross(struct sim *s, struct net *n, size_t base, const struct snet_addr *to,
	      struct snet_addr *from);
struct snet_addr net_addr(const char *text);

/* ---- ice_plan.c */
void plan_draw(struct sim *s);
void plan_say(struct sim *s);
/* A path exists; of what the agents find out, in whatever order. */
bool plan_has_path(struct sim *s);
/* The candidates of a side, in the order they are found, and after how long. */
size_t plan_candidates(struct sim *s, int side, struct snet_local *out, snet_time *after);

/* ---- ice_pact.c: when to punch */
void pact_plan(struct sim *s);
snet_time pact_deadline(const struct sim *s);
void pact_step(struct sim *s); /* at the deadline */
void pact_check(struct sim *s);

/* ---- ice_world.c */
void world_run(struct sim *s);

#endif
