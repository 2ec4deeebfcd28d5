#include <stdlib.h>
#include <string.h>

#include "mesh/connect_impl.h"

/* The path under QUIC: constant to it, carried by ICE. */

/* Every Ethernet, and TURN's 36 bytes on it: a pair that is selected later may be relayed, and
 * QUIC, which believes that its path never changes, would not look again. */
#define PAYLOAD 1400

static uint8_t *scratch(void *user)
{
	return snet_ice_scratch(((struct snet_connect *)user)->ice);
}

static bool is_blocked(void *user)
{
	return snet_ice_is_blocked(((struct snet_connect *)user)->ice);
}

static int send_on_pair(const struct snet_path *path, uint8_t ecn, size_t n, size_t segment,
			void *user)
{
	struct snet_connect *c = user;
	int rc = snet_ice_send(c->ice, ecn, n, segment);

	(void)path;
	return rc == SNET_ENOENT ? SNET_OK : rc; /* lost, as datagrams may be */
}

static uint32_t payload(const struct snet_addr *remote, void *user)
{
	struct snet_connect *c = user;
	uint32_t most = snet_ice_payload(c->ice);

	return most > PAYLOAD && !snet_addr_is_loopback(remote) ? PAYLOAD : most;
}

static const struct snet_udp_over over_ice = { scratch, is_blocked, send_on_pair, payload };

static void on_accept(struct snet_endpoint *e, struct snet_conn *conn, void *user)
{
	struct snet_connect *c = user;

	(void)e;
	c->ev->on_accept(conn, c->user);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	struct snet_connect *c = user;

	(void)e;
	c->ev->on_refused(from, code, why, c->user);
}

static void on_idle(struct snet_endpoint *e, void *user)
{
	struct snet_connect *c = user;

	(void)e;
	if (c->ev->on_idle)
		c->ev->on_idle(c->user);
}

static void on_busy(struct snet_endpoint *e, void *user)
{
	struct snet_connect *c = user;

	(void)e;
	if (c->ev->on_busy)
		c->ev->on_busy(c->user);
}

static const struct snet_endpoint_events endpoint_events = { on_accept, on_refused, on_idle,
							     on_busy };

int connect_path_open(struct snet_connect *c, const struct snet_agent_event *pair,
		      struct snet_error *err)
{
	struct snet_transport_config config = c->config;
	int rc;

	c->path = (struct snet_path){ pair->local.base, pair->remote.address };
	rc = snet_udp_open_over(&c->udp, &c->path.local, &over_ice, c, err);
	if (rc)
		return rc;
	config.udp = c->udp;
	rc = snet_transport_quic.bind(&c->endpoint, c->loop, NULL, -1, &config,
				      &endpoint_events, c, err);
	if (rc)
		c->udp = NULL;
	return rc;
}

void connect_path_close(struct snet_connect *c)
{
	struct snet_endpoint *e = c->endpoint;

	c->endpoint = NULL;
	if (e)
		snet_transport_quic.unbind(e); /* says goodbye through udp */
	c->udp = NULL;
}
