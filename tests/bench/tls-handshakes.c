/* tls-handshakes: the yardstick of connection set-up. Full mutual TLS 1.3 handshakes per
 * second, both ends in this process on one processor, through memory: GnuTLS alone, without
 * packets, sockets or QUIC. Keys, priorities, flags and the pin check are those of the library:
 * P-256 self-signed, X25519 key exchange, no tickets. One JSON line; cpu_us: processor time of
 * one, both ends.
 *
 *   tls-handshakes [-n HANDSHAKES] */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "bench.h"

#define PRIORITY                                                    \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:"                            \
	"-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:" \
	"-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:%DISABLE_TLS13_COMPAT_MODE"

enum { KEY_ID = 32, FLIGHT_MAX = 16384, WARM_UP = 20 };

/* What one end has written and the other has not read: a handshake is a few flights, each read
 * whole. */
struct pipe {
	size_t put, got;
	uint8_t data[FLIGHT_MAX];
};

struct end {
	gnutls_certificate_credentials_t cred;
	gnutls_session_t tls;
	struct pipe out, *in;
	uint8_t key_id[KEY_ID], expected[KEY_ID];
	unsigned checked;
};

static gnutls_priority_t priority;

static void must(int rc, const char *what)
{
	if (rc < 0)
		bench_die("%s: %s", what, gnutls_strerror(rc));
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *p, size_t n)
{
	struct end *e = ptr;

	if (n > FLIGHT_MAX - e->out.put)
		bench_die("a flight of more than %d bytes", FLIGHT_MAX);
	memcpy(e->out.data + e->out.put, p, n);
	e->out.put += n;
	return (ssize_t)n;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
	struct end *e = ptr;
	struct pipe *in = e->in;

	if (in->got == in->put) {
		gnutls_transport_set_errno(e->tls, EAGAIN);
		return -1;
	}
	if (n > in->put - in->got)
		n = in->put - in->got;
	memcpy(p, in->data + in->got, n);
	in->got += n;
	if (in->got == in->put)
		in->got = in->put = 0;
	return (ssize_t)n;
}

/* The key pinned instead of a chain, as the library does. */
static int verify(gnutls_session_t tls)
{
	struct end *e = gnutls_session_get_ptr(tls);
	unsigned n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(tls, &n);
	gnutls_pcert_st cert;
	uint8_t id[KEY_ID];
	size_t len = sizeof(id);
	int rc;

	if (!chain || !n ||
	    gnutls_pcert_import_x509_raw(&cert, chain, GNUTLS_X509_FMT_DER, 0) < 0)
		return GNUTLS_E_CERTIFICATE_ERROR;
	rc = gnutls_pubkey_get_key_id(cert.pubkey, GNUTLS_KEYID_USE_SHA256, id, &len);
	gnutls_pcert_deinit(&cert);
	if (rc < 0 || gnutls_memcmp(id, e->expected, sizeof(id)))
		return GNUTLS_E_CERTIFICATE_ERROR;
	e->checked++;
	return 0;
}

static void make_identity(struct end *e)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	size_t len = sizeof(e->key_id);
	time_t now = time(NULL);

	must(gnutls_x509_privkey_init(&key), "key");
	must(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
	     "key");
	must(gnutls_x509_crt_init(&crt), "certificate");
	must(gnutls_x509_crt_set_version(crt, 3), "certificate");
	must(gnutls_x509_crt_set_serial(crt, "\1", 1), "certificate");
	must(gnutls_x509_crt_set_dn(crt, "CN=bench", NULL), "certificate");
	must(gnutls_x509_crt_set_activation_time(crt, now - 3600), "certificate");
	must(gnutls_x509_crt_set_expiration_time(crt, now + 86400), "certificate");
	must(gnutls_x509_crt_set_key(crt, key), "certificate");
	must(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), "certificate");
	must(gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, e->key_id, &len),
	     "key id");
	must(gnutls_certificate_allocate_credentials(&e->cred), "credentials");
	must(gnutls_certificate_set_x509_key(e->cred, &crt, 1, key), "credentials");
	gnutls_certificate_set_verify_function(e->cred, verify);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static void open_session(struct end *e, unsigned side)
{
	const gnutls_datum_t alpn = { (unsigned char *)"snet/1", 6 };

	must(gnutls_init(&e->tls,
			 side | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS),
	     "session");
	must(gnutls_priority_set(e->tls, priority), "priorities");
	must(gnutls_credentials_set(e->tls, GNUTLS_CRD_CERTIFICATE, e->cred), "credentials");
	must(gnutls_alpn_set_protocols(e->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY), "ALPN");
	gnutls_session_set_ptr(e->tls, e);
	gnutls_transport_set_ptr(e->tls, e);
	gnutls_transport_set_push_function(e->tls, push);
	gnutls_transport_set_pull_function(e->tls, pull);
	gnutls_handshake_set_timeout(e->tls, 0); /* the other end is never late */
	e->out.put = e->out.got = 0;
}

static void handshake(struct end *client, struct end *server)
{
	struct end *ends[] = { client, server };
	int rc[] = { GNUTLS_E_AGAIN, GNUTLS_E_AGAIN };

	open_session(client, GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP);
	open_session(server, GNUTLS_SERVER);
	gnutls_certificate_server_set_request(server->tls, GNUTLS_CERT_REQUIRE);
	for (unsigned turn = 0; rc[0] || rc[1]; turn ^= 1) {
		if (!rc[turn])
			continue;
		rc[turn] = gnutls_handshake(ends[turn]->tls);
		if (rc[turn] < 0 && gnutls_error_is_fatal(rc[turn]))
			must(rc[turn], turn ? "server" : "client");
	}
	if (gnutls_session_is_resumed(server->tls) || gnutls_session_is_resumed(client->tls))
		bench_die("a session was resumed: not a full handshake");
	if (gnutls_group_get(server->tls) != GNUTLS_GROUP_X25519)
		bench_die("key exchange is not X25519");
	gnutls_deinit(client->tls);
	gnutls_deinit(server->tls);
}

int main(int argc, char **argv)
{
	static struct end client, server;
	uint64_t n = 2000, begin, elapsed, cpu;
	int c;

	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n')
			return 2;
		n = bench_number(optarg, "-n");
	}
	bench_pin(0);
	must(gnutls_priority_init2(&priority, PRIORITY, NULL, 0), "priorities");
	make_identity(&client);
	make_identity(&server);
	memcpy(client.expected, server.key_id, KEY_ID);
	memcpy(server.expected, client.key_id, KEY_ID);
	client.in = &server.out;
	server.in = &client.out;
	for (unsigned i = 0; i < WARM_UP; i++)
		handshake(&client, &server);
	begin = bench_now_ns();
	cpu = bench_cpu_ns();
	for (uint64_t i = 0; i < n; i++)
		handshake(&client, &server);
	elapsed = bench_now_ns() - begin;
	cpu = bench_cpu_ns() - cpu;
	if (client.checked != n + WARM_UP || server.checked != n + WARM_UP)
		bench_die("a certificate was not checked: not a mutual handshake");
	printf("{\"handshakes\":%llu,\"per_second\":%.1f,\"cpu_us\":%.1f}\n",
	       (unsigned long long)n, (double)n * 1e9 / (double)elapsed,
	       (double)cpu / 1e3 / (double)n);
	gnutls_certificate_free_credentials(client.cred);
	gnutls_certificate_free_credentials(server.cred);
	gnutls_priority_deinit(priority);
	return 0;
}
