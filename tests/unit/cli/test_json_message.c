#include "cli/json_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The line in memory of its own, to be freed: parsing writes to it. */
static int parse(struct json_message *m, const char *line, size_t n, uint8_t **copy,
		 struct snet_error *err)
{
	*copy = malloc(n + 1);
	assert_non_null(*copy);
	memcpy(*copy, line, n);
	*err = (struct snet_error){ 0 };
	m->kind = 32;
	m->stream = 0;
	return json_message_parse(m, *copy, n, err);
}

static void a_line_is_a_message(void **state)
{
	/* clang-format off */
	static const struct {
		const char *line, *payload;
		bool all;
		unsigned n_to, first_to, stream, kind;
	} cases[] = {
		{ "{\"to\":1,\"text\":\"hi\"}",                       "hi",          false, 1, 1, 0, 32 },
		{ "{\"text\":\"\"}",                                  "",            false, 0, 0, 0, 32 },
		{ "{\"to\":[7,8,9],\"data\":\"AAEC\"}",               "\0\1\2",      false, 3, 7, 0, 32 },
		{ "{\"to\":\"all\",\"hex\":\"00fF\"}",                "\0\xff",      true,  0, 0, 0, 32 },
		{ " { \"hex\" : \"\" , \"to\" : [ 4294967294 ] } \r", "",            false, 1, 4294967294u, 0, 32 },
		{ "{\"json\":{\"a\":[1,2.50,\"x\"]},\"to\":0}",       "{\"a\":[1,2.50,\"x\"]}", false, 1, 0, 0, 32 },
		{ "{\"json\": 123456789012345678901234567890 }",      "123456789012345678901234567890", false, 0, 0, 0, 32 },
		{ "{\"kind\":\"dkg2\",\"stream\":15,\"text\":\"x\"}", "x",           false, 0, 0, 15, 2 },
		{ "{\"kind\":64,\"text\":\"x\"}",                     "x",           false, 0, 0, 0, 64 },
		{ "{\"event\":\"message\",\"from\":1,\"seq\":7,\"kind\":\"data\",\"data\":\"aGk=\"}", "hi", false, 0, 0, 0, 32 },
		{ "{\"text\":\"a\\n\\\"\\\\\\/\\b\\f\\r\\t\\u00e9\\ud83d\\ude00\"}", "a\n\"\\/\b\f\r\t\xc3\xa9\xf0\x9f\x98\x80", false, 0, 0, 0, 32 },
		{ "{\"t\\u0065xt\":\"\\u0041\"}",                     "A",           false, 0, 0, 0, 32 },
		{ "{\"peer\":{\"deep\":[[],{}]},\"text\":\"na\xc3\xafve\"}", "na\xc3\xafve", false, 0, 0, 0, 32 },
		{ "{\"client\":7,\"to\":[4,\"client:7\"],\"text\":\"x\"}", "x",      false, 1, 4, 0, 32 },
	};
	/* clang-format on */
	struct json_message m = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = i == 2 ? 3 : i == 3 ? 2 : strlen(cases[i].payload);
		struct snet_error err;
		uint8_t *copy;

		if (parse(&m, cases[i].line, strlen(cases[i].line), &copy, &err) != 1)
			fail_msg("%s: %s", cases[i].line, err.text);
		assert_int_equal(m.all, cases[i].all);
		assert_int_equal(m.n_to, cases[i].n_to);
		if (m.n_to)
			assert_int_equal(m.to[0], cases[i].first_to);
		assert_int_equal(m.stream, cases[i].stream);
		assert_int_equal(m.kind, cases[i].kind);
		assert_int_equal(m.n, n);
		assert_memory_equal(m.payload, cases[i].payload, n);
		free(copy);
	}
	free(m.to);
	free(m.clients);
}

static void clients_are_named_by_any_id(void **state)
{
	static const char line[] =
		"{\"to\":[\"client:0\",2,\"client:18446744073709551615\"],\"text\":\"x\"}";
	struct json_message m = { 0 };
	struct snet_error err;
	uint8_t *copy;

	(void)state;
	assert_int_equal(parse(&m, line, strlen(line), &copy, &err), 1);
	assert_false(m.all);
	assert_int_equal(m.n_to, 1);
	assert_int_equal(m.to[0], 2);
	assert_int_equal(m.n_clients, 2);
	assert_int_equal(m.clients[0], 0);
	assert_true(m.clients[1] == UINT64_MAX);
	free(copy);
	free(m.to);
	free(m.clients);
}

static void what_is_wrong_with_a_line_is_said(void **state)
{
	/* clang-format off */
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "nonsense",                           "column 1: not an object" },
		{ "[1]",                                "column 1: not an object" },
		{ "{",                                  "one object per line" },
		{ "{\"text\":\"x\"",                    "one object per line" },
		{ "{\"text\":\"x",                      "one object per line" },
		{ "{\"text\":\"x\"}}",                  "column 13: something follows the object" },
		{ "{\"text\":\"x\",}",                  "column 13: a string expected" },
		{ "{\"text\" \"x\"}",                   "column 9: ':' expected" },
		{ "{\"text\":\"x\" \"to\":1}",          "column 13: ',' or an end expected" },
		{ "{}",                                 "no payload" },
		{ "{\"to\":1}",                         "no payload" },
		{ "{\"text\":\"x\",\"hex\":\"00\"}",    "more than one payload" },
		{ "{\"text\":\"x\",\"text\":\"y\"}",    "a key is given twice" },
		{ "{\"text\":1}",                       "the payload is not a string" },
		{ "{\"text\":null}",                    "the payload is not a string" },
		{ "{\"data\":\"AAE\"}",                 "\"data\": not base64" },
		{ "{\"data\":\"AB==\"}",                "\"data\": not base64" },
		{ "{\"hex\":\"0\"}",                    "\"hex\": not pairs" },
		{ "{\"hex\":\"0g\"}",                   "\"hex\": not pairs" },
		{ "{\"text\":\"\xff\"}",                "a string is not UTF-8" },
		{ "{\"text\":\"\\ud800\"}",             "surrogate" },
		{ "{\"text\":\"\\udc00\"}",             "surrogate" },
		{ "{\"text\":\"\\ud800\\u0041\"}",      "surrogate" },
		{ "{\"text\":\"\\x\"}",                 "unknown escape" },
		{ "{\"text\":\"\\u00g0\"}",             "four hex digits" },
		{ "{\"text\":\"a\tb\"}",                "control character" },
		{ "{\"json\":01}",                      "',' or an end expected" },
		{ "{\"json\":1.}",                      "a digit expected" },
		{ "{\"json\":-}",                       "a digit expected" },
		{ "{\"json\":nul}",                     "a value expected" },
		{ "{\"json\":[1,]}",                    "a value expected" },
		{ "{\"json\":[1}",                      "',' or an end expected" },
		{ "{\"json\":{\"a\":1]}",               "',' or an end expected" },
		{ "{\"to\":-1,\"text\":\"x\"}",         "a number expected" },
		{ "{\"to\":1.0,\"text\":\"x\"}",        "a whole number expected" },
		{ "{\"to\":1e2,\"text\":\"x\"}",        "a whole number expected" },
		{ "{\"to\":01,\"text\":\"x\"}",         "a leading zero" },
		{ "{\"to\":4294967295,\"text\":\"x\"}", "a number too large" },
		{ "{\"to\":99999999999999999999,\"text\":\"x\"}", "a number too large" },
		{ "{\"to\":[],\"text\":\"x\"}",         "an empty list" },
		{ "{\"to\":[1,\"all\"],\"text\":\"x\"}", "\"to\": an id" },
		{ "{\"to\":\"client:\",\"text\":\"x\"}", "\"client:<id>\"" },
		{ "{\"to\":\"client:01\",\"text\":\"x\"}", "\"client:<id>\"" },
		{ "{\"to\":\"client:1 \",\"text\":\"x\"}", "\"client:<id>\"" },
		{ "{\"to\":\"client:18446744073709551616\",\"text\":\"x\"}", "\"client:<id>\"" },
		{ "{\"to\":\"some\",\"text\":\"x\"}",   "\"to\": an id" },
		{ "{\"to\":null,\"text\":\"x\"}",       "a number expected" },
		{ "{\"stream\":16,\"text\":\"x\"}",     "a number too large" },
		{ "{\"kind\":\"bye\",\"text\":\"x\"}",  "\"kind\": no record type" },
		{ "{\"kind\":0,\"text\":\"x\"}",        "\"kind\": no record type" },
		{ "{\"too\":1,\"text\":\"x\"}",         "unknown key \"too\"" },
		{ "{\"event\":1,\"text\":\"x\"}",       "\"event\": not a string" },
		{ "{\"text\":\"x\"}\f",                 "something follows" },
	};
	/* clang-format on */
	struct json_message m = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_error err;
		uint8_t *copy;

		assert_int_equal(parse(&m, cases[i].line, strlen(cases[i].line), &copy, &err),
				 SNET_EPROTO);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s: '%s'", cases[i].line, err.text);
		free(copy);
	}
	free(m.to);
	free(m.clients);
}

/* What one program says another may be given: what is no message is nothing to send. */
static void blank_lines_and_foreign_events_are_passed_over(void **state)
{
	static const char *const lines[] = {
		"",
		" \t\r",
		"{\"event\":\"peer.up\",\"peer\":1,\"address\":\"x\"}",
		"{\"event\":\"waiting\",\"text\":\"x\",\"for\":\"y\"}",
		("{\"event\":\"error\",\"code\":4,\"reason\":\"unreachable\",\"text\":\"x\","
		 "\"fatal\":true}"),
	};
	struct json_message m = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct snet_error err;
		uint8_t *copy;

		assert_int_equal(parse(&m, lines[i], strlen(lines[i]), &copy, &err), 0);
		free(copy);
	}
	free(m.to);
	free(m.clients);
}

/* Whatever the byte, and wherever in its word it stands: plain text is taken as it is, a quote
 * ends it, a backslash alone and control characters are wrong, and so is half of a character.
 */
static void any_byte_at_any_place_of_a_text(void **state)
{
	enum { LONG = 20 };
	struct json_message m = { 0 };

	(void)state;
	for (size_t at = 0; at < LONG; at++)
		for (unsigned c = 0; c < 256; c++) {
			char line[LONG + 16] = "{\"text\":\"", text[LONG + 1];
			const size_t head = strlen(line);
			bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
			struct snet_error err;
			uint8_t *copy;
			int rc;

			memset(text, 'x', LONG);
			text[at] = (char)c;
			memcpy(line + head, text, LONG);
			memcpy(line + head + LONG, "\"}", 3);
			rc = parse(&m, line, head + LONG + 2, &copy, &err);
			if (rc != (good ? 1 : SNET_EPROTO))
				fail_msg("byte %u at %zu: %d", c, at, rc);
			if (good)
				assert_int_equal(m.n, LONG);
			if (good)
				assert_memory_equal(m.payload, text, LONG);
			free(copy);
		}
	free(m.to);
}

/* As many characters of one to four bytes, and escapes, before it as there are places. */
static void a_quote_after_any_text_ends_it(void **state)
{
	static const char *const units[] = { "a", "\xc3\xa9", "\xe2\x82\xac",
					     "\xf0\x9f\x90\x8d", "\\n" };
	struct json_message m = { 0 };

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++)
		for (size_t count = 0; count < 20; count++) {
			char line[128] = "{\"text\":\"";
			size_t each = units[u][0] == '\\' ? 1 : strlen(units[u]);
			struct snet_error err;
			uint8_t *copy;

			for (size_t i = 0; i < count; i++)
				strcat(line, units[u]);
			strcat(line, "\"}");
			assert_int_equal(parse(&m, line, strlen(line), &copy, &err), 1);
			assert_int_equal(m.n, count * each);
			for (size_t i = 0; i < m.n; i++)
				assert_int_equal(m.payload[i],
						 each == 1 && u ? '\n'
								: (uint8_t)units[u][i % each]);
			free(copy);
		}
	free(m.to);
}

static void depth_is_bounded(void **state)
{
	struct json_message m = { 0 };
	struct snet_error err;
	char line[5000];
	uint8_t *copy;

	(void)state;
	memcpy(line, "{\"json\":", 8);
	memset(line + 8, '[', 1024);
	memset(line + 8 + 1024, ']', 1024);
	line[8 + 2048] = '}';
	assert_int_equal(parse(&m, line, 8 + 2048 + 1, &copy, &err), 1);
	assert_int_equal(m.n, 2048);
	free(copy);
	memset(line + 8, '[', 2000);
	assert_int_equal(parse(&m, line, 8 + 2000, &copy, &err), SNET_EPROTO);
	assert_non_null(strstr(err.text, "too deep"));
	free(copy);
}

/* Every prefix of a good line is a bad one, and reading it stays inside it. */
static void half_a_line_is_never_a_message(void **state)
{
	static const char line[] =
		"{\"to\":[1,22],\"json\":{\"a\":[true,null,-1.5e+3,\"\\u00e9\\ud83d\\ude00\"]},"
		"\"kind\":\"dkg1\",\"stream\":3}";
	struct json_message m = { 0 };
	struct snet_error err;
	uint8_t *copy;

	(void)state;
	for (size_t n = 1; n < sizeof(line) - 1; n++) {
		if (parse(&m, line, n, &copy, &err) != SNET_EPROTO)
			fail_msg("%.*s was taken", (int)n, line);
		free(copy);
	}
	assert_int_equal(parse(&m, line, sizeof(line) - 1, &copy, &err), 1);
	free(copy);
	free(m.to);
	free(m.clients);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_a_message),
		cmocka_unit_test(clients_are_named_by_any_id),
		cmocka_unit_test(what_is_wrong_with_a_line_is_said),
		cmocka_unit_test(blank_lines_and_foreign_events_are_passed_over),
		cmocka_unit_test(any_byte_at_any_place_of_a_text),
		cmocka_unit_test(a_quote_after_any_text_ends_it),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(half_a_line_is_never_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
