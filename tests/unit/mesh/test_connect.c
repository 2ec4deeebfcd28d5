#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/connect_impl.h" /* what is said of the peer's port is hard to forge */
#include "support/net.h"

/* Two sides in one loop, on this host's loopback, that hand each other their lines at once. */

#define LINES 128
#define BULK 3000000

struct side {
	struct snet_connect *c;
	struct side *other;
	struct snet_trust *trust;
	struct snet_transport_config config;
	struct snet_offer said[LINES];
	unsigned n_said, n_heard, paths, overs, idles, selected;
	bool deaf, mute_candidates;
	int over_code;
	struct snet_endpoint *e;
	struct snet_addr to;
	struct net_conn conn;
};

static struct snet_loop *loop;
static struct side a, b;

/* Lines cross with the loop's next turn: say is called from within. */
static struct snet_task crossing;

static void say(const struct snet_offer *o, void *user)
{
	struct side *s = user;

	assert_true(s->n_said < LINES);
	s->said[s->n_said++] = *o;
	snet_task_defer(loop, &crossing);
}

static void cross(struct side *from, struct side *to)
{
	struct snet_error err;

	while (from->n_heard < from->n_said && to->c && !to->deaf) {
		const struct snet_offer *o = &from->said[from->n_heard++];

		if (o->what == SNET_OFFER_CANDIDATE && from->mute_candidates)
			continue;
		snet_connect_hear(to->c, o, &err);
	}
}

static void on_cross(struct snet_task *t)
{
	(void)t;
	cross(&a, &b);
	cross(&b, &a);
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

static void on_idle(void *user)
{
	((struct side *)user)->idles++;
}

static void on_over(const struct snet_error *err, void *user)
{
	struct side *s = user;

	s->overs++;
	s->over_code = err->code;
}

static void on_event(const struct snet_agent_event *ev, void *user)
{
	((struct side *)user)->selected += ev->what == SNET_AGENT_SELECTED;
}

static const struct snet_connect_events events = { say,     on_path, on_accept, on_refused,
						   on_idle, on_over, on_event,  NULL };

static void start(struct side *s, struct side *other, unsigned who, bool calls)
{
	struct snet_connect_opts o = { .ice = { .agent = { .controlling = calls },
						.loopback = true,
						.filter = { .without_v6 = true } } };
	struct snet_error err = { 0 };

	s->other = other;
	assert_int_equal(snet_trust_new(&s->trust, NULL), SNET_OK);
	snet_trust_set_insecure(s->trust);
	s->config = (struct snet_transport_config){ .identity = net_identity(who),
						    .trust = s->trust };
	o.config = &s->config;
	assert_int_equal(snet_addr_parse(&o.ice.bind, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(snet_connect_new(&s->c, loop, &o, &events, s, &err), SNET_OK);
}

static int begin(void **state)
{
	(void)state;
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	snet_task_init(&crossing, on_cross, NULL);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	start(&a, &b, 0, true);
	start(&b, &a, 1, false);
	return 0;
}

static void stop(struct side *s)
{
	snet_connect_free(s->c);
	s->c = NULL;
	net_conn_fini(&s->conn);
	snet_trust_free(s->trust);
	s->trust = NULL;
}

static int end(void **state)
{
	(void)state;
	stop(&a);
	stop(&b);
	snet_task_cancel(&crossing);
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

static void connect_both(void)
{
	net_until(loop, have_path, NULL);
	assert_int_equal(snet_transport_quic.dial(&a.conn.c, a.e, &a.to, NULL, &net_conn_events,
						  &a.conn, NULL),
			 SNET_OK);
	net_until(loop, is_open, NULL);
}

static uint8_t *pattern(void)
{
	uint8_t *p = malloc(BULK);

	assert_non_null(p);
	for (size_t i = 0; i < BULK; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
	return p;
}

static bool has_all(void *user)
{
	return ((struct side *)user)->conn.in[0].n >= BULK;
}

/* ---- tests */

static void quic_runs_on_the_pair_that_ice_selected(void **state)
{
	uint8_t *p = pattern();

	(void)state;
	connect_both();
	assert_int_equal(net_send(&a.conn, 0, p, BULK), SNET_OK);
	net_until(loop, has_all, &b);
	net_assert_in(&b.conn, 0, p, BULK);
	assert_int_equal(net_send(&b.conn, 0, p, BULK), SNET_OK);
	net_until(loop, has_all, &a);
	net_assert_in(&a.conn, 0, p, BULK);
	assert_int_equal(a.paths, 1);
	assert_int_equal(a.overs + b.overs, 0);
	free(p);
}

static bool has_changed(void *user)
{
	(void)user;
	return a.selected >= 2 && b.selected >= 2;
}

/* ICE starts anew under QUIC: other credentials, and, here, the same sockets. */
static void nothing_is_lost_when_ice_starts_anew(void **state)
{
	unsigned before;
	uint8_t *p = pattern();

	(void)state;
	connect_both();
	assert_int_equal(net_send(&a.conn, 0, p, BULK), SNET_OK);
	before = a.n_said;
	assert_int_equal(snet_connect_restart(b.c, NULL), SNET_OK); /* and then a does */
	net_until(loop, has_all, &b);
	net_assert_in(&b.conn, 0, p, BULK);
	net_until(loop, has_changed, NULL);
	assert_true(a.n_said > before);
	assert_int_equal(a.paths, 1);
	assert_int_equal(a.conn.closes + b.conn.closes, 0);
	assert_int_equal(net_send(&b.conn, 0, p, BULK), SNET_OK);
	net_until(loop, has_all, &a);
	net_assert_in(&a.conn, 0, p, BULK);
	free(p);
}

/* Both at once, and the lines of both come again later. */
static void both_may_start_anew_at_once(void **state)
{
	unsigned n;

	(void)state;
	connect_both();
	n = a.n_said;
	assert_int_equal(snet_connect_restart(a.c, NULL), SNET_OK);
	assert_int_equal(snet_connect_restart(b.c, NULL), SNET_OK);
	net_until(loop, has_changed, NULL);
	a.n_heard = b.n_heard = 0; /* all of it once more, the oldest first */
	snet_task_defer(loop, &crossing);
	net_pass(loop, 100 * SNET_MS);
	assert_int_equal(a.n_heard, a.n_said);
	assert_true(a.n_said < n + 8); /* and nobody began anew for that */
	assert_int_equal(net_send(&a.conn, 0, "ok", 2), SNET_OK);
	while (b.conn.in[0].n < 2)
		net_pass(loop, SNET_MS);
}

static bool is_idle(void *user)
{
	return ((struct side *)user)->idles > 0;
}

static void the_last_connection_that_goes_is_told(void **state)
{
	(void)state;
	connect_both();
	net_close(&a.conn, SNET_OK, "done");
	net_until(loop, is_idle, &a);
	net_until(loop, is_idle, &b);
	assert_int_equal(b.conn.code, SNET_OK);
}

static void whoever_hears_later_is_told_again(void **state)
{
	(void)state;
	b.deaf = true;
	net_turns(loop, 20);
	a.n_heard = a.n_said; /* gone */
	b.deaf = false;
	assert_false(snet_connect_has_heard(b.c));
	snet_connect_repeat(a.c);
	connect_both();
	assert_true(snet_connect_has_heard(b.c));
}

static void nonsense_costs_nothing(void **state)
{
	struct snet_offer o = { .what = SNET_OFFER_CANDIDATE };
	struct snet_error err;

	(void)state;
	strcpy(o.candidate, "candidate:1 1 UDP 1 127.0.0.1 9 typ host");
	assert_int_equal(snet_connect_hear(a.c, &o, &err),
			 SNET_EPROTO); /* before credentials */
	connect_both();
	strcpy(o.candidate, "candidate:nonsense");
	assert_int_equal(snet_connect_hear(a.c, &o, &err), SNET_EPROTO);
	strcpy(o.candidate, "candidate:1 1 UDP 1 224.0.0.1 9 typ host");
	assert_int_equal(snet_connect_hear(a.c, &o, &err), SNET_EPOLICY);
	strcpy(o.ufrag, "earlier");
	strcpy(o.candidate, "candidate:nonsense");
	assert_int_equal(snet_connect_hear(a.c, &o, &err), SNET_OK); /* not looked at */
	o = (struct snet_offer){ .what = SNET_OFFER_CREDENTIALS,
				 .ufrag = "x",
				 .pwd = "y",
				 .generation = 2,
				 .answers = 1 };
	assert_int_equal(snet_connect_hear(b.c, &o, &err), SNET_EPROTO);
}

static bool is_over(void *user)
{
	return ((struct side *)user)->overs > 0;
}

/* As if the system had said so 4 s ago. */
static void say_that_the_port_is_closed(void)
{
	const struct snet_agent_counts *n = snet_agent_counts(snet_ice_agent(a.c->ice));

	net_pass(loop, 200 * SNET_MS); /* QUIC has said all it had to */
	a.c->signs = n->requests + n->responses;
	assert_int_equal(
		snet_timer_set(loop, &a.c->closed, snet_loop_now(loop) + 300 * SNET_MS),
		SNET_OK);
}

static void a_peer_whose_port_is_closed_is_lost(void **state)
{
	(void)state;
	connect_both();
	say_that_the_port_is_closed();
	net_until(loop, is_over, &a);
	assert_int_equal(a.over_code, SNET_ELOST);
}

/* Anybody who knows the addresses may say that it is closed. */
static void a_peer_that_answers_checks_is_there(void **state)
{
	(void)state;
	connect_both();
	say_that_the_port_is_closed();
	assert_int_equal(snet_connect_restart(a.c, NULL), SNET_OK); /* checks, and no QUIC */
	net_until(loop, has_changed, NULL);
	assert_true(a.c->closed.slot > 0);
	net_pass(loop, 400 * SNET_MS);
	assert_int_equal(a.c->closed.slot, 0);
	assert_int_equal(a.overs, 0);
}

/* A room may say our own words again. */
static void our_own_word_is_not_the_peers(void **state)
{
	struct snet_error err;
	unsigned n;

	(void)state;
	connect_both();
	a.deaf = true;
	n = b.n_said;
	assert_int_equal(snet_connect_restart(b.c, NULL), SNET_OK);
	assert_int_equal(b.said[n].what, SNET_OFFER_CREDENTIALS);
	assert_int_equal(snet_connect_hear(b.c, &b.said[n], &err), SNET_OK);
	assert_false(snet_connect_has_heard(b.c));
	a.deaf = false;
	snet_task_defer(loop, &crossing);
	net_until(loop, has_changed, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
		TEST(quic_runs_on_the_pair_that_ice_selected),
		TEST(nothing_is_lost_when_ice_starts_anew),
		TEST(both_may_start_anew_at_once),
		TEST(the_last_connection_that_goes_is_told),
		TEST(whoever_hears_later_is_told_again),
		TEST(nonsense_costs_nothing),
		TEST(a_peer_whose_port_is_closed_is_lost),
		TEST(a_peer_that_answers_checks_is_there),
		TEST(our_own_word_is_not_the_peers),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
