/* Making rosters: plan one, print it, write it. */
#include "cli/roster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/hash.h"
#include "obs/jsonl.h"

/* Party i of those that share one address text: i ports above it, or in the same room. */
static int place(struct roster_member *m, const char *text, size_t i, struct snet_error *err)
{
	int rc = snet_url_parse(&m->address, text, err);

	if (rc)
		return rc;
	if (!*m->address.host || !m->address.port || m->address.has_key)
		return snet_fail(err, SNET_EINVAL,
				 "address '%.96s': want host and port, and no key id", text);
	m->has_address = true;
	if (m->address.room[0])
		return SNET_OK; /* it has place for all */
	if (m->address.port + i > UINT16_MAX)
		return snet_fail(err, SNET_EINVAL,
				 "address '%.96s': party %zu would have port %zu", text, i,
				 m->address.port + i);
	m->address.port = (uint16_t)(m->address.port + i);
	return SNET_OK;
}

int roster_plan(struct roster *r, size_t n, const char *const *at, size_t at_n,
		const char *prefix, const char *session, struct snet_error *err)
{
	struct roster_member *m;
	int rc = SNET_OK;

	if (at_n != 1 && at_n != n)
		return snet_fail(err, SNET_EINVAL,
				 "%zu addresses: want one, or one for each of %zu parties",
				 at_n, n);
	if (session && !snet_name_is_ok(session, strlen(session)))
		return snet_fail(err, SNET_EINVAL,
				 "session: want 1 to %d bytes without control characters",
				 SNET_NAME_MAX);
	m = calloc(n, sizeof(*m));
	if (!m)
		return snet_fail(err, SNET_ENOMEM, "roster");
	for (size_t i = 0; i < n && !rc; i++) {
		m[i].id = (uint32_t)i;
		if (snprintf(m[i].name, sizeof(m[i].name), "%s-%zu", prefix, i) > SNET_NAME_MAX)
			rc = snet_fail(err, SNET_EINVAL,
				       "name '%.64s': too long with a number behind it",
				       prefix);
		else
			rc = place(&m[i], at[at_n == n ? i : 0], at_n == n ? 0 : i, err);
	}
	if (rc) {
		free(m);
		return rc;
	}
	*r = (struct roster){ .members = m, .parties = n };
	strcpy(r->session, session ? session : "");
	return SNET_OK;
}

void roster_print_member(struct snet_buf *b, const struct roster_member *m)
{
	char key[SNET_KEYID_TEXT], address[SNET_URL_TEXT];

	snet_json_open(b);
	snet_json_uint(b, "id", m->id);
	if (*m->name)
		snet_json_words(b, "name", m->name);
	if (m->has_address)
		snet_json_words(b, "address", snet_url_print(&m->address, address));
	snet_json_words(b, "key", snet_keyid_print(m->key, key));
	if (m->profile)
		snet_json_words(b, "profile", roster_profiles[m->profile]);
	snet_json_close(b);
}

/* One member per line, for diff and grep. */
static void print_list(struct snet_buf *b, const char *key, const struct roster_member *m,
		       size_t n)
{
	snet_json_key(b, key);
	for (size_t i = 0; i < n; i++) {
		snet_buf_str(b, i ? ",\n " : "[\n ");
		roster_print_member(b, &m[i]);
	}
	snet_buf_str(b, "\n]");
}

int roster_save(const struct roster *r, const char *path, bool force, struct snet_error *err)
{
	struct snet_buf b = SNET_BUF(ROSTER_FILE_MAX);
	struct roster *again = NULL;
	int rc;

	snet_json_open(&b);
	if (*r->session)
		snet_json_words(&b, "session", r->session);
	if (r->profile)
		snet_json_words(&b, "profile", roster_profiles[r->profile]);
	print_list(&b, "parties", r->members, r->parties);
	if (r->clients)
		print_list(&b, "clients", r->members + r->parties, r->clients);
	snet_json_line(&b);
	rc = b.bad ? snet_fail(err, SNET_ENOMEM, "%s", path)
		   : roster_parse(&again, b.p, b.n, path, err);
	if (!rc)
		rc = snet_file_write(path, b.p, b.n, 0644, force, err);
	roster_free(again);
	snet_buf_free(&b);
	return rc;
}

/* Of party i's key, or of the roster after the last. */
static const char *file_of(const struct roster *r, size_t i, const char *dir,
			   char path[static PATH_MAX])
{
	if (i < r->parties)
		snprintf(path, PATH_MAX, "%s/%zu.key", dir, i);
	else
		snprintf(path, PATH_MAX, "%s/roster.json", dir);
	return path;
}

/* Nothing is made when not all of it can be. */
static int prepare(const struct roster *r, const char *dir, bool force, struct snet_error *err)
{
	char path[PATH_MAX];

	if (strlen(dir) > PATH_MAX - 64)
		return snet_fail(err, SNET_EIO, "%.64s...: %s", dir, strerror(ENAMETOOLONG));
	if (mkdir(dir, 0777) && errno != EEXIST)
		return snet_fail(err, SNET_EIO, "%s: %s", dir, strerror(errno));
	for (size_t i = 0; i <= r->parties && !force; i++)
		if (!access(file_of(r, i, dir, path), F_OK))
			return snet_fail(err, SNET_EIO, "%s: exists already, not overwritten",
					 path);
	return SNET_OK;
}

static int by_public_key(const void *a, const void *b)
{
	struct snet_slice x, y;

	x.p = snet_identity_spki(*(struct snet_identity *const *)a, &x.n);
	y.p = snet_identity_spki(*(struct snet_identity *const *)b, &y.n);
	return snet_key_compare(&x, &y);
}

/* All at once: whose key is which is known when all are there. */
static int make_identities(struct roster *r, enum snet_key_type type, struct snet_error *err)
{
	int rc = SNET_OK;

	r->fresh = calloc(r->parties, sizeof(struct snet_identity *));
	if (!r->fresh)
		return snet_fail(err, SNET_ENOMEM, "roster");
	for (size_t i = 0; i < r->parties && !rc; i++)
		rc = snet_identity_new(&r->fresh[i], type, NULL, err);
	if (rc)
		return rc;
	qsort(r->fresh, r->parties, sizeof(struct snet_identity *), by_public_key);
	for (size_t i = 0; i < r->parties && !rc; i++)
		rc = snet_identity_rename(r->fresh[i], r->members[i].name, err);
	return rc;
}

int roster_make(struct roster *r, size_t i, const char *dir, enum snet_key_type type,
		bool force, char path[static PATH_MAX], struct snet_identity **who,
		struct snet_error *err)
{
	int rc = i ? SNET_OK : prepare(r, dir, force, err);

	if (!rc && i == r->parties)
		return roster_save(r, file_of(r, i, dir, path), force, err);
	if (!rc && !r->fresh)
		rc = make_identities(r, type, err);
	if (!rc)
		rc = snet_identity_save(r->fresh[i], file_of(r, i, dir, path), force, err);
	if (rc)
		return rc;
	memcpy(r->members[i].key, snet_identity_keyid(r->fresh[i]), SNET_KEYID_BYTES);
	*who = r->fresh[i];
	r->fresh[i] = NULL; /* now the caller's */
	return SNET_OK;
}

void roster_unplan(struct roster *r)
{
	for (size_t i = 0; r->fresh && i < r->parties; i++)
		snet_identity_free(r->fresh[i]);
	free(r->fresh);
	free(r->members);
	*r = (struct roster){ 0 };
}
