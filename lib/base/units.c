#include "base/units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

struct unit {
	const char *name;
	uint64_t scale;
};

/* clang-format off */
static const struct unit durations[] = {
	{ "us", SNET_US }, { "ms", SNET_MS }, { "s", SNET_SEC }, { "", SNET_SEC },
	{ "m", 60 * SNET_SEC }, { "h", 3600 * SNET_SEC }, { NULL, 0 },
};

static const struct unit sizes[] = {
	{ "", 1 }, { "B", 1 },
	{ "k", 1ull << 10 }, { "K", 1ull << 10 }, { "KiB", 1ull << 10 }, { "kB", 1000 },
	{ "m", 1ull << 20 }, { "M", 1ull << 20 }, { "MiB", 1ull << 20 }, { "MB", 1000000 },
	{ "g", 1ull << 30 }, { "G", 1ull << 30 }, { "GiB", 1ull << 30 }, { "GB", 1000000000 },
	{ "t", 1ull << 40 }, { "T", 1ull << 40 }, { "TiB", 1ull << 40 }, { "TB", 1000000000000 },
	{ NULL, 0 },
};

static const struct unit rates[] = {
	{ "bit", 1 }, { "kbit", 1000 }, { "mbit", 1000000 }, { "gbit", 1000000000 }, { "tbit", 1000000000000 },
	{ "Kbit", 1000 }, { "Mbit", 1000000 }, { "Gbit", 1000000000 }, { "Tbit", 1000000000000 },
	{ "B/s", 8 }, { "kB/s", 8000 }, { "MB/s", 8000000 }, { "GB/s", 8000000000 },
	{ "KiB/s", 8ull << 10 }, { "MiB/s", 8ull << 20 }, { "GiB/s", 8ull << 30 },
	{ NULL, 0 },
};
/* clang-format on */

/* Digits at *s, at least one. No sign, no space, whatever the locale. */
static int digits(const char **s, uint64_t *v, uint64_t *ten)
{
	const char *start = *s;

	*v = 0;
	*ten = 1;
	for (; **s >= '0' && **s <= '9'; ++*s)
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(**s - '0'), v) ||
		    __builtin_mul_overflow(*ten, 10, ten))
			return SNET_EINVAL;
	return *s > start ? SNET_OK : SNET_EINVAL;
}

/* number [ "." digits ] unit. Rounds down, but never what is something to nothing. */
static int parse(uint64_t *out, const char *text, const struct unit *units)
{
	uint64_t whole, part = 0, ten = 1, sum;
	const struct unit *u = units;

	while (text[0] == '0' && text[1] >= '0' && text[1] <= '9')
		text++;
	if (digits(&text, &whole, &ten))
		return SNET_EINVAL;
	ten = 1;
	if (*text == '.' && (text++, digits(&text, &part, &ten)))
		return SNET_EINVAL;
	for (; part && part % 10 == 0; ten /= 10)
		part /= 10;
	while (u->name && strcmp(u->name, text) != 0)
		u++;
	if (!u->name || __builtin_mul_overflow(whole, u->scale, &sum) ||
	    __builtin_mul_overflow(part, u->scale, &part) ||
	    __builtin_add_overflow(sum, part / ten, &sum) || (part && !sum))
		return SNET_EINVAL;
	*out = sum;
	return SNET_OK;
}

int snet_duration_parse(snet_time *out, const char *text)
{
	snet_time d;

	if (strcmp(text, "never") == 0) {
		*out = SNET_NEVER;
		return SNET_OK;
	}
	if (parse(&d, text, durations) || d == SNET_NEVER)
		return SNET_EINVAL;
	*out = d;
	return SNET_OK;
}

const char *snet_duration_print(snet_time d, char out[static SNET_UNITS_TEXT])
{
	const struct unit *u = &durations[d >= SNET_SEC ? 2 : d >= SNET_MS ? 1 : 0];
	int n;

	if (d == SNET_NEVER)
		return strcpy(out, "never");
	if (d && d % (3600 * SNET_SEC) == 0)
		u = &durations[5];
	else if (d && d % (60 * SNET_SEC) == 0)
		u = &durations[4];
	n = snprintf(out, SNET_UNITS_TEXT, "%" PRIu64, d / u->scale);
	if (d % u->scale) { /* only s, ms and us get here: scale is a power of ten */
		uint64_t rest = d % u->scale, scale = u->scale / 10;

		out[n++] = '.';
		for (; rest; rest %= scale, scale = scale > 1 ? scale / 10 : 1)
			out[n++] = (char)('0' + rest / scale);
	}
	strcpy(out + n, d ? u->name : "");
	return out;
}

int snet_size_parse(uint64_t *out, const char *text)
{
	return parse(out, text, sizes);
}

const char *snet_size_print(uint64_t n, char out[static SNET_UNITS_TEXT])
{
	static const struct unit units[] = {
		{ "TiB", 1ull << 40 },
		{ "GiB", 1ull << 30 },
		{ "MiB", 1ull << 20 },
		{ "KiB", 1ull << 10 },
		{ "", 1 },
	};
	const struct unit *u = units;

	while (n % u->scale || (!n && u->scale > 1))
		u++;
	snprintf(out, SNET_UNITS_TEXT, "%" PRIu64 "%s", n / u->scale, u->name);
	return out;
}

int snet_rate_parse(uint64_t *out, const char *text)
{
	if (!strcmp(text, "0")) {
		*out = 0;
		return SNET_OK;
	}
	return parse(out, text, rates);
}

bool snet_rate_ambiguous(const char *text, char out[static 2 * SNET_UNITS_TEXT])
{
	size_t n = strspn(text, "0123456789.");
	const char *unit = text + n, *bytes = "";

	if (!n || n > 8)
		return false;
	if (*unit && strchr("kKmMgG", *unit))
		bytes = unit++;
	if (strcasecmp(unit, "bps") != 0)
		return false;
	if (!*bytes) {
		snprintf(out, (size_t)2 * SNET_UNITS_TEXT, "%.*sbit or %.*sB/s", (int)n, text,
			 (int)n, text);
		return true;
	}
	snprintf(out, (size_t)2 * SNET_UNITS_TEXT, "%.*s%cbit or %.*s%cB/s", (int)n, text,
		 *bytes | 0x20, (int)n, text, (*bytes | 0x20) == 'k' ? 'k' : *bytes & ~0x20);
	return true;
}

const char *snet_rate_print(uint64_t bits, char out[static SNET_UNITS_TEXT])
{
	static const struct unit units[] = {
		{ "tbit", 1000000000000 },
		{ "gbit", 1000000000 },
		{ "mbit", 1000000 },
		{ "kbit", 1000 },
	};
	unsigned part;
	int n;

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		uint64_t scale = units[i].scale;

		if (bits < scale || bits % (scale / 1000))
			continue;
		part = (unsigned)(bits % scale / (scale / 1000));
		n = snprintf(out, SNET_UNITS_TEXT, "%" PRIu64, bits / scale);
		if (part) {
			n += snprintf(out + n, SNET_UNITS_TEXT - (size_t)n, ".%03u", part);
			while (out[n - 1] == '0')
				n--;
		}
		snprintf(out + n, SNET_UNITS_TEXT - (size_t)n, "%s", units[i].name);
		return out;
	}
	snprintf(out, SNET_UNITS_TEXT, "%" PRIu64 "bit", bits);
	return out;
}
