/* Input of the formats json and lines. */
#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "cli/input_impl.h"

static int line_too_long(struct input *in, struct snet_error *err)
{
	char max[SNET_UNITS_TEXT];

	return snet_fail(err, SNET_ETOOBIG,
			 "line %" PRIu64 ": too long, a message has at most %s", in->items,
			 snet_size_print(in->o.max_message, max));
}

/* The next line without its newline. 1; 0: not there yet, or no more; SNET_ETOOBIG: one that is
 * too long has begun, and is passed over to its end. */
static int next_line(struct input *in, uint8_t **line, size_t *n, struct snet_error *err)
{
	for (;;) {
		struct snet_block *b = in->block;
		uint8_t *start, *newline;
		bool skipped = in->skipping;

		if (!b || in->at == b->n)
			return 0;
		if (in->scanned < in->at)
			in->scanned = in->at;
		start = b->data + in->at;
		newline = memchr(b->data + in->scanned, '\n', b->n - in->scanned);
		in->scanned = b->n;
		*line = start;
		*n = (size_t)((newline ? newline : b->data + b->n) - start);
		if (!newline && (skipped || *n > in->line_max)) {
			in->at = b->n;
			in->skipping = true;
			in->items += !skipped;
			return skipped ? 0 : line_too_long(in, err);
		}
		if (!newline && !in->ended)
			return 0;
		in->at += *n + (newline ? 1 : 0);
		in->scanned = in->at;
		in->skipping = false;
		if (skipped)
			continue;
		in->items++;
		return *n > in->line_max ? line_too_long(in, err) : 1;
	}
}

int input_next_line(struct input *in, struct input_message *m, struct snet_error *err)
{
	uint8_t *line;
	size_t n;
	int rc = next_line(in, &line, &n, err);

	if (rc != 1)
		return rc;
	input_begin(in, m);
	return input_whole(in, m, line, n);
}

int input_next_json(struct input *in, struct input_message *m, struct snet_error *err)
{
	struct snet_error why;
	uint8_t *line;
	size_t n;
	int rc;

	while ((rc = next_line(in, &line, &n, err)) == 1) {
		input_begin(in, m);
		in->json.stream = in->o.stream;
		in->json.kind = in->o.kind;
		rc = json_message_parse(&in->json, line, n, &why);
		if (rc < 0)
			return snet_fail(err, rc, "line %" PRIu64 ": %.200s", in->items,
					 why.text);
		if (rc == 0)
			continue;
		if (in->json.n > in->o.max_message)
			return line_too_long(in, err);
		m->all = in->json.all;
		m->to = in->json.to;
		m->n_to = in->json.n_to;
		m->clients = in->json.clients;
		m->n_clients = in->json.n_clients;
		m->stream = in->json.stream;
		m->kind = in->json.kind;
		return input_whole(in, m, in->json.payload, in->json.n);
	}
	return rc;
}
