#include "cli/ice_setup.h"

#include "cli/groups.h"
#include "cli/ice_opts.h"
#include "cli/stun_host.h"
#include "crypto/hash.h"

#define NO_LIMIT (365 * 24 * 3600 * SNET_SEC) /* "never", and still a time to reckon with */

static void set_agent(struct snet_agent_config *a, const struct ice_words *w)
{
	uint8_t coin = 0;

	*a = snet_agent_defaults;
	if (w->role == ICE_AUTO && snet_random(&coin, 1))
		coin = 1; /* a conflict is settled anyway */
	a->controlling = w->role == ICE_CONTROLLING || (w->role == ICE_AUTO && coin & 1);
	/* Who asks for less time than is usual means it. */
	if (cli.timeout < a->overall_timeout)
		a->patience = cli.timeout;
	a->overall_timeout = cli.timeout < NO_LIMIT ? cli.timeout : NO_LIMIT;
	if (!w->consent)
		return;
	a->consent_timeout = w->consent < NO_LIMIT ? w->consent : NO_LIMIT;
	if (a->consent_every > a->consent_timeout / 6)
		a->consent_every = a->consent_timeout / 6;
}

static int set_bind(struct snet_ice_opts *o, const char *text, struct snet_error *err)
{
	struct snet_addr found[NET_ADDRS];
	size_t n;
	int rc = stun_host(text, 0, true, found, &n, err);

	if (rc)
		return rc;
	if (snet_addr_is_any(&found[0]))
		o->port = snet_addr_port(&found[0]);
	else
		o->bind = found[0];
	return SNET_OK;
}

int ice_setup_words(struct snet_ice_opts *o, const struct ice_words *w, struct snet_error *err)
{
	set_agent(&o->agent, w);
	return w->bind ? set_bind(o, w->bind, err) : SNET_OK;
}

int ice_setup(struct ice_opts *o, const struct ice_words *w, struct snet_error *err)
{
	int rc = ice_opts_get(&o->ice, err);

	o->wait = cli.wait;
	return rc ? rc : ice_setup_words(&o->ice, w, err);
}
