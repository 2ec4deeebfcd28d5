/* Look up: hosts that have to be known before anything can begin, all together, without
 * blocking: signals are heard, and name servers that are silent delay by their time once. */
#ifndef CLI_LOOK_UP_H
#define CLI_LOOK_UP_H

#include "base/addr.h"

struct look_up;
struct snet_loop;

/* Once, from the loop, never from within look_up_new: each host is numeric by now (err NULL),
 * or the first that is not known: SNET_ERESOLVE, SNET_ETIMEOUT ..., in words that name it. It
 * may free the look-up. */
typedef void look_up_fn(const struct snet_error *err, void *user);

/* The hosts of n addresses, in place of which their first numeric address is put; what is
 * numeric or empty stays as it is. v: the caller's, until it is over. -4, -6 and $SNET_DNS are
 * heeded. SNET_ENOMEM. */
int look_up_new(struct look_up **out, struct snet_loop *l, struct snet_url *v, size_t n,
		look_up_fn *done, void *user, struct snet_error *err);
/* The same, of the one place to listen at; one that is not bound here needs none: a room, a
 * service, or any when a socket was given (LISTEN_FDS). */
int look_up_place(struct look_up **out, struct snet_loop *l, struct snet_url *at,
		  look_up_fn *done, void *user, struct snet_error *err);
void look_up_free(struct look_up *u); /* forgets the questions; NULL is fine */

#endif
