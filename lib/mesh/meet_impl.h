/* Meet impl: what meet and meet_call share. */
#ifndef SNET_MESH_MEET_IMPL_H
#define SNET_MESH_MEET_IMPL_H

#include "base/list.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "mesh/link.h"
#include "mesh/meet.h"
#include "signal/client.h"

#define MEET_MARK 8

struct snet_meet {
	struct snet_loop *loop;
	struct snet_meet_opts opts;
	char token[SNET_SIGNAL_TOKEN_MAX + 1], *ca;
	uint8_t key[SNET_KEYID_BYTES];
	char name[SNET_KEYID_TEXT]; /* the key as text: what "from" says */
	char mark[MEET_MARK + 1];   /* the names of our calls begin with it */
	const struct snet_meet_events *ev;
	void *user;
	/* To the server. */
	struct snet_link link;
	struct snet_timer timer, repeat;
	struct snet_netwatch *netwatch; /* NULL: the system does not tell */
	struct snet_resolve *resolve;
	struct snet_addr addrs[SNET_RESOLVE_MAX];
	size_t n_addrs, at;
	struct snet_signal_client *client;
	bool joined, was_joined;
	struct snet_list calls;
	size_t n_calls, n_strangers; /* n_strangers: of others, without a path yet */
};

struct snet_call {
	struct snet_list node;
	struct snet_meet *meet;
	struct snet_connect *connect;
	void *user;
	bool ours, has_key, has_path, answered, left, told, freeing;
	bool busy;                     /* it has connections */
	uint8_t key[SNET_KEYID_BYTES]; /* the peer's, as it says */
	char peer[SNET_KEYID_TEXT];    /* the same as text; "": not known yet */
	char name[SNET_OFFER_CALL + 1];
	struct snet_timer end;
};

/* ---- meet.c */
void meet_send(struct snet_meet *m, const struct snet_offer *o); /* dropped when not joined */

/* ---- meet_call.c */
void meet_hear(struct snet_meet *m, const struct snet_offer *o);
void meet_call_free(struct snet_call *c);
/* Whether a call of this name can only be one of ours, now or earlier. */
bool meet_call_is_ours(const struct snet_meet *m, const char *name);
/* n random characters and NUL; n: even, at most SNET_OFFER_CALL. */
int meet_draw(char *out, size_t n);

#endif
