/* A journal's file: a step, whether its checks are mended first (else hardly anything gets past
 * them), then the file. However it is cut, the same entries are found; what is found is encoded
 * as it stood; what they add up to is what a second walk says. */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/journal_entry.h"

#define HEADER SNET_JOURNAL_HEADER
#define HEAD SNET_JOURNAL_HEAD

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct snet_journal_owner me = { 2, "roster of the session" };

static uint32_t check(const uint8_t *p, size_t n)
{
	struct snet_slice v = { p, n, NULL };

	return snet_journal_check(&v, 1);
}

/* Sets every check there is room for. */
static void mend(uint8_t *p, size_t n)
{
	if (n >= HEADER)
		snet_put_be32(p + HEADER - 4, check(p, HEADER - 4));
	for (size_t at = HEADER; at < n && n - at >= HEAD;) {
		uint8_t *e = p + at;
		uint64_t size = e[0] == SNET_JOURNAL_MESSAGE ? snet_get_be64(e + 8) : 0;
		bool whole = size <= n - at - HEAD;

		if (e[0] == SNET_JOURNAL_MESSAGE && whole)
			snet_put_be32(e + 16, check(e + HEAD, (size_t)size));
		snet_put_be32(e + 20, check(e, 20));
		at = whole ? at + HEAD + (size_t)size : n;
	}
}

/* Scans the file in steps. Returns the code it ended with; *end: of the last whole entry. */
static int scan(const uint8_t *p, size_t n, size_t step, struct snet_journal_tally *t,
		uint64_t *end)
{
	struct snet_journal_scan s;
	int rc = 0;

	snet_journal_scan_init(&s);
	for (size_t i = HEADER; i < n && rc >= 0; i += step) {
		const uint8_t *at = p + i;
		size_t left = step < n - i ? step : n - i;

		while (*end = s.at, (rc = snet_journal_scan_next(&s, &at, &left)) == 1) {
			uint8_t head[HEAD];

			snet_journal_encode(head, &s.entry);
			assert(!memcmp(head, p + *end, HEAD));
			assert(s.at == *end + HEAD + snet_journal_payload(&s.entry));
			assert(s.at <= n);
			rc = snet_journal_count(t, &s.entry);
			if (rc)
				break;
		}
		assert(rc || !left);
	}
	assert(!rc || rc == SNET_EINTEGRITY);
	return rc;
}

/* The entries up to end: those that are live are as many as were counted, per stream too. */
static void walk(const uint8_t *p, uint64_t end, struct snet_journal_tally *t)
{
	struct snet_journal_entry e;
	uint64_t live = 0, messages = 0;

	snet_journal_walk(t);
	for (uint64_t at = HEADER; at < end; at += HEAD + snet_journal_payload(&e)) {
		assert(!snet_journal_decode(&e, p + at));
		live += snet_journal_is_live(t, &e);
		messages += e.type == SNET_JOURNAL_MESSAGE;
	}
	assert(live == t->live && messages == t->live + t->dead);
	for (size_t i = 0; i < t->n; i++) {
		assert(!i || t->rows[i - 1].party < t->rows[i].party);
		for (unsigned s = 0; s < SNET_RECORD_STREAMS; s++) {
			struct snet_journal_stream *v = &t->rows[i].stream[s];

			assert(v->passed == v->live + v->dead);
		}
	}
}

static void header(const uint8_t *p, size_t n)
{
	uint8_t mine[HEADER];
	struct snet_error err = { 0 };
	size_t k = n < HEADER ? n : HEADER;
	int rc = snet_journal_header_check(p, k, &me, &err);

	snet_journal_header(mine, &me);
	if (rc == SNET_OK || rc == SNET_EAGAIN)
		assert(!memcmp(p, mine, k) && (rc == SNET_OK) == (k == HEADER));
	else
		assert((rc == SNET_ECONFIG || rc == SNET_EINTEGRITY) && err.code == rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_journal_tally whole = { 0 }, cut = { 0 };
	uint64_t end = HEADER, end_cut = HEADER;
	uint8_t *file;
	int rc;

	if (n < 2)
		return 0;
	file = malloc(n - 2 ? n - 2 : 1);
	assert(file);
	memcpy(file, p + 2, n - 2);
	if (p[1] & 1)
		mend(file, n - 2);
	header(file, n - 2);
	rc = scan(file, n - 2, n, &whole, &end);
	assert(rc == scan(file, n - 2, p[0] ? p[0] : 1, &cut, &end_cut) && end == end_cut);
	assert(whole.live == cut.live && whole.dead == cut.dead && whole.n == cut.n);
	walk(file, end, &whole);
	snet_journal_tally_fini(&whole);
	snet_journal_tally_fini(&cut);
	free(file);
	return 0;
}
