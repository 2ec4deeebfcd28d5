/* A QUIC connection: its state, its streams, and what the files quic_conn, quic_callbacks,
 * quic_stream, quic_tx and quic_close do for each other. Rules: only these and quic_endpoint
 * call ngtcp2 for it; its callbacks record and mark dirty; a connection dies only in the
 * flush; what comes in has the time of the turn, what is written that of the clock. */
#ifndef SNET_TRANSPORT_QUIC_CONN_H
#define SNET_TRANSPORT_QUIC_CONN_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "obs/qlog.h"
#include "transport/quic_endpoint.h"
#include "transport/quic_tls.h"
#include "transport/txq.h"

struct snet_quic_stream {
	struct snet_list node; /* in conn->streams */
	int64_t id;
	unsigned number;
	bool sends, fin, fin_sent, gone;
	bool unopened;  /* by the dialler: what we send waits */
	bool blocked;   /* by flow control, until a packet arrives */
	bool fin_acked; /* everything, FIN too */
	bool announce;  /* nothing was sent on it yet: an empty frame tells the peer of it */
	size_t credit;  /* read by the owner, not yet told to the peer */
	struct snet_txq tx;
};

enum snet_quic_state { SNET_QUIC_HANDSHAKE, SNET_QUIC_OPEN, SNET_QUIC_CLOSED };

struct snet_quic_conn {
	struct snet_conn base;
	struct snet_quic_entry entry;
	struct snet_endpoint *ep;
	ngtcp2_conn *q;
	void *tls; /* snet_quic_tls_session; NULL once it is of no more use */
	ngtcp2_crypto_conn_ref ref;
	struct snet_quic_tls_peer peer;
	uint8_t pin[SNET_KEYID_BYTES];
	struct snet_timer timer;
	struct snet_list node, dirty; /* in ep->conns, ep->dirty */
	struct snet_list streams;
	struct snet_quic_stream *next; /* whose turn it is to send */
	enum snet_quic_state state;
	bool server, retried;
	bool half_open; /* counted in ep->half_open */
	bool confirmed;
	bool early;                /* dialled, and on_early was called: stream 0 is there */
	uint8_t n_resets, refused; /* refused: ICMP errors since it was heard */
	bool told_full;            /* owes the owner on_drain */
	bool told_flushed;
	bool stale;   /* marked since it was last written */
	bool fills;   /* has had more to send than one small packet takes: worth probing */
	bool bulk;    /* the same for jumbo packets */
	bool closing; /* close_* hold what is to be said */
	bool silent;  /* nothing is said: the peer closed, or cannot hear */
	bool by_peer;
	int close_code;
	ngtcp2_ccerr ccerr;
	char *close_why;
	uint32_t mtu_cap; /* 0: none; what a black hole has taught */
	snet_time heard;  /* the last datagram */
	snet_time last;   /* told to ngtcp2, which aborts when time goes back */
	snet_time acked;  /* when something sent was last acknowledged, or first waited to be */
	size_t queued, unsent;
	uint64_t sent, received; /* UDP payload */
	struct snet_qlog *qlog;
	ngtcp2_cid first; /* server: the id the client made up, routed here too */
	uint8_t resets[4][NGTCP2_STATELESS_RESET_TOKENLEN]; /* meant for us, in ep->resets */
};

/* ---- quic_conn.c */
int snet_quic_conn_dial(struct snet_quic_conn **out, struct snet_endpoint *e,
			const struct snet_addr *to, const uint8_t *key, struct snet_error *err);
int snet_quic_conn_accept(struct snet_quic_conn **out, struct snet_endpoint *e,
			  const struct snet_path *path, const ngtcp2_pkt_hd *hd,
			  const ngtcp2_cid *odcid);
void snet_quic_conn_input(struct snet_quic_conn *c, const struct snet_path *path, uint8_t ecn,
			  const uint8_t *p, size_t n);
void snet_quic_conn_expired(struct snet_timer *t, snet_time now);
/* Nothing was heard from it for dead_after. */
bool snet_quic_conn_is_silent(const struct snet_quic_conn *c, snet_time now);
/* Then, if we were asleep, late by so much, nobody knows if it is: its packets wait to be read,
 * or, where the whole machine stood still, are on their way. It has a second more. */
void snet_quic_conn_spare(struct snet_quic_conn *c, snet_time late, snet_time now);
/* From the callbacks: the peer is authenticated, and has not answered our proof yet. */
void snet_quic_conn_early(struct snet_quic_conn *c);
/* From the callbacks: both sides are authenticated. */
void snet_quic_conn_opened(struct snet_quic_conn *c);
/* News for the owner, after anything was fed in or written. */
void snet_quic_conn_settle(struct snet_quic_conn *c);
void snet_quic_conn_free(struct snet_quic_conn *c);

/* ---- quic_close.c: each begins the end, which comes in the flush */
/* By us, in the application's words. */
void snet_quic_conn_close(struct snet_quic_conn *c, int code, const char *why);
void snet_quic_conn_fail(struct snet_quic_conn *c, int code, const char *why, bool silent,
			 bool by_peer);
void snet_quic_conn_refuse(struct snet_quic_conn *c); /* TLS said no */
void snet_quic_conn_told(struct snet_quic_conn *c);   /* the peer closed */
void snet_quic_conn_reset(struct snet_quic_conn *c);  /* a stateless reset came */
void snet_quic_conn_bury(struct snet_quic_conn *c);   /* tell everyone, tomb, free */

/* ---- quic_callbacks.c */
extern const ngtcp2_callbacks snet_quic_client_callbacks, snet_quic_server_callbacks;

/* ---- quic_tx.c */
/* Looks for a path that has got narrower. */
void snet_quic_tx_stalled(struct snet_quic_conn *c, snet_time now);
/* Writes what there is to write; may begin closing. */
void snet_quic_tx(struct snet_quic_conn *c);

/* ---- quic_stream.c */
struct snet_quic_stream *snet_quic_stream_new(struct snet_quic_conn *c, int64_t id,
					      unsigned number, bool sends);
/* Opens it if need be. NULL: not possible. */
struct snet_quic_stream *snet_quic_stream_to_send(struct snet_quic_conn *c, unsigned number);
/* Whose turn it is, or NULL. */
struct snet_quic_stream *snet_quic_stream_ready(struct snet_quic_conn *c);
/* Its FIN may go now. */
bool snet_quic_stream_may_end(const struct snet_quic_conn *c, const struct snet_quic_stream *s);
void snet_quic_stream_credit(struct snet_quic_conn *c);
void snet_quic_stream_acked(struct snet_quic_conn *c, struct snet_quic_stream *s,
			    uint64_t offset);
void snet_quic_stream_free(struct snet_quic_stream *s);
int snet_quic_send(struct snet_conn *c, unsigned stream, const struct snet_slice *v, size_t n);
int snet_quic_finish(struct snet_conn *c, unsigned stream);
bool snet_quic_can_send(struct snet_conn *c);
void snet_quic_consumed(struct snet_conn *c, unsigned stream, size_t n);
void snet_quic_tell(struct snet_quic_conn *c); /* on_drain, on_flushed, if due */

/* The time to tell ngtcp2: that of the turn, or of the clock. */
static inline snet_time snet_quic_turn(struct snet_quic_conn *c)
{
	snet_time now = snet_loop_now(c->ep->loop);

	return c->last > now ? c->last : (c->last = now);
}

static inline snet_time snet_quic_clock(struct snet_quic_conn *c)
{
	return c->last = snet_now();
}

#endif
