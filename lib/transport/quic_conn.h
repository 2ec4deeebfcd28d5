/* A QUIC connection: its state, its streams, and what the files quic_conn, quic_callbacks,
 * quic_stream, quic_tx and quic_close do for each other. Rules: ngtcp2 is called only from
 * these; its callbacks record and mark dirty; a connection dies only in the flush; time is read
 * once per turn. */
#ifndef SNET_TRANSPORT_QUIC_CONN_H
#define SNET_TRANSPORT_QUIC_CONN_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "obs/qlog.h"
#include "transport/quic_endpoint.h"
#include "transport/quic_tls.h"
#include "transport/quic_txq.h"

struct quic_stream {
	struct snet_list node; /* in conn->streams */
	int64_t id;
	unsigned number;
	bool sends, fin, fin_sent, blocked, gone;
	bool fin_acked; /* everything, FIN too */
	struct quic_txq tx;
};

enum quic_state { QUIC_HANDSHAKE, QUIC_OPEN, QUIC_CLOSED };

struct quic_conn {
	struct snet_conn base;
	struct quic_entry entry;
	struct snet_endpoint *ep;
	ngtcp2_conn *q;
	void *tls; /* quic_tls_session; NULL once it is of no more use */
	ngtcp2_crypto_conn_ref ref;
	struct quic_tls_peer peer;
	uint8_t pin[SNET_KEYID_BYTES];
	struct snet_timer timer;
	struct snet_list node, dirty; /* in ep->conns, ep->dirty */
	struct snet_list streams;
	struct quic_stream *next; /* whose turn it is to send */
	enum quic_state state;
	bool server, retried;
	bool half_open; /* counted in ep->half_open */
	bool confirmed;
	uint8_t n_resets;
	bool told_full; /* owes the owner on_drain */
	bool told_flushed;
	bool bulk;    /* worth probing for jumbo packets */
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
	uint8_t resets[4][NGTCP2_STATELESS_RESET_TOKENLEN]; /* that would be for us, in
							       ep->resets */
};

/* ---- quic_conn.c */
int quic_conn_dial(struct quic_conn **out, struct snet_endpoint *e, const struct snet_addr *to,
		   const uint8_t *key, struct snet_error *err);
int quic_conn_accept(struct quic_conn **out, struct snet_endpoint *e,
		     const struct snet_path *path, const ngtcp2_pkt_hd *hd,
		     const ngtcp2_cid *odcid);
void quic_conn_input(struct quic_conn *c, const struct snet_path *path, uint8_t ecn,
		     const uint8_t *p, size_t n);
void quic_conn_expired(struct snet_timer *t, snet_time now);
void quic_conn_opened(
	struct quic_conn *c); /* from the callbacks: both sides are authenticated */
void quic_conn_settle(
	struct quic_conn *c); /* news for the owner, after anything was fed in or written */
void quic_conn_free(struct quic_conn *c);

/* ---- quic_close.c: each begins the end, which comes in the flush */
void quic_conn_close(struct quic_conn *c, int code,
		     const char *why); /* by us, in the application's words */
void quic_conn_fail(struct quic_conn *c, int code, const char *why, bool silent, bool by_peer);
void quic_conn_refuse(struct quic_conn *c); /* TLS said no */
void quic_conn_told(struct quic_conn *c);   /* the peer closed */
void quic_conn_reset(struct quic_conn *c);  /* a stateless reset came */
void quic_conn_bury(struct quic_conn *c);   /* tell everyone, tomb, free */

/* ---- quic_callbacks.c */
extern const ngtcp2_callbacks quic_client_callbacks, quic_server_callbacks;

/* ---- quic_tx.c */
void quic_tx_stalled(struct quic_conn *c,
		     snet_time now); /* looks for a path that has got narrower */
void quic_tx(struct quic_conn *c);   /* writes what there is to write; may begin closing */

/* ---- quic_stream.c */
struct quic_stream *quic_stream_new(struct quic_conn *c, int64_t id, unsigned number,
				    bool sends);
struct quic_stream *quic_stream_to_send(struct quic_conn *c,
					unsigned number);   /* opens it; NULL: not possible */
struct quic_stream *quic_stream_ready(struct quic_conn *c); /* whose turn it is, or NULL */
bool quic_stream_may_end(const struct quic_conn *c,
			 const struct quic_stream *s); /* its FIN may go now */
void quic_stream_acked(struct quic_conn *c, struct quic_stream *s, uint64_t offset);
void quic_stream_free(struct quic_stream *s);
int quic_send(struct snet_conn *c, unsigned stream, const struct snet_slice *v, size_t n);
int quic_finish(struct snet_conn *c, unsigned stream);
bool quic_can_send(struct snet_conn *c);
void quic_consumed(struct snet_conn *c, unsigned stream, size_t n);
void quic_tell(struct quic_conn *c); /* on_drain, on_flushed, if due */

/* The time to tell ngtcp2: that of the turn, or of the clock. */
static inline snet_time quic_turn(struct quic_conn *c)
{
	snet_time now = snet_loop_now(c->ep->loop);

	return c->last > now ? c->last : (c->last = now);
}

static inline snet_time quic_clock(struct quic_conn *c)
{
	return c->last = snet_now();
}

#endif
