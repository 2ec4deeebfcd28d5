/* What each link is like, by options, presets and the matrix; and the doors of --listen and
 * --to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/groups.h"
#include "cli/link_impl.h"
#include "cli/net.h"
#include "cli/out.h"
#include "emul/preset.h"

#define MATRIX_MAX (16u << 20) /* bytes */

const char *const link_keys[] = { "delay",       "rtt",          "jitter",    "distribution",
				  "correlation", "rate",         "burst",     "limit",
				  "loss",        "loss-gemodel", "duplicate", "reorder",
				  "corrupt",     "mtu",          NULL };

static int from_options(const struct link_opts *o, struct snet_shape_spec *spec, unsigned *mask,
			struct snet_error *err)
{
	struct snet_error why = { 0 };
	int rc = SNET_OK;

	for (size_t i = 0; link_keys[i] && !rc; i++)
		if (o->keys[i])
			rc = link_spec_set(spec, mask, link_keys[i], o->keys[i], &why);
	if (!rc && o->in_order)
		rc = link_spec_set(spec, mask, "in-order", "yes", &why);
	return rc ? snet_fail(err, rc, "--%s", why.text) : SNET_OK;
}

/* preset: NULL, or what the rest stands on. */
static int set_one(struct link *l, size_t i, size_t j, const struct snet_preset *preset,
		   const struct snet_shape_spec *spec, unsigned mask, struct snet_error *err)
{
	struct snet_emul_link *k = snet_emul_link(&l->net, i, j);
	struct snet_shape_spec is = k->shape.spec;
	int rc = preset ? snet_preset_link(preset, i, j, &is, err) : SNET_OK;

	if (rc)
		return rc;
	snet_spec_merge(&is, spec, mask);
	rc = snet_shape_check(&is, err);
	if (!rc)
		snet_emul_link_set(k, &is);
	return rc;
}

static int set_all(struct link *l, struct snet_error *err)
{
	const struct snet_preset *preset = NULL;
	struct snet_shape_spec spec = { 0 };
	unsigned mask = 0;
	int rc = from_options(l->opts, &spec, &mask, err);

	if (!rc && l->opts->preset)
		rc = link_preset(&preset, l->opts->preset, err);
	for (size_t i = 0; i < l->net.n; i++)
		for (size_t j = 0; j < l->net.n && !rc; j++)
			if (i != j)
				rc = set_one(l, i, j, preset, &spec, mask, err);
	return rc;
}

static int matrix_line(void *line, size_t n, size_t at, void *user, struct snet_error *err)
{
	struct link *l = user;
	struct link_names names = link_names(l);
	const struct snet_preset *preset;
	const struct snet_emul_link *k;
	struct snet_change c;
	size_t next = 0, found = 0;
	int rc = link_line_matrix(&c, &preset, line, n, &names, err);

	(void)at;
	while (!rc && (k = snet_change_next(&l->net, &c, &next))) {
		size_t which = (size_t)(k - l->net.links);

		found++;
		rc = set_one(l, which / l->net.n, which % l->net.n, preset, &c.spec, c.mask,
			     err);
	}
	if (rc == SNET_EINVAL)
		rc = SNET_ECONFIG;
	return rc || found ? rc : snet_fail(err, SNET_ECONFIG, "there is no such link");
}

static int read_matrix(struct link *l, struct snet_error *err)
{
	struct snet_buf b = SNET_BUF(MATRIX_MAX);
	int rc = snet_file_read(&b, l->opts->matrix, false, SNET_ECONFIG, err);

	if (!rc)
		rc = link_lines(l->opts->matrix, b.p, b.n, matrix_line, l, err);
	snet_buf_free(&b);
	return rc;
}

int link_setup(struct link *l, struct snet_error *err)
{
	size_t n = l->roster           ? l->roster->parties
		   : l->opts->listen.n ? l->opts->listen.n + 1
				       : 2;
	int rc = snet_emul_net_init(&l->net, n, l->opts->seed);

	if (rc == SNET_EINVAL)
		return snet_fail(err, SNET_ECONFIG, "%zu parties; from 2 to %d", n,
				 SNET_EMUL_PARTIES);
	if (rc)
		return snet_fail(err, rc, "%s", snet_err_text(rc));
	rc = set_all(l, err);
	return rc || !l->opts->matrix ? rc : read_matrix(l, err);
}

bool link_is_tcp(const struct snet_url *u)
{
	return !strcmp(u->scheme, "tls") || !strcmp(u->scheme, "tcp");
}

int link_parse(struct snet_url *out, const char *text, bool passive, struct snet_error *err)
{
	int rc = snet_url_parse(out, text, err);

	if (rc)
		return rc;
	if (!link_is_tcp(out) && strcmp(out->scheme, "udp") && strcmp(out->scheme, "quic"))
		return snet_fail(err, SNET_EINVAL,
				 "%s: a link carries udp:// (quic://) or tcp:// (tls://)",
				 text);
	if (!passive && (!out->host[0] || !out->port))
		return snet_fail(err, SNET_EINVAL, "%s: want a host and a port", text);
	return SNET_OK;
}

int link_address(const struct snet_url *u, bool passive, struct snet_addr *out,
		 struct snet_error *err)
{
	struct snet_addr addrs[NET_ADDRS];
	size_t n;
	int rc = net_resolve(u, passive, addrs, &n, err);

	if (!rc)
		*out = addrs[0];
	return rc;
}

static int plain_urls(struct link *l, size_t i, struct snet_error *err)
{
	const char *listen = l->opts->listen.v[i], *to = l->opts->to.v[i];
	struct snet_url *a = &l->urls[i], *b = &l->urls[l->opts->listen.n + i];
	int rc = link_parse(a, listen, true, err);

	if (!rc)
		rc = link_parse(b, to, false, err);
	if (rc)
		return rc;
	if (strstr(listen, "://") && link_is_tcp(a) != link_is_tcp(b))
		return snet_fail(err, SNET_EINVAL, "%s and %s are not of one kind", listen, to);
	return SNET_OK;
}

int link_plain_urls(struct link *l, size_t *n, struct snet_error *err)
{
	int rc = SNET_OK;

	*n = 2 * l->opts->listen.n;
	l->urls = calloc(*n, sizeof(*l->urls));
	if (!l->urls)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	for (size_t i = 0; i < l->opts->listen.n && !rc; i++)
		rc = plain_urls(l, i, err);
	return rc;
}

static int plain_door(struct link *l, size_t i, struct snet_error *err)
{
	const struct snet_url *to = &l->urls[l->opts->listen.n + i];
	struct snet_addr at, target;
	char text[SNET_ADDR_TEXT], url[SNET_ADDR_TEXT + 8];
	bool tcp = link_is_tcp(to);
	int rc = link_address(&l->urls[i], true, &at, err);

	if (!rc)
		rc = link_address(to, false, &target, err);
	if (!rc)
		rc = tcp ? link_tcp_open(l, 0, i + 1, &at, &target, err)
			 : link_door_open(l, 0, i + 1, &at, &target, err);
	if (rc)
		return rc;
	snprintf(url, sizeof(url), "%s://%s", tcp ? "tcp" : "udp", snet_addr_print(&at, text));
	out_event("listening", out_text("address", url), out_uint("port", snet_addr_port(&at)),
		  out_uint("to", i + 1));
	return SNET_OK;
}

int link_plain_doors(struct link *l, struct snet_error *err)
{
	int rc = SNET_OK;

	for (size_t i = 0; i < l->opts->listen.n && !rc; i++)
		rc = plain_door(l, i, err);
	return rc;
}

int link_outside(struct link *l, struct snet_addr *out, struct snet_error *err)
{
	char text[SNET_ADDR_TEXT + 4];

	if (!l->opts->nat_at)
		return SNET_OK;
	snprintf(text, sizeof(text), strchr(l->opts->nat_at, ':') ? "[%.56s]:0" : "%.56s:0",
		 l->opts->nat_at);
	return snet_addr_parse(out, text) ? snet_fail(err, SNET_EINVAL,
						      "--nat-at: bad value '%.64s'; a "
						      "numeric address of this host",
						      l->opts->nat_at)
					  : SNET_OK;
}
