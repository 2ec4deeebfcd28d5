/* snet-party: be one party of a roster: a mesh to all the others as a pipe. */
#include <stddef.h>

#include "cli/groups.h"
#include "cli/ice_opts.h"
#include "cli/opts.h"
#include "cli/party.h"
#include "cli/run.h"
#include "cli/say.h"
#include "cli/spawn.h"
#include "transport/transport.h"

static const char *const when_names[] = { "bound", "q", "all", NULL };

static snet_time dead_after = 10 * SNET_SEC;
static struct party_opts opts = { .quorum = OPT_NONE,
				  .round_timeout = SNET_NEVER,
				  .ready_when = PARTY_ALL_THERE };
static uint64_t n_spawn = OPT_NONE;
static const char *preset;

/* clang-format off */
static const struct opt party_opts[] = {
	{ 'i', "id",         "N",        OPT_UINT,     &cli.id,     "which party of the roster to be", .max = UINT32_MAX - 1 },
	{ 'k', "key",        "FILE",     OPT_STR,      &cli.key,    "its identity; without it N.key beside the roster" },
	{ 0,   "spawn",      "N",        OPT_UINT,     &n_spawn,    "be a whole net of N parties here, each with the program on its pipe", .min = 1, .max = SPAWN_MAX },
	{ 0,   "exec",       "COMMAND",  OPT_STR,      &opts.exec,  "be the party with this program: its output goes to the others, what they send is its input" },
	{ 0,   "ordering",   NULL,       OPT_FLAG,     &opts.ordering, "agree with parties of the Rust crate on the order of keys before they are told anything else" },
	{ 0,   "journal",    "FILE",     OPT_STR,      &opts.journal, "keep there what others have not taken, and send it after a restart" },
	{ 'a', "allow",      "KEYID|FILE", OPT_LIST,   &cli.allow,  "let this client in, or those in the file, beside those of the roster; may be repeated" },
	{ 0,   "link",       "PRESET",   OPT_STR,      &preset,     "with --spawn: let the parties meet over such a network, snet-link(1)" },
	{ 'w', "wait",       "DURATION", OPT_DURATION, &cli.wait,   "how long a party may be away, at first and later" },
	{ 't', "timeout",    "DURATION", OPT_DURATION, &cli.timeout, "how long a handshake may take" },
	{ 0,   "dead-after", "DURATION", OPT_DURATION, &dead_after, "take the connection to a party for lost after so long a silence" },
	{ 0 },
};

static const struct opt round_opts[] = {
	{ 0,   "sync",       NULL,       OPT_FLAG,     &opts.sync,  "by rounds: a party's k-th message is of round k, and everyone's come out together" },
	{ 0,   "round-timeout", "DURATION", OPT_DURATION, &opts.round_timeout, "how long a round may take from its first message" },
	{ 0,   "quorum",     "Q",        OPT_UINT,     &opts.quorum, "go on with so many parties, this one included", .min = 1, .max = SNET_MESH_MAX },
	{ 0 },
};

static const struct opt when_opts[] = {
	{ 0,   "ready-when", "WHEN",     OPT_ENUM,     &opts.ready_when, "what is ready: bound, q (of --quorum) parties, or all", .choices = when_names },
	{ 0 },
};

static const struct opt message_opts[] = {
	{ 0,   "stream",     "N",        OPT_UINT,     &cli.stream, "send on this stream what names none", .max = SNET_STREAMS - 1 },
	{ 0,   "kind",       "NAME",     OPT_STR,      &cli.kind_name, "record type of messages that name none: a name or a number" },
	{ 0 },
};

static const struct opt wire_opts[] = {
	{ 0,   "cc",         "NAME",     OPT_ENUM,     &cli.cc,     "congestion control", .choices = (const char *const[]){ "cubic", "bbr", NULL } },
	{ 0,   "mtu",        "BYTES",    OPT_UINT,     &cli.mtu,    "UDP payload; 0: found by probing", .max = 65507 },
	{ '4', "ipv4",       NULL,       OPT_FLAG,     &cli.only_ipv4, "IPv4 only" },
	{ '6', "ipv6",       NULL,       OPT_FLAG,     &cli.only_ipv6, "IPv6 only" },
	{ 0 },
};
/* clang-format on */

static const struct opt_group groups[] = {
	{ "The party", party_opts },
	{ "Rounds", round_opts },
	{ "Messages", format_opts },
	{ "Their place", message_opts },
	{ "Limits", limit_opts },
	{ "Through NATs", ice_find_opts },
	{ "In a room", ice_room_opts },
	{ "Transport", wire_opts },
	{ "Looking inside", looking_opts },
	{ "Figures", stats_opts },
	{ "Starting", ready_opts },
	{ "Ready", when_opts },
	{ 0 },
};

static const struct tool self = {
	.name = "snet-party",
	.synopsis = "[options] -i N ROSTER\n       snet-party [options] --spawn N -- PROGRAM "
		    "[ARGUMENT...]",
	.purpose = "Be party N of a roster, connected to all the others: stdin goes to them, "
		   "their messages to stdout.",
	.groups = groups,
};

static int be_party(const char *roster)
{
	struct snet_error err = { 0 };
	struct run run = { 0 };
	struct party party = { 0 };
	int rc;

	if (run_init(&run, &err))
		return tool_fail(&err);
	if (party_init(&party, &run, roster, &opts, &err))
		run_done(&run, &err, OPT_NONE);
	run_loop(&run);
	party_fini(&party);
	rc = run_fini(&run);
	return party.program_status && !run.signo ? party.program_status : rc;
}

/* What belongs to one party cannot be said to all of them. */
static int be_all(char **argv)
{
	struct snet_error err = { 0 };
	int rc;

	if (cli.id != OPT_NONE || cli.key || opts.exec || opts.journal)
		opts_misuse(&self,
			    "--spawn makes its own parties: no --id, --key, --exec, --journal");
	if (cli.ready_fd != OPT_NONE || cli.metrics_file)
		opts_misuse(&self, "--ready-fd and --metrics-file are for one party");
	if (cli.only_ipv6)
		opts_misuse(&self, "--spawn lives on 127.0.0.1: no -6");
	say_open(self.name, cli.verbose, !cli.verbose, cli.log_format == LOG_JSON);
	rc = spawn_all((uint32_t)n_spawn, preset, argv, be_party, &err);
	return rc < 0 ? tool_fail(&err) : rc;
}

static void check_rounds(void)
{
	if (opts.round_timeout != SNET_NEVER && !opts.sync)
		opts_misuse(&self, "--round-timeout is for --sync");
	if (!opts.round_timeout)
		opts_misuse(&self, "--round-timeout: 0 is no time to do anything in");
	if (opts.sync && cli.overflow == OVERFLOW_DROP)
		opts_misuse(&self, "--sync has no message to spare: no --overflow drop");
	if (opts.sync && opts.journal)
		opts_misuse(&self, "--sync has no --journal: another process does not know "
				   "which round it is in");
	if (opts.sync && cli.stream)
		opts_misuse(&self, "--sync has no streams");
	if (opts.ready_when == PARTY_Q && opts.quorum == OPT_NONE)
		opts_misuse(&self, "--ready-when q: how many? give --quorum");
}

int main(int argc, char **argv)
{
	int i = run_start(&self, argc, argv);
	bool spawns = n_spawn != OPT_NONE;

	if (i == argc)
		opts_misuse(&self, spawns ? "no program to run" : "no roster");
	if (i + 1 < argc && !spawns)
		opts_misuse(&self, "%s: one roster is enough", argv[i + 1]);
	if (cli.id == OPT_NONE && !spawns)
		opts_misuse(&self, "which party? give --id N");
	if (preset && !spawns)
		opts_misuse(&self, "--link is for --spawn; otherwise run snet-link");
	if (cli.format == FORMAT_RAW)
		opts_misuse(&self, "--format raw is for one peer; framed carries any bytes");
	if (dead_after < SNET_SEC)
		opts_misuse(&self, "--dead-after: at least 1s");
	check_rounds();
	cli.role = SNET_ROLE_SERVER;
	cli.keep_alive = dead_after == SNET_NEVER ? SNET_NEVER : dead_after / 3;
	return spawns ? be_all(argv + i) : be_party(argv[i]);
}
