#include "signal/upgrade.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/hash.h"
#include "obs/encode.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 §1.3 */

/* ---- addresses */

static int parse_port(uint16_t *port, const char *p, size_t n)
{
	unsigned v = 0;

	if (!n || n > 5)
		return SNET_EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return SNET_EINVAL;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	*port = (uint16_t)v;
	return v && v <= UINT16_MAX ? SNET_OK : SNET_EINVAL;
}

static bool is_host(const char *p, size_t n, bool bracketed)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && !strchr(bracketed ? ":.%-_" : ".-_", p[i]))
			return false;
	return n > 0;
}

/* host, host:port, [ipv6], [ipv6]:port */
static int parse_authority(struct snet_signal_url *u, const char *p, size_t n)
{
	const char *colon, *close = NULL;
	size_t host_n;

	if (n && *p == '[') {
		close = memchr(p, ']', n);
		if (!close)
			return SNET_EINVAL;
		host_n = (size_t)(close - p) - 1;
		p++;
		n -= host_n + 2;
		colon = n ? close + 1 : NULL;
	} else {
		colon = memchr(p, ':', n);
		host_n = colon ? (size_t)(colon - p) : n;
		n -= host_n;
	}
	if (host_n >= sizeof(u->host) || !is_host(p, host_n, close != NULL))
		return SNET_EINVAL;
	memcpy(u->host, p, host_n);
	u->port = u->tls ? 443 : 80;
	if (!colon)
		return SNET_OK;
	return *colon == ':' ? parse_port(&u->port, colon + 1, n - 1) : SNET_EINVAL;
}

int snet_signal_url_parse(struct snet_signal_url *out, const char *text, struct snet_error *err)
{
	const char *at = text, *slash;

	memset(out, 0, sizeof(*out));
	out->tls = !strncasecmp(text, "wss://", 6);
	if (!out->tls && strncasecmp(text, "ws://", 5) != 0)
		return snet_fail(err, SNET_EINVAL, "%.128s: want ws://HOST:PORT/ROOM", text);
	at += out->tls ? 6 : 5;
	slash = strchr(at, '/');
	if (!slash)
		return snet_fail(err, SNET_EINVAL, "%.128s: the room is missing: /ROOM", text);
	if (parse_authority(out, at, (size_t)(slash - at)))
		return snet_fail(err, SNET_EINVAL, "%.128s: bad host or port", text);
	if (strchr(slash, '?'))
		return snet_fail(err, SNET_EINVAL,
				 "%.*s: a token in an argument is seen by all: use a file",
				 (int)strcspn(text, "?") < 128 ? (int)strcspn(text, "?") : 128,
				 text);
	if (!snet_room_name_is_good(slash + 1))
		return snet_fail(err, SNET_EINVAL,
				 "%.128s: a room is 1 to %d letters, digits and -._~", text,
				 SNET_ROOM_NAME_MAX);
	memcpy(out->room, slash + 1, strlen(slash + 1));
	return SNET_OK;
}

bool snet_signal_token_is_good(const char *token, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)token[i]) && !strchr("-._~+/=", token[i]))
			return false;
	return n && n <= SNET_SIGNAL_TOKEN_MAX;
}

/* ---- keys */

void snet_upgrade_key(char out[static SNET_UPGRADE_KEY],
		      const uint8_t nonce[static SNET_UPGRADE_NONCE])
{
	out[snet_base64_encode((uint8_t *)out, nonce, SNET_UPGRADE_NONCE)] = 0;
}

int snet_upgrade_accept(char out[static SNET_UPGRADE_ACCEPT], const char *key)
{
	uint8_t raw[24], sum[SNET_SHA1_BYTES];
	char text[SNET_UPGRADE_KEY - 1 + sizeof(guid)];
	size_t n;

	if (strlen(key) != SNET_UPGRADE_KEY - 1 ||
	    snet_base64_decode(raw, &n, key, SNET_UPGRADE_KEY - 1) || n != SNET_UPGRADE_NONCE)
		return SNET_EINVAL;
	snprintf(text, sizeof(text), "%s%s", key, guid);
	if (snet_sha1(sum, text, strlen(text)))
		return SNET_ENOSYS;
	out[snet_base64_encode((uint8_t *)out, sum, sizeof(sum))] = 0;
	return SNET_OK;
}

/* ---- the client's side */

void snet_upgrade_request(struct snet_buf *b, const struct snet_signal_url *url,
			  const char *key, const char *token)
{
	bool is_v6 = strchr(url->host, ':') != NULL;

	snet_buf_fmt(b, "GET /%s HTTP/1.1\r\nHost: %s%.*s%s", url->room, is_v6 ? "[" : "",
		     (int)strcspn(url->host, "%"), url->host, is_v6 ? "]" : "");
	if (url->port != (url->tls ? 443 : 80))
		snet_buf_fmt(b, ":%u", url->port);
	snet_buf_fmt(b,
		     "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
		     key);
	if (token)
		snet_buf_fmt(b, "Authorization: Bearer %s\r\n", token);
	snet_buf_str(b, "\r\n");
}

struct line {
	const char *p;
	size_t n;
};

/* Without its end; false: there is none. Lines end with CRLF; LF alone is taken, too. */
static bool take_line(struct snet_reader *r, struct line *l)
{
	size_t left = snet_left(r);
	const uint8_t *end = left ? memchr(r->at, '\n', left) : NULL;

	if (!end)
		return false;
	l->p = (const char *)r->at;
	l->n = (size_t)(end - r->at);
	snet_take(r, l->n + 1);
	if (l->n && l->p[l->n - 1] == '\r')
		l->n--;
	return true;
}

/* The value of a field with this name; NULL: it is another. */
static const char *value_of(const struct line *l, const char *name, size_t *n)
{
	size_t k = strlen(name);
	const char *p, *end = l->p + l->n;

	if (l->n <= k || l->p[k] != ':' || strncasecmp(l->p, name, k) != 0)
		return NULL;
	for (p = l->p + k + 1; p < end && (*p == ' ' || *p == '\t'); p++)
		;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*n = (size_t)(end - p);
	return p;
}

/* Is it among the words of a list, RFC 9110 §5.6.1? */
static bool has_word(const char *p, size_t n, const char *word)
{
	size_t k = strlen(word);

	while (n) {
		const char *comma = memchr(p, ',', n);
		size_t all = comma ? (size_t)(comma - p) : n, m = all;
		const char *w = p;

		for (; m && (*w == ' ' || *w == '\t'); m--)
			w++;
		while (m && (w[m - 1] == ' ' || w[m - 1] == '\t'))
			m--;
		if (m == k && !strncasecmp(w, word, k))
			return true;
		p += all + (comma != NULL);
		n -= all + (comma != NULL);
	}
	return false;
}

/* Words of a stranger, to be printed. */
static void keep_words(struct snet_upgrade_response *r, const struct line *l)
{
	size_t n = l->n < sizeof(r->words) - 1 ? l->n : sizeof(r->words) - 1;

	for (size_t i = 0; i < n; i++)
		r->words[i] = l->p[i] >= ' ' && l->p[i] < 127 ? l->p[i] : '?';
	r->words[n] = 0;
}

/* "HTTP/1.1 101 Switching Protocols" */
static bool take_status(struct snet_upgrade_response *r, const struct line *l)
{
	struct line reason;

	if (l->n < 12 || strncmp(l->p, "HTTP/1.", 7) != 0 || l->p[8] != ' ' ||
	    (l->n > 12 && l->p[12] != ' '))
		return false;
	for (int i = 9; i < 12; i++)
		if (l->p[i] < '0' || l->p[i] > '9')
			return false;
	r->status = (unsigned)(l->p[9] - '0') * 100 + (unsigned)(l->p[10] - '0') * 10 +
		    (unsigned)(l->p[11] - '0');
	reason = (struct line){ l->p + 12 + (l->n > 12), l->n - 12 - (l->n > 12) };
	keep_words(r, &reason);
	return true;
}

static int refusal(const struct snet_upgrade_response *r)
{
	switch (r->status) {
	case 401:
	case 403:
		return SNET_EDENIED;
	case 429:
	case 503:
		return SNET_EPOLICY;
	default:
		return SNET_EPROTO;
	}
}

struct fields {
	bool upgrade, connection, accept, extra;
	size_t length; /* of the body */
};

static void take_field(struct fields *f, const struct line *l, const char *accept)
{
	const char *v;
	size_t n;

	if ((v = value_of(l, "Upgrade", &n)))
		f->upgrade |= has_word(v, n, "websocket");
	else if ((v = value_of(l, "Connection", &n)))
		f->connection |= has_word(v, n, "upgrade");
	else if ((v = value_of(l, "Sec-WebSocket-Accept", &n)))
		f->accept |= n == strlen(accept) && !memcmp(v, accept, n);
	else if (value_of(l, "Sec-WebSocket-Extensions", &n) ||
		 value_of(l, "Sec-WebSocket-Protocol", &n))
		f->extra = true; /* nobody asked for any, RFC 6455 §4.1 */
	else if ((v = value_of(l, "Content-Length", &n)))
		for (f->length = 0; n && *v >= '0' && *v <= '9' && f->length < 1 << 20; n--)
			f->length = f->length * 10 + (size_t)(*v++ - '0');
}

int snet_upgrade_response_parse(struct snet_upgrade_response *r, const uint8_t *p, size_t n,
				bool ended, const char *accept)
{
	struct snet_reader in = snet_reader(p, n);
	struct fields f = { 0 };
	struct line l;
	bool whole = false;

	*r = (struct snet_upgrade_response){ 0 };
	if (!take_line(&in, &l))
		return ended || n > SNET_UPGRADE_HEADER_MAX ? SNET_EPROTO : SNET_EAGAIN;
	if (!take_status(r, &l))
		return SNET_EPROTO;
	while (!whole && take_line(&in, &l)) {
		take_field(&f, &l, accept);
		whole = !l.n;
	}
	r->n = n - snet_left(&in);
	if (r->n > SNET_UPGRADE_HEADER_MAX)
		return SNET_EPROTO;
	if (!whole)
		return ended || n > SNET_UPGRADE_HEADER_MAX ? SNET_EPROTO : SNET_EAGAIN;
	if (r->status == 101)
		return f.upgrade && f.connection && f.accept && !f.extra ? SNET_OK
									 : SNET_EPROTO;
	/* The words of a short refusal are waited for. */
	if (!ended && f.length <= SNET_UPGRADE_HEADER_MAX && snet_left(&in) < f.length)
		return SNET_EAGAIN;
	if (take_line(&in, &l) && l.n)
		keep_words(r, &l);
	return refusal(r);
}

/* ---- the server's side */

unsigned snet_upgrade_check(const struct snet_upgrade_asked *a,
			    char accept[static SNET_UPGRADE_ACCEPT])
{
	if (strcmp(a->method, "GET") != 0)
		return 405;
	if (strcmp(a->version, "HTTP/1.1") != 0)
		return 505;
	if (!a->upgrade || !has_word(a->upgrade, strlen(a->upgrade), "websocket") ||
	    !a->connection || !has_word(a->connection, strlen(a->connection), "upgrade") ||
	    !a->ws_version || strcmp(a->ws_version, "13") != 0)
		return 426;
	if (!a->key)
		return 400;
	switch (snet_upgrade_accept(accept, a->key)) {
	case SNET_OK:
		return 101;
	case SNET_EINVAL:
		return 400;
	default:
		return 500;
	}
}
