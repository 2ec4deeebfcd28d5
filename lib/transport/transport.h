/* Transport: what carries bytes between two processes. One const row of functions per
 * transport; framing stands above all of them, once (framed.h). Everything is the loop's
 * thread's. */
#ifndef SNET_TRANSPORT_TRANSPORT_H
#define SNET_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "transport/config.h"

struct snet_conn;
struct snet_endpoint;
struct snet_loop;
struct snet_transport;

#define SNET_STREAMS 16 /* per direction and connection: 0 is always there */
enum snet_profile { SNET_PROFILE_SNET1, SNET_PROFILE_STOFFELNET_0_1 }; /* stoffelnet-wire(7) */
/* What a connection tells its owner. A callback may close c; it goes away after on_close. */
struct snet_conn_events {
	/* Both ends are authenticated; c->peer_*, profile, role and addresses are filled. */
	void (*on_open)(struct snet_conn *c, void *user);
	/* p: this call only. fin: the peer sends no more on this stream (n may be 0). The bytes
	 * count against the window until they are said to be consumed. */
	void (*on_data)(struct snet_conn *c, unsigned stream, const uint8_t *p, size_t n,
			bool fin, void *user);
	/* More is welcome again, after SNET_EAGAIN or a can_send that said no. */
	void (*on_drain)(struct snet_conn *c, void *user);
	/* Everything sent on every finished stream, FIN too, is acknowledged,
	 * and stream 0 is among them. */
	void (*on_flushed)(struct snet_conn *c, void *user);
	/* Once, and last; also for a dial that failed. code: SNET_OK when it was closed with
	 * 0. why: words. by_peer: it was the peer who said so. */
	void (*on_close)(struct snet_conn *c, int code, const char *why, bool by_peer,
			 void *user);
	/* Dialled, in profile snet/1: the peer is authenticated, and on_open will say that it
	 * has accepted us. What is sent now, on stream 0, goes out with our proof, a round trip
	 * sooner, and is lost with the connection if the proof is refused. NULL: not wanted;
	 * and not every transport calls it. */
	void (*on_early)(struct snet_conn *c, void *user);
};

/* The part every transport's connection begins with. Read by all, written by the transport. */
struct snet_conn {
	const struct snet_transport *transport;
	const struct snet_conn_events *events;
	void *user;
	enum snet_profile profile;
	enum snet_role role; /* the dialler's, as far as ALPN says it: snet/1 says server */
	bool dialled;        /* by this side */
	bool open;           /* between on_open and on_close */
	struct snet_addr local, remote;
	uint8_t peer_key[SNET_KEYID_BYTES];
	uint64_t peer_derived; /* FNV-1a of the peer's SPKI: the crate's id */
	/* The peer's SubjectPublicKeyInfo, DER, at most 4096 bytes; the connection's, and good
	 * until on_close has returned: no copy of this struct may keep it. */
	const uint8_t *peer_spki;
	size_t peer_spki_len;
};

struct snet_endpoint_events {
	/* A stranger has been authenticated. The owner sets c->events and c->user before it
	 * returns (on_open is not called for these: this is it), or closes c. */
	void (*on_accept)(struct snet_endpoint *e, struct snet_conn *c, void *user);
	/* A handshake that came to nothing: refused identity, no ALPN, timeout ... For
	 * events and counters. */
	void (*on_refused)(struct snet_endpoint *e, const struct snet_addr *from, int code,
			   const char *why, void *user);
	/* Its last connection, or handshake, is gone; its first one begins. NULL allowed; must
	 * not unbind. QUIC. */
	void (*on_idle)(struct snet_endpoint *e, void *user);
	void (*on_busy)(struct snet_endpoint *e, void *user);
};

struct snet_conn_stats {
	uint64_t rtt_us, rtt_min_us, cwnd, in_flight, bytes_sent, bytes_received;
	uint64_t unsent;       /* bytes that send took and that have not gone out once */
	uint64_t packets_lost; /* UINT64_MAX: not known */
	uint32_t mtu;          /* UDP payload in use */
};

struct snet_transport {
	const char *scheme; /* "quic", "loop": also the URL scheme */

	/* A local address from which to dial and at which to be dialled; on_accept NULL: dials
	 * only. fd: a bound socket to take over (socket activation), at is then NULL; or -1.
	 * SNET_EBIND, SNET_EINVAL, SNET_EIO, SNET_EKEY, SNET_ENOMEM. */
	int (*bind)(struct snet_endpoint **out, struct snet_loop *l, const struct snet_addr *at,
		    int fd, const struct snet_transport_config *cfg,
		    const struct snet_endpoint_events *ev, void *user, struct snet_error *err);
	void (*address)(const struct snet_endpoint *e, struct snet_addr *out); /* real port */
	/* Closes what is open (on_close is called for each, SNET_ECLOSED) and frees. */
	void (*unbind)(struct snet_endpoint *e);

	/* key: the only acceptable peer, or NULL for the endpoint's trust. Ends in on_open or
	 * on_close, never before the return. */
	int (*dial)(struct snet_conn **out, struct snet_endpoint *e, const struct snet_addr *to,
		    const uint8_t *key, const struct snet_conn_events *ev, void *user,
		    struct snet_error *err);

	/* All of it or nothing: SNET_EAGAIN while the queue is at its ceiling, SNET_ECLOSED,
	 * SNET_ENOMEM. Slices with a block are held until acknowledged, others are copied. */
	int (*send)(struct snet_conn *c, unsigned stream, const struct snet_slice *v, size_t n);
	/* More is welcome: little is unsent, the queue not full. If not, on_drain follows. */
	bool (*can_send)(struct snet_conn *c);
	size_t (*queued)(const struct snet_conn *c); /* bytes not acknowledged */
	/* FIN after what was sent. That of stream 0 goes out when the other finished streams
	 * have been acknowledged: who has seen it has seen everything. */
	int (*finish)(struct snet_conn *c, unsigned stream);
	void (*consumed)(struct snet_conn *c, unsigned stream, size_t n);
	/* Discards what is unsent and says why to the peer, and code unless in the crate's
	 * profile, before the loop sleeps. Always ends in on_close, later. */
	void (*close)(struct snet_conn *c, int code, const char *why);
	void (*stats)(const struct snet_conn *c, struct snet_conn_stats *out);
};

extern const struct snet_transport snet_transport_quic, snet_transport_loop;

/* NULL: no such scheme. */
const struct snet_transport *snet_transport_find(const char *scheme);

/* ALPN names. */
#define SNET_ALPN_SNET1 "snet/1"
#define SNET_ALPN_SERVER "server-protocol"
#define SNET_ALPN_CLIENT "client-protocol"

#endif
