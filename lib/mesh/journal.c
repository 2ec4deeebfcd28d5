#include "mesh/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mesh/journal_impl.h"

/* Bytes: a payload so large is handed back with a block of its own. */
#define ALONE_FROM 16000

static int fail_read(struct snet_journal *j, struct snet_error *err)
{
	return snet_fail(err, SNET_EIO, "%s: cannot read: %s", j->path,
			 errno ? strerror(errno) : "it has become shorter");
}

/* ---- what the file holds */

static int damaged(struct snet_journal *j, uint64_t at, const char *why, struct snet_error *err)
{
	return snet_fail(err, SNET_EINTEGRITY,
			 "%s: damaged at byte %llu: %s; without the file, messages that were "
			 "not delivered are lost",
			 j->path, (unsigned long long)at, why);
}

static int begin(struct snet_journal *j, struct snet_error *err)
{
	uint8_t header[SNET_JOURNAL_HEADER];
	struct iovec v = { header, sizeof(header) };
	int rc = journal_truncate(j, 0, err);

	snet_journal_header(header, &j->owner);
	return rc ? rc : journal_append(j, &v, 1, err);
}

/* The header, or what there is of it: a process may have ended while it wrote it. */
static int check_header(struct snet_journal *j, uint64_t length, struct snet_error *err)
{
	size_t n = length < SNET_JOURNAL_HEADER ? (size_t)length : SNET_JOURNAL_HEADER;
	const uint8_t *p = journal_peek(j, 0, n);
	struct snet_error why = { 0 };
	int rc;

	if (!p)
		return fail_read(j, err);
	rc = snet_journal_header_check(p, n, &j->owner, &why);
	if (rc == SNET_EAGAIN)
		return begin(j, err);
	if (rc)
		return snet_fail(err, rc, "%s: %s", j->path, why.text);
	j->size = SNET_JOURNAL_HEADER;
	return SNET_OK;
}

/* The entries in what has been read; s is where they end. */
static int count(struct snet_journal *j, struct snet_journal_scan *s, const uint8_t *p,
		 size_t n, struct snet_error *err)
{
	int rc;

	while ((rc = snet_journal_scan_next(s, &p, &n)) == 1) {
		rc = snet_journal_count(&j->tally, &s->entry);
		if (rc == SNET_ENOMEM)
			return snet_fail(err, rc, "%s", j->path);
		if (rc)
			return damaged(j, j->size,
				       rc == SNET_EINVAL ? "too many parties"
							 : "more acknowledged than sent",
				       err);
		j->size = s->at;
	}
	return rc ? damaged(j, s->at, "an entry is not what was written", err) : SNET_OK;
}

/* Reads all of the file once, and cuts it where it was left in the middle of an entry. */
static int scan(struct snet_journal *j, struct snet_journal_found *found,
		struct snet_error *err)
{
	off_t length = lseek(j->fd, 0, SEEK_END);
	struct snet_journal_scan s;
	int rc = length < 0 ? fail_read(j, err) : check_header(j, (uint64_t)length, err);

	snet_journal_scan_init(&s);
	for (uint64_t at = s.at; !rc && at < (uint64_t)length;) {
		uint64_t left = (uint64_t)length - at;
		size_t n = left < JOURNAL_WINDOW ? (size_t)left : JOURNAL_WINDOW;
		const uint8_t *p = journal_peek(j, at, n);

		rc = p ? count(j, &s, p, n, err) : fail_read(j, err);
		at += n;
	}
	if (rc || (uint64_t)length <= j->size)
		return rc;
	found->cut = (uint64_t)length - j->size;
	return journal_truncate(j, j->size, err);
}

/* ---- handing back */

struct replay {
	int (*fn)(uint32_t party, unsigned stream, uint8_t kind, const struct snet_slice *v,
		  void *user);
	void *user;
	struct snet_journal_found *found;
	struct snet_error *err;
};

static int read_block(struct snet_journal *j, struct snet_block *b, uint64_t at, size_t size)
{
	while (b->n < size) {
		size_t n = size - b->n < JOURNAL_WINDOW ? size - b->n : JOURNAL_WINDOW;
		const uint8_t *p = journal_peek(j, at + b->n, n);

		if (!p)
			return SNET_EIO;
		memcpy(b->data + b->n, p, n);
		b->n += n;
	}
	return SNET_OK;
}

static int hand_back(struct snet_journal *j, const struct snet_journal_entry *e, uint64_t at,
		     void *user)
{
	struct replay *r = user;
	size_t n = (size_t)e->n;
	struct snet_slice v = { .n = n };
	int rc = SNET_OK;

	at += SNET_JOURNAL_HEAD;
	if (n >= ALONE_FROM) {
		v.block = snet_block_new(n);
		if (!v.block)
			return snet_fail(r->err, SNET_ENOMEM, "%s", j->path);
		rc = read_block(j, v.block, at, n);
		v.p = v.block->data;
	} else {
		v.p = n ? journal_peek(j, at, n) : (const uint8_t *)"";
	}
	if (rc || !v.p)
		rc = fail_read(j, r->err);
	else
		rc = r->fn(e->party, e->stream, e->kind, &v, r->user);
	snet_block_free(v.block);
	if (rc)
		return rc;
	r->found->messages++;
	r->found->bytes += n;
	return SNET_OK;
}

static int replay(struct snet_journal *j, struct replay *r)
{
	struct snet_error *err = r->err;
	int rc = journal_each(j, hand_back, r);

	if (rc && err && !err->code)
		snet_fail(err, rc, "%s: cannot hand back message %llu: %s", j->path,
			  (unsigned long long)r->found->messages + 1, snet_err_text(rc));
	return rc;
}

int snet_journal_open(struct snet_journal **out, const char *path,
		      const struct snet_journal_owner *owner,
		      int (*fn)(uint32_t party, unsigned stream, uint8_t kind,
				const struct snet_slice *v, void *user),
		      void *user, struct snet_journal_found *found, struct snet_error *err)
{
	struct snet_journal *j = malloc(sizeof(*j));
	struct snet_error why = { 0 };
	struct snet_journal_found none = { 0 };
	struct replay r = { fn, user, found ? found : &none, &why };
	int rc;

	if (!j)
		return snet_fail(err, SNET_ENOMEM, "%s", path);
	memset(j, 0, offsetof(struct snet_journal, window));
	j->fd = -1;
	j->owner = *owner;
	j->limit = SNET_JOURNAL_HEADER + JOURNAL_SLACK;
	*r.found = none;
	rc = journal_lock(j, path, &why);
	if (!rc)
		rc = scan(j, r.found, &why);
	if (!rc)
		rc = replay(j, &r);
	if (rc) {
		snet_fail(err, rc, "%s", why.text);
		snet_journal_close(j);
		return rc;
	}
	unlink(j->tmp); /* of a process that ended while it wrote the file anew */
	journal_tidy(j);
	*out = j;
	return SNET_OK;
}

void snet_journal_close(struct snet_journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	snet_journal_tally_fini(&j->tally);
	free(j->path);
	free(j->tmp);
	free(j);
}

/* ---- adding */

static int put(struct snet_journal *j, const struct snet_journal_entry *e,
	       const struct snet_slice *v, size_t n, struct snet_error *err)
{
	uint8_t head[SNET_JOURNAL_HEAD];
	struct iovec all[1 + SNET_JOURNAL_SLICES];

	snet_journal_encode(head, e);
	all[0] = (struct iovec){ head, sizeof(head) };
	for (size_t i = 0; i < n; i++)
		all[1 + i] = (struct iovec){ (void *)(uintptr_t)v[i].p, v[i].n };
	return journal_append(j, all, (int)n + 1, err);
}

int snet_journal_add(struct snet_journal *j, uint32_t party, unsigned stream, uint8_t kind,
		     const struct snet_slice *v, size_t n, struct snet_error *err)
{
	struct snet_journal_entry e = { SNET_JOURNAL_MESSAGE, (uint8_t)stream, kind, party };
	uint64_t before = j->size;
	struct snet_journal_row *row;
	int rc;

	if (stream >= SNET_RECORD_STREAMS || n > SNET_JOURNAL_SLICES)
		return snet_fail(err, SNET_EINVAL, "stream %u, %zu slices", stream, n);
	for (size_t i = 0; i < n; i++) {
		if (v[i].n > SNET_JOURNAL_MESSAGE_MAX - e.n)
			return snet_fail(err, SNET_ETOOBIG, "a message of more than %u bytes",
					 SNET_JOURNAL_MESSAGE_MAX);
		e.n += v[i].n;
	}
	rc = snet_journal_row(&j->tally, party, &row);
	if (rc)
		return snet_fail(err, rc, "%s: %s", j->path,
				 rc == SNET_EINVAL ? "too many parties" : snet_err_text(rc));
	e.check = snet_journal_check(v, n);
	rc = put(j, &e, v, n, err);
	if (rc)
		return rc;
	row->stream[stream].live++;
	j->tally.live++;
	j->last.size = before;
	j->last.party = party;
	j->last.stream = stream;
	return SNET_OK;
}

int snet_journal_take_back(struct snet_journal *j, struct snet_error *err)
{
	struct snet_journal_row *row;
	int rc;

	if (!j->last.size)
		return snet_fail(err, SNET_EINVAL, "%s: nothing to take back", j->path);
	rc = journal_truncate(j, j->last.size, err);
	if (rc)
		return rc;
	row = snet_journal_find(&j->tally, j->last.party);
	row->stream[j->last.stream].live--;
	j->tally.live--;
	j->last.size = 0;
	return SNET_OK;
}

/* ---- acknowledging */

/* n more of them. When nothing is left, an empty file says so too, and needs no room. */
static int forget(struct snet_journal *j, uint32_t party, unsigned stream, uint64_t n,
		  struct snet_error *err)
{
	struct snet_journal_entry e = { SNET_JOURNAL_ACKED, (uint8_t)stream, 0, party, n };
	bool all = n == j->tally.live;
	int rc = SNET_EAGAIN;

	j->last.size = 0;
	if (!all || j->size <= j->limit)
		rc = put(j, &e, NULL, 0, all ? NULL : err);
	if (!rc)
		return snet_journal_count(&j->tally, &e);
	if (!all || journal_empty(j, err))
		return SNET_EIO;
	snet_journal_count(&j->tally, &e);
	snet_journal_forget_dead(&j->tally);
	return SNET_OK;
}

int snet_journal_acked(struct snet_journal *j, uint32_t party, unsigned stream, uint64_t count,
		       struct snet_error *err)
{
	struct snet_journal_row *row = snet_journal_find(&j->tally, party);
	struct snet_journal_stream *s;
	int rc;

	if (stream >= SNET_RECORD_STREAMS)
		return snet_fail(err, SNET_EINVAL, "stream %u", stream);
	s = row ? &row->stream[stream] : NULL;
	if (!s ? !count : count == s->acked)
		return SNET_OK;
	if (!s || count < s->acked || count - s->acked > s->live)
		return snet_fail(err, SNET_EINVAL, "%s: party %u, stream %u: no message %llu",
				 j->path, (unsigned)party, stream, (unsigned long long)count);
	rc = forget(j, party, stream, count - s->acked, err);
	if (rc)
		return rc;
	s->acked = count;
	journal_tidy(j);
	return SNET_OK;
}

void snet_journal_renewed(struct snet_journal *j, uint32_t party)
{
	struct snet_journal_row *row = snet_journal_find(&j->tally, party);

	for (unsigned s = 0; row && s < SNET_RECORD_STREAMS; s++)
		row->stream[s].acked = 0;
}

uint64_t snet_journal_outstanding(const struct snet_journal *j)
{
	return j->tally.live;
}

uint64_t snet_journal_size(const struct snet_journal *j)
{
	return j->size;
}
