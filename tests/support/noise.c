/* noise: datagrams from nobody, for a listening endpoint.
 *
 *   noise -n N ADDRESS                N datagrams of random bytes, random lengths
 *   noise -n N -i [-c BYTES] ADDRESS  N first packets of N clients that are never heard of
 *                                     again: real Initials, each with its ClientHello;
 *                                     -c: cut to so many bytes
 *   noise -n N -i -x ADDRESS          the same with one bit turned over in each
 *
 * The Initials are made by the library, which dials a socket of ours; what comes there
 * is sent on, what is answered is only counted. Prints
 * {"sent":N,"retries":N,"answers":N} at the end, which is when nothing has come for half a
 * second, or for two where something came before. ADDRESS: quic://127.0.0.1:9000 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/allow.h"
#include "crypto/identity.h"
#include "io/loop.h"
#include "transport/transport.h"

#define SILENCE (500 * SNET_MS)
#define ANSWERING (2 * SNET_SEC)

static struct noise {
	struct snet_loop *loop;
	struct snet_addr target;
	struct snet_timer timer;
	struct snet_endpoint *endpoint;
	int mouth, ear; /* what is sent from and answered to; what our own clients dial */
	size_t wanted, sent, retries, answers, cut;
	bool initials, flip;
} z;

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "noise: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int udp(struct snet_addr *at)
{
	socklen_t n = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), room = 4 << 20;

	snet_addr_parse(at, "127.0.0.1:0");
	if (fd < 0 || bind(fd, &at->sa, snet_addr_len(at)) || getsockname(fd, &at->sa, &n))
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	return fd;
}

static void rest(void)
{
	snet_timer_set(z.loop, &z.timer,
		       snet_loop_now(z.loop) + (z.answers ? ANSWERING : SILENCE));
}

static void send_one(uint8_t *p, size_t n)
{
	if (z.sent == z.wanted)
		return;
	if (z.flip)
		p[n / 2] ^= 1;
	if (z.cut && n > z.cut)
		n = z.cut;
	if (sendto(z.mouth, p, n, 0, &z.target.sa, snet_addr_len(&z.target)) < 0 &&
	    errno != ECONNREFUSED)
		die("send");
	z.sent++;
	rest();
}

static void on_ear(struct snet_io *io, int ready, void *user)
{
	uint8_t p[65536];
	ssize_t n;

	(void)io, (void)ready, (void)user;
	while ((n = recv(z.ear, p, sizeof(p), 0)) > 0)
		send_one(p, (size_t)n);
}

static void on_mouth(struct snet_io *io, int ready, void *user)
{
	uint8_t p[65536];
	ssize_t n;

	(void)io, (void)ready, (void)user;
	while ((n = recv(z.mouth, p, sizeof(p), 0)) > 0) {
		z.answers++;
		z.retries += (p[0] & 0xf0) == 0xf0; /* RFC 9000 §17.2.5 */
		rest();
	}
}

static void send_random(void)
{
	uint8_t p[2048];
	uint16_t n;

	while (z.sent < z.wanted) {
		if (getrandom(&n, sizeof(n), 0) != sizeof(n) || getrandom(p, sizeof(p), 0) < 0)
			die("random");
		/* Half of them look like QUIC at first sight. */
		if (z.sent & 1)
			memcpy(p, "\xc3\0\0\0\1\x12", 6);
		send_one(p, n % 1500);
	}
}

/* ---- our own clients, who dial the ear */

static void on_conn(struct snet_conn *c, void *user)
{
	(void)c, (void)user;
}

static void on_close(struct snet_conn *c, int code, const char *why, bool by_peer, void *user)
{
	(void)c, (void)code, (void)why, (void)by_peer, (void)user;
}

static const struct snet_conn_events events = { .on_open = on_conn, .on_close = on_close };

static void on_silence(struct snet_timer *t, snet_time now)
{
	/* If it was not only silent but we stood still, there may be something to hear. */
	if (now - t->deadline >= SILENCE / 2)
		rest();
	else
		snet_loop_stop(z.loop);
}

static void options(int argc, char **argv)
{
	struct snet_error err = { 0 };
	struct snet_url url;
	char plain[SNET_ADDR_TEXT];
	int c;

	while ((c = getopt(argc, argv, "n:c:ix")) != -1) {
		if (c == 'n')
			z.wanted = strtoul(optarg, NULL, 10);
		else if (c == 'c')
			z.cut = strtoul(optarg, NULL, 10);
		else if (c == 'i')
			z.initials = true;
		else if (c == 'x')
			z.flip = true;
		else
			exit(2);
	}
	if (optind + 1 != argc || snet_url_parse(&url, argv[optind], &err))
		die("address");
	snprintf(plain, sizeof(plain), "%.40s:%u", url.host, url.port);
	if (snet_addr_parse(&z.target, plain))
		die(plain);
}

static void dial_all(const struct snet_transport_config *config, const struct snet_addr *to)
{
	struct snet_error err = { 0 };
	struct snet_conn *conn;
	struct snet_addr any;

	snet_addr_parse(&any, "127.0.0.1:0");
	if (snet_transport_quic.bind(&z.endpoint, z.loop, &any, -1, config, NULL, NULL, &err))
		die(err.text);
	for (size_t i = 0; i < z.wanted; i++)
		if (snet_transport_quic.dial(&conn, z.endpoint, to, NULL, &events, NULL, &err))
			die(err.text);
}

int main(int argc, char **argv)
{
	struct snet_transport_config config = { .handshake_timeout = 60 * SNET_SEC };
	struct snet_identity *identity;
	struct snet_error err = { 0 };
	struct snet_addr ear, mouth;
	struct snet_trust *trust;
	struct snet_io *in, *back;

	options(argc, argv);
	if (snet_loop_new(&z.loop) || snet_trust_new(&trust, &err) ||
	    snet_identity_new(&identity, SNET_KEY_P256, NULL, &err))
		die(err.text);
	snet_trust_set_insecure(trust);
	config.identity = identity;
	config.trust = trust;
	z.ear = udp(&ear);
	z.mouth = udp(&mouth);
	z.timer.fn = on_silence;
	in = snet_io_new(z.loop, z.ear, on_ear, NULL);
	back = snet_io_new(z.loop, z.mouth, on_mouth, NULL);
	snet_io_want(in, SNET_READ);
	snet_io_want(back, SNET_READ);
	if (z.initials)
		dial_all(&config, &ear);
	else
		send_random();
	rest();
	snet_loop_run(z.loop);
	printf("{\"sent\":%zu,\"retries\":%zu,\"answers\":%zu}\n", z.sent, z.retries,
	       z.answers);
	snet_timer_stop(z.loop, &z.timer);
	snet_transport_quic.unbind(z.endpoint);
	snet_io_free(in);
	snet_io_free(back);
	close(z.ear);
	close(z.mouth);
	snet_trust_free(trust);
	snet_identity_free(identity);
	snet_loop_free(z.loop);
	return 0;
}
