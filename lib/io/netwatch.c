#include "io/netwatch.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"

#define SETTLE (200 * SNET_MS) /* an interface that comes up says so in several messages */

struct snet_netwatch {
	struct snet_loop *loop;
	int fd;
	struct snet_io *io;
	struct snet_timer settled;
	uint64_t sum; /* of the addresses there are */
	void (*on_change)(void *user);
	void *user;
};

/* FNV-1a */
static uint64_t hash(uint64_t h, const void *p, size_t n)
{
	for (const uint8_t *at = p; n--; at++)
		h = (h ^ *at) * 0x100000001b3;
	return h;
}

/* Of all addresses of interfaces that are up, in whatever order they come. */
static uint64_t sum_up(void)
{
	struct ifaddrs *list = NULL;
	uint64_t sum = 0;

	if (getifaddrs(&list))
		return 0;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		size_t n = family == AF_INET    ? sizeof(struct sockaddr_in)
			   : family == AF_INET6 ? sizeof(struct sockaddr_in6)
						: 0;

		if (!n || !(i->ifa_flags & IFF_UP))
			continue;
		sum += hash(hash(0xcbf29ce484222325, i->ifa_name, strlen(i->ifa_name)),
			    i->ifa_addr, n);
	}
	freeifaddrs(list);
	return sum;
}

static bool is_same_host(const struct sockaddr *have, const struct snet_addr *a)
{
	struct snet_addr x = { 0 }, y = *a;

	if (!have || have->sa_family != a->sa.sa_family)
		return false;
	memcpy(&x, have, snet_addr_len(a));
	snet_addr_set_port(&x, 0);
	snet_addr_set_port(&y, 0);
	return snet_addr_eq(&x, &y);
}

bool snet_netwatch_is_ours(const struct snet_addr *a)
{
	struct ifaddrs *list = NULL;
	bool found = false;

	if (getifaddrs(&list))
		return true;
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next)
		found = i->ifa_flags & IFF_UP && is_same_host(i->ifa_addr, a);
	freeifaddrs(list);
	return found;
}

/* A router, or DHCP, that gives an address more time has changed nothing. */
static void on_settled(struct snet_timer *t, snet_time now)
{
	struct snet_netwatch *w = t->user;
	uint64_t sum = sum_up();

	(void)now;
	if (sum == w->sum)
		return;
	w->sum = sum;
	w->on_change(w->user);
}

/* What they say does not matter: the interfaces themselves are looked at. A lost message
 * (ENOBUFS) is one, too. */
static void on_readable(struct snet_io *io, int ready, void *user)
{
	struct snet_netwatch *w = user;
	char bytes[8192];
	bool any = false;
	ssize_t n;

	(void)io, (void)ready;
	while ((n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0 || errno == ENOBUFS) {
		any = true;
		if (n < 0)
			break;
	}
	if (any)
		snet_timer_set(w->loop, &w->settled, snet_loop_now(w->loop) + SETTLE);
}

int snet_netwatch_new(struct snet_netwatch **out, struct snet_loop *l,
		      void (*on_change)(void *user), void *user, struct snet_error *err)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK,
				  .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	struct snet_netwatch *w = calloc(1, sizeof(*w));
	int rc = SNET_OK;

	if (!w)
		return snet_fail(err, SNET_ENOMEM, "rtnetlink");
	*w = (struct snet_netwatch){ .loop = l, .on_change = on_change, .user = user };
	w->settled = (struct snet_timer){ .fn = on_settled, .user = w };
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&at, sizeof(at)))
		rc = snet_fail(err, SNET_EIO, "rtnetlink: %s", strerror(errno));
	if (!rc) {
		w->io = snet_io_new(l, w->fd, on_readable, w);
		if (!w->io)
			rc = snet_fail(err, SNET_ENOMEM, "rtnetlink");
	}
	if (rc) {
		snet_netwatch_free(w);
		return rc;
	}
	w->sum = sum_up();
	snet_io_want(w->io, SNET_READ);
	*out = w;
	return SNET_OK;
}

void snet_netwatch_free(struct snet_netwatch *w)
{
	if (!w)
		return;
	snet_timer_stop(w->loop, &w->settled);
	snet_io_free(w->io);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}
