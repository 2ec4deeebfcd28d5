/* Messages of snet-perf over plain TCP: the same frames, nothing encrypted, nobody known. What
 * a turn of the loop sends goes out together, as it does over QUIC. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/perf_chan.h"
#include "cli/perf_frames.h"
#include "io/loop.h"

#define CHANS_MAX 256     /* that came by one listener */
#define READ_BYTES 262144 /* in one call */
#define READS 4           /* in one turn */
#define OUT_HIGH 262144   /* bytes waiting from which no DATA is taken */
#define UNSENT 524288     /* bytes with the kernel that it has not sent once */
#define AT_ONCE 16384     /* bytes of a message that is not copied */
#define ACCEPTS 64        /* in one turn */

struct perf_listener {
	struct snet_loop *loop;
	struct snet_io *io;
	int fd;
	unsigned n;
	void (*on_accept)(struct perf_chan *c, void *user);
	void *user;
};

struct tcp_chan {
	struct perf_chan c;
	struct snet_loop *loop;
	struct perf_listener *listener;
	int fd;
	struct snet_io *io;
	struct snet_timer timer; /* of connecting */
	struct snet_task flush;
	struct snet_buf out;  /* the first `sent` bytes are with the kernel */
	size_t sent, largest; /* largest: message so far */
	bool up, wants_room, busy, closed;
	bool said; /* anything at all */
	struct perf_frames in;
};

static void destroy(struct tcp_chan *t)
{
	snet_timer_stop(t->loop, &t->timer);
	snet_task_cancel(&t->flush);
	snet_io_free(t->io);
	if (t->fd >= 0)
		close(t->fd);
	snet_buf_free(&t->out);
	if (t->listener)
		t->listener->n--;
	free(t);
}

/* Within a callback of its own, which done() ends. */
static void down(struct tcp_chan *t, int code, const char *why)
{
	if (t->closed)
		return;
	t->closed = true;
	t->c.ev->on_down(&t->c, code, why, t->c.user);
}

static void done(struct tcp_chan *t)
{
	t->busy = false;
	if (t->closed)
		destroy(t);
}

/* ---- out */

/* Who does not read what we answer is not read either, or it would all be kept here. More than
 * one message each way is never under way, so that not both sides wait for each other. */
static void want(struct tcp_chan *t)
{
	bool full = t->out.n - t->sent > OUT_HIGH + t->largest;

	snet_io_want(t->io, (full ? 0 : SNET_READ) | (t->out.n || !t->up ? SNET_WRITE : 0));
}

static void flush(struct tcp_chan *t)
{
	ssize_t k = 1;

	while (t->up && t->sent < t->out.n && k > 0) {
		k = send(t->fd, t->out.p + t->sent, t->out.n - t->sent, MSG_NOSIGNAL);
		if (k > 0)
			t->sent += (size_t)k;
	}
	if (k < 0 && errno != EAGAIN && errno != EINTR) {
		down(t, SNET_ELOST, strerror(errno));
		return;
	}
	if (t->sent == t->out.n)
		t->sent = t->out.n = 0;
	want(t);
	if (t->wants_room && !t->out.n && t->up) {
		t->wants_room = false;
		t->c.ev->on_room(&t->c, t->c.user);
	}
}

static void on_flush(struct snet_task *task)
{
	struct tcp_chan *t = task->user;

	t->busy = true;
	flush(t);
	done(t);
}

/* Into the buffer, and out at the end of the turn with all else. */
static int gather(struct tcp_chan *t, const struct iovec *v, int n, size_t skip)
{
	size_t start;

	if (t->sent > OUT_HIGH) { /* large ones: room for the next */
		t->out.n -= t->sent;
		memmove(t->out.p, t->out.p + t->sent, t->out.n);
		t->sent = 0;
	}
	start = t->out.n;
	for (int i = 0; i < n; i++) {
		size_t k = skip < v[i].iov_len ? skip : v[i].iov_len;
		int rc = snet_buf_add(&t->out, (uint8_t *)v[i].iov_base + k, v[i].iov_len - k);

		skip -= k;
		if (!rc)
			continue;
		t->out.n = start;
		t->out.bad = false;
		return rc == SNET_ETOOBIG ? SNET_EAGAIN : rc;
	}
	snet_task_defer(t->loop, &t->flush);
	return SNET_OK;
}

/* Large ones go out at once, without a copy, if nothing is before them. Once a part of it is
 * out, the rest has to follow: there is room for it. */
static int tcp_send(struct perf_chan *c, const uint8_t *p, size_t n, size_t total)
{
	struct tcp_chan *t = SNET_OF(c, struct tcp_chan, c);
	struct snet_block *b = total > n ? perf_filler(total - n) : NULL;
	uint8_t head[SNET_FRAME_HEAD];
	struct iovec v[3] = { { head, sizeof(head) }, { (void *)p, n }, { 0 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = b ? 3 : 2 };
	ssize_t k = 0;
	int rc;

	if (total > n && !b)
		return SNET_ENOMEM;
	if (b)
		v[2] = (struct iovec){ b->data, total - n };
	snet_frame_head(head, (uint32_t)total);
	t->said = true;
	if (total > t->largest)
		t->largest = total;
	if (t->up && !t->out.n && total >= AT_ONCE)
		k = sendmsg(t->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	rc = gather(t, v, b ? 3 : 2, k > 0 ? (size_t)k : 0);
	snet_block_free(b);
	return rc;
}

static size_t tcp_send_data(struct perf_chan *c, uint64_t seq, uint32_t size, size_t n)
{
	struct tcp_chan *t = SNET_OF(c, struct tcp_chan, c);
	uint8_t head[PERF_HEAD];
	size_t taken = 0;

	/* What the kernel did not take whole fills the buffer: then there is no room. */
	for (; taken < n && t->out.n < (size < AT_ONCE ? OUT_HIGH : 1); taken++) {
		perf_message_head(head, PERF_DATA, seq + taken);
		if (tcp_send(c, head, sizeof(head), size))
			break;
	}
	t->wants_room = t->wants_room || taken < n;
	return taken;
}

/* ---- in */

static int parse(struct tcp_chan *t, const uint8_t *p, size_t n)
{
	int rc = 1;

	while (n && rc > 0 && !t->closed) {
		rc = perf_frames_take(&t->in, &p, &n);
		if (rc > 0 && perf_chan_input(&t->c, t->in.body, t->in.body_n, t->in.total))
			return SNET_EPROTO;
	}
	return rc < 0 ? rc : SNET_OK;
}

static void read_some(struct tcp_chan *t)
{
	static uint8_t in[READ_BYTES];
	ssize_t k = 1;

	for (unsigned i = 0; i < READS && k > 0 && !t->closed; i++) {
		k = recv(t->fd, in, sizeof(in), 0);
		if (k > 0 && parse(t, in, (size_t)k))
			down(t, SNET_EPROTO, "not a message of snet-perf");
		else if (!k)
			down(t, SNET_ELOST, "it hung up");
		else if (k < 0 && errno != EAGAIN && errno != EINTR)
			down(t, SNET_ELOST, strerror(errno));
		if (k > 0 && (size_t)k < sizeof(in))
			return;
	}
}

static void connected(struct tcp_chan *t)
{
	int e = 0;
	socklen_t n = sizeof(e);

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &n))
		e = errno;
	if (e) {
		down(t, SNET_EUNREACH, strerror(e));
		return;
	}
	t->up = true;
	snet_timer_stop(t->loop, &t->timer);
	snet_io_want(t->io, SNET_READ);
	t->c.ev->on_up(&t->c, t->c.user);
}

static void on_ready(struct snet_io *io, int ready, void *user)
{
	struct tcp_chan *t = user;

	(void)io;
	t->busy = true;
	if (!t->up)
		connected(t);
	else if (ready & SNET_READ)
		read_some(t);
	if (ready & SNET_WRITE && !t->closed && t->up)
		flush(t);
	done(t);
}

static void on_timer(struct snet_timer *timer, snet_time now)
{
	struct tcp_chan *t = timer->user;

	(void)now;
	t->busy = true;
	down(t, SNET_ETIMEOUT, "does not answer");
	done(t);
}

/* ---- birth and death */

/* A host that vanishes is noticed as soon as it is over QUIC. */
static void set_up(int fd)
{
	int one = 1, unsent = UNSENT, s, ms;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (cli.keep_alive > 3600 * SNET_SEC)
		return;
	ms = (int)(3 * cli.keep_alive / SNET_MS);
	s = (int)((cli.keep_alive + SNET_SEC - 1) / SNET_SEC);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &s, sizeof(s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &s, sizeof(s));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* The descriptor is its own from now on, also when there is none. */
static struct tcp_chan *chan_new(struct snet_loop *l, int fd, const struct snet_addr *remote)
{
	struct tcp_chan *t = calloc(1, sizeof(*t));

	if (!t) {
		close(fd);
		return NULL;
	}
	t->c = (struct perf_chan){ .carrier = &perf_tcp,
				   .remote = *remote,
				   .wire = SNET_NEVER };
	t->loop = l;
	t->fd = fd;
	t->out = SNET_BUF(OUT_HIGH + 2 * (PERF_SIZE_MAX + 64));
	t->timer = (struct snet_timer){ .fn = on_timer, .user = t };
	snet_task_init(&t->flush, on_flush, t);
	t->io = snet_io_new(l, fd, on_ready, t);
	if (!t->io) {
		destroy(t);
		return NULL;
	}
	set_up(fd);
	return t;
}

static void take_connection(struct perf_listener *l, int fd, const struct snet_addr *from)
{
	struct tcp_chan *t;

	if (l->n >= CHANS_MAX) {
		close(fd);
		return;
	}
	t = chan_new(l->loop, fd, from);
	if (!t)
		return;
	t->listener = l;
	l->n++;
	t->up = true;
	snet_io_want(t->io, SNET_READ);
	t->busy = true;
	l->on_accept(&t->c, l->user);
	done(t);
}

static void on_connection(struct snet_io *io, int ready, void *user)
{
	struct perf_listener *l = user;

	(void)io, (void)ready;
	for (unsigned i = 0; i < ACCEPTS; i++) {
		struct snet_addr from = { 0 };
		socklen_t n = sizeof(from);
		int fd = accept4(l->fd, &from.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		snet_addr_unmap(&from);
		take_connection(l, fd, &from);
	}
}

static void tcp_unlisten(struct perf_listener *l)
{
	if (!l)
		return;
	snet_io_free(l->io);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

static int open_port(struct perf_listener *l, const struct snet_addr *at)
{
	int one = 1, only = !snet_addr_is_any(at);

	if (l->fd >= 0)
		close(l->fd);
	l->fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (at->sa.sa_family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	return l->fd < 0 || bind(l->fd, &at->sa, snet_addr_len(at)) || listen(l->fd, 4096);
}

static int tcp_listen(struct perf_listener **out, struct net *n, const struct snet_url *at,
		      void (*fn)(struct perf_chan *c, void *user), void *user,
		      struct snet_error *err)
{
	struct snet_addr addrs[2];
	struct perf_listener *l;
	char text[SNET_ADDR_TEXT];
	size_t k;
	int rc = perf_listen_where(at, addrs, &k, err);

	if (rc)
		return rc;
	l = calloc(1, sizeof(*l));
	if (!l)
		return snet_fail(err, SNET_ENOMEM, "listener");
	*l = (struct perf_listener){ .loop = n->loop, .fd = -1, .on_accept = fn, .user = user };
	if (open_port(l, &addrs[0]) && (k == 1 || open_port(l, &addrs[1])))
		rc = snet_fail(err, SNET_EBIND, "%s: %s", snet_addr_print(&addrs[k - 1], text),
			       strerror(errno));
	else
		l->io = snet_io_new(l->loop, l->fd, on_connection, l);
	if (!rc && !l->io)
		rc = snet_fail(err, SNET_ENOMEM, "listener");
	if (rc) {
		tcp_unlisten(l);
		return rc;
	}
	snet_io_want(l->io, SNET_READ);
	*out = l;
	return SNET_OK;
}

static void tcp_address(const struct perf_listener *l, struct snet_addr *out)
{
	socklen_t n = sizeof(*out);

	if (getsockname(l->fd, &out->sa, &n))
		*out = (struct snet_addr){ 0 };
}

static int tcp_dial(struct perf_chan **out, struct net *n, const struct snet_url *url,
		    const struct snet_addr *to, bool stamped, const struct perf_chan_events *ev,
		    void *user, struct snet_error *err)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct tcp_chan *t;

	(void)url, (void)stamped;
	if (fd < 0)
		return snet_fail(err, SNET_EIO, "socket: %s", strerror(errno));
	t = chan_new(n->loop, fd, to);
	if (!t)
		return snet_fail(err, SNET_ENOMEM, "connection");
	t->c.ev = ev;
	t->c.user = user;
	if (connect(fd, &to->sa, snet_addr_len(to)) && errno != EINPROGRESS) {
		int e = errno;

		destroy(t);
		return snet_fail(err, SNET_EUNREACH, "%s", strerror(e));
	}
	snet_io_want(t->io, SNET_WRITE);
	snet_timer_set(n->loop, &t->timer,
		       snet_loop_now(n->loop) + n->config.handshake_timeout);
	*out = &t->c;
	return SNET_OK;
}

static void tcp_close(struct perf_chan *c, int code, const char *why)
{
	static const struct linger now = { 1, 0 };
	struct tcp_chan *t = SNET_OF(c, struct tcp_chan, c);

	(void)code, (void)why;
	/* A test of handshakes would leave thousands behind that wait for their time, and have
	 * their ports. */
	if (!t->listener && !t->said)
		setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	t->closed = true;
	if (!t->busy)
		destroy(t);
}

static uint32_t tcp_size_max(const struct snet_addr *to)
{
	(void)to;
	return PERF_SIZE_MAX;
}

const struct perf_carrier perf_tcp = {
	.scheme = "tcp",
	.listen = tcp_listen,
	.address = tcp_address,
	.unlisten = tcp_unlisten,
	.dial = tcp_dial,
	.send = tcp_send,
	.send_data = tcp_send_data,
	.close = tcp_close,
	.size_max = tcp_size_max,
};
