/* Tokens: who may come in. Kept as digests, so that neither memory nor the time of an answer
 * gives one away. */
#ifndef SNET_SIGNAL_TOKENS_H
#define SNET_SIGNAL_TOKENS_H

#include <stdbool.h>

#include "base/bytes.h"

struct snet_tokens {
	struct snet_buf digests; /* SHA-256, one after the other */
	bool are_wanted;         /* else anybody may come in */
};

/* One token per line; white space around, empty lines and such that begin with # are nothing.
 * The file must be its owner's alone. SNET_ECONFIG; SNET_ENOMEM. */
int snet_tokens_load(struct snet_tokens *t, const char *path, struct snet_error *err);
void snet_tokens_fini(struct snet_tokens *t);

/* given: NULL for none. */
bool snet_tokens_accept(const struct snet_tokens *t, const char *given);

/* The first one in the file, for a client: out as large as SNET_SIGNAL_TOKEN_MAX + 1, to be
 * wiped. SNET_ECONFIG. */
int snet_token_read(char *out, const char *path, struct snet_error *err);

#endif
