#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/units.h"

/* clang-format off */
static const struct {
	const char *text;
	snet_time want;
	const char *printed;
} durations[] = {
	{ "0",          0,                        "0"       },
	{ "0s",         0,                        "0"       },
	{ "0.000us",    0,                        "0"       },
	{ "250ms",      250 * SNET_MS,            "250ms"   },
	{ "5s",         5 * SNET_SEC,             "5s"      },
	{ "5",          5 * SNET_SEC,             "5s"      },
	{ "05",         5 * SNET_SEC,             "5s"      },
	{ "1.5s",       1500 * SNET_MS,           "1.5s"    },
	{ "1.5",        1500 * SNET_MS,           "1.5s"    },
	{ "1500ms",     1500 * SNET_MS,           "1.5s"    },
	{ "2m",         120 * SNET_SEC,           "2m"      },
	{ "120s",       120 * SNET_SEC,           "2m"      },
	{ "90s",        90 * SNET_SEC,            "90s"     },
	{ "1.5m",       90 * SNET_SEC,            "90s"     },
	{ "1h",         3600 * SNET_SEC,          "1h"      },
	{ "90m",        5400 * SNET_SEC,          "90m"     },
	{ "24h",        86400 * SNET_SEC,         "24h"     },
	{ "10us",       10 * SNET_US,             "10us"    },
	{ "0.5us",      500,                      "0.5us"   },
	{ "0.001us",    1,                        "0.001us" },
	{ "1.001001ms", 1001001,                  "1.001001ms" },
	{ "1.000000001s", SNET_SEC + 1,           "1.000000001s" },
	{ "1.50000000000s", 1500 * SNET_MS,       "1.5s"    },
	{ "0.3333333333s", 333333333,             "333.333333ms" },
	{ "5124095h",   5124095ull * 3600 * SNET_SEC, "5124095h" },
	{ "never",      SNET_NEVER,               "never"   },
};

static const char *const not_durations[] = {
	"", " ", "s", "-1", "+1", "1 s", " 1", "1s ", "1S", "1sec", "1d", "1ns", "1.", ".5", "1..5", "1.5.5", "1,5", "1e3",
	"0x10", "NEVER", "inf", "nan", "0.0001us", "5124096h", "18446744073709551615us", "18446744073.709551615s",
	"99999999999999999999999", "1.00000000000000000000000001s",
};

static const struct {
	const char *text;
	uint64_t want;
	const char *printed;
} sizes[] = {
	{ "0",        0,             "0"       },
	{ "1",        1,             "1"       },
	{ "1000",     1000,          "1000"    },
	{ "1000B",    1000,          "1000"    },
	{ "64k",      65536,         "64KiB"   },
	{ "64K",      65536,         "64KiB"   },
	{ "64KiB",    65536,         "64KiB"   },
	{ "64kB",     64000,         "64000"   },
	{ "1M",       1048576,       "1MiB"    },
	{ "1m",       1048576,       "1MiB"    },
	{ "1MiB",     1048576,       "1MiB"    },
	{ "1MB",      1000000,       "1000000" },
	{ "100MiB",   104857600,     "100MiB"  },
	{ "1.5k",     1536,          "1536"    },
	{ "1.5M",     1572864,       "1536KiB" },
	{ "0.1k",     102,           "102"     },
	{ "1g",       1ull << 30,    "1GiB"    },
	{ "1GiB",     1ull << 30,    "1GiB"    },
	{ "1GB",      1000000000,    "1000000000" },
	{ "1073741825", (1ull << 30) + 1, "1073741825" },
	{ "2TiB",     2ull << 40,    "2TiB"    },
	{ "16777215TiB", 0xffffff0000000000, "16777215TiB" },
	{ "9999999999999999999", 9999999999999999999ull, "9999999999999999999" },
};

static const char *const not_sizes[] = {
	"", "k", "-1", "+1", "1 k", "1KB", "1Kb", "1kib", "1KiBs", "1mb", "1.", ".5k", "1..5k", "0x10", "1e6", "0.0001",
	"16777216TiB", "18446744073709551616", "99999999999999999999999", "never",
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void durations_are_understood_and_printed_back(void **state)
{
	char text[SNET_UNITS_TEXT];
	snet_time d, again;

	(void)state;
	for (size_t i = 0; i < COUNT(durations); i++) {
		print_message("# %s\n", durations[i].text);
		assert_int_equal(snet_duration_parse(&d, durations[i].text), SNET_OK);
		assert_true(d == durations[i].want);
		assert_ptr_equal(snet_duration_print(d, text), text);
		assert_string_equal(text, durations[i].printed);
		assert_int_equal(snet_duration_parse(&again, text), SNET_OK);
		assert_true(again == d);
	}
}

static void nothing_else_is_a_duration(void **state)
{
	snet_time d = 77;

	(void)state;
	for (size_t i = 0; i < COUNT(not_durations); i++) {
		print_message("# '%s'\n", not_durations[i]);
		assert_int_equal(snet_duration_parse(&d, not_durations[i]), SNET_EINVAL);
		assert_true(d == 77);
	}
}

static void every_duration_survives_printing(void **state)
{
	char text[SNET_UNITS_TEXT];
	uint64_t seed = 1;
	snet_time back;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		snet_time d;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		d = seed >> (seed >> 58);
		snet_duration_print(d, text);
		assert_true(strlen(text) < SNET_UNITS_TEXT);
		assert_int_equal(snet_duration_parse(&back, text), SNET_OK);
		assert_true(back == d);
	}
	snet_duration_print(SNET_NEVER - 1, text);
	assert_string_equal(text, "18446744073.709551614s");
}

static void sizes_are_understood_and_printed_back(void **state)
{
	char text[SNET_UNITS_TEXT];
	uint64_t n, again;

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		print_message("# %s\n", sizes[i].text);
		assert_int_equal(snet_size_parse(&n, sizes[i].text), SNET_OK);
		assert_true(n == sizes[i].want);
		assert_string_equal(snet_size_print(n, text), sizes[i].printed);
		assert_int_equal(snet_size_parse(&again, text), SNET_OK);
		assert_true(again == n);
	}
}

static void nothing_else_is_a_size(void **state)
{
	uint64_t n = 77;

	(void)state;
	for (size_t i = 0; i < COUNT(not_sizes); i++) {
		print_message("# '%s'\n", not_sizes[i]);
		assert_int_equal(snet_size_parse(&n, not_sizes[i]), SNET_EINVAL);
		assert_true(n == 77);
	}
}

/* clang-format off */
static const struct {
	const char *text;
	uint64_t want;
	const char *printed;
} rates[] = {
	{ "0",        0,           "0bit"     },
	{ "1bit",     1,           "1bit"     },
	{ "64kbit",   64000,       "64kbit"   },
	{ "10mbit",   10000000,    "10mbit"   },
	{ "10Mbit",   10000000,    "10mbit"   },
	{ "2.32gbit", 2320000000,  "2.32gbit" },
	{ "0.5mbit",  500000,      "500kbit"  },
	{ "1tbit",    1000000000000, "1tbit"  },
	{ "5MB/s",    40000000,    "40mbit"   },
	{ "1B/s",     8,           "8bit"     },
	{ "1kB/s",    8000,        "8kbit"    },
	{ "1KiB/s",   8192,        "8.192kbit" },
	{ "1MiB/s",   8388608,     "8388.608kbit" },
	{ "1234567bit", 1234567,   "1234.567kbit" },
};

static const char *const not_rates[] = {
	"", "1", "10", "bit", "-1bit", "1 bit", "1bits", "1kb", "1MB", "1m", "10mbps", "10Mbps", "1bps", "1Gib/s",
	"99999999tbit", "1e3bit", "never",
};

static const struct {
	const char *text, *clear;
} ambiguous[] = {
	{ "10mbps", "10mbit or 10MB/s" }, { "10Mbps", "10mbit or 10MB/s" }, { "1.5gbps", "1.5gbit or 1.5GB/s" },
	{ "64kbps", "64kbit or 64kB/s" }, { "64Kbps", "64kbit or 64kB/s" }, { "9bps", "9bit or 9B/s" },
	{ "10MBPS", "10mbit or 10MB/s" },
};
/* clang-format on */

static void rates_are_bits_per_second(void **state)
{
	char text[SNET_UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		uint64_t got = 1, again;

		assert_int_equal(snet_rate_parse(&got, rates[i].text), SNET_OK);
		assert_int_equal(got, rates[i].want);
		assert_string_equal(snet_rate_print(got, text), rates[i].printed);
		assert_int_equal(snet_rate_parse(&again, text), SNET_OK);
		assert_int_equal(again, got);
	}
	for (size_t i = 0; i < sizeof(not_rates) / sizeof(*not_rates); i++) {
		uint64_t got;

		if (!snet_rate_parse(&got, not_rates[i]))
			fail_msg("'%s' was taken for a rate", not_rates[i]);
	}
}

static void rates_that_may_be_bits_or_bytes_are_ambiguous(void **state)
{
	char text[2 * SNET_UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(ambiguous) / sizeof(*ambiguous); i++) {
		assert_true(snet_rate_ambiguous(ambiguous[i].text, text));
		assert_string_equal(text, ambiguous[i].clear);
	}
	assert_false(snet_rate_ambiguous("10mbit", text));
	assert_false(snet_rate_ambiguous("mbps", text));
	assert_false(snet_rate_ambiguous("10", text));
	assert_false(snet_rate_ambiguous("123456789mbps", text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_understood_and_printed_back),
		cmocka_unit_test(nothing_else_is_a_duration),
		cmocka_unit_test(every_duration_survives_printing),
		cmocka_unit_test(sizes_are_understood_and_printed_back),
		cmocka_unit_test(nothing_else_is_a_size),
		cmocka_unit_test(rates_are_bits_per_second),
		cmocka_unit_test(rates_that_may_be_bits_or_bytes_are_ambiguous),
	};

	return cmocka_run_group_tests_name("base/units", tests, NULL, NULL);
}
