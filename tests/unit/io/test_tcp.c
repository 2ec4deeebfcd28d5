/* io/tcp and io/tls: dialling an echo on loopback, plain and over TLS, in the same loop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <cmocka.h>

#include "io/loop.h"
#include "io/tcp.h"
#include "support/torture.h"

#define GUARD (120 * SNET_SEC)
#define NAME "echo.test"

/* ---- the other end: echoes, over TLS where a session is given */

static struct {
	struct snet_loop *loop;
	struct snet_timer guard;
	int listener, fd;
	struct snet_io *accept_io, *io;
	struct snet_addr address;
	bool tls, shaken, silent, hang_up, early, rude, paused;
	gnutls_session_t session;
	uint8_t back[8192];
	size_t back_n;
} other;

static gnutls_certificate_credentials_t other_cred;
static char ca_path[] = "/tmp/snet-tcp-ca.XXXXXX";

static long get(uint8_t *p, size_t n)
{
	if (other.tls)
		return (long)gnutls_record_recv(other.session, p, n);
	return (long)recv(other.fd, p, n, 0);
}

static long give(const uint8_t *p, size_t n)
{
	if (other.tls)
		return (long)gnutls_record_send(other.session, p, n);
	return (long)send(other.fd, p, n, MSG_NOSIGNAL);
}

static void hang_up(void)
{
	snet_io_free(other.io);
	other.io = NULL;
	if (other.session)
		gnutls_deinit(other.session);
	other.session = NULL;
	if (other.fd >= 0)
		close(other.fd);
	other.fd = -1;
}

static void on_echo(struct snet_io *io, int ready, void *user)
{
	long k;

	(void)ready, (void)user;
	if (other.silent)
		return;
	if (other.hang_up && (!other.tls || other.shaken || other.early)) {
		if (!other.early) /* or the kernel says that something was not read */
			(void)get(other.back, sizeof(other.back));
		hang_up();
		return;
	}
	if (other.paused && (!other.tls || other.shaken)) {
		snet_io_want(io, 0);
		return;
	}
	if (other.rude) {
		assert_true(send(other.fd, "HTTP/1.1 400 What?\r\n\r\n", 22, 0) > 0);
		snet_io_want(io, 0);
		return;
	}
	if (other.tls && !other.shaken) {
		other.shaken = !gnutls_handshake(other.session);
		return;
	}
	do {
		k = other.back_n ? 0 : get(other.back, sizeof(other.back));
		other.back_n += k > 0 ? (size_t)k : 0;
		k = other.back_n ? give(other.back, other.back_n) : 0;
		if (k > 0) {
			memmove(other.back, other.back + k, other.back_n - (size_t)k);
			other.back_n -= (size_t)k;
		}
	} while (other.tls && !other.back_n && gnutls_record_check_pending(other.session));
	snet_io_want(io, other.back_n ? SNET_WRITE : SNET_READ);
}

static void on_accept(struct snet_io *io, int ready, void *user)
{
	(void)io, (void)ready, (void)user;
	other.fd = accept4(other.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(other.fd >= 0);
	if (other.tls) {
		gnutls_init(&other.session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
		gnutls_set_default_priority(other.session);
		gnutls_credentials_set(other.session, GNUTLS_CRD_CERTIFICATE, other_cred);
		gnutls_transport_set_int(other.session, other.fd);
	}
	other.io = snet_io_new(other.loop, other.fd, on_echo, NULL);
	snet_io_want(other.io, SNET_READ);
}

static void on_guard(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("nothing happened for too long");
}

static int open_other(void)
{
	socklen_t n = sizeof(other.address);

	memset(&other, 0, sizeof(other));
	other.fd = -1;
	other.guard.fn = on_guard;
	if (snet_loop_new(&other.loop))
		return SNET_ENOMEM;
	snet_addr_parse(&other.address, "127.0.0.1:0");
	other.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(other.listener, &other.address.sa, n) || listen(other.listener, 1) ||
	    getsockname(other.listener, &other.address.sa, &n))
		return SNET_EIO;
	other.accept_io = snet_io_new(other.loop, other.listener, on_accept, NULL);
	if (!other.accept_io ||
	    snet_timer_set(other.loop, &other.guard, snet_loop_now(other.loop) + GUARD))
		return SNET_ENOMEM;
	snet_io_want(other.accept_io, SNET_READ);
	return SNET_OK;
}

static void close_other(void)
{
	hang_up();
	if (other.loop)
		snet_timer_stop(other.loop, &other.guard);
	snet_io_free(other.accept_io);
	if (other.listener > 0)
		close(other.listener);
	snet_loop_free(other.loop);
}

static int setup(void **state)
{
	(void)state;
	return open_other();
}

static int teardown(void **state)
{
	(void)state;
	close_other();
	return 0;
}

/* ---- this end */

static struct {
	struct snet_tcp *tcp;
	unsigned opens, closes;
	struct snet_error why;
	uint64_t want, got, sent;
	bool bad;
	bool close_in_open, close_in_data;
} our;

/* What stands at each place of the stream. */
static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 7 ^ at >> 8);
}

static void feed(void)
{
	uint8_t p[4000];

	while (our.sent < our.want) {
		size_t n = our.want - our.sent < sizeof(p) ? our.want - our.sent : sizeof(p);

		for (size_t i = 0; i < n; i++)
			p[i] = pattern(our.sent + i);
		if (snet_tcp_send(our.tcp, p, n))
			return;
		our.sent += n;
	}
}

static void let_go(void)
{
	snet_tcp_close(our.tcp);
	our.tcp = NULL;
	snet_loop_stop(other.loop);
}

static void on_open(void *user)
{
	(void)user;
	our.opens++;
	if (our.close_in_open)
		let_go();
	else
		feed();
}

static void on_data(const uint8_t *p, size_t n, void *user)
{
	(void)user;
	for (size_t i = 0; i < n; i++)
		our.bad = our.bad || p[i] != pattern(our.got + i);
	our.got += n;
	if (our.close_in_data)
		let_go();
	else if (our.got == our.want)
		snet_loop_stop(other.loop);
	else
		feed();
}

static void on_close(const struct snet_error *why, void *user)
{
	(void)user;
	our.closes++;
	our.why = *why;
	snet_loop_stop(other.loop);
}

static const struct snet_tcp_events events = { on_open, on_data, on_close };

static int dial(const char *name, snet_time timeout, struct snet_error *err)
{
	struct snet_tls_opts tls = { .name = name, .ca = ca_path };
	struct snet_tcp_opts o = { .tls = name ? &tls : NULL, .timeout = timeout };

	memset(&our, 0, sizeof(our));
	other.tls = name != NULL;
	return snet_tcp_dial(&our.tcp, other.loop, &other.address, &o, &events, NULL, err);
}

static void bytes_come_back(void **state)
{
	static const char *const names[] = { NULL, NAME, "127.0.0.1" };
	struct snet_addr local;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		if (i) {
			close_other();
			assert_int_equal(open_other(), SNET_OK);
		}
		assert_int_equal(dial(names[i], 0, NULL), SNET_OK);
		our.want = 3 << 20; /* far more than any queue holds */
		snet_loop_run(other.loop);
		assert_int_equal(our.opens, 1);
		assert_int_equal(our.got, our.want);
		assert_false(our.bad);
		snet_tcp_address(our.tcp, &local);
		assert_int_equal(local.sa.sa_family, AF_INET);
		snet_tcp_close(our.tcp);
		assert_int_equal(our.closes, 0);
	}
}

/* Feeds until the kernel has taken all it can of what a reader does not read; then lets it. */
static void on_full(struct snet_timer *t, snet_time now)
{
	static size_t queued;
	size_t before = queued;

	feed();
	queued = snet_tcp_queued(our.tcp);
	if (our.opens && before == queued && queued > SNET_TCP_QUEUE - 4000) {
		our.want = our.sent + SNET_TCP_QUEUE; /* and once more as much */
		other.paused = false;
		snet_io_want(other.io, SNET_READ);
	} else {
		assert_int_equal(snet_timer_set(other.loop, t, now + 5 * SNET_MS), SNET_OK);
	}
}

/* The other end has room for little, and reads nothing for a while: what it does not take
 * waits, and none is lost. */
static void a_slow_reader_is_waited_for(void **state)
{
	static const char *const names[] = { NULL, NAME };
	struct snet_timer full = { .fn = on_full };
	int little = 2048;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		close_other();
		assert_int_equal(open_other(), SNET_OK);
		assert_int_equal(setsockopt(other.listener, SOL_SOCKET, SO_RCVBUF, &little,
					    sizeof(little)),
				 0);
		assert_int_equal(dial(names[i], 0, NULL), SNET_OK);
		our.want = UINT64_MAX; /* until it is full */
		other.paused = true;
		assert_int_equal(snet_timer_set(other.loop, &full,
						snet_loop_now(other.loop) + 5 * SNET_MS),
				 SNET_OK);
		snet_loop_run(other.loop);
		assert_int_equal(our.got, our.want);
		assert_false(our.bad);
		snet_tcp_close(our.tcp);
	}
}

static void what_is_sent_before_it_is_open_goes_then(void **state)
{
	(void)state;
	assert_int_equal(dial(NAME, 0, NULL), SNET_OK);
	our.want = 1000;
	feed();
	assert_int_equal(our.sent, 1000);
	assert_int_equal(snet_tcp_queued(our.tcp), 1000);
	snet_loop_run(other.loop);
	assert_int_equal(our.got, 1000);
	snet_tcp_close(our.tcp);
}

static void the_queue_has_a_ceiling(void **state)
{
	static uint8_t p[SNET_TCP_QUEUE];

	(void)state;
	assert_int_equal(dial(NULL, 0, NULL), SNET_OK);
	assert_int_equal(snet_tcp_send(our.tcp, p, sizeof(p)), SNET_OK);
	assert_int_equal(snet_tcp_send(our.tcp, p, 1), SNET_EAGAIN);
	assert_int_equal(snet_tcp_queued(our.tcp), sizeof(p));
	snet_tcp_close(our.tcp);
}

static void nobody_there_is_told(void **state)
{
	(void)state;
	snet_io_free(other.accept_io);
	other.accept_io = NULL;
	close(other.listener);
	other.listener = -1;
	assert_int_equal(dial(NULL, 0, NULL), SNET_OK);
	snet_loop_run(other.loop);
	assert_int_equal(our.closes, 1);
	assert_int_equal(our.why.code, SNET_EUNREACH);
	assert_int_equal(snet_tcp_send(our.tcp, "x", 1), SNET_ECLOSED);
	snet_tcp_close(our.tcp);
	snet_tcp_close(NULL);
}

static void a_handshake_has_a_deadline(void **state)
{
	(void)state;
	other.silent = true;
	assert_int_equal(dial(NAME, 30 * SNET_MS, NULL), SNET_OK);
	snet_loop_run(other.loop);
	assert_int_equal(our.opens, 0);
	assert_int_equal(our.why.code, SNET_ETIMEOUT);
	snet_tcp_close(our.tcp);
}

static void what_is_not_tls_is_told(void **state)
{
	(void)state;
	for (int rude = 0; rude < 2; rude++) {
		close_other();
		assert_int_equal(open_other(), SNET_OK);
		other.rude = rude;
		other.hang_up = other.early = !rude;
		assert_int_equal(dial(NAME, 0, NULL), SNET_OK);
		snet_loop_run(other.loop);
		assert_int_equal(our.opens, 0);
		assert_int_equal(our.why.code, rude ? SNET_EPROTO : SNET_ELOST);
		snet_tcp_close(our.tcp);
	}
}

static void addresses_that_cannot_be_are_refused(void **state)
{
	struct snet_addr from;
	struct snet_tcp_opts o = { .from = &from };
	struct snet_error err;
	struct snet_tcp *t;

	(void)state;
	assert_int_equal(snet_addr_parse(&from, "192.0.2.1:0"), SNET_OK); /* not of this host */
	assert_int_equal(snet_tcp_dial(&t, other.loop, &other.address, &o, &events, NULL, &err),
			 SNET_EBIND);
	assert_non_null(strstr(err.text, "192.0.2.1"));
}

static void a_certificate_of_another_is_refused(void **state)
{
	(void)state;
	assert_int_equal(dial("else.test", 0, NULL), SNET_OK);
	snet_loop_run(other.loop);
	assert_int_equal(our.opens, 0);
	assert_int_equal(our.why.code, SNET_EDENIED);
	assert_non_null(strstr(our.why.text, "else.test"));
	snet_tcp_close(our.tcp);
}

static void without_a_file_the_systems_authorities_decide(void **state)
{
	struct snet_tls_opts tls = { .name = NAME };
	struct snet_tcp_opts o = { .tls = &tls };
	int rc;

	(void)state;
	memset(&our, 0, sizeof(our));
	other.tls = true;
	rc = snet_tcp_dial(&our.tcp, other.loop, &other.address, &o, &events, NULL, NULL);
	if (rc) { /* a system that trusts nobody */
		assert_int_equal(rc, SNET_ECONFIG);
		return;
	}
	snet_loop_run(other.loop);
	assert_int_equal(our.why.code, SNET_EDENIED);
	snet_tcp_close(our.tcp);
}

static void authorities_that_cannot_be_read_are_named(void **state)
{
	struct snet_tls_opts tls = { .name = NAME, .ca = "/nonexistent/ca" };
	struct snet_tcp_opts o = { .tls = &tls };
	struct snet_error err;
	struct snet_tcp *t;

	(void)state;
	assert_int_equal(snet_tcp_dial(&t, other.loop, &other.address, &o, &events, NULL, &err),
			 SNET_ECONFIG);
	assert_non_null(strstr(err.text, "/nonexistent/ca"));
}

static void the_other_end_being_done_is_told_once(void **state)
{
	static const char *const names[] = { NULL, NAME };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		if (i) {
			close_other();
			assert_int_equal(open_other(), SNET_OK);
		}
		assert_int_equal(dial(names[i], 0, NULL), SNET_OK);
		other.hang_up = true;
		our.want = 10;
		snet_loop_run(other.loop);
		assert_int_equal(our.opens, 1);
		assert_int_equal(our.closes, 1);
		assert_int_equal(our.why.code, SNET_OK);
		snet_tcp_close(our.tcp);
	}
}

static void it_may_be_closed_in_any_callback(void **state)
{
	(void)state;
	assert_int_equal(dial(NAME, 0, NULL), SNET_OK);
	our.close_in_open = true;
	snet_loop_run(other.loop);
	assert_int_equal(our.opens, 1);
	close_other();
	assert_int_equal(open_other(), SNET_OK);
	assert_int_equal(dial(NAME, 0, NULL), SNET_OK);
	our.close_in_data = true;
	our.want = 5000;
	snet_loop_run(other.loop);
	assert_true(our.got > 0);
	assert_int_equal(our.closes, 0);
}

/* One that is born, and closed before anything has happened. */
static int live(void *user)
{
	int rc = dial(NAME, 0, NULL);

	(void)user;
	if (!rc)
		rc = snet_tcp_send(our.tcp, "x", 1);
	snet_tcp_close(our.tcp);
	return rc;
}

static void it_survives_without_memory(void **state)
{
	(void)state;
	torture(live, NULL);
}

/* ---- a certificate for NAME and 127.0.0.1, which is its own authority */

static int make_certificate(void **state)
{
	static const uint8_t ip[] = { 127, 0, 0, 1 }, serial[] = { 1 };
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem = { 0 };
	int fd = mkstemp(ca_path);
	bool ok;

	(void)state;
	gnutls_x509_privkey_init(&key);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
				     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_set_key(crt, key);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
	gnutls_x509_crt_set_dn(crt, "CN=test", NULL);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, NAME, strlen(NAME),
					     GNUTLS_FSAN_SET);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, sizeof(ip),
					     GNUTLS_FSAN_APPEND);
	gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
	gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	ok = fd >= 0 && !gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) &&
	     write(fd, pem.data, pem.size) == (ssize_t)pem.size && !close(fd);
	gnutls_free(pem.data);
	gnutls_certificate_allocate_credentials(&other_cred);
	ok = !gnutls_certificate_set_x509_key(other_cred, &crt, 1, key) && ok;
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return ok ? 0 : -1;
}

static int drop_certificate(void **state)
{
	(void)state;
	gnutls_certificate_free_credentials(other_cred);
	return unlink(ca_path);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bytes_come_back),
		T(a_slow_reader_is_waited_for),
		T(what_is_sent_before_it_is_open_goes_then),
		T(the_queue_has_a_ceiling),
		T(nobody_there_is_told),
		T(a_handshake_has_a_deadline),
		T(what_is_not_tls_is_told),
		T(addresses_that_cannot_be_are_refused),
		T(a_certificate_of_another_is_refused),
		T(without_a_file_the_systems_authorities_decide),
		T(authorities_that_cannot_be_read_are_named),
		T(the_other_end_being_done_is_told_once),
		T(it_may_be_closed_in_any_callback),
		T(it_survives_without_memory),
	};

	return cmocka_run_group_tests(tests, make_certificate, drop_certificate);
}
