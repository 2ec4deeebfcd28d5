#include "cli/ice_opts.h"

#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/ice_server.h"
#include "nat/punch.h"
#include "signal/tokens.h"
#include "signal/upgrade.h"

static const char *const path_names[] = { "any", "direct", "relay", NULL };

/* Of the command line, of which there is one. */
static int path = SNET_ICE_ANY;
static uint64_t birthday;
static const char *types, *cred_file, *turn_ca, *token_file;
static bool explain;
static struct opt_list stun, turn, iface, no_iface;
static struct snet_turn_cred cred;
static char token[SNET_SIGNAL_TOKEN_MAX + 1];
static char *hosts[SNET_ICE_SERVERS];
static size_t n_hosts;

/* clang-format off */
const struct opt ice_find_opts[] = {
	{ 0, "stun",           "SERVER", OPT_LIST, &stun,      "ask this server for our address; may be repeated" },
	{ 0, "turn",           "URI",    OPT_LIST, &turn,      "be relayed by turn:HOST:PORT?transport=udp|tcp or turns:HOST:PORT; may be repeated" },
	{ 0, "turn-cred-file", "FILE",   OPT_STR,  &cred_file, "user:password for the relays" },
	{ 0, "turn-ca",        "FILE",   OPT_STR,  &turn_ca,   "of turns: believe these authorities in place of the system's" },
	{ 0, "iface",          "NAME",   OPT_LIST, &iface,     "use interfaces of this name, pattern or class alone; may be repeated" },
	{ 0, "no-iface",       "NAME",   OPT_LIST, &no_iface,  "leave out those; may be repeated" },
	{ 0, "types",          "LIST",   OPT_STR,  &types,     "offer candidates of these types alone: host,srflx,relay" },
	{ 0, "birthday",       "N",      OPT_UINT, &birthday,  "where a NAT draws its ports by lot, try so many; it takes both sides", .max = SNET_PUNCH_BIRTHDAY_MAX },
	{ 0, "path",           "PATH",   OPT_ENUM, &path,      "what the pair may be", .choices = path_names },
	{ 0 },
};

const struct opt ice_room_opts[] = {
	{ 0, "token-file",     "FILE",   OPT_STR,  &token_file, "the token to show at the signalling server" },
	{ 0, "explain",        NULL,     OPT_FLAG, &explain,    "tell what came of each check" },
	{ 0 },
};
/* clang-format on */

static int take_types(struct snet_candidate_filter *f, struct snet_error *err)
{
	static const enum snet_candidate_type all[] = { SNET_CANDIDATE_HOST,
							SNET_CANDIDATE_SRFLX,
							SNET_CANDIDATE_RELAY };
	const char *at = types;

	for (size_t i = 0; i < 3; i++)
		f->without_types |= 1u << all[i];
	for (size_t n; *at; at += n + (at[n] == ',')) {
		size_t i = 0;

		n = strcspn(at, ",");
		while (i < 3 && (strlen(snet_candidate_name(all[i])) != n ||
				 strncmp(snet_candidate_name(all[i]), at, n) != 0))
			i++;
		if (i == 3 || (at[n] && !at[n + 1]))
			return snet_fail(err, SNET_EINVAL,
					 "--types: bad value '%.64s'; of host, srflx, relay",
					 types);
		f->without_types &= ~(1u << all[i]);
	}
	return SNET_OK;
}

static int take_names(const char **out, size_t *n, const struct opt_list *in,
		      const char *option, struct snet_error *err)
{
	if (in->n > SNET_FILTER_NAMES)
		return snet_fail(err, SNET_EINVAL, "--%s: at most %d", option,
				 SNET_FILTER_NAMES);
	for (size_t i = 0; i < in->n; i++)
		out[i] = in->v[i];
	*n = in->n;
	return SNET_OK;
}

static int take_filter(struct snet_ice_opts *o, struct snet_error *err)
{
	struct snet_candidate_filter *f = &o->filter;
	int rc = take_names(f->only, &f->only_n, &iface, "iface", err);

	f->without_v4 = cli.only_ipv6;
	f->without_v6 = cli.only_ipv4;
	if (!rc)
		rc = take_names(f->without, &f->without_n, &no_iface, "no-iface", err);
	for (size_t i = 0; i < iface.n; i++)
		o->loopback = o->loopback || !strcmp(iface.v[i], "loopback") ||
			      snet_iface_classify(iface.v[i]) == SNET_IFACE_LOOPBACK;
	return rc || !types ? rc : take_types(f, err);
}

/* A server's host is told by ice_server_..., and is ours to free. */
static int take_server(struct snet_ice_opts *o, bool is_turn, const char *text,
		       struct snet_error *err)
{
	struct snet_ice_server *s = &o->servers[o->servers_n];
	struct snet_error why = { 0 };
	int rc = is_turn ? ice_server_turn(s, text, &why) : ice_server_stun(s, text, &why);

	if (rc)
		return snet_fail(err, rc, "--%s: %s", is_turn ? "turn" : "stun", why.text);
	hosts[n_hosts++] = (char *)s->host;
	o->servers_n++;
	if (is_turn) {
		s->cred = &cred;
		s->ca = turn_ca;
	}
	return SNET_OK;
}

static int take_servers(struct snet_ice_opts *o, struct snet_error *err)
{
	int rc = SNET_OK;

	if (stun.n + turn.n > SNET_ICE_SERVERS)
		return snet_fail(err, SNET_EINVAL, "--stun and --turn: at most %d servers",
				 SNET_ICE_SERVERS);
	for (size_t i = 0; !rc && i < stun.n; i++)
		rc = take_server(o, false, stun.v[i], err);
	for (size_t i = 0; !rc && i < turn.n; i++)
		rc = take_server(o, true, turn.v[i], err);
	return rc;
}

static int check(struct snet_error *err)
{
	if (!turn.n != !cred_file)
		return snet_fail(err, SNET_EINVAL,
				 "--turn and --turn-cred-file want each other");
	if (turn_ca && !turn.n)
		return snet_fail(err, SNET_EINVAL, "--turn-ca is for --turn");
	if (path == SNET_ICE_RELAY && !turn.n)
		return snet_fail(err, SNET_EINVAL, "--path relay wants --turn");
	return SNET_OK;
}

int ice_opts_get(struct snet_ice_opts *o, struct snet_error *err)
{
	int rc = check(err);

	o->path = (enum snet_ice_path)path;
	o->birthday = (unsigned)birthday;
	if (!rc)
		rc = take_servers(o, err);
	if (!rc)
		rc = take_filter(o, err);
	if (!rc && cred_file)
		rc = snet_turn_cred_load(&cred, cred_file, err);
	return rc;
}

int ice_opts_token(const char **out, struct snet_error *err)
{
	int rc = token_file ? snet_token_read(token, token_file, err) : SNET_OK;

	*out = token_file && !rc ? token : NULL;
	return rc;
}

bool ice_opts_explain(void)
{
	return explain;
}

void ice_opts_fini(void)
{
	while (n_hosts)
		free(hosts[--n_hosts]);
	snet_turn_cred_wipe(&cred);
	snet_wipe(token, sizeof(token));
}
