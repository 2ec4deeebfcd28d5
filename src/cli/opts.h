/* Options: one table per group is the source of parsing, --help, completion, and of the check
 * that the man page tells the same story. The value a variable has before parsing is its
 * default, and --help prints it. */
#ifndef CLI_OPTS_H
#define CLI_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum opt_kind {
	OPT_FLAG,     /* bool */
	OPT_COUNT,    /* int: one more each time */
	OPT_STR,      /* const char *: borrowed from argv; NULL: not given */
	OPT_LIST,     /* struct opt_list: repeatable */
	OPT_U16,      /* uint16_t */
	OPT_UINT,     /* uint64_t, within [min, max] */
	OPT_DURATION, /* snet_time, lib/base/units.h */
	OPT_SIZE,     /* uint64_t bytes, within [min, max] */
	OPT_ENUM,     /* int: index into choices; -1: not given */
};

#define OPT_LIST_MAX 4096   /* values one repeatable option may have */
#define OPT_NONE UINT64_MAX /* default of an OPT_UINT or OPT_SIZE that is not given */

struct opt_list {
	const char **v; /* borrowed strings; the array lives as long as the program */
	size_t n;
};

struct opt {
	char ch;          /* short letter, or 0 */
	const char *name; /* long name, without dashes */
	const char *arg;  /* placeholder shown in help; NULL: takes no value */
	enum opt_kind kind;
	void *into;
	const char *help;           /* one line: no capital, no full stop, no default */
	uint64_t min, max;          /* OPT_UINT, OPT_SIZE; max 0: no ceiling */
	const char *const *choices; /* OPT_ENUM: ends at NULL */
};

struct opt_group {
	const char *title;
	const struct opt *opts; /* ends at name == NULL */
};

struct tool {
	const char *name;               /* "snet-send" */
	const char *synopsis;           /* what follows the name: "[options] ADDRESS..." */
	const char *purpose;            /* one sentence */
	const struct opt_group *groups; /* ends at title == NULL */
	bool stop_at_operand;           /* what follows the first operand is not ours */
	const char *const *words; /* operands completion offers, besides files; NULL: none */
};

/* What the command line asked for. */
enum opts_ask {
	OPTS_RUN,
	OPTS_HELP,
	OPTS_VERSION,
	OPTS_LIST_OPTIONS,
	OPTS_LIST_EVENTS,
	OPTS_BASH,
	OPTS_ZSH
};

/* Reads argv into the variables of the tables; neither prints nor exits. Returns
 * the index of the first operand (argv is permuted), or SNET_EINVAL with err
 * saying "--wait: bad value '3x'". */
int opts_read(const struct tool *t, int argc, char **argv, enum opts_ask *ask,
	      struct snet_error *err);

/* The same for a program: answers questions on stdout and exits 0; on misuse says what, why and
 * "Try 'snet-xxx --help'." on stderr and exits 2. Returns the index of the first operand. */
int opts_parse(const struct tool *t, int argc, char **argv);

/* Ends the program as opts_parse does on misuse: for operands that are wrong. */
_Noreturn void opts_misuse(const struct tool *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* NULL, or what is wrong with the tables: a letter or name given twice, a kind without its
 * value ... For tests. */
const char *opts_flaw(const struct tool *t);

/* The n-th option over all groups, then the built in ones; NULL at the end. */
const struct opt *opts_at(const struct tool *t, size_t n);

/* help.c, complete.c */
void opts_print_help(const struct tool *t);
void opts_print_list(const struct tool *t); /* "-k --key FILE" or "--ca FILE", one per line */
void opts_print_bash(const struct tool *t);
void opts_print_zsh(const struct tool *t);

#endif
