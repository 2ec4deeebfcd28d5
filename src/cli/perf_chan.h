/* Perf chan: a connection of snet-perf that carries its messages, over QUIC, TCP or UDP; one
 * row of functions for each. TCP frames them as QUIC does; over UDP each is a datagram. */
#ifndef CLI_PERF_CHAN_H
#define CLI_PERF_CHAN_H

#include "cli/net.h"
#include "cli/perf_message.h"

struct perf_chan;
struct perf_listener;

/* A callback may close the chan. */
struct perf_chan_events {
	void (*on_up)(struct perf_chan *c, void *user); /* of those dialled */
	/* total: its length with filler */
	void (*on_message)(struct perf_chan *c, const struct perf_message *m, size_t total,
			   void *user);
	/* send_data takes more again. */
	void (*on_room)(struct perf_chan *c, void *user);
	/* Once, and last; not after perf_chan_close. */
	void (*on_down)(struct perf_chan *c, int code, const char *why, void *user);
};

/* The beginning of every chan. */
struct perf_chan {
	const struct perf_carrier *carrier;
	const struct perf_chan_events *ev;
	void *user;
	struct snet_addr remote;
	const uint8_t *key; /* the other side's, SNET_KEYID_BYTES; NULL: it has none */
	/* Of a dialled UDP chan that keeps time: between the kernel sending the last message
	 * and receiving the present one. SNET_NEVER: not known. */
	snet_time wire;
};

struct perf_carrier {
	const char *scheme;
	bool lossy; /* datagrams: what is asked is asked again */

	/* on_accept sets c->ev and c->user, or closes. SNET_EBIND, SNET_ENOMEM ... */
	int (*listen)(struct perf_listener **out, struct net *n, const struct snet_url *at,
		      void (*on_accept)(struct perf_chan *c, void *user), void *user,
		      struct snet_error *err);
	void (*address)(const struct perf_listener *l, struct snet_addr *out);
	/* After its chans are closed. NULL is fine. */
	void (*unlisten)(struct perf_listener *l);

	/* Ends in on_up or on_down, never before the return. stamped: c->wire is wanted. */
	int (*dial)(struct perf_chan **out, struct net *n, const struct snet_url *url,
		    const struct snet_addr *to, bool stamped, const struct perf_chan_events *ev,
		    void *user, struct snet_error *err);
	/* A message that begins with these n bytes, total long. All or nothing; SNET_EAGAIN. */
	int (*send)(struct perf_chan *c, const uint8_t *p, size_t n, size_t total);
	/* As send, of a short one that need not wait for what was sent before. NULL: there is
	 * no such way. */
	int (*send_ahead)(struct perf_chan *c, const uint8_t *p, size_t n);
	/* Up to n messages DATA of so many bytes, numbered from seq. Returns how many it took;
	 * when fewer, on_room follows. */
	size_t (*send_data)(struct perf_chan *c, uint64_t seq, uint32_t size, size_t n);
	/* Nothing is called after it. What was sent last may be lost. */
	void (*close)(struct perf_chan *c, int code, const char *why);
	/* The largest message towards an address. */
	uint32_t (*size_max)(const struct snet_addr *to);
};

extern const struct perf_carrier perf_quic, perf_tcp, perf_udp;

const struct perf_carrier *perf_carrier_find(const char *scheme); /* NULL: none */
/* SNET_EINVAL: there is none; SNET_ECONFIG: nobody could be trusted there. */
int perf_carrier_check(const struct net *n, const struct snet_url *u, struct snet_error *err);

int perf_chan_send(struct perf_chan *c, const struct perf_message *m, size_t total);
int perf_chan_send_ahead(struct perf_chan *c, const struct perf_message *m);
void perf_chan_close(struct perf_chan *c, int code, const char *why); /* NULL is fine */

/* ---- for the carriers */
/* Where to listen: the first that can be bound. Every address is one IPv6 socket, which takes
 * IPv4 too, where the kernel has IPv6. *n: 1 or 2. SNET_ERESOLVE. */
int perf_listen_where(const struct snet_url *at, struct snet_addr out[static 2], size_t *n,
		      struct snet_error *err);
/* Hands a message on. SNET_EPROTO: it is none. */
int perf_chan_input(struct perf_chan *c, const uint8_t *p, size_t n, size_t total);
/* Bytes to fill up with, at least n of them; the caller's hold. NULL: out of memory. */
struct snet_block *perf_filler(size_t n);
void perf_filler_free(void); /* at the end of the program */

#endif
