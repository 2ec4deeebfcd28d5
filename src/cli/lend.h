/* Lend: large writes to a pipe by lending it the pages instead of having the kernel copy them,
 * a page allocation each. A byte that was lent is never written again: it lies in a mapping of
 * huge pages that is unmapped once it is all lent, and the pipe, or whoever splices on from it,
 * keeps the pages as long as they are needed. */
#ifndef CLI_LEND_H
#define CLI_LEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define LEND_MIN (32 << 10) /* bytes: below this a copy is cheaper */

struct lend {
	bool on;
	uint8_t *chunk;
	size_t at; /* what comes before is lent, or was */
};

/* on only when fd is a pipe and the kernel has huge pages to give: small ones cost more than
 * the copy saves. */
void lend_init(struct lend *l, int fd);
void lend_fini(struct lend *l);

/* As writev on a non-blocking pipe, perhaps fewer bytes. Turns itself off, and fails with
 * ENOSYS, when it cannot be done here. */
ssize_t lend_writev(struct lend *l, int fd, const struct iovec *v, int n);

#endif
