/* The command line: words between newlines, read into every group there is. Whatever they are,
 * the answer is an index or words. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"

static const struct opt_group groups[] = {
	{ "Identity", identity_opts }, { "Format", format_opts },
	{ "Time", time_opts },         { "Limits", limit_opts },
	{ "Pipe", pipe_opts },         { "Transport", transport_opts },
	{ "Looking", looking_opts },   { "Statistics", stats_opts },
	{ "Ready", ready_opts },       { 0 },
};
static const struct tool tool = { "snet-fuzz", "", "", groups };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct cli defaults = cli;
	char *text = malloc(n + 1), *argv[66], *rest = NULL;
	struct snet_error err = { 0 };
	enum opts_ask ask;
	int argc = 0, rc;

	if (!text)
		return 0;
	memcpy(text, p, n);
	text[n] = 0;
	argv[argc++] = (char *)"snet-fuzz";
	for (char *w = strtok_r(text, "\n", &rest); w && argc < 65;
	     w = strtok_r(NULL, "\n", &rest))
		argv[argc++] = w;
	argv[argc] = NULL;
	rc = opts_read(&tool, argc, argv, &ask, &err);
	assert(rc == SNET_EINVAL ? err.text[0] : rc >= 1 && rc <= argc);
	if (rc > 0) {
		assert(cli.max_message >= 1 && cli.max_message <= 1u << 30);
		assert(cli.stream < 16 && cli.format >= 0 && cli.format <= FORMAT_RAW);
		assert(cli.allow.n <= OPT_LIST_MAX);
		rc = groups_check(&err);
		assert(rc == SNET_OK || (rc == SNET_EINVAL && err.text[0]));
	}
	free(cli.allow.v);
	cli = defaults;
	free(text);
	return 0;
}
