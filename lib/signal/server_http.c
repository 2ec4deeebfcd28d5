#include "signal/server_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "obs/metrics.h"
#include "signal/server_impl.h"
#include "signal/upgrade.h"

#define PAGE_MAX (4 << 20) /* bytes */

/* What the daemon keeps for us between the calls for one request. */
struct request {
	struct peer *peer; /* in its room, and not upgraded yet */
};

/* ---- answers */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
			      const void *p, size_t n)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(n, (void *)p, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result rc;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer"); /* RFC 6750 §3 */
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	if (status == MHD_HTTP_TOO_MANY_REQUESTS)
		MHD_add_response_header(r, "Retry-After", "60");
	if (status == MHD_HTTP_UPGRADE_REQUIRED) /* RFC 6455 §4.4 */
		MHD_add_response_header(r, "Sec-WebSocket-Version", "13");
	rc = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *words)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "%s\n", words);

	return answer(c, status, "text/plain; charset=utf-8", text, (size_t)n);
}

static enum MHD_Result page(struct MHD_Connection *c, const struct snet_signal_server *s,
			    int (*write)(const struct snet_signal_server *, struct snet_buf *),
			    const char *type)
{
	struct snet_buf b = SNET_BUF(PAGE_MAX);
	enum MHD_Result rc;

	if (write(s, &b))
		rc = say(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	else
		rc = answer(c, MHD_HTTP_OK, type, b.p, b.n);
	snet_buf_free(&b);
	return rc;
}

/* ---- who may come in */

static const struct refusal {
	unsigned status;
	int code;
	const char *words;
} refusals[] = {
	[SNET_ROOM_BAD_NAME] = { 404, SNET_ENOENT, "no such room: 1 to 64 of a-zA-Z0-9-._~" },
	[SNET_ROOM_TOO_OFTEN] = { 429, SNET_EPOLICY, "too many joins from this address" },
	[SNET_ROOM_ADDRESS_IS_FULL] = { 429, SNET_EPOLICY, "too many members at this address" },
	[SNET_ROOM_TOO_MANY_ROOMS] = { 503, SNET_EPOLICY, "too many rooms" },
	[SNET_ROOM_IS_FULL] = { 503, SNET_EPOLICY, "the room is full" },
	[SNET_ROOM_NO_MEMORY] = { 500, SNET_ENOMEM, "out of memory" },
};

static enum MHD_Result refuse(struct snet_signal_server *s, struct MHD_Connection *c,
			      const struct snet_addr *from, const struct refusal *why)
{
	struct snet_error err = { 0 };

	snet_count(SNET_METRIC_REFUSED, 1);
	snet_fail(&err, why->code, "%s", why->words);
	s->ev->on_refused(from, &err, s->user);
	return say(c, why->status, why->words);
}

static void address_of(struct MHD_Connection *c, struct snet_addr *from)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	*from = (struct snet_addr){ 0 };
	if (!i || !i->client_addr)
		return;
	if (i->client_addr->sa_family == AF_INET6)
		memcpy(&from->in6, i->client_addr, sizeof(from->in6));
	else
		memcpy(&from->in, i->client_addr, sizeof(from->in));
}

static const char *token_of(struct MHD_Connection *c)
{
	const char *a = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");

	if (a && !strncasecmp(a, "Bearer ", 7))
		return a + 7;
	return MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "token");
}

static void on_upgraded(void *server, struct MHD_Connection *c, void *request, const char *more,
			size_t n, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
	struct request *r = request;
	struct peer *p = r->peer;

	(void)server, (void)c;
	r->peer = NULL;
	if (p)
		snet_signal_peer_start(p, urh, fd, more, n);
	else
		MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
}

static enum MHD_Result upgrade(struct snet_signal_server *s, struct MHD_Connection *c,
			       const char *accept)
{
	struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgraded, s);
	enum MHD_Result rc;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Upgrade", "websocket");
	MHD_add_response_header(r, "Sec-WebSocket-Accept", accept);
	rc = MHD_queue_response(c, MHD_HTTP_SWITCHING_PROTOCOLS, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result join(struct snet_signal_server *s, struct MHD_Connection *c,
			    const char *room, const char *accept, struct request *r)
{
	static const struct refusal no_token = { 401, SNET_EDENIED, "a token is wanted" };
	static const struct refusal bad_token = { 401, SNET_EDENIED, "not a token of ours" };
	static const struct refusal ends = { 503, SNET_ECLOSED, "the server ends" };
	const char *token = token_of(c);
	enum snet_room_answer a;
	struct snet_addr from;

	address_of(c, &from);
	if (s->draining)
		return refuse(s, c, &from, &ends);
	if (!snet_room_name_is_good(room))
		return refuse(s, c, &from, &refusals[SNET_ROOM_BAD_NAME]);
	a = snet_rooms_knock(s->rooms, &from, snet_loop_now(s->loop));
	if (!a && !snet_tokens_accept(&s->tokens, token))
		return refuse(s, c, &from, token ? &bad_token : &no_token);
	if (!a)
		a = snet_signal_peer_new(&r->peer, s, room, &from);
	if (a)
		return refuse(s, c, &from, &refusals[a]);
	if (!s->rooms_timer.slot)
		snet_timer_set(s->loop, &s->rooms_timer, snet_rooms_deadline(s->rooms));
	return upgrade(s, c, accept);
}

/* ---- requests */

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result room(struct snet_signal_server *s, struct MHD_Connection *c,
			    const char *url, const char *method, const char *version,
			    struct request *r)
{
	const struct snet_upgrade_asked asked = {
		.method = method,
		.version = version,
		.upgrade = header(c, "Upgrade"),
		.connection = header(c, "Connection"),
		.ws_version = header(c, "Sec-WebSocket-Version"),
		.key = header(c, "Sec-WebSocket-Key"),
	};
	char accept[SNET_UPGRADE_ACCEPT];
	unsigned status = snet_upgrade_check(&asked, accept);

	switch (status) {
	case 101:
		return join(s, c, url + 1, accept, r);
	case 405:
		return say(c, status, "GET, please");
	case 426:
		return say(c, status, "a room is for WebSockets, version 13");
	default:
		return say(c, status, "that is no upgrade to WebSocket");
	}
}

enum MHD_Result snet_signal_http_on_request(void *server, struct MHD_Connection *c,
					    const char *url, const char *method,
					    const char *version, const char *upload,
					    size_t *upload_n, void **request)
{
	struct snet_signal_server *s = server;
	bool is_get = !strcmp(method, "GET") || !strcmp(method, "HEAD");

	(void)upload;
	if (!*request) { /* the header is there; the answer comes with the next call */
		*request = calloc(1, sizeof(struct request));
		return *request ? MHD_YES : MHD_NO;
	}
	if (*upload_n)
		return MHD_NO; /* nothing here takes a body */
	if (is_get && !strcmp(url, "/"))
		return page(c, s, snet_signal_page, "text/html; charset=utf-8");
	if (is_get && !strcmp(url, "/metrics") && !header(c, "Upgrade"))
		return page(c, s, snet_signal_metrics, "text/plain; version=0.0.4");
	return room(s, c, url, method, version, *request);
}

void snet_signal_http_on_completed(void *server, struct MHD_Connection *c, void **request,
				   enum MHD_RequestTerminationCode why)
{
	struct request *r = *request;

	(void)server, (void)c, (void)why;
	if (r && r->peer)
		snet_signal_peer_free(r->peer);
	free(r);
	*request = NULL;
}
