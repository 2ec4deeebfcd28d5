/* Stunauth: who wrote a STUN message. Integrity by either hash, the keys of short- and
 * long-term credentials, user hashes, and what a server says of itself in a nonce (RFC 8489 §9,
 * §14). */
#ifndef SNET_NAT_STUNAUTH_H
#define SNET_NAT_STUNAUTH_H

#include "nat/stunmsg.h"

enum snet_stun_mac { SNET_STUN_SHA1, SNET_STUN_SHA256 }; /* which integrity attribute */
enum snet_stun_algorithm { SNET_STUN_KEY_MD5 = 1, SNET_STUN_KEY_SHA256 = 2 };

/* A key. Of short-term credentials: the password itself. Wipe it when done. */
#define SNET_STUN_KEY_MAX 256
struct snet_stun_key {
	uint8_t p[SNET_STUN_KEY_MAX];
	size_t n;
};

/* Texts are taken as they are: prepared by OpaqueString (RFC 8265), as plain ASCII is. These
 * three fail with SNET_ETOOBIG, and SNET_ENOSYS where policy forbids the hash. */
int snet_stun_key_short(struct snet_stun_key *k, const char *password);
int snet_stun_key_long(struct snet_stun_key *k, enum snet_stun_algorithm a,
		       const char *username, const char *realm, const char *password);
int snet_stun_userhash(uint8_t out[static 32], const char *username, const char *realm);

/* SNET_OK; SNET_ENOENT: the message has no such attribute; SNET_EINTEGRITY: it was not written
 * with this key; SNET_ENOSYS. */
int snet_stunauth_check(const struct snet_stunmsg *m, enum snet_stun_mac mac,
			const struct snet_stun_key *k);
/* Appends the attribute: after all but the other one and FINGERPRINT. */
void snet_stunauth_put(struct snet_stunout *o, enum snet_stun_mac mac,
		       const struct snet_stun_key *k);

/* ---- what a server can do: bits in its nonces (RFC 8489 §9.2). */
#define SNET_STUN_HAS_ALGORITHMS 1u /* PASSWORD-ALGORITHMS */
#define SNET_STUN_HAS_USERHASH 2u   /* USERHASH in place of USERNAME */
#define SNET_STUN_NONCE_PREFIX 13   /* characters before the rest of the nonce */

/* Those bits; 0 also when the nonce is of an older server. */
uint32_t snet_stun_nonce_features(const struct snet_slice *nonce);
void snet_stun_nonce_prefix(char out[static SNET_STUN_NONCE_PREFIX + 1], uint32_t features);

/* PASSWORD-ALGORITHM(S): the known ones as bits 1 << enum snet_stun_algorithm; 0: none, or
 * malformed. */
uint32_t snet_stun_algorithms(const struct snet_stunmsg *m, enum snet_stun_attr a);
/* algorithms: such bits; PASSWORD-ALGORITHMS lists SHA-256 first. */
void snet_stun_put_algorithms(struct snet_stunout *o, enum snet_stun_attr a,
			      uint32_t algorithms);

#endif
