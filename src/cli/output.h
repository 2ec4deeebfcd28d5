/* Output: messages from peers to a sink, in every format (snet(7), FORMATS).
 * Allocates nothing per message. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "cli/format.h"
#include "mesh/peer.h"

struct sink;

struct output {
	bool next; /* of a round's messages: a comma is due */
	struct sink *sink;
	enum format format;
	enum payload payload;
	bool words;  /* -H: json messages as "message key=value" */
	bool warned; /* of a newline inside a message in lines */
	uint64_t odd_lines;
};

/* sink: borrowed. */
void output_init(struct output *o, struct sink *sink, enum format format, enum payload payload,
		 bool words);

/* One message from peer number from; for a run of a message (snet_peer_opts.parts) only raw.
 * Errors are the sink's. */
int output_message(struct output *o, uint32_t from, const struct snet_message *m);

/* The same, from a client of a mesh; in addressed its number is OUTPUT_CLIENT and more. */
#define OUTPUT_CLIENT 0x80000000u
int output_client(struct output *o, uint32_t number, const struct snet_message *m);

/* A round, with one message per party in the order of ids; present false: it has none (an empty
 * one, where the format cannot say so). missing: the ids that are not there, as digits and
 * commas. All in one turn or in several, with nothing else between. */
void output_round_begin(struct output *o, uint64_t number);
int output_round_message(struct output *o, uint32_t from, const struct snet_message *m,
			 bool present);
void output_round_end(struct output *o, uint64_t number, const void *missing, size_t n);

/* The largest piece output_message hands to the sink, for sink_new. */
size_t output_room_max(uint64_t max_message);

/* The json line, for tests and for whoever has no sink. SNET_ENOMEM,
 * SNET_ETOOBIG: b is as it was. */
int output_json(struct snet_buf *b, enum payload payload, uint32_t from,
		const struct snet_message *m);

#endif
