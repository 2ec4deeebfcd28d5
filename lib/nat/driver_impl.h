/* Driver, inside: what driver.c (its life, and the agent), driver_gather.c (interfaces,
 * sockets, servers), driver_relay.c (allocations), driver_remote.c (the peer's candidates),
 * driver_punch*.c and driver_data.c (datagrams) share. Nobody else includes this.
 * Whatever goes away is only marked, and freed in a turn of its own (graves): it may be the one
 * whose callback we are in. */
#ifndef SNET_NAT_DRIVER_IMPL_H
#define SNET_NAT_DRIVER_IMPL_H

#include "base/list.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/udp.h"
#include "nat/driver_punch.h"
#include "nat/driver_route.h"
#include "nat/driver_scan.h"

#define SOCKS_MAX 24                            /* of SNET_ICE_BASES */
#define RELAYS_MAX (SNET_ICE_BASES - SOCKS_MAX) /* the others */
#define HELD_MAX 16                             /* candidates of the peer's on loopback */
#define TOLD_MAX (2 * SNET_ICE_BASES)           /* candidates of ours in one generation */

/* A socket at one address of ours. */
struct sock {
	struct snet_ice *ice;
	struct snet_list node; /* of the graves */
	struct snet_udp *udp;
	struct snet_stun stun; /* one for each: ICMP at one says nothing of the others */
	struct snet_addr at;
	char iface[IF_NAMESIZE];
	enum snet_iface_class class;
	unsigned order, index; /* index: of the interface; 0: unknown */
	uint32_t handle;
	unsigned extra;                          /* questions under way, to foretell ports by */
	bool asked_more, foretold, gone, single; /* single: its network is itself alone */
	bool held; /* once: it serves its pair alone, and asks nobody */
};

/* An allocation, asked for or had. */
struct relay {
	struct snet_ice *ice;
	struct snet_list node;
	struct sock *sock;
	struct snet_turn_io *io;
	struct snet_addr server, relayed[2], mapped;
	size_t of; /* which server */
	uint32_t handle;
	bool ready, gone;
};

struct server {
	struct snet_ice *ice;
	char *host, *ca;
	struct snet_turn_cred cred;
	uint16_t port;
	enum snet_turn_over over;
	enum { SERVER_UNUSED, SERVER_STUN, SERVER_TURN } use;
	struct snet_resolve *lookup;
	struct snet_addr at[2]; /* IPv4, IPv6; AF_UNSPEC: none */
	struct snet_error err;  /* the last one */
	bool useful, reported;
};

/* Which way the selected pair goes: one of the two, or neither. */
struct way {
	struct sock *sock;
	struct relay *relay;
	struct snet_addr to;
};

struct snet_ice {
	struct snet_loop *loop;
	const struct snet_ice_events *ev;
	void *user;
	struct snet_ice_opts o; /* texts are ours */
	struct snet_agent *agent;
	struct snet_timer timer;
	struct snet_task task;
	struct sock *socks[SOCKS_MAX];
	struct relay *relays[RELAYS_MAX];
	struct server servers[SNET_ICE_SERVERS];
	size_t socks_n, relays_n, lookups_n, told_n, held_n;
	struct snet_list graves, relay_graves, lookups; /* lookups: of the peer's candidates */
	struct {
		uint32_t handle;
		struct snet_addr address;
	} told[TOLD_MAX];                     /* of this generation */
	uint32_t handles, payload;            /* handles: given out */
	char remote[SNET_AGENT_NAME_MAX + 1]; /* the peer's ufrag; "": not known */
	struct snet_candidate held[HELD_MAX]; /* until there is one of ours on loopback */
	bool begin, gathering, remote_ended, dying, busy, again; /* the two last: in ice_pump */
	snet_time gather_ends, keep_at;
	bool sending; /* in snet_ice_send: nothing may change under the sender */
	struct way way;
	struct punching punch;
	struct routes routes;
	unsigned permits; /* wished for since some were forgotten */
	/* What of the scratch has not gone through a relay yet. */
	size_t parked_from, parked, parked_segment;
	snet_time parked_until; /* when to try again; SNET_NEVER: once the socket is writable */
	uint8_t scratch[SNET_UDP_PAYLOAD_MAX]; /* of what is relayed, or goes nowhere */
};

/* ---- driver.c */
snet_time ice_now(const struct snet_ice *ice);
/* After everything that happens to the agent or the servers: sends, tells, sets the timer. In a
 * turn of its own, where it may not be at once. */
void ice_pump(struct snet_ice *ice);
void ice_soon(struct snet_ice *ice);
void ice_trouble(struct snet_ice *ice, const struct snet_error *err);
struct sock *ice_sock(const struct snet_ice *ice, uint32_t handle);
struct relay *ice_relay(const struct snet_ice *ice, uint32_t handle);

/* ---- driver_gather.c */
void ice_gather(struct snet_ice *ice);
/* Asks what is due, hears what came to nothing; over when nothing is left, or time is up. */
void ice_gather_step(struct snet_ice *ice, snet_time now);
snet_time ice_gather_deadline(const struct snet_ice *ice);
/* Of a socket's own, or seen by a server; once in a generation. */
void ice_offer(struct snet_ice *ice, struct snet_local *c, const struct sock *s);
void ice_offer_mapped(struct sock *s, size_t server, const struct snet_addr *by,
		      const struct snet_addr *mapped);
void ice_keep_alive(struct snet_ice *ice);
void ice_stun_answer(struct sock *s, const struct snet_stun_answer *a);
void ice_remove_sock(struct snet_ice *ice, struct sock *s);

/* ---- driver_relay.c */
void ice_allocate(struct sock *s, size_t server, const struct snet_addr *at);
void ice_offer_relayed(struct relay *r);
/* The agent forgets it, the server is told. */
void ice_remove_relay(struct snet_ice *ice, struct relay *r);
void ice_relay_keep_alive(struct relay *r, const uint8_t *p, size_t n);
void ice_relays_unreachable(struct sock *s, const struct snet_addr *server);
void ice_permit(struct snet_ice *ice, const struct snet_addr *peer);
void ice_forget_permits(struct snet_ice *ice); /* when there are many */
/* SNET_EAGAIN: not taken, the connection is behind. */
int ice_relay_send(struct relay *r, const struct snet_addr *to, const uint8_t *p, size_t n);

/* ---- driver_data.c */
extern const struct snet_udp_events ice_udp_events;
void ice_sock_send(struct sock *s, const struct snet_addr *to, const uint8_t *p, size_t n);
void ice_relayed(struct relay *r, const struct snet_addr *peer, const uint8_t *p, size_t n);
/* Looks which pair is selected; true: another way than before. */
bool ice_find_way(struct snet_ice *ice);
void ice_unpark(struct snet_ice *ice);

/* ---- driver_remote.c */
void ice_release_held(struct snet_ice *ice);
void ice_forget_remote(struct snet_ice *ice);

#endif
