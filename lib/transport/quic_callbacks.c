#include "transport/quic_conn.h"

#include <string.h>

#include "base/log.h"

/* What ngtcp2 calls. Record, mark dirty, return: ngtcp2 must not be
 * asked to read or write from here. */

static struct snet_quic_conn *conn_of(void *user)
{
	return user;
}

/* ---- connection ids and reset tokens */

static void on_rand(uint8_t *p, size_t n, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	snet_quic_tls_rand(p, n);
}

static int on_new_cid(ngtcp2_conn *q, ngtcp2_cid *cid, uint8_t *token, size_t n, void *user)
{
	struct snet_quic_conn *c = user;

	(void)q;
	snet_quic_tls_rand(cid->data, n);
	cid->datalen = n;
	if (snet_quic_tls_reset_token(token, c->ep->secret, cid->data, n))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return snet_quic_route(c->ep, cid, &c->entry) ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_remove_cid(ngtcp2_conn *q, const ngtcp2_cid *cid, void *user)
{
	(void)q;
	snet_quic_unroute(conn_of(user)->ep, cid);
	return 0;
}

/* A reset carries a random id: only its token says whose it is */
static void forget_reset(struct snet_quic_conn *c, const uint8_t *token)
{
	for (unsigned i = 0; i < c->n_resets; i++) {
		if (memcmp(c->resets[i], token, NGTCP2_STATELESS_RESET_TOKENLEN))
			continue;
		snet_map_del(&c->ep->resets, token, NGTCP2_STATELESS_RESET_TOKENLEN);
		memmove(c->resets[i], c->resets[--c->n_resets],
			NGTCP2_STATELESS_RESET_TOKENLEN);
		return;
	}
}

static int on_dcid_status(ngtcp2_conn *q, ngtcp2_connection_id_status_type type, uint64_t seq,
			  const ngtcp2_cid *cid, const uint8_t *token, void *user)
{
	struct snet_quic_conn *c = user;

	(void)q, (void)seq, (void)cid;
	if (!token)
		return 0;
	if (type != NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
		forget_reset(c, token);
		return 0;
	}
	/* A token that another connection claims too is a peer's
	 * trick: the first one keeps it. */
	if (c->n_resets == sizeof(c->resets) / sizeof(c->resets[0]) ||
	    snet_map_get(&c->ep->resets, token, NGTCP2_STATELESS_RESET_TOKENLEN))
		return 0;
	if (snet_map_put(&c->ep->resets, token, NGTCP2_STATELESS_RESET_TOKENLEN, c))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	memcpy(c->resets[c->n_resets++], token, NGTCP2_STATELESS_RESET_TOKENLEN);
	return 0;
}

/* ---- handshake */

/* Once the handshake is over the TLS session is gone: what a peer still says there
 * (tickets) is of no interest. */
static int on_crypto_data(ngtcp2_conn *q, ngtcp2_encryption_level level, uint64_t offset,
			  const uint8_t *p, size_t n, void *user)
{
	return conn_of(user)->tls
		       ? ngtcp2_crypto_recv_crypto_data_cb(q, level, offset, p, n, user)
		       : 0;
}

static int on_handshake_completed(ngtcp2_conn *q, void *user)
{
	struct snet_quic_conn *c = user;
	uint8_t alert;

	if (snet_quic_tls_finish(c->ep->tls, c->tls, &c->peer, &alert)) {
		ngtcp2_conn_set_tls_alert(q, alert);
		return NGTCP2_ERR_CRYPTO;
	}
	/* A server's word that it accepted our key comes with the confirmation. */
	if (c->server)
		snet_quic_conn_opened(c);
	else
		snet_quic_conn_early(c);
	return 0;
}

static int on_handshake_confirmed(ngtcp2_conn *q, void *user)
{
	struct snet_quic_conn *c = user;

	(void)q;
	if (c->state == SNET_QUIC_HANDSHAKE)
		snet_quic_conn_opened(c);
	return 0;
}

/* ---- streams */

static int on_stream_open(ngtcp2_conn *q, int64_t id, void *user)
{
	struct snet_quic_conn *c = user;
	struct snet_quic_stream *s;
	unsigned number = 0;

	if (!ngtcp2_is_bidi_stream(id)) {
		number = (unsigned)(id >> 2) + 1;
	} else if (id != 0) {
		snet_quic_conn_close(c, SNET_EPROTO, "a second bidirectional stream");
		return 0;
	}
	s = number == SNET_QUIC_STREAM_MESSAGES
		    ? snet_quic_stream_to_send(c, number) /* made in on_accept */
		    : snet_quic_stream_new(c, id, number, false);
	if (!s)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	s->unopened = false;
	ngtcp2_conn_set_stream_user_data(q, id, s);
	return 0;
}

static int on_stream_data(ngtcp2_conn *q, uint32_t flags, int64_t id, uint64_t offset,
			  const uint8_t *p, size_t n, void *user, void *stream_user)
{
	struct snet_quic_conn *c = user;
	struct snet_quic_stream *s = stream_user;

	(void)q, (void)offset;
	if (!s || c->closing)
		return 0;
	/* An answer to what we sent early is as good as the confirmation, which it may have
	 * overtaken: who has read the one has accepted the other (RFC 9001 §4.1.2, §5.7). */
	if (c->early && c->state == SNET_QUIC_HANDSHAKE && id == 0)
		snet_quic_conn_opened(c);
	if (c->closing || !c->base.open)
		return 0;
	c->base.events->on_data(&c->base, s->number, p, n, flags & NGTCP2_STREAM_DATA_FLAG_FIN,
				c->base.user);
	return 0;
}

static int on_acked(ngtcp2_conn *q, int64_t id, uint64_t offset, uint64_t n, void *user,
		    void *stream_user)
{
	struct snet_quic_stream *s = stream_user;

	(void)q, (void)id;
	if (!s)
		return 0;
	snet_quic_stream_acked(user, s, offset + n);
	if (s->fin_sent && s->tx.acked == s->tx.end)
		s->fin_acked = true;
	return 0;
}

static int on_stream_close(ngtcp2_conn *q, uint32_t flags, int64_t id, uint64_t code,
			   void *user, void *stream_user)
{
	struct snet_quic_stream *s = stream_user;

	(void)q, (void)flags, (void)id, (void)code, (void)user;
	if (!s)
		return 0;
	s->gone = true;
	if (s->fin_sent)
		s->fin_acked = true;
	return 0; /* the object stays: the number is its place for the life of the connection */
}

/* Nobody resets a stream in either profile: it would lose messages in silence. */
static int on_stream_reset(ngtcp2_conn *q, int64_t id, uint64_t size, uint64_t code, void *user,
			   void *stream_user)
{
	(void)q, (void)id, (void)size, (void)code, (void)stream_user;
	snet_quic_conn_close(user, SNET_EPROTO, "the peer reset a stream");
	return 0;
}

static int on_stop_sending(ngtcp2_conn *q, int64_t id, uint64_t code, void *user,
			   void *stream_user)
{
	(void)q, (void)id, (void)code, (void)stream_user;
	snet_quic_conn_close(user, SNET_EPROTO, "the peer stopped a stream");
	return 0;
}

static int on_more_stream_data(ngtcp2_conn *q, int64_t id, uint64_t max, void *user,
			       void *stream_user)
{
	struct snet_quic_stream *s = stream_user;

	(void)q, (void)id, (void)max;
	if (s) {
		s->blocked = false;
		snet_quic_mark(user);
	}
	return 0;
}

static int on_path_validation(ngtcp2_conn *q, uint32_t flags, const ngtcp2_path *path,
			      const ngtcp2_path *old, ngtcp2_path_validation_result result,
			      void *user)
{
	struct snet_quic_conn *c = user;
	char text[SNET_ADDR_TEXT];

	(void)q, (void)flags, (void)old;
	if (result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
		return 0;
	memcpy(&c->base.remote, path->remote.addr, path->remote.addrlen);
	c->mtu_cap = 0;
	snet_log(SNET_LOG_INFO, "quic", "peer is now at %s",
		 snet_addr_print(&c->base.remote, text));
	return 0;
}

#define COMMON                                                                                 \
	.recv_crypto_data = on_crypto_data, .handshake_completed = on_handshake_completed,     \
	.encrypt = ngtcp2_crypto_encrypt_cb, .decrypt = ngtcp2_crypto_decrypt_cb,              \
	.hp_mask = ngtcp2_crypto_hp_mask_cb, .recv_stream_data = on_stream_data,               \
	.acked_stream_data_offset = on_acked, .stream_open = on_stream_open,                   \
	.stream_close = on_stream_close, .stream_reset = on_stream_reset,                      \
	.stream_stop_sending = on_stop_sending, .extend_max_stream_data = on_more_stream_data, \
	.rand = on_rand, .get_new_connection_id = on_new_cid,                                  \
	.remove_connection_id = on_remove_cid, .dcid_status = on_dcid_status,                  \
	.update_key = ngtcp2_crypto_update_key_cb, .path_validation = on_path_validation,      \
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,                     \
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,                 \
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,                   \
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb

const ngtcp2_callbacks snet_quic_client_callbacks = {
	COMMON,
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.handshake_confirmed = on_handshake_confirmed,
};

const ngtcp2_callbacks snet_quic_server_callbacks = {
	COMMON,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
};
