/* nat/stunmsg, nat/stunauth: held to the vectors of RFC 5769 and RFC 8489 B.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/stunauth.h"
#include "support/vectors.h"

static const uint8_t id[SNET_STUN_ID] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

/* ---- vectors */

struct vector {
	json_t *all;
	uint8_t *p;
	size_t n;
	struct snet_stunmsg m;
	struct snet_stun_key key;
};

static void open_vector(struct vector *v, const char *name)
{
	const json_t *one;
	const char *realm, *password;

	v->all = vectors_load("stun-vectors.json");
	one = json_object_get(v->all, name);
	v->p = vectors_unhex(vectors_text(one, "hex"), &v->n);
	assert_int_equal(snet_stunmsg_parse(&v->m, v->p, v->n), SNET_OK);
	realm = json_string_value(json_object_get(one, "realm"));
	password = vectors_text(one, "password");
	if (realm)
		assert_int_equal(snet_stun_key_long(&v->key,
						    v->m.integrity_sha256 ? SNET_STUN_KEY_SHA256
									  : SNET_STUN_KEY_MD5,
						    vectors_text(one, "username"), realm,
						    password),
				 SNET_OK);
	else
		assert_int_equal(snet_stun_key_short(&v->key, password), SNET_OK);
}

static void close_vector(struct vector *v)
{
	free(v->p);
	json_decref(v->all);
}

static void assert_text(const struct snet_stunmsg *m, enum snet_stun_attr a, const char *want)
{
	struct snet_slice s;

	assert_true(snet_stunmsg_get(m, a, &s));
	assert_int_equal(s.n, strlen(want));
	assert_memory_equal(s.p, want, s.n);
}

static void assert_number(const struct snet_stunmsg *m, enum snet_stun_attr a, uint64_t want)
{
	uint64_t got;

	assert_true(snet_stunmsg_number(m, a, &got));
	assert_true(got == want);
}

static void assert_addr(const struct snet_stunmsg *m, enum snet_stun_attr a, const char *want)
{
	struct snet_addr got;
	char text[SNET_ADDR_TEXT];

	assert_true(snet_stunmsg_addr(m, a, &got));
	assert_string_equal(snet_addr_print(&got, text), want);
}

static void assert_same_bytes(const struct vector *v, struct snet_stunout *o)
{
	assert_int_equal(snet_stunmsg_end(o), v->n);
	assert_memory_equal(o->p, v->p, v->n);
}

static void the_request_of_rfc_5769_is_read(void **state)
{
	struct vector v;
	struct snet_stun_key wrong;

	(void)state;
	open_vector(&v, "request");
	assert_int_equal(v.m.method, SNET_STUN_BINDING);
	assert_int_equal(v.m.cls, SNET_STUN_REQUEST);
	assert_text(&v.m, SNET_STUN_SOFTWARE, "STUN test client");
	assert_text(&v.m, SNET_STUN_USERNAME, "evtj:h6vY");
	assert_number(&v.m, SNET_STUN_PRIORITY, 0x6e0001ff);
	assert_number(&v.m, SNET_STUN_ICE_CONTROLLED, 0x932ff9b151263b36);
	assert_false(snet_stunmsg_get(&v.m, SNET_STUN_REALM, NULL));
	assert_true(v.m.fingerprint && !v.m.unknown_n);
	assert_int_equal(snet_stunauth_check(&v.m, SNET_STUN_SHA1, &v.key), SNET_OK);
	assert_int_equal(snet_stunauth_check(&v.m, SNET_STUN_SHA256, &v.key), SNET_ENOENT);
	snet_stun_key_short(&wrong, "VOkJxbRl1RmTxUk/WvJxBu");
	assert_int_equal(snet_stunauth_check(&v.m, SNET_STUN_SHA1, &wrong), SNET_EINTEGRITY);
	close_vector(&v);
}

static void the_responses_of_rfc_5769_are_read(void **state)
{
	static const struct {
		const char *name, *mapped;
	} cases[] = {
		{ "ipv4-response", "192.0.2.1:32853" },
		{ "ipv6-response", "[2001:db8:1234:5678:11:2233:4455:6677]:32853" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vector v;

		open_vector(&v, cases[i].name);
		assert_int_equal(v.m.cls, SNET_STUN_SUCCESS);
		assert_text(&v.m, SNET_STUN_SOFTWARE, "test vector");
		assert_addr(&v.m, SNET_STUN_XOR_MAPPED_ADDRESS, cases[i].mapped);
		assert_int_equal(snet_stunauth_check(&v.m, SNET_STUN_SHA1, &v.key), SNET_OK);
		close_vector(&v);
	}
}

static void the_long_term_request_of_rfc_5769_is_read_and_written(void **state)
{
	struct vector v;
	struct snet_stunout o;
	uint8_t b[256];

	(void)state;
	open_vector(&v, "long-term-request");
	assert_text(&v.m, SNET_STUN_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
	assert_int_equal(snet_stunauth_check(&v.m, SNET_STUN_SHA1, &v.key), SNET_OK);
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, SNET_STUN_BINDING, v.m.id);
	snet_stunmsg_put_text(&o, SNET_STUN_USERNAME, "マトリックス");
	snet_stunmsg_put_text(&o, SNET_STUN_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
	snet_stunmsg_put_text(&o, SNET_STUN_REALM, "example.org");
	snet_stunauth_put(&o, SNET_STUN_SHA1, &v.key);
	assert_same_bytes(&v, &o);
	close_vector(&v);
}

static void the_sha256_request_of_rfc_8489_is_read_and_written(void **state)
{
	struct vector v;
	struct snet_stunout o;
	struct snet_slice s;
	uint8_t b[256], hash[32];

	(void)state;
	open_vector(&v, "long-term-sha256-request");
	assert_int_equal(snet_stunauth_check(&v.m, SNET_STUN_SHA256, &v.key), SNET_OK);
	assert_int_equal(snet_stun_userhash(hash, "マトリックス", "example.org"), SNET_OK);
	assert_true(snet_stunmsg_get(&v.m, SNET_STUN_USERHASH, &s));
	assert_memory_equal(s.p, hash, 32);
	assert_int_equal(snet_stun_algorithms(&v.m, SNET_STUN_PASSWORD_ALGORITHM),
			 1 << SNET_STUN_KEY_SHA256);
	assert_true(snet_stunmsg_get(&v.m, SNET_STUN_NONCE, &s));
	assert_int_equal(snet_stun_nonce_features(&s), SNET_STUN_HAS_USERHASH);
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, SNET_STUN_BINDING, v.m.id);
	snet_stunmsg_put(&o, SNET_STUN_USERHASH, hash, 32);
	snet_stunmsg_put(&o, SNET_STUN_NONCE, s.p, s.n);
	snet_stunmsg_put_text(&o, SNET_STUN_REALM, "example.org");
	snet_stun_put_algorithms(&o, SNET_STUN_PASSWORD_ALGORITHM, 1 << SNET_STUN_KEY_SHA256);
	snet_stunauth_put(&o, SNET_STUN_SHA256, &v.key);
	assert_same_bytes(&v, &o);
	close_vector(&v);
}

static void any_changed_bit_of_a_vector_is_noticed(void **state)
{
	struct vector v;

	(void)state;
	open_vector(&v, "request");
	for (size_t bit = 0; bit < 8 * v.n; bit++) {
		struct snet_stunmsg m;

		v.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* The bit may be one of the fingerprint's type: then it has none. */
		assert_true(snet_stunmsg_parse(&m, v.p, v.n) || !m.fingerprint);
		v.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	close_vector(&v);
	open_vector(&v, "long-term-request"); /* no fingerprint here: integrity alone */
	for (size_t bit = 0; bit < 8 * v.n; bit++) {
		struct snet_stunmsg m;

		v.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(snet_stunmsg_parse(&m, v.p, v.n) ||
			    snet_stunauth_check(&m, SNET_STUN_SHA1, &v.key));
		v.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	close_vector(&v);
}

static void a_message_cut_anywhere_is_truncated(void **state)
{
	struct vector v;

	(void)state;
	open_vector(&v, "request");
	for (size_t n = 0; n < v.n; n++) {
		uint8_t *cut = malloc(n ? n : 1); /* exactly so large: a sanitizer looks on */
		struct snet_stunmsg m;

		memcpy(cut, v.p, n);
		assert_int_equal(snet_stunmsg_parse(&m, cut, n), SNET_ETRUNCATED);
		free(cut);
	}
	close_vector(&v);
}

/* ---- bytes nobody should send */

#define COOKIE_ID  \
	"2112a442" \
	"0102030405060708090a0b0c"

/* clang-format off */
static const struct {
	const char *what, *hex;
	int rc;
} hostile[] = {
	{ "a plain binding request",     "00010000" COOKIE_ID,                              SNET_OK },
	{ "nothing",                     "",                                                SNET_ETRUNCATED },
	{ "no cookie (RFC 3489)",        "00010000" "2112a443" "0102030405060708090a0b0c",  SNET_EPROTO },
	{ "the first bits are not 0",    "40010000" COOKIE_ID,                              SNET_EPROTO },
	{ "a length that is no word",    "00010003" COOKIE_ID "000000",                     SNET_EPROTO },
	{ "bytes after the message",     "00010000" COOKIE_ID "00000000",                   SNET_EPROTO },
	{ "an attribute past the end",   "00010004" COOKIE_ID "80220001",                   SNET_EPROTO },
	{ "one of 65535 bytes",          "00010004" COOKIE_ID "8022ffff",                   SNET_EPROTO },
	{ "padding past the end",        "00010008" COOKIE_ID "8022000561626364",           SNET_EPROTO },
	{ "a known one too short",       "00010008" COOKIE_ID "0024000300000000",           SNET_EPROTO },
	{ "a known one too long",        "0001000c" COOKIE_ID "002400080000000000000000",   SNET_EPROTO },
	{ "a flag with a value",         "00010008" COOKIE_ID "0025000100000000",           SNET_EPROTO },
	{ "a wrong fingerprint",         "00010008" COOKIE_ID "8028000400000000",           SNET_EINTEGRITY },
	{ "something after the fingerprint", "0001000c" COOKIE_ID "802800040000000000250000", SNET_EPROTO },
	{ "an unknown optional one",     "00010004" COOKIE_ID "ffff0000",                   SNET_OK },
};
/* clang-format on */

static void malformed_messages_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct snet_stunmsg m;
		size_t n;
		uint8_t *p = vectors_unhex(hostile[i].hex, &n);
		int rc = snet_stunmsg_parse(&m, p, n);

		if (rc != hostile[i].rc)
			fail_msg("%s: %d", hostile[i].what, rc);
		free(p);
	}
}

static void unknown_attributes_are_named_in_the_answer(void **state)
{
	uint8_t b[128], c[128];
	struct snet_stunmsg m;
	struct snet_stunout o;
	struct snet_slice s;

	(void)state;
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, SNET_STUN_BINDING, id);
	for (unsigned i = 0; i < 10; i++) { /* written by hand: no put takes an unknown type */
		snet_put_be32(b + o.n, (0x7f00 + i) << 16);
		o.n += 4;
	}
	snet_put_be32(b + o.n, 0xbead0000); /* optional: not named */
	o.n += 4;
	snet_put_be16(b + 2, (uint16_t)(o.n - SNET_STUN_HEADER));
	assert_int_equal(snet_stunmsg_parse(&m, b, o.n), SNET_OK);
	assert_int_equal(m.unknown_n, SNET_STUN_UNKNOWN_MAX);
	snet_stunmsg_begin(&o, c, sizeof(c), SNET_STUN_ERROR, SNET_STUN_BINDING, m.id);
	snet_stunmsg_put_error(&o, 420, "Unknown Attribute");
	snet_stunmsg_put_unknown(&o, &m);
	assert_int_equal(snet_stunmsg_parse(&m, c, snet_stunmsg_end(&o)), SNET_OK);
	assert_int_equal(snet_stunmsg_error(&m, &s), 420);
	assert_int_equal(s.n, strlen("Unknown Attribute"));
	assert_true(snet_stunmsg_get(&m, SNET_STUN_UNKNOWN_ATTRIBUTES, &s));
	assert_int_equal(s.n, 16);
	assert_memory_equal(s.p, "\x7f\x00\x7f\x01\x7f\x02", 6);
}

static void what_follows_the_integrity_is_not_seen(void **state)
{
	struct snet_stun_key k;
	struct snet_stunmsg m;
	struct snet_stunout o;
	uint8_t b[256];

	(void)state;
	snet_stun_key_short(&k, "secret");
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, SNET_STUN_BINDING, id);
	snet_stunmsg_put_number(&o, SNET_STUN_PRIORITY, 7);
	snet_stunmsg_put_number(&o, SNET_STUN_PRIORITY, 8); /* the first one counts */
	snet_stunauth_put(&o, SNET_STUN_SHA1, &k);
	snet_stunmsg_put(&o, SNET_STUN_USE_CANDIDATE, NULL, 0); /* slipped in */
	snet_stunauth_put(&o, SNET_STUN_SHA256, &k);
	snet_stunmsg_put_number(&o, SNET_STUN_LIFETIME, 1);
	snet_stunmsg_put_fingerprint(&o);
	assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), SNET_OK);
	assert_number(&m, SNET_STUN_PRIORITY, 7);
	assert_false(snet_stunmsg_get(&m, SNET_STUN_USE_CANDIDATE, NULL));
	assert_false(snet_stunmsg_get(&m, SNET_STUN_LIFETIME, NULL));
	assert_int_equal(snet_stunauth_check(&m, SNET_STUN_SHA1, &k), SNET_OK);
	assert_int_equal(snet_stunauth_check(&m, SNET_STUN_SHA256, &k), SNET_OK);
}

static void a_truncated_sha256_integrity_is_taken(void **state)
{
	struct snet_stun_key k;
	struct snet_stunmsg m;
	struct snet_stunout o;
	uint8_t b[128];

	(void)state;
	snet_stun_key_short(&k, "secret");
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, SNET_STUN_BINDING, id);
	snet_stunauth_put(&o, SNET_STUN_SHA256, &k);
	/* One of 16 bytes is summed under its own length; this one was under 32. */
	snet_put_be16(b + 2, 4 + 16);
	snet_put_be16(b + 22, 16);
	assert_int_equal(snet_stunmsg_parse(&m, b, 40), SNET_OK);
	assert_int_equal(snet_stunauth_check(&m, SNET_STUN_SHA256, &k), SNET_EINTEGRITY);
	/* HMAC-SHA256("secret", the header with a length of 20): by Python's hmac. */
	memcpy(b + 24, "\xd9\xa2\xe3\xca\xde\x58\xad\x0a\x0e\xb7\x28\x6c\x89\x75\x53\x2b", 16);
	assert_int_equal(snet_stunauth_check(&m, SNET_STUN_SHA256, &k), SNET_OK);
}

/* ---- every attribute there and back */

static const char *const addresses[] = { "192.0.2.7:1", "[2001:db8::7]:65535", "0.0.0.0:0" };

static void addresses_cross(void **state)
{
	static const enum snet_stun_attr kinds[] = {
		SNET_STUN_MAPPED_ADDRESS,   SNET_STUN_XOR_MAPPED_ADDRESS,
		SNET_STUN_XOR_PEER_ADDRESS, SNET_STUN_XOR_RELAYED_ADDRESS,
		SNET_STUN_ALTERNATE_SERVER, SNET_STUN_RESPONSE_ORIGIN,
		SNET_STUN_OTHER_ADDRESS,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (size_t j = 0; j < 3; j++) {
			struct snet_stunmsg m;
			struct snet_stunout o;
			struct snet_addr a;
			uint8_t b[64];

			assert_int_equal(snet_addr_parse(&a, addresses[j]), SNET_OK);
			snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_INDICATION, 0xfff, id);
			snet_stunmsg_put_addr(&o, kinds[i], &a);
			assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), 0);
			assert_int_equal(m.cls, SNET_STUN_INDICATION);
			assert_int_equal(m.method, 0xfff);
			assert_addr(&m, kinds[i], addresses[j]);
		}
}

static void an_address_of_no_known_family_is_none(void **state)
{
	struct snet_stunmsg m;
	struct snet_stunout o;
	struct snet_addr a;
	uint8_t b[64];

	(void)state;
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_SUCCESS, 1, id);
	snet_stunmsg_put(&o, SNET_STUN_MAPPED_ADDRESS, "\0\2\0\1\1\2\3\4", 8); /* v6, 4 bytes */
	assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), SNET_OK);
	assert_false(snet_stunmsg_addr(&m, SNET_STUN_MAPPED_ADDRESS, &a));
	memset(&a, 0, sizeof(a));
	snet_stunmsg_put_addr(&o, SNET_STUN_MAPPED_ADDRESS, &a);
	assert_int_equal(snet_stunmsg_end(&o), 0);
}

static void several_peers_are_all_found(void **state)
{
	struct snet_stunmsg m;
	struct snet_stunout o;
	struct snet_slice s;
	struct snet_addr a;
	size_t at = 0, n = 0;
	uint8_t b[128];
	char text[SNET_ADDR_TEXT];

	(void)state;
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, SNET_STUN_CREATE_PERMISSION,
			   id);
	for (size_t i = 0; i < 3; i++) {
		snet_addr_parse(&a, addresses[i]);
		snet_stunmsg_put_addr(&o, SNET_STUN_XOR_PEER_ADDRESS, &a);
	}
	assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), SNET_OK);
	for (; snet_stunmsg_next(&m, SNET_STUN_XOR_PEER_ADDRESS, &at, &s); n++) {
		assert_true(snet_stunmsg_addr_of(&m, SNET_STUN_XOR_PEER_ADDRESS, &s, &a));
		assert_string_equal(snet_addr_print(&a, text), addresses[n]);
	}
	assert_int_equal(n, 3);
	assert_false(snet_stunmsg_next(&m, SNET_STUN_XOR_PEER_ADDRESS, &at, &s)); /* stays so */
}

static void numbers_cross_in_the_width_they_have(void **state)
{
	static const struct {
		enum snet_stun_attr a;
		uint64_t v, over; /* over: the least that does not fit; 0: all fit */
	} cases[] = {
		{ SNET_STUN_CHANGE_REQUEST, 6, 1ull << 32 },
		{ SNET_STUN_CHANNEL_NUMBER, 0x4001, 1 << 16 },
		{ SNET_STUN_LIFETIME, 600, 1ull << 32 },
		{ SNET_STUN_REQUESTED_ADDRESS_FAMILY, 2, 256 },
		{ SNET_STUN_ADDITIONAL_ADDRESS_FAMILY, 2, 256 },
		{ SNET_STUN_EVEN_PORT, 0x80, 256 },
		{ SNET_STUN_REQUESTED_TRANSPORT, 17, 256 },
		{ SNET_STUN_RESERVATION_TOKEN, 0x0123456789abcdef, 0 },
		{ SNET_STUN_PRIORITY, 0x7effffff, 1ull << 32 },
		{ SNET_STUN_RESPONSE_PORT, 3479, 1 << 16 },
		{ SNET_STUN_ICE_CONTROLLED, UINT64_MAX, 0 },
		{ SNET_STUN_ICE_CONTROLLING, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_stunmsg m;
		struct snet_stunout o;
		uint8_t b[64];

		snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, 1, id);
		snet_stunmsg_put_number(&o, cases[i].a, cases[i].v);
		assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), SNET_OK);
		assert_number(&m, cases[i].a, cases[i].v);
		if (cases[i].over) {
			snet_stunmsg_put_number(&o, cases[i].a, cases[i].over);
			assert_int_equal(snet_stunmsg_end(&o), 0);
		}
	}
}

static void errors_of_turn_are_read(void **state)
{
	struct snet_stunmsg m;
	struct snet_stunout o;
	uint8_t b[64], family, type;
	uint16_t code;

	(void)state;
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_SUCCESS, SNET_STUN_ALLOCATE, id);
	snet_stunmsg_put(&o, SNET_STUN_ADDRESS_ERROR_CODE, "\2\0\4\50no", 6);
	snet_stunmsg_put(&o, SNET_STUN_ICMP, "\0\0\6\4\0\0\5\264", 8);
	assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), SNET_OK);
	assert_int_equal(snet_stunmsg_address_error(&m, &family), 440);
	assert_int_equal(family, 2);
	assert_true(snet_stunmsg_icmp(&m, &type, &code));
	assert_int_equal(type, 3);
	assert_int_equal(code, 4);
	assert_int_equal(snet_stunmsg_error(&m, NULL), 0);
}

static void an_error_code_out_of_range_is_none(void **state)
{
	static const char *const raw[] = { "\0\0\2\1", "\0\0\7\1", "\0\0\4\x64" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct snet_stunmsg m;
		struct snet_stunout o;
		uint8_t b[64];

		snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_ERROR, 1, id);
		snet_stunmsg_put(&o, SNET_STUN_ERROR_CODE, raw[i], 4);
		assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), SNET_OK);
		assert_int_equal(snet_stunmsg_error(&m, NULL), 0);
	}
}

static void a_buffer_too_small_is_never_overrun(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 72; cap++) {
		uint8_t *b = malloc(cap ? cap : 1);
		struct snet_stun_key k = { .n = 0 };
		struct snet_stunout o;

		snet_stunmsg_begin(&o, b, cap, SNET_STUN_ERROR, 1, id);
		snet_stunmsg_put_text(&o, SNET_STUN_SOFTWARE, "abcde");
		snet_stunmsg_put_error(&o, 400, "x");
		snet_stunauth_put(&o, SNET_STUN_SHA1, &k);
		snet_stunmsg_put_fingerprint(&o);
		assert_int_equal(snet_stunmsg_end(&o), 0);
		free(b);
	}
}

/* ---- credentials */

static void features_of_a_nonce_are_read_and_written(void **state)
{
	static const struct {
		const char *nonce;
		uint32_t want;
	} cases[] = {
		{ "obMatJos2AAAAx", 0 },
		{ "obMatJos2AAABx", SNET_STUN_HAS_ALGORITHMS },
		{ "obMatJos2gAAAx", SNET_STUN_HAS_ALGORITHMS }, /* counted from the left */
		{ "obMatJos2wAAA", SNET_STUN_HAS_ALGORITHMS | SNET_STUN_HAS_USERHASH },
		{ "obMatJos2AAA", 0 },
		{ "obMatJos2AA*Bx", 0 },
		{ "f//499k954d6OL34oL9FSTvy64sA", 0 },
	};
	char out[SNET_STUN_NONCE_PREFIX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_slice s = { (const uint8_t *)cases[i].nonce, strlen(cases[i].nonce),
					NULL };

		assert_int_equal(snet_stun_nonce_features(&s), cases[i].want);
	}
	snet_stun_nonce_prefix(out, SNET_STUN_HAS_USERHASH);
	assert_string_equal(out, "obMatJos2AAAC");
}

static void password_algorithms_are_listed(void **state)
{
	struct snet_stunmsg m;
	struct snet_stunout o;
	uint8_t b[64];

	(void)state;
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_ERROR, 1, id);
	/* one that is unknown, with five bytes of parameters, before one that is not */
	snet_stunmsg_put(&o, SNET_STUN_PASSWORD_ALGORITHMS, "\x12\x34\0\5abcde\0\0\0\0\1\0\0",
			 16);
	assert_int_equal(snet_stunmsg_parse(&m, b, snet_stunmsg_end(&o)), SNET_OK);
	assert_int_equal(snet_stun_algorithms(&m, SNET_STUN_PASSWORD_ALGORITHMS),
			 1 << SNET_STUN_KEY_MD5);
	b[SNET_STUN_HEADER + 7] = 200; /* parameters past the end */
	assert_int_equal(snet_stun_algorithms(&m, SNET_STUN_PASSWORD_ALGORITHMS), 0);
	assert_int_equal(snet_stun_algorithms(&m, SNET_STUN_PASSWORD_ALGORITHM), 0);
}

static void credentials_too_long_are_refused(void **state)
{
	struct snet_stun_key k;
	char *s = malloc(4096);

	(void)state;
	memset(s, 'a', 4095);
	s[4095] = '\0';
	assert_int_equal(snet_stun_key_short(&k, s), SNET_ETOOBIG);
	assert_int_equal(snet_stun_key_long(&k, SNET_STUN_KEY_MD5, "u", s, "p"), SNET_ETOOBIG);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_of_rfc_5769_is_read),
		cmocka_unit_test(the_responses_of_rfc_5769_are_read),
		cmocka_unit_test(the_long_term_request_of_rfc_5769_is_read_and_written),
		cmocka_unit_test(the_sha256_request_of_rfc_8489_is_read_and_written),
		cmocka_unit_test(any_changed_bit_of_a_vector_is_noticed),
		cmocka_unit_test(a_message_cut_anywhere_is_truncated),
		cmocka_unit_test(malformed_messages_are_refused),
		cmocka_unit_test(unknown_attributes_are_named_in_the_answer),
		cmocka_unit_test(what_follows_the_integrity_is_not_seen),
		cmocka_unit_test(a_truncated_sha256_integrity_is_taken),
		cmocka_unit_test(addresses_cross),
		cmocka_unit_test(an_address_of_no_known_family_is_none),
		cmocka_unit_test(several_peers_are_all_found),
		cmocka_unit_test(numbers_cross_in_the_width_they_have),
		cmocka_unit_test(errors_of_turn_are_read),
		cmocka_unit_test(an_error_code_out_of_range_is_none),
		cmocka_unit_test(a_buffer_too_small_is_never_overrun),
		cmocka_unit_test(features_of_a_nonce_are_read_and_written),
		cmocka_unit_test(password_algorithms_are_listed),
		cmocka_unit_test(credentials_too_long_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
