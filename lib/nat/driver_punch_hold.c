#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include "nat/driver_impl.h"

/* Sockets that are held open for a peer who draws their ports by lot. */

#define STRANGERS_MAX 16 /* datagrams of theirs, in one turn */

static void let_go(struct hold *h)
{
	snet_io_free(h->io);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}

void ice_punch_let_go(struct snet_ice *ice)
{
	while (ice->punch.holds_n) {
		struct hold *h = ice->punch.holds[--ice->punch.holds_n];

		if (h)
			let_go(h);
	}
}

/* Of what has come, looks at the first datagram and leaves it there; those of others than the
 * host that the holes are for are nothing to us, or anybody could use up our sockets. */
static bool is_from_peer(const struct hold *h)
{
	for (int most = STRANGERS_MAX; most; most--) {
		struct snet_addr from = { 0 };
		socklen_t n = sizeof(from);
		uint8_t byte;

		if (recvfrom(h->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, &from.sa, &n) < 0)
			return false;
		if (ice_same_ip(&from, &h->ice->punch.at.to))
			return true;
		(void)recv(h->fd, &byte, 1, MSG_DONTWAIT);
	}
	return false;
}

/* The peer has spoken to it: from now on it is as any other one. The datagram waits. */
static void on_heard(struct snet_io *io, int ready, void *user)
{
	struct hold *h = user;
	struct snet_ice *ice = h->ice;
	struct sock *like = ice_sock(ice, ice->punch.at.by), *s;
	struct found f = { .order = 0 };
	struct snet_local c = { .c = { .component = 1, .type = SNET_CANDIDATE_HOST } };
	int fd = h->fd;
	size_t i = 0;

	(void)ready;
	if (!is_from_peer(h))
		return;
	snet_io_want(io, 0);
	if (!like || ice->socks_n == SOCKS_MAX)
		return;
	while (ice->punch.holds[i] != h)
		i++;
	ice->punch.holds[i] = NULL;
	h->fd = -1;
	let_go(h);
	f.class = like->class;
	f.order = like->order;
	memcpy(f.iface, like->iface, sizeof(f.iface));
	s = ice_open_sock(ice, &f, fd);
	if (!s)
		return;
	s->held = true;
	c.c.address = c.base = s->at;
	c.c.priority = snet_candidate_priority(
		c.c.type, snet_local_preference(s->class, s->order, s->at.sa.sa_family), 1);
	c.handle = s->handle;
	snet_candidate_found(&c.c, &c.base, NULL);
	(void)snet_agent_add_local(ice->agent, &c, ice_now(ice));
	ice_pump(ice);
}

static int open_hold(struct snet_ice *ice, const struct sock *like)
{
	struct hold *h = calloc(1, sizeof(*h));
	struct snet_addr at = like->at;

	if (!h)
		return SNET_ENOMEM;
	snet_addr_set_port(&at, 0);
	h->ice = ice;
	h->handle = ++ice->handles;
	h->fd = socket(at.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd >= 0 && !bind(h->fd, &at.sa, snet_addr_len(&at)))
		h->io = snet_io_new(ice->loop, h->fd, on_heard, h);
	if (!h->io) {
		int why = errno;

		let_go(h);
		errno = why;
		return SNET_EIO;
	}
	snet_io_want(h->io, SNET_READ);
	ice->punch.holds[ice->punch.holds_n++] = h;
	return SNET_OK;
}

void ice_punch_hold(struct snet_ice *ice, unsigned number, snet_time now)
{
	const struct sock *like = ice_sock(ice, ice->punch.at.by);
	struct snet_error err;

	if (number == ice->punch.holds_n && like && !ice->punch.full && open_hold(ice, like)) {
		ice->punch.full = true;
		snet_fail(&err, SNET_EIO, "ICE: %u sockets are held open, and no more: %s",
			  number, strerror(errno));
		ice_trouble(ice, &err);
	}
	if (number < ice->punch.holds_n && ice->punch.holds[number])
		(void)snet_agent_probe(ice->agent, ice->punch.holds[number]->handle,
				       &ice->punch.at.to, now);
}

void ice_punch_send(struct snet_ice *ice, const struct snet_agent_packet *out)
{
	for (size_t i = 0; i < ice->punch.holds_n; i++) {
		struct hold *h = ice->punch.holds[i];

		if (!h || h->handle != out->handle)
			continue;
		/* Lost, as the network loses. */
		(void)sendto(h->fd, out->p, out->n, MSG_DONTWAIT, &out->to.sa,
			     snet_addr_len(&out->to));
		return;
	}
}
