#include "ffi/stoffelnet.h"

const char *stoffelnet_version(void)
{
	return PACKAGE_VERSION;
}
