/* Netwatch: tells when addresses of this host come or go, by rtnetlink. */
#ifndef SNET_IO_NETWATCH_H
#define SNET_IO_NETWATCH_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"

struct snet_loop;
struct snet_netwatch;

/* Changes that follow each other quickly are told once, a moment after the last. SNET_EIO: the
 * system does not tell; SNET_ENOMEM. */
int snet_netwatch_new(struct snet_netwatch **out, struct snet_loop *l,
		      void (*on_change)(void *user), void *user, struct snet_error *err);
void snet_netwatch_free(struct snet_netwatch *w); /* not in its own callback; NULL is fine */

/* Whether an interface that is up has this address, whatever the port; in doubt, true. Of
 * 127.0.0.0/8 the system lists the first alone. */
bool snet_netwatch_is_ours(const struct snet_addr *a);

#endif
