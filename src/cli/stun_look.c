#include "cli/stun_look.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cli/groups.h"
#include "cli/out.h"
#include "cli/sink.h"
#include "cli/words.h"

#define EVIDENCE_MAX 8192
#define REPORT_MAX 16384

/* Why there is no answer; the reason that a server gives is the server's. */
static void explain(struct snet_buf *b, const struct snet_stun_answer *a)
{
	char time[SNET_UNITS_TEXT];

	if (a->code == SNET_ETIMEOUT)
		snet_buf_fmt(b, "no answer within %s", snet_duration_print(cli.timeout, time));
	else if (a->error) {
		size_t start = b->n;

		snet_buf_fmt(b, "error %d %s", a->error, a->reason);
		if (!b->bad)
			words_tame(b->p + start, b->n - start);
	} else
		snet_buf_str(b, a->code == SNET_EPROTO ? "an answer without an address"
						       : snet_err_text(a->code));
}

/* ---- evidence: what was asked of whom, and what came */

static void add(struct snet_buf *b, const char *what, const struct snet_addr *who,
		const char *did, const struct snet_addr *whom)
{
	char one[SNET_ADDR_TEXT], two[SNET_ADDR_TEXT];

	snet_buf_fmt(b, "%s%s%s %s%s%s", b->n ? "; " : "", what, snet_addr_print(who, one), did,
		     whom ? " " : "", whom ? snet_addr_print(whom, two) : "");
}

static void add_seen(struct snet_buf *b, const struct snet_behaviour_test *t)
{
	if (t->state == SNET_TEST_DONE && !t->answer.code)
		add(b, "", &t->ask.to, "sees", &t->answer.mapped);
	else if (t->state == SNET_TEST_DONE)
		add(b, "", &t->ask.to, "does not answer", NULL);
}

static void add_heard(struct snet_buf *b, const struct snet_behaviour_test *t)
{
	if (t->state == SNET_TEST_DONE)
		add(b, "asked to answer from ", &t->ask.from,
		    !t->answer.code                   ? "it is heard"
		    : t->answer.code == SNET_ETIMEOUT ? "it is not heard"
						      : "it does not",
		    NULL);
}

static void find_evidence(struct snet_buf *b, const struct stun_look *l)
{
	const struct snet_behaviour_test *t = snet_probe_behaviour(l->probe)->tests;

	for (unsigned i = 0; i < l->n; i++)
		add_seen(b, &t[SNET_BEHAVIOUR_SERVER + i]);
	add_heard(b, &t[SNET_BEHAVIOUR_FILTER_ANY]);
	add_heard(b, &t[SNET_BEHAVIOUR_FILTER_PORT]);
	add_seen(b, &t[SNET_BEHAVIOUR_MAP_ADDRESS]);
	add_seen(b, &t[SNET_BEHAVIOUR_MAP_PORT]);
	if (l->nat.hairpin)
		add(b, "what is sent to ", &t[SNET_BEHAVIOUR_HAIRPIN].ask.to,
		    l->nat.hairpin == SNET_YES ? "comes back" : "does not come back", NULL);
}

/* ---- events */

static const char *family_name(const struct stun_look *l)
{
	return l->family == AF_INET6 ? "ipv6" : "ipv4";
}

void stun_say_answer(const struct stun_look *l, unsigned i)
{
	char server[SNET_ADDR_TEXT], local[SNET_ADDR_TEXT], mapped[SNET_ADDR_TEXT],
		other[SNET_ADDR_TEXT];
	const struct snet_stun_answer *a = &l->answers[i];
	bool has_other = a->other.sa.sa_family != AF_UNSPEC;

	snet_addr_print(&l->servers[i], server);
	if (a->code) {
		struct snet_error err = { .code = a->code };
		struct snet_buf b = SNET_BUF(sizeof(err.text));

		explain(&b, a);
		snet_fail(&err, a->code, "%.100s (%s): %.*s", l->names[i], server, (int)b.n,
			  b.p ? (const char *)b.p : "");
		snet_buf_free(&b);
		out_error(&err, OPT_NONE, OPT_NONE, false);
		return;
	}
	out_event("stun.mapped", out_text("server", l->names[i]), out_text("address", server),
		  out_text("local",
			   snet_addr_print(&snet_probe_behaviour(l->probe)->local, local)),
		  out_text("mapped", snet_addr_print(&a->mapped, mapped)),
		  out_uint("rtt_us", a->rtt / SNET_US), out_uint("requests", a->requests),
		  out_text("other", has_other ? snet_addr_print(&a->other, other) : NULL));
}

void stun_say_nat(const struct stun_look *l)
{
	char local[SNET_ADDR_TEXT], mapped[SNET_ADDR_TEXT];
	struct snet_buf b = SNET_BUF(EVIDENCE_MAX);
	const struct snet_nat *v = &l->nat;

	find_evidence(&b, l);
	snet_buf_u8(&b, 0);
	out_event("stun.nat", out_text("family", family_name(l)),
		  out_text("nat", snet_nat_kind_name(v->kind)),
		  out_text("local", snet_addr_print(&v->local, local)),
		  out_text("mapped", v->answered ? snet_addr_print(&v->mapped, mapped) : NULL),
		  out_text("mapping", snet_nat_dependence_name(v->mapping)),
		  out_text("filtering", snet_nat_dependence_name(v->filtering)),
		  out_if(v->port_preserved,
			 out_bool("port_preserved", v->port_preserved == SNET_YES)),
		  out_if(v->hairpin, out_bool("hairpin", v->hairpin == SNET_YES)),
		  out_if(v->lived, out_uint("lived_ms", v->lived / SNET_MS)),
		  out_if(v->gone, out_uint("gone_ms", v->gone / SNET_MS)),
		  out_uint("servers", v->servers), out_uint("answered", v->answered),
		  out_text("evidence", b.bad ? "" : (const char *)b.p));
	snet_buf_free(&b);
}

/* ---- the report */

static const char *advice(enum snet_nat_kind k)
{
	switch (k) {
	case SNET_NAT_BLOCKED:
		return "UDP does not get out: only a relay over TCP or TLS helps";
	case SNET_NAT_OPEN:
	case SNET_NAT_FULL_CONE:
		return "from anybody, without help";
	case SNET_NAT_PUBLIC:
	case SNET_NAT_FIREWALL:
	case SNET_NAT_ADDRESS_RESTRICTED:
	case SNET_NAT_PORT_RESTRICTED:
	case SNET_NAT_CONE:
		return "with ICE, with everybody whose NAT is not symmetric";
	case SNET_NAT_SYMMETRIC:
		return "with ICE, with those who are open or restricted by address at most; "
		       "others need a relay";
	default:
		return "not known: ask a second server, at another address";
	}
}

static void report_row(struct snet_buf *b, const char *name, const char *value)
{
	if (value)
		snet_buf_fmt(b, "  %-12s %s\n", name, value);
}

static const char *tri_name(enum snet_tri t)
{
	return t == SNET_UNKNOWN ? NULL : t == SNET_YES ? "yes" : "no";
}

static void report_lifetime(struct snet_buf *b, const struct snet_nat *v)
{
	char one[SNET_UNITS_TEXT], two[SNET_UNITS_TEXT], line[128] = "";

	if (v->lived && v->gone)
		snprintf(line, sizeof(line), "lives %s, gone after %s",
			 snet_duration_print(v->lived, one), snet_duration_print(v->gone, two));
	else if (v->lived)
		snprintf(line, sizeof(line), "lives %s and longer",
			 snet_duration_print(v->lived, one));
	else if (v->gone)
		snprintf(line, sizeof(line), "gone after %s",
			 snet_duration_print(v->gone, two));
	report_row(b, "when silent", line[0] ? line : NULL);
}

static void report_server(struct snet_buf *b, const struct stun_look *l, unsigned i)
{
	char address[SNET_ADDR_TEXT], mapped[SNET_ADDR_TEXT];
	const struct snet_stun_answer *a = &l->answers[i];

	snet_buf_fmt(b, "  %-12s %s (%s): ", i ? "" : "servers", l->names[i],
		     snet_addr_print(&l->servers[i], address));
	if (a->code)
		explain(b, a);
	else
		snet_buf_fmt(b, "%s%.1f ms, sees %s", a->requests > 1 ? "at most " : "",
			     (double)a->rtt / (double)SNET_MS,
			     snet_addr_print(&a->mapped, mapped));
	snet_buf_u8(b, '\n');
}

int stun_report(const struct stun_look *l, struct sink *out)
{
	struct snet_buf b = SNET_BUF(REPORT_MAX);
	char local[SNET_ADDR_TEXT], mapped[SNET_ADDR_TEXT];
	const struct snet_nat *v = &l->nat;
	struct iovec line;
	int rc;

	snet_buf_fmt(&b, "UDP over %s\n", l->family == AF_INET6 ? "IPv6" : "IPv4");
	report_row(&b, "from", snet_addr_print(&v->local, local));
	report_row(&b, "seen as", v->answered ? snet_addr_print(&v->mapped, mapped) : NULL);
	report_row(&b, "NAT", snet_nat_kind_name(v->kind));
	report_row(&b, "mapping", snet_nat_dependence_name(v->mapping));
	report_row(&b, "filtering", snet_nat_dependence_name(v->filtering));
	report_row(&b, "port kept", tri_name(v->port_preserved));
	report_row(&b, "hairpin", tri_name(v->hairpin));
	report_lifetime(&b, v);
	report_row(&b, "direct", advice(v->kind));
	for (unsigned i = 0; i < l->n; i++)
		if (l->is_known[i])
			report_server(&b, l, i);
	line = (struct iovec){ b.p, b.n };
	rc = b.bad ? SNET_ENOMEM : sink_write(out, &line, 1);
	snet_buf_free(&b);
	return rc;
}

int stun_verdict(const struct stun_look *l)
{
	return l->nat.kind == SNET_NAT_SYMMETRIC ? SNET_ENOSYS
	       : l->nat.answered                 ? SNET_OK
						 : SNET_EUNREACH;
}
