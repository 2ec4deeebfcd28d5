#include "io/child.h"

#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct snet_child {
	struct snet_io *io; /* of a pidfd: a SIGCHLD handler would be the program's, not ours */
	int pid, pidfd;
	void (*fn)(int pid, int status, void *user);
	void *user;
};

void snet_child_free(struct snet_child *c)
{
	if (!c)
		return;
	snet_io_free(c->io);
	close(c->pidfd);
	free(c);
}

static void on_child(struct snet_io *io, int ready, void *user)
{
	struct snet_child *c = user;
	int status;

	(void)io, (void)ready;
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	c->fn(c->pid, status, c->user);
	snet_child_free(c);
}

struct snet_child *snet_child_new(struct snet_loop *l, int pid,
				  void (*fn)(int pid, int status, void *user), void *user)
{
	struct snet_child *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->pidfd = pidfd_open(pid, 0);
	if (c->pidfd >= 0)
		c->io = snet_io_new(l, c->pidfd, on_child, c);
	if (!c->io) {
		if (c->pidfd >= 0)
			close(c->pidfd);
		free(c);
		return NULL;
	}
	c->pid = pid;
	c->fn = fn;
	c->user = user;
	snet_io_want(c->io, SNET_READ);
	return c;
}
