/* snet-stun: what does a NAT do to this socket; --serve answers those who ask. */
#include <stddef.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/opts.h"
#include "cli/out.h"
#include "cli/ready.h"
#include "cli/run.h"
#include "cli/stun_host.h"
#include "cli/stun_look.h"
#include "cli/stun_serve.h"

static const char *bind_at;
static bool thorough;
static snet_time lifetime, every;
static struct opt_list serve;

/* clang-format off */
static const struct opt ask_opts[] = {
	{ 'b', "bind",     "ADDRESS",  OPT_STR,      &bind_at,  "ask from this address and port: the socket the answers are about" },
	{ 0,   "nat",      NULL,       OPT_FLAG,     &thorough, "find out about filtering and hairpinning too: takes seconds" },
	{ 0,   "lifetime", "DURATION", OPT_DURATION, &lifetime, "find out how long a silent binding lives, up to this: takes so long" },
	{ 0,   "every",    "DURATION", OPT_DURATION, &every,    "look again so often, until interrupted" },
	{ 't', "timeout",  "DURATION", OPT_DURATION, &cli.timeout, "how long to wait for a server that is silent" },
	{ '4', "ipv4",     NULL,       OPT_FLAG,     &cli.only_ipv4, "IPv4 only" },
	{ '6', "ipv6",     NULL,       OPT_FLAG,     &cli.only_ipv6, "IPv6 only" },
	{ 0 },
};

static const struct opt serve_opts[] = {
	{ 0, "serve", "ADDRESS", OPT_LIST, &serve, "be a server here; a second address makes it one of RFC 5780" },
	{ 0 },
};
/* clang-format on */

static const struct opt_group groups[] = {
	{ "Asking", ask_opts },
	{ "Serving", serve_opts },
	{ "Looking inside", looking_opts },
	{ "Starting", ready_opts },
	{ 0 },
};

static const struct tool self = {
	.name = "snet-stun",
	.synopsis = "[options] SERVER... | --serve ADDRESS [--serve ADDRESS]",
	.purpose = "Find out what a NAT does to a UDP socket, or help others to find out.",
	.groups = groups,
};

static struct run run;
static struct stun_serve *server;
static struct stun_look looks[2] = { { .family = AF_INET }, { .family = AF_INET6 } };
static struct stun_names names;
static struct snet_timer again;

/* ---- the end of it */

/* One family that works is enough; what both lack is the answer. */
static void conclude(void)
{
	struct snet_error err = { 0 };
	int best = SNET_EUNREACH;

	for (size_t i = 0; i < 2; i++) {
		int rc = looks[i].probe ? stun_verdict(&looks[i]) : SNET_EUNREACH;

		if (rc == SNET_OK || best == SNET_EUNREACH)
			best = rc;
	}
	if (best == SNET_EUNREACH)
		snet_fail(&err, best, "no server has answered");
	else if (best)
		snet_fail(&err, best,
			  "the NAT is symmetric: where a server sees this socket nobody else "
			  "finds it");
	run_done(&run, best ? &err : NULL, OPT_NONE);
}

/* ---- what the probes say */

static void on_answer(unsigned i, const struct snet_stun_answer *a, void *user)
{
	struct stun_look *l = user;

	l->answers[i] = *a;
	l->is_known[i] = true;
	if (!cli.human)
		stun_say_answer(l, i);
}

static void on_verdict(const struct snet_nat *v, void *user)
{
	struct stun_look *l = user;

	l->nat = *v;
	if (!cli.human)
		stun_say_nat(l);
}

static void on_over(void *user)
{
	struct stun_look *l = user;

	l->over = true;
	if (cli.human)
		stun_report(l, run.out);
	for (size_t i = 0; i < 2; i++)
		if (looks[i].probe && !looks[i].over)
			return;
	if (every)
		snet_timer_set(run.loop, &again, snet_loop_now(run.loop) + every);
	else
		conclude();
}

static const struct snet_probe_events events = { on_answer, on_verdict, on_over };

static int begin(struct stun_look *l, struct snet_error *err)
{
	const struct snet_behaviour_opts o = {
		.thorough = thorough,
		.lifetime = lifetime,
		.pace = { .most = cli.timeout },
	};

	memset(l->is_known, 0, sizeof(l->is_known));
	l->nat = (struct snet_nat){ 0 };
	l->over = false;
	return snet_probe_start(l->probe, &o, l->servers, l->n, err);
}

static void on_again(struct snet_timer *t, snet_time now)
{
	struct snet_error err = { 0 };

	(void)t, (void)now;
	for (size_t i = 0; i < 2; i++)
		if (looks[i].probe && begin(&looks[i], &err))
			run_done(&run, &err, OPT_NONE);
}

/* The first address of each family. */
static void add_server(const struct stun_name *s, struct stun_look *l)
{
	for (size_t i = 0; i < s->n_addrs; i++) {
		if (s->addrs[i].sa.sa_family != l->family)
			continue;
		l->names[l->n] = s->text;
		l->servers[l->n++] = s->addrs[i];
		break;
	}
}

static int open_probe(struct stun_look *l, struct snet_error *err)
{
	struct snet_addr at = { .sa = { .sa_family = (sa_family_t)l->family } };
	struct snet_addr found[NET_ADDRS];
	size_t n;
	int rc;

	if (bind_at) {
		rc = stun_host(bind_at, 0, true, found, &n, err);
		if (rc)
			return rc;
		if (found[0].sa.sa_family != l->family)
			return SNET_OK; /* the other family's */
		at = found[0];
	}
	rc = snet_probe_new(&l->probe, run.loop, &at, &events, l, err);
	return rc ? rc : begin(l, err);
}

/* Whoever is not known by now was said, and costs the others nothing. */
static void ask_all(void *user)
{
	struct snet_error err = { 0 };
	int rc = SNET_OK;

	(void)user;
	for (size_t i = 0; i < 2 && !rc; i++) {
		for (unsigned j = 0; j < names.n; j++)
			add_server(&names.v[j], &looks[i]);
		if (looks[i].n)
			rc = open_probe(&looks[i], &err);
	}
	if (!rc && !looks[0].probe && !looks[1].probe)
		rc = looks[0].n + looks[1].n
			     ? snet_fail(&err, SNET_EINVAL,
					 "--bind: no server is of that family")
			     : snet_fail(&err, SNET_ERESOLVE, "no server has an address");
	if (rc)
		run_done(&run, &err, OPT_NONE);
	else
		ready_say();
}

static void on_stats(void *user)
{
	(void)user;
	if (server)
		stun_serve_stats(server);
}

static void check(int n)
{
	if (!n && !serve.n)
		opts_misuse(&self, "want a SERVER to ask, or --serve");
	if (serve.n && (n || bind_at || thorough || lifetime || every))
		opts_misuse(
			&self,
			"--serve asks nobody: it excludes SERVER and the options of asking");
	if (n > SNET_BEHAVIOUR_SERVERS)
		opts_misuse(&self, "%d servers are more than %d", n, SNET_BEHAVIOUR_SERVERS);
	if (lifetime > SNET_BEHAVIOUR_LIFETIME_MAX)
		opts_misuse(&self, "--lifetime: at most 1h");
}

int main(int argc, char **argv)
{
	struct snet_error err = { 0 };
	int i;

	cli.timeout = 3 * SNET_SEC;
	i = run_start(&self, argc, argv);
	check(argc - i);
	for (; i < argc; i++)
		if (stun_names_add(&names, argv[i], &err))
			opts_misuse(&self, "%s", err.text);
	run.on_stats = on_stats;
	again.fn = on_again;
	if (run_init(&run, &err))
		return tool_fail(&err);
	if (names.n)
		stun_names_look_up(&names, run.loop, ask_all, NULL);
	else if (stun_serve_new(&server, &run, serve.v, serve.n, &err))
		run_done(&run, &err, OPT_NONE);
	run_loop(&run);
	snet_timer_stop(run.loop, &again);
	stun_names_fini(&names);
	for (size_t j = 0; j < 2; j++)
		snet_probe_free(looks[j].probe);
	stun_serve_free(server);
	return run_fini(&run);
}
