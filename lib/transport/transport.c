#include "transport/transport.h"

#include <string.h>

const struct snet_transport *snet_transport_find(const char *scheme)
{
	static const struct snet_transport *const rows[] = { &snet_transport_quic,
							     &snet_transport_loop };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i]->scheme, scheme))
			return rows[i];
	return NULL;
}
