/* nat/candidates: priorities, foundations, redundancy, filters; in tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/candidates.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct snet_addr addr(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static void priorities_are_those_of_the_formula(void **state)
{
	/* The first eight are what the crate sends. */
	static const struct {
		enum snet_candidate_type type;
		uint16_t preference;
		uint32_t component, want;
	} cases[] = {
		{ SNET_CANDIDATE_HOST, 65535, 1, 2130706431 },
		{ SNET_CANDIDATE_HOST, 65534, 1, 2130706175 },
		{ SNET_CANDIDATE_PRFLX, 65535, 1, 1862270975 },
		{ SNET_CANDIDATE_PRFLX, 65534, 1, 1862270719 },
		{ SNET_CANDIDATE_SRFLX, 65535, 1, 1694498815 },
		{ SNET_CANDIDATE_SRFLX, 65534, 1, 1694498559 },
		{ SNET_CANDIDATE_RELAY, 65535, 1, 16777215 },
		{ SNET_CANDIDATE_RELAY, 65534, 1, 16776959 },
		{ SNET_CANDIDATE_HOST, 65535, 256, 2130706176 },
		{ SNET_CANDIDATE_HOST, 65535, 1000, 2130706176 },
		{ SNET_CANDIDATE_RELAY, 0, 1, 255 },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		assert_int_equal(snet_candidate_priority(cases[i].type, cases[i].preference,
							 cases[i].component),
				 cases[i].want);
}

static void a_name_tells_the_kind_of_interface(void **state)
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{ "eth0", "plain" },
		{ "enp3s0", "plain" },
		{ "wlan0", "plain" },
		{ "lo", "loopback" },
		{ "lo0", "loopback" },
		{ "lowpan0", "plain" },
		{ "docker0", "docker" },
		{ "br-1f2e3d", "docker" },
		{ "br0", "plain" },
		{ "bridge0", "plain" },
		{ "podman1", "docker" },
		{ "cni0", "docker" },
		{ "virbr0", "libvirt" },
		{ "virbr0-nic", "libvirt" },
		{ "vnet7", "libvirt" },
		{ "veth12ab", "container" },
		{ "lxcbr0", "container" },
		{ "calif00", "container" },
		{ "tun0", "vpn" },
		{ "tap1", "vpn" },
		{ "wg0", "vpn" },
		{ "ppp0", "vpn" },
		{ "tailscale0", "tailscale" },
		{ "", "plain" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		assert_string_equal(snet_iface_class_name(snet_iface_classify(cases[i].name)),
				    cases[i].want);
}

static void real_interfaces_come_before_virtual_ones(void **state)
{
	(void)state;
	assert_int_equal(snet_local_preference(SNET_IFACE_PLAIN, 0, AF_INET), 65535);
	assert_int_equal(snet_local_preference(SNET_IFACE_PLAIN, 0, AF_INET6), 65534);
	assert_int_equal(snet_local_preference(SNET_IFACE_PLAIN, 1, AF_INET), 65533);
	assert_true(snet_local_preference(SNET_IFACE_PLAIN, 4000, AF_INET6) >
		    snet_local_preference(SNET_IFACE_VPN, 0, AF_INET));
	assert_true(snet_local_preference(SNET_IFACE_TAILSCALE, 9, AF_INET6) >
		    snet_local_preference(SNET_IFACE_DOCKER, 0, AF_INET));
	assert_true(snet_local_preference(SNET_IFACE_DOCKER, 1000000, AF_INET6) > 0);
}

static void filters_leave_out_what_they_name(void **state)
{
	static const struct {
		struct snet_candidate_filter f;
		const char *name;
		bool want;
	} cases[] = {
		{ { 0 }, "docker0", true },
		{ { .without_classes = 1 << SNET_IFACE_DOCKER }, "docker0", false },
		{ { .without_classes = 1 << SNET_IFACE_DOCKER }, "eth0", true },
		{ { .only = { "eth*" }, .only_n = 1 }, "eth1", true },
		{ { .only = { "eth*" }, .only_n = 1 }, "wlan0", false },
		{ { .only = { "vpn" }, .only_n = 1 }, "wg0", true },
		{ { .without = { "eth1", "tailscale" }, .without_n = 2 }, "eth1", false },
		{ { .without = { "eth1", "tailscale" }, .without_n = 2 }, "tailscale0", false },
		{ { .without = { "eth1", "tailscale" }, .without_n = 2 }, "eth10", true },
		{ { .only = { "eth*" }, .only_n = 1, .without = { "eth1" }, .without_n = 1 },
		  "eth1",
		  false },
	};
	struct snet_candidate_filter f = { .without_types = 1 << SNET_CANDIDATE_RELAY,
					   .without_v6 = true };

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		if (snet_filter_has_iface(&cases[i].f, cases[i].name) != cases[i].want)
			fail_msg("case %zu: %s", i, cases[i].name);
	assert_true(snet_filter_has_type(&f, SNET_CANDIDATE_HOST));
	assert_false(snet_filter_has_type(&f, SNET_CANDIDATE_RELAY));
	assert_true(snet_filter_has_family(&f, AF_INET));
	assert_false(snet_filter_has_family(&f, AF_INET6));
	assert_false(snet_filter_has_family(&f, AF_UNIX));
}

static const char *foundation(enum snet_candidate_type type, const char *base,
			      const char *server, const char *via)
{
	static struct snet_candidate c[2];
	static int which;
	struct snet_addr b = addr(base);

	which = !which;
	c[which] = (struct snet_candidate){ .type = type };
	if (server)
		c[which].server = addr(server);
	snet_candidate_found(&c[which], &b, via);
	return c[which].foundation;
}

static void a_foundation_is_type_base_server_and_transport(void **state)
{
	const char *host = foundation(SNET_CANDIDATE_HOST, "10.0.0.1:1", NULL, NULL);

	(void)state;
	assert_true(strlen(host) >= 1 && strlen(host) <= 16);
	assert_string_equal(host, foundation(SNET_CANDIDATE_HOST, "10.0.0.1:2", NULL, NULL));
#define DIFFER(a, b) assert_string_not_equal(a, b)
	DIFFER(foundation(SNET_CANDIDATE_HOST, "10.0.0.1:1", NULL, NULL),
	       foundation(SNET_CANDIDATE_HOST, "10.0.0.2:1", NULL, NULL));
	DIFFER(foundation(SNET_CANDIDATE_HOST, "10.0.0.1:1", NULL, NULL),
	       foundation(SNET_CANDIDATE_PRFLX, "10.0.0.1:1", NULL, NULL));
	DIFFER(foundation(SNET_CANDIDATE_SRFLX, "10.0.0.1:1", "192.0.2.1:3478", "udp"),
	       foundation(SNET_CANDIDATE_SRFLX, "10.0.0.1:1", "192.0.2.2:3478", "udp"));
	DIFFER(foundation(SNET_CANDIDATE_RELAY, "10.0.0.1:1", "192.0.2.1:3478", "udp"),
	       foundation(SNET_CANDIDATE_RELAY, "10.0.0.1:1", "192.0.2.1:3478", "tcp"));
	DIFFER(foundation(SNET_CANDIDATE_HOST, "[2001:db8::1]:1", NULL, NULL),
	       foundation(SNET_CANDIDATE_HOST, "[2001:db8::2]:1", NULL, NULL));
}

static struct snet_local local(enum snet_candidate_type type, const char *at, const char *base,
			       uint32_t priority)
{
	return (struct snet_local){ .c = { .type = type,
					   .component = 1,
					   .address = addr(at),
					   .priority = priority },
				    .base = addr(base),
				    .handle = 1 };
}

static void of_redundant_candidates_the_best_is_kept(void **state)
{
	struct snet_local v[] = {
		local(SNET_CANDIDATE_SRFLX, "10.0.0.1:1", "10.0.0.1:1", 50), /* open: no NAT */
		local(SNET_CANDIDATE_HOST, "10.0.0.1:1", "10.0.0.1:1", 100),
		local(SNET_CANDIDATE_SRFLX, "192.0.2.1:1", "10.0.0.1:1", 60),
		local(SNET_CANDIDATE_SRFLX, "192.0.2.1:1", "10.0.0.1:1", 60), /* two servers */
		local(SNET_CANDIDATE_SRFLX, "192.0.2.1:1", "10.0.0.2:1", 70),
		local(SNET_CANDIDATE_HOST, "10.0.0.1:1", "10.0.0.1:1", 90),
	};

	(void)state;
	assert_int_equal(snet_locals_prune(v, N(v)), 3);
	assert_int_equal(v[0].c.priority, 100);
	assert_int_equal(v[1].c.priority, 60);
	assert_int_equal(v[2].c.priority, 70);
	assert_int_equal(snet_locals_prune(v, 0), 0);
}

static void no_check_goes_where_a_stranger_must_not_send_us(void **state)
{
	static const struct {
		const char *at, *want;
	} cases[] = {
		{ "192.0.2.1:1", NULL },
		{ "10.0.0.1:65535", NULL },
		{ "192.0.2.1:0", "port 0" },
		{ "0.0.0.0:1", "unspecified" },
		{ "0.1.2.3:1", "unspecified" },
		{ "127.0.0.1:1", "loopback" },
		{ "127.9.9.9:1", "loopback" },
		{ "169.254.169.254:80", "link-local" },
		{ "224.0.0.1:1", "multicast" },
		{ "239.255.255.255:1", "multicast" },
		{ "240.0.0.1:1", "broadcast or reserved" },
		{ "255.255.255.255:1", "broadcast or reserved" },
		{ "[2001:db8::1]:1", NULL },
		{ "[fd00::1]:1", NULL },
		{ "[::]:1", "unspecified" },
		{ "[::1]:1", "loopback" },
		{ "[fe80::1]:1", "link-local" },
		{ "[fec0::1]:1", "site-local" },
		{ "[ff02::1]:1", "multicast" },
		{ "[::ffff:127.0.0.1]:1", "IPv4 in IPv6" },
		{ "[::ffff:169.254.169.254]:1", "IPv4 in IPv6" },
		{ "[::10.0.0.1]:1", "IPv4 in IPv6" },
	};
	struct snet_addr none = { 0 }, lo = addr("127.0.0.1:1"), lo6 = addr("[::1]:1");

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct snet_addr a = addr(cases[i].at);
		const char *got = snet_candidate_refusal(&a, false);

		if ((got == NULL) != (cases[i].want == NULL) ||
		    (got && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: %s", cases[i].at, got ? got : "accepted");
	}
	assert_string_equal(snet_candidate_refusal(&none, true), "no address");
	assert_null(snet_candidate_refusal(&lo, true));
	assert_null(snet_candidate_refusal(&lo6, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(priorities_are_those_of_the_formula),
		cmocka_unit_test(a_name_tells_the_kind_of_interface),
		cmocka_unit_test(real_interfaces_come_before_virtual_ones),
		cmocka_unit_test(filters_leave_out_what_they_name),
		cmocka_unit_test(a_foundation_is_type_base_server_and_transport),
		cmocka_unit_test(of_redundant_candidates_the_best_is_kept),
		cmocka_unit_test(no_check_goes_where_a_stranger_must_not_send_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
