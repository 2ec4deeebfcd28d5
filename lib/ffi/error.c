#include <stdarg.h>
#include <stdio.h>

#include "ffi/handle.h"

static _Thread_local struct {
	bool set;
	char text[512];
} last;

int32_t snet_ffi_fail(int32_t code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last.text, sizeof(last.text), fmt, ap);
	va_end(ap);
	last.set = true;
	return code;
}

const char *stoffelnet_last_error(void)
{
	return last.set ? last.text : NULL;
}

void stoffelnet_clear_error(void)
{
	last.set = false;
}
