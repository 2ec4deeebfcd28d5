#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

json_t *vectors_load(const char *name)
{
	const char *dir = getenv("SNET_SRCDIR");
	char path[4096];
	json_error_t why;
	json_t *root;

	snprintf(path, sizeof(path), "%s/tests/vectors/%s", dir ? dir : ".", name);
	root = json_load_file(path, 0, &why);
	if (!root)
		fail_msg("%s: %s", path, why.text);
	return root;
}

static unsigned nibble(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	if (!at)
		fail_msg("not a hex digit: '%c'", c);
	return (unsigned)(at - digits);
}

uint8_t *vectors_unhex(const char *hex, size_t *n)
{
	uint8_t *p;

	*n = strlen(hex) / 2;
	p = malloc(*n ? *n : 1);
	assert_non_null(p);
	for (size_t i = 0; i < *n; i++)
		p[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	return p;
}

const char *vectors_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		fail_msg("no text under \"%s\"", key);
	return text;
}
