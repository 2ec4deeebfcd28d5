/* Kind: the record type of a message as people write it: a name of
 * wire/record.h, or its number. */
#ifndef CLI_KIND_H
#define CLI_KIND_H

#include <stddef.h>
#include <stdint.h>

#define KIND_TEXT 4 /* digits of a number, and NUL */

/* Of what a program may send; SNET_EINVAL for anything else. text: n bytes, no NUL needed. */
int kind_parse(const char *text, size_t n);

/* The name, or the number into out where it has none. */
const char *kind_print(uint8_t kind, char out[static KIND_TEXT]);

#endif
