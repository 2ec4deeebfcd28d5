#include "cli/groups.h"

#include <string.h>

#include "cli/kind.h"
#include "mesh/peer.h"
#include "transport/transport.h"

const char *const format_names[] = { "json", "lines", "framed", "addressed", "raw", NULL };
const char *const payload_names[] = { "text", "json", "data", "hex", NULL };

static const char *const role_names[] = { "server", "client", NULL };
static const char *const overflow_names[] = { "block", "drop", "fail", NULL };
static const char *const cc_names[] = { "cubic", "bbr", NULL };
static const char *const profile_names[] = { "auto", "stoffelnet-0.1", NULL };
static const char *const log_names[] = { "text", "json", NULL };

#define MTU_MIN 1200  /* bytes of UDP payload: what QUIC needs, RFC 9000 §14 */
#define MTU_MAX 65507 /* what IPv4 can carry */

struct cli cli = {
	.id = OPT_NONE,
	.role = SNET_ROLE_CLIENT,
	.format = FORMAT_JSON,
	.payload = PAYLOAD_DATA,
	.wait = 30 * SNET_SEC,
	.timeout = 30 * SNET_SEC,
	.idle_timeout = SNET_NEVER,
	.keep_alive = 5 * SNET_SEC,
	.max_message = SNET_MESSAGE_DEFAULT,
	.queue = 16 << 20,
	.overflow = OVERFLOW_BLOCK,
	.replies = OPT_NONE,
	.count = OPT_NONE,
	.kind = SNET_KIND_DATA,
	.cc = SNET_CC_CUBIC,
	.ready_fd = OPT_NONE,
};

/* clang-format off */
const struct opt identity_opts[] = {
	{ 'k', "key",      "FILE",  OPT_STR,  &cli.key,    "own identity, as snet-keygen makes it; without it a fresh one for this run" },
	{ 'r', "roster",   "FILE",  OPT_STR,  &cli.roster, "the parties, their addresses and key ids" },
	{ 'i', "id",       "N",     OPT_UINT, &cli.id,     "own party id", .max = UINT32_MAX - 1 },
	{ 'a', "allow",    "KEYID|FILE", OPT_LIST, &cli.allow, "accept this key, or those in the file; may be repeated" },
	{ 0,   "ca",       "FILE",  OPT_STR,  &cli.ca,     "accept certificates that end at these authorities" },
	{ 0,   "insecure", NULL,    OPT_FLAG, &cli.insecure, "accept any key: for tests only" },
	{ 0 },
};

const struct opt format_opts[] = {
	{ 'f', "format",  "FORMAT", OPT_ENUM, &cli.format,  "shape of messages on stdin and stdout", .choices = format_names },
	{ 0,   "payload", "KEY",    OPT_ENUM, &cli.payload, "how json output carries payloads; what does not fit goes as data", .choices = payload_names },
	{ 0 },
};

const struct opt dial_opts[] = {
	{ 'w', "wait",         "DURATION", OPT_DURATION, &cli.wait,         "how long to dial a peer that is not there yet" },
	{ 0,   "role", "ROLE",  OPT_ENUM, &cli.role,   "what to be when dialling", .choices = role_names },
	{ 0 },
};

const struct opt time_opts[] = {
	{ 't', "timeout",      "DURATION", OPT_DURATION, &cli.timeout,      "how long one operation may take: a handshake, a reply, draining at the end" },
	{ 0,   "idle-timeout", "DURATION", OPT_DURATION, &cli.idle_timeout, "end a connection that carries no message for so long" },
	{ 0,   "keep-alive",   "DURATION", OPT_DURATION, &cli.keep_alive,   "how often to show a silent peer that we live" },
	{ 0 },
};

const struct opt limit_opts[] = {
	{ 0, "max-message", "SIZE",   OPT_SIZE, &cli.max_message, "refuse larger messages, both ways", .min = 1, .max = SNET_MESSAGE_MAX },
	{ 0, "queue",       "SIZE",   OPT_SIZE, &cli.queue,       "unacknowledged bytes per peer before --overflow applies", .min = 64 << 10, .max = 4ull << 30 },
	{ 0, "overflow",    "POLICY", OPT_ENUM, &cli.overflow,    "what to do when a peer's queue is full", .choices = overflow_names },
	{ 0 },
};

const struct opt pipe_opts[] = {
	{ 0, "send-only", NULL,   OPT_FLAG, &cli.send_only, "end when everything on stdin is delivered; print no messages" },
	{ 0, "recv-only", NULL,   OPT_FLAG, &cli.recv_only, "do not read stdin" },
	{ 0, "keep-open", NULL,   OPT_FLAG, &cli.keep_open, "the end of stdin does not half-close" },
	{ 0, "replies",   "N",    OPT_UINT, &cli.replies,   "end when so many messages have come for all that were sent" },
	{ 0, "count",     "N",    OPT_UINT, &cli.count,     "end after so many messages have come" },
	{ 0, "stream",    "N",    OPT_UINT, &cli.stream,    "send on this stream what names none", .max = SNET_STREAMS - 1 },
	{ 0, "kind",      "NAME", OPT_STR,  &cli.kind_name, "record type of messages that name none: a name or a number" },
	{ 0 },
};

const struct opt transport_opts[] = {
	{ 0,   "cc",      "NAME",    OPT_ENUM, &cli.cc,        "congestion control", .choices = cc_names },
	{ 0,   "mtu",     "BYTES",   OPT_UINT, &cli.mtu,       "UDP payload; 0: found by probing", .max = MTU_MAX },
	{ 0,   "profile", "PROFILE", OPT_ENUM, &cli.profile,   "what to speak on the wire", .choices = profile_names },
	{ '4', "ipv4",    NULL,      OPT_FLAG, &cli.only_ipv4, "IPv4 only" },
	{ '6', "ipv6",    NULL,      OPT_FLAG, &cli.only_ipv6, "IPv6 only" },
	{ 0 },
};

const struct opt looking_opts[] = {
	{ 'v', "verbose",    NULL,     OPT_COUNT, &cli.verbose,    "say more on stderr; -vv, -vvv: more still" },
	{ 'q', "quiet",      NULL,     OPT_FLAG,  &cli.quiet,      "say only errors on stderr" },
	{ 0,   "log-format", "FORMAT", OPT_ENUM,  &cli.log_format, "shape of what is said on stderr", .choices = log_names },
	{ 'H', "human",      NULL,     OPT_FLAG,  &cli.human,      "events as words in place of JSON" },
	{ 0 },
};

const struct opt stats_opts[] = {
	{ 0, "stats-every",  "DURATION", OPT_DURATION, &cli.stats_every,  "write stats events, as SIGUSR1 does" },
	{ 0, "metrics-file", "FILE",     OPT_STR,      &cli.metrics_file, "keep counters there, in the format of Prometheus" },
	{ 0, "progress",     NULL,       OPT_FLAG,     &cli.progress,     "show bytes and speed on stderr, also when it is no terminal" },
	{ 0 },
};

const struct opt ready_opts[] = {
	{ 0, "ready-fd", "N", OPT_UINT, &cli.ready_fd, "write a newline to this descriptor when ready, and close it", .min = 3, .max = 1 << 20 },
	{ 0 },
};
/* clang-format on */

static int resolve_kind(struct snet_error *err)
{
	int kind = kind_parse(cli.kind_name, strlen(cli.kind_name));

	if (kind < 0)
		return snet_fail(err, SNET_EINVAL,
				 "--kind: bad value '%.64s'; a record type a program "
				 "may send, by name or number",
				 cli.kind_name);
	cli.kind = (uint8_t)kind;
	return SNET_OK;
}

int groups_check(struct snet_error *err)
{
	if (cli.only_ipv4 && cli.only_ipv6)
		return snet_fail(err, SNET_EINVAL, "-4 and -6 exclude each other");
	if (cli.send_only && cli.recv_only)
		return snet_fail(err, SNET_EINVAL,
				 "--send-only and --recv-only exclude each other");
	if (cli.send_only && (cli.replies != OPT_NONE || cli.count != OPT_NONE))
		return snet_fail(err, SNET_EINVAL, "--send-only and --%s exclude each other",
				 cli.count != OPT_NONE ? "count" : "replies");
	if (!cli.timeout || !cli.idle_timeout || !cli.keep_alive)
		return snet_fail(err, SNET_EINVAL,
				 "--%s: 0 is no time to do anything in; never is for ever",
				 !cli.timeout        ? "timeout"
				 : !cli.idle_timeout ? "idle-timeout"
						     : "keep-alive");
	if (cli.insecure && (cli.allow.n || cli.ca))
		return snet_fail(err, SNET_EINVAL,
				 "--insecure accepts every key: it excludes --%s",
				 cli.ca ? "ca" : "allow");
	if (cli.quiet && cli.verbose)
		return snet_fail(err, SNET_EINVAL, "-q and -v exclude each other");
	if (cli.mtu && cli.mtu < MTU_MIN)
		return snet_fail(err, SNET_EINVAL,
				 "--mtu: bad value '%u'; 0 or a number from %d to %d",
				 (unsigned)cli.mtu, MTU_MIN, MTU_MAX);
	if (cli.human && cli.format != FORMAT_JSON)
		return snet_fail(err, SNET_EINVAL, "-H is for --format json");
	return cli.kind_name ? resolve_kind(err) : SNET_OK;
}
