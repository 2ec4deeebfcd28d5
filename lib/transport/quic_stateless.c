#include "transport/quic_conn.h"

#include <string.h>

/* What an endpoint answers without keeping anything: version negotiation, Retry, stateless
 * reset, refusal. Never more bytes than came, RFC 9000 §8.1. */

#define TOKEN_LIFE (10 * NGTCP2_SECONDS)
#define RESETS_PER_SECOND 100
#define SMALLEST_RESET 21 /* bytes, RFC 9000 §10.3 */

void snet_quic_stateless_version(struct snet_endpoint *e, const struct snet_path *path,
				 const ngtcp2_version_cid *vc, size_t n)
{
	static const uint32_t versions[] = { NGTCP2_PROTO_VER_V1 };
	uint8_t out[256], unused;
	ngtcp2_ssize k;

	if (n < SNET_QUIC_MIN_PAYLOAD)
		return;
	snet_quic_tls_rand(&unused, 1);
	k = ngtcp2_pkt_write_version_negotiation(out, sizeof(out), unused, vc->scid,
						 vc->scidlen, vc->dcid, vc->dcidlen, versions,
						 1);
	if (k > 0)
		snet_udp_answer(e->udp, path, out, (size_t)k);
}

static void refuse(struct snet_endpoint *e, const struct snet_path *path,
		   const ngtcp2_pkt_hd *hd, uint64_t code)
{
	uint8_t out[256];
	ngtcp2_ssize k = ngtcp2_crypto_write_connection_close(
		out, sizeof(out), hd->version, &hd->scid, &hd->dcid, code, NULL, 0);

	if (k > 0)
		snet_udp_answer(e->udp, path, out, (size_t)k);
}

void snet_quic_stateless_retry(struct snet_endpoint *e, const struct snet_path *path,
			       const ngtcp2_pkt_hd *hd)
{
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2], out[256];
	ngtcp2_ssize n, k;
	ngtcp2_cid scid = { .datalen = SNET_QUIC_CID };

	snet_quic_tls_rand(scid.data, scid.datalen);
	n = ngtcp2_crypto_generate_retry_token2(
		token, e->secret, sizeof(e->secret), hd->version, &path->remote.sa,
		snet_addr_len(&path->remote), &scid, &hd->dcid, snet_now());
	if (n <= 0)
		return;
	k = ngtcp2_crypto_write_retry(out, sizeof(out), hd->version, &hd->scid, &scid,
				      &hd->dcid, token, (size_t)n);
	if (k > 0)
		snet_udp_answer(e->udp, path, out, (size_t)k);
}

/* 1: the token is good and says the first destination id; 0: go on
 * without; negative: answered. */
static int check_token(struct snet_endpoint *e, const struct snet_path *path, ngtcp2_pkt_hd *hd,
		       ngtcp2_cid *odcid)
{
	int rc;

	if (!hd->tokenlen || hd->token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2)
		return 0;
	rc = ngtcp2_crypto_verify_retry_token2(odcid, hd->token, hd->tokenlen, e->secret,
					       sizeof(e->secret), hd->version, &path->remote.sa,
					       snet_addr_len(&path->remote), &hd->dcid,
					       TOKEN_LIFE, snet_now());
	if (!rc)
		return 1;
	if (rc != NGTCP2_CRYPTO_ERR_VERIFY_TOKEN)
		return 0;
	refuse(e, path, hd, NGTCP2_INVALID_TOKEN);
	return -1;
}

int snet_quic_stateless_initial(struct snet_endpoint *e, const struct snet_path *path,
				ngtcp2_pkt_hd *hd, ngtcp2_cid *odcid)
{
	int rc;

	if (!e->ev || !e->ev->on_accept || e->unbinding)
		return 0;
	odcid->datalen = 0;
	rc = check_token(e, path, hd, odcid);
	if (rc < 0)
		return 0;
	if (rc == 0 && e->half_open >= e->cfg.retry_above) {
		snet_quic_stateless_retry(e, path, hd);
		return 0;
	}
	if (e->n_conns >= e->cfg.max_conns) {
		refuse(e, path, hd, NGTCP2_CONNECTION_REFUSED);
		return 0;
	}
	return 1;
}

/* A datagram for a connection of which nothing is known: this process has restarted, say. */
void snet_quic_stateless_reset(struct snet_endpoint *e, const struct snet_path *path,
			       const ngtcp2_version_cid *vc, size_t n)
{
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN], random[32], out[64];
	snet_time now = snet_loop_now(e->loop);
	ngtcp2_ssize k;
	size_t len;

	if (now - e->reset_refill >= SNET_SEC) {
		e->reset_refill = now;
		e->reset_credit = RESETS_PER_SECOND;
	}
	/* Shorter than what it answers, or two endpoints could reset each other for ever. A
	 * keep-alive is 31 bytes. */
	if (vc->dcidlen != SNET_QUIC_CID || n <= SMALLEST_RESET + SNET_QUIC_CID - 1 ||
	    !e->reset_credit)
		return;
	e->reset_credit--;
	if (snet_quic_tls_reset_token(token, e->secret, vc->dcid, vc->dcidlen))
		return;
	len = n - 1 < 43 ? n - 1 : 43;
	snet_quic_tls_rand(random, sizeof(random));
	k = ngtcp2_pkt_write_stateless_reset(out, len, token, random,
					     len - NGTCP2_STATELESS_RESET_TOKENLEN);
	if (k > 0)
		snet_udp_answer(e->udp, path, out, (size_t)k);
}
