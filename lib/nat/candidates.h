/* Candidates: what RFC 8445 §5.1 says of one's own candidates: priorities, foundations, which
 * are redundant; which of the peer's are worth a packet; what kind of interface a name speaks
 * of, and which kinds and types a person wants left out. Pure functions. */
#ifndef SNET_NAT_CANDIDATES_H
#define SNET_NAT_CANDIDATES_H

#include "wire/candidate.h"

/* RFC 8445 §5.1.2.2 */
#define SNET_PREFERENCE_HOST 126
#define SNET_PREFERENCE_PRFLX 110
#define SNET_PREFERENCE_SRFLX 100
#define SNET_PREFERENCE_RELAY 0

/* A candidate of one's own. Of a reflexive one, base is the address it is sent from; of others,
 * its own (§4). handle: what the owner sends by: a socket, an allocation. */
struct snet_local {
	struct snet_candidate c;
	struct snet_addr base;
	uint32_t handle;
};

/* §5.1.2.1; component 1 to 256. */
uint32_t snet_candidate_priority(enum snet_candidate_type type, uint16_t local_preference,
				 uint32_t component);

/* ---- interfaces, by their names. */
enum snet_iface_class {
	SNET_IFACE_PLAIN,
	SNET_IFACE_LOOPBACK,
	SNET_IFACE_DOCKER,    /* docker*, br-*, podman*, cni* */
	SNET_IFACE_LIBVIRT,   /* virbr*, vnet* */
	SNET_IFACE_CONTAINER, /* veth*, lxc*, lxdbr*, cali*, flannel* */
	SNET_IFACE_VPN,       /* tun*, tap*, wg*, ppp*, ipsec*, utun*, zt* */
	SNET_IFACE_TAILSCALE, /* tailscale* */
	SNET_IFACE_CLASSES
};

enum snet_iface_class snet_iface_classify(const char *name);
const char *snet_iface_class_name(enum snet_iface_class c); /* "docker" ...; "plain" */

/* The local preference of an address: real interfaces before virtual ones, earlier ones before
 * later, IPv4 before IPv6 of the same one; no two alike below 4096 interfaces of a class.
 * order: of the interface in the system's list. */
uint16_t snet_local_preference(enum snet_iface_class c, unsigned order, int family);

/* ---- what a person leaves out. Zero lets everything pass. */
#define SNET_FILTER_NAMES 16

struct snet_candidate_filter {
	unsigned without_types;   /* bits 1 << enum snet_candidate_type */
	unsigned without_classes; /* bits 1 << enum snet_iface_class */
	bool without_v4, without_v6;
	const char *only[SNET_FILTER_NAMES];    /* if there is one, nothing else passes */
	const char *without[SNET_FILTER_NAMES]; /* patterns of fnmatch(3), or class names */
	size_t only_n, without_n;
};

bool snet_filter_has_iface(const struct snet_candidate_filter *f, const char *name);
bool snet_filter_has_type(const struct snet_candidate_filter *f, enum snet_candidate_type t);
bool snet_filter_has_family(const struct snet_candidate_filter *f, int family);

/* ---- candidates of one's own. */

/* §5.1.1.3: the same for two candidates of one type, base address (the port aside), server
 * address and transport to that server, and for no others. via: that transport, "udp", "tcp",
 * "tls"; NULL for a candidate that has no server. */
void snet_candidate_found(struct snet_candidate *c, const struct snet_addr *base,
			  const char *via);

/* §5.1.3: the same address from the same base. */
bool snet_local_is_redundant(const struct snet_local *a, const struct snet_local *b);
/* Keeps, of redundant ones, the one with the highest priority; the order stays. Returns how
 * many are left. */
size_t snet_locals_prune(struct snet_local *v, size_t n);

/* ---- the peer's. NULL, or why no check goes there: "multicast" ... An address a stranger may
 * name must not make us speak to this host or link (loopback: only when we offer one, too), or
 * to many at once. */
const char *snet_candidate_refusal(const struct snet_addr *a, bool loopback);
bool snet_addr_is_loopback(const struct snet_addr *a);

#endif
