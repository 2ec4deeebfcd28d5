/* signal/tokens: the file of those who may come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "signal/tokens.h"
#include "signal/upgrade.h"

static char path[] = "/tmp/snet-tokens-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || close(fd);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	return 0;
}

static void fill(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void only_those_in_the_file_come_in(void **state)
{
	struct snet_tokens t = { 0 };
	struct snet_error err = { 0 };

	(void)state;
	assert_true(snet_tokens_accept(&t, NULL)); /* no file: anybody */
	fill("# ours\n\n  alice-1 \r\nbob=\n");
	assert_int_equal(snet_tokens_load(&t, path, &err), SNET_OK);
	assert_true(snet_tokens_accept(&t, "alice-1"));
	assert_true(snet_tokens_accept(&t, "bob="));
	assert_false(snet_tokens_accept(&t, "alice"));
	assert_false(snet_tokens_accept(&t, "alice-1 "));
	assert_false(snet_tokens_accept(&t, ""));
	assert_false(snet_tokens_accept(&t, "# ours"));
	assert_false(snet_tokens_accept(&t, NULL));
	snet_tokens_fini(&t);
}

static void a_client_gives_the_first(void **state)
{
	char token[SNET_SIGNAL_TOKEN_MAX + 1];
	struct snet_error err = { 0 };

	(void)state;
	fill("# ours\nalice-1\nbob\n");
	assert_int_equal(snet_token_read(token, path, &err), SNET_OK);
	assert_string_equal(token, "alice-1");
	fill("last");
	assert_int_equal(snet_token_read(token, path, &err), SNET_OK);
	assert_string_equal(token, "last");
}

static void bad_files_are_named_and_their_tokens_are_not(void **state)
{
	static const char *const files[] = { "", "# nothing\n", "good\nse cret\n",
					     "secret\x01\n", "secret\xc3\xa4\n" };
	char token[SNET_SIGNAL_TOKEN_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct snet_error err = { 0 };
		struct snet_tokens t;

		fill(files[i]);
		assert_int_equal(snet_tokens_load(&t, path, &err), SNET_ECONFIG);
		assert_non_null(strstr(err.text, path));
		assert_null(strstr(err.text, "cret"));
		if (i != 2)
			assert_int_equal(snet_token_read(token, path, &err), SNET_ECONFIG);
	}
}

static void a_file_that_others_can_read_is_refused(void **state)
{
	struct snet_error err = { 0 };
	struct snet_tokens t;

	(void)state;
	fill("alice\n");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(snet_tokens_load(&t, path, &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, "chmod"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_those_in_the_file_come_in, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_client_gives_the_first, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_files_are_named_and_their_tokens_are_not,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_others_can_read_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
