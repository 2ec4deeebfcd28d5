/* nat/stun: time is a variable, the network is this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/stun.h"

static struct snet_stun s;
static struct snet_addr server, other, mapped;
static uint8_t last[SNET_STUN_ASK_MAX]; /* the request sent last */
static size_t last_n;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(snet_addr_parse(&server, "192.0.2.1:3478"), SNET_OK);
	assert_int_equal(snet_addr_parse(&other, "192.0.2.2:3479"), SNET_OK);
	assert_int_equal(snet_addr_parse(&mapped, "203.0.113.9:40000"), SNET_OK);
	snet_stun_init(&s, NULL);
	return 0;
}

static void ask(const struct snet_stun_ask *a, uint8_t name)
{
	uint8_t id[SNET_STUN_ID] = { name };

	assert_int_equal(snet_stun_ask(&s, a, id, 0), SNET_OK);
}

/* Everything due at the time goes out; how many. */
static unsigned send_all(snet_time now)
{
	const struct snet_stun_ask *a;
	uint8_t b[SNET_STUN_ASK_MAX];
	size_t n;
	unsigned k = 0;

	for (; (n = snet_stun_send(&s, now, b, &a)); k++) {
		memcpy(last, b, n);
		last_n = n;
	}
	return k;
}

static int answer(enum snet_stun_class cls, const uint8_t *id, unsigned socket,
		  const struct snet_addr *from, snet_time now, struct snet_stun_answer *out)
{
	uint8_t b[128];
	struct snet_stunout o;

	snet_stunmsg_begin(&o, b, sizeof(b), cls, SNET_STUN_BINDING, id);
	if (cls == SNET_STUN_ERROR)
		snet_stunmsg_put_error(&o, 420, "Unknown Attribute");
	else if (cls == SNET_STUN_SUCCESS)
		snet_stunmsg_put_addr(&o, SNET_STUN_XOR_MAPPED_ADDRESS, &mapped);
	return snet_stun_take(&s, socket, from, b, snet_stunmsg_end(&o), now, out);
}

static void requests_go_out_when_rfc_8489_says(void **state)
{
	static const unsigned at_ms[] = { 0, 500, 1500, 3500, 7500, 15500, 31500 };
	struct snet_stun_answer a;

	(void)state;
	ask(&(struct snet_stun_ask){ .tag = 5, .to = server }, 1);
	for (size_t i = 0; i < 7; i++) {
		snet_time at = at_ms[i] * SNET_MS;

		assert_true(snet_stun_deadline(&s) == at);
		if (at)
			assert_int_equal(send_all(at - 1), 0);
		assert_false(snet_stun_over(&s, at, &a));
		assert_int_equal(send_all(at), 1);
	}
	assert_true(snet_stun_deadline(&s) == 39500 * SNET_MS);
	assert_false(snet_stun_over(&s, 39499 * SNET_MS, &a));
	assert_true(snet_stun_over(&s, 39500 * SNET_MS, &a));
	assert_int_equal(a.code, SNET_ETIMEOUT);
	assert_int_equal(a.tag, 5);
	assert_int_equal(a.requests, 7);
	assert_true(snet_stun_deadline(&s) == SNET_NEVER);
}

static void a_pace_of_its_own_is_kept_and_never_exceeds_its_most(void **state)
{
	struct snet_stun_answer a;

	(void)state;
	ask(&(struct snet_stun_ask){ .to = server,
				     .pace = { .rto = 100 * SNET_MS,
					       .rc = 5,
					       .rm = 2,
					       .most = 450 * SNET_MS } },
	    1);
	assert_int_equal(send_all(0), 1);
	assert_int_equal(send_all(100 * SNET_MS), 1);
	assert_int_equal(send_all(300 * SNET_MS), 1);
	assert_true(snet_stun_deadline(&s) == 450 * SNET_MS);
	assert_int_equal(send_all(450 * SNET_MS), 0);
	assert_true(snet_stun_over(&s, 450 * SNET_MS, &a));
	assert_int_equal(a.code, SNET_ETIMEOUT);
}

static void an_answer_ends_its_transaction_and_says_how_long_it_took(void **state)
{
	struct snet_stun_answer a;
	struct snet_stunmsg m;

	(void)state;
	ask(&(struct snet_stun_ask){ .tag = 1, .to = other }, 1); /* stays silent */
	ask(&(struct snet_stun_ask){ .tag = 2, .to = server }, 2);
	assert_int_equal(send_all(10), 2);
	assert_int_equal(snet_stunmsg_parse(&m, last, last_n), SNET_OK);
	assert_true(m.fingerprint && m.cls == SNET_STUN_REQUEST);
	assert_int_equal(answer(SNET_STUN_SUCCESS, m.id, 0, &server, 7010, &a), SNET_OK);
	assert_int_equal(a.tag, 2);
	assert_int_equal(a.code, SNET_OK);
	assert_true(a.rtt == 7000);
	assert_true(snet_addr_eq(&a.mapped, &mapped) && snet_addr_eq(&a.server, &server));
	/* The same once more, too late: nobody's. */
	assert_int_equal(answer(SNET_STUN_SUCCESS, m.id, 0, &server, 7020, &a), SNET_ENOENT);
	assert_true(snet_stun_deadline(&s) == 10 + 500 * SNET_MS); /* the silent one's */
}

static void a_stranger_answers_for_nobody(void **state)
{
	static const uint8_t wrong[SNET_STUN_ID] = { 9 }, right[SNET_STUN_ID] = { 1 };
	struct snet_stun_answer a;

	(void)state;
	ask(&(struct snet_stun_ask){ .to = server }, 1);
	/* Before it was asked: an id that somebody guessed. */
	assert_int_equal(answer(SNET_STUN_SUCCESS, right, 0, &server, 1, &a), SNET_ENOENT);
	send_all(0);
	assert_int_equal(answer(SNET_STUN_SUCCESS, wrong, 0, &server, 1, &a), SNET_ENOENT);
	assert_int_equal(answer(SNET_STUN_SUCCESS, right, 0, &other, 1, &a), SNET_ENOENT);
	assert_int_equal(answer(SNET_STUN_SUCCESS, right, 1, &server, 1, &a), SNET_ENOENT);
	assert_int_equal(answer(SNET_STUN_REQUEST, right, 0, &server, 1, &a), SNET_ENOENT);
	assert_int_equal(answer(SNET_STUN_INDICATION, right, 0, &server, 1, &a), SNET_ENOENT);
	assert_int_equal(snet_stun_take(&s, 0, &server, last, last_n - 1, 1, &a), SNET_EPROTO);
	assert_int_equal(answer(SNET_STUN_SUCCESS, right, 0, &server, 1, &a), SNET_OK);
}

static void an_answer_from_elsewhere_counts_when_it_was_asked_for(void **state)
{
	static const uint8_t one[SNET_STUN_ID] = { 1 }, two[SNET_STUN_ID] = { 2 };
	struct snet_stun_ask q = { .to = server, .from = other, .change = SNET_STUN_CHANGE_IP };
	struct snet_stun_answer a;
	struct snet_stunmsg m;
	uint64_t v;

	(void)state;
	ask(&q, 1);
	ask(&q, 2);
	send_all(0);
	assert_int_equal(snet_stunmsg_parse(&m, last, last_n), SNET_OK);
	assert_true(snet_stunmsg_number(&m, SNET_STUN_CHANGE_REQUEST, &v) && v == 4);
	assert_int_equal(answer(SNET_STUN_SUCCESS, one, 0, &other, 1, &a), SNET_OK);
	assert_int_equal(a.code, SNET_OK);
	assert_int_equal(answer(SNET_STUN_SUCCESS, two, 0, &server, 1, &a), SNET_OK);
	assert_int_equal(a.code, SNET_ENOSYS); /* the server changes nothing */
}

static void an_answer_to_another_socket_counts_when_it_was_asked_for(void **state)
{
	static const uint8_t one[SNET_STUN_ID] = { 1 }, two[SNET_STUN_ID] = { 2 };
	struct snet_stun_ask q = { .via = 0, .into = 3, .to = server, .response_port = 777 };
	struct snet_stun_answer a;
	struct snet_stunmsg m;
	uint64_t v;

	(void)state;
	ask(&q, 1);
	ask(&q, 2);
	send_all(0);
	assert_int_equal(snet_stunmsg_parse(&m, last, last_n), SNET_OK);
	assert_true(snet_stunmsg_number(&m, SNET_STUN_RESPONSE_PORT, &v) && v == 777);
	assert_int_equal(answer(SNET_STUN_SUCCESS, one, 3, &server, 1, &a), SNET_OK);
	assert_int_equal(a.code, SNET_OK);
	assert_int_equal(answer(SNET_STUN_SUCCESS, two, 0, &server, 1, &a), SNET_OK);
	assert_int_equal(a.code, SNET_ENOSYS);
}

static void the_own_request_is_the_answer_of_a_hairpin(void **state)
{
	static const uint8_t id[SNET_STUN_ID] = { 1 };
	struct snet_stun_answer a;

	(void)state;
	ask(&(struct snet_stun_ask){ .tag = 4, .to = mapped, .loops = true }, 1);
	send_all(0);
	assert_int_equal(answer(SNET_STUN_SUCCESS, id, 0, &mapped, 1, &a), SNET_ENOENT);
	assert_int_equal(snet_stun_take(&s, 0, &other, last, last_n, 2, &a), SNET_OK);
	assert_int_equal(a.tag, 4);
	assert_true(snet_addr_eq(&a.mapped, &other));
}

static void errors_and_empty_answers_are_told(void **state)
{
	static const uint8_t one[SNET_STUN_ID] = { 1 }, two[SNET_STUN_ID] = { 2 };
	struct snet_stun_answer a;
	struct snet_stunout o;
	uint8_t b[64];

	(void)state;
	ask(&(struct snet_stun_ask){ .to = server }, 1);
	ask(&(struct snet_stun_ask){ .to = server }, 2);
	send_all(0);
	assert_int_equal(answer(SNET_STUN_ERROR, one, 0, &server, 1, &a), SNET_OK);
	assert_int_equal(a.code, SNET_EPROTO);
	assert_int_equal(a.error, 420);
	assert_string_equal(a.reason, "Unknown Attribute");
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_SUCCESS, SNET_STUN_BINDING, two);
	assert_int_equal(snet_stun_take(&s, 0, &server, b, snet_stunmsg_end(&o), 1, &a), 0);
	assert_int_equal(a.code, SNET_EPROTO);
	assert_int_equal(a.error, 0);
}

static void a_reason_too_long_is_cut(void **state)
{
	static const uint8_t id[SNET_STUN_ID] = { 1 };
	struct snet_stun_answer a;
	struct snet_stunout o;
	uint8_t b[1024];
	char reason[700];

	(void)state;
	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	ask(&(struct snet_stun_ask){ .to = server }, 1);
	send_all(0);
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_ERROR, SNET_STUN_BINDING, id);
	snet_stunmsg_put_error(&o, 500, reason);
	assert_int_equal(snet_stun_take(&s, 0, &server, b, snet_stunmsg_end(&o), 1, &a), 0);
	assert_int_equal(strlen(a.reason), SNET_STUN_REASON_MAX - 1);
}

static void what_icmp_says_ends_all_that_is_asked_of_it(void **state)
{
	struct snet_stun_answer a;

	(void)state;
	ask(&(struct snet_stun_ask){ .tag = 1, .to = server }, 1);
	ask(&(struct snet_stun_ask){ .tag = 2, .to = other }, 2);
	send_all(0);
	snet_stun_unreachable(&s, &server);
	assert_true(snet_stun_deadline(&s) == 0);
	assert_true(snet_stun_over(&s, 5, &a));
	assert_int_equal(a.tag, 1);
	assert_int_equal(a.code, SNET_EUNREACH);
	assert_false(snet_stun_over(&s, 5, &a));
}

static void no_more_than_so_many_are_under_way(void **state)
{
	static const uint8_t id[SNET_STUN_ID] = { 255 };
	struct snet_stun_ask q = { .to = server };
	struct snet_stun_answer a;

	(void)state;
	for (unsigned i = 0; i < SNET_STUN_SLOTS; i++)
		ask(&q, (uint8_t)i);
	assert_int_equal(snet_stun_ask(&s, &q, id, 0), SNET_EAGAIN);
	assert_int_equal(send_all(0), SNET_STUN_SLOTS);
	snet_stun_unreachable(&s, &server);
	assert_true(snet_stun_over(&s, 0, &a));
	assert_int_equal(snet_stun_ask(&s, &q, id, 0), SNET_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(requests_go_out_when_rfc_8489_says, setup),
		cmocka_unit_test_setup(a_pace_of_its_own_is_kept_and_never_exceeds_its_most,
				       setup),
		cmocka_unit_test_setup(an_answer_ends_its_transaction_and_says_how_long_it_took,
				       setup),
		cmocka_unit_test_setup(a_stranger_answers_for_nobody, setup),
		cmocka_unit_test_setup(an_answer_from_elsewhere_counts_when_it_was_asked_for,
				       setup),
		cmocka_unit_test_setup(an_answer_to_another_socket_counts_when_it_was_asked_for,
				       setup),
		cmocka_unit_test_setup(the_own_request_is_the_answer_of_a_hairpin, setup),
		cmocka_unit_test_setup(errors_and_empty_answers_are_told, setup),
		cmocka_unit_test_setup(a_reason_too_long_is_cut, setup),
		cmocka_unit_test_setup(what_icmp_says_ends_all_that_is_asked_of_it, setup),
		cmocka_unit_test_setup(no_more_than_so_many_are_under_way, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
