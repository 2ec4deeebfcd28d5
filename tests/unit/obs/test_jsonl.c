#include "obs/jsonl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static void assert_line(struct snet_buf *b, const char *expected)
{
	assert_false(b->bad);
	assert_int_equal(b->n, strlen(expected));
	assert_memory_equal(b->p, expected, b->n);
	snet_buf_free(b);
}

static void an_object_of_every_kind_is_one_line(void **state)
{
	struct snet_buf b = SNET_BUF(4096);

	(void)state;
	snet_json_open(&b);
	snet_json_words(&b, "event", "x");
	snet_json_uint(&b, "u", UINT64_MAX);
	snet_json_int(&b, "i", INT64_MIN);
	snet_json_bool(&b, "b", true);
	snet_json_base64(&b, "d", "\x00\xff", 2);
	snet_json_hex(&b, "h", "\x00\xff", 2);
	snet_json_raw(&b, "r", "{}", 2);
	snet_json_key(&b, "o");
	snet_json_open(&b);
	assert_int_equal(snet_json_text(&b, "t", "", 0), SNET_OK);
	snet_json_close(&b);
	snet_json_line(&b);
	assert_line(&b,
		    "{\"event\":\"x\",\"u\":18446744073709551615,\"i\":-9223372036854775808,"
		    "\"b\":true,\"d\":\"AP8=\",\"h\":\"00ff\",\"r\":{},\"o\":{\"t\":\"\"}}\n");
}

static void what_json_must_escape_is_escaped(void **state)
{
	struct snet_buf b = SNET_BUF(4096);

	(void)state;
	assert_int_equal(snet_json_string(&b, "a\"b\\c/\b\f\n\r\t\0\x1f\x7f", 14), SNET_OK);
	assert_line(&b, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"");
}

/* The scan goes eight bytes at a time: every special byte at every place of a word. */
static void a_special_byte_is_found_wherever_it_stands(void **state)
{
	static const char special[] = "\"\\\n\x1f";

	(void)state;
	for (size_t at = 0; at < 24; at++) {
		for (size_t s = 0; s < sizeof(special) - 1; s++) {
			struct snet_buf b = SNET_BUF(4096);
			char text[24];
			json_t *back;

			memset(text, s % 2 ? '!' : '~', sizeof(text));
			text[at] = special[s];
			assert_int_equal(snet_json_string(&b, text, sizeof(text)), SNET_OK);
			back = json_loadb((const char *)b.p, b.n, JSON_DECODE_ANY, NULL);
			assert_non_null(back);
			assert_int_equal(json_string_length(back), sizeof(text));
			assert_memory_equal(json_string_value(back), text, sizeof(text));
			json_decref(back);
			snet_buf_free(&b);
		}
	}
}

static void what_is_not_utf8_is_refused_and_leaves_no_trace(void **state)
{
	static const char *const bad[] = { "\xff",         "abc\x80",          "\xc0\xaf",
					   "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct snet_buf b = SNET_BUF(4096);

		snet_json_open(&b);
		assert_int_equal(snet_json_text(&b, "text", bad[i], strlen(bad[i])),
				 SNET_EINVAL);
		assert_int_equal(snet_json_string(&b, bad[i], strlen(bad[i])), SNET_EINVAL);
		assert_line(&b, "{");
	}
}

static void words_replace_broken_bytes(void **state)
{
	struct snet_buf b = SNET_BUF(4096);

	(void)state;
	snet_json_open(&b);
	snet_json_words(&b, "text", "na\xc3\xafve \xff\x80\"\xe2\x82");
	snet_json_line(&b);
	assert_line(&b, "{\"text\":\"na\xc3\xafve "
			"\xef\xbf\xbd\xef\xbf\xbd\\\"\xef\xbf\xbd\xef\xbf\xbd\"}\n");
}

static void a_full_buffer_is_bad_not_broken(void **state)
{
	struct snet_buf b = SNET_BUF(16);

	(void)state;
	snet_json_open(&b);
	snet_json_base64(&b, "data", "0123456789", 10);
	assert_true(b.bad);
	assert_true(b.n <= 16);
	snet_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_of_every_kind_is_one_line),
		cmocka_unit_test(what_json_must_escape_is_escaped),
		cmocka_unit_test(a_special_byte_is_found_wherever_it_stands),
		cmocka_unit_test(what_is_not_utf8_is_refused_and_leaves_no_trace),
		cmocka_unit_test(words_replace_broken_bytes),
		cmocka_unit_test(a_full_buffer_is_bad_not_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
