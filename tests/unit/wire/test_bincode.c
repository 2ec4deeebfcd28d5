#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/vectors.h"
#include "wire/bincode.h"

/* clang-format off */
enum kind { BOOL, ENUM, BYTES, STR, COUNT8, ADDR, OPT_ADDR };

/* As Rust's bincode 1.3 reads them. want: the value, the length, the count; text: of an
 * address. */
static const struct {
	const char *name;
	enum kind kind;
	const char *hex;
	bool bad;
	uint64_t want;
	const char *text;
} cases[] = {
	{ "false",                    BOOL,  "00", false, 0, NULL },
	{ "true",                     BOOL,  "01", false, 1, NULL },
	{ "neither",                  BOOL,  "02", true,  0, NULL },
	{ "all ones",                 BOOL,  "ff", true,  0, NULL },
	{ "no byte",                  BOOL,  "",   true,  0, NULL },
	{ "first variant",            ENUM,  "00000000", false, 0, NULL },
	{ "last variant",             ENUM,  "02000000", false, 2, NULL },
	{ "one too many",             ENUM,  "03000000", true,  0, NULL },
	{ "wrong byte order",         ENUM,  "00000002", true,  0, NULL },
	{ "three bytes",              ENUM,  "000000",   true,  0, NULL },
	{ "no bytes",                 BYTES, "0000000000000000",     false, 0, NULL },
	{ "two bytes",                BYTES, "0200000000000000ff00", false, 2, NULL },
	{ "one byte missing",         BYTES, "0200000000000000ff",   true,  0, NULL },
	{ "length of 2^64-1",         BYTES, "ffffffffffffffff00",   true,  0, NULL },
	{ "length of 2^32",           BYTES, "000000000100000000",   true,  0, NULL },
	{ "length cut",               BYTES, "02000000000000",       true,  0, NULL },
	{ "text",                     STR,   "0300000000000000e282ac", false, 3, NULL },
	{ "no text",                  STR,   "0000000000000000",     false, 0, NULL },
	{ "text with NUL",            STR,   "0300000000000000610062", false, 3, NULL },
	{ "not UTF-8",                STR,   "0200000000000000c3c3", true,  0, NULL },
	{ "a character cut in two",   STR,   "0200000000000000e282ac", true, 0, NULL },
	{ "a surrogate",              STR,   "0300000000000000eda080", true, 0, NULL },
	{ "none of them",             COUNT8, "0000000000000000", false, 0, NULL },
	{ "two of eight bytes",       COUNT8, "0200000000000000" "00000000000000000000000000000000", false, 2, NULL },
	{ "more than can come",       COUNT8, "0200000000000000" "000000000000000000000000000000", true, 0, NULL },
	{ "a count that overflows",   COUNT8, "0000000000000020" "0000000000000000", true, 0, NULL },
	{ "v4",                       ADDR,  "00000000c0a801648813", false, 0, "192.168.1.100:5000" },
	{ "v6",                       ADDR,  "0100000020010db80000000000000000000000018813", false, 0, "[2001:db8::1]:5000" },
	{ "v4 cut",                   ADDR,  "00000000c0a8016488",   true,  0, NULL },
	{ "v6 cut",                   ADDR,  "0100000020010db800000000000000000000000188", true, 0, NULL },
	{ "v5",                       ADDR,  "02000000c0a801648813", true,  0, NULL },
	{ "None",                     OPT_ADDR, "00", false, 0, "none" },
	{ "Some",                     OPT_ADDR, "0100000000080808080d96", false, 0, "8.8.8.8:38413" },
	{ "neither Some nor None",    OPT_ADDR, "0200000000080808080d96", true, 0, NULL },
	{ "Some of nothing",          OPT_ADDR, "01", true, 0, NULL },
};
/* clang-format on */

/* Reads one value of the kind, writes it again, and gives what it was. */
static uint64_t cross(struct snet_reader *r, enum kind kind, struct snet_addr *addr,
		      struct snet_buf *out)
{
	struct snet_slice s;
	uint64_t v = 0;

	switch (kind) {
	case BOOL:
		v = snet_bincode_bool(r);
		snet_bincode_put_bool(out, v);
		return v;
	case ENUM:
		v = snet_bincode_enum(r, 3);
		snet_buf_le32(out, (uint32_t)v);
		return v;
	case BYTES:
		s = snet_bincode_bytes(r);
		snet_bincode_put_bytes(out, s.p, s.n);
		return s.n;
	case STR:
		s = snet_bincode_str(r);
		snet_bincode_put_str(out, s.p, s.n);
		return s.n;
	case COUNT8:
		v = snet_bincode_count(r, 8);
		snet_buf_le64(out, v);
		snet_take(r, 8 * (size_t)v);
		for (uint64_t i = 0; i < v; i++)
			snet_buf_le64(out, 0);
		return v;
	case ADDR:
		snet_bincode_addr(r, addr);
		if (!r->bad)
			snet_bincode_put_addr(out, addr);
		return 0;
	case OPT_ADDR:
		snet_bincode_opt_addr(r, addr);
		snet_bincode_put_opt_addr(out, addr);
		return 0;
	}
	return v;
}

static void values_are_read_as_rust_reads_them_and_written_back(void **state)
{
	char text[SNET_ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_buf out = SNET_BUF(100);
		struct snet_addr addr = { 0 };
		struct snet_reader r;
		size_t n, want_n;
		uint8_t *in = vectors_unhex(cases[i].hex, &n);

		print_message("# %s\n", cases[i].name);
		r = snet_reader(in, n);
		assert_true(cross(&r, cases[i].kind, &addr, &out) == cases[i].want);
		assert_int_equal(r.bad, cases[i].bad);
		if (r.bad) {
			assert_int_equal(addr.sa.sa_family, AF_UNSPEC);
		} else {
			want_n = n - snet_left(&r);
			assert_int_equal(out.n, want_n);
			assert_memory_equal(out.p, in, want_n);
			if (cases[i].text)
				assert_string_equal(snet_addr_print(&addr, text),
						    cases[i].text);
		}
		snet_buf_free(&out);
		free(in);
	}
}

static void after_a_fault_everything_reads_as_nothing(void **state)
{
	const uint8_t ones[64] = { 1, 1, 1, 1 };
	struct snet_reader r = snet_reader(ones, sizeof(ones));
	struct snet_addr addr;

	(void)state;
	r.bad = true;
	assert_false(snet_bincode_bool(&r));
	assert_int_equal(snet_bincode_enum(&r, 99), 0);
	assert_int_equal(snet_bincode_count(&r, 1), 0);
	assert_int_equal(snet_bincode_bytes(&r).n, 0);
	assert_null(snet_bincode_bytes(&r).p);
	assert_null(snet_bincode_str(&r).p);
	snet_bincode_addr(&r, &addr);
	assert_int_equal(addr.sa.sa_family, AF_UNSPEC);
}

static void flow_and_scope_are_not_carried(void **state)
{
	struct snet_buf out = SNET_BUF(100);
	struct snet_addr a, b;
	struct snet_reader r;

	(void)state;
	assert_int_equal(snet_addr_parse(&a, "[fe80::1%7]:1"), SNET_OK);
	assert_int_equal(snet_bincode_put_addr(&out, &a), SNET_OK);
	assert_int_equal(out.n, 22);
	r = snet_reader(out.p, out.n);
	snet_bincode_addr(&r, &b);
	assert_int_equal(b.in6.sin6_scope_id, 0);
	assert_memory_equal(&a.in6.sin6_addr, &b.in6.sin6_addr, 16);
	snet_buf_free(&out);
}

static void what_rust_would_not_read_is_not_written(void **state)
{
	struct snet_buf out = SNET_BUF(100);
	struct snet_addr none = { 0 };

	(void)state;
	assert_int_equal(snet_bincode_put_str(&out, "\xff", 1), SNET_EINVAL);
	assert_true(out.bad);
	snet_buf_free(&out);
	assert_int_equal(snet_bincode_put_addr(&out, &none), SNET_EINVAL);
	assert_true(out.bad);
	assert_int_equal(out.n, 0);
	snet_buf_free(&out);
}

static void writing_stops_at_the_ceiling(void **state)
{
	const struct snet_slice keys[] = { { (const uint8_t *)"abc", 3, NULL },
					   { (const uint8_t *)"d", 1, NULL } };
	struct snet_addr a;

	(void)state;
	snet_addr_parse(&a, "1.2.3.4:5");
	for (size_t max = 0; max < 28; max++) {
		struct snet_buf out = SNET_BUF(max);

		assert_int_equal(snet_bincode_put_keys(&out, keys, 2), SNET_ETOOBIG);
		assert_true(out.bad);
		snet_buf_free(&out);
		if (max >= 10)
			continue;
		assert_int_equal(snet_bincode_put_addr(&out, &a), SNET_ETOOBIG);
		snet_buf_free(&out);
	}
}

static void key_lists_are_vectors_of_vectors(void **state)
{
	static const uint8_t want[] = { 2, 0, 0,   0,   0,   0, 0, 0, 3, 0, 0, 0, 0, 0,
					0, 0, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 0 };
	const struct snet_slice keys[] = { { (const uint8_t *)"abc", 3, NULL },
					   { NULL, 0, NULL } };
	struct snet_buf out = SNET_BUF(100);

	(void)state;
	assert_int_equal(snet_bincode_put_keys(&out, keys, 2), SNET_OK);
	assert_int_equal(out.n, sizeof(want));
	assert_memory_equal(out.p, want, sizeof(want));
	snet_buf_free(&out);
	assert_int_equal(snet_bincode_put_keys(&out, NULL, 0), SNET_OK);
	assert_int_equal(out.n, 8);
	snet_buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read_as_rust_reads_them_and_written_back),
		cmocka_unit_test(after_a_fault_everything_reads_as_nothing),
		cmocka_unit_test(flow_and_scope_are_not_carried),
		cmocka_unit_test(what_rust_would_not_read_is_not_written),
		cmocka_unit_test(writing_stops_at_the_ceiling),
		cmocka_unit_test(key_lists_are_vectors_of_vectors),
	};

	return cmocka_run_group_tests_name("wire/bincode", tests, NULL, NULL);
}
