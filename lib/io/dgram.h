/* Dgram: datagram sockets by the thousand, whatever they carry: for whoever passes packets on.
 * All of a hub share one room to receive into. Trains where the kernel has GRO and GSO, many
 * calls in one (recvmmsg, sendmmsg) in any case. */
#ifndef SNET_IO_DGRAM_H
#define SNET_IO_DGRAM_H

#include "io/udp.h"

struct snet_dgram_hub;
struct snet_dgram;

struct snet_dgram_events {
	/* n bytes in datagrams of segment bytes each, the last one perhaps shorter; one of no
	 * bytes has both 0. Writable, and until on_batch. May close the socket. */
	void (*on_train)(struct snet_dgram *d, const struct snet_path *path, uint8_t ecn,
			 uint8_t *p, size_t n, size_t segment, void *user);
	/* What was handed out since the last call is about to be written over. */
	void (*on_batch)(void *hub_user);
};

int snet_dgram_hub_new(struct snet_dgram_hub **out, struct snet_loop *l,
		       const struct snet_dgram_events *ev, void *hub_user); /* SNET_ENOMEM */
/* IPv6 sockets that are opened from now on take no IPv4. */
void snet_dgram_hub_set_v6_only(struct snet_dgram_hub *h);
/* After all its sockets. NULL is fine. */
void snet_dgram_hub_free(struct snet_dgram_hub *h);

/* SNET_EBIND, SNET_ENOMEM. */
int snet_dgram_open(struct snet_dgram **out, struct snet_dgram_hub *h,
		    const struct snet_addr *at, void *user, struct snet_error *err);
void snet_dgram_close(struct snet_dgram *d); /* NULL is fine */
void snet_dgram_address(const struct snet_dgram *d, struct snet_addr *out);
/* From now on what comes is stamped by the kernel. Best effort. */
void snet_dgram_want_stamps(struct snet_dgram *d);
/* In on_train: when the first of the train came in, however late it is read; 0: not known. */
snet_time snet_dgram_arrived(const struct snet_dgram *d);
/* Datagrams that came faster than they were read, so far: the kernel dropped them. */
uint32_t snet_dgram_overruns(const struct snet_dgram *d);

struct snet_dgram_out {
	struct snet_dgram *via;
	struct snet_path path;
	uint8_t ecn;
	const uint8_t *p;
	size_t n;
};

#define SNET_DGRAM_BATCH 64 /* datagrams in one call of snet_dgram_send, at most */

/* Sends them in order, neighbours that look alike as one train. Returns how many the kernel did
 * not take: a full socket, an unreachable host. */
size_t snet_dgram_send(const struct snet_dgram_out *v, size_t n);

#endif
