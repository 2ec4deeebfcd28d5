#include "obs/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* RFC 4648 §10 */
static const struct {
	const char *bytes, *base64, *hex;
} vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "66" },
	{ "fo", "Zm8=", "666f" },
	{ "foo", "Zm9v", "666f6f" },
	{ "foob", "Zm9vYg==", "666f6f62" },
	{ "fooba", "Zm9vYmE=", "666f6f6261" },
	{ "foobar", "Zm9vYmFy", "666f6f626172" },
};

static void vectors_of_the_rfc_hold_both_ways(void **state)
{
	uint8_t out[32];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		size_t len = strlen(vectors[i].bytes);

		n = snet_base64_encode(out, vectors[i].bytes, len);
		assert_int_equal(n, snet_base64_len(len));
		assert_int_equal(n, strlen(vectors[i].base64));
		assert_memory_equal(out, vectors[i].base64, n);
		assert_int_equal(snet_base64_decode(out, &n, vectors[i].base64, n), SNET_OK);
		assert_int_equal(n, len);
		assert_memory_equal(out, vectors[i].bytes, n);
		n = snet_hex_encode(out, vectors[i].bytes, len);
		assert_int_equal(n, strlen(vectors[i].hex));
		assert_memory_equal(out, vectors[i].hex, n);
		assert_int_equal(snet_hex_decode(out, &n, vectors[i].hex, n), SNET_OK);
		assert_int_equal(n, len);
		assert_memory_equal(out, vectors[i].bytes, n);
	}
}

static void every_byte_survives_base64_in_place(void **state)
{
	uint8_t bytes[256], text[344];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	n = snet_base64_encode(text, bytes, sizeof(bytes));
	assert_int_equal(n, sizeof(text));
	assert_int_equal(snet_base64_decode(text, &n, text, n), SNET_OK);
	assert_int_equal(n, sizeof(bytes));
	assert_memory_equal(text, bytes, n);
}

static void base64_that_is_not_strict_is_refused(void **state)
{
	static const char *const bad[] = {
		"Z",     "Zg",   "Zg=",      "Zg= =",   "Zm9v\n",
		"Zm9v ", "Z===", "====",     "Zh==",    /* stray bits */ "Zm9=",
		"Zm9-",  "Zm9_", "Zg==Zg==", "Zm9vZg=", "=m9v",
		"Z=9v",
	};
	uint8_t out[32];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (snet_base64_decode(out, &n, bad[i], strlen(bad[i])) != SNET_EINVAL || n)
			fail_msg("'%s' was taken", bad[i]);
}

/* The strict meaning, a digit at a time: the number of bytes, or SNET_EINVAL. */
static int reference(uint8_t *out, const char *p, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, have = 0;
	size_t pads = 0;
	int count = 0;

	while (pads < 2 && pads < n && p[n - 1 - pads] == '=')
		pads++;
	for (size_t i = 0; i < n - pads; i++) {
		const char *at = p[i] ? strchr(digits, p[i]) : NULL;

		if (!at)
			return SNET_EINVAL;
		bits = (bits << 6 | (unsigned)(at - digits)) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		out[count++] = (uint8_t)(bits >> have);
	}
	return n % 4 || bits & ((1u << have) - 1) ? SNET_EINVAL : count;
}

/* In memory that is just large enough. */
static void decodes_as_the_reference(const char *text, size_t n)
{
	uint8_t wanted[16], *got = malloc(n / 4 * 3 + 1);
	int count = reference(wanted, text, n);
	size_t got_n;

	assert_non_null(got);
	assert_int_equal(snet_base64_decode(got + 1, &got_n, text, n),
			 count < 0 ? SNET_EINVAL : SNET_OK);
	assert_int_equal(got_n, count < 0 ? 0 : count);
	assert_memory_equal(got + 1, wanted, got_n);
	free(got);
}

static void base64_is_what_a_reference_says(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 16; n++) {
		char text[16];

		for (size_t i = 0; i < n; i++)
			for (unsigned c = 0; c < 256; c++) {
				memset(text, 'A', sizeof(text)); /* no bit is set */
				text[i] = (char)c;
				decodes_as_the_reference(text, n);
				for (size_t k = 1; k <= 2 && k < n; k++) {
					memset(text + n - k, '=', k);
					decodes_as_the_reference(text, n);
				}
			}
	}
}

static void hex_takes_either_case_and_nothing_else(void **state)
{
	uint8_t out[4];
	size_t n;

	(void)state;
	assert_int_equal(snet_hex_decode(out, &n, "aBFf09", 6), SNET_OK);
	assert_memory_equal(out, "\xab\xff\x09", 3);
	assert_int_equal(snet_hex_decode(out, &n, "abc", 3), SNET_EINVAL);
	assert_int_equal(snet_hex_decode(out, &n, "0g", 2), SNET_EINVAL);
	assert_int_equal(snet_hex_decode(out, &n, "@0", 2), SNET_EINVAL);
	assert_int_equal(snet_hex_decode(out, &n, "0x", 2), SNET_EINVAL);
}

static void decimals_have_the_digits_they_need(void **state)
{
	static const struct {
		uint64_t v;
		const char *text;
	} cases[] = { { 0, "0" },
		      { 9, "9" },
		      { 10, "10" },
		      { 4294967295u, "4294967295" },
		      { UINT64_MAX, "18446744073709551615" } };
	uint8_t out[SNET_DECIMAL_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = snet_decimal(out, cases[i].v);

		assert_int_equal(n, strlen(cases[i].text));
		assert_memory_equal(out, cases[i].text, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_the_rfc_hold_both_ways),
		cmocka_unit_test(every_byte_survives_base64_in_place),
		cmocka_unit_test(base64_that_is_not_strict_is_refused),
		cmocka_unit_test(base64_is_what_a_reference_says),
		cmocka_unit_test(hex_takes_either_case_and_nothing_else),
		cmocka_unit_test(decimals_have_the_digits_they_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
