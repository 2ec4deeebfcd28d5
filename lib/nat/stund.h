/* Stund: the server's side of binding requests, RFC 8489 and RFC 5780, pure. A datagram and the
 * socket it came to go in; the answer, and by which socket and to whom it goes, come out. An
 * answer is never larger than three times its request: what does not fit is left out; PADDING,
 * as much as came and not an MTU (RFC 5780 §7.6). Who asks without a magic cookie is answered
 * as RFC 3489 has it, with MAPPED-ADDRESS alone (RFC 5389 §12.2). */
#ifndef SNET_NAT_STUND_H
#define SNET_NAT_STUND_H

#include "nat/stunmsg.h"

#define SNET_STUND_SOCKETS 4
#define SNET_STUND_ANSWER_MAX 2048 /* bytes */
#define SNET_STUND_PADDING_MAX 1500
#define SNET_STUND_TIMES 3 /* the request */

/* Sockets 0 and 1 share an IP address, 2 and 3 the other; 0 and 2 share a port, 1 and 3. With
 * one socket there is no CHANGE-REQUEST and no OTHER-ADDRESS (RFC 5780 §6). */
struct snet_stund {
	struct snet_addr at[SNET_STUND_SOCKETS];
	unsigned n; /* 1 or 4 */
	/* what came of all that came */
	uint64_t answered, refused, dropped; /* refused: answered with an error */
};

struct snet_stund_answer {
	uint8_t p[SNET_STUND_ANSWER_MAX];
	size_t n;
	unsigned via; /* socket */
	struct snet_addr to;
};

/* false: dropped. What is malformed, no request, or of a method other than Binding is. */
bool snet_stund_take(struct snet_stund *d, unsigned socket, const struct snet_addr *from,
		     const uint8_t *p, size_t n, struct snet_stund_answer *out);

#endif
