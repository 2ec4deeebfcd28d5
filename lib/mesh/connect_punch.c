#include "mesh/connect_punch.h"

#include <stdio.h>
#include <string.h>

void snet_connect_punch_offer(struct snet_offer *out, const struct snet_ice *ice,
			      const char *remote, const struct snet_pact_word *w)
{
	*out = (struct snet_offer){
		.what = SNET_OFFER_PUNCH,
		.punch = { .ack = w->kind == SNET_PACT_ACK,
			   .id = w->id,
			   .target = w->target,
			   .delay_ms = (uint32_t)(w->delay / SNET_MS),
			   .wall_ms = snet_wall_us() / 1000 },
	};
	snprintf(out->ufrag, sizeof(out->ufrag), "%s", snet_agent_ufrag(snet_ice_agent(ice)));
	snprintf(out->remote_ufrag, sizeof(out->remote_ufrag), "%s", remote);
}

/* Where it is not said, it is not known to be. */
static bool is_other(const char *said, const char *known)
{
	return *said && strcmp(said, known) != 0;
}

int snet_connect_punch_hear(struct snet_ice *ice, const char *remote,
			    const struct snet_offer *o)
{
	const struct snet_pact_word w = {
		.kind = o->punch.ack ? SNET_PACT_ACK : SNET_PACT_REQUEST,
		.id = o->punch.id,
		.target = o->punch.target,
		.delay = o->punch.delay_ms * SNET_MS,
	};

	if (is_other(o->ufrag, remote) ||
	    is_other(o->remote_ufrag, snet_agent_ufrag(snet_ice_agent(ice))))
		return SNET_ENOENT;
	return snet_ice_hear_punch(ice, &w);
}
