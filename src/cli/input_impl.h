/* What the files of input share; nobody else includes it. */
#ifndef CLI_INPUT_IMPL_H
#define CLI_INPUT_IMPL_H

#include "cli/input.h"
#include "cli/json_message.h"

struct input {
	struct input_opts o;
	struct snet_block *block; /* read into; what comes before at is used up */
	size_t at;
	uint64_t taken, items; /* bytes read; lines or messages begun */
	bool ended, broken;

	/* json, lines */
	size_t scanned;  /* of the block: no newline from at up to here */
	size_t line_max; /* bytes */
	bool skipping;   /* inside a line that is too long */
	struct json_message json;

	/* framed, addressed */
	uint32_t party;
	bool all;
	bool gathering; /* a message that lies in more than one block */
	size_t want, gathered;
	struct snet_slice *parts; /* each with a hold */
	size_t n_parts, cap_parts;

	struct snet_slice one;
};

static inline size_t input_available(const struct input *in)
{
	return in->block ? in->block->n - in->at : 0;
}

/* Where the next byte stands in the stream. */
static inline uint64_t input_offset(const struct input *in)
{
	return in->taken - input_available(in);
}

/* The item that was just counted. */
static inline void input_begin(const struct input *in, struct input_message *m)
{
	*m = (struct input_message){ .stream = in->o.stream,
				     .kind = in->o.kind,
				     .line = in->items };
}

/* A payload in one piece, inside the block. */
static inline int input_whole(struct input *in, struct input_message *m, const uint8_t *p,
			      size_t n)
{
	in->one = (struct snet_slice){ p, n, n > INPUT_COPY ? in->block : NULL };
	m->v = &in->one;
	m->n = n ? 1 : 0;
	m->total = n;
	return 1;
}

static inline void input_break(struct input *in)
{
	in->broken = true;
	in->at = in->block ? in->block->n : 0;
}

void input_drop_parts(struct input *in);
int input_next_framed(struct input *in, struct input_message *m, struct snet_error *err);
int input_next_line(struct input *in, struct input_message *m, struct snet_error *err);
int input_next_json(struct input *in, struct input_message *m, struct snet_error *err);

#endif
