#include "transport/loop_end.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/allow.h"
#include "crypto/identity.h"

#define CHUNK (16 << 10) /* bytes in one on_data: then the next stream */
#define TURN (1 << 20)   /* bytes of one connection in one turn of the loop: then the others */
#define UNSENT_LITTLE (512 << 10) /* bytes: below this more is welcome again */

struct loop_end *loop_end_other(struct loop_end *c)
{
	return &c->pair->end[c == &c->pair->end[0]];
}

void loop_end_wake(struct loop_end *c)
{
	if (c->ep)
		snet_task_defer(c->ep->loop, &c->task);
}

/* ---- life and death of an end */

static void drop(struct loop_pair *l)
{
	if (--l->refs)
		return;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < SNET_STREAMS; k++)
			snet_txq_fini(&l->end[i].out[k].tx);
		free(l->end[i].spki);
	}
	free(l);
}

static void attach(struct loop_end *c, struct snet_endpoint *e, const struct snet_addr *remote)
{
	c->ep = e;
	c->base.local = e->at;
	c->base.remote = *remote;
	snet_list_add(&e->ends, &c->node);
	e->n_ends++;
	c->pair->refs++;
}

void loop_end_fail(struct loop_end *c, int code, const char *why, bool by_peer)
{
	if (c->closing)
		return;
	c->closing = true;
	c->code = code;
	c->by_peer = by_peer;
	snprintf(c->why, sizeof(c->why), "%s", why);
	loop_end_wake(c);
	if (!by_peer)
		loop_end_wake(loop_end_other(c));
}

/* The end of it: tells the owner and lets go. */
void loop_end_bury(struct loop_end *c)
{
	c->base.open = c->ready = false;
	snet_task_cancel(&c->task);
	snet_timer_stop(c->ep->loop, &c->timer);
	snet_list_del(&c->node);
	c->ep->n_ends--;
	c->ep = NULL;
	if (c->base.events)
		c->base.events->on_close(&c->base, c->code, c->why, c->by_peer, c->base.user);
	drop(c->pair);
}

/* The crate closes everything with 0 and says why in words, stoffelnet-wire(7). */
static int heard(const struct loop_end *c, int code, const char *why)
{
	if (c->base.profile == SNET_PROFILE_SNET1)
		return snet_err_from_wire(snet_err_to_wire(code));
	if (!strcmp(why, "unknown peer") || !strcmp(why, "certificate public key not allowed"))
		return SNET_EDENIED;
	return SNET_OK;
}

/* ---- dialling */

/* By key alone: there is no handshake in which a chain could be shown. */
static int check(const struct snet_trust *t, const uint8_t *pin, const uint8_t *key,
		 struct snet_error *err)
{
	char text[SNET_KEYID_TEXT];

	if (pin)
		return snet_trust_check_pin(pin, key, NULL, err);
	if (t && (snet_trust_is_insecure(t) || snet_trust_name(t, key)))
		return SNET_OK;
	return snet_fail(err, SNET_EDENIED, "key %s is not allowed",
			 snet_keyid_print(key, text));
}

static void refused(struct snet_endpoint *e, const struct snet_addr *from, const char *why)
{
	if (e->ev->on_refused)
		e->ev->on_refused(e, from, SNET_EDENIED, why, e->user);
}

/* false: one of them does not want the other, and both have been told. */
static bool introduce(struct loop_end *d, struct snet_endpoint *e)
{
	static const char no[] = "the peer does not accept our key";
	const uint8_t *mine = snet_identity_keyid(d->ep->cfg.identity);
	const uint8_t *theirs = snet_identity_keyid(e->cfg.identity);
	struct snet_addr from = d->ep->at;
	struct snet_error why;

	if (check(d->ep->cfg.trust, d->pinned ? d->pin : NULL, theirs, &why)) {
		loop_end_fail(d, SNET_EDENIED, why.text, false);
		refused(e, &from, no);
		return false;
	}
	if (check(e->cfg.trust, NULL, mine, &why)) {
		loop_end_fail(d, SNET_EDENIED, no, true);
		refused(e, &from, why.text);
		return false;
	}
	return true;
}

/* As ALPN would: the role is said in the crate's profile only. */
static bool agree(struct loop_end *c, const struct loop_end *d, const struct snet_endpoint *e,
		  const struct snet_identity *peer)
{
	bool crate = d->ep->cfg.crate_only || e->cfg.crate_only;
	const uint8_t *spki = snet_identity_spki(peer, &c->base.peer_spki_len);

	c->spki = malloc(c->base.peer_spki_len);
	if (!c->spki)
		return false;
	memcpy(c->spki, spki, c->base.peer_spki_len);
	c->base.peer_spki = c->spki;
	c->base.profile = crate ? SNET_PROFILE_STOFFELNET_0_1 : SNET_PROFILE_SNET1;
	c->base.role = crate ? d->ep->cfg.role : SNET_ROLE_SERVER;
	memcpy(c->base.peer_key, snet_identity_keyid(peer), SNET_KEYID_BYTES);
	c->base.peer_derived = snet_identity_derived(peer);
	return true;
}

static void open_end(struct loop_end *d)
{
	d->base.open = true;
	d->base.events->on_open(&d->base, d->base.user);
}

/* From the dialling end's task. */
static void connect_ends(struct loop_end *d)
{
	struct snet_endpoint *e = loop_find(d->ep->loop, snet_addr_port(&d->base.remote));
	struct loop_end *a = loop_end_other(d);

	if (!e || !e->ev || !e->ev->on_accept) {
		loop_end_fail(d, SNET_EUNREACH, "nobody listens there", false);
		return;
	}
	if (e->n_ends >= e->cfg.max_conns) {
		loop_end_fail(d, SNET_EUNREACH, "the peer takes no more connections", true);
		return;
	}
	if (!introduce(d, e))
		return;
	if (!agree(d, d, e, e->cfg.identity) || !agree(a, d, e, d->ep->cfg.identity)) {
		loop_end_fail(d, SNET_ENOMEM, "out of memory", false);
		return;
	}
	attach(a, e, &d->ep->at);
	a->ready = true;
	e->ev->on_accept(e, &a->base, e->user);
	if (a->ep && !a->closing && !a->base.events)
		loop_end_fail(a, SNET_ECLOSED, "nobody took it", false);
	a->base.open = a->ep && a->base.events;
	if (!d->ep || d->closing || a->closing)
		return;
	d->ready = true;
	if (d->base.profile != SNET_PROFILE_SNET1 || !d->base.events->on_early) {
		open_end(d);
		return;
	}
	loop_end_wake(d); /* open in a later turn, if the other side still wants it */
	d->base.events->on_early(&d->base, d->base.user);
}

/* ---- what came from the other side */

/* All that was sent on the finished streams has been read, and their ends have been seen. */
static bool are_flushed(const struct loop_end *c, unsigned from)
{
	for (unsigned k = from; k < SNET_STREAMS; k++)
		if (c->out[k].fin && c->out[k].used && !c->out[k].fin_acked)
			return false;
	return true;
}

/* One run of one stream. */
static bool hear(struct loop_end *c, unsigned k)
{
	struct loop_end *from = loop_end_other(c);
	struct loop_out *s = &from->out[k];
	uint64_t window = c->ep->cfg.window, room = window > c->unread ? window - c->unread : 0;
	struct iovec v = { NULL, 0 };
	bool fin;

	if (s->fin_told || !snet_txq_unsent(&s->tx, &v, 1, room < CHUNK ? (size_t)room : CHUNK))
		v = (struct iovec){ NULL, 0 };
	/* The end of stream 0 is the end of everything: it waits for the others. */
	fin = s->fin && s->used && !s->fin_told && s->tx.sent + v.iov_len == s->tx.end &&
	      (k || are_flushed(from, 1));
	if (!v.iov_len && !fin)
		return false;
	snet_txq_sent(&s->tx, v.iov_len);
	s->fin_told = fin;
	from->unsent -= v.iov_len;
	c->unread += v.iov_len;
	c->received += v.iov_len;
	loop_end_wake(from);
	c->base.events->on_data(&c->base, k, v.iov_base, v.iov_len, fin, c->base.user);
	return true;
}

static bool is_over(struct loop_end *c)
{
	return !c->ep || c->closing || loop_end_other(c)->closing;
}

/* Round robin over the streams. */
static void hear_all(struct loop_end *c)
{
	uint64_t until = c->received + TURN;

	for (unsigned idle = 0; idle < SNET_STREAMS && !is_over(c);) {
		if (c->received >= until) {
			loop_end_wake(c);
			return;
		}
		idle = hear(c, c->turn) ? 0 : idle + 1;
		c->turn = (c->turn + 1) % SNET_STREAMS;
	}
}

/* What the other side has read need not be kept. */
static void settle(struct loop_end *c)
{
	for (unsigned k = 0; k < SNET_STREAMS; k++) {
		struct loop_out *s = &c->out[k];

		snet_txq_acked(&s->tx, s->consumed);
		if (!s->fin_told || s->fin_acked || s->consumed < s->tx.end)
			continue;
		s->fin_acked = true;
		loop_end_wake(loop_end_other(c)); /* the end of stream 0 may be due */
	}
}

static void tell(struct loop_end *c)
{
	if (c->told_full && c->unsent <= UNSENT_LITTLE && c->queued < c->ep->cfg.queue) {
		c->told_full = false;
		c->base.events->on_drain(&c->base, c->base.user);
	}
	if (is_over(c) || c->told_flushed || !c->out[0].fin_acked || !are_flushed(c, 1))
		return;
	c->told_flushed = true;
	c->base.events->on_flushed(&c->base, c->base.user);
}

/* Whether news reaches it now. If not it looks again when that may be so, or when it has waited
 * too long. */
static bool is_reached(struct loop_end *c)
{
	snet_time now = snet_loop_now(c->ep->loop), at = SNET_NEVER;

	if (!c->pair->severed)
		at = loop_net->reaches(&c->base, now, loop_net->user);
	if (at != SNET_NEVER)
		c->dead_at = SNET_NEVER;
	else if (c->dead_at == SNET_NEVER)
		c->dead_at =
			now + (c->ready ? c->ep->cfg.dead_after : c->ep->cfg.handshake_timeout);
	if (now >= c->dead_at) {
		c->said = c->ready ? SNET_ELOST : SNET_ETIMEOUT;
		loop_end_fail(c, c->said, c->ready ? "no sign of life" : "no answer", false);
		return false;
	}
	if (at > c->dead_at)
		at = c->dead_at;
	snet_timer_set(c->ep->loop, &c->timer, at <= now ? SNET_NEVER : at);
	return at <= now;
}

static void step(struct loop_end *c)
{
	struct loop_end *o = loop_end_other(c);
	bool was_ready = c->ready;

	if (loop_net && c->ep && !c->closing && !is_reached(c) && !c->closing)
		return;
	if (!c->ready && !c->closing)
		connect_ends(c);
	if (c->ep && !c->closing && o->closing)
		loop_end_fail(c, heard(c, o->said, o->why), o->why[0] ? o->why : "closed",
			      true);
	if (was_ready && c->base.dialled && !c->base.open && c->ep && !c->closing)
		open_end(c);
	if (c->ep && c->closing) {
		loop_end_bury(c);
		return;
	}
	if (!c->ep || !c->base.open)
		return;
	settle(c);
	hear_all(c);
	if (!is_over(c))
		tell(c);
}

static void on_task(struct snet_task *t)
{
	struct loop_end *c = t->user;
	struct loop_pair *l = c->pair;

	l->refs++;
	step(c);
	drop(l);
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	(void)now;
	loop_end_wake(t->user);
}

struct loop_end *loop_end_new(struct snet_endpoint *e, const struct snet_addr *to)
{
	struct loop_pair *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	for (unsigned i = 0; i < 2; i++) {
		l->end[i].pair = l;
		l->end[i].base.transport = &snet_transport_loop;
		snet_list_init(&l->end[i].node);
		snet_task_init(&l->end[i].task, on_task, &l->end[i]);
		l->end[i].timer = (struct snet_timer){ .fn = on_timer, .user = &l->end[i] };
		l->end[i].dead_at = SNET_NEVER;
	}
	attach(&l->end[0], e, to);
	l->end[0].base.dialled = true;
	loop_end_wake(&l->end[0]);
	return &l->end[0];
}
