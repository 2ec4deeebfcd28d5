/* snet-listen: accept peers; their messages go to stdout, stdin goes back to them. */
#include <stddef.h>

#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/ice_opts.h"
#include "cli/look_up.h"
#include "cli/opts.h"
#include "cli/run.h"
#include "cli/say.h"

static const char *exec;

static const struct opt listen_opts[] = {
	{ 'e', "exec", "COMMAND", OPT_STR, &exec,
	  "run this for each peer: its stdin and stdout in place of ours" },
	{ 'w', "wait", "DURATION", OPT_DURATION, &cli.wait,
	  "in a room: how long to wait for the signalling server" },
	{ 0 },
};

static const struct opt_group groups[] = {
	{ "Listening", listen_opts },
	{ "Identity and trust", identity_opts },
	{ "Messages", format_opts },
	{ "When it is over", pipe_opts },
	{ "Time", time_opts },
	{ "Limits", limit_opts },
	{ "Transport", transport_opts },
	{ "Through NATs", ice_find_opts },
	{ "In a room", ice_room_opts },
	{ "Looking inside", looking_opts },
	{ "Figures", stats_opts },
	{ "Starting", ready_opts },
	{ 0 },
};

static const struct tool self = {
	.name = "snet-listen",
	.synopsis = "[options] [ADDRESS]",
	.purpose = "Accept peers over QUIC: their messages to stdout, stdin back to them.",
	.groups = groups,
};

static struct snet_url at; /* no scheme: none was given */
static struct look_up *look_up;

static void on_known(const struct snet_error *why, void *user)
{
	struct hub *h = user;
	struct snet_error err = { 0 };

	if (h->run->done)
		return; /* told to end meanwhile */
	if (why || hub_listen(h, at.scheme[0] ? &at : NULL, &err))
		run_done(h->run, why ? why : &err, OPT_NONE);
	else
		hub_start(h);
}

/* From the operand, or from the roster as party --id. */
static int find_place(struct hub *h, const char *operand, struct snet_error *err)
{
	const struct roster_member *m = NULL;
	int rc = operand ? net_target(&h->net, operand, &at, &m, err) : SNET_OK;

	if (!operand && h->net.roster && cli.id != OPT_NONE)
		m = roster_party(h->net.roster, (uint32_t)cli.id);
	if (!operand && m)
		at = m->address;
	h->listens = true;
	return rc ? rc : look_up_place(&look_up, h->run->loop, &at, on_known, h, err);
}

int main(int argc, char **argv)
{
	struct snet_error err = { 0 };
	struct run run = { 0 };
	struct hub hub = { 0 };
	int i, rc;

	cli.role = SNET_ROLE_SERVER; /* what a listener's hello says */
	i = run_start(&self, argc, argv);

	if (argc - i > 1)
		opts_misuse(&self, "one address, not %d", argc - i);
	if (run_init(&run, &err))
		return tool_fail(&err);
	rc = hub_init(&hub, &run, exec, &err);
	if (!rc)
		rc = find_place(&hub, i < argc ? argv[i] : NULL, &err);
	if (rc)
		run_done(&run, &err, OPT_NONE);
	run_loop(&run);
	look_up_free(look_up);
	hub_fini(&hub);
	return run_fini(&run);
}
