/* nat/turn: an allocation and its server, in virtual time: who may have one, how it is kept,
 * how it ends. What stands on it: test_turn_data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/torture.h"
#include "support/turn_world.h"

static struct turn_world w;
static const struct snet_turn_opts plain = { 0 };

static snet_time in(unsigned seconds)
{
	return w.now + seconds * SNET_SEC;
}

static void begin(const struct snet_turn_opts *o)
{
	assert_int_equal(turn_world_init(&w, o, 1), SNET_OK);
}

static bool allocates(void)
{
	assert_int_equal(snet_turn_start(w.t, w.now), SNET_OK);
	return turn_world_wait(&w, SNET_TURN_ALLOCATED, in(60));
}

static int teardown(void **state)
{
	(void)state;
	turn_world_free(&w);
	return 0;
}

static const char *text(const struct snet_addr *a)
{
	static char out[SNET_ADDR_TEXT];

	return snet_addr_print(a, out);
}

/* ---- who may have one */

static void an_allocation_takes_one_challenge(void **state)
{
	const struct snet_turn_event *ev = &w.last[SNET_TURN_ALLOCATED];

	(void)state;
	begin(&plain);
	assert_true(allocates());
	assert_int_equal(w.s.seen[SNET_STUN_ALLOCATE], 2);
	assert_string_equal(text(&ev->relayed[0]), "198.51.100.9:50000");
	assert_int_equal(ev->relayed[1].sa.sa_family, AF_UNSPEC);
	assert_string_equal(text(&ev->mapped), "203.0.113.5:40000");
	assert_int_equal(ev->lifetime_s, 600);
	assert_false(w.s.saw_sha256 || w.s.saw_userhash || w.s.saw_dont_fragment);
}

static void a_server_that_asks_for_nothing_is_told_nothing(void **state)
{
	(void)state;
	begin(&plain);
	w.s.open = true;
	assert_true(allocates());
	assert_int_equal(w.s.seen[SNET_STUN_ALLOCATE], 1);
}

static void a_server_that_offers_sha256_gets_it(void **state)
{
	(void)state;
	begin(&plain);
	w.s.sha256 = w.s.userhash = true;
	assert_true(allocates());
	assert_true(w.s.saw_sha256);
	assert_false(w.s.saw_userhash);
}

static void the_name_is_hidden_only_where_wished_and_possible(void **state)
{
	const struct snet_turn_opts o = { .userhash = true };

	(void)state;
	for (int can = 0; can < 2; can++) {
		begin(&o);
		w.s.userhash = can;
		assert_true(allocates());
		assert_int_equal(w.s.saw_userhash, can);
		turn_world_free(&w);
	}
}

static void what_is_wished_is_asked_for(void **state)
{
	const struct snet_turn_opts o = { .lifetime_s = 1234, .dont_fragment = true };

	(void)state;
	begin(&o);
	assert_true(allocates());
	assert_int_equal(w.s.saw_lifetime, 1234);
	assert_true(w.s.saw_dont_fragment && w.last[SNET_TURN_ALLOCATED].dont_fragment);
}

static void a_server_without_dont_fragment_is_asked_without(void **state)
{
	const struct snet_turn_opts o = { .dont_fragment = true };

	(void)state;
	begin(&o);
	w.s.no_dont_fragment = true;
	assert_true(allocates());
	assert_int_equal(w.s.seen[SNET_STUN_ALLOCATE], 3);
	assert_false(w.last[SNET_TURN_ALLOCATED].dont_fragment);
}

static void families_are_those_wished(void **state)
{
	/* clang-format off */
	static const struct { int wish; bool no_ipv4, v4, v6, asks, adds; } cases[] = {
		{ 0                              , false, true , false, false, false },
		{ SNET_TURN_IPV4                 , false, true , false, false, false },
		{ SNET_TURN_IPV6                 , false, false, true , true , false },
		{ SNET_TURN_IPV4 | SNET_TURN_IPV6, false, true , true , false, true },
		{ SNET_TURN_IPV4 | SNET_TURN_IPV6, true , false, true , false, true },
	};
	/* clang-format on */
	const struct snet_turn_event *ev = &w.last[SNET_TURN_ALLOCATED];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_turn_opts o = { .families = cases[i].wish };

		begin(&o);
		w.s.no_ipv4 = cases[i].no_ipv4;
		assert_true(allocates());
		assert_int_equal(ev->relayed[0].sa.sa_family,
				 cases[i].v4 ? AF_INET : AF_UNSPEC);
		assert_int_equal(ev->relayed[1].sa.sa_family,
				 cases[i].v6 ? AF_INET6 : AF_UNSPEC);
		assert_int_equal(w.s.saw_family, cases[i].asks);
		assert_int_equal(w.s.saw_additional, cases[i].adds);
		turn_world_free(&w);
	}
}

static void what_was_not_asked_for_is_given_back(void **state)
{
	(void)state;
	begin(&plain);
	w.s.wrong_family = true;
	assert_false(allocates());
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_EPROTO);
	assert_false(w.s.allocated);
}

/* ---- who may not */

static void every_refusal_has_its_code(void **state)
{
	/* clang-format off */
	static const struct { int status, code; } cases[] = {
		{ 300, SNET_EPROTO  }, { 400, SNET_EPROTO }, { 401, SNET_EDENIED },
		{ 403, SNET_EPOLICY }, { 420, SNET_ENOSYS }, { 437, SNET_EAGAIN  },
		{ 438, SNET_EPROTO  }, { 440, SNET_ENOSYS }, { 441, SNET_EDENIED },
		{ 442, SNET_ENOSYS  }, { 443, SNET_EINVAL }, { 486, SNET_EPOLICY },
		{ 500, SNET_EUNREACH}, { 508, SNET_EUNREACH }, { 699, SNET_EPROTO },
	};
	/* clang-format on */
	const struct snet_turn_event *ev = &w.last[SNET_TURN_CLOSED];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&plain);
		w.s.fail[SNET_STUN_ALLOCATE] = cases[i].status;
		w.s.times[SNET_STUN_ALLOCATE] = 100;
		assert_false(allocates());
		if (ev->error.code != cases[i].code || ev->status != cases[i].status)
			fail_msg("%d: code %d, status %d", cases[i].status, ev->error.code,
				 ev->status);
		assert_true(*ev->error.text);
		assert_in_range(w.s.seen[SNET_STUN_ALLOCATE], 1, 5);
		assert_int_equal(snet_turn_deadline(w.t), SNET_NEVER);
		turn_world_free(&w);
	}
}

static void credentials_that_do_not_fit_are_not_tried_for_ever(void **state)
{
	const struct snet_turn_opts wrong = { .password = "wrong" }, other = { .user = "bob" },
				    realm = { .realm = "elsewhere.org" };
	const struct snet_turn_opts *cases[] = { &wrong, &other, &realm };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		begin(cases[i]);
		assert_false(allocates());
		assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_EDENIED);
		/* Nothing is proven to another realm. */
		assert_int_equal(w.s.seen[SNET_STUN_ALLOCATE], cases[i] == &realm ? 1 : 2);
		turn_world_free(&w);
	}
}

static void algorithms_taken_out_on_the_way_are_noticed(void **state)
{
	(void)state;
	begin(&plain);
	w.s.bid_down = true;
	assert_false(allocates());
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_EINTEGRITY);
	assert_int_equal(w.s.seen[SNET_STUN_ALLOCATE], 1);
}

static void algorithms_nobody_knows_are_not_supported(void **state)
{
	(void)state;
	begin(&plain);
	w.s.odd_algorithms = true;
	assert_false(allocates());
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_ENOSYS);
}

static void a_new_realm_is_tried_once(void **state)
{
	(void)state;
	begin(&plain);
	w.s.realm = "first.org";
	assert_int_equal(snet_turn_start(w.t, w.now), SNET_OK);
	turn_world_run(&w, w.now + 21 * SNET_MS); /* challenged for the first */
	w.s.realm = "second.org";
	assert_true(turn_world_wait(&w, SNET_TURN_ALLOCATED, in(60)));
	assert_int_equal(w.s.seen[SNET_STUN_ALLOCATE], 3);
}

/* ---- other servers */

static void redirect_to(const char *to)
{
	w.s.fail[SNET_STUN_ALLOCATE] = 300;
	w.s.times[SNET_STUN_ALLOCATE] = 1;
	assert_int_equal(snet_addr_parse(&w.s.alternate, to), SNET_OK);
}

static void a_redirection_is_followed(void **state)
{
	(void)state;
	begin(&plain);
	redirect_to("192.0.2.2:3478");
	assert_int_equal(snet_turn_start(w.t, w.now), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_REDIRECTED, in(1)));
	assert_string_equal(text(&w.last[SNET_TURN_REDIRECTED].peer), "192.0.2.2:3478");
	turn_world_run(&w, in(60)); /* not before it is told to */
	assert_int_equal(w.s.seen[SNET_STUN_ALLOCATE], 1);
	assert_true(allocates());
}

static void a_circle_of_redirections_ends(void **state)
{
	(void)state;
	begin(&plain);
	redirect_to("192.0.2.2:3478");
	snet_turn_start(w.t, w.now);
	assert_true(turn_world_wait(&w, SNET_TURN_REDIRECTED, in(1)));
	redirect_to("192.0.2.1:3478");
	snet_turn_start(w.t, w.now);
	assert_true(turn_world_wait(&w, SNET_TURN_CLOSED, in(1)));
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_EUNREACH);
	assert_int_equal(w.last[SNET_TURN_CLOSED].status, 300);
}

static void a_long_line_of_redirections_ends(void **state)
{
	unsigned n = 0;

	(void)state;
	begin(&plain);
	while (!w.told[SNET_TURN_CLOSED]) {
		char to[32];

		snprintf(to, sizeof(to), "192.0.2.%u:3478", 2 + n++);
		redirect_to(to);
		assert_int_equal(snet_turn_start(w.t, w.now), SNET_OK);
		turn_world_run(&w, in(1));
		assert_in_range(n, 1, 2 * SNET_TURN_REDIRECTS);
	}
	assert_int_equal(w.told[SNET_TURN_REDIRECTED], SNET_TURN_REDIRECTS);
}

/* ---- nobody there */

static void a_silent_server_is_asked_seven_times_in_39_5_s(void **state)
{
	static const unsigned at_ms[] = { 0, 500, 1500, 3500, 7500, 15500, 31500 };
	snet_time t0;

	(void)state;
	begin(&plain);
	w.mute = true;
	t0 = w.now;
	assert_false(allocates());
	assert_int_equal(w.sent, 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(w.sent_at[i] - t0, at_ms[i] * SNET_MS);
	assert_int_equal(w.now - t0, 39500 * SNET_MS);
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_ETIMEOUT);
	assert_int_equal(snet_turn_counts(w.t)->sent_again, 6);
}

static void over_a_stream_nothing_is_sent_twice(void **state)
{
	const struct snet_turn_opts o = { .stream = true };
	snet_time t0;

	(void)state;
	begin(&o);
	w.mute = true;
	t0 = w.now;
	assert_false(allocates());
	assert_int_equal(w.sent, 1);
	assert_int_equal(w.now - t0, 39500 * SNET_MS);
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_ETIMEOUT);
}

/* ---- forged, stale and foreign answers */

static void forged_answers_change_nothing(void **state)
{
	(void)state;
	for (int unsign = 0; unsign < 2; unsign++) {
		begin(&plain);
		w.s.forge = !unsign;
		w.s.unsign = unsign;
		snet_turn_start(w.t, w.now);
		turn_world_run(&w, in(2));
		assert_int_equal(w.told[SNET_TURN_ALLOCATED] + w.told[SNET_TURN_CLOSED], 0);
		assert_int_equal(snet_turn_counts(w.t)->forged, 3);
		w.s.forge = w.s.unsign = false;
		assert_true(turn_world_wait(&w, SNET_TURN_ALLOCATED, in(60)));
		turn_world_free(&w);
	}
}

static void a_server_that_never_proves_itself_is_not_believed(void **state)
{
	struct snet_turn_opts o = { 0 };
	snet_time t0;

	(void)state;
	for (int stream = 0; stream < 2; stream++) {
		o.stream = stream;
		begin(&o);
		w.s.forge = true;
		t0 = w.now;
		assert_false(allocates());
		assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_EINTEGRITY);
		/* Over a stream there is nothing to wait for. */
		assert_int_equal(w.now - t0 < SNET_SEC, stream);
		turn_world_free(&w);
	}
}

static void forged_refusals_change_nothing(void **state)
{
	(void)state;
	begin(&plain);
	assert_true(allocates());
	w.s.fail[SNET_STUN_REFRESH] = 437;
	w.s.times[SNET_STUN_REFRESH] = 1;
	w.s.forge = true;
	snet_turn_refresh(w.t, w.now);
	turn_world_run(&w, w.now + 100 * SNET_MS);
	assert_int_equal(w.told[SNET_TURN_CLOSED], 0);
	assert_int_equal(snet_turn_counts(w.t)->forged, 1);
}

static void answers_to_nothing_are_counted_and_those_of_others_left_alone(void **state)
{
	static const uint8_t id[SNET_STUN_ID] = "of no one...";
	static const struct {
		enum snet_stun_class cls;
		uint16_t method;
		long rc;
		unsigned stale, malformed;
	} cases[] = {
		{ SNET_STUN_SUCCESS, SNET_STUN_ALLOCATE, 20, 1, 0 },
		{ SNET_STUN_ERROR, SNET_STUN_REFRESH, 20, 1, 0 },
		{ SNET_STUN_SUCCESS, SNET_STUN_BINDING, SNET_EAGAIN, 0, 0 },
		{ SNET_STUN_REQUEST, SNET_STUN_BINDING, SNET_EAGAIN, 0, 0 },
		{ SNET_STUN_INDICATION, SNET_STUN_BINDING, SNET_EAGAIN, 0, 0 },
		{ SNET_STUN_INDICATION, SNET_STUN_SEND, 20, 0, 1 },
		{ SNET_STUN_INDICATION, SNET_STUN_DATA_INDICATION, 20, 0, 1 },
	};
	uint8_t p[32];
	struct snet_stunout o;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&plain);
		assert_true(allocates());
		snet_stunmsg_begin(&o, p, sizeof(p), cases[i].cls, cases[i].method, id);
		assert_int_equal(snet_turn_input(w.t, p, snet_stunmsg_end(&o), w.now),
				 cases[i].rc);
		assert_int_equal(snet_turn_counts(w.t)->stale, cases[i].stale);
		assert_int_equal(snet_turn_counts(w.t)->malformed, cases[i].malformed);
		turn_world_free(&w);
	}
}

/* An answer, unsigned, to what is asked now, whose LIFETIME is zero. */
static void answer_with_0(enum snet_stun_class cls, uint16_t method, int status)
{
	static uint8_t request[SNET_TURN_OUT_MAX];
	struct snet_stunout o;
	uint8_t p[64];

	assert_true(snet_turn_output(w.t, request, w.now) > 0);
	snet_stunmsg_begin(&o, p, sizeof(p), cls, method, request + 8);
	if (cls == SNET_STUN_ERROR)
		snet_stunmsg_put_error(&o, status, "");
	else
		snet_stunmsg_put_number(&o, SNET_STUN_LIFETIME, 0);
	snet_turn_input(w.t, p, snet_stunmsg_end(&o), w.now);
}

static void an_answer_of_another_method_is_malformed(void **state)
{
	(void)state;
	begin(&plain);
	w.s.open = true; /* nothing is signed: the method alone tells */
	assert_true(allocates());
	snet_turn_refresh(w.t, w.now);
	answer_with_0(SNET_STUN_SUCCESS, SNET_STUN_CHANNEL_BIND, 0);
	assert_int_equal(snet_turn_counts(w.t)->malformed, 1);
	turn_world_run(&w, in(5));
	assert_int_equal(w.told[SNET_TURN_CLOSED], 0);
}

static void a_refresh_answered_with_0_is_the_end(void **state)
{
	(void)state;
	begin(&plain);
	w.s.open = true;
	assert_true(allocates());
	snet_turn_refresh(w.t, w.now);
	answer_with_0(SNET_STUN_SUCCESS, SNET_STUN_REFRESH, 0);
	turn_world_drain(&w);
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_ELOST);
}

static void a_challenge_without_a_realm_is_none(void **state)
{
	(void)state;
	begin(&plain);
	assert_int_equal(snet_turn_start(w.t, w.now), SNET_OK);
	assert_int_equal(snet_turn_start(w.t, w.now), SNET_EINVAL); /* once is enough */
	answer_with_0(SNET_STUN_ERROR, SNET_STUN_ALLOCATE, 401);
	turn_world_drain(&w);
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_EPROTO);
	assert_int_equal(w.last[SNET_TURN_CLOSED].status, 401);
}

/* ---- how it is kept */

static void it_is_refreshed_well_before_the_end(void **state)
{
	static const struct {
		uint32_t lifetime_s, after_s;
	} cases[] = { { 3600, 2700 }, { 600, 450 }, { 240, 180 }, { 200, 140 },
		      { 120, 60 },    { 60, 30 },   { 2, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&plain);
		w.s.lifetime_s = cases[i].lifetime_s;
		assert_true(allocates());
		turn_world_run(&w, in(cases[i].after_s) - SNET_MS);
		assert_int_equal(w.s.seen[SNET_STUN_REFRESH], 0);
		turn_world_run(&w, in(1));
		assert_int_equal(w.s.seen[SNET_STUN_REFRESH], 1);
		turn_world_run(&w, in(20 * cases[i].lifetime_s));
		assert_int_equal(w.told[SNET_TURN_CLOSED], 0);
		assert_true(w.s.allocated && w.s.ends > w.now);
		turn_world_free(&w);
	}
}

static void stale_nonces_are_replaced(void **state)
{
	(void)state;
	begin(&plain);
	w.s.nonce_life = 100 * SNET_SEC;
	assert_true(allocates());
	turn_world_run(&w, in(3600));
	assert_in_range(w.s.nonce, 5, 100);
	assert_int_equal(w.told[SNET_TURN_CLOSED], 0);
	assert_true(w.s.ends > w.now);
}

static void an_allocation_the_server_lost_is_over(void **state)
{
	(void)state;
	begin(&plain);
	assert_true(allocates());
	w.s.allocated = false;
	assert_true(turn_world_wait(&w, SNET_TURN_CLOSED, in(600)));
	assert_int_equal(w.last[SNET_TURN_CLOSED].status, 437);
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_ELOST);
}

static void a_failing_refresh_is_tried_until_the_end(void **state)
{
	snet_time t0;

	(void)state;
	for (int mute = 0; mute < 2; mute++) {
		begin(&plain);
		assert_true(allocates());
		t0 = w.now;
		w.mute = mute;
		w.s.fail[SNET_STUN_REFRESH] = 486;
		w.s.times[SNET_STUN_REFRESH] = mute ? 0 : 1000;
		assert_true(turn_world_wait(&w, SNET_TURN_CLOSED, in(1000)));
		assert_int_equal(w.now - t0, 600 * SNET_SEC);
		assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_ELOST);
		assert_in_range(w.s.seen[SNET_STUN_REFRESH], 10, 25);
		turn_world_free(&w);
	}
}

static void a_refresh_that_fails_for_a_while_costs_nothing(void **state)
{
	(void)state;
	begin(&plain);
	assert_true(allocates());
	w.s.fail[SNET_STUN_REFRESH] = 500;
	w.s.times[SNET_STUN_REFRESH] = 3;
	turn_world_run(&w, in(590));
	assert_int_equal(w.s.seen[SNET_STUN_REFRESH], 4);
	turn_world_run(&w, in(600));
	assert_int_equal(w.told[SNET_TURN_CLOSED], 0);
}

/* ---- how it ends */

static void release_tells_the_server(void **state)
{
	(void)state;
	begin(&plain);
	assert_true(allocates());
	assert_int_equal(snet_turn_release(w.t, w.now), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_CLOSED, in(1)));
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_OK);
	assert_false(w.s.allocated);
	assert_int_equal(w.s.saw_lifetime, 0);
	assert_int_equal(snet_turn_release(w.t, w.now), SNET_ECLOSED);
	assert_int_equal(snet_turn_start(w.t, w.now), SNET_ECLOSED);
	assert_int_equal(snet_turn_refresh(w.t, w.now), SNET_ECLOSED);
}

static void release_works_at_any_time(void **state)
{
	(void)state;
	for (unsigned ms = 0; ms < 60; ms += 5) {
		begin(&plain);
		snet_turn_start(w.t, w.now);
		turn_world_run(&w, w.now + ms * SNET_MS);
		assert_int_equal(snet_turn_release(w.t, w.now), SNET_OK);
		assert_true(turn_world_wait(&w, SNET_TURN_CLOSED, in(60)));
		assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_OK);
		turn_world_run(&w, in(1));
		assert_false(w.s.allocated);
		turn_world_free(&w);
	}
}

static void what_never_began_is_released_at_once(void **state)
{
	(void)state;
	begin(&plain);
	assert_int_equal(snet_turn_release(w.t, w.now), SNET_OK);
	turn_world_run(&w, in(1));
	assert_int_equal(w.told[SNET_TURN_CLOSED], 1);
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_OK);
	assert_int_equal(w.sent, 0);
}

static void release_does_not_need_an_answer(void **state)
{
	(void)state;
	begin(&plain);
	assert_true(allocates());
	w.mute = true;
	snet_turn_release(w.t, w.now);
	assert_true(turn_world_wait(&w, SNET_TURN_CLOSED, in(40)));
	assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_OK);
}

static void unlawful_options_are_refused(void **state)
{
	char long_text[1024];
	const struct snet_turn_opts cases[] = {
		{ .user = "", .password = "x" },
		{ .user = NULL, .password = "x" },
		{ .user = "x", .password = NULL },
		{ .user = long_text, .password = "x" },
		{ .user = "x", .password = long_text },
		{ .user = "x", .password = "x", .realm = long_text },
		{ .user = "x", .password = "x", .families = 4 },
	};
	const uint8_t seed[SNET_TURN_SEED] = { 0 };
	struct snet_error err;
	struct snet_turn *t;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(snet_turn_new(&t, &cases[i], seed, &err), SNET_EINVAL);
	snet_turn_free(NULL);
}

/* ---- loss, doubles, disorder; memory */

static void a_bad_network_is_got_through(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 300; seed++) {
		assert_int_equal(turn_world_init(&w, &plain, seed), SNET_OK);
		w.loss = 10;
		w.twice = 30;
		w.jitter = 800 * SNET_MS;
		w.s.nonce_life = 200 * SNET_SEC;
		if (!allocates())
			fail_msg("seed %u: %s", seed, w.last[SNET_TURN_CLOSED].error.text);
		turn_world_run(&w, in(1800));
		if (w.told[SNET_TURN_CLOSED])
			fail_msg("seed %u: %s", seed, w.last[SNET_TURN_CLOSED].error.text);
		turn_world_free(&w);
	}
}

static int live(void *user)
{
	int rc = turn_world_init(&w, &plain, 1);

	(void)user;
	if (rc)
		return rc;
	snet_turn_start(w.t, w.now);
	turn_world_run(&w, in(1000));
	rc = w.told[SNET_TURN_ALLOCATED] ? SNET_OK : SNET_ENOMEM;
	turn_world_free(&w);
	return rc;
}

static void it_survives_without_memory(void **state)
{
	(void)state;
	torture(live, NULL);
}

#define T(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_allocation_takes_one_challenge),
		T(a_server_that_asks_for_nothing_is_told_nothing),
		T(a_server_that_offers_sha256_gets_it),
		T(the_name_is_hidden_only_where_wished_and_possible),
		T(what_is_wished_is_asked_for),
		T(a_server_without_dont_fragment_is_asked_without),
		T(families_are_those_wished),
		T(what_was_not_asked_for_is_given_back),
		T(every_refusal_has_its_code),
		T(credentials_that_do_not_fit_are_not_tried_for_ever),
		T(algorithms_taken_out_on_the_way_are_noticed),
		T(algorithms_nobody_knows_are_not_supported),
		T(a_new_realm_is_tried_once),
		T(a_redirection_is_followed),
		T(a_circle_of_redirections_ends),
		T(a_long_line_of_redirections_ends),
		T(a_silent_server_is_asked_seven_times_in_39_5_s),
		T(over_a_stream_nothing_is_sent_twice),
		T(forged_answers_change_nothing),
		T(a_server_that_never_proves_itself_is_not_believed),
		T(forged_refusals_change_nothing),
		T(answers_to_nothing_are_counted_and_those_of_others_left_alone),
		T(an_answer_of_another_method_is_malformed),
		T(a_refresh_answered_with_0_is_the_end),
		T(a_challenge_without_a_realm_is_none),
		T(it_is_refreshed_well_before_the_end),
		T(stale_nonces_are_replaced),
		T(an_allocation_the_server_lost_is_over),
		T(a_failing_refresh_is_tried_until_the_end),
		T(a_refresh_that_fails_for_a_while_costs_nothing),
		T(release_tells_the_server),
		T(release_works_at_any_time),
		T(what_never_began_is_released_at_once),
		T(release_does_not_need_an_answer),
		T(unlawful_options_are_refused),
		T(a_bad_network_is_got_through),
		T(it_survives_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
