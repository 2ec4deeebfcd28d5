/* A roster in, and one out for each party, in which the others stand at doors of its own: so
 * that a mesh runs through the links unchanged. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/link_impl.h"
#include "cli/out.h"

/* "net/%.json" and 3 to "net/3.json" */
static int name_of(struct snet_buf *b, const char *pattern, uint32_t id)
{
	const char *hole = strchr(pattern, '%');

	snet_buf_fmt(b, "%.*s%u%s", (int)(hole - pattern), pattern, id, hole + 1);
	snet_buf_u8(b, 0);
	return b->bad ? SNET_ENOMEM : SNET_OK;
}

/* The parties, and then where their doors are. */
int link_roster_urls(struct link *l, size_t *n, struct snet_error *err)
{
	const char *text = l->opts->listen.n ? l->opts->listen.v[0] : "127.0.0.1:0";
	size_t parties = l->roster->parties;

	*n = parties + 1;
	l->urls = calloc(*n, sizeof(*l->urls));
	if (!l->urls)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	for (size_t i = 0; i < parties; i++) {
		const struct snet_url *u = &l->roster->members[i].address;

		if (!link_is_tcp(u) && strcmp(u->scheme, "quic") && strcmp(u->scheme, "udp"))
			return snet_fail(err, SNET_ECONFIG,
					 "%s: party %u: %s://: a link stands between addresses "
					 "of quic:// or tls://",
					 l->opts->roster, l->roster->members[i].id, u->scheme);
		l->urls[i] = *u;
	}
	return link_parse(&l->urls[parties], text, true, err);
}

static int resolve_all(const struct link *l, struct snet_addr *at, struct snet_error *err)
{
	int rc = SNET_OK;

	for (size_t i = 0; i < l->roster->parties && !rc; i++)
		rc = link_address(&l->urls[i], false, &at[i], err);
	return rc;
}

/* All doors are at the host of --listen; its port, if it has one, is the first of many. */
static int door_at(const struct link *l, size_t k, struct snet_addr *at, struct snet_error *err)
{
	const struct snet_url *u = &l->urls[l->roster->parties];
	int rc = link_address(u, true, at, err);

	if (rc)
		return rc;
	if (link_is_tcp(u) || snet_addr_is_any(at))
		return snet_fail(err, SNET_EINVAL,
				 "--listen %s: with --roster, a udp:// address that others can "
				 "be told",
				 l->opts->listen.v[0]);
	if (u->port && u->port + k > UINT16_MAX)
		return snet_fail(err, SNET_EINVAL, "--listen %s: too few ports are left",
				 l->opts->listen.v[0]);
	if (u->port)
		snet_addr_set_port(at, (uint16_t)(u->port + k));
	return SNET_OK;
}

static int doors_of(struct link *l, size_t i, const struct snet_addr *at, struct roster *own,
		    struct snet_error *err)
{
	size_t n = l->roster->parties, k = i * (n - 1);

	for (size_t j = 0; j < n; j++) {
		struct snet_addr door;
		char text[SNET_ADDR_TEXT];
		struct snet_url url;
		int rc;

		if (j == i)
			continue;
		rc = door_at(l, k++, &door, err);
		if (!rc)
			rc = link_is_tcp(&l->roster->members[j].address)
				     ? link_tcp_open(l, i, j, &door, &at[j], err)
				     : link_door_open(l, i, j, &door, &at[j], err);
		if (!rc)
			rc = snet_url_parse(&url, snet_addr_print(&door, text), err);
		if (rc)
			return rc;
		strcpy(url.scheme, l->roster->members[j].address.scheme);
		own->members[j].address = url;
	}
	return SNET_OK;
}

static int one_party(struct link *l, size_t i, const struct snet_addr *at,
		     struct snet_error *err)
{
	struct snet_buf path = SNET_BUF(4096);
	struct roster own = *l->roster;
	size_t members = own.parties + own.clients;
	int rc = SNET_ENOMEM;

	own.members = calloc(members, sizeof(*own.members));
	if (!own.members || name_of(&path, l->opts->out, l->roster->members[i].id)) {
		snet_fail(err, rc, "%s", snet_err_text(rc));
		goto out;
	}
	memcpy(own.members, l->roster->members, members * sizeof(*own.members));
	rc = doors_of(l, i, at, &own, err);
	if (!rc)
		rc = roster_save(&own, (const char *)path.p, l->opts->force, err);
	if (!rc)
		out_event("roster", out_text("file", (const char *)path.p),
			  out_uint("parties", own.parties));
out:
	free(own.members);
	snet_buf_free(&path);
	return rc;
}

int link_roster_doors(struct link *l, struct snet_error *err)
{
	struct snet_addr *at = calloc(l->roster->parties, sizeof(*at));
	int rc = at ? resolve_all(l, at, err)
		    : snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));

	for (size_t i = 0; i < l->roster->parties && !rc; i++)
		rc = one_party(l, i, at, err);
	free(at);
	return rc;
}
