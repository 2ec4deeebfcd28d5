#include "cli/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/fd.h"
#include "cli/lend.h"
#include "io/loop.h"

enum {
	NOW = 256 << 10,      /* gathered bytes worth a system call before the turn is over */
	ALONE = 128 << 10,    /* a piece worth one by itself: cheaper than gathering it */
	LOW = SINK_HIGH / 4,  /* on_drain: early enough that the reader need not wait for us */
	KEEP = 4 * SINK_HIGH, /* of an empty buffer */
	PIECES = 8,
};

struct sink {
	struct snet_loop *loop;
	struct snet_io *io;
	struct fd fd;
	struct lend lend;
	const char *name;
	const struct sink_events *ev;
	void *user;
	struct snet_buf buf, nowhere;
	size_t at;  /* of buf: what comes before is with the kernel */
	bool full;  /* somebody may wait for on_drain */
	bool drain; /* on_drain is due */
	bool broken, told;
	bool sealed; /* by sink_flush_then */
	struct snet_timer stall;
	uint64_t taken, seen; /* bytes, ever; and when the stall timer was set */
	bool stalled;         /* it was told of */
	struct snet_error error;
	struct snet_task task;
	void (*flushed)(struct sink *s, void *user);
	void *flushed_user;
};

size_t sink_waiting(const struct sink *s)
{
	return s->buf.n - s->at;
}

bool sink_is_full(const struct sink *s)
{
	return s->full;
}

bool sink_is_broken(const struct sink *s)
{
	return s->broken;
}

static bool is_blocked(const struct sink *s)
{
	return snet_io_wanted(s->io) != 0;
}

static void tell_later(struct sink *s)
{
	snet_task_defer(s->loop, &s->task);
}

static void watch(struct sink *s)
{
	if (!s->full || !s->ev || !s->ev->on_stall || s->stall.slot || s->stalled)
		return;
	s->seen = s->taken;
	snet_timer_set(s->loop, &s->stall, snet_loop_now(s->loop) + SINK_STALL);
}

static void breaks(struct sink *s, int code, int error)
{
	if (s->broken)
		return;
	s->broken = true;
	snet_fail(&s->error, code, "%s: %s", s->name,
		  error ? strerror(error) : snet_err_text(code));
	snet_io_want(s->io, 0);
	snet_buf_free(&s->buf);
	s->at = 0;
	tell_later(s);
}

static ssize_t put_once(struct sink *s, const struct iovec *v, int n)
{
	struct msghdr m = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n };
	size_t total = 0;
	ssize_t k;

	if (s->fd.kind == FD_SOCKET)
		return sendmsg(s->fd.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (int i = 0; s->lend.on && i < n; i++)
		total += v[i].iov_len;
	if (total >= LEND_MIN) {
		k = lend_writev(&s->lend, s->fd.fd, v, n);
		if (k >= 0 || errno != ENOSYS)
			return k;
	}
	return writev(s->fd.fd, v, n);
}

/* Bytes taken; 0 when it takes no more now, or is broken. */
static size_t put(struct sink *s, const struct iovec *v, int n)
{
	ssize_t k;

	do
		k = put_once(s, v, n);
	while (k < 0 && errno == EINTR);
	if (k >= 0) {
		s->taken += (uint64_t)k;
		s->stalled = s->stalled && !k;
		return (size_t)k;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		snet_io_want(s->io, SNET_WRITE);
	else
		breaks(s, SNET_EIO, errno);
	return 0;
}

/* What waits, as far as it goes. */
static void flush(struct sink *s)
{
	while (sink_waiting(s)) {
		struct iovec v = { s->buf.p + s->at, sink_waiting(s) };
		size_t k = put(s, &v, 1);

		if (!k)
			break;
		s->at += k;
	}
	if (s->full && sink_waiting(s) <= LOW) {
		s->full = false;
		s->drain = true;
	}
	watch(s);
	if (sink_waiting(s))
		return;
	snet_io_want(s->io, 0);
	s->buf.n = s->at = 0;
	if (s->buf.cap > KEEP)
		snet_buf_free(&s->buf);
}

/* It may be us who did not run (SIGSTOP, a machine that slept): it gets another chance. */
static void on_stall_time(struct snet_timer *t, snet_time now)
{
	struct sink *s = t->user;
	uint64_t seen = s->seen;

	(void)now;
	flush(s); /* which watches on */
	tell_later(s);
	if (!s->full || s->broken || s->taken != seen)
		return;
	snet_timer_stop(s->loop, t);
	s->stalled = true;
	s->ev->on_stall(s, s->user);
}

static void tell(struct sink *s)
{
	void (*flushed)(struct sink *, void *) = s->flushed;

	if (s->broken && !s->told) {
		s->told = true;
		if (s->ev && s->ev->on_error)
			s->ev->on_error(s, &s->error, s->user);
	}
	if (s->drain) {
		s->drain = false;
		if (s->ev && s->ev->on_drain)
			s->ev->on_drain(s, s->user);
	}
	if (flushed && (s->broken || !sink_waiting(s))) {
		s->flushed = NULL;
		flushed(s, s->flushed_user);
	}
}

static void on_task(struct snet_task *t)
{
	struct sink *s = t->user;

	if (!is_blocked(s))
		flush(s);
	tell(s);
}

static void on_io(struct snet_io *io, int ready, void *user)
{
	struct sink *s = user;

	(void)io, (void)ready;
	flush(s);
	tell(s);
}

int sink_new(struct sink **out, struct snet_loop *l, int fd, bool own, const char *name,
	     size_t message_max, const struct sink_events *ev, void *user,
	     struct snet_error *err)
{
	struct sink *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return snet_fail(err, SNET_ENOMEM, "%s: %s", name, snet_err_text(SNET_ENOMEM));
	rc = fd_open(&s->fd, fd, own, O_WRONLY, name, err);
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
	/* Not for the pipes of many small programs: each would cost a huge page. */
	if (!own)
		lend_init(&s->lend, s->fd.fd);
	s->loop = l;
	s->name = name;
	s->ev = ev;
	s->user = user;
	s->buf = SNET_BUF(3 * (size_t)SINK_HIGH + message_max);
	s->nowhere = SNET_BUF(s->buf.max);
	snet_task_init(&s->task, on_task, s);
	s->stall = (struct snet_timer){ .fn = on_stall_time, .user = s };
	*out = s;
	return SNET_OK;
}

/* Moves what waits to the front, when that is cheap for what it gives. */
static void compact(struct sink *s)
{
	if (s->at < sink_waiting(s) && s->at < SINK_HIGH)
		return;
	snet_buf_drop(&s->buf, s->at);
	s->at = 0;
}

static void look_if_full(struct sink *s)
{
	if (sink_waiting(s) >= SINK_HIGH)
		s->full = true;
	watch(s);
	tell_later(s); /* to flush, or to tell */
}

/* As much as the descriptor takes of what waits and of the pieces; skips what was taken,
 * returns the pieces left. */
static int put_now(struct sink *s, struct iovec *v, int n)
{
	struct iovec *first = sink_waiting(s) ? v : v + 1;
	int count = sink_waiting(s) ? n + 1 : n;
	size_t k;

	v[0] = (struct iovec){ s->buf.p ? s->buf.p + s->at : NULL, sink_waiting(s) };
	while (count && (k = put(s, first, count)) > 0) {
		for (; count && k >= first->iov_len; count--, first++) {
			k -= first->iov_len;
			if (first == v)
				s->buf.n = s->at = 0;
		}
		if (count && k) {
			first->iov_base = (uint8_t *)first->iov_base + k;
			first->iov_len -= k;
			if (first == v)
				s->at += k;
		}
	}
	return count;
}

static int append(struct sink *s, const struct iovec *v, int n)
{
	size_t start;

	compact(s);
	start = s->buf.n;
	for (; n--; v++) {
		if (snet_buf_add(&s->buf, v->iov_base, v->iov_len)) {
			s->buf.n = start;
			s->buf.bad = false;
			return SNET_ENOMEM;
		}
	}
	return SNET_OK;
}

int sink_write(struct sink *s, const struct iovec *v, int n)
{
	struct iovec all[PIECES + 1];
	size_t total = 0;
	int left, rc;

	assert(n <= PIECES);
	if (s->broken || s->sealed)
		return s->broken ? SNET_EIO : SNET_OK;
	for (int i = 0; i < n; i++)
		total += v[i].iov_len;
	if (total + SINK_HIGH > s->buf.max - sink_waiting(s))
		return SNET_ETOOBIG;
	if (is_blocked(s) || (total < ALONE && sink_waiting(s) + total < NOW)) {
		rc = append(s, v, n);
		look_if_full(s);
		return rc;
	}
	memcpy(all + 1, v, (size_t)n * sizeof(*v));
	left = put_now(s, all, n);
	if (s->broken)
		return SNET_EIO;
	if (left > n)
		left = n; /* not even all of what waited before */
	/* Half a message is with the kernel: one that cannot be finished ends the stream. */
	if (left && append(s, all + 1 + n - left, left)) {
		breaks(s, SNET_ENOMEM, 0);
		return SNET_ENOMEM;
	}
	look_if_full(s);
	return SNET_OK;
}

struct snet_buf *sink_buf(struct sink *s)
{
	if (s->broken || s->sealed)
		return &s->nowhere;
	compact(s);
	return &s->buf;
}

void sink_wrote(struct sink *s)
{
	if (s->broken || s->sealed) {
		snet_buf_free(&s->nowhere);
		return;
	}
	if (sink_waiting(s) >= NOW && !is_blocked(s))
		flush(s);
	look_if_full(s);
}

void sink_flush_then(struct sink *s, void (*fn)(struct sink *s, void *user), void *user)
{
	s->sealed = true;
	s->flushed = fn;
	s->flushed_user = user;
	tell_later(s);
}

int sink_close(struct sink *s, struct snet_error *err)
{
	int error, rc = SNET_OK;

	if (!s)
		return SNET_OK;
	snet_task_cancel(&s->task);
	snet_timer_stop(s->loop, &s->stall);
	snet_io_free(s->io);
	error = fd_close(&s->fd, s->fd.original == STDOUT_FILENO);
	if (error && error != EINTR && !s->broken)
		rc = snet_fail(err, SNET_EIO, "%s: %s", s->name, strerror(error));
	snet_buf_free(&s->buf);
	snet_buf_free(&s->nowhere);
	lend_fini(&s->lend);
	free(s);
	return rc;
}
