#include "transport/quic_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/metrics.h"

#define STREAM_WINDOW (1 << 20) /* bytes at first: below 1 MiB auto-tuning stays asleep */
#define PAYLOAD_LIMIT 65527     /* of what we receive */
#define ASLEEP 8                /* who is late by this part of dead_after */

static struct snet_quic_conn *conn_of_ref(void *conn_ref)
{
	return ((ngtcp2_crypto_conn_ref *)conn_ref)->user_data;
}

struct snet_quic_tls_peer *snet_quic_tls_peer_of(void *conn_ref)
{
	return &conn_of_ref(conn_ref)->peer;
}

const struct snet_quic_tls *snet_quic_tls_of(void *conn_ref)
{
	return conn_of_ref(conn_ref)->ep->tls;
}

static ngtcp2_conn *on_get_conn(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct snet_quic_conn *)ref->user_data)->q;
}

/* ---- birth */

/* Sizes to try, ascending interest first: what an ordinary path takes, all that the interface
 * takes, then between. */
static size_t fill_probes(uint16_t probes[static 6], uint32_t most)
{
	static const uint16_t between[] = { 1472, 4352, 8932, 16384 };
	size_t n = 0;

	if (most >= SNET_QUIC_PLAIN_PAYLOAD)
		probes[n++] = SNET_QUIC_PLAIN_PAYLOAD;
	if (most > SNET_QUIC_PLAIN_PAYLOAD)
		probes[n++] = (uint16_t)most;
	for (size_t i = sizeof(between) / sizeof(between[0]); i--;)
		if (most > between[i])
			probes[n++] = between[i];
	return n;
}

static void on_qlog(void *user, uint32_t flags, const void *p, size_t n)
{
	struct snet_quic_conn *c = user;

	snet_qlog_write(c->qlog, p, n, flags & NGTCP2_QLOG_WRITE_FLAG_FIN);
}

static void fill_settings(struct snet_quic_conn *c, ngtcp2_settings *s,
			  uint16_t probes[static 6], const ngtcp2_cid *odcid)
{
	const struct snet_transport_config *cfg = &c->ep->cfg;

	ngtcp2_settings_default(s);
	s->initial_ts = snet_quic_clock(c);
	s->handshake_timeout = cfg->handshake_timeout;
	s->cc_algo = cfg->cc == SNET_CC_BBR ? NGTCP2_CC_ALGO_BBR : NGTCP2_CC_ALGO_CUBIC;
	s->max_window = cfg->window;
	s->max_stream_window = cfg->window - cfg->window / 4;
	if (cfg->mtu) {
		s->max_tx_udp_payload_size = cfg->mtu;
		s->no_pmtud = 1;
		s->no_tx_udp_payload_size_shaping = 1;
	} else {
		uint32_t most = snet_udp_payload(c->ep->udp, &c->base.remote);

		s->max_tx_udp_payload_size =
			most > SNET_QUIC_MIN_PAYLOAD ? most : SNET_QUIC_MIN_PAYLOAD;
		s->pmtud_probes = probes;
		s->pmtud_probeslen = fill_probes(probes, most);
	}
	if (cfg->qlog_dir &&
	    !snet_qlog_new(&c->qlog, cfg->qlog_dir, odcid->data, odcid->datalen, c->server))
		s->qlog_write = on_qlog;
}

static void fill_params(const struct snet_quic_conn *c, ngtcp2_transport_params *p)
{
	const struct snet_transport_config *cfg = &c->ep->cfg;

	ngtcp2_transport_params_default(p);
	p->initial_max_stream_data_bidi_local = STREAM_WINDOW;
	p->initial_max_stream_data_bidi_remote = STREAM_WINDOW;
	p->initial_max_stream_data_uni = STREAM_WINDOW;
	p->initial_max_data = STREAM_WINDOW + STREAM_WINDOW / 2;
	p->initial_max_streams_bidi = 1;
	p->initial_max_streams_uni = SNET_STREAMS - 1;
	p->max_idle_timeout = cfg->idle_timeout == SNET_NEVER ? 0 : cfg->idle_timeout;
	p->max_udp_payload_size = PAYLOAD_LIMIT;
	/* One to spare for a new path: each is made, told and kept. */
	p->active_connection_id_limit = 2;
	p->grease_quic_bit = 0; /* STUN may share the port, RFC 9443 §3 */
}

static struct snet_quic_conn *born(struct snet_endpoint *e, const struct snet_path *path,
				   bool server)
{
	struct snet_quic_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->base.transport = &snet_transport_quic;
	c->base.local = path->local;
	c->base.remote = path->remote;
	c->base.dialled = !server;
	c->entry.kind = SNET_QUIC_CONN;
	c->ep = e;
	c->server = server;
	c->ref = (ngtcp2_crypto_conn_ref){ on_get_conn, c };
	c->timer.fn = snet_quic_conn_expired;
	c->timer.user = c;
	c->heard = snet_loop_now(e->loop);
	ngtcp2_ccerr_default(&c->ccerr);
	snet_list_init(&c->dirty);
	snet_list_init(&c->streams);
	snet_list_add(&e->conns, &c->node);
	if (!e->n_conns++ && e->ev && e->ev->on_busy)
		e->ev->on_busy(e, e->user);
	e->half_open++;
	c->half_open = true;
	return c;
}

void snet_quic_conn_free(struct snet_quic_conn *c)
{
	while (!snet_list_is_empty(&c->streams))
		snet_quic_stream_free(SNET_OF(c->streams.next, struct snet_quic_stream, node));
	snet_timer_stop(c->ep->loop, &c->timer);
	ngtcp2_conn_del(c->q); /* writes the end of the qlog */
	snet_qlog_free(c->qlog);
	snet_quic_tls_session_free(c->tls);
	snet_list_del(&c->dirty);
	snet_list_del(&c->node);
	if (!--c->ep->n_conns && c->ep->ev && c->ep->ev->on_idle && !c->ep->unbinding)
		c->ep->ev->on_idle(c->ep, c->ep->user);
	if (c->half_open)
		c->ep->half_open--;
	free(c->close_why);
	free(c->peer.why);
	free(c->peer.spki);
	free(c);
}

static int begin_tls(struct snet_quic_conn *c)
{
	int rc = snet_quic_tls_session(&c->tls, c->ep->tls, c->server, &c->ref);

	if (!rc)
		ngtcp2_conn_set_tls_native_handle(c->q, c->tls);
	return rc;
}

static void random_cid(ngtcp2_cid *cid, size_t n)
{
	cid->datalen = n;
	snet_quic_tls_rand(cid->data, n);
}

int snet_quic_conn_dial(struct snet_quic_conn **out, struct snet_endpoint *e,
			const struct snet_addr *to, const uint8_t *key, struct snet_error *err)
{
	struct snet_path path = { e->bound, *to };
	ngtcp2_path qpath = snet_quic_path(&path);
	struct snet_quic_conn *c = born(e, &path, false);
	ngtcp2_cid dcid, scid;
	ngtcp2_settings s;
	ngtcp2_transport_params p;
	uint16_t probes[6];

	if (!c)
		return snet_fail(err, SNET_ENOMEM, "connection");
	if (key) {
		memcpy(c->pin, key, sizeof(c->pin));
		c->peer.pin = c->pin;
	}
	random_cid(&dcid, 18);
	random_cid(&scid, SNET_QUIC_CID);
	fill_settings(c, &s, probes, &dcid);
	fill_params(c, &p);
	if (ngtcp2_conn_client_new(&c->q, &dcid, &scid, &qpath, NGTCP2_PROTO_VER_V1,
				   &snet_quic_client_callbacks, &s, &p, NULL, c) ||
	    begin_tls(c) || snet_quic_route(e, &scid, &c->entry)) {
		if (c->q)
			snet_quic_unroute(e, &scid);
		snet_quic_conn_free(c);
		return snet_fail(err, SNET_ENOMEM, "connection");
	}
	snet_count(SNET_METRIC_DIALLED, 1);
	snet_quic_mark(c);
	*out = c;
	return SNET_OK;
}

int snet_quic_conn_accept(struct snet_quic_conn **out, struct snet_endpoint *e,
			  const struct snet_path *path, const ngtcp2_pkt_hd *hd,
			  const ngtcp2_cid *odcid)
{
	ngtcp2_path qpath = snet_quic_path(path);
	struct snet_quic_conn *c = born(e, path, true);
	ngtcp2_cid scid;
	ngtcp2_settings s;
	ngtcp2_transport_params p;
	uint16_t probes[6];

	if (!c)
		return SNET_ENOMEM;
	c->first = hd->dcid;
	random_cid(&scid, SNET_QUIC_CID);
	fill_settings(c, &s, probes, odcid ? odcid : &hd->dcid);
	fill_params(c, &p);
	p.original_dcid = odcid ? *odcid : hd->dcid;
	p.original_dcid_present = 1;
	if (odcid) {
		p.retry_scid = hd->dcid;
		p.retry_scid_present = 1;
		s.token = hd->token;
		s.tokenlen = hd->tokenlen;
		s.token_type = NGTCP2_TOKEN_TYPE_RETRY;
	}
	p.stateless_reset_token_present = 1;
	if (snet_quic_tls_reset_token(p.stateless_reset_token, e->secret, scid.data,
				      scid.datalen) ||
	    ngtcp2_conn_server_new(&c->q, &hd->scid, &scid, &qpath, hd->version,
				   &snet_quic_server_callbacks, &s, &p, NULL, c) ||
	    begin_tls(c) || snet_quic_route(e, &scid, &c->entry) ||
	    snet_quic_route(e, &hd->dcid, &c->entry)) {
		snet_quic_unroute(e, &scid);
		snet_quic_unroute(e, &hd->dcid);
		snet_quic_conn_free(c);
		return SNET_ENOMEM;
	}
	*out = c;
	return SNET_OK;
}

/* ---- life */

static void introduce(struct snet_quic_conn *c)
{
	memcpy(c->base.peer_key, c->peer.key, sizeof(c->base.peer_key));
	c->base.peer_derived = c->peer.derived;
	c->base.peer_spki = c->peer.spki;
	c->base.peer_spki_len = c->peer.spki_len;
	c->base.profile = c->peer.profile;
	c->base.role = c->peer.role;
}

/* Stream 0, by the dialler. */
static bool open_messages(struct snet_quic_conn *c)
{
	struct snet_quic_stream *s;
	int64_t id;

	if (ngtcp2_conn_open_bidi_stream(c->q, &id, NULL) ||
	    !(s = snet_quic_stream_new(c, id, SNET_QUIC_STREAM_MESSAGES, true))) {
		snet_quic_conn_close(c, SNET_ENOMEM, "out of memory");
		return false;
	}
	ngtcp2_conn_set_stream_user_data(c->q, id, s);
	s->announce = true;
	return true;
}

void snet_quic_conn_early(struct snet_quic_conn *c)
{
	const struct snet_conn_events *ev = c->base.events;

	introduce(c);
	if (c->base.profile != SNET_PROFILE_SNET1 || !ev->on_early || !open_messages(c))
		return;
	c->early = true;
	ev->on_early(&c->base, c->base.user);
}

void snet_quic_conn_opened(struct snet_quic_conn *c)
{
	struct snet_endpoint *e = c->ep;
	struct snet_quic_stream *s;

	c->confirmed = true;
	c->state = SNET_QUIC_OPEN;
	if (c->half_open)
		e->half_open--;
	c->half_open = false;
	introduce(c);
	if (e->cfg.keep_alive != SNET_NEVER)
		ngtcp2_conn_set_keep_alive_timeout(c->q, e->cfg.keep_alive);
	if (!c->server) {
		if (!c->early && !open_messages(c))
			return;
		c->base.open = true;
		c->base.events->on_open(&c->base, c->base.user);
		return;
	}
	/* Stream 0 is always there: what is sent on it waits until
	 * the dialler has opened it. */
	s = snet_quic_stream_new(c, 0, SNET_QUIC_STREAM_MESSAGES, true);
	if (!s) {
		snet_quic_conn_close(c, SNET_ENOMEM, "out of memory");
		return;
	}
	s->unopened = true;
	snet_count(SNET_METRIC_ACCEPTED, 1);
	e->ev->on_accept(e, &c->base, e->user);
	/* A stranger nobody wanted has been closed by now. */
	c->base.open = c->base.events;
}

void snet_quic_conn_settle(struct snet_quic_conn *c)
{
	if (c->confirmed && c->tls && !c->closing) {
		/* The keys are ngtcp2's now; the session weighs a quarter of the connection. */
		snet_quic_tls_session_free(c->tls);
		c->tls = NULL;
		ngtcp2_conn_set_tls_native_handle(c->q, NULL);
	}
	snet_quic_tell(c);
}

void snet_quic_conn_input(struct snet_quic_conn *c, const struct snet_path *path, uint8_t ecn,
			  const uint8_t *p, size_t n)
{
	struct snet_path mine = *path;
	ngtcp2_path qpath;
	ngtcp2_pkt_info pi = { .ecn = ecn };
	int rc;

	if (c->closing)
		return;
	if (!c->server)
		mine.local = c->base.local; /* its only one, whatever the socket says */
	qpath = snet_quic_path(&mine);
	c->heard = snet_quic_turn(c);
	c->received += n;
	c->refused = 0;
	rc = ngtcp2_conn_read_pkt(c->q, &qpath, &pi, p, n, c->heard);
	if (c->closing)
		return;
	switch (rc) {
	case 0:
		break;
	case NGTCP2_ERR_DRAINING:
		snet_quic_conn_told(c);
		return;
	case NGTCP2_ERR_RETRY:
		c->retried = true; /* the endpoint asks the client to begin anew */
		snet_quic_conn_fail(c, SNET_EPROTO, "its first packet came second", true,
				    false);
		return;
	case NGTCP2_ERR_DROP_CONN:
		snet_quic_conn_fail(c, SNET_EPROTO, "unusable first packet", true, false);
		return;
	case NGTCP2_ERR_CRYPTO:
		ngtcp2_ccerr_set_tls_alert(&c->ccerr, ngtcp2_conn_get_tls_alert(c->q), NULL, 0);
		snet_quic_conn_refuse(c);
		return;
	default:
		ngtcp2_ccerr_set_liberr(&c->ccerr, rc, NULL, 0);
		snet_quic_conn_fail(c, SNET_EPROTO, ngtcp2_strerror(rc), false, false);
		return;
	}
	snet_quic_mark(c);
	/* What arrived may have raised the connection's limit, for which there is no callback.
	 */
	for (struct snet_list *i = c->streams.next; i != &c->streams; i = i->next)
		SNET_OF(i, struct snet_quic_stream, node)->blocked = false;
	/* Handshakes are latency: waiting for the end of the turn would
	 * leave the other side idle. Their end is for both sides to say what comes first in the
	 * same packet. */
	if (c->tls && !c->confirmed && !snet_udp_is_blocked(c->ep->udp))
		snet_quic_tx(c);
}

bool snet_quic_conn_is_silent(const struct snet_quic_conn *c, snet_time now)
{
	/* heard is of a finer clock than the turn's now, and may be later */
	return c->state == SNET_QUIC_OPEN && c->ep->cfg.keep_alive != SNET_NEVER &&
	       now > c->heard && now - c->heard >= c->ep->cfg.dead_after;
}

void snet_quic_conn_spare(struct snet_quic_conn *c, snet_time late, snet_time now)
{
	snet_time dead = c->ep->cfg.dead_after;

	if (late >= dead / ASLEEP && snet_quic_conn_is_silent(c, now))
		c->heard = now - dead + (dead < SNET_SEC ? dead : SNET_SEC);
}

void snet_quic_conn_expired(struct snet_timer *t, snet_time now)
{
	struct snet_quic_conn *c = t->user;
	int rc;

	if (c->closing)
		return;
	snet_quic_conn_spare(c, now - t->deadline, now);
	if (snet_quic_conn_is_silent(c, now)) {
		snet_quic_conn_fail(c, SNET_ELOST, "nothing was heard from it", true, false);
		return;
	}
	snet_quic_tx_stalled(c, now);
	if (ngtcp2_conn_get_expiry(c->q) <= now) {
		rc = ngtcp2_conn_handle_expiry(c->q, snet_quic_turn(c));
		if (rc == NGTCP2_ERR_IDLE_CLOSE) {
			snet_quic_conn_fail(
				c, c->state == SNET_QUIC_OPEN ? SNET_ELOST : SNET_ETIMEOUT,
				"idle for too long", true, false);
			return;
		}
		if (rc == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
			snet_quic_conn_fail(c, SNET_ETIMEOUT, "the handshake took too long",
					    false, false);
			return;
		}
		if (rc) {
			ngtcp2_ccerr_set_liberr(&c->ccerr, rc, NULL, 0);
			snet_quic_conn_fail(c, SNET_EPROTO, ngtcp2_strerror(rc), false, false);
			return;
		}
	}
	snet_quic_mark(c);
}
