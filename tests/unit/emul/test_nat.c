#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "emul/nat.h"
#include "support/torture.h"

#define NOW (100 * SNET_SEC)

static const uint8_t secret[16] = "sixteen bytes.";

static struct snet_addr at(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static struct snet_nat *nat_of(enum snet_nat_dependence mapping,
			       enum snet_nat_dependence filtering, enum snet_nat_ports ports)
{
	struct snet_nat_opts o = {
		mapping, filtering, 30 * SNET_SEC, ports, 5000, 5009, false
	};
	static struct snet_nat n; /* its list points at itself: it stays where it is */

	snet_nat_init(&n, &o, 1, secret);
	return &n;
}

static struct snet_nat_mapping *out(struct snet_nat *n, const char *inside, const char *remote,
				    snet_time now)
{
	struct snet_addr i = at(inside), r = at(remote);
	struct snet_nat_mapping *m;
	bool fresh;

	assert_int_equal(snet_nat_out(n, &i, &r, now, &m, &fresh), SNET_OK);
	return m;
}

static bool in(struct snet_nat *n, struct snet_nat_mapping *m, const char *remote,
	       snet_time now)
{
	struct snet_addr r = at(remote);

	return snet_nat_in(n, m, &r, now);
}

/* RFC 4787 §4.1: is the mapping of X:x to Y1:y1 that to Y1:y2, to Y2:y1? */
static void mappings_depend_on_what_they_are_said_to(void **state)
{
	static const bool same_port_too[] = { true, true, false },
			  same_address_too[] = { true, false, false };

	(void)state;
	for (int how = SNET_NAT_ENDPOINT; how <= SNET_NAT_ADDRESS_PORT; how++) {
		struct snet_nat *n = nat_of(how, SNET_NAT_ENDPOINT, SNET_NAT_ANY_PORT);
		struct snet_nat_mapping *first = out(n, "10.0.0.1:1", "192.0.2.1:1", NOW);

		assert_ptr_equal(out(n, "10.0.0.1:1", "192.0.2.1:1", NOW), first);
		assert_int_equal(out(n, "10.0.0.1:1", "192.0.2.1:2", NOW) == first,
				 same_port_too[how]);
		assert_int_equal(out(n, "10.0.0.1:1", "192.0.2.2:1", NOW) == first,
				 same_address_too[how]);
		assert_ptr_not_equal(out(n, "10.0.0.1:2", "192.0.2.1:1", NOW), first);
		assert_ptr_not_equal(out(n, "10.0.0.2:1", "192.0.2.1:1", NOW), first);
		assert_ptr_not_equal(out(n, "[2001:db8::1]:1", "[2001:db8::2]:1", NOW), first);
		snet_nat_fini(n);
	}
}

/* RFC 4787 §5 */
static void filters_let_in_whom_they_are_said_to(void **state)
{
	static const bool other_port[] = { true, true, false },
			  other_host[] = { true, false, false };

	(void)state;
	for (int how = SNET_NAT_ENDPOINT; how <= SNET_NAT_ADDRESS_PORT; how++) {
		struct snet_nat *n = nat_of(SNET_NAT_ENDPOINT, how, SNET_NAT_ANY_PORT);
		struct snet_nat_mapping *m = out(n, "10.0.0.1:1", "192.0.2.1:1", NOW);

		assert_true(in(n, m, "192.0.2.1:1", NOW));
		assert_int_equal(in(n, m, "192.0.2.1:2", NOW), other_port[how]);
		assert_int_equal(in(n, m, "192.0.2.2:1", NOW), other_host[how]);
		snet_nat_fini(n);
	}
}

static void the_inside_keeps_a_mapping_alive_and_the_outside_does_not(void **state)
{
	struct snet_nat *n = nat_of(SNET_NAT_ENDPOINT, SNET_NAT_ENDPOINT, SNET_NAT_ANY_PORT);
	struct snet_addr i = at("10.0.0.1:1"), r = at("192.0.2.1:1");
	struct snet_nat_mapping *m = out(n, "10.0.0.1:1", "192.0.2.1:1", NOW), *again;
	bool fresh;

	(void)state;
	assert_int_equal(snet_nat_deadline(n), NOW + 30 * SNET_SEC);
	assert_true(in(n, m, "192.0.2.1:1", NOW + 29 * SNET_SEC));
	assert_int_equal(snet_nat_deadline(n), NOW + 30 * SNET_SEC);
	assert_false(in(n, m, "192.0.2.1:1", NOW + 30 * SNET_SEC));
	assert_ptr_equal(out(n, "10.0.0.1:1", "192.0.2.1:1", NOW + 20 * SNET_SEC), m);
	assert_true(in(n, m, "192.0.2.1:1", NOW + 49 * SNET_SEC));
	assert_int_equal(snet_nat_out(n, &i, &r, NOW + 50 * SNET_SEC, &again, &fresh),
			 SNET_ECLOSED);
	assert_ptr_equal(again, m);
	snet_nat_drop(n, m);
	assert_int_equal(snet_nat_out(n, &i, &r, NOW + 50 * SNET_SEC, &again, &fresh), SNET_OK);
	assert_true(fresh);
	snet_nat_fini(n);
}

/* A mapping lives on for one destination; another's leave to answer is over. */
static void leave_to_answer_ends_by_itself(void **state)
{
	struct snet_nat *n = nat_of(SNET_NAT_ENDPOINT, SNET_NAT_ADDRESS, SNET_NAT_ANY_PORT);
	struct snet_nat_mapping *m = out(n, "10.0.0.1:1", "192.0.2.1:1", NOW);

	(void)state;
	out(n, "10.0.0.1:1", "192.0.2.2:1", NOW + 20 * SNET_SEC);
	assert_true(in(n, m, "192.0.2.2:9", NOW + 40 * SNET_SEC));
	assert_false(in(n, m, "192.0.2.1:1", NOW + 40 * SNET_SEC));
	snet_nat_fini(n);
}

static void the_idlest_goes_first(void **state)
{
	struct snet_nat *n =
		nat_of(SNET_NAT_ADDRESS_PORT, SNET_NAT_ADDRESS_PORT, SNET_NAT_ANY_PORT);
	struct snet_nat_mapping *a, *b;

	(void)state;
	assert_null(snet_nat_idlest(n));
	assert_int_equal(snet_nat_deadline(n), SNET_NEVER);
	a = out(n, "10.0.0.1:1", "192.0.2.1:1", NOW);
	b = out(n, "10.0.0.1:1", "192.0.2.1:2", NOW + 1);
	assert_ptr_equal(snet_nat_idlest(n), a);
	out(n, "10.0.0.1:1", "192.0.2.1:1", NOW + 2);
	assert_ptr_equal(snet_nat_idlest(n), b);
	snet_nat_fini(n);
}

static void ports_are_chosen_as_asked(void **state)
{
	struct snet_nat *n =
		nat_of(SNET_NAT_ADDRESS_PORT, SNET_NAT_ENDPOINT, SNET_NAT_SEQUENTIAL);
	struct snet_nat_mapping *m;
	char remote[32];

	(void)state;
	for (unsigned i = 0; i < 12; i++) { /* and around */
		snprintf(remote, sizeof(remote), "192.0.2.1:%u", i + 1);
		assert_int_equal(out(n, "10.0.0.1:77", remote, NOW)->port, 5000 + i % 10);
	}
	snet_nat_fini(n);

	n = nat_of(SNET_NAT_ADDRESS_PORT, SNET_NAT_ENDPOINT, SNET_NAT_RANDOM);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(remote, sizeof(remote), "192.0.2.1:%u", i + 1);
		assert_in_range(out(n, "10.0.0.1:77", remote, NOW)->port, 5000, 5009);
	}
	snet_nat_fini(n);

	n = nat_of(SNET_NAT_ENDPOINT, SNET_NAT_ENDPOINT, SNET_NAT_PRESERVE);
	m = out(n, "10.0.0.1:77", "192.0.2.1:1", NOW);
	assert_int_equal(m->port, 77);
	assert_int_equal(snet_nat_next_port(n, m), SNET_OK); /* it was taken */
	assert_int_equal(m->port, 5000);
	snet_nat_fini(n);
}

static void ports_that_are_all_taken_are_an_error_at_last(void **state)
{
	struct snet_nat *n = nat_of(SNET_NAT_ENDPOINT, SNET_NAT_ENDPOINT, SNET_NAT_SEQUENTIAL);
	struct snet_nat_mapping *m = out(n, "10.0.0.1:1", "192.0.2.1:1", NOW);
	unsigned tried = 0;

	(void)state;
	while (!snet_nat_next_port(n, m))
		assert_true(++tried < 100);
	assert_true(tried >= 10);
	snet_nat_fini(n);
}

static void a_full_nat_says_so(void **state)
{
	struct snet_nat *n =
		nat_of(SNET_NAT_ADDRESS_PORT, SNET_NAT_ENDPOINT, SNET_NAT_ANY_PORT);
	struct snet_addr inside = at("10.0.0.1:1"), remote = at("192.0.2.1:1");
	struct snet_nat_mapping *m;
	bool fresh;

	(void)state;
	for (unsigned i = 0; i < SNET_NAT_MAPPINGS; i++) {
		snet_addr_set_port(&remote, (uint16_t)(i + 1));
		assert_int_equal(snet_nat_out(n, &inside, &remote, NOW + i, &m, &fresh),
				 SNET_OK);
		assert_true(fresh);
	}
	snet_addr_set_port(&remote, SNET_NAT_MAPPINGS + 1);
	assert_int_equal(snet_nat_out(n, &inside, &remote, NOW, &m, &fresh), SNET_EAGAIN);
	snet_nat_drop(n, snet_nat_idlest(n));
	assert_int_equal(snet_nat_out(n, &inside, &remote, NOW, &m, &fresh), SNET_OK);
	snet_nat_fini(n);
}

static void a_mapping_remembers_the_latest_it_spoke_to(void **state)
{
	struct snet_nat *n =
		nat_of(SNET_NAT_ENDPOINT, SNET_NAT_ADDRESS_PORT, SNET_NAT_ANY_PORT);
	struct snet_nat_mapping *m = NULL;
	char remote[32];

	(void)state;
	for (unsigned i = 1; i <= SNET_NAT_PERMITS + 10; i++) {
		snprintf(remote, sizeof(remote), "192.0.2.1:%u", i);
		m = out(n, "10.0.0.1:1", remote, NOW + i);
	}
	assert_int_equal(m->n, SNET_NAT_PERMITS);
	assert_true(in(n, m, remote, NOW + 1000));
	assert_false(in(n, m, "192.0.2.1:5", NOW + 1000));
	assert_true(in(n, m, "192.0.2.1:11", NOW + 1000));
	snet_nat_fini(n);
}

static int speak_to_many(void *user)
{
	struct snet_nat *n =
		nat_of(SNET_NAT_ENDPOINT, SNET_NAT_ADDRESS_PORT, SNET_NAT_ANY_PORT);
	struct snet_addr inside = at("10.0.0.1:1000"), remote = at("192.0.2.1:1");
	struct snet_nat_mapping *m = NULL;
	bool fresh;
	int rc = SNET_OK;

	(void)user;
	for (uint16_t i = 1; i < 20 && !rc; i++) {
		snet_addr_set_port(&remote, i);
		rc = snet_nat_out(n, &inside, &remote, NOW, &m, &fresh);
		assert_int_equal(n->n, i > 1 || !rc); /* one mapping, or none was begun */
		assert_true(rc || snet_nat_in(n, m, &remote, NOW));
	}
	snet_nat_fini(n);
	return rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	/* the table, the mapping, and its permits: 1, 3, 7, 15, 31 */
	assert_int_equal(torture(speak_to_many, NULL), 2 + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_depend_on_what_they_are_said_to),
		cmocka_unit_test(filters_let_in_whom_they_are_said_to),
		cmocka_unit_test(the_inside_keeps_a_mapping_alive_and_the_outside_does_not),
		cmocka_unit_test(leave_to_answer_ends_by_itself),
		cmocka_unit_test(the_idlest_goes_first),
		cmocka_unit_test(ports_are_chosen_as_asked),
		cmocka_unit_test(ports_that_are_all_taken_are_an_error_at_last),
		cmocka_unit_test(a_full_nat_says_so),
		cmocka_unit_test(a_mapping_remembers_the_latest_it_spoke_to),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
