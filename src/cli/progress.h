/* Progress: a line on the terminal for transfers longer than a second: how much, how
 * fast, from lib/obs/metrics.h. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

struct progress;
struct snet_loop;

/* SNET_ENOMEM. */
int progress_new(struct progress **out, struct snet_loop *l);
void progress_free(struct progress *p); /* and wipes its line; NULL is fine */

#endif
