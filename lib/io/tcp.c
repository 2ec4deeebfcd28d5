#include "io/tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "io/loop.h"

#define READ_BYTES (16 << 10) /* one TLS record */
#define READS 16              /* in one turn of the loop */

enum state { CONNECTING, SHAKING, OPEN, OVER };

struct snet_tcp {
	enum state state;
	int fd;
	struct snet_loop *loop;
	struct snet_io *io;
	struct snet_timer timer;
	struct snet_tls *tls;
	struct snet_addr to;
	const struct snet_tcp_events *ev;
	void *user;
	struct snet_buf out;
	bool busy, closed; /* closed by its owner, while busy */
	bool paused;
	uint8_t in[READ_BYTES];
};

static void destroy(struct snet_tcp *t)
{
	snet_timer_stop(t->loop, &t->timer);
	snet_io_free(t->io);
	snet_tls_free(t->tls);
	if (t->fd >= 0)
		close(t->fd);
	snet_buf_free(&t->out);
	free(t);
}

/* ---- the end */

static void over(struct snet_tcp *t, const struct snet_error *why)
{
	if (t->state == OVER || t->closed)
		return;
	t->state = OVER;
	snet_timer_stop(t->loop, &t->timer);
	snet_io_want(t->io, 0);
	t->ev->on_close(why, t->user);
}

static void fail(struct snet_tcp *t, int code, const char *what)
{
	char text[SNET_ADDR_TEXT];
	struct snet_error why;

	snet_fail(&why, code, "%s: %s", snet_addr_print(&t->to, text), what);
	over(t, &why);
}

/* ---- out */

static long write_some(struct snet_tcp *t)
{
	ssize_t k;

	if (t->tls)
		return snet_tls_write(t->tls, t->out.p, t->out.n);
	k = send(t->fd, t->out.p, t->out.n, MSG_NOSIGNAL);
	if (k >= 0)
		return (long)k;
	return errno == EAGAIN || errno == EINTR ? SNET_EAGAIN : SNET_ELOST;
}

/* Also what TLS has read already, which no poll tells of, after a pause. */
static void want(struct snet_tcp *t)
{
	bool pending = !t->paused && t->tls && snet_tls_pending(t->tls);

	snet_io_want(t->io,
		     (t->paused ? 0 : SNET_READ) | (t->out.n || pending ? SNET_WRITE : 0));
}

static void flush(struct snet_tcp *t)
{
	bool had = t->out.n > 0;
	long k = 0;

	while (t->state == OPEN && t->out.n && (k = write_some(t)) > 0)
		snet_buf_drop(&t->out, (size_t)k);
	if (k < 0 && k != SNET_EAGAIN)
		fail(t, SNET_ELOST, "the connection was lost");
	else if (t->state == OPEN)
		want(t);
	if (t->state == OPEN && had && !t->out.n && t->ev->on_drain)
		t->ev->on_drain(t->user);
}

int snet_tcp_send(struct snet_tcp *t, const void *p, size_t n)
{
	int rc;

	if (t->state == OVER || t->closed)
		return SNET_ECLOSED;
	rc = snet_buf_add(&t->out, p, n);
	if (rc)
		return rc == SNET_ETOOBIG ? SNET_EAGAIN : rc;
	/* Written when the loop says so: what is sent in one turn goes out at once, and nothing
	 * is called from here. */
	if (t->state == OPEN)
		want(t);
	return SNET_OK;
}

void snet_tcp_pause(struct snet_tcp *t, bool paused)
{
	t->paused = paused;
	if (t->state == OPEN && !t->closed)
		want(t);
}

/* ---- in */

static long read_some(struct snet_tcp *t)
{
	ssize_t k;

	if (t->tls)
		return snet_tls_read(t->tls, t->in, sizeof(t->in));
	k = recv(t->fd, t->in, sizeof(t->in), 0);
	if (k >= 0)
		return (long)k;
	return errno == EAGAIN || errno == EINTR ? SNET_EAGAIN : SNET_ELOST;
}

static void drain(struct snet_tcp *t)
{
	static const struct snet_error done = { SNET_OK, "the other end is done" };
	unsigned reads = 0;
	long k;

	while (t->state == OPEN && !t->closed && !t->paused) {
		k = read_some(t);
		if (k > 0) {
			t->ev->on_data(t->in, (size_t)k, t->user);
		} else if (!k) {
			over(t, &done);
		} else if (k == SNET_EAGAIN) {
			return;
		} else {
			fail(t, SNET_ELOST, "the connection was lost");
		}
		if (++reads >= READS && !(t->tls && snet_tls_pending(t->tls)))
			return;
	}
}

/* ---- becoming open */

static void opened(struct snet_tcp *t)
{
	t->state = OPEN;
	snet_timer_stop(t->loop, &t->timer);
	want(t);
	t->ev->on_open(t->user);
}

static void shake(struct snet_tcp *t)
{
	struct snet_error why = { 0 };
	int rc = snet_tls_handshake(t->tls, &why);

	if (rc == SNET_EAGAIN)
		snet_io_want(t->io, snet_tls_wants(t->tls));
	else if (rc)
		fail(t, rc, why.text);
	else
		opened(t);
}

static void connected(struct snet_tcp *t)
{
	int e = 0;
	socklen_t n = sizeof(e);

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &n))
		e = errno;
	if (e) {
		fail(t, SNET_EUNREACH, strerror(e));
	} else if (t->tls) {
		t->state = SHAKING;
		shake(t);
	} else {
		opened(t);
	}
}

static void done(struct snet_tcp *t)
{
	t->busy = false;
	if (t->closed)
		destroy(t);
}

static void on_ready(struct snet_io *io, int ready, void *user)
{
	struct snet_tcp *t = user;

	(void)io;
	t->busy = true;
	if (t->state == CONNECTING)
		connected(t);
	else if (t->state == SHAKING)
		shake(t);
	else if (ready & SNET_READ || (t->tls && snet_tls_pending(t->tls)))
		drain(t);
	if (t->state == OPEN && !t->closed)
		flush(t);
	done(t);
}

static void on_timer(struct snet_timer *timer, snet_time now)
{
	struct snet_tcp *t = timer->user;

	(void)now;
	t->busy = true;
	fail(t, SNET_ETIMEOUT,
	     t->state == CONNECTING ? "does not answer" : "does not finish the TLS handshake");
	done(t);
}

/* ---- birth and death */

static int open_socket(struct snet_tcp *t, const struct snet_addr *from, struct snet_error *err)
{
	char text[SNET_ADDR_TEXT];
	int one = 1;

	t->fd = socket(t->to.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return snet_fail(err, SNET_EIO, "socket: %s", strerror(errno));
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (from && bind(t->fd, &from->sa, snet_addr_len(from)))
		return snet_fail(err, SNET_EBIND, "%s: %s", snet_addr_print(from, text),
				 strerror(errno));
	if (connect(t->fd, &t->to.sa, snet_addr_len(&t->to)) && errno != EINPROGRESS)
		return snet_fail(err, SNET_EUNREACH, "%s: %s", snet_addr_print(&t->to, text),
				 strerror(errno));
	return SNET_OK;
}

int snet_tcp_dial(struct snet_tcp **out, struct snet_loop *l, const struct snet_addr *to,
		  const struct snet_tcp_opts *o, const struct snet_tcp_events *ev, void *user,
		  struct snet_error *err)
{
	struct snet_tcp *t = calloc(1, sizeof(*t));
	snet_time wait = o->timeout ? o->timeout : SNET_TCP_TIMEOUT;
	int rc;

	if (!t)
		return snet_fail(err, SNET_ENOMEM, "TCP");
	t->loop = l;
	t->to = *to;
	t->ev = ev;
	t->user = user;
	t->out = SNET_BUF(SNET_TCP_QUEUE);
	t->timer = (struct snet_timer){ .fn = on_timer, .user = t };
	rc = open_socket(t, o->from, err);
	if (!rc && o->tls)
		rc = snet_tls_new(&t->tls, t->fd, o->tls, err);
	if (!rc) {
		t->io = snet_io_new(l, t->fd, on_ready, t);
		if (!t->io || (wait != SNET_NEVER &&
			       snet_timer_set(l, &t->timer, snet_loop_now(l) + wait)))
			rc = snet_fail(err, SNET_ENOMEM, "TCP");
	}
	if (rc) {
		destroy(t);
		return rc;
	}
	snet_io_want(t->io, SNET_WRITE);
	*out = t;
	return SNET_OK;
}

void snet_tcp_close(struct snet_tcp *t)
{
	if (!t || t->closed)
		return;
	if (t->state == OPEN && t->out.n)
		write_some(t);
	if (t->state == OPEN && t->tls)
		snet_tls_bye(t->tls);
	t->closed = true;
	if (!t->busy)
		destroy(t);
}

size_t snet_tcp_queued(const struct snet_tcp *t)
{
	return t->out.n;
}

void snet_tcp_address(const struct snet_tcp *t, struct snet_addr *local)
{
	socklen_t n = sizeof(*local);

	if (getsockname(t->fd, &local->sa, &n))
		*local = (struct snet_addr){ 0 };
}
