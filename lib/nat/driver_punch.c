#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "nat/driver_impl.h"

/* NATs that give every destination another port: what a server sees is of no use to a peer.
 * Where the ports follow each other, the next ones are offered, and the peer tries more of
 * them; where they are drawn by lot, and it is wished for, many are held and many tried. */

#define EXTRA_TIMEOUT SNET_SEC /* of a server that has just answered */
#define AFTER SNET_SEC         /* checks alone have had their time */
#define STRANGERS_MAX 16       /* datagrams of theirs, in one turn */

/* ---- what servers see */

static void record(struct sock *s, const struct snet_stun_answer *a)
{
	struct snet_ice *ice = s->ice;
	struct sight v = { .handle = s->handle,
			   .asked = ice_now(ice) - a->rtt,
			   .tag = a->tag,
			   .by = a->server,
			   .other = a->other,
			   .mapped = a->mapped };
	size_t i = ice->punch.sights_n;

	if (i == SIGHTS_MAX)
		return;
	for (; i && ice->punch.sights[i - 1].asked > v.asked; i--)
		ice->punch.sights[i] = ice->punch.sights[i - 1];
	ice->punch.sights[i] = v;
	ice->punch.sights_n++;
}

/* The last sight of a socket whose NAT gives every destination another port; NULL: it does not,
 * for all we know. */
static const struct sight *hard(const struct snet_ice *ice, uint32_t handle)
{
	const struct sight *last = NULL;
	bool is = false;

	for (size_t i = 0; i < ice->punch.sights_n; i++) {
		const struct sight *v = &ice->punch.sights[i];

		if (v->handle != handle)
			continue;
		is = is || (last && ice_same_ip(&v->mapped, &last->mapped) &&
			    !snet_addr_eq(&v->mapped, &last->mapped));
		last = v;
	}
	return is ? last : NULL;
}

/* Puts one port more at its place behind the first ones. */
static void insert(uint16_t *v, size_t first, size_t n, uint16_t port, bool down)
{
	for (; n > first && (down ? v[n - 1] < port : v[n - 1] > port); n--)
		v[n] = v[n - 1];
	v[n] = port;
}

/* What comes next of this NAT; its counter is one for all sockets, as a rule. Of what was asked
 * in one turn, nobody knows which came first. */
static size_t foretell(const struct snet_ice *ice, const struct snet_addr *nat, bool down,
		       uint16_t next[static SNET_PUNCH_NEXT])
{
	uint16_t seen[SIGHTS_MAX];
	size_t n = 0, first = 0;
	snet_time asked = 0;

	for (size_t i = 0; i < ice->punch.sights_n; i++) {
		const struct sight *v = &ice->punch.sights[i];

		if (!ice_same_ip(&v->mapped, nat))
			continue;
		first = v->asked == asked ? first : n;
		asked = v->asked;
		insert(seen, first, n++, snet_addr_port(&v->mapped), down);
	}
	return snet_punch_foretell(seen, n, next, SNET_PUNCH_NEXT);
}

/* ---- more questions: to the other addresses and ports of servers that have some (RFC 5780) */

static bool is_asked(const struct sock *s, const struct snet_addr *at)
{
	for (size_t i = 0; i < s->ice->punch.sights_n; i++)
		if (s->ice->punch.sights[i].handle == s->handle &&
		    snet_addr_eq(&s->ice->punch.sights[i].by, at))
			return true;
	for (size_t i = 0; i < SNET_STUN_SLOTS; i++)
		if (s->stun.slots[i].busy && snet_addr_eq(&s->stun.slots[i].ask.to, at))
			return true;
	return false;
}

static void ask_at(struct sock *s, const struct sight *v, const struct snet_addr *ip,
		   const struct snet_addr *port)
{
	struct snet_addr at = *ip;

	snet_addr_set_port(&at, snet_addr_port(port));
	/* It is the server who says where: not to hosts of ours. */
	if (at.sa.sa_family != s->at.sa.sa_family || is_asked(s, &at) ||
	    snet_candidate_refusal(&at, snet_addr_is_loopback(&v->by)))
		return;
	s->extra += ice_ask(s, v->tag | EXTRA, &at, EXTRA_TIMEOUT);
}

static void ask_more(struct sock *s)
{
	const struct snet_ice *ice = s->ice;
	size_t n = ice->punch.sights_n;

	s->asked_more = true;
	for (size_t i = 0; i < n; i++) {
		const struct sight *v = &ice->punch.sights[i];

		if (v->handle != s->handle || v->other.sa.sa_family == AF_UNSPEC ||
		    v->tag & EXTRA)
			continue;
		ask_at(s, v, &v->by, &v->other);
		ask_at(s, v, &v->other, &v->by);
		ask_at(s, v, &v->other, &v->other);
	}
}

/* ---- ports that come next */

/* Each has a foundation of its own, or they would wait for each other to fail (RFC 8445
 * §6.1.2.6); and less priority than any other one of its type. */
static void offer(struct sock *s, const struct sight *v, uint16_t port, unsigned number)
{
	struct snet_local c = { .c = { .component = 1,
				       .address = v->mapped,
				       .type = SNET_CANDIDATE_SRFLX,
				       .related = s->at,
				       .server = v->by },
				.base = s->at,
				.handle = s->handle };
	unsigned preference = s->handle % 1024 * SNET_PUNCH_NEXT + SNET_PUNCH_NEXT - 1 - number;
	char via[16];

	snet_addr_set_port(&c.c.address, port);
	c.c.priority = snet_candidate_priority(c.c.type, (uint16_t)preference, 1);
	snprintf(via, sizeof(via), "+%u", number);
	snet_candidate_found(&c.c, &c.base, via);
	ice_offer(s->ice, &c, s);
}

static void look(struct sock *s)
{
	const struct sight *last = hard(s->ice, s->handle);
	struct sight v = last ? *last : (struct sight){ 0 };
	uint16_t next[SNET_PUNCH_NEXT];
	size_t n;

	if (!last || s->foretold || !s->ice->gathering)
		return;
	if (!s->asked_more)
		ask_more(s);
	if (s->extra)
		return;
	n = foretell(s->ice, &v.mapped, false, next);
	if (n < 2)
		n = foretell(s->ice, &v.mapped, true, next);
	s->foretold = n > 1;
	for (size_t i = 0; i < n && s->foretold; i++)
		offer(s, &v, next[i], (unsigned)i);
}

void ice_punch_saw(struct sock *s, const struct snet_stun_answer *a)
{
	if (a->tag & EXTRA)
		s->extra--;
	if (!a->code)
		record(s, a);
	look(s);
}

/* ---- who is to do what */

static bool is_direct(const struct snet_checklist *l, const struct snet_pair *p)
{
	return snet_pair_local(l, p)->c.type != SNET_CANDIDATE_RELAY &&
	       snet_pair_remote(l, p)->type != SNET_CANDIDATE_RELAY;
}

static bool is_wanted(const struct snet_ice *ice)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	enum snet_agent_state state = snet_agent_state(ice->agent);

	for (size_t i = 0; i < l->pairs_n; i++)
		if (l->pairs[i].valid && is_direct(l, &l->pairs[i]))
			return false;
	return ice->o.path != SNET_ICE_RELAY && state >= SNET_AGENT_CHECKING &&
	       state < SNET_AGENT_FAILED && !snet_agent_has_fallen_back(ice->agent);
}

/* The peer's candidate, of those that servers see, that it puts first; NULL: none. */
static const struct snet_candidate *its_best(const struct snet_ice *ice, int family)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	const struct snet_candidate *best = NULL;

	for (size_t i = 0; i < l->remotes_n; i++) {
		const struct snet_remote *r = &l->remotes[i];

		if (r->told && r->c.type == SNET_CANDIDATE_SRFLX &&
		    r->c.address.sa.sa_family == family &&
		    (!best || r->c.priority > best->priority))
			best = &r->c;
	}
	return best;
}

/* The peer's NAT has given these ports to one socket of its, or will: the later it told of
 * them, the later. One alone: for all we know, it gives no other ones. */
static size_t its_ports(const struct snet_ice *ice, const struct snet_candidate *of,
			uint16_t out[static SNET_REMOTES_TOLD_MAX])
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	uint16_t told[SNET_REMOTES_TOLD_MAX];
	size_t n = 0;

	for (size_t i = 0; i < l->remotes_n && n < SNET_REMOTES_TOLD_MAX; i++) {
		const struct snet_remote *r = &l->remotes[i];

		if (r->told && r->c.type == SNET_CANDIDATE_SRFLX &&
		    ice_same_ip(&r->c.address, &of->address) &&
		    snet_addr_eq(&r->c.related, &of->related))
			told[n++] = snet_addr_port(&r->c.address);
	}
	for (size_t i = 0; i < n; i++)
		insert(out, 0, i, told[i], told[n - 1] < told[0]);
	return n;
}

/* The socket behind what we put first; what a server sees counts more than what we see. */
static struct sock *our_best(const struct snet_ice *ice)
{
	const struct snet_checklist *l = snet_agent_checklist(ice->agent);
	const struct snet_local *best = NULL;

	for (size_t i = 0; i < l->locals_n; i++) {
		const struct snet_local *c = &l->locals[i];
		bool seen = c->c.type == SNET_CANDIDATE_SRFLX;
		bool best_seen = best && best->c.type == SNET_CANDIDATE_SRFLX;

		if (!c->c.component || !(seen || c->c.type == SNET_CANDIDATE_HOST) ||
		    !ice_sock(ice, c->handle))
			continue;
		if (!best || seen > best_seen ||
		    (seen == best_seen && c->c.priority > best->c.priority))
			best = c;
	}
	return best ? ice_sock(ice, best->handle) : NULL;
}

/* Either side, and not both: whoever has the greater name. */
static bool comes_first(const struct snet_ice *ice)
{
	return strcmp(snet_agent_ufrag(ice->agent), ice->remote) > 0;
}

static void begin(struct snet_ice *ice, snet_time now)
{
	const struct sock *s = our_best(ice);
	const struct snet_candidate *its = s ? its_best(ice, s->at.sa.sa_family) : NULL;
	uint16_t ports[SNET_REMOTES_TOLD_MAX], ahead[SNET_PUNCH_AHEAD];
	uint8_t random[8];
	size_t n = its ? its_ports(ice, its, ports) : 0, next;

	if (!its)
		return;
	ice->punch.by = s->handle;
	ice->punch.to = its->address;
	next = snet_punch_foretell(ports, n, ahead, SNET_PUNCH_AHEAD);
	if (s->foretold && next > 1)
		next = snet_punch_cross(ahead, next, comes_first(ice));
	if (hard(ice, s->handle) && !s->foretold) {
		if (n == 1) /* or neither side's port is known */
			(void)snet_punch_hold(&ice->punch.plan, ice->o.birthday, now);
	} else if (next > 1) {
		(void)snet_punch_sweep(&ice->punch.plan, ahead, next, now);
	} else if (n > 1 && !s->foretold && !snet_random(random, sizeof(random))) {
		(void)snet_punch_draw(&ice->punch.plan, ice->o.birthday, snet_get_be64(random),
				      now);
	}
}

/* ---- sockets held open */

static void let_go(struct hold *h)
{
	snet_io_free(h->io);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}

static void let_all_go(struct snet_ice *ice)
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
		if (ice_same_ip(&from, &h->ice->punch.to))
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
	struct sock *like = ice_sock(ice, ice->punch.by), *s;
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

static void hold(struct snet_ice *ice, unsigned number, snet_time now)
{
	const struct sock *like = ice_sock(ice, ice->punch.by);
	struct snet_error err;

	if (number == ice->punch.holds_n && like && !ice->punch.full && open_hold(ice, like)) {
		ice->punch.full = true;
		snet_fail(&err, SNET_EIO, "ICE: %u sockets are held open, and no more: %s",
			  number, strerror(errno));
		ice_trouble(ice, &err);
	}
	if (number < ice->punch.holds_n && ice->punch.holds[number])
		(void)snet_agent_probe(ice->agent, ice->punch.holds[number]->handle,
				       &ice->punch.to, now);
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

/* ---- life */

void ice_punch_init(struct snet_ice *ice)
{
	snet_punch_init(&ice->punch.plan);
	ice->punch.at = SNET_NEVER;
}

void ice_punch_end(struct snet_ice *ice)
{
	snet_punch_stop(&ice->punch.plan);
	ice->punch.at = SNET_NEVER;
	let_all_go(ice);
}

void ice_punch_renew(struct snet_ice *ice)
{
	ice_punch_end(ice);
	ice_punch_init(ice);
	ice->punch.full = false;
	ice->punch.sights_n = 0;
	for (size_t i = ice->socks_n; i-- > 0;) {
		struct sock *s = ice->socks[i];

		s->extra = 0;
		s->asked_more = s->foretold = false;
		if (s->held && ice->way.sock != s)
			ice_remove_sock(ice, s);
	}
}

static void do_next(struct snet_ice *ice, snet_time now)
{
	struct snet_addr to = ice->punch.to;
	struct snet_punch_want w;

	while ((w = snet_punch_step(&ice->punch.plan, now)).what) {
		if (w.what == SNET_PUNCH_PROBE) {
			snet_addr_set_port(&to, w.port);
			(void)snet_agent_probe(ice->agent, ice->punch.by, &to, now);
		} else if (w.what == SNET_PUNCH_HOLD) {
			hold(ice, w.socket, now);
		} else {
			let_all_go(ice);
		}
	}
}

void ice_punch_turn(struct snet_ice *ice, snet_time now)
{
	if (ice->punch.plan.state == SNET_PUNCH_OVER)
		return;
	if (!is_wanted(ice)) {
		if (ice->punch.plan.state != SNET_PUNCH_IDLE)
			ice_punch_end(ice);
		ice->punch.at = SNET_NEVER;
		return;
	}
	if (ice->punch.plan.state == SNET_PUNCH_IDLE && now >= ice->punch.at)
		begin(ice, now);
	if (ice->punch.plan.state != SNET_PUNCH_IDLE)
		do_next(ice, now);
	else if (ice->punch.at == SNET_NEVER || now >= ice->punch.at)
		ice->punch.at = now + AFTER; /* more of the peer's may come */
}

snet_time ice_punch_deadline(const struct snet_ice *ice)
{
	return ice->punch.plan.state == SNET_PUNCH_IDLE ? ice->punch.at
							: ice->punch.plan.deadline;
}
