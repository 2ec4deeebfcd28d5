/* Dnsmsg: DNS messages, RFC 1035 §4: questions out, answers in; multicast DNS has the same.
 * Pure. */
#ifndef SNET_IO_DNSMSG_H
#define SNET_IO_DNSMSG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

#define SNET_DNS_NAME 255    /* bytes of a name on the wire, and of its text with NUL */
#define SNET_DNS_ADDRS 16    /* addresses of one name that are kept */
#define SNET_DNS_TARGETS 16  /* targets of one service that are kept */
#define SNET_DNS_ASK_MAX 277 /* header, one name, two questions */

enum snet_dns_type {
	SNET_DNS_A = 1,
	SNET_DNS_CNAME = 5,
	SNET_DNS_AAAA = 28,
	SNET_DNS_SRV = 33,
};

/* Of a service, RFC 2782. */
struct snet_dns_target {
	char host[SNET_DNS_NAME]; /* without a dot at the end; "": it does not exist */
	uint16_t port, priority, weight;
};

struct snet_dns_answers {
	struct snet_addr addrs[SNET_DNS_ADDRS]; /* port 0, scope 0 */
	size_t addrs_n;
	struct snet_dns_target targets[SNET_DNS_TARGETS];
	size_t targets_n;
};

/* Asks for the name's addresses: AF_INET, AF_INET6, AF_UNSPEC: both. Id 0, nothing desired but
 * that the answer comes to the sender alone (QU, RFC 6762 §5.4). Returns the length; 0: no such
 * name can be. */
size_t snet_dnsmsg_ask(uint8_t out[static SNET_DNS_ASK_MAX], const char *name, int family);

/* What a response says of the name, in its order; what is past the ceilings is left out. Of a
 * multicast response: the name asked for, and what is still so (a time to live of 0 is a
 * goodbye, RFC 6762 §10.1). name NULL: a DNS reply, of whatever it says was asked, and of what
 * it says is meant by that (CNAME). SNET_EPROTO: not a response without error, or not
 * well-formed from its first byte to its last: then nothing of it counts. */
int snet_dnsmsg_read(struct snet_dns_answers *out, const uint8_t *p, size_t n,
		     const char *name);

#endif
