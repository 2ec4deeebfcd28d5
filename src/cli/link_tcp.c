/* Byte streams through links: accepted here, dialled there, and in between cut into segments
 * that take the links' rate and delay. A stream loses nothing: what the link loses is sent
 * again a round trip later, and what comes after it waits; a full queue stops the reading. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/link_impl.h"
#include "cli/say.h"

#define SEGMENT 1448       /* bytes: of Ethernet, with timestamps */
#define HEADERS 52         /* bytes of IPv4 and TCP */
#define CHUNK 65536        /* bytes read at once */
#define WINDOW (64u << 20) /* bytes under way in one direction */
/* What a sender waits on a link that is down; RFC 6298 has 1 s. */
#define AGAIN (200 * SNET_MS)

struct conn;

/* One direction. */
struct pipe {
	struct conn *c;
	size_t from, to; /* parties */
	struct pipe *back;
	struct snet_io *io; /* of fd */
	int fd;             /* read here, for the other pipe's fd */
	size_t under_way;   /* bytes and segments not yet delivered */
	size_t segments;
	struct snet_buf out;  /* delivered, and not yet taken by the other's fd */
	bool ended, finished; /* nothing more is read; nothing more is written */
	bool paused;
	uint32_t seq; /* bytes delivered, for the capture */
};

struct conn {
	struct link *l;
	struct snet_list node;
	struct pipe up, down; /* what the dialler sends; what comes back */
	struct snet_addr inside, target;
	bool connected, dead;
	unsigned refs; /* itself, and each item under way */
};

struct port {
	struct link *l;
	struct port *next;
	int fd;
	struct snet_io *io;
	size_t from, to;
	struct snet_addr target;
};

struct link_tcp {
	struct port *ports;
	struct snet_list conns;
	size_t n;
};

/* A segment under way, or, without bytes and fin, the time to read on. */
struct segment {
	struct link_item item;
	struct pipe *p;
	bool fin, wake;
	size_t n;
	uint8_t data[];
};

static void pump(struct pipe *p);

/* ---- the end of one */

static void let_go(struct conn *c)
{
	if (--c->refs)
		return;
	snet_buf_free(&c->up.out);
	snet_buf_free(&c->down.out);
	free(c);
}

static void end_side(struct pipe *p, bool reset)
{
	static const struct linger now = { 1, 0 };

	snet_io_free(p->io);
	p->io = NULL;
	if (reset && p->fd >= 0)
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void end(struct conn *c, bool reset)
{
	if (c->dead)
		return;
	c->dead = true;
	end_side(&c->up, reset);
	end_side(&c->down, reset);
	snet_list_del(&c->node);
	c->l->tcp->n--;
	let_go(c);
}

/* ---- out */

static void want(struct pipe *p)
{
	bool room = p->under_way + p->out.n < WINDOW;

	if (!p->c->dead)
		snet_io_want(
			p->io,
			(p->c->connected && !p->ended && !p->paused && room ? SNET_READ : 0) |
				(p->back->out.n || !p->c->connected ? SNET_WRITE : 0));
}

/* Everything of this direction has arrived: so does its end. */
static void finish(struct pipe *p)
{
	if (!p->finished || p->out.n)
		return;
	shutdown(p->back->fd, SHUT_WR);
	if (p->back->finished && !p->back->out.n)
		end(p->c, false);
}

static void write_out(struct pipe *p, const uint8_t *data, size_t n)
{
	struct conn *c = p->c;
	ssize_t k = 0;

	if (!p->out.n && n) {
		k = send(p->back->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (k < 0 && errno != EAGAIN && errno != EINTR) {
			end(c, true);
			return;
		}
		k = k < 0 ? 0 : k;
	}
	if ((size_t)k < n && snet_buf_add(&p->out, data + k, n - (size_t)k))
		end(c, true);
	if (!c->dead)
		want(p->back);
}

static void flush_out(struct pipe *p)
{
	ssize_t k = send(p->back->fd, p->out.p, p->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (k < 0 && errno != EAGAIN && errno != EINTR) {
		end(p->c, true);
		return;
	}
	if (k > 0)
		snet_buf_drop(&p->out, (size_t)k);
	want(p->back);
	want(p); /* there is room in the window */
	finish(p);
}

static void capture_one(struct pipe *p, const uint8_t *data, size_t n, bool fin)
{
	struct conn *c = p->c;
	bool up = p == &c->up;

	link_pcap_tcp(c->l->pcap, up ? &c->inside : &c->target, up ? &c->target : &c->inside,
		      p->seq, p->back->seq, fin, data, n);
	p->seq += (uint32_t)n + fin;
}

/* What crossed in one piece is larger than an IP packet can be. */
static void capture(struct pipe *p, const uint8_t *data, size_t n, bool fin)
{
	for (; n > SEGMENT; data += SEGMENT, n -= SEGMENT)
		capture_one(p, data, SEGMENT, false);
	capture_one(p, data, n, fin);
}

static void arrive(struct pipe *p, const uint8_t *data, size_t n, bool fin)
{
	if (p->c->l->pcap)
		capture(p, data, n, fin);
	if (n)
		write_out(p, data, n);
	if (!fin || p->c->dead)
		return;
	p->finished = true;
	finish(p);
}

static void drop_segment(struct link *l, struct link_item *i)
{
	struct segment *s = SNET_OF(i, struct segment, item);

	l->queued_bytes -= s->n;
	let_go(s->p->c);
	free(s);
}

static void deliver_segment(struct link *l, struct link_item *i)
{
	struct segment *s = SNET_OF(i, struct segment, item);
	struct pipe *p = s->p;

	if (p->c->dead) {
		drop_segment(l, i);
		return;
	}
	if (s->wake) {
		p->paused = false;
		pump(p);
	} else {
		p->under_way -= s->n;
		p->segments--;
		arrive(p, s->data, s->n, s->fin);
		if (!p->c->dead)
			want(p);
	}
	drop_segment(l, i);
}

static const struct link_item_ops segment_ops = { deliver_segment, drop_segment };

static bool put(struct pipe *p, const uint8_t *data, size_t n, bool fin, bool wake,
		snet_time when)
{
	struct segment *s = malloc(sizeof(*s) + n);

	if (!s)
		return false;
	*s = (struct segment){
		.item.ops = &segment_ops, .p = p, .fin = fin, .wake = wake, .n = n
	};
	if (n)
		memcpy(s->data, data, n);
	if (link_put(p->c->l, &s->item, when, n)) {
		free(s);
		return false;
	}
	p->c->refs++;
	if (!wake) {
		p->under_way += n;
		p->segments++;
	}
	return true;
}

/* ---- in */

static struct snet_shape *shape_of(const struct pipe *p)
{
	return &snet_emul_link(&p->c->l->net, p->from, p->to)->shape;
}

static snet_time round_trip(const struct pipe *p)
{
	return shape_of(p)->spec.delay + shape_of(p->back)->spec.delay;
}

static void rest_until(struct pipe *p, snet_time when)
{
	p->paused = put(p, NULL, 0, false, true, when);
	if (!p->paused)
		end(p->c, true);
	else
		want(p);
}

/* Cuts it into segments. What need not wait for anything goes on at once, in one piece. */
static bool cut_up(struct pipe *p, const uint8_t *data, size_t n, snet_time now)
{
	size_t at_once = 0, done = 0;

	while (done < n && !p->c->dead) {
		size_t k = n - done < SEGMENT ? n - done : SEGMENT;
		struct snet_shape_fate f =
			snet_shape_push_stream(shape_of(p), k + HEADERS, round_trip(p), now);

		if (f.when <= now && !p->segments && at_once == done) {
			at_once += k;
		} else if (!put(p, data + done, k, false, false, f.when)) {
			end(p->c, true);
			return false;
		}
		done += k;
	}
	/* Written after the rest was put: none of that is due before the loop turns. */
	if (at_once)
		arrive(p, data, at_once, false);
	return !p->c->dead;
}

static void at_eof(struct pipe *p, snet_time now)
{
	struct snet_shape_fate f =
		snet_shape_push_stream(shape_of(p), HEADERS, round_trip(p), now);

	p->ended = true;
	if (f.when <= now && !p->segments)
		arrive(p, NULL, 0, true);
	else if (!put(p, NULL, 0, true, false, f.when))
		end(p->c, true);
	if (!p->c->dead)
		want(p);
}

/* Reads one chunk if the link takes it now. */
static void pump(struct pipe *p)
{
	static uint8_t chunk[CHUNK];
	struct snet_shape *s = shape_of(p);
	snet_time now = snet_now(), wait = snet_shape_wait(s, now),
		  limit = snet_shape_limit(&s->spec);
	ssize_t n;

	if (s->down || p->c->l->queued_bytes > LINK_QUEUE_MAX / 2) {
		rest_until(p, now + (s->down ? AGAIN : AGAIN / 20));
		return;
	}
	if (wait > limit) {
		rest_until(p, now + wait - limit / 2);
		return;
	}
	n = recv(p->fd, chunk, s->spec.rate ? CHUNK / 4 : CHUNK, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		end(p->c, true);
	else if (n == 0)
		at_eof(p, now);
	else if (n > 0 && cut_up(p, chunk, (size_t)n, now))
		want(p);
	else if (!p->c->dead)
		want(p);
}

static bool connected(struct conn *c)
{
	int e = 0;
	socklen_t n = sizeof(e);

	if (getsockopt(c->down.fd, SOL_SOCKET, SO_ERROR, &e, &n) || e) {
		char text[SNET_ADDR_TEXT];

		say_more("%s: %s", snet_addr_print(&c->target, text), strerror(e));
		end(c, true);
		return false;
	}
	c->connected = true;
	want(&c->up);
	want(&c->down);
	return true;
}

static void on_io(struct snet_io *io, int ready, void *user)
{
	struct pipe *p = user;
	struct conn *c = p->c;

	(void)io;
	c->refs++;
	if (!c->connected && (p == &c->up || !connected(c)))
		goto out;
	if (ready & SNET_WRITE && p->back->out.n)
		flush_out(p->back);
	if (ready & SNET_READ && !c->dead && !p->paused && !p->ended)
		pump(p);
	link_arm(c->l);
out:
	let_go(c);
}

/* ---- accepting */

static bool begin_pipe(struct conn *c, struct pipe *p, struct pipe *back, int fd, size_t from,
		       size_t to)
{
	int one = 1;

	*p = (struct pipe){ .c = c, .back = back, .fd = fd, .from = from, .to = to };
	p->out = SNET_BUF(WINDOW + CHUNK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->io = snet_io_new(c->l->loop, fd, on_io, p);
	return p->io;
}

static void begin(struct port *at, int fd, const struct snet_addr *inside)
{
	struct conn *c = calloc(1, sizeof(*c));
	int to = socket(at->target.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (!c || to < 0) {
		free(c);
		close(fd);
		if (to >= 0)
			close(to);
		return;
	}
	*c = (struct conn){ .l = at->l, .inside = *inside, .target = at->target, .refs = 1 };
	snet_list_init(&c->node);
	snet_list_add(&at->l->tcp->conns, &c->node);
	at->l->tcp->n++;
	c->up.fd = fd;
	c->down.fd = to;
	if (!begin_pipe(c, &c->up, &c->down, fd, at->from, at->to) ||
	    !begin_pipe(c, &c->down, &c->up, to, at->to, at->from) ||
	    (connect(to, &at->target.sa, snet_addr_len(&at->target)) && errno != EINPROGRESS)) {
		end(c, true);
		return;
	}
	snet_io_want(c->down.io, SNET_WRITE);
}

static void on_accept(struct snet_io *io, int ready, void *user)
{
	struct port *at = user;
	struct snet_addr inside = { 0 };
	socklen_t n = sizeof(inside);
	int fd = accept4(at->fd, &inside.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)ready;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			snet_io_want(io, 0); /* until link_tcp_accept_again */
		return;
	}
	if (at->l->tcp->n == LINK_TCP_MAX) {
		say_note("%d connections are as many as there may be", LINK_TCP_MAX);
		close(fd);
		return;
	}
	begin(at, fd, &inside);
}

void link_tcp_accept_again(struct link *l)
{
	for (struct port *p = l->tcp ? l->tcp->ports : NULL; p; p = p->next)
		if (p->io)
			snet_io_want(p->io, SNET_READ);
}

int link_tcp_open(struct link *l, size_t from, size_t to, struct snet_addr *at,
		  const struct snet_addr *target, struct snet_error *err)
{
	struct port *p = calloc(1, sizeof(*p));
	char text[SNET_ADDR_TEXT];
	socklen_t n = sizeof(*at);
	int one = 1;

	if (!l->tcp)
		l->tcp = calloc(1, sizeof(*l->tcp));
	if (!p || !l->tcp) {
		free(p);
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	}
	if (!l->tcp->conns.next)
		snet_list_init(&l->tcp->conns);
	*p = (struct port){
		.l = l, .next = l->tcp->ports, .from = from, .to = to, .target = *target
	};
	l->tcp->ports = p;
	p->fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (p->fd < 0 || bind(p->fd, &at->sa, snet_addr_len(at)) || listen(p->fd, 128) ||
	    getsockname(p->fd, &at->sa, &n))
		return snet_fail(err, SNET_EBIND, "%s: %s", snet_addr_print(at, text),
				 strerror(errno));
	p->io = snet_io_new(l->loop, p->fd, on_accept, p);
	if (!p->io)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	snet_io_want(p->io, SNET_READ);
	return SNET_OK;
}

void link_tcp_fini(struct link *l)
{
	struct port *p;

	if (!l->tcp)
		return;
	while (!snet_list_is_empty(&l->tcp->conns))
		end(SNET_OF(l->tcp->conns.next, struct conn, node), true);
	while ((p = l->tcp->ports)) {
		l->tcp->ports = p->next;
		snet_io_free(p->io);
		if (p->fd >= 0)
			close(p->fd);
		free(p);
	}
	free(l->tcp);
	l->tcp = NULL;
}
