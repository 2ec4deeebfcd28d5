#include "cli/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/torture.h"

enum { MAX = 1 << 20 };

static struct input *open_input(enum format format, uint32_t max)
{
	const struct input_opts o = {
		.format = format, .max_message = max, .kind = 32, .stream = 0
	};
	struct input *in = NULL;

	assert_int_equal(input_new(&in, &o), SNET_OK);
	return in;
}

static void feed(struct input *in, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n) {
		size_t room, k;
		uint8_t *to = input_room(in, &room);

		assert_non_null(to);
		assert_true(room > 0);
		k = n < room ? n : room;
		memcpy(to, at, k);
		input_took(in, k);
		at += k;
		n -= k;
	}
}

/* The slices in one piece, to be freed. */
static uint8_t *joined(const struct input_message *m)
{
	uint8_t *p = malloc(m->total + 1);
	size_t n = 0;

	assert_non_null(p);
	for (size_t i = 0; i < m->n; i++) {
		assert_true(m->v[i].n > 0);
		memcpy(p + n, m->v[i].p, m->v[i].n);
		n += m->v[i].n;
	}
	assert_int_equal(n, m->total);
	p[n] = 0;
	return p;
}

static void expect(struct input *in, const char *payload, size_t n)
{
	struct snet_error err = { 0 };
	struct input_message m;
	int rc = input_next(in, &m, &err);
	uint8_t *p;

	if (rc != 1)
		fail_msg("%d: %s", rc, err.text);
	assert_int_equal(m.total, n);
	p = joined(&m);
	assert_memory_equal(p, payload, n);
	free(p);
}

static void expect_bad(struct input *in, int code, const char *text)
{
	struct snet_error err = { 0 };
	struct input_message m;
	int rc = input_next(in, &m, &err);

	assert_int_equal(rc, code);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, text))
		fail_msg("'%s' is not in '%s'", text, err.text);
}

static void expect_nothing(struct input *in)
{
	struct snet_error err = { 0 };
	struct input_message m;

	assert_int_equal(input_next(in, &m, &err), 0);
}

/* ---- json: what a line means is tested with json_message */

static void a_bad_line_of_json_is_named_and_the_next_is_read(void **state)
{
	static const char text[] = "\n{\"text\":1}\n{\"event\":\"ready\",\"peers\":1}\n"
				   "{\"to\":[3,4],\"text\":\"x\",\"stream\":2,\"kind\":"
				   "\"vote\"}\n{\"text\":\"y\"}";
	struct input *in = open_input(FORMAT_JSON, MAX);
	struct snet_error err;
	struct input_message m;

	(void)state;
	feed(in, text, sizeof(text) - 1);
	expect_bad(in, SNET_EPROTO, "line 2: column 9: the payload is not a string");
	assert_false(input_is_broken(in));
	assert_int_equal(input_line(in), 2);
	assert_int_equal(input_next(in, &m, &err), 1);
	assert_int_equal(m.line, 4);
	assert_int_equal(m.n_to, 2);
	assert_int_equal(m.to[1], 4);
	assert_int_equal(m.stream, 2);
	assert_int_equal(m.kind, 65);
	expect_nothing(in);
	input_end(in);
	assert_int_equal(input_next(in, &m, &err), 1);
	assert_int_equal(m.line, 5);
	assert_int_equal(m.n_to, 0);
	assert_int_equal(m.stream, 0);
	assert_int_equal(m.kind, 32);
	input_free(in);
}

/* ---- lines */

static void lines_are_messages_and_the_last_needs_no_newline(void **state)
{
	struct input *in = open_input(FORMAT_LINES, MAX);

	(void)state;
	feed(in, "a\n\nb\r\nc\0d", 9);
	expect(in, "a", 1);
	expect(in, "", 0);
	expect(in, "b\r", 2);
	expect_nothing(in);
	input_end(in);
	expect(in, "c\0d", 3);
	expect_nothing(in);
	input_free(in);
}

static void a_line_too_long_is_passed_over_to_its_end(void **state)
{
	static const enum format formats[] = { FORMAT_LINES, FORMAT_JSON };
	char big[9000];

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < 2; i++) {
		struct input *in = open_input(formats[i], 100);
		const char *next = i ? "\n{\"text\":\"x\"}\n" : "\nx\n";

		feed(in, big, sizeof(big));
		expect_bad(in, SNET_ETOOBIG, "line 1: too long, a message has at most 100");
		expect_nothing(in);
		feed(in, big, sizeof(big));
		expect_nothing(in);
		feed(in, next, strlen(next));
		expect(in, "x", 1);
		assert_int_equal(input_line(in), 2);
		input_free(in);
	}
}

static void a_payload_over_the_ceiling_is_refused_and_one_at_it_is_not(void **state)
{
	struct input *in = open_input(FORMAT_JSON, 4);

	(void)state;
	feed(in, "{\"text\":\"12345\"}\n{\"text\":\"1234\"}\n", 33);
	expect_bad(in, SNET_ETOOBIG, "line 1: too long");
	expect(in, "1234", 4);
	input_free(in);
	in = open_input(FORMAT_LINES, 4);
	feed(in, "12345\n1234\n", 11);
	expect_bad(in, SNET_ETOOBIG, "line 1");
	expect(in, "1234", 4);
	input_free(in);
}

/* ---- framed, addressed */

static void frames_are_messages(void **state)
{
	struct input *in = open_input(FORMAT_FRAMED, MAX);

	(void)state;
	feed(in, "\0\0\0\2hi\0\0\0\0\0\0\0\1", 14);
	expect(in, "hi", 2);
	expect(in, "", 0);
	expect_nothing(in);
	feed(in, "x", 1);
	expect(in, "x", 1);
	input_end(in);
	expect_nothing(in);
	assert_false(input_is_broken(in));
	input_free(in);
}

static void addressed_frames_name_their_party(void **state)
{
	struct input *in = open_input(FORMAT_ADDRESSED, MAX);
	struct snet_error err;
	struct input_message m;

	(void)state;
	feed(in, "\0\0\0\5\0\0\1\2x\0\0\0\4\xff\xff\xff\xff", 17);
	assert_int_equal(input_next(in, &m, &err), 1);
	assert_int_equal(m.n_to, 1);
	assert_int_equal(m.to[0], 258);
	assert_int_equal(m.total, 1);
	assert_false(m.all);
	assert_int_equal(input_next(in, &m, &err), 1);
	assert_true(m.all);
	assert_int_equal(m.n_to, 0);
	assert_int_equal(m.total, 0);
	feed(in, "\0\0\0\3abc\0\0\0\5\0\0\0\1y", 16);
	expect_bad(in, SNET_EPROTO, "byte 17: a message of 3 bytes cannot name its party");
	expect(in, "y", 1);
	input_free(in);
}

static void an_oversize_frame_breaks_the_stream(void **state)
{
	struct input *in = open_input(FORMAT_FRAMED, 10);

	(void)state;
	feed(in, "\0\0\0\1x\0\0\0\x0b", 9);
	expect(in, "x", 1);
	expect_bad(in, SNET_ETOOBIG, "byte 5: a message of 11 bytes, the ceiling is 10");
	assert_true(input_is_broken(in));
	feed(in, "\0\0\0\1x", 5);
	expect_nothing(in);
	input_free(in);
	in = open_input(FORMAT_ADDRESSED, 10);
	feed(in,
	     "\0\0\0\x0e\0\0\0\1"
	     "0123456789\xff\xff\xff\xff",
	     22);
	expect(in, "0123456789", 10);
	expect_bad(in, SNET_ETOOBIG, "byte 18: a message of 4294967291 bytes");
	input_free(in);
}

static void half_a_frame_at_the_end_is_truncated(void **state)
{
	static const struct {
		enum format format;
		const char *bytes;
		size_t n;
		const char *text;
	} cases[] = {
		{ FORMAT_FRAMED, "\0\0\0", 3,
		  "byte 3: the stream ends inside a message, 3 of 4 bytes" },
		{ FORMAT_FRAMED, "\0\0\0\5ab", 6, "2 of 5 bytes" },
		{ FORMAT_FRAMED, "\0\1\0\0ab", 6, "2 of 65536 bytes" },
		{ FORMAT_ADDRESSED, "\0\0\0\5\0\0", 6, "0 of 1 bytes" },
		{ FORMAT_ADDRESSED, "\0\0\0\2\0", 5, "5 of 8 bytes" },
		{ FORMAT_ADDRESSED, "\0\1\0\0\0\0\0\1x", 9, "1 of 65532 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct input *in = open_input(cases[i].format, MAX);

		feed(in, cases[i].bytes, cases[i].n);
		expect_nothing(in);
		input_end(in);
		expect_bad(in, SNET_ETRUNCATED, cases[i].text);
		assert_true(input_is_broken(in));
		expect_nothing(in);
		input_free(in);
	}
}

static void the_end_between_frames_is_clean_in_every_format(void **state)
{
	(void)state;
	for (int f = FORMAT_JSON; f <= FORMAT_RAW; f++) {
		struct input *in = open_input((enum format)f, MAX);

		input_end(in);
		expect_nothing(in);
		assert_false(input_is_broken(in));
		input_free(in);
	}
}

/* ---- pieces */

/* Messages of every size around the limits of blocks and copies, fed in pieces of step bytes:
 * the slices are right, the small ones come without block, the large ones are not copied. */
static void large_messages_are_lists_of_blocks(void **state)
{
	static const size_t sizes[] = { 0,     1,     1023,   1024,   1025,   16383,   16384,
					16385, 65536, 262143, 262144, 262145, 1048576, 5 };
	static const size_t steps[] = { 65536, 1000, 262144, 7919 };
	uint8_t *stream = malloc(8 << 20);

	(void)state;
	assert_non_null(stream);
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		struct input *in = open_input(FORMAT_FRAMED, MAX);
		size_t n = 0, at = 0, got = 0;
		struct snet_block *held[64];
		size_t n_held = 0;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			snet_put_be32(stream + n, (uint32_t)sizes[i]);
			n += 4;
			for (size_t k = 0; k < sizes[i]; k++)
				stream[n++] = (uint8_t)(k * 31 + i);
		}
		while (at < n) {
			struct snet_error err = { 0 };
			struct input_message m;
			size_t k = n - at < steps[s] ? n - at : steps[s], room;
			uint8_t *to = input_room(in, &room);

			k = k < room ? k : room;
			memcpy(to, stream + at, k);
			input_took(in, k);
			at += k;
			while (input_next(in, &m, &err) == 1) {
				uint8_t *p = joined(&m);

				assert_int_equal(m.total, sizes[got]);
				for (size_t b = 0; b < m.total; b++)
					if (p[b] != (uint8_t)(b * 31 + got))
						fail_msg("byte %zu of message %zu", b, got);
				assert_true(m.n <= m.total / (INPUT_BLOCK - (16 << 10)) + 2);
				for (size_t v = 0; v < m.n; v++) {
					assert_int_equal(m.v[v].block != NULL,
							 m.total > INPUT_COPY);
					if (m.v[v].block && n_held < 64)
						held[n_held++] = snet_block_hold(m.v[v].block);
				}
				free(p);
				got++;
			}
			assert_int_equal(err.code, 0);
		}
		assert_int_equal(got, sizeof(sizes) / sizeof(sizes[0]));
		input_free(in);
		while (n_held)
			snet_block_free(held[--n_held]);
	}
	free(stream);
}

/* A long line grows one block, and the block is let go again. */
static void a_long_line_is_one_slice(void **state)
{
	struct input *in = open_input(FORMAT_JSON, 8 << 20);
	size_t n = 4 << 20;
	char *line = malloc(n + 32);
	size_t room;

	(void)state;
	assert_non_null(line);
	memcpy(line, "{\"text\":\"", 9);
	memset(line + 9, 'y', n);
	memcpy(line + 9 + n, "\"}\n", 3);
	for (int i = 0; i < 3; i++) {
		for (size_t at = 0; at < n + 12;) {
			uint8_t *to = input_room(in, &room);
			size_t k = n + 12 - at < room ? n + 12 - at : room;

			assert_non_null(to);
			k = k < 65536 ? k : 65536;
			memcpy(to, line + at, k);
			input_took(in, k);
			at += k;
			if (at < n + 12)
				expect_nothing(in);
		}
		expect(in, line + 9, n);
		expect_nothing(in);
	}
	assert_non_null(input_room(in, &room));
	assert_true(room <= INPUT_BLOCK);
	input_free(in);
	free(line);
}

static void raw_hands_on_what_is_there(void **state)
{
	struct input *in = open_input(FORMAT_RAW, 4);

	(void)state;
	feed(in, "abcdef", 6);
	expect(in, "abcd", 4); /* not above the ceiling */
	expect(in, "ef", 2);
	expect_nothing(in);
	assert_int_equal(input_bytes(in), 6);
	input_free(in);
}

/* A block that nobody else holds is used again: memory stays flat. */
static void the_same_block_is_used_again(void **state)
{
	struct input *in = open_input(FORMAT_FRAMED, MAX);
	size_t room;
	uint8_t *first = input_room(in, &room);

	(void)state;
	for (int i = 0; i < 100; i++) {
		feed(in, "\0\0\0\2hi", 6);
		expect(in, "hi", 2);
		expect_nothing(in);
		assert_ptr_equal(input_room(in, &room), first);
		assert_int_equal(room, INPUT_BLOCK);
	}
	input_free(in);
}

/* ---- memory */

static int read_all(void *user)
{
	const struct input_opts o = { .format = *(enum format *)user,
				      .max_message = MAX,
				      .kind = 32 };
	static const char json[] = "{\"to\":[1,2,3,4,5,6,7,8,9,10],\"text\":\"x\"}\n";
	struct input *in = NULL;
	struct input_message m;
	struct snet_error err;
	int rc = input_new(&in, &o);
	size_t room, left = 600000;

	while (!rc && left) {
		uint8_t *to = input_room(in, &room);

		if (!to) {
			rc = SNET_ENOMEM;
			break;
		}
		room = room < left ? room : left;
		left -= room;
		memset(to, o.format == FORMAT_JSON ? ' ' : 0, room);
		if (o.format == FORMAT_JSON && !left)
			memcpy(to + room - sizeof(json) + 1, json, sizeof(json) - 1);
		else if (o.format == FORMAT_FRAMED && left + room == 600000)
			memcpy(to, "\0\7\xff\xff", 4); /* 524287 bytes */
		input_took(in, room);
		while ((rc = input_next(in, &m, &err)) > 0)
			;
	}
	input_free(in);
	return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
	enum format formats[] = { FORMAT_JSON, FORMAT_FRAMED };

	(void)state;
	assert_true(torture(read_all, &formats[0]) > 3);
	assert_true(torture(read_all, &formats[1]) > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_line_of_json_is_named_and_the_next_is_read),
		cmocka_unit_test(lines_are_messages_and_the_last_needs_no_newline),
		cmocka_unit_test(a_line_too_long_is_passed_over_to_its_end),
		cmocka_unit_test(a_payload_over_the_ceiling_is_refused_and_one_at_it_is_not),
		cmocka_unit_test(frames_are_messages),
		cmocka_unit_test(addressed_frames_name_their_party),
		cmocka_unit_test(an_oversize_frame_breaks_the_stream),
		cmocka_unit_test(half_a_frame_at_the_end_is_truncated),
		cmocka_unit_test(the_end_between_frames_is_clean_in_every_format),
		cmocka_unit_test(large_messages_are_lists_of_blocks),
		cmocka_unit_test(a_long_line_is_one_slice),
		cmocka_unit_test(raw_hands_on_what_is_there),
		cmocka_unit_test(the_same_block_is_used_again),
		cmocka_unit_test(running_out_of_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
