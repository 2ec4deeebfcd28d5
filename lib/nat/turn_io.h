/* Turn_io: a TURN client at work: binds nat/turn to the loop. Over UDP the bytes go through the
 * caller's socket, which ICE and QUIC share; over TCP and TLS through a connection of its own.
 */
#ifndef SNET_NAT_TURN_IO_H
#define SNET_NAT_TURN_IO_H

#include "nat/turn.h"

struct snet_loop;
struct snet_turn_io;

enum snet_turn_over { SNET_TURN_UDP, SNET_TURN_TCP, SNET_TURN_TLS };

struct snet_turn_io_opts {
	struct snet_turn_opts turn; /* stream: as over says */
	enum snet_turn_over over;
	const struct snet_addr *from; /* TCP, TLS: NULL: any */
	const char *name;             /* TLS: what the certificate must be for */
	const char *ca;               /* TLS: authorities, a PEM file; NULL: the system's */
};

/* Neither is called from within a call below, but for snet_turn_io_input and _send. */
struct snet_turn_io_events {
	/* ev, and the bytes it shows: for this call. Redirections are followed already. After
	 * SNET_TURN_CLOSED, also when a connection is lost, nothing more comes. All calls below
	 * are allowed in it. */
	void (*on_event)(const struct snet_turn_event *ev, void *user);
	/* UDP: sends a datagram, best effort. Must not call back. */
	void (*send)(const struct snet_addr *server, const uint8_t *p, size_t n, void *user);
};

/* Begins at once to ask for the allocation. All options are copied, ev is not. Errors as
 * snet_turn_new and snet_tcp_dial; SNET_EINVAL: TLS without a name. */
int snet_turn_io_new(struct snet_turn_io **out, struct snet_loop *l,
		     const struct snet_turn_io_opts *o, const struct snet_turn_io_events *ev,
		     void *user, struct snet_error *err);
/* NULL is fine. Tells the server nothing: snet_turn_io_release, and SNET_TURN_CLOSED, come
 * first where there is time. */
void snet_turn_io_free(struct snet_turn_io *io);

/* UDP: a datagram that the caller's socket got. false: it is not for this client. */
bool snet_turn_io_input(struct snet_turn_io *io, const struct snet_addr *from, const uint8_t *p,
			size_t n);

/* As snet_turn_permit and so on. */
int snet_turn_io_permit(struct snet_turn_io *io, const struct snet_addr *peer);
int snet_turn_io_bind(struct snet_turn_io *io, const struct snet_addr *peer);
void snet_turn_io_forget(struct snet_turn_io *io, const struct snet_addr *peer);
int snet_turn_io_refresh(struct snet_turn_io *io);
int snet_turn_io_release(struct snet_turn_io *io);

/* A datagram for a peer, sent at once, or as soon as the permission is there. SNET_EAGAIN: the
 * connection is behind: not taken; and as snet_turn_send. */
int snet_turn_io_send(struct snet_turn_io *io, const struct snet_addr *peer, const void *p,
		      size_t n);

const struct snet_turn_counts *snet_turn_io_counts(const struct snet_turn_io *io);

#endif
