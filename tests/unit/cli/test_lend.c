#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/lend.h"

enum { PIPE = 1 << 20, PIECE = 100000 };

static int fd[2];
static struct lend l;

static int open_pipe(void **state)
{
	(void)state;
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return -1;
	fcntl(fd[1], F_SETPIPE_SZ, PIPE);
	lend_init(&l, fd[1]);
	return 0;
}

static int close_pipe(void **state)
{
	(void)state;
	lend_fini(&l);
	close(fd[0]);
	close(fd[1]);
	return 0;
}

/* A kernel without huge pages lends nothing: then there is nothing to test. */
static void need_huge_pages(void)
{
	if (!l.on)
		skip();
}

/* Byte i of the stream. */
static uint8_t at(size_t i)
{
	return (uint8_t)(i * 7 + i / 256 + i / 65536);
}

static void fill(uint8_t *p, size_t n, size_t from)
{
	for (size_t i = 0; i < n; i++)
		p[i] = at(from + i);
}

static size_t read_and_compare(size_t from)
{
	uint8_t got[65536];
	ssize_t n = read(fd[0], got, sizeof(got));

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(got[i], at(from + (size_t)i));
	return n > 0 ? (size_t)n : 0;
}

static void what_was_lent_arrives_as_it_was_however_late_it_is_read(void **state)
{
	uint8_t *p = malloc(PIECE);
	size_t lent = 0, seen = 0, k;

	(void)state;
	need_huge_pages();
	while (lent < 9000000) {
		struct iovec v[2] = { { p, 1234 }, { p + 1234, PIECE - 1234 } };
		ssize_t n;

		fill(p, PIECE, lent);
		n = lend_writev(&l, fd[1], v, 2);
		if (n <
		    0) { /* full: half of it is read, and the rest waits while more is lent */
			assert_int_equal(errno, EAGAIN);
			for (size_t half = seen + (lent - seen) / 2; seen < half;)
				seen += read_and_compare(seen);
			continue;
		}
		assert_true(n > 0);
		lent += (size_t)n;
	}
	assert_true(l.on);
	while ((k = read_and_compare(seen)))
		seen += k;
	assert_int_equal(seen, lent);
	free(p);
}

static void a_reader_that_is_gone_is_a_broken_pipe_and_no_reason_to_stop_lending(void **state)
{
	uint8_t *p = calloc(1, PIECE);
	struct iovec v = { p, PIECE };

	(void)state;
	need_huge_pages();
	close(fd[0]);
	fd[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(lend_writev(&l, fd[1], &v, 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_true(l.on);
	free(p);
}

static void only_pipes_are_lent_to(void **state)
{
	struct lend file;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	lend_init(&file, null);
	assert_false(file.on);
	lend_fini(&file);
	close(null);
}

static void what_cannot_be_lent_turns_it_off(void **state)
{
	uint8_t *p = calloc(1, PIECE);
	struct iovec v = { p, PIECE };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	need_huge_pages();
	assert_int_equal(lend_writev(&l, null, &v, 1), -1);
	assert_int_equal(errno, ENOSYS);
	assert_false(l.on);
	close(null);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_lent_arrives_as_it_was_however_late_it_is_read, open_pipe,
			close_pipe),
		cmocka_unit_test_setup_teardown(
			a_reader_that_is_gone_is_a_broken_pipe_and_no_reason_to_stop_lending,
			open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(only_pipes_are_lent_to, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(what_cannot_be_lent_turns_it_off, open_pipe,
						close_pipe),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("cli/lend", tests, NULL, NULL);
}
