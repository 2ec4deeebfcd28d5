/* nat/probe: on loopback, with a server of two addresses in the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/loop.h"
#include "io/udp.h"
#include "nat/probe.h"
#include "nat/stund.h"
#include "support/torture.h"

#define PATIENCE (120 * SNET_SEC)

static struct snet_loop *loop;
static struct snet_probe *probe;

/* ---- the server */

static struct snet_stund stund;
static struct snet_udp *ports[SNET_STUND_SOCKETS];
static bool silent;

static void serve(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct snet_stund_answer a;
	unsigned i = 0;

	while (&ports[i] != user)
		i++;
	if (silent || !snet_stund_take(&stund, i, &path->remote, p, n, &a))
		return;
	snet_udp_answer(ports[a.via], &(struct snet_path){ .remote = a.to }, a.p, a.n);
}

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	(void)path, (void)ecn, (void)p, (void)n, (void)user;
	fail_msg("a datagram that is not STUN");
}

static void on_unreachable(const struct snet_addr *remote, void *user)
{
	(void)remote, (void)user;
}

static void on_writable(void *user)
{
	(void)user;
}

static const struct snet_udp_events server_events = { on_datagram, serve, on_unreachable,
						      on_writable };

static void open_port(unsigned i, const char *ip, unsigned like)
{
	struct snet_addr at;

	assert_int_equal(snet_addr_parse(&at, ip), SNET_OK);
	if (like != i)
		snet_addr_set_port(&at, snet_addr_port(&stund.at[like]));
	assert_int_equal(snet_udp_open(&ports[i], loop, &at, -1, &(struct snet_udp_opts){ 0 },
				       &server_events, &ports[i], NULL),
			 SNET_OK);
	snet_udp_address(ports[i], &stund.at[i]);
}

/* ---- what the probe says */

static unsigned answers, verdicts, overs, again;
static struct snet_stun_answer last;
static struct snet_nat nat;
static struct snet_behaviour_opts opts;

static void on_answer(unsigned i, const struct snet_stun_answer *a, void *user)
{
	(void)user;
	assert_true(i < 2);
	answers++;
	last = *a;
}

static void on_verdict(const struct snet_nat *v, void *user)
{
	(void)user;
	verdicts++;
	nat = *v;
}

static void on_over(void *user)
{
	(void)user;
	assert_true(verdicts > overs);
	overs++;
	if (again-- && !snet_probe_start(probe, &opts, &stund.at[0], 1, NULL))
		return;
	snet_probe_free(probe); /* allowed here */
	probe = NULL;
	snet_loop_stop(loop);
}

static const struct snet_probe_events events = { on_answer, on_verdict, on_over };

static int begin(void **state)
{
	(void)state;
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	stund = (struct snet_stund){ .n = 4 };
	open_port(0, "127.0.0.1:0", 0);
	open_port(3, "127.0.0.2:0", 3);
	open_port(1, "127.0.0.1:0", 3);
	open_port(2, "127.0.0.2:0", 0);
	answers = verdicts = overs = again = 0;
	silent = false;
	opts = (struct snet_behaviour_opts){ 0 };
	return 0;
}

static int end(void **state)
{
	(void)state;
	snet_probe_free(probe);
	probe = NULL;
	for (size_t i = 0; i < SNET_STUND_SOCKETS; i++)
		snet_udp_close(ports[i]);
	snet_loop_free(loop);
	return 0;
}

static void on_patience(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("it was not over in time: %u answers, %u verdicts", answers, verdicts);
}

static int look(const struct snet_addr *servers, unsigned n)
{
	struct snet_timer t = { .fn = on_patience };
	struct snet_addr at;
	int rc;

	assert_int_equal(snet_addr_parse(&at, "0.0.0.0:0"), SNET_OK);
	rc = snet_probe_new(&probe, loop, &at, &events, NULL, NULL);
	if (!rc)
		rc = snet_probe_start(probe, &opts, servers, n, NULL);
	if (!rc)
		rc = snet_timer_set(loop, &t, snet_now() + PATIENCE);
	if (!rc)
		snet_loop_run(loop);
	snet_timer_stop(loop, &t);
	snet_probe_free(probe);
	probe = NULL;
	return rc;
}

/* ---- tests */

static void loopback_is_open(void **state)
{
	(void)state;
	opts.thorough = true;
	assert_int_equal(look(&stund.at[0], 1), SNET_OK);
	assert_int_equal(nat.kind, SNET_NAT_OPEN);
	assert_true(snet_addr_eq(&nat.mapped, &nat.local));
	assert_true(answers == 1 && verdicts == 1 && overs == 1);
	assert_true(last.rtt > 0 && last.requests == 1);
}

static void one_may_look_again_from_the_same_socket(void **state)
{
	(void)state;
	again = 2;
	assert_int_equal(look(&stund.at[0], 1), SNET_OK);
	assert_true(answers == 3 && verdicts == 3 && overs == 3);
	assert_true(snet_addr_eq(&last.mapped, &nat.local));
}

static void a_closed_port_costs_nothing(void **state)
{
	struct snet_addr servers[2];

	(void)state;
	snet_addr_parse(&servers[0], "127.0.0.1:1");
	servers[1] = stund.at[0];
	assert_int_equal(look(servers, 2), SNET_OK);
	assert_int_equal(nat.answered, 1);
	assert_int_equal(answers, 2);
}

static void silence_has_an_end(void **state)
{
	(void)state;
	silent = true;
	opts.pace.most = 100 * SNET_MS;
	assert_int_equal(look(&stund.at[0], 1), SNET_OK);
	assert_int_equal(nat.kind, SNET_NAT_BLOCKED);
	assert_int_equal(last.code, SNET_ETIMEOUT);
}

static void what_stays_silent_is_asked_for_through_its_own_sockets(void **state)
{
	(void)state;
	opts.lifetime = 120 * SNET_MS;
	assert_int_equal(look(&stund.at[0], 1), SNET_OK);
	assert_true(nat.lived == 120 * SNET_MS && !nat.gone);
	assert_int_equal(verdicts, 2); /* at once, and with it */
	assert_true(stund.answered > 2 * SNET_BEHAVIOUR_LIVES);
}

static int look_once(void *user)
{
	(void)user;
	answers = verdicts = overs = 0;
	return look(&stund.at[0], 1);
}

static void memory_may_run_out(void **state)
{
	(void)state;
	opts.lifetime = 12 * SNET_MS;
	torture(look_once, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loopback_is_open),
		TEST(one_may_look_again_from_the_same_socket),
		TEST(a_closed_port_costs_nothing),
		TEST(silence_has_an_end),
		TEST(what_stays_silent_is_asked_for_through_its_own_sockets),
		TEST(memory_may_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
