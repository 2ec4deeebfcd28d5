/* Roster: the one public file that says who is in a session. Parties have
 * address and key, clients a key.
 *
 *	{"session": "label", "profile": "snet/1",
 *	 "parties": [{"id": 0, "name": "a", "address": "quic://h:9000", "key": "<keyid>"},
 *	             {"id": 1, ..., "profile": "stoffelnet-0.1"}],
 *	 "clients": [{"id": 7, "name": "c", "key": "<keyid>"}]}
 *
 * Parties must be there, each with id, address and key. What is not listed
 * here is an error, not ignored. */
#ifndef CLI_ROSTER_H
#define CLI_ROSTER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "crypto/allow.h"
#include "crypto/identity.h"

#define ROSTER_MAX SNET_TRUST_MAX      /* parties and clients together */
#define ROSTER_FILE_MAX (16u << 20)    /* bytes */
#define ROSTER_ID_MAX (UINT32_MAX - 1) /* UINT32_MAX means everyone, snet(7) */

enum roster_profile { ROSTER_PROFILE_ANY, ROSTER_PROFILE_SNET1, ROSTER_PROFILE_STOFFELNET_0_1 };

extern const char *const roster_profiles[]; /* in order of the enum; any: NULL */

struct roster_member {
	uint32_t id;
	bool client;
	char name[SNET_NAME_TEXT]; /* "" when it has none */
	bool has_address;          /* every party has one */
	enum roster_profile profile;
	struct snet_url address; /* without a key: that stands beside it */
	uint8_t key[SNET_KEYID_BYTES];
};

struct roster {
	char session[SNET_NAME_TEXT]; /* "" when it has none */
	enum roster_profile profile;
	/* As they stand in the file: parties, then clients. named: of both. */
	struct roster_member *members;
	size_t parties, clients, named;

	/* The same in other orders, pointing into members: parties, then clients, by id; by
	 * name, named of them; by key. NULL in a roster that is only to be written. */
	const struct roster_member **by_id, **by_name, **by_key;

	struct snet_identity **fresh; /* of roster_make: not handed out yet */
};

/* Reads and checks path. SNET_ECONFIG: err names file, line and party; SNET_ENOMEM. Owner: the
 * caller, roster_free (NULL is fine). */
int roster_load(struct roster **out, const char *path, struct snet_error *err);
/* The same for bytes; path: for err. */
int roster_parse(struct roster **out, const void *text, size_t n, const char *path,
		 struct snet_error *err);
void roster_free(struct roster *r);

/* Borrowed while the roster is; NULL: nobody. */
const struct roster_member *roster_party(const struct roster *r, uint32_t id);
const struct roster_member *roster_client(const struct roster *r, uint32_t id);
const struct roster_member *roster_named(const struct roster *r, const char *name);
const struct roster_member *roster_holder(const struct roster *r,
					  const uint8_t key[static SNET_KEYID_BYTES]);

/* Lets every member in, by its key. As snet_trust_add. */
int roster_allow(const struct roster *r, struct snet_trust *t, struct snet_error *err);

/* ---- making one: roster_make.c */

/* Parties 0 to n - 1, called "prefix-0", "prefix-1" ..., with at_n addresses: one for each, or
 * one that is party 0's, the others being on the ports above. session: NULL for none. Their
 * keys are the caller's to fill, or roster_make's; roster_unplan frees it. SNET_EINVAL,
 * SNET_ENOMEM. */
int roster_plan(struct roster *r, size_t n, const char *const *at, size_t at_n,
		const char *prefix, const char *session, struct snet_error *err);

/* The files of a planned roster, step by step: steps 0 to parties - 1 write the key of
 * one party each, DIR/0.key ..., and give its identity, the caller's to free; the
 * last writes DIR/roster.json, so that where that is, everything is, and leaves *who
 * alone. path: what was written. The parties are in the order of their public keys, by
 * which the Rust crate numbers them. Fails as snet_identity_save and roster_save; at step
 * 0, when a file is in the way. */
int roster_make(struct roster *r, size_t i, const char *dir, enum snet_key_type type,
		bool force, char path[static PATH_MAX], struct snet_identity **who,
		struct snet_error *err);

void roster_unplan(struct roster *r);

/* Appends one member as a JSON object, no newline. The buffer goes bad when it is full. */
void roster_print_member(struct snet_buf *b, const struct roster_member *m);
/* Writes session, profile and members, once they have passed the checks of roster_parse.
 * SNET_ECONFIG, SNET_ENOMEM, and as snet_file_write. */
int roster_save(const struct roster *r, const char *path, bool force, struct snet_error *err);

#endif
