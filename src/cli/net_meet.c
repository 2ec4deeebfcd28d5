#include "cli/net_meet.h"

#include <string.h>

#include "cli/groups.h"
#include "crypto/allow.h"
#include "crypto/identity.h"

static bool is_same(const struct snet_url *a, const struct snet_url *b)
{
	return !strcmp(a->scheme, b->scheme) && !strcmp(a->host, b->host) &&
	       a->port == b->port && !strcmp(a->room, b->room);
}

static void fill(const struct net_meets *m, const struct snet_url *u, struct snet_meet_opts *o)
{
	*o = (struct snet_meet_opts){
		.url = { .tls = !strcmp(u->scheme, "ice+wss"), .port = u->port },
		.token = m->token,
		.ca = cli.ca,
		.key = snet_identity_keyid(m->net->identity),
		.connect = { .ice = *m->ice, .config = &m->net->config },
		.keep_alive = cli.keep_alive,
	};
	memcpy(o->url.host, u->host, sizeof(o->url.host));
	memcpy(o->url.room, u->room, sizeof(o->url.room));
}

int net_meet(struct net_meets *m, const struct snet_url *u, bool answers,
	     struct snet_meet **out, struct snet_error *err)
{
	struct snet_meet_opts o;
	struct net_room *r;
	int rc;

	for (size_t i = 0; i < m->n; i++) {
		if (!is_same(&m->rooms[i].url, u))
			continue;
		*out = m->rooms[i].meet;
		return SNET_OK;
	}
	if (m->n >= NET_MEETS)
		return snet_fail(err, SNET_EINVAL, "more than %d rooms", NET_MEETS);
	fill(m, u, &o);
	o.answers = answers;
	r = &m->rooms[m->n];
	rc = snet_meet_new(&r->meet, m->net->loop, &o, m->events, m->user, err);
	if (rc)
		return rc;
	r->url = *u;
	m->n++;
	*out = r->meet;
	return SNET_OK;
}

int net_answer(struct net_meets *m, const struct snet_url *u, int fd, struct snet_error *err)
{
	struct snet_meet *meet;

	if (fd >= 0)
		return snet_fail(err, SNET_ECONFIG,
				 "LISTEN_FDS: in a room no socket of another is taken over");
	return net_meet(m, u, true, &meet, err);
}

bool net_is_room(const struct net_meets *m, const struct snet_meet *room,
		 const struct snet_url *u)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->rooms[i].meet == room)
			return is_same(&m->rooms[i].url, u);
	return false;
}

const char *net_meet_url(const struct net_meets *m, char out[static SNET_URL_TEXT])
{
	struct snet_url u;

	if (m->net->listener)
		return net_own_url(m->net, out);
	u = m->rooms[0].url;
	u.has_key = true;
	memcpy(u.key, snet_identity_keyid(m->net->identity), sizeof(u.key));
	return snet_url_print(&u, out);
}

void net_meets_fini(struct net_meets *m)
{
	while (m->n)
		snet_meet_free(m->rooms[--m->n].meet);
}

bool net_wants(const struct net *n, const uint8_t key[static SNET_KEYID_BYTES])
{
	return snet_trust_is_insecure(n->trust) || cli.ca || snet_trust_name(n->trust, key);
}
