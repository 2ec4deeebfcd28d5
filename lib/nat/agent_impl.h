/* Agent, inside: what agent.c (its life), agent_restart.c, agent_check.c (what it sends),
 * agent_pace.c (what is next), agent_input.c (what it hears) and agent_select.c (nomination,
 * consent) share. Nobody else includes this. */
#ifndef SNET_NAT_AGENT_IMPL_H
#define SNET_NAT_AGENT_IMPL_H

#include "nat/agent.h"
#include "nat/stunauth.h"

#define TX_MAX 160 /* checks that may still be answered: of every pair, and then some */
#define OUT_MAX 32 /* packets nobody has fetched yet */
#define EVENT_MAX 96
#define EVENT_SPARE 32 /* of them, kept from single checks */
#define EARLY_MAX 16   /* checks that come before the peer's credentials */
#define NOMINATIONS_MAX 8
#define PACE_MIN (5 * SNET_MS) /* between checks: the least that RFC 8445 §14.2 allows */

enum tx_kind { TX_CHECK, TX_NOMINATION, TX_CONSENT };

/* One check on its way. */
struct tx {
	uint8_t id[SNET_STUN_ID];
	uint32_t pair; /* 0: of the old path */
	uint8_t kind;
	bool used, cancelled; /* cancelled: not sent again, an answer still counts (§7.3.1.4) */
	bool use, controlling, old;
	bool astray;             /* an answer came, and not the way the check went */
	unsigned sent, hastened; /* hastened: how often out of turn */
	uint32_t handle, priority;
	struct snet_addr to;
	snet_time first, last, next, rto;
};

/* One generation of credentials. */
struct creds {
	char ufrag[SNET_AGENT_UFRAG + 1], pwd[SNET_AGENT_PWD + 1];
	char remote[SNET_AGENT_NAME_MAX + 1]; /* "": not known yet */
	struct snet_stun_key local_key, remote_key;
	bool controlling; /* old: we did, then */
};

/* The selected pair; by value, for it may outlive its checklist (restart: old). */
struct path {
	bool is, old, ailing;
	bool unsure; /* a nomination of another came to nothing, for all we know */
	uint32_t pair, handle;
	struct snet_addr to;
	snet_time last_ok, next;
	uint64_t priority;
	struct snet_agent_event told;
};

struct early {
	uint32_t handle, priority;
	struct snet_addr from;
	bool use;
	uint8_t id[SNET_STUN_ID];
	char ufrag[SNET_AGENT_NAME_MAX + 1];
};

struct snet_agent {
	struct snet_agent_config config;
	enum snet_agent_state state;
	uint64_t key[2], draws, tie_breaker;
	struct creds now, old;
	struct snet_checklist list;
	struct path path;
	bool has_loopback, local_ended, remote_ended, peer_is_aggressive;
	snet_time started, checking; /* since when; checking: the time to fail counts from */
	snet_time next_check, next_quick, next_triggered, turn_was; /* next_check before it */
	snet_time wave_at, settle_at, nominate_at, deadline;
	unsigned waves, hurried, quick; /* so many need not wait for Ta; did not for a turn */
	uint32_t nominations, turn;     /* turn: the pair that had the last one */
	bool turn_early;
	struct {
		uint8_t id[SNET_STUN_ID];
		uint32_t pair;    /* a copy may come from elsewhere, and first */
	} heard[NOMINATIONS_MAX]; /* so that a copy is no new nomination */
	struct tx tx[TX_MAX];
	struct early early[EARLY_MAX];
	size_t early_n;
	struct snet_agent_packet out[OUT_MAX];
	size_t out_at, out_n;
	struct snet_agent_event events[EVENT_MAX];
	size_t event_at, event_n;
	struct snet_agent_counts counts;
};

/* ---- agent.c */
uint64_t agent_draw(struct snet_agent *a); /* 64 bits nobody can foretell */
void agent_enter(struct snet_agent *a, enum snet_agent_state next, int code, const char *why);
void agent_tell(struct snet_agent *a, const struct snet_agent_event *ev);
void agent_tell_pair(struct snet_agent *a, enum snet_agent_what what, const struct snet_pair *p,
		     int code, const char *why);
bool agent_is_live(const struct snet_agent *a); /* started, and neither failed nor closed */
/* After everything that happens: what is due is done, the deadline set anew. */
void agent_turn(struct snet_agent *a, snet_time now);
int agent_seed(struct snet_agent *a, const uint8_t random[static SNET_AGENT_RANDOM]);

/* ---- agent_restart.c */
/* There is no hope of a pair: FAILED, unless there is the one of before a restart. */
void agent_fail(struct snet_agent *a, int code, const char *why);

/* ---- agent_check.c */
/* Room for one packet; NULL: they wait to be fetched. Counted by agent_sent. */
struct snet_agent_packet *agent_room(struct snet_agent *a);
void agent_sent(struct snet_agent *a, size_t n);
/* False: no room, or no crypto. */
bool agent_check(struct snet_agent *a, struct snet_pair *p, enum tx_kind kind, snet_time now);
bool agent_consent(struct snet_agent *a, snet_time now);
struct tx *agent_tx(struct snet_agent *a, const uint8_t id[static SNET_STUN_ID]);
/* No check of it is sent again; forget: nor is an answer to it waited for. */
void agent_cancel(struct snet_agent *a, uint32_t pair, bool forget);
bool agent_is_nominating(const struct snet_agent *a);
/* Checks of better pairs that nobody has answered are sent once more, now. */
void agent_hasten(struct snet_agent *a, const struct snet_pair *works, snet_time now);
void agent_fail_pair(struct snet_agent *a, struct snet_pair *p, int code, const char *why);
/* Checks that lack an answer; false: no room to send. */
bool agent_resend_due(struct snet_agent *a, snet_time now);
snet_time agent_resend_deadline(const struct snet_agent *a);

/* ---- agent_pace.c */
/* Below this priority nothing is checked for its own sake. */
uint64_t agent_floor(const struct snet_agent *a);
/* The first packet of its check did not leave: whose turn it was, is next. */
void agent_refund(struct snet_agent *a, struct snet_pair *p, snet_time now);
void agent_checks_due(struct snet_agent *a, snet_time now);
snet_time agent_checks_deadline(struct snet_agent *a, snet_time now);

/* ---- agent_input.c */
/* The peer has checked this pair, and its credentials are known. */
void agent_checked_by_peer(struct snet_agent *a, const struct early *e, snet_time now);
void agent_switch_role(struct snet_agent *a, bool controlling);

/* ---- agent_select.c */
/* The pair has become valid, or has been nominated. */
void agent_consider(struct snet_agent *a, snet_time now);
void agent_nominated(struct snet_agent *a, struct snet_pair *p, snet_time now);
void agent_heard(struct snet_agent *a, snet_time rtt, snet_time now); /* consent */
void agent_lose_path(struct snet_agent *a, const char *why, snet_time now);
void agent_select_due(struct snet_agent *a, snet_time now);
snet_time agent_select_deadline(const struct snet_agent *a);

#endif
