#include "nat/stunauth.h"

#include <string.h>

#include "crypto/hash.h"

/* Of the texts that are hashed: username, realm and password, two colons. */
#define JOINED_MAX (SNET_STUN_USERNAME_MAX + SNET_STUN_TEXT_MAX + SNET_STUN_KEY_MAX + 2)

#define COOKIE "obMatJos2" /* RFC 8489 §9.2 */
#define COOKIE_N 9

struct joined {
	uint8_t p[JOINED_MAX];
	size_t n;
	bool bad;
};

static void join(struct joined *j, const char *s)
{
	size_t n = strlen(s), colon = j->n ? 1 : 0;

	if (j->bad || n + colon > sizeof(j->p) - j->n) {
		j->bad = true;
		return;
	}
	memcpy(j->p + j->n, ":", colon);
	memcpy(j->p + j->n + colon, s, n);
	j->n += colon + n;
}

int snet_stun_key_short(struct snet_stun_key *k, const char *password)
{
	size_t n = strlen(password);

	if (n > sizeof(k->p))
		return SNET_ETOOBIG;
	memcpy(k->p, password, n);
	k->n = n;
	return SNET_OK;
}

int snet_stun_key_long(struct snet_stun_key *k, enum snet_stun_algorithm a,
		       const char *username, const char *realm, const char *password)
{
	struct joined j = { .n = 0 };
	bool md5 = a == SNET_STUN_KEY_MD5;
	int rc;

	join(&j, username);
	join(&j, realm);
	join(&j, password);
	k->n = md5 ? SNET_MD5_BYTES : SNET_SHA256_BYTES;
	rc = j.bad ? SNET_ETOOBIG
	     : md5 ? snet_md5(k->p, j.p, j.n)
		   : snet_sha256(k->p, j.p, j.n);
	snet_wipe(&j, sizeof(j));
	return rc;
}

int snet_stun_userhash(uint8_t out[static 32], const char *username, const char *realm)
{
	struct joined j = { .n = 0 };

	join(&j, username);
	join(&j, realm);
	return j.bad ? SNET_ETOOBIG : snet_sha256(out, j.p, j.n);
}

/* ---- integrity */

static enum snet_stun_attr attribute_of(enum snet_stun_mac mac)
{
	return mac == SNET_STUN_SHA256 ? SNET_STUN_INTEGRITY_SHA256 : SNET_STUN_INTEGRITY;
}

/* Over what stands before the attribute, with a header that counts it as the last one. */
static int sum(uint8_t out[static SNET_SHA256_BYTES], enum snet_stun_mac mac, const uint8_t *p,
	       size_t before, size_t value, const struct snet_stun_key *k)
{
	uint8_t head[SNET_STUN_HEADER];
	struct snet_slice parts[] = {
		{ head, sizeof(head), NULL },
		{ p + sizeof(head), before - sizeof(head), NULL },
	};

	memcpy(head, p, sizeof(head));
	snet_put_be16(head + 2, (uint16_t)(before + 4 + value - sizeof(head)));
	return snet_hmac(mac == SNET_STUN_SHA256 ? SNET_HMAC_SHA256 : SNET_HMAC_SHA1, out, k->p,
			 k->n, parts, 2);
}

int snet_stunauth_check(const struct snet_stunmsg *m, enum snet_stun_mac mac,
			const struct snet_stun_key *k)
{
	uint8_t want[SNET_SHA256_BYTES], differ = 0;
	struct snet_slice v;
	int rc;

	if (!snet_stunmsg_get(m, attribute_of(mac), &v))
		return SNET_ENOENT;
	if (v.n % 4)
		return SNET_EINTEGRITY; /* §14.6: truncated, but to whole words */
	rc = sum(want, mac, m->p, (size_t)(v.p - m->p) - 4, v.n, k);
	if (rc)
		return rc;
	for (size_t i = 0; i < v.n; i++) /* in a time that tells nothing */
		differ |= (uint8_t)(v.p[i] ^ want[i]);
	return differ ? SNET_EINTEGRITY : SNET_OK;
}

void snet_stunauth_put(struct snet_stunout *o, enum snet_stun_mac mac,
		       const struct snet_stun_key *k)
{
	size_t n = mac == SNET_STUN_SHA256 ? SNET_SHA256_BYTES : SNET_SHA1_BYTES;
	uint8_t value[SNET_SHA256_BYTES];

	if (o->bad || sum(value, mac, o->p, o->n, n, k))
		o->bad = true;
	else
		snet_stunmsg_put(o, attribute_of(mac), value, n);
}

/* ---- what a nonce says of the server */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint32_t snet_stun_nonce_features(const struct snet_slice *nonce)
{
	uint32_t v = 0;

	if (nonce->n < SNET_STUN_NONCE_PREFIX || memcmp(nonce->p, COOKIE, COOKIE_N))
		return 0;
	for (size_t i = COOKIE_N; i < SNET_STUN_NONCE_PREFIX; i++) {
		const char *at = nonce->p[i] ? strchr(digits, nonce->p[i]) : NULL;

		if (!at)
			return 0;
		v = v << 6 | (uint32_t)(at - digits);
	}
	/* §18.1 counts bits from the left, the example in B.1 from the right; the two do not
	 * collide, so both are understood. */
	return (v & 1 << 23 ? SNET_STUN_HAS_ALGORITHMS : 0) |
	       (v & 1 << 22 ? SNET_STUN_HAS_USERHASH : 0) |
	       (v & (SNET_STUN_HAS_ALGORITHMS | SNET_STUN_HAS_USERHASH));
}

void snet_stun_nonce_prefix(char out[static SNET_STUN_NONCE_PREFIX + 1], uint32_t features)
{
	memcpy(out, COOKIE, COOKIE_N);
	for (size_t i = 0; i < 4; i++)
		out[COOKIE_N + i] = digits[features >> (18 - 6 * i) & 63];
	out[SNET_STUN_NONCE_PREFIX] = '\0';
}

/* ---- password algorithms: a number and its parameters, which the known ones have none of */

uint32_t snet_stun_algorithms(const struct snet_stunmsg *m, enum snet_stun_attr a)
{
	struct snet_slice v;
	struct snet_reader r;
	uint32_t all = 0;

	if (!snet_stunmsg_get(m, a, &v))
		return 0;
	r = snet_reader(v.p, v.n);
	while (snet_left(&r)) {
		unsigned number = snet_take_be16(&r);
		size_t n = snet_take_be16(&r);

		/* The padding of the last one may be that of the attribute. */
		snet_take(&r, n);
		for (; n % 4 && snet_left(&r); n++)
			snet_take(&r, 1);
		if (number == SNET_STUN_KEY_MD5 || number == SNET_STUN_KEY_SHA256)
			all |= 1u << number;
	}
	return r.bad ? 0 : all;
}

void snet_stun_put_algorithms(struct snet_stunout *o, enum snet_stun_attr a,
			      uint32_t algorithms)
{
	static const uint8_t order[] = { SNET_STUN_KEY_SHA256, SNET_STUN_KEY_MD5 };
	uint8_t list[4 * sizeof(order)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(order); i++) {
		if (!(algorithms & 1u << order[i]))
			continue;
		list[n + 1] = order[i];
		n += 4;
	}
	snet_stunmsg_put(o, a, list, n);
}
