#include "signal/tokens.h"

#include <string.h>

#include "base/file.h"
#include "crypto/hash.h"
#include "signal/server.h"
#include "signal/upgrade.h"

#define FILE_MAX (1 << 20) /* bytes */

/* The next token of a file. 1; 0: no more; SNET_ECONFIG. */
static int next(const char **at, const char *end, unsigned *line, const char **token, size_t *n)
{
	while (*at < end) {
		const char *p = *at, *stop = memchr(p, '\n', (size_t)(end - p));

		if (!stop)
			stop = end;
		*at = stop + (stop < end);
		++*line;
		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
			stop--;
		if (p == stop || *p == '#')
			continue;
		*token = p;
		*n = (size_t)(stop - p);
		return snet_signal_token_is_good(p, *n) ? 1 : SNET_ECONFIG;
	}
	return 0;
}

static int bad_line(struct snet_error *err, const char *path, unsigned line)
{
	return snet_fail(err, SNET_ECONFIG,
			 "%s: line %u: a token is 1 to %d letters, digits and -._~+/=", path,
			 line, SNET_SIGNAL_TOKEN_MAX);
}

int snet_tokens_load(struct snet_tokens *t, const char *path, struct snet_error *err)
{
	struct snet_buf file = SNET_BUF(FILE_MAX);
	const char *at, *end, *token;
	uint8_t digest[SNET_SHA256_BYTES];
	unsigned line = 0;
	size_t n;
	int rc = snet_file_read(&file, path, true, SNET_ECONFIG, err);

	*t = (struct snet_tokens){ SNET_BUF(SNET_SIGNAL_TOKENS * SNET_SHA256_BYTES), true };
	if (rc)
		goto out;
	at = (const char *)file.p;
	end = at + file.n;
	while ((rc = next(&at, end, &line, &token, &n)) == 1) {
		rc = snet_sha256(digest, token, n);
		if (!rc)
			rc = snet_buf_add(&t->digests, digest, sizeof(digest));
		if (rc) {
			snet_fail(err, rc, "%s: line %u: %s", path, line,
				  rc == SNET_ETOOBIG ? "too many tokens" : snet_err_text(rc));
			goto out;
		}
	}
	if (rc)
		bad_line(err, path, line);
	else if (!t->digests.n)
		rc = snet_fail(err, SNET_ECONFIG, "%s: there is no token in it", path);
out:
	snet_buf_wipe(&file);
	if (rc)
		snet_tokens_fini(t);
	return rc;
}

void snet_tokens_fini(struct snet_tokens *t)
{
	snet_buf_wipe(&t->digests);
}

bool snet_tokens_accept(const struct snet_tokens *t, const char *given)
{
	uint8_t digest[SNET_SHA256_BYTES];
	bool found = false;

	if (!t->are_wanted)
		return true;
	if (!given || snet_sha256(digest, given, strlen(given)))
		return false;
	/* All of them: which one it is takes no less time. */
	for (size_t at = 0; at < t->digests.n; at += sizeof(digest))
		found |= !memcmp(t->digests.p + at, digest, sizeof(digest));
	return found;
}

int snet_token_read(char *out, const char *path, struct snet_error *err)
{
	struct snet_buf file = SNET_BUF(FILE_MAX);
	const char *at, *token;
	unsigned line = 0;
	size_t n = 0;
	int rc = snet_file_read(&file, path, true, SNET_ECONFIG, err);

	if (rc)
		goto out;
	at = (const char *)file.p;
	rc = next(&at, at + file.n, &line, &token, &n);
	if (rc == 1) {
		memcpy(out, token, n);
		out[n] = 0;
		rc = SNET_OK;
	} else if (rc) {
		bad_line(err, path, line);
	} else {
		rc = snet_fail(err, SNET_ECONFIG, "%s: there is no token in it", path);
	}
out:
	snet_buf_wipe(&file);
	return rc;
}
