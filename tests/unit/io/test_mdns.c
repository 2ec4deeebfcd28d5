/* io/mdns: questions to the link, answered by a responder on this host, in a network namespace
 * with nothing else in it. Skips where there can be none. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "io/loop.h"
#include "io/mdns.h"
#include "io/resolve.h"
#include "support/torture.h"

#define PATIENCE (120 * SNET_SEC)
#define NAME "2c4a7b1e-6b4e-4f0a-9d51-0d3bb5b7a6f1.local"
#define LINK "mdns0"
#define ANSWER_MAX 512

static struct snet_loop *loop;
static bool has_namespace, has_v6;
static unsigned link_index; /* 0: there is no link but loopback */

/* ---- a responder */

enum how {
	BY_UNICAST,
	BY_MULTICAST,
	SECOND_TIME, /* as if the first question had been lost */
	NOT_AT_ALL,
	WRONGLY, /* before it says anything true */
};

static struct {
	int fd[2];  /* IPv4, IPv6 */
	int odd[2]; /* not of the port that answers come from */
	struct snet_io *io[2];
	struct snet_addr group[2];
	enum how how;
	int family;    /* to be asked for */
	bool is_deaf4; /* to IPv4 */
	unsigned asked;
	snet_time first, last;
} host;

static void put_name(struct snet_buf *b, const char *name)
{
	for (size_t n; *name; name += n + (name[n] == '.')) {
		n = strcspn(name, ".");
		snet_buf_u8(b, (uint8_t)n);
		snet_buf_add(b, name, n);
	}
	snet_buf_u8(b, 0);
}

/* last: the last byte of the address. */
static void put_record(struct snet_buf *b, const char *name, int family, uint32_t ttl,
		       uint8_t last)
{
	static const uint8_t v4[] = { 192, 0, 2 }, v6[15] = { 0xfe, 0x80 };

	put_name(b, name);
	snet_buf_be16(b, family == AF_INET ? SNET_DNS_A : SNET_DNS_AAAA);
	snet_buf_be16(b, 0x8001);
	snet_buf_be32(b, ttl);
	snet_buf_be16(b, family == AF_INET ? 4 : 16);
	snet_buf_add(b, family == AF_INET ? v4 : v6, family == AF_INET ? 3 : 15);
	snet_buf_u8(b, last);
	b->p[7]++;
}

static struct snet_buf new_answer(uint16_t flags)
{
	struct snet_buf b = SNET_BUF(ANSWER_MAX);

	snet_buf_be16(&b, 0);
	snet_buf_be16(&b, flags);
	snet_buf_be64(&b, 0);
	return b;
}

static void send_answer(struct snet_buf *b, int fd, const struct snet_addr *to)
{
	assert_false(b->bad);
	assert_int_equal(sendto(fd, b->p, b->n, 0, &to->sa, snet_addr_len(to)), b->n);
	snet_buf_free(b);
}

/* Each with an address that would be told, were it believed. */
static void answer_wrongly(int fd, const struct snet_addr *to)
{
	struct snet_buf b = new_answer(0x8400);

	put_record(&b, "another.local", AF_INET, 120, 90);
	send_answer(&b, fd, to);
	b = new_answer(0x8400);
	put_record(&b, NAME, AF_INET, 0, 91); /* a goodbye */
	send_answer(&b, fd, to);
	b = new_answer(0x8403); /* an error */
	put_record(&b, NAME, AF_INET, 120, 92);
	send_answer(&b, fd, to);
	b = new_answer(0x0000); /* a question */
	put_record(&b, NAME, AF_INET, 120, 93);
	send_answer(&b, fd, to);
	b = new_answer(0x8400);
	put_record(&b, NAME, AF_INET, 120, 94);
	put_record(&b, NAME, AF_INET, 120, 95);
	b.n--; /* cut */
	send_answer(&b, fd, to);
	b = new_answer(0x8400);
	put_record(&b, NAME, AF_INET, 120, 96);
	send_answer(&b, host.odd[to->sa.sa_family == AF_INET6], to); /* of another port */
}

static void answer(int fd, const struct snet_addr *to)
{
	struct snet_buf b = new_answer(0x8400);

	put_record(&b, NAME, AF_INET, 120, 7);
	put_record(&b, NAME, AF_INET6, 120, 7);
	send_answer(&b, fd, to);
}

static void on_question(struct snet_io *io, int ready, void *user)
{
	bool v6 = io == host.io[1];
	struct snet_addr from;
	socklen_t from_n = sizeof(from);
	uint8_t p[ANSWER_MAX], want[SNET_DNS_ASK_MAX];
	ssize_t n = recvfrom(host.fd[v6], p, sizeof(p), 0, &from.sa, &from_n);

	(void)ready, (void)user;
	if (n < 12 || p[2] & 0x80) /* our own answer, told to all */
		return;
	assert_int_equal(n, snet_dnsmsg_ask(want, NAME, host.family));
	assert_memory_equal(p, want, n);
	assert_int_not_equal(snet_addr_port(&from), 5353); /* one shot, RFC 6762 §5.1 */
	host.last = snet_loop_now(loop);
	if (!host.asked++)
		host.first = host.last;
	if (host.how == NOT_AT_ALL || (host.is_deaf4 && !v6) ||
	    (host.how == SECOND_TIME && host.last == host.first))
		return;
	if (host.how == SECOND_TIME && host.last < host.first + SNET_SEC / 2)
		return; /* the same question, by the other protocol */
	if (host.how == WRONGLY)
		answer_wrongly(host.fd[v6], &from);
	answer(host.fd[v6], host.how == BY_MULTICAST ? &host.group[v6] : &from);
}

static int open_host(bool v6)
{
	static const char *const at[] = { "0.0.0.0:5353", "[::]:5353" };
	struct ip_mreqn m4 = { .imr_ifindex = 1, .imr_address.s_addr = htonl(INADDR_LOOPBACK) };
	struct ipv6_mreq m6 = { .ipv6mr_interface = link_index };
	struct snet_addr a;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    on = 1;

	snet_addr_parse(&a, at[v6]);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	m4.imr_multiaddr = host.group[0].in.sin_addr;
	m6.ipv6mr_multiaddr = host.group[1].in6.sin6_addr;
	if (v6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &link_index,
			   sizeof(link_index));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m4, sizeof(m4));
	}
	if (bind(fd, &a.sa, snet_addr_len(&a)) ||
	    (v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m6, sizeof(m6))
		: setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4, sizeof(m4)))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int setup(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	if (!has_namespace)
		return 0;
	snet_addr_parse(&host.group[0], "224.0.0.251:5353");
	snet_addr_parse(&host.group[1], "[ff02::fb]:5353");
	host.odd[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	host.odd[1] = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int v6 = 0; v6 < 2; v6++) {
		host.fd[v6] = open_host(v6);
		if (host.fd[v6] < 0)
			continue;
		host.io[v6] = snet_io_new(loop, host.fd[v6], on_question, NULL);
		snet_io_want(host.io[v6], SNET_READ);
	}
	assert_true(host.fd[0] >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2 && has_namespace; i++) {
		snet_io_free(host.io[i]);
		if (host.fd[i] >= 0)
			close(host.fd[i]);
		if (host.odd[i] >= 0)
			close(host.odd[i]);
	}
	snet_loop_free(loop);
	return 0;
}

/* ---- one question */

static struct {
	struct snet_mdns *m;
	struct snet_addr v[8];
	size_t n, want;
} our;

static void on_address(const struct snet_addr *a, void *user)
{
	(void)user;
	for (size_t i = 0; i < our.n; i++)
		if (snet_addr_eq(a, &our.v[i]))
			return;
	assert_true(our.n < 8);
	our.v[our.n++] = *a;
	if (our.n == our.want)
		snet_loop_stop(loop);
}

static void on_patience(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("no answer in time: %zu addresses, asked %u times", our.n, host.asked);
}

static void run(void)
{
	struct snet_timer t = { .fn = on_patience };

	assert_int_equal(snet_timer_set(loop, &t, snet_now() + PATIENCE), SNET_OK);
	snet_loop_run(loop);
	snet_timer_stop(loop, &t);
}

static void ask(enum how how, int family, size_t want)
{
	memset(&our, 0, sizeof(our));
	our.want = want;
	host.how = how;
	host.family = family;
	assert_int_equal(snet_mdns_new(&our.m, loop, NAME, family, on_address, NULL, NULL),
			 SNET_OK);
	run();
}

static bool has(const char *text)
{
	char of[SNET_ADDR_TEXT];

	for (size_t i = 0; i < our.n; i++)
		if (!strcmp(snet_addr_print(&our.v[i], of), text))
			return true;
	return false;
}

#define NEEDS_NAMESPACE             \
	do {                        \
		(void)state;        \
		if (!has_namespace) \
			skip();     \
	} while (0)

/* ---- the tests */

/* The link-local one is of the link that it was heard on: lo is the first. */
static void an_answer_is_heard_however_it_comes(void **state)
{
	static const enum how hows[] = { BY_UNICAST, BY_MULTICAST };

	NEEDS_NAMESPACE;
	for (size_t i = 0; i < 2; i++) {
		ask(hows[i], AF_UNSPEC, 2);
		assert_true(has("192.0.2.7:0") && has("[fe80::7%1]:0"));
		snet_mdns_free(our.m);
	}
}

static void it_is_asked_over_ipv6_too(void **state)
{
	static const enum how hows[] = { BY_UNICAST, BY_MULTICAST };
	char text[32];

	NEEDS_NAMESPACE;
	if (!has_v6)
		skip();
	host.is_deaf4 = true;
	snprintf(text, sizeof(text), "[fe80::7%%%u]:0", link_index);
	for (size_t i = 0; i < 2; i++) {
		ask(hows[i], AF_UNSPEC, 2);
		assert_true(has("192.0.2.7:0") && has(text));
		snet_mdns_free(our.m);
	}
}

static void what_was_lost_is_asked_again_after_a_second(void **state)
{
	NEEDS_NAMESPACE;
	ask(SECOND_TIME, AF_UNSPEC, 2);
	assert_true(host.asked >= 2);
	assert_in_range((host.last - host.first) / SNET_MS, 900, 5000);
	snet_mdns_free(our.m);
}

static void only_true_answers_count(void **state)
{
	NEEDS_NAMESPACE;
	ask(WRONGLY, AF_UNSPEC, 2);
	assert_true(has("192.0.2.7:0") && has("[fe80::7%1]:0"));
	for (unsigned last = 90; last < 100; last++) {
		char text[32];

		snprintf(text, sizeof(text), "192.0.2.%u:0", last);
		assert_false(has(text));
	}
	snet_mdns_free(our.m);
}

static void names_that_cannot_be_are_refused(void **state)
{
	static char longest[300];
	const char *const names[] = { "", ".local", "a..local", longest };
	struct snet_mdns *m;
	struct snet_error err;

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			snet_mdns_new(&m, loop, names[i], AF_UNSPEC, on_address, NULL, &err),
			SNET_EINVAL);
}

/* ---- by way of io/resolve, which is who asks */

static struct {
	struct snet_addr v[SNET_RESOLVE_MAX];
	size_t n;
	struct snet_error err;
} resolved;

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	(void)user;
	for (size_t i = 0; i < n; i++)
		resolved.v[i] = v[i];
	resolved.n = n;
	resolved.err = err ? *err : (struct snet_error){ 0 };
	snet_loop_stop(loop);
}

static void resolve(enum how how, int family, snet_time timeout)
{
	struct snet_resolve_opts o = {
		.host = NAME, .port = 9, .family = family, .timeout = timeout
	};
	struct snet_resolve *r;

	host.how = how;
	host.family = family;
	assert_int_equal(snet_resolve_new(&r, loop, &o, on_resolved, NULL, NULL), SNET_OK);
	run();
}

static void a_name_of_the_link_is_resolved(void **state)
{
	NEEDS_NAMESPACE;
	resolve(BY_UNICAST, AF_UNSPEC, 0);
	assert_int_equal(resolved.n, 2 + (link_index != 0)); /* the link-local one, of each */
	assert_int_equal(snet_addr_port(&resolved.v[0]), 9);
	resolve(BY_MULTICAST, AF_INET, 0);
	assert_int_equal(resolved.n, 1);
	assert_int_equal(resolved.v[0].sa.sa_family, AF_INET);
	resolve(NOT_AT_ALL, AF_UNSPEC, SNET_SEC / 4);
	assert_int_equal(resolved.n, 0);
	assert_int_equal(resolved.err.code, SNET_ETIMEOUT);
	assert_non_null(strstr(resolved.err.text, NAME));
}

/* ---- without memory */

static int live(void *user)
{
	struct snet_mdns *m;
	int rc = snet_mdns_new(&m, loop, NAME, AF_UNSPEC, on_address, NULL, NULL);

	(void)user;
	if (!rc)
		snet_mdns_free(m);
	return rc;
}

static void it_survives_without_memory(void **state)
{
	NEEDS_NAMESPACE;
	assert_true(torture(live, NULL) >= 3);
}

static void write_0(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		print_message("%s: cannot be set\n", path);
	if (fd >= 0)
		close(fd);
}

static bool bring_up(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };
	bool ok;

	strcpy(r.ifr_name, name);
	ok = !ioctl(fd, SIOCGIFFLAGS, &r);
	r.ifr_flags |= IFF_UP | IFF_MULTICAST;
	ok = ok && !ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
	return ok;
}

/* Hears of addresses until there is a usable one. */
static bool has_address(int netlink)
{
	uint32_t p[1024];
	ssize_t n;

	while ((n = recv(netlink, p, sizeof(p), 0)) > 0) {
		size_t left = (size_t)n;

		for (struct nlmsghdr *h = (void *)p; NLMSG_OK(h, left);
		     h = NLMSG_NEXT(h, left)) {
			struct ifaddrmsg *a = NLMSG_DATA(h);

			if (h->nlmsg_type == RTM_NEWADDR && a->ifa_index == link_index &&
			    !(a->ifa_flags & IFA_F_TENTATIVE))
				return true;
		}
	}
	return false;
}

/* Linux does not carry IPv6 multicast on loopback: a device of our own, with no other end. */
static void make_link(void)
{
	struct sockaddr_nl groups = { .nl_family = AF_NETLINK,
				      .nl_groups = RTMGRP_IPV6_IFADDR };
	struct timeval patience = { .tv_sec = 5 };
	struct ifreq r = { .ifr_name = LINK, .ifr_flags = IFF_TAP | IFF_NO_PI };
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* open until the process ends */

	write_0("/proc/sys/net/ipv6/conf/all/accept_dad");
	write_0("/proc/sys/net/ipv6/conf/default/accept_dad");
	setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (tap >= 0 && !bind(netlink, (struct sockaddr *)&groups, sizeof(groups)) &&
	    !ioctl(tap, TUNSETIFF, &r) && bring_up(LINK)) {
		link_index = if_nametoindex(LINK);
		has_v6 = has_address(netlink);
	}
	close(netlink);
}

/* A network namespace of our own. */
static void make_namespace(void)
{
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return;
	has_namespace = bring_up("lo");
	if (has_namespace)
		make_link();
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_answer_is_heard_however_it_comes),
		T(it_is_asked_over_ipv6_too),
		T(what_was_lost_is_asked_again_after_a_second),
		T(only_true_answers_count),
		T(names_that_cannot_be_are_refused),
		T(a_name_of_the_link_is_resolved),
		T(it_survives_without_memory),
	};

	make_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
