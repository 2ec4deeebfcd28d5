/* Private to mesh/mesh*.c: the parties as this one sees them, and their connections.
 *
 * A party has at most one channel that counts, `current`: from its hello on, or from our resume
 * on if that is said early. Others are on their way up, or lost the tie-break and are closing;
 * or one is the `rival` of a current that is ready, until it is known whose it is.
 * What comes on any but the current is not heard: the resume that began the current one said
 * what had been taken until then. */
#ifndef SNET_MESH_MESH_IMPL_H
#define SNET_MESH_MESH_IMPL_H

#include "base/list.h"
#include "io/loop.h"
#include "mesh/link.h"
#include "mesh/mesh.h"
#include "mesh/ordering.h"
#include "mesh/outbox.h"
#include "mesh/session.h"

#define TIE_BREAKER "duplicate connection: tie-breaker" /* the crate's words */
#define CONTROL_MAX 2048 /* bytes of a record that is no message */
#define RESUME_TIME (10 * SNET_SEC)
#define MESH_CHANNELS 4 /* of one party at a time: more that come are turned away */

struct channel {
	struct snet_list node; /* in member->channels */
	struct member *member;
	struct snet_peer *peer;
	bool dialled, up, ready; /* up: its hello is accepted; ready: both have said resume */
	bool resumed;            /* we said it before its hello */
	bool said_bye, finishing, paused;
	bool settled;         /* plain: it will not lose the tie-break */
	bool heard;           /* plain: a message came */
	struct snet_buf said; /* of a rival: its resume */
};

/* Messages one way, until one goes the other way. */
struct mesh_turns {
	uint64_t n;
	int last; /* 0: none yet */
};
enum { MESH_SENT = 1, MESH_HEARD };

struct member {
	struct snet_mesh *mesh;
	uint32_t index;
	struct snet_list channels;
	unsigned n_channels, attempts;
	unsigned tries; /* of the link, before the current channel */
	struct channel *current, *dialling, *rival;
	struct snet_link link;
	struct snet_timer timer; /* of the link */
	struct snet_timer probe; /* of a current that may be dead, or says no resume */
	uint64_t probed;         /* bytes received when the probe began */
	struct snet_timer doubt; /* of a rival: nothing is known yet of it, or of the current */
	uint64_t asked; /* 1 + bytes received when the current was, for the rival; 0: not */
	struct snet_timer ack;
	struct snet_task urgent; /* an ack that is due now */
	struct snet_timer retry; /* of sending that found no memory */
	struct snet_outbox outbox;
	uint64_t incarnation; /* of its process; 0: not known */
	/* Messages of it, ever: handed to the owner; where the owner wants them. */
	uint64_t taken[SNET_RECORD_STREAMS], confirmed[SNET_RECORD_STREAMS];
	uint64_t again[SNET_RECORD_STREAMS]; /* to come a second time, as resume asked for */
	size_t unacked_bytes, unacked;       /* taken and not acknowledged: bytes, messages */
	bool up, ended, full, over;          /* ended: it sends no more */
	bool moving;               /* not up, and its owner is not told: from one to another */
	bool was_up, failed, held; /* failed: it was given up */
	snet_time heard_at;        /* plain: its last message */
	struct mesh_turns turns;
	struct snet_error last; /* why it is not there */
	struct snet_mesh_stats stats;
};

struct snet_mesh {
	struct snet_mesh_config cfg;
	const struct snet_mesh_events *ev;
	void *user;
	struct snet_session session;
	struct member *members; /* n; that of self is not used */
	struct mesh_turns turns;
	struct snet_journal *journal; /* NULL: none */
	struct snet_ordering order;   /* if cfg.order */
	struct snet_timer order_timer;
	bool finished, paused;
};

static inline bool mesh_is_plain(const struct member *m)
{
	return m->mesh->cfg.parties[m->index].plain;
}

static inline void mesh_turn(struct member *m, int way)
{
	m->turns.n += m->turns.last && m->turns.last != way;
	m->turns.last = way;
	m->mesh->turns.n += m->mesh->turns.last && m->mesh->turns.last != way;
	m->mesh->turns.last = way;
}

/* ---- mesh_dial.c: who is dialled, and when; what is open */
void mesh_begin(struct member *m);
void mesh_stop(struct member *m);   /* its timers */
void mesh_forget(struct member *m); /* channels that are held back by a pause */
void mesh_over(struct member *m, const struct snet_error *err);
void mesh_drop(struct channel *ch, int code, const char *why);
struct channel *mesh_channel_new(struct member *m, bool dialled); /* NULL: too many */
void mesh_channel_free(struct channel *ch);
void mesh_step(struct member *m, enum snet_link_event ev);
void mesh_trouble(struct member *m, const struct snet_error *err);
snet_time mesh_give_up_at(const struct member *m);

/* ---- mesh_link.c: which connection counts, until it ends */
extern const struct snet_peer_events mesh_peer_events; /* user: its channel */
void mesh_on_probe(struct snet_timer *t, snet_time now);
void mesh_probe(struct member *m);
uint64_t mesh_heard(const struct channel *ch); /* bytes */
bool mesh_is_better(const struct channel *fresh, const struct channel *old);
/* From now on this one counts; old: the one that did, or NULL. */
void mesh_take(struct channel *ch, struct channel *old);
void mesh_is_another(struct member *m); /* than it was on the connection that was replaced */

/* ---- mesh_delivery.c: what crosses on them */
void mesh_delivery_init(struct member *m);
void mesh_say_resume(struct channel *ch);
void mesh_control(struct channel *ch, uint8_t type, const uint8_t *body, size_t n);
void mesh_message(struct channel *ch, const struct snet_message *msg);
void mesh_pump(struct member *m);
/* It goes on when on_drain says so, is over, or had no memory: then it is tried again soon. */
void mesh_pump_failed(struct member *m, int rc);
void mesh_say_heartbeat(struct channel *ch, bool reply);
void mesh_pause(struct channel *ch); /* or resume it, as the mesh is */
void mesh_came_up(struct channel *ch, bool anew, uint64_t lost);
/* Nothing is left to do for it, if its last connection is gone. */
bool mesh_is_done(const struct member *m);

/* ---- mesh_order.c: nothing, unless cfg.order */
int mesh_order_init(struct snet_mesh *mesh);
void mesh_order_fini(struct snet_mesh *mesh);
void mesh_order_up(struct member *m);
void mesh_order_down(struct member *m);
bool mesh_order_input(struct member *m, const struct snet_message *msg);
bool mesh_order_holds(const struct snet_mesh *mesh);

/* ---- mesh_journal.c */
int mesh_journal_add(struct member *m, unsigned stream, uint8_t kind,
		     const struct snet_slice *v, size_t n, size_t total);
void mesh_journal_taken(struct member *m, bool anew);

#endif
