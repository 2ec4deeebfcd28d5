#include "io/dgram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/loop.h"
#include "io/udp_socket.h"

#define SLOTS 64          /* messages in one recvmmsg */
#define TAKES 65536       /* bytes: a whole GRO train; pages nobody writes to cost nothing */
#define SLOT (TAKES + 64) /* or all would begin in the same set of the processor's cache */
#define ROUNDS 2          /* recvmmsg calls of one socket in one turn */
#define TRAIN 65000       /* bytes of a GSO send: IPv4's largest less headers */

struct snet_dgram_hub {
	struct snet_loop *loop;
	const struct snet_dgram_events *ev;
	void *user;
	struct snet_dgram *reading; /* NULL: it was closed under our hands */
	bool v6_only;
	struct mmsghdr in[SLOTS]; /* always ready for recvmmsg */
	struct iovec at[SLOTS];
	struct snet_addr names[SLOTS];
	_Alignas(struct cmsghdr) uint8_t controls[SLOTS][SNET_UDP_CONTROL];
	uint8_t *rx;
};

struct snet_dgram {
	struct snet_dgram_hub *hub;
	struct snet_udp_socket sock;
	struct snet_io *io;
	uint32_t overruns;
	bool stamps;
	snet_time arrived; /* the train that is handed on */
	void *user;
};

/* The first n as the kernel wants them: it wrote over the lengths. */
static void prepare(struct snet_dgram_hub *h, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		h->in[i].msg_hdr.msg_namelen = sizeof(h->names[i]);
		h->in[i].msg_hdr.msg_controllen = SNET_UDP_CONTROL;
	}
}

static void lay_out(struct snet_dgram_hub *h)
{
	for (size_t i = 0; i < SLOTS; i++) {
		h->at[i] = (struct iovec){ h->rx + i * SLOT, TAKES };
		h->in[i].msg_hdr = (struct msghdr){ .msg_name = &h->names[i],
						    .msg_iov = &h->at[i],
						    .msg_iovlen = 1,
						    .msg_control = h->controls[i] };
	}
	prepare(h, SLOTS);
}

int snet_dgram_hub_new(struct snet_dgram_hub **out, struct snet_loop *l,
		       const struct snet_dgram_events *ev, void *hub_user)
{
	struct snet_dgram_hub *h = calloc(1, sizeof(*h));

	if (h)
		h->rx = malloc((size_t)SLOTS * SLOT);
	if (!h || !h->rx) {
		free(h);
		return SNET_ENOMEM;
	}
	h->loop = l;
	h->ev = ev;
	h->user = hub_user;
	lay_out(h);
	*out = h;
	return SNET_OK;
}

void snet_dgram_hub_set_v6_only(struct snet_dgram_hub *h)
{
	h->v6_only = true;
}

void snet_dgram_hub_free(struct snet_dgram_hub *h)
{
	if (!h)
		return;
	free(h->rx);
	free(h);
}

/* ---- in */

static void drain_errors(const struct snet_dgram *d)
{
	struct snet_addr remote;

	for (int most = 64; most && snet_udp_socket_error(&d->sock, &remote); most--)
		;
}

static void take_overruns(struct snet_dgram *d, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&d->overruns, CMSG_DATA(c), sizeof(d->overruns));
}

/* The kernel's stamp is of the wall clock: its age is what counts. Older than any that waits
 * here, or from the future: the clock was set. */
static snet_time by_stamp(struct msghdr *m)
{
	struct timespec stamp = { 0 }, now;
	int64_t age;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS)
			memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
	if (!stamp.tv_sec || clock_gettime(CLOCK_REALTIME, &now))
		return 0;
	age = (int64_t)(now.tv_sec - stamp.tv_sec) * (int64_t)SNET_SEC +
	      (now.tv_nsec - stamp.tv_nsec);
	return age >= 0 && age < (int64_t)SNET_SEC ? snet_now() - (snet_time)age : 0;
}

static void hand_on(struct snet_dgram *d, struct msghdr *m, uint8_t *p, size_t n)
{
	struct snet_path path;
	size_t segment;
	uint8_t ecn;

	if (m->msg_flags & MSG_TRUNC)
		return;
	path.remote = *(struct snet_addr *)m->msg_name;
	take_overruns(d, m);
	d->arrived = d->stamps ? by_stamp(m) : 0;
	snet_udp_socket_from(&d->sock, m, &path, &ecn, &segment);
	d->hub->ev->on_train(d, &path, ecn, p, n, segment && segment < n ? segment : n,
			     d->user);
}

static void on_readable(struct snet_io *io, int ready, void *user)
{
	struct snet_dgram *d = user;
	struct snet_dgram_hub *h = d->hub;

	(void)io, (void)ready;
	h->reading = d;
	for (int round = 0; round < ROUNDS && h->reading; round++) {
		int most, k = snet_udp_socket_receive(&d->sock, h->in, SLOTS, &most);

		if (k < 0 && errno != EAGAIN && errno != EINTR)
			drain_errors(d);
		for (int i = 0; i < k && h->reading; i++)
			hand_on(d, &h->in[i].msg_hdr, h->at[i].iov_base, h->in[i].msg_len);
		h->ev->on_batch(h->user);
		prepare(h, k > 0 ? (size_t)k : 1);
		if (k < most)
			break;
	}
}

/* ---- out */

struct train {
	size_t first, n; /* of the datagrams */
};

static bool alike(const struct snet_dgram_out *a, const struct snet_dgram_out *b)
{
	return a->via == b->via && a->ecn == b->ecn &&
	       snet_addr_eq(&a->path.remote, &b->path.remote) &&
	       snet_addr_eq(&a->path.local, &b->path.local);
}

/* How many from the first on can go as one. */
static size_t couple(const struct snet_dgram_out *v, size_t n)
{
	size_t k = 1, bytes = v->n;

	if (!v->via->sock.gso || !v->n)
		return 1;
	while (k < n && k < SNET_UDP_SEGMENTS && v[k].n && v[k].n <= v->n &&
	       bytes + v[k].n <= TRAIN && alike(v, &v[k])) {
		bytes += v[k].n;
		if (v[k++].n < v->n) /* a shorter one is the last */
			break;
	}
	return k;
}

static bool send_one(const struct snet_dgram_out *v)
{
	_Alignas(struct cmsghdr) uint8_t control[SNET_UDP_CONTROL];
	struct iovec iov = { (void *)v->p, v->n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct snet_addr name;

	snet_udp_socket_to(&v->via->sock, &m, &name, control, &v->path, v->ecn, 0);
	for (int tries = 0; tries < 3; tries++) {
		if (sendmsg(v->via->sock.fd, &m, MSG_DONTWAIT) >= 0)
			return true;
		if (errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != EINTR)
			break;
		drain_errors(v->via); /* an old ICMP error is reported once, by any call */
	}
	return false;
}

static size_t send_each(const struct snet_dgram_out *v, size_t n)
{
	size_t failed = 0;

	for (size_t i = 0; i < n; i++)
		failed += !send_one(&v[i]);
	return failed;
}

/* All by one socket. */
static size_t send_trains(const struct snet_dgram_out *v, const struct train *t, size_t n)
{
	_Alignas(struct cmsghdr) uint8_t controls[SNET_DGRAM_BATCH][SNET_UDP_CONTROL];
	struct iovec iov[SNET_DGRAM_BATCH];
	struct mmsghdr m[SNET_DGRAM_BATCH];
	struct snet_addr names[SNET_DGRAM_BATCH];
	struct snet_dgram *d = v[t->first].via;
	size_t failed = 0, done = 0;

	memset(m, 0, n * sizeof(*m));
	for (size_t k = 0; k < n; k++) {
		const struct snet_dgram_out *first = &v[t[k].first];

		for (size_t i = 0; i < t[k].n; i++)
			iov[t[k].first - t->first + i] =
				(struct iovec){ (void *)first[i].p, first[i].n };
		m[k].msg_hdr.msg_iov = &iov[t[k].first - t->first];
		m[k].msg_hdr.msg_iovlen = t[k].n;
		snet_udp_socket_to(&d->sock, &m[k].msg_hdr, &names[k], controls[k],
				   &first->path, first->ecn, t[k].n > 1 ? first->n : 0);
	}
	while (done < n) {
		int k = sendmmsg(d->sock.fd, m + done, (unsigned)(n - done), MSG_DONTWAIT);

		if (k > 0) {
			done += (size_t)k;
			continue;
		}
		if (errno == EIO && t[done].n > 1)
			d->sock.gso = false; /* no checksums of GSO on this interface */
		failed += send_each(&v[t[done].first], t[done].n);
		done++;
	}
	return failed;
}

size_t snet_dgram_send(const struct snet_dgram_out *v, size_t n)
{
	struct train trains[SNET_DGRAM_BATCH];
	size_t failed = 0, at = 0, k = 0;

	for (; at < n; at += trains[k++].n) {
		if (k && v[trains[0].first].via != v[at].via) {
			failed += send_trains(v, trains, k);
			k = 0;
		}
		trains[k] = (struct train){ at, couple(&v[at], n - at) };
	}
	return k ? failed + send_trains(v, trains, k) : failed;
}

/* ---- life */

int snet_dgram_open(struct snet_dgram **out, struct snet_dgram_hub *h,
		    const struct snet_addr *at, void *user, struct snet_error *err)
{
	const struct snet_udp_opts opts = { .v6_only = h->v6_only };
	struct snet_dgram *d = calloc(1, sizeof(*d));
	int rc, one = 1, dont = IP_PMTUDISC_DONT;

	if (!d)
		return snet_fail(err, SNET_ENOMEM, "udp socket");
	d->hub = h;
	d->user = user;
	d->sock.fd = -1;
	rc = snet_udp_socket_open(&d->sock, at, -1, &opts, err);
	if (rc)
		goto out;
	setsockopt(d->sock.fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
	/* What came whole goes on, in fragments if it must. */
	setsockopt(d->sock.fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof(dont));
	if (d->sock.family == AF_INET6)
		setsockopt(d->sock.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &dont, sizeof(dont));
	d->io = snet_io_new(h->loop, d->sock.fd, on_readable, d);
	if (!d->io) {
		rc = snet_fail(err, SNET_ENOMEM, "udp socket");
		goto out;
	}
	snet_io_want(d->io, SNET_READ);
	*out = d;
	d = NULL;
out:
	snet_dgram_close(d);
	return rc;
}

void snet_dgram_close(struct snet_dgram *d)
{
	if (!d)
		return;
	if (d->hub->reading == d)
		d->hub->reading = NULL;
	snet_io_free(d->io);
	if (d->sock.fd >= 0)
		close(d->sock.fd);
	free(d);
}

void snet_dgram_address(const struct snet_dgram *d, struct snet_addr *out)
{
	*out = d->sock.bound;
}

void snet_dgram_want_stamps(struct snet_dgram *d)
{
	int one = 1;

	d->stamps = !setsockopt(d->sock.fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
}

snet_time snet_dgram_arrived(const struct snet_dgram *d)
{
	return d->arrived;
}

uint32_t snet_dgram_overruns(const struct snet_dgram *d)
{
	return d->overruns;
}
