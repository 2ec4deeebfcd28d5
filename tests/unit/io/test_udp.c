/* io/udp: two sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/udp.h"
#include "support/torture.h"

#define PATIENCE (120 * SNET_SEC)
#define DATAGRAMS 256

/* One socket and what came in. */
struct end {
	struct snet_udp *udp;
	struct snet_addr at;
	unsigned n, stun, unreachable, writable, want;
	size_t len[DATAGRAMS];
	uint8_t first[DATAGRAMS], last[DATAGRAMS], ecn[DATAGRAMS];
	struct snet_path path;
	struct snet_addr gone;
};

static struct snet_loop *loop;
static struct end a, b;

static void on_patience(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("it did not arrive in time: %u and %u datagrams, %u and %u for STUN, %u and "
		 "%u unreachable",
		 a.n, b.n, a.stun, b.stun, a.unreachable, b.unreachable);
}

static void run(void)
{
	struct snet_timer t = { .fn = on_patience };

	assert_int_equal(snet_timer_set(loop, &t, snet_now() + PATIENCE), SNET_OK);
	snet_loop_run(loop);
	snet_timer_stop(loop, &t);
}

static void happened(struct end *e)
{
	if (e->n + e->stun + e->unreachable + e->writable == e->want)
		snet_loop_stop(loop);
}

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	struct end *e = user;

	assert_true(e->n < DATAGRAMS);
	e->path = *path;
	e->len[e->n] = n;
	e->first[e->n] = p[0];
	e->last[e->n] = p[n - 1];
	e->ecn[e->n++] = ecn;
	p[0] = p[n - 1] = 0; /* writable */
	happened(e);
}

static void on_stun(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct end *e = user;

	assert_true(n >= 1 && p[0] <= 3);
	e->path = *path;
	e->stun++;
	happened(e);
}

static void on_unreachable(const struct snet_addr *remote, void *user)
{
	struct end *e = user;

	e->gone = *remote;
	e->unreachable++;
	happened(e);
}

static void on_writable(void *user)
{
	struct end *e = user;

	assert_false(snet_udp_is_blocked(e->udp));
	e->writable++;
	happened(e);
}

static const struct snet_udp_events events = { on_datagram, on_stun, on_unreachable,
					       on_writable };
static const struct snet_udp_events without_stun = { on_datagram, NULL, on_unreachable,
						     on_writable };

static void open_at(struct end *e, const char *at, const struct snet_udp_opts *o)
{
	static const struct snet_udp_opts plain;
	struct snet_error err = { 0 };
	struct snet_addr addr;

	memset(e, 0, sizeof(*e));
	assert_int_equal(snet_addr_parse(&addr, at), SNET_OK);
	if (snet_udp_open(&e->udp, loop, &addr, -1, o ? o : &plain, &events, e, &err))
		fail_msg("%s", err.text);
	memset(snet_udp_scratch(e->udp), 0, SNET_UDP_PAYLOAD_MAX);
	snet_udp_address(e->udp, &e->at);
	assert_true(snet_addr_port(&e->at));
}

static struct snet_path from_to(const struct end *from, const struct end *to)
{
	return (struct snet_path){ from->at, to->at };
}

/* Datagrams of `segment` bytes, the last one shorter; the first byte says
 * QUIC, the last one which it is. */
static int send_train(struct end *from, const struct snet_path *path, uint8_t ecn, size_t n,
		      size_t segment)
{
	uint8_t *p = snet_udp_scratch(from->udp);

	memset(p, 0x40, n);
	for (size_t at = 0, i = 0; at < n; at += segment, i++) {
		size_t k = n - at < segment ? n - at : segment;

		p[at + k - 1] = (uint8_t)(0x40 + i);
	}
	return snet_udp_send(from->udp, path, ecn, n, segment);
}

static void check_train(const struct end *e, size_t n, size_t segment)
{
	unsigned count = (unsigned)((n + segment - 1) / segment);

	assert_int_equal(e->n, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(e->len[i],
				 i + 1 < count ? segment : n - (count - 1) * segment);
		assert_int_equal(e->first[i], e->len[i] > 1 ? 0x40 : 0x40 + i);
		assert_int_equal(e->last[i], 0x40 + i);
	}
}

static int begin(void **s)
{
	(void)s;
	return snet_loop_new(&loop);
}

static int end(void **s)
{
	(void)s;
	snet_udp_close(a.udp);
	snet_udp_close(b.udp);
	a.udp = b.udp = NULL;
	snet_loop_free(loop);
	return 0;
}

/* ---- batches */

static const char *const hosts[] = { "127.0.0.1:0", "[::1]:0" };

static void trains(const struct snet_udp_opts *sender, const struct snet_udp_opts *receiver)
{
	static const struct {
		size_t n, segment;
	} cases[] = {
		{ 1, 1200 },         /* one byte */
		{ 1200, 1200 },      /* one whole */
		{ 1201, 1200 },      /* the second one of a byte */
		{ 12000, 1200 },     /* no shorter last one */
		{ 11000, 1452 },     /* a shorter last one */
		{ 64 * 1000, 1000 }, /* all the segments there may be */
		{ 65000, 32500 },    /* two jumbos */
	};

	for (size_t h = 0; h < 2; h++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct snet_path path;

			open_at(&a, hosts[h], sender);
			open_at(&b, hosts[h], receiver);
			path = from_to(&a, &b);
			b.want = (unsigned)((cases[i].n + cases[i].segment - 1) /
					    cases[i].segment);
			assert_int_equal(send_train(&a, &path, 0, cases[i].n, cases[i].segment),
					 SNET_OK);
			run();
			check_train(&b, cases[i].n, cases[i].segment);
			assert_true(snet_addr_eq(&b.path.remote, &a.at));
			assert_true(snet_addr_eq(&b.path.local, &b.at));
			snet_udp_close(a.udp);
			snet_udp_close(b.udp);
			a.udp = b.udp = NULL;
		}
	}
}

static void a_train_arrives_as_datagrams_in_order(void **s)
{
	(void)s;
	trains(NULL, NULL);
}

static void and_without_offload_at_the_sender(void **s)
{
	static const struct snet_udp_opts no_gso = { .no_gso = true };

	(void)s;
	trains(&no_gso, NULL);
}

static void and_without_offload_at_the_receiver(void **s)
{
	static const struct snet_udp_opts no_gro = { .no_gro = true };

	(void)s;
	trains(NULL, &no_gro);
}

static void the_two_ways_of_sending_look_the_same(void **s)
{
	static const struct snet_udp_opts none = { .no_gso = true, .no_gro = true };

	(void)s;
	trains(&none, &none);
}

static void a_burst_is_read_in_one_go_of_the_loop(void **s)
{
	(void)s;
	open_at(&a, "127.0.0.1:0", NULL);
	open_at(&b, "127.0.0.1:0", NULL);
	for (unsigned i = 0; i < 8; i++) { /* more than one recvmmsg takes */
		struct snet_path path = from_to(&a, &b);

		assert_int_equal(send_train(&a, &path, 0, 100, 1200), SNET_OK);
	}
	b.want = 8;
	run();
	assert_int_equal(b.n, 8);
}

/* ---- what comes with a datagram */

static void the_ecn_mark_arrives(void **s)
{
	static const uint8_t marks[] = { 0, 1, 2, 3 };
	static const char *const pairs[][2] = {
		{ "127.0.0.1:0", "127.0.0.1:0" },
		{ "[::1]:0", "[::1]:0" },
		{ "127.0.0.1:0", "[::]:0" }, /* IPv4 at an IPv6 socket */
		{ "[::]:0", "127.0.0.1:0" }, /* and from one */
	};

	(void)s;
	for (size_t h = 0; h < sizeof(pairs) / sizeof(pairs[0]); h++) {
		for (size_t i = 0; i < sizeof(marks); i++) {
			struct snet_path path;

			open_at(&a, pairs[h][0], NULL);
			open_at(&b, pairs[h][1], NULL);
			path = from_to(&a, &b);
			if (h == 2) {
				path.remote = a.at;
				snet_addr_set_port(&path.remote, snet_addr_port(&b.at));
			}
			b.want = 5;
			assert_int_equal(send_train(&a, &path, marks[i], 5000, 1000), SNET_OK);
			run();
			for (unsigned k = 0; k < 5; k++)
				assert_int_equal(b.ecn[k], marks[i]);
			snet_udp_close(a.udp);
			snet_udp_close(b.udp);
			a.udp = b.udp = NULL;
		}
	}
}

static void a_socket_bound_everywhere_knows_where_it_was_reached(void **s)
{
	static const struct {
		const char *any, *at, *from;
	} cases[] = {
		{ "0.0.0.0:0", "127.0.0.1:0", "127.0.0.1:0" },
		{ "0.0.0.0:0", "127.0.0.2:0", "127.0.0.1:0" },
		{ "[::]:0", "[::1]:0", "[::1]:0" },
		{ "[::]:0", "127.0.0.2:0", "127.0.0.1:0" },
	};

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_path path, back;

		open_at(&a, cases[i].from, NULL);
		open_at(&b, cases[i].any, NULL);
		assert_int_equal(snet_addr_parse(&path.remote, cases[i].at), SNET_OK);
		snet_addr_set_port(&path.remote, snet_addr_port(&b.at));
		path.local = a.at;
		b.want = 1;
		assert_int_equal(send_train(&a, &path, 0, 10, 1200), SNET_OK);
		run();
		assert_true(snet_addr_eq(&b.path.local, &path.remote));
		assert_true(snet_addr_eq(&b.path.remote, &a.at));
		assert_int_equal(b.path.remote.sa.sa_family, a.at.sa.sa_family);

		/* The answer comes from where the question went. */
		a.want = 1;
		back = b.path;
		assert_int_equal(send_train(&b, &back, 2, 10, 1200), SNET_OK);
		run();
		assert_true(snet_addr_eq(&a.path.remote, &path.remote));
		assert_int_equal(a.ecn[0], 2);

		a.want = 2;
		snet_udp_answer(b.udp, &b.path, (const uint8_t *)"\x40xyz", 4);
		run();
		assert_true(snet_addr_eq(&a.path.remote, &path.remote));
		assert_int_equal(a.len[1], 4);
		snet_udp_close(a.udp);
		snet_udp_close(b.udp);
		a.udp = b.udp = NULL;
	}
}

static void the_first_byte_says_whose_a_datagram_is(void **s)
{
	static const struct {
		uint8_t first;
		enum snet_udp_class class;
	} cases[] = {
		{ 0, SNET_UDP_STUN },   { 3, SNET_UDP_STUN },   { 4, SNET_UDP_OTHER },
		{ 20, SNET_UDP_OTHER }, { 63, SNET_UDP_OTHER }, { 64, SNET_UDP_QUIC },
		{ 79, SNET_UDP_QUIC },  { 192, SNET_UDP_QUIC }, { 255, SNET_UDP_QUIC },
	};
	unsigned quic = 0, stun = 0;

	(void)s;
	open_at(&a, "127.0.0.1:0", NULL);
	open_at(&b, "127.0.0.1:0", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_path path = from_to(&a, &b);

		assert_int_equal(snet_udp_classify(cases[i].first), cases[i].class);
		quic += cases[i].class == SNET_UDP_QUIC;
		stun += cases[i].class == SNET_UDP_STUN;
		snet_udp_scratch(a.udp)[0] = cases[i].first;
		assert_int_equal(snet_udp_send(a.udp, &path, 0, 20, 1200), SNET_OK);
		snet_udp_answer(a.udp, &path, snet_udp_scratch(a.udp), 0); /* empty: nobody's */
	}
	b.want = quic + stun;
	run();
	assert_int_equal(b.n, quic);
	assert_int_equal(b.stun, stun);
}

static void stun_nobody_asked_for_is_dropped(void **s)
{
	static const struct snet_udp_opts plain;
	struct snet_path path;
	struct snet_addr at;

	(void)s;
	open_at(&a, "127.0.0.1:0", NULL);
	memset(&b, 0, sizeof(b));
	assert_int_equal(snet_addr_parse(&at, "127.0.0.1:0"), SNET_OK);
	assert_int_equal(snet_udp_open(&b.udp, loop, &at, -1, &plain, &without_stun, &b, NULL),
			 SNET_OK);
	snet_udp_address(b.udp, &b.at);
	path = from_to(&a, &b);
	snet_udp_scratch(a.udp)[0] = 1;
	assert_int_equal(snet_udp_send(a.udp, &path, 0, 20, 1200), SNET_OK);
	assert_int_equal(send_train(&a, &path, 0, 20, 1200), SNET_OK);
	b.want = 1;
	run();
	assert_int_equal(b.n, 1);
}

/* ---- what goes wrong */

static void a_closed_port_is_told(void **s)
{
	(void)s;
	for (size_t h = 0; h < 2; h++) {
		struct snet_path path;

		open_at(&a, hosts[h], NULL);
		open_at(&b, hosts[h], NULL);
		path = from_to(&a, &b);
		snet_udp_close(b.udp);
		b.udp = NULL;
		a.want = 1;
		assert_int_equal(send_train(&a, &path, 0, 100, 1200), SNET_OK);
		if (!a.unreachable)
			run();
		assert_true(snet_addr_eq(&a.gone, &path.remote));
		snet_udp_close(a.udp);
		a.udp = NULL;
	}
}

/* A port that refused one peer is as good as new for the others. */
static void an_old_error_does_not_cost_the_next_datagram(void **s)
{
	struct end closed;
	struct snet_path to_closed, path;

	(void)s;
	open_at(&a, "127.0.0.1:0", NULL);
	open_at(&b, "127.0.0.1:0", NULL);
	open_at(&closed, "127.0.0.1:0", NULL);
	snet_udp_close(closed.udp);
	to_closed = from_to(&a, &closed);
	path = from_to(&a, &b);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(send_train(&a, &to_closed, 0, 100, 1200), SNET_OK);
		assert_int_equal(send_train(&a, &path, 0, 100, 1200), SNET_OK);
	}
	b.want = 20;
	run();
	assert_int_equal(b.n, 20);
	assert_true(a.unreachable >= 1);
	assert_true(snet_addr_eq(&a.gone, &to_closed.remote));
}

static void an_address_in_use_cannot_be_bound(void **s)
{
	static const struct snet_udp_opts plain;
	char text[SNET_ADDR_TEXT];
	struct snet_error err = { 0 };
	struct snet_udp *u = NULL;

	(void)s;
	open_at(&a, "127.0.0.1:0", NULL);
	assert_int_equal(snet_udp_open(&u, loop, &a.at, -1, &plain, &events, NULL, &err),
			 SNET_EBIND);
	assert_null(u);
	assert_non_null(strstr(err.text, snet_addr_print(&a.at, text)));
}

static void a_descriptor_can_be_taken_over(void **s)
{
	static const struct snet_udp_opts plain;
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct snet_path path;

	(void)s;
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	memset(&b, 0, sizeof(b));
	assert_int_equal(snet_udp_open(&b.udp, loop, NULL, fd, &plain, &events, &b, NULL),
			 SNET_OK);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	snet_udp_address(b.udp, &b.at);
	open_at(&a, "127.0.0.1:0", NULL);
	path = from_to(&a, &b);
	b.want = 3;
	assert_int_equal(send_train(&a, &path, 0, 3000, 1000), SNET_OK);
	run();
	check_train(&b, 3000, 1000);
}

static void only_a_datagram_socket_can_be_taken_over(void **s)
{
	static const struct snet_udp_opts plain;
	struct snet_error err = { 0 };
	struct snet_udp *u = NULL;
	int fds[2], tcp = socket(AF_INET, SOCK_STREAM, 0);

	(void)s;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(snet_udp_open(&u, loop, NULL, tcp, &plain, &events, NULL, &err),
			 SNET_EBIND);
	assert_non_null(strstr(err.text, "datagram"));
	assert_int_equal(snet_udp_open(&u, loop, NULL, fds[0], &plain, &events, NULL, &err),
			 SNET_EBIND);
	/* What was refused is still the caller's. */
	assert_true(fcntl(tcp, F_GETFD) >= 0 && fcntl(fds[0], F_GETFD) >= 0);
	close(fds[0]);
	close(fds[1]);
	close(tcp);
}

static void the_interface_says_what_it_takes(void **s)
{
	struct snet_addr to;
	uint32_t most;

	(void)s;
	for (size_t h = 0; h < 2; h++) {
		assert_int_equal(snet_addr_parse(&to, h ? "[::1]:9" : "127.0.0.1:9"), SNET_OK);
		most = snet_udp_route_payload(&to);
		assert_true(most >= 1200 && most <= SNET_UDP_PAYLOAD_MAX);
	}
}

static void what_is_larger_than_the_interface_is_refused(void **s)
{
	static const struct snet_udp_opts no_gso = { .no_gso = true };
	struct snet_path path;
	struct snet_addr to;

	(void)s;
	open_at(&a, "127.0.0.1:0", &no_gso);
	open_at(&b, "127.0.0.1:0", NULL);
	path = from_to(&a, &b);
	assert_int_equal(snet_addr_parse(&to, "127.0.0.1:9"), SNET_OK);
	if (snet_udp_route_payload(&to) >= SNET_UDP_PAYLOAD_MAX) {
		/* Loopback as it usually is takes all that IPv4 has: the largest arrives. */
		b.want = 1;
		assert_int_equal(
			send_train(&a, &path, 0, SNET_UDP_PAYLOAD_MAX, SNET_UDP_PAYLOAD_MAX),
			SNET_OK);
		run();
		assert_int_equal(b.len[0], SNET_UDP_PAYLOAD_MAX);
		return;
	}
	assert_int_equal(send_train(&a, &path, 0, SNET_UDP_PAYLOAD_MAX, SNET_UDP_PAYLOAD_MAX),
			 SNET_ETOOBIG);
	assert_false(snet_udp_is_blocked(a.udp));
}

/* ---- a full socket: a pair of local ones stands in, since loopback never fills */

static void drain(int fd, unsigned *n, size_t *bytes)
{
	char p[4096];
	ssize_t k;

	while ((k = recv(fd, p, sizeof(p), MSG_DONTWAIT)) >= 0) {
		(*n)++;
		*bytes += (size_t)k;
	}
}

static void a_full_socket_parks_and_goes_on_by_itself(void **s)
{
	static const struct snet_udp_opts no_gso = { .no_gso = true };
	/* AF_UNSPEC: no name on the datagram, the pair has but one way to go. */
	struct snet_path path = { 0 };
	unsigned n = 0, sent = 0;
	size_t bytes = 0;
	int fds[2], rc;

	(void)s;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	memset(&a, 0, sizeof(a));
	assert_int_equal(snet_udp_open(&a.udp, loop, NULL, fds[0], &no_gso, &events, &a, NULL),
			 SNET_OK);
	do {
		assert_true(sent < 100000);
		sent += 10;
		rc = send_train(&a, &path, 0, 10000, 1000);
	} while (rc == SNET_OK);
	assert_int_equal(rc, SNET_EAGAIN);
	assert_true(snet_udp_is_blocked(a.udp));
	a.want = 1; /* on_writable, once */
	while (snet_udp_is_blocked(a.udp)) {
		struct snet_timer t = { .fn = on_patience };

		drain(fds[1], &n, &bytes);
		assert_int_equal(snet_timer_set(loop, &t, snet_now() + PATIENCE), SNET_OK);
		snet_loop_run(loop);
		snet_timer_stop(loop, &t);
	}
	assert_int_equal(a.writable, 1);
	drain(fds[1], &n, &bytes);
	assert_int_equal(n, sent); /* none lost, none twice */
	assert_int_equal(bytes, 1000 * sent);
	close(fds[1]);
}

/* ---- */

static int open_and_close(void *user)
{
	static const struct snet_udp_opts plain;
	struct snet_udp *u = NULL;
	struct snet_addr at;
	struct snet_loop *l = NULL;
	int rc = snet_loop_new(&l);

	(void)user;
	snet_addr_parse(&at, "127.0.0.1:0");
	if (!rc)
		rc = snet_udp_open(&u, l, &at, -1, &plain, &events, NULL, NULL);
	snet_udp_close(u);
	snet_loop_free(l);
	return rc;
}

static void out_of_memory_is_an_error(void **s)
{
	(void)s;
	torture(open_and_close, NULL);
	snet_udp_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_train_arrives_as_datagrams_in_order),
		TEST(and_without_offload_at_the_sender),
		TEST(and_without_offload_at_the_receiver),
		TEST(the_two_ways_of_sending_look_the_same),
		TEST(a_burst_is_read_in_one_go_of_the_loop),
		TEST(the_ecn_mark_arrives),
		TEST(a_socket_bound_everywhere_knows_where_it_was_reached),
		TEST(the_first_byte_says_whose_a_datagram_is),
		TEST(stun_nobody_asked_for_is_dropped),
		TEST(a_closed_port_is_told),
		TEST(an_old_error_does_not_cost_the_next_datagram),
		TEST(an_address_in_use_cannot_be_bound),
		TEST(a_descriptor_can_be_taken_over),
		TEST(only_a_datagram_socket_can_be_taken_over),
		TEST(the_interface_says_what_it_takes),
		TEST(what_is_larger_than_the_interface_is_refused),
		TEST(a_full_socket_parks_and_goes_on_by_itself),
		cmocka_unit_test(out_of_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
