/* snet-signal: carry JSON lines between those in a room: a server of rooms, and a pipe to one.
 */
#include <stddef.h>

#include "cli/groups.h"
#include "cli/opts.h"
#include "cli/run.h"
#include "cli/say.h"
#include "cli/signal_pipe.h"
#include "cli/signal_serve.h"
#include "signal/client.h"

#define WAIT (30 * SNET_SEC)
#define MESSAGE_MAX (16 << 20) /* bytes */

static const char *listen_at, *token_file, *cert, *key;
static uint64_t max_rooms = 1024, max_members = 16, per_address = 64, joins = 120;
static uint64_t replay = 64 << 10, queue = 1 << 20;
static snet_time ttl = 24 * 3600 * SNET_SEC;

/* clang-format off */
static const struct opt serve_opts[] = {
	{ 'l', "listen",      "ADDRESS",  OPT_STR,      &listen_at,   "be a server of rooms here" },
	{ 0,   "cert",        "FILE",     OPT_STR,      &cert,        "speak TLS with this certificate, and those above it" },
	{ 0,   "key",         "FILE",     OPT_STR,      &key,         "the private key of the certificate" },
	{ 0,   "max-rooms",   "N",        OPT_UINT,     &max_rooms,   "rooms at a time", .min = 1, .max = 1 << 20 },
	{ 0,   "max-members", "N",        OPT_UINT,     &max_members, "members of a room", .min = 2, .max = 4096 },
	{ 0,   "per-address", "N",        OPT_UINT,     &per_address, "members from one address at a time", .min = 1, .max = 1 << 20 },
	{ 0,   "joins",       "N",        OPT_UINT,     &joins,       "attempts to join from one address in a minute", .min = 1, .max = 1 << 20 },
	{ 0,   "replay",      "SIZE",     OPT_SIZE,     &replay,      "keep so much of what each member says first for those who come later; 0: nothing", .max = MESSAGE_MAX },
	{ 0,   "queue",       "SIZE",     OPT_SIZE,     &queue,       "bytes waiting for a member from which on its room waits for it", .min = 64 << 10, .max = 1 << 30 },
	{ 0,   "ttl",         "DURATION", OPT_DURATION, &ttl,         "a room in which nobody has come or spoken for so long is over" },
	{ 0 },
};

static const struct opt pipe_mode_opts[] = {
	{ 'w', "wait",      "DURATION", OPT_DURATION, &cli.wait,      "how long to dial a server that is not there yet" },
	{ 0,   "ca",        "FILE",     OPT_STR,      &cli.ca,        "of wss://: believe these authorities in place of the system's" },
	{ 0,   "recv-only", NULL,       OPT_FLAG,     &cli.recv_only, "do not read stdin" },
	{ 0,   "keep-open", NULL,       OPT_FLAG,     &cli.keep_open, "stay in the room at the end of stdin" },
	{ 0,   "count",     "N",        OPT_UINT,     &cli.count,     "leave after so many lines have come", .min = 1 },
	{ 0 },
};

static const struct opt both_opts[] = {
	{ 0,   "token-file",  "FILE",     OPT_STR,      &token_file,      "who may come in, a token per line; a pipe gives the first" },
	{ 0,   "max-message", "SIZE",     OPT_SIZE,     &cli.max_message, "refuse larger messages, both ways", .min = 64, .max = MESSAGE_MAX },
	{ 't', "timeout",     "DURATION", OPT_DURATION, &cli.timeout,     "how long a handshake, a farewell or a member that takes nothing may last" },
	{ 0,   "keep-alive",  "DURATION", OPT_DURATION, &cli.keep_alive,  "how often to ping; three pings unheard are the end" },
	{ '4', "ipv4",        NULL,       OPT_FLAG,     &cli.only_ipv4,   "IPv4 only" },
	{ '6', "ipv6",        NULL,       OPT_FLAG,     &cli.only_ipv6,   "IPv6 only" },
	{ 0 },
};
/* clang-format on */

static const struct opt_group groups[] = {
	{ "Being a server", serve_opts },
	{ "Being a pipe", pipe_mode_opts },
	{ "Both", both_opts },
	{ "Looking inside", looking_opts },
	{ "Figures", stats_opts },
	{ "Starting", ready_opts },
	{ 0 },
};

static const struct tool self = {
	.name = "snet-signal",
	.synopsis = "[options] ws://HOST:PORT/ROOM | --listen ADDRESS",
	.purpose = "Carry JSON lines between those in a room, over WebSockets.",
	.groups = groups,
};

static struct run run;
static struct signal_serve *server;
static struct signal_pipe *pipe_end;

static void on_drain(void *user)
{
	(void)user;
	if (server)
		signal_serve_drain(server);
	else if (pipe_end)
		signal_pipe_drain(pipe_end);
}

static void on_stats(void *user)
{
	(void)user;
	if (server)
		signal_serve_stats(server);
	else if (pipe_end)
		signal_pipe_stats(pipe_end);
}

static void on_room(void *user)
{
	(void)user;
	if (pipe_end)
		signal_pipe_room(pipe_end);
}

static bool has_serve_options(void)
{
	return cert || key || max_rooms != 1024 || max_members != 16 || per_address != 64 ||
	       joins != 120 || replay != 64 << 10 || queue != 1 << 20 ||
	       ttl != 24 * 3600 * SNET_SEC;
}

static void check(int n)
{
	if (listen_at && (n || cli.ca || cli.recv_only || cli.keep_open ||
			  cli.count != OPT_NONE || cli.wait != WAIT))
		opts_misuse(&self, "--listen excludes an address and the options of a pipe");
	if (!listen_at && n != 1)
		opts_misuse(&self, n ? "one address, not %d" : "want an ADDRESS, or --listen",
			    n);
	if (!listen_at && has_serve_options())
		opts_misuse(&self, "the options of a server are for --listen");
	if (!listen_at && cli.human)
		opts_misuse(&self, "-H is for --listen: what a pipe prints is the room's");
	if (!cert != !key)
		opts_misuse(&self, "--cert and --key want each other");
	if (!ttl)
		opts_misuse(&self, "--ttl: 0 is no time to say anything in");
}

static int serve(struct snet_error *err)
{
	const struct snet_signal_server_opts o = {
		.cert = cert,
		.key = key,
		.token_file = token_file,
		.rooms = { .max_rooms = (size_t)max_rooms,
			   .max_members = (size_t)max_members,
			   .per_address = (size_t)per_address,
			   .joins_per_minute = (unsigned)joins,
			   .keep_bytes = (size_t)replay,
			   .ttl = ttl },
		.max_message = (size_t)cli.max_message,
		.queue = (size_t)queue,
		.timeout = cli.timeout,
		.keep_alive = cli.keep_alive,
	};

	return signal_serve_new(&server, &run, listen_at, &o, err);
}

int main(int argc, char **argv)
{
	struct snet_error err = { 0 };
	int i, rc;

	cli.max_message = SNET_SIGNAL_MESSAGE;
	i = run_start(&self, argc, argv);
	check(argc - i);
	if (!listen_at)
		cli.format = FORMAT_LINES; /* stdout is the room's alone */
	run.on_drain = on_drain;
	run.on_stats = on_stats;
	run.on_room = on_room;
	if (run_init(&run, &err))
		return tool_fail(&err);
	rc = listen_at ? serve(&err)
		       : signal_pipe_new(&pipe_end, &run, argv[i], token_file, &err);
	if (rc)
		run_done(&run, &err, OPT_NONE);
	run_loop(&run);
	signal_serve_free(server);
	signal_pipe_free(pipe_end);
	return run_fini(&run);
}
