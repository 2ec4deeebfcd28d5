/* Input of the formats framed and addressed. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/units.h"
#include "cli/input_impl.h"
#include "wire/frame.h"

/* Frames up to this are waited for in one piece, and moved if need be. */
enum { WHOLE = 16 << 10 };

void input_drop_parts(struct input *in)
{
	for (size_t i = 0; i < in->n_parts; i++)
		snet_block_free(in->parts[i].block);
	in->n_parts = 0;
	in->gathered = 0;
}

static bool add_part(struct input *in, const uint8_t *p, size_t n)
{
	struct snet_slice *last = in->n_parts ? &in->parts[in->n_parts - 1] : NULL, *grown;

	if (last && last->block == in->block && last->p + last->n == p) {
		last->n += n;
		return true;
	}
	if (in->n_parts == in->cap_parts) {
		grown = realloc(in->parts, (in->cap_parts * 2 + 8) * sizeof(*grown));
		if (!grown)
			return false;
		in->parts = grown;
		in->cap_parts = in->cap_parts * 2 + 8;
	}
	in->parts[in->n_parts++] = (struct snet_slice){ p, n, snet_block_hold(in->block) };
	return true;
}

static int truncated(struct input *in, struct snet_error *err, uint64_t have, uint64_t want)
{
	input_break(in);
	return snet_fail(err, SNET_ETRUNCATED,
			 "byte %" PRIu64 ": the stream ends inside a message, %" PRIu64
			 " of %" PRIu64 " bytes are there",
			 in->taken, have, want);
}

/* Goes on with a message that lies in more than one block. */
static int gather(struct input *in, struct input_message *m, struct snet_error *err)
{
	size_t n = input_available(in);

	if (n > in->want - in->gathered)
		n = in->want - in->gathered;
	if (n && !add_part(in, in->block->data + in->at, n)) {
		input_break(in);
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	}
	in->at += n;
	in->gathered += n;
	if (in->gathered < in->want)
		return in->ended ? truncated(in, err, in->gathered, in->want) : 0;
	in->items++;
	input_begin(in, m);
	m->all = in->all;
	m->to = &in->party;
	m->n_to = in->o.format == FORMAT_ADDRESSED && !in->all;
	m->v = in->parts;
	m->n = in->n_parts;
	m->total = in->want;
	in->gathering = false;
	return 1;
}

static int too_big(struct input *in, uint64_t len, struct snet_error *err)
{
	char max[SNET_UNITS_TEXT];
	uint64_t at = input_offset(in);

	input_break(in);
	return snet_fail(err, SNET_ETOOBIG,
			 "byte %" PRIu64 ": a message of %" PRIu64 " bytes, the ceiling is %s",
			 at, len, snet_size_print(in->o.max_message, max));
}

int input_next_framed(struct input *in, struct input_message *m, struct snet_error *err)
{
	size_t head = in->o.format == FORMAT_ADDRESSED ? SNET_FRAME_HEAD + 4 : SNET_FRAME_HEAD;
	size_t n = input_available(in);
	const uint8_t *p;
	uint32_t len;

	if (in->gathering)
		return gather(in, m, err);
	if (n < SNET_FRAME_HEAD)
		return n && in->ended ? truncated(in, err, n, head) : 0;
	p = in->block->data + in->at;
	len = snet_get_be32(p);
	if (len < head - SNET_FRAME_HEAD) {
		if (n < SNET_FRAME_HEAD + len)
			return in->ended ? truncated(in, err, n, head) : 0;
		snet_fail(err, SNET_EPROTO,
			  "byte %" PRIu64 ": a message of %" PRIu32
			  " bytes cannot name its party",
			  input_offset(in), len);
		in->at += SNET_FRAME_HEAD + len;
		in->items++;
		return SNET_EPROTO;
	}
	len -= (uint32_t)(head - SNET_FRAME_HEAD);
	if (len > in->o.max_message)
		return too_big(in, len, err);
	if (n < head || (n - head < len && len <= WHOLE))
		return in->ended ? truncated(in, err, n - (n < head ? n : head), len) : 0;
	if (head > SNET_FRAME_HEAD) {
		in->party = snet_get_be32(p + SNET_FRAME_HEAD);
		in->all = in->party == PARTY_ALL;
	}
	in->at += head;
	if (n - head < len) {
		in->gathering = true;
		in->want = len;
		return gather(in, m, err);
	}
	in->items++;
	input_begin(in, m);
	m->all = in->all;
	m->to = &in->party;
	m->n_to = head > SNET_FRAME_HEAD && !in->all;
	in->at += len;
	return input_whole(in, m, p + head, len);
}
