#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"

/* Of no bytes at all: SHA-256(""). */
#define KEY "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"

/* ---- socket addresses */

static const char *const numeric[] = {
	"0.0.0.0:0",
	"192.0.2.1:9000",
	"255.255.255.255:65535",
	"[::]:0",
	"[::1]:9000",
	"[2001:db8::1]:65535",
	"[fe80::1%2]:9000",
	"[fe80::1%4294967295]:9000",
	"[::ffff:192.0.2.1]:80",
	"[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535",
};

static void numeric_addresses_come_back_as_written(void **state)
{
	char text[SNET_ADDR_TEXT];
	struct snet_addr a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(numeric) / sizeof(numeric[0]); i++) {
		print_message("# %s\n", numeric[i]);
		assert_int_equal(snet_addr_parse(&a, numeric[i]), SNET_OK);
		assert_ptr_equal(snet_addr_print(&a, text), text);
		assert_string_equal(text, numeric[i]);
		assert_int_equal(snet_addr_parse(&b, text), SNET_OK);
		assert_true(snet_addr_eq(&a, &b));
	}
}

static const char *const not_numeric[] = {
	"",
	":",
	":9000",
	"localhost:9000",
	"192.0.2.1",
	"192.0.2.1:",
	"192.0.2.1:65536",
	"192.0.2.1:-1",
	"192.0.2.1:+1",
	"192.0.2.1: 1",
	"192.0.2.1:1 ",
	"192.0.2.1:0x10",
	"192.0.2.1:99999999999999999999",
	"192.0.2:1",
	"192.0.2.256:1",
	" 192.0.2.1:1",
	"192.0.2.1%2:9000",
	"::1:9000",
	"[::1]",
	"[::1]9000",
	"[::1:9000",
	"[]:9000",
	"[::1]:",
	"[192.0.2.1]:1",
	"[fe80::1%]:1",
	"[fe80::1%eth0]:1",
	"[fe80::1%4294967296]:1",
	"[fe80::1%-1]:1",
	"[::1%2%3]:1",
	"[1:2:3:4:5:6:7:8:9]:1",
	"[1111:2222:3333:4444:5555:6666:7777:8888%42949672950000000000000000000000000]:65535",
};

static void anything_else_is_no_numeric_address(void **state)
{
	struct snet_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(not_numeric) / sizeof(not_numeric[0]); i++) {
		print_message("# '%s'\n", not_numeric[i]);
		memset(&a, 0x5a, sizeof(a));
		assert_int_equal(snet_addr_parse(&a, not_numeric[i]), SNET_EINVAL);
		assert_int_equal(*(uint8_t *)&a, 0x5a);
	}
}

/* clang-format off */
static const struct {
	const char *a, *b;
	bool eq;
} pairs[] = {
	{ "192.0.2.1:1",      "192.0.2.1:1",      true  },
	{ "192.0.2.1:1",      "192.0.2.1:2",      false },
	{ "192.0.2.1:1",      "192.0.2.2:1",      false },
	{ "192.0.2.1:1",      "[::ffff:192.0.2.1]:1", false },
	{ "[::1]:1",          "[::1]:1",          true  },
	{ "[::1]:1",          "[::2]:1",          false },
	{ "[fe80::1%1]:1",    "[fe80::1%2]:1",    false },
	{ "[fe80::1%1]:1",    "[fe80::1%1]:1",    true  },
	{ "[2001:db8::1%1]:1", "[2001:db8::1%2]:1", true },
};
/* clang-format on */

static void equal_is_family_host_port_and_the_link_of_a_link_local(void **state)
{
	struct snet_addr a, b, none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		print_message("# %s %s\n", pairs[i].a, pairs[i].b);
		assert_int_equal(snet_addr_parse(&a, pairs[i].a), SNET_OK);
		assert_int_equal(snet_addr_parse(&b, pairs[i].b), SNET_OK);
		assert_int_equal(snet_addr_eq(&a, &b), pairs[i].eq);
		assert_int_equal(snet_addr_eq(&b, &a), pairs[i].eq);
		assert_false(snet_addr_eq(&a, &none));
	}
	assert_true(snet_addr_eq(&none, &none));
}

static void ports_and_lengths_follow_the_family(void **state)
{
	struct snet_addr v4, v6, none = { 0 };
	char text[SNET_ADDR_TEXT];

	(void)state;
	snet_addr_parse(&v4, "127.0.0.1:1");
	snet_addr_parse(&v6, "[::1]:1");
	snet_addr_set_port(&v4, 0xabcd);
	snet_addr_set_port(&v6, 0xabcd);
	snet_addr_set_port(&none, 0xabcd);
	assert_int_equal(snet_addr_port(&v4), 0xabcd);
	assert_int_equal(snet_addr_port(&v6), 0xabcd);
	assert_int_equal(snet_addr_port(&none), 0);
	assert_int_equal(v4.in.sin_port, htons(0xabcd));
	assert_int_equal(snet_addr_len(&v4), sizeof(struct sockaddr_in));
	assert_int_equal(snet_addr_len(&v6), sizeof(struct sockaddr_in6));
	assert_int_equal(snet_addr_len(&none), 0);
	assert_string_equal(snet_addr_print(&none, text), "none");
}

static void what_an_ipv6_socket_says_for_ipv4_becomes_ipv4(void **state)
{
	static const char *const cases[][2] = {
		{ "[::ffff:192.0.2.1]:9000", "192.0.2.1:9000" },
		{ "[2001:db8::1]:9000", "[2001:db8::1]:9000" },
		{ "[::1]:9", "[::1]:9" },
		{ "192.0.2.1:9000", "192.0.2.1:9000" },
	};
	struct snet_addr a, want;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(snet_addr_parse(&a, cases[i][0]), SNET_OK);
		assert_int_equal(snet_addr_parse(&want, cases[i][1]), SNET_OK);
		snet_addr_unmap(&a);
		assert_true(snet_addr_eq(&a, &want));
	}
}

static void any_is_the_address_of_every_interface(void **state)
{
	struct snet_addr a = { 0 };

	(void)state;
	assert_false(snet_addr_is_any(&a));
	snet_addr_parse(&a, "0.0.0.0:9000");
	assert_true(snet_addr_is_any(&a));
	snet_addr_parse(&a, "[::]:9000");
	assert_true(snet_addr_is_any(&a));
	snet_addr_parse(&a, "127.0.0.1:0");
	assert_false(snet_addr_is_any(&a));
	snet_addr_parse(&a, "[::1]:0");
	assert_false(snet_addr_is_any(&a));
}

/* ---- key ids */

static void a_key_id_is_base64url_of_its_bytes(void **state)
{
	static const uint8_t empty_sha256[SNET_KEYID_BYTES] = {
		0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
		0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
		0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
	};
	uint8_t id[SNET_KEYID_BYTES];
	char text[SNET_KEYID_TEXT];

	(void)state;
	assert_string_equal(snet_keyid_print(empty_sha256, text), KEY);
	assert_int_equal(snet_keyid_parse(id, KEY), SNET_OK);
	assert_memory_equal(id, empty_sha256, sizeof(id));
	for (unsigned v = 0; v < 256; v++) {
		uint8_t all[SNET_KEYID_BYTES];

		for (size_t i = 0; i < sizeof(all); i++)
			all[i] = (uint8_t)(v + i * 37);
		assert_int_equal(snet_keyid_parse(id, snet_keyid_print(all, text)), SNET_OK);
		assert_memory_equal(id, all, sizeof(id));
	}
}

static void a_key_id_has_one_spelling(void **state)
{
	uint8_t id[SNET_KEYID_BYTES] = { 0x5a };
	char text[SNET_KEYID_TEXT + 2] = KEY;

	(void)state;
	assert_int_equal(snet_keyid_parse(id, ""), SNET_EINVAL);
	text[42] = 'V'; /* a stray bit after the last byte */
	assert_int_equal(snet_keyid_parse(id, text), SNET_EINVAL);
	text[42] = 'W';
	assert_int_equal(snet_keyid_parse(id, text), SNET_EINVAL);
	text[42] = '\0';
	assert_int_equal(snet_keyid_parse(id, text), SNET_EINVAL);
	assert_int_equal(snet_keyid_parse(id, KEY "="), SNET_EINVAL);
	assert_int_equal(snet_keyid_parse(id, KEY "\n"), SNET_EINVAL);
	for (const char *c = "+/= \n.\x80"; *c; c++) {
		strcpy(text, KEY);
		text[7] = *c;
		assert_int_equal(snet_keyid_parse(id, text), SNET_EINVAL);
	}
	assert_int_equal(id[0], 0x5a);
}

/* ---- what people write */

/* clang-format off */
static const struct {
	const char *text, *scheme, *host, *printed;
	uint16_t port;
	bool key;
} urls[] = {
	{ "quic://0.0.0.0:0",          "quic",  "0.0.0.0",     "quic://0.0.0.0:0",        0,     false },
	{ "quic://[::1]:9000#" KEY,    "quic",  "::1",         "quic://[::1]:9000#" KEY,  9000,  true  },
	{ "host:9000",                 "quic",  "host",        "quic://host:9000",        9000,  false },
	{ "host:9000#" KEY,            "quic",  "host",        "quic://host:9000#" KEY,   9000,  true  },
	{ ":9000",                     "quic",  "",            "quic://:9000",            9000,  false },
	{ "quic://:9000",              "quic",  "",            "quic://:9000",            9000,  false },
	{ "tls://a-b_c.example.:65535", "tls",  "a-b_c.example.", "tls://a-b_c.example.:65535", 65535, false },
	{ "[fe80::1%eth0]:1",          "quic",  "fe80::1%eth0", "quic://[fe80::1%eth0]:1", 1,    false },
	{ "ice+ws://h:0080/r",         "ice+ws", "h",          "ice+ws://h:80/r",         80,    false },
	{ "ice+ws://[::1]:7/a.b-c_~#" KEY, "ice+ws", "::1",    "ice+ws://[::1]:7/a.b-c_~#" KEY, 7, true },
	{ "x://h:1",                   "x",     "h",           "x://h:1",                 1,     false },
	{ "abcdefghij1://h:1",         "abcdefghij1", "h",     "abcdefghij1://h:1",       1,     false },
	{ "srv://_snet._udp.example.org", "srv", "_snet._udp.example.org", "srv://_snet._udp.example.org", 0, false },
	{ "srv://parties#" KEY,        "srv",   "parties",     "srv://parties#" KEY,      0,     true  },
	{ "srvx://h:1",                "srvx",  "h",           "srvx://h:1",              1,     false },
};
/* clang-format on */

static void addresses_are_taken_apart(void **state)
{
	char text[SNET_URL_TEXT];
	struct snet_url u, again;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		print_message("# %s\n", urls[i].text);
		assert_int_equal(snet_url_parse(&u, urls[i].text, NULL), SNET_OK);
		assert_string_equal(u.scheme, urls[i].scheme);
		assert_string_equal(u.host, urls[i].host);
		assert_int_equal(u.port, urls[i].port);
		assert_int_equal(u.has_key, urls[i].key);
		assert_string_equal(snet_url_print(&u, text), urls[i].printed);
		assert_int_equal(snet_url_parse(&again, text, NULL), SNET_OK);
		assert_memory_equal(&u, &again, sizeof(u));
	}
}

/* clang-format off */
static const struct {
	const char *text, *says; /* the part that is wrong */
} wrong[] = {
	{ "",                          "port:"   },
	{ "host",                      "port:"   },
	{ "host:",                     "port:"   },
	{ "host:http",                 "port:"   },
	{ "host:65536",                "port:"   },
	{ "host:-1",                   "port:"   },
	{ "host:+1",                   "port:"   },
	{ "host: 1",                   "port:"   },
	{ "host:1 ",                   "port:"   },
	{ "host:9000/path",            "port:"   },
	{ "host:18446744073709551617", "port:"   },
	{ "quic://host",               "port:"   },
	{ "://host:1",                 "scheme:" },
	{ "QUIC://host:1",             "scheme:" },
	{ "1x://host:1",               "scheme:" },
	{ "+x://host:1",               "scheme:" },
	{ "qu ic://host:1",            "scheme:" },
	{ "abcdefghij12://host:1",     "scheme:" },
	{ "::1:9000",                  "host:"   },
	{ "quic://2001:db8::1:9000",   "host:"   },
	{ "[::1]",                     "host:"   },
	{ "[::1]9000",                 "host:"   },
	{ "[::1:9000",                 "host:"   },
	{ "[]:9000",                   "host:"   },
	{ "[host]:9000",               "host:"   },
	{ "[127.0.0.1]:9000",          "host:"   },
	{ "[fe80::1%]:9000",           "host:"   },
	{ "[fe80::1%a b]:9000",        "host:"   },
	{ "[fe80::1%abcdefghijklmnop]:9000", "host:" },
	{ "user@host:9000",            "host:"   },
	{ "ho st:9000",                "host:"   },
	{ "ho/st:9000",                "host:"   },
	{ "h\xc3\xb6st:9000",          "host:"   },
	{ "quic:host:9000",            "host:"   },
	{ "ice+ws://host:9000",        "room:"   },
	{ "ice+ws://host:9000/",       "room:"   },
	{ "ice+ws://host:9000/..",     "room:"   },
	{ "ice+ws://host:9000/a/b",    "room:"   },
	{ "ice+ws://host:9000/a b",    "room:"   },
	{ "ice+ws://host:9000/a#abc",  "key id:" },
	{ "ice+ws://host:9000/"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "room:" },
	{ "host:9000#",                "key id:" },
	{ "host:9000#abc",             "key id:" },
	{ "host:9000#" KEY "=",        "key id:" },
	{ "host:9000#" KEY "#" KEY,    "key id:" },
	{ "#" KEY,                     "port:"   },
	{ "srv://",                    "host:"   },
	{ "srv://#" KEY,               "host:"   },
	{ "srv://name/room",           "host:"   },
	{ "srv://[::1]",               "port:"   },
	{ "srv://name:9000",           "port:"   },
	{ "srv://name:",               "port:"   },
	{ "srv://name#abc",            "key id:" },
};
/* clang-format on */

static void an_error_names_the_text_and_the_wrong_part(void **state)
{
	struct snet_error err;
	struct snet_url u;
	char quoted[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		print_message("# '%s'\n", wrong[i].text);
		memset(&u, 0x5a, sizeof(u));
		err = (struct snet_error){ 0 };
		assert_int_equal(snet_url_parse(&u, wrong[i].text, &err), SNET_EINVAL);
		assert_int_equal(err.code, SNET_EINVAL);
		print_message("# %s\n", err.text);
		snprintf(quoted, sizeof(quoted), "address '%.80s", wrong[i].text);
		assert_non_null(strstr(err.text, quoted));
		assert_non_null(strstr(err.text, wrong[i].says));
		assert_int_equal(u.scheme[0], 0x5a); /* untouched */
	}
}

static void hosts_are_at_most_255_bytes(void **state)
{
	char text[600], printed[SNET_URL_TEXT];
	struct snet_error err;
	struct snet_url u;

	(void)state;
	for (size_t n = 250; n < 500; n++) {
		memset(text, 'h', n);
		strcpy(text + n, ":65535#" KEY);
		assert_int_equal(snet_url_parse(&u, text, &err),
				 n > 255 ? SNET_EINVAL : SNET_OK);
		if (n > 255)
			continue;
		memset(u.scheme, 's', sizeof(u.scheme) - 1); /* the longest of all */
		snet_url_print(&u, printed);
		assert_int_equal(strlen(printed), 11 + 3 + n + 6 + 44);
	}
	assert_non_null(strstr(err.text, "...'"));
	for (size_t n = 250; n < 380; n++) {
		strcpy(text, "srv://");
		memset(text + 6, 'h', n);
		strcpy(text + 6 + n, "#" KEY);
		assert_int_equal(snet_url_parse(&u, text, &err),
				 n > 255 ? SNET_EINVAL : SNET_OK);
	}
}

static void an_error_repeats_no_control_bytes(void **state)
{
	struct snet_error err;
	struct snet_url u;

	(void)state;
	assert_int_equal(snet_url_parse(&u, "\x1b[2J\n\x7f:1", &err), SNET_EINVAL);
	assert_non_null(strstr(err.text, "'?[2J??:1'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numeric_addresses_come_back_as_written),
		cmocka_unit_test(anything_else_is_no_numeric_address),
		cmocka_unit_test(equal_is_family_host_port_and_the_link_of_a_link_local),
		cmocka_unit_test(ports_and_lengths_follow_the_family),
		cmocka_unit_test(any_is_the_address_of_every_interface),
		cmocka_unit_test(a_key_id_is_base64url_of_its_bytes),
		cmocka_unit_test(a_key_id_has_one_spelling),
		cmocka_unit_test(addresses_are_taken_apart),
		cmocka_unit_test(an_error_names_the_text_and_the_wrong_part),
		cmocka_unit_test(hosts_are_at_most_255_bytes),
		cmocka_unit_test(what_an_ipv6_socket_says_for_ipv4_becomes_ipv4),
		cmocka_unit_test(an_error_repeats_no_control_bytes),
	};

	return cmocka_run_group_tests_name("base/addr", tests, NULL, NULL);
}
