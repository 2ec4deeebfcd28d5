#include <stdlib.h>
#include <string.h>

#include "ffi/link.h"
#include "ffi/manager.h"

/* ---- sending */

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
	int32_t rc = check_handles(conn, runtime);

	if (!rc)
		rc = snet_ffi_check_data(data, data_len);
	if (!rc)
		rc = snet_ffi_may_wait();
	return rc ? rc : snet_ffi_send(conn, data, data_len);
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
	if (snet_ffi_check_data(data, data_len))
		return NULL;
	op = operation(l, user_data);
	m = op ? snet_ffi_pack(l, data, data_len) : NULL;
	if (!m) {
		snet_ffi_fail(0, "out of memory");
		return op ? undo(op) : NULL;
	}
	op->on_result = callback;
	snet_ffi_link_lock(l);
	op->m = l->m ? snet_ffi_manager_hold(l->m) : NULL;
	rc = snet_ffi_hand_over(l, m, op);
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
	snet_ffi_link_unlock(l);
	return rc ? undo(op) : op;
}

/* ---- receiving */

int32_t stoffelnet_connection_receive_within(void *conn, void *runtime, int32_t timeout_ms,
					     uint8_t **out_data, size_t *out_len)
{
	struct snet_ffi_message *m;
	int32_t rc = check_handles(conn, runtime);

	if (!rc && (!out_data || !out_len))
		rc = snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null output pointer");
	if (!rc && timeout_ms)
		rc = snet_ffi_may_wait();
	if (rc)
		return rc;
	*out_data = NULL;
	*out_len = 0;
	rc = snet_ffi_receive(conn, timeout_ms, &m);
	return rc ? rc : snet_ffi_unpack(m, out_data, out_len);
}

int32_t stoffelnet_connection_receive(void *conn, void *runtime, uint8_t **out_data,
				      size_t *out_len)
{
	return stoffelnet_connection_receive_within(conn, runtime, -1, out_data, out_len);
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
	snet_ffi_link_lock(l);
	ok = !snet_ffi_wake(l->rt);
	if (ok) {
		snet_list_add(&l->receivers, &op->node);
		snet_ffi_link_feed(l);
	}
	snet_ffi_link_unlock(l);
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
	snet_ffi_link_lock(l);
	/* Once its end has been read, as the crate has it; what it still takes may be sent. */
	state = l->state;
	if (!state && l->eof && snet_list_is_empty(&l->inbox))
		state = STOFFELNET_STATE_CLOSED;
	snet_ffi_link_unlock(l);
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
	snet_ffi_link_lock(l);
	snet_ffi_wake_surely(l->rt);
	snet_ffi_link_close(l);
	while (l->state == STOFFELNET_STATE_CLOSING && !snet_ffi_here)
		pthread_cond_wait(&l->rt->changed, &l->rt->lock);
	snet_ffi_link_unlock(l);
}

void stoffelnet_connection_destroy(void *conn)
{
	snet_ffi_link_free(conn);
}
