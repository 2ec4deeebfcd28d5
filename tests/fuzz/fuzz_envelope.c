/* Envelopes and candidates: what decode takes, encode writes; a list has
 * as many elements as it says. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "wire/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void walk(const struct snet_envelope *e)
{
	const struct snet_envelope_list *l = &e->keys;
	struct snet_reader at;
	struct snet_candidate c;
	struct snet_slice key;
	size_t count = 0;

	if (e->tag == SNET_ENVELOPE_ICE_CANDIDATES) {
		l = &e->ice.candidates;
		for (at = snet_envelope_begin(l); snet_envelope_next_candidate(&at, &c);)
			count++;
	} else if (e->tag == SNET_ENVELOPE_NODE_LIST_RESPONSE ||
		   e->tag == SNET_ENVELOPE_CLIENT_LIST_FULL) {
		for (at = snet_envelope_begin(l); snet_envelope_next_key(&at, &key);)
			count++;
	} else {
		return;
	}
	assert(!at.bad && count == l->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_buf out = SNET_BUF(n);
	struct snet_candidate c;
	struct snet_envelope e;

	if (!snet_envelope_decode(&e, p, n)) {
		walk(&e);
		assert(!snet_envelope_encode(&e, &out));
		assert(!memcmp(out.p, p, out.n));
		assert(e.trailing == (out.n < n));
		assert(!e.trailing || e.tag != SNET_ENVELOPE_HANDSHAKE);
	}
	out.n = 0;
	if (!snet_candidate_decode(&c, p, n)) {
		assert(!snet_candidate_encode(&c, &out));
		assert(out.n == n && !memcmp(out.p, p, n));
	}
	snet_buf_free(&out);
	return 0;
}
