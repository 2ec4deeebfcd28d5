#include "cli/roster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NO_INDEX SIZE_MAX

/* Where the reading is, for errors: the index-th element of a list, or a top-level key. */
struct at {
	const char *path, *key;
	const char *text, *end;
	size_t index;
	struct snet_error *err;
};

const char *const roster_profiles[] = {
	[ROSTER_PROFILE_ANY] = NULL,
	[ROSTER_PROFILE_SNET1] = "snet/1",
	[ROSTER_PROFILE_STOFFELNET_0_1] = "stoffelnet-0.1",
};

/* jansson forgets where a value stood. The text is JSON by now, so brackets and strings are
 * enough to find it again. 0: the key is written with escapes. */
static size_t line_of(const struct at *at)
{
	size_t line = 1, depth = 0, seen = 0, n = strlen(at->key);
	bool inside = false;

	for (const char *p = at->text; p < at->end; p++) {
		if (inside && depth == 2 && seen == at->index && !strchr(", \t\r\n", *p))
			return line;
		if (*p == '"') {
			const char *s = p + 1;

			while (++p < at->end && *p != '"')
				p += *p == '\\';
			if (depth == 1)
				inside = (size_t)(p - s) == n && !memcmp(s, at->key, n);
			if (inside && at->index == NO_INDEX)
				return line;
		}
		depth += *p == '{' || *p == '[';
		depth -= *p == '}' || *p == ']';
		seen += inside && depth == 2 && *p == ',';
		line += *p == '\n';
	}
	return 0;
}

static int bad(const struct at *at, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int bad(const struct at *at, const char *fmt, ...)
{
	char what[192], where[32] = "", who[32] = "";
	size_t line = at->key ? line_of(at) : 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (line)
		snprintf(where, sizeof(where), ":%zu", line);
	if (at->key && at->index != NO_INDEX)
		snprintf(who, sizeof(who), "%s[%zu]: ", at->key, at->index);
	return snet_fail(at->err, SNET_ECONFIG, "%s%s: %s%s", at->path, where, who, what);
}

/* Copies a name into out. */
static int take_name(char out[static SNET_NAME_TEXT], const json_t *v, const char *key,
		     const struct at *at)
{
	const char *s = json_string_value(v);

	if (!s || !snet_name_is_ok(s, json_string_length(v)))
		return bad(at, "%s: want a string of 1 to %d bytes without control characters",
			   key, SNET_NAME_MAX);
	memcpy(out, s, json_string_length(v) + 1);
	return SNET_OK;
}

static int take_address(struct roster_member *m, const json_t *v, const struct at *at)
{
	const char *s = json_string_value(v);
	struct snet_error why = { 0 };

	if (!s)
		return bad(at, "address: want a string");
	if (snet_url_parse(&m->address, s, &why))
		return bad(at, "%s", why.text);
	if (!*m->address.host || !m->address.port)
		return bad(at, "address '%.96s': nobody can dial it without a host and a port",
			   s);
	m->has_address = true;
	return SNET_OK;
}

static int take_profile(enum roster_profile *to, const json_t *v, const struct at *at)
{
	for (size_t i = 1; i < COUNT(roster_profiles); i++) {
		if (json_is_string(v) && !strcmp(json_string_value(v), roster_profiles[i])) {
			*to = (enum roster_profile)i;
			return SNET_OK;
		}
	}
	return bad(at, "profile: want \"%s\" or \"%s\"", roster_profiles[1],
		   roster_profiles[2]);
}

static int take_field(struct roster_member *m, const char *key, const json_t *v,
		      const struct at *at)
{
	if (!strcmp(key, "name"))
		return take_name(m->name, v, key, at);
	if (!strcmp(key, "address"))
		return take_address(m, v, at);
	if (!strcmp(key, "profile"))
		return take_profile(&m->profile, v, at);
	if (!strcmp(key, "id")) {
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > ROSTER_ID_MAX)
			return bad(at, "id: want a whole number from 0 to %u", ROSTER_ID_MAX);
		m->id = (uint32_t)json_integer_value(v);
		return SNET_OK;
	}
	if (!strcmp(key, "key")) {
		if (!json_is_string(v) || snet_keyid_parse(m->key, json_string_value(v)))
			return bad(at, "key: want a key id, %d characters of base64url",
				   SNET_KEYID_TEXT - 1);
		return SNET_OK;
	}
	return bad(at, "unknown key \"%.64s\"", key);
}

static int take_member(struct roster_member *m, json_t *o, bool client, const struct at *at)
{
	const char *key;
	json_t *v;
	int rc;

	if (!json_is_object(o))
		return bad(at, "want an object");
	m->client = client;
	json_object_foreach(o, key, v) {
		rc = take_field(m, key, v, at);
		if (rc)
			return rc;
	}
	if (!json_object_get(o, "id"))
		return bad(at, "no \"id\"");
	if (!json_object_get(o, "key"))
		return bad(at, "no \"key\"");
	if (!client && !m->has_address)
		return bad(at, "no \"address\"");
	if (m->address.has_key && memcmp(m->address.key, m->key, SNET_KEYID_BYTES))
		return bad(at, "the address names another key");
	m->address.has_key = false;
	return SNET_OK;
}

static int take_list(struct roster_member *to, json_t *list, bool client, struct at at)
{
	json_t *v;
	int rc;

	json_array_foreach(list, at.index, v) {
		rc = take_member(&to[at.index], v, client, &at);
		if (rc)
			return rc;
	}
	return SNET_OK;
}

/* ---- order, and what must be unique */

typedef int order(const void *a, const void *b); /* of pointers to members */

static int by_id(const void *a, const void *b)
{
	const struct roster_member *x = *(const struct roster_member *const *)a,
				   *y = *(const struct roster_member *const *)b;

	return x->client != y->client ? x->client - y->client
				      : (x->id > y->id) - (x->id < y->id);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct roster_member *const *)a)->name,
		      (*(const struct roster_member *const *)b)->name);
}

static int by_key(const void *a, const void *b)
{
	return memcmp((*(const struct roster_member *const *)a)->key,
		      (*(const struct roster_member *const *)b)->key, SNET_KEYID_BYTES);
}

/* Sorts, and names the later one of two that are equal. */
static int sort_unique(const struct roster *r, const struct roster_member **v, size_t n,
		       order *cmp, const char *what, struct at at)
{
	qsort(v, n, sizeof(*v), cmp);
	for (size_t i = 1; i < n; i++) {
		const struct roster_member *later = v[i] > v[i - 1] ? v[i] : v[i - 1],
					   *first = later == v[i] ? v[i - 1] : v[i];

		if (cmp(&v[i - 1], &v[i]))
			continue;
		at.key = later->client ? "clients" : "parties";
		at.index = (size_t)(later - r->members) - (later->client ? r->parties : 0);
		return bad(&at, "the same %s as %s[%zu]", what,
			   first->client ? "clients" : "parties",
			   (size_t)(first - r->members) - (first->client ? r->parties : 0));
	}
	return SNET_OK;
}

static int sort_all(struct roster *r, const struct at *at)
{
	size_t n = r->parties + r->clients;
	int rc;

	r->by_id = calloc(3 * n, sizeof(*r->by_id));
	if (!r->by_id)
		return snet_fail(at->err, SNET_ENOMEM, "%s", at->path);
	r->by_key = r->by_id + n;
	r->by_name = r->by_key + n;
	for (size_t i = 0; i < n; i++) {
		r->by_id[i] = r->by_key[i] = &r->members[i];
		if (*r->members[i].name)
			r->by_name[r->named++] = &r->members[i];
	}
	rc = sort_unique(r, r->by_id, n, by_id, "id", *at);
	if (!rc)
		rc = sort_unique(r, r->by_key, n, by_key, "key", *at);
	return rc ? rc : sort_unique(r, r->by_name, r->named, by_name, "name", *at);
}

/* ---- the file */

static int take_top(struct roster *r, json_t *top, struct at *at)
{
	json_t *v;
	int rc = SNET_OK;

	json_object_foreach(top, at->key, v) {
		if (!strcmp(at->key, "session"))
			rc = take_name(r->session, v, at->key, at);
		else if (!strcmp(at->key, "profile"))
			rc = take_profile(&r->profile, v, at);
		else if (strcmp(at->key, "parties") && strcmp(at->key, "clients"))
			rc = bad(at, "unknown key \"%.64s\"", at->key);
		else if (!json_is_array(v))
			rc = bad(at, "%s: want a list", at->key);
		if (rc)
			return rc;
	}
	at->key = NULL;
	return SNET_OK;
}

static int take_roster(struct roster *r, json_t *top, struct at *at)
{
	json_t *parties, *clients;
	size_t n;
	int rc;

	if (!json_is_object(top))
		return bad(at, "want an object");
	rc = take_top(r, top, at);
	if (rc)
		return rc;
	parties = json_object_get(top, "parties");
	clients = json_object_get(top, "clients");
	n = json_array_size(parties) + json_array_size(clients);
	if (!json_array_size(parties))
		return bad(at, "no \"parties\"");
	if (n > ROSTER_MAX)
		return bad(at, "%zu parties and clients, at most %u", n, ROSTER_MAX);
	r->members = calloc(n, sizeof(*r->members));
	if (!r->members)
		return snet_fail(at->err, SNET_ENOMEM, "%s", at->path);
	r->parties = json_array_size(parties);
	r->clients = json_array_size(clients);
	at->key = "parties";
	rc = take_list(r->members, parties, false, *at);
	at->key = "clients";
	if (!rc)
		rc = take_list(r->members + r->parties, clients, true, *at);
	return rc ? rc : sort_all(r, at);
}

int roster_parse(struct roster **out, const void *text, size_t n, const char *path,
		 struct snet_error *err)
{
	struct snet_reader r = snet_reader(n ? text : "", n);
	struct at at = { path, NULL, (const char *)r.at, (const char *)r.end, NO_INDEX, err };
	struct roster *made = calloc(1, sizeof(*made));
	json_error_t wrong;
	json_t *top;
	int rc;

	if (!made)
		return snet_fail(err, SNET_ENOMEM, "%s", path);
	top = json_loadb(at.text, n, JSON_REJECT_DUPLICATES, &wrong);
	if (top)
		rc = take_roster(made, top, &at);
	else
		rc = snet_fail(err, SNET_ECONFIG, "%s:%d: %s", path, wrong.line, wrong.text);
	json_decref(top);
	if (rc)
		roster_free(made);
	else
		*out = made;
	return rc;
}

int roster_load(struct roster **out, const char *path, struct snet_error *err)
{
	struct snet_buf b = SNET_BUF(ROSTER_FILE_MAX);
	int rc = snet_file_read(&b, path, false, SNET_ECONFIG, err);

	if (!rc)
		rc = roster_parse(out, b.p, b.n, path, err);
	snet_buf_free(&b);
	return rc;
}

void roster_free(struct roster *r)
{
	if (!r)
		return;
	free(r->by_id); /* the other two lie in it */
	free(r->members);
	free(r);
}

/* ---- asking */

static const struct roster_member *find(const struct roster_member **v, size_t n,
					const struct roster_member *like, order *cmp)
{
	const struct roster_member **hit = bsearch(&like, v, n, sizeof(*v), cmp);

	return hit ? *hit : NULL;
}

const struct roster_member *roster_party(const struct roster *r, uint32_t id)
{
	const struct roster_member like = { .id = id };

	/* Ids are mostly 0, 1, 2 ... */
	if (id < r->parties && r->by_id[id]->id == id && !r->by_id[id]->client)
		return r->by_id[id];
	return find(r->by_id, r->parties + r->clients, &like, by_id);
}

const struct roster_member *roster_client(const struct roster *r, uint32_t id)
{
	const struct roster_member like = { .id = id, .client = true };

	return find(r->by_id, r->parties + r->clients, &like, by_id);
}

const struct roster_member *roster_named(const struct roster *r, const char *name)
{
	struct roster_member like = { .id = 0 };

	if (!*name || strlen(name) > SNET_NAME_MAX)
		return NULL;
	strcpy(like.name, name);
	return find(r->by_name, r->named, &like, by_name);
}

const struct roster_member *roster_holder(const struct roster *r,
					  const uint8_t key[static SNET_KEYID_BYTES])
{
	struct roster_member like = { .id = 0 };

	memcpy(like.key, key, sizeof(like.key));
	return find(r->by_key, r->parties + r->clients, &like, by_key);
}

int roster_allow(const struct roster *r, struct snet_trust *t, struct snet_error *err)
{
	int rc = SNET_OK;

	for (size_t i = 0; i < r->parties + r->clients && !rc; i++)
		rc = snet_trust_add(t, r->members[i].key, r->members[i].name, err);
	return rc;
}
