/* WebSocket frames of a stranger, either side of it; the first byte says which, and into what
 * pieces they are cut. The same messages come out however they are cut, none is larger than
 * allowed, and after the end nothing is heard. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "signal/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define MAX 4096

struct heard {
	unsigned texts, closes;
	uint64_t sum;
};

static int mask(void *p, size_t n)
{
	memset(p, 0x5a, n);
	return 0;
}

static void on_text(const uint8_t *p, size_t n, void *user)
{
	struct heard *h = user;

	assert(n <= MAX && !h->closes && snet_utf8_is_valid(p, n));
	h->texts++;
	for (size_t i = 0; i < n; i++)
		h->sum = h->sum * 31 + p[i];
}

static void on_close(unsigned code, const char *why, void *user)
{
	struct heard *h = user;

	assert(!h->closes && code >= 1000 && code < 5000 && strlen(why) <= SNET_WS_REASON);
	h->closes++;
}

static const struct snet_ws_events events = { on_text, on_close };

static void play(const uint8_t *p, size_t n, size_t piece, bool is_client, struct heard *h)
{
	const struct snet_ws_opts o = { is_client, MAX, mask };
	uint8_t out[512];
	struct snet_ws *w;
	int over = 0;

	assert(!snet_ws_new(&w, &o, &events, h));
	for (size_t at = 0; at < n; at += piece) {
		unsigned before = h->texts + h->closes;
		int rc = snet_ws_input(w, p + at, n - at < piece ? n - at : piece);

		if (over)
			assert(!rc && h->texts + h->closes == before);
		over |= rc || h->closes;
		while (snet_ws_output(w, out, sizeof(out)))
			;
		assert(!snet_ws_wants_output(w));
		assert(over || !snet_ws_queued(w)); /* what stands behind a close frame stays */
		assert(!over || snet_ws_text(w, "{}", 2) == SNET_ECLOSED);
	}
	snet_ws_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct heard whole = { 0 }, cut = { 0 };

	if (!n)
		return 0;
	play(p + 1, n - 1, n, *p & 1, &whole);
	play(p + 1, n - 1, 1 + (*p >> 1), *p & 1, &cut);
	/* wslay takes a farewell with broken words for none, but only when it comes in one
	 * piece. */
	assert(whole.texts == cut.texts && whole.sum == cut.sum);
	return 0;
}
