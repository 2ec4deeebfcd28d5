#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "crypto/identity.h"
#include "ffi/nat.h"
#include "signal/upgrade.h"

/* ---- texts */

/* Any but NULL, and UTF-8. */
static int32_t check_text(const char *text, const char *what)
{
	if (!text)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null %s", what);
	if (!snet_utf8_is_valid(text, strlen(text)))
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_UTF8, "Invalid UTF-8 in %s", what);
	return STOFFELNET_OK;
}

int32_t snet_ffi_parse_room(struct snet_url *out, const char *text)
{
	struct snet_error err = { 0 };
	int32_t rc = check_text(text, "room address");

	if (rc)
		return rc;
	if (snet_url_parse(out, text, &err))
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_ADDRESS, "Invalid %s", err.text);
	if (!out->room[0] || !out->host[0] || !out->port)
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_ADDRESS,
				     "Invalid address '%.100s': want ice+ws://host:port/room",
				     text);
	return STOFFELNET_OK;
}

/* "host:port", a name or an address. */
static int32_t parse_host(struct snet_ice_server *out, const char *text)
{
	struct snet_error err = { 0 };
	struct snet_url u;

	if (strstr(text, "://") || strpbrk(text, "/#?") || snet_url_parse(&u, text, &err) ||
	    !u.host[0] || !u.port)
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_ADDRESS,
				     "Invalid address format: '%.100s': want host:port", text);
	out->port = u.port;
	out->host = strdup(u.host);
	return out->host ? STOFFELNET_OK
			 : snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "out of memory");
}

static bool skip(const char **at, const char *prefix)
{
	bool is = !strncmp(*at, prefix, strlen(prefix));

	*at += is ? strlen(prefix) : 0;
	return is;
}

/* RFC 7065, but that the port is not left out. */
static int32_t parse_turn(struct snet_ice_server *out, const char *text)
{
	char host[SNET_URL_TEXT];
	const char *at = text, *query;
	bool tls = skip(&at, "turns:");
	size_t n;

	if (!tls && !skip(&at, "turn:"))
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_ADDRESS,
				     "Invalid address format: '%.100s': want "
				     "turn:host:port?transport=udp|tcp or turns:host:port",
				     text);
	query = at + strcspn(at, "?");
	n = (size_t)(query - at);
	out->over = tls ? SNET_TURN_TLS : SNET_TURN_UDP;
	if (!strcmp(query, "?transport=tcp"))
		out->over = tls ? SNET_TURN_TLS : SNET_TURN_TCP;
	else if (*query && (tls || strcmp(query, "?transport=udp") != 0))
		n = sizeof(host); /* what else it may be we do not have */
	if (n >= sizeof(host))
		return snet_ffi_fail(STOFFELNET_ERR_INVALID_ADDRESS,
				     "Invalid address format: '%.100s'", text);
	memcpy(host, at, n);
	host[n] = '\0';
	return parse_host(out, host);
}

/* ---- servers */

/* Of ways that are begun later. Takes what s has. */
static int32_t add_server(struct snet_ffi_manager *m, struct snet_ice_server *s)
{
	int32_t rc = snet_ffi_manager_enter(m);

	if (rc)
		return rc;
	if (m->nat.n_servers < SNET_ICE_SERVERS) {
		m->nat.servers[m->nat.n_servers++] = *s;
		*s = (struct snet_ice_server){ 0 };
	} else {
		rc = snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "more than %d servers",
				   SNET_ICE_SERVERS);
	}
	snet_ffi_manager_quit(m);
	return rc;
}

int32_t stoffelnet_manager_add_stun_server(void *manager, const char *address)
{
	struct snet_ice_server s = { 0 };
	int32_t rc;

	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	rc = check_text(address, "address");
	if (!rc)
		rc = parse_host(&s, address);
	if (!rc)
		rc = add_server(manager, &s);
	free((char *)s.host);
	return rc;
}

static int32_t parse_cred(struct snet_turn_cred *out, const char *user, const char *password)
{
	int32_t rc = check_text(user, "user");

	if (!rc)
		rc = check_text(password, "password");
	if (rc)
		return rc;
	if (!*user || strlen(user) >= sizeof(out->user) ||
	    strlen(password) >= sizeof(out->password))
		return snet_ffi_fail(STOFFELNET_ERR_RUNTIME,
				     "the user is empty, or it or the password too long");
	strcpy(out->user, user);
	strcpy(out->password, password);
	return STOFFELNET_OK;
}

int32_t stoffelnet_manager_add_turn_server(void *manager, const char *uri, const char *user,
					   const char *password)
{
	struct snet_ice_server s = { 0 };
	struct snet_turn_cred *cred;
	int32_t rc;

	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	rc = check_text(uri, "address");
	if (rc)
		return rc;
	cred = calloc(1, sizeof(*cred));
	rc = cred ? parse_cred(cred, user, password)
		  : snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "out of memory");
	if (!rc)
		rc = parse_turn(&s, uri);
	s.cred = cred;
	if (!rc)
		rc = add_server(manager, &s);
	if (s.cred)
		snet_turn_cred_wipe(cred);
	free((struct snet_turn_cred *)s.cred);
	free((char *)s.host);
	return rc;
}

/* ---- on and off */

static void leave(void *arg)
{
	snet_ffi_nat_leave(arg);
}

int32_t stoffelnet_manager_set_nat_traversal(void *manager, int32_t enabled)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_runtime *rt;
	int32_t rc = snet_ffi_manager_enter(m);

	if (rc)
		return rc;
	rt = m->rt;
	m->nat.on = enabled;
	if (!enabled) {
		pthread_mutex_unlock(&rt->lock);
		rc = snet_ffi_call(rt, leave, m);
		pthread_mutex_lock(&rt->lock);
	}
	snet_ffi_manager_quit(m);
	return rc;
}

/* ---- calls into the loop that wait for what comes of it */

struct asking {
	struct snet_ffi_manager *m;
	struct snet_ffi_op op;
	struct snet_url url;
	const char *token;
	uint64_t id;
	const uint8_t *data;
	size_t n;
	int rc;
	struct snet_error err;
};

/* fn is given the question, locked, and has op end some time. */
static int32_t ask(struct asking *a, void (*fn)(void *arg))
{
	struct snet_ffi_manager *m = a->m;
	int32_t rc = m ? snet_ffi_may_wait() : 0;

	if (!rc)
		rc = snet_ffi_manager_enter(m);
	if (rc)
		return rc;
	snet_ffi_op_init(&a->op, m->rt);
	pthread_mutex_unlock(&m->rt->lock);
	rc = snet_ffi_call(m->rt, fn, a);
	pthread_mutex_lock(&m->rt->lock);
	if (rc)
		sem_destroy(&a->op.told);
	else
		rc = snet_ffi_op_wait(&a->op, -1);
	snet_ffi_manager_quit(m);
	return rc;
}

static void join(void *arg)
{
	struct asking *a = arg;

	pthread_mutex_lock(&a->m->rt->lock);
	snet_ffi_room_join(a->m, &a->url, a->token, &a->op);
	pthread_mutex_unlock(&a->m->rt->lock);
}

int32_t stoffelnet_manager_join_room(void *manager, const char *url, const char *token)
{
	struct asking a = { .m = manager, .token = token };
	int32_t rc;

	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	rc = snet_ffi_parse_room(&a.url, url);
	if (!rc && token && !snet_signal_token_is_good(token, strlen(token)))
		rc = snet_ffi_fail(STOFFELNET_ERR_RUNTIME,
				   "the token is not one of RFC 6750, of at most %d characters",
				   SNET_SIGNAL_TOKEN_MAX);
	return rc ? rc : ask(&a, join);
}

static void say(void *arg)
{
	struct asking *a = arg;

	pthread_mutex_lock(&a->m->rt->lock);
	snet_ffi_exchange_say(a->m, a->id, &a->op);
	pthread_mutex_unlock(&a->m->rt->lock);
}

int32_t stoffelnet_manager_create_ice_candidates_message(void *manager, uint64_t party_id,
							 uint8_t **out_data, size_t *out_len)
{
	struct asking a = { .m = manager, .id = party_id };
	int32_t rc;

	if (manager && (!out_data || !out_len))
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null output pointer");
	rc = ask(&a, say);
	return rc ? rc : snet_ffi_unpack(a.op.msg, out_data, out_len);
}

static void hear(void *arg)
{
	struct asking *a = arg;

	pthread_mutex_lock(&a->m->rt->lock);
	a->rc = snet_ffi_exchange_hear(a->m, a->id, a->data, a->n, &a->err);
	pthread_mutex_unlock(&a->m->rt->lock);
}

int32_t stoffelnet_manager_process_ice_candidates_message(void *manager, uint64_t party_id,
							  const uint8_t *data, size_t data_len)
{
	struct snet_ffi_manager *m = manager;
	struct asking a = { .m = m, .id = party_id, .data = data, .n = data_len };
	int32_t rc;

	if (m && !data)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null data pointer");
	rc = snet_ffi_manager_enter(m);
	if (rc)
		return rc;
	pthread_mutex_unlock(&m->rt->lock);
	rc = snet_ffi_call(m->rt, hear, &a);
	pthread_mutex_lock(&m->rt->lock);
	if (!rc && a.rc)
		rc = snet_ffi_fail(STOFFELNET_ERR_CONNECTION, "%s", a.err.text);
	snet_ffi_manager_quit(m);
	return rc;
}

char *stoffelnet_manager_key_id(void *manager)
{
	const struct snet_ffi_manager *m = manager;
	char text[SNET_KEYID_TEXT], *copy;

	if (!m) {
		snet_ffi_fail(0, "Null manager handle");
		return NULL;
	}
	copy = strdup(snet_keyid_print(snet_identity_keyid(m->identity), text));
	if (!copy)
		snet_ffi_fail(0, "out of memory");
	return copy;
}
