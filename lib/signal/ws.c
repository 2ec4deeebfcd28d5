#include "signal/ws.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

#include "base/bytes.h"
#include "base/utf8.h"

#define KEEP 4096 /* bytes of a buffer that is empty */

struct snet_ws {
	wslay_event_context_ptr ctx;
	struct snet_ws_opts o;
	const struct snet_ws_events *ev;
	void *user;
	const uint8_t *in; /* of the input under way */
	size_t in_n;
	uint8_t *out; /* of the output under way */
	size_t out_n, out_max;
	unsigned frames; /* of the message under way */
	struct snet_buf text;
	bool in_control; /* the frame under way is none of a message */
	bool no_memory;
	unsigned code; /* of our close frame */
	char why[SNET_WS_REASON + 1];
	bool pending; /* it goes when all else has gone */
	int breach;   /* what the other end did wrong, or SNET_OK */
	bool deaf;    /* what comes is not looked at any more */
	bool told;    /* on_close was called */
};

/* ---- what wslay asks for */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *p, size_t n, int flags, void *user)
{
	struct snet_ws *w = user;
	size_t k = n < w->in_n ? n : w->in_n;

	(void)flags;
	if (!k || w->deaf) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(p, w->in, k);
	w->in += k;
	w->in_n -= k;
	return (ssize_t)k;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags,
		       void *user)
{
	struct snet_ws *w = user;
	size_t left = w->out_max - w->out_n, k = n < left ? n : left;

	(void)flags;
	if (!k) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(w->out + w->out_n, p, k);
	w->out_n += k;
	return (ssize_t)k;
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *p, size_t n, void *user)
{
	struct snet_ws *w = user;

	(void)ctx;
	return w->o.random(p, n);
}

/* wslay sends a close frame before everything that waits, and nothing after it. */
static int say_farewell(struct snet_ws *w)
{
	int rc = wslay_event_queue_close(w->ctx, (uint16_t)w->code, (const uint8_t *)w->why,
					 strlen(w->why));

	w->pending = rc == WSLAY_ERR_NOMEM;
	return w->pending ? SNET_ENOMEM : SNET_OK;
}

/* An answer of ours to what the other end did wrong. */
static void refuse(struct snet_ws *w, int breach, unsigned code, const char *why)
{
	snet_ws_close(w, code, why);
	say_farewell(w);
	if (!w->breach)
		w->breach = breach;
	w->deaf = true;
}

static void on_frame(wslay_event_context_ptr ctx,
		     const struct wslay_event_on_frame_recv_start_arg *a, void *user)
{
	struct snet_ws *w = user;

	(void)ctx;
	w->in_control = wslay_is_ctrl_frame(a->opcode);
	if (w->in_control)
		return;
	if (a->payload_length > w->o.max_message - w->text.n)
		refuse(w, SNET_ETOOBIG, SNET_WS_TOO_BIG, "a message that is too long");
	else if (++w->frames > SNET_WS_FRAGMENTS)
		refuse(w, SNET_EPOLICY, SNET_WS_POLICY, "a message in too many frames");
}

/* wslay would gather it, with an allocation for each frame, as long as its header says. */
static void on_chunk(wslay_event_context_ptr ctx,
		     const struct wslay_event_on_frame_recv_chunk_arg *a, void *user)
{
	struct snet_ws *w = user;

	(void)ctx;
	if (!w->in_control && !w->deaf && a->data_length &&
	    snet_buf_add(&w->text, a->data, a->data_length))
		w->no_memory = w->deaf = true;
}

/* wslay has queued the answer. */
static void closed(struct snet_ws *w, const struct wslay_event_on_msg_recv_arg *a)
{
	char why[SNET_WS_REASON + 1] = "";
	size_t n = a->msg_length > 2 ? a->msg_length - 2 : 0;

	if (w->told)
		return;
	w->told = true;
	w->pending = false;
	if (n && n <= SNET_WS_REASON) /* wslay looks only when they come in one piece */
		memcpy(why, a->msg + 2, snet_utf8_span(a->msg + 2, n));
	if (!w->code)
		w->code = a->status_code ? a->status_code : SNET_WS_NO_CODE;
	w->ev->on_close(a->status_code ? a->status_code : SNET_WS_NO_CODE, why, w->user);
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *a,
		       void *user)
{
	struct snet_ws *w = user;

	(void)ctx;
	if (a->opcode == WSLAY_CONNECTION_CLOSE)
		closed(w, a);
	if (wslay_is_ctrl_frame(a->opcode))
		return;
	w->frames = 0;
	if (!w->deaf && a->opcode == WSLAY_TEXT_FRAME)
		w->ev->on_text(w->text.p ? w->text.p : (const uint8_t *)"", w->text.n, w->user);
	else if (!w->deaf)
		refuse(w, SNET_EPROTO, SNET_WS_UNSUPPORTED, "text is what is spoken here");
	w->text.n = 0;
	if (w->text.cap > KEEP)
		snet_buf_free(&w->text);
}

/* ---- birth and death */

int snet_ws_new(struct snet_ws **out, const struct snet_ws_opts *o,
		const struct snet_ws_events *ev, void *user)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.genmask_callback = on_mask,
		.on_frame_recv_start_callback = on_frame,
		.on_frame_recv_chunk_callback = on_chunk,
		.on_msg_recv_callback = on_message,
	};
	struct snet_ws *w = calloc(1, sizeof(*w));
	int rc = SNET_ENOMEM;

	if (w && o->is_client)
		rc = wslay_event_context_client_init(&w->ctx, &callbacks, w);
	else if (w)
		rc = wslay_event_context_server_init(&w->ctx, &callbacks, w);
	if (rc) {
		free(w);
		return SNET_ENOMEM;
	}
	wslay_event_config_set_no_buffering(w->ctx, 1);
	wslay_event_config_set_max_recv_msg_length(w->ctx,
						   UINT64_MAX >> 1); /* on_frame looks */
	w->text = SNET_BUF(o->max_message);
	w->o = *o;
	w->ev = ev;
	w->user = user;
	*out = w;
	return SNET_OK;
}

void snet_ws_free(struct snet_ws *w)
{
	if (!w)
		return;
	wslay_event_context_free(w->ctx);
	snet_buf_free(&w->text);
	free(w);
}

/* ---- in */

int snet_ws_input(struct snet_ws *w, const uint8_t *p, size_t n)
{
	int rc = 0, before = w->breach;

	w->in = p;
	w->in_n = n;
	while (!rc && w->in_n && !w->deaf && wslay_event_want_read(w->ctx))
		rc = wslay_event_recv(w->ctx);
	w->in = NULL;
	w->in_n = 0;
	if (rc == WSLAY_ERR_NOMEM || w->no_memory)
		return SNET_ENOMEM;
	/* wslay has answered by itself, or could not */
	if (!w->told && !w->breach && (rc || !wslay_event_get_read_enabled(w->ctx)))
		refuse(w, SNET_EPROTO, SNET_WS_PROTOCOL, "");
	return before ? SNET_OK : w->breach;
}

/* ---- out */

static int queue(struct snet_ws *w, uint8_t opcode, const void *p, size_t n)
{
	struct wslay_event_msg m = { .opcode = opcode, .msg = p, .msg_length = n };

	switch (wslay_event_queue_msg(w->ctx, &m)) {
	case 0:
		return SNET_OK;
	case WSLAY_ERR_NOMEM:
		return SNET_ENOMEM;
	default:
		return SNET_ECLOSED;
	}
}

int snet_ws_text(struct snet_ws *w, const void *p, size_t n)
{
	if (w->code)
		return SNET_ECLOSED;
	return queue(w, WSLAY_TEXT_FRAME, p, n);
}

int snet_ws_ping(struct snet_ws *w)
{
	return queue(w, WSLAY_PING, NULL, 0);
}

void snet_ws_close(struct snet_ws *w, unsigned code, const char *why)
{
	size_t n = strlen(why);

	if (w->code)
		return;
	if (n > SNET_WS_REASON)
		n = snet_utf8_span(why, SNET_WS_REASON);
	memcpy(w->why, why, n);
	w->code = code;
	w->pending = true;
}

static void put_out(struct snet_ws *w)
{
	while (w->out_n < w->out_max && wslay_event_want_write(w->ctx))
		if (wslay_event_send(w->ctx))
			break;
}

size_t snet_ws_output(struct snet_ws *w, uint8_t *p, size_t n)
{
	w->out = p;
	w->out_n = 0;
	w->out_max = n;
	put_out(w);
	/* The farewell, once it is all that is left to say. */
	if (w->pending && w->out_n < n && !wslay_event_get_queued_msg_count(w->ctx) &&
	    !say_farewell(w))
		put_out(w);
	w->out = NULL;
	w->out_max = 0;
	return w->out_n;
}

bool snet_ws_wants_output(const struct snet_ws *w)
{
	return w->pending || wslay_event_want_write(w->ctx);
}

size_t snet_ws_queued(const struct snet_ws *w)
{
	return wslay_event_get_queued_msg_length(w->ctx) +
	       wslay_event_get_queued_msg_count(w->ctx) * SNET_WS_OVERHEAD;
}

bool snet_ws_is_closed(const struct snet_ws *w)
{
	return wslay_event_get_close_received(w->ctx) && wslay_event_get_close_sent(w->ctx);
}
