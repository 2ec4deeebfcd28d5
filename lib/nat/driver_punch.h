/* Driver punch: what driver_punch.c keeps of one agent, and does for the rest of the driver:
 * NATs that give every destination another port. Nobody else includes this. */
#ifndef SNET_NAT_DRIVER_PUNCH_H
#define SNET_NAT_DRIVER_PUNCH_H

#include "nat/agent.h"
#include "nat/punch.h"
#include "nat/stun.h"

#define SIGHTS_MAX 64 /* what servers saw of our sockets */
#define EXTRA 0x100u  /* in a tag: a question to foretell ports by */

struct found;
struct snet_io;
struct sock;

/* What a server saw of a socket. */
struct sight {
	uint32_t handle;
	snet_time asked;
	unsigned tag;
	struct snet_addr by, other, mapped; /* other: where else it answers */
};

/* A port held open: a socket that nobody has spoken to yet. */
struct hold {
	struct snet_ice *ice;
	struct snet_io *io;
	int fd;
	uint32_t handle;
};

struct punching {
	struct sight sights[SIGHTS_MAX]; /* of this generation, as they were asked for */
	size_t sights_n;
	struct snet_punch plan;
	snet_time at;        /* when to begin; SNET_NEVER: no need */
	uint32_t by;         /* the socket that probes, or whose like are held */
	struct snet_addr to; /* the host probed, or that holes are for */
	struct hold *holds[SNET_PUNCH_HELD_MAX]; /* NULL: a socket of ours by now */
	size_t holds_n;
	bool full; /* no more sockets are to be had */
};

void ice_punch_init(struct snet_ice *ice);
void ice_punch_renew(struct snet_ice *ice); /* another generation */
/* A server's answer to a socket, or that there is none. */
void ice_punch_saw(struct sock *s, const struct snet_stun_answer *a);
void ice_punch_turn(struct snet_ice *ice, snet_time now);
snet_time ice_punch_deadline(const struct snet_ice *ice);
/* By a socket that is held, if there is one of that handle. */
void ice_punch_send(struct snet_ice *ice, const struct snet_agent_packet *out);
void ice_punch_end(struct snet_ice *ice);

/* ---- driver_gather.c, for us */

/* fd: as for snet_udp_open. NULL: told. */
struct sock *ice_open_sock(struct snet_ice *ice, const struct found *f, int fd);
/* tag: a server's number; EXTRA. False: not now. */
bool ice_ask(struct sock *s, unsigned tag, const struct snet_addr *at, snet_time most);

#endif
