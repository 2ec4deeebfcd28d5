#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "crypto/hash.h"
#include "nat/driver_impl.h"

/* Gathering: the addresses of this host, a socket for each, and what every server sees of every
 * socket. Each for itself: what is found is told at once, and nothing waits. */

/* ---- candidates */

static bool was_told(struct snet_ice *ice, const struct snet_local *c)
{
	for (size_t i = 0; i < ice->told_n; i++)
		if (ice->told[i].handle == c->handle &&
		    snet_addr_eq(&ice->told[i].address, &c->c.address))
			return true;
	if (ice->told_n == TOLD_MAX)
		return true;
	ice->told[ice->told_n].handle = c->handle;
	ice->told[ice->told_n++].address = c->c.address;
	return false;
}

/* RFC 8828 §3: an address that is not offered is not to be read beside another one either. */
static void conceal(const struct snet_ice *ice, struct snet_local *c)
{
	enum snet_candidate_type of =
		c->c.type == SNET_CANDIDATE_RELAY ? SNET_CANDIDATE_SRFLX : SNET_CANDIDATE_HOST;

	if (ice->o.path == SNET_ICE_RELAY || !snet_filter_has_type(&ice->o.filter, of))
		c->c.related = (struct snet_addr){ 0 };
}

void ice_offer(struct snet_ice *ice, struct snet_local *c, const struct sock *s)
{
	static const struct snet_error full = {
		SNET_ETOOBIG, "ICE: more candidates than the agent takes; the rest is left out"
	};
	int rc;

	if (ice->o.path == SNET_ICE_RELAY && c->c.type != SNET_CANDIDATE_RELAY)
		return;
	rc = snet_agent_add_local(ice->agent, c, ice_now(ice));
	if (rc == SNET_ECLOSED)
		return;
	if (!rc && snet_addr_is_loopback(&c->base))
		ice_release_held(ice);
	/* What a server sees needs no room in the agent: it stands for its base there. */
	if (rc == SNET_ETOOBIG && c->c.type != SNET_CANDIDATE_SRFLX) {
		ice_trouble(ice, &full);
		return;
	}
	if (!snet_filter_has_type(&ice->o.filter, c->c.type) || was_told(ice, c))
		return;
	conceal(ice, c);
	ice->ev->on_local(c, s->iface, ice->user);
}

static uint16_t preference(const struct sock *s, size_t server)
{
	return snet_local_preference(s->class, s->order * SNET_ICE_SERVERS + (unsigned)server,
				     s->at.sa.sa_family);
}

static void offer_host(struct snet_ice *ice, struct sock *s)
{
	struct snet_local c = {
		.c = { .component = 1, .address = s->at, .type = SNET_CANDIDATE_HOST },
		.base = s->at,
		.handle = s->handle,
	};

	c.c.priority = snet_candidate_priority(c.c.type, preference(s, 0), 1);
	snet_candidate_found(&c.c, &c.base, NULL);
	ice_offer(ice, &c, s);
}

void ice_offer_mapped(struct sock *s, size_t server, const struct snet_addr *by,
		      const struct snet_addr *mapped)
{
	struct snet_local c = {
		.c = { .component = 1,
		       .address = *mapped,
		       .type = SNET_CANDIDATE_SRFLX,
		       .related = s->at,
		       .server = *by },
		.base = s->at,
		.handle = s->handle,
	};

	if (mapped->sa.sa_family != s->at.sa.sa_family)
		return; /* through a translator: no candidate of this socket's can be that */
	c.c.priority = snet_candidate_priority(c.c.type, preference(s, server), 1);
	snet_candidate_found(&c.c, &c.base, "udp");
	ice_offer(s->ice, &c, s);
}

/* ---- sockets */

void ice_remove_sock(struct snet_ice *ice, struct sock *s)
{
	size_t i = 0;

	for (size_t k = ice->relays_n; k-- > 0;)
		if (ice->relays[k]->sock == s)
			ice_remove_relay(ice, ice->relays[k]);
	while (ice->socks[i] != s)
		i++;
	memmove(ice->socks + i, ice->socks + i + 1,
		(--ice->socks_n - i) * sizeof(ice->socks[0]));
	s->gone = true;
	if (ice->way.sock == s)
		ice->way.sock = NULL;
	snet_list_add(&ice->graves, &s->node);
	snet_agent_remove_base(ice->agent, s->handle, ice_now(ice));
	ice_soon(ice);
}

struct sock *ice_open_sock(struct snet_ice *ice, const struct found *f, int fd)
{
	struct snet_udp_opts o = { ice->o.no_gso, ice->o.no_gro, true };
	struct snet_error err = { SNET_ENOMEM, "ICE: out of memory" };
	struct sock *s = calloc(1, sizeof(*s));

	if (!s || snet_udp_open(&s->udp, ice->loop, &f->at, fd, &o, &ice_udp_events, s, &err)) {
		free(s);
		ice_trouble(ice, &err);
		return NULL;
	}
	s->ice = ice;
	snet_list_init(&s->node);
	snet_stun_init(&s->stun, NULL);
	snet_udp_address(s->udp, &s->at);
	memcpy(s->iface, f->iface, sizeof(s->iface));
	s->class = f->class;
	s->order = f->order;
	s->index = if_nametoindex(s->iface);
	s->single = f->single;
	s->handle = ++ice->handles;
	ice->socks[ice->socks_n++] = s;
	return s;
}

static bool has_sock(const struct snet_ice *ice, const struct found *f)
{
	for (size_t i = 0; i < ice->socks_n; i++)
		if (ice_same_ip(&ice->socks[i]->at, &f->at))
			return true;
	return false;
}

static bool is_found(const struct scan *found, const struct sock *s)
{
	for (size_t k = 0; k < found->n; k++)
		if (ice_same_ip(&s->at, &found->v[k].at))
			return true;
	return false;
}

bool snet_ice_is_stale(const struct snet_ice *ice)
{
	struct scan *found = calloc(1, sizeof(*found));
	int rc = found ? ice_scan(&ice->o, found, NULL) : SNET_ENOMEM;
	bool stale = rc == SNET_EUNREACH && ice->socks_n;

	/* Where there is no room for one more, nothing would be found anew. */
	for (size_t i = 0; !rc && !stale && i < found->n && ice->socks_n < SOCKS_MAX; i++)
		stale = !has_sock(ice, &found->v[i]);
	for (size_t i = 0; !rc && !stale && i < ice->socks_n; i++)
		stale = !is_found(found, ice->socks[i]);
	free(found);
	return stale;
}

static void keep_or_open(struct snet_ice *ice, const struct found *f)
{
	static const struct snet_error full = {
		SNET_ETOOBIG,
		"ICE: this host has more addresses than are used; the rest is left out"
	};

	if (has_sock(ice, f))
		return;
	if (ice->socks_n < SOCKS_MAX)
		(void)ice_open_sock(ice, f, -1);
	else
		ice_trouble(ice, &full);
}

/* Addresses that have gone take their sockets with them. */
static void keep_those_of(struct snet_ice *ice, const struct scan *found)
{
	for (size_t i = ice->socks_n; i-- > 0;)
		if (!is_found(found, ice->socks[i]))
			ice_remove_sock(ice, ice->socks[i]);
}

static void open_all(struct snet_ice *ice)
{
	struct snet_error err = { SNET_ENOMEM, "ICE: out of memory" };
	struct scan *found = calloc(1, sizeof(*found));
	int rc = found ? ice_scan(&ice->o, found, &err) : SNET_ENOMEM;

	if (rc)
		ice_trouble(ice, &err);
	if (!rc || rc == SNET_EUNREACH)
		keep_those_of(ice, found);
	for (size_t i = 0; !rc && i < found->n; i++)
		keep_or_open(ice, &found->v[i]);
	free(found);
}

/* ---- servers */

bool ice_ask(struct sock *s, unsigned tag, const struct snet_addr *at, snet_time most)
{
	struct snet_stun_ask q = { .tag = tag,
				   .via = s->handle,
				   .into = s->handle,
				   .to = *at,
				   .pace = { .most = most } };
	uint8_t id[SNET_STUN_ID];

	return !snet_random(id, sizeof(id)) &&
	       !snet_stun_ask(&s->stun, &q, id, ice_now(s->ice));
}

/* From loopback nothing leaves the host. */
static bool can_ask(const struct sock *s, const struct snet_addr *at)
{
	return at->sa.sa_family != AF_UNSPEC && !s->held &&
	       (!snet_addr_is_loopback(&s->at) || snet_addr_is_loopback(at));
}

static void ask_server(struct snet_ice *ice, struct server *v)
{
	size_t number = (size_t)(v - ice->servers);

	for (size_t i = 0; i < ice->socks_n; i++) {
		struct sock *s = ice->socks[i];
		const struct snet_addr *at = &v->at[s->at.sa.sa_family == AF_INET6];

		if (!can_ask(s, at))
			continue;
		if (v->use == SERVER_STUN)
			(void)ice_ask(s, (unsigned)number, at, ice->o.gather_timeout);
		else
			ice_allocate(s, number, at);
	}
}

static void on_resolved(const struct snet_addr *a, size_t n, const struct snet_error *err,
			void *user)
{
	struct server *v = user;

	v->lookup = NULL;
	memset(v->at, 0, sizeof(v->at));
	for (size_t i = n; i-- > 0;) /* the first of each family stays */
		v->at[a[i].sa.sa_family == AF_INET6] = a[i];
	if (err)
		v->err = *err;
	else
		ask_server(v->ice, v);
	ice_pump(v->ice);
}

/* A number needs no looking up, and no turn of the loop. */
static bool is_number(struct server *v)
{
	struct snet_addr a = { 0 };

	if (inet_pton(AF_INET, v->host, &a.in.sin_addr) == 1)
		a.sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, v->host, &a.in6.sin6_addr) == 1)
		a.sa.sa_family = AF_INET6;
	else
		return false;
	snet_addr_set_port(&a, v->port);
	memset(v->at, 0, sizeof(v->at));
	v->at[a.sa.sa_family == AF_INET6] = a;
	return true;
}

static void begin_server(struct snet_ice *ice, struct server *v)
{
	struct snet_resolve_opts o = { .host = v->host,
				       .port = v->port,
				       .timeout = ice->o.gather_timeout };

	snet_resolve_free(v->lookup);
	v->lookup = NULL;
	v->useful = v->reported = false;
	v->err = (struct snet_error){ 0 };
	if (v->use == SERVER_UNUSED)
		return;
	if (is_number(v))
		ask_server(ice, v);
	else if (snet_resolve_new(&v->lookup, ice->loop, &o, on_resolved, v, &v->err))
		v->lookup = NULL;
}

void ice_stun_answer(struct sock *s, const struct snet_stun_answer *a)
{
	size_t server = a->tag & ~EXTRA;
	struct server *v = &s->ice->servers[server];

	if (!a->code) {
		v->useful = true;
		if (!(a->tag & EXTRA))
			ice_offer_mapped(s, server, &a->server, &a->mapped);
	} else {
		snet_fail(&v->err, a->code, "%s:%u: %s", v->host, v->port,
			  a->error ? a->reason : snet_err_text(a->code));
	}
	ice_punch_saw(s, a);
}

/* What was found is of use only while NATs remember it; and the peer may come late. Of this
 * nobody needs an answer. */
void ice_keep_alive(struct snet_ice *ice)
{
	uint8_t b[SNET_STUN_HEADER + 8], id[SNET_STUN_ID];
	struct snet_stunout o;

	ice->keep_at = ice_now(ice) + ice->o.keepalive;
	if (snet_random(id, sizeof(id)))
		return;
	snet_stunmsg_begin(&o, b, sizeof(b), SNET_STUN_INDICATION, SNET_STUN_BINDING, id);
	snet_stunmsg_put_fingerprint(&o);
	for (size_t i = 0; i < ice->socks_n; i++)
		for (size_t k = 0; k < ice->o.servers_n; k++) {
			struct sock *s = ice->socks[i];
			struct server *v = &ice->servers[k];
			bool v6 = s->at.sa.sa_family == AF_INET6;

			if (v->use == SERVER_STUN && v->useful && can_ask(s, &v->at[v6]))
				ice_sock_send(s, &v->at[v6], b, snet_stunmsg_end(&o));
		}
	for (size_t i = 0; i < ice->relays_n; i++)
		ice_relay_keep_alive(ice->relays[i], b, snet_stunmsg_end(&o));
}

static bool is_pending(const struct snet_ice *ice, size_t server)
{
	if (ice->servers[server].lookup)
		return true;
	for (size_t i = 0; i < ice->socks_n; i++)
		for (size_t k = 0; k < SNET_STUN_SLOTS; k++) {
			const struct snet_stun_slot *slot = &ice->socks[i]->stun.slots[k];

			if (slot->busy && (slot->ask.tag & ~EXTRA) == server)
				return true;
		}
	for (size_t i = 0; i < ice->relays_n; i++)
		if (ice->relays[i]->of == server && !ice->relays[i]->ready)
			return true;
	return false;
}

/* ---- the whole */

void ice_gather(struct snet_ice *ice)
{
	ice->gathering = true;
	ice->gather_ends = ice_now(ice) + ice->o.gather_timeout;
	ice->keep_at = ice->o.servers_n ? ice_now(ice) + ice->o.keepalive : SNET_NEVER;
	open_all(ice);
	for (size_t i = 0; i < ice->socks_n; i++) {
		snet_stun_init(&ice->socks[i]->stun, NULL);
		offer_host(ice, ice->socks[i]);
	}
	for (size_t i = 0; i < ice->relays_n; i++)
		if (ice->relays[i]->ready)
			ice_offer_relayed(ice->relays[i]);
	for (size_t i = 0; i < ice->o.servers_n; i++)
		begin_server(ice, &ice->servers[i]);
}

static void report(struct snet_ice *ice, struct server *v, bool late)
{
	if (v->reported || v->useful || v->use == SERVER_UNUSED)
		return;
	v->reported = true;
	if (!v->err.code && late)
		snet_fail(&v->err, SNET_ETIMEOUT, "%s:%u: no answer", v->host, v->port);
	else if (!v->err.code)
		snet_fail(&v->err, SNET_EUNREACH, "%s:%u: no address of ours to ask it from",
			  v->host, v->port);
	ice_trouble(ice, &v->err);
}

/* What has not been heard by now is not waited for. */
static void give_up(struct snet_ice *ice)
{
	for (size_t i = 0; i < ice->o.servers_n; i++) {
		snet_resolve_free(ice->servers[i].lookup);
		ice->servers[i].lookup = NULL;
	}
	for (size_t i = 0; i < ice->socks_n; i++)
		snet_stun_init(&ice->socks[i]->stun, NULL);
	for (size_t i = ice->relays_n; i-- > 0;)
		if (!ice->relays[i]->ready)
			ice_remove_relay(ice, ice->relays[i]);
}

static void end(struct snet_ice *ice)
{
	ice->gathering = false;
	snet_agent_end_local(ice->agent, ice_now(ice));
	ice->again = true;
	if (ice->ev->on_gathered)
		ice->ev->on_gathered(ice->user);
}

static void ask_due(struct sock *s, snet_time now)
{
	const struct snet_stun_ask *q;
	struct snet_stun_answer a;
	uint8_t b[SNET_STUN_ASK_MAX];
	size_t n;

	while ((n = snet_stun_send(&s->stun, now, b, &q)))
		ice_sock_send(s, &q->to, b, n);
	while (snet_stun_over(&s->stun, now, &a))
		ice_stun_answer(s, &a);
}

void ice_gather_step(struct snet_ice *ice, snet_time now)
{
	bool late = now >= ice->gather_ends, all = true;

	for (size_t i = 0; i < ice->socks_n; i++)
		ask_due(ice->socks[i], now);
	if (late)
		give_up(ice);
	for (size_t i = 0; i < ice->o.servers_n && ice->gathering; i++) {
		if (is_pending(ice, i))
			all = false;
		else
			report(ice, &ice->servers[i], late);
	}
	if (all && ice->gathering && !ice->begin)
		end(ice);
}

snet_time ice_gather_deadline(const struct snet_ice *ice)
{
	snet_time at = ice->gathering ? ice->gather_ends : SNET_NEVER, next;

	for (size_t i = 0; i < ice->socks_n && ice->gathering; i++) {
		next = snet_stun_deadline(&ice->socks[i]->stun);
		at = next < at ? next : at;
	}
	return at;
}
