/* snet-send: dial one or more peers; stdin goes to them, their replies to stdout. */
#include <stddef.h>

#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/ice_opts.h"
#include "cli/opts.h"
#include "cli/run.h"
#include "cli/say.h"

static const struct opt_group groups[] = {
	{ "Dialling", dial_opts },
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
	.name = "snet-send",
	.synopsis = "[options] ADDRESS...",
	.purpose = "Dial peers over QUIC: stdin goes to them, their messages to stdout.",
	.groups = groups,
};

int main(int argc, char **argv)
{
	struct snet_error err = { 0 };
	struct run run = { 0 };
	struct hub hub = { 0 };
	int i = run_start(&self, argc, argv), rc;

	if (i == argc)
		opts_misuse(&self, "no address to dial");
	if (run_init(&run, &err))
		return tool_fail(&err);
	rc = hub_init(&hub, &run, NULL, &err);
	for (; !rc && i < argc; i++)
		rc = hub_target(&hub, argv[i], &err);
	if (rc)
		run_done(&run, &err, OPT_NONE);
	else
		hub_start(&hub);
	run_loop(&run);
	hub_fini(&hub);
	return run_fini(&run);
}
