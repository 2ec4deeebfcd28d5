#include "mesh/journal_entry.h"

#include <stdlib.h>
#include <string.h>

#define CHECK 4
#define SHOWN_DIGEST 8 /* bytes of a digest */

static const uint8_t magic[8] = { 's', 'n', 'e', 't', 'j', 'r', 'n', 'l' };

/* Where things stand in the header. */
enum { VERSION = sizeof(magic), PARTY = VERSION + 4, ROSTER = PARTY + 4 };

/* ---- header */

uint32_t snet_journal_check(const struct snet_slice *v, size_t n)
{
	uint8_t out[SNET_BLAKE3_BYTES];
	struct snet_blake3 h;

	snet_blake3_init(&h);
	for (size_t i = 0; i < n; i++)
		snet_blake3_update(&h, v[i].p, v[i].n);
	snet_blake3_final(&h, out);
	return snet_get_be32(out);
}

static uint32_t check(const uint8_t *p, size_t n)
{
	struct snet_slice v = { p, n, NULL };

	return snet_journal_check(&v, 1);
}

void snet_journal_header(uint8_t p[static SNET_JOURNAL_HEADER],
			 const struct snet_journal_owner *owner)
{
	memcpy(p, magic, sizeof(magic));
	snet_put_be32(p + VERSION, SNET_JOURNAL_VERSION);
	snet_put_be32(p + PARTY, owner->party);
	memcpy(p + ROSTER, owner->roster, sizeof(owner->roster));
	snet_put_be32(p + SNET_JOURNAL_HEADER - CHECK, check(p, SNET_JOURNAL_HEADER - CHECK));
}

static const char *hex(char out[static 2 * SHOWN_DIGEST + 1], const uint8_t *digest)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 2 * SHOWN_DIGEST; i++)
		out[i] = digits[digest[i / 2] >> (i & 1 ? 0 : 4) & 15];
	out[2 * SHOWN_DIGEST] = 0;
	return out;
}

/* A whole header that is not ours. */
static int foreign(const uint8_t *p, const struct snet_journal_owner *owner,
		   struct snet_error *err)
{
	char here[2 * SHOWN_DIGEST + 1], there[2 * SHOWN_DIGEST + 1];

	if (snet_get_be32(p + SNET_JOURNAL_HEADER - CHECK) !=
	    check(p, SNET_JOURNAL_HEADER - CHECK))
		return snet_fail(err, SNET_EINTEGRITY, "damaged at byte 0: the header");
	if (snet_get_be32(p + VERSION) != SNET_JOURNAL_VERSION)
		return snet_fail(err, SNET_ECONFIG, "a journal of version %u, not %d",
				 (unsigned)snet_get_be32(p + VERSION), SNET_JOURNAL_VERSION);
	if (memcmp(p + ROSTER, owner->roster, sizeof(owner->roster)) != 0)
		return snet_fail(
			err, SNET_ECONFIG,
			"the journal of another session (roster digest %s.. here, %s.. there)",
			hex(here, owner->roster), hex(there, p + ROSTER));
	return snet_fail(err, SNET_ECONFIG, "the journal of party %u, not of party %u",
			 (unsigned)snet_get_be32(p + PARTY), (unsigned)owner->party);
}

int snet_journal_header_check(const uint8_t *p, size_t n,
			      const struct snet_journal_owner *owner, struct snet_error *err)
{
	uint8_t mine[SNET_JOURNAL_HEADER];

	snet_journal_header(mine, owner);
	if (!n || !memcmp(p, mine, n))
		return n < SNET_JOURNAL_HEADER ? SNET_EAGAIN : SNET_OK;
	if (n < SNET_JOURNAL_HEADER || memcmp(p, magic, sizeof(magic)) != 0)
		return snet_fail(err, SNET_ECONFIG, "not a journal of this session");
	return foreign(p, owner, err);
}

/* ---- entries */

void snet_journal_encode(uint8_t p[static SNET_JOURNAL_HEAD],
			 const struct snet_journal_entry *e)
{
	p[0] = (uint8_t)e->type;
	p[1] = e->stream;
	p[2] = e->kind;
	p[3] = 0;
	snet_put_be32(p + 4, e->party);
	snet_put_be64(p + 8, e->n);
	snet_put_be32(p + 16, e->check);
	snet_put_be32(p + 20, check(p, 20));
}

static bool is_lawful(const struct snet_journal_entry *e)
{
	if (e->stream >= SNET_RECORD_STREAMS)
		return false;
	if (e->type == SNET_JOURNAL_MESSAGE)
		return e->n <= SNET_JOURNAL_MESSAGE_MAX;
	return e->type == SNET_JOURNAL_ACKED && e->n && !e->kind && !e->check;
}

int snet_journal_decode(struct snet_journal_entry *e, const uint8_t p[static SNET_JOURNAL_HEAD])
{
	struct snet_reader r = snet_reader(p, SNET_JOURNAL_HEAD);
	uint8_t zero;

	e->type = snet_take_u8(&r);
	e->stream = snet_take_u8(&r);
	e->kind = snet_take_u8(&r);
	zero = snet_take_u8(&r);
	e->party = snet_take_be32(&r);
	e->n = snet_take_be64(&r);
	e->check = snet_take_be32(&r);
	if (snet_take_be32(&r) != check(p, 20) || zero || !is_lawful(e))
		return SNET_EINTEGRITY;
	return SNET_OK;
}

/* ---- scan */

void snet_journal_scan_init(struct snet_journal_scan *s)
{
	*s = (struct snet_journal_scan){ .at = SNET_JOURNAL_HEADER };
}

/* Goes on with the head; 1 when it is whole. */
static int scan_head(struct snet_journal_scan *s, const uint8_t **p, size_t *n)
{
	size_t k = SNET_JOURNAL_HEAD - s->have;
	int rc;

	if (k > *n)
		k = *n;
	memcpy(s->head + s->have, *p, k);
	s->have += k;
	*p += k;
	*n -= k;
	if (s->have < SNET_JOURNAL_HEAD)
		return 0;
	rc = snet_journal_decode(&s->entry, s->head);
	if (rc)
		return rc;
	s->left = snet_journal_payload(&s->entry);
	snet_blake3_init(&s->hash);
	return 1;
}

static bool is_intact(const struct snet_journal_scan *s)
{
	uint8_t out[SNET_BLAKE3_BYTES];

	if (s->entry.type != SNET_JOURNAL_MESSAGE)
		return true;
	snet_blake3_final(&s->hash, out);
	return snet_get_be32(out) == s->entry.check;
}

int snet_journal_scan_next(struct snet_journal_scan *s, const uint8_t **p, size_t *n)
{
	size_t k;
	int rc = 1;

	if (!*n) /* what is whole was told of when its last byte came */
		return 0;
	if (s->have < SNET_JOURNAL_HEAD)
		rc = scan_head(s, p, n);
	if (rc <= 0)
		return rc;
	k = s->left < *n ? (size_t)s->left : *n;
	snet_blake3_update(&s->hash, *p, k);
	s->left -= k;
	*p += k;
	*n -= k;
	if (s->left)
		return 0;
	if (!is_intact(s))
		return SNET_EINTEGRITY;
	s->have = 0;
	s->at += SNET_JOURNAL_HEAD + snet_journal_payload(&s->entry);
	return 1;
}

/* ---- tally */

void snet_journal_tally_fini(struct snet_journal_tally *t)
{
	free(t->rows);
	*t = (struct snet_journal_tally){ 0 };
}

/* Where the party is, or belongs. */
static size_t place(const struct snet_journal_tally *t, uint32_t party)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (t->rows[mid].party < party)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct snet_journal_row *snet_journal_find(const struct snet_journal_tally *t, uint32_t party)
{
	size_t i = place(t, party);

	return i < t->n && t->rows[i].party == party ? &t->rows[i] : NULL;
}

static int grow(struct snet_journal_tally *t)
{
	size_t cap = t->cap ? 2 * t->cap : 4;
	struct snet_journal_row *rows = realloc(t->rows, cap * sizeof(*rows));

	if (!rows)
		return SNET_ENOMEM;
	t->rows = rows;
	t->cap = cap;
	return SNET_OK;
}

int snet_journal_row(struct snet_journal_tally *t, uint32_t party,
		     struct snet_journal_row **row)
{
	size_t i = place(t, party);

	if (i == t->n || t->rows[i].party != party) {
		if (t->n == SNET_JOURNAL_PARTIES)
			return SNET_EINVAL;
		if (t->n == t->cap && grow(t))
			return SNET_ENOMEM;
		memmove(&t->rows[i + 1], &t->rows[i], (t->n - i) * sizeof(*t->rows));
		t->rows[i] = (struct snet_journal_row){ .party = party };
		t->n++;
	}
	*row = &t->rows[i];
	return SNET_OK;
}

int snet_journal_count(struct snet_journal_tally *t, const struct snet_journal_entry *e)
{
	struct snet_journal_stream *s;
	struct snet_journal_row *row;
	int rc = snet_journal_row(t, e->party, &row);

	if (rc)
		return rc;
	s = &row->stream[e->stream];
	if (e->type == SNET_JOURNAL_MESSAGE) {
		s->live++;
		t->live++;
		return SNET_OK;
	}
	if (e->n > s->live)
		return SNET_EINTEGRITY;
	s->live -= e->n;
	s->dead += e->n;
	t->live -= e->n;
	t->dead += e->n;
	return SNET_OK;
}

void snet_journal_forget_dead(struct snet_journal_tally *t)
{
	for (size_t i = 0; i < t->n; i++)
		for (unsigned s = 0; s < SNET_RECORD_STREAMS; s++)
			t->rows[i].stream[s].dead = 0;
	t->dead = 0;
}

void snet_journal_walk(struct snet_journal_tally *t)
{
	for (size_t i = 0; i < t->n; i++)
		for (unsigned s = 0; s < SNET_RECORD_STREAMS; s++)
			t->rows[i].stream[s].passed = 0;
}

bool snet_journal_is_live(struct snet_journal_tally *t, const struct snet_journal_entry *e)
{
	struct snet_journal_row *row = snet_journal_find(t, e->party);
	struct snet_journal_stream *s;

	if (e->type != SNET_JOURNAL_MESSAGE || !row)
		return false;
	s = &row->stream[e->stream];
	return s->passed++ >= s->dead;
}
