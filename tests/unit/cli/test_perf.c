#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/perf.h"
#include "cli/perf_flow.h"
#include "cli/perf_frames.h"

/* ---- messages in a stream */

static void a_stream_is_cut_anywhere_and_gives_the_same_messages(void **state)
{
	uint8_t bytes[4 + 1000 + 4 + 1 + 4 + 16] = { 0, 0, 3, 232, PERF_DATA };
	static const uint32_t totals[] = { 1000, 1, 16 };

	(void)state;
	bytes[4 + 1000 + 3] = 1;
	bytes[4 + 1000 + 4] = PERF_TURN;
	bytes[4 + 1000 + 5 + 3] = 16;
	bytes[4 + 1000 + 5 + 4] = PERF_PONG;
	for (size_t piece = 1; piece <= sizeof(bytes); piece += piece < 20 ? 1 : 97) {
		struct perf_frames f = { 0 };
		unsigned n = 0;

		for (size_t at = 0; at < sizeof(bytes);) {
			size_t k = sizeof(bytes) - at < piece ? sizeof(bytes) - at : piece;
			const uint8_t *p = bytes + at;
			size_t left = k;

			while (left)
				if (perf_frames_take(&f, &p, &left) == 1)
					assert_int_equal(f.total, totals[n++]);
			at += k;
		}
		assert_int_equal(n, 3);
		assert_int_equal(f.body[0], PERF_PONG);
	}
}

static void a_frame_that_no_message_has_is_refused(void **state)
{
	static const uint8_t bad[][4] = { { 0, 0, 0, 0 },
					  { 1, 0, 0, 1 },
					  { 255, 255, 255, 255 } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct perf_frames f = { 0 };
		const uint8_t *p = bad[i];
		size_t n = 4;

		assert_int_equal(perf_frames_take(&f, &p, &n), SNET_EPROTO);
	}
}

/* ---- what the command line says */

static const char *const two_sizes[] = { "64", "1k" };

static struct perf_wishes wishes(const char *const *tests, size_t n, size_t n_sizes)
{
	return (struct perf_wishes){ .tests = { (const char **)tests, n },
				     .sizes = { (const char **)two_sizes, n_sizes },
				     .time = SNET_SEC,
				     .omit = 250 * SNET_MS,
				     .parallel = 3 };
}

static void without_names_all_tests_are_made(void **state)
{
	struct perf_wishes w = wishes(NULL, 0, 0);
	static struct perf_opts o;

	(void)state;
	assert_int_equal(perf_plan_make(&o, &w, false, NULL), SNET_OK);
	assert_int_equal(o.n, PERF_TESTS + 2); /* messages are of three sizes */
	assert_int_equal(o.plans[0].test, PERF_LATENCY);
	assert_int_equal(o.plans[0].size, 0);
	assert_int_equal(o.plans[0].time_ms, 1250);
	assert_int_equal(o.plans[0].parallel, 3);
	assert_int_equal(o.plans[2].size, 64);
	assert_int_equal(o.plans[4].size, 16384);
	assert_int_equal(o.plans[o.n - 1].test, PERF_HANDSHAKES);
	assert_int_equal(perf_plan_make(&o, &w, true, NULL), SNET_OK);
	assert_int_equal(o.plans[o.n - 1].test, PERF_BOTH); /* over datagrams, no handshakes */
}

static void each_test_goes_through_all_sizes(void **state)
{
	static const char *const names[] = { "both", "latency" };
	struct perf_wishes w = wishes(names, 2, 2);
	static struct perf_opts o;

	(void)state;
	assert_int_equal(perf_plan_make(&o, &w, false, NULL), SNET_OK);
	assert_int_equal(o.n, 4);
	assert_int_equal(o.plans[0].test, PERF_BOTH);
	assert_int_equal(o.plans[1].size, 1024);
	assert_int_equal(o.plans[2].test, PERF_LATENCY);
	assert_int_equal(o.plans[2].size, 64);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const speed[] = { "speed" }, *const shakes[] = { "handshakes" };
	struct perf_wishes w = wishes(speed, 1, 0);
	struct snet_error err;
	static struct perf_opts o;

	(void)state;
	assert_int_equal(perf_plan_make(&o, &w, false, &err), SNET_EINVAL);
	assert_non_null(strstr(err.text, "speed"));
	w = wishes(shakes, 1, 0);
	assert_int_equal(perf_plan_make(&o, &w, false, &err), SNET_OK);
	assert_int_equal(perf_plan_make(&o, &w, true, &err), SNET_EINVAL);
	w = wishes(NULL, 0, 0);
	w.time = 0;
	assert_int_equal(perf_plan_make(&o, &w, false, &err), SNET_EINVAL);
	w.time = SNET_NEVER;
	assert_int_equal(perf_plan_make(&o, &w, false, &err), SNET_EINVAL);
}

/* ---- figures */

static void figures_have_three_digits_and_a_unit(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = { { 0, "0ns" },           { 999, "999ns" },     { 1000, "1.00us" },
		      { 12345, "12.3us" },    { 99949, "99.9us" },  { 99951, "100us" },
		      { 999499, "999us" },    { 999501, "1.00ms" }, { 20250623, "20.3ms" },
		      { 1500000000, "1.50s" } };
	char s[PERF_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(perf_text_ns(s, cases[i].ns), cases[i].text);
	assert_string_equal(perf_text_bits(s, 12976176488), "13.0 Gbit/s");
	assert_string_equal(perf_text_size(s, 65536), "64 KiB");
	assert_string_equal(perf_text_size(s, 1536), "1.5 KiB");
	assert_string_equal(perf_text_count(s, 3868635), "3.87 M");
	assert_string_equal(perf_text_count(s, UINT64_MAX), "18446744074 G");
}

static void a_histogram_as_json_has_every_value(void **state)
{
	static struct snet_histogram h;
	struct snet_buf b = SNET_BUF(4096);

	(void)state;
	snet_histogram_add(&h, 3);
	snet_histogram_add(&h, 4);
	snet_histogram_add(&h, 1000);
	perf_histogram_json(&b, &h);
	assert_false(b.bad);
	assert_string_equal((const char *)b.p, "[[0,7,2],[992,1023,1]]");
	snet_buf_free(&b);
}

/* ---- a flow over datagrams, to nobody: what it sends is counted */

static struct snet_loop *loop;
static uint64_t sent;     /* DATA */
static uint64_t said_seq; /* the last of what is said */
static unsigned said;
static int answer; /* of who is to send it */

static int send_any(struct perf_chan *c, const uint8_t *p, size_t n, size_t total)
{
	struct perf_message m;

	(void)c;
	assert_int_equal(perf_message_decode(&m, p, n, total), SNET_OK);
	said += !answer;
	said_seq = m.seq;
	return answer;
}

static size_t send_data(struct perf_chan *c, uint64_t seq, uint32_t size, size_t n)
{
	(void)c, (void)size;
	assert_int_equal(seq, sent);
	sent += n;
	return n;
}

static const struct perf_carrier nowhere = {
	.scheme = "nowhere", .lossy = true, .send = send_any, .send_data = send_data
};
static struct perf_chan chan = { .carrier = &nowhere };
static struct perf_totals totals;
static struct perf_flow flow;

static int begin(void **state)
{
	(void)state;
	sent = said_seq = said = 0;
	answer = SNET_OK;
	totals = (struct perf_totals){ 0 };
	if (snet_loop_new_virtual(&loop))
		return -1;
	perf_flow_init(&flow, loop, &chan, 1200, &totals);
	return 0;
}

static int end(void **state)
{
	(void)state;
	perf_flow_stop(&flow);
	snet_loop_free(loop);
	return 0;
}

static void settle(void)
{
	for (int i = 0; i < 1000; i++)
		snet_loop_turn(loop);
}

static void hear(uint64_t highest, uint64_t messages)
{
	struct perf_message m = { .type = PERF_REPORT };

	m.got.flow_highest = highest;
	m.got.flow_messages = messages;
	assert_true(perf_flow_message(&flow, &m, 41));
	settle();
}

static void no_more_is_under_way_than_the_window(void **state)
{
	(void)state;
	perf_flow_send(&flow);
	settle();
	assert_int_equal(sent, 16);
	hear(16, 16); /* all of it has arrived: twice as much */
	assert_int_equal(sent, 16 + 32);
	hear(48, 48);
	assert_int_equal(sent, 48 + 64);
}

static void what_is_lost_halves_the_window_once(void **state)
{
	(void)state;
	perf_flow_send(&flow);
	settle();
	hear(16, 16);
	assert_int_equal(flow.window, 32);
	hear(40, 38);
	assert_int_equal(flow.window, 16);
	hear(44, 41); /* of the same window */
	assert_int_equal(flow.window, 16);
	assert_int_equal(flow.lost, 3);
	assert_true(sent - 44 <= 16 || sent == 48);
}

/* Reports that say more than was sent, or go back, change nothing. */
static void reports_that_cannot_be_are_passed_over(void **state)
{
	(void)state;
	perf_flow_send(&flow);
	settle();
	hear(17, 17);
	hear(UINT64_MAX, 1);
	hear(3, 9);
	assert_int_equal(sent, 16);
	hear(8, 8);
	assert_int_equal(flow.acked, 8);
	hear(4, 4);
	assert_int_equal(flow.acked, 8);
}

static void when_everything_is_lost_it_goes_on_slowly(void **state)
{
	snet_time now = snet_loop_now(loop);

	(void)state;
	perf_flow_send(&flow);
	settle();
	perf_flow_tick(&flow, now + SNET_MS);
	settle();
	assert_int_equal(sent, 16);
	perf_flow_tick(&flow, now + SNET_SEC);
	settle();
	assert_int_equal(sent, 18);
}

static void what_comes_is_counted_and_reported_once_in_a_turn(void **state)
{
	struct perf_message m = { .type = PERF_DATA };

	(void)state;
	for (m.seq = 0; m.seq < 10; m.seq++)
		if (m.seq != 4)
			assert_true(perf_flow_message(&flow, &m, 1200));
	assert_int_equal(said, 0);
	settle();
	assert_int_equal(said, 1);
	assert_int_equal(totals.messages, 9);
	assert_int_equal(totals.bytes, 9 * 1200);
	assert_int_equal(totals.lost, 1);
}

static void a_round_ends_with_the_message_of_the_other(void **state)
{
	(void)state;
	assert_int_equal(flow.round, 1);
	assert_true(perf_flow_round(&flow, 1));
	assert_int_equal(flow.round, 2);
	assert_int_equal(said_seq, 2);
	assert_false(perf_flow_round(&flow, 1)); /* again: it has not heard of ours */
	assert_int_equal(said_seq, 2);
	assert_int_equal(said, 2);
	assert_true(perf_flow_round(&flow, 3)); /* 2 was lost, and is not missed */
	assert_int_equal(flow.round, 4);
	assert_false(perf_flow_round(&flow, 0)); /* old, but answered */
	assert_true(perf_flow_round(&flow, UINT64_MAX - 1));
	assert_false(perf_flow_round(&flow, UINT64_MAX)); /* there is none after it */
}

/* Nobody would ask for it again: without it both would wait. */
static void what_there_is_no_room_for_is_said_when_there_is(void **state)
{
	static const struct perf_carrier full = { .scheme = "full", .send = send_any };
	struct perf_chan c = { .carrier = &full };

	(void)state;
	perf_flow_stop(&flow);
	perf_flow_init(&flow, loop, &c, 64, &totals);
	answer = SNET_EAGAIN;
	perf_flow_say(&flow, PERF_PING, 7);
	perf_flow_room(&flow);
	assert_int_equal(said, 0);
	answer = SNET_OK;
	perf_flow_room(&flow);
	perf_flow_room(&flow);
	assert_int_equal(said, 1);
	assert_int_equal(said_seq, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_is_cut_anywhere_and_gives_the_same_messages),
		cmocka_unit_test(a_frame_that_no_message_has_is_refused),
		cmocka_unit_test(without_names_all_tests_are_made),
		cmocka_unit_test(each_test_goes_through_all_sizes),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(figures_have_three_digits_and_a_unit),
		cmocka_unit_test(a_histogram_as_json_has_every_value),
		cmocka_unit_test_setup_teardown(no_more_is_under_way_than_the_window, begin,
						end),
		cmocka_unit_test_setup_teardown(what_is_lost_halves_the_window_once, begin,
						end),
		cmocka_unit_test_setup_teardown(reports_that_cannot_be_are_passed_over, begin,
						end),
		cmocka_unit_test_setup_teardown(when_everything_is_lost_it_goes_on_slowly,
						begin, end),
		cmocka_unit_test_setup_teardown(
			what_comes_is_counted_and_reported_once_in_a_turn, begin, end),
		cmocka_unit_test_setup_teardown(a_round_ends_with_the_message_of_the_other,
						begin, end),
		cmocka_unit_test_setup_teardown(what_there_is_no_room_for_is_said_when_there_is,
						begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
