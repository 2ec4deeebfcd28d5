#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

char *program_variable(const char *name, const char *value)
{
	char *s;

	return asprintf(&s, "%s=%s", name, value) < 0 ? NULL : s;
}

static bool is_named_like(const char *variable, char *const *own, size_t n)
{
	size_t name = strcspn(variable, "=");

	for (size_t i = 0; i < n; i++)
		if (!strncmp(variable, own[i], name + 1))
			return true;
	return false;
}

/* own first; of the others those that are not among them. */
static char **environment(char *const *own, size_t n)
{
	size_t all = 0, k = n;
	char **env;

	for (size_t i = 0; i < n; i++)
		if (!own[i])
			return NULL;
	while (environ[all])
		all++;
	env = calloc(all + n + 1, sizeof(*env));
	if (!env)
		return NULL;
	memcpy(env, own, n * sizeof(*env));
	for (size_t i = 0; i < all; i++)
		if (!is_named_like(environ[i], own, n))
			env[k++] = environ[i];
	return env;
}

static int spawn(pid_t *pid, const char *command, char **env, int in, int out)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	sigaddset(&none, SIGPIPE); /* we ignore it; it should not */
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid, "/bin/sh", &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static void close_pair(int p[2])
{
	for (int i = 0; i < 2; i++)
		if (p[i] >= 0)
			close(p[i]);
}

int program_start(struct program *p, const char *command, char *const *own, size_t n,
		  struct snet_error *err)
{
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, error;
	char **env = environment(own, n);

	if (!env)
		return snet_fail(err, SNET_ENOMEM, "--exec");
	error = pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)
			? errno
			: spawn(&p->pid, command, env, to[0], from[1]);
	free(env);
	if (error) {
		close_pair(to);
		close_pair(from);
		return snet_fail(err, SNET_EIO, "--exec: %s", strerror(error));
	}
	close(to[0]);
	close(from[1]);
	p->from = from[0];
	p->to = to[1];
	return SNET_OK;
}

void program_kill(const struct program *p)
{
	kill(-p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}

void program_end(const struct program *p, int patience)
{
	const struct timespec step = { 0, 10000000 };

	kill(-p->pid, SIGTERM);
	for (int waited = 0; waited < patience; waited += 10) {
		if (waitpid(p->pid, NULL, WNOHANG)) {
			kill(-p->pid, SIGKILL); /* what it has started */
			return;
		}
		nanosleep(&step, NULL);
	}
	program_kill(p);
}
