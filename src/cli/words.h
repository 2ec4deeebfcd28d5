/* Words: values in the human form of events (-H), key=value. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "base/bytes.h"

/* Appends the value as it is when it is one word of printable characters, else
 * as a JSON string, so that a value never moves a terminal's cursor. Not
 * UTF-8: broken bytes become U+FFFD. */
void words_value(struct snet_buf *b, const char *p, size_t n);

/* Replaces what a terminal would obey by '?': control characters, also those above 0x7f. */
void words_tame(uint8_t *p, size_t n);

#endif
