/* Server: rooms over WebSockets: what a member says goes to the others of its room. HTTP and
 * TLS are libmicrohttpd's, driven by the loop. GET / is a status page, GET /metrics the
 * counters. */
#ifndef SNET_SIGNAL_SERVER_H
#define SNET_SIGNAL_SERVER_H

#include "base/addr.h"
#include "base/clock.h"
#include "signal/room.h"

struct snet_loop;
struct snet_signal_server;

#define SNET_SIGNAL_TOKENS 4096 /* in a file */

struct snet_signal_server_opts {
	struct snet_addr at;
	const char *cert, *key; /* PEM files; NULL: no TLS. For the call */
	const char *token_file; /* one per line; NULL: anybody may come in. For the call */
	struct snet_rooms_opts rooms;
	size_t max_message;   /* bytes */
	size_t queue;         /* bytes for a member from which on its room has to wait */
	snet_time timeout;    /* for requests, farewells, and members that take nothing */
	snet_time keep_alive; /* ping silent members; SNET_NEVER: do not */
};

/* Somebody who comes or goes. */
struct snet_signal_peer {
	uint64_t number; /* 1, 2, 3 ... in the order of coming */
	const char *room;
	struct snet_addr from;
	size_t members; /* of the room, afterwards */
};

/* Called from the loop; borrowed for the call. */
struct snet_signal_server_events {
	void (*on_joined)(const struct snet_signal_peer *p, void *user);
	/* SNET_OK: it said farewell. */
	void (*on_left)(const struct snet_signal_peer *p, const struct snet_error *why,
			void *user);
	void (*on_refused)(const struct snet_addr *from, const struct snet_error *why,
			   void *user);
	void (*on_drained)(void *user); /* after snet_signal_server_drain, once */
};

/* SNET_EBIND; SNET_EKEY, SNET_ECONFIG: a file; SNET_ENOMEM, SNET_EIO. */
int snet_signal_server_new(struct snet_signal_server **out, struct snet_loop *l,
			   const struct snet_signal_server_opts *o,
			   const struct snet_signal_server_events *ev, void *user,
			   struct snet_error *err);
void snet_signal_server_free(struct snet_signal_server *s); /* NULL is fine */

void snet_signal_server_address(const struct snet_signal_server *s, struct snet_addr *at);
size_t snet_signal_server_rooms(const struct snet_signal_server *s);
size_t snet_signal_server_members(const struct snet_signal_server *s);

/* Takes nobody more and sends everybody away; on_drained follows. */
void snet_signal_server_drain(struct snet_signal_server *s);

#endif
