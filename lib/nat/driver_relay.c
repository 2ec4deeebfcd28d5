#include <stdlib.h>
#include <string.h>

#include "nat/driver_impl.h"

/* Allocations: one of every TURN server for every socket, each a base of the agent's. */

/* Then room is made: with those of one more generation they still are fewer than TURN allows.
 */
#define PERMITS_MANY (SNET_TURN_PERMISSIONS / 4)

#define OVER_LESS 0x1000 /* of local preference: the more there is in between, the worse */

static const char *const over_names[] = { "udp", "tcp", "tls" };

static struct server *server_of(const struct relay *r)
{
	return &r->ice->servers[r->of];
}

static bool is_udp(const struct relay *r)
{
	return server_of(r)->over == SNET_TURN_UDP;
}

/* ---- candidates */

static void offer_one(struct relay *r, const struct snet_addr *relayed)
{
	const struct sock *s = r->sock;
	unsigned over = server_of(r)->over;
	struct snet_local c = {
		.c = { .component = 1,
		       .address = *relayed,
		       .type = SNET_CANDIDATE_RELAY,
		       .related = r->mapped,
		       .server = r->server },
		.base = *relayed,
		.handle = r->handle,
	};
	uint16_t preference = snet_local_preference(
		s->class, s->order * SNET_ICE_SERVERS + (unsigned)r->of, relayed->sa.sa_family);

	c.c.priority =
		snet_candidate_priority(c.c.type, (uint16_t)(preference - over * OVER_LESS), 1);
	snet_candidate_found(&c.c, &c.base, over_names[over]);
	ice_offer(r->ice, &c, s);
}

void ice_offer_relayed(struct relay *r)
{
	for (size_t i = 0; i < 2; i++)
		if (r->relayed[i].sa.sa_family != AF_UNSPEC)
			offer_one(r, &r->relayed[i]);
	if (is_udp(r) && r->mapped.sa.sa_family != AF_UNSPEC)
		ice_offer_mapped(r->sock, r->of, &r->server, &r->mapped);
}

/* ---- permissions */

/* Errors are said when something is to be sent. */
void ice_permit(struct snet_ice *ice, const struct snet_addr *peer)
{
	ice->permits++;
	for (size_t i = 0; i < ice->relays_n; i++)
		(void)snet_turn_io_permit(ice->relays[i]->io, peer);
}

/* A peer that is somewhere else at every restart must not use them up. Not sooner: mostly it is
 * where it was, and what it sends would be lost meanwhile. */
void ice_forget_permits(struct snet_ice *ice)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);

	if (ice->permits < PERMITS_MANY)
		return;
	ice->permits = 0;
	for (size_t i = 0; i < l->remotes_n; i++) {
		struct snet_addr host = l->remotes[i].c.address;

		snet_addr_set_port(&host, 0);
		for (size_t k = 0; k < ice->relays_n; k++)
			if (!ice_same_ip(&host, &ice->way.to))
				snet_turn_io_forget(ice->relays[k]->io, &host);
	}
}

static void permit_all(struct relay *r)
{
	const struct snet_checklist *l = snet_agent_checklist(r->ice->agent);

	for (size_t i = 0; i < l->remotes_n; i++)
		if (l->remotes[i].told)
			(void)snet_turn_io_permit(r->io, &l->remotes[i].c.address);
}

/* Nothing from this allocation gets to that address, whatever the port. */
static void on_refused(struct relay *r, const struct snet_addr *ip)
{
	const struct snet_checklist *l = snet_agent_checklist(r->ice->agent);

	for (size_t i = 0; i < l->remotes_n; i++) {
		struct snet_addr a = l->remotes[i].c.address, host = a;

		snet_addr_set_port(&host, 0);
		if (snet_addr_eq(&host, ip))
			snet_agent_unreachable(r->ice->agent, r->handle, &a, ice_now(r->ice));
	}
}

/* ---- events */

static void bury(struct snet_ice *ice, struct relay *r)
{
	size_t i = 0;

	while (ice->relays[i] != r)
		i++;
	memmove(ice->relays + i, ice->relays + i + 1,
		(--ice->relays_n - i) * sizeof(ice->relays[0]));
	r->gone = true;
	if (ice->way.relay == r)
		ice->way.relay = NULL;
	snet_list_add(&ice->relay_graves, &r->node);
	if (r->ready)
		snet_agent_remove_base(ice->agent, r->handle, ice_now(ice));
	ice_soon(ice);
}

static void on_allocated(struct relay *r, const struct snet_turn_event *ev)
{
	r->ready = true;
	memcpy(r->relayed, ev->relayed, sizeof(r->relayed));
	r->mapped = ev->mapped;
	server_of(r)->useful = true;
	permit_all(r);
	ice_offer_relayed(r);
}

static void on_closed(struct relay *r, const struct snet_error *why)
{
	struct server *v = server_of(r);
	struct snet_error err;
	bool was_ready = r->ready;

	snet_fail(&err, why->code ? why->code : SNET_ELOST, "%s:%u: %.200s", v->host, v->port,
		  why->code ? why->text : "the allocation ended");
	v->err = err;
	bury(r->ice, r);
	if (was_ready)
		ice_trouble(r->ice, &err);
}

static void on_event(const struct snet_turn_event *ev, void *user)
{
	struct relay *r = user;
	struct snet_ice *ice = r->ice;

	if (r->gone || ice->dying)
		return;
	switch (ev->what) {
	case SNET_TURN_ALLOCATED:
		on_allocated(r, ev);
		break;
	case SNET_TURN_REDIRECTED:
		r->server = ev->peer;
		break;
	case SNET_TURN_REFUSED:
		on_refused(r, &ev->peer);
		break;
	case SNET_TURN_DATA:
		ice_relayed(r, &ev->peer, ev->p, ev->n);
		return; /* it has done all there is to do */
	case SNET_TURN_ICMP:
		/* Destination unreachable, of either IP: RFC 8656 §18.13. */
		if (ev->icmp_type == (ev->peer.sa.sa_family == AF_INET6 ? 1 : 3))
			snet_agent_unreachable(ice->agent, r->handle, &ev->peer, ice_now(ice));
		break;
	case SNET_TURN_CLOSED:
		on_closed(r, &ev->error);
		break;
	default:
		return;
	}
	ice_pump(ice);
}

static void send_to_server(const struct snet_addr *server, const uint8_t *p, size_t n,
			   void *user)
{
	struct relay *r = user;

	ice_sock_send(r->sock, server, p, n);
}

/* ---- birth and death */

static bool is_there(struct snet_ice *ice, const struct sock *s, size_t server)
{
	for (size_t i = 0; i < ice->relays_n; i++) {
		const struct relay *r = ice->relays[i];

		if (r->sock != s || r->of != server)
			continue;
		ice->servers[server].useful = ice->servers[server].useful || r->ready;
		return true;
	}
	return false;
}

static int families(const struct snet_candidate_filter *f)
{
	return (f->without_v4 ? 0 : SNET_TURN_IPV4) | (f->without_v6 ? 0 : SNET_TURN_IPV6);
}

static int begin(struct relay *r, struct server *v)
{
	struct snet_addr from = r->sock->at;
	struct snet_turn_io_opts o = {
		.turn = { .server = r->server,
			  .user = v->cred.user,
			  .password = v->cred.password,
			  .realm = *v->cred.realm ? v->cred.realm : NULL,
			  .families = families(&r->ice->o.filter) },
		.over = v->over,
		.from = &from,
		.name = v->host,
		.ca = v->ca,
	};
	static const struct snet_turn_io_events events = { on_event, send_to_server };
	struct snet_error err;
	int rc;

	snet_addr_set_port(&from, 0);
	rc = snet_turn_io_new(&r->io, r->ice->loop, &o, &events, r, &err);
	if (rc)
		snet_fail(&v->err, rc, "%s:%u: %.200s", v->host, v->port, err.text);
	return rc;
}

void ice_allocate(struct sock *s, size_t server, const struct snet_addr *at)
{
	struct snet_ice *ice = s->ice;
	struct server *v = &ice->servers[server];
	struct relay *r;

	if (is_there(ice, s, server))
		return;
	r = ice->relays_n < RELAYS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		snet_fail(&v->err, SNET_ETOOBIG, "%s:%u: no room for one more allocation",
			  v->host, v->port);
		return;
	}
	r->ice = ice;
	r->sock = s;
	r->of = server;
	r->server = *at;
	r->handle = ++ice->handles;
	snet_list_init(&r->node);
	if (begin(r, v)) {
		free(r);
		return;
	}
	ice->relays[ice->relays_n++] = r;
	permit_all(r);
}

void ice_remove_relay(struct snet_ice *ice, struct relay *r)
{
	/* Over UDP the server is told at once; a connection that ends tells it by itself. An
	 * empty datagram makes the client say what it has to. */
	if (r->ready && is_udp(r) && !snet_turn_io_release(r->io)) {
		r->gone = true;
		snet_turn_io_input(r->io, &r->server, (const uint8_t *)"", 0);
	}
	bury(ice, r);
}

/* Of those only that have not been heard of yet: nobody can forge away what works. */
void ice_relays_unreachable(struct sock *s, const struct snet_addr *server)
{
	struct snet_ice *ice = s->ice;

	for (size_t i = ice->relays_n; i-- > 0;) {
		struct relay *r = ice->relays[i];
		struct server *v = server_of(r);

		if (r->sock != s || r->ready || !is_udp(r) || !snet_addr_eq(&r->server, server))
			continue;
		snet_fail(&v->err, SNET_EUNREACH, "%s:%u: %s", v->host, v->port,
			  snet_err_text(SNET_EUNREACH));
		ice_remove_relay(ice, r);
	}
}

/* A connection needs no help: what stands between keeps it for hours. */
void ice_relay_keep_alive(struct relay *r, const uint8_t *p, size_t n)
{
	if (r->ready && is_udp(r))
		ice_sock_send(r->sock, &r->server, p, n);
}

/* ---- data */

int ice_relay_send(struct relay *r, const struct snet_addr *to, const uint8_t *p, size_t n)
{
	int rc = r->gone ? SNET_ECLOSED : snet_turn_io_send(r->io, to, p, n);

	if (rc == SNET_ENOENT && !snet_turn_io_permit(r->io, to))
		rc = snet_turn_io_send(r->io, to, p, n);
	return rc;
}
