/* Party: what snet-party does: one party of a roster, the mesh to the others on one side, stdin
 * and stdout on the other (snet-party(1)). */
#ifndef CLI_PARTY_H
#define CLI_PARTY_H

#include "cli/duct.h"
#include "cli/net.h"
#include "cli/run.h"
#include "mesh/mesh.h"

/* A party as this program counts it; in the order of the roster's members. */
struct party_member {
	const struct roster_member *who;
	struct snet_addr addrs[NET_ADDRS];
	size_t n_addrs;
	bool full; /* --overflow block waits for it */
	bool over;
	uint64_t item, dropped;
	struct snet_error last; /* why it is not there */
};

struct party {
	struct run *run;
	struct net net;
	struct snet_mesh *mesh;
	struct duct duct;
	const struct roster_member *self;
	struct party_member *members; /* n */
	uint32_t n, n_up, n_full, n_over;
	uint64_t item;     /* counts what comes from stdin */
	uint64_t own_sent; /* messages to self */
	uint64_t own_bytes;
	uint64_t n_bad; /* items of stdin that were no messages */
	bool ready, stalled, ended;
	struct snet_error worst; /* what the exit status will tell */
	uint64_t worst_peer;
	struct snet_timer waiting;
	snet_time wait_until;
};

/* Loads roster (path) and the key of the party --id; binds its address. After a failure too:
 * party_fini. */
int party_init(struct party *p, struct run *r, const char *path, struct snet_error *err);
void party_fini(struct party *p);
void party_start(struct party *p);

/* ---- party_events.c */
void party_say_listening(struct party *p);
void party_say_waiting(struct party *p);
void party_say_ready(struct party *p);
void party_say_up(struct party *p, uint32_t i, bool anew, uint64_t lost);
void party_say_down(struct party *p, uint32_t i, int code, const char *why, bool by_peer);
void party_stats(void *user);

#endif
