/* A matrix, line by line: read or refused in words that name the line. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/link_spec.h"
#include "emul/preset.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint32_t find(const char *name, size_t n, void *user)
{
	(void)user;
	return n == 1 && *name >= '0' && *name < '4' ? (uint32_t)(*name - '0') : SNET_EMUL_ANY;
}

static int take(void *line, size_t n, size_t at, void *user, struct snet_error *err)
{
	static const struct link_names names = { find, NULL };
	const struct snet_preset *preset;
	struct snet_change c;
	int rc = link_line_matrix(&c, &preset, line, n, &names, err);

	(void)at, (void)user;
	assert(rc == SNET_OK || (rc == SNET_ECONFIG && err->text[0]));
	assert(rc || c.from == SNET_EMUL_ANY || c.from < 4);
	assert(rc || c.to == SNET_EMUL_ANY || c.to < 4);
	assert(rc || !preset || snet_preset_find(preset->name) == preset);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_error err = { 0 };
	void *text = malloc(n + 1);
	int rc;

	if (!text)
		abort();
	memcpy(text, p, n);
	rc = link_lines("matrix", text, n, take, NULL, &err);
	assert(!rc || !strncmp(err.text, "matrix:", 7));
	free(text);
	return 0;
}
