/* What follows from the answers: the second half of nat/behaviour. */
#include "nat/behaviour.h"

static const struct snet_stun_answer *answer_to(const struct snet_behaviour *b, unsigned tag)
{
	const struct snet_behaviour_test *t = &b->tests[tag];

	return t->state == SNET_TEST_DONE && !t->answer.code ? &t->answer : NULL;
}

static bool is_pending(const struct snet_behaviour *b, unsigned tag)
{
	return b->tests[tag].state == SNET_TEST_WANTED ||
	       b->tests[tag].state == SNET_TEST_ASKED;
}

static bool same_ip(const struct snet_addr *a, const struct snet_addr *b)
{
	struct snet_addr x = *a;

	snet_addr_set_port(&x, snet_addr_port(b));
	return snet_addr_eq(&x, b);
}

/* §4.3 */
static enum snet_nat_dependence mapping_told(const struct snet_behaviour *b)
{
	const struct snet_stun_answer *one = answer_to(b, (unsigned)b->teller),
				      *two = answer_to(b, SNET_BEHAVIOUR_MAP_ADDRESS),
				      *three = answer_to(b, SNET_BEHAVIOUR_MAP_PORT);

	if (!one || !two)
		return SNET_NAT_UNKNOWN;
	if (snet_addr_eq(&one->mapped, &two->mapped))
		return SNET_NAT_ENDPOINT_INDEPENDENT;
	if (!three)
		return SNET_NAT_DEPENDENT;
	return snet_addr_eq(&two->mapped, &three->mapped) ? SNET_NAT_ADDRESS_DEPENDENT
							  : SNET_NAT_ADDRESS_AND_PORT_DEPENDENT;
}

/* Two ordinary servers. Those of one address say something only when they disagree. */
static enum snet_nat_dependence mapping_compared(const struct snet_behaviour *b)
{
	enum snet_nat_dependence worst = SNET_NAT_UNKNOWN;

	for (unsigned i = 0; i < b->n; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct snet_stun_answer *x = answer_to(b, i),
						      *y = answer_to(b, j);
			enum snet_nat_dependence d = SNET_NAT_UNKNOWN;
			bool same = x && y && same_ip(&x->server, &y->server);

			if (x && y && !snet_addr_eq(&x->mapped, &y->mapped))
				d = same ? SNET_NAT_ADDRESS_AND_PORT_DEPENDENT
					 : SNET_NAT_DEPENDENT;
			else if (x && y && !same)
				d = SNET_NAT_ENDPOINT_INDEPENDENT;
			worst = d > worst ? d : worst;
		}
	return worst;
}

static enum snet_nat_dependence mapping(const struct snet_behaviour *b)
{
	enum snet_nat_dependence told = b->teller < 0 ? SNET_NAT_UNKNOWN : mapping_told(b),
				 seen = mapping_compared(b);

	/* One answer that differs refutes any number that agree. */
	return seen > SNET_NAT_ENDPOINT_INDEPENDENT && told <= SNET_NAT_DEPENDENT ? seen
	       : told                                                             ? told
										  : seen;
}

/* §4.4. A server that answers from where it was asked tells nothing: code SNET_ENOSYS. */
static enum snet_nat_dependence filtering(const struct snet_behaviour *b)
{
	const struct snet_behaviour_test *any = &b->tests[SNET_BEHAVIOUR_FILTER_ANY],
					 *port = &b->tests[SNET_BEHAVIOUR_FILTER_PORT],
					 *other = &b->tests[SNET_BEHAVIOUR_MAP_ADDRESS];

	if (any->state != SNET_TEST_DONE || port->state != SNET_TEST_DONE)
		return SNET_NAT_UNKNOWN;
	if (!any->answer.code)
		return SNET_NAT_ENDPOINT_INDEPENDENT;
	/* Nor does one whose other address is not there at all, as happens. */
	if (any->answer.code != SNET_ETIMEOUT ||
	    (other->state == SNET_TEST_DONE && other->answer.code))
		return SNET_NAT_UNKNOWN;
	if (!port->answer.code)
		return SNET_NAT_ADDRESS_DEPENDENT;
	return port->answer.code == SNET_ETIMEOUT ? SNET_NAT_ADDRESS_AND_PORT_DEPENDENT
						  : SNET_NAT_UNKNOWN;
}

/* Whether the binding of socket i + 1 was there when it was asked for. */
static enum snet_tri lived(const struct snet_behaviour *b, unsigned i, enum snet_tri preserved)
{
	const struct snet_behaviour_test *t = &b->tests[SNET_BEHAVIOUR_LIVE + i];
	const struct snet_stun_answer *before = answer_to(b, SNET_BEHAVIOUR_BIND + i),
				      *after = answer_to(b, SNET_BEHAVIOUR_AGAIN + i);

	if (t->state != SNET_TEST_DONE || !before)
		return SNET_UNKNOWN;
	if (!t->answer.code)
		return SNET_YES;
	if (t->answer.code == SNET_ETIMEOUT)
		return SNET_NO;
	if (!after)
		return SNET_UNKNOWN;
	if (!snet_addr_eq(&before->mapped, &after->mapped))
		return SNET_NO;
	return preserved == SNET_NO ? SNET_YES : SNET_UNKNOWN;
}

/* A lost answer makes a binding look dead that is not: so only what no longer one outlives
 * counts as gone. */
static void lifetime(const struct snet_behaviour *b, struct snet_nat *out)
{
	for (unsigned i = 0; i < SNET_BEHAVIOUR_LIVES; i++) {
		enum snet_tri alive = lived(b, i, out->port_preserved);
		snet_time age = b->opts.lifetime * (i + 1) / SNET_BEHAVIOUR_LIVES;

		if (alive == SNET_YES) {
			out->lived = age;
			out->gone = 0;
		} else if (alive == SNET_NO && !out->gone) {
			out->gone = age;
		}
	}
}

static enum snet_nat_kind kind(const struct snet_nat *v, bool all_silent)
{
	static const enum snet_nat_kind by_filter[] = {
		[SNET_NAT_UNKNOWN] = SNET_NAT_CONE,
		[SNET_NAT_ENDPOINT_INDEPENDENT] = SNET_NAT_FULL_CONE,
		[SNET_NAT_DEPENDENT] = SNET_NAT_CONE,
		[SNET_NAT_ADDRESS_DEPENDENT] = SNET_NAT_ADDRESS_RESTRICTED,
		[SNET_NAT_ADDRESS_AND_PORT_DEPENDENT] = SNET_NAT_PORT_RESTRICTED,
	};

	if (!v->answered)
		return all_silent ? SNET_NAT_BLOCKED : SNET_NAT_KIND_UNKNOWN;
	if (v->mapping > SNET_NAT_ENDPOINT_INDEPENDENT)
		return SNET_NAT_SYMMETRIC;
	if (v->natted == SNET_NO)
		return v->filtering == SNET_NAT_UNKNOWN                ? SNET_NAT_PUBLIC
		       : v->filtering == SNET_NAT_ENDPOINT_INDEPENDENT ? SNET_NAT_OPEN
								       : SNET_NAT_FIREWALL;
	return v->mapping == SNET_NAT_UNKNOWN ? SNET_NAT_KIND_UNKNOWN : by_filter[v->filtering];
}

static enum snet_tri tri(bool yes)
{
	return yes ? SNET_YES : SNET_NO;
}

void snet_behaviour_verdict(const struct snet_behaviour *b, struct snet_nat *out)
{
	const struct snet_behaviour_test *hairpin = &b->tests[SNET_BEHAVIOUR_HAIRPIN];
	bool silent = true;

	*out = (struct snet_nat){ .local = b->local, .servers = b->n };
	for (unsigned i = 0; i < b->n; i++) {
		out->answered += answer_to(b, i) ? 1 : 0;
		silent = silent && b->tests[i].state == SNET_TEST_DONE;
	}
	if (b->first >= 0) {
		out->mapped = answer_to(b, (unsigned)b->first)->mapped;
		out->natted = tri(!snet_addr_eq(&out->mapped, &b->local));
		out->port_preserved =
			tri(snet_addr_port(&out->mapped) == snet_addr_port(&b->local));
	}
	if (out->natted == SNET_YES && hairpin->state == SNET_TEST_DONE)
		out->hairpin = tri(!hairpin->answer.code);
	out->mapping = mapping(b);
	out->filtering = filtering(b);
	lifetime(b, out);
	out->kind = kind(out, silent);
}

/* ---- how far it is */

bool snet_behaviour_is_over(const struct snet_behaviour *b)
{
	for (unsigned tag = 0; tag < SNET_BEHAVIOUR_TAGS; tag++)
		if (is_pending(b, tag))
			return false;
	return true;
}

bool snet_behaviour_is_decided(const struct snet_behaviour *b)
{
	bool pending = false;

	for (unsigned i = 0; i < b->n; i++)
		pending = pending || is_pending(b, i);
	for (unsigned tag = SNET_BEHAVIOUR_SERVERS; tag < SNET_BEHAVIOUR_BIND; tag++)
		if (is_pending(b, tag))
			return false;
	if (!pending)
		return true;
	/* A server still silent could be the one with another address: filtering waits. */
	return mapping(b) != SNET_NAT_UNKNOWN &&
	       (!b->opts.thorough || filtering(b) != SNET_NAT_UNKNOWN);
}

const char *snet_nat_kind_name(enum snet_nat_kind k)
{
	static const char *const names[] = {
		[SNET_NAT_KIND_UNKNOWN] = "unknown",
		[SNET_NAT_BLOCKED] = "blocked",
		[SNET_NAT_OPEN] = "open",
		[SNET_NAT_PUBLIC] = "public",
		[SNET_NAT_FIREWALL] = "firewall",
		[SNET_NAT_FULL_CONE] = "full-cone",
		[SNET_NAT_ADDRESS_RESTRICTED] = "address-restricted",
		[SNET_NAT_PORT_RESTRICTED] = "port-restricted",
		[SNET_NAT_CONE] = "cone",
		[SNET_NAT_SYMMETRIC] = "symmetric",
	};

	return names[k];
}

const char *snet_nat_dependence_name(enum snet_nat_dependence d)
{
	static const char *const names[] = {
		[SNET_NAT_UNKNOWN] = "unknown",
		[SNET_NAT_ENDPOINT_INDEPENDENT] = "endpoint-independent",
		[SNET_NAT_DEPENDENT] = "dependent",
		[SNET_NAT_ADDRESS_DEPENDENT] = "address-dependent",
		[SNET_NAT_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
	};

	return names[d];
}
