/* TLS: the client's side over a connected, non-blocking descriptor; the server proves itself by
 * a certificate for its name. */
#ifndef SNET_IO_TLS_H
#define SNET_IO_TLS_H

#include <stddef.h>

#include "base/err.h"

struct snet_tls;

struct snet_tls_opts {
	const char
		*name;  /* of the server, or its IP address: what the certificate must be for */
	const char *ca; /* a PEM file of the authorities to believe; NULL: the system's */
	const char *alpn; /* NULL: none */
};

/* The descriptor stays the caller's. SNET_ECONFIG: the file of authorities; SNET_ENOMEM. */
int snet_tls_new(struct snet_tls **out, int fd, const struct snet_tls_opts *o,
		 struct snet_error *err);
void snet_tls_free(struct snet_tls *t); /* NULL is fine */

/* SNET_OK; SNET_EAGAIN: again when the descriptor is ready for snet_tls_wants; SNET_EDENIED:
 * not that server's certificate; SNET_EPROTO, SNET_ELOST. */
int snet_tls_handshake(struct snet_tls *t, struct snet_error *err);
int snet_tls_wants(const struct snet_tls *t); /* SNET_READ or SNET_WRITE: of the handshake */

/* How many bytes; 0: the other end is done; SNET_EAGAIN, SNET_ELOST. */
long snet_tls_read(struct snet_tls *t, void *p, size_t n);
/* How many were taken; SNET_EAGAIN: offer the same again when writable; SNET_ELOST. */
long snet_tls_write(struct snet_tls *t, const void *p, size_t n);
size_t snet_tls_pending(const struct snet_tls *t); /* bytes to be read that no poll tells of */
void snet_tls_bye(struct snet_tls *t);             /* best effort */

#endif
