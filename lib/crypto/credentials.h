/* Credentials: what an identity shows in a handshake, its certificate chain or its bare key.
 * For the TLS code, in GnuTLS's own terms, as certificate.h. */
#ifndef SNET_CRYPTO_CREDENTIALS_H
#define SNET_CRYPTO_CREDENTIALS_H

#include <gnutls/abstract.h>

#include "crypto/identity.h"

struct snet_credentials;

/* Owner: the caller; nothing of id is kept. SNET_EKEY, SNET_ENOMEM. */
int snet_credentials_new(struct snet_credentials **out, const struct snet_identity *id,
			 struct snet_error *err);
void snet_credentials_free(struct snet_credentials *c); /* NULL is fine */

/* What a gnutls_certificate_retrieve_function2 answers where this type was agreed on: an X.509
 * chain, its owner's first, or one raw public key (RFC 7250). Borrowed while c lives. */
void snet_credentials_show(const struct snet_credentials *c, gnutls_certificate_type_t type,
			   gnutls_pcert_st **certs, unsigned *n, gnutls_privkey_t *key);

#endif
