/* Private to mesh/mesh*.c: the parties as this one sees them, and their connections.
 *
 * A party has at most one channel that counts, `current`; others are on their way up, or lost
 * the tie-break and are closing. What comes on any but the current is not heard: the resume
 * that began the current one said what had been taken until then. */
#ifndef SNET_MESH_MESH_IMPL_H
#define SNET_MESH_MESH_IMPL_H

#include "base/list.h"
#include "io/loop.h"
#include "mesh/link.h"
#include "mesh/mesh.h"
#include "mesh/outbox.h"
#include "mesh/session.h"

#define MESH_CHANNELS 4 /* of one party at a time: more that come are turned away */

struct member;

struct channel {
	struct snet_list node; /* in member->channels */
	struct member *member;
	struct snet_peer *peer;
	bool dialled, ready; /* ready: both have said resume */
	bool said_bye, finishing;
};

struct member {
	struct snet_mesh *mesh;
	uint32_t index;
	struct snet_list channels;
	unsigned n_channels, attempts;
	unsigned tries; /* of the link, before the current channel */
	struct channel *current, *dialling;
	struct snet_link link;
	struct snet_timer timer; /* of the link */
	struct snet_timer probe; /* of a current that may be dead, or says no resume */
	uint64_t probed;         /* bytes received when the probe began */
	struct snet_timer ack;
	struct snet_task urgent; /* an ack that is due now */
	struct snet_outbox outbox;
	uint64_t incarnation; /* of its process; 0: not known */
	uint64_t taken[SNET_RECORD_STREAMS], acked[SNET_RECORD_STREAMS];
	size_t unacked_bytes, unacked; /* taken and not acknowledged: bytes, messages */
	bool up, ended, full, over;    /* ended: it sends no more */
	struct snet_error last;        /* why it is not there */
	struct snet_mesh_stats stats;
};

struct snet_mesh {
	struct snet_mesh_config cfg;
	const struct snet_mesh_events *ev;
	void *user;
	struct snet_session session;
	struct member *members; /* n; that of self is not used */
	bool finished, paused;
};

/* ---- mesh_link.c: connections come and go */
void mesh_begin(struct member *m);
void mesh_stop(struct member *m); /* its timers */
void mesh_over(struct member *m, const struct snet_error *err);
void mesh_drop(struct channel *ch, int code, const char *why);

/* ---- mesh_delivery.c: what crosses on them */
void mesh_delivery_init(struct member *m);
void mesh_say_resume(struct channel *ch);
void mesh_control(struct channel *ch, uint8_t type, const uint8_t *body, size_t n);
void mesh_message(struct channel *ch, const struct snet_message *msg);
void mesh_pump(struct member *m);
void mesh_say_heartbeat(struct channel *ch, bool reply);
/* Nothing is left to do for it, if its last connection is gone. */
bool mesh_is_done(const struct member *m);

#endif
