/* Candidate: one place where a peer may be reached, as ICE has it (RFC 8445 §5.1), and its form
 * on the crate's wire. */
#ifndef SNET_WIRE_CANDIDATE_H
#define SNET_WIRE_CANDIDATE_H

#include "base/addr.h"
#include "base/bytes.h"

#define SNET_FOUNDATION_MAX 32 /* characters, RFC 8839 §5.1; the crate uses at most 16 */
#define SNET_CANDIDATE_MIN 36  /* bytes of the smallest on the wire */

/* As numbered on the wire. */
enum snet_candidate_type {
	SNET_CANDIDATE_HOST,
	SNET_CANDIDATE_SRFLX,
	SNET_CANDIDATE_PRFLX,
	SNET_CANDIDATE_RELAY
};

/* A value: nothing in it is borrowed. UDP is the only transport protocol. */
struct snet_candidate {
	char foundation[SNET_FOUNDATION_MAX + 1]; /* UTF-8, ends with NUL */
	uint32_t component;
	uint32_t priority;
	struct snet_addr address;
	enum snet_candidate_type type;
	struct snet_addr related; /* AF_UNSPEC: none */
	struct snet_addr server;  /* the STUN server that told us; AF_UNSPEC: none */
};

/* "host" "srflx" "prflx" "relay" */
const char *snet_candidate_name(enum snet_candidate_type type);

/* Appends. SNET_EINVAL: no address, a foundation that is not UTF-8, an
 * unknown type; or as snet_buf_add. */
int snet_candidate_encode(const struct snet_candidate *c, struct snet_buf *out);

/* Sets r->bad for anything else than a candidate; then *out is empty. */
void snet_candidate_take(struct snet_reader *r, struct snet_candidate *out);

/* A whole input, no byte more. SNET_EPROTO. */
int snet_candidate_decode(struct snet_candidate *out, const void *p, size_t n);

#endif
