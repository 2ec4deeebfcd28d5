#include "crypto/identity.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "base/file.h"
#include "base/utf8.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"

/* The validity the Rust crate's certificates have. Nobody checks it: a key is
 * trusted because it is pinned. */
#define NOT_BEFORE 157766400  /* 1975-01-01T00:00:00Z */
#define NOT_AFTER 67090118400 /* 4096-01-01T00:00:00Z */

/* The bytes only, no GnuTLS objects: they are wanted once, when credentials are made. */
struct snet_identity {
	struct snet_buf key, certs; /* PEM */
	struct snet_buf der, spki;
	uint8_t keyid[SNET_KEYID_BYTES];
	uint64_t derived;
	const char *algorithm;
	char name[SNET_NAME_TEXT];
};

bool snet_name_is_ok(const char *name, size_t n)
{
	const uint8_t *p = (const uint8_t *)name;

	if (!n || n > SNET_NAME_MAX || !snet_utf8_is_valid(name, n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f ||
		    (i && p[i - 1] == 0xc2 && p[i] < 0xa0)) /* C0, C1 */
			return false;
	return true;
}

static struct snet_identity *blank(void)
{
	struct snet_identity *id = calloc(1, sizeof(*id));

	if (!id)
		return NULL;
	id->key = SNET_BUF(SNET_IDENTITY_FILE_MAX);
	id->certs = SNET_BUF(SNET_IDENTITY_FILE_MAX);
	id->der = SNET_BUF(SNET_CERT_MAX);
	id->spki = SNET_BUF(SNET_SPKI_MAX);
	return id;
}

void snet_identity_free(struct snet_identity *id)
{
	if (!id)
		return;
	snet_buf_wipe(&id->key);
	snet_buf_free(&id->certs);
	snet_buf_free(&id->der);
	snet_buf_free(&id->spki);
	free(id);
}

static int broken(struct snet_error *err, const char *what, int gnutls)
{
	return snet_fail(err, gnutls == GNUTLS_E_MEMORY_ERROR ? SNET_ENOMEM : SNET_EKEY,
			 "%s: %s", what, gnutls_strerror(gnutls));
}

static int keep_key(struct snet_identity *id, gnutls_x509_privkey_t key, struct snet_error *err)
{
	uint8_t keyid[SNET_KEYID_BYTES];
	size_t n = sizeof(keyid);
	gnutls_datum_t pem = { NULL, 0 };
	int rc = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, keyid, &n);

	if (rc)
		return broken(err, "private key", rc);
	if (n != sizeof(keyid) || memcmp(keyid, id->keyid, n))
		return snet_fail(err, SNET_EKEY, "the certificate is not of this private key");
	rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
					       GNUTLS_PKCS_PLAIN, &pem);
	if (rc)
		return broken(err, "private key", rc);
	rc = snet_buf_add(&id->key, pem.data, pem.size);
	gnutls_memset(pem.data, 0, pem.size);
	gnutls_free(pem.data);
	return rc ? snet_fail(err, rc, "private key") : SNET_OK;
}

static int keep_cert(struct snet_buf *b, gnutls_x509_crt_t crt, gnutls_x509_crt_fmt_t format,
		     struct snet_error *err)
{
	gnutls_datum_t d = { NULL, 0 };
	int rc = gnutls_x509_crt_export2(crt, format, &d);

	if (rc)
		return broken(err, "certificate", rc);
	rc = snet_buf_add(b, d.data, d.size);
	gnutls_free(d.data);
	return rc ? snet_fail(err, rc, "certificate") : SNET_OK;
}

/* A certificate made elsewhere may be called anything, or nothing. */
static void keep_name(struct snet_identity *id, gnutls_x509_crt_t crt)
{
	size_t n = sizeof(id->name);

	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, id->name,
					  &n) ||
	    !snet_name_is_ok(id->name, n))
		*id->name = '\0';
}

/* Fills *id from a key and its chain. */
static int adopt(struct snet_identity *id, gnutls_x509_privkey_t key, gnutls_x509_crt_t *chain,
		 unsigned n, struct snet_error *err)
{
	int rc = snet_cert_key(chain[0], &id->spki, id->keyid, &id->algorithm);

	if (rc)
		return snet_fail(err, rc, "certificate without a key that TLS 1.3 can use");
	rc = keep_key(id, key, err);
	if (!rc)
		rc = keep_cert(&id->der, chain[0], GNUTLS_X509_FMT_DER, err);
	for (unsigned i = 0; i < n && !rc; i++)
		rc = keep_cert(&id->certs, chain[i], GNUTLS_X509_FMT_PEM, err);
	keep_name(id, chain[0]);
	id->derived = snet_derived_id(id->spki.p, id->spki.n);
	return rc;
}

/* clang-format off */
static const struct {
	gnutls_pk_algorithm_t pk;
	unsigned bits;
	gnutls_digest_algorithm_t hash; /* GnuTLS wants Ed25519's own named, RFC 8032 §5.1 */
} types[] = {
	[SNET_KEY_P256]    = { GNUTLS_PK_ECDSA,         GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), GNUTLS_DIG_SHA256 },
	[SNET_KEY_ED25519] = { GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519),   GNUTLS_DIG_SHA512 },
};
/* clang-format on */

/* Like the Rust crate's: version 3, nothing but a subject alternative name, since what
 * rustls-webpki does not know it may refuse. */
static int self_sign(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
		     gnutls_digest_algorithm_t hash, const char *name)
{
	static const char host[] = "localhost";
	uint8_t serial[16];
	int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] =
		(serial[0] & 0x7f) | 0x40; /* positive, and never shorter: RFC 5280 §4.1.2.2 */
	if (!rc)
		rc = gnutls_x509_crt_set_version(crt, 3);
	if (!rc)
		rc = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (!rc)
		rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						   (unsigned)strlen(name));
	if (!rc)
		rc = gnutls_x509_crt_set_activation_time(crt, NOT_BEFORE);
	if (!rc)
		rc = gnutls_x509_crt_set_expiration_time(crt, NOT_AFTER);
	if (!rc)
		rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
							  sizeof(host) - 1, GNUTLS_FSAN_SET);
	if (!rc)
		rc = gnutls_x509_crt_set_key(crt, key);
	if (!rc)
		rc = gnutls_x509_crt_sign2(crt, crt, key, hash, 0);
	return rc;
}

/* Of a key and a certificate over it that is made here. */
static int certify(struct snet_identity **out, gnutls_x509_privkey_t key,
		   gnutls_digest_algorithm_t hash, const char *name, struct snet_error *err)
{
	struct snet_identity *id = blank();
	gnutls_x509_crt_t crt = NULL;
	int rc = id ? gnutls_x509_crt_init(&crt) : GNUTLS_E_MEMORY_ERROR;

	if (!rc)
		rc = self_sign(crt, key, hash, name);
	rc = rc ? broken(err, "making an identity", rc) : adopt(id, key, &crt, 1, err);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	if (rc)
		snet_identity_free(id);
	else
		*out = id;
	return rc;
}

static int check_name(const char *name, struct snet_error *err)
{
	if (snet_name_is_ok(name, strlen(name)))
		return SNET_OK;
	return snet_fail(err, SNET_EINVAL,
			 "a name has 1 to %d bytes of UTF-8 and no control characters",
			 SNET_NAME_MAX);
}

int snet_identity_new(struct snet_identity **out, enum snet_key_type type, const char *name,
		      struct snet_error *err)
{
	gnutls_x509_privkey_t key;
	int rc = check_name(name ? name : SNET_NAME_DEFAULT, err);

	if (rc)
		return rc;
	rc = gnutls_x509_privkey_init(&key);
	if (rc)
		return broken(err, "making an identity", rc);
	rc = gnutls_x509_privkey_generate(key, types[type].pk, types[type].bits, 0);
	if (rc)
		rc = broken(err, "making an identity", rc);
	else
		rc = certify(out, key, types[type].hash, name ? name : SNET_NAME_DEFAULT, err);
	gnutls_x509_privkey_deinit(key);
	return rc;
}

int snet_identity_rename(struct snet_identity *id, const char *name, struct snet_error *err)
{
	const gnutls_datum_t pem = { id->key.p, (unsigned)id->key.n };
	struct snet_identity *fresh, old;
	gnutls_x509_privkey_t key;
	int rc = check_name(name, err), pk;

	if (rc)
		return rc;
	rc = gnutls_x509_privkey_init(&key);
	if (rc)
		return broken(err, "private key", rc);
	rc = gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM);
	pk = rc ? rc : gnutls_x509_privkey_get_pk_algorithm(key);
	for (size_t i = 0; !rc && i < sizeof(types) / sizeof(*types); i++) {
		if ((int)types[i].pk != pk)
			continue;
		rc = certify(&fresh, key, types[i].hash, name, err);
		gnutls_x509_privkey_deinit(key);
		if (rc)
			return rc;
		old = *id;
		*id = *fresh;
		*fresh = old;
		snet_identity_free(fresh);
		return SNET_OK;
	}
	gnutls_x509_privkey_deinit(key);
	return rc ? broken(err, "private key", rc)
		  : snet_fail(err, SNET_EKEY, "no key of a kind that is made here");
}

static int parse(struct snet_identity *id, const struct snet_buf *pem, struct snet_error *err)
{
	const gnutls_datum_t d = { pem->p, (unsigned)pem->n };
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t chain[SNET_CHAIN_MAX];
	unsigned n = SNET_CHAIN_MAX;
	int rc = gnutls_x509_privkey_init(&key), got = 0;

	if (rc)
		return broken(err, "private key", rc);
	rc = gnutls_x509_privkey_import(key, &d, GNUTLS_X509_FMT_PEM);
	if (rc)
		rc = broken(err, "no usable private key", rc);
	else if ((got = gnutls_x509_crt_list_import(
			  chain, &n, &d, GNUTLS_X509_FMT_PEM,
			  GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED)) <= 0)
		rc = broken(err, "no usable certificate",
			    got ? got : GNUTLS_E_NO_CERTIFICATE_FOUND);
	else
		rc = adopt(id, key, chain, (unsigned)got, err);
	for (int i = 0; i < got; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_x509_privkey_deinit(key);
	return rc;
}

int snet_identity_load(struct snet_identity **out, const char *path, struct snet_error *err)
{
	struct snet_buf pem = SNET_BUF(SNET_IDENTITY_FILE_MAX);
	struct snet_identity *id = NULL;
	struct snet_error why = { 0 };
	int rc = snet_file_read(&pem, path, true, SNET_EKEY, err);

	if (rc)
		goto out;
	id = blank();
	rc = id ? parse(id, &pem, &why) : snet_fail(&why, SNET_ENOMEM, "reading an identity");
	if (rc) {
		snet_fail(err, rc, "%s: %s", path, why.text);
		goto out;
	}
	*out = id;
	id = NULL; /* now the caller's */
out:
	snet_buf_wipe(&pem);
	snet_identity_free(id);
	return rc;
}

int snet_identity_save(const struct snet_identity *id, const char *path, bool force,
		       struct snet_error *err)
{
	struct snet_buf pem = SNET_BUF(2 * SNET_IDENTITY_FILE_MAX);
	int rc = SNET_ENOMEM;

	if (snet_buf_room(
		    &pem,
		    id->key.n + id->certs.n)) { /* at once: growing would leave copies behind */
		snet_buf_add(&pem, id->key.p, id->key.n);
		snet_buf_add(&pem, id->certs.p, id->certs.n);
		rc = snet_file_write(path, pem.p, pem.n, 0600, force, err);
	} else {
		snet_fail(err, rc, "%s", path);
	}
	snet_buf_wipe(&pem);
	return rc;
}

void snet_identity_pem(const struct snet_identity *id, gnutls_datum_t *certs,
		       gnutls_datum_t *key)
{
	*certs = (gnutls_datum_t){ id->certs.p, (unsigned)id->certs.n };
	*key = (gnutls_datum_t){ id->key.p, (unsigned)id->key.n };
}

const uint8_t *snet_identity_keyid(const struct snet_identity *id)
{
	return id->keyid;
}

uint64_t snet_identity_derived(const struct snet_identity *id)
{
	return id->derived;
}

const uint8_t *snet_identity_spki(const struct snet_identity *id, size_t *n)
{
	*n = id->spki.n;
	return id->spki.p;
}

const uint8_t *snet_identity_cert(const struct snet_identity *id, size_t *n)
{
	*n = id->der.n;
	return id->der.p;
}

const char *snet_identity_name(const struct snet_identity *id)
{
	return id->name;
}

const char *snet_identity_algorithm(const struct snet_identity *id)
{
	return id->algorithm;
}
