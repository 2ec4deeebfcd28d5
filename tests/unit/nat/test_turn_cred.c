/* nat/turn_cred: the file with a user and a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "nat/turn_cred.h"
#include "support/torture.h"

static char path[64];

static int make_file(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/snet-cred.XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const char *text)
{
	assert_int_equal(snet_file_write(path, text, strlen(text), 0600, true, NULL), SNET_OK);
}

static void every_form_is_read(void **state)
{
	/* clang-format off */
	static const struct { const char *text, *user, *password, *realm; } cases[] = {
		{ "alice:secret"                 , "alice"      , "secret", "" },
		{ "alice:secret\n"               , "alice"      , "secret", "" },
		{ "alice:secret:example.org\n"   , "alice"      , "secret", "example.org" },
		{ "\n\nalice:secret\r\n\n"       , "alice"      , "secret", "" },
		{ "alice\nsecret\n"              , "alice"      , "secret", "" },
		{ "1700000000:bob\na:b:c\n"      , "1700000000:bob", "a:b:c", "" },
		{ "alice\r\nsecret\r\nr.org\r\n" , "alice"      , "secret", "r.org" },
		{ " alice : se cret "            , " alice "    , " se cret ", "" },
		{ "\xc3\xa4:\xc3\xb6"            , "\xc3\xa4"   , "\xc3\xb6", "" },
	};
	/* clang-format on */
	struct snet_turn_cred c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file(cases[i].text);
		assert_int_equal(snet_turn_cred_load(&c, path, NULL), SNET_OK);
		assert_string_equal(c.user, cases[i].user);
		assert_string_equal(c.password, cases[i].password);
		assert_string_equal(c.realm, cases[i].realm);
		snet_turn_cred_wipe(&c);
		assert_string_equal(c.password, "");
	}
}

static void what_is_of_no_form_is_refused_without_being_shown(void **state)
{
	static const char *const cases[] = {
		"",
		"\n\n",
		"alice",
		":topsecret",
		"topsecret:",
		"a:b:",
		"a:topsecret:c:d",
		"a\nb\nc\nd\n",
		"a:top\tsecret",
		"a\x01:topsecret",
		"a:\xff",
		"a:b:c\nd:e:f\ng\nh",
	};
	struct snet_error err;
	struct snet_turn_cred c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file(cases[i]);
		assert_int_equal(snet_turn_cred_load(&c, path, &err), SNET_ECONFIG);
		assert_non_null(strstr(err.text, path));
		assert_null(strstr(err.text, "secret"));
	}
}

static void lengths_have_limits(void **state)
{
	char text[SNET_TURN_CRED_FILE_MAX + 2];
	struct snet_turn_cred c;
	/* clang-format off */
	static const struct { size_t user, password, realm; int rc; } cases[] = {
		{ SNET_STUN_USERNAME_MAX, SNET_STUN_KEY_MAX, SNET_STUN_TEXT_MAX, SNET_OK },
		{ SNET_STUN_USERNAME_MAX + 1, 1, 1, SNET_ECONFIG },
		{ 1, SNET_STUN_KEY_MAX + 1, 1, SNET_ECONFIG },
		{ 1, 1, SNET_STUN_TEXT_MAX + 1, SNET_ECONFIG },
		{ 1, 1, SNET_TURN_CRED_FILE_MAX - 3, SNET_ECONFIG },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = cases[i].user + cases[i].password + cases[i].realm + 2;

		memset(text, 'x', n);
		text[cases[i].user] = text[cases[i].user + 1 + cases[i].password] = ':';
		text[n] = '\0';
		write_file(text);
		assert_int_equal(snet_turn_cred_load(&c, path, NULL), cases[i].rc);
	}
}

static void a_file_open_to_others_is_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0644, 0622, 0777 };
	struct snet_error err;
	struct snet_turn_cred c;

	(void)state;
	write_file("alice:secret\n");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(snet_turn_cred_load(&c, path, &err), SNET_ECONFIG);
		assert_non_null(strstr(err.text, "chmod 600"));
		assert_non_null(strstr(err.text, path));
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(snet_turn_cred_load(&c, path, &err), SNET_OK);
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct snet_error err;
	struct snet_turn_cred c;

	(void)state;
	assert_int_equal(snet_turn_cred_load(&c, "/nonexistent/cred", &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, "/nonexistent/cred"));
}

static int load(void *user)
{
	struct snet_turn_cred c;

	(void)user;
	return snet_turn_cred_load(&c, path, NULL);
}

static void it_survives_without_memory(void **state)
{
	(void)state;
	write_file("alice:secret\n");
	torture(load, NULL);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, make_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_form_is_read),
		T(what_is_of_no_form_is_refused_without_being_shown),
		T(lengths_have_limits),
		T(a_file_open_to_others_is_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
		T(it_survives_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
