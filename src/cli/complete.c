/* Complete: completion scripts for the shells, from the tables. */
#include "cli/opts.h"

#include <stdio.h>
#include <string.h>

/* Whether a value is the name of a file, by its placeholder. */
static bool is_file(const struct opt *o)
{
	return o->arg && strstr(o->arg, "FILE");
}

static bool is_dir(const struct opt *o)
{
	return o->arg && !strcmp(o->arg, "DIR");
}

/* "snet-send" as the name of a shell function. */
static void print_function(const char *name)
{
	putchar('_');
	for (; *name; name++)
		putchar(*name == '-' ? '_' : *name);
}

static void print_choices(const char *const *choices)
{
	for (size_t i = 0; choices[i]; i++)
		printf("%s%s", i ? " " : "", choices[i]);
}

/* ---- bash */

static void print_bash_value(const struct opt *o)
{
	if (!o->arg || !o->help)
		return;
	printf("\t--%s", o->name);
	if (o->ch)
		printf(" | -%c", o->ch);
	printf(")\n\t\t");
	if (o->kind == OPT_ENUM) {
		printf("mapfile -t COMPREPLY < <(compgen -W '");
		print_choices(o->choices);
		printf("' -- \"$cur\")\n");
	} else if (is_file(o)) {
		printf("mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n");
	} else if (is_dir(o)) {
		printf("mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n");
	} else {
		printf("COMPREPLY=()\n");
	}
	printf("\t\treturn\n\t\t;;\n");
}

void opts_print_bash(const struct tool *t)
{
	const struct opt *o;

	printf("# bash completion for %s, made by %s --completion bash\n", t->name, t->name);
	print_function(t->name);
	printf("()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\n\tcase $prev in\n");
	for (size_t i = 0; (o = opts_at(t, i)); i++)
		print_bash_value(o);
	printf("\tesac\n\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W "
	       "'");
	for (size_t i = 0, n = 0; (o = opts_at(t, i)); i++) {
		if (o->help && o->ch)
			printf("%s-%c", n++ ? " " : "", o->ch);
		if (o->help)
			printf("%s--%s", n++ ? " " : "", o->name);
	}
	printf("' -- \"$cur\")\n\telse\n\t\tmapfile -t COMPREPLY < <(compgen ");
	if (t->words) {
		printf("-W '");
		print_choices(t->words);
		printf("' ");
	}
	printf("-f -- \"$cur\")\n\tfi\n}\ncomplete -o filenames -F ");
	print_function(t->name);
	printf(" %s\n", t->name);
}

/* ---- zsh */

/* Inside '...' and, of _arguments, [...] or :...: . */
static void print_zsh_text(const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *s))
			printf("\\%c", *s);
		else
			putchar(*s);
	}
}

static void print_zsh_spec(const struct opt *o)
{
	bool repeats = o->kind == OPT_LIST || o->kind == OPT_COUNT;

	printf("\t\t");
	if (o->ch && repeats)
		printf("'*'{-%c,--%s}'", o->ch, o->name);
	else if (o->ch)
		printf("'(-%c --%s)'{-%c,--%s}'", o->ch, o->name, o->ch, o->name);
	else
		printf("'%s--%s", repeats ? "*" : "", o->name);
	putchar('[');
	print_zsh_text(o->help);
	putchar(']');
	if (o->arg) {
		putchar(':');
		print_zsh_text(o->arg);
		putchar(':');
		if (o->kind == OPT_ENUM) {
			putchar('(');
			print_choices(o->choices);
			putchar(')');
		} else if (is_file(o)) {
			printf("_files");
		} else if (is_dir(o)) {
			printf("_files -/");
		}
	}
	printf("' \\\n");
}

void opts_print_zsh(const struct tool *t)
{
	const struct opt *o;

	printf("#compdef %s\n# zsh completion, made by %s --completion zsh\n", t->name,
	       t->name);
	print_function(t->name);
	printf("()\n{\n\t_arguments -s \\\n");
	for (size_t i = 0; (o = opts_at(t, i)); i++)
		if (o->help)
			print_zsh_spec(o);
	printf("\t\t'*:operand:");
	if (t->words) {
		putchar('(');
		print_choices(t->words);
		printf(")'\n}\n");
	} else {
		printf("_files'\n}\n");
	}
	print_function(t->name);
	printf(" \"$@\"\n");
}
