/* Messages of snet-perf as plain datagrams: nothing encrypted, nobody known. A server answers
 * strangers by less than they sent, until they have shown that they get what is sent to them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "cli/perf_chan.h"
#include "cli/perf_stamp.h"
#include "crypto/hash.h"
#include "io/loop.h"
#include "io/udp.h"

#define CHANS_MAX                                                                   \
	(2 * PERF_PARALLEL_MAX) /* of one listener: a test, and one that is refused \
				 */
#define SLOT (30 * SNET_SEC)    /* a cookie is good for one of these and the next */

struct perf_listener {
	struct snet_loop *loop;
	struct snet_udp *udp;
	struct snet_list chans;
	unsigned n;
	struct udp_chan *last; /* that spoke */
	uint8_t secret[32];
	void (*on_accept)(struct perf_chan *c, void *user);
	void *user;
};

struct udp_chan {
	struct perf_chan c;
	struct snet_list node; /* of its listener */
	struct perf_listener *listener;
	struct snet_loop *loop;
	struct snet_udp *udp; /* its own, or the listener's */
	struct perf_stamp *stamp;
	struct snet_path path;
	struct snet_task start, end;
	int end_code;
	bool wants_room, closed;
};

static void destroy(struct udp_chan *u)
{
	snet_task_cancel(&u->start);
	snet_task_cancel(&u->end);
	snet_list_del(&u->node);
	if (u->listener) {
		u->listener->n--;
		if (u->listener->last == u)
			u->listener->last = NULL;
	} else {
		snet_udp_close(u->udp);
	}
	perf_stamp_close(u->stamp);
	free(u);
}

/* Later: neither a socket nor a list ends within its own callback. */
static void on_end(struct snet_task *t)
{
	struct udp_chan *u = t->user;

	if (!u->closed) {
		u->closed = true;
		u->c.ev->on_down(&u->c, u->end_code,
				 u->end_code == SNET_ETOOBIG ? "larger than the path takes"
							     : "nobody is there",
				 u->c.user);
	}
	destroy(u);
}

static void end(struct udp_chan *u, int code)
{
	u->end_code = code;
	snet_task_defer(u->loop, &u->end);
}

static void on_start(struct snet_task *t)
{
	struct udp_chan *u = t->user;

	if (!u->closed)
		u->c.ev->on_up(&u->c, u->c.user);
}

static struct udp_chan *chan_new(struct snet_loop *l, const struct snet_addr *remote)
{
	struct udp_chan *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->c = (struct perf_chan){ .carrier = &perf_udp,
				   .remote = *remote,
				   .wire = SNET_NEVER };
	u->loop = l;
	u->path.remote = *remote;
	snet_list_init(&u->node);
	snet_task_init(&u->start, on_start, u);
	snet_task_init(&u->end, on_end, u);
	return u;
}

/* ---- sending */

static int udp_send(struct perf_chan *c, const uint8_t *p, size_t n, size_t total)
{
	struct udp_chan *u = SNET_OF(c, struct udp_chan, c);
	static uint8_t out[SNET_UDP_PAYLOAD_MAX];
	uint8_t *at = u->stamp ? out : snet_udp_scratch(u->udp);
	int rc;

	if (total > SNET_UDP_PAYLOAD_MAX)
		return SNET_ETOOBIG;
	if (!u->stamp && snet_udp_is_blocked(u->udp))
		return SNET_EAGAIN;
	memcpy(at, p, n);
	rc = u->stamp ? perf_stamp_send(u->stamp, at, total)
		      : snet_udp_send(u->udp, &u->path, 0, total, total);
	if (rc == SNET_ETOOBIG)
		end(u, rc);
	return rc == SNET_EAGAIN ? SNET_OK : rc; /* it is parked */
}

/* As one train. */
static size_t udp_send_data(struct perf_chan *c, uint64_t seq, uint32_t size, size_t n)
{
	struct udp_chan *u = SNET_OF(c, struct udp_chan, c);
	size_t most = SNET_UDP_PAYLOAD_MAX / size, k = n < most ? n : most;
	uint8_t *at;

	if (k > SNET_UDP_SEGMENTS)
		k = SNET_UDP_SEGMENTS;
	if (snet_udp_is_blocked(u->udp)) {
		u->wants_room = true;
		return 0;
	}
	at = snet_udp_scratch(u->udp);
	for (size_t i = 0; i < k; i++)
		perf_message_head(at + i * size, PERF_DATA, seq + i);
	if (snet_udp_send(u->udp, &u->path, 0, k * size, size) == SNET_ETOOBIG)
		end(u, SNET_ETOOBIG);
	return k;
}

static void give_room(struct udp_chan *u)
{
	if (!u->wants_room || u->closed)
		return;
	u->wants_room = false;
	u->c.ev->on_room(&u->c, u->c.user);
}

static void udp_close(struct perf_chan *c, int code, const char *why)
{
	struct udp_chan *u = SNET_OF(c, struct udp_chan, c);

	(void)code, (void)why;
	u->closed = true;
	snet_task_defer(u->loop, &u->end);
}

/* ---- the side that dials */

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	struct udp_chan *u = user;

	(void)ecn;
	if (!u->closed && snet_addr_eq(&path->remote, &u->path.remote))
		perf_chan_input(&u->c, p, n, n);
}

static void on_stamped(const uint8_t *p, size_t n, snet_time wire, void *user)
{
	struct udp_chan *u = user;

	u->c.wire = wire;
	if (!u->closed)
		perf_chan_input(&u->c, p, n, n);
}

static void on_unreachable(const struct snet_addr *remote, void *user)
{
	struct udp_chan *u = user;

	if (snet_addr_eq(remote, &u->path.remote))
		end(u, SNET_EUNREACH);
}

static void on_stamp_unreachable(void *user)
{
	end(user, SNET_EUNREACH);
}

static void on_writable(void *user)
{
	give_room(user);
}

static int udp_dial(struct perf_chan **out, struct net *n, const struct snet_url *url,
		    const struct snet_addr *to, bool stamped, const struct perf_chan_events *ev,
		    void *user, struct snet_error *err)
{
	static const struct snet_udp_events events = { on_datagram, NULL, on_unreachable,
						       on_writable };
	static const struct perf_stamp_events stamps = { on_stamped, on_stamp_unreachable };
	static const struct snet_udp_opts o = { .v6_only = true };
	struct snet_addr any = { .sa = { .sa_family = to->sa.sa_family } };
	struct udp_chan *u = chan_new(n->loop, to);
	int rc;

	(void)url;
	if (!u)
		return snet_fail(err, SNET_ENOMEM, "connection");
	u->c.ev = ev;
	u->c.user = user;
	rc = stamped ? perf_stamp_open(&u->stamp, n->loop, to, &stamps, u, err)
		     : snet_udp_open(&u->udp, n->loop, &any, -1, &o, &events, u, err);
	if (rc) {
		destroy(u);
		return rc;
	}
	snet_task_defer(n->loop, &u->start);
	*out = &u->c;
	return SNET_OK;
}

/* ---- the side that is dialled */

/* Good for an address, a session, and a minute. */
static void bake(const struct perf_listener *l, const struct snet_addr *from, uint64_t session,
		 uint64_t slot, uint8_t out[PERF_COOKIE])
{
	char text[SNET_ADDR_TEXT];
	uint8_t numbers[16], mac[SNET_SHA256_BYTES] = { 0 };
	struct snet_slice v[2] = { { numbers, sizeof(numbers), NULL } };

	snet_put_be64(numbers, session);
	snet_put_be64(numbers + 8, slot);
	snet_addr_print(from, text);
	v[1] = (struct snet_slice){ (const uint8_t *)text, strlen(text), NULL };
	if (snet_hmac(SNET_HMAC_SHA256, mac, l->secret, sizeof(l->secret), v, 2))
		snet_random(mac, sizeof(mac)); /* of no use to anybody */
	memcpy(out, mac, PERF_COOKIE);
}

static bool is_proof(const struct perf_listener *l, const struct snet_addr *from,
		     const struct perf_message *m)
{
	uint64_t slot = snet_now() / SLOT;
	uint8_t cookie[PERF_COOKIE];

	bake(l, from, m->session, slot, cookie);
	if (!memcmp(cookie, m->cookie, PERF_COOKIE))
		return true;
	bake(l, from, m->session, slot - 1, cookie);
	return !memcmp(cookie, m->cookie, PERF_COOKIE);
}

static void answer(struct perf_listener *l, const struct snet_path *path,
		   const struct perf_message *m)
{
	uint8_t b[PERF_MESSAGE_MAX];
	size_t n = perf_message_encode(b, m);

	snet_udp_answer(l->udp, path, b, n);
}

/* Nothing is kept of him before he has proven to be where he says. */
static void take_stranger(struct perf_listener *l, const struct snet_path *path,
			  const uint8_t *p, size_t n)
{
	struct perf_message m, a;
	struct udp_chan *u;

	if (perf_message_decode(&m, p, n, n))
		return;
	if (m.type == PERF_STOP) { /* again: its answer was lost */
		a = (struct perf_message){ .type = PERF_STOPPED, .session = m.session };
		answer(l, path, &a);
		return;
	}
	if (m.type != PERF_START)
		return;
	if (!is_proof(l, &path->remote, &m)) {
		a = (struct perf_message){ .type = PERF_COOKIE_IS, .session = m.session };
		bake(l, &path->remote, m.session, snet_now() / SLOT, a.cookie);
		answer(l, path, &a);
		return;
	}
	u = l->n < CHANS_MAX ? chan_new(l->loop, &path->remote) : NULL;
	if (!u)
		return;
	u->listener = l;
	u->udp = l->udp;
	u->path = *path;
	l->n++;
	snet_list_add(&l->chans, &u->node);
	l->on_accept(&u->c, l->user);
	if (!u->closed)
		perf_chan_input(&u->c, p, n, n);
}

static struct udp_chan *find(struct perf_listener *l, const struct snet_addr *remote)
{
	if (l->last && snet_addr_eq(&l->last->path.remote, remote))
		return l->last;
	for (struct snet_list *i = l->chans.next; i != &l->chans; i = i->next) {
		struct udp_chan *u = SNET_OF(i, struct udp_chan, node);

		if (!u->closed && snet_addr_eq(&u->path.remote, remote))
			return u;
	}
	return NULL;
}

static void on_any_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			    void *user)
{
	struct perf_listener *l = user;
	struct udp_chan *u = find(l, &path->remote);

	(void)ecn;
	if (!u || u->closed) {
		take_stranger(l, path, p, n);
		return;
	}
	l->last = u;
	perf_chan_input(&u->c, p, n, n);
}

static void on_any_unreachable(const struct snet_addr *remote, void *user)
{
	struct udp_chan *u = find(user, remote);

	if (u)
		end(u, SNET_EUNREACH);
}

static void on_any_writable(void *user)
{
	struct perf_listener *l = user;

	for (struct snet_list *i = l->chans.next; i != &l->chans; i = i->next)
		give_room(SNET_OF(i, struct udp_chan, node));
}

static int udp_listen(struct perf_listener **out, struct net *n, const struct snet_url *at,
		      void (*fn)(struct perf_chan *c, void *user), void *user,
		      struct snet_error *err)
{
	static const struct snet_udp_events events = { on_any_datagram, NULL,
						       on_any_unreachable, on_any_writable };
	static const struct snet_udp_opts o = { 0 };
	struct snet_addr addrs[2];
	struct perf_listener *l;
	size_t k;
	int rc = perf_listen_where(at, addrs, &k, err);

	if (rc)
		return rc;
	l = calloc(1, sizeof(*l));
	if (!l)
		return snet_fail(err, SNET_ENOMEM, "listener");
	*l = (struct perf_listener){ .loop = n->loop, .on_accept = fn, .user = user };
	snet_list_init(&l->chans);
	rc = snet_random(l->secret, sizeof(l->secret));
	if (!rc)
		rc = snet_udp_open(&l->udp, n->loop, &addrs[0], -1, &o, &events, l, err);
	if (rc && k > 1)
		rc = snet_udp_open(&l->udp, n->loop, &addrs[1], -1, &o, &events, l, err);
	if (rc)
		free(l);
	else
		*out = l;
	return rc;
}

static void udp_address(const struct perf_listener *l, struct snet_addr *out)
{
	snet_udp_address(l->udp, out);
}

static void udp_unlisten(struct perf_listener *l)
{
	if (!l)
		return;
	while (!snet_list_is_empty(&l->chans))
		destroy(SNET_OF(l->chans.next, struct udp_chan, node));
	snet_udp_close(l->udp);
	free(l);
}

static uint32_t udp_size_max(const struct snet_addr *to)
{
	return snet_udp_route_payload(to);
}

const struct perf_carrier perf_udp = {
	.scheme = "udp",
	.lossy = true,
	.listen = udp_listen,
	.address = udp_address,
	.unlisten = udp_unlisten,
	.dial = udp_dial,
	.send = udp_send,
	.send_data = udp_send_data,
	.close = udp_close,
	.size_max = udp_size_max,
};
