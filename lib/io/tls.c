#include "io/tls.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct snet_tls {
	gnutls_session_t session;
	gnutls_certificate_credentials_t cred;
	char *name;  /* the session looks at it in the handshake */
	bool parked; /* a record waits inside, to be sent */
};

/* ---- birth */

static int trust(struct snet_tls *t, const char *ca, struct snet_error *err)
{
	int n;

	if (gnutls_certificate_allocate_credentials(&t->cred))
		return snet_fail(err, SNET_ENOMEM, "TLS");
	if (!ca) {
		n = gnutls_certificate_set_x509_system_trust(t->cred);
		return n > 0 ? SNET_OK
			     : snet_fail(err, SNET_ECONFIG,
					 "the system trusts no certificate authorities");
	}
	n = gnutls_certificate_set_x509_trust_file(t->cred, ca, GNUTLS_X509_FMT_PEM);
	if (n > 0)
		return SNET_OK;
	return snet_fail(err, SNET_ECONFIG, "%s: %s", ca,
			 n ? gnutls_strerror(n) : "no certificate in it");
}

static bool is_ip(const char *name)
{
	uint8_t raw[16];

	return inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1;
}

static bool set_up(struct snet_tls *t, int fd, const char *alpn)
{
	gnutls_datum_t name = { (void *)alpn, alpn ? (unsigned)strlen(alpn) : 0 };
	unsigned flags = GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;

	if (gnutls_init(&t->session, flags))
		return false;
	gnutls_transport_set_int(t->session, fd);
	gnutls_session_set_verify_cert(t->session, t->name, 0);
	return !gnutls_priority_set_direct(t->session, PRIORITY, NULL) &&
	       !gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->cred) &&
	       (!alpn || !gnutls_alpn_set_protocols(t->session, &name, 1, 0)) &&
	       /* RFC 6066 §3: names, not addresses */
	       (is_ip(t->name) ||
		!gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, t->name, strlen(t->name)));
}

int snet_tls_new(struct snet_tls **out, int fd, const struct snet_tls_opts *o,
		 struct snet_error *err)
{
	struct snet_tls *t = calloc(1, sizeof(*t));
	int rc = SNET_ENOMEM;

	if (!t)
		return snet_fail(err, SNET_ENOMEM, "TLS");
	t->name = strdup(o->name);
	if (t->name)
		rc = trust(t, o->ca, err);
	else
		snet_fail(err, rc, "TLS");
	if (!rc && !set_up(t, fd, o->alpn))
		rc = snet_fail(err, SNET_ENOMEM, "TLS");
	if (rc) {
		snet_tls_free(t);
		return rc;
	}
	*out = t;
	return SNET_OK;
}

void snet_tls_free(struct snet_tls *t)
{
	if (!t)
		return;
	if (t->session)
		gnutls_deinit(t->session);
	if (t->cred)
		gnutls_certificate_free_credentials(t->cred);
	free(t->name);
	free(t);
}

/* ---- life */

static bool is_again(long rc)
{
	return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED;
}

static int refuse(const struct snet_tls *t, struct snet_error *err)
{
	unsigned status = gnutls_session_get_verify_cert_status(t->session);
	gnutls_datum_t why = { 0 };
	int rc, n;

	gnutls_certificate_verification_status_print(
		status, gnutls_certificate_type_get(t->session), &why, 0);
	n = why.data ? (int)strlen((char *)why.data) : 0;
	while (n && why.data[n - 1] == ' ')
		n--;
	rc = snet_fail(err, SNET_EDENIED, "its certificate does not prove it to be %s: %.*s",
		       t->name, n, why.data ? (char *)why.data : "");
	gnutls_free(why.data);
	return rc;
}

int snet_tls_handshake(struct snet_tls *t, struct snet_error *err)
{
	int rc;

	do
		rc = gnutls_handshake(t->session);
	while (rc == GNUTLS_E_INTERRUPTED ||
	       (rc < 0 && !is_again(rc) && !gnutls_error_is_fatal(rc)));
	if (!rc)
		return SNET_OK;
	if (is_again(rc))
		return SNET_EAGAIN;
	if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		return refuse(t, err);
	if (rc == GNUTLS_E_PREMATURE_TERMINATION || rc == GNUTLS_E_PULL_ERROR ||
	    rc == GNUTLS_E_PUSH_ERROR)
		return snet_fail(err, SNET_ELOST, "the server hung up in the TLS handshake");
	if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return snet_fail(err, SNET_EPROTO, "TLS: the server says: %s",
				 gnutls_alert_get_name(gnutls_alert_get(t->session)));
	return snet_fail(err, SNET_EPROTO, "TLS: %s", gnutls_strerror(rc));
}

int snet_tls_wants(const struct snet_tls *t)
{
	return gnutls_record_get_direction(t->session) ? SNET_WRITE : SNET_READ;
}

long snet_tls_read(struct snet_tls *t, void *p, size_t n)
{
	ssize_t k = gnutls_record_recv(t->session, p, n);

	if (k >= 0)
		return (long)k;
	/* Without a farewell: whoever reads knows by its own protocol whether all was said. */
	if (k == GNUTLS_E_PREMATURE_TERMINATION)
		return 0;
	return gnutls_error_is_fatal((int)k) ? SNET_ELOST : SNET_EAGAIN;
}

long snet_tls_write(struct snet_tls *t, const void *p, size_t n)
{
	/* A parked record is of bytes offered before, and its length comes back now. */
	ssize_t k = gnutls_record_send(t->session, t->parked ? NULL : p, t->parked ? 0 : n);

	t->parked = k < 0 && is_again(k);
	if (k >= 0)
		return (long)k;
	return t->parked ? SNET_EAGAIN : SNET_ELOST;
}

size_t snet_tls_pending(const struct snet_tls *t)
{
	return gnutls_record_check_pending(t->session);
}

void snet_tls_bye(struct snet_tls *t)
{
	gnutls_bye(t->session, GNUTLS_SHUT_WR);
}
