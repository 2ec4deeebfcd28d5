/* io/dnsmsg: what a message says, and what no message may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/dnsmsg.h"

/* Literals end where the next one begins, so that no digit runs into an escape. */
#define HEAD(questions, answers) "\0\0\x84\0\0" questions "\0" answers "\0\0\0\0"
#define NAME "\1a\5local\0"
#define A(of, ttl, last) of "\0\1\x80\1\0\0\0" ttl "\0\4\xc0\0\2" last

struct text {
	const char *p;
	size_t n;
};

#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

static int read_exact(struct snet_dns_answers *out, const char *p, size_t n, const char *name)
{
	uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees a read past the end */
	int rc;

	assert_non_null(exact);
	memcpy(exact, p, n);
	rc = snet_dnsmsg_read(out, exact, n, name);
	free(exact);
	return rc;
}

static void a_question_asks_for_one_family_or_both(void **state)
{
	static const char v4[] = "\0\0\0\0\0\1\0\0\0\0\0\0" NAME "\0\1\x80\1",
			  both[] = "\0\0\0\0\0\2\0\0\0\0\0\0" NAME "\0\1\x80\1"
				   "\xc0\x0c\0\x1c\x80\1";
	uint8_t p[SNET_DNS_ASK_MAX];

	(void)state;
	assert_int_equal(snet_dnsmsg_ask(p, "a.local", AF_INET), sizeof(v4) - 1);
	assert_memory_equal(p, v4, sizeof(v4) - 1);
	assert_int_equal(snet_dnsmsg_ask(p, "a.local.", AF_UNSPEC), sizeof(both) - 1);
	assert_memory_equal(p, both, sizeof(both) - 1);
}

static void names_have_their_limits(void **state)
{
	uint8_t p[SNET_DNS_ASK_MAX];
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0'; /* 255 bytes on the wire, which is all there may be */
	assert_int_equal(snet_dnsmsg_ask(p, name, AF_UNSPEC), SNET_DNS_ASK_MAX);
	name[253] = 'a';
	name[254] = '\0';
	assert_int_equal(snet_dnsmsg_ask(p, name, AF_UNSPEC), 0);
	name[63] = 'a';
	name[64] = '\0'; /* a label of 64 */
	assert_int_equal(snet_dnsmsg_ask(p, name, AF_UNSPEC), 0);
	assert_int_equal(snet_dnsmsg_ask(p, "", AF_UNSPEC), 0);
	assert_int_equal(snet_dnsmsg_ask(p, "a..local", AF_UNSPEC), 0);
}

static void addresses_of_the_name_are_read_and_no_others(void **state)
{
	static const struct {
		struct text m;
		size_t n;
	} cases[] = {
		{ TEXT(HEAD("\0", "\1") A(NAME, "x", "\7")), 1 },
		{ TEXT(HEAD("\0", "\1") A("\1A\5LOCAL\0", "x", "\7")), 1 },
		{ TEXT(HEAD("\0", "\1") A("\1b\5local\0", "x", "\7")), 0 },
		{ TEXT(HEAD("\0", "\1") A("\1a\0", "x", "\7")), 0 },
		{ TEXT(HEAD("\0", "\1") A(NAME, "\0", "\7")), 0 }, /* a goodbye */
		{ TEXT(HEAD("\0", "\2") A(NAME, "x", "\7") A("\xc0\x0c", "x", "\x8")), 2 },
		{ TEXT(HEAD("\1", "\1") NAME "\0\1\0\1" A("\xc0\x0c", "x", "\7")), 1 },
		/* "a" and a pointer to "local" */
		{ TEXT(HEAD("\0", "\2") A(NAME, "x", "\7") A("\1a\xc0\x0e", "x", "\x8")), 2 },
		/* another type, and another class */
		{ TEXT(HEAD("\0", "\1") NAME "\0\x10\0\1\0\0\0x\0\2\1a"), 0 },
		{ TEXT(HEAD("\0", "\1") NAME "\0\1\0\3\0\0\0x\0\4\1\2\3\4"), 0 },
		/* an alias is not followed on the link */
		{ TEXT(HEAD("\0", "\2") NAME "\0\5\0\1\0\0\0x\0\3\1b\0" A("\1b\0", "x", "\7")),
		  0 },
	};
	struct snet_dns_answers a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_exact(&a, cases[i].m.p, cases[i].m.n, "a.local"),
				 SNET_OK);
		assert_int_equal(a.addrs_n, cases[i].n);
		assert_int_equal(a.targets_n, 0);
	}
}

/* Each breaks one rule; and any of the good ones, cut or with something behind it. */
static void what_is_broken_says_nothing(void **state)
{
	static const struct text cases[] = {
		TEXT("\0\0\4\0\0\0\0\1\0\0\0\0" A(NAME, "x", "\7")),   /* a query */
		TEXT("\0\0\x84\3\0\0\0\1\0\0\0\0" A(NAME, "x", "\7")), /* an error */
		TEXT("\0\0\xac\0\0\0\0\1\0\0\0\0" A(NAME, "x", "\7")), /* an opcode */
		TEXT(HEAD("\0", "\1") A("\xc0\x0c", "x", "\7")),       /* to itself */
		TEXT(HEAD("\0", "\1") A("\xc0\x0d", "x", "\7")),       /* ahead */
		TEXT(HEAD("\0", "\1") A("\x40"
					"a\0",
					"x", "\7")),                       /* no such label */
		TEXT(HEAD("\0", "\1") NAME "\0\1\x80\1\0\0\0x\0\3\1\2\3"), /* 3 bytes of IPv4 */
		TEXT(HEAD("\0", "\1") NAME "\0\1\x80\1\0\0\0x\0\5\1\2\3\4\5"),
		TEXT(HEAD("\0", "\1") NAME "\0\1\x80\1\0\0\0x\0\x99\1\2\3\4"),
		TEXT(HEAD("\0", "\2") A(NAME, "x", "\7")), /* one record of two */
		TEXT(HEAD("\1", "\1") A(NAME, "x", "\7")),
	};
	static const char good[] = HEAD("\1", "\1") NAME "\0\1\0\1" A("\xc0\x0c", "x", "\7");
	struct snet_dns_answers a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_exact(&a, cases[i].p, cases[i].n, "a.local"),
				 SNET_EPROTO);
		assert_int_equal(a.addrs_n, 0);
	}
	assert_int_equal(read_exact(&a, good, sizeof(good) - 1, "a.local"), SNET_OK);
	assert_int_equal(read_exact(&a, good, sizeof(good), "a.local"), SNET_EPROTO);
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		assert_int_equal(read_exact(&a, good, n, "a.local"), SNET_EPROTO);
	assert_int_equal(read_exact(&a, good, sizeof(good) - 1, "a..b"), SNET_EPROTO);
}

static void a_reply_is_of_what_was_asked_and_follows_aliases(void **state)
{
	static const char good[] = HEAD("\1", "\2") "\2_s\0\0\x21\0\1"
						    "\xc0\x0c\0\5\0\1\0\0\0\0\0\3\1b\0"
						    "\1b\0\0\x21\0\1\0\0\0\0\0\x0b"
						    "\0\1\0\2\0\3\1h\1x\0",
			  odd[] = HEAD("\1", "\1") "\2_s\0\0\x21\0\1"
						   "\xc0\x0c\0\x21\0\1\0\0\0x\0\x09"
						   "\0\1\0\2\0\3\1/\0";
	struct snet_dns_answers a;

	(void)state;
	assert_int_equal(read_exact(&a, good, sizeof(good) - 1, NULL), SNET_OK);
	assert_int_equal(a.targets_n, 1);
	assert_string_equal(a.targets[0].host, "h.x");
	assert_int_equal(a.targets[0].priority, 1);
	assert_int_equal(a.targets[0].weight, 2);
	assert_int_equal(a.targets[0].port, 3);
	assert_int_equal(read_exact(&a, odd, sizeof(odd) - 1, NULL), SNET_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_asks_for_one_family_or_both),
		cmocka_unit_test(names_have_their_limits),
		cmocka_unit_test(addresses_of_the_name_are_read_and_no_others),
		cmocka_unit_test(what_is_broken_says_nothing),
		cmocka_unit_test(a_reply_is_of_what_was_asked_and_follows_aliases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
