#include "cli/stun_serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/out.h"
#include "cli/run.h"
#include "cli/say.h"
#include "cli/stun_host.h"
#include "io/udp.h"
#include "nat/stund.h"

/* Of one family: one socket, or four. */
struct side {
	struct stun_serve *serve;
	struct snet_addr at[2]; /* as asked for */
	unsigned n;
	bool implied; /* by "every address": may be impossible */
	struct snet_stund stund;
	struct port { /* what a socket's events carry */
		struct side *side;
		struct snet_udp *udp;
		unsigned number;
	} ports[SNET_STUND_SOCKETS];
};

struct stun_serve {
	struct run *run;
	struct side sides[2]; /* IPv4, IPv6 */
	uint64_t in_bytes, out_bytes;
};

/* ---- what comes */

static void on_stun(const struct snet_path *path, uint8_t *p, size_t n, void *user)
{
	struct port *port = user;
	struct side *side = port->side;
	struct snet_stund_answer a;
	struct snet_path back = { .remote = path->remote };

	side->serve->in_bytes += n;
	if (!snet_stund_take(&side->stund, port->number, &path->remote, p, n, &a))
		return;
	/* A socket bound to one address sends from nowhere else. */
	if (snet_addr_is_any(&side->stund.at[port->number]))
		back.local = path->local;
	back.remote = a.to;
	side->serve->out_bytes += a.n;
	snet_udp_answer(side->ports[a.via].udp, &back, a.p, a.n);
}

static void on_datagram(const struct snet_path *path, uint8_t ecn, uint8_t *p, size_t n,
			void *user)
{
	struct port *port = user;

	(void)path, (void)ecn, (void)p;
	port->side->serve->in_bytes += n;
	port->side->stund.dropped++;
}

static void on_unreachable(const struct snet_addr *remote, void *user)
{
	(void)remote, (void)user; /* whoever asked has gone */
}

static void on_writable(void *user)
{
	(void)user;
}

static const struct snet_udp_events udp_events = {
	.on_datagram = on_datagram,
	.on_stun = on_stun,
	.on_unreachable = on_unreachable,
	.on_writable = on_writable,
};

/* ---- the sockets */

static int open_port(struct side *side, unsigned i, struct snet_addr at, struct snet_error *err)
{
	const struct snet_udp_opts o = { .v6_only = true };
	struct port *port = &side->ports[i];
	int rc;

	port->side = side;
	port->number = i;
	rc = snet_udp_open(&port->udp, side->serve->run->loop, &at, -1, &o, &udp_events, port,
			   err);
	if (!rc)
		snet_udp_address(port->udp, &side->stund.at[i]);
	return rc;
}

/* The two that were asked for, which may get their ports from the kernel, then each address
 * with the other's port. */
static int open_side(struct side *side, struct snet_error *err)
{
	struct snet_addr cross[2];
	int tries = 0, rc = open_port(side, 0, side->at[0], err);

	side->stund.n = 1;
	if (rc || side->n < 2)
		return rc;
	do { /* the kernel may give both the same port, which is of no use */
		snet_udp_close(side->ports[3].udp);
		side->ports[3].udp = NULL;
		rc = open_port(side, 3, side->at[1], err);
		if (rc)
			return rc;
	} while (snet_addr_port(&side->stund.at[0]) == snet_addr_port(&side->stund.at[3]) &&
		 tries++ < 3);
	side->stund.n = SNET_STUND_SOCKETS;
	cross[0] = side->stund.at[0];
	cross[1] = side->stund.at[3];
	snet_addr_set_port(&cross[0], snet_addr_port(&side->stund.at[3]));
	snet_addr_set_port(&cross[1], snet_addr_port(&side->stund.at[0]));
	rc = open_port(side, 1, cross[0], err);
	return rc ? rc : open_port(side, 2, cross[1], err);
}

static void say_listening(const struct side *side)
{
	for (unsigned i = 0; side->n && i < SNET_STUND_SOCKETS; i += 3) {
		char at[SNET_ADDR_TEXT], text[SNET_ADDR_TEXT + 8];
		struct snet_addr one;

		if (!side->ports[i].udp)
			continue;
		one = side->stund.at[i];
		if (snet_addr_is_any(&one))
			net_usable(&one, one.sa.sa_family);
		snet_addr_print(&one, at);
		snprintf(text, sizeof(text), "stun:%s", at);
		out_event("listening", out_text("address", text),
			  out_uint("port", snet_addr_port(&side->stund.at[i])));
		if (!i)
			say_note("listening; the other side runs: snet-stun %s", text);
	}
}

static bool same_ip(struct snet_addr a, struct snet_addr b)
{
	snet_addr_set_port(&a, 0);
	snet_addr_set_port(&b, 0);
	return snet_addr_eq(&a, &b);
}

static int add_address(struct side *side, const struct snet_addr *at, const char *text,
		       struct snet_error *err)
{
	const struct snet_addr *first = &side->at[0];

	if (side->n == 2)
		return snet_fail(err, SNET_EINVAL,
				 "--serve: %s: two addresses of a family at most", text);
	side->at[side->n++] = *at;
	if (side->n == 1)
		return SNET_OK;
	if (same_ip(*first, *at) || snet_addr_is_any(first) || snet_addr_is_any(at))
		return snet_fail(err, SNET_EINVAL,
				 "--serve: %s: two addresses want two IP addresses", text);
	if (snet_addr_port(first) && snet_addr_port(first) == snet_addr_port(at))
		return snet_fail(err, SNET_EINVAL, "--serve: %s: two addresses want two ports",
				 text);
	return SNET_OK;
}

/* The first address of a name; "every address" is one of each family. */
static int sort_in(struct stun_serve *s, const char *text, struct snet_error *err)
{
	struct snet_addr found[NET_ADDRS];
	size_t n = 0;
	int rc = stun_host(text, STUN_PORT, true, found, &n, err);

	for (size_t i = 0; i < n && !rc; i++) {
		int family = found[i].sa.sa_family;

		if (i && (!snet_addr_is_any(&found[i]) || family == found[0].sa.sa_family))
			continue;
		rc = add_address(&s->sides[family == AF_INET6], &found[i], text, err);
		s->sides[family == AF_INET6].implied = i > 0;
	}
	return rc;
}

int stun_serve_new(struct stun_serve **out, struct run *run, const char *const *texts, size_t n,
		   struct snet_error *err)
{
	struct stun_serve *s = calloc(1, sizeof(*s));
	int rc = s ? SNET_OK : snet_fail(err, SNET_ENOMEM, "server");

	for (size_t i = 0; i < n && !rc; i++) {
		s->run = run;
		rc = sort_in(s, texts[i], err);
	}
	for (size_t i = 0; i < 2 && !rc; i++) {
		s->sides[i].serve = s;
		if (s->sides[i].n)
			rc = open_side(&s->sides[i], err);
		if (rc && s->sides[i].implied) {
			say_note("%s", err->text);
			s->sides[i].n = 0;
			rc = SNET_OK;
		}
	}
	if (rc) {
		stun_serve_free(s);
		return rc;
	}
	for (size_t i = 0; i < 2; i++)
		say_listening(&s->sides[i]);
	*out = s;
	return SNET_OK;
}

void stun_serve_stats(const struct stun_serve *s)
{
	uint64_t sent = 0, dropped = 0;

	for (size_t i = 0; i < 2; i++) {
		sent += s->sides[i].stund.answered + s->sides[i].stund.refused;
		dropped += s->sides[i].stund.dropped;
	}
	out_event(
		"stats", out_uint("sent_messages", sent), out_uint("sent_bytes", s->out_bytes),
		out_uint("received_messages", sent + dropped),
		out_uint("received_bytes", s->in_bytes), out_uint("dropped_messages", dropped));
}

void stun_serve_free(struct stun_serve *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < SNET_STUND_SOCKETS; j++)
			snet_udp_close(s->sides[i].ports[j].udp);
	free(s);
}
