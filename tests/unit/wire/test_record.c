#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/torture.h"
#include "support/vectors.h"
#include "wire/record.h"

/* The numbers and names that stand in snet-events(5) and stoffelnet-wire(7). Frozen. */
/* clang-format off */
static const struct {
	unsigned type;
	const char *name;
	bool app;
} types[] = {
	{ 1, "dkg1", true },       { 2, "dkg2", true },      { 3, "dkg3", true },
	{ 4, "sign1", true },      { 5, "sign2", true },     { 6, "sign3", true },       { 7, "sign4", true },
	{ 8, "presign1", true },   { 9, "presign2", true },
	{ 10, "heartbeat", false }, { 11, "ack", false },    { 12, "error", false },
	{ 32, "data", true },      { 33, "resume", false },  { 34, "bye", false },
	{ 35, "peer-exchange", false }, { 36, "forward", false },
	{ 64, "proposal", true },  { 65, "vote", true },     { 66, "certificate", true },
	{ 67, "view-change", true }, { 68, "timeout", true }, { 69, "recovery", true },
};
/* clang-format on */

#define TYPES (sizeof(types) / sizeof(types[0]))

static void types_have_their_numbers_and_names(void **state)
{
	size_t known = 0;

	(void)state;
	for (size_t i = 0; i < TYPES; i++) {
		assert_string_equal(snet_record_name(types[i].type), types[i].name);
		assert_int_equal(snet_record_number(types[i].name), types[i].type);
		assert_int_equal(snet_record_is_app(types[i].type), types[i].app);
	}
	for (unsigned t = 0; t < 600; t++)
		known += snet_record_name(t) != NULL;
	assert_int_equal(known, TYPES);
	assert_int_equal(snet_record_number("nonsense"), SNET_ENOENT);
	assert_int_equal(snet_record_number(""), SNET_ENOENT);
	assert_int_equal(snet_record_number("Data"), SNET_ENOENT);
	assert_false(snet_record_is_app(0));
	assert_false(snet_record_is_app(32 | SNET_RECORD_ZSTD));
}

static void a_record_is_a_type_byte_and_a_body(void **state)
{
	(void)state;
	for (unsigned t = 0; t < 256; t++) {
		const uint8_t frame[] = { (uint8_t)t, 'h', 'i' };
		const char *name = snet_record_name(t & 0x7f);
		bool may_shrink =
			snet_record_is_app(t & 0x7f) || (t & 0x7f) == 35 || (t & 0x7f) == 36;
		struct snet_record rec;

		if (!name || (t & SNET_RECORD_ZSTD && !may_shrink)) {
			assert_int_equal(snet_record_decode(&rec, frame, 3), SNET_EPROTO);
			continue;
		}
		assert_int_equal(snet_record_decode(&rec, frame, 3), SNET_OK);
		assert_int_equal(rec.type, t & 0x7f);
		assert_int_equal(rec.zstd, t >> 7);
		assert_ptr_equal(rec.body, frame + 1);
		assert_int_equal(rec.n, 2);
		assert_int_equal(snet_record_head(rec.type, rec.zstd), t);
		assert_int_equal(snet_record_decode(&rec, frame, 1), SNET_OK);
		assert_int_equal(rec.n, 0);
	}
}

static void an_empty_frame_is_no_record(void **state)
{
	struct snet_record rec;

	(void)state;
	assert_int_equal(snet_record_decode(&rec, "", 0), SNET_EPROTO);
	assert_int_equal(snet_record_decode(&rec, NULL, 0), SNET_EPROTO);
}

/* ---- bodies */

#define TEXT(s)                                           \
	{                                                 \
		(const uint8_t *)(s), sizeof(s) - 1, NULL \
	}

#define SESSION "000102030405060708090a0b0c0d0e0f"
#define ROSTER "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"

/* version 1, "café", 3 parties, stream 0 at 7 and 15 at 2^64-1 */
#define RESUME                          \
	"0001" SESSION "0005636166c3a9" \
	"00000003" ROSTER "02"          \
	"000000000000000007"            \
	"0fffffffffffffffff"
#define ACK                  \
	"02"                 \
	"000000000000000007" \
	"0fffffffffffffffff"
#define BYE                \
	"000000000000000d" \
	"0005"             \
	"7768793fff" /* 13, "why?\xff" */
#define FORWARD            \
	"00000001"         \
	"fffffffe"         \
	"0102030405060708" \
	"20aabb"

static const struct snet_record_marks marks = { 2, { { 0, 7 }, { 15, UINT64_MAX } } };

static struct snet_record_resume resume(void)
{
	struct snet_record_resume v = {
		.version = 1, .label = TEXT("caf\xc3\xa9"), .n = 3, .next = marks
	};

	for (size_t i = 0; i < sizeof(v.session); i++)
		v.session[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(v.roster); i++)
		v.roster[i] = (uint8_t)(0xa0 + i);
	return v;
}

static void wrote(struct snet_buf *out, const char *hex)
{
	size_t n;
	uint8_t *want = vectors_unhex(hex, &n);

	assert_int_equal(out->n, n);
	assert_memory_equal(out->p, want, n);
	assert_false(out->bad);
	free(want);
	snet_buf_free(out);
}

static void same_marks(const struct snet_record_marks *a)
{
	assert_int_equal(a->count, marks.count);
	for (unsigned i = 0; i < marks.count; i++) {
		assert_int_equal(a->mark[i].stream, marks.mark[i].stream);
		assert_true(a->mark[i].at == marks.mark[i].at);
	}
}

static void resume_is_written_and_read(void **state)
{
	const struct snet_record_resume v = resume();
	struct snet_buf out = SNET_BUF(1000);
	struct snet_record_resume got;
	size_t n;
	uint8_t *in = vectors_unhex(RESUME, &n);

	(void)state;
	assert_int_equal(snet_record_encode_resume(&v, &out), SNET_OK);
	wrote(&out, RESUME);
	assert_int_equal(snet_record_decode_resume(&got, in, n), SNET_OK);
	assert_int_equal(got.version, 1);
	assert_memory_equal(got.session, v.session, sizeof(v.session));
	assert_int_equal(got.label.n, 5);
	assert_memory_equal(got.label.p, v.label.p, 5);
	assert_int_equal(got.n, 3);
	assert_memory_equal(got.roster, v.roster, sizeof(v.roster));
	same_marks(&got.next);
	free(in);
}

static void ack_is_written_and_read(void **state)
{
	struct snet_buf out = SNET_BUF(1000);
	struct snet_record_marks got;
	size_t n;
	uint8_t *in = vectors_unhex(ACK, &n);

	(void)state;
	assert_int_equal(snet_record_encode_ack(&marks, &out), SNET_OK);
	wrote(&out, ACK);
	assert_int_equal(snet_record_decode_ack(&got, in, n), SNET_OK);
	same_marks(&got);
	free(in);
}

static void bye_is_written_and_read(void **state)
{
	const struct snet_record_bye v = { 13, TEXT("why?\xff") };
	struct snet_buf out = SNET_BUF(1000);
	struct snet_record_bye got;
	size_t n;
	uint8_t *in = vectors_unhex(BYE, &n);

	(void)state;
	assert_int_equal(snet_record_encode_bye(&v, &out), SNET_OK);
	wrote(&out, BYE);
	assert_int_equal(snet_record_decode_bye(&got, in, n), SNET_OK);
	assert_int_equal(got.code, 13);
	assert_int_equal(got.reason.n, 5);
	assert_memory_equal(got.reason.p, v.reason.p, 5);
	free(in);
}

static void forward_is_written_and_read(void **state)
{
	const struct snet_record_forward v = { 1, 0xfffffffe, 0x0102030405060708,
					       TEXT("\x20\xaa\xbb") };
	struct snet_buf out = SNET_BUF(1000);
	struct snet_record_forward got;
	size_t n;
	uint8_t *in = vectors_unhex(FORWARD, &n);

	(void)state;
	assert_int_equal(snet_record_encode_forward(&v, &out), SNET_OK);
	wrote(&out, FORWARD);
	assert_int_equal(snet_record_decode_forward(&got, in, n), SNET_OK);
	assert_int_equal(got.origin, 1);
	assert_int_equal(got.target, 0xfffffffe);
	assert_true(got.sequence == 0x0102030405060708);
	assert_int_equal(got.body.n, 3);
	assert_memory_equal(got.body.p, v.body.p, 3);
	assert_int_equal(snet_record_decode_forward(&got, in, n - 3), SNET_OK);
	assert_int_equal(got.body.n, 0);
	free(in);
}

/* ---- any body, by what it is called */

enum kind { RESUME_BODY, ACK_BODY, BYE_BODY, FORWARD_BODY };

/* Reads, and when that works writes again. */
static int cross(enum kind kind, const uint8_t *p, size_t n, struct snet_buf *out)
{
	struct snet_record_resume r;
	struct snet_record_marks a;
	struct snet_record_bye b;
	struct snet_record_forward f;
	int rc = SNET_EINVAL;

	switch (kind) {
	case RESUME_BODY:
		rc = snet_record_decode_resume(&r, p, n);
		return rc ? rc : snet_record_encode_resume(&r, out);
	case ACK_BODY:
		rc = snet_record_decode_ack(&a, p, n);
		return rc ? rc : snet_record_encode_ack(&a, out);
	case BYE_BODY:
		rc = snet_record_decode_bye(&b, p, n);
		return rc ? rc : snet_record_encode_bye(&b, out);
	case FORWARD_BODY:
		rc = snet_record_decode_forward(&f, p, n);
		return rc ? rc : snet_record_encode_forward(&f, out);
	}
	return rc;
}

static const char *const bodies[] = { RESUME, ACK, BYE, FORWARD };

static void every_truncated_body_is_refused(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct snet_buf out = SNET_BUF(1000);
		size_t n;
		uint8_t *in = vectors_unhex(bodies[kind], &n);

		if (kind == FORWARD_BODY)
			n = 16; /* the rest is its own body, of any length */
		for (size_t k = 0; k < n; k++) {
			uint8_t *part = malloc(k ? k : 1); /* exact: a read too far is seen */

			memcpy(part, in, k);
			assert_int_equal(cross(kind, part, k, &out), SNET_EPROTO);
			free(part);
		}
		free(in);
		snet_buf_free(&out);
	}
}

static void bytes_after_a_body_are_refused(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < FORWARD_BODY; kind++) {
		struct snet_buf out = SNET_BUF(1000);
		size_t n;
		uint8_t *in = vectors_unhex(bodies[kind], &n);

		in = realloc(in, n + 1);
		assert_non_null(in);
		in[n] = 0;
		assert_int_equal(cross(kind, in, n + 1, &out), SNET_EPROTO);
		free(in);
	}
}

static void a_changed_byte_is_refused_or_read_as_it_is(void **state)
{
	size_t refused = 0;

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		size_t n;
		uint8_t *in = vectors_unhex(bodies[kind], &n);

		for (size_t k = 0; k < n * 256; k++) {
			struct snet_buf out = SNET_BUF(n);
			uint8_t was = in[k / 256];

			in[k / 256] = (uint8_t)k;
			if (cross(kind, in, n, &out)) {
				refused++;
			} else {
				assert_int_equal(out.n, n);
				assert_memory_equal(out.p, in, n);
			}
			snet_buf_free(&out);
			in[k / 256] = was;
		}
		free(in);
	}
	assert_true(refused > 1000);
}

/* clang-format off */
static const struct {
	const char *name;
	enum kind kind;
	const char *hex;
	bool good;
} odd[] = {
	{ "no streams",            ACK_BODY, "00", true },
	{ "one stream",            ACK_BODY, "01" "0f0000000000000000", true },
	{ "17 streams",            ACK_BODY, "11" "000000000000000000", false },
	{ "255 streams",           ACK_BODY, "ff", false },
	{ "stream 16",             ACK_BODY, "01" "100000000000000000", false },
	{ "the same stream twice", ACK_BODY, "02" "010000000000000000" "010000000000000000", false },
	{ "streams falling",       ACK_BODY, "02" "020000000000000000" "010000000000000000", false },
	{ "no reason",             BYE_BODY, "0000000000000000" "0000", true },
	{ "reason of 1025 bytes",  BYE_BODY, "0000000000000000" "0401", false },
	{ "reason longer than it is", BYE_BODY, "0000000000000000" "0002" "61", false },
	{ "version 0, no label",   RESUME_BODY, "0000" SESSION "0000" "00000000" ROSTER "00", true },
	{ "version 65535",         RESUME_BODY, "ffff" SESSION "0000" "00000000" ROSTER "00", true },
	{ "label not UTF-8",       RESUME_BODY, "0001" SESSION "0001ff" "00000000" ROSTER "00", false },
	{ "label of 65535 bytes",  RESUME_BODY, "0001" SESSION "ffff" "00000000" ROSTER "00", false },
};
/* clang-format on */

static void odd_bodies_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct snet_buf out = SNET_BUF(1000);
		size_t n;
		uint8_t *in = vectors_unhex(odd[i].hex, &n);

		print_message("# %s\n", odd[i].name);
		assert_int_equal(cross(odd[i].kind, in, n, &out),
				 odd[i].good ? SNET_OK : SNET_EPROTO);
		free(in);
		snet_buf_free(&out);
	}
}

static void texts_may_be_as_long_as_their_ceiling(void **state)
{
	static uint8_t text[SNET_LABEL_MAX + 1];
	struct snet_record_bye bye = { 0, { text, SNET_REASON_MAX, NULL } };
	struct snet_record_resume r = resume();
	struct snet_buf out = SNET_BUF(2000);

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(snet_record_encode_bye(&bye, &out), SNET_OK);
	assert_int_equal(snet_record_decode_bye(&bye, out.p, out.n), SNET_OK);
	assert_int_equal(bye.reason.n, SNET_REASON_MAX);
	out.n = 0;
	r.label = (struct snet_slice){ text, SNET_LABEL_MAX, NULL };
	assert_int_equal(snet_record_encode_resume(&r, &out), SNET_OK);
	assert_int_equal(snet_record_decode_resume(&r, out.p, out.n), SNET_OK);
	assert_int_equal(r.label.n, SNET_LABEL_MAX);
	snet_buf_free(&out);
}

static void what_the_wire_cannot_carry_is_not_written(void **state)
{
	static uint8_t text[SNET_LABEL_MAX + 1];
	struct snet_record_resume r = resume();
	struct snet_record_bye bye = { 0, { text, sizeof(text), NULL } };
	struct snet_record_marks m = { 17, { { 0, 0 } } };
	struct snet_buf out = SNET_BUF(9000);

	(void)state;
	snet_buf_str(&out, "before");
	assert_int_equal(snet_record_encode_bye(&bye, &out), SNET_EINVAL);
	assert_int_equal(snet_record_encode_ack(&m, &out), SNET_EINVAL);
	m = (struct snet_record_marks){ 1, { { 16, 0 } } };
	assert_int_equal(snet_record_encode_ack(&m, &out), SNET_EINVAL);
	m = (struct snet_record_marks){ 2, { { 1, 0 }, { 1, 0 } } };
	assert_int_equal(snet_record_encode_ack(&m, &out), SNET_EINVAL);
	r.next = m;
	assert_int_equal(snet_record_encode_resume(&r, &out), SNET_EINVAL);
	r = resume();
	r.label = (struct snet_slice){ text, sizeof(text), NULL };
	assert_int_equal(snet_record_encode_resume(&r, &out), SNET_EINVAL);
	r.label = (struct snet_slice)TEXT("\xff");
	assert_int_equal(snet_record_encode_resume(&r, &out), SNET_EINVAL);
	assert_int_equal(out.n, 6);
	assert_true(out.bad);
	snet_buf_free(&out);
}

static void writing_stops_at_the_ceiling(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		size_t n;
		uint8_t *in = vectors_unhex(bodies[kind], &n);

		for (size_t max = 0; max < n; max++) {
			struct snet_buf out = SNET_BUF(max);

			assert_int_equal(cross(kind, in, n, &out), SNET_ETOOBIG);
			assert_int_equal(out.n, 0);
			snet_buf_free(&out);
		}
		free(in);
	}
}

static int encode_all(void *user)
{
	const struct snet_record_resume r = resume();
	const struct snet_record_bye bye = { 1, TEXT("why") };
	struct snet_buf out = SNET_BUF(1000);
	int rc;

	(void)user;
	if (!(rc = snet_record_encode_resume(&r, &out)))
		rc = snet_record_encode_bye(&bye, &out);
	snet_buf_free(&out);
	return rc;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	assert_true(torture(encode_all, NULL) >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_have_their_numbers_and_names),
		cmocka_unit_test(a_record_is_a_type_byte_and_a_body),
		cmocka_unit_test(an_empty_frame_is_no_record),
		cmocka_unit_test(resume_is_written_and_read),
		cmocka_unit_test(ack_is_written_and_read),
		cmocka_unit_test(bye_is_written_and_read),
		cmocka_unit_test(forward_is_written_and_read),
		cmocka_unit_test(every_truncated_body_is_refused),
		cmocka_unit_test(bytes_after_a_body_are_refused),
		cmocka_unit_test(a_changed_byte_is_refused_or_read_as_it_is),
		cmocka_unit_test(odd_bodies_are_judged),
		cmocka_unit_test(texts_may_be_as_long_as_their_ceiling),
		cmocka_unit_test(what_the_wire_cannot_carry_is_not_written),
		cmocka_unit_test(writing_stops_at_the_ceiling),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("wire/record", tests, NULL, NULL);
}
