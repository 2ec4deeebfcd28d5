#include "mesh/stall.h"

void snet_stall_begin(struct snet_stall *s, const struct snet_stall_state *now)
{
	s->acked = now->acked;
	s->received = now->received;
}

const char *snet_stall_check(struct snet_stall *s, const struct snet_stall_state *now)
{
	if (now->queued && now->acked == s->acked)
		return "it reads nothing";
	if (now->partial && !s->was_paused && !now->paused &&
	    now->received - s->received < SNET_STALL_BYTES)
		return "it does not finish its message";
	s->was_paused = now->paused;
	snet_stall_begin(s, now);
	return NULL;
}
