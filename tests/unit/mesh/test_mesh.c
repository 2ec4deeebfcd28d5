/* mesh/mesh over transport/loop: parties that start in any order, lose connections, restart,
 * disagree and are slow; nothing is lost, nothing comes twice, order is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/identity.h"
#include "mesh/mesh_impl.h"
#include "support/net.h"
#include "wire/record.h"

#define T (&snet_transport_loop)
#define MOST 8 /* net_identity has no more */
#define TROUBLE 256

/* A party, and what its owner was told. */
struct party {
	struct snet_mesh *mesh;
	struct net_end end;
	uint32_t self;
	unsigned ups[MOST], downs[MOST], news[MOST], ends[MOST], rooms[MOST], overs[MOST];
	uint64_t lost[MOST];
	uint64_t next[MOST]; /* the number its next message must carry */
	int over_code[MOST], trouble_code;
	unsigned attempts; /* to dial anybody */
	char trouble[TROUBLE];
};

static struct snet_loop *loop;
static struct party parties[MOST];
static uint32_t n_parties;
static struct snet_mesh_party roster[MOST];
static const struct party *stays; /* it dials nobody */

static int address(uint32_t party, unsigned attempt, struct snet_endpoint **from,
		   struct snet_addr *to, struct snet_error *err, void *user)
{
	struct party *p = user;

	(void)attempt;
	p->attempts++;
	if (p == stays)
		return snet_fail(err, SNET_EUNREACH, "it stays");
	*from = p->end.e;
	*to = parties[party].end.at;
	return parties[party].end.e ? SNET_OK : snet_fail(err, SNET_EUNREACH, "not there");
}

static void on_up(uint32_t party, bool anew, uint64_t lost, void *user)
{
	struct party *p = user;

	p->ups[party]++;
	p->news[party] += anew;
	p->lost[party] += lost;
}

static void on_down(uint32_t party, int code, const char *why, bool by_peer, void *user)
{
	(void)code, (void)why, (void)by_peer;
	((struct party *)user)->downs[party]++;
}

/* A message is the sender's number of it, eight bytes as they lie in memory, and more. */
static void on_message(uint32_t party, const struct snet_message *m, void *user)
{
	struct party *p = user;
	uint64_t number;

	assert_true(m->n >= sizeof(number));
	memcpy(&number, m->p, sizeof(number));
	if (number != p->next[party])
		fail_msg("party %u: message %llu from %u, not %llu", p->self,
			 (unsigned long long)number, party, (unsigned long long)p->next[party]);
	p->next[party]++;
}

static void on_end(uint32_t party, void *user)
{
	((struct party *)user)->ends[party]++;
}

static void on_room(uint32_t party, void *user)
{
	((struct party *)user)->rooms[party]++;
}

static void on_over(uint32_t party, const struct snet_error *err, void *user)
{
	struct party *p = user;

	p->overs[party]++;
	p->over_code[party] = err->code;
}

static void on_trouble(uint32_t party, const struct snet_error *err, void *user)
{
	struct party *p = user;

	(void)party;
	p->trouble_code = err->code;
	snprintf(p->trouble, sizeof(p->trouble), "%s", err->text);
}

static const struct snet_mesh_events events = { address, on_up,   on_down, on_message,
						on_end,  on_room, on_over, on_trouble };

static void accept_one(struct net_end *e, struct snet_conn *c)
{
	snet_mesh_accept(((struct party *)e->user)->mesh, c);
}

static void bind_one(struct party *p, uint32_t i)
{
	const struct snet_transport_config cfg = { .crate_only = roster[i].plain };

	net_bind(&p->end, loop, T, "127.0.0.1:0", i, &cfg);
}

/* A process of the i-th party. */
static void start_process(struct party *p, uint32_t i, uint32_t n, const char *label,
			  size_t queue, snet_time wait)
{
	struct snet_mesh_config cfg = { .loop = loop,
					.transport = T,
					.identity = net_identity(i),
					.parties = roster,
					.n = n,
					.self = i,
					.label = label,
					.queue = queue,
					.wait = wait };
	struct snet_error err = { 0 };

	p->self = i;
	p->end.on_accept = accept_one;
	p->end.user = p;
	bind_one(p, i);
	if (snet_mesh_new(&p->mesh, &cfg, &events, p, &err))
		fail_msg("%s", err.text);
}

static void start_with(uint32_t i, uint32_t n, const char *label, size_t queue, snet_time wait)
{
	start_process(&parties[i], i, n, label, queue, wait);
}

static void start(uint32_t i, uint32_t n)
{
	start_with(i, n, "test", 0, SNET_NEVER);
}

static void stop(uint32_t i)
{
	net_unbind(&parties[i].end);
	snet_mesh_free(parties[i].mesh);
	memset(&parties[i], 0, sizeof(parties[i]));
}

static void prepare(uint32_t n)
{
	n_parties = n;
	for (uint32_t i = 0; i < MOST; i++) {
		roster[i].id = 10 + i;
		roster[i].plain = false;
		memcpy(roster[i].key, snet_identity_keyid(net_identity(i)), SNET_KEYID_BYTES);
	}
}

static int begin(void **s)
{
	(void)s;
	memset(parties, 0, sizeof(parties));
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	return 0;
}

static int end(void **s)
{
	(void)s;
	for (uint32_t i = 0; i < MOST; i++)
		if (parties[i].mesh)
			stop(i);
	snet_loop_free(loop);
	return 0;
}

static int drop_identities(void **s)
{
	(void)s;
	net_identities_free();
	return 0;
}

/* ---- what is waited for */

static bool all_up(void *user)
{
	(void)user;
	for (uint32_t i = 0; i < n_parties; i++)
		for (uint32_t k = 0; k < n_parties; k++)
			if (!parties[i].mesh || !snet_mesh_is_up(parties[i].mesh, k))
				return false;
	return true;
}

static bool all_over(void *user)
{
	(void)user;
	for (uint32_t i = 0; i < n_parties; i++)
		for (uint32_t k = 0; k < n_parties; k++)
			if (i != k && !parties[i].overs[k])
				return false;
	return true;
}

static uint64_t wanted;

static bool all_heard(void *user)
{
	(void)user;
	for (uint32_t i = 0; i < n_parties; i++)
		for (uint32_t k = 0; k < n_parties; k++)
			if (i != k && parties[i].next[k] < wanted)
				return false;
	return true;
}

static bool all_taken(void *user)
{
	struct snet_mesh_stats st;

	(void)user;
	for (uint32_t i = 0; i < n_parties; i++)
		for (uint32_t k = 0; k < n_parties; k++) {
			snet_mesh_stats(parties[i].mesh, k, &st);
			if (st.queued)
				return false;
		}
	return true;
}

static int send_number(uint32_t from, uint32_t to, uint64_t number, size_t size)
{
	static uint8_t body[1 << 16];
	struct snet_slice v = { body, size, NULL };

	memcpy(body, &number, sizeof(number));
	return snet_mesh_send(parties[from].mesh, to, 0, SNET_KIND_DATA, &v, 1);
}

static int queue_number(uint32_t from, uint32_t to, uint64_t number)
{
	struct snet_slice v = { (const uint8_t *)&number, sizeof(number), NULL };

	return snet_mesh_queue(parties[from].mesh, to, 0, SNET_KIND_DATA, &v, 1);
}

static void send_all(uint64_t number)
{
	for (uint32_t i = 0; i < n_parties; i++)
		for (uint32_t k = 0; k < n_parties; k++)
			if (i != k)
				assert_int_equal(send_number(i, k, number, 8 + number % 3000),
						 SNET_OK);
}

static void finish_all(void)
{
	for (uint32_t i = 0; i < n_parties; i++)
		snet_mesh_finish(parties[i].mesh);
	net_until(loop, all_over, NULL);
	for (uint32_t i = 0; i < n_parties; i++)
		for (uint32_t k = 0; k < n_parties; k++)
			if (i != k)
				assert_int_equal(parties[i].over_code[k], SNET_OK);
}

/* ---- the tests */

static void everybody_hears_everybody(void **s)
{
	(void)s;
	prepare(5);
	for (uint32_t i = 0; i < 5; i++)
		start(i, 5);
	for (uint64_t k = 0; k < 500; k++) /* before anybody is there */
		send_all(k);
	finish_all();
	for (uint32_t i = 0; i < 5; i++)
		for (uint32_t k = 0; k < 5; k++) {
			assert_int_equal(parties[i].next[k], i == k ? 0 : 500);
			assert_int_equal(parties[i].ends[k], i != k);
			assert_int_equal(parties[i].overs[k], i != k);
		}
}

/* Queued messages wait for the flush, or go before the next that is sent, in order. */
static void what_is_queued_goes_with_the_flush(void **s)
{
	struct snet_mesh_stats st;
	uint64_t number = 0;

	(void)s;
	prepare(3);
	for (uint32_t i = 0; i < 3; i++)
		start(i, 3);
	net_until(loop, all_up, NULL);
	for (uint64_t k = 0; k < 5000; k++, number++)
		assert_int_equal(queue_number(0, 1, number), SNET_OK);
	net_turns(loop, 200);
	assert_int_equal(parties[1].next[0], 0);
	snet_mesh_flush(parties[0].mesh);
	net_until(loop, all_taken, NULL);
	assert_int_equal(parties[1].next[0], 5000);
	assert_int_equal(queue_number(0, 1, number++), SNET_OK);
	assert_int_equal(send_number(0, 1, number++, 8), SNET_OK);
	net_until(loop, all_taken, NULL);
	assert_int_equal(parties[1].next[0], 5002);
	snet_mesh_stats(parties[0].mesh, 1, &st);
	assert_int_equal(st.sent, 5002);
	assert_int_equal(st.sent_bytes, 5002 * 8);
	assert_int_equal(queue_number(0, 1, number), SNET_OK); /* finish does not forget it */
	finish_all();
	assert_int_equal(parties[1].next[0], 5003);
}

static void the_last_may_come_late(void **s)
{
	(void)s;
	prepare(3);
	start(2, 3);
	start(0, 3);
	net_turns(loop, 200);
	start(1, 3);
	net_until(loop, all_up, NULL);
	finish_all();
}

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void cut(uint32_t i, uint32_t k)
{
	struct snet_peer *p = snet_mesh_peer(parties[i].mesh, k);
	const struct snet_conn *c = p ? snet_peer_conn(p) : NULL;

	if (c && c->open)
		c->transport->close((struct snet_conn *)c, SNET_ELOST, "cut");
}

static void lost_connections_lose_nothing(void **s)
{
	uint32_t seed = 7;
	uint64_t resent = 0;

	(void)s;
	prepare(4);
	for (uint32_t i = 0; i < 4; i++)
		start(i, 4);
	net_until(loop, all_up, NULL);
	for (uint64_t k = 0; k < 400; k++) {
		send_all(k);
		if (k % 10 == 9) {
			net_turns(loop, dice(&seed) % 8);
			cut(dice(&seed) % 4, dice(&seed) % 4);
		}
	}
	finish_all();
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t k = 0; k < 4; k++) {
			struct snet_mesh_stats st;

			snet_mesh_stats(parties[i].mesh, k, &st);
			resent += st.resent;
			assert_int_equal(parties[i].next[k], i == k ? 0 : 400);
			assert_int_equal(st.queued, 0);
		}
	assert_true(resent > 0);
}

static void a_party_may_restart(void **s)
{
	(void)s;
	prepare(3);
	for (uint32_t i = 0; i < 3; i++)
		start(i, 3);
	wanted = 1;
	send_all(0);
	net_until(loop, all_heard, NULL);
	net_until(loop, all_up, NULL);
	net_until(loop, all_taken, NULL);
	stop(1);
	/* These two are for a party that is not there: for whoever comes in its place. */
	assert_int_equal(send_number(0, 1, 0, 8), SNET_OK);
	assert_int_equal(send_number(2, 1, 0, 8), SNET_OK);
	net_turns(loop, 100);
	start(1, 3);
	parties[0].next[1] = parties[2].next[1] = 0;
	net_until(loop, all_up, NULL);
	assert_int_equal(parties[0].lost[1], 1);
	assert_int_equal(parties[0].news[1], 2);
	assert_int_equal(parties[0].downs[1], 1);
	assert_int_equal(parties[0].news[2], 1);
	assert_int_equal(parties[0].downs[2], 0);
	assert_int_equal(send_number(1, 0, 0, 8), SNET_OK);
	assert_int_equal(send_number(1, 2, 0, 8), SNET_OK);
	finish_all();
	assert_true(parties[1].next[0] >= 1 && parties[1].next[2] >= 1);
}

/* As a party does that has lost its connection, or has none yet. */
static void dial_anew(uint32_t i, uint32_t k)
{
	struct member *m = &parties[i].mesh->members[k];

	snet_link_init(&m->link, SNET_NEVER, 10 * SNET_SEC);
	m->timer.fn(&m->timer, snet_loop_now(loop));
}

static const struct snet_peer *first[2]; /* of either of two parties */

static void remember(void)
{
	for (uint32_t i = 0; i < 2; i++)
		first[i] = snet_mesh_peer(parties[i].mesh, 1 - i);
}

static bool has_moved(void *user)
{
	for (uint32_t i = 0; i < 2; i++) {
		const struct snet_peer *now = snet_mesh_peer(parties[i].mesh, 1 - i);

		if (!now || now == first[i] || !parties[i].mesh->members[1 - i].up)
			return false;
	}
	return all_up(user);
}

/* One connection in place of another, to the same process, is no news. */
static void a_second_dial_is_no_loss(void **s)
{
	(void)s;
	prepare(2);
	start(0, 2);
	start(1, 2);
	net_until(loop, all_up, NULL);
	for (uint64_t k = 0; k < 10; k++) {
		uint32_t from = parties[0].mesh->members[1].current->dialled ? 0 : 1;

		remember();
		dial_anew(from, 1 - from);
		send_all(k);
		net_until(loop, has_moved, NULL);
	}
	for (uint32_t i = 0; i < 2; i++) {
		struct snet_mesh_stats st;

		snet_mesh_stats(parties[i].mesh, 1 - i, &st);
		assert_int_equal(st.reconnects, 0);
		assert_int_equal(st.state, SNET_MESH_CONNECTED);
		assert_int_equal(parties[i].ups[1 - i], 1);
		assert_int_equal(parties[i].downs[1 - i], 0);
	}
	wanted = 10;
	net_until(loop, all_heard, NULL);
	finish_all();
}

static int begin_virtual(void **s)
{
	(void)s;
	memset(parties, 0, sizeof(parties));
	assert_int_equal(snet_loop_new_virtual(&loop), SNET_OK);
	return 0;
}

static void virtual_until(bool (*done)(void *user), void *user)
{
	while (!done(user))
		assert_true(snet_loop_turn(loop));
}

static const struct snet_peer *deaf;

static void begin_to_hear(struct snet_timer *t, snet_time now)
{
	struct member *m = t->user;

	(void)now;
	if (m->current && m->current->peer == deaf)
		snet_peer_resume(m->current->peer);
}

static bool asks(void *user)
{
	return ((struct member *)user)->probe.slot;
}

static bool is_not_set(void *user)
{
	return !((struct snet_timer *)user)->slot;
}

/* The dial of the side whose connection does not count makes it ask on the other. */
static void who_does_not_answer_for_two_seconds_is_not_lost(void **s)
{
	struct snet_timer later = { .fn = begin_to_hear };
	uint64_t ids[] = { snet_identity_derived(net_identity(0)),
			   snet_identity_derived(net_identity(1)) };
	uint32_t high = ids[0] > ids[1] ? 0 : 1, low = 1 - high;
	struct member *m;

	(void)s;
	prepare(2);
	start(0, 2);
	start(1, 2);
	virtual_until(all_up, NULL);
	m = &parties[low].mesh->members[high];
	remember();
	dial_anew(high, low);
	virtual_until(has_moved, NULL);
	remember();
	later.user = &parties[high].mesh->members[low];
	deaf = snet_mesh_peer(parties[high].mesh, low);
	snet_peer_pause(snet_mesh_peer(parties[high].mesh, low));
	dial_anew(low, high);
	virtual_until(asks, m);
	assert_int_equal(snet_timer_set(loop, &later, snet_loop_now(loop) + 2 * SNET_SEC), 0);
	virtual_until(is_not_set, &later);
	virtual_until(is_not_set, &m->probe);
	assert_ptr_equal(snet_mesh_peer(parties[low].mesh, high), first[low]);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(parties[i].ups[1 - i], 1);
		assert_int_equal(parties[i].downs[1 - i], 0);
	}
}

static void on_hello(struct snet_peer *p, void *user)
{
	(void)p;
	++*(unsigned *)user;
}

static void on_any(struct snet_peer *p, void *user)
{
	(void)p, (void)user;
}

static void on_any_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	(void)p, (void)m, (void)user;
}

static void on_any_control(struct snet_peer *p, uint8_t type, const uint8_t *body, size_t n,
			   void *user)
{
	(void)p, (void)type, (void)body, (void)n, (void)user;
}

static void on_gone(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	(void)p, (void)code, (void)why, (void)by_peer, (void)user;
}

static void on_nothing(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
}

/* One connection after the other, and on none of them a resume: that is nothing while there is
 * one, and a loss when that has been given up in favour of them. */
static void who_moves_on_and_on_is_lost(void **s)
{
	static const struct snet_peer_events ev = { on_hello,      on_any_message, on_any,
						    on_any,        on_any,         on_gone,
						    on_any_control };
	bool zero =
		snet_identity_derived(net_identity(0)) > snet_identity_derived(net_identity(1));
	uint32_t bad = zero ? 0 : 1, good = 1 - bad;
	struct snet_timer tick = { .fn = on_nothing };
	unsigned hellos = 0;

	(void)s;
	prepare(2);
	start(0, 2);
	start(1, 2);
	virtual_until(all_up, NULL);
	stays = &parties[bad];
	for (int k = 0; k < 6 && !parties[good].downs[bad]; k++) {
		const struct snet_peer_opts o = { .id = roster[bad].id,
						  .role = SNET_ROLE_SERVER,
						  .stall_timeout = SNET_NEVER };
		snet_time until = snet_loop_now(loop) + 8 * SNET_SEC;
		struct snet_error err;
		struct snet_peer *p;

		assert_int_equal(snet_peer_dial(&p, loop, parties[bad].end.e, T,
						&parties[good].end.at, roster[good].key, &o,
						&ev, &hellos, &err),
				 SNET_OK);
		while (snet_loop_now(loop) < until && !parties[good].downs[bad]) {
			snet_timer_set(loop, &tick, snet_loop_now(loop) + 10 * SNET_MS);
			snet_loop_turn(loop);
		}
		if (k < 3)
			assert_int_equal(parties[good].downs[bad], 0);
		if (k == 2)
			snet_peer_close(snet_mesh_peer(parties[bad].mesh, good), SNET_EPOLICY,
					TIE_BREAKER);
	}
	stays = NULL;
	assert_true(hellos >= 4);
	assert_int_equal(parties[good].downs[bad], 1);
	assert_int_equal(parties[good].ups[bad], 1);
}

#define SECOND 2 /* its place among parties */

static bool both_are_told(void *user)
{
	return ((struct party *)user)->trouble_code == SNET_ECONFIG &&
	       parties[SECOND].trouble_code == SNET_ECONFIG;
}

static bool is_undecided(void *user)
{
	(void)user;
	return strstr(parties[SECOND].trouble, "not known to be gone yet");
}

static bool second_is_up(void *user)
{
	return parties[SECOND].ups[((struct party *)user)->self];
}

/* One that lives keeps its place, whichever side dialled; when it has gone the second has it.
 */
static void second_process(uint32_t here, uint32_t there)
{
	bool high = snet_identity_derived(net_identity(here)) >
		    snet_identity_derived(net_identity(there));
	struct party *p = &parties[here];

	prepare(2);
	start(0, 2);
	start(1, 2);
	virtual_until(all_up, NULL);
	remember();
	dial_anew(high ? here : there, high ? there : here);
	virtual_until(has_moved, NULL);
	start_process(&parties[SECOND], there, 2, "test", 0, SNET_NEVER);
	for (uint64_t k = 0; k < 3; k++) {
		p->trouble_code = parties[SECOND].trouble_code = SNET_OK;
		virtual_until(both_are_told, p);
		assert_non_null(strstr(p->trouble, "a second process with its key"));
		assert_non_null(
			strstr(parties[SECOND].trouble, "another process with your key"));
		send_all(k);
	}
	wanted = 3;
	virtual_until(all_heard, NULL);
	virtual_until(all_taken, NULL); /* or it would be said to the second */
	/* It is busy: that is no reason to think it gone, and the second may come again. */
	snet_peer_pause(snet_mesh_peer(parties[there].mesh, here));
	virtual_until(is_undecided, NULL);
	snet_peer_resume(snet_mesh_peer(parties[there].mesh, here));
	assert_int_equal(p->downs[there], 0);
	assert_int_equal(parties[there].downs[here], 0);
	assert_int_equal(parties[SECOND].ups[here], 0);
	stop(there);
	virtual_until(second_is_up, p);
	assert_int_equal(p->downs[there], 1);
	assert_int_equal(p->news[there], 2);
	stop(here);
	stop(SECOND);
}

static void a_second_process_of_a_party_is_turned_away(void **s)
{
	(void)s;
	second_process(0, 1);
	second_process(1, 0);
}

static bool is_over_1(void *user)
{
	return ((struct party *)user)->overs[1];
}

static bool has_trouble(void *user)
{
	return ((struct party *)user)->trouble_code == SNET_ECONFIG;
}

static void who_disagrees_is_told_about_what(void **s)
{
	(void)s;
	prepare(2);
	start_with(0, 2, "monday", 0, 3 * SNET_SEC);
	start_with(1, 2, "tuesday", 0, 6 * SNET_SEC);
	net_until(loop, has_trouble, &parties[0]);
	net_until(loop, has_trouble, &parties[1]);
	for (uint32_t i = 0; i < 2; i++) {
		assert_non_null(strstr(parties[i].trouble, "monday"));
		assert_non_null(strstr(parties[i].trouble, "tuesday"));
		assert_int_equal(parties[i].ups[1 - i], 0);
	}
	/* It is not taken for a party that comes and goes. */
	net_until(loop, is_over_1, &parties[0]);
	assert_int_equal(parties[0].over_code[1], SNET_ECONFIG);
}

/* Its key is right, so that it may be told of us before it has said who it is. */
static void who_is_not_whom_it_says_is_dialled_less_and_less(void **s)
{
	(void)s;
	prepare(2);
	start(0, 2);
	roster[0].id += 50;
	start(1, 2);
	assert_int_equal(send_number(0, 1, 0, 8), SNET_OK);
	assert_int_equal(send_number(1, 0, 0, 8), SNET_OK);
	net_until(loop, has_trouble, &parties[1]);
	net_pass(loop, 2 * SNET_SEC);
	assert_in_range(parties[1].attempts, 1, 15);
	assert_int_equal(parties[1].ups[0], 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(parties[i].next[1 - i], 0);
}

static bool is_full(void *user)
{
	return ((struct party *)user)->rooms[1];
}

static void a_slow_party_fills_its_queue_only(void **s)
{
	uint64_t k = 0, m = 0;

	(void)s;
	prepare(3);
	for (uint32_t i = 0; i < 3; i++)
		start_with(i, 3, "test", 1 << 20, SNET_NEVER);
	net_until(loop, all_up, NULL);
	snet_mesh_pause(parties[1].mesh, true);
	while (!send_number(0, 1, k, 50000))
		k++;
	assert_true(k * 50000 >= 1 << 20);
	assert_true(k * 50000 < (1 << 20) + 100000);
	assert_true(snet_mesh_is_full(parties[0].mesh, 1));
	for (; m < 100; m++) {
		while (send_number(0, 2, m, 50000) == SNET_EAGAIN)
			net_turns(loop, 1);
	}
	assert_int_equal(parties[0].rooms[1], 0);
	snet_mesh_pause(parties[1].mesh, false);
	net_until(loop, is_full, &parties[0]);
	finish_all();
	assert_true(parties[1].next[0] == k);
	assert_true(parties[2].next[0] == m);
}

static void who_does_not_come_is_given_up(void **s)
{
	(void)s;
	prepare(3);
	start_with(0, 3, "test", 0, 2 * SNET_SEC);
	start_with(2, 3, "test", 0, 2 * SNET_SEC);
	net_until(loop, is_over_1, &parties[0]);
	assert_int_equal(parties[0].over_code[1], SNET_EUNREACH);
	assert_true(snet_mesh_is_up(parties[0].mesh, 2));
	assert_int_equal(send_number(0, 1, 0, 8), SNET_ECLOSED);
	assert_int_equal(send_number(0, 2, 0, 8), SNET_OK);
	assert_int_equal(send_number(0, 0, 0, 8), SNET_EINVAL);
	assert_int_equal(send_number(0, 3, 0, 8), SNET_EINVAL);
}

/* Kinds, streams and sizes that cannot cross are refused alike, sent or queued, whatever the
 * party speaks, and whether or not its queue has room. */
static void what_has_no_form_is_not_accepted(void **s)
{
	static uint8_t much[64 << 10];
	static const struct {
		unsigned stream;
		uint8_t kind;
		int rc, plain_rc;
	} cases[] = {
		{ 0, SNET_KIND_DATA, SNET_OK, SNET_OK },
		{ 15, SNET_RECORD_RECOVERY, SNET_OK, SNET_EINVAL },
		{ 16, SNET_KIND_DATA, SNET_EINVAL, SNET_EINVAL },
		{ 0, SNET_RECORD_RESUME, SNET_EINVAL, SNET_EINVAL },
		{ 0, SNET_RECORD_BYE, SNET_EINVAL, SNET_EINVAL },
		{ 0, SNET_RECORD_ACK, SNET_EINVAL, SNET_EINVAL },
		{ 0, 0, SNET_EINVAL, SNET_EINVAL },
		{ 0, 200, SNET_EINVAL, SNET_EINVAL },
		{ 0, SNET_KIND_DATA | SNET_RECORD_ZSTD, SNET_EINVAL, SNET_EINVAL },
	};
	struct snet_slice v = { much, 8, NULL },
			  large[2] = { { much, 1, NULL }, { much, SNET_MESSAGE_MAX, NULL } };
	struct snet_mesh *m;

	(void)s;
	prepare(3);
	roster[2].plain = true;
	start_with(0, 3, "test", sizeof(much), SNET_NEVER);
	m = parties[0].mesh;
	for (int full = 0; full < 2; full++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
			for (uint32_t to = 1; to < 3; to++) {
				int want = to == 2 ? cases[i].plain_rc : cases[i].rc;

				want = full && !want ? SNET_EAGAIN : want;
				assert_int_equal(snet_mesh_send(m, to, cases[i].stream,
								cases[i].kind, &v, 1),
						 want);
				assert_int_equal(snet_mesh_queue(m, to, cases[i].stream,
								 cases[i].kind, &v, 1),
						 want);
			}
		for (uint32_t to = 1; to < 3; to++) {
			assert_int_equal(snet_mesh_send(m, to, 0, SNET_KIND_DATA, large, 2),
					 SNET_ETOOBIG);
			assert_int_equal(snet_mesh_queue(m, to, 0, SNET_KIND_DATA, large, 2),
					 SNET_ETOOBIG);
		}
		assert_int_equal(snet_mesh_queue(m, 0, 0, SNET_KIND_DATA, &v, 1), SNET_EINVAL);
		assert_int_equal(snet_mesh_queue(m, 3, 0, SNET_KIND_DATA, &v, 1), SNET_EINVAL);
		for (uint32_t to = 1; to < 3; to++) {
			struct snet_slice fill = { much, sizeof(much), NULL };

			snet_mesh_queue(m, to, 0, SNET_KIND_DATA, &fill, 1);
		}
	}
	snet_mesh_finish(m);
	assert_int_equal(snet_mesh_queue(m, 1, 0, SNET_KIND_DATA, &v, 1), SNET_ECLOSED);
	assert_int_equal(snet_mesh_send(m, 2, 0, SNET_KIND_DATA, &v, 1), SNET_ECLOSED);
}

/* ---- a connection that takes more, and has no memory for it */

static struct snet_transport poor; /* as the other, while poor_for is 0 */
static unsigned poor_for;

static int poor_send(struct snet_conn *c, unsigned stream, const struct snet_slice *v, size_t n)
{
	if (!poor_for)
		return T->send(c, stream, v, n);
	poor_for--;
	return SNET_ENOMEM;
}

static void make_poor(uint32_t i, uint32_t k)
{
	struct snet_conn *c =
		(struct snet_conn *)snet_peer_conn(snet_mesh_peer(parties[i].mesh, k));

	poor = *T;
	poor.send = poor_send;
	c->transport = &poor;
}

static bool heard_0_and_1(void *user)
{
	return ((struct party *)user)->next[0] == 2;
}

/* No drain follows, so nothing else would bring it out. */
static void what_finds_no_memory_is_sent_later(void **s)
{
	(void)s;
	for (int plain = 0; plain < 2; plain++) {
		prepare(2);
		roster[0].plain = roster[1].plain = plain;
		start(0, 2);
		start(1, 2);
		net_until(loop, all_up, NULL);
		if (plain) /* our dial of it has to settle */
			net_pass(loop, 3 * SNET_SEC);
		make_poor(0, 1);
		poor_for = 3;
		assert_int_equal(send_number(0, 1, 0, 8), SNET_OK);
		assert_int_equal(send_number(0, 1, 1, 8), SNET_OK);
		net_until(loop, heard_0_and_1, &parties[1]);
		assert_int_equal(poor_for, 0);
		assert_int_equal(parties[0].downs[1], 0);
		stop(0);
		stop(1);
	}
}

/* It may go while the retry is due. */
static void a_retry_does_not_outlive_its_mesh(void **s)
{
	(void)s;
	prepare(2);
	start(0, 2);
	start(1, 2);
	net_until(loop, all_up, NULL);
	make_poor(0, 1);
	poor_for = UINT32_MAX;
	assert_int_equal(send_number(0, 1, 0, 8), SNET_OK);
	stop(0);
	net_pass(loop, 100 * SNET_MS);
}

static void a_stranger_is_turned_away(void **s)
{
	struct net_end stranger = { 0 };
	struct net_conn c = { 0 };

	(void)s;
	prepare(2);
	start(0, 2);
	net_bind(&stranger, loop, T, "127.0.0.1:0", 5, NULL);
	net_dial(&c, &stranger, &parties[0].end.at, NULL);
	while (!c.closes)
		net_turns(loop, 1);
	assert_int_equal(c.code, SNET_EDENIED);
	net_unbind(&stranger);
	net_conn_fini(&c);
}

static void a_configuration_that_cannot_be(void **s)
{
	struct snet_mesh_config cfg = { .parties = roster, .n = 0 };
	struct snet_mesh *m;
	struct snet_error err;

	(void)s;
	prepare(2);
	assert_int_equal(snet_mesh_new(&m, &cfg, &events, NULL, &err), SNET_EINVAL);
	cfg.n = 2;
	cfg.self = 2;
	assert_int_equal(snet_mesh_new(&m, &cfg, &events, NULL, &err), SNET_EINVAL);
	cfg.self = 0;
	memcpy(roster[1].key, roster[0].key, sizeof(roster[0].key));
	assert_int_equal(snet_mesh_new(&m, &cfg, &events, NULL, &err), SNET_EINVAL);
	assert_non_null(strstr(err.text, "10"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everybody_hears_everybody),
		TEST(what_is_queued_goes_with_the_flush),
		TEST(the_last_may_come_late),
		TEST(lost_connections_lose_nothing),
		TEST(a_party_may_restart),
		TEST(a_second_dial_is_no_loss),
		cmocka_unit_test_setup_teardown(who_does_not_answer_for_two_seconds_is_not_lost,
						begin_virtual, end),
		cmocka_unit_test_setup_teardown(a_second_process_of_a_party_is_turned_away,
						begin_virtual, end),
		cmocka_unit_test_setup_teardown(who_moves_on_and_on_is_lost, begin_virtual,
						end),
		TEST(who_disagrees_is_told_about_what),
		TEST(who_is_not_whom_it_says_is_dialled_less_and_less),
		TEST(a_slow_party_fills_its_queue_only),
		TEST(who_does_not_come_is_given_up),
		TEST(what_has_no_form_is_not_accepted),
		TEST(what_finds_no_memory_is_sent_later),
		TEST(a_retry_does_not_outlive_its_mesh),
		TEST(a_stranger_is_turned_away),
		TEST(a_configuration_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, drop_identities);
}
