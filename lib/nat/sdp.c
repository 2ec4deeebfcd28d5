#include "nat/sdp.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 264 /* bytes of one word, its NUL too */

static const char ice_chars[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool snet_sdp_is_ice(const char *text, size_t max)
{
	size_t n = strspn(text, ice_chars);

	return n && n <= max && !text[n];
}

/* ---- words, one space between */

/* The next one into out; "" at the end. False: too long, or more than one space. */
static bool word(const char **at, char out[static WORD_MAX])
{
	size_t n = strcspn(*at, " ");

	if (n >= WORD_MAX || (!n && **at))
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at += n;
	if (**at && !*++*at)
		return false; /* a space, and nothing after it */
	return true;
}

static bool number(const char *text, uint32_t max, uint32_t *out)
{
	size_t n = strspn(text, "0123456789");
	uint64_t v = 0;

	if (!n || text[n] || n > 10)
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	*out = (uint32_t)v;
	return v <= max;
}

static bool next_number(const char **at, uint32_t max, uint32_t *out)
{
	char text[WORD_MAX];

	return word(at, text) && number(text, max, out);
}

static bool address(struct snet_addr *out, const char *text)
{
	*out = (struct snet_addr){ 0 };
	if (inet_pton(AF_INET, text, &out->in.sin_addr) == 1)
		out->in.sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) == 1)
		out->in6.sin6_family = AF_INET6;
	return out->sa.sa_family != AF_UNSPEC;
}

/* ---- parts. NULL, or what is wrong; *rc is set when it is not the syntax. */

static const char *take_name(struct snet_sdp_candidate *out, const char *text, int *rc)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];

		if (i >= SNET_SDP_NAME_MAX ||
		    !strchr("abcdefghijklmnopqrstuvwxyz0123456789-._", c))
			return "its address is neither one nor a name";
		out->name[i] = c;
	}
	if (n > 6 && !strcmp(out->name + n - 6, ".local"))
		return NULL;
	*rc = SNET_ENOSYS;
	return "its address is a name, and not one of mDNS";
}

static const char *take_head(struct snet_sdp_candidate *out, const char **at, int *rc)
{
	char text[WORD_MAX], transport[WORD_MAX];
	uint32_t port;

	if (!word(at, text) || !snet_sdp_is_ice(text, SNET_FOUNDATION_MAX))
		return "its foundation is not 1 to 32 letters, digits, '+' or '/'";
	strcpy(out->c.foundation, text);
	if (!next_number(at, 256, &out->c.component) || !out->c.component)
		return "its component is not a number from 1 to 256";
	if (!word(at, transport) || !*transport)
		return "it has no transport";
	if (!next_number(at, INT32_MAX, &out->c.priority) || !out->c.priority)
		return "its priority is not a number from 1 to 2147483647";
	if (!word(at, text) || !*text)
		return "it has no address";
	if (!address(&out->c.address, text)) {
		const char *wrong = take_name(out, text, rc);

		if (wrong)
			return wrong;
	}
	if (!next_number(at, UINT16_MAX, &port))
		return "its port is not a number up to 65535";
	out->port = (uint16_t)port;
	snet_addr_set_port(&out->c.address, out->port);
	if (!strcasecmp(transport, "udp"))
		return port ? NULL : "its port is 0";
	*rc = SNET_ENOSYS;
	return "its transport is not UDP";
}

static const char *take_type(struct snet_sdp_candidate *out, const char **at, int *rc)
{
	char text[WORD_MAX];

	if (!word(at, text) || strcmp(text, "typ") != 0 || !word(at, text) || !*text)
		return "it has no type";
	for (int t = SNET_CANDIDATE_HOST; t <= SNET_CANDIDATE_RELAY; t++)
		if (!strcasecmp(text, snet_candidate_name((enum snet_candidate_type)t))) {
			out->c.type = (enum snet_candidate_type)t;
			return NULL;
		}
	*rc = SNET_ENOSYS;
	return "its type is not host, srflx, prflx or relay";
}

/* Pairs of a name and a value, up to the end. */
static const char *take_rest(struct snet_sdp_candidate *out, const char **at)
{
	char key[WORD_MAX], value[WORD_MAX];
	struct snet_addr related = { 0 };
	uint32_t port = 0;

	while (**at) {
		if (!word(at, key) || !word(at, value) || !*value)
			return "an extension has no value, or is too long";
		if (!strcmp(key, "raddr") && !address(&related, value) && !strchr(value, '.'))
			return "its raddr is neither an address nor a name";
		if (!strcmp(key, "rport") && !number(value, UINT16_MAX, &port))
			return "its rport is not a number up to 65535";
		if (!strcmp(key, "ufrag")) {
			if (!snet_sdp_is_ice(value, SNET_UFRAG_MAX))
				return "its ufrag is not letters, digits, '+' or '/'";
			strcpy(out->ufrag, value);
		}
	}
	snet_addr_set_port(&related, (uint16_t)port);
	out->c.related = related;
	return NULL;
}

int snet_sdp_parse(struct snet_sdp_candidate *out, const char *line, struct snet_error *err)
{
	struct snet_sdp_candidate c = { 0 };
	size_t n = strnlen(line, SNET_SDP_MAX);
	char copy[SNET_SDP_MAX];
	const char *at = copy, *wrong = NULL;
	int rc = SNET_EPROTO;

	*out = c;
	if (n == SNET_SDP_MAX)
		return snet_fail(err, rc, "candidate: longer than %d bytes", SNET_SDP_MAX - 1);
	while (n && strchr("\r\n ", line[n - 1]))
		n--;
	memcpy(copy, line, n);
	copy[n] = '\0';
	if (!strncmp(at, "a=", 2))
		at += 2;
	if (strncmp(at, "candidate:", 10) != 0)
		return snet_fail(err, rc, "candidate: the line does not begin with one");
	at += 10;
	if (!(wrong = take_head(&c, &at, &rc)) && !(wrong = take_type(&c, &at, &rc)))
		wrong = take_rest(&c, &at);
	if (wrong)
		return snet_fail(err, rc, "candidate: %s", wrong);
	*out = c;
	return SNET_OK;
}

/* ---- printing */

/* Without the scope of a link-local one, which means nothing elsewhere. */
static const char *ip(const struct snet_addr *a, char out[static INET6_ADDRSTRLEN])
{
	if (a->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->in6.sin6_addr, out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET, &a->in.sin_addr, out, INET6_ADDRSTRLEN);
	return out;
}

int snet_sdp_print(const struct snet_sdp_candidate *s, char out[static SNET_SDP_MAX])
{
	const struct snet_candidate *c = &s->c;
	struct snet_addr related = c->related;
	unsigned port = *s->name ? s->port : snet_addr_port(&c->address);
	char host[INET6_ADDRSTRLEN], rhost[INET6_ADDRSTRLEN];
	int n;

	if ((c->address.sa.sa_family == AF_UNSPEC && !*s->name) ||
	    !snet_sdp_is_ice(c->foundation, SNET_FOUNDATION_MAX) || (*s->name && !s->port))
		return SNET_EINVAL;
	n = snprintf(out, SNET_SDP_MAX, "candidate:%s %u UDP %u %s %u typ %s", c->foundation,
		     c->component, c->priority, *s->name ? s->name : ip(&c->address, host),
		     port, snet_candidate_name(c->type));
	/* All but host candidates have it; §5.1 has a form for what is not told. */
	if (related.sa.sa_family == AF_UNSPEC && c->type != SNET_CANDIDATE_HOST) {
		related.sa.sa_family = c->address.sa.sa_family == AF_INET6 ? AF_INET6 : AF_INET;
		snet_addr_set_port(&related, 9);
	}
	if (related.sa.sa_family != AF_UNSPEC)
		n += snprintf(out + n, SNET_SDP_MAX - (size_t)n, " raddr %s rport %u",
			      ip(&related, rhost), snet_addr_port(&related));
	if (*s->ufrag)
		snprintf(out + n, SNET_SDP_MAX - (size_t)n, " ufrag %s", s->ufrag);
	return SNET_OK;
}
