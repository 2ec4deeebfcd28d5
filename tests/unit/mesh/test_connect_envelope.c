#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "mesh/connect_envelope.h"
#include "mesh/peer.h"
#include "support/net.h"
#include "support/vectors.h"
#include "wire/envelope.h"

/* Two sides in one loop that are connected, in the crate's profile, and tell each other their
 * candidates as messages on that connection, as the crate does. */

#define BULK 300000

struct side {
	struct snet_connect *c;
	struct snet_connect_envelope saying;
	struct snet_trust *trust;
	struct snet_transport_config config;
	struct snet_buf waiting; /* an envelope that was said before the peer was up */
	/* The way that is there. */
	struct net_end end;
	struct snet_peer *peer;
	bool up;
	unsigned envelopes, selected;
	/* The one that is made. */
	unsigned paths, overs;
	struct snet_endpoint *e;
	struct snet_addr to;
	struct net_conn conn;
};

static struct snet_loop *loop;
static struct side a, b;

/* ---- the connection that is there */

static void flush(struct side *s)
{
	const struct snet_slice v = { s->waiting.p, s->waiting.n, NULL };

	if (!s->up || !s->waiting.n)
		return;
	assert_int_equal(snet_peer_send(s->peer, 0, SNET_KIND_DATA, &v, 1), SNET_OK);
	s->waiting.n = 0;
}

static void on_up(struct snet_peer *p, void *user)
{
	struct side *s = user;

	assert_int_equal(snet_peer_conn(p)->profile, SNET_PROFILE_STOFFELNET_0_1);
	s->up = true;
	flush(s);
}

static void on_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	struct side *s = user;
	struct snet_envelope e;
	struct snet_error err = { 0 };

	(void)p;
	assert_int_equal(snet_envelope_decode(&e, m->p, m->n), SNET_OK);
	assert_int_equal(e.tag, SNET_ENVELOPE_ICE_CANDIDATES);
	assert_true(e.ice.candidates.count > 0);
	s->envelopes++;
	if (snet_connect_envelope_hear(s->c, m->p, m->n, &err))
		fail_msg("%s", err.text);
}

static void on_peer(struct snet_peer *p, void *user)
{
	(void)p, (void)user;
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct side *s = user;

	(void)p, (void)code, (void)why, (void)by_peer;
	s->peer = NULL;
	s->up = false;
}

static const struct snet_peer_events peer_events = { .on_up = on_up,
						     .on_message = on_message,
						     .on_eof = on_peer,
						     .on_drain = on_peer,
						     .on_flushed = on_peer,
						     .on_down = on_down };

static void take_peer(struct net_end *n, struct snet_conn *c)
{
	const struct snet_peer_opts o = { .id = 2 };
	struct side *s = n->user;

	assert_int_equal(snet_peer_accept(&s->peer, loop, c, &o, &peer_events, s), SNET_OK);
}

/* ---- the one that is made */

static void say(const struct snet_offer *o, void *user)
{
	struct side *s = user;
	int rc = snet_connect_envelope_say(&s->saying, o, &s->waiting);

	assert_true(rc == SNET_OK || rc == SNET_EAGAIN);
	assert_int_equal(!rc, o->what == SNET_OFFER_END || o->what == SNET_OFFER_PUNCH);
	flush(s);
}

static void on_path(struct snet_endpoint *e, const struct snet_addr *to, void *user)
{
	struct side *s = user;

	s->paths++;
	s->e = e;
	s->to = *to;
}

static void on_accept(struct snet_conn *c, void *user)
{
	struct side *s = user;

	s->conn.c = c;
	s->conn.opens++;
	c->events = &net_conn_events;
	c->user = &s->conn;
}

static void on_refused(const struct snet_addr *from, int code, const char *why, void *user)
{
	(void)from, (void)code, (void)why, (void)user;
}

static void on_over(const struct snet_error *err, void *user)
{
	(void)err;
	((struct side *)user)->overs++;
}

static void on_event(const struct snet_agent_event *ev, void *user)
{
	((struct side *)user)->selected += ev->what == SNET_AGENT_SELECTED;
}

static const struct snet_connect_events events = { say,  on_path, on_accept, on_refused,
						   NULL, on_over, on_event,  NULL };

static void start(struct side *s, unsigned who, bool calls)
{
	struct snet_connect_opts o = { .ice = { .agent = { .controlling = calls },
						.loopback = true,
						.filter = { .without_v6 = true } } };
	struct snet_error err = { 0 };

	memset(s, 0, sizeof(*s));
	s->waiting = SNET_BUF(SNET_CONNECT_ENVELOPE_MAX);
	assert_int_equal(snet_trust_new(&s->trust, NULL), SNET_OK);
	snet_trust_set_insecure(s->trust);
	s->config = (struct snet_transport_config){ .identity = net_identity(who),
						    .trust = s->trust,
						    .crate_only = true };
	net_bind(&s->end, loop, &snet_transport_quic, "127.0.0.1:0", who, &s->config);
	s->end.on_accept = take_peer;
	s->end.user = s;
	o.config = &s->config;
	assert_int_equal(snet_addr_parse(&o.ice.bind, "127.0.0.1:0"), SNET_OK);
	if (snet_connect_new(&s->c, loop, &o, &events, s, &err))
		fail_msg("%s", err.text);
}

static int begin(void **state)
{
	const struct snet_peer_opts o = { .id = 1 };

	(void)state;
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	start(&a, 0, true);
	start(&b, 1, false);
	assert_int_equal(snet_peer_dial(&a.peer, loop, a.end.e, &snet_transport_quic, &b.end.at,
					NULL, &o, &peer_events, &a, NULL),
			 SNET_OK);
	return 0;
}

static void stop(struct side *s)
{
	snet_connect_free(s->c);
	net_conn_fini(&s->conn);
	net_unbind(&s->end);
	snet_trust_free(s->trust);
	snet_buf_free(&s->waiting);
}

static int end(void **state)
{
	(void)state;
	stop(&a);
	stop(&b);
	snet_loop_free(loop);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	net_identities_free();
	return 0;
}

static bool have_path(void *user)
{
	(void)user;
	return a.paths && b.paths;
}

static bool is_open(void *user)
{
	(void)user;
	return a.conn.opens && b.conn.opens;
}

static bool has_all(void *user)
{
	return ((struct side *)user)->conn.in[0].n >= BULK;
}

static bool has_changed(void *user)
{
	(void)user;
	return a.selected >= 2 && b.selected >= 2;
}

static void carries(struct side *from, struct side *to, uint8_t first)
{
	uint8_t *p = malloc(BULK);

	assert_non_null(p);
	for (size_t i = 0; i < BULK; i++)
		p[i] = (uint8_t)(first + i * 7 + i / 251);
	assert_int_equal(net_send(&from->conn, 0, p, BULK), SNET_OK);
	net_until(loop, has_all, to);
	net_assert_in(&to->conn, 0, p, BULK);
	free(p);
}

/* ---- tests */

static void candidates_cross_an_existing_connection_and_quic_runs_on_the_pair(void **state)
{
	(void)state;
	net_until(loop, have_path, NULL);
	assert_int_equal(a.envelopes, 1);
	assert_int_equal(b.envelopes, 1);
	assert_int_equal(snet_transport_quic.dial(&a.conn.c, a.e, &a.to, NULL, &net_conn_events,
						  &a.conn, NULL),
			 SNET_OK);
	net_until(loop, is_open, NULL);
	/* It is another than the one the candidates went over. */
	assert_int_not_equal(snet_addr_port(&a.to), snet_addr_port(&b.end.at));
	carries(&a, &b, 1);
	carries(&b, &a, 2);
	assert_int_equal(a.overs + b.overs, 0);
}

static void whoever_starts_anew_says_another_list(void **state)
{
	char before[257];

	(void)state;
	net_until(loop, have_path, NULL);
	strcpy(before, a.saying.ufrag);
	assert_int_equal(snet_connect_restart(b.c, NULL), SNET_OK); /* and then a does */
	net_until(loop, has_changed, NULL);
	assert_int_equal(a.envelopes, 2);
	assert_int_equal(b.envelopes, 2);
	assert_string_not_equal(a.saying.ufrag, before);
	assert_int_equal(a.paths, 1);
}

static uint8_t *vector(const char *name, size_t *n)
{
	json_t *all = vectors_load("wire-rust-vectors.json");
	uint8_t *p = vectors_unhex(vectors_text(all, name), n);

	json_decref(all);
	return p;
}

/* What the crate writes is read, told line by line, and is the same when it is said again: but
 * for the address of the STUN server, for which the lines have no place. */
static void an_envelope_of_the_crate_is_a_list_of_offers(void **state)
{
	static const char *const lines[] = {
		"",
		"candidate:73262878ebd6a78d 1 UDP 2130706431 192.168.1.100 5000 typ host",
		"candidate:fc6f3ef60a3a736 1 UDP 1694498815 203.0.113.50 12345 typ srflx "
		"raddr 192.168.1.100 rport 5000",
		"candidate:1450505958a396bb 1 UDP 2130706175 2001:db8::1 5000 typ host",
		"candidate:a1 1 UDP 1862270719 2001:db8::2 6000 typ prflx "
		"raddr 2001:db8::1 rport 5000",
		"",
	};
	struct snet_connect_envelope e, again = { 0 };
	struct snet_buf out = SNET_BUF(SNET_CONNECT_ENVELOPE_MAX);
	struct snet_error err = { 0 };
	struct snet_offer o;
	size_t n, i = 0;
	uint8_t *p = vector("IceCandidates(host v4, srflx v4, host v6, prflx v6)", &n);

	(void)state;
	assert_int_equal(snet_connect_envelope_read(&e, p, n, &err), SNET_OK);
	for (; snet_connect_envelope_next(&e, &o); i++) {
		assert_true(i < 6);
		assert_int_equal(o.what, i == 0   ? SNET_OFFER_CREDENTIALS
					 : i == 5 ? SNET_OFFER_END
						  : SNET_OFFER_CANDIDATE);
		assert_string_equal(o.ufrag, "aB3/");
		assert_string_equal(o.pwd, i ? "" : "abcdefghijklmnopqrstuv");
		assert_string_equal(o.candidate, lines[i]);
		assert_int_equal(snet_connect_envelope_say(&again, &o, &out),
				 i == 5 ? SNET_OK : SNET_EAGAIN);
	}
	assert_int_equal(i, 6);
	assert_false(snet_connect_envelope_next(&e, &o));
	/* Without the server: its tag is 0, and its 10 bytes are gone. */
	assert_int_equal(out.n, n - 10);
	free(p);
	p = vector("IceCandidates(1 host v4)", &n);
	assert_int_equal(snet_connect_envelope_read(&e, p, n, &err), SNET_OK);
	out.n = 0;
	while (snet_connect_envelope_next(&e, &o))
		snet_connect_envelope_say(&again, &o, &out);
	assert_int_equal(out.n, n);
	assert_memory_equal(out.p, p, n);
	free(p);
	snet_buf_free(&out);
}

static void add_candidates(struct snet_buf *out, const char *foundation, size_t n)
{
	struct snet_candidate *v = calloc(n, sizeof(*v));
	struct snet_envelope e = { .tag = SNET_ENVELOPE_ICE_CANDIDATES,
				   .ice = { { (const uint8_t *)"ufrag", 5, NULL },
					    { (const uint8_t *)"p", 1, NULL },
					    { n, v, { 0 } } } };

	assert_non_null(v);
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct snet_candidate){ .component = 1, .priority = 1 };
		strcpy(v[i].foundation, foundation);
		assert_int_equal(snet_addr_parse(&v[i].address, "127.0.0.1:9"), SNET_OK);
	}
	assert_int_equal(snet_envelope_encode(&e, out), SNET_OK);
	free(v);
}

static void a_hostile_list_is_cut_or_refused(void **state)
{
	struct snet_connect_envelope e;
	struct snet_buf out = SNET_BUF(1 << 20);
	struct snet_error err = { 0 };
	struct snet_offer o;
	size_t n = 0;

	(void)state;
	add_candidates(&out, "f", SNET_REMOTES_MAX + 50);
	assert_int_equal(snet_connect_envelope_read(&e, out.p, out.n, &err), SNET_OK);
	while (snet_connect_envelope_next(&e, &o))
		n++;
	assert_int_equal(n, SNET_REMOTES_MAX + 2);
	out.n = 0;
	add_candidates(&out, "f", 10000);
	assert_int_equal(snet_connect_envelope_read(&e, out.p, out.n, &err), SNET_ETOOBIG);
	/* A foundation that no line has: passed over, and not the end. */
	out.n = 0;
	add_candidates(&out, "two words", 3);
	assert_int_equal(snet_connect_envelope_read(&e, out.p, out.n, &err), SNET_OK);
	assert_true(snet_connect_envelope_next(&e, &o));
	assert_true(snet_connect_envelope_next(&e, &o));
	assert_int_equal(o.what, SNET_OFFER_END);
	assert_false(snet_connect_envelope_next(&e, &o));
	snet_buf_free(&out);
}

/* When to punch, before there is anybody to do it with: it is no error, as when it is too late.
 */
static void hear_too_early(void)
{
	struct snet_error err = { 0 };
	size_t n;
	uint8_t *p = vector("PunchRequest v4", &n);

	assert_int_equal(snet_connect_envelope_hear(a.c, p, n, &err), SNET_OK);
	assert_int_equal(snet_connect_envelope_hear(a.c, p, n - 1, &err), SNET_EPROTO);
	assert_int_equal(a.waiting.n, 0);
	free(p);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const others[] = { "Heartbeat", "HoneyBadger([])",
					      "NodeListRequest" };
	struct snet_buf out = SNET_BUF(1000);
	struct snet_error err = { 0 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint8_t *p = vector(others[i], &n);

		assert_int_equal(snet_connect_envelope_hear(a.c, p, n, &err), SNET_EPROTO);
		free(p);
	}
	hear_too_early();
	assert_int_equal(snet_connect_envelope_hear(a.c, "", 0, &err), SNET_EPROTO);
	/* Bytes behind it; and credentials that ICE does not know: too short. */
	add_candidates(&out, "f", 1);
	snet_buf_str(&out, "x");
	assert_int_equal(snet_connect_envelope_hear(a.c, out.p, out.n, &err), SNET_EPROTO);
	assert_int_equal(snet_connect_envelope_hear(a.c, out.p, out.n - 1, &err), SNET_EPROTO);
	assert_false(snet_connect_has_heard(a.c));
	snet_buf_free(&out);
	net_until(loop, have_path, NULL); /* it has cost nothing */
}

static void what_no_connect_says_makes_no_envelope(void **state)
{
	struct snet_connect_envelope e = { 0 };
	struct snet_buf out = SNET_BUF(1000);
	struct snet_offer o = { .what = SNET_OFFER_END };

	(void)state;
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EPROTO); /* of whom? */
	o = (struct snet_offer){ .what = SNET_OFFER_CREDENTIALS,
				 .ufrag = "abcd",
				 .pwd = "efgh" };
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EAGAIN);
	o = (struct snet_offer){ .what = SNET_OFFER_CANDIDATE, .ufrag = "abcd" };
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EPROTO);
	strcpy(o.candidate, "candidate:1 1 UDP 1 printer.local 9 typ host");
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EPROTO);
	strcpy(o.candidate, "candidate:1 1 UDP 1 127.0.0.1 9 typ host");
	strcpy(o.ufrag, "else");
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EPROTO);
	o.ufrag[0] = '\0';
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EAGAIN);
	o.what = SNET_OFFER_OTHER;
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EPROTO);
	assert_int_equal(out.n, 0);
	assert_int_equal(e.n, 1);
	for (int i = 1; i < SNET_REMOTES_MAX; i++) {
		o.what = SNET_OFFER_CANDIDATE;
		assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EAGAIN);
	}
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EPROTO);
	o.what = SNET_OFFER_END;
	out.max = 100;
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_ETOOBIG);
	snet_buf_free(&out);
}

/* ---- when to punch */

static void a_punch_of_the_crate_is_an_offer_and_back(void **state)
{
	static const struct {
		const char *name, *target;
		struct snet_offer_punch want;
	} cases[] = {
		{ "PunchRequest v4", "192.168.1.100:9000", { .id = 12345, .delay_ms = 50 } },
		{ "PunchRequest v6", "[2001:db8::1]:9000", { .id = 12345, .delay_ms = 100 } },
		{ "PunchAck", NULL, { .ack = true, .id = 99999, .wall_ms = 1700000000000 } },
	};
	struct snet_connect_envelope e = { 0 };
	struct snet_buf out = SNET_BUF(100);
	struct snet_offer o;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t n;
		uint8_t *p = vector(cases[i].name, &n);
		char text[SNET_ADDR_TEXT];

		assert_int_equal(snet_connect_envelope_punch(&o, p, n), SNET_OK);
		assert_int_equal(o.what, SNET_OFFER_PUNCH);
		assert_int_equal(o.punch.ack, cases[i].want.ack);
		assert_int_equal(o.punch.id, cases[i].want.id);
		assert_int_equal(o.punch.delay_ms, cases[i].want.delay_ms);
		assert_int_equal(o.punch.wall_ms, cases[i].want.wall_ms);
		if (cases[i].target)
			assert_string_equal(snet_addr_print(&o.punch.target, text),
					    cases[i].target);
		out.n = 0;
		assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_OK);
		assert_int_equal(out.n, n);
		assert_memory_equal(out.p, p, n);
		assert_int_equal(snet_connect_envelope_punch(&o, p, n - 1), SNET_EPROTO);
		assert_int_equal(o.what, SNET_OFFER_OTHER);
		free(p);
	}
	/* The crate's delays are of any length. */
	o = (struct snet_offer){ .what = SNET_OFFER_PUNCH,
				 .punch.delay_ms = SNET_OFFER_DELAY_MAX + 1 };
	assert_int_equal(snet_addr_parse(&o.punch.target, "192.0.2.1:1"), SNET_OK);
	out.n = 0;
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_OK);
	assert_int_equal(snet_connect_envelope_punch(&o, out.p, out.n), SNET_EPOLICY);
	snet_buf_free(&out);
}

static bool is_checking(void *user)
{
	const struct snet_connect *c = ((struct side *)user)->c;

	return snet_agent_state(snet_ice_agent(snet_connect_ice(c))) == SNET_AGENT_CHECKING;
}

/* A list of one candidate, of somebody who never answers. */
static void hear_list(const struct snet_addr *at)
{
	struct snet_connect_envelope e = { 0 };
	struct snet_buf out = SNET_BUF(SNET_CONNECT_ENVELOPE_MAX);
	struct snet_offer o = { .what = SNET_OFFER_CREDENTIALS,
				.ufrag = "else",
				.pwd = "elseelseelseelseelseel" };
	struct snet_error err = { 0 };

	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EAGAIN);
	o.what = SNET_OFFER_CANDIDATE;
	snprintf(o.candidate, sizeof(o.candidate),
		 "candidate:1 1 UDP 2130706431 127.0.0.1 %u typ host", snet_addr_port(at));
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_EAGAIN);
	o.what = SNET_OFFER_END;
	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_OK);
	assert_int_equal(snet_connect_envelope_hear(a.c, out.p, out.n, &err), SNET_OK);
	snet_buf_free(&out);
}

static int hear_request(uint64_t id, const struct snet_addr *target, uint32_t delay_ms)
{
	struct snet_offer o = { .what = SNET_OFFER_PUNCH,
				.punch = {
					.id = id, .target = *target, .delay_ms = delay_ms } };
	struct snet_connect_envelope e = { 0 };
	struct snet_buf out = SNET_BUF(100);
	struct snet_error err = { 0 };
	int rc;

	assert_int_equal(snet_connect_envelope_say(&e, &o, &out), SNET_OK);
	rc = snet_connect_envelope_hear(a.c, out.p, out.n, &err);
	snet_buf_free(&out);
	return rc;
}

static void a_request_is_answered_by_an_ack(void **state)
{
	struct snet_addr at = { .in.sin_family = AF_INET,
				.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at.in);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct snet_offer o;
	size_t said;

	(void)state;
	assert_int_equal(bind(fd, &at.sa, len), 0);
	assert_int_equal(getsockname(fd, &at.sa, &len), 0);
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	start(&a, 0, true);
	hear_list(&at);
	net_until(loop, is_checking, &a);
	said = a.waiting.n;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(hear_request(7 + i, &at, 100 * i), SNET_OK);
		assert_int_equal(a.waiting.n, said + 20 * (i + 1));
		assert_int_equal(
			snet_connect_envelope_punch(&o, a.waiting.p + said + 20 * i, 20),
			SNET_OK);
		assert_true(o.punch.ack);
		assert_int_equal(o.punch.id, 7 + i);
		assert_true(o.punch.wall_ms > 1700000000000); /* when it was said */
		/* Once more: it is no error, and nothing comes of it. */
		assert_int_equal(hear_request(7 + i, &at, 100 * i), SNET_OK);
		assert_int_equal(a.waiting.n, said + 20 * (i + 1));
	}
	snet_addr_set_port(&at, (uint16_t)(snet_addr_port(&at) ^ 1));
	assert_int_equal(hear_request(20, &at, 0), SNET_EPOLICY);
	assert_int_equal(a.waiting.n, said + 40);
	stop(&a);
	snet_loop_free(loop);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
		TEST(candidates_cross_an_existing_connection_and_quic_runs_on_the_pair),
		TEST(whoever_starts_anew_says_another_list),
		TEST(what_is_no_list_is_refused),
		cmocka_unit_test(an_envelope_of_the_crate_is_a_list_of_offers),
		cmocka_unit_test(a_hostile_list_is_cut_or_refused),
		cmocka_unit_test(what_no_connect_says_makes_no_envelope),
		cmocka_unit_test(a_punch_of_the_crate_is_an_offer_and_back),
		cmocka_unit_test(a_request_is_answered_by_an_ack),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
