#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "support/torture.h"
#include "wire/frame.h"

#define BODIES 6

/* Empty bodies first, last and twice in a row; one of a byte; one longer than the rest. */
static const uint32_t lengths[BODIES] = { 0, 1, 0, 0, 37, 0 };

#define STREAM (BODIES * SNET_FRAME_HEAD + 38)

static uint8_t byte_at(uint32_t body, size_t i)
{
	return (uint8_t)(body * 101 + i * 7 + 3);
}

/* Writes the bodies of these lengths, framed; returns the bytes. */
static size_t write_stream(uint8_t *out, const uint32_t *len, uint32_t n)
{
	uint8_t *p = out;

	for (uint32_t b = 0; b < n; b++) {
		snet_frame_head(p, len[b]);
		p += SNET_FRAME_HEAD;
		for (uint32_t i = 0; i < len[b]; i++)
			*p++ = byte_at(b, i);
	}
	return (size_t)(p - out);
}

/* Offers n bytes as one piece, in a block of exactly that size, and
 * checks every body that comes out. */
static int feed(struct snet_frame *f, const uint8_t *p, size_t n, const uint32_t *len,
		uint32_t *seen)
{
	uint8_t *piece = malloc(n ? n : 1);
	const uint8_t *at = piece, *body;
	size_t left = n, k;
	int rc;

	assert_non_null(piece);
	memcpy(piece, p, n);
	while ((rc = snet_frame_next(f, &at, &left, &body, &k)) == 1) {
		assert_int_equal(k, len[*seen]);
		for (size_t i = 0; i < k; i++)
			assert_int_equal(body[i], byte_at(*seen, i));
		++*seen;
	}
	if (!rc)
		assert_int_equal(left, 0);
	assert_ptr_equal(at + left, piece + n);
	free(piece);
	return rc;
}

static void the_header_is_the_length_in_network_order(void **state)
{
	uint8_t head[SNET_FRAME_HEAD];

	(void)state;
	snet_frame_head(head, 0x01020304);
	assert_memory_equal(head, "\1\2\3\4", 4);
}

static void bodies_come_out_whole_a_byte_at_a_time(void **state)
{
	uint8_t stream[STREAM];
	struct snet_frame f;
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(write_stream(stream, lengths, BODIES), STREAM);
	snet_frame_init(&f, 37);
	for (size_t i = 0; i < STREAM; i++)
		assert_int_equal(feed(&f, stream + i, 1, lengths, &seen), 0);
	assert_int_equal(seen, BODIES);
	assert_true(snet_frame_is_between(&f));
	snet_frame_fini(&f);
}

static void bodies_come_out_whole_however_the_stream_is_cut(void **state)
{
	uint8_t stream[STREAM];
	struct snet_frame f;

	(void)state;
	write_stream(stream, lengths, BODIES);
	for (size_t i = 0; i <= STREAM; i++)
		for (size_t k = i; k <= STREAM; k++) {
			uint32_t seen = 0;

			snet_frame_init(&f, 37);
			assert_int_equal(feed(&f, stream, i, lengths, &seen), 0);
			assert_int_equal(feed(&f, stream + i, k - i, lengths, &seen), 0);
			assert_int_equal(feed(&f, stream + k, STREAM - k, lengths, &seen), 0);
			assert_int_equal(seen, BODIES);
			assert_true(snet_frame_is_between(&f));
			snet_frame_fini(&f);
		}
}

/* Through the growing buffer and the giving back of a large one. */
static void large_and_small_bodies_follow_each_other(void **state)
{
	static const uint32_t len[BODIES] = { 3000000, 10, 70000, 0, 2097153, 1 };
	uint64_t seed = 3;
	uint8_t *stream;
	struct snet_frame f;
	uint32_t seen = 0;
	size_t n = 0, k;

	(void)state;
	for (size_t i = 0; i < BODIES; i++)
		n += SNET_FRAME_HEAD + len[i];
	stream = malloc(n);
	assert_non_null(stream);
	write_stream(stream, len, BODIES);
	snet_frame_init(&f, 3000000);
	for (size_t at = 0; at < n; at += k) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		k = (size_t)(seed >> 40) % 50000;
		if (k > n - at)
			k = n - at;
		assert_int_equal(feed(&f, stream + at, k, len, &seen), 0);
	}
	assert_int_equal(seen, BODIES);
	assert_true(f.body.cap > 70000);
	snet_frame_trim(&f); /* one great body does not cost its memory for ever */
	assert_null(f.body.p);
	snet_frame_fini(&f);
	free(stream);
}

static void a_whole_body_is_not_copied(void **state)
{
	const uint8_t stream[] = { 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0 }, *at = stream, *body;
	size_t n = sizeof(stream), len;
	struct snet_frame f;

	(void)state;
	snet_frame_init(&f, 2);
	assert_int_equal(snet_frame_next(&f, &at, &n, &body, &len), 1);
	assert_ptr_equal(body, stream + 4);
	assert_int_equal(len, 2);
	assert_int_equal(snet_frame_next(&f, &at, &n, &body, &len), 1);
	assert_int_equal(len, 0);
	assert_int_equal(snet_frame_next(&f, &at, &n, &body, &len), 0);
	assert_null(f.body.p);
	snet_frame_fini(&f);
}

static void the_ceiling_is_inclusive(void **state)
{
	static const uint32_t max[] = { 0, 1, 100, 70000 };

	(void)state;
	for (size_t i = 0; i < sizeof(max) / sizeof(max[0]); i++) {
		uint8_t *stream = malloc(SNET_FRAME_HEAD + max[i] + 1);
		struct snet_frame f;
		uint32_t seen = 0;
		size_t n;

		assert_non_null(stream);
		n = write_stream(stream, &max[i], 1);
		snet_frame_init(&f, max[i]);
		assert_int_equal(feed(&f, stream, n / 2, &max[i], &seen), 0);
		assert_int_equal(feed(&f, stream + n / 2, n - n / 2, &max[i], &seen), 0);
		assert_int_equal(seen, 1);
		snet_frame_head(stream, max[i] + 1);
		assert_int_equal(feed(&f, stream, n, &max[i], &seen), SNET_ETOOBIG);
		assert_int_equal(seen, 1);
		snet_frame_fini(&f);
		free(stream);
	}
}

static void a_refused_header_allocates_nothing_and_stays_refused(void **state)
{
	static const uint32_t lies[] = { SNET_FRAME_MAX + 1, 0x7fffffff, 0x80000000, 0xff000000,
					 UINT32_MAX };
	static const uint8_t noise[64];

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t head[SNET_FRAME_HEAD];
		struct snet_frame f;
		uint32_t seen = 0;

		snet_frame_head(head, lies[i]);
		snet_frame_init(&f, SNET_FRAME_MAX);
		assert_int_equal(feed(&f, head, 3, NULL, &seen), 0);
		assert_int_equal(feed(&f, head + 3, 1, NULL, &seen), SNET_ETOOBIG);
		assert_null(f.body.p);
		assert_false(snet_frame_is_between(&f));
		assert_int_equal(feed(&f, noise, sizeof(noise), NULL, &seen), SNET_ETOOBIG);
		assert_null(f.body.p);
		snet_frame_fini(&f);
	}
}

static void a_lying_header_costs_little_more_than_what_came(void **state)
{
	uint8_t head[SNET_FRAME_HEAD], *noise = calloc(1, 300000);
	struct snet_frame f;
	uint32_t seen = 0;

	(void)state;
	assert_non_null(noise);
	snet_frame_head(head, SNET_FRAME_MAX);
	snet_frame_init(&f, SNET_FRAME_MAX);
	assert_int_equal(feed(&f, head, sizeof(head), NULL, &seen), 0);
	assert_null(f.body.p);
	assert_int_equal(feed(&f, noise, 1, NULL, &seen), 0);
	assert_in_range(f.body.cap, 1, 70000);
	assert_int_equal(feed(&f, noise, 300000, NULL, &seen), 0);
	assert_in_range(f.body.cap, 300001, 3 * 300001);
	assert_false(snet_frame_is_between(&f));
	snet_frame_fini(&f);
	free(noise);
}

static void the_end_is_clean_only_between_frames(void **state)
{
	uint8_t stream[STREAM];
	struct snet_frame f;

	(void)state;
	write_stream(stream, lengths, BODIES);
	for (size_t n = 0; n <= STREAM; n++) {
		uint32_t seen = 0;
		size_t end = 0;
		bool clean = !n;

		for (size_t b = 0; b < BODIES; b++) {
			end += SNET_FRAME_HEAD + lengths[b];
			clean = clean || n == end;
		}
		snet_frame_init(&f, 37);
		for (size_t i = 0; i < n; i++)
			feed(&f, stream + i, 1, lengths, &seen);
		assert_int_equal(snet_frame_is_between(&f), clean);
		snet_frame_fini(&f);
	}
}

static void no_input_is_no_progress(void **state)
{
	const uint8_t *at = NULL, *body;
	struct snet_frame f;
	size_t n = 0, len;
	bool last;

	(void)state;
	snet_frame_init(&f, 10);
	assert_int_equal(snet_frame_next(&f, &at, &n, &body, &len), 0);
	assert_int_equal(snet_frame_part(&f, &at, &n, &body, &len, &last), 0);
	assert_true(snet_frame_is_between(&f));
	snet_frame_fini(&f);
}

/* ---- parts */

static void parts_add_up_to_the_bodies_however_the_stream_is_cut(void **state)
{
	uint8_t stream[STREAM];
	struct snet_frame f;

	(void)state;
	write_stream(stream, lengths, BODIES);
	for (size_t step = 1; step <= STREAM; step++) {
		uint32_t body = 0;
		size_t got = 0;

		snet_frame_init(&f, 37);
		for (size_t i = 0; i < STREAM; i += step) {
			size_t n = step < STREAM - i ? step : STREAM - i, len;
			const uint8_t *at = stream + i, *part;
			bool last;

			while (snet_frame_part(&f, &at, &n, &part, &len, &last) == 1) {
				assert_true(len > 0 || lengths[body] == 0);
				for (size_t k = 0; k < len; k++)
					assert_int_equal(part[k], byte_at(body, got + k));
				got += len;
				assert_int_equal(last, got == lengths[body]);
				assert_int_equal(snet_frame_is_between(&f), last);
				if (last) {
					body++;
					got = 0;
				}
			}
			assert_int_equal(n, 0);
		}
		assert_int_equal(body, BODIES);
		assert_true(snet_frame_is_between(&f));
		assert_null(f.body.p);
		snet_frame_fini(&f);
	}
}

static void parts_refuse_what_is_too_long(void **state)
{
	const uint8_t stream[] = { 0, 0, 0, 38, 1 }, *at = stream, *part;
	size_t n = sizeof(stream), len;
	struct snet_frame f;
	bool last;

	(void)state;
	snet_frame_init(&f, 37);
	assert_int_equal(snet_frame_part(&f, &at, &n, &part, &len, &last), SNET_ETOOBIG);
	assert_int_equal(snet_frame_part(&f, &at, &n, &part, &len, &last), SNET_ETOOBIG);
	snet_frame_fini(&f);
}

static void whole_bodies_and_parts_may_take_turns(void **state)
{
	const uint8_t stream[] = { 0, 0, 0, 1, 'a', 0, 0, 0, 1, 'b', 0, 0, 0, 1, 'c' },
		      *at = stream, *p;
	struct snet_frame f;
	uint8_t got[3];
	bool last;

	(void)state;
	snet_frame_init(&f, 1);
	for (size_t i = 0, n, len; i < sizeof(stream); i++) {
		int rc;

		at = stream + i;
		n = 1;
		rc = i / 5 == 1 ? snet_frame_part(&f, &at, &n, &p, &len, &last)
				: snet_frame_next(&f, &at, &n, &p, &len);
		assert_int_equal(rc, i % 5 == 4);
		if (rc)
			got[i / 5] = *p;
	}
	assert_memory_equal(got, "abc", 3);
	snet_frame_fini(&f);
}

static int reassemble(void *user)
{
	static uint8_t stream[SNET_FRAME_HEAD + 400000];
	struct snet_frame f;
	int rc = 0;

	(void)user;
	snet_frame_head(stream, 400000);
	snet_frame_init(&f, 400000);
	for (size_t i = 0; !rc && i < sizeof(stream); i += 10001) {
		const uint8_t *at = stream + i, *body;
		size_t n = sizeof(stream) - i < 10001 ? sizeof(stream) - i : 10001, len;

		rc = snet_frame_next(&f, &at, &n, &body, &len);
	}
	snet_frame_fini(&f);
	assert_true(rc == 1 || rc == SNET_ENOMEM);
	return rc == 1 ? SNET_OK : rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	assert_true(torture(reassemble, NULL) >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_is_the_length_in_network_order),
		cmocka_unit_test(bodies_come_out_whole_a_byte_at_a_time),
		cmocka_unit_test(bodies_come_out_whole_however_the_stream_is_cut),
		cmocka_unit_test(large_and_small_bodies_follow_each_other),
		cmocka_unit_test(a_whole_body_is_not_copied),
		cmocka_unit_test(the_ceiling_is_inclusive),
		cmocka_unit_test(a_refused_header_allocates_nothing_and_stays_refused),
		cmocka_unit_test(a_lying_header_costs_little_more_than_what_came),
		cmocka_unit_test(the_end_is_clean_only_between_frames),
		cmocka_unit_test(no_input_is_no_progress),
		cmocka_unit_test(parts_add_up_to_the_bodies_however_the_stream_is_cut),
		cmocka_unit_test(parts_refuse_what_is_too_long),
		cmocka_unit_test(whole_bodies_and_parts_may_take_turns),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("wire/frame", tests, NULL, NULL);
}
