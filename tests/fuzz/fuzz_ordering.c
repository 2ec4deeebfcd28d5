/* Ordering: parties and clients that come, go and say anything. What is no digest is not taken,
 * what is sent is one, nothing is due that is past, and an agreement has the counts. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "mesh/node_list.h"
#include "mesh/ordering.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void drain(struct snet_ordering *o, snet_time now)
{
	struct snet_ordering_want w = { SNET_ORDERING_SEND, 0, NULL, 0 };
	enum snet_ordering_state before = o->state;

	while (w.verb == SNET_ORDERING_SEND) {
		assert(!snet_ordering_next(o, now, &w));
		assert(w.verb != SNET_ORDERING_SEND || snet_ordering_is_digest(w.p, w.n));
	}
	assert(w.verb == SNET_ORDERING_NOTHING || before == SNET_ORDERING_OPEN);
	assert(o->deadline > now);
	assert(o->state != SNET_ORDERING_AGREED || (o->node_count == 3 && o->frame.n));
	assert(o->state != SNET_ORDERING_FAILED || (o->why.code && *o->why.text));
}

/* Says our own digest back, so that agreement is in reach. */
static void echo(struct snet_ordering *o, uint32_t party, snet_time now)
{
	if (o->frame.n)
		snet_ordering_input(o, party, o->frame.p, o->frame.n, now);
}

static void say(struct snet_ordering *o, uint32_t party, struct snet_reader *r, snet_time now)
{
	size_t want = snet_take_u8(r), n = want < snet_left(r) ? want : snet_left(r);
	const uint8_t *p = snet_take(r, n);
	int rc = p ? snet_ordering_input(o, party, p, n, now) : SNET_EAGAIN;

	assert(rc != SNET_OK || snet_ordering_is_digest(p, n));
	assert(rc != SNET_EPROTO || o->state == SNET_ORDERING_AGREED);
}

static void step(struct snet_ordering *o, struct snet_reader *r, snet_time *now)
{
	uint8_t op = snet_take_u8(r), letter = snet_take_u8(r);
	struct snet_slice key = { &letter, 1, NULL };
	uint32_t party = op >> 4 & 3;

	switch (op & 7) {
	case 0:
		say(o, party, r, *now);
		break;
	case 1:
		snet_ordering_party_up(o, party, &key, op & 8, *now);
		break;
	case 2:
		snet_ordering_party_down(o, party);
		break;
	case 3:
		snet_ordering_party_gone(o, party, *now);
		break;
	case 4:
		assert(!snet_ordering_client_up(o, &key, *now));
		break;
	case 5:
		snet_ordering_client_gone(o, &key, *now);
		break;
	case 6:
		*now += letter * (SNET_SEC / 4);
		break;
	default:
		if (op & 8)
			snet_ordering_retry(o, *now);
		else
			echo(o, party, *now);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_ordering_opts opts = { .parties = 3, .clients = SNET_ORDERING_ANY };
	static const uint8_t key_id[SNET_SHA256_BYTES] = { 0 };
	struct snet_slice own = { (const uint8_t *)"own", 3, NULL };
	struct snet_reader r = snet_reader(p, n);
	struct snet_node_list l = { 0 };
	struct snet_ordering o;
	snet_time now = 0;

	opts.wait = 20 * SNET_SEC;
	assert(snet_node_list_add(&l, key_id, "x", p, n, NULL) != SNET_OK && !l.frame);
	assert(!snet_ordering_init(&o, &opts, &own, now));
	drain(&o, now);
	while (snet_left(&r)) {
		step(&o, &r, &now);
		drain(&o, now);
	}
	snet_ordering_fini(&o);
	return 0;
}
