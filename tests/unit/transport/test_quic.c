/* transport/quic: two endpoints in one process, on loopback; a relay stands in for bad
 * networks, bare sockets for strangers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/net.h"
#include "support/torture.h"

#define T (&snet_transport_quic)
#define MIB (1u << 20)
#define BULK (10 * MIB)

static struct snet_loop *loop;
static struct net_end a, b; /* a dials, b is dialled */
static struct net_conn c;   /* a's end */
static struct net_conn more[NET_ACCEPTS];

static const uint8_t *pattern(size_t n)
{
	static uint8_t *bytes;

	if (!bytes) {
		bytes = malloc(BULK);
		assert_non_null(bytes);
		for (size_t i = 0; i < BULK; i++)
			bytes[i] = (uint8_t)(i % 251 ^ i >> 11);
	}
	assert_true(n <= BULK);
	return bytes;
}

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
	for (unsigned i = 0; i < NET_ACCEPTS; i++)
		net_conn_fini(&more[i]);
	snet_loop_free(loop);
	return 0;
}

/* For tests that run their body for each case. */
static void again(void)
{
	end(NULL);
	begin(NULL);
}

static void bind_both(const struct snet_transport_config *ca,
		      const struct snet_transport_config *cb)
{
	net_bind(&a, loop, T, "127.0.0.1:0", 0, ca);
	net_bind(&b, loop, T, "127.0.0.1:0", 1, cb);
}

static bool is_settled(void *user)
{
	struct net_conn *n = user;

	return n->opens || n->closes;
}

static bool is_closed(void *user)
{
	return ((struct net_conn *)user)->closes;
}

static struct net_conn *connect_to(const struct snet_addr *to)
{
	net_dial(&c, &a, to, NULL);
	net_until(loop, is_settled, &c);
	if (!c.opens)
		fail_msg("not connected: %s: %s", snet_err_name(c.code), c.why);
	assert_int_equal(b.n_accepted, 1);
	return &b.accepted[0];
}

static struct net_conn *connect_both(const struct snet_transport_config *ca,
				     const struct snet_transport_config *cb)
{
	bind_both(ca, cb);
	return connect_to(&b.at);
}

static struct {
	const struct net_conn *n;
	unsigned stream;
	size_t bytes;
} wanted;

static bool has_wanted(void *user)
{
	(void)user;
	return wanted.n->in[wanted.stream].n >= wanted.bytes || wanted.n->closes;
}

static void until_in(const struct net_conn *n, unsigned stream, size_t bytes)
{
	wanted.n = n;
	wanted.stream = stream;
	wanted.bytes = bytes;
	net_until(loop, has_wanted, NULL);
	if (n->in[stream].n < bytes)
		fail_msg("closed after %zu of %zu bytes: %s: %s", n->in[stream].n, bytes,
			 snet_err_name(n->code), n->why);
}

/* ---- a bulk sender: keeps the queue full until all is sent, then finishes */

struct bulk {
	size_t at, total;
	unsigned stream;
	bool finish;
};

static void send_more(struct net_conn *n)
{
	struct bulk *k = n->user;

	while (k->at < k->total && T->can_send(n->c)) {
		size_t len = k->total - k->at < 50000 ? k->total - k->at : 50000;

		if (net_send(n, k->stream, pattern(BULK) + k->at, len))
			return;
		k->at += len;
	}
	if (k->at == k->total && k->finish) {
		assert_int_equal(T->finish(n->c, k->stream), SNET_OK);
		k->finish = false;
	}
}

static void start_bulk(struct net_conn *n, struct bulk *k)
{
	n->user = k;
	n->on_drain = send_more;
	send_more(n);
}

/* ---- opening */

static void both_sides_learn_who_the_other_is(void **s)
{
	struct net_conn *d;

	(void)s;
	bind_both(NULL, NULL);
	net_dial(&c, &a, &b.at, snet_identity_keyid(net_identity(1)));
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 1);
	assert_int_equal(b.n_accepted, 1);
	d = &b.accepted[0];
	assert_memory_equal(c.seen.peer_key, snet_identity_keyid(net_identity(1)),
			    SNET_KEYID_BYTES);
	assert_memory_equal(d->seen.peer_key, snet_identity_keyid(net_identity(0)),
			    SNET_KEYID_BYTES);
	assert_true(c.seen.peer_derived == snet_identity_derived(net_identity(1)));
	assert_true(d->seen.peer_derived == snet_identity_derived(net_identity(0)));
	assert_true(snet_addr_eq(&c.seen.remote, &b.at));
	assert_true(snet_addr_eq(&d->seen.remote, &a.at));
	assert_true(snet_addr_eq(&d->seen.local, &b.at));
	assert_true(c.seen.dialled && !d->seen.dialled);
	assert_true(c.c->open && d->c->open);
	assert_int_equal(c.seen.profile, SNET_PROFILE_SNET1);
	assert_int_equal(d->seen.profile, SNET_PROFILE_SNET1);
	assert_int_equal(c.seen.role, SNET_ROLE_SERVER); /* ALPN does not say */
}

static void ipv6_and_every_address_work_too(void **s)
{
	static const char *const at[][2] = {
		{ "[::1]:0", "[::1]:0" },     { "[::]:0", "[::]:0" },
		{ "0.0.0.0:0", "0.0.0.0:0" }, { "[::]:0", "0.0.0.0:0" },
		{ "127.0.0.1:0", "[::]:0" },
	};

	(void)s;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct snet_addr to;

		if (i)
			again();
		net_bind(&a, loop, T, at[i][0], 0, NULL);
		net_bind(&b, loop, T, at[i][1], 1, NULL);
		assert_int_equal(snet_addr_parse(&to, i < 2 ? "[::1]:1" : "127.0.0.1:1"),
				 SNET_OK);
		snet_addr_set_port(&to, snet_addr_port(&b.at));
		connect_to(&to);
		assert_int_equal(net_send(&c, 0, "hello", 5), SNET_OK);
		until_in(&b.accepted[0], 0, 5);
		assert_int_equal(net_send(&b.accepted[0], 0, "back", 4), SNET_OK);
		until_in(&c, 0, 4);
	}
}

static void the_profile_and_the_role_are_said_by_alpn(void **s)
{
	static const struct {
		bool dialler, listener;
		enum snet_role role;
	} cases[] = {
		{ true, false, SNET_ROLE_CLIENT },
		{ true, false, SNET_ROLE_SERVER },
		{ false, true, SNET_ROLE_CLIENT },
		{ true, true, SNET_ROLE_SERVER },
	};

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_transport_config ca = { .crate_only = cases[i].dialler,
						    .role = cases[i].role };
		struct snet_transport_config cb = { .crate_only = cases[i].listener };
		struct net_conn *d;

		if (i)
			again();
		d = connect_both(&ca, &cb);
		assert_int_equal(c.seen.profile, SNET_PROFILE_STOFFELNET_0_1);
		assert_int_equal(d->seen.profile, SNET_PROFILE_STOFFELNET_0_1);
		assert_int_equal(c.seen.role, cases[i].role);
		assert_int_equal(d->seen.role, cases[i].role);
	}
}

static void a_descriptor_can_be_taken_over(void **s)
{
	struct snet_transport_config cfg = { .identity = net_identity(1) };
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct snet_endpoint *e;
	struct snet_addr at;
	struct snet_error err = { 0 };

	(void)s;
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	net_bind(&a, loop, T, "127.0.0.1:0", 0, NULL);
	cfg.trust = a.trust;
	if (T->bind(&e, loop, NULL, fd, &cfg, NULL, NULL, &err))
		fail_msg("%s", err.text);
	T->address(e, &at);
	assert_true(snet_addr_port(&at));
	T->unbind(e);
	assert_true(close(fd) < 0); /* it was closed with the endpoint */
	T->unbind(NULL);
}

static void an_address_in_use_cannot_be_bound(void **s)
{
	struct snet_transport_config cfg = { .identity = net_identity(1) };
	struct snet_endpoint *e = NULL;
	struct snet_error err = { 0 };

	(void)s;
	net_bind(&a, loop, T, "127.0.0.1:0", 0, NULL);
	cfg.trust = a.trust;
	assert_int_equal(T->bind(&e, loop, &a.at, -1, &cfg, NULL, NULL, &err), SNET_EBIND);
	assert_null(e);
	assert_true(err.text[0]);
}

static void greet(struct net_conn *n)
{
	assert_int_equal(net_send(n, 0, "welcome", 7), SNET_OK);
}

/* The dialler has not opened stream 0 yet: it waits for that, whatever arrives before. */
static void a_listener_may_speak_first(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	b.accepted[0].on_open = greet;
	connect_to(&b.at);
	until_in(&c, 0, 7);
	assert_memory_equal(c.in[0].p, "welcome", 7);
}

/* ---- what goes out with the proof */

static unsigned earlies;

static void on_early(struct snet_conn *conn, void *user)
{
	struct net_conn *n = user;

	earlies++;
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
	earlies = 0;
	assert_int_equal(T->dial(&c.c, a.e, &b.at, NULL, &events, &c, NULL), SNET_OK);
}

static void answer(struct net_conn *n, unsigned stream, size_t len, bool fin)
{
	(void)stream, (void)len, (void)fin;
	assert_int_equal(net_send(n, 0, "answer", 6), SNET_OK);
}

/* on_data asserts that the answer is not before on_open. */
static void what_is_said_early_is_answered_with_the_confirmation(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	b.accepted[0].on_data = answer;
	dial_early();
	until_in(&c, 0, 6);
	assert_int_equal(earlies, 1);
	assert_int_equal(c.opens, 1);
	net_assert_in(&b.accepted[0], 0, "early", 5);
	assert_int_equal(net_send(&c, 0, "later", 5), SNET_OK);
	until_in(&b.accepted[0], 0, 10);
	net_assert_in(&b.accepted[0], 0, "earlylater", 10);
}

static void the_crate_is_told_nothing_early(void **s)
{
	const struct snet_transport_config crate = { .crate_only = true };

	(void)s;
	bind_both(NULL, &crate);
	dial_early();
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 1);
	assert_int_equal(earlies, 0);
}

static void what_was_said_early_is_lost_with_a_refused_proof(void **s)
{
	struct snet_transport_config cfg = { 0 };

	(void)s;
	assert_int_equal(snet_trust_new(&cfg.trust, NULL), SNET_OK);
	assert_int_equal(
		snet_trust_add(cfg.trust, snet_identity_keyid(net_identity(3)), "carol", NULL),
		SNET_OK);
	bind_both(NULL, &cfg);
	dial_early();
	net_until(loop, is_settled, &c);
	assert_int_equal(earlies, 1);
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.code, SNET_EDENIED);
	assert_int_equal(b.n_accepted, 0);
	net_unbind(&b);
	snet_trust_free(cfg.trust);
}

/* ---- path MTU */

static uint32_t mtu_of(const struct net_conn *n)
{
	struct snet_conn_stats stats;

	T->stats(n->c, &stats);
	return stats.mtu;
}

static void a_path_is_probed_for_who_has_more_than_a_packet_to_send(void **s)
{
	static const uint8_t more_than_one[4000];
	struct net_conn *d;

	(void)s;
	d = connect_both(NULL, NULL);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(net_send(&c, 0, "small", 5), SNET_OK);
		until_in(d, 0, 5 * (i + 1));
	}
	assert_int_equal(mtu_of(&c), 1200);
	assert_int_equal(net_send(&c, 0, more_than_one, sizeof(more_than_one)), SNET_OK);
	until_in(d, 0, 250 + sizeof(more_than_one));
	for (unsigned i = 0; i < 50 && mtu_of(&c) == 1200; i++)
		net_pass(loop, 10 * SNET_MS);
	assert_int_equal(mtu_of(&c), 1452);
	assert_int_equal(mtu_of(d), 1200);
}

/* ---- identities */

static bool was_refused(void *user)
{
	return ((struct net_end *)user)->n_refused;
}

static void a_wrong_pin_is_refused_by_the_dialler(void **s)
{
	char want[SNET_KEYID_TEXT], saw[SNET_KEYID_TEXT];

	(void)s;
	bind_both(NULL, NULL);
	net_dial(&c, &a, &b.at, snet_identity_keyid(net_identity(3)));
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.code, SNET_EDENIED);
	assert_false(c.by_peer);
	assert_non_null(
		strstr(c.why, snet_keyid_print(snet_identity_keyid(net_identity(3)), want)));
	assert_non_null(
		strstr(c.why, snet_keyid_print(snet_identity_keyid(net_identity(1)), saw)));
	net_until(loop, was_refused, &b);
	assert_int_equal(b.refused_code, SNET_EDENIED);
	assert_int_equal(b.n_accepted, 0);
}

static void a_stranger_is_refused_by_the_listener(void **s)
{
	struct snet_transport_config cfg = { 0 };
	char saw[SNET_KEYID_TEXT];
	struct snet_trust *t;

	(void)s;
	assert_int_equal(snet_trust_new(&t, NULL), SNET_OK);
	assert_int_equal(snet_trust_add(t, snet_identity_keyid(net_identity(3)), "carol", NULL),
			 SNET_OK);
	cfg.trust = t;
	bind_both(NULL, &cfg);
	net_dial(&c, &a, &b.at, NULL);
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 0); /* not even for a moment */
	assert_int_equal(c.code, SNET_EDENIED);
	assert_true(c.by_peer);
	assert_int_equal(b.n_accepted, 0);
	net_until(loop, was_refused, &b);
	assert_int_equal(b.refused_code, SNET_EDENIED);
	assert_non_null(strstr(b.refused_why,
			       snet_keyid_print(snet_identity_keyid(net_identity(0)), saw)));

	/* Who is listed comes in. */
	assert_int_equal(snet_trust_add(t, snet_identity_keyid(net_identity(0)), NULL, NULL),
			 SNET_OK);
	net_dial(&more[0], &a, &b.at, NULL);
	net_until(loop, is_settled, &more[0]);
	assert_int_equal(more[0].opens, 1);
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
	net_until(loop, is_settled, &c);
	assert_int_equal(c.code, SNET_EDENIED);
	assert_false(c.by_peer);
	net_dial(&more[0], &a, &b.at, snet_identity_keyid(net_identity(1)));
	net_until(loop, is_settled, &more[0]);
	assert_int_equal(more[0].opens, 1); /* a pin needs no list */
	net_unbind(&a);
	snet_trust_free(t);
}

/* ---- bytes */

static bool both_done(void *user)
{
	(void)user;
	return (c.fins[0] && b.accepted[0].fins[0] && c.flushes && b.accepted[0].flushes) ||
	       c.closes || b.accepted[0].closes;
}

static void bulk_both_ways(const struct snet_transport_config *ca,
			   const struct snet_transport_config *cb, const struct snet_addr *to,
			   size_t total)
{
	struct bulk there = { .total = total, .finish = true },
		    back = { .total = total, .finish = true };
	struct net_conn *d;

	if (!to)
		bind_both(ca, cb);
	d = connect_to(to ? to : &b.at);
	start_bulk(&c, &there);
	until_in(d, 0, 1); /* the dialled side may answer once its stream is there */
	start_bulk(d, &back);
	net_until(loop, both_done, NULL);
	if (c.closes || d->closes)
		fail_msg("closed: %s %s", c.why, d->why);
	net_assert_in(d, 0, pattern(total), total);
	net_assert_in(&c, 0, pattern(total), total);
	assert_int_equal(T->queued(c.c), 0);
	assert_int_equal(T->queued(d->c), 0);
	c.on_drain = d->on_drain = NULL;
}

static void ten_mebibytes_each_way_arrive_intact(void **s)
{
	(void)s;
	bulk_both_ways(NULL, NULL, NULL, BULK);
}

static void and_without_offload_with_plain_packets_and_with_bbr(void **s)
{
	static const struct snet_transport_config cases[] = {
		{ .no_gso = true },    { .no_gro = true },
		{ .mtu = 1200 },       { .mtu = 1452, .no_gso = true, .no_gro = true },
		{ .cc = SNET_CC_BBR }, { .crate_only = true },
	};

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (i)
			again();
		bulk_both_ways(&cases[i], &cases[i], NULL, 2 * MIB);
		if (cases[i].mtu) {
			struct snet_conn_stats st;

			T->stats(c.c, &st);
			assert_int_equal(st.mtu, cases[i].mtu);
		}
	}
}

static bool all_streams_done(void *user)
{
	(void)user;
	for (unsigned k = 0; k < SNET_STREAMS; k++)
		if (!c.fins[k] || !b.accepted[0].fins[k])
			return c.closes || b.accepted[0].closes;
	return c.flushes && b.accepted[0].flushes;
}

static void every_stream_carries_its_own_bytes_both_ways(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(net_send(&c, 0, pattern(100), 100), SNET_OK);
	until_in(d, 0, 100);
	for (unsigned k = SNET_STREAMS; k--;) {
		assert_int_equal(net_send(&c, k, pattern(BULK) + k, 1000 * k + 1), SNET_OK);
		assert_int_equal(net_send(d, k, pattern(BULK) + 2 * k, 70000), SNET_OK);
	}
	assert_int_equal(net_send(&c, SNET_STREAMS, "x", 1), SNET_EINVAL);
	for (unsigned k = 0; k < SNET_STREAMS; k++) {
		assert_int_equal(T->finish(c.c, k), SNET_OK);
		assert_int_equal(T->finish(d->c, k), SNET_OK);
		assert_int_equal(net_send(&c, k, "x", 1), SNET_ECLOSED);
	}
	net_until(loop, all_streams_done, NULL);
	for (unsigned k = 0; k < SNET_STREAMS; k++) {
		size_t skip = k ? 0 : 100;

		assert_int_equal(d->in[k].n, skip + 1000 * k + 1);
		assert_memory_equal(d->in[k].p + skip, pattern(BULK) + k, 1000 * k + 1);
		net_assert_in(&c, k, pattern(BULK) + 2 * k, 70000);
		assert_int_equal(d->fins[k], 1);
		assert_int_equal(c.fins[k], 1);
	}
	assert_int_equal(c.flushes, 1);
	assert_int_equal(d->flushes, 1);
}

static void the_end_of_stream_0_is_the_last(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(net_send(&c, 5, pattern(MIB), MIB), SNET_OK);
	assert_int_equal(net_send(&c, 0, "small", 5), SNET_OK);
	T->finish(c.c, 0);
	T->finish(c.c, 5);
	while (!d->fins[0]) {
		net_turns(loop, 1);
		assert_int_equal(c.closes + d->closes, 0);
		if (d->fins[0])
			assert_int_equal(d->fins[5], 1);
	}
	net_assert_in(d, 5, pattern(MIB), MIB);
}

static void the_dialled_side_may_speak_first(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(net_send(d, 3, "there", 5), SNET_OK);
	until_in(&c, 3, 5);
	assert_int_equal(net_send(d, 0, "hello", 5), SNET_OK);
	until_in(&c, 0, 5);
}

static void a_large_block_is_held_until_acknowledged(void **s)
{
	struct snet_block *block = snet_block_new(100000);
	struct net_conn *d = connect_both(NULL, NULL);
	struct snet_slice v = { block->data, 100000, block };

	(void)s;
	memcpy(block->data, pattern(100000), 100000);
	assert_int_equal(T->send(c.c, 0, &v, 1), SNET_OK);
	assert_int_equal(block->refs, 2);
	T->finish(c.c, 0);
	until_in(d, 0, 100000);
	while (!c.flushes)
		net_turns(loop, 1);
	assert_int_equal(block->refs, 1);
	net_assert_in(d, 0, pattern(100000), 100000);
	snet_block_free(block);
}

static void the_counters_count(void **s)
{
	struct snet_conn_stats st;

	(void)s;
	bulk_both_ways(NULL, NULL, NULL, MIB);
	T->stats(c.c, &st);
	assert_true(st.rtt_us && st.rtt_us < 10000000);
	assert_true(st.rtt_min_us <= st.rtt_us);
	assert_true(st.cwnd >= 2400);
	assert_true(st.bytes_sent > MIB && st.bytes_received > MIB);
	assert_true(st.mtu >= 1200);
}

/* ---- back-pressure */

static bool is_still(void *user)
{
	static size_t last;
	static unsigned same;
	size_t now = ((struct net_conn *)user)->in[0].n;

	same = now && now == last ? same + 1 : 0;
	last = now;
	return same == 100; /* looks, a millisecond apart */
}

static void a_receiver_that_reads_nothing_stops_the_sender(void **s)
{
	struct snet_transport_config ca = { .queue = 6 * MIB }, cb = { .window = 4 * MIB };
	struct bulk k = { .total = BULK };
	struct net_conn *d = connect_both(&ca, &cb);
	size_t got, most = 0;

	(void)s;
	d->hold = true;
	c.user = &k;
	c.on_drain = send_more;
	send_more(&c);
	net_until(loop, is_still, d);
	got = d->in[0].n;
	assert_true(got <= 4 * MIB);
	assert_true(T->queued(c.c) < 6 * MIB + 50000);
	assert_true(k.at < BULK);
	/* Reading goes on as fast as it is said. */
	d->hold = false;
	net_consume(d, 0, got);
	while (d->in[0].n < BULK) {
		until_in(d, 0, d->in[0].n + 1);
		if (T->queued(c.c) > most)
			most = T->queued(c.c);
	}
	assert_true(most < 6 * MIB + 50000);
	net_assert_in(d, 0, pattern(BULK), BULK);
	assert_true(c.drains >= 1);
}

static void one_unread_stream_does_not_stop_the_others(void **s)
{
	struct snet_transport_config cfg = { .window = 4 * MIB };
	struct bulk k = { .total = BULK, .stream = 7 };
	struct net_conn *d = connect_both(NULL, &cfg);

	(void)s;
	d->hold = true;
	start_bulk(&c, &k);
	until_in(d, 7, MIB); /* all its window lets through */
	assert_int_equal(net_send(&c, 2, "urgent", 6), SNET_OK);
	until_in(d, 2, 6);
	net_assert_in(d, 2, "urgent", 6);
}

static void a_full_queue_says_so_and_says_when_it_is_not(void **s)
{
	struct snet_transport_config cfg = { .queue = 100000 };
	struct net_conn *d = connect_both(&cfg, NULL);

	(void)s;
	assert_int_equal(net_send(&c, 0, pattern(BULK), 100000), SNET_OK);
	assert_int_equal(net_send(&c, 0, "x", 1), SNET_EAGAIN);
	assert_int_equal(T->queued(c.c), 100000);
	assert_false(T->can_send(c.c));
	assert_int_equal(c.drains, 0);
	until_in(d, 0, 100000);
	while (!c.drains)
		net_turns(loop, 1);
	assert_int_equal(net_send(&c, 0, "x", 1), SNET_OK);
	until_in(d, 0, 100001);
	assert_int_equal(c.drains, 1);
}

/* ---- the end */

static void both_sides_hear_who_closed_and_why(void **s)
{
	static const int codes[] = { SNET_OK, SNET_EPOLICY, SNET_ETOOBIG, SNET_ECANCELLED };

	(void)s;
	for (size_t i = 0; i < 4; i++) {
		struct net_conn *d, *closer;

		if (i)
			again();
		d = connect_both(NULL, NULL);
		closer = i % 2 ? d : &c;
		net_close(closer, codes[i], "that is why\n");
		assert_int_equal(closer->closes, 0);
		net_until(loop, is_closed, &c);
		net_until(loop, is_closed, d);
		assert_int_equal(c.code, codes[i]);
		assert_int_equal(d->code, codes[i]);
		assert_string_equal(closer->why, "that is why\n");
		/* A stranger's words are made printable. */
		assert_string_equal(i % 2 ? c.why : d->why, "that is why?");
		assert_int_equal(c.by_peer, i % 2);
		assert_int_equal(d->by_peer, !(i % 2));
	}
}

static void the_crate_says_why_in_words_only(void **s)
{
	struct snet_transport_config cfg = { .crate_only = true };
	struct net_conn *d = connect_both(&cfg, NULL);

	(void)s;
	net_close(d, SNET_ETOOBIG, "too big");
	net_until(loop, is_closed, &c);
	assert_int_equal(c.code, SNET_OK);
	assert_string_equal(c.why, "too big");
	again();
	d = connect_both(&cfg, NULL);
	net_close(d, SNET_EDENIED, "unknown peer");
	net_until(loop, is_closed, &c);
	assert_int_equal(c.code, SNET_EDENIED);
}

static void the_last_bytes_before_a_flushed_close_always_arrive(void **s)
{
	(void)s;
	for (unsigned i = 0; i < 10; i++) {
		struct bulk k = { .total = 300000 + i, .finish = true };
		struct net_conn *d;

		if (i)
			again();
		d = connect_both(NULL, NULL);
		start_bulk(&c, &k);
		while (!c.flushes)
			net_turns(loop, 1);
		c.on_drain = NULL;
		net_close(&c, SNET_OK, "done");
		net_until(loop, is_closed, d);
		assert_int_equal(d->code, SNET_OK);
		net_assert_in(d, 0, pattern(BULK), 300000 + i);
		assert_int_equal(d->fins[0], 1);
	}
}

static void closing_discards_what_is_unsent_and_says_how_much(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	assert_int_equal(net_send(&c, 0, pattern(1000), 1000), SNET_OK);
	net_close(&c, SNET_ECANCELLED, "never mind");
	assert_int_equal(net_send(&c, 0, "x", 1), SNET_ECLOSED);
	net_until(loop, is_closed, &c);
	assert_int_equal(c.queued_at_close, 1000);
	net_until(loop, is_closed, d);
	assert_int_equal(d->in[0].n, 0);
}

static void a_dial_may_be_called_off(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	net_dial(&c, &a, &b.at, NULL);
	net_close(&c, SNET_ECANCELLED, "never mind");
	net_until(loop, is_closed, &c);
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.code, SNET_ECANCELLED);
	assert_false(c.by_peer);
}

static void turn_away(struct net_end *n, struct snet_conn *conn)
{
	(void)n;
	conn->transport->close(conn, SNET_EPOLICY, "not today");
}

static void a_listener_may_turn_a_peer_away(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	b.on_accept = turn_away;
	net_dial(&c, &a, &b.at, NULL);
	net_until(loop, is_closed, &c);
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.code, SNET_EPOLICY);
	assert_string_equal(c.why, "not today");
	assert_true(c.by_peer);
}

static void close_it(struct net_conn *n)
{
	net_close(n, SNET_EPOLICY, "from a callback");
}

static void close_it_on_data(struct net_conn *n, unsigned stream, size_t len, bool fin)
{
	(void)stream, (void)len, (void)fin;
	close_it(n);
}

static void any_callback_may_close(void **s)
{
	(void)s;
	for (unsigned i = 0; i < 6; i++) {
		struct snet_transport_config cfg = { .queue = 1000 };
		struct net_conn *d = &b.accepted[0];

		if (i)
			again();
		bind_both(&cfg, NULL);
		switch (i) {
		case 0:
			c.on_open = close_it;
			break;
		case 1:
			d->on_open = close_it;
			break;
		case 2:
			d->on_data = close_it_on_data;
			break;
		case 3:
			c.on_drain = close_it;
			break;
		case 4:
			c.on_flushed = close_it;
			break;
		default:
			c.on_close = close_it; /* nothing happens: it is over */
		}
		net_dial(&c, &a, &b.at, NULL);
		net_until(loop, is_settled, &c);
		if (c.c && c.opens) {
			net_send(&c, 0, pattern(100000), 100000);
			net_send(&c, 0, "x", 1);
			T->finish(c.c, 0);
		}
		if (i == 5)
			net_close(&c, SNET_OK, "done");
		net_until(loop, is_closed, &c);
		net_until(loop, is_closed, d);
		assert_int_equal(c.closes, 1);
		assert_int_equal(d->closes, 1);
	}
}

static void unbinding_closes_what_is_open(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);

	(void)s;
	T->unbind(a.e);
	a.e = NULL;
	assert_int_equal(c.closes, 1); /* before it returns */
	assert_int_equal(c.code, SNET_ECLOSED);
	assert_false(c.by_peer);
	net_until(loop, is_closed, d);
	assert_int_equal(d->code, SNET_OK);
	assert_true(d->by_peer);
}

/* ---- nobody there, nobody answers */

static void a_dial_to_a_closed_port_fails_fast(void **s)
{
	static const char *const at[] = { "127.0.0.1:0", "[::1]:0", "[::]:0" };

	(void)s;
	for (size_t i = 0; i < 3; i++) {
		snet_time began;
		struct snet_addr gone;

		if (i)
			again();
		net_bind(&a, loop, T, at[i], 0, NULL);
		net_bind(&b, loop, T, i ? "[::1]:0" : "127.0.0.1:0", 1, NULL);
		gone = b.at;
		net_unbind(&b);
		began = snet_now();
		net_dial(&c, &a, &gone, NULL);
		net_until(loop, is_closed, &c);
		assert_int_equal(c.opens, 0);
		assert_int_equal(c.code, SNET_EUNREACH);
		assert_true(snet_now() - began < 5 * SNET_SEC); /* no timeout */
	}
}

static int bare_socket(struct snet_addr *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof(*at);

	assert_true(fd >= 0);
	assert_int_equal(snet_addr_parse(at, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(bind(fd, &at->sa, snet_addr_len(at)), 0);
	assert_int_equal(getsockname(fd, &at->sa, &n), 0);
	return fd;
}

static void a_dial_that_nobody_answers_times_out(void **s)
{
	struct snet_transport_config cfg = { .handshake_timeout = 150 * SNET_MS };
	struct snet_addr silent;
	int fd = bare_socket(&silent);
	snet_time began = snet_now();

	(void)s;
	net_bind(&a, loop, T, "127.0.0.1:0", 0, &cfg);
	net_dial(&c, &a, &silent, NULL);
	net_until(loop, is_closed, &c);
	assert_int_equal(c.opens, 0);
	assert_int_equal(c.code, SNET_ETIMEOUT);
	assert_true(snet_now() - began >= 150 * SNET_MS);
	close(fd);
}

static void a_listener_takes_no_more_than_it_may(void **s)
{
	struct snet_transport_config cfg = { .max_conns = 1 };

	(void)s;
	connect_both(NULL, &cfg);
	net_dial(&more[0], &a, &b.at, NULL);
	net_until(loop, is_settled, &more[0]);
	assert_int_equal(more[0].opens, 0);
	assert_int_equal(more[0].code, SNET_EUNREACH);
	assert_int_equal(c.closes, 0);
}

static bool all_open(void *user)
{
	unsigned *n = user;

	for (unsigned i = 0; i < *n; i++)
		if (!is_settled(&more[i]))
			return false;
	return true;
}

static void many_dial_at_once(void **s)
{
	/* so many, on whatever machine */
	struct snet_transport_config cfg = { .handshake_timeout = 60 * SNET_SEC };
	unsigned n = NET_ACCEPTS; /* above retry_above: some must prove their address */

	(void)s;
	bind_both(&cfg, &cfg);
	for (unsigned i = 0; i < n; i++)
		net_dial(&more[i], &a, &b.at, NULL);
	net_until(loop, all_open, &n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(more[i].opens, 1);
	assert_int_equal(b.n_accepted, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(net_send(&more[i], 0, &i, sizeof(i)), SNET_OK);
	for (unsigned i = 0; i < n; i++)
		until_in(&b.accepted[i], 0, sizeof(i));
	for (unsigned i = 0, seen = 0; i < n; i++) {
		unsigned who;

		memcpy(&who, b.accepted[i].in[0].p, sizeof(who));
		assert_true(who < n);
		seen += who == i;
		assert_true(i + 1 < n || seen <= n);
	}
}

/* ---- strangers: bare datagrams */

#define PACKET 2048

static ssize_t hear(int fd, uint8_t out[static PACKET])
{
	for (unsigned i = 0; i < 200; i++) {
		ssize_t n = recv(fd, out, PACKET, 0);

		if (n >= 0)
			return n;
		net_turns(loop, 2);
		usleep(100);
	}
	return -1;
}

static void say(int fd, const struct snet_addr *to, const uint8_t *p, size_t n)
{
	assert_int_equal(sendto(fd, p, n, 0, &to->sa, snet_addr_len(to)), n);
}

/* The first datagram of somebody who dials. */
static size_t first_of_a_dial(uint8_t out[static PACKET])
{
	struct snet_addr at;
	int fd = bare_socket(&at);
	struct net_conn n = { 0 };
	ssize_t got;

	net_dial(&n, &a, &at, NULL);
	got = hear(fd, out);
	assert_true(got >= 1200);
	net_close(&n, SNET_ECANCELLED, "only looking");
	net_until(loop, is_closed, &n);
	close(fd);
	return (size_t)got;
}

static bool is_retry(const uint8_t *p, ssize_t n)
{
	return n > 5 && p[0] & 0x80 && (p[0] >> 4 & 3) == 3 && snet_get_be32(p + 1) == 1;
}

static void under_load_a_dialler_must_prove_its_address(void **s)
{
	struct snet_transport_config cfg = { .retry_above = 1,
					     .handshake_timeout = 60 * SNET_SEC };
	uint8_t first[2][PACKET], got[PACKET];
	struct snet_addr at[2];
	int fd[2] = { bare_socket(&at[0]), bare_socket(&at[1]) };
	size_t len[2];
	ssize_t n;

	(void)s;
	bind_both(NULL, &cfg);
	for (unsigned i = 0; i < 2; i++)
		len[i] = first_of_a_dial(first[i]);
	say(fd[0], &b.at, first[0], len[0]); /* and never goes on: it stays half open */
	n = hear(fd[0], got);
	assert_true(n > 0 && !is_retry(got, n));
	say(fd[1], &b.at, first[1], len[1]);
	n = hear(fd[1], got);
	assert_true(is_retry(got, n));
	assert_true((size_t)n <= len[1]);

	/* Who can, gets in; and what it sends is heard. */
	net_dial(&c, &a, &b.at, NULL);
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 1);
	assert_int_equal(net_send(&c, 0, "hello", 5), SNET_OK);
	until_in(&b.accepted[0], 0, 5);
	close(fd[0]);
	close(fd[1]);
}

static void an_unknown_version_is_answered_with_ours(void **s)
{
	uint8_t p[1200] = { 0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4,
			    5,    6,    7,    8,    4,    9, 9, 9, 9 };
	uint8_t got[PACKET];
	struct snet_addr at;
	int fd = bare_socket(&at);
	ssize_t n;
	bool offers = false;

	(void)s;
	net_bind(&b, loop, T, "127.0.0.1:0", 1, NULL);
	say(fd, &b.at, p, sizeof(p));
	n = hear(fd, got);
	assert_true(n >= 7 + 4 + 8 + 4);
	assert_true(got[0] & 0x80);
	assert_int_equal(snet_get_be32(got + 1), 0);
	assert_int_equal(got[5], 4); /* to whom: its source id */
	assert_memory_equal(got + 6, "\11\11\11\11", 4);
	assert_int_equal(got[10], 8);
	assert_memory_equal(got + 11, p + 6, 8);
	for (ssize_t i = 19; i + 4 <= n; i += 4)
		offers = offers || snet_get_be32(got + i) == 1;
	assert_true(offers);
	/* Less than a full datagram gets no answer: it could be used to amplify. */
	say(fd, &b.at, p, 1199);
	assert_true(hear(fd, got) < 0);
	close(fd);
}

static void noise_changes_nothing(void **s)
{
	struct net_conn *d = connect_both(NULL, NULL);
	uint8_t p[1500], first[PACKET];
	size_t len = first_of_a_dial(first);
	struct snet_addr at;
	int fd = bare_socket(&at);
	uint32_t seed = 9;

	(void)s;
	for (unsigned i = 0; i < 3000; i++) {
		size_t n;

		for (size_t k = 0; k < sizeof(p); k++) {
			seed = seed * 1664525 + 1013904223;
			p[k] = (uint8_t)(seed >> 24);
		}
		n = 1 + (seed >> 8) % (sizeof(p) - 1);
		if (i % 3 == 0) { /* a real Initial with one byte that is not */
			memcpy(p, first, len);
			n = len;
			p[(seed >> 4) % len] ^= (uint8_t)(1 + (seed >> 20) % 255);
		} else if (i % 3 == 1) { /* long headers of our version */
			p[0] |= 0xc0;
			snet_put_be32(p + 1, 1);
		}
		say(fd, i % 2 ? &a.at : &b.at, p, n);
		if (i % 50 == 0)
			net_turns(loop, 3);
	}
	net_turns(loop, 20);
	assert_int_equal(c.closes + d->closes, 0);
	assert_int_equal(b.n_accepted, 1);
	assert_int_equal(net_send(&c, 0, pattern(MIB), MIB), SNET_OK);
	until_in(d, 0, MIB);
	net_assert_in(d, 0, pattern(MIB), MIB);
	close(fd);
}

/* ---- a peer that is gone */

/* A listener with identity 1 in a process of its own; returns its pid. */
static pid_t listener(struct snet_addr *at)
{
	int fds[2];
	pid_t pid;

	net_identity(1);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct snet_loop *l;
		static struct net_end e;

		close(fds[0]);
		if (snet_loop_new(&l))
			_exit(1);
		net_bind(&e, l, T, "127.0.0.1:0", 1, NULL);
		if (write(fds[1], &e.at, sizeof(e.at)) != sizeof(e.at))
			_exit(1);
		snet_loop_run(l);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], at, sizeof(*at)), sizeof(*at));
	close(fds[0]);
	return pid;
}

static void kill_listener(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void bind_again(const struct snet_addr *at, const struct snet_transport_config *cfg)
{
	char text[SNET_ADDR_TEXT];

	net_bind(&b, loop, T, snet_addr_print(at, text), 1, cfg);
}

static void a_listener_that_was_restarted_says_so(void **s)
{
	struct snet_addr at;
	pid_t pid = listener(&at);
	snet_time began;

	(void)s;
	net_bind(&a, loop, T, "127.0.0.1:0", 0, NULL);
	net_dial(&c, &a, &at, NULL);
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 1);
	kill_listener(pid);
	bind_again(&at, NULL); /* the same key: it can prove that it was there before */
	began = snet_now();
	assert_int_equal(net_send(&c, 0, pattern(1000), 1000), SNET_OK);
	net_until(loop, is_closed, &c);
	assert_int_equal(c.code, SNET_ELOST);
	assert_true(c.by_peer);
	assert_true(snet_now() - began < 10 * SNET_SEC); /* before dead_after */
	assert_int_equal(b.n_accepted, 0);
}

/* Anyone could take the port: only who has the key ends our connection. */
static void another_key_at_its_address_cannot_say_so(void **s)
{
	struct snet_transport_config cfg = { .identity = net_identity(2) };
	struct snet_addr at;
	pid_t pid = listener(&at);

	(void)s;
	net_bind(&a, loop, T, "127.0.0.1:0", 0, NULL);
	net_dial(&c, &a, &at, NULL);
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 1);
	kill_listener(pid);
	bind_again(&at, &cfg);
	assert_int_equal(net_send(&c, 0, pattern(1000), 1000), SNET_OK);
	net_pass(loop, 300 * SNET_MS);
	assert_int_equal(c.closes, 0);
}

static void a_peer_that_falls_silent_is_lost_in_time(void **s)
{
	struct snet_transport_config cfg = { .keep_alive = 50 * SNET_MS,
					     .dead_after = SNET_SEC };
	struct snet_addr at;
	pid_t pid = listener(&at);
	snet_time began;

	(void)s;
	net_bind(&a, loop, T, "127.0.0.1:0", 0, &cfg);
	net_dial(&c, &a, &at, NULL);
	net_until(loop, is_settled, &c);
	assert_int_equal(c.opens, 1);
	net_pass(loop, 1500 * SNET_MS); /* idle, but alive */
	assert_int_equal(c.closes, 0);
	kill(pid, SIGSTOP);
	began = snet_now();
	net_until(loop, is_closed, &c);
	assert_int_equal(c.code, SNET_ELOST);
	assert_false(c.by_peer);
	assert_true(snet_now() - began <
		    60 * SNET_SEC); /* long before it is idle for too long */
	kill_listener(pid);
}

/* As when a whole machine stands still: nothing waits to be read, and nobody is gone. */
static void whoever_was_asleep_takes_nobody_for_lost(void **s)
{
	struct snet_transport_config cfg = { .keep_alive = 300 * SNET_MS,
					     .dead_after = SNET_SEC };
	struct net_conn *d = connect_both(&cfg, &cfg);

	(void)s;
	net_pass(loop, 100 * SNET_MS);
	usleep(1000 * 1000);
	net_pass(loop, 1500 * SNET_MS);
	assert_int_equal(c.closes + d->closes, 0);
}

/* ---- a relay in between: bad networks, and addresses that change */

struct relay {
	struct snet_io *io[2];
	int fd[2]; /* towards the dialler, towards the listener */
	struct snet_addr at, dialler, listener;
	uint32_t seed;
	unsigned lose, repeat, swap, spoil; /* of a thousand */
	uint8_t kept[PACKET * 32];          /* one that is overtaken */
	size_t n_kept;
	bool dead;
	unsigned passed;
};

static struct relay relay;

static bool chance(unsigned of_a_thousand)
{
	relay.seed = relay.seed * 1664525 + 1013904223;
	return (relay.seed >> 8) % 1000 < of_a_thousand;
}

static void relay_send(unsigned side, const uint8_t *p, size_t n)
{
	const struct snet_addr *to = side ? &relay.listener : &relay.dialler;

	relay.passed++;
	if (to->sa.sa_family)
		(void)!sendto(relay.fd[side], p, n, 0, &to->sa, snet_addr_len(to));
}

static void relay_one(unsigned to, uint8_t *p, size_t n)
{
	if (relay.dead || chance(relay.lose))
		return;
	if (chance(relay.spoil))
		p[relay.seed % n] ^= 0x55;
	if (to == 1 && !relay.n_kept && chance(relay.swap)) {
		memcpy(relay.kept, p, n);
		relay.n_kept = n;
		return;
	}
	relay_send(to, p, n);
	if (chance(relay.repeat))
		relay_send(to, p, n);
	if (to == 1 && relay.n_kept) {
		relay_send(1, relay.kept, relay.n_kept);
		relay.n_kept = 0;
	}
}

static void on_relay(struct snet_io *io, int ready, void *user)
{
	unsigned side = io == relay.io[0] ? 0 : 1;
	struct snet_addr from;
	socklen_t len = sizeof(from);
	static uint8_t p[PACKET * 32];
	ssize_t n;

	(void)ready, (void)user;
	while ((n = recvfrom(relay.fd[side], p, sizeof(p), 0, &from.sa, &len)) > 0) {
		if (side == 0)
			relay.dialler = from;
		relay_one(!side, p, (size_t)n);
		len = sizeof(from);
	}
}

static void relay_watch(unsigned side)
{
	relay.io[side] = snet_io_new(loop, relay.fd[side], on_relay, NULL);
	assert_non_null(relay.io[side]);
	snet_io_want(relay.io[side], SNET_READ);
}

static void start_relay(void)
{
	struct snet_addr back;

	memset(&relay, 0, sizeof(relay));
	relay.seed = 3;
	relay.fd[0] = bare_socket(&relay.at);
	relay.fd[1] = bare_socket(&back);
	relay.listener = b.at;
	relay_watch(0);
	relay_watch(1);
}

/* The NAT has forgotten: the dialler appears from another port. */
static void rebind_relay(void)
{
	struct snet_addr back;

	snet_io_free(relay.io[1]);
	close(relay.fd[1]);
	relay.fd[1] = bare_socket(&back);
	relay_watch(1);
}

static void stop_relay(void)
{
	for (unsigned i = 0; i < 2; i++) {
		snet_io_free(relay.io[i]);
		close(relay.fd[i]);
	}
}

static void a_bad_network_costs_time_and_no_bytes(void **s)
{
	(void)s;
	bind_both(NULL, NULL);
	start_relay();
	relay.lose = 20;
	relay.repeat = 20;
	relay.swap = 50;
	relay.spoil = 5;
	bulk_both_ways(NULL, NULL, &relay.at, MIB);
	stop_relay();
}

static void the_dialler_may_appear_from_another_address(void **s)
{
	struct net_conn *d;
	struct snet_addr before;

	(void)s;
	bind_both(NULL, NULL);
	start_relay();
	d = connect_to(&relay.at);
	assert_int_equal(net_send(&c, 0, pattern(BULK), 100000), SNET_OK);
	until_in(d, 0, 100000);
	before = d->c->remote;
	for (unsigned i = 1; i <= 3; i++) {
		rebind_relay();
		assert_int_equal(net_send(&c, 0, pattern(BULK) + 100000 * i, 100000), SNET_OK);
		until_in(d, 0, 100000 * (i + 1));
		assert_int_equal(net_send(d, 0, pattern(BULK) + 1000 * (i - 1), 1000), SNET_OK);
		until_in(&c, 0, 1000 * i);
	}
	net_assert_in(d, 0, pattern(BULK), 400000);
	net_assert_in(&c, 0, pattern(BULK), 3000);
	assert_false(snet_addr_eq(&before, &d->c->remote));
	assert_int_equal(c.closes + d->closes, 0);
	stop_relay();
}

static void a_network_that_goes_away_is_noticed_by_both(void **s)
{
	struct snet_transport_config cfg = { .keep_alive = 50 * SNET_MS,
					     .dead_after = SNET_SEC };
	struct net_conn *d;

	(void)s;
	bind_both(&cfg, &cfg);
	start_relay();
	d = connect_to(&relay.at);
	net_pass(loop, 1500 * SNET_MS);
	assert_int_equal(c.closes + d->closes, 0);
	relay.dead = true;
	assert_int_equal(net_send(&c, 0, "anyone?", 7), SNET_OK);
	net_until(loop, is_closed, &c);
	net_until(loop, is_closed, d);
	assert_int_equal(c.code, SNET_ELOST);
	assert_int_equal(d->code, SNET_ELOST);
	stop_relay();
}

static void a_gap_shorter_than_the_deadline_costs_nothing(void **s)
{
	struct snet_transport_config cfg = { .keep_alive = 100 * SNET_MS,
					     .dead_after = 3 * SNET_SEC };
	struct net_conn *d;

	(void)s;
	bind_both(&cfg, &cfg);
	start_relay();
	d = connect_to(&relay.at);
	assert_int_equal(net_send(&c, 0, pattern(BULK), MIB), SNET_OK);
	until_in(d, 0, 10000);
	relay.dead = true;
	net_pass(loop, 300 * SNET_MS);
	relay.dead = false;
	until_in(d, 0, MIB);
	net_assert_in(d, 0, pattern(BULK), MIB);
	stop_relay();
}

/* ---- looking inside */

static unsigned count_files(const char *dir, const char *needle, const char *text)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[600], line[4096];
		FILE *f;

		if (!strstr(e->d_name, needle))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		f = fopen(path, "r");
		assert_non_null(f);
		while (fgets(line, sizeof(line), f)) {
			if (strstr(line, text)) {
				n++;
				break;
			}
		}
		fclose(f);
		unlink(path);
	}
	closedir(d);
	return n;
}

static void a_qlog_is_written_for_each_side(void **s)
{
	char dir[] = "/tmp/snet-test-quic-XXXXXX";
	struct snet_transport_config cfg = { 0 };

	(void)s;
	assert_non_null(mkdtemp(dir));
	cfg.qlog_dir = dir;
	bulk_both_ways(&cfg, &cfg, NULL, 100000);
	net_unbind(&a);
	net_unbind(&b);
	assert_int_equal(count_files(dir, "_client.", "qlog_version"), 1);
	assert_int_equal(count_files(dir, "_server.", "qlog_version"), 1);
	assert_int_equal(rmdir(dir), 0); /* and nothing else */
}

/* The variable is read once, at the first handshake: main has set it. */
static char keylog[] = "/tmp/snet-test-keys-XXXXXX";

static void keys_are_logged_where_sslkeylogfile_says(void **s)
{
	char line[1024];
	unsigned n = 0;
	FILE *f;

	(void)s;
	connect_both(NULL, NULL);
	f = fopen(keylog, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += !strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24);
	fclose(f);
	assert_true(n >= 2); /* each side has written it */
}

/* ---- memory: of ours, not of the libraries below */

static const struct snet_endpoint_events nobody; /* on_accept NULL */

static void take(struct snet_endpoint *e, struct snet_conn *conn, void *user)
{
	(void)e;
	((struct net_conn *)user)->c = conn;
	((struct net_conn *)user)->opens = 1;
	conn->events = &net_conn_events;
	conn->user = user;
}

static const struct snet_endpoint_events takes = { .on_accept = take };

static bool is_over(void *user)
{
	struct net_conn *n = user;

	return n[0].closes || n[1].fins[0] || (n[0].opens && n[1].closes);
}

static int a_life_within(struct snet_trust *trust, snet_time most)
{
	struct snet_transport_config cfg = { .identity = net_identity(0),
					     .trust = trust,
					     .handshake_timeout = most,
					     .keep_alive = most / 2,
					     .dead_after = 2 * most };
	struct net_conn n[2] = { { .forget = true }, { .forget = true } };
	struct snet_endpoint *e = NULL, *f = NULL;
	struct snet_addr at, to;
	int rc;

	snet_addr_parse(&at, "127.0.0.1:0");
	rc = T->bind(&e, loop, &at, -1, &cfg, &nobody, NULL, NULL);
	if (!rc)
		rc = T->bind(&f, loop, &at, -1, &cfg, &takes, &n[1], NULL);
	if (!rc) {
		T->address(f, &to);
		rc = T->dial(&n[0].c, e, &to, NULL, &net_conn_events, &n[0], NULL);
	}
	if (!rc) {
		net_until(loop, is_settled, &n[0]);
		rc = n[0].opens ? SNET_OK : SNET_ELOST;
	}
	if (!rc)
		rc = net_send(&n[0], 2, pattern(100000), 100000);
	if (!rc)
		rc = net_send(&n[0], 0, pattern(100000), 100000);
	if (!rc) {
		T->finish(n[0].c, 0);
		net_until(loop, is_over, n);
		rc = n[1].fins[0] ? SNET_OK : SNET_ELOST;
	}
	T->unbind(e);
	T->unbind(f);
	return rc;
}

/* Most that failed are given up in time; whoever succeeds may need more, on a busy machine. */
static int a_life(void *user)
{
	int rc = a_life_within(user, 100 * SNET_MS);

	return rc && !torture_struck() ? a_life_within(user, 10 * SNET_SEC) : rc;
}

static void out_of_memory_is_an_error(void **s)
{
	struct snet_trust *anyone;

	(void)s;
	net_identity(0);
	net_pass(loop, 0); /* the loop has its memory */
	assert_int_equal(snet_trust_new(&anyone, NULL), SNET_OK);
	snet_trust_set_insecure(anyone);
	assert_true(torture(a_life, anyone) >= 15);
	snet_trust_free(anyone);
}

static int drop_identities(void **s)
{
	(void)s;
	net_identities_free();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_sides_learn_who_the_other_is),
		TEST(ipv6_and_every_address_work_too),
		TEST(the_profile_and_the_role_are_said_by_alpn),
		TEST(a_descriptor_can_be_taken_over),
		TEST(an_address_in_use_cannot_be_bound),
		TEST(a_listener_may_speak_first),
		TEST(what_is_said_early_is_answered_with_the_confirmation),
		TEST(the_crate_is_told_nothing_early),
		TEST(what_was_said_early_is_lost_with_a_refused_proof),
		TEST(a_path_is_probed_for_who_has_more_than_a_packet_to_send),
		TEST(a_wrong_pin_is_refused_by_the_dialler),
		TEST(a_stranger_is_refused_by_the_listener),
		TEST(without_a_pin_the_dialler_asks_its_own_trust),
		TEST(ten_mebibytes_each_way_arrive_intact),
		TEST(and_without_offload_with_plain_packets_and_with_bbr),
		TEST(every_stream_carries_its_own_bytes_both_ways),
		TEST(the_end_of_stream_0_is_the_last),
		TEST(the_dialled_side_may_speak_first),
		TEST(a_large_block_is_held_until_acknowledged),
		TEST(the_counters_count),
		TEST(a_receiver_that_reads_nothing_stops_the_sender),
		TEST(one_unread_stream_does_not_stop_the_others),
		TEST(a_full_queue_says_so_and_says_when_it_is_not),
		TEST(both_sides_hear_who_closed_and_why),
		TEST(the_crate_says_why_in_words_only),
		TEST(the_last_bytes_before_a_flushed_close_always_arrive),
		TEST(closing_discards_what_is_unsent_and_says_how_much),
		TEST(a_dial_may_be_called_off),
		TEST(a_listener_may_turn_a_peer_away),
		TEST(any_callback_may_close),
		TEST(unbinding_closes_what_is_open),
		TEST(a_dial_to_a_closed_port_fails_fast),
		TEST(a_dial_that_nobody_answers_times_out),
		TEST(a_listener_takes_no_more_than_it_may),
		TEST(many_dial_at_once),
		TEST(under_load_a_dialler_must_prove_its_address),
		TEST(an_unknown_version_is_answered_with_ours),
		TEST(noise_changes_nothing),
		TEST(a_listener_that_was_restarted_says_so),
		TEST(another_key_at_its_address_cannot_say_so),
		TEST(a_peer_that_falls_silent_is_lost_in_time),
		TEST(whoever_was_asleep_takes_nobody_for_lost),
		TEST(a_bad_network_costs_time_and_no_bytes),
		TEST(the_dialler_may_appear_from_another_address),
		TEST(a_network_that_goes_away_is_noticed_by_both),
		TEST(a_gap_shorter_than_the_deadline_costs_nothing),
		TEST(a_qlog_is_written_for_each_side),
		TEST(keys_are_logged_where_sslkeylogfile_says),
		TEST(out_of_memory_is_an_error),
	};
	int fd = mkstemp(keylog), rc;

	setenv("SSLKEYLOGFILE", keylog, 1);
	rc = cmocka_run_group_tests(tests, NULL, drop_identities);
	unlink(keylog);
	close(fd);
	return rc;
}
