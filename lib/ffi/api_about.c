#include <string.h>
#include <sys/eventfd.h>

#include "crypto/identity.h"
#include "ffi/manager.h"

/* ---- itself: nothing of this changes */

uint16_t stoffelnet_manager_port(void *manager)
{
	const struct snet_ffi_manager *m = manager;

	if (!m)
		snet_ffi_fail(0, "Null manager handle");
	return m ? snet_addr_port(&m->at) : 0;
}

uint64_t stoffelnet_manager_derived_id(void *manager)
{
	const struct snet_ffi_manager *m = manager;

	if (!m)
		snet_ffi_fail(0, "Null manager handle");
	return m ? snet_identity_derived(m->identity) : 0;
}

int32_t stoffelnet_manager_public_key(void *manager, uint8_t **out_key, size_t *out_len)
{
	const struct snet_ffi_manager *m = manager;
	const uint8_t *spki;
	uint8_t *copy;
	size_t n;

	if (!m)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	if (!out_key || !out_len)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null output pointer");
	spki = snet_identity_spki(m->identity, &n);
	copy = snet_ffi_copy(spki, n);
	if (!copy)
		return STOFFELNET_ERR_RUNTIME;
	*out_key = copy;
	*out_len = n;
	return STOFFELNET_OK;
}

/* ---- what has been going on */

struct counting {
	struct snet_ffi_runtime *rt;
	struct snet_ffi_manager *m; /* of all that it has; or NULL, and */
	struct snet_ffi_link *l;    /* of this one */
	StoffelStats s;
};

/* As the transport has it: only the loop's thread may ask. */
static void measure(StoffelStats *s, const struct snet_ffi_link *l)
{
	const struct snet_conn *c = l->out ? snet_peer_conn(l->out->peer) : NULL;
	struct snet_conn_stats t;

	if (!c || !c->open)
		return;
	c->transport->stats(c, &t);
	s->wire_bytes_sent += t.bytes_sent;
	s->wire_bytes_received += t.bytes_received;
	if (t.packets_lost == UINT64_MAX)
		s->packets_lost = UINT64_MAX;
	else if (s->packets_lost != UINT64_MAX)
		s->packets_lost += t.packets_lost;
	if (t.rtt_us > s->rtt_us)
		s->rtt_us = t.rtt_us;
	if (!s->connections++ || t.rtt_min_us < s->rtt_min_us)
		s->rtt_min_us = t.rtt_min_us;
}

static void add_counts(StoffelStats *s, const struct snet_ffi_counts *c)
{
	s->messages_sent += c->sent;
	s->messages_received += c->received;
	s->bytes_sent += c->sent_bytes;
	s->bytes_received += c->received_bytes;
	s->rounds += c->rounds;
}

static void add_link(StoffelStats *s, const struct snet_ffi_link *l)
{
	add_counts(s, &l->counts);
	s->queued_bytes += l->outbox_bytes;
	s->waiting_bytes += l->inbox_bytes;
	measure(s, l);
}

static void count(void *arg)
{
	struct counting *c = arg;
	struct snet_ffi_manager *m = c->m;

	pthread_mutex_lock(&c->rt->lock);
	if (c->l)
		add_link(&c->s, c->l);
	if (m)
		add_counts(&c->s, &m->past);
	for (struct snet_list *n = m ? m->links.next : NULL; m && n != &m->links; n = n->next)
		add_link(&c->s, SNET_OF(n, struct snet_ffi_link, node));
	pthread_mutex_unlock(&c->rt->lock);
}

/* A program that was built against another version knows fewer figures, or more. */
static int32_t hand_out(struct counting *c, StoffelStats *out, size_t out_size)
{
	int32_t rc = snet_ffi_call(c->rt, count, c);

	if (rc)
		return rc;
	memset(out, 0, out_size);
	memcpy(out, &c->s, out_size < sizeof(c->s) ? out_size : sizeof(c->s));
	return STOFFELNET_OK;
}

int32_t stoffelnet_connection_stats(void *conn, StoffelStats *out, size_t out_size)
{
	struct counting c = { .l = conn };

	if (!conn)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null connection handle");
	if (!out)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null output pointer");
	c.rt = c.l->rt;
	return hand_out(&c, out, out_size);
}

int32_t stoffelnet_manager_stats(void *manager, StoffelStats *out, size_t out_size)
{
	struct counting c = { .m = manager };

	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	if (!out)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null output pointer");
	c.rt = c.m->rt;
	return hand_out(&c, out, out_size);
}

/* ---- for programs with an event loop of their own */

int32_t stoffelnet_manager_descriptor(void *manager)
{
	struct snet_ffi_manager *m = manager;
	int32_t rc = snet_ffi_manager_enter(m);

	if (rc)
		return rc;
	if (m->event < 0) {
		m->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		m->signalled = false;
		snet_ffi_manager_signal(m);
	}
	rc = m->event >= 0 ? m->event
			   : snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "no more descriptors");
	snet_ffi_manager_quit(m);
	return rc;
}
