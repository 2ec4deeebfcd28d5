/* Hash: SHA-256, MD5 and HMAC (GnuTLS), BLAKE3 (ours), the crate's ids
 * and list digests, random bytes. */
#ifndef SNET_CRYPTO_HASH_H
#define SNET_CRYPTO_HASH_H

#include "base/bytes.h"

#define SNET_SHA256_BYTES 32
#define SNET_SHA1_BYTES 20
#define SNET_MD5_BYTES 16
#define SNET_BLAKE3_BYTES 32

/* These fail with SNET_ENOSYS where the system's policy forbids the algorithm, SNET_EIO
 * where the kernel gives no random bytes. */
int snet_sha256(uint8_t out[static SNET_SHA256_BYTES], const void *p, size_t n);
/* What WebSockets greet with (RFC 6455 §4.2.2); for nothing else. */
int snet_sha1(uint8_t out[static SNET_SHA1_BYTES], const void *p, size_t n);
int snet_hmac_sha1(uint8_t out[static SNET_SHA1_BYTES], const void *key, size_t key_n,
		   const void *p, size_t n);
/* What STUN still makes keys of (RFC 8489 §18.5.1.1); for nothing else. */
int snet_md5(uint8_t out[static SNET_MD5_BYTES], const void *p, size_t n);
/* Of several runs of bytes as if they were one; out: as many bytes as the hash has. */
enum snet_hmac { SNET_HMAC_SHA1, SNET_HMAC_SHA256 };
int snet_hmac(enum snet_hmac mac, uint8_t *out, const void *key, size_t key_n,
	      const struct snet_slice *parts, size_t n);
int snet_random(void *p, size_t n); /* fit for keys and nonces */

/* ---- BLAKE3, hash mode, 256 bits; cannot fail. Incremental: init, update as often as you
 * like, final once. */
#define SNET_BLAKE3_DEPTH 54 /* a tree of 2^54 chunks of 1 KiB is all of 2^64 bytes */

struct snet_blake3 {
	uint32_t cv[8];    /* of the chunk in progress */
	uint64_t chunk;    /* its number */
	uint8_t block[64]; /* the block in progress: held back, since the last one is marked */
	unsigned block_n;
	unsigned blocks; /* of this chunk, already compressed */
	unsigned depth; /* of the stack: whole subtrees, the largest first, that want a right */
	uint32_t stack[SNET_BLAKE3_DEPTH][8];
};

void snet_blake3_init(struct snet_blake3 *h);
void snet_blake3_update(struct snet_blake3 *h, const void *p, size_t n);
void snet_blake3_final(const struct snet_blake3 *h, uint8_t out[static SNET_BLAKE3_BYTES]);
void snet_blake3(uint8_t out[static SNET_BLAKE3_BYTES], const void *p, size_t n);

/* ---- as the crate has it */

/* The 64-bit id of a key: FNV-1a of its SubjectPublicKeyInfo. Anyone can make a second key with
 * the same id: never trust by it. */
uint64_t snet_derived_id(const uint8_t *spki, size_t n);

/* BLAKE3 over bincode(Vec<Vec<u8>>) of keys in order. SNET_EINVAL: they are not sorted
 * (bytewise, a prefix first), so that two parties would not agree. Equal keys are allowed. */
int snet_list_digest(uint8_t out[static SNET_BLAKE3_BYTES], const struct snet_slice *keys,
		     size_t n);

/* The order of that list: <0, 0, >0. */
int snet_key_compare(const struct snet_slice *a, const struct snet_slice *b);

#endif
