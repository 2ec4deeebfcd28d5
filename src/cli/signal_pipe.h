/* Signal pipe: stdin lines to a room, the room's lines to stdout, for snet-signal ws://.... */
#ifndef CLI_SIGNAL_PIPE_H
#define CLI_SIGNAL_PIPE_H

#include "base/err.h"

struct run;
struct signal_pipe;

/* url: as the person wrote it; token_file: NULL for none. Dials until --wait is over;
 * run.on_room must lead to signal_pipe_room. SNET_EINVAL, SNET_ECONFIG, SNET_ENOMEM, SNET_EIO.
 */
int signal_pipe_new(struct signal_pipe **out, struct run *run, const char *url,
		    const char *token_file, struct snet_error *err);
void signal_pipe_drain(struct signal_pipe *p); /* says farewell, and ends the run */
void signal_pipe_room(struct signal_pipe *p);
void signal_pipe_stats(const struct signal_pipe *p);
void signal_pipe_free(struct signal_pipe *p); /* NULL is fine */

#endif
