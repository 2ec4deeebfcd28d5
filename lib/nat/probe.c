#include "nat/probe.h"

#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "io/loop.h"
#include "io/udp.h"

#define SOCKETS (1 + SNET_BEHAVIOUR_LIVES)

struct end { /* one socket, and which */
	struct snet_probe *probe;
	struct snet_udp *udp;
	unsigned number;
};

struct snet_probe {
	struct snet_loop *loop;
	const struct snet_probe_events *ev;
	void *user;
	struct end ends[SOCKETS];
	struct snet_timer timer;
	struct snet_task turn;
	struct snet_stun stun;
	struct snet_behaviour behaviour;
	struct snet_nat said;
	bool running, told;
};

/* ---- the machines' wants */

static void send_due(struct snet_probe *p, snet_time now)
{
	const struct snet_stun_ask *ask;
	uint8_t b[SNET_STUN_ASK_MAX];
	size_t n;

	while ((n = snet_stun_send(&p->stun, now, b, &ask))) {
		struct snet_path path = { .remote = ask->to };
		struct snet_udp *u = p->ends[ask->via].udp;

		if (!u || snet_udp_is_blocked(u))
			continue; /* as if lost: it is sent again */
		memcpy(snet_udp_scratch(u), b, n);
		snet_udp_send(u, &path, 0, n, n);
	}
}

static void ask_wanted(struct snet_probe *p, snet_time now)
{
	struct snet_stun_ask ask;
	uint8_t id[SNET_STUN_ID];

	while (snet_behaviour_next(&p->behaviour, now, &ask)) {
		struct snet_stun_answer none = { .tag = ask.tag, .code = SNET_EIO };

		if (snet_random(id, sizeof(id)) || snet_stun_ask(&p->stun, &ask, id, now))
			snet_behaviour_answer(&p->behaviour, &none, now);
	}
}

static void take_answer(struct snet_probe *p, const struct snet_stun_answer *a, snet_time now)
{
	snet_behaviour_answer(&p->behaviour, a, now);
	if (a->tag < SNET_BEHAVIOUR_SERVERS)
		p->ev->on_answer(a->tag, a, p->user);
}

static bool is_same(const struct snet_nat *a, const struct snet_nat *b)
{
	return a->kind == b->kind && a->mapping == b->mapping && a->filtering == b->filtering &&
	       a->hairpin == b->hairpin && a->lived == b->lived && a->gone == b->gone;
}

/* on_over, last, may free the probe. */
static void tell(struct snet_probe *p)
{
	struct snet_nat v;
	bool over = snet_behaviour_is_over(&p->behaviour);

	if (over || snet_behaviour_is_decided(&p->behaviour)) {
		snet_behaviour_verdict(&p->behaviour, &v);
		if (!over) /* a search that goes on has found nothing yet */
			v.lived = v.gone = 0;
		if (!p->told || !is_same(&v, &p->said)) {
			p->told = true;
			p->said = v;
			p->ev->on_verdict(&v, p->user);
		}
	}
	if (over) {
		p->running = false;
		p->ev->on_over(p->user);
	}
}

static void advance(struct snet_probe *p, snet_time now)
{
	struct snet_stun_answer a;
	snet_time one, two;

	if (!p->running)
		return;
	do {
		ask_wanted(p, now);
		send_due(p, now);
		while (snet_stun_over(&p->stun, now, &a))
			take_answer(p, &a, now);
	} while (snet_behaviour_deadline(&p->behaviour) <= now);
	one = snet_behaviour_deadline(&p->behaviour);
	two = snet_stun_deadline(&p->stun);
	/* Out of memory for a timer: the next datagram or nothing, as for a lost answer. */
	snet_timer_set(p->loop, &p->timer, one < two ? one : two);
	tell(p);
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	advance(t->user, now);
}

static void on_turn(struct snet_task *t)
{
	struct snet_probe *p = t->user;

	advance(p, snet_loop_now(p->loop));
}

/* ---- the sockets' news; what follows from it happens at the end of the turn, since on_over
 * may close them */

static void on_stun(const struct snet_path *path, uint8_t *b, size_t n, void *user)
{
	struct end *e = user;
	struct snet_probe *p = e->probe;
	snet_time now =
		snet_now(); /* the loop's time is that of the turn: too old for an RTT */
	struct snet_stun_answer a;

	if (!p->running ||
	    snet_stun_take(&p->stun, e->number, &path->remote, b, n, now, &a) != SNET_OK)
		return;
	take_answer(p, &a, now);
	snet_task_defer(p->loop, &p->turn);
}

static void on_unreachable(const struct snet_addr *remote, void *user)
{
	struct end *e = user;

	snet_stun_unreachable(&e->probe->stun, remote);
	snet_task_defer(e->probe->loop, &e->probe->turn);
}

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *b, size_t n,
			void *user)
{
	(void)path, (void)ecn, (void)b, (void)n, (void)user; /* nobody we know */
}

static void on_writable(void *user)
{
	(void)user; /* what did not go out is sent again in its time */
}

static const struct snet_udp_events udp_events = {
	.on_datagram = on_datagram,
	.on_stun = on_stun,
	.on_unreachable = on_unreachable,
	.on_writable = on_writable,
};

/* ---- life */

static int open_end(struct snet_probe *p, unsigned i, const struct snet_addr *at,
		    struct snet_error *err)
{
	const struct snet_udp_opts o = { .v6_only = true };

	if (p->ends[i].udp)
		return SNET_OK;
	p->ends[i].probe = p;
	p->ends[i].number = i;
	return snet_udp_open(&p->ends[i].udp, p->loop, at, -1, &o, &udp_events, &p->ends[i],
			     err);
}

int snet_probe_new(struct snet_probe **out, struct snet_loop *l, const struct snet_addr *at,
		   const struct snet_probe_events *ev, void *user, struct snet_error *err)
{
	struct snet_probe *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return snet_fail(err, SNET_ENOMEM, "probe");
	p->loop = l;
	p->ev = ev;
	p->user = user;
	p->timer = (struct snet_timer){ .fn = on_timer, .user = p };
	snet_task_init(&p->turn, on_turn, p);
	rc = open_end(p, 0, at, err);
	if (rc) {
		free(p);
		return rc;
	}
	*out = p;
	return SNET_OK;
}

void snet_probe_free(struct snet_probe *p)
{
	if (!p)
		return;
	snet_timer_stop(p->loop, &p->timer);
	snet_task_cancel(&p->turn);
	for (unsigned i = 0; i < SOCKETS; i++)
		snet_udp_close(p->ends[i].udp);
	free(p);
}

void snet_probe_address(const struct snet_probe *p, struct snet_addr *out)
{
	snet_udp_address(p->ends[0].udp, out);
}

const struct snet_behaviour *snet_probe_behaviour(const struct snet_probe *p)
{
	return &p->behaviour;
}

/* In place of "every address": the one the kernel sends from. */
static void find_source(struct snet_addr *local, const struct snet_addr *to)
{
	uint16_t port = snet_addr_port(local);
	struct snet_addr a = { 0 };
	socklen_t n = sizeof(a);
	int fd;

	if (!snet_addr_is_any(local))
		return;
	fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (!connect(fd, &to->sa, snet_addr_len(to)) && !getsockname(fd, &a.sa, &n)) {
		*local = a;
		snet_addr_set_port(local, port);
	}
	close(fd);
}

/* Where the others are bound: as the first is, any port. */
static int open_lives(struct snet_probe *p, struct snet_error *err)
{
	struct snet_addr at;
	int rc = SNET_OK;

	snet_udp_address(p->ends[0].udp, &at);
	snet_addr_set_port(&at, 0);
	for (unsigned i = 1; i < SOCKETS && !rc; i++)
		rc = open_end(p, i, &at, err);
	return rc;
}

int snet_probe_start(struct snet_probe *p, const struct snet_behaviour_opts *o,
		     const struct snet_addr *servers, unsigned n, struct snet_error *err)
{
	struct snet_addr local;
	int rc = o->lifetime ? open_lives(p, err) : SNET_OK;

	if (rc)
		return rc;
	snet_udp_address(p->ends[0].udp, &local);
	if (n)
		find_source(&local, &servers[0]);
	snet_stun_init(&p->stun, NULL);
	snet_behaviour_init(&p->behaviour, o, &local, servers, n, snet_loop_now(p->loop));
	p->running = true;
	p->told = false;
	snet_task_defer(p->loop, &p->turn);
	return SNET_OK;
}
