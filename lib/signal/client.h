/* Client: a member of a room at a signalling server: dials one address of it, once. */
#ifndef SNET_SIGNAL_CLIENT_H
#define SNET_SIGNAL_CLIENT_H

#include "base/addr.h"
#include "base/clock.h"
#include "signal/upgrade.h"

struct snet_loop;
struct snet_signal_client;

#define SNET_SIGNAL_MESSAGE (64 << 10) /* bytes, where nothing else is wished */
#define SNET_SIGNAL_QUEUE (256 << 10)  /* bytes of messages not sent yet: then it is full */
#define SNET_SIGNAL_DEAD 3             /* pings that went unheard */

struct snet_signal_client_opts {
	const struct snet_signal_url *url; /* copied */
	const char *token;                 /* NULL: none. For the call */
	const char *ca;                    /* of wss, as in snet_tls_opts; for the call */
	size_t max_message;                /* bytes, both ways */
	snet_time timeout;                 /* until it is in the room; for the farewell */
	snet_time keep_alive;              /* ping a silent server; SNET_NEVER: do not */
};

/* From the loop, never from within a call. snet_signal_client_free is allowed in all of them.
 */
struct snet_signal_client_events {
	void (*on_joined)(void *user);
	void (*on_message)(const uint8_t *p, size_t n, void *user); /* p: for this call */
	void (*on_room)(void *user); /* it was full, and is no longer */
	/* Once, and last. SNET_OK: after snet_signal_client_leave, all was heard by the server.
	 * Before on_joined: as snet_tcp_dial has it, SNET_EDENIED, SNET_EPOLICY, SNET_EPROTO
	 * (snet_upgrade_response_parse), SNET_ETIMEOUT. Later: SNET_ELOST; what the server's
	 * close code says: SNET_EPOLICY, SNET_ETOOBIG, SNET_EPROTO, SNET_ECLOSED. */
	void (*on_close)(const struct snet_error *why, void *user);
};

/* SNET_ENOMEM, and as snet_tcp_dial. */
int snet_signal_client_new(struct snet_signal_client **out, struct snet_loop *l,
			   const struct snet_addr *to, const struct snet_signal_client_opts *o,
			   const struct snet_signal_client_events *ev, void *user,
			   struct snet_error *err);
void snet_signal_client_free(struct snet_signal_client *c); /* at once; NULL is fine */

/* To the others of the room: a JSON object. Also before on_joined. SNET_EINVAL: it is none;
 * SNET_ETOOBIG; SNET_ECLOSED; SNET_ENOMEM. Taken also when it is full: ask before. */
int snet_signal_client_send(struct snet_signal_client *c, const void *p, size_t n);
bool snet_signal_client_is_full(const struct snet_signal_client *c);
void snet_signal_client_pause(struct snet_signal_client *c, bool paused); /* on_message */
/* Of this host, on the way to the server. Once it has joined. */
void snet_signal_client_local(const struct snet_signal_client *c, struct snet_addr *out);

/* Says what is queued, and then farewell; on_close follows. */
void snet_signal_client_leave(struct snet_signal_client *c);

#endif
