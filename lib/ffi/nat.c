#include "ffi/nat.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct snet_connect_opts snet_ffi_nat_opts(const struct snet_ffi_manager *m)
{
	struct snet_connect_opts o = { .config = &m->config };

	/* Sockets of their own, at the addresses at which the manager is. */
	o.ice.bind = m->at;
	snet_addr_set_port(&o.ice.bind, 0);
	o.ice.loopback = snet_addr_is_loopback(&m->at);
	o.ice.servers_n = m->nat.n_servers;
	memcpy(o.ice.servers, m->nat.servers, sizeof(o.ice.servers));
	return o;
}

void snet_ffi_nat_say(const struct snet_agent_event *ev)
{
	char from[SNET_ADDR_TEXT], to[SNET_ADDR_TEXT];

	if (ev->what != SNET_AGENT_SELECTED)
		return;
	snet_log(SNET_LOG_INFO, "ffi", "the pair is %s %s, %s %s",
		 snet_candidate_name(ev->local.c.type),
		 snet_addr_print(&ev->local.c.address, from),
		 snet_candidate_name(ev->remote.type),
		 snet_addr_print(&ev->remote.address, to));
}

int snet_ffi_way_to(struct snet_ffi_way **out, struct snet_ffi_manager *m, uint64_t id,
		    const struct snet_url *room, struct snet_error *err)
{
	*out = snet_ffi_exchange_way(m, id);
	if (*out)
		return SNET_OK;
	if (room)
		return snet_ffi_room_call(out, m, room, err);
	return snet_fail(err, SNET_ENOENT,
			 "Party %llu has no address, and no candidates were exchanged with it",
			 (unsigned long long)id);
}

void snet_ffi_nat_stop(struct snet_ffi_manager *m, const char *why)
{
	snet_ffi_rooms_stop(m, why);
	snet_ffi_exchanges_stop(m, why);
}

void snet_ffi_nat_leave(struct snet_ffi_manager *m)
{
	struct snet_ffi_runtime *rt = m->rt;

	pthread_mutex_lock(&rt->lock);
	snet_ffi_rooms_leave(m);
	snet_ffi_exchanges_leave(m);
	pthread_mutex_unlock(&rt->lock);
}

void snet_ffi_nat_fini(struct snet_ffi_manager *m)
{
	for (size_t i = 0; i < m->nat.n_servers; i++) {
		struct snet_ice_server *s = &m->nat.servers[i];
		struct snet_turn_cred *cred = (struct snet_turn_cred *)s->cred;

		if (cred)
			snet_turn_cred_wipe(cred);
		free(cred);
		free((char *)s->host);
	}
}
