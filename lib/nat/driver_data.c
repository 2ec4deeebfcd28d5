#include <string.h>

#include "nat/driver_impl.h"

/* Datagrams: whose each one is (RFC 9443), and what goes out on the selected pair. */

#define RETRY (2 * SNET_MS) /* a connection to a TURN server that is behind */
#define NOWHERE_PAYLOAD 1200
/* The most that stands around what is relayed: a Send indication with an IPv6 address. */
#define RELAY_OVERHEAD 64

/* ---- out */

void ice_sock_send(struct sock *s, const struct snet_addr *to, const uint8_t *p, size_t n)
{
	struct snet_path path = { s->at, *to };

	if (s->gone)
		return;
	/* The scratch is in use: what is on its way is parked there, or a train being sent. */
	if ((s->ice->sending && s->ice->way.sock == s) || snet_udp_is_blocked(s->udp)) {
		snet_udp_answer(s->udp, &path, p, n);
		return;
	}
	memcpy(snet_udp_scratch(s->udp), p, n);
	snet_udp_send(s->udp, &path, 0, n, n);
}

static bool is_over_udp(const struct relay *r)
{
	return r->ice->servers[r->of].over == SNET_TURN_UDP;
}

/* Whether its socket takes no more: only of those that use ours. */
static bool is_socket_blocked(const struct relay *r)
{
	return is_over_udp(r) && snet_udp_is_blocked(r->sock->udp);
}

/* Sends what is parked, as far as it goes. */
static void push(struct snet_ice *ice)
{
	struct relay *r = ice->way.relay;

	ice->parked_until = SNET_NEVER;
	while (ice->parked_from < ice->parked && !r->gone && !is_socket_blocked(r)) {
		size_t left = ice->parked - ice->parked_from;
		size_t k = left < ice->parked_segment ? left : ice->parked_segment;

		if (ice_relay_send(r, &ice->way.to, ice->scratch + ice->parked_from, k) ==
		    SNET_EAGAIN) {
			ice->parked_until = ice_now(ice) + RETRY;
			return;
		}
		ice->parked_from += k;
	}
	if (ice->parked_from == ice->parked || r->gone)
		ice->parked = 0;
}

static int send_relayed(struct snet_ice *ice, size_t n, size_t segment)
{
	if (segment > SNET_TURN_DATA_MAX)
		return SNET_ETOOBIG;
	ice->parked_from = 0;
	ice->parked = n;
	ice->parked_segment = segment;
	push(ice);
	if (!ice->parked)
		return SNET_OK;
	ice_soon(ice); /* sets the timer */
	return SNET_EAGAIN;
}

/* What was in the way may have gone. */
void ice_unpark(struct snet_ice *ice)
{
	if (ice->parked && ice->way.relay) {
		ice->sending = true;
		push(ice);
		ice->sending = false;
	}
	if (!snet_ice_is_blocked(ice))
		ice->ev->on_writable(ice->user);
}

uint8_t *snet_ice_scratch(struct snet_ice *ice)
{
	return ice->way.sock ? snet_udp_scratch(ice->way.sock->udp) : ice->scratch;
}

bool snet_ice_is_blocked(const struct snet_ice *ice)
{
	if (ice->way.sock)
		return snet_udp_is_blocked(ice->way.sock->udp);
	return ice->way.relay && (ice->parked || is_socket_blocked(ice->way.relay));
}

int snet_ice_send(struct snet_ice *ice, uint8_t ecn, size_t n, size_t segment)
{
	struct snet_path path = { .remote = ice->way.to };
	int rc = SNET_ENOENT;

	ice->sending = true;
	if (ice->way.sock) {
		path.local = ice->way.sock->at;
		rc = snet_udp_send(ice->way.sock->udp, &path, ecn, n, segment);
	} else if (ice->way.relay) {
		rc = send_relayed(ice, n, segment);
	}
	ice->sending = false;
	return rc;
}

uint32_t snet_ice_payload(const struct snet_ice *ice)
{
	return ice->way.sock || ice->way.relay ? ice->payload : NOWHERE_PAYLOAD;
}

/* ---- which way */

static uint32_t payload(const struct way *w)
{
	uint32_t n;

	if (w->sock)
		return snet_udp_payload(w->sock->udp, &w->to);
	n = snet_udp_route_payload(&w->relay->server);
	return n > NOWHERE_PAYLOAD + RELAY_OVERHEAD ? n - RELAY_OVERHEAD : NOWHERE_PAYLOAD;
}

bool ice_find_way(struct snet_ice *ice)
{
	struct way w = { 0 }, *now = &ice->way;
	struct snet_agent_event ev;

	if (snet_agent_selected(ice->agent, &ev)) {
		w.sock = ice_sock(ice, ev.local.handle);
		w.relay = w.sock ? NULL : ice_relay(ice, ev.local.handle);
		w.to = ev.remote.address;
	}
	if (w.sock == now->sock && w.relay == now->relay && snet_addr_eq(&w.to, &now->to))
		return false;
	*now = w;
	ice->parked = 0; /* lost, as on any change of route */
	ice->parked_until = SNET_NEVER;
	if (w.sock || w.relay)
		ice->payload = payload(&w);
	if (w.relay)
		(void)snet_turn_io_bind(w.relay->io, &w.to); /* without: 32 bytes more each */
	return true;
}

/* ---- in */

static bool is_relays(struct sock *s, const struct snet_addr *from, const uint8_t *p, size_t n)
{
	struct snet_ice *ice = s->ice;

	for (size_t i = 0; i < ice->relays_n; i++)
		if (ice->relays[i]->sock == s &&
		    snet_turn_io_input(ice->relays[i]->io, from, p, n))
			return true;
	return false;
}

/* Whoever speaks has checked a pair before, or is a candidate that was told of. */
static bool is_peer(struct snet_ice *ice, const struct snet_addr *from)
{
	const struct snet_checklist *l;

	if (snet_addr_eq(&ice->way.to, from))
		return true;
	l = snet_agent_checklist(ice->agent);
	for (size_t i = 0; i < l->remotes_n; i++)
		if (snet_addr_eq(&l->remotes[i].c.address, from))
			return true;
	return false;
}

static void on_other(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
		     void *user)
{
	struct sock *s = user;

	if (!s->gone && s->ice->o.path != SNET_ICE_RELAY && is_peer(s->ice, &path->remote))
		s->ice->ev->on_data(ecn, p, n, s->ice->user);
}

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	struct sock *s = user;

	/* ChannelData begins with 64 to 79, as QUIC may: who sent it decides (RFC 9443 §4). */
	if (s->gone || (p[0] < 80 && is_relays(s, &path->remote, p, n)))
		return;
	on_other(path, ecn, p, n, user);
}

static void on_stun(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct sock *s = user;
	struct snet_ice *ice = s->ice;
	struct snet_stun_answer a;
	snet_time now = ice_now(ice);

	if (s->gone)
		return;
	if ((ice->o.path == SNET_ICE_RELAY ||
	     snet_agent_input(ice->agent, s->handle, &path->remote, p, n, now) ==
		     SNET_EAGAIN) &&
	    !is_relays(s, &path->remote, p, n) && ice->gathering &&
	    !snet_stun_take(&s->stun, s->handle, &path->remote, p, n, now, &a))
		ice_stun_answer(s, &a);
	ice_pump(ice);
}

static void on_unreachable(const struct snet_addr *remote, void *user)
{
	struct sock *s = user;
	struct snet_ice *ice = s->ice;
	struct snet_agent_event pair;

	if (s->gone)
		return;
	if (ice->ev->on_unreachable && snet_agent_selected(ice->agent, &pair) &&
	    pair.local.handle == s->handle && snet_addr_eq(&pair.remote.address, remote))
		ice->ev->on_unreachable(ice->user);
	snet_agent_unreachable(ice->agent, s->handle, remote, ice_now(ice));
	snet_stun_unreachable(&s->stun, remote);
	ice_relays_unreachable(s, remote);
	ice_soon(ice); /* it may have been said in the midst of sending */
}

static void on_writable(void *user)
{
	struct sock *s = user;
	struct snet_ice *ice = s->ice;

	if (ice->way.sock == s)
		ice->ev->on_writable(ice->user);
	else if (ice->way.relay && ice->way.relay->sock == s)
		ice_unpark(ice);
}

const struct snet_udp_events ice_udp_events = { on_datagram, on_stun, on_unreachable,
						on_writable, NULL,    on_other };

/* The bytes lie in a buffer of the socket's or connection's that is written anew for the next
 * ones: whoever gets them may write there. */
void ice_relayed(struct relay *r, const struct snet_addr *peer, const uint8_t *p, size_t n)
{
	struct snet_ice *ice = r->ice;
	enum snet_udp_class class = n ? snet_udp_classify(p[0]) : SNET_UDP_OTHER;

	if (class == SNET_UDP_STUN)
		snet_agent_input(ice->agent, r->handle, peer, p, n, ice_now(ice));
	else if (n && is_peer(ice, peer))
		ice->ev->on_data(0, (uint8_t *)p, n, ice->user);
	if (class == SNET_UDP_STUN)
		ice_pump(ice);
}
