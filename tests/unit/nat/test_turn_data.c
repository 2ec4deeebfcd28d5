/* nat/turn: permissions, channels, data and streams, in virtual time. */
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

#define PEER "198.51.100.77:7000"

static struct turn_world w;
static struct snet_addr peer;
static const struct snet_turn_opts plain = { 0 };

static snet_time in(unsigned seconds)
{
	return w.now + seconds * SNET_SEC;
}

static struct snet_addr at(const char *s)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, s), SNET_OK);
	return a;
}

static struct snet_addr nth(unsigned i)
{
	char s[SNET_ADDR_TEXT];

	snprintf(s, sizeof(s), "10.%u.%u.1:7000", i / 256, i % 256);
	return at(s);
}

/* The same, as many on one address. */
static struct snet_addr nth_port(unsigned i)
{
	struct snet_addr a = at("10.9.9.9:1000");

	snet_addr_set_port(&a, (uint16_t)(1000 + i));
	return a;
}

static void begin(const struct snet_turn_opts *o)
{
	assert_int_equal(turn_world_init(&w, o, 3), SNET_OK);
	peer = at(PEER);
	assert_int_equal(snet_turn_start(w.t, w.now), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_ALLOCATED, in(60)));
}

static void permit(const struct snet_addr *a)
{
	assert_int_equal(snet_turn_permit(w.t, a, w.now), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_PERMITTED, in(60)));
}

static void bind_to(const struct snet_addr *a)
{
	assert_int_equal(snet_turn_bind(w.t, a, w.now), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_BOUND, in(60)));
}

static int say(const char *s)
{
	int rc = snet_turn_send(w.t, &peer, s, strlen(s));

	turn_world_run(&w, w.now + 100 * SNET_MS);
	return rc;
}

static bool server_got(const char *s, bool by_channel)
{
	return w.s.data_n == (long)strlen(s) && !memcmp(w.s.data, s, strlen(s)) &&
	       w.s.by_channel == by_channel && snet_addr_eq(&w.s.to, &peer);
}

static bool client_gets(const char *s)
{
	unsigned before = w.told[SNET_TURN_DATA];
	const struct snet_turn_event *ev = &w.last[SNET_TURN_DATA];

	turn_world_from_peer(&w, &peer, s, strlen(s));
	turn_world_run(&w, w.now + 100 * SNET_MS);
	return w.told[SNET_TURN_DATA] == before + 1 && ev->n == strlen(s) &&
	       !memcmp(w.data, s, ev->n) && snet_addr_eq(&ev->peer, &peer);
}

static int teardown(void **state)
{
	(void)state;
	turn_world_free(&w);
	return 0;
}

/* ---- permissions */

static void a_permission_lets_data_both_ways(void **state)
{
	(void)state;
	begin(&plain);
	assert_int_equal(say("early"), SNET_ENOENT);
	assert_false(client_gets("unasked"));
	permit(&peer);
	assert_int_equal(snet_addr_port(&w.last[SNET_TURN_PERMITTED].peer), 0);
	assert_int_equal(say("hello"), SNET_OK);
	assert_true(server_got("hello", false));
	assert_true(client_gets("welcome"));
	peer = at("198.51.100.77:9"); /* any port of that address */
	assert_int_equal(say("again"), SNET_OK);
	assert_true(server_got("again", false) && client_gets("too"));
	assert_true(say("") == SNET_OK && server_got("", false) && client_gets(""));
}

static void wishes_before_the_allocation_are_kept(void **state)
{
	(void)state;
	assert_int_equal(turn_world_init(&w, &plain, 1), SNET_OK);
	peer = at(PEER);
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_OK);
	assert_int_equal(snet_turn_send(w.t, &peer, "held", 4), SNET_OK);
	turn_world_run(&w, in(1));
	assert_int_equal(w.sent, 0);
	snet_turn_start(w.t, w.now);
	turn_world_run(&w, in(1));
	assert_int_equal(w.told[SNET_TURN_PERMITTED], 1);
	assert_int_equal(w.told[SNET_TURN_BOUND], 1);
	assert_int_equal(w.s.datas, 1);
	assert_int_equal(w.s.data_n, 4);
}

static void what_is_sent_early_waits_for_the_permission(void **state)
{
	uint8_t p[64];
	size_t n;

	(void)state;
	begin(&plain);
	assert_int_equal(snet_turn_permit(w.t, &peer, w.now), SNET_OK);
	assert_int_equal(snet_turn_wrap(w.t, &peer, "x", 1, p, sizeof(p), &n), SNET_EAGAIN);
	assert_int_equal(snet_turn_send(w.t, &peer, "one", 3), SNET_OK);
	assert_int_equal(snet_turn_send(w.t, &peer, "two!", 4), SNET_OK);
	turn_world_run(&w, in(1));
	assert_int_equal(w.s.datas, 2);
	assert_int_equal(snet_turn_counts(w.t)->dropped, 0);
}

static void what_waits_for_one_permission_does_not_for_another(void **state)
{
	struct snet_addr other = nth(1);

	(void)state;
	begin(&plain);
	snet_turn_permit(w.t, &peer, w.now);
	assert_int_equal(snet_turn_send(w.t, &peer, "first", 5), SNET_OK);
	turn_world_run(&w, w.now + 5 * SNET_MS);
	snet_turn_permit(w.t, &other, w.now);
	assert_int_equal(snet_turn_send(w.t, &other, "second", 6), SNET_OK);
	turn_world_run(&w, w.now + 17 * SNET_MS); /* the first is there, and no more */
	assert_int_equal(w.told[SNET_TURN_PERMITTED], 1);
	turn_world_run(&w, in(1));
	assert_int_equal(w.s.datas, 2);
	assert_int_equal(w.s.data_n, 6);
	assert_int_equal(snet_turn_counts(w.t)->dropped, 0);
}

static void a_refused_permission_drops_what_waited_for_it(void **state)
{
	struct snet_addr other = nth(1);

	(void)state;
	begin(&plain);
	w.s.fail[SNET_STUN_CREATE_PERMISSION] = 403;
	w.s.times[SNET_STUN_CREATE_PERMISSION] = 1;
	assert_int_equal(snet_turn_permit(w.t, &peer, w.now), SNET_OK);
	assert_int_equal(snet_turn_send(w.t, &peer, "lost", 4), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_REFUSED, in(1)));
	assert_int_equal(w.last[SNET_TURN_REFUSED].status, 403);
	assert_int_equal(w.last[SNET_TURN_REFUSED].error.code, SNET_EPOLICY);
	assert_int_equal(snet_turn_counts(w.t)->dropped, 1);
	assert_int_equal(say("no"), SNET_ENOENT);
	permit(&other); /* nothing else is harmed, and it may be asked for again */
	permit(&peer);
	assert_true(say("yes") == SNET_OK && server_got("yes", false));
}

static void every_refusal_of_a_peer_has_its_code(void **state)
{
	static const struct {
		int status, code;
	} cases[] = { { 400, SNET_EPROTO },  { 403, SNET_EPOLICY },  { 443, SNET_EINVAL },
		      { 486, SNET_EPOLICY }, { 508, SNET_EUNREACH }, { 401, SNET_EDENIED },
		      { 438, SNET_EPROTO } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&plain);
		w.s.fail[SNET_STUN_CREATE_PERMISSION] = cases[i].status;
		w.s.times[SNET_STUN_CREATE_PERMISSION] = 100;
		snet_turn_permit(w.t, &peer, w.now);
		assert_true(turn_world_wait(&w, SNET_TURN_REFUSED, in(1)));
		assert_int_equal(w.last[SNET_TURN_REFUSED].error.code, cases[i].code);
		assert_int_equal(w.last[SNET_TURN_REFUSED].status, cases[i].status);
		assert_int_equal(w.told[SNET_TURN_CLOSED], 0);
		turn_world_free(&w);
	}
}

static void a_permission_never_lapses(void **state)
{
	(void)state;
	begin(&plain);
	w.s.nonce_life = 77 * SNET_SEC;
	permit(&peer);
	for (unsigned s = 0; s < 3600; s += 5) {
		assert_true(client_gets("ping"));
		turn_world_run(&w, in(5) - 100 * SNET_MS);
	}
	assert_int_equal(w.told[SNET_TURN_PERMITTED], 1);
	assert_in_range(w.s.seen[SNET_STUN_CREATE_PERMISSION], 15, 40);
}

static void a_permission_that_cannot_be_renewed_is_told(void **state)
{
	snet_time t0;

	(void)state;
	begin(&plain);
	permit(&peer);
	t0 = w.now;
	w.s.fail[SNET_STUN_CREATE_PERMISSION] = 500;
	w.s.times[SNET_STUN_CREATE_PERMISSION] = 1000;
	assert_true(turn_world_wait(&w, SNET_TURN_REFUSED, in(400)));
	assert_int_equal(w.now - t0, 300 * SNET_SEC);
	assert_in_range(w.s.seen[SNET_STUN_CREATE_PERMISSION], 3, 10);
}

static void a_forgotten_permission_is_not_renewed(void **state)
{
	struct snet_addr ip;

	(void)state;
	begin(&plain);
	bind_to(&peer);
	ip = peer;
	snet_addr_set_port(&ip, 0);
	snet_turn_forget(w.t, &ip, w.now);
	assert_false(client_gets("late"));
	assert_int_equal(snet_turn_counts(w.t)->strangers, 1);
	assert_int_equal(say("x"), SNET_ENOENT);
	turn_world_run(&w, in(1000));
	assert_int_equal(w.s.seen[SNET_STUN_CREATE_PERMISSION], 1);
	assert_int_equal(w.s.seen[SNET_STUN_CHANNEL_BIND], 1);
	assert_int_equal(w.told[SNET_TURN_REFUSED] + w.told[SNET_TURN_UNBOUND], 0);
}

static void an_address_of_another_family_is_refused(void **state)
{
	struct snet_addr six = at("[2001:db8::5]:1");
	const struct snet_turn_opts both = { .families = SNET_TURN_IPV4 | SNET_TURN_IPV6 };

	(void)state;
	begin(&plain);
	assert_int_equal(snet_turn_permit(w.t, &six, w.now), SNET_EINVAL);
	assert_int_equal(snet_turn_bind(w.t, &six, w.now), SNET_EINVAL);
	turn_world_free(&w);
	/* Wished before it is known which families there will be. */
	assert_int_equal(turn_world_init(&w, &both, 1), SNET_OK);
	w.s.no_ipv4 = true;
	peer = at(PEER);
	assert_int_equal(snet_turn_permit(w.t, &six, w.now), SNET_OK);
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_OK);
	snet_turn_start(w.t, w.now);
	turn_world_run(&w, in(2));
	assert_int_equal(w.told[SNET_TURN_PERMITTED], 1);
	assert_int_equal(w.told[SNET_TURN_REFUSED], 1);
	assert_int_equal(w.told[SNET_TURN_UNBOUND], 1);
	peer = six;
	assert_true(say("six") == SNET_OK && server_got("six", false) && client_gets("6"));
}

/* ---- channels */

static void a_channel_carries_data_once_it_is_bound(void **state)
{
	(void)state;
	begin(&plain);
	permit(&peer);
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_OK);
	assert_int_equal(snet_turn_send(w.t, &peer, "before", 6), SNET_OK);
	turn_world_run(&w, w.now + 11 * SNET_MS);
	assert_true(server_got("before", false));
	turn_world_run(&w, in(1));
	assert_int_equal(w.told[SNET_TURN_BOUND], 1);
	assert_true(snet_addr_eq(&w.last[SNET_TURN_BOUND].peer, &peer));
	assert_true(say("after") == SNET_OK && server_got("after", true));
	assert_true(client_gets("back"));
	assert_true(say("") == SNET_OK && server_got("", true) && client_gets(""));
}

static void data_may_overtake_the_answer_to_a_binding(void **state)
{
	static const uint8_t early[] = { 0, 0, 0, 2, 'h', 'i' };
	static uint8_t out[SNET_TURN_OUT_MAX];
	uint8_t p[sizeof(early)];
	size_t n;

	(void)state;
	begin(&plain);
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_OK);
	memcpy(p, early, sizeof(p));
	while ((n = snet_turn_output(w.t, out, w.now)))
		for (size_t i = SNET_STUN_HEADER; i + 8 <= n; i += 4)
			if (out[i] == 0 && out[i + 1] == 0x0c && out[i + 3] == 4)
				memcpy(p, out + i + 4, 2); /* CHANNEL-NUMBER */
	assert_int_equal(snet_turn_input(w.t, p, sizeof(p), w.now), sizeof(p));
	turn_world_drain(&w);
	assert_int_equal(w.told[SNET_TURN_DATA], 1);
	assert_memory_equal(w.data, "hi", 2);
}

static void what_comes_is_a_view_of_what_came(void **state)
{
	uint8_t p[64];
	struct snet_turn_event ev;
	size_t n;

	(void)state;
	begin(&plain);
	bind_to(&peer);
	n = turn_server_data(&w.s, &peer, "view", 4, w.now, p, sizeof(p));
	assert_int_equal(snet_turn_input(w.t, p, n, w.now), n);
	assert_true(snet_turn_event(w.t, &ev));
	assert_int_equal(ev.what, SNET_TURN_DATA);
	assert_ptr_equal(ev.p, p + 4);
}

static void a_channel_never_lapses(void **state)
{
	(void)state;
	begin(&plain);
	bind_to(&peer);
	for (unsigned s = 0; s < 3600; s += 5) {
		assert_true(say("ping") == SNET_OK && server_got("ping", true));
		assert_true(client_gets("pong"));
		turn_world_run(&w, in(5) - 200 * SNET_MS);
	}
	assert_in_range(w.s.seen[SNET_STUN_CHANNEL_BIND], 6, 12);
	/* Binding renews the permission too: else it would be 16. */
	assert_in_range(w.s.seen[SNET_STUN_CREATE_PERMISSION], 10, 14);
}

static void a_channel_refused_leaves_indications(void **state)
{
	(void)state;
	begin(&plain);
	w.s.fail[SNET_STUN_CHANNEL_BIND] = 508;
	w.s.times[SNET_STUN_CHANNEL_BIND] = 1;
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_UNBOUND, in(1)));
	assert_int_equal(w.last[SNET_TURN_UNBOUND].status, 508);
	assert_true(say("still") == SNET_OK && server_got("still", false));
	assert_true(client_gets("here"));
	bind_to(&peer);
	assert_true(say("now") == SNET_OK && server_got("now", true));
}

static void numbers_that_were_refused_need_no_rest(void **state)
{
	(void)state;
	begin(&plain);
	w.s.fail[SNET_STUN_CHANNEL_BIND] = 508;
	w.s.times[SNET_STUN_CHANNEL_BIND] = 2 * SNET_TURN_CHANNELS;
	for (unsigned i = 0; i < 2 * SNET_TURN_CHANNELS; i++) {
		struct snet_addr a = nth_port(i);

		assert_int_equal(snet_turn_bind(w.t, &a, w.now), SNET_OK);
		assert_true(turn_world_wait(&w, SNET_TURN_UNBOUND, in(1)));
	}
}

static void an_unanswered_binding_rests_as_if_it_were_one(void **state)
{
	struct snet_addr other;

	(void)state;
	begin(&plain);
	permit(&peer);
	w.mute = true; /* the server binds it, and nobody hears */
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_OK);
	assert_true(turn_world_wait(&w, SNET_TURN_UNBOUND, in(60)));
	assert_int_equal(w.last[SNET_TURN_UNBOUND].error.code, SNET_ETIMEOUT);
	w.mute = false;
	for (unsigned i = 0; i < SNET_TURN_CHANNELS - 1; i++) {
		other = nth(i);
		bind_to(&other); /* the server asserts that the number is another */
	}
	other = nth(SNET_TURN_CHANNELS);
	assert_int_equal(snet_turn_bind(w.t, &other, w.now), SNET_ETOOBIG);
}

static void a_channel_number_rests_five_minutes(void **state)
{
	struct snet_addr other = nth_port(999);

	(void)state;
	begin(&plain);
	for (unsigned i = 0; i < SNET_TURN_CHANNELS - 1; i++) {
		struct snet_addr a = nth_port(i);

		bind_to(&a);
	}
	bind_to(&peer);
	snet_turn_forget(w.t, &peer, w.now);
	assert_int_equal(snet_turn_bind(w.t, &other, w.now), SNET_ETOOBIG);
	bind_to(&peer); /* its own number is there for it all the time */
	snet_turn_forget(w.t, &peer, w.now);
	turn_world_run(&w, in(890));
	assert_int_equal(snet_turn_bind(w.t, &other, w.now), SNET_ETOOBIG);
	turn_world_run(&w, in(11));
	bind_to(&other); /* the server asserts that it has rested */
}

/* ---- ceilings */

static void there_are_only_so_many_permissions(void **state)
{
	struct snet_addr a;

	(void)state;
	begin(&plain);
	for (unsigned i = 0; i < SNET_TURN_PERMISSIONS; i++) {
		a = nth(i);
		permit(&a);
	}
	assert_int_equal(snet_turn_permit(w.t, &peer, w.now), SNET_ETOOBIG);
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_ETOOBIG);
	snet_addr_set_port(&a, 0);
	snet_turn_forget(w.t, &a, w.now);
	permit(&peer);
}

static void the_queues_have_a_ceiling(void **state)
{
	const struct snet_turn_opts o = { .queue_bytes = 4000 };
	uint8_t p[1000] = { 0 };
	unsigned n = 0;

	(void)state;
	begin(&o);
	snet_turn_permit(w.t, &peer, w.now);
	while (!snet_turn_send(w.t, &peer, p, sizeof(p)))
		assert_in_range(++n, 1, 4);
	assert_int_equal(snet_turn_send(w.t, &peer, p, sizeof(p)), SNET_ETOOBIG);
	turn_world_run(&w, in(1));
	assert_int_equal(w.s.datas, n);
	for (n = 0; !snet_turn_send(w.t, &peer, p, sizeof(p)); n++)
		assert_in_range(n, 0, 4);
	assert_int_equal(snet_turn_send(w.t, &peer, p, sizeof(p)), SNET_ETOOBIG);
	turn_world_run(&w, in(1));
	assert_int_equal(snet_turn_send(w.t, &peer, p, sizeof(p)), SNET_OK);
}

static void what_has_gone_out_makes_room(void **state)
{
	const struct snet_turn_opts o = { .queue_bytes = 4000 };
	static uint8_t out[SNET_TURN_OUT_MAX];
	uint8_t p[1000] = { 0 };

	(void)state;
	begin(&o);
	permit(&peer);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(snet_turn_send(w.t, &peer, p, sizeof(p)), SNET_OK);
	for (unsigned i = 0; i < 50; i++) { /* never empty, never full */
		assert_true(snet_turn_output(w.t, out, w.now) > sizeof(p));
		assert_true(snet_turn_output(w.t, out, w.now) > sizeof(p));
		for (unsigned k = 0; k < 2; k++) {
			p[0] = (uint8_t)(2 * i + k);
			assert_int_equal(snet_turn_send(w.t, &peer, p, sizeof(p)), SNET_OK);
		}
	}
	turn_world_run(&w, in(1));
	assert_int_equal(w.s.datas, 3);
	assert_int_equal(w.s.data[0], 99);
}

static void the_largest_datagram_fits(void **state)
{
	static uint8_t data[SNET_TURN_DATA_MAX + 1], out[SNET_TURN_OUT_MAX];
	size_t n;

	(void)state;
	begin(&plain);
	permit(&peer);
	assert_int_equal(
		snet_turn_wrap(w.t, &peer, data, SNET_TURN_DATA_MAX, out, sizeof(out), &n),
		SNET_OK);
	assert_true(n > SNET_TURN_DATA_MAX && n <= sizeof(out));
	assert_int_equal(snet_turn_wrap(w.t, &peer, data, 100, out, 100, &n), SNET_ETOOBIG);
	assert_int_equal(snet_turn_wrap(w.t, &peer, data, sizeof(data), out, sizeof(out), &n),
			 SNET_ETOOBIG);
	assert_int_equal(snet_turn_send(w.t, &peer, data, sizeof(data)), SNET_ETOOBIG);
}

/* ---- strangers, and what routers say */

static void data_of_strangers_is_dropped(void **state)
{
	uint8_t bound[] = { 0x4f, 0xff, 0, 1, 'x' }, unlawful[] = { 0x50, 0, 0, 1, 'x' },
		lying[] = { 0x40, 0, 0, 9, 'x' }, cut[] = { 0x40, 0 };
	static const uint8_t id[SNET_STUN_ID] = "of no one...";
	struct snet_stunout o;
	uint8_t p[128];

	(void)state;
	begin(&plain);
	snet_turn_input(w.t, bound, sizeof(bound), w.now);
	assert_int_equal(snet_turn_counts(w.t)->strangers, 1);
	snet_turn_input(w.t, unlawful, sizeof(unlawful), w.now);
	snet_turn_input(w.t, lying, sizeof(lying), w.now);
	snet_turn_input(w.t, cut, sizeof(cut), w.now);
	assert_int_equal(snet_turn_counts(w.t)->malformed, 3);
	snet_stunmsg_begin(&o, p, sizeof(p), SNET_STUN_INDICATION, SNET_STUN_DATA_INDICATION,
			   id);
	snet_stunmsg_put_addr(&o, SNET_STUN_XOR_PEER_ADDRESS, &peer);
	snet_stunmsg_put(&o, SNET_STUN_DATA, "x", 1);
	snet_turn_input(w.t, p, snet_stunmsg_end(&o), w.now);
	assert_int_equal(snet_turn_counts(w.t)->strangers, 2);
	turn_world_drain(&w);
	assert_int_equal(w.told[SNET_TURN_DATA], 0);
}

static void what_a_router_says_is_told(void **state)
{
	static const uint8_t id[SNET_STUN_ID] = "of no one...";
	static const uint8_t icmp[8] = { 0, 0, 3 << 1, 4 };
	struct snet_stunout o;
	uint8_t p[128];

	(void)state;
	begin(&plain);
	permit(&peer);
	snet_stunmsg_begin(&o, p, sizeof(p), SNET_STUN_INDICATION, SNET_STUN_DATA_INDICATION,
			   id);
	snet_stunmsg_put_addr(&o, SNET_STUN_XOR_PEER_ADDRESS, &peer);
	snet_stunmsg_put(&o, SNET_STUN_ICMP, icmp, sizeof(icmp));
	snet_turn_input(w.t, p, snet_stunmsg_end(&o), w.now);
	turn_world_drain(&w);
	assert_int_equal(w.told[SNET_TURN_ICMP], 1);
	assert_int_equal(w.last[SNET_TURN_ICMP].icmp_type, 3);
	assert_int_equal(w.last[SNET_TURN_ICMP].icmp_code, 4);
}

static void datagrams_are_kept_whole_where_wished(void **state)
{
	const struct snet_turn_opts o = { .dont_fragment = true };

	(void)state;
	begin(&o);
	permit(&peer);
	assert_true(say("whole") == SNET_OK && server_got("whole", false));
	assert_true(w.s.saw_dont_fragment);
}

/* ---- the end */

static void once_closed_nothing_is_taken(void **state)
{
	uint8_t p[64];
	size_t n;

	(void)state;
	begin(&plain);
	bind_to(&peer);
	snet_turn_send(w.t, &peer, "last words", 10);
	snet_turn_release(w.t, w.now);
	turn_world_run(&w, in(1));
	assert_true(server_got("last words", true));
	assert_int_equal(w.told[SNET_TURN_CLOSED], 1);
	assert_int_equal(snet_turn_permit(w.t, &peer, w.now), SNET_ECLOSED);
	assert_int_equal(snet_turn_bind(w.t, &peer, w.now), SNET_ECLOSED);
	assert_int_equal(snet_turn_send(w.t, &peer, "x", 1), SNET_ECLOSED);
	assert_int_equal(snet_turn_wrap(w.t, &peer, "x", 1, p, sizeof(p), &n), SNET_ECLOSED);
	assert_int_equal(snet_turn_input(w.t, p, 10, w.now), 10);
}

static void an_allocation_that_is_gone_is_noticed_by_any_wish(void **state)
{
	(void)state;
	for (int channel = 0; channel < 2; channel++) {
		begin(&plain);
		if (channel)
			permit(&peer);
		w.s.allocated = false;
		channel ? snet_turn_bind(w.t, &peer, w.now)
			: snet_turn_permit(w.t, &peer, w.now);
		assert_true(turn_world_wait(&w, SNET_TURN_CLOSED, in(1)));
		assert_int_equal(w.last[SNET_TURN_CLOSED].status, 437);
		turn_world_free(&w);
	}
}

/* ---- streams */

static void a_stream_may_come_in_any_pieces(void **state)
{
	static const size_t chunks[] = { 1, 2, 3, 5, 7, 19, 100, 0 };
	const struct snet_turn_opts o = { .stream = true };

	(void)state;
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		assert_int_equal(turn_world_init(&w, &o, 1), SNET_OK);
		peer = at(PEER);
		w.chunk = chunks[i];
		snet_turn_start(w.t, w.now);
		permit(&peer);
		assert_true(say("odd") == SNET_OK && server_got("odd", false));
		assert_true(client_gets("by indication"));
		bind_to(&peer);
		assert_true(say("odd") == SNET_OK && server_got("odd", true));
		assert_true(client_gets("padded") && client_gets("") && client_gets("four"));
		assert_int_equal(snet_turn_counts(w.t)->malformed, 0);
		turn_world_free(&w);
	}
}

static void several_messages_may_come_at_once(void **state)
{
	const struct snet_turn_opts o = { .stream = true };
	struct snet_turn_event ev;
	uint8_t p[256];
	size_t n = 0, used = 0;
	unsigned datas = 0;

	(void)state;
	begin(&o);
	bind_to(&peer);
	for (unsigned i = 0; i < 5; i++)
		n += turn_server_data(&w.s, &peer, "01234", i, w.now, p + n, sizeof(p) - n);
	while (used < n) {
		used += (size_t)snet_turn_input(w.t, p + used, n - used, w.now);
		while (snet_turn_event(w.t, &ev)) {
			assert_int_equal(ev.n, datas++);
			assert_memory_equal(ev.p, "01234", ev.n);
		}
	}
	assert_int_equal(used, n);
	assert_int_equal(datas, 5);
}

static void the_longest_message_of_a_stream_is_taken(void **state)
{
	const struct snet_turn_opts o = { .stream = true };
	static uint8_t p[4 + 65536];
	struct snet_turn_event ev = { 0 };
	size_t n;

	(void)state;
	begin(&o);
	bind_to(&peer);
	n = turn_server_data(&w.s, &peer, "", 0, w.now, p, sizeof(p));
	assert_int_equal(n, 4);
	p[2] = p[3] = 0xff;
	for (size_t i = 0; i < sizeof(p); i += 1000) {
		size_t k = sizeof(p) - i < 1000 ? sizeof(p) - i : 1000;

		assert_int_equal(snet_turn_input(w.t, p + i, k, w.now), k);
	}
	assert_true(snet_turn_event(w.t, &ev));
	assert_int_equal(ev.n, 65535);
}

static void a_broken_stream_is_over(void **state)
{
	static const uint8_t cases[][4] = { "\x80...", { 0xff, 0, 0, 0 }, { 1, 1, 0, 3 } };
	const struct snet_turn_opts o = { .stream = true };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 1; k <= 4; k += 3) { /* byte by byte, and at once */
			long rc = 0;

			begin(&o);
			for (size_t j = 0; j < 4 && rc >= 0; j += k)
				rc = snet_turn_input(w.t, cases[i] + j, k, w.now);
			assert_int_equal(rc, SNET_EPROTO);
			turn_world_drain(&w);
			assert_int_equal(w.last[SNET_TURN_CLOSED].error.code, SNET_EPROTO);
			turn_world_free(&w);
		}
	}
}

/* ---- loss, doubles, disorder; memory */

static void a_bad_network_is_got_through(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		assert_int_equal(turn_world_init(&w, &plain, seed), SNET_OK);
		w.loss = 10;
		w.twice = 30;
		w.jitter = 800 * SNET_MS;
		w.s.nonce_life = 130 * SNET_SEC;
		snet_turn_start(w.t, w.now);
		for (unsigned i = 0; i < 5; i++) {
			struct snet_addr a = nth(i);

			snet_turn_bind(w.t, &a, w.now);
		}
		turn_world_run(&w, in(1800));
		if (w.told[SNET_TURN_CLOSED] || w.told[SNET_TURN_BOUND] != 5 ||
		    w.told[SNET_TURN_UNBOUND] || w.told[SNET_TURN_REFUSED])
			fail_msg("seed %u: bound %u, lost %u", seed, w.told[SNET_TURN_BOUND],
				 w.told[SNET_TURN_UNBOUND]);
		turn_world_free(&w);
	}
}

static int live(void *user)
{
	const struct snet_turn_opts o = { .stream = true };
	int rc = turn_world_init(&w, &o, 1), bound, sent;

	(void)user;
	if (rc)
		return rc;
	peer = at(PEER);
	w.chunk = 7;
	snet_turn_start(w.t, w.now);
	bound = snet_turn_bind(w.t, &peer, w.now);
	sent = snet_turn_send(w.t, &peer, "hello", 5);
	turn_world_run(&w, in(100));
	turn_world_from_peer(&w, &peer, "back", 4);
	turn_world_run(&w, in(1000));
	rc = bound ? bound : w.rc ? w.rc : sent ? sent : SNET_OK;
	if (!rc && (!w.s.datas || !w.told[SNET_TURN_DATA]))
		rc = SNET_ENOMEM; /* dropped, and counted */
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
		T(a_permission_lets_data_both_ways),
		T(wishes_before_the_allocation_are_kept),
		T(what_is_sent_early_waits_for_the_permission),
		T(what_waits_for_one_permission_does_not_for_another),
		T(a_refused_permission_drops_what_waited_for_it),
		T(every_refusal_of_a_peer_has_its_code),
		T(a_permission_never_lapses),
		T(a_permission_that_cannot_be_renewed_is_told),
		T(a_forgotten_permission_is_not_renewed),
		T(an_address_of_another_family_is_refused),
		T(a_channel_carries_data_once_it_is_bound),
		T(data_may_overtake_the_answer_to_a_binding),
		T(what_comes_is_a_view_of_what_came),
		T(a_channel_never_lapses),
		T(a_channel_refused_leaves_indications),
		T(numbers_that_were_refused_need_no_rest),
		T(an_unanswered_binding_rests_as_if_it_were_one),
		T(a_channel_number_rests_five_minutes),
		T(there_are_only_so_many_permissions),
		T(the_queues_have_a_ceiling),
		T(what_has_gone_out_makes_room),
		T(the_largest_datagram_fits),
		T(data_of_strangers_is_dropped),
		T(what_a_router_says_is_told),
		T(datagrams_are_kept_whole_where_wished),
		T(once_closed_nothing_is_taken),
		T(an_allocation_that_is_gone_is_noticed_by_any_wish),
		T(a_stream_may_come_in_any_pieces),
		T(several_messages_may_come_at_once),
		T(the_longest_message_of_a_stream_is_taken),
		T(a_broken_stream_is_over),
		T(a_bad_network_is_got_through),
		T(it_survives_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
