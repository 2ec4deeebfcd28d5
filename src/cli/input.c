#include "cli/input.h"

#include <stdlib.h>
#include <string.h>

#include "cli/input_impl.h"

enum { ROOM = 16 << 10 }; /* less free space than this is not worth a read */

int input_new(struct input **out, const struct input_opts *o)
{
	struct input *in = calloc(1, sizeof(*in));

	if (!in)
		return SNET_ENOMEM;
	in->o = *o;
	in->line_max = o->format == FORMAT_JSON ? 2 * (size_t)o->max_message + INPUT_TEXT_SLACK
						: o->max_message;
	*out = in;
	return SNET_OK;
}

void input_free(struct input *in)
{
	if (!in)
		return;
	input_drop_parts(in);
	free(in->parts);
	free(in->json.to);
	free(in->json.clients);
	snet_block_free(in->block);
	free(in);
}

bool input_is_broken(const struct input *in)
{
	return in->broken;
}

uint64_t input_line(const struct input *in)
{
	return in->o.format == FORMAT_JSON || in->o.format == FORMAT_LINES ? in->items : 0;
}

uint64_t input_bytes(const struct input *in)
{
	return in->taken;
}

void input_end(struct input *in)
{
	in->ended = true;
}

/* ---- room */

/* The block is the machine's alone. */
static bool is_alone(const struct snet_block *b)
{
	return b->refs == 1;
}

/* What was at at is now at the front. */
static void moved(struct input *in)
{
	in->scanned = in->scanned > in->at ? in->scanned - in->at : 0;
	in->at = 0;
}

/* A block with room behind what is not used up yet, which moves to its front. */
static struct snet_block *bigger(struct input *in, size_t tail)
{
	size_t cap = tail * 2 > INPUT_BLOCK ? tail * 2 : INPUT_BLOCK;
	struct snet_block *b = in->block;

	if (b && is_alone(b) && !in->at && cap > b->cap) {
		/* Of a long line: pages are moved, not copied. */
		b = realloc(b, sizeof(*b) + cap);
		if (!b)
			return NULL;
		b->cap = cap;
		in->block = b;
		return b;
	}
	b = snet_block_new(cap);
	if (!b)
		return NULL;
	if (tail)
		memcpy(b->data, in->block->data + in->at, tail);
	b->n = tail;
	snet_block_free(in->block);
	in->block = b;
	moved(in);
	return b;
}

uint8_t *input_room(struct input *in, size_t *n)
{
	struct snet_block *b = in->block;
	size_t tail = b ? b->n - in->at : 0;

	if (!in->gathering)
		input_drop_parts(in);
	if (b && !tail && is_alone(b) && b->cap == INPUT_BLOCK)
		b->n = in->at = in->scanned = 0;
	if (b && is_alone(b) && in->at >= b->cap / 2 && b->cap - b->n < ROOM) {
		memmove(b->data, b->data + in->at, tail);
		b->n = tail;
		moved(in);
	}
	/* A block that a long line has made large is let go with the line. */
	if (!b || b->cap - b->n < ROOM || (!tail && b->cap > INPUT_BLOCK))
		b = bigger(in, tail);
	if (!b)
		return NULL;
	*n = b->cap - b->n;
	return b->data + b->n;
}

void input_took(struct input *in, size_t n)
{
	in->block->n += n;
	in->taken += n;
}

/* ---- messages */

static int next_raw(struct input *in, struct input_message *m)
{
	size_t n = input_available(in);
	const uint8_t *p;

	if (!n)
		return 0;
	if (n > in->o.max_message)
		n = in->o.max_message;
	p = in->block->data + in->at;
	in->items++;
	input_begin(in, m);
	in->at += n;
	return input_whole(in, m, p, n);
}

int input_next(struct input *in, struct input_message *m, struct snet_error *err)
{
	if (!in->gathering)
		input_drop_parts(in);
	if (in->broken)
		return 0;
	switch (in->o.format) {
	case FORMAT_JSON:
		return input_next_json(in, m, err);
	case FORMAT_LINES:
		return input_next_line(in, m, err);
	case FORMAT_FRAMED:
	case FORMAT_ADDRESSED:
		return input_next_framed(in, m, err);
	case FORMAT_RAW:
		return next_raw(in, m);
	}
	return 0;
}
