#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "ffi/agree.h"
#include "mesh/node_list.h"

#define PATIENCE 60000 /* ms: a node that has agreed says so at once */

/* ---- reading one */

static const struct snet_ffi_ordering *check(void *ordering)
{
	if (!ordering)
		snet_ffi_fail(0, "Null ordering handle");
	return ordering;
}

size_t stoffelnet_ordering_node_count(void *ordering)
{
	const struct snet_ffi_ordering *o = check(ordering);

	return o ? o->n_nodes : 0;
}

/* In the ordering that a client has made, there are none: it is told the list of nodes. */
size_t stoffelnet_ordering_client_count(void *ordering)
{
	const struct snet_ffi_ordering *o = check(ordering);

	return o ? o->n_clients : 0;
}

static int32_t key_at(const struct snet_slice *keys, size_t n, const char *what, size_t id,
		      uint8_t **out_key, size_t *out_len)
{
	uint8_t *copy;

	if (id >= n)
		return snet_ffi_fail(STOFFELNET_ERR_PARTY_NOT_FOUND,
				     "%s ID %zu not found in ordering", what, id);
	copy = snet_ffi_copy(keys[id].p, keys[id].n);
	if (!copy)
		return STOFFELNET_ERR_RUNTIME;
	*out_key = copy;
	*out_len = keys[id].n;
	return STOFFELNET_OK;
}

int32_t stoffelnet_ordering_node_key(void *ordering, size_t party_id, uint8_t **out_key,
				     size_t *out_len)
{
	const struct snet_ffi_ordering *o = ordering;

	if (!o || !out_key || !out_len)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null pointer argument");
	return key_at(o->nodes, o->n_nodes, "Party", party_id, out_key, out_len);
}

int32_t stoffelnet_ordering_client_key(void *ordering, size_t client_id, uint8_t **out_key,
				       size_t *out_len)
{
	const struct snet_ffi_ordering *o = ordering;

	if (!o || !out_key || !out_len)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null pointer argument");
	return key_at(o->clients, o->n_clients, "Client", client_id, out_key, out_len);
}

void stoffelnet_ordering_destroy(void *ordering)
{
	snet_ffi_ordering_free(ordering);
}

/* ---- making one, for a client */

static void *failed(const char *why)
{
	snet_ffi_fail(0, "Consensus verification failed: %s", why);
	return NULL;
}

/* The next message of one connection. What is no list is left to be received. */
static int32_t hear(struct snet_node_list *list, struct snet_ffi_link *l)
{
	char name[SNET_ADDR_TEXT], why[400];
	struct snet_error err = { 0 };
	struct snet_ffi_message *m = NULL;
	int32_t rc = snet_ffi_receive(l, PATIENCE, &m);

	if (rc) {
		snprintf(why, sizeof(why), "Consensus query failed: %s",
			 stoffelnet_last_error());
		failed(why);
		return rc;
	}
	snet_addr_print(&l->remote, name);
	switch (snet_node_list_add(list, l->key, name, m->data, m->n, &err)) {
	case SNET_OK:
		break;
	case SNET_EAGAIN:
		failed("Consensus query failed: the node sent something that is not a list");
		snet_ffi_link_lock(l);
		snet_ffi_unread(l, m);
		snet_ffi_link_unlock(l);
		return STOFFELNET_ERR_CONSENSUS;
	default:
		failed(err.text);
		rc = STOFFELNET_ERR_CONSENSUS;
	}
	snet_ffi_message_free(m);
	return rc;
}

void *stoffelnet_verify_node_ordering(void *const *conn_handles, size_t count, void *runtime)
{
	struct snet_node_list list = { 0 };
	void *ordering;

	if (!conn_handles || !runtime) {
		snet_ffi_fail(0, "Null pointer argument");
		return NULL;
	}
	if (!count) {
		snet_ffi_fail(0, "No connections provided");
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		if (!conn_handles[i]) {
			snet_ffi_fail(0, "Null pointer argument");
			return NULL;
		}
	if (snet_ffi_may_wait())
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (hear(&list, conn_handles[i])) {
			snet_node_list_fini(&list);
			return NULL;
		}
	ordering = snet_ffi_ordering_new(list.keys, list.n, NULL, 0);
	snet_node_list_fini(&list);
	return ordering ? ordering : failed("out of memory");
}

/* ---- making one with the other parties */

struct expecting {
	struct snet_ffi_manager *m;
	uint32_t count;
	bool clients;
	int32_t rc;
	char why[64];
};

/* Locked. A fresh agreement, also after one that has failed. */
static int32_t expect(struct snet_ffi_manager *m, uint32_t *which, uint32_t count)
{
	uint32_t old = *which;

	if (m->closing)
		return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "the runtime has been destroyed");
	if (m->gate == SNET_FFI_AGREED && old == count)
		return STOFFELNET_OK;
	if (m->gate == SNET_FFI_AGREED)
		return snet_ffi_fail(STOFFELNET_ERR_CONSENSUS,
				     "the parties have agreed already");
	*which = count;
	if (!snet_ffi_agree_begin(m))
		return STOFFELNET_OK;
	*which = old;
	return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "out of memory");
}

static void on_expect(void *arg)
{
	struct expecting *e = arg;

	pthread_mutex_lock(&e->m->rt->lock);
	e->rc = expect(e->m, e->clients ? &e->m->clients : &e->m->parties, e->count);
	if (e->rc)
		snprintf(e->why, sizeof(e->why), "%s", stoffelnet_last_error());
	pthread_mutex_unlock(&e->m->rt->lock);
}

static int32_t set_expected(void *manager, size_t count, bool clients)
{
	struct expecting e = { .m = manager, .count = (uint32_t)count, .clients = clients };
	int32_t rc;

	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	if (e.m->role == SNET_ROLE_CLIENT)
		return snet_ffi_fail(STOFFELNET_ERR_CONSENSUS,
				     "a client takes no part in the agreement of the parties");
	if (count > SNET_FFI_PARTIES || (!count && !clients))
		return snet_ffi_fail(STOFFELNET_ERR_CONSENSUS, "%zu %s cannot be expected",
				     count, clients ? "clients" : "parties");
	rc = snet_ffi_call(e.m->rt, on_expect, &e);
	if (!rc && e.rc)
		rc = snet_ffi_fail(e.rc, "%s", e.why);
	return rc;
}

int32_t stoffelnet_manager_set_expected_parties(void *manager, size_t count)
{
	return set_expected(manager, count, false);
}

int32_t stoffelnet_manager_set_expected_clients(void *manager, size_t count)
{
	return set_expected(manager, count, true);
}

int32_t stoffelnet_manager_set_consensus_timeout(void *manager, uint64_t milliseconds)
{
	struct snet_ffi_manager *m = manager;
	int32_t rc;

	if (m && (!milliseconds || milliseconds > SNET_NEVER / SNET_MS))
		return snet_ffi_fail(STOFFELNET_ERR_CONSENSUS, "%llu ms is no timeout",
				     (unsigned long long)milliseconds);
	rc = snet_ffi_manager_enter(m);
	if (rc)
		return rc;
	m->consensus_timeout = milliseconds * SNET_MS;
	snet_ffi_manager_quit(m);
	return STOFFELNET_OK;
}

/* ---- and what has come of it */

static void *ordering_of(struct snet_ffi_manager *m)
{
	switch (m->gate) {
	case SNET_FFI_AGREED:
		atomic_fetch_add(&m->ordering->refs, 1);
		return m->ordering;
	case SNET_FFI_FAILED:
		snet_ffi_fail(0, "%s", m->why_not);
		return NULL;
	case SNET_FFI_AGREEING:
		snet_ffi_fail(0, "the parties have not agreed yet");
		return NULL;
	default:
		snet_ffi_fail(0, "no parties and no clients are expected");
		return NULL;
	}
}

void *stoffelnet_manager_get_verified_ordering(void *manager)
{
	struct snet_ffi_manager *m = manager;
	void *ordering;

	if (snet_ffi_manager_enter(m))
		return NULL;
	ordering = ordering_of(m);
	snet_ffi_manager_quit(m);
	return ordering;
}

void *stoffelnet_manager_wait_verified_ordering(void *manager)
{
	struct snet_ffi_manager *m = manager;
	void *ordering = NULL;

	if ((m && snet_ffi_may_wait()) || snet_ffi_manager_enter(m))
		return NULL;
	if (!snet_ffi_agree_wait(m))
		ordering = ordering_of(m);
	snet_ffi_manager_quit(m);
	return ordering;
}
