#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 };

static int fail(struct snet_error *err, int code, const char *path, const char *what)
{
	int e = errno;

	return snet_fail(err, code, "%s: %s%s%s", path, what, *what ? ": " : "", strerror(e));
}

/* One byte more than the ceiling allows is read, to know a file that is too
 * long from one that just fits. */
static int slurp(struct snet_buf *b, int fd, const char *path, int code, struct snet_error *err)
{
	uint8_t over = 0;
	ssize_t n;

	for (;;) {
		size_t left = b->max - b->n, spare = b->cap - b->n;
		size_t want = spare ? spare : left < CHUNK ? left : CHUNK;
		uint8_t *to = want ? snet_buf_room(b, want) : &over;

		if (!to)
			return snet_fail(err, SNET_ENOMEM, "%s", path);
		n = read(fd, to, want ? want : 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, code, path, "");
		if (!n)
			return SNET_OK;
		if (!want)
			return snet_fail(err, code, "%s: longer than %zu bytes", path, b->max);
		snet_buf_took(b, (size_t)n);
	}
}

/* At once: growing would leave copies behind. No more than the file is long, since all of it is
 * wiped in the end; that a file has no length, or grows meanwhile, is none of ours. */
static bool room_for_all(struct snet_buf *b, const struct stat *st)
{
	size_t left = b->max - b->n;

	if (S_ISREG(st->st_mode) && st->st_size >= 0 && (size_t)st->st_size < left)
		left = (size_t)st->st_size + 1; /* to see its end */
	return snet_buf_room(b, left);
}

int snet_file_read(struct snet_buf *b, const char *path, bool secret, int code,
		   struct snet_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc;
	struct stat st;

	if (fd < 0)
		return fail(err, code, path, "");
	if (fstat(fd, &st))
		rc = fail(err, code, path, "");
	else if (secret && st.st_mode & 077)
		rc = snet_fail(err, code,
			       "%s: mode %04o lets others at what is secret; chmod 600 it",
			       path, st.st_mode & 07777u);
	else if (secret && !room_for_all(b, &st))
		rc = snet_fail(err, SNET_ENOMEM, "%s", path);
	else
		rc = slurp(b, fd, path, code, err);
	close(fd);
	return rc;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return fsync(fd);
}

/* A rename that refuses to replace: not every file system has it, those without have links. */
static int put_in_place(const char *from, const char *to, bool force)
{
	if (force)
		return rename(from, to);
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (link(from, to))
		return -1;
	unlink(from);
	return 0;
}

/* The new name must survive a crash too. Best effort: the file itself is safe, and not every
 * file system can. */
static void sync_directory(const char *path)
{
	char dir[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	int fd;

	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path),
			 path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

static int already(struct snet_error *err, const char *path)
{
	return snet_fail(err, SNET_EIO, "%s: exists already, not overwritten", path);
}

static int may_write(const char *path, bool force, struct snet_error *err)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? SNET_OK : fail(err, SNET_EIO, path, "");
	if (!S_ISREG(st.st_mode))
		return snet_fail(err, SNET_EIO, "%s: exists and is not a regular file", path);
	return force ? SNET_OK : already(err, path);
}

/* Beside path, since only within one file system can it be renamed. */
static int open_beside(char tmp[static PATH_MAX], const char *path, mode_t mode)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -1;
	if (snprintf(tmp, PATH_MAX, "%s.%08x", path, random) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode);
}

int snet_file_write(const char *path, const void *p, size_t n, mode_t mode, bool force,
		    struct snet_error *err)
{
	char tmp[PATH_MAX];
	int rc = may_write(path, force, err), fd;

	if (rc)
		return rc;
	fd = open_beside(tmp, path, mode);
	if (fd < 0)
		return fail(err, SNET_EIO, path, "cannot create");
	if (write_all(fd, p, n))
		rc = fail(err, SNET_EIO, path, "cannot write");
	if (close(fd) && !rc)
		rc = fail(err, SNET_EIO, path, "cannot write");
	if (!rc && put_in_place(tmp, path, force))
		rc = errno == EEXIST ? already(err, path)
				     : fail(err, SNET_EIO, path, "cannot put in place");
	if (rc)
		unlink(tmp);
	else
		sync_directory(path);
	return rc;
}
