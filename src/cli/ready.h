/* Ready: telling whoever started the program that it is ready, and taking over
 * a socket it was started with. */
#ifndef CLI_READY_H
#define CLI_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* fd: of --ready-fd, UINT64_MAX for none. SNET_EINVAL when it is not an open descriptor. Call
 * before anything else is opened, or the number may be somebody else's by then. */
int ready_check(uint64_t fd, struct snet_error *err);

/* Writes a newline to the descriptor and closes it; tells NOTIFY_SOCKET READY=1. Only the first
 * call does anything. */
void ready_say(void);

/* Tells NOTIFY_SOCKET STOPPING=1. */
void ready_stopping(void);

/* Socket activation: *fd is the bound UDP socket the program was started with (LISTEN_FDS,
 * LISTEN_PID), or -1. Unsets the variables. SNET_ECONFIG: what it was given is not that. */
int ready_listen_fd(int *fd, struct snet_error *err);
bool ready_has_listen_fd(void); /* it would find one, or fail */

#endif
