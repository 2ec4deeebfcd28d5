#include "crypto/certificate.h"

#include <string.h>

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
static int name_key(gnutls_pubkey_t key, struct snet_buf *spki,
		    uint8_t keyid[static SNET_KEYID_BYTES], const char **algorithm)
{
	gnutls_datum_t der = { NULL, 0 };
	const char *word = NULL;
	int rc = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);

	if (!rc && !(word = kind_of(key, &der)))
		rc = GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
	rc = rc ? code_of(rc) : snet_sha256(keyid, der.data, der.size);
	if (!rc && spki)
		rc = snet_buf_add(spki, der.data, der.size);
	if (!rc && algorithm)
		*algorithm = word;
	gnutls_free(der.data);
	return rc;
}

int snet_cert_key(gnutls_x509_crt_t crt, struct snet_buf *spki,
		  uint8_t keyid[static SNET_KEYID_BYTES], const char **algorithm)
{
	gnutls_pubkey_t key = NULL;
	int rc = gnutls_pubkey_init(&key);

	if (!rc)
		rc = gnutls_pubkey_import_x509(key, crt, 0);
	rc = rc ? code_of(rc) : name_key(key, spki, keyid, algorithm);
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

/* ---- the same without GnuTLS's parser, for what its own and our certificates look like */

#define DEPTH_MAX 16
#define SEQUENCE 0x30
#define INTEGER 0x02
#define VERSION 0xa0 /* explicit, and the only optional field before the key */

struct tlv {
	const uint8_t *p; /* the whole */
	size_t n;
	const uint8_t *body;
	size_t body_n;
};

/* One element in DER: a tag of one byte, a definite length in its shortest form (X.690
 * §10.1). */
static bool take_tlv(struct snet_reader *r, struct tlv *t)
{
	const uint8_t *head = snet_take(r, 2), *more;
	size_t n, k;

	if (!head || (head[0] & 0x1f) == 0x1f)
		return false;
	n = head[1];
	if (n >= 0x80) {
		k = n & 0x7f;
		more = k && k <= 3 ? snet_take(r, k) : NULL;
		if (!more || !more[0])
			return false;
		for (n = 0; k; k--)
			n = n << 8 | *more++;
		if (n < 0x80)
			return false;
	}
	t->p = head;
	t->body = snet_take(r, n);
	t->body_n = n;
	t->n = t->body ? (size_t)(t->body - t->p) + n : 0;
	return t->body;
}

/* Every element that is made of others is filled by them exactly, all the way down: there is
 * one way only to divide such bytes. */
static bool is_tiled(const uint8_t *p, size_t n, unsigned depth)
{
	struct snet_reader r = snet_reader(p, n);
	struct tlv t;

	while (snet_left(&r)) {
		if (!take_tlv(&r, &t))
			return false;
		if (t.p[0] & 0x20 && (!depth || !is_tiled(t.body, t.body_n, depth - 1)))
			return false;
	}
	return true;
}

/* RFC 5480 §2 (P-256, not compressed) and RFC 8410 §4: the key follows, and GnuTLS writes them
 * so too. */
static const struct {
	uint8_t n, whole, head[27];
} plain_keys[] = {
	{ 27, 91, { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
		    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
		    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 } },
	{ 12, 44, { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 } },
};

static bool is_plain_key(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < sizeof(plain_keys) / sizeof(*plain_keys); i++)
		if (n == plain_keys[i].whole && !memcmp(p, plain_keys[i].head, plain_keys[i].n))
			return true;
	return false;
}

static int name_plain_key(const uint8_t *p, size_t n, struct snet_buf *spki,
			  uint8_t keyid[static SNET_KEYID_BYTES])
{
	int rc = snet_sha256(keyid, p, n);

	return !rc && spki ? snet_buf_add(spki, p, n) : rc;
}

/* The key of a certificate of version 3 about which no two parsers can differ: strict DER
 * throughout, each field before the key by its tag (RFC 5280 §4.1), and a key that has one
 * encoding. false: GnuTLS must say. */
static bool find_plain_key(const uint8_t *der, size_t n, struct tlv *key)
{
	static const uint8_t fields[] = { VERSION,  INTEGER,  SEQUENCE, SEQUENCE,
					  SEQUENCE, SEQUENCE, SEQUENCE },
			     v3[] = { INTEGER, 1, 2 };
	struct snet_reader r = snet_reader(der, n);
	struct tlv t;

	if (!take_tlv(&r, &t) || t.p[0] != SEQUENCE || snet_left(&r) ||
	    !is_tiled(der, n, DEPTH_MAX))
		return false;
	r = snet_reader(t.body, t.body_n);
	if (!take_tlv(&r, &t) || t.p[0] != SEQUENCE)
		return false;
	r = snet_reader(t.body, t.body_n);
	for (size_t i = 0; i < sizeof(fields); i++) {
		if (!take_tlv(&r, key) || key->p[0] != fields[i])
			return false;
		if (!i && (key->body_n != sizeof(v3) || memcmp(key->body, v3, sizeof(v3))))
			return false;
	}
	return is_plain_key(key->p, key->n);
}

/* A handshake parses the certificate once more to check the signature with its key: what is no
 * certificate for GnuTLS does not get past that. To have it parsed twice is a tenth of what a
 * handshake costs beside its arithmetic. */
static int key_of(const gnutls_datum_t *crt, struct snet_buf *spki,
		  uint8_t keyid[static SNET_KEYID_BYTES])
{
	struct tlv key;

	if (find_plain_key(crt->data, crt->size, &key))
		return name_plain_key(key.p, key.n, spki, keyid);
	return snet_spki_of_certificate(crt->data, crt->size, spki, keyid);
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
	rc = key_of(&chain[0], spki, keyid);
	if (rc == SNET_EKEY)
		return snet_fail(err, rc, "a certificate without a usable key");
	return rc ? snet_fail(err, rc, "reading a certificate") : SNET_OK;
}

/* As of a certificate: what GnuTLS will check the signature with is what counts. */
static int key_of_raw(const gnutls_datum_t *raw, struct snet_buf *spki,
		      uint8_t keyid[static SNET_KEYID_BYTES])
{
	gnutls_pubkey_t key = NULL;
	int rc;

	if (is_plain_key(raw->data, raw->size))
		return name_plain_key(raw->data, raw->size, spki, keyid);
	rc = gnutls_pubkey_init(&key);
	if (!rc)
		rc = gnutls_pubkey_import(key, raw, GNUTLS_X509_FMT_DER);
	rc = rc ? code_of(rc) : name_key(key, spki, keyid, NULL);
	gnutls_pubkey_deinit(key);
	return rc;
}

int snet_rawkey_check(const gnutls_datum_t *keys, unsigned n, struct snet_buf *spki,
		      uint8_t keyid[static SNET_KEYID_BYTES], struct snet_error *err)
{
	int rc;

	if (!keys || n != 1)
		return snet_fail(err, SNET_EKEY, "%s", n ? "more than one key" : "no key");
	if (!keys->size || keys->size > SNET_SPKI_MAX)
		return snet_fail(err, SNET_EKEY, "a key of %u bytes, 1 to %u are read",
				 keys->size, SNET_SPKI_MAX);
	rc = key_of_raw(keys, spki, keyid);
	if (rc == SNET_EKEY)
		return snet_fail(err, rc, "a key that is not usable");
	return rc ? snet_fail(err, rc, "reading a key") : SNET_OK;
}

/* ---- what comes in a handshake */

static const uint8_t *take_vector(struct snet_reader *r, size_t head, size_t *n)
{
	const uint8_t *p = snet_take(r, head);

	for (*n = 0; p && head; head--)
		*n = *n << 8 | *p++;
	return p ? snet_take(r, *n) : NULL;
}

int snet_cert_entries(const uint8_t *p, size_t n, gnutls_datum_t *entries, unsigned max,
		      unsigned *count)
{
	struct snet_reader r = snet_reader(p, n);
	size_t len, unused;
	const uint8_t *at = take_vector(&r, 1, &len);

	*count = 0;
	if (!at || len || !(at = take_vector(&r, 3, &len)) || snet_left(&r))
		return SNET_EPROTO;
	for (r = snet_reader(at, len); snet_left(&r); ++*count) {
		at = take_vector(&r, 3, &len);
		if (!at || !len || !take_vector(&r, 2, &unused)) /* its extensions */
			return SNET_EPROTO;
		if (*count < max)
			entries[*count] =
				(gnutls_datum_t){ (unsigned char *)at, (unsigned)len };
	}
	return SNET_OK;
}
