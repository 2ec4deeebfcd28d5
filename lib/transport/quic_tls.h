/* QUIC's TLS: credentials of an endpoint, one GnuTLS session per handshake, and
 * who the peer is. The only file of the transport that knows GnuTLS: a session
 * is a pointer to everyone else. */
#ifndef SNET_TRANSPORT_QUIC_TLS_H
#define SNET_TRANSPORT_QUIC_TLS_H

#include "transport/transport.h"

struct snet_quic_tls; /* of an endpoint */

/* Borrows what cfg points at. SNET_EKEY, SNET_ENOMEM. */
int snet_quic_tls_new(struct snet_quic_tls **out, const struct snet_transport_config *cfg,
		      struct snet_error *err);
void snet_quic_tls_free(struct snet_quic_tls *t);

/* 32 bytes that only the holder of the identity's key can know, and that survive a restart with
 * the same key: what stateless resets are made from. */
int snet_quic_tls_secret(const struct snet_quic_tls *t, uint8_t out[static 32]);

/* The token of a connection id (RFC 9000 §10.3.1), 16 bytes: HMAC-SHA256 of it by that secret.
 * SNET_ENOSYS. */
int snet_quic_tls_reset_token(uint8_t out[static 16], const uint8_t secret[static 32],
			      const uint8_t *cid, size_t n);

/* What the session of one connection ends up knowing. */
struct snet_quic_tls_peer {
	const uint8_t *pin; /* in: the only acceptable key id, or NULL */
	uint8_t key[SNET_KEYID_BYTES];
	uint64_t derived;
	uint8_t *spki; /* owned; NULL */
	size_t spki_len;
	enum snet_profile profile;
	enum snet_role role;
	int code;  /* why somebody was refused; 0: nobody was */
	char *why; /* words for it, owned; NULL */
};

/* A session for one handshake. conn_ref: an ngtcp2_crypto_conn_ref; snet_quic_tls_peer_of must
 * find the peer behind it. */
int snet_quic_tls_session(void **out, const struct snet_quic_tls *t, bool server,
			  void *conn_ref);
void snet_quic_tls_session_free(void *session);

/* After the handshake: the ALPN agreed on and the key once more, since GnuTLS accepts a peer
 * that sends no ALPN and calls no verify function when it resumes. Fails with an error code,
 * and a TLS alert to send. */
int snet_quic_tls_finish(const struct snet_quic_tls *t, void *session,
			 struct snet_quic_tls_peer *p, uint8_t *alert);

/* Given by the connection: from what gnutls_session_get_ptr returns. */
struct snet_quic_tls_peer *snet_quic_tls_peer_of(void *conn_ref);
const struct snet_quic_tls *snet_quic_tls_of(void *conn_ref);

/* Random bytes for packets; never fails (GnuTLS aborts without randomness). */
void snet_quic_tls_rand(uint8_t *p, size_t n);

#endif
