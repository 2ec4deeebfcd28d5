#include <stdlib.h>
#include <string.h>

#include "ffi/handle.h"

/* ---- sending */

static struct snet_ffi_message *pack(const struct snet_ffi_link *l, const uint8_t *p, size_t n)
{
	struct snet_ffi_message *m = calloc(1, sizeof(*m));
	uint8_t *to = NULL;

	if (!m)
		return NULL;
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

/* Locked. The message is the link's afterwards; op ends when it is taken, which is at once
 * while little is waiting. */
static int32_t hand_over(struct snet_ffi_link *l, struct snet_ffi_message *m,
			 struct snet_ffi_op *op)
{
	if (l->state != STOFFELNET_STATE_CONNECTED)
		return refuse(l);
	if (l->outbox_bytes > SNET_MESSAGE_MAX)
		return snet_ffi_fail(STOFFELNET_ERR_SEND,
				     "Send failed: more than 1 GiB is waiting to be sent");
	if (snet_ffi_wake(l->rt))
		return snet_ffi_fail(STOFFELNET_ERR_SEND, "Send failed: out of memory");
	m->op = op;
	op->msg = m;
	snet_list_add(&l->outbox, &m->node);
	l->outbox_bytes += m->n + SNET_FFI_MESSAGE_COST;
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

static int32_t check_send(const uint8_t *data, size_t n)
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

/* A thread that waits holds the link: another may release the handle meanwhile. */
static void lock(struct snet_ffi_link *l)
{
	atomic_fetch_add(&l->refs, 1);
	pthread_mutex_lock(&l->rt->lock);
}

static void unlock(struct snet_ffi_link *l)
{
	struct snet_ffi_runtime *rt = snet_ffi_runtime_hold(l->rt);

	pthread_mutex_unlock(&rt->lock);
	snet_ffi_link_free(l);
	snet_ffi_runtime_free(rt);
}

static int32_t check_handles(const void *conn, const void *runtime)
{
	if (!conn)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null connection handle");
	if (!runtime)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null runtime handle");
	return STOFFELNET_OK;
}

int32_t stoffelnet_connection_send(void *conn, void *runtime, const uint8_t *data,
				   size_t data_len)
{
	struct snet_ffi_link *l = conn;
	struct snet_ffi_message *m;
	struct snet_ffi_op op;
	int32_t rc = check_handles(conn, runtime);

	if (!rc)
		rc = check_send(data, data_len);
	if (!rc)
		rc = snet_ffi_may_wait();
	if (rc)
		return rc;
	m = pack(l, data, data_len);
	if (!m)
		return snet_ffi_fail(STOFFELNET_ERR_SEND, "Send failed: out of memory");
	snet_ffi_op_init(&op, l->rt);
	lock(l);
	rc = hand_over(l, m, &op);
	if (rc)
		snet_ffi_message_free(m);
	else
		rc = snet_ffi_op_wait(&op);
	unlock(l);
	return rc;
}

/* An operation on a link, which it holds. */
static struct snet_ffi_op *operation(struct snet_ffi_link *l, void *user)
{
	struct snet_ffi_op *op = snet_ffi_op_new(l->rt, user);

	if (!op)
		return NULL;
	atomic_fetch_add(&l->refs, 1);
	op->link = l;
	return op;
}

/* It never was: nobody will end it. */
static void *undo(struct snet_ffi_op *op)
{
	atomic_store(&op->refs, 1);
	snet_ffi_op_free(op);
	return NULL;
}

void *stoffelnet_connection_send_async(void *conn, void *runtime, const uint8_t *data,
				       size_t data_len, StoffelSendCallback callback,
				       void *user_data)
{
	struct snet_ffi_link *l = conn;
	struct snet_ffi_message *m;
	struct snet_ffi_op *op;
	char why[256];
	int32_t rc;

	if (!conn || !runtime) {
		snet_ffi_fail(0, "Null handle");
		return NULL;
	}
	if (check_send(data, data_len))
		return NULL;
	op = operation(l, user_data);
	m = op ? pack(l, data, data_len) : NULL;
	if (!m) {
		snet_ffi_fail(0, "out of memory");
		return op ? undo(op) : NULL;
	}
	op->on_result = callback;
	lock(l);
	rc = hand_over(l, m, op);
	if (rc) {
		snet_ffi_message_free(m);
		strcpy(why, "Send failed");
		strncpy(why, stoffelnet_last_error(), sizeof(why) - 1);
		why[sizeof(why) - 1] = '\0';
		if (!snet_ffi_wake(l->rt)) { /* told by the callback, like everything */
			snet_ffi_op_end(op, rc, why);
			rc = 0;
		}
	}
	unlock(l);
	return rc ? undo(op) : op;
}

/* ---- receiving */

int32_t stoffelnet_connection_receive(void *conn, void *runtime, uint8_t **out_data,
				      size_t *out_len)
{
	struct snet_ffi_link *l = conn;
	struct snet_ffi_op op;
	int32_t rc = check_handles(conn, runtime);

	if (!rc && (!out_data || !out_len))
		rc = snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null output pointer");
	if (!rc)
		rc = snet_ffi_may_wait();
	if (rc)
		return rc;
	*out_data = NULL;
	*out_len = 0;
	snet_ffi_op_init(&op, l->rt);
	lock(l);
	if (l->paused || l->loopback)
		snet_ffi_wake(l->rt); /* there may be room again */
	snet_list_add(&l->receivers, &op.node);
	snet_ffi_link_feed(l);
	rc = snet_ffi_op_wait(&op);
	unlock(l);
	if (rc)
		return rc;
	*out_data = op.msg->data;
	*out_len = op.msg->n;
	op.msg->data = NULL;
	snet_ffi_message_free(op.msg);
	return STOFFELNET_OK;
}

static void nobody(int32_t result, const uint8_t *data, size_t len, void *user)
{
	(void)result, (void)data, (void)len, (void)user;
}

void *stoffelnet_connection_receive_async(void *conn, void *runtime,
					  StoffelReceiveCallback callback, void *user_data)
{
	struct snet_ffi_link *l = conn;
	struct snet_ffi_op *op;
	bool ok;

	if (!conn || !runtime) {
		snet_ffi_fail(0, "Null handle");
		return NULL;
	}
	op = operation(l, user_data);
	if (!op)
		return NULL;
	op->on_data = callback ? callback : nobody;
	lock(l);
	ok = !snet_ffi_wake(l->rt);
	if (ok) {
		snet_list_add(&l->receivers, &op->node);
		snet_ffi_link_feed(l);
	}
	unlock(l);
	if (ok)
		return op;
	snet_ffi_fail(0, "Receive failed: the runtime has been destroyed");
	return undo(op);
}

/* ---- state */

int32_t stoffelnet_connection_state(void *conn, void *runtime)
{
	struct snet_ffi_link *l = conn;
	int32_t state;

	if (!conn || !runtime)
		return STOFFELNET_ERR_NULL_POINTER;
	lock(l);
	/* Once its end has been read, as the crate has it; what it still takes may be sent. */
	state = l->state;
	if (!state && l->eof && snet_list_is_empty(&l->inbox))
		state = STOFFELNET_STATE_CLOSED;
	unlock(l);
	return state;
}

int32_t stoffelnet_connection_is_connected(void *conn, void *runtime)
{
	return stoffelnet_connection_state(conn, runtime) == STOFFELNET_STATE_CONNECTED;
}

void stoffelnet_connection_close(void *conn, void *runtime)
{
	struct snet_ffi_link *l = conn;

	if (check_handles(conn, runtime))
		return;
	lock(l);
	snet_ffi_wake_surely(l->rt);
	snet_ffi_link_close(l);
	while (l->state == STOFFELNET_STATE_CLOSING && !snet_ffi_here)
		pthread_cond_wait(&l->rt->changed, &l->rt->lock);
	unlock(l);
}

void stoffelnet_connection_destroy(void *conn)
{
	snet_ffi_link_free(conn);
}
