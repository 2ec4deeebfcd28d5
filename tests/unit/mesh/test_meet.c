#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/meet_impl.h"
#include "signal/server.h"
#include "support/net.h"
#include "support/ownnet.h"

/* A real server and real members, on loopback, in one loop. */

struct member {
	struct snet_meet *meet;
	struct snet_call *call;
	struct snet_trust *trust;
	struct snet_transport_config config;
	unsigned joined, troubles, fatals, paths, overs, asked, notes, answers;
	bool wanted;
	int code;
	struct snet_endpoint *e;
	struct snet_addr to;
	struct net_conn conn;
};

static struct snet_loop *loop;
static struct snet_signal_server *server;
static struct snet_addr at;
static struct member a, b;
static bool own_net;         /* addresses may come and go */
static unsigned joins;       /* that the server saw */
static const char *hostname; /* of the server */
static bool roams;           /* whoever joins: whatever addresses there are but lo's own */

static void on_joined(const struct snet_meet *m, void *user)
{
	(void)m;
	((struct member *)user)->joined++;
}

static void on_trouble(const struct snet_meet *room, const struct snet_error *err, bool fatal,
		       void *user)
{
	struct member *m = user;

	(void)room;
	m->troubles++;
	m->fatals += fatal;
	m->code = err->code;
}

static bool wants(const uint8_t key[SNET_KEYID_BYTES], void *user)
{
	struct member *m = user;

	(void)key;
	m->asked++;
	return m->wanted;
}

static void on_path(struct snet_endpoint *e, const struct snet_addr *to, void *call_user,
		    void *user)
{
	struct member *m = user;

	assert_ptr_equal(call_user, &m->call);
	m->paths++;
	m->e = e;
	m->to = *to;
}

static void on_over(const struct snet_error *err, void *call_user, void *user)
{
	struct member *m = user;

	assert_ptr_equal(call_user, &m->call);
	m->overs++;
	m->code = err->code;
	m->call = NULL;
}

static void on_accept(struct snet_conn *c, void *user)
{
	struct member *m = user;

	m->conn.c = c;
	m->conn.opens++;
	c->events = &net_conn_events;
	c->user = &m->conn;
}

static void on_refused(const struct snet_addr *from, int code, const char *why, void *user)
{
	(void)from, (void)code, (void)why, (void)user;
}

static void on_note(const struct snet_error *err, void *user)
{
	(void)err;
	((struct member *)user)->notes++;
}

static void on_answer(void *call_user, void *user)
{
	struct member *m = user;

	assert_ptr_equal(call_user, &m->call);
	m->answers++;
}

static const struct snet_meet_events events = { on_joined, on_trouble, wants,     on_path,
						on_answer, on_over,    on_accept, on_refused,
						NULL,      on_note };

static void nobody_left(const struct snet_signal_peer *p, const struct snet_error *why,
			void *user)
{
	(void)p, (void)why, (void)user;
}

static void somebody_joined(const struct snet_signal_peer *p, void *user)
{
	(void)p, (void)user;
	joins++;
}

static void nobody_refused(const struct snet_addr *from, const struct snet_error *why,
			   void *user)
{
	(void)from, (void)why, (void)user;
}

static void drained(void *user)
{
	(void)user;
}

static const struct snet_signal_server_events server_events = { somebody_joined, nobody_left,
								nobody_refused, drained };

static void serve(void)
{
	const struct snet_signal_server_opts o = {
		.at = at,
		.rooms = { .max_rooms = 8,
			   .max_members = 8,
			   .per_address = 64,
			   .joins_per_minute = 1000,
			   .keep_bytes = 64 << 10,
			   .ttl = 60 * SNET_SEC },
		.max_message = SNET_OFFER_MAX,
		.queue = 256 << 10,
		.timeout = 5 * SNET_SEC,
		.keep_alive = SNET_NEVER,
	};
	struct snet_error err = { 0 };

	if (snet_signal_server_new(&server, loop, &o, &server_events, NULL, &err))
		fail_msg("%s", err.text);
	snet_signal_server_address(server, &at);
}

static void close_server(void)
{
	snet_signal_server_free(server);
	server = NULL;
}

static struct snet_ice_server stun; /* of those that join from now on; port 0: none */

static void join(struct member *m, unsigned who, bool answers)
{
	struct snet_meet_opts o = {
		.key = snet_identity_keyid(net_identity(who)),
		.connect = { .ice = { .loopback = true, .filter = { .without_v6 = true } },
			     .config = &m->config },
		.answers = answers,
		.keep_alive = SNET_NEVER,
	};
	struct snet_error err = { 0 };

	assert_int_equal(snet_trust_new(&m->trust, NULL), SNET_OK);
	snet_trust_set_insecure(m->trust);
	m->config = (struct snet_transport_config){ .identity = net_identity(who),
						    .trust = m->trust };
	m->wanted = true;
	if (roams)
		o.connect.ice = (struct snet_ice_opts){
			.filter = { .without = { "lo" }, .without_n = 1, .without_v6 = true }
		};
	strcpy(o.url.host, hostname);
	o.url.port = snet_addr_port(&at);
	strcpy(o.url.room, "here");
	if (!roams)
		assert_int_equal(snet_addr_parse(&o.connect.ice.bind, "127.0.0.1:0"), SNET_OK);
	o.connect.ice.servers[0] = stun;
	o.connect.ice.servers_n = stun.port > 0;
	assert_int_equal(snet_meet_new(&m->meet, loop, &o, &events, m, &err), SNET_OK);
}

static int begin(void **state)
{
	(void)state;
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&stun, 0, sizeof(stun));
	joins = 0;
	roams = false;
	hostname = "127.0.0.1";
	serve();
	return 0;
}

static void leave(struct member *m)
{
	snet_meet_free(m->meet);
	m->meet = NULL;
	net_conn_fini(&m->conn);
	snet_trust_free(m->trust);
	m->trust = NULL;
}

static int end(void **state)
{
	(void)state;
	leave(&a);
	leave(&b);
	close_server();
	snet_loop_free(loop);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	net_identities_free();
	return 0;
}

static bool has_path(void *user)
{
	return ((struct member *)user)->paths > 0;
}

static bool is_over(void *user)
{
	return ((struct member *)user)->overs > 0;
}

static bool is_open(void *user)
{
	(void)user;
	return a.conn.opens && b.conn.opens;
}

static bool has_trouble(void *user)
{
	return ((struct member *)user)->troubles > 0;
}

static bool has_note(void *user)
{
	return ((struct member *)user)->notes > 0;
}

static bool was_asked(void *user)
{
	return ((struct member *)user)->asked > 0;
}

static void call(struct member *m, const uint8_t *key)
{
	struct snet_error err = { 0 };

	assert_int_equal(snet_call_new(&m->call, m->meet, key, &m->call, &err), SNET_OK);
}

static void call_b(void)
{
	call(&a, snet_identity_keyid(net_identity(1)));
}

static void talk_to(unsigned who)
{
	net_until(loop, has_path, &a);
	assert_int_equal(snet_transport_quic.dial(&a.conn.c, a.e, &a.to,
						  snet_identity_keyid(net_identity(who)),
						  &net_conn_events, &a.conn, NULL),
			 SNET_OK);
	net_until(loop, is_open, NULL);
}

static void talk(void)
{
	talk_to(1);
}

/* ---- tests */

static void whoever_is_called_answers(void **state)
{
	(void)state;
	join(&a, 0, false);
	join(&b, 1, true);
	call_b();
	talk();
	assert_int_equal(a.joined, 1);
	assert_int_equal(a.answers, 1);
	assert_int_equal(b.answers, 0);
	assert_int_equal(a.troubles + b.troubles, 0);
	assert_memory_equal(b.conn.c->peer_key, snet_identity_keyid(net_identity(0)),
			    SNET_KEYID_BYTES);
}

static void nobody_needs_to_be_there_first(void **state)
{
	(void)state;
	close_server();
	join(&a, 0, false);
	call_b();
	net_until(loop, has_trouble, &a); /* nobody listens at that port */
	assert_int_equal(a.fatals, 0);
	serve();
	net_pass(loop, 50 * SNET_MS);
	join(&b, 1, true);
	talk();
}

static void a_connection_outlives_the_server(void **state)
{
	(void)state;
	join(&a, 0, false);
	join(&b, 1, true);
	call_b();
	talk();
	close_server();
	net_until(loop, has_trouble, &a);
	net_until(loop, has_trouble, &b);
	assert_int_equal(net_send(&a.conn, 0, "still here", 10), SNET_OK);
	while (b.conn.in[0].n < 10)
		net_pass(loop, SNET_MS);
	assert_int_equal(a.conn.closes + b.conn.closes + a.overs, 0);
}

static void a_stranger_is_not_answered(void **state)
{
	(void)state;
	join(&a, 0, false);
	join(&b, 1, true);
	b.wanted = false;
	call_b();
	net_until(loop, was_asked, &b);
	net_pass(loop, 100 * SNET_MS);
	assert_int_equal(a.paths, 0);
	snet_call_free(a.call);
	a.call = NULL;
}

/* The room is well when a STUN server is not. */
static void what_ails_ice_is_no_trouble_of_the_room(void **state)
{
	(void)state;
	stun = (struct snet_ice_server){ .host = "127.0.0.1", .port = 1 };
	join(&a, 0, false);
	join(&b, 1, true);
	call_b();
	net_until(loop, has_note, &a);
	talk();
	assert_int_equal(a.troubles + b.troubles, 0);
}

static void a_call_whose_last_connection_is_gone_ends(void **state)
{
	(void)state;
	join(&a, 0, false);
	join(&b, 1, true);
	call_b();
	talk();
	net_close(&a.conn, SNET_OK, "done");
	net_until(loop, is_over, &a);
	assert_int_equal(a.code, SNET_ECLOSED);
	a.paths = 0;
	memset(&a.conn, 0, sizeof(a.conn));
	net_conn_fini(&b.conn);
	memset(&b.conn, 0, sizeof(b.conn));
	call_b(); /* and another may be made */
	talk();
}

static void calls_have_a_ceiling(void **state)
{
	static struct snet_call *calls[SNET_CALLS_MAX + 1];
	struct snet_error err = { 0 };
	size_t n = 0;

	(void)state;
	join(&a, 0, false);
	while (n <= SNET_CALLS_MAX && !snet_call_new(&calls[n], a.meet, NULL, &a.call, &err))
		n++;
	assert_int_equal(n, SNET_CALLS_MAX);
	assert_int_equal(err.code, SNET_EPOLICY);
}

/* A copy of the key file at both ends, as people do who try it out. */
static void two_with_one_key_find_each_other(void **state)
{
	(void)state;
	join(&a, 0, false);
	join(&b, 0, true);
	call(&a, NULL);
	talk_to(0);
	assert_int_equal(a.answers, 1);
	assert_int_equal(b.asked, 1);
	assert_memory_equal(b.conn.c->peer_key, snet_identity_keyid(net_identity(0)),
			    SNET_KEYID_BYTES);
}

static void one_key_may_be_called_by_its_name(void **state)
{
	(void)state;
	join(&a, 0, false);
	join(&b, 0, true);
	call(&a, snet_identity_keyid(net_identity(0)));
	talk_to(0);
}

static bool has_any_path(void *user)
{
	(void)user;
	return a.paths + b.paths > 0;
}

static void of_two_calls_with_one_key_one_is_answered(void **state)
{
	(void)state;
	join(&a, 0, true);
	join(&b, 0, true);
	call(&a, NULL);
	call(&b, NULL);
	net_until(loop, has_any_path, NULL);
	net_pass(loop, 300 * SNET_MS);
	assert_int_equal(a.paths + b.paths, 1);
	assert_int_equal(a.asked + b.asked, 1);
}

/* ---- this host's addresses */

#define SETTLED (600 * SNET_MS) /* longer than changes are waited for */

static bool have_joined(void *user)
{
	return joins >= *(const unsigned *)user;
}

static void need_own_net(void)
{
	if (!own_net)
		skip();
}

static void addresses_that_carry_nothing_may_come_and_go(void **state)
{
	unsigned one = 1;

	(void)state;
	need_own_net();
	join(&a, 0, false);
	net_until(loop, have_joined, &one);
	assert_true(ownnet_add(1, "192.0.2.7:0"));
	net_pass(loop, SETTLED);
	assert_true(ownnet_drop(1));
	net_pass(loop, SETTLED);
	assert_int_equal(a.troubles, 0);
	assert_int_equal(joins, 1);
}

static void the_room_is_joined_again_when_our_address_is_gone(void **state)
{
	unsigned one = 1, two = 2;

	(void)state;
	need_own_net();
	close_server();
	hostname = "192.0.2.7";
	assert_true(ownnet_add(1, "192.0.2.7:0"));
	assert_int_equal(snet_addr_parse(&at, "192.0.2.7:0"), SNET_OK);
	serve();
	join(&a, 0, false); /* from there, too */
	net_until(loop, have_joined, &one);
	net_pass(loop, 50 * SNET_MS);
	assert_true(ownnet_drop(1));
	net_until(loop, has_trouble, &a);
	assert_int_equal(a.code, SNET_ELOST);
	assert_true(ownnet_add(1, "192.0.2.7:0"));
	net_until(loop, have_joined, &two);
	assert_true(ownnet_drop(1));
}

static void a_call_that_waits_tells_where_it_is_by_now(void **state)
{
	unsigned one = 1;

	(void)state;
	need_own_net();
	assert_true(ownnet_add(1, "192.0.2.7:0"));
	roams = true;
	join(&a, 0, false);
	call_b();
	net_until(loop, have_joined, &one);
	assert_true(ownnet_add(2, "198.51.100.8:0"));
	assert_true(ownnet_drop(1));
	net_pass(loop, SETTLED);
	join(&b, 1, true);
	talk();
	assert_int_equal(a.overs, 0);
	assert_true(ownnet_drop(2));
}

/* From one network into another: for a while there is none. */
static void a_connection_outlives_a_time_without_addresses(void **state)
{
	(void)state;
	need_own_net();
	assert_true(ownnet_add(1, "192.0.2.7:0"));
	roams = true;
	join(&a, 0, false);
	join(&b, 1, true);
	call_b();
	talk();
	assert_true(ownnet_drop(1));
	net_pass(loop, SETTLED);
	/* Whatever makes it look again meanwhile. */
	assert_int_equal(snet_connect_restart(a.call->connect, NULL), SNET_OK);
	net_pass(loop, 50 * SNET_MS);
	assert_int_equal(a.overs, 0);
	assert_true(ownnet_add(2, "198.51.100.8:0"));
	assert_int_equal(net_send(&a.conn, 0, "still here", 10), SNET_OK);
	while (b.conn.in[0].n < 10)
		net_pass(loop, 10 * SNET_MS);
	assert_int_equal(a.conn.closes + b.conn.closes + a.overs, 0);
	assert_true(ownnet_drop(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
		TEST(whoever_is_called_answers),
		TEST(nobody_needs_to_be_there_first),
		TEST(a_connection_outlives_the_server),
		TEST(a_stranger_is_not_answered),
		TEST(what_ails_ice_is_no_trouble_of_the_room),
		TEST(a_call_whose_last_connection_is_gone_ends),
		TEST(calls_have_a_ceiling),
		TEST(two_with_one_key_find_each_other),
		TEST(one_key_may_be_called_by_its_name),
		TEST(of_two_calls_with_one_key_one_is_answered),
		TEST(addresses_that_carry_nothing_may_come_and_go),
		TEST(the_room_is_joined_again_when_our_address_is_gone),
		TEST(a_call_that_waits_tells_where_it_is_by_now),
		TEST(a_connection_outlives_a_time_without_addresses),
	};

	own_net = ownnet_begin();
	return cmocka_run_group_tests(tests, NULL, finish);
}
