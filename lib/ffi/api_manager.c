#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/allow.h"
#include "crypto/hash.h"
#include "crypto/identity.h"
#include "ffi/agree.h"
#include "ffi/nat.h"

/* ---- making one */

static void warn_once(void)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&said))
		snet_log(
			SNET_LOG_WARN, "ffi",
			"no keys are allowed by name: development mode, every key is accepted");
}

struct binding {
	struct snet_ffi_manager *m;
	int rc;
	struct snet_error err;
};

static void bind_it(void *arg)
{
	static const struct snet_endpoint_events dials_only = { 0 };
	struct binding *b = arg;
	struct snet_ffi_manager *m = b->m;
	struct snet_ffi_runtime *rt = m->rt;

	m->config.identity = m->identity;
	m->config.trust = m->trust;
	m->config.role = m->role;
	b->rc = snet_transport_quic.bind(
		&m->endpoint, rt->loop, &m->at, -1, &m->config,
		m->role == SNET_ROLE_CLIENT ? &dials_only : &snet_ffi_endpoint_events, m,
		&b->err);
	if (b->rc)
		return;
	snet_transport_quic.address(m->endpoint, &m->at);
	pthread_mutex_lock(&rt->lock);
	if (rt->dead)
		b->rc = snet_fail(&b->err, SNET_ECLOSED, "the runtime has been destroyed");
	else
		snet_list_add(&rt->managers, &m->node);
	pthread_mutex_unlock(&rt->lock);
	if (b->rc)
		snet_transport_quic.unbind(m->endpoint);
}

static struct snet_ffi_manager *born(struct snet_ffi_runtime *rt, const struct snet_addr *at,
				     uint64_t id, enum snet_role role)
{
	struct snet_ffi_manager *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	atomic_init(&m->refs, 2); /* the handle, and the runtime's list */
	m->rt = snet_ffi_runtime_hold(rt);
	m->id = id;
	m->role = role;
	m->event = -1;
	m->parties = m->clients = SNET_ORDERING_ANY;
	m->consensus_timeout = SNET_ORDERING_TIMEOUT;
	m->at = *at;
	snet_list_init(&m->node);
	snet_list_init(&m->links);
	snet_list_init(&m->wires);
	snet_list_init(&m->dials);
	snet_list_init(&m->connects);
	snet_list_init(&m->accepts);
	snet_list_init(&m->incoming);
	snet_list_init(&m->nat.rooms);
	snet_list_init(&m->nat.exchanges);
	snet_list_init(&m->any[0]);
	snet_list_init(&m->any[1]);
	return m;
}

static void *make(void *runtime, const char *bind_address, uint64_t id, enum snet_role role,
		  const char *pem)
{
	struct binding b = { 0 };
	struct snet_addr at;
	int32_t rc;

	if (!runtime) {
		snet_ffi_fail(0, "Null runtime handle");
		return NULL;
	}
	if (snet_ffi_parse(&at, bind_address, "bind address"))
		return NULL;
	b.m = born(runtime, &at, id, role);
	if (!b.m) {
		snet_ffi_fail(0, "out of memory");
		return NULL;
	}
	b.rc = pem ? snet_identity_load(&b.m->identity, pem, &b.err)
		   : snet_identity_new(&b.m->identity, SNET_KEY_P256, NULL, &b.err);
	if (!b.rc)
		b.rc = snet_trust_new(&b.m->trust, &b.err);
	if (!b.rc)
		snet_trust_set_insecure(b.m->trust);
	rc = b.rc ? 0 : snet_ffi_call(b.m->rt, bind_it, &b);
	if (!rc && !b.rc) {
		warn_once();
		return b.m;
	}
	if (!rc)
		snet_ffi_fail(0, "Failed to start listening: %s", b.err.text);
	atomic_store(&b.m->refs, 1);
	snet_ffi_manager_free(b.m);
	return NULL;
}

void *stoffelnet_manager_new(void *runtime, const char *bind_address, uint64_t party_id)
{
	return make(runtime, bind_address, party_id, SNET_ROLE_SERVER, NULL);
}

void *stoffelnet_manager_new_client(void *runtime, const char *bind_address, uint64_t party_id)
{
	return make(runtime, bind_address, party_id, SNET_ROLE_CLIENT, NULL);
}

void *stoffelnet_manager_new_with_identity(void *runtime, const char *bind_address,
					   uint64_t party_id, const char *pem_path)
{
	if (!pem_path) {
		snet_ffi_fail(0, "Null identity path");
		return NULL;
	}
	return make(runtime, bind_address, party_id, SNET_ROLE_SERVER, pem_path);
}

void stoffelnet_manager_destroy(void *manager)
{
	struct snet_ffi_manager *m = manager;

	if (!m)
		return;
	pthread_mutex_lock(&m->rt->lock);
	m->closing = true;
	snet_ffi_wake_surely(m->rt);
	while (!m->gone && !snet_ffi_here)
		pthread_cond_wait(&m->rt->changed, &m->rt->lock);
	pthread_mutex_unlock(&m->rt->lock);
	snet_ffi_manager_free(m);
}

/* ---- who may come, and where they are */

int32_t snet_ffi_manager_enter(struct snet_ffi_manager *m)
{
	if (!m)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	pthread_mutex_lock(&m->rt->lock);
	atomic_fetch_add(&m->refs, 1);
	if (!m->closing)
		return STOFFELNET_OK;
	atomic_fetch_sub(&m->refs, 1); /* the handle is another */
	pthread_mutex_unlock(&m->rt->lock);
	return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "the runtime has been destroyed");
}

void snet_ffi_manager_quit(struct snet_ffi_manager *m)
{
	struct snet_ffi_runtime *rt = snet_ffi_runtime_hold(m->rt);

	pthread_mutex_unlock(&rt->lock);
	snet_ffi_manager_free(m);
	snet_ffi_runtime_free(rt);
}

static int32_t in_room(struct snet_ffi_node *n, const char *address)
{
	struct snet_url u;
	int32_t rc = snet_ffi_parse_room(&u, address);

	if (rc)
		return rc;
	n->room = malloc(sizeof(u));
	if (!n->room)
		return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "out of memory");
	*n->room = u;
	n->bound = n->pinned = u.has_key;
	memcpy(n->key, u.key, sizeof(n->key));
	return STOFFELNET_OK;
}

int32_t stoffelnet_manager_add_node(void *manager, const char *address, uint64_t party_id)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_node n = { .id = party_id };
	int32_t rc;

	if (!m)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	if (!address)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null address");
	rc = strncmp(address, "ice+", 4) ? snet_ffi_parse(&n.addr, address, "address")
					 : in_room(&n, address);
	if (!rc)
		rc = snet_ffi_manager_enter(m);
	if (rc) {
		free(n.room);
		return rc;
	}
	if (snet_ffi_manager_add(m, &n)) {
		rc = snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "no room for another node");
		free(n.room);
	}
	snet_ffi_manager_quit(m);
	return rc;
}

struct allowing {
	struct snet_ffi_manager *m;
	uint8_t keyid[SNET_KEYID_BYTES];
	bool clear;
	int rc;
	struct snet_error err;
};

/* On the loop's thread, which looks into the list during handshakes. */
static void allow(void *arg)
{
	struct allowing *a = arg;
	struct snet_trust *t = a->m->trust;

	if (a->clear || snet_trust_is_insecure(t))
		snet_trust_clear(t);
	if (a->clear)
		snet_trust_set_insecure(t);
	else
		a->rc = snet_trust_add(t, a->keyid, NULL, &a->err);
}

static int32_t change_trust(struct allowing *a)
{
	int32_t rc = snet_ffi_call(a->m->rt, allow, a);

	if (!rc && a->rc)
		rc = snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "%s", a->err.text);
	return rc;
}

int32_t stoffelnet_manager_add_allowed_certificate_public_key(void *manager, const uint8_t *key,
							      size_t key_len)
{
	struct allowing a = { .m = manager };

	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	if (!key || !key_len)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER,
				     "Null or empty certificate public key");
	if (snet_sha256(a.keyid, key, key_len))
		return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "SHA-256 is not to be had");
	return change_trust(&a);
}

int32_t stoffelnet_manager_clear_allowed_certificate_public_keys(void *manager)
{
	struct allowing a = { .m = manager, .clear = true };

	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	return change_trust(&a);
}

/* ---- connections */

static int32_t woken(struct snet_ffi_manager *m)
{
	int32_t rc = snet_ffi_manager_enter(m);

	if (rc || !snet_ffi_wake(m->rt))
		return rc;
	snet_ffi_manager_quit(m);
	return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "out of memory");
}

int32_t stoffelnet_manager_connect_to_party(void *manager, uint64_t party_id)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_op op;
	int32_t rc = m ? snet_ffi_may_wait() : 0;

	if (!rc)
		rc = woken(m);
	if (rc)
		return rc;
	snet_ffi_op_init(&op, m->rt);
	op.id = party_id;
	snet_list_add(&m->connects, &op.node);
	rc = snet_ffi_op_wait(&op, -1);
	snet_ffi_manager_quit(m);
	return rc;
}

void *stoffelnet_manager_connect_to_party_async(void *manager, uint64_t party_id,
						StoffelConnectCallback callback,
						void *user_data)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_op *op = m ? snet_ffi_op_new(m->rt, user_data) : NULL;

	if (m && !op)
		return NULL;
	if (woken(m)) {
		if (op)
			atomic_store(&op->refs, 1);
		snet_ffi_op_free(op);
		return NULL;
	}
	op->on_result = callback;
	op->m = snet_ffi_manager_hold(m);
	op->id = party_id;
	snet_list_add(&m->connects, &op->node);
	snet_ffi_manager_quit(m);
	return op;
}

int32_t stoffelnet_manager_accept_connection(void *manager, uint64_t *out_party_id)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_link *l;
	struct snet_ffi_op op;
	int32_t rc = m && out_party_id ? snet_ffi_may_wait() : 0;

	if (m && !out_party_id)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null out_party_id pointer");
	if (m && m->role == SNET_ROLE_CLIENT)
		return snet_ffi_fail(STOFFELNET_ERR_CONNECTION, "nobody connects to a client");
	if (!rc)
		rc = snet_ffi_manager_enter(m);
	if (rc)
		return rc;
	l = snet_ffi_manager_accept(m);
	if (l) {
		*out_party_id = snet_ffi_manager_name(m, l);
	} else {
		snet_ffi_op_init(&op, m->rt);
		snet_list_add(&m->accepts, &op.node);
		rc = snet_ffi_op_wait(&op, -1);
		if (!rc)
			*out_party_id = op.id;
	}
	snet_ffi_manager_quit(m);
	snet_ffi_link_free(l);
	return rc;
}

void *stoffelnet_manager_get_connection(void *manager, uint64_t party_id)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_link *l;

	if (snet_ffi_manager_enter(m))
		return NULL;
	l = snet_ffi_manager_find(m, party_id);
	if (l)
		atomic_fetch_add(&l->refs, 1);
	else
		snet_ffi_fail(0, "No connection to party %llu", (unsigned long long)party_id);
	snet_ffi_manager_quit(m);
	return l;
}

int32_t stoffelnet_manager_is_party_connected(void *manager, uint64_t party_id)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_link *l;
	int32_t yes;

	if (!m || snet_ffi_manager_enter(m))
		return 0;
	l = snet_ffi_manager_find(m, party_id);
	yes = l && snet_ffi_link_is_open(l);
	snet_ffi_manager_quit(m);
	return yes;
}
