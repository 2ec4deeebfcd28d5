/* Input: the machine that makes messages of bytes, in every format (snet(7), FORMATS). Pure.
 *
 *	p = input_room(in, &n);  n = read(fd, p, n);  input_took(in, n);
 *	while ((rc = input_next(in, &m, &err)) != 0) ... 1: m; negative: one bad item, say it
 *	at end of file: input_end(in), then input_next until it returns 0
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "cli/format.h"

#define INPUT_BLOCK (256u << 10) /* bytes read into at a time */
#define INPUT_COPY 1024          /* payloads up to this come without block: a copy is cheaper */
#define INPUT_TO_MAX 65536       /* addressees of one message */
/* A line of json may have max_message * 2 + this: base64, keys and addressees. */
#define INPUT_TEXT_SLACK 4096

struct input;

struct input_opts {
	enum format format;
	uint32_t max_message; /* bytes of payload, inclusive */
	uint8_t kind;         /* of messages that name none */
	unsigned stream;      /* of messages that name none */
};

/* Everything is borrowed until the next call; slices with a block
 * may be kept by taking a hold. */
struct input_message {
	bool all;           /* to everyone */
	const uint32_t *to; /* to these; neither they nor clients nor all: it did not say */
	size_t n_to;
	const uint64_t *clients; /* and to these clients of a mesh */
	size_t n_clients;
	unsigned stream; /* 0..15 */
	uint8_t kind;
	const struct snet_slice *v; /* the payload; n may be 0 */
	size_t n, total;            /* slices, bytes */
	uint64_t line;              /* from 1: the line in json and lines, else the message */
};

int input_new(struct input **out, const struct input_opts *o); /* SNET_ENOMEM */
void input_free(struct input *in);                             /* NULL is fine */

/* At least one byte to read to; NULL: out of memory. Good until
 * the next call of any function. */
uint8_t *input_room(struct input *in, size_t *n);
void input_took(struct input *in, size_t n);
void input_end(struct input *in); /* no more will come */

/* 1: a message. 0: needs more bytes, or all is done. SNET_EPROTO, SNET_ETOOBIG,
 * SNET_ETRUNCATED, SNET_ENOMEM: a bad item; err names the line (json, lines) or byte (framed,
 * addressed) and what is wrong. Unless input_is_broken the next call goes on with the next
 * item. Call until 0 before room is asked for again. */
int input_next(struct input *in, struct input_message *m, struct snet_error *err);
bool input_is_broken(const struct input *in); /* nothing more can be read from this stream */
/* Of the item last returned, good or bad; 0: none, or it has no lines. */
uint64_t input_line(const struct input *in);
uint64_t input_bytes(const struct input *in); /* taken so far */

#endif
