/* Behaviour: what a NAT does to one socket, pure. Mapping and filtering as RFC 5780 §4 has it
 * where a server offers another address, else mapping by comparing what servers see; port
 * preservation, hairpinning, how long a silent binding lives. It wants questions asked
 * (nat/stun) and is told the answers; the verdict is there at any time, from what is known. */
#ifndef SNET_NAT_BEHAVIOUR_H
#define SNET_NAT_BEHAVIOUR_H

#include "nat/stun.h"

#define SNET_BEHAVIOUR_SERVERS 16
/* Sockets of the search for the lifetime, numbers 1 to 12: each is asked for once, at its share
 * of the ceiling. Socket 0 is the one all else is about. */
#define SNET_BEHAVIOUR_LIVES 12
#define SNET_BEHAVIOUR_LIFETIME_MAX (3600 * SNET_SEC)

enum snet_tri { SNET_UNKNOWN, SNET_NO, SNET_YES };

/* RFC 4787 §4.1, §5. SNET_NAT_DEPENDENT: on the address, or address and port: not known which.
 */
enum snet_nat_dependence {
	SNET_NAT_UNKNOWN,
	SNET_NAT_ENDPOINT_INDEPENDENT,
	SNET_NAT_DEPENDENT,
	SNET_NAT_ADDRESS_DEPENDENT,
	SNET_NAT_ADDRESS_AND_PORT_DEPENDENT,
};

/* In one word, the old one where there is one. */
enum snet_nat_kind {
	SNET_NAT_KIND_UNKNOWN,
	SNET_NAT_BLOCKED,   /* no server answered */
	SNET_NAT_OPEN,      /* no NAT, nothing filtered */
	SNET_NAT_PUBLIC,    /* no NAT; filtering not known */
	SNET_NAT_FIREWALL,  /* no NAT, but answers only from where we sent to */
	SNET_NAT_FULL_CONE, /* mapping endpoint-independent, and filtering by: nothing, */
	SNET_NAT_ADDRESS_RESTRICTED, /* address, */
	SNET_NAT_PORT_RESTRICTED,    /* address and port, */
	SNET_NAT_CONE,               /* not known */
	SNET_NAT_SYMMETRIC,          /* mapping dependent */
};

struct snet_nat {
	enum snet_nat_kind kind;
	enum snet_tri natted, port_preserved, hairpin;
	enum snet_nat_dependence mapping, filtering;
	struct snet_addr local, mapped; /* mapped: by the first server that answered, or none */
	unsigned servers, answered;
	/* A silent binding lived so long; and was gone after so long. 0: not known. */
	snet_time lived, gone;
};

struct snet_behaviour_opts {
	bool thorough;      /* filtering and hairpinning: takes seconds where nothing comes */
	snet_time lifetime; /* how far to search, at most SNET_BEHAVIOUR_LIFETIME_MAX; 0: not */
	struct snet_stun_pace pace; /* of the first question to each server */
};

/* Tags of its questions; those with an index go on for as many as there are. */
/* clang-format off */
enum snet_behaviour_tag {
	SNET_BEHAVIOUR_SERVER,      /* + index: the first question to each server */
	SNET_BEHAVIOUR_FILTER_ANY = SNET_BEHAVIOUR_SERVERS, /* answer from another address */
	SNET_BEHAVIOUR_FILTER_PORT, /* from another port */
	SNET_BEHAVIOUR_MAP_ADDRESS, /* asked of another address */
	SNET_BEHAVIOUR_MAP_PORT,    /* and of another port of it */
	SNET_BEHAVIOUR_HAIRPIN,
	SNET_BEHAVIOUR_BIND,        /* + index: the sockets of the search make their bindings */
	/* + index: does it live? */
	SNET_BEHAVIOUR_LIVE = SNET_BEHAVIOUR_BIND + SNET_BEHAVIOUR_LIVES,
	/* + index: where the server knows no RESPONSE-PORT: is it the same binding? */
	SNET_BEHAVIOUR_AGAIN = SNET_BEHAVIOUR_LIVE + SNET_BEHAVIOUR_LIVES,
	SNET_BEHAVIOUR_TAGS = SNET_BEHAVIOUR_AGAIN + SNET_BEHAVIOUR_LIVES,
};
/* clang-format on */

struct snet_behaviour_test {
	enum { SNET_TEST_NONE, SNET_TEST_WANTED, SNET_TEST_ASKED, SNET_TEST_DONE } state;
	snet_time at; /* wanted: when */
	struct snet_stun_ask ask;
	struct snet_stun_answer answer;
};

struct snet_behaviour {
	struct snet_behaviour_opts opts;
	struct snet_addr local;
	unsigned n;     /* servers */
	int first;      /* server that answered first, or -1 */
	int teller;     /* server that has another address, or -1 */
	bool begun;     /* the search for the lifetime */
	bool filter_ok; /* nothing was ever sent to the teller's other address */
	struct snet_behaviour_test tests[SNET_BEHAVIOUR_TAGS];
};

/* local: of socket 0, with the address it sends from. n servers, at most
 * SNET_BEHAVIOUR_SERVERS, of its family. */
void snet_behaviour_init(struct snet_behaviour *b, const struct snet_behaviour_opts *o,
			 const struct snet_addr *local, const struct snet_addr *servers,
			 unsigned n, snet_time now);
/* A question to be asked now; false: none. Call until false. */
bool snet_behaviour_next(struct snet_behaviour *b, snet_time now, struct snet_stun_ask *out);
snet_time snet_behaviour_deadline(const struct snet_behaviour *b); /* for _next */
/* a->tag: of a question of ours. */
void snet_behaviour_answer(struct snet_behaviour *b, const struct snet_stun_answer *a,
			   snet_time now);

/* No answer that is still to come is needed: servers may be silent for all that. Not counted is
 * the search for the lifetime, which takes its time. */
bool snet_behaviour_is_decided(const struct snet_behaviour *b);
bool snet_behaviour_is_over(const struct snet_behaviour *b); /* nothing is under way */
void snet_behaviour_verdict(const struct snet_behaviour *b, struct snet_nat *out);

const char *snet_nat_kind_name(enum snet_nat_kind k);             /* "port-restricted" */
const char *snet_nat_dependence_name(enum snet_nat_dependence d); /* "endpoint-independent" */

#endif
