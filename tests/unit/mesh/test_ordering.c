/* mesh/ordering, mesh/node_list: parties that agree, and every way in which they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/node_list.h"
#include "mesh/ordering.h"
#include "support/torture.h"
#include "support/vectors.h"
#include "wire/envelope.h"

#define ANY SNET_ORDERING_ANY
#define T0 (1000 * SNET_SEC)

/* stoffelnet-wire(7): three nodes, no clients. */
static const char wire_digest[] = "0c000000200000000000000071e0a99173564931c0b8acc52d2685a8e39c"
				  "64dc52e3d02390fdac2a12b155cb"
				  "000000000000000020000000000000001b8574b75d37323f9685a8501fa3"
				  "2656b774d73ec701c497cf757b45"
				  "f4714c8c0300000000000000";

static struct snet_slice text(const char *s)
{
	return (struct snet_slice){ (const uint8_t *)s, strlen(s), NULL };
}

static void init(struct snet_ordering *o, uint32_t parties, uint32_t clients, uint32_t self,
		 const char *own)
{
	struct snet_ordering_opts opts = {
		.parties = parties, .clients = clients, .self = self, .wait = 30 * SNET_SEC
	};
	struct snet_slice key = text(own);

	assert_int_equal(snet_ordering_init(o, &opts, &key, T0), SNET_OK);
}

static int up(struct snet_ordering *o, uint32_t i, const char *key, snet_time now)
{
	struct snet_slice k = text(key);

	return snet_ordering_party_up(o, i, &k, false, now);
}

static void client(struct snet_ordering *o, const char *key, snet_time now)
{
	struct snet_slice k = text(key);

	assert_int_equal(snet_ordering_client_up(o, &k, now), SNET_OK);
}

static void client_gone(struct snet_ordering *o, const char *key, snet_time now)
{
	struct snet_slice k = text(key);

	snet_ordering_client_gone(o, &k, now);
}

static struct snet_ordering_want expect(struct snet_ordering *o, snet_time now,
					enum snet_ordering_verb verb, uint32_t party)
{
	struct snet_ordering_want w;

	assert_int_equal(snet_ordering_next(o, now, &w), SNET_OK);
	assert_int_equal(w.verb, verb);
	assert_int_equal(w.party, party);
	return w;
}

/* Carries one digest of one to another, where one is that. */
static void carry(struct snet_ordering *from, uint32_t to_index, struct snet_ordering *to,
		  uint32_t from_index, snet_time now)
{
	struct snet_ordering_want w = expect(from, now, SNET_ORDERING_SEND, to_index);

	assert_true(snet_ordering_is_digest(w.p, w.n));
	assert_int_equal(snet_ordering_input(to, from_index, w.p, w.n, now), SNET_OK);
}

/* Two parties, connected, each with the clients of its list (single letters). */
static void pair(struct snet_ordering o[2], uint32_t parties, uint32_t clients,
		 const char *const lists[2])
{
	const char *keys[] = { "node a", "node b" };

	for (uint32_t i = 0; i < 2; i++) {
		init(&o[i], parties, clients, i, keys[i]);
		assert_int_equal(up(&o[i], !i, keys[!i], T0), SNET_OK);
		for (const char *c = lists[i]; *c; c++)
			client(&o[i], (char[]){ *c, '\0' }, T0);
	}
}

static void fini(struct snet_ordering o[2])
{
	snet_ordering_fini(&o[0]);
	snet_ordering_fini(&o[1]);
}

static void the_digest_is_the_crates(void **s)
{
	json_t *v = vectors_load("hash-vectors.json");
	const json_t *lists = json_object_get(v, "list_digest"), *keys = NULL;
	struct snet_ordering_opts opts = { .parties = 3, .clients = 0, .self = ANY };
	struct snet_slice k[3];
	struct snet_ordering o;
	struct snet_ordering_want w;
	uint8_t *want;
	size_t n;

	(void)s;
	keys = json_object_get(json_array_get(lists, json_array_size(lists) - 1), "keys");
	assert_int_equal(json_array_size(keys), 3);
	for (size_t i = 0; i < 3; i++)
		k[i].p = vectors_unhex(json_string_value(json_array_get(keys, i)), &k[i].n);
	assert_int_equal(snet_ordering_init(&o, &opts, &k[1], 0), SNET_OK);
	assert_int_equal(snet_ordering_party_up(&o, 7, &k[2], true, 0), SNET_OK);
	expect(&o, 0, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(snet_ordering_party_up(&o, 2, &k[0], true, 0), SNET_OK);
	w = expect(&o, 0, SNET_ORDERING_SEND, 2);
	want = vectors_unhex(wire_digest, &n);
	assert_int_equal(w.n, n);
	assert_memory_equal(w.p, want, n);
	expect(&o, 0, SNET_ORDERING_SEND, 7);
	expect(&o, 0, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(o.deadline, SNET_ORDERING_TIMEOUT);
	assert_int_equal(snet_ordering_input(&o, 2, want, n, 1), SNET_OK);
	assert_int_equal(snet_ordering_input(&o, 7, want, n, 1), SNET_OK);
	expect(&o, 1, SNET_ORDERING_AGREE, ANY);
	expect(&o, 1, SNET_ORDERING_NOTHING, ANY);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(snet_ordering_find(o.nodes, o.node_count, &k[i]), i);
	free(want);
	for (size_t i = 0; i < 3; i++)
		free((void *)(uintptr_t)k[i].p);
	snet_ordering_fini(&o);
	json_decref(v);
}

static void two_agree_whatever_the_order_of_coming(void **s)
{
	struct snet_ordering o[2];
	struct snet_slice y = text("y"), z = text("z");

	(void)s;
	pair(o, 2, 2, (const char *const[]){ "yx", "xy" });
	carry(&o[0], 1, &o[1], 0, T0);
	carry(&o[1], 0, &o[0], 1, T0);
	for (int i = 0; i < 2; i++) {
		expect(&o[i], T0, SNET_ORDERING_AGREE, ANY);
		assert_int_equal(o[i].deadline, SNET_NEVER);
		assert_int_equal(o[i].client_count, 2);
		assert_int_equal(snet_ordering_find(o[i].client_keys, 2, &y), 1);
		assert_int_equal(snet_ordering_find(o[i].client_keys, 2, &z), -1);
	}
	/* From now on the lists stay. */
	client_gone(&o[0], "x", T0);
	snet_ordering_party_gone(&o[0], 1, T0);
	assert_int_equal(up(&o[0], 2, "node c", T0), SNET_EDENIED);
	expect(&o[0], T0, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(o[0].client_count, 2);
	assert_int_equal(o[0].node_count, 2);
	fini(o);
}

static void one_count_is_enough(void **s)
{
	const struct {
		uint32_t parties, clients;
	} given[] = { { 2, ANY }, { ANY, 1 } };
	struct snet_ordering o[2];

	(void)s;
	for (size_t i = 0; i < 2; i++) {
		pair(o, given[i].parties, given[i].clients, (const char *const[]){ "x", "x" });
		carry(&o[0], 1, &o[1], 0, T0);
		carry(&o[1], 0, &o[0], 1, T0);
		expect(&o[0], T0, SNET_ORDERING_AGREE, ANY);
		expect(&o[1], T0, SNET_ORDERING_AGREE, ANY);
		fini(o);
	}
	init(&o[0], 1, 0, 0, "alone");
	expect(&o[0], T0, SNET_ORDERING_AGREE, ANY);
	snet_ordering_fini(&o[0]);
}

static void a_frame_that_is_no_digest_is_the_applications(void **s)
{
	struct snet_ordering o[2];
	uint8_t longer[SNET_ORDERING_DIGEST_BYTES + 1];
	struct snet_slice key = text("node b");
	uint8_t *p;
	size_t n;

	(void)s;
	p = vectors_unhex(wire_digest, &n);
	assert_true(snet_ordering_is_digest(p, n));
	assert_false(snet_ordering_is_digest(p, n - 1));
	memcpy(longer, p, n);
	longer[n] = 0;
	assert_false(snet_ordering_is_digest(longer, n + 1));
	longer[4] = 31;
	assert_false(snet_ordering_is_digest(longer, n));
	pair(o, 2, 0, (const char *const[]){ "", "" });
	assert_int_equal(snet_ordering_input(&o[0], 1, "hello", 5, T0), SNET_EAGAIN);
	assert_int_equal(snet_ordering_input(&o[0], 2, p, n, T0), SNET_ENOENT);
	/* In the crate's profile only the first is one. */
	assert_int_equal(snet_ordering_party_up(&o[0], 1, &key, true, T0), SNET_OK);
	assert_int_equal(snet_ordering_input(&o[0], 1, p, n, T0), SNET_OK);
	assert_int_equal(snet_ordering_input(&o[0], 1, p, n, T0), SNET_EAGAIN);
	free(p);
	fini(o);
}

static void hashes_of_another_length_are_no_digest(void **s)
{
	struct snet_envelope e = { .tag = SNET_ENVELOPE_CLIENT_LIST_DIGEST };
	uint8_t bytes[64] = { 0 };

	(void)s;
	for (size_t n = 31; n <= 33; n++) {
		struct snet_buf b = SNET_BUF(200);

		e.digest.digest = (struct snet_slice){ bytes, n, NULL };
		e.digest.node_digest = (struct snet_slice){ bytes, 64 - n, NULL };
		assert_int_equal(snet_envelope_encode(&e, &b), SNET_OK);
		assert_int_equal(b.n, SNET_ORDERING_DIGEST_BYTES);
		assert_int_equal(snet_ordering_is_digest(b.p, b.n), n == 32);
		snet_buf_free(&b);
	}
}

/* Both lists change while the digests cross: that cannot be helped in one round, but it is
 * seen. */
static void who_says_otherwise_after_the_agreement_is_noticed(void **s)
{
	struct snet_ordering_want w;
	struct snet_ordering o[2];

	(void)s;
	pair(o, 2, ANY, (const char *const[]){ "x", "x" });
	carry(&o[1], 0, &o[0], 1, T0);
	expect(&o[0], T0, SNET_ORDERING_SEND, 1); /* under way */
	expect(&o[0], T0, SNET_ORDERING_AGREE, ANY);
	client(&o[1], "y", T0);
	w = expect(&o[1], T0, SNET_ORDERING_SEND, 0);
	assert_int_equal(snet_ordering_input(&o[0], 1, w.p, w.n, T0), SNET_EPROTO);
	assert_int_equal(o[0].state, SNET_ORDERING_AGREED);
	fini(o);
}

static void who_comes_back_is_told_again(void **s)
{
	struct snet_slice key = text("node b");
	struct snet_ordering o[2];

	(void)s;
	pair(o, 2, 0, (const char *const[]){ "", "" });
	expect(&o[0], T0, SNET_ORDERING_SEND, 1); /* lost on the way */
	carry(&o[1], 0, &o[0], 1, T0);
	snet_ordering_party_down(&o[0], 1);
	expect(&o[0], T0, SNET_ORDERING_AGREE, ANY); /* what it said stands */
	up(&o[0], 1, "node b", T0);
	carry(&o[0], 1, &o[1], 0, T0);
	expect(&o[1], T0, SNET_ORDERING_AGREE, ANY);
	/* Not one of the crate's, whose application may be reading by now. */
	assert_int_equal(snet_ordering_party_up(&o[0], 1, &key, true, T0), SNET_OK);
	expect(&o[0], T0, SNET_ORDERING_NOTHING, ANY);
	fini(o);
	pair(o, 2, 0, (const char *const[]){ "", "" });
	for (int i = 0; i < 3; i++) {
		assert_int_equal(snet_ordering_party_up(&o[0], 1, &key, true, T0), SNET_OK);
		expect(&o[0], T0, SNET_ORDERING_SEND, 1);
		expect(&o[0], T0, SNET_ORDERING_NOTHING, ANY);
		snet_ordering_unsent(&o[0], 1);
		expect(&o[0], T0, SNET_ORDERING_SEND, 1);
	}
	fini(o);
}

static void a_list_that_changes_makes_a_new_digest(void **s)
{
	struct snet_ordering o[2];

	(void)s;
	pair(o, 2, 1, (const char *const[]){ "x", "y" });
	carry(&o[0], 1, &o[1], 0, T0);
	carry(&o[1], 0, &o[0], 1, T0);
	expect(&o[0], T0, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(o[0].deadline, T0 + SNET_ORDERING_SETTLE);
	client(&o[0], "x", T0 + 1); /* a second connection */
	client_gone(&o[0], "x", T0 + 1);
	expect(&o[0], T0 + 1, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(o[0].client_count, 1);
	client_gone(&o[0], "x", T0 + 1);
	expect(&o[0], T0 + 1, SNET_ORDERING_NOTHING, ANY); /* nobody, and one is expected */
	assert_int_equal(o[0].client_count, 0);
	client(&o[0], "y", T0 + 2);
	carry(&o[0], 1, &o[1], 0, T0 + 2);
	expect(&o[0], T0 + 2, SNET_ORDERING_AGREE, ANY);
	expect(&o[1], T0 + 2, SNET_ORDERING_AGREE, ANY);
	fini(o);
}

static void a_difference_that_lasts_names_the_party_and_what_differs(void **s)
{
	const struct {
		const char *lists[2];
		const char *extra, *why;
	} cases[] = {
		{ { "x", "xyz" }, NULL, "party 1 has 3 clients, and 1 are here" },
		{ { "x", "y" }, NULL, "party 1 has other clients than are here, as many (1)" },
		{ { "x", "x" }, "node c", "party 1 has 3 nodes, and 2 are here" },
	};
	struct snet_ordering o[2];

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snet_time now = T0 + SNET_SEC;

		pair(o, 2, ANY, cases[i].lists);
		o[1].opts.parties = ANY;
		o[1].opts.clients = (uint32_t)strlen(cases[i].lists[1]);
		if (cases[i].extra)
			assert_int_equal(up(&o[1], 2, cases[i].extra, T0), SNET_OK);
		carry(&o[0], 1, &o[1], 0, T0);
		carry(&o[1], 0, &o[0], 1, now);
		now += SNET_ORDERING_SETTLE;
		expect(&o[0], now - 1, SNET_ORDERING_NOTHING, ANY);
		assert_int_equal(o[0].deadline, now);
		expect(&o[0], now, SNET_ORDERING_REFUSE, 1);
		assert_int_equal(o[0].why.code, SNET_EPROTO);
		assert_string_equal(o[0].why.text, cases[i].why);
		assert_int_equal(o[0].deadline, SNET_NEVER);
		expect(&o[0], now, SNET_ORDERING_NOTHING, ANY);
		fini(o);
	}
}

static void the_timeout_names_who_is_silent(void **s)
{
	struct snet_ordering o;
	struct snet_ordering_want w;
	snet_time now = T0 + 5 * SNET_SEC;

	(void)s;
	init(&o, 4, 0, 1, "b");
	up(&o, 0, "a", T0);
	up(&o, 2, "c", T0);
	expect(&o, T0, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(o.deadline, T0 + 30 * SNET_SEC);
	up(&o, 3, "d", now);
	expect(&o, now, SNET_ORDERING_SEND, 0);
	expect(&o, now, SNET_ORDERING_SEND, 2);
	w = expect(&o, now, SNET_ORDERING_SEND, 3);
	assert_int_equal(snet_ordering_input(&o, 2, w.p, w.n, now), SNET_OK);
	now += SNET_ORDERING_TIMEOUT;
	expect(&o, now - 1, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(o.deadline, now);
	expect(&o, now, SNET_ORDERING_REFUSE, 0);
	assert_int_equal(o.why.code, SNET_ETIMEOUT);
	assert_string_equal(o.why.text, "no digest from party 0, 3");
	snet_ordering_fini(&o);
}

static void the_wait_names_who_never_came(void **s)
{
	const snet_time now = T0 + 30 * SNET_SEC;
	struct snet_ordering o;

	(void)s;
	init(&o, 4, 2, 1, "b");
	up(&o, 2, "c", T0);
	client(&o, "x", T0);
	expect(&o, now - 1, SNET_ORDERING_NOTHING, ANY);
	expect(&o, now, SNET_ORDERING_REFUSE, 0);
	assert_int_equal(o.why.code, SNET_ETIMEOUT);
	assert_string_equal(o.why.text, "2 of 4 parties have come, without party 0, 3, "
					"1 of 2 clients have come");
	snet_ordering_fini(&o);
	init(&o, 3, ANY, ANY, "b");
	expect(&o, now, SNET_ORDERING_REFUSE, ANY);
	assert_string_equal(o.why.text, "1 of 3 parties have come");
	snet_ordering_fini(&o);
	init(&o, 20, 0, 19, "b");
	expect(&o, now, SNET_ORDERING_REFUSE, 0);
	assert_string_equal(o.why.text, "1 of 20 parties have come, without party "
					"0, 1, 2, 3, 4, 5, 6, 7 and 11 more");
	snet_ordering_fini(&o);
}

static void too_many_are_a_failure_once_they_stay(void **s)
{
	struct snet_ordering o;

	(void)s;
	init(&o, 1, 1, 0, "a");
	client(&o, "x", T0);
	client(&o, "y", T0);
	expect(&o, T0, SNET_ORDERING_NOTHING, ANY);
	assert_int_equal(o.deadline, T0 + SNET_ORDERING_SETTLE);
	expect(&o, o.deadline, SNET_ORDERING_REFUSE, ANY);
	assert_int_equal(o.why.code, SNET_EPROTO);
	assert_string_equal(o.why.text, "2 of 1 clients have come");
	snet_ordering_fini(&o);
}

static void a_failure_is_not_the_end(void **s)
{
	const snet_time now = T0 + SNET_ORDERING_SETTLE;
	struct snet_ordering o[2];

	(void)s;
	pair(o, 2, 1, (const char *const[]){ "x", "y" });
	carry(&o[0], 1, &o[1], 0, T0);
	carry(&o[1], 0, &o[0], 1, T0);
	expect(&o[0], now, SNET_ORDERING_REFUSE, 1);
	expect(&o[1], now, SNET_ORDERING_REFUSE, 0);
	client_gone(&o[0], "x", now);
	client(&o[0], "y", now);
	expect(&o[0], now, SNET_ORDERING_NOTHING, ANY);
	snet_ordering_retry(&o[0], now);
	snet_ordering_retry(&o[1], now);
	carry(&o[0], 1, &o[1], 0, now);
	carry(&o[1], 0, &o[0], 1, now);
	expect(&o[0], now, SNET_ORDERING_AGREE, ANY);
	expect(&o[1], now, SNET_ORDERING_AGREE, ANY);
	snet_ordering_retry(&o[0], now); /* means nothing now */
	assert_int_equal(o[0].state, SNET_ORDERING_AGREED);
	fini(o);
}

static void what_cannot_be_is_refused(void **s)
{
	const struct snet_ordering_opts bad[] = {
		{ .parties = ANY, .clients = ANY, .self = ANY },
		{ .parties = 0, .clients = 1, .self = ANY },
		{ .parties = SNET_ORDERING_KEYS + 1, .clients = 1, .self = ANY },
		{ .parties = 1, .clients = SNET_ORDERING_KEYS + 1, .self = ANY },
		{ .parties = 1, .clients = 1, .self = SNET_ORDERING_KEYS },
	};
	static const uint8_t zeroes[SNET_ORDERING_KEY_MAX + 1];
	struct snet_slice key = text("k"), huge = { zeroes, sizeof(zeroes), NULL };
	struct snet_ordering o;

	(void)s;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(snet_ordering_init(&o, &bad[i], &key, 0), SNET_EINVAL);
		snet_ordering_fini(&o);
	}
	assert_int_equal(
		snet_ordering_init(&o, &(struct snet_ordering_opts){ .parties = 1 }, &huge, 0),
		SNET_EINVAL);
	snet_ordering_fini(&o);
	init(&o, 3, ANY, 1, "own");
	assert_int_equal(up(&o, 1, "other", T0), SNET_EINVAL); /* that is us */
	assert_int_equal(up(&o, SNET_ORDERING_KEYS, "other", T0), SNET_EINVAL);
	assert_int_equal(up(&o, 0, "", T0), SNET_EINVAL);
	assert_int_equal(snet_ordering_party_up(&o, 0, &huge, false, T0), SNET_EINVAL);
	assert_int_equal(up(&o, 0, "own", T0), SNET_EDENIED);
	assert_int_equal(up(&o, 0, "other", T0), SNET_OK);
	assert_int_equal(up(&o, 2, "other", T0), SNET_EDENIED);
	assert_int_equal(snet_ordering_client_up(&o, &huge, T0), SNET_EINVAL);
	for (uint32_t i = 0; i <= SNET_ORDERING_KEYS; i++) {
		struct snet_slice k = { (const uint8_t *)&i, sizeof(i), NULL };

		assert_int_equal(snet_ordering_client_up(&o, &k, T0),
				 i < SNET_ORDERING_KEYS ? SNET_OK : SNET_ETOOBIG);
	}
	snet_ordering_fini(&o);
}

/* ---- the clients' side */

/* The frame of an agreed list of these parties. */
static struct snet_buf response(const char *const *keys, uint32_t n)
{
	struct snet_buf out = SNET_BUF(1 << 20);
	struct snet_ordering_want w = { SNET_ORDERING_SEND, 0, NULL, 0 };
	struct snet_ordering o;

	init(&o, n, 0, 0, keys[0]);
	assert_int_equal(snet_ordering_response(&o, &out), SNET_EAGAIN);
	for (uint32_t i = 1; i < n; i++)
		assert_int_equal(up(&o, i, keys[i], T0), SNET_OK);
	while (w.verb == SNET_ORDERING_SEND) {
		assert_int_equal(snet_ordering_next(&o, T0, &w), SNET_OK);
		if (w.verb == SNET_ORDERING_SEND)
			snet_ordering_input(&o, w.party, w.p, w.n, T0);
	}
	assert_int_equal(w.verb, SNET_ORDERING_AGREE);
	assert_int_equal(snet_ordering_response(&o, &out), SNET_OK);
	snet_ordering_fini(&o);
	return out;
}

static int add(struct snet_node_list *l, const char *key, const struct snet_buf *frame,
	       struct snet_error *err)
{
	uint8_t id[SNET_SHA256_BYTES];

	assert_int_equal(snet_sha256(id, key, strlen(key)), SNET_OK);
	return snet_node_list_add(l, id, key, frame->p, frame->n, err);
}

static void the_node_list_is_the_crates(void **s)
{
	json_t *v = vectors_load("wire-rust-vectors.json");
	const char *hex = vectors_text(v, "NodeListResponse([1,2,3],[4,5,6,7])");
	struct snet_buf got =
		response((const char *const[]){ "\x04\x05\x06\x07", "\x01\x02\x03" }, 2);
	size_t n;
	uint8_t *want = vectors_unhex(hex, &n);

	(void)s;
	assert_int_equal(got.n, n);
	assert_memory_equal(got.p, want, n);
	free(want);
	snet_buf_free(&got);
	json_decref(v);
}

static void a_client_believes_what_every_node_says(void **s)
{
	struct snet_buf two = response((const char *const[]){ "b", "a" }, 2),
			other = response((const char *const[]){ "b", "c" }, 2),
			app = SNET_BUF(100), longer = SNET_BUF(100);
	struct snet_node_list l = { 0 };
	struct snet_error err;

	(void)s;
	snet_buf_str(&app, "hello");
	assert_int_equal(add(&l, "a", &app, &err), SNET_EAGAIN);
	assert_int_equal(add(&l, "c", &two, &err), SNET_EPROTO);
	assert_string_equal(err.text, "c is not in the node list it sent");
	assert_null(l.frame);
	assert_int_equal(add(&l, "a", &two, &err), SNET_OK);
	assert_int_equal(add(&l, "a", &two, &err), SNET_OK); /* again: no other node */
	assert_int_equal(l.said, 1);
	assert_int_equal(add(&l, "b", &other, &err), SNET_EPROTO);
	assert_string_equal(err.text, "b has another node list than the others");
	snet_buf_add(&longer, two.p, two.n);
	snet_buf_u8(&longer, 0);
	assert_int_equal(add(&l, "b", &longer, &err), SNET_EAGAIN);
	assert_int_equal(l.said, 1);
	assert_int_equal(add(&l, "b", &two, &err), SNET_OK);
	assert_int_equal(l.said, l.n);
	assert_memory_equal(l.keys[0].p, "a", 1);
	assert_memory_equal(l.keys[1].p, "b", 1);
	snet_node_list_fini(&l);
	snet_buf_free(&two);
	snet_buf_free(&other);
	snet_buf_free(&app);
	snet_buf_free(&longer);
}

static void a_list_out_of_order_is_refused(void **s)
{
	const char *bad[] = {
		"0b0000000000000000000000",
		"0b00000002000000000000000100000000000000620100000000000000"
		"61",
		"0b00000002000000000000000100000000000000610100000000000000"
		"61",
		"0b00000002000000000000000000000000000000010000000000000061",
	};
	struct snet_node_list l = { 0 };
	struct snet_error err;

	(void)s;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct snet_buf b = { 0 };

		b.p = vectors_unhex(bad[i], &b.n);
		assert_int_equal(add(&l, "a", &b, &err), SNET_EPROTO);
		assert_null(l.frame);
		free(b.p);
	}
}

/* ---- allocation */

static int all_of_it(void *user)
{
	struct snet_ordering_opts opts = { .parties = 6, .clients = 5, .self = 5 };
	struct snet_slice own = text("own");
	struct snet_buf out = SNET_BUF(1 << 12);
	struct snet_ordering_want w = { 0 };
	struct snet_node_list l = { 0 };
	struct snet_ordering o;
	uint8_t id[SNET_SHA256_BYTES];
	int rc = snet_ordering_init(&o, &opts, &own, 0);

	(void)user;
	for (uint32_t i = 0; i < 5 && !rc; i++) {
		struct snet_slice k = { (const uint8_t *)"abcde" + i, 1, NULL };

		if (!(rc = snet_ordering_party_up(&o, i, &k, false, 0)))
			rc = snet_ordering_client_up(&o, &k, 0);
	}
	do {
		if (!rc && !(rc = snet_ordering_next(&o, 0, &w)) && w.p)
			rc = snet_ordering_input(&o, w.party, w.p, w.n, 0);
	} while (!rc && w.verb == SNET_ORDERING_SEND);
	if (!rc && !(rc = snet_ordering_response(&o, &out)) &&
	    !(rc = snet_sha256(id, "own", 3)))
		rc = snet_node_list_add(&l, id, "own", out.p, out.n, NULL);
	snet_node_list_fini(&l);
	snet_ordering_fini(&o);
	snet_buf_free(&out);
	return rc;
}

static void every_allocation_may_fail(void **s)
{
	(void)s;
	assert_true(torture(all_of_it, NULL) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_is_the_crates),
		cmocka_unit_test(two_agree_whatever_the_order_of_coming),
		cmocka_unit_test(one_count_is_enough),
		cmocka_unit_test(a_frame_that_is_no_digest_is_the_applications),
		cmocka_unit_test(hashes_of_another_length_are_no_digest),
		cmocka_unit_test(who_says_otherwise_after_the_agreement_is_noticed),
		cmocka_unit_test(who_comes_back_is_told_again),
		cmocka_unit_test(a_list_that_changes_makes_a_new_digest),
		cmocka_unit_test(a_difference_that_lasts_names_the_party_and_what_differs),
		cmocka_unit_test(the_timeout_names_who_is_silent),
		cmocka_unit_test(the_wait_names_who_never_came),
		cmocka_unit_test(too_many_are_a_failure_once_they_stay),
		cmocka_unit_test(a_failure_is_not_the_end),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(the_node_list_is_the_crates),
		cmocka_unit_test(a_client_believes_what_every_node_says),
		cmocka_unit_test(a_list_out_of_order_is_refused),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
