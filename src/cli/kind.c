#include "cli/kind.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "wire/record.h"

int kind_parse(const char *text, size_t n)
{
	char name[24];
	int kind = 0;

	if (!n || n >= sizeof(name))
		return SNET_EINVAL;
	memcpy(name, text, n);
	name[n] = 0;
	if (strlen(name) != n)
		return SNET_EINVAL;
	if (strspn(name, "0123456789") == n && n < KIND_TEXT)
		for (size_t i = 0; i < n; i++)
			kind = kind * 10 + (name[i] - '0');
	else
		kind = snet_record_number(name);
	return kind >= 0 && snet_record_is_app((unsigned)kind) ? kind : SNET_EINVAL;
}

const char *kind_print(uint8_t kind, char out[static KIND_TEXT])
{
	const char *name = snet_record_name(kind);

	if (name)
		return name;
	snprintf(out, KIND_TEXT, "%u", kind);
	return out;
}
