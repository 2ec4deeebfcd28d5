/* A stranger's certificate, or raw public key: read or refused, and its key id is the hash of
 * its key. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void read_raw(const uint8_t *p, size_t n)
{
	const gnutls_datum_t raw = { (unsigned char *)p, (unsigned)n };
	struct snet_buf spki = SNET_BUF(SNET_SPKI_MAX);
	uint8_t keyid[SNET_KEYID_BYTES], hash[SNET_SHA256_BYTES];
	int rc = snet_rawkey_check(&raw, 1, &spki, keyid, NULL);

	assert(rc == SNET_OK || rc == SNET_EKEY);
	assert(rc == SNET_OK ? spki.n > 0 : spki.n == 0);
	if (rc == SNET_OK) {
		assert(snet_sha256(hash, spki.p, spki.n) == SNET_OK);
		assert(!memcmp(hash, keyid, sizeof(hash)));
	}
	snet_buf_free(&spki);
}

/* Entries stand one behind the other in what came. */
static void read_message(const uint8_t *p, size_t n)
{
	gnutls_datum_t entries[3];
	unsigned count;
	size_t at = 4;
	int rc = snet_cert_entries(p, n, entries, 3, &count);

	assert(rc == SNET_OK || rc == SNET_EPROTO);
	for (unsigned i = 0; !rc && i < count && i < 3; i++) {
		assert(entries[i].size && entries[i].data == p + at + 3);
		at += 3 + entries[i].size + 2;
		assert(at <= n);
		at += (size_t)p[at - 2] << 8 | p[at - 1];
		read_raw(entries[i].data, entries[i].size);
	}
	assert(rc || count > 3 || at == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_buf spki = SNET_BUF(SNET_SPKI_MAX), again = SNET_BUF(SNET_SPKI_MAX);
	uint8_t keyid[SNET_KEYID_BYTES], other[SNET_KEYID_BYTES], hash[SNET_SHA256_BYTES];
	unsigned certs = n ? 1 + p[n - 1] % (SNET_CHAIN_MAX + 2) : 0;
	gnutls_datum_t chain[SNET_CHAIN_MAX + 2] = { { (unsigned char *)p, (unsigned)n } };
	int rc = snet_spki_of_certificate(p, n, &spki, keyid);
	int checked = snet_cert_check(chain, certs, &again, other, NULL);

	assert(rc == SNET_OK || rc == SNET_EKEY);
	/* It reads a plain certificate without GnuTLS, which may find more to say about the
	 * rest of it; whose key it is they never disagree on. */
	assert(checked == (certs <= SNET_CHAIN_MAX ? rc : SNET_EKEY) ||
	       (checked == SNET_OK && rc == SNET_EKEY));
	assert(rc == SNET_OK ? spki.n > 0 : spki.n == 0);
	if (rc == SNET_OK) {
		assert(snet_sha256(hash, spki.p, spki.n) == SNET_OK);
		assert(!memcmp(hash, keyid, sizeof(hash)));
	}
	if (checked == SNET_OK && rc == SNET_OK)
		assert(!memcmp(other, keyid, sizeof(other)) && again.n == spki.n &&
		       !memcmp(again.p, spki.p, spki.n));
	snet_buf_free(&spki);
	snet_buf_free(&again);
	read_raw(p, n);
	read_message(p, n);
	return 0;
}
