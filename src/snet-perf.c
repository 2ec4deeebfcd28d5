/* snet-perf: how fast is this network for MPC: round trips, rounds, messages and bytes per
 * second, to one address or between all pairs of a roster. */
#include <string.h>

#include "cli/groups.h"
#include "cli/look_up.h"
#include "cli/opts.h"
#include "cli/perf.h"
#include "cli/perf_chan.h"
#include "cli/ready.h"
#include "cli/say.h"

#define TIME (3 * SNET_SEC)
#define LONGEST (300 * SNET_SEC)
#define PORTS_MAX 3 /* of a server: one of each kind */

static struct perf_wishes wish = { .time = TIME, .parallel = 1 };
static snet_time every, most = LONGEST;
static const char *svg;
static bool serve;

/* clang-format off */
static const struct opt test_opts[] = {
	{ 'T', "test",     "NAME",     OPT_LIST,     &wish.tests, "latency, rounds, messages, send, receive, both, handshakes; may be repeated; without it all" },
	{ 0,   "time",     "DURATION", OPT_DURATION, &wish.time, "how long each test measures" },
	{ 0,   "omit",     "DURATION", OPT_DURATION, &wish.omit, "before that, so long does not count" },
	{ 's', "size",     "SIZE",     OPT_LIST,     &wish.sizes, "of a message; may be repeated, each test then goes through all" },
	{ 0,   "parallel", "N",        OPT_UINT,     &wish.parallel, "connections at once", .min = 1, .max = PERF_PARALLEL_MAX },
	{ 0,   "every",    "DURATION", OPT_DURATION, &every,     "say so often what this interval has brought" },
	{ 0,   "svg",      "FILE",     OPT_STR,      &svg,       "draw the distribution of round trips, and bytes over time" },
	{ 'w', "wait",     "DURATION", OPT_DURATION, &cli.wait,  "how long to dial a peer that is not there yet" },
	{ 0 },
};

static const struct opt serve_opts[] = {
	{ 0,   "serve",    NULL,       OPT_FLAG,     &serve,     "be the other side, for one test at a time" },
	{ 0,   "longest",  "DURATION", OPT_DURATION, &most,      "refuse tests that take longer" },
	{ 0 },
};

static const struct opt patience_opts[] = {
	{ 't', "timeout",    "DURATION", OPT_DURATION, &cli.timeout,    "how long one operation may take: a handshake, a server to begin" },
	{ 0,   "keep-alive", "DURATION", OPT_DURATION, &cli.keep_alive, "how often to show a silent peer that we live; three that go unheard are a lost peer" },
	{ 0 },
};
/* clang-format on */

static const struct opt_group groups[] = {
	{ "Tests", test_opts },
	{ "Serving", serve_opts },
	{ "Identity and trust", identity_opts },
	{ "Time", patience_opts },
	{ "Transport", transport_opts },
	{ "Looking inside", looking_opts },
	{ "Starting", ready_opts },
	{ 0 },
};

static const struct tool self = {
	.name = "snet-perf",
	.synopsis = "[options] ADDRESS | --serve [ADDRESS]... | -r ROSTER -i N",
	.purpose = "Find out how fast a network is for MPC.",
	.groups = groups,
};

static struct run run;
static struct net net;
static struct perf_opts opts;
static struct perf_report report = { .run = &run };
static struct perf_serve *server;
static struct perf_client *client;
static struct perf_all *all;
static struct snet_url url, at[PORTS_MAX]; /* at: where to listen */
static size_t n_at;
static struct look_up *look_up; /* of their names */
static char address[SNET_URL_TEXT];

/* ---- doing it */

static void on_over(const struct snet_error *err, void *user)
{
	(void)user;
	perf_report_finish(&report, err, OPT_NONE);
}

static void on_drain(void *user)
{
	(void)user;
	if (client)
		perf_client_stop(client);
	else if (all)
		perf_all_stop(all);
	else {
		perf_serve_stop(server); /* what it has served so far is said */
		run_done(&run, NULL, OPT_NONE);
	}
}

/* Where to listen, and whether that may be: the addresses, or the roster's, or anywhere. */
static int find_ports(int n, char **addresses, struct snet_error *err)
{
	const struct roster_member *m = NULL;
	int rc = SNET_OK;

	if (!n) {
		if (net.roster && cli.id != OPT_NONE)
			m = roster_party(net.roster, (uint32_t)cli.id);
		at[n_at++] = m ? m->address : (struct snet_url){ .scheme = "quic" };
		return net_check_trust(&net, err);
	}
	for (int i = 0; i < n && !rc; i++) {
		struct snet_url *u = &at[n_at++];

		rc = snet_url_parse(u, addresses[i], err);
		if (!rc && u->has_key)
			rc = snet_fail(err, SNET_EINVAL, "%s: a server has its own key",
				       addresses[i]);
		if (!rc)
			rc = perf_carrier_check(&net, u, err);
	}
	return rc;
}

static int listen_at_all(struct snet_error *err)
{
	int rc = SNET_OK;

	if (!serve)
		return perf_all_new(&all, &run, &net, &at[0], &opts, &report, err);
	for (size_t i = 0; i < n_at && !rc; i++)
		rc = perf_serve_listen(server, &at[i], err);
	return rc;
}

static void on_known(const struct snet_error *why, void *user)
{
	struct snet_error err = { 0 };

	(void)user;
	if (run.done)
		return;
	if (why || listen_at_all(&err))
		run_done(&run, why ? why : &err, OPT_NONE);
	else
		ready_say();
}

static int start_listening(int n, char **addresses, struct snet_error *err)
{
	int rc = find_ports(n, addresses, err);

	if (!rc && serve)
		rc = perf_serve_new(&server, &net, most, err);
	if (!rc)
		rc = look_up_new(&look_up, run.loop, at, n_at, on_known, NULL, err);
	return rc;
}

static int start_client(const char *operand, struct snet_error *err)
{
	const struct roster_member *m = NULL;
	struct perf_client_opts o = { .opts = &opts,
				      .report = &report,
				      .from = UINT32_MAX,
				      .to = UINT32_MAX,
				      .on_over = on_over,
				      .wait_until = perf_until(run.loop) };
	int rc = strstr(operand, "://") ? snet_url_parse(&url, operand, err)
					: net_target(&net, operand, &url, &m, err);

	if (!rc && !url.port)
		rc = snet_fail(err, SNET_EINVAL, "%s: port 0 cannot be dialled", operand);
	if (!rc)
		rc = perf_carrier_check(&net, &url, err);
	if (rc)
		return rc;
	o.wait_until =
		cli.wait > SNET_NEVER / 2 ? SNET_NEVER : snet_loop_now(run.loop) + cli.wait;
	report.transport = url.scheme;
	report.address = snet_url_print(&url, address);
	rc = perf_client_new(&client, &net, &url, &o, err);
	if (!rc)
		ready_say();
	return rc;
}

static int start(int n, char **operands, struct snet_error *err)
{
	int rc = net_init(&net, run.loop, err);

	if (!rc)
		rc = perf_report_init(&report);
	report.every = every;
	report.svg = svg;
	report.omit = wish.omit;
	if (rc)
		return rc;
	return serve || !n ? start_listening(n, operands, err) : start_client(operands[0], err);
}

static void check(int n, char **operands)
{
	struct snet_error err;

	if (serve && (wish.tests.n || wish.sizes.n || svg || every || wish.omit ||
		      wish.parallel != 1 || wish.time != TIME))
		opts_misuse(&self, "--serve asks nobody: it excludes the options of tests");
	if (serve && n > PORTS_MAX)
		opts_misuse(&self, "--serve: one address of each kind is enough");
	if (!serve && most != LONGEST)
		opts_misuse(&self, "--longest is for --serve");
	if (!serve && n > 1)
		opts_misuse(&self, "one address, not %d", n);
	if (!serve && !n && (!cli.roster || cli.id == OPT_NONE))
		opts_misuse(&self, "want an ADDRESS, --serve, or --roster with --id");
	if (every && every < 10 * SNET_MS)
		opts_misuse(&self, "--every: at least 10ms");
	if (!most)
		opts_misuse(&self, "--longest: 0 is no time to test anything in");
	if (perf_plan_make(&opts, &wish, n && !strncmp(operands[0], "udp:", 4), &err))
		opts_misuse(&self, "%s", err.text);
}

int main(int argc, char **argv)
{
	struct snet_error err = { 0 };
	int i, rc;

	cli.max_message = PERF_SIZE_MAX + 64;
	i = run_start(&self, argc, argv);
	check(argc - i, argv + i);
	run.on_drain = on_drain;
	if (run_init(&run, &err))
		return tool_fail(&err);
	rc = start(argc - i, argv + i, &err);
	if (rc)
		run_done(&run, &err, OPT_NONE);
	run_loop(&run);
	look_up_free(look_up);
	perf_client_free(client);
	perf_all_free(all);
	perf_serve_free(server);
	net_fini(&net);
	perf_report_fini(&report);
	perf_filler_free();
	return run_fini(&run);
}
