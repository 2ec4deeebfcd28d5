/* Private to mesh/journal*.c: a journal and its file. */
#ifndef SNET_MESH_JOURNAL_IMPL_H
#define SNET_MESH_JOURNAL_IMPL_H

#include <sys/uio.h>

#include "mesh/journal.h"

#define JOURNAL_WINDOW (64 << 10)  /* bytes of the file that are looked at together */
#define JOURNAL_SLACK (1ull << 20) /* bytes: with less to gain the file is left as it is */

struct snet_journal {
	char *path, *tmp; /* path: no link any more */
	int fd;           /* with the lock */
	struct snet_journal_owner owner;
	struct snet_journal_tally tally;
	uint64_t size;  /* of the file: whole entries, all of them counted */
	uint64_t limit; /* past it, the next acknowledgement has it written anew */
	bool broken;    /* there is more in the file than size, and it will not go */
	struct {
		uint64_t size; /* before the last add; 0: something else came after it */
		uint32_t party;
		unsigned stream;
	} last;
	uint64_t window_at; /* offset in the file */
	size_t window_n;
	uint8_t window[JOURNAL_WINDOW];
};

/* ---- journal_file.c */

/* Opens and locks path, made if there is none; sets path, tmp and fd. */
int journal_lock(struct snet_journal *j, const char *path, struct snet_error *err);
/* n bytes, at most JOURNAL_WINDOW, good until the next call. NULL: errno says why, 0 that the
 * file ends before. */
const uint8_t *journal_peek(struct snet_journal *j, uint64_t at, size_t n);
/* All of v, at the end, or nothing; v is used up. */
int journal_append(struct snet_journal *j, struct iovec *v, int n, struct snet_error *err);
int journal_truncate(struct snet_journal *j, uint64_t size, struct snet_error *err);
/* Every outstanding message, in order, with the offset of its entry. SNET_EIO, or what fn
 * returned that was not SNET_OK. */
int journal_each(struct snet_journal *j,
		 int (*fn)(struct snet_journal *j, const struct snet_journal_entry *e,
			   uint64_t at, void *user),
		 void *user);
/* Writes the file anew when that gains enough. What fails leaves it as it is, and is tried
 * again when it is twice as long. */
void journal_tidy(struct snet_journal *j);
int journal_empty(struct snet_journal *j, struct snet_error *err); /* of dead messages only */

#endif
