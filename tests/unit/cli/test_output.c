#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/input.h"
#include "cli/say.h"
#include "cli/sink.h"
#include "io/loop.h"

static const struct snet_message plain = {
	.kind = 32, .seq = 7, .p = (const uint8_t *)"hi", .n = 2
};

static void json_messages_carry_the_payload_as_asked(void **state)
{
	/* clang-format off */
	static const struct {
		enum payload payload;
		const char *bytes;
		size_t n;
		const char *expected;
	} cases[] = {
		{ PAYLOAD_DATA, "\0\xff", 2,      "\"data\":\"AP8=\"" },
		{ PAYLOAD_DATA, "", 0,            "\"data\":\"\"" },
		{ PAYLOAD_TEXT, "a\n\"", 3,       "\"text\":\"a\\n\\\"\"" },
		{ PAYLOAD_TEXT, "", 0,            "\"text\":\"\"" },
		{ PAYLOAD_TEXT, "\xff", 1,        "\"data\":\"/w==\"" },
		{ PAYLOAD_HEX,  "\0\xff", 2,      "\"hex\":\"00ff\"" },
		{ PAYLOAD_JSON, "{\"a\":1}", 7,   "\"json\":{\"a\":1}" },
		{ PAYLOAD_JSON, "{\n\"a\":\r\n1}", 10, "\"json\":{ \"a\":\r 1}" },
		{ PAYLOAD_JSON, "", 0,            "\"data\":\"\"" },
		{ PAYLOAD_JSON, "{}{}", 4,        "\"data\":\"e317fQ==\"" },
		{ PAYLOAD_JSON, "{", 1,           "\"data\":\"ew==\"" },
		{ PAYLOAD_JSON, " 1e5 ", 5,       "\"json\": 1e5 " },
	};
	/* clang-format on */
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_message m = plain;
		struct snet_buf b = SNET_BUF(4096);
		char expected[256];

		m.p = (const uint8_t *)cases[i].bytes;
		m.n = cases[i].n;
		snprintf(expected, sizeof(expected),
			 "{\"event\":\"message\",\"from\":4294967295,\"seq\":7,\"kind\":"
			 "\"data\",%s}\n",
			 cases[i].expected);
		assert_int_equal(output_json(&b, cases[i].payload, 4294967295u, &m), SNET_OK);
		snet_buf_u8(&b, 0);
		assert_string_equal((char *)b.p, expected);
		snet_buf_free(&b);
	}
}

static void stream_and_kind_stand_in_json(void **state)
{
	struct snet_message m = plain;
	struct snet_buf b = SNET_BUF(4096);

	(void)state;
	m.stream = 15;
	m.kind = 67;
	m.seq = UINT64_MAX;
	assert_int_equal(output_json(&b, PAYLOAD_TEXT, 0, &m), SNET_OK);
	m.kind = 200; /* has no name */
	m.stream = 0;
	m.seq = 7;
	assert_int_equal(output_json(&b, PAYLOAD_TEXT, 0, &m), SNET_OK);
	snet_buf_u8(&b, 0);
	assert_string_equal(
		(char *)b.p,
		"{\"event\":\"message\",\"from\":0,\"seq\":18446744073709551615,\"stream\":15,"
		"\"kind\":\"view-change\",\"text\":\"hi\"}\n"
		"{\"event\":\"message\",\"from\":0,\"seq\":7,\"kind\":\"200\",\"text\":\"hi\"}"
		"\n");
	snet_buf_free(&b);
}

static void a_full_buffer_never_holds_half_a_line(void **state)
{
	struct snet_message m = plain;
	struct snet_buf b = SNET_BUF(100);

	(void)state;
	assert_int_equal(output_json(&b, PAYLOAD_DATA, 1, &m), SNET_OK);
	assert_int_equal(output_json(&b, PAYLOAD_DATA, 1, &m), SNET_ETOOBIG);
	assert_false(b.bad);
	assert_int_equal(b.p[b.n - 1], '\n');
	snet_buf_free(&b);
}

/* What comes out of a program as messages goes into the next one as the same messages. */
static void every_byte_string_comes_back_through_input(void **state)
{
	static const enum payload payloads[] = { PAYLOAD_TEXT, PAYLOAD_JSON, PAYLOAD_DATA,
						 PAYLOAD_HEX };
	const struct input_opts o = {
		.format = FORMAT_JSON, .max_message = 4096, .kind = 1, .stream = 9
	};
	uint32_t seed = 12345;

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct snet_message m = { .stream = (unsigned)round % 16,
					  .kind = 32,
					  .seq = 1 };
		struct snet_buf b = SNET_BUF(1 << 20);
		struct input *in = NULL;
		struct input_message back;
		struct snet_error err = { 0 };
		uint8_t bytes[40], *room;
		size_t n;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1103515245 + 12345;
			bytes[i] = (uint8_t)(seed >> 16 & (round % 3 ? 0xff : 0x7f));
		}
		m.p = bytes;
		m.n = (size_t)round % 41;
		assert_int_equal(output_json(&b, payloads[round % 4], 3, &m), SNET_OK);
		assert_int_equal(input_new(&in, &o), SNET_OK);
		room = input_room(in, &n);
		assert_true(n >= b.n);
		memcpy(room, b.p, b.n);
		input_took(in, b.n);
		assert_int_equal(input_next(in, &back, &err), 1);
		assert_int_equal(back.total, m.n);
		if (m.n)
			assert_memory_equal(back.v[0].p, m.p, m.n);
		assert_int_equal(back.kind, 32);
		assert_int_equal(back.stream, m.stream ? m.stream : 9);
		input_free(in);
		snet_buf_free(&b);
	}
}

/* ---- through a sink */

static void stop(struct sink *s, void *user)
{
	(void)s;
	snet_loop_stop(user);
}

static size_t written(enum format format, const struct snet_message *m, int count, bool words,
		      uint8_t *out, size_t max)
{
	struct snet_loop *l = NULL;
	struct sink *s = NULL;
	struct output o;
	FILE *f = tmpfile();
	size_t n;

	assert_non_null(f);
	assert_int_equal(snet_loop_new(&l), SNET_OK);
	assert_int_equal(sink_new(&s, l, fileno(f), false, "test", output_room_max(1 << 20),
				  NULL, NULL, NULL),
			 SNET_OK);
	output_init(&o, s, format, PAYLOAD_TEXT, words);
	while (count--)
		assert_int_equal(output_message(&o, 258, m), SNET_OK);
	sink_flush_then(s, stop, l);
	snet_loop_run(l);
	assert_int_equal(sink_close(s, NULL), SNET_OK);
	snet_loop_free(l);
	rewind(f);
	n = fread(out, 1, max, f);
	fclose(f);
	return n;
}

static void every_format_has_its_bytes(void **state)
{
	/* clang-format off */
	static const struct {
		enum format format;
		bool words;
		const char *bytes;
		size_t n;
	} cases[] = {
		{ FORMAT_LINES,     false, "hi\nhi\n", 6 },
		{ FORMAT_FRAMED,    false, "\0\0\0\2hi\0\0\0\2hi", 12 },
		{ FORMAT_ADDRESSED, false, "\0\0\0\6\0\0\1\2hi\0\0\0\6\0\0\1\2hi", 20 },
		{ FORMAT_RAW,       false, "hihi", 4 },
		{ FORMAT_JSON,      true,  "message from=258 seq=7 kind=data text=hi\nmessage from=258 seq=7 kind=data text=hi\n", 82 },
	};
	/* clang-format on */
	uint8_t out[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			written(cases[i].format, &plain, 2, cases[i].words, out, sizeof(out)),
			cases[i].n);
		assert_memory_equal(out, cases[i].bytes, cases[i].n);
	}
}

static void large_payloads_stand_between_their_heads(void **state)
{
	size_t n = 100000;
	uint8_t *big = malloc(n), *out = malloc(3 * n);
	struct snet_message m = plain;

	(void)state;
	assert_non_null(big);
	assert_non_null(out);
	memset(big, 'b', n);
	m.p = big;
	m.n = n;
	assert_int_equal(written(FORMAT_FRAMED, &m, 2, false, out, 3 * n), 2 * (n + 4));
	assert_int_equal(snet_get_be32(out), n);
	assert_memory_equal(out + 4, big, n);
	assert_int_equal(snet_get_be32(out + n + 4), n);
	assert_memory_equal(out + n + 8, big, n);
	assert_int_equal(written(FORMAT_LINES, &m, 1, false, out, 3 * n), n + 1);
	assert_int_equal(out[n], '\n');
	free(big);
	free(out);
}

static void a_newline_inside_a_line_is_passed_on_and_counted(void **state)
{
	struct output o;
	struct snet_loop *l = NULL;
	struct sink *s = NULL;
	struct snet_message m = plain;
	FILE *f = tmpfile();

	(void)state;
	say_open("test", 0, true, false);
	assert_int_equal(snet_loop_new(&l), SNET_OK);
	assert_int_equal(sink_new(&s, l, fileno(f), false, "test", 4096, NULL, NULL, NULL),
			 SNET_OK);
	output_init(&o, s, FORMAT_LINES, PAYLOAD_DATA, false);
	m.p = (const uint8_t *)"a\nb";
	m.n = 3;
	assert_int_equal(output_message(&o, 1, &m), SNET_OK);
	assert_int_equal(output_message(&o, 1, &m), SNET_OK);
	assert_int_equal(output_message(&o, 1, &plain), SNET_OK);
	assert_int_equal(o.odd_lines, 2);
	assert_int_equal(sink_waiting(s), 11);
	sink_close(s, NULL);
	snet_loop_free(l);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_messages_carry_the_payload_as_asked),
		cmocka_unit_test(stream_and_kind_stand_in_json),
		cmocka_unit_test(a_full_buffer_never_holds_half_a_line),
		cmocka_unit_test(every_byte_string_comes_back_through_input),
		cmocka_unit_test(every_format_has_its_bytes),
		cmocka_unit_test(large_payloads_stand_between_their_heads),
		cmocka_unit_test(a_newline_inside_a_line_is_passed_on_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
