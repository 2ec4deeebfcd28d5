/* clang-format off */
/* Agent: a full ICE agent, RFC 8445, for one stream of one component: trickle (8838), consent
 * (7675), patience (8863), restart. States by the names of the seed:
 *
 *   NEW -> GATHERING -> GATHERED -> EXCHANGING -> CHECKING -> CONNECTED -> COMPLETED
 *
 *   GATHERED: our candidates are complete. EXCHANGING: the peer's credentials are here, and no
 *   pair. CONNECTED: a pair is valid. COMPLETED: one is selected; back to CONNECTED when it is
 *   lost while another is valid, to CHECKING while others have not been looked at. Any leads to
 *   FAILED and CLOSED, and, restarted, to GATHERING: in vain, to COMPLETED with what there was.
 *
 * Pure. A handle names one base: a socket, at one address of it, or a TURN allocation. After
 * every call the owner sends what snet_agent_next gives, takes the events, and comes back at the
 * deadline. Where a peer may say how much, there is a ceiling; what is beyond it is counted. */
/* clang-format on */
#ifndef SNET_NAT_AGENT_H
#define SNET_NAT_AGENT_H

#include "nat/pairs.h"

#define SNET_AGENT_RANDOM 48 /* bytes; must be fit for keys */
#define SNET_AGENT_UFRAG 8   /* characters of ours, RFC 8839 §5.4 */
#define SNET_AGENT_PWD 24
#define SNET_AGENT_NAME_MAX 256 /* characters of the peer's ufrag and password */
#define SNET_AGENT_MTU 640      /* bytes of the largest check */

enum snet_agent_state {
	SNET_AGENT_NEW,
	SNET_AGENT_GATHERING,
	SNET_AGENT_GATHERED,
	SNET_AGENT_EXCHANGING,
	SNET_AGENT_CHECKING,
	SNET_AGENT_CONNECTED,
	SNET_AGENT_COMPLETED,
	SNET_AGENT_FAILED,
	SNET_AGENT_CLOSED
};
const char *snet_agent_state_name(enum snet_agent_state s); /* "gathering_complete" ... */

struct snet_agent_config {
	bool controlling; /* which a role conflict may change */
	bool aggressive;  /* nominate with every check (RFC 5245); the peer may in any case */
	unsigned check_retries;  /* how often one check is sent, all in all */
	snet_time check_timeout; /* first wait for an answer; doubles */
	snet_time check_pace; /* Ta, of new checks; at least 5 ms (§14.2), as of the first */
	snet_time overall_timeout; /* from the peer's credentials to a selected pair */
	snet_time patience;      /* the same while candidates may still come, if it is longer */
	snet_time consent_every; /* +-20 % */
	snet_time consent_timeout; /* without an answer for so long, the pair is not used */
};
extern const struct snet_agent_config snet_agent_defaults;

struct snet_agent;

/* SNET_EINVAL: a configuration that makes no sense; SNET_ENOMEM. random: copied. */
int snet_agent_new(struct snet_agent **out, const struct snet_agent_config *config,
		   const uint8_t random[static SNET_AGENT_RANDOM], struct snet_error *err);
void snet_agent_free(struct snet_agent *a); /* NULL is fine */

/* ---- what happens to it. */
void snet_agent_start(struct snet_agent *a, snet_time now);
/* SNET_EAGAIN: redundant; SNET_ETOOBIG: more than SNET_LOCALS_MAX. */
int snet_agent_add_local(struct snet_agent *a, const struct snet_local *c, snet_time now);
void snet_agent_end_local(struct snet_agent *a, snet_time now);
/* The socket or allocation is gone; its handle must not come back. */
void snet_agent_remove_base(struct snet_agent *a, uint32_t handle, snet_time now);
/* SNET_EINVAL: not ufrag (4 to 256) and password (22 to 256) of RFC 8839 §5.4, or other ones
 * than before, without a restart. */
int snet_agent_set_remote(struct snet_agent *a, const char *ufrag, const char *pwd,
			  snet_time now);
/* SNET_EAGAIN: known; SNET_EPOLICY: an address no check goes to; SNET_ENOSYS: of another
 * component; SNET_ETOOBIG: too many. All counted. */
int snet_agent_add_remote(struct snet_agent *a, const struct snet_candidate *c, snet_time now);
void snet_agent_end_remote(struct snet_agent *a, snet_time now);
/* p came to the base from there. SNET_OK: it was ours; SNET_EAGAIN: not ours, ask others; else
 * it was ours and bad, and is counted: SNET_EPROTO, SNET_EINTEGRITY. */
int snet_agent_input(struct snet_agent *a, uint32_t handle, const struct snet_addr *from,
		     const uint8_t *p, size_t n, snet_time now);
/* The system says that nothing from this base gets there. */
void snet_agent_unreachable(struct snet_agent *a, uint32_t handle, const struct snet_addr *to,
			    snet_time now);
/* Nothing leaves this base for there by the base's own interface: what is blind (below) has not
 * been sent. Unless a packet came that way, the pair fails, and its turn is free. */
void snet_agent_no_way(struct snet_agent *a, uint32_t handle, const struct snet_addr *to,
		       snet_time now);
void snet_agent_step(struct snet_agent *a, snet_time now); /* the deadline has passed */
/* New credentials; our candidates stay, the peer's go. A selected pair is used, and asked for
 * consent, until there is another, if ever. random: as for snet_agent_new. SNET_ECLOSED. */
int snet_agent_restart(struct snet_agent *a, const uint8_t random[static SNET_AGENT_RANDOM],
		       snet_time now);
void snet_agent_close(struct snet_agent *a);

/* ---- what it wants. */
struct snet_agent_packet {
	uint32_t handle; /* of a base, or what snet_agent_probe was told */
	struct snet_addr to;
	bool blind; /* a check of a pair that nothing has come by yet */
	uint16_t n;
	uint8_t p[SNET_AGENT_MTU];
};
bool snet_agent_next(struct snet_agent *a, struct snet_agent_packet *out);
/* A check that no pair stands behind: nothing waits for its answer, but whoever hears it checks
 * in turn, and so we meet. handle: any. False: the peer's credentials are not known, or packets
 * wait to be fetched. */
bool snet_agent_probe(struct snet_agent *a, uint32_t handle, const struct snet_addr *to,
		      snet_time now);
snet_time snet_agent_deadline(const struct snet_agent *a); /* SNET_NEVER: none */

enum snet_agent_what {
	SNET_AGENT_STATE,        /* state; FAILED, or a restart was in vain: code, why */
	SNET_AGENT_CHECKED,      /* a pair: ok, rtt; or why not */
	SNET_AGENT_MET,          /* remote: a peer-reflexive candidate of the peer's */
	SNET_AGENT_SEEN,         /* local: a peer-reflexive one of ours */
	SNET_AGENT_ROLE,         /* controlling: a conflict changed it */
	SNET_AGENT_SELECTED,     /* a pair; changed: there was another; rtt, took */
	SNET_AGENT_CONSENT_LOST, /* the selected pair is not to be used any more */
};
struct snet_agent_event {
	enum snet_agent_what what;
	enum snet_agent_state state;
	bool ok, changed, controlling;
	int code;        /* enum snet_code */
	const char *why; /* static */
	struct snet_local local;
	struct snet_candidate remote;
	snet_time rtt, took; /* took: since the start, or restart */
	uint64_t priority;
};
bool snet_agent_event(struct snet_agent *a, struct snet_agent_event *out);

/* ---- what it is. The checklist: for --explain, and tests. */
enum snet_agent_state snet_agent_state(const struct snet_agent *a);
bool snet_agent_has_fallen_back(const struct snet_agent *a); /* a restart was in vain */
bool snet_agent_is_controlling(const struct snet_agent *a);
const char *snet_agent_ufrag(const struct snet_agent *a);
const char *snet_agent_pwd(const struct snet_agent *a);
/* The event as it would be told now; false: nothing is selected. */
bool snet_agent_selected(const struct snet_agent *a, struct snet_agent_event *out);
const struct snet_checklist *snet_agent_checklist(const struct snet_agent *a);

struct snet_agent_counts {
	uint64_t checks, resent, answers;                   /* sent */
	uint64_t requests, responses;                       /* received, and good */
	uint64_t malformed, unauthenticated, forged, stale; /* received, and dropped */
	uint64_t refused;  /* candidates of the peer: unsafe, of another component, too many */
	uint64_t overflow; /* answers and events that nobody fetched in time */
};
const struct snet_agent_counts *snet_agent_counts(const struct snet_agent *a);

#endif
