#include <stdlib.h>
#include <string.h>

#include "nat/driver_impl.h"

/* What the peer says: its credentials and candidates, some of which are names. */

#define NAME_TIMEOUT (3 * SNET_SEC) /* mDNS answers within milliseconds, or nobody does */
#define LOOKUPS_MAX 32              /* at a time */

/* A candidate of the peer's whose name is being looked up. */
struct lookup {
	struct snet_ice *ice;
	struct snet_list node;
	struct snet_resolve *question;
	struct snet_candidate c;
};

int snet_ice_set_remote(struct snet_ice *ice, const char *ufrag, const char *pwd)
{
	int rc = snet_agent_set_remote(ice->agent, ufrag, pwd, ice_now(ice));

	if (!rc)
		strcpy(ice->remote, ufrag);
	ice_pump(ice);
	return rc;
}

static int add(struct snet_ice *ice, const struct snet_candidate *c)
{
	int rc = snet_agent_add_remote(ice->agent, c, ice_now(ice));

	if (!rc) /* before the first check is sent there */
		ice_permit(ice, &c->address);
	return rc;
}

/* The address we met the peer at, and use, is its relay's, and that is told of only now:
 * whoever takes the pair for a direct one hears of it again. */
static void tell_if_relay(struct snet_ice *ice, const struct snet_candidate *told)
{
	struct snet_agent_event ev;

	if (told->type != SNET_CANDIDATE_RELAY || !snet_agent_selected(ice->agent, &ev) ||
	    ev.remote.type != SNET_CANDIDATE_PRFLX ||
	    !snet_addr_eq(&ev.remote.address, &told->address))
		return;
	ev.remote = *told;
	ev.changed = true;
	ice->ev->on_event(&ev, ice->user);
}

/* One on this host, and we have none yet: that is a matter of who was faster. */
static bool hold(struct snet_ice *ice, const struct snet_candidate *c)
{
	if (!snet_addr_is_loopback(&c->address) || !(ice->begin || ice->gathering) ||
	    ice->held_n == HELD_MAX)
		return false;
	ice->held[ice->held_n++] = *c;
	return true;
}

void ice_release_held(struct snet_ice *ice)
{
	size_t n = ice->held_n;

	ice->held_n = 0;
	for (size_t i = 0; i < n; i++)
		(void)add(ice, &ice->held[i]); /* counted */
}

static void end_if_all(struct snet_ice *ice)
{
	if (ice->remote_ended && !ice->lookups_n)
		snet_agent_end_remote(ice->agent, ice_now(ice));
}

/* ---- names */

static void drop(struct lookup *l)
{
	l->ice->lookups_n--;
	snet_list_del(&l->node);
	free(l);
}

static void on_found(const struct snet_addr *v, size_t n, const struct snet_error *err,
		     void *user)
{
	struct lookup *l = user;
	struct snet_ice *ice = l->ice;
	struct snet_candidate c = l->c;
	int rc = SNET_ERESOLVE;

	/* RFC 8839 §5.1: a name that has several addresses: the first is meant. */
	(void)n;
	drop(l);
	if (err) {
		ice_trouble(ice, err);
	} else {
		c.address = v[0];
		rc = add(ice, &c); /* counted */
	}
	end_if_all(ice);
	ice_pump(ice);
	if (!rc)
		tell_if_relay(ice, &c);
}

static int look_up(struct snet_ice *ice, const struct snet_sdp_candidate *c)
{
	struct snet_resolve_opts o = { .host = c->name,
				       .port = c->port,
				       .timeout = NAME_TIMEOUT };
	struct lookup *l;
	int rc;

	if (ice->lookups_n >= LOOKUPS_MAX)
		return SNET_ETOOBIG;
	l = calloc(1, sizeof(*l));
	if (!l)
		return SNET_ENOMEM;
	l->ice = ice;
	l->c = c->c;
	rc = snet_resolve_new(&l->question, ice->loop, &o, on_found, l, NULL);
	if (rc) {
		free(l);
		return rc;
	}
	snet_list_add(&ice->lookups, &l->node);
	ice->lookups_n++;
	return SNET_OK;
}

int snet_ice_add_remote(struct snet_ice *ice, const struct snet_sdp_candidate *c)
{
	int rc;

	if (*c->ufrag && *ice->remote && strcmp(c->ufrag, ice->remote) != 0)
		return SNET_ENOENT;
	if (*c->name && c->c.address.sa.sa_family == AF_UNSPEC)
		return snet_agent_state(ice->agent) < SNET_AGENT_FAILED ? look_up(ice, c)
									: SNET_ECLOSED;
	rc = add(ice, &c->c);
	if (rc == SNET_EPOLICY && hold(ice, &c->c))
		rc = SNET_OK;
	ice_pump(ice);
	if (!rc)
		tell_if_relay(ice, &c->c);
	return rc;
}

void snet_ice_end_remote(struct snet_ice *ice)
{
	ice->remote_ended = true;
	end_if_all(ice);
	ice_pump(ice);
}

void ice_forget_remote(struct snet_ice *ice)
{
	while (!snet_list_is_empty(&ice->lookups)) {
		struct lookup *l = SNET_OF(ice->lookups.next, struct lookup, node);

		snet_resolve_free(l->question);
		drop(l);
	}
	*ice->remote = '\0';
	ice->remote_ended = false;
	ice->held_n = 0;
}
