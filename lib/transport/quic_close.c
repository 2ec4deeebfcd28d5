#include "transport/quic_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "obs/metrics.h"

/* How a connection ends: who said why, in whose words, and the tomb that
 * says it again (RFC 9000 §10). */

#define TLS_ALERT 0x100 /* CRYPTO_ERROR: 0x100 + alert, RFC 9000 §20.1 */
#define ALERT_BAD_CERTIFICATE (TLS_ALERT + 42)
#define ALERT_CERTIFICATE_REQUIRED (TLS_ALERT + 116)
#define ALERT_NO_ALPN (TLS_ALERT + 120)

static void begin(struct snet_quic_conn *c, int code, const char *why, bool silent,
		  bool by_peer)
{
	c->closing = true;
	c->close_code = code;
	c->close_why = strdup(why); /* NULL is survivable: no words */
	c->silent = silent;
	c->by_peer = by_peer;
	snet_quic_mark(c);
}

void snet_quic_conn_close(struct snet_quic_conn *c, int code, const char *why)
{
	uint64_t wire = c->base.profile == SNET_PROFILE_SNET1 ? snet_err_to_wire(code) : 0;

	if (c->closing)
		return;
	begin(c, code, why, false, false);
	ngtcp2_ccerr_set_application_error(&c->ccerr, wire, (const uint8_t *)c->close_why,
					   c->close_why ? strlen(c->close_why) : 0);
}

/* The transport's own reasons; ccerr has been set unless silent. */
void snet_quic_conn_fail(struct snet_quic_conn *c, int code, const char *why, bool silent,
			 bool by_peer)
{
	if (!c->closing)
		begin(c, code, why, silent, by_peer);
}

/* We refuse the peer: the reason was recorded where it was found. */
void snet_quic_conn_refuse(struct snet_quic_conn *c)
{
	if (c->peer.code)
		snet_quic_conn_fail(c, c->peer.code, c->peer.why ? c->peer.why : "refused",
				    false, false);
	else if (c->ccerr.error_code == ALERT_NO_ALPN)
		snet_quic_conn_fail(c, SNET_EPROTO, "no protocol in common (ALPN)", false,
				    false);
	else
		snet_quic_conn_fail(c, SNET_EPROTO, "the TLS handshake failed", false, false);
}

/* The crate closes everything with 0 and says why in words, stoffelnet-wire(7) */
static int crate_code(const char *why)
{
	if (!strcmp(why, "unknown peer") || !strcmp(why, "certificate public key not allowed"))
		return SNET_EDENIED;
	if (!strcmp(why, "duplicate connection: tie-breaker"))
		return SNET_EPOLICY; /* benign to whoever has the other connection */
	return SNET_OK;
}

static void told_by_transport(struct snet_quic_conn *c, uint64_t code)
{
	char why[64];

	switch (code) {
	case NGTCP2_NO_ERROR:
		snet_quic_conn_fail(c, SNET_OK, "closed", true, true);
		return;
	case ALERT_BAD_CERTIFICATE:
		snet_quic_conn_fail(c, SNET_EDENIED, "the peer does not accept our key", true,
				    true);
		return;
	case ALERT_CERTIFICATE_REQUIRED:
		snet_quic_conn_fail(c, SNET_EDENIED, "the peer wants a key of ours", true,
				    true);
		return;
	case ALERT_NO_ALPN:
		snet_quic_conn_fail(c, SNET_EPROTO, "no protocol in common (ALPN)", true, true);
		return;
	case NGTCP2_CONNECTION_REFUSED:
		snet_quic_conn_fail(c, SNET_EUNREACH, "the peer takes no more connections",
				    true, true);
		return;
	}
	snprintf(why, sizeof(why), "the peer's transport gave up with error 0x%llx",
		 (unsigned long long)code);
	snet_quic_conn_fail(c, SNET_EPROTO, why, true, true);
}

/* A reason is a stranger's bytes: only what can be printed is kept. */
static void printable(char *out, size_t room, const uint8_t *p, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n && k + 1 < room; i++)
		out[k++] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	out[k] = '\0';
}

void snet_quic_conn_told(struct snet_quic_conn *c)
{
	const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(c->q);
	char why[160];

	if (e->type != NGTCP2_CCERR_TYPE_APPLICATION) {
		told_by_transport(c, e->error_code);
		return;
	}
	printable(why, sizeof(why), e->reason, e->reasonlen);
	snet_quic_conn_fail(c,
			    c->base.profile == SNET_PROFILE_SNET1
				    ? snet_err_from_wire(e->error_code)
				    : crate_code(why),
			    why[0] ? why : "closed", true, true);
}

void snet_quic_conn_reset(struct snet_quic_conn *c)
{
	snet_quic_conn_fail(c, SNET_ELOST,
			    "the peer has restarted and knows nothing of this connection", true,
			    true);
}

/* ---- burial */

static struct snet_quic_tomb *tomb_of(struct snet_quic_conn *c, const uint8_t *packet, size_t n,
				      const struct snet_path *path)
{
	struct snet_quic_tomb *t = malloc(sizeof(*t) + n);
	size_t most = sizeof(t->cids) / sizeof(t->cids[0]), k;

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->entry.kind = SNET_QUIC_TOMB;
	t->path = *path;
	t->until = snet_loop_now(c->ep->loop) + 3 * ngtcp2_conn_get_pto(c->q);
	t->n = (uint16_t)n;
	if (n)
		memcpy(t->packet, packet, n);
	k = ngtcp2_conn_get_scid(c->q, NULL);
	if (k <= most - 1)
		t->n_cids = (uint8_t)ngtcp2_conn_get_scid(c->q, t->cids);
	if (c->server)
		t->cids[t->n_cids++] = c->first;
	return t;
}

static void unroute_all(struct snet_quic_conn *c)
{
	ngtcp2_cid cids[16];

	if (ngtcp2_conn_get_scid(c->q, NULL) <= 16) {
		size_t n = ngtcp2_conn_get_scid(c->q, cids);

		while (n--)
			snet_quic_unroute(c->ep, &cids[n]);
	}
	if (c->server)
		snet_quic_unroute(c->ep, &c->first);
	while (c->n_resets)
		snet_map_del(&c->ep->resets, c->resets[--c->n_resets],
			     NGTCP2_STATELESS_RESET_TOKENLEN);
}

/* The last packet, or nothing when there is nobody to tell. */
static size_t last_words(struct snet_quic_conn *c, uint8_t *p, size_t room,
			 struct snet_path *path)
{
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	if (c->silent)
		return 0;
	ngtcp2_path_storage_zero(&ps);
	n = ngtcp2_conn_write_connection_close(c->q, &ps.path, &pi, p, room, &c->ccerr,
					       snet_quic_clock(c));
	if (n <= 0)
		return 0;
	memcpy(&path->local, ps.path.local.addr, ps.path.local.addrlen);
	memcpy(&path->remote, ps.path.remote.addr, ps.path.remote.addrlen);
	return (size_t)n;
}

static void tell(struct snet_quic_conn *c)
{
	struct snet_endpoint *e = c->ep;
	const char *why = c->close_why ? c->close_why : "";
	char from[SNET_ADDR_TEXT];

	snet_log(SNET_LOG_DEBUG, "quic", "%s: closed%s: %s",
		 snet_addr_print(&c->base.remote, from), c->by_peer ? " by the peer" : "", why);
	if (c->state == SNET_QUIC_HANDSHAKE && c->server)
		snet_count(SNET_METRIC_REFUSED, 1);
	else if (c->close_code && !e->unbinding)
		snet_count(SNET_METRIC_LOST, 1);
	c->base.open = false;
	if (c->base.events)
		c->base.events->on_close(&c->base, c->close_code, why, c->by_peer,
					 c->base.user);
	else if (e->ev && e->ev->on_refused && c->state == SNET_QUIC_HANDSHAKE)
		e->ev->on_refused(e, &c->base.remote, c->close_code, why, e->user);
}

void snet_quic_conn_bury(struct snet_quic_conn *c)
{
	uint8_t packet[SNET_QUIC_MIN_PAYLOAD];
	struct snet_path path = { c->base.local, c->base.remote };
	size_t n = last_words(c, packet, sizeof(packet), &path);
	struct snet_quic_tomb *t;

	if (n)
		snet_udp_answer(c->ep->udp, &path, packet, n);
	unroute_all(c);
	t = c->ep->unbinding || c->retried ? NULL : tomb_of(c, packet, n, &path);
	if (t)
		snet_quic_tomb_add(c->ep, t);
	tell(c);
	c->state = SNET_QUIC_CLOSED;
	snet_quic_conn_free(c);
}
