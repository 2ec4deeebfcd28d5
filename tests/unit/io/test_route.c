/* io/route: what the kernel's answers mean, whole and broken; and one real question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cmocka.h>

#include "io/route.h"

#define NUMBER 7

/* An answer as the kernel lays it out: TABLE and OIF. */
static struct answer {
	struct nlmsghdr head;
	struct rtmsg route;
	struct rtattr table;
	uint32_t table_id;
	struct rtattr oif;
	uint32_t index;
} whole;

static int set_up(void **state)
{
	(void)state;
	whole = (struct answer){
		.head = { .nlmsg_len = sizeof(whole),
			  .nlmsg_type = RTM_NEWROUTE,
			  .nlmsg_seq = NUMBER },
		.route = { .rtm_family = AF_INET, .rtm_type = RTN_UNICAST },
		.table = { .rta_len = RTA_LENGTH(4), .rta_type = RTA_TABLE },
		.table_id = RT_TABLE_MAIN,
		.oif = { .rta_len = RTA_LENGTH(4), .rta_type = RTA_OIF },
		.index = 5,
	};
	return 0;
}

static void the_kind_of_a_route_says_whether_there_is_a_way(void **state)
{
	static const struct {
		unsigned char type;
		int rc;
		unsigned iface;
	} cases[] = {
		{ RTN_UNICAST, SNET_OK, 5 },
		{ RTN_LOCAL, SNET_OK, 0 },
		{ RTN_BROADCAST, SNET_OK, 0 },
		{ RTN_MULTICAST, SNET_OK, 0 },
		{ RTN_UNREACHABLE, SNET_EUNREACH, 99 },
		{ RTN_PROHIBIT, SNET_EUNREACH, 99 },
		{ RTN_BLACKHOLE, SNET_EUNREACH, 99 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned iface = 99;

		whole.route.rtm_type = cases[i].type;
		assert_int_equal(snet_route_read(&whole, sizeof(whole), NUMBER, &iface),
				 cases[i].rc);
		assert_int_equal(iface, cases[i].iface);
	}
}

static void an_error_is_no_way_or_no_answer(void **state)
{
	static const struct {
		int error, rc;
	} cases[] = {
		{ -ENETUNREACH, SNET_EUNREACH }, { -EHOSTUNREACH, SNET_EUNREACH },
		{ -EACCES, SNET_EUNREACH },      { -EINVAL, SNET_ENOSYS },
		{ -EOPNOTSUPP, SNET_ENOSYS },    { 0, SNET_ENOSYS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct {
			struct nlmsghdr head;
			struct nlmsgerr e;
		} no = { .head = { .nlmsg_len = sizeof(no),
				   .nlmsg_type = NLMSG_ERROR,
				   .nlmsg_seq = NUMBER },
			 .e = { .error = cases[i].error } };
		unsigned iface;

		assert_int_equal(snet_route_read(&no, sizeof(no), NUMBER, &iface), cases[i].rc);
	}
}

/* Each in a buffer of just its length: a reader that went past its end would be seen. */
static void what_is_cut_or_lies_is_no_answer(void **state)
{
	unsigned iface;

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++)
		for (int honest = 0; honest < 2; honest++) {
			uint8_t *p = malloc(n + 1);

			assert_non_null(p);
			set_up(NULL);
			if (honest)
				whole.head.nlmsg_len = (uint32_t)n;
			memcpy(p, &whole, n);
			assert_int_equal(snet_route_read(p, n, NUMBER, &iface), SNET_ENOSYS);
			free(p);
		}
	set_up(NULL);
	assert_int_equal(snet_route_read(&whole, sizeof(whole), NUMBER + 1, &iface),
			 SNET_ENOSYS);
	for (unsigned n = 0; n < 4; n++) { /* it would go round for ever */
		whole.table.rta_len = (unsigned short)n;
		assert_int_equal(snet_route_read(&whole, sizeof(whole), NUMBER, &iface),
				 SNET_ENOSYS);
	}
	whole.table.rta_len = 0xffff;
	assert_int_equal(snet_route_read(&whole, sizeof(whole), NUMBER, &iface), SNET_ENOSYS);
}

static void what_goes_to_this_host_stays_there(void **state)
{
	static const char *const ends[][2] = { { "127.0.0.1:1", "127.0.0.1:2" },
					       { "[::1]:1", "[::1]:2" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct snet_addr from, to;
		unsigned iface = 99;
		int rc;

		assert_int_equal(snet_addr_parse(&from, ends[i][0]), SNET_OK);
		assert_int_equal(snet_addr_parse(&to, ends[i][1]), SNET_OK);
		rc = snet_route_ask(&from, &to, &iface);
		/* A kernel without IPv6, or a sandbox without netlink, does not say. */
		assert_true((rc == SNET_OK && iface == 0) || rc == SNET_ENOSYS ||
			    (i && rc == SNET_EUNREACH));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_kind_of_a_route_says_whether_there_is_a_way, set_up),
		cmocka_unit_test_setup(an_error_is_no_way_or_no_answer, set_up),
		cmocka_unit_test_setup(what_is_cut_or_lies_is_no_answer, set_up),
		cmocka_unit_test_setup(what_goes_to_this_host_stays_there, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
