/* The form of a journal's file, and what its entries add up to. Big endian; pure.
 *
 *	header  magic 8 | version 4 | party 4 | roster 32 | check 4
 *	entry   type 1 | stream 1 | kind 1 | 0 | party 4 | n 8 | check of the payload 4 |
 *		check of these 20 bytes 4 | payload: n bytes of a message, else none
 *
 * A check is the first four bytes of a BLAKE3. The head has one of its own, so that a length is
 * believed only when it was meant: an entry that goes on past the end of the file was cut off
 * there, anything else that is not whole was damaged. An acknowledgement says how many more of
 * its party and stream, from the oldest on: numbers that begin anew leave no trace here. */
#ifndef SNET_MESH_JOURNAL_ENTRY_H
#define SNET_MESH_JOURNAL_ENTRY_H

#include "crypto/hash.h"
#include "wire/record.h"

#define SNET_JOURNAL_VERSION 1
#define SNET_JOURNAL_HEADER 52              /* bytes */
#define SNET_JOURNAL_HEAD 24                /* bytes of an entry before its payload */
#define SNET_JOURNAL_MESSAGE_MAX (1u << 30) /* bytes of payload: no message is larger */
#define SNET_JOURNAL_PARTIES 4096           /* in one journal */

/* Whose it is: a party in a session. */
struct snet_journal_owner {
	uint32_t party;
	uint8_t roster[SNET_DIGEST_BYTES];
};

void snet_journal_header(uint8_t p[static SNET_JOURNAL_HEADER],
			 const struct snet_journal_owner *owner);
/* n: up to SNET_JOURNAL_HEADER, less only if the file has no more. SNET_EAGAIN: it was cut off;
 * SNET_ECONFIG: another's, or no journal; SNET_EINTEGRITY. err says which, without the file's
 * name. */
int snet_journal_header_check(const uint8_t *p, size_t n,
			      const struct snet_journal_owner *owner, struct snet_error *err);

enum snet_journal_type { SNET_JOURNAL_MESSAGE = 1, SNET_JOURNAL_ACKED };

struct snet_journal_entry {
	enum snet_journal_type type;
	uint8_t stream, kind; /* kind: 0 of an acknowledgement */
	uint32_t party;
	uint64_t n;     /* bytes of payload; or messages acknowledged, more than 0 */
	uint32_t check; /* of the payload */
};

uint32_t snet_journal_check(const struct snet_slice *v, size_t n);
void snet_journal_encode(uint8_t p[static SNET_JOURNAL_HEAD],
			 const struct snet_journal_entry *e);
/* SNET_EINTEGRITY */
int snet_journal_decode(struct snet_journal_entry *e,
			const uint8_t p[static SNET_JOURNAL_HEAD]);

static inline uint64_t snet_journal_payload(const struct snet_journal_entry *e)
{
	return e->type == SNET_JOURNAL_MESSAGE ? e->n : 0;
}

/* ---- the entries of a file, whose bytes come in pieces of any size */
struct snet_journal_scan {
	uint64_t at; /* offset in the file: every entry before it is whole */
	struct snet_journal_entry entry;
	uint8_t head[SNET_JOURNAL_HEAD];
	size_t have;   /* bytes of head */
	uint64_t left; /* bytes of the payload, when head is whole */
	struct snet_blake3 hash;
};

void snet_journal_scan_init(struct snet_journal_scan *s); /* after the header */
/* Takes bytes off the front of *p. 1: an entry is whole, in s->entry; 0: *n is 0; or
 * SNET_EINTEGRITY: the entry at s->at is damaged. */
int snet_journal_scan_next(struct snet_journal_scan *s, const uint8_t **p, size_t *n);

/* ---- what they add up to */
struct snet_journal_stream {
	uint64_t live, dead; /* messages in the file that are outstanding; that were taken */
	uint64_t acked;      /* by the owner's numbers; not in the file */
	uint64_t passed;     /* in a walk */
};

struct snet_journal_row {
	uint32_t party;
	struct snet_journal_stream stream[SNET_RECORD_STREAMS];
};

struct snet_journal_tally {
	struct snet_journal_row *rows; /* in rising order of party */
	size_t n, cap;
	uint64_t live, dead; /* of all */
};

void snet_journal_tally_fini(struct snet_journal_tally *t);
struct snet_journal_row *snet_journal_find(const struct snet_journal_tally *t, uint32_t party);
/* A row, new if need be; good until the next. SNET_EINVAL: too many parties; SNET_ENOMEM. */
int snet_journal_row(struct snet_journal_tally *t, uint32_t party,
		     struct snet_journal_row **row);
/* SNET_EINTEGRITY: acknowledges more than there is; or as snet_journal_row. */
int snet_journal_count(struct snet_journal_tally *t, const struct snet_journal_entry *e);
void snet_journal_forget_dead(struct snet_journal_tally *t); /* the file has only live ones */

/* A second walk over what has been counted: is this entry, the next, an outstanding message? */
void snet_journal_walk(struct snet_journal_tally *t);
bool snet_journal_is_live(struct snet_journal_tally *t, const struct snet_journal_entry *e);

#endif
