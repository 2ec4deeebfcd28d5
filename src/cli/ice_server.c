#include "cli/ice_server.h"

#include <stdlib.h>
#include <string.h>

#define PORT 3478     /* RFC 8489 §18.6 */
#define PORT_TLS 5349 /* RFC 8656 §3.1 has it of RFC 5766 */
#define HOST_MAX 253

static bool skip(const char **at, const char *prefix)
{
	size_t n = strlen(prefix);
	bool is = !strncmp(*at, prefix, n);

	*at += is ? n : 0;
	return is;
}

/* What stands after the host: nothing, or a port. */
static bool take_port(const char *at, size_t n, uint16_t *port)
{
	unsigned v = 0;

	if (!n)
		return true;
	if (*at++ != ':' || n < 2 || n > 6)
		return false;
	for (size_t i = 0; i < n - 1; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		v = v * 10 + (unsigned)(at[i] - '0');
	}
	*port = (uint16_t)v;
	return v && v <= UINT16_MAX;
}

/* n characters: a host and perhaps a port. */
static int take_host(struct snet_ice_server *out, const char *at, size_t n)
{
	const char *end = NULL, *colon = memchr(at, ':', n);
	size_t host = n;

	if (n && *at == '[') {
		end = memchr(at, ']', n);
		if (!end)
			return SNET_EINVAL;
		host = (size_t)(end - ++at);
		n -= host + 2;
		end++;
	} else if (colon && !memchr(colon + 1, ':', n - (size_t)(colon + 1 - at))) {
		host = (size_t)(colon - at);
		n -= host;
		end = colon;
	} else { /* no port; more than one colon: an IPv6 address */
		n = 0;
	}
	if (!host || host > HOST_MAX || memchr(at, '/', host) || memchr(at, '@', host) ||
	    !take_port(end, n, &out->port))
		return SNET_EINVAL;
	out->host = strndup(at, host);
	return out->host ? SNET_OK : SNET_ENOMEM;
}

static int fail(struct snet_error *err, int rc, const char *text, const char *want)
{
	return rc == SNET_ENOMEM ? snet_fail(err, rc, "%s", snet_err_text(rc))
				 : snet_fail(err, rc, "%.128s: want %s", text, want);
}

int ice_server_stun(struct snet_ice_server *out, const char *text, struct snet_error *err)
{
	const char *at = text;
	int rc;

	*out = (struct snet_ice_server){ .port = PORT };
	skip(&at, "stun:");
	rc = take_host(out, at, strlen(at));
	return rc ? fail(err, rc, text, "a host, host:port or [ipv6]:port") : SNET_OK;
}

int ice_server_turn(struct snet_ice_server *out, const char *text, struct snet_error *err)
{
	static const char want[] = "turn:host[:port][?transport=udp|tcp] or turns:host[:port]";
	const char *at = text, *query;
	bool tls = skip(&at, "turns:");
	int rc;

	*out = (struct snet_ice_server){ .port = tls ? PORT_TLS : PORT,
					 .over = tls ? SNET_TURN_TLS : SNET_TURN_UDP };
	if (!tls && !skip(&at, "turn:"))
		return fail(err, SNET_EINVAL, text, want);
	query = strchr(at, '?');
	/* TLS over UDP would be DTLS. */
	if (query && !strcmp(query, "?transport=tcp"))
		out->over = tls ? SNET_TURN_TLS : SNET_TURN_TCP;
	else if (query && (tls || strcmp(query, "?transport=udp") != 0))
		return fail(err, SNET_EINVAL, text, want);
	rc = take_host(out, at, query ? (size_t)(query - at) : strlen(at));
	return rc ? fail(err, rc, text, want) : SNET_OK;
}
