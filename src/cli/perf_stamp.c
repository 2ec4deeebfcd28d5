#include "cli/perf_stamp.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/loop.h"

#define CONTROL 512 /* bytes of control messages */
#define READS 16    /* in one turn */

struct perf_stamp {
	int fd;
	struct snet_io *io;
	const struct perf_stamp_events *ev;
	void *user;
	uint32_t sent;     /* datagrams: the kernel counts them, too */
	snet_time sent_at; /* the last of them; 0: not said yet */
	bool busy, closed;
	struct snet_loop *loop;
	struct snet_task refused; /* the network has complained: to be told, not from a send */
};

static void destroy(struct perf_stamp *s)
{
	snet_task_cancel(&s->refused);
	snet_io_free(s->io);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

/* What the control messages say: when, and of which datagram. */
static snet_time stamp_of(struct msghdr *m, uint32_t *which, int *error)
{
	snet_time at = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
			struct scm_timestamping t;

			memcpy(&t, CMSG_DATA(c), sizeof(t));
			at = (snet_time)t.ts[0].tv_sec * SNET_SEC + (snet_time)t.ts[0].tv_nsec;
		} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
			   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
			struct sock_extended_err e;

			memcpy(&e, CMSG_DATA(c), sizeof(e));
			*which = e.ee_data;
			*error = e.ee_origin == SO_EE_ORIGIN_TIMESTAMPING ? 0 : (int)e.ee_errno;
		}
	}
	return at;
}

/* -1: nothing. Else the length of what came. */
static ssize_t receive(struct perf_stamp *s, uint8_t *p, size_t n, int flags, snet_time *at,
		       uint32_t *which, int *error)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL];
	struct iovec v = { p, n };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t k = recvmsg(s->fd, &m, flags | MSG_DONTWAIT);

	if (k < 0) {
		*error = errno;
		return -1;
	}
	*error = 0;
	*at = stamp_of(&m, which, error);
	return k;
}

/* The kernel's notes about what was sent, and the network's complaints. */
static void read_notes(struct perf_stamp *s)
{
	uint8_t nothing[1];
	snet_time at = 0;
	uint32_t which = 0;
	int error = 0;

	while (receive(s, nothing, 0, MSG_ERRQUEUE, &at, &which, &error) >= 0) {
		if (error)
			snet_task_defer(s->loop, &s->refused);
		else if (which == s->sent - 1)
			s->sent_at = at;
	}
}

static void done(struct perf_stamp *s)
{
	s->busy = false;
	if (s->closed)
		destroy(s);
}

static void on_refused(struct snet_task *t)
{
	struct perf_stamp *s = t->user;

	s->busy = true;
	s->ev->on_unreachable(s->user);
	done(s);
}

int perf_stamp_send(struct perf_stamp *s, const void *p, size_t n)
{
	ssize_t k = send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (k < 0 && errno == ECONNREFUSED) { /* said of the one before */
		snet_task_defer(s->loop, &s->refused);
		k = send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (k < 0)
		return errno == EMSGSIZE ? SNET_ETOOBIG : SNET_OK;
	s->sent++;
	s->sent_at = 0;
	read_notes(s); /* most often it is there already, and then wakes nobody */
	return SNET_OK;
}

static void read_datagrams(struct perf_stamp *s)
{
	static uint8_t in[65536];
	snet_time at = 0;
	uint32_t which;
	int error = 0;

	for (unsigned i = 0; i < READS && !s->closed; i++) {
		ssize_t k = receive(s, in, sizeof(in), 0, &at, &which, &error);

		if (k < 0 && error == ECONNREFUSED)
			snet_task_defer(s->loop, &s->refused);
		if (k < 0)
			return;
		if (!s->sent_at)
			read_notes(s);
		s->ev->on_datagram(in, (size_t)k,
				   at && s->sent_at && at >= s->sent_at ? at - s->sent_at
									: SNET_NEVER,
				   s->user);
	}
}

static void on_ready(struct snet_io *io, int ready, void *user)
{
	struct perf_stamp *s = user;

	(void)io, (void)ready;
	s->busy = true;
	read_datagrams(s);
	if (!s->closed)
		read_notes(s);
	done(s);
}

/* When it leaves: as it enters the packet scheduler, which is next to where a capture sees it;
 * the driver's time comes after what the capture itself costs. Where the kernel keeps no time,
 * there is none: no failure. */
static void keep_time(int fd, int family)
{
	int flags = SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_RX_SOFTWARE |
		    SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
		    SOF_TIMESTAMPING_OPT_TSONLY;
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one));
	else
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
}

int perf_stamp_open(struct perf_stamp **out, struct snet_loop *l, const struct snet_addr *to,
		    const struct perf_stamp_events *ev, void *user, struct snet_error *err)
{
	struct perf_stamp *s = calloc(1, sizeof(*s));
	int rc = SNET_OK;

	if (!s)
		return snet_fail(err, SNET_ENOMEM, "socket");
	s->ev = ev;
	s->user = user;
	s->loop = l;
	snet_task_init(&s->refused, on_refused, s);
	s->fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		rc = snet_fail(err, SNET_EIO, "socket: %s", strerror(errno));
	else if (connect(s->fd, &to->sa, snet_addr_len(to)))
		rc = snet_fail(err, SNET_EUNREACH, "%s", strerror(errno));
	if (!rc) {
		keep_time(s->fd, to->sa.sa_family);
		s->io = snet_io_new(l, s->fd, on_ready, s);
		if (!s->io)
			rc = snet_fail(err, SNET_ENOMEM, "socket");
	}
	if (rc) {
		destroy(s);
		return rc;
	}
	snet_io_want(s->io, SNET_READ);
	*out = s;
	return SNET_OK;
}

void perf_stamp_close(struct perf_stamp *s)
{
	if (!s)
		return;
	s->closed = true;
	if (!s->busy)
		destroy(s);
}
