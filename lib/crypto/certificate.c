#include "crypto/certificate.h"

#include <gnutls/abstract.h>

#include "crypto/hash.h"

/* What TLS 1.3 can sign with, RFC 8446 §4.2.3. The upper bound on RSA is ours: a stranger
 * chooses the key, and the cost of checking its signature grows with the square of its size. */
/* clang-format off */
static const struct kind {
	gnutls_pk_algorithm_t pk;
	unsigned min, max; /* bits, which GnuTLS rounds up to whole bytes */
	const char *word;
} kinds[] = {
	{ GNUTLS_PK_ECDSA,         256,  256, "ecdsa-p256" },
	{ GNUTLS_PK_ECDSA,         384,  384, "ecdsa-p384" },
	{ GNUTLS_PK_ECDSA,         521,  528, "ecdsa-p521" },
	{ GNUTLS_PK_EDDSA_ED25519, 256,  256, "ed25519"    },
	{ GNUTLS_PK_EDDSA_ED448,   448,  456, "ed448"      },
	{ GNUTLS_PK_RSA,          2048, 8192, "rsa"        },
	{ GNUTLS_PK_RSA_PSS,      2048, 8192, "rsa-pss"    },
};
/* clang-format on */

/* An RSA key of n bits takes n / 8 bytes and less than 128 for all around it, unless its
 * exponent is long: another way to make us work. */
static const char *kind_of(gnutls_pubkey_t key, const gnutls_datum_t *spki)
{
	unsigned bits = 0;
	int pk = gnutls_pubkey_get_pk_algorithm(key, &bits);

	if ((pk == GNUTLS_PK_RSA || pk == GNUTLS_PK_RSA_PSS) && spki->size > bits / 8 + 128)
		return NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (pk == (int)kinds[i].pk && bits >= kinds[i].min && bits <= kinds[i].max)
			return kinds[i].word;
	return NULL;
}

static int code_of(int gnutls)
{
	return gnutls == GNUTLS_E_MEMORY_ERROR ? SNET_ENOMEM : SNET_EKEY;
}

/* The SPKI is what GnuTLS writes for the key it parsed, and will check the handshake's
 * signature with, not the bytes that stand in the certificate: a certificate that two parsers
 * read differently cannot pass as somebody else's key. The two differ only for odd encodings,
 * a compressed point for one. */
int snet_cert_key(gnutls_x509_crt_t crt, struct snet_buf *spki,
		  uint8_t keyid[static SNET_KEYID_BYTES], const char **algorithm)
{
	gnutls_datum_t der = { NULL, 0 };
	gnutls_pubkey_t key = NULL;
	const char *word = NULL;
	int rc = gnutls_pubkey_init(&key);

	if (!rc)
		rc = gnutls_pubkey_import_x509(key, crt, 0);
	if (!rc)
		rc = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);
	if (!rc && !(word = kind_of(key, &der)))
		rc = GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
	rc = rc ? code_of(rc) : snet_sha256(keyid, der.data, der.size);
	if (!rc && spki)
		rc = snet_buf_add(spki, der.data, der.size);
	if (!rc && algorithm)
		*algorithm = word;
	gnutls_free(der.data);
	gnutls_pubkey_deinit(key);
	return rc;
}

int snet_spki_of_certificate(const uint8_t *der, size_t n, struct snet_buf *spki,
			     uint8_t keyid[static SNET_KEYID_BYTES])
{
	gnutls_datum_t d = { (unsigned char *)der, (unsigned)n };
	gnutls_x509_crt_t crt = NULL;
	int rc;

	if (!n || n > SNET_CERT_MAX)
		return SNET_EKEY;
	rc = gnutls_x509_crt_init(&crt);
	if (rc)
		return code_of(rc);
	rc = gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_DER);
	rc = rc ? code_of(rc) : snet_cert_key(crt, spki, keyid, NULL);
	gnutls_x509_crt_deinit(crt);
	return rc;
}

int snet_cert_check(const gnutls_datum_t *chain, unsigned n, struct snet_buf *spki,
		    uint8_t keyid[static SNET_KEYID_BYTES], struct snet_error *err)
{
	int rc;

	if (!chain || !n)
		return snet_fail(err, SNET_EKEY, "no certificate");
	if (n > SNET_CHAIN_MAX)
		return snet_fail(err, SNET_EKEY,
				 "a chain of %u certificates, at most %d are read", n,
				 SNET_CHAIN_MAX);
	if (chain[0].size > SNET_CERT_MAX)
		return snet_fail(err, SNET_EKEY,
				 "a certificate of %u bytes, at most %u are read",
				 chain[0].size, SNET_CERT_MAX);
	rc = snet_spki_of_certificate(chain[0].data, chain[0].size, spki, keyid);
	if (rc == SNET_EKEY)
		return snet_fail(err, rc, "a certificate without a usable key");
	return rc ? snet_fail(err, rc, "reading a certificate") : SNET_OK;
}
