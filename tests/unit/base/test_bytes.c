#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "support/torture.h"

static const uint8_t eight[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* clang-format off */
static uint64_t u8(struct snet_reader *r) { return snet_take_u8(r); }
static uint64_t be16(struct snet_reader *r) { return snet_take_be16(r); }
static uint64_t be32(struct snet_reader *r) { return snet_take_be32(r); }
static uint64_t be64(struct snet_reader *r) { return snet_take_be64(r); }
static uint64_t le16(struct snet_reader *r) { return snet_take_le16(r); }
static uint64_t le32(struct snet_reader *r) { return snet_take_le32(r); }
static uint64_t le64(struct snet_reader *r) { return snet_take_le64(r); }

static const struct {
	const char *name;
	uint64_t (*take)(struct snet_reader *r);
	size_t n;
	uint64_t want;
} integers[] = {
	{ "u8",   u8,   1, 0x01 },
	{ "be16", be16, 2, 0x0102 },
	{ "be32", be32, 4, 0x01020304 },
	{ "be64", be64, 8, 0x0102030405060708 },
	{ "le16", le16, 2, 0x0201 },
	{ "le32", le32, 4, 0x04030201 },
	{ "le64", le64, 8, 0x0807060504030201 },
};
/* clang-format on */

#define INTEGERS (sizeof(integers) / sizeof(integers[0]))

static void integers_are_read_in_their_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < INTEGERS; i++) {
		struct snet_reader r = snet_reader(eight, sizeof(eight));

		print_message("# %s\n", integers[i].name);
		assert_true(integers[i].take(&r) == integers[i].want);
		assert_false(r.bad);
		assert_int_equal(snet_left(&r), sizeof(eight) - integers[i].n);
	}
}

static void an_integer_of_all_ones_is_not_sign_extended(void **state)
{
	static const uint8_t ones[] = { 255, 255, 255, 255, 255, 255, 255, 255 };

	(void)state;
	for (size_t i = 0; i < INTEGERS; i++) {
		struct snet_reader r = snet_reader(ones, integers[i].n);

		assert_true(integers[i].take(&r) == UINT64_MAX >> (64 - 8 * integers[i].n));
	}
}

static void a_short_read_goes_bad_and_stays_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < INTEGERS; i++)
		for (size_t n = 0; n < integers[i].n; n++) {
			struct snet_reader r = snet_reader(eight, n);

			assert_true(integers[i].take(&r) == 0);
			assert_true(r.bad);
			assert_null(snet_take(&r, 0));
			assert_int_equal(snet_left(&r), 0);
			assert_int_equal(snet_take_u8(&r), 0);
		}
}

static void a_huge_take_does_not_wrap(void **state)
{
	struct snet_reader r = snet_reader(eight, sizeof(eight));

	(void)state;
	assert_null(snet_take(&r, SIZE_MAX));
	assert_true(r.bad);
}

static void an_empty_input_reads_as_nothing_not_as_bad(void **state)
{
	struct snet_reader r = snet_reader(NULL, 0);

	(void)state;
	assert_non_null(snet_take(&r, 0));
	assert_int_equal(snet_left(&r), 0);
	assert_false(r.bad);
	assert_null(snet_take(&r, 1));
	assert_true(r.bad);
}

static void what_is_put_is_what_was_taken(void **state)
{
	struct snet_buf b = SNET_BUF(64);
	struct snet_reader r;

	(void)state;
	assert_int_equal(snet_buf_u8(&b, 0xfe), SNET_OK);
	assert_int_equal(snet_buf_be16(&b, 0xfedc), SNET_OK);
	assert_int_equal(snet_buf_be32(&b, 0xfedcba98), SNET_OK);
	assert_int_equal(snet_buf_be64(&b, 0xfedcba9876543210), SNET_OK);
	assert_int_equal(snet_buf_le16(&b, 0xfedc), SNET_OK);
	assert_int_equal(snet_buf_le32(&b, 0xfedcba98), SNET_OK);
	assert_int_equal(snet_buf_le64(&b, 0xfedcba9876543210), SNET_OK);
	assert_int_equal(b.n, 1 + 2 * (2 + 4 + 8));
	r = snet_reader(b.p, b.n);
	assert_int_equal(snet_take_u8(&r), 0xfe);
	assert_int_equal(snet_take_be16(&r), 0xfedc);
	assert_int_equal(snet_take_be32(&r), 0xfedcba98);
	assert_true(snet_take_be64(&r) == 0xfedcba9876543210);
	assert_int_equal(snet_take_le16(&r), 0xfedc);
	assert_int_equal(snet_take_le32(&r), 0xfedcba98);
	assert_true(snet_take_le64(&r) == 0xfedcba9876543210);
	assert_int_equal(snet_left(&r), 0);
	assert_false(r.bad);
	snet_buf_free(&b);
}

static void a_buffer_fills_to_its_ceiling_and_no_further(void **state)
{
	struct snet_buf b = SNET_BUF(1000);

	(void)state;
	for (size_t i = 0; i < 125; i++)
		assert_int_equal(snet_buf_add(&b, eight, 8), SNET_OK);
	assert_int_equal(b.n, 1000);
	assert_true(b.cap <= 1000);
	assert_false(b.bad);
	assert_int_equal(snet_buf_add(&b, eight, 0), SNET_OK);
	assert_int_equal(snet_buf_u8(&b, 1), SNET_ETOOBIG);
	assert_true(b.bad);
	assert_int_equal(b.n, 1000);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], eight[i % 8]);
	snet_buf_free(&b);
	assert_int_equal(b.max, 1000);
	assert_false(b.bad);
	assert_int_equal(snet_buf_add(&b, eight, 8), SNET_OK);
	snet_buf_free(&b);
}

static void a_failed_append_leaves_what_was_there(void **state)
{
	struct snet_buf b = SNET_BUF(10);

	(void)state;
	snet_buf_add(&b, eight, 8);
	assert_int_equal(snet_buf_add(&b, eight, 3), SNET_ETOOBIG);
	assert_int_equal(snet_buf_add(&b, eight, SIZE_MAX), SNET_ETOOBIG);
	assert_null(snet_buf_room(&b, SIZE_MAX));
	assert_int_equal(b.n, 8);
	assert_memory_equal(b.p, eight, 8);
	snet_buf_free(&b);
}

static void a_buffer_without_room_takes_only_nothing(void **state)
{
	struct snet_buf b = SNET_BUF(0);

	(void)state;
	assert_int_equal(snet_buf_add(&b, NULL, 0), SNET_OK);
	assert_int_equal(snet_buf_u8(&b, 1), SNET_ETOOBIG);
	snet_buf_free(&b);
}

static void room_is_not_counted_until_took(void **state)
{
	struct snet_buf b = SNET_BUF(100);
	uint8_t *p = snet_buf_room(&b, 50);

	(void)state;
	assert_non_null(p);
	memset(p, 7, 50);
	assert_int_equal(b.n, 0);
	snet_buf_took(&b, 20);
	assert_int_equal(b.n, 20);
	assert_ptr_equal(snet_buf_room(&b, 30), b.p + 20);
	snet_buf_free(&b);
}

static void text_is_appended_without_its_nul(void **state)
{
	struct snet_buf b = SNET_BUF(2000);
	char text[600];

	(void)state;
	assert_int_equal(snet_buf_str(&b, "port "), SNET_OK);
	assert_int_equal(snet_buf_fmt(&b, "%d%s", 9000, "."), SNET_OK);
	assert_int_equal(b.n, 10);
	assert_memory_equal(b.p, "port 9000.", 10);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(snet_buf_fmt(&b, "%s", text), SNET_ETOOBIG);
	assert_true(b.bad);
	assert_int_equal(b.n, 10);
	snet_buf_free(&b);
}

static void drop_takes_from_the_front(void **state)
{
	struct snet_buf b = SNET_BUF(100);

	(void)state;
	snet_buf_add(&b, eight, 8);
	snet_buf_drop(&b, 0);
	assert_int_equal(b.n, 8);
	snet_buf_drop(&b, 3);
	assert_int_equal(b.n, 5);
	assert_memory_equal(b.p, eight + 3, 5);
	snet_buf_drop(&b, 5);
	assert_int_equal(b.n, 0);
	snet_buf_free(&b);
}

static void wipe_leaves_only_zeros(void **state)
{
	uint8_t secret[32];

	(void)state;
	memset(secret, 0xa5, sizeof(secret));
	snet_wipe(secret + 1, sizeof(secret) - 2);
	assert_int_equal(secret[0], 0xa5);
	assert_int_equal(secret[31], 0xa5);
	for (size_t i = 1; i < 31; i++)
		assert_int_equal(secret[i], 0);
}

static void a_wiped_buffer_is_empty_and_usable(void **state)
{
	struct snet_buf b = SNET_BUF(100);

	(void)state;
	snet_buf_wipe(&b);
	snet_buf_add(&b, eight, 8);
	snet_buf_wipe(&b);
	assert_null(b.p);
	assert_int_equal(b.n, 0);
	assert_int_equal(snet_buf_u8(&b, 1), SNET_OK);
	snet_buf_wipe(&b);
}

/* A free too early or too late is the sanitizers' and valgrind's to see. */
static void a_block_lives_until_its_last_hold_goes(void **state)
{
	struct snet_block *b = snet_block_new(100);

	(void)state;
	assert_non_null(b);
	assert_int_equal(b->refs, 1);
	assert_int_equal(b->cap, 100);
	assert_int_equal(b->n, 0);
	memset(b->data, 1, b->cap);
	assert_ptr_equal(snet_block_hold(b), b);
	snet_block_free(b);
	assert_int_equal(b->refs, 1);
	assert_int_equal(b->data[99], 1);
	snet_block_free(b);
	snet_block_free(NULL);
}

static int fill(void *user)
{
	struct snet_buf b = SNET_BUF(100000);
	struct snet_block *block = snet_block_new(10);
	int rc = block ? SNET_OK : SNET_ENOMEM;

	(void)user;
	for (size_t i = 0; !rc && i < 100; i++) {
		size_t n = b.n;

		rc = snet_buf_add(&b, eight, 8);
		assert_int_equal(b.bad, rc != SNET_OK);
		assert_int_equal(b.n, rc ? n : n + 8);
		assert_true(!rc || rc == SNET_ENOMEM);
	}
	for (size_t i = 0; i < b.n; i++) /* also after a failure */
		assert_int_equal(b.p[i], eight[i % 8]);
	snet_buf_free(&b);
	snet_block_free(block);
	return rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	assert_true(torture(fill, NULL) > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_read_in_their_order),
		cmocka_unit_test(an_integer_of_all_ones_is_not_sign_extended),
		cmocka_unit_test(a_short_read_goes_bad_and_stays_bad),
		cmocka_unit_test(a_huge_take_does_not_wrap),
		cmocka_unit_test(an_empty_input_reads_as_nothing_not_as_bad),
		cmocka_unit_test(what_is_put_is_what_was_taken),
		cmocka_unit_test(a_buffer_fills_to_its_ceiling_and_no_further),
		cmocka_unit_test(a_failed_append_leaves_what_was_there),
		cmocka_unit_test(a_buffer_without_room_takes_only_nothing),
		cmocka_unit_test(room_is_not_counted_until_took),
		cmocka_unit_test(text_is_appended_without_its_nul),
		cmocka_unit_test(drop_takes_from_the_front),
		cmocka_unit_test(wipe_leaves_only_zeros),
		cmocka_unit_test(a_wiped_buffer_is_empty_and_usable),
		cmocka_unit_test(a_block_lives_until_its_last_hold_goes),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("base/bytes", tests, NULL, NULL);
}
