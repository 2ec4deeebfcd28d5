#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <gnutls/crypto.h>

#include "base/file.h"
#include "crypto/certificate.h"
#include "crypto/credentials.h"
#include "crypto/hash.h"
#include "support/torture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Every test has a directory of its own. */
static char dir[64], path[96];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/snet-identity.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/key", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir); /* fails when something was left beside the key */
}

static struct snet_identity *make(enum snet_key_type type, const char *name)
{
	struct snet_identity *id = NULL;
	struct snet_error err = { 0 };

	assert_int_equal(snet_identity_new(&id, type, name, &err), SNET_OK);
	return id;
}

static gnutls_x509_crt_t cert_of(const struct snet_identity *id)
{
	gnutls_x509_crt_t crt;
	size_t n;
	const uint8_t *der = snet_identity_cert(id, &n);
	gnutls_datum_t d = { (unsigned char *)der, (unsigned)n };

	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_DER), 0);
	return crt;
}

/* The key id is the SHA-256 of the SPKI, whose bytes begin as the crate's do. */
static void key_id_is_the_hash_of_the_spki(void **state)
{
	/* clang-format off */
	static const struct {
		enum snet_key_type type;
		const char *algorithm;
		size_t n, prefix;
		const char *bytes;
	} cases[] = {
		{ SNET_KEY_P256, "ecdsa-p256", 91, 27, "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
		  "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04" },
		{ SNET_KEY_ED25519, "ed25519", 44, 12, "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" },
	};
	/* clang-format on */
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct snet_identity *id = make(cases[i].type, NULL);
		uint8_t hash[SNET_KEYID_BYTES];
		size_t n;
		const uint8_t *spki = snet_identity_spki(id, &n);

		assert_int_equal(n, cases[i].n);
		assert_memory_equal(spki, cases[i].bytes, cases[i].prefix);
		gnutls_hash_fast(GNUTLS_DIG_SHA256, spki, n, hash);
		assert_memory_equal(hash, snet_identity_keyid(id), sizeof(hash));
		assert_int_equal(snet_derived_id(spki, n), snet_identity_derived(id));
		assert_string_equal(snet_identity_algorithm(id), cases[i].algorithm);
		assert_string_equal(snet_identity_name(id), "snet");
		snet_identity_free(id);
	}
}

static void certificate_is_what_the_rust_crate_reads(void **state)
{
	static const enum snet_key_type types[] = { SNET_KEY_P256, SNET_KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct snet_identity *id = make(types[i], "alice");
		gnutls_x509_crt_t crt = cert_of(id);
		char san[32], cn[32];
		uint8_t serial[32];
		size_t n = sizeof(san), cn_n = sizeof(cn), serial_n = sizeof(serial);
		struct tm from = { .tm_year = 1975 - 1900, .tm_mday = 1 };
		struct tm until = { .tm_year = 4096 - 1900, .tm_mday = 1 };
		unsigned status = ~0u;

		assert_int_equal(gnutls_x509_crt_get_version(crt), 3);
		assert_int_equal(gnutls_x509_crt_get_subject_alt_name(crt, 0, san, &n, NULL),
				 GNUTLS_SAN_DNSNAME);
		assert_int_equal(n, 9);
		assert_memory_equal(san, "localhost", 9);
		assert_int_equal(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME,
							       0, 0, cn, &cn_n),
				 0);
		assert_string_equal(cn, "alice");
		assert_int_equal(gnutls_x509_crt_get_activation_time(crt), timegm(&from));
		assert_int_equal(gnutls_x509_crt_get_expiration_time(crt), timegm(&until));
		assert_int_equal(gnutls_x509_crt_get_serial(crt, serial, &serial_n), 0);
		assert_int_equal(serial_n, 16);
		assert_true(serial[0] < 0x80);
		assert_int_equal(gnutls_x509_crt_verify(crt, &crt, 1,
							GNUTLS_VERIFY_ALLOW_ANY_X509_V1_CA_CRT |
								GNUTLS_VERIFY_DISABLE_CA_SIGN,
							&status),
				 0);
		assert_int_equal(status, 0);
		gnutls_x509_crt_deinit(crt);
		snet_identity_free(id);
	}
}

static void two_identities_differ(void **state)
{
	struct snet_identity *a = make(SNET_KEY_P256, "x"), *b = make(SNET_KEY_P256, "x");

	(void)state;
	assert_memory_not_equal(snet_identity_keyid(a), snet_identity_keyid(b),
				SNET_KEYID_BYTES);
	snet_identity_free(a);
	snet_identity_free(b);
}

static void names_are_short_printable_text(void **state)
{
	/* clang-format off */
	static const struct {
		const char *name;
		size_t n;
		bool ok;
	} cases[] = {
		{ "alice", 5, true }, { "Zo\xc3\xab", 4, true }, { "a b", 3, true },
		{ "\xf0\x9f\x94\x91", 4, true }, { "\xc2\xa0", 2, true },
		{ "", 0, false }, { "a\nb", 3, false }, { "a\0b", 3, false }, { "\x1b[2J", 4, false },
		{ "\x7f", 1, false }, { "\xc2\x9b", 2, false }, { "\xff", 1, false }, { "\xc0\x80", 2, false },
		{ "\xed\xa0\x80", 3, false }, { "\xc3", 1, false },
	};
	/* clang-format on */
	char longest[SNET_NAME_MAX + 1];
	struct snet_identity *id = NULL;
	struct snet_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("# case %zu\n", i);
		assert_int_equal(snet_name_is_ok(cases[i].name, cases[i].n), cases[i].ok);
	}
	memset(longest, 'n', sizeof(longest));
	assert_true(snet_name_is_ok(longest, SNET_NAME_MAX));
	assert_false(snet_name_is_ok(longest, SNET_NAME_MAX + 1));
	assert_int_equal(snet_identity_new(&id, SNET_KEY_P256, "a\nb", &err), SNET_EINVAL);
	assert_null(id);
}

static void another_name_is_the_same_key(void **state)
{
	static const enum snet_key_type types[] = { SNET_KEY_P256, SNET_KEY_ED25519 };
	struct snet_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct snet_identity *a = make(types[i], "bob");
		uint8_t keyid[SNET_KEYID_BYTES];
		uint64_t derived = snet_identity_derived(a);
		gnutls_x509_crt_t crt;

		memcpy(keyid, snet_identity_keyid(a), sizeof(keyid));
		assert_int_equal(snet_identity_rename(a, "a\nb", &err), SNET_EINVAL);
		assert_string_equal(snet_identity_name(a), "bob");
		assert_int_equal(snet_identity_rename(a, "carol", &err), SNET_OK);
		assert_string_equal(snet_identity_name(a), "carol");
		assert_memory_equal(snet_identity_keyid(a), keyid, sizeof(keyid));
		assert_true(snet_identity_derived(a) == derived);
		crt = cert_of(a);
		assert_int_equal(gnutls_x509_crt_check_issuer(crt, crt), 1);
		gnutls_x509_crt_deinit(crt);
		snet_identity_free(a);
	}
}

static void saved_identity_is_loaded_as_it_was(void **state)
{
	static const enum snet_key_type types[] = { SNET_KEY_P256, SNET_KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct snet_identity *a = make(types[i], "bob"), *b = NULL;
		struct snet_error err = { 0 };
		struct stat st;
		size_t n, m;
		const uint8_t *der = snet_identity_cert(a, &n), *der2;

		assert_int_equal(snet_identity_save(a, path, i > 0, &err), SNET_OK);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(snet_identity_load(&b, path, &err), SNET_OK);
		der2 = snet_identity_cert(b, &m);
		assert_int_equal(n, m);
		assert_memory_equal(der, der2, n);
		assert_memory_equal(snet_identity_keyid(a), snet_identity_keyid(b),
				    SNET_KEYID_BYTES);
		assert_string_equal(snet_identity_name(b), "bob");
		assert_string_equal(snet_identity_algorithm(b), snet_identity_algorithm(a));
		snet_identity_free(a);
		snet_identity_free(b);
	}
}

static void save_does_not_overwrite_unless_forced(void **state)
{
	struct snet_identity *a = make(SNET_KEY_ED25519, "a"), *b = make(SNET_KEY_ED25519, "b"),
			     *c = NULL;
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_identity_save(a, path, false, &err), SNET_OK);
	assert_int_equal(snet_identity_save(b, path, false, &err), SNET_EIO);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "exists"));
	assert_int_equal(snet_identity_load(&c, path, &err), SNET_OK);
	assert_string_equal(snet_identity_name(c), "a");
	snet_identity_free(c);
	assert_int_equal(snet_identity_save(b, path, true, &err), SNET_OK);
	assert_int_equal(snet_identity_load(&c, path, &err), SNET_OK);
	assert_string_equal(snet_identity_name(c), "b");
	snet_identity_free(a);
	snet_identity_free(b);
	snet_identity_free(c);
}

static void save_replaces_nothing_but_files(void **state)
{
	struct snet_identity *a = make(SNET_KEY_ED25519, "a");
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(snet_identity_save(a, path, true, &err), SNET_EIO);
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_int_equal(snet_identity_save(a, "/nonexistent/key", true, &err), SNET_EIO);
	assert_int_equal(snet_identity_save(a, "/dev/full", true, &err), SNET_EIO);
	snet_identity_free(a);
}

static void file_open_to_others_is_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0620, 0604, 0602, 0610, 0601, 0666 };
	struct snet_identity *a = make(SNET_KEY_ED25519, "a"), *b = NULL;
	struct snet_error err = { 0 };
	char octal[8];

	(void)state;
	assert_int_equal(snet_identity_save(a, path, false, &err), SNET_OK);
	for (size_t i = 0; i < COUNT(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		snprintf(octal, sizeof(octal), "0%03o", modes[i]);
		assert_int_equal(snet_identity_load(&b, path, &err), SNET_EKEY);
		assert_null(b);
		assert_non_null(strstr(err.text, path));
		assert_non_null(strstr(err.text, octal));
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(snet_identity_load(&b, path, &err), SNET_OK);
	snet_identity_free(a);
	snet_identity_free(b);
}

static void put(const void *p, size_t n)
{
	assert_int_equal(snet_file_write(path, p, n, 0600, true, NULL), SNET_OK);
}

static void refused(const char *words)
{
	struct snet_identity *id = NULL;
	struct snet_error err = { 0 };

	assert_int_equal(snet_identity_load(&id, path, &err), SNET_EKEY);
	assert_null(id);
	assert_non_null(strstr(err.text, path));
	if (!strstr(err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void file_that_is_no_identity_is_refused(void **state)
{
	struct snet_identity *a = make(SNET_KEY_P256, "a"), *b = make(SNET_KEY_P256, "b");
	struct snet_buf pem = SNET_BUF(2 * SNET_IDENTITY_FILE_MAX);
	gnutls_datum_t certs, key, other, unused;

	(void)state;
	refused("No such file");
	put("", 0);
	refused("no usable private key");
	put("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 60);
	refused("no usable private key");
	snet_identity_pem(a, &certs, &key);
	snet_identity_pem(b, &other, &unused);
	put(certs.data, certs.size);
	refused("no usable private key");
	put(key.data, key.size);
	refused("no usable certificate");
	snet_buf_add(&pem, key.data, key.size);
	snet_buf_add(&pem, other.data, other.size);
	put(pem.p, pem.n);
	refused("not of this private key");
	snet_buf_drop(&pem, key.size);
	for (int i = 0; i < SNET_CHAIN_MAX; i++)
		snet_buf_add(&pem, other.data, other.size);
	snet_buf_add(&pem, unused.data, unused.size);
	put(pem.p, pem.n);
	refused("no usable certificate"); /* nine of them */
	memset(snet_buf_room(&pem, SNET_IDENTITY_FILE_MAX + 1 - pem.n), '\n',
	       SNET_IDENTITY_FILE_MAX + 1 - pem.n);
	put(pem.p, SNET_IDENTITY_FILE_MAX + 1);
	refused("longer than");
	snet_buf_free(&pem);
	snet_identity_free(a);
	snet_identity_free(b);
}

static void encrypted_key_is_refused(void **state)
{
	struct snet_identity *a = make(SNET_KEY_P256, "a");
	struct snet_buf pem = SNET_BUF(SNET_IDENTITY_FILE_MAX);
	gnutls_datum_t certs, key, locked = { NULL, 0 };
	gnutls_x509_privkey_t k;

	(void)state;
	snet_identity_pem(a, &certs, &key);
	assert_int_equal(gnutls_x509_privkey_init(&k), 0);
	assert_int_equal(gnutls_x509_privkey_import(k, &key, GNUTLS_X509_FMT_PEM), 0);
	assert_int_equal(gnutls_x509_privkey_export2_pkcs8(k, GNUTLS_X509_FMT_PEM, "pw",
							   GNUTLS_PKCS_PBES2_AES_128, &locked),
			 0);
	snet_buf_add(&pem, locked.data, locked.size);
	snet_buf_add(&pem, certs.data, certs.size);
	put(pem.p, pem.n);
	refused("no usable private key");
	gnutls_free(locked.data);
	gnutls_x509_privkey_deinit(k);
	snet_buf_free(&pem);
	snet_identity_free(a);
}

/* Anybody's certificate. An empty name makes one without; bytes: of the name. */
static void craft(struct snet_buf *out, gnutls_pk_algorithm_t pk, unsigned bits, size_t name)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t der = { NULL, 0 };
	char *text = malloc(name + 1);

	memset(text, 'x', name);
	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_privkey_generate(key, pk, bits, 0), 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_activation_time(crt, 0);
	gnutls_x509_crt_set_expiration_time(crt, 2000000000);
	if (name)
		assert_int_equal(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME,
							       0, text, (unsigned)name),
				 0);
	gnutls_x509_crt_set_key(crt, key);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key,
					       pk == GNUTLS_PK_EDDSA_ED25519
						       ? GNUTLS_DIG_SHA512
						       : GNUTLS_DIG_SHA256,
					       0),
			 0);
	assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
	*out = SNET_BUF(1 << 20);
	assert_int_equal(snet_buf_add(out, der.data, der.size), SNET_OK);
	gnutls_free(der.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	free(text);
}

static void raw_is_read_alike(const struct snet_buf *key,
			      const uint8_t want[static SNET_KEYID_BYTES])
{
	const gnutls_datum_t raw = { key->p, (unsigned)key->n };
	struct snet_buf spki = SNET_BUF(SNET_SPKI_MAX);
	uint8_t keyid[SNET_KEYID_BYTES];

	assert_int_equal(snet_rawkey_check(&raw, 1, &spki, keyid, NULL), SNET_OK);
	assert_memory_equal(keyid, want, sizeof(keyid));
	assert_int_equal(spki.n, key->n);
	assert_memory_equal(spki.p, key->p, key->n);
	snet_buf_free(&spki);
}

static void only_keys_that_tls_can_use_are_read(void **state)
{
	/* clang-format off */
	static const struct {
		const char *what;
		gnutls_pk_algorithm_t pk;
		unsigned bits;
		size_t name;
		int want;
	} cases[] = {
		{ "P-256",        GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 4, SNET_OK },
		{ "P-384",        GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), 4, SNET_OK },
		{ "P-521",        GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP521R1), 4, SNET_OK },
		{ "P-224",        GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP224R1), 4, SNET_EKEY },
		{ "Ed25519",      GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0, SNET_OK },
		{ "RSA 2048",     GNUTLS_PK_RSA, 2048, 4, SNET_OK },
		{ "RSA 1024",     GNUTLS_PK_RSA, 1024, 4, SNET_EKEY },
		{ "30 KiB name",  GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 30000, SNET_OK },
		{ "64 KiB name",  GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 65536, SNET_EKEY },
	};
	/* clang-format on */
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct snet_buf der, spki = SNET_BUF(SNET_SPKI_MAX);
		uint8_t keyid[SNET_KEYID_BYTES], hash[SNET_KEYID_BYTES];

		print_message("# %s\n", cases[i].what);
		craft(&der, cases[i].pk, cases[i].bits, cases[i].name);
		assert_int_equal(snet_spki_of_certificate(der.p, der.n, &spki, keyid),
				 cases[i].want);
		if (cases[i].want == SNET_OK) {
			gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.p, spki.n, hash);
			assert_memory_equal(hash, keyid, sizeof(hash));
			/* the bytes stand in the certificate as they are */
			assert_non_null(memmem(der.p, der.n, spki.p, spki.n));
			raw_is_read_alike(&spki, keyid);
		} else {
			assert_int_equal(spki.n, 0);
		}
		snet_buf_free(&der);
		snet_buf_free(&spki);
	}
}

static void broken_certificate_is_an_error(void **state)
{
	struct snet_identity *id = make(SNET_KEY_P256, "a");
	struct snet_buf spki = SNET_BUF(SNET_SPKI_MAX), small = SNET_BUF(90);
	uint8_t keyid[SNET_KEYID_BYTES], *copy, *noise = calloc(1, SNET_CERT_MAX + 1);
	size_t n;
	const uint8_t *der = snet_identity_cert(id, &n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		copy = malloc(i ? i : 1); /* exact, for the sanitizer */
		memcpy(copy, der, i);
		assert_int_equal(snet_spki_of_certificate(copy, i, &spki, keyid), SNET_EKEY);
		free(copy);
	}
	assert_int_equal(spki.n, 0);
	for (size_t i = 0; i < n; i++) {
		int rc;

		copy = malloc(n);
		memcpy(copy, der, n);
		copy[i] ^= 0x41;
		rc = snet_spki_of_certificate(copy, n, NULL, keyid);
		assert_true(rc == SNET_OK || rc == SNET_EKEY);
		free(copy);
	}
	assert_int_equal(snet_spki_of_certificate(noise, SNET_CERT_MAX, &spki, keyid),
			 SNET_EKEY);
	assert_int_equal(snet_spki_of_certificate(noise, SNET_CERT_MAX + 1, &spki, keyid),
			 SNET_EKEY);
	assert_int_equal(snet_spki_of_certificate(der, n, &small, keyid), SNET_ETOOBIG);
	free(noise);
	snet_buf_free(&spki);
	snet_buf_free(&small);
	snet_identity_free(id);
}

/* The one is asked in a handshake, where GnuTLS has yet to check a signature with the key that
 * it reads: it must be the same key, whatever was done to the certificate. */
static void a_handshake_reads_the_key_that_gnutls_reads(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x20, 0x80, 0xff };
	static const enum snet_key_type types[] = { SNET_KEY_P256, SNET_KEY_ED25519 };
	struct snet_buf one = SNET_BUF(SNET_SPKI_MAX), other = SNET_BUF(SNET_SPKI_MAX);
	unsigned both = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types) * sizeof(flips); i++) {
		struct snet_identity *id = make(types[i / sizeof(flips)], "a");
		uint8_t a[SNET_KEYID_BYTES], b[SNET_KEYID_BYTES], *copy;
		size_t n;
		const uint8_t *der = snet_identity_cert(id, &n);

		copy = malloc(n);
		for (size_t k = 0; k <= n; k++) {
			const gnutls_datum_t crt = { copy, (unsigned)n };

			memcpy(copy, der, n);
			if (k < n)
				copy[k] ^= flips[i % sizeof(flips)];
			one.n = other.n = 0;
			if (snet_cert_check(&crt, 1, &one, a, NULL) ||
			    snet_spki_of_certificate(copy, n, &other, b))
				continue;
			both++;
			assert_memory_equal(a, b, sizeof(a));
			assert_int_equal(one.n, other.n);
			assert_memory_equal(one.p, other.p, one.n);
		}
		free(copy);
		snet_identity_free(id);
	}
	assert_true(both > 1000); /* most of a certificate is names, dates and signature */
	snet_buf_free(&one);
	snet_buf_free(&other);
}

static void chains_are_counted_before_they_are_read(void **state)
{
	struct snet_identity *id = make(SNET_KEY_P256, "a");
	struct snet_buf spki = SNET_BUF(SNET_SPKI_MAX);
	struct snet_error err = { 0 };
	uint8_t keyid[SNET_KEYID_BYTES];
	gnutls_datum_t chain[100] = { { NULL, 0 } }, huge = { NULL, 1 << 30 };
	size_t n;
	const uint8_t *der = snet_identity_cert(id, &n);

	(void)state;
	chain[0] = (gnutls_datum_t){ (unsigned char *)der, (unsigned)n };
	assert_int_equal(snet_cert_check(chain, 1, &spki, keyid, &err), SNET_OK);
	assert_memory_equal(keyid, snet_identity_keyid(id), sizeof(keyid));
	assert_int_equal(snet_cert_check(chain, SNET_CHAIN_MAX, NULL, keyid, &err), SNET_OK);
	assert_int_equal(snet_cert_check(chain, SNET_CHAIN_MAX + 1, NULL, keyid, &err),
			 SNET_EKEY);
	assert_int_equal(snet_cert_check(chain, 100, NULL, keyid, &err), SNET_EKEY);
	assert_non_null(strstr(err.text, "100"));
	assert_int_equal(snet_cert_check(chain, 0, NULL, keyid, &err), SNET_EKEY);
	assert_int_equal(snet_cert_check(NULL, 0, NULL, keyid, &err), SNET_EKEY);
	assert_int_equal(snet_cert_check(&huge, 1, NULL, keyid, &err), SNET_EKEY);
	snet_buf_free(&spki);
	snet_identity_free(id);
}

static int raw_as_gnutls_reads_it(const gnutls_datum_t *raw,
				  uint8_t hash[static SNET_KEYID_BYTES])
{
	gnutls_datum_t der = { NULL, 0 };
	gnutls_pubkey_t key;
	int rc;

	assert_int_equal(gnutls_pubkey_init(&key), 0);
	rc = gnutls_pubkey_import(key, raw, GNUTLS_X509_FMT_DER);
	if (!rc)
		rc = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);
	if (!rc)
		assert_int_equal(snet_sha256(hash, der.data, der.size), SNET_OK);
	gnutls_free(der.data);
	gnutls_pubkey_deinit(key);
	return rc;
}

/* Whoever shows a bare key proves that he holds the one GnuTLS reads. */
static void a_raw_key_is_the_one_that_gnutls_reads(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x20, 0x80, 0xff };
	static const enum snet_key_type types[] = { SNET_KEY_P256, SNET_KEY_ED25519 };
	unsigned read = 0, refused = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(types) * sizeof(flips); i++) {
		struct snet_identity *id = make(types[i / sizeof(flips)], "a");
		size_t n;
		const uint8_t *der = snet_identity_spki(id, &n);

		for (size_t k = 0; k < 2 * n; k++) { /* each byte changed, then each cut */
			uint8_t a[SNET_KEYID_BYTES], b[SNET_KEYID_BYTES],
				*copy = malloc(k < n ? n : k - n + 1);
			gnutls_datum_t raw = { copy, (unsigned)(k < n ? n : k - n) };

			memcpy(copy, der, raw.size);
			if (k < n)
				copy[k] ^= flips[i % sizeof(flips)];
			if (snet_rawkey_check(&raw, 1, NULL, a, NULL)) {
				refused++;
			} else if (!raw_as_gnutls_reads_it(&raw, b)) {
				read++;
				assert_memory_equal(a, b, sizeof(a));
			} /* else GnuTLS ends the handshake */
			free(copy);
		}
		snet_identity_free(id);
	}
	assert_true(read > 100 && refused > 500);
}

static void raw_keys_are_counted_before_they_are_read(void **state)
{
	struct snet_identity *id = make(SNET_KEY_P256, "a");
	struct snet_error err = { 0 };
	uint8_t keyid[SNET_KEYID_BYTES];
	gnutls_datum_t keys[2], huge = { NULL, SNET_SPKI_MAX + 1 }, none = { NULL, 0 };
	size_t n;
	const uint8_t *spki = snet_identity_spki(id, &n);

	(void)state;
	keys[0] = keys[1] = (gnutls_datum_t){ (unsigned char *)spki, (unsigned)n };
	assert_int_equal(snet_rawkey_check(keys, 1, NULL, keyid, &err), SNET_OK);
	assert_memory_equal(keyid, snet_identity_keyid(id), sizeof(keyid));
	assert_int_equal(snet_rawkey_check(keys, 2, NULL, keyid, &err), SNET_EKEY);
	assert_int_equal(snet_rawkey_check(keys, 0, NULL, keyid, &err), SNET_EKEY);
	assert_int_equal(snet_rawkey_check(NULL, 1, NULL, keyid, &err), SNET_EKEY);
	assert_int_equal(snet_rawkey_check(&none, 1, NULL, keyid, &err), SNET_EKEY);
	assert_int_equal(snet_rawkey_check(&huge, 1, NULL, keyid, &err), SNET_EKEY);
	assert_non_null(strstr(err.text, "2049"));
	snet_identity_free(id);
}

static void a_certificate_message_is_taken_apart(void **state)
{
	/* clang-format off */
	static const struct { const char *hex; int want; unsigned count; } cases[] = {
		{ "00" "000000", SNET_OK, 0 },
		{ "00" "000006" "000001" "aa" "0000", SNET_OK, 1 },
		{ "00" "000009" "000001" "aa" "0003" "010203", SNET_OK, 1 },
		{ "00" "00000d" "000001" "aa" "0000" "000002" "bbbb" "0000", SNET_OK, 2 },
		{ "00" "000018" "000001" "aa" "0000" "000001" "bb" "0000"
		  "000001" "cc" "0000" "000001" "dd" "0000", SNET_OK, 4 },
		{ "", SNET_EPROTO, 0 },
		{ "00", SNET_EPROTO, 0 },
		{ "00" "0000", SNET_EPROTO, 0 },
		{ "01" "aa" "000000", SNET_EPROTO, 0 },              /* a context */
		{ "00" "000000" "00", SNET_EPROTO, 0 },              /* more behind it */
		{ "00" "000007" "000001" "aa" "0000", SNET_EPROTO, 0 },
		{ "00" "000005" "000000" "0000", SNET_EPROTO, 0 },   /* an entry of nothing */
		{ "00" "000006" "000002" "aa" "0000", SNET_EPROTO, 0 },
		{ "00" "000006" "000001" "aa" "0001", SNET_EPROTO, 0 },
		{ "00" "000004" "000001" "aa", SNET_EPROTO, 0 },
	};
	/* clang-format on */
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = strlen(cases[i].hex) / 2;
		uint8_t *p = malloc(n ? n : 1); /* exact, for the sanitizer */
		gnutls_datum_t entries[3];
		unsigned count;

		assert_non_null(p);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(sscanf(cases[i].hex + 2 * k, "%2hhx", &p[k]), 1);
		print_message("# %s\n", cases[i].hex);
		assert_int_equal(snet_cert_entries(p, n, entries, 3, &count), cases[i].want);
		if (!cases[i].want) {
			assert_int_equal(count, cases[i].count);
			if (count)
				assert_int_equal(entries[0].data[0], 0xaa);
			if (count > 1)
				assert_int_equal(entries[1].data[0], 0xbb);
		}
		free(p);
	}
}

/* The crate's own vector: the private key 1, WIRE-RUST §2.2. */
static void derived_id_is_the_crates(void **state)
{
	static const char x[] = "\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40"
				"\xf2\x77\x03\x7d\x81"
				"\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96";
	static const char y[] = "\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e"
				"\x16\x2b\xce\x33\x57"
				"\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";
	uint8_t one[32] = { [31] = 1 };
	gnutls_datum_t dx = { (unsigned char *)x, 32 }, dy = { (unsigned char *)y, 32 },
		       dk = { one, 32 }, pem;
	struct snet_buf file = SNET_BUF(8192);
	struct snet_identity *id = NULL;
	struct snet_error err = { 0 };
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;

	(void)state;
	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_privkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_SECP256R1,
							    &dx, &dy, &dk),
			 0);
	/* as openssl ecparam writes it: not PKCS#8 */
	assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
	snet_buf_add(&file, pem.data, pem.size);
	gnutls_free(pem.data);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_activation_time(crt, 0);
	gnutls_x509_crt_set_expiration_time(crt, 2000000000);
	gnutls_x509_crt_set_key(crt, key);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	snet_buf_add(&file, pem.data, pem.size);
	gnutls_free(pem.data);
	put(file.p, file.n);
	assert_int_equal(snet_identity_load(&id, path, &err), SNET_OK);
	assert_true(snet_identity_derived(id) == 18300217160578287121u);
	assert_string_equal(snet_identity_name(id), "");
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	snet_buf_free(&file);
	snet_identity_free(id);
}

static void credentials_show_a_chain_or_the_bare_key(void **state)
{
	struct snet_identity *id = make(SNET_KEY_ED25519, "a");
	struct snet_buf spki = SNET_BUF(SNET_SPKI_MAX);
	struct snet_credentials *c = NULL;
	struct snet_error err = { 0 };
	uint8_t keyid[SNET_KEYID_BYTES];
	gnutls_pcert_st *certs;
	gnutls_privkey_t key, same;
	unsigned n = 0;

	(void)state;
	assert_int_equal(snet_credentials_new(&c, id, &err), SNET_OK);
	snet_credentials_show(c, GNUTLS_CRT_X509, &certs, &n, &key);
	assert_int_equal(n, 1);
	assert_int_equal(certs->type, GNUTLS_CRT_X509);
	assert_int_equal(snet_cert_check(&certs->cert, 1, &spki, keyid, &err), SNET_OK);
	assert_memory_equal(keyid, snet_identity_keyid(id), sizeof(keyid));
	snet_credentials_show(c, GNUTLS_CRT_RAWPK, &certs, &n, &same);
	assert_int_equal(n, 1);
	assert_int_equal(certs->type, GNUTLS_CRT_RAWPK);
	assert_int_equal(certs->cert.size, spki.n);
	assert_memory_equal(certs->cert.data, spki.p, spki.n);
	assert_ptr_equal(key, same);
	snet_credentials_free(c);
	snet_credentials_free(NULL);
	snet_buf_free(&spki);
	snet_identity_free(id);
}

static int make_save_load(void *user)
{
	struct snet_credentials *shown = NULL;
	struct snet_identity *a = NULL, *b = NULL;
	struct snet_error err = { 0 };
	int rc = snet_identity_new(&a, SNET_KEY_ED25519, "a", &err);

	(void)user;
	if (!rc)
		rc = snet_identity_rename(a, "b", &err);
	if (!rc)
		rc = snet_identity_save(a, path, true, &err);
	if (!rc)
		rc = snet_identity_load(&b, path, &err);
	if (!rc)
		rc = snet_credentials_new(&shown, b, &err);
	snet_credentials_free(shown);
	snet_identity_free(a);
	snet_identity_free(b);
	return rc;
}

static void no_memory_is_an_error(void **state)
{
	(void)state;
	assert_true(torture(make_save_load, NULL) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_id_is_the_hash_of_the_spki),
		cmocka_unit_test(certificate_is_what_the_rust_crate_reads),
		cmocka_unit_test(two_identities_differ),
		cmocka_unit_test(names_are_short_printable_text),
		cmocka_unit_test(another_name_is_the_same_key),
		cmocka_unit_test_setup_teardown(saved_identity_is_loaded_as_it_was, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(save_does_not_overwrite_unless_forced, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(save_replaces_nothing_but_files, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(file_open_to_others_is_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(file_that_is_no_identity_is_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(encrypted_key_is_refused, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(derived_id_is_the_crates, make_dir, remove_dir),
		cmocka_unit_test(only_keys_that_tls_can_use_are_read),
		cmocka_unit_test(broken_certificate_is_an_error),
		cmocka_unit_test(a_handshake_reads_the_key_that_gnutls_reads),
		cmocka_unit_test(chains_are_counted_before_they_are_read),
		cmocka_unit_test(a_raw_key_is_the_one_that_gnutls_reads),
		cmocka_unit_test(raw_keys_are_counted_before_they_are_read),
		cmocka_unit_test(a_certificate_message_is_taken_apart),
		cmocka_unit_test(credentials_show_a_chain_or_the_bare_key),
		cmocka_unit_test_setup_teardown(no_memory_is_an_error, make_dir, remove_dir),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
