/* UDP: one socket, datagrams in batches. GSO and GRO where the kernel has them, recvmmsg and
 * sendmmsg where not; ECN both ways; the local address of each datagram when bound to every
 * address; ICMP errors. */
#ifndef SNET_IO_UDP_H
#define SNET_IO_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"

struct snet_loop;
struct snet_udp;

#define SNET_UDP_PAYLOAD_MAX 65507 /* bytes: 65535 less IPv4 and UDP headers */
#define SNET_UDP_SEGMENTS 64       /* datagrams in one GSO send that every kernel takes */

struct snet_path {
	struct snet_addr local, remote;
};

struct snet_udp_events {
	/* One datagram of class QUIC (RFC 9443 §3), writable, for this call. */
	void (*on_datagram)(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			    void *user);
	/* The same for STUN; NULL: dropped. */
	void (*on_stun)(const struct snet_path *path, uint8_t *p, size_t n, void *user);
	void (*on_unreachable)(const struct snet_addr *remote, void *user); /* ICMP said so */
	/* After snet_udp_is_blocked: the scratch is free again. */
	void (*on_writable)(void *user);
	/* Of one with a carrier: there is no way to anybody any more. NULL allowed. */
	void (*on_gone)(const char *why, void *user);
	/* As on_datagram, for what is neither QUIC nor STUN; NULL: dropped. */
	void (*on_other)(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			 void *user);
};

/* In place of a socket: whoever carries the datagrams, and hands in what comes. */
struct snet_udp_over {
	uint8_t *(*scratch)(void *user);
	bool (*is_blocked)(void *user);
	/* As snet_udp_send and snet_udp_payload. */
	int (*send)(const struct snet_path *path, uint8_t ecn, size_t n, size_t segment,
		    void *user);
	uint32_t (*payload)(const struct snet_addr *remote, void *user);
};

struct snet_udp_opts {
	bool no_gso, no_gro;
	bool v6_only;
};

/* fd: a bound datagram socket to take over, or -1. SNET_EBIND, SNET_EIO, SNET_ENOMEM. */
int snet_udp_open(struct snet_udp **out, struct snet_loop *l, const struct snet_addr *at,
		  int fd, const struct snet_udp_opts *o, const struct snet_udp_events *ev,
		  void *user, struct snet_error *err);
/* at: what it calls its address. over is borrowed. No event before snet_udp_listen.
 * SNET_ENOMEM. */
int snet_udp_open_over(struct snet_udp **out, const struct snet_addr *at,
		       const struct snet_udp_over *over, void *user, struct snet_error *err);
void snet_udp_listen(struct snet_udp *u, const struct snet_udp_events *ev, void *user);
/* Of one with a carrier: a datagram has come; more may be sent. */
void snet_udp_input(struct snet_udp *u, const struct snet_path *path, uint8_t ecn, uint8_t *p,
		    size_t n);
void snet_udp_writable(struct snet_udp *u);
void snet_udp_gone(struct snet_udp *u, const char *why);
void snet_udp_close(struct snet_udp *u); /* NULL is fine */
/* The socket for another owner, who closes it: bound as it is, connected to remote, blocking,
 * without GRO. This one hears nothing from now on, and must not send. SNET_EIO,
 * SNET_EUNREACH. */
int snet_udp_detach(struct snet_udp *u, const struct snet_addr *remote, int *fd,
		    struct snet_error *err);
void snet_udp_address(const struct snet_udp *u, struct snet_addr *out);

/* Where to build what is sent: SNET_UDP_PAYLOAD_MAX bytes, free unless is_blocked. */
uint8_t *snet_udp_scratch(struct snet_udp *u);
bool snet_udp_is_blocked(const struct snet_udp *u);

/* Sends n bytes of the scratch as datagrams of segment bytes each, the last one perhaps
 * shorter. SNET_OK, also when the network lost it; SNET_EAGAIN: parked, will go out by itself,
 * on_writable follows; SNET_ETOOBIG: larger than the interface takes. */
int snet_udp_send(struct snet_udp *u, const struct snet_path *path, uint8_t ecn, size_t n,
		  size_t segment);

/* Sends one small datagram from anywhere, best effort: answers to strangers. */
void snet_udp_answer(struct snet_udp *u, const struct snet_path *path, const uint8_t *p,
		     size_t n);

/* Largest UDP payload the interface towards remote takes; 1252 when unknown. May be
 * 100 ms old: many connections to one host are opened at once. */
uint32_t snet_udp_payload(struct snet_udp *u, const struct snet_addr *remote);
/* The same of whatever socket. */
uint32_t snet_udp_route_payload(const struct snet_addr *remote);

/* What a datagram is, by its first byte (RFC 9443 §3, for a port without DTLS and RTP). */
enum snet_udp_class { SNET_UDP_OTHER, SNET_UDP_STUN, SNET_UDP_QUIC };

static inline enum snet_udp_class snet_udp_classify(uint8_t first)
{
	return first <= 3 ? SNET_UDP_STUN : first >= 64 ? SNET_UDP_QUIC : SNET_UDP_OTHER;
}

#endif
