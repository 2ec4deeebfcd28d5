/* snet-perf: how fast is this network for MPC: round trips, rounds, messages and bytes per
 * second, to one address or between all pairs of a roster. */
#include <string.h>

#include "cli/groups.h"
#include "cli/opts.h"
#include "cli/perf.h"
#include "cli/perf_chan.h"
#include "cli/ready.h"
#include "cli/say.h"

static struct perf_wishes wish = { .time = 3 * SNET_SEC, .parallel = 1 };
static snet_time every, most = 300 * SNET_SEC;
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
static struct snet_url url;
static char address[SNET_URL_TEXT];

static int check_scheme(const struct snet_url *u, struct snet_error *err)
{
	const struct perf_carrier *t = perf_carrier_find(u->scheme);

	if (!t)
		return snet_fail(err, SNET_EINVAL, "%s://: want quic://, tcp:// or udp://",
				 u->scheme);
	if (t == &perf_quic)
		return u->has_key ? SNET_OK : net_check_trust(&net, err);
	if (cli.insecure && !u->has_key)
		return SNET_OK;
	return snet_fail(err, SNET_ECONFIG,
			 "%s:// knows no keys, anybody can be at the other end: it needs "
			 "--insecure%s",
			 u->scheme, u->has_key ? ", and no key id" : "");
}

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
	else
		run_done(&run, NULL, OPT_NONE);
}

static int start_server(int n, char **addresses, struct snet_error *err)
{
	const struct snet_url anywhere = { .scheme = "quic" };
	const struct roster_member *m = NULL;
	int rc = perf_serve_new(&server, &net, most, err);

	if (!rc && !n) {
		if (net.roster && cli.id != OPT_NONE)
			m = roster_party(net.roster, (uint32_t)cli.id);
		rc = net_check_trust(&net, err);
		return rc ? rc : perf_serve_listen(server, m ? &m->address : &anywhere, err);
	}
	for (int i = 0; i < n && !rc; i++) {
		struct snet_url u;

		rc = snet_url_parse(&u, addresses[i], err);
		if (!rc && u.has_key)
			rc = snet_fail(err, SNET_EINVAL, "%s: a server has its own key",
				       addresses[i]);
		if (!rc)
			rc = check_scheme(&u, err);
		if (!rc)
			rc = perf_serve_listen(server, &u, err);
	}
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
		rc = check_scheme(&url, err);
	if (rc)
		return rc;
	o.wait_until =
		cli.wait > SNET_NEVER / 2 ? SNET_NEVER : snet_loop_now(run.loop) + cli.wait;
	report.transport = url.scheme;
	report.address = snet_url_print(&url, address);
	return perf_client_new(&client, &net, &url, &o, err);
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
	if (serve)
		return start_server(n, operands, err);
	if (n)
		return start_client(operands[0], err);
	return perf_all_new(&all, &run, &net, &opts, &report, err);
}

static void check(int n, char **operands)
{
	struct snet_error err;

	if (serve &&
	    (wish.tests.n || wish.sizes.n || svg || every || wish.omit || wish.parallel != 1))
		opts_misuse(&self, "--serve asks nobody: it excludes the options of tests");
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
	else
		ready_say();
	run_loop(&run);
	perf_client_free(client);
	perf_all_free(all);
	perf_serve_free(server);
	net_fini(&net);
	perf_report_fini(&report);
	perf_filler_free();
	return run_fini(&run);
}
