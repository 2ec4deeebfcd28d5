#include "nat/behaviour.h"

#include <string.h>

/* Of questions whose answer may never come: a few times the round trip to the server. */
#define PACE_LEAST (100 * SNET_MS)
#define PACE_MOST (500 * SNET_MS)
#define PACE_RC 4
#define PACE_RM 2

static bool same_ip(const struct snet_addr *a, const struct snet_addr *b)
{
	struct snet_addr x = *a;

	snet_addr_set_port(&x, snet_addr_port(b));
	return snet_addr_eq(&x, b);
}

static const struct snet_stun_answer *answer_to(const struct snet_behaviour *b, unsigned tag)
{
	const struct snet_behaviour_test *t = &b->tests[tag];

	return t->state == SNET_TEST_DONE && !t->answer.code ? &t->answer : NULL;
}

static void want(struct snet_behaviour *b, unsigned tag, const struct snet_stun_ask *ask,
		 snet_time at)
{
	struct snet_behaviour_test *t = &b->tests[tag];

	if (t->state != SNET_TEST_NONE)
		return;
	t->state = SNET_TEST_WANTED;
	t->at = at;
	t->ask = *ask;
	t->ask.tag = tag;
}

void snet_behaviour_init(struct snet_behaviour *b, const struct snet_behaviour_opts *o,
			 const struct snet_addr *local, const struct snet_addr *servers,
			 unsigned n, snet_time now)
{
	memset(b, 0, sizeof(*b));
	b->opts = *o;
	if (b->opts.lifetime > SNET_BEHAVIOUR_LIFETIME_MAX)
		b->opts.lifetime = SNET_BEHAVIOUR_LIFETIME_MAX;
	b->local = *local;
	b->n = n < SNET_BEHAVIOUR_SERVERS ? n : SNET_BEHAVIOUR_SERVERS;
	b->first = b->teller = -1;
	for (unsigned i = 0; i < b->n; i++)
		want(b, SNET_BEHAVIOUR_SERVER + i,
		     &(struct snet_stun_ask){ .to = servers[i], .pace = o->pace }, now);
}

static const struct snet_addr *server(const struct snet_behaviour *b, int i)
{
	return &b->tests[SNET_BEHAVIOUR_SERVER + i].ask.to;
}

static struct snet_stun_pace pace_of(const struct snet_behaviour *b, int i)
{
	snet_time rto = 2 * b->tests[SNET_BEHAVIOUR_SERVER + i].answer.rtt;

	rto = rto < PACE_LEAST ? PACE_LEAST : rto > PACE_MOST ? PACE_MOST : rto;
	return (struct snet_stun_pace){ rto, PACE_RC, PACE_RM };
}

/* ---- RFC 5780 §4.3, §4.4: with a server that has two addresses */

/* What other address the server i offers that a test can be made with, or NULL. */
static const struct snet_addr *other_of(const struct snet_behaviour *b, int i)
{
	const struct snet_stun_answer *a = answer_to(b, (unsigned)i);

	if (!a || a->other.sa.sa_family != server(b, i)->sa.sa_family ||
	    snet_addr_is_any(&a->other) || same_ip(&a->other, server(b, i)) ||
	    snet_addr_port(&a->other) == snet_addr_port(server(b, i)))
		return NULL;
	return &a->other;
}

/* Filtering lets in whom we have sent to: once that is the other address, it tells nothing. */
static bool was_sent_to(const struct snet_behaviour *b, const struct snet_addr *other)
{
	for (unsigned i = 0; i < b->n; i++)
		if (same_ip(server(b, (int)i), other))
			return true;
	return false;
}

static void choose_teller(struct snet_behaviour *b, int i)
{
	const struct snet_addr *other = other_of(b, i);

	if (b->teller >= 0 || !other)
		return;
	b->teller = i;
	b->filter_ok = !was_sent_to(b, other);
}

/* Before anything is sent to the other address. */
static void plan_filtering(struct snet_behaviour *b, snet_time now)
{
	const struct snet_addr *to = server(b, b->teller), *other = other_of(b, b->teller);
	struct snet_stun_ask ask = { .to = *to, .pace = pace_of(b, b->teller) };

	ask.from = *other;
	ask.change = SNET_STUN_CHANGE_IP | SNET_STUN_CHANGE_PORT;
	want(b, SNET_BEHAVIOUR_FILTER_ANY, &ask, now);
	ask.from = *to;
	snet_addr_set_port(&ask.from, snet_addr_port(other));
	ask.change = SNET_STUN_CHANGE_PORT;
	want(b, SNET_BEHAVIOUR_FILTER_PORT, &ask, now);
}

static bool is_done(const struct snet_behaviour *b, unsigned tag)
{
	return b->tests[tag].state == SNET_TEST_DONE;
}

static void plan_mapping(struct snet_behaviour *b, snet_time now)
{
	const struct snet_addr *other = other_of(b, b->teller);
	struct snet_stun_ask ask = { .to = *other, .pace = pace_of(b, b->teller) };
	const struct snet_stun_answer *second = answer_to(b, SNET_BEHAVIOUR_MAP_ADDRESS);

	snet_addr_set_port(&ask.to, snet_addr_port(server(b, b->teller)));
	want(b, SNET_BEHAVIOUR_MAP_ADDRESS, &ask, now);
	if (!second ||
	    snet_addr_eq(&second->mapped, &answer_to(b, (unsigned)b->teller)->mapped))
		return;
	ask.to = *other;
	want(b, SNET_BEHAVIOUR_MAP_PORT, &ask, now);
}

/* ---- RFC 5780 §4.6: how long a binding lives */

static void plan_binding(struct snet_behaviour *b, snet_time now)
{
	struct snet_stun_ask ask = { .to = *server(b, b->first), .pace = b->opts.pace };

	b->begun = true;
	for (unsigned i = 0; i < SNET_BEHAVIOUR_LIVES; i++) {
		ask.via = ask.into = i + 1;
		want(b, SNET_BEHAVIOUR_BIND + i, &ask, now);
	}
}

/* Asked by socket 0 to be answered at the port of the other, which stays silent. */
static void plan_living(struct snet_behaviour *b, unsigned i, snet_time now)
{
	const struct snet_stun_answer *bound = answer_to(b, SNET_BEHAVIOUR_BIND + i);
	struct snet_stun_ask ask = { .to = *server(b, b->first), .pace = pace_of(b, b->first) };

	if (!bound)
		return;
	ask.into = i + 1;
	ask.response_port = snet_addr_port(&bound->mapped);
	want(b, SNET_BEHAVIOUR_LIVE + i, &ask,
	     now + b->opts.lifetime * (i + 1) / SNET_BEHAVIOUR_LIVES);
}

/* The server answered the one who asked: then the silent socket breaks its silence. A NAT that
 * has forgotten it gives it another port, unless that is the port it has anyway. */
static void plan_again(struct snet_behaviour *b, unsigned i, snet_time now)
{
	const struct snet_stun_answer *a = &b->tests[SNET_BEHAVIOUR_LIVE + i].answer;
	struct snet_stun_ask ask = { .to = *server(b, b->first), .pace = pace_of(b, b->first) };

	if (a->code != SNET_ENOSYS && !a->error)
		return;
	ask.via = ask.into = i + 1;
	want(b, SNET_BEHAVIOUR_AGAIN + i, &ask, now);
}

/* ---- the order of it all */

static void plan(struct snet_behaviour *b, snet_time now)
{
	if (b->first < 0)
		return;
	if (b->opts.lifetime && !b->begun)
		plan_binding(b, now);
	if (b->opts.thorough) {
		struct snet_stun_ask ask = { .loops = true, .pace = pace_of(b, b->first) };

		ask.to = answer_to(b, (unsigned)b->first)->mapped;
		if (!snet_addr_eq(&ask.to, &b->local))
			want(b, SNET_BEHAVIOUR_HAIRPIN, &ask, now);
	}
	if (b->teller < 0)
		return;
	if (b->opts.thorough && b->filter_ok) {
		plan_filtering(b, now);
		if (!is_done(b, SNET_BEHAVIOUR_FILTER_ANY) ||
		    !is_done(b, SNET_BEHAVIOUR_FILTER_PORT))
			return;
	}
	plan_mapping(b, now);
}

bool snet_behaviour_next(struct snet_behaviour *b, snet_time now, struct snet_stun_ask *out)
{
	for (unsigned tag = 0; tag < SNET_BEHAVIOUR_TAGS; tag++) {
		struct snet_behaviour_test *t = &b->tests[tag];

		if (t->state != SNET_TEST_WANTED || t->at > now)
			continue;
		t->state = SNET_TEST_ASKED;
		*out = t->ask;
		return true;
	}
	return false;
}

snet_time snet_behaviour_deadline(const struct snet_behaviour *b)
{
	snet_time first = SNET_NEVER;

	for (unsigned tag = 0; tag < SNET_BEHAVIOUR_TAGS; tag++)
		if (b->tests[tag].state == SNET_TEST_WANTED && b->tests[tag].at < first)
			first = b->tests[tag].at;
	return first;
}

void snet_behaviour_answer(struct snet_behaviour *b, const struct snet_stun_answer *a,
			   snet_time now)
{
	struct snet_behaviour_test *t = &b->tests[a->tag % SNET_BEHAVIOUR_TAGS];

	if (a->tag >= SNET_BEHAVIOUR_TAGS || t->state != SNET_TEST_ASKED)
		return;
	t->state = SNET_TEST_DONE;
	t->answer = *a;
	if (a->tag < SNET_BEHAVIOUR_SERVERS && !a->code) {
		if (b->first < 0)
			b->first = (int)a->tag;
		choose_teller(b, (int)a->tag);
	}
	if (a->tag >= SNET_BEHAVIOUR_BIND && a->tag < SNET_BEHAVIOUR_LIVE)
		plan_living(b, a->tag - SNET_BEHAVIOUR_BIND, now);
	if (a->tag >= SNET_BEHAVIOUR_LIVE && a->tag < SNET_BEHAVIOUR_AGAIN)
		plan_again(b, a->tag - SNET_BEHAVIOUR_LIVE, now);
	plan(b, now);
}
