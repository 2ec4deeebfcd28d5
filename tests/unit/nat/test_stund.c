/* nat/stund: what is answered, from where, and how large. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/stund.h"

static const uint8_t id[SNET_STUN_ID] = { 1, 2, 3 };

static struct snet_stund one, four;
static struct snet_addr client, client6;
static uint8_t request[4096];
static struct snet_stunout o;
static struct snet_stund_answer answer;
static struct snet_stunmsg m;

static struct snet_addr addr(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static int setup(void **state)
{
	(void)state;
	client = addr("203.0.113.9:40000");
	client6 = addr("[2001:db8::9]:40000");
	one = (struct snet_stund){ .at = { addr("192.0.2.1:3478") }, .n = 1 };
	four = (struct snet_stund){ .at = { addr("192.0.2.1:3478"), addr("192.0.2.1:3479"),
					    addr("192.0.2.2:3478"), addr("192.0.2.2:3479") },
				    .n = 4 };
	snet_stunmsg_begin(&o, request, sizeof(request), SNET_STUN_REQUEST, SNET_STUN_BINDING,
			   id);
	return 0;
}

/* The answer to what was written, which is never too large. */
static bool take(struct snet_stund *d, unsigned socket, const struct snet_addr *from)
{
	if (!snet_stund_take(d, socket, from, request, snet_stunmsg_end(&o), &answer))
		return false;
	assert_true(answer.n <= 3 * o.n);
	assert_int_equal(snet_stunmsg_parse(&m, answer.p, answer.n), SNET_OK);
	assert_memory_equal(m.id, id, sizeof(id));
	return true;
}

static bool says(enum snet_stun_attr a, const char *text)
{
	struct snet_addr got, want = addr(text);

	return snet_stunmsg_addr(&m, a, &got) && snet_addr_eq(&got, &want);
}

static void a_request_is_answered_with_the_address_it_came_from(void **state)
{
	(void)state;
	assert_true(take(&one, 0, &client));
	assert_int_equal(m.cls, SNET_STUN_SUCCESS);
	assert_true(says(SNET_STUN_XOR_MAPPED_ADDRESS, "203.0.113.9:40000"));
	assert_false(snet_stunmsg_get(&m, SNET_STUN_OTHER_ADDRESS, NULL));
	assert_true(snet_addr_eq(&answer.to, &client) && answer.via == 0);
	assert_true(take(&one, 0, &client6));
	assert_true(says(SNET_STUN_XOR_MAPPED_ADDRESS, "[2001:db8::9]:40000"));
	assert_true(one.answered == 2 && !one.dropped && !one.refused);
}

static void a_fingerprint_is_answered_with_one(void **state)
{
	(void)state;
	assert_true(take(&one, 0, &client) && !m.fingerprint);
	snet_stunmsg_put_fingerprint(&o);
	assert_true(take(&one, 0, &client) && m.fingerprint);
}

static void the_answer_comes_from_where_it_is_asked_to(void **state)
{
	static const struct {
		unsigned socket;
		uint32_t change;
		unsigned via;
		const char *origin, *other;
	} cases[] = {
		{ 0, 0, 0, "192.0.2.1:3478", "192.0.2.2:3479" },
		{ 0, 2, 1, "192.0.2.1:3479", "192.0.2.2:3479" },
		{ 0, 4, 2, "192.0.2.2:3478", "192.0.2.2:3479" },
		{ 0, 6, 3, "192.0.2.2:3479", "192.0.2.2:3479" },
		{ 3, 6, 0, "192.0.2.1:3478", "192.0.2.1:3478" },
		{ 1, 4, 3, "192.0.2.2:3479", "192.0.2.2:3478" },
		{ 2, 2, 3, "192.0.2.2:3479", "192.0.2.1:3479" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		snet_stunmsg_put_number(&o, SNET_STUN_CHANGE_REQUEST, cases[i].change);
		assert_true(take(&four, cases[i].socket, &client));
		assert_int_equal(answer.via, cases[i].via);
		assert_true(says(SNET_STUN_RESPONSE_ORIGIN, cases[i].origin));
		assert_true(says(SNET_STUN_OTHER_ADDRESS, cases[i].other));
		assert_true(says(SNET_STUN_MAPPED_ADDRESS, "203.0.113.9:40000"));
	}
}

static void the_answer_goes_to_the_port_it_is_asked_to(void **state)
{
	(void)state;
	snet_stunmsg_put_number(&o, SNET_STUN_RESPONSE_PORT, 50000);
	assert_true(take(&one, 0, &client));
	assert_int_equal(snet_addr_port(&answer.to), 50000);
	snet_addr_set_port(&answer.to, 40000);
	assert_true(snet_addr_eq(&answer.to, &client)); /* and to no other host, ever */
	assert_true(says(SNET_STUN_XOR_MAPPED_ADDRESS, "203.0.113.9:40000"));
}

static void padding_comes_back_as_large_as_it_came(void **state)
{
	static const uint8_t zeros[SNET_STUND_PADDING_MAX + 1];
	struct snet_slice v;

	(void)state;
	snet_stunmsg_put(&o, SNET_STUN_PADDING, zeros, SNET_STUND_PADDING_MAX);
	assert_true(take(&one, 0, &client));
	assert_true(snet_stunmsg_get(&m, SNET_STUN_PADDING, &v));
	assert_int_equal(v.n, SNET_STUND_PADDING_MAX);
	snet_stunmsg_put_number(&o, SNET_STUN_RESPONSE_PORT, 5000); /* of somebody else */
	assert_true(take(&one, 0, &client));
	assert_int_equal(snet_stunmsg_error(&m, NULL), 400);
	setup(state);
	snet_stunmsg_put(&o, SNET_STUN_PADDING, zeros, sizeof(zeros));
	assert_true(take(&one, 0, &client));
	assert_false(snet_stunmsg_get(&m, SNET_STUN_PADDING, NULL));
}

static void what_is_not_understood_is_named(void **state)
{
	struct snet_slice v;

	(void)state;
	snet_stunmsg_put_number(&o, SNET_STUN_CHANGE_REQUEST, 6);
	assert_true(take(&one, 0, &client)); /* there is no other address */
	assert_int_equal(snet_stunmsg_error(&m, NULL), 420);
	assert_true(snet_stunmsg_get(&m, SNET_STUN_UNKNOWN_ATTRIBUTES, &v));
	assert_int_equal(v.n, 2);
	assert_memory_equal(v.p, "\0\3", 2);
	assert_true(one.refused == 1);
}

static void an_answer_is_never_larger_than_three_requests(void **state)
{
	(void)state;
	/* Of four addresses of IPv6 not all have room in 60 bytes: take() looks at the size. */
	for (unsigned i = 0; i < 4; i++)
		four.at[i] = addr("[2001:db8::1]:3478");
	assert_true(take(&four, 0, &client6));
	assert_true(says(SNET_STUN_XOR_MAPPED_ADDRESS, "[2001:db8::9]:40000"));
	for (unsigned i = 0; i < SNET_STUN_UNKNOWN_MAX + 4; i++) {
		snet_put_be32(request + o.n, (0x7000 + i) << 16);
		o.n += 4;
		snet_put_be16(request + 2, (uint16_t)(o.n - SNET_STUN_HEADER));
		/* The first ones are dropped: naming them would be too much. */
		if (take(&four, 0, &client6))
			assert_int_equal(snet_stunmsg_error(&m, NULL), 420);
	}
	assert_true(four.refused > 0);
}

static void what_is_no_request_is_dropped_and_counted(void **state)
{
	static const struct {
		enum snet_stun_class cls;
		enum snet_stun_method method;
	} cases[] = {
		{ SNET_STUN_INDICATION, SNET_STUN_BINDING },
		{ SNET_STUN_SUCCESS, SNET_STUN_BINDING },
		{ SNET_STUN_ERROR, SNET_STUN_BINDING },
		{ SNET_STUN_REQUEST, SNET_STUN_ALLOCATE },
	};
	struct snet_addr nowhere = client;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		snet_stunmsg_begin(&o, request, sizeof(request), cases[i].cls, cases[i].method,
				   id);
		assert_false(take(&one, 0, &client));
	}
	setup(state);
	one.dropped = 0;
	for (size_t n = 0; n < SNET_STUN_HEADER; n++)
		assert_false(snet_stund_take(&one, 0, &client, request, n, &answer));
	snet_addr_set_port(&nowhere, 0);
	assert_false(take(&one, 0, &nowhere));
	assert_true(one.dropped == SNET_STUN_HEADER + 1 && !one.answered);
}

static void every_address_of_the_host_is_told_to_nobody(void **state)
{
	(void)state;
	one.at[0] = addr("0.0.0.0:3478");
	snet_stunmsg_put_text(&o, SNET_STUN_SOFTWARE, "one that is long enough for all");
	assert_true(take(&one, 0, &client));
	assert_false(snet_stunmsg_get(&m, SNET_STUN_RESPONSE_ORIGIN, NULL));
}

/* ---- RFC 3489: no cookie */

static const uint8_t old_id[16] = { 0xde, 0xad, 0xbe, 0xef, 1, 2, 3 };

/* What was written, without the cookie; the answer as if it had one. */
static bool take_old(struct snet_stund *d, const struct snet_addr *from)
{
	memcpy(request + 4, old_id, sizeof(old_id));
	if (!snet_stund_take(d, 0, from, request, snet_stunmsg_end(&o), &answer))
		return false;
	assert_true(answer.n <= 3 * o.n);
	assert_memory_equal(answer.p + 4, old_id, sizeof(old_id));
	snet_put_be32(answer.p + 4, SNET_STUN_COOKIE);
	assert_int_equal(snet_stunmsg_parse(&m, answer.p, answer.n), SNET_OK);
	return true;
}

static void who_has_no_cookie_gets_the_plain_address_and_nothing_else(void **state)
{
	static const uint8_t whole[] = { 1, 1, 0, 12, 0xde, 0xad, 0xbe, 0xef, 1,   2, 3,
					 0, 0, 0, 0,  0,    0,    0,    0,    0,   0, 1,
					 0, 8, 0, 1,  0x9c, 0x40, 203,  0,    113, 9 };

	assert_true(take_old(&one, &client));
	memcpy(answer.p + 4, old_id, sizeof(old_id));
	assert_int_equal(answer.n, sizeof(whole));
	assert_memory_equal(answer.p, whole, sizeof(whole));
	assert_true(snet_addr_eq(&answer.to, &client) && answer.via == 0);
	setup(state);
	assert_true(take_old(&four, &client6));
	assert_true(says(SNET_STUN_MAPPED_ADDRESS, "[2001:db8::9]:40000"));
	assert_int_equal(answer.n, SNET_STUN_HEADER + 24);
	assert_true(four.answered == 1 && !four.refused && !four.dropped);
}

static void what_rfc_3489_could_ask_for_is_not_understood_any_more(void **state)
{
	struct snet_slice v;

	(void)state;
	snet_stunmsg_put_number(&o, SNET_STUN_CHANGE_REQUEST, 6);
	assert_true(take_old(&four, &client)); /* though there are four sockets */
	assert_int_equal(m.cls, SNET_STUN_ERROR);
	assert_int_equal(snet_stunmsg_error(&m, &v), 420);
	assert_true(v.n % 4 == 0); /* lengths are multiples of four */
	assert_true(snet_stunmsg_get(&m, SNET_STUN_UNKNOWN_ATTRIBUTES, &v));
	assert_int_equal(v.n, 4);
	assert_memory_equal(v.p, "\0\3\0\3", 4);
	assert_int_equal(answer.via, 0);
	assert_true(snet_addr_eq(&answer.to, &client) && four.refused == 1);
}

static void what_has_no_cookie_and_is_no_request_is_dropped(void **state)
{
	struct snet_addr nowhere = client;

	snet_stunmsg_put_fingerprint(&o); /* which they do not know */
	assert_false(take_old(&one, &client));
	setup(state);
	snet_addr_set_port(&nowhere, 0);
	assert_false(take_old(&one, &nowhere));
	request[3] = 4; /* more than there is */
	assert_false(take_old(&one, &client));
	snet_stunmsg_begin(&o, request, sizeof(request), SNET_STUN_SUCCESS, SNET_STUN_BINDING,
			   id);
	assert_false(take_old(&one, &client));
	setup(state);
	for (unsigned i = 0; i < 64; i++) /* longer than any of them */
		snet_stunmsg_put_text(&o, SNET_STUN_SOFTWARE, "four");
	assert_false(take_old(&one, &client));
	assert_true(!one.answered && !one.refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_request_is_answered_with_the_address_it_came_from,
				       setup),
		cmocka_unit_test_setup(a_fingerprint_is_answered_with_one, setup),
		cmocka_unit_test_setup(the_answer_comes_from_where_it_is_asked_to, setup),
		cmocka_unit_test_setup(the_answer_goes_to_the_port_it_is_asked_to, setup),
		cmocka_unit_test_setup(padding_comes_back_as_large_as_it_came, setup),
		cmocka_unit_test_setup(what_is_not_understood_is_named, setup),
		cmocka_unit_test_setup(an_answer_is_never_larger_than_three_requests, setup),
		cmocka_unit_test_setup(what_is_no_request_is_dropped_and_counted, setup),
		cmocka_unit_test_setup(every_address_of_the_host_is_told_to_nobody, setup),
		cmocka_unit_test_setup(
			who_has_no_cookie_gets_the_plain_address_and_nothing_else, setup),
		cmocka_unit_test_setup(what_rfc_3489_could_ask_for_is_not_understood_any_more,
				       setup),
		cmocka_unit_test_setup(what_has_no_cookie_and_is_no_request_is_dropped, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
