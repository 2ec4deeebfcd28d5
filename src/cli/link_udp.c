/* Doors and NATs: the sockets of datagrams. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/link_impl.h"
#include "cli/out.h"
#include "cli/say.h"
#include "crypto/hash.h"

#define SWEEP_EVERY SNET_SEC

/* An address of ours that stands for target, which is party to. */
struct door {
	struct link_hop hop;
	struct link_side *side;
	size_t to;
	struct snet_addr target;
};

/* A port outside, of one mapping. */
struct flow {
	struct link_hop hop;
	struct link_side *side;
	struct snet_nat_mapping *m;
	struct door *last;        /* by which the inside spoke; NULL: by none */
	struct snet_addr local;   /* which of the door's addresses the inside speaks to */
	struct snet_addr outside; /* its own */
};

struct link_side {
	struct link *l;
	size_t party;
	struct snet_nat nat;
	struct door **doors;
	size_t n;
	struct snet_addr at; /* outside, without a port; AF_UNSPEC: not known yet */
	uint64_t overruns;   /* of sockets that are gone */
	bool said;
};

static void on_train(struct snet_dgram *d, const struct snet_path *path, uint8_t ecn,
		     uint8_t *p, size_t n, size_t segment, void *user)
{
	struct link_hop *hop = user;
	snet_time arrived = snet_dgram_arrived(d);

	if (arrived)
		hop->l->now = arrived;
	hop->take(hop, path, ecn, p, n, segment);
}

static const struct snet_dgram_events events = { on_train, link_on_batch };

static int open_hop(struct link *l, struct link_hop *hop, const struct snet_addr *at,
		    struct snet_error *err)
{
	int rc = l->hub ? SNET_OK : snet_dgram_hub_new(&l->hub, l->loop, &events, l);

	if (rc)
		return snet_fail(err, rc, "%s", snet_err_text(rc));
	hop->l = l;
	rc = snet_dgram_open(&hop->d, l->hub, at, hop, err);
	/* Where there may be a delay it begins when a packet came, not when it was seen. */
	if (!rc && (l->first || l->opts->schedule || l->opts->control))
		snet_dgram_want_stamps(hop->d);
	return rc;
}

static void close_hop(struct link_side *side, struct link_hop *hop)
{
	link_flush(side->l); /* what is to leave by it has left */
	if (hop->d)
		side->overruns += snet_dgram_overruns(hop->d);
	snet_dgram_close(hop->d);
	hop->d = NULL;
}

/* ---- outside */

/* Our address towards target, without a port. */
static struct snet_addr near_side(const struct snet_addr *target)
{
	int fd = socket(target->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct snet_addr at = { .sa.sa_family = target->sa.sa_family };
	socklen_t n = sizeof(at);

	if (fd < 0)
		return at;
	if (connect(fd, &target->sa, snet_addr_len(target)) || getsockname(fd, &at.sa, &n))
		at = (struct snet_addr){ .sa.sa_family = target->sa.sa_family };
	close(fd);
	snet_addr_set_port(&at, 0);
	return at;
}

static void drop_flow(struct link_side *side, struct snet_nat_mapping *m)
{
	struct flow *f = m->user;

	if (f) {
		close_hop(side, &f->hop);
		f->m = NULL;
		link_hop_free(&f->hop);
	}
	snet_nat_drop(&side->nat, m);
}

/* At the port the NAT names, or the next one that is free. */
static int bind_flow(struct flow *f, struct snet_error *err)
{
	struct snet_addr at = f->side->at;
	int rc;

	if (at.sa.sa_family == AF_UNSPEC) /* each destination has its own */
		at = near_side(&f->m->remote);
	for (;;) {
		snet_addr_set_port(&at, f->m->port);
		rc = open_hop(f->side->l, &f->hop, &at, err);
		if (rc != SNET_EBIND || !f->m->port)
			break;
		rc = snet_nat_next_port(&f->side->nat, f->m);
		if (rc)
			return snet_fail(err, SNET_EBIND, "no port outside is free");
	}
	if (rc)
		return rc;
	snet_dgram_address(f->hop.d, &f->outside);
	f->m->port = snet_addr_port(&f->outside);
	return SNET_OK;
}

static void take_outside(struct link_hop *hop, const struct snet_path *path, uint8_t ecn,
			 uint8_t *p, size_t n, size_t segment);

static struct flow *new_flow(struct link_side *side, struct snet_nat_mapping *m)
{
	struct flow *f = calloc(1, sizeof(*f));
	struct snet_error err = { 0 };
	char inside[SNET_ADDR_TEXT], outside[SNET_ADDR_TEXT];

	if (!f)
		return NULL;
	f->hop = (struct link_hop){ .refs = 1, .take = take_outside };
	f->side = side;
	f->m = m;
	if (bind_flow(f, &err)) {
		if (!side->said)
			say_note("%s", err.text);
		side->said = true; /* once: every packet would say it */
		free(f);
		return NULL;
	}
	m->user = f;
	out_event("link.mapped", out_text("inside", snet_addr_print(&m->inside, inside)),
		  out_text("outside", snet_addr_print(&f->outside, outside)));
	return f;
}

static struct flow *flow_for(struct link_side *side, const struct snet_addr *inside,
			     const struct snet_addr *target)
{
	struct snet_nat_mapping *m;
	snet_time now = link_now(side->l);
	bool fresh;
	int rc;

	while ((rc = snet_nat_out(&side->nat, inside, target, now, &m, &fresh)))
		if (rc == SNET_EAGAIN)
			drop_flow(side, snet_nat_idlest(&side->nat));
		else if (rc == SNET_ECLOSED)
			drop_flow(side, m);
		else
			return NULL;
	if (!fresh)
		return m->user;
	if (!new_flow(side, m)) {
		snet_nat_drop(&side->nat, m);
		return NULL;
	}
	return m->user;
}

/* ---- the two ways */

static void pass(struct link_side *side, size_t from, size_t to, struct link_hop *hop,
		 const struct snet_path *path, const struct snet_addr *sender, uint8_t ecn,
		 uint8_t *p, size_t n, size_t segment)
{
	if (!n)
		link_offer(side->l, from, to, hop, path, sender, ecn, p, 0);
	for (size_t k; n; p += k, n -= k) {
		k = n < segment ? n : segment;
		link_offer(side->l, from, to, hop, path, sender, ecn, p, k);
	}
}

static void take_inside(struct link_hop *hop, const struct snet_path *path, uint8_t ecn,
			uint8_t *p, size_t n, size_t segment)
{
	struct door *d = SNET_OF(hop, struct door, hop);
	struct flow *f = flow_for(d->side, &path->remote, &d->target);
	struct snet_path out;

	if (!f) {
		d->side->l->overflowed++;
		return;
	}
	f->local = path->local;
	f->last = d;
	out = (struct snet_path){ f->outside, d->target };
	pass(d->side, d->side->party, d->to, &f->hop, &out, &f->outside, ecn, p, n, segment);
}

/* Several doors may lead to one target: answers come by the one that was spoken to. */
static struct door *door_of(const struct link_side *side, const struct flow *f,
			    const struct snet_addr *target)
{
	if (f->last && snet_addr_eq(&f->last->target, target))
		return f->last;
	for (size_t i = 0; i < side->n; i++)
		if (snet_addr_eq(&side->doors[i]->target, target))
			return side->doors[i];
	return NULL;
}

static const struct snet_nat_mapping *next_mapping(const struct snet_nat *n,
						   const struct snet_nat_mapping *m)
{
	const struct snet_list *at = m ? m->node.next : n->idle.next;

	return at == &n->idle ? NULL : SNET_OF(at, struct snet_nat_mapping, node);
}

static bool is_inside(const struct link_side *side, const struct snet_addr *a)
{
	const struct snet_nat_mapping *m = NULL;

	while ((m = next_mapping(&side->nat, m)))
		if (snet_addr_eq(&m->inside, a))
			return true;
	return false;
}

/* Who is behind this address: a party by its port outside, or else the first there is. */
static size_t party_at(const struct link_side *side, const struct snet_addr *a)
{
	const struct link *l = side->l;

	for (size_t i = 0; l->sides && i < l->net.n; i++) {
		const struct snet_nat_mapping *m = NULL;

		while (i != side->party && (m = next_mapping(&l->sides[i].nat, m))) {
			const struct flow *f = m->user;

			if (snet_addr_eq(&f->outside, a))
				return i;
		}
	}
	return side->doors[0]->to;
}

static int add_door(struct link_side *side, size_t to, struct snet_addr *at,
		    const struct snet_addr *target, struct snet_error *err);

/* Somebody the inside has not been told of, and whom the filter lets in: he gets a door. */
static struct door *stranger(struct link_side *side, const struct snet_addr *who)
{
	struct snet_error err = { 0 };
	struct snet_addr at;

	snet_dgram_address(side->doors[0]->hop.d, &at);
	snet_addr_set_port(&at, 0);
	if (side->n == LINK_DOORS_MAX || add_door(side, party_at(side, who), &at, who, &err))
		return NULL;
	return side->doors[side->n - 1];
}

/* The inside speaks to its own outside. With hairpinning it does so as its own outside, RFC
 * 4787 §6: sent once more, from there. */
static void hairpin(struct flow *f, const struct snet_addr *inside, uint8_t ecn, uint8_t *p,
		    size_t n, size_t segment)
{
	struct link *l = f->side->l;
	struct snet_addr own = f->outside;
	struct flow *as;

	if (!l->opts->nat.hairpin) {
		l->filtered++;
		return;
	}
	as = flow_for(f->side, inside, &own);
	for (size_t k; as && n; p += k, n -= k) {
		struct snet_dgram_out out = {
			as->hop.d, { as->outside, own }, ecn, p, n < segment ? n : segment
		};

		k = out.n;
		l->untaken += snet_dgram_send(&out, 1);
	}
}

static void take_outside(struct link_hop *hop, const struct snet_path *path, uint8_t ecn,
			 uint8_t *p, size_t n, size_t segment)
{
	struct flow *f = SNET_OF(hop, struct flow, hop);
	struct link_side *side = f->side;
	struct door *d = door_of(side, f, &path->remote);
	struct snet_path in;

	if (!d && is_inside(side, &path->remote)) {
		hairpin(f, &path->remote, ecn, p, n, segment);
		return;
	}
	if (!snet_nat_in(&side->nat, f->m, &path->remote, link_now(side->l))) {
		side->l->filtered++;
		return;
	}
	if (!d)
		d = stranger(side, &path->remote);
	if (!d) {
		side->l->overflowed++;
		return;
	}
	in = (struct snet_path){ f->local, f->m->inside };
	pass(side, d->to, side->party, &d->hop, &in, &path->remote, ecn, p, n, segment);
}

/* ---- doors */

static int add_door(struct link_side *side, size_t to, struct snet_addr *at,
		    const struct snet_addr *target, struct snet_error *err)
{
	struct door *d = calloc(1, sizeof(*d)),
		    **grown = realloc(side->doors, (side->n + 1) * sizeof(*grown));
	int rc;

	if (grown)
		side->doors = grown;
	if (!d || !grown) {
		free(d);
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	}
	d->hop = (struct link_hop){ .refs = 1, .take = take_inside };
	d->side = side;
	d->to = to;
	d->target = *target;
	rc = open_hop(side->l, &d->hop, at, err);
	if (rc) {
		free(d);
		return rc;
	}
	snet_dgram_address(d->hop.d, at);
	side->doors[side->n++] = d;
	return SNET_OK;
}

/* One outside for all: the address that is right for every destination, or any. */
static int settle_outside(struct link_side *side, const struct snet_addr *target,
			  struct snet_error *err)
{
	struct snet_addr at = near_side(target);

	if (side->l->opts->nat_at || side->l->opts->nat.mapping == SNET_NAT_ADDRESS_PORT)
		return SNET_OK;
	if (side->at.sa.sa_family == AF_UNSPEC)
		side->at = at;
	if (side->at.sa.sa_family != at.sa.sa_family)
		return snet_fail(err, SNET_EINVAL,
				 "destinations of IPv4 and of IPv6: one family at a time");
	if (!snet_addr_eq(&side->at, &at))
		side->at = (struct snet_addr){ .sa.sa_family = at.sa.sa_family };
	return SNET_OK;
}

int link_door_open(struct link *l, size_t from, size_t to, struct snet_addr *at,
		   const struct snet_addr *target, struct snet_error *err)
{
	int rc = settle_outside(&l->sides[from], target, err);

	return rc ? rc : add_door(&l->sides[from], to, at, target, err);
}

/* ---- life */

static void on_sweep(struct snet_timer *t, snet_time now)
{
	struct link *l = t->user;

	for (size_t i = 0; i < l->net.n; i++)
		while (snet_nat_deadline(&l->sides[i].nat) <= now)
			drop_flow(&l->sides[i], snet_nat_idlest(&l->sides[i].nat));
	link_tcp_accept_again(l);
	snet_timer_set(l->loop, t, now + SWEEP_EVERY);
}

int link_sides_open(struct link *l, struct snet_error *err)
{
	struct snet_addr at = { .sa.sa_family = AF_UNSPEC };
	uint8_t secret[16];
	int rc = link_outside(l, &at, err);

	if (rc)
		return rc;
	l->sides = calloc(l->net.n, sizeof(*l->sides));
	if (!l->sides)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	for (size_t i = 0; i < l->net.n; i++) {
		snet_random(secret, sizeof(secret));
		l->sides[i].l = l;
		l->sides[i].party = i;
		l->sides[i].at = at;
		snet_nat_init(&l->sides[i].nat, &l->opts->nat, l->opts->seed + i, secret);
	}
	l->sweep = (struct snet_timer){ .fn = on_sweep, .user = l };
	snet_timer_set(l->loop, &l->sweep, snet_loop_now(l->loop) + SWEEP_EVERY);
	return l->roster ? link_roster_doors(l, err) : link_plain_doors(l, err);
}

void link_sides_close(struct link *l)
{
	snet_timer_stop(l->loop, &l->sweep);
	for (size_t i = 0; l->sides && i < l->net.n; i++) {
		struct link_side *side = &l->sides[i];

		while (side->nat.n)
			drop_flow(side, snet_nat_idlest(&side->nat));
		snet_nat_fini(&side->nat);
		for (size_t k = 0; k < side->n; k++) {
			close_hop(side, &side->doors[k]->hop);
			link_hop_free(&side->doors[k]->hop);
		}
		free(side->doors);
	}
	free(l->sides);
	l->sides = NULL;
}

/* ---- changes and figures */

static void rebind(struct link_side *side, struct flow *f)
{
	struct snet_error err = { 0 };
	uint16_t before = f->m->port;
	char inside[SNET_ADDR_TEXT], outside[SNET_ADDR_TEXT];
	struct link_hop old = f->hop;

	f->hop.d = NULL;
	if (snet_nat_next_port(&side->nat, f->m) || bind_flow(f, &err)) {
		say("cannot rebind: %s", err.text[0] ? err.text : "no port is left");
		f->hop.d = old.d;
		f->m->port = before;
		return;
	}
	close_hop(side, &old);
	out_event("link.mapped", out_text("inside", snet_addr_print(&f->m->inside, inside)),
		  out_text("outside", snet_addr_print(&f->outside, outside)));
}

/* The ports outside of what from sends to to; of what it sends to anybody, where one port is
 * for all. */
void link_rebind(struct link *l, size_t from, size_t to)
{
	struct link_side *side = &l->sides[from];
	const struct snet_nat_mapping *m = NULL;

	link_flush(l);
	while ((m = next_mapping(&side->nat, m))) {
		const struct door *d = door_of(side, m->user, &m->remote);

		if (l->opts->nat.mapping != SNET_NAT_ADDRESS_PORT || (d && d->to == to))
			rebind(side, m->user);
	}
}

uint64_t link_overruns(const struct link *l)
{
	uint64_t n = 0;

	for (size_t i = 0; l->sides && i < l->net.n; i++) {
		const struct snet_nat_mapping *m = NULL;

		n += l->sides[i].overruns;
		for (size_t k = 0; k < l->sides[i].n; k++)
			n += snet_dgram_overruns(l->sides[i].doors[k]->hop.d);
		while ((m = next_mapping(&l->sides[i].nat, m)))
			n += snet_dgram_overruns(((struct flow *)m->user)->hop.d);
	}
	return n;
}
