#include "cli/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20) /* 64 KiB pipes between two cores are slower than QUIC */

static void widen(int fd)
{
	/* Refused to who has too many already (pipe(7),
	 * pipe-user-pages-soft): then it stays small. */
	if (fcntl(fd, F_GETPIPE_SZ) < PIPE_BYTES)
		fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

static int set_nonblocking(struct fd *f)
{
	int flags = fcntl(f->fd, F_GETFL);

	if (flags < 0 || fcntl(f->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -1;
	if (!f->own && !(flags & O_NONBLOCK))
		f->flags = flags;
	return 0;
}

static int open_anew(const struct fd *f, int mode)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->original);
	return open(path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

int fd_open(struct fd *f, int fd, bool own, int mode, const char *name, struct snet_error *err)
{
	struct stat st;

	*f = (struct fd){ .fd = fd, .original = fd, .own = own, .flags = -1 };
	if (fstat(fd, &st))
		return snet_fail(err, SNET_EIO, "%s: %s", name, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return snet_fail(err, SNET_EIO, "%s: %s", name, strerror(EISDIR));
	f->kind = S_ISSOCK(st.st_mode)                      ? FD_SOCKET
		  : S_ISFIFO(st.st_mode) || isatty(fd) == 1 ? FD_STREAM
							    : FD_FILE;
	if (f->kind != FD_STREAM)
		return SNET_OK;
	/* Not for those of children: hundreds of wide pipes would use
	 * up what the user is allowed. */
	if (S_ISFIFO(st.st_mode) && !own)
		widen(fd);
	f->fd = own ? fd : open_anew(f, mode);
	if (f->fd < 0)
		f->fd = fd; /* no /proc, or a terminal that belongs to another user */
	if (f->fd == fd && set_nonblocking(f))
		return snet_fail(err, SNET_EIO, "%s: %s", name, strerror(errno));
	return SNET_OK;
}

int fd_close(struct fd *f, bool last)
{
	int rc = 0;

	if (f->flags >= 0)
		fcntl(f->original, F_SETFL, f->flags);
	if (f->fd != f->original && close(f->fd))
		rc = errno;
	if ((f->own || last) && close(f->original) && !rc)
		rc = errno;
	f->fd = f->original = f->flags = -1;
	return rc;
}
