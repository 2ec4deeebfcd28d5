/* Help: what --help and --list-options print, from the tables. */
#include "cli/opts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

enum { LEFT = 30, WIDTH = 96 };

/* The default, " (default: 30s)"; "" where there is none to speak of. */
static const char *default_of(const struct opt *o, char out[static 64])
{
	char units[SNET_UNITS_TEXT];
	const char *text = NULL;
	uint64_t n;

	switch (o->kind) {
	case OPT_STR:
		text = *(const char *const *)o->into;
		break;
	case OPT_U16:
	case OPT_UINT:
		n = o->kind == OPT_U16 ? *(const uint16_t *)o->into
				       : *(const uint64_t *)o->into;
		if (n && n != OPT_NONE && snprintf(units, sizeof(units), "%" PRIu64, n) > 0)
			text = units;
		break;
	case OPT_DURATION:
		if (*(const snet_time *)o->into)
			text = snet_duration_print(*(const snet_time *)o->into, units);
		break;
	case OPT_SIZE:
		n = *(const uint64_t *)o->into;
		if (n && n != OPT_NONE)
			text = snet_size_print(n, units);
		break;
	case OPT_ENUM:
		if (*(const int *)o->into >= 0)
			text = o->choices[*(const int *)o->into];
		break;
	case OPT_FLAG:
	case OPT_COUNT:
	case OPT_LIST:
		break;
	}
	out[0] = 0;
	if (text)
		snprintf(out, 64, " (default: %s)", text);
	return out;
}

/* The text in lines that fit, those after the first under its beginning. */
static void print_right(const char *text, int at)
{
	while (*text) {
		size_t n = strlen(text), fits = (size_t)(WIDTH - LEFT - 2);

		if (at > LEFT)
			fputs("\n", stdout);
		printf("%*s", at > LEFT ? LEFT : LEFT - at, "");
		if (n > fits) {
			for (n = fits; n && text[n] != ' '; n--)
				;
			n = n ? n : fits;
		}
		printf("%.*s", (int)n, text);
		text += n + strspn(text + n, " ");
		at = LEFT + 1;
	}
	putchar('\n');
}

static void print_option(const struct opt *o)
{
	char text[1024], given[64] = "", some[256] = "";
	int at = o->ch ? printf("  -%c, --%s", o->ch, o->name) : printf("      --%s", o->name);
	size_t n = 0;

	if (o->arg)
		at += printf(" %s", o->arg);
	for (size_t i = 0; o->kind == OPT_ENUM && o->choices[i] && n < sizeof(some) - 1; i++)
		n += (size_t)snprintf(some + n, sizeof(some) - n, "%s%s", i ? ", " : ": ",
				      o->choices[i]);
	snprintf(text, sizeof(text), "%s%s%s", o->help, some,
		 o->into ? default_of(o, given) : "");
	print_right(text, at + 2 > LEFT ? LEFT + 1 : at);
}

void opts_print_help(const struct tool *t)
{
	const struct opt *o;
	size_t n = 0;

	printf("usage: %s %s\n%s\n", t->name, t->synopsis, t->purpose);
	for (const struct opt_group *g = t->groups; g->title; g++) {
		printf("\n%s:\n", g->title);
		for (o = g->opts; o->name; o++, n++)
			print_option(o);
	}
	puts("\nHelp:");
	for (; (o = opts_at(t, n)); n++)
		if (o->help)
			print_option(o);
}

void opts_print_list(const struct tool *t)
{
	const struct opt *o;

	for (size_t i = 0; (o = opts_at(t, i)); i++) {
		if (!o->help)
			continue;
		if (o->ch)
			printf("-%c ", o->ch);
		printf("--%s%s%s\n", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	}
}
