#include "cli/spawn_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD 3

void spawn_link_roster(const struct spawn_link *l, uint32_t i, char path[static PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%u-sees.json", l->dir, i);
}

/* The one beside this program, so that a build is tested with its own. */
static void run(char *const argv[])
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("snet-link"));
	char *slash;

	if (n > 0) {
		path[n] = 0;
		slash = strrchr(path, '/');
		strcpy(slash ? slash + 1 : path, argv[0]);
		execv(path, argv);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

_Noreturn static void be_link(const char *preset, const char *dir, pid_t parent, int ready)
{
	char roster[PATH_MAX], out[PATH_MAX], fd[8];
	char *argv[] = { (char *)"snet-link",
			 (char *)"-q",
			 (char *)"--preset",
			 (char *)preset,
			 (char *)"--roster",
			 roster,
			 (char *)"--out",
			 out,
			 (char *)"--ready-fd",
			 fd,
			 NULL };
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	snprintf(roster, sizeof(roster), "%s/roster.json", dir);
	snprintf(out, sizeof(out), "%s/%%-sees.json", dir);
	snprintf(fd, sizeof(fd), "%d", READY_FD);
	dup2(null, 0);
	dup2(null, 1);
	if (ready == READY_FD)
		fcntl(ready, F_SETFD, 0);
	else
		dup2(ready, READY_FD);
	close_range(READY_FD + 1, ~0u, 0);
	run(argv);
	_exit(127);
}

int spawn_link_start(struct spawn_link *l, const char *preset, const char *dir,
		     struct snet_error *err)
{
	int ready[2];
	pid_t self = getpid();
	ssize_t n;
	char c;

	l->dir = dir;
	if (pipe2(ready, O_CLOEXEC))
		return snet_fail(err, SNET_EIO, "--link: %s", strerror(errno));
	l->pid = fork();
	if (!l->pid)
		be_link(preset, dir, self, ready[1]);
	close(ready[1]);
	if (l->pid < 0) {
		l->pid = 0;
		close(ready[0]);
		return snet_fail(err, SNET_EIO, "--link: fork: %s", strerror(errno));
	}
	do
		n = read(ready[0], &c, 1);
	while (n < 0 && errno == EINTR);
	close(ready[0]);
	if (n == 1)
		return SNET_OK;
	spawn_link_end(l);
	return snet_fail(err, SNET_ECONFIG, "--link %.64s: snet-link would not start", preset);
}

void spawn_link_end(struct spawn_link *l)
{
	if (!l->pid)
		return;
	kill(l->pid, SIGTERM);
	waitpid(l->pid, NULL, 0);
	l->pid = 0;
}

void spawn_link_remove(const struct spawn_link *l, uint32_t n)
{
	char path[PATH_MAX];

	for (uint32_t i = 0; l->dir && i < n; i++) {
		spawn_link_roster(l, i, path);
		unlink(path);
	}
}
