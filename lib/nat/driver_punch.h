/* Driver punch: what driver_punch.c (when, and what) keeps of one agent and does for the rest
 * of the driver, with driver_punch_see.c (what servers see, and which ports come next), _hold.c
 * (sockets held open) and _pact.c (the peer begins at the same moment): NATs that give every
 * destination another port. Nobody else includes this. */
#ifndef SNET_NAT_DRIVER_PUNCH_H
#define SNET_NAT_DRIVER_PUNCH_H

#include "nat/agent.h"
#include "nat/punch.h"
#include "nat/punch_pact.h"
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

/* Ports of one host that are probed from one socket, or that sockets like it are held for. */
struct aim {
	uint32_t by;
	struct snet_addr to;
};

struct punching {
	struct sight sights[SIGHTS_MAX]; /* of this generation, as they were asked for */
	size_t sights_n;
	struct snet_pact pact;
	struct snet_punch plan, part; /* part: what we do for the peer's plan */
	struct aim at, part_at;
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

/* ---- driver_punch.c, for driver_punch_pact.c */
bool ice_punch_is_wanted(const struct snet_ice *ice);
/* Would it do something, if it began now? */
bool ice_punch_has_plan(const struct snet_ice *ice);
/* What we put first, of what has a socket; NULL: nothing. */
const struct snet_local *ice_punch_best(const struct snet_ice *ice);
/* The ports that the peer has told of, of the socket behind this candidate of its. */
size_t ice_punch_its_ports(const struct snet_ice *ice, const struct snet_candidate *of,
			   uint16_t out[static SNET_REMOTES_TOLD_MAX]);

/* ---- driver_punch_see.c, for us */
/* The last sight of a socket whose NAT gives every destination another port; NULL: it does not,
 * for all we know. */
const struct sight *ice_punch_hard(const struct snet_ice *ice, uint32_t handle);
/* Puts one port more at its place behind the first ones. */
void ice_punch_insert(uint16_t *v, size_t first, size_t n, uint16_t port, bool down);

/* ---- driver_punch_hold.c, for us */
void ice_punch_hold(struct snet_ice *ice, unsigned number, snet_time now);
void ice_punch_let_go(struct snet_ice *ice); /* all of them */

/* ---- driver_punch_pact.c, for us */
/* Asks the peer, if it is time to. */
void ice_pact_ask(struct snet_ice *ice, snet_time now);
/* When to look whether it is. */
snet_time ice_pact_deadline(const struct snet_ice *ice);
/* Says what is to be said; true: the moment has come. agreed: with the peer. */
bool ice_pact_is_time(struct snet_ice *ice, bool *agreed, snet_time now);
/* What the peer's plan wants of us, who have none. */
void ice_pact_part(struct snet_ice *ice, snet_time now);

/* ---- driver_gather.c, for us */

/* fd: as for snet_udp_open. NULL: told. */
struct sock *ice_open_sock(struct snet_ice *ice, const struct found *f, int fd);
/* tag: a server's number; EXTRA. False: not now. */
bool ice_ask(struct sock *s, unsigned tag, const struct snet_addr *at, snet_time most);

#endif
