/* Turn, inside: the allocation and what is asked for it. Private to lib/nat/turn*.c. */
#ifndef SNET_NAT_TURN_IMPL_H
#define SNET_NAT_TURN_IMPL_H

#include "nat/stunauth.h"
#include "nat/turn.h"

#define TURN_TRIES 3           /* of one wish with another nonce, realm or without an option */
#define TURN_ALGORITHMS_MAX 64 /* bytes of PASSWORD-ALGORITHMS, which goes back as it came */
#define TURN_PERMISSION (300 * SNET_SEC) /* RFC 8656 §9 */
#define TURN_CHANNEL (600 * SNET_SEC)    /* RFC 8656 §12 */
#define TURN_REST (300 * SNET_SEC)       /* before another peer may have its number */
#define TURN_MARGIN (60 * SNET_SEC)      /* before the end, more than a request takes to fail */
#define TURN_AGAIN (10 * SNET_SEC)       /* after a renewal that failed */
#define TURN_PART_MAX 65556              /* bytes of a stream's longest message, and more */
#define TURN_CHANNEL_MIN 0x4000
#define TURN_CHANNEL_N 0x1000

enum turn_ask { TURN_ALLOCATE, TURN_REFRESH, TURN_RELEASE, TURN_PERMIT, TURN_BIND };

/* One request and its answer, RFC 8489 §6. */
struct turn_x {
	uint8_t id[SNET_STUN_ID];
	bool active;
	bool proven; /* it carries credentials */
	bool forged; /* an answer came that the server did not write */
	enum turn_ask ask;
	size_t index; /* of the permission or channel */
	unsigned sent, tries;
	snet_time due; /* of the next sending, or of giving up */
	snet_time wait;
};

/* A permission, or a channel: what is wished, what the server knows of it. */
struct turn_grant {
	struct snet_addr peer; /* of a permission: port 0 */
	bool used;             /* not a free place */
	bool wanted;           /* to be renewed */
	bool granted;          /* by the server, until ends */
	snet_time ends;        /* at the server: also while it may have granted unheard */
	snet_time renew;
	struct turn_x x;
	bool told_yes, told_no; /* events to be taken */
	int status;             /* of told_no */
	struct snet_error why;
};

struct turn_auth {
	bool known; /* a challenge has come */
	bool sha256, anonymous;
	char realm[SNET_STUN_TEXT_MAX + 1];
	uint8_t nonce[SNET_STUN_TEXT_MAX];
	size_t nonce_n;
	uint8_t algorithms[TURN_ALGORITHMS_MAX];
	size_t algorithms_n;
	uint8_t userhash[32];
	struct snet_stun_key key;
};

enum turn_state { TURN_IDLE, TURN_ASKING, TURN_ALLOCATED, TURN_LEAVING, TURN_CLOSED };

struct snet_turn {
	enum turn_state state;
	struct snet_turn_opts o; /* its texts: below */
	char *user, *password, *realm;
	uint8_t seed[SNET_TURN_SEED];
	uint64_t serial; /* of the next transaction id */
	struct turn_auth auth;
	struct turn_x x; /* allocate, refresh, release */
	bool dont_fragment;
	bool leave;                  /* as soon as there is something to leave */
	struct snet_error leave_why; /* code SNET_OK: it was wished */
	struct snet_addr relayed[2], mapped;
	uint32_t lifetime_s;
	snet_time ends, renew; /* of the allocation */
	struct snet_addr tried[SNET_TURN_REDIRECTS];
	size_t tried_n;
	struct turn_grant *perm, *channel;
	size_t perm_n, channel_n; /* places, also free ones */
	uint16_t first_channel;   /* the number of channel 0, less TURN_CHANNEL_MIN */
	/* Of datagrams to be sent, in entries; a length before each. */
	struct snet_buf queue, held;
	size_t queue_at;
	struct snet_buf part; /* of a stream: a message that is not whole */
	bool part_done;       /* ... which was, and is forgotten at the next input */
	bool broken;
	struct snet_turn_event data, now; /* to be taken */
	bool grants_told;                 /* some are */
	struct snet_turn_counts counts;
	snet_time deadline;
	bool stale_deadline;
};

/* ---- turn.c */
void turn_close(struct snet_turn *t, int code, int status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Gives the allocation back, and closes with why (SNET_OK: it was wished) afterwards. */
void turn_leave(struct snet_turn *t, int code, const char *why, snet_time now);
void turn_tick(struct snet_turn *t, snet_time now);

/* ---- turn_answer.c */
/* An answer to x, proven where it must be. */
void turn_answer(struct snet_turn *t, struct turn_x *x, const struct snet_stunmsg *m,
		 snet_time now);
/* A 401 or 438. */
void turn_challenged(struct snet_turn *t, struct turn_x *x, const struct snet_stunmsg *m,
		     snet_time now);
/* There will be none: SNET_ETIMEOUT, SNET_EINTEGRITY. */
void turn_no_answer(struct snet_turn *t, struct turn_x *x, int code, snet_time now);

/* ---- turn_x.c */
void turn_x_begin(struct snet_turn *t, struct turn_x *x, enum turn_ask ask, size_t index,
		  snet_time now);
/* The same wish in a new transaction; false: often enough. */
bool turn_x_again(struct snet_turn *t, struct turn_x *x, snet_time now);
void turn_x_end(struct snet_turn *t, struct turn_x *x);
struct turn_x *turn_x_at(struct snet_turn *t, size_t i); /* all there are; NULL: the end */
struct turn_x *turn_x_find(struct snet_turn *t, const uint8_t id[static SNET_STUN_ID]);
bool turn_x_is_over(const struct snet_turn *t, const struct turn_x *x);
/* Writes the request that is due and reckons when it is due again; 0: it cannot be written. */
size_t turn_x_write(struct snet_turn *t, struct turn_x *x, uint8_t *p, size_t cap,
		    snet_time now);
void turn_new_id(struct snet_turn *t, uint8_t id[static SNET_STUN_ID]);
uint16_t turn_channel_number(const struct snet_turn *t, size_t index);

/* ---- turn_auth.c */
/* Takes realm, nonce and algorithms of a 401 or 438. SNET_OK: ask again with them;
 * SNET_EDENIED: they are what was refused already; SNET_EPROTO, SNET_EINTEGRITY: a bid-down
 * attack; SNET_ENOSYS. */
int turn_auth_challenge(struct snet_turn *t, const struct snet_stunmsg *m, bool refused);
void turn_auth_put(const struct snet_turn *t, struct snet_stunout *o);
bool turn_auth_is_proven(const struct snet_turn *t, const struct snet_stunmsg *m);

/* ---- turn_grant.c */
struct turn_grant *turn_permission(struct snet_turn *t, const struct snet_addr *peer);
struct turn_grant *turn_channel(struct snet_turn *t, const struct snet_addr *peer);
void turn_grants_start(struct snet_turn *t, snet_time now); /* once allocated */
void turn_grants_drop(struct snet_turn *t);
void turn_grants_tick(struct snet_turn *t, snet_time now);
snet_time turn_grants_deadline(const struct snet_turn *t);
void turn_grant_answer(struct snet_turn *t, struct turn_x *x, snet_time now);
void turn_grant_refused(struct snet_turn *t, struct turn_x *x, int status,
			const struct snet_error *why, snet_time now);
bool turn_grant_event(struct snet_turn *t, struct snet_turn_event *ev);

/* ---- turn_data.c */
size_t turn_data_next(struct snet_turn *t, uint8_t *out); /* 0: the queue is empty */
void turn_data_release(struct snet_turn *t);              /* what waited for a permission */

#endif
