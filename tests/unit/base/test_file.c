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

#include "base/file.h"
#include "support/torture.h"

static char dir[64], path[96];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/snet-file.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/f", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir); /* fails when something was left beside the file */
}

static void what_is_written_is_read(void **state)
{
	struct snet_buf b = SNET_BUF(1 << 20);
	uint8_t bytes[200000];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 >> 3);
	assert_int_equal(snet_file_write(path, bytes, sizeof(bytes), 0600, false, NULL),
			 SNET_OK);
	assert_int_equal(snet_file_read(&b, path, true, SNET_EKEY, NULL), SNET_OK);
	assert_int_equal(b.n, sizeof(bytes));
	assert_memory_equal(b.p, bytes, sizeof(bytes));
	snet_buf_free(&b);
}

static void the_ceiling_is_exact(void **state)
{
	struct snet_buf fits = SNET_BUF(70000), small = SNET_BUF(69999), none = SNET_BUF(0);
	uint8_t bytes[70000] = { 0 };
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_file_write(path, bytes, sizeof(bytes), 0600, false, &err),
			 SNET_OK);
	assert_int_equal(snet_file_read(&fits, path, false, SNET_ECONFIG, &err), SNET_OK);
	assert_int_equal(snet_file_read(&small, path, false, SNET_ECONFIG, &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(snet_file_read(&none, "/dev/null", false, SNET_ECONFIG, &err),
			 SNET_OK);
	snet_buf_free(&fits);
	snet_buf_free(&small);
}

static void the_mode_is_what_was_asked_less_the_umask(void **state)
{
	mode_t before = umask(027);
	struct stat st;

	(void)state;
	assert_int_equal(snet_file_write(path, "x", 1, 0666, false, NULL), SNET_OK);
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void errors_are_what_the_caller_calls_them(void **state)
{
	struct snet_buf b = SNET_BUF(100);
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_file_read(&b, "/nonexistent/f", false, SNET_EKEY, &err),
			 SNET_EKEY);
	assert_int_equal(snet_file_read(&b, "/nonexistent/f", false, SNET_ECONFIG, &err),
			 SNET_ECONFIG);
	assert_int_equal(snet_file_read(&b, dir, false, SNET_ECONFIG, &err), SNET_ECONFIG);
	assert_int_equal(snet_file_write("/nonexistent/f", "x", 1, 0600, false, &err),
			 SNET_EIO);
	assert_non_null(strstr(err.text, "/nonexistent/f"));
	snet_buf_free(&b);
}

static void a_pipe_is_read_to_its_end(void **state)
{
	struct snet_buf b = SNET_BUF(100);
	char name[32];
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "secret", 6), 6);
	close(fd[1]);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd[0]);
	assert_int_equal(snet_file_read(&b, name, true, SNET_EKEY, NULL), SNET_OK);
	assert_int_equal(b.n, 6);
	close(fd[0]);
	snet_buf_wipe(&b);
}

static int read_again(void *user)
{
	struct snet_buf b = SNET_BUF(1 << 20);
	int rc = snet_file_read(&b, path, false, SNET_ECONFIG, NULL);

	(void)user;
	snet_buf_free(&b);
	return rc;
}

static void no_memory_is_an_error(void **state)
{
	static const uint8_t bytes[200000];

	(void)state;
	assert_int_equal(snet_file_write(path, bytes, sizeof(bytes), 0600, false, NULL),
			 SNET_OK);
	assert_true(torture(read_again, NULL) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_ceiling_is_exact, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_mode_is_what_was_asked_less_the_umask,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(errors_are_what_the_caller_calls_them, make_dir,
						remove_dir),
		cmocka_unit_test(a_pipe_is_read_to_its_end),
		cmocka_unit_test_setup_teardown(no_memory_is_an_error, make_dir, remove_dir),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
