/* nat/behaviour, with nat/stun and nat/stund, through NATs that are simulated: virtual time,
 * and loss from a seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat/behaviour.h"
#include "nat/stund.h"

#define DELAY (10 * SNET_MS) /* each way */
#define FLIGHTS 256
#define BINDINGS 64
#define PEERS 16 /* of a binding that it has sent to */

/* ---- the world */

struct nat {
	bool none; /* hosts are public: what follows but filtering means nothing */
	enum snet_nat_dependence mapping, filtering;
	bool preserves, hairpins;
	snet_time lifetime; /* 0: for ever */
	unsigned loss;      /* of 100 datagrams */
};

struct binding {
	struct snet_addr in, out, key, peers[PEERS];
	unsigned peers_n;
	snet_time used;
};

struct flight {
	snet_time at;
	struct snet_addr from, to;
	uint8_t p[512];
	size_t n;
};

struct site { /* a server: of one address, of four, or silent */
	struct snet_stund d;
	bool silent, no_port; /* no_port: takes RESPONSE-PORT for something to ignore */
	bool half;            /* its other address is nowhere */
};

static struct {
	snet_time now;
	uint64_t seed;
	struct nat nat;
	struct binding bindings[BINDINGS];
	unsigned bindings_n;
	struct flight flights[FLIGHTS];
	unsigned flights_n;
	struct site sites[4];
	unsigned sites_n;
	uint16_t next_port;
	struct snet_behaviour b;
	struct snet_stun stun;
	snet_time decided; /* when it first was */
} w;

static struct snet_addr addr(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static uint64_t draw(void)
{
	w.seed ^= w.seed << 13;
	w.seed ^= w.seed >> 7;
	w.seed ^= w.seed << 17;
	return w.seed;
}

static bool same_ip(struct snet_addr a, struct snet_addr b)
{
	snet_addr_set_port(&a, 0);
	snet_addr_set_port(&b, 0);
	return snet_addr_eq(&a, &b);
}

static bool agree(enum snet_nat_dependence d, const struct snet_addr *a,
		  const struct snet_addr *b)
{
	return d == SNET_NAT_ENDPOINT_INDEPENDENT ||
	       (d == SNET_NAT_ADDRESS_DEPENDENT ? same_ip(*a, *b) : snet_addr_eq(a, b));
}

static bool is_alive(const struct binding *b)
{
	return !w.nat.lifetime || w.now < b->used + w.nat.lifetime;
}

static struct binding *bind_out(const struct snet_addr *in, const struct snet_addr *to)
{
	struct binding *b;

	for (unsigned i = 0; i < w.bindings_n; i++) {
		b = &w.bindings[i];
		if (is_alive(b) && snet_addr_eq(&b->in, in) &&
		    agree(w.nat.mapping, &b->key, to))
			return b;
	}
	assert_true(w.bindings_n < BINDINGS);
	b = &w.bindings[w.bindings_n++];
	*b = (struct binding){ .in = *in, .key = *to, .out = addr("203.0.113.9:1") };
	snet_addr_set_port(&b->out, w.nat.preserves ? snet_addr_port(in) : w.next_port++);
	if (w.nat.none)
		b->out = *in;
	return b;
}

static void fly(const struct snet_addr *from, const struct snet_addr *to, const uint8_t *p,
		size_t n)
{
	struct flight *f = &w.flights[w.flights_n++];

	assert_true(w.flights_n <= FLIGHTS && n <= sizeof(f->p));
	*f = (struct flight){ .at = w.now + DELAY, .from = *from, .to = *to, .n = n };
	memcpy(f->p, p, n);
}

static struct snet_addr host_end(unsigned socket)
{
	struct snet_addr a = w.nat.none ? addr("203.0.113.9:1") : addr("192.168.0.2:1");

	snet_addr_set_port(&a, (uint16_t)(5000 + socket));
	return a;
}

static void host_sends(unsigned socket, const struct snet_addr *to, const uint8_t *p, size_t n)
{
	struct snet_addr in = host_end(socket);
	struct binding *b = bind_out(&in, to);

	b->used = w.now;
	assert_true(b->peers_n < PEERS);
	if (!b->peers_n || !snet_addr_eq(&b->peers[b->peers_n - 1], to))
		b->peers[b->peers_n++] = *to;
	if (draw() % 100 >= w.nat.loss)
		fly(&b->out, to, p, n);
}

/* To the outside of the NAT: to the host, if it lets it in. */
static void arrive_inside(const struct flight *f)
{
	for (unsigned i = 0; i < w.bindings_n; i++) {
		const struct binding *b = &w.bindings[i];
		struct snet_stun_answer a;
		bool allowed = w.nat.filtering == SNET_NAT_ENDPOINT_INDEPENDENT;

		if (!is_alive(b) || !snet_addr_eq(&b->out, &f->to))
			continue;
		for (unsigned j = 0; j < b->peers_n; j++)
			allowed = allowed || agree(w.nat.filtering, &b->peers[j], &f->from);
		if (same_ip(f->from, f->to))
			allowed = w.nat.hairpins;
		if (allowed && !snet_stun_take(&w.stun, snet_addr_port(&b->in) - 5000u,
					       &f->from, f->p, f->n, w.now, &a))
			snet_behaviour_answer(&w.b, &a, w.now);
		return;
	}
}

static void arrive(const struct flight *f)
{
	for (unsigned i = 0; i < w.sites_n; i++) {
		struct site *s = &w.sites[i];

		for (unsigned j = 0; j < s->d.n; j++) {
			struct snet_stund_answer a;

			if (!snet_addr_eq(&s->d.at[j], &f->to))
				continue;
			if (s->silent || (s->half && j > 1) ||
			    !snet_stund_take(&s->d, j, &f->from, f->p, f->n, &a))
				return;
			if (draw() % 100 >= w.nat.loss && !(s->half && a.via > 1))
				fly(&s->d.at[a.via], s->no_port ? &f->from : &a.to, a.p, a.n);
			return;
		}
	}
	arrive_inside(f);
}

/* ---- what an owner does (nat/probe) */

static void ask_and_send(void)
{
	const struct snet_stun_ask *due;
	struct snet_stun_ask ask;
	struct snet_stun_answer a;
	uint8_t b[SNET_STUN_ASK_MAX], id[SNET_STUN_ID] = { 0 };
	size_t n;

	while (snet_behaviour_next(&w.b, w.now, &ask)) {
		uint64_t r = draw();

		memcpy(id, &r, sizeof(r));
		assert_int_equal(snet_stun_ask(&w.stun, &ask, id, w.now), SNET_OK);
	}
	while ((n = snet_stun_send(&w.stun, w.now, b, &due)))
		host_sends(due->via, &due->to, b, n);
	while (snet_stun_over(&w.stun, w.now, &a))
		snet_behaviour_answer(&w.b, &a, w.now);
}

static bool is_over(void)
{
	if (w.decided == SNET_NEVER && snet_behaviour_is_decided(&w.b))
		w.decided = w.now;
	return snet_behaviour_is_over(&w.b);
}

static snet_time next_time(void)
{
	snet_time a = snet_behaviour_deadline(&w.b), b = snet_stun_deadline(&w.stun), t;

	t = a < b ? a : b;
	for (unsigned i = 0; i < w.flights_n; i++)
		t = w.flights[i].at < t ? w.flights[i].at : t;
	return t;
}

static void land(void)
{
	for (unsigned i = 0; i < w.flights_n;) {
		struct flight f = w.flights[i];

		if (f.at > w.now) {
			i++;
			continue;
		}
		w.flights[i] = w.flights[--w.flights_n];
		arrive(&f);
	}
}

static struct snet_nat run(const struct nat *nat, const struct snet_behaviour_opts *o)
{
	struct snet_addr servers[4], local;
	struct snet_nat v;

	w.nat = *nat;
	w.now = 0;
	w.decided = SNET_NEVER;
	w.bindings_n = w.flights_n = 0;
	w.next_port = 30000;
	for (unsigned i = 0; i < w.sites_n; i++)
		servers[i] = w.sites[i].d.at[0];
	local = host_end(0);
	snet_stun_init(&w.stun, NULL);
	snet_behaviour_init(&w.b, o, &local, servers, w.sites_n, 0);
	for (;;) {
		ask_and_send();
		if (is_over())
			break;
		w.now = next_time();
		assert_true(w.now != SNET_NEVER); /* it always comes to an end */
		land();
		if (is_over())
			break;
	}
	snet_behaviour_verdict(&w.b, &v);
	return v;
}

/* ---- servers */

static void site_of_four(void)
{
	w.sites[w.sites_n++].d = (struct snet_stund){
		.at = { addr("198.51.100.1:3478"), addr("198.51.100.1:3479"),
			addr("198.51.100.2:3478"), addr("198.51.100.2:3479") },
		.n = 4,
	};
}

static void site_of_one(const char *at)
{
	w.sites[w.sites_n++].d = (struct snet_stund){ .at = { addr(at) }, .n = 1 };
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.seed = 88172645463325252;
	return 0;
}

/* ---- tests */

#define EI SNET_NAT_ENDPOINT_INDEPENDENT
#define AD SNET_NAT_ADDRESS_DEPENDENT
#define APD SNET_NAT_ADDRESS_AND_PORT_DEPENDENT

static const struct {
	struct nat nat;
	enum snet_nat_kind kind;
} nats[] = {
	{ { .none = true, .mapping = EI, .filtering = EI }, SNET_NAT_OPEN },
	{ { .none = true, .mapping = EI, .filtering = APD }, SNET_NAT_FIREWALL },
	{ { .mapping = EI, .filtering = EI }, SNET_NAT_FULL_CONE },
	{ { .mapping = EI, .filtering = EI, .preserves = true, .hairpins = true },
	  SNET_NAT_FULL_CONE },
	{ { .mapping = EI, .filtering = AD }, SNET_NAT_ADDRESS_RESTRICTED },
	{ { .mapping = EI, .filtering = APD, .hairpins = true }, SNET_NAT_PORT_RESTRICTED },
	{ { .mapping = AD, .filtering = AD }, SNET_NAT_SYMMETRIC },
	{ { .mapping = APD, .filtering = APD }, SNET_NAT_SYMMETRIC },
	{ { .mapping = APD, .filtering = EI }, SNET_NAT_SYMMETRIC },
};

static void assert_verdict(const struct snet_nat *v, size_t i, const struct nat *nat)
{
	if (v->kind != nats[i].kind || v->mapping != nat->mapping ||
	    v->filtering != nat->filtering)
		fail_msg("NAT %zu: %s, mapping %s, filtering %s", i,
			 snet_nat_kind_name(v->kind), snet_nat_dependence_name(v->mapping),
			 snet_nat_dependence_name(v->filtering));
	assert_int_equal(v->natted, nat->none ? SNET_NO : SNET_YES);
	assert_int_equal(v->port_preserved, nat->none || nat->preserves ? SNET_YES : SNET_NO);
	if (!nat->none)
		assert_int_equal(v->hairpin, nat->hairpins ? SNET_YES : SNET_NO);
}

static void every_nat_is_known_by_one_server_of_rfc_5780(void **state)
{
	const struct snet_behaviour_opts o = { .thorough = true };

	for (size_t i = 0; i < sizeof(nats) / sizeof(nats[0]); i++) {
		struct snet_nat v;

		setup(state);
		site_of_four();
		v = run(&nats[i].nat, &o);
		assert_verdict(&v, i, &nats[i].nat);
		assert_true(w.decided < 5 * SNET_SEC);
	}
}

/* Loss can hide what answers, never show what does not: with so many requests, hardly. */
static void a_network_that_loses_changes_no_verdict(void **state)
{
	const struct snet_behaviour_opts o = { .thorough = true };
	unsigned wrong = 0, all = 0;

	for (uint64_t seed = 1; seed <= 100; seed++)
		for (size_t i = 0; i < sizeof(nats) / sizeof(nats[0]); i++, all++) {
			struct nat nat = nats[i].nat;
			struct snet_nat v;

			setup(state);
			w.seed = seed * 7919;
			nat.loss = 5;
			site_of_four();
			v = run(&nat, &o);
			wrong += v.kind != nats[i].kind;
		}
	assert_true(wrong * 200 < all);
}

static void mapping_is_compared_where_servers_offer_nothing(void **state)
{
	const struct snet_behaviour_opts o = { 0 };
	const struct nat ei = { .mapping = EI, .filtering = APD },
			 apd = { .mapping = APD, .filtering = APD },
			 ad = { .mapping = AD, .filtering = AD };
	struct snet_nat v;

	(void)state;
	site_of_one("198.51.100.1:3478");
	v = run(&ei, &o);
	assert_int_equal(v.mapping, SNET_NAT_UNKNOWN); /* one alone knows nothing */
	assert_int_equal(v.kind, SNET_NAT_KIND_UNKNOWN);
	site_of_one("198.51.100.1:3479");
	v = run(&ei, &o);
	assert_int_equal(v.mapping, SNET_NAT_UNKNOWN); /* nor do two ports that agree */
	v = run(&apd, &o);
	assert_int_equal(v.mapping, APD); /* but two that do not */
	site_of_one("198.51.100.7:3478");
	v = run(&ei, &o);
	assert_int_equal(v.mapping, EI);
	assert_int_equal(v.kind, SNET_NAT_CONE);
	v = run(&ad, &o);
	assert_int_equal(v.mapping, SNET_NAT_DEPENDENT);
	assert_int_equal(v.kind, SNET_NAT_SYMMETRIC);
}

static void nobody_waits_for_a_server_that_is_silent(void **state)
{
	const struct snet_behaviour_opts o = { .thorough = true };
	struct snet_nat v;

	(void)state;
	site_of_one("198.51.100.9:3478");
	w.sites[0].silent = true;
	site_of_four();
	v = run(&nats[2].nat, &o);
	assert_verdict(&v, 2, &nats[2].nat);
	assert_int_equal(v.servers, 2);
	assert_int_equal(v.answered, 1);
	assert_true(w.decided < 2 * SNET_SEC); /* what hairpinning takes to come to nothing */
	assert_true(w.now > 39 * SNET_SEC);
}

static void a_network_without_udp_is_blocked(void **state)
{
	const struct snet_behaviour_opts o = { .thorough = true,
					       .lifetime = 60 * SNET_SEC,
					       .pace = { .most = 3 * SNET_SEC } };
	struct snet_nat v;

	(void)state;
	site_of_four();
	w.sites[0].silent = true;
	v = run(&nats[2].nat, &o);
	assert_int_equal(v.kind, SNET_NAT_BLOCKED);
	assert_true(w.now == 3 * SNET_SEC);
}

/* Then filtering cannot be told any more: the NAT lets in whom we have sent to. */
static void a_server_whose_other_address_is_asked_too_tells_nothing_of_filtering(void **state)
{
	const struct snet_behaviour_opts o = { .thorough = true };
	struct snet_nat v;

	(void)state;
	site_of_four();
	site_of_one("198.51.100.2:9999");
	v = run(&nats[4].nat, &o);
	assert_int_equal(v.filtering, SNET_NAT_UNKNOWN);
	assert_int_equal(v.mapping, EI);
	assert_int_equal(v.kind, SNET_NAT_CONE);
}

static void a_server_whose_other_address_is_nowhere_tells_nothing_of_filtering(void **state)
{
	const struct snet_behaviour_opts o = { .thorough = true };
	struct snet_nat v;

	(void)state;
	site_of_four();
	w.sites[0].half = true;
	v = run(&nats[2].nat, &o);
	assert_int_equal(v.filtering, SNET_NAT_UNKNOWN);
	assert_int_equal(v.mapping, SNET_NAT_UNKNOWN);
	site_of_one("198.51.100.7:3478");
	v = run(&nats[2].nat, &o);
	assert_int_equal(v.mapping, EI);
	assert_int_equal(v.kind, SNET_NAT_CONE);
}

static void the_lifetime_of_a_binding_is_found(void **state)
{
	static const unsigned seconds[] = { 0, 3, 25, 30, 59 };
	const struct snet_behaviour_opts o = { .lifetime = 60 * SNET_SEC };

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		snet_time life = seconds[i] * SNET_SEC;
		struct nat nat = { .mapping = EI, .filtering = APD, .lifetime = life };
		struct snet_nat v;

		setup(state);
		site_of_four();
		v = run(&nat, &o);
		assert_true(w.decided < SNET_SEC); /* what does not depend on it */
		if (!life) {
			assert_true(v.lived == 60 * SNET_SEC && !v.gone);
		} else {
			assert_true(v.lived < life && life <= v.gone);
			assert_true(v.gone - v.lived == 5 * SNET_SEC);
		}
		assert_true(w.now < 70 * SNET_SEC); /* bounded */
	}
}

static void without_response_port_a_new_mapping_tells_the_lifetime(void **state)
{
	const struct snet_behaviour_opts o = { .lifetime = 60 * SNET_SEC };
	struct nat nat = { .mapping = EI, .filtering = APD, .lifetime = 22 * SNET_SEC };
	struct snet_nat v;

	(void)state;
	site_of_one("198.51.100.1:3478");
	w.sites[0].no_port = true;
	v = run(&nat, &o);
	assert_true(v.lived == 20 * SNET_SEC && v.gone == 25 * SNET_SEC);
	nat.preserves = true; /* then it cannot be told, and is not */
	v = run(&nat, &o);
	assert_true(!v.lived && !v.gone);
}

static void an_answer_to_no_question_changes_nothing(void **state)
{
	const struct snet_behaviour_opts o = { 0 };
	struct snet_stun_answer a = { .tag = 3 };
	struct snet_addr local = addr("192.168.0.2:5000"), to = addr("198.51.100.1:3478");
	struct snet_nat v;

	(void)state;
	snet_behaviour_init(&w.b, &o, &local, &to, 1, 0);
	snet_behaviour_answer(&w.b, &a, 1);
	a.tag = SNET_BEHAVIOUR_TAGS + 7;
	snet_behaviour_answer(&w.b, &a, 1);
	snet_behaviour_verdict(&w.b, &v);
	assert_int_equal(v.answered, 0);
	assert_int_equal(v.kind, SNET_NAT_KIND_UNKNOWN);
	assert_false(snet_behaviour_is_over(&w.b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_nat_is_known_by_one_server_of_rfc_5780, setup),
		cmocka_unit_test_setup(a_network_that_loses_changes_no_verdict, setup),
		cmocka_unit_test_setup(mapping_is_compared_where_servers_offer_nothing, setup),
		cmocka_unit_test_setup(nobody_waits_for_a_server_that_is_silent, setup),
		cmocka_unit_test_setup(a_network_without_udp_is_blocked, setup),
		cmocka_unit_test_setup(
			a_server_whose_other_address_is_asked_too_tells_nothing_of_filtering,
			setup),
		cmocka_unit_test_setup(
			a_server_whose_other_address_is_nowhere_tells_nothing_of_filtering,
			setup),
		cmocka_unit_test_setup(the_lifetime_of_a_binding_is_found, setup),
		cmocka_unit_test_setup(without_response_port_a_new_mapping_tells_the_lifetime,
				       setup),
		cmocka_unit_test_setup(an_answer_to_no_question_changes_nothing, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
