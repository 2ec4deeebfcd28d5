#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "ffi/handle.h"
#include "mesh/node_list.h"
#include "wire/envelope.h"

/* What all agree on: keys in order, the place being the id. */
struct ordering {
	struct snet_block *frame; /* the keys lie in it */
	struct snet_slice *nodes;
	size_t n_nodes;
};

/* ---- reading one */

static const struct ordering *check(void *ordering)
{
	if (!ordering)
		snet_ffi_fail(0, "Null ordering handle");
	return ordering;
}

size_t stoffelnet_ordering_node_count(void *ordering)
{
	const struct ordering *o = check(ordering);

	return o ? o->n_nodes : 0;
}

/* What a client is told is the list of nodes: no clients are in it. */
size_t stoffelnet_ordering_client_count(void *ordering)
{
	check(ordering);
	return 0;
}

int32_t stoffelnet_ordering_node_key(void *ordering, size_t party_id, uint8_t **out_key,
				     size_t *out_len)
{
	const struct ordering *o = ordering;
	uint8_t *copy;

	if (!o || !out_key || !out_len)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null pointer argument");
	if (party_id >= o->n_nodes)
		return snet_ffi_fail(STOFFELNET_ERR_PARTY_NOT_FOUND,
				     "Party ID %zu not found in ordering", party_id);
	copy = snet_ffi_copy(o->nodes[party_id].p, o->nodes[party_id].n);
	if (!copy)
		return STOFFELNET_ERR_RUNTIME;
	*out_key = copy;
	*out_len = o->nodes[party_id].n;
	return STOFFELNET_OK;
}

int32_t stoffelnet_ordering_client_key(void *ordering, size_t client_id, uint8_t **out_key,
				       size_t *out_len)
{
	if (!ordering || !out_key || !out_len)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null pointer argument");
	return snet_ffi_fail(STOFFELNET_ERR_PARTY_NOT_FOUND,
			     "Client ID %zu not found in ordering", client_id);
}

void stoffelnet_ordering_destroy(void *ordering)
{
	struct ordering *o = ordering;

	if (!o)
		return;
	snet_block_free(o->frame);
	free(o->nodes);
	free(o);
}

/* ---- making one, for a client */

static void *failed(const char *why)
{
	snet_ffi_fail(0, "Consensus verification failed: %s", why);
	return NULL;
}

static void *take(struct snet_node_list *list)
{
	struct ordering *o = calloc(1, sizeof(*o));

	if (!o)
		return failed("out of memory");
	*o = (struct ordering){ list->frame, list->keys, list->n };
	list->frame = NULL;
	list->keys = NULL;
	snet_node_list_fini(list);
	return o;
}

/* The next message of one connection. */
static int32_t hear(struct snet_node_list *list, struct snet_ffi_link *l, void *runtime)
{
	char name[SNET_ADDR_TEXT];
	struct snet_error err = { 0 };
	uint8_t *p;
	size_t n;
	int32_t rc = stoffelnet_connection_receive(l, runtime, &p, &n);

	if (rc) {
		char why[400];

		snprintf(why, sizeof(why), "Consensus query failed: %s",
			 stoffelnet_last_error());
		failed(why);
		return rc;
	}
	snet_addr_print(&l->remote, name);
	switch (snet_node_list_add(list, l->key, name, p, n, &err)) {
	case SNET_OK:
		break;
	case SNET_EAGAIN:
		failed("Consensus query failed: the node sent something that is not a list");
		rc = STOFFELNET_ERR_CONSENSUS;
		break;
	default:
		failed(err.text);
		rc = STOFFELNET_ERR_CONSENSUS;
	}
	stoffelnet_free_bytes(p, n);
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
		if (hear(&list, conn_handles[i], runtime)) {
			snet_node_list_fini(&list);
			return NULL;
		}
	ordering = take(&list);
	if (!ordering)
		snet_node_list_fini(&list);
	return ordering;
}

/* ---- the parties' own agreement: this library's managers do not take part in it */

static int32_t not_built(void *manager)
{
	if (!manager)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");
	return snet_ffi_fail(STOFFELNET_ERR_CONSENSUS,
			     "the parties' agreement on an ordering is not available in this "
			     "build");
}

int32_t stoffelnet_manager_set_expected_parties(void *manager, size_t count)
{
	(void)count;
	return not_built(manager);
}

int32_t stoffelnet_manager_set_expected_clients(void *manager, size_t count)
{
	(void)count;
	return not_built(manager);
}

void *stoffelnet_manager_get_verified_ordering(void *manager)
{
	not_built(manager);
	return NULL;
}
