/* io/resolve: against a small name server on loopback, on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <net/if.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "support/torture.h"

#define PATIENCE (120 * SNET_SEC)
#define REPLY_MAX 1024

enum { A = 1, CNAME = 5, AAAA = 28, SRV = 33 };
enum { NXDOMAIN = 3, SERVFAIL = 2 };

static struct snet_loop *loop;
static char hosts_path[] = "/tmp/test_resolve.XXXXXX";

/* ---- a name server */

static struct {
	int fd, listener, stream; /* the latter two: TCP */
	struct snet_io *io, *listener_io, *stream_io;
	char servers[64];
	unsigned asked, asked_by_tcp;
} server;

struct reply {
	struct snet_buf b;
	uint16_t type; /* asked for */
	char name[256];
};

static void put_name(struct snet_buf *b, const char *name)
{
	for (size_t n; *name; name += n + (name[n] == '.')) {
		n = strcspn(name, ".");
		snet_buf_u8(b, (uint8_t)n);
		snet_buf_add(b, name, n);
	}
	snet_buf_u8(b, 0);
}

/* Of the name asked for: a pointer to it. */
static void put_record(struct reply *r, uint16_t type, size_t n)
{
	snet_buf_be16(&r->b, 0xc00c);
	snet_buf_be16(&r->b, type);
	snet_buf_be16(&r->b, 1);
	snet_buf_be32(&r->b, 60);
	snet_buf_be16(&r->b, (uint16_t)n);
	snet_put_be16(r->b.p + 6, (uint16_t)(r->b.p[6] << 8 | (r->b.p[7] + 1)));
}

static void put_address(struct reply *r, uint8_t last)
{
	static const uint8_t v4[] = { 192, 0, 2 }, v6[15] = { 0x20, 1, 0x0d, 0xb8 };

	put_record(r, r->type, r->type == A ? 4 : 16);
	snet_buf_add(&r->b, r->type == A ? v4 : v6, r->type == A ? 3 : 15);
	snet_buf_u8(&r->b, last);
}

static void put_target(struct reply *r, uint16_t priority, uint16_t weight, const char *host)
{
	put_record(r, SRV, 6 + (*host ? strlen(host) + 2 : 1));
	snet_buf_be16(&r->b, priority);
	snet_buf_be16(&r->b, weight);
	snet_buf_be16(&r->b, 9000);
	put_name(&r->b, host);
}

static void put_targets(struct reply *r)
{
	char host[32];

	if (!strcmp(r->name, "_snet._udp.test")) {
		put_target(r, 20, 9, "late.test");
		put_target(r, 10, 1, "light.test");
		put_target(r, 10, 5, "heavy-b.test");
		put_target(r, 10, 5, "Heavy-a.test");
	} else if (!strcmp(r->name, "_no._udp.test")) {
		put_target(r, 0, 0, "");
	} else if (!strcmp(r->name, "_odd._udp.test")) {
		put_target(r, 0, 0, "a/../b.test");
	} else if (!strcmp(r->name, "_many._udp.test")) {
		for (unsigned i = 0; i < 2 * SNET_DNS_TARGETS; i++) {
			snprintf(host, sizeof(host), "h%02u.test", i);
			put_target(r, 0, 0, host);
		}
	} else if (!strcmp(r->name, "_searched._udp.here.test")) {
		put_target(r, 1, 1, "found.test");
	} else {
		r->b.p[3] |= NXDOMAIN;
	}
}

/* A name that stands for another, which has the target. */
static void put_alias(struct reply *r)
{
	size_t at;

	put_record(r, CNAME, 7);
	at = r->b.n;
	put_name(&r->b, "other");
	put_target(r, 1, 1, "real.test");
	/* The second record is the other name's. */
	snet_put_be16(r->b.p + at + 7, (uint16_t)(0xc000 | at));
}

/* to NULL: by TCP. */
static void send_to(const struct reply *r, const struct snet_addr *to)
{
	uint8_t n[2];

	assert_false(r->b.bad);
	if (to) {
		sendto(server.fd, r->b.p, r->b.n, 0, &to->sa, snet_addr_len(to));
		return;
	}
	snet_put_be16(n, (uint16_t)r->b.n);
	assert_int_equal(send(server.stream, n, 2, MSG_NOSIGNAL), 2);
	assert_int_equal(send(server.stream, r->b.p, r->b.n, MSG_NOSIGNAL), r->b.n);
}

/* What anybody could send and must not be believed: before the truth. */
static void send_noise(const struct reply *truth, const struct snet_addr *to)
{
	struct reply r = { .type = truth->type };

	for (unsigned kind = 0; kind < 2; kind++) {
		r.b = SNET_BUF(REPLY_MAX);
		snet_buf_add(&r.b, truth->b.p, truth->b.n);
		if (kind == 0)
			r.b.p[0] ^= 0x55; /* of another question */
		else
			r.b.p[13] ^= 1; /* of another name */
		put_address(&r, 66);
		send_to(&r, to);
		snet_buf_free(&r.b);
	}
}

static void answer(struct reply *r, const struct snet_addr *to)
{
	const char *name = r->name;

	if (!strcmp(name, "silent.test") || (!strcmp(name, "half.test") && r->type == AAAA))
		return;
	if (!strcmp(name, "noise.test"))
		send_noise(r, to);
	if (!strcmp(name, "short.test"))
		sendto(server.fd, r->b.p, 5, 0, &to->sa, snet_addr_len(to));
	if (!strcmp(name, "none.test"))
		r->b.p[3] |= NXDOMAIN;
	else if (!strcmp(name, "long.test") && to)
		r->b.p[2] |= 2; /* truncated: to be asked for by TCP */
	else if (!strcmp(name, "broken.test"))
		r->b.p[3] |= SERVFAIL;
	else if (!strcmp(name, "_alias._udp.test"))
		put_alias(r);
	else if (r->type == SRV)
		put_targets(r);
	else if (!strcmp(name, "many.test"))
		for (uint8_t i = 0; i < 20; i++)
			put_address(r, i);
	else if (!strcmp(name, "twice.test"))
		for (uint8_t i = 0; i < 4; i++)
			put_address(r, 7);
	else if (strcmp(name, "v4.test") || r->type == A)
		put_address(r, 1);
	if (!strcmp(name, "lying.test"))
		r->b.p[r->b.n - (r->type == A ? 5 : 17)] = 200; /* a length past the end */
	send_to(r, to);
}

/* Without memory a question is lost, as on the way. */
static void take_question(const uint8_t *p, size_t n, const struct snet_addr *from)
{
	struct reply r = { .b = SNET_BUF(REPLY_MAX) };
	struct snet_reader q = snet_reader(p, n);

	server.asked++;
	snet_take(&q, 12);
	for (uint8_t len; (len = snet_take_u8(&q)) && snet_left(&q) > len;) {
		if (r.name[0])
			strcat(r.name, ".");
		strncat(r.name, (const char *)snet_take(&q, len), len);
	}
	r.type = snet_take_be16(&q);
	snet_take_be16(&q);
	assert_false(q.bad);
	if (!snet_buf_room(&r.b, REPLY_MAX))
		return;
	snet_buf_add(&r.b, p, (size_t)(q.at - p));
	snet_put_be16(r.b.p + 2, 0x8180);
	memcpy(r.b.p + 4, (const uint8_t[]){ 0, 1, 0, 0, 0, 0, 0, 0 }, 8);
	answer(&r, from);
	snet_buf_free(&r.b);
}

static void on_question(struct snet_io *io, int ready, void *user)
{
	struct snet_addr from;
	socklen_t from_n = sizeof(from);
	uint8_t p[512];
	ssize_t n = recvfrom(server.fd, p, sizeof(p), 0, &from.sa, &from_n);

	(void)io, (void)ready, (void)user;
	take_question(p, n > 0 ? (size_t)n : 0, &from);
}

/* A question is short enough to come in one piece. */
static void on_stream(struct snet_io *io, int ready, void *user)
{
	uint8_t p[512];
	ssize_t n = recv(server.stream, p, sizeof(p), 0);

	(void)ready, (void)user;
	if (n <= 2) {
		snet_io_want(io, 0);
		return;
	}
	server.asked_by_tcp++;
	assert_int_equal(n, 2 + (p[0] << 8 | p[1]));
	take_question(p + 2, (size_t)n - 2, NULL);
}

static void on_accept(struct snet_io *io, int ready, void *user)
{
	(void)io, (void)ready, (void)user;
	server.stream = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server.stream >= 0);
	server.stream_io = snet_io_new(loop, server.stream, on_stream, NULL);
	snet_io_want(server.stream_io, SNET_READ);
}

/* Both of one port: that of TCP may be somebody's, and then it is another. */
static bool bind_both(struct snet_addr *at)
{
	socklen_t n = sizeof(*at);
	int one = 1;

	snet_addr_parse(at, "127.0.0.1:0");
	server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.fd, &at->sa, snet_addr_len(at)), 0);
	assert_int_equal(getsockname(server.fd, &at->sa, &n), 0);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(server.listener, &at->sa, snet_addr_len(at)))
		return true;
	assert_int_equal(errno, EADDRINUSE);
	close(server.fd);
	close(server.listener);
	return false;
}

static int setup(void **state)
{
	struct snet_addr at;
	char text[SNET_ADDR_TEXT];
	int tries = 0;

	(void)state;
	memset(&server, 0, sizeof(server));
	server.stream = -1;
	while (!bind_both(&at))
		assert_true(++tries < 100);
	assert_int_equal(listen(server.listener, 1), 0);
	strcpy(server.servers, snet_addr_print(&at, text));
	assert_int_equal(snet_loop_new(&loop), SNET_OK);
	server.io = snet_io_new(loop, server.fd, on_question, NULL);
	assert_non_null(server.io);
	snet_io_want(server.io, SNET_READ);
	server.listener_io = snet_io_new(loop, server.listener, on_accept, NULL);
	assert_non_null(server.listener_io);
	snet_io_want(server.listener_io, SNET_READ);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snet_io_free(server.io);
	snet_io_free(server.listener_io);
	snet_io_free(server.stream_io);
	close(server.fd);
	close(server.listener);
	if (server.stream >= 0)
		close(server.stream);
	snet_loop_free(loop);
	return 0;
}

/* ---- one question */

struct question {
	struct snet_resolve *r;
	unsigned told;
	struct snet_addr v[SNET_RESOLVE_MAX];
	struct snet_dns_target targets[SNET_DNS_TARGETS];
	size_t n;
	struct snet_error err;
	snet_time at;
};

static unsigned left; /* to be told until the loop stops */

static void told(struct question *q, const struct snet_error *err)
{
	q->told++;
	q->at = snet_loop_now(loop);
	if (err)
		q->err = *err;
	if (!--left)
		snet_loop_stop(loop);
	snet_resolve_free(q->r); /* what is over is freed by itself, and not twice */
}

static void on_done(const struct snet_addr *v, size_t n, const struct snet_error *err,
		    void *user)
{
	struct question *q = user;

	assert_true(err ? !n && err->code : n > 0);
	q->n = n;
	for (size_t i = 0; i < n; i++)
		q->v[i] = v[i];
	told(q, err);
}

static void on_targets(const struct snet_dns_target *v, size_t n, const struct snet_error *err,
		       void *user)
{
	struct question *q = user;

	assert_true(err ? !n && err->code : n > 0);
	q->n = n;
	for (size_t i = 0; i < n; i++)
		q->targets[i] = v[i];
	told(q, err);
}

static void on_patience(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("nothing was told in time");
}

static void run(void)
{
	struct snet_timer t = { .fn = on_patience };

	assert_int_equal(snet_timer_set(loop, &t, snet_now() + PATIENCE), SNET_OK);
	snet_loop_run(loop);
	snet_timer_stop(loop, &t);
}

static struct snet_resolve_opts opts(const char *host, int family, snet_time timeout)
{
	return (struct snet_resolve_opts){ host, 9000, family, timeout, server.servers };
}

static void begin(struct question *q, const char *host, int family, snet_time timeout)
{
	struct snet_resolve_opts o = opts(host, family, timeout);

	*q = (struct question){ 0 };
	left++;
	assert_int_equal(snet_resolve_new(&q->r, loop, &o, on_done, q, &q->err), SNET_OK);
	assert_int_equal(q->told, 0);
}

static void ask(struct question *q, const char *host, int family)
{
	begin(q, host, family, 0);
	run();
	assert_int_equal(q->told, 1);
}

static void ask_service(struct question *q, const char *name)
{
	struct snet_resolve_opts o = opts(name, AF_UNSPEC, 0);

	*q = (struct question){ 0 };
	left++;
	assert_int_equal(snet_resolve_srv(&q->r, loop, &o, on_targets, q, &q->err), SNET_OK);
	run();
	assert_int_equal(q->told, 1);
}

static bool has(const struct question *q, const char *text)
{
	char of[SNET_ADDR_TEXT];

	for (size_t i = 0; i < q->n; i++)
		if (!strcmp(snet_addr_print(&q->v[i], of), text))
			return true;
	return false;
}

static size_t count(const struct question *q, int family)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n; i++)
		n += q->v[i].sa.sa_family == family;
	return n;
}

/* ---- the tests */

static void numeric_addresses_are_answered_without_a_question(void **state)
{
	static const struct {
		const char *host, *text; /* NULL: refused */
		int family;
	} cases[] = {
		{ "192.0.2.9", "192.0.2.9:9000", AF_UNSPEC },
		{ "192.0.2.9", "192.0.2.9:9000", AF_INET },
		{ "192.0.2.9", NULL, AF_INET6 },
		{ "::1", "[::1]:9000", AF_UNSPEC },
		{ "2001:db8::9", "[2001:db8::9]:9000", AF_INET6 },
		{ "2001:db8::9", NULL, AF_INET },
		{ "fe80::1%77", "[fe80::1%77]:9000", AF_UNSPEC },
		{ "fe80::1%lo", "[fe80::1%1]:9000", AF_UNSPEC },
		{ "fe80::1%nosuch", NULL, AF_UNSPEC },
		{ "fe80::1%", NULL, AF_UNSPEC },
	};
	struct question q;

	(void)state;
	assert_int_equal(if_nametoindex("lo"), 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(&q, cases[i].host, cases[i].family);
		assert_int_equal(q.err.code, cases[i].text ? SNET_OK : SNET_ERESOLVE);
		if (cases[i].text)
			assert_true(q.n == 1 && has(&q, cases[i].text));
		else
			assert_non_null(strstr(q.err.text, cases[i].host));
	}
	assert_int_equal(server.asked, 0);
}

static void what_can_be_no_name_is_refused_at_once(void **state)
{
	struct snet_resolve_opts o = opts(NULL, AF_UNSPEC, 0);
	static char longest[400];
	const char *const hosts[] = { NULL, "", "a b", "a\nb", "a\xff", longest };
	struct snet_resolve *r;
	struct snet_error err;

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		o.host = hosts[i];
		assert_int_equal(snet_resolve_new(&r, loop, &o, on_done, NULL, &err),
				 SNET_EINVAL);
		assert_int_equal(snet_resolve_srv(&r, loop, &o, on_targets, NULL, &err),
				 SNET_EINVAL);
	}
	snet_resolve_free(NULL);
}

static void the_hosts_file_comes_first(void **state)
{
	struct question q;

	(void)state;
	ask(&q, "localhost", AF_INET);
	assert_true(q.n == 1 && has(&q, "127.0.0.1:9000"));
	ask(&q, "good.test", AF_UNSPEC); /* the server says otherwise */
	assert_true(q.n == 2 && has(&q, "198.51.100.7:9000") &&
		    has(&q, "[2001:db8:7::7]:9000"));
	ask(&q, "printer.local", AF_UNSPEC); /* before anybody on the link, too */
	assert_true(q.n == 1 && has(&q, "198.51.100.8:9000"));
	assert_int_equal(server.asked, 0);
}

static void a_name_server_is_asked_for_both_families(void **state)
{
	struct question q;

	(void)state;
	ask(&q, "dual.test", AF_UNSPEC);
	assert_true(q.n == 2 && has(&q, "192.0.2.1:9000") && has(&q, "[2001:db8::1]:9000"));
	ask(&q, "dual.test", AF_INET6);
	assert_true(q.n == 1 && has(&q, "[2001:db8::1]:9000"));
	ask(&q, "dual.test", AF_INET);
	assert_true(q.n == 1 && has(&q, "192.0.2.1:9000"));
	ask(&q, "v4.test", AF_UNSPEC);
	assert_true(q.n == 1 && has(&q, "192.0.2.1:9000"));
	ask(&q, "x.svc.cluster.local", AF_INET); /* three labels: not multicast DNS */
	assert_true(q.n == 1 && has(&q, "192.0.2.1:9000"));
}

static void what_has_no_address_is_told_by_name(void **state)
{
	static const struct {
		const char *host;
		int family;
	} cases[] = { { "none.test", AF_UNSPEC },
		      { "v4.test", AF_INET6 },
		      { "broken.test", AF_UNSPEC },
		      { "lying.test", AF_INET } };
	struct question q;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(&q, cases[i].host, cases[i].family);
		assert_non_null(strstr(q.err.text, cases[i].host));
		/* Newer c-ares takes a broken message for silence. */
		if (strcmp(cases[i].host, "lying.test") || q.err.code != SNET_ETIMEOUT)
			assert_int_equal(q.err.code, SNET_ERESOLVE);
	}
}

/* A deadline of half a second is far from what the other question needs. */
static void a_silent_server_delays_nobody_else(void **state)
{
	struct question mute, good;
	snet_time start = snet_now();

	(void)state;
	begin(&mute, "silent.test", AF_UNSPEC, SNET_SEC / 2);
	begin(&good, "dual.test", AF_UNSPEC, 0);
	run();
	assert_int_equal(good.told, 1);
	assert_int_equal(good.n, 2);
	assert_int_equal(mute.told, 1);
	assert_int_equal(mute.err.code, SNET_ETIMEOUT);
	assert_non_null(strstr(mute.err.text, "silent.test"));
	assert_true(mute.at >= start + SNET_SEC / 2 && good.at < mute.at);
}

/* Long before the timeout, which would fail the run's own. */
static void a_family_that_is_never_answered_is_not_waited_for(void **state)
{
	struct question q;

	(void)state;
	begin(&q, "half.test", AF_UNSPEC, 2 * PATIENCE);
	run();
	assert_true(q.n == 1 && has(&q, "192.0.2.1:9000"));
}

static void answers_to_other_questions_are_not_believed(void **state)
{
	struct question q;

	(void)state;
	ask(&q, "noise.test", AF_INET);
	assert_true(q.n == 1 && has(&q, "192.0.2.1:9000"));
	/* Older c-ares waits for better; a newer one gives such a server up. */
	ask(&q, "short.test", AF_INET);
	if (q.err.code)
		assert_non_null(strstr(q.err.text, "short.test"));
	else
		assert_true(q.n == 1 && has(&q, "192.0.2.1:9000"));
}

static void many_addresses_are_capped_and_none_is_told_twice(void **state)
{
	struct question q;

	(void)state;
	ask(&q, "many.test", AF_UNSPEC);
	assert_int_equal(q.n, SNET_RESOLVE_MAX);
	assert_int_equal(count(&q, AF_INET), SNET_RESOLVE_MAX / 2);
	assert_int_equal(count(&q, AF_INET6), SNET_RESOLVE_MAX / 2);
	ask(&q, "many.test", AF_INET);
	assert_int_equal(q.n, SNET_RESOLVE_MAX);
	assert_true(has(&q, "192.0.2.0:9000")); /* the server's first ones */
	ask(&q, "twice.test", AF_UNSPEC);
	assert_int_equal(q.n, 2);
}

static void what_is_too_long_for_a_datagram_comes_by_tcp(void **state)
{
	struct question q;

	(void)state;
	ask(&q, "long.test", AF_INET);
	assert_true(q.n == 1 && has(&q, "192.0.2.1:9000"));
	assert_int_equal(server.asked_by_tcp, 1);
}

static void servers_that_are_none_are_told(void **state)
{
	struct question q;

	(void)state;
	strcpy(server.servers, "not an address");
	ask(&q, "dual.test", AF_UNSPEC);
	assert_int_equal(q.err.code, SNET_ERESOLVE);
	assert_non_null(strstr(q.err.text, "dual.test"));
}

static void on_free(struct snet_timer *t, snet_time now)
{
	struct question *q = t->user;

	(void)now;
	snet_resolve_free(q->r);
	snet_loop_stop(loop);
}

/* Before the first turn, and when the servers have been asked. */
static void a_question_may_be_forgotten_at_any_time(void **state)
{
	static const char *const hosts[] = { "192.0.2.1", "silent.test", "silent.local" };
	struct question q;
	struct snet_timer t = { .fn = on_free, .user = &q };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		begin(&q, hosts[i], AF_UNSPEC, 0);
		snet_resolve_free(q.r);
		assert_int_equal(q.told, 0);
	}
	begin(&q, "silent.test", AF_UNSPEC, 0);
	assert_int_equal(snet_timer_set(loop, &t, snet_now() + 50 * SNET_MS), SNET_OK);
	run();
	assert_int_equal(q.told, 0);
	assert_true(server.asked > 0);
	left = 0;
}

/* ---- services */

static void a_services_targets_come_in_order(void **state)
{
	static const char *const order[] = { "Heavy-a.test", "heavy-b.test", "light.test",
					     "late.test" };
	struct question q;

	(void)state;
	ask_service(&q, "_snet._udp.test");
	assert_int_equal(q.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(q.targets[i].host, order[i]);
	assert_int_equal(q.targets[3].priority, 20);
	assert_int_equal(q.targets[3].weight, 9);
	assert_int_equal(q.targets[3].port, 9000);
	ask_service(&q, "_alias._udp.test");
	assert_true(q.n == 1 && !strcmp(q.targets[0].host, "real.test"));
	ask_service(&q, "_many._udp.test");
	assert_int_equal(q.n, SNET_DNS_TARGETS);
	assert_string_equal(q.targets[15].host, "h15.test");
}

static void a_service_is_searched_for_as_hosts_are(void **state)
{
	struct question q;

	(void)state;
	setenv("LOCALDOMAIN", "here.test", 1);
	ask_service(&q, "_searched._udp");
	unsetenv("LOCALDOMAIN");
	assert_true(q.n == 1 && !strcmp(q.targets[0].host, "found.test"));
}

static void a_service_without_targets_is_told_by_name(void **state)
{
	static const struct {
		const char *name;
		int code;
	} cases[] = { { "_none._udp.test", SNET_ERESOLVE },
		      { "_no._udp.test", SNET_ERESOLVE },
		      { "_odd._udp.test", SNET_ERESOLVE },
		      { "silent.test", SNET_ETIMEOUT } };
	struct question q;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_resolve_opts o =
			opts(cases[i].name, AF_UNSPEC, SNET_SEC / (i == 3 ? 4 : 1));

		q = (struct question){ 0 };
		left++;
		assert_int_equal(snet_resolve_srv(&q.r, loop, &o, on_targets, &q, NULL),
				 SNET_OK);
		run();
		assert_int_equal(q.err.code, cases[i].code);
		assert_non_null(strstr(q.err.text, cases[i].name));
	}
}

/* ---- without memory */

static void on_answer(const struct snet_addr *v, size_t n, const struct snet_error *err,
		      void *user)
{
	struct question *q = user;

	(void)v;
	q->n = n;
	if (err)
		q->err = *err;
	snet_loop_stop(loop);
}

static int live_within(void *user, snet_time most)
{
	struct snet_resolve_opts o = opts(user, AF_INET, most);
	struct question q = { 0 };
	int rc = snet_resolve_new(&q.r, loop, &o, on_answer, &q, NULL);

	if (rc)
		return rc;
	snet_loop_run(loop);
	return q.err.code;
}

/* What failed is given up in time; whoever succeeds may need more, on a busy machine. */
static int live(void *user)
{
	int rc = live_within(user, 100 * SNET_MS);

	return rc && !torture_struck() ? live_within(user, 10 * SNET_SEC) : rc;
}

static void it_survives_without_memory(void **state)
{
	(void)state;
	assert_true(torture(live, (void *)"dual.test") > 2);
}

static int write_hosts(void **state)
{
	static const char text[] =
		"127.0.0.1 localhost\n198.51.100.7 good.test\n2001:db8:7::7 good.test\n"
		"198.51.100.8 printer.local\n";
	int fd = mkstemp(hosts_path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	unsetenv("LOCALDOMAIN");
	unsetenv("RES_OPTIONS");
	return setenv("CARES_HOSTS", hosts_path, 1);
}

static int drop_hosts(void **state)
{
	(void)state;
	return unlink(hosts_path);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(numeric_addresses_are_answered_without_a_question),
		T(what_can_be_no_name_is_refused_at_once),
		T(the_hosts_file_comes_first),
		T(a_name_server_is_asked_for_both_families),
		T(what_has_no_address_is_told_by_name),
		T(a_silent_server_delays_nobody_else),
		T(a_family_that_is_never_answered_is_not_waited_for),
		T(answers_to_other_questions_are_not_believed),
		T(many_addresses_are_capped_and_none_is_told_twice),
		T(what_is_too_long_for_a_datagram_comes_by_tcp),
		T(servers_that_are_none_are_told),
		T(a_question_may_be_forgotten_at_any_time),
		T(a_services_targets_come_in_order),
		T(a_service_is_searched_for_as_hosts_are),
		T(a_service_without_targets_is_told_by_name),
		T(it_survives_without_memory),
	};

	return cmocka_run_group_tests(tests, write_hosts, drop_hosts);
}
