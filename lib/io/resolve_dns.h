/* Resolve_dns: c-ares on the loop, for one question. Private to io/resolve. */
#ifndef SNET_IO_RESOLVE_DNS_H
#define SNET_IO_RESOLVE_DNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/clock.h"

struct snet_dns;
struct snet_loop;

struct snet_dns_opts {
	bool hosts;          /* ask the hosts file alone; else the name servers alone */
	const char *servers; /* "address:port,..."; NULL: those of resolv.conf */
	snet_time patience;  /* with a server, the first time; more with every round */
};

/* From the loop, and from within ask and search; may not free, nor ask. */
struct snet_dns_events {
	void (*on_address)(const struct snet_addr *a, void *user);
	void (*on_reply)(const uint8_t *p, size_t n, void *user); /* of a search; borrowed */
	/* Once for each ask or search, and last: SNET_OK, or an error in words. */
	void (*on_end)(int code, const char *why, void *user);
};

/* SNET_ENOMEM, SNET_EIO, SNET_EINVAL: the servers. */
int snet_dns_new(struct snet_dns **out, struct snet_loop *l, const struct snet_dns_opts *o,
		 const struct snet_dns_events *ev, void *user);
void snet_dns_free(struct snet_dns *d); /* silently; NULL is fine */
void snet_dns_ask(struct snet_dns *d, const char *host, int family);
void snet_dns_search(struct snet_dns *d, const char *name, int type);

#endif
