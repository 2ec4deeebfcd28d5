/* Turn server: one allocation of RFC 8656, in virtual time and without a socket, that answers
 * as it is told and asserts that what it is asked keeps to the RFC. */
#ifndef TESTS_SUPPORT_TURN_SERVER_H
#define TESTS_SUPPORT_TURN_SERVER_H

#include "nat/stunauth.h"
#include "nat/turn.h"

#define TURN_SERVER_GRANTS 300

struct turn_server_grant {
	struct snet_addr peer; /* of a permission: port 0 */
	uint16_t number;       /* of a channel */
	snet_time ends;
};

struct turn_server {
	/* what it is */
	const char *user, *password, *realm;
	bool stream;
	bool open;           /* asks nobody for credentials */
	bool sha256;         /* offers PASSWORD-ALGORITHMS */
	bool userhash;       /* and user hashes */
	bool bid_down;       /* says so in the nonce, and then does not offer them */
	bool odd_algorithms; /* offers ones that nobody knows */
	bool no_dont_fragment;
	bool no_ipv4; /* relays IPv6 only */
	bool wrong_family;
	uint32_t lifetime_s;
	snet_time nonce_life; /* 0: for ever */
	/* Instead of an answer to method m: fail[m] so often. */
	int fail[16], times[16];
	struct snet_addr alternate; /* of a 300; AF_UNSPEC: it names none */
	bool forge;                 /* signs with another key */
	bool unsign;                /* does not sign */
	/* what has happened */
	bool allocated;
	bool moved; /* the alternate is asked: the next allocate is a new server's */
	snet_time ends, nonce_since;
	unsigned nonce;
	uint8_t id[SNET_STUN_ID]; /* of the allocate that was answered */
	struct turn_server_grant perm[TURN_SERVER_GRANTS], channel[TURN_SERVER_GRANTS];
	size_t perm_n, channel_n;
	unsigned seen[16]; /* requests by method */
	bool saw_userhash, saw_sha256, saw_dont_fragment, saw_family, saw_additional;
	uint32_t saw_lifetime;
	/* The last data for a peer: n < 0 none yet. */
	struct snet_addr to;
	uint8_t data[4096];
	long data_n;
	unsigned datas;
	bool by_channel;
};

void turn_server_init(struct turn_server *s);
/* One message of the client; returns the length of the answer, 0: none. */
size_t turn_server_input(struct turn_server *s, const uint8_t *p, size_t n, snet_time now,
			 uint8_t *out, size_t cap);
/* Bytes of a peer, as the server passes them on; 0: it has no permission. */
size_t turn_server_data(struct turn_server *s, const struct snet_addr *peer, const void *p,
			size_t n, snet_time now, uint8_t *out, size_t cap);

#endif
