/* Journal: what a party has accepted for others and what of it they have taken, in a file, so
 * that a process that begins where another was killed sends the rest: at least once, in order
 * per party and stream. Numbers are those of outbox.h: a message's number is its place among
 * those added for its party and stream, from 1, those handed back by open first.
 *
 *	snet_journal_open     hands back what is outstanding
 *	snet_journal_add      before a message may go out
 *	snet_journal_acked    what was taken for good, as the outbox has it
 *	snet_journal_renewed  whenever snet_outbox_renew is called
 *
 * What write(2) has taken survives the process, however it ends; nothing is synchronised, so a
 * machine that loses power may lose the end of it. One process at a time holds the file.
 *
 * Of what was taken the file keeps 1 MiB, or twice what was outstanding when it was last
 * written anew, if that is more. Writing anew is FILE.tmp, then a rename, in one go on the
 * loop. Whoever adds bounds what is outstanding: with outboxes of 16 MiB, 16 MiB and one
 * message per party. In memory are a window of 64 KiB and 520 bytes per party that was written
 * to. */
#ifndef SNET_MESH_JOURNAL_H
#define SNET_MESH_JOURNAL_H

#include "mesh/journal_entry.h"

#define SNET_JOURNAL_SLICES 15 /* of one message */

struct snet_journal;

struct snet_journal_found {
	uint64_t messages, bytes; /* outstanding, of payload */
	uint64_t cut;             /* bytes of an entry that was never written to its end */
};

/* Makes the file, mode 0600, or hands back what it holds, all streams in the order they were
 * added. path: a link is followed, once. found: NULL allowed. fn is called once per message; v
 * is for the call, with a block when it is large; an error ends open, and the file keeps
 * everything. SNET_ECONFIG: no regular file, no journal, in use, of another session or party;
 * SNET_EINTEGRITY: damaged, err says where; SNET_EIO; SNET_ENOMEM; or what fn returned. */
int snet_journal_open(struct snet_journal **out, const char *path,
		      const struct snet_journal_owner *owner,
		      int (*fn)(uint32_t party, unsigned stream, uint8_t kind,
				const struct snet_slice *v, void *user),
		      void *user, struct snet_journal_found *found, struct snet_error *err);
/* NULL is fine. The file stays. */
void snet_journal_close(struct snet_journal *j);

/* One write; in the file when it returns SNET_OK. SNET_EINVAL: stream, or more than
 * SNET_JOURNAL_SLICES slices, or parties than SNET_JOURNAL_PARTIES; SNET_ETOOBIG; SNET_ENOMEM;
 * SNET_EIO: it could not be written, and the file is as before: it may be tried again. */
int snet_journal_add(struct snet_journal *j, uint32_t party, unsigned stream, uint8_t kind,
		     const struct snet_slice *v, size_t n, struct snet_error *err);
/* The message added last was not accepted after all; nothing else was called since. SNET_EIO:
 * it stays. */
int snet_journal_take_back(struct snet_journal *j, struct snet_error *err);
/* count: messages taken, by the numbers. SNET_EINVAL: more than there are, or fewer than
 * before, nothing is changed; SNET_EIO: not written: they count as outstanding until a later
 * call says so again. */
int snet_journal_acked(struct snet_journal *j, uint32_t party, unsigned stream, uint64_t count,
		       struct snet_error *err);
/* What the party has not taken is numbered from 1 again. */
void snet_journal_renewed(struct snet_journal *j, uint32_t party);

uint64_t snet_journal_outstanding(const struct snet_journal *j); /* messages, of all parties */
uint64_t snet_journal_size(const struct snet_journal *j);        /* of the file, in bytes */

#endif
