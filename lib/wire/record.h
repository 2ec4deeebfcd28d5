/* Record: what a frame carries in the profile snet/1: one type byte, then a body. Big endian;
 * pure; no allocation. Sequence numbers are not sent: a stream is ordered and both ends count;
 * only resume and ack carry numbers. */
#ifndef SNET_WIRE_RECORD_H
#define SNET_WIRE_RECORD_H

#include "base/bytes.h"

/* clang-format off */
/* X(name, number, "kind" in messages, may a program send it). The numbers 1-9 and 64-69 are the
 * protocols of MPC systems built on this; to us they are all data. */
#define SNET_RECORDS(X)                          \
	X(DKG_ROUND1    , 1 , "dkg1"         , true)  \
	X(DKG_ROUND2    , 2 , "dkg2"         , true)  \
	X(DKG_ROUND3    , 3 , "dkg3"         , true)  \
	X(SIGN_ROUND1   , 4 , "sign1"        , true)  \
	X(SIGN_ROUND2   , 5 , "sign2"        , true)  \
	X(SIGN_ROUND3   , 6 , "sign3"        , true)  \
	X(SIGN_ROUND4   , 7 , "sign4"        , true)  \
	X(PRESIGN_ROUND1, 8 , "presign1"     , true)  \
	X(PRESIGN_ROUND2, 9 , "presign2"     , true)  \
	X(HEARTBEAT     , 10, "heartbeat"    , false) \
	X(ACK           , 11, "ack"          , false) \
	X(ERROR         , 12, "error"        , false) \
	X(DATA          , 32, "data"         , true)  \
	X(RESUME        , 33, "resume"       , false) \
	X(BYE           , 34, "bye"          , false) \
	X(PEER_EXCHANGE , 35, "peer-exchange", false) \
	X(FORWARD       , 36, "forward"      , false) \
	X(PROPOSAL      , 64, "proposal"     , true)  \
	X(VOTE          , 65, "vote"         , true)  \
	X(CERTIFICATE   , 66, "certificate"  , true)  \
	X(VIEW_CHANGE   , 67, "view-change"  , true)  \
	X(TIMEOUT       , 68, "timeout"      , true)  \
	X(RECOVERY      , 69, "recovery"     , true)
#define X(name, number, ...) SNET_RECORD_##name = number,
enum snet_record_type { SNET_RECORDS(X) };
#undef X
/* clang-format on */

#define SNET_RECORD_ZSTD 0x80  /* in the type byte: the body is compressed */
#define SNET_RECORD_VERSION 1  /* of resume */
#define SNET_RECORD_STREAMS 16 /* numbers below this */
#define SNET_SESSION_BYTES 16
#define SNET_DIGEST_BYTES 32
#define SNET_LABEL_MAX 1024  /* bytes */
#define SNET_REASON_MAX 1024 /* bytes */

const char *snet_record_name(unsigned type); /* NULL: no such type */
int snet_record_number(const char *name);    /* or SNET_ENOENT */
bool snet_record_is_app(unsigned type);

/* One record; body is borrowed from the frame. SNET_EPROTO: empty, an unknown type, or a
 * compressed body where the type has none to compress (heartbeat, ack, error, resume, bye). */
struct snet_record {
	enum snet_record_type type;
	bool zstd;
	const uint8_t *body;
	size_t n;
};

int snet_record_decode(struct snet_record *rec, const void *frame, size_t n);

static inline uint8_t snet_record_head(enum snet_record_type type, bool zstd)
{
	return (uint8_t)(type | (zstd ? SNET_RECORD_ZSTD : 0));
}

/* ---- bodies, without the type byte. Encode appends; after a failure out->n is as it was:
 * SNET_EINVAL for what the wire has no form for, or as snet_buf_add. Decode takes all of the
 * input: SNET_EPROTO. Slices are borrowed. */

/* Per stream, in rising order of stream. resume: the number of the next message expected; ack:
 * how many have been taken for good. */
struct snet_record_marks {
	unsigned count;
	struct {
		uint8_t stream;
		uint64_t at;
	} mark[SNET_RECORD_STREAMS];
};

struct snet_record_resume {
	uint16_t version; /* decode takes any: the owner says which it knows */
	uint8_t session[SNET_SESSION_BYTES];
	struct snet_slice label; /* UTF-8 */
	uint32_t n;              /* parties */
	uint8_t roster[SNET_DIGEST_BYTES];
	struct snet_record_marks next;
};

/* bye and error. The reason is for people, from a stranger: any bytes, perhaps not UTF-8. */
struct snet_record_bye {
	uint64_t code; /* snet_err_to_wire */
	struct snet_slice reason;
};

struct snet_record_forward {
	uint32_t origin, target; /* parties */
	uint64_t sequence;       /* the origin's, towards the target */
	struct snet_slice body;  /* a record, type byte and all */
};

int snet_record_encode_resume(const struct snet_record_resume *v, struct snet_buf *out);
int snet_record_decode_resume(struct snet_record_resume *v, const void *p, size_t n);
int snet_record_encode_ack(const struct snet_record_marks *v, struct snet_buf *out);
int snet_record_decode_ack(struct snet_record_marks *v, const void *p, size_t n);
int snet_record_encode_bye(const struct snet_record_bye *v, struct snet_buf *out);
int snet_record_decode_bye(struct snet_record_bye *v, const void *p, size_t n);
int snet_record_encode_forward(const struct snet_record_forward *v, struct snet_buf *out);
int snet_record_decode_forward(struct snet_record_forward *v, const void *p, size_t n);

#endif
