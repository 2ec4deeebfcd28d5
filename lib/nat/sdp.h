/* Sdp: ICE candidates as lines of text, RFC 8839 §5.1, as browsers write them:
 *
 *   candidate:1 1 UDP 1694498815 203.0.113.1 40000 typ srflx raddr 10.0.0.1 rport 9000
 *
 * Pure. */
#ifndef SNET_NAT_SDP_H
#define SNET_NAT_SDP_H

#include "wire/candidate.h"

#define SNET_SDP_MAX 1024     /* bytes of a line that is looked at */
#define SNET_SDP_NAME_MAX 253 /* of a name */
#define SNET_UFRAG_MAX 256    /* characters, RFC 8839 §5.4 */

struct snet_sdp_candidate {
	struct snet_candidate c; /* address: AF_UNSPEC while there is a name */
	/* An mDNS name ("x.local") in place of the address, in small letters; "": none. Its
	 * port waits here. To be looked up by the owner. */
	char name[SNET_SDP_NAME_MAX + 1];
	uint16_t port;
	char ufrag[SNET_UFRAG_MAX +
		   1]; /* the extension: whose generation it is of; "": not said */
};

/* "candidate:..." or "a=candidate:...", CR, LF and spaces at the end allowed. Extensions that
 * mean nothing to us are skipped. SNET_EPROTO: not such a line; SNET_ENOSYS: a good one, but
 * not for us: TCP, a type of a later day, a name that is not mDNS's (to look up any name a
 * stranger likes would be their errand). err says which. */
int snet_sdp_parse(struct snet_sdp_candidate *out, const char *line, struct snet_error *err);

/* "candidate:...", no line end. With its ufrag, if it has one. SNET_EINVAL: no address
 * or name, or a foundation that the syntax has no room for. */
int snet_sdp_print(const struct snet_sdp_candidate *c, char out[static SNET_SDP_MAX]);

/* Whether text is 1 to max "ice-char": letters, digits, '+' and '/'. */
bool snet_sdp_is_ice(const char *text, size_t max);

#endif
