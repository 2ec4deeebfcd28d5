#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 96 /* bytes of a wrong text that an error repeats */

static const char base64url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

socklen_t snet_addr_len(const struct snet_addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return sizeof(a->in);
	case AF_INET6:
		return sizeof(a->in6);
	default:
		return 0;
	}
}

uint16_t snet_addr_port(const struct snet_addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return ntohs(a->in.sin_port);
	case AF_INET6:
		return ntohs(a->in6.sin6_port);
	default:
		return 0;
	}
}

void snet_addr_set_port(struct snet_addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

bool snet_addr_eq(const struct snet_addr *a, const struct snet_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family || snet_addr_port(a) != snet_addr_port(b))
		return false;
	switch (a->sa.sa_family) {
	case AF_INET:
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	case AF_INET6:
		/* A link-local address means nothing without its link, RFC 4007 §6. */
		return !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr,
			       sizeof(a->in6.sin6_addr)) &&
		       (!IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr) ||
			a->in6.sin6_scope_id == b->in6.sin6_scope_id);
	default:
		return true;
	}
}

bool snet_addr_is_any(const struct snet_addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
	case AF_INET6:
		return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
	default:
		return false;
	}
}

void snet_addr_unmap(struct snet_addr *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = a->in6.sin6_port };

	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return;
	memcpy(&in.sin_addr, a->in6.sin6_addr.s6_addr + 12, 4);
	a->in = in;
}

/* Digits to the end of the text and nothing else, at most max. */
static int number(uint32_t *out, const char *text, uint32_t max)
{
	uint64_t v = 0;
	size_t n = strspn(text, "0123456789");

	if (!n || text[n] || n > 10)
		return SNET_EINVAL;
	while (n--)
		v = v * 10 + (uint64_t)(*text++ - '0');
	if (v > max)
		return SNET_EINVAL;
	*out = (uint32_t)v;
	return SNET_OK;
}

/* Splits at the last ':' outside brackets: "[host]:port" or
 * "host:port". host: n bytes at *host. */
static int split(const char *text, const char **host, size_t *n, const char **port)
{
	const char *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return SNET_EINVAL;
		*host = text + 1;
		*n = (size_t)(end - *host);
		*port = end + 2;
		return SNET_OK;
	}
	end = strrchr(text, ':');
	if (!end)
		return SNET_EINVAL;
	*host = text;
	*n = (size_t)(end - text);
	*port = end + 1;
	return SNET_OK;
}

int snet_addr_parse(struct snet_addr *out, const char *text)
{
	struct snet_addr a = { 0 };
	const char *host, *port_text;
	char copy[SNET_ADDR_TEXT], *scope;
	uint32_t port, link = 0;
	size_t n;

	if (split(text, &host, &n, &port_text) || n >= sizeof(copy) ||
	    number(&port, port_text, UINT16_MAX))
		return SNET_EINVAL;
	memcpy(copy, host, n);
	copy[n] = '\0';
	if (*text != '[') {
		a.in.sin_family = AF_INET;
		if (inet_pton(AF_INET, copy, &a.in.sin_addr) != 1)
			return SNET_EINVAL;
	} else {
		scope = strchr(copy, '%');
		if (scope)
			*scope++ = '\0';
		a.in6.sin6_family = AF_INET6;
		if (inet_pton(AF_INET6, copy, &a.in6.sin6_addr) != 1 ||
		    (scope && number(&link, scope, UINT32_MAX)))
			return SNET_EINVAL;
		a.in6.sin6_scope_id = link;
	}
	snet_addr_set_port(&a, (uint16_t)port);
	*out = a;
	return SNET_OK;
}

const char *snet_addr_print(const struct snet_addr *a, char out[static SNET_ADDR_TEXT])
{
	char host[40], scope[12] = ""; /* inet_ntop mixes in dots only after ::ffff: or :: */

	switch (a->sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(out, SNET_ADDR_TEXT, "%s:%u", host, snet_addr_port(a));
		return out;
	case AF_INET6:
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		if (a->in6.sin6_scope_id)
			snprintf(scope, sizeof(scope), "%%%u", a->in6.sin6_scope_id);
		snprintf(out, SNET_ADDR_TEXT, "[%s%s]:%u", host, scope, snet_addr_port(a));
		return out;
	default:
		return strcpy(out, "none");
	}
}

int snet_keyid_parse(uint8_t out[static SNET_KEYID_BYTES], const char *text)
{
	uint8_t id[SNET_KEYID_BYTES];
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	if (strlen(text) != SNET_KEYID_TEXT - 1)
		return SNET_EINVAL;
	for (; *text; text++) {
		const char *at = strchr(base64url, *text);

		if (!at)
			return SNET_EINVAL;
		bits = bits << 6 | (uint32_t)(at - base64url);
		have += 6;
		if (have >= 8) {
			have -= 8;
			id[n++] = (uint8_t)(bits >> have);
		}
	}
	if (bits &
	    ((1u << have) - 1)) /* two texts for one key would be two identities to a diff */
		return SNET_EINVAL;
	memcpy(out, id, sizeof(id));
	return SNET_OK;
}

const char *snet_keyid_print(const uint8_t id[static SNET_KEYID_BYTES],
			     char out[static SNET_KEYID_TEXT])
{
	uint32_t bits = 0;
	unsigned have = 0;
	char *to = out;

	for (size_t i = 0; i < SNET_KEYID_BYTES; i++) {
		bits = bits << 8 | id[i];
		for (have += 8; have >= 6;) {
			have -= 6;
			*to++ = base64url[bits >> have & 63];
		}
	}
	*to++ = base64url[bits << (6 - have) & 63];
	*to = '\0';
	return out;
}

/* ---- what people write */

/* A wrong text goes to a terminal: control bytes, which could steer it, become '?'. */
static const char *shown(const char *text, char out[static SHOWN])
{
	size_t i;

	for (i = 0; i < SHOWN - 1 && text[i]; i++)
		out[i] = (unsigned char)text[i] < 32 || text[i] == 127 ? '?' : text[i];
	out[i] = '\0';
	if (text[i])
		memcpy(out + SHOWN - 4, "...", 4);
	return out;
}

/* NULL, or what is wrong. Each of these takes its part of the text
 * and fills its part of the url. */
static const char *take_scheme(struct snet_url *u, const char **text)
{
	const char *end = strstr(*text, "://");
	size_t n = end ? (size_t)(end - *text) : 0;

	if (!end) {
		strcpy(u->scheme, "quic");
		return NULL;
	}
	if (strspn(*text, "abcdefghijklmnopqrstuvwxyz0123456789+") < n || **text < 'a')
		return "scheme: want small letters, digits and '+' before '://'";
	if (n >= sizeof(u->scheme))
		return "scheme: longer than any there is";
	memcpy(u->scheme, *text, n);
	u->scheme[n] = '\0';
	*text = end + 3;
	return NULL;
}

static const char *take_key(struct snet_url *u, char *text)
{
	char *at = strchr(text, '#');

	if (!at)
		return NULL;
	*at++ = '\0';
	if (snet_keyid_parse(u->key, at))
		return "key id: want 43 characters of base64url after '#'";
	u->has_key = true;
	return NULL;
}

/* What a room's name may be, signal/room.h. */
static const char *take_room(struct snet_url *u, char *text)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-";
	char *at = strchr(text, '/');

	if (strncmp(u->scheme, "ice+", 4))
		return NULL;
	if (!at || !at[1])
		return "room: there is none, want host:port/room";
	*at++ = '\0';
	if (at[strspn(at, good)] || strlen(at) > SNET_ROOM_MAX || !strcmp(at, ".") ||
	    !strcmp(at, ".."))
		return "room: want 1 to 64 letters, digits, '.', '_', '~' and '-'";
	strcpy(u->room, at);
	return NULL;
}

/* Scopes are names here: the resolver knows the interfaces. */
static bool is_v6(const char *host)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr a;
	size_t n = strcspn(host, "%");

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, host, n);
	copy[n] = '\0';
	if (inet_pton(AF_INET6, copy, &a) != 1)
		return false;
	return !host[n] || (host[n + 1] && strlen(host + n + 1) <= 15 &&
			    !strpbrk(host + n + 1, "%[]:/?@ \t"));
}

static const char names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static bool is_srv(const struct snet_url *u)
{
	return !strcmp(u->scheme, "srv");
}

static const char *take_service(struct snet_url *u, const char *text)
{
	if (!*text)
		return "host: there is none, want the name of a service";
	if (strchr(text, ':'))
		return "port: there is none in an address of a service, which has its own";
	if (strlen(text) >= sizeof(u->host))
		return "host: longer than 255 bytes";
	if (text[strspn(text, names)])
		return "host: want the name of a service";
	strcpy(u->host, text);
	return NULL;
}

static const char *take_host(struct snet_url *u, const char *text)
{
	const char *host, *port;
	uint32_t number_of;
	size_t n;

	if (split(text, &host, &n, &port))
		return *text == '[' ? "host: want '[address]:port'"
				    : "port: there is none, want host:port";
	if (n >= sizeof(u->host))
		return "host: longer than 255 bytes";
	memcpy(u->host, host, n);
	u->host[n] = '\0';
	if (*text == '[' && !is_v6(u->host))
		return "host: not an IPv6 address in brackets";
	if (*text != '[' && strchr(u->host, ':'))
		return "host: an IPv6 address goes in brackets, [::1]:9000";
	if (*text != '[' && u->host[strspn(u->host, names)])
		return "host: want a name or a numeric address";
	if (number(&number_of, port, UINT16_MAX))
		return "port: want a number from 0 to 65535";
	u->port = (uint16_t)number_of;
	return NULL;
}

int snet_url_parse(struct snet_url *out, const char *text, struct snet_error *err)
{
	struct snet_url u = { 0 };
	char copy[SNET_URL_TEXT], safe[SHOWN];
	const char *at = text, *wrong = take_scheme(&u, &at);

	if (!wrong && strlen(at) >= sizeof(copy))
		wrong = "longer than any address";
	if (!wrong) {
		strcpy(copy, at);
		wrong = take_key(&u, copy);
	}
	if (!wrong)
		wrong = take_room(&u, copy);
	if (!wrong)
		wrong = is_srv(&u) ? take_service(&u, copy) : take_host(&u, copy);
	if (wrong)
		return snet_fail(err, SNET_EINVAL, "address '%s': %s", shown(text, safe),
				 wrong);
	*out = u;
	return SNET_OK;
}

const char *snet_url_print(const struct snet_url *u, char out[static SNET_URL_TEXT])
{
	bool v6 = strchr(u->host, ':');
	char key[SNET_KEYID_TEXT] = "", port[8] = "";

	if (u->has_key)
		snet_keyid_print(u->key, key);
	if (!is_srv(u))
		snprintf(port, sizeof(port), ":%u", u->port);
	snprintf(out, SNET_URL_TEXT, "%s://%s%s%s%s%s%s%s%s", u->scheme, v6 ? "[" : "", u->host,
		 v6 ? "]" : "", port, u->room[0] ? "/" : "", u->room, u->has_key ? "#" : "",
		 key);
	return out;
}
