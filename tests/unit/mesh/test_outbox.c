/* mesh/outbox: what is kept, sent again and forgotten, and at last against a naive reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/outbox.h"
#include "support/torture.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PLENTY (1u << 20)

/* A message that says its number, on its stream. */
static int say(struct snet_outbox *o, unsigned stream)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%u/%llu", stream,
			 (unsigned long long)o->end[stream & 15] + 1);
	struct snet_slice v = { (const uint8_t *)text, (size_t)n, NULL };

	return snet_outbox_add(o, stream, 32, &v, 1);
}

static void say_each(struct snet_outbox *o, const char *streams)
{
	for (; *streams; streams++)
		assert_int_equal(say(o, (unsigned)(*streams - '0')), SNET_OK);
}

/* What is sent together is the frames of the items that are next, one behind the other. */
static size_t look_at_frames(struct snet_outbox *o)
{
	struct snet_slice v = { 0 };
	size_t n = snet_outbox_frames(o, &v);
	const uint8_t *p = v.p;

	for (size_t i = 0; i < n; i++) {
		const struct snet_outbox_item *it =
			&o->items[(o->first + o->cursor + i) & (o->cap - 1)];

		assert_int_equal(it->stream, snet_outbox_next(o)->stream);
		assert_int_equal(snet_get_be32(p), it->v.n + 1);
		assert_int_equal(p[4], it->kind);
		assert_memory_equal(p + 5, it->v.p, it->v.n);
		p += 5 + it->v.n;
	}
	assert_ptr_equal(p, n ? v.p + v.n : NULL);
	assert_true(!n || v.block == snet_outbox_next(o)->v.block);
	return n;
}

/* What is sent now, in order, is these streams; each message says the number it has. */
static void sends(struct snet_outbox *o, const char *streams)
{
	for (; *streams; streams++) {
		const struct snet_outbox_item *it = snet_outbox_next(o);
		char text[32];

		assert_non_null(it);
		assert_true(look_at_frames(o) > 0);
		assert_int_equal(it->stream, *streams - '0');
		snprintf(text, sizeof(text), "%u/%llu", it->stream,
			 (unsigned long long)it->seq);
		assert_int_equal(it->v.n, strlen(text));
		assert_memory_equal(it->v.p, text, it->v.n);
		snet_outbox_sent(o);
	}
}

static void nothing_to_send(struct snet_outbox *o)
{
	assert_null(snet_outbox_next(o));
}

/* Of stream 0 and 1; a negative number: not among them. */
static struct snet_record_marks marks(int zero, int one)
{
	struct snet_record_marks m = { 0 };

	if (zero >= 0) {
		m.mark[m.count].stream = 0;
		m.mark[m.count++].at = (uint64_t)zero;
	}
	if (one >= 0) {
		m.mark[m.count].stream = 1;
		m.mark[m.count++].at = (uint64_t)one;
	}
	return m;
}

static int acked(struct snet_outbox *o, int zero, int one)
{
	struct snet_record_marks m = marks(zero, one);

	return snet_outbox_acked(o, &m);
}

static int rewind_to(struct snet_outbox *o, int zero, int one)
{
	struct snet_record_marks m = marks(zero, one);

	return snet_outbox_rewind(o, &m);
}

static void every_stream_has_numbers_of_its_own(void **s)
{
	static const struct {
		unsigned stream;
		uint64_t seq;
	} expect[] = { { 0, 1 }, { 1, 1 }, { 0, 2 }, { 15, 1 }, { 1, 2 }, { 0, 3 } };
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	assert_true(snet_outbox_is_empty(&o));
	nothing_to_send(&o);
	for (size_t i = 0; i < LEN(expect); i++)
		assert_int_equal(say(&o, expect[i].stream), SNET_OK);
	assert_int_equal(say(&o, 16), SNET_EINVAL);
	for (size_t i = 0; i < LEN(expect); i++) {
		const struct snet_outbox_item *it = snet_outbox_next(&o);

		assert_int_equal(it->stream, expect[i].stream);
		assert_int_equal(it->seq, expect[i].seq);
		assert_int_equal(it->kind, 32);
		snet_outbox_sent(&o);
	}
	nothing_to_send(&o);
	assert_false(snet_outbox_is_empty(&o)); /* sent is not taken */
	snet_outbox_fini(&o);
}

static void one_message_may_go_past_the_ceiling(void **s)
{
	uint8_t large[1000] = { 0 };
	struct snet_slice v = { large, sizeof(large), NULL };
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, 2 * SNET_OUTBOX_OVERHEAD + 1);
	v.n = 0;
	assert_int_equal(snet_outbox_add(&o, 0, 1, &v, 1), SNET_OK);
	assert_int_equal(snet_outbox_add(&o, 0, 1, NULL, 0),
			 SNET_OK); /* empty ones count too */
	assert_false(snet_outbox_is_full(&o));
	v.n = sizeof(large);
	assert_int_equal(snet_outbox_add(&o, 0, 2, &v, 1), SNET_OK);
	assert_true(snet_outbox_is_full(&o));
	assert_int_equal(o.bytes, 1000 + 3 * SNET_OUTBOX_OVERHEAD);
	assert_int_equal(snet_outbox_add(&o, 0, 2, &v, 1), SNET_EAGAIN);
	assert_int_equal(snet_outbox_add(&o, 16, 2, &v, 1), SNET_EINVAL); /* never welcome */
	assert_int_equal(o.end[0], 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(snet_outbox_next(&o)->v.n, i < 2 ? 0 : 1000);
		snet_outbox_sent(&o);
	}
	assert_int_equal(acked(&o, 2, -1), SNET_OK);
	assert_true(snet_outbox_is_full(&o));
	assert_int_equal(acked(&o, 3, -1), SNET_OK);
	assert_false(snet_outbox_is_full(&o));
	assert_int_equal(o.bytes, 0);
	snet_outbox_fini(&o);
}

static void a_block_is_held_until_it_is_taken(void **s)
{
	struct snet_block *b = snet_block_new(5000);
	struct snet_slice v = { b->data + 100, 4000, b };
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	assert_int_equal(snet_outbox_add(&o, 0, 1, &v, 1), SNET_OK);
	assert_int_equal(snet_outbox_add(&o, 1, 1, &v, 1), SNET_OK);
	assert_int_equal(b->refs, 3);
	assert_ptr_equal(snet_outbox_next(&o)->v.p, b->data + 100);
	assert_ptr_equal(snet_outbox_next(&o)->v.block, b);
	snet_outbox_sent(&o);
	snet_outbox_sent(&o);
	assert_int_equal(b->refs, 3);
	assert_int_equal(acked(&o, 1, -1), SNET_OK);
	assert_int_equal(b->refs, 2);
	assert_int_equal(rewind_to(&o, 2, 2), SNET_OK);
	assert_int_equal(b->refs, 1);
	assert_int_equal(snet_outbox_add(&o, 1, 1, &v, 1), SNET_OK);
	v.n = 0; /* nothing of it is needed */
	assert_int_equal(snet_outbox_add(&o, 1, 1, &v, 1), SNET_OK);
	assert_int_equal(b->refs, 2);
	snet_outbox_fini(&o);
	assert_int_equal(b->refs, 1);
	snet_block_free(b);
}

/* A head and a body in slices, with blocks or without, are one run of bytes. */
static void several_slices_are_copied_into_one(void **s)
{
	static const size_t sizes[] = { 1, 500, 999, 15998, 15999, 16000, 200000 };
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	for (size_t i = 0; i < LEN(sizes); i++) {
		struct snet_block *b = snet_block_new(sizes[i]);
		struct snet_block *head = snet_block_new(1);
		struct snet_slice v[3] = { { head->data, 1, i % 2 ? head : NULL },
					   { NULL, 0, NULL },
					   { b->data, sizes[i], b } };

		head->data[0] = 'h';
		memset(b->data, (int)('a' + i), sizes[i]);
		assert_int_equal(snet_outbox_add(&o, 0, 1, v, 3), SNET_OK);
		assert_int_equal(b->refs, 1);
		assert_int_equal(head->refs, 1);
		memset(b->data, 0xee, sizes[i]);
		snet_block_free(b);
		snet_block_free(head);
	}
	for (size_t i = 0; i < LEN(sizes); i++) {
		const struct snet_outbox_item *it = snet_outbox_next(&o);

		assert_int_equal(it->v.n, 1 + sizes[i]);
		assert_int_equal(it->v.p[0], 'h');
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(it->v.p[1 + k], 'a' + i);
		snet_outbox_sent(&o);
	}
	snet_outbox_fini(&o);
}

static void small_copies_share_a_block(void **s)
{
	struct snet_block *b;
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	say_each(&o, "0120");
	b = o.tail;
	assert_int_equal(b->refs, 5); /* four messages and the tail */
	assert_true(b->cap <= 1024);  /* an idle peer has one */
	for (size_t i = 0; i < o.count; i++)
		assert_ptr_equal(o.items[i].v.block, b);
	sends(&o, "0120");
	assert_int_equal(acked(&o, 2, 1), SNET_OK);
	assert_int_equal(b->refs, 2);
	snet_outbox_fini(&o);
}

/* As far as they are of one stream, in one block, and not held where their owner put them. */
static void what_lies_together_goes_together(void **s)
{
	struct snet_block *b = snet_block_new(4000);
	struct snet_slice large = { b->data, 4000, b }, empty = { NULL, 0, NULL };
	struct snet_outbox o;

	(void)s;
	memset(b->data, 'b', 4000);
	snet_outbox_init(&o, PLENTY);
	assert_int_equal(look_at_frames(&o), 0);
	say_each(&o, "00011");
	assert_int_equal(snet_outbox_add(&o, 1, 7, &large, 1), SNET_OK);
	say_each(&o, "1");
	assert_int_equal(snet_outbox_add(&o, 1, 255, &empty, 1), SNET_OK);
	assert_int_equal(look_at_frames(&o), 3);
	snet_outbox_sent(&o);
	assert_int_equal(look_at_frames(&o), 2);
	sends(&o, "00");
	assert_int_equal(look_at_frames(&o), 2);
	sends(&o, "11");
	assert_int_equal(look_at_frames(&o), 0); /* the large one */
	assert_ptr_equal(snet_outbox_next(&o)->v.p, b->data);
	snet_outbox_sent(&o);
	assert_int_equal(look_at_frames(&o), 2);
	assert_int_equal(rewind_to(&o, 1, 1), SNET_OK);
	assert_int_equal(look_at_frames(&o), 3); /* again, the same */
	snet_outbox_fini(&o);
	snet_block_free(b);
}

/* A run ends where its block does. */
static void a_run_of_frames_stays_in_its_block(void **s)
{
	static uint8_t body[999];
	struct snet_slice v = { body, sizeof(body), NULL };
	struct snet_outbox o;
	size_t n, sum = 0, runs = 0;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(snet_outbox_add(&o, 3, 32, &v, 1), SNET_OK);
	for (; (n = look_at_frames(&o)); sum += n, runs++)
		for (size_t i = 0; i < n; i++)
			snet_outbox_sent(&o);
	assert_int_equal(sum, 200);
	assert_true(runs >= 4 && runs < 8); /* 200,800 bytes, in blocks of 65,000 */
	snet_outbox_fini(&o);
}

/* One small message after the other: no allocation, the same bytes are used again. */
static void a_trickle_needs_one_small_block(void **s)
{
	struct snet_block *b = NULL;
	struct snet_outbox_item *items = NULL;
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	for (int i = 1; i <= 1000; i++) {
		say_each(&o, "0");
		if (i == 1) {
			b = o.tail;
			items = o.items;
		}
		assert_ptr_equal(o.tail, b);
		assert_ptr_equal(o.items, items);
		sends(&o, "0");
		assert_int_equal(acked(&o, i, -1), SNET_OK);
		assert_int_equal(b->n, 0);
	}
	snet_outbox_fini(&o);
}

/* A connection may still hold what is acknowledged here: its bytes stay as they are. */
static void a_block_that_another_holds_is_not_written_again(void **s)
{
	struct snet_block *held;
	struct snet_outbox o;
	const uint8_t *p;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	say_each(&o, "0");
	held = snet_block_hold(snet_outbox_next(&o)->v.block);
	p = snet_outbox_next(&o)->v.p;
	sends(&o, "0");
	assert_int_equal(acked(&o, 1, -1), SNET_OK);
	say_each(&o, "01");
	assert_memory_equal(p, "0/1", 3);
	assert_ptr_not_equal(o.tail, held);
	sends(&o, "01");
	snet_outbox_fini(&o);
	assert_int_equal(held->refs, 1);
	snet_block_free(held);
}

static void after_a_burst_little_is_kept(void **s)
{
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	for (unsigned i = 0; i < 5000; i++) {
		say_each(&o, "0");
		sends(&o, "0");
	}
	assert_true(o.cap >= 5000);
	assert_int_equal(acked(&o, 5000, -1), SNET_OK);
	assert_true(o.cap <= 256);
	assert_true(!o.tail || o.tail->cap <= 1024);
	say_each(&o, "01");
	assert_int_equal(o.end[0], 5001);
	sends(&o, "01");
	snet_outbox_fini(&o);
}

static void an_ack_forgets_its_stream_alone(void **s)
{
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	say_each(&o, "01101200");
	sends(&o, "011012");
	assert_int_equal(acked(&o, -1, 2), SNET_OK); /* from the middle */
	assert_int_equal(o.count, 6);
	assert_int_equal(o.acked[0], 0);
	assert_int_equal(o.acked[1], 2);
	sends(&o, "0"); /* the one that came next still does */
	assert_int_equal(acked(&o, 1, -1), SNET_OK);
	assert_int_equal(acked(&o, 0, 1), SNET_OK); /* old news */
	assert_int_equal(o.acked[0], 1);
	assert_int_equal(o.acked[1], 2);
	assert_int_equal(o.count, 5);
	assert_int_equal(acked(&o, -1, -1), SNET_OK);
	assert_int_equal(rewind_to(&o, 2, 3), SNET_OK);
	sends(&o, "01200");
	nothing_to_send(&o);
	snet_outbox_fini(&o);
}

static void an_ack_of_what_was_not_sent_is_refused(void **s)
{
	static const int cases[][2] = { { 3, -1 }, { -1, 1 }, { 2, 1 }, { 3, 0 } };
	struct snet_record_marks none_such = marks(1, -1);
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	say_each(&o, "00010");
	sends(&o, "00");
	for (size_t i = 0; i < LEN(cases); i++) {
		assert_int_equal(acked(&o, cases[i][0], cases[i][1]), SNET_EPROTO);
		assert_int_equal(o.count, 5);
		assert_int_equal(o.acked[0], 0);
	}
	none_such.mark[0].stream = 16;
	assert_int_equal(snet_outbox_acked(&o, &none_such), SNET_EPROTO);
	assert_int_equal(acked(&o, 2, 0), SNET_OK);
	snet_outbox_fini(&o);
}

/* What was sent on the connection before cannot be acknowledged on this one. */
static void an_ack_speaks_of_this_connection(void **s)
{
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	say_each(&o, "000");
	sends(&o, "000");
	assert_int_equal(rewind_to(&o, 2, -1), SNET_OK);
	assert_int_equal(acked(&o, 2, -1), SNET_EPROTO);
	assert_int_equal(acked(&o, 1, -1), SNET_OK); /* as resume has said */
	sends(&o, "0");
	assert_int_equal(acked(&o, 2, -1), SNET_OK);
	sends(&o, "0");
	nothing_to_send(&o);
	assert_int_equal(o.resent, 2);
	snet_outbox_fini(&o);
}

static void a_rewind_sends_again_what_was_not_taken(void **s)
{
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	say_each(&o, "0101010");
	sends(&o, "01010");
	assert_int_equal(acked(&o, 1, -1), SNET_OK);
	assert_int_equal(rewind_to(&o, 3, 2), SNET_OK);
	assert_int_equal(o.acked[0], 2);
	assert_int_equal(o.acked[1], 1);
	assert_int_equal(o.resent, 0); /* not yet */
	sends(&o, "10");
	assert_int_equal(o.resent, 2);
	say_each(&o, "1");
	sends(&o, "101");
	assert_int_equal(o.resent, 2); /* the others were new */
	nothing_to_send(&o);
	assert_int_equal(rewind_to(&o, 5, 5), SNET_OK); /* all of it */
	assert_true(snet_outbox_is_empty(&o));
	nothing_to_send(&o);
	snet_outbox_fini(&o);
}

static void a_rewind_to_where_it_cannot_be_is_refused(void **s)
{
	static const int cases[][2] = {
		{ 2, 1 },  { 1, -1 },
		{ -1, 1 },           /* before what is acknowledged: 1 if not said */
		{ 6, -1 }, { 3, 3 }, /* beyond what was sent */
		{ 0, 1 },  { 3, 0 }, /* no number */
	};
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	say_each(&o, "0000100");
	sends(&o, "00001");
	assert_int_equal(acked(&o, 2, -1), SNET_OK);
	for (size_t i = 0; i < LEN(cases); i++) {
		assert_int_equal(rewind_to(&o, cases[i][0], cases[i][1]), SNET_EPROTO);
		assert_int_equal(o.count, 5);
		assert_int_equal(o.cursor, 3);
		assert_int_equal(o.acked[0], 2);
	}
	assert_int_equal(rewind_to(&o, 3, 1), SNET_OK);
	sends(&o, "0");
	/* Sent on an earlier connection: it may have been on its way. */
	assert_int_equal(rewind_to(&o, 5, 2), SNET_OK);
	sends(&o, "00");
	nothing_to_send(&o);
	snet_outbox_fini(&o);
}

static void who_begins_anew_gets_what_was_not_taken_from_1(void **s)
{
	struct snet_outbox o;

	(void)s;
	snet_outbox_init(&o, PLENTY);
	assert_int_equal(snet_outbox_renew(&o), 0);
	say_each(&o, "001010");
	sends(&o, "00101");
	assert_int_equal(acked(&o, 2, 1), SNET_OK);
	assert_int_equal(snet_outbox_renew(&o), 3);
	assert_int_equal(o.count, 3);
	assert_int_equal(o.end[0], 2);
	assert_int_equal(o.end[1], 1);
	assert_int_equal(rewind_to(&o, 2, -1), SNET_EPROTO); /* it has had nothing */
	assert_int_equal(rewind_to(&o, -1, -1), SNET_OK);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const was[] = { "0/3", "1/2", "0/4" };
		static const uint64_t is[] = { 1, 1, 2 };
		const struct snet_outbox_item *it = snet_outbox_next(&o);

		assert_memory_equal(it->v.p, was[i], 3);
		assert_int_equal(it->seq, is[i]);
		snet_outbox_sent(&o);
	}
	nothing_to_send(&o);
	assert_int_equal(o.resent, 2);
	assert_int_equal(say(&o, 1), SNET_OK);
	assert_int_equal(snet_outbox_next(&o)->seq, 2);
	assert_int_equal(snet_outbox_renew(&o), 0); /* that one took none for good */
	snet_outbox_fini(&o);
}

/* The ring grows while it is bent, its first item anywhere. */
static void the_ring_grows_wherever_it_begins(void **s)
{
	(void)s;
	for (int gone = 0; gone < 8; gone++) {
		struct snet_outbox o;

		snet_outbox_init(&o, PLENTY);
		say_each(&o, "0000000");
		sends(&o, "0000000");
		say_each(&o, "0");
		assert_int_equal(acked(&o, gone < 7 ? gone : 7, -1), SNET_OK);
		for (unsigned i = 0; i < 40; i++)
			say_each(&o, "10");
		sends(&o, "0");
		for (unsigned i = 0; i < 40; i++)
			sends(&o, "10");
		nothing_to_send(&o);
		assert_int_equal(rewind_to(&o, 9, 1), SNET_OK);
		for (unsigned i = 0; i < 40; i++)
			sends(&o, "10");
		snet_outbox_fini(&o);
	}
}

/* ---- memory */

static int one_life(void *user)
{
	static const size_t sizes[] = { 10, 900, 200, 20000, 5000, 0, 64000 };
	static uint8_t bytes[64000];
	struct snet_outbox o;
	int rc = SNET_OK;

	(void)user;
	snet_outbox_init(&o, PLENTY);
	for (unsigned i = 0; i < 20 && !rc; i++) {
		struct snet_slice v = { bytes, sizes[i % LEN(sizes)], NULL };
		size_t count = o.count, was = o.bytes;
		uint64_t end = o.end[i & 1];

		rc = snet_outbox_add(&o, i & 1, 1, &v, 1);
		if (!rc)
			continue;
		/* Nothing of it is there, and the next goes in its place. */
		assert_int_equal(rc, SNET_ENOMEM);
		assert_int_equal(o.count, count);
		assert_int_equal(o.bytes, was);
		assert_int_equal(o.end[i & 1], end);
		assert_int_equal(snet_outbox_add(&o, i & 1, 1, &v, 1), SNET_OK);
		assert_int_equal(o.end[i & 1], end + 1);
	}
	snet_outbox_fini(&o);
	return rc;
}

static void a_failed_add_adds_nothing(void **s)
{
	(void)s;
	assert_true(torture(one_life, NULL) >= 6);
}

/* ---- a random life, against two lists and a count */

#define LOG 30000 /* messages a life may accept, on each stream */
#define LIVES 6
#define STREAMS 3

static uint32_t state;

static uint32_t draw(uint32_t below)
{
	state = state * 1664525 + 1013904223; /* Numerical Recipes; the same every run */
	return (state >> 8) % below;
}

/* Streams are numbered apart, so that a mark is not its index. */
static const unsigned stream_of[STREAMS] = { 0, 1, 15 };

static struct life {
	struct snet_outbox o;
	/* All that was ever accepted; base: where number 1 of the present receiver is. */
	size_t size[STREAMS][LOG], total[STREAMS], base[STREAMS];
	/* The connection: so many are on their way, behind what was heard. */
	size_t sent[STREAMS], heard[STREAMS];
	size_t acked[STREAMS], told[STREAMS]; /* by the sender; by an ack on its way */
	unsigned losses, renewals;
} life;

static uint8_t byte_of(unsigned s, size_t index)
{
	return (uint8_t)(index * 7 + s * 89);
}

static size_t kept_bytes(void)
{
	size_t sum = 0;

	for (unsigned s = 0; s < STREAMS; s++)
		for (size_t i = life.base[s] + life.acked[s]; i < life.total[s]; i++)
			sum += life.size[s][i] + SNET_OUTBOX_OVERHEAD;
	return sum;
}

static void life_adds(void)
{
	static const uint32_t sizes[] = { 1, 20, 300, 3000, 20000, 70000 };
	unsigned s = draw(STREAMS);
	size_t index = life.total[s], n = draw(sizes[draw(LEN(sizes))]);
	bool full = kept_bytes() >= life.o.max;
	struct snet_slice v[2];
	uint8_t *p = malloc(n + 1);

	assert_non_null(p);
	memset(p, byte_of(s, index), n);
	v[0] = (struct snet_slice){ p, n / 2, NULL };
	v[1] = (struct snet_slice){ p + n / 2, n - n / 2, NULL };
	assert_int_equal(snet_outbox_is_full(&life.o), full);
	assert_int_equal(snet_outbox_add(&life.o, stream_of[s], byte_of(s, index), v, 2),
			 full ? SNET_EAGAIN : SNET_OK);
	memset(p, 0xee, n);
	free(p);
	if (!full)
		life.size[s][life.total[s]++] = n;
}

/* The connection takes one: it is the next of its stream, and right. */
static void life_sends(void)
{
	const struct snet_outbox_item *it = snet_outbox_next(&life.o);
	unsigned s = 0;
	size_t index, left = 0;

	for (unsigned i = 0; i < STREAMS; i++)
		left += life.total[i] - life.base[i] - life.sent[i];
	assert_int_equal(!it, !left);
	if (!it)
		return;
	while (stream_of[s] != it->stream)
		assert_true(++s < STREAMS);
	index = life.base[s] + life.sent[s]++;
	assert_int_equal(it->seq, life.sent[s]);
	assert_true(index < life.total[s]);
	assert_int_equal(it->kind, byte_of(s, index));
	assert_int_equal(it->v.n, life.size[s][index]);
	for (size_t i = 0; i < it->v.n; i++)
		if (it->v.p[i] != byte_of(s, index))
			fail_msg("message %zu of stream %u is spoilt", index, s);
	if (!draw(16))
		look_at_frames(&life.o);
	snet_outbox_sent(&life.o);
}

/* The receiver hears some of what was sent: by the check above, the next one each time. */
static void life_hears(void)
{
	unsigned s = draw(STREAMS);

	life.heard[s] += draw((uint32_t)(life.sent[s] - life.heard[s]) + 1);
}

static struct snet_record_marks life_marks(const size_t of[STREAMS], uint64_t more)
{
	struct snet_record_marks m = { .count = STREAMS };

	for (unsigned s = 0; s < STREAMS; s++) {
		m.mark[s].stream = (uint8_t)stream_of[s];
		m.mark[s].at = of[s] + more;
	}
	return m;
}

/* The ack that was under way comes, and the next one sets out. */
static void life_acks(void)
{
	struct snet_record_marks m = life_marks(life.told, 0);

	assert_int_equal(snet_outbox_acked(&life.o, &m), SNET_OK);
	for (unsigned s = 0; s < STREAMS; s++)
		if (life.acked[s] < life.told[s])
			life.acked[s] = life.told[s];
	memcpy(life.told, life.heard, sizeof(life.told));
	m = life_marks(life.sent, 1);
	assert_int_equal(snet_outbox_acked(&life.o, &m), SNET_EPROTO);
}

/* The connection is lost, with what is under way; at times the other side forgets all. */
static void life_reconnects(void)
{
	struct snet_record_marks m;

	life.losses++;
	if (!draw(4)) {
		uint64_t gone = 0;

		life.renewals++;
		for (unsigned s = 0; s < STREAMS; s++) {
			gone += life.acked[s];
			life.base[s] += life.acked[s];
			life.heard[s] = life.acked[s] = 0;
		}
		assert_int_equal(snet_outbox_renew(&life.o), gone);
	}
	m = life_marks(life.heard, 1);
	assert_int_equal(snet_outbox_rewind(&life.o, &m), SNET_OK);
	memcpy(life.sent, life.heard, sizeof(life.sent));
	memcpy(life.acked, life.heard, sizeof(life.acked));
	memcpy(life.told, life.heard, sizeof(life.told));
}

static void life_is_consistent(void)
{
	size_t count = 0, sent = 0;

	for (unsigned s = 0; s < STREAMS; s++) {
		count += life.total[s] - life.base[s] - life.acked[s];
		sent += life.sent[s] - life.acked[s];
		assert_int_equal(life.o.acked[stream_of[s]], life.acked[s]);
		assert_int_equal(life.o.end[stream_of[s]], life.total[s] - life.base[s]);
	}
	assert_int_equal(life.o.count, count);
	assert_int_equal(life.o.cursor, sent);
	assert_int_equal(life.o.bytes, kept_bytes());
	assert_true(life.o.bytes < life.o.max + 70000 + SNET_OUTBOX_OVERHEAD);
}

static void live(uint32_t seed)
{
	memset(&life, 0, sizeof(life));
	state = seed;
	snet_outbox_init(&life.o, 200000);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned what = draw(200);

		if (what < 80)
			life_adds();
		else if (what < 150)
			life_sends();
		else if (what < 180)
			life_hears();
		else if (what < 199)
			life_acks();
		else
			life_reconnects();
		life_is_consistent();
	}
	assert_true(life.losses > 20 && life.renewals > 2);
	/* At last everything arrives. */
	life_reconnects();
	while (snet_outbox_next(&life.o))
		life_sends();
	memcpy(life.heard, life.sent, sizeof(life.heard));
	life_acks(); /* the one that says it sets out */
	life_acks();
	life_is_consistent();
	for (unsigned s = 0; s < STREAMS; s++)
		assert_int_equal(life.base[s] + life.acked[s], life.total[s]);
	assert_true(life.total[0] > 1000);
	assert_true(snet_outbox_is_empty(&life.o));
	snet_outbox_fini(&life.o);
}

static void a_random_life_delivers_each_once_and_in_order(void **s)
{
	(void)s;
	for (uint32_t seed = 1; seed <= LIVES; seed++)
		live(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stream_has_numbers_of_its_own),
		cmocka_unit_test(one_message_may_go_past_the_ceiling),
		cmocka_unit_test(a_block_is_held_until_it_is_taken),
		cmocka_unit_test(several_slices_are_copied_into_one),
		cmocka_unit_test(small_copies_share_a_block),
		cmocka_unit_test(what_lies_together_goes_together),
		cmocka_unit_test(a_run_of_frames_stays_in_its_block),
		cmocka_unit_test(a_trickle_needs_one_small_block),
		cmocka_unit_test(a_block_that_another_holds_is_not_written_again),
		cmocka_unit_test(after_a_burst_little_is_kept),
		cmocka_unit_test(an_ack_forgets_its_stream_alone),
		cmocka_unit_test(an_ack_of_what_was_not_sent_is_refused),
		cmocka_unit_test(an_ack_speaks_of_this_connection),
		cmocka_unit_test(a_rewind_sends_again_what_was_not_taken),
		cmocka_unit_test(a_rewind_to_where_it_cannot_be_is_refused),
		cmocka_unit_test(who_begins_anew_gets_what_was_not_taken_from_1),
		cmocka_unit_test(the_ring_grows_wherever_it_begins),
		cmocka_unit_test(a_failed_add_adds_nothing),
		cmocka_unit_test(a_random_life_delivers_each_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
