/* nat/driver_punch: NATs that give every destination another port, played by servers that say
 * so and by a peer's candidates, on 127.0.0.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"
#include "io/udp.h"
#include "nat/driver.h"
#include "nat/punch.h"
#include "nat/stunauth.h"
#include "nat/stund.h"

#define GUARD (120 * SNET_SEC)
#define SEEN_MAX 64         /* addresses that checks come from */
#define LATE (5 * SNET_SEC) /* that a busy machine may be; how far, test_punch_pact knows */

static const char its_ufrag[] = "peer", its_pwd[] = "peerpeerpeerpeerpeerpe";

static struct snet_loop *loop;
static struct snet_timer guard;

/* The one that is tested. */
static struct {
	struct snet_ice *ice;
	struct snet_ice_opts o;
	struct snet_local locals[32];
	size_t locals_n;
	bool gathered, selected;
	struct snet_agent_event pair;
	snet_time born, gathered_at;
	struct snet_pact_word said[8];
	snet_time said_at[8];
	unsigned said_n;
	struct snet_ice_punching punching;
	unsigned begun;
	snet_time begun_at;
} a;

/* Servers of RFC 5780, behind which a NAT is: it gives every destination a port. */
static struct {
	struct snet_udp *udp[SNET_STUND_SOCKETS];
	struct snet_stund d;
	uint16_t ports[SNET_STUND_SOCKETS]; /* as they are given, or 0: not yet */
	uint16_t last;
	int step;        /* 0: by lot */
	bool cone, deaf; /* deaf: at the addresses nobody was told of */
	unsigned given;
} nat;

/* The peer: somebody who hears checks, and may answer. */
static struct {
	struct snet_udp *udp;
	struct snet_addr at, from[SEEN_MAX];
	size_t from_n;
	unsigned checks;
	bool answers;
	struct snet_addr spoken_to; /* answered, if so */
	unsigned refused, answered;
} peer;

static bool (*until)(void);

static void look(void)
{
	if (until && until())
		snet_loop_stop(loop);
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

static snet_time enough;

static bool is_enough(void)
{
	return snet_loop_now(loop) >= enough;
}

static void on_tick(struct snet_timer *t, snet_time now)
{
	snet_timer_set(loop, t, now + 20 * SNET_MS);
	look();
}

/* For what no event tells of. */
static void watch(bool (*what)(void))
{
	struct snet_timer t = { .fn = on_tick };

	assert_int_equal(snet_timer_set(loop, &t, snet_loop_now(loop)), SNET_OK);
	run(what);
	snet_timer_stop(loop, &t);
}

/* What must not happen is given time to. */
static void pass(snet_time how_long)
{
	enough = snet_loop_now(loop) + how_long;
	watch(is_enough);
}

/* ---- a */

static void on_local(const struct snet_local *c, const char *iface, void *user)
{
	(void)iface, (void)user;
	assert_true(a.locals_n < 32);
	a.locals[a.locals_n++] = *c;
}

static void on_gathered(void *user)
{
	(void)user;
	a.gathered = true;
	a.gathered_at = snet_loop_now(loop);
	look();
}

static void on_event(const struct snet_agent_event *ev, void *user)
{
	(void)user;
	if (ev->what != SNET_AGENT_SELECTED)
		return;
	a.selected = true;
	a.pair = *ev;
	look();
}

static void on_trouble(const struct snet_error *err, void *user)
{
	(void)user;
	print_error("%s\n", err->text);
}

static void on_data(uint8_t ecn, uint8_t *p, size_t n, void *user)
{
	(void)ecn, (void)p, (void)n, (void)user;
}

static void nothing(void *user)
{
	(void)user;
}

static void on_punch(const struct snet_pact_word *w, void *user)
{
	(void)user;
	assert_true(a.said_n < 8);
	a.said_at[a.said_n] = snet_loop_now(loop);
	a.said[a.said_n++] = *w;
	look();
}

static void on_punching(const struct snet_ice_punching *p, void *user)
{
	(void)user;
	a.punching = *p;
	a.begun++;
	a.begun_at = snet_loop_now(loop);
	look();
}

static bool is_gathered(void)
{
	return a.gathered;
}

static void fresh(void)
{
	memset(&a, 0, sizeof(a));
	a.o.agent.controlling = true;
	a.o.gather_timeout = 3 * SNET_SEC;
	assert_int_equal(snet_addr_parse(&a.o.bind, "127.0.0.1:0"), SNET_OK);
}

static void born(void)
{
	static const struct snet_ice_events ev = { on_local,   on_gathered, on_event,
						   on_trouble, on_data,     nothing,
						   NULL,       on_punch,    on_punching };

	a.born = snet_loop_now(loop);
	assert_int_equal(snet_ice_new(&a.ice, loop, &a.o, &ev, NULL, NULL), SNET_OK);
	run(is_gathered);
}

/* The peer's candidate, as a server sees it; of: the socket behind it, or NULL. */
static void tell_of(const struct snet_addr *of, const struct snet_addr *at, uint16_t port)
{
	struct snet_sdp_candidate c = {
		.c = { .component = 1, .address = *at, .type = SNET_CANDIDATE_SRFLX }
	};

	if (of)
		c.c.related = *of;
	snet_addr_set_port(&c.c.address, port);
	c.c.priority = snet_candidate_priority(c.c.type, port, 1);
	snprintf(c.c.foundation, sizeof(c.c.foundation), "%u", port);
	assert_int_equal(snet_ice_add_remote(a.ice, &c), SNET_OK);
}

static void tell(const struct snet_addr *at, uint16_t port)
{
	tell_of(NULL, at, port);
}

/* ---- servers */

static int next_port(void)
{
	return nat.step ? nat.last + nat.step : 1024 + (int)(nat.last * 40503u % 60000);
}

static void on_request(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	size_t i = (size_t)((struct snet_udp **)user - nat.udp);
	struct snet_addr from = path->remote;
	struct snet_stund_answer out;

	if (nat.deaf && (i == 1 || i == 2))
		return;
	if (!nat.ports[i]) {
		nat.given++;
		if (!nat.cone || nat.given == 1)
			nat.last = (uint16_t)next_port();
		nat.ports[i] = nat.last;
	}
	assert_int_equal(snet_addr_parse(&from, "203.0.113.7:1"), SNET_OK);
	snet_addr_set_port(&from, nat.ports[i]);
	if (snet_stund_take(&nat.d, (unsigned)i, &from, p, n, &out))
		snet_udp_answer(nat.udp[out.via], path, out.p, out.n);
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

static bool open_at(size_t i, const char *ip, uint16_t port)
{
	static const struct snet_udp_events ev = { no_datagram, on_request, no_remote,
						   nothing };
	struct snet_udp_opts o = { 0 };
	struct snet_addr at;

	assert_int_equal(snet_addr_parse(&at, ip), SNET_OK);
	snet_addr_set_port(&at, port);
	if (snet_udp_open(&nat.udp[i], loop, &at, -1, &o, &ev, &nat.udp[i], NULL))
		return false;
	snet_udp_address(nat.udp[i], &nat.d.at[i]);
	return true;
}

/* At two addresses and two ports; a is told of the first and the last. */
static void start_nat(int step, uint16_t last)
{
	bool ok = false;

	memset(&nat, 0, sizeof(nat));
	nat.step = step;
	nat.last = last;
	nat.d.n = SNET_STUND_SOCKETS;
	for (int tries = 0; !ok && tries < 20; tries++) {
		for (size_t i = 0; i < SNET_STUND_SOCKETS; i++)
			snet_udp_close(nat.udp[i]);
		memset(nat.udp, 0, sizeof(nat.udp));
		ok = open_at(0, "127.0.0.1:0", 0) && open_at(1, "127.0.0.1:0", 0) &&
		     open_at(2, "127.0.0.2:0", snet_addr_port(&nat.d.at[0])) &&
		     open_at(3, "127.0.0.2:0", snet_addr_port(&nat.d.at[1]));
	}
	assert_true(ok);
	a.o.servers[0] = (struct snet_ice_server){ .host = "127.0.0.1",
						   .port = snet_addr_port(&nat.d.at[0]) };
	a.o.servers[1] = (struct snet_ice_server){ .host = "127.0.0.2",
						   .port = snet_addr_port(&nat.d.at[3]) };
	a.o.servers_n = 2;
}

static void end(void)
{
	snet_ice_free(a.ice);
	for (size_t i = 0; i < SNET_STUND_SOCKETS; i++)
		snet_udp_close(nat.udp[i]);
	snet_udp_close(peer.udp);
	memset(&nat, 0, sizeof(nat));
	memset(&peer, 0, sizeof(peer));
}

/* ---- the peer */

static void send_to(const struct snet_addr *to, struct snet_stunout *o, const char *pwd)
{
	struct snet_path path = { peer.at, *to };
	struct snet_stun_key key;

	assert_int_equal(snet_stun_key_short(&key, pwd), SNET_OK);
	snet_stunauth_put(o, SNET_STUN_SHA1, &key);
	snet_stunmsg_put_fingerprint(o);
	assert_true(snet_stunmsg_end(o) > 0);
	snet_udp_answer(peer.udp, &path, o->p, snet_stunmsg_end(o));
}

static void answer(const struct snet_addr *to, const struct snet_stunmsg *m)
{
	struct snet_stunout o;
	uint8_t b[512];

	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_SUCCESS, SNET_STUN_BINDING, m->id);
	snet_stunmsg_put_addr(&o, SNET_STUN_XOR_MAPPED_ADDRESS, to);
	send_to(to, &o, its_pwd);
	peer.answered++;
}

/* A check that claims a's own role, and must yield. */
static void speak_to(const struct snet_addr *to)
{
	static const uint8_t id[SNET_STUN_ID] = { 1, 2, 3 };
	const struct snet_agent *agent = snet_ice_agent(a.ice);
	char name[64];
	struct snet_stunout o;
	uint8_t b[512];

	snprintf(name, sizeof(name), "%s:%s", snet_agent_ufrag(agent), its_ufrag);
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_REQUEST, SNET_STUN_BINDING, id);
	snet_stunmsg_put_text(&o, SNET_STUN_USERNAME, name);
	snet_stunmsg_put_number(&o, SNET_STUN_PRIORITY, 1000);
	snet_stunmsg_put_number(&o, SNET_STUN_ICE_CONTROLLING, 0);
	peer.spoken_to = *to;
	send_to(to, &o, snet_agent_pwd(agent));
}

static void on_check(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct snet_stun_key key;
	struct snet_stunmsg m;
	size_t i = 0;

	(void)user;
	assert_int_equal(snet_stunmsg_parse(&m, p, n), SNET_OK);
	if (m.cls == SNET_STUN_ERROR) {
		peer.refused += snet_stunmsg_error(&m, NULL) == 487;
		return;
	}
	assert_int_equal(m.cls, SNET_STUN_REQUEST);
	assert_int_equal(snet_stun_key_short(&key, its_pwd), SNET_OK);
	assert_int_equal(snet_stunauth_check(&m, SNET_STUN_SHA1, &key), SNET_OK);
	peer.checks++;
	while (i < peer.from_n && !snet_addr_eq(&peer.from[i], &path->remote))
		i++;
	if (i == peer.from_n && i < SEEN_MAX)
		peer.from[peer.from_n++] = path->remote;
	if (peer.answers && snet_addr_eq(&path->remote, &peer.spoken_to))
		answer(&path->remote, &m);
	look();
}

static void start_peer(void)
{
	static const struct snet_udp_events ev = { no_datagram, on_check, no_remote, nothing };
	struct snet_udp_opts o = { 0 };
	struct snet_addr at;

	memset(&peer, 0, sizeof(peer));
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(snet_udp_open(&peer.udp, loop, &at, -1, &o, &ev, NULL, NULL), SNET_OK);
	snet_udp_address(peer.udp, &peer.at);
}

/* ---- what is foretold */

/* How many of ours servers see, or will see. */
static size_t count_mapped(void)
{
	size_t n = 0;

	for (size_t i = 0; i < a.locals_n; i++)
		n += a.locals[i].c.type == SNET_CANDIDATE_SRFLX;
	return n;
}

static void check_foretold(uint16_t last, int step)
{
	size_t n = 0;

	for (size_t i = 0; i < a.locals_n; i++) {
		const struct snet_candidate *c = &a.locals[i].c;

		for (size_t k = 0; k < i; k++) {
			const struct snet_candidate *o = &a.locals[k].c;

			assert_string_not_equal(c->foundation, o->foundation);
			assert_int_not_equal(c->priority, o->priority);
		}
		if (c->type != SNET_CANDIDATE_SRFLX || n++ < 2)
			continue;
		assert_int_equal(snet_addr_port(&c->address), last + step * (int)(n - 2));
		assert_true(c->priority < a.locals[1].c.priority);
		assert_true(c->priority < a.locals[2].c.priority);
		assert_true(c->priority >
			    snet_candidate_priority(SNET_CANDIDATE_RELAY, UINT16_MAX, 1));
	}
}

static void ports_that_follow_are_told_to_the_peer(void **state)
{
	static const int steps[] = { 1, 2, -1 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fresh();
		start_nat(steps[i], 40000);
		born();
		assert_int_equal(nat.given, 4);
		assert_int_equal(count_mapped(), 2 + SNET_PUNCH_NEXT);
		check_foretold((uint16_t)(40000 + 4 * steps[i]), steps[i]);
		assert_true(a.gathered_at < a.born + a.o.gather_timeout);
		end();
	}
}

static void of_ports_by_lot_nothing_is_foretold(void **state)
{
	(void)state;
	fresh();
	start_nat(0, 40001);
	born();
	assert_int_equal(nat.given, 4);
	assert_int_equal(count_mapped(), 2);
	end();
}

static void where_all_see_the_same_nobody_is_asked_more(void **state)
{
	(void)state;
	fresh();
	start_nat(1, 40000);
	nat.cone = true;
	born();
	assert_int_equal(nat.given, 2);
	assert_int_equal(count_mapped(), 1);
	end();
}

static void addresses_that_do_not_answer_are_not_waited_for_long(void **state)
{
	(void)state;
	fresh();
	start_nat(1, 40000);
	nat.deaf = true;
	born();
	assert_int_equal(nat.given, 2);
	assert_int_equal(count_mapped(), 2);
	assert_true(a.gathered_at < a.born + a.o.gather_timeout);
	end();
}

static void another_generation_is_foretold_anew(void **state)
{
	(void)state;
	fresh();
	start_nat(1, 40000);
	born();
	assert_int_equal(count_mapped(), 2 + SNET_PUNCH_NEXT);
	a.locals_n = 0;
	a.gathered = false;
	memset(nat.ports, 0, sizeof(nat.ports));
	nat.last = 50000;
	assert_int_equal(snet_ice_restart(a.ice, NULL), SNET_OK);
	run(is_gathered);
	assert_int_equal(count_mapped(), 2 + SNET_PUNCH_NEXT);
	check_foretold(50004, 1);
	end();
}

/* ---- what is probed */

static bool is_heard(void)
{
	return peer.checks > 0;
}

/* Its NAT has come further than what it told us of. */
static void ports_beyond_those_told_are_probed(void **state)
{
	(void)state;
	fresh();
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	for (uint16_t i = 0; i < 4; i++)
		tell(&peer.at, (uint16_t)(snet_addr_port(&peer.at) - 24 + i));
	run(is_heard);
	assert_int_equal(peer.from_n, 1);
	end();
}

static uint64_t checks(void)
{
	return snet_agent_counts(snet_ice_agent(a.ice))->checks;
}

static bool are_drawn(void)
{
	return checks() >= 40;
}

/* Ports of the peer's that have nothing to do with each other. */
static void two_ports(unsigned birthday)
{
	fresh();
	a.o.birthday = birthday;
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	tell(&peer.at, snet_addr_port(&peer.at));
	tell(&peer.at, (uint16_t)(snet_addr_port(&peer.at) ^ 0x1555));
}

static void lots_are_drawn_when_they_are_asked_for(void **state)
{
	(void)state;
	two_ports(40);
	watch(are_drawn);
	pass(20 * SNET_PUNCH_PACE);
	assert_in_range(checks(), 40, 60); /* those of the two pairs, besides */
	end();
}

static void and_only_then(void **state)
{
	(void)state;
	two_ports(0);
	pass(SNET_SEC + SNET_PUNCH_HEAD_START + 40 * SNET_PUNCH_PACE);
	assert_in_range(checks(), 2, 20);
	end();
}

static bool are_all_held(void)
{
	return peer.from_n == 1 + 10;
}

static bool is_selected(void)
{
	return a.selected;
}

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void a_held_port_that_is_spoken_to_becomes_the_pair(void **state)
{
	unsigned before;

	(void)state;
	fresh();
	start_nat(0, 40001);
	a.o.birthday = 40;
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	before = open_files();
	tell(&peer.at, snet_addr_port(&peer.at));
	run(are_all_held);
	assert_int_equal(open_files(), before + 10);
	peer.answers = true;
	speak_to(&peer.from[7]);
	run(is_selected);
	assert_int_equal(peer.refused, 1); /* and yet it was taken for a sign of life */
	assert_true(peer.answered >= 2);
	assert_true(snet_addr_eq(&a.pair.local.base, &peer.from[7]));
	assert_true(snet_addr_eq(&a.pair.remote.address, &peer.at));
	/* The others have been let go. */
	assert_int_equal(open_files(), before + 1);
	end();
}

#define HELD 30 /* more than there may be sockets */

static bool are_many_held(void)
{
	return peer.from_n == 1 + HELD;
}

/* Were every datagram a sign of life, anybody could use up the sockets. */
static void what_strangers_say_to_held_ports_is_nothing(void **state)
{
	struct snet_addr at;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned before;

	(void)state;
	assert_int_equal(snet_addr_parse(&at, "127.0.0.2:0"), SNET_OK);
	assert_int_equal(bind(fd, &at.sa, snet_addr_len(&at)), 0);
	fresh();
	start_nat(0, 40001);
	a.o.birthday = 4 * HELD;
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	tell(&peer.at, snet_addr_port(&peer.at));
	run(are_many_held);
	before = open_files();
	for (size_t i = 1; i < HELD; i++) /* all but the last */
		for (int k = 0; k < 3; k++)
			assert_int_equal(sendto(fd, "?", 1, 0, &peer.from[i].sa,
						snet_addr_len(&peer.from[i])),
					 1);
	pass(50 * SNET_MS);
	assert_int_equal(open_files(), before);
	peer.answers = true;
	speak_to(&peer.from[HELD]);
	run(is_selected);
	assert_true(snet_addr_eq(&a.pair.local.base, &peer.from[HELD]));
	end();
	close(fd);
}

/* It may be the only packet that ever gets through. */
static void a_check_that_must_yield_is_met_by_one_of_ours(void **state)
{
	(void)state;
	fresh();
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	speak_to(&a.locals[0].c.address);
	run(is_heard);
	assert_int_equal(peer.refused, 1);
	peer.answers = true;
	run(is_selected);
	assert_true(snet_addr_eq(&a.pair.remote.address, &peer.at));
	end();
}

static void without_being_asked_for_nothing_is_held(void **state)
{
	(void)state;
	fresh();
	start_nat(0, 40001);
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	tell(&peer.at, snet_addr_port(&peer.at));
	pass(1500 * SNET_MS);
	assert_int_equal(peer.from_n, 1);
	end();
}

/* ---- when */

static bool has_said_one(void)
{
	return a.said_n == 1;
}

static bool has_said_two(void)
{
	return a.said_n == 2;
}

static bool has_begun(void)
{
	return a.begun > 0;
}

/* Its NAT steps: there is a plan. */
static void steps_are_told(void)
{
	fresh();
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	for (uint16_t i = 0; i < 4; i++)
		tell(&peer.at, (uint16_t)(snet_addr_port(&peer.at) - 24 + i));
}

static int hear(enum snet_pact_kind kind, uint64_t id, const struct snet_addr *target,
		snet_time delay)
{
	struct snet_pact_word w = { .kind = kind, .id = id, .delay = delay };

	if (target)
		w.target = *target;
	return snet_ice_hear_punch(a.ice, &w);
}

/* A peer has SNET_PACT_ALONE to answer. false: this machine has stood still for too long of it.
 */
static bool answers_in_time(void)
{
	snet_time since = snet_now();

	steps_are_told();
	pass(50 * SNET_MS);
	if (snet_now() - since >= SNET_PACT_ALONE / 2)
		return false;
	assert_int_equal(a.said_n, 0); /* more may come */
	snet_ice_end_remote(a.ice);
	run(has_said_one);
	assert_int_equal(a.said[0].kind, SNET_PACT_REQUEST);
	assert_int_equal(a.said[0].delay, 0);
	assert_true(snet_addr_eq(&a.said[0].target, &a.locals[0].c.address));
	pass(60 * SNET_MS); /* the way there, and back */
	if (snet_now() - since >= SNET_PACT_ALONE)
		return false;
	assert_int_equal(hear(SNET_PACT_ACK, a.said[0].id, NULL, 0), SNET_OK);
	return true;
}

static void the_peer_is_asked_and_both_begin_when_it_has_answered(void **state)
{
	unsigned attempts = 0;

	(void)state;
	while (!answers_in_time() && ++attempts < 10)
		end();
	assert_in_range(attempts, 0, 9);
	run(has_said_two);
	assert_true(a.said[1].delay >= 30 * SNET_MS + SNET_PACT_DELAY_LEAST);
	assert_int_equal(hear(SNET_PACT_ACK, a.said[1].id, NULL, 0), SNET_OK);
	assert_int_equal(a.begun, 0);
	run(has_begun);
	assert_true(a.punching.agreed);
	assert_string_equal(a.punching.plan, "sweep");
	assert_in_range(a.begun_at, a.said_at[1] + a.said[1].delay,
			a.said_at[1] + a.said[1].delay + LATE);
	run(is_heard);
	assert_int_equal(hear(SNET_PACT_REQUEST, 1, &peer.at, 0), SNET_EPOLICY); /* not told */
	end();
}

static void a_peer_that_does_not_answer_costs_nothing(void **state)
{
	snet_time since;

	(void)state;
	steps_are_told();
	snet_ice_end_remote(a.ice);
	since = snet_loop_now(loop);
	run(has_begun);
	assert_int_equal(a.said_n, 1);
	assert_false(a.punching.agreed);
	assert_in_range(a.begun_at, since, since + SNET_PACT_ALONE + LATE);
	run(is_heard);
	end();
}

static void a_peer_that_is_slow_to_tell_all_is_asked_before_that(void **state)
{
	snet_time since;

	(void)state;
	steps_are_told();
	since = snet_loop_now(loop);
	run(has_said_one);
	assert_in_range(a.said_at[0], since + SNET_PACT_ALONE / 2 - 50 * SNET_MS,
			since + SNET_PACT_ALONE / 2 + LATE);
	end();
}

static unsigned checks_then;

static bool are_five_more(void)
{
	return peer.checks >= checks_then + 5;
}

/* We have no plan, and do our part at the moment that the peer has said. */
static void who_is_asked_answers_and_helps(void **state)
{
	snet_time since;

	(void)state;
	fresh();
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	tell(&peer.at, snet_addr_port(&peer.at));
	snet_ice_end_remote(a.ice);
	run(is_heard);
	assert_int_equal(hear(SNET_PACT_REQUEST, 41, &peer.at, 0), SNET_OK);
	assert_int_equal(hear(SNET_PACT_REQUEST, 42, &peer.at, 120 * SNET_MS), SNET_OK);
	assert_int_equal(a.said_n, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(a.said[i].kind, SNET_PACT_ACK);
		assert_int_equal(a.said[i].id, 41 + i);
	}
	since = snet_loop_now(loop);
	run(has_begun);
	checks_then = peer.checks;
	assert_in_range(a.begun_at, since + 120 * SNET_MS, since + 120 * SNET_MS + LATE);
	assert_true(a.punching.agreed);
	assert_string_equal(a.punching.plan, "help");
	assert_int_equal(a.punching.ports, 5);
	run(are_five_more);
	assert_int_equal(peer.from_n, 1); /* by the port it knows */
	pass(SNET_PACT_ALONE + 100 * SNET_MS);
	assert_int_equal(a.begun, 1); /* and that is all */
	end();
}

static uint64_t checks_sent(void)
{
	return snet_agent_counts(snet_ice_agent(a.ice))->checks;
}

static uint64_t checks_wanted;

static bool are_sent(void)
{
	return checks_sent() >= checks_wanted;
}

#define SOCKET_PORTS 13 /* in rounds, SNET_PUNCH_AHEAD probes of them */

/* Ours is the shorter one: its ports end with the last that there is. */
static void a_plan_that_is_over_leaves_our_part_to_its_end(void **state)
{
	struct snet_addr other;

	(void)state;
	fresh();
	born();
	start_peer();
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	for (unsigned i = 0; i < SOCKET_PORTS; i++)
		tell(&peer.at, (uint16_t)(2000 + i * i * 67));
	other = peer.at;
	snet_addr_set_port(&other, 2000);
	assert_int_equal(hear(SNET_PACT_REQUEST, 1, &other, SNET_MS), SNET_OK);
	run(has_begun);
	assert_string_equal(a.punching.plan, "help");
	assert_int_equal(a.punching.ports, SNET_PUNCH_AHEAD);
	/* Those of the pairs and of the sweep are fewer than what is left of our part. */
	checks_wanted = checks_sent() + SNET_PUNCH_AHEAD - 2;
	a.begun = 0;
	for (uint16_t i = 0; i < 3; i++)
		tell_of(&peer.at, &peer.at, (uint16_t)(65527 + 2 * i));
	assert_int_equal(hear(SNET_PACT_REQUEST, 2, &other, SNET_MS), SNET_OK);
	run(has_begun);
	assert_string_equal(a.punching.plan, "sweep");
	assert_int_equal(a.punching.ports, 2);
	watch(are_sent);
	end();
}

/* Or it could have us send to whomever it likes. */
static void what_is_no_candidate_of_the_peers_is_no_target(void **state)
{
	struct snet_addr other;

	(void)state;
	fresh();
	born();
	start_peer();
	other = peer.at;
	snet_addr_set_port(&other, (uint16_t)(snet_addr_port(&peer.at) ^ 1));
	assert_int_equal(hear(SNET_PACT_REQUEST, 1, &peer.at, 0), SNET_ECLOSED);
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	tell(&other, snet_addr_port(&other));
	assert_int_equal(hear(SNET_PACT_REQUEST, 1, &peer.at, 0), SNET_EPOLICY);
	assert_int_equal(hear(SNET_PACT_REQUEST, 2, &peer.at, 20 * SNET_MS), SNET_EPOLICY);
	assert_int_equal(hear(SNET_PACT_REQUEST, 3, &other, 20 * SNET_SEC), SNET_EPOLICY);
	pass(200 * SNET_MS);
	assert_int_equal(a.said_n, 0);
	assert_int_equal(peer.checks, 0);
	end();
}

static void another_generation_has_another_pact(void **state)
{
	(void)state;
	steps_are_told();
	snet_ice_end_remote(a.ice);
	run(has_said_one);
	a.gathered = false;
	assert_int_equal(snet_ice_restart(a.ice, NULL), SNET_OK);
	run(is_gathered);
	assert_int_equal(hear(SNET_PACT_ACK, a.said[0].id, NULL, 0), SNET_ECLOSED);
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	for (uint16_t i = 0; i < 4; i++)
		tell(&peer.at, (uint16_t)(snet_addr_port(&peer.at) - 24 + i));
	assert_int_equal(hear(SNET_PACT_ACK, a.said[0].id, NULL, 0), SNET_EAGAIN);
	snet_ice_end_remote(a.ice);
	run(has_said_two);
	assert_int_not_equal(a.said[0].id, a.said[1].id);
	end();
}

/* A check that left before it had told of the ports that come next has one in between. */
static void ports_between_those_told_are_probed(void **state)
{
	uint16_t at;

	(void)state;
	fresh();
	born();
	start_peer();
	at = snet_addr_port(&peer.at);
	assert_int_equal(snet_ice_set_remote(a.ice, its_ufrag, its_pwd), SNET_OK);
	tell(&peer.at, (uint16_t)(at - 2));
	tell(&peer.at, (uint16_t)(at - 1));
	for (uint16_t i = 2; i < 6; i++)
		tell(&peer.at, (uint16_t)(at + i));
	run(is_heard);
	assert_int_equal(peer.from_n, 1);
	end();
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
		cmocka_unit_test(ports_that_follow_are_told_to_the_peer),
		cmocka_unit_test(of_ports_by_lot_nothing_is_foretold),
		cmocka_unit_test(where_all_see_the_same_nobody_is_asked_more),
		cmocka_unit_test(addresses_that_do_not_answer_are_not_waited_for_long),
		cmocka_unit_test(another_generation_is_foretold_anew),
		cmocka_unit_test(ports_beyond_those_told_are_probed),
		cmocka_unit_test(lots_are_drawn_when_they_are_asked_for),
		cmocka_unit_test(and_only_then),
		cmocka_unit_test(a_held_port_that_is_spoken_to_becomes_the_pair),
		cmocka_unit_test(what_strangers_say_to_held_ports_is_nothing),
		cmocka_unit_test(a_check_that_must_yield_is_met_by_one_of_ours),
		cmocka_unit_test(without_being_asked_for_nothing_is_held),
		cmocka_unit_test(the_peer_is_asked_and_both_begin_when_it_has_answered),
		cmocka_unit_test(a_peer_that_does_not_answer_costs_nothing),
		cmocka_unit_test(a_peer_that_is_slow_to_tell_all_is_asked_before_that),
		cmocka_unit_test(who_is_asked_answers_and_helps),
		cmocka_unit_test(a_plan_that_is_over_leaves_our_part_to_its_end),
		cmocka_unit_test(what_is_no_candidate_of_the_peers_is_no_target),
		cmocka_unit_test(another_generation_has_another_pact),
		cmocka_unit_test(ports_between_those_told_are_probed),
	};

	return cmocka_run_group_tests(tests, make_loop, free_loop);
}
