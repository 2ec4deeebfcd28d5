#include "mesh/node_list.h"

#include <stdlib.h>
#include <string.h>

#include "mesh/ordering.h"
#include "wire/envelope.h"

void snet_node_list_fini(struct snet_node_list *l)
{
	snet_block_free(l->frame);
	free(l->keys);
	free(l->has_said);
	*l = (struct snet_node_list){ 0 };
}

/* The keys of the frame that l holds. */
static int read_keys(struct snet_node_list *l, const struct snet_envelope_list *list,
		     const char *name, struct snet_error *err)
{
	struct snet_reader at = snet_envelope_begin(list);

	if (!list->count || list->count > SNET_ORDERING_KEYS)
		return snet_fail(err, SNET_EPROTO, "%s sent a list of %zu nodes", name,
				 list->count);
	l->keys = calloc(list->count, sizeof(*l->keys));
	l->has_said = calloc(list->count, sizeof(*l->has_said));
	if (!l->keys || !l->has_said)
		return snet_fail(err, SNET_ENOMEM, "out of memory");
	while (snet_envelope_next_key(&at, &l->keys[l->n])) {
		const struct snet_slice *key = &l->keys[l->n];

		if (!key->n || key->n > SNET_ORDERING_KEY_MAX)
			return snet_fail(err, SNET_EPROTO, "%s sent a key of %zu bytes", name,
					 key->n);
		/* Equal ones would give one node two ids. */
		if (l->n && snet_key_compare(key - 1, key) >= 0)
			return snet_fail(err, SNET_EPROTO,
					 "%s sent a node list that is not sorted", name);
		if (++l->n == list->count)
			break;
	}
	return SNET_OK;
}

static int find(const struct snet_node_list *l, const uint8_t *key_id, uint32_t *out)
{
	uint8_t seen[SNET_SHA256_BYTES];

	for (*out = 0; *out < l->n; (*out)++) {
		int rc = snet_sha256(seen, l->keys[*out].p, l->keys[*out].n);

		if (rc)
			return rc;
		if (!memcmp(seen, key_id, sizeof(seen)))
			return SNET_OK;
	}
	return SNET_EPROTO;
}

static int open_list(struct snet_node_list *l, const char *name, const void *p, size_t n,
		     struct snet_error *err)
{
	struct snet_envelope e;

	l->frame = snet_block_new(n);
	if (!l->frame)
		return snet_fail(err, SNET_ENOMEM, "out of memory");
	memcpy(l->frame->data, p, n);
	l->frame->n = n;
	if (snet_envelope_decode(&e, l->frame->data, n))
		return SNET_EAGAIN;
	return read_keys(l, &e.keys, name, err);
}

int snet_node_list_add(struct snet_node_list *l, const uint8_t key_id[static SNET_SHA256_BYTES],
		       const char *name, const void *p, size_t n, struct snet_error *err)
{
	struct snet_node_list first = { 0 }, *to = l->frame ? l : &first;
	struct snet_envelope e;
	uint32_t i = 0;
	int rc = SNET_OK;

	if (snet_envelope_decode(&e, p, n) || e.tag != SNET_ENVELOPE_NODE_LIST_RESPONSE ||
	    e.trailing)
		return SNET_EAGAIN;
	if (!l->frame)
		rc = open_list(&first, name, p, n, err);
	else if (n != l->frame->n || memcmp(p, l->frame->data, n) != 0)
		rc = snet_fail(err, SNET_EPROTO, "%s has another node list than the others",
			       name);
	if (!rc && (rc = find(to, key_id, &i)))
		snet_fail(err, rc, "%s is not in the node list it sent", name);
	if (rc) {
		snet_node_list_fini(&first);
		return rc;
	}
	*l = *to;
	l->said += !l->has_said[i];
	l->has_said[i] = true;
	return SNET_OK;
}
