/* mesh/peer over transport/loop: the hello in both profiles, messages, and everything a peer
 * can do wrong. What it does wrong is sent by hand, on the bare connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/peer.h"
#include "support/net.h"
#include "support/torture.h"
#include "wire/envelope.h"
#include "wire/frame.h"
#include "wire/record.h"

#define T (&snet_transport_loop)
#define TURNS 60
#define KEPT 2000

/* What a peer's owner was told. */
struct told {
	struct snet_peer *p; /* NULL: not there, or down */
	unsigned ups, messages, eofs, drains, flushes, downs;
	struct {
		unsigned stream;
		uint8_t kind;
		uint64_t seq;
		size_t n;
	} m[KEPT];
	struct snet_buf bytes; /* of all the messages */
	int code;
	char why[NET_WHY];
	bool by_peer;
	size_t undelivered, unacked;
	/* What to do about it. */
	unsigned pause_at; /* after this many messages */
	bool forget;       /* the bytes */
	void (*on_up)(struct told *t);
	void (*on_message)(struct told *t);
	void (*on_eof)(struct told *t);
	void (*on_drain)(struct told *t);
};

static struct snet_loop *loop;
static struct net_end a, b;
static struct net_conn raw;      /* a bare connection in place of a peer */
static struct told mine, theirs; /* the dialler, the dialled */
static struct snet_peer_opts opts_mine, opts_theirs;

static void on_up(struct snet_peer *p, void *user)
{
	struct told *t = user;

	assert_ptr_equal(snet_peer_user(p), user);
	assert_int_equal(t->ups + t->messages + t->eofs + t->downs, 0);
	t->p = p;
	t->ups++;
	if (t->on_up)
		t->on_up(t);
}

static void on_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	struct told *t = user;

	assert_ptr_equal(p, t->p);
	assert_int_equal(t->ups, 1);
	assert_int_equal(t->eofs + t->downs, 0);
	assert_true(t->messages < KEPT);
	t->m[t->messages].stream = m->stream;
	t->m[t->messages].kind = m->kind;
	t->m[t->messages].seq = m->seq;
	t->m[t->messages++].n = m->n;
	if (!t->bytes.max)
		t->bytes = SNET_BUF(64u << 20);
	if (!t->forget)
		assert_int_equal(snet_buf_add(&t->bytes, m->p, m->n), SNET_OK);
	if (t->messages == t->pause_at)
		snet_peer_pause(p);
	if (t->on_message)
		t->on_message(t);
}

static void on_eof(struct snet_peer *p, void *user)
{
	struct told *t = user;

	assert_ptr_equal(p, t->p);
	t->eofs++;
	if (t->on_eof)
		t->on_eof(t);
}

static void on_drain(struct snet_peer *p, void *user)
{
	struct told *t = user;

	assert_ptr_equal(p, t->p);
	t->drains++;
	if (t->on_drain)
		t->on_drain(t);
}

static void on_flushed(struct snet_peer *p, void *user)
{
	struct told *t = user;

	assert_ptr_equal(p, t->p);
	t->flushes++;
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct told *t = user;

	assert_true(p == t->p);
	t->downs++;
	t->code = code;
	t->by_peer = by_peer;
	t->unacked = snet_peer_unacked(p);
	t->undelivered = snet_peer_undelivered(p);
	snprintf(t->why, sizeof(t->why), "%s", why);
	t->p = NULL;
}

static const struct snet_peer_events events = { on_up,    on_message, on_eof,
						on_drain, on_flushed, on_down };

static void take_peer(struct net_end *n, struct snet_conn *c)
{
	(void)n;
	assert_int_equal(snet_peer_accept(&theirs.p, loop, c, &opts_theirs, &events, &theirs),
			 SNET_OK);
}

static void dial_peer(void)
{
	struct snet_error err = { 0 };

	if (snet_peer_dial(&mine.p, loop, a.e, T, &b.at, NULL, &opts_mine, &events, &mine,
			   &err))
		fail_msg("%s", err.text);
	assert_int_equal(mine.ups + mine.downs, 0);
}

static int begin(void **s)
{
	(void)s;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&raw, 0, sizeof(raw));
	memset(&mine, 0, sizeof(mine));
	memset(&theirs, 0, sizeof(theirs));
	opts_mine = (struct snet_peer_opts){ .id = 7 };
	opts_theirs = (struct snet_peer_opts){ .id = 9 };
	return snet_loop_new(&loop);
}

static int end(void **s)
{
	(void)s;
	net_unbind(&a);
	net_unbind(&b);
	net_conn_fini(&raw);
	snet_buf_free(&mine.bytes);
	snet_buf_free(&theirs.bytes);
	snet_loop_free(loop);
	return 0;
}

static void turn(void)
{
	net_turns(loop, TURNS);
}

static void bind_both(bool crate)
{
	struct snet_transport_config cfg = { .crate_only = crate };

	net_bind(&a, loop, T, "127.0.0.1:0", 0, &cfg);
	net_bind(&b, loop, T, "127.0.0.1:0", 1, NULL);
}

/* Two peers. */
static void connect_peers(bool crate)
{
	bind_both(crate);
	b.on_accept = take_peer;
	dial_peer();
	turn();
	assert_int_equal(mine.ups, 1);
	if (!crate)
		assert_int_equal(theirs.ups, 1);
}

/* A bare dialler, a peer that was dialled. */
static void connect_raw(bool crate)
{
	bind_both(crate);
	b.on_accept = take_peer;
	net_dial(&raw, &a, &b.at, NULL);
	turn();
	assert_int_equal(raw.opens, 1);
	assert_non_null(theirs.p);
}

/* A peer that dials, and a bare connection where it arrives. */
static struct net_conn *dial_raw(bool crate)
{
	bind_both(crate);
	dial_peer();
	turn();
	assert_int_equal(b.n_accepted, 1);
	return &b.accepted[0];
}

static int say(struct told *t, unsigned stream, const void *p, size_t n)
{
	struct snet_slice s = { p, n, NULL };

	return snet_peer_send(t->p, stream, SNET_KIND_DATA, &s, 1);
}

static void raw_send(struct net_conn *c, unsigned stream, const void *p, size_t n)
{
	assert_int_equal(net_send(c, stream, p, n), SNET_OK);
}

/* A frame: length, type unless 0, body. */
static void raw_frame(struct net_conn *c, unsigned stream, uint8_t type, const void *p,
		      size_t n)
{
	uint8_t head[5];

	snet_frame_head(head, (uint32_t)(n + (type ? 1 : 0)));
	head[4] = type;
	raw_send(c, stream, head, type ? 5 : 4);
	if (n)
		raw_send(c, stream, p, n);
}

static size_t hello(uint8_t out[static 64], const char *role, uint64_t id)
{
	struct snet_envelope e = { .tag = SNET_ENVELOPE_HANDSHAKE };
	struct snet_buf b2 = SNET_BUF(64);
	size_t n;

	e.handshake.id = id;
	e.handshake.old = role;
	if (role)
		e.handshake.role =
			(struct snet_slice){ (const uint8_t *)role, strlen(role), NULL };
	assert_int_equal(snet_envelope_encode(&e, &b2), SNET_OK);
	n = b2.n;
	memcpy(out, b2.p, n);
	snet_buf_free(&b2);
	return n;
}

static void raw_hello(struct net_conn *c)
{
	uint8_t p[64];
	size_t n = hello(p, "SERVER", 5);

	raw_frame(c, 0, 0, p, n);
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

/* The peer that was dialled went down: by itself, or because of what the other side said. */
static void assert_down(const struct told *t, int code, bool by_peer)
{
	if (t->downs != 1 || t->code != code || t->by_peer != by_peer)
		fail_msg("down %u times, with %s%s: %s", t->downs, snet_err_name(t->code),
			 t->by_peer ? ", by the peer" : "", t->why);
}

/* ---- hello */

static void peers_say_who_they_are(void **s)
{
	(void)s;
	opts_mine.role = SNET_ROLE_CLIENT;
	connect_peers(false);
	assert_true(snet_peer_id(mine.p) == 9);
	assert_true(snet_peer_id(theirs.p) == 7);
	assert_int_equal(snet_peer_role(mine.p), SNET_ROLE_SERVER);
	assert_int_equal(snet_peer_role(theirs.p), SNET_ROLE_CLIENT);
	assert_memory_equal(snet_peer_conn(mine.p)->peer_key,
			    snet_identity_keyid(net_identity(1)), SNET_KEYID_BYTES);
	assert_true(snet_peer_conn(mine.p)->dialled);
	assert_ptr_equal(snet_peer_user(mine.p), &mine);
}

static void in_the_crates_profile_the_certificate_says_it(void **s)
{
	struct snet_transport_config cfg = { .crate_only = true, .role = SNET_ROLE_CLIENT };

	(void)s;
	net_bind(&a, loop, T, "127.0.0.1:0", 0, &cfg);
	net_bind(&b, loop, T, "127.0.0.1:0", 1, NULL);
	b.on_accept = take_peer;
	dial_peer();
	turn();
	assert_int_equal(mine.ups, 1);
	assert_int_equal(theirs.ups, 1); /* the sync byte alone brings it up */
	assert_true(snet_peer_id(mine.p) == snet_identity_derived(net_identity(1)));
	assert_true(snet_peer_id(theirs.p) == snet_identity_derived(net_identity(0)));
	assert_int_equal(snet_peer_role(mine.p), SNET_ROLE_SERVER);
	assert_int_equal(snet_peer_role(theirs.p), SNET_ROLE_CLIENT);
}

static void the_bytes_of_the_hello_are_as_written_down(void **s)
{
	struct net_conn *d = dial_raw(false);
	uint8_t frame[4 + 64];
	size_t n = hello(frame + 4, "SERVER", 7);

	(void)s;
	snet_frame_head(frame, (uint32_t)n);
	net_assert_in(d, 0, frame, n + 4);
	raw_hello(d);
	turn();
	assert_int_equal(mine.ups, 1);
	assert_true(snet_peer_id(mine.p) == 5);
}

static void the_crates_stream_is_a_sync_byte_and_then_frames(void **s)
{
	struct net_conn *d = dial_raw(true);

	(void)s;
	net_assert_in(d, 0, "\xff", 1);
	assert_int_equal(say(&mine, 0, "abc", 3), SNET_OK);
	assert_int_equal(say(&mine, 0, "", 0), SNET_OK);
	turn();
	net_assert_in(d, 0, "\xff\0\0\0\3abc\0\0\0\0", 12);
	raw_send(d, 0, "\0\0\0\2de", 6); /* no sync byte back */
	turn();
	assert_int_equal(mine.messages, 1);
	assert_int_equal(mine.m[0].kind, SNET_KIND_DATA);
	assert_memory_equal(mine.bytes.p, "de", 2);
}

static void roles_are_read_in_any_case_and_strange_ones_refused(void **s)
{
	static const struct {
		const char *role;
		bool ok;
		enum snet_role is;
	} cases[] = {
		{ "SERVER", true, SNET_ROLE_SERVER },
		{ "client", true, SNET_ROLE_CLIENT },
		{ "Client", true, SNET_ROLE_CLIENT },
		{ "CLIENTS", false, 0 },
		{ "", false, 0 },
		{ "king", false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t p[64];
		size_t n = hello(p, cases[i].role, 1);

		if (i) {
			end(s);
			begin(s);
		}
		connect_raw(false);
		raw_frame(&raw, 0, 0, p, n);
		turn();
		assert_int_equal(theirs.ups, cases[i].ok);
		if (cases[i].ok)
			assert_int_equal(snet_peer_role(theirs.p), cases[i].is);
		else
			assert_down(&theirs, SNET_EPROTO, false);
	}
}

static void a_hello_may_come_byte_by_byte(void **s)
{
	uint8_t frame[4 + 64];
	size_t n = hello(frame + 4, "SERVER", 3);

	for (unsigned parts = 0; parts < 2; parts++) {
		if (parts) {
			end(s);
			begin(s);
		}
		opts_theirs.parts = parts;
		connect_raw(false);
		snet_frame_head(frame, (uint32_t)n);
		for (size_t i = 0; i < n + 4; i++) {
			assert_int_equal(theirs.ups, 0);
			raw_send(&raw, 0, frame + i, 1);
			turn();
		}
		assert_int_equal(theirs.ups, 1);
		raw_frame(&raw, 0, SNET_RECORD_DATA, "after it", 8);
		turn();
		assert_int_equal(theirs.downs, 0);
		assert_int_equal(theirs.bytes.n, 8);
		assert_memory_equal(theirs.bytes.p, "after it", 8);
	}
}

static void what_follows_the_hello_at_once_is_a_message(void **s)
{
	(void)s;
	connect_raw(false);
	raw_hello(&raw);
	raw_frame(&raw, 0, SNET_RECORD_DATA, "one", 3);
	raw_frame(&raw, 0, SNET_RECORD_VOTE, "two", 3);
	turn();
	assert_int_equal(theirs.messages, 2);
	assert_int_equal(theirs.m[0].kind, SNET_RECORD_DATA);
	assert_int_equal(theirs.m[1].kind, SNET_RECORD_VOTE);
	assert_int_equal(theirs.m[1].seq, 2);
}

/* Streams are not ordered among each other: a lost packet is enough. */
static void a_message_that_overtakes_the_hello_waits_for_it(void **s)
{
	(void)s;
	connect_raw(false);
	raw_frame(&raw, 3, SNET_RECORD_DATA, "early", 5);
	turn();
	assert_int_equal(theirs.downs, 0);
	assert_int_equal(theirs.messages, 0);
	raw_hello(&raw);
	turn();
	assert_int_equal(theirs.ups, 1);
	assert_int_equal(theirs.messages, 1);
	assert_int_equal(theirs.m[0].stream, 3);
	raw_frame(&raw, 3, SNET_RECORD_DATA, pattern(1000), 1000); /* longer than a hello */
	turn();
	assert_int_equal(theirs.downs, 0);
	assert_int_equal(theirs.messages, 2);
}

static unsigned earlies;

static void say_early(struct snet_peer *p, void *user)
{
	const struct snet_slice v = { pattern(1000), 1000, NULL };

	earlies++;
	assert_int_equal(((struct told *)user)->ups, 0);
	assert_true(snet_peer_can_send(p));
	assert_int_equal(snet_peer_send(p, 0, SNET_RECORD_VOTE, &v, 1), SNET_OK);
}

static void dial_early(void)
{
	static struct snet_peer_events mine_events; /* outlives the test's function */
	const struct snet_slice v = { (const uint8_t *)"x", 1, NULL };

	mine_events = events;
	mine_events.on_early = say_early;
	earlies = 0;
	b.on_accept = take_peer;
	assert_int_equal(snet_peer_dial(&mine.p, loop, a.e, T, &b.at, NULL, &opts_mine,
					&mine_events, &mine, NULL),
			 SNET_OK);
	assert_false(snet_peer_can_send(mine.p));
	assert_int_equal(snet_peer_send(mine.p, 0, SNET_KIND_DATA, &v, 1), SNET_ECLOSED);
	turn();
}

/* And may be longer than a hello. */
static void what_is_said_early_comes_after_the_hello(void **s)
{
	(void)s;
	bind_both(false);
	dial_early();
	assert_int_equal(earlies, 1);
	assert_int_equal(mine.ups, 1);
	assert_int_equal(theirs.ups, 1);
	assert_int_equal(theirs.messages, 1);
	assert_int_equal(theirs.m[0].kind, SNET_RECORD_VOTE);
	assert_int_equal(theirs.m[0].seq, 1);
	assert_int_equal(theirs.m[0].n, 1000);
}

static void to_the_crate_nothing_is_said_early(void **s)
{
	(void)s;
	bind_both(true);
	dial_early();
	assert_int_equal(earlies, 0);
	assert_int_equal(mine.ups, 1);
}

static void garbage_for_a_hello_is_a_protocol_error(void **s)
{
	static const struct {
		const char *p;
		size_t n;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18 },             /* a length of 1.2 GB */
		{ "\0\0\0\0", 4 },                            /* an empty frame */
		{ "\0\0\0\4\0\0\0\0", 8 },                    /* a handshake cut short */
		{ "\0\0\0\14\0\0\0\0\1\0\0\0\0\0\0\0", 16 },  /* the form without a role */
		{ "\0\0\0\14\11\0\0\0\1\0\0\0\0\0\0\0", 16 }, /* a heartbeat */
		{ "\0\0\0\4\377\377\377\377", 8 },            /* no such variant */
		{ "\0\0\2\0", 4 },                            /* longer than any hello */
		{ "\xff\0\0\0\3abc", 8 },                     /* the crate's stream */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (i) {
			end(s);
			begin(s);
		}
		connect_raw(false);
		raw_send(&raw, 0, cases[i].p, cases[i].n);
		turn();
		assert_int_equal(theirs.ups, 0);
		if (theirs.code != SNET_EPROTO)
			fail_msg("case %zu: %s: %s", i, snet_err_name(theirs.code), theirs.why);
		assert_down(&theirs, SNET_EPROTO, false);
		assert_int_equal(raw.closes, 1);
		assert_int_equal(raw.code, SNET_EPROTO); /* and says so */
		assert_string_equal(raw.why, theirs.why);
	}
}

static void the_dialler_wants_a_hello_too(void **s)
{
	struct net_conn *d = dial_raw(false);

	(void)s;
	raw_frame(d, 0, 0, "no hello", 8);
	turn();
	assert_int_equal(mine.ups, 0);
	assert_down(&mine, SNET_EPROTO, false);
	assert_int_equal(d->code, SNET_EPROTO);
}

static void a_second_hello_is_a_protocol_error(void **s)
{
	(void)s;
	connect_raw(false);
	raw_hello(&raw);
	raw_hello(&raw);
	turn();
	assert_int_equal(theirs.ups, 1);
	assert_int_equal(theirs.messages, 0);
	assert_down(&theirs, SNET_EPROTO, false);
}

static void the_crates_profile_wants_its_sync_byte(void **s)
{
	(void)s;
	connect_raw(true);
	raw_send(&raw, 0, "\0\0\0\3abc", 7);
	turn();
	assert_int_equal(theirs.ups, 0);
	assert_down(&theirs, SNET_EPROTO, false);
	assert_int_equal(raw.closes, 1);
	assert_true(raw.by_peer);
}

static void the_crates_profile_has_one_stream(void **s)
{
	(void)s;
	connect_raw(true);
	raw_send(&raw, 0, "\xff\0\0\0\1a", 6);
	turn();
	assert_int_equal(theirs.messages, 1);
	assert_int_equal(snet_peer_send(theirs.p, 1, SNET_KIND_DATA, NULL, 0), SNET_EINVAL);
	raw_send(&raw, 1, "\0\0\0\1b", 5);
	turn();
	assert_int_equal(theirs.messages, 1);
	assert_down(&theirs, SNET_EPROTO, false);
}

static void an_end_before_the_hello_is_a_protocol_error(void **s)
{
	for (unsigned crate = 0; crate < 2; crate++) {
		if (crate) {
			end(s);
			begin(s);
		}
		connect_raw(crate);
		T->finish(raw.c, 0);
		turn();
		assert_int_equal(theirs.ups + theirs.eofs, 0);
		assert_down(&theirs, SNET_EPROTO, false);
	}
}

static bool is_down(void *user)
{
	return ((struct told *)user)->downs;
}

static void who_never_says_hello_is_dropped_in_time(void **s)
{
	for (unsigned i = 0; i < 4; i++) {
		bool dialler = i & 1, crate = i & 2;
		struct told *t = dialler ? &mine : &theirs;

		if (dialler && crate)
			continue; /* it is up as soon as it is open */
		if (i) {
			end(s);
			begin(s);
		}
		opts_mine.hello_timeout = opts_theirs.hello_timeout = 20 * SNET_MS;
		if (dialler)
			dial_raw(crate);
		else
			connect_raw(crate);
		net_until(loop, is_down, t);
		assert_int_equal(t->ups, 0);
		assert_down(t, SNET_ETIMEOUT, false);
	}
}

static void who_said_hello_in_time_stays(void **s)
{
	(void)s;
	opts_mine.hello_timeout = opts_theirs.hello_timeout = 20 * SNET_MS;
	connect_peers(false);
	net_pass(loop, 60 * SNET_MS);
	assert_int_equal(mine.downs + theirs.downs, 0);
	assert_int_equal(say(&mine, 0, "x", 1), SNET_OK);
	turn();
	assert_int_equal(theirs.messages, 1);
}

static void a_dial_that_fails_goes_down(void **s)
{
	struct snet_addr nobody;

	(void)s;
	bind_both(false);
	assert_int_equal(snet_addr_parse(&nobody, "127.0.0.1:1"), SNET_OK);
	assert_int_equal(snet_peer_dial(&mine.p, loop, a.e, T, &nobody, NULL, &opts_mine,
					&events, &mine, NULL),
			 SNET_OK);
	assert_int_equal(snet_peer_send(mine.p, 0, SNET_KIND_DATA, NULL, 0), SNET_ECLOSED);
	assert_false(snet_peer_can_send(mine.p));
	turn();
	assert_int_equal(mine.ups, 0);
	assert_down(&mine, SNET_EUNREACH, false);
}

/* ---- messages */

static void check_counted(const struct told *t, unsigned n)
{
	size_t at = 0;

	assert_int_equal(t->messages, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(t->m[i].seq, i + 1);
		assert_int_equal(t->m[i].stream, 0);
		assert_int_equal(t->m[i].kind, SNET_KIND_DATA);
		assert_int_equal(t->m[i].n, i % 300);
		if (i % 300)
			assert_memory_equal(t->bytes.p + at, pattern(0), i % 300);
		at += i % 300;
	}
	assert_int_equal(t->bytes.n, at);
}

static void messages_go_both_ways_in_order(void **s)
{
	for (unsigned crate = 0; crate < 2; crate++) {
		if (crate) {
			end(s);
			begin(s);
		}
		connect_peers(crate);
		for (unsigned i = 0; i < 1000; i++) {
			assert_int_equal(say(&mine, 0, pattern(300), i % 300), SNET_OK);
			assert_int_equal(say(&theirs, 0, pattern(300), i % 300), SNET_OK);
			if (i % 100 == 0)
				turn();
		}
		turn();
		check_counted(&theirs, 1000);
		check_counted(&mine, 1000);
		assert_int_equal(snet_peer_queued(mine.p), 0);
	}
}

static void empty_messages_are_messages(void **s)
{
	struct snet_slice none[2] = { { NULL, 0, NULL }, { (const uint8_t *)"", 0, NULL } };

	for (unsigned crate = 0; crate < 2; crate++) {
		if (crate) {
			end(s);
			begin(s);
		}
		connect_peers(crate);
		assert_int_equal(snet_peer_send(mine.p, 0, SNET_KIND_DATA, NULL, 0), SNET_OK);
		assert_int_equal(snet_peer_send(mine.p, 0, SNET_KIND_DATA, none, 1), SNET_OK);
		assert_int_equal(snet_peer_send(mine.p, 0, SNET_KIND_DATA, none, 2), SNET_OK);
		turn();
		assert_int_equal(theirs.messages, 3);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(theirs.m[i].n, 0);
		assert_int_equal(theirs.m[2].seq, 3);
	}
}

static void a_message_may_lie_in_many_slices(void **s)
{
	struct snet_slice v[100];
	size_t total = 0;

	(void)s;
	connect_peers(false);
	for (unsigned i = 0; i < 100; i++) {
		v[i] = (struct snet_slice){ pattern(0) + total, i * 10, NULL };
		total += i * 10;
	}
	assert_int_equal(snet_peer_send(mine.p, 0, SNET_RECORD_DKG_ROUND2, v, 100), SNET_OK);
	turn();
	assert_int_equal(theirs.messages, 1);
	assert_int_equal(theirs.m[0].kind, SNET_RECORD_DKG_ROUND2);
	assert_int_equal(theirs.bytes.n, total);
	assert_memory_equal(theirs.bytes.p, pattern(0), total);
}

static void large_messages_arrive_whole(void **s)
{
	static const size_t sizes[] = { 1023, 1024, 1025, 16383, 65536, 1000000, 3 << 20 };
	size_t at = 0;

	(void)s;
	connect_peers(false);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(say(&mine, 0, pattern(sizes[i]), sizes[i]), SNET_OK);
	turn();
	assert_int_equal(theirs.messages, sizeof(sizes) / sizeof(sizes[0]));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); at += sizes[i], i++) {
		assert_int_equal(theirs.m[i].n, sizes[i]);
		assert_memory_equal(theirs.bytes.p + at, pattern(0), sizes[i]);
	}
}

static void every_stream_counts_for_itself(void **s)
{
	(void)s;
	connect_peers(false);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < SNET_STREAMS; k++)
			assert_int_equal(say(&mine, k, pattern(k), k), SNET_OK);
	assert_int_equal(say(&theirs, 3, "three", 5), SNET_OK);
	assert_int_equal(say(&mine, SNET_STREAMS, "x", 1), SNET_EINVAL);
	turn();
	assert_int_equal(theirs.messages, 3 * SNET_STREAMS);
	for (unsigned i = 0; i < theirs.messages; i++) {
		unsigned before = 1;

		for (unsigned k = 0; k < i; k++)
			before += theirs.m[k].stream == theirs.m[i].stream;
		assert_int_equal(theirs.m[i].seq, before);
		assert_int_equal(theirs.m[i].n, theirs.m[i].stream);
	}
	assert_int_equal(mine.messages, 1);
	assert_int_equal(mine.m[0].stream, 3);
	assert_memory_equal(mine.bytes.p, "three", 5);
}

static void kinds_without_a_meaning_here_are_refused(void **s)
{
	static const uint8_t kinds[] = { 0, 10, 11, 13, 31, 33, 34, 36, 63, 70, 127, 128, 255 };

	for (size_t i = 0; i < sizeof(kinds); i++) {
		uint8_t frame[6] = { 0, 0, 0, 2, kinds[i], 'x' };

		if (i) {
			end(s);
			begin(s);
		}
		connect_raw(false);
		raw_hello(&raw);
		raw_send(&raw, 0, frame, sizeof(frame));
		turn();
		assert_int_equal(theirs.messages, 0);
		assert_down(&theirs, SNET_EPROTO, false);
	}
}

static void a_record_has_a_type(void **s)
{
	for (unsigned parts = 0; parts < 2; parts++) {
		if (parts) {
			end(s);
			begin(s);
		}
		opts_theirs.parts = parts;
		connect_raw(false);
		raw_hello(&raw);
		raw_send(&raw, 0, "\0\0\0\0", 4);
		turn();
		assert_down(&theirs, SNET_EPROTO, false);
	}
}

static void a_message_above_the_ceiling_closes(void **s)
{
	for (unsigned i = 0; i < 4; i++) {
		bool crate = i & 1, parts = i & 2;

		if (i) {
			end(s);
			begin(s);
		}
		opts_theirs.max_message = 1000;
		opts_theirs.parts = parts;
		connect_peers(crate);
		assert_int_equal(say(&mine, 0, pattern(1000), 1000), SNET_OK);
		turn();
		assert_int_equal(theirs.bytes.n, 1000);
		assert_int_equal(theirs.downs, 0);
		assert_int_equal(say(&mine, 0, pattern(1001), 1001), SNET_OK);
		turn();
		assert_int_equal(theirs.bytes.n, 1000);
		assert_down(&theirs, SNET_ETOOBIG, false);
		assert_int_equal(mine.downs, 1);
		assert_int_equal(mine.code, crate ? SNET_OK : SNET_ETOOBIG);
		assert_true(mine.by_peer);
	}
}

/* Also on a stream whose first message came before. */
static void the_ceiling_holds_on_every_stream(void **s)
{
	(void)s;
	opts_theirs.max_message = 1000;
	connect_peers(false);
	assert_int_equal(say(&mine, 5, pattern(1000), 1000), SNET_OK);
	turn();
	assert_int_equal(theirs.messages, 1);
	assert_int_equal(say(&mine, 5, pattern(1001), 1001), SNET_OK);
	turn();
	assert_down(&theirs, SNET_ETOOBIG, false);
}

static void a_lying_length_costs_the_liar(void **s)
{
	uint8_t head[4];

	(void)s;
	opts_theirs.max_message = SNET_MESSAGE_MAX;
	connect_raw(true);
	raw_send(&raw, 0, "\xff", 1);
	snet_frame_head(head, SNET_MESSAGE_MAX);
	raw_send(&raw, 0, head, 4);
	raw_send(&raw, 0, "some", 4);
	turn();
	assert_int_equal(theirs.ups, 1);
	assert_int_equal(theirs.downs, 0);
	assert_int_equal(
		snet_peer_send(theirs.p, 0, SNET_KIND_DATA,
			       &(struct snet_slice){ head, SNET_MESSAGE_MAX + 1u, NULL }, 1),
		SNET_ETOOBIG);
}

static void one_byte_above_a_gibibyte_is_refused(void **s)
{
	(void)s;
	opts_theirs.max_message = SNET_MESSAGE_MAX;
	connect_raw(true);
	raw_send(&raw, 0, "\xff\x40\0\0\1", 5);
	turn();
	assert_down(&theirs, SNET_ETOOBIG, false);
}

static void parts_are_the_same_bytes_without_boundaries(void **s)
{
	for (unsigned crate = 0; crate < 2; crate++) {
		if (crate) {
			end(s);
			begin(s);
		}
		opts_theirs.parts = true;
		connect_peers(crate);
		assert_int_equal(say(&mine, 0, pattern(3), 3), SNET_OK);
		assert_int_equal(say(&mine, 0, "", 0), SNET_OK);
		assert_int_equal(say(&mine, 0, pattern(0) + 3, 99997), SNET_OK);
		assert_int_equal(say(&mine, 0, pattern(0) + 100000, 1), SNET_OK);
		turn();
		assert_int_equal(theirs.bytes.n, 100001);
		assert_memory_equal(theirs.bytes.p, pattern(0), 100001);
		for (unsigned i = 0; i < theirs.messages; i++) {
			assert_int_equal(theirs.m[i].seq, 0);
			assert_true(theirs.m[i].n);
		}
		assert_true(theirs.messages > 3); /* a large one was not waited for */
		snet_peer_finish(mine.p);
		turn();
		assert_int_equal(theirs.eofs, 1);
	}
}

static void parts_arrive_before_their_message_is_complete(void **s)
{
	(void)s;
	opts_theirs.parts = true;
	connect_raw(false);
	raw_hello(&raw);
	raw_send(&raw, 0, "\0\0\0\12\40abc", 8);
	turn();
	assert_int_equal(theirs.bytes.n, 3);
	raw_send(&raw, 0, "defghi", 6);
	turn();
	assert_int_equal(theirs.bytes.n, 9);
	assert_memory_equal(theirs.bytes.p, "abcdefghi", 9);
}

/* ---- back-pressure */

static void while_paused_nothing_is_told_and_then_all_of_it(void **s)
{
	for (unsigned crate = 0; crate < 2; crate++) {
		if (crate) {
			end(s);
			begin(s);
		}
		connect_peers(crate);
		turn();
		snet_peer_pause(theirs.p);
		snet_peer_pause(theirs.p); /* they count */
		for (unsigned i = 0; i < 500; i++)
			assert_int_equal(say(&mine, 0, pattern(300), i % 300), SNET_OK);
		snet_peer_finish(mine.p);
		turn();
		assert_int_equal(theirs.messages + theirs.eofs, 0);
		snet_peer_resume(theirs.p);
		turn();
		assert_int_equal(theirs.messages + theirs.eofs, 0);
		snet_peer_resume(theirs.p);
		assert_int_equal(theirs.messages, 0); /* not from within */
		turn();
		check_counted(&theirs, 500);
		assert_int_equal(theirs.eofs, 1);
		assert_int_equal(mine.flushes, 1);
	}
}

static void a_pause_in_a_callback_holds_the_next_message(void **s)
{
	(void)s;
	connect_peers(false);
	theirs.pause_at = 3;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(say(&mine, 0, pattern(300), i % 300), SNET_OK);
	turn();
	assert_int_equal(theirs.messages, 3);
	theirs.pause_at = 4; /* again, while what is held is read */
	snet_peer_resume(theirs.p);
	turn();
	assert_int_equal(theirs.messages, 4);
	snet_peer_resume(theirs.p);
	turn();
	check_counted(&theirs, 10);
}

static void a_paused_peer_stops_the_sender(void **s)
{
	struct snet_transport_config sends = { .queue = 200000 }, reads = { .window = 50000 };
	unsigned n = 0;

	(void)s;
	net_bind(&a, loop, T, "127.0.0.1:0", 0, &sends);
	net_bind(&b, loop, T, "127.0.0.1:0", 1, &reads);
	b.on_accept = take_peer;
	dial_peer();
	turn();
	snet_peer_pause(theirs.p);
	while (say(&mine, 0, pattern(1000), 1000) == SNET_OK) {
		assert_true(++n < 1000);
		if (n % 10 == 0)
			turn();
	}
	assert_true(n >= 190 && n <= 210);
	assert_int_equal(say(&mine, 0, "", 0), SNET_EAGAIN);
	assert_false(snet_peer_can_send(mine.p));
	assert_true(snet_peer_queued(mine.p) >= 200000);
	turn();
	assert_int_equal(mine.drains, 0);
	snet_peer_resume(theirs.p);
	turn();
	assert_int_equal(mine.drains, 1);
	assert_int_equal(theirs.messages, n);
	assert_int_equal(snet_peer_queued(mine.p), 0);
	assert_true(snet_peer_can_send(mine.p));
}

static void echo(struct told *t)
{
	size_t n = t->m[t->messages - 1].n;

	assert_int_equal(say(t, 0, t->bytes.p + t->bytes.n - n, n), SNET_OK);
}

static void a_callback_may_send(void **s)
{
	(void)s;
	theirs.on_message = echo;
	connect_peers(false);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(say(&mine, 0, pattern(300), i % 300), SNET_OK);
	turn();
	check_counted(&mine, 100);
}

static void speak(struct told *t)
{
	assert_int_equal(say(t, 0, "at once", 7), SNET_OK);
	assert_int_equal(say(t, 2, "and here", 8), SNET_OK);
	snet_peer_finish(t->p);
}

static void both_may_speak_and_finish_in_on_up(void **s)
{
	(void)s;
	mine.on_up = theirs.on_up = speak;
	connect_peers(false);
	turn();
	assert_int_equal(mine.messages, 2);
	assert_int_equal(theirs.messages, 2);
	assert_int_equal(mine.eofs + theirs.eofs, 2);
	assert_int_equal(mine.flushes + theirs.flushes, 2);
}

/* ---- half-close */

static void finish_is_told_after_the_last_message_and_then_flushed(void **s)
{
	for (unsigned crate = 0; crate < 2; crate++) {
		if (crate) {
			end(s);
			begin(s);
		}
		connect_peers(crate);
		assert_int_equal(say(&mine, 0, "last", 4), SNET_OK);
		if (!crate)
			assert_int_equal(say(&mine, 6, "words", 5), SNET_OK);
		snet_peer_finish(mine.p);
		snet_peer_finish(mine.p);
		assert_int_equal(say(&mine, 0, "x", 1), SNET_ECLOSED);
		assert_false(snet_peer_can_send(mine.p));
		turn();
		assert_int_equal(theirs.messages, crate ? 1 : 2);
		assert_int_equal(theirs.eofs, 1);
		assert_int_equal(mine.flushes, 1);
		/* The other direction goes on. */
		assert_int_equal(say(&theirs, 0, "answer", 6), SNET_OK);
		snet_peer_finish(theirs.p);
		turn();
		assert_int_equal(mine.messages, 1);
		assert_int_equal(mine.eofs, 1);
		assert_int_equal(theirs.flushes, 1);
		assert_int_equal(mine.downs + theirs.downs, 0);
		snet_peer_close(mine.p, SNET_OK, "done");
		turn();
		assert_down(&mine, SNET_OK, false);
		assert_down(&theirs, SNET_OK, true);
	}
}

static void an_end_within_a_message_is_told_as_such(void **s)
{
	for (unsigned i = 0; i < 3; i++) {
		if (i) {
			end(s);
			begin(s);
		}
		opts_theirs.parts = i == 2;
		connect_raw(false);
		raw_hello(&raw);
		raw_send(&raw, 0, "\0\0\0\12\40abc", i == 1 ? 3 : 8);
		T->finish(raw.c, 0);
		turn();
		assert_int_equal(theirs.eofs, 0);
		assert_down(&theirs, SNET_ETRUNCATED, false);
		assert_int_equal(raw.code, SNET_ETRUNCATED);
	}
}

static void a_clean_close_within_a_message_is_not_clean(void **s)
{
	(void)s;
	connect_raw(false);
	raw_hello(&raw);
	raw_send(&raw, 0, "\0\0\0\12\40abc", 8);
	turn();
	net_close(&raw, SNET_OK, "bye");
	turn();
	assert_down(&theirs, SNET_ETRUNCATED, true);
}

/* ---- the end */

static void close_tells_both_why(void **s)
{
	(void)s;
	connect_peers(false);
	snet_peer_close(mine.p, SNET_EPOLICY, "too much of it");
	snet_peer_close(mine.p, SNET_EIO, "again");
	assert_int_equal(say(&mine, 0, "x", 1), SNET_ECLOSED);
	assert_int_equal(mine.downs, 0);
	turn();
	assert_down(&mine, SNET_EPOLICY, false);
	assert_down(&theirs, SNET_EPOLICY, true);
	assert_string_equal(theirs.why, "too much of it");
}

static void what_was_not_delivered_is_counted(void **s)
{
	(void)s;
	connect_peers(false);
	snet_peer_pause(theirs.p);
	assert_int_equal(say(&mine, 0, pattern(1000), 1000), SNET_OK);
	turn();
	snet_peer_close(theirs.p, SNET_ECANCELLED, "enough");
	turn();
	assert_int_equal(theirs.downs, 1);
	assert_int_equal(theirs.messages, 0);
	assert_int_equal(mine.unacked, 1005);
	assert_int_equal(mine.undelivered, 0); /* it went out */
}

static void what_came_before_the_end_is_told_before_the_end(void **s)
{
	(void)s;
	connect_peers(false);
	snet_peer_pause(theirs.p);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(say(&mine, 0, pattern(300), i % 300), SNET_OK);
	turn();
	snet_peer_close(mine.p, SNET_OK, "bye");
	turn();
	assert_int_equal(mine.downs, 1);
	assert_int_equal(theirs.downs, 0); /* it still has something to say */
	assert_int_equal(say(&theirs, 0, "x", 1), SNET_ECLOSED);
	assert_memory_equal(snet_peer_conn(theirs.p)->peer_key,
			    snet_identity_keyid(net_identity(0)), SNET_KEYID_BYTES);
	snet_peer_resume(theirs.p);
	turn();
	check_counted(&theirs, 10);
	assert_down(&theirs, SNET_OK, true);
	assert_string_equal(theirs.why, "bye");
}

static void a_peer_that_is_held_can_be_closed(void **s)
{
	(void)s;
	connect_peers(false);
	snet_peer_pause(theirs.p);
	assert_int_equal(say(&mine, 0, "x", 1), SNET_OK);
	turn();
	snet_peer_close(mine.p, SNET_OK, "bye");
	turn();
	assert_int_equal(theirs.downs, 0);
	snet_peer_close(theirs.p, SNET_ECANCELLED, "no matter");
	assert_int_equal(theirs.downs, 0); /* later */
	turn();
	assert_int_equal(theirs.downs, 1);
	assert_int_equal(theirs.messages, 0);
}

static void close_it(struct told *t)
{
	snet_peer_close(t->p, SNET_EPOLICY, "from a callback");
}

static void any_callback_may_close(void **s)
{
	for (unsigned i = 0; i < 8; i++) {
		struct snet_transport_config cfg = { .queue = 3000, .crate_only = i & 1 };

		if (i) {
			end(s);
			begin(s);
		}
		net_bind(&a, loop, T, "127.0.0.1:0", 0, &cfg);
		net_bind(&b, loop, T, "127.0.0.1:0", 1, NULL);
		b.on_accept = take_peer;
		switch (i / 2) {
		case 0:
			theirs.on_up = close_it;
			break;
		case 1:
			theirs.on_message = close_it;
			break;
		case 2:
			theirs.on_eof = close_it;
			break;
		default:
			mine.on_drain = close_it;
		}
		dial_peer();
		turn();
		if (mine.p && i / 2) {
			say(&mine, 0, pattern(3000), 3000);
			say(&mine, 0, pattern(3000), 3000);
			say(&mine, 0, pattern(3000), 3000);
			if (i / 2 == 2)
				snet_peer_finish(mine.p);
		}
		turn();
		assert_int_equal(mine.downs, 1);
		assert_int_equal(theirs.downs, 1);
		assert_true(theirs.messages <= 2);
	}
}

/* ---- progress */

static void who_reads_nothing_is_dropped(void **s)
{
	struct net_conn *d;

	(void)s;
	opts_mine.stall_timeout = 20 * SNET_MS;
	d = dial_raw(false);
	raw_hello(d);
	turn();
	net_pass(loop, 60 * SNET_MS);
	assert_int_equal(mine.downs, 0); /* idle is not stalled */
	d->hold = true;
	assert_int_equal(say(&mine, 0, "read me", 7), SNET_OK);
	net_until(loop, is_down, &mine);
	assert_down(&mine, SNET_ETIMEOUT, false);
	assert_int_equal(mine.unacked, 12);
}

static void who_does_not_finish_its_message_is_dropped(void **s)
{
	for (unsigned stream = 0; stream < 4; stream += 3) {
		if (stream) {
			end(s);
			begin(s);
		}
		opts_theirs.stall_timeout = 20 * SNET_MS;
		connect_raw(false);
		raw_hello(&raw);
		turn();
		raw_frame(&raw, stream, SNET_RECORD_DATA, "whole", 5);
		turn();
		net_pass(loop, 60 * SNET_MS);
		assert_int_equal(theirs.downs, 0);
		raw_send(&raw, stream, "\0\0\0\12\40abc", 8);
		net_until(loop, is_down, &theirs);
		assert_down(&theirs, SNET_ETIMEOUT, false);
	}
}

static void whom_we_do_not_read_is_not_dropped_for_it(void **s)
{
	(void)s;
	opts_theirs.stall_timeout = 20 * SNET_MS;
	connect_raw(false);
	raw_hello(&raw);
	raw_send(&raw, 0, "\0\0\0\12\40abc", 8);
	turn();
	snet_peer_pause(theirs.p);
	net_pass(loop, 100 * SNET_MS);
	assert_int_equal(theirs.downs, 0);
}

/* ---- memory */

static int a_life(void *user)
{
	int rc;

	memset(&mine, 0, sizeof(mine));
	memset(&theirs, 0, sizeof(theirs));
	mine.forget = theirs.forget = true;
	(void)user;
	rc = snet_peer_dial(&mine.p, loop, a.e, T, &b.at, NULL, &opts_mine, &events, &mine,
			    NULL);
	if (rc)
		return rc;
	net_turns(loop, 10);
	rc = mine.p && theirs.p && mine.ups && theirs.ups ? SNET_OK : SNET_ENOMEM;
	if (!rc)
		rc = say(&mine, 0, "small", 5);
	if (!rc)
		rc = say(&mine, 3, "smaller", 7);
	if (!rc && mine.p) {
		struct snet_slice v[40] = { { NULL, 0, NULL } };

		rc = snet_peer_send(mine.p, 0, SNET_KIND_DATA, v, 40);
	}
	if (!rc)
		snet_peer_pause(theirs.p);
	if (!rc)
		rc = say(&mine, 0, pattern(100000), 100000);
	net_turns(loop, 10);
	if (theirs.p && !rc)
		snet_peer_resume(theirs.p);
	net_turns(loop, 10);
	if (!rc && (!mine.p || !theirs.p))
		rc = SNET_ENOMEM; /* one of them found none, and said so */
	if (!rc)
		rc = theirs.messages == 4 ? SNET_OK : 1;
	if (mine.p)
		snet_peer_close(mine.p, SNET_OK, "bye");
	if (theirs.p)
		snet_peer_close(theirs.p, SNET_OK, "bye");
	net_turns(loop, 10);
	if (mine.p || theirs.p)
		rc = 1;
	return rc;
}

static void take_peer_if_there_is_memory(struct net_end *n, struct snet_conn *c)
{
	(void)n;
	if (snet_peer_accept(&theirs.p, loop, c, &opts_theirs, &events, &theirs))
		theirs.p = NULL;
}

static void out_of_memory_is_an_error_and_never_a_hole(void **s)
{
	(void)s;
	bind_both(false);
	b.on_accept = take_peer_if_there_is_memory;
	pattern(0);
	assert_true(torture(a_life, NULL) >= 8);
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
		TEST(peers_say_who_they_are),
		TEST(in_the_crates_profile_the_certificate_says_it),
		TEST(the_bytes_of_the_hello_are_as_written_down),
		TEST(the_crates_stream_is_a_sync_byte_and_then_frames),
		TEST(roles_are_read_in_any_case_and_strange_ones_refused),
		TEST(a_hello_may_come_byte_by_byte),
		TEST(what_follows_the_hello_at_once_is_a_message),
		TEST(a_message_that_overtakes_the_hello_waits_for_it),
		TEST(what_is_said_early_comes_after_the_hello),
		TEST(to_the_crate_nothing_is_said_early),
		TEST(garbage_for_a_hello_is_a_protocol_error),
		TEST(the_dialler_wants_a_hello_too),
		TEST(a_second_hello_is_a_protocol_error),
		TEST(the_crates_profile_wants_its_sync_byte),
		TEST(the_crates_profile_has_one_stream),
		TEST(an_end_before_the_hello_is_a_protocol_error),
		TEST(who_never_says_hello_is_dropped_in_time),
		TEST(who_said_hello_in_time_stays),
		TEST(a_dial_that_fails_goes_down),
		TEST(messages_go_both_ways_in_order),
		TEST(empty_messages_are_messages),
		TEST(a_message_may_lie_in_many_slices),
		TEST(large_messages_arrive_whole),
		TEST(every_stream_counts_for_itself),
		TEST(kinds_without_a_meaning_here_are_refused),
		TEST(a_record_has_a_type),
		TEST(a_message_above_the_ceiling_closes),
		TEST(the_ceiling_holds_on_every_stream),
		TEST(a_lying_length_costs_the_liar),
		TEST(one_byte_above_a_gibibyte_is_refused),
		TEST(parts_are_the_same_bytes_without_boundaries),
		TEST(parts_arrive_before_their_message_is_complete),
		TEST(while_paused_nothing_is_told_and_then_all_of_it),
		TEST(a_pause_in_a_callback_holds_the_next_message),
		TEST(a_paused_peer_stops_the_sender),
		TEST(a_callback_may_send),
		TEST(both_may_speak_and_finish_in_on_up),
		TEST(finish_is_told_after_the_last_message_and_then_flushed),
		TEST(an_end_within_a_message_is_told_as_such),
		TEST(a_clean_close_within_a_message_is_not_clean),
		TEST(close_tells_both_why),
		TEST(what_was_not_delivered_is_counted),
		TEST(what_came_before_the_end_is_told_before_the_end),
		TEST(a_peer_that_is_held_can_be_closed),
		TEST(any_callback_may_close),
		TEST(who_reads_nothing_is_dropped),
		TEST(who_does_not_finish_its_message_is_dropped),
		TEST(whom_we_do_not_read_is_not_dropped_for_it),
		TEST(out_of_memory_is_an_error_and_never_a_hole),
	};

	return cmocka_run_group_tests(tests, NULL, drop_identities);
}
