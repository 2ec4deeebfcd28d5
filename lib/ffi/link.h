/* Link: a party one is connected to, and messages to and from it. The same rules as in
 * ffi/handle.h. */
#ifndef SNET_FFI_LINK_H
#define SNET_FFI_LINK_H

#include "ffi/handle.h"

/* ---- link.c. Locked. */
struct snet_ffi_link *snet_ffi_link_new(struct snet_ffi_manager *m);
void snet_ffi_link_free(struct snet_ffi_link *l);
void snet_ffi_link_leave(struct snet_ffi_link *l);           /* the manager forgets it */
bool snet_ffi_link_is_open(const struct snet_ffi_link *l);   /* both ways */
bool snet_ffi_link_is_useful(const struct snet_ffi_link *l); /* or has something to read */
void snet_ffi_link_serve(struct snet_ffi_link *l);           /* loop */
void snet_ffi_link_feed(struct snet_ffi_link *l);  /* after anything in the inbox changed */
void snet_ffi_link_close(struct snet_ffi_link *l); /* begins; wake the loop before */
void snet_ffi_link_end(struct snet_ffi_link *l, int state, const char *why);

/* ---- message.c. Not locked, but for take, unread and hand_over. */
/* A thread that waits holds the link: another may release the handle meanwhile. */
void snet_ffi_link_lock(struct snet_ffi_link *l);
void snet_ffi_link_unlock(struct snet_ffi_link *l);
int32_t snet_ffi_check_data(const uint8_t *data, size_t n); /* may it be sent? */
/* Copies; NULL when out of memory. */
struct snet_ffi_message *snet_ffi_pack(const struct snet_ffi_link *l, const uint8_t *p,
				       size_t n);
/* The message is the link's after success, and the loop is awake or this thread is in its
 * place; op ends when it is taken, which is at once while little is waiting. */
int32_t snet_ffi_hand_over(struct snet_ffi_link *l, struct snet_ffi_message *m,
			   struct snet_ffi_op *op);
int32_t snet_ffi_send(struct snet_ffi_link *l, const uint8_t *p, size_t n); /* waits */
/* Waits for a message, which is the caller's then. STOFFELNET_ERR_RECEIVE, _TIMEOUT. */
int32_t snet_ffi_receive(struct snet_ffi_link *l, int32_t timeout_ms,
			 struct snet_ffi_message **out);
/* The first message goes to whoever the op is of. */
void snet_ffi_take(struct snet_ffi_link *l, struct snet_ffi_op *op);
/* Back to where it came from, before the others. */
void snet_ffi_unread(struct snet_ffi_link *l, struct snet_ffi_message *m);
/* The message's data, or NULL and 0, as the API hands it out; frees the rest. */
int32_t snet_ffi_unpack(struct snet_ffi_message *m, uint8_t **out_data, size_t *out_len);
void snet_ffi_message_free(struct snet_ffi_message *m); /* NULL is fine */

/* Locked. Is it for the thread that hands over n bytes to send them? The first message since
 * one came is waited for; those that follow it are the loop's, which sends together what has
 * come together. */
static inline bool snet_ffi_is_answer(const struct snet_ffi_link *l, size_t n)
{
	return !l->loopback && !l->sent_last && l->outbox_bytes + n <= SNET_FFI_AT_ONCE;
}

static inline size_t snet_ffi_cost(const struct snet_ffi_message *m)
{
	return m->n + SNET_FFI_MESSAGE_COST;
}

#endif
