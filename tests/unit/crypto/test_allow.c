#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/torture.h"
#include "base/bytes.h"
#include "base/file.h"
#include "crypto/certificate.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* 32 bytes of 0 */
#define B "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE" /* of 1 */

static const uint8_t a[SNET_KEYID_BYTES], c[SNET_KEYID_BYTES] = { 2 };
static uint8_t b[SNET_KEYID_BYTES];
static char path[] = "/tmp/snet-allow.XXXXXX";

static struct snet_trust *make(void)
{
	struct snet_trust *t = NULL;

	assert_int_equal(snet_trust_new(&t, NULL), SNET_OK);
	return t;
}

static void put(const void *p, size_t n)
{
	assert_int_equal(snet_file_write(path, p, n, 0600, true, NULL), SNET_OK);
}

static int check(const struct snet_trust *t, const uint8_t *keyid)
{
	return snet_trust_check(t, keyid, NULL, 0, NULL);
}

static void nobody_comes_in_by_default(void **state)
{
	struct snet_trust *t = make();
	struct snet_error err = { 0 };

	(void)state;
	assert_true(snet_trust_is_empty(t));
	assert_false(snet_trust_is_insecure(t));
	assert_int_equal(snet_trust_check(t, b, NULL, 0, &err), SNET_EDENIED);
	assert_non_null(strstr(err.text, B)); /* what was seen */
	snet_trust_free(t);
	snet_trust_free(NULL);
}

static void listed_keys_come_in_and_others_do_not(void **state)
{
	struct snet_trust *t = make();

	(void)state;
	assert_int_equal(snet_trust_add(t, a, NULL, NULL), SNET_OK);
	assert_false(snet_trust_is_empty(t));
	assert_int_equal(check(t, a), SNET_OK);
	assert_int_equal(check(t, b), SNET_EDENIED);
	assert_string_equal(snet_trust_name(t, a), "");
	assert_null(snet_trust_name(t, b));
	snet_trust_free(t);
}

static void a_later_name_replaces_an_earlier_and_none_does_not(void **state)
{
	struct snet_trust *t = make();

	(void)state;
	assert_int_equal(snet_trust_add(t, a, "alice", NULL), SNET_OK);
	assert_int_equal(snet_trust_add(t, a, NULL, NULL), SNET_OK);
	assert_string_equal(snet_trust_name(t, a), "alice");
	assert_int_equal(snet_trust_add(t, a, "anna", NULL), SNET_OK);
	assert_string_equal(snet_trust_name(t, a), "anna");
	assert_int_equal(snet_trust_add(t, a, "an\na", NULL), SNET_ECONFIG);
	assert_string_equal(snet_trust_name(t, a), "anna");
	snet_trust_free(t);
}

static void insecure_lets_everyone_in(void **state)
{
	struct snet_trust *t = make();

	(void)state;
	snet_trust_set_insecure(t);
	assert_false(snet_trust_is_empty(t));
	assert_true(snet_trust_is_insecure(t));
	assert_int_equal(check(t, c), SNET_OK);
	snet_trust_free(t);
}

static void a_file_is_one_key_and_a_name_per_line(void **state)
{
	static const char text[] =
		"# who may come\n\n  \t\n" A "  alice  of the hill \r\n#" B "\n" B;
	struct snet_trust *t = make();
	struct snet_error err = { 0 };

	(void)state;
	put(text, sizeof(text) - 1);
	assert_int_equal(snet_trust_add_file(t, path, &err), SNET_OK);
	assert_string_equal(snet_trust_name(t, a), "alice  of the hill");
	assert_string_equal(snet_trust_name(t, b), "");
	assert_int_equal(check(t, c), SNET_EDENIED);
	put("", 0);
	assert_int_equal(snet_trust_add_file(t, path, &err), SNET_OK);
	snet_trust_free(t);
}

static void a_bad_line_is_named(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text;
		const char *line;
	} cases[] = {
		{ "alice\n",                      ":1: " },
		{ "\n\n" A "x\n",                 ":3: " },
		{ A "\n " B "\n",                 ":2: " },
		{ A "\n#\nAAAA name\n" B "\n",    ":3: " },
		{ "quic://h:1#" A "\n",           ":1: " },
		{ A " caf\xe9\n",                 ":1: " },
		{ A " a\x1b[1mb\n",               ":1: " },
		{ A "\n" A " 12345678901234567890123456789012345678901234567890123456789012345\n", ":2: " },
	};
	/* clang-format on */
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct snet_trust *t = make();
		struct snet_error err = { 0 };
		char where[64];

		print_message("# case %zu\n", i);
		put(cases[i].text, strlen(cases[i].text));
		assert_int_equal(snet_trust_add_file(t, path, &err), SNET_ECONFIG);
		snprintf(where, sizeof(where), "%s%s", path, cases[i].line);
		assert_int_equal(strncmp(err.text, where, strlen(where)), 0);
		snet_trust_free(t);
	}
}

static void a_nul_in_a_file_hides_nothing(void **state)
{
	static const char text[] = A " x\0y\n";
	struct snet_trust *t = make();

	(void)state;
	put(text, sizeof(text) - 1);
	assert_int_equal(snet_trust_add_file(t, path, NULL), SNET_ECONFIG);
	snet_trust_free(t);
}

static void allow_takes_a_key_or_a_file(void **state)
{
	struct snet_trust *t = make();
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_trust_add_text(t, A, &err), SNET_OK);
	assert_int_equal(check(t, a), SNET_OK);
	put(B " bob", strlen(B " bob"));
	assert_int_equal(snet_trust_add_text(t, path, &err), SNET_OK);
	assert_string_equal(snet_trust_name(t, b), "bob");
	assert_int_equal(snet_trust_add_text(t, "/nonexistent/list", &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, "/nonexistent/list"));
	assert_int_equal(snet_trust_add_text(t, "/tmp", &err), SNET_ECONFIG); /* a directory */
	snet_trust_free(t);
}

static void the_list_has_a_ceiling(void **state)
{
	struct snet_trust *t = make();
	uint8_t keyid[SNET_KEYID_BYTES] = { 0 };
	struct snet_error err = { 0 };

	(void)state;
	for (uint32_t i = 0; i < SNET_TRUST_MAX; i++) {
		snet_put_be32(keyid, i);
		assert_int_equal(snet_trust_add(t, keyid, NULL, &err), SNET_OK);
	}
	assert_int_equal(snet_trust_add(t, keyid, "again", &err), SNET_OK);
	snet_put_be32(keyid, SNET_TRUST_MAX);
	assert_int_equal(snet_trust_add(t, keyid, NULL, &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, "65536"));
	snet_trust_free(t);
}

static void a_file_has_a_ceiling(void **state)
{
	struct snet_trust *t = make();
	struct snet_error err = { 0 };

	(void)state;
	put("#", 1);
	assert_int_equal(truncate(path, SNET_TRUST_FILE_MAX + 1), 0);
	assert_int_equal(snet_trust_add_file(t, path, &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, "longer than"));
	snet_trust_free(t);
}

static void a_wrong_pin_names_both_keys(void **state)
{
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_trust_check_pin(a, a, NULL, &err), SNET_OK);
	assert_int_equal(snet_trust_check_pin(a, b, "party 3", &err), SNET_EDENIED);
	assert_string_equal(err.text, "party 3: expected " A ", saw " B);
	assert_int_equal(snet_trust_check_pin(a, b, NULL, &err), SNET_EDENIED);
	assert_string_equal(err.text, "expected " A ", saw " B);
}

/* ---- a CA: signs certificates for others */

struct holder {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t der;
	uint8_t keyid[SNET_KEYID_BYTES];
};

static void hold(struct holder *h, const char *name, const struct holder *issuer, bool ca)
{
	static uint8_t serial;

	assert_int_equal(gnutls_x509_privkey_init(&h->key), 0);
	assert_int_equal(gnutls_x509_crt_init(&h->crt), 0);
	assert_int_equal(gnutls_x509_privkey_generate(
				 h->key, GNUTLS_PK_ECDSA,
				 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
			 0);
	serial++;
	gnutls_x509_crt_set_version(h->crt, 3);
	gnutls_x509_crt_set_serial(h->crt, &serial, 1);
	gnutls_x509_crt_set_activation_time(h->crt, 0);
	gnutls_x509_crt_set_expiration_time(h->crt, 67090118400);
	gnutls_x509_crt_set_dn_by_oid(h->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
				      (unsigned)strlen(name));
	if (ca)
		gnutls_x509_crt_set_basic_constraints(h->crt, 1, -1);
	gnutls_x509_crt_set_key(h->crt, h->key);
	issuer = issuer ? issuer : h;
	assert_int_equal(
		gnutls_x509_crt_sign2(h->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0),
		0);
	assert_int_equal(gnutls_x509_crt_export2(h->crt, GNUTLS_X509_FMT_DER, &h->der), 0);
	assert_int_equal(snet_cert_check(&h->der, 1, NULL, h->keyid, NULL), SNET_OK);
}

static void let_go(struct holder *h)
{
	gnutls_free(h->der.data);
	gnutls_x509_crt_deinit(h->crt);
	gnutls_x509_privkey_deinit(h->key);
}

static void put_cert(const struct holder *h)
{
	gnutls_datum_t pem;

	assert_int_equal(gnutls_x509_crt_export2(h->crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	put(pem.data, pem.size);
	gnutls_free(pem.data);
}

static void a_ca_lets_in_what_it_signed(void **state)
{
	struct snet_trust *t = make();
	struct snet_error err = { 0 };
	struct holder ca, middle, leaf, below, self, other;

	(void)state;
	hold(&ca, "ca", NULL, true);
	hold(&middle, "middle", &ca, true);
	hold(&leaf, "leaf", &ca, false);
	hold(&below, "below", &middle, false);
	hold(&self, "leaf", NULL, false);
	hold(&other, "other", &leaf, false); /* by one who may not sign */
	put_cert(&ca);
	assert_int_equal(snet_trust_set_ca(t, path, &err), SNET_OK);
	assert_false(snet_trust_is_empty(t));
	assert_int_equal(snet_trust_check(t, leaf.keyid, &leaf.der, 1, &err), SNET_OK);
	assert_int_equal(snet_trust_check(t, below.keyid,
					  (gnutls_datum_t[]){ below.der, middle.der }, 2, &err),
			 SNET_OK);
	assert_int_equal(snet_trust_check(t, below.keyid, &below.der, 1, &err), SNET_EDENIED);
	assert_int_equal(snet_trust_check(t, other.keyid,
					  (gnutls_datum_t[]){ other.der, leaf.der }, 2, &err),
			 SNET_EDENIED);
	assert_int_equal(snet_trust_check(t, self.keyid, &self.der, 1, &err), SNET_EDENIED);
	assert_non_null(strstr(err.text, "CA"));
	assert_int_equal(snet_trust_check(t, self.keyid, NULL, 0, &err), SNET_EDENIED);
	/* a pinned key needs no CA */
	assert_int_equal(snet_trust_add(t, self.keyid, NULL, &err), SNET_OK);
	assert_int_equal(snet_trust_check(t, self.keyid, &self.der, 1, &err), SNET_OK);
	let_go(&ca);
	let_go(&middle);
	let_go(&leaf);
	let_go(&below);
	let_go(&self);
	let_go(&other);
	snet_trust_free(t);
}

static void a_ca_file_without_a_certificate_is_refused(void **state)
{
	struct snet_trust *t = make();
	struct snet_error err = { 0 };

	(void)state;
	put("", 0);
	assert_int_equal(snet_trust_set_ca(t, path, &err), SNET_ECONFIG);
	put("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 58);
	assert_int_equal(snet_trust_set_ca(t, path, &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(snet_trust_set_ca(t, "/nonexistent/ca", &err), SNET_ECONFIG);
	assert_int_equal(check(t, b), SNET_EDENIED);
	assert_true(snet_trust_is_empty(t));
	snet_trust_free(t);
}

static int fill(void *user)
{
	struct snet_trust *t = NULL;
	int rc = snet_trust_new(&t, NULL);

	(void)user;
	if (!rc)
		rc = snet_trust_add(t, b, "bob", NULL);
	if (!rc)
		rc = snet_trust_add_file(t, path, NULL);
	if (!rc)
		rc = check(t, a);
	snet_trust_free(t);
	return rc;
}

static void no_memory_is_an_error(void **state)
{
	(void)state;
	put(A " alice\n" B " bert\n", 2 * 43 + 13);
	assert_true(torture(fill, NULL) > 0);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	memset(b, 1, sizeof(b));
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_comes_in_by_default),
		cmocka_unit_test(listed_keys_come_in_and_others_do_not),
		cmocka_unit_test(a_later_name_replaces_an_earlier_and_none_does_not),
		cmocka_unit_test(insecure_lets_everyone_in),
		cmocka_unit_test(a_file_is_one_key_and_a_name_per_line),
		cmocka_unit_test(a_bad_line_is_named),
		cmocka_unit_test(a_nul_in_a_file_hides_nothing),
		cmocka_unit_test(allow_takes_a_key_or_a_file),
		cmocka_unit_test(the_list_has_a_ceiling),
		cmocka_unit_test(a_file_has_a_ceiling),
		cmocka_unit_test(a_wrong_pin_names_both_keys),
		cmocka_unit_test(a_ca_lets_in_what_it_signed),
		cmocka_unit_test(a_ca_file_without_a_certificate_is_refused),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("allow", tests, make_file, remove_file);
}
