#include "io/udp_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Of the socket, each way: more than the initial congestion windows of many peers. */
#define BUFFER_BYTES (4 << 20)

static bool on(int fd, int level, int option, int value)
{
	return !setsockopt(fd, level, option, &value, sizeof(value));
}

static void grow_buffers(int fd)
{
	static bool said;
	int got = 0;
	socklen_t n = sizeof(got);

	on(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
	on(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &n) || got >= BUFFER_BYTES || said)
		return;
	said = true;
	snet_log(SNET_LOG_INFO, "udp",
		 "receive buffer is %d bytes, %d were asked for; more with: sysctl -w "
		 "net.core.rmem_max=%d",
		 got, BUFFER_BYTES, BUFFER_BYTES);
}

static void set_options(struct snet_udp_socket *s, const struct snet_udp_opts *o)
{
	bool v6 = s->family == AF_INET6;

	grow_buffers(s->fd);
	on(s->fd, IPPROTO_IP, IP_RECVTOS, 1); /* on an IPv6 socket too: its IPv4 peers */
	on(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	on(s->fd, IPPROTO_IP, IP_RECVERR, 1);
	if (v6) {
		on(s->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		on(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
		on(s->fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	}
	if (s->wildcard) {
		on(s->fd, IPPROTO_IP, IP_PKTINFO, 1);
		if (v6)
			on(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	}
	s->gro = !o->no_gro && on(s->fd, SOL_UDP, UDP_GRO, 1);
	s->gso = !o->no_gso && on(s->fd, SOL_UDP, UDP_SEGMENT, 0);
}

static int check_given(int fd, struct snet_error *err)
{
	int type = 0;
	socklen_t n = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n))
		return snet_fail(err, SNET_EBIND, "descriptor %d: %s", fd, strerror(errno));
	if (type != SOCK_DGRAM)
		return snet_fail(err, SNET_EBIND, "descriptor %d is not a datagram socket", fd);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return SNET_OK;
}

int snet_udp_socket_open(struct snet_udp_socket *s, const struct snet_addr *at, int fd,
			 const struct snet_udp_opts *o, struct snet_error *err)
{
	char text[SNET_ADDR_TEXT];
	socklen_t n = sizeof(s->bound);
	int rc = SNET_OK;

	*s = (struct snet_udp_socket){ .fd = fd, .family = at ? at->sa.sa_family : AF_UNSPEC };
	if (fd >= 0) {
		rc = check_given(fd, err);
	} else {
		s->fd = socket(s->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (s->fd < 0)
			return snet_fail(err, SNET_EBIND, "socket: %s", strerror(errno));
		if (s->family == AF_INET6)
			on(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6_only);
		if (bind(s->fd, &at->sa, snet_addr_len(at)))
			rc = snet_fail(err, SNET_EBIND, "%s: %s", snet_addr_print(at, text),
				       strerror(errno));
	}
	if (!rc && getsockname(s->fd, &s->bound.sa, &n))
		rc = snet_fail(err, SNET_EBIND, "getsockname: %s", strerror(errno));
	if (rc) {
		if (fd < 0)
			close(s->fd);
		s->fd = -1;
		return rc;
	}
	s->family = s->bound.sa.sa_family;
	s->wildcard = snet_addr_is_any(&s->bound);
	set_options(s, o);
	return SNET_OK;
}

/* ---- addresses: an IPv6 socket says ::ffff:192.0.2.1 for IPv4;
 * everyone above sees plain IPv4. */

static void map4(struct in6_addr *out, const struct in_addr *in)
{
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(out->s6_addr + 12, in, 4);
}

static struct snet_addr for_socket(const struct snet_udp_socket *s, const struct snet_addr *a)
{
	struct snet_addr out = *a;

	if (s->family == AF_INET6 && a->sa.sa_family == AF_INET) {
		out.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						 .sin6_port = a->in.sin_port };
		map4(&out.in6.sin6_addr, &a->in.sin_addr);
	}
	return out;
}

/* ---- control messages */

static void put(struct msghdr *m, int level, int type, const void *p, size_t n)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)m->msg_control + m->msg_controllen);

	memset(c, 0, CMSG_SPACE(n));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), p, n);
	m->msg_controllen += CMSG_SPACE(n);
}

static void put_source(const struct snet_udp_socket *s, struct msghdr *m,
		       const struct snet_addr *local)
{
	struct in6_pktinfo six = { 0 };
	struct in_pktinfo four = { 0 };

	if (!s->wildcard || snet_addr_is_any(local))
		return;
	if (local->sa.sa_family == AF_INET) {
		/* Also right for the IPv4 peers of an IPv6 socket. */
		four.ipi_spec_dst = local->in.sin_addr;
		put(m, IPPROTO_IP, IP_PKTINFO, &four, sizeof(four));
	} else {
		six.ipi6_addr = local->in6.sin6_addr;
		six.ipi6_ifindex = local->in6.sin6_scope_id;
		put(m, IPPROTO_IPV6, IPV6_PKTINFO, &six, sizeof(six));
	}
}

void snet_udp_socket_to(const struct snet_udp_socket *s, struct msghdr *m,
			struct snet_addr *name, uint8_t control[static SNET_UDP_CONTROL],
			const struct snet_path *path, uint8_t ecn, size_t segment)
{
	uint16_t gso = (uint16_t)segment;
	int tos = ecn;

	*name = for_socket(s, &path->remote);
	m->msg_name = name;
	m->msg_namelen = snet_addr_len(name);
	m->msg_control = control;
	m->msg_controllen = 0;
	put_source(s, m, &path->local);
	if (ecn && path->remote.sa.sa_family == AF_INET)
		put(m, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	else if (ecn)
		put(m, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	if (segment)
		put(m, SOL_UDP, UDP_SEGMENT, &gso, sizeof(gso));
	if (!m->msg_controllen)
		m->msg_control = NULL;
}

int snet_udp_socket_receive(struct snet_udp_socket *s, struct mmsghdr *m, unsigned n, int *most)
{
	ssize_t k;

	*most = (int)n;
	if (!s->no_mmsg) {
		int got = recvmmsg(s->fd, m, n, MSG_DONTWAIT, NULL);

		if (got >= 0 || (errno != ENOSYS && errno != EPERM))
			return got;
		s->no_mmsg = true;
	}
	*most = 1;
	k = recvmsg(s->fd, &m->msg_hdr, MSG_DONTWAIT);
	m->msg_len = k > 0 ? (unsigned)k : 0;
	return k < 0 ? -1 : 1;
}

static void take_source(struct cmsghdr *c, struct snet_path *path, uint16_t port)
{
	struct in6_pktinfo six;
	struct in_pktinfo four;

	if (c->cmsg_level == IPPROTO_IP) {
		memcpy(&four, CMSG_DATA(c), sizeof(four));
		path->local.in = (struct sockaddr_in){ .sin_family = AF_INET,
						       .sin_addr = four.ipi_addr };
	} else {
		memcpy(&six, CMSG_DATA(c), sizeof(six));
		path->local.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
							 .sin6_addr = six.ipi6_addr };
		if (IN6_IS_ADDR_LINKLOCAL(&six.ipi6_addr))
			path->local.in6.sin6_scope_id = six.ipi6_ifindex;
	}
	snet_addr_unmap(&path->local);
	snet_addr_set_port(&path->local, port);
}

void snet_udp_socket_from(const struct snet_udp_socket *s, struct msghdr *m,
			  struct snet_path *path, uint8_t *ecn, size_t *segment)
{
	uint16_t port = snet_addr_port(&s->bound);
	int gso;

	path->local = s->bound;
	snet_addr_unmap(&path->remote);
	*ecn = 0;
	*segment = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			*ecn = *CMSG_DATA(c) & 3; /* one byte on the way in */
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
			*ecn = *CMSG_DATA(c) & 3;
		else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
			 (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO))
			take_source(c, path, port);
		else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&gso, CMSG_DATA(c), sizeof(gso));
			*segment = gso > 0 ? (size_t)gso : 0;
		}
	}
}

bool snet_udp_socket_error(const struct snet_udp_socket *s, struct snet_addr *remote)
{
	_Alignas(struct cmsghdr) uint8_t control[512];
	uint8_t payload[1];
	struct iovec iov = { payload, sizeof(payload) };
	struct msghdr m = { .msg_name = remote,
			    .msg_namelen = sizeof(*remote),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct sock_extended_err ee = { 0 };

	memset(remote, 0, sizeof(*remote));
	if (recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			memcpy(&ee, CMSG_DATA(c), sizeof(ee));
	snet_addr_unmap(remote);
	/* EMSGSIZE here is about a path MTU probe: not an unreachable peer. */
	if (ee.ee_errno != ECONNREFUSED && ee.ee_errno != EHOSTUNREACH &&
	    ee.ee_errno != ENETUNREACH)
		remote->sa.sa_family = AF_UNSPEC;
	return true;
}

int snet_udp_socket_detach(const struct snet_udp_socket *s, const struct snet_addr *remote,
			   int *fd, struct snet_error *err)
{
	struct snet_addr to = for_socket(s, remote);
	char text[SNET_ADDR_TEXT];
	int own = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);

	if (own < 0)
		return snet_fail(err, SNET_EIO, "dup: %s", strerror(errno));
	if (connect(own, &to.sa, snet_addr_len(&to))) {
		close(own);
		return snet_fail(err, SNET_EUNREACH, "%s: %s", snet_addr_print(remote, text),
				 strerror(errno));
	}
	/* One datagram at a time, and no error queue that nobody would read. */
	on(own, SOL_UDP, UDP_GRO, 0);
	on(own, IPPROTO_IP, IP_RECVERR, 0);
	if (s->family == AF_INET6)
		on(own, IPPROTO_IPV6, IPV6_RECVERR, 0);
	fcntl(own, F_SETFL, fcntl(own, F_GETFL) & ~O_NONBLOCK);
	*fd = own;
	return SNET_OK;
}
