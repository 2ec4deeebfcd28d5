/* Net: what the tests of transports share: identities, endpoints that accept,
 * connections that write down what happens to them, and ways to let a loop turn. Fails
 * the test, never returns an error. */
#ifndef TESTS_SUPPORT_NET_H
#define TESTS_SUPPORT_NET_H

#include "crypto/allow.h"
#include "crypto/identity.h"
#include "io/loop.h"
#include "transport/transport.h"

#define NET_ACCEPTS 80
#define NET_WHY 200

/* What one side saw of one connection. In the test's storage, zeroed. */
struct net_conn {
	struct snet_conn *c;   /* NULL once closed */
	struct snet_conn seen; /* as it was in on_open or on_accept, and in on_close */
	unsigned opens, closes, drains, flushes;
	int code;
	char why[NET_WHY];
	bool by_peer;
	size_t queued_at_close;
	bool hold;   /* consume nothing */
	bool forget; /* the bytes */
	struct snet_buf in[SNET_STREAMS];
	unsigned chunks, fins[SNET_STREAMS];
	/* After the record was made; any may be NULL. */
	void (*on_open)(struct net_conn *n);
	void (*on_data)(struct net_conn *n, unsigned stream, size_t len, bool fin);
	void (*on_drain)(struct net_conn *n);
	void (*on_flushed)(struct net_conn *n);
	void (*on_close)(struct net_conn *n);
	void *user;
};

extern const struct snet_conn_events net_conn_events; /* user: a net_conn */

struct net_end {
	const struct snet_transport *t;
	struct snet_endpoint *e;
	struct snet_addr at;
	struct snet_trust *trust; /* this one's own */
	struct net_conn accepted[NET_ACCEPTS];
	unsigned n_accepted, n_refused;
	int refused_code;
	char refused_why[NET_WHY];
	/* Instead of taking the connection into accepted[]. */
	void (*on_accept)(struct net_end *n, struct snet_conn *c);
	void *user;
};

/* The i-th identity of this process: i < 8, made when first asked for. */
const struct snet_identity *net_identity(unsigned i);
void net_identities_free(void);

/* at: "127.0.0.1:0". cfg: copied; without an identity it gets net_identity(who), without a
 * trust one that takes anybody. */
void net_bind(struct net_end *n, struct snet_loop *l, const struct snet_transport *t,
	      const char *at, unsigned who, const struct snet_transport_config *cfg);
void net_unbind(struct net_end *n);

void net_dial(struct net_conn *c, struct net_end *from, const struct snet_addr *to,
	      const uint8_t *key);
int net_send(struct net_conn *c, unsigned stream, const void *p, size_t n);
void net_consume(struct net_conn *c, unsigned stream, size_t n);
void net_close(struct net_conn *c, int code, const char *why);
void net_conn_fini(struct net_conn *c);
void net_assert_in(const struct net_conn *c, unsigned stream, const void *p, size_t n);

/* So many turns of the loop, none of which waits. */
void net_turns(struct snet_loop *l, unsigned n);
/* Until done says so; fails the test after two minutes. */
void net_until(struct snet_loop *l, bool (*done)(void *user), void *user);
/* Until the clock of the loop has moved on by d. */
void net_pass(struct snet_loop *l, snet_time d);

#endif
