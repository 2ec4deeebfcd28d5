#include "signal/message.h"

#include <jansson.h>

bool snet_signal_message_is_good(const void *p, size_t n)
{
	json_t *j = json_loadb(p, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	bool is_good = json_is_object(j);

	json_decref(j);
	return is_good;
}
