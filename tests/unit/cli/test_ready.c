#include "cli/ready.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Everything here is once per process: each case has its own. Returns its exit status. */
static int in_child(int (*fn)(void *arg), void *arg)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(fn(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int say_to_pipe(void *arg)
{
	int *fd = arg;

	close(fd[0]);
	if (ready_check((uint64_t)fd[1], NULL))
		return 1;
	ready_say();
	ready_say();                       /* once */
	return fcntl(fd[1], F_GETFD) >= 0; /* closed */
}

static void the_descriptor_gets_one_newline_and_is_closed(void **state)
{
	char text[8];
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(in_child(say_to_pipe, fd), 0);
	close(fd[1]);
	assert_int_equal(read(fd[0], text, sizeof(text)), 1);
	assert_int_equal(text[0], '\n');
	assert_int_equal(read(fd[0], text, sizeof(text)), 0);
	close(fd[0]);
}

static void a_descriptor_that_is_not_open_is_refused(void **state)
{
	struct snet_error err;

	(void)state;
	assert_int_equal(ready_check(987, &err), SNET_EINVAL);
	assert_string_equal(err.text, "--ready-fd: descriptor 987 is not open");
	assert_int_equal(ready_check(UINT64_MAX, &err), SNET_OK);
}

static int notify(void *arg)
{
	setenv("NOTIFY_SOCKET", arg, 1);
	if (ready_check(UINT64_MAX, NULL) || getenv("NOTIFY_SOCKET"))
		return 1; /* programs we run are not to speak for us */
	ready_say();
	ready_stopping();
	return 0;
}

static void the_service_manager_is_told(void **state)
{
	char dir[] = "/tmp/snet-ready-XXXXXX", path[64], abstract[64];
	const char *names[] = { path, abstract };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/notify", dir);
	snprintf(abstract, sizeof(abstract), "@%s", dir + 5);
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_un at = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		char text[32];

		strcpy(at.sun_path, names[i]);
		if (i)
			at.sun_path[0] = 0;
		assert_int_equal(bind(fd, (struct sockaddr *)&at,
				      (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
						  strlen(names[i]))),
				 0);
		assert_int_equal(in_child(notify, (void *)names[i]), 0);
		assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 7);
		assert_memory_equal(text, "READY=1", 7);
		assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 10);
		assert_memory_equal(text, "STOPPING=1", 10);
		close(fd);
	}
	unlink(path);
	assert_int_equal(in_child(notify, path), 0); /* nobody listens: no matter */
	rmdir(dir);
}

struct activation {
	int type;        /* of descriptor 3; 0: a file */
	const char *fds; /* LISTEN_FDS */
	bool for_another;
	int rc, fd;
};

static int take_over(void *arg)
{
	const struct activation *a = arg;
	struct sockaddr_in any = { .sin_family = AF_INET };
	int made = a->type ? socket(AF_INET, a->type, 0) : open("/dev/null", O_RDWR), fd = 0,
	    rc;
	struct snet_error err = { 0 };
	char pid[16];

	if (a->type && bind(made, (struct sockaddr *)&any, sizeof(any)))
		return 1;
	if (dup2(made, 3) != 3)
		return 2;
	snprintf(pid, sizeof(pid), "%d", a->for_another ? (int)getppid() : (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	if (a->fds)
		setenv("LISTEN_FDS", a->fds, 1);
	rc = ready_listen_fd(&fd, &err);
	if (getenv("LISTEN_PID") || getenv("LISTEN_FDS"))
		return 3;
	if (rc != a->rc || fd != a->fd || (rc && !strstr(err.text, "LISTEN_FDS")))
		return 4;
	return fd == 3 && !(fcntl(3, F_GETFD) & FD_CLOEXEC) ? 5 : 0;
}

static void a_socket_is_taken_over_when_it_is_one(void **state)
{
	static struct activation cases[] = {
		{ SOCK_DGRAM, "1", false, SNET_OK, 3 },
		{ SOCK_DGRAM, "1", true, SNET_OK, -1 },
		{ SOCK_DGRAM, NULL, false, SNET_OK, -1 },
		{ SOCK_DGRAM, "0", false, SNET_OK, -1 },
		{ SOCK_DGRAM, "2", false, SNET_ECONFIG, -1 },
		{ SOCK_STREAM, "1", false, SNET_ECONFIG, -1 },
		{ 0, "1", false, SNET_ECONFIG, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (in_child(take_over, &cases[i]))
			fail_msg("case %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_descriptor_gets_one_newline_and_is_closed),
		cmocka_unit_test(a_descriptor_that_is_not_open_is_refused),
		cmocka_unit_test(the_service_manager_is_told),
		cmocka_unit_test(a_socket_is_taken_over_when_it_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
