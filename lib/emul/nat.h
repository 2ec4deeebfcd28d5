/* Nat: what a NAT remembers, and what it lets in, RFC 4787. Pure: it names ports, the owner
 * binds them. A mapping is a place inside with a port of its own outside; there is one for each
 * destination, or for each address, or for all, as the mapping behaviour has it (§4.1). Inbound
 * packets pass when the filter (§5) has seen the inside speak to their sender. */
#ifndef SNET_EMUL_NAT_H
#define SNET_EMUL_NAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"

#define SNET_NAT_MAPPINGS 16384 /* of one NAT; then the one idle longest makes room */
#define SNET_NAT_PERMITS 256    /* senders one mapping remembers; then the oldest makes room */

enum snet_nat_dependence { SNET_NAT_ENDPOINT, SNET_NAT_ADDRESS, SNET_NAT_ADDRESS_PORT };
enum snet_nat_ports {
	SNET_NAT_ANY_PORT, /* the system's choice: the port wanted is 0 */
	SNET_NAT_SEQUENTIAL,
	SNET_NAT_RANDOM,
	SNET_NAT_PRESERVE, /* the inside's own port; where that is taken, in sequence */
};

struct snet_nat_opts {
	enum snet_nat_dependence mapping, filtering; /* ENDPOINT: independent */
	snet_time lifetime; /* of a mapping since the inside last spoke, RFC 4787 §4.3 */
	enum snet_nat_ports ports;
	uint16_t port_min, port_max; /* of sequential and random; both included */
	bool hairpin;                /* the inside may reach itself by its outside, §6 */
};

struct snet_nat_permit {
	struct snet_addr remote;
	snet_time until;
};

struct snet_nat_mapping {
	struct snet_list node; /* ours: by time of last use */
	uint8_t key[16];       /* ours */
	struct snet_addr inside, remote;
	snet_time until;
	uint16_t port;  /* outside; 0: the owner says when it knows */
	unsigned tries; /* ports asked for so far */
	struct snet_nat_permit *permits;
	size_t n, cap;
	void *user; /* the owner's */
};

struct snet_nat {
	struct snet_nat_opts opts;
	uint64_t seed, drawn;
	uint16_t next; /* sequential */
	struct snet_map map;
	struct snet_list idle; /* mappings, longest unused first */
	size_t n;
};

/* seed: of the random ports. secret: 16 random bytes, of the hash. */
void snet_nat_init(struct snet_nat *n, const struct snet_nat_opts *o, uint64_t seed,
		   const uint8_t secret[static 16]);
/* The owner's things must be gone: snet_nat_idlest and snet_nat_drop before. */
void snet_nat_fini(struct snet_nat *n);

/* A packet from inside to remote, now: *out is its mapping, alive for another lifetime, and
 * remote may answer. *fresh: it is new, and the owner binds out->port, or asks for another with
 * snet_nat_next_port, or gives up and drops it. SNET_ENOMEM; SNET_EAGAIN: the NAT is full, the
 * caller drops snet_nat_idlest and comes again; SNET_ECLOSED: *out has outlived its lifetime,
 * the caller drops it and comes again. */
int snet_nat_out(struct snet_nat *n, const struct snet_addr *inside,
		 const struct snet_addr *remote, snet_time now, struct snet_nat_mapping **out,
		 bool *fresh);

/* That port was taken. 0: any; SNET_EINVAL: there are no more. */
int snet_nat_next_port(struct snet_nat *n, struct snet_nat_mapping *m);

/* May a packet from remote come in by this mapping? */
bool snet_nat_in(const struct snet_nat *n, const struct snet_nat_mapping *m,
		 const struct snet_addr *remote, snet_time now);

/* Forgets it, as when its lifetime is over. */
void snet_nat_drop(struct snet_nat *n, struct snet_nat_mapping *m);

/* The mapping unused for longest, and when its lifetime ends; NULL: none. */
struct snet_nat_mapping *snet_nat_idlest(const struct snet_nat *n);
snet_time snet_nat_deadline(const struct snet_nat *n);

#endif
