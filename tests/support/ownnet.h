/* Ownnet: a network of the test's own, where addresses come and go as it likes. */
#ifndef TESTS_SUPPORT_OWNNET_H
#define TESTS_SUPPORT_OWNNET_H

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"

/* IPv4 addresses in networks of 24 bits, of one of which there should be one: the first that
 * goes takes the others with it. */

/* One request about lo, or, of label 1 and more, about an IPv4 address of lo's besides its
 * first. at: the address; NULL: as it is, but up or not. */
static inline bool ownnet_ask(unsigned label, const struct snet_addr *at, bool up)
{
	struct ifreq r = { .ifr_flags = up ? IFF_UP | IFF_RUNNING : 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	snprintf(r.ifr_name, sizeof(r.ifr_name), label ? "lo:%u" : "lo", label);
	if (at)
		memcpy(&r.ifr_addr, &at->in, sizeof(at->in));
	ok = fd >= 0 && !ioctl(fd, at ? SIOCSIFADDR : SIOCSIFFLAGS, &r);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Before anything else of the process: false: it is not allowed to. */
static inline bool ownnet_begin(void)
{
	return (!unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET)) &&
	       ownnet_ask(0, NULL, true);
}

static inline bool ownnet_add(unsigned label, const char *text)
{
	struct snet_addr at;

	return !snet_addr_parse(&at, text) && ownnet_ask(label, &at, true);
}

/* The kernel looks whether somebody else has it, even on lo, and lets nobody bind to it until
 * then. */
static inline bool ownnet_is_settled(int fd, const struct snet_addr *at)
{
	for (int ms = 0; ms < 10000; ms++) {
		if (!bind(fd, &at->sa, sizeof(at->in6)))
			return true;
		if (errno != EADDRNOTAVAIL)
			return false;
		poll(NULL, 0, 1);
	}
	return false;
}

/* text: of port 0. As /128, on lo. */
static inline bool ownnet_add6(const char *text)
{
	union {
		struct ifreq whole; /* what valgrind takes every such request for */
		struct {
			struct in6_addr addr;
			uint32_t prefix;
			int index;
		} in6;
	} r;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct snet_addr at;
	bool ok;

	memset(&r, 0, sizeof(r));
	r.in6.prefix = 128;
	r.in6.index = (int)if_nametoindex("lo");
	ok = fd >= 0 && !snet_addr_parse(&at, text);
	if (ok)
		r.in6.addr = at.in6.sin6_addr;
	ok = ok && !ioctl(fd, SIOCSIFADDR, &r) && ownnet_is_settled(fd, &at);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* 0: of all. */
static inline bool ownnet_drop(unsigned label)
{
	return ownnet_ask(label, NULL, false);
}

#endif
