/* Certificate: what the TLS code needs of identities and trust, in GnuTLS's own terms. Nobody
 * else includes this. */
#ifndef SNET_CRYPTO_CERTIFICATE_H
#define SNET_CRYPTO_CERTIFICATE_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "crypto/allow.h"
#include "crypto/identity.h"

/* Certificate chain and private key in PEM, borrowed while the identity lives. */
void snet_identity_pem(const struct snet_identity *id, gnutls_datum_t *certs,
		       gnutls_datum_t *key);

/* Appends the SPKI of a parsed certificate to spki (NULL: not wanted). algorithm
 * (NULL: not wanted): a constant word, "ecdsa-p256", "ed25519", "rsa-2048" ...
 * Fails as snet_spki_of_certificate. */
int snet_cert_key(gnutls_x509_crt_t crt, struct snet_buf *spki,
		  uint8_t keyid[static SNET_KEYID_BYTES], const char **algorithm);

/* The key of the peer that presented this chain (gnutls_certificate_get_peers),
 * as snet_spki_of_certificate. SNET_EKEY also for no certificate and for more
 * than SNET_CHAIN_MAX, at no cost. */
int snet_cert_check(const gnutls_datum_t *chain, unsigned n, struct snet_buf *spki,
		    uint8_t keyid[static SNET_KEYID_BYTES], struct snet_error *err);

/* The same of the peer that presented a raw public key (RFC 7250 §3): n is 1 then. */
int snet_rawkey_check(const gnutls_datum_t *keys, unsigned n, struct snet_buf *spki,
		      uint8_t keyid[static SNET_KEYID_BYTES], struct snet_error *err);

/* The entries of a TLS 1.3 Certificate message (RFC 8446 §4.4.2) behind its handshake header:
 * certificates, their owner's first, or one raw public key. The first max of them point into p
 * afterwards; *count is how many there are. SNET_EPROTO: it is none, or not one of a handshake,
 * since it has a context. */
int snet_cert_entries(const uint8_t *p, size_t n, gnutls_datum_t *entries, unsigned max,
		      unsigned *count);

/* May the holder of this key, who presented this chain (NULL, 0: a raw public key), come in?
 * keyid: from snet_cert_check of the same chain or from snet_rawkey_check; its owner must have
 * proven possession. SNET_EDENIED names the key id that was seen. */
int snet_trust_check(const struct snet_trust *t, const uint8_t keyid[static SNET_KEYID_BYTES],
		     const gnutls_datum_t *chain, unsigned n, struct snet_error *err);

#endif
