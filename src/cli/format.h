/* Format: the shapes a stream of messages takes on stdin and stdout (snet(7), FORMATS). */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

/* json: an object per line. lines: a message per line. framed: u32 length, payload.
 * addressed: the same, the payload beginning with u32 party. raw: bytes without
 * boundaries. Integers big-endian. */
enum format { FORMAT_JSON, FORMAT_LINES, FORMAT_FRAMED, FORMAT_ADDRESSED, FORMAT_RAW };

/* The key that carries the payload of a message on output in json. */
enum payload { PAYLOAD_TEXT, PAYLOAD_JSON, PAYLOAD_DATA, PAYLOAD_HEX };

/* In order of the enums, NULL at the end. Defined in groups.c. */
extern const char *const format_names[];
extern const char *const payload_names[];

#define PARTY_ALL UINT32_MAX /* the addressee that means everyone, in addressed */

#endif
