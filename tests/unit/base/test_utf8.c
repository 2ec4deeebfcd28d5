#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

/* clang-format off */
static const struct {
	const char *name, *text;
	size_t n, span;
} cases[] = {
	{ "nothing",                    "",                     0, 0 },
	{ "ASCII with NUL",             "a\0\x7f",              3, 3 },
	{ "first of two bytes",         "\xc2\x80",             2, 2 },
	{ "last of two bytes",          "\xdf\xbf",             2, 2 },
	{ "first of three bytes",       "\xe0\xa0\x80",         3, 3 },
	{ "before the surrogates",      "\xed\x9f\xbf",         3, 3 },
	{ "after the surrogates",       "\xee\x80\x80",         3, 3 },
	{ "U+FFFF",                     "\xef\xbf\xbf",         3, 3 },
	{ "first of four bytes",        "\xf0\x90\x80\x80",     4, 4 },
	{ "U+10FFFF",                   "\xf4\x8f\xbf\xbf",     4, 4 },
	{ "overlong NUL",               "\xc0\x80",             2, 0 },
	{ "overlong slash",             "a\xc1\xaf",            3, 1 },
	{ "overlong of three bytes",    "\xe0\x9f\xbf",         3, 0 },
	{ "overlong of four bytes",     "\xf0\x8f\xbf\xbf",     4, 0 },
	{ "first surrogate",            "\xed\xa0\x80",         3, 0 },
	{ "last surrogate",             "\xed\xbf\xbf",         3, 0 },
	{ "U+110000",                   "\xf4\x90\x80\x80",     4, 0 },
	{ "five bytes",                 "\xf8\x88\x80\x80\x80", 5, 0 },
	{ "0xff",                       "\xff",                 1, 0 },
	{ "a continuation alone",       "ab\x80",               3, 2 },
	{ "cut after one of two",       "x\xc3",                2, 1 },
	{ "cut after two of three",     "x\xe2\x82",            3, 1 },
	{ "cut after three of four",    "x\xf0\x9f\x98",        4, 1 },
	{ "third byte is none",         "\xe2\x82" "a",         3, 0 },
	{ "fourth byte is none",        "\xf0\x9f\x98" "a",     4, 0 },
	{ "bad after good",             "\xe2\x82\xac\xc3(",    5, 3 },
};
/* clang-format on */

static void text_is_valid_up_to_its_first_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Exact: a read past the end is seen. */
		uint8_t *p = malloc(cases[i].n + !cases[i].n);

		print_message("# %s\n", cases[i].name);
		memcpy(p, cases[i].text, cases[i].n);
		assert_int_equal(snet_utf8_span(p, cases[i].n), cases[i].span);
		assert_int_equal(snet_utf8_is_valid(p, cases[i].n),
				 cases[i].span == cases[i].n);
		free(p);
	}
	assert_true(snet_utf8_is_valid(NULL, 0));
}

static size_t put(uint8_t out[4], uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 63));
	out[0] = (uint8_t)(lead[n] | c);
	return n;
}

static void every_character_but_the_surrogates_is_valid(void **state)
{
	uint8_t p[4];

	(void)state;
	for (uint32_t c = 0; c < 0x120000; c++) {
		size_t n = put(p, c);

		assert_int_equal(snet_utf8_is_valid(p, n),
				 (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_valid_up_to_its_first_fault),
		cmocka_unit_test(every_character_but_the_surrogates_is_valid),
	};

	return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
