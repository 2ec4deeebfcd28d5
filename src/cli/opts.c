#include "cli/opts.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/events.h"

enum { MAX_OPTS = 96, LONG = 256 /* above every letter */ };

/* What every program answers. The last three are for tests and packagers: not in --help. */
static const char *const shells[] = { "bash", "zsh", NULL };

/* clang-format off */
static const struct opt builtin_opts[] = {
	{ 'h', "help",         NULL,    OPT_FLAG, NULL, "print this and exit" },
	{ 'V', "version",      NULL,    OPT_FLAG, NULL, "print the version and exit" },
	{ 0,   "list-options", NULL,    OPT_FLAG, NULL, NULL },
	{ 0,   "list-events",  NULL,    OPT_FLAG, NULL, NULL },
	{ 0,   "completion",   "SHELL", OPT_ENUM, NULL, NULL, .choices = shells },
	{ 0 },
};
/* clang-format on */

const struct opt *opts_at(const struct tool *t, size_t n)
{
	for (const struct opt_group *g = t->groups; g->title; g++)
		for (const struct opt *o = g->opts; o->name; o++)
			if (!n--)
				return o;
	return n < sizeof(builtin_opts) / sizeof(builtin_opts[0]) - 1 ? &builtin_opts[n] : NULL;
}

/* ---- values */

static bool number(uint64_t *out, const char *v, uint64_t min, uint64_t max)
{
	uint64_t n = 0;

	if (!*v)
		return false;
	for (; *v; v++)
		if (*v < '0' || *v > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*v - '0'), &n))
			return false;
	*out = n;
	return n >= min && n <= max;
}

static bool add_to_list(struct opt_list *l, const char *v)
{
	const char **grown;

	if (l->n == OPT_LIST_MAX)
		return false;
	grown = realloc(l->v, (l->n + 1) * sizeof(*grown));
	if (!grown)
		return false;
	grown[l->n++] = v;
	l->v = grown;
	return true;
}

static bool choose(int *into, const char *const *choices, const char *v)
{
	for (int i = 0; choices[i]; i++) {
		if (!strcmp(choices[i], v)) {
			*into = i;
			return true;
		}
	}
	return false;
}

static bool store(const struct opt *o, const char *v)
{
	uint64_t max = o->max ? o->max : UINT64_MAX - 1, n; /* OPT_NONE is not a value */

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->into = true;
		return true;
	case OPT_COUNT:
		++*(int *)o->into;
		return true;
	case OPT_STR:
		*(const char **)o->into = v;
		return *v != 0;
	case OPT_LIST:
		return *v && add_to_list(o->into, v);
	case OPT_U16:
		if (!number(&n, v, o->min, UINT16_MAX))
			return false;
		*(uint16_t *)o->into = (uint16_t)n;
		return true;
	case OPT_UINT:
		return number(o->into, v, o->min, max);
	case OPT_DURATION:
		return snet_duration_parse(o->into, v) == SNET_OK;
	case OPT_SIZE:
		return snet_size_parse(o->into, v) == SNET_OK &&
		       *(uint64_t *)o->into >= o->min && *(uint64_t *)o->into <= max;
	case OPT_ENUM:
		return choose(o->into, o->choices, v);
	}
	return false;
}

/* ---- reading */

struct parser {
	const struct opt *all[MAX_OPTS];
	struct option longs[MAX_OPTS + 1];
	char shorts[2 * MAX_OPTS + 3];
	int n;
};

static void prepare(struct parser *p, const struct tool *t)
{
	char *s = p->shorts;
	const struct opt *o;

	if (t->stop_at_operand)
		*s++ = '+';
	*s++ = ':'; /* tells a missing value from an unknown option */
	for (; p->n < MAX_OPTS && (o = opts_at(t, (size_t)p->n)); p->n++) {
		p->all[p->n] = o;
		p->longs[p->n] =
			(struct option){ o->name, o->arg ? required_argument : no_argument,
					 NULL, LONG + p->n };
		if (o->ch)
			*s++ = o->ch;
		if (o->ch && o->arg)
			*s++ = ':';
	}
}

static const struct opt *chosen(const struct parser *p, int c)
{
	if (c >= LONG)
		return c - LONG < p->n ? p->all[c - LONG] : NULL;
	for (int i = 0; i < p->n; i++)
		if (c && p->all[i]->ch == c)
			return p->all[i];
	return NULL;
}

static int bad_value(const struct opt *o, const char *v, struct snet_error *err)
{
	char some[160] = "";
	size_t at = 0;

	if (o->kind == OPT_ENUM) {
		for (size_t i = 0; o->choices[i] && at < sizeof(some) - 1; i++)
			at += (size_t)snprintf(some + at, sizeof(some) - at, "%s%s",
					       i ? ", " : "; one of ", o->choices[i]);
	} else if (o->kind == OPT_SIZE && o->max) {
		char low[SNET_UNITS_TEXT], high[SNET_UNITS_TEXT];

		snprintf(some, sizeof(some), "; a size from %s to %s",
			 snet_size_print(o->min, low), snet_size_print(o->max, high));
	} else if (o->kind == OPT_UINT && o->max) {
		snprintf(some, sizeof(some), "; a number from %" PRIu64 " to %" PRIu64, o->min,
			 o->max);
	} else if (o->kind == OPT_DURATION) {
		snprintf(some, sizeof(some), "; a duration such as 250ms, 5s, 2m");
	} else if (o->kind == OPT_LIST) {
		snprintf(some, sizeof(some), "; at most %d values", OPT_LIST_MAX);
	}
	return snet_fail(err, SNET_EINVAL, "--%s: bad value '%.64s'%s", o->name, v, some);
}

/* What getopt refused: '?' or ':' with optopt, and the word it was looking at. */
static int refused(const struct parser *p, int c, const char *word, struct snet_error *err)
{
	const struct opt *o = optopt ? chosen(p, optopt) : NULL;

	if (c == ':' && o)
		return snet_fail(err, SNET_EINVAL, "--%s: needs a value: %s", o->name, o->arg);
	if (o)
		return snet_fail(err, SNET_EINVAL, "--%s: takes no value", o->name);
	if (optopt)
		return snet_fail(err, SNET_EINVAL, "-%c: unknown option", optopt);
	return snet_fail(err, SNET_EINVAL, "%.*s: unknown or ambiguous option",
			 (int)strcspn(word, "="), word);
}

static enum opts_ask question(const struct opt *o, const char *v)
{
	static const enum opts_ask asks[] = { OPTS_HELP, OPTS_VERSION, OPTS_LIST_OPTIONS,
					      OPTS_LIST_EVENTS };

	if (o->kind == OPT_ENUM)
		return strcmp(v, "zsh") == 0 ? OPTS_ZSH : OPTS_BASH;
	return asks[o - builtin_opts];
}

int opts_read(const struct tool *t, int argc, char **argv, enum opts_ask *ask,
	      struct snet_error *err)
{
	struct parser p = { .n = 0 };
	int c;

	*ask = OPTS_RUN;
	prepare(&p, t);
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, p.shorts, p.longs, NULL)) != -1) {
		const struct opt *o = c == '?' || c == ':' ? NULL : chosen(&p, c);
		int choice;

		if (!o)
			return refused(&p, c, optind > 0 ? argv[optind - 1] : "", err);
		if (!o->into) {
			if (o->kind == OPT_ENUM && !choose(&choice, o->choices, optarg))
				return bad_value(o, optarg, err);
			if (*ask == OPTS_RUN)
				*ask = question(o, optarg);
			continue;
		}
		if (!store(o, optarg))
			return bad_value(o, optarg, err);
	}
	return optind;
}

/* ---- for programs */

static void answer(const struct tool *t, enum opts_ask ask)
{
	switch (ask) {
	case OPTS_HELP:
		opts_print_help(t);
		break;
	case OPTS_VERSION:
		printf("%s (%s)\n", t->name, PACKAGE_STRING);
		break;
	case OPTS_LIST_OPTIONS:
		opts_print_list(t);
		break;
	case OPTS_LIST_EVENTS:
		events_print_list();
		break;
	case OPTS_BASH:
		opts_print_bash(t);
		break;
	case OPTS_ZSH:
		opts_print_zsh(t);
		break;
	case OPTS_RUN:
		return;
	}
	exit(fflush(stdout) || ferror(stdout) ? SNET_EXIT_FAILED : SNET_EXIT_OK);
}

_Noreturn static void misuse(const struct tool *t, const char *why)
{
	fprintf(stderr, "%s: %s\nTry '%s --help'.\n", t->name, why, t->name);
	exit(SNET_EXIT_USAGE);
}

void opts_misuse(const struct tool *t, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	misuse(t, why);
}

int opts_parse(const struct tool *t, int argc, char **argv)
{
	struct snet_error err = { 0 };
	enum opts_ask ask;
	int first = opts_read(t, argc, argv, &ask, &err);

	if (first < 0)
		misuse(t, err.text);
	answer(t, ask);
	return first;
}

/* ---- for tests */

static const char *flaw_of(const struct opt *o)
{
	if (o->kind == OPT_ENUM && !o->choices)
		return "choices without names";
	if ((o->kind == OPT_FLAG || o->kind == OPT_COUNT) != !o->arg)
		return "a value where none belongs, or none where one does";
	if (o->max && o->min > o->max)
		return "an empty range";
	return strlen(o->name) < 2 ? "a name of one letter" : NULL;
}

const char *opts_flaw(const struct tool *t)
{
	const struct opt *a, *b;

	for (size_t i = 0; (a = opts_at(t, i)); i++) {
		if (i == MAX_OPTS)
			return "more options than MAX_OPTS";
		if (flaw_of(a))
			return flaw_of(a);
		for (size_t k = 0; k < i; k++) {
			b = opts_at(t, k);
			if (!strcmp(a->name, b->name))
				return a->name;
			if (a->ch && a->ch == b->ch)
				return "a letter given twice";
		}
	}
	return NULL;
}
