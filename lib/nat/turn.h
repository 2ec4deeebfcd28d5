/* Turn: a client of a TURN server, RFC 8656: one allocation, its permissions and channels.
 *
 *          start          answer            release        answer, or none
 *     IDLE ------> ASKING ------> ALLOCATED ------> LEAVING ------> CLOSED
 *      ^             |               |                                ^
 *      `- redirected-+---- failed ---+--------------------------------'
 *
 * Pure: holds no socket, reads no clock, draws no random numbers. After every call the owner
 * takes events until there are none, sends outputs until there are none, and comes back at the
 * deadline. What comes in must have come from the server's address. */
#ifndef SNET_NAT_TURN_H
#define SNET_NAT_TURN_H

#include "base/addr.h"
#include "base/bytes.h"
#include "base/clock.h"

#define SNET_TURN_PERMISSIONS 256 /* addresses of peers, ports aside */
#define SNET_TURN_CHANNELS 256    /* with those that rest, RFC 8656 §12 */
#define SNET_TURN_REDIRECTS 4     /* servers tried one after the other */
#define SNET_TURN_SEED 32         /* random bytes, from which transaction ids are made */
#define SNET_TURN_OUT_MAX 65507   /* bytes of the largest thing sent: what UDP takes */
#define SNET_TURN_DATA_MAX 65452  /* bytes for a peer: less the largest Send indication */
#define SNET_TURN_QUEUE (256 << 10)
#define SNET_TURN_RTO (500 * SNET_MS) /* RFC 8489 §6.2.1 */

enum { SNET_TURN_IPV4 = 1, SNET_TURN_IPV6 = 2 };

struct snet_turn; /* opaque */

/* All is copied. Texts as OpaqueString makes them (RFC 8265), which plain ASCII is. */
struct snet_turn_opts {
	struct snet_addr server;
	const char *user, *password;
	const char *realm;   /* refuse to prove anything to another; NULL: any */
	int families;        /* of the relayed addresses; 0: IPv4. Both: whichever are had */
	uint32_t lifetime_s; /* asked for; 0: what the server gives */
	size_t queue_bytes;  /* of data not sent yet; 0: SNET_TURN_QUEUE */
	snet_time rto;       /* 0: SNET_TURN_RTO */
	bool stream;         /* over TCP or TLS: nothing is sent twice, messages are framed */
	bool userhash;       /* hide the user's name from onlookers, where the server can */
	bool dont_fragment;  /* ask the server not to, where it can */
};

/* seed: copied. SNET_ENOMEM; SNET_EINVAL: a name too long, or families unknown. */
int snet_turn_new(struct snet_turn **out, const struct snet_turn_opts *o,
		  const uint8_t seed[static SNET_TURN_SEED], struct snet_error *err);
void snet_turn_free(struct snet_turn *t); /* NULL is fine; tells the server nothing */

/* ---- wishes. Refused when CLOSED: SNET_ECLOSED. */

/* Asks for the allocation; after a redirection, of the server that the event named. */
int snet_turn_start(struct snet_turn *t, snet_time now);
int snet_turn_refresh(struct snet_turn *t, snet_time now); /* before it is due */
/* Gives the allocation back: SNET_TURN_CLOSED follows. */
int snet_turn_release(struct snet_turn *t, snet_time now);

/* The peer's IP address may send to us, from any port, and we to it, until forgotten. May be
 * wished before there is an allocation. SNET_TURN_PERMITTED or _REFUSED follows, with port 0.
 * SNET_ETOOBIG: too many; SNET_ENOMEM; SNET_EINVAL: the allocation is of another family. */
int snet_turn_permit(struct snet_turn *t, const struct snet_addr *peer, snet_time now);
/* A channel, and the permission: 4 bytes of overhead instead of 36. SNET_TURN_BOUND or
 * _UNBOUND follows. The same errors. */
int snet_turn_bind(struct snet_turn *t, const struct snet_addr *peer, snet_time now);
/* No longer renews the channel to this peer; port 0: the permission, and all channels to the
 * address. Its data is no longer told. */
void snet_turn_forget(struct snet_turn *t, const struct snet_addr *peer, snet_time now);

/* ---- data. To be sent: by channel once bound, else as a Send indication. */

/* Queued, and held back until the permission is there. SNET_ENOENT: none was wished for;
 * SNET_ETOOBIG: the queue is full, or n over the limit; SNET_ENOMEM, SNET_ECLOSED. */
int snet_turn_send(struct snet_turn *t, const struct snet_addr *peer, const void *p, size_t n);
/* Past the queue, into the caller's buffer, where p must not lie. SNET_EAGAIN: the
 * permission is not there yet; SNET_ETOOBIG: it does not fit; SNET_ENOENT, SNET_ECLOSED. */
int snet_turn_wrap(struct snet_turn *t, const struct snet_addr *peer, const void *p, size_t n,
		   uint8_t *out, size_t cap, size_t *len);

/* ---- bytes. */

/* Takes one datagram, or a piece of the stream up to the end of one message: returns how much
 * of it, more than 0; call again for the rest. SNET_EAGAIN: the datagram is not ours;
 * SNET_EPROTO: the stream is broken for good; SNET_ENOMEM. */
long snet_turn_input(struct snet_turn *t, const uint8_t *p, size_t n, snet_time now);
/* One thing to be sent to the server, a datagram or part of the stream; 0: nothing now. */
size_t snet_turn_output(struct snet_turn *t, uint8_t out[static SNET_TURN_OUT_MAX],
			snet_time now);
snet_time snet_turn_deadline(struct snet_turn *t); /* SNET_NEVER: none */

/* ---- events. */
enum snet_turn_what {
	SNET_TURN_NOTHING,
	SNET_TURN_ALLOCATED,  /* relayed, mapped, lifetime_s, dont_fragment */
	SNET_TURN_REDIRECTED, /* peer: the other server; start once bytes go there */
	SNET_TURN_PERMITTED,  /* peer */
	SNET_TURN_REFUSED,    /* peer, error, status: no permission, or no longer */
	SNET_TURN_BOUND,      /* peer: from now on data goes by channel */
	SNET_TURN_UNBOUND, /* peer, error, status: no channel, or no longer; still permitted */
	SNET_TURN_DATA,    /* peer; p, n: a view, until the next call of input */
	SNET_TURN_ICMP,    /* peer; icmp_type, icmp_code: what a router said of what was sent */
	SNET_TURN_CLOSED,  /* the last. error.code SNET_OK: released; else failed */
};

struct snet_turn_event {
	enum snet_turn_what what;
	struct snet_addr peer;
	const uint8_t *p;
	size_t n;
	struct snet_addr relayed[2]; /* AF_UNSPEC: none; IPv4 first */
	struct snet_addr mapped;     /* ours as the server sees it */
	uint32_t lifetime_s;
	bool dont_fragment; /* the server can */
	int status; /* the server's: 437: try from another port; 486, 508: in a minute; 0 */
	struct snet_error error; /* in words */
	uint8_t icmp_type;
	uint16_t icmp_code;
};

bool snet_turn_event(struct snet_turn *t, struct snet_turn_event *ev);

/* What was thrown away. */
struct snet_turn_counts {
	uint64_t forged;    /* answers whose integrity is missing or wrong */
	uint64_t malformed; /* not STUN, or not what it claims to be */
	uint64_t stale;     /* answers to nothing asked: late, doubled or made up */
	uint64_t strangers; /* data of peers that have no permission, or channels not bound */
	uint64_t dropped;   /* data of ours whose permission was refused */
	uint64_t sent_again;
};
const struct snet_turn_counts *snet_turn_counts(const struct snet_turn *t);

#endif
