/* Turn_cred: the user and password for a TURN server, from a file, so that they stand in no
 * command line. One line, user:password or user:password:realm; or, for those with a colon in
 * them, two or three lines: user, password, realm. */
#ifndef SNET_NAT_TURN_CRED_H
#define SNET_NAT_TURN_CRED_H

#include "base/err.h"
#include "nat/stunauth.h"

#define SNET_TURN_CRED_FILE_MAX 4096 /* bytes */

struct snet_turn_cred {
	char user[SNET_STUN_USERNAME_MAX + 1];
	char password[SNET_STUN_KEY_MAX + 1];
	char realm[SNET_STUN_TEXT_MAX + 1]; /* "": any */
};

/* SNET_ECONFIG: not to be read, open to others than its owner, or not of that form;
 * SNET_ENOMEM. Wipe what it filled; err holds nothing secret. */
int snet_turn_cred_load(struct snet_turn_cred *out, const char *path, struct snet_error *err);
/* The same of text that has been read; name: for err. */
int snet_turn_cred_parse(struct snet_turn_cred *out, const void *p, size_t n, const char *name,
			 struct snet_error *err);
void snet_turn_cred_wipe(struct snet_turn_cred *c);

#endif
