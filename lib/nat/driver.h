/* Driver: an ICE agent at work: binds nat/agent, nat/stun and nat/turn to io. One UDP socket
 * per local address; STUN, ChannelData and what the owner sends share it, told apart by RFC
 * 9443. Whoever has a pair sends through here, whichever pair it is by now. */
#ifndef SNET_NAT_DRIVER_H
#define SNET_NAT_DRIVER_H

#include "nat/agent.h"
#include "nat/candidates.h"
#include "nat/punch_pact.h"
#include "nat/sdp.h"
#include "nat/turn_cred.h"
#include "nat/turn_io.h"

struct snet_ice;
struct snet_loop;

#define SNET_ICE_SERVERS 8 /* STUN and TURN together */
#define SNET_ICE_BASES 64  /* sockets and allocations */

/* DIRECT: we ask for no relay; the peer may have one. RELAY: nothing but ours is used. */
enum snet_ice_path { SNET_ICE_ANY, SNET_ICE_DIRECT, SNET_ICE_RELAY };

/* A server, by name or address. TURN, when there are credentials. */
struct snet_ice_server {
	const char *host;
	uint16_t port;
	enum snet_turn_over over;
	const struct snet_turn_cred *cred; /* NULL: STUN, over UDP */
	const char *ca;                    /* as in snet_turn_io_opts */
};

/* Copied, texts too. Zero means the default in brackets. */
struct snet_ice_opts {
	struct snet_agent_config agent; /* all zero but controlling: snet_agent_defaults */
	struct snet_candidate_filter filter;
	enum snet_ice_path path;
	/* AF_UNSPEC: every address of this host that the filter lets pass; 0.0.0.0 or [::]:
	 * those of its family; else this one. port, if it has none of its own; 0: any. */
	struct snet_addr bind;
	uint16_t port;
	/* Loopback addresses are offered when there are no others, and with this also else. */
	bool loopback;
	struct snet_ice_server servers[SNET_ICE_SERVERS];
	size_t servers_n;
	snet_time gather_timeout; /* servers that are silent are not waited for [5 s] */
	snet_time keepalive;      /* so often the way to servers of use is kept open [15 s] */
	/* Where one side's NAT gives ports by lot, and the other's does not, and all else has
	 * failed: so many are tried, at most SNET_PUNCH_BIRTHDAY_MAX; 0: none. It takes both
	 * sides: the first holds a quarter as many sockets open for a while. */
	unsigned birthday;
	bool no_gso, no_gro;
};

/* What a plan of punch does, from now on. agreed: the peer begins now, too; rtt: of the
 * signalling, measured when we have asked, else 0. */
struct snet_ice_punching {
	const char *plan;    /* "sweep", "draw", "hold"; "help": the peer alone has one */
	struct snet_addr to; /* the host that is aimed at */
	unsigned ports;
	bool agreed;
	snet_time rtt;
};

/* Called from the loop, and from within the calls below but for snet_ice_new; none may free. */
struct snet_ice_events {
	/* One of ours, as it is found. iface: the name of its interface, or "". */
	void (*on_local)(const struct snet_local *c, const char *iface, void *user);
	void (*on_gathered)(void *user); /* no more will come */
	/* What the agent says: agent.h. A pair is SELECTED once more when the peer's address,
	 * met before it was told of, turns out to be its relay's. */
	void (*on_event)(const struct snet_agent_event *ev, void *user);
	/* A server or an interface is of no use; err names it. The rest goes on. */
	void (*on_trouble)(const struct snet_error *err, void *user);
	/* A datagram that is not STUN, by any base, from a candidate of the peer's; writable,
	 * for this call. One that begins with a byte below 4 is taken for STUN, RFC 7983. */
	void (*on_data)(uint8_t ecn, uint8_t *p, size_t n, void *user);
	/* After snet_ice_is_blocked, and after a change of the selected pair. */
	void (*on_writable)(void *user);
	/* The system says that the other end of the selected pair has no such port. NULL
	 * allowed. */
	void (*on_unreachable)(void *user);
	/* To be carried to the peer's snet_ice_hear_punch, at once: so that both begin to punch
	 * at one moment. NULL: nobody carries it, and each begins by itself. */
	void (*on_punch)(const struct snet_pact_word *w, void *user);
	void (*on_punching)(const struct snet_ice_punching *p, void *user); /* NULL allowed */
};

/* Gathers with the loop's next turn. SNET_EINVAL, SNET_ENOMEM, SNET_EIO. */
int snet_ice_new(struct snet_ice **out, struct snet_loop *l, const struct snet_ice_opts *o,
		 const struct snet_ice_events *ev, void *user, struct snet_error *err);
/* Gives allocations back as far as it goes without waiting. NULL is fine. */
void snet_ice_free(struct snet_ice *ice);

/* What the peer says: as snet_agent_set_remote and so on. A candidate with an mDNS name is
 * looked up first; SNET_ETOOBIG: too many are. SNET_ENOENT: its ufrag is of another generation
 * than the peer's credentials. */
int snet_ice_set_remote(struct snet_ice *ice, const char *ufrag, const char *pwd);
int snet_ice_add_remote(struct snet_ice *ice, const struct snet_sdp_candidate *c);
void snet_ice_end_remote(struct snet_ice *ice);
/* As snet_pact_hear; also SNET_ECLOSED: there is no need, SNET_EPOLICY: the target is none of
 * the peer's candidates, SNET_ENOSYS: nobody would carry the answer. */
int snet_ice_hear_punch(struct snet_ice *ice, const struct snet_pact_word *w);
/* New credentials, and everything is gathered again: an interface may have come or gone. What
 * is selected stays in use meanwhile. */
int snet_ice_restart(struct snet_ice *ice, struct snet_error *err);
/* Addresses of this host that it would use have come or gone since it gathered. */
bool snet_ice_is_stale(const struct snet_ice *ice);

/* To be asked, not to be changed. */
const struct snet_agent *snet_ice_agent(const struct snet_ice *ice);

/* ---- data on the selected pair, in trains as io/udp sends them. */

/* Where to build what is sent: SNET_UDP_PAYLOAD_MAX bytes, free unless is_blocked. */
uint8_t *snet_ice_scratch(struct snet_ice *ice);
bool snet_ice_is_blocked(const struct snet_ice *ice);
/* As snet_udp_send. SNET_ENOENT: no pair is selected: lost, as the network loses. */
int snet_ice_send(struct snet_ice *ice, uint8_t ecn, size_t n, size_t segment);
/* Largest datagram that the selected pair's interface, or TURN, takes; 1200 without one. */
uint32_t snet_ice_payload(const struct snet_ice *ice);

/* A socket of its own for whoever shall have the selected pair: of the pair's local address and
 * port, connected to the remote one, and no longer read here; the agent ends, and with it
 * consent: the side that did not nominate had better wait for the peer's first datagram, or a
 * moment, lest its last answer was lost. SNET_ENOENT: nothing is selected; SNET_ENOSYS: it is
 * relayed, and has none. It blocks; the caller closes it. */
int snet_ice_detach(struct snet_ice *ice, int *fd, struct snet_error *err);

#endif
