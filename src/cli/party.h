/* Party: what snet-party does: one party of a roster, the mesh to the others on one side, stdin
 * and stdout, or a program, on the other (snet-party(1)). */
#ifndef CLI_PARTY_H
#define CLI_PARTY_H

#include "base/list.h"
#include "cli/duct.h"
#include "cli/net_meet.h"
#include "cli/program.h"
#include "cli/run.h"
#include "mesh/mesh.h"
#include "mesh/rounds.h"

enum party_when { PARTY_BOUND, PARTY_Q, PARTY_ALL_THERE };

/* What only snet-party is asked for. */
struct party_opts {
	const char *exec;    /* NULL: stdin and stdout */
	const char *journal; /* NULL: none */
	bool sync, ordering;
	uint64_t quorum;         /* OPT_NONE: everyone */
	snet_time round_timeout; /* SNET_NEVER: none */
	int ready_when;          /* enum party_when */
};

/* A party as this program counts it; in the order of the roster's members. */
struct party_member {
	const struct roster_member *who;
	struct net_host host;         /* in a room: where it can be dialled */
	struct snet_resolve *resolve; /* its name is being looked up; NULL */
	struct snet_error unknown;    /* why that came to nothing the last time */
	bool numeric;                 /* there is no name */
	/* In a room: the call to it, and where from it can be dialled; NULL: not, or not yet.
	 */
	struct snet_call *call;
	struct snet_endpoint *met;
	bool full; /* --overflow block waits for it */
	bool over, ended;
	bool came, plain; /* came: it was connected once */
	uint64_t item, dropped;
	uint64_t sent;          /* --sync: messages for it */
	struct snet_error last; /* why it is not there */
};

/* Someone who is no party of the roster, and was let in. */
struct party_client {
	struct snet_list node;
	struct party *party;
	struct snet_peer *peer;
	struct snet_slice spki; /* --ordering */
	uint32_t number;        /* of the roster's client, or the next that is free */
	const char *name;       /* NULL: none */
	bool up, eof, finished, flushed, full, unwanted;
	uint64_t item, dropped, sent, received, sent_bytes, received_bytes;
};

struct party {
	const struct party_opts *opts;
	struct run *run;
	struct net net;
	struct net_meets meets;
	struct snet_ice_opts ice;
	bool joined; /* the room of this party's address */
	struct snet_mesh *mesh;
	struct duct duct;
	const struct roster_member *self;
	struct snet_url at; /* its address, as it is bound: by a number */
	struct look_up *look_up;
	struct party_member *members; /* n */
	/* n_full: also clients. n_lost: of those over, given up. */
	uint32_t n, n_up, n_full, n_over, n_lost, n_ended;
	uint64_t item;     /* counts what comes from stdin */
	uint64_t own_sent; /* messages to self */
	uint64_t own_bytes;
	uint64_t n_bad; /* items of stdin that were no messages */
	bool bad_first; /* worst is about the first of them */
	bool ready, stalled, ended, done;
	struct snet_error worst; /* what the exit status will tell */
	uint64_t worst_peer;
	struct snet_timer waiting;
	snet_time wait_until;

	struct snet_list clients;
	uint32_t n_clients, next_client;
	struct snet_mesh_stats gone; /* of clients that have left */
	struct snet_timer parting;   /* of clients that stay when all else is over */

	struct snet_rounds rounds;       /* --sync */
	const struct snet_round *round;  /* being printed */
	uint32_t round_at, *round_order; /* of the members, by id */
	struct snet_timer round_timer;
	bool self_waits; /* what comes from stdin is for stdout, which is full */
	bool self_full, turning, rounds_lost; /* lost: too few can be there */

	struct snet_timer confirm; /* --journal */

	struct program program; /* --exec */
	struct snet_child *watch;
	struct program_limit program_limit;
	int program_status; /* exit status, 128 + signal */
	bool runs;
};

/* Loads roster (path) and the key of the party --id; its address is looked up and bound, and it
 * begins, once the loop runs. After a failure too: party_fini. opts: borrowed. */
int party_init(struct party *p, struct run *r, const char *path, const struct party_opts *opts,
	       struct snet_error *err);
void party_fini(struct party *p);

#endif
