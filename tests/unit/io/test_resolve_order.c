/* io/resolve_order: the examples of RFC 6724 §10.2, and IPv4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/resolve_order.h"

struct way {
	const char *to, *from; /* NULL: there is no way */
};

static void set(struct snet_addr *a, const char *text)
{
	*a = (struct snet_addr){ 0 };
	if (text)
		assert_int_equal(snet_addr_parse(a, text), SNET_OK);
}

/* The better one first; tried in both orders. */
static void the_better_way_comes_first(void **state)
{
	static const struct way cases[][2] = {
		/* RFC 6724 §10.2 */
		{ { "[2001:db8:1::1]:1", "[2001:db8:1::2]:1" },
		  { "198.51.100.121:1", "169.254.13.78:1" } },
		{ { "198.51.100.121:1", "198.51.100.117:1" },
		  { "[2001:db8:1::1]:1", "[fe80::1%1]:1" } },
		{ { "[2001:db8:1::1]:1", "[2001:db8:1::2]:1" },
		  { "10.1.2.3:1", "10.1.2.4:1" } },
		{ { "[fe80::1%1]:1", "[fe80::2%1]:1" },
		  { "[2001:db8:1::1]:1", "[2001:db8:1::2]:1" } },
		{ { "[2002:c633:6401::1]:1", "[2002:c633:6401::2]:1" },
		  { "[2001:db8:1::1]:1", "[2002:c633:6401::2]:1" } },
		{ { "[2001:db8:1::1]:1", "[2001:db8:1::2]:1" },
		  { "[2002:c633:6401::1]:1", "[2002:c633:6401::2]:1" } },
		/* rule 1; unique local addresses below IPv4; rule 9 */
		{ { "192.0.2.1:1", "192.0.2.2:1" }, { "[2001:db8:1::1]:1", NULL } },
		{ { "192.0.2.1:1", "192.0.2.2:1" }, { "[fd00::1]:1", "[fd00::2]:1" } },
		{ { "[::1]:1", "[::1]:1" }, { "127.0.0.1:1", "127.0.0.1:1" } },
		{ { "[2001:db8:1::1]:1", "[2001:db8:1::2]:1" },
		  { "[2001:db8:2::1]:1", "[2001:db8:1::2]:1" } },
	};
	struct snet_resolve_way w[2];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t first = 0; first < 2; first++) {
			for (size_t k = 0; k < 2; k++) {
				set(&w[k ^ first].to, cases[i][k].to);
				set(&w[k ^ first].from, cases[i][k].from);
			}
			snet_resolve_sort(w, 2);
			set(&w[1].from, cases[i][0].to);
			assert_true(snet_addr_eq(&w[0].to, &w[1].from));
		}
}

static void equals_stay_as_they_stood(void **state)
{
	static const char *const to[] = { "192.0.2.200:1", "192.0.2.3:1", "192.0.2.100:1" };
	struct snet_resolve_way w[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		set(&w[i].to, to[i]);
		set(&w[i].from, "192.0.2.2:1"); /* by rule 9 the second would be nearest */
	}
	snet_resolve_sort(w, 3);
	for (size_t i = 0; i < 3; i++) {
		set(&w[i].from, to[i]);
		assert_true(snet_addr_eq(&w[i].to, &w[i].from));
	}
}

/* Loopback always has a way, and a documentation address of IPv6 here perhaps none. */
static void the_routes_of_this_host_are_asked(void **state)
{
	struct snet_addr v[2];

	(void)state;
	set(&v[0], "[fe80::1%4000000000]:0"); /* no such interface */
	set(&v[1], "127.0.0.1:0");
	snet_resolve_order(v, 2);
	assert_int_equal(v[0].sa.sa_family, AF_INET);
	assert_int_equal(v[1].sa.sa_family, AF_INET6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_better_way_comes_first),
		cmocka_unit_test(equals_stay_as_they_stood),
		cmocka_unit_test(the_routes_of_this_host_are_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
