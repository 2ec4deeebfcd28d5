#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ffi/link.h"
#include "ffi/manager.h"

void snet_ffi_op_init(struct snet_ffi_op *op, struct snet_ffi_runtime *rt)
{
	*op = (struct snet_ffi_op){ .rt = rt };
	snet_list_init(&op->node);
	sem_init(&op->told, 0, 0);
}

struct snet_ffi_op *snet_ffi_op_new(struct snet_ffi_runtime *rt, void *user)
{
	struct snet_ffi_op *op = malloc(sizeof(*op));

	if (!op) {
		snet_ffi_fail(0, "out of memory");
		return NULL;
	}
	snet_ffi_op_init(op, snet_ffi_runtime_hold(rt));
	atomic_init(&op->refs, 2); /* the handle, and whoever is to end it */
	op->async = true;
	op->user = user;
	return op;
}

void snet_ffi_op_free(struct snet_ffi_op *op)
{
	if (!op || atomic_fetch_sub(&op->refs, 1) != 1)
		return;
	if (op->on_data)
		snet_ffi_message_free(op->msg);
	snet_ffi_link_free(op->link);
	snet_ffi_manager_free(op->m);
	sem_destroy(&op->told);
	snet_ffi_runtime_free(op->rt);
	free(op);
}

/* The loop's thread wakes it when it has nothing else to do, except that a callback of the
 * program's may do anything, also wait for that thread. */
static void end_waiting(struct snet_ffi_op *op)
{
	if (snet_ffi_is_inside(op->rt) && !op->rt->running) {
		snet_list_add(&op->rt->ended, &op->node);
		return;
	}
	op->is_told = true;
	sem_post(&op->told);
}

void snet_ffi_op_end(struct snet_ffi_op *op, int32_t result, const char *why)
{
	snet_list_del(&op->node);
	op->state = SNET_FFI_DONE;
	op->result = result;
	snprintf(op->why, sizeof(op->why), "%s", why ? why : "");
	if (!op->async) {
		end_waiting(op);
		return;
	}
	if (op->m && !op->on_result && !op->on_data) {
		op->unclaimed = true;
		op->m->n_ended++;
		snet_ffi_manager_signal(op->m);
	}
	snet_list_add(&op->rt->done, &op->node);
	if (snet_ffi_is_inside(op->rt))
		snet_ffi_wake(op->rt);
}

void snet_ffi_op_tell(struct snet_ffi_runtime *rt)
{
	while (!snet_list_is_empty(&rt->ended)) {
		struct snet_ffi_op *op = SNET_OF(rt->ended.next, struct snet_ffi_op, node);

		snet_list_del(&op->node);
		op->is_told = true;
		pthread_mutex_unlock(&rt->lock); /* or it would be woken to wait for that */
		sem_post(&op->told);
		pthread_mutex_lock(&rt->lock);
	}
}

void snet_ffi_op_end_all(struct snet_list *ops, int32_t result, const char *why)
{
	while (!snet_list_is_empty(ops))
		snet_ffi_op_end(SNET_OF(ops->next, struct snet_ffi_op, node), result, why);
}

/* Not locked. False: nobody has told by then. */
static bool is_told_by(struct snet_ffi_op *op, snet_time when)
{
	struct timespec ts = { (time_t)(when / SNET_SEC), (long)(when % SNET_SEC) };
	int rc;

	do
		rc = when == SNET_NEVER ? sem_wait(&op->told)
					: sem_clockwait(&op->told, CLOCK_MONOTONIC, &ts);
	while (rc && errno == EINTR);
	return !rc;
}

/* False: it has not ended by then. Nobody knows of op any more after that. */
static bool wait_until(struct snet_ffi_op *op, snet_time when)
{
	bool heard = false;

	if (op->state == SNET_FFI_PENDING) {
		pthread_mutex_unlock(&op->rt->lock);
		heard = is_told_by(op, when);
		pthread_mutex_lock(&op->rt->lock);
	}
	snet_list_del(&op->node);
	if (op->is_told && !heard) /* in this moment */
		is_told_by(op, SNET_NEVER);
	return op->state != SNET_FFI_PENDING;
}

int32_t snet_ffi_op_wait(struct snet_ffi_op *op, int32_t timeout_ms)
{
	snet_time when = SNET_NEVER;

	if (timeout_ms >= 0 && op->state == SNET_FFI_PENDING)
		when = snet_now() + (snet_time)timeout_ms * SNET_MS;
	if (!wait_until(op, when)) {
		op->result = STOFFELNET_ERR_TIMEOUT;
		snprintf(op->why, sizeof(op->why), "timed out after %d ms", timeout_ms);
	}
	sem_destroy(&op->told);
	return op->result ? snet_ffi_fail(op->result, "%s", op->why) : STOFFELNET_OK;
}

void snet_ffi_op_run(struct snet_ffi_op *op)
{
	static const uint8_t nothing[1];

	if (op->result)
		snet_ffi_fail(0, "%s", op->why);
	if (op->on_result)
		op->on_result(op->result, op->user);
	else if (op->on_data && op->result)
		op->on_data(op->result, NULL, 0, op->user);
	else if (op->on_data)
		op->on_data(op->result, op->msg->n ? op->msg->data : nothing, op->msg->n,
			    op->user);
}

/* It has not ended, or has and nobody was told: a message that it was to send and that has not
 * gone out stays here, whole; one that it was to bring goes back to where it came from. */
static void take_back(struct snet_ffi_op *op)
{
	struct snet_ffi_link *l = op->link;
	struct snet_ffi_message *msg = op->msg;

	op->msg = NULL;
	if (!l || !msg)
		return;
	if (op->state == SNET_FFI_PENDING) {
		snet_list_del(&msg->node);
		l->outbox_bytes -= snet_ffi_cost(msg);
		snet_ffi_message_free(msg);
	} else {
		snet_ffi_unread(l, msg);
	}
}

/* Its end is known, or does not matter any more. */
static void claim(struct snet_ffi_op *op)
{
	if (!op->unclaimed)
		return;
	op->unclaimed = false;
	op->m->n_ended--;
	snet_ffi_manager_signal(op->m);
}

int32_t stoffelnet_async_result(void *handle, int32_t *out_result)
{
	struct snet_ffi_op *op = handle;
	int32_t has_ended;

	if (!op || !out_result)
		return snet_ffi_fail(STOFFELNET_ERR_NULL_POINTER, "Null pointer argument");
	pthread_mutex_lock(&op->rt->lock);
	has_ended = op->state != SNET_FFI_PENDING;
	if (has_ended)
		*out_result = op->result;
	claim(op);
	pthread_mutex_unlock(&op->rt->lock);
	return has_ended;
}

int32_t stoffelnet_async_cancel(void *handle)
{
	struct snet_ffi_op *op = handle;
	struct snet_ffi_runtime *rt;
	bool in_flight;

	if (!op)
		return STOFFELNET_OK;
	rt = snet_ffi_runtime_hold(op->rt);
	pthread_mutex_lock(&rt->lock);
	claim(op);
	in_flight = op->state != SNET_FFI_OVER;
	if (in_flight) {
		snet_ffi_wake(rt); /* a message that goes back may be another's */
		snet_list_del(&op->node);
		take_back(op);
		op->state = SNET_FFI_OVER;
	}
	while (rt->running == op && snet_ffi_here != rt)
		pthread_cond_wait(&rt->changed, &rt->lock);
	pthread_mutex_unlock(&rt->lock);
	if (in_flight)
		snet_ffi_op_free(op);
	snet_ffi_op_free(op);
	snet_ffi_runtime_free(rt);
	return STOFFELNET_OK;
}
