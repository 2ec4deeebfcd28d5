#include "ffi/agree.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/identity.h"

/* A party's index in the machine is its id where that is small, so that the machine's words
 * name it; the others sit above. */
#define LOW SNET_FFI_PARTIES
#define NO_MEMORY_DELAY (50 * SNET_MS) /* until it is tried again */

_Static_assert(2 * LOW <= SNET_ORDERING_KEYS, "an index must fit");

static void run(struct snet_ffi_agree *a);

static snet_time now_of(const struct snet_ffi_agree *a)
{
	return snet_loop_now(a->m->rt->loop);
}

static struct snet_slice key_of(const struct snet_ffi_link *l)
{
	return (struct snet_slice){ l->spki, l->spki_len, NULL };
}

/* ---- who sits where */

static struct snet_ffi_seat *seat_of(struct snet_ffi_agree *a, const uint8_t *key, uint64_t id)
{
	for (size_t i = 0; i < a->n_seats; i++)
		if (!memcmp(a->seats[i].key, key, SNET_KEYID_BYTES))
			return &a->seats[i];
	for (size_t i = 0; i < a->n_seats; i++)
		if (a->seats[i].id == id) /* it is back with another key */
			return &a->seats[i];
	return NULL;
}

static bool is_taken(const struct snet_ffi_agree *a, uint64_t index)
{
	for (size_t i = 0; i < a->n_seats; i++)
		if (a->seats[i].index == index)
			return true;
	return false;
}

static int sit(struct snet_ffi_agree *a, struct snet_ffi_link *l)
{
	uint64_t id = snet_ffi_manager_name(a->m, l);
	struct snet_ffi_seat *s = seat_of(a, l->key, id), *seats;

	if (!s) {
		if (a->n_seats == LOW)
			return SNET_ETOOBIG;
		seats = realloc(a->seats, (a->n_seats + 1) * sizeof(*seats));
		if (!seats)
			return SNET_ENOMEM;
		a->seats = seats;
		s = &seats[a->n_seats];
		s->index = id < LOW && !is_taken(a, id) ? (uint32_t)id
							: LOW + (uint32_t)a->n_seats;
		a->n_seats++;
	}
	s->id = id;
	memcpy(s->key, l->key, sizeof(s->key));
	l->seat = s->index;
	return SNET_OK;
}

static struct snet_ffi_link *link_at(const struct snet_ffi_manager *m, uint32_t seat,
				     const struct snet_ffi_link *but)
{
	for (struct snet_list *n = m->links.next; n != &m->links; n = n->next) {
		struct snet_ffi_link *l = SNET_OF(n, struct snet_ffi_link, node);

		if (l != but && l->seat == seat && !l->client && l->out)
			return l;
	}
	return NULL;
}

/* ---- doing what the machine wants */

static void send_digest(struct snet_ffi_agree *a, const struct snet_ordering_want *want)
{
	struct snet_ffi_link *l = link_at(a->m, want->party, NULL);
	struct snet_ffi_wire *w = l ? l->out : NULL;
	struct snet_slice s = { want->p, want->n, NULL };

	/* The crate takes one on a connection; a second one would be its application's. */
	if (!w ||
	    (w->said_digest && snet_peer_conn(w->peer)->profile == SNET_PROFILE_STOFFELNET_0_1))
		return;
	switch (snet_peer_send(w->peer, 0, SNET_KIND_DATA, &s, 1)) {
	case SNET_OK:
		w->said_digest = true;
		break;
	case SNET_EAGAIN:
	case SNET_ENOMEM:
		w->owes_digest = true;
		break;
	default: /* it ends: another connection follows, or on_down */
		break;
	}
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_ffi_agree *a = t->user;
	struct snet_ffi_runtime *rt = a->m->rt;

	(void)now;
	pthread_mutex_lock(&rt->lock);
	run(a);
	pthread_mutex_unlock(&rt->lock);
}

static void run(struct snet_ffi_agree *a)
{
	struct snet_ordering_want want = { .verb = SNET_ORDERING_SEND };
	snet_time next;
	int rc = SNET_OK;

	while (!rc && want.verb == SNET_ORDERING_SEND) {
		rc = snet_ordering_next(&a->machine, now_of(a), &want);
		if (!rc && want.verb == SNET_ORDERING_SEND)
			send_digest(a, &want);
	}
	if (!rc && want.verb == SNET_ORDERING_AGREE)
		snet_ffi_verdict_agree(a);
	else if (!rc && want.verb == SNET_ORDERING_REFUSE)
		snet_ffi_verdict_refuse(a, a->machine.why.text, want.party);
	next = rc ? now_of(a) + NO_MEMORY_DELAY : a->machine.deadline;
	if (snet_timer_set(a->m->rt->loop, &a->timer, next))
		snet_ffi_verdict_refuse(a, "out of memory", SNET_ORDERING_ANY);
}

/* ---- life */

static void add_all(struct snet_ffi_agree *a);

int snet_ffi_agree_begin(struct snet_ffi_manager *m)
{
	struct snet_ordering_opts opts = { .parties = m->parties,
					   .clients = m->clients,
					   .self = SNET_ORDERING_ANY,
					   .wait = m->consensus_timeout,
					   .timeout = m->consensus_timeout };
	struct snet_ffi_agree *a = calloc(1, sizeof(*a));
	struct snet_slice own = { 0 };
	int rc;

	if (!a)
		return SNET_ENOMEM;
	a->m = m;
	a->timer = (struct snet_timer){ .fn = on_timer, .user = a };
	own.p = snet_identity_spki(m->identity, &own.n);
	rc = snet_ordering_init(&a->machine, &opts, &own, now_of(a));
	/* Whoever is there is enough: they are waited for a little, and for the other count. */
	if (!rc && m->parties == SNET_ORDERING_ANY)
		rc = snet_timer_set(m->rt->loop, &a->timer, now_of(a) + SNET_ORDERING_SETTLE);
	if (rc) {
		snet_ordering_fini(&a->machine);
		free(a);
		return rc;
	}
	snet_ffi_agree_stop(m);
	m->agree = a;
	m->gate = SNET_FFI_AGREEING;
	add_all(a);
	if (m->parties != SNET_ORDERING_ANY)
		run(a);
	return SNET_OK;
}

void snet_ffi_agree_stop(struct snet_ffi_manager *m)
{
	struct snet_ffi_agree *a = m->agree;

	if (!a)
		return;
	m->agree = NULL;
	for (struct snet_list *n = m->links.next; n != &m->links; n = n->next)
		SNET_OF(n, struct snet_ffi_link, node)->seat = SNET_FFI_NO_SEAT;
	snet_timer_stop(m->rt->loop, &a->timer);
	snet_ordering_fini(&a->machine);
	free(a->seats);
	free(a);
}

/* ---- what happens */

static int client_up(struct snet_ffi_agree *a, struct snet_ffi_link *l)
{
	struct snet_slice key = key_of(l);
	int rc;

	if (l->seat != SNET_FFI_NO_SEAT)
		return SNET_OK;
	rc = snet_ordering_client_up(&a->machine, &key, now_of(a));
	if (rc)
		return rc;
	l->seat = 0;
	if (a->m->gate == SNET_FFI_AGREED)
		snet_ffi_verdict_tell(a, l);
	return SNET_OK;
}

static int party_up(struct snet_ffi_agree *a, struct snet_ffi_link *l)
{
	bool crate = snet_peer_conn(l->out->peer)->profile == SNET_PROFILE_STOFFELNET_0_1;
	struct snet_slice key = key_of(l);
	int rc = sit(a, l);

	if (!rc)
		rc = snet_ordering_party_up(&a->machine, l->seat, &key, crate, now_of(a));
	if (rc)
		l->seat = SNET_FFI_NO_SEAT;
	return rc == SNET_EDENIED ? SNET_OK : rc; /* it is not one of those who agreed */
}

void snet_ffi_agree_up(struct snet_ffi_link *l)
{
	struct snet_ffi_agree *a = l->m ? l->m->agree : NULL;
	int rc;

	if (!a || l->loopback || !l->out)
		return;
	rc = l->client ? client_up(a, l) : party_up(a, l);
	if (rc && a->m->gate == SNET_FFI_AGREEING)
		snet_ffi_verdict_refuse(
			a, rc == SNET_ENOMEM ? "out of memory" : "too many have come",
			SNET_ORDERING_ANY);
	run(a);
}

static bool is_node(const struct snet_ffi_manager *m, uint64_t id)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		if (m->nodes[i].id == id)
			return true;
	return false;
}

/* A node is waited for; of a party that nobody knows nothing says that it will be back. */
void snet_ffi_agree_down(struct snet_ffi_link *l)
{
	struct snet_ffi_agree *a = l->m ? l->m->agree : NULL;
	struct snet_slice key = key_of(l);

	if (!a || l->seat == SNET_FFI_NO_SEAT)
		return;
	if (l->client)
		snet_ordering_client_gone(&a->machine, &key, now_of(a));
	else if (link_at(a->m, l->seat, l)) /* it is back already */
		;
	else if (is_node(a->m, snet_ffi_manager_name(a->m, l)))
		snet_ordering_party_down(&a->machine, l->seat);
	else
		snet_ordering_party_gone(&a->machine, l->seat, now_of(a));
	l->seat = SNET_FFI_NO_SEAT;
	run(a);
}

void snet_ffi_agree_drained(struct snet_ffi_wire *w)
{
	struct snet_ffi_agree *a = w->m->agree;

	if (!w->owes_digest || !a || w->link->seat == SNET_FFI_NO_SEAT)
		return;
	w->owes_digest = false;
	snet_ordering_unsent(&a->machine, w->link->seat);
	run(a);
}

/* For an agreement that begins anew. Without memory: not kept. */
static void keep(struct snet_ffi_link *l, const uint8_t *digest)
{
	if (!l->said)
		l->said = malloc(SNET_ORDERING_DIGEST_BYTES);
	if (l->said && l->said != digest)
		memcpy(l->said, digest, SNET_ORDERING_DIGEST_BYTES);
}

bool snet_ffi_agree_hear(struct snet_ffi_link *l, const uint8_t *p, size_t n)
{
	struct snet_ffi_agree *a = l->m ? l->m->agree : NULL;

	if (!a || l->client || !snet_ordering_is_digest(p, n))
		return false;
	if (l->seat == SNET_FFI_NO_SEAT) /* it is not among those who agreed */
		return true;
	if (snet_ordering_input(&a->machine, l->seat, p, n, now_of(a)) == SNET_EAGAIN)
		return false;
	keep(l, p);
	run(a);
	return true;
}

/* What came before this side knew that it is to agree. */
static void hear_again(struct snet_ffi_link *l)
{
	bool crate = snet_peer_conn(l->out->peer)->profile == SNET_PROFILE_STOFFELNET_0_1;
	struct snet_list *n = l->inbox.next, *next;

	if (l->said)
		snet_ffi_agree_hear(l, l->said, SNET_ORDERING_DIGEST_BYTES);
	for (; n != &l->inbox && !(crate && n != l->inbox.next); n = next) {
		struct snet_ffi_message *m = SNET_OF(n, struct snet_ffi_message, node);

		next = n->next;
		if (!snet_ffi_agree_hear(l, m->data, m->n))
			continue;
		snet_list_del(&m->node);
		l->inbox_bytes -= snet_ffi_cost(m);
		snet_ffi_message_free(m);
	}
	snet_ffi_link_feed(l);
}

static void add_all(struct snet_ffi_agree *a)
{
	struct snet_list *n = a->m->links.next, *next;

	for (; n != &a->m->links; n = next) {
		struct snet_ffi_link *l = SNET_OF(n, struct snet_ffi_link, node);

		next = n->next;
		if (!l->out)
			continue;
		snet_ffi_agree_up(l);
		if (!l->client)
			hear_again(l);
	}
}
