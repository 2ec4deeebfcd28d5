/* A manager and a party that speaks the crate's profile, as far as the agreement goes: on their
 * connection comes one digest each way, then what the programs have to say. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/allow.h"
#include "crypto/identity.h"
#include "ffi/parties.h"
#include "ffi/stoffelnet.h"
#include "io/loop.h"
#include "mesh/ordering.h"
#include "mesh/peer.h"

struct crate_party {
	struct snet_loop *loop;
	struct snet_identity *id;
	struct snet_trust *trust;
	struct snet_endpoint *endpoint;
	struct snet_ordering ordering;
	struct snet_addr to;
	struct snet_peer *peer;
	unsigned heard;
	bool agreed, refused;
	bool silent; /* says nothing until it is told to */
	int told[2]; /* a pipe: a byte for each digest heard */
};

static void do_what_is_wanted(struct crate_party *c, struct snet_peer *p)
{
	struct snet_slice hello = { (const uint8_t *)"hello", 5, NULL };
	struct snet_ordering_want w = { .verb = SNET_ORDERING_SEND };

	while (w.verb == SNET_ORDERING_SEND && !c->silent) {
		assert_int_equal(snet_ordering_next(&c->ordering, snet_loop_now(c->loop), &w),
				 0);
		if (w.verb == SNET_ORDERING_SEND) {
			struct snet_slice digest = { w.p, w.n, NULL };

			assert_int_equal(snet_peer_send(p, 0, 0, &digest, 1), 0);
		}
	}
	c->refused = c->refused || w.verb == SNET_ORDERING_REFUSE;
	if (w.verb != SNET_ORDERING_AGREE)
		return;
	c->agreed = true;
	assert_int_equal(snet_peer_send(p, 0, 0, &hello, 1), 0);
}

static void crate_up(struct snet_peer *p, void *user)
{
	struct crate_party *c = user;
	const struct snet_conn *conn = snet_peer_conn(p);
	struct snet_slice key = { conn->peer_spki, conn->peer_spki_len, NULL };

	assert_int_equal(conn->profile, SNET_PROFILE_STOFFELNET_0_1);
	assert_int_equal(
		snet_ordering_party_up(&c->ordering, 0, &key, true, snet_loop_now(c->loop)), 0);
	do_what_is_wanted(c, p);
}

static void crate_hears(struct snet_peer *p, const struct snet_message *m, void *user)
{
	struct crate_party *c = user;
	int rc = snet_ordering_input(&c->ordering, 0, m->p, m->n, snet_loop_now(c->loop));

	/* First the digest, and no second one. */
	assert_int_equal(rc, c->heard++ ? SNET_EAGAIN : SNET_OK);
	if (rc) {
		assert_memory_equal(m->p, "to the crate", 12);
		return;
	}
	assert_int_equal(write(c->told[1], "", 1), 1);
	do_what_is_wanted(c, p);
}

static void nothing(struct snet_peer *p, void *user)
{
	(void)p, (void)user;
}

static void crate_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct crate_party *c = user;

	(void)p, (void)code, (void)why, (void)by_peer;
	snet_loop_stop(c->loop);
}

static void *run_crate(void *arg)
{
	static const struct snet_peer_events events = { .on_up = crate_up,
							.on_message = crate_hears,
							.on_eof = nothing,
							.on_drain = nothing,
							.on_flushed = nothing,
							.on_down = crate_down };
	static const struct snet_endpoint_events dials_only = { 0 };
	struct crate_party *c = arg;
	struct snet_transport_config cfg = { .crate_only = true };
	struct snet_ordering_opts opts = { .parties = 2,
					   .clients = 0,
					   .self = SNET_ORDERING_ANY };
	struct snet_peer_opts peer_opts = { .role = SNET_ROLE_SERVER };
	struct snet_addr any;
	struct snet_slice own;

	assert_int_equal(snet_identity_new(&c->id, SNET_KEY_P256, NULL, NULL), 0);
	assert_int_equal(snet_trust_new(&c->trust, NULL), 0);
	snet_trust_set_insecure(c->trust);
	own = (struct snet_slice){ 0 };
	own.p = snet_identity_spki(c->id, &own.n);
	assert_int_equal(snet_ordering_init(&c->ordering, &opts, &own, snet_loop_now(c->loop)),
			 0);
	cfg.identity = c->id;
	cfg.handshake_timeout = 60 * SNET_SEC; /* it dials once, on slow machines, too */
	cfg.trust = c->trust;
	assert_int_equal(snet_addr_parse(&any, "127.0.0.1:0"), 0);
	assert_int_equal(snet_transport_quic.bind(&c->endpoint, c->loop, &any, -1, &cfg,
						  &dials_only, c, NULL),
			 0);
	assert_int_equal(snet_peer_dial(&c->peer, c->loop, c->endpoint, &snet_transport_quic,
					&c->to, NULL, &peer_opts, &events, c, NULL),
			 0);
	snet_loop_run(c->loop);
	snet_transport_quic.unbind(c->endpoint);
	snet_ordering_fini(&c->ordering);
	snet_trust_free(c->trust);
	snet_identity_free(c->id);
	return NULL;
}

static void begin(struct crate_party *c, void *m, pthread_t *t)
{
	char at[32];

	snprintf(at, sizeof(at), "127.0.0.1:%u", stoffelnet_manager_port(m));
	assert_int_equal(snet_addr_parse(&c->to, at), 0);
	ok(stoffelnet_manager_set_consensus_timeout(m, 120000));
	assert_int_equal(pipe(c->told), 0);
	assert_int_equal(snet_loop_new(&c->loop), 0);
	assert_int_equal(pthread_create(t, NULL, run_crate, c), 0);
}

/* They agree, and hear what the other says, and nothing else. */
static void finish(struct crate_party *c, void *m, pthread_t t)
{
	void *o = stoffelnet_manager_wait_verified_ordering(m);
	uint64_t who;
	uint8_t *p;
	size_t n;

	if (!o)
		fail_msg("%s", stoffelnet_last_error());
	assert_int_equal(stoffelnet_ordering_node_count(o), 2);
	stoffelnet_ordering_destroy(o);
	ok(stoffelnet_manager_receive_from_any_party(m, -1, &who, &p, &n));
	assert_int_equal(n, 5);
	assert_memory_equal(p, "hello", 5);
	stoffelnet_free_bytes(p, n);
	ok(stoffelnet_manager_send(m, who, (const uint8_t *)"to the crate", 12));
	stoffelnet_manager_destroy(m);
	pthread_join(t, NULL);
	assert_true(c->agreed && !c->refused);
	assert_int_equal(c->heard, 2);
	snet_loop_free(c->loop);
	close(c->told[0]);
	close(c->told[1]);
}

static void a_party_of_the_crate_agrees_with_one_digest_each(void **state)
{
	struct crate_party c = { 0 };
	void *m = manager(0);
	pthread_t t;

	(void)state;
	ok(stoffelnet_manager_set_expected_parties(m, 2));
	ok(stoffelnet_manager_set_expected_clients(m, 0));
	begin(&c, m, &t);
	finish(&c, m, t);
}

static void speak(void *arg)
{
	struct crate_party *c = arg;

	c->silent = false;
	do_what_is_wanted(c, c->peer);
}

/* The second digest would be its application's. */
static void a_party_of_the_crate_hears_no_second_digest_when_it_begins_anew(void **state)
{
	struct crate_party c = { .silent = true };
	void *m = manager(0);
	pthread_t t;
	char byte;

	(void)state;
	ok(stoffelnet_manager_set_expected_parties(m, 2));
	begin(&c, m, &t);
	assert_int_equal(read(c.told[0], &byte, 1), 1);
	ok(stoffelnet_manager_set_expected_clients(m, 0));
	assert_int_equal(snet_loop_post(c.loop, speak, &c), 0);
	finish(&c, m, t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_party_of_the_crate_agrees_with_one_digest_each),
		cmocka_unit_test(
			a_party_of_the_crate_hears_no_second_digest_when_it_begins_anew),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
