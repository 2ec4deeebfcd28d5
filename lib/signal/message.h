/* Message: what is said in a room: JSON objects, one per WebSocket message. What they mean is
 * the business of whoever says them. */
#ifndef SNET_SIGNAL_MESSAGE_H
#define SNET_SIGNAL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

/* One JSON object and nothing else, RFC 8259; numbers beyond a double are none. Also false when
 * there is no memory to look. */
bool snet_signal_message_is_good(const void *p, size_t n);

#endif
