#include "io/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "io/udp_socket.h"

#define RX_SLOTS 4    /* messages in one recvmmsg */
#define RX_SLOT 65536 /* bytes: a whole GRO train */
#define RX_ROUNDS 4   /* recvmmsg calls in one turn, so that writing is not starved */
#define UNKNOWN_PAYLOAD 1252
#define ROUTE_TIME (100 * SNET_MS) /* so long is believed what the kernel said of a route */

struct snet_udp {
	struct snet_udp_socket sock;
	const struct snet_udp_events *ev;
	void *user;
	const struct snet_udp_over *over; /* in place of sock and io; NULL: none */
	void *over_user;
	struct snet_io *io;
	/* Bytes of the scratch that wait for the socket. */
	size_t parked, parked_segment, parked_from;
	uint8_t parked_ecn;
	struct snet_path parked_path;
	struct snet_addr route; /* the last one asked for, without a port */
	uint32_t route_payload;
	snet_time route_until; /* 0: none was */
	struct snet_addr names[RX_SLOTS];
	_Alignas(struct cmsghdr) uint8_t controls[RX_SLOTS][SNET_UDP_CONTROL];
	uint8_t *rx;
	uint8_t scratch[]; /* SNET_UDP_PAYLOAD_MAX of a socket, else none */
};

/* ---- in */

static void drain_errors(struct snet_udp *u)
{
	struct snet_addr remote;

	for (int most = 64; most && snet_udp_socket_error(&u->sock, &remote); most--)
		if (remote.sa.sa_family != AF_UNSPEC)
			u->ev->on_unreachable(&remote, u->user);
}

static void hand_on(struct snet_udp *u, const struct snet_path *path, uint8_t ecn, uint8_t *p,
		    size_t n)
{
	enum snet_udp_class class = n ? snet_udp_classify(p[0]) : SNET_UDP_OTHER;

	if (class == SNET_UDP_QUIC)
		u->ev->on_datagram(path, ecn, p, n, u->user);
	else if (class == SNET_UDP_STUN && u->ev->on_stun)
		u->ev->on_stun(path, p, n, u->user);
	else if (class == SNET_UDP_OTHER && u->ev->on_other)
		u->ev->on_other(path, ecn, p, n, u->user);
}

static void split(struct snet_udp *u, struct msghdr *m, uint8_t *p, size_t n)
{
	struct snet_path path;
	size_t segment;
	uint8_t ecn;

	if (m->msg_flags & MSG_TRUNC)
		return;
	path.remote = *(struct snet_addr *)m->msg_name;
	snet_udp_socket_from(&u->sock, m, &path, &ecn, &segment);
	if (!segment)
		segment = n;
	for (size_t k; n; p += k, n -= k) {
		k = n < segment ? n : segment;
		hand_on(u, &path, ecn, p, k);
	}
}

static void prepare_slots(struct snet_udp *u, struct mmsghdr *m, struct iovec *iov)
{
	for (int i = 0; i < RX_SLOTS; i++) {
		iov[i] = (struct iovec){ u->rx + (size_t)i * RX_SLOT, RX_SLOT };
		m[i].msg_hdr = (struct msghdr){ .msg_name = &u->names[i],
						.msg_namelen = sizeof(u->names[i]),
						.msg_iov = &iov[i],
						.msg_iovlen = 1,
						.msg_control = u->controls[i],
						.msg_controllen = SNET_UDP_CONTROL };
	}
}

static void on_readable(struct snet_udp *u)
{
	struct mmsghdr m[RX_SLOTS];
	struct iovec iov[RX_SLOTS];

	for (int round = 0; round < RX_ROUNDS && snet_io_wanted(u->io); round++) {
		int k, most;

		prepare_slots(u, m, iov);
		k = snet_udp_socket_receive(&u->sock, m, RX_SLOTS, &most);
		if (k < 0 && errno != EAGAIN && errno != EINTR) {
			drain_errors(u);
			continue;
		}
		for (int i = 0; i < k; i++)
			split(u, &m[i].msg_hdr, iov[i].iov_base, m[i].msg_len);
		if (k < most)
			break;
	}
}

/* ---- out */

static int send_once(struct snet_udp *u, const struct snet_path *path, uint8_t ecn,
		     const uint8_t *p, size_t n, size_t segment)
{
	_Alignas(struct cmsghdr) uint8_t control[SNET_UDP_CONTROL];
	struct iovec iov = { (void *)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct snet_addr name;
	int e = 0;

	snet_udp_socket_to(&u->sock, &m, &name, control, path, ecn, segment);
	for (int tries = 0; tries < 3; tries++) {
		if (sendmsg(u->sock.fd, &m, MSG_DONTWAIT) >= 0)
			return 0;
		e = errno; /* drain_errors changes it */
		/* With IP_RECVERR an old ICMP error is reported once, by
		 * whatever call comes next. */
		if (e != ECONNREFUSED && e != EHOSTUNREACH && e != ENETUNREACH &&
		    e != EHOSTDOWN && e != EINTR)
			break;
		drain_errors(u);
	}
	return e;
}

/* One by one; *done = bytes sent. */
static int send_each(struct snet_udp *u, const struct snet_path *path, uint8_t ecn,
		     const uint8_t *p, size_t n, size_t segment, size_t *done)
{
	for (*done = 0; *done < n; *done += segment) {
		size_t k = n - *done < segment ? n - *done : segment;
		int e = send_once(u, path, ecn, p + *done, k, 0);

		if (e)
			return e;
	}
	*done = n;
	return 0;
}

static int send_some(struct snet_udp *u, const struct snet_path *path, uint8_t ecn,
		     const uint8_t *p, size_t n, size_t segment, size_t *done)
{
	int e;

	*done = 0;
	if (n <= segment || !u->sock.gso)
		return send_each(u, path, ecn, p, n, segment, done);
	e = send_once(u, path, ecn, p, n, segment);
	if (!e)
		*done = n;
	if (e != EIO)
		return e;
	/* The interface cannot do the checksums of GSO */
	u->sock.gso = false;
	snet_log(SNET_LOG_INFO, "udp", "no segmentation offload on this path");
	return send_each(u, path, ecn, p, n, segment, done);
}

int snet_udp_send(struct snet_udp *u, const struct snet_path *path, uint8_t ecn, size_t n,
		  size_t segment)
{
	size_t done;
	int e;

	if (u->over)
		return u->over->send(path, ecn, n, segment, u->over_user);
	e = send_some(u, path, ecn, u->scratch, n, segment, &done);
	switch (e) {
	case EAGAIN:
	case ENOBUFS:
		u->parked = n;
		u->parked_from = done;
		u->parked_segment = segment;
		u->parked_ecn = ecn;
		u->parked_path = *path;
		snet_io_want(u->io, SNET_READ | SNET_WRITE);
		return SNET_EAGAIN;
	case EMSGSIZE:
	case EINVAL:
		return SNET_ETOOBIG;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		u->ev->on_unreachable(&path->remote, u->user);
		return SNET_OK;
	default:
		return SNET_OK; /* lost, as datagrams may be */
	}
}

static void on_sendable(struct snet_udp *u)
{
	size_t done = 0;
	int e = 0;

	if (u->parked)
		e = send_some(u, &u->parked_path, u->parked_ecn, u->scratch + u->parked_from,
			      u->parked - u->parked_from, u->parked_segment, &done);
	if (e == EAGAIN || e == ENOBUFS) {
		u->parked_from += done;
		return;
	}
	u->parked = 0;
	snet_io_want(u->io, SNET_READ);
	u->ev->on_writable(u->user);
}

void snet_udp_answer(struct snet_udp *u, const struct snet_path *path, const uint8_t *p,
		     size_t n)
{
	if (!u->over) {
		send_once(u, path, 0, p, n, 0);
	} else if (!u->over->is_blocked(u->over_user)) {
		memcpy(u->over->scratch(u->over_user), p, n);
		u->over->send(path, 0, n, n, u->over_user);
	}
}

uint8_t *snet_udp_scratch(struct snet_udp *u)
{
	return u->over ? u->over->scratch(u->over_user) : u->scratch;
}

bool snet_udp_is_blocked(const struct snet_udp *u)
{
	return u->over ? u->over->is_blocked(u->over_user) : u->parked;
}

/* ---- life */

static void on_io(struct snet_io *io, int ready, void *user)
{
	struct snet_udp *u = user;

	(void)io;
	if (ready & SNET_READ)
		on_readable(u);
	if (ready & SNET_WRITE && u->parked)
		on_sendable(u);
}

int snet_udp_open(struct snet_udp **out, struct snet_loop *l, const struct snet_addr *at,
		  int fd, const struct snet_udp_opts *o, const struct snet_udp_events *ev,
		  void *user, struct snet_error *err)
{
	struct snet_udp *u = malloc(sizeof(*u) + SNET_UDP_PAYLOAD_MAX);
	int rc;

	if (!u)
		return snet_fail(err, SNET_ENOMEM, "udp socket");
	*u = (struct snet_udp){ 0 }; /* and not the scratch: most of it is never touched */
	u->ev = ev;
	u->user = user;
	u->sock.fd = -1;
	rc = snet_udp_socket_open(&u->sock, at, fd, o, err);
	if (rc)
		goto out;
	u->rx = malloc((size_t)RX_SLOTS * RX_SLOT);
	u->io = snet_io_new(l, u->sock.fd, on_io, u);
	if (!u->rx || !u->io) {
		rc = snet_fail(err, SNET_ENOMEM, "udp socket");
		goto out;
	}
	snet_io_want(u->io, SNET_READ);
	*out = u;
	u = NULL;
out:
	snet_udp_close(u);
	return rc;
}

int snet_udp_open_over(struct snet_udp **out, const struct snet_addr *at,
		       const struct snet_udp_over *over, void *user, struct snet_error *err)
{
	struct snet_udp *u = calloc(1, sizeof(*u));

	if (!u)
		return snet_fail(err, SNET_ENOMEM, "udp");
	u->over = over;
	u->over_user = user;
	u->sock.fd = -1;
	u->sock.bound = *at;
	*out = u;
	return SNET_OK;
}

void snet_udp_listen(struct snet_udp *u, const struct snet_udp_events *ev, void *user)
{
	u->ev = ev;
	u->user = user;
}

void snet_udp_input(struct snet_udp *u, const struct snet_path *path, uint8_t ecn, uint8_t *p,
		    size_t n)
{
	if (u->ev)
		hand_on(u, path, ecn, p, n);
}

void snet_udp_gone(struct snet_udp *u, const char *why)
{
	if (u->ev && u->ev->on_gone)
		u->ev->on_gone(why, u->user);
}

void snet_udp_writable(struct snet_udp *u)
{
	if (u->ev)
		u->ev->on_writable(u->user);
}

int snet_udp_detach(struct snet_udp *u, const struct snet_addr *remote, int *fd,
		    struct snet_error *err)
{
	int rc = u->over ? snet_fail(err, SNET_ENOSYS, "no socket of its own")
			 : snet_udp_socket_detach(&u->sock, remote, fd, err);

	if (!rc)
		snet_io_want(u->io, 0);
	return rc;
}

void snet_udp_close(struct snet_udp *u)
{
	if (!u)
		return;
	snet_io_free(u->io);
	if (u->sock.fd >= 0)
		close(u->sock.fd);
	free(u->rx);
	free(u);
}

void snet_udp_address(const struct snet_udp *u, struct snet_addr *out)
{
	*out = u->sock.bound;
}

uint32_t snet_udp_payload(struct snet_udp *u, const struct snet_addr *remote)
{
	struct snet_addr route = *remote;
	snet_time now;

	if (u->over)
		return u->over->payload(remote, u->over_user);
	now = snet_now();
	snet_addr_set_port(&route, 0);
	if (now >= u->route_until || !snet_addr_eq(&route, &u->route)) {
		u->route = route;
		u->route_payload = snet_udp_route_payload(remote);
		u->route_until = now + ROUTE_TIME;
	}
	return u->route_payload;
}

uint32_t snet_udp_route_payload(const struct snet_addr *remote)
{
	bool v6 = remote->sa.sa_family == AF_INET6;
	int fd = socket(remote->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t headers = v6 ? 48 : 28, payload = UNKNOWN_PAYLOAD;
	int mtu = 0;
	socklen_t n = sizeof(mtu);

	if (fd < 0)
		return payload;
	if (!connect(fd, &remote->sa, snet_addr_len(remote)) &&
	    !getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &mtu, &n) &&
	    mtu >= 1200 + (int)headers)
		payload = (uint32_t)mtu - headers;
	close(fd);
	return payload < SNET_UDP_PAYLOAD_MAX ? payload : SNET_UDP_PAYLOAD_MAX;
}
