/* Fd: a descriptor made fit for the loop without anybody else noticing. What
 * O_NONBLOCK is set on is shared with every process that has the same open file, the
 * shell and the next program in the pipe among them: pipes and terminals that are not
 * ours are opened anew by way of /proc. */
#ifndef CLI_FD_H
#define CLI_FD_H

#include <stdbool.h>

#include "base/err.h"

enum fd_kind {
	FD_FILE,   /* a regular file, /dev/null ...: never blocks for long */
	FD_STREAM, /* a pipe or terminal, now non-blocking */
	FD_SOCKET, /* to be used with MSG_DONTWAIT */
};

struct fd {
	enum fd_kind kind;
	int fd;       /* to read or write */
	int original; /* the one that was given */
	bool own;     /* ours alone: closed by fd_close */
	int flags;    /* to be given back to original; -1: untouched */
};

/* mode: O_RDONLY or O_WRONLY. name: for err. SNET_EIO. */
int fd_open(struct fd *f, int fd, bool own, int mode, const char *name, struct snet_error *err);

/* Gives back what was changed. Closes what was opened anew, and what was given when it is ours
 * or last is set. Returns 0 or errno, which for a file may tell of a full disk. */
int fd_close(struct fd *f, bool last);

#endif
