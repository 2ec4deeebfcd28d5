/* transport/txq: what a stream has to send, against an array of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/torture.h"
#include "transport/txq.h"

#define MODEL (8u << 20) /* bytes a life may add up to */
#define IOVECS 8

static uint32_t state = 7;

static uint32_t draw(uint32_t below)
{
	state = state * 1664525 + 1013904223; /* Numerical Recipes; the same every run */
	return (state >> 8) % below;
}

/* The byte at an offset of the stream: a prime keeps it from repeating with any block size. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset % 251);
}

static void fill(uint8_t *p, uint64_t offset, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(offset + i);
}

/* Everything unsent, in one piece, is what the stream has between sent and end. */
static void check_unsent(const struct snet_txq *q)
{
	struct iovec iov[4096];
	uint64_t at = q->sent;
	size_t k = snet_txq_unsent(q, iov, 4096, SIZE_MAX);

	assert_true(k < 4096);
	for (size_t i = 0; i < k; i++) {
		const uint8_t *p = iov[i].iov_base;

		assert_true(iov[i].iov_len);
		for (size_t b = 0; b < iov[i].iov_len; b++)
			if (p[b] != byte_at(at + b))
				fail_msg("offset %llu is wrong", (unsigned long long)(at + b));
		at += iov[i].iov_len;
	}
	assert_int_equal(at, q->end);
}

static int add_copy(struct snet_txq *q, size_t n)
{
	uint8_t *p = malloc(n ? n : 1);
	struct snet_slice s = { p, n, NULL };
	int rc;

	if (!p)
		return SNET_ENOMEM;
	fill(p, q->end, n);
	rc = snet_txq_add(q, &s, 1);
	memset(p, 0xee, n); /* what is copied does not care */
	free(p);
	return rc;
}

static void an_empty_queue_has_nothing_to_send(void **s)
{
	struct snet_txq q = { 0 };
	struct iovec iov;
	struct snet_slice none = { NULL, 0, NULL };

	(void)s;
	assert_int_equal(snet_txq_unsent(&q, &iov, 1, 1000), 0);
	assert_int_equal(snet_txq_add(&q, NULL, 0), SNET_OK);
	assert_int_equal(snet_txq_add(&q, &none, 1), SNET_OK);
	assert_int_equal(snet_txq_unsent(&q, &iov, 1, 1000), 0);
	snet_txq_acked(&q, 0);
	assert_int_equal(q.end, 0);
	snet_txq_fini(&q);
}

static void small_messages_lie_side_by_side(void **s)
{
	struct snet_txq q = { 0 };
	struct iovec iov[IOVECS];

	(void)s;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(add_copy(&q, 50), SNET_OK);
	assert_int_equal(snet_txq_unsent(&q, iov, IOVECS, 10000), 1);
	assert_int_equal(iov[0].iov_len, 500);
	check_unsent(&q);
	snet_txq_fini(&q);
}

static void no_more_is_offered_than_asked_for(void **s)
{
	struct snet_txq q = { 0 };
	struct iovec iov[IOVECS];
	size_t sum = 0, k;

	(void)s;
	assert_int_equal(add_copy(&q, 900), SNET_OK);
	assert_int_equal(add_copy(&q, 200000), SNET_OK);
	k = snet_txq_unsent(&q, iov, IOVECS, 70000);
	for (size_t i = 0; i < k; i++)
		sum += iov[i].iov_len;
	assert_int_equal(sum, 70000);
	assert_int_equal(snet_txq_unsent(&q, iov, 1, 70000), 1);
	assert_int_equal(snet_txq_unsent(&q, iov, IOVECS, 0), 0);
	snet_txq_fini(&q);
}

static void a_large_block_is_held_and_not_copied(void **s)
{
	struct snet_txq q = { 0 };
	struct snet_block *b = snet_block_new(100000);
	struct snet_slice v[2];
	struct iovec iov[IOVECS];

	(void)s;
	assert_non_null(b);
	fill(b->data, 0, 100000);
	v[0] = (struct snet_slice){ b->data, 60000, b };
	v[1] = (struct snet_slice){ b->data + 60000, 40000, b };
	assert_int_equal(snet_txq_add(&q, v, 2), SNET_OK);
	assert_int_equal(snet_txq_unsent(&q, iov, IOVECS, SIZE_MAX), 1); /* they join up */
	assert_ptr_equal(iov[0].iov_base, b->data);
	assert_int_equal(iov[0].iov_len, 100000);
	assert_int_equal(b->refs, 2);
	snet_txq_sent(&q, 100000);
	snet_txq_acked(&q, 99999);
	assert_int_equal(b->refs, 2);
	snet_txq_acked(&q, 100000);
	assert_int_equal(b->refs, 1); /* ours */
	snet_block_free(b);
	snet_txq_fini(&q);
}

static void a_small_slice_of_a_block_is_copied(void **s)
{
	struct snet_txq q = { 0 };
	struct snet_block *b = snet_block_new(1 << 20);
	struct snet_slice v = { b->data, 100, b };

	(void)s;
	fill(b->data, 0, 100);
	assert_int_equal(snet_txq_add(&q, &v, 1), SNET_OK);
	assert_int_equal(b->refs, 1); /* a hundred bytes do not keep a megabyte alive */
	snet_block_free(b);
	check_unsent(&q);
	snet_txq_fini(&q);
}

/* An idle connection has one of these per stream. */
static void an_idle_queue_keeps_no_block(void **s)
{
	static const size_t sizes[] = { 100, 300000, 1 };
	struct snet_txq q = { 0 };

	(void)s;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(add_copy(&q, sizes[i]), SNET_OK);
		check_unsent(&q);
		snet_txq_sent(&q, sizes[i]);
		snet_txq_acked(&q, q.end - 1);
		assert_true(q.count); /* not before the last byte */
		snet_txq_acked(&q, q.end);
		assert_int_equal(q.count, 0);
		assert_null(q.tail);
	}
	snet_txq_fini(&q);
}

/* A block that carries few bytes is a small one. */
static void a_small_message_takes_a_small_block(void **s)
{
	struct snet_txq q = { 0 };

	(void)s;
	assert_int_equal(add_copy(&q, 100), SNET_OK);
	assert_true(q.tail->cap <= 4096);
	snet_txq_fini(&q);
}

static void acks_may_come_twice_and_out_of_order(void **s)
{
	struct snet_txq q = { 0 };

	(void)s;
	assert_int_equal(add_copy(&q, 5000), SNET_OK);
	snet_txq_sent(&q, 4000);
	snet_txq_acked(&q, 3000);
	snet_txq_acked(&q, 1000);
	snet_txq_acked(&q, 3000);
	assert_int_equal(q.acked, 3000);
	check_unsent(&q);
	snet_txq_fini(&q);
}

/* ---- a random life */

static int add_some(struct snet_txq *q, struct snet_block **blocks, size_t n_blocks)
{
	struct snet_slice v[6];
	uint8_t *copies[6] = { NULL };
	size_t n = draw(6);
	uint64_t at = q->end;
	int rc;

	for (size_t i = 0; i < n; i++) {
		static const size_t sizes[] = { 1, 40, 1000, 4095, 4096, 20000, 70000 };
		size_t len = draw((uint32_t)sizes[draw(7)] + 1);
		struct snet_block *b = draw(2) ? blocks[draw((uint32_t)n_blocks)] : NULL;

		if (b && b->cap - b->n >= len) {
			fill(b->data + b->n, at, len);
			v[i] = (struct snet_slice){ b->data + b->n, len, b };
			b->n += len;
		} else {
			copies[i] = malloc(len ? len : 1);
			assert_non_null(copies[i]);
			fill(copies[i], at, len);
			v[i] = (struct snet_slice){ copies[i], len, NULL };
		}
		at += len;
	}
	rc = snet_txq_add(q, v, n);
	for (size_t i = 0; i < n; i++)
		free(copies[i]);
	if (!rc)
		assert_int_equal(q->end, at);
	return rc;
}

static void send_some(struct snet_txq *q)
{
	struct iovec iov[IOVECS];
	size_t max = 1 + draw(40000), sum = 0;
	size_t k = snet_txq_unsent(q, iov, 1 + draw(IOVECS), max);
	uint64_t at = q->sent;

	for (size_t i = 0; i < k; i++) {
		const uint8_t *p = iov[i].iov_base;

		for (size_t b = 0; b < iov[i].iov_len; b += 1 + iov[i].iov_len / 7)
			assert_int_equal(p[b], byte_at(at + b));
		assert_int_equal(p[iov[i].iov_len - 1], byte_at(at + iov[i].iov_len - 1));
		at += iov[i].iov_len;
		sum += iov[i].iov_len;
	}
	assert_true(sum <= max);
	assert_true(sum || q->sent == q->end);
	snet_txq_sent(q, sum ? draw((uint32_t)sum + 1) : 0); /* ngtcp2 may take less */
}

/* What was sent and not acknowledged must stay where it is: ngtcp2 points at it. */
struct seen {
	const uint8_t *p;
	uint64_t offset;
};

static void a_random_life_agrees_with_an_array(void **s)
{
	struct snet_block *blocks[4];
	struct seen pinned = { NULL, 0 };
	struct snet_txq q = { 0 };

	(void)s;
	for (size_t i = 0; i < 4; i++) {
		blocks[i] = snet_block_new(MODEL / 4);
		assert_non_null(blocks[i]);
	}
	for (unsigned step = 0; step < 6000 && q.end < MODEL; step++) {
		struct iovec iov;

		switch (draw(4)) {
		case 0:
			assert_int_equal(add_some(&q, blocks, 4), SNET_OK);
			break;
		case 1:
		case 2:
			if (!pinned.p && snet_txq_unsent(&q, &iov, 1, 1))
				pinned = (struct seen){ iov.iov_base, q.sent };
			send_some(&q);
			break;
		default:
			snet_txq_acked(&q, q.acked + draw((uint32_t)(q.sent - q.acked) + 1));
		}
		assert_true(q.acked <= q.sent && q.sent <= q.end);
		if (pinned.p && pinned.offset >= q.acked)
			assert_int_equal(*pinned.p, byte_at(pinned.offset));
		else
			pinned.p = NULL;
		if (step % 64 == 0)
			check_unsent(&q);
	}
	check_unsent(&q);
	snet_txq_fini(&q);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(blocks[i]->refs, 1);
		snet_block_free(blocks[i]);
	}
}

/* ---- memory */

static int a_life(void *user)
{
	struct snet_txq q = { 0 };
	struct snet_block *b = snet_block_new(10000);
	int rc = b ? SNET_OK : SNET_ENOMEM;

	(void)user;
	for (unsigned i = 0; i < 12 && !rc; i++) {
		uint64_t end = q.end;
		struct snet_slice v[3] = { { NULL, 0, NULL } };
		uint8_t small[300];

		fill(small, q.end, sizeof(small));
		if (i)
			snet_txq_acked(&q, q.sent); /* before its bytes are written anew */
		fill(b->data, q.end + 300, 10000);
		v[0] = (struct snet_slice){ small, 300, NULL };
		v[1] = (struct snet_slice){ b->data, 5000, b };
		v[2] = (struct snet_slice){ b->data + 5000, 5000, NULL };
		rc = snet_txq_add(&q, v, 3);
		if (rc) {
			/* Nothing of it is there. */
			if (q.end != end)
				rc = 1;
			check_unsent(&q);
			break;
		}
		check_unsent(&q);
		snet_txq_sent(&q, (size_t)(q.end - q.sent));
	}
	snet_txq_fini(&q);
	if (b && b->refs != 1)
		rc = 1;
	snet_block_free(b);
	return rc;
}

static void all_or_nothing_when_memory_runs_out(void **s)
{
	(void)s;
	torture(a_life, NULL);
}

/* One add that needs many allocations, each of which fails once. */
static int a_large_add(void *user)
{
	struct snet_txq q = { 0 };
	int rc = add_copy(&q, 700);
	uint64_t end = q.end;

	(void)user;
	if (!rc)
		rc = add_copy(&q, 400000);
	if (rc && q.end != end)
		rc = 1;
	check_unsent(&q);
	if (rc < 0 && end && !add_copy(&q, 100)) /* it works again, in the same place */
		check_unsent(&q);
	snet_txq_fini(&q);
	return rc;
}

static void a_failed_add_leaves_a_queue_that_works(void **s)
{
	(void)s;
	assert_true(torture(a_large_add, NULL) >= 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue_has_nothing_to_send),
		cmocka_unit_test(small_messages_lie_side_by_side),
		cmocka_unit_test(no_more_is_offered_than_asked_for),
		cmocka_unit_test(a_large_block_is_held_and_not_copied),
		cmocka_unit_test(a_small_slice_of_a_block_is_copied),
		cmocka_unit_test(an_idle_queue_keeps_no_block),
		cmocka_unit_test(a_small_message_takes_a_small_block),
		cmocka_unit_test(acks_may_come_twice_and_out_of_order),
		cmocka_unit_test(a_random_life_agrees_with_an_array),
		cmocka_unit_test(all_or_nothing_when_memory_runs_out),
		cmocka_unit_test(a_failed_add_leaves_a_queue_that_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
