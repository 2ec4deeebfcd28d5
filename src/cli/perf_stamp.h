/* Perf stamp: a datagram socket that keeps time by the kernel's clock: between the kernel
 * handing a datagram to the interface, and the interface handing the answer to the kernel. What
 * a capture of packets would show. */
#ifndef CLI_PERF_STAMP_H
#define CLI_PERF_STAMP_H

#include "base/addr.h"
#include "base/clock.h"

struct perf_stamp;
struct snet_loop;

struct perf_stamp_events {
	/* wire: since the datagram that was sent last; SNET_NEVER: the kernel did not say. */
	void (*on_datagram)(const uint8_t *p, size_t n, snet_time wire, void *user);
	void (*on_unreachable)(void *user);
};

/* Speaks to one address. SNET_EIO, SNET_EUNREACH, SNET_ENOMEM. */
int perf_stamp_open(struct perf_stamp **out, struct snet_loop *l, const struct snet_addr *to,
		    const struct perf_stamp_events *ev, void *user, struct snet_error *err);
void perf_stamp_close(struct perf_stamp *s); /* NULL is fine; allowed in its callbacks */
/* Best effort. SNET_ETOOBIG. */
int perf_stamp_send(struct perf_stamp *s, const void *p, size_t n);

#endif
