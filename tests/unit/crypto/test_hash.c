#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "support/vectors.h"

static json_t *vectors;

static int load(void **state)
{
	(void)state;
	vectors = vectors_load("hash-vectors.json");
	return 0;
}

static int unload(void **state)
{
	(void)state;
	json_decref(vectors);
	return 0;
}

static const json_t *section(const char *name)
{
	const json_t *list = json_object_get(vectors, name);

	assert_true(json_array_size(list) > 0);
	return list;
}

static void expect(const uint8_t *got, size_t n, const json_t *vector, const char *key)
{
	size_t want_n;
	uint8_t *want = vectors_unhex(vectors_text(vector, key), &want_n);

	assert_int_equal(n, want_n);
	assert_memory_equal(got, want, n);
	free(want);
}

/* 0, 1, ... 250, 0, 1, ...: the input of BLAKE3's own vectors. */
static uint8_t *pattern(size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i % 251);
	return p;
}

static void blake3_agrees_with_its_published_vectors(void **state)
{
	uint8_t got[SNET_BLAKE3_BYTES], *in;
	const json_t *v;
	size_t i;

	(void)state;
	json_array_foreach(section("blake3"), i, v) {
		size_t n = (size_t)json_integer_value(json_object_get(v, "length"));

		print_message("# %zu bytes\n", n);
		in = pattern(n);
		snet_blake3(got, in, n);
		expect(got, sizeof(got), v, "hash");
		free(in);
	}
	assert_true(i >= 27);
}

/* Where a block, a chunk or a subtree ends is not where an update ends. */
static void blake3_does_not_care_how_the_input_is_cut(void **state)
{
	static const size_t steps[] = { 1, 7, 63, 64, 65, 1000, 1023, 1024, 1025, 4096, 5000 };
	uint8_t want[SNET_BLAKE3_BYTES], got[SNET_BLAKE3_BYTES], *in = pattern(31744);
	struct snet_blake3 h;

	(void)state;
	snet_blake3(want, in, 31744);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		snet_blake3_init(&h);
		for (size_t at = 0, k; at < 31744; at += k) {
			k = steps[i] < 31744 - at ? steps[i] : 31744 - at;
			snet_blake3_update(&h, in + at, k);
			snet_blake3_update(&h, NULL, 0);
		}
		snet_blake3_final(&h, got);
		assert_memory_equal(got, want, sizeof(want));
		snet_blake3_final(&h, got); /* changes nothing */
		assert_memory_equal(got, want, sizeof(want));
	}
	free(in);
}

static void sha256_agrees_with_fips_180_4(void **state)
{
	static const uint8_t million[SNET_SHA256_BYTES] = {
		0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7,
		0xe2, 0x84, 0xd7, 0x3e, 0x67, 0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97,
		0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0,
	};
	uint8_t got[SNET_SHA256_BYTES], *in;
	const json_t *v;
	size_t i, n;

	(void)state;
	json_array_foreach(section("sha256"), i, v) {
		in = vectors_unhex(vectors_text(v, "message"), &n);
		assert_int_equal(snet_sha256(got, in, n), SNET_OK);
		expect(got, sizeof(got), v, "hash");
		free(in);
	}
	in = malloc(1000000);
	assert_non_null(in);
	memset(in, 'a', 1000000);
	assert_int_equal(snet_sha256(got, in, 1000000), SNET_OK);
	assert_memory_equal(got, million, sizeof(million));
	free(in);
	assert_int_equal(snet_sha256(got, NULL, 0), SNET_OK);
	expect(got, sizeof(got), json_array_get(section("sha256"), 0), "hash");
}

static void hmac_sha1_agrees_with_rfc_2202(void **state)
{
	uint8_t got[SNET_SHA1_BYTES], *key, *message;
	size_t i, key_n, n;
	const json_t *v;

	(void)state;
	json_array_foreach(section("hmac_sha1"), i, v) {
		key = vectors_unhex(vectors_text(v, "key"), &key_n);
		message = vectors_unhex(vectors_text(v, "message"), &n);
		assert_int_equal(snet_hmac_sha1(got, key, key_n, message, n), SNET_OK);
		expect(got, sizeof(got), v, "mac");
		free(key);
		free(message);
	}
	assert_int_equal(i, 7);
}

/* The bytes are those of the text in hex. */
static void assert_hex(const uint8_t *got, size_t n, const char *hex)
{
	size_t want_n;
	uint8_t *want = vectors_unhex(hex, &want_n);

	assert_int_equal(n, want_n);
	assert_memory_equal(got, want, n);
	free(want);
}

static void hmac_sha256_agrees_with_rfc_4231_however_the_message_is_cut(void **state)
{
	/* clang-format off */
	static const struct {
		const char *key, *message, *mac;
	} cases[] = {
		{ "4a656665",
		  "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		  "4869205468657265",
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaa",
		  "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a"
		  "65204b6579202d2048617368204b6579204669727374",
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t got[SNET_SHA256_BYTES], *key, *message;
		size_t key_n, n;

		key = vectors_unhex(cases[i].key, &key_n);
		message = vectors_unhex(cases[i].message, &n);
		for (size_t cut = 0; cut <= n; cut++) {
			struct snet_slice parts[] = { { message, cut, NULL },
						      { message + cut, n - cut, NULL } };

			assert_int_equal(snet_hmac(SNET_HMAC_SHA256, got, key, key_n, parts, 2),
					 SNET_OK);
			assert_hex(got, sizeof(got), cases[i].mac);
		}
		free(key);
		free(message);
	}
}

static void the_two_ways_to_hmac_sha1_agree(void **state)
{
	uint8_t one[SNET_SHA1_BYTES], two[SNET_SHA1_BYTES];
	struct snet_slice part = { (const uint8_t *)"message", 7, NULL };

	(void)state;
	assert_int_equal(snet_hmac_sha1(one, "key", 3, "message", 7), SNET_OK);
	assert_int_equal(snet_hmac(SNET_HMAC_SHA1, two, "key", 3, &part, 1), SNET_OK);
	assert_memory_equal(one, two, sizeof(one));
}

static void md5_agrees_with_rfc_1321(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *hash;
	} cases[] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ "a", "0cc175b9c0f1b6a831c399e269772661" },
		{ "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
		{ "1234567890123456789012345678901234567890123456789012345678901234"
		  "5678901234567890",
		  "57edf4a22be3c955ac49da2e2107b67a" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t got[SNET_MD5_BYTES];

		assert_int_equal(snet_md5(got, cases[i].text, strlen(cases[i].text)), SNET_OK);
		assert_hex(got, sizeof(got), cases[i].hash);
	}
}

static void derived_ids_are_fnv_1a(void **state)
{
	const json_t *v;
	uint8_t *in;
	char got[17];
	size_t i, n;

	(void)state;
	json_array_foreach(section("fnv1a"), i, v) {
		in = vectors_unhex(vectors_text(v, "message"), &n);
		snprintf(got, sizeof(got), "%016llx",
			 (unsigned long long)snet_derived_id(in, n));
		assert_string_equal(got, vectors_text(v, "hash"));
		free(in);
	}
}

#define KEYS_MAX 8

static size_t take_keys(const json_t *list, struct snet_slice keys[KEYS_MAX])
{
	size_t n = json_array_size(list);

	assert_in_range(n, 0, KEYS_MAX);
	for (size_t i = 0; i < n; i++)
		keys[i].p =
			vectors_unhex(json_string_value(json_array_get(list, i)), &keys[i].n);
	return n;
}

static void list_digests_are_the_crates(void **state)
{
	struct snet_slice keys[KEYS_MAX] = { 0 };
	uint8_t got[SNET_BLAKE3_BYTES];
	const json_t *v;
	size_t i, n;

	(void)state;
	json_array_foreach(section("list_digest"), i, v) {
		n = take_keys(json_object_get(v, "keys"), keys);
		assert_int_equal(snet_list_digest(got, keys, n), SNET_OK);
		expect(got, sizeof(got), v, "hash");
		while (n--)
			free((void *)keys[n].p);
	}
	assert_int_equal(i, 6);
}

#define KEY(text)                                             \
	{                                                     \
		(const uint8_t *)text, sizeof(text) - 1, NULL \
	}

static void a_list_out_of_order_has_no_digest(void **state)
{
	const struct snet_slice rising[] = { KEY(""),    KEY("a"),  KEY("a"),
					     KEY("a\0"), KEY("ab"), KEY("\xff") };
	struct snet_slice two[2];
	uint8_t got[SNET_BLAKE3_BYTES] = { 0x5a };

	(void)state;
	for (size_t i = 0; i < 6; i++)
		for (size_t k = 0; k < 6; k++) {
			bool same = (i == 1 || i == 2) && (k == 1 || k == 2);
			int order = same ? 0 : (i > k) - (i < k),
			    was = snet_key_compare(&rising[i], &rising[k]);

			assert_int_equal((was > 0) - (was < 0), order);
			two[0] = rising[i];
			two[1] = rising[k];
			assert_int_equal(snet_list_digest(got, two, 2),
					 order > 0 ? SNET_EINVAL : SNET_OK);
		}
	assert_int_equal(snet_list_digest(got, rising, 6), SNET_OK);
}

static void random_bytes_differ_and_fill_what_was_asked(void **state)
{
	uint8_t a[64] = { 0 }, b[64] = { 0 };

	(void)state;
	assert_int_equal(snet_random(a, 32), SNET_OK);
	assert_int_equal(snet_random(b, 32), SNET_OK);
	assert_memory_not_equal(a, b, 32);
	for (size_t i = 32; i < 64; i++)
		assert_int_equal(a[i], 0);
	assert_int_equal(snet_random(a, 0), SNET_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blake3_agrees_with_its_published_vectors),
		cmocka_unit_test(blake3_does_not_care_how_the_input_is_cut),
		cmocka_unit_test(sha256_agrees_with_fips_180_4),
		cmocka_unit_test(hmac_sha1_agrees_with_rfc_2202),
		cmocka_unit_test(hmac_sha256_agrees_with_rfc_4231_however_the_message_is_cut),
		cmocka_unit_test(the_two_ways_to_hmac_sha1_agree),
		cmocka_unit_test(md5_agrees_with_rfc_1321),
		cmocka_unit_test(derived_ids_are_fnv_1a),
		cmocka_unit_test(list_digests_are_the_crates),
		cmocka_unit_test(a_list_out_of_order_has_no_digest),
		cmocka_unit_test(random_bytes_differ_and_fill_what_was_asked),
	};

	return cmocka_run_group_tests_name("crypto/hash", tests, load, unload);
}
