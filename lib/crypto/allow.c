#include "crypto/allow.h"

#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/map.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"

struct snet_trust {
	struct snet_map keys;        /* key id -> name, a string of its own */
	gnutls_x509_trust_list_t ca; /* made for the first */
	unsigned cas;                /* certificates in it */
	bool insecure;
};

int snet_trust_new(struct snet_trust **out, struct snet_error *err)
{
	struct snet_trust *t = calloc(1, sizeof(*t));
	uint8_t secret[16];
	int rc = snet_random(secret, sizeof(secret));

	if (rc || !t) {
		free(t);
		return snet_fail(err, rc ? rc : SNET_ENOMEM, "list of allowed keys");
	}
	snet_map_init(&t->keys, secret);
	*out = t;
	return SNET_OK;
}

static void drop_names(struct snet_trust *t)
{
	size_t at = 0;
	char *name;

	while ((name = snet_map_next(&t->keys, &at)))
		free(name);
}

void snet_trust_free(struct snet_trust *t)
{
	if (!t)
		return;
	drop_names(t);
	snet_map_fini(&t->keys);
	if (t->ca)
		gnutls_x509_trust_list_deinit(t->ca, 1);
	free(t);
}

void snet_trust_clear(struct snet_trust *t)
{
	uint8_t secret[16];

	memcpy(secret, &t->keys.k0, 8);
	memcpy(secret + 8, &t->keys.k1, 8);
	drop_names(t);
	snet_map_fini(&t->keys);
	snet_map_init(&t->keys, secret);
	if (t->ca)
		gnutls_x509_trust_list_deinit(t->ca, 1);
	t->ca = NULL;
	t->cas = 0;
	t->insecure = false;
}

static int add(struct snet_trust *t, const uint8_t *keyid, const char *name, size_t n,
	       struct snet_error *err)
{
	char *old = snet_map_get(&t->keys, keyid, SNET_KEYID_BYTES), *copy;
	int rc;

	if (n && !snet_name_is_ok(name, n))
		return snet_fail(err, SNET_ECONFIG,
				 "a name has at most %d bytes of UTF-8, no control characters",
				 SNET_NAME_MAX);
	if (old && !n)
		return SNET_OK;
	if (!old && t->keys.n >= SNET_TRUST_MAX)
		return snet_fail(err, SNET_ECONFIG, "more than %u keys", SNET_TRUST_MAX);
	copy = calloc(1, n + 1);
	if (copy && n)
		memcpy(copy, name, n);
	rc = copy ? snet_map_put(&t->keys, keyid, SNET_KEYID_BYTES, copy) : SNET_ENOMEM;
	free(rc ? copy : old);
	return rc ? snet_fail(err, rc, "list of allowed keys") : SNET_OK;
}

int snet_trust_add(struct snet_trust *t, const uint8_t keyid[static SNET_KEYID_BYTES],
		   const char *name, struct snet_error *err)
{
	return add(t, keyid, name, name ? strlen(name) : 0, err);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* line: without its newline. */
static int add_line(struct snet_trust *t, const char *line, size_t n, struct snet_error *err)
{
	char text[SNET_KEYID_TEXT] = "";
	uint8_t keyid[SNET_KEYID_BYTES];
	size_t key = 0;

	while (n && is_blank(line[n - 1]))
		n--;
	if (!n || *line == '#')
		return SNET_OK;
	while (key < n && !is_blank(line[key]))
		key++;
	if (key == SNET_KEYID_TEXT - 1)
		memcpy(text, line, key);
	if (snet_keyid_parse(keyid, text))
		return snet_fail(err, SNET_ECONFIG,
				 "a line is a key id (%d characters) and an optional name",
				 SNET_KEYID_TEXT - 1);
	while (key < n && is_blank(line[key]))
		key++;
	return add(t, keyid, line + key, n - key, err);
}

int snet_trust_add_file(struct snet_trust *t, const char *path, struct snet_error *err)
{
	struct snet_buf b = SNET_BUF(SNET_TRUST_FILE_MAX);
	struct snet_error why = { 0 };
	int rc = snet_file_read(&b, path, false, SNET_ECONFIG, err);
	struct snet_reader r = snet_reader(b.p, rc ? 0 : b.n);
	const char *at = (const char *)r.at, *end = (const char *)r.end, *eol;

	for (size_t line = 1; !rc && at < end; line++, at = eol < end ? eol + 1 : end) {
		eol = memchr(at, '\n', (size_t)(end - at));
		if (!eol)
			eol = end;
		rc = add_line(t, at, (size_t)(eol - at), &why);
		if (rc)
			snet_fail(err, rc, "%s:%zu: %s", path, line, why.text);
	}
	snet_buf_free(&b);
	return rc;
}

int snet_trust_add_text(struct snet_trust *t, const char *text, struct snet_error *err)
{
	uint8_t keyid[SNET_KEYID_BYTES];

	if (!snet_keyid_parse(keyid, text))
		return snet_trust_add(t, keyid, NULL, err);
	if (access(text, F_OK))
		return snet_fail(err, SNET_ECONFIG, "%s: neither a key id nor a file", text);
	return snet_trust_add_file(t, text, err);
}

int snet_trust_set_ca(struct snet_trust *t, const char *path, struct snet_error *err)
{
	struct snet_buf b = SNET_BUF(SNET_TRUST_FILE_MAX);
	int rc = snet_file_read(&b, path, false, SNET_ECONFIG, err), n;
	gnutls_datum_t pem;

	if (!rc && !t->ca && gnutls_x509_trust_list_init(&t->ca, 0))
		rc = snet_fail(err, SNET_ENOMEM, "%s", path);
	if (!rc) {
		pem = (gnutls_datum_t){ b.p, (unsigned)b.n };
		n = gnutls_x509_trust_list_add_trust_mem(t->ca, &pem, NULL, GNUTLS_X509_FMT_PEM,
							 GNUTLS_TL_NO_DUPLICATES, 0);
		if (n <= 0)
			rc = snet_fail(err, SNET_ECONFIG, "%s: no CA certificate: %s", path,
				       gnutls_strerror(n ? n : GNUTLS_E_NO_CERTIFICATE_FOUND));
		else
			t->cas += (unsigned)n;
	}
	snet_buf_free(&b);
	return rc;
}

void snet_trust_set_insecure(struct snet_trust *t)
{
	t->insecure = true;
}

bool snet_trust_is_insecure(const struct snet_trust *t)
{
	return t->insecure;
}

bool snet_trust_has_ca(const struct snet_trust *t)
{
	return t->cas;
}

bool snet_trust_is_empty(const struct snet_trust *t)
{
	return !t->insecure && !t->keys.n && !t->cas;
}

const char *snet_trust_name(const struct snet_trust *t,
			    const uint8_t keyid[static SNET_KEYID_BYTES])
{
	return snet_map_get(&t->keys, keyid, SNET_KEYID_BYTES);
}

/* Names are not looked at: whoever holds any certificate of the CA is
 * in, and known by its key id. */
static bool ends_at_ca(const struct snet_trust *t, const gnutls_datum_t *chain, unsigned n)
{
	gnutls_x509_crt_t certs[SNET_CHAIN_MAX] = { NULL };
	unsigned status = ~0u;
	int rc = n && n <= SNET_CHAIN_MAX ? 0 : -1;

	for (unsigned i = 0; i < n && !rc; i++) {
		rc = chain[i].size > SNET_CERT_MAX ? -1 : gnutls_x509_crt_init(&certs[i]);
		if (!rc)
			rc = gnutls_x509_crt_import(certs[i], &chain[i], GNUTLS_X509_FMT_DER);
	}
	if (!rc)
		rc = gnutls_x509_trust_list_verify_crt2(
			t->ca, certs, n, NULL, 0,
			GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM), &status, NULL);
	for (unsigned i = 0; i < SNET_CHAIN_MAX; i++)
		gnutls_x509_crt_deinit(certs[i]);
	return !rc && !status;
}

int snet_trust_check(const struct snet_trust *t, const uint8_t keyid[static SNET_KEYID_BYTES],
		     const gnutls_datum_t *chain, unsigned n, struct snet_error *err)
{
	char text[SNET_KEYID_TEXT];

	if (t->insecure || snet_trust_name(t, keyid))
		return SNET_OK;
	if (t->cas && ends_at_ca(t, chain, n))
		return SNET_OK;
	return snet_fail(err, SNET_EDENIED, "key %s is not allowed%s",
			 snet_keyid_print(keyid, text),
			 t->cas ? " and no known CA signed its certificate" : "");
}

int snet_trust_check_pin(const uint8_t expected[static SNET_KEYID_BYTES],
			 const uint8_t seen[static SNET_KEYID_BYTES], const char *name,
			 struct snet_error *err)
{
	char want[SNET_KEYID_TEXT], saw[SNET_KEYID_TEXT];

	if (!gnutls_memcmp(expected, seen, SNET_KEYID_BYTES))
		return SNET_OK;
	return snet_fail(err, SNET_EDENIED, "%s%sexpected %s, saw %s", name ? name : "",
			 name ? ": " : "", snet_keyid_print(expected, want),
			 snet_keyid_print(seen, saw));
}
