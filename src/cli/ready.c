#include "cli/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3 }; /* sd_listen_fds(3) */

static int ready_fd = -1;
static char *notify; /* ours: programs we run are not to speak for us */

int ready_check(uint64_t fd, struct snet_error *err)
{
	const char *socket_name = getenv("NOTIFY_SOCKET");

	if (socket_name && !notify)
		notify = strdup(socket_name);
	unsetenv("NOTIFY_SOCKET");
	if (fd == UINT64_MAX)
		return SNET_OK;
	if (fcntl((int)fd, F_GETFD) < 0)
		return snet_fail(err, SNET_EINVAL, "--ready-fd: descriptor %d is not open",
				 (int)fd);
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	ready_fd = (int)fd;
	return SNET_OK;
}

/* sd_notify(3) without its library: one datagram. Nobody listens, nobody minds. */
static void tell(const char *state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = notify ? strlen(notify) : 0;
	int fd;

	if (n < 2 || n >= sizeof(to.sun_path) || (notify[0] != '/' && notify[0] != '@'))
		return;
	memcpy(to.sun_path, notify, n);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0; /* abstract, unix(7) */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

void ready_say(void)
{
	static bool said;

	if (said)
		return;
	said = true;
	if (ready_fd >= 0) {
		while (write(ready_fd, "\n", 1) < 0 && errno == EINTR)
			;
		close(ready_fd);
		ready_fd = -1;
	}
	tell("READY=1");
}

void ready_stopping(void)
{
	tell("STOPPING=1");
}

static int check_socket(int fd, struct snet_error *err)
{
	struct sockaddr_storage at;
	socklen_t n = sizeof(at), type_n = sizeof(int);
	int type = 0;

	if (getsockname(fd, (struct sockaddr *)&at, &n) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_n))
		return snet_fail(err, SNET_ECONFIG, "LISTEN_FDS: descriptor %d: %s", fd,
				 strerror(errno));
	if (type != SOCK_DGRAM || (at.ss_family != AF_INET && at.ss_family != AF_INET6))
		return snet_fail(err, SNET_ECONFIG,
				 "LISTEN_FDS: descriptor %d is not a UDP socket", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return SNET_OK;
}

static long given(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	bool ours = pid && fds && strtol(pid, NULL, 10) == (long)getpid();

	return ours ? strtol(fds, NULL, 10) : 0;
}

bool ready_has_listen_fd(void)
{
	return given() > 0;
}

int ready_listen_fd(int *fd, struct snet_error *err)
{
	long n = given();
	int rc;

	*fd = -1;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (n <= 0)
		return SNET_OK;
	if (n > 1)
		return snet_fail(err, SNET_ECONFIG, "LISTEN_FDS: %ld sockets, one is expected",
				 n);
	rc = check_socket(FIRST_FD, err);
	if (!rc)
		*fd = FIRST_FD;
	return rc;
}
