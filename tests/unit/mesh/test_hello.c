/* mesh/hello: what is said first, and what is not taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/hello.h"
#include "wire/envelope.h"

static void what_is_said_is_heard(void **s)
{
	static const struct snet_hello cases[] = {
		{ SNET_ROLE_SERVER, 0 },
		{ SNET_ROLE_CLIENT, 7 },
		{ SNET_ROLE_SERVER, UINT64_MAX },
	};

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_buf b = SNET_BUF(SNET_HELLO_MAX);
		struct snet_hello h;

		assert_int_equal(snet_hello_encode(&cases[i], &b), SNET_OK);
		assert_int_equal(snet_hello_decode(&h, b.p, b.n), SNET_OK);
		assert_int_equal(h.role, cases[i].role);
		assert_true(h.id == cases[i].id);
		for (size_t n = 0; n < b.n; n++)
			assert_int_equal(snet_hello_decode(&h, b.p, n), SNET_EPROTO);
		snet_buf_free(&b);
	}
}

static void role_is(const char *role, int rc)
{
	struct snet_envelope e = { .tag = SNET_ENVELOPE_HANDSHAKE };
	struct snet_buf b = SNET_BUF(SNET_HELLO_MAX);
	struct snet_hello h;

	e.handshake.old = true;
	e.handshake.role = (struct snet_slice){ (const uint8_t *)role, strlen(role), NULL };
	assert_int_equal(snet_envelope_encode(&e, &b), SNET_OK);
	assert_int_equal(snet_hello_decode(&h, b.p, b.n), rc);
	snet_buf_free(&b);
}

static void roles_are_these_two_in_any_case(void **s)
{
	(void)s;
	role_is("client", SNET_OK);
	role_is("Server", SNET_OK);
	role_is("SERVER2", SNET_EPROTO);
	role_is("", SNET_EPROTO);
}

static void another_envelope_is_no_hello(void **s)
{
	struct snet_envelope e = { .tag = SNET_ENVELOPE_HANDSHAKE }; /* the new form */
	struct snet_buf b = SNET_BUF(SNET_HELLO_MAX);
	struct snet_hello h;

	(void)s;
	assert_int_equal(snet_envelope_encode(&e, &b), SNET_OK);
	assert_int_equal(snet_hello_decode(&h, b.p, b.n), SNET_EPROTO);
	snet_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_is_heard),
		cmocka_unit_test(roles_are_these_two_in_any_case),
		cmocka_unit_test(another_envelope_is_no_hello),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
