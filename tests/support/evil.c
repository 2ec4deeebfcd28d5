/* evil: an authenticated QUIC peer that misbehaves as told. It stands on the library's
 * transport, below hello, frames and records, so that it can get all of these wrong.
 *
 *   evil [-k KEY] [-C PEM | -R PEM] [-b FILE] [-p] ADDRESS STEP...    dials
 *   evil [-k KEY] [-C PEM | -R PEM] [-b FILE] [-p] -l STEP...         listens, does the steps
 *                                              to whoever comes
 *
 * Steps, in order: hello, sync (the crate's first byte), hex=BYTES, zeros=N, stream=N (what
 * follows goes there), drip=MS (what follows goes a byte at a time), await=N (until so many
 * bytes have come), deaf (from here on what comes is not consumed), fin, close. -C presents a
 * key and certificates nobody has looked at ("-": none), -R the first's key without them ("-":
 * none); with -b FILE these bytes stand in its place. -p speaks the crate's profile. Prints
 * JSON lines: listening, open, done (the last step), eof, closed; ends when the connection
 * does, or with SIGTERM. */
#include <getopt.h>
#include <gnutls/abstract.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/allow.h"
#include "crypto/credentials.h"
#include "io/loop.h"
#include "obs/encode.h"
#include "transport/transport.h"
#include "wire/envelope.h"
#include "wire/frame.h"

static struct evil {
	struct snet_loop *loop;
	struct snet_identity *identity;
	struct snet_trust *trust;
	struct snet_transport_config config;
	struct snet_endpoint *endpoint;
	struct snet_conn *conn;
	struct snet_timer timer;
	char **step;
	struct snet_buf out; /* what the step under way still has to send */
	unsigned stream;
	snet_time drip;
	uint64_t received;
	bool deaf, done;
} e = { .out = { .max = 512 << 20 } };

static const char *presented; /* -C, -R */
static bool raw;              /* -R */
static const char *bytes;     /* -b */

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "evil: %s\n", what);
	exit(1);
}

/* Linked with --wrap: what the library would refuse to load is presented all the same. */
void __real_snet_credentials_show(const struct snet_credentials *c,
				  gnutls_certificate_type_t type, gnutls_pcert_st **certs,
				  unsigned *n, gnutls_privkey_t *key);
void __wrap_snet_credentials_show(const struct snet_credentials *c,
				  gnutls_certificate_type_t type, gnutls_pcert_st **certs,
				  unsigned *n, gnutls_privkey_t *key);
bool __wrap_snet_trust_has_ca(const struct snet_trust *t);

/* -C: raw keys are not offered, so that the chain is what is shown. */
bool __wrap_snet_trust_has_ca(const struct snet_trust *t)
{
	(void)t;
	return presented && !raw;
}

/* Nothing is sorted, completed or checked on the way,
 * as gnutls_certificate_set_x509_key would. */
static gnutls_pcert_st *chain;
static unsigned chain_n;
static gnutls_privkey_t chain_key;

static void load_chain(const char *path)
{
	gnutls_x509_crt_t *crts;
	gnutls_x509_privkey_t key;
	gnutls_datum_t pem;

	if (gnutls_load_file(path, &pem) ||
	    gnutls_x509_crt_list_import2(&crts, &chain_n, &pem, GNUTLS_X509_FMT_PEM, 0) ||
	    gnutls_x509_privkey_init(&key) ||
	    gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM) ||
	    gnutls_privkey_init(&chain_key) ||
	    gnutls_privkey_import_x509(chain_key, key, GNUTLS_PRIVKEY_IMPORT_AUTO_RELEASE))
		die("certificates");
	chain = calloc(chain_n, sizeof(*chain));
	for (unsigned i = 0; chain && i < chain_n; i++) {
		if (gnutls_pcert_import_x509(&chain[i], crts[i], 0))
			die("certificate");
		gnutls_x509_crt_deinit(crts[i]);
	}
	gnutls_free(crts);
	gnutls_free(pem.data);
}

static void bare(void)
{
	gnutls_pcert_st key;

	if (gnutls_pcert_import_rawpk(&key, chain[0].pubkey, 0))
		die("key");
	chain[0].pubkey = NULL;
	while (chain_n)
		gnutls_pcert_deinit(&chain[--chain_n]);
	chain[chain_n++] = key;
}

static void put_bytes(const char *path)
{
	gnutls_free(chain[0].cert.data);
	if (gnutls_load_file(path, &chain[0].cert))
		die("bytes");
}

static void drop_chain(void)
{
	for (unsigned i = 0; i < chain_n; i++)
		gnutls_pcert_deinit(&chain[i]);
	free(chain);
	gnutls_privkey_deinit(chain_key);
}

void __wrap_snet_credentials_show(const struct snet_credentials *c,
				  gnutls_certificate_type_t type, gnutls_pcert_st **certs,
				  unsigned *n, gnutls_privkey_t *key)
{
	if (!presented) {
		__real_snet_credentials_show(c, type, certs, n, key);
		return;
	}
	*certs = chain;
	*n = chain_n;
	*key = chain_key;
}

/* ---- steps */

static void add_hello(void)
{
	struct snet_envelope hello = { .tag = SNET_ENVELOPE_HANDSHAKE };
	struct snet_buf b = SNET_BUF(256);
	uint8_t head[SNET_FRAME_HEAD];

	hello.handshake.old = true;
	hello.handshake.id = 7;
	hello.handshake.role = (struct snet_slice){ (const uint8_t *)"CLIENT", 6, NULL };
	if (snet_envelope_encode(&hello, &b))
		die("hello");
	snet_frame_head(head, (uint32_t)b.n);
	snet_buf_add(&e.out, head, sizeof(head));
	snet_buf_add(&e.out, b.p, b.n);
	snet_buf_free(&b);
}

static void add_hex(const char *text)
{
	size_t n = strlen(text);
	uint8_t *to = snet_buf_room(&e.out, n + 1);

	if (!to || snet_hex_decode(to, &n, (const uint8_t *)text, n))
		die("hex");
	snet_buf_took(&e.out, n);
}

static void add_zeros(uint64_t n)
{
	uint8_t *to = snet_buf_room(&e.out, n);

	if (!to)
		die("zeros");
	memset(to, 0, n);
	snet_buf_took(&e.out, n);
}

/* True: done with it, once e.out is empty. */
static bool begin_step(const char *s)
{
	const char *value = strchr(s, '=');
	uint64_t n = value ? strtoull(value + 1, NULL, 10) : 0;

	if (!strcmp(s, "hello"))
		add_hello();
	else if (!strcmp(s, "sync"))
		snet_buf_u8(&e.out, 0xff);
	else if (!strncmp(s, "hex=", 4))
		add_hex(value + 1);
	else if (!strncmp(s, "zeros=", 6))
		add_zeros(n);
	else if (!strncmp(s, "stream=", 7))
		e.stream = (unsigned)n;
	else if (!strncmp(s, "drip=", 5))
		e.drip = n * SNET_MS;
	else if (!strncmp(s, "await=", 6))
		return e.received >= n;
	else if (!strcmp(s, "deaf"))
		e.deaf = true;
	else if (!strcmp(s, "fin"))
		e.conn->transport->finish(e.conn, e.stream);
	else if (!strcmp(s, "close"))
		e.conn->transport->close(e.conn, SNET_OK, "");
	else
		die(s);
	return true;
}

/* False: the transport is full, on_drain comes; or it drips, and the timer does. */
static bool send_out(void)
{
	while (e.out.n) {
		size_t n = e.drip ? 1 : e.out.n < 65536 ? e.out.n : 65536;
		struct snet_slice s = { e.out.p, n, NULL };

		if (!e.conn->transport->can_send(e.conn) ||
		    e.conn->transport->send(e.conn, e.stream, &s, 1))
			return false;
		snet_buf_drop(&e.out, n);
		if (e.drip && e.out.n) {
			snet_timer_set(e.loop, &e.timer, snet_loop_now(e.loop) + e.drip);
			return false;
		}
	}
	return true;
}

static void go_on(void)
{
	while (e.conn && !e.timer.slot && send_out()) {
		if (!*e.step && !e.done) {
			e.done = true;
			printf("{\"event\":\"done\"}\n");
		}
		if (!*e.step || !begin_step(*e.step))
			return;
		e.step++;
	}
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	(void)t;
	(void)now;
	go_on();
}

/* ---- the connection */

static void on_open(struct snet_conn *c, void *user)
{
	(void)user;
	e.conn = c;
	printf("{\"event\":\"open\",\"profile\":\"%s\"}\n",
	       c->profile == SNET_PROFILE_SNET1 ? "snet/1" : "stoffelnet-0.1");
	go_on();
}

static void on_data(struct snet_conn *c, unsigned stream, const uint8_t *p, size_t n, bool fin,
		    void *user)
{
	(void)p;
	(void)user;
	e.received += n;
	if (!e.deaf)
		c->transport->consumed(c, stream, n);
	if (fin)
		printf("{\"event\":\"eof\",\"received\":%" PRIu64 "}\n", e.received);
	go_on();
}

static void on_drain(struct snet_conn *c, void *user)
{
	(void)c;
	(void)user;
	go_on();
}

static void on_flushed(struct snet_conn *c, void *user)
{
	(void)c;
	(void)user;
}

static void on_close(struct snet_conn *c, int code, const char *why, bool by_peer, void *user)
{
	(void)c;
	(void)user;
	e.conn = NULL;
	printf("{\"event\":\"closed\",\"reason\":\"%s\",\"text\":\"%s\",\"by_peer\":%s,"
	       "\"received\":%" PRIu64 "}\n",
	       code ? snet_err_name(code) : "ok", why, by_peer ? "true" : "false", e.received);
	snet_loop_stop(e.loop);
}

static const struct snet_conn_events events = { on_open, on_data, on_drain, on_flushed,
						on_close };

/* on_open is not called for these. The first is served, the others are turned away. */
static void on_accept(struct snet_endpoint *at, struct snet_conn *c, void *user)
{
	(void)at;
	if (e.conn) {
		c->transport->close(c, SNET_EPOLICY, "one at a time");
		return;
	}
	c->events = &events;
	on_open(c, user);
}

static void on_refused(struct snet_endpoint *at, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	(void)at, (void)from, (void)code, (void)user;
	fprintf(stderr, "evil: refused: %s\n", why);
}

static const struct snet_endpoint_events endpoint_events = { on_accept, on_refused };

/* ---- life */

static void on_term(int signo, void *user)
{
	(void)signo, (void)user;
	snet_loop_stop(e.loop);
}

static void dial(const char *text)
{
	struct snet_error err = { 0 };
	struct snet_url url;
	struct snet_addr to;
	char plain[SNET_ADDR_TEXT];

	if (snet_url_parse(&url, text, &err))
		die(err.text);
	snprintf(plain, sizeof(plain), "%.40s:%u", url.host, url.port);
	if (snet_addr_parse(&to, plain) ||
	    snet_transport_quic.dial(&e.conn, e.endpoint, &to, NULL, &events, NULL, &err))
		die("cannot dial");
}

static void say_listening(void)
{
	char text[SNET_ADDR_TEXT], key[SNET_KEYID_TEXT];
	struct snet_addr at;

	snet_transport_quic.address(e.endpoint, &at);
	printf("{\"event\":\"listening\",\"address\":\"quic://%s#%s\"}\n",
	       snet_addr_print(&at, text),
	       snet_keyid_print(snet_identity_keyid(e.identity), key));
}

static void options(int argc, char **argv, const char **key, bool *listens)
{
	int c;

	while ((c = getopt(argc, argv, "+k:C:R:b:pl")) != -1) {
		if (c == 'k')
			*key = optarg;
		else if (c == 'C' || c == 'R')
			presented = optarg, raw = c == 'R';
		else if (c == 'b')
			bytes = optarg;
		else if (c == 'p')
			e.config.crate_only = true;
		else if (c == 'l')
			*listens = true;
		else
			exit(2);
	}
	if (!*listens && optind == argc)
		die("whom to dial?");
}

static void start(const char *key, bool listens)
{
	struct snet_error err = { 0 };
	struct snet_addr at;

	if (snet_loop_new(&e.loop) || snet_trust_new(&e.trust, &err) ||
	    (key ? snet_identity_load(&e.identity, key, &err)
		 : snet_identity_new(&e.identity, SNET_KEY_P256, NULL, &err)))
		die(err.text);
	if (presented && strcmp(presented, "-") != 0) {
		load_chain(presented);
		if (raw)
			bare();
		if (bytes)
			put_bytes(bytes);
	}
	snet_trust_set_insecure(e.trust);
	e.config.identity = e.identity;
	e.config.trust = e.trust;
	e.config.role = SNET_ROLE_CLIENT;
	e.timer.fn = on_timer;
	snet_addr_parse(&at, "127.0.0.1:0");
	if (snet_transport_quic.bind(&e.endpoint, e.loop, &at, -1, &e.config,
				     listens ? &endpoint_events : NULL, NULL, &err))
		die(err.text);
}

int main(int argc, char **argv)
{
	struct snet_signal *term;
	const char *key = NULL;
	bool listens = false;

	setvbuf(stdout, NULL, _IOLBF, 0);
	options(argc, argv, &key, &listens);
	start(key, listens);
	e.step = argv + optind + (listens ? 0 : 1);
	if (listens)
		say_listening();
	else
		dial(argv[optind]);
	term = snet_signal_new(e.loop, SIGTERM, on_term, NULL);
	snet_loop_run(e.loop);
	snet_signal_free(term);
	snet_timer_stop(e.loop, &e.timer);
	snet_transport_quic.unbind(e.endpoint);
	drop_chain();
	snet_buf_free(&e.out);
	snet_trust_free(e.trust);
	snet_identity_free(e.identity);
	snet_loop_free(e.loop);
	return 0;
}
