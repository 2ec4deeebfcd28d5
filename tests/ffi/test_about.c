/* What a program with its own event loop needs, and figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "ffi/parties.h"
#include "ffi/stoffelnet.h"

/* ---- event loops */

static void the_descriptor_says_when_there_is_something(void **state)
{
	void *m[2], *c[2], *op;
	int32_t result = 1;
	uint64_t who;
	uint8_t *p;
	size_t n;
	int fd;

	(void)state;
	pair(m, c);
	send_text(c[0], "already here"); /* before anyone asks for the descriptor */
	send_text(c[0], "and more");
	for (StoffelStats s = { 0 }; s.messages_received < 2;)
		ok(stoffelnet_connection_stats(c[1], &s, sizeof(s)));
	fd = stoffelnet_manager_descriptor(m[1]);
	assert_true(fd >= 0);
	assert_int_equal(stoffelnet_manager_descriptor(m[1]), fd);
	assert_true(is_readable(fd, 0));
	expect(c[1], "already here", 12);
	assert_true(is_readable(fd, 0)); /* as long as there is anything */
	ok(stoffelnet_manager_receive_from_any_party(m[1], 0, &who, &p, &n));
	stoffelnet_free_bytes(p, n);
	assert_false(is_readable(fd, 0));
	send_text(c[0], "wakes up");
	assert_true(is_readable(fd, -1));
	expect(c[1], "wakes up", 8);
	assert_false(is_readable(fd, 0));
	/* An operation without a callback. */
	op = stoffelnet_manager_connect_to_party_async(m[1], 66, NULL, NULL);
	assert_true(is_readable(fd, -1));
	assert_int_equal(stoffelnet_async_result(op, &result), 1);
	assert_int_equal(result, STOFFELNET_ERR_CONNECTION);
	assert_false(is_readable(fd, 0));
	stoffelnet_async_cancel(op);
	op = stoffelnet_connection_send_async(c[1], rt, NULL, 0, NULL, NULL);
	assert_true(is_readable(fd, -1));
	stoffelnet_async_cancel(op); /* it need not be asked */
	assert_false(is_readable(fd, 0));
	expect(c[0], NULL, 0);
	assert_int_equal(stoffelnet_manager_descriptor(NULL), STOFFELNET_ERR_NULL_POINTER);
	part(m, c);
}

/* What was to be read is gone with the connection. */
static void the_descriptor_forgets_what_is_closed(void **state)
{
	void *m[2], *c[2];
	int fd;

	(void)state;
	pair(m, c);
	fd = stoffelnet_manager_descriptor(m[1]);
	send_text(c[0], "nobody reads this");
	assert_true(is_readable(fd, -1));
	stoffelnet_connection_close(c[1], rt);
	assert_false(is_readable(fd, 0));
	part(m, c);
}

/* ---- figures */

static void figures_are_counted_per_connection_and_in_all(void **state)
{
	struct {
		StoffelStats s;
		uint64_t more;
	} bigger;
	void *m[2], *c[2];
	StoffelStats s;
	uint64_t two[2];

	(void)state;
	pair(m, c);
	for (int i = 0; i < 5; i++) {
		send_text(c[0], "ping");
		expect(c[1], "ping", 4);
		send_text(c[1], "pong!");
		expect(c[0], "pong!", 5);
	}
	send_text(c[0], "xx");
	ok(stoffelnet_connection_send(c[1], rt, NULL, 0));
	expect(c[0], NULL, 0);
	ok(stoffelnet_connection_stats(c[0], &s, sizeof(s)));
	assert_int_equal(s.messages_sent, 6);
	assert_int_equal(s.bytes_sent, 22);
	assert_int_equal(s.messages_received, 6);
	assert_int_equal(s.bytes_received, 25);
	assert_int_equal(s.rounds, 6);
	assert_int_equal(s.connections, 1);
	assert_int_equal(s.waiting_bytes, 0);
	assert_true(s.rtt_us > 0 && s.rtt_min_us <= s.rtt_us);
	assert_true(s.wire_bytes_sent > 22 && s.wire_bytes_received > 25);
	stoffelnet_connection_close(c[0], rt);
	/* Another version's idea of the structure: what it has room for, and zeros. */
	ok(stoffelnet_manager_stats(m[0], (StoffelStats *)two, sizeof(two)));
	assert_true(two[0] == 6 && two[1] == 6);
	memset(&bigger, 0xff, sizeof(bigger));
	ok(stoffelnet_manager_stats(m[0], &bigger.s, sizeof(bigger)));
	assert_int_equal(bigger.s.bytes_received, 25);
	assert_int_equal(bigger.s.connections, 0);
	assert_true(bigger.more == 0);
	assert_int_equal(stoffelnet_manager_stats(m[0], NULL, 0), STOFFELNET_ERR_NULL_POINTER);
	assert_int_equal(stoffelnet_connection_stats(NULL, &s, sizeof(s)),
			 STOFFELNET_ERR_NULL_POINTER);
	part(m, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_descriptor_says_when_there_is_something),
		cmocka_unit_test(the_descriptor_forgets_what_is_closed),
		cmocka_unit_test(figures_are_counted_per_connection_and_in_all),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
