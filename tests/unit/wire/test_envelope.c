#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/torture.h"
#include "support/vectors.h"
#include "wire/bincode.h"
#include "wire/envelope.h"
#include "wire/frame.h"

/* clang-format off */
#define TAG(name) .tag = SNET_ENVELOPE_##name
#define BYTES(...) { (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), NULL }
#define TEXT(s) { (const uint8_t *)(s), sizeof(s) - 1, NULL }
#define X8(v) v, v, v, v, v, v, v, v
#define X32(v) X8(v), X8(v), X8(v), X8(v)
#define KEYS(...) { .count = sizeof((struct snet_slice[]){ __VA_ARGS__ }) / sizeof(struct snet_slice), \
		    .items = (const struct snet_slice[]){ __VA_ARGS__ } }

/* Filled by setup: addresses are text until then. */
static struct snet_candidate candidates[4];

/* What each of the crate's vectors says. */
static struct want {
	const char *name;
	struct snet_envelope e;
	const char *address;
} wants[] = {
	{ "Handshake{id=42}", { TAG(HANDSHAKE), .handshake.id = 42 }, NULL },
	{ "Handshake{id=0}", { TAG(HANDSHAKE) }, NULL },
	{ "Handshake{id=usize::MAX}", { TAG(HANDSHAKE), .handshake.id = UINT64_MAX }, NULL },
	{ "OLD Handshake{role=\"CLIENT\",id=42}",
	  { TAG(HANDSHAKE), .handshake = { 42, true, TEXT("CLIENT") } }, NULL },
	{ "OLD Handshake{role=\"SERVER\",id=1}",
	  { TAG(HANDSHAKE), .handshake = { 1, true, TEXT("SERVER") } }, NULL },
	{ "HoneyBadger([1,2,3,4,5])", { TAG(HONEY_BADGER), .honey_badger = BYTES(1, 2, 3, 4, 5) }, NULL },
	{ "HoneyBadger([])", { TAG(HONEY_BADGER) }, NULL },
	{ "IceCandidates(empty,u,p)", { TAG(ICE_CANDIDATES), .ice = { TEXT("u"), TEXT("p"), { 0 } } }, NULL },
	{ "IceCandidates(1 host v4)",
	  { TAG(ICE_CANDIDATES), .ice = { TEXT("abcd"), TEXT("secret_password_long_enough"),
					  { 1, candidates, { 0 } } } }, NULL },
	{ "IceCandidates(host v4, srflx v4, host v6, prflx v6)",
	  { TAG(ICE_CANDIDATES), .ice = { TEXT("aB3/"), TEXT("abcdefghijklmnopqrstuv"),
					  { 4, candidates, { 0 } } } }, NULL },
	{ "PunchRequest v4",
	  { TAG(PUNCH_REQUEST), .punch_request = { 12345, { .sa = { 0 } }, 50 } }, "192.168.1.100:9000" },
	{ "PunchRequest v6",
	  { TAG(PUNCH_REQUEST), .punch_request = { 12345, { .sa = { 0 } }, 100 } }, "[2001:db8::1]:9000" },
	{ "PunchAck", { TAG(PUNCH_ACK), .punch_ack = { 99999, 1700000000000 } }, NULL },
	{ "ConnectivityCheck",
	  { TAG(CONNECTIVITY_CHECK), .check = { 777, true, false, TEXT("testufrag") } }, NULL },
	{ "RelayRequest", { TAG(RELAY_REQUEST), .relay_request = 3 }, NULL },
	{ "RelayOffer",
	  { TAG(RELAY_OFFER), .relay_offer = { .token = BYTES(0xde, 0xad, 0xbe, 0xef), .party = 7 } },
	  "192.168.1.100:8080" },
	{ "RelayedData", { TAG(RELAYED_DATA), .relayed = { 1, 2, BYTES(10, 20, 30, 40, 50) } }, NULL },
	{ "Heartbeat", { TAG(HEARTBEAT), .heartbeat_ms = 1700000000000 }, NULL },
	{ "NodeListRequest", { TAG(NODE_LIST_REQUEST) }, NULL },
	{ "NodeListResponse([1,2,3],[4,5,6,7])",
	  { TAG(NODE_LIST_RESPONSE), .keys = KEYS(BYTES(1, 2, 3), BYTES(4, 5, 6, 7)) }, NULL },
	{ "NodeListResponse([])", { TAG(NODE_LIST_RESPONSE) }, NULL },
	{ "ClientListDigest(AB*32,5,CD*32,3)",
	  { TAG(CLIENT_LIST_DIGEST), .digest = { BYTES(X32(0xab)), 5, BYTES(X32(0xcd)), 3 } }, NULL },
	{ "ClientListFull([10,20],[30,40,50])",
	  { TAG(CLIENT_LIST_FULL), .keys = KEYS(BYTES(10, 20), BYTES(30, 40, 50)) }, NULL },
};
/* clang-format on */

#define WANTS (sizeof(wants) / sizeof(wants[0]))

static json_t *vectors;

static int setup(void **state)
{
	static const char *const names[] = { "cand host v4", "cand srflx v4", "cand host v6",
					     "cand prflx v6" };

	(void)state;
	vectors = vectors_load("wire-rust-vectors.json");
	for (size_t i = 0; i < 4; i++) {
		size_t n;
		uint8_t *in = vectors_unhex(vectors_text(vectors, names[i]), &n);

		assert_int_equal(snet_candidate_decode(&candidates[i], in, n), SNET_OK);
		free(in);
	}
	for (size_t i = 0; i < WANTS; i++) {
		struct snet_envelope *e = &wants[i].e;

		if (wants[i].address)
			assert_int_equal(snet_addr_parse(e->tag == SNET_ENVELOPE_RELAY_OFFER
								 ? &e->relay_offer.relay
								 : &e->punch_request.target,
							 wants[i].address),
					 SNET_OK);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(vectors);
	return 0;
}

static uint8_t *input(const char *name, size_t *n)
{
	return vectors_unhex(vectors_text(vectors, name), n);
}

/* ---- comparing */

static void same_bytes(const struct snet_slice *a, const struct snet_slice *b)
{
	assert_int_equal(a->n, b->n);
	assert_null(a->block);
	if (a->n)
		assert_memory_equal(a->p, b->p, a->n);
}

static void same_candidates(const struct snet_envelope_list *got,
			    const struct snet_envelope_list *want)
{
	const struct snet_candidate *w = want->items;
	struct snet_reader at = snet_envelope_begin(got);
	struct snet_candidate c;
	size_t i = 0;

	assert_int_equal(got->count, want->count);
	for (; snet_envelope_next_candidate(&at, &c); i++) {
		assert_string_equal(c.foundation, w[i].foundation);
		assert_int_equal(c.component, w[i].component);
		assert_int_equal(c.priority, w[i].priority);
		assert_int_equal(c.type, w[i].type);
		assert_true(snet_addr_eq(&c.address, &w[i].address));
		assert_true(snet_addr_eq(&c.related, &w[i].related));
		assert_true(snet_addr_eq(&c.server, &w[i].server));
	}
	assert_int_equal(i, want->count);
}

static void same_keys(const struct snet_envelope_list *got,
		      const struct snet_envelope_list *want)
{
	const struct snet_slice *w = want->items;
	struct snet_reader at = snet_envelope_begin(got);
	struct snet_slice key;
	size_t i = 0;

	assert_int_equal(got->count, want->count);
	for (; snet_envelope_next_key(&at, &key); i++)
		same_bytes(&key, &w[i]);
	assert_int_equal(i, want->count);
}

static void same(const struct snet_envelope *got, const struct snet_envelope *want)
{
	assert_int_equal(got->tag, want->tag);
	switch (got->tag) {
	case SNET_ENVELOPE_HANDSHAKE:
		assert_true(got->handshake.id == want->handshake.id);
		assert_int_equal(got->handshake.old, want->handshake.old);
		same_bytes(&got->handshake.role, &want->handshake.role);
		break;
	case SNET_ENVELOPE_HONEY_BADGER:
		same_bytes(&got->honey_badger, &want->honey_badger);
		break;
	case SNET_ENVELOPE_ICE_CANDIDATES:
		same_bytes(&got->ice.ufrag, &want->ice.ufrag);
		same_bytes(&got->ice.pwd, &want->ice.pwd);
		same_candidates(&got->ice.candidates, &want->ice.candidates);
		break;
	case SNET_ENVELOPE_PUNCH_REQUEST:
		assert_true(got->punch_request.transaction == want->punch_request.transaction);
		assert_true(
			snet_addr_eq(&got->punch_request.target, &want->punch_request.target));
		assert_true(got->punch_request.delay_ms == want->punch_request.delay_ms);
		break;
	case SNET_ENVELOPE_PUNCH_ACK:
		assert_true(got->punch_ack.transaction == want->punch_ack.transaction);
		assert_true(got->punch_ack.timestamp_ms == want->punch_ack.timestamp_ms);
		break;
	case SNET_ENVELOPE_CONNECTIVITY_CHECK:
		assert_true(got->check.transaction == want->check.transaction);
		assert_int_equal(got->check.is_response, want->check.is_response);
		assert_int_equal(got->check.use_candidate, want->check.use_candidate);
		same_bytes(&got->check.ufrag, &want->check.ufrag);
		break;
	case SNET_ENVELOPE_RELAY_REQUEST:
		assert_true(got->relay_request == want->relay_request);
		break;
	case SNET_ENVELOPE_RELAY_OFFER:
		assert_true(snet_addr_eq(&got->relay_offer.relay, &want->relay_offer.relay));
		same_bytes(&got->relay_offer.token, &want->relay_offer.token);
		assert_true(got->relay_offer.party == want->relay_offer.party);
		break;
	case SNET_ENVELOPE_RELAYED_DATA:
		assert_true(got->relayed.target == want->relayed.target);
		assert_true(got->relayed.source == want->relayed.source);
		same_bytes(&got->relayed.payload, &want->relayed.payload);
		break;
	case SNET_ENVELOPE_HEARTBEAT:
		assert_true(got->heartbeat_ms == want->heartbeat_ms);
		break;
	case SNET_ENVELOPE_NODE_LIST_RESPONSE:
	case SNET_ENVELOPE_CLIENT_LIST_FULL:
		same_keys(&got->keys, &want->keys);
		break;
	case SNET_ENVELOPE_CLIENT_LIST_DIGEST:
		same_bytes(&got->digest.digest, &want->digest.digest);
		assert_true(got->digest.count == want->digest.count);
		same_bytes(&got->digest.node_digest, &want->digest.node_digest);
		assert_true(got->digest.node_count == want->digest.node_count);
		break;
	case SNET_ENVELOPE_NODE_LIST_REQUEST:
	case SNET_ENVELOPE_TAGS:
		break;
	}
}

static void encodes_to(const struct snet_envelope *e, const uint8_t *p, size_t n)
{
	struct snet_buf out = SNET_BUF(n);

	assert_int_equal(snet_envelope_encode(e, &out), SNET_OK);
	assert_int_equal(out.n, n);
	assert_memory_equal(out.p, p, n);
	snet_buf_free(&out);
}

/* ---- the crate's vectors */

static void every_vector_has_a_test(void **state)
{
	bool has_tag[SNET_ENVELOPE_TAGS] = { false };
	const char *name;
	json_t *hex;

	(void)state;
	json_object_foreach(vectors, name, hex) {
		bool known = !strncmp(name, "cand ", 5) || !strncmp(name, "FRAME ", 6) ||
			     !strncmp(name, "STREAM ", 7);

		for (size_t i = 0; i < WANTS; i++)
			known = known || !strcmp(name, wants[i].name);
		if (!known)
			fail_msg("no test holds the vector \"%s\"", name);
	}
	for (size_t i = 0; i < WANTS; i++)
		has_tag[wants[i].e.tag] = true;
	for (size_t i = 0; i < SNET_ENVELOPE_TAGS; i++)
		assert_true(has_tag[i]);
}

static void vectors_are_read_and_written_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < WANTS; i++) {
		struct snet_envelope e;
		size_t n;
		uint8_t *in = input(wants[i].name, &n);

		print_message("# %s\n", wants[i].name);
		assert_int_equal(snet_envelope_decode(&e, in, n), SNET_OK);
		assert_false(e.trailing);
		same(&e, &wants[i].e);
		encodes_to(&e, in, n);
		encodes_to(&wants[i].e, in, n);
		free(in);
	}
}

/* What is sent for NAT traversal, at its edges, of which the crate's vectors show the middle;
 * the sizes are those of its types. */
static void envelopes_of_nat_traversal_have_the_sizes_of_their_fields(void **state)
{
	/* clang-format off */
	struct {
		struct snet_envelope e;
		const char *address;
		size_t n;
		const char *hex; /* or NULL */
	} cases[] = {
		{ { TAG(PUNCH_REQUEST), .punch_request = { UINT64_MAX, { .sa = { 0 } }, UINT64_MAX } },
		  "255.255.255.255:65535", 30, "03000000" "ffffffffffffffff" "00000000" "ffffffff" "ffff" "ffffffffffffffff" },
		{ { TAG(PUNCH_REQUEST) }, "[::1]:1", 42, NULL },
		{ { TAG(PUNCH_ACK) }, NULL, 20, "04000000" "0000000000000000" "0000000000000000" },
		{ { TAG(PUNCH_ACK), .punch_ack = { UINT64_MAX, 1 } }, NULL, 20, NULL },
		{ { TAG(CONNECTIVITY_CHECK) }, NULL, 22, "05000000" "0000000000000000" "00" "00" "0000000000000000" },
		{ { TAG(CONNECTIVITY_CHECK), .check = { 1, false, true, TEXT("a") } }, NULL, 23,
		  "05000000" "0100000000000000" "00" "01" "0100000000000000" "61" },
		{ { TAG(CONNECTIVITY_CHECK), .check = { 1, true, true, TEXT("\xc3\xa4") } }, NULL, 24, NULL },
		{ { TAG(RELAY_REQUEST), .relay_request = UINT64_MAX }, NULL, 12, "06000000" "ffffffffffffffff" },
		{ { TAG(RELAY_OFFER) }, "127.0.0.1:3478", 30,
		  "07000000" "00000000" "7f000001" "960d" "0000000000000000" "0000000000000000" },
		{ { TAG(RELAY_OFFER), .relay_offer = { .token = BYTES(X32(7)), .party = 1 } }, "[2001:db8::1]:3478", 74, NULL },
		{ { TAG(RELAYED_DATA) }, NULL, 28, NULL },
		{ { TAG(RELAYED_DATA), .relayed = { UINT64_MAX, 0, BYTES(0) } }, NULL, 29,
		  "08000000" "ffffffffffffffff" "0000000000000000" "0100000000000000" "00" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_envelope *e = &cases[i].e, got;
		struct snet_buf out = SNET_BUF(cases[i].n);

		if (cases[i].address)
			assert_int_equal(snet_addr_parse(e->tag == SNET_ENVELOPE_RELAY_OFFER
								 ? &e->relay_offer.relay
								 : &e->punch_request.target,
							 cases[i].address),
					 SNET_OK);
		assert_int_equal(snet_envelope_encode(e, &out), SNET_OK);
		assert_int_equal(out.n, cases[i].n);
		if (cases[i].hex) {
			size_t n;
			uint8_t *want = vectors_unhex(cases[i].hex, &n);

			assert_int_equal(n, out.n);
			assert_memory_equal(want, out.p, n);
			free(want);
		}
		assert_int_equal(snet_envelope_decode(&got, out.p, out.n), SNET_OK);
		assert_false(got.trailing);
		same(&got, e);
		snet_buf_free(&out);
	}
}

static void framed_vectors_are_framed(void **state)
{
	/* clang-format off */
	static const struct { const char *name; size_t skip; const char *body; size_t n; } frames[] = {
		{ "FRAME empty", 0, "", 0 },
		{ "FRAME hello", 0, "hello", 5 },
		{ "STREAM initiator first bytes: sync + frame(Hello, server!)", 1, "Hello, server!", 14 },
		{ "FRAME NodeListRequest", 0, "\x0a\0\0\0", 4 },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct snet_frame f;
		const uint8_t *at, *body;
		size_t n, len;
		uint8_t *in = input(frames[i].name, &n);

		if (frames[i].skip)
			assert_int_equal(in[0], 0xff);
		at = in + frames[i].skip;
		n -= frames[i].skip;
		snet_frame_init(&f, SNET_FRAME_MAX);
		assert_int_equal(snet_frame_next(&f, &at, &n, &body, &len), 1);
		assert_int_equal(len, frames[i].n);
		assert_memory_equal(body, frames[i].body, len);
		assert_int_equal(n, 0);
		snet_frame_fini(&f);
		free(in);
	}
}

/* ---- not envelopes */

/* In a block of exactly n bytes, so that a read past the end is seen. */
static int decode_exact(struct snet_envelope *e, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, p, n);
	rc = snet_envelope_decode(e, copy, n);
	if (rc)
		assert_int_equal(e->tag, 0);
	free(copy);
	return rc;
}

static void every_truncated_vector_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < WANTS; i++) {
		struct snet_envelope e;
		size_t n;
		uint8_t *in = input(wants[i].name, &n);

		print_message("# %s\n", wants[i].name);
		for (size_t k = 0; k < n; k++) {
			int rc = decode_exact(&e, in, k);

			/* The first twelve bytes of the old handshake are the new
			 * one, with the length of the role as id: only the frame's
			 * length can tell them apart. */
			if (wants[i].e.tag == SNET_ENVELOPE_HANDSHAKE &&
			    wants[i].e.handshake.old && k == 12)
				assert_int_equal(e.handshake.id, 6);
			else
				assert_int_equal(rc, SNET_EPROTO);
		}
		free(in);
	}
}

static void bytes_after_the_value_are_flagged_and_break_a_handshake(void **state)
{
	(void)state;
	for (size_t i = 0; i < WANTS; i++) {
		struct snet_envelope e;
		size_t n;
		uint8_t *in = input(wants[i].name, &n);

		in = realloc(in, n + 1);
		assert_non_null(in);
		in[n] = 0;
		if (wants[i].e.tag == SNET_ENVELOPE_HANDSHAKE) {
			assert_int_equal(snet_envelope_decode(&e, in, n + 1), SNET_EPROTO);
		} else {
			assert_int_equal(snet_envelope_decode(&e, in, n + 1), SNET_OK);
			assert_true(e.trailing);
			same(&e, &wants[i].e);
			encodes_to(&e, in, n);
		}
		free(in);
	}
}

/* Whatever decode takes is what encode writes: there is one form of each value. */
static void a_changed_byte_is_refused_or_read_as_it_is(void **state)
{
	static const uint8_t values[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff };
	size_t taken = 0, refused = 0;

	(void)state;
	for (size_t i = 0; i < WANTS; i++) {
		size_t n;
		uint8_t *in = input(wants[i].name, &n);

		for (size_t k = 0; k < n * sizeof(values); k++) {
			uint8_t was = in[k / sizeof(values)];
			struct snet_buf out = SNET_BUF(n);
			struct snet_envelope e;

			in[k / sizeof(values)] = values[k % sizeof(values)];
			if (snet_envelope_decode(&e, in, n)) {
				refused++;
			} else {
				taken++;
				assert_int_equal(snet_envelope_encode(&e, &out), SNET_OK);
				assert_int_equal(out.n < n, e.trailing);
				assert_memory_equal(out.p, in, out.n);
			}
			snet_buf_free(&out);
			in[k / sizeof(values)] = was;
		}
		free(in);
	}
	assert_true(taken > 1000 && refused > 1000);
}

/* clang-format off */
static const struct {
	const char *name, *hex;
} odd[] = {
	{ "nothing",                      "" },
	{ "tag 14",                       "0e000000" },
	{ "tag 2^32-1",                   "ffffffffffffffffffffffff" },
	{ "a big-endian tag",             "0000000a" },
	{ "handshake of 11 bytes",        "0000000000000000000000" },
	{ "handshake of 13 bytes",        "000000000000000000000000ff" },
	{ "old, 1 byte too many",         "00000000" "0600000000000000" "434c49454e54" "2a00000000000000" "00" },
	{ "old, role not UTF-8",          "00000000" "0600000000000000" "ff4c49454e54" "2a00000000000000" },
	{ "bytes, length 2^64-1",         "01000000" "ffffffffffffffff" "00" },
	{ "bytes, one short",             "01000000" "0200000000000000" "00" },
	{ "ufrag not UTF-8",              "02000000" "0100000000000000" "ff" "0100000000000000" "70" "0000000000000000" },
	{ "candidates, count 2^64-1",     "02000000" "0000000000000000" "0000000000000000" "ffffffffffffffff" },
	{ "candidates, count 1 of none",  "02000000" "0000000000000000" "0000000000000000" "0100000000000000" },
	{ "punch to address family 2",    "03000000" "0000000000000000" "02000000" "00000000" "0000" "0000000000000000" },
	{ "check with bool 2",            "05000000" "0000000000000000" "02" "00" "0000000000000000" },
	{ "check with bool 255",          "05000000" "0000000000000000" "00" "ff" "0000000000000000" },
	{ "relay at address family 2",    "07000000" "02000000" "00000000" "0000" "0000000000000000" "0000000000000000" },
	{ "relay at half an IPv6 address", "07000000" "01000000" "20010db800000000" },
	{ "candidate with a type 4",      "02000000" "0000000000000000" "0000000000000000" "0100000000000000"
	  "0000000000000000" "01000000" "00000000" "01000000" "00000000" "7f000001" "0900" "04000000" "00" "00" },
	{ "candidate over protocol 1",    "02000000" "0000000000000000" "0000000000000000" "0100000000000000"
	  "0000000000000000" "01000000" "01000000" "01000000" "00000000" "7f000001" "0900" "00000000" "00" "00" },
	{ "candidate with an option 2",   "02000000" "0000000000000000" "0000000000000000" "0100000000000000"
	  "0000000000000000" "01000000" "00000000" "01000000" "00000000" "7f000001" "0900" "00000000" "02" "00" },
	{ "token longer than the rest",   "07000000" "00000000" "7f000001" "0000" "0900000000000000" "0700000000000000" },
	{ "payload longer than the rest", "08000000" "0000000000000000" "0000000000000000" "0100000000000000" },
	{ "keys, count 2^61",             "0b000000" "0000000000000020" "0000000000000000" },
	{ "keys, count 2^64-1",           "0d000000" "ffffffffffffffff" "0000000000000000" },
	{ "keys, one of two",             "0b000000" "0200000000000000" "0100000000000000" "aa" },
	{ "keys, the second too long",    "0b000000" "0200000000000000" "0000000000000000" "0100000000000000" },
	{ "digest of 2^63 bytes",         "0c000000" "0000000000000080" },
	{ "digest without counts",        "0c000000" "0000000000000000" },
};
/* clang-format on */

static void odd_and_lying_inputs_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct snet_envelope e;
		size_t n;
		uint8_t *in = vectors_unhex(odd[i].hex, &n);

		print_message("# %s\n", odd[i].name);
		assert_int_equal(snet_envelope_decode(&e, in, n), SNET_EPROTO);
		free(in);
	}
}

static void the_role_of_an_old_handshake_has_at_most_64_bytes(void **state)
{
	char role[SNET_ENVELOPE_ROLE_MAX + 1];
	struct snet_envelope e = { TAG(HANDSHAKE),
				   .handshake = { 1, true, { (uint8_t *)role, 64, NULL } } };
	struct snet_buf out = SNET_BUF(100);

	(void)state;
	memset(role, 'r', sizeof(role));
	assert_int_equal(snet_envelope_encode(&e, &out), SNET_OK);
	assert_int_equal(snet_envelope_decode(&e, out.p, out.n), SNET_OK);
	assert_int_equal(e.handshake.role.n, 64);
	out.n = 0;
	e.handshake.role = (struct snet_slice){ (uint8_t *)role, 65, NULL };
	assert_int_equal(snet_envelope_encode(&e, &out), SNET_EINVAL);
	out.n = 0;
	snet_buf_le32(&out, SNET_ENVELOPE_HANDSHAKE);
	snet_bincode_put_str(&out, role, 65);
	snet_buf_le64(&out, 1);
	assert_int_equal(snet_envelope_decode(&e, out.p, out.n), SNET_EPROTO);
	snet_buf_free(&out);
}

/* ---- writing */

static void what_the_wire_cannot_carry_is_not_written(void **state)
{
	static const struct snet_candidate nowhere = { .foundation = "f" };
	/* clang-format off */
	const struct snet_envelope bad[] = {
		{ .tag = SNET_ENVELOPE_TAGS },
		{ .tag = (enum snet_envelope_tag)99 },
		{ TAG(HANDSHAKE), .handshake = { 1, true, TEXT("\xff") } },
		{ TAG(ICE_CANDIDATES), .ice.pwd = TEXT("\xc3") },
		{ TAG(ICE_CANDIDATES), .ice.candidates = { 1, &nowhere, { 0 } } },
		{ TAG(ICE_CANDIDATES), .ice.candidates = { 1, NULL, TEXT("too short a run for a candidate") } },
		{ TAG(PUNCH_REQUEST), .punch_request.delay_ms = 1 },
		{ TAG(CONNECTIVITY_CHECK), .check.ufrag = TEXT("a\x80") },
		{ TAG(RELAY_OFFER), .relay_offer.party = 1 },
		{ TAG(NODE_LIST_RESPONSE), .keys = { 1, NULL, { 0 } } },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct snet_buf out = SNET_BUF(1000);

		snet_buf_str(&out, "before");
		assert_int_equal(snet_envelope_encode(&bad[i], &out), SNET_EINVAL);
		assert_true(out.bad);
		assert_int_equal(out.n, 6);
		snet_buf_free(&out);
	}
}

static void writing_stops_at_the_ceiling(void **state)
{
	(void)state;
	for (size_t i = 0; i < WANTS; i++) {
		size_t n;

		free(input(wants[i].name, &n));
		for (size_t max = 0; max < n; max++) {
			struct snet_buf out = SNET_BUF(max);

			assert_int_equal(snet_envelope_encode(&wants[i].e, &out), SNET_ETOOBIG);
			assert_int_equal(out.n, 0);
			snet_buf_free(&out);
		}
	}
}

static int encode_all(void *user)
{
	int rc = SNET_OK;

	(void)user;
	for (size_t i = 0; !rc && i < WANTS; i++) {
		struct snet_buf out = SNET_BUF(1000);

		rc = snet_envelope_encode(&wants[i].e, &out);
		assert_true(!rc || (rc == SNET_ENOMEM && !out.n && out.bad));
		snet_buf_free(&out);
	}
	return rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	assert_true(torture(encode_all, NULL) >= (int)WANTS);
}

static void every_tag_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(snet_envelope_name(SNET_ENVELOPE_HANDSHAKE), "handshake");
	assert_string_equal(snet_envelope_name(SNET_ENVELOPE_CLIENT_LIST_FULL),
			    "client-list-full");
	assert_int_equal(SNET_ENVELOPE_CLIENT_LIST_FULL, 13);
	for (unsigned i = 0; i < SNET_ENVELOPE_TAGS; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(snet_envelope_name(i), snet_envelope_name(k));
	assert_string_equal(snet_envelope_name(SNET_ENVELOPE_TAGS), "?");
	assert_string_equal(snet_envelope_name(UINT32_MAX), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_has_a_test),
		cmocka_unit_test(vectors_are_read_and_written_back),
		cmocka_unit_test(envelopes_of_nat_traversal_have_the_sizes_of_their_fields),
		cmocka_unit_test(framed_vectors_are_framed),
		cmocka_unit_test(every_truncated_vector_is_refused),
		cmocka_unit_test(bytes_after_the_value_are_flagged_and_break_a_handshake),
		cmocka_unit_test(a_changed_byte_is_refused_or_read_as_it_is),
		cmocka_unit_test(odd_and_lying_inputs_are_refused),
		cmocka_unit_test(the_role_of_an_old_handshake_has_at_most_64_bytes),
		cmocka_unit_test(what_the_wire_cannot_carry_is_not_written),
		cmocka_unit_test(writing_stops_at_the_ceiling),
		cmocka_unit_test(any_allocation_may_fail),
		cmocka_unit_test(every_tag_has_a_name),
	};

	return cmocka_run_group_tests_name("wire/envelope", tests, setup, teardown);
}
