/* snet-link: a link emulator without root: delay, jitter, rate, loss, partitions and NATs
 * between addresses, from named presets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/groups.h"
#include "cli/link.h"
#include "cli/opts.h"
#include "cli/out.h"
#include "cli/say.h"
#include "emul/preset.h"

#define LIFETIME (300 * SNET_SEC) /* RFC 4787 §4.3 recommends five minutes */

static struct link_opts opts = { .seed = 1 };
static bool list_presets, verify, hairpin;
static int mapping = -1, filtering = -1, ports = -1;
static snet_time lifetime = LIFETIME, verify_for = 3 * SNET_SEC;
static const char *port_range;

static const char *const behaviours[] = { "endpoint", "address", "address-port", NULL };
static const char *const port_names[] = { "any", "sequential", "random", "preserving", NULL };

/* clang-format off */
static const struct opt where_opts[] = {
	{ 0,   "listen",      "ADDRESS", OPT_LIST, &opts.listen, "where packets come in; with --to, as many times" },
	{ 0,   "to",          "ADDRESS", OPT_LIST, &opts.to,     "where what comes in by the --listen of the same place goes" },
	{ 'r', "roster",      "FILE",    OPT_STR,  &opts.roster, "stand between all parties of this roster" },
	{ 0,   "out",         "FILE",    OPT_STR,  &opts.out,    "write party N's own roster, in which the others are reached through the links; % in the name becomes N" },
	{ 'F', "force",       NULL,      OPT_FLAG, &opts.force,  "replace files that exist" },
	{ 0 },
};

static const struct opt link_opts[] = {
	{ 0,   "preset",      "NAME",    OPT_STR,  &opts.preset, "a network by name; the options below change it" },
	{ 0,   "list-presets", NULL,     OPT_FLAG, &list_presets, "say what presets there are, and exit" },
	{ 0,   "delay",       "DURATION", OPT_STR, &opts.keys[0], "one way" },
	{ 0,   "rtt",         "DURATION", OPT_STR, &opts.keys[1], "both ways together, in place of --delay" },
	{ 0,   "jitter",      "DURATION", OPT_STR, &opts.keys[2], "how far the delay varies: at most (uniform), or its deviation" },
	{ 0,   "distribution", "NAME",   OPT_STR,  &opts.keys[3], "of jitter: uniform, normal, pareto" },
	{ 0,   "correlation", "SHARE",   OPT_STR,  &opts.keys[4], "of a packet's jitter with that of the one before, 25%" },
	{ 0,   "rate",        "RATE",    OPT_STR,  &opts.keys[5], "10mbit, 5MB/s; IP headers count" },
	{ 0,   "burst",       "SIZE",    OPT_STR,  &opts.keys[6], "what passes at once after a silence" },
	{ 0,   "limit",       "SIZE|DURATION", OPT_STR, &opts.keys[7], "the queue before the rate: most bytes, or longest time" },
	{ 0,   "loss",        "SHARE",   OPT_STR,  &opts.keys[8], "1%" },
	{ 0,   "loss-gemodel", "P,R,BAD,GOOD", OPT_STR, &opts.keys[9], "bursts of loss, Gilbert and Elliott: to bad, to good, loss in bad, in good" },
	{ 0,   "duplicate",   "SHARE",   OPT_STR,  &opts.keys[10], "of packets that arrive twice" },
	{ 0,   "reorder",     "SHARE",   OPT_STR,  &opts.keys[11], "of packets that skip the delay" },
	{ 0,   "corrupt",     "SHARE",   OPT_STR,  &opts.keys[12], "of packets with one bit turned over" },
	{ 0,   "mtu",         "BYTES",   OPT_STR,  &opts.keys[13], "larger packets are dropped, IP headers counted; 1500 with presets" },
	{ 0,   "in-order",    NULL,      OPT_FLAG, &opts.in_order, "jitter and reorder let no packet overtake another" },
	{ 0,   "matrix",      "FILE",    OPT_STR,  &opts.matrix, "JSON lines: what single links are like" },
	{ 0,   "seed",        "N",       OPT_UINT, &opts.seed,   "of all that is random" },
	{ 0 },
};

static const struct opt fault_opts[] = {
	{ 0,   "schedule",    "FILE",    OPT_STR,  &opts.schedule, "JSON lines: at, link, change" },
	{ 0,   "control",     NULL,      OPT_FLAG, &opts.control, "the same live, from stdin" },
	{ 0 },
};

static const struct opt nat_opts[] = {
	{ 0,   "nat-mapping", "BY",      OPT_ENUM, &mapping,     "a port outside for each: endpoint inside alone, and address, or address-port it speaks to", .choices = behaviours },
	{ 0,   "nat-filtering", "BY",    OPT_ENUM, &filtering,   "who may answer: anybody (endpoint), that address, that address-port", .choices = behaviours },
	{ 0,   "nat-lifetime", "DURATION", OPT_DURATION, &lifetime, "of a port outside since the inside last spoke" },
	{ 0,   "nat-ports",   "POLICY",  OPT_ENUM, &ports,       "how ports outside are chosen", .choices = port_names },
	{ 0,   "nat-range",   "LOW-HIGH", OPT_STR, &port_range,  "of ports outside, for sequential and random" },
	{ 0,   "nat-at",      "IP",      OPT_STR,  &opts.nat_at, "the address outside" },
	{ 0,   "nat-hairpin", NULL,      OPT_FLAG, &hairpin,     "the inside may reach itself by its outside" },
	{ 0 },
};

static const struct opt look_opts[] = {
	{ 0,   "verify",      NULL,      OPT_FLAG, &verify,      "measure a link like this on this machine, say what was asked and what came of it, and exit" },
	{ 0,   "verify-time", "DURATION", OPT_DURATION, &verify_for, "how long" },
	{ 0,   "pcap",        "FILE",    OPT_STR,  &opts.pcap,   "capture what was delivered" },
	{ 0,   "stats-every", "DURATION", OPT_DURATION, &cli.stats_every, "write stats events, as SIGUSR1 does" },
	{ 0 },
};

static const struct opt family_opts[] = {
	{ '4', "ipv4",        NULL,      OPT_FLAG, &cli.only_ipv4, "IPv4 only" },
	{ '6', "ipv6",        NULL,      OPT_FLAG, &cli.only_ipv6, "IPv6 only" },
	{ 0 },
};
/* clang-format on */

static const struct opt_group groups[] = {
	{ "Between whom", where_opts },
	{ "What the link is like", link_opts },
	{ "Faults", fault_opts },
	{ "NAT", nat_opts },
	{ "Measuring", look_opts },
	{ "Addresses", family_opts },
	{ "Looking inside", looking_opts },
	{ "Starting", ready_opts },
	{ 0 },
};

static const struct tool self = {
	.name = "snet-link",
	.synopsis = "[options] --listen ADDRESS --to ADDRESS\n"
		    "       snet-link [options] --roster FILE --out FILE\n"
		    "       snet-link [options] --verify",
	.purpose = "Stand between addresses as a network with delay, loss, a rate, partitions "
		   "and NATs.",
	.groups = groups,
};

static int say_presets(void)
{
	for (const struct snet_preset *p = snet_presets; p->name; p++) {
		char rtt[SNET_UNITS_TEXT], rate[SNET_UNITS_TEXT];

		if (p->matrix)
			printf("%-15s %-10s %-9s %s\n", p->name, "by pair", "by pair",
			       p->source);
		else
			printf("%-15s %-10s %-9s %s\n", p->name,
			       snet_duration_print(2 * p->spec.delay, rtt),
			       p->spec.rate ? snet_rate_print(p->spec.rate, rate) : "-",
			       p->source);
	}
	return fflush(stdout) || ferror(stdout) ? SNET_EXIT_FAILED : SNET_EXIT_OK;
}

static void take_nat(void)
{
	unsigned low = 1024, high = 65535;
	int end = 0;

	if (port_range && (sscanf(port_range, "%5u-%5u%n", &low, &high, &end) != 2 ||
			   port_range[end] || !low || low > high || high > 65535))
		opts_misuse(&self, "--nat-range: bad value '%s'; such as 40000-40999",
			    port_range);
	if (!lifetime)
		opts_misuse(&self, "--nat-lifetime: 0 is no time to answer in");
	if (port_range && ports != SNET_NAT_SEQUENTIAL && ports != SNET_NAT_RANDOM)
		opts_misuse(&self, "--nat-range is for --nat-ports sequential or random");
	opts.nat = (struct snet_nat_opts){
		.mapping =
			mapping < 0 ? SNET_NAT_ADDRESS_PORT : (enum snet_nat_dependence)mapping,
		.filtering = filtering < 0 ? SNET_NAT_ADDRESS_PORT
					   : (enum snet_nat_dependence)filtering,
		.lifetime = lifetime,
		.ports = ports < 0 ? SNET_NAT_ANY_PORT : (enum snet_nat_ports)ports,
		.port_min = (uint16_t)low,
		.port_max = (uint16_t)high,
		.hairpin = hairpin,
	};
}

static void check_operands(int n, char **v)
{
	if (n)
		opts_misuse(&self, "%s: an operand, and none is wanted", v[0]);
	if (verify) {
		if (opts.listen.n || opts.to.n || opts.roster || opts.schedule ||
		    opts.control || opts.pcap)
			opts_misuse(&self, "--verify measures by itself: no addresses, no "
					   "roster, no faults, no capture");
		if (verify_for < SNET_SEC || verify_for > 600 * SNET_SEC)
			opts_misuse(&self, "--verify-time: from 1s to 10m");
		return;
	}
	if (!opts.roster && !opts.listen.n)
		opts_misuse(&self, "between whom? give --listen and --to, or --roster");
	if (opts.roster ? opts.to.n : opts.to.n != opts.listen.n)
		opts_misuse(&self, opts.roster ? "--to and --roster exclude each other"
					       : "as many --to as --listen");
	if (!opts.roster != !opts.out)
		opts_misuse(&self, "--roster and --out belong together");
	if (opts.out && (!strchr(opts.out, '%') || strchr(strchr(opts.out, '%') + 1, '%')))
		opts_misuse(&self, "--out: one roster for each party: want one %% in the name, "
				   "for its id");
	if (opts.roster && opts.listen.n > 1)
		opts_misuse(&self, "--roster: one --listen is enough");
}

static void on_stats(void *user)
{
	link_say_stats(user);
}

/* What it has done is said before it goes; nothing it carries is waited for. */
static void on_drain(void *user)
{
	struct link *l = user;
	struct snet_error err = { 0 };
	int rc;

	if (!verify)
		link_say_stats(l);
	rc = link_stop(l, &err);
	run_done(l->run, rc ? &err : NULL, OPT_NONE);
}

static int carry(void)
{
	struct snet_error err = { 0 };
	struct run run = { 0 };
	struct link link = { .timer_fd = -1 };
	int rc;

	run.on_stats = on_stats;
	run.on_drain = on_drain;
	run.user = &link;
	if (run_init(&run, &err))
		return tool_fail(&err);
	rc = link_init(&link, &run, &opts, &err);
	if (!rc)
		rc = verify ? link_verify(&link, verify_for, &err) : link_start(&link, &err);
	if (rc)
		run_done(&run, &err, OPT_NONE);
	run_loop(&run);
	link_fini(&link);
	return run_fini(&run);
}

int main(int argc, char **argv)
{
	int i = run_start(&self, argc, argv);

	if (list_presets)
		return say_presets();
	check_operands(argc - i, argv + i);
	take_nat();
	return carry();
}
