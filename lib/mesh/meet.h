/* Meet: a room at a signalling server, where parties find each other: whoever calls names the
 * key it wants, whoever answers has it; both gather, tell, check, and speak QUIC on what works
 * (connect.h). The server carries the lines and is believed nothing: QUIC looks at the keys.
 * When the connection to it is lost, calls go on, and it is joined again. */
#ifndef SNET_MESH_MEET_H
#define SNET_MESH_MEET_H

#include "mesh/connect.h"
#include "signal/upgrade.h"

struct snet_meet;
struct snet_call;

#define SNET_CALLS_MAX 256 /* at a time, of one room, both ways */

struct snet_meet_opts {
	struct snet_signal_url url;
	const char *token, *ca; /* as in snet_signal_client_opts; copied; NULL: none */
	const uint8_t *key;     /* own key id, SNET_KEYID_BYTES */
	struct snet_connect_opts connect;
	bool answers;         /* take the calls of others */
	snet_time keep_alive; /* of the connection to the server */
};

/* From the loop, and from within snet_call_new; none may free the room; on_over may not
 * free the call: it frees itself. */
struct snet_meet_events {
	/* The first time: the server knows us. */
	void (*on_joined)(const struct snet_meet *m, void *user);
	/* The server is not there, or we are not let in. fatal: it will not get better, and is
	 * not tried again. */
	void (*on_trouble)(const struct snet_meet *m, const struct snet_error *err, bool fatal,
			   void *user);
	/* Somebody who says to have this key calls: shall it be answered? What key it really
	 * has is seen later. */
	bool (*wants)(const uint8_t key[SNET_KEYID_BYTES], void *user);
	/* Of a call of ours: there is a path; call_user: of snet_call_new. */
	void (*on_path)(struct snet_endpoint *e, const struct snet_addr *to, void *call_user,
			void *user);
	/* Of a call of ours: somebody has answered, and a path is looked for. NULL allowed. */
	void (*on_answer)(void *call_user, void *user);
	/* Of a call of ours: it came to nothing, or its path is lost; it is gone after this. */
	void (*on_over)(const struct snet_error *err, void *call_user, void *user);
	/* Of calls of others. */
	void (*on_accept)(struct snet_conn *c, void *user);
	void (*on_refused)(const struct snet_addr *from, int code, const char *why, void *user);
	/* What ICE does, of all calls; NULL allowed. key: the peer's, or NULL. */
	void (*on_ice)(const struct snet_agent_event *ev, const uint8_t *key, void *user);
	/* Something is of no use to a call, and the rest goes on: a STUN server, an interface;
	 * or there are too many calls. NULL allowed. */
	void (*on_note)(const struct snet_error *err, void *user);
};

/* Joins with the loop's next turn. SNET_ENOMEM; SNET_EIO: no random numbers. */
int snet_meet_new(struct snet_meet **out, struct snet_loop *l, const struct snet_meet_opts *o,
		  const struct snet_meet_events *ev, void *user, struct snet_error *err);
/* Closes all connections that were made here. NULL is fine. */
void snet_meet_free(struct snet_meet *m);

/* key: whom to call; NULL: whoever answers first. SNET_EPOLICY: too many; as
 * snet_connect_new. */
int snet_call_new(struct snet_call **out, struct snet_meet *m, const uint8_t *key, void *user,
		  struct snet_error *err);
/* At once, connections and all, and without on_over. Never from within a callback of the
 * connection. */
void snet_call_free(struct snet_call *c);
/* Not wanted any more: goes when its last connection is gone. */
void snet_call_leave(struct snet_call *c);

#endif
