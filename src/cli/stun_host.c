#include "cli/stun_host.h"

#include <stdlib.h>
#include <string.h>

#include "cli/net.h"

/* Where the host ends, and where the port begins; NULL: nowhere. */
static int split(const char *at, const char **host, size_t *n, const char **port)
{
	const char *colon = strrchr(at, ':'), *close;

	*host = at;
	*port = NULL;
	if (*at == '[') {
		close = strchr(at, ']');
		if (!close || (close[1] && close[1] != ':'))
			return SNET_EINVAL;
		*host = at + 1;
		*n = (size_t)(close - at - 1);
		*port = close[1] ? close + 2 : NULL;
		return SNET_OK;
	}
	if (colon && colon == strchr(at, ':')) /* more than one: a bare IPv6 address */
		*port = colon + 1;
	*n = *port ? (size_t)(colon - at) : strlen(at);
	return SNET_OK;
}

int stun_host(const char *text, uint16_t port, bool passive, struct snet_addr out[NET_ADDRS],
	      size_t *n, struct snet_error *err)
{
	const char *at = strncmp(text, "stun:", 5) ? text : text + 5, *host, *digits;
	struct snet_url u = { .port = port };
	size_t host_n = 0;
	int rc = split(at, &host, &host_n, &digits);

	if (!rc && digits) {
		char *end = NULL;
		unsigned long v = *digits >= '0' && *digits <= '9' ? strtoul(digits, &end, 10)
								   : UINT16_MAX + 1ul;

		rc = v > UINT16_MAX || *end || (!v && !passive) ? SNET_EINVAL : SNET_OK;
		u.port = (uint16_t)v;
	}
	if (rc || host_n >= sizeof(u.host) || (!host_n && !passive))
		return snet_fail(err, SNET_EINVAL,
				 "%.128s: want a host, host:port or [ipv6]:port", text);
	memcpy(u.host, host, host_n);
	return net_resolve(&u, passive, out, n, err);
}
