#include "crypto/hash.h"

#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

int snet_sha256(uint8_t out[static SNET_SHA256_BYTES], const void *p, size_t n)
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, p, n, out) ? SNET_ENOSYS : SNET_OK;
}

int snet_sha1(uint8_t out[static SNET_SHA1_BYTES], const void *p, size_t n)
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA1, p, n, out) ? SNET_ENOSYS : SNET_OK;
}

int snet_hmac_sha1(uint8_t out[static SNET_SHA1_BYTES], const void *key, size_t key_n,
		   const void *p, size_t n)
{
	return gnutls_hmac_fast(GNUTLS_MAC_SHA1, key, key_n, p, n, out) ? SNET_ENOSYS : SNET_OK;
}

int snet_md5(uint8_t out[static SNET_MD5_BYTES], const void *p, size_t n)
{
	return gnutls_hash_fast(GNUTLS_DIG_MD5, p, n, out) ? SNET_ENOSYS : SNET_OK;
}

int snet_hmac(enum snet_hmac mac, uint8_t *out, const void *key, size_t key_n,
	      const struct snet_slice *parts, size_t n)
{
	gnutls_hmac_hd_t h;
	int rc = 0;

	if (gnutls_hmac_init(&h, mac == SNET_HMAC_SHA256 ? GNUTLS_MAC_SHA256 : GNUTLS_MAC_SHA1,
			     key, key_n))
		return SNET_ENOSYS;
	for (size_t i = 0; i < n && !rc; i++)
		rc = gnutls_hmac(h, parts[i].p, parts[i].n);
	gnutls_hmac_deinit(h, out);
	return rc ? SNET_ENOSYS : SNET_OK;
}

int snet_random(void *p, size_t n)
{
	return gnutls_rnd(GNUTLS_RND_KEY, p, n) ? SNET_EIO : SNET_OK;
}

uint64_t snet_derived_id(const uint8_t *spki, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ spki[i]) * 0x100000001b3;
	return h;
}

int snet_key_compare(const struct snet_slice *a, const struct snet_slice *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int order = n ? memcmp(a->p, b->p, n) : 0;

	return order ? order : (a->n > b->n) - (a->n < b->n);
}

/* A length as bincode writes it. The encoder of wire/bincode is out of reach:
 * crypto and wire are one layer. */
static void update_length(struct snet_blake3 *h, uint64_t v)
{
	uint8_t p[8];

	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(v >> 8 * i);
	snet_blake3_update(h, p, sizeof(p));
}

int snet_list_digest(uint8_t out[static SNET_BLAKE3_BYTES], const struct snet_slice *keys,
		     size_t n)
{
	struct snet_blake3 h;

	snet_blake3_init(&h);
	update_length(&h, n);
	for (size_t i = 0; i < n; i++) {
		if (i && snet_key_compare(&keys[i - 1], &keys[i]) > 0)
			return SNET_EINVAL;
		update_length(&h, keys[i].n);
		snet_blake3_update(&h, keys[i].p, keys[i].n);
	}
	snet_blake3_final(&h, out);
	return SNET_OK;
}
