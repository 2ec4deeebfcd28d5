#include "mesh/ordering_verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"

#define NAMED_MAX 8 /* missing parties that an error names */

bool snet_ordering_decode(struct snet_envelope *e, const void *p, size_t n)
{
	return n == SNET_ORDERING_DIGEST_BYTES && !snet_envelope_decode(e, p, n) &&
	       e->tag == SNET_ENVELOPE_CLIENT_LIST_DIGEST &&
	       e->digest.digest.n == SNET_BLAKE3_BYTES &&
	       e->digest.node_digest.n == SNET_BLAKE3_BYTES;
}

/* Appends to why's text, as much as fits. */
static void say(struct snet_error *why, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void say(struct snet_error *why, const char *fmt, ...)
{
	size_t n = strlen(why->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text + n, sizeof(why->text) - n, fmt, ap);
	va_end(ap);
}

static void refuse(struct snet_ordering *o, int code, uint32_t blame)
{
	o->state = SNET_ORDERING_FAILED;
	o->why.code = code;
	o->blame = blame;
}

static bool is_known(const struct snet_ordering *o, uint32_t i)
{
	return i < o->parties_cap && o->parties[i].key.block;
}

/* Once the counts are reached: whose digest has not come. Before that: who has not come, where
 * the indexes say so. */
static bool is_missing(const struct snet_ordering *o, uint32_t i)
{
	if (o->frame.n)
		return is_known(o, i) && !o->parties[i].has_said;
	return o->opts.self != SNET_ORDERING_ANY && o->opts.parties != SNET_ORDERING_ANY &&
	       i < o->opts.parties && i != o->opts.self && !is_known(o, i);
}

/* "party 1, 2, 5 and 3 more"; returns the first, or nobody. */
static uint32_t name_missing(struct snet_ordering *o, const char *before)
{
	uint32_t first = SNET_ORDERING_ANY, named = 0;

	for (uint32_t i = 0; i < SNET_ORDERING_KEYS; i++) {
		if (!is_missing(o, i))
			continue;
		if (!named)
			first = i;
		if (named < NAMED_MAX)
			say(&o->why, "%s%" PRIu32, named ? ", " : before, i);
		named++;
	}
	if (named > NAMED_MAX)
		say(&o->why, " and %" PRIu32 " more", named - NAMED_MAX);
	return first;
}

static void say_count(struct snet_ordering *o, const char *what, uint32_t have, uint32_t want)
{
	if (!snet_ordering_is_expected(have, want))
		say(&o->why, "%s%" PRIu32 " of %" PRIu32 " %s have come",
		    *o->why.text ? ", " : "", have, want, what);
}

/* The counts are wrong. */
static void refuse_counts(struct snet_ordering *o, int code)
{
	uint32_t first;

	*o->why.text = '\0';
	say_count(o, "parties", o->node_count, o->opts.parties);
	first = name_missing(o, ", without party ");
	say_count(o, "clients", o->client_count, o->opts.clients);
	refuse(o, code, first);
}

static void refuse_silence(struct snet_ordering *o)
{
	*o->why.text = '\0';
	refuse(o, SNET_ETIMEOUT, name_missing(o, "no digest from party "));
}

static bool is_same(const struct snet_slice *a, const struct snet_slice *b)
{
	return a->n == b->n && !memcmp(a->p, b->p, a->n);
}

static void say_list(struct snet_error *why, const char *what, uint64_t theirs, uint64_t ours)
{
	if (theirs != ours)
		say(why, "%" PRIu64 " %s, and %" PRIu64 " are here", theirs, what, ours);
	else
		say(why, "other %s than are here, as many (%" PRIu64 ")", what, ours);
}

static void refuse_difference(struct snet_ordering *o, uint32_t i)
{
	struct snet_envelope theirs = { 0 }, ours = { 0 };
	bool clients;

	snet_ordering_decode(&theirs, o->parties[i].said, SNET_ORDERING_DIGEST_BYTES);
	snet_ordering_decode(&ours, o->frame.p, o->frame.n);
	clients = theirs.digest.count != ours.digest.count ||
		  !is_same(&theirs.digest.digest, &ours.digest.digest);
	*o->why.text = '\0';
	say(&o->why, "party %" PRIu32 " has ", i);
	if (clients)
		say_list(&o->why, "clients", theirs.digest.count, ours.digest.count);
	else
		say_list(&o->why, "nodes", theirs.digest.node_count, ours.digest.node_count);
	refuse(o, SNET_EPROTO, i);
}

struct tally {
	uint32_t silent, different;
	uint32_t first;    /* of those who differ, the one that settles first */
	snet_time settled; /* when its difference is one to fail for */
};

static struct tally count(const struct snet_ordering *o)
{
	struct tally t = { 0, 0, SNET_ORDERING_ANY, SNET_NEVER };

	for (uint32_t i = 0; i < o->parties_cap; i++) {
		const struct snet_ordering_party *p = &o->parties[i];
		snet_time last = p->said_at > o->changed ? p->said_at : o->changed, at;

		if (!p->key.block)
			continue;
		if (!p->has_said) {
			t.silent++;
			continue;
		}
		if (!memcmp(p->said, o->frame.p, SNET_ORDERING_DIGEST_BYTES))
			continue;
		at = snet_ordering_after(last, o->opts.settle);
		if (!t.different++ || at < t.settled) {
			t.first = i;
			t.settled = at;
		}
	}
	return t;
}

static bool is_above(uint32_t have, uint32_t want)
{
	return want != SNET_ORDERING_ANY && have > want;
}

/* The counts are not reached, or passed. */
static void judge_counts(struct snet_ordering *o, snet_time now)
{
	snet_time settled = SNET_NEVER;

	if (is_above(o->node_count, o->opts.parties) ||
	    is_above(o->client_count, o->opts.clients))
		settled = snet_ordering_after(o->changed, o->opts.settle);
	if (settled != SNET_NEVER && now >= settled)
		refuse_counts(o, SNET_EPROTO);
	else if (o->limit != SNET_NEVER && now >= o->limit)
		refuse_counts(o, SNET_ETIMEOUT);
	o->deadline = settled < o->limit ? settled : o->limit;
}

static void judge_digests(struct snet_ordering *o, snet_time now)
{
	struct tally t = count(o);
	bool is_late = o->limit != SNET_NEVER && now >= o->limit;

	if (!t.silent && !t.different)
		o->state = SNET_ORDERING_AGREED;
	else if (t.different &&
		 ((t.settled != SNET_NEVER && now >= t.settled) || (is_late && !t.silent)))
		refuse_difference(o, t.first);
	else if (is_late)
		refuse_silence(o);
	o->deadline = t.settled < o->limit ? t.settled : o->limit;
}

void snet_ordering_judge(struct snet_ordering *o, snet_time now)
{
	if (o->state != SNET_ORDERING_OPEN)
		return;
	if (o->frame.n)
		judge_digests(o, now);
	else
		judge_counts(o, now);
	if (o->state != SNET_ORDERING_OPEN)
		o->deadline = SNET_NEVER;
}
