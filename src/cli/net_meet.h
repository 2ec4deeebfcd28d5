/* Net meet: the rooms of addresses that begin with ice+ws:// or ice+wss:// (snet(7),
 * ADDRESSES), one membership for each. */
#ifndef CLI_NET_MEET_H
#define CLI_NET_MEET_H

#include "cli/net.h"
#include "mesh/meet.h"

#define NET_MEETS 16 /* rooms of one program */

struct net_meet;

/* How ICE is to be done, and who is told. All are borrowed. */
struct net_meets {
	struct net *net;
	const struct snet_ice_opts *ice;
	const char *token; /* for the servers; NULL: none */
	const struct snet_meet_events *events;
	void *user;
	struct net_room {
		struct snet_url url;
		struct snet_meet *meet;
	} rooms[NET_MEETS];
	size_t n;
};

/* The room of an address, joined when it is first asked for; answers: others may call there. No
 * key of the address is looked at. SNET_EINVAL: too many rooms; as snet_meet_new. */
int net_meet(struct net_meets *m, const struct snet_url *u, bool answers,
	     struct snet_meet **out, struct snet_error *err);
/* To be called there by others, by a program that was given socket fd, or -1: ICE makes its
 * own, one for each call. SNET_ECONFIG: fd; as net_meet. */
int net_answer(struct net_meets *m, const struct snet_url *u, int fd, struct snet_error *err);
/* Whether an address is of that room. */
bool net_is_room(const struct net_meets *m, const struct snet_meet *room,
		 const struct snet_url *u);
/* What the other side writes to reach us: where we listen, or in the first room. Returns out.
 */
const char *net_meet_url(const struct net_meets *m, char out[static SNET_URL_TEXT]);
/* Before net_fini. */
void net_meets_fini(struct net_meets *m);

/* Whether who claims this key could be let in: what snet_meet_events.wants asks. */
bool net_wants(const struct net *n, const uint8_t key[static SNET_KEYID_BYTES]);

#endif
