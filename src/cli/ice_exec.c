#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ice_impl.h"
#include "cli/out.h"
#include "cli/program.h"
#include "cli/run.h"
#include "io/child.h"
#include "io/udp.h"
#include "obs/metrics.h"

/* --exec: a program gets the pair: its very socket; or, where there is none to give, or we stay
 * to look after it (--keep), one end of a pair of sockets, and we carry between the other and
 * the driver: message for datagram. */

extern char **environ;

#define TURN 64        /* messages read at a time, so that other work goes on */
#define LAST_TIME 1000 /* ms that it has to end, when we do */

/* ---- carrying */

static void drop(struct ice *i)
{
	i->traffic.dropped++;
	snet_count(SNET_METRIC_DROPPED_MESSAGES, 1);
}

/* It lies in the scratch. What the driver could not send yet it has taken all the same. */
static int send_to_peer(struct ice *i, size_t n)
{
	int rc = snet_ice_send(i->ice, 0, n, n);

	return rc == SNET_EAGAIN ? SNET_OK : rc;
}

static void on_program(struct snet_io *io, int ready, void *user)
{
	struct ice *i = user;

	(void)ready;
	for (int k = 0; k < TURN; k++) {
		ssize_t n;

		if (snet_ice_is_blocked(i->ice)) {
			snet_io_want(io, 0);
			return;
		}
		n = recv(i->fd, snet_ice_scratch(i->ice), SNET_UDP_PAYLOAD_MAX,
			 MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) { /* it has closed it */
			snet_io_want(io, 0);
			return;
		}
		if (n > SNET_UDP_PAYLOAD_MAX || send_to_peer(i, (size_t)n)) {
			drop(i);
			continue;
		}
		i->traffic.sent++;
		i->traffic.sent_bytes += (uint64_t)n;
		snet_count(SNET_METRIC_SENT_MESSAGES, 1);
		snet_count(SNET_METRIC_SENT_BYTES, (uint64_t)n);
	}
}

void ice_exec_writable(struct ice *i)
{
	if (i->io)
		snet_io_want(i->io, SNET_READ);
}

/* An empty message would be the end of input to whoever reads. */
void ice_exec_data(struct ice *i, const uint8_t *p, size_t n)
{
	if (!i->io || !n || send(i->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		drop(i);
		return;
	}
	i->traffic.received++;
	i->traffic.received_bytes += n;
	snet_count(SNET_METRIC_RECEIVED_MESSAGES, 1);
	snet_count(SNET_METRIC_RECEIVED_BYTES, n);
}

void ice_exec_hang_up(struct ice *i)
{
	snet_io_free(i->io);
	i->io = NULL;
	if (i->fd >= 0)
		close(i->fd);
	i->fd = -1;
}

/* ---- its end */

static void on_exit_of(int pid, int status, void *user)
{
	struct ice *i = user;
	struct snet_error err;
	bool by_itself = WIFEXITED(status);
	int number = by_itself ? WEXITSTATUS(status) : WTERMSIG(status);

	(void)pid;
	i->watch = NULL;
	kill(-i->pid, SIGTERM); /* what it has left behind */
	i->pid = 0;
	ice_exec_hang_up(i);
	out_event("exit", out_if(by_itself, out_uint("status", (uint64_t)number)),
		  out_if(!by_itself, out_uint("signal", (uint64_t)number)));
	snet_fail(&err, SNET_EIO, "the program ended with %s %d",
		  by_itself ? "status" : "signal", number);
	ice_done(i, number && !i->run->signo ? &err : NULL);
}

/* ---- its beginning */

/* Signalling is none of its business: it reads the pair, or nothing; what it prints goes to the
 * pair, or to stderr. */
static int place_files(posix_spawn_file_actions_t *files, int fd, int at)
{
	int rc;

	if (at < 0) {
		rc = posix_spawn_file_actions_adddup2(files, fd, 0);
		return rc ? rc : posix_spawn_file_actions_adddup2(files, fd, 1);
	}
	rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(files, 2, 1);
	return rc ? rc : posix_spawn_file_actions_adddup2(files, fd, at);
}

static int spawn(struct ice *i, int fd, char *const *env)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)i->o->exec, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	sigaddset(&none, SIGPIPE); /* we ignore it; it should not */
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	rc = place_files(&files, fd, i->o->pass_fd);
	if (!rc)
		rc = posix_spawn(&i->pid, "/bin/sh", &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* Its socket, and, when that is carried, our end of it. */
static int find_socket(struct ice *i, bool carried, int *fd, struct snet_error *err)
{
	int pair[2], flags;

	if (!carried) {
		int rc = snet_ice_detach(i->ice, fd, err);

		flags = rc ? -1 : fcntl(*fd, F_GETFL);
		if (flags >= 0)
			fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK); /* as programs expect */
		return rc;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return snet_fail(err, SNET_EIO, "--exec: %s", strerror(errno));
	i->fd = pair[0];
	*fd = pair[1];
	i->io = snet_io_new(i->run->loop, i->fd, on_program, i);
	return i->io ? SNET_OK : snet_fail(err, SNET_ENOMEM, "--exec");
}

static int run_with(struct ice *i, int fd, const struct snet_agent_event *ev,
		    struct snet_error *err)
{
	char local[SNET_ADDR_TEXT], remote[SNET_ADDR_TEXT], number[16];
	int at = i->o->pass_fd, error;

	snprintf(number, sizeof(number), "%d", at < 0 ? 0 : at);
	if (setenv("SNET_LOCAL", snet_addr_print(&ev->local.base, local), 1) ||
	    setenv("SNET_REMOTE", snet_addr_print(&ev->remote.address, remote), 1) ||
	    setenv("SNET_FD", number, 1))
		return snet_fail(err, SNET_ENOMEM, "--exec");
	error = spawn(i, fd, environ);
	if (error) {
		i->pid = 0;
		return snet_fail(err, SNET_EIO, "--exec: %s", strerror(error));
	}
	i->watch = snet_child_new(i->run->loop, i->pid, on_exit_of, i);
	return i->watch ? SNET_OK : snet_fail(err, SNET_ENOMEM, "--exec");
}

int ice_exec_start(struct ice *i, struct snet_error *err)
{
	struct snet_agent_event ev;
	int fd = -1, rc;
	bool carried;

	if (!snet_agent_selected(snet_ice_agent(i->ice), &ev))
		return snet_fail(err, SNET_ELOST, "the pair is gone");
	carried = i->o->keep || ice_is_relayed(i, &ev);
	rc = find_socket(i, carried, &fd, err);
	if (!rc)
		rc = run_with(i, fd, &ev, err);
	if (fd >= 0)
		close(fd);
	if (rc)
		return rc;
	if (carried) {
		snet_io_want(i->io, SNET_READ);
	} else { /* the socket is its own; what else there was is not needed */
		snet_ice_free(i->ice);
		i->ice = NULL;
	}
	return SNET_OK;
}

void ice_exec_signal(struct ice *i, int signo)
{
	kill(-i->pid, signo);
}

void ice_exec_fini(struct ice *i)
{
	struct program p = { .pid = i->pid };

	ice_exec_hang_up(i);
	snet_child_free(i->watch);
	if (i->pid)
		program_end(&p, LAST_TIME);
}
