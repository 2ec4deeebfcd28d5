/* mesh/session: who agrees, who does not and about what, and who is known to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/session.h"
#include "support/torture.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HERE 0x1122334455667788u
#define THERE 0xaabbccddeeff0011u
#define OTHER 0x0102030405060708u

static struct snet_session session(uint64_t incarnation)
{
	struct snet_session s = { incarnation, "net", 3, { 0x12, 0x34, 0x56 } };

	return s;
}

static struct snet_record_marks two_marks(void)
{
	struct snet_record_marks m = { .count = 2 };

	m.mark[0].stream = 0;
	m.mark[0].at = 7;
	m.mark[1].stream = 15;
	m.mark[1].at = 1u << 20;
	return m;
}

/* What `here` makes of a resume that `there` says, knowing `known_there` of it. */
static int hears(const struct snet_session *here, uint64_t known_here,
		 const struct snet_session *there, uint64_t known_there,
		 struct snet_session_heard *heard, struct snet_error *err)
{
	struct snet_buf b = SNET_BUF(SNET_SESSION_RECORD_MAX);
	struct snet_record_marks next = two_marks();
	int rc;

	assert_int_equal(snet_session_encode(there, known_there, &next, &b), SNET_OK);
	rc = snet_session_hear(heard, here, known_here, b.p, b.n, err);
	snet_buf_free(&b);
	return rc;
}

static void the_session_bytes_are_both_incarnations(void **s)
{
	static const uint8_t expect[SNET_SESSION_BYTES] = { 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
							    0x00, 0x11, 0x11, 0x22, 0x33, 0x44,
							    0x55, 0x66, 0x77, 0x88 };
	struct snet_session there = session(THERE);
	struct snet_record_marks next = two_marks();
	struct snet_buf b = SNET_BUF(SNET_SESSION_RECORD_MAX);
	struct snet_record_resume v;

	(void)s;
	assert_int_equal(snet_session_encode(&there, HERE, &next, &b), SNET_OK);
	assert_int_equal(snet_record_decode_resume(&v, b.p, b.n), SNET_OK);
	assert_int_equal(v.version, 1);
	assert_memory_equal(v.session, expect, sizeof(expect));
	assert_int_equal(v.label.n, 3);
	assert_memory_equal(v.label.p, "net", 3);
	assert_int_equal(v.n, 3);
	assert_memory_equal(v.roster, there.roster, sizeof(v.roster));
	assert_int_equal(v.next.count, 2);
	assert_int_equal(v.next.mark[1].stream, 15);
	assert_int_equal(v.next.mark[1].at, 1u << 20);
	snet_buf_free(&b);
}

/* They know us or not, we know them or not; or the one known came before. */
static void who_knows_whom_decides_what_counts(void **s)
{
	static const struct {
		uint64_t we_know, they_know;
		bool is_new, marks_count;
	} cases[] = {
		{ 0, 0, true, false },        /* the first time */
		{ THERE, HERE, false, true }, /* a connection was lost */
		{ THERE, 0, false, false },   /* and our resume with it */
		{ 0, HERE, true, true },      /* or theirs */
		{ OTHER, 0, true, false },    /* they were started again */
		{ OTHER, HERE, true, true },  /* and heard us, but not we them */
		{ 0, OTHER, true, false },    /* we were started again */
		{ THERE, OTHER, false, false }, { OTHER, OTHER, true, false },
	};
	struct snet_session here = session(HERE), there = session(THERE);

	(void)s;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct snet_session_heard h;

		memset(&h, 0xee, sizeof(h));
		assert_int_equal(
			hears(&here, cases[i].we_know, &there, cases[i].they_know, &h, NULL),
			SNET_OK);
		assert_true(h.incarnation == THERE);
		assert_int_equal(h.is_new, cases[i].is_new);
		assert_int_equal(h.next.count, cases[i].marks_count ? 2 : 0);
		if (!cases[i].marks_count)
			continue;
		assert_int_equal(h.next.mark[0].stream, 0);
		assert_int_equal(h.next.mark[0].at, 7);
		assert_int_equal(h.next.mark[1].stream, 15);
		assert_int_equal(h.next.mark[1].at, 1u << 20);
	}
}

/* ---- disagreement */

static void disagree(const struct snet_session *here, const struct snet_session *there,
		     const char *words)
{
	struct snet_session_heard h = { .incarnation = 5 };
	struct snet_error err = { 0 };

	assert_int_equal(hears(here, 0, there, 0, &h, &err), SNET_ECONFIG);
	assert_int_equal(err.code, SNET_ECONFIG);
	assert_string_equal(err.text, words);
	assert_int_equal(h.incarnation, 5); /* nothing is told */
	assert_int_equal(hears(here, 0, there, 0, &h, NULL), SNET_ECONFIG);
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN
#define CONTROLS "a\x1b[2J\n\x7f\xc3\xa9'"

static void another_label_is_named_on_both_sides(void **s)
{
	static const struct {
		const char *here, *there, *words;
	} cases[] = {
		{ "a", "b", "session 'a' here, 'b' there" },
		{ "net", "nets", "session 'net' here, 'nets' there" },
		{ "", "b", "session '' here, 'b' there" },
		{ NULL, "b", "session '' here, 'b' there" },
		{ "b", NULL, "session 'b' here, '' there" },
		{ "a", CONTROLS, "session 'a' here, 'a?[2J?\?\?\?'' there" },
		{ CONTROLS, "a", "session 'a?[2J?\?\?\?'' here, 'a' there" },
		{ "a", SIXTY TEN, "session 'a' here, '" SIXTY "0123' there" },
		{ SIXTY TEN "x", "1" SIXTY TEN,
		  "session '" SIXTY "0123' here, '1" SIXTY "012' there" },
		/* Both look the same. */
		{ SIXTY TEN, SIXTY "0123456",
		  "session '" SIXTY "0123' here, '" SIXTY
		  "0123' there: 70 and 67 bytes, not the same after 67" },
		{ "\xc3\xa9", "\xc3\xa8",
		  "session '?\?' here, '?\?' there: 2 and 2 bytes, not the same after 1" },
	};

	(void)s;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct snet_session here = session(HERE), there = session(THERE);

		here.label = cases[i].here;
		there.label = cases[i].there;
		disagree(&here, &there, cases[i].words);
	}
}

/* The longest there is: all of the words fit. */
static void the_longest_labels_fit_the_words(void **s)
{
	struct snet_session here = session(HERE), there = session(THERE);
	char a[SNET_LABEL_MAX + 1] = "", b[SNET_LABEL_MAX + 1] = "", words[256];

	(void)s;
	memset(a, 'x', SNET_LABEL_MAX);
	memset(b, 'x', SNET_LABEL_MAX);
	here.label = a;
	there.label = b;
	assert_int_equal(hears(&here, 0, &there, 0, &(struct snet_session_heard){ 0 }, NULL),
			 SNET_OK);
	b[SNET_LABEL_MAX - 1] = 'y';
	snprintf(words, sizeof(words),
		 "session '%.64s' here, '%.64s' there: 1024 and 1024 bytes, not the same after "
		 "1023",
		 a, b);
	disagree(&here, &there, words);
}

static void no_label_is_an_empty_one(void **s)
{
	struct snet_session here = session(HERE), there = session(THERE);
	struct snet_session_heard h;

	(void)s;
	here.label = NULL;
	there.label = "";
	assert_int_equal(hears(&here, 0, &there, 0, &h, NULL), SNET_OK);
	assert_int_equal(hears(&there, 0, &here, 0, &h, NULL), SNET_OK);
}

static void another_number_of_parties_is_named(void **s)
{
	struct snet_session here = session(HERE), there = session(THERE);

	(void)s;
	there.n = 4;
	there.roster[0]++; /* follows from it, and is not what one wants to know */
	disagree(&here, &there, "3 parties here, 4 there");
	there.n = UINT32_MAX;
	disagree(&there, &here, "4294967295 parties here, 3 there");
}

static void another_roster_is_named_by_digest(void **s)
{
	struct snet_session here = session(HERE), there = session(THERE);

	(void)s;
	there.roster[0] = 0xab;
	disagree(&here, &there,
		 "another roster (digest 1234560000000000.. here, ab34560000000000.. there)");
	there = session(THERE);
	there.roster[SNET_DIGEST_BYTES - 1] = 1; /* all of it is compared */
	disagree(&here, &there,
		 "another roster (digest 1234560000000000.. here, 1234560000000000.. there)");
}

static void another_version_is_named_whatever_follows(void **s)
{
	static const uint8_t bare[] = { 0, 2 };
	struct snet_session here = session(HERE), there = session(THERE);
	struct snet_buf b = SNET_BUF(SNET_SESSION_RECORD_MAX);
	struct snet_record_marks next = two_marks();
	struct snet_session_heard h;
	struct snet_error err;

	(void)s;
	there.label = "another";
	assert_int_equal(snet_session_encode(&there, HERE, &next, &b), SNET_OK);
	b.p[0] = 1;
	b.p[1] = 0;
	assert_int_equal(snet_session_hear(&h, &here, 0, b.p, b.n, &err), SNET_ECONFIG);
	assert_string_equal(err.text, "version 256 of the protocol there, 1 here");
	assert_int_equal(snet_session_hear(&h, &here, 0, bare, 2, &err), SNET_ECONFIG);
	assert_string_equal(err.text, "version 2 of the protocol there, 1 here");
	snet_buf_free(&b);
}

/* ---- what is none */

static void what_is_no_resume_is_refused(void **s)
{
	struct snet_session here = session(HERE), there = session(THERE);
	struct snet_buf b = SNET_BUF(SNET_SESSION_RECORD_MAX + 1);
	struct snet_record_marks next = two_marks();
	struct snet_session_heard h;
	struct snet_error err = { 0 };

	(void)s;
	assert_int_equal(snet_session_encode(&there, HERE, &next, &b), SNET_OK);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(snet_session_hear(&h, &here, THERE, b.p, n, &err),
				 SNET_EPROTO);
	assert_int_equal(err.code, SNET_EPROTO);
	assert_int_equal(snet_session_hear(&h, &here, THERE, NULL, 0, &err), SNET_EPROTO);
	assert_int_equal(snet_session_hear(&h, &here, THERE, b.p, b.n, &err), SNET_OK);
	assert_int_equal(snet_buf_u8(&b, 0), SNET_OK);
	assert_int_equal(snet_session_hear(&h, &here, THERE, b.p, b.n, &err), SNET_EPROTO);
	b.n--;
	memset(b.p + 2, 0, 8); /* nobody */
	assert_int_equal(snet_session_hear(&h, &here, 0, b.p, b.n, &err), SNET_EPROTO);
	snet_buf_free(&b);
}

static void what_cannot_be_said_is_not(void **s)
{
	struct snet_record_marks next = two_marks();
	struct snet_buf b = SNET_BUF(SNET_SESSION_RECORD_MAX);
	struct snet_session here = session(0);
	char label[SNET_LABEL_MAX + 2] = "";

	(void)s;
	assert_int_equal(snet_session_encode(&here, THERE, &next, &b), SNET_EINVAL);
	here = session(HERE);
	here.label = "\xff";
	assert_int_equal(snet_session_encode(&here, THERE, &next, &b), SNET_EINVAL);
	memset(label, 'x', SNET_LABEL_MAX + 1);
	here.label = label;
	assert_int_equal(snet_session_encode(&here, THERE, &next, &b), SNET_EINVAL);
	assert_int_equal(b.n, 0);
	/* One byte less, and all streams: what the ceiling is made for. */
	label[SNET_LABEL_MAX] = '\0';
	next.count = SNET_RECORD_STREAMS;
	for (unsigned i = 0; i < SNET_RECORD_STREAMS; i++) {
		next.mark[i].stream = (uint8_t)i;
		next.mark[i].at = UINT64_MAX;
	}
	snet_buf_free(&b);
	b = SNET_BUF(SNET_SESSION_RECORD_MAX);
	assert_int_equal(snet_session_encode(&here, THERE, &next, &b), SNET_OK);
	assert_int_equal(b.n, SNET_SESSION_RECORD_MAX);
	snet_buf_free(&b);
}

static int say_it(void *user)
{
	struct snet_session here = session(HERE);
	struct snet_record_marks next = two_marks();
	struct snet_buf b = SNET_BUF(SNET_SESSION_RECORD_MAX);
	int rc = snet_session_encode(&here, THERE, &next, &b);

	(void)user;
	if (rc)
		assert_int_equal(b.n, 0);
	snet_buf_free(&b);
	return rc;
}

static void nothing_is_said_when_memory_runs_out(void **s)
{
	(void)s;
	assert_true(torture(say_it, NULL) >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_session_bytes_are_both_incarnations),
		cmocka_unit_test(who_knows_whom_decides_what_counts),
		cmocka_unit_test(another_label_is_named_on_both_sides),
		cmocka_unit_test(the_longest_labels_fit_the_words),
		cmocka_unit_test(no_label_is_an_empty_one),
		cmocka_unit_test(another_number_of_parties_is_named),
		cmocka_unit_test(another_roster_is_named_by_digest),
		cmocka_unit_test(another_version_is_named_whatever_follows),
		cmocka_unit_test(what_is_no_resume_is_refused),
		cmocka_unit_test(what_cannot_be_said_is_not),
		cmocka_unit_test(nothing_is_said_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
