/* Resume and acks, from an authenticated stranger, as an outbox hears them: runs of what,
 * length, bytes, with messages accepted and sent in between. What the outbox keeps stays in
 * order and without a gap, and what is refused changes nothing. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "mesh/outbox.h"
#include "mesh/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define STREAMS SNET_RECORD_STREAMS

static const struct snet_session session = { 0x0101010101010101u, "net", 3, { 0 } };

/* Every stream: from what is acknowledged to the end, each number once; sent ones first. */
static void check(const struct snet_outbox *o)
{
	uint64_t at[STREAMS], sent[STREAMS];
	size_t bytes = 0;

	memcpy(at, o->acked, sizeof(at));
	memcpy(sent, o->acked, sizeof(sent));
	assert(o->cursor <= o->count && o->count <= o->cap);
	for (size_t i = 0; i < o->count; i++) {
		const struct snet_outbox_item *it = &o->items[(o->first + i) & (o->cap - 1)];

		assert(it->seq == ++at[it->stream]);
		assert(it->v.n == 1 && it->v.p[0] == it->kind);
		if (i < o->cursor)
			sent[it->stream] = it->seq;
		bytes += it->v.n + SNET_OUTBOX_OVERHEAD;
	}
	assert(bytes == o->bytes);
	assert(!memcmp(at, o->end, sizeof(at)));
	for (unsigned s = 0; s < STREAMS; s++) {
		assert(sent[s] == o->sent[s] && o->sent[s] <= o->most[s]);
		assert(o->most[s] <= o->end[s]);
	}
}

static void refused(const struct snet_outbox *o, const struct snet_outbox *was)
{
	assert(!memcmp(o, was, sizeof(*o)));
}

static void hear_resume(struct snet_outbox *o, uint64_t *known, const uint8_t *p, size_t n)
{
	struct snet_session_heard h;
	struct snet_outbox was;
	struct snet_error err = { 0 };
	int rc = snet_session_hear(&h, &session, *known, p, n, &err);

	if (rc) {
		assert(rc == err.code && (rc == SNET_EPROTO || rc == SNET_ECONFIG));
		assert(err.text[0] && strlen(err.text) < sizeof(err.text) - 1);
		for (const char *c = err.text; *c; c++)
			assert(*c >= 0x20 && *c < 0x7f);
		return;
	}
	assert(h.incarnation && h.is_new == (h.incarnation != *known));
	if (h.is_new)
		snet_outbox_renew(o);
	*known = h.incarnation;
	check(o);
	memcpy(&was, o, sizeof(was));
	if (snet_outbox_rewind(o, &h.next))
		refused(o, &was);
	else
		assert(!o->cursor);
}

static void hear_ack(struct snet_outbox *o, const uint8_t *p, size_t n)
{
	struct snet_record_marks m;
	struct snet_outbox was;

	if (snet_record_decode_ack(&m, p, n))
		return;
	memcpy(&was, o, sizeof(was));
	if (snet_outbox_acked(o, &m)) {
		refused(o, &was);
		return;
	}
	for (unsigned i = 0; i < m.count; i++)
		assert(o->acked[m.mark[i].stream] >= m.mark[i].at);
}

static void talk(struct snet_outbox *o, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct snet_slice v = { p + i, 1, NULL };

		if (p[i] & 0x80 && snet_outbox_next(o))
			snet_outbox_sent(o);
		else
			assert(!snet_outbox_add(o, p[i] % STREAMS, p[i], &v, 1) ||
			       snet_outbox_is_full(o));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);
	struct snet_outbox o;
	uint64_t known = 0;

	snet_outbox_init(&o, 10000);
	while (snet_left(&r)) {
		uint8_t what = snet_take_u8(&r);
		size_t k = snet_take_be16(&r);
		const uint8_t *bytes;

		k = k < snet_left(&r) ? k : snet_left(&r);
		bytes = snet_take(&r, k);
		if (!bytes)
			break;
		if (what % 3 == 0)
			hear_resume(&o, &known, bytes, k);
		else if (what % 3 == 1)
			hear_ack(&o, bytes, k);
		else
			talk(&o, bytes, k);
		check(&o);
	}
	snet_outbox_fini(&o);
	return 0;
}
