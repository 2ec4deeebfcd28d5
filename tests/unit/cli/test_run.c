/* Run: a program of three lines, seen from outside: its stdout, stderr and exit status. */
#include "cli/run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/sink.h"

static const struct opt_group groups[] = {
	{ "Format", format_opts }, { "Looking", looking_opts }, { "Stats", stats_opts }, { 0 }
};
static const struct tool tool = { "snet-test", "[options] WHAT", "Test.", groups };

/* ---- the program */

static struct run r;
static const char *what;

static void on_stats(void *user)
{
	(void)user;
	out_event("ready", out_uint("peers", 42));
}

static void on_drain(void *user)
{
	(void)user;
	if (strcmp(what, "drain") == 0)
		run_done(&r, NULL, OPT_NONE);
	/* else it takes for ever */
}

static void on_begin(struct snet_task *t)
{
	const struct snet_error err = { SNET_ELOST, "somebody is gone" };

	(void)t;
	out_event("ready", out_uint("peers", 0));
	if (strcmp(what, "done") == 0)
		run_done(&r, NULL, OPT_NONE);
	if (strcmp(what, "fail") == 0)
		run_done(&r, &err, 7);
	out_event("ready", out_uint("peers", 1));
}

static int program(int argc, char **argv)
{
	struct snet_error err = { 0 };
	struct snet_task task;
	int first = run_start(&tool, argc, argv), rc;

	if (first == argc)
		opts_misuse(&tool, "%s expected", "WHAT");
	what = argv[first];
	r.on_stats = on_stats;
	r.on_drain = on_drain;
	rc = run_init(&r, &err);
	if (rc)
		return tool_fail(&err);
	snet_task_init(&task, on_begin, NULL);
	snet_task_defer(r.loop, &task);
	run_loop(&r);
	snet_task_cancel(&task);
	return run_fini(&r);
}

/* ---- seen from outside */

static char out[8192], err_text[8192];
static pid_t pid;
static int out_fd;

static void start(int stdout_fd, FILE *errors, ...)
{
	char *argv[8] = { (char *)"snet-test" };
	int argc = 1;
	va_list ap;

	va_start(ap, errors);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return;
	if (stdout_fd < 0)
		close(STDOUT_FILENO);
	else
		dup2(stdout_fd, STDOUT_FILENO);
	dup2(fileno(errors), STDERR_FILENO);
	if (stdout_fd > 2)
		close(stdout_fd);
	if (out_fd > 2)
		close(out_fd);
	exit(program(argc, argv));
}

static int end(FILE *errors)
{
	int status = 0;
	size_t n;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	rewind(errors);
	n = fread(err_text, 1, sizeof(err_text) - 1, errors);
	err_text[n] = 0;
	fclose(errors);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void read_line(const char *expected)
{
	size_t n = 0;

	while (n < sizeof(out) - 1 && read(out_fd, out + n, 1) == 1)
		if (out[n++] == '\n')
			break;
	out[n] = 0;
	assert_string_equal(out, expected);
}

#define READY(n) "{\"event\":\"ready\",\"peers\":" #n "}\n"

static FILE *begin(const char *option, const char *word)
{
	FILE *errors = tmpfile();
	int fd[2];

	assert_non_null(errors);
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	out_fd = fd[0];
	if (option)
		start(fd[1], errors, option, word, (char *)NULL);
	else
		start(fd[1], errors, word, (char *)NULL);
	close(fd[1]);
	return errors;
}

static void a_run_that_is_done_is_success(void **state)
{
	FILE *errors = begin(NULL, "done");

	(void)state;
	read_line(READY(0));
	read_line(""); /* nothing after run_done */
	assert_int_equal(end(errors), 0);
	assert_string_equal(err_text, "");
	close(out_fd);
}

static void the_last_line_of_a_failing_run_is_the_error(void **state)
{
	FILE *errors = begin(NULL, "fail");

	(void)state;
	read_line(READY(0));
	read_line("{\"event\":\"error\",\"code\":6,\"reason\":\"peer_lost\",\"text\":"
		  "\"somebody is gone\","
		  "\"peer\":7,\"fatal\":true}\n");
	read_line("");
	assert_int_equal(end(errors), 6);
	assert_string_equal(err_text, "snet-test: somebody is gone\n");
	close(out_fd);
}

static void in_other_formats_stdout_is_payload_only(void **state)
{
	FILE *errors = begin("-vfraw", "fail");

	(void)state;
	read_line("");
	assert_int_equal(end(errors), 6);
	assert_string_equal(err_text, "snet-test: ready peers=0\nsnet-test: somebody is gone\n"
				      "snet-test: ready peers=1\n");
	close(out_fd);
}

static void misuse_is_two_and_help_is_zero(void **state)
{
	FILE *errors = begin(NULL, "--nonsense");

	(void)state;
	assert_int_equal(end(errors), 2);
	assert_string_equal(err_text, "snet-test: --nonsense: unknown or ambiguous option\n"
				      "Try 'snet-test --help'.\n");
	close(out_fd);
	errors = begin("-H", "-fraw");
	assert_int_equal(end(errors), 2);
	close(out_fd);
	errors = begin("-q", "--version");
	read_line("snet-test (" PACKAGE_STRING ")\n");
	assert_int_equal(end(errors), 0);
	assert_string_equal(err_text, "");
	close(out_fd);
}

static void the_first_signal_drains_and_the_second_ends(void **state)
{
	FILE *errors = begin(NULL, "drain");

	(void)state;
	read_line(READY(0));
	read_line(READY(1));
	kill(pid, SIGUSR1);
	read_line(READY(42));
	kill(pid, SIGTERM);
	assert_int_equal(end(errors), 0);
	close(out_fd);
	errors = begin(NULL, "stay");
	read_line(READY(0));
	read_line(READY(1));
	kill(pid, SIGTERM);
	kill(pid, SIGUSR1); /* it still lives, and says so */
	read_line(READY(42));
	kill(pid, SIGINT);
	assert_int_equal(end(errors), 128 + SIGINT);
	close(out_fd);
}

static void stdout_that_cannot_be_written_is_a_failure(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), fd[2];
	FILE *errors = tmpfile();

	(void)state;
	out_fd = -1;
	start(full, errors, "done", (char *)NULL);
	assert_int_equal(end(errors), 1);
	assert_string_equal(err_text, "snet-test: stdout: No space left on device\n");
	close(full);

	errors = tmpfile();
	start(-1, errors, "stay", (char *)NULL);
	assert_int_equal(end(errors), 1);
	assert_string_equal(err_text, "snet-test: stdout: Bad file descriptor\n");

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	close(fd[0]);
	errors = tmpfile();
	start(fd[1], errors, "stay", (char *)NULL);
	assert_int_equal(end(errors), 1);
	assert_string_equal(err_text, "snet-test: stdout: Broken pipe\n");
	close(fd[1]);
}

static void words_may_be_json_too(void **state)
{
	FILE *errors = begin("--log-format=json", "fail");

	(void)state;
	assert_int_equal(end(errors), 6);
	assert_non_null(strstr(err_text, "\",\"level\":\"error\",\"program\":\"snet-test\","
					 "\"text\":\"somebody is gone\"}\n"));
	close(out_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_that_is_done_is_success),
		cmocka_unit_test(the_last_line_of_a_failing_run_is_the_error),
		cmocka_unit_test(in_other_formats_stdout_is_payload_only),
		cmocka_unit_test(misuse_is_two_and_help_is_zero),
		cmocka_unit_test(the_first_signal_drains_and_the_second_ends),
		cmocka_unit_test(stdout_that_cannot_be_written_is_a_failure),
		cmocka_unit_test(words_may_be_json_too),
	};

	alarm(240); /* whatever hangs */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
