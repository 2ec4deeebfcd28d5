#include "mesh/ordering.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "mesh/ordering_verdict.h"

struct snet_ordering_client {
	struct snet_slice key;
	size_t refs;
};

static bool is_key(const struct snet_slice *key)
{
	return key->n && key->n <= SNET_ORDERING_KEY_MAX;
}

static int copy_key(struct snet_slice *out, const struct snet_slice *key)
{
	struct snet_block *b = snet_block_new(key->n);

	if (!b)
		return SNET_ENOMEM;
	memcpy(b->data, key->p, key->n);
	b->n = key->n;
	*out = (struct snet_slice){ b->data, b->n, b };
	return SNET_OK;
}

/* ---- life */

static bool is_count(uint32_t n)
{
	return n == SNET_ORDERING_ANY || n <= SNET_ORDERING_KEYS;
}

static bool are_opts(const struct snet_ordering_opts *opts)
{
	if (opts->parties == SNET_ORDERING_ANY && opts->clients == SNET_ORDERING_ANY)
		return false;
	if (!opts->parties || !is_count(opts->parties) || !is_count(opts->clients))
		return false;
	return opts->self == SNET_ORDERING_ANY || opts->self < SNET_ORDERING_KEYS;
}

int snet_ordering_init(struct snet_ordering *o, const struct snet_ordering_opts *opts,
		       const struct snet_slice *own, snet_time now)
{
	uint8_t *frame;

	*o = (struct snet_ordering){ .opts = *opts,
				     .frame = SNET_BUF(SNET_ORDERING_DIGEST_BYTES) };
	if (!are_opts(opts) || !is_key(own))
		return SNET_EINVAL;
	if (!opts->wait)
		o->opts.wait = SNET_NEVER;
	if (!opts->timeout)
		o->opts.timeout = SNET_ORDERING_TIMEOUT;
	if (!opts->settle)
		o->opts.settle = SNET_ORDERING_SETTLE;
	o->nodes = calloc(1, sizeof(*o->nodes));
	frame = snet_buf_room(&o->frame, SNET_ORDERING_DIGEST_BYTES);
	if (!o->nodes || !frame)
		return SNET_ENOMEM;
	memset(frame, 0, SNET_ORDERING_DIGEST_BYTES);
	o->changed = now;
	o->deadline = o->limit = snet_ordering_after(now, o->opts.wait);
	o->blame = SNET_ORDERING_ANY;
	o->is_dirty = true;
	return copy_key(&o->own, own);
}

void snet_ordering_fini(struct snet_ordering *o)
{
	for (uint32_t i = 0; i < o->parties_cap; i++)
		snet_block_free(o->parties[i].key.block);
	for (uint32_t i = 0; i < o->client_count; i++)
		snet_block_free(o->clients[i].key.block);
	snet_block_free(o->own.block);
	free(o->parties);
	free(o->clients);
	free(o->nodes);
	free(o->client_keys);
	snet_buf_free(&o->frame);
	*o = (struct snet_ordering){ .deadline = SNET_NEVER };
}

void snet_ordering_retry(struct snet_ordering *o, snet_time now)
{
	if (o->state != SNET_ORDERING_FAILED)
		return;
	o->state = SNET_ORDERING_OPEN;
	o->is_told = o->is_started = false;
	o->is_dirty = true;
	o->changed = now;
	o->deadline = o->limit = snet_ordering_after(now, o->opts.wait);
	for (uint32_t i = 0; i < o->parties_cap; i++)
		o->parties[i].is_sent = o->parties[i].is_sent && o->parties[i].is_once;
}

/* ---- who there is */

static struct snet_ordering_party *party_at(const struct snet_ordering *o, uint32_t index)
{
	if (index >= o->parties_cap || !o->parties[index].key.block)
		return NULL;
	return &o->parties[index];
}

static void change(struct snet_ordering *o, snet_time now)
{
	o->is_dirty = true;
	o->changed = now;
}

static int grow_parties(struct snet_ordering *o, uint32_t index)
{
	uint32_t cap = o->parties_cap ? o->parties_cap : 4;
	struct snet_ordering_party *parties;
	struct snet_slice *nodes;

	if (index < o->parties_cap)
		return SNET_OK;
	while (cap <= index)
		cap *= 2;
	nodes = realloc(o->nodes, (cap + 1) * sizeof(*nodes));
	if (!nodes)
		return SNET_ENOMEM;
	o->nodes = nodes;
	parties = realloc(o->parties, cap * sizeof(*parties));
	if (!parties)
		return SNET_ENOMEM;
	memset(parties + o->parties_cap, 0, (cap - o->parties_cap) * sizeof(*parties));
	o->parties = parties;
	o->parties_cap = cap;
	return SNET_OK;
}

/* Whether this key may be this party's: two with one key would share an id. */
static int admit(const struct snet_ordering *o, uint32_t index, const struct snet_slice *key)
{
	const struct snet_ordering_party *p = party_at(o, index);
	uint32_t others = 1;

	if (index >= SNET_ORDERING_KEYS || index == o->opts.self || !is_key(key))
		return SNET_EINVAL;
	if (!snet_key_compare(&o->own, key))
		return SNET_EDENIED;
	for (uint32_t i = 0; i < o->parties_cap; i++) {
		if (i == index || !o->parties[i].key.block)
			continue;
		others++;
		if (!snet_key_compare(&o->parties[i].key, key))
			return SNET_EDENIED;
	}
	if (o->state == SNET_ORDERING_AGREED && (!p || snet_key_compare(&p->key, key) != 0))
		return SNET_EDENIED;
	return others < SNET_ORDERING_KEYS ? SNET_OK : SNET_EINVAL;
}

int snet_ordering_party_up(struct snet_ordering *o, uint32_t index,
			   const struct snet_slice *key, bool is_once, snet_time now)
{
	struct snet_ordering_party *p;
	struct snet_slice copy;
	int rc = admit(o, index, key);

	if (rc || (rc = grow_parties(o, index)))
		return rc;
	p = &o->parties[index];
	if (!p->key.block || snet_key_compare(&p->key, key) != 0) {
		if ((rc = copy_key(&copy, key)))
			return rc;
		snet_block_free(p->key.block);
		*p = (struct snet_ordering_party){ .key = copy };
		change(o, now);
	}
	p->is_up = true;
	p->is_once = is_once;
	p->is_sent = p->has_spoken = false;
	return SNET_OK;
}

void snet_ordering_party_down(struct snet_ordering *o, uint32_t index)
{
	struct snet_ordering_party *p = party_at(o, index);

	if (p)
		p->is_up = false;
}

void snet_ordering_party_gone(struct snet_ordering *o, uint32_t index, snet_time now)
{
	struct snet_ordering_party *p = party_at(o, index);

	snet_ordering_party_down(o, index);
	if (!p || o->state == SNET_ORDERING_AGREED)
		return;
	snet_block_free(p->key.block);
	*p = (struct snet_ordering_party){ 0 };
	change(o, now);
}

void snet_ordering_unsent(struct snet_ordering *o, uint32_t index)
{
	struct snet_ordering_party *p = party_at(o, index);

	if (p)
		p->is_sent = false;
}

/* The first client that is not below key. */
static uint32_t client_place(const struct snet_ordering *o, const struct snet_slice *key)
{
	uint32_t low = 0, high = o->client_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (snet_key_compare(&o->clients[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_client(const struct snet_ordering *o, uint32_t i, const struct snet_slice *key)
{
	return i < o->client_count && !snet_key_compare(&o->clients[i].key, key);
}

static int grow_clients(struct snet_ordering *o)
{
	uint32_t cap = o->clients_cap ? 2 * o->clients_cap : 4;
	struct snet_ordering_client *clients;
	struct snet_slice *keys;

	if (o->client_count < o->clients_cap)
		return SNET_OK;
	keys = realloc(o->client_keys, cap * sizeof(*keys));
	if (!keys)
		return SNET_ENOMEM;
	o->client_keys = keys;
	clients = realloc(o->clients, cap * sizeof(*clients));
	if (!clients)
		return SNET_ENOMEM;
	o->clients = clients;
	o->clients_cap = cap;
	return SNET_OK;
}

int snet_ordering_client_up(struct snet_ordering *o, const struct snet_slice *key,
			    snet_time now)
{
	struct snet_slice copy;
	uint32_t i;
	int rc;

	if (!is_key(key))
		return SNET_EINVAL;
	if (o->state == SNET_ORDERING_AGREED)
		return SNET_OK;
	i = client_place(o, key);
	if (is_client(o, i, key)) {
		o->clients[i].refs++;
		return SNET_OK;
	}
	if (o->client_count == SNET_ORDERING_KEYS)
		return SNET_ETOOBIG;
	if ((rc = grow_clients(o)) || (rc = copy_key(&copy, key)))
		return rc;
	memmove(o->clients + i + 1, o->clients + i,
		(o->client_count - i) * sizeof(*o->clients));
	o->clients[i] = (struct snet_ordering_client){ copy, 1 };
	o->client_count++;
	change(o, now);
	return SNET_OK;
}

void snet_ordering_client_gone(struct snet_ordering *o, const struct snet_slice *key,
			       snet_time now)
{
	uint32_t i = client_place(o, key);

	if (o->state == SNET_ORDERING_AGREED || !is_client(o, i, key) || --o->clients[i].refs)
		return;
	snet_block_free(o->clients[i].key.block);
	o->client_count--;
	memmove(o->clients + i, o->clients + i + 1,
		(o->client_count - i) * sizeof(*o->clients));
	change(o, now);
}

/* ---- what was said */

bool snet_ordering_is_digest(const void *p, size_t n)
{
	struct snet_envelope e;

	return snet_ordering_decode(&e, p, n);
}

int snet_ordering_input(struct snet_ordering *o, uint32_t index, const void *p, size_t n,
			snet_time now)
{
	struct snet_ordering_party *from = party_at(o, index);

	if (!from)
		return SNET_ENOENT;
	if (!snet_ordering_is_digest(p, n) || (from->is_once && from->has_spoken))
		return SNET_EAGAIN;
	from->has_said = from->has_spoken = true;
	memcpy(from->said, p, n);
	from->said_at = now;
	if (o->state == SNET_ORDERING_AGREED && memcmp(p, o->frame.p, n) != 0)
		return SNET_EPROTO;
	return SNET_OK;
}

/* ---- our digest */

static int by_key(const void *a, const void *b)
{
	return snet_key_compare(a, b);
}

static void list_keys(struct snet_ordering *o)
{
	o->node_count = 0;
	o->nodes[o->node_count++] = o->own;
	for (uint32_t i = 0; i < o->parties_cap; i++)
		if (o->parties[i].key.block)
			o->nodes[o->node_count++] = o->parties[i].key;
	qsort(o->nodes, o->node_count, sizeof(*o->nodes), by_key);
	for (uint32_t i = 0; i < o->client_count; i++)
		o->client_keys[i] = o->clients[i].key;
}

static int make_digest(struct snet_ordering *o)
{
	uint8_t nodes[SNET_BLAKE3_BYTES], clients[SNET_BLAKE3_BYTES];
	struct snet_envelope e = { .tag = SNET_ENVELOPE_CLIENT_LIST_DIGEST };
	int rc;

	if ((rc = snet_list_digest(nodes, o->nodes, o->node_count)) ||
	    (rc = snet_list_digest(clients, o->client_keys, o->client_count)))
		return rc;
	e.digest.digest = (struct snet_slice){ clients, sizeof(clients), NULL };
	e.digest.count = o->client_count;
	e.digest.node_digest = (struct snet_slice){ nodes, sizeof(nodes), NULL };
	e.digest.node_count = o->node_count;
	return snet_envelope_encode(&e, &o->frame);
}

static int refresh(struct snet_ordering *o, snet_time now)
{
	uint8_t old[SNET_ORDERING_DIGEST_BYTES];
	int rc;

	if (!o->is_dirty)
		return SNET_OK;
	list_keys(o);
	memcpy(old, o->frame.p, sizeof(old));
	o->frame.n = 0;
	o->is_dirty = false;
	if (!snet_ordering_is_expected(o->node_count, o->opts.parties) ||
	    !snet_ordering_is_expected(o->client_count, o->opts.clients))
		return SNET_OK;
	if ((rc = make_digest(o))) {
		o->is_dirty = true;
		return rc;
	}
	if (!o->is_started)
		o->limit = snet_ordering_after(now, o->opts.timeout);
	o->is_started = true;
	for (uint32_t i = 0; i < o->parties_cap && memcmp(old, o->frame.p, sizeof(old)); i++)
		o->parties[i].is_sent = o->parties[i].is_sent && o->parties[i].is_once;
	return SNET_OK;
}

/* ---- what is wanted */

/* Nothing more for who takes one digest once we agreed: it may be past it by now. */
static bool is_owed(const struct snet_ordering *o, const struct snet_ordering_party *p)
{
	return p->key.block && p->is_up && !p->is_sent &&
	       !(p->is_once && o->state == SNET_ORDERING_AGREED);
}

static bool next_send(struct snet_ordering *o, struct snet_ordering_want *want)
{
	if (!o->frame.n || o->state == SNET_ORDERING_FAILED)
		return false;
	for (uint32_t i = 0; i < o->parties_cap; i++) {
		struct snet_ordering_party *p = &o->parties[i];

		if (!is_owed(o, p))
			continue;
		p->is_sent = true;
		*want = (struct snet_ordering_want){ SNET_ORDERING_SEND, i, o->frame.p,
						     o->frame.n };
		return true;
	}
	return false;
}

int snet_ordering_next(struct snet_ordering *o, snet_time now, struct snet_ordering_want *want)
{
	int rc;

	*want = (struct snet_ordering_want){ .party = SNET_ORDERING_ANY };
	if (o->state == SNET_ORDERING_OPEN && (rc = refresh(o, now)))
		return rc;
	if (next_send(o, want))
		return SNET_OK;
	snet_ordering_judge(o, now);
	if (o->state == SNET_ORDERING_OPEN || o->is_told)
		return SNET_OK;
	o->is_told = true;
	if (o->state == SNET_ORDERING_AGREED) {
		want->verb = SNET_ORDERING_AGREE;
	} else {
		want->verb = SNET_ORDERING_REFUSE;
		want->party = o->blame;
	}
	return SNET_OK;
}

int64_t snet_ordering_find(const struct snet_slice *keys, uint32_t n,
			   const struct snet_slice *key)
{
	for (uint32_t i = 0; i < n; i++)
		if (!snet_key_compare(&keys[i], key))
			return i;
	return -1;
}

int snet_ordering_response(const struct snet_ordering *o, struct snet_buf *out)
{
	struct snet_envelope e = { .tag = SNET_ENVELOPE_NODE_LIST_RESPONSE };

	if (o->state != SNET_ORDERING_AGREED)
		return SNET_EAGAIN;
	e.keys.count = o->node_count;
	e.keys.items = o->nodes;
	return snet_envelope_encode(&e, out);
}
