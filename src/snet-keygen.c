/* snet-keygen: make identities, and say who they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <inttypes.h>
#include <limits.h>
#include <sys/uio.h>

#include "cli/groups.h"
#include "cli/opts.h"
#include "cli/out.h"
#include "cli/roster.h"
#include "cli/run.h"
#include "cli/sink.h"
#include "crypto/identity.h"

static const char *output, *name, *directory, *session;
static bool force, as_roster;
static int type = SNET_KEY_P256;
static uint64_t net = OPT_NONE, id = OPT_NONE;
static struct opt_list at;

static const char *const type_names[] = { "p256", "ed25519", NULL };
static const char *const words[] = { "show", NULL };

/* clang-format off */
static const struct opt make_opts[] = {
	{ 'o', "output",    "FILE",  OPT_STR,  &output,    "make an identity and keep it here" },
	{ 'F', "force",     NULL,    OPT_FLAG, &force,     "replace files that exist" },
	{ 0,   "type",      "TYPE",  OPT_ENUM, &type,      "kind of key", .choices = type_names },
	{ 0,   "name",      "NAME",  OPT_STR,  &name,      "name in the certificate; with --net the beginning of it" },
	{ 0 },
};

static const struct opt net_opts[] = {
	{ 0,   "net",       "N",     OPT_UINT, &net,       "make N identities and their roster", .min = 1, .max = ROSTER_MAX },
	{ 'd', "directory", "DIR",   OPT_STR,  &directory, "where: DIR/0.key, DIR/1.key ... and DIR/roster.json" },
	{ 0,   "at",        "ADDRESS", OPT_LIST, &at,      "address of party 0, the others at the ports above; or one for each" },
	{ 0,   "session",   "LABEL", OPT_STR,  &session,   "label of the session in the roster" },
	{ 0 },
};

static const struct opt show_opts[] = {
	{ 0,   "roster",    NULL,    OPT_FLAG, &as_roster, "show: the roster line of the identity, with --id and --at" },
	{ 'i', "id",        "N",     OPT_UINT, &id,        "its party id", .max = ROSTER_ID_MAX },
	{ 0 },
};

static const struct opt_group groups[] = {
	{ "Make an identity", make_opts },
	{ "Make those of a whole network", net_opts },
	{ "Show", show_opts },
	{ "Looking inside", looking_opts },
	{ 0 },
};
/* clang-format on */

static const struct tool self = {
	.name = "snet-keygen",
	.synopsis = "-o FILE | --net N -d DIR --at ADDRESS | show FILE...",
	.purpose = "Make identities, and show the key ids others know them by.",
	.groups = groups,
	.words = words,
};

/* What there is to do, step by step, so that a reader slower than us is waited for. */
static struct job {
	int (*step)(size_t i, struct snet_error *err);
	size_t n, done;
	char **files;
	struct roster roster; /* of --net, and the one line of show --roster */
} job;

static struct run run;

/* m: its place in the roster, or NULL. */
static void tell(const struct snet_identity *who, const char *file,
		 const struct roster_member *m)
{
	char key[SNET_KEYID_TEXT], derived[24], address[SNET_URL_TEXT] = "";
	const char *called = snet_identity_name(who);

	snprintf(derived, sizeof(derived), "%" PRIu64, snet_identity_derived(who));
	if (m) {
		struct snet_url url = m->address;

		memcpy(url.key, m->key, sizeof(url.key));
		url.has_key = true;
		snet_url_print(&url, address);
	}
	out_event("key", out_text("key", snet_keyid_print(snet_identity_keyid(who), key)),
		  out_text("derived_id", derived),
		  out_text("algorithm", snet_identity_algorithm(who)),
		  out_text("name", *called ? called : NULL), out_text("file", file),
		  out_if(m, out_uint("id", m ? m->id : 0)),
		  out_text("address", m ? address : NULL));
}

static int make_one(size_t i, struct snet_error *err)
{
	struct snet_identity *who = NULL;
	int rc = snet_identity_new(&who, (enum snet_key_type)type, name, err);

	(void)i;
	if (!rc)
		rc = snet_identity_save(who, output, force, err);
	if (!rc)
		tell(who, output, NULL);
	snet_identity_free(who);
	return rc;
}

static int print_roster_line(const struct snet_identity *who, struct snet_error *err)
{
	struct roster_member *m = job.roster.members;
	const char *called = name ? name : snet_identity_name(who);
	struct snet_buf b = SNET_BUF(4096);
	struct iovec line;
	int rc;

	/* A name that everybody has tells nobody apart. */
	strcpy(m->name, !name && !strcmp(called, SNET_NAME_DEFAULT) ? "" : called);
	memcpy(m->key, snet_identity_keyid(who), sizeof(m->key));
	roster_print_member(&b, m);
	snet_buf_u8(&b, '\n');
	line = (struct iovec){ b.p, b.n };
	rc = b.bad ? SNET_ENOMEM : sink_write(run.out, &line, 1);
	snet_buf_free(&b);
	return rc ? snet_fail(err, rc, "roster line") : SNET_OK;
}

static int show_one(size_t i, struct snet_error *err)
{
	struct snet_identity *who = NULL;
	int rc = snet_identity_load(&who, job.files[i], err);

	if (!rc && as_roster)
		rc = print_roster_line(who, err);
	else if (!rc)
		tell(who, job.files[i], NULL);
	snet_identity_free(who);
	return rc;
}

/* ---- --net */

static int make_member(size_t i, struct snet_error *err)
{
	struct snet_identity *who = NULL;
	char path[PATH_MAX];
	int rc = roster_make(&job.roster, i, directory, (enum snet_key_type)type, force, path,
			     &who, err);

	if (!rc && who)
		tell(who, path, &job.roster.members[i]);
	else if (!rc)
		out_event("roster", out_text("file", path), out_uint("parties", net));
	snet_identity_free(who);
	return rc;
}

/* ---- the command line */

static void plan(size_t n, const char *prefix)
{
	struct snet_error err = { 0 };

	if (roster_plan(&job.roster, n, at.v, at.n, prefix, session, &err))
		opts_misuse(&self, "%s", err.text);
}

static void want_net(void)
{
	if (output || as_roster || id != OPT_NONE || !directory || !at.n)
		opts_misuse(&self, "--net wants -d and --at, takes --type --name --session -F");
	plan(net, name ? name : "party");
	job.step = make_member;
	job.n = net + 1;
}

static void want_show(int n, char **files)
{
	if (!n)
		opts_misuse(&self, "show: want a FILE");
	if (output || directory || session || force || net != OPT_NONE)
		opts_misuse(&self, "show makes nothing: no -o, -F, --net, -d, --session");
	if (as_roster && (n != 1 || id == OPT_NONE || at.n != 1))
		opts_misuse(&self, "show --roster: want one FILE, --id and --at");
	if (!as_roster && (id != OPT_NONE || at.n || name))
		opts_misuse(&self, "show: --id, --at and --name go with --roster");
	if (as_roster) {
		plan(1, "party");
		job.roster.members->id = (uint32_t)id;
	}
	job.step = show_one;
	job.files = files;
	job.n = (size_t)n;
}

static void want_one(void)
{
	if (!output)
		opts_misuse(&self, "want -o FILE, --net N or show FILE...");
	if (!strcmp(output, "-"))
		opts_misuse(&self, "-o: a private key is not written to stdout");
	if (as_roster || id != OPT_NONE || at.n || directory || session)
		opts_misuse(&self, "-o goes with --type, --name and -F only");
	job.step = make_one;
	job.n = 1;
}

/* As far as stdout takes what there is to say. */
static void advance(void *user)
{
	struct snet_error err = { 0 };
	int rc = SNET_OK;

	(void)user;
	while (!rc && job.done < job.n && !sink_is_full(run.out))
		rc = job.step(job.done++, &err);
	if (rc || job.done == job.n)
		run_done(&run, rc ? &err : NULL, OPT_NONE);
}

int main(int argc, char **argv)
{
	struct snet_error err = { 0 };
	int i = run_start(&self, argc, argv);

	if (name && !snet_name_is_ok(name, strlen(name)))
		opts_misuse(&self, "--name: want 1 to %d bytes without control characters",
			    SNET_NAME_MAX);
	if (i < argc && !strcmp(argv[i], "show"))
		want_show(argc - i - 1, argv + i + 1);
	else if (i < argc)
		opts_misuse(&self, "%s: unknown command, want show FILE...", argv[i]);
	else if (net != OPT_NONE)
		want_net();
	else
		want_one();
	run.on_room = advance;
	if (run_init(&run, &err))
		return tool_fail(&err);
	advance(NULL);
	run_loop(&run);
	roster_unplan(&job.roster);
	return run_fini(&run);
}
