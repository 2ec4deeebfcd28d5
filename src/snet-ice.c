/* snet-ice: an ICE agent as a filter: our candidates out, the other side's in, the pair out. */
#include <stddef.h>

#include "cli/groups.h"
#include "cli/ice.h"
#include "cli/ice_opts.h"
#include "cli/ice_quic.h"
#include "cli/ice_setup.h"
#include "cli/opts.h"
#include "cli/run.h"
#include "cli/say.h"

static const char *const role_names[] = { "auto", "controlling", "controlled", NULL };

static struct ice_words words = { .role = ICE_AUTO };
static struct ice_opts opts;
static uint64_t pass_fd = OPT_NONE;
static bool quic;

/* clang-format off */
static const struct opt address_opts[] = {
	{ 'b', "bind", "ADDRESS", OPT_STR,  &words.bind,    "use this address, and port, alone; :PORT is that port of every address" },
	{ '4', "ipv4", NULL,      OPT_FLAG, &cli.only_ipv4, "IPv4 only" },
	{ '6', "ipv6", NULL,      OPT_FLAG, &cli.only_ipv6, "IPv6 only" },
	{ 0 },
};

static const struct opt talk_opts[] = {
	{ 0,   "role",       "ROLE",     OPT_ENUM,     &words.role,        "which side chooses the pair", .choices = role_names },
	{ 0,   "no-trickle", NULL,       OPT_FLAG,     &opts.no_trickle, "say nothing before all candidates are found" },
	{ 'w', "wait",       "DURATION", OPT_DURATION, &cli.wait,    "how long to wait for the other side's credentials" },
	{ 't', "timeout",    "DURATION", OPT_DURATION, &cli.timeout, "how long to look for a pair from then on" },
	{ 0 },
};

static const struct opt pair_opts[] = {
	{ 'e', "exec",    "COMMAND",  OPT_STR,      &opts.exec, "run this on the pair: its stdin and stdout are the socket" },
	{ 0,   "pass-fd", "N",        OPT_UINT,     &pass_fd,   "give it the socket as this descriptor instead", .min = 3, .max = 1 << 20 },
	{ 0,   "keep",    NULL,       OPT_FLAG,     &opts.keep, "stay, keep the pair open, and tell when it changes or is lost" },
	{ 0,   "consent", "DURATION", OPT_DURATION, &words.consent,   "the pair is lost when the other side is silent for so long" },
	{ 0,   "quic",    NULL,       OPT_FLAG,     &quic,      "carry stdin and stdout over QUIC on the pair" },
	{ 0 },
};
/* clang-format on */

static const struct opt_group groups[] = {
	{ "Candidates", ice_find_opts },    { "Addresses", address_opts },
	{ "The other side", talk_opts },    { "The pair", pair_opts },
	{ "With --quic", ice_quic_opts },   { "Its room", ice_room_opts },
	{ "Its keys", identity_opts },      { "Its messages", format_opts },
	{ "Looking inside", looking_opts }, { "Figures", stats_opts },
	{ "Starting", ready_opts },         { 0 },
};

static const struct tool self = {
	.name = "snet-ice",
	.synopsis = "[options]",
	.purpose = "Find a way to another host through NATs: candidates out, the other's in.",
	.groups = groups,
};

static struct run run;
static struct ice *ice;
static struct hub hub;

static void on_drain(void *user)
{
	(void)user;
	if (ice)
		ice_drain(ice);
	else
		run_done(&run, NULL, OPT_NONE);
}

static void on_kill(void *user)
{
	(void)user;
	if (ice)
		ice_kill(ice);
}

static void on_stats(void *user)
{
	(void)user;
	if (ice)
		ice_stats(ice);
}

static void on_room(void *user)
{
	(void)user;
	if (ice)
		ice_room(ice);
}

/* ---- the command line */

static void check(int operands)
{
	if (operands)
		opts_misuse(&self, "no operands: the other side's lines come on stdin");
	if (ice_quic_misuse(quic))
		opts_misuse(&self, "%s", ice_quic_misuse(quic));
	if (quic && (opts.exec || opts.keep || opts.no_trickle))
		opts_misuse(&self, "--quic goes without --exec, --keep and --no-trickle");
	if (cli.human && !quic)
		opts_misuse(&self, "-H: what is printed is for the other side; -v tells more");
	if (pass_fd != OPT_NONE && !opts.exec)
		opts_misuse(&self, "--pass-fd is for --exec");
	if (words.consent && !opts.keep && !opts.exec)
		opts_misuse(&self, "--consent is for --keep and --exec");
	if (words.consent && words.consent < SNET_SEC)
		opts_misuse(&self, "--consent: at least 1s");
	if (cli.timeout < SNET_SEC)
		opts_misuse(&self, "--timeout: at least 1s");
}

/* Whoever has found the pair, too, may have gone: what is said now is for people. */
static bool on_out_lost(void *user)
{
	(void)user;
	return ice && ice_is_selected(ice);
}

static int carry(void)
{
	struct snet_error err = { 0 };

	if (run_init(&run, &err))
		return tool_fail(&err);
	if (ice_quic(&hub, &run, &words, &err))
		run_done(&run, &err, OPT_NONE);
	else
		hub_start(&hub);
	run_loop(&run);
	hub_fini(&hub);
	return run_fini(&run);
}

int main(int argc, char **argv)
{
	struct snet_error err = { 0 }, why = { 0 };
	int rc, i = run_start(&self, argc, argv);

	check(argc - i);
	if (quic)
		return carry();
	opts.explain = ice_opts_explain();
	opts.pass_fd = pass_fd == OPT_NONE ? -1 : (int)pass_fd;
	rc = ice_setup(&opts, &words, &why);
	if (rc == SNET_EINVAL)
		opts_misuse(&self, "%s", why.text);
	run.on_drain = on_drain;
	run.on_kill = on_kill;
	run.on_stats = on_stats;
	run.on_room = on_room;
	run.on_out_lost = on_out_lost;
	if (run_init(&run, &err))
		return tool_fail(&err);
	if (!rc)
		rc = ice_new(&ice, &run, &opts, &why);
	ice_opts_fini(); /* the driver has its own */
	if (rc)
		run_done(&run, &why, OPT_NONE);
	run_loop(&run);
	ice_free(ice);
	return run_fini(&run);
}
