#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHILE (5 * SNET_SEC)

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

static void on_limit(struct snet_timer *t, snet_time now)
{
	struct program_limit *l = t->user;

	if (!l->pid) {
		l->on_silence(l->user);
		return;
	}
	kill(-l->pid, l->asked ? SIGKILL : SIGTERM);
	l->asked = true;
	snet_timer_set(l->loop, t, now + WHILE);
}

void program_limit_init(struct program_limit *l, struct snet_loop *loop, pid_t pid,
			void (*on_silence)(void *user), void *user)
{
	*l = (struct program_limit){ .loop = loop,
				     .timer = { .fn = on_limit, .user = l },
				     .pid = pid,
				     .on_silence = on_silence,
				     .user = user };
}

void program_limit_set(struct program_limit *l)
{
	if (!l->timer.slot)
		snet_timer_set(l->loop, &l->timer, snet_loop_now(l->loop) + WHILE);
}

void program_limit_ended(struct program_limit *l, bool silent)
{
	l->pid = 0;
	program_limit_stop(l);
	if (!silent)
		program_limit_set(l);
}

void program_limit_stop(struct program_limit *l)
{
	if (l->loop)
		snet_timer_stop(l->loop, &l->timer);
}

/* Until it has ended, or so long (ms). */
static void wait_for(pid_t pid, int patience)
{
	struct pollfd ended = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	snet_time until = snet_now() + (snet_time)patience * SNET_MS, now;

	if (ended.fd < 0)
		return;
	while ((now = snet_now()) < until &&
	       poll(&ended, 1, (int)((until - now + SNET_MS - 1) / SNET_MS)) < 0 &&
	       errno == EINTR)
		;
	close(ended.fd);
}

void program_end(const struct program *p, int patience)
{
	kill(-p->pid, SIGTERM);
	wait_for(p->pid, patience);
	program_kill(p); /* and what it has started */
}
