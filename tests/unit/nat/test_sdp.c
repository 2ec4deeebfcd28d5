/* nat/sdp: candidate lines of others, and ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/sdp.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* As given, and as we print it. */
static void lines_of_others_are_read_and_said_again(void **state)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
		/* RFC 8839 §5.1 */
		{ "a=candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host\r\n",
		  "candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host" },
		{ "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 "
		  "rport 8998",
		  "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 "
		  "rport 8998" },
		/* a browser */
		{ "candidate:842163049 1 udp 1677729535 198.51.100.7 46154 typ srflx raddr "
		  "0.0.0.0 rport 0 generation 0 ufrag EEtu network-cost 999",
		  "candidate:842163049 1 UDP 1677729535 198.51.100.7 46154 typ srflx raddr "
		  "0.0.0.0 rport 0 ufrag EEtu" },
		{ "candidate:1 1 udp 2122260223 2C4B9E3A-0B1D-4E5F-8A6B-7C8D9E0F1A2B.local "
		  "51234 "
		  "typ host generation 0",
		  "candidate:1 1 UDP 2122260223 2c4b9e3a-0b1d-4e5f-8a6b-7c8d9e0f1a2b.local "
		  "51234 "
		  "typ host" },
		/* IPv6; an unknown extension; nothing told of the base */
		{ "candidate:a+/Z 1 UDP 1 2001:DB8::1 1 typ RELAY x y",
		  "candidate:a+/Z 1 UDP 1 2001:db8::1 1 typ relay raddr :: rport 9" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ prflx tcptype active",
		  "candidate:1 1 UDP 1 10.0.0.1 1 typ prflx raddr 0.0.0.0 rport 9" },
		{ "candidate:1 256 uDp 2147483647 10.0.0.1 65535 typ srflx raddr x.local rport "
		  "9 ",
		  "candidate:1 256 UDP 2147483647 10.0.0.1 65535 typ srflx raddr 0.0.0.0 rport "
		  "9" },
	};
	struct snet_sdp_candidate c;
	struct snet_error err;
	char out[SNET_SDP_MAX];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		if (snet_sdp_parse(&c, cases[i].line, &err))
			fail_msg("%s: %s", cases[i].line, err.text);
		assert_int_equal(snet_sdp_print(&c, out), SNET_OK);
		assert_string_equal(out, cases[i].want);
	}
}

static void every_field_arrives(void **state)
{
	struct snet_sdp_candidate c;
	char text[SNET_ADDR_TEXT];

	(void)state;
	assert_int_equal(snet_sdp_parse(&c,
					"candidate:ab 3 UDP 77 192.0.2.3 4000 typ srflx raddr "
					"10.0.0.1 rport 5000 ufrag abcd",
					NULL),
			 SNET_OK);
	assert_string_equal(c.c.foundation, "ab");
	assert_int_equal(c.c.component, 3);
	assert_int_equal(c.c.priority, 77);
	assert_string_equal(snet_addr_print(&c.c.address, text), "192.0.2.3:4000");
	assert_string_equal(snet_addr_print(&c.c.related, text), "10.0.0.1:5000");
	assert_int_equal(c.c.type, SNET_CANDIDATE_SRFLX);
	assert_string_equal(c.ufrag, "abcd");
	assert_string_equal(c.name, "");
	assert_int_equal(c.port, 4000);

	assert_int_equal(snet_sdp_parse(&c, "candidate:1 1 UDP 1 h.local 9 typ host", NULL),
			 SNET_OK);
	assert_int_equal(c.c.address.sa.sa_family, AF_UNSPEC);
	assert_string_equal(c.name, "h.local");
	assert_int_equal(c.port, 9);
}

static void what_is_no_candidate_or_not_for_us_says_why(void **state)
{
	static const struct {
		const char *line;
		int rc;
		const char *says;
	} cases[] = {
		{ "", SNET_EPROTO, "does not begin" },
		{ "candidate", SNET_EPROTO, "does not begin" },
		{ "candidate:", SNET_EPROTO, "foundation" },
		{ "candidate:a b 1", SNET_EPROTO, "component" },
		{ "candidate:a.b 1 UDP 1 10.0.0.1 1 typ host", SNET_EPROTO, "foundation" },
		{ "candidate:123456789012345678901234567890123 1 UDP 1 10.0.0.1 1 typ host",
		  SNET_EPROTO, "foundation" },
		{ "candidate:1 0 UDP 1 10.0.0.1 1 typ host", SNET_EPROTO, "component" },
		{ "candidate:1 257 UDP 1 10.0.0.1 1 typ host", SNET_EPROTO, "component" },
		{ "candidate:1 1 UDP 0 10.0.0.1 1 typ host", SNET_EPROTO, "priority" },
		{ "candidate:1 1 UDP 2147483648 10.0.0.1 1 typ host", SNET_EPROTO, "priority" },
		{ "candidate:1 1 UDP -1 10.0.0.1 1 typ host", SNET_EPROTO, "priority" },
		{ "candidate:1 1 UDP 1 10.0.0.1 0 typ host", SNET_EPROTO, "port is 0" },
		{ "candidate:1 1 UDP 1 10.0.0.1 65536 typ host", SNET_EPROTO, "port" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1", SNET_EPROTO, "no type" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 host", SNET_EPROTO, "no type" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ", SNET_EPROTO, "no type" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ  host", SNET_EPROTO, "no type" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ host generation", SNET_EPROTO,
		  "no value" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ srflx raddr zzz rport 1", SNET_EPROTO,
		  "raddr" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ srflx raddr 1.1.1.1 rport 99999",
		  SNET_EPROTO, "rport" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ host ufrag a:b", SNET_EPROTO, "ufrag" },
		{ "candidate:1 1 UDP 1 fe80::1%eth0 1 typ host", SNET_EPROTO, "address" },
		{ "candidate:1 1 TCP 1 10.0.0.1 9 typ host tcptype active", SNET_ENOSYS,
		  "not UDP" },
		{ "candidate:1 1 UDP 1 10.0.0.1 1 typ nominee", SNET_ENOSYS, "type" },
		{ "candidate:1 1 UDP 1 example.com 1 typ host", SNET_ENOSYS, "mDNS" },
		{ "candidate:1 1 UDP 1 .local 1 typ host", SNET_ENOSYS, "mDNS" },
	};
	struct snet_sdp_candidate c;
	struct snet_error err;

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		int rc = snet_sdp_parse(&c, cases[i].line, &err);

		if (rc != cases[i].rc || !strstr(err.text, cases[i].says))
			fail_msg("%s: %d, %s", cases[i].line, rc, rc ? err.text : "");
		assert_string_equal(c.c.foundation, "");
	}
}

static void a_line_without_end_is_refused(void **state)
{
	char line[4096];
	struct snet_sdp_candidate c;
	struct snet_error err;

	(void)state;
	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line, "candidate:", 10);
	assert_int_equal(snet_sdp_parse(&c, line, &err), SNET_EPROTO);
	snprintf(line, sizeof(line), "candidate:1 1 UDP 1 %0260d.local 1 typ host", 0);
	assert_int_equal(snet_sdp_parse(&c, line, &err), SNET_EPROTO);
	snprintf(line, sizeof(line), "candidate:1 1 UDP 1 10.0.0.1 1 typ host x %0270d", 0);
	assert_int_equal(snet_sdp_parse(&c, line, &err), SNET_EPROTO);
	/* The longest there may be still fits when printed. */
	snprintf(line, sizeof(line),
		 "candidate:%032d 256 UDP 2147483647 %0247d.local 65535 typ srflx raddr "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff rport 65535 ufrag %0256d",
		 0, 0, 0);
	assert_int_equal(snet_sdp_parse(&c, line, &err), SNET_OK);
	assert_int_equal(snet_sdp_print(&c, line), SNET_OK);
	assert_int_equal(snet_sdp_parse(&c, line, &err), SNET_OK);
}

static void what_cannot_be_said_is_not_printed(void **state)
{
	struct snet_sdp_candidate c = { .c = { .foundation = "1", .component = 1 } };
	char out[SNET_SDP_MAX];

	(void)state;
	assert_int_equal(snet_sdp_print(&c, out), SNET_EINVAL);
	assert_int_equal(snet_addr_parse(&c.c.address, "10.0.0.1:1"), SNET_OK);
	assert_int_equal(snet_sdp_print(&c, out), SNET_OK);
	strcpy(c.c.foundation, "met.1");
	assert_int_equal(snet_sdp_print(&c, out), SNET_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_others_are_read_and_said_again),
		cmocka_unit_test(every_field_arrives),
		cmocka_unit_test(what_is_no_candidate_or_not_for_us_says_why),
		cmocka_unit_test(a_line_without_end_is_refused),
		cmocka_unit_test(what_cannot_be_said_is_not_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
