/* Allow: whom to let in. Closed by default: a peer comes in because its key id is on the list
 * or its certificate chain ends at a given CA; or everybody does, when told so. */
#ifndef SNET_CRYPTO_ALLOW_H
#define SNET_CRYPTO_ALLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct snet_trust;

#define SNET_TRUST_MAX 65536u           /* key ids */
#define SNET_TRUST_FILE_MAX (16u << 20) /* bytes of an allow file, of a CA file */

/* Owner: the caller. SNET_ENOMEM, SNET_EIO (no randomness). */
int snet_trust_new(struct snet_trust **out, struct snet_error *err);
void snet_trust_free(struct snet_trust *t); /* NULL is fine */

/* name: copied; NULL or "": keeps the one it has. SNET_ECONFIG: the list is full, or a name
 * that cannot be printed. */
int snet_trust_add(struct snet_trust *t, const uint8_t keyid[static SNET_KEYID_BYTES],
		   const char *name, struct snet_error *err);
/* One key id and an optional name per line; empty lines and lines that begin with '#' are
 * skipped. SNET_ECONFIG names file and line; what stands above a bad line has been added. */
int snet_trust_add_file(struct snet_trust *t, const char *path, struct snet_error *err);
/* What --allow takes: a key id, or else the path of such a file. */
int snet_trust_add_text(struct snet_trust *t, const char *text, struct snet_error *err);
/* PEM certificates of CAs; may be called again for more. SNET_ECONFIG, SNET_ENOMEM. */
int snet_trust_set_ca(struct snet_trust *t, const char *path, struct snet_error *err);
void snet_trust_set_insecure(struct snet_trust *t); /* anyone */
void snet_trust_clear(struct snet_trust *t);        /* as new: nobody */

bool snet_trust_is_insecure(const struct snet_trust *t);
bool snet_trust_has_ca(const struct snet_trust *t);
bool snet_trust_is_empty(const struct snet_trust *t); /* nobody can come in */
/* NULL: not listed; "": listed without a name. */
const char *snet_trust_name(const struct snet_trust *t,
			    const uint8_t keyid[static SNET_KEYID_BYTES]);

/* Is it the one peer that was expected? In constant time. SNET_EDENIED: "[name: ]expected KEY,
 * saw KEY". name: NULL or whom err is to name. */
int snet_trust_check_pin(const uint8_t expected[static SNET_KEYID_BYTES],
			 const uint8_t seen[static SNET_KEYID_BYTES], const char *name,
			 struct snet_error *err);

#endif
