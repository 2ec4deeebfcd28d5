/* signal/offer: what ICE agents tell each other, as lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal/offer.h"
#include "support/torture.h"

#define CANDIDATE "candidate:1 1 UDP 2130706431 192.0.2.1 9000 typ host"

static int parse(struct snet_offer *o, const char *line, struct snet_error *err)
{
	return snet_offer_parse(o, line, strlen(line), err);
}

struct good {
	const char *line;
	struct snet_offer want;
};

static void check_good(const struct good *g)
{
	struct snet_error err = { 0 };
	struct snet_offer o;

	if (parse(&o, g->line, &err))
		fail_msg("%s: %s", g->line, err.text);
	assert_int_equal(o.what, g->want.what);
	assert_string_equal(o.ufrag, g->want.ufrag);
	assert_string_equal(o.pwd, g->want.pwd);
	assert_string_equal(o.candidate, g->want.candidate);
	assert_string_equal(o.from, g->want.from);
	assert_string_equal(o.to, g->want.to);
	assert_string_equal(o.call, g->want.call);
	assert_string_equal(o.remote_ufrag, g->want.remote_ufrag);
	assert_int_equal(o.punch.ack, g->want.punch.ack);
	assert_int_equal(o.punch.id, g->want.punch.id);
	assert_int_equal(o.punch.delay_ms, g->want.punch.delay_ms);
	assert_int_equal(o.punch.target.sa.sa_family, g->want.punch.target.sa.sa_family);
	if (o.punch.target.sa.sa_family != AF_UNSPEC)
		assert_true(snet_addr_eq(&o.punch.target, &g->want.punch.target));
}

static void our_own_lines_are_understood_as_they_are_printed(void **state)
{
	static const struct good cases[] = {
		{ "{\"event\":\"ice.local\",\"ufrag\":\"abcd\",\"pwd\":\"p+/0\"}",
		  { .what = SNET_OFFER_CREDENTIALS, .ufrag = "abcd", .pwd = "p+/0" } },
		{ "{\"event\":\"ice.local\",\"ufrag\":\"abcd\",\"candidate\":\"" CANDIDATE
		  "\",\"foundation\":\"1\",\"component\":1,\"priority\":2130706431}",
		  { .what = SNET_OFFER_CANDIDATE, .ufrag = "abcd", .candidate = CANDIDATE } },
		{ "{\"event\":\"ice.local\",\"end_of_candidates\":true}\r\n",
		  { .what = SNET_OFFER_END } },
		{ " \t{\"call\":\"c-_1\",\"end_of_candidates\":true,\"from\":\"me\",\"to\":"
		  "\"you\",\"event\":\"ice.local\"}",
		  { .what = SNET_OFFER_END, .from = "me", .to = "you", .call = "c-_1" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_good(&cases[i]);
}

#define PUNCH "{\"event\":\"ice.punch\",\"ufrag\":\"abcd\",\"remote_ufrag\":\"efgh\","
#define ID "\"id\":\"00ff0123456789ab\""

static void when_to_punch_is_understood_as_it_is_printed(void **state)
{
	struct good g[] = {
		{ PUNCH "\"kind\":\"request\"," ID
			",\"target\":\"192.0.2.1:9\",\"delay_ms\":0}",
		  { .what = SNET_OFFER_PUNCH, .punch = { .id = 0xff0123456789ab } } },
		{ PUNCH "\"kind\":\"request\"," ID ",\"target\":\"[2001:db8::1]:65535\","
			"\"delay_ms\":10000,\"to\":\"you\"}",
		  { .what = SNET_OFFER_PUNCH,
		    .to = "you",
		    .punch = { .id = 0xff0123456789ab, .delay_ms = 10000 } } },
		{ PUNCH "\"kind\":\"ack\"," ID "}",
		  { .what = SNET_OFFER_PUNCH,
		    .punch = { .ack = true, .id = 0xff0123456789ab } } },
		{ PUNCH "\"kind\":\"ack\"," ID ",\"target\":7,\"delay_ms\":[],\"more\":1}",
		  { .what = SNET_OFFER_PUNCH,
		    .punch = { .ack = true, .id = 0xff0123456789ab } } },
	};

	(void)state;
	assert_int_equal(snet_addr_parse(&g[0].want.punch.target, "192.0.2.1:9"), SNET_OK);
	assert_int_equal(snet_addr_parse(&g[1].want.punch.target, "[2001:db8::1]:65535"),
			 SNET_OK);
	for (size_t i = 0; i < sizeof(g) / sizeof(*g); i++) {
		struct snet_buf b = SNET_BUF(SNET_OFFER_MAX);
		struct good again = { NULL, g[i].want };

		strcpy(g[i].want.ufrag, "abcd");
		strcpy(g[i].want.remote_ufrag, "efgh");
		check_good(&g[i]);
		snet_offer_print(&g[i].want, &b);
		assert_int_equal(snet_buf_u8(&b, 0), SNET_OK);
		again.line = (const char *)b.p;
		again.want = g[i].want;
		check_good(&again);
		if (i < 3)
			assert_string_equal(again.line, g[i].line);
		snet_buf_free(&b);
	}
}

static void what_browsers_write_is_understood(void **state)
{
	static const struct good cases[] = {
		{ "{\"candidate\":\"" CANDIDATE "\",\"sdpMid\":\"0\",\"sdpMLineIndex\":0,"
		  "\"usernameFragment\":\"EsAw\"}",
		  { .what = SNET_OFFER_CANDIDATE, .ufrag = "EsAw", .candidate = CANDIDATE } },
		{ "{\"candidate\":\"a=" CANDIDATE "\",\"usernameFragment\":null}",
		  { .what = SNET_OFFER_CANDIDATE, .candidate = CANDIDATE } },
		{ "{\"candidate\":\"\",\"sdpMid\":\"0\"}", { .what = SNET_OFFER_END } },
		{ "{\"candidate\":null}", { .what = SNET_OFFER_END } },
		{ "{\"ufrag\":\"abcd\",\"pwd\":\"secret\"}",
		  { .what = SNET_OFFER_CREDENTIALS, .ufrag = "abcd", .pwd = "secret" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_good(&cases[i]);
}

static void lines_of_sdp_are_understood(void **state)
{
	static const struct good cases[] = {
		{ "a=ice-ufrag:abcd", { .what = SNET_OFFER_CREDENTIALS, .ufrag = "abcd" } },
		{ "ice-pwd:secret\r\n", { .what = SNET_OFFER_CREDENTIALS, .pwd = "secret" } },
		{ "a=" CANDIDATE "\r\n",
		  { .what = SNET_OFFER_CANDIDATE, .candidate = CANDIDATE } },
		{ CANDIDATE, { .what = SNET_OFFER_CANDIDATE, .candidate = CANDIDATE } },
		{ "a=end-of-candidates\r\n", { .what = SNET_OFFER_END } },
		{ "end-of-candidates", { .what = SNET_OFFER_END } },
		{ "v=0\r\n", { .what = SNET_OFFER_OTHER } },
		{ "a=ice-options:trickle ice2", { .what = SNET_OFFER_OTHER } },
		{ "m=audio 9 UDP/TLS/RTP/SAVPF 111", { .what = SNET_OFFER_OTHER } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_good(&cases[i]);
}

static void other_events_are_not_for_us(void **state)
{
	static const char *const lines[] = {
		"{\"event\":\"signal.joined\",\"room\":\"r\"}",
		"{\"event\":\"chat\",\"candidate\":5,\"pwd\":[1]}",
		"{\"event\":\"ice.state\",\"state\":\"checking\"}",
		"{\"event\":\"ice.local\\u0000\"}",
		"{\"number\":123456789012345678901234567890}",
		"{}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct snet_offer o = { .what = SNET_OFFER_END };

		assert_int_equal(parse(&o, lines[i], NULL), SNET_OK);
		assert_int_equal(o.what, SNET_OFFER_OTHER);
	}
}

static void what_is_wrong_is_refused_and_said(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "", "neither" },
		{ "hello", "neither" },
		{ "candidate", "neither" },
		{ "[1]", "not a JSON object" },
		{ "{", "not a JSON object" },
		{ "{\"event\":\"ice.local\",\"end_of_candidates\":true}x",
		  "not a JSON object" },
		{ "{\"event\":1}", "event: not a string" },
		{ "{\"event\":\"ice.local\"}", "says nothing" },
		{ "{\"event\":\"ice.local\",\"end_of_candidates\":false}", "says nothing" },
		{ "{\"event\":\"ice.local\",\"end_of_candidates\":1}", "end_of_candidates:" },
		{ "{\"event\":\"ice.local\",\"ufrag\":\"abcd\"}", "no pwd" },
		{ "{\"event\":\"ice.local\",\"pwd\":\"abcd\"}", "no ufrag" },
		{ "{\"ufrag\":\"abcd\",\"pwd\":7}", "pwd: not a string" },
		{ "{\"ufrag\":\"\",\"pwd\":\"x\"}", "ufrag: it is empty" },
		{ "{\"ufrag\":\"ab cd\",\"pwd\":\"x\"}", "ufrag: a character" },
		{ "{\"ufrag\":\"ab\\u0000d\",\"pwd\":\"x\"}", "ufrag: a character" },
		{ "{\"ufrag\":\"a\",\"ufrag\":\"b\",\"pwd\":\"x\"}", "not a JSON object" },
		{ "{\"ufrag\":\"a\",\"usernameFragment\":\"b\",\"pwd\":\"x\"}", "another" },
		{ "{\"ufrag\":\"a\",\"pwd\":\"x\",\"candidate\":\"" CANDIDATE "\"}",
		  "more than" },
		{ "{\"candidate\":\"" CANDIDATE "\",\"end_of_candidates\":true}", "more than" },
		{ "{\"candidate\":{\"candidate\":\"" CANDIDATE "\"}}", "candidate: not a" },
		{ "{\"candidate\":\"192.0.2.1\"}", "candidate: it does not begin" },
		{ "{\"candidate\":\"candidate:\\n1\"}", "candidate: a control" },
		{ "{\"candidate\":\"candidate:\\u0000\"}", "candidate: a control" },
		{ "{\"candidate\":\"\",\"from\":3}", "from: not a string" },
		{ "{\"candidate\":\"\",\"to\":\"a b\"}", "to: a character" },
		{ "{\"candidate\":\"\",\"call\":\"12345678901234567890123\"}", "call: longer" },
		{ "{\"candidate\":\"\",\"from\":"
		  "\"12345678901234567890123456789012345678901234\"}",
		  "from: longer" },
		{ "{\"event\":\"ice.punch\"}", "ufrag: it is missing" },
		{ "{\"event\":\"ice.punch\",\"ufrag\":\"abcd\"}",
		  "remote_ufrag: it is missing" },
		{ "{\"event\":\"ice.punch\",\"ufrag\":\"abcd\",\"remote_ufrag\":\"a b\"}",
		  "remote_ufrag: a char" },
		{ PUNCH ID "}", "kind: neither" },
		{ PUNCH "\"kind\":\"nak\"," ID "}", "kind: neither" },
		{ PUNCH "\"kind\":[\"ack\"]," ID "}", "kind: neither" },
		{ PUNCH "\"kind\":\"ack\"," ID ",\"pwd\":\"p\"}", "pwd: not of" },
		{ PUNCH "\"kind\":\"ack\"}", "id: not 16" },
		{ PUNCH "\"kind\":\"ack\",\"id\":\"0\"}", "id: not 16" },
		{ PUNCH "\"kind\":\"ack\",\"id\":77}", "id: not a string" },
		{ PUNCH "\"kind\":\"ack\",\"id\":\"00FF0123456789AB\"}", "id: a character" },
		{ PUNCH "\"kind\":\"ack\",\"id\":\"00ff0123456789abc\"}", "id: longer" },
		{ PUNCH "\"kind\":\"request\"," ID ",\"delay_ms\":1}", "target: not an" },
		{ PUNCH "\"kind\":\"request\"," ID ",\"target\":\"host:1\",\"delay_ms\":1}",
		  "target: not an" },
		{ PUNCH "\"kind\":\"request\"," ID
			",\"target\":\"192.0.2.1:0\",\"delay_ms\":1}",
		  "target: not an" },
		{ PUNCH "\"kind\":\"request\"," ID
			",\"target\":\"[fe80::1%1]:9\",\"delay_ms\":1}",
		  "target: not an" },
		{ PUNCH "\"kind\":\"request\"," ID ",\"target\":\"192.0.2.1:9\"}",
		  "delay_ms: it is missing" },
		{ PUNCH "\"kind\":\"request\"," ID
			",\"target\":\"192.0.2.1:9\",\"delay_ms\":\"1\"}",
		  "delay_ms: not a number" },
		{ PUNCH "\"kind\":\"request\"," ID
			",\"target\":\"192.0.2.1:9\",\"delay_ms\":-1}",
		  "delay_ms: not a number" },
		{ PUNCH "\"kind\":\"request\"," ID
			",\"target\":\"192.0.2.1:9\",\"delay_ms\":0.5}",
		  "delay_ms: not a number" },
		{ PUNCH "\"kind\":\"request\"," ID
			",\"target\":\"192.0.2.1:9\",\"delay_ms\":10001}",
		  "delay_ms: more" },
		{ "a=ice-ufrag:", "ice-ufrag: it is empty" },
		{ "a=ice-pwd:a b", "ice-pwd: a character" },
		{ "a=candidate:\xff", "not text" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct snet_error err = { 0 };
		struct snet_offer o = { .what = SNET_OFFER_END, .ufrag = "left" };

		if (parse(&o, cases[i].line, &err) != SNET_EPROTO)
			fail_msg("taken: %s", cases[i].line);
		assert_int_equal(err.code, SNET_EPROTO);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: says '%s'", cases[i].line, err.text);
		assert_int_equal(o.what, SNET_OFFER_OTHER);
		assert_string_equal(o.ufrag, "");
	}
}

/* As long as can be, and one more. */
static void lengths_have_their_limits(void **state)
{
	static const struct {
		const char *before, *after;
		size_t max;
	} cases[] = {
		{ "{\"ufrag\":\"", "\",\"pwd\":\"p\"}", 256 },
		{ "{\"ufrag\":\"u\",\"pwd\":\"", "\"}", 256 },
		{ "{\"candidate\":\"candidate:", "\"}", 1024 - 10 },
		{ "{\"candidate\":\"\",\"from\":\"", "\"}", 43 },
		{ "{\"candidate\":\"\",\"call\":\"", "\"}", SNET_OFFER_CALL },
		{ "a=ice-pwd:", "", 256 },
		{ "a=candidate:", "", 1024 - 10 },
		{ "{\"x\":\"", "\"}", SNET_OFFER_MAX - 8 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[SNET_OFFER_MAX + 64], body[SNET_OFFER_MAX + 2];
		struct snet_offer o;

		for (size_t n = cases[i].max; n <= cases[i].max + 1; n++) {
			memset(body, 'x', n);
			body[n] = '\0';
			snprintf(line, sizeof(line), "%s%s%s", cases[i].before, body,
				 cases[i].after);
			assert_int_equal(parse(&o, line, NULL),
					 n > cases[i].max ? SNET_EPROTO : SNET_OK);
		}
	}
}

static const struct snet_offer offers[] = {
	{ .what = SNET_OFFER_CREDENTIALS, .ufrag = "abcd", .pwd = "0123456789012345678901" },
	{ .what = SNET_OFFER_CANDIDATE, .ufrag = "abcd", .candidate = CANDIDATE },
	{ .what = SNET_OFFER_CANDIDATE, .candidate = "candidate:\"\\ \xc3\xa9" },
	{ .what = SNET_OFFER_END, .from = "key-id", .to = "other_id", .call = "call" },
	{ .what = SNET_OFFER_PUNCH,
	  .ufrag = "abcd",
	  .remote_ufrag = "efgh",
	  .from = "key-id",
	  .to = "other_id",
	  .call = "call",
	  .punch = { .ack = true, .id = UINT64_MAX } },
};

static void what_is_printed_is_understood_alike(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(offers) / sizeof(*offers); i++) {
		struct snet_buf b = SNET_BUF(SNET_OFFER_MAX);
		struct good g;

		snet_offer_print(&offers[i], &b);
		assert_false(b.bad);
		assert_int_equal(snet_buf_u8(&b, 0), SNET_OK);
		g = (struct good){ (const char *)b.p, offers[i] };
		check_good(&g);
		snet_buf_free(&b);
	}
}

static void what_would_not_be_understood_is_not_printed(void **state)
{
	static const struct snet_offer bad[] = {
		{ .what = SNET_OFFER_OTHER },
		{ .what = SNET_OFFER_CREDENTIALS, .ufrag = "abcd" },
		{ .what = SNET_OFFER_CREDENTIALS, .pwd = "secret" },
		{ .what = SNET_OFFER_CANDIDATE },
		{ .what = SNET_OFFER_PUNCH, .ufrag = "abcd", .punch.ack = true },
		{ .what = SNET_OFFER_PUNCH, .remote_ufrag = "abcd", .punch.ack = true },
		{ .what = SNET_OFFER_PUNCH, .ufrag = "abcd", .remote_ufrag = "efgh" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct snet_buf b = SNET_BUF(SNET_OFFER_MAX);

		snet_offer_print(&bad[i], &b);
		assert_true(b.bad);
		assert_int_equal(b.n, 0);
		snet_buf_free(&b);
	}
}

static int print_all(void *user)
{
	struct snet_buf b = SNET_BUF(SNET_OFFER_MAX);
	int rc;

	(void)user;
	for (size_t i = 0; i < sizeof(offers) / sizeof(*offers); i++)
		snet_offer_print(&offers[i], &b);
	rc = b.bad ? SNET_ENOMEM : SNET_OK;
	snet_buf_free(&b);
	return rc;
}

static void no_memory_is_said_by_the_buffer(void **state)
{
	(void)state;
	assert_true(torture(print_all, NULL) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_lines_are_understood_as_they_are_printed),
		cmocka_unit_test(when_to_punch_is_understood_as_it_is_printed),
		cmocka_unit_test(what_browsers_write_is_understood),
		cmocka_unit_test(lines_of_sdp_are_understood),
		cmocka_unit_test(other_events_are_not_for_us),
		cmocka_unit_test(what_is_wrong_is_refused_and_said),
		cmocka_unit_test(lengths_have_their_limits),
		cmocka_unit_test(what_is_printed_is_understood_alike),
		cmocka_unit_test(what_would_not_be_understood_is_not_printed),
		cmocka_unit_test(no_memory_is_said_by_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
