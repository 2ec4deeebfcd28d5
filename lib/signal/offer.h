/* Offer: what ICE agents tell each other: their credentials, then candidates as they are found,
 * then that there are no more; and when to punch (nat/punch_pact.h). As JSON lines,
 * snet-events(5) ice.local and ice.punch; what browsers write (RTCIceCandidateInit, an empty
 * candidate being the end) is taken, too, and the attributes of SDP (RFC 8839 §5), a line each.
 * In a room with more than two the lines say whose they are and for whom. Candidates stay text
 * here. */
#ifndef SNET_SIGNAL_OFFER_H
#define SNET_SIGNAL_OFFER_H

#include "base/addr.h"
#include "base/bytes.h"
#include "base/err.h"

#define SNET_OFFER_MAX 4096        /* bytes of a line that is looked at */
#define SNET_OFFER_CALL 22         /* characters of the name of a call */
#define SNET_OFFER_ID 16           /* of the id of a punch, in hex */
#define SNET_OFFER_DELAY_MAX 10000 /* ms */

enum snet_offer_what {
	SNET_OFFER_OTHER, /* a good line that is not for us: another event */
	SNET_OFFER_CREDENTIALS,
	SNET_OFFER_CANDIDATE,
	SNET_OFFER_END,
	SNET_OFFER_PUNCH,
};

/* A word of nat/punch_pact.h. Of an ack the id alone is said. */
struct snet_offer_punch {
	bool ack;
	uint64_t id;
	struct snet_addr target;
	uint32_t delay_ms;
	uint64_t wall_ms; /* when it was said; lines leave it out */
};

/* Texts end with NUL; "": not said. */
struct snet_offer {
	enum snet_offer_what what;
	char ufrag[257], pwd[257]; /* ufrag may also stand with the others: whose generation */
	char candidate[1025];      /* "candidate:..." */
	char from[44], to[44];     /* key ids */
	/* Of credentials: the how-manieth of this side, and which of the other side's they are
	 * meant for; 0: not said. */
	uint32_t generation, answers;
	char call[SNET_OFFER_CALL + 1]; /* chosen by whoever calls */
	/* Of PUNCH; ufrag and remote_ufrag say between which generations, each as who says it
	 * knows them. */
	struct snet_offer_punch punch;
	char remote_ufrag[257];
};

/* n bytes of one line. Of a=ice-ufrag and a=ice-pwd each is CREDENTIALS of which the other half
 * is ""; JSON has both. SNET_EPROTO: no JSON object or line of SDP, or a field that is of the
 * wrong type, too long or not of its alphabet; err says which; SNET_ENOMEM. */
int snet_offer_parse(struct snet_offer *out, const void *p, size_t n, struct snet_error *err);
/* Appends the line as JSON, without its end. Failures leave b->bad, and so do OTHER, half
 * credentials, and a PUNCH without both names or with a target that has no form. */
void snet_offer_print(const struct snet_offer *o, struct snet_buf *b);

#endif
