#include <stdlib.h>

#include "crypto/hash.h"
#include "ffi/agree.h"
#include "ffi/manager.h"

/* What concerns several parties at once, and clients. */

static bool is_party(const struct snet_ffi_link *l)
{
	return !l->client && snet_ffi_link_is_open(l);
}

/* What is sent to parties by their ids waits for the agreement. Locked after success. */
static int32_t enter_agreed(struct snet_ffi_manager *m, const uint8_t *data, size_t n)
{
	int32_t rc = m ? snet_ffi_check_data(data, n)
		       : snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null manager handle");

	if (!rc)
		rc = snet_ffi_may_wait();
	if (!rc)
		rc = snet_ffi_manager_enter(m);
	if (rc)
		return rc;
	rc = snet_ffi_agree_wait(m);
	if (rc)
		snet_ffi_manager_quit(m);
	return rc;
}

/* ---- to all */

struct copy {
	struct snet_ffi_link *link; /* held */
	struct snet_ffi_message *msg;
	struct snet_ffi_op op;
	bool under_way;
};

/* Locked. Everyone there is, ourselves too. *out NULL: out of memory. */
static size_t gather(struct snet_ffi_manager *m, struct copy **out)
{
	size_t n = 0, i = 0;

	snet_ffi_manager_find(m, m->id); /* makes the loopback */
	for (struct snet_list *at = m->links.next; at != &m->links; at = at->next)
		n += is_party(SNET_OF(at, struct snet_ffi_link, node));
	*out = calloc(n + 1, sizeof(**out));
	for (struct snet_list *at = m->links.next; *out && at != &m->links; at = at->next) {
		struct snet_ffi_link *l = SNET_OF(at, struct snet_ffi_link, node);

		if (!is_party(l))
			continue;
		atomic_fetch_add(&l->refs, 1);
		(*out)[i++].link = l;
	}
	return n;
}

/* All at once, so that two broadcasts reach everyone in one order; then waits for each. Returns
 * how many have it. */
static size_t give(struct snet_ffi_runtime *rt, struct copy *copies, size_t n)
{
	size_t taken = 0;
	bool guest = false;

	pthread_mutex_lock(&rt->lock);
	for (size_t i = 0; i < n && !guest; i++)
		guest = snet_ffi_is_answer(copies[i].link, copies[i].msg->n);
	guest = guest && snet_ffi_visit(rt);
	for (size_t i = 0; i < n; i++) {
		snet_ffi_op_init(&copies[i].op, rt);
		copies[i].under_way =
			!snet_ffi_hand_over(copies[i].link, copies[i].msg, &copies[i].op);
		if (copies[i].under_way)
			copies[i].msg = NULL;
	}
	if (guest)
		snet_ffi_leave(rt);
	for (size_t i = 0; i < n; i++) {
		if (copies[i].under_way)
			taken += !snet_ffi_op_wait(&copies[i].op, -1);
		else
			sem_destroy(&copies[i].op.told);
	}
	pthread_mutex_unlock(&rt->lock);
	return taken;
}

int32_t stoffelnet_manager_broadcast(void *manager, const uint8_t *data, size_t data_len,
				     size_t *out_count)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_runtime *rt;
	struct copy *copies;
	size_t n, taken = 0;
	bool packed;
	int32_t rc = enter_agreed(m, data, data_len);

	if (rc)
		return rc;
	rt = snet_ffi_runtime_hold(m->rt);
	n = gather(m, &copies);
	snet_ffi_manager_quit(m);
	packed = copies;
	for (size_t i = 0; packed && i < n; i++) {
		copies[i].msg = snet_ffi_pack(copies[i].link, data, data_len);
		packed = copies[i].msg;
	}
	if (packed)
		taken = give(rt, copies, n);
	else
		rc = snet_ffi_fail(STOFFELNET_ERR_SEND, "Send failed: out of memory");
	for (size_t i = 0; copies && i < n; i++) {
		snet_ffi_message_free(copies[i].msg);
		snet_ffi_link_free(copies[i].link);
	}
	free(copies);
	snet_ffi_runtime_free(rt);
	if (out_count)
		*out_count = taken;
	return rc;
}

/* ---- from any */

static int32_t receive_any(struct snet_ffi_manager *m, bool client, int32_t timeout_ms,
			   struct snet_ffi_op *op)
{
	struct snet_list *n;

	snet_ffi_op_init(op, m->rt);
	snet_list_add(&m->any[client], &op->node);
	for (n = m->links.next; n != &m->links; n = n->next) {
		struct snet_ffi_link *l = SNET_OF(n, struct snet_ffi_link, node);

		if (l->client != client || snet_list_is_empty(&l->inbox))
			continue;
		if (l->paused || l->loopback)
			snet_ffi_wake(l->rt); /* there may be room again */
		snet_list_del(&l->node);      /* the others first, next time */
		snet_list_add(&m->links, &l->node);
		snet_ffi_link_feed(l);
		break;
	}
	return snet_ffi_op_wait(op, timeout_ms);
}

static int32_t receive(void *manager, bool client, int32_t timeout_ms, uint64_t *out_id,
		       uint8_t **out_data, size_t *out_len)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_op op;
	int32_t rc = STOFFELNET_OK;

	if (m && (!out_id || !out_data || !out_len))
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null output pointer");
	if (timeout_ms)
		rc = snet_ffi_may_wait();
	if (!rc)
		rc = snet_ffi_manager_enter(m);
	if (rc)
		return rc;
	*out_data = NULL;
	*out_len = 0;
	rc = receive_any(m, client, timeout_ms, &op);
	snet_ffi_manager_quit(m);
	if (rc)
		return rc;
	*out_id = op.id;
	return snet_ffi_unpack(op.msg, out_data, out_len);
}

int32_t stoffelnet_manager_receive_from_any_party(void *manager, int32_t timeout_ms,
						  uint64_t *out_party_id, uint8_t **out_data,
						  size_t *out_len)
{
	return receive(manager, false, timeout_ms, out_party_id, out_data, out_len);
}

int32_t stoffelnet_manager_receive_from_any_client(void *manager, int32_t timeout_ms,
						   uint64_t *out_client_id, uint8_t **out_data,
						   size_t *out_len)
{
	return receive(manager, true, timeout_ms, out_client_id, out_data, out_len);
}

/* ---- to one, by id */

static int32_t send_to(struct snet_ffi_manager *m, struct snet_ffi_link *l, const char *what,
		       uint64_t id, const uint8_t *data, size_t n)
{
	int32_t rc;

	if (l)
		atomic_fetch_add(&l->refs, 1);
	snet_ffi_manager_quit(m);
	if (!l)
		return snet_ffi_fail(STOFFELNET_ERR_PARTY_NOT_FOUND, "No connection to %s %llu",
				     what, (unsigned long long)id);
	rc = snet_ffi_send(l, data, n);
	snet_ffi_link_free(l);
	return rc;
}

int32_t stoffelnet_manager_send(void *manager, uint64_t party_id, const uint8_t *data,
				size_t data_len)
{
	int32_t rc = enter_agreed(manager, data, data_len);

	return rc ? rc
		  : send_to(manager, snet_ffi_manager_find(manager, party_id), "party",
			    party_id, data, data_len);
}

/* ---- clients: known by the derived ids of their keys, or by the place of a key among all */

static struct snet_slice key_of(const struct snet_ffi_link *l)
{
	return (struct snet_slice){ l->spki, l->spki_len, NULL };
}

/* The next client's link at or after n that is connected; NULL: no more. */
static struct snet_ffi_link *next_client(struct snet_ffi_manager *m, struct snet_list **n)
{
	while (*n != &m->links) {
		struct snet_ffi_link *l = SNET_OF(*n, struct snet_ffi_link, node);

		*n = (*n)->next;
		if (l->client && snet_ffi_link_is_useful(l))
			return l;
	}
	return NULL;
}

/* Its place: in the agreed list, or else in that of the clients that are connected. */
static uint64_t place_of(struct snet_ffi_manager *m, const struct snet_ffi_link *l)
{
	const struct snet_ffi_ordering *o = m->ordering;
	struct snet_slice mine = key_of(l);
	struct snet_list *n = m->links.next;
	struct snet_ffi_link *other;
	uint64_t below = 0;

	if (o) {
		int64_t i = snet_ordering_find(o->clients, (uint32_t)o->n_clients, &mine);

		return i < 0 ? UINT64_MAX : (uint64_t)i;
	}
	while ((other = next_client(m, &n))) {
		struct snet_slice key = key_of(other);

		below += snet_key_compare(&key, &mine) < 0;
	}
	return below;
}

static struct snet_ffi_link *find_client(struct snet_ffi_manager *m, uint64_t id)
{
	struct snet_ffi_link *l;

	if (id < SNET_FFI_PARTIES)
		for (struct snet_list *n = m->links.next; (l = next_client(m, &n));)
			if (place_of(m, l) == id)
				return l;
	for (struct snet_list *n = m->links.next; (l = next_client(m, &n));)
		if (l->derived == id)
			return l;
	return NULL;
}

size_t stoffelnet_manager_clients(void *manager, uint64_t *out_ids, size_t room)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_link *l;
	struct snet_list *n;
	size_t count = 0;

	if (snet_ffi_manager_enter(m))
		return 0;
	n = m->links.next;
	while ((l = next_client(m, &n))) {
		if (count < room && out_ids)
			out_ids[count] = l->derived;
		count++;
	}
	snet_ffi_manager_quit(m);
	return count;
}

void *stoffelnet_manager_get_client_connection(void *manager, uint64_t client_id)
{
	struct snet_ffi_manager *m = manager;
	struct snet_ffi_link *l;

	if (snet_ffi_manager_enter(m))
		return NULL;
	l = find_client(m, client_id);
	if (l)
		atomic_fetch_add(&l->refs, 1);
	else
		snet_ffi_fail(0, "No connection to client %llu", (unsigned long long)client_id);
	snet_ffi_manager_quit(m);
	return l;
}

int32_t stoffelnet_manager_send_to_client(void *manager, uint64_t client_id,
					  const uint8_t *data, size_t data_len)
{
	int32_t rc = enter_agreed(manager, data, data_len);

	return rc ? rc
		  : send_to(manager, find_client(manager, client_id), "client", client_id, data,
			    data_len);
}
