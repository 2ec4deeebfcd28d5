#include "mesh/journal_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 10

static int fail(struct snet_error *err, const char *path, const char *what)
{
	return snet_fail(err, SNET_EIO, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- opening */

static int name(struct snet_journal *j, const char *path, struct snet_error *err)
{
	size_t n;

	free(j->path);
	free(j->tmp);
	j->tmp = NULL;
	j->path = realpath(path, NULL);
	if (!j->path && errno != ENOMEM)
		return fail(err, path, "cannot open");
	n = j->path ? strlen(j->path) + sizeof(".tmp") : 0;
	j->tmp = n ? malloc(n) : NULL;
	if (!j->tmp)
		return snet_fail(err, SNET_ENOMEM, "%s", path);
	snprintf(j->tmp, n, "%s.tmp", j->path);
	return SNET_OK;
}

/* What was opened may have been replaced by a holder that wrote it anew, just before the lock
 * came: then SNET_EAGAIN. */
static int lock(struct snet_journal *j, const char *path, struct snet_error *err)
{
	struct stat opened, named;
	int rc;

	if (fstat(j->fd, &opened))
		return fail(err, path, "cannot open");
	if (!S_ISREG(opened.st_mode))
		return snet_fail(err, SNET_ECONFIG, "%s: not a regular file", path);
	if (flock(j->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? snet_fail(err, SNET_ECONFIG,
							"%s: in use by another process", path)
					    : fail(err, path, "cannot lock");
	rc = name(j, path, err);
	if (rc)
		return rc;
	if (stat(j->path, &named) || named.st_ino != opened.st_ino ||
	    named.st_dev != opened.st_dev)
		return snet_fail(err, SNET_EAGAIN, "%s: replaced again and again", path);
	return SNET_OK;
}

int journal_lock(struct snet_journal *j, const char *path, struct snet_error *err)
{
	int rc = SNET_EAGAIN;

	for (int i = 0; i < LOCK_TRIES && rc == SNET_EAGAIN; i++) {
		if (j->fd >= 0)
			close(j->fd);
		j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
		if (j->fd < 0)
			return snet_fail(err, SNET_EIO, "%s: %s", path, strerror(errno));
		rc = lock(j, path, err);
	}
	return rc == SNET_EAGAIN ? SNET_ECONFIG : rc;
}

/* ---- reading */

const uint8_t *journal_peek(struct snet_journal *j, uint64_t at, size_t n)
{
	if (at >= j->window_at && at + n <= j->window_at + j->window_n)
		return j->window + (at - j->window_at);
	j->window_at = at;
	j->window_n = 0;
	while (j->window_n < n) {
		ssize_t got = pread(j->fd, j->window + j->window_n,
				    sizeof(j->window) - j->window_n, (off_t)(at + j->window_n));

		if (got < 0 && errno == EINTR)
			continue;
		if (!got)
			errno = 0;
		if (got <= 0)
			return NULL;
		j->window_n += (size_t)got;
	}
	return j->window;
}

int journal_each(struct snet_journal *j,
		 int (*fn)(struct snet_journal *j, const struct snet_journal_entry *e,
			   uint64_t at, void *user),
		 void *user)
{
	struct snet_journal_entry e;
	uint64_t at = SNET_JOURNAL_HEADER;
	int rc = SNET_OK;

	snet_journal_walk(&j->tally);
	j->window_n = 0;
	while (at < j->size && !rc) {
		const uint8_t *p = journal_peek(j, at, SNET_JOURNAL_HEAD);

		if (!p || snet_journal_decode(&e, p))
			return SNET_EIO;
		if (snet_journal_is_live(&j->tally, &e))
			rc = fn(j, &e, at, user);
		at += SNET_JOURNAL_HEAD + snet_journal_payload(&e);
	}
	return rc;
}

/* ---- writing */

int journal_truncate(struct snet_journal *j, uint64_t size, struct snet_error *err)
{
	if (ftruncate(j->fd, (off_t)size))
		return fail(err, j->path, "cannot cut");
	j->size = size;
	return SNET_OK;
}

static ssize_t write_some(int fd, struct iovec *v, int n, uint64_t at)
{
	ssize_t w;

	do
		w = pwritev(fd, v, n, (off_t)at);
	while (w < 0 && errno == EINTR);
	if (!w)
		errno = EIO; /* there was something to write */
	return w;
}

/* All of v at `at`; returns where it ends, 0 when it could not be written. */
static uint64_t write_all(int fd, struct iovec *v, int n, uint64_t at)
{
	for (;;) {
		ssize_t w;

		while (n && !v->iov_len) {
			v++;
			n--;
		}
		if (!n)
			return at;
		w = write_some(fd, v, n, at);
		if (w <= 0)
			return 0;
		at += (uint64_t)w;
		for (; n && (size_t)w >= v->iov_len; v++, n--)
			w -= (ssize_t)v->iov_len;
		if (n) {
			v->iov_base = (uint8_t *)v->iov_base + w;
			v->iov_len -= (size_t)w;
		}
	}
}

int journal_append(struct snet_journal *j, struct iovec *v, int n, struct snet_error *err)
{
	uint64_t end;

	j->last.size = 0;
	if (j->broken && ftruncate(j->fd, (off_t)j->size))
		return fail(err, j->path, "cannot cut off what was written in part");
	j->broken = false;
	end = write_all(j->fd, v, n, j->size);
	if (!end) {
		fail(err, j->path, "cannot write");
		j->broken = ftruncate(j->fd, (off_t)j->size) != 0;
		return SNET_EIO;
	}
	j->size = end;
	return SNET_OK;
}

/* ---- writing anew */

/* Neighbours are copied together. */
struct copy {
	int fd;
	uint64_t from, to; /* of the old file, not yet copied */
	uint64_t size;     /* of the new */
};

static int copy_run(struct snet_journal *j, struct copy *c)
{
	while (c->from < c->to) {
		uint64_t left = c->to - c->from;
		struct iovec v = { .iov_len = left < JOURNAL_WINDOW ? left : JOURNAL_WINDOW };
		size_t n = v.iov_len;

		v.iov_base = (void *)(uintptr_t)journal_peek(j, c->from, n);
		if (!v.iov_base || !write_all(c->fd, &v, 1, c->size))
			return SNET_EIO;
		c->from += n;
		c->size += n;
	}
	return SNET_OK;
}

static int copy_live(struct snet_journal *j, const struct snet_journal_entry *e, uint64_t at,
		     void *user)
{
	struct copy *c = user;

	if (at != c->to) {
		if (copy_run(j, c))
			return SNET_EIO;
		c->from = at;
	}
	c->to = at + SNET_JOURNAL_HEAD + snet_journal_payload(e);
	return SNET_OK;
}

static int copy_all(struct snet_journal *j, struct copy *c)
{
	uint8_t header[SNET_JOURNAL_HEADER];
	struct iovec v = { header, sizeof(header) };

	snet_journal_header(header, &j->owner);
	c->size = write_all(c->fd, &v, 1, 0);
	if (!c->size || journal_each(j, copy_live, c) || copy_run(j, c))
		return SNET_EIO;
	return SNET_OK;
}

/* The new file is locked before it has the name, so that there is no moment when a second
 * process could have it. */
static int write_anew(struct snet_journal *j)
{
	struct copy c = { .fd = -1 };

	c.fd = open(j->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (c.fd < 0)
		return SNET_EIO;
	if (flock(c.fd, LOCK_EX | LOCK_NB) || copy_all(j, &c) || rename(j->tmp, j->path)) {
		unlink(j->tmp);
		close(c.fd);
		return SNET_EIO;
	}
	close(j->fd);
	j->fd = c.fd;
	j->size = c.size;
	j->broken = false;
	j->window_n = 0;
	snet_journal_forget_dead(&j->tally);
	return SNET_OK;
}

int journal_empty(struct snet_journal *j, struct snet_error *err)
{
	int rc = journal_truncate(j, SNET_JOURNAL_HEADER, err);

	if (rc)
		return rc;
	j->broken = false;
	j->limit = SNET_JOURNAL_HEADER + JOURNAL_SLACK;
	snet_journal_forget_dead(&j->tally);
	return SNET_OK;
}

void journal_tidy(struct snet_journal *j)
{
	if (j->size <= j->limit || !j->tally.dead)
		return;
	if (!j->tally.live ? journal_empty(j, NULL) : write_anew(j))
		j->limit = 2 * j->size;
	else
		j->limit =
			j->size + (2 * j->size > JOURNAL_SLACK ? 2 * j->size : JOURNAL_SLACK);
}
