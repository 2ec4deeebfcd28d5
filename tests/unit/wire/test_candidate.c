#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/vectors.h"
#include "wire/candidate.h"

/* clang-format off */
static const struct {
	const char *vector, *foundation;
	uint32_t priority;
	const char *address;
	enum snet_candidate_type type;
	const char *related, *server;
} cases[] = {
	{ "cand host v4", "73262878ebd6a78d", 2130706431, "192.168.1.100:5000", SNET_CANDIDATE_HOST, "none", "none" },
	{ "cand srflx v4", "fc6f3ef60a3a736", 1694498815, "203.0.113.50:12345", SNET_CANDIDATE_SRFLX,
	  "192.168.1.100:5000", "8.8.8.8:3478" },
	{ "cand host v6", "1450505958a396bb", 2130706175, "[2001:db8::1]:5000", SNET_CANDIDATE_HOST, "none", "none" },
	{ "cand prflx v6", "a1", 1862270719, "[2001:db8::2]:6000", SNET_CANDIDATE_PRFLX, "[2001:db8::1]:5000", "none" },
};
/* clang-format on */

static void expect_addr(const struct snet_addr *a, const char *text)
{
	char got[SNET_ADDR_TEXT];

	assert_string_equal(snet_addr_print(a, got), text);
}

static void the_crates_candidates_are_read_and_written(void **state)
{
	json_t *vectors = vectors_load("wire-rust-vectors.json");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_buf out = SNET_BUF(200);
		struct snet_candidate c;
		uint8_t *in;
		size_t n;

		print_message("# %s\n", cases[i].vector);
		in = vectors_unhex(vectors_text(vectors, cases[i].vector), &n);
		assert_int_equal(snet_candidate_decode(&c, in, n), SNET_OK);
		assert_string_equal(c.foundation, cases[i].foundation);
		assert_int_equal(c.component, 1);
		assert_int_equal(c.priority, cases[i].priority);
		assert_int_equal(c.type, cases[i].type);
		expect_addr(&c.address, cases[i].address);
		expect_addr(&c.related, cases[i].related);
		expect_addr(&c.server, cases[i].server);
		assert_int_equal(snet_candidate_encode(&c, &out), SNET_OK);
		assert_int_equal(out.n, n);
		assert_memory_equal(out.p, in, n);
		snet_buf_free(&out);
		free(in);
	}
	json_decref(vectors);
}

static void every_part_of_a_candidate_is_no_candidate(void **state)
{
	json_t *vectors = vectors_load("wire-rust-vectors.json");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_candidate c;
		size_t n;
		uint8_t *in = vectors_unhex(vectors_text(vectors, cases[i].vector), &n);

		for (size_t k = 0; k < n; k++) {
			uint8_t *part = malloc(k ? k : 1); /* exact: a read too far is seen */

			memcpy(part, in, k);
			assert_int_equal(snet_candidate_decode(&c, part, k), SNET_EPROTO);
			assert_int_equal(c.address.sa.sa_family, AF_UNSPEC);
			assert_string_equal(c.foundation, "");
			free(part);
		}
		in = realloc(in, n + 1);
		in[n] = 0;
		assert_int_equal(snet_candidate_decode(&c, in, n + 1), SNET_EPROTO);
		free(in);
	}
	json_decref(vectors);
}

/* Bytes of the host v4 vector that must have their value: {offset, another value}. */
static void odd_fields_are_refused(void **state)
{
	static const uint8_t odd[][2] = { { 8, 0 },  { 8, 0xff }, { 0, 255 }, { 7, 1 },
					  { 28, 1 }, { 36, 2 },   { 46, 4 },  { 49, 1 },
					  { 50, 1 }, { 50, 2 },   { 51, 1 },  { 51, 3 } };
	json_t *vectors = vectors_load("wire-rust-vectors.json");

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct snet_candidate c;
		size_t n;
		uint8_t *in = vectors_unhex(vectors_text(vectors, cases[0].vector), &n);

		print_message("# byte %u\n", odd[i][0]);
		in[odd[i][0]] = odd[i][1];
		assert_int_equal(snet_candidate_decode(&c, in, n), SNET_EPROTO);
		free(in);
	}
	json_decref(vectors);
}

static struct snet_candidate sample(void)
{
	struct snet_candidate c = { .foundation = "f", .component = 1, .priority = 2 };

	assert_int_equal(snet_addr_parse(&c.address, "192.0.2.1:1"), SNET_OK);
	return c;
}

static void a_foundation_has_at_most_32_bytes(void **state)
{
	struct snet_buf out = SNET_BUF(200);
	struct snet_candidate c = sample(), back;

	(void)state;
	memset(c.foundation, 'x', SNET_FOUNDATION_MAX);
	assert_int_equal(snet_candidate_encode(&c, &out), SNET_OK);
	assert_int_equal(snet_candidate_decode(&back, out.p, out.n), SNET_OK);
	assert_string_equal(back.foundation, c.foundation);
	/* One more, made by hand: it would not fit the value. */
	out.p[0]++;
	assert_non_null(snet_buf_room(&out, 1));
	memmove(out.p + 9, out.p + 8, out.n - 8);
	out.n++;
	assert_int_equal(snet_candidate_decode(&back, out.p, out.n), SNET_EPROTO);
	snet_buf_free(&out);
}

static void what_the_wire_cannot_carry_is_not_written(void **state)
{
	struct snet_candidate bad[4] = { sample(), sample(), sample(), sample() };

	(void)state;
	bad[0].address = (struct snet_addr){ 0 };
	bad[1].type = (enum snet_candidate_type)4;
	memcpy(bad[2].foundation, "\xff", 2);
	memset(bad[3].foundation, 'x', sizeof(bad[3].foundation)); /* does not end */
	for (size_t i = 0; i < 4; i++) {
		struct snet_buf out = SNET_BUF(200);

		snet_buf_str(&out, "before");
		assert_int_equal(snet_candidate_encode(&bad[i], &out), SNET_EINVAL);
		assert_int_equal(out.n, 6);
		assert_true(out.bad);
		snet_buf_free(&out);
	}
}

static void writing_stops_at_the_ceiling(void **state)
{
	struct snet_candidate c = sample();
	size_t max;

	(void)state;
	c.related = c.server = c.address;
	for (max = 0; max < 57; max++) {
		struct snet_buf out = SNET_BUF(max);

		assert_int_equal(snet_candidate_encode(&c, &out), SNET_ETOOBIG);
		assert_int_equal(out.n, 0);
		snet_buf_free(&out);
	}
}

static void types_have_the_names_of_ice(void **state)
{
	(void)state;
	assert_string_equal(snet_candidate_name(SNET_CANDIDATE_HOST), "host");
	assert_string_equal(snet_candidate_name(SNET_CANDIDATE_SRFLX), "srflx");
	assert_string_equal(snet_candidate_name(SNET_CANDIDATE_PRFLX), "prflx");
	assert_string_equal(snet_candidate_name(SNET_CANDIDATE_RELAY), "relay");
	assert_string_equal(snet_candidate_name((enum snet_candidate_type)4), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_crates_candidates_are_read_and_written),
		cmocka_unit_test(every_part_of_a_candidate_is_no_candidate),
		cmocka_unit_test(odd_fields_are_refused),
		cmocka_unit_test(a_foundation_has_at_most_32_bytes),
		cmocka_unit_test(what_the_wire_cannot_carry_is_not_written),
		cmocka_unit_test(writing_stops_at_the_ceiling),
		cmocka_unit_test(types_have_the_names_of_ice),
	};

	return cmocka_run_group_tests_name("wire/candidate", tests, NULL, NULL);
}
