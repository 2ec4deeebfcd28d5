#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/map.h"
#include "support/torture.h"

static const uint8_t secret[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

#define K0 0x0706050403020100
#define K1 0x0f0e0d0c0b0a0908

/* Of 00 01 02 ... under the key above, from the authors' reference implementation. */
static const uint64_t sip[] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
	0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	0x3f2acc7f57c29bdb,
};

static void the_hash_is_siphash_2_4(void **state)
{
	uint8_t in[sizeof(sip) / sizeof(sip[0])];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++) {
		in[i] = (uint8_t)i;
		assert_true(snet_siphash(K0, K1, in, i) == sip[i]);
	}
}

static void what_is_put_is_there_until_deleted(void **state)
{
	struct snet_map m;
	int a, b;

	(void)state;
	snet_map_init(&m, secret);
	assert_true(m.k0 == K0 && m.k1 == K1);
	assert_null(snet_map_get(&m, "a", 1));
	assert_null(snet_map_del(&m, "a", 1));
	assert_int_equal(snet_map_put(&m, "a", 1, &a), SNET_OK);
	assert_int_equal(snet_map_put(&m, "ab", 2, &b), SNET_OK);
	assert_ptr_equal(snet_map_get(&m, "a", 1), &a);
	assert_ptr_equal(snet_map_get(&m, "ab", 2), &b);
	assert_null(snet_map_get(&m, "a\0", 2));
	assert_int_equal(m.n, 2);
	assert_int_equal(snet_map_put(&m, "a", 1, &b), SNET_OK);
	assert_int_equal(m.n, 2);
	assert_ptr_equal(snet_map_del(&m, "a", 1), &b);
	assert_null(snet_map_get(&m, "a", 1));
	assert_null(snet_map_del(&m, "a", 1));
	assert_int_equal(m.n, 1);
	snet_map_fini(&m);
	assert_null(snet_map_get(&m, "ab", 2));
	assert_int_equal(snet_map_put(&m, "a", 1, &a), SNET_OK);
	snet_map_fini(&m);
}

static void keys_are_copied_and_at_most_32_bytes(void **state)
{
	char key[SNET_MAP_KEY_MAX + 1];
	struct snet_map m;
	int v;

	(void)state;
	memset(key, 'k', sizeof(key));
	snet_map_init(&m, secret);
	assert_int_equal(snet_map_put(&m, key, sizeof(key), &v), SNET_EINVAL);
	assert_int_equal(m.n, 0);
	assert_int_equal(snet_map_put(&m, key, SNET_MAP_KEY_MAX, &v), SNET_OK);
	assert_int_equal(snet_map_put(&m, NULL, 0, &m), SNET_OK);
	assert_null(snet_map_get(&m, key, sizeof(key)));
	assert_null(snet_map_del(&m, key, sizeof(key)));
	memset(key, 'x', sizeof(key));
	assert_null(snet_map_get(&m, key, SNET_MAP_KEY_MAX));
	memset(key, 'k', sizeof(key));
	assert_ptr_equal(snet_map_get(&m, key, SNET_MAP_KEY_MAX), &v);
	assert_ptr_equal(snet_map_get(&m, "", 0), &m);
	snet_map_fini(&m);
}

#define MANY 3000

static char values[MANY];

static void put(struct snet_map *m, uint32_t i)
{
	assert_int_equal(snet_map_put(m, &i, sizeof(i), &values[i]), SNET_OK);
}

static void many_keys_come_and_go(void **state)
{
	struct snet_map m;

	(void)state;
	snet_map_init(&m, secret);
	for (uint32_t i = 0; i < MANY; i++)
		put(&m, i);
	for (uint32_t i = 0; i < MANY; i += 3)
		assert_ptr_equal(snet_map_del(&m, &i, sizeof(i)), &values[i]);
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(snet_map_get(&m, &i, sizeof(i)), i % 3 ? &values[i] : NULL);
	assert_int_equal(m.n, MANY - MANY / 3);
	assert_true(m.used * 4 <= m.cap * 3);
	snet_map_fini(&m);
}

/* Against the simplest map there is, with few keys, so that every
 * order of put and delete happens. */
static void it_agrees_with_a_table(void **state)
{
	void *table[24] = { 0 };
	uint64_t seed = 7;
	struct snet_map m;
	size_t n = 0;

	(void)state;
	snet_map_init(&m, secret);
	for (unsigned i = 0; i < 50000; i++) {
		uint32_t key, what;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		key = (uint32_t)(seed >> 33) % 24;
		what = (uint32_t)(seed >> 60);
		if (what < 7) {
			put(&m, key);
			n += !table[key];
			table[key] = &values[key];
		} else if (what < 14) {
			assert_ptr_equal(snet_map_del(&m, &key, sizeof(key)), table[key]);
			n -= table[key] != NULL;
			table[key] = NULL;
		}
		assert_ptr_equal(snet_map_get(&m, &key, sizeof(key)), table[key]);
		assert_int_equal(m.n, n);
	}
	assert_true(m.cap <= 64); /* deletions leave nothing behind that makes it grow */
	snet_map_fini(&m);
}

static void a_walk_meets_each_value_once_even_while_deleting(void **state)
{
	uint8_t seen[MANY] = { 0 };
	struct snet_map m;
	size_t at = 0, met = 0;
	char *v;

	(void)state;
	snet_map_init(&m, secret);
	assert_null(snet_map_next(&m, &at));
	for (uint32_t i = 0; i < MANY; i++)
		put(&m, i);
	for (at = 0; (v = snet_map_next(&m, &at)); met++) {
		uint32_t i = (uint32_t)(v - values);

		assert_int_equal(seen[i]++, 0);
		if (i % 2)
			assert_ptr_equal(snet_map_del(&m, &i, sizeof(i)), v);
	}
	assert_int_equal(met, MANY);
	assert_int_equal(m.n, MANY / 2);
	for (at = met = 0; (v = snet_map_next(&m, &at)); met++)
		assert_int_equal((v - values) % 2, 0);
	assert_int_equal(met, MANY / 2);
	snet_map_fini(&m);
}

static int grow(void *user)
{
	struct snet_map m;
	uint32_t i;
	int rc = SNET_OK;

	(void)user;
	snet_map_init(&m, secret);
	for (i = 0; !rc && i < 200; i++)
		rc = snet_map_put(&m, &i, sizeof(i), &values[i]);
	assert_int_equal(m.n, rc ? i - 1 : i);
	for (i = 0; i < m.n; i++) /* what was there before the failure is there after it */
		assert_ptr_equal(snet_map_get(&m, &i, sizeof(i)), &values[i]);
	snet_map_fini(&m);
	return rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	assert_int_equal(torture(grow, NULL), 6); /* 16, 32, ... 512 slots */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash_2_4),
		cmocka_unit_test(what_is_put_is_there_until_deleted),
		cmocka_unit_test(keys_are_copied_and_at_most_32_bytes),
		cmocka_unit_test(many_keys_come_and_go),
		cmocka_unit_test(it_agrees_with_a_table),
		cmocka_unit_test(a_walk_meets_each_value_once_even_while_deleting),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
