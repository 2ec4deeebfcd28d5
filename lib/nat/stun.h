/* Stun: the client's side of binding transactions, RFC 8489 §6.2.1, pure. Several at once: a
 * server that is silent delays nobody. Answers are matched by transaction id, by the address
 * they come from and the socket they come to. Sockets are numbers of the owner's, who sends
 * what snet_stun_send gives him and hands in what comes. */
#ifndef SNET_NAT_STUN_H
#define SNET_NAT_STUN_H

#include "base/clock.h"
#include "nat/stunmsg.h"

#define SNET_STUN_SLOTS 64   /* transactions at a time */
#define SNET_STUN_ASK_MAX 64 /* bytes of a request */
#define SNET_STUN_REASON_MAX 64

#define SNET_STUN_CHANGE_IP 4u /* CHANGE-REQUEST, RFC 5780 §7.2 */
#define SNET_STUN_CHANGE_PORT 2u

/* First at once, then after rto, 2 rto, 4 rto ... rc times in all; given up rm times rto after
 * the last, or most after the first. 0: 500 ms, 7, 16; most: no ceiling. */
struct snet_stun_pace {
	snet_time rto;
	unsigned rc, rm;
	snet_time most;
};

struct snet_stun_ask {
	unsigned tag;       /* the owner's, comes back in the answer */
	unsigned via, into; /* sockets: that it is sent by, that the answer comes to */
	struct snet_addr to;
	struct snet_addr from;  /* where the answer comes from; AF_UNSPEC: from to */
	uint32_t change;        /* SNET_STUN_CHANGE_...; 0: no CHANGE-REQUEST */
	uint16_t response_port; /* 0: none */
	bool loops; /* to is our own mapped address: the request itself is the answer */
	struct snet_stun_pace pace;
};

/* code: SNET_OK; SNET_ETIMEOUT; SNET_EUNREACH: ICMP said so; SNET_ENOSYS: answered from where
 * it was sent to, or to where it came from, though asked to do otherwise; SNET_EPROTO: an error
 * response (error, reason), or one without the address. Addresses not told are AF_UNSPEC. */
struct snet_stun_answer {
	unsigned tag;
	int code;
	int error; /* 300 to 699; 0: none */
	char reason[SNET_STUN_REASON_MAX];
	struct snet_addr server;        /* it was asked of */
	struct snet_addr mapped;        /* what it saw */
	struct snet_addr origin, other; /* RESPONSE-ORIGIN, OTHER-ADDRESS */
	snet_time rtt;                  /* since the first request: exact when requests is 1 */
	unsigned requests;              /* sent */
};

struct snet_stun_slot {
	struct snet_stun_ask ask;
	uint8_t id[SNET_STUN_ID];
	snet_time begun, due;
	unsigned sent;
	bool busy, unreachable;
};

struct snet_stun {
	struct snet_stun_pace pace; /* of asks that name none */
	struct snet_stun_slot slots[SNET_STUN_SLOTS];
};

void snet_stun_init(struct snet_stun *s, const struct snet_stun_pace *pace); /* NULL: RFC's */
/* id: random. SNET_EAGAIN: SNET_STUN_SLOTS are under way. */
int snet_stun_ask(struct snet_stun *s, const struct snet_stun_ask *ask,
		  const uint8_t id[static SNET_STUN_ID], snet_time now);

/* When to call the two that follow; SNET_NEVER: nothing is under way. */
snet_time snet_stun_deadline(const struct snet_stun *s);
/* A request that is due: its bytes, how many, and who asked; 0: none. Call until 0. */
size_t snet_stun_send(struct snet_stun *s, snet_time now, uint8_t out[static SNET_STUN_ASK_MAX],
		      const struct snet_stun_ask **ask);
/* A transaction that came to nothing; false: none. Call until false. */
bool snet_stun_over(struct snet_stun *s, snet_time now, struct snet_stun_answer *out);

/* SNET_OK: *out; the transaction is over. SNET_ENOENT: STUN, and not ours: a request, or an
 * answer to nothing, or too late. SNET_EPROTO: malformed. */
int snet_stun_take(struct snet_stun *s, unsigned socket, const struct snet_addr *from,
		   const uint8_t *p, size_t n, snet_time now, struct snet_stun_answer *out);
/* What is asked of it comes to nothing: snet_stun_over says so. */
void snet_stun_unreachable(struct snet_stun *s, const struct snet_addr *remote);

#endif
