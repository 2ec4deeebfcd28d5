#include "cli/opts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/groups.h"

static struct values {
	bool flag;
	int count, choice;
	const char *str;
	struct opt_list list;
	uint16_t port;
	uint64_t n, size;
	snet_time time;
} v;

static const char *const colours[] = { "red", "green", NULL };

/* clang-format off */
static const struct opt some_opts[] = {
	{ 'f', "flag",   NULL,    OPT_FLAG,     &v.flag,   "a flag" },
	{ 'c', "count",  NULL,    OPT_COUNT,    &v.count,  "a count" },
	{ 's', "str",    "FILE",  OPT_STR,      &v.str,    "a string" },
	{ 'l', "list",   "X",     OPT_LIST,     &v.list,   "a list" },
	{ 'p', "port",   "PORT",  OPT_U16,      &v.port,   "a port" },
	{ 'n', "number", "N",     OPT_UINT,     &v.n,      "a number", .min = 3, .max = 10 },
	{ 't', "time",   "T",     OPT_DURATION, &v.time,   "a time" },
	{ 0,   "size",   "SIZE",  OPT_SIZE,     &v.size,   "a size", .min = 1, .max = 1 << 20 },
	{ 0,   "colour", "WHICH", OPT_ENUM,     &v.choice, "a choice", .choices = colours },
	{ 0 },
};
/* clang-format on */

static const struct opt_group groups[] = { { "Some", some_opts }, { 0 } };
static const struct tool tool = { "snet-test", "[options] WORD...", "Test.", groups };
static const struct tool stopping = { "snet-test", "", "", groups, .stop_at_operand = true };

static int set_up(void **state)
{
	(void)state;
	free(v.list.v);
	v = (struct values){
		.choice = -1, .time = 5 * SNET_SEC, .size = 64 << 10, .n = OPT_NONE
	};
	return 0;
}

static int read_words(const struct tool *t, const char *line, char *argv[static 32],
		      enum opts_ask *ask, struct snet_error *err)
{
	static char copy[512];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	argv[argc++] = (char *)"snet-test";
	for (char *w = strtok(copy, " "); w && argc < 31; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	return opts_read(t, argc, argv, ask, err);
}

static void every_kind_reads_its_value(void **state)
{
	struct snet_error err;
	enum opts_ask ask;
	char *argv[32];
	int first = read_words(
		&tool,
		"-fcc --count -s a --str=b -l x --list y -p 0 --number 10 -t 250ms --size 1MiB "
		"--colour green",
		argv, &ask, &err);

	(void)state;
	assert_int_equal(first, 20);
	assert_int_equal(ask, OPTS_RUN);
	assert_true(v.flag);
	assert_int_equal(v.count, 3);
	assert_string_equal(v.str, "b");
	assert_int_equal(v.list.n, 2);
	assert_string_equal(v.list.v[0], "x");
	assert_string_equal(v.list.v[1], "y");
	assert_int_equal(v.port, 0);
	assert_int_equal(v.n, 10);
	assert_int_equal(v.time, 250 * SNET_MS);
	assert_int_equal(v.size, 1 << 20);
	assert_int_equal(v.choice, 1);
}

static void operands_may_stand_before_options(void **state)
{
	struct snet_error err;
	enum opts_ask ask;
	char *argv[32];

	(void)state;
	assert_int_equal(read_words(&tool, "one -f two -- -c", argv, &ask, &err), 3);
	assert_true(v.flag);
	assert_int_equal(v.count, 0);
	assert_string_equal(argv[3], "one");
	assert_string_equal(argv[4], "two");
	assert_string_equal(argv[5], "-c");
}

static void a_tool_may_stop_at_its_first_operand(void **state)
{
	struct snet_error err;
	enum opts_ask ask;
	char *argv[32];

	(void)state;
	assert_int_equal(read_words(&stopping, "-f one -c", argv, &ask, &err), 2);
	assert_int_equal(v.count, 0);
}

static void misuse_says_what_and_why(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "--nonsense", "--nonsense: unknown or ambiguous option" },
		{ "--nonsense=3", "--nonsense: unknown or ambiguous option" },
		{ "-x", "-x: unknown option" },
		{ "-fx", "-x: unknown option" },
		{ "--str", "--str: needs a value: FILE" },
		{ "-s", "--str: needs a value: FILE" },
		{ "--flag=1", "--flag: takes no value" },
		{ "-p 65536", "--port: bad value '65536'" },
		{ "-p -1", "--port: bad value '-1'" },
		{ "-p 0x10", "--port: bad value '0x10'" },
		{ "-n 2", "--number: bad value '2'; a number from 3 to 10" },
		{ "-n 11", "--number: bad value '11'; a number from 3 to 10" },
		{ "-n 99999999999999999999",
		  "--number: bad value '99999999999999999999'; a number from 3 to 10" },
		{ "--size=0", "--size: bad value '0'; a size from 1 to 1MiB" },
		{ "--size=2MiB", "--size: bad value '2MiB'; a size from 1 to 1MiB" },
		{ "--str=", "--str: bad value ''" },
		{ "-t soon", "--time: bad value 'soon'; a duration such as 250ms, 5s, 2m" },
		{ "--colour blue", "--colour: bad value 'blue'; one of red, green" },
		{ "--completion fish", "--completion: bad value 'fish'; one of bash, zsh" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_error err = { 0 };
		enum opts_ask ask;
		char *argv[32];

		assert_int_equal(read_words(&tool, cases[i].line, argv, &ask, &err),
				 SNET_EINVAL);
		if (strncmp(err.text, cases[i].text, strlen(cases[i].text)) != 0)
			fail_msg("%s: '%s'", cases[i].line, err.text);
	}
}

static void questions_are_recognised(void **state)
{
	static const struct {
		const char *line;
		enum opts_ask ask;
	} cases[] = {
		{ "-h", OPTS_HELP },
		{ "--help", OPTS_HELP },
		{ "-f --version", OPTS_VERSION },
		{ "-V", OPTS_VERSION },
		{ "--list-options", OPTS_LIST_OPTIONS },
		{ "--list-events", OPTS_LIST_EVENTS },
		{ "--completion bash", OPTS_BASH },
		{ "--completion=zsh", OPTS_ZSH },
		{ "--help --version", OPTS_HELP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_error err;
		enum opts_ask ask;
		char *argv[32];

		assert_true(read_words(&tool, cases[i].line, argv, &ask, &err) > 0);
		assert_int_equal(ask, cases[i].ask);
	}
}

static void a_list_has_a_ceiling(void **state)
{
	char **argv = calloc(2 * OPT_LIST_MAX + 4, sizeof(*argv));
	struct snet_error err;
	enum opts_ask ask;
	int argc = 0;

	(void)state;
	assert_non_null(argv);
	argv[argc++] = (char *)"snet-test";
	for (int i = 0; i < OPT_LIST_MAX; i++) {
		argv[argc++] = (char *)"-l";
		argv[argc++] = (char *)"x";
	}
	assert_int_equal(opts_read(&tool, argc, argv, &ask, &err), argc);
	assert_int_equal(v.list.n, OPT_LIST_MAX);
	argv[1] = (char *)"-ly";
	argv[2] = (char *)"-lz";
	free(v.list.v);
	v.list = (struct opt_list){ 0 };
	assert_int_equal(opts_read(&tool, argc, argv, &ask, &err), SNET_EINVAL);
	free(argv);
}

/* What fn prints on stdout. */
static char *printed(void (*fn)(const struct tool *t), const struct tool *t)
{
	static char text[32 << 10];
	FILE *f = tmpfile();
	int saved = dup(STDOUT_FILENO);
	size_t n;

	assert_non_null(f);
	fflush(stdout);
	dup2(fileno(f), STDOUT_FILENO);
	fn(t);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static void help_shows_options_choices_and_defaults(void **state)
{
	const char *text = printed(opts_print_help, &tool);

	(void)state;
	assert_memory_equal(text, "usage: snet-test [options] WORD...\nTest.\n\nSome:\n", 47);
	assert_non_null(strstr(text, "\n  -s, --str FILE"));
	assert_non_null(strstr(text, "a time (default: 5s)\n"));
	assert_non_null(strstr(text, "a size (default: 64KiB)\n"));
	assert_non_null(strstr(text, "a choice: red, green\n"));
	assert_non_null(strstr(text, "a number\n"));
	assert_non_null(strstr(text, "  -h, --help"));
	assert_null(strstr(text, "--list-options"));
	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		assert_in_range(end - line, 0, 96);
}

static void the_list_of_options_is_one_per_line(void **state)
{
	(void)state;
	assert_string_equal(
		printed(opts_print_list, &tool),
		"-f --flag\n-c --count\n-s --str FILE\n-l --list X\n-p --port PORT\n-n "
		"--number N\n"
		"-t --time T\n--size SIZE\n--colour WHICH\n-h --help\n-V --version\n");
}

static void completions_know_names_and_choices(void **state)
{
	const char *text = printed(opts_print_bash, &tool);

	(void)state;
	assert_non_null(strstr(text, "complete -o filenames -F _snet_test snet-test\n"));
	assert_non_null(strstr(text, "compgen -W 'red green'"));
	assert_non_null(strstr(text, "--size"));
	assert_null(strstr(text, "--list-events"));
	text = printed(opts_print_zsh, &tool);
	assert_non_null(strstr(text, "#compdef snet-test\n"));
	assert_non_null(strstr(text, "'--colour[a choice]:WHICH:(red green)'"));
	assert_non_null(strstr(text, "'*'{-l,--list}'[a list]:X:'"));
	assert_non_null(strstr(text, "'(-s --str)'{-s,--str}'[a string]:FILE:_files'"));
}

static void flaws_in_tables_are_found(void **state)
{
	static const struct opt twice[] = { { 'f', "flagged", NULL, OPT_FLAG, &v.flag, "x" },
					    { 0 } };
	static const struct opt again[] = { { 0, "flag", NULL, OPT_FLAG, &v.flag, "x" },
					    { 0 } };
	static const struct opt valued[] = { { 0, "loud", "N", OPT_FLAG, &v.flag, "x" },
					     { 0 } };
	static const struct opt none[] = { { 0, "which", "N", OPT_ENUM, &v.choice, "x" },
					   { 0 } };
	const struct opt *const bad[] = { twice, again, valued, none };

	(void)state;
	assert_null(opts_flaw(&tool));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct opt_group both[] = { { "Some", some_opts },
						  { "Bad", bad[i] },
						  { 0 } };
		const struct tool t = { "t", "", "", both };

		assert_non_null(opts_flaw(&t));
	}
}

/* ---- the groups the programs share */

static const struct opt_group shared[] = {
	{ "Identity", identity_opts },
	{ "Format", format_opts },
	{ "Time", time_opts },
	{ "Limits", limit_opts },
	{ "Pipe", pipe_opts },
	{ "Transport", transport_opts },
	{ "Looking inside", looking_opts },
	{ "Statistics", stats_opts },
	{ "Ready", ready_opts },
	{ 0 },
};
static const struct tool everything = { "snet-all", "", "", shared };

static void the_shared_groups_have_no_flaw(void **state)
{
	const struct opt *o;

	(void)state;
	assert_null(opts_flaw(&everything));
	for (size_t i = 0; (o = opts_at(&everything, i)); i++)
		if (o->help)
			assert_true(o->help[strlen(o->help) - 1] != '.');
}

static void options_that_exclude_each_other_are_refused(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "-4 -6", "-4 and -6" },
		{ "--send-only --recv-only", "--send-only and --recv-only" },
		{ "--send-only --count 1", "--send-only and --count" },
		{ "--send-only --replies 1", "--send-only and --replies" },
		{ "--insecure -a x", "excludes --allow" },
		{ "--insecure --ca x", "excludes --ca" },
		{ "-q -v", "-q and -v" },
		{ "--mtu 1199", "--mtu: bad value '1199'" },
		{ "-H -f raw", "-H is for" },
		{ "--kind nonsense", "--kind: bad value 'nonsense'" },
		{ "--kind bye", "--kind: bad value 'bye'" },
		{ "--kind 33", "--kind: bad value '33'" },
		{ "--mtu 1200", NULL },
		{ "--kind dkg1", NULL },
		{ "--kind 64", NULL },
		{ "", NULL },
	};
	const struct cli defaults = cli;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_error err = { 0 };
		enum opts_ask ask;
		char *argv[32];
		int rc;

		assert_true(read_words(&everything, cases[i].line, argv, &ask, &err) > 0);
		rc = groups_check(&err);
		if (cases[i].text ? rc != SNET_EINVAL || !strstr(err.text, cases[i].text)
				  : rc != SNET_OK)
			fail_msg("'%s': %d '%s'", cases[i].line, rc, err.text);
		free(cli.allow.v);
		cli = defaults;
	}
}

static void the_defaults_are_those_of_the_manual(void **state)
{
	(void)state;
	assert_int_equal(cli.timeout, 30 * SNET_SEC);
	assert_int_equal(cli.wait, 30 * SNET_SEC);
	assert_int_equal(cli.keep_alive, 5 * SNET_SEC);
	assert_int_equal(cli.max_message, 100 << 20);
	assert_int_equal(cli.kind, 32);
	assert_int_equal(cli.payload, PAYLOAD_DATA);
}

static void a_message_may_be_one_gibibyte_and_no_more(void **state)
{
	const struct cli defaults = cli;
	struct snet_error err;
	enum opts_ask ask;
	char *argv[32];

	(void)state;
	assert_true(read_words(&everything, "--max-message 1GiB", argv, &ask, &err) > 0);
	assert_int_equal(cli.max_message, 1u << 30);
	assert_int_equal(read_words(&everything, "--max-message 1073741825", argv, &ask, &err),
			 SNET_EINVAL);
	cli = defaults;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_kind_reads_its_value, set_up),
		cmocka_unit_test_setup(operands_may_stand_before_options, set_up),
		cmocka_unit_test_setup(a_tool_may_stop_at_its_first_operand, set_up),
		cmocka_unit_test_setup(misuse_says_what_and_why, set_up),
		cmocka_unit_test_setup(questions_are_recognised, set_up),
		cmocka_unit_test_setup_teardown(a_list_has_a_ceiling, set_up, set_up),
		cmocka_unit_test_setup(help_shows_options_choices_and_defaults, set_up),
		cmocka_unit_test_setup(the_list_of_options_is_one_per_line, set_up),
		cmocka_unit_test_setup(completions_know_names_and_choices, set_up),
		cmocka_unit_test_setup(flaws_in_tables_are_found, set_up),
		cmocka_unit_test(the_shared_groups_have_no_flaw),
		cmocka_unit_test(options_that_exclude_each_other_are_refused),
		cmocka_unit_test(the_defaults_are_those_of_the_manual),
		cmocka_unit_test(a_message_may_be_one_gibibyte_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
