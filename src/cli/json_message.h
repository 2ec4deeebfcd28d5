/* Json message: one line of input in json, {"to":1,"text":"hi"}, as a
 * message (snet(7), FORMATS). Pure. */
#ifndef CLI_JSON_MESSAGE_H
#define CLI_JSON_MESSAGE_H

#include <stdbool.h>

#include "base/bytes.h"

/* Zeroed before the first line; to and clients are reused from line to
 * line and freed by the owner. */
struct json_message {
	bool all;
	uint32_t *to;
	uint64_t *clients; /* "client:<id>" */
	size_t n_to, cap_to, n_clients, cap_clients;
	unsigned stream; /* set before by the caller to what it is when the line does not say */
	uint8_t kind;    /* the same */
	uint8_t *payload; /* inside the line */
	size_t n;
};

/* Reads the line, which it writes to: strings, base64 and hex are decoded where they stand. 1:
 * a message; 0: nothing to send, the line is blank or another program's event; SNET_EPROTO,
 * SNET_ENOMEM with err in words without the line's number. */
int json_message_parse(struct json_message *m, uint8_t *line, size_t n, struct snet_error *err);

#endif
