#include "transport/quic_conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SMALLEST_PACKET 21 /* bytes: nothing shorter is QUIC or a reset */
#define REFUSED_ENOUGH 3
#define TOMB_PAUSE (50 * SNET_MS)
#define HALF_OPEN_MOST 4096 /* handshakes of proven addresses at one time */

/* ---- routing */

int snet_quic_route(struct snet_endpoint *e, const ngtcp2_cid *cid, void *entry)
{
	e->last = NULL;
	return snet_map_put(&e->cids, cid->data, cid->datalen, entry);
}

void snet_quic_unroute(struct snet_endpoint *e, const ngtcp2_cid *cid)
{
	e->last = NULL;
	snet_map_del(&e->cids, cid->data, cid->datalen);
}

static struct snet_quic_entry *find(struct snet_endpoint *e, const ngtcp2_version_cid *vc)
{
	if (e->last && vc->dcidlen == e->last_cid.datalen &&
	    !memcmp(vc->dcid, e->last_cid.data, vc->dcidlen))
		return e->last;
	e->last = snet_map_get(&e->cids, vc->dcid, vc->dcidlen);
	if (e->last)
		ngtcp2_cid_init(&e->last_cid, vc->dcid, vc->dcidlen);
	return e->last;
}

void snet_quic_mark(struct snet_quic_conn *c)
{
	c->stale = true;
	if (snet_list_is_empty(&c->dirty))
		snet_list_add(&c->ep->dirty, &c->dirty);
	if (!snet_udp_is_blocked(c->ep->udp))
		snet_task_defer(c->ep->loop, &c->ep->flush);
}

/* ---- tombs */

static void tomb_free(struct snet_endpoint *e, struct snet_quic_tomb *t)
{
	for (unsigned i = 0; i < t->n_cids; i++)
		if (snet_map_get(&e->cids, t->cids[i].data, t->cids[i].datalen) == &t->entry)
			snet_quic_unroute(e, &t->cids[i]);
	snet_list_del(&t->node);
	e->n_tombs--;
	free(t);
}

static void on_reap(struct snet_timer *timer, snet_time now)
{
	struct snet_endpoint *e = timer->user;
	snet_time next = SNET_NEVER;

	for (struct snet_list *n = e->tombs.next, *after; n != &e->tombs; n = after) {
		struct snet_quic_tomb *t = SNET_OF(n, struct snet_quic_tomb, node);

		after = n->next;
		if (t->until <= now)
			tomb_free(e, t);
		else if (t->until < next)
			next = t->until;
	}
	/* A hundred at once: they are in no hurry. */
	snet_timer_set(e->loop, &e->reaper, next == SNET_NEVER ? next : next + 100 * SNET_MS);
}

void snet_quic_tomb_add(struct snet_endpoint *e, struct snet_quic_tomb *t)
{
	if (e->n_tombs >= SNET_QUIC_TOMBS)
		tomb_free(e, SNET_OF(e->tombs.next, struct snet_quic_tomb, node));
	snet_list_add(&e->tombs, &t->node);
	e->n_tombs++;
	for (unsigned i = 0; i < t->n_cids; i++)
		if (snet_quic_route(e, &t->cids[i], &t->entry))
			break;
	if (!e->reaper.slot)
		snet_timer_set(e->loop, &e->reaper, t->until);
}

static void tomb_input(struct snet_endpoint *e, struct snet_quic_tomb *t)
{
	snet_time now = snet_loop_now(e->loop);

	if (!t->n || now < t->again)
		return;
	t->again = now + TOMB_PAUSE;
	snet_udp_answer(e->udp, &t->path, t->packet, t->n);
}

/* ---- in */

static void on_initial(struct snet_endpoint *e, const struct snet_path *path, uint8_t ecn,
		       const uint8_t *p, size_t n)
{
	struct snet_quic_conn *c;
	ngtcp2_pkt_hd hd;
	ngtcp2_cid odcid;

	if (ngtcp2_accept(&hd, p, n) || e->half_open >= HALF_OPEN_MOST ||
	    !snet_quic_stateless_initial(e, path, &hd, &odcid))
		return;
	if (snet_quic_conn_accept(&c, e, path, &hd, odcid.datalen ? &odcid : NULL))
		return;
	snet_quic_conn_input(c, path, ecn, p, n);
	if (c->retried)
		snet_quic_stateless_retry(e, path, &hd);
}

static void on_unknown(struct snet_endpoint *e, const struct snet_path *path, uint8_t ecn,
		       const ngtcp2_version_cid *vc, const uint8_t *p, size_t n)
{
	struct snet_quic_conn *c;

	if (p[0] & 0x80) {
		on_initial(e, path, ecn, p, n);
		return;
	}
	c = snet_map_get(&e->resets, p + n - NGTCP2_STATELESS_RESET_TOKENLEN,
			 NGTCP2_STATELESS_RESET_TOKENLEN);
	if (c)
		snet_quic_conn_reset(c);
	else
		snet_quic_stateless_reset(e, path, vc, n);
}

void snet_quic_endpoint_input(struct snet_endpoint *e, const struct snet_path *path,
			      uint8_t ecn, const uint8_t *p, size_t n)
{
	struct snet_quic_entry *entry;
	ngtcp2_version_cid vc;
	int rc;

	if (n < SMALLEST_PACKET)
		return;
	rc = ngtcp2_pkt_decode_version_cid(&vc, p, n, SNET_QUIC_CID);
	if (rc == NGTCP2_ERR_VERSION_NEGOTIATION) {
		snet_quic_stateless_version(e, path, &vc, n);
		return;
	}
	if (rc)
		return;
	entry = find(e, &vc);
	if (!entry)
		on_unknown(e, path, ecn, &vc, p, n);
	else if (entry->kind == SNET_QUIC_CONN)
		snet_quic_conn_input(SNET_OF(entry, struct snet_quic_conn, entry), path, ecn, p,
				     n);
	else
		tomb_input(e, SNET_OF(entry, struct snet_quic_tomb, entry));
}

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	snet_quic_endpoint_input(user, path, ecn, p, n);
}

/* Nobody has that port. At once the end of a dial; of a connection only when it is said again
 * and again and nothing else is heard: the process there is gone. */
static void on_unreachable(const struct snet_addr *remote, void *user)
{
	struct snet_endpoint *e = user;

	for (struct snet_list *n = e->conns.next; n != &e->conns; n = n->next) {
		struct snet_quic_conn *c = SNET_OF(n, struct snet_quic_conn, node);

		if (!snet_addr_eq(&c->base.remote, remote))
			continue;
		if (!c->server && c->state == SNET_QUIC_HANDSHAKE)
			snet_quic_conn_fail(c, SNET_EUNREACH, "nobody listens there", true,
					    false);
		else if (c->state == SNET_QUIC_OPEN && ++c->refused >= REFUSED_ENOUGH)
			snet_quic_conn_fail(c, SNET_ELOST, "its port is closed", true, false);
	}
}

/* The timer is left early rather than moved: most packets only push the deadline back. What is
 * due is late from here on. */
void snet_quic_arm(struct snet_quic_conn *c)
{
	snet_time at = ngtcp2_conn_get_expiry(c->q), now = snet_loop_now(c->ep->loop), dead;

	if (c->state == SNET_QUIC_OPEN && c->ep->cfg.keep_alive != SNET_NEVER) {
		dead = c->heard + c->ep->cfg.dead_after;
		snet_quic_conn_spare(c, now > dead ? now - dead : 0, now);
		dead = c->heard + c->ep->cfg.dead_after;
		at = at < dead ? at : dead;
	}
	at = at > now ? at : now;
	if (c->timer.slot && c->timer.deadline <= at)
		return;
	if (snet_timer_set(c->ep->loop, &c->timer, at))
		snet_quic_conn_fail(c, SNET_ENOMEM, "out of memory", true, false);
}

static void flush_one(struct snet_quic_conn *c)
{
	if (!c->closing) {
		snet_quic_conn_settle(c);
		if (!c->closing && c->stale)
			snet_quic_tx(c);
		if (!c->closing)
			snet_quic_tell(c);
	}
	if (c->closing)
		snet_quic_conn_bury(c);
	else
		snet_quic_arm(c);
}

static void on_flush(struct snet_task *task)
{
	struct snet_endpoint *e = task->user;
	struct snet_list now;

	if (snet_list_is_empty(&e->dirty) || snet_udp_is_blocked(e->udp))
		return;
	now = e->dirty;
	now.next->prev = now.prev->next = &now;
	snet_list_init(&e->dirty);
	while (!snet_list_is_empty(&now)) {
		struct snet_quic_conn *c = SNET_OF(now.next, struct snet_quic_conn, dirty);

		snet_list_del(&c->dirty);
		flush_one(c);
	}
}

static void on_writable(void *user)
{
	struct snet_endpoint *e = user;

	snet_task_defer(e->loop, &e->flush);
}

static void on_gone(const char *why, void *user)
{
	struct snet_endpoint *e = user;

	for (struct snet_list *n = e->conns.next; n != &e->conns; n = n->next) {
		struct snet_quic_conn *c = SNET_OF(n, struct snet_quic_conn, node);

		if (!c->closing)
			snet_quic_conn_fail(c, SNET_ELOST, why, true, false);
	}
}

/* ---- life */

static const struct snet_udp_events udp_events = {
	.on_datagram = on_datagram,
	.on_unreachable = on_unreachable,
	.on_writable = on_writable,
	.on_gone = on_gone,
};

static void fill_defaults(struct snet_transport_config *c)
{
#define DEFAULT(field, value) c->field = c->field ? c->field : (value)
	DEFAULT(handshake_timeout, 10 * SNET_SEC);
	DEFAULT(idle_timeout, 300 * SNET_SEC);
	DEFAULT(keep_alive, 5 * SNET_SEC);
	DEFAULT(dead_after, 15 * SNET_SEC);
	DEFAULT(window, 8 << 20);
	DEFAULT(queue, 16 << 20);
	DEFAULT(retry_above, 64);
	DEFAULT(max_conns, 16384);
#undef DEFAULT
}

static void quic_unbind(struct snet_endpoint *e)
{
	if (!e)
		return;
	e->unbinding = true;
	while (!snet_list_is_empty(&e->conns)) {
		struct snet_quic_conn *c = SNET_OF(e->conns.next, struct snet_quic_conn, node);

		if (!c->closing) {
			snet_quic_conn_close(c, SNET_OK, "closed");
			c->close_code = SNET_ECLOSED; /* for the owner; the peer hears 0 */
		}
		snet_quic_conn_bury(c);
	}
	while (!snet_list_is_empty(&e->tombs))
		tomb_free(e, SNET_OF(e->tombs.next, struct snet_quic_tomb, node));
	snet_timer_stop(e->loop, &e->reaper);
	snet_task_cancel(&e->flush);
	snet_udp_close(e->udp);
	snet_quic_tls_free(e->tls);
	snet_map_fini(&e->cids);
	snet_map_fini(&e->resets);
	snet_wipe(e->secret, sizeof(e->secret));
	free(e);
}

static int prepare(struct snet_endpoint *e, struct snet_error *err)
{
	uint8_t seed[16];
	int rc = snet_quic_tls_new(&e->tls, &e->cfg, err);

	if (rc)
		return rc;
	snet_quic_tls_rand(seed, sizeof(seed));
	snet_map_init(&e->cids, seed);
	snet_map_init(&e->resets, seed);
	return snet_quic_tls_secret(e->tls, e->secret) ? snet_fail(err, SNET_EKEY, "identity")
						       : SNET_OK;
}

/* Before 1.22.1 the tracer writes the peer's parameters into a
 * buffer that they can overflow. */
static void warn_of_qlog(const struct snet_endpoint *e)
{
	const ngtcp2_info *lib = ngtcp2_version(0);

	if (e->cfg.qlog_dir && lib->version_num < 0x011601)
		snet_log(SNET_LOG_WARN, "quic",
			 "QLOGDIR: ngtcp2 %s is not safe to trace with; only with peers you "
			 "trust",
			 lib->version_str);
}

static int quic_bind(struct snet_endpoint **out, struct snet_loop *l,
		     const struct snet_addr *at, int fd,
		     const struct snet_transport_config *cfg,
		     const struct snet_endpoint_events *ev, void *user, struct snet_error *err)
{
	struct snet_endpoint *e = calloc(1, sizeof(*e));
	struct snet_udp_opts opts = { .no_gso = cfg->no_gso, .no_gro = cfg->no_gro };
	int rc;

	if (!e) {
		snet_udp_close(cfg->udp);
		return snet_fail(err, SNET_ENOMEM, "endpoint");
	}
	e->loop = l;
	e->cfg = *cfg;
	e->udp = cfg->udp;
	fill_defaults(&e->cfg);
	e->ev = ev;
	e->user = user;
	e->reaper = (struct snet_timer){ .fn = on_reap, .user = e };
	snet_list_init(&e->conns);
	snet_list_init(&e->dirty);
	snet_list_init(&e->tombs);
	snet_task_init(&e->flush, on_flush, e);
	rc = prepare(e, err);
	if (!rc && !e->udp)
		rc = snet_udp_open(&e->udp, l, at, fd, &opts, &udp_events, e, err);
	else if (!rc)
		snet_udp_listen(e->udp, &udp_events, e);
	if (rc) {
		quic_unbind(e);
		return rc;
	}
	snet_udp_address(e->udp, &e->bound);
	warn_of_qlog(e);
	*out = e;
	return SNET_OK;
}

static void quic_address(const struct snet_endpoint *e, struct snet_addr *out)
{
	*out = e->bound;
}

static int quic_dial(struct snet_conn **out, struct snet_endpoint *e,
		     const struct snet_addr *to, const uint8_t *key,
		     const struct snet_conn_events *ev, void *user, struct snet_error *err)
{
	struct snet_quic_conn *c;
	int rc = snet_quic_conn_dial(&c, e, to, key, err);

	if (rc)
		return rc;
	c->base.events = ev;
	c->base.user = user;
	*out = &c->base;
	return SNET_OK;
}

static size_t quic_queued(const struct snet_conn *c)
{
	return SNET_OF(c, const struct snet_quic_conn, base)->queued;
}

static void quic_close(struct snet_conn *c, int code, const char *why)
{
	snet_quic_conn_close(SNET_OF(c, struct snet_quic_conn, base), code, why);
}

static void quic_stats(const struct snet_conn *base, struct snet_conn_stats *out)
{
	struct snet_quic_conn *c = SNET_OF(base, struct snet_quic_conn, base);
	ngtcp2_conn_info i;

	*out = (struct snet_conn_stats){ 0 };
	if (!c->q)
		return;
	ngtcp2_conn_get_conn_info(c->q, &i);
	out->rtt_us = i.smoothed_rtt / NGTCP2_MICROSECONDS;
	out->rtt_min_us = i.min_rtt == UINT64_MAX ? 0 : i.min_rtt / NGTCP2_MICROSECONDS;
	out->cwnd = i.cwnd;
	out->in_flight = i.bytes_in_flight;
	out->bytes_sent = c->sent;
	out->unsent = c->unsent;
	out->bytes_received = c->received;
#if NGTCP2_VERSION_NUM >= 0x011000 /* 1.16 counts them */
	out->packets_lost = i.pkt_lost;
#else
	out->packets_lost = UINT64_MAX;
#endif
	out->mtu = (uint32_t)ngtcp2_conn_get_path_max_tx_udp_payload_size(c->q);
}

const struct snet_transport snet_transport_quic = {
	.scheme = "quic",
	.bind = quic_bind,
	.address = quic_address,
	.unbind = quic_unbind,
	.dial = quic_dial,
	.send = snet_quic_send,
	.can_send = snet_quic_can_send,
	.queued = quic_queued,
	.finish = snet_quic_finish,
	.consumed = snet_quic_consumed,
	.close = quic_close,
	.stats = quic_stats,
};
