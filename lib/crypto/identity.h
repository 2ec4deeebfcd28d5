/* Identity: who a party is. A private key and a certificate over it, self-signed unless a CA
 * signed it; other parties know it by its key id, the SHA-256 of the key's SubjectPublicKeyInfo
 * (SPKI), RFC 5280 §4.1.2.7. */
#ifndef SNET_CRYPTO_IDENTITY_H
#define SNET_CRYPTO_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"

struct snet_identity;

enum snet_key_type { SNET_KEY_P256, SNET_KEY_ED25519 };

#define SNET_NAME_DEFAULT "snet"
#define SNET_NAME_MAX 64 /* bytes: ub-common-name, RFC 5280 appendix A.1 */
#define SNET_NAME_TEXT (SNET_NAME_MAX + 1)
#define SNET_CERT_MAX (64u << 10)         /* bytes of one certificate, DER */
#define SNET_CHAIN_MAX 8                  /* certificates */
#define SNET_IDENTITY_FILE_MAX (1u << 20) /* bytes: the longest chain, in PEM */
#define SNET_SPKI_MAX 2048                /* bytes: RSA of 8192 bits needs 1062 */

/* 1 to SNET_NAME_MAX bytes of UTF-8 without control characters: what identities, parties and
 * sessions may be called, so that any of it can be printed anywhere. */
bool snet_name_is_ok(const char *name, size_t n);

/* A fresh key. name: the certificate's common name; NULL: SNET_NAME_DEFAULT. Fails with
 * SNET_EINVAL (name), SNET_ENOMEM, SNET_EKEY. Owner: the caller, snet_identity_free (NULL is
 * fine), which wipes. */
int snet_identity_new(struct snet_identity **out, enum snet_key_type type, const char *name,
		      struct snet_error *err);
void snet_identity_free(struct snet_identity *id);
/* The same key, of P-256 or Ed25519, under another name: its certificate is made anew, and is
 * the whole chain. Fails as snet_identity_new, and *id is as it was. */
int snet_identity_rename(struct snet_identity *id, const char *name, struct snet_error *err);

/* A PEM file: the private key (not encrypted), its certificate, and what the chain needs beyond
 * it. SNET_EKEY: not readable, open to group or others, not a key, or a certificate of another
 * key; SNET_ENOMEM. err names the path. */
int snet_identity_load(struct snet_identity **out, const char *path, struct snet_error *err);
/* PKCS#8 and certificates, mode 0600, never half written. SNET_EIO: it exists
 * and force was not given, ... */
int snet_identity_save(const struct snet_identity *id, const char *path, bool force,
		       struct snet_error *err);

/* Borrowed: good while the identity is. */
const uint8_t *snet_identity_keyid(const struct snet_identity *id); /* SNET_KEYID_BYTES */
uint64_t snet_identity_derived(const struct snet_identity *id);     /* FNV-1a of the SPKI */
const uint8_t *snet_identity_spki(const struct snet_identity *id, size_t *n); /* DER */
const uint8_t *snet_identity_cert(const struct snet_identity *id,
				  size_t *n); /* DER, the first of the chain */
const char *snet_identity_name(
	const struct snet_identity *id); /* "" for a certificate without one */
const char *snet_identity_algorithm(
	const struct snet_identity *id); /* "ecdsa-p256", "ed25519", ... */

/* The key in a certificate from anyone: appends its SPKI to spki (NULL: not wanted;
 * SNET_SPKI_MAX is ceiling enough) and writes its key id. SNET_EKEY: not a certificate, above
 * SNET_CERT_MAX, or no key that TLS 1.3 can use; then spki is as it was. SNET_ETOOBIG: spki's
 * ceiling; SNET_ENOMEM. */
int snet_spki_of_certificate(const uint8_t *der, size_t n, struct snet_buf *spki,
			     uint8_t keyid[static SNET_KEYID_BYTES]);

#endif
