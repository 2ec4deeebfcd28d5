/* Config: what an endpoint is told once (transport.h). */
#ifndef SNET_TRANSPORT_CONFIG_H
#define SNET_TRANSPORT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct snet_identity;
struct snet_trust;
struct snet_udp;

/* What a peer calls itself, in its hello or, in the crate's profile, by ALPN. */
enum snet_role { SNET_ROLE_SERVER, SNET_ROLE_CLIENT };
enum snet_cc { SNET_CC_CUBIC, SNET_CC_BBR };

/* Of an endpoint, which copies it and borrows what it points at. Zero
 * means the default in brackets. */
struct snet_transport_config {
	const struct snet_identity *identity; /* always presented */
	struct snet_trust *trust;             /* whom to accept */
	enum snet_role role;                  /* when dialling */
	bool crate_only;                      /* offer and accept only the crate's profile */
	snet_time handshake_timeout;          /* [10 s] */
	snet_time idle_timeout;               /* [300 s] */
	snet_time keep_alive;                 /* [5 s]; SNET_NEVER: off */
	snet_time dead_after; /* silence after which a peer is lost, with keep_alive [15 s] */
	uint64_t window;      /* ceiling of unread bytes per connection [8 MiB] */
	uint64_t queue;       /* send accepts while less than this is unacknowledged [16 MiB] */
	uint32_t mtu;         /* UDP payload, 0: path MTU discovery up to the interface's */
	enum snet_cc cc;
	bool no_gso, no_gro;  /* for tests and odd kernels */
	unsigned retry_above; /* half-open connections that turn address validation on [64] */
	unsigned max_conns;   /* with so many, strangers are refused [16384] */
	const char *qlog_dir; /* NULL: off */
	/* QUIC: in place of at and fd of bind, which takes it over, also when it fails:
	 * datagrams with a carrier of their own (io/udp.h). */
	struct snet_udp *udp;
};

#endif
