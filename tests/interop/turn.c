/* turn: two clients of one TURN server, each with an allocation, talk through it: by
 * indication, by channel, with long and empty datagrams; then both refresh, and give back what
 * they had.
 *
 *   turn udp|tcp|tls ADDRESS CRED-FILE [ROUNDS [NAME CA-FILE]]
 *
 * Prints a line for each step, and why it ended otherwise; the exit status is that of the
 * error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"
#include "io/udp.h"
#include "nat/turn_cred.h"
#include "nat/turn_io.h"

#define PATIENCE (20 * SNET_SEC)
#define LOST (300 * SNET_MS) /* then a datagram is sent again */
#define DATA_MAX 1400

enum step { ALLOCATE, PERMIT, INDICATIONS, BIND, CHANNELS, REFRESH, RELEASE };
static const char *const names[] = { "allocated",  "permitted", "by indication", "bound",
				     "by channel", "refreshed", "released" };

struct client {
	struct snet_turn_io *io;
	struct snet_udp *udp;
	struct snet_addr relayed;
	unsigned done; /* of this step */
};

static struct {
	struct snet_loop *loop;
	struct client c[2];
	enum step step;
	unsigned round, rounds, again;
	int rc;
	struct snet_timer timer, patience;
} at;

static void end(int rc)
{
	at.rc = rc;
	snet_loop_stop(at.loop);
}

static void must(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "turn: %s: %s\n", what, snet_err_text(rc));
	end(rc);
}

static void begin(enum step step);

static void did(struct client *c)
{
	c->done++;
	if (at.c[0].done && at.c[1].done) {
		printf("%s\n", names[at.step]);
		if (at.step == RELEASE)
			end(SNET_OK);
		else
			begin(at.step + 1);
	}
}

/* ---- data: client 0 asks, 1 answers with the same. Each round has a length of its own. */

static size_t fill(uint8_t p[static DATA_MAX])
{
	size_t n = at.round % 7 ? at.round * 37 % DATA_MAX : at.round / 7 % 2 ? 0 : DATA_MAX;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(at.round + i);
	return n;
}

static void ask(void)
{
	uint8_t p[DATA_MAX];
	size_t n = fill(p);

	must(snet_turn_io_send(at.c[0].io, &at.c[1].relayed, p, n), "send");
	must(snet_timer_set(at.loop, &at.timer, snet_loop_now(at.loop) + LOST), "timer");
}

static void on_data(struct client *c, const struct snet_turn_event *ev)
{
	uint8_t p[DATA_MAX];
	size_t n = fill(p);

	if (!snet_addr_eq(&ev->peer, &at.c[c == &at.c[0]].relayed)) {
		must(SNET_EPROTO, "data of somebody else");
	} else if (c == &at.c[1]) {
		must(snet_turn_io_send(c->io, &at.c[0].relayed, ev->p, ev->n), "answer");
	} else if (ev->n != n || (n && memcmp(ev->p, p, n))) {
		if (!at.again) /* else it may be a late double */
			must(SNET_EPROTO, "other data than was sent");
	} else if (++at.round % at.rounds) {
		ask();
	} else {
		snet_timer_stop(at.loop, &at.timer);
		at.c[1].done = 1;
		did(c);
	}
}

static void on_lost(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	if (at.again++ < 10)
		ask();
	else
		must(SNET_ETIMEOUT, "data");
}

static void on_patience(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	must(SNET_ETIMEOUT, names[at.step]);
}

/* ---- steps */

static void on_refreshed(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	at.c[1].done = 1;
	did(&at.c[0]); /* had it failed, it had been told */
}

static void begin(enum step step)
{
	at.step = step;
	for (unsigned i = 0; i < 2; i++) {
		struct client *c = &at.c[i];
		const struct snet_addr *peer = &at.c[!i].relayed;

		c->done = 0;
		if (step == PERMIT)
			must(snet_turn_io_permit(c->io, peer), "permit");
		else if (step == BIND)
			must(snet_turn_io_bind(c->io, peer), "bind");
		else if (step == REFRESH)
			must(snet_turn_io_refresh(c->io), "refresh");
		else if (step == RELEASE)
			must(snet_turn_io_release(c->io), "release");
	}
	if (step == INDICATIONS || step == CHANNELS)
		ask();
	if (step == REFRESH) {
		at.timer.fn = on_refreshed;
		must(snet_timer_set(at.loop, &at.timer, snet_loop_now(at.loop) + LOST),
		     "timer");
	}
}

static void on_event(const struct snet_turn_event *ev, void *user)
{
	struct client *c = user;
	char relayed[SNET_ADDR_TEXT], mapped[SNET_ADDR_TEXT];

	switch (ev->what) {
	case SNET_TURN_ALLOCATED:
		c->relayed = ev->relayed[!ev->relayed[0].sa.sa_family];
		printf("relayed %s mapped %s lifetime %u\n",
		       snet_addr_print(&c->relayed, relayed),
		       snet_addr_print(&ev->mapped, mapped), ev->lifetime_s);
		did(c);
		break;
	case SNET_TURN_REDIRECTED:
		printf("redirected to %s\n", snet_addr_print(&ev->peer, relayed));
		break;
	case SNET_TURN_PERMITTED:
		if (at.step == PERMIT)
			did(c);
		break;
	case SNET_TURN_BOUND:
		did(c);
		break;
	case SNET_TURN_DATA:
		on_data(c, ev);
		break;
	case SNET_TURN_CLOSED:
		if (!ev->error.code && at.step == RELEASE) {
			did(c);
			break;
		}
		fprintf(stderr, "turn: closed: %s, status %d\n", ev->error.text, ev->status);
		end(ev->error.code ? ev->error.code : SNET_ELOST);
		break;
	default:
		fprintf(stderr, "turn: event %d: %s\n", ev->what, ev->error.text);
		end(ev->error.code ? ev->error.code : SNET_EPROTO);
	}
}

/* ---- the shared socket of UDP */

static void on_send(const struct snet_addr *server, const uint8_t *p, size_t n, void *user)
{
	struct client *c = user;
	struct snet_path path = { .remote = *server };

	snet_udp_address(c->udp, &path.local);
	if (snet_udp_is_blocked(c->udp))
		return;
	memcpy(snet_udp_scratch(c->udp), p, n);
	snet_udp_send(c->udp, &path, 0, n, n);
}

static void on_stun(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct client *c = user;

	if (c->io)
		snet_turn_io_input(c->io, &path->remote, p, n);
}

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	(void)ecn;
	on_stun(path, p, n, user);
}

static void on_nothing(const struct snet_addr *remote, void *user)
{
	(void)remote, (void)user;
}

static void on_writable(void *user)
{
	(void)user;
}

static const struct snet_udp_events udp_events = { on_datagram, on_stun, on_nothing,
						   on_writable };
static const struct snet_turn_io_events events = { on_event, on_send };

static int open_client(struct client *c, const struct snet_turn_io_opts *o,
		       struct snet_error *err)
{
	struct snet_addr any;
	int rc = snet_addr_parse(&any, o->turn.server.sa.sa_family == AF_INET6 ? "[::1]:0"
									       : "127.0.0.1:0");

	if (!rc && o->over == SNET_TURN_UDP)
		rc = snet_udp_open(&c->udp, at.loop, &any, -1, &(struct snet_udp_opts){ 0 },
				   &udp_events, c, err);
	return rc ? rc : snet_turn_io_new(&c->io, at.loop, o, &events, c, err);
}

static int run(const struct snet_turn_io_opts *o, struct snet_error *err)
{
	int rc = snet_loop_new(&at.loop);

	if (rc)
		return snet_fail(err, rc, "loop");
	at.timer.fn = on_lost;
	at.patience.fn = on_patience;
	rc = snet_timer_set(at.loop, &at.patience, snet_loop_now(at.loop) + PATIENCE);
	for (unsigned i = 0; i < 2 && !rc; i++)
		rc = open_client(&at.c[i], o, err);
	if (!rc)
		snet_loop_run(at.loop);
	for (unsigned i = 0; i < 2; i++) {
		snet_turn_io_free(at.c[i].io);
		snet_udp_close(at.c[i].udp);
	}
	snet_timer_stop(at.loop, &at.timer);
	snet_timer_stop(at.loop, &at.patience);
	snet_loop_free(at.loop);
	if (!rc && at.rc)
		rc = snet_fail(err, at.rc, "stopped after %u rounds", at.round);
	return rc;
}

int main(int argc, char **argv)
{
	struct snet_turn_io_opts o = { .name = argc > 6 ? argv[5] : NULL,
				       .ca = argc > 6 ? argv[6] : NULL };
	struct snet_turn_cred cred;
	struct snet_error err = { 0 };
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4 || snet_addr_parse(&o.turn.server, argv[2])) {
		fprintf(stderr, "usage: turn udp|tcp|tls ADDRESS CRED-FILE "
				"[ROUNDS [NAME CA-FILE]]\n");
		return SNET_EXIT_USAGE;
	}
	o.over = !strcmp(argv[1], "tls")   ? SNET_TURN_TLS
		 : !strcmp(argv[1], "tcp") ? SNET_TURN_TCP
					   : SNET_TURN_UDP;
	if (o.turn.server.sa.sa_family == AF_INET6)
		o.turn.families = SNET_TURN_IPV6;
	at.rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 20;
	rc = snet_turn_cred_load(&cred, argv[3], &err);
	if (!rc) {
		o.turn.user = cred.user;
		o.turn.password = cred.password;
		o.turn.realm = *cred.realm ? cred.realm : NULL;
		o.turn.userhash = true;
		rc = run(&o, &err);
	}
	snet_turn_cred_wipe(&cred);
	if (rc)
		fprintf(stderr, "turn: %s\n", err.text);
	return (int)snet_err_exit(rc);
}
