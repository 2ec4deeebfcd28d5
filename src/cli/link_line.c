/* Lines of a matrix, a schedule, and live control. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/units.h"
#include "cli/link_spec.h"
#include "emul/preset.h"

/* What is wrong with a value is SNET_EINVAL on a command line, and SNET_ECONFIG in a file. */
static int bad(struct snet_error *err, int rc)
{
	if (err && rc == SNET_EINVAL)
		err->code = SNET_ECONFIG;
	return rc == SNET_EINVAL ? SNET_ECONFIG : rc;
}

static int one_party(uint32_t *out, const char *p, size_t n, const struct link_names *names,
		     struct snet_error *err)
{
	if (n == 1 && *p == '*') {
		*out = SNET_EMUL_ANY;
		return SNET_OK;
	}
	*out = names->find(p, n, names->user);
	return *out != SNET_EMUL_ANY
		       ? SNET_OK
		       : snet_fail(err, SNET_ECONFIG, "link: there is no party '%.*s'",
				   (int)(n < 64 ? n : 64), p);
}

static int take_link(struct snet_change *c, const json_t *v, const struct link_names *names,
		     struct snet_error *err)
{
	const char *s = json_string_value(v), *sign = s ? strchr(s, '>') : NULL;
	size_t left = sign ? (size_t)(sign - s) : 0;
	int rc;

	if (s && !strcmp(s, "all")) {
		c->from = c->to = SNET_EMUL_ANY;
		return SNET_OK;
	}
	if (!sign)
		return snet_fail(err, SNET_ECONFIG,
				 "link: want \"0>1\", \"0<>1\", \"*>1\" or \"all\"");
	c->both = left && sign[-1] == '<';
	left -= c->both;
	rc = one_party(&c->from, s, left, names, err);
	if (!rc)
		rc = one_party(&c->to, sign + 1, strlen(sign + 1), names, err);
	if (!rc && c->from == c->to && c->from != SNET_EMUL_ANY)
		rc = snet_fail(err, SNET_ECONFIG, "link: '%.64s' has one end only", s);
	return rc;
}

/* The keys of an object that are of the link's nature; skip: those that are not. */
static int take_spec(struct snet_change *c, json_t *o, const char *skip,
		     const struct snet_preset **preset, struct snet_error *err)
{
	const char *key, *s;
	json_t *v;
	int rc;

	json_object_foreach(o, key, v) {
		if (!strcmp(key, skip))
			continue;
		s = json_is_true(v) ? "yes" : json_is_false(v) ? "no" : json_string_value(v);
		if (!s)
			return snet_fail(err, SNET_ECONFIG,
					 "%.40s: want a string, with its unit", key);
		if (!strcmp(key, "preset"))
			rc = link_preset(preset, s, err);
		else
			rc = link_spec_set(&c->spec, &c->mask, key, s, err);
		if (rc)
			return bad(err, rc);
	}
	return SNET_OK;
}

static json_t *load(void *line, size_t n, struct snet_error *err)
{
	json_error_t wrong;
	json_t *top = json_loadb(line, n, JSON_REJECT_DUPLICATES, &wrong);

	if (top && json_is_object(top))
		return top;
	snet_fail(err, SNET_ECONFIG, "%s", top ? "want an object" : wrong.text);
	json_decref(top);
	return NULL;
}

int link_line_matrix(struct snet_change *out, const struct snet_preset **preset, void *line,
		     size_t n, const struct link_names *names, struct snet_error *err)
{
	json_t *top = load(line, n, err);
	int rc = SNET_ECONFIG;

	*out = (struct snet_change){ .what = SNET_CHANGE_SET };
	*preset = NULL;
	if (!top)
		return rc;
	if (!json_object_get(top, "link"))
		snet_fail(err, rc, "no \"link\"");
	else
		rc = take_link(out, json_object_get(top, "link"), names, err);
	if (!rc)
		rc = take_spec(out, top, "link", preset, err);
	json_decref(top);
	return rc;
}

/* ---- changes */

static int take_change(struct snet_change *c, json_t *v, struct snet_error *err)
{
	static const struct {
		const char *name;
		enum snet_change_what what;
	} words[] = {
		{ "cut", SNET_CHANGE_CUT },
		{ "restore", SNET_CHANGE_RESTORE },
		{ "rebind", SNET_CHANGE_REBIND },
		{ "reset", SNET_CHANGE_RESET },
	};
	const struct snet_preset *preset = NULL;
	struct snet_shape_spec base;
	int rc;

	for (size_t i = 0; json_is_string(v) && i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(words[i].name, json_string_value(v))) {
			c->what = words[i].what;
			return SNET_OK;
		}
	}
	if (!json_is_object(v) || !json_object_size(v))
		return snet_fail(err, SNET_ECONFIG,
				 "change: want \"cut\", \"restore\", \"rebind\", \"reset\" or "
				 "an object of settings");
	rc = take_spec(c, v, "", &preset, err);
	if (rc || !preset)
		return rc;
	if (preset->matrix)
		return snet_fail(err, SNET_ECONFIG,
				 "preset '%s' is one for the whole net: --preset, or a matrix",
				 preset->name);
	rc = snet_preset_link(preset, 0, 1, &base, err);
	if (rc)
		return rc;
	snet_spec_merge(&base, &c->spec, c->mask);
	c->spec = base;
	c->mask = SNET_SPEC_ALL;
	return SNET_OK;
}

static const char *number(char out[static 24], uint64_t v)
{
	snprintf(out, 24, "%llu", (unsigned long long)v);
	return out;
}

static int take_member(struct snet_change *c, const json_t *v, uint8_t group,
		       const struct link_names *names, struct snet_error *err)
{
	char text[24];
	const char *s = json_string_value(v);
	uint32_t i;

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		s = number(text, (uint64_t)json_integer_value(v));
	if (!s)
		return snet_fail(err, SNET_ECONFIG, "partition: want lists of parties");
	i = names->find(s, strlen(s), names->user);
	if (i >= SNET_EMUL_PARTIES)
		return snet_fail(err, SNET_ECONFIG, "partition: there is no party '%.64s'", s);
	if (c->group[i])
		return snet_fail(err, SNET_ECONFIG, "partition: party '%.64s' stands twice", s);
	c->group[i] = group;
	return SNET_OK;
}

static int take_partition(struct snet_change *c, const json_t *v,
			  const struct link_names *names, struct snet_error *err)
{
	size_t i, k;
	json_t *list, *who;
	int rc;

	c->what = SNET_CHANGE_PARTITION;
	if (!json_is_array(v) || json_array_size(v) > SNET_EMUL_PARTIES)
		return snet_fail(err, SNET_ECONFIG, "partition: want a list of lists");
	json_array_foreach(v, i, list) {
		if (!json_is_array(list))
			return snet_fail(err, SNET_ECONFIG, "partition: want a list of lists");
		json_array_foreach(list, k, who) {
			rc = take_member(c, who, (uint8_t)(i + 1), names, err);
			if (rc)
				return rc;
		}
	}
	return SNET_OK;
}

static int take_at(snet_time *at, const json_t *v, struct snet_error *err)
{
	const char *s = json_string_value(v);

	if (s && !snet_duration_parse(at, s) && *at != SNET_NEVER)
		return SNET_OK;
	return snet_fail(err, SNET_ECONFIG, "at: want a time since the start such as \"5s\"");
}

static int take_keys(struct snet_change *c, bool *has_at, json_t *top,
		     const struct link_names *names, struct snet_error *err)
{
	bool link = false, change = false, partition = false;
	const char *key;
	json_t *v;
	int rc = SNET_OK;

	json_object_foreach(top, key, v) {
		if (!strcmp(key, "at"))
			rc = take_at(&c->at, v, err), *has_at = true;
		else if (!strcmp(key, "link"))
			rc = take_link(c, v, names, err), link = true;
		else if (!strcmp(key, "change"))
			rc = take_change(c, v, err), change = true;
		else if (!strcmp(key, "partition"))
			rc = take_partition(c, v, names, err), partition = true;
		else
			rc = snet_fail(err, SNET_ECONFIG, "unknown key \"%.64s\"", key);
		if (rc)
			return rc;
	}
	if (partition ? link || change : !link || !change)
		return snet_fail(err, SNET_ECONFIG,
				 "want \"link\" and \"change\", or \"partition\" alone");
	return SNET_OK;
}

int link_line_change(struct snet_change *out, bool *has_at, void *line, size_t n,
		     const struct link_names *names, struct snet_error *err)
{
	json_t *top = load(line, n, err);
	int rc;

	*out = (struct snet_change){ .what = SNET_CHANGE_SET };
	*has_at = false;
	if (!top)
		return SNET_ECONFIG;
	rc = take_keys(out, has_at, top, names, err);
	json_decref(top);
	return rc;
}

int link_lines(const char *path, void *text, size_t n,
	       int (*fn)(void *line, size_t n, size_t at, void *user, struct snet_error *err),
	       void *user, struct snet_error *err)
{
	char *p = text, *end = p + n;
	int rc = SNET_OK;

	for (size_t at = 1; p < end && !rc; at++) {
		char *newline = memchr(p, '\n', (size_t)(end - p)),
		     *stop = newline ? newline : end;
		size_t len = (size_t)(stop - p);
		struct snet_error why = { 0 };

		while (len && strchr(" \t\r", p[len - 1]))
			len--;
		if (len > LINK_LINE_MAX)
			rc = snet_fail(&why, SNET_ECONFIG, "a line has at most %d bytes",
				       LINK_LINE_MAX);
		else if (len)
			rc = fn(p, len, at, user, &why);
		if (rc)
			snet_fail(err, rc, "%.100s:%zu: %s", path, at,
				  why.text[0] ? why.text : snet_err_text(rc));
		p = newline ? newline + 1 : end;
	}
	return rc;
}
