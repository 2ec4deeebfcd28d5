/* cli/ice_server: STUN and TURN servers as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/ice_server.h"

struct server {
	const char *text, *host;
	uint16_t port;
	enum snet_turn_over over;
};

static void check(const struct server *s, bool is_turn)
{
	struct snet_ice_server got;
	struct snet_error err = { 0 };
	int rc = is_turn ? ice_server_turn(&got, s->text, &err)
			 : ice_server_stun(&got, s->text, &err);

	if (rc != SNET_OK)
		fail_msg("%s: %s", s->text, err.text);
	assert_string_equal(got.host, s->host);
	assert_int_equal(got.port, s->port);
	assert_int_equal(got.over, s->over);
	assert_null(got.cred);
	free((char *)got.host);
}

static void stun_servers_have_a_port_of_their_own(void **state)
{
	static const struct server cases[] = {
		{ "stun.example.org", "stun.example.org", 3478, SNET_TURN_UDP },
		{ "stun:stun.example.org", "stun.example.org", 3478, SNET_TURN_UDP },
		{ "stun:192.0.2.1:9", "192.0.2.1", 9, SNET_TURN_UDP },
		{ "192.0.2.1:65535", "192.0.2.1", 65535, SNET_TURN_UDP },
		{ "2001:db8::1", "2001:db8::1", 3478, SNET_TURN_UDP },
		{ "[2001:db8::1]", "2001:db8::1", 3478, SNET_TURN_UDP },
		{ "stun:[2001:db8::1]:9", "2001:db8::1", 9, SNET_TURN_UDP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(&cases[i], false);
}

static void turn_servers_say_how_to_get_there(void **state)
{
	static const struct server cases[] = {
		{ "turn:example.org", "example.org", 3478, SNET_TURN_UDP },
		{ "turn:example.org:9?transport=udp", "example.org", 9, SNET_TURN_UDP },
		{ "turn:example.org?transport=tcp", "example.org", 3478, SNET_TURN_TCP },
		{ "turns:example.org", "example.org", 5349, SNET_TURN_TLS },
		{ "turns:[::1]:443?transport=tcp", "::1", 443, SNET_TURN_TLS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(&cases[i], true);
}

static void what_is_no_server_is_refused(void **state)
{
	static const char *const stun[] = { "",        "stun:",   ":9",   "h:",     "h:0",
					    "h:65536", "h:9x",    "h:-1", "[::1",   "[]",
					    "[::1]9",  "[::1]:",  "u@h",  "h/path", "h:000009",
					    "[::1]:0", "stun://h" };
	static const char *const turn[] = { "h",         "stun:h",
					    "turn:",     "turn:?transport=udp",
					    "turn:h?",   "turn:h?transport=tls",
					    "turn://h",  "turn:h?transport=udp&x=1",
					    "turns:h:0", "turns:h?transport=udp" };
	struct snet_ice_server got;
	char name[256];

	(void)state;
	for (size_t i = 0; i < sizeof(stun) / sizeof(*stun); i++)
		if (ice_server_stun(&got, stun[i], NULL) != SNET_EINVAL)
			fail_msg("taken: %s", stun[i]);
	for (size_t i = 0; i < sizeof(turn) / sizeof(*turn); i++)
		if (ice_server_turn(&got, turn[i], NULL) != SNET_EINVAL)
			fail_msg("taken: %s", turn[i]);
	memset(name, 'x', 254);
	name[254] = '\0';
	assert_int_equal(ice_server_stun(&got, name, NULL), SNET_EINVAL);
	assert_int_equal(ice_server_stun(&got, name + 1, NULL), SNET_OK);
	free((char *)got.host);
}

static void the_text_that_is_wrong_is_named(void **state)
{
	struct snet_ice_server got;
	struct snet_error err;

	(void)state;
	assert_int_equal(ice_server_turn(&got, "turn:h:0", &err), SNET_EINVAL);
	assert_non_null(strstr(err.text, "turn:h:0"));
	assert_non_null(strstr(err.text, "transport=udp|tcp"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stun_servers_have_a_port_of_their_own),
		cmocka_unit_test(turn_servers_say_how_to_get_there),
		cmocka_unit_test(what_is_no_server_is_refused),
		cmocka_unit_test(the_text_that_is_wrong_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
