#include "cli/ice_quic.h"

#include <stdio.h>
#include <string.h>

#include "cli/groups.h"

static const char *signal_at;

const struct opt ice_quic_opts[] = {
	{ 0, "signal", "URL", OPT_STR, &signal_at,
	  "where to meet: ws://HOST:PORT/ROOM, with the other side's #KEYID behind it" },
	{ 0 },
};

const char *ice_quic_misuse(bool quic)
{
	if (quic && !signal_at)
		return "--quic wants --signal";
	if (quic)
		return NULL;
	if (signal_at)
		return "--signal is for --quic";
	if (cli.key || cli.roster || cli.id != OPT_NONE || cli.allow.n || cli.ca ||
	    cli.insecure)
		return "keys are for --quic: without it nobody looks at them";
	if (cli.format != FORMAT_JSON)
		return "--format is for --quic";
	return NULL;
}

int ice_quic(struct hub *h, struct run *run, const struct ice_words *w, struct snet_error *err)
{
	char operand[SNET_URL_TEXT];
	struct snet_url url;
	int n = snprintf(operand, sizeof(operand), "ice+%s", signal_at);
	int rc = hub_init(h, run, NULL, err);

	if (!rc)
		rc = ice_setup_words(&h->ice, w, err);
	if (rc)
		return rc;
	if (n >= (int)sizeof(operand) ||
	    (strncmp(signal_at, "ws://", 5) != 0 && strncmp(signal_at, "wss://", 6) != 0))
		return snet_fail(err, SNET_EINVAL,
				 "--signal: '%.64s': want ws://HOST:PORT/ROOM", signal_at);
	if (w->role == ICE_AUTO)
		return hub_meet_both(h, operand, err);
	if (w->role == ICE_CONTROLLING)
		return hub_target(h, operand, err);
	rc = snet_url_parse(&url, operand, err);
	return rc ? rc : hub_listen(h, &url, err);
}
