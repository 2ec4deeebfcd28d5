/* nat/driver: agents in one loop, on sockets of 127.0.0.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"
#include "io/udp.h"
#include "nat/driver.h"
#include "nat/stund.h"
#include "support/ownnet.h"
#include "support/torture.h"
#include "support/turn_server.h"

#define GUARD (120 * SNET_SEC)

static struct snet_loop *loop;
static struct snet_timer guard;

/* ---- two parties, who tell each other everything at once */

struct party {
	struct snet_ice *ice;
	struct snet_ice_opts o;
	struct party *peer;
	bool silent;  /* says nothing of its candidates to its peer */
	bool no_end;  /* nor that there are no more */
	bool by_name; /* says where it is as browsers do */
	bool once;    /* the peer has its credentials */
	bool gathered, failed;
	unsigned locals, of_type[4], selected, lost, troubles, writable;
	struct snet_local last[4]; /* by type */
	struct snet_agent_event pair;
	struct snet_error trouble;
	snet_time born, gathered_at, selected_at;
	/* what has come */
	uint8_t got[1 << 20];
	size_t got_n;
	unsigned datagrams;
	size_t longest;
};

static struct party a, b;
/* What is waited for. */
static bool (*until)(void);

static void look(void)
{
	if (until && until())
		snet_loop_stop(loop);
}

static void anew(struct party *p)
{
	p->once = p->gathered = false;
	p->locals = 0;
	assert_int_equal(snet_ice_restart(p->ice, NULL), SNET_OK);
}

static void hello(struct party *p)
{
	const struct snet_agent *agent = snet_ice_agent(p->ice);
	const char *ufrag = snet_agent_ufrag(agent), *pwd = snet_agent_pwd(agent);
	int rc;

	if (p->once || !p->peer || p->silent)
		return;
	p->once = true;
	rc = snet_ice_set_remote(p->peer->ice, ufrag, pwd);
	if (rc == SNET_EINVAL) { /* of a restart: it takes two */
		anew(p->peer);
		rc = snet_ice_set_remote(p->peer->ice, ufrag, pwd);
	}
	assert_int_equal(rc, SNET_OK);
}

static void on_local(const struct snet_local *c, const char *iface, void *user)
{
	struct party *p = user;
	struct snet_sdp_candidate s = { .c = c->c };
	char line[SNET_SDP_MAX];

	assert_non_null(iface);
	p->locals++;
	p->of_type[c->c.type]++;
	p->last[c->c.type] = *c;
	if (!p->peer || p->silent)
		return;
	hello(p);
	/* By the way it takes between hosts. */
	assert_int_equal(snet_sdp_print(&s, line), SNET_OK);
	assert_int_equal(snet_sdp_parse(&s, line, NULL), SNET_OK);
	if (p->by_name) {
		strcpy(s.name, "127.0.0.1");
		s.port = snet_addr_port(&s.c.address);
		s.c.address = (struct snet_addr){ 0 };
	}
	snet_ice_add_remote(p->peer->ice, &s);
}

static void on_gathered(void *user)
{
	struct party *p = user;

	assert_false(p->gathered);
	p->gathered = true;
	p->gathered_at = snet_loop_now(loop);
	if (p->peer && !p->silent) {
		hello(p);
		snet_ice_end_remote(p->peer->ice);
	}
	look();
}

static void on_event(const struct snet_agent_event *ev, void *user)
{
	struct party *p = user;

	if (ev->what == SNET_AGENT_SELECTED) {
		p->selected++;
		p->pair = *ev;
		p->selected_at = snet_loop_now(loop);
	}
	p->lost += ev->what == SNET_AGENT_CONSENT_LOST;
	p->failed =
		p->failed || (ev->what == SNET_AGENT_STATE && ev->state == SNET_AGENT_FAILED);
	look();
}

static void on_trouble(const struct snet_error *err, void *user)
{
	struct party *p = user;

	p->troubles++;
	p->trouble = *err;
	look();
}

static void on_data(uint8_t ecn, uint8_t *p, size_t n, void *user)
{
	struct party *to = user;

	(void)ecn;
	assert_true(p[0] >= 64);
	p[0] ^= 0; /* writable */
	to->datagrams++;
	to->longest = n > to->longest ? n : to->longest;
	if (to->got_n + n <= sizeof(to->got)) {
		memcpy(to->got + to->got_n, p, n);
		to->got_n += n;
	}
	look();
}

static void on_writable(void *user)
{
	struct party *p = user;

	p->writable++;
}

static const struct snet_ice_events events = { on_local,   on_gathered, on_event,
					       on_trouble, on_data,     on_writable };

/* At 127.0.0.1, without waiting long for anything. */
static void fresh(struct party *p, bool controlling)
{
	memset(p, 0, sizeof(*p));
	p->o.agent.controlling = controlling;
	assert_int_equal(snet_addr_parse(&p->o.bind, "127.0.0.1:0"), SNET_OK);
	p->o.gather_timeout = 2 * SNET_SEC;
}

static void born(struct party *p)
{
	struct snet_error err;

	assert_int_equal(snet_ice_new(&p->ice, loop, &p->o, &events, p, &err), SNET_OK);
	p->born = snet_loop_now(loop);
}

static void gone(void)
{
	a.peer = b.peer = NULL;
	snet_ice_free(a.ice);
	snet_ice_free(b.ice);
	a.ice = b.ice = NULL;
}

static void pair_of(void)
{
	fresh(&a, true);
	fresh(&b, false);
	a.peer = &b;
	b.peer = &a;
}

static void run(bool (*what)(void))
{
	until = what;
	snet_timer_set(loop, &guard, snet_loop_now(loop) + GUARD);
	if (!what())
		snet_loop_run(loop);
	snet_timer_stop(loop, &guard);
	until = NULL;
	assert_true(what());
}

static void on_guard(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	print_error("nothing happened for %llu s\n", GUARD / SNET_SEC);
	snet_loop_stop(loop);
}

/* The loop goes round once more, and whatever was put off is done. */
static void on_turn(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	snet_loop_stop(loop);
}

static void turn(snet_time for_so_long)
{
	struct snet_timer t = { .fn = on_turn };

	assert_int_equal(snet_timer_set(loop, &t, snet_loop_now(loop) + for_so_long), SNET_OK);
	snet_loop_run(loop);
	snet_timer_stop(loop, &t);
}

static bool both_selected(void)
{
	return a.selected && b.selected;
}

static bool both_gathered(void)
{
	return a.gathered && (!b.ice || b.gathered);
}

static bool a_failed(void)
{
	return a.failed;
}

/* ---- what servers there are */

static struct {
	struct snet_udp *udp;
	struct snet_stund d;
	struct snet_addr at;
	bool lies; /* of where it sees us: as a NAT would make it look */
	unsigned asked;
} server;

static void on_request(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct snet_addr from = path->remote;
	struct snet_stund_answer out;

	(void)user;
	server.asked++;
	if (server.lies)
		from.in.sin_addr.s_addr = htonl(0xcb007107); /* 203.0.113.7 */
	if (snet_stund_take(&server.d, 0, &from, p, n, &out))
		snet_udp_answer(server.udp, path, out.p, out.n);
	look();
}

static void no_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	(void)path, (void)ecn, (void)p, (void)n, (void)user;
}

static void no_remote(const struct snet_addr *remote, void *user)
{
	(void)remote, (void)user;
}

static void nothing(void *user)
{
	(void)user;
}

static void start_server(bool lies)
{
	static const struct snet_udp_events ev = { no_datagram, on_request, no_remote,
						   nothing };
	struct snet_udp_opts o = { 0 };
	struct snet_addr at;

	memset(&server, 0, sizeof(server));
	server.lies = lies;
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(snet_udp_open(&server.udp, loop, &at, -1, &o, &ev, NULL, NULL),
			 SNET_OK);
	snet_udp_address(server.udp, &server.at);
	server.d.at[0] = server.at;
	server.d.n = 1;
}

static void stop_server(void)
{
	snet_udp_close(server.udp);
	server.udp = NULL;
}

static void use(struct party *p, uint16_t port)
{
	p->o.servers[p->o.servers_n++] =
		(struct snet_ice_server){ .host = "127.0.0.1", .port = port };
}

/* A bound socket that nobody reads. */
static int deaf(uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct snet_addr at;
	socklen_t n = sizeof(at);

	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(bind(fd, &at.sa, snet_addr_len(&at)), 0);
	assert_int_equal(getsockname(fd, &at.sa, &n), 0);
	*port = snet_addr_port(&at);
	return fd;
}

/* Two TURN servers, each with an allocation at an address that is no more than a name for the
 * other one's. */
struct turn {
	struct turn_server s;
	struct snet_udp *udp;
	struct snet_addr at, client;
	struct turn *other;
	unsigned passed;
};

static struct turn turns[2];
static const struct snet_turn_cred cred = { "alice", "secret", "example.org" };

static void reply(struct turn *t, const uint8_t *p, size_t n)
{
	struct snet_path path = { t->at, t->client };

	if (n)
		snet_udp_answer(t->udp, &path, p, n);
}

static void on_turn_stun(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct turn *t = user;
	unsigned before = t->s.datas;
	snet_time now = snet_loop_now(loop);
	uint8_t out[4200];

	t->client = path->remote;
	reply(t, out, turn_server_input(&t->s, p, n, now, out, sizeof(out)));
	if (t->s.datas != before) {
		t->passed++;
		reply(t->other, out,
		      turn_server_data(&t->other->s, &t->s.to, t->s.data, (size_t)t->s.data_n,
				       now, out, sizeof(out)));
	}
	look();
}

static void on_turn_data(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			 void *user)
{
	(void)ecn;
	on_turn_stun(path, p, n, user);
}

static void start_turns(void)
{
	static const struct snet_udp_events ev = { on_turn_data, on_turn_stun, no_remote,
						   nothing };
	struct snet_udp_opts o = { 0 };
	struct snet_addr at;

	memset(turns, 0, sizeof(turns));
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	for (size_t i = 0; i < 2; i++) {
		turn_server_init(&turns[i].s);
		turns[i].other = &turns[!i];
		assert_int_equal(
			snet_udp_open(&turns[i].udp, loop, &at, -1, &o, &ev, &turns[i], NULL),
			SNET_OK);
		snet_udp_address(turns[i].udp, &turns[i].at);
	}
}

static void stop_turns(void)
{
	snet_udp_close(turns[0].udp);
	snet_udp_close(turns[1].udp);
}

static void use_turn(struct party *p, const struct turn *t)
{
	use(p, snet_addr_port(&t->at));
	p->o.servers[p->o.servers_n - 1].cred = &cred;
	p->o.filter.without_v6 = true;
}

static bool is_permitted(void)
{
	return turns[0].s.perm_n > 0;
}

static bool all_given_back(void)
{
	return !turns[0].s.allocated && !turns[1].s.allocated;
}

/* ---- data */

static size_t wanted;

static bool b_has_it(void)
{
	return b.got_n >= wanted;
}

static bool a_has_it(void)
{
	return a.got_n >= wanted;
}

/* n bytes of a pattern, as datagrams of segment bytes. */
static void send_train(struct party *from, size_t n, size_t segment)
{
	uint8_t *s = snet_ice_scratch(from->ice);

	assert_false(snet_ice_is_blocked(from->ice));
	for (size_t i = 0; i < n; i++)
		s[i] = (uint8_t)(64 | (i / segment + i) % 191);
	assert_int_equal(snet_ice_send(from->ice, 0, n, segment), SNET_OK);
}

static void is_train(const struct party *to, size_t n, size_t segment)
{
	assert_int_equal(to->got_n, n);
	assert_int_equal(to->datagrams, (n + segment - 1) / segment);
	assert_int_equal(to->longest, n < segment ? n : segment);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(to->got[i], (uint8_t)(64 | (i / segment + i) % 191));
}

static void carry(struct party *from, struct party *to, size_t n, size_t segment)
{
	to->got_n = to->datagrams = 0;
	to->longest = 0;
	wanted = n;
	send_train(from, n, segment);
	run(to == &b ? b_has_it : a_has_it);
	is_train(to, n, segment);
}

static void carry_both_ways(void)
{
	carry(&a, &b, 1200, 1200);
	carry(&b, &a, 5, 5);
	carry(&a, &b, 40 * 1200 + 7, 1200);
	carry(&b, &a, 40 * 1200 + 7, 1200);
}

/* ---- tests */

static void two_parties_connect_and_talk(void **state)
{
	(void)state;
	pair_of();
	born(&a);
	born(&b);
	run(both_selected);
	assert_int_equal(a.pair.local.c.type, SNET_CANDIDATE_HOST);
	assert_true(snet_addr_eq(&a.pair.remote.address, &b.pair.local.c.address));
	assert_true(a.pair.took < 5 * SNET_SEC);
	assert_true(a.writable && b.writable);
	assert_true(snet_ice_payload(a.ice) > 1200);
	carry_both_ways();
	assert_int_equal(a.troubles + b.troubles, 0);
	run(both_gathered);
	assert_true(a.pair.controlling && !b.pair.controlling);
	gone();
}

static void trains_arrive_whole_without_offload(void **state)
{
	(void)state;
	pair_of();
	a.o.no_gso = a.o.no_gro = b.o.no_gso = b.o.no_gro = true;
	born(&a);
	born(&b);
	run(both_selected);
	carry_both_ways();
	gone();
}

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct snet_addr at;
	bool ok;

	assert_int_equal(snet_addr_parse(&at, "[::1]:0"), SNET_OK);
	ok = fd >= 0 && !bind(fd, &at.sa, snet_addr_len(&at));
	if (fd >= 0)
		close(fd);
	return ok;
}

static void over_ipv6_it_is_the_same(void **state)
{
	(void)state;
	if (!has_ipv6())
		skip();
	pair_of();
	assert_int_equal(snet_addr_parse(&a.o.bind, "[::1]:0"), SNET_OK);
	b.o.bind = a.o.bind;
	born(&a);
	born(&b);
	run(both_selected);
	assert_int_equal(a.pair.remote.address.sa.sa_family, AF_INET6);
	carry_both_ways();
	gone();
}

static void without_a_pair_what_is_sent_is_lost(void **state)
{
	uint8_t *s;
	int fd;

	(void)state;
	fresh(&a, true);
	born(&a);
	s = snet_ice_scratch(a.ice);
	memset(s, 0xff, SNET_UDP_PAYLOAD_MAX);
	assert_false(snet_ice_is_blocked(a.ice));
	assert_int_equal(snet_ice_send(a.ice, 0, 100, 100), SNET_ENOENT);
	assert_int_equal(snet_ice_payload(a.ice), 1200);
	assert_int_equal(snet_ice_detach(a.ice, &fd, NULL), SNET_ENOENT);
	gone();
}

static void a_server_that_is_silent_delays_nothing(void **state)
{
	uint16_t port;
	int fd = deaf(&port);

	(void)state;
	pair_of();
	use(&a, port);
	use(&b, port);
	born(&a);
	born(&b);
	run(both_selected);
	assert_false(a.gathered);
	assert_true(a.selected_at - a.born < a.o.gather_timeout);
	run(both_gathered);
	/* It was waited for so long, by nobody but itself. */
	assert_true(a.gathered_at - a.born >= a.o.gather_timeout);
	assert_int_equal(a.troubles, 1);
	assert_int_equal(a.trouble.code, SNET_ETIMEOUT);
	assert_non_null(strstr(a.trouble.text, "127.0.0.1"));
	gone();
	close(fd);
}

static void a_server_that_is_not_there_is_known_at_once(void **state)
{
	uint16_t port;
	int fd = deaf(&port);

	(void)state;
	close(fd);
	fresh(&a, true);
	use(&a, port);
	born(&a);
	run(both_gathered);
	assert_true(a.gathered_at - a.born < a.o.gather_timeout);
	assert_int_equal(a.troubles, 1);
	assert_int_equal(a.trouble.code, SNET_EUNREACH);
	gone();
}

static void what_a_server_sees_is_a_candidate(void **state)
{
	const struct snet_local *c = &a.last[SNET_CANDIDATE_SRFLX];

	(void)state;
	start_server(true);
	fresh(&a, true);
	use(&a, snet_addr_port(&server.at));
	born(&a);
	run(both_gathered);
	assert_int_equal(a.of_type[SNET_CANDIDATE_HOST], 1);
	assert_int_equal(a.of_type[SNET_CANDIDATE_SRFLX], 1);
	assert_int_equal(ntohl(c->c.address.in.sin_addr.s_addr), 0xcb007107);
	assert_true(snet_addr_eq(&c->c.related, &a.last[SNET_CANDIDATE_HOST].c.address));
	assert_true(c->c.priority < a.last[SNET_CANDIDATE_HOST].c.priority);
	assert_string_not_equal(c->c.foundation, a.last[SNET_CANDIDATE_HOST].c.foundation);
	gone();
	stop_server();
}

static void a_server_may_have_a_name(void **state)
{
	(void)state;
	start_server(true);
	fresh(&a, true);
	use(&a, snet_addr_port(&server.at));
	a.o.servers[0].host = "localhost";
	born(&a);
	run(both_gathered);
	assert_int_equal(a.of_type[SNET_CANDIDATE_SRFLX], 1);
	assert_int_equal(a.troubles, 0);
	gone();
	stop_server();
}

static bool was_kept_open(void)
{
	return server.asked >= 4;
}

static void the_way_to_a_server_is_kept_open(void **state)
{
	(void)state;
	start_server(true);
	fresh(&a, true);
	a.o.keepalive = 30 * SNET_MS;
	use(&a, snet_addr_port(&server.at));
	born(&a);
	run(was_kept_open);
	assert_int_equal(server.d.answered, 1); /* no more than that is asked */
	assert_int_equal(a.of_type[SNET_CANDIDATE_SRFLX], 1);
	gone();
	stop_server();
}

static void what_it_sees_and_we_know_is_none(void **state)
{
	(void)state;
	start_server(false);
	fresh(&a, true);
	use(&a, snet_addr_port(&server.at));
	born(&a);
	run(both_gathered);
	assert_int_equal(server.asked, 1);
	assert_int_equal(a.locals, 1);
	assert_int_equal(a.troubles, 0);
	gone();
	stop_server();
}

static void types_left_out_are_not_offered(void **state)
{
	const struct snet_local *c = &a.last[SNET_CANDIDATE_SRFLX];

	(void)state;
	start_server(false);
	pair_of();
	a.o.filter.without_types = 1u << SNET_CANDIDATE_HOST;
	b.o.filter.without_types = 1u << SNET_CANDIDATE_SRFLX;
	use(&a, snet_addr_port(&server.at));
	use(&b, snet_addr_port(&server.at));
	born(&a);
	born(&b);
	run(both_selected);
	run(both_gathered);
	/* The socket is used nevertheless; what else it is, is not to be read in the other. */
	assert_int_equal(a.of_type[SNET_CANDIDATE_HOST], 0);
	assert_int_equal(a.of_type[SNET_CANDIDATE_SRFLX], 1);
	assert_int_equal(c->c.related.sa.sa_family, AF_UNSPEC);
	assert_int_equal(b.of_type[SNET_CANDIDATE_SRFLX], 0);
	assert_int_equal(server.asked, 1);
	carry_both_ways();
	gone();
	stop_server();
}

static void interfaces_left_out_are_not_used(void **state)
{
	(void)state;
	fresh(&a, true);
	a.o.bind = (struct snet_addr){ 0 };
	a.o.filter.without[a.o.filter.without_n++] = "*";
	born(&a);
	run(a_failed);
	assert_int_equal(a.locals, 0);
	assert_true(a.troubles);
	gone();
}

static void one_interface_by_name(void **state)
{
	(void)state;
	fresh(&a, true);
	a.o.bind = (struct snet_addr){ 0 };
	a.o.filter.only[a.o.filter.only_n++] = "loopback";
	a.o.filter.without_v6 = true;
	born(&a);
	run(both_gathered);
	assert_int_equal(a.locals, 1);
	assert_true(snet_addr_is_loopback(&a.last[SNET_CANDIDATE_HOST].c.address));
	gone();
}

static void relayed_alone_means_no_other_way(void **state)
{
	uint16_t port;
	int fd = deaf(&port);

	(void)state;
	pair_of();
	a.o.path = SNET_ICE_RELAY;
	a.o.gather_timeout = 300 * SNET_MS;
	use(&a, port);
	a.o.servers[0].cred = &cred;
	born(&a);
	born(&b);
	run(a_failed);
	assert_int_equal(a.locals, 0);
	assert_int_equal(a.troubles, 1);
	assert_int_equal(b.selected, 0);
	gone();
	close(fd);
}

static void relayed_pairs_carry_data(void **state)
{
	(void)state;
	start_turns();
	pair_of();
	a.o.path = b.o.path = SNET_ICE_RELAY;
	use_turn(&a, &turns[0]);
	use_turn(&b, &turns[1]);
	born(&a);
	born(&b);
	run(both_selected);
	assert_int_equal(a.pair.local.c.type, SNET_CANDIDATE_RELAY);
	assert_int_equal(a.locals, 1);
	assert_int_equal(a.last[SNET_CANDIDATE_RELAY].c.related.sa.sa_family, AF_UNSPEC);
	carry_both_ways();
	carry(&a, &b, 40 * 1200, 1200);
	assert_true(turns[0].s.by_channel && turns[0].passed >= 80);
	assert_int_equal(snet_ice_detach(a.ice, &(int){ -1 }, NULL), SNET_ENOSYS);
	assert_int_equal(a.troubles + b.troubles, 0);
	gone();
	run(all_given_back);
	stop_turns();
}

static void with_a_better_way_the_relay_stays_in_reserve(void **state)
{
	(void)state;
	start_turns();
	pair_of();
	use_turn(&a, &turns[0]);
	born(&a);
	born(&b);
	run(both_selected);
	run(both_gathered);
	assert_int_equal(a.pair.local.c.type, SNET_CANDIDATE_HOST);
	assert_int_equal(a.of_type[SNET_CANDIDATE_RELAY], 1);
	/* What the TURN server sees is a candidate as good as a STUN server's. */
	assert_int_equal(a.of_type[SNET_CANDIDATE_SRFLX], 1);
	assert_true(turns[0].s.allocated);
	run(is_permitted);
	gone();
	run(all_given_back);
	stop_turns();
}

static void a_wrong_password_is_told_and_nothing_else_suffers(void **state)
{
	(void)state;
	start_turns();
	pair_of();
	turns[0].s.password = "another";
	use_turn(&a, &turns[0]);
	born(&a);
	born(&b);
	run(both_selected);
	run(both_gathered);
	assert_int_equal(a.troubles, 1);
	assert_int_equal(a.trouble.code, SNET_EDENIED);
	assert_int_equal(a.of_type[SNET_CANDIDATE_RELAY], 0);
	gone();
	stop_turns();
}

static void names_are_looked_up(void **state)
{
	(void)state;
	pair_of();
	a.by_name = b.by_name = true;
	born(&a);
	born(&b);
	run(both_selected);
	assert_true(snet_addr_eq(&a.pair.remote.address, &b.pair.local.c.address));
	carry_both_ways();
	gone();
}

static void direct_means_that_nothing_is_allocated(void **state)
{

	(void)state;
	start_server(true);
	fresh(&a, true);
	a.o.path = SNET_ICE_DIRECT;
	use(&a, snet_addr_port(&server.at));
	a.o.servers[0].cred = &cred;
	born(&a);
	run(both_gathered);
	/* It is asked what it sees: a TURN server tells that, too. */
	assert_int_equal(a.of_type[SNET_CANDIDATE_SRFLX], 1);
	assert_int_equal(a.of_type[SNET_CANDIDATE_RELAY], 0);
	gone();
	stop_server();
}

static bool selected_anew(void)
{
	return a.selected > 1 && b.selected > 1;
}

static void a_restart_keeps_the_data_flowing(void **state)
{
	char ufrag[SNET_AGENT_UFRAG + 1];

	(void)state;
	pair_of();
	born(&a);
	born(&b);
	run(both_selected);
	run(both_gathered);
	strcpy(ufrag, snet_agent_ufrag(snet_ice_agent(a.ice)));
	anew(&a);
	assert_string_not_equal(ufrag, snet_agent_ufrag(snet_ice_agent(a.ice)));
	carry(&a, &b, 20 * 1000, 1000);
	carry(&b, &a, 20 * 1000, 1000);
	run(selected_anew);
	assert_int_equal(a.locals, 1);
	assert_int_equal(b.locals, 1);
	assert_int_equal(a.lost + b.lost, 0);
	carry_both_ways();
	gone();
}

/* A check from the relay is faster than the line that tells of it. */
static void a_relay_that_was_met_first_is_told_of(void **state)
{
	struct snet_sdp_candidate c = { 0 };

	(void)state;
	pair_of();
	b.silent = true;
	born(&a);
	born(&b);
	assert_int_equal(snet_ice_set_remote(a.ice, snet_agent_ufrag(snet_ice_agent(b.ice)),
					     snet_agent_pwd(snet_ice_agent(b.ice))),
			 SNET_OK);
	run(both_selected);
	assert_int_equal(a.pair.remote.type, SNET_CANDIDATE_PRFLX);
	c.c = b.last[SNET_CANDIDATE_HOST].c;
	c.c.type = SNET_CANDIDATE_RELAY;
	assert_int_equal(snet_ice_add_remote(a.ice, &c), SNET_OK);
	assert_int_equal(a.selected, 2);
	assert_int_equal(a.pair.remote.type, SNET_CANDIDATE_RELAY);
	assert_true(snet_addr_eq(&a.pair.remote.address, &c.c.address));
	assert_int_equal(snet_ice_add_remote(a.ice, &c), SNET_EAGAIN); /* and once is enough */
	assert_int_equal(a.selected, 2);
	carry_both_ways();
	gone();
}

static void a_detached_socket_works_alone(void **state)
{
	struct snet_addr at, to;
	socklen_t n = sizeof(at);
	char text[16];
	int fd, other;

	(void)state;
	pair_of();
	born(&a);
	born(&b);
	run(both_selected);
	run(both_gathered);
	assert_int_equal(snet_ice_detach(a.ice, &fd, NULL), SNET_OK);
	assert_int_equal(getsockname(fd, &at.sa, &n), 0);
	assert_true(snet_addr_eq(&at, &a.pair.local.c.address));
	n = sizeof(to);
	assert_int_equal(getpeername(fd, &to.sa, &n), 0);
	assert_true(snet_addr_eq(&to, &a.pair.remote.address));
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(snet_agent_state(snet_ice_agent(a.ice)), SNET_AGENT_CLOSED);
	assert_int_equal(snet_ice_restart(a.ice, NULL), SNET_ECLOSED);
	/* The driver has no say any more, nor a hand on it, now or when it is freed. */
	turn(20 * SNET_MS);
	assert_int_equal(snet_ice_send(a.ice, 0, 1, 1), SNET_ENOENT);
	assert_int_equal(snet_ice_detach(b.ice, &other, NULL), SNET_OK);
	gone();
	assert_int_equal(send(fd, "there", 5, 0), 5);
	assert_int_equal(recv(other, text, sizeof(text), 0), 5);
	assert_int_equal(send(other, "and back", 8, 0), 8);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 8);
	assert_memory_equal(text, "and back", 8);
	close(fd);
	close(other);
}

static void floods_of_candidates_end_somewhere(void **state)
{
	struct snet_sdp_candidate c = { .c = { .component = 1, .priority = 1 } }, named = c;
	unsigned taken = 0, looked_up = 0;

	(void)state;
	fresh(&a, true);
	born(&a);
	run(both_gathered);
	assert_int_equal(snet_ice_set_remote(a.ice, "mallory", "0123456789012345678901"),
			 SNET_OK);
	strcpy(c.c.foundation, "1");
	for (unsigned i = 0; i < 10000; i++) {
		char text[32];

		snprintf(text, sizeof(text), "127.%u.%u.1:9", i >> 8, i & 255);
		assert_int_equal(snet_addr_parse(&c.c.address, text), SNET_OK);
		taken += !snet_ice_add_remote(a.ice, &c);
	}
	turn(100 * SNET_MS);
	assert_true(snet_agent_checklist(snet_ice_agent(a.ice))->pairs_n <= SNET_PAIRS_MAX);
	named = c;
	named.c.address = (struct snet_addr){ 0 };
	named.port = 9;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(named.name, sizeof(named.name), "no-%u.local", i);
		looked_up += !snet_ice_add_remote(a.ice, &named);
	}
	assert_int_equal(taken, SNET_REMOTES_TOLD_MAX);
	assert_int_equal(looked_up, 32);
	strcpy(c.ufrag, "eve");
	assert_int_equal(snet_ice_add_remote(a.ice, &c), SNET_ENOENT);
	gone(); /* before the first of them is asked for */
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct snet_error err;

	(void)state;
	fresh(&a, true);
	a.o.servers_n = SNET_ICE_SERVERS + 1;
	assert_int_equal(snet_ice_new(&a.ice, loop, &a.o, &events, &a, &err), SNET_EINVAL);
	a.o.servers_n = 1; /* of no name */
	assert_int_equal(snet_ice_new(&a.ice, loop, &a.o, &events, &a, &err), SNET_EINVAL);
	a.o.servers_n = 0;
	a.o.path = SNET_ICE_RELAY;
	a.o.filter.without_types = 1u << SNET_CANDIDATE_RELAY;
	assert_int_equal(snet_ice_new(&a.ice, loop, &a.o, &events, &a, &err), SNET_EINVAL);
	assert_null(a.ice);
}

static int gather_within(struct party *p, snet_time most)
{
	struct snet_error err = { 0 };
	int rc;

	turns[0].s.allocated =
		false; /* whoever had it may have had no memory to give it back */
	fresh(p, true);
	p->o.filter.only[p->o.filter.only_n++] = "lo";
	p->o.gather_timeout = most;
	use(p, snet_addr_port(&server.at));
	use_turn(p, &turns[0]);
	p->o.servers[1].ca = "none";
	rc = snet_ice_new(&p->ice, loop, &p->o, &events, p, &err);
	if (rc) {
		assert_int_equal(rc, err.code);
		return rc;
	}
	run(both_gathered);
	gone();
	/* A host's, a relay's, and what each of the two servers sees. */
	return p->locals == 4 ? SNET_OK : SNET_ENOMEM;
}

/* Servers that cannot be asked are given up in time; whoever asks them all may need more, on a
 * busy machine. */
static int gather_once(void *user)
{
	int rc = gather_within(user, 300 * SNET_MS);

	return rc && !torture_struck() ? gather_within(user, 10 * SNET_SEC) : rc;
}

static void want_of_memory_ends_nothing_but_what_wants_it(void **state)
{
	(void)state;
	start_server(true);
	start_turns();
	fresh(&b, false);
	assert_true(torture(gather_once, &a) > 10);
	stop_turns();
	stop_server();
}

/* ---- more addresses than there is room for, in a process of its own */

#define ADDRESSES 30 /* above SOCKS_MAX */

static bool add_many(void)
{
	char text[32];

	for (unsigned i = 1; i <= ADDRESSES; i++) {
		snprintf(text, sizeof(text), "[2001:db8::%x]:0", i);
		if (!ownnet_add6(text))
			return false;
	}
	return true;
}

static int crowd(void)
{
	bool stale;

	if (!ownnet_begin() || !add_many())
		return 77;
	memset(&a, 0, sizeof(a));
	born(&a);
	run(both_gathered);
	if (snet_ice_is_stale(a.ice))
		return 1;
	/* It would come before all others; and yet there is no room. */
	if (!ownnet_add(1, "192.0.2.7:0") || snet_ice_is_stale(a.ice))
		return 2;
	if (!ownnet_drop(0))
		return 3;
	stale = snet_ice_is_stale(a.ice);
	gone();
	return stale ? 0 : 4;
}

static void addresses_there_is_no_room_for_are_no_news(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	snet_loop_free(loop);
	loop = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (snet_loop_new(&loop))
			_exit(5);
		guard.fn = on_guard;
		_exit(crowd());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int make_loop(void **state)
{
	(void)state;
	guard = (struct snet_timer){ .fn = on_guard };
	return snet_loop_new(&loop);
}

static int free_loop(void **state)
{
	(void)state;
	snet_loop_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_parties_connect_and_talk),
		cmocka_unit_test(trains_arrive_whole_without_offload),
		cmocka_unit_test(over_ipv6_it_is_the_same),
		cmocka_unit_test(without_a_pair_what_is_sent_is_lost),
		cmocka_unit_test(a_server_that_is_silent_delays_nothing),
		cmocka_unit_test(a_server_that_is_not_there_is_known_at_once),
		cmocka_unit_test(what_a_server_sees_is_a_candidate),
		cmocka_unit_test(a_server_may_have_a_name),
		cmocka_unit_test(the_way_to_a_server_is_kept_open),
		cmocka_unit_test(what_it_sees_and_we_know_is_none),
		cmocka_unit_test(types_left_out_are_not_offered),
		cmocka_unit_test(interfaces_left_out_are_not_used),
		cmocka_unit_test(one_interface_by_name),
		cmocka_unit_test(relayed_alone_means_no_other_way),
		cmocka_unit_test(relayed_pairs_carry_data),
		cmocka_unit_test(with_a_better_way_the_relay_stays_in_reserve),
		cmocka_unit_test(a_wrong_password_is_told_and_nothing_else_suffers),
		cmocka_unit_test(names_are_looked_up),
		cmocka_unit_test(direct_means_that_nothing_is_allocated),
		cmocka_unit_test(a_restart_keeps_the_data_flowing),
		cmocka_unit_test(a_relay_that_was_met_first_is_told_of),
		cmocka_unit_test(a_detached_socket_works_alone),
		cmocka_unit_test(floods_of_candidates_end_somewhere),
		cmocka_unit_test(want_of_memory_ends_nothing_but_what_wants_it),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(addresses_there_is_no_room_for_are_no_news),
	};

	return cmocka_run_group_tests(tests, make_loop, free_loop);
}
