#include "ffi/link.h"

#include <stdlib.h>
#include <string.h>

#include "ffi/manager.h"

/* What the calling threads do with a link: put messages into its outbox, take them out of its
 * inbox. */

void snet_ffi_link_lock(struct snet_ffi_link *l)
{
	atomic_fetch_add(&l->refs, 1);
	pthread_mutex_lock(&l->rt->lock);
}

void snet_ffi_link_unlock(struct snet_ffi_link *l)
{
	struct snet_ffi_runtime *rt = snet_ffi_runtime_hold(l->rt);

	pthread_mutex_unlock(&rt->lock);
	snet_ffi_link_free(l);
	snet_ffi_runtime_free(rt);
}

void snet_ffi_message_free(struct snet_ffi_message *m)
{
	if (!m)
		return;
	free(m->data);
	snet_block_free(m->block);
	free(m);
}

/* ---- sending */

int32_t snet_ffi_check_data(const uint8_t *data, size_t n)
{
	if (!data && n)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER,
				     "Null data pointer with non-zero length");
	if (n > SNET_MESSAGE_MAX)
		return snet_ffi_fail(STOFFELNET_ERR_SEND,
				     "Framing error: Message size %zu exceeds maximum %u", n,
				     SNET_MESSAGE_MAX);
	return STOFFELNET_OK;
}

struct snet_ffi_message *snet_ffi_pack(const struct snet_ffi_link *l, const uint8_t *p,
				       size_t n)
{
	struct snet_ffi_message *m = calloc(1, sizeof(*m));
	uint8_t *to = NULL;

	if (!m)
		return NULL;
	snet_list_init(&m->node);
	m->n = n;
	if (n && l->loopback)
		to = m->data = malloc(n);
	else if (n && (m->block = snet_block_new(n)))
		to = m->block->data;
	if (n && !to) {
		free(m);
		return NULL;
	}
	if (n)
		memcpy(to, p, n);
	if (m->block)
		m->block->n = n;
	return m;
}

static int32_t refuse(const struct snet_ffi_link *l)
{
	static const char *const states[] = { "Connected", "closing", "Closed",
					      "Disconnected" };

	return snet_ffi_fail(STOFFELNET_ERR_SEND, "Cannot send: %sconnection is %s",
			     l->loopback ? "loopback " : "", states[l->state]);
}

int32_t snet_ffi_hand_over(struct snet_ffi_link *l, struct snet_ffi_message *m,
			   struct snet_ffi_op *op)
{
	if (l->state != STOFFELNET_STATE_CONNECTED)
		return refuse(l);
	if (l->outbox_bytes > SNET_MESSAGE_MAX)
		return snet_ffi_fail(STOFFELNET_ERR_SEND,
				     "Send failed: more than 1 GiB is waiting to be sent");
	if (!snet_ffi_is_guest(l->rt) && snet_ffi_wake(l->rt))
		return snet_ffi_fail(STOFFELNET_ERR_SEND, "Send failed: out of memory");
	m->op = op;
	op->msg = m;
	snet_list_add(&l->outbox, &m->node);
	l->outbox_bytes += snet_ffi_cost(m);
	if (l->loopback)
		snet_ffi_link_feed(l);
	else
		snet_ffi_mark(l);
	if (op->state == SNET_FFI_PENDING && l->outbox_bytes <= SNET_FFI_OUTBOX) {
		m->op = NULL;
		op->msg = NULL;
		snet_ffi_op_end(op, STOFFELNET_OK, NULL);
	}
	return STOFFELNET_OK;
}

int32_t snet_ffi_send(struct snet_ffi_link *l, const uint8_t *p, size_t n)
{
	struct snet_ffi_message *m = snet_ffi_pack(l, p, n);
	struct snet_ffi_op op;
	bool guest;
	int32_t rc;

	if (!m)
		return snet_ffi_fail(STOFFELNET_ERR_SEND, "Send failed: out of memory");
	snet_ffi_op_init(&op, l->rt);
	snet_ffi_link_lock(l);
	guest = snet_ffi_is_answer(l, n) && snet_ffi_visit(l->rt);
	rc = snet_ffi_hand_over(l, m, &op);
	if (guest)
		snet_ffi_leave(l->rt);
	if (rc)
		snet_ffi_message_free(m);
	else
		rc = snet_ffi_op_wait(&op, -1);
	snet_ffi_link_unlock(l);
	return rc;
}

/* ---- receiving */

void snet_ffi_take(struct snet_ffi_link *l, struct snet_ffi_op *op)
{
	struct snet_ffi_message *m = SNET_OF(l->inbox.next, struct snet_ffi_message, node);

	snet_list_del(&m->node);
	l->inbox_bytes -= snet_ffi_cost(m);
	op->msg = m;
	snet_ffi_op_end(op, STOFFELNET_OK, NULL);
}

void snet_ffi_unread(struct snet_ffi_link *l, struct snet_ffi_message *m)
{
	snet_list_add(l->inbox.next, &m->node); /* before the first */
	l->inbox_bytes += snet_ffi_cost(m);
	snet_ffi_link_feed(l);
}

int32_t snet_ffi_receive(struct snet_ffi_link *l, int32_t timeout_ms,
			 struct snet_ffi_message **out)
{
	struct snet_ffi_op op;
	int32_t rc;

	snet_ffi_op_init(&op, l->rt);
	snet_ffi_link_lock(l);
	if (l->paused || l->loopback)
		snet_ffi_wake(l->rt); /* there may be room again */
	snet_list_add(&l->receivers, &op.node);
	snet_ffi_link_feed(l);
	rc = snet_ffi_op_wait(&op, timeout_ms);
	snet_ffi_link_unlock(l);
	*out = op.msg;
	return rc;
}

int32_t snet_ffi_unpack(struct snet_ffi_message *m, uint8_t **out_data, size_t *out_len)
{
	*out_data = m->data;
	*out_len = m->n;
	m->data = NULL;
	snet_ffi_message_free(m);
	return STOFFELNET_OK;
}
