#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/fd.h"
#include "io/loop.h"

struct source {
	struct snet_io *io;
	struct fd fd;
	const char *name;
	const struct source_events *ev;
	void *user;
	bool done;
	bool *gone; /* of the callback under way: set by source_free */
};

static void fails(struct source *s, int code, int error)
{
	struct snet_error err;

	s->done = true;
	snet_io_want(s->io, 0);
	snet_fail(&err, code, "%s: %s", s->name, error ? strerror(error) : snet_err_text(code));
	s->ev->on_error(&err, s->user);
}

static ssize_t get(struct source *s, uint8_t *p, size_t n)
{
	ssize_t k;

	do
		k = s->fd.kind == FD_SOCKET ? recv(s->fd.fd, p, n, MSG_DONTWAIT)
					    : read(s->fd.fd, p, n);
	while (k < 0 && errno == EINTR);
	return k;
}

/* One read. False: enough for this turn. */
static bool once(struct source *s, size_t *left)
{
	size_t n = 0;
	uint8_t *p = s->ev->room(&n, s->user);
	ssize_t k;

	if (!p) {
		fails(s, SNET_ENOMEM, 0);
		return false;
	}
	if (n > *left)
		n = *left;
	k = get(s, p, n);
	if (k > 0) {
		*left -= (size_t)k;
		s->ev->on_bytes((size_t)k, s->user);
		return (size_t)k == n; /* less: it was all there is */
	}
	if (k == 0) {
		s->done = true;
		snet_io_want(s->io, 0);
		s->ev->on_eof(s->user);
	} else if (errno != EAGAIN && errno != EWOULDBLOCK) {
		fails(s, SNET_EIO, errno);
	}
	return false;
}

static void on_io(struct snet_io *io, int ready, void *user)
{
	struct source *s = user;
	size_t left = SOURCE_TURN;
	bool gone = false;

	(void)io, (void)ready;
	s->gone = &gone;
	while (left && once(s, &left) && !gone && snet_io_wanted(s->io))
		;
	if (gone)
		return;
	s->gone = NULL;
}

int source_new(struct source **out, struct snet_loop *l, int fd, bool own, const char *name,
	       const struct source_events *ev, void *user, struct snet_error *err)
{
	struct source *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return snet_fail(err, SNET_ENOMEM, "%s: %s", name, snet_err_text(SNET_ENOMEM));
	rc = fd_open(&s->fd, fd, own, O_RDONLY, name, err);
	if (rc) {
		free(s);
		return rc;
	}
	s->io = snet_io_new(l, s->fd.fd, on_io, s);
	if (!s->io) {
		fd_close(&s->fd, false);
		free(s);
		return snet_fail(err, SNET_ENOMEM, "%s: %s", name, snet_err_text(SNET_ENOMEM));
	}
	s->name = name;
	s->ev = ev;
	s->user = user;
	*out = s;
	return SNET_OK;
}

void source_pause(struct source *s)
{
	snet_io_want(s->io, 0);
}

void source_resume(struct source *s)
{
	if (!s->done)
		snet_io_want(s->io, SNET_READ);
}

bool source_is_done(const struct source *s)
{
	return s->done;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	if (s->gone)
		*s->gone = true;
	snet_io_free(s->io);
	fd_close(&s->fd, false);
	free(s);
}
