/* signal/upgrade: addresses of rooms, and the handshake of both sides, RFC 6455 §4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal/message.h"
#include "signal/upgrade.h"

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* RFC 6455 §1.3 */

static void addresses_of_rooms(void **state)
{
	static const struct {
		const char *text, *host, *room;
		uint16_t port;
		bool tls;
	} cases[] = {
		{ "ws://h:9000/r", "h", "r", 9000, false },
		{ "wss://signal.example.org/a-b_c.d~e", "signal.example.org", "a-b_c.d~e", 443,
		  true },
		{ "WS://h/r", "h", "r", 80, false },
		{ "ws://[2001:db8::1]:9000/r", "2001:db8::1", "r", 9000, false },
		{ "ws://[::1]/r", "::1", "r", 80, false },
		{ .text = "h:9000/r" },
		{ .text = "http://h:9000/r" },
		{ .text = "ws://h:9000" },
		{ .text = "ws://h:9000/" },
		{ .text = "ws://h:9000/a/b" },
		{ .text = "ws://h:9000/a b" },
		{ .text = "ws://h:9000/r#key" },
		{ .text = "ws://h:9000/r?token=secret" },
		{ .text = "ws://:9000/r" },
		{ .text = "ws://h:0/r" },
		{ .text = "ws://h:/r" },
		{ .text = "ws://h:65536/r" },
		{ .text = "ws://h:9x/r" },
		{ .text = "ws://[::1/r" },
		{ .text = "ws://[::1]9000/r" },
		{ .text = "ws://a:b@h/r" },
		{ .text = "ws://h\r\nX: y/r" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_error err = { 0 };
		struct snet_signal_url u;
		int rc = snet_signal_url_parse(&u, cases[i].text, &err);

		if (rc != (cases[i].host ? SNET_OK : SNET_EINVAL))
			fail_msg("%s: %d", cases[i].text, rc);
		if (rc) {
			assert_null(strstr(err.text, "secret"));
			continue;
		}
		assert_string_equal(u.host, cases[i].host);
		assert_string_equal(u.room, cases[i].room);
		assert_int_equal(u.port, cases[i].port);
		assert_int_equal(u.tls, cases[i].tls);
	}
}

static void the_key_of_the_rfc_gives_its_accept(void **state)
{
	char accept[SNET_UPGRADE_ACCEPT], key[SNET_UPGRADE_KEY];

	(void)state;
	assert_int_equal(snet_upgrade_accept(accept, "dGhlIHNhbXBsZSBub25jZQ=="), SNET_OK);
	assert_string_equal(accept, ACCEPT);
	snet_upgrade_key(key, (const uint8_t *)"the sample nonce");
	assert_string_equal(key, "dGhlIHNhbXBsZSBub25jZQ==");
	assert_int_equal(snet_upgrade_accept(accept, "dGhlIHNhbXBsZSBub25jZ!=="), SNET_EINVAL);
	assert_int_equal(snet_upgrade_accept(accept, "dGhlIHNhbXBsZSBub25jZXMh"), SNET_EINVAL);
	assert_int_equal(snet_upgrade_accept(accept, ""), SNET_EINVAL);
}

static void the_request_is_what_a_server_expects(void **state)
{
	struct snet_signal_url u = { .host = "::1", .port = 9000, .room = "r" };
	struct snet_buf b = SNET_BUF(4096);

	(void)state;
	snet_upgrade_request(&b, &u, "KEY", "abc");
	snet_buf_u8(&b, 0);
	assert_false(b.bad);
	assert_string_equal((char *)b.p,
			    "GET /r HTTP/1.1\r\nHost: [::1]:9000\r\nUpgrade: websocket\r\n"
			    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			    "Sec-WebSocket-Key: KEY\r\nAuthorization: Bearer abc\r\n\r\n");
	snet_buf_free(&b);
}

#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
#define CONNECTION "Connection: keep-alive, Upgrade\r\n"
#define ACCEPTED "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static void what_a_server_answers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		unsigned status;
		const char *words;
		bool ended;
	} cases[] = {
		{ UPGRADED CONNECTION ACCEPTED "\r\n", SNET_OK, 101, NULL, false },
		{ UPGRADED "connection:upgrade\nsec-websocket-accept:\t" ACCEPT " \n\n",
		  SNET_OK, 101, NULL, false },
		{ UPGRADED CONNECTION ACCEPTED, SNET_EAGAIN, 101, NULL, false },
		{ UPGRADED CONNECTION ACCEPTED, SNET_EPROTO, 101, NULL, true },
		{ UPGRADED ACCEPTED "\r\n", SNET_EPROTO, 101, NULL, false },
		{ UPGRADED CONNECTION "\r\n", SNET_EPROTO, 101, NULL, false },
		{ UPGRADED CONNECTION "Sec-WebSocket-Accept: x" ACCEPT "\r\n\r\n", SNET_EPROTO,
		  101, NULL, false },
		{ UPGRADED CONNECTION ACCEPTED "Sec-WebSocket-Extensions: x\r\n\r\n",
		  SNET_EPROTO, 101, NULL, false },
		{ "HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno\n", SNET_EDENIED,
		  401, "no", false },
		{ "HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nn", SNET_EAGAIN, 401,
		  NULL, false },
		{ "HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nn", SNET_EDENIED, 401,
		  "Unauthorized", true },
		{ "HTTP/1.1 503 x\r\n\r\n", SNET_EPOLICY, 503, "x", true },
		{ "HTTP/1.1 429\r\n\r\n\x1b[2J\n", SNET_EPOLICY, 429, "?[2J", true },
		{ "HTTP/1.1 200 OK\r\n\r\n", SNET_EPROTO, 200, "OK", true },
		{ "HTTP/1.1 99 x\r\n\r\n", SNET_EPROTO, 0, NULL, false },
		{ "SSH-2.0-OpenSSH\r\n", SNET_EPROTO, 0, NULL, false },
		{ "HTTP/1.1 101", SNET_EAGAIN, 0, NULL, false },
		{ "", SNET_EAGAIN, 0, NULL, false },
		{ "", SNET_EPROTO, 0, NULL, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_upgrade_response r;
		size_t n = strlen(cases[i].text);
		int rc = snet_upgrade_response_parse(&r, (const uint8_t *)cases[i].text, n,
						     cases[i].ended, ACCEPT);

		if (rc != cases[i].rc || r.status != cases[i].status)
			fail_msg("case %zu: %d, status %u", i, rc, r.status);
		if (cases[i].words)
			assert_string_equal(r.words, cases[i].words);
		if (!rc)
			assert_int_equal(r.n, n);
	}
}

static void what_stands_behind_the_answer_is_the_connections(void **state)
{
	static const char text[] = UPGRADED CONNECTION ACCEPTED "\r\n\x81\x02{}";
	struct snet_upgrade_response r;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 5; n++)
		assert_int_equal(snet_upgrade_response_parse(&r, (const uint8_t *)text, n,
							     false, ACCEPT),
				 SNET_EAGAIN);
	assert_int_equal(snet_upgrade_response_parse(&r, (const uint8_t *)text,
						     sizeof(text) - 1, false, ACCEPT),
			 SNET_OK);
	assert_int_equal(sizeof(text) - 1 - r.n, 4);
}

static void an_endless_answer_is_not_waited_for(void **state)
{
	static uint8_t text[SNET_UPGRADE_HEADER_MAX + 100];
	struct snet_upgrade_response r;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(snet_upgrade_response_parse(&r, text, sizeof(text), false, ACCEPT),
			 SNET_EPROTO);
	memcpy(text, "HTTP/1.1 101 x\r\n", 16);
	assert_int_equal(snet_upgrade_response_parse(&r, text, sizeof(text), false, ACCEPT),
			 SNET_EPROTO);
}

static void what_a_client_asks(void **state)
{
	static const struct {
		struct snet_upgrade_asked a;
		unsigned status;
	} cases[] = {
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
		{ { "GET", "HTTP/1.1", "websocket", "Upgrade", "13", KEY }, 101 },
		{ { "GET", "HTTP/1.1", "WebSocket", "keep-alive, upgrade", "13", KEY }, 101 },
		{ { "POST", "HTTP/1.1", "websocket", "Upgrade", "13", KEY }, 405 },
		{ { "GET", "HTTP/1.0", "websocket", "Upgrade", "13", KEY }, 505 },
		{ { "GET", "HTTP/1.1", NULL, NULL, NULL, NULL }, 426 },
		{ { "GET", "HTTP/1.1", "h2c", "Upgrade", "13", KEY }, 426 },
		{ { "GET", "HTTP/1.1", "websocket", "keep-alive", "13", KEY }, 426 },
		{ { "GET", "HTTP/1.1", "websocket", "Upgrade", "8", KEY }, 426 },
		{ { "GET", "HTTP/1.1", "websocket", "Upgrade", "13", NULL }, 400 },
		{ { "GET", "HTTP/1.1", "websocket", "Upgrade", "13", "short" }, 400 },
#undef KEY
	};
	char accept[SNET_UPGRADE_ACCEPT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(snet_upgrade_check(&cases[i].a, accept), cases[i].status);
	assert_int_equal(snet_upgrade_check(&cases[0].a, accept), 101);
	assert_string_equal(accept, ACCEPT);
}

static void messages_are_json_objects(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "{}", true },
		{ " {\"a\":[1,2,{\"b\":null}]}\r\n", true },
		{ "{\"n\":123456789012345678901234567890}", true },
		{ "{\"s\":\"\\u0000\"}", true },
		{ "[]", false },
		{ "1", false },
		{ "\"s\"", false },
		{ "", false },
		{ "{", false },
		{ "{}{}", false },
		{ "{} x", false },
		{ "{'a':1}", false },
		{ "{\"a\":1,}", false },
		{ "{\"a\":\"\n\"}", false },
	};
	char deep[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (snet_signal_message_is_good(cases[i].text, strlen(cases[i].text)) !=
		    cases[i].good)
			fail_msg("%s", cases[i].text);
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"a\":", 5);
	assert_false(snet_signal_message_is_good(deep, sizeof(deep)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_rooms),
		cmocka_unit_test(the_key_of_the_rfc_gives_its_accept),
		cmocka_unit_test(the_request_is_what_a_server_expects),
		cmocka_unit_test(what_a_server_answers),
		cmocka_unit_test(what_stands_behind_the_answer_is_the_connections),
		cmocka_unit_test(an_endless_answer_is_not_waited_for),
		cmocka_unit_test(what_a_client_asks),
		cmocka_unit_test(messages_are_json_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
