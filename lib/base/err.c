#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* clang-format off */
static const struct row {
	int code;
	enum snet_exit exit;
	const char *name, *text;
} table[] = {
	{ SNET_OK, SNET_EXIT_OK, "ok", "success" },
#define X(name, value, exit, ffi, reason, text) { value, SNET_EXIT_##exit, reason, text },
	SNET_ERRORS(X)
#undef X
};
/* clang-format on */

static const struct row *find(int code)
{
	/* The table is in order of -code, which a unit test holds. */
	size_t i = code <= 0 ? 0u - (unsigned)code : sizeof(table);

	return i < sizeof(table) / sizeof(table[0]) ? &table[i] : &table[-SNET_EIO];
}

int snet_fail(struct snet_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

const char *snet_err_name(int code)
{
	return find(code)->name;
}

const char *snet_err_text(int code)
{
	return find(code)->text;
}

enum snet_exit snet_err_exit(int code)
{
	return find(code)->exit;
}

uint64_t snet_err_to_wire(int code)
{
	return code <= 0 ? 0u - (unsigned)code : (unsigned)-SNET_EIO;
}

int snet_err_from_wire(uint64_t wire)
{
	return wire < sizeof(table) / sizeof(table[0]) ? -(int)wire : SNET_ELOST;
}
