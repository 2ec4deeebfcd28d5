/* Server impl: what server*.c share. */
#ifndef SNET_SIGNAL_SERVER_IMPL_H
#define SNET_SIGNAL_SERVER_IMPL_H

#include <microhttpd.h>

#include "base/bytes.h"
#include "base/list.h"
#include "io/loop.h"
#include "signal/server.h"
#include "signal/tokens.h"
#include "signal/ws.h"

#define PEER_PIECE (16 << 10) /* bytes read and written at a time */

struct snet_signal_server {
	struct snet_loop *loop;
	struct snet_signal_server_opts o;
	const struct snet_signal_server_events *ev;
	void *user;
	struct MHD_Daemon *http;
	struct snet_io *io;            /* the daemon's own epoll */
	struct snet_timer http_timer;  /* when the daemon wants to run anyway */
	struct snet_task http_task;    /* it has been asked for something */
	struct snet_timer rooms_timer; /* the first room that may be over */
	struct snet_rooms *rooms;
	struct snet_tokens tokens;
	struct snet_list peers;
	uint64_t numbers;
	snet_time born;
	bool draining, drained;
};

/* A member's connection, from its request on. */
struct peer {
	struct snet_list node;
	struct snet_signal_server *s;
	struct peer **held;         /* by its request, until the upgrade; NULL: no more */
	struct snet_member *member; /* NULL: it has left the room */
	struct snet_ws *ws;
	struct MHD_UpgradeResponseHandle *urh; /* NULL: not upgraded yet */
	int fd;                                /* the handle's */
	struct snet_io *io;
	struct snet_timer timer;
	struct snet_task task; /* output, and whether to read */
	uint64_t number;
	struct snet_addr from;
	snet_time heard, full_since;
	bool full;      /* its room waits for it */
	bool waiting;   /* it is not read from */
	bool ended;     /* it sends no more */
	bool heard_out; /* its farewell has come */
	size_t out_at, out_n;
	uint8_t out[PEER_PIECE];
};

/* server_peer.c. Joins the room; what is said from now on waits for the upgrade. *out: set to
 * NULL when it is freed before that. */
enum snet_room_answer snet_signal_peer_new(struct peer **out, struct snet_signal_server *s,
					   const char *room, const struct snet_addr *from);
/* The socket is there; more: bytes that came with the request. */
void snet_signal_peer_start(struct peer *p, struct MHD_UpgradeResponseHandle *urh, int fd,
			    const void *more, size_t n);
/* It leaves the room; ws_code: what it is told, 0: nothing, it is gone. */
void snet_signal_peer_leave(struct peer *p, int code, unsigned ws_code, const char *why);
void snet_signal_peer_free(struct peer *p); /* at once, and without a word; leaves the room */

/* server_page.c */
int snet_signal_page(const struct snet_signal_server *s, struct snet_buf *b);
int snet_signal_metrics(const struct snet_signal_server *s, struct snet_buf *b);

#endif
