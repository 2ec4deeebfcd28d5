/* A QUIC endpoint: one UDP socket, the table that says whose a datagram is, and what
 * quic_endpoint and quic_stateless do for the connections. */
#ifndef SNET_TRANSPORT_QUIC_ENDPOINT_H
#define SNET_TRANSPORT_QUIC_ENDPOINT_H

#include <ngtcp2/ngtcp2.h>

#include "base/list.h"
#include "base/map.h"
#include "io/loop.h"
#include "io/udp.h"
#include "transport/transport.h"

struct snet_quic_conn;
struct snet_quic_tls;

#define SNET_QUIC_CID 8            /* bytes of every id we hand out: short headers do not say */
#define SNET_QUIC_MIN_PAYLOAD 1200 /* RFC 9000 §14 */
#define SNET_QUIC_PLAIN_PAYLOAD 1452 /* what an ordinary path carries */
#define SNET_QUIC_STREAM_MESSAGES 0  /* number of the bidirectional stream */
#define SNET_QUIC_TOMBS 4096         /* closed connections that still answer */

enum snet_quic_entry_kind { SNET_QUIC_CONN, SNET_QUIC_TOMB };

/* What the routing table holds. */
struct snet_quic_entry {
	enum snet_quic_entry_kind kind;
};

/* A closed connection: its ids, and the packet that says so again. RFC 9000 §10.2. */
struct snet_quic_tomb {
	struct snet_quic_entry entry;
	struct snet_list node;
	struct snet_path path;
	snet_time until, again;
	uint8_t n_cids;
	ngtcp2_cid cids[12];
	uint16_t n;
	uint8_t packet[];
};

struct snet_endpoint {
	struct snet_loop *loop;
	struct snet_udp *udp;
	struct snet_transport_config cfg;
	const struct snet_endpoint_events *ev;
	void *user;
	struct snet_quic_tls *tls;
	struct snet_addr bound;
	/* Of the last datagram, and whose it was: most trains are of one connection. */
	ngtcp2_cid last_cid;
	struct snet_quic_entry *last;
	struct snet_map cids;   /* connection id -> snet_quic_entry */
	struct snet_map resets; /* reset token of a peer -> snet_quic_conn */
	struct snet_list conns, dirty, tombs;
	size_t n_conns, n_tombs, half_open;
	struct snet_task flush;
	struct snet_timer reaper;
	uint8_t secret[32];
	snet_time reset_refill;
	unsigned reset_credit;
	bool unbinding;
};

/* ---- quic_endpoint.c */
/* One datagram from anyone. */
void snet_quic_endpoint_input(struct snet_endpoint *e, const struct snet_path *path,
			      uint8_t ecn, const uint8_t *p, size_t n);
int snet_quic_route(struct snet_endpoint *e, const ngtcp2_cid *cid, void *entry);
void snet_quic_unroute(struct snet_endpoint *e, const ngtcp2_cid *cid);
void snet_quic_mark(struct snet_quic_conn *c); /* dirty: flush before the loop sleeps */
void snet_quic_tomb_add(struct snet_endpoint *e, struct snet_quic_tomb *t);
void snet_quic_arm(struct snet_quic_conn *c);

/* ---- quic_stateless.c */
void snet_quic_stateless_version(struct snet_endpoint *e, const struct snet_path *path,
				 const ngtcp2_version_cid *vc, size_t n);
/* An Initial that no connection knows: 1 = go on (odcid filled; hd->tokenlen cleared if
 * useless), 0 = answered or dropped. */
int snet_quic_stateless_initial(struct snet_endpoint *e, const struct snet_path *path,
				ngtcp2_pkt_hd *hd, ngtcp2_cid *odcid);
void snet_quic_stateless_retry(struct snet_endpoint *e, const struct snet_path *path,
			       const ngtcp2_pkt_hd *hd);
void snet_quic_stateless_reset(struct snet_endpoint *e, const struct snet_path *path,
			       const ngtcp2_version_cid *vc, size_t n);

static inline ngtcp2_path snet_quic_path(const struct snet_path *p)
{
	return (ngtcp2_path){
		{ (ngtcp2_sockaddr *)&p->local.sa, snet_addr_len(&p->local) },
		{ (ngtcp2_sockaddr *)&p->remote.sa, snet_addr_len(&p->remote) },
		NULL,
	};
}

#endif
