/* transport/loop: what every transport promises, where nothing is ever late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/net.h"
#include "support/torture.h"
#include "transport/loop_net.h"

#define T (&snet_transport_loop)
#define TURNS 40 /* more than anything below needs */

static struct snet_loop *loop;
static struct net_end a, b; /* a dials, b is dialled */
static struct net_conn c;   /* a's end */
static struct net_conn more[3];

static int begin(void **s)
{
	(void)s;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&c, 0, sizeof(c));
	memset(more, 0, sizeof(more));
	return snet_loop_new(&loop);
}

static int end(void **s)
{
	(void)s;
	net_unbind(&a);
	net_unbind(&b);
	net_conn_fini(&c);
	snet_loop_free(loop);
	return 0;
}

static void turn(void)
{
	net_turns(loop, TURNS);
}

static void bind_both(const struct snet_transport_config *ca,
		      const struct snet_transport_config *cb)
{
	net_bind(&a, loop, T, "127.0.0.1:0", 0, ca);
	net_bind(&b, loop, T, "[::1]:9000", 1, cb);
}

/* Both sides open; returns b's. */
static struct net_conn *connect_both(const struct snet_transport_config *ca,
				     const struct snet_transport_config *cb)
{
	bind_both(ca, cb);
	net_dial(&c, &a, &b.at, NULL);
	turn();
	assert_int_equal(c.opens, 1);
	assert_int_equal(b.n_accepted, 1);
	assert_non_null(c.c);
	assert_non_null(b.accepted[0].c);
	return &b.accepted[0];
}

static const uint8_t *pattern(size_t n)
{
	static uint8_t bytes[4 << 20];

	assert_true(n <= sizeof(bytes));
	if (!bytes[1])
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(i % 251);
	return bytes;
}

/* ---- endpoints */

static void a_transport_is_found_by_its_scheme(void **s)
{
	(void)s;
	assert_ptr_equal(snet_transport_find("loop"), &snet_transport_loop);
	assert_ptr_equal(snet_transport_find("quic"), &snet_transport_quic);
	assert_null(snet_transport_find("tcp"));
	assert_null(snet_transport_find(""));
}

static void a_port_belongs_to_one_endpoint_of_a_loop(void **s)
{
	struct snet_transport_config cfg = { .identity = net_identity(0) };
	static struct net_end d;
	struct snet_loop *second;
	struct snet_error err = { 0 };
	struct snet_endpoint *e = NULL;
	struct snet_addr at;

	(void)s;
	memset(&d, 0, sizeof(d));
	bind_both(NULL, NULL);
	assert_int_equal(snet_addr_port(&b.at), 9000);
	assert_true(snet_addr_port(&a.at) >= 49152);
	net_bind(&d, loop, T, "127.0.0.1:0", 2, NULL);
	assert_true(snet_addr_port(&d.at) != snet_addr_port(&a.at));
	assert_int_equal(T->bind(&e, loop, &b.at, -1, &cfg, NULL, NULL, &err), SNET_EBIND);
	assert_non_null(strstr(err.text, "9000"));
	net_unbind(&d);

	/* Another loop is another world. */
	assert_int_equal(snet_loop_new(&second), SNET_OK);
	net_bind(&d, second, T, "127.0.0.1:9000", 2, NULL);
	net_unbind(&d);
	snet_loop_free(second);

	at = b.at;
	net_unbind(&b);
	assert_int_equal(T->bind(&e, loop, &at, -1, &cfg, NULL, NULL, NULL), SNET_OK);
	T->unbind(e);
	T->unbind(NULL);
}

static void a_descriptor_or_no_identity_is_refused(void **s)
{
	struct snet_transport_config cfg = { .identity = net_identity(0) };
	struct snet_endpoint *e = NULL;
	struct snet_addr at, nowhere = { 0 };

	(void)s;
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:1"), SNET_OK);
	assert_int_equal(T->bind(&e, loop, &at, 0, &cfg, NULL, NULL, NULL), SNET_EINVAL);
	assert_int_equal(T->bind(&e, loop, NULL, -1, &cfg, NULL, NULL, NULL), SNET_EINVAL);
	assert_int_equal(T->bind(&e, loop, &nowhere, -1, &cfg, NULL, NULL, NULL), SNET_EINVAL);
	cfg.identity = NULL;
	assert_int_equal(T->bind(&e, loop, &at, -1, &cfg, NULL, NULL, NULL), SNET_EINVAL);
	assert_null(e);
}

/* ---- opening */

static void both_sides_learn_who_the_other_is(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_memory_equal(c.seen.peer_key, snet_identity_keyid(net_identity(1)),
			    SNET_KEYID_BYTES);
	assert_memory_equal(d->seen.peer_key, snet_identity_keyid(net_identity(0)),
			    SNET_KEYID_BYTES);
	assert_true(c.seen.peer_derived == snet_identity_derived(net_identity(1)));
	assert_true(d->seen.peer_derived == snet_identity_derived(net_identity(0)));
	assert_true(snet_addr_eq(&c.seen.local, &a.at));
	assert_true(snet_addr_eq(&c.seen.remote, &b.at));
	assert_true(snet_addr_eq(&d->seen.local, &b.at));
	assert_true(snet_addr_eq(&d->seen.remote, &a.at));
	assert_true(c.seen.dialled);
	assert_false(d->seen.dialled);
	assert_true(c.c->open && d->c->open);
	assert_ptr_equal(c.c->transport, T);
	assert_ptr_equal(d->c->transport, T);
	assert_int_equal(c.seen.profile, SNET_PROFILE_SNET1);
	assert_int_equal(d->seen.profile, SNET_PROFILE_SNET1);
}

static void the_profile_is_the_crates_when_either_side_wants_it(void **s)
{
	static const struct {
		bool dialler, listener;
		enum snet_role role, said;
	} cases[] = {
		{ true, false, SNET_ROLE_CLIENT, SNET_ROLE_CLIENT },
		{ false, true, SNET_ROLE_CLIENT, SNET_ROLE_CLIENT },
		{ true, true, SNET_ROLE_SERVER, SNET_ROLE_SERVER },
		{ false, false, SNET_ROLE_CLIENT, SNET_ROLE_SERVER }, /* ALPN does not say */
	};

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool crate = cases[i].dialler || cases[i].listener;
		struct snet_transport_config ca = { .crate_only = cases[i].dialler,
						    .role = cases[i].role };
		struct snet_transport_config cb = { .crate_only = cases[i].listener };
		struct net_conn *d;

		memset(&c, 0, sizeof(c));
		memset(&b, 0, sizeof(b));
		d = connect_both(&ca, &cb);
		assert_int_equal(c.seen.profile,
				 crate ? SNET_PROFILE_STOFFELNET_0_1 : SNET_PROFILE_SNET1);
		assert_int_equal(d->seen.profile, c.seen.profile);
		assert_int_equal(c.seen.role, cases[i].said);
		assert_int_equal(d->seen.role, cases[i].said);
		net_unbind(&a);
		net_unbind(&b);
	}
}

static void where_nobody_listens_a_dial_fails_fast(void **s)
{
	struct snet_transport_config cfg = { .identity = net_identity(2) };
	struct snet_endpoint *deaf;
	struct snet_addr nobody;

	(void)s;
	bind_both(NULL, NULL);
	assert_int_equal(snet_addr_parse(&nobody, "127.0.0.1:1"), SNET_OK);
	net_dial(&c, &a, &nobody, NULL);
	/* Nor where somebody only dials. */
	nobody.in.sin_port = 0;
	assert_int_equal(T->bind(&deaf, loop, &nobody, -1, &cfg, NULL, NULL, NULL), SNET_OK);
	T->address(deaf, &nobody);
	net_dial(&more[0], &a, &nobody, NULL);
	turn();
	assert_int_equal(c.opens + more[0].opens, 0);
	assert_int_equal(c.closes, 1);
	assert_int_equal(c.code, SNET_EUNREACH);
	assert_int_equal(more[0].closes, 1);
	assert_int_equal(more[0].code, SNET_EUNREACH);
	assert_false(c.by_peer);
	T->unbind(deaf);
}

static void a_listener_takes_no_more_than_it_may(void **s)
{
	struct snet_transport_config cfg = { .max_conns = 2 };

	(void)s;
	bind_both(NULL, &cfg);
	for (unsigned i = 0; i < 3; i++)
		net_dial(&more[i], &a, &b.at, NULL);
	turn();
	assert_int_equal(b.n_accepted, 2);
	assert_int_equal(more[0].opens + more[1].opens, 2);
	assert_int_equal(more[2].opens, 0);
	assert_int_equal(more[2].code, SNET_EUNREACH);
	assert_true(more[2].by_peer);
	net_close(&more[0], SNET_OK, "done");
	turn();
	memset(&more[2], 0, sizeof(more[2]));
	net_dial(&more[2], &a, &b.at, NULL);
	turn();
	assert_int_equal(more[2].opens, 1);
}

/* ---- identities */

static void a_wrong_pin_is_refused_by_the_dialler(void **s)
{
	char want[SNET_KEYID_TEXT], saw[SNET_KEYID_TEXT];

	(void)s;
	bind_both(NULL, NULL);
	net_dial(&c, &a, &b.at, snet_identity_keyid(net_identity(3)));
	turn();
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.closes, 1);
	assert_int_equal(c.code, SNET_EDENIED);
	assert_false(c.by_peer);
	assert_non_null(
		strstr(c.why, snet_keyid_print(snet_identity_keyid(net_identity(3)), want)));
	assert_non_null(
		strstr(c.why, snet_keyid_print(snet_identity_keyid(net_identity(1)), saw)));
	assert_int_equal(b.n_accepted, 0);
	assert_int_equal(b.n_refused, 1);
	assert_int_equal(b.refused_code, SNET_EDENIED);
}

static void a_stranger_is_refused_by_the_listener(void **s)
{
	struct snet_transport_config cfg = { 0 };
	struct snet_trust *t;
	char saw[SNET_KEYID_TEXT];

	(void)s;
	assert_int_equal(snet_trust_new(&t, NULL), SNET_OK);
	assert_int_equal(snet_trust_add(t, snet_identity_keyid(net_identity(3)), "carol", NULL),
			 SNET_OK);
	cfg.trust = t;
	bind_both(NULL, &cfg);
	net_dial(&c, &a, &b.at, snet_identity_keyid(net_identity(1)));
	turn();
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.code, SNET_EDENIED);
	assert_true(c.by_peer);
	assert_int_equal(b.n_accepted, 0);
	assert_int_equal(b.n_refused, 1);
	assert_int_equal(b.refused_code, SNET_EDENIED);
	assert_non_null(strstr(b.refused_why,
			       snet_keyid_print(snet_identity_keyid(net_identity(0)), saw)));

	/* Who is listed comes in. */
	assert_int_equal(snet_trust_add(t, snet_identity_keyid(net_identity(0)), NULL, NULL),
			 SNET_OK);
	memset(&c, 0, sizeof(c));
	net_dial(&c, &a, &b.at, NULL);
	turn();
	assert_int_equal(c.opens, 1);
	net_unbind(&b);
	snet_trust_free(t);
}

static void without_a_pin_the_dialler_asks_its_own_trust(void **s)
{
	struct snet_transport_config cfg = { 0 };
	struct snet_trust *t;

	(void)s;
	assert_int_equal(snet_trust_new(&t, NULL), SNET_OK);
	cfg.trust = t;
	bind_both(&cfg, NULL);
	net_dial(&c, &a, &b.at, NULL);
	/* A pin needs no list. */
	net_dial(&more[0], &a, &b.at, snet_identity_keyid(net_identity(1)));
	turn();
	assert_int_equal(c.code, SNET_EDENIED);
	assert_false(c.by_peer);
	assert_int_equal(more[0].opens, 1);
	net_unbind(&a);
	snet_trust_free(t);
}

/* ---- bytes */

static void bytes_arrive_on_every_stream_both_ways(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	for (unsigned k = 0; k < SNET_STREAMS; k++) {
		for (size_t n = 0; n < 5; n++) {
			unsigned before = d->chunks + c.chunks;

			assert_int_equal(net_send(&c, k, pattern(100 * k + n), 100 * k + n),
					 SNET_OK);
			assert_int_equal(net_send(d, k, pattern(50000), 10000 * n), SNET_OK);
			assert_int_equal(d->chunks + c.chunks, before); /* not yet */
		}
	}
	turn();
	for (unsigned k = 0; k < SNET_STREAMS; k++) {
		size_t at = 0;

		assert_int_equal(d->in[k].n, 500 * k + 10);
		assert_int_equal(c.in[k].n, 100000);
		for (size_t n = 0; n < 5; at += 100 * k + n, n++)
			if (100 * k + n)
				assert_memory_equal(d->in[k].p + at, pattern(0), 100 * k + n);
		assert_memory_equal(c.in[k].p + 10000, pattern(0), 20000);
		assert_int_equal(d->fins[k] + c.fins[k], 0);
	}
	assert_int_equal(T->queued(c.c), 0);
	assert_int_equal(net_send(&c, SNET_STREAMS, "x", 1), SNET_EINVAL);
}

static void the_dialled_side_may_speak_first(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(net_send(d, 0, "hello", 5), SNET_OK);
	assert_int_equal(net_send(d, 7, "there", 5), SNET_OK);
	turn();
	net_assert_in(&c, 0, "hello", 5);
	net_assert_in(&c, 7, "there", 5);
}

static void speak_at_once(struct net_conn *n)
{
	assert_int_equal(net_send(n, 0, "at once", 7), SNET_OK);
}

static void both_may_speak_from_on_accept_and_on_open(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	b.accepted[0].on_open = speak_at_once;
	c.on_open = speak_at_once;
	net_dial(&c, &a, &b.at, NULL);
	assert_int_equal(net_send(&c, 0, "too early", 9), SNET_ECLOSED);
	turn();
	net_assert_in(&c, 0, "at once", 7);
	net_assert_in(&b.accepted[0], 0, "at once", 7);
}

static void on_early(struct snet_conn *conn, void *user)
{
	struct net_conn *n = user;

	assert_ptr_equal(conn, n->c);
	assert_false(conn->open);
	assert_int_equal(n->opens, 0);
	assert_memory_equal(conn->peer_key, snet_identity_keyid(net_identity(1)),
			    SNET_KEYID_BYTES);
	assert_int_equal(net_send(n, 0, "early", 5), SNET_OK);
}

static void dial_early(void)
{
	static struct snet_conn_events events;

	events = net_conn_events;
	events.on_early = on_early;
	assert_int_equal(T->dial(&c.c, a.e, &b.at, NULL, &events, &c, NULL), SNET_OK);
}

/* As over QUIC: the answer, too, comes when it is open. */
static void a_dialler_may_speak_before_it_is_open(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	b.accepted[0].on_open = speak_at_once;
	dial_early();
	turn();
	assert_int_equal(c.opens, 1);
	net_assert_in(&b.accepted[0], 0, "early", 5);
	net_assert_in(&c, 0, "at once", 7);
	assert_int_equal(net_send(&c, 0, " and late", 9), SNET_OK);
	turn();
	net_assert_in(&b.accepted[0], 0, "early and late", 14);
}

static void the_crate_is_told_nothing_early(void **s)
{
	const struct snet_transport_config crate = { .crate_only = true };

	(void)s;
	bind_both(NULL, &crate);
	dial_early();
	turn();
	assert_int_equal(c.opens, 1);
	assert_int_equal(b.accepted[0].in[0].n, 0);
}

static void a_block_is_held_until_it_was_read_and_the_rest_is_copied(void **s)
{
	struct snet_block *block = snet_block_new(10000);
	uint8_t small[3] = { 'a', 'b', 'c' };
	struct net_conn *d = connect_both(NULL, NULL);
	struct snet_slice v[2] = { { small, 3, NULL }, { block->data, 10000, block } };

	(void)s;
	memcpy(block->data, pattern(10000), 10000);
	d->hold = true;
	assert_int_equal(T->send(c.c, 2, v, 2), SNET_OK);
	memset(small, 'x', 3);
	assert_int_equal(block->refs, 2);
	turn();
	assert_int_equal(d->in[2].n, 10003);
	assert_memory_equal(d->in[2].p, "abc", 3);
	assert_memory_equal(d->in[2].p + 3, pattern(0), 10000);
	assert_int_equal(block->refs, 2); /* delivered, not read */
	assert_int_equal(T->queued(c.c), 10003);
	net_consume(d, 2, 10003);
	turn();
	assert_int_equal(block->refs, 1);
	assert_int_equal(T->queued(c.c), 0);
	snet_block_free(block);
}

static void the_counters_count(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);
	struct snet_conn_stats st;

	(void)s;
	d->hold = true;
	assert_int_equal(net_send(&c, 0, pattern(3000), 3000), SNET_OK);
	turn();
	T->stats(c.c, &st);
	assert_int_equal(st.bytes_sent, 3000);
	assert_int_equal(st.in_flight, 3000);
	T->stats(d->c, &st);
	assert_int_equal(st.bytes_received, 3000);
}

/* ---- back-pressure */

static void a_receiver_that_reads_nothing_stops_the_sender(void **s)
{
	struct snet_transport_config cfg = { .window = 1000 };
	struct net_conn *d = connect_both(NULL, &cfg);

	(void)s;
	d->hold = true;
	assert_int_equal(net_send(&c, 0, pattern(5000), 5000), SNET_OK);
	assert_int_equal(net_send(&c, 3, pattern(5000), 5000), SNET_OK);
	turn();
	assert_int_equal(d->in[0].n + d->in[3].n, 1000); /* of the connection, not a stream */
	net_consume(d, 0, 300);
	turn();
	assert_int_equal(d->in[0].n + d->in[3].n, 1300);
	assert_int_equal(T->queued(c.c), 9700);
	/* The window is of one direction. */
	assert_int_equal(net_send(d, 0, pattern(5000), 5000), SNET_OK);
	turn();
	net_assert_in(&c, 0, pattern(5000), 5000);
	/* Reading goes on as fast as it is said. */
	net_consume(d, 0, d->in[0].n - 300);
	net_consume(d, 3, d->in[3].n);
	d->hold = false;
	turn();
	net_assert_in(d, 0, pattern(5000), 5000);
	net_assert_in(d, 3, pattern(5000), 5000);
	assert_int_equal(T->queued(c.c), 0);
}

static void the_default_window_is_as_documented(void **s)
{
	struct snet_transport_config cfg = { .queue = 64 << 20 };
	struct net_conn *d = connect_both(&cfg, NULL);

	(void)s;
	d->hold = true;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(net_send(&c, 0, pattern(4 << 20), 4 << 20), SNET_OK);
	turn();
	assert_int_equal(d->in[0].n, 8 << 20);
}

static void a_full_queue_says_so_and_says_when_it_is_not(void **s)
{
	struct snet_transport_config cfg = { .queue = 1000 };
	struct net_conn *d = connect_both(&cfg, NULL);

	(void)s;
	d->hold = true;
	assert_int_equal(net_send(&c, 0, pattern(999), 999), SNET_OK);
	assert_true(T->can_send(c.c));
	assert_int_equal(net_send(&c, 0, pattern(500), 500), SNET_OK); /* below its ceiling */
	assert_false(T->can_send(c.c));
	assert_int_equal(net_send(&c, 0, pattern(1), 1), SNET_EAGAIN);
	assert_int_equal(net_send(&c, 5, pattern(1), 1), SNET_EAGAIN);
	assert_int_equal(T->queued(c.c), 1499); /* nothing of it was taken */
	turn();
	assert_int_equal(c.drains, 0); /* delivered, but not read */
	net_consume(d, 0, 499);
	turn();
	assert_int_equal(c.drains, 0); /* 1000 is the ceiling */
	net_consume(d, 0, 1);
	assert_int_equal(c.drains, 0); /* not from within consumed */
	turn();
	assert_int_equal(c.drains, 1);
	assert_true(T->can_send(c.c));
	net_consume(d, 0, 999);
	turn();
	assert_int_equal(c.drains, 1); /* said once */
	assert_int_equal(d->in[0].n, 1499);
}

static void much_unsent_is_enough_until_it_is_little(void **s)
{
	struct snet_transport_config cfg = { .window = 100 };
	struct net_conn *d = connect_both(NULL, &cfg);

	(void)s;
	d->hold = true;
	while (T->can_send(c.c))
		assert_int_equal(net_send(&c, 0, pattern(65536), 65536), SNET_OK);
	assert_true(T->queued(c.c) >= 1 << 20);
	assert_true(T->queued(c.c) < 4 << 20);
	turn();
	assert_int_equal(c.drains, 0);
	d->hold = false;
	net_consume(d, 0, d->in[0].n);
	while (!c.drains)
		net_turns(loop, 1);
	assert_true(T->queued(c.c) <= 512 << 10);
	assert_true(T->can_send(c.c));
}

/* ---- the end of a stream */

static void the_end_of_a_stream_follows_its_last_byte(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(net_send(&c, 4, pattern(50000), 50000), SNET_OK);
	assert_int_equal(T->finish(c.c, 4), SNET_OK);
	assert_int_equal(T->finish(c.c, 4), SNET_OK);
	assert_int_equal(T->finish(c.c, 9), SNET_OK); /* has not begun */
	assert_int_equal(T->finish(c.c, SNET_STREAMS), SNET_EINVAL);
	assert_int_equal(net_send(&c, 4, "x", 1), SNET_ECLOSED);
	turn();
	net_assert_in(d, 4, pattern(50000), 50000);
	assert_int_equal(d->fins[4], 1);
	assert_int_equal(d->fins[9], 0);
	assert_int_equal(c.flushes, 0); /* stream 0 goes on */
	assert_int_equal(net_send(&c, 0, "still here", 10), SNET_OK);
	assert_int_equal(net_send(d, 4, "back", 4), SNET_OK); /* the other direction too */
	turn();
	net_assert_in(d, 0, "still here", 10);
	net_assert_in(&c, 4, "back", 4);
}

static void an_end_may_come_alone(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(T->finish(c.c, 0), SNET_OK);
	turn();
	assert_int_equal(d->fins[0], 1);
	assert_int_equal(d->in[0].n, 0);
	assert_int_equal(c.flushes, 1);
	assert_int_equal(T->finish(d->c, 0), SNET_OK);
	turn();
	assert_int_equal(c.fins[0], 1);
	assert_int_equal(d->flushes, 1);
	assert_int_equal(c.closes + d->closes, 0); /* closing is another thing */
}

static void flushed_means_read_and_the_end_of_stream_0_is_the_end_of_all(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	d->hold = true;
	assert_int_equal(net_send(&c, 0, "zero", 4), SNET_OK);
	assert_int_equal(net_send(&c, 2, "two", 3), SNET_OK);
	assert_int_equal(net_send(&c, 3, "three", 5), SNET_OK);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(T->finish(c.c, k), SNET_OK); /* not 3 */
	turn();
	assert_int_equal(d->fins[2], 1);
	assert_int_equal(d->fins[0], 0); /* the others first */
	assert_int_equal(c.flushes, 0);
	net_consume(d, 2, 3);
	turn();
	assert_int_equal(d->fins[0], 1);
	assert_int_equal(c.flushes, 0);
	net_consume(d, 0, 4);
	turn();
	assert_int_equal(c.flushes, 1);
	assert_int_equal(T->queued(c.c), 5); /* three is not finished: nobody waits for it */
	net_consume(d, 3, 5);
	turn();
	assert_int_equal(c.flushes, 1);
}

/* ---- the end of a connection */

static void both_sides_hear_who_closed_and_why(void **s)
{
	static const int codes[] = { SNET_OK, SNET_EPOLICY, SNET_ETOOBIG, SNET_ECANCELLED };

	(void)s;
	for (size_t i = 0; i < 4; i++) {
		struct net_conn *d;

		memset(&c, 0, sizeof(c));
		memset(&b, 0, sizeof(b));
		d = connect_both(NULL, NULL);
		if (i % 2)
			net_close(d, codes[i], "that is why");
		else
			net_close(&c, codes[i], "that is why");
		assert_int_equal(c.closes + d->closes, 0);
		turn();
		assert_int_equal(c.closes, 1);
		assert_int_equal(d->closes, 1);
		assert_int_equal(c.code, codes[i]);
		assert_int_equal(d->code, codes[i]);
		assert_string_equal(c.why, "that is why");
		assert_string_equal(d->why, "that is why");
		assert_int_equal(c.by_peer, i % 2);
		assert_int_equal(d->by_peer, !(i % 2));
		net_unbind(&a);
		net_unbind(&b);
	}
}

static void the_crate_says_why_in_words_only(void **s)
{
	static const struct {
		const char *why;
		int heard;
	} cases[] = {
		{ "bye", SNET_OK },
		{ "unknown peer", SNET_EDENIED },
		{ "certificate public key not allowed", SNET_EDENIED },
	};
	struct snet_transport_config cfg = { .crate_only = true };

	(void)s;
	for (size_t i = 0; i < 3; i++) {
		struct net_conn *d;

		memset(&c, 0, sizeof(c));
		memset(&b, 0, sizeof(b));
		d = connect_both(NULL, &cfg);
		net_close(d, SNET_ETOOBIG, cases[i].why);
		turn();
		assert_int_equal(d->code, SNET_ETOOBIG);
		assert_int_equal(c.code, cases[i].heard);
		assert_string_equal(c.why, cases[i].why);
		net_unbind(&a);
		net_unbind(&b);
	}
}

static void a_long_reason_is_cut_and_an_empty_one_replaced(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);
	char why[1000];

	(void)s;
	memset(why, 'w', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	net_close(&c, SNET_EIO, why);
	turn();
	assert_true(strlen(d->why) >= 100 && strlen(d->why) < 200);
	assert_int_equal(strspn(d->why, "w"), strlen(d->why));
	memset(&c, 0, sizeof(c));
	net_dial(&c, &a, &b.at, NULL);
	turn();
	net_close(&c, SNET_EIO, "");
	turn();
	assert_string_equal(b.accepted[1].why, "closed");
}

static void who_closes_at_the_same_time_keeps_its_own_reason(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	net_close(&c, SNET_EPOLICY, "mine");
	net_close(d, SNET_ETIMEOUT, "yours");
	net_close(&c, SNET_EIO, "again"); /* the first word stands */
	turn();
	assert_int_equal(c.code, SNET_EPOLICY);
	assert_int_equal(d->code, SNET_ETIMEOUT);
	assert_false(c.by_peer || d->by_peer);
	assert_int_equal(c.closes + d->closes, 2);
}

static void closing_discards_what_is_unsent(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(net_send(&c, 0, pattern(1000), 1000), SNET_OK);
	net_close(&c, SNET_OK, "done");
	assert_int_equal(net_send(&c, 0, "x", 1), SNET_ECLOSED);
	assert_int_equal(T->finish(c.c, 0), SNET_ECLOSED);
	assert_false(T->can_send(c.c));
	turn();
	assert_int_equal(d->in[0].n, 0);
	assert_int_equal(d->closes, 1);
	assert_int_equal(c.queued_at_close, 1000);
}

static void a_dial_may_be_called_off(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	net_dial(&c, &a, &b.at, NULL);
	net_close(&c, SNET_ECANCELLED, "never mind");
	turn();
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.closes, 1);
	assert_int_equal(c.code, SNET_ECANCELLED);
	assert_false(c.by_peer);
	assert_int_equal(b.n_accepted + b.n_refused, 0);
}

static void turn_away(struct net_end *n, struct snet_conn *conn)
{
	(void)n;
	conn->transport->close(conn, SNET_EPOLICY, "not today");
}

static void look_away(struct net_end *n, struct snet_conn *conn)
{
	(void)n, (void)conn;
}

static void a_listener_may_turn_a_peer_away(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	b.on_accept = turn_away;
	net_dial(&c, &a, &b.at, NULL);
	turn();
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.closes, 1);
	assert_int_equal(c.code, SNET_EPOLICY);
	assert_string_equal(c.why, "not today");
	assert_true(c.by_peer);
	/* One that nobody took does not hang about. */
	b.on_accept = look_away;
	memset(&c, 0, sizeof(c));
	net_dial(&c, &a, &b.at, NULL);
	turn();
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.closes, 1);
}

/* ---- from within callbacks */

static void close_it(struct net_conn *n)
{
	net_close(n, SNET_EPOLICY, "from a callback");
}

static void close_it_on_data(struct net_conn *n, unsigned stream, size_t len, bool fin)
{
	(void)stream, (void)len, (void)fin;
	close_it(n);
}

static void close_other(struct net_conn *n)
{
	struct net_conn *o = n->user;

	if (o->c)
		net_close(o, SNET_EPOLICY, "from over there");
}

static void close_other_on_data(struct net_conn *n, unsigned stream, size_t len, bool fin)
{
	(void)stream, (void)len, (void)fin;
	close_other(n);
	close_it(n);
}

static void any_callback_may_close_either_end(void **s)
{
	(void)s;
	for (unsigned how = 0; how < 10; how++) {
		struct net_conn *d = &b.accepted[0];
		void (*close_which)(struct net_conn *) = how % 2 ? close_other : close_it;
		struct snet_transport_config cfg = { .queue = 100 };

		memset(&c, 0, sizeof(c));
		memset(&b, 0, sizeof(b));
		c.user = d;
		d->user = &c;
		bind_both(&cfg, NULL);
		switch (how / 2) {
		case 0:
			c.on_open = close_which;
			break;
		case 1:
			d->on_open = close_which;
			break;
		case 2:
			d->on_data = how % 2 ? close_other_on_data : close_it_on_data;
			break;
		case 3:
			c.on_drain = close_which;
			break;
		default:
			c.on_flushed = close_which;
			c.on_close = d->on_close = close_other; /* ignored: it is over */
		}
		net_dial(&c, &a, &b.at, NULL);
		turn();
		if (c.c && c.opens) {
			net_send(&c, 0, pattern(100000), 100000);
			net_send(&c, 0, "x", 1);
			T->finish(c.c, 0);
		}
		turn();
		assert_int_equal(c.closes, 1);
		assert_int_equal(d->closes, 1);
		net_unbind(&a);
		net_unbind(&b);
		net_conn_fini(&c);
	}
	memset(&c, 0, sizeof(c));
}

static void unbind_a(struct net_conn *n)
{
	(void)n;
	if (a.e)
		T->unbind(a.e);
	a.e = NULL;
}

static void unbind_b(struct net_conn *n)
{
	(void)n;
	if (b.e)
		T->unbind(b.e);
	b.e = NULL;
}

static void unbind_a_on_data(struct net_conn *n, unsigned stream, size_t len, bool fin)
{
	(void)stream, (void)len, (void)fin;
	unbind_a(n);
}

static void unbind_b_on_data(struct net_conn *n, unsigned stream, size_t len, bool fin)
{
	(void)stream, (void)len, (void)fin;
	unbind_b(n);
}

static void any_callback_may_unbind_either_end(void **s)
{
	(void)s;
	for (unsigned how = 0; how < 12; how++) {
		struct net_conn *d = &b.accepted[0];
		void (*unbind)(struct net_conn *) = how % 2 ? unbind_b : unbind_a;

		memset(&c, 0, sizeof(c));
		memset(&b, 0, sizeof(b));
		bind_both(NULL, NULL);
		switch (how / 2) {
		case 0:
			c.on_open = unbind;
			break;
		case 1:
			d->on_open = unbind;
			break;
		case 2:
			d->on_data = how % 2 ? unbind_b_on_data : unbind_a_on_data;
			break;
		case 3:
			c.on_flushed = unbind;
			break;
		case 4:
			c.on_close = unbind;
			break;
		default:
			d->on_close = unbind;
		}
		net_dial(&c, &a, &b.at, NULL);
		turn();
		if (c.c && c.opens) {
			net_send(&c, 0, pattern(100000), 100000);
			T->finish(c.c, 0);
		}
		turn();
		if (how / 2 >= 4 && c.c)
			net_close(&c, SNET_OK, "done");
		turn();
		assert_int_equal(c.closes, 1);
		assert_int_equal(d->closes, b.n_accepted);
		net_unbind(&a);
		net_unbind(&b);
		net_conn_fini(&c);
	}
	memset(&c, 0, sizeof(c));
}

static void unbinding_closes_what_is_open(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	net_dial(&more[0], &a, &b.at, NULL);
	unbind_a(&c);
	assert_int_equal(c.closes, 1); /* before it returns */
	assert_int_equal(c.code, SNET_ECLOSED);
	assert_false(c.by_peer);
	assert_int_equal(more[0].closes, 1);
	assert_int_equal(d->closes, 0);
	turn();
	assert_int_equal(d->closes, 1);
	assert_int_equal(d->code, SNET_OK);
	assert_true(d->by_peer);
}

static void dial_again(struct net_conn *n)
{
	struct snet_conn *again;

	(void)n;
	assert_int_equal(T->dial(&again, a.e, &b.at, NULL, &net_conn_events, NULL, NULL),
			 SNET_ECLOSED);
	n->user = NULL;
}

static void nothing_begins_at_an_endpoint_that_is_being_closed(void **s)
{
	connect_both(NULL, NULL);
	(void)s;
	c.on_close = dial_again;
	c.user = &c;
	T->unbind(a.e);
	a.e = NULL;
	assert_null(c.user);
}

/* ---- many of them, and at random */

#define PARTIES 12

static uint32_t seed;
static uint64_t trace; /* of everything that happened, in order */

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525 + 1013904223; /* Numerical Recipes; the same every run */
	return (seed >> 8) % below;
}

static void note(uint64_t what)
{
	trace = (trace ^ what) * 1099511628211; /* FNV-1a */
}

/* One end in the storm. What it sends on a stream is a pattern of the offset. */
struct stormy {
	struct snet_conn *conn;
	unsigned id;
	uint64_t sent[SNET_STREAMS], got[SNET_STREAMS], unread[SNET_STREAMS];
	bool fin[SNET_STREAMS], fin_got[SNET_STREAMS];
	unsigned closes;
};

static struct stormy storm[2 * PARTIES * PARTIES];
static unsigned n_storm;
static struct snet_endpoint *parties[PARTIES];
static struct snet_addr ports[PARTIES];

static void act(void);

static void send_some(struct stormy *w)
{
	unsigned k = draw(SNET_STREAMS);
	size_t n = draw(3) ? draw(300) : draw(60000);
	struct snet_slice v[2];
	uint8_t *p;
	int rc;

	if (w->fin[k])
		return;
	p = malloc(n + 1);
	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((w->sent[k] + i) % 251);
	v[0] = (struct snet_slice){ p, n / 2, NULL };
	v[1] = (struct snet_slice){ p + n / 2, n - n / 2, NULL };
	rc = T->send(w->conn, k, v, 2);
	free(p);
	assert_true(rc == SNET_OK || rc == SNET_EAGAIN || rc == SNET_ECLOSED);
	if (!rc)
		w->sent[k] += n;
}

static void read_some(struct stormy *w)
{
	unsigned k = draw(SNET_STREAMS);
	size_t n = (size_t)w->unread[k];

	if (draw(2))
		n = draw((uint32_t)n + 1);
	w->unread[k] -= n;
	T->consumed(w->conn, k, n);
}

static void act(void)
{
	struct stormy *w = &storm[draw(n_storm)];
	unsigned k = draw(SNET_STREAMS);

	if (!w->conn)
		return;
	switch (draw(60)) {
	case 0:
		T->close(w->conn, -(int)draw(20), "storm");
		break;
	case 1:
		if (!T->finish(w->conn, k))
			w->fin[k] = true;
		break;
	case 2:
		T->can_send(w->conn);
		break;
	default:
		if (draw(2))
			send_some(w);
		else
			read_some(w);
	}
}

static void on_storm_open(struct snet_conn *conn, void *user)
{
	struct stormy *w = user;

	(void)conn;
	note(1000 + w->id);
	for (unsigned i = 0; i < 4; i++)
		act();
}

static void on_storm_data(struct snet_conn *conn, unsigned stream, const uint8_t *p, size_t n,
			  bool fin, void *user)
{
	struct stormy *w = user;

	assert_true(conn == w->conn && !w->closes && !w->fin_got[stream]);
	note(2000 + w->id * SNET_STREAMS + stream);
	note(n);
	w->unread[stream] += n;
	for (unsigned i = draw(3); i; i--)
		act(); /* p stays good meanwhile */
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], (w->got[stream] + i) % 251);
	w->got[stream] += n;
	w->fin_got[stream] = fin;
}

static void on_storm_news(struct snet_conn *conn, void *user)
{
	struct stormy *w = user;

	assert_true(conn == w->conn && !w->closes);
	note(3000 + w->id);
	act();
}

static void on_storm_close(struct snet_conn *conn, int code, const char *why, bool by_peer,
			   void *user)
{
	struct stormy *w = user;

	(void)why;
	assert_ptr_equal(conn, w->conn);
	note(4000 + w->id * 2 + by_peer);
	note((uint64_t)-code);
	w->closes++;
	w->conn = NULL;
	act();
}

static const struct snet_conn_events storm_events = { on_storm_open, on_storm_data,
						      on_storm_news, on_storm_news,
						      on_storm_close };

static void on_storm_accept(struct snet_endpoint *e, struct snet_conn *conn, void *user)
{
	struct stormy *w = &storm[n_storm];

	(void)e, (void)user;
	assert_true(n_storm < sizeof(storm) / sizeof(storm[0]));
	*w = (struct stormy){ .conn = conn, .id = n_storm++ };
	conn->events = &storm_events;
	conn->user = w;
	note(5000 + w->id);
}

static const struct snet_endpoint_events storm_accepts = { on_storm_accept, NULL };

static void start_storm(struct snet_trust *anyone)
{
	n_storm = 0;
	for (unsigned i = 0; i < PARTIES; i++) {
		struct snet_transport_config cfg = { .identity = net_identity(i % 4),
						     .trust = anyone,
						     .crate_only = i % 3 == 0,
						     .window = 5000,
						     .queue = 70000 };

		assert_int_equal(snet_addr_parse(&ports[i], "127.0.0.1:0"), SNET_OK);
		assert_int_equal(T->bind(&parties[i], loop, &ports[i], -1, &cfg, &storm_accepts,
					 NULL, NULL),
				 SNET_OK);
		T->address(parties[i], &ports[i]);
	}
	for (unsigned i = 0; i < PARTIES; i++) {
		for (unsigned k = 0; k < i; k++) {
			struct stormy *w = &storm[n_storm];

			*w = (struct stormy){ .id = n_storm++ };
			assert_int_equal(T->dial(&w->conn, parties[i], &ports[k], NULL,
						 &storm_events, w, NULL),
					 SNET_OK);
		}
	}
}

static uint64_t run_storm(uint32_t from)
{
	struct snet_trust *anyone;

	seed = from;
	trace = 14695981039346656037u;
	assert_int_equal(snet_trust_new(&anyone, NULL), SNET_OK);
	snet_trust_set_insecure(anyone);
	start_storm(anyone);
	for (unsigned i = 0; i < 60; i++) {
		net_turns(loop, 10);
		for (unsigned k = 0; k < 100; k++)
			act();
		if (i % 10 == 9) {
			T->unbind(parties[i / 10]);
			parties[i / 10] = NULL;
		}
	}
	for (unsigned i = 0; i < PARTIES; i++)
		T->unbind(parties[i]);
	for (unsigned i = 0; i < n_storm; i++)
		assert_int_equal(storm[i].closes, 1);
	snet_trust_free(anyone);
	return trace;
}

static void a_storm_breaks_nothing_and_replays_exactly(void **s)
{
	uint64_t first = run_storm(1);

	(void)s;
	assert_true(run_storm(1) == first);
	assert_true(run_storm(2) != first);
	for (uint32_t i = 3; i < 8; i++)
		run_storm(i);
}

/* ---- memory */

static int a_life(void *user)
{
	struct snet_transport_config cfg = { .identity = net_identity(0), .trust = user };
	struct snet_endpoint *e = NULL, *f = NULL;
	struct net_conn n = { 0 };
	struct snet_addr at, to;
	struct stormy *w = &storm[0];
	int rc;

	snet_addr_parse(&at, "127.0.0.1:0");
	n_storm = 0;
	rc = T->bind(&e, loop, &at, -1, &cfg, NULL, NULL, NULL);
	if (!rc)
		rc = T->bind(&f, loop, &at, -1, &cfg, &storm_accepts, NULL, NULL);
	if (!rc) {
		T->address(f, &to);
		rc = T->dial(&n.c, e, &to, NULL, &net_conn_events, &n, NULL);
	}
	if (!rc) {
		net_turns(loop, 5);
		rc = n.closes ? n.code : n.opens == 1 && n_storm == 1 ? SNET_OK : 1;
	}
	if (!rc)
		rc = net_send(&n, 1, pattern(100000), 100000);
	if (!rc)
		rc = T->send(w->conn, 2, &(struct snet_slice){ pattern(10), 10, NULL }, 1);
	if (e)
		T->unbind(e);
	if (f)
		T->unbind(f);
	net_turns(loop, 5);
	net_conn_fini(&n);
	return rc;
}

static void out_of_memory_is_an_error(void **s)
{
	struct snet_trust *anyone;

	(void)s;
	net_identity(0);
	assert_int_equal(snet_trust_new(&anyone, NULL), SNET_OK);
	snet_trust_set_insecure(anyone);
	assert_true(torture(a_life, anyone) >= 5);
	snet_trust_free(anyone);
}

/* ---- with something between, in virtual time */

static snet_time late; /* nothing arrives before; SNET_NEVER: nothing at all */

static snet_time reaches(const struct snet_conn *conn, snet_time now, void *user)
{
	(void)conn, (void)user;
	return late > now ? late : now;
}

static const struct snet_loop_net between = { .reaches = reaches };

static int begin_between(void **s)
{
	begin(s);
	snet_loop_free(loop);
	late = 0;
	snet_loop_net_set(&between);
	return snet_loop_new_virtual(&loop);
}

static int end_between(void **s)
{
	snet_loop_net_set(NULL);
	return end(s);
}

/* Until nothing more happens; returns how long that took. */
static snet_time rest(void)
{
	snet_time began = snet_loop_now(loop);

	while (snet_loop_turn(loop))
		;
	return snet_loop_now(loop) - began;
}

/* As connect_both, with so long until each side notices that the other is gone. */
static struct net_conn *connect_between(snet_time dead_a, snet_time dead_b)
{
	struct snet_transport_config ca = { .dead_after = dead_a },
				     cb = { .dead_after = dead_b };

	bind_both(&ca, &cb);
	net_dial(&c, &a, &b.at, NULL);
	assert_int_equal(rest(), 0);
	assert_int_equal(c.opens, 1);
	return &b.accepted[0];
}

static void what_is_late_arrives_when_it_may(void **s)
{
	struct net_conn *d;

	(void)s;
	late = snet_loop_now(loop) + 50 * SNET_MS;
	bind_both(NULL, NULL);
	net_dial(&c, &a, &b.at, NULL);
	assert_int_equal(rest(), 50 * SNET_MS);
	d = &b.accepted[0];
	assert_int_equal(c.opens, 1);
	late += SNET_SEC;
	net_send(&c, 0, "late", 4);
	assert_int_equal(rest(), SNET_SEC);
	net_assert_in(d, 0, "late", 4);
	late += SNET_SEC;
	net_close(&c, SNET_EPROTO, "bad");
	assert_int_equal(rest(), SNET_SEC);
	assert_int_equal(c.closes, 1);
	assert_int_equal(d->closes, 1);
	assert_int_equal(d->code, SNET_EPROTO);
}

static void who_is_cut_off_for_good_finds_out(void **s)
{
	struct net_conn *d = connect_between(2 * SNET_SEC, 3 * SNET_SEC);

	(void)s;
	snet_loop_net_sever(c.c);
	net_send(&c, 0, "lost", 4);
	assert_int_equal(rest(), 3 * SNET_SEC);
	assert_int_equal(c.closes, 1);
	assert_int_equal(c.code, SNET_ELOST);
	assert_false(c.by_peer);
	assert_int_equal(d->closes, 1);
	assert_int_equal(d->code, SNET_ELOST);
	assert_false(d->by_peer);
	assert_int_equal(d->in[0].n, 0);
}

static void on_cut_is_over(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	late = 0;
	snet_loop_net_changed();
}

static void who_is_cut_off_for_a_while_goes_on(void **s)
{
	struct net_conn *d = connect_between(2 * SNET_SEC, 2 * SNET_SEC);
	struct snet_timer stop = { 0 };

	(void)s;
	late = SNET_NEVER;
	snet_loop_net_changed();
	net_send(&c, 0, "still", 5);
	stop.fn = on_cut_is_over;
	assert_int_equal(snet_timer_set(loop, &stop, snet_loop_now(loop) + SNET_SEC), SNET_OK);
	assert_int_equal(rest(), SNET_SEC);
	net_assert_in(d, 0, "still", 5);
	assert_int_equal(c.closes + d->closes, 0);
	/* The next time counts from its own beginning. */
	late = SNET_NEVER;
	snet_loop_net_changed();
	assert_int_equal(rest(), 2 * SNET_SEC);
	assert_int_equal(c.closes + d->closes, 2);
}

static void a_dial_into_nowhere_times_out(void **s)
{
	struct snet_transport_config cfg = { .handshake_timeout = 4 * SNET_SEC };

	(void)s;
	late = SNET_NEVER;
	bind_both(&cfg, NULL);
	net_dial(&c, &a, &b.at, NULL);
	assert_int_equal(rest(), 4 * SNET_SEC);
	assert_int_equal(c.closes, 1);
	assert_int_equal(c.code, SNET_ETIMEOUT);
	assert_int_equal(b.n_accepted, 0);
}

static int drop_identities(void **s)
{
	(void)s;
	net_identities_free();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define BETWEEN(name) cmocka_unit_test_setup_teardown(name, begin_between, end_between)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_transport_is_found_by_its_scheme),
		TEST(a_port_belongs_to_one_endpoint_of_a_loop),
		TEST(a_descriptor_or_no_identity_is_refused),
		TEST(both_sides_learn_who_the_other_is),
		TEST(the_profile_is_the_crates_when_either_side_wants_it),
		TEST(where_nobody_listens_a_dial_fails_fast),
		TEST(a_listener_takes_no_more_than_it_may),
		TEST(a_wrong_pin_is_refused_by_the_dialler),
		TEST(a_stranger_is_refused_by_the_listener),
		TEST(without_a_pin_the_dialler_asks_its_own_trust),
		TEST(bytes_arrive_on_every_stream_both_ways),
		TEST(the_dialled_side_may_speak_first),
		TEST(both_may_speak_from_on_accept_and_on_open),
		TEST(a_dialler_may_speak_before_it_is_open),
		TEST(the_crate_is_told_nothing_early),
		TEST(a_block_is_held_until_it_was_read_and_the_rest_is_copied),
		TEST(the_counters_count),
		TEST(a_receiver_that_reads_nothing_stops_the_sender),
		TEST(the_default_window_is_as_documented),
		TEST(a_full_queue_says_so_and_says_when_it_is_not),
		TEST(much_unsent_is_enough_until_it_is_little),
		TEST(the_end_of_a_stream_follows_its_last_byte),
		TEST(an_end_may_come_alone),
		TEST(flushed_means_read_and_the_end_of_stream_0_is_the_end_of_all),
		TEST(both_sides_hear_who_closed_and_why),
		TEST(the_crate_says_why_in_words_only),
		TEST(a_long_reason_is_cut_and_an_empty_one_replaced),
		TEST(who_closes_at_the_same_time_keeps_its_own_reason),
		TEST(closing_discards_what_is_unsent),
		TEST(a_dial_may_be_called_off),
		TEST(a_listener_may_turn_a_peer_away),
		TEST(any_callback_may_close_either_end),
		TEST(any_callback_may_unbind_either_end),
		TEST(unbinding_closes_what_is_open),
		TEST(nothing_begins_at_an_endpoint_that_is_being_closed),
		TEST(a_storm_breaks_nothing_and_replays_exactly),
		TEST(out_of_memory_is_an_error),
		BETWEEN(what_is_late_arrives_when_it_may),
		BETWEEN(who_is_cut_off_for_good_finds_out),
		BETWEEN(who_is_cut_off_for_a_while_goes_on),
		BETWEEN(a_dial_into_nowhere_times_out),
	};

	return cmocka_run_group_tests(tests, NULL, drop_identities);
}
