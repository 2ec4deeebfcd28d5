#include "cli/stun_serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/look_up.h"
#include "cli/out.h"
#include "cli/ready.h"
#include "cli/run.h"
#include "cli/say.h"
#include "cli/stun_host.h"
#include "io/dgram.h"
#include "nat/stund.h"

#define PLACES 4 /* two of each family */

/* Of one family: one socket, or four. */
struct side {
	struct stun_serve *serve;
	struct snet_addr at[2]; /* as asked for */
	unsigned n;
	bool implied; /* by "every address": may be impossible */
	struct snet_stund stund;
	struct port { /* what a socket's events carry */
		struct side *side;
		struct snet_dgram *d;
		unsigned number;
	} ports[SNET_STUND_SOCKETS];
};

struct stun_serve {
	struct run *run;
	const char *const *texts;
	struct snet_url places[PLACES];
	size_t n_places;
	struct look_up *look_up; /* of their names; NULL: it is over */
	struct snet_dgram_hub *hub;
	struct side sides[2]; /* IPv4, IPv6 */
	uint64_t in_bytes, out_bytes;
	/* What goes out together, when all that came together is looked at. */
	size_t n;
	struct snet_dgram_out out[SNET_DGRAM_BATCH];
	struct snet_stund_answer answers[SNET_DGRAM_BATCH];
};

/* ---- what comes */

/* Best effort, as UDP is: who hears nothing asks again. */
static void on_batch(void *hub_user)
{
	struct stun_serve *s = hub_user;

	if (s->n)
		snet_dgram_send(s->out, s->n);
	s->n = 0;
}

static void take(const struct port *port, const struct snet_path *path, const uint8_t *p,
		 size_t n)
{
	struct side *side = port->side;
	struct stun_serve *s = side->serve;
	struct snet_stund_answer *a = &s->answers[s->n];

	s->in_bytes += n;
	if (!snet_stund_take(&side->stund, port->number, &path->remote, p, n, a))
		return;
	s->out_bytes += a->n;
	s->out[s->n++] = (struct snet_dgram_out){
		/* from the address that was asked, if the socket is bound to every one */
		.via = side->ports[a->via].d,
		.path = { path->local, a->to },
		.p = a->p,
		.n = a->n,
	};
	if (s->n == SNET_DGRAM_BATCH)
		on_batch(s);
}

static void on_train(struct snet_dgram *d, const struct snet_path *path, uint8_t ecn,
		     uint8_t *p, size_t n, size_t segment, void *user)
{
	(void)d, (void)ecn;
	do {
		size_t k = n < segment ? n : segment;

		take(user, path, p, k);
		p += k;
		n -= k;
	} while (n);
}

static const struct snet_dgram_events dgram_events = { on_train, on_batch };

/* ---- the sockets */

static int open_port(struct side *side, unsigned i, struct snet_addr at, struct snet_error *err)
{
	struct port *port = &side->ports[i];
	int rc;

	port->side = side;
	port->number = i;
	rc = snet_dgram_open(&port->d, side->serve->hub, &at, port, err);
	if (!rc)
		snet_dgram_address(port->d, &side->stund.at[i]);
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
		snet_dgram_close(side->ports[3].d);
		side->ports[3].d = NULL;
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

		if (!side->ports[i].d)
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

/* The host is numeric, or "every address", which is one of each family. */
static int sort_in(struct stun_serve *s, const struct snet_url *place, const char *text,
		   struct snet_error *err)
{
	struct snet_addr found[NET_ADDRS];
	size_t n = 0;
	int rc = net_resolve(place, true, found, &n, err);

	for (size_t i = 0; i < n && !rc; i++) {
		int family = found[i].sa.sa_family;

		if (i && (!snet_addr_is_any(&found[i]) || family == found[0].sa.sa_family))
			continue;
		rc = add_address(&s->sides[family == AF_INET6], &found[i], text, err);
		s->sides[family == AF_INET6].implied = i > 0;
	}
	return rc;
}

static int open_all(struct stun_serve *s, struct snet_error *err)
{
	int rc = SNET_OK;

	for (size_t i = 0; i < s->n_places && !rc; i++)
		rc = sort_in(s, &s->places[i], s->texts[i], err);
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
	return rc;
}

static void on_known(const struct snet_error *unknown, void *user)
{
	struct stun_serve *s = user;
	struct snet_error err = { 0 };

	look_up_free(s->look_up);
	s->look_up = NULL;
	if (s->run->done)
		return; /* told to end meanwhile */
	if (unknown) {
		run_done(s->run, unknown, OPT_NONE);
	} else if (open_all(s, &err)) {
		run_done(s->run, &err, OPT_NONE);
	} else {
		for (size_t i = 0; i < 2; i++)
			say_listening(&s->sides[i]);
		ready_say();
	}
}

static int begin(struct stun_serve *s, size_t n, struct snet_error *err)
{
	if (n > PLACES)
		return snet_fail(err, SNET_EINVAL,
				 "--serve: %s: two addresses of a family at most",
				 s->texts[PLACES]);
	for (; s->n_places < n; s->n_places++) {
		int rc = stun_host_parse(&s->places[s->n_places], s->texts[s->n_places],
					 STUN_PORT, true, err);

		if (rc)
			return rc;
	}
	if (snet_dgram_hub_new(&s->hub, s->run->loop, &dgram_events, s))
		return snet_fail(err, SNET_ENOMEM, "server");
	snet_dgram_hub_set_v6_only(s->hub);
	return look_up_new(&s->look_up, s->run->loop, s->places, n, on_known, s, err);
}

int stun_serve_new(struct stun_serve **out, struct run *run, const char *const *texts, size_t n,
		   struct snet_error *err)
{
	struct stun_serve *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return snet_fail(err, SNET_ENOMEM, "server");
	s->run = run;
	s->texts = texts;
	rc = begin(s, n, err);
	if (rc) {
		stun_serve_free(s);
		return rc;
	}
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
	look_up_free(s->look_up);
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < SNET_STUND_SOCKETS; j++)
			snet_dgram_close(s->sides[i].ports[j].d);
	snet_dgram_hub_free(s->hub);
	free(s);
}
