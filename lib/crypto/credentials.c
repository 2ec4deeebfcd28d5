#include "crypto/credentials.h"

#include <stdlib.h>

#include "crypto/certificate.h"

/* One private key for both: it is parsed once. */
struct snet_credentials {
	gnutls_privkey_t key;
	gnutls_pcert_st *chain;
	unsigned n;
	gnutls_pcert_st raw;
};

static int take_key(struct snet_credentials *c, const gnutls_datum_t *pem)
{
	int rc = gnutls_privkey_init(&c->key);

	return rc ? rc
		  : gnutls_privkey_import_x509_raw(c->key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
}

/* The first is its owner's; those that are above it in a chain follow in that order, wherever
 * they stand in the file, and the others are not shown. */
static int take_chain(struct snet_credentials *c, const gnutls_datum_t *pem)
{
	gnutls_x509_crt_t *crts;
	unsigned n;
	int rc = gnutls_x509_crt_list_import2(&crts, &n, pem, GNUTLS_X509_FMT_PEM, 0);

	if (rc)
		return rc;
	c->chain = calloc(n, sizeof(*c->chain));
	c->n = n;
	rc = c->chain ? gnutls_pcert_import_x509_list(c->chain, crts, &c->n,
						      GNUTLS_X509_CRT_LIST_SORT)
		      : GNUTLS_E_MEMORY_ERROR;
	if (rc)
		c->n = 0;
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(crts[i]);
	gnutls_free(crts);
	return rc;
}

static int take_raw(struct snet_credentials *c, const struct snet_identity *id)
{
	size_t n;
	const uint8_t *spki = snet_identity_spki(id, &n);
	const gnutls_datum_t der = { (unsigned char *)spki, (unsigned)n };
	gnutls_pubkey_t key = NULL;
	int rc = gnutls_pubkey_init(&key);

	/* Not by gnutls_pcert_import_rawpk_raw: when it fails the key may be freed, or not. */
	if (!rc)
		rc = gnutls_pubkey_import(key, &der, GNUTLS_X509_FMT_DER);
	if (!rc)
		rc = gnutls_pcert_import_rawpk(&c->raw, key, 0);
	if (rc) {
		c->raw.pubkey = NULL;
		gnutls_pubkey_deinit(key);
	}
	return rc;
}

int snet_credentials_new(struct snet_credentials **out, const struct snet_identity *id,
			 struct snet_error *err)
{
	struct snet_credentials *c = calloc(1, sizeof(*c));
	gnutls_datum_t certs, key;
	int rc = c ? 0 : GNUTLS_E_MEMORY_ERROR;

	snet_identity_pem(id, &certs, &key);
	if (!rc)
		rc = take_key(c, &key);
	if (!rc)
		rc = take_chain(c, &certs);
	if (!rc)
		rc = take_raw(c, id);
	if (!rc) {
		*out = c;
		return SNET_OK;
	}
	snet_credentials_free(c);
	return snet_fail(err, rc == GNUTLS_E_MEMORY_ERROR ? SNET_ENOMEM : SNET_EKEY,
			 "identity: %s", gnutls_strerror(rc));
}

void snet_credentials_free(struct snet_credentials *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->n; i++)
		gnutls_pcert_deinit(&c->chain[i]);
	free(c->chain);
	gnutls_pcert_deinit(&c->raw);
	gnutls_privkey_deinit(c->key);
	free(c);
}

void snet_credentials_show(const struct snet_credentials *c, gnutls_certificate_type_t type,
			   gnutls_pcert_st **certs, unsigned *n, gnutls_privkey_t *key)
{
	bool raw = type == GNUTLS_CRT_RAWPK;

	*certs = raw ? (gnutls_pcert_st *)&c->raw : c->chain;
	*n = raw ? 1 : c->n;
	*key = c->key;
}
