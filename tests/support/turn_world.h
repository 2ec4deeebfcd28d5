/* Turn world: a client machine, a turn server and the network between them, in virtual time and
 * from a seed. Allocates nothing itself. */
#ifndef TESTS_SUPPORT_TURN_WORLD_H
#define TESTS_SUPPORT_TURN_WORLD_H

#include "support/turn_server.h"

#define TURN_WORLD_PACKETS 128
#define TURN_WORLD_DELAY (10 * SNET_MS) /* one way */

struct turn_world {
	struct turn_server s;
	struct snet_turn *t;
	snet_time now;
	/* The network: percent lost and doubled, the most by which one is late. */
	unsigned loss, twice;
	snet_time jitter;
	uint64_t rng;
	bool mute;    /* nothing reaches the client */
	size_t chunk; /* a stream comes in pieces of so many bytes; 0: as sent */
	struct {
		snet_time at;
		bool to_server;
		size_t n; /* 0: a free place */
		uint8_t p[1600];
	} packets[TURN_WORLD_PACKETS];
	/* Datagrams or messages sent by the client, and when the first were. */
	unsigned sent;
	snet_time sent_at[32];
	/* Events: how many, and the last of each kind; the last data. */
	unsigned told[SNET_TURN_CLOSED + 1];
	struct snet_turn_event last[SNET_TURN_CLOSED + 1];
	uint8_t data[4096];
	int rc; /* of an input that failed */
};

/* seed: of the client and of the network. Leaves w->s to be changed. */
int turn_world_init(struct turn_world *w, const struct snet_turn_opts *o, unsigned seed);
void turn_world_free(struct turn_world *w);
/* Lets happen what happens up to then. */
void turn_world_run(struct turn_world *w, snet_time until);
/* ... until such an event has been told more than before; false: not by then. */
bool turn_world_wait(struct turn_world *w, enum snet_turn_what what, snet_time until);
/* Bytes of a peer reach the server now. */
void turn_world_from_peer(struct turn_world *w, const struct snet_addr *peer, const void *p,
			  size_t n);
/* Takes what the machine has to say and to send; after every call of it. */
void turn_world_drain(struct turn_world *w);

#endif
