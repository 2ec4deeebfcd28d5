/* Stunmsg: STUN messages, RFC 8489, with the attributes of ICE (8445), NAT discovery (5780) and
 * TURN (8656). Pure, allocates nothing: a parsed message is a view of the bytes it came in; a
 * message is written into a buffer of the caller's, from the first attribute to the last. */
#ifndef SNET_NAT_STUNMSG_H
#define SNET_NAT_STUNMSG_H

#include "base/addr.h"
#include "base/bytes.h"

#define SNET_STUN_HEADER 20
#define SNET_STUN_ID 12 /* bytes of a transaction id */
#define SNET_STUN_COOKIE 0x2112a442u
#define SNET_STUN_UNKNOWN_MAX 8 /* attributes named in one 420 answer */
#define SNET_STUN_TEXT_MAX 763  /* bytes of REALM, NONCE, SOFTWARE and reasons */
#define SNET_STUN_USERNAME_MAX 508

enum snet_stun_class {
	SNET_STUN_REQUEST,
	SNET_STUN_INDICATION,
	SNET_STUN_SUCCESS,
	SNET_STUN_ERROR,
};

enum snet_stun_method {
	SNET_STUN_BINDING = 1,
	SNET_STUN_ALLOCATE = 3,
	SNET_STUN_REFRESH = 4,
	SNET_STUN_SEND = 6,
	SNET_STUN_DATA_INDICATION = 7,
	SNET_STUN_CREATE_PERMISSION = 8,
	SNET_STUN_CHANNEL_BIND = 9,
};

/* X(name, type, fewest bytes, most bytes, bytes of its number: 0 = it is none). */
/* clang-format off */
#define SNET_STUN_ATTRIBUTES(X)                               \
	X(MAPPED_ADDRESS           , 0x0001, 8 , 20   , 0)    \
	X(CHANGE_REQUEST           , 0x0003, 4 , 4    , 4)    \
	X(USERNAME                 , 0x0006, 0 , 512  , 0)    \
	X(INTEGRITY                , 0x0008, 20, 20   , 0)    \
	X(ERROR_CODE               , 0x0009, 4 , 767  , 0)    \
	X(UNKNOWN_ATTRIBUTES       , 0x000a, 0 , 65535, 0)    \
	X(CHANNEL_NUMBER           , 0x000c, 4 , 4    , 2)    \
	X(LIFETIME                 , 0x000d, 4 , 4    , 4)    \
	X(XOR_PEER_ADDRESS         , 0x0012, 8 , 20   , 0)    \
	X(DATA                     , 0x0013, 0 , 65535, 0)    \
	X(REALM                    , 0x0014, 0 , 763  , 0)    \
	X(NONCE                    , 0x0015, 0 , 763  , 0)    \
	X(XOR_RELAYED_ADDRESS      , 0x0016, 8 , 20   , 0)    \
	X(REQUESTED_ADDRESS_FAMILY , 0x0017, 4 , 4    , 1)    \
	X(EVEN_PORT                , 0x0018, 1 , 1    , 1)    \
	X(REQUESTED_TRANSPORT      , 0x0019, 4 , 4    , 1)    \
	X(DONT_FRAGMENT            , 0x001a, 0 , 0    , 0)    \
	X(INTEGRITY_SHA256         , 0x001c, 16, 32   , 0)    \
	X(PASSWORD_ALGORITHM       , 0x001d, 4 , 65535, 0)    \
	X(USERHASH                 , 0x001e, 32, 32   , 0)    \
	X(XOR_MAPPED_ADDRESS       , 0x0020, 8 , 20   , 0)    \
	X(RESERVATION_TOKEN        , 0x0022, 8 , 8    , 8)    \
	X(PRIORITY                 , 0x0024, 4 , 4    , 4)    \
	X(USE_CANDIDATE            , 0x0025, 0 , 0    , 0)    \
	X(PADDING                  , 0x0026, 0 , 65535, 0)    \
	X(RESPONSE_PORT            , 0x0027, 2 , 4    , 2)    \
	X(ADDITIONAL_ADDRESS_FAMILY, 0x8000, 4 , 4    , 1)    \
	X(ADDRESS_ERROR_CODE       , 0x8001, 4 , 767  , 0)    \
	X(PASSWORD_ALGORITHMS      , 0x8002, 4 , 65535, 0)    \
	X(ALTERNATE_DOMAIN         , 0x8003, 0 , 255  , 0)    \
	X(ICMP                     , 0x8004, 8 , 8    , 0)    \
	X(SOFTWARE                 , 0x8022, 0 , 763  , 0)    \
	X(ALTERNATE_SERVER         , 0x8023, 8 , 20   , 0)    \
	X(FINGERPRINT              , 0x8028, 4 , 4    , 4)    \
	X(ICE_CONTROLLED           , 0x8029, 8 , 8    , 8)    \
	X(ICE_CONTROLLING          , 0x802a, 8 , 8    , 8)    \
	X(RESPONSE_ORIGIN          , 0x802b, 8 , 20   , 0)    \
	X(OTHER_ADDRESS            , 0x802c, 8 , 20   , 0)
/* clang-format on */

#define X(name, type, ...) SNET_STUN_##name = type,
enum snet_stun_attr { SNET_STUN_ATTRIBUTES(X) };
#undef X

/* ---- reading. p is borrowed. What follows an integrity attribute and is neither the other one
 * nor FINGERPRINT is not seen (RFC 8489 §14.5); of attributes given twice, the first is. */
struct snet_stunmsg {
	const uint8_t *p;
	size_t n;
	uint16_t method; /* enum snet_stun_method, or any other number */
	uint8_t cls;     /* enum snet_stun_class */
	uint8_t id[SNET_STUN_ID];
	/* Types that must be understood and are not; not more than are named in an answer. */
	uint16_t unknown[SNET_STUN_UNKNOWN_MAX];
	size_t unknown_n;
	/* Offsets: where the attributes end, and of the last three; 0: not there. */
	size_t end, integrity, integrity_sha256, fingerprint;
};

/* p is one message, whole. SNET_ETRUNCATED; SNET_EPROTO: not STUN, or an attribute of a length
 * it cannot have; SNET_EINTEGRITY: the FINGERPRINT is there and wrong. */
int snet_stunmsg_parse(struct snet_stunmsg *m, const void *p, size_t n);
/* How long the message is that begins so: for streams. Not less than SNET_STUN_HEADER. */
size_t snet_stunmsg_size(const uint8_t p[static 4]);

/* The first attribute of the type; false: none. out NULL: only whether it is there. */
bool snet_stunmsg_get(const struct snet_stunmsg *m, enum snet_stun_attr a,
		      struct snet_slice *out);
/* The next attribute of the type, where several are lawful; *at: 0 at first. */
bool snet_stunmsg_next(const struct snet_stunmsg *m, enum snet_stun_attr a, size_t *at,
		       struct snet_slice *out);
/* The first attribute as an address, freed of its XOR; false: none, or of no family known. */
bool snet_stunmsg_addr(const struct snet_stunmsg *m, enum snet_stun_attr a,
		       struct snet_addr *out);
/* The same of a value from snet_stunmsg_next. */
bool snet_stunmsg_addr_of(const struct snet_stunmsg *m, enum snet_stun_attr a,
			  const struct snet_slice *value, struct snet_addr *out);
/* The first attribute as the number it begins with, of the table's width. */
bool snet_stunmsg_number(const struct snet_stunmsg *m, enum snet_stun_attr a, uint64_t *out);
/* ERROR-CODE, 300 to 699, and its reason (NULL allowed); 0: none, or not a lawful one. */
int snet_stunmsg_error(const struct snet_stunmsg *m, struct snet_slice *reason);
/* ADDRESS-ERROR-CODE: the same, and the family: 1 IPv4, 2 IPv6. */
int snet_stunmsg_address_error(const struct snet_stunmsg *m, uint8_t *family);
bool snet_stunmsg_icmp(const struct snet_stunmsg *m, uint8_t *type, uint16_t *code);

/* ---- writing. Append straight through, look at snet_stunmsg_end once. */
struct snet_stunout {
	uint8_t *p;
	size_t n, cap;
	bool bad; /* it does not fit, or the value is unlawful */
};

void snet_stunmsg_begin(struct snet_stunout *o, uint8_t *p, size_t cap,
			enum snet_stun_class cls, uint16_t method,
			const uint8_t id[static SNET_STUN_ID]);
void snet_stunmsg_put(struct snet_stunout *o, enum snet_stun_attr a, const void *p, size_t n);
void snet_stunmsg_put_text(struct snet_stunout *o, enum snet_stun_attr a, const char *s);
void snet_stunmsg_put_addr(struct snet_stunout *o, enum snet_stun_attr a,
			   const struct snet_addr *v); /* XORed where the attribute is */
void snet_stunmsg_put_number(struct snet_stunout *o, enum snet_stun_attr a, uint64_t v);
void snet_stunmsg_put_error(struct snet_stunout *o, int code, const char *reason);
void snet_stunmsg_put_unknown(struct snet_stunout *o, const struct snet_stunmsg *request);
void snet_stunmsg_put_fingerprint(struct snet_stunout *o); /* the last one */
size_t snet_stunmsg_end(const struct snet_stunout *o);     /* bytes; 0: bad */

#endif
