/* nat/turn_io: clients and a server in one loop, over UDP and TCP on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"
#include "nat/turn_io.h"
#include "support/torture.h"
#include "support/turn_server.h"

#define GUARD (120 * SNET_SEC)

static struct snet_loop *loop;
static struct snet_timer guard;

/* ---- two servers, of one mind: one datagram socket, or one listener and a connection */

struct place {
	bool tcp;
	int fd, conn;
	struct snet_io *io, *conn_io;
	struct snet_addr address, client; /* client: the last one, of UDP */
	uint8_t in[8192];
	size_t in_n;
};

static struct turn_server server;
static struct place places[2];
static unsigned deaf; /* so many requests are not heard */

static void reply(struct place *s, const uint8_t *p, size_t n)
{
	if (n && s->tcp)
		assert_int_equal(send(s->conn, p, n, MSG_NOSIGNAL), n);
	else if (n)
		assert_int_equal(
			sendto(s->fd, p, n, 0, &s->client.sa, snet_addr_len(&s->client)), n);
}

static void serve(struct place *s, const uint8_t *p, size_t n)
{
	uint8_t out[2048];

	if (deaf) {
		deaf--;
		return;
	}
	reply(s, out, turn_server_input(&server, p, n, snet_loop_now(loop), out, sizeof(out)));
}

static void on_datagram(struct snet_io *io, int ready, void *user)
{
	struct place *s = user;
	socklen_t len = sizeof(s->client);
	ssize_t n = recvfrom(s->fd, s->in, sizeof(s->in), 0, &s->client.sa, &len);

	(void)io, (void)ready;
	if (n > 0)
		serve(s, s->in, (size_t)n);
}

static void hang_up(struct place *s)
{
	snet_io_free(s->conn_io);
	s->conn_io = NULL;
	if (s->conn >= 0)
		close(s->conn);
	s->conn = -1;
	s->in_n = 0;
}

static void on_bytes(struct snet_io *io, int ready, void *user)
{
	struct place *s = user;
	ssize_t n = recv(s->conn, s->in + s->in_n, sizeof(s->in) - s->in_n, 0);
	size_t whole;

	(void)io, (void)ready;
	if (n <= 0) {
		hang_up(s);
		return;
	}
	s->in_n += (size_t)n;
	while (s->in_n >= 4) {
		whole = s->in[0] >> 6 == 1
				? 4 + (((size_t)(s->in[2] << 8 | s->in[3]) + 3) & ~(size_t)3)
				: snet_stunmsg_size(s->in);
		if (whole > s->in_n)
			break;
		serve(s, s->in, whole);
		memmove(s->in, s->in + whole, s->in_n -= whole);
	}
}

static void on_accept(struct snet_io *io, int ready, void *user)
{
	struct place *s = user;

	(void)io, (void)ready;
	hang_up(s);
	s->conn = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	s->conn_io = snet_io_new(loop, s->conn, on_bytes, s);
	snet_io_want(s->conn_io, SNET_READ);
}

static void open_place(struct place *s, bool tcp)
{
	socklen_t n = sizeof(s->address);

	*s = (struct place){ .tcp = tcp, .conn = -1 };
	assert_int_equal(snet_addr_parse(&s->address, "127.0.0.1:0"), SNET_OK);
	s->fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0);
	assert_int_equal(bind(s->fd, &s->address.sa, n), 0);
	assert_int_equal(getsockname(s->fd, &s->address.sa, &n), 0);
	if (tcp)
		assert_int_equal(listen(s->fd, 4), 0);
	s->io = snet_io_new(loop, s->fd, tcp ? on_accept : on_datagram, s);
	snet_io_want(s->io, SNET_READ);
}

static void close_place(struct place *s)
{
	hang_up(s);
	snet_io_free(s->io);
	close(s->fd);
}

/* ---- the client */

static struct {
	struct snet_turn_io *io;
	int fd; /* the socket of UDP */
	struct snet_io *fd_io;
	unsigned told[SNET_TURN_CLOSED + 1];
	struct snet_turn_event last[SNET_TURN_CLOSED + 1];
	uint8_t data[2048];
	enum snet_turn_what await, free_at;
	unsigned not_ours;
} c;

static struct snet_addr peer;

static void on_event(const struct snet_turn_event *ev, void *user)
{
	assert_ptr_equal(user, &c);
	assert_int_equal(c.told[SNET_TURN_CLOSED], 0);
	c.told[ev->what]++;
	c.last[ev->what] = *ev;
	if (ev->what == SNET_TURN_DATA && ev->n)
		memcpy(c.data, ev->p, ev->n);
	if (ev->what == c.free_at) {
		snet_turn_io_free(c.io);
		c.io = NULL;
	}
	if (ev->what == c.await)
		snet_loop_stop(loop);
}

static void on_send(const struct snet_addr *to, const uint8_t *p, size_t n, void *user)
{
	(void)user;
	assert_int_equal(sendto(c.fd, p, n, 0, &to->sa, snet_addr_len(to)), n);
}

static const struct snet_turn_io_events events = { on_event, on_send };

static void on_our_datagram(struct snet_io *io, int ready, void *user)
{
	uint8_t p[2048];
	struct snet_addr from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(c.fd, p, sizeof(p), 0, &from.sa, &len);

	(void)io, (void)ready, (void)user;
	if (n > 0 && c.io && !snet_turn_io_input(c.io, &from, p, (size_t)n))
		c.not_ours++;
}

static void on_guard(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("event %d did not come", c.await);
}

static bool await(enum snet_turn_what what)
{
	unsigned before = c.told[what];

	c.await = what;
	guard.fn = on_guard;
	assert_int_equal(snet_timer_set(loop, &guard, snet_loop_now(loop) + GUARD), SNET_OK);
	snet_loop_run(loop);
	snet_timer_stop(loop, &guard);
	return c.told[what] > before;
}

static int dial(bool tcp, struct snet_error *err)
{
	struct snet_turn_io_opts o = {
		.turn = { .user = "alice", .password = "secret" },
		.over = tcp ? SNET_TURN_TCP : SNET_TURN_UDP,
	};

	o.turn.rto = deaf ? 5 * SNET_MS : 0;

	o.turn.server = places[0].address;
	server.stream = tcp;
	return snet_turn_io_new(&c.io, loop, &o, &events, &c, err);
}

static void begin(bool tcp)
{
	struct snet_addr any;

	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	turn_server_init(&server);
	for (unsigned i = 0; i < 2; i++)
		open_place(&places[i], tcp);
	memset(&c, 0, sizeof(c));
	assert_int_equal(snet_addr_parse(&peer, "198.51.100.77:7000"), SNET_OK);
	assert_int_equal(snet_addr_parse(&any, "127.0.0.1:0"), SNET_OK);
	c.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(c.fd, &any.sa, snet_addr_len(&any)), 0);
	c.fd_io = snet_io_new(loop, c.fd, on_our_datagram, NULL);
	snet_io_want(c.fd_io, SNET_READ);
}

static void finish(void)
{
	snet_turn_io_free(c.io);
	snet_io_free(c.fd_io);
	close(c.fd);
	for (unsigned i = 0; i < 2; i++)
		close_place(&places[i]);
	snet_timer_stop(loop, &guard);
	snet_loop_free(loop);
}

static void from_peer(struct place *s, const char *text)
{
	uint8_t out[2048];

	reply(s, out,
	      turn_server_data(&server, &peer, text, strlen(text), snet_loop_now(loop), out,
			       sizeof(out)));
}

/* Until the server has it: data of ours goes out without an event. */
static void say(const char *text, bool by_channel)
{
	unsigned before = server.datas;

	assert_int_equal(snet_turn_io_send(c.io, &peer, text, strlen(text)), SNET_OK);
	while (server.datas == before) { /* an answer comes behind it, in order */
		assert_int_equal(snet_turn_io_permit(c.io, &peer), SNET_OK);
		assert_true(await(SNET_TURN_PERMITTED));
		from_peer(&places[0], "?");
		assert_true(await(SNET_TURN_DATA));
	}
	assert_int_equal(server.data_n, strlen(text));
	assert_memory_equal(server.data, text, strlen(text));
	assert_int_equal(server.by_channel, by_channel);
}

static void hear(const char *text)
{
	from_peer(&places[0], text);
	assert_true(await(SNET_TURN_DATA));
	assert_int_equal(c.last[SNET_TURN_DATA].n, strlen(text));
	assert_memory_equal(c.data, text, strlen(text));
}

static void a_whole_life(bool tcp)
{
	begin(tcp);
	assert_int_equal(dial(tcp, NULL), SNET_OK);
	assert_int_equal(snet_turn_io_send(c.io, &peer, "x", 1), SNET_ENOENT);
	assert_int_equal(snet_turn_io_permit(c.io, &peer), SNET_OK); /* before there is one */
	assert_int_equal(snet_turn_io_send(c.io, &peer, "held", 4), SNET_OK);
	assert_int_equal(c.told[SNET_TURN_ALLOCATED], 0); /* nobody is called back */
	assert_true(await(SNET_TURN_PERMITTED));
	assert_int_equal(c.told[SNET_TURN_ALLOCATED], 1);
	hear("welcome");
	say("by indication", false);
	assert_int_equal(snet_turn_io_bind(c.io, &peer), SNET_OK);
	assert_true(await(SNET_TURN_BOUND));
	say("by channel", true);
	hear("by channel, too");
	assert_int_equal(snet_turn_io_refresh(c.io), SNET_OK);
	hear("while it is refreshed");
	assert_int_equal(snet_turn_io_release(c.io), SNET_OK);
	assert_true(await(SNET_TURN_CLOSED));
	assert_int_equal(c.last[SNET_TURN_CLOSED].error.code, SNET_OK);
	assert_false(server.allocated);
	assert_int_equal(server.seen[SNET_STUN_REFRESH], 2);
	assert_int_equal(snet_turn_io_send(c.io, &peer, "x", 1), SNET_ECLOSED);
	assert_int_equal(snet_turn_io_permit(c.io, &peer), SNET_ECLOSED);
	assert_int_equal(snet_turn_io_counts(c.io)->malformed, 0);
	finish();
}

static void a_whole_life_over_udp(void **state)
{
	(void)state;
	a_whole_life(false);
}

static void a_whole_life_over_tcp(void **state)
{
	(void)state;
	a_whole_life(true);
}

static void what_is_of_others_is_left_to_them(void **state)
{
	static const uint8_t binding[] = { 1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1,  2,
					   3, 4, 5, 6, 7,    8,    9,    10,   11, 12 };
	struct snet_addr else_where;

	(void)state;
	begin(false);
	assert_int_equal(dial(false, NULL), SNET_OK);
	assert_true(await(SNET_TURN_ALLOCATED));
	assert_int_equal(c.not_ours, 0);
	assert_int_equal(snet_addr_parse(&else_where, "127.0.0.1:9"), SNET_OK);
	assert_false(snet_turn_io_input(c.io, &else_where, binding, sizeof(binding)));
	assert_false(snet_turn_io_input(c.io, &places[0].address, binding, sizeof(binding)));
	assert_true(snet_turn_io_input(c.io, &places[0].address, binding, 7));
	assert_int_equal(snet_turn_io_counts(c.io)->malformed, 1);
	finish();
}

static void what_is_not_heard_is_said_again(void **state)
{
	(void)state;
	begin(false);
	deaf = 3;
	assert_int_equal(dial(false, NULL), SNET_OK);
	assert_true(await(SNET_TURN_ALLOCATED));
	assert_true(snet_turn_io_counts(c.io)->sent_again >= 3);
	finish();
}

static void a_peer_that_is_forgotten_is_heard_no_more(void **state)
{
	struct snet_addr ip, other;

	(void)state;
	begin(false);
	assert_int_equal(dial(false, NULL), SNET_OK);
	assert_int_equal(snet_turn_io_bind(c.io, &peer), SNET_OK);
	assert_true(await(SNET_TURN_BOUND));
	ip = peer;
	snet_addr_set_port(&ip, 0);
	snet_turn_io_forget(c.io, &ip);
	from_peer(&places[0], "late");
	assert_int_equal(snet_addr_parse(&other, "198.51.100.78:1"), SNET_OK);
	assert_int_equal(snet_turn_io_permit(c.io, &other), SNET_OK);
	assert_true(await(SNET_TURN_PERMITTED)); /* by then the other has come, too */
	assert_int_equal(c.told[SNET_TURN_DATA], 0);
	assert_int_equal(snet_turn_io_counts(c.io)->strangers, 1);
	assert_int_equal(snet_turn_io_send(c.io, &peer, "x", 1), SNET_ENOENT);
	finish();
}

static void redirections_are_followed(void **state)
{
	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		begin(tcp);
		server.fail[SNET_STUN_ALLOCATE] = 300;
		server.times[SNET_STUN_ALLOCATE] = 1;
		server.alternate = places[1].address;
		assert_int_equal(dial(tcp, NULL), SNET_OK);
		assert_true(await(SNET_TURN_ALLOCATED));
		assert_int_equal(c.told[SNET_TURN_REDIRECTED], 1);
		assert_true(tcp ? places[1].conn >= 0 : places[1].client.sa.sa_family);
		finish();
	}
}

static void a_connection_that_is_lost_is_the_end(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(dial(true, NULL), SNET_OK);
	assert_true(await(SNET_TURN_ALLOCATED));
	hang_up(&places[0]);
	assert_true(await(SNET_TURN_CLOSED));
	assert_int_equal(c.last[SNET_TURN_CLOSED].error.code, SNET_ELOST);
	finish();
}

static void a_server_that_is_not_there_is_told(void **state)
{
	(void)state;
	begin(true);
	close_place(&places[0]);
	assert_int_equal(dial(true, NULL), SNET_OK);
	assert_true(await(SNET_TURN_CLOSED));
	assert_int_equal(c.last[SNET_TURN_CLOSED].error.code, SNET_EUNREACH);
	open_place(&places[0], true);
	finish();
}

static void what_is_not_turn_ends_the_connection(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(dial(true, NULL), SNET_OK);
	assert_true(await(SNET_TURN_ALLOCATED));
	reply(&places[0], (const uint8_t *)"\x80garbage", 8);
	assert_true(await(SNET_TURN_CLOSED));
	assert_int_equal(c.last[SNET_TURN_CLOSED].error.code, SNET_EPROTO);
	finish();
}

static void it_may_be_freed_in_any_event(void **state)
{
	static const enum snet_turn_what at[] = { SNET_TURN_ALLOCATED, SNET_TURN_PERMITTED,
						  SNET_TURN_BOUND,     SNET_TURN_DATA,
						  SNET_TURN_CLOSED,    SNET_TURN_REDIRECTED };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(at) / sizeof(at[0]); i++) {
		bool tcp = i % 2;
		enum snet_turn_what what = at[i / 2];

		begin(tcp);
		c.free_at = what;
		if (what == SNET_TURN_REDIRECTED) {
			server.fail[SNET_STUN_ALLOCATE] = 300;
			server.times[SNET_STUN_ALLOCATE] = 1;
			server.alternate = places[1].address;
		}
		assert_int_equal(dial(tcp, NULL), SNET_OK);
		snet_turn_io_bind(c.io, &peer);
		if (what == SNET_TURN_DATA || what == SNET_TURN_CLOSED)
			assert_true(await(SNET_TURN_BOUND));
		if (what == SNET_TURN_DATA)
			from_peer(&places[0], "the last");
		if (what == SNET_TURN_CLOSED)
			snet_turn_io_release(c.io);
		assert_true(await(what));
		assert_null(c.io);
		finish();
	}
}

static void unlawful_options_are_refused(void **state)
{
	struct snet_turn_io_opts o = { .turn = { .user = "alice", .password = "secret" },
				       .over = SNET_TURN_TLS };
	struct snet_error err;

	(void)state;
	begin(true);
	o.turn.server = places[0].address;
	assert_int_equal(snet_turn_io_new(&c.io, loop, &o, &events, &c, &err), SNET_EINVAL);
	o.name = "turn.test";
	o.ca = "/nonexistent/ca";
	assert_int_equal(snet_turn_io_new(&c.io, loop, &o, &events, &c, &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, o.ca));
	o.over = SNET_TURN_UDP;
	o.turn.user = "";
	assert_int_equal(snet_turn_io_new(&c.io, loop, &o, &events, &c, &err), SNET_EINVAL);
	snet_turn_io_free(NULL);
	finish();
}

static int live(void *user)
{
	int rc = dial(*(bool *)user, NULL);

	if (!rc)
		rc = snet_turn_io_bind(c.io, &peer);
	if (!rc)
		rc = snet_turn_io_send(c.io, &peer, "x", 1);
	snet_turn_io_free(c.io);
	c.io = NULL;
	return rc;
}

static void it_is_born_without_memory_or_not_at_all(void **state)
{
	bool tcp = false;

	(void)state;
	for (unsigned i = 0; i < 2; i++, tcp = true) {
		begin(tcp);
		torture(live, &tcp);
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_life_over_udp),
		cmocka_unit_test(a_whole_life_over_tcp),
		cmocka_unit_test(what_is_of_others_is_left_to_them),
		cmocka_unit_test(what_is_not_heard_is_said_again),
		cmocka_unit_test(a_peer_that_is_forgotten_is_heard_no_more),
		cmocka_unit_test(redirections_are_followed),
		cmocka_unit_test(a_connection_that_is_lost_is_the_end),
		cmocka_unit_test(a_server_that_is_not_there_is_told),
		cmocka_unit_test(what_is_not_turn_ends_the_connection),
		cmocka_unit_test(it_may_be_freed_in_any_event),
		cmocka_unit_test(unlawful_options_are_refused),
		cmocka_unit_test(it_is_born_without_memory_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
