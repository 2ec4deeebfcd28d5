#include "nat/turn_cred.h"

#include <string.h>

#include "base/file.h"
#include "base/utf8.h"

#define FIELDS 3

struct field {
	const char *p;
	size_t n;
};

/* Up to the separator, or the end. */
static struct field cut(struct field *rest, char at)
{
	const char *end = memchr(rest->p, at, rest->n);
	struct field f = { rest->p, end ? (size_t)(end - rest->p) : rest->n };
	size_t used = f.n + (end ? 1 : 0);

	rest->p += used;
	rest->n -= used;
	return f;
}

/* Lines without their ends, empty ones skipped; FIELDS + 1: there are more. */
static size_t lines_of(struct field all, struct field out[static FIELDS])
{
	size_t n = 0;

	while (all.n) {
		struct field line = cut(&all, '\n');

		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (!line.n)
			continue;
		if (n == FIELDS)
			return FIELDS + 1;
		out[n++] = line;
	}
	return n;
}

static size_t fields_of(struct field line, struct field out[static FIELDS])
{
	size_t n = 1;

	for (size_t i = 0; i < line.n; i++)
		n += line.p[i] == ':';
	for (size_t i = 0; i < n && i < FIELDS; i++)
		out[i] = cut(&line, ':');
	return n;
}

static int copy(char *to, size_t cap, const struct field *f, const char *what, const char *name,
		struct snet_error *err)
{
	if (!f->n)
		return snet_fail(err, SNET_ECONFIG, "%s: the %s is empty", name, what);
	if (f->n >= cap)
		return snet_fail(err, SNET_ECONFIG, "%s: the %s is longer than %zu bytes", name,
				 what, cap - 1);
	for (size_t i = 0; i < f->n; i++)
		if ((unsigned char)f->p[i] < ' ' || f->p[i] == 0x7f)
			return snet_fail(err, SNET_ECONFIG,
					 "%s: the %s holds a control character", name, what);
	if (!snet_utf8_is_valid(f->p, f->n))
		return snet_fail(err, SNET_ECONFIG, "%s: the %s is not UTF-8", name, what);
	memcpy(to, f->p, f->n);
	to[f->n] = '\0';
	return SNET_OK;
}

int snet_turn_cred_parse(struct snet_turn_cred *out, const void *p, size_t n, const char *name,
			 struct snet_error *err)
{
	struct field f[FIELDS], all = { p, n };
	size_t count = lines_of(all, f);
	int rc;

	*out = (struct snet_turn_cred){ 0 };
	if (count == 1)
		count = fields_of(f[0], f);
	if (count < 2)
		return snet_fail(err, SNET_ECONFIG,
				 "%s: user:password, or a line for each, is wanted", name);
	if (count > FIELDS)
		return snet_fail(
			err, SNET_ECONFIG,
			"%s: more than user, password and realm; what has a colon in it "
			"goes on lines of their own",
			name);
	rc = copy(out->user, sizeof(out->user), &f[0], "user", name, err);
	if (!rc)
		rc = copy(out->password, sizeof(out->password), &f[1], "password", name, err);
	if (!rc && count == FIELDS)
		rc = copy(out->realm, sizeof(out->realm), &f[2], "realm", name, err);
	if (rc)
		snet_turn_cred_wipe(out);
	return rc;
}

int snet_turn_cred_load(struct snet_turn_cred *out, const char *path, struct snet_error *err)
{
	struct snet_buf text = SNET_BUF(SNET_TURN_CRED_FILE_MAX);
	int rc = snet_file_read(&text, path, true, SNET_ECONFIG, err);

	if (!rc)
		rc = snet_turn_cred_parse(out, text.p, text.n, path, err);
	snet_buf_wipe(&text);
	return rc;
}

void snet_turn_cred_wipe(struct snet_turn_cred *c)
{
	snet_wipe(c, sizeof(*c));
}
