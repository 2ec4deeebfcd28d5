/* TCP: a stream to a server, dialled without blocking, over TLS where wished. */
#ifndef SNET_IO_TCP_H
#define SNET_IO_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "io/tls.h"

struct snet_loop;
struct snet_tcp;

#define SNET_TCP_QUEUE (256 << 10)       /* bytes not sent yet */
#define SNET_TCP_TIMEOUT (10 * SNET_SEC) /* until it is open, TLS and all */

/* snet_tcp_close is allowed in all of them; dialling anew, too. */
struct snet_tcp_events {
	void (*on_open)(void *user);
	void (*on_data)(const uint8_t *p, size_t n, void *user); /* p: for this call */
	/* Once, and last; not after snet_tcp_close. SNET_OK: the other end is done. */
	void (*on_close)(const struct snet_error *why, void *user);
	/* All that was to be sent is with the kernel. NULL: nobody asks. */
	void (*on_drain)(void *user);
};

struct snet_tcp_opts {
	const struct snet_addr *from;    /* NULL: any */
	const struct snet_tls_opts *tls; /* NULL: none. Looked at in the call */
	snet_time timeout;               /* 0: SNET_TCP_TIMEOUT */
};

/* SNET_EUNREACH, SNET_EBIND, SNET_EIO: no descriptors; and as snet_tls_new. Nothing is called
 * before it has returned. */
int snet_tcp_dial(struct snet_tcp **out, struct snet_loop *l, const struct snet_addr *to,
		  const struct snet_tcp_opts *o, const struct snet_tcp_events *ev, void *user,
		  struct snet_error *err);
/* What was sent is still tried; NULL is fine. */
void snet_tcp_close(struct snet_tcp *t);

/* Copied, all or nothing; also before it is open. SNET_EAGAIN: the queue is full; SNET_ECLOSED,
 * SNET_ENOMEM. */
int snet_tcp_send(struct snet_tcp *t, const void *p, size_t n);
/* Reads nothing more, or goes on; for whoever cannot take more now. */
void snet_tcp_pause(struct snet_tcp *t, bool paused);
size_t snet_tcp_queued(const struct snet_tcp *t); /* bytes not sent yet */
void snet_tcp_address(const struct snet_tcp *t, struct snet_addr *local);

#endif
