#include "transport/quic_tls.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/credentials.h"
#include "crypto/hash.h"

/* AES first: CHACHA20 is ten times slower in this library. X25519 first: the cheapest key
 * exchange. No hybrid groups: the ClientHello stays in one packet. A raw public key before a
 * certificate, where the session may have one. The compatibility mode of TLS 1.3 is forbidden
 * in QUIC, RFC 9001 §8.4. */
/* clang-format off */
#define PRIORITY                                                               \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3"                                        \
	":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"            \
	":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"          \
	":-CTYPE-ALL:+CTYPE-RAWPK:+CTYPE-X509"                                 \
	":%DISABLE_TLS13_COMPAT_MODE"
/* clang-format on */
/* What the crate asks for: names mean nothing here, keys do. */
#define SERVER_NAME "localhost"
#define ALERT_BAD_CERTIFICATE 42
#define ALERT_NO_ALPN 120

struct snet_quic_tls {
	struct snet_credentials *shown;
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t priority;
	const struct snet_transport_config *cfg;
};

/* ---- who the peer is */

/* Kept until the connection is closed with it. */
static int refuse(struct snet_quic_tls_peer *p, const struct snet_error *err)
{
	p->code = err->code;
	free(p->why);
	p->why = strdup(err->text);
	return err->code;
}

/* For as long as the connection lives; the buffer may have room to spare. */
static int keep_spki(struct snet_quic_tls_peer *p, const struct snet_buf *spki,
		     struct snet_error *err)
{
	uint8_t *copy = malloc(spki->n);

	if (!copy)
		return snet_fail(err, SNET_ENOMEM, "out of memory");
	memcpy(copy, spki->p, spki->n);
	free(p->spki);
	p->spki = copy;
	p->spki_len = spki->n;
	return SNET_OK;
}

static bool is_raw(gnutls_session_t s)
{
	return gnutls_certificate_type_get2(s, GNUTLS_CTYPE_PEERS) == GNUTLS_CRT_RAWPK;
}

static int read_key(bool raw, const gnutls_datum_t *shown, unsigned n, struct snet_buf *spki,
		    uint8_t key[static SNET_KEYID_BYTES], struct snet_error *err)
{
	return raw ? snet_rawkey_check(shown, n, spki, key, err)
		   : snet_cert_check(shown, n, spki, key, err);
}

/* GnuTLS checks a signature with the key before it asks on_verify, and what that costs is up to
 * whoever made the key: one of 16 KiB can take ten seconds. So what the peer shows is looked at
 * when it comes. */
static int on_shown(gnutls_session_t s, unsigned type, unsigned when, unsigned incoming,
		    const gnutls_datum_t *msg)
{
	struct snet_error err = { 0 };
	gnutls_datum_t first;
	uint8_t key[SNET_KEYID_BYTES];
	unsigned n;
	int rc;

	(void)type, (void)when;
	if (!incoming)
		return 0;
	rc = snet_cert_entries(msg->data, msg->size, &first, 1, &n);
	if (rc)
		snet_fail(&err, rc, "a Certificate message that is none");
	else if (!n)
		rc = snet_fail(&err, SNET_EDENIED, "the peer shows no key");
	else
		rc = read_key(is_raw(s), &first, n, NULL, key, &err);
	if (!rc)
		return 0;
	refuse(snet_quic_tls_peer_of(gnutls_session_get_ptr(s)), &err);
	return rc == SNET_EDENIED ? GNUTLS_E_CERTIFICATE_REQUIRED : GNUTLS_E_CERTIFICATE_ERROR;
}

static int check(const struct snet_quic_tls *t, gnutls_session_t s,
		 struct snet_quic_tls_peer *p)
{
	struct snet_error err = { 0 };
	struct snet_buf spki = SNET_BUF(SNET_SPKI_MAX);
	bool raw = is_raw(s);
	unsigned n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(s, &n);
	int rc = read_key(raw, chain, n, &spki, p->key, &err);

	if (!rc && p->pin)
		rc = snet_trust_check_pin(p->pin, p->key, NULL, &err);
	else if (!rc)
		rc = snet_trust_check(t->cfg->trust, p->key, raw ? NULL : chain, raw ? 0 : n,
				      &err);
	if (!rc)
		rc = keep_spki(p, &spki, &err);
	if (!rc)
		p->derived = snet_derived_id(spki.p, spki.n);
	snet_buf_free(&spki);
	return rc ? refuse(p, &err) : SNET_OK;
}

/* GnuTLS itself verifies that the peer holds the key; this
 * replaces only the trust in a chain. */
static int on_verify(gnutls_session_t s)
{
	void *ref = gnutls_session_get_ptr(s);

	return check(snet_quic_tls_of(ref), s, snet_quic_tls_peer_of(ref))
		       ? GNUTLS_E_CERTIFICATE_ERROR
		       : 0;
}

/* We show what we have; of what an authority's name or the list of algorithms may say
 * nothing depends: there is one identity. */
static int on_retrieve(gnutls_session_t s, const gnutls_datum_t *authorities, int authorities_n,
		       const gnutls_pk_algorithm_t *algorithms, int algorithms_n,
		       gnutls_pcert_st **certs, unsigned *n, gnutls_privkey_t *key)
{
	const struct snet_quic_tls *t = snet_quic_tls_of(gnutls_session_get_ptr(s));

	(void)authorities, (void)authorities_n, (void)algorithms, (void)algorithms_n;
	snet_credentials_show(t->shown, gnutls_certificate_type_get2(s, GNUTLS_CTYPE_OURS),
			      certs, n, key);
	return 0;
}

static bool is(const gnutls_datum_t *d, const char *name)
{
	return d->size == strlen(name) && !memcmp(d->data, name, d->size);
}

static int take_alpn(gnutls_session_t s, struct snet_quic_tls_peer *p)
{
	struct snet_error err;
	gnutls_datum_t name;

	if (gnutls_alpn_get_selected_protocol(s, &name)) {
		snet_fail(&err, SNET_EPROTO, "the peer named no protocol (ALPN)");
		return refuse(p, &err);
	}
	p->profile =
		is(&name, SNET_ALPN_SNET1) ? SNET_PROFILE_SNET1 : SNET_PROFILE_STOFFELNET_0_1;
	p->role = is(&name, SNET_ALPN_CLIENT) ? SNET_ROLE_CLIENT : SNET_ROLE_SERVER;
	if (p->profile == SNET_PROFILE_SNET1 || is(&name, SNET_ALPN_CLIENT) ||
	    is(&name, SNET_ALPN_SERVER))
		return SNET_OK;
	snet_fail(&err, SNET_EPROTO, "unknown protocol (ALPN)");
	return refuse(p, &err);
}

int snet_quic_tls_finish(const struct snet_quic_tls *t, void *session,
			 struct snet_quic_tls_peer *p, uint8_t *alert)
{
	gnutls_session_t s = session;
	int rc = take_alpn(s, p);

	*alert = ALERT_NO_ALPN;
	if (rc)
		return rc;
	*alert = ALERT_BAD_CERTIFICATE;
	/* Without resumption the verify function has run in this handshake;
	 * only a resumed one skips it. */
	return gnutls_session_is_resumed(s) ? check(t, s, p) : SNET_OK;
}

/* ---- sessions */

static int set_alpn(gnutls_session_t s, const struct snet_quic_tls *t, bool server)
{
	gnutls_datum_t names[3];
	unsigned n = 0;

	if (!t->cfg->crate_only)
		names[n++] = (gnutls_datum_t){ (void *)SNET_ALPN_SNET1,
					       sizeof(SNET_ALPN_SNET1) - 1 };
	if (server || t->cfg->role == SNET_ROLE_SERVER)
		names[n++] = (gnutls_datum_t){ (void *)SNET_ALPN_SERVER,
					       sizeof(SNET_ALPN_SERVER) - 1 };
	if (server || t->cfg->role == SNET_ROLE_CLIENT)
		names[n++] = (gnutls_datum_t){ (void *)SNET_ALPN_CLIENT,
					       sizeof(SNET_ALPN_CLIENT) - 1 };
	return gnutls_alpn_set_protocols(s, names, n,
					 GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE);
}

/* RFC 7250: where keys alone are trusted, a certificate around one is bytes to send and to
 * parse. Not where a CA may have to be found above it; and the crate knows nothing else. */
static unsigned certificate_flags(const struct snet_transport_config *cfg)
{
	return cfg->crate_only || (cfg->trust && snet_trust_has_ca(cfg->trust))
		       ? 0
		       : GNUTLS_ENABLE_RAWPK;
}

int snet_quic_tls_session(void **out, const struct snet_quic_tls *t, bool server,
			  void *conn_ref)
{
	unsigned flags = GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
			 GNUTLS_NO_TICKETS | certificate_flags(t->cfg) |
			 (server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET
				 : GNUTLS_CLIENT | GNUTLS_KEY_SHARE_TOP);
	gnutls_session_t s;
	bool ok;

	if (gnutls_init(&s, flags))
		return SNET_ENOMEM;
	ok = !gnutls_priority_set(s, t->priority) &&
	     !(server ? ngtcp2_crypto_gnutls_configure_server_session(s)
		      : ngtcp2_crypto_gnutls_configure_client_session(s)) &&
	     !gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, t->cred) &&
	     !set_alpn(s, t, server);
	if (ok && server)
		gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
	else if (ok)
		ok = !gnutls_server_name_set(s, GNUTLS_NAME_DNS, SERVER_NAME,
					     sizeof(SERVER_NAME) - 1);
	if (!ok) {
		gnutls_deinit(s);
		return SNET_ENOMEM;
	}
	gnutls_handshake_set_hook_function(s, GNUTLS_HANDSHAKE_CERTIFICATE_PKT, GNUTLS_HOOK_PRE,
					   on_shown);
	gnutls_session_set_ptr(s, conn_ref);
	*out = s;
	return SNET_OK;
}

void snet_quic_tls_session_free(void *session)
{
	if (session)
		gnutls_deinit(session);
}

/* ---- of an endpoint */

int snet_quic_tls_new(struct snet_quic_tls **out, const struct snet_transport_config *cfg,
		      struct snet_error *err)
{
	struct snet_quic_tls *t = calloc(1, sizeof(*t));
	int rc = SNET_OK;

	if (!t)
		return snet_fail(err, SNET_ENOMEM, "tls");
	t->cfg = cfg;
	if (gnutls_certificate_allocate_credentials(&t->cred) ||
	    gnutls_priority_init2(&t->priority, PRIORITY, NULL, 0))
		rc = snet_fail(err, SNET_ENOMEM, "tls");
	else
		rc = snet_credentials_new(&t->shown, cfg->identity, err);
	if (rc) {
		snet_quic_tls_free(t);
		return rc;
	}
	gnutls_certificate_set_verify_function(t->cred, on_verify);
	gnutls_certificate_set_retrieve_function2(t->cred, on_retrieve);
	*out = t;
	return SNET_OK;
}

void snet_quic_tls_free(struct snet_quic_tls *t)
{
	if (!t)
		return;
	if (t->cred)
		gnutls_certificate_free_credentials(t->cred);
	if (t->priority)
		gnutls_priority_deinit(t->priority);
	snet_credentials_free(t->shown);
	free(t);
}

int snet_quic_tls_secret(const struct snet_quic_tls *t, uint8_t out[static 32])
{
	static const char label[] = "snet/1 stateless reset";
	gnutls_datum_t certs, key;

	snet_identity_pem(t->cfg->identity, &certs, &key);
	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.data, key.size, label, sizeof(label) - 1,
			     out))
		return SNET_EIO;
	return SNET_OK;
}

/* ngtcp2 derives it by HKDF, which is two of these and more: an endpoint of many peers makes
 * several for each. */
int snet_quic_tls_reset_token(uint8_t out[static 16], const uint8_t secret[static 32],
			      const uint8_t *cid, size_t n)
{
	const struct snet_slice id = { cid, n, NULL };
	uint8_t mac[SNET_SHA256_BYTES];
	int rc = snet_hmac(SNET_HMAC_SHA256, mac, secret, 32, &id, 1);

	if (!rc)
		memcpy(out, mac, 16);
	return rc;
}

void snet_quic_tls_rand(uint8_t *p, size_t n)
{
	if (gnutls_rnd(GNUTLS_RND_NONCE, p, n))
		abort();
}
