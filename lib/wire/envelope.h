/* Envelope: the crate's NetEnvelope, every variant, and the handshake it had before 2026.
 * Bincode; pure; no allocation.
 *
 * Nothing marks a payload as an envelope: decode only where one is expected. The crate ignores
 * bytes after a value; so does decode, but it says so in trailing. A handshake must have its
 * exact length, because the old form's first twelve bytes read as a new one. */
#ifndef SNET_WIRE_ENVELOPE_H
#define SNET_WIRE_ENVELOPE_H

#include "wire/candidate.h"

/* clang-format off */
/* X(name, words), in the wire's order, from 0. */
#define SNET_ENVELOPES(X)                          \
	X(HANDSHAKE         , "handshake")          \
	X(HONEY_BADGER      , "honey-badger")       \
	X(ICE_CANDIDATES    , "ice-candidates")     \
	X(PUNCH_REQUEST     , "punch-request")      \
	X(PUNCH_ACK         , "punch-ack")          \
	X(CONNECTIVITY_CHECK, "connectivity-check") \
	X(RELAY_REQUEST     , "relay-request")      \
	X(RELAY_OFFER       , "relay-offer")        \
	X(RELAYED_DATA      , "relayed-data")       \
	X(HEARTBEAT         , "heartbeat")          \
	X(NODE_LIST_REQUEST , "node-list-request")  \
	X(NODE_LIST_RESPONSE, "node-list-response") \
	X(CLIENT_LIST_DIGEST, "client-list-digest") \
	X(CLIENT_LIST_FULL  , "client-list-full")
#define X(name, words) SNET_ENVELOPE_##name,
enum snet_envelope_tag { SNET_ENVELOPES(X) SNET_ENVELOPE_TAGS };
#undef X
/* clang-format on */

#define SNET_ENVELOPE_ROLE_MAX 64 /* bytes: a longer "role" is no handshake */

/* A list. To encode one, point items at count structs snet_candidate (ICE_CANDIDATES) or
 * snet_slice (keys). Decoding leaves items NULL and the encoded elements, checked, in run;
 * encode takes that too. */
struct snet_envelope_list {
	size_t count;
	const void *items;
	struct snet_slice run;
};

/* Slices and runs are borrowed: from the input when decoded, from the caller when encoded.
 * Strings are UTF-8. */
struct snet_envelope {
	enum snet_envelope_tag tag;
	bool trailing; /* bytes came after the value */
	union {
		struct {
			uint64_t id;
			bool old; /* {role, id}: role is "CLIENT" or "SERVER" in any case */
			struct snet_slice role;
		} handshake;
		struct snet_slice honey_badger;
		struct {
			struct snet_slice ufrag, pwd;
			struct snet_envelope_list candidates;
		} ice;
		struct {
			uint64_t transaction;
			struct snet_addr target;
			uint64_t delay_ms;
		} punch_request;
		struct {
			uint64_t transaction, timestamp_ms;
		} punch_ack;
		struct {
			uint64_t transaction;
			bool is_response, use_candidate;
			struct snet_slice ufrag;
		} check;
		uint64_t relay_request; /* target party */
		struct {
			struct snet_addr relay;
			struct snet_slice token;
			uint64_t party;
		} relay_offer;
		struct {
			uint64_t target, source;
			struct snet_slice payload;
		} relayed;
		uint64_t heartbeat_ms;
		struct snet_envelope_list keys; /* NODE_LIST_RESPONSE, CLIENT_LIST_FULL */
		struct {
			struct snet_slice digest;
			uint64_t count;
			struct snet_slice node_digest;
			uint64_t node_count;
		} digest;
	};
};

/* Appends. SNET_EINVAL: a tag, address or string the wire has no form for; or as snet_buf_add.
 * out->n is as it was after a failure. */
int snet_envelope_encode(const struct snet_envelope *e, struct snet_buf *out);

/* SNET_EPROTO: not an envelope; *e is then empty. */
int snet_envelope_decode(struct snet_envelope *e, const void *p, size_t n);

/* Walks a decoded list: begin, then next until false. */
static inline struct snet_reader snet_envelope_begin(const struct snet_envelope_list *l)
{
	return snet_reader(l->run.p, l->run.n);
}

bool snet_envelope_next_candidate(struct snet_reader *at, struct snet_candidate *out);
bool snet_envelope_next_key(struct snet_reader *at, struct snet_slice *out);

const char *snet_envelope_name(unsigned tag); /* "punch-ack"; "?" */

#endif
