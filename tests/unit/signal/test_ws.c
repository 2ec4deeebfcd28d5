/* signal/ws: the two sides against each other, and a stranger's frames byte by byte, RFC 6455.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal/ws.h"
#include "support/torture.h"

#define MAX 1000 /* bytes of a message here */

struct side {
	struct snet_ws *w;
	char text[64];
	unsigned texts, closes, code;
	char why[SNET_WS_REASON + 1];
	size_t last;
};

static struct side client, server;

static int zero(void *p, size_t n)
{
	memset(p, 0x5a, n);
	return 0;
}

static void on_text(const uint8_t *p, size_t n, void *user)
{
	struct side *s = user;

	s->texts++;
	s->last = n;
	if (n && n < sizeof(s->text) - strlen(s->text))
		strncat(s->text, (const char *)p, n);
}

static void on_close(unsigned code, const char *why, void *user)
{
	struct side *s = user;

	s->closes++;
	s->code = code;
	strcpy(s->why, why);
}

static const struct snet_ws_events events = { on_text, on_close };

static int setup(void **state)
{
	const struct snet_ws_opts c = { true, MAX, zero }, s = { .max_message = MAX };

	(void)state;
	client = server = (struct side){ 0 };
	assert_int_equal(snet_ws_new(&client.w, &c, &events, &client), SNET_OK);
	assert_int_equal(snet_ws_new(&server.w, &s, &events, &server), SNET_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snet_ws_free(client.w);
	snet_ws_free(server.w);
	return 0;
}

/* All that one has to say, in pieces, to the other. */
static int carry(struct side *from, struct side *to, size_t piece)
{
	uint8_t p[4096];
	size_t n;
	int rc = SNET_OK;

	while ((n = snet_ws_output(from->w, p, piece)) && !rc)
		rc = snet_ws_input(to->w, p, n);
	return rc;
}

/* ---- the two sides */

static void messages_go_both_ways_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 40; piece += 3) {
		client.text[0] = server.text[0] = 0;
		assert_int_equal(snet_ws_text(client.w, "{\"a\":1}", 7), SNET_OK);
		assert_int_equal(snet_ws_text(client.w, "", 0), SNET_OK);
		assert_int_equal(snet_ws_text(server.w, "{\"b\":2}", 7), SNET_OK);
		assert_true(snet_ws_wants_output(client.w));
		assert_int_equal(carry(&client, &server, piece), SNET_OK);
		assert_int_equal(carry(&server, &client, piece), SNET_OK);
		assert_string_equal(server.text, "{\"a\":1}");
		assert_string_equal(client.text, "{\"b\":2}");
		assert_false(snet_ws_wants_output(client.w));
		assert_int_equal(snet_ws_queued(client.w), 0);
	}
	assert_int_equal(server.texts, 2 * 13);
}

static void pings_are_answered(void **state)
{
	uint8_t p[64];

	(void)state;
	assert_int_equal(snet_ws_ping(server.w), SNET_OK);
	assert_int_equal(carry(&server, &client, 64), SNET_OK);
	assert_int_equal(snet_ws_output(client.w, p, sizeof(p)), 6);
	assert_int_equal(p[0], 0x8a); /* pong */
	assert_int_equal(snet_ws_input(server.w, p, 6), SNET_OK);
	assert_int_equal(server.texts + server.closes, 0);
}

static void farewells_are_answered_and_end_it(void **state)
{
	char why[200];

	(void)state;
	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = 0;
	snet_ws_close(server.w, SNET_WS_GOING_AWAY, why);
	assert_int_equal(snet_ws_text(server.w, "{}", 2), SNET_ECLOSED);
	assert_int_equal(carry(&server, &client, 4096), SNET_OK);
	assert_int_equal(client.closes, 1);
	assert_int_equal(client.code, SNET_WS_GOING_AWAY);
	assert_int_equal(strlen(client.why), SNET_WS_REASON);
	assert_int_equal(snet_ws_text(client.w, "{}", 2), SNET_ECLOSED);
	assert_false(snet_ws_is_closed(server.w));
	assert_int_equal(carry(&client, &server, 4096), SNET_OK);
	assert_true(snet_ws_is_closed(server.w));
	assert_true(snet_ws_is_closed(client.w));
	assert_int_equal(server.code, SNET_WS_GOING_AWAY);
}

static void what_was_said_before_a_farewell_goes_before_it(void **state)
{
	(void)state;
	assert_int_equal(snet_ws_text(client.w, "{\"a\":1}", 7), SNET_OK);
	assert_int_equal(snet_ws_text(client.w, "{\"b\":2}", 7), SNET_OK);
	snet_ws_close(client.w, SNET_WS_NORMAL, "");
	assert_int_equal(carry(&client, &server, 4096), SNET_OK);
	assert_string_equal(server.text, "{\"a\":1}{\"b\":2}");
	assert_int_equal(server.code, SNET_WS_NORMAL);
}

static void what_is_queued_is_counted_with_what_it_costs(void **state)
{
	(void)state;
	assert_int_equal(snet_ws_text(client.w, "{}", 2), SNET_OK);
	assert_int_equal(snet_ws_text(client.w, "{}", 2), SNET_OK);
	assert_int_equal(snet_ws_queued(client.w), 2 * (2 + SNET_WS_OVERHEAD));
}

static void a_message_of_the_longest_kind_comes_through(void **state)
{
	char text[MAX + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(snet_ws_text(client.w, text, MAX), SNET_OK);
	assert_int_equal(carry(&client, &server, 100), SNET_OK);
	assert_int_equal(server.last, MAX);
	assert_int_equal(snet_ws_text(client.w, text, MAX + 1), SNET_OK);
	assert_int_equal(carry(&client, &server, 100), SNET_ETOOBIG);
	assert_int_equal(server.texts, 1);
	carry(&server, &client, 100);
	assert_int_equal(client.code, SNET_WS_TOO_BIG);
}

/* ---- strangers */

static void what_a_stranger_sends_is_answered_as_the_rfc_has_it(void **state)
{
	/* a mask of zeros keeps the frames legible */
	static const struct {
		const char *what, *bytes;
		size_t n;
		int rc;
		unsigned code; /* the answer's; 1005: a close frame without; 0: none */
		const char *text;
	} cases[] = {
#define CASE(what, bytes, rc, code, text) { what, bytes, sizeof(bytes) - 1, rc, code, text }
		CASE("a message", "\x81\x82\0\0\0\0{}", SNET_OK, 0, "{}"),
		CASE("fragments", "\x01\x81\0\0\0\0{\x80\x81\0\0\0\0}", SNET_OK, 0, "{}"),
		CASE("a ping between fragments",
		     "\x01\x81\0\0\0\0{\x89\x80\0\0\0\0\x80\x81\0\0\0\0}", SNET_OK, 0, "{}"),
		CASE("not masked", "\x81\x02{}", SNET_EPROTO, 1002, ""),
		CASE("a reserved bit", "\xc1\x82\0\0\0\0{}", SNET_EPROTO, 1002, ""),
		CASE("a reserved opcode", "\x83\x82\0\0\0\0{}", SNET_EPROTO, 1002, ""),
		CASE("a continuation of nothing", "\x80\x82\0\0\0\0{}", SNET_EPROTO, 1002, ""),
		CASE("a message within a message", "\x01\x81\0\0\0\0{\x81\x82\0\0\0\0{}",
		     SNET_EPROTO, 1002, ""),
		CASE("a fragmented ping", "\x09\x80\0\0\0\0", SNET_EPROTO, 1005, ""),
		CASE("a ping of 126 bytes", "\x89\xfe\0\x7e\0\0\0\0", SNET_EPROTO, 1005, ""),
		CASE("a long length of a short message", "\x81\xfe\0\x02\0\0\0\0{}",
		     SNET_EPROTO, 1005, ""),
		CASE("a length above 2^63", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
		     SNET_EPROTO, 1005, ""),
		CASE("a length of 2^62", "\x81\xff\x40\0\0\0\0\0\0\0\0\0\0\0{", SNET_ETOOBIG,
		     1009, ""),
		CASE("binary", "\x82\x82\0\0\0\0{}", SNET_EPROTO, 1003, ""),
		CASE("no UTF-8", "\x81\x82\0\0\0\0\xc3(", SNET_EPROTO, 1007, ""),
		CASE("a farewell", "\x88\x82\0\0\0\0\x03\xe8", SNET_OK, 1000, ""),
		CASE("a farewell of one byte", "\x88\x81\0\0\0\0\x03", SNET_OK, 1005, ""),
		CASE("a farewell with a forbidden code", "\x88\x82\0\0\0\0\x03\xed",
		     SNET_EPROTO, 1002, ""),
		CASE("words after a farewell", "\x88\x82\0\0\0\0\x03\xe8\x81\x82\0\0\0\0{}",
		     SNET_OK, 1000, ""),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t out[256];
		unsigned code;
		size_t n;
		int rc;

		teardown(NULL);
		setup(NULL);
		rc = snet_ws_input(server.w, (const uint8_t *)cases[i].bytes, cases[i].n);
		if (rc != cases[i].rc)
			fail_msg("%s: %d, not %d", cases[i].what, rc, cases[i].rc);
		assert_string_equal(server.text, cases[i].text);
		n = snet_ws_output(server.w, out, sizeof(out));
		if (!cases[i].code)
			continue;
		code = n < 4 ? SNET_WS_NO_CODE : (unsigned)(out[2] << 8 | out[3]);
		if (n < 2 || out[0] != 0x88 || code != cases[i].code)
			fail_msg("%s: answered with %u", cases[i].what, code);
		assert_int_equal(snet_ws_input(server.w, (const uint8_t *)cases[0].bytes, 8),
				 SNET_OK);
		assert_string_equal(server.text, cases[i].text); /* nothing more is heard */
	}
}

static void a_message_in_too_many_frames_is_refused(void **state)
{
	int rc = SNET_OK;

	(void)state;
	for (int i = 0; i < SNET_WS_FRAGMENTS; i++) {
		const uint8_t first[6] = { 0x01, 0x80 }, more[6] = { 0x00, 0x80 };

		rc = snet_ws_input(server.w, i ? more : first, 6);
		assert_int_equal(rc, SNET_OK);
	}
	rc = snet_ws_input(server.w, (const uint8_t[6]){ 0x80, 0x80 }, 6);
	assert_int_equal(rc, SNET_EPOLICY);
	assert_int_equal(server.texts, 0);
	carry(&server, &client, 64);
	assert_int_equal(client.code, SNET_WS_POLICY);
}

static void fragments_that_add_up_to_too_much_are_refused(void **state)
{
	uint8_t frame[8 + 600] = { 0x01, 0xfe, 600 >> 8, 600 & 255 };

	(void)state;
	memset(frame + 8, 'x', 600);
	assert_int_equal(snet_ws_input(server.w, frame, sizeof(frame)), SNET_OK);
	frame[0] = 0x80;
	assert_int_equal(snet_ws_input(server.w, frame, sizeof(frame)), SNET_ETOOBIG);
	assert_int_equal(server.texts, 0);
}

static void a_client_takes_nothing_masked(void **state)
{
	(void)state;
	assert_int_equal(snet_ws_input(client.w, (const uint8_t *)"\x81\x82\0\0\0\0{}", 8),
			 SNET_EPROTO);
	assert_int_equal(client.texts, 0);
}

static int life(void *user)
{
	const struct snet_ws_opts o = { .max_message = MAX };
	struct side s = { 0 };
	int rc = snet_ws_new(&s.w, &o, &events, &s);

	(void)user;
	if (!rc)
		rc = snet_ws_text(s.w, "{}", 2);
	if (!rc)
		rc = snet_ws_input(s.w, (const uint8_t *)"\x81\x82\0\0\0\0{}", 8);
	snet_ws_free(s.w);
	return rc;
}

static void no_memory_is_survived(void **state)
{
	(void)state;
	assert_true(torture(life, NULL) >= 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(messages_go_both_ways_in_pieces_of_any_size),
		TEST(pings_are_answered),
		TEST(farewells_are_answered_and_end_it),
		TEST(what_was_said_before_a_farewell_goes_before_it),
		TEST(what_is_queued_is_counted_with_what_it_costs),
		TEST(a_message_of_the_longest_kind_comes_through),
		TEST(what_a_stranger_sends_is_answered_as_the_rfc_has_it),
		TEST(a_message_in_too_many_frames_is_refused),
		TEST(fragments_that_add_up_to_too_much_are_refused),
		TEST(a_client_takes_nothing_masked),
		cmocka_unit_test(no_memory_is_survived),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
