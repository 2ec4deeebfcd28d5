#include "io/mdns.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/dnsmsg.h"
#include "io/loop.h"

#define PORT 5353
#define GROUP4 "224.0.0.251:5353"
#define GROUP6 "[ff02::fb]:5353"
#define FIRST_WAIT SNET_SEC /* doubled each time, RFC 6762 §5.2 */
#define HOP_LIMIT 255       /* RFC 6762 §11 */
#define MESSAGE_MAX 9000    /* RFC 6762 §17 */
#define READS 32            /* in one turn of the loop */
#define LINKS 64            /* addresses of this host on interfaces that have multicast */

#define HEAR6_MAX 8 /* interfaces on which IPv6 multicast is heard */

/* Asking, from ports of our own; hearing what is told to all: over IPv6, where a group is one
 * of a link (RFC 4291 §2.7), by a socket for each. */
enum { ASK4, ASK6, HEAR4, HEAR6, SOCKETS = HEAR6 + HEAR6_MAX };

/* An address of this host, and its network. */
struct link {
	unsigned index;
	struct snet_addr addr, mask;
};

struct sock {
	struct snet_mdns *owner;
	struct snet_io *io;
	int fd;
};

struct snet_mdns {
	struct snet_loop *loop;
	struct sock v[SOCKETS];
	struct link links[LINKS];
	size_t links_n;
	struct snet_addr groups[2]; /* IPv4, IPv6 */
	char name[SNET_DNS_NAME];
	int family;
	uint8_t ask[SNET_DNS_ASK_MAX];
	size_t ask_n;
	struct snet_timer timer;
	snet_time wait;
	snet_mdns_fn *fn;
	void *user;
	uint8_t in[MESSAGE_MAX];
};

/* ---- this host's links */

static void add_link(struct snet_mdns *m, const struct ifaddrs *i)
{
	struct link *l = &m->links[m->links_n];
	size_t n;

	if (m->links_n == LINKS || !i->ifa_addr || !i->ifa_netmask ||
	    !(i->ifa_flags & IFF_UP) || !(i->ifa_flags & (IFF_MULTICAST | IFF_LOOPBACK)) ||
	    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
		return;
	*l = (struct link){ .index = if_nametoindex(i->ifa_name) };
	n = i->ifa_addr->sa_family == AF_INET ? sizeof(l->addr.in) : sizeof(l->addr.in6);
	memcpy(&l->addr, i->ifa_addr, n);
	memcpy(&l->mask, i->ifa_netmask, n);
	if (l->index)
		m->links_n++;
}

static void find_links(struct snet_mdns *m)
{
	struct ifaddrs *list = NULL;

	if (getifaddrs(&list))
		return;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		add_link(m, i);
	freeifaddrs(list);
}

static bool is_in(const void *a, const void *b, const void *mask, size_t n)
{
	const uint8_t *x = a, *y = b, *z = mask;

	for (size_t i = 0; i < n; i++)
		if ((x[i] ^ y[i]) & z[i])
			return false;
	return true;
}

/* An answer from beyond the link is none, RFC 6762 §11. */
static bool is_on_link(const struct snet_mdns *m, const struct snet_addr *from)
{
	if (from->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&from->in6.sin6_addr))
		return true;
	for (size_t i = 0; i < m->links_n; i++) {
		const struct link *l = &m->links[i];

		if (l->addr.sa.sa_family != from->sa.sa_family)
			continue;
		if (from->sa.sa_family == AF_INET
			    ? is_in(&from->in.sin_addr, &l->addr.in.sin_addr,
				    &l->mask.in.sin_addr, 4)
			    : is_in(&from->in6.sin6_addr, &l->addr.in6.sin6_addr,
				    &l->mask.in6.sin6_addr, 16))
			return true;
	}
	return false;
}

/* One address of each interface: neighbours in the list are of one, but not all of one are
 * neighbours. */
static bool is_first(const struct snet_mdns *m, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (m->links[i].index == m->links[at].index &&
		    m->links[i].addr.sa.sa_family == m->links[at].addr.sa.sa_family)
			return false;
	return true;
}

/* ---- out */

union control {
	struct cmsghdr align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* By the interface of a link, whatever the routes say. An interface that cannot is none. */
static void send_by(struct snet_mdns *m, const struct link *l)
{
	bool v6 = l->addr.sa.sa_family == AF_INET6;
	struct snet_addr to = m->groups[v6];
	struct iovec iov = { m->ask, m->ask_n };
	union control control = { 0 };
	struct in_pktinfo p4 = { .ipi_ifindex = (int)l->index,
				 .ipi_spec_dst = l->addr.in.sin_addr };
	struct in6_pktinfo p6 = { .ipi6_ifindex = l->index };
	struct msghdr h = {
		.msg_name = &to,
		.msg_namelen = snet_addr_len(&to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = v6 ? sizeof(control.v6) : sizeof(control.v4),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	if (m->v[v6 ? ASK6 : ASK4].fd < 0)
		return;
	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = v6 ? CMSG_LEN(sizeof(p6)) : CMSG_LEN(sizeof(p4));
	memcpy(CMSG_DATA(c), v6 ? (void *)&p6 : (void *)&p4, v6 ? sizeof(p6) : sizeof(p4));
	if (sendmsg(m->v[v6 ? ASK6 : ASK4].fd, &h, MSG_NOSIGNAL) < 0)
		return; /* asked again in a moment */
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_mdns *m = t->user;

	for (size_t i = 0; i < m->links_n; i++)
		if (is_first(m, i))
			send_by(m, &m->links[i]);
	m->wait = m->wait ? 2 * m->wait : FIRST_WAIT;
	snet_timer_set(m->loop, t, now + m->wait); /* it has just had its place: cannot fail */
}

/* ---- in */

static unsigned interface_of(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		struct in_pktinfo p4;
		struct in6_pktinfo p6;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&p4, CMSG_DATA(c), sizeof(p4));
			return (unsigned)p4.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&p6, CMSG_DATA(c), sizeof(p6));
			return p6.ipi6_ifindex;
		}
	}
	return 0;
}

static void take(struct snet_mdns *m, size_t n, unsigned interface)
{
	struct snet_dns_answers a;

	if (snet_dnsmsg_read(&a, m->in, n, m->name))
		return;
	for (size_t i = 0; i < a.addrs_n; i++) {
		struct snet_addr *x = &a.addrs[i];

		if (m->family != AF_UNSPEC && m->family != x->sa.sa_family)
			continue;
		if (x->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&x->in6.sin6_addr))
			x->in6.sin6_scope_id = interface;
		m->fn(x, m->user);
	}
}

static void on_ready(struct snet_io *io, int ready, void *user)
{
	struct sock *s = user;
	struct snet_mdns *m = s->owner;
	struct snet_addr from;
	union control control;
	ssize_t n;

	(void)io, (void)ready;
	for (unsigned i = 0; i < READS; i++) {
		struct iovec iov = { m->in, sizeof(m->in) };
		struct msghdr h = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};

		from = (struct snet_addr){ 0 };
		n = recvmsg(s->fd, &h, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		/* An ICMP error may have come instead; answers come from 5353, RFC 6762 §6. */
		if (n < 0 || h.msg_flags & MSG_TRUNC || snet_addr_port(&from) != PORT ||
		    !is_on_link(m, &from))
			continue;
		take(m, (size_t)n, interface_of(&h));
	}
}

/* ---- sockets */

static void set(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value)); /* what fails is done without */
}

/* Bound to the group, and not to every address: what other programs of this host are sent by
 * unicast on that port stays theirs. */
static int bind_group(int fd, const struct snet_addr *group)
{
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return bind(fd, &group->sa, snet_addr_len(group)) ? SNET_EBIND : SNET_OK;
}

static int join4(const struct snet_mdns *m, int fd)
{
	struct ip_mreqn r = { .imr_multiaddr = m->groups[0].in.sin_addr };

	for (size_t i = 0; i < m->links_n; i++) {
		if (m->links[i].addr.sa.sa_family != AF_INET || !is_first(m, i))
			continue;
		r.imr_ifindex = (int)m->links[i].index;
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &r, sizeof(r));
	}
	return bind_group(fd, &m->groups[0]);
}

static int join6(const struct snet_mdns *m, int fd, unsigned interface)
{
	struct snet_addr group = m->groups[1];
	struct ipv6_mreq r = { .ipv6mr_multiaddr = group.in6.sin6_addr,
			       .ipv6mr_interface = interface };

	group.in6.sin6_scope_id = interface;
	setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &r, sizeof(r));
	return bind_group(fd, &group);
}

static int new_socket(bool v6)
{
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	if (v6) {
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOP_LIMIT);
		set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	} else {
		set(fd, IPPROTO_IP, IP_MULTICAST_TTL, HOP_LIMIT);
		set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	}
	return fd;
}

/* interface: where to hear, over IPv6. A socket that cannot be had is done without.
 * SNET_ENOMEM. */
static int open_socket(struct snet_mdns *m, size_t at, unsigned interface)
{
	struct sock *s = &m->v[at];
	int fd = new_socket(at == ASK6 || at >= HEAR6);

	if (fd < 0)
		return SNET_OK;
	if ((at == HEAR4 && join4(m, fd)) || (at >= HEAR6 && join6(m, fd, interface))) {
		close(fd);
		return SNET_OK;
	}
	s->fd = fd;
	s->io = snet_io_new(m->loop, fd, on_ready, s);
	if (!s->io)
		return SNET_ENOMEM;
	snet_io_want(s->io, SNET_READ);
	return SNET_OK;
}

static int open_sockets(struct snet_mdns *m)
{
	size_t at = HEAR6;
	int rc = open_socket(m, ASK4, 0);

	if (!rc)
		rc = open_socket(m, ASK6, 0);
	if (!rc)
		rc = open_socket(m, HEAR4, 0);
	for (size_t i = 0; !rc && i < m->links_n && at < SOCKETS; i++)
		if (m->links[i].addr.sa.sa_family == AF_INET6 && is_first(m, i))
			rc = open_socket(m, at++, m->links[i].index);
	if (rc)
		return rc;
	return m->v[ASK4].fd < 0 && m->v[ASK6].fd < 0 ? SNET_EIO : SNET_OK;
}

/* ---- birth and death */

static int begin(struct snet_mdns *m, const char *name)
{
	size_t n = strlen(name);
	int rc;

	if (n >= sizeof(m->name))
		return SNET_EINVAL;
	strcpy(m->name, name);
	m->ask_n = snet_dnsmsg_ask(m->ask, name, m->family);
	if (!m->ask_n)
		return SNET_EINVAL;
	snet_addr_parse(&m->groups[0], GROUP4);
	snet_addr_parse(&m->groups[1], GROUP6);
	find_links(m);
	if (!m->links_n)
		return SNET_EIO;
	rc = open_sockets(m);
	if (!rc)
		rc = snet_timer_set(m->loop, &m->timer, snet_loop_now(m->loop));
	return rc;
}

int snet_mdns_new(struct snet_mdns **out, struct snet_loop *l, const char *name, int family,
		  snet_mdns_fn *fn, void *user, struct snet_error *err)
{
	struct snet_mdns *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return snet_fail(err, SNET_ENOMEM, "%s", name);
	for (size_t i = 0; i < SOCKETS; i++)
		m->v[i] = (struct sock){ m, NULL, -1 };
	m->loop = l;
	m->family = family;
	m->fn = fn;
	m->user = user;
	m->timer = (struct snet_timer){ .fn = on_timer, .user = m };
	rc = begin(m, name);
	if (rc) {
		snet_mdns_free(m);
		return snet_fail(err, rc, "%s: %s", name,
				 rc == SNET_EIO ? "no interface to ask on" : snet_err_text(rc));
	}
	*out = m;
	return SNET_OK;
}

void snet_mdns_free(struct snet_mdns *m)
{
	if (!m)
		return;
	snet_timer_stop(m->loop, &m->timer);
	for (size_t i = 0; i < SOCKETS; i++) {
		snet_io_free(m->v[i].io);
		if (m->v[i].fd >= 0)
			close(m->v[i].fd);
	}
	free(m);
}
